/* SPDX-License-Identifier: Apache-2.0
 *
 * Journal: records on disk that survive the death of the process.
 *
 * What:     a directory holds snapshot.N and journal.N, journal.N+1 ..: each a header and records
 *           of a kind, bytes and a checksum. What a record means is the user's; records must be
 *           idempotent (set this, forget that), since a snapshot is taken while changes go on.
 * Opening:  the newest complete snapshot is read, then the journals from its number on. A journal
 *           ends at the first record that is not whole: the tail that a dying process tore off is
 *           cut away, everything before it counts.
 * Snapshot: begins journal.N+1 and writes snapshot.N+1 beside the running changes, a slice at a
 *           time; only when it is complete it gets its name and the older files go. A crash
 *           anywhere leaves a snapshot and every journal that was begun after it.
 * Writing:  records are collected in memory; journal_flush() hands them to the kernel, which is
 *           enough to survive the process. Snapshots are synced before they replace anything.
 * Threads:  the loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"

struct journal;
struct weft_error;

#define JOURNAL_MAX_RECORD (1u << 20)

/* Takes a record while the journal is opened; false (and @err): it means nothing. Such a record is
 * skipped and counted. */
typedef bool journal_replay_fn(
	void *user, uint32_t kind, const void *data, size_t len, struct weft_error *err);

struct journal_stats {
	uint64_t n_replayed;
	uint64_t n_refused;   /* by the replay function */
	uint64_t torn_bytes;  /* cut away at opening */
	uint64_t size;        /* bytes in snapshot and journals */
	uint64_t n_snapshots; /* taken by this process */
	bool failed;          /* writing failed: changes since then are lost until a snapshot */
};

/* Opens (and makes) @directory and replays what is in it. NULL and @err: it cannot be used. */
struct journal *journal_open(const char *directory, journal_replay_fn *replay, void *user,
	struct weft_error *err) WEFT_MUST_CHECK;
void journal_close(struct journal *j);

/* Adds a record; @len up to JOURNAL_MAX_RECORD. */
void journal_append(struct journal *j, uint32_t kind, const void *data, size_t len);

/* Hands all records to the kernel. 0 or a negative errno, logged once. */
int journal_flush(struct journal *j);

/* Whether the journals have outgrown their snapshot so far that a new one pays, or writing failed
 * and a new one would heal it. */
bool journal_wants_snapshot(const struct journal *j);

/* Begins a snapshot. The user then calls journal_snapshot_put() for everything that exists, in
 * any order and as many slices as it likes, and journal_snapshot_end(). 0 or a negative errno. */
int journal_snapshot_begin(struct journal *j);
void journal_snapshot_put(struct journal *j, uint32_t kind, const void *data, size_t len);
int journal_snapshot_end(struct journal *j);
bool journal_snapshot_running(const struct journal *j);

void journal_get_stats(const struct journal *j, struct journal_stats *stats);

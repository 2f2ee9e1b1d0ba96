/* SPDX-License-Identifier: Apache-2.0
 *
 * Statistics region: counters of every slot, written by workers, read by the agent.
 *
 * What:     a sealed memfd: a header page, then for each worker an array of 32-byte records, one a
 *           slot. Flows, buckets, meters and bands have slots of their own from one number space.
 * Threads:  a record is written by its worker alone, with relaxed stores; any thread of either
 *           process reads. Sums are over all workers.
 * Identity: a reader must know the slot's generation; a record whose generation differs is of
 *           another life of the slot and counts as zero. Records are zeroed, and the generation is
 *           stored, before the slot becomes visible to workers. Final sums come in the reply of
 *           the delete, not from here.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"

struct weft_error;

#define STATS_REGION_MAGIC 0x54535457u /* "WTST" */
#define STATS_REGION_VERSION 1u
#define STATS_REGION_HEADER_SIZE 4096
#define STATS_REGION_MAX_WORKERS 1024u

struct stats_header {
	uint32_t magic;
	uint32_t version;
	uint64_t instance; /* of the datapath */
	uint32_t n_workers;
	uint32_t n_slots;
	uint32_t stride; /* bytes a record */
	uint32_t zero;
};

struct stats_record {
	_Atomic uint64_t packets;
	_Atomic uint64_t bytes;
	_Atomic uint64_t used_ms; /* CLOCK_MONOTONIC; 0: never */
	_Atomic uint32_t gen;
	_Atomic uint16_t tcp_flags; /* union of what was seen, host order */
	uint16_t zero;
};
_Static_assert(sizeof(struct stats_record) == 32, "the stride that the protocol promises");

/* A sum over workers. */
struct flow_stats {
	uint64_t packets;
	uint64_t bytes;
	uint64_t used_ms; /* the latest; 0: never */
	uint32_t tcp_flags;
	uint32_t zero;
};

struct stats_region {
	const struct stats_header *header;
	struct stats_record *records; /* [worker * n_slots + slot] */
	uint32_t n_workers;           /* private copies: the header may be hostile */
	uint32_t n_slots;
	size_t map_size;
};

/* Datapath: makes and maps the region; the descriptor, to be sent to agents and closed by the
 * caller, is stored in @fd. 0 or a negative errno. */
int stats_region_create(
	struct stats_region *r, uint64_t instance, uint32_t n_workers, uint32_t n_slots, int *fd);
/* Agent: maps it read-only and checks the header and the size. */
bool stats_region_attach(
	struct stats_region *r, int fd, uint64_t instance, struct weft_error *err) WEFT_MUST_CHECK;
void stats_region_destroy(struct stats_region *r);

static inline struct stats_record *
stats_region_record(const struct stats_region *r, uint32_t worker, uint32_t slot)
{
	return &r->records[(size_t)worker * r->n_slots + slot];
}

/* Worker: credits one slot. @used_ms: CLOCK_MONOTONIC. */
static inline void
stats_record_credit(struct stats_record *rec, uint32_t packets, uint64_t bytes, uint64_t used_ms,
	uint16_t tcp_flags)
{
	atomic_store_explicit(&rec->packets,
		atomic_load_explicit(&rec->packets, memory_order_relaxed) + packets,
		memory_order_relaxed);
	atomic_store_explicit(&rec->bytes,
		atomic_load_explicit(&rec->bytes, memory_order_relaxed) + bytes,
		memory_order_relaxed);
	atomic_store_explicit(&rec->used_ms, used_ms, memory_order_relaxed);
	if (tcp_flags) {
		atomic_store_explicit(&rec->tcp_flags,
			atomic_load_explicit(&rec->tcp_flags, memory_order_relaxed) | tcp_flags,
			memory_order_relaxed);
	}
}

/* Tables thread, while no worker can see the slot: zeroes the records of all workers. */
void stats_region_reset(const struct stats_region *r, uint32_t slot, uint32_t gen);

/* Sum over the workers of the records of that generation. Slots out of range: zero. */
void stats_region_read(
	const struct stats_region *r, uint32_t slot, uint32_t gen, struct flow_stats *sum);

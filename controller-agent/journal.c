/* SPDX-License-Identifier: Apache-2.0
 *
 * Journal: files, checksums, replay and snapshots.
 *
 * Why:    a torn tail is told from a whole record by length and CRC alone, so nothing needs to be
 *         synced for each change: the process may die at any instruction, the kernel keeps what
 *         was written.
 */
#include "controller-agent/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/log.h"

WEFT_LOG_MODULE(journal);

#define FILE_MAGIC "WEFTJRN1"
#define FLUSH_AT (64u << 10)
#define MIN_TO_COMPACT (1u << 20)
#define KIND_END 0xffffffffu /* closes a snapshot */

struct file_header {
	char magic[8];
	uint64_t number;
};

struct record_header {
	uint32_t len;
	uint32_t crc; /* of @kind and the bytes */
	uint32_t kind;
};

/* One file being written. */
struct writer {
	int fd;        /* -1: none */
	uint8_t *data; /* not yet handed to the kernel */
	size_t size;
	size_t capacity;
	uint64_t written; /* bytes of the file, those in @data included */
	int error;        /* the first failure */
};

struct journal {
	char *directory;
	int dir_fd;
	uint64_t snapshot; /* number of the newest complete snapshot; 0: none */
	uint64_t current;  /* number of the journal that is written */
	uint64_t snapshot_size;
	uint64_t older_size; /* of journals before the current one that are still needed */
	struct writer log;
	struct writer snap; /* fd -1: no snapshot is being taken */
	bool failure_logged;
	struct journal_stats stats;
	uint32_t crc_table[256];
};

static bool load_all(
	struct journal *j, journal_replay_fn *replay, void *user, struct weft_error *err);
static int open_writer(struct journal *j, struct writer *w, const char *name, uint64_t number);
static void close_writer(struct writer *w);
static void put_record(
	struct journal *j, struct writer *w, uint32_t kind, const void *data, size_t len);
static int flush_writer(struct writer *w);
static void remove_older(struct journal *j, uint64_t number);
static void make_crc_table(uint32_t table[256]);

struct journal *
journal_open(const char *directory, journal_replay_fn *replay, void *user, struct weft_error *err)
{
	struct journal *j = xcalloc(1, sizeof(*j));

	j->log.fd = j->snap.fd = -1;
	make_crc_table(j->crc_table);
	j->directory = xstrdup(directory);
	if (mkdir(directory, 0750) < 0 && errno != EEXIST) {
		weft_error_set(err, WEFT_ERR_SYSTEM, errno, "state directory %s: %s", directory,
			strerror(errno));
		goto free_journal;
	}
	j->dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (j->dir_fd < 0) {
		weft_error_set(err, WEFT_ERR_SYSTEM, errno, "state directory %s: %s", directory,
			strerror(errno));
		goto free_journal;
	}
	if (flock(j->dir_fd, LOCK_EX | LOCK_NB) < 0) {
		weft_error_set(err, WEFT_ERR_SYSTEM, EBUSY,
			"state directory %s is in use by another agent: stop it, or give --state",
			directory);
		goto close_dir;
	}
	if (!load_all(j, replay, user, err)) {
		goto close_dir;
	}
	return j;

close_dir:
	close(j->dir_fd);
free_journal:
	close_writer(&j->log);
	free(j->directory);
	free(j);
	return NULL;
}

void
journal_close(struct journal *j)
{
	char name[64];

	if (!j) {
		return;
	}
	journal_flush(j);
	if (j->snap.fd >= 0) { /* what is not complete never counts */
		snprintf(name, sizeof(name), "snapshot.%llu.new", (unsigned long long)j->current);
		unlinkat(j->dir_fd, name, 0);
	}
	close_writer(&j->snap);
	close_writer(&j->log);
	close(j->dir_fd);
	free(j->directory);
	free(j);
}

void
journal_append(struct journal *j, uint32_t kind, const void *data, size_t len)
{
	put_record(j, &j->log, kind, data, len);
	if (j->log.size >= FLUSH_AT) {
		journal_flush(j);
	}
}

int
journal_flush(struct journal *j)
{
	int rc = flush_writer(&j->log);

	if (rc < 0 && !j->failure_logged) {
		j->failure_logged = true;
		LOG_ERR("state directory %s: cannot write: %s; changes will not survive a restart",
			j->directory, strerror(-rc));
	}
	return rc;
}

bool
journal_wants_snapshot(const struct journal *j)
{
	uint64_t grown = j->older_size + j->log.written;

	if (journal_snapshot_running(j)) {
		return false;
	}
	return j->log.error || (grown > MIN_TO_COMPACT && grown > 2 * j->snapshot_size);
}

int
journal_snapshot_begin(struct journal *j)
{
	struct writer next = {.fd = -1}, snap = {.fd = -1};
	char name[64];
	uint64_t number = j->current + 1;
	int rc;

	snprintf(name, sizeof(name), "snapshot.%llu.new", (unsigned long long)number);
	rc = open_writer(j, &snap, name, number);
	if (rc < 0) {
		return rc;
	}
	snprintf(name, sizeof(name), "journal.%llu", (unsigned long long)number);
	rc = open_writer(j, &next, name, number);
	if (rc < 0) {
		close_writer(&snap);
		return rc;
	}
	journal_flush(j);
	j->older_size += j->log.written;
	close_writer(&j->log);
	j->log = next;
	j->snap = snap;
	j->current = number;
	return 0;
}

void
journal_snapshot_put(struct journal *j, uint32_t kind, const void *data, size_t len)
{
	put_record(j, &j->snap, kind, data, len);
	if (j->snap.size >= FLUSH_AT) {
		flush_writer(&j->snap);
	}
}

int
journal_snapshot_end(struct journal *j)
{
	char from[64], to[64];
	int rc;

	put_record(j, &j->snap, KIND_END, NULL, 0);
	rc = flush_writer(&j->snap);
	if (rc == 0 && fsync(j->snap.fd) < 0) {
		rc = -errno;
	}
	snprintf(from, sizeof(from), "snapshot.%llu.new", (unsigned long long)j->current);
	snprintf(to, sizeof(to), "snapshot.%llu", (unsigned long long)j->current);
	if (rc == 0 && renameat(j->dir_fd, from, j->dir_fd, to) < 0) {
		rc = -errno;
	}
	if (rc < 0) {
		unlinkat(j->dir_fd, from, 0);
		close_writer(&j->snap);
		LOG_ERR("state directory %s: cannot take a snapshot: %s", j->directory,
			strerror(-rc));
		return rc;
	}
	fsync(j->dir_fd);
	j->snapshot = j->current;
	j->snapshot_size = j->snap.written;
	j->older_size = 0;
	j->stats.n_snapshots++;
	if (!j->log.error) {
		j->failure_logged = false;
	}
	close_writer(&j->snap);
	remove_older(j, j->snapshot);
	return 0;
}

bool
journal_snapshot_running(const struct journal *j)
{
	return j->snap.fd >= 0;
}

void
journal_get_stats(const struct journal *j, struct journal_stats *stats)
{
	*stats = j->stats;
	stats->size = j->snapshot_size + j->older_size + j->log.written;
	stats->failed = j->log.error != 0;
}

/* --- checksums ---------------------------------------------------------------------------------- */

static void
make_crc_table(uint32_t table[256])
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++) {
			c = c & 1 ? (c >> 1) ^ 0xedb88320u : c >> 1;
		}
		table[i] = c;
	}
}

static uint32_t
crc_of(const struct journal *j, uint32_t kind, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t c = 0xffffffffu;

	for (int shift = 0; shift < 32; shift += 8) {
		c = j->crc_table[(c ^ (kind >> shift)) & 0xff] ^ (c >> 8);
	}
	for (size_t i = 0; i < len; i++) {
		c = j->crc_table[(c ^ p[i]) & 0xff] ^ (c >> 8);
	}
	return ~c;
}

/* --- writing ------------------------------------------------------------------------------------ */

static void
grow(struct writer *w, size_t len)
{
	size_t capacity = w->capacity ? w->capacity : FLUSH_AT * 2;

	if (w->size + len <= w->capacity) {
		return;
	}
	while (capacity < w->size + len) {
		capacity *= 2;
	}
	w->data = xrealloc(w->data, capacity);
	w->capacity = capacity;
}

static void
put_bytes(struct writer *w, const void *data, size_t len)
{
	grow(w, len);
	if (len) {
		memcpy(w->data + w->size, data, len);
	}
	w->size += len;
	w->written += len;
}

static void
put_record(struct journal *j, struct writer *w, uint32_t kind, const void *data, size_t len)
{
	struct record_header head = {
		.len = (uint32_t)len,
		.crc = crc_of(j, kind, data, len),
		.kind = kind,
	};

	if (len > JOURNAL_MAX_RECORD || w->error) {
		return;
	}
	put_bytes(w, &head, sizeof(head));
	put_bytes(w, data, len);
}

static int
flush_writer(struct writer *w)
{
	size_t done = 0;

	while (!w->error && done < w->size) {
		ssize_t n = write(w->fd, w->data + done, w->size - done);

		if (n >= 0) {
			done += (size_t)n;
		} else if (errno != EINTR) {
			w->error = -errno;
		}
	}
	w->size = 0;
	return w->error;
}

static int
open_writer(struct journal *j, struct writer *w, const char *name, uint64_t number)
{
	struct file_header head = {.magic = FILE_MAGIC, .number = number};

	memset(w, 0, sizeof(*w));
	w->fd = openat(j->dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (w->fd < 0) {
		return -errno;
	}
	put_bytes(w, &head, sizeof(head));
	return 0;
}

static void
close_writer(struct writer *w)
{
	if (w->fd >= 0) {
		close(w->fd);
	}
	free(w->data);
	memset(w, 0, sizeof(*w));
	w->fd = -1;
}

/* --- reading ------------------------------------------------------------------------------------ */

struct reader {
	FILE *file;
	uint8_t *data; /* of JOURNAL_MAX_RECORD */
	uint64_t good; /* bytes up to the end of the last whole record */
	bool complete; /* saw KIND_END */
};

/* Reads the next whole record. False: there is none. */
static bool
read_record(const struct journal *j, struct reader *r, struct record_header *head)
{
	if (fread(head, sizeof(*head), 1, r->file) != 1 || head->len > JOURNAL_MAX_RECORD ||
		(head->len && fread(r->data, head->len, 1, r->file) != 1) ||
		crc_of(j, head->kind, r->data, head->len) != head->crc) {
		return false;
	}
	r->good += sizeof(*head) + head->len;
	return true;
}

static bool
open_reader(const struct journal *j, struct reader *r, const char *name, uint64_t number)
{
	struct file_header head;
	int fd = openat(j->dir_fd, name, O_RDONLY | O_CLOEXEC);

	memset(r, 0, sizeof(*r));
	if (fd < 0) {
		return false;
	}
	r->file = fdopen(fd, "r");
	if (!r->file) {
		close(fd);
		return false;
	}
	r->data = xmalloc(JOURNAL_MAX_RECORD);
	if (fread(&head, sizeof(head), 1, r->file) == 1 &&
		memcmp(head.magic, FILE_MAGIC, sizeof(head.magic)) == 0 && head.number == number) {
		r->good = sizeof(head);
	}
	return true;
}

static void
close_reader(struct reader *r)
{
	fclose(r->file);
	free(r->data);
}

/* Whether snapshot @number is whole: only then it is replayed. */
static bool
snapshot_is_complete(const struct journal *j, uint64_t number)
{
	struct record_header head;
	struct reader r;
	bool complete = false;
	char name[64];

	snprintf(name, sizeof(name), "snapshot.%llu", (unsigned long long)number);
	if (!open_reader(j, &r, name, number)) {
		return false;
	}
	while (r.good && !complete && read_record(j, &r, &head)) {
		complete = head.kind == KIND_END;
	}
	close_reader(&r);
	return complete;
}

/* Replays one file. Returns the bytes that are whole (0: not even the header), or -1 when there is
 * no such file; @size gets the file's. */
static int64_t
replay_file(struct journal *j, const char *name, bool is_snapshot, uint64_t number,
	journal_replay_fn *replay, void *user, uint64_t *size)
{
	struct record_header head;
	struct weft_error err;
	struct reader r;
	struct stat st;
	int64_t good;

	if (!open_reader(j, &r, name, number)) {
		return -1;
	}
	*size = fstat(fileno(r.file), &st) == 0 ? (uint64_t)st.st_size : 0;
	while (r.good && read_record(j, &r, &head)) {
		if (head.kind == KIND_END) {
			if (!is_snapshot) {
				/* None of ours has one: what is written now must not stand behind it. */
				r.good -= sizeof(head) + head.len;
			}
			break;
		}
		weft_error_init(&err);
		j->stats.n_replayed++;
		if (!replay(user, head.kind, r.data, head.len, &err)) {
			j->stats.n_refused++;
			LOG_WARN_RL("state %s/%s: record of kind %u: %s", j->directory, name,
				head.kind, err.text);
		}
	}
	good = (int64_t)r.good;
	close_reader(&r);
	return good;
}

/* The highest number of a file PREFIX.N (without anything behind it), 0: none. @below: only
 * numbers lower than that. */
static uint64_t
highest(const struct journal *j, const char *prefix, uint64_t below)
{
	size_t prefix_len = strlen(prefix);
	DIR *dir = opendir(j->directory);
	struct dirent *entry;
	uint64_t best = 0;

	while (dir && (entry = readdir(dir)) != NULL) {
		const char *digits = entry->d_name + prefix_len;
		char *end;
		uint64_t n;

		if (strncmp(entry->d_name, prefix, prefix_len) != 0 || *digits < '0' ||
			*digits > '9') {
			continue;
		}
		n = strtoull(digits, &end, 10);
		if (*end == '\0' && n > best && n < below) {
			best = n;
		}
	}
	if (dir) {
		closedir(dir);
	}
	return best;
}

/* Goes on writing the last journal behind its last whole record. */
static bool
resume_log(
	struct journal *j, const char *name, uint64_t good, uint64_t size, struct weft_error *err)
{
	j->log.fd = openat(j->dir_fd, name, O_WRONLY | O_CLOEXEC | O_APPEND);
	if (j->log.fd < 0 || ftruncate(j->log.fd, (off_t)good) < 0) {
		weft_error_set(err, WEFT_ERR_SYSTEM, errno, "state %s/%s: %s", j->directory, name,
			strerror(errno));
		return false;
	}
	j->log.written = good;
	if (size > good) {
		j->stats.torn_bytes += size - good;
		LOG_WARN("state %s/%s: the last %llu bytes were torn off and are ignored",
			j->directory, name, (unsigned long long)(size - good));
	}
	return true;
}

static bool
load_journals(struct journal *j, journal_replay_fn *replay, void *user, struct weft_error *err)
{
	uint64_t last = highest(j, "journal.", UINT64_MAX), number, size = 0;
	int64_t good = -1;
	char name[64];
	int rc;

	for (number = j->snapshot; number <= last; number++) {
		snprintf(name, sizeof(name), "journal.%llu", (unsigned long long)number);
		good = replay_file(j, name, false, number, replay, user, &size);
		if (number < last && good > 0) {
			j->older_size += (uint64_t)good;
			j->stats.torn_bytes += size - (uint64_t)good;
		}
	}
	j->current = last > j->snapshot ? last : j->snapshot;
	snprintf(name, sizeof(name), "snapshot.%llu.new", (unsigned long long)j->current);
	unlinkat(j->dir_fd, name, 0); /* of a process that died while it took it */
	snprintf(name, sizeof(name), "journal.%llu", (unsigned long long)j->current);
	if (good > 0 && last >= j->snapshot) {
		return resume_log(j, name, (uint64_t)good, size, err);
	}
	rc = open_writer(j, &j->log, name, j->current);
	if (rc == 0) {
		rc = flush_writer(&j->log);
	}
	if (rc < 0) {
		weft_error_set(err, WEFT_ERR_SYSTEM, -rc, "state %s/%s: %s", j->directory, name,
			strerror(-rc));
		return false;
	}
	return true;
}

static bool
load_all(struct journal *j, journal_replay_fn *replay, void *user, struct weft_error *err)
{
	uint64_t number = highest(j, "snapshot.", UINT64_MAX), size = 0;
	char name[64];

	while (number && !snapshot_is_complete(j, number)) {
		LOG_WARN("state %s/snapshot.%llu is not whole: ignored", j->directory,
			(unsigned long long)number);
		number = highest(j, "snapshot.", number);
	}
	j->snapshot = number;
	if (number) {
		snprintf(name, sizeof(name), "snapshot.%llu", (unsigned long long)number);
		replay_file(j, name, true, number, replay, user, &size);
		j->snapshot_size = size;
	}
	return load_journals(j, replay, user, err);
}

/* Removes what a complete snapshot has replaced. */
static void
remove_older(struct journal *j, uint64_t number)
{
	static const char *const prefixes[] = {"journal.", "snapshot."};
	char name[64];

	for (unsigned i = 0; i < 2; i++) {
		uint64_t n = number;

		do {
			n = highest(j, prefixes[i], n);
			snprintf(name, sizeof(name), "%s%llu", prefixes[i], (unsigned long long)n);
			unlinkat(j->dir_fd, name, 0);
		} while (n);
	}
}

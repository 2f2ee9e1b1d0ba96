/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared-memory ring.
 *
 * Why: indices are bytes that wrap at 2^32, so that full and empty differ without a spare byte; a
 *      record is never split, so that a producer writes it in place and a consumer copies once.
 */
#include "lib/shm_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/race_point.h"

#define REC_SIZE ((uint32_t)sizeof(struct shm_ring_rec))

static uint32_t
padded(uint32_t len)
{
	return (len + 7) & ~7u;
}

static bool
size_is_sound(uint32_t size)
{
	return size >= SHM_RING_MIN_SIZE && size <= SHM_RING_MAX_SIZE && !(size & (size - 1));
}

int
shm_ring_memfd(uint32_t size)
{
	struct shm_ring_shared *shared;
	int fd, rc;

	if (!size_is_sound(size)) {
		return -EINVAL;
	}
	fd = memfd_create("weft-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0) {
		return -errno;
	}
	if (ftruncate(fd, (off_t)SHM_RING_HEADER_SIZE + size) < 0) {
		goto fail;
	}
	shared = mmap(NULL, SHM_RING_HEADER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED) {
		goto fail;
	}
	shared->magic = SHM_RING_MAGIC;
	shared->size = size;
	munmap(shared, SHM_RING_HEADER_SIZE);
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		goto fail;
	}
	return fd;

fail:
	rc = -errno;
	close(fd);
	return rc;
}

static void
fill(struct shm_ring *r, void *memory, uint32_t size, int event_fd)
{
	*r = (struct shm_ring){
		.shared = memory,
		.data = (uint8_t *)memory + SHM_RING_HEADER_SIZE,
		.size = size,
		.mask = size - 1,
		.event_fd = event_fd,
	};
}

bool
shm_ring_attach(struct shm_ring *r, int memfd, uint32_t size, int event_fd, struct weft_error *err)
{
	size_t map_size = SHM_RING_HEADER_SIZE + (size_t)size;
	struct stat status;
	void *memory;
	int seals;

	if (!size_is_sound(size)) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"ring size %u is no power of two in range", size);
	}
	seals = fcntl(memfd, F_GET_SEALS);
	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(memfd, &status) < 0 ||
		status.st_size != (off_t)map_size) {
		return weft_error_set(err, WEFT_ERR_INVALID, EPROTO,
			"ring memory is not sealed or has the wrong size");
	}
	memory = mmap(NULL, map_size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	if (memory == MAP_FAILED) {
		return weft_error_set(
			err, WEFT_ERR_SYSTEM, errno, "cannot map ring memory: %s", strerror(errno));
	}
	fill(r, memory, size, event_fd);
	r->map_size = map_size;
	if (r->shared->magic != SHM_RING_MAGIC || r->shared->size != size) {
		shm_ring_detach(r);
		return weft_error_set(
			err, WEFT_ERR_INVALID, EPROTO, "ring memory has the wrong header");
	}
	return true;
}

void
shm_ring_init_private(struct shm_ring *r, void *memory, uint32_t size, int event_fd)
{
	memset(memory, 0, SHM_RING_HEADER_SIZE);
	fill(r, memory, size, event_fd);
	r->shared->magic = SHM_RING_MAGIC;
	r->shared->size = size;
}

void
shm_ring_detach(struct shm_ring *r)
{
	if (r->shared && r->map_size) {
		munmap(r->shared, r->map_size);
	}
	*r = (struct shm_ring){.event_fd = -1, .broken = true};
}

/* Producer: brings the consumer's index up to date. False when it is nonsense. */
static bool
refresh_tail(struct shm_ring *r)
{
	uint32_t tail = atomic_load_explicit(&r->shared->tail, memory_order_acquire);

	/* It only goes on, and not beyond what was published. */
	if (tail - r->peer > r->public - r->peer) {
		r->broken = true;
		return false;
	}
	RACE_POINT();
	r->peer = tail;
	return true;
}

void *
shm_ring_reserve(struct shm_ring *r, uint32_t kind, uint32_t len)
{
	uint32_t at, rest, need;
	struct shm_ring_rec rec = {len, kind};

	/* Half of the ring, header included: wherever the indices stand, it fits into an empty ring. */
	if (r->broken || len > r->size / 2 - REC_SIZE) {
		return NULL;
	}
	at = r->own & r->mask;
	rest = r->size - at;
	need = REC_SIZE + padded(len);
	if (need > rest) {
		need += rest;
	}
	if (r->size - (r->own - r->peer) < need &&
		(!refresh_tail(r) || r->size - (r->own - r->peer) < need)) {
		return NULL;
	}
	if (need > rest && rest < REC_SIZE + padded(len)) {
		struct shm_ring_rec filler = {rest - REC_SIZE, SHM_RING_FILLER};

		memcpy(r->data + at, &filler, sizeof filler);
		r->own += rest;
		at = 0;
	}
	memcpy(r->data + at, &rec, sizeof rec);
	r->last = r->own;
	r->last_len = len;
	r->own += REC_SIZE + padded(len);
	return r->data + at + REC_SIZE;
}

void
shm_ring_trim(struct shm_ring *r, uint32_t len)
{
	struct shm_ring_rec rec;

	/* The record is found by private members: its header is in the peer's hands. */
	if (r->own == r->public || len > r->last_len) {
		return;
	}
	memcpy(&rec, r->data + (r->last & r->mask), sizeof rec);
	rec.len = len;
	memcpy(r->data + (r->last & r->mask), &rec, sizeof rec);
	r->last_len = len;
	r->own = r->last + REC_SIZE + padded(len);
}

void
shm_ring_publish(struct shm_ring *r)
{
	if (r->broken || r->public == r->own) {
		return;
	}
	r->public = r->own;
	RACE_POINT();
	atomic_store_explicit(&r->shared->head, r->own, memory_order_release);
	/* Pairs with the fence of shm_ring_sleep(): either we see asleep, or it sees the record. */
	atomic_thread_fence(memory_order_seq_cst);
	if (r->event_fd >= 0 && atomic_load_explicit(&r->shared->asleep, memory_order_relaxed)) {
		uint64_t one = 1;

		RACE_POINT();
		if (write(r->event_fd, &one, sizeof one) < 0) {
			/* EAGAIN: it is full of kicks already. */
		}
	}
}

uint32_t
shm_ring_used(struct shm_ring *r)
{
	if (!r->broken) {
		refresh_tail(r);
	}
	return r->own - r->peer;
}

/* Consumer: whether a record is there. 0, -EAGAIN or -EPROTO. */
static int
look(struct shm_ring *r)
{
	uint32_t head;

	if (r->broken) {
		return -EPROTO;
	}
	if (r->own != r->peer) {
		return 0;
	}
	head = atomic_load_explicit(&r->shared->head, memory_order_acquire);
	/* No further than what was given back allows. */
	if (head - r->own > r->size - (r->own - r->public) || (head & 7)) {
		r->broken = true;
		return -EPROTO;
	}
	r->peer = head;
	RACE_POINT();
	return r->own == head ? -EAGAIN : 0;
}

int
shm_ring_read(struct shm_ring *r, void *buf, uint32_t capacity, uint32_t *kind)
{
	struct shm_ring_rec rec;
	uint32_t at, whole;
	int rc;

	while (!(rc = look(r))) {
		at = r->own & r->mask;
		/* Copied once: the peer may change it under us. */
		memcpy(&rec, r->data + at, sizeof rec);
		if (rec.len > r->size - REC_SIZE) {
			r->broken = true;
			return -EPROTO;
		}
		whole = REC_SIZE + padded(rec.len);
		if (whole > r->size - at || whole > r->peer - r->own) {
			r->broken = true;
			return -EPROTO;
		}
		r->own += whole;
		if (rec.kind == SHM_RING_FILLER) {
			/* Only at the end of the data: fillers without end would keep us here. */
			if (whole != r->size - at || at == 0) {
				r->broken = true;
				return -EPROTO;
			}
			continue;
		}
		if (rec.len > capacity) {
			return -EMSGSIZE;
		}
		RACE_POINT();
		memcpy(buf, r->data + at + REC_SIZE, rec.len);
		*kind = rec.kind;
		return (int)rec.len;
	}
	return rc;
}

void
shm_ring_release(struct shm_ring *r)
{
	if (!r->broken && r->public != r->own) {
		r->public = r->own;
		RACE_POINT();
		atomic_store_explicit(&r->shared->tail, r->own, memory_order_release);
	}
}

bool
shm_ring_sleep(struct shm_ring *r)
{
	int rc;

	if (r->broken) {
		return true;
	}
	shm_ring_release(r);
	atomic_store_explicit(&r->shared->asleep, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	rc = look(r);
	RACE_POINT();
	if (rc == -EAGAIN) {
		return true;
	}
	atomic_store_explicit(&r->shared->asleep, 0, memory_order_relaxed);
	return false;
}

void
shm_ring_woken(struct shm_ring *r)
{
	uint64_t kicks;

	if (r->shared) {
		atomic_store_explicit(&r->shared->asleep, 0, memory_order_relaxed);
	}
	RACE_POINT();
	if (r->event_fd >= 0 && read(r->event_fd, &kicks, sizeof kicks) < 0) {
		/* EAGAIN: nobody kicked. */
	}
}

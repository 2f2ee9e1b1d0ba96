/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared-memory ring: records from one producer to one consumer, in another process.
 *
 * What:     a byte ring of a power of two in a sealed memfd: a header page, then the data. A record
 *           is an 8-byte record header and its bytes, padded to a multiple of 8, never split: a
 *           filler record takes the rest at the end of the data.
 * Threads:  one producing and one consuming thread. The producer's index and the consumer's stand
 *           on cache lines of their own; each side keeps its own index and a cached copy of the
 *           peer's in private memory.
 * Trust:    the peer may write anything into the shared part at any time. Own indices are never
 *           read back from it; a peer's index that is not within [own - size, own] breaks the ring
 *           for good (-EPROTO). A consumer copies a record out before it looks at it.
 * Sleep:    a consumer that finds nothing calls shm_ring_sleep(): it sets @asleep, fences, looks
 *           again. A producer fences after publishing, and kicks the eventfd only when @asleep.
 * Order:    index stores are release, loads acquire; the sleep hand-shake needs the two fences
 *           (store-load order), nothing else does.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"

struct weft_error;

#define SHM_RING_MAGIC 0x474e5257u /* "WRNG" */
#define SHM_RING_MIN_SIZE (1u << 12)
#define SHM_RING_MAX_SIZE (1u << 28)
#define SHM_RING_HEADER_SIZE 4096

/* In shared memory. Indices count bytes and wrap at 2^32. */
struct shm_ring_shared {
	uint32_t magic;
	uint32_t size;                      /* of the data; told again, and checked, at attach */
	_Alignas(64) _Atomic uint32_t head; /* written by the producer */
	_Alignas(64) _Atomic uint32_t tail; /* written by the consumer */
	_Atomic uint32_t asleep;            /* written by the consumer */
};

struct shm_ring_rec {
	uint32_t len;  /* bytes behind this header, without padding */
	uint32_t kind; /* the user's; SHM_RING_FILLER is ours */
};
#define SHM_RING_FILLER 0xffffffffu

/* One side of a ring; private to its thread. */
struct shm_ring {
	struct shm_ring_shared *shared;
	uint8_t *data;
	uint32_t size;
	uint32_t mask;
	uint32_t own;    /* producer: written up to here; consumer: read up to here */
	uint32_t public; /* producer: published up to here; consumer: given back up to here */
	uint32_t last;   /* producer: where the last reserved record begins */
	uint32_t last_len;
	uint32_t peer; /* last seen index of the peer */
	int event_fd;  /* the consumer's; not owned; -1: none */
	bool broken;   /* the peer wrote nonsense */
	size_t map_size;
};

/* Makes a sealed memfd for a ring of @size bytes of data (a power of two). Returns the descriptor,
 * which the caller closes (the mapping outlives it), or a negative errno. */
int shm_ring_memfd(uint32_t size);

/* Maps one side. @size: what the ring must have (from the hand-shake). Checks the seals, so that
 * the peer cannot shrink it under us. @event_fd: see above; stays the caller's. */
bool shm_ring_attach(struct shm_ring *r, int memfd, uint32_t size, int event_fd,
	struct weft_error *err) WEFT_MUST_CHECK;
/* The same over plain memory of SHM_RING_HEADER_SIZE + @size bytes, for threads of one process: both
 * sides before either is used. */
void shm_ring_init_private(struct shm_ring *r, void *memory, uint32_t size, int event_fd);
void shm_ring_detach(struct shm_ring *r);

/* Producer: room for a record of @len bytes (less than half of the ring), 8-aligned, to be filled
 * before the next call. NULL: full (or broken). */
void *shm_ring_reserve(struct shm_ring *r, uint32_t kind, uint32_t len);
/* Shortens the last reserved record, which is not published yet, to @len bytes. */
void shm_ring_trim(struct shm_ring *r, uint32_t len);
/* Makes all reserved records visible and wakes the consumer if it sleeps. */
void shm_ring_publish(struct shm_ring *r);
/* Bytes that are in the ring, as far as the producer knows. */
uint32_t shm_ring_used(struct shm_ring *r);

/* Consumer: copies the next record to @buf. Returns its length (0 is a length) and its kind; -EAGAIN
 * when the ring is empty; -EMSGSIZE (the record is skipped) when it is longer than @capacity;
 * -EPROTO when the peer broke the ring. The space is given back by shm_ring_release(). */
int shm_ring_read(struct shm_ring *r, void *buf, uint32_t capacity, uint32_t *kind);
/* Gives what was read back to the producer. */
void shm_ring_release(struct shm_ring *r);
/* Gives back what was read and announces sleep. Returns false, and withdraws it, when a record has
 * come or the ring has just been found broken: read on. */
bool shm_ring_sleep(struct shm_ring *r);
/* After waking: withdraws the announcement and drains the eventfd. */
void shm_ring_woken(struct shm_ring *r);

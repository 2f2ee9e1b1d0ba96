/* SPDX-License-Identifier: Apache-2.0
 *
 * Capture, quick refusals: most packets are not wanted, for the same few reasons.
 *
 * What:    what a filter looked at in a packet that it refused, and what it found, as one masked
 *          comparison of 32 bytes and a few that must differ. Whatever fits that is refused by the same path
 *          through the program: it need not be run.
 * Why:     a program of a dozen instructions costs a worker 40 cycles a packet, this 6.
 * Threads: a worker's own, for each capture.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lib/compiler.h"
#include "lib/packet.h"

struct bpf_insn;

#define CAPTURE_QUICK_FROM 12u /* first byte that is compared: the Ethernet type */
#define CAPTURE_QUICK_WORDS 4u
#define CAPTURE_QUICK_LEN (CAPTURE_QUICK_FROM + 8 * CAPTURE_QUICK_WORDS)
#define CAPTURE_QUICK_DIFFERENT 3u
#define CAPTURE_QUICK_PATHS 4u

/* A big-endian number of 1, 2 or 4 bytes, of which some bits are not as in @value. */
struct capture_quick_different {
	uint16_t at;
	uint16_t size;
	uint32_t mask, value;
};

struct capture_quick_path {
	uint64_t mask[CAPTURE_QUICK_WORDS], value[CAPTURE_QUICK_WORDS];
	uint32_t need; /* bytes that the packet must have; UINT32_MAX: no path */
	uint32_t n_different;
	struct capture_quick_different different[CAPTURE_QUICK_DIFFERENT];
};

struct capture_quick {
	struct capture_quick_path paths[CAPTURE_QUICK_PATHS];
	uint32_t next;     /* to be replaced */
	uint32_t n_tries;  /* packets that nothing fitted since one was learned */
	uint32_t patience; /* of them before the next is learned */
};

void capture_quick_init(struct capture_quick *q);

/* A packet that the filter has refused and no path fitted: learns from it now and then. */
void capture_quick_learn(struct capture_quick *q, const struct bpf_insn *insns, uint32_t n_insns,
	const struct packet *p);

static inline uint32_t
capture_quick_load(const uint8_t *data, uint32_t at, uint32_t size)
{
	uint32_t word;
	uint16_t half;

	switch (size) {
	case 4:
		memcpy(&word, data + at, 4);
		return __builtin_bswap32(word);
	case 2:
		memcpy(&half, data + at, 2);
		return __builtin_bswap16(half);
	default:
		return data[at];
	}
}

static inline bool
capture_quick_fits(const struct capture_quick_path *path, const struct packet *p)
{
	const uint8_t *data = p->data;
	uint64_t wrong = 0;

	if (p->head_len < path->need) {
		return false;
	}
	for (unsigned i = 0; i < CAPTURE_QUICK_WORDS; i++) {
		uint64_t word;

		memcpy(&word, data + CAPTURE_QUICK_FROM + 8 * i, 8);
		wrong |= (word & path->mask[i]) ^ path->value[i];
	}
	if (wrong) {
		return false;
	}
	for (unsigned i = 0; i < path->n_different; i++) {
		const struct capture_quick_different *d = &path->different[i];

		if ((capture_quick_load(data, d->at, d->size) & d->mask) == d->value) {
			return false;
		}
	}
	return true;
}

/* Whether the filter refuses the packet for sure. */
static inline bool
capture_quick_refuses(const struct capture_quick *q, const struct packet *p)
{
	for (unsigned i = 0; i < CAPTURE_QUICK_PATHS; i++) {
		if (capture_quick_fits(&q->paths[i], p)) {
			return true;
		}
	}
	return false;
}

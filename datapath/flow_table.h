/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow table: every installed flow, found by tuple-space search in its input port's classifier.
 *
 * What:     slots of fixed number and type; a flow is {slot, generation}. Input port and
 *           recirculation id are exact in every flow, so that each input port has a classifier of
 *           its own: hash tables of flows, at most FLOW_MAX_PROBES (subtable.c).
 * Threads:  workers look up without locks, online in RCU. The tables thread is the only writer.
 * Lifetime: slots are type-stable. A removed flow is unlinked, waits a grace period
 *           (flow_table_run()), then its final counters are taken, its memory and slot reused.
 *           It is the grace period that makes this safe; the live word only refuses stale cache
 *           entries early.
 * Growth:   a subtable's hash table doubles by linking its flows a second time: each flow has two
 *           next links, used by turns; the next doubling waits for the last one's grace period.
 * Limits:   max_flows slots, of which each input port finds its part free (-ENOSPC to those that have
 *           more); FLOW_MASKS_PER_PORT masks an input port, beyond which a put returns -EDQUOT, or
 *           is narrowed: taken under an installed mask that has all its bits, else under the full
 *           mask of the packet's blocks. -EDQUOT also where too many flows would meet in one chain.
 * Live mask: the union of the masks of an input port's flows, the key of the workers' caches.
 *           It grows at once and shrinks at most every LIVE_SHRINK_MS; the one before it is kept
 *           for LIVE_OLD_MS, so that caches keep hitting while they move over.
 */
#pragma once

#include <rte_prefetch.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lib/compiler.h"
#include "lib/dp_action.h"
#include "lib/flow_key.h"
#include "lib/packet_parse.h"
#include "lib/stats_region.h"

#define FLOW_MASKS_PER_PORT 64u
#define FLOW_MASKS_IN_ALL 4096u /* of all ports; beyond, each has FLOW_MASKS_GRANTED */
#define FLOW_MASKS_GRANTED 8u
#define FLOW_MAX_PROBES 16u /* hash tables that a miss looks into */
#define LIVE_SHRINK_MS 10000u
#define LIVE_OLD_MS 1000u
#define FLOW_SLOT_NONE UINT32_MAX

struct flow_table; /* opaque */
struct port_flows; /* an input port's classifier */

/* A mask, shared by the flows of one subtable. */
struct table_mask {
	uint8_t blocks;
	uint8_t depth;    /* enum parse_depth */
	uint64_t words[]; /* FLOW_BLOCK_WORDS for each block of blocks, in order */
};

/* What a flow does, replaced as a whole. */
struct action_program {
	uint32_t size;        /* bytes of actions */
	uint32_t single_port; /* the list is one plain output to it; UINT32_MAX: more */
	uint8_t depth;        /* enum parse_depth that the actions need */
	uint8_t shape;        /* enum action_shape */
	uint8_t zero[2];
	uint32_t last_edit; /* behind this byte of the list nothing writes to the packet */
	uint8_t actions[];  /* validated */
};

struct flow {
	/* What lookups touch; what is the writer's alone stands elsewhere. */
	_Atomic uint32_t live; /* generation while it may be used; 0: not */
	uint32_t slot;
	_Atomic(struct action_program *) program;
	const struct table_mask *mask;
	uint64_t *more; /* masked words of the blocks behind the first, or NULL */
	uint16_t in_port;
	uint8_t first_block;
	uint8_t nonzero_blocks; /* those in which the masked key has a bit */
	uint32_t hash[2];       /* of the table that links it by next[0], next[1] */
	_Atomic uint32_t next[2];
	/* As in the program, where a packet finds it without another line; between two programs
	 * UINT32_MAX. */
	_Atomic uint32_t single_port;
	uint64_t created_ms;            /* the key begins a cache line */
	uint64_t key[FLOW_BLOCK_WORDS]; /* masked, of the first block of the mask */
};
_Static_assert(sizeof(struct flow) == 128, "two cache lines, a pair to the prefetcher");

/* What the caches of an input port hash. */
struct live_mask {
	struct flow_mask mask;
	uint8_t blocks;
	uint8_t depth; /* enum parse_depth: what masks and actions need */
	uint32_t version;
};

struct flow_table_counters {
	uint32_t n_flows, max_flows, n_masks;
	uint64_t puts, dels, narrowed, refused;
};

struct flow_table *flow_table_create(uint32_t max_flows, const struct stats_region *stats);
/* After all workers have stopped. */
void flow_table_destroy(struct flow_table *t);

/* Worker (online): the flow that matches, or NULL. @present: the key's blocks, parsed in full
 * depth of the port's live mask. */
struct flow *flow_table_find(const struct flow_table *t, uint16_t in_port,
	const struct flow_key *key, uint8_t present) WEFT_REQUIRES(weft_worker);

/* Worker (online): what to hash for packets of @in_port; NULL: it has no flows. @old: the live mask
 * before, while that should still be tried, else NULL. */
const struct live_mask *flow_table_live_mask(const struct flow_table *t, uint16_t in_port,
	uint64_t now_ms, const struct live_mask **old) WEFT_REQUIRES(weft_worker);

static inline struct flow *
flow_table_slot(struct flow *flows, uint32_t slot)
{
	return &flows[slot];
}

/* All slots; for caches, which check what they find. */
struct flow *flow_table_slots(const struct flow_table *t);

typedef uint64_t flow_lanes __attribute__((vector_size(16), aligned(8), may_alias));

/* Where a block of a key, under its mask, differs from what is wanted. Written out: at -O2 compilers leave a loop
 * of four, which takes twice as long. */
static inline flow_lanes
flow_block_differs(const uint64_t *in, const uint64_t *bits, const uint64_t *want)
{
	const flow_lanes *key = (const void *)in, *mask = (const void *)bits;
	const flow_lanes *value = (const void *)want;

	_Static_assert(4 * sizeof *key == FLOW_BLOCK_SIZE, "a block");
	return (((key[0] & mask[0]) ^ value[0]) | ((key[1] & mask[1]) ^ value[1])) |
	       (((key[2] & mask[2]) ^ value[2]) | ((key[3] & mask[3]) ^ value[3]));
}

/* Whether a key matches a flow, under the flow's mask. */
static inline bool
flow_matches(const struct flow *f, const struct flow_key *key, uint8_t present)
{
	const struct table_mask *m = f->mask;
	const uint64_t *bits = m->words, *want = f->key;
	unsigned blocks = m->blocks;
	flow_lanes differ = {0};

	if (WEFT_UNLIKELY(f->nonzero_blocks & ~present)) {
		return false;
	}
	for (;;) {
		unsigned b = (unsigned)__builtin_ctz(blocks);

		if (WEFT_LIKELY(present & FLOW_BLOCK(b))) {
			differ |= flow_block_differs(key->words + b * FLOW_BLOCK_WORDS, bits, want);
		}
		blocks &= blocks - 1;
		if (!blocks) {
			return !(differ[0] | differ[1]);
		}
		bits += FLOW_BLOCK_WORDS;
		want = b == f->first_block ? f->more : want + FLOW_BLOCK_WORDS;
	}
}

/* --- tables thread ---------------------------------------------------------------------------------- */

struct flow_put {
	const struct flow_key *key; /* not masked; absent blocks zero */
	uint8_t key_blocks;
	const struct flow_mask *mask;
	uint16_t flags;      /* enum dp_put_flags */
	const void *actions; /* validated */
	size_t actions_size;
	uint64_t epoch;
	uint64_t now_ms;
};

struct flow_put_result {
	struct dp_handle flow;
	bool narrowed;
	struct flow_mask mask; /* that was taken, when narrowed */
};

/* 0 or -EEXIST (the flow is named), -ENOENT, -EDQUOT, -ENOSPC. */
int flow_table_put(struct flow_table *t, const struct flow_put *put, struct flow_put_result *result)
	WEFT_REQUIRES(weft_tables);

/* Unlinks a flow; @user comes back through the callback of flow_table_run(). -ESTALE: not there. */
int flow_table_del(struct flow_table *t, struct dp_handle flow, uint64_t user)
	WEFT_REQUIRES(weft_tables);

/* Unlinks all flows of an input port; they pass silently. */
void flow_table_flush_port(struct flow_table *t, uint16_t in_port) WEFT_REQUIRES(weft_tables);

typedef void flow_deleted_fn(
	struct dp_handle flow, const struct flow_stats *final, uint64_t user, void *arg);

/* Reuses what has passed its grace period, calling @deleted for flows that flow_table_del()
 * unlinked, in order; shrinks live masks. Returns whether something still waits. */
bool flow_table_run(struct flow_table *t, uint64_t now_ms, flow_deleted_fn *deleted, void *arg)
	WEFT_REQUIRES(weft_tables);

/* --- listing: tables thread, or a reader that is online --------------------------------------------- */

struct flow_info {
	struct dp_handle flow;
	uint16_t in_port;
	struct flow_key key;
	struct flow_mask mask;
	uint8_t blocks;
	uint64_t epoch, created_ms;
	const struct action_program *program; /* borrowed until quiescent */
};

/* The first flow at or behind @slot; false: none. @next: where to go on. */
bool flow_table_list(
	const struct flow_table *t, uint32_t slot, struct flow_info *info, uint32_t *next);
void flow_table_read_counters(const struct flow_table *t, struct flow_table_counters *counters);
/* Masks and flows of an input port, and a copy of its live mask. False: it has no classifier. */
bool flow_table_port_info(const struct flow_table *t, uint16_t in_port, uint32_t *n_masks,
	uint32_t *n_flows, struct flow_mask *live);

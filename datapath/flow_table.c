/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow table.
 *
 * Who may still hold a flow that was unlinked: a worker in the middle of a burst, by a chain, a
 * subtable or its cache. All of them let go before they are next quiescent; so the slot, its key
 * words and its program are reused one grace period after the unlinking, and no earlier.
 */
#include "datapath/flow_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "datapath/action.h"
#include "datapath/key_hash.h"
#include "datapath/object.h"
#include "datapath/rcu.h"
#include "lib/alloc.h"
#include "lib/dp_protocol.h"

#define MIN_BUCKETS 16u
#define N_PORTS (DP_PORT_MAX + 1)
#define NO_USER UINT64_MAX

/* A subtable's hash table: heads of chains, slot numbers. */
struct buckets {
	uint32_t mask;
	uint8_t link; /* which of a flow's two next links chains it here */
	_Atomic uint32_t heads[];
};

struct subtable {
	_Atomic(struct buckets *) buckets;
	uint32_t n_flows;
	uint64_t grow_token;    /* of the last growth; 0: none to wait for */
	struct table_mask mask; /* last: flexible */
};

/* Published as a whole when masks come or go. */
struct subtable_list {
	uint32_t n;
	struct subtable *subtables[];
};

struct port_flows {
	_Atomic(struct subtable_list *) list;
	_Atomic(struct live_mask *) live;
	_Atomic(struct live_mask *) old;
	_Atomic uint64_t changed_ms;
	_Atomic uint32_t n_flows;
	uint64_t shrink_ms; /* when the live mask may shrink next */
	bool shrinkable;    /* masks have gone since */
	uint32_t live_version;
};

/* Memory or a slot that waits for its grace period; a FIFO. */
struct retired {
	struct retired *next;
	uint64_t token;
	void *memory;  /* to be freed, or NULL */
	uint32_t slot; /* to be reused, or FLOW_SLOT_NONE */
	bool told;
	uint64_t user;
};

/* What of a slot only the writer uses, but for the epoch, which listings read. */
struct flow_own {
	_Atomic uint64_t epoch; /* of the agent that put the flow last */
	uint32_t gen;           /* of the flow, or of the one before */
	uint32_t free_next;
};

struct flow_table {
	struct flow *flows;
	struct flow_own *own; /* of each slot */
	uint32_t max_flows;
	_Atomic uint32_t n_fresh; /* slots below have been used once; listings read it */
	uint32_t free_head;
	const struct stats_region *stats;
	_Atomic(struct port_flows *) ports[N_PORTS];
	struct retired *retired_head, **retired_tail;
	uint16_t *used_ports; /* ports with a classifier, for shrinking */
	uint32_t n_used_ports, max_used_ports;
	_Atomic uint32_t n_flows, n_masks;
	uint64_t puts, dels, narrowed, refused;
};

static void retire(struct flow_table *t, void *memory, uint32_t slot, bool told, uint64_t user);

/* Zeroed memory for all slots, touched as they are used; NULL: none. */
static void *
map_slots(uint32_t n, size_t size)
{
	void *memory = mmap(NULL, n * size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED) {
		return NULL;
	}
	madvise(memory, n * size, MADV_HUGEPAGE);
	return memory;
}

static void
unmap_slots(void *memory, uint32_t n, size_t size)
{
	if (memory) {
		munmap(memory, n * size);
	}
}

struct flow_table *
flow_table_create(uint32_t max_flows, const struct stats_region *stats)
{
	struct flow_table *t = xcalloc(1, sizeof *t);

	key_hash_init();
	t->flows = map_slots(max_flows, sizeof *t->flows);
	t->own = map_slots(max_flows, sizeof *t->own);
	if (!t->flows || !t->own) {
		unmap_slots(t->flows, max_flows, sizeof *t->flows);
		unmap_slots(t->own, max_flows, sizeof *t->own);
		free(t);
		return NULL;
	}
	t->max_flows = max_flows;
	t->free_head = FLOW_SLOT_NONE;
	t->stats = stats;
	t->retired_tail = &t->retired_head;
	return t;
}

static void
port_flows_free(struct port_flows *pf)
{
	struct subtable_list *list = pf ? pf->list : NULL;

	for (uint32_t i = 0; list && i < list->n; i++) {
		free(list->subtables[i]->buckets);
		free(list->subtables[i]);
	}
	if (pf) {
		free(list);
		free(pf->live);
		free(pf->old);
		free(pf);
	}
}

void
flow_table_destroy(struct flow_table *t)
{
	struct retired *r, *next;

	if (!t) {
		return;
	}
	for (r = t->retired_head; r; r = next) {
		next = r->next;
		free(r->memory);
		free(r);
	}
	for (uint32_t i = 0; i < t->n_fresh; i++) {
		free(t->flows[i].program);
		free(t->flows[i].more);
	}
	for (uint32_t i = 0; i < t->n_used_ports; i++) {
		port_flows_free(t->ports[t->used_ports[i]]);
	}
	free(t->used_ports);
	unmap_slots(t->flows, t->max_flows, sizeof *t->flows);
	unmap_slots(t->own, t->max_flows, sizeof *t->own);
	free(t);
}

struct flow *
flow_table_slots(const struct flow_table *t)
{
	return t->flows;
}

/* --- lookup ------------------------------------------------------------------------------------------- */

static struct flow *
subtable_find(const struct flow_table *t, const struct subtable *s, const struct flow_key *key,
	uint8_t present)
{
	const struct buckets *b = atomic_load_explicit(&s->buckets, memory_order_acquire);
	uint32_t hash = key_hash_masked(key, present, s->mask.blocks, s->mask.words);
	uint32_t slot = atomic_load_explicit(&b->heads[hash & b->mask], memory_order_acquire);

	while (slot != FLOW_SLOT_NONE) {
		struct flow *f = &t->flows[slot];

		if (f->hash == hash && f->mask == &s->mask && flow_matches(f, key, present)) {
			return f;
		}
		slot = atomic_load_explicit(&f->next[b->link], memory_order_acquire);
	}
	return NULL;
}

struct flow *
flow_table_find(
	const struct flow_table *t, uint16_t in_port, const struct flow_key *key, uint8_t present)
{
	const struct port_flows *pf =
		atomic_load_explicit(&t->ports[in_port], memory_order_acquire);
	const struct subtable_list *list =
		pf ? atomic_load_explicit(&pf->list, memory_order_acquire) : NULL;

	for (uint32_t i = 0; list && i < list->n; i++) {
		struct flow *f = subtable_find(t, list->subtables[i], key, present);

		if (f) {
			return f;
		}
	}
	return NULL;
}

const struct live_mask *
flow_table_live_mask(
	const struct flow_table *t, uint16_t in_port, uint64_t now_ms, const struct live_mask **old)
{
	const struct port_flows *pf =
		atomic_load_explicit(&t->ports[in_port], memory_order_acquire);

	*old = NULL;
	if (!pf) {
		return NULL;
	}
	if (WEFT_UNLIKELY(now_ms - atomic_load_explicit(&pf->changed_ms, memory_order_relaxed) <
			  LIVE_OLD_MS)) {
		*old = atomic_load_explicit(&pf->old, memory_order_acquire);
	}
	return atomic_load_explicit(&pf->live, memory_order_acquire);
}

/* --- live masks --------------------------------------------------------------------------------------- */

static void
publish_live(struct flow_table *t, struct port_flows *pf, const struct flow_mask *mask,
	enum parse_depth depth, uint64_t now_ms)
{
	struct live_mask *fresh = xmalloc(sizeof *fresh), *was = pf->live, *older = pf->old;

	fresh->mask = *mask;
	fresh->blocks = flow_mask_blocks(mask);
	fresh->depth = (uint8_t)depth;
	fresh->version = ++pf->live_version;
	atomic_store_explicit(&pf->old, was, memory_order_release);
	atomic_store_explicit(&pf->changed_ms, now_ms, memory_order_relaxed);
	atomic_store_explicit(&pf->live, fresh, memory_order_release);
	retire(t, older, FLOW_SLOT_NONE, false, 0);
}

static void
grow_live(struct flow_table *t, struct port_flows *pf, const struct flow_mask *mask,
	enum parse_depth depth, uint64_t now_ms)
{
	const struct live_mask *live = pf->live;
	struct flow_mask both = *mask;

	if (live && flow_mask_covers(mask, &live->mask) && depth <= live->depth) {
		return;
	}
	if (live) {
		flow_mask_union(&both, &live->mask);
		depth = WEFT_MAX(depth, (enum parse_depth)live->depth);
	}
	publish_live(t, pf, &both, depth, now_ms);
}

static void
mask_unpack(const struct table_mask *m, struct flow_mask *mask)
{
	flow_key_unpack(&mask->bits, (const uint8_t *)m->words, m->blocks);
}

/* Takes the union of what is installed, if masks have gone. Actions' depth is kept: it is a matter
 * of speed alone, and finding it would walk all flows. */
static void
shrink_live(struct flow_table *t, struct port_flows *pf, uint64_t now_ms)
{
	const struct subtable_list *list = pf->list;
	struct flow_mask both = {0}, one;

	if (!pf->shrinkable || now_ms < pf->shrink_ms) {
		return;
	}
	pf->shrinkable = false;
	pf->shrink_ms = now_ms + LIVE_SHRINK_MS;
	for (uint32_t i = 0; list && i < list->n; i++) {
		mask_unpack(&list->subtables[i]->mask, &one);
		flow_mask_union(&both, &one);
	}
	if (pf->live && !flow_mask_equal(&both, &((struct live_mask *)pf->live)->mask)) {
		publish_live(t, pf, &both,
			list && list->n ? ((struct live_mask *)pf->live)->depth : PARSE_L2, now_ms);
	}
}

/* --- subtables ---------------------------------------------------------------------------------------- */

static struct port_flows *
port_flows_get(struct flow_table *t, uint16_t in_port)
{
	struct port_flows *pf = t->ports[in_port];

	if (!pf) {
		pf = xcalloc(1, sizeof *pf);
		if (t->n_used_ports == t->max_used_ports) {
			t->max_used_ports = t->max_used_ports ? 2 * t->max_used_ports : 64;
			t->used_ports = xrealloc(
				t->used_ports, t->max_used_ports * sizeof t->used_ports[0]);
		}
		t->used_ports[t->n_used_ports++] = in_port;
		atomic_store_explicit(&t->ports[in_port], pf, memory_order_release);
	}
	return pf;
}

static struct buckets *
buckets_create(uint32_t n, uint8_t link)
{
	struct buckets *b = xmalloc(sizeof *b + n * sizeof b->heads[0]);

	b->mask = n - 1;
	b->link = link;
	for (uint32_t i = 0; i < n; i++) {
		atomic_init(&b->heads[i], FLOW_SLOT_NONE);
	}
	return b;
}

static struct subtable *
subtable_of(const struct port_flows *pf, const struct flow_mask *mask, uint8_t blocks)
{
	const struct subtable_list *list = pf->list;

	for (uint32_t i = 0; list && i < list->n; i++) {
		struct subtable *s = list->subtables[i];
		struct flow_mask have;

		if (s->mask.blocks == blocks) {
			mask_unpack(&s->mask, &have);
			if (flow_mask_equal(&have, mask)) {
				return s;
			}
		}
	}
	return NULL;
}

static struct subtable *
subtable_add(
	struct flow_table *t, struct port_flows *pf, const struct flow_mask *mask, uint8_t blocks)
{
	struct subtable_list *was = pf->list, *list;
	uint32_t n = was ? was->n : 0;
	struct subtable *s = xcalloc(1, sizeof *s + flow_blocks_size(blocks));

	s->mask.blocks = blocks;
	s->mask.depth = (uint8_t)parse_depth_of(mask);
	flow_key_pack((uint8_t *)s->mask.words, &mask->bits, blocks);
	atomic_init(&s->buckets, buckets_create(MIN_BUCKETS, 0));
	list = xmalloc(sizeof *list + (n + 1) * sizeof list->subtables[0]);
	list->n = n + 1;
	if (n) {
		memcpy(list->subtables, was->subtables, n * sizeof list->subtables[0]);
	}
	list->subtables[n] = s;
	atomic_store_explicit(&pf->list, list, memory_order_release);
	retire(t, was, FLOW_SLOT_NONE, false, 0);
	atomic_fetch_add_explicit(&t->n_masks, 1, memory_order_relaxed);
	return s;
}

static void
subtable_remove(struct flow_table *t, struct port_flows *pf, struct subtable *s)
{
	struct subtable_list *was = pf->list, *list;
	uint32_t n = 0;

	list = xmalloc(sizeof *list + was->n * sizeof list->subtables[0]);
	for (uint32_t i = 0; i < was->n; i++) {
		if (was->subtables[i] != s) {
			list->subtables[n++] = was->subtables[i];
		}
	}
	list->n = n;
	atomic_store_explicit(&pf->list, list, memory_order_release);
	retire(t, was, FLOW_SLOT_NONE, false, 0);
	retire(t, s->buckets, FLOW_SLOT_NONE, false, 0);
	retire(t, s, FLOW_SLOT_NONE, false, 0);
	atomic_fetch_sub_explicit(&t->n_masks, 1, memory_order_relaxed);
	pf->shrinkable = true;
}

static void
link_flow(struct flow_table *t, struct buckets *b, struct flow *f)
{
	_Atomic uint32_t *head = &b->heads[f->hash & b->mask];

	(void)t;
	atomic_store_explicit(&f->next[b->link], atomic_load_explicit(head, memory_order_relaxed),
		memory_order_relaxed);
	atomic_store_explicit(head, f->slot, memory_order_release);
}

static void
unlink_flow(struct flow_table *t, struct buckets *b, struct flow *f)
{
	_Atomic uint32_t *at = &b->heads[f->hash & b->mask];

	while (*at != f->slot) {
		assert(*at != FLOW_SLOT_NONE);
		at = &t->flows[*at].next[b->link];
	}
	/* Readers that stand on f go on by its own link, which stays. */
	atomic_store_explicit(at, atomic_load_explicit(&f->next[b->link], memory_order_relaxed),
		memory_order_release);
}

/* Doubles a subtable that is fuller than its buckets, if the last doubling has been seen by all. */
static void
subtable_grow(struct flow_table *t, struct subtable *s)
{
	struct buckets *was = s->buckets, *b;

	if (s->n_flows <= was->mask || (s->grow_token && !rcu_passed(s->grow_token))) {
		return;
	}
	b = buckets_create((was->mask + 1) * 4, !was->link);
	for (uint32_t i = 0; i <= was->mask; i++) {
		for (uint32_t slot = was->heads[i]; slot != FLOW_SLOT_NONE;
			slot = t->flows[slot].next[was->link]) {
			link_flow(t, b, &t->flows[slot]);
		}
	}
	atomic_store_explicit(&s->buckets, b, memory_order_release);
	s->grow_token = rcu_start();
	retire(t, was, FLOW_SLOT_NONE, false, 0);
}

/* --- put ----------------------------------------------------------------------------------------------- */

static uint32_t
take_slot(struct flow_table *t)
{
	uint32_t slot = t->free_head;

	if (slot != FLOW_SLOT_NONE) {
		t->free_head = t->own[slot].free_next;
	} else if (t->n_fresh < t->max_flows) {
		slot = atomic_fetch_add_explicit(&t->n_fresh, 1, memory_order_relaxed);
	}
	return slot;
}

/* A worker that reads single_port just before sends as the old program did, else it reads the program. */
static void
publish_program(struct flow *f, const struct flow_put *put)
{
	struct action_program *program = action_program_create(put->actions, put->actions_size);

	objects_ref(put->actions, put->actions_size);
	atomic_store_explicit(&f->single_port, UINT32_MAX, memory_order_relaxed);
	atomic_store_explicit(&f->program, program, memory_order_release);
	atomic_store_explicit(&f->single_port, program->single_port, memory_order_relaxed);
}

static void
set_program(struct flow_table *t, struct flow *f, const struct flow_put *put)
{
	struct action_program *was = f->program;

	publish_program(f, put);
	objects_unref(was->actions, was->size);
	retire(t, was, FLOW_SLOT_NONE, false, 0);
}

static struct flow *
find_exact(const struct flow_table *t, const struct subtable *s, const struct flow_key *masked)
{
	const struct buckets *b = s->buckets;
	uint32_t hash = key_hash_masked(masked, FLOW_BLOCKS_ALL, s->mask.blocks, s->mask.words);

	for (uint32_t slot = b->heads[hash & b->mask]; slot != FLOW_SLOT_NONE;
		slot = t->flows[slot].next[b->link]) {
		struct flow *f = &t->flows[slot];

		if (f->hash == hash && f->mask == &s->mask &&
			flow_matches(f, masked, FLOW_BLOCKS_ALL)) {
			return f;
		}
	}
	return NULL;
}

/* 0 is no generation. */
static uint32_t
next_generation(struct flow_own *own, uint64_t epoch)
{
	atomic_store_explicit(&own->epoch, epoch, memory_order_relaxed);
	own->gen = own->gen == UINT32_MAX ? 1 : own->gen + 1;
	return own->gen;
}

/* Fills a fresh slot; nobody sees it yet. */
static void
flow_init(struct flow *f, uint32_t slot, const struct subtable *s, const struct flow_key *masked,
	const struct flow_put *put)
{
	uint8_t blocks = s->mask.blocks, packed[FLOW_KEY_SIZE];
	size_t size = flow_blocks_size(blocks);

	flow_key_pack(packed, masked, blocks);
	f->slot = slot;
	f->mask = &s->mask;
	f->first_block = (uint8_t)__builtin_ctz(blocks);
	f->in_port = (uint16_t)be32_to(masked->in_port);
	f->nonzero_blocks = flow_key_blocks(masked);
	f->hash = key_hash_masked(masked, FLOW_BLOCKS_ALL, blocks, s->mask.words);
	memcpy(f->key, packed, FLOW_BLOCK_SIZE);
	f->more = size > FLOW_BLOCK_SIZE ? xmemdup(packed + FLOW_BLOCK_SIZE, size - FLOW_BLOCK_SIZE)
					 : NULL;
	f->created_ms = put->now_ms;
	publish_program(f, put);
}

/* A mask under which a flow may go when the budget is used up: an installed one with all bits of the
 * one asked for, else everything that the packet has. */
static void
narrow_mask(const struct port_flows *pf, const struct flow_put *put, struct flow_mask *mask)
{
	const struct subtable_list *list = pf->list;
	uint8_t blocks;

	for (uint32_t i = 0; list && i < list->n; i++) {
		mask_unpack(&list->subtables[i]->mask, mask);
		if (flow_mask_covers(put->mask, mask)) {
			return;
		}
	}
	/* Blocks that the mask asks for and the packet lacks are matched as zero: in whole too, so that
	 * there are no more such masks than there are sets of blocks. */
	blocks = put->key_blocks | flow_mask_blocks(put->mask);
	memset(mask, 0, sizeof *mask);
	for (unsigned id = 0; id < FIELD_N; id++) {
		const struct field *f = field_get((enum field_id)id);

		if (!(f->flags & FIELD_PIPELINE) && id != FIELD_TUN_ID &&
			blocks & FLOW_BLOCK(f->block)) {
			field_mask_exact(f, mask);
		}
	}
	if (blocks & FLOW_BLOCK(0)) {
		mask->bits.tun_id_lo = UINT32_MAX;
	}
	/* Bits of no field. */
	flow_mask_union(mask, put->mask);
}

int
flow_table_put(struct flow_table *t, const struct flow_put *put, struct flow_put_result *result)
{
	struct port_flows *pf = port_flows_get(t, (uint16_t)be32_to(put->key->in_port));
	const struct subtable_list *list = pf->list;
	struct flow_mask mask = *put->mask;
	struct subtable *s = subtable_of(pf, &mask, flow_mask_blocks(&mask));
	struct flow_key masked;
	struct flow *f = NULL;
	uint32_t slot, gen;

	memset(result, 0, sizeof *result);
	if (!s && list && list->n >= FLOW_MASKS_PER_PORT && !(put->flags & DP_PUT_MODIFY)) {
		if (!(put->flags & DP_PUT_NARROW)) {
			t->refused++;
			return -EDQUOT;
		}
		narrow_mask(pf, put, &mask);
		s = subtable_of(pf, &mask, flow_mask_blocks(&mask));
		result->narrowed = true;
		result->mask = mask;
	}
	flow_key_mask(&masked, put->key, put->key_blocks, &mask);
	if (s) {
		f = find_exact(t, s, &masked);
	}
	if (f) {
		result->flow = (struct dp_handle){f->slot, t->own[f->slot].gen};
		if (put->flags & DP_PUT_EXCLUSIVE) {
			return -EEXIST;
		}
		set_program(t, f, put);
		atomic_store_explicit(&t->own[f->slot].epoch, put->epoch, memory_order_relaxed);
	} else {
		if (put->flags & DP_PUT_MODIFY) {
			return -ENOENT;
		}
		slot = take_slot(t);
		if (slot == FLOW_SLOT_NONE) {
			t->refused++;
			return -ENOSPC;
		}
		if (!s) {
			s = subtable_add(t, pf, &mask, flow_mask_blocks(&mask));
		}
		f = &t->flows[slot];
		flow_init(f, slot, s, &masked, put);
		gen = next_generation(&t->own[slot], put->epoch);
		stats_region_reset(t->stats, slot, gen);
		grow_live(t, pf, &mask,
			WEFT_MAX((enum parse_depth)s->mask.depth,
				(enum parse_depth)((struct action_program *)f->program)->depth),
			put->now_ms);
		atomic_store_explicit(&f->live, gen, memory_order_release);
		link_flow(t, s->buckets, f);
		s->n_flows++;
		atomic_fetch_add_explicit(&pf->n_flows, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&t->n_flows, 1, memory_order_relaxed);
		subtable_grow(t, s);
		result->flow = (struct dp_handle){slot, gen};
		t->narrowed += result->narrowed;
	}
	grow_live(t, pf, &mask, (enum parse_depth)((struct action_program *)f->program)->depth,
		put->now_ms);
	t->puts++;
	return 0;
}

/* --- del ----------------------------------------------------------------------------------------------- */

static struct subtable *
subtable_of_flow(const struct flow *f)
{
	return WEFT_CONTAINER_OF((struct table_mask *)f->mask, struct subtable, mask);
}

static void
remove_flow(struct flow_table *t, struct flow *f, bool told, uint64_t user)
{
	struct port_flows *pf = t->ports[f->in_port];
	const struct action_program *program = f->program;
	struct subtable *s = subtable_of_flow(f);

	atomic_store_explicit(&f->live, 0, memory_order_release);
	objects_unref(program->actions, program->size);
	unlink_flow(t, s->buckets, f);
	atomic_fetch_sub_explicit(&pf->n_flows, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&t->n_flows, 1, memory_order_relaxed);
	retire(t, NULL, f->slot, told, user);
	if (--s->n_flows == 0) {
		subtable_remove(t, pf, s);
	}
	t->dels++;
}

int
flow_table_del(struct flow_table *t, struct dp_handle flow, uint64_t user)
{
	struct flow *f;

	if (flow.slot >= t->n_fresh) {
		return -ESTALE;
	}
	f = &t->flows[flow.slot];
	if (dp_handle_is_none(flow) || f->live != flow.gen) {
		return -ESTALE;
	}
	remove_flow(t, f, true, user);
	return 0;
}

void
flow_table_flush_port(struct flow_table *t, uint16_t in_port)
{
	struct port_flows *pf = t->ports[in_port];

	while (pf && pf->list && ((struct subtable_list *)pf->list)->n) {
		struct subtable *s = ((struct subtable_list *)pf->list)->subtables[0];
		struct buckets *b = s->buckets;
		uint32_t left = s->n_flows;

		for (uint32_t i = 0; left && i <= b->mask; i++) {
			while (left && b->heads[i] != FLOW_SLOT_NONE) {
				left--;
				remove_flow(t, &t->flows[b->heads[i]], false, 0);
			}
		}
	}
}

static void
retire(struct flow_table *t, void *memory, uint32_t slot, bool told, uint64_t user)
{
	struct retired *r;

	if (!memory && slot == FLOW_SLOT_NONE) {
		return;
	}
	r = xmalloc(sizeof *r);
	*r = (struct retired){
		.token = rcu_start(), .memory = memory, .slot = slot, .told = told, .user = user};
	*t->retired_tail = r;
	t->retired_tail = &r->next;
}

bool
flow_table_run(struct flow_table *t, uint64_t now_ms, flow_deleted_fn *deleted, void *arg)
{
	struct retired *r;

	while ((r = t->retired_head) && rcu_passed(r->token)) {
		t->retired_head = r->next;
		if (!t->retired_head) {
			t->retired_tail = &t->retired_head;
		}
		free(r->memory);
		if (r->slot != FLOW_SLOT_NONE) {
			struct flow *f = &t->flows[r->slot];
			struct flow_stats final;

			struct dp_handle handle = {r->slot, t->own[r->slot].gen};

			stats_region_read(t->stats, handle.slot, handle.gen, &final);
			if (r->told) {
				deleted(handle, &final, r->user, arg);
			}
			free(f->program);
			free(f->more);
			f->program = NULL;
			f->more = NULL;
			t->own[r->slot].free_next = t->free_head;
			t->free_head = r->slot;
		}
		free(r);
	}
	for (uint32_t i = 0; i < t->n_used_ports; i++) {
		shrink_live(t, t->ports[t->used_ports[i]], now_ms);
	}
	return t->retired_head;
}

/* --- listing -------------------------------------------------------------------------------------------- */

bool
flow_table_list(const struct flow_table *t, uint32_t slot, struct flow_info *info, uint32_t *next)
{
	for (; slot < t->n_fresh; slot++) {
		const struct flow *f = &t->flows[slot];
		uint32_t gen = atomic_load_explicit(&f->live, memory_order_acquire);
		uint8_t packed[FLOW_KEY_SIZE];
		size_t size;

		if (!gen) {
			continue;
		}
		info->flow = (struct dp_handle){slot, gen};
		info->in_port = f->in_port;
		info->blocks = f->mask->blocks;
		size = flow_blocks_size(info->blocks);
		memcpy(packed, f->key, FLOW_BLOCK_SIZE);
		if (size > FLOW_BLOCK_SIZE) {
			memcpy(packed + FLOW_BLOCK_SIZE, f->more, size - FLOW_BLOCK_SIZE);
		}
		flow_key_unpack(&info->key, packed, info->blocks);
		mask_unpack(f->mask, &info->mask);
		info->epoch = atomic_load_explicit(&t->own[slot].epoch, memory_order_relaxed);
		info->created_ms = f->created_ms;
		info->program = atomic_load_explicit(&f->program, memory_order_acquire);
		*next = slot + 1;
		return true;
	}
	return false;
}

void
flow_table_read_counters(const struct flow_table *t, struct flow_table_counters *c)
{
	*c = (struct flow_table_counters){
		.n_flows = t->n_flows,
		.max_flows = t->max_flows,
		.n_masks = t->n_masks,
		.puts = t->puts,
		.dels = t->dels,
		.narrowed = t->narrowed,
		.refused = t->refused,
	};
}

bool
flow_table_port_info(const struct flow_table *t, uint16_t in_port, uint32_t *n_masks,
	uint32_t *n_flows, struct flow_mask *live)
{
	const struct port_flows *pf =
		atomic_load_explicit(&t->ports[in_port], memory_order_acquire);
	const struct subtable_list *list;
	const struct live_mask *mask;

	if (!pf) {
		return false;
	}
	list = atomic_load_explicit(&pf->list, memory_order_acquire);
	mask = atomic_load_explicit(&pf->live, memory_order_acquire);
	*n_masks = list ? list->n : 0;
	*n_flows = pf->n_flows;
	*live = mask ? mask->mask : (struct flow_mask){0};
	return true;
}

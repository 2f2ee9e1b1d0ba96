/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow table.
 *
 * Who may still hold a flow that was unlinked: a worker in the middle of a burst, by a chain, a
 * subtable or its cache. All of them let go before they are next quiescent; so the slot, its key
 * words and its program are reused one grace period after the unlinking, and no earlier.
 */
#include "datapath/flow_table_internal.h"

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
#include "lib/race_point.h"

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
		port_flows_destroy(t->ports[t->used_ports[i]]);
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

struct flow *
flow_table_find(
	const struct flow_table *t, uint16_t in_port, const struct flow_key *key, uint8_t present)
{
	const struct port_flows *pf =
		atomic_load_explicit(&t->ports[in_port], memory_order_acquire);
	const struct subtable_list *list =
		pf ? atomic_load_explicit(&pf->list, memory_order_acquire) : NULL;

	RACE_POINT();
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
		RACE_POINT();
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
	RACE_POINT();
	atomic_store_explicit(&pf->live, fresh, memory_order_release);
	flow_table_retire(t, older, FLOW_SLOT_NONE, false, 0);
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

/* Takes the union of what is installed, if masks have gone. Actions' depth is kept: it is a matter
 * of speed alone, and finding it would walk all flows. */
static void
shrink_live(struct flow_table *t, struct port_flows *pf, uint64_t now_ms)
{
	struct flow_mask both = {0}, one;

	if (!pf->shrinkable || now_ms < pf->shrink_ms) {
		return;
	}
	pf->shrinkable = false;
	pf->shrink_ms = now_ms + LIVE_SHRINK_MS;
	for (uint32_t i = 0; i < pf->n_masks; i++) {
		mask_unpack(&pf->masks[i]->mask, &one);
		flow_mask_union(&both, &one);
	}
	if (pf->live && !flow_mask_equal(&both, &((struct live_mask *)pf->live)->mask)) {
		publish_live(t, pf, &both,
			pf->n_masks ? ((struct live_mask *)pf->live)->depth : PARSE_L2, now_ms);
	}
}

/* --- put ----------------------------------------------------------------------------------------------- */

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
	RACE_POINT();
	atomic_store_explicit(&f->program, program, memory_order_release);
	RACE_POINT();
	atomic_store_explicit(&f->single_port, program->single_port, memory_order_relaxed);
}

static void
set_program(struct flow_table *t, struct flow *f, const struct flow_put *put)
{
	struct action_program *was = f->program;

	publish_program(f, put);
	objects_unref(was->actions, was->size);
	flow_table_retire(t, was, FLOW_SLOT_NONE, false, 0);
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
flow_init(struct flow *f, uint32_t slot, const struct installed_mask *m,
	const struct flow_key *masked, const struct flow_put *put)
{
	uint8_t blocks = m->mask.blocks, packed[FLOW_KEY_SIZE];
	size_t size = flow_blocks_size(blocks);

	flow_key_pack(packed, masked, blocks);
	f->slot = slot;
	f->mask = &m->mask;
	f->first_block = (uint8_t)__builtin_ctz(blocks);
	f->in_port = (uint16_t)be32_to(masked->in_port);
	f->nonzero_blocks = flow_key_blocks(masked);
	memcpy(f->key, packed, FLOW_BLOCK_SIZE);
	f->more = size > FLOW_BLOCK_SIZE ? xmemdup(packed + FLOW_BLOCK_SIZE, size - FLOW_BLOCK_SIZE)
					 : NULL;
	f->created_ms = put->now_ms;
	publish_program(f, put);
}

/* Everything that a packet with these blocks has. */
static void
full_mask(const struct flow_put *put, struct flow_mask *mask)
{
	/* Blocks that the mask asks for and the packet lacks are matched as zero: in whole too, so that
	 * there are no more such masks than there are sets of blocks. */
	uint8_t blocks = put->key_blocks | flow_mask_blocks(put->mask);

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

/* Whether a flow of this mask has its place. */
static bool
has_room(const struct flow_table *t, const struct installed_mask *m, const struct flow_put *put,
	const struct flow_mask *mask)
{
	struct flow_key masked;

	flow_key_mask(&masked, put->key, put->key_blocks, mask);
	return !mask_is_crowded(t, m, &masked);
}

/* A mask under which a flow may go when its own is not granted: an installed one with all bits of the one
 * asked for, else everything that the packet has. NULL: not even that. */
static struct installed_mask *
narrower_mask(struct flow_table *t, struct port_flows *pf, const struct flow_put *put,
	struct flow_mask *mask)
{
	struct installed_mask *m;

	for (uint32_t i = 0; i < pf->n_masks; i++) {
		m = pf->masks[i];
		mask_unpack(&m->mask, mask);
		if (flow_mask_covers(put->mask, mask) && has_room(t, m, put, mask)) {
			return m;
		}
	}
	full_mask(put, mask);
	m = mask_find(pf, mask);
	if (!m) {
		m = mask_add(t, pf, mask, true);
	}
	if (m && !has_room(t, m, put, mask)) {
		mask_remove_if_empty(t, pf, m);
		m = NULL;
	}
	return m;
}

/* Finds or makes the mask for a new flow: the one asked for, or a narrower one. */
static int
grant_mask(struct flow_table *t, struct port_flows *pf, const struct flow_put *put,
	struct flow_put_result *result, struct flow_mask *mask, struct installed_mask **granted)
{
	struct installed_mask *m = mask_find(pf, mask);

	if (!m) {
		m = mask_add(t, pf, mask, false);
	}
	if (m && !has_room(t, m, put, mask)) {
		mask_remove_if_empty(t, pf, m);
		m = NULL;
	}
	if (!m && put->flags & DP_PUT_NARROW) {
		m = narrower_mask(t, pf, put, mask);
		result->narrowed = true;
		result->mask = *mask;
	}
	*granted = m;
	return m ? 0 : -EDQUOT;
}

/* Half of the table is shared out among the input ports that have flows: what a port has not taken of its part
 * stays free for it, however much the others ask for. A sixteenth is kept for ports that have none yet. */
static bool
may_take_slot(const struct flow_table *t, const struct port_flows *pf)
{
	uint32_t in_use = t->n_flows, part = t->max_flows / (2 * WEFT_MAX(t->n_active_ports, 1u)),
		 owed = t->max_flows / 16;

	if (in_use < t->max_flows / 2 || !pf->n_flows || pf->n_flows < part) {
		return true;
	}
	for (uint32_t i = 0; i < t->n_used_ports; i++) {
		const struct port_flows *other = t->ports[t->used_ports[i]];

		if (other != pf && other->n_flows && other->n_flows < part) {
			owed += part - other->n_flows;
		}
	}
	return in_use + owed < t->max_flows;
}

static int
change_flow(struct flow_table *t, struct port_flows *pf, struct flow *f, const struct flow_put *put,
	struct flow_put_result *result)
{
	result->flow = (struct dp_handle){f->slot, t->own[f->slot].gen};
	if (put->flags & DP_PUT_EXCLUSIVE) {
		return -EEXIST;
	}
	set_program(t, f, put);
	atomic_store_explicit(&t->own[f->slot].epoch, put->epoch, memory_order_relaxed);
	grow_live(t, pf, put->mask, (enum parse_depth)((struct action_program *)f->program)->depth,
		put->now_ms);
	return 0;
}

static int
add_flow(struct flow_table *t, struct port_flows *pf, const struct flow_put *put,
	struct flow_put_result *result)
{
	struct flow_mask mask = *put->mask;
	struct installed_mask *m;
	struct flow_key masked;
	struct flow *f;
	uint32_t slot, gen;
	int error = grant_mask(t, pf, put, result, &mask, &m);

	if (error) {
		return error;
	}
	flow_key_mask(&masked, put->key, put->key_blocks, &mask);
	f = result->narrowed ? mask_find_flow(t, m, &masked) : NULL;
	if (f) {
		/* Another one was narrowed to the same flow. */
		return change_flow(t, pf, f, put, result);
	}
	slot = may_take_slot(t, pf) ? take_slot(t) : FLOW_SLOT_NONE;
	if (slot == FLOW_SLOT_NONE) {
		mask_remove_if_empty(t, pf, m);
		return -ENOSPC;
	}
	f = &t->flows[slot];
	flow_init(f, slot, m, &masked, put);
	gen = next_generation(&t->own[slot], put->epoch);
	stats_region_reset(t->stats, slot, gen);
	grow_live(t, pf, &mask,
		WEFT_MAX((enum parse_depth)m->mask.depth,
			(enum parse_depth)((struct action_program *)f->program)->depth),
		put->now_ms);
	RACE_POINT();
	atomic_store_explicit(&f->live, gen, memory_order_release);
	RACE_POINT();
	mask_link(t, m, f, &masked);
	t->n_active_ports += !atomic_fetch_add_explicit(&pf->n_flows, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&t->n_flows, 1, memory_order_relaxed);
	result->flow = (struct dp_handle){slot, gen};
	atomic_fetch_add_explicit(&t->narrowed, result->narrowed, memory_order_relaxed);
	return 0;
}

int
flow_table_put(struct flow_table *t, const struct flow_put *put, struct flow_put_result *result)
{
	struct port_flows *pf = port_flows_get(t, (uint16_t)be32_to(put->key->in_port));
	struct installed_mask *m = mask_find(pf, put->mask);
	struct flow_key masked;
	struct flow *f = NULL;
	int error;

	memset(result, 0, sizeof *result);
	if (m) {
		flow_key_mask(&masked, put->key, put->key_blocks, put->mask);
		f = mask_find_flow(t, m, &masked);
	}
	if (f) {
		error = change_flow(t, pf, f, put, result);
	} else if (put->flags & DP_PUT_MODIFY) {
		error = -ENOENT;
	} else {
		error = add_flow(t, pf, put, result);
	}
	atomic_fetch_add_explicit(
		&t->refused, error == -EDQUOT || error == -ENOSPC, memory_order_relaxed);
	atomic_fetch_add_explicit(&t->puts, !error, memory_order_relaxed);
	return error;
}

/* --- del ----------------------------------------------------------------------------------------------- */

static void
remove_flow(struct flow_table *t, struct flow *f, bool told, uint64_t user)
{
	struct port_flows *pf = t->ports[f->in_port];
	const struct action_program *program = f->program;

	atomic_store_explicit(&f->live, 0, memory_order_release);
	RACE_POINT();
	objects_unref(program->actions, program->size);
	mask_unlink(t, pf, f);
	t->n_active_ports -= atomic_fetch_sub_explicit(&pf->n_flows, 1, memory_order_relaxed) == 1;
	atomic_fetch_sub_explicit(&t->n_flows, 1, memory_order_relaxed);
	flow_table_retire(t, NULL, f->slot, told, user);
	atomic_fetch_add_explicit(&t->dels, 1, memory_order_relaxed);
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

void
flow_table_retire(struct flow_table *t, void *memory, uint32_t slot, bool told, uint64_t user)
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
		RACE_POINT();
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
	const struct live_mask *mask;

	if (!pf) {
		return false;
	}
	mask = atomic_load_explicit(&pf->live, memory_order_acquire);
	*n_masks = atomic_load_explicit(&pf->n_masks, memory_order_relaxed);
	*n_flows = pf->n_flows;
	*live = mask ? mask->mask : (struct flow_mask){0};
	return true;
}

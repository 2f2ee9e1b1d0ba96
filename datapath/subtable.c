/* SPDX-License-Identifier: Apache-2.0
 *
 * Masks and hash tables of an input port: what bounds a miss.
 *
 * Tables: a mask has a hash table of its own while there are few. Then it shares one that hashes a part of its
 *         bits: the finest that fits; else the shared one, made coarser until it fits. Each flow is compared
 *         under its own mask, so that sharing costs longer chains and nothing else; a chain in which flows of
 *         several masks meet is bounded.
 * Full:   flows under all that their packets have are always granted, in tables kept free for them.
 * Limits: OWN_TABLES + 1 + FULL_TABLES hash tables are the most that a miss looks into.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/flow_table_internal.h"
#include "datapath/key_hash.h"
#include "datapath/rcu.h"
#include "lib/alloc.h"
#include "lib/race_point.h"

#define MIN_BUCKETS 16u
#define OWN_TABLES 11u
#define FULL_TABLES 4u
#define MAX_TABLES (OWN_TABLES + 1 + FULL_TABLES)
#define CHAIN_MAX 8u
#define GROWTH 4u       /* times as many buckets */
#define GROWTH_STEPS 2u /* buckets that a put takes along: done when a half more flows have come */

_Static_assert(MAX_TABLES == FLOW_MAX_PROBES, "a miss costs so many probes");

void
mask_unpack(const struct table_mask *m, struct flow_mask *mask)
{
	flow_key_unpack(&mask->bits, (const uint8_t *)m->words, m->blocks);
}

static uint32_t
hash_by(const struct table_mask *by, const struct flow_key *masked)
{
	return key_hash_masked(masked, FLOW_BLOCKS_ALL, by->blocks, by->words);
}

static void
mask_pack(struct table_mask *m, const struct flow_mask *mask, uint8_t blocks)
{
	m->blocks = blocks;
	m->depth = (uint8_t)parse_depth_of(mask);
	flow_key_pack((uint8_t *)m->words, &mask->bits, blocks);
}

static bool
mask_is(const struct table_mask *m, const struct flow_mask *mask, uint8_t blocks)
{
	struct flow_mask have;

	if (m->blocks != blocks) {
		return false;
	}
	mask_unpack(m, &have);
	return flow_mask_equal(&have, mask);
}

/* --- chains ------------------------------------------------------------------------------------------- */

struct flow *
subtable_find(const struct flow_table *t, const struct subtable *s, const struct flow_key *key,
	uint8_t present)
{
	const struct buckets *b = atomic_load_explicit(&s->buckets, memory_order_acquire);
	uint32_t hash = key_hash_masked(key, present, s->by.blocks, s->by.words);
	uint32_t slot = atomic_load_explicit(&b->heads[hash & b->mask], memory_order_acquire);

	while (slot != FLOW_SLOT_NONE) {
		struct flow *f = &t->flows[slot];

		RACE_POINT();
		if (f->hash[b->link] == hash && flow_matches(f, key, present)) {
			return f;
		}
		slot = atomic_load_explicit(&f->next[b->link], memory_order_acquire);
	}
	return NULL;
}

/* Its heads are not set yet. */
static struct buckets *
buckets_alloc(uint32_t n, uint8_t link)
{
	struct buckets *b = xmalloc(sizeof *b + n * sizeof b->heads[0]);

	b->mask = n - 1;
	b->link = link;
	return b;
}

static struct buckets *
buckets_create(uint32_t n, uint8_t link)
{
	struct buckets *b = buckets_alloc(n, link);

	for (uint32_t i = 0; i < n; i++) {
		atomic_init(&b->heads[i], FLOW_SLOT_NONE);
	}
	return b;
}

static void
link_flow(struct buckets *b, struct flow *f)
{
	_Atomic uint32_t *head = &b->heads[f->hash[b->link] & b->mask];

	atomic_store_explicit(&f->next[b->link], atomic_load_explicit(head, memory_order_relaxed),
		memory_order_relaxed);
	RACE_POINT();
	atomic_store_explicit(head, f->slot, memory_order_release);
}

static void
unlink_flow(struct flow_table *t, struct buckets *b, struct flow *f)
{
	_Atomic uint32_t *at = &b->heads[f->hash[b->link] & b->mask];

	while (*at != f->slot) {
		assert(*at != FLOW_SLOT_NONE);
		at = &t->flows[*at].next[b->link];
	}
	RACE_POINT();
	/* Readers that stand on f go on by its own link, which stays. */
	atomic_store_explicit(at, atomic_load_explicit(&f->next[b->link], memory_order_relaxed),
		memory_order_release);
}

/* --- growth ------------------------------------------------------------------------------------------- */

/* Begins to grow a subtable that is fuller than its buckets, if the links that it does not use are free: seen
 * by nobody since the last growth. */
static void
growth_begin(struct subtable *s)
{
	const struct buckets *was = s->buckets;

	if (s->n_flows <= was->mask || (s->grow_token && !rcu_passed(s->grow_token))) {
		return;
	}
	/* The heads are set when their flows come: no put waits until all have been. */
	s->growing = buckets_alloc((was->mask + 1) * GROWTH, !was->link);
	s->n_grown = 0;
}

/* Takes one bucket's flows along. */
static void
growth_step(struct flow_table *t, struct subtable *s)
{
	struct buckets *was = s->buckets, *b = s->growing;

	for (uint32_t i = s->n_grown; i <= b->mask; i += was->mask + 1) {
		atomic_init(&b->heads[i], FLOW_SLOT_NONE);
	}
	for (uint32_t slot = was->heads[s->n_grown]; slot != FLOW_SLOT_NONE;
		slot = t->flows[slot].next[was->link]) {
		t->flows[slot].hash[b->link] = t->flows[slot].hash[was->link];
		link_flow(b, &t->flows[slot]);
	}
	if (s->n_grown++ < was->mask) {
		return;
	}
	s->growing = NULL;
	atomic_store_explicit(&s->buckets, b, memory_order_release);
	RACE_POINT();
	s->grow_token = rcu_start();
	flow_table_retire(t, was, FLOW_SLOT_NONE, false, 0);
}

static void
growth_go_on(struct flow_table *t, struct subtable *s)
{
	for (unsigned i = 0; i < GROWTH_STEPS && s->growing; i++) {
		growth_step(t, s);
	}
}

/* Whether the flow has been taken along. */
static bool
growth_has(const struct subtable *s, const struct flow *f)
{
	const struct buckets *b = s->buckets;

	return s->growing && (f->hash[b->link] & b->mask) < s->n_grown;
}

static void
subtable_link(struct flow_table *t, struct subtable *s, struct flow *f, uint32_t hash)
{
	struct buckets *b = s->buckets;

	f->hash[b->link] = hash;
	link_flow(b, f);
	if (growth_has(s, f)) {
		f->hash[!b->link] = hash;
		link_flow(s->growing, f);
	}
	s->n_flows++;
	if (!s->growing) {
		growth_begin(s);
	}
	growth_go_on(t, s);
}

static void
subtable_unlink(struct flow_table *t, struct subtable *s, struct flow *f)
{
	if (growth_has(s, f)) {
		unlink_flow(t, s->growing, f);
	}
	unlink_flow(t, s->buckets, f);
	s->n_flows--;
}

/* --- tables ------------------------------------------------------------------------------------------- */

static struct subtable *
subtable_add(
	struct flow_table *t, struct port_flows *pf, const struct flow_mask *by, bool is_shared)
{
	struct subtable_list *was = pf->list, *list;
	uint8_t blocks = flow_mask_blocks(by);
	uint32_t n = was ? was->n : 0;
	struct subtable *s = xcalloc(1, sizeof *s + flow_blocks_size(blocks));

	mask_pack(&s->by, by, blocks);
	s->is_shared = is_shared;
	atomic_init(&s->buckets, buckets_create(MIN_BUCKETS, 0));
	list = xmalloc(sizeof *list + (n + 1) * sizeof list->subtables[0]);
	list->n = n + 1;
	if (n) {
		memcpy(list->subtables, was->subtables, n * sizeof list->subtables[0]);
	}
	list->subtables[n] = s;
	atomic_store_explicit(&pf->list, list, memory_order_release);
	flow_table_retire(t, was, FLOW_SLOT_NONE, false, 0);
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
	flow_table_retire(t, was, FLOW_SLOT_NONE, false, 0);
	free(s->growing);
	flow_table_retire(t, s->buckets, FLOW_SLOT_NONE, false, 0);
	flow_table_retire(t, s, FLOW_SLOT_NONE, false, 0);
}

static unsigned
n_bits(const struct table_mask *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < (unsigned)__builtin_popcount(m->blocks) * FLOW_BLOCK_WORDS; i++) {
		n += (unsigned)__builtin_popcountll(m->words[i]);
	}
	return n;
}

/* The table that hashes most of the mask's bits and no other; NULL: none. */
static struct subtable *
finest_table(const struct port_flows *pf, const struct flow_mask *mask)
{
	const struct subtable_list *list = pf->list;
	struct subtable *best = NULL;

	for (uint32_t i = 0; list && i < list->n; i++) {
		struct subtable *s = list->subtables[i];
		struct flow_mask by;

		mask_unpack(&s->by, &by);
		if (flow_mask_covers(&by, mask) && (!best || n_bits(&s->by) > n_bits(&best->by))) {
			best = s;
		}
	}
	return best;
}

static uint32_t
chain_length(const struct flow_table *t, const struct buckets *b, uint32_t hash)
{
	uint32_t n = 0;

	for (uint32_t slot = b->heads[hash & b->mask]; slot != FLOW_SLOT_NONE;
		slot = t->flows[slot].next[b->link]) {
		n += t->flows[slot].hash[b->link] == hash;
	}
	return n;
}

/* The flow's key, as far as its mask goes. */
static void
flow_masked_key(const struct flow *f, struct flow_key *key)
{
	uint8_t packed[FLOW_KEY_SIZE];
	size_t size = flow_blocks_size(f->mask->blocks);

	memcpy(packed, f->key, FLOW_BLOCK_SIZE);
	if (size > FLOW_BLOCK_SIZE) {
		memcpy(packed + FLOW_BLOCK_SIZE, f->more, size - FLOW_BLOCK_SIZE);
	}
	flow_key_unpack(key, packed, f->mask->blocks);
}

/* Links all flows of @s in @to, by their other links. False: too many would meet in one chain. */
static bool
relink(struct flow_table *t, const struct subtable *s, const struct subtable *to)
{
	struct buckets *was = s->buckets, *b = to->buckets;

	for (uint32_t i = 0; i <= was->mask; i++) {
		for (uint32_t slot = was->heads[i]; slot != FLOW_SLOT_NONE;
			slot = t->flows[slot].next[was->link]) {
			struct flow *f = &t->flows[slot];
			struct flow_key masked;

			flow_masked_key(f, &masked);
			f->hash[b->link] = hash_by(&to->by, &masked);
			if (chain_length(t, b, f->hash[b->link]) >= CHAIN_MAX) {
				return false;
			}
			link_flow(b, f);
		}
	}
	return true;
}

/* Makes the shared table hash no more than @mask has, so that flows of that mask can go there too. NULL: the
 * chains would become too long, or its links are not free yet. */
static struct subtable *
coarsen(struct flow_table *t, struct port_flows *pf, const struct flow_mask *mask)
{
	struct subtable_list *was = pf->list, *list;
	struct subtable *s = NULL, *coarse;
	struct flow_mask by;
	struct buckets *b;
	uint8_t blocks;
	uint32_t at = 0;

	while (at < was->n && !was->subtables[at]->is_shared) {
		at++;
	}
	if (at == was->n) {
		return NULL;
	}
	s = was->subtables[at];
	growth_go_on(t, s); /* or who asks for masks without end would hold it up */
	if (s->growing || (s->grow_token && !rcu_passed(s->grow_token))) {
		return NULL;
	}
	mask_unpack(&s->by, &by);
	for (unsigned w = 0; w < FLOW_KEY_SIZE / 8; w++) {
		by.bits.words[w] &= mask->bits.words[w];
	}
	blocks = flow_mask_blocks(&by);
	coarse = xcalloc(1, sizeof *coarse + flow_blocks_size(blocks));
	mask_pack(&coarse->by, &by, blocks);
	coarse->is_shared = true;
	coarse->n_flows = s->n_flows;
	b = s->buckets;
	atomic_init(&coarse->buckets, buckets_create(b->mask + 1, !b->link));
	if (!relink(t, s, coarse)) {
		free(coarse->buckets);
		free(coarse);
		return NULL;
	}
	list = xmemdup(was, sizeof *was + was->n * sizeof was->subtables[0]);
	list->subtables[at] = coarse;
	for (uint32_t i = 0; i < pf->n_masks; i++) {
		if (pf->masks[i]->table == s) {
			pf->masks[i]->table = coarse;
		}
	}
	RACE_POINT();
	atomic_store_explicit(&pf->list, list, memory_order_release);
	/* Workers may still walk the old chains, which stand in the flows' other links: also one that read
	 * the old list just now, so that the token is no older than the new one. */
	coarse->grow_token = rcu_start();
	flow_table_retire(t, was, FLOW_SLOT_NONE, false, 0);
	flow_table_retire(t, b, FLOW_SLOT_NONE, false, 0);
	flow_table_retire(t, s, FLOW_SLOT_NONE, false, 0);
	return coarse;
}

static struct subtable *
table_for(struct flow_table *t, struct port_flows *pf, const struct flow_mask *mask, bool is_full)
{
	uint32_t n = pf->list ? ((struct subtable_list *)pf->list)->n : 0;
	struct subtable *s;

	if (n < (is_full ? MAX_TABLES : OWN_TABLES)) {
		return subtable_add(t, pf, mask, false);
	}
	s = finest_table(pf, mask);
	if (!s && !is_full) {
		s = n < OWN_TABLES + 1 ? subtable_add(t, pf, mask, true) : coarsen(t, pf, mask);
	}
	return s;
}

/* --- masks -------------------------------------------------------------------------------------------- */

struct installed_mask *
mask_find(const struct port_flows *pf, const struct flow_mask *mask)
{
	uint8_t blocks = flow_mask_blocks(mask);

	for (uint32_t i = 0; i < pf->n_masks; i++) {
		if (mask_is(&pf->masks[i]->mask, mask, blocks)) {
			return pf->masks[i];
		}
	}
	return NULL;
}

struct installed_mask *
mask_add(struct flow_table *t, struct port_flows *pf, const struct flow_mask *mask, bool is_full)
{
	uint8_t blocks = flow_mask_blocks(mask);
	struct installed_mask *m;
	struct subtable *s;

	if (!is_full &&
		(pf->n_masks >= FLOW_MASKS_PER_PORT ||
			(t->n_masks >= FLOW_MASKS_IN_ALL && pf->n_masks >= FLOW_MASKS_GRANTED))) {
		return NULL;
	}
	s = table_for(t, pf, mask, is_full);
	if (!s) {
		return NULL;
	}
	m = xcalloc(1, sizeof *m + flow_blocks_size(blocks));
	m->table = s;
	mask_pack(&m->mask, mask, blocks);
	if (pf->n_masks == pf->max_masks) {
		pf->max_masks = pf->max_masks ? 2 * pf->max_masks : 4;
		pf->masks = xrealloc(pf->masks, pf->max_masks * sizeof pf->masks[0]);
	}
	pf->masks[pf->n_masks] = m;
	atomic_fetch_add_explicit(&pf->n_masks, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&t->n_masks, 1, memory_order_relaxed);
	return m;
}

void
mask_remove_if_empty(struct flow_table *t, struct port_flows *pf, struct installed_mask *m)
{
	struct subtable *s = m->table;
	uint32_t i = 0;

	if (m->n_flows) {
		return;
	}
	while (pf->masks[i] != m) {
		i++;
	}
	pf->masks[i] = pf->masks[pf->n_masks - 1];
	atomic_fetch_sub_explicit(&pf->n_masks, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&t->n_masks, 1, memory_order_relaxed);
	pf->shrinkable = true;
	if (!s->n_flows) {
		subtable_remove(t, pf, s);
	}
	/* Workers may still stand on a flow that points to it. */
	flow_table_retire(t, m, FLOW_SLOT_NONE, false, 0);
}

struct flow *
mask_find_flow(
	const struct flow_table *t, const struct installed_mask *m, const struct flow_key *masked)
{
	const struct buckets *b = m->table->buckets;
	uint32_t hash = hash_by(&m->table->by, masked);

	for (uint32_t slot = b->heads[hash & b->mask]; slot != FLOW_SLOT_NONE;
		slot = t->flows[slot].next[b->link]) {
		struct flow *f = &t->flows[slot];

		if (f->hash[b->link] == hash && f->mask == &m->mask &&
			flow_matches(f, masked, FLOW_BLOCKS_ALL)) {
			return f;
		}
	}
	return NULL;
}

bool
mask_is_crowded(
	const struct flow_table *t, const struct installed_mask *m, const struct flow_key *masked)
{
	const struct buckets *b = m->table->buckets;

	if (!m->table->is_shared && m->mask.blocks == m->table->by.blocks &&
		!memcmp(m->mask.words, m->table->by.words, flow_blocks_size(m->mask.blocks))) {
		return false; /* only equal hashes meet */
	}
	return chain_length(t, b, hash_by(&m->table->by, masked)) >= CHAIN_MAX;
}

void
mask_link(struct flow_table *t, struct installed_mask *m, struct flow *f,
	const struct flow_key *masked)
{
	subtable_link(t, m->table, f, hash_by(&m->table->by, masked));
	m->n_flows++;
}

void
mask_unlink(struct flow_table *t, struct port_flows *pf, struct flow *f)
{
	struct installed_mask *m =
		WEFT_CONTAINER_OF((struct table_mask *)f->mask, struct installed_mask, mask);

	subtable_unlink(t, m->table, f);
	m->n_flows--;
	mask_remove_if_empty(t, pf, m);
}

void
port_flows_destroy(struct port_flows *pf)
{
	struct subtable_list *list = pf ? pf->list : NULL;

	for (uint32_t i = 0; list && i < list->n; i++) {
		free(list->subtables[i]->growing);
		free(list->subtables[i]->buckets);
		free(list->subtables[i]);
	}
	if (pf) {
		for (uint32_t i = 0; i < pf->n_masks; i++) {
			free(pf->masks[i]);
		}
		free(pf->masks);
		free(list);
		free(pf->live);
		free(pf->old);
		free(pf);
	}
}

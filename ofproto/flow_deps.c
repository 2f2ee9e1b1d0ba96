/* SPDX-License-Identifier: Apache-2.0
 *
 * Dependencies: lists of flows by thing, and groups of lookups with their indexes.
 *
 * A group's records have numbers that they keep (a free one is used again), so that an index is no
 * more than heads of chains and two links for each record.
 */
#include "ofproto/flow_deps.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/hash.h"
#include "ofproto/of_match.h"

#define NONE UINT32_MAX
#define MIN_HEADS 16u
#define SCAN_MAX 32u /* so few records are looked at without an index */

struct dep_thing {
	struct hmap_node node;
	uint64_t dep;
	struct list uses;
};

struct dep_use {
	struct list link;
	struct dep_thing *thing;
	void *flow;
};

struct dep_ref {
	struct dep_group *group;
	uint32_t record;
};

/* Chains of the records by the bits of @words. */
struct dep_index {
	uint64_t map;
	uint64_t words[OF_N_WORDS];
	uint64_t used; /* when it was asked last */
	uint32_t *heads;
	uint32_t mask; /* heads - 1 */
	struct dep_links {
		uint32_t prev; /* NONE: the head */
		uint32_t next;
	} * links; /* by record, as many as the group has room for */
};

struct dep_record {
	void *flow;         /* NULL: free */
	uint32_t next_free; /* of a free one */
	int32_t priority;   /* of the rule found; -1: none was */
	uint64_t words[];
};

struct dep_group {
	struct dep_table *table;
	struct list by_table;
	uint32_t hash; /* of the mask */
	uint32_t n;
	uint32_t n_made; /* records that were ever in use */
	uint32_t capacity;
	uint32_t free;
	size_t stride;
	uint8_t *records;
	struct dep_index *indexes[DEPS_MAX_INDEXES];
	uint64_t map;
	uint64_t mask[]; /* words */
};

struct dep_table {
	struct hmap_node node;
	uint64_t dep;
	struct list groups;
	uint32_t n_groups;
};

/* A mask and a value, word by word. */
struct dep_words {
	uint64_t map;
	uint64_t mask[OF_N_WORDS];
	uint64_t value[OF_N_WORDS];
};

static void add_use(struct flow_deps *d, struct dep_use *use, uint64_t dep, void *flow);
static void add_lookup(struct flow_deps *d, struct dep_ref *ref, void *flow,
	const struct translation *t, const struct translate_lookup *l);
static void remove_lookup(struct flow_deps *d, const struct dep_ref *ref);
static void known_words(
	const struct translation *t, const struct translate_lookup *l, struct dep_words *w);
static struct dep_group *group_for(struct dep_table *table, const struct dep_words *w);
static struct dep_group *make_group(
	struct dep_table *table, uint64_t map, const uint64_t *mask, uint32_t hash);
static void free_group(struct dep_group *g);
static void find_rule(struct flow_deps *d, const struct dep_table *table, const struct change *c,
	const uint64_t *words, void (*hit)(void *, void *), void *user);
static struct dep_index *index_for(
	struct flow_deps *d, struct dep_group *g, const struct dep_words *overlap);
static void index_add(const struct dep_group *g, struct dep_index *ix, uint32_t record);
static void index_remove(const struct dep_group *g, struct dep_index *ix, uint32_t record);
static void index_fill(const struct dep_group *g, struct dep_index *ix);
static void free_index(struct dep_index *ix);

static struct dep_record *
record_at(const struct dep_group *g, uint32_t i)
{
	return (void *)(g->records + i * g->stride);
}

void
flow_deps_init(struct flow_deps *d)
{
	hmap_init(&d->things);
	hmap_init(&d->tables);
	d->clock = 0;
}

void
flow_deps_uninit(struct flow_deps *d)
{
	assert(hmap_is_empty(&d->things) && hmap_is_empty(&d->tables));
	hmap_uninit(&d->things);
	hmap_uninit(&d->tables);
}

void
flow_deps_set(
	struct flow_deps *d, struct flow_dep_set *set, void *flow, const struct translation *t)
{
	flow_deps_clear(d, set);
	set->n_uses = t->n_rules + t->n_deps;
	set->uses = xmalloc((set->n_uses + 1) * sizeof(set->uses[0]));
	for (uint32_t i = 0; i < t->n_rules; i++) {
		add_use(d, &set->uses[i], of_dep(OF_DEP_RULE, 0, (uintptr_t)t->rules[i]), flow);
	}
	for (uint32_t i = 0; i < t->n_deps; i++) {
		add_use(d, &set->uses[t->n_rules + i], t->deps[i], flow);
	}
	set->n_lookups = t->n_lookups;
	set->lookups = set->n_lookups ? xmalloc(set->n_lookups * sizeof(set->lookups[0])) : NULL;
	for (uint32_t i = 0; i < t->n_lookups; i++) {
		add_lookup(d, &set->lookups[i], flow, t, &t->lookups[i]);
	}
}

void
flow_deps_clear(struct flow_deps *d, struct flow_dep_set *set)
{
	for (uint32_t i = 0; i < set->n_uses; i++) {
		struct dep_thing *thing = set->uses[i].thing;

		list_remove(&set->uses[i].link);
		if (list_is_empty(&thing->uses)) {
			hmap_remove(&d->things, &thing->node);
			free(thing);
		}
	}
	for (uint32_t i = 0; i < set->n_lookups; i++) {
		remove_lookup(d, &set->lookups[i]);
	}
	free(set->uses);
	free(set->lookups);
	*set = (struct flow_dep_set){0};
}

/* --- finding ------------------------------------------------------------------------------------- */

static struct dep_thing *
find_thing(const struct flow_deps *d, uint64_t dep)
{
	struct dep_thing *thing;

	HMAP_FOREACH_WITH_HASH (thing, node, (uint32_t)dep, &d->things) {
		if (thing->dep == dep) {
			break;
		}
	}
	return thing;
}

static struct dep_table *
find_table(const struct flow_deps *d, uint64_t dep)
{
	struct dep_table *table;

	HMAP_FOREACH_WITH_HASH (table, node, (uint32_t)dep, &d->tables) {
		if (table->dep == dep) {
			break;
		}
	}
	return table;
}

void
flow_deps_find(struct flow_deps *d, const struct change_batch *b,
	void (*hit)(void *user, void *flow), void *user)
{
	for (uint32_t i = 0; i < b->n; i++) {
		const struct change *c = &b->changes[i];

		if (c->kind == CHANGE_DEP) {
			const struct dep_thing *thing = find_thing(d, c->dep);
			const struct dep_use *use;

			if (thing) {
				LIST_FOREACH (use, link, &thing->uses) {
					hit(user, use->flow);
				}
			}
		} else {
			const struct dep_table *table = find_table(d, c->dep);

			if (table) {
				find_rule(d, table, c, b->words + c->words, hit, user);
			}
		}
	}
}

/* The bits in which both masks look, with the rule's value. */
static void
overlap_of(const struct dep_group *g, const struct change *c, const uint64_t *words,
	struct dep_words *w)
{
	const uint64_t *mask = words, *value = words + of_mini_n(c->map);
	unsigned n = 0;

	w->map = 0;
	for (uint64_t map = c->map; map; map &= map - 1, mask++, value++) {
		unsigned at = (unsigned)__builtin_ctzll(map);
		uint64_t both;

		if (!(g->map >> at & 1)) {
			continue;
		}
		both = *mask & g->mask[of_mini_n(g->map & ((UINT64_C(1) << at) - 1))];
		if (both) {
			w->map |= UINT64_C(1) << at;
			w->mask[n] = both;
			w->value[n++] = *value & both;
		}
	}
}

/* Whether the record has the value of @w. */
static bool
agrees(const struct dep_group *g, const struct dep_record *r, const struct dep_words *w)
{
	unsigned n = 0;

	for (uint64_t map = w->map; map; map &= map - 1, n++) {
		unsigned at = (unsigned)__builtin_ctzll(map);

		if ((r->words[of_mini_n(g->map & ((UINT64_C(1) << at) - 1))] & w->mask[n]) !=
			w->value[n]) {
			return false;
		}
	}
	return true;
}

static uint32_t
hash_of(const uint64_t *value, uint64_t map)
{
	uint64_t h = map;

	for (unsigned i = 0; i < of_mini_n(map); i++) {
		h = hash_mix(h, value[i]);
	}
	return hash_finish(h);
}

static void
find_rule(struct flow_deps *d, const struct dep_table *table, const struct change *c,
	const uint64_t *words, void (*hit)(void *, void *), void *user)
{
	struct dep_group *g;

	LIST_FOREACH (g, by_table, &table->groups) {
		struct dep_index *ix = NULL;
		struct dep_words w = {0};

		overlap_of(g, c, words, &w);
		if (w.map && g->n > SCAN_MAX) {
			ix = index_for(d, g, &w);
		}
		for (uint32_t i = ix ? ix->heads[hash_of(w.value, w.map) & ix->mask] : 0;
			ix ? i != NONE : i < g->n_made; i = ix ? ix->links[i].next : i + 1) {
			const struct dep_record *r = record_at(g, i);

			if (r->flow && r->priority <= c->priority && agrees(g, r, &w)) {
				hit(user, r->flow);
			}
		}
	}
}

/* --- things -------------------------------------------------------------------------------------- */

static void
add_use(struct flow_deps *d, struct dep_use *use, uint64_t dep, void *flow)
{
	struct dep_thing *thing = find_thing(d, dep);

	if (!thing) {
		thing = xmalloc(sizeof(*thing));
		thing->dep = dep;
		list_init(&thing->uses);
		hmap_insert(&d->things, &thing->node, (uint32_t)dep);
	}
	use->thing = thing;
	use->flow = flow;
	list_push_back(&thing->uses, &use->link);
}

/* --- lookups ------------------------------------------------------------------------------------- */

static void
add_lookup(struct flow_deps *d, struct dep_ref *ref, void *flow, const struct translation *t,
	const struct translate_lookup *l)
{
	struct dep_table *table = find_table(d, l->table);
	struct dep_record *r;
	struct dep_group *g;
	struct dep_words w;

	if (!table) {
		table = xcalloc(1, sizeof(*table));
		table->dep = l->table;
		list_init(&table->groups);
		hmap_insert(&d->tables, &table->node, (uint32_t)l->table);
	}
	known_words(t, l, &w);
	g = group_for(table, &w);
	if (g->free == NONE && g->n_made == g->capacity) {
		g->capacity = 2 * g->capacity + 4;
		g->records = xrealloc(g->records, g->capacity * g->stride);
		for (unsigned i = 0; i < DEPS_MAX_INDEXES; i++) {
			if (g->indexes[i]) {
				g->indexes[i]->links = xrealloc(g->indexes[i]->links,
					g->capacity * sizeof(g->indexes[i]->links[0]));
			}
		}
	}
	ref->group = g;
	if (g->free != NONE) {
		ref->record = g->free;
		g->free = record_at(g, ref->record)->next_free;
	} else {
		ref->record = g->n_made++;
	}
	g->n++;
	r = record_at(g, ref->record);
	r->flow = flow;
	r->priority = l->priority;
	for (uint64_t map = g->map, i = 0; map; map &= map - 1, i++) {
		r->words[i] = l->key.words[__builtin_ctzll(map)] & g->mask[i];
	}
	for (unsigned i = 0; i < DEPS_MAX_INDEXES; i++) {
		if (g->indexes[i]) {
			if (g->n > 4 * (g->indexes[i]->mask + 1)) {
				index_fill(g, g->indexes[i]);
			} else {
				index_add(g, g->indexes[i], ref->record);
			}
		}
	}
}

static void
remove_lookup(struct flow_deps *d, const struct dep_ref *ref)
{
	struct dep_group *g = ref->group;
	struct dep_record *r = record_at(g, ref->record);

	for (unsigned i = 0; i < DEPS_MAX_INDEXES; i++) {
		if (g->indexes[i]) {
			index_remove(g, g->indexes[i], ref->record);
		}
	}
	r->flow = NULL;
	r->next_free = g->free;
	g->free = ref->record;
	if (!--g->n) {
		struct dep_table *table = g->table;

		free_group(g);
		if (!table->n_groups) {
			hmap_remove(&d->tables, &table->node);
			free(table);
		}
	}
}

/* What all packets of the flow have in common at a lookup: what was made, what the lookup itself read, and
 * what translation read of fields that are still where they were received. */
static void
known_words(const struct translation *t, const struct translate_lookup *l, struct dep_words *w)
{
	unsigned n = 0;

	w->map = 0;
	for (unsigned i = 0; i < OF_N_WORDS; i++) {
		uint64_t known =
			l->known.bits.words[i] | (t->mask.bits.words[i] & ~l->moved.bits.words[i]);

		if (known) {
			w->map |= UINT64_C(1) << i;
			w->mask[n++] = known;
		}
	}
}

static bool
contains(uint64_t map, const uint64_t *mask, const struct dep_group *g)
{
	if (g->map & ~map) {
		return false;
	}
	for (uint64_t m = g->map, i = 0; m; m &= m - 1, i++) {
		unsigned at = (unsigned)__builtin_ctzll(m);

		if (g->mask[i] & ~mask[of_mini_n(map & ((UINT64_C(1) << at) - 1))]) {
			return false;
		}
	}
	return true;
}

static unsigned
n_bits(const struct dep_group *g)
{
	unsigned n = 0;

	for (unsigned i = 0; i < of_mini_n(g->map); i++) {
		n += (unsigned)__builtin_popcountll(g->mask[i]);
	}
	return n;
}

static struct dep_group *
group_for(struct dep_table *table, const struct dep_words *w)
{
	uint32_t hash = hash_of(w->mask, w->map);
	struct dep_group *g, *best = NULL;

	LIST_FOREACH (g, by_table, &table->groups) {
		if (g->hash == hash && g->map == w->map &&
			!memcmp(g->mask, w->mask, of_mini_n(w->map) * sizeof(w->mask[0]))) {
			return g;
		}
	}
	if (table->n_groups < DEPS_MAX_GROUPS) {
		return make_group(table, w->map, w->mask, hash);
	}
	LIST_FOREACH (g, by_table, &table->groups) {
		if (contains(w->map, w->mask, g) && (!best || n_bits(g) > n_bits(best))) {
			best = g;
		}
	}
	/* One more at most: every mask contains the one without bits. */
	return best ? best : make_group(table, 0, w->mask, hash_of(w->mask, 0));
}

static struct dep_group *
make_group(struct dep_table *table, uint64_t map, const uint64_t *mask, uint32_t hash)
{
	size_t size = of_mini_n(map) * sizeof(uint64_t);
	struct dep_group *g = xcalloc(1, sizeof(*g) + size);

	g->table = table;
	g->hash = hash;
	g->free = NONE;
	g->stride = sizeof(struct dep_record) + size;
	g->map = map;
	if (size) {
		memcpy(g->mask, mask, size);
	}
	list_push_back(&table->groups, &g->by_table);
	table->n_groups++;
	return g;
}

static void
free_group(struct dep_group *g)
{
	for (unsigned i = 0; i < DEPS_MAX_INDEXES; i++) {
		free_index(g->indexes[i]);
	}
	list_remove(&g->by_table);
	g->table->n_groups--;
	free(g->records);
	free(g);
}

/* --- indexes ------------------------------------------------------------------------------------- */

/* The index by the bits of @overlap, in place of the least used if it has to be made. */
static struct dep_index *
index_for(struct flow_deps *d, struct dep_group *g, const struct dep_words *overlap)
{
	size_t size = of_mini_n(overlap->map) * sizeof(overlap->mask[0]);
	struct dep_index *ix;
	unsigned at = 0;

	d->clock++;
	for (unsigned i = 0; i < DEPS_MAX_INDEXES; i++) {
		ix = g->indexes[i];
		if (ix && ix->map == overlap->map && !memcmp(ix->words, overlap->mask, size)) {
			ix->used = d->clock;
			return ix;
		}
		if (!ix || (g->indexes[at] && ix->used < g->indexes[at]->used)) {
			at = i;
		}
	}
	free_index(g->indexes[at]);
	ix = xcalloc(1, sizeof(*ix));
	ix->map = overlap->map;
	memcpy(ix->words, overlap->mask, size);
	ix->used = d->clock;
	ix->links = xmalloc(g->capacity * sizeof(ix->links[0]));
	g->indexes[at] = ix;
	index_fill(g, ix);
	return ix;
}

static uint32_t
index_hash(const struct dep_group *g, const struct dep_index *ix, uint32_t record)
{
	const struct dep_record *r = record_at(g, record);
	uint64_t value[OF_N_WORDS] = {0};
	unsigned n = 0;

	for (uint64_t map = ix->map; map; map &= map - 1, n++) {
		unsigned at = (unsigned)__builtin_ctzll(map);

		value[n] = r->words[of_mini_n(g->map & ((UINT64_C(1) << at) - 1))] & ix->words[n];
	}
	return hash_of(value, ix->map);
}

static void
index_add(const struct dep_group *g, struct dep_index *ix, uint32_t record)
{
	uint32_t *head = &ix->heads[index_hash(g, ix, record) & ix->mask];

	ix->links[record] = (struct dep_links){NONE, *head};
	if (*head != NONE) {
		ix->links[*head].prev = record;
	}
	*head = record;
}

static void
index_remove(const struct dep_group *g, struct dep_index *ix, uint32_t record)
{
	const struct dep_links *l = &ix->links[record];

	if (l->prev != NONE) {
		ix->links[l->prev].next = l->next;
	} else {
		ix->heads[index_hash(g, ix, record) & ix->mask] = l->next;
	}
	if (l->next != NONE) {
		ix->links[l->next].prev = l->prev;
	}
}

/* New heads, and all records. */
static void
index_fill(const struct dep_group *g, struct dep_index *ix)
{
	uint32_t n = MIN_HEADS;

	while (n < g->n) {
		n *= 2;
	}
	free(ix->heads);
	ix->heads = xmalloc(n * sizeof(ix->heads[0]));
	memset(ix->heads, 0xff, n * sizeof(ix->heads[0]));
	ix->mask = n - 1;
	for (uint32_t i = 0; i < g->n_made; i++) {
		if (record_at(g, i)->flow) {
			index_add(g, ix, i);
		}
	}
}

static void
free_index(struct dep_index *ix)
{
	if (ix) {
		free(ix->heads);
		free(ix->links);
		free(ix);
	}
}

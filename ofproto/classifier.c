/* SPDX-License-Identifier: Apache-2.0
 *
 * Classifier: subtables by mask, each an open-addressing hash table of rules.
 *
 * Why it is safe: readers see three kinds of objects that the writer replaces: the sorted array of
 * subtables, the slot array of a subtable, and single slots. Arrays are built whole, published with a
 * release store and retired; a slot goes from empty to a rule, to a tombstone, to another rule, never
 * back to empty, so that a probe that passes it finds everything behind it. A rule that stays does not
 * move within an array.
 */
#include "ofproto/classifier.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/hash.h"
#include "ofproto/classifier_internal.h"

#define MIN_SLOTS 4

struct cls_slots {
	struct grace_item retired;
	uint32_t mask; /* size - 1 */
	_Atomic(struct cls_rule *) slot[];
};

struct cls_subtables {
	struct grace_item retired;
	uint32_t n;
	struct cls_entry {
		const struct cls_subtable *subtable;
		uint16_t max_priority;
	} entries[];
};

static struct cls_rule tombstone;

static struct cls_subtable *find_subtable(
	const struct classifier *cls, uint64_t map, const uint64_t *words, uint32_t hash);
static struct cls_subtable *add_subtable(
	struct classifier *cls, uint64_t map, const uint64_t *words, uint32_t hash);
static void remove_subtable(struct classifier *cls, struct cls_subtable *st);
static void publish_subtables(struct classifier *cls);
static bool count_priority(struct cls_subtable *st, uint16_t priority, int change);
static void put_slot(struct cls_slots *slots, struct cls_rule *rule, uint32_t *n_used);
static void resize(struct classifier *cls, struct cls_subtable *st);
static uint32_t mask_hash(uint64_t map, const uint64_t *words);
static struct cls_rule *find_in(const struct cls_subtable *st, uint64_t version,
	const struct of_match *match, uint16_t priority);
static bool value_equal(
	const struct cls_subtable *st, const uint64_t *words, const struct flow_key *key);
static bool is_better(
	const struct cls_subtable *st, uint16_t priority, const struct cls_rule *best);
static bool may_hold_better(const struct cls_entry *entry, const struct cls_rule *best);
static const struct cls_rule *best_in(const struct cls_subtable *st, uint64_t version,
	const struct flow_key *key, uint32_t hash, const struct cls_rule *best);
static void free_slots(struct grace_item *item);
static void unref_subtable(struct cls_subtable *st);
static void free_subtable(struct grace_item *item);
static void free_subtables(struct grace_item *item);

void
classifier_init(struct classifier *cls, struct grace *grace)
{
	*cls = (struct classifier){.grace = grace};
	atomic_init(&cls->subtables, NULL);
	for (unsigned i = 0; i < CLS_N_PREFIXES; i++) {
		prefix_trie_init(&cls->prefixes[i], grace);
	}
}

void
classifier_uninit(struct classifier *cls)
{
	assert(!cls->n_rules);
	for (unsigned i = 0; i < CLS_N_PREFIXES; i++) {
		prefix_trie_uninit(&cls->prefixes[i]);
	}
	free(atomic_load_explicit(&cls->subtables, memory_order_relaxed));
	free(cls->by_mask);
}

size_t
cls_rule_words_size(const struct of_match *match)
{
	return of_mini_n(of_words_map(&match->mask.bits)) * sizeof(uint64_t);
}

void
cls_insert(struct classifier *cls, struct cls_rule *rule, const struct of_match *match,
	uint64_t *words)
{
	uint64_t map = of_words_map(&match->mask.bits), mask_words[OF_N_WORDS];
	struct cls_subtable *st;
	struct cls_slots *slots;
	uint32_t hash;
	bool is_new;

	of_words_get(&match->mask.bits, map, mask_words);
	hash = mask_hash(map, mask_words);
	st = find_subtable(cls, map, mask_words, hash);
	is_new = !st;
	if (is_new) {
		st = add_subtable(cls, map, mask_words, hash);
	}
	of_words_get(&match->value, map, words);
	rule->words = words;
	rule->subtable = st;
	atomic_fetch_add_explicit(&st->refs, 1, memory_order_relaxed);
	rule->hash = cls_value_hash(st, &match->value);
	cls_follow(cls, st, &match->value);

	slots = atomic_load_explicit(&st->slots, memory_order_relaxed);
	if ((st->n_used + 1) * 4 > (slots->mask + 1) * 3) {
		resize(cls, st);
		slots = atomic_load_explicit(&st->slots, memory_order_relaxed);
	}
	put_slot(slots, rule, &st->n_used);
	st->n_rules++;
	cls->n_rules++;
	if (count_priority(st, rule->priority, 1) || is_new) {
		publish_subtables(cls);
	}
}

void
cls_remove(struct classifier *cls, struct cls_rule *rule)
{
	struct cls_subtable *st = rule->subtable;
	struct cls_slots *slots = atomic_load_explicit(&st->slots, memory_order_relaxed);
	uint32_t i = rule->hash & slots->mask;
	bool changed;

	while (atomic_load_explicit(&slots->slot[i], memory_order_relaxed) != rule) {
		i = (i + 1) & slots->mask;
	}
	atomic_store_explicit(&slots->slot[i], &tombstone, memory_order_release);
	cls_unfollow(cls, st, rule);
	st->n_rules--;
	cls->n_rules--;
	changed = count_priority(st, rule->priority, -1);
	if (!st->n_rules) {
		remove_subtable(cls, st);
		return;
	}
	if (changed) {
		publish_subtables(cls);
	}
	if (slots->mask + 1 > MIN_SLOTS && st->n_rules * 8 < slots->mask + 1) {
		resize(cls, st);
	}
}

void
cls_rule_uninit(struct cls_rule *rule)
{
	unref_subtable(rule->subtable);
}

void
cls_rule_match(const struct cls_rule *rule, struct of_match *match)
{
	of_words_put(&match->value, rule->subtable->map, rule->words);
	of_words_put(&match->mask.bits, rule->subtable->map, rule->subtable->words);
}

uint64_t
cls_rule_map(const struct cls_rule *rule)
{
	return rule->subtable->map;
}

const uint64_t *
cls_rule_mask_words(const struct cls_rule *rule)
{
	return rule->subtable->words;
}

struct cls_rule *
cls_lookup(const struct classifier *cls, uint64_t version, const struct flow_key *key,
	struct flow_mask *wc)
{
	const struct cls_subtables *all =
		atomic_load_explicit(&cls->subtables, memory_order_acquire);
	const struct cls_rule *best = NULL;
	struct prefixes_found prefixes;

	memset(prefixes.known, 0, sizeof(prefixes.known));
	for (uint32_t i = 0; all && i < all->n; i++) {
		const struct cls_subtable *st = all->entries[i].subtable;
		uint32_t hash;

		if (best && !may_hold_better(&all->entries[i], best)) {
			break;
		}
		if (cls_may_match(cls, st, key, &prefixes, wc, &hash)) {
			best = best_in(st, version, key, hash, best);
		}
	}
	return (struct cls_rule *)best;
}

struct cls_rule *
cls_find(const struct classifier *cls, uint64_t version, const struct of_match *match,
	uint16_t priority)
{
	uint64_t map = of_words_map(&match->mask.bits), mask_words[OF_N_WORDS];
	const struct cls_subtable *st;

	of_words_get(&match->mask.bits, map, mask_words);
	st = find_subtable(cls, map, mask_words, mask_hash(map, mask_words));
	return st ? find_in(st, version, match, priority) : NULL;
}

struct cls_rule *
cls_find_shared(const struct classifier *cls, uint64_t version, const struct of_match *match,
	uint16_t priority)
{
	const struct cls_subtables *all =
		atomic_load_explicit(&cls->subtables, memory_order_acquire);
	uint64_t map = of_words_map(&match->mask.bits), mask_words[OF_N_WORDS];

	of_words_get(&match->mask.bits, map, mask_words);
	for (uint32_t i = 0; all && i < all->n; i++) {
		const struct cls_subtable *st = all->entries[i].subtable;

		if (st->map == map &&
			!memcmp(st->words, mask_words, of_mini_n(map) * sizeof(mask_words[0]))) {
			return find_in(st, version, match, priority);
		}
	}
	return NULL;
}

/* The rule of a subtable with that value and priority. */
static struct cls_rule *
find_in(const struct cls_subtable *st, uint64_t version, const struct of_match *match,
	uint16_t priority)
{
	const struct cls_slots *slots = atomic_load_explicit(&st->slots, memory_order_acquire);
	uint32_t hash = cls_value_hash(st, &match->value);

	for (uint32_t i = hash & slots->mask;; i = (i + 1) & slots->mask) {
		struct cls_rule *rule = atomic_load_explicit(&slots->slot[i], memory_order_acquire);

		if (!rule) {
			return NULL;
		}
		if (rule != &tombstone && rule->hash == hash && rule->priority == priority &&
			cls_rule_visible(rule, version) &&
			value_equal(st, rule->words, &match->value)) {
			return rule;
		}
	}
}

struct cls_rule *
cls_find_overlap(const struct classifier *cls, uint64_t version, const struct of_match *match,
	uint16_t priority)
{
	const struct cls_subtables *all =
		atomic_load_explicit(&cls->subtables, memory_order_relaxed);

	for (uint32_t n = 0; all && n < all->n; n++) {
		const struct cls_subtable *st = all->entries[n].subtable;
		const struct cls_slots *slots =
			atomic_load_explicit(&st->slots, memory_order_relaxed);

		if (all->entries[n].max_priority < priority) {
			break;
		}
		for (uint32_t i = 0; i <= slots->mask; i++) {
			struct cls_rule *rule =
				atomic_load_explicit(&slots->slot[i], memory_order_relaxed);
			struct of_match other;

			if (!rule || rule == &tombstone || rule->priority != priority ||
				!cls_rule_visible(rule, version)) {
				continue;
			}
			cls_rule_match(rule, &other);
			if (of_match_overlaps(&other, match)) {
				return rule;
			}
		}
	}
	return NULL;
}

void
cls_visit(const struct classifier *cls, uint64_t version, const struct of_match *match,
	bool (*visit)(struct cls_rule *rule, void *user), void *user)
{
	const struct cls_subtables *all =
		atomic_load_explicit(&cls->subtables, memory_order_relaxed);
	uint64_t want = of_words_map(&match->mask.bits);

	for (uint32_t n = 0; all && n < all->n; n++) {
		const struct cls_subtable *st = all->entries[n].subtable;
		const struct cls_slots *slots =
			atomic_load_explicit(&st->slots, memory_order_relaxed);

		if (want & ~st->map) {
			continue;
		}
		for (uint32_t i = 0; i <= slots->mask; i++) {
			struct cls_rule *rule =
				atomic_load_explicit(&slots->slot[i], memory_order_relaxed);
			struct of_match other;

			if (!rule || rule == &tombstone || !cls_rule_visible(rule, version)) {
				continue;
			}
			if (want) {
				cls_rule_match(rule, &other);
				if (!of_match_contains(match, &other)) {
					continue;
				}
			}
			if (!visit(rule, user)) {
				return;
			}
		}
	}
}

/* --- one subtable -------------------------------------------------------------------------------- */

/* Whether a rule of @st with that priority wins over @best (may be NULL): by its priority; among equals, which
 * OpenFlow leaves open (1.3.5 s.5.3), by the age of its mask. That order is there for as long as both rules are,
 * whatever else comes and goes. */
static bool
is_better(const struct cls_subtable *st, uint16_t priority, const struct cls_rule *best)
{
	if (!best || priority != best->priority) {
		return !best || priority > best->priority;
	}
	return st->serial < best->subtable->serial;
}

/* Whether that entry or one behind it may hold a rule that wins over @best. Entries of one highest priority are in
 * the order of their age, so a rule that was found under its subtable's highest priority ends the search. */
static bool
may_hold_better(const struct cls_entry *entry, const struct cls_rule *best)
{
	return is_better(entry->subtable, entry->max_priority, best);
}

/* The better of @best and the visible rules with @key's value. */
static const struct cls_rule *
best_in(const struct cls_subtable *st, uint64_t version, const struct flow_key *key, uint32_t hash,
	const struct cls_rule *best)
{
	const struct cls_slots *slots = atomic_load_explicit(&st->slots, memory_order_acquire);

	for (uint32_t i = hash & slots->mask;; i = (i + 1) & slots->mask) {
		const struct cls_rule *rule =
			atomic_load_explicit(&slots->slot[i], memory_order_acquire);

		if (!rule) {
			return best;
		}
		if (rule != &tombstone && rule->hash == hash &&
			is_better(st, rule->priority, best) && cls_rule_visible(rule, version) &&
			value_equal(st, rule->words, key)) {
			best = rule;
		}
	}
}

static void
put_slot(struct cls_slots *slots, struct cls_rule *rule, uint32_t *n_used)
{
	uint32_t i = rule->hash & slots->mask;

	for (;; i = (i + 1) & slots->mask) {
		const struct cls_rule *there =
			atomic_load_explicit(&slots->slot[i], memory_order_relaxed);

		if (!there || there == &tombstone) {
			*n_used += !there;
			atomic_store_explicit(&slots->slot[i], rule, memory_order_release);
			return;
		}
	}
}

static struct cls_slots *
new_slots(uint32_t size)
{
	struct cls_slots *slots = xcalloc(1, sizeof(*slots) + size * sizeof(slots->slot[0]));

	slots->mask = size - 1;
	return slots;
}

/* A new array, at most half full, without tombstones. */
static void
resize(struct classifier *cls, struct cls_subtable *st)
{
	struct cls_slots *old = atomic_load_explicit(&st->slots, memory_order_relaxed), *slots;
	uint32_t size = MIN_SLOTS;

	while (size < (st->n_rules + 1) * 2) {
		size *= 2;
	}
	slots = new_slots(size);
	st->n_used = 0;
	for (uint32_t i = 0; i <= old->mask; i++) {
		struct cls_rule *rule = atomic_load_explicit(&old->slot[i], memory_order_relaxed);

		if (rule && rule != &tombstone) {
			put_slot(slots, rule, &st->n_used);
		}
	}
	atomic_store_explicit(&st->slots, slots, memory_order_release);
	grace_retire(cls->grace, &old->retired, free_slots);
}

/* Whether the highest priority changed. */
static bool
count_priority(struct cls_subtable *st, uint16_t priority, int change)
{
	uint32_t low = 0, high = st->n_counts;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (st->counts[middle].priority > priority) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	if (low < st->n_counts && st->counts[low].priority == priority) {
		st->counts[low].n += (uint32_t)change;
		if (st->counts[low].n) {
			return false;
		}
		st->n_counts--;
		memmove(&st->counts[low], &st->counts[low + 1],
			(st->n_counts - low) * sizeof(st->counts[0]));
		return low == 0;
	}
	if (!(st->n_counts & (st->n_counts - 1))) {
		st->counts = xrealloc(
			st->counts, WEFT_MAX(2 * st->n_counts, 1u) * sizeof(st->counts[0]));
	}
	memmove(&st->counts[low + 1], &st->counts[low],
		(st->n_counts - low) * sizeof(st->counts[0]));
	st->counts[low] = (struct priority_count){priority, 1};
	st->n_counts++;
	return low == 0;
}

static bool
value_equal(const struct cls_subtable *st, const uint64_t *words, const struct flow_key *key)
{
	const uint64_t *mask = st->words;

	for (uint64_t map = st->map; map; map &= map - 1) {
		if ((key->words[__builtin_ctzll(map)] & *mask++) != *words++) {
			return false;
		}
	}
	return true;
}

/* --- the set of subtables ------------------------------------------------------------------------ */

static uint32_t
mask_hash(uint64_t map, const uint64_t *words)
{
	return hash_bytes(words, of_mini_n(map) * sizeof(*words), (uint32_t)(map ^ map >> 32));
}

static struct cls_subtable *
find_subtable(const struct classifier *cls, uint64_t map, const uint64_t *words, uint32_t hash)
{
	struct cls_subtable *st;

	if (!cls->by_mask_size) {
		return NULL;
	}
	for (st = cls->by_mask[hash & (cls->by_mask_size - 1)]; st; st = st->next_by_mask) {
		if (st->hash == hash && st->map == map &&
			!memcmp(st->words, words, of_mini_n(map) * sizeof(*words))) {
			return st;
		}
	}
	return NULL;
}

static struct cls_subtable *
add_subtable(struct classifier *cls, uint64_t map, const uint64_t *words, uint32_t hash)
{
	size_t words_size = of_mini_n(map) * sizeof(*words);
	struct cls_subtable *st, **bucket;

	if (cls->n_subtables >= cls->by_mask_size) {
		uint32_t size = WEFT_MAX(2 * cls->by_mask_size, 8u);
		struct cls_subtable **buckets = xcalloc(size, sizeof(*buckets));

		for (uint32_t i = 0; i < cls->by_mask_size; i++) {
			struct cls_subtable *next;

			for (struct cls_subtable *old = cls->by_mask[i]; old; old = next) {
				next = old->next_by_mask;
				old->next_by_mask = buckets[old->hash & (size - 1)];
				buckets[old->hash & (size - 1)] = old;
			}
		}
		free(cls->by_mask);
		cls->by_mask = buckets;
		cls->by_mask_size = size;
	}
	st = xcalloc(1,
		sizeof(*st) + words_size + cls_max_stage_words(of_mini_n(map)) * sizeof(uint64_t));
	st->map = map;
	memcpy(st->words, words, words_size);
	cls_make_stages(st);
	st->hash = hash;
	st->serial = cls->next_serial++;
	atomic_init(&st->refs, 1);
	atomic_init(&st->slots, new_slots(MIN_SLOTS));
	bucket = &cls->by_mask[hash & (cls->by_mask_size - 1)];
	st->next_by_mask = *bucket;
	*bucket = st;
	cls->n_subtables++;
	return st;
}

static void
remove_subtable(struct classifier *cls, struct cls_subtable *st)
{
	struct cls_subtable **p = &cls->by_mask[st->hash & (cls->by_mask_size - 1)];

	while (*p != st) {
		p = &(*p)->next_by_mask;
	}
	*p = st->next_by_mask;
	cls->n_subtables--;
	publish_subtables(cls);
	grace_retire(cls->grace, &st->retired, free_subtable);
}

static int
compare_entries(const void *a_, const void *b_)
{
	const struct cls_entry *a = a_, *b = b_;

	if (a->max_priority != b->max_priority) {
		return a->max_priority < b->max_priority ? 1 : -1;
	}
	return a->subtable->serial < b->subtable->serial ? -1 : 1;
}

/* A new array with every subtable that has rules, sorted. */
static void
publish_subtables(struct classifier *cls)
{
	struct cls_subtables *old = atomic_load_explicit(&cls->subtables, memory_order_relaxed),
			     *all;

	all = xmalloc(sizeof(*all) + cls->n_subtables * sizeof(all->entries[0]));
	all->n = 0;
	for (uint32_t i = 0; i < cls->by_mask_size; i++) {
		for (struct cls_subtable *st = cls->by_mask[i]; st; st = st->next_by_mask) {
			all->entries[all->n++] = (struct cls_entry){st, st->counts[0].priority};
		}
	}
	qsort(all->entries, all->n, sizeof(all->entries[0]), compare_entries);
	atomic_store_explicit(&cls->subtables, all, memory_order_release);
	if (old) {
		grace_retire(cls->grace, &old->retired, free_subtables);
	}
}

static void
free_slots(struct grace_item *item)
{
	free(WEFT_CONTAINER_OF(item, struct cls_slots, retired));
}

static void
free_subtable(struct grace_item *item)
{
	unref_subtable(WEFT_CONTAINER_OF(item, struct cls_subtable, retired));
}

static void
unref_subtable(struct cls_subtable *st)
{
	if (atomic_fetch_sub_explicit(&st->refs, 1, memory_order_acq_rel) > 1) {
		return;
	}
	for (unsigned i = 0; i < STAGE_N; i++) {
		hash_bag_uninit(&st->stages[i].bag);
	}
	free(atomic_load_explicit(&st->slots, memory_order_relaxed));
	free(st->counts);
	free(st);
}

static void
free_subtables(struct grace_item *item)
{
	free(WEFT_CONTAINER_OF(item, struct cls_subtables, retired));
}

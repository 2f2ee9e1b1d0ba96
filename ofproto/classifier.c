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
#include "ofproto/hash_bag.h"

#define MIN_SLOTS 4

/* In the order in which a subtable's bits are looked at. */
enum stage {
	STAGE_PIPELINE, /* ports, metadata, registers, tunnels, connections */
	STAGE_L2,
	STAGE_L3,        /* which protocol, and how it is to be treated */
	STAGE_ADDRESSES, /* of L3 */
	STAGE_L4,
	STAGE_N,
};

/* The bytes of the key that are looked at later than those of the pipeline. */
static const struct stage_bytes {
	uint16_t from;
	uint16_t to;
	enum stage stage;
} stage_bytes[] = {
#define BYTES(FIRST, BEHIND, STAGE)                                                                \
	{                                                                                          \
		offsetof(struct flow_key, FIRST), offsetof(struct flow_key, BEHIND), STAGE         \
	}
	BYTES(eth_dst, tcp_flags, STAGE_L2),
	BYTES(tcp_flags, ip_src, STAGE_L4),
	BYTES(ip_src, ip_proto, STAGE_ADDRESSES),
	BYTES(ip_proto, l4_src, STAGE_L3),
	BYTES(l4_src, tun_id_lo, STAGE_L4),
	BYTES(ipv6_src, nd_target, STAGE_ADDRESSES),
	BYTES(nd_target, flabel_exthdr, STAGE_L4),
	BYTES(flabel_exthdr, tun_src, STAGE_L3),
	BYTES(mpls_lse, packet_type, STAGE_L2),
#undef BYTES
};

/* Fields whose prefixes are followed, each of one stage. */
static const struct prefix_field {
	uint16_t offset;
	uint16_t width; /* bits */
	enum stage stage;
} prefix_fields[CLS_N_PREFIXES] = {
	{offsetof(struct flow_key, ip_src), 32, STAGE_ADDRESSES},
	{offsetof(struct flow_key, ip_dst), 32, STAGE_ADDRESSES},
	{offsetof(struct flow_key, ipv6_src), 128, STAGE_ADDRESSES},
	{offsetof(struct flow_key, ipv6_dst), 128, STAGE_ADDRESSES},
	{offsetof(struct flow_key, l4_src), 16, STAGE_L4},
	{offsetof(struct flow_key, l4_dst), 16, STAGE_L4},
};

/* What a lookup has found about the key's prefixes so far. */
struct prefixes_found {
	struct prefix_found found[CLS_N_PREFIXES];
	bool known[CLS_N_PREFIXES];
};

struct cls_slots {
	struct grace_item retired;
	uint32_t mask; /* size - 1 */
	_Atomic(struct cls_rule *) slot[];
};

struct priority_count {
	uint16_t priority;
	uint32_t n;
};

struct cls_subtable {
	struct grace_item retired;
	uint64_t map;
	_Atomic(struct cls_slots *) slots;
	_Atomic uint32_t refs; /* of the table, and of each rule until its memory is freed */
	/* The writer's. */
	struct cls_subtable *next_by_mask;
	struct priority_count *counts; /* descending */
	uint32_t n_counts;
	uint32_t n_rules;
	uint32_t n_used; /* slots that are not empty */
	uint32_t hash;   /* of the mask */
	uint64_t serial;
	/* For all. */
	struct cls_stage {
		uint64_t map;        /* words with bits of this stage */
		uint64_t *words;     /* those bits, behind @words */
		struct hash_bag bag; /* of the values up to this stage; unused in the last one */
	} stages[STAGE_N];
	enum stage last;
	uint8_t prefix_len
		[CLS_N_PREFIXES]; /* bits of the mask, if they are a prefix; 0: not looked at */
	uint64_t words[];         /* the mask's, in the order of @map */
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
static void make_stages(struct cls_subtable *st);
static uint64_t stage_hash(const struct cls_stage *s, uint64_t h, const struct flow_key *key);
static uint32_t value_hash(const struct cls_subtable *st, const struct flow_key *key);
static void follow(struct classifier *cls, struct cls_subtable *st, const struct flow_key *value);
static void unfollow(struct classifier *cls, struct cls_subtable *st, const struct cls_rule *rule);
static bool may_match(const struct classifier *cls, const struct cls_subtable *st,
	const struct flow_key *key, struct prefixes_found *prefixes, struct flow_mask *wc,
	uint32_t *hash);
static bool may_begin(const struct classifier *cls, const struct cls_subtable *st, enum stage stage,
	const struct flow_key *key, struct prefixes_found *prefixes, struct flow_mask *wc);
static bool value_equal(
	const struct cls_subtable *st, const uint64_t *words, const struct flow_key *key);
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
	rule->hash = value_hash(st, &match->value);
	follow(cls, st, &match->value);

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
	unfollow(cls, st, rule);
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

		if (best && all->entries[i].max_priority <= best->priority) {
			break;
		}
		if (may_match(cls, st, key, &prefixes, wc, &hash)) {
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
	const struct cls_slots *slots;
	uint32_t hash;

	of_words_get(&match->mask.bits, map, mask_words);
	st = find_subtable(cls, map, mask_words, mask_hash(map, mask_words));
	if (!st) {
		return NULL;
	}
	slots = atomic_load_explicit(&st->slots, memory_order_relaxed);
	hash = value_hash(st, &match->value);
	for (uint32_t i = hash & slots->mask;; i = (i + 1) & slots->mask) {
		struct cls_rule *rule = atomic_load_explicit(&slots->slot[i], memory_order_relaxed);

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
			(!best || rule->priority > best->priority) &&
			cls_rule_visible(rule, version) && value_equal(st, rule->words, key)) {
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

/* Of all stages, one after the other. */
static uint32_t
value_hash(const struct cls_subtable *st, const struct flow_key *key)
{
	uint64_t h = st->map;

	for (unsigned i = 0; i < STAGE_N; i++) {
		h = stage_hash(&st->stages[i], h, key);
	}
	return hash_finish(h);
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

/* --- stages and prefixes ------------------------------------------------------------------------- */

/* Bits of @mask in word @at that belong to the stage. */
static uint64_t
bits_of_stage(unsigned at, uint64_t mask, enum stage stage)
{
	struct flow_key bits;

	memset(&bits, 0, sizeof(bits));
	bits.words[at] = mask;
	for (unsigned b = 8 * at; b < 8 * (at + 1); b++) {
		enum stage of_byte = STAGE_PIPELINE;

		for (size_t i = 0; i < WEFT_ARRAY_SIZE(stage_bytes); i++) {
			if (b >= stage_bytes[i].from && b < stage_bytes[i].to) {
				of_byte = stage_bytes[i].stage;
			}
		}
		if (of_byte != stage) {
			bits.bytes[b] = 0;
		}
	}
	return bits.words[at];
}

/* The words of all stages: at most so many for @n words of a mask. */
static size_t
max_stage_words(unsigned n)
{
	return (size_t)n * STAGE_N;
}

static void
make_stages(struct cls_subtable *st)
{
	uint64_t *at = st->words + of_mini_n(st->map);
	struct flow_key mask;

	for (unsigned i = 0; i < STAGE_N; i++) {
		struct cls_stage *s = &st->stages[i];
		const uint64_t *word = st->words;

		s->words = at;
		for (uint64_t map = st->map; map; map &= map - 1) {
			unsigned w = (unsigned)__builtin_ctzll(map);
			uint64_t bits = bits_of_stage(w, *word++, i);

			if (bits) {
				s->map |= UINT64_C(1) << w;
				*at++ = bits;
				st->last = i;
			}
		}
	}
	of_words_put(&mask, st->map, st->words);
	for (unsigned i = 0; i < CLS_N_PREFIXES; i++) {
		const uint8_t *bytes = mask.bytes + prefix_fields[i].offset;
		unsigned n = 0, width = prefix_fields[i].width;

		while (n < width && bytes[n / 8] >> (7 - n % 8) & 1) {
			n++;
		}
		st->prefix_len[i] = (uint8_t)n;
	}
}

static uint64_t
stage_hash(const struct cls_stage *s, uint64_t h, const struct flow_key *key)
{
	const uint64_t *mask = s->words;

	for (uint64_t map = s->map; map; map &= map - 1) {
		h = hash_mix(h, key->words[__builtin_ctzll(map)] & *mask++);
	}
	return h;
}

/* Notes a rule's values, before it can be seen. */
static void
follow(struct classifier *cls, struct cls_subtable *st, const struct flow_key *value)
{
	uint64_t h = st->map;

	for (unsigned i = 0; i < st->last; i++) {
		h = stage_hash(&st->stages[i], h, value);
		if (st->stages[i].map) {
			hash_bag_add(&st->stages[i].bag, cls->grace, hash_finish(h));
		}
	}
	for (unsigned i = 0; i < CLS_N_PREFIXES; i++) {
		if (st->prefix_len[i]) {
			prefix_trie_insert(&cls->prefixes[i],
				value->bytes + prefix_fields[i].offset, st->prefix_len[i]);
		}
	}
}

static void
unfollow(struct classifier *cls, struct cls_subtable *st, const struct cls_rule *rule)
{
	struct flow_key value;
	uint64_t h = st->map;

	of_words_put(&value, st->map, rule->words);
	for (unsigned i = 0; i < st->last; i++) {
		h = stage_hash(&st->stages[i], h, &value);
		if (st->stages[i].map) {
			hash_bag_remove(&st->stages[i].bag, cls->grace, hash_finish(h));
		}
	}
	for (unsigned i = 0; i < CLS_N_PREFIXES; i++) {
		if (st->prefix_len[i]) {
			prefix_trie_remove(&cls->prefixes[i], value.bytes + prefix_fields[i].offset,
				st->prefix_len[i]);
		}
	}
}

/* Whether a rule of the subtable may match; adds to @wc what was looked at to know. @hash: of the key, if it
 * may. */
static bool
may_match(const struct classifier *cls, const struct cls_subtable *st, const struct flow_key *key,
	struct prefixes_found *prefixes, struct flow_mask *wc, uint32_t *hash)
{
	uint64_t h = st->map;

	*hash = hash_finish(h); /* of a mask without bits */
	for (unsigned i = 0; i <= st->last; i++) {
		const struct cls_stage *s = &st->stages[i];
		const uint64_t *mask = s->words;

		if (!s->map) {
			continue;
		}
		if (!may_begin(cls, st, i, key, prefixes, wc)) {
			return false;
		}
		for (uint64_t map = wc ? s->map : 0; map; map &= map - 1) {
			wc->bits.words[__builtin_ctzll(map)] |= *mask++;
		}
		h = stage_hash(s, h, key);
		*hash = hash_finish(h);
		if (i < st->last && !hash_bag_has(&s->bag, *hash)) {
			return false;
		}
	}
	return true;
}

/* The same by the prefixes of the stage's fields alone. */
static bool
may_begin(const struct classifier *cls, const struct cls_subtable *st, enum stage stage,
	const struct flow_key *key, struct prefixes_found *prefixes, struct flow_mask *wc)
{
	for (unsigned i = 0; i < CLS_N_PREFIXES; i++) {
		const struct prefix_field *f = &prefix_fields[i];
		struct prefix_found *found = &prefixes->found[i];
		unsigned len = st->prefix_len[i], n;

		if (!len || f->stage != stage) {
			continue;
		}
		if (!prefixes->known[i]) {
			prefix_trie_find(
				&cls->prefixes[i], key->bytes + f->offset, f->width, found);
			prefixes->known[i] = true;
		}
		if (prefix_found_has(found, len)) {
			continue;
		}
		n = WEFT_MIN(found->n_bits, len);
		for (unsigned b = 0; wc && b < n; b++) {
			wc->bits.bytes[f->offset + b / 8] |= (uint8_t)(0x80 >> b % 8);
		}
		return false;
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
	st = xcalloc(
		1, sizeof(*st) + words_size + max_stage_words(of_mini_n(map)) * sizeof(uint64_t));
	st->map = map;
	memcpy(st->words, words, words_size);
	make_stages(st);
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

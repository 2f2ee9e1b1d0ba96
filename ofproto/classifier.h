/* SPDX-License-Identifier: Apache-2.0
 *
 * Classifier: the rules of one table, found by priority.
 *
 * What:     tuple-space search. Rules with the same mask form a subtable, a hash table by masked
 *           value. Subtables are looked at in order of their highest priority, until none left
 *           can beat the best rule found. Of equal priorities the rule of the older subtable wins: that
 *           costs nothing, and is the same for as long as both rules are there.
 * Versions: a rule is visible in versions [added, removed). A lookup is given one version and sees
 *           exactly the rules of that version, whatever the writer does meanwhile.
 * Bits:     a lookup adds to @wc every bit of the key that its result depends on: any packet that
 *           agrees in those bits gets the same rule from the same version. To keep them few a subtable is
 *           looked at in stages (pipeline fields, L2, L3 without and with addresses, L4): when no rule has the packet's values up to one, the
 *           later ones are not looked at. And of addresses and L4 ports no more is looked at than
 *           tells that no rule's prefix of the subtable's length is the packet's.
 * Threads:  lookups run in any number of readers between grace_enter() and grace_leave(), without
 *           locks; insert, remove, find and iterate in the one writer.
 * Memory:   a rule stores the non-zero words of its mask's value alone, behind struct cls_rule; the
 *           mask stands once in the subtable.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ofproto/grace.h"
#include "ofproto/of_match.h"
#include "ofproto/prefix_trie.h"

struct cls_subtable;
struct cls_subtables;

#define CLS_NEVER UINT64_MAX /* removed: not yet */
#define CLS_N_PREFIXES 6     /* fields whose prefixes are followed */

/* Stands in a rule, with the value's words behind the rule: cls_rule_words_size() bytes at the
 * place that cls_insert() is told. */
struct cls_rule {
	struct cls_subtable *subtable; /* set by cls_insert() */
	uint64_t *words;               /* in the order of the subtable's mask */
	_Atomic uint64_t added;
	_Atomic uint64_t removed;
	uint32_t hash;
	uint16_t priority;
};

struct classifier {
	struct grace *grace;
	_Atomic(struct cls_subtables *) subtables; /* sorted by priority; replaced as a whole */
	struct cls_subtable **by_mask;             /* the writer's hash of subtables */
	uint32_t by_mask_size;
	struct prefix_trie prefixes[CLS_N_PREFIXES];
	uint32_t n_subtables;
	uint64_t next_serial;
	size_t n_rules;
};

void classifier_init(struct classifier *cls, struct grace *grace);
/* No rule may be left. */
void classifier_uninit(struct classifier *cls);

/* Bytes that the words of @match take in a rule. */
size_t cls_rule_words_size(const struct of_match *match);

/* Inserts @rule, whose priority, added and removed are set; @words: room for its words. */
void cls_insert(struct classifier *cls, struct cls_rule *rule, const struct of_match *match,
	uint64_t *words);
/* Unlinks it. Readers may still see it: free it after a grace period. Its versions stay. */
void cls_remove(struct classifier *cls, struct cls_rule *rule);

/* Any thread: the memory of a removed rule is about to be freed. */
void cls_rule_uninit(struct cls_rule *rule);

/* The match it was inserted with; until cls_rule_uninit(). */
void cls_rule_match(const struct cls_rule *rule, struct of_match *match);
uint64_t cls_rule_map(const struct cls_rule *rule);
/* The mask's words, in the order of the map; the value's are @words. */
const uint64_t *cls_rule_mask_words(const struct cls_rule *rule);

static inline bool
cls_rule_visible(const struct cls_rule *rule, uint64_t version)
{
	return atomic_load_explicit(&rule->added, memory_order_acquire) <= version &&
	       version < atomic_load_explicit(&rule->removed, memory_order_acquire);
}

/* The visible rule of highest priority that matches @key (all blocks present), or NULL. The bits that
 * the result depends on are added to @wc (may be NULL). */
struct cls_rule *cls_lookup(const struct classifier *cls, uint64_t version,
	const struct flow_key *key, struct flow_mask *wc);

/* Writer: the rule with exactly that match and priority that is visible in @version, or NULL. */
struct cls_rule *cls_find(const struct classifier *cls, uint64_t version,
	const struct of_match *match, uint16_t priority);

/* The same for any thread that may look up; a search through the masks. */
struct cls_rule *cls_find_shared(const struct classifier *cls, uint64_t version,
	const struct of_match *match, uint16_t priority);

/* Writer: a rule of the same priority, visible in @version, that can match a packet that @match also
 * does, or NULL. */
struct cls_rule *cls_find_overlap(const struct classifier *cls, uint64_t version,
	const struct of_match *match, uint16_t priority);

/* Writer: calls @visit for each rule that is visible in @version and that @match contains (not
 * strict), until it returns false. @visit may change the rule's versions, but not insert or
 * remove. */
void cls_visit(const struct classifier *cls, uint64_t version, const struct of_match *match,
	bool (*visit)(struct cls_rule *rule, void *user), void *user);

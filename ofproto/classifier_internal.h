/* SPDX-License-Identifier: Apache-2.0
 *
 * Classifier: subtables, shared by classifier.c (rules, versions, the set of subtables) and classifier_stage.c
 * (how much of a packet is looked at).
 */
#pragma once

#include "ofproto/classifier.h"
#include "ofproto/hash_bag.h"

/* In the order in which a subtable's bits are looked at. */
enum stage {
	STAGE_PIPELINE, /* ports, metadata, registers, tunnels, connections */
	STAGE_L2,
	STAGE_L3,        /* which protocol, and how it is to be treated */
	STAGE_ADDRESSES, /* of L3 */
	STAGE_L4,
	STAGE_N,
};

/* What a lookup has found about the key's prefixes so far. */
struct prefixes_found {
	struct prefix_found found[CLS_N_PREFIXES];
	bool known[CLS_N_PREFIXES];
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
		[CLS_N_PREFIXES]; /* leading ones of the mask; what is behind them is hashed alone */
	uint64_t words[];         /* the mask's, in the order of @map */
};

/* Words behind @words for the stages of a mask with @n words. */
static inline size_t
cls_max_stage_words(unsigned n)
{
	return (size_t)n * STAGE_N;
}

/* Of a new subtable, whose map and mask are set. */
void cls_make_stages(struct cls_subtable *st);
/* Of the bits that the subtable's mask looks at, stage by stage. */
uint32_t cls_value_hash(const struct cls_subtable *st, const struct flow_key *key);
/* Notes a rule's value, before it can be seen; and forgets that of one that cannot any more. */
void cls_follow(struct classifier *cls, struct cls_subtable *st, const struct flow_key *value);
void cls_unfollow(struct classifier *cls, struct cls_subtable *st, const struct cls_rule *rule);
/* Whether a rule of the subtable may match; adds to @wc (may be NULL) what was looked at to know. @hash: of
 * the key, if it may. */
bool cls_may_match(const struct classifier *cls, const struct cls_subtable *st,
	const struct flow_key *key, struct prefixes_found *prefixes, struct flow_mask *wc,
	uint32_t *hash);

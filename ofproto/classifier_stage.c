/* SPDX-License-Identifier: Apache-2.0
 *
 * Classifier: stages and prefixes, by which a lookup looks at no more of a packet than it must.
 */
#include "ofproto/classifier_internal.h"

#include <string.h>

#include "lib/hash.h"

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
	BYTES(nd_reserved, ipv6_src, STAGE_L4),
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

static bool may_begin(const struct classifier *cls, const struct cls_subtable *st, enum stage stage,
	const struct flow_key *key, struct prefixes_found *prefixes, struct flow_mask *wc);

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

void
cls_make_stages(struct cls_subtable *st)
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

uint32_t
cls_value_hash(const struct cls_subtable *st, const struct flow_key *key)
{
	uint64_t h = st->map;

	for (unsigned i = 0; i < STAGE_N; i++) {
		h = stage_hash(&st->stages[i], h, key);
	}
	return hash_finish(h);
}

void
cls_follow(struct classifier *cls, struct cls_subtable *st, const struct flow_key *value)
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

void
cls_unfollow(struct classifier *cls, struct cls_subtable *st, const struct cls_rule *rule)
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

bool
cls_may_match(const struct classifier *cls, const struct cls_subtable *st,
	const struct flow_key *key, struct prefixes_found *prefixes, struct flow_mask *wc,
	uint32_t *hash)
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

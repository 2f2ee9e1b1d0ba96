/* SPDX-License-Identifier: Apache-2.0
 *
 * Matches: building, comparing, prerequisites.
 */
#include "ofproto/of_match.h"

#include <string.h>

#include "lib/strbuf.h"
#include "ofproto/of_error.h"

/* For each prerequisite, the bits of all fields that stand on it. Filled once, before main(). */
static struct flow_mask bits_of[FIELD_PRE_N];
static uint64_t map_of[FIELD_PRE_N];

static bool refuse_field(
	const struct of_match *m, const struct flow_mask *allowed, struct weft_error *err);

static void __attribute__((constructor)) fill_bits(void)
{
	for (unsigned id = 0; id < FIELD_N; id++) {
		const struct field *f = field_get(id);

		field_mask_exact(f, &bits_of[f->prereq]);
	}
	for (unsigned i = 0; i < FIELD_PRE_N; i++) {
		map_of[i] = of_words_map(&bits_of[i].bits);
	}
}

void
of_match_init(struct of_match *m)
{
	memset(m, 0, sizeof(*m));
}

void
of_match_set(struct of_match *m, enum field_id field, const union field_value *value,
	const union field_value *mask)
{
	const struct field *f = field_get(field);
	union field_value ones, masked = *value;

	if (!mask) {
		field_value_ones(f, &ones);
		mask = &ones;
	}
	for (unsigned i = 0; i < f->n_bytes; i++) {
		masked.b[i] &= mask->b[i];
	}
	field_store(f, &m->value, &masked);
	field_store(f, &m->mask.bits, mask);
}

void
of_match_set_u64(struct of_match *m, enum field_id field, uint64_t value)
{
	union field_value v;

	field_value_from_u64(field_get(field), value, &v);
	of_match_set(m, field, &v, NULL);
}

void
of_match_set_u64_masked(struct of_match *m, enum field_id field, uint64_t value, uint64_t mask)
{
	union field_value v, k;

	field_value_from_u64(field_get(field), value, &v);
	field_value_from_u64(field_get(field), mask, &k);
	of_match_set(m, field, &v, &k);
}

bool
of_match_equal(const struct of_match *a, const struct of_match *b)
{
	return !memcmp(a, b, sizeof(*a));
}

bool
of_match_is_any(const struct of_match *m)
{
	return !of_words_map(&m->mask.bits);
}

bool
of_match_contains(const struct of_match *general, const struct of_match *specific)
{
	for (unsigned i = 0; i < OF_N_WORDS; i++) {
		uint64_t mask = general->mask.bits.words[i];

		if (mask & ~specific->mask.bits.words[i] ||
			(general->value.words[i] ^ specific->value.words[i]) & mask) {
			return false;
		}
	}
	return true;
}

bool
of_match_overlaps(const struct of_match *a, const struct of_match *b)
{
	for (unsigned i = 0; i < OF_N_WORDS; i++) {
		if ((a->value.words[i] ^ b->value.words[i]) & a->mask.bits.words[i] &
			b->mask.bits.words[i]) {
			return false;
		}
	}
	return true;
}

bool
of_match_check(const struct of_match *m, struct weft_error *err)
{
	uint64_t map = of_words_map(&m->mask.bits);
	struct flow_mask allowed = bits_of[FIELD_PRE_NONE];

	for (unsigned pre = FIELD_PRE_NONE + 1; pre < FIELD_PRE_N; pre++) {
		if (map & map_of[pre] && field_prereq_matched(pre, &m->value, &m->mask)) {
			for (uint64_t left = map & map_of[pre]; left; left &= left - 1) {
				unsigned i = (unsigned)__builtin_ctzll(left);

				allowed.bits.words[i] |= bits_of[pre].bits.words[i];
			}
		}
	}
	for (uint64_t left = map; left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctzll(left);

		if (m->mask.bits.words[i] & ~allowed.bits.words[i]) {
			return refuse_field(m, &allowed, err);
		}
	}
	return true;
}

uint64_t
of_words_map(const struct flow_key *key)
{
	uint64_t map = 0;

	for (unsigned i = 0; i < OF_N_WORDS; i++) {
		map |= (uint64_t) !!key->words[i] << i;
	}
	return map;
}

void
of_words_get(const struct flow_key *key, uint64_t map, uint64_t *words)
{
	for (; map; map &= map - 1) {
		*words++ = key->words[__builtin_ctzll(map)];
	}
}

void
of_words_put(struct flow_key *key, uint64_t map, const uint64_t *words)
{
	memset(key, 0, sizeof(*key));
	for (; map; map &= map - 1) {
		key->words[__builtin_ctzll(map)] = *words++;
	}
}

/* Names a field that lacks its prerequisite. */
static bool
refuse_field(const struct of_match *m, const struct flow_mask *allowed, struct weft_error *err)
{
	for (unsigned id = 0; id < FIELD_N; id++) {
		const struct field *f = field_get(id);

		if (f->prereq != FIELD_PRE_NONE && field_is_masked(f, &m->mask) &&
			!field_is_masked(f, allowed)) {
			return of_error_set(err, OFPET_BAD_MATCH, OFPBMC_BAD_PREREQ,
				"match on %s without what it stands on (such as eth_type)",
				f->name);
		}
	}
	return of_error_set(err, OFPET_BAD_MATCH, OFPBMC_BAD_PREREQ,
		"match on a field without its prerequisite");
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Matches: a value and a mask over the whole flow key.
 *
 * Forms:  struct of_match, two whole keys, is what everybody computes with. A stored mask (struct
 *         of_mini) keeps only the words that are not zero; a rule stores just the value words of
 *         its classifier mask (classifier.h).
 * Ports:  in ofproto/ in_port, in_phy_port and actset_output hold OpenFlow numbers.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/field.h"
#include "lib/flow_key.h"

struct weft_error;

/* Invariant: no bit of @value outside @mask. */
struct of_match {
	struct flow_key value;
	struct flow_mask mask;
};

#define OF_N_WORDS (FLOW_KEY_SIZE / 8)
_Static_assert(OF_N_WORDS == 64, "a bitmap of words fits in 64 bits");

/* Words of a key: @map says which (bit N: word N of the key), @words holds them in order. */
struct of_mini {
	uint64_t map;
	uint64_t words[];
};

static inline unsigned
of_mini_n(uint64_t map)
{
	return (unsigned)__builtin_popcountll(map);
}

/* Matches everything. */
void of_match_init(struct of_match *m);

/* Matches a field exactly, or under @mask. Earlier bits of the field are replaced. */
void of_match_set(struct of_match *m, enum field_id field, const union field_value *value,
	const union field_value *mask);
void of_match_set_u64(struct of_match *m, enum field_id field, uint64_t value);
void of_match_set_u64_masked(
	struct of_match *m, enum field_id field, uint64_t value, uint64_t mask);

bool of_match_equal(const struct of_match *a, const struct of_match *b);
bool of_match_is_any(const struct of_match *m);

/* Whether every packet that @specific matches, @general matches too (non-strict selection of
 * OpenFlow 1.3.5 s.6.4). */
bool of_match_contains(const struct of_match *general, const struct of_match *specific);

/* Whether both can match one packet. */
bool of_match_overlaps(const struct of_match *a, const struct of_match *b);

/* Whether the mask has a field whose prerequisites the match does not establish, or only bits of
 * fields that exclude each other: OFPBMC_BAD_PREREQ (OpenFlow 1.3.5 s.A.2.3.6). */
bool of_match_check(const struct of_match *m, struct weft_error *err) WEFT_MUST_CHECK;

/* Bitmap of the words that are not zero; and those words, in order, into @words. */
uint64_t of_words_map(const struct flow_key *key);
void of_words_get(const struct flow_key *key, uint64_t map, uint64_t *words);
/* The key of those words, all others zero. */
void of_words_put(struct flow_key *key, uint64_t map, const uint64_t *words);

/* SPDX-License-Identifier: Apache-2.0
 *
 * Nicira's learn action: building, walking and checking its specs.
 */
#include <string.h>

#include "lib/compiler.h"
#include "ofproto/of_action_internal.h"
#include "ofproto/of_error.h"
#include "ofproto/of_match.h"
#include "ofproto/oxm.h"

static size_t spec_size(const struct of_learn_spec *spec);
static bool check_bits(const struct of_learn_bits *bits, unsigned n_bits,
	const struct of_match *match, struct weft_error *err);
static void match_constant(struct of_match *match, const struct of_learn_spec *spec);

size_t
of_actions_begin_learn(struct of_actions *list, const struct of_action_learn *learn)
{
	size_t at = list->size;
	struct of_action_learn *a = of_actions_put(list, OF_ACTION_LEARN, sizeof(*a));
	struct of_action_hdr hdr = a->hdr;

	*a = *learn;
	a->hdr = hdr;
	memset(a->zero, 0, sizeof(a->zero));
	return at;
}

void
of_actions_put_learn_spec(
	struct of_actions *list, const struct of_learn_spec *spec, const void *value)
{
	size_t size = spec_size(spec), value_size = of_learn_value_size(spec);
	struct of_learn_spec *s;

	of_actions_reserve(list, size);
	s = (void *)(list->data + list->size);
	memset(s, 0, size);
	memcpy(s, spec, sizeof(*spec));
	if (value_size) {
		memcpy(s->value, value, value_size);
	}
	list->size += size;
}

const struct of_learn_spec *
of_learn_next(const struct of_action_learn *learn, const struct of_learn_spec *after)
{
	const uint8_t *at =
		after ? (const uint8_t *)after + spec_size(after) : (const uint8_t *)(learn + 1);

	return at < (const uint8_t *)learn + learn->hdr.len ? (const void *)at : NULL;
}

bool
of_learn_is_whole(const struct of_action_learn *learn)
{
	const uint8_t *at = (const uint8_t *)(learn + 1);
	size_t left = learn->hdr.len - sizeof(*learn);

	while (left) {
		const struct of_learn_spec *s = (const void *)at;

		if (left < sizeof(*s) || s->to >= OF_LEARN_TO_N || s->is_constant > 1 ||
			(s->is_constant && s->to == OF_LEARN_OUTPUT) || left < spec_size(s) ||
			s->src.field >= FIELD_N || s->dst.field >= FIELD_N ||
			s->src.form >= OXM_FORM_N || s->dst.form >= OXM_FORM_N ||
			(!s->is_constant &&
				s->src.ofs + s->n_bits >
					(int)oxm_form_width(s->src.field, s->src.form)) ||
			(s->to != OF_LEARN_OUTPUT &&
				s->dst.ofs + s->n_bits >
					(int)oxm_form_width(s->dst.field, s->dst.form))) {
			return false;
		}
		at += spec_size(s);
		left -= spec_size(s);
	}
	return learn->table < OF_N_TABLES;
}

bool
of_learn_check(
	const struct of_action_learn *learn, const struct of_match *match, struct weft_error *err)
{
	const struct of_learn_spec *s = NULL;
	struct of_match learned;

	if (learn->table >= OF_N_TABLES) {
		return of_error_set(err, OFPET_BAD_ACTION, OFPBAC_BAD_ARGUMENT,
			"learn into table %u", learn->table);
	}
	of_match_init(&learned);
	while ((s = of_learn_next(learn, s))) {
		if (!s->is_constant && !check_bits(&s->src, s->n_bits, match, err)) {
			return false;
		}
		if (s->to == OF_LEARN_OUTPUT) {
			continue;
		}
		if (!check_bits(&s->dst, s->n_bits, &learned, err)) {
			return false;
		}
		if (s->to == OF_LEARN_MATCH && s->is_constant) {
			match_constant(&learned, s);
		}
		if (s->to == OF_LEARN_LOAD && !(field_get(s->dst.field)->flags & FIELD_WRITABLE)) {
			return of_error_set(err, OFPET_BAD_ACTION, OFPBAC_BAD_SET_ARGUMENT,
				"learn: %s cannot be set", field_get(s->dst.field)->name);
		}
	}
	return true;
}

static size_t
spec_size(const struct of_learn_spec *spec)
{
	return sizeof(*spec) + WEFT_ROUND_UP(of_learn_value_size(spec), (size_t)8);
}

static bool
check_bits(const struct of_learn_bits *bits, unsigned n_bits, const struct of_match *match,
	struct weft_error *err)
{
	const struct field *f = field_get(bits->field);

	if (!n_bits || bits->ofs + n_bits > oxm_form_width(bits->field, bits->form)) {
		return of_error_set(err, OFPET_BAD_ACTION, OFPBAC_BAD_SET_LEN,
			"learn: %u bits at %u do not fit in %s", n_bits, bits->ofs, f->name);
	}
	if (match && !field_prereq_matched(f->prereq, &match->value, &match->mask)) {
		return of_error_set(err, OFPET_BAD_ACTION, OFPBAC_MATCH_INCONSISTENT,
			"learn: %s of packets that need not have it", f->name);
	}
	return true;
}

static void
match_constant(struct of_match *match, const struct of_learn_spec *spec)
{
	union field_value value = {{0}};

	memcpy(value.b, spec->value, of_learn_value_size(spec));
	of_learn_match(match, &spec->dst, spec->n_bits, &value);
}

void
of_learn_match(struct of_match *match, const struct of_learn_bits *dst, unsigned n_bits,
	const union field_value *bits)
{
	const struct field *f = field_get(dst->field);
	union field_value value, mask;

	field_load(f, &match->value, &value);
	field_load(f, &match->mask.bits, &mask);
	of_learn_place(dst, n_bits, bits, &value, &mask);
	of_match_set(match, dst->field, &value, &mask);
}

void
of_learn_place(const struct of_learn_bits *dst, unsigned n_bits, const union field_value *bits,
	union field_value *value, union field_value *mask)
{
	const struct field *f = field_get(dst->field);
	union field_value ones;

	memset(&ones, 0xff, sizeof(ones));
	of_bits_copy(bits->b, (n_bits + 7u) / 8, 0, value->b, f->n_bytes, dst->ofs, n_bits);
	of_bits_copy(ones.b, (n_bits + 7u) / 8, 0, mask->b, f->n_bytes, dst->ofs, n_bits);
	if (dst->form == OXM_FORM_MAPPED) {
		memset(value->b, 0, 10);
		memset(value->b + 10, 0xff, 2);
		memset(mask->b, 0xff, 12);
	} else if (dst->form == OXM_FORM_PORT16) {
		memset(value->b, value->b[2] == 0xff ? 0xff : 0, 2);
		memset(mask->b, 0xff, 2);
	} else if (dst->field == FIELD_IP_TOS) {
		value->b[0] &= 0xfc;
		mask->b[0] &= 0xfc;
	}
}

void
of_bits_copy(const uint8_t *src, unsigned src_bytes, unsigned src_ofs, uint8_t *dst,
	unsigned dst_bytes, unsigned dst_ofs, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned from = src_ofs + i, to = dst_ofs + i;
		uint8_t bit = (uint8_t)(1u << to % 8), *byte = &dst[dst_bytes - 1 - to / 8];

		*byte &= (uint8_t)~bit;
		if (src[src_bytes - 1 - from / 8] & 1u << from % 8) {
			*byte |= bit;
		}
	}
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Nicira's learn on the wire: NXAST_LEARN, NXAST_LEARN2 and NXAST_FIN_TIMEOUT.
 *
 * Spec: a sequence of flow_mod_spec, each a header of 16 bits, source, destination; up to the first header of 0, behind
 *       which are zeroes only. Layouts are those of the encodings that ovs-ofctl sends; errors are Open vSwitch's,
 *       but that what must be zero is demanded to be.
 */
#include <string.h>

#include "controller-agent/of_nx_internal.h"
#include "lib/error.h"
#include "ofproto/of_action.h"
#include "ofproto/of_error.h"
#include "ofproto/oxm.h"

enum {
	LEARN_SIZE = 32,
	LEARN2_SIZE = 40,
	FIN_TIMEOUT_SIZE = 16,

	/* A spec's header. */
	SPEC_N_BITS = 0x3ff,
	SPEC_TO_SHIFT = 11,
	SPEC_TO_MASK = 3 << SPEC_TO_SHIFT,
	SPEC_CONSTANT = 1 << 13,
	SPEC_MAX_VALUE = 2 * ((SPEC_N_BITS + 15) / 16),

	LEARN_FLAGS = OF_LEARN_SEND_FLOW_REM | OF_LEARN_DELETE_LEARNED,
};

static bool get_specs(
	const uint8_t *data, size_t len, struct of_actions *actions, struct weft_error *err);
static bool get_spec(const uint8_t **data, size_t *left, uint16_t header,
	struct of_actions *actions, struct weft_error *err);
static bool get_bits(const uint8_t *data, struct of_learn_bits *bits, struct weft_error *err);
static void put_spec(struct strbuf *out, const struct of_learn_spec *spec);
static void put_bits(struct strbuf *out, const struct of_learn_bits *bits);

/* --- reading ------------------------------------------------------------------------------------ */

bool
of_nx_get_learn(const uint8_t *a, size_t len, struct of_actions *actions, struct weft_error *err)
{
	bool is_second = get_be16(a + 8) == NXAST_LEARN2;
	size_t size = is_second ? LEARN2_SIZE : LEARN_SIZE, at;
	struct of_action_learn learn = {.table = 0};

	if (len < size) {
		return of_nx_bad_length(err);
	}
	learn.idle_timeout = get_be16(a + 10);
	learn.hard_timeout = get_be16(a + 12);
	learn.priority = get_be16(a + 14);
	learn.cookie = get_be64(a + 16);
	learn.flags = get_be16(a + 24);
	learn.table = a[26];
	learn.fin_idle_timeout = get_be16(a + 28);
	learn.fin_hard_timeout = get_be16(a + 30);
	learn.limit = is_second ? get_be32(a + 32) : 0;
	if (learn.flags & ~LEARN_FLAGS || learn.table >= OF_N_TABLES || a[27] ||
		(is_second && get_be32(a + 36))) {
		return of_error_set(err, OFPET_BAD_ACTION, OFPBAC_BAD_ARGUMENT,
			"learn with flags 0x%x, into table %u: not understood", learn.flags,
			learn.table);
	}
	at = of_actions_begin_learn(actions, &learn);
	if (!get_specs(a + size, len - size, actions, err)) {
		return false;
	}
	of_actions_end(actions, at);
	return true;
}

static bool
get_specs(const uint8_t *data, size_t len, struct of_actions *actions, struct weft_error *err)
{
	while (len >= 2) {
		uint16_t header = get_be16(data);

		data += 2;
		len -= 2;
		if (!header) {
			break;
		}
		if (!get_spec(&data, &len, header, actions, err)) {
			return false;
		}
	}
	for (; len; len--) {
		if (*data++) {
			return of_error_set(err, OFPET_BAD_ACTION, OFPBAC_BAD_ARGUMENT,
				"learn: padding is not zero");
		}
	}
	return true;
}

static bool
get_spec(const uint8_t **data, size_t *left, uint16_t header, struct of_actions *actions,
	struct weft_error *err)
{
	struct of_learn_spec spec = {
		.to = (uint8_t)((header & SPEC_TO_MASK) >> SPEC_TO_SHIFT),
		.is_constant = !!(header & SPEC_CONSTANT),
		.n_bits = header & SPEC_N_BITS,
	};
	size_t words = spec.is_constant ? 2u * ((spec.n_bits + 15u) / 16) : 6;
	const uint8_t *value = *data, *dst = value + words;
	size_t size = words + (spec.to == OF_LEARN_OUTPUT ? 0 : 6), n_bytes;

	if (header & ~(SPEC_N_BITS | SPEC_TO_MASK | SPEC_CONSTANT) || spec.to >= OF_LEARN_TO_N ||
		(spec.to == OF_LEARN_OUTPUT && spec.is_constant)) {
		return of_error_set(err, OFPET_BAD_ACTION, OFPBAC_BAD_ARGUMENT,
			"learn: a spec of header 0x%04x", header);
	}
	if (*left < size) {
		return of_nx_bad_length(err);
	}
	if ((!spec.is_constant && !get_bits(value, &spec.src, err)) ||
		(spec.to != OF_LEARN_OUTPUT && !get_bits(dst, &spec.dst, err))) {
		return false;
	}
	n_bytes = of_learn_value_size(&spec);
	if (n_bytes) {
		uint8_t bytes[SPEC_MAX_VALUE];

		/* What lies above the bits does not matter (Open vSwitch ignores it too). */
		memcpy(bytes, dst - n_bytes, n_bytes);
		if (spec.n_bits % 8) {
			bytes[0] &= (uint8_t)((1u << spec.n_bits % 8) - 1);
		}
		of_actions_put_learn_spec(actions, &spec, bytes);
	} else {
		of_actions_put_learn_spec(actions, &spec, NULL);
	}
	*data += size;
	*left -= size;
	return true;
}

static bool
get_bits(const uint8_t *data, struct of_learn_bits *bits, struct weft_error *err)
{
	enum field_id field;
	enum oxm_form form;

	if (!oxm_form_of(get_be32(data), &field, &form)) {
		return of_error_set(err, OFPET_BAD_ACTION, OFPBAC_BAD_SET_TYPE,
			"learn: field 0x%08x is unknown", get_be32(data));
	}
	*bits = (struct of_learn_bits){
		.field = (uint16_t)field, .form = (uint8_t)form, .ofs = get_be16(data + 4)};
	return true;
}

bool
of_nx_get_fin_timeout(
	const uint8_t *a, size_t len, struct of_actions *actions, struct weft_error *err)
{
	if (len != FIN_TIMEOUT_SIZE) {
		return of_nx_bad_length(err);
	}
	if (get_be16(a + 14)) {
		return of_error_set(err, OFPET_BAD_ACTION, OFPBAC_BAD_ARGUMENT,
			"fin_timeout: padding is not zero");
	}
	of_actions_put_fin_timeout(actions, get_be16(a + 10), get_be16(a + 12));
	return true;
}

/* --- writing ------------------------------------------------------------------------------------ */

void
of_nx_put_learn(struct strbuf *out, const struct of_action_learn *learn)
{
	const struct of_learn_spec *spec = NULL;
	size_t start = of_nx_begin(out, learn->limit ? NXAST_LEARN2 : NXAST_LEARN);

	wire_put_u16(out, learn->idle_timeout);
	wire_put_u16(out, learn->hard_timeout);
	wire_put_u16(out, learn->priority);
	wire_put_u64(out, learn->cookie);
	wire_put_u16(out, learn->flags);
	wire_put_u8(out, learn->table);
	wire_put_zeros(out, 1);
	wire_put_u16(out, learn->fin_idle_timeout);
	wire_put_u16(out, learn->fin_hard_timeout);
	if (learn->limit) {
		wire_put_u32(out, learn->limit);
		wire_put_zeros(out, 4);
	}
	while ((spec = of_learn_next(learn, spec))) {
		put_spec(out, spec);
	}
	of_nx_end(out, start);
}

static void
put_spec(struct strbuf *out, const struct of_learn_spec *spec)
{
	size_t n_bytes = of_learn_value_size(spec);

	wire_put_u16(out, (uint16_t)(spec->n_bits | spec->to << SPEC_TO_SHIFT |
				     (spec->is_constant ? SPEC_CONSTANT : 0)));
	if (spec->is_constant) {
		wire_put_zeros(out, n_bytes % 2);
		strbuf_put_bytes(out, spec->value, n_bytes);
	} else {
		put_bits(out, &spec->src);
	}
	if (spec->to != OF_LEARN_OUTPUT) {
		put_bits(out, &spec->dst);
	}
}

static void
put_bits(struct strbuf *out, const struct of_learn_bits *bits)
{
	wire_put_u32(out, oxm_form_header(bits->field, bits->form));
	wire_put_u16(out, bits->ofs);
}

void
of_nx_put_fin_timeout(struct strbuf *out, const struct of_action_fin_timeout *a)
{
	size_t start = of_nx_begin(out, NXAST_FIN_TIMEOUT);

	wire_put_u16(out, a->idle_timeout);
	wire_put_u16(out, a->hard_timeout);
	wire_put_zeros(out, 2);
	of_nx_end(out, start);
}

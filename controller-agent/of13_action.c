/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenFlow 1.3 on the wire: actions and instructions.
 *
 * Form:   each kind of action has a row: its number, its length, where its one number stands. Those
 *         that do not fit the pattern have functions.
 * Errors: lengths and numbers here; what an action means is of_actions_check()'s to judge.
 * Spec:   OpenFlow 1.3.5 s.A.2.4 (instructions), s.A.2.5 (actions), s.A.4.4 (errors).
 */
#include <string.h>

#include "controller-agent/of13_internal.h"
#include "controller-agent/of_nx.h"
#include "lib/error.h"
#include "lib/field.h"
#include "ofproto/oxm.h"

enum {
	OFPAT13_OUTPUT = 0,
	OFPAT13_COPY_TTL_OUT = 11,
	OFPAT13_COPY_TTL_IN = 12,
	OFPAT13_SET_MPLS_TTL = 15,
	OFPAT13_DEC_MPLS_TTL = 16,
	OFPAT13_PUSH_VLAN = 17,
	OFPAT13_POP_VLAN = 18,
	OFPAT13_PUSH_MPLS = 19,
	OFPAT13_POP_MPLS = 20,
	OFPAT13_SET_QUEUE = 21,
	OFPAT13_GROUP = 22,
	OFPAT13_SET_NW_TTL = 23,
	OFPAT13_DEC_NW_TTL = 24,
	OFPAT13_SET_FIELD = 25,
	OFPAT13_PUSH_PBB = 26,
	OFPAT13_POP_PBB = 27,
	OFPAT13_EXPERIMENTER = 0xffff,
};

/* Bytes of the number at offset 4 of an 8-byte action. */
enum argument {
	ARGUMENT_NONE = 0,
	ARGUMENT_U8 = 1,
	ARGUMENT_U16 = 2,
	ARGUMENT_U32 = 4,
};

static const struct simple {
	uint16_t number;
	uint8_t argument; /* enum argument */
	uint8_t type;     /* enum of_action_type */
} simple[] = {
	{OFPAT13_COPY_TTL_OUT, ARGUMENT_NONE, OF_ACTION_COPY_TTL_OUT},
	{OFPAT13_COPY_TTL_IN, ARGUMENT_NONE, OF_ACTION_COPY_TTL_IN},
	{OFPAT13_SET_MPLS_TTL, ARGUMENT_U8, OF_ACTION_SET_MPLS_TTL},
	{OFPAT13_DEC_MPLS_TTL, ARGUMENT_NONE, OF_ACTION_DEC_MPLS_TTL},
	{OFPAT13_PUSH_VLAN, ARGUMENT_U16, OF_ACTION_PUSH_VLAN},
	{OFPAT13_POP_VLAN, ARGUMENT_NONE, OF_ACTION_POP_VLAN},
	{OFPAT13_PUSH_MPLS, ARGUMENT_U16, OF_ACTION_PUSH_MPLS},
	{OFPAT13_POP_MPLS, ARGUMENT_U16, OF_ACTION_POP_MPLS},
	{OFPAT13_SET_QUEUE, ARGUMENT_U32, OF_ACTION_SET_QUEUE},
	{OFPAT13_GROUP, ARGUMENT_U32, OF_ACTION_GROUP},
	{OFPAT13_SET_NW_TTL, ARGUMENT_U8, OF_ACTION_SET_NW_TTL},
	{OFPAT13_DEC_NW_TTL, ARGUMENT_NONE, OF_ACTION_DEC_NW_TTL},
	{OFPAT13_PUSH_PBB, ARGUMENT_U16, OF_ACTION_PUSH_PBB},
	{OFPAT13_POP_PBB, ARGUMENT_NONE, OF_ACTION_POP_PBB},
};

static bool get_action(
	const uint8_t *a, size_t len, struct of_actions *actions, struct weft_error *err);
static bool get_simple(const struct simple *row, const uint8_t *a, size_t len,
	struct of_actions *actions, struct weft_error *err);
static bool get_output(
	const uint8_t *a, size_t len, struct of_actions *actions, struct weft_error *err);
static bool get_set_field(
	const uint8_t *a, size_t len, struct of_actions *actions, struct weft_error *err);
static bool set_field_error(const struct weft_error *cause, struct weft_error *err);
static bool get_instruction_actions(
	const uint8_t *data, size_t len, struct of_actions *list, struct weft_error *err);
static bool check_instruction(uint16_t type, size_t len, struct weft_error *err);
static void put_action(
	struct strbuf *out, const struct of_tlv_map *tlvs, const struct of_action_hdr *a);
static bool put_simple(struct strbuf *out, const struct of_action_hdr *a);
static void put_output(struct strbuf *out, struct of_port port, uint16_t max_len);
static void put_set_field(
	struct strbuf *out, const struct of_tlv_map *tlvs, const struct of_action_set_field *a);
static size_t begin_instruction(struct strbuf *out, uint16_t type);
static void end_instruction(struct strbuf *out, size_t start);

/* --- reading ------------------------------------------------------------------------------------ */

bool
of13_get_actions(
	const uint8_t *data, size_t len, struct of_actions *actions, struct weft_error *err)
{
	for (size_t at = 0; at < len;) {
		size_t size = len - at >= 8 ? get_be16(data + at + 2) : 0;

		if (size < 8 || size % 8 || size > len - at) {
			return of_error_set_at(err, OFPET_BAD_ACTION, OFPBAC_BAD_LEN, at,
				"an action of %zu bytes where %zu are left", size, len - at);
		}
		if (!get_action(data + at, size, actions, err)) {
			return false;
		}
		if (actions->size > OF_ACTIONS_MAX_SIZE) {
			return of_error_set_at(err, OFPET_BAD_ACTION, OFPBAC_TOO_MANY, at,
				"the actions take more than %u bytes", OF_ACTIONS_MAX_SIZE);
		}
		at += size;
	}
	return true;
}

static bool
get_action(const uint8_t *a, size_t len, struct of_actions *actions, struct weft_error *err)
{
	uint16_t number = get_be16(a);

	for (size_t i = 0; i < WEFT_ARRAY_SIZE(simple); i++) {
		if (simple[i].number == number) {
			return get_simple(&simple[i], a, len, actions, err);
		}
	}
	switch (number) {
	case OFPAT13_OUTPUT:
		return get_output(a, len, actions, err);
	case OFPAT13_SET_FIELD:
		return get_set_field(a, len, actions, err);
	case OFPAT13_EXPERIMENTER:
		return of_nx_get_action(a, len, actions, err);
	default:
		return of_error_set(
			err, OFPET_BAD_ACTION, OFPBAC_BAD_TYPE, "action %u is unknown", number);
	}
}

static bool
get_simple(const struct simple *row, const uint8_t *a, size_t len, struct of_actions *actions,
	struct weft_error *err)
{
	if (len != 8) {
		return of_error_set(err, OFPET_BAD_ACTION, OFPBAC_BAD_LEN,
			"action %u has %zu bytes, not 8", row->number, len);
	}
	switch ((enum argument)row->argument) {
	case ARGUMENT_NONE:
		of_actions_put_flag(actions, (enum of_action_type)row->type);
		break;
	case ARGUMENT_U8:
		of_actions_put_u32(actions, (enum of_action_type)row->type, a[4]);
		break;
	case ARGUMENT_U16:
		of_actions_put_u32(actions, (enum of_action_type)row->type, get_be16(a + 4));
		break;
	case ARGUMENT_U32:
		of_actions_put_u32(actions, (enum of_action_type)row->type, get_be32(a + 4));
		break;
	}
	return true;
}

static bool
get_output(const uint8_t *a, size_t len, struct of_actions *actions, struct weft_error *err)
{
	if (len != 16) {
		return of_error_set(err, OFPET_BAD_ACTION, OFPBAC_BAD_LEN,
			"an output action has %zu bytes, not 16", len);
	}
	of_actions_put_output(actions, OF_PORT(get_be32(a + 4)), get_be16(a + 8));
	return true;
}

/* s.A.2.5: an OXM TLV without mask, then zeroes up to a multiple of 8. */
static bool
get_set_field(const uint8_t *a, size_t len, struct of_actions *actions, struct weft_error *err)
{
	struct weft_error cause = WEFT_ERROR_INIT;
	struct oxm_entry entry;
	size_t used;

	if (!oxm_pull_entry(a + 4, len - 4, actions->tlvs, &entry, &used, &cause)) {
		return set_field_error(&cause, err);
	}
	if (WEFT_ROUND_UP(4 + used, 8) != len) {
		return of_error_set(err, OFPET_BAD_ACTION, OFPBAC_BAD_SET_LEN,
			"a set-field action of %zu bytes with a field of %zu", len, used);
	}
	if (entry.has_mask) {
		return of_error_set(err, OFPET_BAD_ACTION, OFPBAC_BAD_SET_ARGUMENT,
			"OpenFlow 1.3 sets whole fields, not under a mask");
	}
	of_nx_put_entry(actions, &entry);
	return true;
}

/* What is wrong with a match's field, as s.A.4.4 names it for set-field. */
static bool
set_field_error(const struct weft_error *cause, struct weft_error *err)
{
	uint16_t code;

	if (cause->code == OFPET_NICIRA) {
		weft_error_move(err, cause);
		return false;
	}
	switch (cause->subcode) {
	case OFPBMC_BAD_LEN:
		code = OFPBAC_BAD_SET_LEN;
		break;
	case OFPBMC_BAD_FIELD:
		code = OFPBAC_BAD_SET_TYPE;
		break;
	default:
		code = OFPBAC_BAD_SET_ARGUMENT;
		break;
	}
	return of_error_set(err, OFPET_BAD_ACTION, code, "set-field: %s", cause->text);
}

/* Instructions may come in any order; they are kept in the one in which they are executed (s.5.9). */
bool
of13_get_instructions(
	const uint8_t *data, size_t len, struct of_actions *list, struct weft_error *err)
{
	const uint8_t *found[OFPIT13_N] = {NULL};

	for (size_t at = 0; at < len;) {
		size_t size = len - at >= 8 ? get_be16(data + at + 2) : 0;
		uint16_t type;

		if (size < 8 || size % 8 || size > len - at) {
			return of_error_set_at(err, OFPET_BAD_INSTRUCTION, OFPBIC_BAD_LEN, at,
				"an instruction of %zu bytes where %zu are left", size, len - at);
		}
		type = get_be16(data + at);
		if (!check_instruction(type, size, err)) {
			return false;
		}
		if (found[type]) {
			return of_error_set_at(err, OFPET_BAD_INSTRUCTION, OFPBIC_DUP_INST, at,
				"two instructions of type %u", type);
		}
		found[type] = data + at;
		at += size;
	}
	if (found[OFPIT13_METER]) {
		of_actions_put_u32(list, OF_ACTION_METER, get_be32(found[OFPIT13_METER] + 4));
	}
	if (found[OFPIT13_APPLY_ACTIONS] &&
		!get_instruction_actions(found[OFPIT13_APPLY_ACTIONS],
			get_be16(found[OFPIT13_APPLY_ACTIONS] + 2), list, err)) {
		return false;
	}
	if (found[OFPIT13_CLEAR_ACTIONS]) {
		of_actions_put_flag(list, OF_ACTION_CLEAR_ACTIONS);
	}
	if (found[OFPIT13_WRITE_ACTIONS]) {
		size_t nested = of_actions_begin(list, OF_ACTION_WRITE_ACTIONS);

		if (!get_instruction_actions(found[OFPIT13_WRITE_ACTIONS],
			    get_be16(found[OFPIT13_WRITE_ACTIONS] + 2), list, err)) {
			return false;
		}
		of_actions_end(list, nested);
	}
	if (found[OFPIT13_WRITE_METADATA]) {
		of_actions_put_write_metadata(list, get_be64(found[OFPIT13_WRITE_METADATA] + 8),
			get_be64(found[OFPIT13_WRITE_METADATA] + 16));
	}
	if (found[OFPIT13_GOTO_TABLE]) {
		of_actions_put_u32(list, OF_ACTION_GOTO_TABLE, found[OFPIT13_GOTO_TABLE][4]);
	}
	return true;
}

static bool
get_instruction_actions(
	const uint8_t *data, size_t len, struct of_actions *list, struct weft_error *err)
{
	return of13_get_actions(data + 8, len - 8, list, err);
}

static bool
check_instruction(uint16_t type, size_t len, struct weft_error *err)
{
	size_t expected = 8;

	switch (type) {
	case OFPIT13_WRITE_METADATA:
		expected = 24;
		break;
	case OFPIT13_APPLY_ACTIONS:
	case OFPIT13_WRITE_ACTIONS:
		expected = len;
		break;
	case OFPIT13_GOTO_TABLE:
	case OFPIT13_CLEAR_ACTIONS:
	case OFPIT13_METER:
		break;
	case OFPIT13_EXPERIMENTER:
		return of_error_set(err, OFPET_BAD_INSTRUCTION, OFPBIC_BAD_EXPERIMENTER,
			"an instruction of an unknown experimenter");
	default:
		return of_error_set(err, OFPET_BAD_INSTRUCTION, OFPBIC_UNKNOWN_INST,
			"instruction %u is unknown", type);
	}
	if (len != expected) {
		return of_error_set(err, OFPET_BAD_INSTRUCTION, OFPBIC_BAD_LEN,
			"instruction %u has %zu bytes, not %zu", type, len, expected);
	}
	return true;
}

/* --- writing ------------------------------------------------------------------------------------ */

void
of13_put_actions(
	struct strbuf *out, const struct of_tlv_map *tlvs, const void *actions, size_t size)
{
	for (const struct of_action_hdr *a = of_action_first(actions, size); a;
		a = of_action_next(a, actions, size)) {
		put_action(out, tlvs, a);
	}
}

void
of13_put_instructions(
	struct strbuf *out, const struct of_tlv_map *tlvs, const void *list, size_t size)
{
	const struct of_action_hdr *a = of_action_first(list, size);
	const void *nested;
	size_t start, nested_size;

	while (a) {
		const struct of_action_u32 *number = (const void *)a;
		const struct of_action_write_metadata *metadata = (const void *)a;

		switch (a->type) {
		case OF_ACTION_METER:
			wire_put_u16(out, OFPIT13_METER);
			wire_put_u16(out, 8);
			wire_put_u32(out, number->v);
			break;
		case OF_ACTION_CLEAR_ACTIONS:
			end_instruction(out, begin_instruction(out, OFPIT13_CLEAR_ACTIONS));
			break;
		case OF_ACTION_WRITE_ACTIONS:
			nested = of_action_nested(a, &nested_size);
			start = begin_instruction(out, OFPIT13_WRITE_ACTIONS);
			of13_put_actions(out, tlvs, nested, nested_size);
			end_instruction(out, start);
			break;
		case OF_ACTION_WRITE_METADATA:
			start = begin_instruction(out, OFPIT13_WRITE_METADATA);
			wire_put_u64(out, metadata->metadata);
			wire_put_u64(out, metadata->mask);
			end_instruction(out, start);
			break;
		case OF_ACTION_GOTO_TABLE:
			wire_put_u16(out, OFPIT13_GOTO_TABLE);
			wire_put_u16(out, 8);
			wire_put_u8(out, (uint8_t)number->v);
			wire_put_zeros(out, 3);
			break;
		default:
			/* A run of actions is one apply-actions. */
			start = begin_instruction(out, OFPIT13_APPLY_ACTIONS);
			for (; a && !of_action_is_instruction((enum of_action_type)a->type);
				a = of_action_next(a, list, size)) {
				put_action(out, tlvs, a);
			}
			end_instruction(out, start);
			continue;
		}
		a = of_action_next(a, list, size);
	}
}

bool
of13_action_number(unsigned n, uint16_t *number)
{
	static const uint16_t others[] = {OFPAT13_OUTPUT, OFPAT13_SET_FIELD};

	if (n < WEFT_ARRAY_SIZE(others)) {
		*number = others[n];
		return true;
	}
	n -= WEFT_ARRAY_SIZE(others);
	if (n < WEFT_ARRAY_SIZE(simple)) {
		*number = simple[n].number;
		return true;
	}
	return false;
}

uint32_t
of13_action_bits(void)
{
	uint32_t bits = 0;
	uint16_t number;

	for (unsigned n = 0; of13_action_number(n, &number); n++) {
		bits |= 1u << number;
	}
	return bits;
}

static void
put_action(struct strbuf *out, const struct of_tlv_map *tlvs, const struct of_action_hdr *a)
{
	const struct of_action_output *output = (const void *)a;
	const struct of_action_u32 *number = (const void *)a;
	union field_value value;

	if (put_simple(out, a)) {
		return;
	}
	switch (a->type) {
	case OF_ACTION_OUTPUT:
		put_output(out, OF_PORT(output->port), output->max_len);
		break;
	case OF_ACTION_SET_FIELD:
		put_set_field(out, tlvs, (const void *)a);
		break;
	case OF_ACTION_SET_VLAN_VID:
	case OF_ACTION_SET_VLAN_PCP:
		/* OpenFlow 1.0's, of packets that need not have a tag: the nearest that 1.3 can say. */
		wire_put_u16(out, OFPAT13_PUSH_VLAN);
		wire_put_u16(out, 8);
		wire_put_u16(out, 0x8100);
		wire_put_zeros(out, 2);
		memset(&value, 0, sizeof(value));
		if (a->type == OF_ACTION_SET_VLAN_VID) {
			put_be16(value.b, (uint16_t)(number->v | FLOW_VLAN_PRESENT));
		} else {
			put_be16(value.b, (uint16_t)number->v);
		}
		wire_put_u16(out, OFPAT13_SET_FIELD);
		wire_put_u16(out, 16);
		oxm_put_entry(out,
			a->type == OF_ACTION_SET_VLAN_VID ? FIELD_VLAN_VID : FIELD_VLAN_PCP,
			OFP13_VERSION, &value, NULL);
		wire_put_zeros(out, a->type == OF_ACTION_SET_VLAN_VID ? 6 : 7);
		break;
	case OF_ACTION_ENQUEUE:
		wire_put_u16(out, OFPAT13_SET_QUEUE);
		wire_put_u16(out, 8);
		wire_put_u32(out, ((const struct of_action_enqueue *)(const void *)a)->queue);
		put_output(
			out, OF_PORT(((const struct of_action_enqueue *)(const void *)a)->port), 0);
		break;
	default:
		of_nx_put_action(out, OFP13_VERSION, tlvs, a, of13_put_actions);
		break;
	}
}

static bool
put_simple(struct strbuf *out, const struct of_action_hdr *a)
{
	const struct of_action_u32 *number = (const void *)a;

	for (size_t i = 0; i < WEFT_ARRAY_SIZE(simple); i++) {
		if (simple[i].type != a->type) {
			continue;
		}
		wire_put_u16(out, simple[i].number);
		wire_put_u16(out, 8);
		switch ((enum argument)simple[i].argument) {
		case ARGUMENT_NONE:
			wire_put_zeros(out, 4);
			break;
		case ARGUMENT_U8:
			wire_put_u8(out, (uint8_t)number->v);
			wire_put_zeros(out, 3);
			break;
		case ARGUMENT_U16:
			wire_put_u16(out, (uint16_t)number->v);
			wire_put_zeros(out, 2);
			break;
		case ARGUMENT_U32:
			wire_put_u32(out, number->v);
			break;
		}
		return true;
	}
	return false;
}

static void
put_output(struct strbuf *out, struct of_port port, uint16_t max_len)
{
	wire_put_u16(out, OFPAT13_OUTPUT);
	wire_put_u16(out, 16);
	wire_put_u32(out, port.v);
	wire_put_u16(out, max_len);
	wire_put_zeros(out, 6);
}

/* A masked set (from text, or another version) goes as the Nicira load that it equals. */
static void
put_set_field(
	struct strbuf *out, const struct of_tlv_map *tlvs, const struct of_action_set_field *a)
{
	const struct field *f = field_get((enum field_id)a->field);
	union field_value value, mask, ones;
	size_t start = out->len;

	of_action_set_field_get(a, &value, &mask);
	field_value_ones(f, &ones);
	if (of_nx_put_option(out, tlvs, a, &value, &mask)) {
		return;
	}
	if (memcmp(&mask, &ones, f->n_bytes) != 0 || a->is_load ||
		!oxm_header((enum field_id)a->field, OFP13_VERSION, false)) {
		of_nx_put_load(out, OFP13_VERSION, (enum field_id)a->field, &value, &mask);
		return;
	}
	wire_put_u16(out, OFPAT13_SET_FIELD);
	wire_put_u16(out, 0);
	oxm_put_entry(out, (enum field_id)a->field, OFP13_VERSION, &value, NULL);
	wire_pad8(out, start);
	wire_set_u16(out, start + 2, (uint16_t)(out->len - start));
}

/* Type, length and the padding in front of actions and metadata. */
static size_t
begin_instruction(struct strbuf *out, uint16_t type)
{
	size_t start = out->len;

	wire_put_u16(out, type);
	wire_put_u16(out, 0);
	wire_put_zeros(out, 4);
	return start;
}

static void
end_instruction(struct strbuf *out, size_t start)
{
	wire_set_u16(out, start + 2, (uint16_t)(out->len - start));
}

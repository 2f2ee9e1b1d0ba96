/* SPDX-License-Identifier: Apache-2.0
 *
 * Nicira's actions on the wire.
 *
 * Spec: the layouts are those of ovs-actions(7) and of the encodings that ovs-ofctl sends.
 */
#include "controller-agent/of_nx.h"

#include <string.h>

#include "controller-agent/of_nx_internal.h"
#include "lib/error.h"
#include "ofproto/of_action.h"
#include "ofproto/of_error.h"
#include "ofproto/of_tlv.h"
#include "ofproto/oxm.h"

#define OFPAT_EXPERIMENTER 0xffffu
#define OFPAT_SET_FIELD 25u /* of 1.2 and later */

static bool get_resubmit(
	const uint8_t *a, size_t len, struct of_actions *actions, struct weft_error *err);
static bool get_reg_move(
	const uint8_t *a, size_t len, struct of_actions *actions, struct weft_error *err);
static bool get_reg_load(
	const uint8_t *a, size_t len, struct of_actions *actions, struct weft_error *err);
static bool get_reg_load2(
	const uint8_t *a, size_t len, struct of_actions *actions, struct weft_error *err);
static bool get_controller(
	const uint8_t *a, size_t len, struct of_actions *actions, struct weft_error *err);
static bool get_delete_field(
	const uint8_t *a, size_t len, struct of_actions *actions, struct weft_error *err);
static bool bad_field(struct weft_error *err);
static bool get_field(const uint8_t *header, const struct of_actions *actions, enum field_id *field,
	unsigned *ofs, unsigned *width, struct weft_error *err);
static struct of_port port_from_16(uint16_t port);
static uint16_t port_to_16(uint32_t port);
static bool mask_range(
	const struct field *f, const union field_value *mask, unsigned *ofs, unsigned *n_bits);
static void shift_down(const struct field *f, const union field_value *value, unsigned ofs,
	unsigned n_bits, uint64_t *bits);

/* --- reading ------------------------------------------------------------------------------------ */

bool
of_nx_get_action(const uint8_t *a, size_t len, struct of_actions *actions, struct weft_error *err)
{
	if (get_be32(a + 4) != OXM_EXPERIMENTER_NX) {
		return of_error_set(err, OFPET_BAD_ACTION, OFPBAC_BAD_EXPERIMENTER,
			"an action of unknown experimenter 0x%x", get_be32(a + 4));
	}
	if (len < 16) {
		return of_nx_bad_length(err);
	}
	switch (get_be16(a + 8)) {
	case NXAST_RESUBMIT:
	case NXAST_RESUBMIT_TABLE:
		return get_resubmit(a, len, actions, err);
	case NXAST_REG_MOVE:
		return get_reg_move(a, len, actions, err);
	case NXAST_REG_LOAD:
		return get_reg_load(a, len, actions, err);
	case NXAST_REG_LOAD2:
		return get_reg_load2(a, len, actions, err);
	case NXAST_CONTROLLER:
		return get_controller(a, len, actions, err);
	case NXAST_LEARN:
	case NXAST_LEARN2:
		return of_nx_get_learn(a, len, actions, err);
	case NXAST_FIN_TIMEOUT:
		return of_nx_get_fin_timeout(a, len, actions, err);
	case NXAST_DELETE_FIELD:
		return get_delete_field(a, len, actions, err);
	default:
		return of_error_set(err, OFPET_BAD_ACTION, OFPBAC_BAD_EXP_TYPE,
			"Nicira action %u is unknown", get_be16(a + 8));
	}
}

static bool
get_resubmit(const uint8_t *a, size_t len, struct of_actions *actions, struct weft_error *err)
{
	if (len != 16) {
		return of_nx_bad_length(err);
	}
	of_actions_put_resubmit(actions, port_from_16(get_be16(a + 10)),
		get_be16(a + 8) == NXAST_RESUBMIT ? OF_TABLE_ALL : a[12]);
	return true;
}

static bool
get_reg_move(const uint8_t *a, size_t len, struct of_actions *actions, struct weft_error *err)
{
	unsigned n_bits = get_be16(a + 10), src_ofs = get_be16(a + 12), dst_ofs = get_be16(a + 14);
	unsigned src_at, src_width, dst_at, dst_width;
	enum field_id src, dst;

	if (len != 24) {
		return of_nx_bad_length(err);
	}
	if (!get_field(a + 16, actions, &src, &src_at, &src_width, err) ||
		!get_field(a + 20, actions, &dst, &dst_at, &dst_width, err)) {
		return false;
	}
	if ((src == FIELD_TUN_OPTS && src_ofs + n_bits > src_width) ||
		(dst == FIELD_TUN_OPTS && dst_ofs + n_bits > dst_width)) {
		return of_error_set(err, OFPET_BAD_ACTION, OFPBAC_BAD_SET_LEN,
			"a move of %u bits beyond an option", n_bits);
	}
	of_actions_put_copy_field(actions, src, (uint16_t)(src_at + src_ofs), dst,
		(uint16_t)(dst_at + dst_ofs), (uint16_t)n_bits);
	return true;
}

static bool
get_reg_load(const uint8_t *a, size_t len, struct of_actions *actions, struct weft_error *err)
{
	union field_value value, mask;
	enum field_id id;
	const struct field *f;
	struct of_action_set_field *last;
	unsigned ofs = get_be16(a + 10) >> 6, n_bits = (get_be16(a + 10) & 0x3fu) + 1;
	unsigned at_bit, width;
	uint64_t bits;
	size_t at = actions->size;

	if (len != 24) {
		return of_nx_bad_length(err);
	}
	if (!get_field(a + 12, actions, &id, &at_bit, &width, err)) {
		return false;
	}
	f = field_get(id);
	bits = get_be64(a + 16);
	if (ofs + n_bits > width || (n_bits < 64 && bits >> n_bits)) {
		return of_error_set(err, OFPET_BAD_ACTION, OFPBAC_BAD_ARGUMENT,
			"a load of %u bits at %u into %s", n_bits, ofs, f->name);
	}
	memset(&value, 0, sizeof(value));
	memset(&mask, 0, sizeof(mask));
	for (unsigned i = 0; i < n_bits; i++) {
		unsigned bit = at_bit + ofs + i;
		size_t byte = f->n_bytes - 1u - bit / 8;

		mask.b[byte] |= (uint8_t)(1u << bit % 8);
		value.b[byte] |= (uint8_t)((bits >> i & 1) << bit % 8);
	}
	of_actions_put_set_field(actions, id, &value, &mask);
	last = (void *)(actions->data + at);
	last->is_load = id != FIELD_TUN_OPTS;
	return true;
}

static bool
get_reg_load2(const uint8_t *a, size_t len, struct of_actions *actions, struct weft_error *err)
{
	struct weft_error cause = WEFT_ERROR_INIT;
	struct oxm_entry entry;
	size_t used;

	if (!oxm_pull_entry(a + 10, len - 10, actions->tlvs, &entry, &used, &cause)) {
		if (cause.code == OFPET_NICIRA) {
			weft_error_move(err, &cause);
			return false;
		}
		return of_error_set(
			err, OFPET_BAD_ACTION, OFPBAC_BAD_SET_ARGUMENT, "load: %s", cause.text);
	}
	if (WEFT_ROUND_UP(10 + used, 8) != len) {
		return of_nx_bad_length(err);
	}
	of_nx_put_entry(actions, &entry);
	return true;
}

void
of_nx_put_entry(struct of_actions *actions, const struct oxm_entry *entry)
{
	struct of_tlv tlv;

	if (entry->is_tlv && of_tlv_get(actions->tlvs, entry->index, &tlv)) {
		of_tlv_put_set(actions, &tlv, &entry->value, &entry->mask);
	} else {
		of_actions_put_set_field(actions, entry->field, &entry->value,
			entry->has_mask ? &entry->mask : NULL);
	}
}

/* Only options can be taken away. */
static bool
get_delete_field(const uint8_t *a, size_t len, struct of_actions *actions, struct weft_error *err)
{
	unsigned ofs, width;
	enum field_id field;
	struct of_tlv tlv;

	if (len != 24) {
		return of_nx_bad_length(err);
	}
	if (!get_field(a + 10, actions, &field, &ofs, &width, err)) {
		return false;
	}
	if (field != FIELD_TUN_OPTS || !oxm_tlv_of_header(a + 10, actions->tlvs, &tlv)) {
		return of_error_set(err, OFPET_BAD_ACTION, OFPBAC_BAD_ARGUMENT,
			"%s cannot be deleted", field_get(field)->name);
	}
	of_tlv_put_delete(actions, &tlv);
	return true;
}

static bool
get_controller(const uint8_t *a, size_t len, struct of_actions *actions, struct weft_error *err)
{
	if (len != 16) {
		return of_nx_bad_length(err);
	}
	of_actions_put_controller(
		actions, get_be16(a + 10), a[14], get_be16(a + 12), NULL, 0, 0, false);
	return true;
}

bool
of_nx_bad_length(struct weft_error *err)
{
	return of_error_set(
		err, OFPET_BAD_ACTION, OFPBAC_BAD_LEN, "a Nicira action of a wrong length");
}

static bool
bad_field(struct weft_error *err)
{
	return of_error_set(
		err, OFPET_BAD_ACTION, OFPBAC_BAD_ARGUMENT, "a Nicira action on an unknown field");
}

/* A field that stands as its 4-byte header alone: @width bits from bit @ofs on. */
static bool
get_field(const uint8_t *header, const struct of_actions *actions, enum field_id *field,
	unsigned *ofs, unsigned *width, struct weft_error *err)
{
	return oxm_pull_nxm_header(header, actions->tlvs, field, ofs, width, err) || bad_field(err);
}

/* These actions carry OpenFlow 1.0's 16-bit port numbers. */
static struct of_port
port_from_16(uint16_t port)
{
	return OF_PORT(port >= 0xff00 ? 0xffff0000u | port : port);
}

static uint16_t
port_to_16(uint32_t port)
{
	return (uint16_t)port;
}

/* --- writing ------------------------------------------------------------------------------------ */

void
of_nx_put_action(struct strbuf *out, uint8_t version, const struct of_tlv_map *tlvs,
	const struct of_action_hdr *a,
	void (*put_actions)(struct strbuf *out, const struct of_tlv_map *tlvs, const void *actions,
		size_t size))
{
	const struct of_action_resubmit *resubmit = (const void *)a;
	const struct of_action_copy_field *copy = (const void *)a;
	const struct of_action_controller *controller = (const void *)a;
	unsigned src_ofs, dst_ofs;
	uint32_t src, dst;
	const void *nested;
	size_t start, size;

	switch (a->type) {
	case OF_ACTION_RESUBMIT:
		start = of_nx_begin(out,
			resubmit->table == OF_TABLE_ALL ? NXAST_RESUBMIT : NXAST_RESUBMIT_TABLE);
		wire_put_u16(out, port_to_16(resubmit->in_port));
		wire_put_u8(out, resubmit->table == OF_TABLE_ALL ? 0 : resubmit->table);
		wire_put_zeros(out, 3);
		of_nx_end(out, start);
		break;
	case OF_ACTION_COPY_FIELD:
		src_ofs = copy->src_ofs;
		dst_ofs = copy->dst_ofs;
		src = oxm_nxm_header((enum field_id)copy->src, version, tlvs, &src_ofs);
		dst = oxm_nxm_header((enum field_id)copy->dst, version, tlvs, &dst_ofs);
		start = of_nx_begin(out, NXAST_REG_MOVE);
		wire_put_u16(out, copy->n_bits);
		wire_put_u16(out, (uint16_t)src_ofs);
		wire_put_u16(out, (uint16_t)dst_ofs);
		wire_put_u32(out, src);
		wire_put_u32(out, dst);
		of_nx_end(out, start);
		break;
	case OF_ACTION_CONTROLLER:
		start = of_nx_begin(out, NXAST_CONTROLLER);
		wire_put_u16(out, controller->max_len);
		wire_put_u16(out, controller->controller_id);
		wire_put_u8(out, controller->reason);
		wire_put_u8(out, 0);
		of_nx_end(out, start);
		break;
	case OF_ACTION_CLONE:
		nested = of_action_nested(a, &size);
		start = of_nx_begin(out, NXAST_CLONE);
		wire_put_zeros(out, 6);
		put_actions(out, tlvs, nested, size);
		of_nx_end(out, start);
		break;
	case OF_ACTION_LEARN:
		of_nx_put_learn(out, (const void *)a);
		break;
	case OF_ACTION_FIN_TIMEOUT:
		of_nx_put_fin_timeout(out, (const void *)a);
		break;
	default:
		break;
	}
}

void
of_nx_put_load(struct strbuf *out, uint8_t version, enum field_id field,
	const union field_value *value, const union field_value *mask)
{
	const struct field *f = field_get(field);
	unsigned ofs, n_bits;
	uint64_t bits;
	size_t start;

	if (!oxm_header(field, version, false)) {
		return;
	}
	if (mask_range(f, mask, &ofs, &n_bits)) {
		shift_down(f, value, ofs, n_bits, &bits);
		start = of_nx_begin(out, NXAST_REG_LOAD);
		wire_put_u16(out, (uint16_t)(ofs << 6 | (n_bits - 1)));
		wire_put_u32(out, oxm_header(field, version, false));
		wire_put_u64(out, bits);
	} else {
		start = of_nx_begin(out, NXAST_REG_LOAD2);
		oxm_put_entry(out, field, version, value, mask);
	}
	of_nx_end(out, start);
}

bool
of_nx_put_option(struct strbuf *out, const struct of_tlv_map *tlvs,
	const struct of_action_set_field *a, const union field_value *value,
	const union field_value *mask)
{
	struct strbuf tlv = STRBUF_INIT;
	uint32_t header;
	size_t start;

	if (a->field != FIELD_TUN_OPTS && a->field != FIELD_TUN_OPTS_PRESENT) {
		return false;
	}
	oxm_put_set_tlv(&tlv, tlvs, (enum field_id)a->field, value, mask);
	header = tlv.len >= 4 ? get_be32(tlv.data) : 0;
	if (!header) {
		/* Nothing that the map has: such an action is not accepted. */
	} else if (a->field == FIELD_TUN_OPTS_PRESENT && header & 0x100) {
		start = of_nx_begin(out, NXAST_DELETE_FIELD);
		wire_put_u32(
			out, OXM_HEADER(header >> 16, header >> 9 & 0x7f, false, OF_TLV_LEN_MAX));
		wire_put_zeros(out, 10);
		of_nx_end(out, start);
	} else if (header & 0x100) {
		start = of_nx_begin(out, NXAST_REG_LOAD2);
		strbuf_put_bytes(out, tlv.data, tlv.len);
		of_nx_end(out, start);
	} else {
		start = out->len;
		wire_put_u16(out, OFPAT_SET_FIELD);
		wire_put_u16(out, 0);
		strbuf_put_bytes(out, tlv.data, tlv.len);
		of_nx_end(out, start);
	}
	strbuf_uninit(&tlv);
	return true;
}

size_t
of_nx_begin(struct strbuf *out, enum nx_subtype subtype)
{
	size_t start = out->len;

	wire_put_u16(out, OFPAT_EXPERIMENTER);
	wire_put_u16(out, 0);
	wire_put_u32(out, OXM_EXPERIMENTER_NX);
	wire_put_u16(out, (uint16_t)subtype);
	return start;
}

void
of_nx_end(struct strbuf *out, size_t start)
{
	wire_pad8(out, start);
	wire_set_u16(out, start + 2, (uint16_t)(out->len - start));
}

static bool
bit_of(const struct field *f, const union field_value *value, unsigned bit)
{
	return value->b[f->n_bytes - 1u - bit / 8] >> bit % 8 & 1;
}

/* Whether the mask is one run of at most 64 bits. */
static bool
mask_range(const struct field *f, const union field_value *mask, unsigned *ofs, unsigned *n_bits)
{
	unsigned first = 0, end_bit, bit;

	while (first < f->width && !bit_of(f, mask, first)) {
		first++;
	}
	end_bit = first;
	while (end_bit < f->width && bit_of(f, mask, end_bit)) {
		end_bit++;
	}
	for (bit = end_bit; bit < f->width; bit++) {
		if (bit_of(f, mask, bit)) {
			return false;
		}
	}
	*ofs = first;
	*n_bits = end_bit - first;
	return *n_bits >= 1 && *n_bits <= 64;
}

static void
shift_down(const struct field *f, const union field_value *value, unsigned ofs, unsigned n_bits,
	uint64_t *bits)
{
	*bits = 0;
	for (unsigned i = 0; i < n_bits; i++) {
		*bits |= (uint64_t)bit_of(f, value, ofs + i) << i;
	}
}

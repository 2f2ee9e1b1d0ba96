/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts of actions: printing.
 */
#include <string.h>

#include "lib/field.h"
#include "lib/strbuf.h"
#include "ofproto/of_action_internal.h"
#include "ofproto/of_context.h"
#include "ofproto/of_text_internal.h"
#include "ofproto/oxm_internal.h"

static void format_one(
	const struct of_action_hdr *a, const struct of_text_names *names, struct strbuf *out);
static bool format_option(
	const struct of_action_set_field *a, const struct of_text_names *names, struct strbuf *out);
static void format_set_field(const struct of_action_set_field *a, struct strbuf *out);
static void format_load(const struct of_action_set_field *a, struct strbuf *out);
static void format_controller(const struct of_action_controller *a, struct strbuf *out);
static void format_range(unsigned ofs, unsigned n_bits, struct strbuf *out);
static void format_part(enum field_id field, unsigned ofs, unsigned n_bits,
	const struct of_text_names *names, struct strbuf *out);
static void format_subfield(enum field_id field, unsigned ofs, unsigned n_bits, struct strbuf *out);

void
of_text_format_actions(
	const void *actions, size_t size, const struct of_text_names *names, struct strbuf *out)
{
	const struct of_action_hdr *a;

	if (!size) {
		strbuf_put(out, "drop");
		return;
	}
	for (a = of_action_first(actions, size); a; a = of_action_next(a, actions, size)) {
		if (a != actions) {
			strbuf_put_char(out, ',');
		}
		format_one(a, names, out);
	}
}

static void
format_one(const struct of_action_hdr *a, const struct of_text_names *names, struct strbuf *out)
{
	const struct of_action_output *output = (const void *)a;
	const struct of_action_enqueue *enqueue = (const void *)a;
	const struct of_action_set_field *set = (const void *)a;
	const struct of_action_copy_field *copy = (const void *)a;
	const struct of_action_resubmit *resubmit = (const void *)a;
	const struct of_action_write_metadata *md = (const void *)a;
	const struct of_action_u32 *u = (const void *)a;
	const char *name = of_action_rows[a->type].name;
	const void *nested;
	size_t size;

	switch ((enum of_action_type)a->type) {
	case OF_ACTION_OUTPUT:
		if (output->port == OFPP_CONTROLLER) {
			strbuf_printf(out, "CONTROLLER:%u", output->max_len);
		} else {
			strbuf_put(out, output->port < OFPP_MAX ? "output:" : "");
			of_text_put_port(names, OF_PORT(output->port), out);
		}
		break;
	case OF_ACTION_CONTROLLER:
		format_controller((const void *)a, out);
		break;
	case OF_ACTION_ENQUEUE:
		strbuf_put(out, "enqueue:");
		of_text_put_port(names, OF_PORT(enqueue->port), out);
		strbuf_printf(out, ":%u", enqueue->queue);
		break;
	case OF_ACTION_PUSH_VLAN:
	case OF_ACTION_PUSH_MPLS:
	case OF_ACTION_POP_MPLS:
	case OF_ACTION_PUSH_PBB:
		strbuf_printf(out, "%s:0x%04x", name, u->v);
		break;
	case OF_ACTION_SET_MPLS_TTL:
		strbuf_printf(out, "%s(%u)", name, u->v);
		break;
	case OF_ACTION_GROUP:
	case OF_ACTION_SET_QUEUE:
	case OF_ACTION_SET_VLAN_VID:
	case OF_ACTION_SET_VLAN_PCP:
	case OF_ACTION_SET_NW_TTL:
	case OF_ACTION_METER:
	case OF_ACTION_GOTO_TABLE:
		strbuf_printf(out, "%s:%u", name, u->v);
		break;
	case OF_ACTION_SET_FIELD:
		if (format_option(set, names, out)) {
			break;
		}
		if (set->is_load) {
			format_load(set, out);
		} else {
			format_set_field(set, out);
		}
		break;
	case OF_ACTION_COPY_FIELD:
		strbuf_put(out, "move:");
		format_part(copy->src, copy->src_ofs, copy->n_bits, names, out);
		strbuf_put(out, "->");
		format_part(copy->dst, copy->dst_ofs, copy->n_bits, names, out);
		break;
	case OF_ACTION_RESUBMIT:
		if (resubmit->table == OF_TABLE_ALL) {
			strbuf_put(out, "resubmit:");
			of_text_put_port(names, OF_PORT(resubmit->in_port), out);
		} else {
			strbuf_put(out, "resubmit(");
			if (resubmit->in_port != OFPP_IN_PORT) {
				of_text_put_port(names, OF_PORT(resubmit->in_port), out);
			}
			strbuf_printf(out, ",%u)", resubmit->table);
		}
		break;
	case OF_ACTION_CLONE:
	case OF_ACTION_WRITE_ACTIONS:
		nested = of_action_nested(a, &size);
		strbuf_printf(out, "%s(", name);
		of_text_format_actions(nested, size, names, out);
		strbuf_put_char(out, ')');
		break;
	case OF_ACTION_LEARN:
		of_text_format_learn((const void *)a, names, out);
		break;
	case OF_ACTION_FIN_TIMEOUT:
		of_text_format_fin_timeout((const void *)a, out);
		break;
	case OF_ACTION_WRITE_METADATA:
		strbuf_printf(out, "%s:%#llx", name, (unsigned long long)md->metadata);
		if (md->mask != UINT64_MAX) {
			strbuf_printf(out, "/%#llx", (unsigned long long)md->mask);
		}
		break;
	case OF_ACTION_POP_VLAN:
	case OF_ACTION_POP_PBB:
	case OF_ACTION_DEC_NW_TTL:
	case OF_ACTION_DEC_MPLS_TTL:
	case OF_ACTION_COPY_TTL_OUT:
	case OF_ACTION_COPY_TTL_IN:
	case OF_ACTION_CLEAR_ACTIONS:
	case OF_ACTION_N:
		strbuf_put(out, name);
		break;
	}
}

/* An IPv4 address of a tunnel, which stands v6-mapped. */
static bool
format_set_mapped(const struct of_action_set_field *a, const union field_value *value,
	const union field_value *mask, struct strbuf *out)
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
	union field_value v4 = {{0}}, v4_mask = {{0}}, ones;

	field_value_ones(field_get(a->field), &ones);
	if ((a->field != FIELD_TUN_SRC && a->field != FIELD_TUN_DST) ||
		memcmp(value->b, prefix, sizeof(prefix)) != 0 ||
		memcmp(mask->b, ones.b, sizeof(prefix)) != 0) {
		return false;
	}
	memcpy(v4.b, value->b + sizeof(prefix), 4);
	memcpy(v4_mask.b, mask->b + sizeof(prefix), 4);
	strbuf_put(out, "set_field:");
	field_format_value(field_get(FIELD_IPV4_SRC), &v4, &v4_mask, out);
	strbuf_put(out, a->field == FIELD_TUN_SRC ? "->tun_src" : "->tun_dst");
	return true;
}

/* A tun_metadata field. */
static bool
format_option(
	const struct of_action_set_field *a, const struct of_text_names *names, struct strbuf *out)
{
	const struct of_tlv_map *tlvs = names ? names->tlvs : NULL;
	union field_value opts_value, opts_mask;
	struct of_tlv tlv;
	unsigned index;
	uint64_t slots;

	of_action_set_field_get(a, &opts_value, &opts_mask);
	if (a->field == FIELD_TUN_OPTS_PRESENT) {
		slots = field_value_u64(field_get(FIELD_TUN_OPTS_PRESENT), &opts_mask);
		index = slots ? of_tlv_of_slot(tlvs, (unsigned)__builtin_ctzll(slots), &tlv)
			      : OF_TLV_FIELDS;
		if (index < OF_TLV_FIELDS) {
			strbuf_printf(out,
				field_value_u64(field_get(FIELD_TUN_OPTS_PRESENT), &opts_value)
					? "set_field:0x0->tun_metadata%u"
					: "delete_field:tun_metadata%u",
				index);
		}
		return index < OF_TLV_FIELDS;
	}
	index = a->field == FIELD_TUN_OPTS ? of_tlv_of_mask(tlvs, &opts_mask, &tlv) : OF_TLV_FIELDS;
	if (index == OF_TLV_FIELDS) {
		return false;
	}
	strbuf_put(out, "set_field:");
	of_tlv_format_value(&tlv, &opts_value, &opts_mask, out);
	strbuf_printf(out, "->tun_metadata%u", index);
	return true;
}

static void
format_set_field(const struct of_action_set_field *a, struct strbuf *out)
{
	const struct field *f = field_get(a->field);
	union field_value value, mask, ones;

	of_action_set_field_get(a, &value, &mask);
	field_value_ones(f, &ones);
	if (format_set_mapped(a, &value, &mask, out)) {
		return;
	}
	strbuf_put(out, "set_field:");
	if (a->field == FIELD_VLAN_VID && !memcmp(mask.b, ones.b, f->n_bytes)) {
		strbuf_printf(out, "%u", (unsigned)field_value_u64(f, &value));
	} else {
		field_format_value(f, &value, &mask, out);
	}
	strbuf_printf(out, "->%s", f->name);
}

/* The mask is one run of ones. */
static void
format_load(const struct of_action_set_field *a, struct strbuf *out)
{
	const struct field *f = field_get(a->field);
	union field_value value, mask;
	unsigned first = 0, n_bits = 0;
	unsigned long long number = 0;

	of_action_set_field_get(a, &value, &mask);
	for (unsigned bit = f->width; bit-- > 0;) {
		unsigned byte = f->n_bytes - 1u - bit / 8;

		if (mask.b[byte] >> bit % 8 & 1) {
			first = bit;
			n_bits++;
			number = number << 1 | (value.b[byte] >> bit % 8 & 1);
		}
	}
	strbuf_printf(out, "load:%#llx->", number);
	format_subfield(a->field, first, n_bits, out);
}

static void
format_controller(const struct of_action_controller *a, struct strbuf *out)
{
	strbuf_put(out, "controller(");
	if (a->reason != OF_REASON_ACTION) {
		strbuf_printf(out, "reason=%s,", of_text_reason_name(a->reason));
	}
	if (a->max_len != OF_MAX_LEN_NO_BUFFER) {
		strbuf_printf(out, "max_len=%u,", a->max_len);
	}
	if (a->controller_id) {
		strbuf_printf(out, "id=%u,", a->controller_id);
	}
	if (a->userdata_len) {
		strbuf_put(out, "userdata=");
		for (unsigned i = 0; i < a->userdata_len; i++) {
			strbuf_printf(out, "%s%02x", i ? "." : "", a->userdata[i]);
		}
		strbuf_put_char(out, ',');
	}
	if (a->pause) {
		strbuf_put(out, "pause,");
	}
	if (a->meter) {
		strbuf_printf(out, "meter_id=%u,", a->meter);
	}
	strbuf_chomp(out, ",");
	strbuf_put_char(out, ')');
}

/* What may be part of an option: its width is the map's to say, so that its bits always are written. */
static void
format_part(enum field_id field, unsigned ofs, unsigned n_bits, const struct of_text_names *names,
	struct strbuf *out)
{
	struct of_tlv tlv;
	unsigned index = field == FIELD_TUN_OPTS
				 ? of_tlv_of_bit(names ? names->tlvs : NULL, ofs, &tlv)
				 : OF_TLV_FIELDS;

	if (index == OF_TLV_FIELDS) {
		format_subfield(field, ofs, n_bits, out);
		return;
	}
	strbuf_printf(out, "NXM_NX_TUN_METADATA%u", index);
	format_range(ofs - of_tlv_bit(&tlv), n_bits, out);
}

static void
format_subfield(enum field_id field, unsigned ofs, unsigned n_bits, struct strbuf *out)
{
	oxm_put_name(field, out);
	of_text_put_range(ofs, n_bits, field_get(field)->width, out);
}

void
of_text_put_range(unsigned ofs, unsigned n_bits, unsigned width, struct strbuf *out)
{
	if (n_bits == width) {
		strbuf_put(out, "[]");
	} else {
		format_range(ofs, n_bits, out);
	}
}

static void
format_range(unsigned ofs, unsigned n_bits, struct strbuf *out)
{
	if (n_bits == 1) {
		strbuf_printf(out, "[%u]", ofs);
	} else {
		strbuf_printf(out, "[%u..%u]", ofs, ofs + n_bits - 1);
	}
}

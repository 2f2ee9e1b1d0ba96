/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts of actions, as ovs-actions(7) has them: parsing.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/error.h"
#include "lib/field.h"
#include "lib/strbuf.h"
#include "ofproto/of_action_internal.h"
#include "ofproto/of_context.h"
#include "ofproto/of_match.h"
#include "ofproto/of_text_internal.h"
#include "ofproto/oxm_internal.h"

#define MAX_DEPTH OF_ACTIONS_MAX_DEPTH

struct parser {
	const struct of_match *match;
	const struct of_text_names *names;
	struct of_actions *out;
	unsigned depth;
	bool is_tagged; /* whatever comes here has a tag */
	struct weft_error *err;
};

/* Part of a field: NAME, NAME[], NAME[BIT], NAME[LOW..HIGH]. */
struct subfield {
	enum field_id field;
	uint16_t ofs;
	uint16_t n_bits;
};

/* mod_X:VALUE, which is set_field:VALUE->FIELD. */
static const struct {
	const char *name;
	enum field_id field;
} mods[] = {
	{"mod_dl_src", FIELD_ETH_SRC},
	{"mod_dl_dst", FIELD_ETH_DST},
	{"mod_nw_src", FIELD_IPV4_SRC},
	{"mod_nw_dst", FIELD_IPV4_DST},
	{"mod_nw_ecn", FIELD_IP_ECN},
	{"mod_tp_src", FIELD_L4_SRC},
	{"mod_tp_dst", FIELD_L4_DST},
	{"set_mpls_label", FIELD_MPLS_LABEL},
	{"set_mpls_tc", FIELD_MPLS_TC},
	{"set_tunnel", FIELD_TUN_ID},
	{"set_tunnel64", FIELD_TUN_ID},
};

/* NAME:NUMBER and NAME(NUMBER). */
static const struct {
	const char *name;
	enum of_action_type type;
	uint32_t max;
} numbered[] = {
	{"group", OF_ACTION_GROUP, UINT32_MAX},
	{"set_queue", OF_ACTION_SET_QUEUE, UINT32_MAX},
	{"push_vlan", OF_ACTION_PUSH_VLAN, 0xffff},
	{"push_mpls", OF_ACTION_PUSH_MPLS, 0xffff},
	{"pop_mpls", OF_ACTION_POP_MPLS, 0xffff},
	{"push_pbb", OF_ACTION_PUSH_PBB, 0xffff},
	{"mod_nw_ttl", OF_ACTION_SET_NW_TTL, 255},
	{"set_mpls_ttl", OF_ACTION_SET_MPLS_TTL, 255},
	{"meter", OF_ACTION_METER, UINT32_MAX},
	{"goto_table", OF_ACTION_GOTO_TABLE, 254},
};

/* Those of OpenFlow 1.0, which give a packet a tag if it has none, and those that want one. */
static const struct {
	const char *name;
	enum of_action_type type; /* where there may be no tag */
	enum field_id field;      /* where there is one */
	uint16_t max;
	bool adds;
} vlan_sets[] = {
	{"mod_vlan_vid", OF_ACTION_SET_VLAN_VID, FIELD_VLAN_VID, 0xfff, true},
	{"mod_vlan_pcp", OF_ACTION_SET_VLAN_PCP, FIELD_VLAN_PCP, 7, true},
	{"set_vlan_vid", OF_ACTION_N, FIELD_VLAN_VID, 0xfff, false},
	{"set_vlan_pcp", OF_ACTION_N, FIELD_VLAN_PCP, 7, false},
};

static const struct {
	const char *name;
	enum of_action_type type;
} words[] = {
	{"pop_vlan", OF_ACTION_POP_VLAN},
	{"strip_vlan", OF_ACTION_POP_VLAN},
	{"pop_pbb", OF_ACTION_POP_PBB},
	{"dec_ttl", OF_ACTION_DEC_NW_TTL},
	{"dec_nw_ttl", OF_ACTION_DEC_NW_TTL},
	{"dec_mpls_ttl", OF_ACTION_DEC_MPLS_TTL},
	{"copy_ttl_out", OF_ACTION_COPY_TTL_OUT},
	{"copy_ttl_in", OF_ACTION_COPY_TTL_IN},
	{"clear_actions", OF_ACTION_CLEAR_ACTIONS},
};

static const char *const reasons[] = {
	[OF_REASON_NO_MATCH] = "no_match",
	[OF_REASON_ACTION] = "action",
	[OF_REASON_INVALID_TTL] = "invalid_ttl",
	[OF_REASON_ACTION_SET] = "action_set",
	[OF_REASON_GROUP] = "group",
	[OF_REASON_PACKET_OUT] = "packet_out",
};

static bool parse_list(struct parser *p, struct of_span text);
static bool parse_one(struct parser *p, struct of_span name, struct of_span arg, bool has_arg);
static bool parse_vlan_set(struct parser *p, size_t row, struct of_span arg);
static bool parse_output(struct parser *p, struct of_span port, bool is_explicit);
static bool parse_controller(struct parser *p, struct of_span arg);
static bool parse_enqueue(struct parser *p, struct of_span arg);
static bool parse_set_field(struct parser *p, struct of_span arg);
static bool put_set(struct parser *p, enum field_id field, struct of_span value);
static bool parse_load(struct parser *p, struct of_span arg);
static bool parse_move(struct parser *p, struct of_span arg);
static bool parse_mod_tos(struct parser *p, struct of_span arg);
static bool parse_resubmit(struct parser *p, struct of_span arg);
static bool parse_write_metadata(struct parser *p, struct of_span arg);
static bool parse_nested(struct parser *p, enum of_action_type type, struct of_span arg);
static bool parse_subfield(const struct parser *p, struct of_span text, struct subfield *s);
static bool parse_delete_field(struct parser *p, struct of_span arg);
static bool get_option(const struct parser *p, unsigned index, struct of_tlv *tlv);
static enum field_id resolve(const struct parser *p, enum field_id field);

bool
of_text_parse_list(struct of_span text, const struct of_match *match,
	const struct of_text_names *names, struct of_actions *actions, struct weft_error *err)
{
	struct parser p = {.match = match, .names = names, .out = actions, .err = err};

	p.is_tagged = match && field_prereq_matched(FIELD_PRE_VLAN, &match->value, &match->mask);
	return parse_list(&p, text);
}

/* --- parsing ------------------------------------------------------------------------------------- */

static bool
fail(const struct parser *p, struct of_span what, const char *why)
{
	return weft_error_set(p->err, WEFT_ERR_INVALID, EINVAL, "action %.*s: %s",
		(int)WEFT_MIN(what.len, (size_t)64), what.at, why);
}

static bool
parse_list(struct parser *p, struct of_span text)
{
	const char *start = text.at;

	text = of_span_trim(text);
	if (!text.len || of_span_is(text, "drop")) {
		return true;
	}
	while (text.len) {
		struct of_span whole = of_span_trim(of_span_cut(&text, ',')), name = whole, arg;

		while (whole.len && whole.at[0] == ' ') {
			whole.at++;
			whole.len--;
		}
		name.len = 0;
		while (name.len < whole.len && whole.at[name.len] != ':' &&
			whole.at[name.len] != '(' && whole.at[name.len] != '=') {
			name.len++;
		}
		arg = (struct of_span){whole.at + name.len, whole.len - name.len};
		if (arg.len && arg.at[0] == '(') {
			if (arg.at[arg.len - 1] != ')') {
				return fail(p, whole, "a parenthesis is not closed");
			}
			arg.at++;
			arg.len -= 2;
		} else if (arg.len) {
			arg.at++;
			arg.len--;
		}
		if (!parse_one(p, name, arg, name.len < whole.len)) {
			(void)fail(p, whole, "not understood; ovs-actions(7) has the syntax");
			if (p->err && !p->depth) {
				p->err->offset = (size_t)(whole.at - start);
			}
			return false;
		}
	}
	return true;
}

static bool
parse_one(struct parser *p, struct of_span name, struct of_span arg, bool has_arg)
{
	uint64_t n;

	if (!has_arg) {
		for (size_t i = 0; i < WEFT_ARRAY_SIZE(words); i++) {
			if (of_span_is(name, words[i].name)) {
				of_actions_put_flag(p->out, words[i].type);
				p->is_tagged &= words[i].type != OF_ACTION_POP_VLAN;
				return true;
			}
		}
		if (of_span_is(name, "learn")) {
			return of_text_parse_learn(arg, p->names, p->out, p->err);
		}
		return parse_output(p, name, false);
	}
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(numbered); i++) {
		if (of_span_is(name, numbered[i].name)) {
			if (!of_span_number(arg, numbered[i].max, &n)) {
				return fail(p, arg, "not a number in range");
			}
			of_actions_put_u32(p->out, numbered[i].type, (uint32_t)n);
			p->is_tagged |= numbered[i].type == OF_ACTION_PUSH_VLAN;
			return true;
		}
	}
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(vlan_sets); i++) {
		if (of_span_is(name, vlan_sets[i].name)) {
			return parse_vlan_set(p, i, arg);
		}
	}
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(mods); i++) {
		if (of_span_is(name, mods[i].name)) {
			return put_set(p, resolve(p, mods[i].field), arg);
		}
	}
	if (of_span_is(name, "output")) {
		return parse_output(p, arg, true);
	}
	if (of_span_is(name, "controller")) {
		return parse_controller(p, arg);
	}
	if (of_span_is(name, "enqueue")) {
		return parse_enqueue(p, arg);
	}
	if (of_span_is(name, "set_field")) {
		return parse_set_field(p, arg);
	}
	if (of_span_is(name, "load")) {
		return parse_load(p, arg);
	}
	if (of_span_is(name, "move")) {
		return parse_move(p, arg);
	}
	if (of_span_is(name, "delete_field")) {
		return parse_delete_field(p, arg);
	}
	if (of_span_is(name, "resubmit")) {
		return parse_resubmit(p, arg);
	}
	if (of_span_is(name, "learn")) {
		return of_text_parse_learn(arg, p->names, p->out, p->err);
	}
	if (of_span_is(name, "fin_timeout")) {
		return of_text_parse_fin_timeout(arg, p->out, p->err);
	}
	if (of_span_is(name, "clone")) {
		return parse_nested(p, OF_ACTION_CLONE, arg);
	}
	if (of_span_is(name, "write_actions")) {
		return parse_nested(p, OF_ACTION_WRITE_ACTIONS, arg);
	}
	if (of_span_is(name, "write_metadata")) {
		return parse_write_metadata(p, arg);
	}
	if (of_span_is(name, "mod_nw_tos")) {
		return parse_mod_tos(p, arg);
	}
	return fail(p, name, "unknown; ovs-actions(7) lists them");
}

static bool
parse_vlan_set(struct parser *p, size_t row, struct of_span arg)
{
	bool adds = vlan_sets[row].adds && !p->is_tagged;
	union field_value value;
	uint64_t n;

	if (!of_span_number(arg, vlan_sets[row].max, &n)) {
		return fail(p, arg, "not a number in range");
	}
	p->is_tagged |= vlan_sets[row].adds;
	if (adds) {
		of_actions_put_u32(p->out, vlan_sets[row].type, (uint32_t)n);
		return true;
	}
	n |= vlan_sets[row].field == FIELD_VLAN_VID ? FLOW_VLAN_PRESENT : 0;
	field_value_from_u64(field_get(vlan_sets[row].field), n, &value);
	of_actions_put_set_field(p->out, vlan_sets[row].field, &value, NULL);
	return true;
}

static bool
parse_output(struct parser *p, struct of_span text, bool is_explicit)
{
	struct of_port port;

	if (!of_text_find_port(p->names, text, &port)) {
		return fail(p, text, is_explicit ? "no such port" : "neither an action nor a port");
	}
	of_actions_put_output(p->out, port, OF_MAX_LEN_NO_BUFFER);
	return true;
}

/* controller:MAX_LEN, or controller(KEY=VALUE,..). */
static bool
parse_controller(struct parser *p, struct of_span arg)
{
	uint64_t max_len = OF_MAX_LEN_NO_BUFFER, id = 0, meter = 0, n;
	uint8_t reason = OF_REASON_ACTION, userdata[1024];
	uint16_t userdata_len = 0;
	bool pause = false, ok = true;
	struct of_span whole = arg;

	if (of_span_number(arg, UINT16_MAX, &n)) {
		of_actions_put_output(p->out, OF_PORT(OFPP_CONTROLLER), (uint16_t)n);
		return true;
	}
	while (arg.len && ok) {
		struct of_span value = of_span_trim(of_span_cut(&arg, ',')), key;

		key = of_span_cut(&value, '=');
		if (of_span_is(key, "max_len")) {
			ok = of_span_number(value, UINT16_MAX, &max_len);
		} else if (of_span_is(key, "id")) {
			ok = of_span_number(value, UINT16_MAX, &id);
		} else if (of_span_is(key, "meter_id")) {
			ok = of_span_number(value, UINT32_MAX, &meter);
		} else if (of_span_is(key, "pause")) {
			pause = true;
		} else if (of_span_is(key, "reason")) {
			ok = false;
			for (size_t i = 0; i < WEFT_ARRAY_SIZE(reasons); i++) {
				if (of_span_is(value, reasons[i])) {
					reason = (uint8_t)i;
					ok = true;
				}
			}
		} else if (of_span_is(key, "userdata")) {
			while (value.len && ok) {
				struct of_span byte = of_span_cut(&value, '.');
				char hex[5] = {'0', 'x', 0, 0, 0};

				ok = byte.len && byte.len <= 2 && userdata_len < sizeof(userdata);
				if (ok) {
					memcpy(hex + 2, byte.at, byte.len);
					ok = of_span_number(
						(struct of_span){hex, 2 + byte.len}, 255, &n);
					userdata[userdata_len++] = (uint8_t)n;
				}
			}
		} else {
			ok = false;
		}
	}
	if (!ok) {
		return fail(p, whole, "not arguments of controller()");
	}
	if (reason == OF_REASON_ACTION && !id && !userdata_len && !meter && !pause) {
		/* What OpenFlow itself can say. */
		of_actions_put_output(p->out, OF_PORT(OFPP_CONTROLLER), (uint16_t)max_len);
		return true;
	}
	of_actions_put_controller(p->out, (uint16_t)max_len, reason, (uint16_t)id, userdata,
		userdata_len, (uint32_t)meter, pause);
	return true;
}

static bool
parse_enqueue(struct parser *p, struct of_span arg)
{
	struct of_span queue = arg, port;
	struct of_port number;
	uint64_t n;

	port = of_span_cut(&queue, memchr(arg.at, ',', arg.len) ? ',' : ':');
	if (!of_text_find_port(p->names, port, &number) || !of_span_number(queue, UINT32_MAX, &n)) {
		return fail(p, arg, "not PORT:QUEUE");
	}
	of_actions_put_enqueue(p->out, number, (uint32_t)n);
	return true;
}

/* VALUE[/MASK]->FIELD */
static bool
parse_set_field(struct parser *p, struct of_span arg)
{
	union field_value v = {{0}}, m = {{0}}, opts_value, opts_mask;
	struct of_span value, name;
	enum field_id field;
	struct of_tlv tlv;
	unsigned index;

	if (!of_span_split_arrow(arg, &value, &name)) {
		return fail(p, arg, "not VALUE->FIELD");
	}
	if (of_tlv_parse_name(name.at, name.len, &index)) {
		if (!get_option(p, index, &tlv) ||
			!of_text_parse_option(value, index, &tlv, &v, &m, p->err)) {
			return false;
		}
		of_tlv_place(&tlv, &v, &opts_value);
		of_tlv_place(&tlv, &m, &opts_mask);
		of_tlv_put_set(p->out, &tlv, &opts_value, &opts_mask);
		return true;
	}
	field = field_by_name(name.at, name.len);
	if (field == FIELD_N) {
		field = oxm_by_name(name.at, name.len);
	}
	if (field == FIELD_N && of_span_is(name, "tun_src")) {
		field = FIELD_TUN_SRC;
	} else if (field == FIELD_N && of_span_is(name, "tun_dst")) {
		field = FIELD_TUN_DST;
	}
	if (field == FIELD_N || field_get(field)->block == 5) {
		return fail(p, name, "unknown field");
	}
	return put_set(p, resolve(p, field), value);
}

static bool
put_set(struct parser *p, enum field_id field, struct of_span text)
{
	const struct field *f = field_get(field);
	union field_value value, mask;
	char mapped[64];

	if (!(f->flags & FIELD_WRITABLE)) {
		return fail(p, (struct of_span){f->name, strlen(f->name)}, "cannot be set");
	}
	if ((field == FIELD_TUN_SRC || field == FIELD_TUN_DST) && text.len < 16 &&
		!memchr(text.at, ':', text.len)) {
		text.len = (size_t)snprintf(
			mapped, sizeof(mapped), "::ffff:%.*s", (int)text.len, text.at);
		text.at = mapped;
	}
	if (!field_parse_value(f, text.at, text.len, &value, &mask, p->err)) {
		return false;
	}
	of_actions_put_set_field(p->out, field, &value, &mask);
	return true;
}

/* VALUE->FIELD[LOW..HIGH] */
static bool
parse_load(struct parser *p, struct of_span arg)
{
	union field_value value = {{0}}, mask = {{0}};
	struct of_span text, name;
	struct of_action_set_field *a;
	const struct field *f;
	struct subfield s;
	uint64_t n;
	size_t at = p->out->size;

	if (!of_span_split_arrow(arg, &text, &name) || !of_span_number(text, UINT64_MAX, &n) ||
		!parse_subfield(p, name, &s)) {
		return fail(p, arg, "not NUMBER->FIELD[LOW..HIGH]");
	}
	f = field_get(s.field);
	if (s.n_bits < 64 && n >> s.n_bits) {
		return fail(p, arg, "the number does not fit");
	}
	for (unsigned i = 0; i < s.n_bits; i++) {
		unsigned bit = s.ofs + i;
		uint8_t *v = &value.b[f->n_bytes - 1 - bit / 8],
			*m = &mask.b[f->n_bytes - 1 - bit / 8];

		*m |= (uint8_t)(1u << bit % 8);
		if (i < 64 && n >> i & 1) {
			*v |= (uint8_t)(1u << bit % 8);
		}
	}
	of_actions_put_set_field(p->out, s.field, &value, &mask);
	a = (void *)(p->out->data + at);
	a->is_load = s.field != FIELD_TUN_OPTS;
	return true;
}

static bool
parse_move(struct parser *p, struct of_span arg)
{
	struct of_span from, to;
	struct subfield src, dst;

	if (!of_span_split_arrow(arg, &from, &to) || !parse_subfield(p, from, &src) ||
		!parse_subfield(p, to, &dst) || src.n_bits != dst.n_bits) {
		return fail(p, arg, "not FIELD[LOW..HIGH]->FIELD[LOW..HIGH] of the same width");
	}
	of_actions_put_copy_field(p->out, src.field, src.ofs, dst.field, dst.ofs, src.n_bits);
	return true;
}

/* A TOS byte whose ECN bits are 0. */
static bool
parse_mod_tos(struct parser *p, struct of_span arg)
{
	union field_value value;
	uint64_t n;

	if (!of_span_number(arg, 255, &n) || n & 3) {
		return fail(p, arg, "not a TOS whose two low bits are 0");
	}
	field_value_from_u64(field_get(FIELD_IP_DSCP), n >> 2, &value);
	of_actions_put_set_field(p->out, FIELD_IP_DSCP, &value, NULL);
	return true;
}

/* PORT, or PORT,TABLE with either left out. */
static bool
parse_resubmit(struct parser *p, struct of_span arg)
{
	struct of_port port = OF_PORT(OFPP_IN_PORT);
	struct of_span table = arg, first = of_span_trim(of_span_cut(&table, ','));
	uint64_t n = OF_TABLE_ALL;

	table = of_span_trim(table);
	if ((first.len && !of_text_find_port(p->names, first, &port)) ||
		(table.len && !of_span_number(table, OF_N_TABLES - 1, &n)) ||
		(!first.len && !table.len)) {
		return fail(p, arg, "not PORT, or PORT,TABLE");
	}
	of_actions_put_resubmit(p->out, port, (uint8_t)n);
	return true;
}

static bool
parse_write_metadata(struct parser *p, struct of_span arg)
{
	struct of_span mask_text = arg, text = of_span_cut(&mask_text, '/');
	uint64_t value, mask = UINT64_MAX;

	if (!of_span_number(text, UINT64_MAX, &value) ||
		(mask_text.len && !of_span_number(mask_text, UINT64_MAX, &mask))) {
		return fail(p, arg, "not VALUE or VALUE/MASK");
	}
	of_actions_put_write_metadata(p->out, value, mask);
	return true;
}

static bool
parse_nested(struct parser *p, enum of_action_type type, struct of_span arg)
{
	bool ok, was_tagged = p->is_tagged;
	size_t at;

	if (p->depth == MAX_DEPTH) {
		return fail(p, arg, "nested too deep");
	}
	at = of_actions_begin(p->out, type);
	p->depth++;
	ok = parse_list(p, arg);
	p->depth--;
	p->is_tagged = was_tagged;
	if (type == OF_ACTION_WRITE_ACTIONS && p->out->size == at + sizeof(struct of_action_hdr)) {
		p->out->size = at; /* nothing is written */
	} else {
		of_actions_end(p->out, at);
	}
	return ok;
}

static bool
get_option(const struct parser *p, unsigned index, struct of_tlv *tlv)
{
	return of_tlv_get(p->names ? p->names->tlvs : NULL, index, tlv) ||
	       of_tlv_refuse(p->err, index);
}

static bool
parse_delete_field(struct parser *p, struct of_span arg)
{
	struct of_tlv tlv;
	unsigned index;

	arg = of_span_trim(arg);
	if (!of_tlv_parse_name(arg.at, arg.len, &index)) {
		return fail(p, arg, "only tun_metadata fields can be deleted");
	}
	if (!get_option(p, index, &tlv)) {
		return false;
	}
	of_tlv_put_delete(p->out, &tlv);
	return true;
}

static bool
parse_subfield(const struct parser *p, struct of_span text, struct subfield *s)
{
	struct of_span range = text, name = of_span_trim(of_span_cut(&range, '['));
	unsigned index;
	struct of_tlv tlv;

	if (of_tlv_parse_name(name.at, name.len, &index)) {
		if (!get_option(p, index, &tlv) || !tlv.len ||
			!of_text_parse_range(text, 8u * tlv.len, &s->ofs, &s->n_bits)) {
			return false;
		}
		s->field = FIELD_TUN_OPTS;
		s->ofs = (uint16_t)(s->ofs + of_tlv_bit(&tlv));
		return true;
	}
	s->field = oxm_by_name(name.at, name.len);
	if (s->field == FIELD_N) {
		s->field = field_by_name(name.at, name.len);
	}
	return s->field != FIELD_N && field_get(s->field)->block != 5 &&
	       of_text_parse_range(text, field_get(s->field)->width, &s->ofs, &s->n_bits);
}

bool
of_text_parse_range(struct of_span text, unsigned width, uint16_t *ofs, uint16_t *n_bits)
{
	struct of_span range = text, name = of_span_cut(&range, '['), high;
	uint64_t low_bit, high_bit;

	*ofs = 0;
	*n_bits = (uint16_t)width;
	if (range.at == name.at + name.len || of_span_is(range, "]")) {
		return true;
	}
	if (!range.len || range.at[range.len - 1] != ']') {
		return !range.len;
	}
	range.len--;
	high = range;
	range = of_span_cut(&high, '.');
	if (!of_span_number(range, width - 1, &low_bit)) {
		return false;
	}
	high_bit = low_bit;
	if (high.len &&
		(high.at[0] != '.' || !of_span_number((struct of_span){high.at + 1, high.len - 1},
					      width - 1, &high_bit))) {
		return false;
	}
	*ofs = (uint16_t)low_bit;
	*n_bits = (uint16_t)(high_bit - low_bit + 1);
	return high_bit >= low_bit;
}

bool
of_span_split_arrow(struct of_span arg, struct of_span *left, struct of_span *right)
{
	for (size_t i = 0; i + 1 < arg.len; i++) {
		if (arg.at[i] == '-' && arg.at[i + 1] == '>') {
			*left = of_span_trim((struct of_span){arg.at, i});
			*right = of_span_trim((struct of_span){arg.at + i + 2, arg.len - i - 2});
			return true;
		}
	}
	return false;
}

/* tp_src and tp_dst are those of the protocol that the match names. */
static enum field_id
resolve(const struct parser *p, enum field_id field)
{
	static const enum field_id src[] = {FIELD_TCP_SRC, FIELD_UDP_SRC, FIELD_SCTP_SRC};
	static const enum field_id dst[] = {FIELD_TCP_DST, FIELD_UDP_DST, FIELD_SCTP_DST};

	if (p->match && (field == FIELD_L4_SRC || field == FIELD_L4_DST)) {
		for (size_t i = 0; i < WEFT_ARRAY_SIZE(src); i++) {
			if (field_prereq_matched(
				    field_get(src[i])->prereq, &p->match->value, &p->match->mask)) {
				return field == FIELD_L4_SRC ? src[i] : dst[i];
			}
		}
	}
	return field;
}

const char *
of_text_reason_name(uint8_t reason)
{
	return reason < WEFT_ARRAY_SIZE(reasons) ? reasons[reason] : "unknown";
}

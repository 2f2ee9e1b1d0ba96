/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts of actions, as ovs-actions(7) has them.
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
	{"mod_vlan_vid", OF_ACTION_SET_VLAN_VID, 0xfff},
	{"set_vlan_vid", OF_ACTION_SET_VLAN_VID, 0xfff},
	{"mod_vlan_pcp", OF_ACTION_SET_VLAN_PCP, 7},
	{"set_vlan_pcp", OF_ACTION_SET_VLAN_PCP, 7},
	{"push_mpls", OF_ACTION_PUSH_MPLS, 0xffff},
	{"pop_mpls", OF_ACTION_POP_MPLS, 0xffff},
	{"push_pbb", OF_ACTION_PUSH_PBB, 0xffff},
	{"mod_nw_ttl", OF_ACTION_SET_NW_TTL, 255},
	{"set_mpls_ttl", OF_ACTION_SET_MPLS_TTL, 255},
	{"meter", OF_ACTION_METER, UINT32_MAX},
	{"goto_table", OF_ACTION_GOTO_TABLE, 254},
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
static bool parse_subfield(struct of_span text, struct subfield *s);
static bool split_arrow(struct of_span arg, struct of_span *left, struct of_span *right);
static enum field_id resolve(const struct parser *p, enum field_id field);
static void format_one(
	const struct of_action_hdr *a, const struct of_text_names *names, struct strbuf *out);
static void format_set_field(const struct of_action_set_field *a, struct strbuf *out);
static void format_load(const struct of_action_set_field *a, struct strbuf *out);
static void format_controller(const struct of_action_controller *a, struct strbuf *out);
static void format_subfield(enum field_id field, unsigned ofs, unsigned n_bits, struct strbuf *out);

bool
of_text_parse_list(struct of_span text, const struct of_match *match,
	const struct of_text_names *names, struct of_actions *actions, struct weft_error *err)
{
	struct parser p = {.match = match, .names = names, .out = actions, .err = err};

	return parse_list(&p, text);
}

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
				return true;
			}
		}
		return parse_output(p, name, false);
	}
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(numbered); i++) {
		if (of_span_is(name, numbered[i].name)) {
			if (!of_span_number(arg, numbered[i].max, &n)) {
				return fail(p, arg, "not a number in range");
			}
			of_actions_put_u32(p->out, numbered[i].type, (uint32_t)n);
			return true;
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
	if (of_span_is(name, "resubmit")) {
		return parse_resubmit(p, arg);
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
		return fail(p, arg, "bad argument of controller()");
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
	struct of_span value, name;
	enum field_id field;

	if (!split_arrow(arg, &value, &name)) {
		return fail(p, arg, "not VALUE->FIELD");
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
	if (field == FIELD_N) {
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

	if (!split_arrow(arg, &text, &name) || !of_span_number(text, UINT64_MAX, &n) ||
		!parse_subfield(name, &s)) {
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
	a->is_load = 1;
	return true;
}

static bool
parse_move(struct parser *p, struct of_span arg)
{
	struct of_span from, to;
	struct subfield src, dst;

	if (!split_arrow(arg, &from, &to) || !parse_subfield(from, &src) ||
		!parse_subfield(to, &dst) || src.n_bits != dst.n_bits) {
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
	size_t at;
	bool ok;

	if (p->depth == MAX_DEPTH) {
		return fail(p, arg, "nested too deep");
	}
	at = of_actions_begin(p->out, type);
	p->depth++;
	ok = parse_list(p, arg);
	p->depth--;
	of_actions_end(p->out, at);
	return ok;
}

static bool
parse_subfield(struct of_span text, struct subfield *s)
{
	struct of_span range = text, name = of_span_cut(&range, '['), high;
	uint64_t low_bit, high_bit;
	unsigned width;

	name = of_span_trim(name);
	s->field = oxm_by_name(name.at, name.len);
	if (s->field == FIELD_N) {
		s->field = field_by_name(name.at, name.len);
	}
	if (s->field == FIELD_N) {
		return false;
	}
	width = field_get(s->field)->width;
	s->ofs = 0;
	s->n_bits = (uint16_t)width;
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
	s->ofs = (uint16_t)low_bit;
	s->n_bits = (uint16_t)(high_bit - low_bit + 1);
	return high_bit >= low_bit;
}

static bool
split_arrow(struct of_span arg, struct of_span *left, struct of_span *right)
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

/* --- formatting ---------------------------------------------------------------------------------- */

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
		if (set->is_load) {
			format_load(set, out);
		} else {
			format_set_field(set, out);
		}
		break;
	case OF_ACTION_COPY_FIELD:
		strbuf_put(out, "move:");
		format_subfield(copy->src, copy->src_ofs, copy->n_bits, out);
		strbuf_put(out, "->");
		format_subfield(copy->dst, copy->dst_ofs, copy->n_bits, out);
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
	case OF_ACTION_WRITE_METADATA:
		strbuf_printf(out, "%s:0x%llx", name, (unsigned long long)md->metadata);
		if (md->mask != UINT64_MAX) {
			strbuf_printf(out, "/0x%llx", (unsigned long long)md->mask);
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
	strbuf_printf(out, "load:0x%llx->", number);
	format_subfield(a->field, first, n_bits, out);
}

static void
format_controller(const struct of_action_controller *a, struct strbuf *out)
{
	strbuf_put(out, "controller(");
	if (a->reason != OF_REASON_ACTION && a->reason < WEFT_ARRAY_SIZE(reasons)) {
		strbuf_printf(out, "reason=%s,", reasons[a->reason]);
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

static void
format_subfield(enum field_id field, unsigned ofs, unsigned n_bits, struct strbuf *out)
{
	oxm_put_name(field, out);
	if (n_bits == field_get(field)->width) {
		strbuf_put(out, "[]");
	} else if (n_bits == 1) {
		strbuf_printf(out, "[%u]", ofs);
	} else {
		strbuf_printf(out, "[%u..%u]", ofs, ofs + n_bits - 1);
	}
}

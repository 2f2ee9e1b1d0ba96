/* SPDX-License-Identifier: Apache-2.0
 *
 * Text of datapath actions.
 *
 * Form: NAME or NAME(ARGUMENTS), comma-separated; an argument is a value, KEY=VALUE, a field (set,
 *       hash) or a list. Lists behind other arguments stand in parentheses of their own:
 *       sample(probability=N,(LIST)), check_len(max_len=N,(LIST),(LIST)). Handles are
 *       SLOT.GENERATION. An empty list as a whole is "drop".
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/dp_action_internal.h"
#include "lib/error.h"
#include "lib/field_text_internal.h"
#include "lib/strbuf.h"

#define LSE_LABEL_SHIFT 12
#define LSE_TC_SHIFT 9
#define LSE_BOS_SHIFT 8
#define TCI_PCP_SHIFT 13
#define TCI_DEI_SHIFT 12

static const char *const tunnel_names[] = {
	[DP_TUNNEL_VXLAN] = "vxlan",
	[DP_TUNNEL_VXLAN_GPE] = "vxlan-gpe",
	[DP_TUNNEL_GENEVE] = "geneve",
	[DP_TUNNEL_GRE] = "gre",
	[DP_TUNNEL_ERSPAN] = "erspan",
	[DP_TUNNEL_GRE_OR_ERSPAN] = "gre-or-erspan",
};

const char *
dp_tunnel_kind_name(enum dp_tunnel_kind kind)
{
	return tunnel_names[kind];
}

/* --- formatting ------------------------------------------------------------------------------------- */

static void format_list(const void *data, size_t size, struct strbuf *out);

static void
format_set_field(const struct dp_action_set_field *a, struct strbuf *out)
{
	const struct field *f = field_get((enum field_id)a->field);
	union field_value value = {0}, mask = {0};

	memcpy(value.b, a->data, f->n_bytes);
	memcpy(mask.b, a->data + f->n_bytes, f->n_bytes);
	strbuf_printf(out, "%s=", f->name);
	field_format_value(f, &value, &mask, out);
}

static void
format_push_vlan(const struct dp_action_push_vlan *a, struct strbuf *out)
{
	unsigned tci = be16_to(a->tci);

	strbuf_printf(
		out, "tpid=%#x,vid=%u,pcp=%u", be16_to(a->tpid), tci & 0xfff, tci >> TCI_PCP_SHIFT);
	if (tci >> TCI_DEI_SHIFT & 1) {
		strbuf_put(out, ",dei=1");
	}
}

static void
format_push_mpls(const struct dp_action_push_mpls *a, struct strbuf *out)
{
	uint32_t lse = be32_to(a->lse);

	strbuf_printf(out, "eth_type=%#x,label=%u,tc=%u,ttl=%u", be16_to(a->eth_type),
		lse >> LSE_LABEL_SHIFT, lse >> LSE_TC_SHIFT & 7, lse & 0xff);
	if (lse >> LSE_BOS_SHIFT & 1) {
		strbuf_put(out, ",bos=1");
	}
}

static void
format_decap(const struct dp_action_decap *a, struct strbuf *out)
{
	strbuf_printf(out, "kind=%s,port=%u", tunnel_names[a->kind], a->port);
	if (a->recirc_id) {
		strbuf_printf(out, ",recirc_id=%#x", a->recirc_id);
	}
}

static void
format_hash(const struct dp_action_hash *a, struct strbuf *out)
{
	strbuf_printf(out, "basis=%u", a->basis);
	for (uint32_t i = 0; i < a->n_fields; i++) {
		strbuf_printf(out, ",%s", field_get((enum field_id)a->fields[i])->name);
	}
}

static void
format_nested(const struct dp_action_hdr *a, unsigned which, struct strbuf *out)
{
	size_t size;
	const void *nested = dp_action_nested(a, which, &size);

	format_list(nested, size, out);
}

/* What stands in the parentheses. */
static void
format_arguments(const struct dp_action_hdr *hdr, struct strbuf *out)
{
	const void *a = hdr;
	const struct dp_action_u32 *u32 = a;

	switch ((enum dp_action_type)hdr->type) {
	case DP_ACTION_OUTPUT: {
		const struct dp_action_output *output = a;

		strbuf_printf(out, "%u", output->port);
		if (output->max_len) {
			strbuf_printf(out, ",max_len=%u", output->max_len);
		}
		break;
	}
	case DP_ACTION_DROP:
		strbuf_put(out, drop_reason_name((enum drop_reason)u32->v));
		break;
	case DP_ACTION_TO_AGENT: {
		const struct dp_action_to_agent *to_agent = a;

		strbuf_printf(out, "context=%u,max_len=%u,reason=%u", to_agent->context,
			to_agent->max_len, to_agent->reason);
		break;
	}
	case DP_ACTION_PUSH_VLAN:
		format_push_vlan(a, out);
		break;
	case DP_ACTION_SET_FIELD:
		format_set_field(a, out);
		break;
	case DP_ACTION_PUSH_MPLS:
		format_push_mpls(a, out);
		break;
	case DP_ACTION_POP_MPLS:
	case DP_ACTION_PUSH_PBB:
	case DP_ACTION_RECIRC:
		strbuf_printf(out, "%#x", u32->v);
		break;
	case DP_ACTION_SELECT:
	case DP_ACTION_FIRST_LIVE:
	case DP_ACTION_METER:
	case DP_ACTION_ENCAP: {
		const struct dp_action_object *object = a;

		strbuf_printf(out, "%u.%u", object->object.slot, object->object.gen);
		break;
	}
	case DP_ACTION_DEC_TTL:
	case DP_ACTION_DEC_MPLS_TTL:
	case DP_ACTION_CLONE:
		format_nested(hdr, 0, out);
		break;
	case DP_ACTION_SAMPLE:
		strbuf_printf(out, "probability=%u,(", u32->v);
		format_nested(hdr, 0, out);
		strbuf_put(out, ")");
		break;
	case DP_ACTION_CHECK_LEN:
		strbuf_printf(
			out, "max_len=%u,(", ((const struct dp_action_check_len *)a)->max_len);
		format_nested(hdr, 0, out);
		strbuf_put(out, "),(");
		format_nested(hdr, 1, out);
		strbuf_put(out, ")");
		break;
	case DP_ACTION_DECAP:
		format_decap(a, out);
		break;
	case DP_ACTION_HASH:
		format_hash(a, out);
		break;
	default:
		break;
	}
}

static bool
is_bare(const struct dp_action_row *row)
{
	return row->size == sizeof(struct dp_action_hdr) && row->nested == DP_NESTED_NO;
}

static void
format_list(const void *data, size_t size, struct strbuf *out)
{
	const struct dp_action_hdr *first = dp_action_first(data, size);

	for (const struct dp_action_hdr *a = first; a; a = dp_action_next(a, data, size)) {
		const struct dp_action_row *row = &dp_action_rows[a->type];

		strbuf_printf(out, "%s%s", a == first ? "" : ",", row->name);
		if (!is_bare(row)) {
			strbuf_put_char(out, '(');
			format_arguments(a, out);
			strbuf_put_char(out, ')');
		}
	}
}

void
dp_actions_format(const void *data, size_t size, struct strbuf *out)
{
	if (size) {
		format_list(data, size, out);
	} else {
		strbuf_put(out, "drop");
	}
}

/* --- parsing ---------------------------------------------------------------------------------------- */

struct parser {
	const char *start;
	struct dp_actions *list;
	struct weft_error *err;
};

static bool parse_list(const struct parser *p, struct span text, unsigned depth);

static bool
refuse(const struct parser *p, struct span at, const char *why)
{
	struct span_quoted quoted;

	return weft_error_set_at(p->err, WEFT_ERR_INVALID, EINVAL, 0,
		at.text ? (size_t)(at.text - p->start) : 0, "datapath actions: '%s': %s",
		span_quote(at, &quoted), why);
}

/* Cuts what stands before the next comma outside parentheses off @text. False: parentheses do not
 * match, or nothing follows a comma; @part is then all of it. */
static bool
next_part(struct span *text, struct span *part)
{
	size_t n = 0, depth = 0;

	*part = *text;
	while (n < text->len && (depth || text->text[n] != ',')) {
		if (text->text[n] == ')' && !depth) {
			return false;
		}
		depth += text->text[n] == '(';
		depth -= text->text[n] == ')';
		n++;
	}
	if (depth || n + 1 == text->len) {
		return false;
	}
	part->len = n;
	*text = n < text->len ? (struct span){text->text + n + 1, text->len - n - 1}
			      : (struct span){NULL, 0};
	return true;
}

/* The next argument as KEY=NUMBER. */
static bool
take_number(
	const struct parser *p, struct span *arguments, const char *key, uint64_t max, uint64_t *n)
{
	struct span part, value, name, rest = *arguments;

	*n = 0;
	if (!next_part(&rest, &part)) {
		return refuse(p, *arguments, "parentheses do not match");
	}
	name = span_before(part, '=', &value);
	if (!span_is(name, key) || !value.text || !span_number(value, n) || *n > max) {
		struct span_quoted quoted;

		return weft_error_set_at(p->err, WEFT_ERR_INVALID, EINVAL, 0,
			part.text ? (size_t)(part.text - p->start) : 0,
			"datapath actions: '%s': write %s=NUMBER, up to %" PRIu64,
			span_quote(part, &quoted), key, max);
	}
	*arguments = rest;
	return true;
}

/* The same, if the argument has that key; else *n is left alone. */
static bool
take_option(
	const struct parser *p, struct span *arguments, const char *key, uint64_t max, uint64_t *n)
{
	struct span value, name = span_before(*arguments, '=', &value);

	return !arguments->text || !span_is(name, key) || take_number(p, arguments, key, max, n);
}

static bool
take_end(const struct parser *p, struct span arguments)
{
	return !arguments.text || refuse(p, arguments, "too many arguments");
}

static bool
take_plain(const struct parser *p, struct span arguments, uint64_t max, uint64_t *n)
{
	*n = 0;
	return (span_number(arguments, n) && *n <= max) ||
	       refuse(p, arguments, "not a number in range");
}

/* A list in parentheses. */
static bool
take_list(const struct parser *p, struct span *arguments, unsigned depth)
{
	struct span part, rest = *arguments;

	if (!arguments->text || !next_part(&rest, &part) || part.len < 2 || part.text[0] != '(' ||
		part.text[part.len - 1] != ')') {
		return refuse(p, *arguments, "a list in parentheses is missing");
	}
	*arguments = rest;
	return parse_list(p, (struct span){part.text + 1, part.len - 2}, depth);
}

static bool
parse_output(const struct parser *p, struct span arguments)
{
	struct span part, rest = arguments;
	uint64_t port, max_len = 0;

	if (!next_part(&rest, &part) || !span_number(part, &port) || port > DP_PORT_MAX) {
		return refuse(p, arguments, "not the number of a datapath port");
	}
	if (!take_option(p, &rest, "max_len", UINT32_MAX, &max_len) || !take_end(p, rest)) {
		return false;
	}
	dp_actions_put_output(p->list, (struct dp_port){(uint32_t)port}, (uint32_t)max_len);
	return true;
}

static bool
parse_drop(const struct parser *p, struct span arguments)
{
	enum drop_reason reason = drop_reason_by_name(arguments.text, arguments.len);

	if (reason == DROP_N) {
		return refuse(p, arguments, "no drop reason");
	}
	dp_actions_put_drop(p->list, reason);
	return true;
}

static bool
parse_to_agent(const struct parser *p, struct span arguments)
{
	uint64_t context, max_len, reason;

	if (!take_number(p, &arguments, "context", UINT32_MAX, &context) ||
		!take_number(p, &arguments, "max_len", UINT16_MAX, &max_len) ||
		!take_number(p, &arguments, "reason", UINT16_MAX, &reason) ||
		!take_end(p, arguments)) {
		return false;
	}
	dp_actions_put_to_agent(p->list, (uint32_t)context, (uint16_t)max_len, (uint16_t)reason);
	return true;
}

static bool
parse_push_vlan(const struct parser *p, struct span arguments)
{
	uint64_t tpid, vid, pcp, dei = 0;

	if (!take_number(p, &arguments, "tpid", UINT16_MAX, &tpid) ||
		!take_number(p, &arguments, "vid", 0xfff, &vid) ||
		!take_number(p, &arguments, "pcp", 7, &pcp) ||
		!take_option(p, &arguments, "dei", 1, &dei) || !take_end(p, arguments)) {
		return false;
	}
	dp_actions_put_push_vlan(p->list, be16_from((uint16_t)tpid),
		be16_from((uint16_t)(pcp << TCI_PCP_SHIFT | dei << TCI_DEI_SHIFT | vid)));
	return true;
}

static bool
parse_push_mpls(const struct parser *p, struct span arguments)
{
	uint64_t eth_type, label, tc, ttl, bos = 0;

	if (!take_number(p, &arguments, "eth_type", UINT16_MAX, &eth_type) ||
		!take_number(p, &arguments, "label", 0xfffff, &label) ||
		!take_number(p, &arguments, "tc", 7, &tc) ||
		!take_number(p, &arguments, "ttl", 0xff, &ttl) ||
		!take_option(p, &arguments, "bos", 1, &bos) || !take_end(p, arguments)) {
		return false;
	}
	dp_actions_put_push_mpls(p->list, be16_from((uint16_t)eth_type),
		be32_from((uint32_t)(label << LSE_LABEL_SHIFT | tc << LSE_TC_SHIFT |
				     bos << LSE_BOS_SHIFT | ttl)));
	return true;
}

static bool
parse_set_field(const struct parser *p, struct span arguments)
{
	struct span text, name = span_before(arguments, '=', &text);
	struct field_text how = {.name = name, .any_mask = true};
	union field_value value, mask;
	enum field_id id;

	if (!text.text) {
		return refuse(p, arguments, "write FIELD=VALUE");
	}
	id = field_by_name(name.text, name.len);
	if (id == FIELD_N) {
		return refuse(p, name, "no such field");
	}
	how.f = field_get(id);
	if (!field_parse_span(&how, text, &value, &mask, p->err)) {
		return false;
	}
	dp_actions_put_set_field(p->list, id, &value, &mask);
	return true;
}

static bool
parse_object(const struct parser *p, enum dp_action_type type, struct span arguments)
{
	struct span gen_text, slot_text = span_before(arguments, '.', &gen_text);
	uint64_t slot, gen;

	if (!gen_text.text || !span_number(slot_text, &slot) || !span_number(gen_text, &gen) ||
		slot > UINT32_MAX || gen > UINT32_MAX) {
		return refuse(p, arguments, "write a handle as SLOT.GENERATION");
	}
	dp_actions_put_object(p->list, type, (struct dp_handle){(uint32_t)slot, (uint32_t)gen});
	return true;
}

static bool
parse_decap(const struct parser *p, struct span arguments)
{
	struct span part, kind_text, key;
	uint64_t port, recirc_id = 0;
	unsigned kind = DP_TUNNEL_VXLAN;

	if (!next_part(&arguments, &part)) {
		return refuse(p, part, "parentheses do not match");
	}
	key = span_before(part, '=', &kind_text);
	while (kind < WEFT_ARRAY_SIZE(tunnel_names) && !span_is(kind_text, tunnel_names[kind])) {
		kind++;
	}
	if (!span_is(key, "kind") || kind == WEFT_ARRAY_SIZE(tunnel_names)) {
		return refuse(p, part,
			"write kind=vxlan, vxlan-gpe, geneve, gre, erspan or gre-or-erspan");
	}
	if (!take_number(p, &arguments, "port", DP_PORT_MAX, &port) ||
		!take_option(p, &arguments, "recirc_id", UINT32_MAX, &recirc_id) ||
		!take_end(p, arguments)) {
		return false;
	}
	dp_actions_put_decap(p->list, (enum dp_tunnel_kind)kind, (struct dp_port){(uint32_t)port},
		(uint32_t)recirc_id);
	return true;
}

static bool
parse_hash(const struct parser *p, struct span arguments)
{
	uint16_t fields[FIELD_N];
	uint32_t n_fields = 0;
	uint64_t basis;

	if (!take_number(p, &arguments, "basis", UINT32_MAX, &basis)) {
		return false;
	}
	while (arguments.text) {
		struct span name;
		enum field_id id;

		if (!next_part(&arguments, &name)) {
			return refuse(p, name, "a field is missing");
		}
		id = field_by_name(name.text, name.len);
		if (id == FIELD_N || n_fields == FIELD_N) {
			return refuse(p, name, "no such field, or too many");
		}
		fields[n_fields++] = (uint16_t)id;
	}
	dp_actions_put_hash(p->list, (uint32_t)basis, fields, n_fields);
	return true;
}

static bool
parse_check_len(const struct parser *p, struct span arguments, unsigned depth)
{
	struct dp_actions lists[2];
	uint64_t max_len;
	bool ok = take_number(p, &arguments, "max_len", UINT32_MAX, &max_len);

	for (unsigned i = 0; i < 2; i++) {
		struct parser nested = {p->start, &lists[i], p->err};

		dp_actions_init(&lists[i]);
		ok = ok && take_list(&nested, &arguments, depth + 1);
	}
	if (ok && take_end(p, arguments)) {
		dp_actions_put_check_len(p->list, (uint32_t)max_len, &lists[0], &lists[1]);
	} else {
		ok = false;
	}
	dp_actions_uninit(&lists[0]);
	dp_actions_uninit(&lists[1]);
	return ok;
}

static bool
parse_nested(
	const struct parser *p, enum dp_action_type type, struct span arguments, unsigned depth)
{
	uint64_t probability = 0;
	size_t at;
	bool ok;

	if (type == DP_ACTION_SAMPLE &&
		!take_number(p, &arguments, "probability", UINT32_MAX, &probability)) {
		return false;
	}
	at = dp_actions_begin(p->list, type, (uint32_t)probability);
	if (type == DP_ACTION_SAMPLE) {
		ok = take_list(p, &arguments, depth + 1) && take_end(p, arguments);
	} else {
		ok = parse_list(p, arguments, depth + 1);
	}
	dp_actions_end(p->list, at);
	return ok;
}

static bool
parse_u32(const struct parser *p, enum dp_action_type type, struct span arguments)
{
	uint64_t n, max = type == DP_ACTION_RECIRC ? UINT32_MAX : UINT16_MAX;

	if (!take_plain(p, arguments, max, &n)) {
		return false;
	}
	dp_actions_put_u32(p->list, type, (uint32_t)n);
	return true;
}

static bool
parse_action(
	const struct parser *p, enum dp_action_type type, struct span arguments, unsigned depth)
{
	switch (type) {
	case DP_ACTION_OUTPUT:
		return parse_output(p, arguments);
	case DP_ACTION_DROP:
		return parse_drop(p, arguments);
	case DP_ACTION_TO_AGENT:
		return parse_to_agent(p, arguments);
	case DP_ACTION_PUSH_VLAN:
		return parse_push_vlan(p, arguments);
	case DP_ACTION_SET_FIELD:
		return parse_set_field(p, arguments);
	case DP_ACTION_PUSH_MPLS:
		return parse_push_mpls(p, arguments);
	case DP_ACTION_POP_MPLS:
	case DP_ACTION_PUSH_PBB:
	case DP_ACTION_RECIRC:
		return parse_u32(p, type, arguments);
	case DP_ACTION_SELECT:
	case DP_ACTION_FIRST_LIVE:
	case DP_ACTION_METER:
	case DP_ACTION_ENCAP:
		return parse_object(p, type, arguments);
	case DP_ACTION_DEC_TTL:
	case DP_ACTION_DEC_MPLS_TTL:
	case DP_ACTION_CLONE:
	case DP_ACTION_SAMPLE:
		return parse_nested(p, type, arguments, depth);
	case DP_ACTION_CHECK_LEN:
		return parse_check_len(p, arguments, depth);
	case DP_ACTION_DECAP:
		return parse_decap(p, arguments);
	case DP_ACTION_HASH:
		return parse_hash(p, arguments);
	default:
		dp_actions_put_flag(p->list, type);
		return true;
	}
}

static bool
parse_one(const struct parser *p, struct span part, unsigned depth)
{
	struct span arguments, name = span_before(part, '(', &arguments);
	unsigned type = 1;

	while (type < DP_ACTION_N && !span_is(name, dp_action_rows[type].name)) {
		type++;
	}
	if (type == DP_ACTION_N) {
		return refuse(p, name, "no datapath action");
	}
	if (is_bare(&dp_action_rows[type]) != !arguments.text) {
		return refuse(
			p, part, arguments.text ? "takes no arguments" : "arguments are missing");
	}
	if (arguments.text && part.text[part.len - 1] != ')') {
		return refuse(p, part, "something behind the closing parenthesis");
	}
	if (p->list->size > DP_ACTIONS_MAX_SIZE) {
		return refuse(p, part, "too many actions");
	}
	arguments.len -= arguments.text != NULL;
	return parse_action(p, (enum dp_action_type)type, arguments, depth);
}

static bool
parse_list(const struct parser *p, struct span text, unsigned depth)
{
	if (depth > DP_ACTIONS_MAX_DEPTH) {
		return refuse(p, text, "nested too deep");
	}
	while (text.len) {
		struct span part, whole = text;

		if (!next_part(&text, &part)) {
			return refuse(p, whole, "parentheses or commas are wrong");
		}
		if (!parse_one(p, part, depth)) {
			return false;
		}
	}
	return true;
}

bool
dp_actions_parse(const char *text, size_t len, struct dp_actions *list, struct weft_error *err)
{
	struct span whole = {text, len};
	struct parser p = {text, list, err};
	size_t before = list->size;

	if (!len || span_is(whole, "drop")) {
		return true;
	}
	if (!parse_list(&p, whole, 0) ||
		!dp_actions_validate(list->data + before, list->size - before, err)) {
		list->size = before;
		return false;
	}
	return true;
}

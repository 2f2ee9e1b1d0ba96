/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts of flows. Matches are lib/field.h's; what is added here is what a flow has besides.
 */
#include "ofproto/of_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/error.h"
#include "lib/strbuf.h"
#include "ofproto/of_text_internal.h"
#include "ofproto/ofproto.h"

/* What the items of a text go into. */
struct target {
	const struct of_text_names *names;
	struct of_match *match;
	struct of_flow_mod *fm; /* NULL: only a match is wanted */
	bool is_query;          /* no priority, timeouts, flags */
	bool has_table;
	struct weft_error *err;
};

enum item_kind {
	ITEM_TABLE,
	ITEM_PRIORITY,
	ITEM_COOKIE,
	ITEM_IDLE_TIMEOUT,
	ITEM_HARD_TIMEOUT,
	ITEM_IMPORTANCE,
	ITEM_OUT_PORT,
	ITEM_OUT_GROUP,
	ITEM_IGNORED, /* dump-flows prints it: what was printed can be read back */
};

static const struct {
	const char *name;
	enum item_kind kind;
	bool in_query;
} items[] = {
	{"table", ITEM_TABLE, true},
	{"priority", ITEM_PRIORITY, false},
	{"cookie", ITEM_COOKIE, true},
	{"idle_timeout", ITEM_IDLE_TIMEOUT, false},
	{"hard_timeout", ITEM_HARD_TIMEOUT, false},
	{"importance", ITEM_IMPORTANCE, false},
	{"out_port", ITEM_OUT_PORT, true},
	{"out_group", ITEM_OUT_GROUP, true},
	{"duration", ITEM_IGNORED, false},
	{"n_packets", ITEM_IGNORED, false},
	{"n_bytes", ITEM_IGNORED, false},
	{"idle_age", ITEM_IGNORED, false},
	{"hard_age", ITEM_IGNORED, false},
};

static const struct {
	const char *name;
	uint16_t flag;
} flags[] = {
	{"send_flow_rem", OF_FLAG_SEND_FLOW_REM},
	{"check_overlap", OF_FLAG_CHECK_OVERLAP},
	{"reset_counts", OF_FLAG_RESET_COUNTS},
	{"no_packet_counts", OF_FLAG_NO_PKT_COUNTS},
	{"no_byte_counts", OF_FLAG_NO_BYT_COUNTS},
};

static const struct {
	const char *name;
	enum of_flow_command command;
} commands[] = {
	{"add", OF_FLOW_ADD},
	{"modify", OF_FLOW_MODIFY},
	{"modify_strict", OF_FLOW_MODIFY_STRICT},
	{"delete", OF_FLOW_DELETE},
	{"delete_strict", OF_FLOW_DELETE_STRICT},
};

static bool parse_items(struct target *t, struct of_span text);
static bool parse_item(struct target *t, struct of_span name, struct of_span value, bool has_value);
static bool parse_own(struct target *t, enum item_kind kind, struct of_span value);
static bool parse_cookie(struct of_flow_mod *fm, struct of_span value);
static bool parse_port(void *names, const char *text, size_t len, uint32_t *port);
static void format_port(void *names, uint32_t port, struct strbuf *out);
static void format_options(void *names, const struct flow_key *value, const struct flow_mask *mask,
	struct strbuf *out);
static bool parse_option(struct target *t, unsigned index, struct of_span value, bool has_value);
static bool split_actions(struct of_span *text, struct of_span *actions);
static bool at(struct weft_error *err, const char *start, bool ok, const char *where);

bool
of_text_parse_flow(const char *text, size_t len, bool with_command,
	const struct of_text_names *names, struct of_flow_mod *fm, struct weft_error *err)
{
	enum of_flow_command command = fm->command;
	struct of_span rest = of_span_trim((struct of_span){text, len}), actions;
	struct target t = {.names = names, .match = &fm->match, .fm = fm, .err = err};
	bool has_actions;

	of_flow_mod_init(fm);
	if (with_command) {
		struct of_span tail = rest, word = of_span_cut(&tail, ' ');

		for (size_t i = 0; i < WEFT_ARRAY_SIZE(commands); i++) {
			if (of_span_is(word, commands[i].name)) {
				command = commands[i].command;
				rest = tail;
			}
		}
	}
	fm->command = command;
	has_actions = split_actions(&rest, &actions);
	if (!parse_items(&t, rest)) {
		return false;
	}
	if (!t.has_table) {
		fm->table = command == OF_FLOW_ADD ? 0 : OF_TABLE_ALL;
	}
	if (command == OF_FLOW_DELETE || command == OF_FLOW_DELETE_STRICT) {
		return !has_actions ||
		       weft_error_set(err, WEFT_ERR_INVALID, 0,
			       "a flow that is to be deleted has no actions; leave actions= out");
	}
	if (!has_actions) {
		return weft_error_set(
			err, WEFT_ERR_INVALID, 0, "a flow needs actions=; actions=drop for none");
	}
	return of_match_check(&fm->match, err) &&
	       at(err, text, of_text_parse_list(actions, &fm->match, names, &fm->actions, err),
		       actions.at);
}

bool
of_text_parse_query(const char *text, size_t len, const struct of_text_names *names,
	struct of_flow_query *q, struct weft_error *err)
{
	struct of_flow_mod fm;
	struct target t = {
		.names = names, .match = &fm.match, .fm = &fm, .is_query = true, .err = err};
	bool ok;

	of_flow_query_init(q);
	of_flow_mod_init(&fm);
	fm.command = OF_FLOW_DELETE;
	ok = parse_items(&t, (struct of_span){text, len});
	q->match = fm.match;
	q->table = t.has_table ? fm.table : OF_TABLE_ALL;
	q->cookie = fm.cookie;
	q->cookie_mask = fm.cookie_mask;
	q->out_port = fm.out_port;
	q->out_group = fm.out_group;
	of_flow_mod_uninit(&fm);
	return ok;
}

bool
of_text_parse_match(const char *text, size_t len, const struct of_text_names *names,
	struct of_match *match, struct weft_error *err)
{
	struct target t = {.names = names, .match = match, .err = err};

	of_match_init(match);
	return parse_items(&t, (struct of_span){text, len});
}

bool
of_text_parse_actions(const char *text, size_t len, bool is_actions,
	const struct of_text_names *names, struct of_actions *actions, struct weft_error *err)
{
	const struct of_action_hdr *a;

	if (!of_text_parse_list((struct of_span){text, len}, NULL, names, actions, err)) {
		return false;
	}
	for (a = of_action_first(actions->data, actions->size); is_actions && a;
		a = of_action_next(a, actions->data, actions->size)) {
		if (of_action_is_instruction(a->type)) {
			return weft_error_set(err, WEFT_ERR_INVALID, 0,
				"an instruction stands where only actions can");
		}
	}
	return true;
}

void
of_text_format_flow(
	const struct of_flow_view *flow, const struct of_text_names *names, struct strbuf *out)
{
	uint64_t ms = flow->now_ms - flow->created_ms;

	strbuf_printf(out, "cookie=0x%llx, duration=%llu", (unsigned long long)flow->cookie,
		(unsigned long long)(ms / 1000));
	if (ms % 1000) {
		strbuf_printf(out, ".%03u", (unsigned)(ms % 1000));
		while (out->data[out->len - 1] == '0') {
			strbuf_truncate(out, out->len - 1);
		}
	}
	strbuf_printf(out, "s, table=%u, n_packets=%llu, n_bytes=%llu, ", flow->table,
		(unsigned long long)flow->packets, (unsigned long long)flow->bytes);
	if (flow->idle_timeout) {
		strbuf_printf(out, "idle_timeout=%u, ", flow->idle_timeout);
	}
	if (flow->hard_timeout) {
		strbuf_printf(out, "hard_timeout=%u, ", flow->hard_timeout);
	}
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(flags); i++) {
		if (flow->flags & flags[i].flag) {
			strbuf_printf(out, "%s ", flags[i].name);
		}
	}
	if (flow->importance) {
		strbuf_printf(out, "importance=%u, ", flow->importance);
	}
	of_text_format_match(&flow->match, flow->priority, names, out);
	if (out->data[out->len - 1] != ' ') {
		strbuf_put_char(out, ' ');
	}
	strbuf_put(out, "actions=");
	of_text_format_actions(flow->actions, flow->actions_size, names, out);
}

void
of_text_format_match(const struct of_match *match, uint16_t priority,
	const struct of_text_names *names, struct strbuf *out)
{
	struct flow_text_ports ports = {parse_port, format_port, (void *)names, format_options};

	if (priority != OF_DEFAULT_PRIORITY) {
		strbuf_printf(out, "priority=%u", priority);
		if (of_match_is_any(match)) {
			return;
		}
		strbuf_put_char(out, ',');
	}
	flow_text_format_match(&match->value, &match->mask, &ports, out);
}

/* --- items --------------------------------------------------------------------------------------- */

/* Splits at "actions=", which takes the rest of the text. */
static bool
split_actions(struct of_span *text, struct of_span *actions)
{
	static const char word[] = "actions=";
	size_t n = sizeof(word) - 1;

	for (size_t i = 0; i + n <= text->len; i++) {
		if (!strncasecmp(text->at + i, word, n) &&
			(!i || text->at[i - 1] == ',' || isspace((unsigned char)text->at[i - 1]))) {
			*actions = (struct of_span){text->at + i + n, text->len - i - n};
			text->len = i;
			return true;
		}
	}
	*actions = (struct of_span){text->at + text->len, 0};
	return false;
}

static bool
is_separator(char c)
{
	return c == ',' || isspace((unsigned char)c);
}

/* Packets without a tag have no priority either: a match that says so twice is the one that OpenFlow 1.3
 * can say. */
static void
forget_priority_of_no_tag(struct of_match *match)
{
	uint16_t mask = be16_to(match->mask.bits.vlan_tci);

	if (mask & FLOW_VLAN_PRESENT && !match->value.vlan_tci) {
		match->mask.bits.vlan_tci = be16_from(mask & 0x1fff);
	}
}

static bool
parse_items(struct target *t, struct of_span text)
{
	const char *start = text.at;

	for (;;) {
		struct of_span item, name;
		size_t n = 0, depth = 0;

		while (text.len && is_separator(text.at[0])) {
			text.at++;
			text.len--;
		}
		if (!text.len) {
			forget_priority_of_no_tag(t->match);
			return true;
		}
		while (n < text.len && (depth || !is_separator(text.at[n]))) {
			depth += text.at[n] == '(';
			depth -= depth && text.at[n] == ')';
			n++;
		}
		item = (struct of_span){text.at, n};
		text.at += n;
		text.len -= n;
		name = of_span_cut(&item, '=');
		if (!parse_item(t, name, item, name.at + name.len < text.at)) {
			return at(t->err, start, false, name.at);
		}
	}
}

/* A deletion finds flows by less than an add gives them: what it would pass over is refused, lest it take
 * more than was meant. */
static bool
may_stand(const struct target *t, enum item_kind kind, struct of_span name)
{
	bool strict = t->fm->command == OF_FLOW_DELETE_STRICT;

	if ((t->fm->command != OF_FLOW_DELETE && !strict) || kind == ITEM_IGNORED ||
		(strict && kind == ITEM_PRIORITY)) {
		return true;
	}
	return weft_error_set(t->err, WEFT_ERR_INVALID, 0, "%.*s: %s", (int)name.len, name.at,
		kind == ITEM_PRIORITY
			? "a deletion looks at it only with --strict, and then at the whole match"
			: "no deletion looks at it; leave it out");
}

static bool
parse_item(struct target *t, struct of_span name, struct of_span value, bool has_value)
{
	struct flow_text_ports ports = {parse_port, format_port, (void *)t->names, NULL};
	unsigned index;
	struct flow_text_item item = {
		name.at, name.len, has_value ? value.at : NULL, has_value ? value.len : 0};
	int rc;

	if (t->fm && has_value) {
		for (size_t i = 0; i < WEFT_ARRAY_SIZE(items); i++) {
			if (of_span_is(name, items[i].name) &&
				(!t->is_query || items[i].in_query)) {
				if (!items[i].in_query && !may_stand(t, items[i].kind, name)) {
					return false;
				}
				return parse_own(t, items[i].kind, value) ||
				       weft_error_set(t->err, WEFT_ERR_INVALID, 0,
					       "%s=%.*s: not a valid value", items[i].name,
					       (int)WEFT_MIN(value.len, (size_t)64), value.at);
			}
		}
	}
	for (size_t i = 0; t->fm && !t->is_query && !has_value && i < WEFT_ARRAY_SIZE(flags); i++) {
		if (of_span_is(name, flags[i].name)) {
			t->fm->flags |= flags[i].flag;
			return may_stand(t, ITEM_IMPORTANCE, name);
		}
	}
	if (of_tlv_parse_name(name.at, name.len, &index)) {
		return parse_option(t, index, value, has_value);
	}
	if (of_span_is(name, "tun_opts") || of_span_is(name, "tun_opts_present")) {
		return weft_error_set(t->err, WEFT_ERR_INVALID, 0,
			"options are matched as tun_metadata0 to tun_metadata%u, which the TLV "
			"table names",
			OF_TLV_FIELDS - 1);
	}
	rc = flow_text_parse_item(&item, &ports, &t->match->value, &t->match->mask, t->err);
	if (rc == -ENOENT) {
		return weft_error_set(t->err, WEFT_ERR_INVALID, 0,
			"%.*s: unknown; ovs-fields(7) lists the fields of a match",
			(int)WEFT_MIN(name.len, (size_t)64), name.at);
	}
	return !rc;
}

/* tun_metadataN: the option is there; =VALUE[/MASK]: and so are these bits. */
static bool
parse_option(struct target *t, unsigned index, struct of_span value, bool has_value)
{
	union field_value v = {{0}}, m = {{0}}, opts_value, opts_mask;
	struct of_tlv tlv;

	if (!of_tlv_get(t->names ? t->names->tlvs : NULL, index, &tlv)) {
		return of_tlv_refuse(t->err, index);
	}
	if (be64_to(t->match->mask.bits.tun_opts_present) >> tlv.slot & 1) {
		return weft_error_set(
			t->err, WEFT_ERR_INVALID, 0, "tun_metadata%u stands twice", index);
	}
	if (has_value && !of_text_parse_option(value, index, &tlv, &v, &m, t->err)) {
		return false;
	}
	of_tlv_place(&tlv, &v, &opts_value);
	of_tlv_place(&tlv, &m, &opts_mask);
	of_tlv_match(t->match, &tlv, &opts_value, &opts_mask);
	return true;
}

bool
of_text_parse_option(struct of_span text, unsigned index, const struct of_tlv *tlv,
	union field_value *value, union field_value *mask, struct weft_error *err)
{
	struct field f;
	char name[32];
	uint64_t n;

	if (!tlv->len) {
		return (of_span_number(text, 0, &n) && !n) ||
		       weft_error_set(err, WEFT_ERR_INVALID, 0,
			       "tun_metadata%u stands for an option without data", index);
	}
	of_tlv_field(tlv, &f);
	snprintf(name, sizeof(name), "tun_metadata%u", index);
	f.name = name;
	return field_parse_value(&f, text.at, text.len, value, mask, err);
}

static void
format_options(
	void *names, const struct flow_key *value, const struct flow_mask *mask, struct strbuf *out)
{
	const struct of_text_names *n = names;

	of_tlv_format_match(n ? n->tlvs : NULL, value, mask, out);
}

static bool
parse_own(struct target *t, enum item_kind kind, struct of_span value)
{
	struct of_flow_mod *fm = t->fm;
	uint64_t n;

	switch (kind) {
	case ITEM_TABLE:
		if (!of_span_number(value, 255, &n)) {
			return false;
		}
		fm->table = (uint8_t)n;
		t->has_table = true;
		return true;
	case ITEM_COOKIE:
		return parse_cookie(fm, value);
	case ITEM_OUT_PORT:
		return of_text_find_port(t->names, value, &fm->out_port);
	case ITEM_OUT_GROUP:
		if (of_span_is(value, "any")) {
			return true;
		}
		if (!of_span_number(value, OFPG_MAX, &n)) {
			return false;
		}
		fm->out_group = (uint32_t)n;
		return true;
	case ITEM_IGNORED:
		return true;
	case ITEM_PRIORITY:
	case ITEM_IDLE_TIMEOUT:
	case ITEM_HARD_TIMEOUT:
	case ITEM_IMPORTANCE:
		break;
	}
	if (!of_span_number(value, UINT16_MAX, &n)) {
		return false;
	}
	*(kind == ITEM_PRIORITY             ? &fm->priority
		: kind == ITEM_IDLE_TIMEOUT ? &fm->idle_timeout
		: kind == ITEM_HARD_TIMEOUT ? &fm->hard_timeout
					    : &fm->importance) = (uint16_t)n;
	return true;
}

/* cookie=C is the rule's, for an add; a new one, for a modify; compared, for a delete or a query.
 * cookie=C/M is compared. */
static bool
parse_cookie(struct of_flow_mod *fm, struct of_span value)
{
	struct of_span first = of_span_cut(&value, '/');
	uint64_t cookie, mask = UINT64_MAX;
	bool has_mask = value.at > first.at + first.len;

	if (!of_span_number(first, UINT64_MAX, &cookie) ||
		(has_mask && (fm->command == OF_FLOW_ADD ||
				     !of_span_number(value, UINT64_MAX, &mask)))) {
		return false;
	}
	if (!has_mask && (fm->command == OF_FLOW_MODIFY || fm->command == OF_FLOW_MODIFY_STRICT)) {
		fm->new_cookie = cookie;
		fm->set_cookie = true;
		return true;
	}
	fm->cookie = cookie & mask;
	fm->cookie_mask = fm->command == OF_FLOW_ADD ? 0 : mask;
	return true;
}

static bool
parse_port(void *names, const char *text, size_t len, uint32_t *number)
{
	struct of_port port;

	if (!of_text_find_port(names, (struct of_span){text, len}, &port)) {
		return false;
	}
	*number = port.v;
	return true;
}

static void
format_port(void *names, uint32_t port, struct strbuf *out)
{
	of_text_put_port(names, OF_PORT(port), out);
}

/* --- pieces -------------------------------------------------------------------------------------- */

bool
of_span_is(struct of_span s, const char *word)
{
	return strlen(word) == s.len && !strncasecmp(s.at, word, s.len);
}

struct of_span
of_span_cut(struct of_span *s, char c)
{
	struct of_span first = {s->at, 0};
	size_t depth = 0;

	while (first.len < s->len && (depth || s->at[first.len] != c)) {
		depth += s->at[first.len] == '(';
		depth -= depth && s->at[first.len] == ')';
		first.len++;
	}
	if (first.len < s->len) {
		s->at += first.len + 1;
		s->len -= first.len + 1;
	} else {
		s->at += first.len;
		s->len = 0;
	}
	return first;
}

struct of_span
of_span_trim(struct of_span s)
{
	while (s.len && isspace((unsigned char)s.at[0])) {
		s.at++;
		s.len--;
	}
	while (s.len && isspace((unsigned char)s.at[s.len - 1])) {
		s.len--;
	}
	return s;
}

bool
of_span_number(struct of_span s, uint64_t max, uint64_t *n)
{
	unsigned base = 10;
	uint64_t v = 0;

	if (s.len > 2 && s.at[0] == '0' && (s.at[1] == 'x' || s.at[1] == 'X')) {
		base = 16;
		s.at += 2;
		s.len -= 2;
	}
	for (size_t i = 0; i < s.len; i++) {
		unsigned c = (unsigned char)s.at[i];
		unsigned digit = c - '0' < 10           ? c - '0'
				 : (c | 0x20) - 'a' < 6 ? (c | 0x20) - 'a' + 10
							: 99;

		if (digit >= base || __builtin_mul_overflow(v, base, &v) ||
			__builtin_add_overflow(v, digit, &v)) {
			return false;
		}
	}
	*n = v;
	return s.len && v <= max;
}

static bool
find_port(void *p, const char *name, size_t len, struct of_port *port)
{
	char text[OF_PORT_NAME_MAX + 1];
	const struct of_port_info *info;

	if (len > OF_PORT_NAME_MAX) {
		return false;
	}
	memcpy(text, name, len);
	text[len] = '\0';
	info = ofproto_port_by_name(p, text);
	if (info) {
		*port = info->number;
	}
	return info != NULL;
}

static const char *
port_name(void *p, struct of_port port)
{
	const struct of_port_info *info = ofproto_port_find(p, port);

	return info ? info->name : NULL;
}

struct of_text_names
of_text_names_of(const struct ofproto *p)
{
	/* Neither function changes it. */
	return (struct of_text_names){find_port, port_name, (void *)(uintptr_t)p, ofproto_tlvs(p)};
}

bool
of_text_find_port(const struct of_text_names *names, struct of_span s, struct of_port *port)
{
	if (s.len > 2 && s.at[0] == '"' && s.at[s.len - 1] == '"') {
		s.at++;
		s.len -= 2;
	} else if (s.len && of_port_parse(s.at, s.len, port)) {
		return true;
	}
	return s.len && names && names->find && names->find(names->user, s.at, s.len, port);
}

void
of_text_put_port(const struct of_text_names *names, struct of_port port, struct strbuf *out)
{
	/* LOCAL keeps its own name. */
	bool has_name = names && names->name && port.v < OFPP_MAX;
	const char *name = has_name ? names->name(names->user, port) : NULL;

	if (name) {
		strbuf_put(out, name);
	} else {
		of_port_format(port, out);
	}
}

/* Says where in the text, counted from @start, an error lies. */
static bool
at(struct weft_error *err, const char *start, bool ok, const char *where)
{
	if (!ok && err) {
		err->offset += (size_t)(where - start);
	}
	return ok;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts of actions: Nicira's learn and fin_timeout, both ways, as ovs-actions(7) has them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/field.h"
#include "lib/strbuf.h"
#include "ofproto/of_action_internal.h"
#include "ofproto/of_text_internal.h"
#include "ofproto/ofproto.h"
#include "ofproto/oxm_internal.h"

#define DEFAULT_TABLE 1

struct parser {
	const struct of_text_names *names;
	struct of_actions *out;
	struct weft_error *err;
};

static bool parse_option(struct parser *p, struct of_action_learn *learn, struct of_span name,
	struct of_span value, bool *is_option);
static bool parse_spec(struct parser *p, struct of_span name, struct of_span value);
static bool parse_match(
	struct parser *p, struct of_learn_spec *spec, struct of_span name, struct of_span text);
static bool parse_load(struct parser *p, struct of_learn_spec *spec, struct of_span text);
static bool parse_bits(struct of_span text, struct of_learn_bits *bits, uint16_t *n_bits);
static bool parse_constant(struct parser *p, const struct of_learn_bits *bits, unsigned n_bits,
	struct of_span text, union field_value *value);
static bool parse_number(struct of_span text, unsigned n_bits, union field_value *value);
static bool is_whole(const struct of_learn_bits *bits, unsigned n_bits);
static void format_spec(
	const struct of_learn_spec *spec, const struct of_text_names *names, struct strbuf *out);
static void format_match(
	const struct of_learn_spec *spec, const struct of_text_names *names, struct strbuf *out);
static void format_bits(const struct of_learn_bits *bits, unsigned n_bits, struct strbuf *out);
static void format_number(const uint8_t *value, size_t n, struct strbuf *out);

/* --- parsing ------------------------------------------------------------------------------------- */

static bool
fail(const struct parser *p, struct of_span what, const char *why)
{
	return weft_error_set(p->err, WEFT_ERR_INVALID, EINVAL, "learn: %.*s: %s",
		(int)WEFT_MIN(what.len, (size_t)64), what.at, why);
}

/* NAME=VALUE, NAME:VALUE, NAME(VALUE) or NAME; the next one of a list. */
static void
next_pair(struct of_span *list, struct of_span *name, struct of_span *value)
{
	struct of_span whole = of_span_trim(of_span_cut(list, ','));
	size_t n = 0;

	while (n < whole.len && whole.at[n] != '=' && whole.at[n] != ':' && whole.at[n] != '(') {
		n++;
	}
	*name = of_span_trim((struct of_span){whole.at, n});
	*value = (struct of_span){whole.at + n, whole.len - n};
	if (value->len) {
		bool is_closed = value->at[0] == '(' && value->at[value->len - 1] == ')';

		value->at++;
		value->len -= is_closed ? 2 : 1;
		*value = of_span_trim(*value);
	}
}

bool
of_text_parse_learn(struct of_span text, const struct of_text_names *names,
	struct of_actions *actions, struct weft_error *err)
{
	struct parser p = {names, actions, err};
	struct of_action_learn learn = {.table = DEFAULT_TABLE, .priority = OF_DEFAULT_PRIORITY};
	struct of_span rest = text, name, value;
	bool is_option;
	size_t at;

	while (rest.len) {
		next_pair(&rest, &name, &value);
		if (!parse_option(&p, &learn, name, value, &is_option)) {
			return false;
		}
	}
	at = of_actions_begin_learn(actions, &learn);
	rest = text;
	while (rest.len) {
		struct of_action_learn scratch = learn;

		next_pair(&rest, &name, &value);
		if (!parse_option(&p, &scratch, name, value, &is_option) ||
			(!is_option && !parse_spec(&p, name, value))) {
			return false;
		}
		if (actions->size - at > OF_ACTIONS_MAX_SIZE) {
			return fail(&p, name, "too many specs");
		}
	}
	of_actions_end(actions, at);
	return true;
}

static bool
parse_option(struct parser *p, struct of_action_learn *learn, struct of_span name,
	struct of_span value, bool *is_option)
{
	uint16_t *const times[] = {&learn->idle_timeout, &learn->hard_timeout,
		&learn->fin_idle_timeout, &learn->fin_hard_timeout, &learn->priority};
	static const char *const time_names[] = {
		"idle_timeout", "hard_timeout", "fin_idle_timeout", "fin_hard_timeout", "priority"};
	uint64_t n = 0;
	bool ok = true;

	*is_option = true;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(times); i++) {
		if (of_span_is(name, time_names[i])) {
			ok = of_span_number(value, UINT16_MAX, &n);
			*times[i] = (uint16_t)n;
			return ok || fail(p, value, "not a number up to 65535");
		}
	}
	if (of_span_is(name, "table")) {
		ok = of_span_number(value, OF_N_TABLES - 1, &n);
		learn->table = (uint8_t)n;
	} else if (of_span_is(name, "cookie")) {
		ok = of_span_number(value, UINT64_MAX, &learn->cookie);
	} else if (of_span_is(name, "limit")) {
		ok = of_span_number(value, UINT32_MAX, &n);
		learn->limit = (uint32_t)n;
	} else if (of_span_is(name, "send_flow_rem")) {
		learn->flags |= OF_LEARN_SEND_FLOW_REM;
	} else if (of_span_is(name, "delete_learned")) {
		learn->flags |= OF_LEARN_DELETE_LEARNED;
	} else if (of_span_is(name, "result_dst")) {
		return fail(p, name,
			"whether a rule was learned is not known while a packet is on its way");
	} else {
		*is_option = false;
	}
	return ok || fail(p, value, "not a number in range");
}

static bool
parse_spec(struct parser *p, struct of_span name, struct of_span value)
{
	struct of_learn_spec spec = {0};

	if (of_span_is(name, "output")) {
		spec.to = OF_LEARN_OUTPUT;
		if (!parse_bits(value, &spec.src, &spec.n_bits)) {
			return fail(p, value, "not FIELD[LOW..HIGH]");
		}
		of_actions_put_learn_spec(p->out, &spec, NULL);
		return true;
	}
	return of_span_is(name, "load") ? parse_load(p, &spec, value)
					: parse_match(p, &spec, name, value);
}

/* FIELD, FIELD=FIELD, FIELD=CONSTANT */
static bool
parse_match(struct parser *p, struct of_learn_spec *spec, struct of_span name, struct of_span text)
{
	union field_value value = {{0}};
	uint16_t n_bits;

	spec->to = OF_LEARN_MATCH;
	if (!parse_bits(name, &spec->dst, &spec->n_bits)) {
		return fail(p, name, "neither an option nor a field");
	}
	if (!text.len) {
		spec->src = spec->dst;
	} else if (parse_bits(text, &spec->src, &n_bits)) {
		if (n_bits != spec->n_bits) {
			return fail(p, text, "not as wide as what it is put into");
		}
	} else {
		spec->src = (struct of_learn_bits){0};
		spec->is_constant = 1;
		if (!parse_constant(p, &spec->dst, spec->n_bits, text, &value)) {
			return fail(p, text, "neither a field nor a value that fits");
		}
	}
	of_actions_put_learn_spec(p->out, spec, value.b);
	return true;
}

/* FIELD->FIELD, CONSTANT->FIELD */
static bool
parse_load(struct parser *p, struct of_learn_spec *spec, struct of_span text)
{
	struct of_span from, to;
	union field_value value = {{0}};
	uint16_t n_bits;

	spec->to = OF_LEARN_LOAD;
	if (!of_span_split_arrow(text, &from, &to) || !parse_bits(to, &spec->dst, &spec->n_bits)) {
		return fail(p, text, "not VALUE->FIELD[LOW..HIGH]");
	}
	if (parse_bits(from, &spec->src, &n_bits)) {
		if (n_bits != spec->n_bits) {
			return fail(p, text, "the two are not of the same width");
		}
	} else {
		spec->src = (struct of_learn_bits){0};
		spec->is_constant = 1;
		if (!parse_number(from, spec->n_bits, &value)) {
			return fail(p, from, "neither a field nor a number that fits");
		}
	}
	of_actions_put_learn_spec(p->out, spec, value.b);
	return true;
}

/* The field of a name in texts, which means the form that ovs-fields(7) has under it. */
static enum field_id
field_of_name(struct of_span name, enum oxm_form *form)
{
	enum field_id field = oxm_form_by_name(name.at, name.len, form);

	if (field == FIELD_N && of_span_is(name, "tun_src")) {
		field = FIELD_TUN_SRC;
		*form = OXM_FORM_MAPPED;
	} else if (field == FIELD_N && of_span_is(name, "tun_dst")) {
		field = FIELD_TUN_DST;
		*form = OXM_FORM_MAPPED;
	} else if (field == FIELD_N && of_span_is(name, "in_port_oxm")) {
		field = FIELD_IN_PORT;
	} else if (field == FIELD_N) {
		field = field_by_name(name.at, name.len);
		*form = field == FIELD_IN_PORT ? OXM_FORM_PORT16 : OXM_FORM_WHOLE;
	}
	return field != FIELD_N && oxm_form_header(field, *form) ? field : FIELD_N;
}

static bool
parse_bits(struct of_span text, struct of_learn_bits *bits, uint16_t *n_bits)
{
	struct of_span range = text, name = of_span_trim(of_span_cut(&range, '['));
	enum oxm_form form = OXM_FORM_WHOLE;
	enum field_id field = field_of_name(name, &form);

	if (field == FIELD_N) {
		return false;
	}
	*bits = (struct of_learn_bits){.field = (uint16_t)field, .form = (uint8_t)form};
	return of_text_parse_range(text, oxm_form_width(field, form), &bits->ofs, n_bits);
}

static bool
parse_constant(struct parser *p, const struct of_learn_bits *bits, unsigned n_bits,
	struct of_span text, union field_value *value)
{
	enum field_id field = bits->form == OXM_FORM_MAPPED ? FIELD_IPV4_SRC : bits->field;
	struct of_port port;

	if (!is_whole(bits, n_bits) || field == FIELD_VLAN_VID) {
		return parse_number(text, n_bits, value);
	}
	if (field == FIELD_IN_PORT) {
		if (!of_text_find_port(p->names, text, &port)) {
			return false;
		}
		value->b[0] = (uint8_t)(port.v >> 24);
		value->b[1] = (uint8_t)(port.v >> 16);
		value->b[2] = (uint8_t)(port.v >> 8);
		value->b[3] = (uint8_t)port.v;
		if (bits->form == OXM_FORM_PORT16) {
			memmove(value->b, value->b + 2, 2);
			return port.v < 0x10000 || port.v >= OFPP_MAX;
		}
		return true;
	}
	if (!field_parse_value(field_get(field), text.at, text.len, value, NULL, NULL)) {
		return false;
	}
	/* The bytes of the bits alone. */
	memmove(value->b, value->b + field_get(field)->n_bytes - (n_bits + 7) / 8,
		(n_bits + 7) / 8);
	return true;
}

/* A number of any width, its bytes in front. */
static bool
parse_number(struct of_span text, unsigned n_bits, union field_value *value)
{
	size_t n_bytes = (n_bits + 7) / 8, at = n_bytes * 2;
	uint64_t n;

	memset(value, 0, sizeof(*value));
	if (text.len > 2 && text.at[0] == '0' && (text.at[1] == 'x' || text.at[1] == 'X')) {
		for (size_t i = text.len; i-- > 2;) {
			char digit[4] = {'0', 'x', text.at[i], 0};

			if (!of_span_number((struct of_span){digit, 3}, 15, &n) || (!at && n)) {
				return false;
			}
			if (at) {
				at--;
				value->b[at / 2] |= (uint8_t)(n << (at % 2 ? 0 : 4));
			}
		}
	} else {
		if (!of_span_number(text, UINT64_MAX, &n) || (n_bits < 64 && n >> n_bits)) {
			return false;
		}
		for (size_t i = n_bytes; i-- > 0; n >>= 8) {
			value->b[i] = (uint8_t)n;
		}
	}
	return !(n_bits % 8) || !(value->b[0] >> n_bits % 8);
}

static bool
is_whole(const struct of_learn_bits *bits, unsigned n_bits)
{
	return n_bits == oxm_form_width(bits->field, bits->form);
}

/* idle_timeout=N,hard_timeout=N */
bool
of_text_parse_fin_timeout(struct of_span text, struct of_actions *actions, struct weft_error *err)
{
	struct parser p = {NULL, actions, err};
	uint64_t idle = 0, hard = 0;

	while (text.len) {
		struct of_span name, value;

		next_pair(&text, &name, &value);
		if (!(of_span_is(name, "idle_timeout") ? of_span_number(value, UINT16_MAX, &idle)
			    : of_span_is(name, "hard_timeout")
				    ? of_span_number(value, UINT16_MAX, &hard)
				    : false)) {
			return fail(&p, name, "not an argument of fin_timeout()");
		}
	}
	of_actions_put_fin_timeout(actions, (uint16_t)idle, (uint16_t)hard);
	return true;
}

/* --- printing ------------------------------------------------------------------------------------ */

void
of_text_format_learn(
	const struct of_action_learn *learn, const struct of_text_names *names, struct strbuf *out)
{
	const struct of_learn_spec *spec = NULL;

	strbuf_printf(out, "learn(table=%u", learn->table);
	if (learn->idle_timeout) {
		strbuf_printf(out, ",idle_timeout=%u", learn->idle_timeout);
	}
	if (learn->hard_timeout) {
		strbuf_printf(out, ",hard_timeout=%u", learn->hard_timeout);
	}
	if (learn->fin_idle_timeout) {
		strbuf_printf(out, ",fin_idle_timeout=%u", learn->fin_idle_timeout);
	}
	if (learn->fin_hard_timeout) {
		strbuf_printf(out, ",fin_hard_timeout=%u", learn->fin_hard_timeout);
	}
	if (learn->priority != OF_DEFAULT_PRIORITY) {
		strbuf_printf(out, ",priority=%u", learn->priority);
	}
	if (learn->flags & OF_LEARN_SEND_FLOW_REM) {
		strbuf_put(out, ",send_flow_rem");
	}
	if (learn->flags & OF_LEARN_DELETE_LEARNED) {
		strbuf_put(out, ",delete_learned");
	}
	if (learn->cookie) {
		strbuf_printf(out, ",cookie=%#llx", (unsigned long long)learn->cookie);
	}
	if (learn->limit) {
		strbuf_printf(out, ",limit=%u", learn->limit);
	}
	while ((spec = of_learn_next(learn, spec))) {
		strbuf_put_char(out, ',');
		format_spec(spec, names, out);
	}
	strbuf_put_char(out, ')');
}

static void
format_spec(const struct of_learn_spec *spec, const struct of_text_names *names, struct strbuf *out)
{
	switch ((enum of_learn_to)spec->to) {
	case OF_LEARN_MATCH:
		format_match(spec, names, out);
		break;
	case OF_LEARN_LOAD:
		strbuf_put(out, "load:");
		if (spec->is_constant) {
			format_number(spec->value, of_learn_value_size(spec), out);
		} else {
			format_bits(&spec->src, spec->n_bits, out);
		}
		strbuf_put(out, "->");
		format_bits(&spec->dst, spec->n_bits, out);
		break;
	case OF_LEARN_OUTPUT:
		strbuf_put(out, "output:");
		format_bits(&spec->src, spec->n_bits, out);
		break;
	case OF_LEARN_TO_N:
		break;
	}
}

static void
format_match(
	const struct of_learn_spec *spec, const struct of_text_names *names, struct strbuf *out)
{
	enum field_id field = spec->dst.form == OXM_FORM_MAPPED ? FIELD_IPV4_SRC : spec->dst.field;
	size_t n_bytes = of_learn_value_size(spec);
	union field_value value = {{0}};

	if (!spec->is_constant) {
		format_bits(&spec->dst, spec->n_bits, out);
		if (memcmp(&spec->src, &spec->dst, sizeof(spec->src)) != 0) {
			strbuf_put_char(out, '=');
			format_bits(&spec->src, spec->n_bits, out);
		}
		return;
	}
	if (!is_whole(&spec->dst, spec->n_bits) || spec->dst.field == FIELD_VLAN_VID) {
		format_bits(&spec->dst, spec->n_bits, out);
		strbuf_put_char(out, '=');
		format_number(spec->value, n_bytes, out);
		return;
	}
	if (spec->dst.field == FIELD_IN_PORT) {
		uint32_t port = 0;

		for (size_t i = 0; i < n_bytes; i++) {
			port = port << 8 | spec->value[i];
		}
		if (spec->dst.form == OXM_FORM_PORT16 && port >= 0xff00) {
			port |= 0xffff0000;
		}
		strbuf_put(out, spec->dst.form == OXM_FORM_PORT16 ? "in_port=" : "in_port_oxm=");
		of_text_put_port(names, OF_PORT(port), out);
		return;
	}
	strbuf_printf(out, "%s=",
		spec->dst.form != OXM_FORM_MAPPED  ? field_get(spec->dst.field)->name
		: spec->dst.field == FIELD_TUN_SRC ? "tun_src"
						   : "tun_dst");
	memcpy(value.b + field_get(field)->n_bytes - n_bytes, spec->value, n_bytes);
	if (field_get(field)->format == FIELD_FMT_HEX && field_get(field)->width <= 64) {
		strbuf_printf(out, "%#llx",
			(unsigned long long)field_value_u64(field_get(field), &value));
	} else {
		field_format_value(field_get(field), &value, NULL, out);
	}
}

static void
format_bits(const struct of_learn_bits *bits, unsigned n_bits, struct strbuf *out)
{
	oxm_put_form_name(bits->field, bits->form, out);
	of_text_put_range(bits->ofs, n_bits, oxm_form_width(bits->field, bits->form), out);
}

static void
format_number(const uint8_t *value, size_t n, struct strbuf *out)
{
	size_t i = 0;

	while (i < n && !value[i]) {
		i++;
	}
	if (i == n) {
		strbuf_put_char(out, '0');
		return;
	}
	strbuf_printf(out, "0x%x", value[i]);
	while (++i < n) {
		strbuf_printf(out, "%02x", value[i]);
	}
}

void
of_text_format_fin_timeout(const struct of_action_fin_timeout *a, struct strbuf *out)
{
	strbuf_put(out, "fin_timeout(");
	if (a->idle_timeout) {
		strbuf_printf(out, "idle_timeout=%u,", a->idle_timeout);
	}
	if (a->hard_timeout) {
		strbuf_printf(out, "hard_timeout=%u,", a->hard_timeout);
	}
	strbuf_chomp(out, ",");
	strbuf_put_char(out, ')');
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Translation: learn actions, which collect rules (of_learned.h), and fin_timeout.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "lib/strbuf.h"
#include "ofproto/of_action_internal.h"
#include "ofproto/of_learned.h"
#include "ofproto/of_text_internal.h"
#include "ofproto/oxm.h"
#include "ofproto/translate_internal.h"
#include "ofproto/translate_trace.h"

#define MAX_LOAD_BITS 64u /* of one load action */

static bool make(struct xlate *x, const struct of_action_learn *a, struct of_flow_mod *fm);
static bool read_bits(struct xlate *x, const struct of_learn_spec *s, union field_value *bits);
static void put_load(struct of_actions *actions, const struct of_learn_bits *dst, unsigned n_bits,
	const union field_value *bits);
static void put_output(struct of_actions *actions, unsigned n_bits, const union field_value *bits);
static void tell(struct xlate *x, struct of_learned *l, const struct of_flow_mod *fm);

void
xlate_learn(struct xlate *x, const struct of_action_learn *a)
{
	struct translation *t = x->out;
	struct of_learned *l;
	struct of_flow_mod fm;

	/* Who learns must be known here, whatever bucket the datapath would choose. */
	x->no_object = true;
	if (t->n_learns == TRANSLATE_MAX_LEARNS) {
		xlate_fail(x, DROP_TRANSLATION_LIMIT);
		return;
	}
	if (make(x, a, &fm)) {
		l = of_learned_create(x->p->id, &fm, a->limit);
		t->learns[t->n_learns++] = l;
		if (xlate_is_traced(x)) {
			tell(x, l, &fm);
		}
	}
	of_flow_mod_uninit(&fm);
}

static bool
make(struct xlate *x, const struct of_action_learn *a, struct of_flow_mod *fm)
{
	const struct of_learn_spec *s = NULL;

	of_flow_mod_init(fm);
	fm->command = OF_FLOW_MODIFY_STRICT;
	fm->modify_adds = true;
	fm->new_cookie = a->cookie;
	fm->table = a->table;
	fm->priority = a->priority;
	fm->idle_timeout = a->idle_timeout;
	fm->hard_timeout = a->hard_timeout;
	fm->flags = a->flags & OF_LEARN_SEND_FLOW_REM ? OF_FLAG_SEND_FLOW_REM : 0;
	if (a->fin_idle_timeout || a->fin_hard_timeout) {
		of_actions_put_fin_timeout(&fm->actions, a->fin_idle_timeout, a->fin_hard_timeout);
	}
	while ((s = of_learn_next(a, s))) {
		union field_value bits = {{0}};

		if (!read_bits(x, s, &bits)) {
			return false;
		}
		switch ((enum of_learn_to)s->to) {
		case OF_LEARN_MATCH:
			of_learn_match(&fm->match, &s->dst, s->n_bits, &bits);
			break;
		case OF_LEARN_LOAD:
			put_load(&fm->actions, &s->dst, s->n_bits, &bits);
			break;
		case OF_LEARN_OUTPUT:
			put_output(&fm->actions, s->n_bits, &bits);
			break;
		case OF_LEARN_TO_N:
			break;
		}
	}
	return true;
}

/* The bits of a spec, in front. False: the packet cannot have the field. */
static bool
read_bits(struct xlate *x, const struct of_learn_spec *s, union field_value *bits)
{
	const struct field *f = field_get(s->src.field);
	union field_value value, ones, read = {{0}};
	struct flow_mask mask = {0};

	if (s->is_constant) {
		memcpy(bits->b, s->value, of_learn_value_size(s));
		return true;
	}
	if (!xlate_holds(x, f->prereq)) {
		return false; /* a bucket's or packet-out's: rules were checked when they came */
	}
	field_load(f, &x->pkt.key, &value);
	if (s->src.field == FIELD_IP_TOS) {
		value.b[0] &= 0xfc;
	}
	field_value_ones(f, &ones);
	of_bits_copy(value.b, f->n_bytes, s->src.ofs, bits->b, (s->n_bits + 7u) / 8, 0, s->n_bits);
	of_bits_copy(ones.b, f->n_bytes, s->src.ofs, read.b, f->n_bytes, s->src.ofs, s->n_bits);
	if (s->src.form == OXM_FORM_MAPPED) {
		memset(read.b, 0xff, 12);
		if (memcmp(value.b, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) != 0) {
			memset(bits, 0, sizeof(*bits)); /* not an IPv4 address */
		}
	}
	field_store(f, &mask.bits, &read);
	xlate_read(x, &mask);
	return true;
}

/* As loads of up to 64 bits, the lowest first. */
static void
put_load(struct of_actions *actions, const struct of_learn_bits *dst, unsigned n_bits,
	const union field_value *bits)
{
	unsigned n_bytes = (n_bits + 7) / 8;

	for (unsigned at = 0; at < n_bits; at += MAX_LOAD_BITS) {
		unsigned n = WEFT_MIN(n_bits - at, MAX_LOAD_BITS);
		struct of_learn_bits part = *dst;
		union field_value piece = {{0}}, value = {{0}}, mask = {{0}};
		struct of_action_set_field *a;
		size_t start = actions->size;

		part.ofs = (uint16_t)(part.ofs + at);
		of_bits_copy(bits->b, n_bytes, at, piece.b, (n + 7) / 8, 0, n);
		of_learn_place(&part, n, &piece, &value, &mask);
		of_actions_put_set_field(actions, part.field, &value, &mask);
		a = (void *)(actions->data + start);
		a->is_load = part.form == OXM_FORM_WHOLE;
	}
}

static void
put_output(struct of_actions *actions, unsigned n_bits, const union field_value *bits)
{
	uint64_t port = 0;

	for (unsigned i = 0; i < (n_bits + 7) / 8; i++) {
		if (port >> 56) {
			return;
		}
		port = port << 8 | bits->b[i];
	}
	if (port >= 0xff00 && port <= 0xffff) {
		port |= 0xffff0000; /* OpenFlow 1.0's numbers */
	}
	if ((port && port < 0xff00) || port == OFPP_IN_PORT || port == OFPP_FLOOD ||
		port == OFPP_ALL || port == OFPP_LOCAL) {
		of_actions_put_output(actions, OF_PORT((uint32_t)port), 0);
	}
}

static void
tell(struct xlate *x, struct of_learned *l, const struct of_flow_mod *fm)
{
	struct of_text_names names = of_text_names_of(x->p);
	struct strbuf text = STRBUF_INIT;

	of_text_format_match(&fm->match, fm->priority, &names, &text);
	strbuf_put(&text, text.len ? " actions=" : "actions=");
	of_text_format_actions(fm->actions.data, fm->actions.size, &names, &text);
	xlate_tell(x, "a rule in table %u %s: %s", fm->table,
		of_learned_stands(x->model, l, false, 0) ? "is known" : "would be learned",
		strbuf_text(&text));
	strbuf_uninit(&text);
}

bool
xlate_learn_needs_unknown(const struct xlate *x, const struct of_action_learn *a)
{
	const struct of_learn_spec *s = NULL;

	while ((s = of_learn_next(a, s))) {
		if (!s->is_constant && xlate_is_unknown_field(x, s->src.field)) {
			return true;
		}
	}
	return false;
}

void
xlate_unlearn(struct xlate *x, uint32_t n_learns, uint32_t n_fins)
{
	struct translation *t = x->out;

	while (t->n_learns > n_learns) {
		of_learned_unref(t->learns[--t->n_learns]);
	}
	t->n_fins = n_fins;
}

void
xlate_fin_timeout(struct xlate *x, const struct of_action_fin_timeout *a)
{
	struct translation *t = x->out;

	/* What a miss stands for, or a packet-out's list, has no timeouts. */
	if (!x->rule || !xlate_holds(x, FIELD_PRE_TCP)) {
		return;
	}
	if (t->n_fins == t->cap_fins) {
		t->cap_fins = 2 * t->cap_fins + 4;
		t->fins = xrealloc(t->fins, t->cap_fins * sizeof(t->fins[0]));
	}
	t->fins[t->n_fins++] = (struct translate_fin){x->rule, a->idle_timeout, a->hard_timeout};
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Translation: tables, and the ends of it all.
 */
#include "ofproto/translate.h"

#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "ofproto/of_context.h"
#include "ofproto/of_counter.h"
#include "ofproto/of_learned.h"
#include "ofproto/translate_internal.h"
#include "ofproto/translate_trace.h"

static void begin(struct xlate *x, const struct translate_in *in, struct translation *t);
static void translate_own(struct xlate *x, const struct ofport *port);
static void finish(struct xlate *x);
static void refuse(struct translation *t);
static bool thaw(struct xlate *x, const struct flow_key *key, uint32_t in_port);
static void run_top(
	struct xlate *x, uint8_t table, const void *actions, size_t size, bool has_table);
static void credit(struct xlate *x, struct rule *r);
static void add_rule(struct rule ***list, uint32_t *n, uint32_t *capacity, struct rule *r);

void
translation_init(struct translation *t)
{
	memset(t, 0, sizeof(*t));
	dp_actions_init(&t->actions);
}

void
translation_clear(struct translation *t, struct of_model *m)
{
	for (uint32_t i = 0; i < t->n_contexts; i++) {
		of_context_unref(m, t->contexts[i]);
	}
	dp_actions_clear(&t->actions);
	memset(&t->mask, 0, sizeof(t->mask));
	t->drop = DROP_N;
	t->is_refused = false;
	t->is_pending = false;
	t->lacks_objects = false;
	t->n_rules = 0;
	t->counters.n = 0;
	t->n_learned = 0;
	while (t->n_learns) {
		of_learned_unref(t->learns[--t->n_learns]);
	}
	t->n_fins = 0;
	t->n_contexts = 0;
	t->n_deps = 0;
	t->n_lookups = 0;
}

void
translation_uninit(struct translation *t, struct of_model *m)
{
	translation_clear(t, m);
	dp_actions_uninit(&t->actions);
	free(t->rules);
	free(t->contexts);
	free(t->counters.v);
	free(t->deps);
	free(t->lookups);
	free(t->fins);
}

void
translation_credit(const struct translation *t, uint64_t packets, uint64_t bytes, uint64_t now_ms)
{
	for (uint32_t i = 0; i < t->n_rules; i++) {
		of_rule_credit(t->rules[i], packets, bytes, now_ms);
	}
	for (uint32_t i = 0; i < t->counters.n; i++) {
		of_counter_add(t->counters.v[i], packets, bytes);
	}
}

void
translate(const struct translate_in *in, struct translation *t)
{
	const struct ofport *port;
	struct xlate x;

	begin(&x, in, t);
	x.came_by = (struct dp_port){be32_to(in->key->in_port)};
	port = ofport_by_dp(x.model, x.came_by);
	/* What a controller sent has no port of the datapath's; its context knows where it came from. */
	if (!port && (x.came_by.v != DP_PORT_MADE || !in->key->recirc_id)) {
		refuse(t);
		return;
	}
	if (port) {
		x.p = port->ofproto;
		xlate_depend(&x, OF_DEP_PORT, port->info.number.v);
		x.from_underlay = port->info.is_underlay;
	}
	if (be32_to(in->key->recirc_id) == DP_RECIRC_OWN) {
		translate_own(&x, port);
		return;
	}
	if (in->key->recirc_id) {
		if (!thaw(&x, in->key, port ? port->info.number.v : OFPP_ANY)) {
			refuse(t);
		}
		return;
	}
	xlate_packet_init(&x, in->key, port->info.number.v);
	if (port->info.kind == OF_PORT_TUNNEL) {
		port = xlate_tunnel_port(&x, port);
	} else {
		xlate_packet_no_tunnel(&x);
	}
	if (port && (port->info.kind != OF_PORT_TUNNEL || !xlate_bfd_in(&x, port))) {
		xlate_receive(&x, port);
	}
	finish(&x);
}

/* What the port itself has made. */
static void
translate_own(struct xlate *x, const struct ofport *port)
{
	bool ok = false;

	if (port) {
		xlate_packet_init(x, x->in->key, port->info.number.v);
		ok = xlate_bfd_out(x, port);
	}
	finish(x);
	if (!ok) {
		refuse(x->out);
	}
}

void
translate_packet_out(const struct translate_in *in, struct ofproto *p, const void *actions,
	size_t actions_size, struct translation *t)
{
	const struct ofport *port;
	struct xlate x;

	begin(&x, in, t);
	x.p = p;
	x.came_by = DP_PORT_NONE;
	x.table = OF_TABLE_ALL;
	x.reason = OF_REASON_PACKET_OUT;
	port = ofport_find(p, OF_PORT(be32_to(in->key->in_port)));
	x.from_underlay = port && port->info.is_underlay;
	xlate_packet_init(&x, in->key, be32_to(in->key->in_port));
	xlate_packet_no_tunnel(&x);
	run_top(&x, 0, actions, actions_size, false);
	finish(&x);
}

void
xlate_fail(struct xlate *x, enum drop_reason reason)
{
	if (!x->failed) {
		x->failed = true;
		x->stopped = true;
		x->drop = reason;
		if (xlate_is_traced(x)) {
			xlate_tell_end(x, "given up", reason);
		}
	}
}

void
xlate_pipeline(struct xlate *x)
{
	run_top(x, 0, NULL, 0, true);
}

void
xlate_table(struct xlate *x, uint8_t table)
{
	struct oftable *t = &x->p->tables[table];
	struct flow_mask looked = {0};
	const struct rule_actions *a;
	struct of_trace_node *outer;
	struct rule *r;

	if (x->pkt.is_opaque) {
		x->freezing = true;
		x->freeze_table = table;
		return;
	}
	r = rule_of(cls_lookup(&t->cls, x->in->version, &x->pkt.key, &looked));
	if (xlate_is_unknown(x, &looked)) {
		x->freezing = true;
		x->freeze_table = table;
		return;
	}
	xlate_read(x, &looked);
	xlate_note_lookup(x, table, r, &looked);
	x->table = table;
	if (!r) {
		xlate_trace_end(x, XLATE_BEGIN_TABLE(x, table, NULL, NULL));
		credit(x, t->miss);
		return;
	}
	credit(x, r);
	a = rule_actions_at(r, x->in->version);
	x->rule = r;
	x->cookie = a->cookie;
	x->reason =
		!r->cls.priority && !cls_rule_map(&r->cls) ? OF_REASON_NO_MATCH : OF_REASON_ACTION;
	outer = XLATE_BEGIN_TABLE(x, table, r, a);
	xlate_list(x, a->data, a->size);
	xlate_trace_end(x, outer);
}

/* --- beginning and end --------------------------------------------------------------------------- */

static void
begin(struct xlate *x, const struct translate_in *in, struct translation *t)
{
	struct of_model *m = of_reader_model(in->reader);

	translation_clear(t, m);
	memset(x, 0, sizeof(*x));
	x->in = in;
	x->out = t;
	x->model = m;
	x->cookie = UINT64_MAX;
	x->drop = DROP_EXPLICIT;
	x->counters = &t->counters;
	of_actions_init(&x->action_set);
	of_actions_init(&x->frozen);
}

/* Runs a table, or a list, or first the one and then the other; then what was written for the end. */
static void
run_top(struct xlate *x, uint8_t table, const void *actions, size_t size, bool has_table)
{
	if (has_table) {
		xlate_table(x, table);
	}
	if (x->freezing) {
		of_actions_append(&x->frozen, actions, size);
	} else {
		xlate_list(x, actions, size);
	}
	if (!x->freezing && !x->stopped) {
		xlate_action_set(x);
	}
	if (x->freezing && !x->stopped) {
		xlate_freeze(x);
	}
}

static bool
is_recirculated(const struct dp_actions *list)
{
	const struct dp_action_hdr *a = dp_action_first(list->data, list->size), *last = a;

	for (; a; a = dp_action_next(a, list->data, list->size)) {
		last = a;
	}
	return last && last->type == DP_ACTION_RECIRC;
}

/* What the list sends are copies then; of each reason one is counted, however many were lost. */
static void
put_losses(struct dp_actions *list, uint64_t lost)
{
	for (unsigned reason = 0; lost; reason++) {
		uint64_t bit = UINT64_C(1) << reason;
		size_t at;

		if (!(lost & bit)) {
			continue;
		}
		lost &= ~bit;
		if (!lost) {
			dp_actions_put_drop(list, (enum drop_reason)reason);
			return;
		}
		at = dp_actions_begin(list, DP_ACTION_CLONE, 0);
		dp_actions_put_drop(list, (enum drop_reason)reason);
		dp_actions_end(list, at);
	}
}

void
xlate_end_list(struct dp_actions *list, uint64_t lost)
{
	if (lost && !is_recirculated(list)) {
		put_losses(list, lost);
	} else {
		xlate_unwrap_last_clone(list, 0);
	}
}

static void
finish(struct xlate *x)
{
	struct translation *t = x->out;
	struct flow_key *mask = &t->mask.bits;

	if (t->actions.size > DP_ACTIONS_MAX_SIZE) {
		xlate_fail(x, DROP_TRANSLATION_LIMIT);
	}
	if (x->failed) {
		dp_actions_clear(&t->actions);
		x->has_output = false;
	}
	if (xlate_is_traced(x)) {
		x->in->trace->final = x->pkt.key;
		x->in->trace->final_in = x->p;
	}
	if (!x->has_output) {
		t->drop = x->drop;
		/* An empty list says explicit by itself. */
		if (t->actions.size || x->drop != DROP_EXPLICIT) {
			dp_actions_put_drop(&t->actions, x->drop);
		}
	} else {
		xlate_end_list(&t->actions, x->lost);
	}
	memset(&mask->words[6 * FLOW_BLOCK_WORDS], 0, 2 * FLOW_BLOCK_SIZE);
	mask->in_port = UINT32_MAX;
	mask->recirc_id = UINT32_MAX;
	of_actions_uninit(&x->action_set);
	of_actions_uninit(&x->frozen);
}

void
xlate_unwrap_last_clone(struct dp_actions *list, size_t from)
{
	const struct dp_action_hdr *a, *last;

	do {
		const uint8_t *start = list->data + from;
		size_t size = list->size - from;

		last = NULL;
		for (a = dp_action_first(start, size); a; a = dp_action_next(a, start, size)) {
			last = a;
		}
		if (last && last->type == DP_ACTION_CLONE) {
			uint8_t *at = list->data + ((const uint8_t *)last - list->data);

			list->size -= sizeof(*last);
			memmove(at, at + sizeof(*last), list->size - (size_t)(at - list->data));
		} else {
			last = NULL;
		}
	} while (last);
}

static void
refuse(struct translation *t)
{
	t->is_refused = true;
	t->drop = DROP_AGENT_REFUSED;
	dp_actions_clear(&t->actions);
	dp_actions_put_drop(&t->actions, DROP_AGENT_REFUSED);
	memset(&t->mask, 0, sizeof(t->mask));
	t->mask.bits.in_port = UINT32_MAX;
	t->mask.bits.recirc_id = UINT32_MAX;
}

/* Goes on where an earlier translation froze. False: the context is unknown. */
static bool
thaw(struct xlate *x, const struct flow_key *key, uint32_t in_port)
{
	size_t size;
	const void *bytes = xlate_is_traced(x)
				    ? of_trace_find_context(x->in->trace, x->model,
					      be32_to(key->recirc_id), &size)
				    : of_context_find(x->model, be32_to(key->recirc_id), &size);
	struct of_context c;

	if (!bytes || !of_context_decode(bytes, size, &c, NULL) || c.kind != OF_CONTEXT_FROZEN) {
		return false;
	}
	x->p = ofproto_by_id(x->model, c.ofproto_id);
	if (!x->p) {
		return false;
	}
	xlate_packet_init(x, key, c.in_port ? c.in_port : in_port);
	x->pkt.key.metadata = x->pkt.base.metadata = c.metadata;
	x->pkt.key.tun_id_hi = x->pkt.base.tun_id_hi = c.tun_id_hi;
	x->pkt.key.pkt_mark = x->pkt.base.pkt_mark = c.pkt_mark;
	memcpy(x->pkt.key.regs, c.regs, sizeof(c.regs));
	memcpy(x->pkt.base.regs, c.regs, sizeof(c.regs));
	x->cookie = c.cookie;
	x->depth = c.depth;
	x->mirrored = c.mirrored;
	x->reason = OF_REASON_ACTION;
	of_actions_append(&x->action_set, c.action_set, c.action_set_len);
	if (xlate_is_traced(x)) {
		xlate_tell_thaw(x, key, &c);
	}
	run_top(x, c.table, c.actions, c.actions_len, !c.pause);
	finish(x);
	return true;
}

static void
credit(struct xlate *x, struct rule *r)
{
	struct translation *t = x->out;

	if (x->counters == &t->counters) {
		add_rule(&t->rules, &t->n_rules, &t->cap_rules, r);
	} else {
		add_rule(&x->counters->rules, &x->counters->n_rules, &x->counters->cap_rules, r);
		xlate_depend_on(x, of_dep(OF_DEP_RULE, 0, (uintptr_t)r));
	}
}

static void
add_rule(struct rule ***list, uint32_t *n, uint32_t *capacity, struct rule *r)
{
	if (*n == *capacity) {
		*capacity = 2 * *capacity + 8;
		*list = xrealloc(*list, *capacity * sizeof((*list)[0]));
	}
	(*list)[(*n)++] = r;
}

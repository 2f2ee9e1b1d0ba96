/* SPDX-License-Identifier: Apache-2.0
 *
 * Translation: what it tells a trace, in words and values.
 */
#include "ofproto/translate_trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "lib/eth_addr.h"
#include "lib/strbuf.h"
#include "ofproto/fdb.h"
#include "ofproto/of_context.h"
#include "ofproto/of_text_internal.h"

static const struct of_trace_node *table_of(const struct of_trace_node *n);
static bool runs_others(enum of_action_type type);
static void put_mac(struct strbuf *out, const uint8_t mac[6]);

void
xlate_tell(struct xlate *x, const char *format, ...)
{
	struct strbuf text = STRBUF_INIT;
	va_list args;

	va_start(args, format);
	strbuf_vprintf(&text, format, args);
	va_end(args);
	of_trace_add(x->in->trace, OF_TRACE_NOTE, "%s", strbuf_text(&text));
	strbuf_uninit(&text);
}

/* --- tables and actions -------------------------------------------------------------------------- */

struct of_trace_node *
xlate_tell_table(struct xlate *x, uint8_t table, const struct rule *r, const struct rule_actions *a)
{
	struct of_text_names names = of_text_names_of(x->p);
	struct strbuf match = STRBUF_INIT;
	struct of_match m;
	struct of_trace_node *n;
	char cookie[24];

	if (!r) {
		n = of_trace_add(x->in->trace, OF_TRACE_TABLE, "table %u: no rule matches", table);
		of_trace_put_number(n, "table", table);
		return of_trace_enter(x->in->trace, n);
	}
	cls_rule_match(&r->cls, &m);
	of_text_format_match(&m, OF_DEFAULT_PRIORITY, &names, &match);
	snprintf(cookie, sizeof(cookie), "0x%llx", (unsigned long long)a->cookie);
	n = of_trace_add(x->in->trace, OF_TRACE_TABLE, "table %u: priority=%u%s%s, cookie=%s",
		table, r->cls.priority, match.len ? "," : "", strbuf_text(&match), cookie);
	of_trace_put_number(n, "table", table);
	of_trace_put_number(n, "priority", r->cls.priority);
	of_trace_put_text(n, "match", strbuf_text(&match));
	of_trace_put_text(n, "cookie", cookie);
	strbuf_uninit(&match);
	return of_trace_enter(x->in->trace, n);
}

void
xlate_tell_action(struct xlate *x, const struct of_action_hdr *a,
	void (*run)(struct xlate *x, const struct of_action_hdr *a))
{
	struct of_text_names names = of_text_names_of(x->p);
	struct of_trace *t = x->in->trace;
	struct strbuf text = STRBUF_INIT;
	struct of_trace_node *n, *before;
	const struct of_trace_node *table;
	struct flow_key *key;

	of_text_format_actions(a, a->len, &names, &text);
	n = of_trace_add(t, OF_TRACE_ACTION, "%s", strbuf_text(&text));
	of_trace_put_text(n, "action", strbuf_text(&text));
	strbuf_uninit(&text);
	before = of_trace_enter(t, n);
	table = a->type == OF_ACTION_GOTO_TABLE ? table_of(t->at) : NULL;
	if (table) {
		/* The next table stands beside this one. */
		t->at = table->parent;
	}
	if (runs_others(a->type)) {
		run(x, a);
	} else {
		key = xmemdup(&x->pkt.key, sizeof(*key));
		run(x, a);
		of_trace_changes(t, key, &x->pkt.key);
		free(key);
	}
	of_trace_leave(t, before);
}

/* The table that a node stands below; NULL: none. */
static const struct of_trace_node *
table_of(const struct of_trace_node *n)
{
	while (n && n->kind != OF_TRACE_TABLE) {
		n = n->parent;
	}
	return n;
}

/* Actions that run rules or other actions, which tell for themselves. */
static bool
runs_others(enum of_action_type type)
{
	return type == OF_ACTION_GOTO_TABLE || type == OF_ACTION_RESUBMIT ||
	       type == OF_ACTION_CLONE || type == OF_ACTION_GROUP || type == OF_ACTION_OUTPUT;
}

/* --- groups and meters --------------------------------------------------------------------------- */

struct of_trace_node *
xlate_tell_group(struct xlate *x, const struct group *g)
{
	static const char *const hows[] = {
		[OF_GROUP_ALL] = "runs all buckets",
		[OF_GROUP_SELECT] = ("one bucket by weight and a hash of the packet's addresses "
				     "and ports, which the datapath makes"),
		[OF_GROUP_INDIRECT] = "runs its bucket",
		[OF_GROUP_FAST_FAILOVER] = "runs the first bucket that is live",
	};
	struct of_trace_node *n = of_trace_add(x->in->trace, OF_TRACE_GROUP, "group %u, %s: %s",
		g->v.id, of_group_type_name(g->type), hows[g->type]);

	of_trace_put_number(n, "group", g->v.id);
	of_trace_put_text(n, "type", of_group_type_name(g->type));
	return of_trace_enter(x->in->trace, n);
}

struct of_trace_node *
xlate_tell_bucket(struct xlate *x, const struct group *g, const struct group_bucket *b,
	const char *chosen, const char *why)
{
	struct of_text_names names = of_text_names_of(x->p);
	struct strbuf text = STRBUF_INIT;
	struct of_trace_node *n;
	uint64_t total = 0;

	strbuf_printf(&text, "bucket %u", (unsigned)(b - g->buckets));
	if (g->type == OF_GROUP_SELECT) {
		for (uint32_t i = 0; i < g->n_buckets; i++) {
			total += g->buckets[i].weight;
		}
		strbuf_printf(&text, ", weight %u of %llu", b->weight, (unsigned long long)total);
	}
	if (!of_port_is(b->watch_port, OFPP_ANY)) {
		strbuf_put(&text, ", watches port ");
		of_text_put_port(&names, b->watch_port, &text);
	}
	if (b->watch_group != OFPG_ANY) {
		strbuf_printf(&text, ", watches group %u", b->watch_group);
	}
	n = of_trace_add(x->in->trace, OF_TRACE_BUCKET, "%s%s%s", strbuf_text(&text),
		why ? ": " : "", why ? why : "");
	of_trace_put_number(n, "bucket", (uint64_t)(b - g->buckets));
	of_trace_put_text(n, "chosen", chosen);
	strbuf_uninit(&text);
	return of_trace_enter(x->in->trace, n);
}

void
xlate_tell_meter(struct xlate *x, const struct meter *m, struct dp_handle handle)
{
	struct of_trace_node *n = of_trace_add(x->in->trace, OF_TRACE_METER,
		"meter %u, in the datapath %u.%u: taken to be within its rate", m->v.id,
		handle.slot, handle.gen);

	of_trace_put_number(n, "meter", m->v.id);
}

/* --- where it goes ------------------------------------------------------------------------------- */

void
xlate_tell_output(struct xlate *x, const struct ofport *port)
{
	const struct of_port_info *info = &port->info;
	struct of_trace_node *n = of_trace_add(x->in->trace, OF_TRACE_OUTPUT,
		"out by port %s (%u)%s", info->name, info->number.v,
		info->state & OF_PORT_LINK_DOWN ? ", whose link is down" : "");

	of_trace_put_number(n, "port", info->number.v);
	of_trace_put_text(n, "name", info->name);
	if (info->dp_port.v <= DP_PORT_MAX) {
		of_trace_put_number(n, "dp_port", info->dp_port.v);
	}
}

void
xlate_tell_controller(struct xlate *x, uint8_t reason, uint16_t max_len)
{
	struct of_trace_node *n;

	if (max_len == OF_MAX_LEN_NO_BUFFER) {
		n = of_trace_add(x->in->trace, OF_TRACE_CONTROLLER,
			"to the controllers, all of it: reason %s", of_text_reason_name(reason));
	} else {
		n = of_trace_add(x->in->trace, OF_TRACE_CONTROLLER,
			"to the controllers, up to %u bytes: reason %s", max_len,
			of_text_reason_name(reason));
	}
	of_trace_put_text(n, "reason", of_text_reason_name(reason));
	of_trace_put_number(n, "max_len", max_len);
}

/* A port, and behind it an address. */
static void
put_place(struct xlate *x, const struct fdb_place *place, struct strbuf *out)
{
	struct of_text_names names = of_text_names_of(x->p);
	const struct of_underlay_addr *a = &place->remote;
	union field_value value = {{0}};

	of_text_put_port(&names, place->port, out);
	if (of_underlay_addr_is_zero(a)) {
		return;
	}
	strbuf_put(out, ", remote ");
	if (of_underlay_addr_is_v4(a)) {
		memcpy(value.b, a->v + 12, 4);
		field_format_value(field_get(FIELD_IPV4_SRC), &value, NULL, out);
	} else {
		memcpy(value.b, a->v, sizeof(a->v));
		field_format_value(field_get(FIELD_IPV6_SRC), &value, NULL, out);
	}
}

void
xlate_tell_learned(struct xlate *x, const struct fdb_place *place, uint16_t vlan)
{
	const uint8_t *mac = x->pkt.key.eth_src;
	struct strbuf who = STRBUF_INIT, where = STRBUF_INIT;
	struct fdb_place known = fdb_find(x->p->fdb, vlan, mac);
	bool is_known = known.port.v == place->port.v &&
			!memcmp(&known.remote, &place->remote, sizeof(known.remote));
	struct of_trace_node *n;

	put_mac(&who, mac);
	put_place(x, place, &where);
	n = of_trace_add(x->in->trace, OF_TRACE_LEARN, "VLAN %u: %s %s at port %s", vlan,
		strbuf_text(&who), is_known ? "is known" : "would be learned", strbuf_text(&where));
	of_trace_put_number(n, "vlan", vlan);
	of_trace_put_text(n, "mac", strbuf_text(&who));
	of_trace_put_number(n, "port", place->port.v);
	strbuf_uninit(&who);
	strbuf_uninit(&where);
}

void
xlate_tell_known(struct xlate *x, const struct fdb_place *known, uint16_t vlan, size_t n_to)
{
	struct strbuf text = STRBUF_INIT;
	struct of_trace_node *n;

	strbuf_printf(&text, "VLAN %u: ", vlan);
	put_mac(&text, x->pkt.key.eth_dst);
	strbuf_put(&text, " is at port ");
	put_place(x, known, &text);
	n = of_trace_add(x->in->trace, OF_TRACE_NORMAL, "%s%s", strbuf_text(&text),
		n_to ? ""
		     : ", to which it does not go: it came from there, or the port is no "
		       "member of the VLAN");
	of_trace_put_number(n, "vlan", vlan);
	of_trace_put_number(n, "port", known->port.v);
	strbuf_uninit(&text);
}

void
xlate_tell_flood(struct xlate *x, uint16_t vlan, const struct ofport *const *to, size_t n_to)
{
	struct strbuf text = STRBUF_INIT;
	struct of_trace_node *n;

	for (size_t i = 0; i < n_to; i++) {
		strbuf_printf(&text, "%s%s", i ? "," : "", to[i]->info.name);
	}
	n = of_trace_add(x->in->trace, OF_TRACE_NORMAL, "VLAN %u: %s, floods to %s", vlan,
		x->pkt.key.eth_dst[0] & 1 ? "to a group of receivers" : "destination not known",
		n_to ? strbuf_text(&text) : "no port");
	of_trace_put_number(n, "vlan", vlan);
	of_trace_put_text(n, "flood", strbuf_text(&text));
	strbuf_uninit(&text);
}

void
xlate_tell_outer(struct xlate *x, const struct ofproto *p)
{
	char *flow = of_trace_flow_text(p, &x->pkt.key, false);

	of_trace_add(x->in->trace, OF_TRACE_NOTE, "encapsulated: %s", flow);
	free(flow);
}

void
xlate_tell_freeze(struct xlate *x, uint32_t id)
{
	struct of_trace_node *n;

	if (x->freeze_table == OF_TABLE_ALL) {
		struct of_text_names names = of_text_names_of(x->p);
		struct strbuf text = STRBUF_INIT;

		of_text_format_actions(x->frozen.data, x->frozen.size, &names, &text);
		n = of_trace_add(x->in->trace, OF_TRACE_RECIRCULATE,
			"recirculates as 0x%x, to be parsed anew; what is left: %s", id,
			x->frozen.size ? strbuf_text(&text) : "the action set");
		strbuf_uninit(&text);
	} else {
		n = of_trace_add(x->in->trace, OF_TRACE_RECIRCULATE,
			"recirculates as 0x%x, to be parsed anew; goes on in table %u", id,
			x->freeze_table);
	}
	of_trace_put_number(n, "recirc_id", id);
}

void
xlate_tell_thaw(struct xlate *x, const struct flow_key *key, const struct of_context *c)
{
	struct of_text_names names = of_text_names_of(x->p);
	struct of_trace *t = x->in->trace;
	struct strbuf list = STRBUF_INIT;
	struct flow_key before = *key;

	if (c->actions_len) {
		of_text_format_actions(c->actions, c->actions_len, &names, &list);
	}
	if (c->pause) {
		of_trace_add(t, OF_TRACE_NOTE, "goes on in switch %s with %s", x->p->name,
			list.len ? strbuf_text(&list) : "the action set");
	} else {
		of_trace_add(t, OF_TRACE_NOTE, "goes on in switch %s, table %u%s%s", x->p->name,
			c->table, list.len ? ", then with " : "", strbuf_text(&list));
	}
	before.recirc_id = x->pkt.key.recirc_id;
	of_trace_changes(t, &before, &x->pkt.key);
	strbuf_uninit(&list);
}

void
xlate_tell_end(struct xlate *x, const char *what, enum drop_reason reason)
{
	struct of_trace_node *n =
		of_trace_add(x->in->trace, OF_TRACE_END, "%s: %s", what, drop_reason_name(reason));

	of_trace_put_text(n, "reason", drop_reason_name(reason));
}

static void
put_mac(struct strbuf *out, const uint8_t mac[6])
{
	char text[ETH_ADDR_TEXT_SIZE];

	strbuf_put(out, eth_addr_text(mac, text));
}

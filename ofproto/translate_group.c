/* SPDX-License-Identifier: Apache-2.0
 *
 * Translation: groups and meters.
 *
 * A group whose buckets all run, or that has one, is written out where it stands. One of which the
 * datapath chooses a bucket becomes an object: its buckets are translated for this packet and those
 * that agree with it in the flow's mask, and whoever translates finds or makes the object with exactly
 * these bytes. Where there can be no object (a packet-out, a full datapath) the choice is made here.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "lib/dp_protocol.h"
#include "lib/hash.h"
#include "ofproto/of_context.h"
#include "ofproto/translate_internal.h"
#include "ofproto/translate_trace.h"

/* An object in the making. */
struct making {
	struct dp_actions body; /* buckets one behind the other */
	struct translate_counters *parts;
	uint32_t n_parts;
	uint32_t mirrored; /* in one bucket or another */
};

static const struct group *find_group(struct xlate *x, uint32_t id);
static void run_bucket(struct xlate *x, const struct group *g, const struct group_bucket *b,
	const char *chosen, const char *why);
static void run_object(struct xlate *x, const struct group *g);
static bool make_object(struct xlate *x, const struct group *g, struct dp_handle *handle);
static bool make_bucket(
	struct xlate *x, const struct group *g, const struct group_bucket *b, struct making *m);
static bool watch(struct xlate *x, const struct group_bucket *b, struct dp_bucket *head);
static const char *foretell(
	struct xlate *x, const struct group *g, const struct group_bucket *b, const char **why);
static void tell_no_bucket(
	struct xlate *x, const struct group *g, const struct group_bucket *b, const char *why);
static const struct group_bucket *choose_by_hash(struct xlate *x, const struct group *g);
static bool is_live(struct xlate *x, const struct group_bucket *b, unsigned depth);

void
xlate_group(struct xlate *x, uint32_t id)
{
	const struct group *g = find_group(x, id);
	uint8_t reason = x->reason;
	struct of_trace_node *outer;

	if (!g) {
		xlate_trace(x, "there is no group %u", id);
		return;
	}
	if (x->group_depth >= TRANSLATE_MAX_GROUP_DEPTH) {
		xlate_fail(x, DROP_RESUBMIT_DEPTH);
		return;
	}
	outer = xlate_is_traced(x) ? xlate_tell_group(x, g) : NULL;
	xlate_note(x, g->counter);
	x->reason = OF_REASON_GROUP;
	x->group_depth++;
	x->depth++;
	switch ((enum of_group_type)g->type) {
	case OF_GROUP_ALL:
	case OF_GROUP_INDIRECT:
		for (uint32_t i = 0; i < g->n_buckets && !x->stopped; i++) {
			run_bucket(x, g, &g->buckets[i], "yes", NULL);
		}
		break;
	case OF_GROUP_SELECT:
	case OF_GROUP_FAST_FAILOVER:
		run_object(x, g);
		break;
	case OF_GROUP_TYPE_N:
		break;
	}
	x->depth--;
	x->group_depth--;
	x->reason = reason;
	xlate_trace_end(x, outer);
}

void
xlate_meter(struct xlate *x, uint32_t id)
{
	const struct meter *m = meter_of(versioned_find(&x->p->meters, id, x->in->version));
	struct dp_handle handle = m ? meter_handle(m) : (struct dp_handle){0, 0};
	bool remarks = false;

	xlate_depend(x, OF_DEP_METER, id);
	if (dp_handle_is_none(handle)) {
		xlate_trace(
			x, m ? "meter %u is not in the datapath yet" : "there is no meter %u", id);
		return;
	}
	if (xlate_is_traced(x)) {
		xlate_tell_meter(x, m, handle);
	}
	xlate_commit(x);
	dp_actions_put_object(&x->out->actions, DP_ACTION_METER, handle);
	for (uint32_t i = 0; i < m->n_bands; i++) {
		remarks |= m->bands[i].type == OF_BAND_DSCP_REMARK;
	}
	if (remarks && xlate_holds(x, FIELD_PRE_IP)) {
		/* Which DSCP the packet has now is not known: a later look must wait. */
		x->pkt.is_opaque = true;
	}
}

static const struct group *
find_group(struct xlate *x, uint32_t id)
{
	xlate_depend(x, OF_DEP_GROUP, id);
	return group_of(versioned_find(&x->p->groups, id, x->in->version));
}

void
xlate_note(struct xlate *x, struct of_counter *c)
{
	struct translate_counters *list = x->counters;

	if (list->n == list->capacity) {
		list->capacity = 2 * list->capacity + 4;
		list->v = xrealloc(list->v, list->capacity * sizeof(list->v[0]));
	}
	list->v[list->n++] = c;
}

/* On a copy, as an action set (OpenFlow 1.3.5 s.5.6). */
static void
run_bucket(struct xlate *x, const struct group *g, const struct group_bucket *b, const char *chosen,
	const char *why)
{
	struct of_trace_node *outer;

	if (++x->n_actions > TRANSLATE_MAX_ACTIONS) {
		xlate_fail(x, DROP_TRANSLATION_LIMIT);
		return;
	}
	xlate_note(x, b->counter);
	outer = xlate_is_traced(x) ? xlate_tell_bucket(x, g, b, chosen, why) : NULL;
	xlate_on_copy(x, b->actions, b->size, true);
	xlate_trace_end(x, outer);
}

/* --- objects ------------------------------------------------------------------------------------- */

/* Tunnel fields that the buckets' tunnels take are put before the choice, so that flows which differ in nothing else
 * share it. */
static void
commit_tunnels(struct xlate *x, const struct group *g)
{
	const struct of_action_hdr *a;
	uint32_t flags = 0;

	for (uint32_t i = 0; i < g->n_buckets; i++) {
		const struct group_bucket *b = &g->buckets[i];

		for (a = of_action_first(b->actions, b->size); a;
			a = of_action_next(a, b->actions, b->size)) {
			const struct of_action_output *output = (const void *)a;
			const struct ofport *port =
				a->type == OF_ACTION_OUTPUT
					? ofport_find(x->p, OF_PORT(output->port))
					: NULL;

			flags |= port && port->info.kind == OF_PORT_TUNNEL
					 ? tunnel_key_flags(&port->info.tunnel)
					 : 0;
		}
	}
	xlate_commit_tunnel(x, flags);
}

static void
run_object(struct xlate *x, const struct group *g)
{
	const struct group_bucket *chosen = NULL;
	struct dp_handle handle;

	commit_tunnels(x, g);
	if (x->in->object && x->object_depth < DP_OBJECT_MAX_DEPTH && make_object(x, g, &handle)) {
		if (!dp_handle_is_none(handle)) {
			/* It runs on the packet itself: what follows is to have it as it is. */
			size_t at = dp_actions_begin(&x->out->actions, DP_ACTION_CLONE, 0);

			dp_actions_put_object(&x->out->actions,
				g->type == OF_GROUP_SELECT ? DP_ACTION_SELECT
							   : DP_ACTION_FIRST_LIVE,
				handle);
			dp_actions_end(&x->out->actions, at);
			x->has_output = true;
		} else if (g->n_buckets && !x->out->is_pending) {
			xlate_blame(x, DROP_NO_BUCKET);
		}
		return;
	}
	xlate_trace(x, "the datapath cannot choose: it is done here");
	if (g->type == OF_GROUP_SELECT) {
		chosen = choose_by_hash(x, g);
	} else {
		for (uint32_t i = 0; i < g->n_buckets && !chosen; i++) {
			chosen = is_live(x, &g->buckets[i], 0) ? &g->buckets[i] : NULL;
		}
	}
	if (!chosen) {
		xlate_trace(x, "no bucket is live");
		if (g->n_buckets) {
			xlate_blame(x, DROP_NO_BUCKET);
		}
	}
	if (chosen && !x->stopped) {
		run_bucket(x, g, chosen, "yes",
			g->type == OF_GROUP_SELECT ? "by hash" : "the first that is live");
	}
}

/* Connections keep their buckets when a group changes, and one group behind another chooses anew. */
static uint32_t
seed_of(const struct xlate *x, const struct group *g)
{
	uint32_t seed = hash_u64((uint64_t)x->p->id << 32 | g->v.id, 0);

	return seed ? seed : 1;
}

/* False: there can be no object. A handle of none: nothing is to be done, or not yet. */
static bool
make_object(struct xlate *x, const struct group *g, struct dp_handle *handle)
{
	struct making m = {.parts = xcalloc(g->n_buckets + 1, sizeof(m.parts[0]))};
	enum translate_object_state state = TRANSLATE_OBJECT_PENDING;
	uint32_t n_learns = x->out->n_learns, n_fins = x->out->n_fins;
	bool ok = true, no_object = x->no_object;

	*handle = (struct dp_handle){0, 0};
	x->no_object = false;
	dp_actions_init(&m.body);
	xlate_commit(x);
	for (uint32_t i = 0; i < g->n_buckets && ok && !x->stopped; i++) {
		ok = make_bucket(x, g, &g->buckets[i], &m);
	}
	/* What a failed or pending part would be is not known: neither is the object. */
	if (ok && m.n_parts && !x->stopped && !x->out->is_pending) {
		struct translate_object o = {
			.kind = g->type == OF_GROUP_SELECT ? DP_OBJECT_SELECT
							   : DP_OBJECT_FIRST_LIVE,
			.seed = g->type == OF_GROUP_SELECT ? seed_of(x, g) : 0,
			.n_parts = m.n_parts,
			.body = m.body.data,
			.size = m.body.size,
			.parts = m.parts,
		};

		state = x->in->object(x->in->object_user, &o, handle);
		x->out->is_pending |= state == TRANSLATE_OBJECT_PENDING;
	}
	for (uint32_t i = 0; i < m.n_parts; i++) {
		free(m.parts[i].v);
		free(m.parts[i].rules);
	}
	free(m.parts);
	dp_actions_uninit(&m.body);
	x->no_object = no_object;
	if (!ok || state == TRANSLATE_OBJECT_NONE) {
		xlate_unlearn(x, n_learns, n_fins);
		return false;
	}
	x->mirrored |= m.mirrored;
	return true;
}

/* Whether the list does more than to change the packet. */
static bool
has_effect(const void *data, size_t size)
{
	const struct dp_action_hdr *a;

	for (a = dp_action_first(data, size); a; a = dp_action_next(a, data, size)) {
		const void *nested;
		size_t nested_size;

		switch (a->type) {
		case DP_ACTION_OUTPUT: /* a mirror's */
		case DP_ACTION_TO_AGENT:
		case DP_ACTION_RECIRC:
		case DP_ACTION_METER:
		case DP_ACTION_SELECT:
		case DP_ACTION_FIRST_LIVE:
			return true;
		case DP_ACTION_CLONE:
		case DP_ACTION_DEC_TTL:
		case DP_ACTION_DEC_MPLS_TTL:
			nested = dp_action_nested(a, 0, &nested_size);
			if (has_effect(nested, nested_size)) {
				return true;
			}
			break;
		default:
			break;
		}
	}
	return false;
}

/* The bucket's packets go nowhere: they are dropped, once, and say why. */
static void
end_in_bucket(struct xlate *x)
{
	struct dp_actions *list = &x->out->actions;

	if (!has_effect(list->data, list->size)) {
		dp_actions_clear(list);
	}
	if (list->size || x->drop != DROP_EXPLICIT) {
		dp_actions_put_drop(list, x->drop);
	}
}

/* Appends a bucket, if it can ever be chosen. False: there can be no object. */
static bool
make_bucket(struct xlate *x, const struct group *g, const struct group_bucket *b, struct making *m)
{
	struct dp_actions outer = x->out->actions;
	struct translate_counters *counters = x->counters;
	uint32_t mirrored = x->mirrored;
	bool has_output = x->has_output;
	enum drop_reason drop = x->drop;
	uint64_t lost = x->lost;
	struct dp_bucket head = {
		.id = (uint32_t)(b - g->buckets) + 1,
		.weight = g->type == OF_GROUP_SELECT ? b->weight : 1,
	};

	const char *chosen, *why = NULL;

	if (!head.weight) {
		tell_no_bucket(x, g, b, "never chosen");
		return true;
	}
	if (!watch(x, b, &head)) {
		tell_no_bucket(x, g, b, "what it watches is not there");
		return !x->in->object || x->out->is_pending || !is_live(x, b, 0);
	}
	dp_actions_init(&x->out->actions);
	x->counters = &m->parts[m->n_parts++];
	x->object_depth++;
	x->has_output = false;
	x->drop = DROP_EXPLICIT;
	x->lost = 0; /* what this bucket's packets lose */
	chosen = xlate_is_traced(x) ? foretell(x, g, b, &why) : NULL;
	run_bucket(x, g, b, chosen, why);
	x->object_depth--;
	if (x->has_output) {
		xlate_end_list(&x->out->actions, x->lost);
	} else {
		end_in_bucket(x);
	}
	head.size = (uint32_t)(sizeof(head) + x->out->actions.size);
	dp_actions_append(&m->body, &head, sizeof(head));
	dp_actions_append(&m->body, x->out->actions.data, x->out->actions.size);
	dp_actions_uninit(&x->out->actions);
	x->out->actions = outer;
	x->counters = counters;
	m->mirrored |= x->mirrored;
	x->mirrored = mirrored;
	x->has_output = has_output;
	x->drop = x->failed ? x->drop : drop;
	x->lost = lost;
	return m->body.size <= DP_OBJECT_MAX_BODY && !x->no_object;
}

/* What the bucket's life hangs on. False: it is not live and will not be before the tables or ports
 * change, or its group's object is not there (yet). */
static bool
watch(struct xlate *x, const struct group_bucket *b, struct dp_bucket *head)
{
	const struct group *g = NULL;
	const struct ofport *port;
	struct of_trace_node *outer;

	head->watch_port = UINT32_MAX;
	head->watch_object = (struct dp_handle){0, 0};
	if (b->watch_group != OFPG_ANY) {
		g = find_group(x, b->watch_group);
		if (g && (g->type == OF_GROUP_ALL || g->type == OF_GROUP_INDIRECT)) {
			return g->n_buckets > 0; /* its buckets watch nothing: always live */
		}
	}
	if (!of_port_is(b->watch_port, OFPP_ANY)) {
		port = xlate_port(x, b->watch_port);
		if (port && port->info.kind == OF_PORT_PATCH) {
			/* Not the datapath's: it lives as long as nobody changes it. */
			xlate_depend(x, OF_DEP_LINK, b->watch_port.v);
			if (xlate_port_is_live(port)) {
				return true;
			}
		} else if (port && xlate_port_can_send(port) && xlate_tunnel_has_way(x, port)) {
			head->watch_port = port->info.dp_port.v;
		}
	}
	if (g && x->object_depth < DP_OBJECT_MAX_DEPTH) {
		if (x->group_depth >= TRANSLATE_MAX_GROUP_DEPTH) {
			xlate_fail(x, DROP_RESUBMIT_DEPTH);
			return false;
		}
		x->group_depth++;
		outer = XLATE_BEGIN(x, OF_TRACE_NOTE, "watched: group %u", g->v.id);
		if (!make_object(x, g, &head->watch_object)) {
			head->watch_object = (struct dp_handle){0, 0};
		}
		xlate_trace_end(x, outer);
		x->group_depth--;
	}
	return head->watch_port != UINT32_MAX || !dp_handle_is_none(head->watch_object) ||
	       (of_port_is(b->watch_port, OFPP_ANY) && b->watch_group == OFPG_ANY);
}

/* What the datapath will do with a bucket as things are. */
static const char *
foretell(struct xlate *x, const struct group *g, const struct group_bucket *b, const char **why)
{
	const struct group_bucket *first = g->buckets;

	if (!is_live(x, b, 0)) {
		*why = "not live now";
		return "no";
	}
	if (g->type == OF_GROUP_SELECT) {
		return "maybe";
	}
	while (first < b && !is_live(x, first, 0)) {
		first++;
	}
	*why = first == b ? "the first that is live" : "live, but not the first";
	return first == b ? "yes" : "no";
}

static void
tell_no_bucket(
	struct xlate *x, const struct group *g, const struct group_bucket *b, const char *why)
{
	if (xlate_is_traced(x)) {
		xlate_trace_end(x, xlate_tell_bucket(x, g, b, "no", why));
	}
}

/* --- choosing here ------------------------------------------------------------------------------- */

uint32_t
xlate_hash(struct xlate *x, uint32_t basis)
{
	static const uint8_t ends[] = {
		FIELD_ETH_SRC, FIELD_ETH_DST, FIELD_ETH_TYPE, FIELD_VLAN_VID};
	static const uint8_t v4[] = {FIELD_IPV4_SRC, FIELD_IPV4_DST, FIELD_IP_PROTO};
	static const uint8_t v6[] = {FIELD_IPV6_SRC, FIELD_IPV6_DST, FIELD_IP_PROTO};
	static const uint8_t l4[] = {FIELD_L4_SRC, FIELD_L4_DST};
	static const uint8_t arp[] = {FIELD_ARP_SPA, FIELD_ARP_TPA};
	const struct {
		enum field_prereq prereq;
		const uint8_t *fields;
		size_t n;
	} rows[] = {
		{FIELD_PRE_NONE, ends, sizeof(ends)},
		{FIELD_PRE_IPV4, v4, sizeof(v4)},
		{FIELD_PRE_IPV6, v6, sizeof(v6)},
		{FIELD_PRE_L4, l4, sizeof(l4)},
		{FIELD_PRE_ARP, arp, sizeof(arp)},
	};
	uint32_t hash = basis;

	for (size_t i = 0; i < WEFT_ARRAY_SIZE(rows); i++) {
		for (size_t k = 0; k < rows[i].n && xlate_holds(x, rows[i].prereq); k++) {
			const struct field *f = field_get(rows[i].fields[k]);
			union field_value value;

			xlate_read_field(x, rows[i].fields[k]);
			field_load(f, &x->pkt.key, &value);
			hash = hash_bytes(value.b, f->n_bytes, hash);
		}
	}
	return hash;
}

static const struct group_bucket *
choose_by_hash(struct xlate *x, const struct group *g)
{
	uint64_t total = 0, at;
	uint32_t hash = xlate_hash(x, g->v.id);

	for (uint32_t i = 0; i < g->n_buckets; i++) {
		total += is_live(x, &g->buckets[i], 0) ? g->buckets[i].weight : 0;
	}
	at = total * hash >> 32;
	for (uint32_t i = 0; i < g->n_buckets; i++) {
		const struct group_bucket *b = &g->buckets[i];

		if (is_live(x, b, 0)) {
			if (at < b->weight) {
				return b;
			}
			at -= b->weight;
		}
	}
	return NULL;
}

static bool
is_live(struct xlate *x, const struct group_bucket *b, unsigned depth)
{
	const struct ofport *port = NULL;
	const struct group *g = NULL;

	if (of_port_is(b->watch_port, OFPP_ANY) && b->watch_group == OFPG_ANY) {
		return true;
	}
	if (!of_port_is(b->watch_port, OFPP_ANY)) {
		port = xlate_port(x, b->watch_port);
	}
	xlate_depend(x, OF_DEP_LINK, b->watch_port.v);
	if (port && xlate_port_is_live(port) && xlate_tunnel_has_way(x, port)) {
		return true;
	}
	if (b->watch_group != OFPG_ANY && depth < TRANSLATE_MAX_GROUP_DEPTH) {
		g = find_group(x, b->watch_group);
	}
	for (uint32_t i = 0; g && i < g->n_buckets; i++) {
		if (is_live(x, &g->buckets[i], depth + 1)) {
			return true;
		}
	}
	return false;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnels: what the underlay is to know of ports, and what it says of tunnel ports.
 *
 * What:     each `internal` port in our own namespace is a device by which tunnels' packets may leave; each
 *           tunnel port with a remote of its own has that remote followed before a packet comes.
 * Listing:  tunnel.list is worked off a millisecond at a time; ports that come or go meanwhile may be missed
 *           or repeated.
 */
#include <stdlib.h>
#include <string.h>

#include "controller-agent/agent_internal.h"
#include "controller-agent/underlay_netlink.h"
#include "lib/alloc.h"
#include "lib/eth_addr.h"
#include "lib/jsonrpc.h"
#include "lib/log.h"
#include "ofproto/of_tunnel.h"

WEFT_LOG_MODULE(tunnel);

struct listing {
	struct list link;
	struct agent *agent;
	struct rpc_call *call;
	struct event *next;
	char *sw;      /* of this switch; NULL: all */
	size_t n_done; /* ports */
	json_t *rows;
	struct agent_port *port; /* while its rows are made */
	struct of_tunnel tunnel;
};

static void resume(struct listing *l);
static void run_listing(int fd, short what, void *arg);
static void free_listing(struct listing *l);

/* --- the underlay --------------------------------------------------------------------------------- */

static void
routes_changed(void *user, const uint32_t *ids, size_t n)
{
	struct agent *a = user;

	of_model_underlay_changed(a->model, ids, n);
	agent_touch(a);
}

void
agent_tunnels_create(struct agent *a)
{
	static const struct underlay_ops ops = {routes_changed};
	struct of_underlay_provider provider;
	struct weft_error err = WEFT_ERROR_INIT;

	list_init(&a->tunnel_listings);
	a->underlay = underlay_create(a->base, of_model_grace(a->model), &ops, a, &err);
	if (!a->underlay) {
		LOG_ERR("tunnels will not work: %s", err.text);
		return;
	}
	provider = underlay_provider(a->underlay);
	of_model_set_underlay(a->model, &provider);
}

void
agent_tunnels_destroy(struct agent *a)
{
	while (a->underlay && !list_is_empty(&a->tunnel_listings)) {
		struct listing *l = LIST_ENTRY(a->tunnel_listings.next, struct listing, link);

		rpc_call_fail(l->call, RPC_FAILED, "the agent ends");
		free_listing(l);
	}
	underlay_destroy(a->underlay);
	a->underlay = NULL;
}

json_t *
agent_tunnels_stats(const struct agent *a)
{
	struct underlay_counters c = {0};

	if (a->underlay) {
		underlay_get_counters(a->underlay, &c);
	}
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "remotes", (json_int_t)c.n_remotes,
		"next_hops", (json_int_t)c.n_next_hops, "news", (json_int_t)c.n_news, "news_lost",
		(json_int_t)c.n_lost, "questions", (json_int_t)c.n_asked, "published",
		(json_int_t)c.n_published, "datagrams", (json_int_t)c.n_probes);
}

/* --- ports ---------------------------------------------------------------------------------------- */

static bool
is_shown(const struct agent_port *p)
{
	return ofproto_port_find(p->sw->ofproto, p->of_port) != NULL;
}

static void
update_device(struct agent_port *p)
{
	struct underlay *u = p->agent->underlay;
	bool is_device = strcmp(p->config->type, "internal") == 0 &&
			 !config_port_option(p->config, "netns") && is_shown(p);

	if (is_device) {
		underlay_device_set(u, p->config->name, ofproto_id(p->sw->ofproto), p->of_port);
	} else if (p->is_device) {
		underlay_device_del(u, p->config->name);
	}
	p->is_device = is_device;
}

/* Whether no packet leaves the switch for other hosts: it has underlay ports, and none has a link. Those that are
 * not there yet are hoped for. */
static bool
is_cut_off(const struct agent_switch *sw)
{
	const struct agent_port *p;
	bool any = false;

	LIST_FOREACH (p, link, &sw->ports) {
		const struct of_port_info *info;

		if (!p->config->underlay || p->state == PORT_DELETING) {
			continue;
		}
		info = ofproto_port_find(sw->ofproto, p->of_port);
		if (!info || (!config_port_is_virtual(p->config) && p->state != PORT_PRESENT &&
				     p->state != PORT_SETTING)) {
			return false;
		}
		if (!(info->state & OF_PORT_LINK_DOWN) && !(info->config & OF_PORT_DOWN)) {
			return false;
		}
		any = true;
	}
	return any;
}

/* What the kernel cannot know: a device's carrier says nothing of the uplinks behind it. */
static void
update_uplinks(struct agent_port *changed)
{
	struct agent_switch *sw = changed->sw;
	struct agent_port *p;
	bool cut_off;

	if (!changed->config->underlay && !changed->is_uplink && !changed->is_device) {
		return;
	}
	changed->is_uplink = changed->config->underlay;
	cut_off = is_cut_off(sw);
	LIST_FOREACH (p, link, &sw->ports) {
		if (p->is_device) {
			underlay_device_cut_off(sw->agent->underlay, p->config->name, cut_off);
		}
	}
}

/* Both ends, as far as the port says; false: one or both are the flows' to choose. */
static bool
get_ends(const struct agent_port *p, struct of_underlay_key *ends)
{
	const struct of_port_info *info = ofproto_port_find(p->sw->ofproto, p->of_port);

	if (!info || info->kind != OF_PORT_TUNNEL || info->tunnel.remote_by == OF_TUNNEL_FLOW ||
		info->tunnel.local_by == OF_TUNNEL_FLOW) {
		return false;
	}
	*ends = (struct of_underlay_key){info->tunnel.local, info->tunnel.remote};
	return true;
}

static void
update_pin(struct agent_port *p)
{
	struct underlay *u = p->agent->underlay;
	struct of_underlay_key ends;
	bool wanted = get_ends(p, &ends);

	if (p->is_pinned && (!wanted || memcmp(&ends, &p->ends, sizeof(ends)) != 0)) {
		underlay_unpin(u, &p->ends);
		p->is_pinned = false;
	}
	if (wanted && !p->is_pinned) {
		p->ends = ends;
		p->is_pinned = underlay_pin(u, &ends);
		if (!p->is_pinned) {
			LOG_WARN("port %s: too many remotes are in use already", p->config->name);
		}
	}
}

void
agent_tunnels_port_changed(struct agent_port *p)
{
	if (p->agent->underlay) {
		update_device(p);
		update_uplinks(p);
		update_pin(p);
	}
}

/* --- rows of the listing --------------------------------------------------------------------------- */

static json_t *
addr_json(const struct of_underlay_addr *a)
{
	char text[UNDERLAY_ADDR_SIZE];

	return json_string(underlay_addr_text(a, text));
}

static json_t *
mac_json(const uint8_t mac[6])
{
	char text[ETH_ADDR_TEXT_SIZE];

	return json_string(eth_addr_text(mac, text));
}

/* "10.0.0.0/8 metric 20 table 100", as ip-route(8) would say it. */
static json_t *
route_json(const struct underlay_view *view)
{
	char prefix[UNDERLAY_ADDR_SIZE], metric[24] = "", table[24] = "";
	const unsigned table_main = 254;

	if (!view->has_prefix) {
		return json_string("");
	}
	if (view->metric) {
		snprintf(metric, sizeof(metric), " metric %u", view->metric);
	}
	if (view->table != table_main) {
		snprintf(table, sizeof(table), " table %u", view->table);
	}
	if (view->prefix_len == 0) {
		return json_sprintf("default%s%s", metric, table);
	}
	return json_sprintf("%s/%u%s%s", underlay_addr_text(&view->prefix, prefix),
		view->prefix_len, metric, table);
}

static const char *
state_text(enum of_underlay_state state)
{
	static const char *const texts[] = {
		[OF_UNDERLAY_READY] = "ready",
		[OF_UNDERLAY_PENDING] = "pending",
		[OF_UNDERLAY_NO_ROUTE] = "no-route",
		[OF_UNDERLAY_OWN_ADDRESS] = "own-address",
		[OF_UNDERLAY_NO_LOCAL] = "no-local",
		[OF_UNDERLAY_NO_DEVICE] = "no-underlay",
		[OF_UNDERLAY_LINK_DOWN] = "link-down",
		[OF_UNDERLAY_NO_NEIGHBOUR] = "no-neighbour",
		[OF_UNDERLAY_FULL] = "full",
	};

	return texts[state];
}

/* The internal port of a switch by which a path leaves, "SWITCH:PORT"; else the device. */
static json_t *
via_json(struct agent *a, const struct of_underlay_path *path)
{
	const struct ofproto *p =
		path->ofproto_id ? ofproto_by_id(a->model, path->ofproto_id) : NULL;

	return p ? json_sprintf("%s:%s", ofproto_name(p), path->device) : json_string(path->device);
}

static void
add_row(struct listing *l, const struct of_underlay_addr *remote, const struct underlay_view *view,
	const struct of_underlay_path *path)
{
	const char *state = view ? state_text(view->route->state) : "unused";
	const char *last = view ? view->last_error : NULL;
	json_t *row = json_pack("{s:s, s:s, s:s}", "switch", l->port->sw->config->name, "port",
		l->port->config->name, "state",
		path && !path->is_usable && view->route->state == OF_UNDERLAY_READY ? "not-used"
										    : state);

	json_object_set_new(row, "remote", remote ? addr_json(remote) : json_string("flow"));
	json_object_set_new(row, "route", view ? route_json(view) : json_string(""));
	json_object_set_new(row, "error",
		json_string(
			view && view->route->state != OF_UNDERLAY_READY ? view->route->text : ""));
	json_object_set_new(row, "last_error", json_string(last ? last : ""));
	if (path) {
		json_object_set_new(row, "source", addr_json(&path->source));
		json_object_set_new(row, "next_hop", addr_json(&path->next_hop));
		json_object_set_new(row, "mac",
			path->is_usable ? mac_json(path->next_hop_mac) : json_string(""));
		json_object_set_new(row, "via", via_json(l->agent, path));
		json_object_set_new(row, "mtu", json_integer(path->mtu));
		json_object_set_new(row, "weight", json_integer(path->weight));
	}
	json_array_append_new(l->rows, row);
}

/* A row for each equal-cost path, or one that says why there is none. */
static void
add_rows(struct listing *l, const struct underlay_view *view)
{
	for (uint32_t i = 0; i < view->route->n_paths; i++) {
		add_row(l, &view->key.remote, view, &view->route->paths[i]);
	}
	if (view->route->n_paths == 0) {
		add_row(l, &view->key.remote, view, NULL);
	}
}

/* What flows may have sent through the port: those of other ports are not known apart. */
static bool
add_if_flows(const struct underlay_view *view, void *user)
{
	struct listing *l = user;

	if (view->n_pins == 0 &&
		(l->tunnel.local_by == OF_TUNNEL_FLOW ||
			underlay_addr_equal(&view->key.local, &l->tunnel.local)) &&
		(l->tunnel.remote_by == OF_TUNNEL_FLOW ||
			underlay_addr_equal(&view->key.remote, &l->tunnel.remote))) {
		add_rows(l, view);
	}
	return true;
}

static void
list_port(struct listing *l, struct agent_port *p)
{
	struct weft_error err = WEFT_ERROR_INIT;
	size_t n_before = json_array_size(l->rows);
	struct underlay_view view;

	l->port = p;
	if (p->is_pinned && underlay_find(l->agent->underlay, &p->ends, &view)) {
		add_rows(l, &view);
		return;
	}
	if (!config_tunnel_parse(p->config, &l->tunnel, &err)) {
		return; /* it was looked at when it was set */
	}
	underlay_list(l->agent->underlay, add_if_flows, l);
	if (json_array_size(l->rows) == n_before) {
		add_row(l, l->tunnel.remote_by == OF_TUNNEL_FLOW ? NULL : &l->tunnel.remote, NULL,
			NULL);
	}
}

/* --- the listing ----------------------------------------------------------------------------------- */

void
agent_rpc_tunnel_list(struct rpc_call *call, json_t *params, void *user)
{
	struct agent *a = user;
	struct agent_switch *sw = NULL;
	struct listing *l;

	if (json_object_get(params, "switch")) {
		sw = agent_rpc_switch(a, call, params, "switch");
		if (!sw) {
			return;
		}
	}
	if (!a->underlay) {
		rpc_call_fail(
			call, RPC_FAILED, "the agent cannot read the kernel's routes: see its log");
		return;
	}
	l = xcalloc(1, sizeof(*l));
	l->agent = a;
	l->call = call;
	l->sw = sw ? xstrdup(sw->config->name) : NULL;
	l->rows = json_array();
	l->next = evtimer_new(a->base, run_listing, l);
	list_push_back(&a->tunnel_listings, &l->link);
	resume(l);
}

static void
resume(struct listing *l)
{
	static const struct timeval at_once;

	event_add(l->next, &at_once);
}

static void
free_listing(struct listing *l)
{
	list_remove(&l->link);
	event_free(l->next);
	json_decref(l->rows);
	free(l->sw);
	free(l);
}

/* Lists tunnel ports from the @n_done'th on; whether there are more. */
static bool
list_some(struct listing *l, uint64_t until_ns)
{
	struct agent_switch *sw;
	struct agent_port *p;
	size_t at = 0;

	LIST_FOREACH (sw, link, &l->agent->switches) {
		if (l->sw && strcmp(l->sw, sw->config->name) != 0) {
			continue;
		}
		LIST_FOREACH (p, link, &sw->ports) {
			if (!config_port_is_tunnel(p->config) || at++ < l->n_done) {
				continue;
			}
			if (agent_now_ns() > until_ns) {
				return true;
			}
			list_port(l, p);
			l->n_done++;
		}
	}
	return false;
}

static void
run_listing(int fd, short what, void *arg)
{
	struct listing *l = arg;

	(void)fd;
	(void)what;
	if (list_some(l, agent_now_ns() + AGENT_SLICE_NS)) {
		resume(l);
		return;
	}
	rpc_call_reply(l->call, json_incref(l->rows));
	free_listing(l);
}

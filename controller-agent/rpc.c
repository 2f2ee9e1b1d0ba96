/* SPDX-License-Identifier: Apache-2.0
 *
 * agent.sock: switches, ports, controllers, counters, log levels (docs/rpc.md).
 *
 * Changes:  a method that changes the configuration keeps its parameters and edits when its turn has
 *           come (apply.c); the caller is answered when all is in force and saved.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller-agent/agent_internal.h"
#include "controller-agent/config_mirror.h"
#include "lib/alloc.h"
#include "lib/eth_addr.h"
#include "lib/jsonrpc.h"
#include "lib/log.h"

/* A change that somebody waits for. */
struct request {
	struct agent *agent;
	struct rpc_call *call;
	json_t *params;
	bool (*edit)(const struct request *r, struct config *c, struct weft_error *err);
	bool tells_of_port; /* port.add: the answer says which number */
};

/* A listing that waits for counters. */
struct listing {
	struct agent *agent;
	struct rpc_call *call;
	json_t *params;
	bool one; /* port.show */
};

/* --- parameters --------------------------------------------------------------------------------- */

static const char *
text_param(json_t *params, const char *key)
{
	return json_string_value(json_object_get(params, key));
}

static bool
need_text(json_t *params, const char *key, const char **text, struct weft_error *err)
{
	*text = text_param(params, key);
	return *text || weft_error_set(err, WEFT_ERR_RPC, RPC_INVALID_PARAMS,
				"parameter %s is missing", key);
}

static struct config_switch *
find_switch(struct config *c, json_t *params, const char *key, struct weft_error *err)
{
	struct config_switch *sw;
	const char *name;

	if (!need_text(params, key, &name, err)) {
		return NULL;
	}
	sw = config_switch_find(c, name);
	if (!sw) {
		weft_error_set(err, WEFT_ERR_CONFLICT, ENOENT,
			"there is no switch %s: see weft switch list", name);
	}
	return sw;
}

struct agent_switch *
agent_rpc_switch(struct agent *a, struct rpc_call *call, json_t *params, const char *key)
{
	const char *name = text_param(params, key);
	struct agent_switch *sw;

	if (!name) {
		rpc_call_fail(call, RPC_INVALID_PARAMS, "parameter %s is missing", key);
		return NULL;
	}
	sw = agent_switch_find(a, name);
	if (!sw) {
		rpc_call_fail(
			call, RPC_FAILED, "there is no switch %s: see weft switch list", name);
	}
	return sw;
}

bool
agent_rpc_texts(struct rpc_call *call, json_t *params, const char *key, json_t **texts)
{
	*texts = json_object_get(params, key);
	if (*texts && !json_is_array(*texts)) {
		rpc_call_fail(
			call, RPC_INVALID_PARAMS, "parameter %s is not an array of texts", key);
		return false;
	}
	return true;
}

/* Calls @set for each of the settings. */
static bool
each_setting(json_t *params, void *object,
	bool (*set)(void *object, const char *key, const char *value, struct weft_error *err),
	struct weft_error *err)
{
	const char *key;
	json_t *value;

	json_object_foreach (json_object_get(params, "settings"), key, value) {
		if (!json_is_string(value)) {
			return weft_error_set(err, WEFT_ERR_RPC, RPC_INVALID_PARAMS,
				"setting %s is not a text", key);
		}
		if (!set(object, key, json_string_value(value), err)) {
			return false;
		}
	}
	return true;
}

static bool
set_switch(void *sw, const char *key, const char *value, struct weft_error *err)
{
	return config_switch_set(sw, key, value, err);
}

static bool
set_port(void *p, const char *key, const char *value, struct weft_error *err)
{
	return config_port_set(p, key, value, err);
}

static bool
set_controller(void *ctl, const char *key, const char *value, struct weft_error *err)
{
	return config_controller_set(ctl, key, value, err);
}

/* --- changes ------------------------------------------------------------------------------------ */

static bool
run_edit(void *user, struct config *wanted, struct weft_error *err)
{
	struct request *r = user;

	return r->edit(r, wanted, err);
}

static void
change_done(void *user, const struct weft_error *err)
{
	struct request *r = user;
	json_t *result = json_object();

	if (!err && r->tells_of_port) {
		const struct agent_port *p =
			agent_port_find(r->agent, text_param(r->params, "name"));

		json_object_set_new(result, "of_port", json_integer(p ? p->of_port.v : 0));
	}
	if (err) {
		rpc_call_fail_error(r->call, err);
		json_decref(result);
	} else {
		rpc_call_reply(r->call, result);
	}
	json_decref(r->params);
	free(r);
}

static void
begin_change(struct rpc_call *call, json_t *params, void *user,
	bool (*edit)(const struct request *r, struct config *c, struct weft_error *err),
	bool tells_of_port)
{
	struct request *r;

	if (!call) {
		return; /* a notification: nobody could hear of a failure */
	}
	r = xcalloc(1, sizeof(*r));
	r->agent = user;
	r->call = call;
	r->params = json_incref(params);
	r->edit = edit;
	r->tells_of_port = tells_of_port;
	agent_apply(r->agent, run_edit, change_done, r);
}

static bool
edit_switch_add(const struct request *r, struct config *c, struct weft_error *err)
{
	struct config_switch *sw;
	const char *name;

	return need_text(r->params, "name", &name, err) &&
	       (sw = config_switch_add(c, name, err)) != NULL &&
	       each_setting(r->params, sw, set_switch, err);
}

static bool
edit_switch_del(const struct request *r, struct config *c, struct weft_error *err)
{
	struct config_switch *sw = find_switch(c, r->params, "name", err);

	if (sw) {
		config_switch_del(c, sw);
	}
	return sw != NULL;
}

static bool
edit_switch_set(const struct request *r, struct config *c, struct weft_error *err)
{
	struct config_switch *sw = find_switch(c, r->params, "name", err);

	return sw && each_setting(r->params, sw, set_switch, err);
}

static bool
edit_port_add(const struct request *r, struct config *c, struct weft_error *err)
{
	struct config_switch *sw = find_switch(c, r->params, "switch", err);
	struct config_port *p;
	const char *name;

	return sw && need_text(r->params, "name", &name, err) &&
	       (p = config_port_add(c, sw, name, err)) != NULL &&
	       each_setting(r->params, p, set_port, err) && config_port_check(sw, p, err) &&
	       config_bonds_check(sw, err) && config_mirrors_check(sw, err) &&
	       config_patches_check(c, err) && agent_tunnel_check(r->agent, c, p, err);
}

static bool
edit_port_del(const struct request *r, struct config *c, struct weft_error *err)
{
	struct config_switch *sw = find_switch(c, r->params, "switch", err), *of = NULL;
	const struct config_mirror *mirror;
	const struct config_port *bond;
	struct config_port *p;
	const char *name;

	if (!sw || !need_text(r->params, "name", &name, err)) {
		return false;
	}
	p = config_port_find(c, name, &of);
	if (!p) {
		return weft_error_set(err, WEFT_ERR_CONFLICT, ENOENT,
			"there is no port %s: see weft port list", name);
	}
	if (of != sw) {
		return weft_error_set(err, WEFT_ERR_CONFLICT, ENOENT,
			"port %s is on switch %s, not on %s", name, of->name, sw->name);
	}
	bond = config_bond_of(sw, name);
	if (bond) {
		return weft_error_set(err, WEFT_ERR_CONFLICT, EBUSY,
			"port %s is a member of bond %s: delete the bond first, or take the port out "
			"with weft port set %s members=..",
			name, bond->name, bond->name);
	}
	mirror = config_mirror_of_port(sw, name);
	if (mirror) {
		return weft_error_set(err, WEFT_ERR_CONFLICT, EBUSY,
			"mirror %s names port %s: delete the mirror first", mirror->name, name);
	}
	config_port_del(sw, p);
	return true;
}

static bool
edit_port_set(const struct request *r, struct config *c, struct weft_error *err)
{
	struct config_switch *sw;
	struct config_port *p;
	const char *name;

	if (!need_text(r->params, "name", &name, err)) {
		return false;
	}
	p = config_port_find(c, name, &sw);
	if (!p) {
		return weft_error_set(err, WEFT_ERR_CONFLICT, ENOENT,
			"there is no port %s: see weft port list", name);
	}
	for (unsigned i = 0; i < 2; i++) {
		static const char *const fixed[] = {"type", "of-port"};

		if (json_object_get(json_object_get(r->params, "settings"), fixed[i])) {
			return weft_error_set(err, WEFT_ERR_CONFLICT, EBUSY,
				"%s cannot change: delete port %s and add it anew", fixed[i], name);
		}
	}
	return each_setting(r->params, p, set_port, err) && config_port_check(sw, p, err) &&
	       config_bonds_check(sw, err) && config_mirrors_check(sw, err) &&
	       config_patches_check(c, err) && agent_tunnel_check(r->agent, c, p, err);
}

static bool set_up_controller(
	const struct request *r, struct config_controller *ctl, struct weft_error *err);

static bool
edit_controller_add(const struct request *r, struct config *c, struct weft_error *err)
{
	struct config_switch *sw = find_switch(c, r->params, "switch", err);
	struct config_controller *ctl;
	const char *target;

	if (!sw || !need_text(r->params, "target", &target, err)) {
		return false;
	}
	ctl = config_controller_add(sw, target, err);
	return ctl && set_up_controller(r, ctl, err);
}

static bool
set_up_controller(const struct request *r, struct config_controller *ctl, struct weft_error *err)
{
	struct of_controller_setup setup;

	if (!each_setting(r->params, ctl, set_controller, err)) {
		return false;
	}
	agent_controller_setup(ctl, &setup);
	return of_target_check(&setup, err);
}

static struct config_controller *
find_controller(const struct request *r, struct config *c, struct config_switch **sw,
	struct weft_error *err)
{
	struct config_controller *ctl;
	const char *target;

	*sw = find_switch(c, r->params, "switch", err);
	if (!*sw || !need_text(r->params, "target", &target, err)) {
		return NULL;
	}
	ctl = config_controller_find(*sw, target);
	if (!ctl) {
		weft_error_set(err, WEFT_ERR_CONFLICT, ENOENT,
			"switch %s has no controller %s: see weft controller list", (*sw)->name,
			target);
	}
	return ctl;
}

static bool
edit_controller_set(const struct request *r, struct config *c, struct weft_error *err)
{
	struct config_switch *sw;
	struct config_controller *ctl = find_controller(r, c, &sw, err);

	return ctl && set_up_controller(r, ctl, err);
}

static bool
edit_controller_del(const struct request *r, struct config *c, struct weft_error *err)
{
	struct config_switch *sw;
	struct config_controller *ctl = find_controller(r, c, &sw, err);

	if (!ctl) {
		return false;
	}
	config_controller_del(sw, ctl);
	return true;
}

#define CHANGE(NAME, EDIT, TELLS)                                                                  \
	static void NAME(struct rpc_call *call, json_t *params, void *user)                        \
	{                                                                                          \
		begin_change(call, params, user, EDIT, TELLS);                                     \
	}

CHANGE(switch_add, edit_switch_add, false)
CHANGE(switch_del, edit_switch_del, false)
CHANGE(switch_set, edit_switch_set, false)
CHANGE(port_add, edit_port_add, true)
CHANGE(port_del, edit_port_del, false)
CHANGE(port_set, edit_port_set, false)
CHANGE(controller_add, edit_controller_add, false)
CHANGE(controller_del, edit_controller_del, false)
CHANGE(controller_set, edit_controller_set, false)

/* --- switches and controllers ------------------------------------------------------------------- */

static json_t *
protocols_json(uint32_t protocols)
{
	json_t *list = json_array();
	char text[32], *at, *save;

	config_protocols_format(protocols ? protocols : of_service_protocols(), text, sizeof(text));
	for (at = strtok_r(text, ",", &save); at; at = strtok_r(NULL, ",", &save)) {
		json_array_append_new(list, json_string(at));
	}
	return list;
}

static json_t *
switch_json(const struct agent_switch *sw)
{
	struct of_settings settings;
	char dpid[20];

	ofproto_get_settings(sw->ofproto, &settings);
	snprintf(dpid, sizeof(dpid), "%016llx", (unsigned long long)ofproto_dpid(sw->ofproto));
	return json_pack("{s:s, s:s, s:s, s:o, s:I, s:I, s:s, s:b, s:b, s:I}", "name",
		sw->config->name, "dpid", dpid, "fail_mode",
		config_fail_mode_name(sw->config->fail_mode), "protocols",
		protocols_json(sw->config->protocols), "n_ports",
		(json_int_t)list_count(&sw->ports), "n_flows",
		(json_int_t)ofproto_n_rules(sw->ofproto), "mode",
		settings.standalone_now ? "standalone" : "rules", "mcast_snooping",
		settings.multicast_snooping, "flood_unregistered", settings.multicast_flood,
		"mcast_ageing_s", (json_int_t)settings.multicast_ageing_s);
}

static void
switch_list(struct rpc_call *call, json_t *params, void *user)
{
	struct agent *a = user;
	json_t *list = json_array();
	struct agent_switch *sw;

	(void)params;
	LIST_FOREACH (sw, link, &a->switches) {
		json_array_append_new(list, switch_json(sw));
	}
	rpc_call_reply(call, list);
}

/* --- ports -------------------------------------------------------------------------------------- */

static void
put_counters(json_t *object, json_t *entry)
{
	static const char *const keys[] = {"rx_packets", "rx_bytes", "rx_dropped", "rx_errors",
		"tx_packets", "tx_bytes", "tx_dropped", "tx_errors"};

	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(keys); i++) {
		json_t *value = json_object_get(entry, keys[i]);

		if (value) {
			json_object_set(object, keys[i], value);
		} else {
			json_object_set_new(object, keys[i], json_integer(0));
		}
	}
}

static void
put_settings(json_t *object, const struct config_port *c)
{
	json_t *settings = json_object();

	for (size_t i = 0; i < c->n_options; i++) {
		json_object_set_new(settings, c->options[i].key, json_string(c->options[i].value));
	}
	if (c->underlay) {
		json_object_set_new(settings, "underlay", json_string("yes"));
	}
	if (c->mcast_router) {
		json_object_set_new(settings, "mcast-router", json_string("yes"));
	}
	if (c->allow) {
		json_object_set_new(settings, "allow", json_string(c->allow));
	}
	json_object_set_new(object, "settings", settings);
}

static json_t *
of_port_json(struct of_port port)
{
	return port.v == OFPP_LOCAL ? json_string("LOCAL") : json_integer(port.v);
}

/* What the datapath tells of a bond's members, and of a BFD session. */
static void
put_details(json_t *object, const struct agent_port *p)
{
	static const char *const keys[] = {"active", "members", "bfd"};

	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(keys); i++) {
		json_t *value = json_object_get(p->entry, keys[i]);

		if (value) {
			json_object_set(object, keys[i], value);
		}
	}
}

static json_t *
port_json(const struct agent_port *p, bool with_settings)
{
	const struct of_port_info *shown = ofproto_port_find(p->sw->ofproto, p->of_port);
	const struct config_port *c = p->config;
	const struct agent_port *bond = agent_port_bond(p);
	const uint8_t *m = shown ? shown->mac : bond ? p->info.mac : NULL;
	char *trunks = c->has_trunks ? config_trunks_format(c->trunks) : NULL;
	bool is_up = shown ? !(shown->state & OF_PORT_LINK_DOWN) : bond && p->info.link_up;
	json_t *object;
	char mac[ETH_ADDR_TEXT_SIZE];

	object = json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:s, s:i, s:s, s:s, s:s}", "name",
		c->name, "switch", p->sw->config->name, "type", c->type, "of_port",
		bond ? json_null() : of_port_json(p->of_port), "dp_port",
		config_port_is_virtual(c) ? json_null() : json_integer(p->dp_port.v), "mac",
		m ? eth_addr_text(m, mac) : "", "admin",
		p->of_config & OF_PORT_DOWN ? "down" : "up", "link", is_up ? "up" : "down", "mtu",
		(int)p->info.mtu, "vlan_mode", config_vlan_mode_name(config_port_vlan_mode(c)),
		"peer",
		config_port_is_patch(c)    ? config_patch_peer(c)
		: config_port_is_tunnel(c) ? config_port_option(c, "remote")
		: p->state == PORT_ABSENT  ? "unknown"
					   : p->info.peer,
		"error",
		p->error                  ? p->error
		: p->state == PORT_ABSENT ? "no datapath"
					  : "");
	json_object_set_new(object, "tag", c->tag >= 0 ? json_integer(c->tag) : json_null());
	json_object_set_new(object, "trunks", trunks ? json_string(trunks) : json_null());
	put_counters(object, p->entry);
	json_object_set_new(object, "bond", bond ? json_string(bond->config->name) : json_null());
	if (with_settings) {
		put_details(object, p);
		put_settings(object, c);
	}
	free(trunks);
	return object;
}

static void
ports_listed(void *user)
{
	struct listing *l = user;
	const char *name = text_param(l->params, l->one ? "name" : "switch");
	json_t *list = json_array(), *one = NULL;
	struct agent_switch *sw;
	struct agent_port *p;

	LIST_FOREACH (sw, link, &l->agent->switches) {
		LIST_FOREACH (p, link, &sw->ports) {
			if (l->one && strcmp(p->config->name, name) == 0) {
				one = port_json(p, true);
			} else if (!l->one && (!name || strcmp(sw->config->name, name) == 0)) {
				json_array_append_new(list, port_json(p, false));
			}
		}
	}
	if (l->one && !one) {
		rpc_call_fail(l->call, RPC_FAILED, "there is no port %s: see weft port list", name);
		json_decref(list);
	} else if (l->one) {
		rpc_call_reply(l->call, one);
		json_decref(list);
	} else {
		rpc_call_reply(l->call, list);
	}
	json_decref(l->params);
	free(l);
}

static void
begin_listing(struct agent *a, struct rpc_call *call, json_t *params, bool one)
{
	struct listing *l = xcalloc(1, sizeof(*l));

	l->agent = a;
	l->call = call;
	l->params = json_incref(params);
	l->one = one;
	agent_ports_refresh(a, ports_listed, l);
}

static void
port_list(struct rpc_call *call, json_t *params, void *user)
{
	if (!text_param(params, "switch") || agent_rpc_switch(user, call, params, "switch")) {
		begin_listing(user, call, params, false);
	}
}

static void
port_show(struct rpc_call *call, json_t *params, void *user)
{
	if (!text_param(params, "name")) {
		rpc_call_fail(call, RPC_INVALID_PARAMS, "parameter name is missing");
		return;
	}
	begin_listing(user, call, params, true);
}

static void
switch_show(struct rpc_call *call, json_t *params, void *user)
{
	struct agent_switch *sw = agent_rpc_switch(user, call, params, "name");
	json_t *object, *ports;
	struct agent_port *p;

	if (!sw) {
		return;
	}
	object = switch_json(sw);
	ports = json_array();
	LIST_FOREACH (p, link, &sw->ports) {
		json_array_append_new(ports, port_json(p, false));
	}
	json_object_set_new(object, "ports", ports);
	json_object_set_new(object, "controllers", agent_rpc_controllers(sw, json_array()));
	rpc_call_reply(call, object);
}

/* --- the agent ---------------------------------------------------------------------------------- */

static json_t *
handler_stats(struct agent *a)
{
	struct handlers_counters c;

	handlers_get_counters(a->handlers, &c);
	return json_pack(
		"{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"threads", (int)handlers_count(a->handlers), "flows", (json_int_t)c.flows.n_flows,
		"flows_adopted", (json_int_t)c.flows.n_adopted, "upcalls",
		(json_int_t)c.flows.n_upcalls, "flows_installed", (json_int_t)c.flows.n_installed,
		"flows_revalidated", (json_int_t)c.flows.n_revalidated, "flows_changed",
		(json_int_t)c.flows.n_changed, "flows_deleted", (json_int_t)c.flows.n_deleted,
		"flows_idle", (json_int_t)c.flows.n_idle, "flows_evicted",
		(json_int_t)c.flows.n_evicted, "flows_refused", (json_int_t)c.flows.n_refused,
		"packet_ins", (json_int_t)c.n_packet_ins, "packet_ins_dropped",
		(json_int_t)c.n_packet_ins_dropped, "packet_outs", (json_int_t)c.n_packet_outs,
		"commands_refused", (json_int_t)c.n_failed, "bad_records",
		(json_int_t)c.n_bad_records, "wakeups", (json_int_t)c.n_wakeups);
}

static json_t *
service_stats(struct agent *a)
{
	const struct of_service_counters *c = of_service_counters(a->service);
	json_t *object = json_object();

#define X(MEMBER, NAME) json_object_set_new(object, #MEMBER, json_integer((json_int_t)c->MEMBER));
	OF_SERVICE_COUNTERS(X)
#undef X
	return object;
}

static json_t *
rpc_stats(struct agent *a)
{
	const struct rpc_counters *c = rpc_server_counters(a->rpc);

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "accepted", (json_int_t)c->accepted,
		"refused", (json_int_t)c->refused, "requests", (json_int_t)c->requests, "errors",
		(json_int_t)c->errors, "garbage", (json_int_t)c->garbage, "stalled",
		(json_int_t)c->stalled);
}

static void
agent_stats(struct rpc_call *call, json_t *params, void *user)
{
	struct agent *a = user;
	const struct dp_session *s = dp_client_session(a->client);
	char instance[24] = "";

	(void)params;
	if (s) {
		snprintf(instance, sizeof(instance), "%llu", (unsigned long long)s->instance);
	}
	rpc_call_reply(call,
		json_pack(
			"{s:{s:I, s:I, s:s, s:I, s:I, s:I}, s:{s:s, s:s, s:s, s:b}, s:o, s:o, s:o, s:o}",
			"agent", "uptime_ms", (json_int_t)(agent_now_ms() - a->started_ms),
			"version", (json_int_t)of_model_version(a->model), "config", a->config_path,
			"packet_ins_unknown", (json_int_t)a->n_unknown_packet_ins,
			"too_long_answered", (json_int_t)a->too_long.n_answered,
			"too_long_unanswered", (json_int_t)a->too_long.n_unanswered, "datapath",
			"session", s ? "open" : "none", "instance", instance, "problem",
			dp_client_problem(a->client), "rules_complete", a->is_released, "handlers",
			handler_stats(a), "openflow", service_stats(a), "rpc", rpc_stats(a),
			"underlay", agent_tunnels_stats(a)));
}

static void
log_set(struct rpc_call *call, json_t *params, void *user)
{
	struct weft_error err = WEFT_ERROR_INIT;
	const char *level;

	(void)user;
	if (!need_text(params, "level", &level, &err) || !log_set_level(level, &err)) {
		rpc_call_fail_error(call, &err);
		return;
	}
	rpc_call_reply(call, json_object());
}

static const struct rpc_method rows[] = {
	{"switch.add", switch_add},
	{"switch.del", switch_del},
	{"switch.set", switch_set},
	{"switch.list", switch_list},
	{"switch.show", switch_show},
	{"port.add", port_add},
	{"port.del", port_del},
	{"port.set", port_set},
	{"port.list", port_list},
	{"port.show", port_show},
	{"controller.add", controller_add},
	{"controller.del", controller_del},
	{"controller.set", controller_set},
	{"controller.list", agent_rpc_controller_list},
	{"flow.add", agent_rpc_flow_add},
	{"flow.mod", agent_rpc_flow_mod},
	{"flow.del", agent_rpc_flow_del},
	{"flow.list", agent_rpc_flow_list},
	{"group.add", agent_rpc_group_add},
	{"group.mod", agent_rpc_group_mod},
	{"group.del", agent_rpc_group_del},
	{"group.list", agent_rpc_group_list},
	{"meter.add", agent_rpc_meter_add},
	{"meter.mod", agent_rpc_meter_mod},
	{"meter.del", agent_rpc_meter_del},
	{"meter.list", agent_rpc_meter_list},
	{"table.list", agent_rpc_table_list},
	{"fdb.list", agent_rpc_fdb_list},
	{"tunnel.list", agent_rpc_tunnel_list},
	{"bfd.list", agent_rpc_bfd_list},
	{"tlv.add", agent_rpc_tlv_add},
	{"tlv.del", agent_rpc_tlv_del},
	{"tlv.list", agent_rpc_tlv_list},
	{"trace.run", agent_rpc_trace_run},
	{"mdb.list", agent_rpc_mdb_list},
	{"mirror.add", agent_rpc_mirror_add},
	{"mirror.del", agent_rpc_mirror_del},
	{"mirror.list", agent_rpc_mirror_list},
	{"agent.stats", agent_stats},
	{"log.set", log_set},
};

struct rpc_server *
agent_rpc_create(struct agent *a, struct weft_error *err)
{
	struct rpc_methods methods = {rows, WEFT_ARRAY_SIZE(rows), a};
	char *path = xasprintf("%s/agent.sock", a->rundir);
	struct rpc_server *s = rpc_server_create(a->base, path, a->group, &methods, err);

	free(path);
	return s;
}

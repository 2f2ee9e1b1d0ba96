/* SPDX-License-Identifier: Apache-2.0
 *
 * Ports in the datapath: made, adopted when the datapath kept them, removed, tried again.
 *
 * Session: when one begins, the datapath's ports are listed. A port that is wanted, with the number,
 *          type and options that were asked for, is adopted as it is; every other one is removed;
 *          what is missing is made.
 * Lifetime: a port that the datapath has been asked about is not destroyed before the answer.
 */
#include <stdlib.h>
#include <string.h>

#include "controller-agent/agent_internal.h"
#include "lib/alloc.h"
#include "lib/log.h"

WEFT_LOG_MODULE(port);

static void added(void *user, const struct dp_port_info *info, const struct weft_error *err);
static void removed(void *user, const struct dp_port_info *info, const struct weft_error *err);
static void was_set(void *user, const struct dp_port_info *info, const struct weft_error *err);
static void listed(void *user, const struct dp_port_info *info);
static void list_done(void *user, const struct dp_port_info *info, const struct weft_error *err);
static void check_synced(struct agent *a);
static void show_members(struct agent_switch *sw, const struct config_port *bond);
static void show(struct agent_port *p);

static struct config_port *
clone_port(const struct config_port *c)
{
	struct config_port *list[1] = {(struct config_port *)c};
	struct config_switch sw = {.ports = list, .n_ports = 1};
	struct config_switch *switches[1] = {&sw};
	struct config whole = {.switches = switches, .n_switches = 1};
	struct config *copy = config_clone(&whole);
	struct config_port *p = copy->switches[0]->ports[0];

	copy->switches[0]->n_ports = 0;
	config_destroy(copy);
	return p;
}

static void
free_port(struct config_port *c)
{
	struct config_switch sw = {.ports = &c, .n_ports = 1};

	if (c) {
		config_port_del(&sw, c);
	}
}

/* --- numbers ------------------------------------------------------------------------------------ */

/* Gives the port its numbers: those it had, those wanted, or new ones. */
static bool
choose_numbers(struct agent_port *p, struct weft_error *err)
{
	struct agent *a = p->agent;
	const struct state_port *known = state_port_find(a->state, p->config->name);
	struct state_port entry = {.of_port = 0};
	bool is_local = strcmp(p->config->name, p->sw->config->name) == 0 &&
			strcmp(p->config->type, "internal") == 0;

	if (known && strcmp(known->sw, p->sw->config->name) != 0) {
		state_forget_port(a->state, p->config->name, agent_boot_ms());
		known = NULL;
	}
	entry.dp_port = known ? known->dp_port : state_choose_dp_port(a->state, agent_boot_ms());
	entry.of_config = known ? known->of_config : 0;
	if (is_local) {
		entry.of_port = AGENT_OF_LOCAL;
	} else if (p->config->of_port) {
		entry.of_port = p->config->of_port;
	} else if (known && known->of_port != AGENT_OF_LOCAL) {
		entry.of_port = known->of_port;
	} else {
		entry.of_port = state_choose_of_port(a->state, p->sw->config->name);
	}
	if (entry.dp_port.v == UINT32_MAX || entry.of_port == 0) {
		return weft_error_set(err, WEFT_ERR_CONFLICT, ENOSPC,
			"port %s: no port number is free: delete a port first", p->config->name);
	}
	p->of_config = entry.of_config | (p->config->admin_down ? OF_PORT_DOWN : 0);
	p->dp_port = config_port_is_virtual(p->config) ? DP_PORT_NONE : entry.dp_port;
	p->of_port = is_local ? OF_PORT(OFPP_LOCAL) : OF_PORT(entry.of_port);
	snprintf(entry.name, sizeof(entry.name), "%s", p->config->name);
	snprintf(entry.sw, sizeof(entry.sw), "%s", p->sw->config->name);
	if (!known || known->of_port != entry.of_port || known->dp_port.v != entry.dp_port.v) {
		state_set_port(a->state, &entry);
	}
	return true;
}

/* A wanted number may have been given to another port automatically. */
static bool
check_number(struct agent_switch *sw, const struct config_port *config, struct weft_error *err)
{
	struct agent_port *p;

	LIST_FOREACH (p, link, &sw->ports) {
		if (config->of_port && p->of_port.v == config->of_port) {
			return weft_error_set(err, WEFT_ERR_CONFLICT, EEXIST,
				"of-port=%u is port %s's: choose another number", config->of_port,
				p->config->name);
		}
	}
	return true;
}

struct agent_port *
agent_port_create(struct agent_switch *sw, const struct config_port *config, struct weft_error *err)
{
	struct agent_port *p;

	if (!check_number(sw, config, err)) {
		return NULL;
	}
	p = xcalloc(1, sizeof(*p));
	p->agent = sw->agent;
	p->sw = sw;
	p->config = clone_port(config);
	if (!choose_numbers(p, err)) {
		free_port(p->config);
		free(p);
		return NULL;
	}
	list_push_back(&sw->ports, &p->link);
	show_members(sw, p->config);
	if (config_port_is_virtual(p->config)) {
		p->state = PORT_PRESENT;
		p->made_ms = agent_now_ms();
		show(p);
	}
	agent_patch_changed(p->agent, p->config);
	return p;
}

void
agent_port_destroy(struct agent_port *p, bool forget)
{
	agent_switch_hide_port(p);
	if (forget) {
		state_forget_port(p->agent->state, p->config->name, agent_boot_ms());
		agent_touch(p->agent);
	}
	list_remove(&p->link);
	show_members(p->sw, p->config);
	agent_patch_changed(p->agent, p->config);
	agent_port_free(p);
}

void
agent_port_free(struct agent_port *p)
{
	free_port(p->config);
	free_port(p->setting);
	json_decref(p->entry);
	free(p->error);
	free(p);
}

bool
config_port_is_virtual(const struct config_port *config)
{
	return config_port_is_patch(config);
}

bool
agent_port_is_busy(const struct agent_port *p)
{
	return p->state == PORT_ADDING || p->state == PORT_SETTING || p->state == PORT_DELETING;
}

/* --- what the datapath is told ------------------------------------------------------------------ */

/* Options as port.add takes them. Those of tunnels are the agent's own, but for BFD's. */
static json_t *
options_of(const struct config_port *c)
{
	json_t *options = json_object();

	for (size_t i = 0; i < c->n_options; i++) {
		if (config_option_is_datapaths(c, c->options[i].key)) {
			json_object_set_new(
				options, c->options[i].key, json_string(c->options[i].value));
		}
	}
	return options;
}

/* Those of @to that differ from @from; an option that was taken back is empty. */
static json_t *
changed_options(const struct config_port *from, const struct config_port *to)
{
	json_t *options = json_object();
	for (size_t i = 0; i < to->n_options; i++) {
		const char *key = to->options[i].key, *old = config_port_option(from, key);

		if (config_option_is_datapaths(to, key) &&
			(!old || strcmp(old, to->options[i].value) != 0)) {
			json_object_set_new(options, key, json_string(to->options[i].value));
		}
	}
	for (size_t i = 0; i < from->n_options; i++) {
		const char *key = from->options[i].key;

		if (config_option_is_datapaths(from, key) && !config_port_option(to, key)) {
			json_object_set_new(options, key, json_string(""));
		}
	}
	if (from->admin_down != to->admin_down) {
		json_object_set_new(options, "admin", json_string(to->admin_down ? "down" : "up"));
	}
	return options;
}

static void
set_error(struct agent_port *p, const struct weft_error *err)
{
	free(p->error);
	p->error = err ? xstrdup(err->text) : NULL;
}

static void
set_info(struct agent_port *p, const struct dp_port_info *info)
{
	if (info) {
		p->info = *info;
		p->info.options = NULL;
	}
}

/* Shows the port to ofproto/ and controllers; what can fail there was checked before. */
static void
show(struct agent_port *p)
{
	struct weft_error err = WEFT_ERROR_INIT;

	if (!agent_switch_show_port(p, &err)) {
		LOG_ERR("port %s: %s", p->config->name, err.text);
	}
}

void
agent_port_start_add(struct agent_port *p)
{
	json_t *options = options_of(p->config);
	bool again = config_port_find(p->agent->config, p->config->name, NULL);

	/* With the port, so that nothing comes in before. */
	if (p->of_config & OF_PORT_DOWN) {
		json_object_set_new(options, "admin", json_string("down"));
	}
	p->state = PORT_ADDING;
	dp_client_port_add(p->agent->client, p->dp_port, p->config->name, p->config->type, options,
		again, added, p);
}

static void
core_set(void *user, const struct dp_port_info *info, const struct weft_error *err)
{
	(void)user;
	(void)info;
	if (err) {
		LOG_WARN("administrative state of a port: %s", err->text);
	}
}

/* Administrative state is the datapath's own option, which every port has once it is made. */
static void
send_admin(struct agent_port *p)
{
	dp_client_port_set(p->agent->client, p->dp_port,
		json_pack("{s:s}", "admin", p->of_config & OF_PORT_DOWN ? "down" : "up"), core_set,
		NULL);
}

static void
added(void *user, const struct dp_port_info *info, const struct weft_error *err)
{
	struct agent_port *p = user;

	if (p->state != PORT_ADDING || p->agent->ending) {
		return; /* the session has ended meanwhile */
	}
	if (err) {
		/* One that is being added is reported to whoever adds it. */
		if (config_port_find(p->agent->config, p->config->name, NULL) &&
			(!p->error || strcmp(p->error, err->text) != 0)) {
			LOG_WARN("port %s: %s", p->config->name, err->text);
		}
		p->state = PORT_FAILED;
		p->retry_ms = agent_now_ms() + AGENT_PORT_RETRY_MS;
		set_error(p, err);
	} else {
		p->state = PORT_PRESENT;
		p->made_ms = agent_now_ms();
		set_error(p, NULL);
		set_info(p, info);
		show(p);
		if (info->admin_up == (bool)(p->of_config & OF_PORT_DOWN)) {
			send_admin(p); /* it has changed meanwhile */
		}
	}
	check_synced(p->agent);
	agent_apply_resume(p->agent);
}

void
agent_port_start_del(struct agent_port *p)
{
	p->state = PORT_DELETING;
	agent_switch_hide_port(p);
	dp_client_port_del(p->agent->client, p->dp_port, removed, p);
}

static void
removed(void *user, const struct dp_port_info *info, const struct weft_error *err)
{
	struct agent_port *p = user;

	(void)info;
	if (p->state != PORT_DELETING || p->agent->ending) {
		return;
	}
	if (err) { /* it is not there, then; or the next session removes it */
		LOG_WARN("port %s: %s", p->config->name, err->text);
	}
	p->state = PORT_ABSENT;
	check_synced(p->agent);
	agent_apply_resume(p->agent);
}

static void
set_down(struct agent_port *p, bool down)
{
	p->of_config = (p->of_config & ~(uint32_t)OF_PORT_DOWN) | (down ? OF_PORT_DOWN : 0);
}

void
agent_port_store_config(struct agent_port *p)
{
	const struct state_port *known = state_port_find(p->agent->state, p->config->name);
	uint32_t configured = p->config->admin_down ? OF_PORT_DOWN : 0;
	struct state_port entry;

	if (known && known->of_config != (p->of_config & ~configured)) {
		entry = *known;
		entry.of_config = p->of_config & ~configured;
		state_set_port(p->agent->state, &entry);
		agent_touch(p->agent);
	}
}

static void
show_admin(struct agent_port *p, bool down)
{
	set_down(p, down);
	if (ofproto_port_find(p->sw->ofproto, p->of_port)) {
		show(p);
	}
}

/* What was being set is so now. */
static void
take_setting(struct agent_port *p)
{
	struct config_port *old;

	if (p->setting->admin_down != p->config->admin_down) {
		set_down(p, p->setting->admin_down);
	}
	old = p->config;
	p->config = p->setting;
	p->setting = NULL;
	agent_port_store_config(p);
	show_members(p->sw, old);
	show_members(p->sw, p->config);
	if (ofproto_port_find(p->sw->ofproto, p->of_port)) {
		show(p);
	}
	agent_patch_changed(p->agent, old);
	agent_patch_changed(p->agent, p->config);
	free_port(old);
}

void
agent_port_start_set(struct agent_port *p, const struct config_port *config)
{
	json_t *options = changed_options(p->config, config);

	free_port(p->setting);
	p->setting = clone_port(config);
	set_error(p, NULL);
	if (json_object_size(options) == 0 || p->state != PORT_PRESENT ||
		config_port_is_virtual(config)) {
		json_decref(options);
		take_setting(p);
		p->retry_ms = 0;
		return;
	}
	if (p->config->admin_down && !config->admin_down) {
		/* Here first: what comes in once the datapath has it up is to be forwarded. */
		show_admin(p, false);
	}
	p->state = PORT_SETTING;
	dp_client_port_set(p->agent->client, p->dp_port, options, was_set, p);
}

static void
was_set(void *user, const struct dp_port_info *info, const struct weft_error *err)
{
	struct agent_port *p = user;

	if (p->state != PORT_SETTING || p->agent->ending) {
		return;
	}
	p->state = PORT_PRESENT;
	if (err) {
		set_error(p, err);
		if (p->config->admin_down && !p->setting->admin_down) {
			show_admin(p, true);
		}
		free_port(p->setting);
		p->setting = NULL;
	} else {
		set_info(p, info);
		take_setting(p);
	}
	agent_apply_resume(p->agent);
}

/* --- bonds -------------------------------------------------------------------------------------- */

const struct agent_port *
agent_port_bond(const struct agent_port *p)
{
	const struct agent_port *bond;

	LIST_FOREACH (bond, link, &p->sw->ports) {
		if (config_bond_has(bond->config, p->config->name)) {
			return bond;
		}
	}
	return NULL;
}

/* The bond has come, gone or changed: its members are hidden, or seen again. */
static void
show_members(struct agent_switch *sw, const struct config_port *bond)
{
	struct agent_port *p;

	LIST_FOREACH (p, link, &sw->ports) {
		if (config_bond_has(bond, p->config->name) &&
			(p->state == PORT_PRESENT || p->state == PORT_SETTING ||
				ofproto_port_find(sw->ofproto, p->of_port))) {
			show(p);
		}
	}
}

/* --- sessions ----------------------------------------------------------------------------------- */

void
agent_ports_session_up(struct agent *a)
{
	a->ports_are_synced = false;
	dp_client_port_list(a->client, listed, list_done, a);
}

/* Whether the datapath's options are those that would be asked for. */
static bool
has_same_options(const struct agent_port *p, const struct dp_port_info *info)
{
	json_t *wanted = options_of(p->config), *had, *value;
	const char *key;
	bool same;
	void *next;

	had = info->options ? json_deep_copy(info->options) : json_object();
	json_object_del(had, "admin");
	json_object_foreach_safe (had, next, key, value) { /* taken back */
		if (json_is_string(value) && json_string_length(value) == 0) {
			json_object_del(had, key);
		}
	}
	same = json_equal(wanted, had);
	json_decref(wanted);
	json_decref(had);
	return same;
}

static void
store_number(struct agent_port *p)
{
	const struct state_port *known = state_port_find(p->agent->state, p->config->name);
	struct state_port entry;

	if (known) {
		entry = *known;
		entry.dp_port = p->dp_port;
		state_set_port(p->agent->state, &entry);
		agent_touch(p->agent);
	}
}

static void
stray_removed(void *user, const struct dp_port_info *info, const struct weft_error *err)
{
	struct agent *a = user;

	(void)info;
	if (err && !a->ending) {
		LOG_WARN("a port that nobody wants: %s", err->text);
	}
}

/* As the datapath has it, also under a number that the state has lost. */
static void
adopt(struct agent_port *p, const struct dp_port_info *info)
{
	if (p->dp_port.v != info->port.v) {
		p->dp_port = info->port;
		store_number(p);
	}
	p->state = PORT_PRESENT;
	p->made_ms = agent_now_ms();
	set_error(p, NULL);
	set_info(p, info);
	show(p);
	if (info->admin_up == (bool)(p->of_config & OF_PORT_DOWN)) {
		send_admin(p);
	}
	LOG_INFO("port %s: adopted as the datapath has it", p->config->name);
}

static void
listed(void *user, const struct dp_port_info *info)
{
	struct agent *a = user;
	struct agent_port *p = agent_port_find(a, info->name);

	if (p && strcmp(p->config->type, info->type) == 0 && has_same_options(p, info) &&
		p->state == PORT_ABSENT) {
		adopt(p, info);
		return;
	}
	LOG_INFO("port %s: the datapath has it, but not as it is wanted: removed", info->name);
	dp_client_port_del(a->client, info->port, stray_removed, a);
}

/* Before a port is made: its number may be one under which another was adopted. */
static void
settle_number(struct agent_port *p)
{
	struct agent_switch *sw;
	struct agent_port *other;

	LIST_FOREACH (sw, link, &p->agent->switches) {
		LIST_FOREACH (other, link, &sw->ports) {
			if (other != p && other->dp_port.v == p->dp_port.v) {
				p->dp_port = state_choose_dp_port(p->agent->state, agent_boot_ms());
				store_number(p);
				return;
			}
		}
	}
}

static void
list_done(void *user, const struct dp_port_info *info, const struct weft_error *err)
{
	struct agent *a = user;
	struct agent_switch *sw;
	struct agent_port *p;

	(void)info;
	if (a->ending || !dp_client_session(a->client)) {
		return;
	}
	if (err) {
		LOG_ERR("the datapath does not list its ports: %s", err->text);
	}
	/* Asked in order, so that what is removed is gone before its name is made anew. */
	LIST_FOREACH (sw, link, &a->switches) {
		LIST_FOREACH (p, link, &sw->ports) {
			if (p->state == PORT_ABSENT || p->state == PORT_FAILED) {
				settle_number(p);
				agent_port_start_add(p);
			}
		}
	}
	a->ports_are_synced = true;
	check_synced(a);
	agent_apply_resume(a);
}

static void
check_synced(struct agent *a)
{
	if (a->ports_are_synced) {
		agent_check_takeover(a);
	}
}

void
agent_ports_session_down(struct agent *a)
{
	struct agent_switch *sw;
	struct agent_port *p;

	a->ports_are_synced = false;
	LIST_FOREACH (sw, link, &a->switches) {
		LIST_FOREACH (p, link, &sw->ports) {
			bool was_there = p->state == PORT_PRESENT || p->state == PORT_SETTING;

			if (config_port_is_virtual(p->config)) {
				continue;
			}
			free_port(p->setting);
			p->setting = NULL;
			p->state = PORT_ABSENT;
			p->info.link_up = false;
			if (was_there && !a->ending) {
				show(p);
			}
		}
	}
	agent_apply_resume(a);
}

void
agent_ports_tick(struct agent *a)
{
	struct agent_switch *sw;
	struct agent_port *p;

	if (!dp_client_session(a->client) || !a->ports_are_synced || !list_is_empty(&a->changes)) {
		return;
	}
	LIST_FOREACH (sw, link, &a->switches) {
		LIST_FOREACH (p, link, &sw->ports) {
			if (p->state == PORT_FAILED && agent_now_ms() >= p->retry_ms) {
				agent_port_start_add(p);
			}
		}
	}
}

void
agent_port_changed(struct agent *a, const struct dp_port_info *info)
{
	struct agent_port *p = agent_port_by_dp(a, info->port);

	if (p && p->state == PORT_PRESENT) {
		set_info(p, info);
		show(p);
	}
}

/* --- counters ----------------------------------------------------------------------------------- */

struct refresh {
	struct agent *agent;
	void (*done)(void *user);
	void *user;
};

/* Of ports that the datapath does not have, and tunnels: what flows have carried is credited. */
static void
pulled(void *user)
{
	struct refresh *r = user;
	struct agent_switch *sw;
	struct agent_port *p;

	LIST_FOREACH (sw, link, &r->agent->switches) {
		LIST_FOREACH (p, link, &sw->ports) {
			if (config_port_is_virtual(p->config)) {
				json_decref(p->entry);
				p->entry = agent_patch_counters(p);
			} else if (config_port_is_tunnel(p->config)) {
				agent_tunnel_count(p);
			}
		}
	}
	r->done(r->user);
	free(r);
}

static bool
counts_by_flows(const struct agent *a)
{
	struct agent_switch *sw;
	struct agent_port *p;

	LIST_FOREACH (sw, link, &a->switches) {
		LIST_FOREACH (p, link, &sw->ports) {
			if (config_port_is_virtual(p->config) || config_port_is_tunnel(p->config)) {
				return true;
			}
		}
	}
	return false;
}

static void
refreshed(void *user, json_t *result, const struct weft_error *err)
{
	struct refresh *r = user;
	json_t *entry, *port;
	size_t i;

	(void)err;
	json_array_foreach (result, i, entry) {
		struct agent_port *p = NULL;

		port = json_object_get(entry, "port");
		if (json_is_integer(port)) {
			p = agent_port_by_dp(
				r->agent, (struct dp_port){(uint32_t)json_integer_value(port)});
		}
		if (p) {
			json_decref(p->entry);
			p->entry = json_incref(entry);
		}
	}
	if (counts_by_flows(r->agent)) {
		handlers_pull(r->agent->handlers, pulled, r);
	} else {
		pulled(r);
	}
}

void
agent_ports_refresh(struct agent *a, void (*done)(void *user), void *user)
{
	struct refresh *r = xcalloc(1, sizeof(*r));

	r->agent = a;
	r->done = done;
	r->user = user;
	dp_client_call(a->client, "port.list", NULL, refreshed, r);
}

/* --- comparing ---------------------------------------------------------------------------------- */

static bool
same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool
config_port_equal(const struct config_port *a, const struct config_port *b)
{
	bool same = same_text(a->type, b->type) && a->tag == b->tag &&
		    a->has_trunks == b->has_trunks && a->vlan_mode == b->vlan_mode &&
		    a->admin_down == b->admin_down && a->underlay == b->underlay &&
		    a->mcast_router == b->mcast_router && same_text(a->allow, b->allow) &&
		    a->n_options == b->n_options &&
		    memcmp(a->trunks, b->trunks, sizeof(a->trunks)) == 0;

	for (size_t i = 0; same && i < a->n_options; i++) {
		same = strcmp(a->options[i].key, b->options[i].key) == 0 &&
		       strcmp(a->options[i].value, b->options[i].value) == 0;
	}
	return same;
}

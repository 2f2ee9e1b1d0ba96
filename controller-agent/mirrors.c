/* SPDX-License-Identifier: Apache-2.0
 *
 * Mirrors: from configuration to ofproto/, and their part of agent.sock (docs/rpc.md).
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller-agent/agent_internal.h"
#include "controller-agent/config_mirror.h"
#include "lib/alloc.h"
#include "lib/jsonrpc.h"
#include "ofproto/of_mirror.h"
#include "ofproto/of_text.h"

/* A change that somebody waits for. */
struct request {
	struct rpc_call *call;
	json_t *params;
	bool (*edit)(json_t *params, struct config *c, struct weft_error *err);
};

struct listing {
	struct agent *agent;
	struct rpc_call *call;
	json_t *params;
};

/* --- applying ----------------------------------------------------------------------------------- */

static struct of_port *
resolve(const struct agent_switch *sw, const char *names, size_t *n)
{
	struct of_port *list = NULL;
	char name[CONFIG_NAME_MAX + 1];

	*n = 0;
	while (names) {
		const struct agent_port *p;

		names = config_mirror_next_port(names, name);
		p = agent_port_find(sw->agent, name);
		if (p && p->sw == sw) {
			list = xrealloc(list, (*n + 1) * sizeof(*list));
			list[(*n)++] = p->of_port;
		}
	}
	return list;
}

void
agent_mirrors_update(struct agent_switch *sw, const struct config_switch *config)
{
	struct of_mirror *list = xcalloc(config->n_mirrors + 1, sizeof(*list));
	struct of_match *filters = xcalloc(config->n_mirrors + 1, sizeof(*filters));

	for (size_t i = 0; i < config->n_mirrors; i++) {
		const struct config_mirror *m = config->mirrors[i];
		size_t n_outputs;
		struct of_port *output = resolve(sw, m->output_port, &n_outputs);

		list[i] = (struct of_mirror){
			.name = m->name,
			.select_all = m->select_all,
			.vlans = m->has_vlans ? m->vlans : NULL,
			.output_port = n_outputs ? output[0] : OF_PORT_NONE,
			.output_vlan = m->output_vlan,
			.max_len = m->snap_len,
		};
		free(output);
		list[i].src = resolve(sw, m->src_ports, &list[i].n_src);
		list[i].dst = resolve(sw, m->dst_ports, &list[i].n_dst);
		if (m->filter) {
			bool ok = of_text_parse_match(
				m->filter, strlen(m->filter), NULL, &filters[i], NULL);

			assert(ok); /* it was looked at when it was set */
			(void)ok;
			list[i].filter = &filters[i];
		}
	}
	ofproto_set_mirrors(sw->ofproto, list, config->n_mirrors);
	for (size_t i = 0; i < config->n_mirrors; i++) {
		free((void *)list[i].src);
		free((void *)list[i].dst);
	}
	free(list);
	free(filters);
	config_mirrors_free(sw->config);
	config_mirrors_copy(sw->config, config);
	agent_touch(sw->agent);
}

/* --- changes ------------------------------------------------------------------------------------ */

static bool
run_edit(void *user, struct config *wanted, struct weft_error *err)
{
	struct request *r = user;

	return r->edit(r->params, wanted, err);
}

static void
change_done(void *user, const struct weft_error *err)
{
	struct request *r = user;

	if (err) {
		rpc_call_fail_error(r->call, err);
	} else {
		rpc_call_reply(r->call, json_object());
	}
	json_decref(r->params);
	free(r);
}

static void
begin_change(struct rpc_call *call, json_t *params, void *user,
	bool (*edit)(json_t *params, struct config *c, struct weft_error *err))
{
	struct request *r;

	if (!call) {
		return; /* a notification: nobody could hear of a failure */
	}
	r = xcalloc(1, sizeof(*r));
	r->call = call;
	r->params = json_incref(params);
	r->edit = edit;
	agent_apply(user, run_edit, change_done, r);
}

static const char *
text_param(json_t *params, const char *key, struct weft_error *err)
{
	const char *text = json_string_value(json_object_get(params, key));

	if (!text) {
		weft_error_set(
			err, WEFT_ERR_RPC, RPC_INVALID_PARAMS, "parameter %s is missing", key);
	}
	return text;
}

static struct config_switch *
find_switch(struct config *c, json_t *params, struct weft_error *err)
{
	const char *name = text_param(params, "switch", err);
	struct config_switch *sw = name ? config_switch_find(c, name) : NULL;

	if (name && !sw) {
		weft_error_set(err, WEFT_ERR_CONFLICT, ENOENT,
			"there is no switch %s: see weft switch list", name);
	}
	return sw;
}

static bool
edit_add(json_t *params, struct config *c, struct weft_error *err)
{
	struct config_switch *sw = find_switch(c, params, err);
	const char *name = sw ? text_param(params, "name", err) : NULL, *key;
	struct config_mirror *m = name ? config_mirror_add(sw, name, err) : NULL;
	json_t *value;

	if (!m) {
		return false;
	}
	json_object_foreach (json_object_get(params, "settings"), key, value) {
		if (!json_is_string(value)) {
			return weft_error_set(err, WEFT_ERR_RPC, RPC_INVALID_PARAMS,
				"setting %s is not a text", key);
		}
		if (!config_mirror_set(m, key, json_string_value(value), err)) {
			return false;
		}
	}
	return config_mirrors_check(sw, err);
}

static bool
edit_del(json_t *params, struct config *c, struct weft_error *err)
{
	struct config_switch *sw = find_switch(c, params, err);
	const char *name = sw ? text_param(params, "name", err) : NULL;
	struct config_mirror *m = name ? config_mirror_find(sw, name) : NULL;

	if (name && !m) {
		return weft_error_set(err, WEFT_ERR_CONFLICT, ENOENT,
			"switch %s has no mirror %s: see weft mirror list", sw->name, name);
	}
	if (m) {
		config_mirror_del(sw, m);
	}
	return m != NULL;
}

void
agent_rpc_mirror_add(struct rpc_call *call, json_t *params, void *user)
{
	begin_change(call, params, user, edit_add);
}

void
agent_rpc_mirror_del(struct rpc_call *call, json_t *params, void *user)
{
	begin_change(call, params, user, edit_del);
}

/* --- listing ------------------------------------------------------------------------------------ */

static void
put_text(void *user, const char *key, const char *value)
{
	json_object_set_new(user, key, json_string(value));
}

/* "a,b" of a list, for people. */
static json_t *
selection_json(const struct config_mirror *m)
{
	static const char *const keys[] = {
		"select-all", "select-src-port", "select-dst-port", "select-vlan", "filter"};
	json_t *settings = json_object(), *joined;
	char *text = NULL, *old;

	config_mirror_each(m, put_text, settings);
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(keys); i++) {
		const char *value = json_string_value(json_object_get(settings, keys[i]));

		if (value) {
			old = text;
			text = xasprintf(
				"%s%s%s=%s", old ? old : "", old ? " " : "", keys[i], value);
			free(old);
		}
	}
	joined = json_string(text ? text : "");
	free(text);
	json_decref(settings);
	return joined;
}

static json_t *
mirror_json(const struct agent_switch *sw, const struct config_mirror *m)
{
	struct of_mirror_traffic traffic = {0};
	json_t *settings = json_object();
	char vlan[24];

	ofproto_mirror_traffic(sw->ofproto, m->name, &traffic);
	config_mirror_each(m, put_text, settings);
	snprintf(vlan, sizeof(vlan), "VLAN %u", m->output_vlan);
	return json_pack("{s:s, s:s, s:o, s:s, s:I, s:I, s:o}", "switch", sw->config->name, "name",
		m->name, "selects", selection_json(m), "output",
		m->output_port ? m->output_port : vlan, "packets", (json_int_t)traffic.packets,
		"bytes", (json_int_t)traffic.bytes, "settings", settings);
}

/* Counters are fresh. */
static void
answer(void *user)
{
	struct listing *l = user;
	const char *name = json_string_value(json_object_get(l->params, "switch"));
	json_t *list = json_array();
	struct agent_switch *sw;

	LIST_FOREACH (sw, link, &l->agent->switches) {
		for (size_t i = 0; i < sw->config->n_mirrors; i++) {
			if (!name || strcmp(sw->config->name, name) == 0) {
				json_array_append_new(
					list, mirror_json(sw, sw->config->mirrors[i]));
			}
		}
	}
	rpc_call_reply(l->call, list);
	json_decref(l->params);
	free(l);
}

void
agent_rpc_mirror_list(struct rpc_call *call, json_t *params, void *user)
{
	struct agent *a = user;
	struct listing *l;

	if (json_object_get(params, "switch") && !agent_rpc_switch(a, call, params, "switch")) {
		return;
	}
	l = xcalloc(1, sizeof(*l));
	l->agent = a;
	l->call = call;
	l->params = json_incref(params);
	handlers_pull(a->handlers, answer, l);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * agent.sock: rules, tables, learned addresses. Texts are ovs-ofctl's (ofproto/of_text.h).
 *
 * Slices:  long lists of flows, in and out, are worked off a millisecond at a time.
 * Bundles: one transaction is open at a time; while it is, other changes of rules wait their turn.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "controller-agent/agent_internal.h"
#include "controller-agent/underlay_netlink.h"
#include "lib/alloc.h"
#include "lib/eth_addr.h"
#include "lib/jsonrpc.h"
#include "lib/strbuf.h"
#include "ofproto/fdb.h"
#include "ofproto/of_text.h"
#include "ofproto/of_tunnel.h"

#define RETRY_MS 5
#define FINISH_STEPS 256
#define RULES_A_STEP 64

/* Flow-mods of one call, or a listing. */
struct job {
	struct list link;
	struct agent *agent;
	struct rpc_call *call;
	json_t *params;
	json_t *flows; /* NULL: none */
	char *sw;      /* its name: the switch may go while the job waits */
	struct event *next;
	enum of_flow_command command;
	bool bundle;
	struct of_txn *txn;
	bool is_published; /* @txn, or that it was */
	size_t at;
	size_t n_before;
	json_t *result;
	struct of_flow_query query;
	struct of_flow_cursor *cursor;
	struct of_text_names names;
};

static void run_mods(int fd, short what, void *arg);
static void run_listing(int fd, short what, void *arg);
static void listing_fresh(void *arg);

/* --- jobs --------------------------------------------------------------------------------------- */

static struct job *
make_job(struct agent *a, struct rpc_call *call, json_t *params, event_callback_fn run)
{
	struct agent_switch *sw = agent_rpc_switch(a, call, params, "switch");
	json_t *texts;
	struct job *j;

	if (!sw || !agent_rpc_texts(call, params, "flows", &texts)) {
		return NULL;
	}
	j = xcalloc(1, sizeof(*j));
	j->agent = a;
	j->call = call;
	j->params = json_incref(params);
	j->flows = json_incref(texts);
	j->sw = xstrdup(sw->config->name);
	j->next = evtimer_new(a->base, run, j);
	list_push_back(&a->jobs, &j->link);
	return j;
}

static void
free_job(struct job *j)
{
	if (j->txn && j->is_published) {
		while (of_txn_finish(j->txn, agent_now_ms(), UINT_MAX)) {
		}
	} else if (j->txn) {
		of_txn_abort(j->txn);
	}
	if (j->cursor) {
		ofproto_query_end(j->cursor);
	}
	list_remove(&j->link);
	event_free(j->next);
	json_decref(j->params);
	json_decref(j->flows);
	json_decref(j->result);
	free(j->sw);
	free(j);
}

void
agent_rpc_flow_destroy(struct agent *a)
{
	while (!list_is_empty(&a->jobs)) {
		struct job *j = LIST_ENTRY(a->jobs.next, struct job, link);

		rpc_call_fail(j->call, RPC_FAILED, "the agent ends");
		free_job(j);
	}
}

static void
again(struct job *j, unsigned ms)
{
	struct timeval delay = {0, (suseconds_t)ms * 1000};

	evtimer_add(j->next, &delay);
}

static struct ofproto *
switch_of(struct job *j)
{
	struct agent_switch *sw = agent_switch_find(j->agent, j->sw);

	if (sw) {
		j->names = of_text_names_of(sw->ofproto);
	}
	return sw ? sw->ofproto : NULL;
}

static void
fail_job(struct job *j, const struct weft_error *err)
{
	rpc_call_fail(j->call, RPC_FAILED, "%s", err->text);
	free_job(j);
}

/* --- changing rules ----------------------------------------------------------------------------- */

static void
begin_mods(struct agent *a, struct rpc_call *call, json_t *params, enum of_flow_command command)
{
	struct job *j;

	if (!call) {
		return;
	}
	j = make_job(a, call, params, run_mods);
	if (!j) {
		return;
	}
	j->command = command;
	j->bundle = json_is_true(json_object_get(params, "bundle"));
	j->n_before = ofproto_n_rules(switch_of(j));
	again(j, 0);
}

void
agent_rpc_flow_add(struct rpc_call *call, json_t *params, void *user)
{
	begin_mods(user, call, params, OF_FLOW_ADD);
}

void
agent_rpc_flow_mod(struct rpc_call *call, json_t *params, void *user)
{
	bool strict = json_is_true(json_object_get(params, "strict"));

	begin_mods(user, call, params, strict ? OF_FLOW_MODIFY_STRICT : OF_FLOW_MODIFY);
}

void
agent_rpc_flow_del(struct rpc_call *call, json_t *params, void *user)
{
	bool strict = json_is_true(json_object_get(params, "strict"));

	begin_mods(user, call, params, strict ? OF_FLOW_DELETE_STRICT : OF_FLOW_DELETE);
}

/* Executes one text. */
static bool
run_mod(struct job *j, struct ofproto *p, const char *text, struct weft_error *err)
{
	bool from_file = json_is_true(json_object_get(j->params, "file"));
	struct of_flow_mod fm;
	bool ok;

	of_flow_mod_init(&fm);
	fm.command = j->command;
	ok = of_text_parse_flow(text, strlen(text), from_file, &j->names, &fm, err);
	ok = ok && (j->txn ? of_txn_flow_mod(j->txn, p, &fm, agent_now_ms(), err)
			   : ofproto_flow_mod(p, &fm, agent_now_ms(), err));
	of_flow_mod_uninit(&fm);
	return ok;
}

static void
mods_in_force(void *arg)
{
	struct job *j = arg;
	struct ofproto *p = switch_of(j);
	size_t n = j->at;

	if (j->command == OF_FLOW_DELETE || j->command == OF_FLOW_DELETE_STRICT) {
		size_t now = p ? ofproto_n_rules(p) : 0;

		n = j->n_before > now ? j->n_before - now : 0;
	}
	rpc_call_reply(j->call, json_pack("{s:I}", "count", (json_int_t)n));
	free_job(j);
}

/* False: the job has ended, or waits. */
static bool
run_next_mod(struct job *j, struct ofproto *p, json_t *flows)
{
	struct weft_error err = WEFT_ERROR_INIT;
	const char *text = "";

	if (json_array_size(flows)) {
		text = json_string_value(json_array_get(flows, j->at));
	}
	if (!text || !run_mod(j, p, text, &err)) {
		if (!text) {
			weft_error_set(
				&err, WEFT_ERR_RPC, RPC_INVALID_PARAMS, "a flow is not a text");
		}
		if (json_array_size(flows) > 1) {
			weft_error_prefix(&err, "flow %zu", j->at + 1);
		}
		agent_touch(j->agent);
		fail_job(j, &err);
		return false;
	}
	j->at++;
	return true;
}

/* What comes first was done without us: all anew, unless it is in force. */
static void
lost_txn(void *arg)
{
	struct job *j = arg;

	j->txn = NULL;
	if (!j->is_published) {
		j->at = 0;
	}
}

/* True: all is done. */
static bool
finish_txn(struct job *j, uint64_t until)
{
	if (!j->is_published) {
		of_txn_publish(j->txn);
		j->is_published = true;
	}
	while (j->txn && of_txn_finish(j->txn, agent_now_ms(), FINISH_STEPS)) {
		if (agent_now_ns() > until) {
			return false;
		}
	}
	j->txn = NULL;
	return true;
}

static void
run_mods(int fd, short what, void *arg)
{
	struct job *j = arg;
	struct ofproto *p = switch_of(j);
	json_t *flows = j->flows;
	uint64_t until = agent_now_ns() + AGENT_SLICE_NS;
	size_t n = json_array_size(flows);

	(void)fd;
	(void)what;
	if (!p && !j->is_published) {
		struct weft_error err = WEFT_ERROR_INIT;

		weft_error_set(
			&err, WEFT_ERR_CONFLICT, ENOENT, "switch %s has been deleted", j->sw);
		fail_job(j, &err);
		return;
	}
	if (!j->txn && !j->is_published && of_model_in_txn(j->agent->model)) {
		again(j, RETRY_MS);
		return;
	}
	if (j->bundle && !j->txn && !j->is_published) {
		j->txn = of_txn_begin(j->agent->model, lost_txn, j);
	}
	if (!n && !json_is_true(json_object_get(j->params, "file"))) {
		n = 1; /* an empty text: all, of a deletion */
	}
	while (j->at < n) {
		if (agent_now_ns() > until) {
			again(j, 0);
			agent_touch(j->agent);
			return;
		}
		if (!run_next_mod(j, p, flows)) {
			return;
		}
	}
	if (j->txn && !finish_txn(j, until)) {
		again(j, 0);
		agent_touch(j->agent);
		return;
	}
	agent_touch(j->agent);
	handlers_barrier(j->agent->handlers, mods_in_force, j);
}

/* --- listing rules ------------------------------------------------------------------------------ */

void
agent_rpc_flow_list(struct rpc_call *call, json_t *params, void *user)
{
	const char *text = json_string_value(json_object_get(params, "flow"));
	struct weft_error err = WEFT_ERROR_INIT;
	struct job *j = make_job(user, call, params, run_listing);

	if (!j) {
		return;
	}
	switch_of(j);
	text = text ? text : "";
	if (!of_text_parse_query(text, strlen(text), &j->names, &j->query, &err)) {
		fail_job(j, &err);
		return;
	}
	j->result = json_array();
	handlers_pull(j->agent->handlers, listing_fresh, j);
}

static void
listing_fresh(void *arg)
{
	struct job *j = arg;
	struct ofproto *p = switch_of(j);

	if (p) {
		j->cursor = ofproto_query_begin(p, &j->query);
	}
	again(j, 0);
}

static bool
list_rule(const struct of_flow_view *f, void *user)
{
	struct job *j = user;
	struct strbuf text = STRBUF_INIT, match = STRBUF_INIT, actions = STRBUF_INIT;
	char cookie[24];

	of_text_format_flow(f, &j->names, &text);
	of_text_format_match(&f->match, OF_DEFAULT_PRIORITY, &j->names, &match);
	of_text_format_actions(f->actions, f->actions_size, &j->names, &actions);
	snprintf(cookie, sizeof(cookie), "0x%llx", (unsigned long long)f->cookie);
	json_array_append_new(j->result,
		json_pack("{s:i, s:i, s:s, s:I, s:I, s:f, s:i, s:i, s:s, s:s, s:s}", "table",
			(int)f->table, "priority", (int)f->priority, "cookie", cookie, "packets",
			(json_int_t)f->packets, "bytes", (json_int_t)f->bytes, "duration_s",
			(double)(f->now_ms - f->created_ms) / 1000, "idle_timeout",
			(int)f->idle_timeout, "hard_timeout", (int)f->hard_timeout, "match",
			strbuf_text(&match), "actions", strbuf_text(&actions), "text",
			strbuf_text(&text)));
	strbuf_uninit(&text);
	strbuf_uninit(&match);
	strbuf_uninit(&actions);
	return true;
}

static void
run_listing(int fd, short what, void *arg)
{
	struct job *j = arg;
	uint64_t until = agent_now_ns() + AGENT_SLICE_NS;
	struct ofproto *p = switch_of(j);

	(void)fd;
	(void)what;
	while (j->cursor && p) {
		if (agent_now_ns() > until) {
			again(j, 0);
			return;
		}
		if (!ofproto_query_step(j->cursor, RULES_A_STEP, agent_now_ms(), list_rule, j)) {
			ofproto_query_end(j->cursor);
			j->cursor = NULL;
		}
	}
	rpc_call_reply(j->call, json_incref(j->result));
	free_job(j);
}

/* --- tables and addresses ----------------------------------------------------------------------- */

/* Calls @list for the switch that is named, or for all. */
static void
each_switch(struct rpc_call *call, json_t *params, struct agent *a,
	void (*list)(struct agent_switch *sw, json_t *result))
{
	bool one = json_object_get(params, "switch") != NULL;
	json_t *result;
	struct agent_switch *sw;

	if (one) {
		sw = agent_rpc_switch(a, call, params, "switch");
		if (!sw) {
			return;
		}
		result = json_array();
		list(sw, result);
	} else {
		result = json_array();
		LIST_FOREACH (sw, link, &a->switches) {
			list(sw, result);
		}
	}
	rpc_call_reply(call, result);
}

static void
list_tables(struct agent_switch *sw, json_t *result)
{
	for (unsigned table = 0; table < OF_N_TABLES; table++) {
		struct of_table_stats s;

		ofproto_table_stats(sw->ofproto, (uint8_t)table, &s);
		if (s.n_active || s.n_lookups) {
			json_array_append_new(result,
				json_pack("{s:s, s:i, s:I, s:I, s:I, s:I}", "switch",
					sw->config->name, "table", (int)table, "active",
					(json_int_t)s.n_active, "lookups", (json_int_t)s.n_lookups,
					"matched", (json_int_t)s.n_matched, "missed",
					(json_int_t)(s.n_lookups - s.n_matched)));
		}
	}
}

void
agent_rpc_table_list(struct rpc_call *call, json_t *params, void *user)
{
	each_switch(call, params, user, list_tables);
}

struct fdb_visit {
	struct agent_switch *sw;
	json_int_t ageing_s;
	json_t *result;
};

static void
list_address(const struct fdb_entry_view *e, void *user)
{
	struct fdb_visit *v = user;
	const struct of_port_info *port = ofproto_port_find(v->sw->ofproto, e->place.port);
	char remote[UNDERLAY_ADDR_SIZE];
	bool has_remote = !of_underlay_addr_is_zero(&e->place.remote);
	uint64_t now = agent_now_ms();
	json_int_t age_s = (json_int_t)(now > e->used_ms ? now - e->used_ms : 0) / 1000;
	char mac[ETH_ADDR_TEXT_SIZE];

	json_array_append_new(v->result,
		json_pack("{s:s, s:s, s:i, s:s, s:s?, s:b, s:o, s:o}", "switch",
			v->sw->config->name, "port", port ? port->name : "", "vlan", (int)e->vlan,
			"mac", eth_addr_text(e->mac, mac), "remote",
			has_remote ? underlay_addr_text(&e->place.remote, remote) : NULL, "static",
			e->is_static, "age_s", e->is_static ? json_null() : json_integer(age_s),
			"expires_s",
			e->is_static
				? json_null()
				: json_integer(age_s < v->ageing_s ? v->ageing_s - age_s : 0)));
}

static void
list_addresses(struct agent_switch *sw, json_t *result)
{
	struct fdb_visit v = {.sw = sw, .result = result};
	struct of_settings settings;

	ofproto_get_settings(sw->ofproto, &settings);
	v.ageing_s = settings.fdb_ageing_s;
	fdb_visit(ofproto_fdb(sw->ofproto), list_address, &v);
}

void
agent_rpc_fdb_list(struct rpc_call *call, json_t *params, void *user)
{
	each_switch(call, params, user, list_addresses);
}

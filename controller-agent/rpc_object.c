/* SPDX-License-Identifier: Apache-2.0
 *
 * agent.sock: groups and meters. Texts are ovs-ofctl's (ofproto/of_text.h).
 *
 * A change is answered when it is in force in the datapath; while somebody's transaction is open it waits. Long
 * lists are worked off a millisecond at a time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller-agent/agent_internal.h"
#include "lib/alloc.h"
#include "lib/jsonrpc.h"
#include "lib/strbuf.h"
#include "ofproto/of_text.h"

#define RETRY_MS 5

struct object_job {
	struct list link;
	struct agent *agent;
	struct rpc_call *call;
	struct event *next;
	char *sw; /* its name: the switch may go while the job waits */
	json_t *texts;
	size_t at;
	bool with_command; /* words like "delete" may begin a text */
	bool is_meter;
	enum of_mod_command command;
	json_t *result; /* of a listing */
	struct ofproto *ofproto;
	struct of_text_names names;
};

static void run_change(int fd, short what, void *job);

static struct object_job *
make_job(struct agent *a, struct rpc_call *call, json_t *params, bool is_meter)
{
	struct agent_switch *sw;
	struct object_job *j;
	json_t *texts;

	if (!call) {
		return NULL;
	}
	sw = agent_rpc_switch(a, call, params, "switch");
	if (!sw || !agent_rpc_texts(call, params, "specs", &texts)) {
		return NULL;
	}
	j = xcalloc(1, sizeof(*j));
	j->agent = a;
	j->call = call;
	j->sw = xstrdup(sw->config->name);
	j->texts = json_incref(texts);
	j->with_command = json_is_true(json_object_get(params, "file"));
	j->is_meter = is_meter;
	list_push_back(&a->object_jobs, &j->link);
	return j;
}

static void
free_job(struct object_job *j)
{
	list_remove(&j->link);
	if (j->next) {
		event_free(j->next);
	}
	json_decref(j->result);
	json_decref(j->texts);
	free(j->sw);
	free(j);
}

void
agent_rpc_object_destroy(struct agent *a)
{
	while (!list_is_empty(&a->object_jobs)) {
		struct object_job *j = LIST_ENTRY(a->object_jobs.next, struct object_job, link);

		rpc_call_fail(j->call, RPC_FAILED, "the agent ends");
		free_job(j);
	}
}

static bool
find_switch(struct object_job *j, struct weft_error *err)
{
	struct agent_switch *sw = agent_switch_find(j->agent, j->sw);

	j->ofproto = sw ? sw->ofproto : NULL;
	if (sw) {
		j->names = of_text_names_of(sw->ofproto);
	}
	return sw ||
	       weft_error_set(err, WEFT_ERR_CONFLICT, ENOENT, "switch %s has been deleted", j->sw);
}

/* --- changes ------------------------------------------------------------------------------------ */

static bool
change_group(struct object_job *j, const char *text, struct weft_error *err)
{
	struct of_group_mod gm = {.command = j->command};
	bool ok;

	ok = of_text_parse_group(text, strlen(text), j->with_command, &j->names, &gm, err) &&
	     ofproto_group_mod(j->ofproto, &gm, agent_now_ms(), err);
	of_group_mod_uninit(&gm);
	return ok;
}

static bool
change_meter(struct object_job *j, const char *text, struct weft_error *err)
{
	struct of_meter_mod mm = {.command = j->command};

	return of_text_parse_meter(text, strlen(text), &mm, err) &&
	       ofproto_meter_mod(j->ofproto, &mm, agent_now_ms(), err);
}

/* Without texts there is one that is empty, unless they came from a file. */
static size_t
n_texts(const struct object_job *j)
{
	size_t n = json_array_size(j->texts);

	return n || j->with_command ? n : 1;
}

/* The next of the texts. */
static bool
change(struct object_job *j, struct weft_error *err)
{
	size_t n = json_array_size(j->texts);
	const char *text = n ? json_string_value(json_array_get(j->texts, j->at)) : "";
	bool ok;

	if (!text) {
		ok = weft_error_set(err, WEFT_ERR_RPC, RPC_INVALID_PARAMS, "it is not a text");
	} else {
		ok = (j->is_meter ? change_meter : change_group)(j, text, err);
	}
	if (!ok && n > 1) {
		weft_error_prefix(err, "%s %zu", j->is_meter ? "meter" : "group", j->at + 1);
	}
	j->at++;
	return ok;
}

static void
again(struct object_job *j, unsigned ms)
{
	struct timeval delay = {0, (suseconds_t)ms * 1000};

	if (!j->next) {
		j->next = evtimer_new(j->agent->base, run_change, j);
	}
	evtimer_add(j->next, &delay);
}

static void
in_force(void *job)
{
	struct object_job *j = job;

	rpc_call_reply(j->call, json_object());
	free_job(j);
}

static void
run_change(int fd, short what, void *job)
{
	struct weft_error err = WEFT_ERROR_INIT;
	uint64_t until = agent_now_ns() + AGENT_SLICE_NS;
	struct object_job *j = job;
	bool ok;

	(void)fd;
	(void)what;
	if (of_model_in_txn(j->agent->model)) {
		again(j, RETRY_MS);
		return;
	}
	ok = find_switch(j, &err);
	while (ok && j->at < n_texts(j) && agent_now_ns() < until) {
		ok = change(j, &err);
	}
	agent_touch(j->agent);
	if (!ok) {
		rpc_call_fail(j->call, RPC_FAILED, "%s", err.text);
		free_job(j);
	} else if (j->at < n_texts(j)) {
		again(j, 0);
	} else {
		agent_meters_barrier(j->agent, in_force, j);
	}
}

static void
begin_change(struct agent *a, struct rpc_call *call, json_t *params, bool is_meter,
	enum of_mod_command command)
{
	struct object_job *j = make_job(a, call, params, is_meter);

	if (j) {
		j->command = command;
		run_change(-1, 0, j);
	}
}

void
agent_rpc_group_add(struct rpc_call *call, json_t *params, void *user)
{
	begin_change(user, call, params, false, OF_MOD_ADD);
}

void
agent_rpc_group_mod(struct rpc_call *call, json_t *params, void *user)
{
	begin_change(user, call, params, false, OF_MOD_MODIFY);
}

void
agent_rpc_group_del(struct rpc_call *call, json_t *params, void *user)
{
	begin_change(user, call, params, false, OF_MOD_DELETE);
}

void
agent_rpc_meter_add(struct rpc_call *call, json_t *params, void *user)
{
	begin_change(user, call, params, true, OF_MOD_ADD);
}

void
agent_rpc_meter_mod(struct rpc_call *call, json_t *params, void *user)
{
	begin_change(user, call, params, true, OF_MOD_MODIFY);
}

void
agent_rpc_meter_del(struct rpc_call *call, json_t *params, void *user)
{
	begin_change(user, call, params, true, OF_MOD_DELETE);
}

/* --- lists -------------------------------------------------------------------------------------- */

static void
list_group(const struct of_group_view *view, void *job)
{
	struct object_job *j = job;
	struct strbuf text = STRBUF_INIT;
	json_t *buckets = json_array();

	of_text_format_group(view, &j->names, &text);
	for (uint32_t i = 0; i < view->n_buckets; i++) {
		const struct of_bucket_view *b = &view->buckets[i];
		struct strbuf actions = STRBUF_INIT;

		of_text_format_actions(b->actions, b->actions_size, &j->names, &actions);
		json_array_append_new(
			buckets, json_pack("{s:i, s:s, s:I, s:I}", "weight", (int)b->weight,
					 "actions", strbuf_text(&actions), "packets",
					 (json_int_t)b->packets, "bytes", (json_int_t)b->bytes));
		strbuf_uninit(&actions);
	}
	json_array_append_new(j->result,
		json_pack("{s:I, s:s, s:I, s:f, s:I, s:I, s:o, s:s}", "group", (json_int_t)view->id,
			"type", of_group_type_name(view->type), "refs", (json_int_t)view->n_refs,
			"duration_s", (double)(view->now_ms - view->created_ms) / 1000, "packets",
			(json_int_t)view->packets, "bytes", (json_int_t)view->bytes, "buckets",
			buckets, "text", strbuf_text(&text)));
	strbuf_uninit(&text);
}

static void
list_meter(const struct of_meter_view *view, void *job)
{
	struct object_job *j = job;
	struct strbuf text = STRBUF_INIT;
	struct of_meter_stats stats;
	json_t *bands = json_array();

	agent_meter_stats(j->agent, j->ofproto, view->id, &stats);
	of_text_format_meter(view, &text);
	for (uint32_t i = 0; i < view->n_bands; i++) {
		const struct of_meter_band *b = &view->bands[i];

		json_array_append_new(bands,
			json_pack("{s:s, s:I, s:I, s:i, s:I, s:I}", "type",
				b->type == OF_BAND_DROP ? "drop" : "dscp_remark", "rate",
				(json_int_t)b->rate, "burst", (json_int_t)b->burst, "prec_level",
				(int)b->prec_level, "packets", (json_int_t)stats.bands[i].packets,
				"bytes", (json_int_t)stats.bands[i].bytes));
	}
	json_array_append_new(j->result,
		json_pack("{s:I, s:I, s:f, s:I, s:I, s:o, s:s}", "meter", (json_int_t)view->id,
			"flows", (json_int_t)view->n_flows, "duration_s",
			(double)(view->now_ms - view->created_ms) / 1000, "packets",
			(json_int_t)stats.packets, "bytes", (json_int_t)stats.bytes, "bands", bands,
			"text", strbuf_text(&text)));
	strbuf_uninit(&text);
}

static void
counters_are_fresh(void *job)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct object_job *j = job;

	if (!find_switch(j, &err)) {
		rpc_call_fail(j->call, RPC_FAILED, "%s", err.text);
		free_job(j);
		return;
	}
	if (j->is_meter) {
		ofproto_meter_visit(j->ofproto, OFPM_ALL, true, agent_now_ms(), list_meter, j);
	} else {
		ofproto_group_visit(j->ofproto, OFPG_ALL, true, agent_now_ms(), list_group, j);
	}
	rpc_call_reply(j->call, json_incref(j->result));
	free_job(j);
}

static void
begin_list(struct agent *a, struct rpc_call *call, json_t *params, bool is_meter)
{
	struct object_job *j = make_job(a, call, params, is_meter);

	if (j) {
		j->result = json_array();
		handlers_pull(a->handlers, counters_are_fresh, j);
	}
}

void
agent_rpc_group_list(struct rpc_call *call, json_t *params, void *user)
{
	begin_list(user, call, params, false);
}

void
agent_rpc_meter_list(struct rpc_call *call, json_t *params, void *user)
{
	begin_list(user, call, params, true);
}

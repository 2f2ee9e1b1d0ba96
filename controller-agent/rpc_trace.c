/* SPDX-License-Identifier: Apache-2.0
 *
 * agent.sock: traces (ofproto/of_trace.h).
 *
 * Thread: a trace may take longer than the loop may work at a stretch: it is made in a thread of its own, one
 *         at a time, others wait. The loop enters the reader for it, so that the switch that was found cannot
 *         go before the thread is inside.
 */
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "controller-agent/agent_internal.h"
#include "lib/alloc.h"
#include "lib/jsonrpc.h"
#include "lib/packet.h"
#include "lib/strbuf.h"
#include "ofproto/of_trace.h"

#define RETRY_MS 20
#define N_RETRIES 25

struct agent_traces {
	struct agent *agent;
	struct of_reader *reader; /* the thread's; the loop's while there is none */
	struct event *done;
	int fd;               /* the thread writes it when it is done */
	struct list waiting;  /* struct trace_job */
	struct trace_job *at; /* the thread's; NULL: there is none */
	pthread_t thread;
};

struct trace_job {
	struct list link;
	struct agent_traces *traces;
	struct rpc_call *call;
	json_t *params;
	struct flow_key key;
	uint8_t *packet; /* NULL: none was given */
	size_t packet_len;
	struct of_trace_in in;
	/* The thread's results. */
	char *result; /* JSON; NULL: see the error */
	struct weft_error err;
};

static void run_next(struct agent_traces *t);
static bool start(struct agent_traces *t, struct trace_job *j, struct weft_error *err);
static void *run(void *job);
static void thread_is_done(int fd, short what, void *traces);
static void free_job(struct trace_job *j);
static bool parse_hex(const char *text, struct trace_job *j, struct weft_error *err);
static json_t *trace_json(const struct of_trace *t);
static json_t *steps_json(const struct of_trace_node *n);

struct agent_traces *
agent_traces_create(struct agent *a)
{
	struct agent_traces *t = xcalloc(1, sizeof(*t));

	t->agent = a;
	t->reader = of_reader_create(a->model);
	if (t->reader) {
		of_reader_stats_pulled(t->reader, UINT64_MAX); /* it credits nothing */
	}
	list_init(&t->waiting);
	t->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	t->done = event_new(a->base, t->fd, EV_READ | EV_PERSIST, thread_is_done, t);
	event_add(t->done, NULL);
	return t;
}

void
agent_traces_destroy(struct agent_traces *t)
{
	if (!t) {
		return;
	}
	if (t->at) {
		pthread_join(t->thread, NULL);
		list_push_front(&t->waiting, &t->at->link);
	}
	while (!list_is_empty(&t->waiting)) {
		struct trace_job *j = LIST_ENTRY(t->waiting.next, struct trace_job, link);

		rpc_call_fail(j->call, RPC_FAILED, "the agent ends");
		free_job(j);
	}
	event_free(t->done);
	close(t->fd);
	of_reader_destroy(t->reader);
	free(t);
}

void
agent_rpc_trace_run(struct rpc_call *call, json_t *params, void *user)
{
	struct agent *a = user;
	struct trace_job *j;

	if (!call || !agent_rpc_switch(a, call, params, "switch")) {
		return;
	}
	j = xcalloc(1, sizeof(*j));
	j->traces = a->traces;
	j->call = call;
	j->params = json_incref(params);
	list_push_back(&a->traces->waiting, &j->link);
	run_next(a->traces);
}

/* Begins with those that wait, until one is under way. */
static void
run_next(struct agent_traces *t)
{
	while (!t->at && !list_is_empty(&t->waiting)) {
		struct trace_job *j = LIST_ENTRY(t->waiting.next, struct trace_job, link);

		list_remove(&j->link);
		if (!start(t, j, &j->err)) {
			rpc_call_fail(j->call, RPC_FAILED, "%s", j->err.text);
			free_job(j);
		}
	}
}

static bool
start(struct agent_traces *t, struct trace_job *j, struct weft_error *err)
{
	const char *name = json_string_value(json_object_get(j->params, "switch"));
	const char *flow = json_string_value(json_object_get(j->params, "flow"));
	json_t *hex = json_object_get(j->params, "packet");
	struct agent_switch *sw = agent_switch_find(t->agent, name);
	int rc;

	flow = flow ? flow : "";
	if (!sw) {
		return weft_error_set(
			err, WEFT_ERR_CONFLICT, ENOENT, "switch %s has been deleted", name);
	}
	if (hex && !json_is_null(hex) && !parse_hex(json_string_value(hex), j, err)) {
		return false;
	}
	if (!of_trace_parse(
		    flow, strlen(flow), j->packet, j->packet_len, sw->ofproto, &j->key, err)) {
		return false;
	}
	j->in = (struct of_trace_in){
		.reader = t->reader,
		.ofproto = sw->ofproto,
		.key = &j->key,
		.packet = j->packet,
		.packet_len = j->packet_len,
		.now_ms = agent_now_ms(),
	};
	if (!t->reader) {
		return weft_error_set(err, WEFT_ERR_CONFLICT, EAGAIN,
			"cannot trace: there are too many handler threads");
	}
	of_reader_enter(t->reader);
	rc = pthread_create(&t->thread, NULL, run, j);
	if (rc) {
		of_reader_leave(t->reader);
		return weft_error_set(err, WEFT_ERR_SYSTEM, rc,
			"cannot start a thread for the trace: %s", strerror(rc));
	}
	t->at = j;
	return true;
}

/* The thread. */
static void *
run(void *job)
{
	struct trace_job *j = job;
	struct of_trace *t = of_trace_create(&j->in, &j->err);
	const struct timespec moment = {0, RETRY_MS * 1000000};
	uint64_t one = 1;

	/* The loop has the kernel's answer in a moment. */
	for (unsigned i = 0; i < N_RETRIES && t && of_trace_is_pending(t); i++) {
		of_trace_destroy(t);
		nanosleep(&moment, NULL);
		t = of_trace_create(&j->in, &j->err);
	}
	of_reader_leave(j->in.reader);
	if (t) {
		json_t *result = trace_json(t);

		/* Large ones are much to do for the loop as well. */
		j->result = json_dumps(result, JSON_COMPACT);
		json_decref(result);
		of_trace_destroy(t);
	}
	(void)!write(j->traces->fd, &one, sizeof(one));
	return NULL;
}

static void
thread_is_done(int fd, short what, void *traces)
{
	struct agent_traces *t = traces;
	struct trace_job *j = t->at;
	uint64_t n;

	(void)what;
	(void)!read(fd, &n, sizeof(n));
	if (!j) {
		return;
	}
	pthread_join(t->thread, NULL);
	t->at = NULL;
	if (j->result) {
		rpc_call_reply_text(j->call, j->result);
	} else {
		rpc_call_fail(j->call, RPC_FAILED, "%s", j->err.text);
	}
	free_job(j);
	run_next(t);
}

static void
free_job(struct trace_job *j)
{
	list_remove(&j->link);
	json_decref(j->params);
	free(j->result);
	free(j->packet);
	free(j);
}

/* Digits in pairs; spaces and colons between them are left out. */
static bool
parse_hex(const char *text, struct trace_job *j, struct weft_error *err)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	size_t n = 0;

	if (!text) {
		return weft_error_set(
			err, WEFT_ERR_RPC, RPC_INVALID_PARAMS, "packet is not a text");
	}
	j->packet = xcalloc(1, strlen(text) / 2 + 1);
	for (const char *at = text; *at; at++) {
		const char *digit = strchr(digits, *at);

		if (*at == ' ' || *at == ':' || *at == '\n') {
			continue;
		}
		if (!digit) {
			return weft_error_set_at(err, WEFT_ERR_INVALID, EINVAL, 0,
				(size_t)(at - text),
				"packet: character %zu is no hexadecimal digit",
				(size_t)(at - text) + 1);
		}
		j->packet[n / 2] =
			(uint8_t)(j->packet[n / 2] << 4 | (unsigned)((digit - digits) % 16));
		n++;
	}
	j->packet_len = n / 2;
	if (n % 2 || !n || j->packet_len > PACKET_MAX_LEN) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			n % 2 ? "packet: %zu hexadecimal digits are no whole bytes"
			: n   ? "packet: %zu digits are more than a packet can be long"
			      : "packet: %zu digits are no packet",
			n);
	}
	return true;
}

/* --- results ------------------------------------------------------------------------------------ */

static json_t *
text_json(const char *text)
{
	return text ? json_string(text) : json_null();
}

static json_t *
fast_path_json(const struct of_trace_pass *pass)
{
	json_t *looked = json_array();

	if (pass->is_refused || pass->is_pending) {
		json_decref(looked);
		return json_null();
	}
	for (size_t i = 0; i < pass->n_looked; i++) {
		json_array_append_new(
			looked, json_pack("{s:s, s:s}", "field", pass->looked[i].field, "bits",
					pass->looked[i].bits));
	}
	return json_pack("{s:s, s:o, s:s, s:o}", "match", pass->match, "looks_at", looked,
		"actions", pass->actions, "drop",
		text_json(pass->drop == DROP_N ? NULL : drop_reason_name(pass->drop)));
}

static json_t *
trace_json(const struct of_trace *t)
{
	struct strbuf text = STRBUF_INIT;
	const struct of_trace_pass *pass;
	json_t *passes = json_array(), *result;

	LIST_FOREACH (pass, link, of_trace_passes(t)) {
		json_array_append_new(
			passes, json_pack("{s:I, s:s, s:o, s:o, s:o}", "recirc_id",
					(json_int_t)pass->recirc_id, "flow", pass->flow, "steps",
					steps_json(&pass->root), "final_flow",
					text_json(pass->final), "fast_path", fast_path_json(pass)));
	}
	of_trace_format(t, &text);
	strbuf_chomp(&text, "\n");
	result = json_pack("{s:o, s:s}", "passes", passes, "text", strbuf_text(&text));
	strbuf_uninit(&text);
	return result;
}

/* What happened below a node. */
static json_t *
steps_json(const struct of_trace_node *n)
{
	const struct of_trace_node *child;
	json_t *steps = json_array();

	LIST_FOREACH (child, link, &n->children) {
		json_t *step = json_pack(
			"{s:s, s:s}", "kind", of_trace_kind_name(child->kind), "text", child->text);

		for (unsigned i = 0; i < child->n_values; i++) {
			const struct of_trace_value *v = &child->values[i];

			json_object_set_new(step, v->name,
				v->text ? json_string(v->text)
					: json_integer((json_int_t)v->number));
		}
		if (!list_is_empty(&child->children)) {
			json_object_set_new(step, "steps", steps_json(child));
		}
		json_array_append_new(steps, step);
	}
	return steps;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole agent in a thread of its own, between agent.sock and the fake datapath: what commands do,
 * what failures leave, what a restart brings back.
 */
#include <errno.h>
#include <event2/event.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "controller-agent/agent.h"
#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/jsonrpc.h"
#include "lib/log.h"
#include "tests/unit/controller-agent/fake_datapath.h"

#define WAIT_MS 10000

static char rundir[64], config_path[96], state_dir[96], socket_path[96];
static struct fake_datapath *dp;

/* --- the agent in its thread -------------------------------------------------------------------- */

struct running {
	pthread_t thread;
	struct event_base *base;
	int wake[2]; /* a byte ends the loop */
	struct agent *agent;
	struct agent_options options;
	char error[WEFT_ERROR_TEXT];
	pthread_barrier_t started;
};

static struct running *running;

static void
end_loop(int fd, short what, void *base)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(base);
}

static void *
run_agent(void *arg)
{
	struct running *r = arg;
	struct weft_error err = WEFT_ERROR_INIT;
	struct event *end;

	r->base = event_base_new();
	end = event_new(r->base, r->wake[0], EV_READ, end_loop, r->base);
	event_add(end, NULL);
	r->agent = agent_create(r->base, &r->options, &err);
	snprintf(r->error, sizeof(r->error), "%s", err.text);
	pthread_barrier_wait(&r->started);
	if (r->agent) {
		event_base_dispatch(r->base);
	}
	agent_destroy(r->agent);
	event_free(end);
	event_base_free(r->base);
	return NULL;
}

/* Whether it started; else see running->error. */
static bool
start_agent(void)
{
	running = xcalloc(1, sizeof(*running));
	running->options = (struct agent_options){.rundir = rundir,
		.config_path = config_path,
		.state_dir = state_dir,
		.n_handlers = 2,
		.restore_wait_ms = 1500,
		.quiet_ms = 100};
	assert_int_equal(pipe(running->wake), 0);
	pthread_barrier_init(&running->started, NULL, 2);
	assert_int_equal(pthread_create(&running->thread, NULL, run_agent, running), 0);
	pthread_barrier_wait(&running->started);
	return running->agent != NULL;
}

static void
stop_agent(void)
{
	if (!running) {
		return;
	}
	assert_int_equal(write(running->wake[1], "x", 1), 1);
	pthread_join(running->thread, NULL);
	close(running->wake[0]);
	close(running->wake[1]);
	pthread_barrier_destroy(&running->started);
	free(running);
	running = NULL;
}

/* --- asking it ---------------------------------------------------------------------------------- */

/* Calls a method; parameters in JSON. The result is the caller's; NULL: @error has the words. */
static json_t *
ask(const char *method, const char *params, char *error)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct rpc_client *c = rpc_client_open(socket_path, "weft-agent", &err);
	json_t *object = json_loads(params, 0, NULL), *result;

	assert_non_null(c);
	assert_non_null(object);
	result = rpc_client_call(c, method, object, WAIT_MS, &err);
	rpc_client_close(c);
	if (error) {
		snprintf(error, WEFT_ERROR_TEXT, "%s", err.text);
	}
	return result;
}

static void
must(const char *method, const char *params)
{
	char error[WEFT_ERROR_TEXT];
	json_t *result = ask(method, params, error);

	if (!result) {
		print_message("%s %s: %s\n", method, params, error);
	}
	assert_non_null(result);
	json_decref(result);
}

/* It fails, with those words. */
static void
must_fail(const char *method, const char *params, const char *words)
{
	char error[WEFT_ERROR_TEXT];
	json_t *result = ask(method, params, error);

	if (result || !strstr(error, words)) {
		print_message("%s %s: %s\n", method, params, result ? "went well" : error);
	}
	assert_null(result);
	assert_non_null(strstr(error, words));
	assert_null(strchr(error, '\n'));
}

/* The member of an answer's element whose "name" is @name (NULL: the answer itself), as text. */
static char *
answer(const char *method, const char *params, const char *name, const char *member)
{
	json_t *result = ask(method, params, NULL), *element = result, *value;
	char *text = NULL;
	size_t i;

	assert_non_null(result);
	if (name) {
		json_array_foreach (result, i, element) {
			if (strcmp(json_string_value(json_object_get(element, "name")), name) ==
				0) {
				break;
			}
		}
		element = i < json_array_size(result) ? element : NULL;
	}
	value = json_object_get(element, member);
	if (value) {
		text = json_is_string(value) ? xstrdup(json_string_value(value))
					     : json_dumps(value, JSON_ENCODE_ANY);
	}
	json_decref(result);
	return text;
}

static void
expect(const char *method, const char *params, const char *name, const char *member,
	const char *wanted)
{
	char *text = answer(method, params, name, member);

	if (!text || strcmp(text, wanted) != 0) {
		print_message("%s %s: %s.%s is %s, not %s\n", method, params, name ? name : "",
			member, text ? text : "not there", wanted);
	}
	assert_non_null(text);
	assert_string_equal(text, wanted);
	free(text);
}

static void
wait_answer(const char *method, const char *params, const char *name, const char *member,
	const char *wanted)
{
	for (unsigned i = 0; i < WAIT_MS / 20; i++) {
		char *text = answer(method, params, name, member);
		bool same = text && strcmp(text, wanted) == 0;

		free(text);
		if (same) {
			return;
		}
		usleep(20000);
	}
	expect(method, params, name, member, wanted);
}

static size_t
n_flows(const char *sw)
{
	char params[64];
	json_t *result;
	size_t n;

	snprintf(params, sizeof(params), "{\"switch\": \"%s\"}", sw);
	result = ask("flow.list", params, NULL);
	assert_non_null(result);
	n = json_array_size(result);
	json_decref(result);
	return n;
}

/* --- set-up ------------------------------------------------------------------------------------- */

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static int
setup(void **state)
{
	(void)state;
	snprintf(rundir, sizeof(rundir), "/tmp/weft-agent-XXXXXX");
	if (!mkdtemp(rundir)) {
		return -1;
	}
	snprintf(config_path, sizeof(config_path), "%s/weft.json", rundir);
	snprintf(state_dir, sizeof(state_dir), "%s/state", rundir);
	snprintf(socket_path, sizeof(socket_path), "%s/agent.sock", rundir);
	dp = fake_datapath_start(rundir, 2, 9);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	stop_agent();
	if (dp) {
		fake_datapath_stop(dp);
		dp = NULL;
	}
	return nftw(rundir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void
wait_session(void)
{
	for (unsigned i = 0; i < WAIT_MS / 20; i++) {
		json_t *stats = ask("agent.stats", "{}", NULL);
		bool open = strcmp(json_string_value(json_object_get(
					   json_object_get(stats, "datapath"), "session")),
				    "open") == 0;

		json_decref(stats);
		if (open) {
			return;
		}
		usleep(20000);
	}
	fail_msg("no session");
}

static bool
rules_complete(void)
{
	json_t *stats = ask("agent.stats", "{}", NULL);
	bool is =
		json_is_true(json_object_get(json_object_get(stats, "datapath"), "rules_complete"));

	json_decref(stats);
	return is;
}

static void
make_switch(void)
{
	assert_true(start_agent());
	wait_session();
	must("switch.add", "{\"name\": \"br0\", \"settings\": {\"fail-mode\": \"secure\"}}");
	must("port.add",
		"{\"switch\": \"br0\", \"name\": \"p1\", \"settings\": {\"type\": \"null\"}}");
	must("port.add",
		"{\"switch\": \"br0\", \"name\": \"p2\", \"settings\": {\"type\": \"null\", "
		"\"of-port\": \"20\", \"tag\": \"7\"}}");
	must("port.add",
		"{\"switch\": \"br0\", \"name\": \"br0\", \"settings\": {\"type\": \"internal\"}}");
}

static void
receive(uint32_t port, unsigned flow)
{
	uint8_t frame[128];
	size_t len = fake_udp_frame(frame, 0x020000000000u + flow, 0x020000010000u + port, 0,
		0x0a000001 + flow, 0x0a000002, 1, 2);

	fake_datapath_receive(dp, 0, port, frame, len);
}

static void
wait_flow_text(const char *words)
{
	bool found = false;

	for (unsigned i = 0; i < WAIT_MS / 10 && !found; i++) {
		char *text;

		for (unsigned k = 0; !found && (text = fake_datapath_flow_text(dp, k)); k++) {
			found = strstr(text, words) != NULL;
			free(text);
		}
		usleep(10000);
	}
	if (!found) {
		fail_msg("no fast-path flow with %s", words);
	}
}

/* --- tests -------------------------------------------------------------------------------------- */

static void
test_agent_makes_switches_and_ports(void **state)
{
	char *text;

	(void)state;
	make_switch();
	expect("switch.list", "{}", "br0", "n_ports", "3");
	expect("switch.list", "{}", "br0", "n_flows", "0");
	expect("port.list", "{}", "p1", "of_port", "1");
	expect("port.list", "{}", "p2", "of_port", "20");
	expect("port.list", "{}", "p2", "vlan_mode", "access");
	expect("port.list", "{}", "br0", "of_port", "LOCAL");
	expect("port.list", "{}", "p1", "link", "up");
	expect("port.show", "{\"name\": \"p2\"}", NULL, "tag", "7");
	assert_true(fake_datapath_port(dp, "p1") >= 0);
	text = file_read(config_path, 1 << 16, &(size_t){0}, NULL);
	assert_non_null(text);
	assert_non_null(strstr(text, "\"p2\""));
	free(text);
	must("port.set",
		"{\"name\": \"p2\", \"settings\": {\"tag\": \"\", \"trunks\": \"1,3-5\"}}");
	expect("port.show", "{\"name\": \"p2\"}", NULL, "trunks", "1,3-5");
	fake_datapath_set_link(dp, (uint32_t)fake_datapath_port(dp, "p1"), false);
	wait_answer("port.list", "{}", "p1", "link", "down");
	must("port.del", "{\"switch\": \"br0\", \"name\": \"p1\"}");
	assert_int_equal(fake_datapath_port(dp, "p1"), -1);
	must("switch.del", "{\"name\": \"br0\"}");
	assert_true(fake_datapath_wait(dp, fake_has_ports, 0, 1000));
	text = file_read(config_path, 1 << 16, &(size_t){0}, NULL);
	assert_null(strstr(text, "br0"));
	free(text);
}

static void
test_agent_leaves_nothing_half_made(void **state)
{
	char *before, *after;
	struct fake_counts c;

	(void)state;
	make_switch();
	before = file_read(config_path, 1 << 16, &(size_t){0}, NULL);
	must_fail("switch.add", "{\"name\": \"br0\"}", "exists already");
	must_fail("switch.add", "{\"name\": \"9\"}", "cannot be a switch's name");
	must_fail("switch.add", "{\"name\": \"x\", \"settings\": {\"colour\": \"red\"}}", "colour");
	must_fail("switch.add", "{}", "parameter name");
	must_fail("port.add", "{\"switch\": \"no\", \"name\": \"p\", \"settings\": {}}",
		"there is no switch no");
	must_fail("port.add", "{\"switch\": \"br0\", \"name\": \"p1\", \"settings\": {}}",
		"exists already");
	must_fail("port.add", "{\"switch\": \"br0\", \"name\": \"p3\", \"settings\": {}}", "type=");
	must_fail("port.add",
		"{\"switch\": \"br0\", \"name\": \"p3\", \"settings\": {\"type\": \"warp\"}}",
		"there is no such type");
	must_fail("port.add",
		"{\"switch\": \"br0\", \"name\": \"p3\", \"settings\": {\"type\": "
		"\"null\", \"of-port\": \"1\"}}",
		"of-port=1 is port p1's");
	must_fail("port.add",
		"{\"switch\": \"br0\", \"name\": \"p3\", \"settings\": {\"type\": "
		"\"null\", \"tag\": \"5000\"}}",
		"tag=5000");
	fake_datapath_refuse_port(dp, "p3", "no eels today: bring some");
	must_fail("port.add",
		"{\"switch\": \"br0\", \"name\": \"p3\", \"settings\": {\"type\": "
		"\"null\"}}",
		"no eels today: bring some");
	must_fail("port.set", "{\"name\": \"p1\", \"settings\": {\"queues\": \"2\"}}",
		"queues= cannot change");
	must_fail("port.set", "{\"name\": \"p1\", \"settings\": {\"type\": \"tap\"}}",
		"type cannot change");
	must_fail("port.del", "{\"switch\": \"br0\", \"name\": \"p9\"}", "there is no port p9");
	must_fail("controller.add", "{\"switch\": \"br0\", \"target\": \"carrier-pigeon\"}",
		"carrier-pigeon");
	must_fail("controller.del", "{\"switch\": \"br0\", \"target\": \"tcp:1.2.3.4:1\"}",
		"no controller");
	must_fail(
		"flow.add", "{\"switch\": \"br0\", \"flows\": [\"in_port=1 actions=fly\"]}", "fly");
	after = file_read(config_path, 1 << 16, &(size_t){0}, NULL);
	assert_string_equal(before, after);
	free(before);
	free(after);
	expect("switch.list", "{}", "br0", "n_ports", "3");
	fake_datapath_counts(dp, &c);
	assert_int_equal(c.n_ports, 3);
	assert_int_equal(c.n_bad, 0);
}

static void
test_agent_without_datapath(void **state)
{
	(void)state;
	fake_datapath_stop(dp);
	dp = NULL;
	assert_true(start_agent());
	must("switch.add", "{\"name\": \"br0\"}");
	expect("switch.list", "{}", "br0", "n_flows", "1"); /* NORMAL */
	must_fail("port.add",
		"{\"switch\": \"br0\", \"name\": \"p\", \"settings\": {\"type\": "
		"\"null\"}}",
		"without the datapath");
	expect("switch.list", "{}", "br0", "n_ports", "0");
	dp = fake_datapath_start(rundir, 1, 10);
	wait_session();
	must("port.add",
		"{\"switch\": \"br0\", \"name\": \"p\", \"settings\": {\"type\": \"null\"}}");
}

static void
test_agent_forwards_by_rules(void **state)
{
	struct fake_output out;
	uint32_t p1;

	(void)state;
	make_switch();
	p1 = (uint32_t)fake_datapath_port(dp, "p1");
	must("flow.add", "{\"switch\": \"br0\", \"flows\": [\"priority=5,in_port=p1 "
			 "actions=output:p2\"]}");
	receive(p1, 0);
	assert_true(fake_datapath_wait(dp, fake_has_outputs, 1, WAIT_MS));
	assert_true(fake_datapath_output(dp, 0, &out));
	assert_int_equal(out.port, fake_datapath_port(dp, "p2"));
	receive(p1, 1);
	wait_flow_text("packets=1");
	/* The answer of a change comes when the fast path agrees. */
	must("flow.mod", "{\"switch\": \"br0\", \"flows\": [\"in_port=p1 actions=LOCAL\"]}");
	receive(p1, 2);
	assert_true(fake_datapath_output(dp, 2, &out));
	assert_int_equal(out.port, fake_datapath_port(dp, "br0"));
	must("flow.del", "{\"switch\": \"br0\", \"flows\": [\"in_port=p1\"]}");
	assert_int_equal(n_flows("br0"), 0);
	/* All or nothing. */
	must_fail("flow.add",
		"{\"switch\": \"br0\", \"bundle\": true, \"flows\": [\"in_port=1 "
		"actions=drop\", \"in_port=2 actions=fly\"]}",
		"flow 2");
	assert_int_equal(n_flows("br0"), 0);
	must("flow.add", "{\"switch\": \"br0\", \"bundle\": true, \"flows\": [\"in_port=1 "
			 "actions=drop\", \"in_port=2 actions=drop\"]}");
	assert_int_equal(n_flows("br0"), 2);
}

static void
test_agent_comes_back_with_everything(void **state)
{
	char *dpid, *again;
	int p1, p2;

	(void)state;
	make_switch();
	must("switch.add", "{\"name\": \"gone\"}");
	must("switch.add", "{\"name\": \"br1\"}");
	must("controller.add",
		"{\"switch\": \"br1\", \"target\": \"unix:/nonexistent/controller\"}");
	must("flow.add",
		"{\"switch\": \"br0\", \"flows\": [\"cookie=0x5,priority=5,in_port=p1,ip,"
		"nw_src=10.0.0.0/8 actions=output:p2\", \"table=3,idle_timeout=100 actions=drop\"]}");
	must("switch.del", "{\"name\": \"gone\"}");
	p1 = fake_datapath_port(dp, "p1");
	p2 = fake_datapath_port(dp, "p2");
	receive((uint32_t)p1, 0);
	assert_true(fake_datapath_wait(dp, fake_has_outputs, 1, WAIT_MS));
	dpid = answer("switch.list", "{}", "br0", "dpid");
	stop_agent();
	/* The fast path goes on. */
	receive((uint32_t)p1, 1);
	assert_true(fake_datapath_wait(dp, fake_has_outputs, 2, 100));

	assert_true(start_agent());
	assert_int_equal(n_flows("br0"), 2); /* at once */
	assert_int_equal(n_flows("br1"), 1);
	must("controller.del",
		"{\"switch\": \"br1\", \"target\": \"unix:/nonexistent/controller\"}");
	wait_session();
	wait_answer("port.list", "{}", "p1", "link", "up");
	again = answer("switch.list", "{}", "br0", "dpid");
	assert_string_equal(dpid, again);
	free(dpid);
	free(again);
	expect("port.list", "{}", "p1", "of_port", "1");
	assert_int_equal(fake_datapath_port(dp, "p1"), p1);
	assert_int_equal(fake_datapath_port(dp, "p2"), p2);
	assert_true(fake_datapath_wait(dp, fake_has_flows, 1, 100));
	receive((uint32_t)p1, 2);
	assert_true(fake_datapath_wait(dp, fake_has_outputs, 3, 100));
	/* And serves on: the inherited flow follows the rules again. */
	must("flow.del", "{\"switch\": \"br0\"}");
	wait_flow_text("drop");
}

/* The member of the only rule of br0. */
static long
rule_counter(const char *member)
{
	json_t *result = ask("flow.list", "{\"switch\": \"br0\"}", NULL);
	long n;

	assert_int_equal(json_array_size(result), 1);
	n = (long)json_integer_value(json_object_get(json_array_get(result, 0), member));
	json_decref(result);
	return n;
}

static void
test_agent_credits_what_was_counted_without_it(void **state)
{
	uint32_t p1;

	(void)state;
	make_switch();
	p1 = (uint32_t)fake_datapath_port(dp, "p1");
	must("flow.add", "{\"switch\": \"br0\", \"flows\": [\"in_port=p1 actions=output:p2\"]}");
	receive(p1, 0); /* the miss itself */
	assert_true(fake_datapath_wait(dp, fake_has_flows, 1, WAIT_MS));
	for (unsigned i = 0; i < 4; i++) {
		receive(p1, i);
	}
	/* The agent counts the flow's packets from the datapath's answer on. */
	for (unsigned i = 0; i < 100 && rule_counter("packets") < 5; i++) {
		usleep(20000);
	}
	assert_int_equal(rule_counter("packets"), 5);
	for (unsigned round = 0; round < 2; round++) {
		stop_agent();
		for (unsigned i = 0; i < 7; i++) {
			receive(p1, i);
		}
		assert_true(start_agent());
		wait_session();
		for (unsigned i = 0; i < WAIT_MS / 20 && !rules_complete(); i++) {
			usleep(20000);
		}
		for (unsigned i = 0; i < 100 && rule_counter("packets") < 12 + 7 * round; i++) {
			usleep(20000);
		}
		assert_int_equal(rule_counter("packets"), 12 + 7 * round);
		assert_int_equal(rule_counter("bytes"), 60 * (12 + 7 * round));
	}
}

static void
test_agent_remembers_addresses(void **state)
{
	json_t *list = NULL;
	uint32_t p1;

	(void)state;
	make_switch();
	p1 = (uint32_t)fake_datapath_port(dp, "p1");
	must("flow.add", "{\"switch\": \"br0\", \"flows\": [\"actions=NORMAL\"]}");
	receive(p1, 0);
	for (unsigned i = 0; i < WAIT_MS / 20 && json_array_size(list) == 0; i++) {
		json_decref(list);
		usleep(20000);
		list = ask("fdb.list", "{\"switch\": \"br0\"}", NULL);
	}
	assert_int_equal(json_array_size(list), 1);
	json_decref(list);
	stop_agent();
	assert_true(start_agent());
	wait_session();
	wait_answer("port.list", "{}", "p1", "link", "up"); /* with its addresses */
	list = ask("fdb.list", "{}", NULL);
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "mac")),
		"02:00:00:01:00:00");
	json_decref(list);
}

static void
test_agent_without_state_leaves_flows_alone_at_first(void **state)
{
	uint32_t p1;

	(void)state;
	make_switch();
	p1 = (uint32_t)fake_datapath_port(dp, "p1");
	must("flow.add", "{\"switch\": \"br0\", \"flows\": [\"in_port=p1 actions=output:p2\"]}");
	receive(p1, 0);
	assert_true(fake_datapath_wait(dp, fake_has_flows, 1, WAIT_MS));
	stop_agent();
	assert_int_equal(nftw(state_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	assert_true(start_agent());
	wait_session();
	assert_false(rules_complete());
	/* restore_wait_ms is over at last: there is no rule any more. */
	wait_flow_text("drop");
	assert_true(rules_complete());
}

static void
test_agent_makes_everything_anew_in_another_datapath(void **state)
{
	struct fake_counts c;
	int p1;

	(void)state;
	make_switch();
	must("flow.add", "{\"switch\": \"br0\", \"flows\": [\"in_port=p1 actions=output:p2\"]}");
	p1 = fake_datapath_port(dp, "p1");
	fake_datapath_stop(dp);
	wait_answer("port.list", "{}", "p1", "link", "down");
	dp = fake_datapath_start(rundir, 3, 10);
	assert_true(fake_datapath_wait(dp, fake_has_ports, 3, WAIT_MS));
	assert_int_equal(fake_datapath_port(dp, "p1"), p1);
	wait_answer("port.list", "{}", "p1", "link", "up");
	receive((uint32_t)p1, 0);
	assert_true(fake_datapath_wait(dp, fake_has_outputs, 1, WAIT_MS));
	/* The connection alone breaks: ports and flows are adopted. */
	fake_datapath_drop_session(dp);
	assert_true(fake_datapath_wait(dp, fake_has_sessions, 2, WAIT_MS));
	wait_answer("port.list", "{}", "p1", "link", "up");
	fake_datapath_counts(dp, &c);
	assert_int_equal(c.n_ports, 3);
	assert_int_equal(c.n_flows, 1);
	receive((uint32_t)p1, 0);
	assert_true(fake_datapath_wait(dp, fake_has_outputs, 2, WAIT_MS));
}

static void
test_agent_refuses_what_it_cannot_use(void **state)
{
	struct weft_error err = WEFT_ERROR_INIT;

	(void)state;
	assert_true(file_write_atomically(config_path, "{\"switches\": 5}", 15, &err));
	assert_false(start_agent());
	assert_non_null(strstr(running->error, "switches: must be an object"));
	stop_agent();
	unlink(config_path);
	assert_true(start_agent());
	{
		struct running *first = running;

		assert_false(start_agent()); /* the first has the state directory and the socket */
		assert_true(strstr(running->error, "in use") != NULL);
		stop_agent();
		running = first;
	}
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)

int
main(void)
{
	struct weft_error err = WEFT_ERROR_INIT;
	const struct CMUnitTest tests[] = {
		TEST(test_agent_makes_switches_and_ports),
		TEST(test_agent_leaves_nothing_half_made),
		TEST(test_agent_without_datapath),
		TEST(test_agent_forwards_by_rules),
		TEST(test_agent_comes_back_with_everything),
		TEST(test_agent_credits_what_was_counted_without_it),
		TEST(test_agent_remembers_addresses),
		TEST(test_agent_without_state_leaves_flows_alone_at_first),
		TEST(test_agent_makes_everything_anew_in_another_datapath),
		TEST(test_agent_refuses_what_it_cannot_use),
	};

	if (getenv("WEFT_TEST_LOG") && !log_set_level(getenv("WEFT_TEST_LOG"), &err)) {
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

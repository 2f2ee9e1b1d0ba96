/* SPDX-License-Identifier: Apache-2.0
 *
 * Handlers between a real switch model and the fake datapath: misses, revalidation, packet-ins and
 * -outs, barriers, sessions that end, takeover. Runs under the thread sanitizer too.
 */
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "controller-agent/dp_client.h"
#include "controller-agent/handler.h"
#include "lib/error.h"
#include "ofproto/of_context.h"
#include "ofproto/of_match.h"
#include "ofproto/ofproto.h"
#include "ofproto/translate.h"
#include "tests/unit/controller-agent/fake_datapath.h"

#define WAIT_MS 10000

struct seen {
	unsigned n_packet_in;
	unsigned n_packet_in_of[16]; /* by the datapath's port */
	unsigned n_learned;
	unsigned n_adopted; /* calls */
	unsigned n_adopted_flows;
	unsigned n_contexts;
	unsigned n_detached;
	unsigned n_broken;
	unsigned n_barriers;
	unsigned n_up;
	struct of_context context; /* of the last packet-in */
	uint32_t packet_len;
	uint32_t data_len;
	uint8_t data[FAKE_DATA_MAX];
	uint32_t in_port;
};

static char rundir[64], path[96];
static struct event_base *base;
static struct of_model *model;
static struct ofproto *sw;
static struct handlers *handlers;
static struct dp_client *client;
static struct fake_datapath *dp;
static struct seen seen;
static bool adopt;
static bool kick; /* the handlers are told of each change at once */
static unsigned n_handlers;

/* --- scaffolding -------------------------------------------------------------------------------- */

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void
on_packet_in(void *user, const struct handler_packet_in *p)
{
	struct weft_error err = WEFT_ERROR_INIT;

	(void)user;
	seen.n_packet_in++;
	assert_non_null(p->context);
	assert_true(of_context_decode(p->context, p->context_size, &seen.context, &err));
	seen.packet_len = p->packet_len;
	seen.data_len = p->data_len;
	memcpy(seen.data, p->data, p->data_len);
	seen.in_port = be32_to(p->key.in_port);
	seen.n_packet_in_of[seen.in_port % 16]++;
}

static void
on_learned(void *user, uint32_t id, uint16_t vlan, const uint8_t mac[6], struct of_port port)
{
	(void)user;
	assert_ptr_equal(ofproto_by_id(model, id), sw);
	seen.n_learned++;
	ofproto_fdb_learn(sw, vlan, mac, port, now_ms());
	handlers_kick(handlers);
}

static void
on_context(void *user, uint32_t id, const void *bytes, size_t size)
{
	(void)user;
	seen.n_contexts++;
	of_context_adopt(model, id, bytes, size);
}

static void
on_adopted(void *user, size_t n_flows)
{
	(void)user;
	seen.n_adopted++;
	seen.n_adopted_flows = (unsigned)n_flows;
}

static void
on_detached(void *user)
{
	(void)user;
	seen.n_detached++;
	dp_client_released(client);
}

static bool
on_credited(void *user, struct dp_handle flow, struct flow_stats *sum)
{
	(void)user;
	(void)flow;
	memset(sum, 0, sizeof(*sum));
	return true;
}

static void
on_object_replied(void *user, uint64_t token, const struct handler_object_reply *reply)
{
	(void)user;
	(void)token;
	(void)reply;
}

static void
on_meter_listed(void *user, struct dp_handle object)
{
	(void)user;
	(void)object;
}

static void
on_broken(void *user, const char *why)
{
	(void)user;
	print_message("broken: %s\n", why);
	seen.n_broken++;
}

static const struct handlers_ops handlers_ops = {
	.packet_in = on_packet_in,
	.learned = on_learned,
	.context = on_context,
	.adopted = on_adopted,
	.detached = on_detached,
	.credited = on_credited,
	.object_replied = on_object_replied,
	.meter_listed = on_meter_listed,
	.broken = on_broken,
};

static void
on_up(void *user, const struct dp_session *session)
{
	struct weft_error err = WEFT_ERROR_INIT;

	(void)user;
	assert_true(handlers_attach(handlers, session, adopt, &err));
	seen.n_up++;
}

static void
on_down(void *user)
{
	(void)user;
	handlers_detach(handlers);
}

static void
on_changed(void *user, const struct dp_port_info *info)
{
	(void)user;
	(void)info;
}

static const struct dp_client_ops client_ops = {on_up, on_down, on_changed};

static void
on_flow_removed(void *user, struct ofproto *p, const struct of_flow_view *flow,
	enum of_removed_reason reason)
{
	(void)user;
	(void)p;
	(void)flow;
	(void)reason;
}

static void
on_context_gone(void *user, uint32_t id)
{
	(void)user;
	(void)id;
}

static void
on_barrier(void *user)
{
	(void)user;
	seen.n_barriers++;
}

static void
turn(unsigned ms)
{
	struct timeval t = {0, (suseconds_t)ms * 1000};

	event_base_loopexit(base, &t);
	event_base_dispatch(base);
	of_model_run(model, now_ms(), 100);
	handlers_kick(handlers);
}

static bool
wait_for(const unsigned *counter, unsigned n)
{
	uint64_t until = now_ms() + WAIT_MS;

	while (*counter < n && now_ms() < until) {
		turn(2);
	}
	return *counter >= n;
}

/* Like fake_datapath_wait(), with the loop running. */
static bool
wait_dp(bool (*condition)(const struct fake_counts *c, unsigned n), unsigned n)
{
	uint64_t until = now_ms() + WAIT_MS;

	while (!fake_datapath_wait(dp, condition, n, 2)) {
		if (now_ms() > until) {
			return false;
		}
		turn(2);
	}
	return true;
}

static void
add_port(unsigned number, unsigned dp_port)
{
	struct of_port_info info = {
		.number = OF_PORT(number), .dp_port = {dp_port}, .state = OF_PORT_LIVE};
	struct weft_error err = WEFT_ERROR_INIT;

	snprintf(info.name, sizeof(info.name), "p%u", number);
	assert_true(ofproto_port_set(sw, &info, &err));
}

/* Adds "in_port=@in_port actions=output:@out" (0: drop) with that priority. */
static void
set_rule(uint16_t priority, unsigned in_port, uint32_t out, uint16_t max_len)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_flow_mod fm;

	of_flow_mod_init(&fm);
	fm.command = OF_FLOW_ADD;
	fm.priority = priority;
	fm.cookie = 0x77;
	if (in_port) {
		of_match_set_u64(&fm.match, FIELD_IN_PORT, in_port);
	}
	if (out) {
		of_actions_put_output(&fm.actions, OF_PORT(out), max_len);
	}
	assert_true(ofproto_flow_mod(sw, &fm, now_ms(), &err));
	of_flow_mod_uninit(&fm);
	if (kick) {
		handlers_kick(handlers);
	}
}

static void
start_agent(void)
{
	struct of_model_events events = {
		.flow_removed = on_flow_removed,
		.context_gone = on_context_gone,
	};
	struct weft_error err = WEFT_ERROR_INIT;

	memset(&seen, 0, sizeof(seen));
	base = event_base_new();
	model = of_model_create(&events);
	sw = ofproto_create(model, "s", 1, &err);
	assert_non_null(sw);
	for (unsigned i = 1; i <= 4; i++) {
		add_port(i, 10 + i);
	}
	handlers = handlers_create(base, model, n_handlers, &handlers_ops, NULL, &err);
	assert_non_null(handlers);
	client = dp_client_create(base, path, 5 + now_ms(), n_handlers, &client_ops, NULL);
	assert_true(wait_for(&seen.n_up, 1));
}

/* @kill: nothing is told to the datapath but the end of the connection. */
static void
stop_agent(void)
{
	dp_client_destroy(client);
	client = NULL;
	handlers_destroy(handlers);
	ofproto_destroy(sw);
	of_model_destroy(model);
	event_base_free(base);
}

static int
setup(void **state)
{
	(void)state;
	snprintf(rundir, sizeof(rundir), "/tmp/weft-handler-XXXXXX");
	if (!mkdtemp(rundir)) {
		return -1;
	}
	snprintf(path, sizeof(path), "%s/datapath.sock", rundir);
	adopt = false;
	kick = true;
	n_handlers = 1;
	dp = fake_datapath_start(rundir, 2, 9);
	return 0;
}

static int
teardown(void **state)
{
	struct fake_counts c;

	(void)state;
	fake_datapath_counts(dp, &c);
	assert_int_equal(c.n_bad, 0);
	fake_datapath_stop(dp);
	unlink(path);
	return rmdir(rundir);
}

/* A packet of dp port @port; @flow makes it one of its own. */
static void
receive(unsigned worker, unsigned port, unsigned flow)
{
	uint8_t frame[128];
	size_t len = fake_udp_frame(frame, 0x020000000000u + flow, 0x020000010000u + port, 0,
		0x0a000001 + flow, 0x0a000002, 1, 2);

	fake_datapath_receive(dp, worker, port, frame, len);
}

/* Whether some flow's text has @words. */
static bool
has_flow(const char *words)
{
	bool found = false;
	char *text;

	for (unsigned i = 0; !found && (text = fake_datapath_flow_text(dp, i)) != NULL; i++) {
		found = strstr(text, words) != NULL;
		free(text);
	}
	return found;
}

static bool
wait_flow(const char *words)
{
	uint64_t until = now_ms() + WAIT_MS;

	while (!has_flow(words) && now_ms() < until) {
		turn(2);
	}
	return has_flow(words);
}

/* --- tests -------------------------------------------------------------------------------------- */

static void
test_handler_answers_a_miss_with_flow_and_packet(void **state)
{
	struct fake_output out;
	struct fake_counts c;
	char *history;

	(void)state;
	start_agent();
	set_rule(10, 1, 2, 0);
	receive(0, 11, 0);
	assert_true(wait_dp(fake_has_outputs, 1));
	assert_true(fake_datapath_output(dp, 0, &out));
	assert_int_equal(out.port, 12);
	assert_int_equal(out.len, 60);
	assert_true(wait_dp(fake_has_flows, 1));
	history = fake_datapath_history(dp);
	assert_non_null(strstr(history, "put,execute"));
	free(history);
	/* The flow serves the next one. */
	receive(1, 11, 1);
	fake_datapath_counts(dp, &c);
	assert_int_equal(c.n_outputs, 2);
	assert_int_equal(c.n_upcalls, 1);
	/* No rule: drop. */
	receive(1, 13, 0);
	assert_true(wait_dp(fake_has_drops, 1));
	assert_true(wait_dp(fake_has_flows, 2));
	stop_agent();
}

static void
test_handler_follows_the_rules(void **state)
{
	struct fake_output out;

	(void)state;
	start_agent();
	set_rule(10, 1, 2, 0);
	receive(0, 11, 0);
	assert_true(wait_flow("output(12)"));
	set_rule(10, 1, 3, 0);
	assert_true(wait_flow("output(13)"));
	receive(0, 11, 0);
	assert_true(wait_dp(fake_has_outputs, 2));
	assert_true(fake_datapath_output(dp, 1, &out));
	assert_int_equal(out.port, 13);
	stop_agent();
}

static void
test_handler_brings_packets_to_the_loop(void **state)
{
	uint8_t frame[1500] = {0};
	size_t len = fake_udp_frame(frame, 2, 3, 0, 4, 5, 6, 7);

	(void)state;
	start_agent();
	set_rule(10, 0, OFPP_CONTROLLER, 40);
	fake_datapath_receive(dp, 0, 11, frame, len);
	assert_true(wait_for(&seen.n_packet_in, 1));
	assert_int_equal(seen.context.kind, OF_CONTEXT_PACKET_IN);
	assert_int_equal(seen.context.ofproto_id, ofproto_id(sw));
	assert_true(seen.context.cookie == 0x77);
	assert_int_equal(seen.packet_len, 60);
	assert_int_equal(seen.in_port, 11);
	assert_true(seen.data_len >= 40);
	assert_memory_equal(seen.data, frame, 40);
	/* A whole packet comes as a chain of records. */
	set_rule(10, 0, OFPP_CONTROLLER, OF_MAX_LEN_NO_BUFFER);
	for (unsigned i = 100; i < sizeof(frame); i++) {
		frame[i] = (uint8_t)(i * 7);
	}
	turn(300);
	fake_datapath_receive(dp, 1, 12, frame, sizeof(frame));
	assert_true(wait_for(&seen.n_packet_in, 2));
	assert_int_equal(seen.data_len, sizeof(frame));
	assert_memory_equal(seen.data, frame, sizeof(frame));
	stop_agent();
}

/* Injects @n packets, and waits until the handler has seen them; the loop does not run. */
static void
flood(uint32_t port, unsigned n)
{
	struct handlers_counters c;
	uint64_t until = now_ms() + WAIT_MS, wanted;

	handlers_get_counters(handlers, &c);
	wanted = c.n_packet_ins + c.n_packet_ins_dropped;
	for (unsigned i = 0; i < n; i++) {
		receive(0, port, 0);
		if (i % 50 != 49 && i != n - 1) {
			continue;
		}
		wanted += i % 50 + 1;
		do {
			usleep(200);
			handlers_get_counters(handlers, &c);
		} while (c.n_packet_ins + c.n_packet_ins_dropped < wanted && now_ms() < until);
		assert_true(c.n_packet_ins + c.n_packet_ins_dropped == wanted);
	}
}

/* While the loop is busy a port that floods is bounded, and others have room. */
static void
test_handler_keeps_room_for_other_ports(void **state)
{
	struct handlers_counters c;

	(void)state;
	start_agent();
	set_rule(10, 0, OFPP_CONTROLLER, 40);
	for (uint32_t port = 11; port <= 14; port++) {
		receive(0, port, 0);
	}
	assert_true(wait_for(&seen.n_packet_in, 4));
	assert_true(wait_dp(fake_has_flows, 4));
	flood(11, 600);
	flood(12, 20);
	flood(13, 200);
	flood(14, 1);
	handlers_get_counters(handlers, &c);
	assert_int_equal(c.n_packet_ins, 4 + 512 + 20 + 128 + 1);
	assert_int_equal(c.n_packet_ins_dropped, 88 + 72);
	assert_int_equal(seen.n_packet_in, 4);
	assert_true(wait_for(&seen.n_packet_in, 4 + 512 + 20 + 128 + 1));
	assert_int_equal(seen.n_packet_in_of[11], 513);
	assert_int_equal(seen.n_packet_in_of[12], 21);
	assert_int_equal(seen.n_packet_in_of[13], 129);
	assert_int_equal(seen.n_packet_in_of[14], 2);
	/* What has been taken makes room again. */
	flood(13, 130);
	assert_true(wait_for(&seen.n_packet_in, 4 + 512 + 20 + 128 + 1 + 130));
	stop_agent();
}

static void
test_handler_sends_packets_out(void **state)
{
	struct dp_actions actions;
	struct fake_output out;
	uint8_t frame[64];
	size_t len = fake_udp_frame(frame, 2, 3, 0, 4, 5, 6, 7);

	(void)state;
	start_agent();
	dp_actions_init(&actions);
	dp_actions_put_output(&actions, (struct dp_port){14}, 0);
	handlers_packet_out(handlers, DP_PORT_NONE, actions.data, actions.size, frame, len);
	dp_actions_uninit(&actions);
	assert_true(wait_dp(fake_has_outputs, 1));
	assert_true(fake_datapath_output(dp, 0, &out));
	assert_int_equal(out.port, 14);
	assert_int_equal(out.len, len);
	assert_memory_equal(out.data, frame, len);
	stop_agent();
}

static void
test_handler_barrier_waits_for_what_came_before(void **state)
{
	struct dp_actions actions;
	char *history, *put, *execute, *barrier;
	uint8_t frame[64];
	size_t len = fake_udp_frame(frame, 2, 3, 0, 4, 5, 6, 7);

	(void)state;
	start_agent();
	set_rule(10, 1, 2, 0);
	receive(0, 11, 0);
	assert_true(wait_flow("output(12)"));
	turn(50);
	free(fake_datapath_history(dp));
	fake_datapath_hold(dp, true);
	dp_actions_init(&actions);
	dp_actions_put_output(&actions, (struct dp_port){14}, 0);
	handlers_packet_out(handlers, DP_PORT_NONE, actions.data, actions.size, frame, len);
	dp_actions_uninit(&actions);
	set_rule(10, 1, 3, 0);
	handlers_barrier(handlers, on_barrier, NULL);
	turn(100);
	assert_int_equal(seen.n_barriers, 0);
	fake_datapath_hold(dp, false);
	assert_true(wait_for(&seen.n_barriers, 1));
	assert_true(has_flow("output(13)"));
	history = fake_datapath_history(dp);
	put = strstr(history, "put");
	execute = strstr(history, "execute");
	barrier = strstr(history, "barrier");
	assert_true(put && execute && barrier && put < barrier && execute < barrier);
	free(history);
	stop_agent();
}

static void
test_handler_barrier_waits_for_all_flows(void **state)
{
	char *history, *barrier;
	struct fake_counts c;

	(void)state;
	start_agent();
	set_rule(1, 0, OFPP_NORMAL, 0);
	for (unsigned i = 0; i < 300; i++) { /* more than one run of the registry */
		receive(0, 11, i);
	}
	assert_true(wait_dp(fake_has_outputs, 900));
	fake_datapath_counts(dp, &c);
	assert_true(c.n_flows >= 300);
	turn(50);
	free(fake_datapath_history(dp));
	fake_datapath_hold(dp, true);
	kick = false; /* the barrier is there before the handler has begun */
	set_rule(10, 1, 3, 0);
	handlers_barrier(handlers, on_barrier, NULL);
	turn(100);
	fake_datapath_hold(dp, false);
	assert_true(wait_for(&seen.n_barriers, 1));
	turn(100);
	history = fake_datapath_history(dp);
	barrier = strstr(history, "barrier");
	assert_non_null(barrier);
	assert_true(barrier - history > 300 * 3);
	assert_null(strstr(barrier, "put"));
	assert_null(strstr(barrier, "del"));
	free(history);
	stop_agent();
}

static void
test_handler_barriers_end_with_the_session(void **state)
{
	(void)state;
	start_agent();
	set_rule(10, 1, 2, 0);
	receive(0, 11, 0);
	assert_true(wait_flow("output(12)"));
	fake_datapath_hold(dp, true);
	handlers_barrier(handlers, on_barrier, NULL);
	turn(50);
	assert_int_equal(seen.n_barriers, 0);
	fake_datapath_drop_session(dp);
	assert_true(wait_for(&seen.n_barriers, 1));
	assert_true(wait_for(&seen.n_detached, 1));
	fake_datapath_hold(dp, false);
	assert_true(wait_for(&seen.n_up, 2));
	handlers_barrier(handlers, on_barrier, NULL);
	assert_true(wait_for(&seen.n_barriers, 2));
	/* And it serves on. */
	receive(0, 11, 0);
	assert_true(wait_dp(fake_has_outputs, 2));
	stop_agent();
}

/* Without flows, and with nothing under way, there is nothing to ask the datapath; a packet-out is. */
static void
test_handler_barrier_needs_no_datapath_while_all_rest(void **state)
{
	struct dp_actions actions;
	uint8_t frame[64];
	size_t len = fake_udp_frame(frame, 2, 3, 0, 4, 5, 6, 7);
	bool at_once = false;

	(void)state;
	n_handlers = 2;
	start_agent();
	/* They take a moment to come to rest after the start, and a barrier that is asked before waits. */
	for (unsigned i = 1; i <= 200 && !at_once; i++) {
		fake_datapath_hold(dp, true);
		handlers_barrier(handlers, on_barrier, NULL);
		turn(5);
		at_once = seen.n_barriers == i;
		fake_datapath_hold(dp, false);
		assert_true(wait_for(&seen.n_barriers, i));
	}
	assert_true(at_once);
	seen.n_barriers = 0;
	fake_datapath_hold(dp, true);
	dp_actions_init(&actions);
	dp_actions_put_output(&actions, (struct dp_port){14}, 0);
	handlers_packet_out(handlers, DP_PORT_NONE, actions.data, actions.size, frame, len);
	dp_actions_uninit(&actions);
	handlers_barrier(handlers, on_barrier, NULL);
	turn(50);
	handlers_barrier(handlers, on_barrier, NULL);
	turn(50);
	assert_int_equal(seen.n_barriers, 0);
	fake_datapath_hold(dp, false);
	assert_true(wait_for(&seen.n_barriers, 2));
	/* With a flow there is always something to ask. */
	set_rule(10, 1, 2, 0);
	receive(0, 11, 0);
	assert_true(wait_flow("output(12)"));
	handlers_barrier(handlers, on_barrier, NULL);
	assert_true(wait_for(&seen.n_barriers, 3));
	turn(20);
	set_rule(10, 1, 3, 0);
	handlers_barrier(handlers, on_barrier, NULL);
	assert_true(wait_for(&seen.n_barriers, 4));
	assert_true(has_flow("output(13)"));
	stop_agent();
}

static void
test_handler_learns_by_normal(void **state)
{
	struct fake_output out;
	struct fake_counts c;

	(void)state;
	start_agent();
	set_rule(0, 0, OFPP_NORMAL, 0);
	receive(0, 11, 0);
	assert_true(wait_for(&seen.n_learned, 1));
	assert_true(wait_dp(fake_has_outputs, 3)); /* flooded to the three others */
	fake_datapath_counts(dp, &c);
	assert_int_equal(c.n_outputs, 3);
	/* A packet to what was learned goes there alone. */
	{
		uint8_t frame[64];
		size_t len = fake_udp_frame(frame, 0x02000001000bu, 0x0200000000aa, 0, 1, 2, 3, 4);

		fake_datapath_receive(dp, 1, 12, frame, len);
	}
	assert_true(wait_dp(fake_has_outputs, 4));
	turn(50);
	fake_datapath_counts(dp, &c);
	assert_int_equal(c.n_outputs, 4);
	assert_true(fake_datapath_output(dp, 3, &out));
	assert_int_equal(out.port, 11);
	stop_agent();
}

static void
test_handler_takes_over_what_another_left(void **state)
{
	struct fake_counts c;

	(void)state;
	start_agent();
	set_rule(10, 1, 2, 0);
	set_rule(10, 2, OFPP_CONTROLLER, 100);
	receive(0, 11, 0);
	receive(1, 12, 0);
	assert_true(wait_flow("output(12)"));
	assert_true(wait_dp(fake_has_flows, 2));
	assert_true(wait_for(&seen.n_packet_in, 1));
	stop_agent();

	/* The next one has other rules; what was installed stays as it is. */
	adopt = true;
	n_handlers = 2;
	start_agent();
	assert_true(wait_for(&seen.n_adopted, 1));
	assert_int_equal(seen.n_adopted_flows, 2);
	assert_int_equal(seen.n_contexts, 1);
	set_rule(10, 1, 3, 0);
	set_rule(10, 3, 4, 0);
	turn(200);
	assert_true(has_flow("output(12)"));
	/* New flows are served meanwhile. */
	receive(0, 13, 0);
	assert_true(wait_flow("output(14)"));
	fake_datapath_counts(dp, &c);
	assert_int_equal(c.n_flows, 3);
	handlers_release(handlers);
	assert_true(wait_flow("output(13)"));
	assert_false(has_flow("output(12)"));
	stop_agent();
}

static void
test_handler_many_flows_and_changes(void **state)
{
	struct fake_counts c;

	(void)state;
	n_handlers = 2;
	start_agent();
	set_rule(1, 0, OFPP_NORMAL, 0);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 20; i++) {
			receive(i % 2, 11 + i % 3, round * 20 + i);
		}
		set_rule((uint16_t)(10 + round), 1 + round % 3, 4, 0);
		turn(5);
	}
	handlers_barrier(handlers, on_barrier, NULL);
	assert_true(wait_for(&seen.n_barriers, 1));
	fake_datapath_counts(dp, &c);
	assert_true(c.n_outputs > 0);
	assert_int_equal(c.n_no_agent, 0);
	assert_int_equal(seen.n_broken, 0);
	stop_agent();
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_handler_answers_a_miss_with_flow_and_packet),
		TEST(test_handler_follows_the_rules),
		TEST(test_handler_brings_packets_to_the_loop),
		TEST(test_handler_keeps_room_for_other_ports),
		TEST(test_handler_sends_packets_out),
		TEST(test_handler_barrier_waits_for_what_came_before),
		TEST(test_handler_barrier_waits_for_all_flows),
		TEST(test_handler_barriers_end_with_the_session),
		TEST(test_handler_barrier_needs_no_datapath_while_all_rest),
		TEST(test_handler_learns_by_normal),
		TEST(test_handler_takes_over_what_another_left),
		TEST(test_handler_many_flows_and_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

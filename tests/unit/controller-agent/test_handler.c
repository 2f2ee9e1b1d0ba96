/* SPDX-License-Identifier: Apache-2.0
 *
 * Handlers between a real switch model and the fake datapath: misses, revalidation, packet-ins and
 * -outs, sessions that end, takeover. Runs under the thread sanitizer too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/controller-agent/fake_datapath_internal.h"
#include "tests/unit/controller-agent/handler_lab.h"

static void
test_handler_answers_a_miss_with_flow_and_packet(void **state)
{
	struct fake_output out;
	struct fake_counts c;
	char *history;

	(void)state;
	handler_lab_start();
	handler_lab_rule(10, 1, 2, 0);
	handler_lab_receive(0, 11, 0);
	assert_true(handler_lab_wait_dp(fake_has_outputs, 1));
	assert_true(fake_datapath_output(lab.dp, 0, &out));
	assert_int_equal(out.port, 12);
	assert_int_equal(out.len, 60);
	assert_true(handler_lab_wait_dp(fake_has_flows, 1));
	history = fake_datapath_history(lab.dp);
	assert_non_null(strstr(history, "put,execute"));
	free(history);
	/* The flow serves the next one. */
	handler_lab_receive(1, 11, 1);
	fake_datapath_counts(lab.dp, &c);
	assert_int_equal(c.n_outputs, 2);
	assert_int_equal(c.n_upcalls, 1);
	/* No rule: drop. */
	handler_lab_receive(1, 13, 0);
	assert_true(handler_lab_wait_dp(fake_has_drops, 1));
	assert_true(handler_lab_wait_dp(fake_has_flows, 2));
	handler_lab_stop();
}

static void
test_handler_follows_the_rules(void **state)
{
	struct fake_output out;

	(void)state;
	handler_lab_start();
	handler_lab_rule(10, 1, 2, 0);
	handler_lab_receive(0, 11, 0);
	assert_true(handler_lab_wait_flow("output(12)"));
	handler_lab_rule(10, 1, 3, 0);
	assert_true(handler_lab_wait_flow("output(13)"));
	handler_lab_receive(0, 11, 0);
	assert_true(handler_lab_wait_dp(fake_has_outputs, 2));
	assert_true(fake_datapath_output(lab.dp, 1, &out));
	assert_int_equal(out.port, 13);
	handler_lab_stop();
}

static void
test_handler_brings_packets_to_the_loop(void **state)
{
	uint8_t frame[1500] = {0};
	size_t len = fake_udp_frame(frame, 2, 3, 0, 4, 5, 6, 7);

	(void)state;
	handler_lab_start();
	handler_lab_rule(10, 0, OFPP_CONTROLLER, 40);
	fake_datapath_receive(lab.dp, 0, 11, frame, len);
	assert_true(handler_lab_wait(&lab.seen.n_packet_in, 1));
	assert_int_equal(lab.seen.context.kind, OF_CONTEXT_PACKET_IN);
	assert_int_equal(lab.seen.context.ofproto_id, ofproto_id(lab.sw));
	assert_true(lab.seen.context.cookie == 0x77);
	assert_int_equal(lab.seen.packet_len, 60);
	assert_int_equal(lab.seen.in_port, 11);
	assert_true(lab.seen.data_len >= 40);
	assert_memory_equal(lab.seen.data, frame, 40);
	/* A whole packet comes as a chain of records. */
	handler_lab_rule(10, 0, OFPP_CONTROLLER, OF_MAX_LEN_NO_BUFFER);
	for (unsigned i = 100; i < sizeof(frame); i++) {
		frame[i] = (uint8_t)(i * 7);
	}
	handler_lab_turn(300);
	fake_datapath_receive(lab.dp, 1, 12, frame, sizeof(frame));
	assert_true(handler_lab_wait(&lab.seen.n_packet_in, 2));
	assert_int_equal(lab.seen.data_len, sizeof(frame));
	assert_memory_equal(lab.seen.data, frame, sizeof(frame));
	handler_lab_stop();
}

/* Injects @n packets, and waits until the handler has lab.seen them; the loop does not run. */
static void
flood(uint32_t port, unsigned n)
{
	struct handlers_counters c;
	uint64_t until = fake_now_ms() + HANDLER_LAB_WAIT_MS, wanted;

	handlers_get_counters(lab.handlers, &c);
	wanted = c.n_packet_ins + c.n_packet_ins_dropped;
	for (unsigned i = 0; i < n; i++) {
		handler_lab_receive(0, port, 0);
		if (i % 50 != 49 && i != n - 1) {
			continue;
		}
		wanted += i % 50 + 1;
		do {
			usleep(200);
			handlers_get_counters(lab.handlers, &c);
		} while (c.n_packet_ins + c.n_packet_ins_dropped < wanted && fake_now_ms() < until);
		assert_true(c.n_packet_ins + c.n_packet_ins_dropped == wanted);
	}
}

/* While the loop is busy a port that floods is bounded, and others have room. */
static void
test_handler_keeps_room_for_other_ports(void **state)
{
	struct handlers_counters c;

	(void)state;
	handler_lab_start();
	handler_lab_rule(10, 0, OFPP_CONTROLLER, 40);
	for (uint32_t port = 11; port <= 14; port++) {
		handler_lab_receive(0, port, 0);
	}
	assert_true(handler_lab_wait(&lab.seen.n_packet_in, 4));
	assert_true(handler_lab_wait_dp(fake_has_flows, 4));
	flood(11, 600);
	flood(12, 20);
	flood(13, 200);
	flood(14, 1);
	handlers_get_counters(lab.handlers, &c);
	assert_int_equal(c.n_packet_ins, 4 + 512 + 20 + 128 + 1);
	assert_int_equal(c.n_packet_ins_dropped, 88 + 72);
	assert_int_equal(lab.seen.n_packet_in, 4);
	assert_true(handler_lab_wait(&lab.seen.n_packet_in, 4 + 512 + 20 + 128 + 1));
	assert_int_equal(lab.seen.n_packet_in_of[11], 513);
	assert_int_equal(lab.seen.n_packet_in_of[12], 21);
	assert_int_equal(lab.seen.n_packet_in_of[13], 129);
	assert_int_equal(lab.seen.n_packet_in_of[14], 2);
	/* What has been taken makes room again. */
	flood(13, 130);
	assert_true(handler_lab_wait(&lab.seen.n_packet_in, 4 + 512 + 20 + 128 + 1 + 130));
	handler_lab_stop();
}

static void
test_handler_sends_packets_out(void **state)
{
	struct dp_actions actions;
	struct fake_output out;
	uint8_t frame[64];
	size_t len = fake_udp_frame(frame, 2, 3, 0, 4, 5, 6, 7);

	(void)state;
	handler_lab_start();
	dp_actions_init(&actions);
	dp_actions_put_output(&actions, (struct dp_port){14}, 0);
	handlers_packet_out(lab.handlers, DP_PORT_NONE, actions.data, actions.size, frame, len);
	dp_actions_uninit(&actions);
	assert_true(handler_lab_wait_dp(fake_has_outputs, 1));
	assert_true(fake_datapath_output(lab.dp, 0, &out));
	assert_int_equal(out.port, 14);
	assert_int_equal(out.len, len);
	assert_memory_equal(out.data, frame, len);
	handler_lab_stop();
}

static void
test_handler_learns_by_normal(void **state)
{
	struct fake_output out;
	struct fake_counts c;

	(void)state;
	handler_lab_start();
	handler_lab_rule(0, 0, OFPP_NORMAL, 0);
	handler_lab_receive(0, 11, 0);
	assert_true(handler_lab_wait(&lab.seen.n_learned, 1));
	assert_true(handler_lab_wait_dp(fake_has_outputs, 3)); /* flooded to the three others */
	fake_datapath_counts(lab.dp, &c);
	assert_int_equal(c.n_outputs, 3);
	/* A packet to what was learned goes there alone. */
	{
		uint8_t frame[64];
		size_t len = fake_udp_frame(frame, 0x02000001000bu, 0x0200000000aa, 0, 1, 2, 3, 4);

		fake_datapath_receive(lab.dp, 1, 12, frame, len);
	}
	assert_true(handler_lab_wait_dp(fake_has_outputs, 4));
	handler_lab_turn(50);
	fake_datapath_counts(lab.dp, &c);
	assert_int_equal(c.n_outputs, 4);
	assert_true(fake_datapath_output(lab.dp, 3, &out));
	assert_int_equal(out.port, 11);
	handler_lab_stop();
}

static void
test_handler_takes_over_what_another_left(void **state)
{
	struct fake_counts c;

	(void)state;
	handler_lab_start();
	handler_lab_rule(10, 1, 2, 0);
	handler_lab_rule(10, 2, OFPP_CONTROLLER, 100);
	handler_lab_receive(0, 11, 0);
	handler_lab_receive(1, 12, 0);
	assert_true(handler_lab_wait_flow("output(12)"));
	assert_true(handler_lab_wait_dp(fake_has_flows, 2));
	assert_true(handler_lab_wait(&lab.seen.n_packet_in, 1));
	handler_lab_stop();

	/* The next one has other rules; what was installed stays as it is. */
	lab.adopt = true;
	lab.n_handlers = 2;
	handler_lab_start();
	assert_true(handler_lab_wait(&lab.seen.n_adopted, 1));
	assert_int_equal(lab.seen.n_adopted_flows, 2);
	assert_int_equal(lab.seen.n_contexts, 1);
	handler_lab_rule(10, 1, 3, 0);
	handler_lab_rule(10, 3, 4, 0);
	handler_lab_turn(200);
	assert_true(handler_lab_has_flow("output(12)"));
	/* New flows are served meanwhile. */
	handler_lab_receive(0, 13, 0);
	assert_true(handler_lab_wait_flow("output(14)"));
	fake_datapath_counts(lab.dp, &c);
	assert_int_equal(c.n_flows, 3);
	handlers_release(lab.handlers);
	assert_true(handler_lab_wait_flow("output(13)"));
	assert_false(handler_lab_has_flow("output(12)"));
	handler_lab_stop();
}

static void
test_handler_many_flows_and_changes(void **state)
{
	struct fake_counts c;

	(void)state;
	lab.n_handlers = 2;
	handler_lab_start();
	handler_lab_rule(1, 0, OFPP_NORMAL, 0);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 20; i++) {
			handler_lab_receive(i % 2, 11 + i % 3, round * 20 + i);
		}
		handler_lab_rule((uint16_t)(10 + round), 1 + round % 3, 4, 0);
		handler_lab_turn(5);
	}
	handlers_barrier(lab.handlers, handler_lab_on_barrier, NULL);
	assert_true(handler_lab_wait(&lab.seen.n_barriers, 1));
	fake_datapath_counts(lab.dp, &c);
	assert_true(c.n_outputs > 0);
	assert_int_equal(c.n_no_agent, 0);
	assert_int_equal(lab.seen.n_broken, 0);
	handler_lab_stop();
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, handler_lab_setup, handler_lab_teardown)

/* A barrier holds when the datapath knows them, though it refuses at first. */
static void
test_handler_tells_options(void **state)
{
	static const struct dp_tun_opt opts[] = {{0x102, 0x80, 4, 0, 0, {0}}, {7, 1, 8, 4, 1, {0}}};
	struct dp_tun_opt got[DP_TUN_OPTS_MAX];

	(void)state;
	handler_lab_start();
	fake_datapath_refuse_options(lab.dp, 3);
	handlers_tun_opts(lab.handlers, opts, 2);
	handlers_barrier(lab.handlers, handler_lab_on_barrier, NULL);
	assert_true(handler_lab_wait(&lab.seen.n_barriers, 1));
	/* The refusal may come behind the barrier: then the next one holds. */
	for (unsigned i = 0; i < 4 && fake_datapath_options(lab.dp, got) != 2; i++) {
		handlers_barrier(lab.handlers, handler_lab_on_barrier, NULL);
		assert_true(handler_lab_wait(&lab.seen.n_barriers, 2 + i));
	}
	assert_int_equal(fake_datapath_options(lab.dp, got), 2);
	assert_memory_equal(got, opts, sizeof(opts));
	lab.seen.n_barriers = 0;
	handlers_tun_opts(lab.handlers, NULL, 0);
	handlers_barrier(lab.handlers, handler_lab_on_barrier, NULL);
	assert_true(handler_lab_wait(&lab.seen.n_barriers, 1));
	assert_int_equal(fake_datapath_options(lab.dp, got), 0);
	handler_lab_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_handler_answers_a_miss_with_flow_and_packet),
		TEST(test_handler_follows_the_rules),
		TEST(test_handler_brings_packets_to_the_loop),
		TEST(test_handler_keeps_room_for_other_ports),
		TEST(test_handler_sends_packets_out),
		TEST(test_handler_learns_by_normal),
		TEST(test_handler_takes_over_what_another_left),
		TEST(test_handler_many_flows_and_changes),
		TEST(test_handler_tells_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Barriers of handlers: what they wait for. Runs under the thread sanitizer too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/controller-agent/handler_lab.h"

static void
test_handler_barrier_waits_for_what_came_before(void **state)
{
	struct dp_actions actions;
	char *history, *put, *execute, *barrier;
	uint8_t frame[64];
	size_t len = fake_udp_frame(frame, 2, 3, 0, 4, 5, 6, 7);

	(void)state;
	handler_lab_start();
	handler_lab_rule(10, 1, 2, 0);
	handler_lab_receive(0, 11, 0);
	assert_true(handler_lab_wait_flow("output(12)"));
	handler_lab_turn(50);
	free(fake_datapath_history(lab.dp));
	fake_datapath_hold(lab.dp, true);
	dp_actions_init(&actions);
	dp_actions_put_output(&actions, (struct dp_port){14}, 0);
	handlers_packet_out(lab.handlers, DP_PORT_NONE, actions.data, actions.size, frame, len);
	dp_actions_uninit(&actions);
	handler_lab_rule(10, 1, 3, 0);
	handlers_barrier(lab.handlers, handler_lab_on_barrier, NULL);
	handler_lab_turn(100);
	assert_int_equal(lab.seen.n_barriers, 0);
	fake_datapath_hold(lab.dp, false);
	assert_true(handler_lab_wait(&lab.seen.n_barriers, 1));
	assert_true(handler_lab_has_flow("output(13)"));
	history = fake_datapath_history(lab.dp);
	put = strstr(history, "put");
	execute = strstr(history, "execute");
	barrier = strstr(history, "barrier");
	assert_true(put && execute && barrier && put < barrier && execute < barrier);
	free(history);
	handler_lab_stop();
}

static void
test_handler_barrier_waits_for_all_flows(void **state)
{
	char *history, *barrier;
	struct fake_counts c;

	(void)state;
	handler_lab_start();
	handler_lab_rule(1, 0, OFPP_NORMAL, 0);
	for (unsigned i = 0; i < 300; i++) { /* more than one run of the registry */
		handler_lab_receive(0, 11, i);
	}
	assert_true(handler_lab_wait_dp(fake_has_outputs, 900));
	fake_datapath_counts(lab.dp, &c);
	assert_true(c.n_flows >= 300);
	handler_lab_turn(50);
	free(fake_datapath_history(lab.dp));
	fake_datapath_hold(lab.dp, true);
	lab.kick = false; /* the barrier is there before the handler has begun */
	handler_lab_rule(10, 1, 3, 0);
	handlers_barrier(lab.handlers, handler_lab_on_barrier, NULL);
	handler_lab_turn(100);
	fake_datapath_hold(lab.dp, false);
	assert_true(handler_lab_wait(&lab.seen.n_barriers, 1));
	handler_lab_turn(100);
	history = fake_datapath_history(lab.dp);
	barrier = strstr(history, "barrier");
	assert_non_null(barrier);
	assert_true(barrier - history > 300 * 3);
	assert_null(strstr(barrier, "put"));
	assert_null(strstr(barrier, "del"));
	free(history);
	handler_lab_stop();
}

static void
test_handler_barriers_end_with_the_session(void **state)
{
	(void)state;
	handler_lab_start();
	handler_lab_rule(10, 1, 2, 0);
	handler_lab_receive(0, 11, 0);
	assert_true(handler_lab_wait_flow("output(12)"));
	fake_datapath_hold(lab.dp, true);
	handlers_barrier(lab.handlers, handler_lab_on_barrier, NULL);
	handler_lab_turn(50);
	assert_int_equal(lab.seen.n_barriers, 0);
	fake_datapath_drop_session(lab.dp);
	assert_true(handler_lab_wait(&lab.seen.n_barriers, 1));
	assert_true(handler_lab_wait(&lab.seen.n_detached, 1));
	fake_datapath_hold(lab.dp, false);
	assert_true(handler_lab_wait(&lab.seen.n_up, 2));
	handlers_barrier(lab.handlers, handler_lab_on_barrier, NULL);
	assert_true(handler_lab_wait(&lab.seen.n_barriers, 2));
	/* And it serves on. */
	handler_lab_receive(0, 11, 0);
	assert_true(handler_lab_wait_dp(fake_has_outputs, 2));
	handler_lab_stop();
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
	lab.n_handlers = 2;
	handler_lab_start();
	/* They take a moment to come to rest after the start, and a barrier that is asked before waits. */
	for (unsigned i = 1; i <= 200 && !at_once; i++) {
		fake_datapath_hold(lab.dp, true);
		handlers_barrier(lab.handlers, handler_lab_on_barrier, NULL);
		handler_lab_turn(5);
		at_once = lab.seen.n_barriers == i;
		fake_datapath_hold(lab.dp, false);
		assert_true(handler_lab_wait(&lab.seen.n_barriers, i));
	}
	assert_true(at_once);
	lab.seen.n_barriers = 0;
	fake_datapath_hold(lab.dp, true);
	dp_actions_init(&actions);
	dp_actions_put_output(&actions, (struct dp_port){14}, 0);
	handlers_packet_out(lab.handlers, DP_PORT_NONE, actions.data, actions.size, frame, len);
	dp_actions_uninit(&actions);
	handlers_barrier(lab.handlers, handler_lab_on_barrier, NULL);
	handler_lab_turn(50);
	handlers_barrier(lab.handlers, handler_lab_on_barrier, NULL);
	handler_lab_turn(50);
	assert_int_equal(lab.seen.n_barriers, 0);
	fake_datapath_hold(lab.dp, false);
	assert_true(handler_lab_wait(&lab.seen.n_barriers, 2));
	/* With a flow there is always something to ask. */
	handler_lab_rule(10, 1, 2, 0);
	handler_lab_receive(0, 11, 0);
	assert_true(handler_lab_wait_flow("output(12)"));
	handlers_barrier(lab.handlers, handler_lab_on_barrier, NULL);
	assert_true(handler_lab_wait(&lab.seen.n_barriers, 3));
	handler_lab_turn(20);
	handler_lab_rule(10, 1, 3, 0);
	handlers_barrier(lab.handlers, handler_lab_on_barrier, NULL);
	assert_true(handler_lab_wait(&lab.seen.n_barriers, 4));
	assert_true(handler_lab_has_flow("output(13)"));
	handler_lab_stop();
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, handler_lab_setup, handler_lab_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_handler_barrier_waits_for_what_came_before),
		TEST(test_handler_barrier_waits_for_all_flows),
		TEST(test_handler_barriers_end_with_the_session),
		TEST(test_handler_barrier_needs_no_datapath_while_all_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

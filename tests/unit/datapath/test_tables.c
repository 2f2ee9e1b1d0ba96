/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables thread: its answers to every command, to nonsense, and to an agent that does not listen (rig.h).
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "datapath/worker.h"
#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "tests/unit/datapath/rig.h"

static struct rig_agent agent;

static void
send_command(struct rig_agent *a, uint32_t kind, const void *command, size_t size, const void *data,
	size_t data_size)
{
	struct dp_part part = {data, data_size};

	assert_true(dp_send(&a->commands, kind, command, size, &part, data ? 1 : 0));
	shm_ring_publish(&a->commands);
}

/* The next reply is that to @kind, with this status. */
static void
assert_answer(struct rig_agent *a, uint32_t kind, uint64_t request, int status)
{
	const struct dp_reply *reply;

	assert_int_equal(rig_reply(a), DP_REPLY + kind);
	reply = a->msg.body;
	assert_int_equal(reply->request, request);
	assert_int_equal(reply->status, status);
}

static void
test_tables_refuse_flows(void **state)
{
	struct flow_key key = {.in_port = be32_from(1)};
	struct dp_handle flow, other;
	struct flow_mask mask;

	(void)state;
	rig_start(1);
	rig_agent_open(&agent, 1);
	rig_mask(&mask, FIELD_N);
	assert_int_equal(rig_put(&agent, &key, 1, &mask, 0, "output(1)", NULL), -ENODEV);
	rig_port_add(1, NULL);
	assert_int_equal(
		rig_put(&agent, &key, 1, &mask, DP_PUT_MODIFY, "output(1)", NULL), -ENOENT);
	assert_int_equal(rig_put(&agent, &key, 1, &mask, 0, "output(1)", &flow), 0);
	assert_int_equal(
		rig_put(&agent, &key, 1, &mask, DP_PUT_EXCLUSIVE, "output(2)", &other), -EEXIST);
	assert_memory_equal(&other, &flow, sizeof flow);
	assert_int_equal(rig_put(&agent, &key, 1, &mask, DP_PUT_MODIFY, "output(2)", &other), 0);
	assert_memory_equal(&other, &flow, sizeof flow);
	/* What refers to nothing is not taken, however deep it stands. */
	assert_int_equal(rig_put(&agent, &key, 1, &mask, 0, "encap(0.1)", NULL), -ESTALE);
	assert_int_equal(
		rig_put(&agent, &key, 1, &mask, 0, "clone(dec_ttl(encap(0.1)))", NULL), -ESTALE);
	assert_int_equal(
		rig_del(&agent, (struct dp_handle){flow.slot, flow.gen + 1}, NULL), -ESTALE);
	assert_int_equal(rig_del(&agent, (struct dp_handle){1u << 30, 1}, NULL), -ESTALE);
	assert_int_equal(rig_del(&agent, flow, NULL), 0);
	rig_agent_close(&agent, true);
	rig_stop();
}

static void
test_tables_contexts(void **state)
{
	struct rig_agent second;
	const struct dp_context_item *item;
	struct dp_list list = {.cmd.request = 50, .max = 2};
	static const char text[] = "opaque";

	(void)state;
	rig_start(1);
	rig_agent_open(&agent, 1);
	assert_int_equal(agent.offer.next_context, 1);
	for (uint32_t id = 1; id <= 5; id++) {
		struct dp_context_put put = {.cmd.request = id, .id = id * 10, .size = id};

		send_command(&agent, DP_CONTEXT_PUT, &put, sizeof put, text, id);
		assert_answer(&agent, DP_CONTEXT_PUT, id, 0);
		send_command(&agent, DP_CONTEXT_PUT, &put, sizeof put, text, id);
		assert_answer(&agent, DP_CONTEXT_PUT, id, -EEXIST);
	}
	{
		struct dp_context_del del = {.cmd.request = 6, .id = 30};

		send_command(&agent, DP_CONTEXT_DEL, &del, sizeof del, NULL, 0);
		assert_answer(&agent, DP_CONTEXT_DEL, 6, 0);
		send_command(&agent, DP_CONTEXT_DEL, &del, sizeof del, NULL, 0);
		assert_answer(&agent, DP_CONTEXT_DEL, 6, -ENOENT);
	}
	/* They outlive the agent; the next one learns where ids go on. */
	rig_agent_close(&agent, true);
	rig_agent_open(&second, 2);
	assert_int_equal(second.offer.next_context, 51);
	send_command(&second, DP_CONTEXT_LIST, &list, sizeof list, NULL, 0);
	for (uint32_t id = 1; id <= 2; id++) {
		assert_int_equal(rig_reply(&second), DP_CONTEXT_ITEM);
		item = second.msg.body;
		assert_int_equal(item->id, id * 10);
		assert_int_equal(second.msg.data_len, id);
		assert_memory_equal(second.msg.data, text, id);
	}
	assert_answer(&second, DP_CONTEXT_LIST, 50, 0);
	assert_int_equal(((const struct dp_list_reply *)second.msg.body)->next_slot, 40);
	list.from_slot = 40;
	send_command(&second, DP_CONTEXT_LIST, &list, sizeof list, NULL, 0);
	assert_int_equal(rig_reply(&second), DP_CONTEXT_ITEM);
	assert_int_equal(rig_reply(&second), DP_CONTEXT_ITEM);
	assert_answer(&second, DP_CONTEXT_LIST, 50, 0);
	assert_int_equal(((const struct dp_list_reply *)second.msg.body)->next_slot, UINT32_MAX);
	rig_agent_close(&second, true);
	rig_stop();
}

/* Page by page, each flow once. */
static void
test_tables_list_flows_by_pages(void **state)
{
	struct dp_list list = {.cmd.request = 9, .max = 7};
	struct flow_mask mask;
	unsigned n = 0;

	(void)state;
	rig_start(1);
	rig_port_add(1, NULL);
	rig_agent_open(&agent, 1);
	rig_mask(&mask, FIELD_IPV4_DST, FIELD_N);
	for (uint32_t i = 0; i < 100; i++) {
		struct flow_key key = {.in_port = be32_from(1), .ip_dst = be32_from(i)};

		assert_int_equal(rig_put(&agent, &key, 1, &mask, 0, "output(1)", NULL), 0);
	}
	do {
		send_command(&agent, DP_FLOW_LIST, &list, sizeof list, NULL, 0);
		while (rig_reply(&agent) == DP_FLOW_ITEM) {
			assert_int_equal(be32_to(agent.msg.key.ip_dst), n++);
			assert_true(flow_mask_equal(&agent.msg.mask, &mask));
		}
		list.from_slot = ((const struct dp_list_reply *)agent.msg.body)->next_slot;
	} while (list.from_slot != UINT32_MAX);
	assert_int_equal(n, 100);
	rig_agent_close(&agent, true);
	rig_stop();
}

/* Commands that are none are answered with their number and -EINVAL, and harm nobody. */
static void
test_tables_bad_messages(void **state)
{
	struct tables_counters counters;
	static uint64_t bytes[512];

	(void)state;
	lab_seed("bad messages");
	rig_start(1);
	rig_port_add(1, NULL);
	rig_agent_open(&agent, 1);
	for (unsigned i = 0; i < 2000; i++) {
		/* Whole words: the ring's records are padded to them anyway. */
		uint32_t kind = lab_below(DP_COMMAND_N + 3), len = 8 * lab_below(sizeof bytes / 8);
		const struct dp_reply *reply;

		for (unsigned k = 0; k < 512; k++) {
			bytes[k] = lab_below(3) ? 0 : lab_random() >> lab_below(64);
		}
		bytes[0] = i;
		if (kind == DP_BARRIER || kind == DP_EXECUTE) {
			continue; /* some of these would be right, and answered late or not at all */
		}
		send_command(&agent, kind, bytes, len, NULL, 0);
		while (rig_reply(&agent) >= 0x200) {
			/* items of a list */
		}
		reply = agent.msg.body;
		assert_int_equal(reply->request, len ? i : 0);
		assert_true(reply->status <= 0);
	}
	tables_read_counters(&counters);
	assert_true(counters.bad_messages > 500);
	/* It still works. */
	rig_wire(&agent, 1, "output(1)");
	rig_barrier(&agent);
	rig_agent_close(&agent, true);
	rig_stop();
}

/* Deletes are answered when workers have let go, before the barrier behind them. */
static void
test_tables_barrier_covers_deletes(void **state)
{
	struct dp_barrier barrier = {.cmd.request = 1000};
	struct flow_mask mask;

	(void)state;
	rig_start(2);
	rig_port_add(1, &(struct rig_options){.n_queues = 2, .deaf = true});
	rig_agent_open(&agent, 1);
	rig_mask(&mask, FIELD_IPV4_DST, FIELD_N);
	for (unsigned round = 0; round < 300; round++) {
		struct dp_handle flows[5];

		for (uint32_t i = 0; i < 5; i++) {
			struct flow_key key = {.in_port = be32_from(1), .ip_dst = be32_from(i)};

			assert_int_equal(
				rig_put(&agent, &key, 1, &mask, 0, "output(1)", &flows[i]), 0);
		}
		for (unsigned i = 0; i < 5; i++) {
			struct dp_flow_del del = {.cmd.request = i, .flow = flows[i]};

			send_command(&agent, DP_FLOW_DEL, &del, sizeof del, NULL, 0);
		}
		send_command(&agent, DP_BARRIER, &barrier, sizeof barrier, NULL, 0);
		for (unsigned i = 0; i < 5; i++) {
			assert_answer(&agent, DP_FLOW_DEL, i, 0);
		}
		assert_answer(&agent, DP_BARRIER, 1000, 0);
	}
	rig_agent_close(&agent, true);
	rig_stop();
}

static double
cpu_seconds(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* A handler that does not read its replies stops its own commands, wastes no time of the thread, and
 * goes on when it reads. */
static void
test_tables_wait_for_a_handler_that_does_not_read(void **state)
{
	struct dp_list list = {.cmd.request = 0, .max = 64};
	struct flow_mask mask;
	struct dp_actions actions;
	uint64_t end;
	unsigned n_sent = 0, n_read = 0;
	double used;

	(void)state;
	rig_start(1);
	rig_port_add(1, NULL);
	rig_agent_open(&agent, 1);
	rig_mask(&mask, FIELD_IPV4_DST, FIELD_IPV6_DST, FIELD_INNER_TCI, FIELD_N);
	dp_actions_init(&actions);
	for (uint32_t i = 0; i < 64; i++) {
		struct flow_key key = {.in_port = be32_from(1), .ip_dst = be32_from(i)};

		assert_int_equal(rig_put(&agent, &key, 1, &mask, 0, "output(1)", NULL), 0);
	}
	/* Lists answer much with little. */
	for (; n_sent < 1000; n_sent++) {
		list.cmd.request = n_sent;
		send_command(&agent, DP_FLOW_LIST, &list, sizeof list, NULL, 0);
	}
	rig_wait(shm_ring_used(&agent.commands) < 1000 * 40);
	end = rig_ms() + 100;
	used = cpu_seconds();
	while (rig_ms() < end) {
		struct timespec nap = {0, 20000000};

		nanosleep(&nap, NULL);
	}
	assert_true(cpu_seconds() - used < 0.05);
	assert_true(shm_ring_used(&agent.commands) > 0);
	while (n_read < n_sent) {
		if (rig_reply(&agent) == DP_REPLY + DP_FLOW_LIST) {
			assert_int_equal(
				((const struct dp_reply *)agent.msg.body)->request, n_read++);
		}
	}
	rig_barrier(&agent);
	dp_actions_uninit(&actions);
	rig_agent_close(&agent, true);
	rig_stop();
}

static _Atomic uint64_t broken_session;

static void
broken(uint64_t session)
{
	broken_session = session;
}

/* Nonsense in a ring ends the session, not the thread. */
static void
test_tables_broken_ring_ends_the_session(void **state)
{
	struct rig_agent second;

	(void)state;
	rig_start(1);
	rig_port_add(1, NULL);
	tables_set_broken_handler(broken);
	rig_agent_open(&agent, 1);
	rig_wire(&agent, 1, "output(1)");
	atomic_store(&agent.commands.shared->head, agent.commands.own + DP_RING_SIZE + 64);
	worker_kick(workers.list[0]);
	{
		uint64_t one = 1;

		assert_int_equal(write(agent.tables_fd, &one, sizeof one), sizeof one);
	}
	rig_wait(broken_session == agent.session);
	rig_agent_close(&agent, true);
	rig_agent_open(&second, 2);
	rig_wire(&second, 1, "output(1)");
	rig_agent_close(&second, true);
	tables_set_broken_handler(NULL);
	rig_stop();
}

/* A new session fences the old one: nothing of it is read any more. */
static void
test_tables_new_session_fences_the_old(void **state)
{
	struct rig_agent second;
	struct flow_table_counters before, after;
	struct dp_actions actions;
	struct flow_key key = {.in_port = be32_from(1)};
	struct flow_mask mask;

	(void)state;
	rig_start(1);
	rig_port_add(1, NULL);
	rig_agent_open(&agent, 1);
	rig_agent_open(&second, 2);
	flow_table_read_counters(rig_table, &before);
	rig_mask(&mask, FIELD_N);
	dp_actions_init(&actions);
	assert_true(dp_send_flow_put(&agent.commands, 1, &key, 1, &mask, 0, actions.data, 0));
	shm_ring_publish(&agent.commands);
	rig_barrier(&second);
	flow_table_read_counters(rig_table, &after);
	assert_int_equal(after.puts, before.puts);
	/* That the old connection closes is no news. */
	rig_agent_close(&agent, true);
	rig_barrier(&second);
	rig_agent_close(&second, true);
	rig_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables_refuse_flows),
		cmocka_unit_test(test_tables_contexts),
		cmocka_unit_test(test_tables_list_flows_by_pages),
		cmocka_unit_test(test_tables_bad_messages),
		cmocka_unit_test(test_tables_barrier_covers_deletes),
		cmocka_unit_test(test_tables_wait_for_a_handler_that_does_not_read),
		cmocka_unit_test(test_tables_broken_ring_ends_the_session),
		cmocka_unit_test(test_tables_new_session_fences_the_old),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}

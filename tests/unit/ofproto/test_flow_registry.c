/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow registry over a fake datapath: flows come, follow the tables, are counted and go. Which of them a change concerns:
 * test_flow_registry_changes.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/byteorder.h"
#include "ofproto/fdb.h"
#include "tests/unit/ofproto/registry_lab.h"

static void
test_registry_installs_and_credits(void **state)
{
	struct registry_lab *s = *state;

	world_flow(&s->w, "ip,actions=2");
	lab_upcall(s, "in_port=1,tcp,nw_dst=1.2.3.4");
	assert_string_equal(s->f.executed, "output(12)");
	assert_false(flow_registry_is_settled(s->f.r));
	lab_answer(&s->f, s->w.now_ms);
	assert_true(flow_registry_is_settled(s->f.r));
	assert_string_equal(lab_installed(s), "ip,in_port=11 output(12)\n");
	assert_int_equal(lab_counted(s), 1);
	lab_traffic(s, 0, 10);
	lab_run(s, 600);
	assert_int_equal(lab_counted(s), 11);
	/* The same flow asked for again (another worker): only executed. */
	lab_upcall(s, "in_port=1,udp");
	assert_int_equal(s->f.n_puts, 1);
	assert_int_equal(lab_counted(s), 12);
	/* Sums go on from where they were. */
	lab_traffic(s, 0, 5);
	flow_registry_pull(s->f.r, s->w.now_ms);
	assert_int_equal(lab_counted(s), 17);
	lab_run(s, 600);
	assert_int_equal(lab_counted(s), 17);
}

static void
test_registry_follows_the_tables(void **state)
{
	struct registry_lab *s = *state;
	uint64_t version;

	world_flow(&s->w, "ip,actions=2");
	lab_upcall(s, "in_port=1,tcp,nw_dst=1.2.3.4");
	lab_upcall(s, "in_port=1,arp");
	lab_run(s, 1);
	assert_string_equal(lab_installed(s), "ip,in_port=11 output(12)\narp,in_port=11 drop\n");
	world_flow(&s->w, "modify ip,actions=3");
	version = of_model_version(s->w.model);
	assert_true(flow_registry_version(s->f.r) < version);
	assert_int_equal(flow_registry_next_ms(s->f.r), 0);
	lab_run(s, 1);
	assert_true(flow_registry_version(s->f.r) == version);
	assert_string_equal(lab_installed(s), "ip,in_port=11 output(13)\narp,in_port=11 drop\n");
	assert_int_equal(s->f.last_flags, DP_PUT_MODIFY);
	assert_int_equal(lab_counters(s).n_revalidated, 1);
	/* A rule that wants to see more: the flow cannot stay as wide. The other one has nothing to do with it. */
	world_flow(&s->w, "priority=40000,tcp,tp_dst=80,actions=4");
	lab_run(s, 1);
	assert_string_equal(lab_installed(s), "arp,in_port=11 drop\n");
	assert_int_equal(lab_counters(s).n_flows, 1);
	assert_int_equal(lab_counters(s).n_changed, 1);
	assert_int_equal(lab_counters(s).n_deleted, 1);
	assert_int_equal(lab_counters(s).n_revalidated, 2);
}

/* Whatever answers are slow, nobody runs in a circle for them. */
static void
test_registry_sleeps_while_it_waits(void **state)
{
	struct registry_lab *s = *state;

	world_flow(&s->w, "ip,actions=2");
	lab_upcall(s, "in_port=1,tcp,nw_dst=1.2.3.4");
	lab_run(s, 1);
	/* The flow has to go, and its end is not acknowledged when its statistics are due. */
	world_flow(&s->w, "priority=40000,tcp,tp_dst=80,actions=4");
	flow_registry_run(s->f.r, s->w.now_ms, 100);
	assert_int_equal(s->f.n_replies, 1);
	s->w.now_ms += 600;
	flow_registry_run(s->f.r, s->w.now_ms, 100);
	assert_true(flow_registry_next_ms(s->f.r) > s->w.now_ms);
	lab_run(s, 1);
	assert_int_equal(lab_counters(s).n_flows, 0);
	/* The ring is full: it is looked at again in a while. */
	lab_upcall(s, "in_port=1,tcp,nw_dst=1.2.3.4");
	lab_run(s, 1);
	s->f.ring_is_full = true;
	world_flow(&s->w, "modify actions=3");
	flow_registry_run(s->f.r, s->w.now_ms, 100);
	assert_int_equal(flow_registry_next_ms(s->f.r), s->w.now_ms + 1);
	s->f.ring_is_full = false;
	lab_run(s, 1);
	assert_non_null(strstr(lab_installed(s), "output(13)"));
}

static void
test_registry_credits_the_rules_of_the_time(void **state)
{
	struct registry_lab *s = *state;

	world_flow(&s->w, "cookie=0x1,ip,send_flow_rem,actions=2");
	lab_upcall(s, "in_port=1,ip");
	lab_answer(&s->f, s->w.now_ms);
	lab_traffic(s, 0, 10);
	world_flow(&s->w, "delete ip");
	world_flow(&s->w, "cookie=0x2,ip,nw_dst=0.0.0.0/1,actions=3");
	world_run(&s->w, 1);
	/* The flow still counts for the old rule: flow-removed waits. */
	assert_int_equal(s->w.n_removed, 0);
	lab_run(s, 1);
	assert_string_equal(s->w.removed, "2 ip 11/1100\n");
	assert_int_equal(lab_counted(s), 0);
}

static void
test_registry_credits_final_counters(void **state)
{
	struct registry_lab *s = *state;

	world_flow(&s->w, "ip,actions=2");
	lab_upcall(s, "in_port=1,ip");
	lab_answer(&s->f, s->w.now_ms);
	lab_traffic(s, 0, 10);
	lab_run(s, 9000);
	/* Ten seconds without a packet. */
	s->w.now_ms += 2000;
	lab_traffic(s, 0, 0);
	s->f.flows[0].stats.used_ms = s->w.now_ms - 11000;
	flow_registry_run(s->f.r, s->w.now_ms, 100);
	assert_int_equal(s->f.n_flows, 0);
	assert_int_equal(lab_counters(s).n_idle, 1);
	/* The last packets came between the last reading and the delete. */
	s->f.replies[0].del.final.packets += 7;
	s->f.replies[0].del.final.bytes += 700;
	lab_answer(&s->f, s->w.now_ms);
	assert_int_equal(lab_counted(s), 18);
	assert_int_equal(lab_counters(s).n_flows, 0);
}

static struct registry_lab *racing;

static void
change_rules(struct registry_fake *f)
{
	f->in_put = NULL;
	world_flow(&racing->w, "modify ip,actions=5");
}

static void
test_registry_version_moves_under_a_miss(void **state)
{
	struct registry_lab *s = *state;

	racing = s;
	world_flow(&s->w, "ip,actions=2");
	s->f.in_put = change_rules;
	lab_upcall(s, "in_port=1,ip");
	assert_int_equal(lab_counters(s).n_retranslated, 1);
	/* Not in force before the flow has followed. */
	assert_true(flow_registry_version(s->f.r) < of_model_version(s->w.model));
	lab_run(s, 1);
	assert_string_equal(lab_installed(s), "ip,in_port=11 output(15)\n");
	assert_true(flow_registry_version(s->f.r) == of_model_version(s->w.model));
}

static void
test_registry_narrows_at_the_second_upcall(void **state)
{
	struct registry_lab *s = *state;

	world_flow(&s->w, "ip,actions=2");
	s->f.refuse_put = -EDQUOT;
	lab_upcall(s, "in_port=1,ip,dl_src=00:00:00:00:00:05");
	lab_answer(&s->f, s->w.now_ms);
	assert_string_equal(s->f.executed, "output(12)");
	assert_int_equal(s->f.n_flows, 0);
	assert_int_equal(lab_counters(s).n_flows, 0);
	lab_upcall(s, "in_port=1,ip,dl_src=00:00:00:00:00:06");
	lab_answer(&s->f, s->w.now_ms);
	assert_int_equal(s->f.n_flows, 0);
	lab_upcall(s, "in_port=1,ip,dl_src=00:00:00:00:00:05");
	lab_answer(&s->f, s->w.now_ms);
	assert_string_equal(
		lab_installed(s), "ip,in_port=11,dl_src=00:00:00:00:00:05 output(12)\n");
	assert_int_equal(lab_counters(s).n_narrowed, 1);
	/* It is changed and deleted under the mask that it has. */
	s->f.refuse_put = 0;
	world_flow(&s->w, "modify ip,actions=3");
	lab_run(s, 1);
	assert_string_equal(
		lab_installed(s), "ip,in_port=11,dl_src=00:00:00:00:00:05 output(13)\n");
	world_flow(&s->w, "priority=40000,dl_src=00:00:00:00:00:05,actions=4");
	lab_run(s, 1);
	assert_string_equal(
		lab_installed(s), "ip,in_port=11,dl_src=00:00:00:00:00:05 output(14)\n");
	world_flow(&s->w, "priority=40001,dl_dst=00:00:00:00:00:05,actions=4");
	lab_run(s, 1);
	assert_string_equal(lab_installed(s), "");
}

/* A table that is full makes room at the expense of what nobody uses. */
static void
test_registry_evicts(void **state)
{
	struct registry_lab *s = *state;

	world_flow(&s->w, "ip,dl_src=00:00:00:00:00:00/00:00:00:00:00:ff,actions=2");
	world_flow(&s->w, "dl_src=00:00:00:00:00:00/00:00:00:00:00:00,actions=2");
	for (unsigned i = 0; i < 200; i++) {
		char packet[80];

		snprintf(packet, sizeof(packet), "in_port=%u,ip,dl_src=00:00:00:00:00:%02x",
			i < 100 ? 1 : 2, i);
		lab_upcall(s, packet);
		lab_answer(&s->f, s->w.now_ms);
	}
	assert_int_equal(s->f.n_flows, 200);
	/* The first half of port 1's are used between two refusals. */
	for (unsigned i = 0; i < 50; i++) {
		lab_traffic(s, i, 1);
	}
	s->f.refuse_put = -ENOSPC;
	lab_upcall(s, "in_port=1,ip,dl_src=00:00:00:00:00:fe");
	s->f.refuse_put = 0;
	lab_answer(&s->f, s->w.now_ms);
	lab_answer(&s->f, s->w.now_ms);
	assert_int_equal(lab_counters(s).n_evicted, 50);
	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(s->f.flows[i].used, i < 50 || i >= 100);
	}
	lab_upcall(s, "in_port=1,ip,dl_src=00:00:00:00:00:fe");
	lab_answer(&s->f, s->w.now_ms);
	assert_int_equal(s->f.n_flows, 151);
	/* All are in use: one gives way. */
	for (unsigned i = 0; i <= 50; i++) {
		lab_traffic(s, i, 1);
	}
	s->f.refuse_put = -ENOSPC;
	lab_upcall(s, "in_port=1,ip,dl_src=00:00:00:00:00:ff");
	s->f.refuse_put = 0;
	lab_answer(&s->f, s->w.now_ms);
	lab_answer(&s->f, s->w.now_ms);
	assert_int_equal(lab_counters(s).n_evicted, 51);
	assert_int_equal(s->f.n_flows, 150);
	/* A port without flows has none to give. */
	s->f.refuse_put = -ENOSPC;
	lab_upcall(s, "in_port=3,ip");
	s->f.refuse_put = 0;
	lab_answer(&s->f, s->w.now_ms);
	assert_int_equal(lab_counters(s).n_evicted, 51);
}

static void
test_registry_refusals(void **state)
{
	struct registry_lab *s = *state;
	struct flow_key key;
	struct flow_registry_ops ops = registry_fake_ops(&s->f);
	struct flow_registry *other;

	world_flow(&s->w, "ip,actions=2");
	s->f.refuse_put = -ENOSPC;
	lab_upcall(s, "in_port=1,ip");
	lab_answer(&s->f, s->w.now_ms);
	assert_int_equal(lab_counters(s).n_flows, 0);
	assert_int_equal(lab_counters(s).n_refused, 1);
	s->f.refuse_put = 0;
	/* A full ring. */
	s->f.ring_is_full = true;
	lab_upcall(s, "in_port=1,ip");
	assert_int_equal(lab_counters(s).n_flows, 0);
	s->f.ring_is_full = false;
	lab_upcall(s, "in_port=1,ip");
	lab_answer(&s->f, s->w.now_ms);
	assert_int_equal(s->f.n_flows, 1);
	s->f.ring_is_full = true;
	world_flow(&s->w, "modify ip,actions=3");
	lab_run(s, 1);
	assert_true(flow_registry_version(s->f.r) < of_model_version(s->w.model));
	s->f.ring_is_full = false;
	lab_run(s, 1);
	assert_true(flow_registry_version(s->f.r) == of_model_version(s->w.model));
	assert_string_equal(lab_installed(s), "ip,in_port=11 output(13)\n");
	/* Another handler has it already: not ours to change or delete. */
	other = flow_registry_create(s->w.reader, &ops);
	world_key("in_port=1,udp", &key);
	flow_registry_upcall(other, &(struct dp_upcall){.packet_len = 100}, &key, 1, s->w.now_ms);
	assert_int_equal(s->f.n_replies, 1);
	assert_int_equal(s->f.replies[0].reply.status, -EEXIST);
	s->f.replies[0].msg.body = &s->f.replies[0].reply;
	flow_registry_reply(other, &s->f.replies[0].msg, s->w.now_ms);
	s->f.n_replies = 0;
	assert_true(flow_registry_is_settled(other));
	flow_registry_destroy(other);
	assert_int_equal(s->f.n_flows, 1);
	/* A port that nobody knows. */
	lab_upcall(s, "in_port=60,ip");
	assert_string_equal(s->f.executed, "drop(agent-refused)");
}

static void
test_registry_adopts(void **state)
{
	struct registry_lab *s = *state;
	struct dp_flow_item item = {.flow = {0, 1}, .stats = {.packets = 50, .bytes = 5000}};
	struct dp_message msg = {.type = DP_FLOW_ITEM, .body = &item};
	struct registry_fake_flow *flow = &s->f.flows[0];

	/* An earlier agent left this. */
	flow->used = true;
	flow->handle = item.flow;
	flow->stats = item.stats;
	flow->mask.bits.in_port = flow->mask.bits.recirc_id = UINT32_MAX;
	flow->mask.bits.eth_type = UINT16_MAX;
	flow->key.in_port = be32_from(11);
	flow->key.eth_type = be16_from(0x0800);
	dp_actions_put_output(&flow->actions, (struct dp_port){12}, 0);
	s->f.n_flows = 1;
	s->f.next_gen = 1;
	msg.key = flow->key;
	msg.mask = flow->mask;
	msg.actions = flow->actions.data;
	msg.actions_size = flow->actions.size;
	flow_registry_adopt(s->f.r, &msg, NULL, s->w.now_ms);
	assert_int_equal(lab_counters(s).n_adopted, 1);
	lab_traffic(s, 0, 5);
	lab_run(s, 60000);
	assert_string_equal(lab_installed(s), "ip,in_port=11 output(12)\n");
	/* Traffic in the meantime keeps it, even though nobody owns it yet. */
	world_flow(&s->w, "ip,actions=3");
	lab_traffic(s, 0, 1);
	flow_registry_release(s->f.r);
	assert_int_equal(flow_registry_version(s->f.r), 0);
	lab_run(s, 1);
	assert_string_equal(lab_installed(s), "ip,in_port=11 output(13)\n");
	lab_run(s, 600);
	/* What came since the adoption belongs to the rule. */
	assert_int_equal(lab_counted(s), 6);
	assert_int_equal(lab_counters(s).n_adopted, 0);
}

static void
test_registry_learns(void **state)
{
	struct registry_lab *s = *state;
	uint8_t mac[6] = {0, 0, 0, 0, 0, 1};

	world_flow(&s->w, "actions=NORMAL");
	lab_upcall(s, "in_port=1,dl_src=00:00:00:00:00:01,dl_dst=00:00:00:00:00:02");
	assert_int_equal(fdb_lookup(ofproto_fdb(s->w.p), 0, mac).v, 1);
	lab_run(s, 1);
	assert_non_null(strstr(lab_installed(s), "output(12),output(13)"));
	/* The answer makes the flood stop, both ways. */
	lab_upcall(s, "in_port=2,dl_src=00:00:00:00:00:02,dl_dst=00:00:00:00:00:01");
	lab_run(s, 1);
	assert_string_equal(s->f.executed, "output(11)");
	assert_non_null(strstr(lab_installed(s), "dl_dst=00:00:00:00:00:02 output(12)\n"));
	/* Traffic of the flow keeps the address alive. */
	for (unsigned i = 0; i < 400; i++) {
		lab_traffic(s, 0, 1);
		lab_run(s, 1000);
	}
	assert_int_equal(fdb_lookup(ofproto_fdb(s->w.p), 0, mac).v, 1);
	mac[5] = 2;
	assert_int_equal(fdb_lookup(ofproto_fdb(s->w.p), 0, mac).v, OFPP_ANY);
	assert_non_null(strstr(lab_installed(s), "output(12),output(13)"));
}

static void
test_registry_contexts(void **state)
{
	struct registry_lab *s = *state;

	world_flow(&s->w, "ip,actions=controller:100");
	lab_upcall(s, "in_port=1,ip");
	lab_upcall(s, "in_port=2,ip");
	lab_answer(&s->f, s->w.now_ms);
	assert_int_equal(s->f.n_contexts, 1);
	world_flow(&s->w, "delete");
	lab_run(s, 1);
	/* Long after the last flow is gone the context goes. */
	assert_int_equal(s->w.n_contexts_gone, 0);
	lab_run(s, 11000);
	lab_run(s, 11000);
	for (unsigned i = 0; i < 50; i++) {
		lab_run(s, 500);
	}
	assert_int_equal(s->w.n_contexts_gone, 1);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, registry_lab_begin, registry_lab_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_registry_installs_and_credits),
		TEST(test_registry_follows_the_tables),
		TEST(test_registry_sleeps_while_it_waits),
		TEST(test_registry_credits_the_rules_of_the_time),
		TEST(test_registry_credits_final_counters),
		TEST(test_registry_version_moves_under_a_miss),
		TEST(test_registry_narrows_at_the_second_upcall),
		TEST(test_registry_refusals),
		TEST(test_registry_evicts),
		TEST(test_registry_adopts),
		TEST(test_registry_learns),
		TEST(test_registry_contexts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Patch ports: what a packet takes along to another switch, and what stays behind.
 *
 *	1..8 (11..18) [s1] 9 ---- 9 [s2] 1 (21), 2 (22)
 *	                  10 ---- 10
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/byteorder.h"
#include "ofproto/of_context.h"
#include "ofproto/of_counter.h"
#include "ofproto/of_text.h"
#include "tests/unit/ofproto/world.h"

struct two {
	struct world w; /* its switch is s1 or s2, whichever is spoken to */
	struct ofproto *s1;
	struct ofproto *s2;
};

static void
plain_port(struct ofproto *p, unsigned number, unsigned dp)
{
	struct of_port_info info = {.number = OF_PORT(number), .dp_port = {dp}};

	snprintf(info.name, sizeof(info.name), "%s-%u", ofproto_name(p), number);
	assert_true(ofproto_port_set(p, &info, NULL));
}

static void
patch_port(struct ofproto *p, unsigned number, const struct ofproto *peer, unsigned peer_number,
	uint32_t config)
{
	struct of_port_info info = {
		.number = OF_PORT(number),
		.dp_port = DP_PORT_NONE,
		.config = config,
		.kind = OF_PORT_PATCH,
		.patch = {peer ? ofproto_id(peer) : UINT32_MAX, OF_PORT(peer_number)},
	};

	snprintf(info.name, sizeof(info.name), "%s-%u", ofproto_name(p), number);
	assert_true(ofproto_port_set(p, &info, NULL));
}

static int
begin(void **state)
{
	struct two *t = calloc(1, sizeof(*t));

	world_init(&t->w);
	t->s1 = t->w.p;
	t->s2 = ofproto_create(t->w.model, "s2", 2, NULL);
	plain_port(t->s2, 1, 21);
	plain_port(t->s2, 2, 22);
	patch_port(t->s1, 9, t->s2, 9, 0);
	patch_port(t->s2, 9, t->s1, 9, 0);
	*state = t;
	return 0;
}

static int
end(void **state)
{
	struct two *t = *state;

	if (t->s2) {
		ofproto_destroy(t->s2);
	}
	t->w.p = t->s1;
	world_uninit(&t->w);
	free(t);
	return 0;
}

static void
flow(struct two *t, struct ofproto *p, const char *text)
{
	t->w.p = p;
	world_flow(&t->w, text);
	t->w.p = t->s1;
}

#define EXPECT(T, PACKET, ACTIONS) assert_string_equal(world_translate(&(T)->w, PACKET), ACTIONS)

static void
test_patch_is_seen_through(void **state)
{
	struct two *t = *state;

	flow(t, t->s1, "in_port=1,actions=output:9");
	flow(t, t->s1, "in_port=2,actions=output:3,output:9,output:4");
	flow(t, t->s1, "in_port=9,actions=output:5");
	flow(t, t->s2, "in_port=9,tcp,actions=output:1,output:2,output:3");
	EXPECT(t, "in_port=1,tcp", "output(21),output(22)");
	EXPECT(t, "in_port=2,tcp", "output(13),output(21),output(22),output(14)");
	assert_int_equal(t->w.t.n_rules, 2);
	/* What the other switch looked at is in the mask; that nothing came of it, too. */
	EXPECT(t, "in_port=2,udp", "output(13),output(14)");
	assert_string_equal(world_mask(&t->w), "eth_type,nw_proto");
	EXPECT(t, "in_port=1,udp", "drop");
	assert_int_equal(t->w.t.drop, DROP_EXPLICIT);
	/* And back. A packet does not leave by the port that it came by, unless IN_PORT says so. */
	flow(t, t->s2, "priority=40000,in_port=9,udp,actions=output:9,output:1");
	EXPECT(t, "in_port=1,udp", "output(21)");
	flow(t, t->s2, "priority=40000,in_port=9,udp,actions=in_port,output:1");
	EXPECT(t, "in_port=1,udp", "output(15),output(21)");
}

static void
test_patch_keeps_changes_apart(void **state)
{
	struct two *t = *state;

	flow(t, t->s2,
		"in_port=9,actions=set_field:00:00:00:00:00:09->eth_src,push_vlan:0x8100,output:1");
	flow(t, t->s1, "in_port=1,actions=output:9,output:2");
	EXPECT(t, "in_port=1",
		"clone(push_vlan(tpid=0x8100,vid=0,pcp=0),set(eth_src=00:00:00:00:00:09),output(21)),"
		"output(12)");
	flow(t, t->s1, "in_port=2,actions=output:1,output:9");
	EXPECT(t, "in_port=2",
		"output(11),push_vlan(tpid=0x8100,vid=0,pcp=0),set(eth_src=00:00:00:00:00:09),"
		"output(21)");
	/* What was set before goes along. */
	flow(t, t->s1, "in_port=3,actions=set_field:00:00:00:00:00:07->eth_dst,output:9");
	flow(t, t->s2, "priority=40000,in_port=9,dl_dst=00:00:00:00:00:07,actions=output:2");
	EXPECT(t, "in_port=3", "set(eth_dst=00:00:00:00:00:07),output(22)");
	assert_string_equal(world_mask(&t->w), "");
}

static void
test_patch_forgets_registers_and_action_set(void **state)
{
	struct two *t = *state;

	flow(t, t->s1,
		"in_port=1,actions=load:7->NXM_NX_REG0[],load:7->NXM_NX_REG15[],set_field:5->tun_id,"
		"set_field:7->pkt_mark,write_actions(output:3),write_metadata:9,goto_table:1");
	flow(t, t->s1, "table=1,reg0=7,actions=output:9,goto_table:2");
	flow(t, t->s1, "table=2,reg0=7,reg15=7,tun_id=5,metadata=9,actions=output:2");
	flow(t, t->s2, "reg0=0,reg15=0,tun_id=0,metadata=0,pkt_mark=7,actions=output:1");
	EXPECT(t, "in_port=1", "output(21),output(12),output(13)");
	assert_string_equal(world_mask(&t->w), "");
	/* The other's action set is its own, executed there. */
	flow(t, t->s2,
		"reg0=0,reg15=0,tun_id=0,metadata=0,pkt_mark=7,actions=write_actions(output:2)");
	EXPECT(t, "in_port=1", "output(22),output(12),output(13)");
	/* A tunnel's header ends at the first switch. */
	flow(t, t->s1, "in_port=2,actions=output:9");
	flow(t, t->s2, "priority=40000,tun_id=6,actions=output:2");
	flow(t, t->s2, "priority=40000,tun_src=1.2.3.4,actions=output:2");
	flow(t, t->s2, "priority=1,actions=output:1");
	EXPECT(t, "in_port=2,tun_id=6,tun_src=1.2.3.4", "output(21)");
	assert_string_equal(world_mask(&t->w), "");
}

static void
test_patch_normal_floods_and_learns(void **state)
{
	static const uint8_t mac[6] = {0, 0, 0, 0, 0, 1}, far[6] = {0, 0, 0, 0, 0, 2};
	struct two *t = *state;

	for (unsigned i = 3; i <= 8; i++) {
		ofproto_port_del(t->s1, OF_PORT(i));
	}
	world_port(&t->w, 1, OF_VLAN_ACCESS, 10, NULL);
	flow(t, t->s1, "actions=NORMAL");
	flow(t, t->s2, "actions=NORMAL");
	EXPECT(t, "in_port=1,dl_src=00:00:00:00:00:01",
		"push_vlan(tpid=0x8100,vid=10,pcp=0),output(12),output(21),output(22)");
	assert_int_equal(t->w.t.n_learned, 2);
	assert_int_equal(t->w.t.learned[0].ofproto_id, ofproto_id(t->s1));
	assert_int_equal(t->w.t.learned[0].place.port.v, 1);
	assert_int_equal(t->w.t.learned[1].ofproto_id, ofproto_id(t->s2));
	assert_int_equal(t->w.t.learned[1].place.port.v, 9);
	assert_int_equal(t->w.t.learned[1].vlan, 10);
	/* Known on the far side, then on both. */
	ofproto_fdb_learn(t->s2, 10, far, OF_PORT(1), t->w.now_ms);
	ofproto_fdb_learn(t->s1, 10, far, OF_PORT(9), t->w.now_ms);
	EXPECT(t, "in_port=1,dl_dst=00:00:00:00:00:02",
		"push_vlan(tpid=0x8100,vid=10,pcp=0),output(21)");
	ofproto_fdb_learn(t->s1, 10, mac, OF_PORT(1), t->w.now_ms);
	ofproto_fdb_learn(t->s2, 10, mac, OF_PORT(9), t->w.now_ms);
	/* The other way; s2's port 1 is datapath port 21. */
	EXPECT(t, "in_port=11,dl_vlan=10,dl_dst=00:00:00:00:00:01", "pop_vlan,output(11)");
	patch_port(t->s1, 9, t->s2, 9, OF_PORT_DOWN);
	EXPECT(t, "in_port=1,dl_dst=00:00:00:00:00:02", "drop(tx-down)");
	patch_port(t->s1, 9, t->s2, 9, 0);
	/* FLOOD and ALL go through too. */
	flow(t, t->s1, "priority=40000,in_port=2,actions=FLOOD");
	EXPECT(t, "in_port=2,dl_vlan=10", "output(11),output(21),output(22)");
}

/* As a flow that forwards would credit. */
static void
credit(struct translation *t, uint64_t packets, uint64_t bytes)
{
	for (uint32_t i = 0; i < t->counters.n; i++) {
		of_counter_add(t->counters.v[i], packets, bytes);
	}
}

static void
expect_traffic(struct ofproto *p, unsigned port, uint64_t rx, uint64_t tx)
{
	struct of_port_traffic traffic;

	assert_true(ofproto_port_traffic(p, OF_PORT(port), &traffic));
	assert_int_equal(traffic.rx_packets, rx);
	assert_int_equal(traffic.rx_bytes, 100 * rx);
	assert_int_equal(traffic.tx_packets, tx);
	assert_int_equal(traffic.tx_bytes, 100 * tx);
}

static void
test_patch_counts(void **state)
{
	struct two *t = *state;
	struct of_port_traffic traffic;

	flow(t, t->s1, "in_port=1,actions=output:9");
	flow(t, t->s2, "in_port=9,udp,actions=output:1");
	flow(t, t->s2, "in_port=9,tcp,actions=IN_PORT");
	EXPECT(t, "in_port=1,udp", "output(21)");
	credit(&t->w.t, 3, 300);
	expect_traffic(t->s1, 9, 0, 3);
	expect_traffic(t->s2, 9, 3, 0);
	/* What changes of the port leaves its counters. */
	patch_port(t->s1, 9, t->s2, 9, OF_PORT_NO_FLOOD);
	patch_port(t->s2, 9, t->s1, 9, OF_PORT_NO_FLOOD);
	EXPECT(t, "in_port=1,tcp", "drop");
	credit(&t->w.t, 2, 200);
	expect_traffic(t->s1, 9, 2, 5);
	expect_traffic(t->s2, 9, 5, 2);
	assert_false(ofproto_port_traffic(t->s1, OF_PORT(1), &traffic));
	assert_false(ofproto_port_traffic(t->s1, OF_PORT(99), &traffic));
	/* Another port of that number begins anew. */
	ofproto_port_del(t->s1, OF_PORT(9));
	patch_port(t->s1, 9, t->s2, 9, 0);
	expect_traffic(t->s1, 9, 0, 0);
}

static void
test_patch_without_peer_drops(void **state)
{
	struct two *t = *state;

	flow(t, t->s1, "in_port=1,actions=output:9");
	flow(t, t->s2, "actions=output:1");
	EXPECT(t, "in_port=1", "output(21)");
	patch_port(t->s1, 9, t->s2, 9, OF_PORT_DOWN);
	EXPECT(t, "in_port=1", "drop(tx-down)");
	patch_port(t->s1, 9, t->s2, 9, 0);
	patch_port(t->s2, 9, t->s1, 9, OF_PORT_DOWN);
	EXPECT(t, "in_port=1", "drop(rx-disabled)");
	patch_port(t->s2, 9, t->s1, 9, OF_PORT_NO_RECV);
	EXPECT(t, "in_port=1", "drop(rx-disabled)");
	/* It leads elsewhere, to a plain port, to nothing, out of the model. */
	patch_port(t->s2, 9, t->s1, 8, 0);
	EXPECT(t, "in_port=1", "drop(tx-down)");
	patch_port(t->s2, 9, NULL, 0, 0);
	EXPECT(t, "in_port=1", "drop(tx-down)");
	patch_port(t->s1, 9, t->s2, 1, 0);
	EXPECT(t, "in_port=1", "drop(tx-down)");
	patch_port(t->s1, 9, NULL, 0, 0);
	EXPECT(t, "in_port=1", "drop(tx-down)");
	patch_port(t->s1, 9, t->s2, 9, 0);
	patch_port(t->s2, 9, t->s1, 9, 0);
	EXPECT(t, "in_port=1", "output(21)");
	ofproto_port_del(t->s2, OF_PORT(9));
	EXPECT(t, "in_port=1", "drop(tx-down)");
	ofproto_destroy(t->s2);
	t->s2 = NULL;
	EXPECT(t, "in_port=1", "drop(tx-down)");
}

static void
test_patch_loops_end(void **state)
{
	struct two *t = *state;

	/* From one to the other and back for ever. */
	flow(t, t->s1, "in_port=1,actions=output:2,output:9");
	flow(t, t->s1, "in_port=9,actions=IN_PORT");
	flow(t, t->s2, "in_port=9,actions=IN_PORT");
	EXPECT(t, "in_port=1", "drop(resubmit-depth)");
	/* Two cables between the two: a flood goes round in both directions. */
	patch_port(t->s1, 10, t->s2, 10, 0);
	patch_port(t->s2, 10, t->s1, 10, 0);
	flow(t, t->s1, "priority=40000,actions=NORMAL");
	flow(t, t->s2, "priority=40000,actions=NORMAL");
	EXPECT(t, "in_port=1", "drop(resubmit-depth)");
	/* Three: twice as many copies at each passage. */
	patch_port(t->s1, 11, t->s2, 11, 0);
	patch_port(t->s2, 11, t->s1, 11, 0);
	world_translate(&t->w, "in_port=1");
	assert_true(t->w.t.drop == DROP_RESUBMIT_DEPTH || t->w.t.drop == DROP_TRANSLATION_LIMIT);
}

static void
test_patch_far_switch_recirculates(void **state)
{
	struct two *t = *state;
	struct flow_key key;

	flow(t, t->s1, "in_port=1,actions=load:1->NXM_NX_REG0[],output:9,output:2");
	flow(t, t->s2, "in_port=9,mpls,actions=load:2->NXM_NX_REG1[],pop_mpls:0x800,resubmit(,1)");
	flow(t, t->s2, "table=1,in_port=9,reg0=0,reg1=2,ip,actions=output:1");
	world_translate(&t->w, "in_port=1,mpls");
	assert_memory_equal(t->w.text, "clone(pop_mpls", 14);
	assert_non_null(strstr(t->w.text, "),output(12)"));
	assert_int_equal(t->w.t.n_contexts, 1);
	world_key("in_port=1,ip", &key);
	key.recirc_id = be32_from(t->w.t.contexts[0]);
	assert_string_equal(world_translate_key(&t->w, &key), "output(21)");
}

static void
test_patch_far_controller_sees_its_port(void **state)
{
	struct two *t = *state;
	struct of_context c;
	const void *bytes;
	size_t size;

	flow(t, t->s1, "in_port=2,actions=load:1->NXM_NX_REG0[],output:9");
	flow(t, t->s2, "in_port=9,cookie=5,actions=controller");
	world_translate(&t->w, "in_port=2");
	assert_int_equal(t->w.t.n_contexts, 1);
	of_reader_enter(t->w.reader);
	bytes = of_context_find(t->w.model, t->w.t.contexts[0], &size);
	assert_non_null(bytes);
	assert_true(of_context_decode(bytes, size, &c, NULL));
	of_reader_leave(t->w.reader);
	assert_int_equal(c.ofproto_id, ofproto_id(t->s2));
	assert_int_equal(c.in_port, 9);
	assert_int_equal(c.cookie, 5);
	assert_int_equal(c.regs[0], 0);
}

/* What the controllers behind the packet-in are told of a packet that a controller of s1 sends. */
static void
send_out(struct two *t, unsigned in_port, const struct of_actions *actions, struct of_context *c)
{
	struct flow_key key;
	struct translate_in in = {.key = &key, .reader = t->w.reader};
	const void *bytes;
	size_t size;

	world_key("ip", &key);
	key.in_port = be32_from(in_port);
	of_reader_enter(t->w.reader);
	in.version = of_model_version(t->w.model);
	translation_clear(&t->w.t, t->w.model);
	translate_packet_out(&in, t->s1, actions->data, actions->size, &t->w.t);
	assert_int_equal(t->w.t.n_contexts, 1);
	bytes = of_context_find(t->w.model, t->w.t.contexts[0], &size);
	assert_true(of_context_decode(bytes, size, c, NULL));
	of_reader_leave(t->w.reader);
}

/* A packet-out has an OpenFlow port, or none, and no datapath port that a context could leave it to. */
static void
test_patch_far_controller_sees_what_was_sent(void **state)
{
	struct two *t = *state;
	struct of_actions actions;
	struct of_context c;

	flow(t, t->s1, "actions=controller");
	flow(t, t->s2, "actions=controller");
	plain_port(t->s1, 30, 5);
	of_actions_init(&actions);
	of_actions_put_output(&actions, OF_PORT(9), 0);
	send_out(t, OFPP_ANY, &actions, &c);
	assert_int_equal(c.ofproto_id, ofproto_id(t->s2));
	assert_int_equal(c.in_port, 9);
	send_out(t, 1, &actions, &c);
	assert_int_equal(c.in_port, 9);
	of_actions_clear(&actions);
	of_actions_put_output(&actions, OF_PORT(OFPP_TABLE), 0);
	send_out(t, OFPP_ANY, &actions, &c);
	assert_int_equal(c.ofproto_id, ofproto_id(t->s1));
	assert_int_equal(c.in_port, OFPP_ANY);
	of_actions_clear(&actions);
	of_actions_put_resubmit(&actions, OF_PORT(30), 0);
	send_out(t, 5, &actions, &c);
	assert_int_equal(c.in_port, 30);
	of_actions_uninit(&actions);
}

static void
test_patch_far_switch_may_be_standalone(void **state)
{
	struct two *t = *state;
	struct of_settings s;

	flow(t, t->s1, "in_port=1,actions=output:9");
	EXPECT(t, "in_port=1", "drop");
	ofproto_get_settings(t->s2, &s);
	s.standalone_now = true;
	ofproto_set_settings(t->s2, &s);
	EXPECT(t, "in_port=1", "output(21),output(22)");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_patch_is_seen_through, begin, end),
		cmocka_unit_test_setup_teardown(test_patch_keeps_changes_apart, begin, end),
		cmocka_unit_test_setup_teardown(
			test_patch_forgets_registers_and_action_set, begin, end),
		cmocka_unit_test_setup_teardown(test_patch_normal_floods_and_learns, begin, end),
		cmocka_unit_test_setup_teardown(test_patch_counts, begin, end),
		cmocka_unit_test_setup_teardown(test_patch_without_peer_drops, begin, end),
		cmocka_unit_test_setup_teardown(test_patch_loops_end, begin, end),
		cmocka_unit_test_setup_teardown(test_patch_far_switch_recirculates, begin, end),
		cmocka_unit_test_setup_teardown(
			test_patch_far_controller_sees_its_port, begin, end),
		cmocka_unit_test_setup_teardown(
			test_patch_far_controller_sees_what_was_sent, begin, end),
		cmocka_unit_test_setup_teardown(
			test_patch_far_switch_may_be_standalone, begin, end),
	};

	return cmocka_run_group_tests_name("patch", tests, NULL, NULL);
}

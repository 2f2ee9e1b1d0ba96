/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups whose buckets leave the switch, by tunnel and patch ports: what the datapath is given to choose from
 * (underlay_lab.h).
 *
 *	[s1] 20 (40) to 192.0.2.2, 21 (41) to 192.0.2.3; 30 ---- 30 [u]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/dp_protocol.h"
#include "ofproto/of_text.h"
#include "tests/unit/ofproto/underlay_lab.h"

#define EXPECT(T, PACKET, ACTIONS) assert_string_equal(lab_translate(T, PACKET), ACTIONS)
#define EXPECT_MASK(T, MASK) assert_string_equal(world_mask(&(T)->w), MASK)

/* Group 1 of s1 has these buckets, "WEIGHT WATCHED ACTIONS" (0: nothing). */
static void
group(struct underlay_lab *t, enum of_group_type type, const char *first, const char *second)
{
	const char *const buckets[] = {first, second};
	struct of_group_mod gm;

	of_group_mod_init(&gm);
	gm.command = OF_MOD_ADD;
	gm.type = (uint8_t)type;
	gm.group = 1;
	for (unsigned i = 0; i < 2; i++) {
		struct of_bucket *b = of_group_mod_add_bucket(&gm);
		unsigned weight, port;
		int at;

		assert_int_equal(sscanf(buckets[i], "%u %u %n", &weight, &port, &at), 2);
		b->weight = (uint16_t)weight;
		b->watch_port = port ? OF_PORT(port) : OF_PORT_NONE;
		assert_true(of_text_parse_actions(
			buckets[i] + at, strlen(buckets[i] + at), true, NULL, &b->actions, NULL));
	}
	if (!ofproto_group_mod(t->s1, &gm, t->w.now_ms, NULL)) { /* it is there */
		gm.command = OF_MOD_MODIFY;
		assert_true(ofproto_group_mod(t->s1, &gm, t->w.now_ms, NULL));
	}
	of_group_mod_uninit(&gm);
}

static void
patch(struct ofproto *p, struct ofproto *peer, uint32_t config)
{
	struct of_port_info info = {
		.number = OF_PORT(30),
		.dp_port = DP_PORT_NONE,
		.config = config,
		.kind = OF_PORT_PATCH,
		.patch = {ofproto_id(peer), OF_PORT(30)},
	};

	snprintf(info.name, sizeof(info.name), "to-%s", ofproto_name(peer));
	assert_true(ofproto_port_set(p, &info, NULL));
}

static void
set_up(struct underlay_lab *t)
{
	struct of_tunnel one = lab_tunnel("192.0.2.2"), other = lab_tunnel("192.0.2.3");

	one.id_by = other.id_by = OF_TUNNEL_FLOW;
	lab_tunnel_port(t, 20, &one);
	lab_tunnel_port(t, 21, &other);
	lab_route(t, 2, 1, 2);
	lab_route(t, 3, 1, 3);
	patch(t->s1, t->u, 0);
	patch(t->u, t->s1, 0);
	lab_flow(t, t->u, "in_port=9,actions=output:1");
	group(t, OF_GROUP_SELECT, "1 0 drop", "1 0 drop");
	lab_flow(t, t->s1, "in_port=1,actions=set_field:7->tun_id,group:1");
	t->may_choose = true;
}

/* Whatever the connection: one flow, one choice of the datapath's. */
static void
test_group_overlay_tunnels(void **state)
{
	struct underlay_lab *t = *state;
	uint32_t seed;

	set_up(t);
	group(t, OF_GROUP_SELECT, "3 0 output:20", "1 21 output:21");
	EXPECT(t, "in_port=1,tcp,tcp_src=5", "set(tun_id=0x7),select(100.1)");
	EXPECT_MASK(t, "");
	/* A bucket counts its packets, the tunnel port's and the underlay rule's. */
	assert_string_equal(t->choices[0],
		"select [3:-1:0 encap(1.1),output(31) 2/1] [1:41:0 encap(2.1),output(31) 2/1]");
	assert_int_equal(t->w.t.n_rules, 1);
	assert_int_equal(t->w.t.counters.n, 1);
	/* Other tenants share the choice: their id is the flow's. */
	lab_flow(t, t->s1, "in_port=2,actions=set_field:8->tun_id,output:3,group:1");
	EXPECT(t, "in_port=2", "output(13),set(tun_id=0x8),select(100.1)");
	/* What buckets set themselves is theirs. */
	seed = t->seed;
	group(t, OF_GROUP_SELECT, "1 0 set_field:9->tun_id,output:20", "1 0 output:21");
	EXPECT(t, "in_port=1", "set(tun_id=0x7),select(101.1)");
	assert_int_equal(t->seed, seed); /* the group's, so that connections stay where they are */
	assert_string_equal(t->choices[1],
		"select [1:-1:0 set(tun_id=0x9),encap(1.1),output(31) 2/1] "
		"[1:-1:0 encap(2.1),output(31) 2/1]");
	/* No tunnel, no need of an id. */
	group(t, OF_GROUP_SELECT, "1 0 output:3", "1 0 output:4");
	EXPECT(t, "in_port=1", "select(102.1)");
}

/* What happens to a packet that takes a bucket without a way is the bucket's. */
static void
test_group_overlay_without_a_way(void **state)
{
	struct underlay_lab *t = *state;

	set_up(t);
	group(t, OF_GROUP_SELECT, "1 0 output:20", "1 0 output:21");
	lab_no_route(t, 3, OF_UNDERLAY_NO_ROUTE);
	EXPECT(t, "in_port=1", "set(tun_id=0x7),select(100.1)");
	assert_string_equal(t->choices[0],
		"select [1:-1:0 encap(1.1),output(31) 2/1] [1:-1:0 drop(tunnel-no-route) 1/0]");
	/* Nor is what it loses of what goes elsewhere too. */
	t->w.p = t->s1;
	world_group(&t->w, "group_id=2,type=all,bucket=output:21,bucket=output:3");
	group(t, OF_GROUP_SELECT, "1 0 output:20", "1 0 group:2");
	EXPECT(t, "in_port=1", "set(tun_id=0x7),select(101.1)");
	assert_string_equal(t->choices[1],
		"select [1:-1:0 encap(1.1),output(31) 2/1] [1:-1:0 output(13),drop(tunnel-no-route) 4/0]");
	/* A watched one is not live. */
	group(t, OF_GROUP_SELECT, "1 20 output:20", "1 21 output:21");
	EXPECT(t, "in_port=1", "set(tun_id=0x7),select(102.1)");
	assert_string_equal(t->choices[2], "select [1:40:0 encap(1.1),output(31) 2/1]");
	/* None of them is: packets say why. */
	lab_no_route(t, 2, OF_UNDERLAY_LINK_DOWN);
	EXPECT(t, "in_port=1", "set(tun_id=0x7),drop(no-bucket)");
}

static void
test_group_overlay_failover(void **state)
{
	struct underlay_lab *t = *state;

	set_up(t);
	group(t, OF_GROUP_FAST_FAILOVER, "0 20 output:20", "0 21 output:21");
	EXPECT(t, "in_port=1", "set(tun_id=0x7),first_live(100.1)");
	assert_string_equal(t->choices[0],
		"first_live [1:40:0 encap(1.1),output(31) 2/1] [1:41:0 encap(2.1),output(31) 2/1]");
	/* The underlay's news are enough. */
	lab_no_route(t, 2, OF_UNDERLAY_NO_NEIGHBOUR);
	EXPECT(t, "in_port=1", "set(tun_id=0x7),first_live(101.1)");
	assert_string_equal(t->choices[1], "first_live [1:41:0 encap(2.1),output(31) 2/1]");
	/* Also where the choice is made here. */
	t->may_choose = false;
	EXPECT(t, "in_port=1", "set(tun_id=0x7),encap(2.1),output(31)");
	lab_route(t, 2, 1, 2);
	EXPECT(t, "in_port=1", "set(tun_id=0x7),encap(1.1),output(31)");
	/* A tunnel to wherever the packet says has no way of its own. */
	{
		struct of_tunnel any = lab_tunnel(NULL);

		lab_tunnel_port(t, 22, &any);
		group(t, OF_GROUP_FAST_FAILOVER, "0 22 output:3", "0 21 output:21");
		EXPECT(t, "in_port=1", "set(tun_id=0x7),output(13)");
	}
}

/* The other switch's rules are what the bucket's packets meet there. */
static void
test_group_overlay_patch(void **state)
{
	struct underlay_lab *t = *state;

	set_up(t);
	lab_flow(t, t->u, "in_port=30,dl_dst=02:00:00:00:00:0a,actions=output:2");
	lab_flow(t, t->u, "in_port=30,dl_dst=02:00:00:00:00:0b,actions=resubmit(,3)");
	lab_flow(t, t->u, "table=3,tcp,actions=output:1,output:2");
	group(t, OF_GROUP_SELECT, "2 0 set_field:02:00:00:00:00:0a->eth_dst,output:30",
		"1 30 set_field:02:00:00:00:00:0b->eth_dst,output:30");
	EXPECT(t, "in_port=1,tcp", "select(100.1)");
	assert_string_equal(t->choices[0],
		"select [2:-1:0 set(eth_dst=02:00:00:00:00:0a),output(32) 3/1] "
		"[1:-1:0 set(eth_dst=02:00:00:00:00:0b),output(31),output(32) 3/2]");
	/* What either bucket's packets meet there decides for the flow. */
	EXPECT_MASK(t, "eth_type,nw_proto");
	assert_int_equal(t->w.t.n_rules, 1);
	/* A port that is shut takes nothing; a watched one is not live. */
	patch(t->u, t->s1, OF_PORT_DOWN);
	EXPECT(t, "in_port=1,tcp", "select(101.1)");
	assert_string_equal(t->choices[1], "select [2:-1:0 drop(rx-disabled) 3/0] "
					   "[1:-1:0 drop(rx-disabled) 3/0]");
	patch(t->s1, t->u, OF_PORT_DOWN);
	EXPECT(t, "in_port=1,tcp", "select(102.1)");
	assert_string_equal(t->choices[2], "select [2:-1:0 drop(tx-down) 1/0]");
}

int
main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, underlay_lab_begin, underlay_lab_end)
	const struct CMUnitTest tests[] = {
		TEST(test_group_overlay_tunnels),
		TEST(test_group_overlay_without_a_way),
		TEST(test_group_overlay_failover),
		TEST(test_group_overlay_patch),
	};

	return cmocka_run_group_tests_name("group_overlay", tests, NULL, NULL);
}

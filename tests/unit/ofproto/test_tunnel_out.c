/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnels, outwards: which headers a packet gets, and by which way it leaves (underlay_lab.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "lib/dp_protocol.h"
#include "ofproto/of_context.h"
#include "ofproto/of_counter.h"
#include "ofproto/of_mirror.h"
#include "ofproto/of_text.h"
#include "tests/unit/ofproto/underlay_lab.h"

#define EXPECT(T, PACKET, ACTIONS) assert_string_equal(lab_translate(T, PACKET), ACTIONS)
#define EXPECT_MASK(T, MASK) assert_string_equal(world_mask(&(T)->w), MASK)

static void
test_tunnel_out_goes_through_the_underlay_switch(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = lab_tunnel("192.0.2.2");

	lab_tunnel_port(t, 20, &tunnel);
	lab_route(t, 2, 1, 2);
	lab_flow(t, t->s1, "in_port=1,actions=output:20");
	lab_flow(t, t->s1, "in_port=2,actions=output:3,output:20,output:4");
	lab_flow(t, t->u, "in_port=9,actions=output:1");
	EXPECT(t, "in_port=1,tcp", "encap(1.1),output(31)");
	EXPECT_MASK(t, "");
	assert_string_equal(lab_encap(t, 1), "1 0x0 0 1500 40 14 34 020000000002020000000001"
					     "0800450000000000400040110000c0000201c0000202"
					     "000012b500000000"
					     "0800000000000500");
	assert_int_equal(t->w.t.n_rules, 2);
	/* Copies that go elsewhere are without it. */
	EXPECT(t, "in_port=2", "output(13),clone(encap(1.1),output(31)),output(14)");
	/* What was set goes into the tunnel, not around it. */
	lab_flow(t, t->s1,
		"in_port=3,actions=set_field:00:00:00:00:00:09->eth_dst,output:20,"
		"set_field:00:00:00:00:00:08->eth_dst,output:2");
	EXPECT(t, "in_port=3",
		"set(eth_dst=00:00:00:00:00:09),clone(encap(1.1),output(31)),"
		"set(eth_dst=00:00:00:00:00:08),output(12)");
	/* No rule there: nothing is left of it but the reason. */
	lab_flow(t, t->u, "delete in_port=9");
	EXPECT(t, "in_port=1", "drop");
	EXPECT(t, "in_port=2", "output(13),output(14)");
	assert_int_equal(t->n_objects, 1);
}

static void
test_tunnel_out_headers(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel vxlan = lab_tunnel("192.0.2.2"), v6 = lab_tunnel("2001:db8::82"),
			 gre = vxlan, geneve = vxlan, tunnel;

	gre.kind = DP_TUNNEL_GRE;
	gre.dst_port = 0;
	geneve.kind = DP_TUNNEL_GENEVE;
	geneve.dst_port = OF_TUNNEL_GENEVE_PORT;
	lab_route(t, 2, 1, 2);
	lab_route(t, 0x82, 1, 2);
	lab_flow(t, t->s1, "actions=output:20");
	lab_flow(t, t->u, "actions=output:1");
#define ROW(CHANGE, TEXT)                                                                          \
	do {                                                                                       \
		CHANGE;                                                                            \
		lab_tunnel_port(t, 20, &tunnel);                                                   \
		t->n_objects = 0;                                                                  \
		EXPECT(t, "in_port=1", "encap(1.1),output(31)");                                   \
		assert_string_equal(lab_encap(t, 1), TEXT);                                        \
	} while (0)
#define ETH "020000000002020000000001"
#define UDP4(TOS, DF, TTL) ETH "080045" TOS "00000000" DF TTL "110000c0000201c0000202"
#define V6(TC, HOPS, PROTO)                                                                        \
	ETH "86dd6" TC "000000000" PROTO HOPS "20010db8000000000000000000000001"                   \
	    "20010db8000000000000000000000082"
	ROW((tunnel = vxlan, tunnel.id = 0xfffffe, tunnel.tos = 0xb8, tunnel.ttl = 3,
		    tunnel.dont_fragment = false, tunnel.too_long = DP_ENCAP_FRAGMENT,
		    tunnel.csum = OF_TUNNEL_CSUM_YES, tunnel.dst_port = 8472),
		"1 0x10 1 1500 40 14 34 " UDP4("b8", "0000", "03") "00002118000000000800000"
								   "0fffffe00");
	ROW((tunnel = vxlan, tunnel.tos_by = OF_TUNNEL_PACKET, tunnel.ttl_by = OF_TUNNEL_PACKET,
		    tunnel.gbp = true),
		"1 0x4c 0 1500 40 14 34 " UDP4("00", "4000", "40") "000012b500000000"
								   "0800000000000500");
	ROW((tunnel = vxlan, tunnel.tos_by = OF_TUNNEL_FLOW, tunnel.ttl_by = OF_TUNNEL_FLOW,
		    tunnel.flags_by = OF_TUNNEL_FLOW),
		"1 0x700 0 1500 40 14 34 " UDP4("00", "4000", "40") "000012b500000000"
								    "0800000000000500");
	ROW((tunnel = vxlan, tunnel.kind = DP_TUNNEL_VXLAN_GPE, tunnel.dst_port = 4790),
		"2 0x0 0 1500 40 14 34 " UDP4("00", "4000", "40") "000012b600000000"
								  "0c00000300000500");
	ROW((tunnel = v6, tunnel.tos = 0x10),
		"1 0x10 0 1500 40 14 54 " V6("10", "40", "11") "000012b500000000"
							       "0800000000000500");
	ROW((tunnel = v6, tunnel.csum = OF_TUNNEL_CSUM_NO),
		"1 0x0 0 1500 40 14 54 " V6("00", "40", "11") "000012b500000000"
							      "0800000000000500");
	ROW(tunnel = geneve, "3 0x20 0 1500 40 14 34 " UDP4("00", "4000", "40") "000017c100000000"
										"0000655800000500");
	ROW(tunnel = gre, "4 0x0 0 1500 40 14 34 " ETH "0800450000000000400040"
			  "2f0000c0000201c0000202"
			  "2000655800000005");
	ROW((tunnel = gre, tunnel.id = 0xffffffff, tunnel.csum = OF_TUNNEL_CSUM_YES),
		"4 0x0 0 1500 40 14 34 " ETH "0800450000000000400040"
		"2f0000c0000201c0000202"
		"a0006558"
		"00000000"
		"ffffffff");
	ROW((tunnel = gre, tunnel.seq = true), "4 0x0 0 1500 40 14 34 " ETH "0800450000000000400040"
					       "2f0000c0000201c0000202"
					       "30006558"
					       "00000005"
					       "00000000");
	ROW((tunnel = gre, tunnel.id = 0), "4 0x0 0 1500 40 14 34 " ETH "0800450000000000400040"
					   "2f0000c0000201c0000202"
					   "00006558");
	ROW((tunnel = gre, tunnel.id = 0, tunnel.id_by = OF_TUNNEL_FLOW),
		"4 0x1 0 1500 40 14 34 " ETH "0800450000000000400040"
		"2f0000c0000201c0000202"
		"2000655800000000");
	ROW((tunnel = gre, tunnel.remote = v6.remote, tunnel.id = 0),
		"4 0x0 0 1500 40 14 54 " V6("00", "40", "2f") "00006558");
}

static void
test_tunnel_out_takes_what_the_flow_says(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = lab_tunnel(NULL);

	tunnel.id_by = OF_TUNNEL_FLOW;
	lab_tunnel_port(t, 20, &tunnel);
	lab_route(t, 2, 1, 2);
	lab_route(t, 3, 1, 2);
	lab_route(t, 4, 1, 4);
	lab_flow(t, t->u, "actions=output:1");
	lab_flow(t, t->s1,
		"in_port=1,actions=set_field:7->tun_id,set_field:192.0.2.2->tun_dst,output:20");
	lab_flow(t, t->s1,
		"in_port=2,actions=set_field:8->tun_id,set_field:192.0.2.3->tun_dst,output:20");
	lab_flow(t, t->s1,
		"in_port=3,actions=set_field:8->tun_id,set_field:192.0.2.4->tun_dst,output:20");
	EXPECT(t, "in_port=1",
		"set(tun_id=0x7),set(tun_ipv6_dst=::ffff:192.0.2.2),encap(1.1),output(31)");
	EXPECT_MASK(t, "");
	/* The same next hop: the same object, whatever remote and id. */
	EXPECT(t, "in_port=2",
		"set(tun_id=0x8),set(tun_ipv6_dst=::ffff:192.0.2.3),encap(1.1),output(31)");
	EXPECT(t, "in_port=3",
		"set(tun_id=0x8),set(tun_ipv6_dst=::ffff:192.0.2.4),encap(2.1),output(31)");
	assert_string_equal(lab_encap(t, 1), "1 0x3 0 1500 40 14 34 020000000002020000000001"
					     "0800450000000000400040110000c000020100000000"
					     "000012b500000000"
					     "0800000000000000");
	/* Underlay rules see the real destination. */
	lab_flow(t, t->u, "priority=40000,ip,nw_dst=192.0.2.3,udp,tp_dst=4789,actions=output:2");
	EXPECT(t, "in_port=2",
		"set(tun_id=0x8),set(tun_ipv6_dst=::ffff:192.0.2.3),encap(1.1),output(32)");
	/* Twice, to two remotes: head-end replication. */
	lab_flow(t, t->s1,
		"in_port=4,actions=set_field:7->tun_id,set_field:192.0.2.2->tun_dst,output:20,"
		"set_field:192.0.2.4->tun_dst,output:20");
	EXPECT(t, "in_port=4",
		"set(tun_id=0x7),set(tun_ipv6_dst=::ffff:192.0.2.2),clone(encap(1.1),output(31)),"
		"set(tun_ipv6_dst=::ffff:192.0.2.4),encap(2.1),output(31)");
	/* Without a destination there is nowhere to go. */
	lab_flow(t, t->s1, "in_port=5,actions=output:20");
	EXPECT(t, "in_port=5", "drop(tunnel-no-route)");
}

static void
test_tunnel_out_takes_what_a_tunnel_brought(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel in = lab_tunnel("192.0.2.2"), out = lab_tunnel(NULL);
	struct of_underlay_addr local = lab_addr("192.0.2.1");

	in.id_by = out.id_by = OF_TUNNEL_FLOW;
	out.local_by = OF_TUNNEL_FLOW;
	lab_tunnel_port(t, 20, &in);
	lab_tunnel_port(t, 21, &out);
	lab_route(t, 3, 1, 2);
	lab_flow(t, t->u, "actions=output:1");
	lab_flow(t, t->s1,
		"in_port=20,actions=set_field:192.0.2.3->tun_dst,set_field:192.0.2.1->tun_src,"
		"output:21");
	/* The id goes on as it came, whatever it is: no flow for each. It fits: it came by VXLAN. */
	EXPECT(t, "in_port=30,tun_id=9,tun_src=192.0.2.2,tun_dst=192.0.2.1",
		"set(tun_ipv6_src=::ffff:192.0.2.1),set(tun_ipv6_dst=::ffff:192.0.2.3),encap(1.1),output(31)");
	EXPECT_MASK(t, "tun_id/00000000ff000000,tun_ipv6_src");
	assert_string_equal(lab_encap(t, 1), "1 0x83 0 1500 41 14 34 020000000002020000000001"
					     "0800450000000000400040110000c000020100000000"
					     "000012b500000000"
					     "0800000000000000");
	assert_memory_equal(&t->asked.local, &local, sizeof(local));
	/* Nor is the source changed, then: each has its own route. */
	in.remote_by = OF_TUNNEL_FLOW;
	in.id_by = OF_TUNNEL_GIVEN;
	in.id = 9;
	lab_tunnel_port(t, 20, &in);
	lab_flow(t, t->s1, "in_port=20,actions=set_field:192.0.2.3->tun_dst,output:21");
	EXPECT(t, "in_port=30,tun_id=9,tun_src=192.0.2.1,tun_dst=192.0.2.1",
		"set(tun_ipv6_dst=::ffff:192.0.2.3),encap(1.1),output(31)");
	EXPECT_MASK(t, "tun_id/00000000ffffffff,tun_ipv6_src");
}

static void
test_tunnel_out_id_range(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = lab_tunnel("192.0.2.2");

	tunnel.id_by = OF_TUNNEL_FLOW;
	lab_tunnel_port(t, 20, &tunnel);
	lab_route(t, 2, 1, 2);
	lab_flow(t, t->u, "actions=output:1");
	lab_flow(t, t->s1, "in_port=1,actions=set_field:0xffffff->tun_id,output:20");
	lab_flow(t, t->s1, "in_port=2,actions=set_field:0x1000000->tun_id,output:20");
	lab_flow(t, t->s1, "in_port=3,actions=set_field:0x100000001->tun_id,output:20");
	EXPECT(t, "in_port=1", "set(tun_id=0xffffff),encap(1.1),output(31)");
	EXPECT(t, "in_port=2", "drop(tunnel-id-range)");
	EXPECT(t, "in_port=3", "drop(tunnel-id-range)");
	tunnel.kind = DP_TUNNEL_GRE;
	tunnel.dst_port = 0;
	lab_tunnel_port(t, 20, &tunnel);
	EXPECT(t, "in_port=2", "set(tun_id=0x1000000),encap(2.1),output(31)");
	EXPECT(t, "in_port=3", "drop(tunnel-id-range)");
}

static void
test_tunnel_out_without_a_way(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = lab_tunnel("192.0.2.2"), other = lab_tunnel("192.0.2.3");
	static const struct {
		enum of_underlay_state state;
		const char *actions;
	} rows[] = {
		{OF_UNDERLAY_NO_ROUTE, "drop(tunnel-no-route)"},
		{OF_UNDERLAY_OWN_ADDRESS, "drop(tunnel-no-underlay)"},
		{OF_UNDERLAY_NO_LOCAL, "drop(tunnel-no-route)"},
		{OF_UNDERLAY_NO_DEVICE, "drop(tunnel-no-underlay)"},
		{OF_UNDERLAY_LINK_DOWN, "drop(tunnel-no-neighbour)"},
		{OF_UNDERLAY_NO_NEIGHBOUR, "drop(tunnel-no-neighbour)"},
		{OF_UNDERLAY_FULL, "drop(tunnel-no-route)"},
	};

	lab_tunnel_port(t, 20, &tunnel);
	lab_flow(t, t->u, "actions=output:1");
	lab_flow(t, t->s1, "in_port=1,actions=output:20");
	lab_flow(t, t->s1, "in_port=2,actions=output:20,output:3");
	EXPECT(t, "in_port=1", "drop(tunnel-no-route)");
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(rows); i++) {
		char both[64];

		lab_no_route(t, 2, rows[i].state);
		EXPECT(t, "in_port=1", rows[i].actions);
		/* The copy that is lost counts. */
		snprintf(both, sizeof(both), "output(13),%s", rows[i].actions);
		EXPECT(t, "in_port=2", both);
		assert_false(t->w.t.is_pending);
	}
	/* Once for each reason. */
	lab_no_route(t, 2, OF_UNDERLAY_NO_ROUTE);
	lab_tunnel_port(t, 21, &other);
	lab_no_route(t, 3, OF_UNDERLAY_NO_NEIGHBOUR);
	lab_flow(t, t->s1, "in_port=3,actions=output:20,output:2,output:21,output:20");
	EXPECT(t, "in_port=3", "output(12),clone(drop(tunnel-no-route)),drop(tunnel-no-neighbour)");
	/* An answer comes in a moment; who cannot wait takes it for none. */
	lab_no_route(t, 2, OF_UNDERLAY_PENDING);
	lab_translate(t, "in_port=1");
	assert_true(t->w.t.is_pending);
	t->no_objects = true;
	EXPECT(t, "in_port=1", "drop(tunnel-no-neighbour)");
	assert_false(t->w.t.is_pending);
	assert_true(t->w.t.lacks_objects);
	t->no_objects = false;
	/* The path's port has gone, or is down. */
	lab_route(t, 2, 1, 2);
	t->routes[2]->paths[0].port = OF_PORT(77);
	EXPECT(t, "in_port=1", "drop(tunnel-no-underlay)");
	t->routes[2]->paths[0].port = OF_PORT(9);
	t->routes[2]->paths[0].ofproto_id = 77;
	EXPECT(t, "in_port=1", "drop(tunnel-no-underlay)");
	lab_route(t, 2, 1, 2);
	EXPECT(t, "in_port=1", "encap(1.1),output(31)");
	/* So is the tunnel port itself. */
	assert_true(lab_set_tunnel(t, 20, &tunnel, OF_PORT_DOWN, NULL));
	EXPECT(t, "in_port=1", "drop(tx-down)");
}

static void
test_tunnel_out_waits_for_objects(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = lab_tunnel("192.0.2.2");

	lab_tunnel_port(t, 20, &tunnel);
	lab_route(t, 2, 1, 2);
	lab_flow(t, t->u, "actions=output:1");
	lab_flow(t, t->s1, "in_port=1,actions=output:20");
	t->object_state = TRANSLATE_OBJECT_PENDING;
	lab_translate(t, "in_port=1");
	assert_true(t->w.t.is_pending);
	t->object_state = TRANSLATE_OBJECT_NONE;
	EXPECT(t, "in_port=1", "drop(agent-refused)");
	assert_true(t->w.t.is_refused);
	t->object_state = TRANSLATE_OBJECT_READY;
	t->no_objects = true;
	EXPECT(t, "in_port=1", "encap(0.0),output(31)");
	assert_true(t->w.t.lacks_objects);
	t->no_objects = false;
	EXPECT(t, "in_port=1", "encap(1.1),output(31)");
	assert_false(t->w.t.lacks_objects);
}

static void
test_tunnel_out_rules_of_the_underlay(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = lab_tunnel("192.0.2.2");
	struct flow_key key;

	tunnel.tos = 0x28;
	lab_tunnel_port(t, 20, &tunnel);
	lab_route(t, 2, 1, 2);
	lab_flow(t, t->s1, "actions=load:7->NXM_NX_REG0[],set_field:3->metadata,output:20");
	/* Every known field of the outer headers; none of the inner packet's or pipeline's. */
	lab_flow(t, t->u,
		"in_port=9,reg0=0,metadata=0,vlan_tci=0,dl_src=02:00:00:00:00:01,"
		"dl_dst=02:00:00:00:00:02,udp,nw_src=192.0.2.1,nw_dst=192.0.2.2,ip_dscp=10,"
		"nw_ttl=64,tp_dst=4789,ip_frag=no,actions=output:1");
	EXPECT(t, "in_port=1,tcp,nw_src=10.0.0.1,nw_ttl=9", "encap(1.1),output(31)");
	EXPECT_MASK(t, "");
	/* Changes of them, and of known ones that come out as they were. */
	lab_flow(t, t->u,
		"ip,in_port=9,actions=set_field:10->ip_dscp,set_field:02:00:00:00:00:03->eth_dst,"
		"set_field:02:00:00:00:00:02->eth_dst,dec_ttl,push_vlan:0x8100,"
		"set_field:4101->vlan_vid,output:1");
	lab_flow(t, t->u, "delete udp");
	EXPECT(t, "in_port=1,udp,nw_tos=0x28",
		"encap(1.1),push_vlan(tpid=0x8100,vid=5,pcp=0),set(nw_ttl=63),output(31)");
	EXPECT_MASK(t, "");
	/* What the inner packet was known to have is not what the outer one has. */
	lab_flow(t, t->s1, "priority=40000,in_port=2,ip,nw_ecn=0,actions=output:20");
	lab_flow(t, t->u, "ip,in_port=9,actions=set_field:0->nw_ecn,output:1");
	EXPECT(t, "in_port=2,udp", "encap(1.1),set(nw_tos=0/0x3),output(31)");
	lab_flow(t, t->s1, "delete in_port=2");
	/* What is not known before the packet is there: ECN, source port. */
	lab_flow(t, t->u, "priority=50000,udp,nw_ecn=3,actions=drop");
	lab_translate(t, "in_port=1,udp,nw_ecn=3");
	assert_int_equal(t->w.t.n_contexts, 1);
	assert_memory_equal(t->w.text, "encap(1.1),recirc(", 18);
	EXPECT_MASK(t, "");
	world_key("in_port=1,udp,nw_src=192.0.2.1,nw_ecn=3", &key);
	key.recirc_id = be32_from(t->w.t.contexts[0]);
	assert_string_equal(lab_translate_key(t, &key), "drop");
	EXPECT_MASK(t, "eth_type,nw_proto,nw_tos/03");
	lab_flow(t, t->u, "delete udp");
	lab_flow(t, t->u, "delete");
	lab_flow(t, t->u,
		"udp,in_port=9,actions=move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15],resubmit(,1)");
	lab_flow(t, t->u, "table=1,reg0=0xc001,actions=output:1");
	lab_translate(t, "in_port=1,udp,udp_src=5");
	assert_memory_equal(t->w.text, "encap(1.1),recirc(", 18);
	world_key("in_port=1,udp,udp_src=0xc001", &key);
	key.recirc_id = be32_from(t->w.t.contexts[0]);
	assert_string_equal(lab_translate_key(t, &key), "output(31)");
	EXPECT_MASK(t, "eth_type,nw_proto,tcp_src");
}

static void
test_tunnel_out_normal_in_the_underlay(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = lab_tunnel("192.0.2.2");
	struct of_port_info info = *ofproto_port_find(t->u, OF_PORT(9));

	info.vlan_mode = OF_VLAN_ACCESS;
	info.tag = 30;
	assert_true(ofproto_port_set(t->u, &info, NULL));
	lab_tunnel_port(t, 20, &tunnel);
	lab_route(t, 2, 1, 2);
	lab_flow(t, t->s1, "actions=output:20");
	lab_flow(t, t->u, "actions=NORMAL");
	EXPECT(t, "in_port=1",
		"encap(1.1),push_vlan(tpid=0x8100,vid=30,pcp=0),output(31),output(32)");
	assert_int_equal(t->w.t.n_learned, 1);
	assert_int_equal(t->w.t.learned[0].ofproto_id, ofproto_id(t->u));
	assert_int_equal(t->w.t.learned[0].place.port.v, 9);
	assert_int_equal(t->w.t.learned[0].mac[5], 1);
	ofproto_fdb_learn(t->u, 30, (const uint8_t[]){2, 0, 0, 0, 0, 2}, OF_PORT(1), t->w.now_ms);
	EXPECT(t, "in_port=1", "encap(1.1),push_vlan(tpid=0x8100,vid=30,pcp=0),output(31)");
	EXPECT_MASK(t, "");
}

static void
test_tunnel_out_over_itself_ends(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = lab_tunnel("192.0.2.2"), other = lab_tunnel("192.0.2.3");
	struct of_port_info patch = {
		.number = OF_PORT(30),
		.name = "to-u",
		.dp_port = DP_PORT_NONE,
		.kind = OF_PORT_PATCH,
		.patch = {ofproto_id(t->u), OF_PORT(30)},
	};

	lab_tunnel_port(t, 20, &tunnel);
	lab_tunnel_port(t, 21, &other);
	lab_route(t, 2, 1, 2);
	lab_route(t, 3, 1, 3);
	assert_true(ofproto_port_set(t->s1, &patch, NULL));
	patch.patch.ofproto_id = ofproto_id(t->s1);
	strcpy(patch.name, "to-s1");
	assert_true(ofproto_port_set(t->u, &patch, NULL));
	lab_flow(t, t->s1, "in_port=1,actions=output:20");
	/* The underlay hands it back to the overlay, into the same tunnel or another one. */
	lab_flow(t, t->u, "actions=output:30");
	lab_flow(t, t->s1, "in_port=30,actions=output:20");
	EXPECT(t, "in_port=1", "drop(tunnel-loop)");
	lab_flow(t, t->s1, "in_port=30,actions=output:21");
	EXPECT(t, "in_port=1", "drop(tunnel-loop)");
	/* Where others get it too, the copy that went round is counted. */
	lab_flow(t, t->u, "actions=output:1,output:30");
	EXPECT(t, "in_port=1", "clone(encap(1.1),output(31)),drop(tunnel-loop)");
	lab_flow(t, t->s1, "in_port=1,actions=output:20,output:2");
	EXPECT(t, "in_port=1", "clone(encap(1.1),output(31)),output(12),drop(tunnel-loop)");
	lab_flow(t, t->u, "actions=output:30");
	EXPECT(t, "in_port=1", "output(12),drop(tunnel-loop)");
	lab_flow(t, t->s1, "in_port=1,actions=output:20");
	/* Round and round without a tunnel. */
	lab_flow(t, t->s1, "in_port=30,actions=IN_PORT");
	lab_flow(t, t->u, "priority=40000,in_port=30,actions=IN_PORT");
	EXPECT(t, "in_port=1", "drop(resubmit-depth)");
}

static void
test_tunnel_out_several_paths(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = lab_tunnel("192.0.2.2");
	unsigned n[3] = {0};

	lab_tunnel_port(t, 20, &tunnel);
	lab_route(t, 2, 2, 2);
	lab_flow(t, t->u, "actions=output:1");
	lab_flow(t, t->s1, "actions=output:20");
	for (unsigned i = 0; i < 64; i++) {
		struct flow_key key;

		world_key("in_port=1,udp", &key);
		key.l4_src = be16_from((uint16_t)(1000 + i));
		lab_translate_key(t, &key);
		n[strstr(t->w.text, "encap(1.1)") ? 1 : 2]++;
		EXPECT_MASK(t,
			"eth_dst,eth_src,eth_type,vlan_tci/1fff,ip_src,ip_dst,nw_proto,tcp_src,"
			"tcp_dst");
	}
	assert_int_equal(t->n_objects, 2);
	assert_in_range(n[1], 16, 48);
	/* One of them fails: its connections go by the other. Nobody looks at connections any more. */
	t->routes[2]->paths[1].is_usable = false;
	t->routes[2]->usable_weight = 1;
	EXPECT(t, "in_port=1,udp", "encap(1.1),output(31)");
	EXPECT_MASK(t, "");
}

static void
test_tunnel_out_counts(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = lab_tunnel("192.0.2.2");
	struct of_port_traffic traffic;

	lab_tunnel_port(t, 20, &tunnel);
	lab_route(t, 2, 1, 2);
	lab_flow(t, t->u, "actions=output:1");
	lab_flow(t, t->s1, "in_port=20,actions=output:1");
	lab_flow(t, t->s1, "in_port=1,actions=output:20");
	EXPECT(t, "in_port=1", "encap(1.1),output(31)");
	for (uint32_t i = 0; i < t->w.t.counters.n; i++) {
		of_counter_add(t->w.t.counters.v[i], 3, 300);
	}
	EXPECT(t, "in_port=30,tun_id=5,tun_src=192.0.2.2,tun_dst=192.0.2.1", "output(11)");
	for (uint32_t i = 0; i < t->w.t.counters.n; i++) {
		of_counter_add(t->w.t.counters.v[i], 2, 222);
	}
	lab_tunnel_port(t, 20, &tunnel); /* what becomes known of it leaves its counters */
	assert_true(ofproto_port_traffic(t->s1, OF_PORT(20), &traffic));
	assert_int_equal(traffic.tx_packets, 3);
	assert_int_equal(traffic.tx_bytes, 300);
	assert_int_equal(traffic.rx_packets, 2);
	assert_int_equal(traffic.rx_bytes, 222);
}

/* A mirror of the underlay switch sees the outer packet, also where that goes nowhere. */
static void
test_tunnel_out_mirrors_of_the_underlay(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = lab_tunnel("192.0.2.2");
	struct of_mirror mirror = {.name = "m", .output_port = OF_PORT(2), .select_all = true};

	lab_tunnel_port(t, 20, &tunnel);
	lab_route(t, 2, 1, 2);
	lab_flow(t, t->s1, "in_port=1,actions=output:20");
	lab_flow(t, t->s1, "in_port=2,actions=output:20,output:3");
	ofproto_set_mirrors(t->u, &mirror, 1);
	EXPECT(t, "in_port=1", "clone(encap(1.1),output(32)),drop(explicit)");
	EXPECT(t, "in_port=2", "clone(encap(1.1),output(32)),output(13)");
	lab_flow(t, t->u, "in_port=9,actions=output:1");
	EXPECT(t, "in_port=1", "encap(1.1),output(32),output(31)");
}

/* Tunnel fields that rules set reach the datapath where somebody there needs them. */
static void
test_tunnel_out_fields_cross_over(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = lab_tunnel("192.0.2.2"), far = lab_tunnel("192.0.2.3");
	struct ofproto *s2 = ofproto_create(t->w.model, "s2", 3, NULL);
	struct of_port_info patch = {
		.number = OF_PORT(30),
		.name = "to-s2",
		.dp_port = DP_PORT_NONE,
		.kind = OF_PORT_PATCH,
		.patch = {ofproto_id(s2), OF_PORT(30)},
	};
	struct of_port_info port = {
		.number = OF_PORT(1), .name = "t2", .dp_port = {50}, .kind = OF_PORT_TUNNEL};

	tunnel.id_by = far.id_by = OF_TUNNEL_FLOW;
	port.tunnel = far;
	lab_tunnel_port(t, 20, &tunnel);
	assert_true(ofproto_port_set(s2, &port, NULL));
	assert_true(ofproto_port_set(t->s1, &patch, NULL));
	patch.patch.ofproto_id = ofproto_id(t->s1);
	strcpy(patch.name, "to-s1");
	assert_true(ofproto_port_set(s2, &patch, NULL));
	lab_route(t, 3, 1, 2);
	lab_flow(t, t->u, "actions=output:1");
	lab_flow(t, s2, "actions=output:1");
	/* Behind a patch port a tunnel's id is forgotten, also where the datapath still has it. */
	lab_flow(t, t->s1, "actions=output:30");
	EXPECT(t, "in_port=30,tun_id=9,tun_src=192.0.2.2", "set(tun_id=0),encap(1.1),output(31)");
	EXPECT(t, "in_port=1", "encap(1.1),output(31)");
	/* Over a recirculation it is kept. */
	lab_flow(t, t->s1,
		"priority=40000,in_port=2,mpls,actions=set_field:6->tun_id,pop_mpls:0x800,resubmit(,1)");
	lab_translate(t, "in_port=2,mpls");
	assert_non_null(strstr(t->w.text, "set(tun_id=0x6),recirc("));
}

int
main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, underlay_lab_begin, underlay_lab_end)
	const struct CMUnitTest tests[] = {
		TEST(test_tunnel_out_goes_through_the_underlay_switch),
		TEST(test_tunnel_out_headers),
		TEST(test_tunnel_out_takes_what_the_flow_says),
		TEST(test_tunnel_out_takes_what_a_tunnel_brought),
		TEST(test_tunnel_out_id_range),
		TEST(test_tunnel_out_without_a_way),
		TEST(test_tunnel_out_waits_for_objects),
		TEST(test_tunnel_out_rules_of_the_underlay),
		TEST(test_tunnel_out_normal_in_the_underlay),
		TEST(test_tunnel_out_over_itself_ends),
		TEST(test_tunnel_out_several_paths),
		TEST(test_tunnel_out_counts),
		TEST(test_tunnel_out_mirrors_of_the_underlay),
		TEST(test_tunnel_out_fields_cross_over),
	};

	return cmocka_run_group_tests_name("tunnel_out", tests, NULL, NULL);
}

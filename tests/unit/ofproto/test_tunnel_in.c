/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnels, inwards: which packets are decapsulated, and to which port they come (underlay_lab.h).
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
#include "lib/error.h"
#include "tests/unit/ofproto/underlay_lab.h"

#define EXPECT(T, PACKET, ACTIONS) assert_string_equal(lab_translate(T, PACKET), ACTIONS)
#define EXPECT_MASK(T, MASK) assert_string_equal(world_mask(&(T)->w), MASK)

/* u's ports have datapath numbers from 31 on, which world_key() takes for OpenFlow's 21 and on. */
#define UP "in_port=21,"
#define GUEST "in_port=22,"
#define HOST "dl_dst=02:00:00:00:00:01,"
#define VXLAN HOST "udp,nw_src=192.0.2.2,nw_dst=192.0.2.1,tp_dst=4789"

static void
test_tunnel_in_decapsulates_what_the_host_is_handed(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = lab_tunnel("192.0.2.2");

	lab_flow(t, t->u, "actions=output:9");
	/* Without tunnels nobody looks. */
	EXPECT(t, UP VXLAN, "output(39)");
	EXPECT_MASK(t, "");
	lab_tunnel_port(t, 20, &tunnel);
	EXPECT(t, UP VXLAN, "decap(kind=vxlan,port=40)");
	EXPECT_MASK(t, "eth_dst,eth_type,vlan_tci/1000,ip_dst,nw_proto,bad_l3,bad_l4,tcp_dst");
	EXPECT(t, UP HOST "udp6,ipv6_dst=2001:db8::1,tp_dst=4789", "decap(kind=vxlan,port=40)");
	/* Another port, protocol, address, device address, a tag: the host's own business. */
	EXPECT(t, UP HOST "udp,nw_dst=192.0.2.1,tp_dst=4790", "output(39)");
	EXPECT_MASK(t, "eth_type,vlan_tci/1000,nw_proto,bad_l3,bad_l4,tcp_dst");
	EXPECT(t, UP HOST "udp,nw_dst=192.0.2.1,tp_dst=0", "output(39)");
	EXPECT(t, UP HOST "tcp,nw_dst=192.0.2.1,tp_dst=4789", "output(39)");
	EXPECT_MASK(t, "eth_type,vlan_tci/1000,nw_proto,bad_l3");
	EXPECT(t, UP HOST "ip,nw_proto=47,nw_dst=192.0.2.1", "output(39)");
	EXPECT(t, UP HOST "arp", "output(39)");
	EXPECT_MASK(t, "eth_type,vlan_tci/1000");
	EXPECT(t, UP HOST "udp,nw_dst=192.0.2.9,tp_dst=4789", "output(39)");
	EXPECT(t, UP "dl_dst=02:00:00:00:00:07,udp,nw_dst=192.0.2.1,tp_dst=4789", "output(39)");
	EXPECT(t, UP "dl_vlan=7," VXLAN, "output(39)");
	/* Nor where rules send it elsewhere. */
	lab_flow(t, t->u, "priority=40000,udp,actions=output:2,output:9,output:1");
	EXPECT(t, UP VXLAN, "output(32),decap(kind=vxlan,port=40)");
	EXPECT(t, GUEST VXLAN, "output(31)");
	lab_flow(t, t->u, "priority=40000,udp,actions=output:9,output:2");
	EXPECT(t, UP VXLAN, "clone(decap(kind=vxlan,port=40)),output(32)");
	lab_flow(t, t->u, "priority=40000,udp,actions=output:2");
	EXPECT(t, UP VXLAN, "output(32)");
	/* Tags that the underlay switch takes off are off. */
	lab_flow(t, t->u, "priority=40001,dl_vlan=7,actions=pop_vlan,output:9");
	EXPECT(t, UP "dl_vlan=7," VXLAN, "pop_vlan,decap(kind=vxlan,port=40)");
}

static void
test_tunnel_in_drops_headers_that_are_cut(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = lab_tunnel("192.0.2.2");

	lab_flow(t, t->u, "actions=output:9");
	EXPECT(t, UP HOST "ip,bad_l3=1", "output(39)");
	EXPECT_MASK(t, "");
	lab_tunnel_port(t, 20, &tunnel);
	/* Which port they are for cannot be told. */
	EXPECT(t, UP HOST "ip,bad_l3=1", "drop(decap-bad)");
	EXPECT_MASK(t, "eth_dst,eth_type,vlan_tci/1000,bad_l3");
	EXPECT(t, UP HOST "ipv6,bad_l3=1", "drop(decap-bad)");
	EXPECT(t, GUEST HOST "ip,bad_l3=1", "drop(decap-bad)");
	EXPECT(t, UP HOST "udp,nw_dst=192.0.2.1,bad_l4=1", "drop(decap-bad)");
	EXPECT_MASK(t, "eth_dst,eth_type,vlan_tci/1000,nw_proto,bad_l3,bad_l4");
	/* Not for the host, tagged, not what tunnels are made of. */
	EXPECT(t, UP "dl_dst=02:00:00:00:00:07,ip,bad_l3=1", "output(39)");
	EXPECT(t, UP HOST "dl_vlan=7,ip,bad_l3=1", "output(39)");
	EXPECT(t, UP HOST "arp,bad_l3=1", "output(39)");
	EXPECT(t, UP HOST "tcp,nw_dst=192.0.2.1,bad_l4=1", "output(39)");
}

static void
test_tunnel_in_from_underlay_ports_alone(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = lab_tunnel("192.0.2.2");
	struct of_port_info underlay = {
		.number = OF_PORT(2), .name = "p2", .dp_port = {12}, .is_underlay = true};

	lab_tunnel_port(t, 20, &tunnel);
	lab_flow(t, t->u, "actions=output:9");
	lab_flow(t, t->u, "priority=40000,in_port=2,tcp,actions=output:9");
	EXPECT(t, GUEST VXLAN, "drop(tunnel-from-guest)");
	EXPECT(t, GUEST HOST "tcp,nw_dst=192.0.2.1,tp_dst=4789", "output(39)");
	/* Renaming the input port does not help. */
	lab_flow(t, t->u, "priority=40000,in_port=2,udp,actions=resubmit(1,1)");
	lab_flow(t, t->u, "table=1,in_port=1,actions=output:9");
	EXPECT(t, GUEST VXLAN, "drop(tunnel-from-guest)");
	/* What the host itself sends to its own address is not from outside either. */
	lab_flow(t, t->u, "priority=50000,in_port=9,actions=IN_PORT");
	EXPECT(t, "in_port=29," VXLAN, "drop(tunnel-from-guest)");
	/* Nor is what an underlay port sends into a tunnel that ends here. */
	ofproto_port_del(t->s1, OF_PORT(20));
	tunnel.remote = lab_addr("192.0.2.1");
	lab_tunnel_port(t, 20, &tunnel);
	lab_route(t, 1, 1, 1);
	assert_true(ofproto_port_set(t->s1, &underlay, NULL));
	lab_flow(t, t->s1, "in_port=2,actions=output:20");
	EXPECT(t, "in_port=2", "drop(tunnel-from-guest)");
	/* By a patch port: what counts is where it came from. */
	lab_flow(t, t->s1, "in_port=1,actions=output:30");
	for (unsigned i = 0; i < 2; i++) {
		struct ofproto *p = i ? t->u : t->s1, *other = i ? t->s1 : t->u;
		struct of_port_info patch = {
			.number = OF_PORT(30),
			.dp_port = DP_PORT_NONE,
			.kind = OF_PORT_PATCH,
			.is_underlay = i,
			.patch = {ofproto_id(other), OF_PORT(30)},
		};

		strcpy(patch.name, i ? "to-s1" : "to-u");
		assert_true(ofproto_port_set(p, &patch, NULL));
	}
	EXPECT(t, "in_port=1," VXLAN, "drop(tunnel-from-guest)");
}

static const char *
out_of(struct underlay_lab *t, const char *face, const char *id, const char *src, const char *dst)
{
	char text[200];

	snprintf(text, sizeof(text), "in_port=%s,tun_id=%s,tun_src=%s,tun_dst=%s", face, id, src,
		dst);
	return lab_translate(t, text);
}

static void
test_tunnel_in_finds_the_most_specific_port(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel any = lab_tunnel(NULL);
	static const struct {
		bool id, remote, local;
	} given[] = {
		{false, false, false},
		{false, false, true},
		{false, true, false},
		{false, true, true},
		{true, false, false},
		{true, false, true},
		{true, true, false},
		{true, true, true},
	};

	any.id_by = OF_TUNNEL_FLOW;
	/* 20 takes all, 27 the fewest; added from the least specific to the most and seen from the face, 20. */
	for (unsigned i = 0; i < 8; i++) {
		struct of_tunnel tunnel = any;
		char text[64];

		tunnel.id_by = given[i].id ? OF_TUNNEL_GIVEN : OF_TUNNEL_FLOW;
		tunnel.remote_by = given[i].remote ? OF_TUNNEL_GIVEN : OF_TUNNEL_FLOW;
		if (given[i].remote) {
			tunnel.remote = lab_addr("192.0.2.2");
		}
		if (given[i].local) {
			tunnel.local = lab_addr("192.0.2.1");
		}
		lab_tunnel_port(t, 20 + i, &tunnel);
		snprintf(text, sizeof(text), "in_port=%u,actions=output:%u", 20 + i, 1 + i);
		lab_flow(t, t->s1, text);
	}
	for (unsigned i = 0; i < 8; i++) {
		char expected[32];

		snprintf(expected, sizeof(expected), "output(%u)", 11 + i);
		assert_string_equal(out_of(t, "30", given[i].id ? "5" : "6",
					    given[i].remote ? "192.0.2.2" : "192.0.2.3",
					    given[i].local ? "192.0.2.1" : "192.0.2.4"),
			expected);
	}
	EXPECT_MASK(t, "tun_id/00000000ffffffff,tun_ipv6_src,tun_ipv6_dst");
	/* Only what tells ports apart is looked at. */
	for (unsigned i = 1; i < 8; i++) {
		ofproto_port_del(t->s1, OF_PORT(20 + i));
	}
	assert_string_equal(out_of(t, "30", "5", "192.0.2.2", "192.0.2.1"), "output(11)");
	EXPECT_MASK(t, "");
	/* What rules see. */
	lab_flow(t, t->s1,
		"priority=40000,in_port=20,tun_id=5,tun_src=192.0.2.2,tun_dst=192.0.2.1,tun_tos=8,"
		"tun_ttl=60,tun_gbp_id=7,actions=output:2");
	assert_string_equal(
		out_of(t, "30", "5", "192.0.2.2,tun_tos=8,tun_gbp_id=7,tun_ttl=60", "192.0.2.1"),
		"output(12)");
}

static void
test_tunnel_in_unknown(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel one = lab_tunnel("192.0.2.2"), other = lab_tunnel("192.0.2.3");

	lab_tunnel_port(t, 20, &one);
	lab_tunnel_port(t, 21, &other);
	lab_flow(t, t->s1, "actions=output:1");
	assert_string_equal(out_of(t, "30", "5", "192.0.2.2", "192.0.2.1"), "output(11)");
	assert_string_equal(out_of(t, "30", "6", "192.0.2.2", "192.0.2.1"), "drop(tunnel-unknown)");
	EXPECT_MASK(t, "tun_id/00000000ffffffff,tun_ipv6_src");
	assert_string_equal(out_of(t, "30", "5", "192.0.2.4", "192.0.2.1"), "drop(tunnel-unknown)");
	/* The right port is down: the others are not asked. */
	assert_true(lab_set_tunnel(t, 21, &other, OF_PORT_DOWN, NULL));
	assert_string_equal(out_of(t, "30", "5", "192.0.2.3", "192.0.2.1"), "drop(rx-disabled)");
	assert_string_equal(out_of(t, "30", "5", "192.0.2.2", "192.0.2.1"), "output(11)");
}

static void
test_tunnel_in_face(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel one = lab_tunnel("192.0.2.2"), other = lab_tunnel("192.0.2.3"),
			 gre = lab_tunnel("192.0.2.2");

	gre.kind = DP_TUNNEL_GRE;
	gre.dst_port = 0;
	lab_flow(t, t->u, "actions=output:9");
	lab_tunnel_port(t, 20, &one);
	lab_tunnel_port(t, 21, &other);
	lab_tunnel_port(t, 22, &gre);
	EXPECT(t, UP VXLAN, "decap(kind=vxlan,port=40)");
	EXPECT(t, UP HOST "ip,nw_proto=47,nw_dst=192.0.2.1", "decap(kind=gre,port=42)");
	/* News of the port, and other ports, leave it. */
	lab_tunnel_port(t, 20, &one);
	EXPECT(t, UP VXLAN, "decap(kind=vxlan,port=40)");
	/* It does not take packets any more: another one does. */
	assert_true(lab_set_tunnel(t, 20, &one, OF_PORT_DOWN, NULL));
	EXPECT(t, UP VXLAN, "decap(kind=vxlan,port=41)");
	lab_tunnel_port(t, 20, &one);
	EXPECT(t, UP VXLAN, "decap(kind=vxlan,port=41)");
	ofproto_port_del(t->s1, OF_PORT(21));
	EXPECT(t, UP VXLAN, "decap(kind=vxlan,port=40)");
	assert_true(lab_set_tunnel(t, 20, &one, OF_PORT_DOWN, NULL));
	EXPECT(t, UP VXLAN, "drop(rx-disabled)");
	ofproto_port_del(t->s1, OF_PORT(20));
	EXPECT(t, UP VXLAN, "output(39)");
	/* The same port for other packets. */
	one.kind = DP_TUNNEL_GENEVE;
	one.dst_port = 6081;
	lab_tunnel_port(t, 20, &one);
	EXPECT(t, UP HOST "udp,nw_dst=192.0.2.1,tp_dst=6081", "decap(kind=geneve,port=40)");
	EXPECT(t, UP VXLAN, "output(39)");
}

static void
refuse(struct underlay_lab *t, unsigned number, const struct of_tunnel *tunnel, const char *text)
{
	struct weft_error err = WEFT_ERROR_INIT;

	assert_false(lab_set_tunnel(t, number, tunnel, 0, &err));
	assert_string_equal(err.text, text);
}

static void
test_tunnel_in_refuses_what_cannot_be_told_apart(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel one = lab_tunnel("192.0.2.2"), other = one;

	lab_tunnel_port(t, 20, &one);
	refuse(t, 21, &one,
		"port t21: port t20 of switch s1 has the same remote, local, vni and dst-port");
	/* How it sends does not count, nor does a source that flows choose. */
	other.ttl = 7;
	other.local_by = OF_TUNNEL_FLOW;
	refuse(t, 21, &other,
		"port t21: port t20 of switch s1 has the same remote, local, vni and dst-port");
	other = one;
	other.id = 6;
	lab_tunnel_port(t, 21, &other);
	other.id = 5;
	other.local = lab_addr("192.0.2.1");
	lab_tunnel_port(t, 21, &other);
	other.dst_port = 8472;
	other.kind = DP_TUNNEL_VXLAN_GPE;
	lab_tunnel_port(t, 21, &other);
	other.dst_port = 4789;
	refuse(t, 21, &other,
		"port t21: port t20 of switch s1 takes another kind of tunnel on the same UDP port");
	/* It may change itself into that. */
	ofproto_port_del(t->s1, OF_PORT(21));
	lab_tunnel_port(t, 20, &other);
	ofproto_port_del(t->s1, OF_PORT(20));
	lab_tunnel_port(t, 21, &one);
}

static void
test_tunnel_in_refuses_nonsense(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel good = lab_tunnel("192.0.2.2"), bad;

#define BAD(CHANGE, TEXT)                                                                          \
	do {                                                                                       \
		bad = good;                                                                        \
		CHANGE;                                                                            \
		refuse(t, 20, &bad, "port t20: " TEXT);                                            \
	} while (0)
	BAD(bad.kind = DP_TUNNEL_GRE_OR_ERSPAN, "no tunnel of a kind that ports can have");
	BAD(bad.kind = 0, "no tunnel of a kind that ports can have");
	BAD(memset(&bad.remote, 0, sizeof(bad.remote)), "the remote address is missing");
	BAD(bad.remote = lab_addr("239.1.1.1"), "a multicast address cannot be a tunnel's end");
	BAD(bad.local = lab_addr("ff02::1"), "a multicast address cannot be a tunnel's end");
	BAD(bad.remote = lab_addr("127.9.0.1"), "a loopback address cannot be a tunnel's end");
	BAD(bad.local = lab_addr("::1"), "a loopback address cannot be a tunnel's end");
	BAD(bad.local = bad.remote, "remote and local are the same address");
	BAD(bad.local = lab_addr("2001:db8::1"), "remote and local must both be IPv4 or both IPv6");
	BAD(bad.id = 1 << 24, "vni must be at most 16777215 (24 bits)");
	BAD(bad.dst_port = 0, "dst-port must not be 0");
	BAD(bad.kind = DP_TUNNEL_GRE, "GRE has no UDP port");
	BAD(bad.tos = 1, "the low two bits of tos are ECN's: they follow the packet");
	BAD(bad.ttl = 0, "ttl must not be 0");
	BAD((bad.gbp = true, bad.kind = DP_TUNNEL_GENEVE), "gbp is for plain VXLAN");
	BAD(bad.too_long = DP_ENCAP_FRAGMENT, "too-long=fragment needs df=no");
	lab_tunnel_port(t, 20, &good);
}

/* Whether the change of a port concerns the translation before it. */
static bool
concerns(struct underlay_lab *t, void (*change)(struct underlay_lab *t))
{
	uint64_t n = change_log_end(&t->w.model->changes);
	bool hit = false;

	change(t);
	for (; n < change_log_end(&t->w.model->changes); n++) {
		const struct change_batch *b = change_log_get(&t->w.model->changes, n);

		assert_false(b->is_all);
		for (uint32_t i = 0; i < b->n; i++) {
			for (uint32_t k = 0; k < t->w.t.n_deps; k++) {
				hit |= b->changes[i].dep == t->w.t.deps[k];
			}
		}
	}
	return hit;
}

static void
add_20(struct underlay_lab *t)
{
	struct of_tunnel tunnel = lab_tunnel("192.0.2.2");

	lab_tunnel_port(t, 20, &tunnel);
}

static void
add_21(struct underlay_lab *t)
{
	struct of_tunnel tunnel = lab_tunnel("192.0.2.3");

	lab_tunnel_port(t, 21, &tunnel);
}

static void
change_21(struct underlay_lab *t)
{
	struct of_tunnel tunnel = lab_tunnel("192.0.2.3");

	tunnel.ttl = 9;
	lab_tunnel_port(t, 21, &tunnel);
}

static void
add_geneve(struct underlay_lab *t)
{
	struct of_tunnel tunnel = lab_tunnel("192.0.2.3");

	tunnel.kind = DP_TUNNEL_GENEVE;
	tunnel.dst_port = 6081;
	lab_tunnel_port(t, 22, &tunnel);
}

static void
del_20(struct underlay_lab *t)
{
	ofproto_port_del(t->s1, OF_PORT(20));
}

static void
news_of_the_route(struct underlay_lab *t)
{
	lab_route_changed(t, "192.0.2.2");
}

static void
news_of_another_route(struct underlay_lab *t)
{
	lab_route_changed(t, "192.0.2.3");
}

static void
internal_port_down(struct underlay_lab *t)
{
	struct of_port_info info = *ofproto_port_find(t->u, OF_PORT(9));

	info.config = OF_PORT_DOWN;
	assert_true(ofproto_port_set(t->u, &info, NULL));
}

static void
test_tunnel_in_and_out_note_what_they_depend_on(void **state)
{
	struct underlay_lab *t = *state;

	lab_flow(t, t->u, "in_port=1,actions=output:9");
	lab_flow(t, t->u, "in_port=9,actions=output:1");
	lab_flow(t, t->s1, "in_port=1,actions=output:20");
	lab_flow(t, t->s1, "in_port=20,actions=output:1");
	lab_route(t, 2, 1, 2);
	lab_route(t, 3, 1, 2);
	/* To the host. */
	EXPECT(t, UP VXLAN, "output(39)");
	assert_true(concerns(t, add_geneve));
	EXPECT(t, UP VXLAN, "output(39)");
	assert_false(concerns(t, news_of_the_route));
	assert_true(concerns(t, add_20));
	EXPECT(t, UP VXLAN, "decap(kind=vxlan,port=40)");
	assert_true(concerns(t, change_21)); /* it was not there */
	EXPECT(t, UP VXLAN, "decap(kind=vxlan,port=40)");
	assert_false(concerns(t, add_21));
	/* Out of the tunnel. */
	assert_string_equal(out_of(t, "30", "5", "192.0.2.2", "192.0.2.1"), "output(11)");
	assert_false(concerns(t, change_21));
	assert_true(concerns(t, del_20));
	EXPECT(t, UP VXLAN, "decap(kind=vxlan,port=41)");
	assert_true(concerns(t, add_20));
	/* Into it. */
	EXPECT(t, "in_port=1", "encap(1.1),output(31)");
	assert_false(concerns(t, add_21));
	assert_false(concerns(t, news_of_another_route));
	assert_true(concerns(t, news_of_the_route));
	assert_true(concerns(t, internal_port_down));
	EXPECT(t, "in_port=1", "drop(rx-disabled)");
	assert_true(concerns(t, del_20));
}

int
main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, underlay_lab_begin, underlay_lab_end)
	const struct CMUnitTest tests[] = {
		TEST(test_tunnel_in_decapsulates_what_the_host_is_handed),
		TEST(test_tunnel_in_drops_headers_that_are_cut),
		TEST(test_tunnel_in_from_underlay_ports_alone),
		TEST(test_tunnel_in_finds_the_most_specific_port),
		TEST(test_tunnel_in_unknown),
		TEST(test_tunnel_in_face),
		TEST(test_tunnel_in_refuses_what_cannot_be_told_apart),
		TEST(test_tunnel_in_refuses_nonsense),
		TEST(test_tunnel_in_and_out_note_what_they_depend_on),
	};

	return cmocka_run_group_tests_name("tunnel_in", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * ERSPAN ports: what mirrors write into their headers, beside GRE ports, and that copies end (underlay_lab.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "lib/dp_protocol.h"
#include "lib/error.h"
#include "ofproto/of_mirror.h"
#include "ofproto/of_text.h"
#include "tests/unit/ofproto/underlay_lab.h"

#define EXPECT(T, PACKET, ACTIONS) assert_string_equal(lab_translate(T, PACKET), ACTIONS)
#define EXPECT_MASK(T, MASK) assert_string_equal(world_mask(&(T)->w), MASK)
#define IP4                                                                                        \
	"0200000000020200000000010800450000000000400040"                                           \
	"2f0000c0000201c0000202"
#define ERSPAN "5 0x0 3 1500 40 14 34 " IP4

static const struct of_port one[] = {{1}}, two[] = {{2}};

static struct of_tunnel
erspan(const char *remote, uint8_t ver)
{
	struct of_tunnel t = lab_tunnel(remote);

	t.kind = DP_TUNNEL_ERSPAN;
	t.dst_port = 0;
	t.too_long = DP_ENCAP_CUT;
	t.erspan.ver = ver;
	return t;
}

/* Mirror m to port 20: what comes in by 1 and what goes out by 2. */
static void
watch(struct underlay_lab *t, struct ofproto *p, uint16_t max_len)
{
	struct of_mirror m = {.name = "m",
		.src = one,
		.n_src = 1,
		.dst = two,
		.n_dst = 1,
		.output_port = OF_PORT(20),
		.max_len = max_len};

	ofproto_set_mirrors(p, &m, 1);
}

static uint16_t
max_len(struct underlay_lab *t, unsigned slot)
{
	return ((const struct dp_encap *)(const void *)t->objects[slot - 1].body)->max_len;
}

static void
test_tunnel_erspan_headers(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = erspan("192.0.2.2", 1);

	tunnel.id = 0x3ff;
	tunnel.erspan.idx = 0xabcde;
	lab_tunnel_port(t, 20, &tunnel);
	lab_route(t, 2, 1, 2);
	lab_route(t, 0x82, 1, 2);
	lab_flow(t, t->s1, "in_port=1,actions=output:3");
	lab_flow(t, t->s1, "in_port=3,actions=output:2");
	lab_flow(t, t->s1, "in_port=4,actions=output:20");
	lab_flow(t, t->u, "actions=output:1");
	watch(t, t->s1, 0);
	EXPECT(t, "in_port=1", "clone(encap(1.1),output(31)),output(13)");
	assert_string_equal(lab_encap(t, 1), ERSPAN "100088be00000000"
						    "100003ff000abcde");
	assert_int_equal(max_len(t, 1), 0);
	/* Type II says nothing of the direction. */
	EXPECT(t, "in_port=3", "clone(encap(1.1),output(31)),output(12)");
	/* Type III does: as the mirror has seen it. */
	tunnel = erspan("192.0.2.2", 2);
	tunnel.erspan.hwid = 0x2a;
	lab_tunnel_port(t, 20, &tunnel);
	EXPECT(t, "in_port=1", "clone(encap(2.1),output(31)),output(13)");
	assert_string_equal(lab_encap(t, 2), ERSPAN "100022eb00000000"
						    "2000000500000000000082a0");
	EXPECT(t, "in_port=3", "clone(encap(3.1),output(31)),output(12)");
	assert_string_equal(lab_encap(t, 3), ERSPAN "100022eb00000000"
						    "2000000500000000000082a8");
	/* What rules send there is no mirror's. */
	EXPECT(t, "in_port=4", "encap(2.1),output(31)");
	/* Or as the port says. */
	tunnel.erspan.dir = OF_TUNNEL_DIR_EGRESS;
	lab_tunnel_port(t, 20, &tunnel);
	EXPECT(t, "in_port=1", "clone(encap(3.1),output(31)),output(13)");
	EXPECT(t, "in_port=4", "encap(3.1),output(31)");
	tunnel.erspan.dir = OF_TUNNEL_DIR_INGRESS;
	lab_tunnel_port(t, 20, &tunnel);
	EXPECT(t, "in_port=3", "clone(encap(2.1),output(31)),output(12)");
	/* Over IPv6. */
	tunnel.remote = lab_addr("2001:db8::82");
	lab_tunnel_port(t, 20, &tunnel);
	EXPECT(t, "in_port=1", "clone(encap(4.1),output(31)),output(13)");
	assert_string_equal(lab_encap(t, 4), "5 0x0 3 1500 40 14 54 020000000002020000000001"
					     "86dd60000000"
					     "00002f40"
					     "20010db8000000000000000000000001"
					     "20010db8000000000000000000000082"
					     "100022eb00000000"
					     "2000000500000000000082a0");
}

static void
test_tunnel_erspan_cuts(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = erspan("192.0.2.2", 1), vxlan = lab_tunnel("192.0.2.2");

	lab_tunnel_port(t, 20, &tunnel);
	lab_route(t, 2, 1, 2);
	lab_flow(t, t->s1, "in_port=1,actions=output:20,output:3");
	lab_flow(t, t->u, "actions=output:1");
	watch(t, t->s1, 64);
	/* The copy alone. */
	EXPECT(t, "in_port=1",
		"clone(encap(1.1),output(31)),clone(encap(2.1),output(31)),output(13)");
	assert_int_equal(max_len(t, 1), 64);
	assert_int_equal(max_len(t, 2), 0);
	/* In any tunnel; a copy that is too long is nobody's concern whose packet it is a copy of. */
	vxlan.too_long = DP_ENCAP_TO_AGENT;
	lab_tunnel_port(t, 20, &vxlan);
	EXPECT(t, "in_port=1",
		"clone(encap(3.1),output(31)),clone(encap(4.1),output(31)),output(13)");
	assert_int_equal(max_len(t, 3), 64);
	assert_memory_equal(lab_encap(t, 3), "1 0x0 0 ", 8);
	assert_memory_equal(lab_encap(t, 4), "1 0x0 2 ", 8);
	assert_int_equal(t->w.t.n_contexts, 1);
}

/* What comes by ERSPAN, and by GRE. */
static void
test_tunnel_erspan_beside_gre(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel mirrored = erspan("192.0.2.2", 1), gre = lab_tunnel("192.0.2.2");
	static const char up[] =
		"in_port=21,ip,nw_proto=47,dl_dst=02:00:00:00:00:01,nw_src=192.0.2.2,nw_dst=192.0.2.1";
#define IN(FLAGS) "in_port=30,tun_id=5,tun_src=192.0.2.2,tun_dst=192.0.2.1,tun_flags=" FLAGS
	gre.kind = DP_TUNNEL_GRE;
	gre.dst_port = 0;
	lab_flow(t, t->u, "actions=output:9");
	lab_flow(t, t->s1, "in_port=20,actions=output:1");
	lab_flow(t, t->s1, "in_port=21,actions=output:2");
	lab_tunnel_port(t, 20, &mirrored);
	EXPECT(t, up, "decap(kind=erspan,port=40)");
	EXPECT(t, IN("0x8018"), "output(11)");
	EXPECT_MASK(t, "tun_id/00000000ffffffff,tun_ipv6_src");
	/* Both are known by the same; the header tells them apart. */
	lab_tunnel_port(t, 21, &gre);
	EXPECT(t, up, "decap(kind=gre-or-erspan,port=40)");
	EXPECT(t, IN("0x8018"), "output(11)");
	EXPECT_MASK(t, "tun_id/00000000ffffffff,tun_ipv6_src,tun_flags/0010");
	EXPECT(t, IN("0x8008"), "output(12)");
	ofproto_port_del(t->s1, OF_PORT(20));
	EXPECT(t, up, "decap(kind=gre,port=41)");
	lab_tunnel_port(t, 20, &mirrored);
	EXPECT(t, up, "decap(kind=gre-or-erspan,port=41)");
	ofproto_port_del(t->s1, OF_PORT(21));
	EXPECT(t, up, "decap(kind=erspan,port=40)");
}

/* Copies go out by the port that is watched, in the same switch, whatever the way. */
static void
test_tunnel_erspan_never_loops(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = erspan("192.0.2.2", 2);
	struct of_mirror all = {.name = "m", .output_port = OF_PORT(20), .select_all = true};
	struct of_mirror under = {.name = "u", .output_port = OF_PORT(2), .select_all = true};
	struct flow_key key;

	lab_tunnel_port(t, 20, &tunnel);
	lab_route(t, 2, 1, 2);
	lab_flow(t, t->s1, "in_port=1,actions=output:3");
	lab_flow(t, t->s1, "in_port=20,actions=output:20");
	lab_flow(t, t->u, "in_port=9,actions=output:1");
	ofproto_set_mirrors(t->s1, &all, 1);
	ofproto_set_mirrors(t->u, &under, 1);
	EXPECT(t, "in_port=1", "clone(encap(1.1),output(31)),output(13)");
	/* What came by that tunnel is not copied into it. */
	EXPECT(t, "in_port=30,tun_id=5,tun_src=192.0.2.2", "drop");
	/* A copy that the datapath parses anew before its way is known is still one. */
	lab_flow(t, t->u, "priority=50000,ip,nw_ecn=3,actions=drop");
	lab_translate(t, "in_port=1,ip");
	assert_memory_equal(t->w.text, "clone(encap(1.1),recirc(", 24);
	world_key("in_port=1,ip,nw_src=192.0.2.1,nw_proto=47", &key);
	key.recirc_id = be32_from(t->w.t.contexts[0]);
	assert_string_equal(lab_translate_key(t, &key), "output(31)");
}

/* A copy that finds no way is none, and is counted as lost. */
static void
test_tunnel_erspan_without_a_way(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = erspan("192.0.2.2", 1), vxlan = lab_tunnel("192.0.2.3");
	struct of_mirror uplink = {.name = "u", .dst = one, .n_dst = 1, .output_port = OF_PORT(20)};
	struct of_port_info info = {
		.number = OF_PORT(20), .name = "t20", .dp_port = {40}, .kind = OF_PORT_TUNNEL};

	lab_tunnel_port(t, 20, &tunnel);
	lab_route(t, 2, 1, 2);
	lab_route(t, 3, 1, 3);
	lab_flow(t, t->s1, "in_port=1,actions=output:3");
	lab_flow(t, t->u, "in_port=9,actions=output:1");
	watch(t, t->s1, 0);
	EXPECT(t, "in_port=1", "clone(encap(1.1),output(31)),output(13)");
	assert_int_equal(t->w.t.counters.n, 2); /* the port's, the mirror's */
	lab_no_route(t, 2, OF_UNDERLAY_NO_ROUTE);
	EXPECT(t, "in_port=1", "output(13),drop(tunnel-no-route)");
	assert_int_equal(t->w.t.counters.n, 0);
	lab_flow(t, t->s1, "in_port=3,actions=output:4,output:2");
	EXPECT(t, "in_port=3", "output(14),output(12),drop(tunnel-no-route)");
	assert_int_equal(t->w.t.counters.n, 0);
	/* What is in a tunnel already goes into no other one: mirrors of the uplink. */
	ofproto_port_del(t->s1, OF_PORT(20));
	info.tunnel = tunnel;
	lab_route(t, 2, 1, 2);
	assert_true(ofproto_port_set(t->u, &info, NULL));
	lab_tunnel_port(t, 21, &vxlan);
	lab_flow(t, t->s1, "in_port=2,actions=output:21");
	ofproto_set_mirrors(t->u, &uplink, 1);
	EXPECT(t, "in_port=2", "clone(encap(2.1),output(31)),drop(tunnel-loop)");
	assert_int_equal(t->w.t.counters.n, 1);
}

static void
test_tunnel_erspan_refuses_nonsense(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel three = erspan("192.0.2.2", 2), bad;
	struct weft_error err;

#define BAD(CHANGE, TEXT)                                                                          \
	do {                                                                                       \
		bad = erspan("192.0.2.2", 1);                                                      \
		CHANGE;                                                                            \
		err = (struct weft_error)WEFT_ERROR_INIT;                                          \
		assert_false(lab_set_tunnel(t, 20, &bad, 0, &err));                                \
		assert_string_equal(err.text, "port t20: " TEXT);                                  \
	} while (0)
	BAD(bad.id = 1024, "vni, the session, must be at most 1023 (10 bits)");
	BAD(bad.dst_port = 7, "GRE has no UDP port");
	BAD(bad.erspan.ver = 0, "erspan-ver must be 1 (type II) or 2 (type III)");
	BAD(bad.erspan.ver = 3, "erspan-ver must be 1 (type II) or 2 (type III)");
	BAD(bad.erspan.idx = 1 << 20, "erspan-idx, erspan-hwid or erspan-dir is out of range");
	BAD((bad = three, bad.erspan.hwid = 64),
		"erspan-idx, erspan-hwid or erspan-dir is out of range");
	BAD((bad = three, bad.erspan.idx = 1),
		"erspan-idx goes with erspan-ver=1, erspan-dir and erspan-hwid with erspan-ver=2");
	BAD(bad.erspan.hwid = 1,
		"erspan-idx goes with erspan-ver=1, erspan-dir and erspan-hwid with erspan-ver=2");
	BAD(bad.erspan.dir = OF_TUNNEL_DIR_EGRESS,
		"erspan-idx goes with erspan-ver=1, erspan-dir and erspan-hwid with erspan-ver=2");
	BAD(bad.too_long = DP_ENCAP_TO_AGENT,
		"too-long=icmp is not for ERSPAN: what is too long is a copy");
	BAD(bad.seq = true, "seq is for GRE");
	BAD((bad = lab_tunnel("192.0.2.2"), bad.too_long = DP_ENCAP_CUT),
		"too-long=cut is for ERSPAN, which carries copies");
	lab_tunnel_port(t, 20, &three);
	/* Two sessions to one collector; not one twice. */
	three.id = 6;
	lab_tunnel_port(t, 21, &three);
	err = (struct weft_error)WEFT_ERROR_INIT;
	assert_false(lab_set_tunnel(t, 22, &three, 0, &err));
	assert_string_equal(err.text,
		"port t22: port t21 of switch s1 has the same remote, local, vni and dst-port");
}

int
main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, underlay_lab_begin, underlay_lab_end)
	const struct CMUnitTest tests[] = {
		TEST(test_tunnel_erspan_headers),
		TEST(test_tunnel_erspan_cuts),
		TEST(test_tunnel_erspan_beside_gre),
		TEST(test_tunnel_erspan_never_loops),
		TEST(test_tunnel_erspan_without_a_way),
		TEST(test_tunnel_erspan_refuses_nonsense),
	};

	return cmocka_run_group_tests_name("tunnel_erspan", tests, NULL, NULL);
}

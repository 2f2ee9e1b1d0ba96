/* SPDX-License-Identifier: Apache-2.0
 *
 * BFD on tunnel ports: its packets go to the port and out of it past the pipeline; a path that is found broken makes
 * the port dead (underlay_lab.h).
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

/* Out of the tunnel of port 20, which is datapath port 40. */
#define OUT "in_port=30,tun_id=5,tun_src=192.0.2.2,tun_dst=192.0.2.1,"
#define BFD "udp,nw_ttl=255,tp_dst=3784"

static struct of_tunnel
bfd_tunnel(void)
{
	static const uint8_t mac[6] = {0x02, 0x00, 0x00, 0x00, 0x0b, 0xfd};
	struct of_tunnel tunnel = lab_tunnel("192.0.2.2");

	tunnel.bfd = true;
	memcpy(tunnel.bfd_mac, mac, sizeof(mac));
	return tunnel;
}

static void
test_tunnel_bfd_in(void **state)
{
	static const char *const macs[] = {"dl_dst=00:00:5e:00:52:02,", "dl_dst=00:23:20:00:00:01,",
		"dl_dst=02:00:00:00:0b:fd,"};
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = bfd_tunnel();
	char text[200];

	lab_flow(t, t->s1, "actions=output:1");
	lab_tunnel_port(t, 20, &tunnel);
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(macs); i++) {
		snprintf(text, sizeof(text), OUT "%s" BFD, macs[i]);
		EXPECT(t, text, "output(40)");
		snprintf(text, sizeof(text), OUT "%sudp6,tp_dst=3784", macs[i]);
		EXPECT(t, text, "output(40)");
		/* What is something else is the pipeline's. */
		snprintf(text, sizeof(text), OUT "%sudp,tp_dst=3785", macs[i]);
		EXPECT(t, text, "output(11)");
		snprintf(text, sizeof(text), OUT "%stcp,tp_dst=3784", macs[i]);
		EXPECT(t, text, "output(11)");
		snprintf(text, sizeof(text), OUT "%sdl_vlan=7,udp,tp_dst=3784", macs[i]);
		EXPECT(t, text, "output(11)");
	}
	EXPECT(t, OUT "dl_dst=00:00:5e:00:52:02," BFD, "output(40)");
	EXPECT_MASK(t, "eth_dst,eth_type,vlan_tci/1000,nw_proto,tcp_dst,tun_id/00000000ffffffff,"
		       "tun_ipv6_src");
	/* No more is looked at than tells others apart. */
	EXPECT(t, OUT "dl_dst=52:54:00:00:00:01," BFD, "output(11)");
	EXPECT_MASK(t, "eth_dst/ff0000000000,tun_id/00000000ffffffff,tun_ipv6_src");
	EXPECT(t, OUT "dl_dst=00:23:21:00:00:01," BFD, "output(11)");
	EXPECT_MASK(t, "eth_dst/ffffff000000,tun_id/00000000ffffffff,tun_ipv6_src");
	/* Without BFD nothing is. */
	tunnel.bfd = false;
	lab_tunnel_port(t, 20, &tunnel);
	EXPECT(t, OUT "dl_dst=00:00:5e:00:52:02," BFD, "output(11)");
	EXPECT_MASK(t, "tun_id/00000000ffffffff,tun_ipv6_src");
}

static void
test_tunnel_bfd_in_of_another_id(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = bfd_tunnel();

	tunnel.id_by = OF_TUNNEL_FLOW;
	tunnel.id = 0;
	tunnel.bfd_id = 5;
	lab_flow(t, t->s1, "actions=output:1");
	lab_tunnel_port(t, 20, &tunnel);
	EXPECT(t, OUT "dl_dst=00:00:5e:00:52:02," BFD, "output(40)");
	EXPECT(t, "in_port=30,tun_id=6,tun_src=192.0.2.2,dl_dst=00:00:5e:00:52:02," BFD,
		"output(11)");
	EXPECT(t, "in_port=30,tun_id=0x100000005,tun_src=192.0.2.2,dl_dst=00:00:5e:00:52:02," BFD,
		"output(11)");
}

static void
test_tunnel_bfd_in_of_a_closed_port(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = bfd_tunnel();
	struct weft_error err = WEFT_ERROR_INIT;

	lab_flow(t, t->s1, "actions=output:1");
	assert_true(lab_set_tunnel(t, 20, &tunnel, OF_PORT_NO_RECV, &err));
	EXPECT(t, OUT "dl_dst=00:00:5e:00:52:02," BFD, "drop(rx-disabled)");
}

static const char *
own(struct underlay_lab *t, unsigned dp_port)
{
	struct flow_key key;

	world_key("in_port=1,dl_dst=00:00:5e:00:52:02," BFD, &key);
	key.in_port = be32_from(dp_port);
	key.recirc_id = be32_from(DP_RECIRC_OWN);
	return lab_translate_key(t, &key);
}

static void
test_tunnel_bfd_out(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = bfd_tunnel();
	struct weft_error err = WEFT_ERROR_INIT;

	lab_route(t, 2, 1, 0x11);
	lab_flow(t, t->s1, "actions=drop");
	lab_flow(t, t->u, "udp,actions=output:1");
	lab_tunnel_port(t, 20, &tunnel);
	/* Past the rules of the port's switch, through those of the underlay's. */
	assert_string_equal(own(t, 40), "encap(1.1),output(31)");
	EXPECT_MASK(t, "");
	assert_true(
		lab_set_tunnel(t, 20, &tunnel, OF_PORT_DOWN, &err)); /* that it is, must be said */
	assert_string_equal(own(t, 40), "encap(1.1),output(31)");
	/* What is in its way is blamed. */
	lab_no_route(t, 2, OF_UNDERLAY_NO_NEIGHBOUR);
	assert_string_equal(own(t, 40), "drop(tunnel-no-neighbour)");
	/* An id of its own. */
	lab_route(t, 2, 1, 0x11);
	tunnel.id_by = OF_TUNNEL_FLOW;
	tunnel.id = 0;
	tunnel.bfd_id = 9;
	lab_tunnel_port(t, 20, &tunnel);
	assert_string_equal(own(t, 40), "set(tun_id=0x9),encap(2.1),output(31)");
	assert_false(t->w.t.is_refused);
	/* Nobody's. */
	tunnel.bfd = false;
	tunnel.bfd_id = 0;
	lab_tunnel_port(t, 20, &tunnel);
	assert_string_equal(own(t, 40), "drop(agent-refused)");
	assert_true(t->w.t.is_refused);
	assert_string_equal(own(t, 11), "drop(agent-refused)");
	assert_string_equal(own(t, 99), "drop(agent-refused)");
	assert_string_equal(own(t, DP_PORT_MADE), "drop(agent-refused)");
}

static void
test_tunnel_bfd_is_refused(void **state)
{
	struct of_tunnel t = bfd_tunnel();
	struct weft_error err = WEFT_ERROR_INIT;

	(void)state;
	assert_true(of_tunnel_check(&t, &err));
	t.remote_by = OF_TUNNEL_FLOW;
	assert_false(of_tunnel_check(&t, &err));
	assert_string_equal(err.text, "bfd watches one path: remote and local must not be flow");
	weft_error_init(&err);
	t = bfd_tunnel();
	t.local_by = OF_TUNNEL_FLOW;
	assert_false(of_tunnel_check(&t, &err));
	weft_error_init(&err);
	t = bfd_tunnel();
	t.bfd_id = 7;
	assert_false(of_tunnel_check(&t, &err));
	assert_string_equal(
		err.text, "bfd-vni is for vni=flow: else BFD's packets have the vni of the port");
	weft_error_init(&err);
	t.id_by = OF_TUNNEL_FLOW;
	assert_true(of_tunnel_check(&t, &err));
	t.bfd_id = 1 << 24;
	assert_false(of_tunnel_check(&t, &err));
	weft_error_init(&err);
	t = bfd_tunnel();
	t.kind = DP_TUNNEL_ERSPAN;
	t.dst_port = 0;
	t.erspan.ver = 1;
	t.too_long = DP_ENCAP_CUT;
	assert_false(of_tunnel_check(&t, &err));
	assert_string_equal(err.text, "ERSPAN carries copies alone, no bfd");
}

/* A group's first live bucket; the version moves, so that flows are translated anew. */
static void
test_tunnel_bfd_path_down_is_not_live(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = bfd_tunnel();
	struct of_port_info info;
	uint64_t version;

	lab_route(t, 2, 1, 0x11);
	lab_flow(t, t->u, "udp,actions=output:1");
	lab_tunnel_port(t, 20, &tunnel);
	world_group(&t->w,
		"group_id=1,type=ff,bucket=watch_port:20,output:20,bucket=watch_port:2,output:2");
	lab_flow(t, t->s1, "actions=group:1");
	EXPECT(t, "in_port=1", "encap(1.1),output(31)");
	info = *ofproto_port_find(t->s1, OF_PORT(20));
	info.is_path_down = true;
	version = of_model_version(t->w.model);
	assert_true(ofproto_port_set(t->s1, &info, NULL));
	assert_true(of_model_version(t->w.model) > version);
	EXPECT(t, "in_port=1", "output(12)");
	info.is_path_down = false;
	assert_true(ofproto_port_set(t->s1, &info, NULL));
	EXPECT(t, "in_port=1", "encap(1.1),output(31)");
}

#define LAB_TEST(F) cmocka_unit_test_setup_teardown(F, underlay_lab_begin, underlay_lab_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(test_tunnel_bfd_in),
		LAB_TEST(test_tunnel_bfd_in_of_another_id),
		LAB_TEST(test_tunnel_bfd_in_of_a_closed_port),
		LAB_TEST(test_tunnel_bfd_out),
		cmocka_unit_test(test_tunnel_bfd_is_refused),
		LAB_TEST(test_tunnel_bfd_path_down_is_not_live),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnels in a worker's hands: what goes on behind ENCAP and DECAP, counters (tunnel_rig.h).
 */
#include <stdio.h>
#include <string.h>

#include "datapath/worker.h"
#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "lib/error.h"
#include "tests/unit/datapath/tunnel_rig.h"
#include "vhost/packet_mbuf.h"

/* What stands behind ENCAP sees the outer frame. */
static void
test_tunnel_worker_encap(void **state)
{
	struct port_sums tunnel;
	struct lab_frame f;
	char text[256];

	(void)state;
	tunnel_rig_begin();
	lab_seed("encap");
	snprintf(text, sizeof text, "%s,output(2)", rig_on("encap", tunnel_rig_plain()));
	rig_wire(&tunnel_rig_agent, 1, text);
	tunnel_rig_frame(&f, LAB_UDP4, 1, 18);
	f.bytes[f.l3 + 1] = 0x48;
	lab_frame_csums(&f, false);
	tunnel_rig_send(1, f.bytes, f.len);
	tunnel_rig_expect_outer(2, f.bytes, f.len, 0x7b);
	port_read_counters(tunnel_rig_ports[TUNNEL_RIG_PORT], &tunnel);
	assert_int_equal(tunnel.tunnel_tx_packets, 1);
	assert_int_equal(tunnel.tunnel_tx_bytes, f.len);
	assert_int_equal(tunnel.tx_packets, 0);
	/* Into a VLAN, and back to the plain frame. */
	snprintf(text, sizeof text,
		"%s,push_vlan(tpid=0x8100,vid=9,pcp=2),output(2),pop_vlan,set(nw_ttl=3),"
		"set(udp_dst=4790),output(4)",
		rig_on("encap", tunnel_rig_plain()));
	rig_wire(&tunnel_rig_agent, 1, text);
	tunnel_rig_send(1, f.bytes, f.len);
	assert_int_equal(
		rig_receive(tunnel_rig_ports[2], tunnel_rig_bytes, sizeof tunnel_rig_bytes),
		f.len + TUNNEL_RIG_V4 + 4);
	assert_int_equal(get_be32(tunnel_rig_bytes + 12), 0x81004009);
	assert_memory_equal(tunnel_rig_bytes + 4 + TUNNEL_RIG_V4, f.bytes, f.len);
	assert_int_equal(
		rig_receive(tunnel_rig_ports[4], tunnel_rig_bytes, sizeof tunnel_rig_bytes),
		f.len + TUNNEL_RIG_V4);
	assert_int_equal(tunnel_rig_bytes[22], 3);
	assert_int_equal(lab_csum(tunnel_rig_bytes + 14, 20, 0), 0xffff);
	assert_int_equal(get_be16(tunnel_rig_bytes + 36), 4790);
	assert_memory_equal(tunnel_rig_bytes + TUNNEL_RIG_V4, f.bytes, f.len);
	tunnel_rig_end();
}

/* Each copy has tunnel fields of its own, and so has what was looked at again. */
static void
test_tunnel_worker_copies(void **state)
{
	struct dp_handle e;
	struct lab_frame f;
	char text[256], on[24];

	(void)state;
	tunnel_rig_begin();
	lab_seed("copies");
	e = tunnel_rig_encap(&(struct dp_encap){.flags = DP_ENCAP_ID_FROM_KEY, .port = UINT32_MAX},
		false, RIG_NONE);
	snprintf(on, sizeof on, "%s", rig_on("encap", e));
	snprintf(text, sizeof text,
		"set(tun_id=5),clone(set(tun_id=6),%s,output(2)),clone(%s,output(4)),recirc(0x9)",
		on, on);
	rig_wire(&tunnel_rig_agent, 1, text);
	snprintf(text, sizeof text, "%s,output(1)", on);
	tunnel_rig_flow(1, 9, 5, text);
	tunnel_rig_frame(&f, LAB_TCP6, 0, 1200);
	tunnel_rig_send(1, f.bytes, f.len);
	tunnel_rig_expect_outer(2, f.bytes, f.len, 6);
	tunnel_rig_expect_outer(4, f.bytes, f.len, 5);
	tunnel_rig_expect_outer(1, f.bytes, f.len, 5);
	/* Behind ENCAP they are gone: a second look finds the outer frame without them. */
	snprintf(text, sizeof text, "set(tun_id=5),%s,recirc(0xa)", on);
	rig_wire(&tunnel_rig_agent, 1, text);
	tunnel_rig_flow(1, 10, 0, "output(4)");
	tunnel_rig_send(1, f.bytes, f.len);
	tunnel_rig_expect_outer(4, f.bytes, f.len, 5);
	/* Wider than the tunnel carries. */
	snprintf(text, sizeof text, "set(tun_id=0x1000000),%s,output(2)", on);
	rig_wire(&tunnel_rig_agent, 1, text);
	tunnel_rig_expect_drop(1, f.bytes, f.len, DROP_TUNNEL_ID_RANGE);
	rig_wire(&tunnel_rig_agent, 1, "set(tun_id=0x100000000),output(2)");
	tunnel_rig_expect_drop(1, f.bytes, f.len, DROP_TUNNEL_ID_RANGE);
	tunnel_rig_end();
}

/* The inner frame is received by the tunnel port, with its tunnel fields, and looked up there. */
static void
test_tunnel_worker_decap(void **state)
{
	struct port_sums tunnel, all;
	const struct dp_upcall *upcall;
	struct dp_parked parked;
	uint8_t outer[2048];
	struct lab_frame f;
	size_t len;

	(void)state;
	tunnel_rig_begin();
	lab_seed("decap");
	rig_wire(&tunnel_rig_agent, 2, "decap(kind=vxlan,port=3)");
	tunnel_rig_flow(TUNNEL_RIG_PORT, 0, 5, "output(1)");
	tunnel_rig_flow(TUNNEL_RIG_PORT, 0, 6, "push_vlan(tpid=0x8100,vid=9,pcp=2),output(4)");
	tunnel_rig_frame(&f, LAB_TCP4, 0, 100);
	len = tunnel_rig_outer(outer, f.bytes, f.len, 5, 0xc001);
	tunnel_rig_send(2, outer, len);
	tunnel_rig_expect_frame(1, f.bytes, f.len);
	len = tunnel_rig_outer(outer, f.bytes, f.len, 6, 0xc001);
	tunnel_rig_send(2, outer, len);
	assert_int_equal(
		rig_receive(tunnel_rig_ports[4], tunnel_rig_bytes, sizeof tunnel_rig_bytes),
		f.len + 4);
	assert_int_equal(get_be32(tunnel_rig_bytes + 12), 0x81004009);
	port_read_counters(tunnel_rig_ports[TUNNEL_RIG_PORT], &tunnel);
	assert_int_equal(tunnel.tunnel_rx_packets, 2);
	assert_int_equal(tunnel.tunnel_rx_bytes, 2 * f.len);
	assert_int_equal(tunnel.rx_packets, 0);
	/* No flow: the agent sees key and bytes of the inner frame, and its answer runs on that. */
	len = tunnel_rig_outer(outer, f.bytes, f.len, 7, 0xc001);
	rig_send(tunnel_rig_ports[2], outer, len);
	upcall = rig_upcall(&tunnel_rig_agent, 0);
	assert_int_equal(upcall->packet_len, f.len);
	assert_int_equal(be32_to(tunnel_rig_agent.msg.key.in_port), TUNNEL_RIG_PORT);
	assert_int_equal(be32_to(tunnel_rig_agent.msg.key.tun_id_lo), 7);
	assert_int_equal(tunnel_rig_agent.msg.key.tun_ttl, 64);
	assert_memory_equal(tunnel_rig_agent.msg.key.tun_dst,
		"\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x02", 16);
	assert_int_equal(be16_to(tunnel_rig_agent.msg.key.tun_tp_src), 0xc001);
	assert_memory_equal(tunnel_rig_agent.msg.data, f.bytes, f.len);
	port_read_counters(tunnel_rig_ports[TUNNEL_RIG_PORT], &tunnel);
	assert_int_equal(tunnel.parked, 1);
	/* Its tunnel fields are still there when it is looked at again. */
	parked = upcall->parked;
	tunnel_rig_flow(TUNNEL_RIG_PORT, 4, 7, "output(4)");
	rig_execute(&tunnel_rig_agent, parked, 0, "recirc(0x4)");
	rig_wait(rig_n_waiting(tunnel_rig_ports[4]));
	tunnel_rig_expect_frame(4, f.bytes, f.len);
	/* With a recirculation id, and into the next tunnel without anything being set. */
	rig_wire(&tunnel_rig_agent, 2, "decap(kind=vxlan,port=3,recirc_id=0x8)");
	{
		char text[64];
		struct dp_handle e = tunnel_rig_encap(
			&(struct dp_encap){.flags = DP_ENCAP_ID_FROM_KEY, .port = UINT32_MAX},
			false, RIG_NONE);

		snprintf(text, sizeof text, "%s,output(2)", rig_on("encap", e));
		tunnel_rig_flow(TUNNEL_RIG_PORT, 8, 7, text);
	}
	tunnel_rig_send(2, outer, len);
	tunnel_rig_expect_outer(2, f.bytes, f.len, 7);
	rig_sums(&all);
	assert_int_equal(all.dropped, 0);
	tunnel_rig_end();
}

/* Bytes that the agent sends have the tunnel fields that it gives them. */
static void
test_tunnel_worker_executes(void **state)
{
	struct dp_encap e = {
		.flags = DP_ENCAP_ID_FROM_KEY | DP_ENCAP_DST_FROM_KEY, .port = UINT32_MAX};
	struct dp_execute head = {.cmd.request = 7, .in_port = 1, .flags = DP_EXECUTE_REPLY};
	struct flow_key key = {.tun_id_lo = be32_from(0x77),
		.tun_dst = {[10] = 0xff, [11] = 0xff, [12] = 203, [15] = 9}};
	struct dp_actions list;
	struct lab_frame f;
	char text[64];

	(void)state;
	tunnel_rig_begin();
	lab_seed("executes");
	tunnel_rig_frame(&f, LAB_UDP4, 0, 18);
	snprintf(text, sizeof text, "%s,output(2)",
		rig_on("encap", tunnel_rig_encap(&e, false, RIG_NONE)));
	rig_actions(text, &list);
	head.key_blocks = FLOW_BLOCK(0) | FLOW_BLOCK(2);
	head.actions_size = (uint32_t)list.size;
	head.data_len = (uint32_t)f.len;
	assert_true(dp_send_execute(&tunnel_rig_agent.commands, &head, &key, list.data, f.bytes));
	shm_ring_publish(&tunnel_rig_agent.commands);
	assert_int_equal(rig_reply(&tunnel_rig_agent), DP_REPLY + DP_EXECUTE);
	dp_actions_uninit(&list);
	assert_int_equal(
		rig_receive(tunnel_rig_ports[2], tunnel_rig_bytes, sizeof tunnel_rig_bytes),
		f.len + TUNNEL_RIG_V4);
	assert_int_equal(get_be32(tunnel_rig_bytes + 30), 0xcb000009);
	assert_int_equal(get_be32(tunnel_rig_bytes + 46), 0x7700);
	assert_memory_equal(tunnel_rig_bytes + TUNNEL_RIG_V4, f.bytes, f.len);
	tunnel_rig_end();
}

static void
test_tunnel_worker_decap_drops(void **state)
{
	static uint8_t nest[TUNNEL_RIG_FRAME_MAX], more[TUNNEL_RIG_FRAME_MAX];
	uint8_t outer[2048];
	struct lab_frame f;
	char text[64];
	size_t len;

	(void)state;
	tunnel_rig_begin();
	lab_seed("decap drops");
	rig_wire(&tunnel_rig_agent, 2, "decap(kind=vxlan,port=77)");
	tunnel_rig_frame(&f, LAB_UDP4, 0, 18);
	len = tunnel_rig_outer(outer, f.bytes, f.len, 5, 0xc001);
	tunnel_rig_expect_drop(2, outer, len, DROP_PORT_GONE);
	rig_wire(&tunnel_rig_agent, 2, "decap(kind=vxlan,port=3)");
	rig_wire(&tunnel_rig_agent, TUNNEL_RIG_PORT, "output(1)");
	outer[24] ^= 1;
	tunnel_rig_expect_drop(2, outer, len, DROP_DECAP_CHECKSUM);
	outer[24] ^= 1;
	atomic_store(&tunnel_rig_ports[TUNNEL_RIG_PORT]->admin_up, false);
	tunnel_rig_expect_drop(2, outer, len, DROP_RX_DISABLED);
	atomic_store(&tunnel_rig_ports[TUNNEL_RIG_PORT]->admin_up, true);
	tunnel_rig_send(2, outer, len);
	tunnel_rig_expect_frame(1, f.bytes, f.len);
	/* An inner frame whose tag is cut off is none. */
	memset(more, 0x81, 14);
	more[13] = 0;
	len = tunnel_rig_outer(outer, more, 14, 5, 0xc001);
	tunnel_rig_expect_drop(2, outer, len, DROP_RX_TRUNCATED);
	/* A tunnel that leads into itself: each packet goes round so often, and no more. */
	rig_wire(&tunnel_rig_agent, TUNNEL_RIG_PORT, "decap(kind=vxlan,port=3)");
	memcpy(nest, f.bytes, f.len);
	len = f.len;
	for (unsigned i = 0; i <= DP_RECIRC_MAX; i++) {
		memcpy(more, nest, len);
		len = tunnel_rig_outer(nest, more, len, 5, 0xc001);
	}
	tunnel_rig_expect_drop(2, nest, len, DROP_RECIRC_LIMIT);
	/* One into which what comes out of it goes in again, endlessly. */
	snprintf(text, sizeof text, "%s,decap(kind=vxlan,port=3)",
		rig_on("encap", tunnel_rig_plain()));
	rig_wire(&tunnel_rig_agent, TUNNEL_RIG_PORT, text);
	len = tunnel_rig_outer(outer, f.bytes, f.len, 5, 0xc001);
	tunnel_rig_expect_drop(2, outer, len, DROP_RECIRC_LIMIT);
	snprintf(text, sizeof text, "%s,recirc(0x3)", rig_on("encap", tunnel_rig_plain()));
	rig_wire(&tunnel_rig_agent, 1, text);
	snprintf(text, sizeof text, "%s,output(2)", rig_on("encap", tunnel_rig_plain()));
	tunnel_rig_flow(1, 3, 0, text);
	tunnel_rig_expect_drop(1, f.bytes, f.len, DROP_TUNNEL_LOOP);
	tunnel_rig_end();
}

/* What the agent says of options holds for packets from then on, and outlasts it. */
static void
test_tunnel_worker_options(void **state)
{
	static const struct dp_tun_opt opts[] = {{0x0102, 0x80, 4, 8, 3, {0, 0}}};
	struct dp_tun_opts cmd = {{7}, 1, DP_TUN_OPTS_SET};
	struct dp_part part = {opts, sizeof opts};
	const struct dp_tun_opts_reply *reply = NULL;
	uint8_t outer[256];
	struct flow_key key = {.in_port = be32_from(TUNNEL_RIG_PORT)};
	struct flow_mask mask;
	size_t len;

	(void)state;
	tunnel_rig_begin();
	rig_wire(&tunnel_rig_agent, 2, "decap(kind=geneve,port=3)");
	len = lab_hex(outer, sizeof outer,
		"020000000002 020000000001 0800 4500004000000000 40110000 c0000201 c0000202"
		"c001 17c1 002c 0000 0240655800000900 01028001 0a0b0c0d"
		"020000000003 020000000004 88b5 77656674");
	put_be16(outer + 16, (uint16_t)(len - 14));
	put_be16(outer + 24, (uint16_t)~lab_csum(outer + 14, 20, 0));
	put_be16(outer + 38, (uint16_t)(len - 34));
	tunnel_rig_expect_drop(2, outer, len, DROP_DECAP_OPTION);
	assert_true(dp_send(&tunnel_rig_agent.commands, DP_TUN_OPTS, &cmd, sizeof cmd, &part, 1));
	for (unsigned i = 0; i < 2; i++) {
		shm_ring_publish(&tunnel_rig_agent.commands);
		assert_int_equal(rig_reply(&tunnel_rig_agent), DP_REPLY + DP_TUN_OPTS);
		reply = tunnel_rig_agent.msg.body;
		assert_int_equal(reply->reply.status, 0);
		assert_int_equal(reply->n, 1);
		assert_memory_equal(tunnel_rig_agent.msg.data, opts, sizeof opts);
		rig_agent_close(&tunnel_rig_agent, true);
		rig_agent_open(&tunnel_rig_agent, 2);
		cmd.n = cmd.flags = 0;
		assert_true(dp_send(
			&tunnel_rig_agent.commands, DP_TUN_OPTS, &cmd, sizeof cmd, NULL, 0));
	}
	shm_ring_publish(&tunnel_rig_agent.commands);
	rig_reply(&tunnel_rig_agent);
	rig_mask(&mask, FIELD_TUN_OPTS_PRESENT, FIELD_N);
	memset(mask.bits.tun_opts + 8, 0xff, 4);
	memcpy(key.tun_opts + 8, "\x0a\x0b\x0c\x0d", 4);
	key.tun_opts_present = be64_from(8);
	assert_int_equal(rig_put(&tunnel_rig_agent, &key, FLOW_BLOCK(0) | FLOW_BLOCK(5), &mask, 0,
				 "output(4)", NULL),
		0);
	tunnel_rig_send(2, outer, len);
	tunnel_rig_expect_frame(4, outer + 58, len - 58);
	tunnel_rig_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tunnel_worker_encap),
		cmocka_unit_test(test_tunnel_worker_copies),
		cmocka_unit_test(test_tunnel_worker_decap),
		cmocka_unit_test(test_tunnel_worker_executes),
		cmocka_unit_test(test_tunnel_worker_decap_drops),
		cmocka_unit_test(test_tunnel_worker_options),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnels in a worker's hands: what goes on behind ENCAP and DECAP, pieces, limits, counters (rig.h).
 *
 *     guest 1 --+              +-- uplink 2
 *               +-- worker ----+
 *     guest 4 --+   tunnel 3
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/worker.h"
#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "lib/error.h"
#include "tests/unit/datapath/rig_object.h"
#include "vhost/packet_mbuf.h"

#define N_PORTS 4
#define TUNNEL 3
#define FRAME_MAX 16384

static struct rig_agent agent;
static struct port *ports[N_PORTS + 1];
static uint8_t bytes[FRAME_MAX];

/* Ethernet, IPv4 with the don't-fragment bit, UDP, VXLAN with VNI 0x7b; and over IPv6. */
static const uint8_t vxlan4[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 0, 0, 0,
	0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0, 0, 0x12, 0xb5, 0, 0, 0, 0, 8, 0, 0, 0,
	0, 0, 0x7b, 0};
static const uint8_t vxlan6[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd, 0x60, 0, 0, 0, 0,
	0, 17, 64, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x20, 1, 0xd, 0xb8, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0x12, 0xb5, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0x7b, 0};

static void
begin(void)
{
	rig_begin(ports, N_PORTS, &agent);
}

static void
end(void)
{
	rig_end(&agent);
}

/* A frame whose ends know of no ECN. */
static void
make_frame(struct lab_frame *f, enum lab_kind kind, unsigned n_tags, size_t payload)
{
	uint8_t *ip;

	lab_frame(f, kind, n_tags, payload);
	ip = f->bytes + f->l3;
	ip[1] &= ip[0] >> 4 == 6 ? 0xcf : 0xfc;
	lab_frame_csums(f, false);
}

/* Puts a VXLAN header as object; the rest of @e is the caller's to fill in. */
static struct dp_handle
put_encap(const struct dp_encap *wanted, bool v6, struct dp_handle object)
{
	struct dp_encap e = *wanted;
	uint8_t header[80] = {0};
	struct rig_body body;

	e.kind = DP_TUNNEL_VXLAN;
	e.l3_off = 14;
	e.l4_off = v6 ? 54 : 34;
	e.size = v6 ? sizeof vxlan6 : sizeof vxlan4;
	memcpy(header, v6 ? vxlan6 : vxlan4, e.size);
	if (e.too_long == DP_ENCAP_FRAGMENT && !v6) {
		header[20] = 0;
	}
	rig_body_init(&body, DP_OBJECT_ENCAP);
	dp_actions_append(&body.bytes, &e, sizeof e);
	dp_actions_append(&body.bytes, header, WEFT_ROUND_UP(e.size, 8));
	assert_int_equal(rig_object_put(&agent, &body, &object), 0);
	rig_body_uninit(&body);
	return object;
}

static struct dp_handle
plain_encap(void)
{
	return put_encap(&(struct dp_encap){.port = TUNNEL}, false, RIG_NONE);
}

static void
settle(void)
{
	struct port_sums now;

	rig_wait(
		(rig_sums(&now), now.rx_packets + now.made + now.copied ==
					 now.tx_packets + now.to_agent + now.dropped + now.parked));
}

/* Sends by port @from and waits until it has left or ended. */
static void
send_frame(unsigned from, const uint8_t *frame, size_t len)
{
	struct port_sums before, now;

	rig_sums(&before);
	rig_send(ports[from], frame, len);
	rig_wait((rig_sums(&now), now.rx_packets == before.rx_packets + 1));
	settle();
}

/* The frame drops for that reason, once. */
static void
expect_drop(unsigned from, const uint8_t *frame, size_t len, enum drop_reason reason)
{
	struct port_sums before, now;

	rig_sums(&before);
	send_frame(from, frame, len);
	rig_sums(&now);
	if (now.dropped != before.dropped + 1 || now.drops[reason] != before.drops[reason] + 1) {
		fail_msg("no drop as %s", drop_reason_name(reason));
	}
}

/* A flow of a tunnel's packets: in by @in_port with tunnel id @id. */
static void
tunnel_flow(uint16_t in_port, uint32_t recirc_id, uint32_t id, const char *actions)
{
	struct flow_key key = {.in_port = be32_from(in_port),
		.recirc_id = be32_from(recirc_id),
		.tun_id_lo = be32_from(id)};
	struct flow_mask mask;

	rig_mask(&mask, FIELD_N);
	mask.bits.tun_id_lo = be32_from(UINT32_MAX);
	assert_int_equal(rig_put(&agent, &key, FLOW_BLOCK(0), &mask, 0, actions, NULL), 0);
}

/* The frame as it goes into a tunnel of plain_encap(): naive, but for the source port. */
static size_t
outer_of(uint8_t *outer, const uint8_t *frame, size_t len, uint32_t vni, uint16_t port)
{
	memcpy(outer, vxlan4, sizeof vxlan4);
	memcpy(outer + sizeof vxlan4, frame, len);
	put_be16(outer + 16, (uint16_t)(len + 36));
	put_be16(outer + 24, 0);
	put_be16(outer + 24, (uint16_t)~lab_csum(outer + 14, 20, 0));
	put_be16(outer + 34, port);
	put_be16(outer + 38, (uint16_t)(len + 16));
	put_be32(outer + 46, vni << 8);
	return len + sizeof vxlan4;
}

static void
expect_outer(unsigned port, const uint8_t *frame, size_t len, uint32_t vni)
{
	static uint8_t want[FRAME_MAX];

	assert_int_equal(rig_n_waiting(ports[port]), 1);
	assert_int_equal(rig_receive(ports[port], bytes, sizeof bytes), len + sizeof vxlan4);
	assert_true(get_be16(bytes + 34) >= 0xc000);
	outer_of(want, frame, len, vni, get_be16(bytes + 34));
	assert_memory_equal(bytes, want, len + sizeof vxlan4);
}

static void
expect_frame(unsigned port, const uint8_t *frame, size_t len)
{
	assert_int_equal(rig_n_waiting(ports[port]), 1);
	assert_int_equal(rig_receive(ports[port], bytes, sizeof bytes), len);
	assert_memory_equal(bytes, frame, len);
}

/* --- in ------------------------------------------------------------------------------------------------- */

/* What stands behind ENCAP sees the outer frame. */
static void
test_tunnel_worker_encap(void **state)
{
	struct port_sums tunnel;
	struct lab_frame f;
	char text[256];

	(void)state;
	begin();
	lab_seed("encap");
	snprintf(text, sizeof text, "%s,output(2)", rig_on("encap", plain_encap()));
	rig_wire(&agent, 1, text);
	make_frame(&f, LAB_UDP4, 1, 18);
	f.bytes[f.l3 + 1] = 0x48;
	lab_frame_csums(&f, false);
	send_frame(1, f.bytes, f.len);
	expect_outer(2, f.bytes, f.len, 0x7b);
	port_read_counters(ports[TUNNEL], &tunnel);
	assert_int_equal(tunnel.tunnel_tx_packets, 1);
	assert_int_equal(tunnel.tunnel_tx_bytes, f.len);
	assert_int_equal(tunnel.tx_packets, 0);
	/* Into a VLAN, and back to the plain frame. */
	snprintf(text, sizeof text,
		"%s,push_vlan(tpid=0x8100,vid=9,pcp=2),output(2),pop_vlan,set(nw_ttl=3),"
		"set(udp_dst=4790),output(4)",
		rig_on("encap", plain_encap()));
	rig_wire(&agent, 1, text);
	send_frame(1, f.bytes, f.len);
	assert_int_equal(rig_receive(ports[2], bytes, sizeof bytes), f.len + sizeof vxlan4 + 4);
	assert_int_equal(get_be32(bytes + 12), 0x81004009);
	assert_memory_equal(bytes + 4 + sizeof vxlan4, f.bytes, f.len);
	assert_int_equal(rig_receive(ports[4], bytes, sizeof bytes), f.len + sizeof vxlan4);
	assert_int_equal(bytes[22], 3);
	assert_int_equal(lab_csum(bytes + 14, 20, 0), 0xffff);
	assert_int_equal(get_be16(bytes + 36), 4790);
	assert_memory_equal(bytes + sizeof vxlan4, f.bytes, f.len);
	end();
}

/* Each copy has tunnel fields of its own, and so has what was looked at again. */
static void
test_tunnel_worker_copies(void **state)
{
	struct dp_handle e;
	struct lab_frame f;
	char text[256], on[24];

	(void)state;
	begin();
	lab_seed("copies");
	e = put_encap(&(struct dp_encap){.flags = DP_ENCAP_ID_FROM_KEY, .port = UINT32_MAX}, false,
		RIG_NONE);
	snprintf(on, sizeof on, "%s", rig_on("encap", e));
	snprintf(text, sizeof text,
		"set(tun_id=5),clone(set(tun_id=6),%s,output(2)),clone(%s,output(4)),recirc(0x9)",
		on, on);
	rig_wire(&agent, 1, text);
	snprintf(text, sizeof text, "%s,output(1)", on);
	tunnel_flow(1, 9, 5, text);
	make_frame(&f, LAB_TCP6, 0, 1200);
	send_frame(1, f.bytes, f.len);
	expect_outer(2, f.bytes, f.len, 6);
	expect_outer(4, f.bytes, f.len, 5);
	expect_outer(1, f.bytes, f.len, 5);
	/* Behind ENCAP they are gone: a second look finds the outer frame without them. */
	snprintf(text, sizeof text, "set(tun_id=5),%s,recirc(0xa)", on);
	rig_wire(&agent, 1, text);
	tunnel_flow(1, 10, 0, "output(4)");
	send_frame(1, f.bytes, f.len);
	expect_outer(4, f.bytes, f.len, 5);
	/* Wider than the tunnel carries. */
	snprintf(text, sizeof text, "set(tun_id=0x1000000),%s,output(2)", on);
	rig_wire(&agent, 1, text);
	expect_drop(1, f.bytes, f.len, DROP_TUNNEL_ID_RANGE);
	rig_wire(&agent, 1, "set(tun_id=0x100000000),output(2)");
	expect_drop(1, f.bytes, f.len, DROP_TUNNEL_ID_RANGE);
	end();
}

/* --- out ------------------------------------------------------------------------------------------------ */

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
	begin();
	lab_seed("decap");
	rig_wire(&agent, 2, "decap(kind=vxlan,port=3)");
	tunnel_flow(TUNNEL, 0, 5, "output(1)");
	tunnel_flow(TUNNEL, 0, 6, "push_vlan(tpid=0x8100,vid=9,pcp=2),output(4)");
	make_frame(&f, LAB_TCP4, 0, 100);
	len = outer_of(outer, f.bytes, f.len, 5, 0xc001);
	send_frame(2, outer, len);
	expect_frame(1, f.bytes, f.len);
	len = outer_of(outer, f.bytes, f.len, 6, 0xc001);
	send_frame(2, outer, len);
	assert_int_equal(rig_receive(ports[4], bytes, sizeof bytes), f.len + 4);
	assert_int_equal(get_be32(bytes + 12), 0x81004009);
	port_read_counters(ports[TUNNEL], &tunnel);
	assert_int_equal(tunnel.tunnel_rx_packets, 2);
	assert_int_equal(tunnel.tunnel_rx_bytes, 2 * f.len);
	assert_int_equal(tunnel.rx_packets, 0);
	/* No flow: the agent sees key and bytes of the inner frame, and its answer runs on that. */
	len = outer_of(outer, f.bytes, f.len, 7, 0xc001);
	rig_send(ports[2], outer, len);
	upcall = rig_upcall(&agent, 0);
	assert_int_equal(upcall->packet_len, f.len);
	assert_int_equal(be32_to(agent.msg.key.in_port), TUNNEL);
	assert_int_equal(be32_to(agent.msg.key.tun_id_lo), 7);
	assert_int_equal(agent.msg.key.tun_ttl, 64);
	assert_memory_equal(
		agent.msg.key.tun_dst, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x02", 16);
	assert_int_equal(be16_to(agent.msg.key.tun_tp_src), 0xc001);
	assert_memory_equal(agent.msg.data, f.bytes, f.len);
	port_read_counters(ports[TUNNEL], &tunnel);
	assert_int_equal(tunnel.parked, 1);
	/* Its tunnel fields are still there when it is looked at again. */
	parked = upcall->parked;
	tunnel_flow(TUNNEL, 4, 7, "output(4)");
	rig_execute(&agent, parked, 0, "recirc(0x4)");
	rig_wait(rig_n_waiting(ports[4]));
	expect_frame(4, f.bytes, f.len);
	/* With a recirculation id, and into the next tunnel without anything being set. */
	rig_wire(&agent, 2, "decap(kind=vxlan,port=3,recirc_id=0x8)");
	{
		char text[64];
		struct dp_handle e = put_encap(
			&(struct dp_encap){.flags = DP_ENCAP_ID_FROM_KEY, .port = UINT32_MAX},
			false, RIG_NONE);

		snprintf(text, sizeof text, "%s,output(2)", rig_on("encap", e));
		tunnel_flow(TUNNEL, 8, 7, text);
	}
	send_frame(2, outer, len);
	expect_outer(2, f.bytes, f.len, 7);
	rig_sums(&all);
	assert_int_equal(all.dropped, 0);
	end();
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
	begin();
	lab_seed("executes");
	make_frame(&f, LAB_UDP4, 0, 18);
	snprintf(
		text, sizeof text, "%s,output(2)", rig_on("encap", put_encap(&e, false, RIG_NONE)));
	rig_actions(text, &list);
	head.key_blocks = FLOW_BLOCK(0) | FLOW_BLOCK(2);
	head.actions_size = (uint32_t)list.size;
	head.data_len = (uint32_t)f.len;
	assert_true(dp_send_execute(&agent.commands, &head, &key, list.data, f.bytes));
	shm_ring_publish(&agent.commands);
	assert_int_equal(rig_reply(&agent), DP_REPLY + DP_EXECUTE);
	dp_actions_uninit(&list);
	assert_int_equal(rig_receive(ports[2], bytes, sizeof bytes), f.len + sizeof vxlan4);
	assert_int_equal(get_be32(bytes + 30), 0xcb000009);
	assert_int_equal(get_be32(bytes + 46), 0x7700);
	assert_memory_equal(bytes + sizeof vxlan4, f.bytes, f.len);
	end();
}

static void
test_tunnel_worker_decap_drops(void **state)
{
	static uint8_t nest[FRAME_MAX], more[FRAME_MAX];
	uint8_t outer[2048];
	struct lab_frame f;
	char text[64];
	size_t len;

	(void)state;
	begin();
	lab_seed("decap drops");
	rig_wire(&agent, 2, "decap(kind=vxlan,port=77)");
	make_frame(&f, LAB_UDP4, 0, 18);
	len = outer_of(outer, f.bytes, f.len, 5, 0xc001);
	expect_drop(2, outer, len, DROP_PORT_GONE);
	rig_wire(&agent, 2, "decap(kind=vxlan,port=3)");
	rig_wire(&agent, TUNNEL, "output(1)");
	outer[24] ^= 1;
	expect_drop(2, outer, len, DROP_DECAP_CHECKSUM);
	outer[24] ^= 1;
	atomic_store(&ports[TUNNEL]->admin_up, false);
	expect_drop(2, outer, len, DROP_RX_DISABLED);
	atomic_store(&ports[TUNNEL]->admin_up, true);
	send_frame(2, outer, len);
	expect_frame(1, f.bytes, f.len);
	/* An inner frame whose tag is cut off is none. */
	memset(more, 0x81, 14);
	more[13] = 0;
	len = outer_of(outer, more, 14, 5, 0xc001);
	expect_drop(2, outer, len, DROP_RX_TRUNCATED);
	/* A tunnel that leads into itself: each packet goes round so often, and no more. */
	rig_wire(&agent, TUNNEL, "decap(kind=vxlan,port=3)");
	memcpy(nest, f.bytes, f.len);
	len = f.len;
	for (unsigned i = 0; i <= DP_RECIRC_MAX; i++) {
		memcpy(more, nest, len);
		len = outer_of(nest, more, len, 5, 0xc001);
	}
	expect_drop(2, nest, len, DROP_RECIRC_LIMIT);
	/* One into which what comes out of it goes in again, endlessly. */
	snprintf(text, sizeof text, "%s,decap(kind=vxlan,port=3)", rig_on("encap", plain_encap()));
	rig_wire(&agent, TUNNEL, text);
	len = outer_of(outer, f.bytes, f.len, 5, 0xc001);
	expect_drop(2, outer, len, DROP_RECIRC_LIMIT);
	snprintf(text, sizeof text, "%s,recirc(0x3)", rig_on("encap", plain_encap()));
	rig_wire(&agent, 1, text);
	snprintf(text, sizeof text, "%s,output(2)", rig_on("encap", plain_encap()));
	tunnel_flow(1, 3, 0, text);
	expect_drop(1, f.bytes, f.len, DROP_TUNNEL_LOOP);
	end();
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
	struct flow_key key = {.in_port = be32_from(TUNNEL)};
	struct flow_mask mask;
	size_t len;

	(void)state;
	begin();
	rig_wire(&agent, 2, "decap(kind=geneve,port=3)");
	len = lab_hex(outer, sizeof outer,
		"020000000002 020000000001 0800 4500004000000000 40110000 c0000201 c0000202"
		"c001 17c1 002c 0000 0240655800000900 01028001 0a0b0c0d"
		"020000000003 020000000004 88b5 77656674");
	put_be16(outer + 16, (uint16_t)(len - 14));
	put_be16(outer + 24, (uint16_t)~lab_csum(outer + 14, 20, 0));
	put_be16(outer + 38, (uint16_t)(len - 34));
	expect_drop(2, outer, len, DROP_DECAP_OPTION);
	assert_true(dp_send(&agent.commands, DP_TUN_OPTS, &cmd, sizeof cmd, &part, 1));
	for (unsigned i = 0; i < 2; i++) {
		shm_ring_publish(&agent.commands);
		assert_int_equal(rig_reply(&agent), DP_REPLY + DP_TUN_OPTS);
		reply = agent.msg.body;
		assert_int_equal(reply->reply.status, 0);
		assert_int_equal(reply->n, 1);
		assert_memory_equal(agent.msg.data, opts, sizeof opts);
		rig_agent_close(&agent, true);
		rig_agent_open(&agent, 2);
		cmd.n = cmd.flags = 0;
		assert_true(dp_send(&agent.commands, DP_TUN_OPTS, &cmd, sizeof cmd, NULL, 0));
	}
	shm_ring_publish(&agent.commands);
	rig_reply(&agent);
	rig_mask(&mask, FIELD_TUN_OPTS_PRESENT, FIELD_N);
	memset(mask.bits.tun_opts + 8, 0xff, 4);
	memcpy(key.tun_opts + 8, "\x0a\x0b\x0c\x0d", 4);
	key.tun_opts_present = be64_from(8);
	assert_int_equal(
		rig_put(&agent, &key, FLOW_BLOCK(0) | FLOW_BLOCK(5), &mask, 0, "output(4)", NULL),
		0);
	send_frame(2, outer, len);
	expect_frame(4, outer + 58, len - 58);
	end();
}

/* --- too long ------------------------------------------------------------------------------------------- */

#define MTU 576u

/* Puts fragments, which left by port 2 with a tag, together again: the outer frame. */
static size_t
reassemble(uint8_t *frame, bool v6, unsigned n)
{
	size_t headers = v6 ? 14 + 40 : 14 + 20, len = 0;

	for (unsigned i = 0; i < n; i++) {
		size_t got = rig_receive(ports[2], bytes, sizeof bytes), off;
		uint8_t *ip = bytes + 18;
		bool more;

		assert_true(got - 18 <= MTU);
		assert_int_equal(get_be32(bytes + 12), 0x81000009);
		if (v6) {
			assert_int_equal(get_be16(ip + 4), got - 18 - 40);
			assert_int_equal(ip[6], 44);
			assert_int_equal(ip[40], 17);
			off = get_be16(ip + 42) & ~7u;
			more = ip[43] & 1;
		} else {
			assert_int_equal(get_be16(ip + 2), got - 18);
			assert_int_equal(lab_csum(ip, 20, 0), 0xffff);
			off = (get_be16(ip + 6) & 0x1fffu) * 8u;
			more = ip[6] & 0x20;
		}
		assert_int_equal(off, len);
		/* As long as may be. */
		assert_true(!more || got - 18 > MTU - 8);
		assert_int_equal(more, i + 1 < n);
		if (!i) {
			memcpy(frame, bytes, 12);
			memcpy(frame + 12, bytes + 16, headers - 12);
		}
		memcpy(frame + headers + off, ip + (v6 ? 48 : 20), got - 18 - (v6 ? 48u : 20u));
		len += got - 18 - (v6 ? 48u : 20u);
	}
	return headers + len;
}

static void
test_tunnel_worker_fragments(void **state)
{
	static uint8_t whole[FRAME_MAX];
	struct lab_frame f;
	char text[128];

	(void)state;
	begin();
	lab_seed("fragments");
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct dp_handle e = put_encap(
			&(struct dp_encap){
				.port = TUNNEL, .mtu = MTU, .too_long = DP_ENCAP_FRAGMENT},
			v6, RIG_NONE);
		size_t header = v6 ? sizeof vxlan6 : sizeof vxlan4, fits = MTU + 14 - header;
		uint64_t copied;
		struct port_sums now;

		/* The list goes on with each: in a clone, out of a bucket. */
		snprintf(text, sizeof text,
			"clone(%s,push_vlan(tpid=0x8100,vid=9,pcp=0),output(2))",
			rig_on("encap", e));
		rig_wire(&agent, 1, text);
		make_frame(&f, LAB_UDP4, 0, fits - 42);
		send_frame(1, f.bytes, f.len);
		assert_int_equal(rig_receive(ports[2], bytes, sizeof bytes), MTU + 18);
		make_frame(&f, LAB_UDP4, 0, fits - 41);
		send_frame(1, f.bytes, f.len);
		assert_int_equal(rig_n_waiting(ports[2]), 2);
		assert_int_equal(reassemble(whole, v6, 2), f.len + header);
		assert_memory_equal(whole + header, f.bytes, f.len);
		rig_sums(&now);
		copied = now.copied;
		make_frame(&f, LAB_TCP4, 0, 1400);
		send_frame(1, f.bytes, f.len);
		assert_int_equal(rig_n_waiting(ports[2]), 3);
		assert_int_equal(reassemble(whole, v6, 3), f.len + header);
		assert_memory_equal(whole + header, f.bytes, f.len);
		rig_sums(&now);
		assert_int_equal(now.copied - copied, 2);
	}
	/* A bucket's list, and behind it the flow's. */
	{
		struct dp_handle bucket, e = put_encap(&(struct dp_encap){.port = TUNNEL,
							       .mtu = MTU,
							       .too_long = DP_ENCAP_FRAGMENT},
						 false, RIG_NONE);

		bucket = rig_buckets(&agent, DP_OBJECT_FIRST_LIVE, rig_on("encap", e));
		snprintf(text, sizeof text,
			"check_len(max_len=10,(%s),()),push_vlan(tpid=0x8100,vid=9,pcp=0),output(2),output(4)",
			rig_on("first_live", bucket));
		rig_wire(&agent, 1, text);
		send_frame(1, f.bytes, f.len);
		assert_int_equal(rig_n_waiting(ports[4]), 3);
		assert_int_equal(reassemble(whole, false, 3), f.len + sizeof vxlan4);
		assert_memory_equal(whole + sizeof vxlan4, f.bytes, f.len);
		for (unsigned i = 0; i < 3; i++) {
			rig_receive(ports[4], bytes, sizeof bytes);
		}
		/* Pieces that nothing is done with: one packet lost is lost once for each. */
		snprintf(text, sizeof text, "%s", rig_on("encap", e));
		rig_wire(&agent, 1, text);
		send_frame(1, f.bytes, f.len);
		{
			struct port_sums now;

			rig_sums(&now);
			assert_int_equal(now.drops[DROP_EXPLICIT], 3);
		}
		/* The original was output: its pieces are too many, no loss. */
		snprintf(text, sizeof text, "output(4),%s", rig_on("encap", e));
		rig_wire(&agent, 1, text);
		send_frame(1, f.bytes, f.len);
		{
			struct port_sums now;

			rig_sums(&now);
			assert_int_equal(now.drops[DROP_EXPLICIT], 3);
		}
		expect_frame(4, f.bytes, f.len);
	}
	end();
}

static void
test_tunnel_worker_too_long(void **state)
{
	const struct dp_upcall *upcall;
	struct dp_handle e;
	struct lab_frame f;
	char text[128];
	size_t got = 0;

	(void)state;
	begin();
	lab_seed("too long");
	e = put_encap(&(struct dp_encap){.port = TUNNEL, .mtu = MTU}, false, RIG_NONE);
	snprintf(text, sizeof text, "%s,output(2)", rig_on("encap", e));
	rig_wire(&agent, 1, text);
	make_frame(&f, LAB_UDP4, 0, MTU + 14 - sizeof vxlan4 - 42);
	send_frame(1, f.bytes, f.len);
	expect_outer(2, f.bytes, f.len, 0x7b);
	make_frame(&f, LAB_UDP4, 0, MTU + 14 - sizeof vxlan4 - 41);
	expect_drop(1, f.bytes, f.len, DROP_ENCAP_TOO_LONG);
	/* Told to the agent, as it was. The object is replaced, its flow stays. */
	put_encap(&(struct dp_encap){.port = TUNNEL,
			  .mtu = MTU,
			  .too_long = DP_ENCAP_TO_AGENT,
			  .context = 9,
			  .reason = 4},
		false, e);
	send_frame(1, f.bytes, f.len);
	do {
		upcall = rig_upcall(&agent, 0);
		assert_int_equal(upcall->data_off, got);
		assert_int_equal(upcall->context, 9);
		assert_int_equal(upcall->reason, 4);
		assert_int_equal(upcall->packet_len, f.len);
		assert_memory_equal(agent.msg.data, f.bytes + got, upcall->data_len);
		got += upcall->data_len;
	} while (upcall->flags & DP_UPCALL_MORE);
	assert_int_equal(got, f.len);
	assert_int_equal(rig_n_waiting(ports[2]), 0);
	end();
}

/* --- what was left to the receiver ---------------------------------------------------------------------- */

/* As a guest with offloads sends it: the L4 checksum is that of the pseudo header alone. */
static struct packet *
partial_packet(const struct lab_frame *f, uint16_t flags, uint16_t gso_size)
{
	struct packet *p;
	uint8_t frame[2048];
	bool v6 = f->bytes[f->l3] >> 4 == 6;
	uint8_t proto = f->bytes[f->l3 + (v6 ? 6 : 9)];
	uint16_t offset = proto == 6 ? 16 : 6;

	memcpy(frame, f->bytes, f->len);
	put_be16(frame + f->l4 + offset, lab_csum(frame + f->l3 + (v6 ? 8 : 12), v6 ? 32 : 8,
						 proto + (uint32_t)(f->len - f->l4)));
	p = lab_packet(frame, f->len, 1, 0);
	p->flags = flags | PACKET_CSUM_PARTIAL;
	p->gso_size = gso_size;
	p->csum_start = (uint16_t)f->l4;
	p->csum_offset = offset;
	return p;
}

static void
expect_bad_cut(const struct lab_frame *f)
{
	struct port_sums before, now;

	rig_sums(&before);
	rig_send_packet(ports[1], partial_packet(f, PACKET_GSO_TCP4, 400));
	rig_wait((rig_sums(&now), now.drops[DROP_TX_OFFLOAD] == before.drops[DROP_TX_OFFLOAD] + 1));
}

static void
test_tunnel_worker_offloads(void **state)
{
	struct port_sums before, now;
	struct lab_frame f;
	char text[128];

	(void)state;
	begin();
	lab_seed("offloads");
	snprintf(text, sizeof text, "%s,output(2)", rig_on("encap", plain_encap()));
	rig_wire(&agent, 1, text);
	make_frame(&f, LAB_UDP4, 0, 301);
	rig_send_packet(ports[1], partial_packet(&f, 0, 0));
	rig_wait(rig_n_waiting(ports[2]));
	expect_outer(2, f.bytes, f.len, 0x7b);
	/* One whose place is nowhere. */
	{
		struct packet *p = partial_packet(&f, 0, 0);

		p->csum_start = 2000;
		rig_sums(&before);
		rig_send_packet(ports[1], p);
		rig_wait((rig_sums(&now),
			now.drops[DROP_TX_OFFLOAD] == before.drops[DROP_TX_OFFLOAD] + 1));
	}
	for (unsigned v6 = 0; v6 < 2; v6++) {
		size_t got = 0;

		make_frame(&f, v6 ? LAB_TCP6 : LAB_TCP4, 0, 1300);
		rig_sums(&before);
		rig_send_packet(
			ports[1], partial_packet(&f, v6 ? PACKET_GSO_TCP6 : PACKET_GSO_TCP4, 400));
		rig_wait(rig_n_waiting(ports[2]) == 4);
		for (unsigned i = 0; i < 4; i++) {
			size_t len = rig_receive(ports[2], bytes, sizeof bytes), payload;
			struct lab_frame piece = {.l3 = f.l3, .l4 = f.l4};

			piece.len = len - sizeof vxlan4;
			memcpy(piece.bytes, bytes + sizeof vxlan4, piece.len);
			payload = piece.len - f.l4 - 20;
			assert_int_equal(payload, i < 3 ? 400 : 100);
			assert_int_equal(get_be16(bytes + 38), len - 34);
			assert_memory_equal(
				piece.bytes + f.l4 + 20, f.bytes + f.l4 + 20 + got, payload);
			got += payload;
			/* Its own checksums are right. */
			lab_frame_csums(&piece, false);
			assert_memory_equal(piece.bytes, bytes + sizeof vxlan4, piece.len);
		}
		settle();
		rig_sums(&now);
		assert_int_equal(now.copied - before.copied, 3);
	}
	/* Longer than the path in whole, not in pieces; each says what the whole said of its class. */
	snprintf(text, sizeof text, "%s,output(2)",
		rig_on("encap", put_encap(&(struct dp_encap){.port = TUNNEL,
						  .mtu = 600,
						  .flags = DP_ENCAP_TOS_INHERIT},
					false, RIG_NONE)));
	rig_wire(&agent, 1, text);
	make_frame(&f, LAB_TCP4, 0, 1300);
	f.bytes[f.l3 + 1] = 0x48;
	lab_frame_csums(&f, false);
	rig_send_packet(ports[1], partial_packet(&f, PACKET_GSO_TCP4, 400));
	rig_wait(rig_n_waiting(ports[2]) == 4);
	for (unsigned i = 0; i < 4; i++) {
		rig_receive(ports[2], bytes, sizeof bytes);
		assert_int_equal(bytes[15], 0x48);
		assert_int_equal(lab_csum(bytes + 14, 20, 0), 0xffff);
	}
	/* What says that it is to be cut, and is not what it says. */
	make_frame(&f, LAB_UDP4, 0, 1300);
	expect_bad_cut(&f);
	/* Pieces too long for the path: told once, not for each. */
	snprintf(text, sizeof text, "%s,output(2)",
		rig_on("encap", put_encap(&(struct dp_encap){.port = TUNNEL, .mtu = 400}, false,
					RIG_NONE)));
	rig_wire(&agent, 1, text);
	make_frame(&f, LAB_TCP4, 0, 1300);
	rig_sums(&before);
	rig_send_packet(ports[1], partial_packet(&f, PACKET_GSO_TCP4, 400));
	rig_wait((rig_sums(&now),
		now.drops[DROP_ENCAP_TOO_LONG] == before.drops[DROP_ENCAP_TOO_LONG] + 1));
	settle();
	end();
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
		cmocka_unit_test(test_tunnel_worker_fragments),
		cmocka_unit_test(test_tunnel_worker_too_long),
		cmocka_unit_test(test_tunnel_worker_offloads),
	};

	return cmocka_run_group_tests_name("tunnel_worker", tests, lab_start, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnels in a worker's hands: packets too long for the underlay, pieces, segments that were left to us (tunnel_rig.h).
 */
#include <stdio.h>
#include <string.h>

#include "datapath/worker.h"
#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "lib/error.h"
#include "tests/unit/datapath/tunnel_rig.h"
#include "vhost/packet_mbuf.h"

#define MTU 576u

/* Puts fragments, which left by port 2 with a tag, together again: the outer frame. */
static size_t
reassemble(uint8_t *frame, bool v6, unsigned n)
{
	size_t headers = v6 ? 14 + 40 : 14 + 20, len = 0;

	for (unsigned i = 0; i < n; i++) {
		size_t got = rig_receive(
			       tunnel_rig_ports[2], tunnel_rig_bytes, sizeof tunnel_rig_bytes),
		       off;
		uint8_t *ip = tunnel_rig_bytes + 18;
		bool more;

		assert_true(got - 18 <= MTU);
		assert_int_equal(get_be32(tunnel_rig_bytes + 12), 0x81000009);
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
			memcpy(frame, tunnel_rig_bytes, 12);
			memcpy(frame + 12, tunnel_rig_bytes + 16, headers - 12);
		}
		memcpy(frame + headers + off, ip + (v6 ? 48 : 20), got - 18 - (v6 ? 48u : 20u));
		len += got - 18 - (v6 ? 48u : 20u);
	}
	return headers + len;
}

static void
test_tunnel_too_long_fragments(void **state)
{
	static uint8_t whole[TUNNEL_RIG_FRAME_MAX];
	struct lab_frame f;
	char text[128];

	(void)state;
	tunnel_rig_begin();
	lab_seed("fragments");
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct dp_handle e = tunnel_rig_encap(
			&(struct dp_encap){
				.port = TUNNEL_RIG_PORT, .mtu = MTU, .too_long = DP_ENCAP_FRAGMENT},
			v6, RIG_NONE);
		size_t header = v6 ? TUNNEL_RIG_V6 : TUNNEL_RIG_V4, fits = MTU + 14 - header;
		uint64_t copied;
		struct port_sums now;

		/* The list goes on with each: in a clone, out of a bucket. */
		snprintf(text, sizeof text,
			"clone(%s,push_vlan(tpid=0x8100,vid=9,pcp=0),output(2))",
			rig_on("encap", e));
		rig_wire(&tunnel_rig_agent, 1, text);
		tunnel_rig_frame(&f, LAB_UDP4, 0, fits - 42);
		tunnel_rig_send(1, f.bytes, f.len);
		assert_int_equal(
			rig_receive(tunnel_rig_ports[2], tunnel_rig_bytes, sizeof tunnel_rig_bytes),
			MTU + 18);
		tunnel_rig_frame(&f, LAB_UDP4, 0, fits - 41);
		tunnel_rig_send(1, f.bytes, f.len);
		assert_int_equal(rig_n_waiting(tunnel_rig_ports[2]), 2);
		assert_int_equal(reassemble(whole, v6, 2), f.len + header);
		assert_memory_equal(whole + header, f.bytes, f.len);
		rig_sums(&now);
		copied = now.copied;
		tunnel_rig_frame(&f, LAB_TCP4, 0, 1400);
		tunnel_rig_send(1, f.bytes, f.len);
		assert_int_equal(rig_n_waiting(tunnel_rig_ports[2]), 3);
		assert_int_equal(reassemble(whole, v6, 3), f.len + header);
		assert_memory_equal(whole + header, f.bytes, f.len);
		rig_sums(&now);
		assert_int_equal(now.copied - copied, 2);
	}
	/* A bucket's list, and behind it the flow's. */
	{
		struct dp_handle bucket,
			e = tunnel_rig_encap(&(struct dp_encap){.port = TUNNEL_RIG_PORT,
						     .mtu = MTU,
						     .too_long = DP_ENCAP_FRAGMENT},
				false, RIG_NONE);

		bucket = rig_buckets(&tunnel_rig_agent, DP_OBJECT_FIRST_LIVE, rig_on("encap", e));
		snprintf(text, sizeof text,
			"check_len(max_len=10,(%s),()),push_vlan(tpid=0x8100,vid=9,pcp=0),output(2),output(4)",
			rig_on("first_live", bucket));
		rig_wire(&tunnel_rig_agent, 1, text);
		tunnel_rig_send(1, f.bytes, f.len);
		assert_int_equal(rig_n_waiting(tunnel_rig_ports[4]), 3);
		assert_int_equal(reassemble(whole, false, 3), f.len + TUNNEL_RIG_V4);
		assert_memory_equal(whole + TUNNEL_RIG_V4, f.bytes, f.len);
		for (unsigned i = 0; i < 3; i++) {
			rig_receive(tunnel_rig_ports[4], tunnel_rig_bytes, sizeof tunnel_rig_bytes);
		}
		/* Pieces that nothing is done with: one packet lost is lost once for each. */
		snprintf(text, sizeof text, "%s", rig_on("encap", e));
		rig_wire(&tunnel_rig_agent, 1, text);
		tunnel_rig_send(1, f.bytes, f.len);
		{
			struct port_sums now;

			rig_sums(&now);
			assert_int_equal(now.drops[DROP_EXPLICIT], 3);
		}
		/* The original was output: its pieces are too many, no loss. */
		snprintf(text, sizeof text, "output(4),%s", rig_on("encap", e));
		rig_wire(&tunnel_rig_agent, 1, text);
		tunnel_rig_send(1, f.bytes, f.len);
		{
			struct port_sums now;

			rig_sums(&now);
			assert_int_equal(now.drops[DROP_EXPLICIT], 3);
		}
		tunnel_rig_expect_frame(4, f.bytes, f.len);
	}
	tunnel_rig_end();
}

/* The number of the packet that a fragment is of, received at port 2. */
static uint32_t
fragment_number(bool v6)
{
	const uint8_t *ip = tunnel_rig_bytes + 14;

	rig_receive(tunnel_rig_ports[2], tunnel_rig_bytes, sizeof tunnel_rig_bytes);
	return v6 ? get_be32(ip + 44) : get_be16(ip + 4);
}

/* Who puts them together knows addresses and number alone: no two workers may use one number. */
static void
test_tunnel_too_long_numbers(void **state)
{
	enum { N_PACKETS = 6 };
	char text[128];

	(void)state;
	rig_start(2);
	for (uint16_t i = 1; i <= TUNNEL_RIG_N_PORTS; i++) {
		tunnel_rig_ports[i] = rig_port_add(i, NULL);
	}
	rig_agent_open(&tunnel_rig_agent, 1);
	assert_int_not_equal(
		tunnel_rig_ports[1]->rxq_worker[0], tunnel_rig_ports[4]->rxq_worker[0]);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct dp_handle e = tunnel_rig_encap(
			&(struct dp_encap){
				.port = TUNNEL_RIG_PORT, .mtu = MTU, .too_long = DP_ENCAP_FRAGMENT},
			v6, RIG_NONE);
		uint32_t numbers[N_PACKETS];
		struct lab_frame f;

		snprintf(text, sizeof text, "%s,output(2)", rig_on("encap", e));
		rig_wire(&tunnel_rig_agent, 1, text);
		rig_wire(&tunnel_rig_agent, 4, text);
		tunnel_rig_frame(&f, LAB_UDP4, 0, 600);
		for (unsigned i = 0; i < N_PACKETS; i++) {
			tunnel_rig_send(i & 1 ? 1 : 4, f.bytes, f.len);
			assert_int_equal(rig_n_waiting(tunnel_rig_ports[2]), 2);
			numbers[i] = fragment_number(v6);
			assert_int_equal(fragment_number(v6), numbers[i]);
			for (unsigned before = 0; before < i; before++) {
				assert_int_not_equal(numbers[i], numbers[before]);
			}
		}
	}
	tunnel_rig_end();
}

static void
test_tunnel_too_long_limits(void **state)
{
	struct port_sums before, now;
	const struct dp_upcall *upcall;
	struct dp_handle e;
	struct lab_frame f;
	char text[128];
	size_t got = 0;

	(void)state;
	tunnel_rig_begin();
	lab_seed("too long");
	e = tunnel_rig_encap(
		&(struct dp_encap){.port = TUNNEL_RIG_PORT, .mtu = MTU}, false, RIG_NONE);
	snprintf(text, sizeof text, "%s,output(2)", rig_on("encap", e));
	rig_wire(&tunnel_rig_agent, 1, text);
	tunnel_rig_frame(&f, LAB_UDP4, 0, MTU + 14 - TUNNEL_RIG_V4 - 42);
	tunnel_rig_send(1, f.bytes, f.len);
	tunnel_rig_expect_outer(2, f.bytes, f.len, 0x7b);
	tunnel_rig_frame(&f, LAB_UDP4, 0, MTU + 14 - TUNNEL_RIG_V4 - 41);
	tunnel_rig_expect_drop(1, f.bytes, f.len, DROP_ENCAP_TOO_LONG);
	/* Told to the tunnel_rig_agent, as it was. The object is replaced, its flow stays. */
	tunnel_rig_encap(&(struct dp_encap){.port = TUNNEL_RIG_PORT,
				 .mtu = MTU,
				 .too_long = DP_ENCAP_TO_AGENT,
				 .context = 9,
				 .reason = 4},
		false, e);
	rig_sums(&before);
	tunnel_rig_send(1, f.bytes, f.len);
	do {
		upcall = rig_upcall(&tunnel_rig_agent, 0);
		assert_int_equal(upcall->data_off, got);
		assert_int_equal(upcall->context, 9);
		assert_int_equal(upcall->reason, 4);
		assert_int_equal(upcall->packet_len, f.len);
		assert_memory_equal(tunnel_rig_agent.msg.data, f.bytes + got, upcall->data_len);
		got += upcall->data_len;
	} while (upcall->flags & DP_UPCALL_MORE);
	assert_int_equal(got, f.len);
	/* And lost. */
	rig_wait((rig_sums(&now),
		now.drops[DROP_ENCAP_TOO_LONG] == before.drops[DROP_ENCAP_TOO_LONG] + 1));
	assert_int_equal(now.copied, before.copied + 1);
	assert_int_equal(now.to_agent, before.to_agent + 1);
	assert_int_equal(rig_n_waiting(tunnel_rig_ports[2]), 0);
	tunnel_rig_end();
}

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
	rig_send_packet(tunnel_rig_ports[1], partial_packet(f, PACKET_GSO_TCP4, 400));
	rig_wait((rig_sums(&now), now.drops[DROP_TX_OFFLOAD] == before.drops[DROP_TX_OFFLOAD] + 1));
}

static void
test_tunnel_too_long_offloads(void **state)
{
	struct port_sums before, now;
	struct lab_frame f;
	char text[128];

	(void)state;
	tunnel_rig_begin();
	lab_seed("offloads");
	snprintf(text, sizeof text, "%s,output(2)", rig_on("encap", tunnel_rig_plain()));
	rig_wire(&tunnel_rig_agent, 1, text);
	tunnel_rig_frame(&f, LAB_UDP4, 0, 301);
	rig_send_packet(tunnel_rig_ports[1], partial_packet(&f, 0, 0));
	rig_wait(rig_n_waiting(tunnel_rig_ports[2]));
	tunnel_rig_expect_outer(2, f.bytes, f.len, 0x7b);
	/* One whose place is nowhere. */
	{
		struct packet *p = partial_packet(&f, 0, 0);

		p->csum_start = 2000;
		rig_sums(&before);
		rig_send_packet(tunnel_rig_ports[1], p);
		rig_wait((rig_sums(&now),
			now.drops[DROP_TX_OFFLOAD] == before.drops[DROP_TX_OFFLOAD] + 1));
	}
	for (unsigned v6 = 0; v6 < 2; v6++) {
		size_t got = 0;

		tunnel_rig_frame(&f, v6 ? LAB_TCP6 : LAB_TCP4, 0, 1300);
		rig_sums(&before);
		rig_send_packet(tunnel_rig_ports[1],
			partial_packet(&f, v6 ? PACKET_GSO_TCP6 : PACKET_GSO_TCP4, 400));
		rig_wait(rig_n_waiting(tunnel_rig_ports[2]) == 4);
		for (unsigned i = 0; i < 4; i++) {
			size_t len = rig_receive(tunnel_rig_ports[2], tunnel_rig_bytes,
				       sizeof tunnel_rig_bytes),
			       payload;
			struct lab_frame piece = {.l3 = f.l3, .l4 = f.l4};

			piece.len = len - TUNNEL_RIG_V4;
			memcpy(piece.bytes, tunnel_rig_bytes + TUNNEL_RIG_V4, piece.len);
			payload = piece.len - f.l4 - 20;
			assert_int_equal(payload, i < 3 ? 400 : 100);
			assert_int_equal(get_be16(tunnel_rig_bytes + 38), len - 34);
			assert_memory_equal(
				piece.bytes + f.l4 + 20, f.bytes + f.l4 + 20 + got, payload);
			got += payload;
			/* Its own checksums are right. */
			lab_frame_csums(&piece, false);
			assert_memory_equal(
				piece.bytes, tunnel_rig_bytes + TUNNEL_RIG_V4, piece.len);
		}
		tunnel_rig_settle();
		rig_sums(&now);
		assert_int_equal(now.copied - before.copied, 3);
	}
	/* Longer than the path in whole, not in pieces; each says what the whole said of its class. */
	snprintf(text, sizeof text, "%s,output(2)",
		rig_on("encap", tunnel_rig_encap(&(struct dp_encap){.port = TUNNEL_RIG_PORT,
							 .mtu = 600,
							 .flags = DP_ENCAP_TOS_INHERIT},
					false, RIG_NONE)));
	rig_wire(&tunnel_rig_agent, 1, text);
	tunnel_rig_frame(&f, LAB_TCP4, 0, 1300);
	f.bytes[f.l3 + 1] = 0x48;
	lab_frame_csums(&f, false);
	rig_send_packet(tunnel_rig_ports[1], partial_packet(&f, PACKET_GSO_TCP4, 400));
	rig_wait(rig_n_waiting(tunnel_rig_ports[2]) == 4);
	for (unsigned i = 0; i < 4; i++) {
		rig_receive(tunnel_rig_ports[2], tunnel_rig_bytes, sizeof tunnel_rig_bytes);
		assert_int_equal(tunnel_rig_bytes[15], 0x48);
		assert_int_equal(lab_csum(tunnel_rig_bytes + 14, 20, 0), 0xffff);
	}
	/* What says that it is to be cut, and is not what it says. */
	tunnel_rig_frame(&f, LAB_UDP4, 0, 1300);
	expect_bad_cut(&f);
	/* Pieces too long for the path: told once, not for each. */
	snprintf(text, sizeof text, "%s,output(2)",
		rig_on("encap",
			tunnel_rig_encap(&(struct dp_encap){.port = TUNNEL_RIG_PORT, .mtu = 400},
				false, RIG_NONE)));
	rig_wire(&tunnel_rig_agent, 1, text);
	tunnel_rig_frame(&f, LAB_TCP4, 0, 1300);
	rig_sums(&before);
	rig_send_packet(tunnel_rig_ports[1], partial_packet(&f, PACKET_GSO_TCP4, 400));
	rig_wait((rig_sums(&now),
		now.drops[DROP_ENCAP_TOO_LONG] == before.drops[DROP_ENCAP_TOO_LONG] + 1));
	tunnel_rig_settle();
	tunnel_rig_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tunnel_too_long_fragments),
		cmocka_unit_test(test_tunnel_too_long_numbers),
		cmocka_unit_test(test_tunnel_too_long_limits),
		cmocka_unit_test(test_tunnel_too_long_offloads),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Outlines: beside parser and flow compare, and in a worker's hands (rig.h).
 *
 *     uplink 2 --+              +-- guest 1
 *                +-- worker ----+
 *                |   tunnel 3   +-- guest 4
 */
#include <stdlib.h>
#include <string.h>

#include "datapath/outline.h"
#include "datapath/worker.h"
#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "tests/unit/datapath/rig.h"

#define TUNNEL 3
#define OUTER_LEN 50u
#define MANY 16u

/* A flow by hand, of block 0 alone. */
static struct table_mask *mask;
static struct flow flow;

static void
make_flow(const struct flow_key *key, const struct flow_mask *bits)
{
	mask = calloc(1, sizeof *mask + FLOW_BLOCK_SIZE);
	mask->blocks = FLOW_BLOCK(0);
	mask->depth = PARSE_L4;
	memcpy(mask->words, bits->bits.words, FLOW_BLOCK_SIZE);
	memset(&flow, 0, sizeof flow);
	flow.mask = mask;
	flow.live = 7;
	flow.slot = 3;
	for (unsigned i = 0; i < FLOW_BLOCK_WORDS; i++) {
		flow.key[i] = key->words[i] & bits->bits.words[i];
	}
}

/* Bits of some of the fields that flows of tunnels look at. */
static void
random_mask(struct flow_mask *bits)
{
	static const uint8_t at[] = {offsetof(struct flow_key, eth_dst),
		offsetof(struct flow_key, eth_src), offsetof(struct flow_key, eth_type),
		offsetof(struct flow_key, vlan_tci), offsetof(struct flow_key, ip_src),
		offsetof(struct flow_key, ip_dst), offsetof(struct flow_key, ip_proto),
		offsetof(struct flow_key, ip_tos), offsetof(struct flow_key, ip_ttl),
		offsetof(struct flow_key, ip_frag), offsetof(struct flow_key, l4_src),
		offsetof(struct flow_key, l4_dst), offsetof(struct flow_key, tcp_flags),
		offsetof(struct flow_key, tun_id_lo)};
	static const uint8_t size[] = {6, 6, 2, 2, 4, 4, 1, 1, 1, 1, 2, 2, 2, 4};

	memset(bits, 0, sizeof *bits);
	memset(bits->bits.bytes, 0xff, 8); /* input port, recirculation id */
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(at); i++) {
		for (unsigned j = 0; lab_below(2) && j < size[i]; j++) {
			bits->bits.bytes[at[i] + j] = lab_below(3) ? 0xff : (uint8_t)lab_random();
		}
	}
}

/* Another packet of the same tunnel, or nearly: lengths, source port, ids; and anything else. */
static void
vary(uint8_t *frame, size_t *len)
{
	unsigned n = lab_below(4);

	for (unsigned i = 0; i < n; i++) {
		frame[lab_below(46)] = (uint8_t)lab_random();
	}
	if (!lab_below(4)) {
		frame[12 + lab_below(12)] ^= (uint8_t)(1u << lab_below(8));
	}
	if (!lab_below(4)) {
		put_be16(frame + 34, (uint16_t)lab_random());
		frame[18] = (uint8_t)lab_random();
	}
	if (!lab_below(4)) {
		*len = 14 + lab_below(100);
	}
	if (!lab_below(4)) {
		put_be16(frame + 16, (uint16_t)(*len - 14 + lab_below(3) - 1));
	}
}

static bool
is_plain(const struct packet *p)
{
	const uint8_t *ip = p->data + 14;

	return p->head_len >= OUTLINE_SIZE && get_be16(p->data + 12) == 0x0800 && ip[0] == 0x45 &&
	       !(get_be16(ip + 6) & 0x3fff) && ip[9] == 17 && get_be16(ip + 2) >= 28 &&
	       get_be16(ip + 2) <= p->len - 14;
}

/* What fits is what parser and compare find to be of the flow, with the same offsets; and all of the kind fits. */
static void
test_outline_model(void **state)
{
	unsigned n_fit = 0, n_other = 0;

	(void)state;
	lab_seed("outline");
	for (unsigned round = 0; round < 20000; round++) {
		struct outline o = {0};
		struct flow_mask bits;
		struct flow_key key;
		struct lab_frame f;
		struct packet *p, seen;
		bool fits, matches;

		lab_frame(&f, LAB_UDP4, 0, lab_below(60));
		p = lab_packet(f.bytes, f.len, 9, 0);
		assert_true(packet_parse(p, &key, PARSE_L4));
		random_mask(&bits);
		make_flow(&key, &bits);
		assert_int_equal(outline_learn(&o, &flow, p), f.len >= OUTLINE_SIZE);
		assert_int_equal(o.live, f.len >= OUTLINE_SIZE ? 7 : 0);
		lab_free(p);
		vary(f.bytes, &f.len);
		p = lab_packet(f.bytes, f.len, 9, 0);
		seen = *p;
		seen.l3_off = seen.l4_off = seen.l4_payload_off = 1;
		seen.n_tags = seen.key_blocks = seen.depth = 1;
		fits = o.live && outline_fits(&o, &seen);
		matches =
			packet_parse(p, &key, PARSE_L4) && flow_matches(&flow, &key, p->key_blocks);
		if (fits) {
			assert_true(matches);
			assert_int_equal(o.slot, flow.slot);
			assert_memory_equal(&seen, p, sizeof seen);
			n_fit++;
		} else if (o.live && is_plain(p)) {
			assert_false(matches);
			n_other++;
		}
		lab_free(p);
		free(mask);
	}
	assert_in_range(n_fit, 1000, 20000);
	assert_in_range(n_other, 1000, 20000);
}

/* What has no outline. */
static void
test_outline_refuses(void **state)
{
	static const uint8_t with_options[60] = {[5] = 1,
		[11] = 2,
		[12] = 8,
		[14] = 0x46,
		[17] = 46,
		[22] = 64,
		[23] = 17,
		[34] = 1,
		1,
		1,
		0};
	static const enum lab_kind kinds[] = {LAB_TCP4, LAB_ICMP4, LAB_UDP6, LAB_ARP};
	struct flow_mask bits = {0};
	struct outline o = {.live = 5};
	struct packet_tunnel tunnel = {0};
	struct flow_key key;
	struct lab_frame f;
	struct packet *p;

	(void)state;
	lab_seed("outline refuses");
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(kinds) + 6; i++) {
		bool other = i < WEFT_ARRAY_SIZE(kinds);
		unsigned what = other ? 0 : i - (unsigned)WEFT_ARRAY_SIZE(kinds);

		lab_frame(&f, other ? kinds[i] : LAB_UDP4, !other && what == 1, 40);
		if (!other && what == 2) {
			f.bytes[20] = 0x20; /* more fragments */
		}
		p = lab_packet(f.bytes, f.len, 9, 0);
		p->recirc_id = !other && what == 3;
		p->tunnel = !other && what == 4 ? &tunnel : NULL;
		assert_true(packet_parse(p, &key, other || what != 5 ? PARSE_L4 : PARSE_L3));
		make_flow(&key, &bits);
		assert_int_equal(outline_learn(&o, &flow, p), !other && what == 0);
		assert_int_equal(o.live, !other && what == 0 ? 7 : 0);
		p->tunnel = NULL;
		lab_free(p);
		free(mask);
	}
	/* Options; and a flow that looks at another block. */
	p = lab_packet(with_options, sizeof with_options, 9, 0);
	assert_true(packet_parse(p, &key, PARSE_L4));
	assert_int_equal(p->l4_payload_off, 46);
	make_flow(&key, &bits);
	assert_false(outline_learn(&o, &flow, p));
	lab_free(p);
	lab_frame(&f, LAB_UDP4, 0, 40);
	p = lab_packet(f.bytes, f.len, 9, 0);
	assert_true(packet_parse(p, &key, PARSE_L4));
	mask->blocks = FLOW_BLOCK(0) | FLOW_BLOCK(2);
	assert_false(outline_learn(&o, &flow, p));
	lab_free(p);
	free(mask);
}

/* --- in a worker ------------------------------------------------------------------------------------------- */

static struct rig_agent agent;
static struct port *ports[5];

static size_t
make_outer(uint8_t *frame, const struct lab_frame *inner, uint32_t vni)
{
	static const uint8_t head[OUTER_LEN] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0,
		0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0xc0, 1, 0x12, 0xb5,
		0, 0, 0, 0, 8};

	memcpy(frame, head, OUTER_LEN);
	memcpy(frame + OUTER_LEN, inner->bytes, inner->len);
	put_be16(frame + 16, (uint16_t)(inner->len + 36));
	put_be16(frame + 24, (uint16_t)~lab_csum(frame + 14, 20, 0));
	put_be16(frame + 38, (uint16_t)(inner->len + 16));
	put_be32(frame + 46, vni << 8);
	return OUTER_LEN + inner->len;
}

/* Sends a burst and waits until all of it has ended. */
static void
burst(const uint8_t *frame, size_t len, struct port_sums *uplink, struct port_sums *all)
{
	struct port_sums now;

	rig_sums(&now);
	rig_send_many(ports[2], frame, len, MANY);
	rig_wait((rig_sums(all), all->rx_packets == now.rx_packets + MANY));
	rig_wait((rig_sums(all), all->rx_packets + all->made + all->copied ==
					 all->tx_packets + all->to_agent + all->dropped));
	port_read_counters(ports[2], uplink);
}

static void
take(unsigned port, const uint8_t *frame, size_t len)
{
	uint8_t got[2048];

	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(rig_receive(ports[port], got, sizeof got), len);
		assert_memory_equal(got, frame, len);
	}
	assert_int_equal(rig_n_waiting(ports[port]), 0);
}

/* Burst after burst is taken out of its tunnel, counted as it is without outlines; and no longer when the flow does
 * something else, or is no more. */
static void
test_outline_follows(void **state)
{
	struct port_sums uplink, tunnel, all;
	struct flow_key key = {.in_port = be32_from(2),
		.eth_type = be16_from(0x0800),
		.ip_proto = 17,
		.ip_dst = be32_from(0xc0000202),
		.l4_dst = be16_from(4789)};
	struct flow_mask bits;
	struct dp_handle decap;
	struct flow_stats final;
	struct lab_frame f;
	uint8_t outer[2048];
	size_t len;

	(void)state;
	lab_seed("outline follows");
	rig_start(1);
	for (uint16_t i = 1; i <= 4; i++) {
		ports[i] = rig_port_add(i, NULL);
	}
	rig_agent_open(&agent, 1);
	rig_mask(&bits, FIELD_ETH_TYPE, FIELD_IP_PROTO, FIELD_IPV4_DST, FIELD_UDP_DST, FIELD_N);
	assert_int_equal(
		rig_put(&agent, &key, FLOW_BLOCK(0), &bits, 0, "decap(kind=vxlan,port=3)", &decap),
		0);
	rig_wire(&agent, TUNNEL, "output(1)");
	lab_frame(&f, LAB_UDP4, 0, 18);
	len = make_outer(outer, &f, 5);
	for (unsigned i = 1; i <= 6; i++) {
		put_be16(outer + 34, (uint16_t)(0xc000 + i));
		burst(outer, len, &uplink, &all);
		take(1, f.bytes, f.len);
		assert_int_equal(uplink.rx_packets, i * MANY);
		assert_int_equal(uplink.rx_bytes, i * MANY * len);
		assert_int_equal(uplink.cache_hits + uplink.table_hits, i * MANY);
		port_read_counters(ports[TUNNEL], &tunnel);
		assert_int_equal(tunnel.tunnel_rx_packets, i * MANY);
		assert_int_equal(tunnel.tunnel_rx_bytes, i * MANY * f.len);
	}
	assert_int_not_equal(uplink.cache_hits, 0);
	assert_int_equal(ports[2]->per_worker[0].outline.slot, decap.slot);
	assert_int_not_equal(ports[2]->per_worker[0].outline.live, 0);
	/* To another address of ours: not the flow's. */
	key.ip_dst = be32_from(0xc0000203);
	assert_int_equal(rig_put(&agent, &key, FLOW_BLOCK(0), &bits, 0, "drop(explicit)", NULL), 0);
	outer[33] = 3;
	burst(outer, len, &uplink, &all);
	assert_int_equal(all.drops[DROP_EXPLICIT], MANY);
	outer[33] = 2;
	/* The port is down; then up again. */
	atomic_store(&ports[2]->admin_up, false);
	burst(outer, len, &uplink, &all);
	assert_int_equal(all.drops[DROP_RX_DISABLED], MANY);
	atomic_store(&ports[2]->admin_up, true);
	for (unsigned i = 0; i < 3; i++) {
		burst(outer, len, &uplink, &all);
		take(1, f.bytes, f.len);
	}
	/* The same flow does something else, for which it needs the packets' keys. */
	key.ip_dst = be32_from(0xc0000202);
	assert_int_equal(rig_put(&agent, &key, FLOW_BLOCK(0), &bits, DP_PUT_MODIFY,
				 "hash(basis=3),output(4)", NULL),
		0);
	burst(outer, len, &uplink, &all);
	take(4, outer, len);
	assert_int_equal(rig_put(&agent, &key, FLOW_BLOCK(0), &bits, DP_PUT_MODIFY,
				 "decap(kind=vxlan,port=3)", NULL),
		0);
	for (unsigned i = 0; i < 3; i++) {
		burst(outer, len, &uplink, &all);
		take(1, f.bytes, f.len);
	}
	/* It is gone, with every packet counted; what comes then is another flow's. */
	rig_wire(&agent, 2, "output(4)");
	assert_int_equal(rig_del(&agent, decap, &final), 0);
	assert_int_equal(final.packets, 13 * MANY);
	assert_int_equal(final.bytes, 13 * MANY * OUTER_LEN + 13 * MANY * f.len);
	burst(outer, len, &uplink, &all);
	take(4, outer, len);
	assert_int_equal(all.dropped, 2 * MANY);
	rig_agent_close(&agent, true);
	rig_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_outline_model),
		cmocka_unit_test(test_outline_refuses),
		cmocka_unit_test(test_outline_follows),
	};

	return cmocka_run_group_tests_name("outline", tests, lab_start, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/datapath/tunnel_rig.h"

#include <string.h>

#include "lib/byteorder.h"

struct rig_agent tunnel_rig_agent;
struct port *tunnel_rig_ports[TUNNEL_RIG_N_PORTS + 1];
uint8_t tunnel_rig_bytes[TUNNEL_RIG_FRAME_MAX];

/* Ethernet, IPv4 with the don't-fragment bit, UDP, VXLAN with VNI 0x7b; and over IPv6. */
static const uint8_t vxlan4[TUNNEL_RIG_V4] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0,
	0, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0, 0, 0x12, 0xb5, 0, 0, 0, 0, 8,
	0, 0, 0, 0, 0, 0x7b, 0};
static const uint8_t vxlan6[TUNNEL_RIG_V6] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd, 0x60,
	0, 0, 0, 0, 0, 17, 64, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x20, 1, 0xd,
	0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0x12, 0xb5, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0,
	0x7b, 0};

void
tunnel_rig_begin(void)
{
	rig_begin(tunnel_rig_ports, TUNNEL_RIG_N_PORTS, &tunnel_rig_agent);
}

void
tunnel_rig_end(void)
{
	rig_end(&tunnel_rig_agent);
}

void
tunnel_rig_frame(struct lab_frame *f, enum lab_kind kind, unsigned n_tags, size_t payload)
{
	uint8_t *ip;

	lab_frame(f, kind, n_tags, payload);
	ip = f->bytes + f->l3;
	ip[1] &= ip[0] >> 4 == 6 ? 0xcf : 0xfc;
	lab_frame_csums(f, false);
}

struct dp_handle
tunnel_rig_encap(const struct dp_encap *wanted, bool v6, struct dp_handle object)
{
	struct dp_encap e = *wanted;
	uint8_t header[80] = {0};
	struct rig_body body;

	e.kind = DP_TUNNEL_VXLAN;
	e.l3_off = 14;
	e.l4_off = v6 ? 54 : 34;
	e.size = v6 ? TUNNEL_RIG_V6 : TUNNEL_RIG_V4;
	memcpy(header, v6 ? vxlan6 : vxlan4, e.size);
	if (e.too_long == DP_ENCAP_FRAGMENT && !v6) {
		header[20] = 0;
	}
	rig_body_init(&body, DP_OBJECT_ENCAP);
	dp_actions_append(&body.bytes, &e, sizeof e);
	dp_actions_append(&body.bytes, header, WEFT_ROUND_UP(e.size, 8));
	assert_int_equal(rig_object_put(&tunnel_rig_agent, &body, &object), 0);
	rig_body_uninit(&body);
	return object;
}

struct dp_handle
tunnel_rig_plain(void)
{
	return tunnel_rig_encap(&(struct dp_encap){.port = TUNNEL_RIG_PORT}, false, RIG_NONE);
}

void
tunnel_rig_settle(void)
{
	struct port_sums now;

	rig_wait(
		(rig_sums(&now), now.rx_packets + now.made + now.copied ==
					 now.tx_packets + now.to_agent + now.dropped + now.parked));
}

void
tunnel_rig_send(unsigned from, const uint8_t *frame, size_t len)
{
	struct port_sums before, now;

	rig_sums(&before);
	rig_send(tunnel_rig_ports[from], frame, len);
	rig_wait((rig_sums(&now), now.rx_packets == before.rx_packets + 1));
	tunnel_rig_settle();
}

void
tunnel_rig_expect_drop(unsigned from, const uint8_t *frame, size_t len, enum drop_reason reason)
{
	struct port_sums before, now;

	rig_sums(&before);
	tunnel_rig_send(from, frame, len);
	rig_sums(&now);
	if (now.dropped != before.dropped + 1 || now.drops[reason] != before.drops[reason] + 1) {
		fail_msg("no drop as %s", drop_reason_name(reason));
	}
}

void
tunnel_rig_flow(uint16_t in_port, uint32_t recirc_id, uint32_t id, const char *actions)
{
	struct flow_key key = {.in_port = be32_from(in_port),
		.recirc_id = be32_from(recirc_id),
		.tun_id_lo = be32_from(id)};
	struct flow_mask mask;

	rig_mask(&mask, FIELD_N);
	mask.bits.tun_id_lo = be32_from(UINT32_MAX);
	assert_int_equal(
		rig_put(&tunnel_rig_agent, &key, FLOW_BLOCK(0), &mask, 0, actions, NULL), 0);
}

size_t
tunnel_rig_outer(uint8_t *outer, const uint8_t *frame, size_t len, uint32_t vni, uint16_t port)
{
	memcpy(outer, vxlan4, sizeof vxlan4);
	memcpy(outer + TUNNEL_RIG_V4, frame, len);
	put_be16(outer + 16, (uint16_t)(len + 36));
	put_be16(outer + 24, 0);
	put_be16(outer + 24, (uint16_t)~lab_csum(outer + 14, 20, 0));
	put_be16(outer + 34, port);
	put_be16(outer + 38, (uint16_t)(len + 16));
	put_be32(outer + 46, vni << 8);
	return len + TUNNEL_RIG_V4;
}

void
tunnel_rig_expect_outer(unsigned port, const uint8_t *frame, size_t len, uint32_t vni)
{
	static uint8_t want[TUNNEL_RIG_FRAME_MAX];

	assert_int_equal(rig_n_waiting(tunnel_rig_ports[port]), 1);
	assert_int_equal(
		rig_receive(tunnel_rig_ports[port], tunnel_rig_bytes, sizeof tunnel_rig_bytes),
		len + TUNNEL_RIG_V4);
	assert_true(get_be16(tunnel_rig_bytes + 34) >= 0xc000);
	tunnel_rig_outer(want, frame, len, vni, get_be16(tunnel_rig_bytes + 34));
	assert_memory_equal(tunnel_rig_bytes, want, len + TUNNEL_RIG_V4);
}

void
tunnel_rig_expect_frame(unsigned port, const uint8_t *frame, size_t len)
{
	assert_int_equal(rig_n_waiting(tunnel_rig_ports[port]), 1);
	assert_int_equal(
		rig_receive(tunnel_rig_ports[port], tunnel_rig_bytes, sizeof tunnel_rig_bytes),
		len);
	assert_memory_equal(tunnel_rig_bytes, frame, len);
}

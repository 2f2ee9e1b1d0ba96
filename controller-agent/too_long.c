/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets that are too long for the way behind a tunnel port.
 */
#include "controller-agent/too_long.h"

#include <netinet/in.h>
#include <string.h>

#include "controller-agent/agent_internal.h"
#include "lib/byteorder.h"
#include "lib/packet_key.h"
#include "lib/packet_parse.h"
#include "ofproto/of_action.h"
#include "ofproto/of_context.h"
#include "ofproto/of_tunnel.h"

#define IPV4_LEN 20u
#define IPV6_LEN 40u
#define ICMP_LEN 8u
#define IPV4_MTU_MIN 68u     /* RFC 791 s.3.2 */
#define IPV4_ANSWER_MAX 576u /* RFC 1812 s.4.3.2.3 */
#define IPV6_MTU_MIN 1280u   /* RFC 8200 s.5 */
#define TOS_CONTROL 0xc0     /* RFC 1812 s.4.3.2.5 */
#define UNREACHABLE 3        /* RFC 792 */
#define FRAGMENTATION_NEEDED 4
#define PACKET_TOO_BIG 2 /* RFC 4443 s.3.2 */

/* --- the answer ---------------------------------------------------------------------------------- */

static uint32_t
add(uint32_t sum, const uint8_t *data, size_t len)
{
	for (; len > 1; len -= 2, data += 2) {
		sum += get_be16(data);
	}
	return sum + (len ? (uint32_t)data[0] << 8 : 0);
}

static uint16_t
fold(uint32_t sum)
{
	while (sum >> 16) {
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)~sum;
}

static bool
is_v4_host(be32_t address)
{
	uint32_t a = be32_to(address);

	return a >> 24 && a >> 24 != 127 && a >> 28 < 0xe;
}

static bool
is_v6_host(const uint8_t a[16])
{
	static const uint8_t none[15];

	return a[0] != 0xff && (memcmp(a, none, 15) || a[15] > 1);
}

/* Errors are not answered with errors (RFC 1122 s.3.2.2). */
static bool
is_v4_error(uint16_t type)
{
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

static size_t
answer_v4(const uint8_t *ip, size_t len, uint32_t mtu, uint8_t *out)
{
	size_t quoted = WEFT_MIN(len, IPV4_ANSWER_MAX - IPV4_LEN - ICMP_LEN);
	uint8_t *icmp = out + IPV4_LEN;

	memset(out, 0, IPV4_LEN + ICMP_LEN);
	out[0] = 0x45;
	out[1] = TOS_CONTROL;
	put_be16(out + 2, (uint16_t)(IPV4_LEN + ICMP_LEN + quoted));
	put_be16(out + 6, 0x4000);
	out[8] = 64;
	out[9] = IPPROTO_ICMP;
	memcpy(out + 12, ip + 16, 4);
	memcpy(out + 16, ip + 12, 4);
	put_be16(out + 10, fold(add(0, out, IPV4_LEN)));
	icmp[0] = UNREACHABLE;
	icmp[1] = FRAGMENTATION_NEEDED;
	put_be16(icmp + 6, (uint16_t)WEFT_MIN(mtu, (uint32_t)UINT16_MAX));
	memcpy(icmp + ICMP_LEN, ip, quoted);
	put_be16(icmp + 2, fold(add(0, icmp, ICMP_LEN + quoted)));
	return IPV4_LEN + ICMP_LEN + quoted;
}

static size_t
answer_v6(const uint8_t *ip, size_t len, uint32_t mtu, uint8_t *out)
{
	size_t quoted = WEFT_MIN(len, IPV6_MTU_MIN - IPV6_LEN - ICMP_LEN);
	uint8_t *icmp = out + IPV6_LEN;
	uint32_t sum;

	memset(out, 0, IPV6_LEN + ICMP_LEN);
	out[0] = 0x60;
	put_be16(out + 4, (uint16_t)(ICMP_LEN + quoted));
	out[6] = IPPROTO_ICMPV6;
	out[7] = 64;
	memcpy(out + 8, ip + 24, 16);
	memcpy(out + 24, ip + 8, 16);
	icmp[0] = PACKET_TOO_BIG;
	put_be32(icmp + 4, mtu);
	memcpy(icmp + ICMP_LEN, ip, quoted);
	sum = add((uint32_t)(ICMP_LEN + quoted) + IPPROTO_ICMPV6, out + 8, 32);
	put_be16(icmp + 2, fold(add(sum, icmp, ICMP_LEN + quoted)));
	return IPV6_LEN + ICMP_LEN + quoted;
}

size_t
too_long_answer(const uint8_t *frame, size_t len, uint32_t mtu, uint8_t *answer)
{
	/* The parser reads alone. */
	struct packet p = {.data = (uint8_t *)(uintptr_t)frame,
		.len = (uint32_t)len,
		.head_len = (uint32_t)len};
	struct flow_key key;
	size_t l2, size;
	const uint8_t *ip;

	if (!packet_parse(&p, &key, PARSE_L4)) {
		return 0;
	}
	flow_key_clear_absent(&key, p.key_blocks);
	l2 = 14u + 4u * p.n_tags;
	ip = frame + l2;
	mtu -= WEFT_MIN(mtu, 4u * p.n_tags);
	if (key.ip_frag & (FLOW_BAD_L3 | FLOW_FRAG_ANY) || key.eth_dst[0] & 1 ||
		key.eth_src[0] & 1) {
		return 0;
	}
	if (be16_to(key.eth_type) == 0x0800 && p.l3_off == l2) {
		if (mtu < IPV4_MTU_MIN || !(get_be16(ip + 6) & 0x4000) || !is_v4_host(key.ip_src) ||
			!is_v4_host(key.ip_dst) ||
			(key.ip_proto == IPPROTO_ICMP && is_v4_error(be16_to(key.icmp_type)))) {
			return 0;
		}
		size = answer_v4(ip, len - l2, mtu, answer + l2);
	} else if (be16_to(key.eth_type) == 0x86dd && p.l3_off == l2) {
		uint16_t type = be16_to(key.icmp_type);

		if (mtu < IPV6_MTU_MIN || !is_v6_host(key.ipv6_src) || !is_v6_host(key.ipv6_dst) ||
			(key.ip_proto == IPPROTO_ICMPV6 && (type < 128 || type == 137))) {
			return 0;
		}
		size = answer_v6(ip, len - l2, mtu, answer + l2);
	} else {
		return 0;
	}
	memcpy(answer, frame + 6, 6);
	memcpy(answer + 6, frame, 6);
	memcpy(answer + 12, frame + 12, l2 - 12);
	return l2 + size;
}

/* --- sending it ---------------------------------------------------------------------------------- */

static bool
is_allowed(struct too_long *t, uint32_t port, uint64_t now_ms)
{
	unsigned i = port % TOO_LONG_BUCKETS;
	uint64_t gained = (now_ms - t->buckets[i].refilled_ms) * TOO_LONG_PER_S / 1000;

	if (gained) {
		t->buckets[i].tokens =
			(uint32_t)WEFT_MIN(t->buckets[i].tokens + gained, (uint64_t)TOO_LONG_PER_S);
		t->buckets[i].refilled_ms = now_ms;
	}
	if (!t->buckets[i].tokens) {
		return false;
	}
	t->buckets[i].tokens--;
	return true;
}

/* As if it had come out of the tunnel that the packet was to go into. */
static void
fill_tunnel(struct agent *a, const struct of_tunnel *t, const struct flow_key *was,
	struct flow_key *key)
{
	struct of_underlay_key ends = {.local = t->local, .remote = t->remote};
	const struct of_underlay_route *route;

	if (t->remote_by == OF_TUNNEL_FLOW) {
		memcpy(ends.remote.v, was->tun_dst, sizeof(ends.remote.v));
	}
	if (t->local_by == OF_TUNNEL_FLOW) {
		memcpy(ends.local.v, was->tun_src, sizeof(ends.local.v));
	}
	key->tun_id_lo = t->id_by == OF_TUNNEL_FLOW ? was->tun_id_lo : be32_from(t->id);
	memcpy(key->tun_src, ends.remote.v, sizeof(key->tun_src));
	of_reader_enter(a->reader);
	route = of_model_underlay(a->model, &ends);
	memcpy(key->tun_dst, route->n_paths ? route->paths[0].source.v : ends.local.v,
		sizeof(key->tun_dst));
	of_reader_leave(a->reader);
}

void
agent_too_long(struct agent *a, const struct handler_packet_in *packet, const struct of_context *c)
{
	struct ofproto *p = ofproto_by_id(a->model, c->ofproto_id);
	const struct of_port_info *port = p ? ofproto_port_find(p, OF_PORT(c->in_port)) : NULL;
	uint8_t frame[TOO_LONG_MAX_ANSWER];
	struct of_packet_out po = {.in_port = OF_PORT(c->in_port), .data = frame};
	struct of_actions actions;
	struct flow_key key;

	if (port && port->kind == OF_PORT_TUNNEL &&
		is_allowed(&a->too_long, be32_to(packet->key.in_port), agent_now_ms())) {
		po.len = too_long_answer(packet->data, packet->data_len, c->max_len, frame);
	}
	if (!po.len) {
		a->too_long.n_unanswered++;
		return;
	}
	a->too_long.n_answered++;
	of_actions_init(&actions);
	of_actions_put_output(&actions, OF_PORT(OFPP_TABLE), 0);
	po.actions = actions.data;
	po.actions_size = actions.size;
	packet_key_parse(po.data, po.len, &key);
	key.in_port = be32_from(c->in_port);
	fill_tunnel(a, &port->tunnel, &packet->key, &key);
	agent_send_out(a, p, &po, &key);
	of_actions_uninit(&actions);
}

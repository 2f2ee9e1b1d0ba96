/* SPDX-License-Identifier: Apache-2.0
 *
 * BFD: frames.
 */
#include "datapath/bfd_frame.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include "lib/byteorder.h"

#define ETH_LEN 14u
#define IPV4_LEN 20u
#define IPV6_LEN 40u
#define UDP_LEN 8u
#define TYPE_IPV4 0x0800u
#define TYPE_IPV6 0x86ddu
#define BFD_UDP_PORT 3784u /* RFC 5881 s.4: single hop */
#define TTL 255u
#define TOS 0xc0u /* CS6, network control */

/* Of @n bytes, added to @sum; @n is even but in what ends a sum. */
static uint32_t
sum(const uint8_t *bytes, uint32_t n, uint32_t so_far)
{
	for (; n > 1; bytes += 2, n -= 2) {
		so_far += get_be16(bytes);
	}
	return n ? so_far + ((uint32_t)bytes[0] << 8) : so_far;
}

static uint16_t
fold(uint32_t s)
{
	s = (s & 0xffff) + (s >> 16);
	return (uint16_t)((s & 0xffff) + (s >> 16));
}

/* Of UDP with its pseudo header. @addresses: both, @n_addresses bytes. */
static uint16_t
udp_sum(const uint8_t *addresses, uint32_t n_addresses, const uint8_t *udp, uint32_t len)
{
	return fold(sum(udp, len, sum(addresses, n_addresses, IPPROTO_UDP + len)));
}

void
bfd_frame_write(const struct bfd_frame_ends *ends, const uint8_t *packet, uint8_t *frame)
{
	uint8_t *ip = frame + ETH_LEN, *udp = ip + IPV4_LEN;
	uint16_t s;

	memset(frame, 0, BFD_FRAME_LEN - BFD_PACKET_LEN);
	memcpy(frame, ends->dst_mac, 6);
	memcpy(frame + 6, ends->src_mac, 6);
	put_be16(frame + 12, TYPE_IPV4);
	ip[0] = 0x45;
	ip[1] = TOS;
	put_be16(ip + 2, BFD_FRAME_LEN - ETH_LEN);
	put_be16(ip + 6, 0x4000); /* don't fragment */
	ip[8] = TTL;
	ip[9] = IPPROTO_UDP;
	memcpy(ip + 12, ends->src_ip, 4);
	memcpy(ip + 16, ends->dst_ip, 4);
	put_be16(ip + 10, (uint16_t)~fold(sum(ip, IPV4_LEN, 0)));
	put_be16(udp, ends->src_port);
	put_be16(udp + 2, BFD_UDP_PORT);
	put_be16(udp + 4, UDP_LEN + BFD_PACKET_LEN);
	memcpy(udp + UDP_LEN, packet, BFD_PACKET_LEN);
	s = (uint16_t)~udp_sum(ip + 12, 8, udp, UDP_LEN + BFD_PACKET_LEN);
	put_be16(udp + 6, s ? s : UINT16_MAX);
}

/* The UDP header and how much stands from there on; NULL: no such packet. */
static const uint8_t *
find_udp_ipv4(const uint8_t *ip, uint32_t len, uint32_t *left)
{
	uint32_t header = len >= IPV4_LEN ? (uint32_t)(ip[0] & 0xf) * 4 : 0, total;

	if (header < IPV4_LEN || ip[0] >> 4 != 4 || header > len) {
		return NULL;
	}
	total = get_be16(ip + 2);
	if (total > len || total < header + UDP_LEN || get_be16(ip + 6) & 0x3fff || ip[8] != TTL ||
		ip[9] != IPPROTO_UDP || fold(sum(ip, header, 0)) != UINT16_MAX) {
		return NULL;
	}
	*left = total - header;
	return ip + header;
}

static const uint8_t *
find_udp_ipv6(const uint8_t *ip, uint32_t len, uint32_t *left)
{
	uint32_t payload = len >= IPV6_LEN + UDP_LEN ? get_be16(ip + 4) : 0;

	if (payload < UDP_LEN || payload > len - IPV6_LEN || ip[0] >> 4 != 6 ||
		ip[6] != IPPROTO_UDP || ip[7] != TTL) {
		return NULL;
	}
	*left = payload;
	return ip + IPV6_LEN;
}

bool
bfd_frame_parse(const uint8_t *frame, uint32_t len, struct bfd_packet *p)
{
	uint16_t type = len >= ETH_LEN ? get_be16(frame + 12) : 0;
	const uint8_t *ip = frame + ETH_LEN, *udp = NULL;
	bool v4 = type == TYPE_IPV4;
	uint32_t left = 0, n;

	if (v4) {
		udp = find_udp_ipv4(ip, len - ETH_LEN, &left);
	} else if (type == TYPE_IPV6) {
		udp = find_udp_ipv6(ip, len - ETH_LEN, &left);
	}
	if (!udp || get_be16(udp + 2) != BFD_UDP_PORT) {
		return false;
	}
	n = get_be16(udp + 4);
	if (n < UDP_LEN || n > left) {
		return false;
	}
	/* Without a checksum it comes as other switches make it; RFC 6936 allows that in tunnels over IPv6. */
	if (get_be16(udp + 6) &&
		udp_sum(v4 ? ip + 12 : ip + 8, v4 ? 8 : 32, udp, n) != UINT16_MAX) {
		return false;
	}
	return bfd_packet_parse(udp + UDP_LEN, n - UDP_LEN, p);
}

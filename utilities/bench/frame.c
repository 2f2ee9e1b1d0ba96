/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames of the traffic generator: Ethernet, IPv4, UDP, a magic word and a tag.
 *
 * Flow F has source address 10.x.y.z, where xyz is F, and UDP source port 1024 + F % 60000, so
 * that flows differ both in what routers and in what connection trackers look at.
 */
#include "utilities/bench/bench.h"

#include <arpa/inet.h>
#include <string.h>

#define MAGIC 0x57454654u /* "WEFT" */
#define IP_OFF 14
#define UDP_OFF 34
#define DATA_OFF 42

static void
put16(uint8_t *p, uint16_t v)
{
	v = htons(v);
	memcpy(p, &v, sizeof v);
}

static void
put32(uint8_t *p, uint32_t v)
{
	v = htonl(v);
	memcpy(p, &v, sizeof v);
}

static uint16_t
ip_checksum(const uint8_t *header)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < 20; i += 2) {
		sum += (uint32_t)header[i] << 8 | header[i + 1];
	}
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

void
bench_frame_write(uint8_t *frame, uint32_t flow, unsigned way, uint32_t tag, unsigned len)
{
	static const uint8_t mac[2][6] = {
		{0x02, 0, 0, 0, 0, 0x01},
		{0x02, 0, 0, 0, 0, 0x02},
	};
	uint8_t *ip = frame + IP_OFF;
	uint8_t *udp = frame + UDP_OFF;

	memcpy(frame, mac[!way], 6);
	memcpy(frame + 6, mac[way], 6);
	put16(frame + 12, 0x0800);
	memset(ip, 0, 20);
	ip[0] = 0x45;
	put16(ip + 2, (uint16_t)(len - IP_OFF));
	ip[8] = 64;
	ip[9] = 17;
	put32(ip + 12, 0x0a000000u | (flow & 0xffffffu));
	put32(ip + 16, 0xc0a80001u + way);
	put16(ip + 10, ip_checksum(ip));
	put16(udp, (uint16_t)(1024 + flow % 60000));
	put16(udp + 2, 5001);
	put16(udp + 4, (uint16_t)(len - UDP_OFF));
	put16(udp + 6, 0); /* no checksum (RFC 768) */
	put32(frame + DATA_OFF, MAGIC);
	put32(frame + DATA_OFF + 4, tag);
}

void
bench_vxlan_write(uint8_t *outer, const uint8_t mac[6], uint32_t flow, unsigned len)
{
	static const uint8_t from[6] = {0x02, 0, 0, 0, 0, 0x99};
	uint8_t *ip = outer + IP_OFF, *udp = outer + UDP_OFF;

	memset(outer, 0, BENCH_VXLAN_LEN);
	memcpy(outer, mac, 6);
	memcpy(outer + 6, from, 6);
	put16(outer + 12, 0x0800);
	ip[0] = 0x45;
	put16(ip + 2, (uint16_t)(len + BENCH_VXLAN_LEN - IP_OFF));
	put16(ip + 6, 0x4000); /* don't fragment */
	ip[8] = 64;
	ip[9] = 17;
	put32(ip + 12, 0xc0000202);
	put32(ip + 16, 0xc0000201);
	put16(ip + 10, ip_checksum(ip));
	/* RFC 7348 s.5: dynamic ports, by flow. */
	put16(udp, (uint16_t)(0xc000 | (flow * 0x9e3779b1u) >> 18));
	put16(udp + 2, 4789);
	put16(udp + 4, (uint16_t)(len + BENCH_VXLAN_LEN - UDP_OFF));
	udp[8] = 0x08;
	put32(udp + 12, 5 << 8);
}

bool
bench_frame_tag(const uint8_t *frame, unsigned len, uint32_t *tag)
{
	uint32_t word;

	if (len < DATA_OFF + 8) {
		return false;
	}
	memcpy(&word, frame + DATA_OFF, sizeof word);
	if (ntohl(word) != MAGIC) {
		return false;
	}
	memcpy(&word, frame + DATA_OFF + 4, sizeof word);
	*tag = ntohl(word);
	return true;
}

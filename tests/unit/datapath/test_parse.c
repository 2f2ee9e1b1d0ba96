/* SPDX-License-Identifier: Apache-2.0
 *
 * Parser: exact keys and offsets of frames, bad headers, every depth, garbage.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "lib/field.h"
#include "lib/packet_parse.h"
#include "tests/unit/datapath/lab.h"

#define MACS "020000000001 020000000002 "

static struct flow_key want;
static struct packet p;

/* Parses a copy in a buffer of exactly its size, so that the address sanitizer sees what is read. */
static bool
parse(const uint8_t *frame, size_t len, enum parse_depth depth, struct flow_key *key)
{
	uint8_t *copy = malloc(len ? len : 1);
	bool ok;

	memcpy(copy, frame, len);
	memset(key, 0xa5, sizeof *key);
	p = (struct packet){.data = copy,
		.len = (uint32_t)len,
		.head_len = (uint32_t)len,
		.in_port = 3,
		.recirc_id = 4};
	ok = packet_parse(&p, key, depth);
	free(copy);
	return ok;
}

static void
begin(uint16_t type)
{
	memset(&want, 0, sizeof want);
	want.in_port = be32_from(3);
	want.recirc_id = be32_from(4);
	want.eth_dst[0] = want.eth_src[0] = 2;
	want.eth_dst[5] = 1;
	want.eth_src[5] = 2;
	want.eth_type = be16_from(type);
}

/* The key has these blocks, each as wanted. */
static void
assert_key(const char *hex, enum parse_depth depth, uint8_t blocks)
{
	uint8_t frame[512];
	struct flow_key key;

	assert_true(parse(frame, lab_hex(frame, sizeof frame, hex), depth, &key));
	assert_int_equal(p.key_blocks, blocks);
	assert_int_equal(p.depth, depth);
	flow_key_clear_absent(&key, blocks);
	assert_memory_equal(key.bytes, want.bytes, sizeof key);
}

static void
assert_offsets(unsigned l3, unsigned l4, unsigned payload, unsigned n_tags)
{
	assert_int_equal(p.l3_off, l3);
	assert_int_equal(p.l4_off, l4);
	assert_int_equal(p.l4_payload_off, payload);
	assert_int_equal(p.n_tags, n_tags);
}

#define IPV4(LEN, FRAG, PROTO) "45b8" LEN "1234" FRAG "40" PROTO "0000 0a000001 0a000002 "
#define TCP "0050 1f90 00000001 00000002 5f12 2000 0000 0000 "

static void
want_ipv4(uint8_t proto)
{
	begin(0x0800);
	want.ip_src = be32_from(0x0a000001);
	want.ip_dst = be32_from(0x0a000002);
	want.ip_tos = 0xb8;
	want.ip_ttl = 0x40;
	want.ip_proto = proto;
}

static void
want_ports(uint16_t src, uint16_t dst)
{
	want.l4_src = be16_from(src);
	want.l4_dst = be16_from(dst);
}

static void
test_parse_ipv4(void **state)
{
	(void)state;
	want_ipv4(6);
	assert_key(MACS "0800" IPV4("0028", "4000", "06") TCP, PARSE_L3, 1);
	assert_offsets(14, 34, 0, 0);
	want_ports(80, 8080);
	want.tcp_flags = be16_from(0xf12);
	assert_key(MACS "0800" IPV4("0028", "4000", "06") TCP, PARSE_L4, 1);
	assert_offsets(14, 34, 54, 0);
	/* Padding behind the packet. */
	assert_key(MACS "0800" IPV4("0028", "4000", "06") TCP "000000000000", PARSE_L4, 1);
	want_ipv4(17);
	want_ports(53, 1024);
	assert_key(MACS "0800" IPV4("001c", "0000", "11") "0035 0400 0008 0000", PARSE_L4, 1);
	assert_offsets(14, 34, 42, 0);
	want_ipv4(132);
	want_ports(53, 1024);
	assert_key(
		MACS "0800" IPV4("0020", "0000", "84") "0035 0400 00000000 00000000", PARSE_L4, 1);
	assert_offsets(14, 34, 46, 0);
	want_ipv4(1);
	want_ports(8, 7); /* ICMP type and code share their place */
	assert_key(MACS "0800" IPV4("001c", "0000", "01") "0807 0000 00000000", PARSE_L4, 1);
	/* A protocol without ports. */
	want_ipv4(47);
	assert_key(MACS "0800" IPV4("0018", "0000", "2f") "00000800", PARSE_L4, 1);
	assert_offsets(14, 34, 0, 0);
	/* Options. */
	want_ipv4(17);
	want_ports(1, 2);
	assert_key(MACS
		"0800 46b800201234000040110000 0a000001 0a000002 01010100 0001 0002 0008 0000",
		PARSE_L4, 1);
	assert_offsets(14, 38, 46, 0);
}

static void
test_parse_ipv4_fragments(void **state)
{
	(void)state;
	want_ipv4(17);
	want.ip_frag = FLOW_FRAG_ANY;
	want_ports(53, 1024);
	assert_key(MACS "0800" IPV4("001c", "2000", "11") "0035 0400 0008 0000", PARSE_L4, 1);
	want_ipv4(17);
	want.ip_frag = FLOW_FRAG_ANY | FLOW_FRAG_LATER;
	assert_key(MACS "0800" IPV4("001c", "2001", "11") "0035 0400 0008 0000", PARSE_L4, 1);
	assert_key(MACS "0800" IPV4("001c", "0001", "11") "0035 0400 0008 0000", PARSE_L4, 1);
	assert_offsets(14, 34, 0, 0);
}

static void
test_parse_bad_ipv4(void **state)
{
	(void)state;
	begin(0x0800);
	assert_key(MACS "0800", PARSE_L2, 1);
	want.ip_frag = FLOW_BAD_L3;
	assert_key(MACS "0800", PARSE_L4, 1);
	assert_key(MACS "0800 45000014000000004011000000000000000000", PARSE_L4, 1); /* 19 bytes */
	assert_key(MACS "0800 65" IPV4("0028", "4000", "06") TCP, PARSE_L4, 1);
	assert_key(MACS "0800 44b8001c1234000040110000 0a000001 0a000002 0035 0400 0008 0000",
		PARSE_L4, 1);
	assert_key(MACS "0800" IPV4("001d", "0000", "11") "0035 0400 0008 0000", PARSE_L4, 1);
	assert_key(MACS "0800" IPV4("0013", "0000", "11") "0035 0400 0008 0000", PARSE_L4, 1);
	assert_key(MACS "0800" IPV4("0013", "0000", "11") "0035 0400 0008 0000", PARSE_L3, 1);
	assert_offsets(14, 0, 0, 0);
	/* L4 that ends too early: by the IP length, or the offset of TCP's data. */
	want_ipv4(17);
	want.ip_frag = FLOW_BAD_L4;
	assert_key(MACS "0800" IPV4("001b", "0000", "11") "0035 0400 0008 0000", PARSE_L4, 1);
	assert_offsets(14, 34, 0, 0);
	want_ipv4(6);
	want.ip_frag = FLOW_BAD_L4;
	assert_key(MACS "0800" IPV4("0027", "0000", "06") TCP, PARSE_L4, 1);
	assert_key(MACS
		"0800" IPV4("0028", "0000", "06") "0050 1f90 00000001 00000002 4112 2000 0000 0000",
		PARSE_L4, 1);
	assert_key(MACS
		"0800" IPV4("0028", "0000", "06") "0050 1f90 00000001 00000002 6112 2000 0000 0000",
		PARSE_L4, 1);
	want_ipv4(1);
	want.ip_frag = FLOW_BAD_L4;
	assert_key(MACS "0800" IPV4("0017", "0000", "01") "080700", PARSE_L4, 1);
	/* IGMP's type stands where ICMP's does, if there is a whole message. */
	want_ipv4(2);
	want_ports(0x16, 0);
	assert_key(MACS "0800" IPV4("001c", "0000", "02") "16010000 ef010203", PARSE_L4, 1);
	want_ports(0, 0);
	assert_key(MACS "0800" IPV4("001b", "0000", "02") "16010000 ef010203", PARSE_L4, 1);
}

static void
test_parse_vlan(void **state)
{
	uint8_t frame[64];
	struct flow_key key;

	(void)state;
	begin(0x1234);
	want.vlan_tpid = be16_from(0x8100);
	/* DEI is the place of the present bit: it is not matched. */
	want.vlan_tci = be16_from(0x600a | FLOW_VLAN_PRESENT);
	assert_key(MACS "8100 700a 1234", PARSE_L2, 1);
	assert_key(MACS "8100 600a 1234", PARSE_L2, 1);
	assert_offsets(18, 0, 0, 1);
	want.vlan_tpid = be16_from(0x88a8);
	want.inner_tpid = be16_from(0x8100);
	want.inner_tci = be16_from(0x0fff | FLOW_VLAN_PRESENT);
	assert_key(MACS "88a8 600a 8100 0fff 1234", PARSE_L2, 1 | 8);
	assert_offsets(22, 0, 0, 2);
	/* Of three the third is the Ethernet type. */
	want.eth_type = be16_from(0x8100);
	assert_key(MACS "88a8 600a 8100 0fff 8100 0001 1234", PARSE_L4, 1 | 8);
	assert_offsets(22, 0, 0, 2);
	for (size_t len = 0; len < 22; len++) {
		lab_hex(frame, sizeof frame, MACS "88a8 600a 8100 0fff 1234");
		assert_false(parse(frame, len, PARSE_L4, &key));
	}
	assert_true(parse(frame, 22, PARSE_L4, &key));
}

static void
test_parse_802_2(void **state)
{
	(void)state;
	begin(0);
	assert_key(MACS "0026 424203000000", PARSE_L4, 1);
	assert_offsets(14, 0, 0, 0);
	want_ipv4(17);
	want_ports(53, 1024);
	assert_key(MACS "0024 aaaa03000000 0800" IPV4("001c", "0000", "11") "0035 0400 0008 0000",
		PARSE_L4, 1);
	assert_offsets(22, 42, 50, 0);
	begin(0x0800);
	assert_key(MACS "0024 aaaa03000000 0800" IPV4("001c", "0000", "11") "0035 0400 0008 0000",
		PARSE_L2, 1);
	assert_offsets(22, 0, 0, 0);
	/* SNAP of somebody else's, and cut short. */
	begin(0);
	assert_key(MACS "0008 aaaa0300000c 2000", PARSE_L4, 1);
	assert_key(MACS "0007 aaaa0300000008", PARSE_L4, 1);
	assert_key(MACS "05ff", PARSE_L4, 1);
}

static void
test_parse_arp(void **state)
{
	(void)state;
	begin(0x0806);
	want.arp_op = be16_from(0x0102);
	want.arp_spa = be32_from(0x0a000001);
	want.arp_tpa = be32_from(0x0a000002);
	want.arp_sha[5] = 0x11;
	want.arp_tha[5] = 0x22;
	assert_key(MACS "0806 0001 0800 06 04 0102 000000000011 0a000001 000000000022 0a000002",
		PARSE_L3, 1 | 2);
	want.eth_type = be16_from(0x8035);
	assert_key(MACS "8035 0001 0800 06 04 0102 000000000011 0a000001 000000000022 0a000002 ff",
		PARSE_L4, 1 | 2);
	begin(0x0806);
	want.ip_frag = FLOW_BAD_L3;
	assert_key(MACS "0806 0001 0800 06 04 0102 000000000011 0a000001 000000000022 0a0000",
		PARSE_L3, 1);
	assert_key(MACS "0806 0006 0800 06 04 0102 000000000011 0a000001 000000000022 0a000002",
		PARSE_L3, 1);
	assert_key(MACS "0806 0001 0800 08 04 0102 000000000011 0a000001 000000000022 0a000002",
		PARSE_L3, 1);
}

#define V6(PLEN, NEXT)                                                                             \
	"6ab12345" PLEN NEXT "3f fd000000000000000000000000000001 fd000000000000000000000000000002 "

static void
want_ipv6(uint8_t proto, uint16_t extensions)
{
	begin(0x86dd);
	want.ip_tos = 0xab;
	want.ip_ttl = 0x3f;
	want.ip_proto = proto;
	want.ipv6_src[0] = want.ipv6_dst[0] = 0xfd;
	want.ipv6_src[15] = 1;
	want.ipv6_dst[15] = 2;
	want.flabel_exthdr = be32_from(0x12345u | (uint32_t)extensions << FLOW_EXTHDR_SHIFT);
}

static void
test_parse_ipv6(void **state)
{
	(void)state;
	want_ipv6(17, 0);
	assert_key(MACS "86dd" V6("0008", "11") "0035 0400 0008 0000", PARSE_L3, 1 | 2);
	want_ports(53, 1024);
	assert_key(MACS "86dd" V6("0008", "11") "0035 0400 0008 0000", PARSE_L4, 1 | 2);
	assert_offsets(14, 54, 62, 0);
	want_ipv6(17, FLOW_EXTHDR_HOP | FLOW_EXTHDR_DEST);
	want_ports(1, 2);
	assert_key(MACS
		"86dd" V6("0020", "00") "3c 00 0104 00000000 11 01 01 0c 000000000000000000000000"
					"0001 0002 0008 0000",
		PARSE_L4, 1 | 2);
	assert_offsets(14, 78, 86, 0);
	want_ipv6(59, FLOW_EXTHDR_NONEXT);
	assert_key(MACS "86dd" V6("0000", "3b"), PARSE_L4, 1 | 2);
	/* Fragments. */
	want_ipv6(17, FLOW_EXTHDR_FRAG);
	want.ip_frag = FLOW_FRAG_ANY;
	want_ports(1, 2);
	assert_key(MACS "86dd" V6("0010", "2c") "11 00 0001 00000001 0001 0002 0008 0000", PARSE_L4,
		1 | 2);
	want_ipv6(17, FLOW_EXTHDR_FRAG);
	want.ip_frag = FLOW_FRAG_ANY | FLOW_FRAG_LATER;
	assert_key(MACS "86dd" V6("0010", "2c") "11 00 0008 00000001 0001 0002 0008 0000", PARSE_L4,
		1 | 2);
	/* Destination options for the last hop stand behind the routing header (RFC 8200 s.4.1). */
	want_ipv6(17, FLOW_EXTHDR_ROUTER | FLOW_EXTHDR_DEST);
	want_ports(1, 2);
	assert_key(MACS
		"86dd" V6("0018", "2b") "3c 00 000000000000 11 00 010400000000 0001 0002 0008 0000",
		PARSE_L4, 1 | 2);
	/* Headers out of order and repeated. */
	want_ipv6(17, FLOW_EXTHDR_DEST | FLOW_EXTHDR_HOP | FLOW_EXTHDR_UNSEQ);
	want_ports(1, 2);
	assert_key(MACS
		"86dd" V6("0018", "3c") "00 00 010400000000 11 00 010400000000 0001 0002 0008 0000",
		PARSE_L4, 1 | 2);
	/* Bad: the length, the version, a chain that ends nowhere. */
	begin(0x86dd);
	want.ip_frag = FLOW_BAD_L3;
	assert_key(MACS "86dd" V6("0009", "11") "0035 0400 0008 0000", PARSE_L4, 1);
	assert_key(MACS "86dd 45" V6("0008", "11") "0035 0400 0008 0000", PARSE_L4, 1);
	want_ipv6(0, 0);
	want.ip_frag = FLOW_BAD_L3;
	assert_key(MACS "86dd" V6("0008", "00") "11 01 010400000000", PARSE_L4, 1 | 2);
	/* What is behind the payload is neither an extension header nor TCP. */
	assert_key(MACS "86dd" V6("0004", "3c") "06 00 010400000000", PARSE_L3, 1 | 2);
	assert_key(MACS "86dd" V6("0008", "00") "11 01 010c 000000000000000000000000", PARSE_L4,
		1 | 2);
	want_ipv6(17, FLOW_EXTHDR_DEST);
	want.ip_frag = FLOW_BAD_L4;
	assert_key(MACS "86dd" V6("0008", "3c") "11 00 010400000000 0001 0002 0008 0000", PARSE_L4,
		1 | 2);
	/* ICMP in IPv6 has no meaning to us, nor is it bad. */
	want_ipv6(1, 0);
	assert_key(MACS "86dd" V6("0008", "01") "0807 0000 00000000", PARSE_L4, 1 | 2);
}

#define ND_OPTIONS_4 "0e 01 000000000011 0e 01 000000000011 0e 01 000000000011 0e 01 000000000011"
#define ND_OPTIONS_16 ND_OPTIONS_4 ND_OPTIONS_4 ND_OPTIONS_4 ND_OPTIONS_4

static void
test_parse_nd(void **state)
{
	(void)state;
	want_ipv6(58, 0);
	want_ports(135, 0);
	want.nd_target[0] = 0xfe;
	want.nd_target[15] = 9;
	want.nd_sll[5] = 0x77;
	want.nd_reserved = be32_from(0x12345678);
	want.nd_options_type = be16_from(1);
	assert_key(MACS
		"86dd" V6("0020", "3a") "8700 0000 12345678 fe000000000000000000000000000009"
					"01 01 000000000077",
		PARSE_L4, 1 | 2);
	want_ports(136, 0);
	memset(want.nd_sll, 0, 6);
	want.nd_tll[5] = 0x77;
	want.nd_reserved = be32_from(0);
	/* An unknown option first; another's kind is passed over. */
	assert_key(MACS
		"86dd" V6("0030", "3a") "8800 0000 00000000 fe000000000000000000000000000009"
					"0e 01 000000000011 01 01 000000000012 02 01 000000000077",
		PARSE_L4, 1 | 2);
	want.nd_options_type = be16_from(2);
	/* Two of a kind: which one a receiver takes is not known. */
	want.ip_frag = FLOW_BAD_L4;
	assert_key(MACS
		"86dd" V6("0028", "3a") "8800 0000 00000000 fe000000000000000000000000000009"
					"02 01 000000000078 02 01 000000000077",
		PARSE_L4, 1 | 2);
	want.nd_options_type = be16_from(0);
	/* The end of an option is missing; there are more than anybody looks at. */
	want.nd_tll[5] = 0;
	assert_key(MACS
		"86dd" V6("0020", "3a") "8800 0000 00000000 fe000000000000000000000000000009"
					"0e 02 000000000077",
		PARSE_L4, 1 | 2);
	assert_key(MACS "86dd" V6("00a0",
			   "3a") "8800 0000 00000000 fe000000000000000000000000000009" ND_OPTIONS_16
				 "02 01 000000000077",
		PARSE_L4, 1 | 2);
	/* Behind an option of length 0 nothing counts; a cut target is none. */
	assert_key(MACS
		"86dd" V6("0028", "3a") "8800 0000 00000000 fe000000000000000000000000000009"
					"0e 00 000000000011 02 01 000000000077",
		PARSE_L4, 1 | 2);
	memset(want.nd_target, 0, 16);
	assert_key(MACS "86dd" V6("0017", "3a") "8800 0000 00000000 fe0000000000000000000000000000",
		PARSE_L4, 1 | 2);
}

static void
test_parse_mpls_and_pbb(void **state)
{
	(void)state;
	begin(0x8847);
	want.mpls_lse[0] = be32_from(0x00010040);
	want.mpls_lse[1] = be32_from(0x00020140);
	assert_key(MACS "8847 00010040 00020140 45000000", PARSE_L4, 1 | 8);
	want.mpls_lse[1] = be32_from(0);
	want.ip_frag = FLOW_BAD_L3;
	assert_key(MACS "8847 00010040 0002", PARSE_L4, 1 | 8);
	begin(0x88e7);
	want.pbb = be32_from(0x01000abc);
	assert_key(MACS "88e7 08000abc", PARSE_L3, 1 | 8);
}

/* Garbage, at every length: it stays inside the buffer, and only the frame's own bytes decide. */
static void
test_parse_garbage(void **state)
{
	struct flow_key key, again;

	(void)state;
	lab_seed("garbage");
	for (unsigned n = 0; n < 30000; n++) {
		struct lab_frame f;
		size_t len;
		bool ok;

		lab_frame(&f, (enum lab_kind)lab_below(LAB_KINDS), lab_below(3), lab_below(60));
		for (unsigned k = lab_below(6); k-- > 0;) {
			f.bytes[12 + lab_below((uint32_t)f.len - 12)] = (uint8_t)lab_random();
		}
		len = lab_below(4) ? f.len : lab_below((uint32_t)f.len + 1);
		ok = parse(f.bytes, len, (enum parse_depth)lab_below(3), &key);
		if (ok) {
			uint8_t blocks = p.key_blocks;

			assert_true(p.l3_off <= len && p.l4_off <= len && p.l4_payload_off <= len);
			assert_true(parse(f.bytes, len, (enum parse_depth)p.depth, &again));
			flow_key_clear_absent(&key, blocks);
			flow_key_clear_absent(&again, p.key_blocks);
			assert_memory_equal(&key, &again, sizeof key);
			/* Deeper parses only add. */
			assert_true(parse(f.bytes, len, PARSE_L4, &again));
			assert_int_equal(blocks & ~p.key_blocks, 0);
		}
	}
}

/* What a mask looks at is in the key at the depth that it asks for. */
static void
test_parse_depth_suffices(void **state)
{
	(void)state;
	lab_seed("depth");
	for (unsigned n = 0; n < 3000; n++) {
		const struct field *f = field_get((enum field_id)lab_below(FIELD_N));
		struct flow_mask mask = {0};
		struct flow_key shallow, full;
		struct lab_frame frame;
		uint8_t blocks;

		if (f->flags & FIELD_PIPELINE) {
			continue;
		}
		field_mask_exact(f, &mask);
		lab_frame(&frame, (enum lab_kind)lab_below(LAB_KINDS), lab_below(3), 20);
		assert_true(parse(frame.bytes, frame.len, parse_depth_of(&mask), &shallow));
		blocks = p.key_blocks;
		assert_true(parse(frame.bytes, frame.len, PARSE_L4, &full));
		flow_key_clear_absent(&shallow, blocks);
		assert_true(flow_key_matches(&full, p.key_blocks,
			(flow_key_mask(&shallow, &shallow, blocks, &mask), &shallow), &mask));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_ipv4),
		cmocka_unit_test(test_parse_ipv4_fragments),
		cmocka_unit_test(test_parse_bad_ipv4),
		cmocka_unit_test(test_parse_vlan),
		cmocka_unit_test(test_parse_802_2),
		cmocka_unit_test(test_parse_arp),
		cmocka_unit_test(test_parse_ipv6),
		cmocka_unit_test(test_parse_nd),
		cmocka_unit_test(test_parse_mpls_and_pbb),
		cmocka_unit_test(test_parse_garbage),
		cmocka_unit_test(test_parse_depth_suffices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole headers pushed and popped, and TTLs moved between them, in exact bytes.
 */
#include "tests/unit/datapath/lab.h"

#include <string.h>

#include "datapath/edit.h"
#include "datapath/key_hash.h"
#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "lib/packet_parse.h"

#define ADDRS "020000000001 020000000002 "
/* TTL 0x40, checksum right; ICMP. */
#define IP4 "4500001c000040004001 26ce 0a0000010a000002 0800f7ff00000000"
#define IP4_TTL(TTL, CSUM) "4500001c00004000" TTL "01 " CSUM " 0a0000010a000002 0800f7ff00000000"
#define IP6(TTL)                                                                                   \
	"6000000000083a" TTL                                                                       \
	" 20010db8000000000000000000000001 20010db8000000000000000000000002 8000000000000000"

/* A packet of these bytes, parsed. */
static struct packet *
packet(const char *hex)
{
	uint8_t frame[256];
	struct flow_key key;
	struct packet *p = lab_packet(frame, lab_hex(frame, sizeof frame, hex), 1, 0);

	assert_true(packet_parse(p, &key, PARSE_L4));
	return p;
}

/* The packet has these bytes, and its offsets are those that a parse finds. */
static void
assert_packet(struct packet *p, const char *hex)
{
	uint8_t want[256], bytes[256];
	struct packet seen = *p;
	struct flow_key key;
	size_t len = lab_hex(want, sizeof want, hex);

	assert_int_equal(lab_bytes(p, bytes, sizeof bytes), len);
	assert_memory_equal(bytes, want, len);
	assert_true(packet_parse(p, &key, PARSE_L4));
	assert_int_equal(seen.l3_off, p->l3_off);
	assert_int_equal(seen.l4_off, p->l4_off);
	assert_int_equal(seen.l4_payload_off, p->l4_payload_off);
	assert_int_equal(seen.n_tags, p->n_tags);
}

static void
test_header_mpls(void **state)
{
	struct packet *p = packet(ADDRS "0800" IP4);

	(void)state;
	assert_int_equal(packet_pop_mpls(p, 0x0800), DROP_NO_MPLS);
	/* The only label has the bottom-of-stack bit, whatever is asked for; the others have not. */
	assert_int_equal(packet_push_mpls(p, be16_from(0x8847), be32_from(0x00010a40)), EDIT_OK);
	assert_packet(p, ADDRS "8847 00010b40" IP4);
	assert_int_equal(packet_push_mpls(p, be16_from(0x8848), be32_from(0x00020f3f)), EDIT_OK);
	assert_packet(p, ADDRS "8848 00020e3f 00010b40" IP4);
	assert_int_equal(packet_push_vlan(p, be16_from(0x8100), be16_from(0x2005)), EDIT_OK);
	assert_packet(p, ADDRS "8100 2005 8848 00020e3f 00010b40" IP4);
	/* Behind a tag too. */
	assert_int_equal(packet_pop_mpls(p, 0x8847), EDIT_OK);
	assert_packet(p, ADDRS "8100 2005 8847 00010b40" IP4);
	assert_int_equal(packet_pop_mpls(p, 0x0800), EDIT_OK);
	assert_packet(p, ADDRS "8100 2005 0800" IP4);
	assert_int_equal(p->l4_off, 38);
	lab_free(p);
}

/* A label goes in front of the tags, and stands in the place of the outer TPID. */
static void
test_header_mpls_before_tags(void **state)
{
	struct packet *p = packet(ADDRS "88a8 0007 8100 2005 0800" IP4);

	(void)state;
	assert_int_equal(packet_push_mpls(p, be16_from(0x8847), be32_from(0x00010040)), EDIT_OK);
	assert_packet(p, ADDRS "8847 00010140 0007 8100 2005 0800" IP4);
	assert_int_equal(packet_pop_vlan(p), DROP_NO_VLAN);
	assert_int_equal(packet_pop_mpls(p, 0x88a8), EDIT_OK);
	assert_packet(p, ADDRS "88a8 0007 8100 2005 0800" IP4);
	assert_int_equal(p->n_tags, 2);
	lab_free(p);
}

static void
test_header_pbb(void **state)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 9}, isid[4] = {0, 0xab, 0xcd, 0xef},
			     isid_mask[4] = {0, 0xff, 0xff, 0xff}, one[4] = {0, 0, 0, 1},
			     ones[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct packet *p = packet(ADDRS "8100 a005 0800" IP4);

	(void)state;
	assert_int_equal(packet_pop_pbb(p), DROP_NO_PBB);
	/* The tag's priority, its DEI not; I-SID 0. */
	assert_int_equal(packet_push_pbb(p, 0x88e7), EDIT_OK);
	assert_packet(p, ADDRS "88e7 a0000000" ADDRS "8100 a005 0800" IP4);
	assert_int_equal(packet_set_field(p, FIELD_PBB_ISID, isid, isid_mask), EDIT_OK);
	assert_int_equal(packet_set_field(p, FIELD_PBB_UCA, one, one), EDIT_OK);
	assert_int_equal(packet_set_field(p, FIELD_ETH_DST, mac, ones), EDIT_OK);
	assert_packet(p, "020000000009 020000000002 88e7 a8abcdef" ADDRS "8100 a005 0800" IP4);
	/* A second one has the first one's I-SID and priority. */
	assert_int_equal(packet_push_pbb(p, 0x88e7), EDIT_OK);
	assert_packet(p,
		"020000000009 020000000002 88e7 a0abcdef 020000000009 020000000002 88e7 a8abcdef" ADDRS
		"8100 a005 0800" IP4);
	assert_int_equal(packet_pop_pbb(p), EDIT_OK);
	assert_packet(p, "020000000009 020000000002 88e7 a8abcdef" ADDRS "8100 a005 0800" IP4);
	/* A B-TAG stays when the I-TAG goes. */
	assert_int_equal(packet_push_vlan(p, be16_from(0x88a8), be16_from(0x0123)), EDIT_OK);
	assert_packet(
		p, "020000000009 020000000002 88a8 0123 88e7 a8abcdef" ADDRS "8100 a005 0800" IP4);
	assert_int_equal(packet_pop_pbb(p), EDIT_OK);
	assert_packet(p, ADDRS "88a8 0123 8100 a005 0800" IP4);
	assert_int_equal(p->n_tags, 2);
	assert_int_equal(p->l3_off, 22);
	lab_free(p);

	/* Cut off behind the I-TAG. */
	p = packet(ADDRS "88e7 00000001 0200");
	assert_int_equal(packet_pop_pbb(p), DROP_NO_PBB);
	assert_packet(p, ADDRS "88e7 00000001 0200");
	lab_free(p);
}

static void
test_header_copy_ttl(void **state)
{
	static const struct {
		const char *before;
		bool out;
		int result;
		const char *after;
	} cases[] = {
		{ADDRS "8847 00010111" IP4, true, EDIT_OK, ADDRS "8847 00010140" IP4},
		{ADDRS "8847 00010111" IP4, false, EDIT_OK,
			ADDRS "8847 00010111" IP4_TTL("11", "55ce")},
		{ADDRS "8847 00010111" IP6("40"), true, EDIT_OK, ADDRS "8847 00010140" IP6("40")},
		{ADDRS "8847 00010111" IP6("40"), false, EDIT_OK, ADDRS "8847 00010111" IP6("11")},
		{ADDRS "8847 00010011 00020122" IP4, true, EDIT_OK,
			ADDRS "8847 00010022 00020122" IP4},
		{ADDRS "8847 00010011 00020122" IP4, false, EDIT_OK,
			ADDRS "8847 00010011 00020111" IP4},
		{ADDRS "8100 0005 8847 00010111" IP4, true, EDIT_OK,
			ADDRS "8100 0005 8847 00010140" IP4},
		{ADDRS "0800" IP4, true, DROP_NO_MPLS, ADDRS "0800" IP4},
		{ADDRS "8847 00010111 12345678", true, DROP_NO_L3, ADDRS "8847 00010111 12345678"},
		{ADDRS "8847 00010011 0002", false, DROP_NO_MPLS, ADDRS "8847 00010011 0002"},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(cases); i++) {
		struct packet *p = packet(cases[i].before);

		assert_int_equal(packet_copy_ttl(p, cases[i].out), cases[i].result);
		assert_packet(p, cases[i].after);
		lab_free(p);
	}
}

static void
test_header_dec_mpls_ttl(void **state)
{
	struct packet *p = packet(ADDRS "8847 00010003 00010140" IP4);

	(void)state;
	assert_int_equal(packet_dec_mpls_ttl(p), EDIT_OK);
	assert_int_equal(packet_dec_mpls_ttl(p), EDIT_OK);
	assert_int_equal(packet_dec_mpls_ttl(p), EDIT_EXPIRED);
	assert_packet(p, ADDRS "8847 00010001 00010140" IP4);
	assert_int_equal(packet_pop_mpls(p, 0x8847), EDIT_OK);
	assert_int_equal(packet_pop_mpls(p, 0x0800), EDIT_OK);
	assert_int_equal(packet_dec_mpls_ttl(p), DROP_NO_MPLS);
	lab_free(p);
}

static void
test_header_no_headroom(void **state)
{
	struct packet *p = packet(ADDRS "0800" IP4);

	(void)state;
	while (p->headroom >= 18) {
		assert_int_equal(packet_push_pbb(p, 0x88e7), EDIT_OK);
	}
	assert_int_equal(packet_push_pbb(p, 0x88e7), DROP_NO_HEADROOM);
	while (p->headroom >= 4) {
		assert_int_equal(packet_push_mpls(p, be16_from(0x8847), 0), EDIT_OK);
	}
	assert_int_equal(packet_push_mpls(p, be16_from(0x8847), 0), DROP_NO_HEADROOM);
	lab_free(p);
}

/* A checksum left to the receiver follows the move of its place. */
static void
test_header_partial_checksum_moves(void **state)
{
	struct lab_frame f;
	struct flow_key key;
	struct packet *p;
	uint8_t bytes[2200];

	(void)state;
	lab_frame(&f, LAB_UDP4, 0, 30);
	p = lab_packet(f.bytes, f.len, 1, 0);
	p->flags |= PACKET_CSUM_PARTIAL;
	p->csum_start = (uint16_t)f.l4;
	p->csum_offset = 6;
	assert_true(packet_parse(p, &key, PARSE_L4));
	assert_int_equal(packet_push_mpls(p, be16_from(0x8847), 0), EDIT_OK);
	assert_int_equal(p->csum_start, f.l4 + 4);
	assert_int_equal(packet_push_pbb(p, 0x88e7), EDIT_OK);
	assert_int_equal(p->csum_start, f.l4 + 22);
	assert_int_equal(packet_pop_pbb(p), EDIT_OK);
	assert_int_equal(packet_pop_mpls(p, 0x0800), EDIT_OK);
	assert_int_equal(p->csum_start, f.l4);
	assert_int_equal(lab_bytes(p, bytes, sizeof bytes), f.len);
	assert_memory_equal(bytes, f.bytes, f.len);
	lab_free(p);
}

/* The same conversation, the same hash; another one, another; fragments stay together. */
static void
test_header_tuple_hash(void **state)
{
	struct lab_frame f;
	struct flow_key key;
	uint32_t first, other;

	(void)state;
	for (unsigned kind = LAB_TCP4; kind < LAB_KINDS; kind++) {
		struct packet *p;

		lab_frame(&f, (enum lab_kind)kind, 0, 40);
		p = lab_packet(f.bytes, f.len, 1, 0);
		assert_true(packet_parse(p, &key, PARSE_L4));
		first = key_hash_tuple(&key, p->key_blocks, 7);
		key.in_port = be32_from(99);
		key.ip_ttl--;
		key.tcp_flags ^= be16_from(1);
		assert_int_equal(key_hash_tuple(&key, p->key_blocks, 7), first);
		assert_int_not_equal(key_hash_tuple(&key, p->key_blocks, 8), first);
		key.l4_dst ^= be16_from(1);
		other = key_hash_tuple(&key, p->key_blocks, 7);
		if (kind == LAB_ARP) {
			assert_int_equal(other, first);
			key.eth_src[5]++;
			other = key_hash_tuple(&key, p->key_blocks, 7);
		} else {
			uint32_t fragment;

			key.ip_frag = FLOW_FRAG_ANY;
			fragment = key_hash_tuple(&key, p->key_blocks, 7);
			key.ip_frag |= FLOW_FRAG_LATER;
			key.l4_src = key.l4_dst = 0;
			assert_int_equal(key_hash_tuple(&key, p->key_blocks, 7), fragment);
		}
		assert_int_not_equal(other, first);
		if (kind == LAB_TCP6 || kind == LAB_UDP6) {
			key.ip_frag = 0;
			first = key_hash_tuple(&key, p->key_blocks, 7);
			key.ipv6_dst[15]++;
			assert_int_not_equal(key_hash_tuple(&key, p->key_blocks, 7), first);
		}
		lab_free(p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_mpls),
		cmocka_unit_test(test_header_mpls_before_tags),
		cmocka_unit_test(test_header_pbb),
		cmocka_unit_test(test_header_copy_ttl),
		cmocka_unit_test(test_header_dec_mpls_ttl),
		cmocka_unit_test(test_header_no_headroom),
		cmocka_unit_test(test_header_partial_checksum_moves),
		cmocka_unit_test(test_header_tuple_hash),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Slow-path parser: packets in hexadecimal, the fields that are not zero in text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/flow_key.h"
#include "lib/packet_key.h"
#include "lib/strbuf.h"

#define MACS                                                                                       \
	"000000000002"                                                                             \
	"000000000001"
#define IP4(PROTO)                                                                                 \
	MACS "0800"                                                                                \
	     "4512002800014000"                                                                    \
	     "40" PROTO "00000102030405060708"
#define IP6(NEXT, LEN)                                                                             \
	MACS "86dd"                                                                                \
	     "61200005" LEN NEXT "ff"                                                              \
	     "fe800000000000000000000000000001"                                                    \
	     "ff0200000000000000000001ff000001"
#define L2 "dl_src=00:00:00:00:00:01,dl_dst=00:00:00:00:00:02"
#define V4 "nw_src=1.2.3.4,nw_dst=5.6.7.8"
#define V6 "ipv6_src=fe80::1,ipv6_dst=ff02::1:ff00:1,ipv6_label=0x00005"
#define TOS "nw_tos=16,nw_ecn=2"

static const struct {
	const char *bytes;
	const char *fields;
} rows[] = {
	{MACS "0800", "ip," L2 ",bad_l3=1"},
	{"0000", ""},
	{IP4("06") "0050005100000000000000005012ffff00000000",
		"tcp," L2 "," V4 "," TOS ",nw_ttl=64,tp_src=80,tp_dst=81,tcp_flags=syn|ack"},
	/* The L4 header is cut off. */
	{MACS "0800"
	      "4512001800014000"
	      "40"
	      "06"
	      "00000102030405060708"
	      "00500051",
		"tcp," L2 "," V4 "," TOS ",nw_ttl=64,bad_l4=1"},
	/* A later fragment has no ports, a first one has. */
	{MACS "0800"
	      "4512002800010005"
	      "40"
	      "11"
	      "00000102030405060708"
	      "0050005100000000000000005012ffff00000000",
		"udp," L2 "," V4 "," TOS ",nw_ttl=64,nw_frag=later"},
	{MACS "0800"
	      "4512002800012000"
	      "40"
	      "11"
	      "00000102030405060708"
	      "0050005100000000000000005012ffff00000000",
		"udp," L2 "," V4 "," TOS ",nw_ttl=64,nw_frag=first,tp_src=80,tp_dst=81"},
	{MACS "88a8"
	      "6014"
	      "8100"
	      "000a"
	      "0806"
	      "0001080006040001"
	      "000000000001"
	      "01020304"
	      "000000000000"
	      "0a0b0c0d",
		"arp,dl_vlan=20,dl_vlan_pcp=3,vlan_tpid=0x88a8,inner_tci=0x100a,inner_tpid=0x8100," L2
		",arp_spa=1.2.3.4,arp_tpa=10.11.12.13,arp_op=1,arp_sha=00:00:00:00:00:01"},
	{IP6("3a", "0020") "870000000000000"
			   "0fe800000000000000000000000000002"
			   "0101000000000005",
		"icmp6," L2 "," V6 "," TOS ",nw_ttl=255,icmp_type=135,nd_target=fe80::2,"
		"nd_sll=00:00:00:00:00:05,nd_options_type=1"},
	{IP6("3a", "0020") "8800000060000001fe800000000000000000000000000002"
			   "0201000000000005",
		"icmp6," L2 "," V6 "," TOS ",nw_ttl=255,icmp_type=136,nd_target=fe80::2,"
		"nd_tll=00:00:00:00:00:05,nd_reserved=1610612737,nd_options_type=2"},
	/* Hop-by-hop, then fragment: headers noted, in order. */
	{IP6("00", "0018") "2c00000000000000"
			   "1100000100000001"
			   "0050005100080000",
		"udp6," L2 "," V6 ",ipv6_exthdr=0x50," TOS
		",nw_ttl=255,nw_frag=first,tp_src=80,tp_dst=81"},
	{MACS "0800"
	      "4500001c00000000"
	      "40"
	      "01"
	      "00000102030405060708"
	      "0000ffff00000000",
		"icmp," L2 "," V4 ",nw_ttl=64,icmp_type=0"},
	{MACS "8847"
	      "000050ff"
	      "000061ff"
	      "45",
		"mpls," L2 ",mpls_label=5,mpls_ttl=255,mpls_lse1=0x61ff"},
	{MACS "0026"
	      "aaaa03000000"
	      "0800"
	      "45",
		"ip," L2 ",bad_l3=1"},
	{MACS "0026"
	      "424203",
		L2},
};

static void
test_packet_key_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct strbuf out = STRBUF_INIT;
		struct flow_key key;
		uint8_t bytes[256];
		size_t len = 0;
		unsigned v;

		for (const char *p = rows[i].bytes; *p; p += 2) {
			assert_int_equal(sscanf(p, "%2x", &v), 1);
			bytes[len++] = (uint8_t)v;
		}
		packet_key_parse(bytes, len, &key);
		packet_key_format(&key, &out);
		if (strcmp(strbuf_text(&out), rows[i].fields)) {
			fail_msg("%s: %s", rows[i].bytes, strbuf_text(&out));
		}
		strbuf_uninit(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_packet_key_fields)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Parts of which the frames of encap_rows.h and decap_rows.h are made, in hexadecimal. All bytes of these three files
 * were made with scapy, not with Weft.
 */
#pragma once

/* The underlay: destination and source. */
#define OUTER_MACS "020000000002020000000001"
#define OUTER_IPV6 "20010db800000000000000000000000120010db8000000000000000000000002"

/* The overlay. */
#define INNER_MACS "02000000000b02000000000a"
#define UDP_PACKET_TOS(TOS, CSUM)                                                                  \
	"45" TOS "0029000100002111" CSUM                                                           \
	"0a0000010a00000203e807d0001581807765667420616e642077617270"
#define UDP_FRAME_TOS(TOS, CSUM) INNER_MACS "0800" UDP_PACKET_TOS(TOS, CSUM)
#define UDP_PACKET UDP_PACKET_TOS("00", "85c1")
#define UDP_FRAME UDP_FRAME_TOS("00", "85c1")
#define ODD_FRAME INNER_MACS "08004500001f00010000401166cb0a0000010a00000200010002000b186e6f6464"
#define ARP_FRAME                                                                                  \
	"ffffffffffff02000000000a0806000108000604000102000000000a0a0000010000000000000a000002"
#define TCP6_PACKET_TC(TC)                                                                         \
	"6" TC "000000018062cfd000000000000000000000000000001fd000000000000000000000000000002"     \
	"03e807d0000000000000000050022000ac48000077656674"
#define TCP6_FRAME_TC(TC) INNER_MACS "86dd" TCP6_PACKET_TC(TC)
#define TCP6_PACKET TCP6_PACKET_TC("00")
#define TCP6_FRAME TCP6_FRAME_TC("00")

/* Fields of what came from the outer source to the outer destination. */
#define FIELDS4 "tun_ipv6_src=::ffff:192.0.2.1,tun_ipv6_dst=::ffff:192.0.2.2,"
#define FIELDS6 "tun_ipv6_src=2001:db8::1,tun_ipv6_dst=2001:db8::2,"

/* SPDX-License-Identifier: Apache-2.0
 *
 * Allowed sources: what is let in, what is not, and how much of a packet that looks at.
 *
 * Port 1: A with 10.0.0.1, 10.1.0.0/16 and fd00::1; B with any address; C with fd00:0:0:1::/64.
 * Port 2: everything.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/byteorder.h"
#include "tests/unit/ofproto/world.h"

#define A "02:00:00:00:00:01"
#define B "02:00:00:00:00:b0"
#define C "02:11:22:33:44:55"
#define OTHER "02:00:00:00:00:02"

static const struct {
	size_t n;
	struct of_allow_entry entries[5];
} allowed = {
	.n = 5,
	.entries =
		{
			{{2, 0, 0, 0, 0, 1}, OF_ALLOW_IPV4, 32, {10, 0, 0, 1}},
			{{2, 0, 0, 0, 0, 1}, OF_ALLOW_IPV4, 16, {10, 1}},
			{{2, 0, 0, 0, 0, 1}, OF_ALLOW_IPV6, 128, {0xfd, [15] = 1}},
			{{2, 0, 0, 0, 0, 0xb0}, OF_ALLOW_ANY, 0, {0}},
			{{2, 0x11, 0x22, 0x33, 0x44, 0x55}, OF_ALLOW_IPV6, 64, {0xfd, [7] = 1}},
		},
};

static int
begin(void **state)
{
	struct world *w = malloc(sizeof(*w));
	struct of_port_info info = {
		.number = OF_PORT(1),
		.name = "p1",
		.dp_port = {11},
		.allow = (const struct of_allow *)(const void *)&allowed,
	};

	world_init(w);
	assert_true(ofproto_port_set(w->p, &info, NULL));
	world_flow(w, "actions=output:3");
	*state = w;
	return 0;
}

static int
end(void **state)
{
	world_uninit(*state);
	free(*state);
	return 0;
}

/* @mask NULL: not looked at. */
static void
expect(struct world *w, const char *packet, bool is_allowed, const char *mask)
{
	char text[256];
	const char *wanted = is_allowed ? "output(13)" : "drop(source-not-allowed)";

	snprintf(text, sizeof(text), "in_port=1,%s", packet);
	if (strcmp(world_translate(w, text), wanted)) {
		fail_msg("%s: %s", packet, w->text);
	}
	if (mask && strcmp(world_mask(w), mask)) {
		fail_msg("%s: mask %s, not %s", packet, w->text, mask);
	}
	/* The port without a list takes it. */
	text[8] = '2';
	assert_string_equal(world_translate(w, text), "output(13)");
}

struct row {
	const char *packet;
	bool is_allowed;
	const char *mask;
};

static void
expect_all(struct world *w, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		expect(w, rows[i].packet, rows[i].is_allowed, rows[i].mask);
	}
}

#define EXPECT_ALL(W, ROWS) expect_all(W, ROWS, sizeof(ROWS) / sizeof((ROWS)[0]))

static void
test_allow_source_mac(void **state)
{
	static const struct row rows[] = {
		{"dl_src=" A ",dl_type=0x88b5", true, "eth_src,eth_type"},
		{"dl_src=" B ",dl_type=0x88b5", true, "eth_src,eth_type"},
		{"dl_src=" C ",dl_type=0x88b5,dl_vlan=7", true, "eth_src,eth_type"},
		/* As many bits as tell it from all that are listed, in half bytes. */
		{"dl_src=" OTHER ",dl_type=0x88b5", false, "eth_src"},
		{"dl_src=02:00:00:00:00:a1", false, "eth_src/fffffffffff0"},
		{"dl_src=02:00:00:00:11:01", false, "eth_src/fffffffff000"},
		{"dl_src=02:11:22:33:54:55", false, "eth_src/fffffffff000"},
		{"dl_src=03:00:00:00:00:01", false, "eth_src/ff0000000000"},
		{"dl_src=f2:00:00:00:00:01", false, "eth_src/f00000000000"},
		{"dl_src=00:00:00:00:00:00", false, "eth_src/ff0000000000"},
	};
	struct world *w = *state;
	struct of_settings s;

	EXPECT_ALL(w, rows);
	/* Whoever decides what is done with it. */
	ofproto_get_settings(w->p, &s);
	s.standalone_now = true;
	ofproto_set_settings(w->p, &s);
	assert_string_equal(
		world_translate(w, "in_port=1,dl_src=" OTHER), "drop(source-not-allowed)");
	assert_int_equal(w->t.n_learned, 0);
}

static void
test_allow_ipv4_source(void **state)
{
	static const struct row rows[] = {
		{"dl_src=" A ",ip,nw_src=10.0.0.1", true, "eth_src,eth_type,ip_src,bad_l3"},
		{"dl_src=" A ",ip,nw_src=10.1.2.3,dl_vlan=5", true,
			"eth_src,eth_type,ip_src/ffff0000,bad_l3"},
		{"dl_src=" A ",ip,nw_src=10.0.0.2", false, "eth_src,eth_type,ip_src,bad_l3"},
		{"dl_src=" A ",ip,nw_src=10.2.2.3", false,
			"eth_src,eth_type,ip_src/ffff0000,bad_l3"},
		{"dl_src=" A ",ip,nw_src=192.168.0.1", false,
			"eth_src,eth_type,ip_src/f0000000,bad_l3"},
		/* Another's address, another's MAC. */
		{"dl_src=" C ",ip,nw_src=10.0.0.1", false,
			"eth_src,eth_type,ip_src/ff000000,bad_l3"},
		{"dl_src=" B ",ip,nw_src=192.168.0.1", true, "eth_src,eth_type,bad_l3"},
		{"dl_src=" OTHER ",ip,nw_src=10.0.0.1", false, "eth_src"},
		/* DHCP before there is an address. */
		{"dl_src=" A ",udp,nw_src=0.0.0.0,nw_dst=255.255.255.255,tp_src=68,tp_dst=67", true,
			"eth_src,eth_type,ip_src,ip_dst,nw_proto,bad_l3,tcp_src,tcp_dst"},
		{"dl_src=" C ",udp,nw_src=0.0.0.0,nw_dst=255.255.255.255,tp_src=68,tp_dst=67", true,
			NULL},
		{"dl_src=" A ",udp,nw_src=0.0.0.0,nw_dst=255.255.255.255,tp_src=68,tp_dst=68",
			false, NULL},
		{"dl_src=" A ",udp,nw_src=0.0.0.0,nw_dst=255.255.255.255,tp_src=67,tp_dst=67",
			false, NULL},
		{"dl_src=" A ",tcp,nw_src=0.0.0.0,nw_dst=255.255.255.255,tp_src=68,tp_dst=67",
			false, NULL},
		{"dl_src=" A ",udp,nw_src=0.0.0.0,nw_dst=10.0.0.9,tp_src=68,tp_dst=67", false,
			NULL},
		{"dl_src=" OTHER ",udp,nw_src=0.0.0.0,nw_dst=255.255.255.255,tp_src=68,tp_dst=67",
			false, NULL},
	};

	EXPECT_ALL(*state, rows);
}

static void
test_allow_arp_sender(void **state)
{
	static const struct row rows[] = {
		{"dl_src=" A ",arp,arp_sha=" A ",arp_spa=10.0.0.1,arp_tpa=10.0.0.9", true,
			"eth_src,eth_type,ip_src,bad_l3,nd_sll"},
		{"dl_src=" A ",arp,arp_op=2,arp_sha=" A ",arp_spa=10.1.0.9", true, NULL},
		{"dl_src=" A ",arp,arp_sha=" A ",arp_spa=10.0.0.2", false,
			"eth_src,eth_type,ip_src,bad_l3,nd_sll"},
		{"dl_src=" A ",arp,arp_sha=" OTHER ",arp_spa=10.0.0.1", false,
			"eth_src,eth_type,bad_l3,nd_sll"},
		{"dl_src=" A ",arp,arp_sha=" C ",arp_spa=10.0.0.1", false, NULL},
		/* One that it may use too (a router's virtual address). */
		{"dl_src=" A ",arp,arp_sha=" B ",arp_spa=10.9.9.9", true,
			"eth_src,eth_type,bad_l3,nd_sll"},
		{"dl_src=" OTHER ",arp,arp_sha=" A ",arp_spa=10.0.0.1", false, "eth_src"},
		/* A probe claims its target. */
		{"dl_src=" A ",arp,arp_sha=" A ",arp_spa=0.0.0.0,arp_tpa=10.0.0.1", true,
			"eth_src,eth_type,ip_src,ip_dst,bad_l3,nd_sll"},
		{"dl_src=" A ",arp,arp_sha=" A ",arp_spa=0.0.0.0,arp_tpa=10.0.0.2", false, NULL},
		{"dl_src=" C ",arp,arp_sha=" C ",arp_spa=0.0.0.0,arp_tpa=10.0.0.2", false, NULL},
		/* RARP: of a guest that has moved. */
		{"dl_src=" A ",dl_type=0x8035,arp_op=3,arp_sha=" A, true, NULL},
		{"dl_src=" A ",dl_type=0x8035,arp_op=3,arp_sha=" A ",arp_spa=10.0.0.2", false,
			NULL},
		{"dl_src=" A ",dl_type=0x8035,arp_op=3,arp_sha=" OTHER, false, NULL},
	};

	EXPECT_ALL(*state, rows);
}

#define OWN_A "fe80::ff:fe00:1"         /* made of A */
#define OWN_C "fe80::11:22ff:fe33:4455" /* made of C */

static void
test_allow_ipv6_source(void **state)
{
	static const struct row rows[] = {
		{"dl_src=" A ",tcp6,ipv6_src=fd00::1", true,
			"eth_src,eth_type,nw_proto,bad_l3,ipv6_src"},
		{"dl_src=" C ",tcp6,ipv6_src=fd00:0:0:1:5::", true,
			"eth_src,eth_type,nw_proto,bad_l3,ipv6_src/ffffffffffffffff0000000000000000"},
		{"dl_src=" A ",tcp6,ipv6_src=fd00::2", false, "eth_src,eth_type,bad_l3,ipv6_src"},
		{"dl_src=" A ",tcp6,ipv6_src=2001::1", false,
			"eth_src,eth_type,bad_l3,ipv6_src/ff000000000000000000000000000000"},
		{"dl_src=" A ",tcp6,ipv6_src=fd00:0:0:1::1", false, NULL},
		{"dl_src=" B ",tcp6,ipv6_src=2001::1", true, "eth_src,eth_type,nw_proto,bad_l3"},
		/* The link-local address that is made of the MAC, no other. */
		{"dl_src=" A ",tcp6,ipv6_src=" OWN_A, true,
			"eth_src,eth_type,nw_proto,bad_l3,ipv6_src"},
		{"dl_src=" C ",udp6,ipv6_src=" OWN_C, true, NULL},
		{"dl_src=" A ",tcp6,ipv6_src=" OWN_C, false, NULL},
		{"dl_src=" A ",tcp6,ipv6_src=fe80::1", false, NULL},
		/* From :: only what is sent before there is an address. */
		{"dl_src=" A ",tcp6,ipv6_src=::", false, NULL},
		{"dl_src=" A ",icmp6,ipv6_src=::,icmp_type=143", true, NULL},
		{"dl_src=" A ",icmp6,ipv6_src=::,icmp_type=131", true, NULL},
		{"dl_src=" A ",icmp6,ipv6_src=::,icmp_type=132", true, NULL},
		{"dl_src=" A ",icmp6,ipv6_src=::,icmp_type=133", true, NULL},
		{"dl_src=" A ",icmp6,ipv6_src=::,icmp_type=130", false, NULL},
		{"dl_src=" A ",icmp6,ipv6_src=::,icmp_type=134", false, NULL},
		{"dl_src=" A ",icmp6,ipv6_src=::,icmp_type=128", false, NULL},
		{"dl_src=" A ",icmp6,ipv6_src=fd00::1,icmp_type=128", true,
			"eth_src,eth_type,nw_proto,bad_l3,bad_l4,tcp_src/00ff,ipv6_src"},
		{"dl_src=" A ",icmp6,ipv6_src=fd00::2,icmp_type=128", false, NULL},
	};

	EXPECT_ALL(*state, rows);
}

#define NS "icmp6,icmp_type=135,icmp_code=0,"
#define NA "icmp6,icmp_type=136,icmp_code=0,"

static void
test_allow_neighbour_discovery(void **state)
{
	static const struct row rows[] = {
		/* Who asks says who he is; about whom is his own affair. */
		{"dl_src=" A "," NS "ipv6_src=fd00::1,nd_target=fd00::9,nd_sll=" A, true,
			"eth_src,eth_type,nw_proto,ip_frag,bad_l3,bad_l4,tcp_src/00ff,tcp_dst/00ff,"
			"ipv6_src,nd_sll"},
		{"dl_src=" A "," NS "ipv6_src=fd00::1,nd_target=fd00::9", true, NULL},
		{"dl_src=" A "," NS "ipv6_src=fd00::1,nd_target=fd00::9,nd_sll=" OTHER, false,
			NULL},
		{"dl_src=" A "," NS "ipv6_src=fd00::2,nd_target=fd00::9,nd_sll=" A, false, NULL},
		/* Before there is an address the target is claimed. */
		{"dl_src=" A "," NS "ipv6_src=::,nd_target=fd00::1", true,
			"eth_src,eth_type,nw_proto,ip_frag,bad_l3,bad_l4,tcp_src/00ff,tcp_dst/00ff,"
			"ipv6_src,nd_target,nd_sll"},
		{"dl_src=" A "," NS "ipv6_src=::,nd_target=" OWN_A, true, NULL},
		{"dl_src=" A "," NS "ipv6_src=::,nd_target=fd00::2", false, NULL},
		{"dl_src=" A "," NS "ipv6_src=::,nd_target=" OWN_C, false, NULL},
		{"dl_src=" B "," NS "ipv6_src=::,nd_target=fd00::2", true, NULL},
		/* Who answers claims. */
		{"dl_src=" A "," NA "ipv6_src=fd00::1,nd_target=fd00::1,nd_tll=" A, true, NULL},
		{"dl_src=" A "," NA "ipv6_src=" OWN_A ",nd_target=fd00::1", true, NULL},
		{"dl_src=" A "," NA "ipv6_src=fd00::1,nd_target=" OWN_A ",nd_tll=" A, true, NULL},
		{"dl_src=" A "," NA "ipv6_src=fd00::1,nd_target=fd00::9,nd_tll=" A, false, NULL},
		{"dl_src=" A "," NA "ipv6_src=fd00::1,nd_target=fd00::9", false, NULL},
		{"dl_src=" A "," NA "ipv6_src=fd00::1,nd_target=fd00::1,nd_tll=" OTHER, false,
			NULL},
		{"dl_src=" A "," NA "ipv6_src=fd00::1,nd_target=fd00::1,nd_tll=" C, false, NULL},
		{"dl_src=" A "," NA "ipv6_src=fd00::1,nd_target=fd00:0:0:1::1,nd_tll=" C, true,
			NULL},
		{"dl_src=" A "," NA "ipv6_src=::,nd_target=fd00::1,nd_tll=" A, false, NULL},
		{"dl_src=" B "," NA "ipv6_src=fd00::7,nd_target=fd00::7,nd_tll=" OTHER, false,
			NULL},
		{"dl_src=" B "," NA "ipv6_src=fd00::7,nd_target=fd00::7,nd_tll=" B, true, NULL},
		{"dl_src=" B "," NA "ipv6_src=fd00::7,nd_target=fe80::ff:fe00:2,nd_tll=" OTHER,
			false, NULL},
	};

	EXPECT_ALL(*state, rows);
}

static void
test_allow_nothing_unreadable(void **state)
{
	static const struct {
		const char *packet;
		uint8_t frag;
		bool is_allowed;
	} rows[] = {
		{"in_port=1,dl_src=" B ",ip", FLOW_BAD_L3, false},
		{"in_port=1,dl_src=" B ",ipv6", FLOW_BAD_L3, false},
		{"in_port=1,dl_src=" B ",arp,arp_sha=" B, FLOW_BAD_L3, false},
		{"in_port=1,dl_src=" B ",dl_type=0x8847", FLOW_BAD_L3, true},
		{"in_port=1,dl_src=" B "," NA "nd_target=fd00::1", FLOW_BAD_L4, false},
		{"in_port=1,dl_src=" B "," NA "nd_target=fd00::1", FLOW_FRAG_ANY, false},
		{"in_port=1,dl_src=" B "," NS "nd_target=fd00::1", FLOW_FRAG_ANY, false},
		{"in_port=1,dl_src=" B ",icmp6,icmp_type=128", FLOW_FRAG_ANY, true},
		{"in_port=1,dl_src=" B ",icmp6", FLOW_FRAG_ANY | FLOW_FRAG_LATER, true},
		{"in_port=1,dl_src=" B ",icmp6,icmp_type=128", FLOW_BAD_L4, false},
		{"in_port=1,dl_src=" B ",tcp6", FLOW_BAD_L4, true},
		{"in_port=1,dl_src=" B ",tcp", FLOW_BAD_L4, true},
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct flow_key key;

		world_key(rows[i].packet, &key);
		key.ip_frag = rows[i].frag;
		if (strcmp(world_translate_key(w, &key),
			    rows[i].is_allowed ? "output(13)" : "drop(source-not-allowed)")) {
			fail_msg("%s, %x: %s", rows[i].packet, rows[i].frag, w->text);
		}
	}
}

/* Forged at random: few masks, few flows. */
static void
test_allow_forgers_make_few_flows(void **state)
{
	enum { N = 20000, MAX = 2048 };
	struct world *w = *state;
	uint64_t seed = world_seed();
	static struct {
		uint64_t mask, value;
	} flows[MAX];
	unsigned n_flows = 0, n_masks = 0;

	for (unsigned i = 0; i < N; i++) {
		struct flow_key key;
		uint64_t mask = 0, value = 0, random = world_random(&seed);
		bool is_new = true, new_mask = true;

		/* Of all lengths of what is the same as A. */
		world_key("in_port=1,dl_src=" A, &key);
		for (unsigned bit = (unsigned)(random % 48); bit < 48; bit++) {
			key.eth_src[bit / 8] ^=
				(uint8_t)((random >> 8 & 1 << bit % 8) ? 0x80 >> bit % 8 : 0);
		}
		world_translate_key(w, &key);
		memcpy(&mask, w->t.mask.bits.eth_src, 6);
		memcpy(&value, key.eth_src, 6);
		value &= mask;
		for (unsigned k = 0; k < n_flows; k++) {
			is_new &= flows[k].mask != mask || flows[k].value != value;
			new_mask &= flows[k].mask != mask;
		}
		if (is_new) {
			assert_in_range(n_flows, 0, MAX - 1);
			flows[n_flows].mask = mask;
			flows[n_flows++].value = value;
			n_masks += new_mask;
		}
	}
	assert_in_range(n_masks, 2, 12);
	assert_in_range(n_flows, 2, 12 * 15 * 3);
	print_message("%u masks, %u flows\n", n_masks, n_flows);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_allow_source_mac, begin, end),
		cmocka_unit_test_setup_teardown(test_allow_ipv4_source, begin, end),
		cmocka_unit_test_setup_teardown(test_allow_arp_sender, begin, end),
		cmocka_unit_test_setup_teardown(test_allow_ipv6_source, begin, end),
		cmocka_unit_test_setup_teardown(test_allow_neighbour_discovery, begin, end),
		cmocka_unit_test_setup_teardown(test_allow_nothing_unreadable, begin, end),
		cmocka_unit_test_setup_teardown(test_allow_forgers_make_few_flows, begin, end),
	};

	return cmocka_run_group_tests_name("allow", tests, NULL, NULL);
}

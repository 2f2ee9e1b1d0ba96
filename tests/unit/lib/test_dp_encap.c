/* SPDX-License-Identifier: Apache-2.0
 *
 * Prepared tunnel headers: what is taken, and what is refused with which words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/compiler.h"
#include "lib/dp_action.h"
#include "lib/dp_encap.h"
#include "lib/dp_protocol.h"

#define ETH "020000000002020000000001"
#define IP4_UDP ETH "0800450000000000400040110000c0000201c0000202"
#define IP4_GRE ETH "08004500000000004000402f0000c0000201c0000202"
#define IP6 ETH "86dd6000000000001140" ADDR "01" ADDR "02"
#define ADDR "20010db80000000000000000000000"
#define UDP "000012b500000000"
#define VXLAN "0800000000007b00"
#define BAD_TUNNEL "encapsulation with a bad tunnel header"
#define BAD_IPV4 "encapsulation with a bad IPv4 header"
#define BAD_FLAG "encapsulation with a flag that is not for its kind of tunnel"

static struct dp_encap *
encap_of(uint32_t kind, uint32_t flags, uint16_t l3_off, uint16_t l4_off, const char *hex)
{
	size_t size = strlen(hex) / 2;
	struct dp_encap *e = calloc(1, sizeof *e + size);

	*e = (struct dp_encap){.kind = kind,
		.flags = flags,
		.size = (uint16_t)size,
		.l3_off = l3_off,
		.l4_off = l4_off,
		.port = UINT32_MAX};
	for (size_t i = 0; i < size; i++) {
		unsigned byte;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		e->header[i] = (uint8_t)byte;
	}
	return e;
}

/* @why NULL: it is taken. */
static void
check_row(uint32_t kind, uint32_t flags, uint16_t l3_off, uint16_t l4_off, const char *hex,
	const char *why)
{
	struct dp_encap *e = encap_of(kind, flags, l3_off, l4_off, hex);
	const char *found = dp_encap_check(e);

	if (why ? !found || strcmp(found, why) : found != NULL) {
		fail_msg("kind %u flags %#x %s: %s, not %s", kind, flags, hex,
			found ? found : "taken", why ? why : "taken");
	}
	free(e);
}

static void
test_dp_encap_kinds(void **state)
{
	static const struct {
		uint32_t kind, flags;
		uint16_t l3_off, l4_off;
		const char *hex, *why;
	} rows[] = {
		{DP_TUNNEL_VXLAN, 0, 14, 34, IP4_UDP UDP VXLAN, NULL},
		{DP_TUNNEL_VXLAN, 0x5ff & ~DP_ENCAP_OPTS_FROM_KEY & ~DP_ENCAP_TOS_FROM_KEY, 14, 34,
			IP4_UDP UDP VXLAN, NULL},
		{DP_TUNNEL_VXLAN, 0, 14, 54, IP6 UDP VXLAN, NULL},
		{DP_TUNNEL_VXLAN, 0, 18, 38,
			ETH "8100000a0800450000000000400040110000c0000201c0000202" UDP VXLAN, NULL},
		{DP_TUNNEL_VXLAN, 0, 22, 62,
			ETH "88a8000a8100000b86dd6000000000001140" ADDR "01" ADDR "02" UDP VXLAN,
			NULL},
		{DP_TUNNEL_VXLAN, 0, 14, 34, IP4_UDP UDP "8848123400007b00", NULL},
		{DP_TUNNEL_VXLAN, 0, 14, 34, IP4_UDP UDP "0000000000007b00", BAD_TUNNEL},
		{DP_TUNNEL_VXLAN, 0, 14, 34, IP4_UDP UDP "0900000000007b00", BAD_TUNNEL},
		{DP_TUNNEL_VXLAN, 0, 14, 34, IP4_UDP UDP "0808000000007b00", BAD_TUNNEL},
		{DP_TUNNEL_VXLAN, 0, 14, 34, IP4_UDP UDP "0800000100007b00", BAD_TUNNEL},
		{DP_TUNNEL_VXLAN, 0, 14, 34, IP4_UDP UDP "8801000000007b00", BAD_TUNNEL},
		{DP_TUNNEL_VXLAN, 0, 14, 34, IP4_UDP UDP "0800000000007b01", BAD_TUNNEL},
		{DP_TUNNEL_VXLAN, 0, 14, 34, IP4_UDP UDP VXLAN "00", BAD_TUNNEL},
		{DP_TUNNEL_VXLAN, 0, 14, 34, IP4_UDP UDP "080000", BAD_TUNNEL},
		{DP_TUNNEL_VXLAN, DP_ENCAP_L3, 14, 34, IP4_UDP UDP VXLAN, BAD_FLAG},
		{DP_TUNNEL_VXLAN, DP_ENCAP_OPTS_FROM_KEY, 14, 34, IP4_UDP UDP VXLAN, BAD_FLAG},
		{DP_TUNNEL_VXLAN, 1u << 12, 14, 34, IP4_UDP UDP VXLAN,
			"encapsulation with unknown flags"},
		{DP_TUNNEL_VXLAN, DP_ENCAP_TOS_INHERIT | DP_ENCAP_TOS_FROM_KEY, 14, 34,
			IP4_UDP UDP VXLAN, "encapsulation with flags that exclude each other"},
		{DP_TUNNEL_VXLAN, DP_ENCAP_TTL_INHERIT | DP_ENCAP_TTL_FROM_KEY, 14, 34,
			IP4_UDP UDP VXLAN, "encapsulation with flags that exclude each other"},
		{DP_TUNNEL_VXLAN_GPE, 0, 14, 34, IP4_UDP UDP "0c00000300007b00", NULL},
		{DP_TUNNEL_VXLAN_GPE, DP_ENCAP_L3, 14, 34, IP4_UDP UDP "0d00000100007b00", NULL},
		{DP_TUNNEL_VXLAN_GPE, 0, 14, 34, IP4_UDP UDP "0c00000100007b00", BAD_TUNNEL},
		{DP_TUNNEL_VXLAN_GPE, 0, 14, 34, IP4_UDP UDP "0800000300007b00", BAD_TUNNEL},
		{DP_TUNNEL_VXLAN_GPE, 0, 14, 34, IP4_UDP UDP "1c00000300007b00", BAD_TUNNEL},
		{DP_TUNNEL_GENEVE, 0, 14, 34, IP4_UDP UDP "0000655800007b00", NULL},
		{DP_TUNNEL_GENEVE, DP_ENCAP_OPTS_FROM_KEY, 14, 54, IP6 UDP "0000655800007b00",
			NULL},
		{DP_TUNNEL_GENEVE, 0, 14, 34,
			IP4_UDP UDP "0380655800007b00010280010000000401030000", NULL},
		{DP_TUNNEL_GENEVE, 0, 14, 34,
			IP4_UDP UDP "0380655800007b00010280010000000401030001", BAD_TUNNEL},
		{DP_TUNNEL_GENEVE, 0, 14, 34,
			IP4_UDP UDP "0180655800007b00010280200000000401030001", BAD_TUNNEL},
		{DP_TUNNEL_GENEVE, 0, 14, 34, IP4_UDP UDP "0100655800007b00", BAD_TUNNEL},
		{DP_TUNNEL_GENEVE, 0, 14, 34, IP4_UDP UDP "4000655800007b00", BAD_TUNNEL},
		{DP_TUNNEL_GENEVE, 0, 14, 34, IP4_UDP UDP "0001655800007b00", BAD_TUNNEL},
		{DP_TUNNEL_GENEVE, 0, 14, 34, IP4_UDP UDP "0000080000007b00", BAD_TUNNEL},
		{DP_TUNNEL_GENEVE, DP_ENCAP_L3, 14, 34, IP4_UDP UDP "0000080000007b00", NULL},
		{DP_TUNNEL_GENEVE, DP_ENCAP_GBP_FROM_KEY, 14, 34, IP4_UDP UDP "0000655800007b00",
			BAD_FLAG},
		{DP_TUNNEL_GRE, 0, 14, 34, IP4_GRE "00006558", NULL},
		{DP_TUNNEL_GRE, DP_ENCAP_ID_FROM_KEY, 14, 34, IP4_GRE "2000655800000005", NULL},
		{DP_TUNNEL_GRE, 0, 14, 34, IP4_GRE "b0006558000000000000000500000000", NULL},
		{DP_TUNNEL_GRE, DP_ENCAP_L3, 14, 34, IP4_GRE "00000000", NULL},
		{DP_TUNNEL_GRE, DP_ENCAP_ID_FROM_KEY, 14, 34, IP4_GRE "00006558", BAD_TUNNEL},
		{DP_TUNNEL_GRE, DP_ENCAP_UDP_CSUM, 14, 34, IP4_GRE "00006558", BAD_FLAG},
		{DP_TUNNEL_GRE, 0, 14, 34, IP4_GRE "20006558", BAD_TUNNEL},
		{DP_TUNNEL_GRE, 0, 14, 34, IP4_GRE "0000655800000000", BAD_TUNNEL},
		{DP_TUNNEL_GRE, 0, 14, 34, IP4_GRE "00016558", BAD_TUNNEL},
		{DP_TUNNEL_GRE, 0, 14, 34, IP4_GRE "4000655800000000", BAD_TUNNEL},
		{DP_TUNNEL_GRE, 0, 14, 34, IP4_GRE "00000800", BAD_TUNNEL},
		{DP_TUNNEL_GRE, 0, 14, 34, IP4_UDP "00006558", BAD_IPV4},
		{DP_TUNNEL_ERSPAN, DP_ENCAP_ID_FROM_KEY, 14, 34,
			IP4_GRE "100088be000000001000000500000000", NULL},
		{DP_TUNNEL_ERSPAN, 0, 14, 34, IP4_GRE "100022eb00000000200000050000000000000000",
			NULL},
		{DP_TUNNEL_ERSPAN, 0, 14, 34, IP4_GRE "100022eb00000000200000050000000000000001",
			BAD_TUNNEL},
		{DP_TUNNEL_ERSPAN, 0, 14, 34, IP4_GRE "100088be000000002000000500000000",
			BAD_TUNNEL},
		{DP_TUNNEL_ERSPAN, 0, 14, 34, IP4_GRE "000088be", BAD_TUNNEL},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(rows); i++) {
		check_row(rows[i].kind, rows[i].flags, rows[i].l3_off, rows[i].l4_off, rows[i].hex,
			rows[i].why);
	}
}

static void
test_dp_encap_outer(void **state)
{
	static const char sizes[] = "encapsulation with bad sizes";
	static const char vxlan[] = IP4_UDP UDP VXLAN, vxlan6[] = IP6 UDP VXLAN;
	static const char v6[] = "encapsulation with a bad IPv6 header";
	struct dp_encap *e;

	(void)state;
	check_row(DP_TUNNEL_VXLAN, 0, 13, 34, vxlan, sizes);
	check_row(DP_TUNNEL_VXLAN, 0, 14, 33, vxlan, sizes);
	check_row(DP_TUNNEL_VXLAN, 0, 14, 43, vxlan, sizes);
	check_row(DP_TUNNEL_VXLAN, 0, 26, 46, vxlan, sizes);
	check_row(DP_TUNNEL_VXLAN, 0, 14, 38, vxlan, BAD_IPV4);
	check_row(DP_TUNNEL_VXLAN, 0, 14, 34, vxlan6, v6);
	check_row(DP_TUNNEL_VXLAN, 0, 18, 38, vxlan,
		"encapsulation whose IP header is not where it is said to be");
	e = encap_of(DP_TUNNEL_VXLAN, 0, 14, 34, vxlan);
	e->header[12] = 0x86;
	assert_string_equal(dp_encap_check(e), "encapsulation that is not in IP");
	e->header[12] = 0x08;
	e->header[14] = 0x46;
	assert_string_equal(dp_encap_check(e), BAD_IPV4);
	e->header[14] = 0x45;
	e->header[20] = 0x60;
	assert_string_equal(dp_encap_check(e), BAD_IPV4);
	e->header[20] = 0x40;
	e->too_long = DP_ENCAP_FRAGMENT;
	assert_string_equal(
		dp_encap_check(e), "encapsulation to be fragmented that says don't fragment");
	e->header[20] = 0;
	assert_null(dp_encap_check(e));
	free(e);
}

/* What is left of a packet that is cut holds an Ethernet header at least. */
static void
test_dp_encap_cut(void **state)
{
	static const char little[] = "encapsulation that leaves too little of packets";
	struct dp_encap *e =
		encap_of(DP_TUNNEL_ERSPAN, 0, 14, 34, IP4_GRE "100088be000000001000000500000000");

	(void)state;
	e->max_len = 13;
	assert_string_equal(dp_encap_check(e), little);
	e->max_len = 14;
	assert_null(dp_encap_check(e));
	e->too_long = DP_ENCAP_CUT;
	assert_null(dp_encap_check(e));
	free(e);
	/* 40 of IPv6, 8 of GRE, 8 of ERSPAN. */
	e = encap_of(DP_TUNNEL_ERSPAN, 0, 14, 54, IP6 "100088be000000001000000500000000");
	e->header[20] = 47;
	e->too_long = DP_ENCAP_CUT;
	e->mtu = 56 + 13;
	assert_string_equal(dp_encap_check(e), little);
	e->mtu = 56 + 14;
	assert_null(dp_encap_check(e));
	free(e);
	e = encap_of(DP_TUNNEL_GRE, DP_ENCAP_L3, 14, 34, IP4_GRE "00000000");
	e->too_long = DP_ENCAP_CUT;
	assert_string_equal(dp_encap_check(e),
		"encapsulation that cuts packets, behind a header of unknown length");
	free(e);
}

static void
test_dp_encap_numbers(void **state)
{
	static const char bad[] = "encapsulation with a bad kind, MTU or port";
	struct dp_encap *e = encap_of(DP_TUNNEL_VXLAN, 0, 14, 34, IP4_UDP UDP VXLAN);

	(void)state;
	e->kind = 0;
	assert_string_equal(dp_encap_check(e), bad);
	e->kind = DP_TUNNEL_ERSPAN + 1;
	assert_string_equal(dp_encap_check(e), bad);
	e->kind = DP_TUNNEL_VXLAN;
	e->too_long = DP_ENCAP_CUT + 1;
	assert_string_equal(dp_encap_check(e), bad);
	e->too_long = DP_ENCAP_TO_AGENT;
	e->mtu = 67;
	assert_string_equal(dp_encap_check(e), bad);
	e->mtu = 68;
	e->port = DP_PORT_MAX + 1;
	assert_string_equal(dp_encap_check(e), bad);
	e->port = DP_PORT_MAX;
	assert_null(dp_encap_check(e));
	free(e);
	e = calloc(1, sizeof *e + DP_ENCAP_MAX_SIZE + 1);
	*e = (struct dp_encap){
		.kind = DP_TUNNEL_VXLAN, .size = DP_ENCAP_MAX_SIZE + 1, .l3_off = 14, .l4_off = 34};
	assert_string_equal(dp_encap_check(e), "encapsulation with bad sizes");
	free(e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dp_encap_kinds),
		cmocka_unit_test(test_dp_encap_outer),
		cmocka_unit_test(test_dp_encap_cut),
		cmocka_unit_test(test_dp_encap_numbers),
	};

	return cmocka_run_group_tests_name("dp_encap", tests, NULL, NULL);
}

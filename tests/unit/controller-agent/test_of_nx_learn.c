/* SPDX-License-Identifier: Apache-2.0
 *
 * Nicira's learn on the wire: the bytes that `ovs-ofctl` 3.1 sends for a text, both ways; and what
 * is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller-agent/of_nx.h"
#include "lib/error.h"
#include "lib/strbuf.h"
#include "ofproto/of_action.h"
#include "ofproto/of_error.h"
#include "ofproto/of_text.h"

#define HEAD "00002320 0010 0000 012c 0001 0000000000000000 0000 0a 00 0000 0000"
#define HEAD2 "00002320 002d 0000 012c 0001 0000000000000000"

static size_t
from_hex(const char *hex, uint8_t *bytes)
{
	size_t n = 0;
	unsigned byte;

	for (; *hex; hex++) {
		if (*hex != ' ') {
			assert_int_equal(sscanf(hex++, "%2x", &byte), 1);
			bytes[n++] = (uint8_t)byte;
		}
	}
	return n;
}

static const struct {
	const char *text;
	const char *bytes;
} rows[] = {
	{"learn(table=10,hard_timeout=300,priority=1,NXM_OF_VLAN_TCI[0..11],NXM_OF_ETH_DST"
	 "[]=NXM_OF_ETH_SRC[],load:0->NXM_OF_VLAN_TCI[],load:NXM_NX_TUN_ID[]->NXM_NX_TUN_I"
	 "D[],output:NXM_OF_IN_PORT[])",
		"ffff0060 00002320 00100000 012c0001 00000000 00000000 00000a00 00000000"
		"000c0000 08020000 00000802 00000030 00000406 00000000 02060000 28100000"
		"00000802 00000840 00012008 00000001 20080000 10100000 00020000 00000000"},
	{"learn(table=1)",
		"ffff0020 00002320 00100000 00008000 00000000 00000000 00000100 00000000"},
	{"learn(table=3,idle_timeout=3,hard_timeout=9,fin_idle_timeout=4,fin_hard_timeout="
	 "5,priority=0,send_flow_rem,delete_learned,cookie=0x12,limit=7,eth_type=0x800,ip_"
	 "src=10.0.0.1,NXM_OF_VLAN_TCI[0..11]=0x5,output:OXM_OF_IN_PORT[],load:0x123->OXM_"
	 "OF_METADATA[3..20],load:0x1->NXM_NX_REG0[3],in_port=3)",
		"ffff0070 00002320 002d0003 00090000 00000000 00000012 00030300 00040005"
		"00000007 00000000 20100800 00000602 00002020 0a000001 00000e04 0000200c"
		"00050000 08020000 10208000 00040000 28120000 01238000 04080003 28010001"
		"00010004 00032010 00030000 00020000"},
	{"learn(table=1,in_port=LOCAL,OXM_OF_IN_PORT[],eth_dst=00:00:00:00:00:05,tun_src=1"
	 ".2.3.4,NXM_NX_TUN_IPV4_SRC[]=NXM_NX_TUN_IPV4_DST[],load:NXM_NX_TUN_IPV4_SRC[]->N"
	 "XM_NX_TUN_IPV4_DST[])",
		"ffff0070 00002320 00100000 00008000 00000000 00000000 00000100 00000000"
		"2010fffe 00000002 00000020 80000004 00008000 00040000 20300000 00000005"
		"00000206 00002020 01020304 00013e04 00000020 00014004 00000001 3e040000"
		"08200001 3e040000 00014004 00000000"},
	{"learn(table=1,load:0x123456789abcdef0123->NXM_NX_TUN_IPV6_DST[0..79],load:NXM_OF"
	 "_ETH_SRC[]->NXM_NX_TUN_IPV6_DST[0..47])",
		"ffff0040 00002320 00100000 00008000 00000000 00000000 00000100 00000000"
		"28500123 456789ab cdef0123 0001dc10 00000830 00000406 00000001 dc100000"},
	{"fin_timeout(idle_timeout=5,hard_timeout=6)", "ffff0010 00002320 00130005 00060000"},
};

static void
test_nx_learn_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_Alignas(8) uint8_t bytes[512];
		size_t len = from_hex(rows[i].bytes, bytes);
		struct weft_error err = WEFT_ERROR_INIT;
		struct strbuf text = STRBUF_INIT, out = STRBUF_INIT;
		struct of_actions actions;

		of_actions_init(&actions);
		if (!of_nx_get_action(bytes, len, &actions, &err)) {
			fail_msg("%s: %s", rows[i].text, err.text);
		}
		of_text_format_actions(actions.data, actions.size, NULL, &text);
		assert_string_equal(strbuf_text(&text), rows[i].text);
		of_nx_put_action(&out, 4, NULL, of_action_first(actions.data, actions.size), NULL);
		assert_int_equal(out.len, len);
		assert_memory_equal(out.data, bytes, len);
		of_actions_uninit(&actions);
		strbuf_uninit(&text);
		strbuf_uninit(&out);
	}
}

static const struct {
	uint16_t code;
	const char *bytes;
} bad[] = {
	/* Open vSwitch's codes. */
	{OFPBAC_BAD_LEN, "ffff 0018 00002320 0010 0000 012c 0001 0000000000000000"},
	{OFPBAC_BAD_LEN, "ffff 0020 " HEAD2 "0000 0a 00 0000 0000"},
	{OFPBAC_BAD_ARGUMENT,
		"ffff 0020 00002320 0010 0000 012c 0001 0000000000000000 0000 0a 01 0000 0000"},
	{OFPBAC_BAD_ARGUMENT,
		"ffff 0020 00002320 0010 0000 012c 0001 0000000000000000 0000 ff 00 0000 0000"},
	{OFPBAC_BAD_ARGUMENT,
		"ffff 0020 00002320 0010 0000 012c 0001 0000000000000000 0004 0a 00 0000 0000"},
	{OFPBAC_BAD_ARGUMENT, "ffff 0028 " HEAD2 "0008 0a 00 0000 0000 00000005 0000 0000"},
	{OFPBAC_BAD_ARGUMENT, "ffff 0028 " HEAD2 "0000 ff 00 0000 0000 00000005 0000 0000"},
	{OFPBAC_BAD_ARGUMENT, "ffff 0028 " HEAD2 "0000 0a 00 0000 0000 00000005 0001 0000"},
	{OFPBAC_BAD_ARGUMENT, "ffff 0030 " HEAD "180c 00000802 0000 00000802 0000 0000"},
	{OFPBAC_BAD_SET_TYPE, "ffff 0030 " HEAD "000c 0000fe02 0000 00000802 0000 0000"},
	{OFPBAC_BAD_SET_TYPE, "ffff 0030 " HEAD "000c 00000802 0000 00000804 0000 0000"},
	{OFPBAC_BAD_SET_TYPE,
		"ffff 0038 " HEAD "0010 ffff0006 4f4e 4600 ffff0006 4f4e4600 0000 0000 0000"},
	{OFPBAC_BAD_LEN, "ffff 0028 " HEAD "000c 00000802 0000"},
	{OFPBAC_BAD_LEN, "ffff 0030 " HEAD "000c 00000802 0000 00000802 0000 0001"},
	{OFPBAC_BAD_ARGUMENT, "ffff 0028 " HEAD "0000 0000 0001 0000"},
	{OFPBAC_BAD_ARGUMENT, "ffff 0028 " HEAD "3010 0001 0000 0000"},
	{OFPBAC_BAD_LEN, "ffff 0018 00002320 0013 0005 0006 0000 0000000000000000"},
	/* Where Open vSwitch knows a result_dst, takes what must be zero for nothing, or has a code of Nicira's. */
	{OFPBAC_BAD_ARGUMENT,
		"ffff 0030 " HEAD2 "0004 0a 00 0000 0000 00000005 0001 0000 00010004 00000000"},
	{OFPBAC_BAD_ARGUMENT, "ffff 0028 " HEAD2 "0000 0a 00 0000 0000 00000005 0000 0001"},
	{OFPBAC_BAD_ARGUMENT, "ffff 0030 " HEAD "840c 00000802 0000 00000802 0000 0000"},
	{OFPBAC_BAD_ARGUMENT, "ffff 0030 " HEAD "040c 00000802 0000 00000802 0000 0000"},
	{OFPBAC_BAD_SET_TYPE, "ffff 0030 " HEAD "000c 00000904 0000 00000802 0000 0000"},
	{OFPBAC_BAD_ARGUMENT, "ffff 0010 00002320 0013 0005 0006 0001"},
};

static void
test_nx_learn_refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		_Alignas(8) uint8_t bytes[512];
		size_t len = from_hex(bad[i].bytes, bytes);
		struct weft_error err = WEFT_ERROR_INIT;
		struct of_actions actions;

		of_actions_init(&actions);
		if (of_nx_get_action(bytes, len, &actions, &err)) {
			fail_msg("%s: taken", bad[i].bytes);
		}
		if (err.code != OFPET_BAD_ACTION || err.subcode != bad[i].code) {
			fail_msg("%s: %d, not %d: %s", bad[i].bytes, err.subcode, bad[i].code,
				err.text);
		}
		of_actions_uninit(&actions);
	}
}

/* What fits on the wire and not in a field is the check's to refuse. */
static void
test_nx_learn_checks_bits(void **state)
{
	static const char *const bits[] = {
		"ffff 0030 " HEAD "000c 00000802 0005 00000802 0000 0000",
		"ffff 0030 " HEAD "000c 00000802 0000 00000802 0005 0000",
		"ffff 0030 " HEAD "0800 00000802 0000 00000802 0000 0000",
		"ffff 0030 " HEAD "000c 00000802 fff8 00000802 0000 0000",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		_Alignas(8) uint8_t bytes[512];
		size_t len = from_hex(bits[i], bytes);
		struct weft_error err = WEFT_ERROR_INIT;
		struct of_check check = {.is_actions = true};
		struct of_actions actions;

		of_actions_init(&actions);
		assert_true(of_nx_get_action(bytes, len, &actions, NULL));
		assert_false(of_actions_check(actions.data, actions.size, &check, &err));
		assert_int_equal(err.subcode, OFPBAC_BAD_SET_LEN);
		of_actions_uninit(&actions);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nx_learn_bytes),
		cmocka_unit_test(test_nx_learn_refuses),
		cmocka_unit_test(test_nx_learn_checks_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * OXM: exact bytes, round trips, and the errors of OpenFlow 1.3.5 s.A.4.4.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/byteorder.h"
#include "lib/error.h"
#include "lib/strbuf.h"
#include "ofproto/of_error.h"
#include "ofproto/of_match.h"
#include "ofproto/of_text.h"
#include "ofproto/oxm.h"
#include "tests/unit/ofproto/world.h"

static const char *
hex(const struct strbuf *s)
{
	static char text[2048];

	text[0] = '\0';
	for (size_t i = 0; i < s->len; i++) {
		sprintf(text + 2 * i, "%02x", (uint8_t)s->data[i]);
	}
	return text;
}

static size_t
unhex(const char *text, uint8_t *bytes)
{
	size_t n = 0;

	for (; *text; text += 2) {
		unsigned v;

		assert_int_equal(sscanf(text, "%2x", &v), 1);
		bytes[n++] = (uint8_t)v;
	}
	return n;
}

static const struct {
	const char *match;
	unsigned version;
	const char *bytes;
} rows[] = {
	{"in_port=1", 4, "8000000400000001"},
	{"in_port=LOCAL", 1, "00000002fffe"},
	{"in_port=5,dl_src=00:00:00:00:00:01,dl_dst=00:00:00:00:00:02", 4,
		"8000000400000005"
		"80000606000000000002"
		"80000806000000000001"},
	{"ip,nw_dst=10.0.0.0/8", 4,
		"80000a020800"
		"800019080a000000ff000000"},
	{"dl_vlan=10,dl_vlan_pcp=3", 4,
		"80000c02100a"
		"80000e0103"},
	{"vlan_tci=0x1000/0x1000", 4, "80000d0410001000"},
	{"vlan_tci=0x0000/0x1fff", 4, "80000c020000"},
	{"vlan_tci=0x0005/0xffff", 4, "000008020005"},
	{"ip,nw_tos=0x10/0x31", 4,
		"80000a020800"
		"00000b021031"},
	{"dl_vlan=10", 1, "00000904100a1fff"},
	{"tcp,tp_dst=80", 4,
		"80000a020800"
		"8000140106"
		"80001c020050"},
	{"icmp,icmp_type=8,icmp_code=0", 4,
		"80000a020800"
		"8000140101"
		"8000260108"
		"8000280100"},
	{"ipv6,ipv6_exthdr=0x41,ipv6_label=5", 4,
		"80000a0286dd"
		"8000380400000005"
		"80004e020041"},
	{"ip,nw_tos=32,nw_ecn=1", 4,
		"80000a020800"
		"8000100108"
		"8000120101"},
	{"arp,arp_op=1,arp_spa=1.2.3.4", 4,
		"80000a020806"
		"80002a020001"
		"80002c0401020304"},
	{"mpls,mpls_label=5,mpls_tc=3,mpls_bos=1", 4,
		"80000a028847"
		"8000440400000005"
		"8000460103"
		"8000480101"},
	{"tun_id=5,metadata=0x1/0xff", 4,
		"80000510000000000000000100000000000000ff"
		"80004c080000000000000005"},
	{"eth_type=0x88e7,pbb_isid=0x10203", 4,
		"80000a0288e7"
		"80004a03010203"},
	{"tcp,tcp_flags=2", 6,
		"80000a020800"
		"8000140106"
		"800054020002"},
	{"tcp,tcp_flags=2", 4,
		"80000a020800"
		"8000140106"
		"ffff54064f4e46000002"},
	{"reg0=0x1,reg9=0x2/0x3", 4,
		"0001000400000001"
		"000113080000000200000003"},
	{"tun_src=1.2.3.4,tun_ttl=0/0", 4, "00013e0401020304"},
	{"icmp6,icmpv6_type=135,nd_target=fe80::1,nd_sll=00:00:00:00:00:05", 4,
		"80000a0286dd"
		"800014013a"
		"80003a0187"
		"80003e10fe800000000000000000000000000001"
		"80004006000000000005"},
	{"icmp6,icmpv6_type=136,nd_reserved=0xe0000000,nd_options_type=2", 4,
		"80000a0286dd"
		"800014013a"
		"80003a0188"
		"10000204e0000000"
		"1000040102"},
};

static void
test_oxm_exact_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct strbuf out = STRBUF_INIT;
		struct weft_error err = WEFT_ERROR_INIT;
		struct of_match m, back;

		if (!of_text_parse_match(rows[i].match, strlen(rows[i].match), NULL, &m, &err)) {
			fail_msg("%s: %s", rows[i].match, err.text);
		}
		oxm_encode_match(&out, &m, (uint8_t)rows[i].version, NULL);
		if (strcmp(hex(&out), rows[i].bytes)) {
			fail_msg("%s: %s", rows[i].match, hex(&out));
		}
		if (!oxm_decode_match((const uint8_t *)out.data, out.len, 0, NULL, &back, &err)) {
			fail_msg("%s: %s", rows[i].match, err.text);
		}
		assert_true(of_match_equal(&m, &back));
		strbuf_uninit(&out);
	}
}

/* A field whose IPv4 addresses have a number of their own; fields that are newer than 1.3. */
static void
test_oxm_entries_by_their_nearest_number(void **state)
{
	static const struct {
		enum field_id field;
		const char *value;
		const char *bytes;
	} cases[] = {
		{FIELD_TUN_DST, "::ffff:1.2.3.4", "0001400401020304"},
		{FIELD_TUN_DST, "2001:db8::1", "0001dc1020010db8000000000000000000000001"},
		{FIELD_PACKET_TYPE, "(1,0x800)", "8000580400010800"},
		{FIELD_PBB_UCA, "1", "8000520101"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct strbuf out = STRBUF_INIT;
		union field_value value;

		assert_true(field_parse_value(field_get(cases[i].field), cases[i].value,
			strlen(cases[i].value), &value, NULL, NULL));
		oxm_put_entry(&out, cases[i].field, 4, &value, NULL);
		assert_string_equal(hex(&out), cases[i].bytes);
		strbuf_uninit(&out);
	}
}

/* Every field that has a number, exact and under each kind of mask it takes. */
static void
test_oxm_round_trip_of_each_field(void **state)
{
	static const uint8_t versions[] = {1, 4, 5, 6};
	uint64_t rnd = world_seed();

	(void)state;
	for (unsigned v = 0; v < sizeof(versions); v++) {
		enum field_id id = FIELD_N;
		unsigned n = 0;

		while ((id = oxm_next_field(id, versions[v], false)) != FIELD_N) {
			const struct field *f = field_get(id);
			union field_value value = {{0}}, ones;
			struct strbuf out = STRBUF_INIT;
			struct oxm_entry e;
			size_t used;

			n++;
			field_value_ones(f, &ones);
			for (unsigned i = 0; i < f->n_bytes; i++) {
				value.b[i] = (uint8_t)(world_random(&rnd) & ones.b[i]);
			}
			if (id == FIELD_IP_TOS) {
				value.b[0] &= 0xfc;
			}
			if (id == FIELD_IN_PORT && versions[v] == 1) {
				value.b[0] = value.b[1] = value.b[2] = 0;
			}
			oxm_put_entry(&out, id, versions[v], &value, NULL);
			assert_int_equal(out.len, oxm_entry_size(id, versions[v], false));
			assert_int_equal(get_be32(out.data), oxm_header(id, versions[v], false));
			if (!oxm_pull_entry((uint8_t *)out.data, out.len, NULL, &e, &used, NULL)) {
				fail_msg("%s: %s", f->name, hex(&out));
			}
			assert_int_equal(used, out.len);
			assert_int_equal(e.field, id);
			assert_memory_equal(e.value.b, value.b, f->n_bytes);
			strbuf_clear(&out);
			oxm_put_header(&out, id, versions[v], true);
			assert_true(oxm_pull_header(
				(uint8_t *)out.data, out.len, &e.field, &e.has_mask, &used, NULL));
			assert_true(e.has_mask && e.field == id);
			strbuf_uninit(&out);
		}
		assert_true(n > (versions[v] >= 4 ? 70u : 60u));
	}
}

static void
test_oxm_errors(void **state)
{
	static const struct {
		const char *bytes;
		unsigned code;
		size_t offset;
	} bad[] = {
		{"80000a02", OFPBMC_BAD_LEN, 0},
		{"80000a", OFPBMC_BAD_LEN, 0},
		{"80000a03080000", OFPBMC_BAD_LEN, 3},
		{"80000a0308", OFPBMC_BAD_LEN, 0},
		{"80007e0100", OFPBMC_BAD_FIELD, 0},
		{"1234000100", OFPBMC_BAD_FIELD, 0},
		{"ffff54061234567800ff", OFPBMC_BAD_FIELD, 0},
		{"80000a02080080000a020800", OFPBMC_DUP_FIELD, 6},
		{"80001604"
		 "01020304",
			OFPBMC_BAD_PREREQ, 0},
		{"80000a0286dd"
		 "80001604"
		 "01020304",
			OFPBMC_BAD_PREREQ, 6},
		{"8000140106"
		 "80000a020800",
			OFPBMC_BAD_PREREQ, 0},
		{"80000e0103", OFPBMC_BAD_PREREQ, 0},
		{"80000c02"
		 "2005",
			OFPBMC_BAD_VALUE, 4},
		{"80000a020800"
		 "80001001"
		 "40",
			OFPBMC_BAD_VALUE, 10},
		{"80000b04"
		 "0800ffff",
			OFPBMC_BAD_MASK, 4},
		{"80000510"
		 "00000000000000ff"
		 "000000000000000f",
			OFPBMC_BAD_WILDCARDS, 4},
		{"80000d04"
		 "1001"
		 "1000",
			OFPBMC_BAD_WILDCARDS, 4},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct weft_error err = WEFT_ERROR_INIT;
		struct of_match m;
		uint8_t bytes[64];
		size_t len = unhex(bad[i].bytes, bytes);

		if (oxm_decode_match(bytes, len, 0, NULL, &m, &err)) {
			fail_msg("%s: taken", bad[i].bytes);
		}
		if (err.code != OFPET_BAD_MATCH || err.subcode != (int)bad[i].code ||
			err.offset != bad[i].offset) {
			fail_msg("%s: %s at %zu: %s", bad[i].bytes,
				of_error_name((uint16_t)err.code, (uint16_t)err.subcode),
				err.offset, err.text);
		}
	}
}

static void
test_oxm_flags_and_frame(void **state)
{
	struct of_match m;
	struct strbuf out = STRBUF_INIT;
	uint8_t bytes[64];
	size_t len, used;

	(void)state;
	len = unhex("80007e0100"
		    "8000000400000001",
		bytes);
	assert_true(oxm_decode_match(bytes, len, OXM_SKIP_UNKNOWN, NULL, &m, NULL));
	assert_int_equal(be32_to(m.value.in_port), 1);
	len = unhex("8000160401020304", bytes);
	assert_true(oxm_decode_match(bytes, len, OXM_ANY_PREREQ, NULL, &m, NULL));
	oxm_put_match(&out, &m, 4, NULL);
	of_match_init(&m);
	of_match_set_u64(&m, FIELD_ETH_TYPE, 0x0800);
	strbuf_clear(&out);
	oxm_put_match(&out, &m, 4, NULL);
	assert_string_equal(hex(&out), "0001000a80000a020800"
				       "000000000000");
	assert_true(oxm_pull_match((uint8_t *)out.data, out.len, 0, NULL, &m, &used, NULL));
	assert_int_equal(used, 16);
	assert_false(oxm_pull_match((uint8_t *)out.data, 15, 0, NULL, &m, &used, NULL));
	out.data[1] = 0;
	assert_false(oxm_pull_match((uint8_t *)out.data, out.len, 0, NULL, &m, &used, NULL));
	strbuf_uninit(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_oxm_exact_bytes),
		cmocka_unit_test(test_oxm_entries_by_their_nearest_number),
		cmocka_unit_test(test_oxm_round_trip_of_each_field),
		cmocka_unit_test(test_oxm_errors),
		cmocka_unit_test(test_oxm_flags_and_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

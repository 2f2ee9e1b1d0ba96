/* SPDX-License-Identifier: Apache-2.0
 *
 * Options of Geneve as fields: tables and places, the wire, texts, translation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "lib/dp_protocol.h"
#include "lib/strbuf.h"
#include "ofproto/of_error.h"
#include "ofproto/of_text.h"
#include "ofproto/oxm.h"
#include "tests/unit/ofproto/underlay_lab.h"

#define EXPECT(T, PACKET, ACTIONS) assert_string_equal(lab_translate(T, PACKET), ACTIONS)

/* Bytes of digits, blanks passed over. */
static size_t
hex(const char *text, uint8_t *bytes, size_t size)
{
	size_t n = 0;
	unsigned byte;
	int used;

	while (sscanf(text, " %2x%n", &byte, &used) == 1) {
		assert_true(n < size);
		bytes[n++] = (uint8_t)byte;
		text += used;
	}
	return n;
}

/* The mappings of @text are added; 0, or Nicira's code of the refusal. */
static int
map(struct ofproto *p, const char *text)
{
	struct of_tlv_entry entries[OF_TLV_FIELDS];
	struct weft_error err = WEFT_ERROR_INIT;
	size_t n;

	assert_true(of_tlv_parse(text, strlen(text), false, OF_TLV_FIELDS, entries, &n, &err));
	if (ofproto_tlv_mod(p, OF_TLV_ADD, entries, n, &err)) {
		return 0;
	}
	assert_int_equal(err.domain, WEFT_ERR_OPENFLOW);
	assert_int_equal(err.code, OFPET_NICIRA);
	return err.subcode;
}

/* Takes fields away, or with NULL all. */
static int
unmap(struct ofproto *p, const char *text)
{
	struct of_tlv_entry entries[OF_TLV_FIELDS];
	struct weft_error err = WEFT_ERROR_INIT;
	size_t n = 0;

	assert_true(
		!text || of_tlv_parse(text, strlen(text), true, OF_TLV_FIELDS, entries, &n, NULL));
	return ofproto_tlv_mod(p, text ? OF_TLV_DELETE : OF_TLV_CLEAR, entries, n, &err)
		       ? 0
		       : err.subcode;
}

/* "N:class/type/len@offset.slot .." */
static const char *
table(const struct ofproto *p)
{
	static char text[1024];
	struct of_tlv tlv;
	size_t at = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < OF_TLV_FIELDS; i++) {
		if (of_tlv_get(ofproto_tlvs(p), i, &tlv)) {
			at += (size_t)snprintf(text + at, sizeof text - at, "%s%u:%x/%x/%u@%u.%u",
				at ? " " : "", i, tlv.opt_class, tlv.type, tlv.len, tlv.offset,
				tlv.slot);
		}
	}
	return text;
}

static void
test_tlv_tables_share_places(void **state)
{
	struct underlay_lab *t = *state;
	struct dp_tun_opt opts[OF_TLV_FIELDS];

	assert_int_equal(map(t->s1, "{class=0x102,type=1,len=8}->tun_metadata3,"
				    "{class=0x102,type=2,len=0}->tun_metadata0"),
		0);
	/* The same option has the same place under another name; others have their own. */
	assert_int_equal(map(t->u, "{class=7,type=0x80,len=4}->tun_metadata3,"
				   "{class=0x102,type=1,len=8}->tun_metadata63"),
		0);
	assert_string_equal(table(t->s1), "0:102/2/0@0.1 3:102/1/8@0.0");
	assert_string_equal(table(t->u), "3:7/80/4@8.2 63:102/1/8@0.0");
	assert_int_equal(of_model_tlvs(t->w.model, opts), 3);
	/* An option has one length. */
	assert_int_equal(map(t->s1, "{class=7,type=0x80,len=8}->tun_metadata1"), NXTTMFC_DUP_ENTRY);
	/* A place is free when nobody has it any more. */
	assert_int_equal(unmap(t->s1, "tun_metadata3"), 0);
	assert_int_equal(map(t->s1, "{class=9,type=0,len=8}->tun_metadata1"), 0);
	assert_string_equal(table(t->s1), "0:102/2/0@0.1 1:9/0/8@12.3");
	assert_int_equal(unmap(t->u, NULL), 0);
	assert_int_equal(map(t->s1, "{class=9,type=1,len=12}->tun_metadata2"), 0);
	assert_string_equal(table(t->s1), "0:102/2/0@0.1 1:9/0/8@12.3 2:9/1/12@0.0");
	assert_int_equal(of_model_tlvs(t->w.model, opts), 3);
}

static void
test_tlv_limits_and_errors(void **state)
{
	static const struct {
		const char *text;
		int error;
	} rows[] = {
		{"{class=1,type=1,len=4}->tun_metadata1", NXTTMFC_ALREADY_MAPPED},
		{"{class=1,type=0,len=4}->tun_metadata2", NXTTMFC_DUP_ENTRY},
		{"{class=1,type=1,len=6}->tun_metadata2", NXTTMFC_BAD_OPT_LEN},
		{"{class=1,type=1,len=128}->tun_metadata2", NXTTMFC_BAD_OPT_LEN},
		{"{class=1,type=1,len=56}->tun_metadata2", NXTTMFC_TABLE_FULL},
		/* All of it or nothing. */
		{"{class=1,type=1,len=48}->tun_metadata2,{class=1,type=2,len=8}->tun_metadata3",
			NXTTMFC_TABLE_FULL},
		{"{class=1,type=1,len=4}->tun_metadata2,{class=1,type=1,len=4}->tun_metadata3",
			NXTTMFC_DUP_ENTRY},
		{"{class=1,type=1,len=4}->tun_metadata2,{class=1,type=2,len=4}->tun_metadata2",
			NXTTMFC_ALREADY_MAPPED},
	};
	struct of_tlv_entry beyond = {1, 1, 4, 64};
	struct underlay_lab *t = *state;
	struct weft_error err = WEFT_ERROR_INIT;

	assert_int_equal(map(t->s1, "{class=1,type=0,len=4}->tun_metadata1"), 0);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(rows); i++) {
		assert_int_equal(map(t->s1, rows[i].text), rows[i].error);
		assert_string_equal(table(t->s1), "1:1/0/4@0.0");
	}
	assert_false(ofproto_tlv_mod(t->s1, OF_TLV_ADD, &beyond, 1, &err));
	assert_int_equal(err.subcode, NXTTMFC_BAD_FIELD_IDX);
	err = (struct weft_error)WEFT_ERROR_INIT;
	assert_false(ofproto_tlv_mod(t->s1, OF_TLV_N, NULL, 0, &err));
	assert_int_equal(err.subcode, NXTTMFC_BAD_COMMAND);
	/* All that there is. */
	assert_int_equal(map(t->s1, "{class=1,type=1,len=52}->tun_metadata2"), 0);
	assert_string_equal(table(t->s1), "1:1/0/4@0.0 2:1/1/52@4.1");
	assert_int_equal(map(t->s1, "{class=1,type=2,len=4}->tun_metadata3"), NXTTMFC_TABLE_FULL);
	assert_int_equal(map(t->s1, "{class=1,type=2,len=0}->tun_metadata3"), 0);
}

static void
test_tlv_used_fields_stay(void **state)
{
	static const char *const uses[] = {
		"tun_metadata1,actions=2",
		"tun_metadata1=5/0xf,actions=2",
		"in_port=1,actions=set_field:5->tun_metadata1",
		"in_port=1,actions=set_field:0x50/0xf0->tun_metadata1",
		"in_port=1,actions=move:NXM_NX_TUN_METADATA1[0..3]->NXM_NX_REG0[0..3]",
		"in_port=1,actions=move:NXM_NX_REG0[0..3]->NXM_NX_TUN_METADATA1[4..7]",
		"in_port=1,actions=delete_field:tun_metadata1",
		"in_port=1,actions=write_actions(set_field:5->tun_metadata1)",
		"in_port=1,actions=clone(set_field:5->tun_metadata1)",
	};
	struct underlay_lab *t = *state;

	assert_int_equal(map(t->s1, "{class=1,type=0,len=4}->tun_metadata1,"
				    "{class=1,type=1,len=4}->tun_metadata2"),
		0);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(uses); i++) {
		lab_flow(t, t->s1, uses[i]);
		assert_int_equal(
			unmap(t->s1, "tun_metadata2,tun_metadata1"), NXTTMFC_INVALID_TLV_DEL);
		assert_int_equal(unmap(t->s1, NULL), NXTTMFC_INVALID_TLV_DEL);
		assert_string_equal(table(t->s1), "1:1/0/4@0.0 2:1/1/4@4.1");
		lab_flow(t, t->s1, "delete");
	}
	assert_int_equal(unmap(t->s1, "tun_metadata1,tun_metadata9"), 0);
	assert_string_equal(table(t->s1), "2:1/1/4@4.1");
	world_refuse(&t->w, "tun_metadata1=1,actions=2", OFPET_NICIRA, NXFMFC_INVALID_TLV_FIELD);
	world_refuse(&t->w, "actions=set_field:1->tun_metadata1", OFPET_NICIRA,
		NXFMFC_INVALID_TLV_FIELD);
}

/* As ovs-ofctl sends them; what is sent back has the option's whole size. */
static void
test_tlv_on_the_wire(void **state)
{
	static const struct {
		const char *wire, *text, *back; /* NULL: the same */
	} rows[] = {
		{"00015104 1234 ffff", "tun_metadata0=0x1234/0xffff", "00015108 00001234 0000ffff"},
		{"00015002 1234", "tun_metadata0=0x1234", "00015004 00001234"},
		{"00015100", "tun_metadata0", "00015108 00000000 00000000"},
		{"00015000", "tun_metadata0=0x0", "00015004 00000000"},
		{"00015208 0102030405060708", "tun_metadata1=0x102030405060708", NULL},
		{"0001520a 0000 0102030405060708", "tun_metadata1=0x102030405060708",
			"00015208 0102030405060708"},
		{"0001cf00", "tun_metadata63", NULL},
		{"00015100 0001cf00", "tun_metadata0,tun_metadata63",
			"00015108 00000000 00000000 0001cf00"},
	};
	static const struct {
		const char *wire;
		unsigned type, code;
	} bad[] = {
		{"00015402 1234", OFPET_NICIRA, NXFMFC_INVALID_TLV_FIELD},
		{"00015005 1122334455", OFPET_BAD_MATCH, OFPBMC_BAD_LEN},
		{"00015103 112233", OFPET_BAD_MATCH, OFPBMC_BAD_LEN},
		{"00015104 1234 fff0", OFPET_BAD_MATCH, OFPBMC_BAD_WILDCARDS},
		{"00015004 112233", OFPET_BAD_MATCH, OFPBMC_BAD_LEN},
		{"00015002 1234 00015002 1234", OFPET_BAD_MATCH, OFPBMC_DUP_FIELD},
	};
	struct underlay_lab *t = *state;
	struct of_text_names names;
	uint8_t bytes[64], back[64];

	assert_int_equal(map(t->s1, "{class=1,type=0,len=4}->tun_metadata0,"
				    "{class=1,type=1,len=8}->tun_metadata1,"
				    "{class=1,type=2,len=0}->tun_metadata63"),
		0);
	names = of_text_names_of(t->s1);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(rows); i++) {
		size_t len = hex(rows[i].wire, bytes, sizeof bytes);
		size_t back_len =
			hex(rows[i].back ? rows[i].back : rows[i].wire, back, sizeof back);
		struct strbuf text = STRBUF_INIT, out = STRBUF_INIT;
		struct of_match m, again;

		assert_true(oxm_decode_match(bytes, len, 0, ofproto_tlvs(t->s1), &m, NULL));
		of_text_format_match(&m, OF_DEFAULT_PRIORITY, &names, &text);
		assert_string_equal(strbuf_text(&text), rows[i].text);
		assert_true(of_text_parse_match(text.data, text.len, &names, &again, NULL));
		assert_true(of_match_equal(&m, &again));
		oxm_encode_match(&out, &m, 4, ofproto_tlvs(t->s1));
		assert_int_equal(out.len, back_len);
		assert_memory_equal(out.data, back, back_len);
		strbuf_uninit(&text);
		strbuf_uninit(&out);
	}
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(bad); i++) {
		size_t len = hex(bad[i].wire, bytes, sizeof bytes);
		struct weft_error err = WEFT_ERROR_INIT;
		struct of_match m;

		assert_false(oxm_decode_match(bytes, len, 0, ofproto_tlvs(t->s1), &m, &err));
		assert_int_equal(err.code, bad[i].type);
		assert_int_equal(err.subcode, bad[i].code);
	}
}

static void
test_tlv_texts(void **state)
{
	static const char *const sound[] = {
		"set_field:0x1234->tun_metadata0",
		"set_field:0x1200/0xff00->tun_metadata0",
		"set_field:0x102030405060708->tun_metadata1",
		"set_field:0x0->tun_metadata63",
		"delete_field:tun_metadata1",
		"move:NXM_NX_TUN_METADATA1[32..63]->NXM_NX_TUN_METADATA0[0..31]",
		"move:NXM_NX_REG0[3]->NXM_NX_TUN_METADATA1[63]",
	};
	static const char *const unsound[] = {
		"set_field:0x112233445->tun_metadata0",
		"set_field:1->tun_metadata2",
		"set_field:1->tun_metadata63",
		"set_field:1->tun_metadata64",
		"set_field:1->tun_metadata01",
		"set_field:1->tun_opts",
		"set_field:1->tun_opts_present",
		"load:1->tun_opts[0..3]",
		"load:1->NXM_NX_TUN_METADATA0[32]",
		"load:1->NXM_NX_TUN_METADATA63[0]",
		"move:NXM_NX_TUN_METADATA0[16..47]->NXM_NX_REG0[]",
		"delete_field:tun_metadata2",
		"delete_field:eth_src",
	};
	static const char *const tables[] = {"", "{class=1,type=0,len=4}", "tun_metadata0",
		"{class=1,type=256,len=4}->tun_metadata0", "{class=1,len=4}->tun_metadata0",
		"{class=1,type=0,len=4,x=1}->tun_metadata0",
		"{class=1,type=0,len=4}->tun_metadata64", "{class=1,type=0,len=4->tun_metadata0",
		"{class=1,type=0,len=4}->tun_metadata0,x"};
	struct underlay_lab *t = *state;
	struct of_text_names names;
	struct of_tlv_entry entries[2];
	size_t n;

	assert_int_equal(map(t->s1, "{class=1,type=0,len=4}->tun_metadata0,"
				    "{class=1,type=1,len=8}->tun_metadata1,"
				    "{class=1,type=2,len=0}->tun_metadata63"),
		0);
	names = of_text_names_of(t->s1);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(sound); i++) {
		struct strbuf text = STRBUF_INIT;
		struct of_actions list;

		of_actions_init(&list);
		assert_true(of_text_parse_actions(
			sound[i], strlen(sound[i]), true, &names, &list, NULL));
		of_text_format_actions(list.data, list.size, &names, &text);
		assert_string_equal(strbuf_text(&text), sound[i]);
		of_actions_uninit(&list);
		strbuf_uninit(&text);
	}
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(unsound); i++) {
		struct weft_error err = WEFT_ERROR_INIT;
		struct of_actions list;

		of_actions_init(&list);
		if (of_text_parse_actions(
			    unsound[i], strlen(unsound[i]), true, &names, &list, &err)) {
			fail_msg("%s: taken", unsound[i]);
		}
		assert_true(err.text[0]);
		of_actions_uninit(&list);
	}
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(tables); i++) {
		if (of_tlv_parse(tables[i], strlen(tables[i]), false, 2, entries, &n, NULL)) {
			fail_msg("%s: taken", tables[i]);
		}
	}
	assert_false(of_tlv_parse(
		"tun_metadata1,tun_metadata2,tun_metadata3", 41, true, 2, entries, &n, NULL));
}

/* A packet out of the tunnel, with the options of @slots and their data. */
static const char *
out_of(struct underlay_lab *t, uint64_t slots, const char *data)
{
	struct flow_key key;

	world_key("in_port=30,tun_id=5,tun_src=192.0.2.2,tun_dst=192.0.2.1", &key);
	key.tun_opts_present = be64_from(slots);
	hex(data, key.tun_opts, sizeof key.tun_opts);
	return lab_translate_key(t, &key);
}

static void
test_tlv_matches_and_sets(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = lab_tunnel("192.0.2.2");
	char zeros[2][128], rest[64];

	tunnel.kind = DP_TUNNEL_GENEVE;
	tunnel.dst_port = 6081;
	lab_tunnel_port(t, 20, &tunnel);
	lab_route(t, 2, 1, 2);
	lab_flow(t, t->u, "in_port=9,actions=output:1");
	assert_int_equal(map(t->s1, "{class=1,type=0,len=4}->tun_metadata0,"
				    "{class=1,type=1,len=4}->tun_metadata1"),
		0);
	lab_flow(t, t->s1, "priority=3,in_port=20,tun_metadata0=0x1200/0xff00,actions=output:2");
	lab_flow(t, t->s1, "priority=2,in_port=20,tun_metadata0=0,actions=output:3");
	lab_flow(t, t->s1, "priority=1,in_port=20,tun_metadata0,actions=output:4");
	lab_flow(t, t->s1, "priority=0,in_port=20,actions=output:5");
	assert_string_equal(out_of(t, 1, "ffff12ff"), "output(12)");
	assert_string_equal(out_of(t, 1, "00000000"), "output(13)");
	assert_string_equal(out_of(t, 3, "00000001"), "output(14)");
	/* Without the option its zeroes are none. */
	assert_string_equal(out_of(t, 0, ""), "output(15)");
	assert_string_equal(out_of(t, 2, "0000000000001200"), "output(15)");
	lab_flow(t, t->s1, "delete");
	/* Into the tunnel: data and presence; a bit of what was there; nothing at all. */
	lab_flow(t, t->s1, "in_port=1,actions=set_field:0x1234->tun_metadata1,output:20");
	lab_translate(t, "in_port=1");
	assert_int_equal(sscanf(t->w.text, "set(tun_opts=0x1234%127[0]/0xffffffff%127[0]),%63s",
				 zeros[0], zeros[1], rest),
		3);
	/* At bytes 4 to 7 of 56. */
	assert_int_equal(strlen(zeros[0]), 96);
	assert_int_equal(strlen(zeros[1]), 96);
	assert_string_equal(rest, "set(tun_opts_present=0x2/0x2),encap(1.1),output(31)");
	lab_flow(t, t->s1, "in_port=20,actions=delete_field:tun_metadata0,IN_PORT");
	assert_string_equal(out_of(t, 3, "0000000500000006"),
		"set(tun_opts_present=0/0x1),encap(1.1),output(31)");
	/* What is moved is a constant of the flow. */
	lab_flow(t, t->s1,
		"in_port=20,actions=move:NXM_NX_TUN_METADATA0[0..7]->NXM_NX_REG0[0..7],resubmit(,1)");
	lab_flow(t, t->s1, "table=1,reg0=5,actions=output:2");
	assert_string_equal(out_of(t, 3, "0000000500000006"), "output(12)");
	assert_non_null(strstr(world_mask(&t->w), "tun_opts/"));
	assert_string_equal(out_of(t, 3, "0000000600000006"), "drop");
}

static void
test_tlv_options_of_other_switches(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = lab_tunnel("192.0.2.2");

	tunnel.kind = DP_TUNNEL_GENEVE;
	tunnel.dst_port = 6081;
	lab_tunnel_port(t, 20, &tunnel);
	lab_route(t, 2, 1, 2);
	lab_flow(t, t->u, "in_port=9,actions=output:1");
	assert_int_equal(map(t->u, "{class=1,type=0,len=4}->tun_metadata0,"
				   "{class=1,type=0x80,len=4}->tun_metadata1"),
		0);
	lab_flow(t, t->s1, "in_port=20,actions=IN_PORT");
	/* Unknown here: it goes no further; if it must be understood, nor does the packet. */
	assert_string_equal(out_of(t, 0, ""), "encap(1.1),output(31)");
	assert_string_equal(
		out_of(t, 1, "00000005"), "set(tun_opts_present=0/0x1),encap(1.1),output(31)");
	assert_string_equal(out_of(t, 3, "0000000500000006"), "drop(decap-option)");
	/* Its own goes on as it came. */
	assert_int_equal(map(t->s1, "{class=1,type=0x80,len=4}->tun_metadata5"), 0);
	assert_string_equal(out_of(t, 2, "0000000500000006"), "encap(1.1),output(31)");
	assert_string_equal(out_of(t, 3, "0000000500000006"),
		"set(tun_opts_present=0/0x1),encap(1.1),output(31)");
}

static void
test_tlv_import(void **state)
{
	static const struct {
		unsigned index;
		struct of_tlv tlv;
		bool ok;
	} rows[] = {
		{1, {1, 0, 8, 16, 5, 1, 0}, true},
		{2, {1, 1, 4, 20, 6, 1, 0}, false}, /* overlaps */
		{2, {1, 1, 4, 24, 5, 1, 0}, false}, /* slot is taken */
		{2, {1, 1, 6, 24, 6, 1, 0}, false},
		{2, {1, 1, 4, 25, 6, 1, 0}, false},
		{2, {1, 1, 8, 52, 6, 1, 0}, false},
		{2, {1, 1, 4, 24, 64, 1, 0}, false},
		{64, {1, 1, 4, 24, 6, 1, 0}, false},
		{2, {1, 1, 4, 52, 63, 1, 0}, true},
	};
	struct underlay_lab *t = *state;

	for (size_t i = 0; i < WEFT_ARRAY_SIZE(rows); i++) {
		assert_int_equal(
			ofproto_tlv_import(t->s1, rows[i].index, &rows[i].tlv), rows[i].ok);
	}
	assert_string_equal(table(t->s1), "1:1/0/8@16.5 2:1/1/4@52.63");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, underlay_lab_begin, underlay_lab_end)
		TEST(test_tlv_tables_share_places),
		TEST(test_tlv_limits_and_errors),
		TEST(test_tlv_used_fields_stay),
		TEST(test_tlv_on_the_wire),
		TEST(test_tlv_texts),
		TEST(test_tlv_matches_and_sets),
		TEST(test_tlv_options_of_other_switches),
		TEST(test_tlv_import),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

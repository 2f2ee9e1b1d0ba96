/* SPDX-License-Identifier: Apache-2.0
 *
 * Text of field values and matches. The printed forms were taken from `ovs-ofctl parse-flow` (3.1).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/error.h"
#include "lib/field.h"
#include "lib/strbuf.h"
#include "tests/unit/lib/random.h"

#define ROUNDS 30000

/* @out NULL: printed as it was typed. */
static const struct {
	const char *in, *out;
} good[] = {
	{"any", NULL},
	{"", "any"},
	{"ip", NULL},
	{"ipv4", "ip"},
	{"ip4", "ip"},
	{"ip6", "ipv6"},
	{"ipv6", NULL},
	{"arp", NULL},
	{"rarp", NULL},
	{"icmp", NULL},
	{"icmp6", NULL},
	{"icmpv6", "icmp6"},
	{"tcp", NULL},
	{"tcp6", NULL},
	{"udp", NULL},
	{"udp6", NULL},
	{"sctp", NULL},
	{"sctp6", NULL},
	{"mpls", NULL},
	{"mplsm", NULL},
	{"eth", "any"},
	{"dl_type=0x0800", "ip"},
	{"eth_type=2048,ip_proto=6,tcp_dst=80", "tcp,tp_dst=80"},
	{"dl_type=0x88cc", NULL},
	{"ip,nw_proto=2", NULL},
	{"ip nw_proto=47,\n nw_frag=first", "ip,nw_proto=47,nw_frag=first"},
	{"tp_src=80,nw_src=10.0.0.1/8,tcp,in_port=1,dl_vlan=10,dl_vlan_pcp=3,dl_src=0:0:0:0:0:1,"
	 "dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,nw_dst=10.0.0.0/255.0.255.0,tp_dst=0x5f/0xfff0,"
	 "nw_tos=16,nw_ecn=2,nw_ttl=64",
		"tcp,in_port=1,dl_vlan=10,dl_vlan_pcp=3,dl_src=00:00:00:00:00:01,"
		"dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,nw_src=10.0.0.0/8,nw_dst=10.0.0.0/255.0.255.0,"
		"nw_tos=16,nw_ecn=2,nw_ttl=64,tp_src=80,tp_dst=0x50/0xfff0"},
	{"tcp,tcp_flags=+syn-ack", NULL},
	{"tcp,tcp_flags=0x812", "tcp,tcp_flags=syn|ack|[800]"},
	{"tcp,tcp_flags=0x812/0xfff", "tcp,tcp_flags=syn|ack|[800]"},
	{"tcp,tcp_flags=0", NULL},
	{"tcp,tcp_flags=0x200/0x200", "tcp,tcp_flags=+[200]"},
	{"ct_state=+trk-new,ct_zone=5,ct_mark=3/7,ct_label=0x5",
		"ct_state=-new+trk,ct_zone=5,ct_mark=0x3/0x7,ct_label=0x5"},
	{"ct_state=0x21", "ct_state=new|trk"},
	{"ct_state=new|trk", NULL},
	{"ct_state=0/0xff", "ct_state=0"},
	{"ct_label=0x5/0xff,ct_zone=0x10", "ct_zone=16,ct_label=0x5/0xff"},
	{"ct_label=0x123456789abcdef0fedcba9876543210", NULL},
	{"ct_nw_src=1.2.3.4,ct_ipv6_dst=fe80::1,ct_nw_proto=6,ct_tp_src=5,ct_tp_dst=8/0xf8",
		"ct_nw_src=1.2.3.4,ct_ipv6_dst=fe80::1,ct_nw_proto=6,ct_tp_src=5,ct_tp_dst=0x8/0xf8"},
	{"dl_vlan=0xffff", "vlan_tci=0x0000/0x1fff"},
	{"dl_vlan=65535", "vlan_tci=0x0000/0x1fff"},
	{"vlan_vid=0", "vlan_tci=0x0000/0x1fff"},
	{"vlan_vid=0x100a", "dl_vlan=10"},
	{"vlan_vid=0x100a/0x1fff", "dl_vlan=10"},
	{"vlan_vid=0x1000/0x1000", "vlan_tci=0x1000/0x1000"},
	{"vlan_tci=0x1fff/0x1ff0", "vlan_tci=0x1ff0/0x1ff0"},
	{"vlan_tci=0", "vlan_tci=0x0000"},
	{"dl_vlan_pcp=5", NULL},
	{"vlan_pcp=5,dl_vlan=3", "dl_vlan=3,dl_vlan_pcp=5"},
	{"vlan_tpid=0x88a8,inner_tci=0x1064,inner_tpid=0x8100", NULL},
	{"arp,arp_spa=1.2.3.4,arp_op=2,arp_sha=00:00:00:00:00:02,arp_tha=00:00:00:00:00:03", NULL},
	{"arp,nw_proto=1,nw_src=10.0.0.1,nw_dst=10.0.0.0/24",
		"arp,arp_spa=10.0.0.1,arp_tpa=10.0.0.0/24,arp_op=1"},
	{"icmp,icmp_type=8,icmp_code=0", NULL},
	{"icmp,tp_src=8,tp_dst=1", "icmp,icmp_type=8,icmp_code=1"},
	{"icmp6,icmpv6_type=135,nd_target=fe80::1,nd_sll=00:00:00:00:00:02",
		"icmp6,icmp_type=135,nd_target=fe80::1,nd_sll=00:00:00:00:00:02"},
	{"icmp6,icmp_type=136,nd_target=fe80::/64,nd_tll=00:00:00:00:00:02", NULL},
	{"ipv6,ipv6_src=fe80::/10,ipv6_label=5,nw_proto=50",
		"ipv6,ipv6_src=fe80::/10,ipv6_label=0x00005,nw_proto=50"},
	{"ipv6,ipv6_dst=fe80::1/ffff::ffff,ipv6_label=5/0xf",
		"ipv6,ipv6_dst=fe80::1/ffff::ffff,ipv6_label=0x00005/0x0000f"},
	{"ip,ip_frag=no", "ip,nw_frag=no"},
	{"ip,nw_frag=yes", NULL},
	{"ip,nw_frag=not_later", NULL},
	{"ip,nw_frag=later", NULL},
	{"ip,nw_frag=2/3", "ip,nw_frag=0x2"},
	{"ip,nw_tos=5", "ip,nw_tos=4"},
	{"ip,nw_tos=5/0xff", "ip,nw_tos=4,nw_ecn=1"},
	{"ip,ip_dscp=5", "ip,nw_tos=20"},
	{"ip,nw_tos=8/0x18", "ip,nw_tos=8/0x18"},
	{"tun_id=5,tun_src=1.2.3.4,tun_dst=1.2.3.4/16",
		"tun_id=0x5,tun_src=1.2.3.4,tun_dst=1.2.0.0/16"},
	{"tun_id=0x100000001/0xff000000ff", "tun_id=0x100000001/0xff000000ff"},
	{"tun_src=0.0.0.0/0", NULL},
	{"tun_ipv6_src=::ffff:1.2.3.4", "tun_src=1.2.3.4"},
	{"tun_ipv6_src=fe80::1,tun_gbp_id=7,tun_gbp_flags=8,tun_tos=3,tun_ttl=9",
		"tun_ipv6_src=fe80::1,tun_gbp_id=7,tun_gbp_flags=0x8,tun_tos=3,tun_ttl=9"},
	{"tun_flags=+oam-csum", NULL},
	{"tun_flags=0x4000/0x4000", NULL},
	{"tun_erspan_ver=2,tun_erspan_dir=1,tun_erspan_hwid=5",
		"tun_erspan_ver=2,tun_erspan_dir=1,tun_erspan_hwid=0x5"},
	{"reg0=5,reg1=1/1,metadata=7/0xf", "reg0=0x5,reg1=0x1/0x1,metadata=0x7/0xf"},
	{"xreg0=5/0xff,xxreg1=0x1234", "reg1=0x5/0xff,reg4=0,reg5=0,reg6=0,reg7=0x1234"},
	{"pkt_mark=5,recirc_id=0,dp_hash=3,conj_id=7",
		"pkt_mark=0x5,recirc_id=0,dp_hash=0x3,conj_id=7"},
	{"mpls,mpls_label=5,mpls_bos=1,mpls_tc=3,mpls_ttl=4",
		"mpls,mpls_label=5,mpls_tc=3,mpls_ttl=4,mpls_bos=1"},
	{"packet_type=(1,0x800)", NULL},
	{"in_port=3,actset_output=4,in_phy_port=5", "actset_output=4,in_port=3,in_phy_port=5"},
	{"ip,nw_src=*,nw_dst=ANY,nw_ttl=any", "ip"},
	{"ip,nw_src=1.2.3.4/0.0.0.0", "ip"},
	{"tcp,nw_proto=6", "tcp"},
	{"metadata=7/0xf,metadata=0x17/0x1f", "metadata=0x17/0x1f"},
	{"bad_l3=0,bad_l4=1", NULL},
	{"pbb_isid=5,pbb_uca=1", "pbb_isid=0x5,pbb_uca=1"},
	{"dl_type=0x0800/0xff00", "dl_type=0x0800/0xff00"},
};

/* Errors name what is wrong and what to do. */
static const struct {
	const char *in, *error;
} bad[] = {
	{"ip,nw_src=10.0.0.256",
		"nw_src=10.0.0.256: not a value of 32 bits; write an IPv4 address as 10.0.0.1"},
	{"ip,tp_src=70000",
		"tp_src=70000: not a value of 16 bits; write a decimal number, or 0x and a hexadecimal one"},
	{"vlan_vid=8192",
		"vlan_vid=8192: not a value of 13 bits; write a decimal number, or 0x and a hexadecimal one"},
	{"dl_vlan=4096", "dl_vlan=4096: not a VLAN; write 0 to 4095, or 0xffff for untagged"},
	{"dl_vlan=010", "dl_vlan=010: not a VLAN; write 0 to 4095, or 0xffff for untagged"},
	{"nw_src=1.2.3.4/33",
		"nw_src: /33 is not a mask for it; write it like a value, or as the number of leading bits"},
	{"dl_src=1:2:3:4:5",
		"dl_src=1:2:3:4:5: not a value of 48 bits; write an Ethernet address as 00:11:22:aa:bb:cc"},
	{"tcp_flags=+syn+syn",
		"tcp_flags=+syn+syn: not a value of 12 bits; write flags as +syn-ack, syn|ack or 0x012"},
	{"tcp_flags=syn|",
		"tcp_flags=syn|: not a value of 12 bits; write flags as +syn-ack, syn|ack or 0x012"},
	{"ip,ip_frag=maybe",
		"ip_frag=maybe: not a value of 2 bits; write no, yes, first, later or not_later"},
	{"ip,arp", "eth_type contradicts what stands before it; leave one of them out"},
	{"dl_vlan=0xffff,dl_vlan_pcp=1",
		"vlan_tci contradicts what stands before it; leave one of them out"},
	{"foo=1", "foo is no field of a match; ovs-fields(7) lists them"},
	{"tcp=1", "tcp is no field of a match; ovs-fields(7) lists them"},
	{"nw_src", "nw_src has no value; write nw_src=VALUE"},
	{"nw_ttl=",
		"nw_ttl=: not a value of 8 bits; write a decimal number, or 0x and a hexadecimal one"},
	{"nw_ttl=-1",
		"nw_ttl=-1: not a value of 8 bits; write a decimal number, or 0x and a hexadecimal one"},
	{"metadata=0x10000000000000000",
		"metadata=0x10000000000000000: not a value of 64 bits; write a decimal number, or 0x and a hexadecimal one"},
	{"packet_type=(1,0x80000)",
		"packet_type=(1,0x80000): not a value of 32 bits; write a packet type as (NAMESPACE,TYPE), such as (1,0x800)"},
};

static void
test_flow_text_reads_and_prints(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct weft_error err = WEFT_ERROR_INIT;
		struct flow_key key, key2;
		struct flow_mask mask, mask2;
		struct strbuf s = STRBUF_INIT;
		const char *want = good[i].out ? good[i].out : good[i].in;

		if (!flow_text_parse(good[i].in, strlen(good[i].in), &key, &mask, &err)) {
			fail_msg("%s: %s", good[i].in, err.text);
		}
		flow_text_format(&key, &mask, &s);
		assert_string_equal(strbuf_text(&s), want);
		assert_true(flow_text_parse(want, strlen(want), &key2, &mask2, &err));
		assert_memory_equal(&key, &key2, sizeof key);
		assert_memory_equal(&mask, &mask2, sizeof mask);
		strbuf_uninit(&s);
	}
}

static void
test_flow_text_refuses_in_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct weft_error err = WEFT_ERROR_INIT;
		struct flow_key key;
		struct flow_mask mask;

		assert_false(flow_text_parse(bad[i].in, strlen(bad[i].in), &key, &mask, &err));
		assert_string_equal(err.text, bad[i].error);
	}
}

static void
test_flow_text_tells_where(void **state)
{
	const char *text = "ip,nw_ttl=5, nw_src=x";
	struct weft_error err = WEFT_ERROR_INIT;
	struct flow_key key;
	struct flow_mask mask;

	(void)state;
	assert_false(flow_text_parse(text, strlen(text), &key, &mask, &err));
	assert_int_equal(err.offset, 13);
	assert_false(flow_text_parse(text, strlen(text), &key, &mask, NULL));
}

static bool
parse_port(void *user, const char *text, size_t len, uint32_t *port)
{
	*port = 7;
	return len == 3 && !memcmp(text, user, 3);
}

static void
format_port(void *user, uint32_t port, struct strbuf *out)
{
	strbuf_put(out, port == 7 ? user : "?");
}

static void
test_flow_text_names_ports(void **state)
{
	char name[] = "vm1";
	struct flow_text_ports ports = {parse_port, format_port, name, NULL};
	struct flow_text_item items[] = {
		{"in_port", 7, "vm1", 3},
		{"actset_output", 13, "vm1", 3},
		{"tcp", 3, NULL, 0},
	};
	struct flow_text_item unknown = {"priority", 8, "5", 1}, wrong = {"in_port", 7, "vm2", 3};
	struct flow_text_item masked = {"nw_ttl", 6, "5/5", 3}, any = {"in_port", 7, "ANY", 3};
	struct weft_error err = WEFT_ERROR_INIT;
	struct flow_key key = {0};
	struct flow_mask mask = {0};
	struct strbuf s = STRBUF_INIT;

	(void)state;
	flow_text_format_match(&key, &mask, &ports, &s);
	assert_string_equal(strbuf_text(&s), "");
	for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
		assert_int_equal(flow_text_parse_item(&items[i], &ports, &key, &mask, &err), 0);
	}
	assert_int_equal(flow_text_parse_item(&any, &ports, &key, &mask, &err), 0);
	flow_text_format_match(&key, &mask, &ports, &s);
	assert_string_equal(strbuf_text(&s), "actset_output=vm1,tcp,in_port=vm1");
	assert_int_equal(flow_text_parse_item(&unknown, &ports, &key, &mask, &err), -2);
	assert_false(weft_error_is_set(&err));
	assert_int_equal(flow_text_parse_item(&wrong, &ports, &key, &mask, &err), -22);
	assert_string_equal(err.text,
		"in_port=vm2: no port of that name; write a port's number or name, or LOCAL");
	weft_error_init(&err);
	assert_int_equal(flow_text_parse_item(&masked, &ports, &key, &mask, &err), -22);
	assert_string_equal(err.text, "nw_ttl takes no mask; leave out what follows the slash");
	strbuf_uninit(&s);
}

static void
test_field_value_alone(void **state)
{
	static const char *const refused[] = {"10.0.0.0/8", "ANY", "*"};
	const struct field *f = field_get(FIELD_IPV4_SRC);
	union field_value value, mask;
	struct strbuf s = STRBUF_INIT;

	(void)state;
	assert_true(field_parse_value(f, "10.0.0.1", 8, &value, NULL, NULL));
	field_format_value(f, &value, NULL, &s);
	assert_string_equal(strbuf_text(&s), "10.0.0.1");
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		assert_false(
			field_parse_value(f, refused[i], strlen(refused[i]), &value, NULL, NULL));
	}
	assert_true(field_parse_value(f, "10.1.2.3/8", 10, &value, &mask, NULL));
	assert_memory_equal(value.b, "\x0a\0\0\0", 4); /* no bit outside the mask */
	assert_memory_equal(mask.b, "\xff\0\0\0", 4);
	assert_false(field_parse_value(field_get(FIELD_TCP_FLAGS), "+syn", 4, &value, NULL, NULL));
	assert_false(field_parse_value(field_get(FIELD_IP_FRAG), "yes", 3, &value, NULL, NULL));
	assert_true(field_parse_value(field_get(FIELD_IP_FRAG), "no", 2, &value, NULL, NULL));
	strbuf_uninit(&s);
}

/* Any bits of any field. */
static void
add_random_field(struct flow_key *key, struct flow_mask *mask)
{
	enum field_id id = (enum field_id)random_below(FIELD_N);
	const struct field *f = field_get(id);
	union field_value value, bits, ones;

	if (id == FIELD_IP_FRAG) {
		return; /* some have a shorter equal */
	}
	random_bytes(&value, sizeof value);
	random_bytes(&bits, sizeof bits);
	field_value_ones(f, &ones);
	if (random_below(2)) {
		bits = ones;
	}
	if (!random_below(8)) {
		memset(&value, 0, sizeof value);
		value.b[10] = value.b[11] = 0xff;
	}
	for (unsigned i = 0; i < f->n_bytes; i++) {
		value.b[i] &= bits.b[i];
	}
	field_store_masked(f, key, &value, &bits);
	field_store_masked(f, &mask->bits, &bits, &bits);
}

static void
add_random_type(struct flow_key *key, struct flow_mask *mask)
{
	static const uint16_t types[] = {0x0800, 0x86dd, 0x0806, 0x8035, 0x8847, 0x88cc};
	static const uint8_t protos[] = {1, 6, 17, 58, 132, 2};

	key->eth_type = be16_from(types[random_below(6)]);
	mask->bits.eth_type = UINT16_MAX;
	if (random_below(2)) {
		key->ip_proto = protos[random_below(6)];
		mask->bits.ip_proto = UINT8_MAX;
	}
}

/* Whatever is printed parses to the same bits. */
static void
test_flow_text_round_trip(void **state)
{
	(void)state;
	random_begin("flow_text");
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct weft_error err = WEFT_ERROR_INIT;
		struct flow_key key = {0}, key2;
		struct flow_mask mask = {0}, mask2;
		struct strbuf s = STRBUF_INIT;

		if (random_below(4)) {
			add_random_type(&key, &mask);
		}
		for (unsigned n = random_below(5); n > 0; n--) {
			add_random_field(&key, &mask);
		}
		flow_text_format(&key, &mask, &s);
		if (!flow_text_parse(s.data, s.len, &key2, &mask2, &err)) {
			fail_msg("%s: %s", s.data, err.text);
		}
		if (memcmp(&key, &key2, sizeof key) || memcmp(&mask, &mask2, sizeof mask)) {
			fail_msg("%s: not the same when read again", s.data);
		}
		strbuf_uninit(&s);
	}
}

/* Text of no more than its length is read: each copy fills its memory to the last byte. */
static void
test_flow_text_cut_and_scribbled(void **state)
{
	(void)state;
	random_begin("flow_text hostile");
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		size_t len = strlen(good[i].in);

		for (size_t cut = 1; cut <= len; cut++) {
			char *copy = malloc(cut);
			struct flow_key key;
			struct flow_mask mask;

			memcpy(copy, good[i].in, cut);
			(void)!flow_text_parse(copy, cut, &key, &mask, NULL);
			for (unsigned n = 0; n < 4; n++) {
				copy[random_below((uint32_t)cut)] = (char)random_u64();
				(void)!flow_text_parse(copy, cut, &key, &mask, NULL);
			}
			free(copy);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flow_text_reads_and_prints),
		cmocka_unit_test(test_flow_text_refuses_in_words),
		cmocka_unit_test(test_flow_text_tells_where),
		cmocka_unit_test(test_flow_text_names_ports),
		cmocka_unit_test(test_field_value_alone),
		cmocka_unit_test(test_flow_text_round_trip),
		cmocka_unit_test(test_flow_text_cut_and_scribbled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Traces: what a text, or bytes, are taken for.
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
#include "ofproto/of_text.h"
#include "ofproto/of_trace.h"
#include "tests/unit/ofproto/world.h"

static void
test_trace_parse(void **state)
{
	static const struct {
		const char *text;
		const char *key; /* all of it; NULL: an error */
		const char *error;
	} rows[] = {
		{"in_port=1", "in_port=1", NULL},
		{"in_port=p3,ip", "in_port=3,ip,nw_ttl=64", NULL},
		{"in_port=\"p3\",nw_src=1.2.3.4", "in_port=3,ip,nw_src=1.2.3.4,nw_ttl=64", NULL},
		{"in_port=1,nw_ttl=3", "in_port=1,ip,nw_ttl=3", NULL},
		{"in_port=1,ipv6_dst=fe80::1", "in_port=1,ipv6,ipv6_dst=fe80::1,nw_ttl=64", NULL},
		{"in_port=1 tcp_dst=80", "in_port=1,tcp,tcp_dst=80,nw_ttl=64", NULL},
		{"tcp_dst=80,ipv6_src=::1,in_port=1",
			"in_port=1,tcp6,ipv6_src=::1,tcp_dst=80,nw_ttl=64", NULL},
		{"in_port=1,ipv6,udp_src=5", "in_port=1,udp6,udp_src=5,nw_ttl=64", NULL},
		{"in_port=1,sctp_src=5", "in_port=1,sctp,sctp_src=5,nw_ttl=64", NULL},
		{"in_port=1,nw_proto=47", "in_port=1,ip,nw_proto=47,nw_ttl=64", NULL},
		{"in_port=1,icmp_type=8", "in_port=1,icmp,icmp_type=8,nw_ttl=64", NULL},
		{"in_port=1,icmp,tp_src=8", "in_port=1,icmp,icmp_type=8,nw_ttl=64", NULL},
		{"in_port=1,icmpv6_type=128", "in_port=1,icmp6,icmpv6_type=128,nw_ttl=64", NULL},
		{"in_port=1,nd_sll=00:00:00:00:00:01",
			"in_port=1,icmp6,icmpv6_type=135,nd_sll=00:00:00:00:00:01,nw_ttl=64", NULL},
		{"in_port=1,nd_tll=00:00:00:00:00:01",
			"in_port=1,icmp6,icmpv6_type=136,nd_tll=00:00:00:00:00:01,nw_ttl=64", NULL},
		{"in_port=1,arp_tpa=1.2.3.4", "in_port=1,arp,arp_tpa=1.2.3.4", NULL},
		{"in_port=1,arp,nw_dst=1.2.3.4", "in_port=1,arp,arp_tpa=1.2.3.4", NULL},
		{"in_port=1,dl_vlan=4", "in_port=1,dl_vlan=4,vlan_tpid=0x8100", NULL},
		{"in_port=1,dl_vlan_pcp=4", "in_port=1,dl_vlan_pcp=4,vlan_tpid=0x8100", NULL},
		{"in_port=1,dl_vlan=4,vlan_tpid=0x88a8", "in_port=1,dl_vlan=4,vlan_tpid=0x88a8",
			NULL},
		{"in_port=1,mpls_label=4", "in_port=1,mpls,mpls_label=4,mpls_bos=1,mpls_ttl=64",
			NULL},
		{"in_port=1,mpls_label=4,mpls_bos=0", "in_port=1,mpls,mpls_label=4,mpls_ttl=64",
			NULL},
		{"in_port=1,pbb_isid=4", "in_port=1,dl_type=0x88e7,pbb_isid=4", NULL},
		{"in_port=1,reg0=4,metadata=5", "in_port=1,reg0=4,metadata=5", NULL},
		{"", NULL, "in_port is missing: by which port does the packet come in?"},
		{"ip", NULL, "in_port is missing: by which port does the packet come in?"},
		{"in_port=77", NULL, "switch s1 has no port 77: see weft port list"},
		{"in_port=nix", NULL,
			"in_port=nix: no port of that name; write a port's number or name, or LOCAL"},
		{"in_port=1,tp_src=4", NULL,
			"tp_src needs tcp, udp or sctp, which the packet is not"},
		{"in_port=1,ip,arp_spa=1.2.3.4", NULL,
			"arp_spa needs arp, which the packet is not"},
		{"in_port=1,arp,tcp_dst=4", NULL,
			"tcp_dst needs tcp or tcp6, which the packet is not"},
		{"in_port=1,udp,tcp_dst=4", NULL,
			"tcp_dst needs tcp or tcp6, which the packet is not"},
		{"in_port=1,priority=4", NULL,
			"priority: unknown; ovs-fields(7) lists the fields of a match"},
		{"in_port=1,actions=drop", NULL,
			"actions: unknown; ovs-fields(7) lists the fields of a match"},
	};
	struct world w;

	(void)state;
	world_init(&w);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(rows); i++) {
		struct weft_error err = WEFT_ERROR_INIT;
		struct flow_key key;
		struct of_match wanted;
		bool ok = of_trace_parse(
			rows[i].text, strlen(rows[i].text), NULL, 0, w.p, &key, &err);

		if (!rows[i].key) {
			assert_false(ok);
			assert_string_equal(err.text, rows[i].error);
			continue;
		}
		if (!ok) {
			fail_msg("%s: %s", rows[i].text, err.text);
		}
		assert_true(
			of_text_parse_match(rows[i].key, strlen(rows[i].key), NULL, &wanted, NULL));
		if (!flow_key_equal(&key, &wanted.value)) {
			struct strbuf s = STRBUF_INIT;
			struct flow_mask all;

			memset(&all, 0xff, sizeof(all));
			flow_text_format(&key, &all, &s);
			fail_msg("%s: %s", rows[i].text, strbuf_text(&s));
		}
	}
	world_uninit(&w);
}

static void
test_trace_parse_packet(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *error;
	} rows[] = {
		{"in_port=1,ip", WORLD_LABELLED_LEN,
			"eth_type: the packet's bytes say what it has; leave the field out"},
		{"in_port=1,dl_src=00:00:00:00:00:01", WORLD_LABELLED_LEN,
			"eth_src: the packet's bytes say what it has; leave the field out"},
		{"in_port=1", 13,
			"a packet of 13 bytes has no complete Ethernet header, or a tag is cut off: "
			"the datapath drops it as rx-truncated"},
		{"ip", WORLD_LABELLED_LEN,
			"in_port is missing: by which port does the packet come in?"},
	};
	struct flow_key key, expected;
	struct world w;

	(void)state;
	world_init(&w);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(rows); i++) {
		struct weft_error err = WEFT_ERROR_INIT;

		assert_false(of_trace_parse(rows[i].text, strlen(rows[i].text), world_labelled,
			rows[i].len, w.p, &key, &err));
		assert_string_equal(err.text, rows[i].error);
	}
	assert_true(of_trace_parse("in_port=2,tun_id=7,reg1=3", 25, world_labelled,
		WORLD_LABELLED_LEN, w.p, &key, NULL));
	world_key("in_port=2,tun_id=7,reg1=3,mpls,mpls_label=7,mpls_ttl=64,mpls_lse1=0x813f,"
		  "dl_src=00:00:00:00:00:01,dl_dst=00:00:00:00:00:02",
		&expected);
	expected.in_port = be32_from(2);
	assert_true(flow_key_equal(&key, &expected));
	/* All zero is a packet too. */
	assert_true(of_trace_parse("in_port=2", 9, (const uint8_t[14]){0}, 14, w.p, &key, NULL));
	world_uninit(&w);
}

static void
test_trace_refuses_absent_ports(void **state)
{
	struct of_port_info info = {.number = OF_PORT(9), .dp_port = DP_PORT_NONE, .name = "p9"};
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_trace_in in;
	struct flow_key key;
	struct world w;

	(void)state;
	world_init(&w);
	assert_true(ofproto_port_set(w.p, &info, NULL));
	assert_true(of_trace_parse("in_port=p9", 10, NULL, 0, w.p, &key, NULL));
	in = (struct of_trace_in){.reader = w.reader, .ofproto = w.p, .key = &key};
	assert_null(of_trace_create(&in, &err));
	assert_string_equal(err.text, "port p9 is not in the datapath: nothing comes in by it");
	weft_error_init(&err);
	key.in_port = be32_from(77);
	assert_null(of_trace_create(&in, &err));
	assert_string_equal(err.text, "switch s1 has no port 77");
	world_uninit(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trace_parse),
		cmocka_unit_test(test_trace_parse_packet),
		cmocka_unit_test(test_trace_refuses_absent_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

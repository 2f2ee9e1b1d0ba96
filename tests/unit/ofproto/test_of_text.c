/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts of flows: what ovs-ofctl 3.1 prints for the same input (`ovs-ofctl -O OpenFlow13 parse-flow`),
 * and round trips.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/error.h"
#include "lib/strbuf.h"
#include "ofproto/of_text.h"
#include "ofproto/ofproto.h"

/* Input; NULL: printed as it is. */
static const struct {
	const char *printed;
	const char *input;
} rows[] = {
	{"priority=5,pkt_mark=0x5,tcp,reg0=0x5,reg15=0x1/0x3,tun_id=0x5,tun_src=1.2.3.4,"
	 "tun_dst=5.6.7.0/24,metadata=0x5/0xf,in_port=1,dl_vlan=10,dl_vlan_pcp=3,"
	 "dl_src=00:00:00:00:00:01,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,nw_src=10.0.0.0/8,"
	 "nw_dst=1.2.3.4,nw_tos=32,nw_ecn=1,nw_ttl=5,nw_frag=no,tp_src=80,tp_dst=0x50/0xfff0 "
	 "actions=output:2",
		NULL},
	{"ip,nw_proto=89 actions=drop", "dl_type=0x0800,nw_proto=89,actions=drop"},
	{"vlan_tci=0x1000/0x1000 actions=drop", "vlan_vid=0x1000/0x1000,actions=drop"},
	{"vlan_tci=0x0000/0x1fff actions=drop", "vlan_vid=0,actions=drop"},
	{"vlan_tci=0x0000/0x1fff actions=drop", "dl_vlan=0xffff actions=drop"},
	{"vlan_tci=0x100a/0x100f actions=drop", NULL},
	{"dl_vlan_pcp=3 actions=drop", NULL},
	{"ipv6,ipv6_src=fe80::/64,ipv6_dst=::1,ipv6_label=0x00005 actions=NORMAL",
		"ipv6,ipv6_src=fe80::/64,ipv6_label=0x5,ipv6_dst=::1,actions=normal"},
	{"icmp6,icmp_type=135,icmp_code=0,nd_target=fe80::1,nd_sll=00:00:00:00:00:02 actions=FLOOD",
		NULL},
	{"arp,arp_spa=1.2.3.4,arp_tpa=1.2.3.0/24,arp_op=1,arp_sha=00:00:00:00:00:01,"
	 "arp_tha=00:00:00:00:00:02 actions=IN_PORT,ALL,LOCAL,CONTROLLER:65535,CONTROLLER:65535,"
	 "CONTROLLER:128",
		"arp,arp_op=1,arp_spa=1.2.3.4,arp_tpa=1.2.3.0/24,arp_sha=00:00:00:00:00:01,"
		"arp_tha=00:00:00:00:00:02,actions=in_port,all,local,controller,controller:65535,"
		"CONTROLLER:128"},
	{"udp6,tp_src=5 actions=output:2,set_queue:3,group:5,enqueue:1:2",
		"udp6,udp_src=5,actions=output:2,set_queue:3,group:5,enqueue(1,2)"},
	{"sctp,tp_dst=5 actions=set_field:10.0.0.1->ip_src,set_field:00:00:00:00:00:05->eth_dst,"
	 "set_field:00:00:00:00:00:07->eth_src,set_field:1.1.1.1->ip_dst,set_field:5->sctp_src,"
	 "set_field:4->ip_dscp,set_field:1->nw_ecn,mod_nw_ttl:3,dec_ttl",
		"sctp,sctp_dst=5,actions=set_field:10.0.0.1->nw_src,set_field:00:00:00:00:00:05->eth_dst,"
		"mod_dl_src:00:00:00:00:00:07,mod_nw_dst:1.1.1.1,mod_tp_src:5,mod_nw_tos:16,mod_nw_ecn:1,"
		"mod_nw_ttl:3,dec_ttl"},
	{"dl_vlan=10 actions=set_field:4101->vlan_vid,set_field:3->vlan_pcp,pop_vlan,mod_vlan_vid:7",
		"dl_vlan=10,actions=mod_vlan_vid:5,mod_vlan_pcp:3,strip_vlan,mod_vlan_vid:7"},
	{"actions=mod_vlan_vid:5,set_field:3->vlan_pcp", "actions=mod_vlan_vid:5,mod_vlan_pcp:3"},
	{"actions=set_field:4103->vlan_vid,set_field:1->vlan_pcp",
		"actions=set_vlan_vid:7,set_vlan_pcp:1"},
	{"vlan_tci=0x0000/0x1fff actions=CONTROLLER:50,controller(id=3),load:0->NXM_NX_REG0[]",
		"vlan_tci=0,actions=controller(max_len=50),controller(id=3),load:0->NXM_NX_REG0[],"
		"write_actions()"},
	{"actions=set_field:1.2.3.4->tun_dst,set_field:2001:db8::1->tun_ipv6_src", NULL},
	{"dl_vlan=10 actions=pop_vlan,push_vlan:0x88a8",
		"dl_vlan=10,actions=strip_vlan,push_vlan:0x88a8"},
	{"actions=push_vlan:0x8100,set_field:4106->vlan_vid,set_field:3->vlan_pcp", NULL},
	{"ip actions=push_mpls:0x8847,set_mpls_ttl(3),dec_mpls_ttl,set_field:5->mpls_label,"
	 "set_field:3->mpls_tc,pop_mpls:0x0800",
		"ip,actions=push_mpls:0x8847,set_mpls_ttl:3,dec_mpls_ttl,set_mpls_label:5,"
		"set_field:3->mpls_tc,pop_mpls:0x0800"},
	{"mpls,mpls_label=5,mpls_tc=3,mpls_ttl=7,mpls_bos=1 actions=dec_mpls_ttl,"
	 "load:0x5->NXM_NX_REG0[],load:0x5->NXM_NX_REG0[0..3],"
	 "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],set_field:0x5/0xf->metadata,resubmit(,5),"
	 "resubmit:3,resubmit(3,4)",
		NULL},
	{"icmp,icmp_type=8,icmp_code=0 actions=meter:3,set_field:0x5/0xff->reg0,clear_actions,"
	 "write_actions(output:3,push_vlan:0x8100),write_metadata:0x5/0xff,goto_table:9",
		NULL},
	{"actions=clone(output:3,set_field:0x5->reg1),"
	 "controller(reason=no_match,max_len=5,id=3,userdata=01.02.03)",
		"actions=clone(output:3,set_field:5->reg1),"
		"controller(max_len=5,reason=no_match,id=3,userdata=01.02.03)"},
	{"ct_state=-new+est+trk,ct_zone=5,ct_mark=0x5/0xf actions=drop",
		"ct_state=+trk+est-new,ct_zone=5,ct_mark=0x5/0xf,actions=drop"},
	{"rarp actions=drop", NULL},
	{"mplsm actions=drop", NULL},
	{"tcp6,tp_dst=5 actions=drop", "nw_proto=6,dl_type=0x86dd,tcp_dst=5,actions=drop"},
	{"in_port=LOCAL actions=set_field:0x1234->tun_id", NULL},
	{"ip,nw_frag=later actions=drop", NULL},
	{"ip,nw_src=1.0.3.0/255.0.255.0 actions=drop",
		"ip,nw_src=1.2.3.4/255.0.255.0,actions=drop"},
	{"dl_type=0x1234 actions=drop", "eth_type=0x1234,actions=drop"},
	{"tcp,tcp_flags=+syn-ack actions=drop", NULL},
	{"tcp,tcp_flags=syn actions=drop", "tcp,tcp_flags=2 actions=drop"},
	{"priority=0 actions=NORMAL", NULL},
	{"arp actions=move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[],set_field:2->arp_op,"
	 "load:0x5->NXM_OF_ARP_OP[],load:0xa->NXM_OF_ETH_DST[0..3],load:0x1->NXM_NX_REG1[3]",
		NULL},
	{"tcp actions=learn(table=10,hard_timeout=300,priority=1,NXM_OF_VLAN_TCI[0..11],"
	 "NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:0->NXM_OF_VLAN_TCI[],"
	 "load:NXM_NX_TUN_ID[]->NXM_NX_TUN_ID[],output:NXM_OF_IN_PORT[])",
		NULL},
	{"actions=learn(table=1)", "actions=learn"},
	{"actions=learn(table=1)", "actions=learn()"},
	{"ip actions=learn(table=3,idle_timeout=3,hard_timeout=9,fin_idle_timeout=4,"
	 "fin_hard_timeout=5,priority=0,send_flow_rem,delete_learned,cookie=0x12,limit=7,"
	 "eth_type=0x800,ip_src=10.0.0.1,NXM_OF_IP_DST[]=NXM_OF_IP_SRC[],NXM_OF_VLAN_TCI[0..11]=0x5,"
	 "output:OXM_OF_IN_PORT[],load:0x123->OXM_OF_METADATA[3..20],load:0x1->NXM_NX_REG0[3],"
	 "in_port=3,eth_type=0x800,NXM_NX_REG0[0..3],OXM_OF_METADATA[40..47]=OXM_OF_METADATA[0..7])",
		"ip actions=learn(eth_type=0x800,nw_src=10.0.0.1,ip_dst=ip_src,vlan_tci[0..11]=5,"
		"send_flow_rem,delete_learned,limit=7,cookie=0x12,idle_timeout=3,fin_idle_timeout=4,"
		"fin_hard_timeout=5,hard_timeout=9,table=3,priority=0,output:OXM_OF_IN_PORT[],"
		"load:0x123->OXM_OF_METADATA[3..20],load:1->NXM_NX_REG0[3],in_port=3,"
		"OXM_OF_ETH_TYPE[]=0x800,reg0[0..3],metadata[40..47]=metadata[0..7])"},
	{"actions=learn(table=1,in_port=LOCAL,OXM_OF_IN_PORT[],eth_dst=00:00:00:00:00:05,reg0=0x5,"
	 "tun_id=0x5,metadata=0x3,vlan_tci=0x1002,tun_src=1.2.3.4,"
	 "NXM_NX_TUN_IPV4_SRC[]=NXM_NX_TUN_IPV4_DST[],"
	 "load:NXM_NX_TUN_IPV4_SRC[]->NXM_NX_TUN_IPV4_DST[])",
		"actions=learn(in_port=LOCAL,OXM_OF_IN_PORT[]=OXM_OF_IN_PORT[],"
		"eth_dst=00:00:00:00:00:05,reg0=0x5,tun_id=5,metadata=0x3,vlan_tci=0x1002,"
		"tun_src=1.2.3.4,tun_src=tun_dst,load:tun_src->tun_dst)"},
	{"actions=learn(table=0,priority=3,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[])",
		"actions=learn( table=0, eth_dst=eth_src  , priority=3)"},
	{"actions=learn(table=1,load:0x123456789abcdef0123->NXM_NX_TUN_IPV6_DST[0..79],"
	 "load:NXM_OF_ETH_SRC[]->NXM_NX_TUN_IPV6_DST[0..47])",
		NULL},
	{"actions=learn(table=1,in_port_oxm=7,in_port=7,load:0->NXM_NX_XXREG0[])",
		"actions=learn(OXM_OF_IN_PORT[]=7,in_port=7,load:0->NXM_NX_XXREG0[])"},
	{"ip actions=learn(table=1,eth_type=0x800,OXM_OF_IP_DSCP[],nw_tos=32)",
		"ip actions=learn(eth_type=0x800,ip_dscp=ip_dscp,NXM_OF_IP_TOS[]=32)"},
	{"tcp actions=fin_timeout(idle_timeout=5,hard_timeout=6)", NULL},
	{"tcp actions=fin_timeout(idle_timeout=5),fin_timeout()", NULL},
};

static void
parse(const char *text, struct of_flow_mod *fm)
{
	struct weft_error err = WEFT_ERROR_INIT;

	if (!of_text_parse_flow(text, strlen(text), false, NULL, fm, &err)) {
		fail_msg("%s: %s (at %zu)", text, err.text, err.offset);
	}
}

static void
print(const struct of_flow_mod *fm, struct strbuf *out)
{
	strbuf_clear(out);
	of_text_format_match(&fm->match, fm->priority, NULL, out);
	strbuf_put(out, out->len ? " actions=" : "actions=");
	of_text_format_actions(fm->actions.data, fm->actions.size, NULL, out);
}

static void
test_text_prints_as_ovs_ofctl(void **state)
{
	struct strbuf out = STRBUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct of_flow_mod fm = {.command = OF_FLOW_ADD}, again = {.command = OF_FLOW_ADD};

		parse(rows[i].input ? rows[i].input : rows[i].printed, &fm);
		print(&fm, &out);
		assert_string_equal(strbuf_text(&out), rows[i].printed);
		/* What was printed means the same. */
		parse(rows[i].printed, &again);
		assert_true(of_match_equal(&fm.match, &again.match));
		assert_true(of_actions_equal(
			fm.actions.data, fm.actions.size, again.actions.data, again.actions.size));
		of_flow_mod_uninit(&fm);
		of_flow_mod_uninit(&again);
	}
	strbuf_uninit(&out);
}

static void
test_text_flow_items(void **state)
{
	struct of_flow_mod fm = {.command = OF_FLOW_ADD};

	(void)state;
	parse("table=3, priority=5,cookie=0x5,idle_timeout=6,hard_timeout=7,importance=8,send_flow_rem,"
	      "check_overlap,reset_counts,no_packet_counts,no_byte_counts,actions=drop",
		&fm);
	assert_int_equal(fm.table, 3);
	assert_int_equal(fm.priority, 5);
	assert_int_equal(fm.cookie, 5);
	assert_int_equal(fm.idle_timeout, 6);
	assert_int_equal(fm.hard_timeout, 7);
	assert_int_equal(fm.importance, 8);
	assert_int_equal(fm.flags, 31);
	fm.command = OF_FLOW_DELETE;
	parse("cookie=0x12/0xf0,out_port=LOCAL,out_group=7,ip", &fm);
	assert_int_equal(fm.table, OF_TABLE_ALL);
	assert_int_equal(fm.cookie, 0x10);
	assert_int_equal(fm.cookie_mask, 0xf0);
	assert_int_equal(fm.out_port.v, OFPP_LOCAL);
	assert_int_equal(fm.out_group, 7);
	fm.command = OF_FLOW_DELETE;
	parse("", &fm);
	assert_true(of_match_is_any(&fm.match));
	of_flow_mod_uninit(&fm);
}

static void
test_text_dump_line(void **state)
{
	struct of_flow_mod fm = {.command = OF_FLOW_ADD}, again = {.command = OF_FLOW_ADD};
	struct strbuf out = STRBUF_INIT;
	struct of_flow_view view;

	(void)state;
	parse("table=2,priority=5,ip,send_flow_rem,idle_timeout=3,hard_timeout=4,importance=9,"
	      "cookie=0xabc,actions=1",
		&fm);
	view = (struct of_flow_view){.match = fm.match,
		.table = 2,
		.priority = 5,
		.idle_timeout = 3,
		.hard_timeout = 4,
		.importance = 9,
		.flags = OF_FLAG_SEND_FLOW_REM,
		.cookie = 0xabc,
		.created_ms = 1000,
		.now_ms = 2250,
		.packets = 3,
		.bytes = 180,
		.actions = fm.actions.data,
		.actions_size = fm.actions.size};
	of_text_format_flow(&view, NULL, &out);
	assert_string_equal(strbuf_text(&out),
		"cookie=0xabc, duration=1.25s, table=2, n_packets=3, "
		"n_bytes=180, idle_timeout=3, hard_timeout=4, send_flow_rem importance=9, priority=5,ip "
		"actions=output:1");
	/* The line can be read back. */
	parse(strbuf_text(&out), &again);
	assert_int_equal(again.importance, 9);
	assert_int_equal(again.cookie, 0xabc);
	assert_true(of_match_equal(&again.match, &fm.match));
	of_flow_mod_uninit(&again);
	strbuf_clear(&out);
	of_match_init(&view.match);
	view.priority = OF_DEFAULT_PRIORITY;
	view.flags = view.importance = view.idle_timeout = view.hard_timeout = 0;
	view.now_ms = 3000;
	view.cookie = 0;
	of_text_format_flow(&view, NULL, &out);
	assert_string_equal(strbuf_text(&out), "cookie=0x0, duration=2s, table=2, n_packets=3, "
					       "n_bytes=180, actions=output:1");
	of_flow_mod_uninit(&fm);
	strbuf_uninit(&out);
}

static bool
find_port(void *user, const char *name, size_t len, struct of_port *port)
{
	(void)user;
	*port = OF_PORT(7);
	return len == 3 && !memcmp(name, "vm1", 3);
}

static const char *
port_name(void *user, struct of_port port)
{
	(void)user;
	return port.v == 7 ? "vm1" : NULL;
}

static void
test_text_port_names(void **state)
{
	struct of_text_names names = {find_port, port_name, NULL, NULL};
	const char *text = "in_port=\"vm1\",actions=vm1,output:\"vm1\",resubmit:vm1,output:8";
	struct of_flow_mod fm = {.command = OF_FLOW_ADD};
	struct strbuf out = STRBUF_INIT;

	(void)state;
	assert_true(of_text_parse_flow(text, strlen(text), false, &names, &fm, NULL));
	of_text_format_match(&fm.match, fm.priority, &names, &out);
	strbuf_put_char(&out, ' ');
	of_text_format_actions(fm.actions.data, fm.actions.size, &names, &out);
	assert_string_equal(
		strbuf_text(&out), "in_port=vm1 output:vm1,output:vm1,resubmit:vm1,output:8");
	of_flow_mod_uninit(&fm);
	strbuf_uninit(&out);
}

static void
test_text_refuses(void **state)
{
	static const struct {
		enum of_flow_command command;
		const char *text;
		const char *word; /* in the error */
	} bad[] = {
		{OF_FLOW_ADD, "ip", "actions"},
		{OF_FLOW_ADD, "nonsense=5,actions=drop", "nonsense"},
		{OF_FLOW_ADD, "priority=65536,actions=drop", "priority"},
		{OF_FLOW_ADD, "table=256,actions=drop", "table"},
		{OF_FLOW_ADD, "cookie=1/2,actions=drop", "cookie"},
		{OF_FLOW_ADD, "ip,nw_src=1.2.3,actions=drop", "1.2.3"},
		{OF_FLOW_ADD, "actions=frobnicate", "frobnicate"},
		{OF_FLOW_ADD, "actions=frobnicate:3", "frobnicate"},
		{OF_FLOW_ADD, "actions=output:no_such", "no_such"},
		{OF_FLOW_ADD, "actions=push_vlan:0x10000", "0x10000"},
		{OF_FLOW_ADD, "actions=clone(output:1", "parenthesis"},
		{OF_FLOW_ADD, "actions=set_field:5->nothing", "nothing"},
		{OF_FLOW_ADD, "actions=set_field:5->in_port", "in_port"},
		{OF_FLOW_ADD, "actions=load:0x10->NXM_NX_REG0[0..3]", "fit"},
		{OF_FLOW_ADD, "actions=move:NXM_NX_REG0[0..3]->NXM_NX_REG1[0..4]", "width"},
		{OF_FLOW_ADD, "actions=load:1->NXM_NX_REG0[30..33]", "NXM_NX_REG0"},
		{OF_FLOW_ADD, "actions=resubmit(,300)", "PORT"},
		{OF_FLOW_ADD, "actions=mod_nw_tos:5", "TOS"},
		{OF_FLOW_ADD, "actions=controller(max_len=x)", "max_len=x"},
		{OF_FLOW_DELETE, "ip,actions=drop", "actions"},
		{OF_FLOW_DELETE, "priority=5", "--strict"},
		{OF_FLOW_DELETE, "ip,idle_timeout=5", "idle_timeout"},
		{OF_FLOW_DELETE_STRICT, "priority=5,hard_timeout=5", "hard_timeout"},
		{OF_FLOW_DELETE, "send_flow_rem", "send_flow_rem"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct of_flow_mod fm = {.command = bad[i].command};
		struct weft_error err = WEFT_ERROR_INIT;

		if (of_text_parse_flow(bad[i].text, strlen(bad[i].text), false, NULL, &fm, &err)) {
			fail_msg("%s: taken", bad[i].text);
		}
		if (!strstr(err.text, bad[i].word)) {
			fail_msg("%s: %s", bad[i].text, err.text);
		}
		of_flow_mod_uninit(&fm);
	}
}

/* Lines of files begin with a command, if it is not the file's. */
static void
test_text_group_commands(void **state)
{
	static const struct {
		const char *text;
		enum of_mod_command command;
	} cases[] = {
		{"group_id=1,type=all", OF_MOD_ADD},
		{"add group_id=1,type=all", OF_MOD_ADD},
		{"modify  group_id=1,type=all", OF_MOD_MODIFY},
		{"delete group_id=1", OF_MOD_DELETE},
		{"delete", OF_MOD_DELETE},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(cases); i++) {
		struct of_group_mod gm = {.command = OF_MOD_ADD};
		bool plain = i == 0;

		assert_true(of_text_parse_group(
			cases[i].text, strlen(cases[i].text), true, NULL, &gm, NULL));
		assert_int_equal(gm.command, cases[i].command);
		of_group_mod_uninit(&gm);
		gm.command = OF_MOD_ADD;
		assert_true(plain == of_text_parse_group(cases[i].text, strlen(cases[i].text),
					     false, NULL, &gm, NULL));
		of_group_mod_uninit(&gm);
	}
}

/* What is printed is read again; other ways to say the same are printed in that one. */
static void
test_text_groups(void **state)
{
	static const struct {
		const char *text;
		const char *printed; /* NULL: refused */
	} cases[] = {
		{"group_id=1,type=all", "group_id=1,type=all"},
		{"type=all group_id=1,bucket=actions=drop",
			"group_id=1,type=all,bucket=actions=drop"},
		{"group_id:2,type=select,bucket=weight=4,watch_port=1,actions=output:1",
			"group_id=2,type=select,bucket=weight:4,watch_port:1,actions=output:1"},
		{"group_id=0xf,type=select,bucket=weight:3,actions=output:1,bucket=output:2,output:3",
			"group_id=15,type=select,bucket=weight:3,actions=output:1,"
			"bucket=actions=output:2,output:3"},
		{"group_id=1,type=select,bucket=weight:0,watch_port:4,watch_group:7,actions=group:2",
			"group_id=1,type=select,bucket=weight:0,watch_port:4,watch_group:7,actions=group:2"},
		{"group_id=1,type=fast_failover,bucket=bucket_id:4,watch_port:LOCAL,output:1",
			"group_id=1,type=ff,bucket=watch_port:LOCAL,actions=output:1"},
		{"group_id=1,type=indirect,bucket=actions=set_field:1->reg0,clone(output:2,output:3)",
			"group_id=1,type=indirect,bucket=actions=set_field:0x1->reg0,"
			"clone(output:2,output:3)"},
		{"", NULL},
		{"type=all", NULL},
		{"group_id=1", NULL},
		{"group_id=x,type=all", NULL},
		{"group_id=1,type=most", NULL},
		{"group_id=1,type=all,colour=red", NULL},
		{"group_id=1,type=select,bucket=weight:70000,actions=output:1", NULL},
		{"group_id=1,type=all,bucket=watch_port:nobody,actions=output:1", NULL},
		{"group_id=1,type=all,bucket=actions=goto_table:1", NULL},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(cases); i++) {
		struct of_bucket_view buckets[4];
		struct of_group_view view = {.buckets = buckets};
		struct of_group_mod gm = {.command = OF_MOD_ADD};
		struct strbuf s = STRBUF_INIT;

		if (!of_text_parse_group(
			    cases[i].text, strlen(cases[i].text), false, NULL, &gm, NULL)) {
			strbuf_put(&s, "refused");
		} else {
			view.id = gm.group;
			view.type = gm.type;
			view.n_buckets = gm.n_buckets;
			for (uint32_t k = 0; k < gm.n_buckets; k++) {
				buckets[k] = (struct of_bucket_view){
					.weight = gm.buckets[k].weight,
					.watch_port = gm.buckets[k].watch_port,
					.watch_group = gm.buckets[k].watch_group,
					.actions = gm.buckets[k].actions.data,
					.actions_size = gm.buckets[k].actions.size,
				};
			}
			of_text_format_group(&view, NULL, &s);
		}
		if (strcmp(strbuf_text(&s), cases[i].printed ? cases[i].printed : "refused")) {
			fail_msg("%s: %s", cases[i].text, strbuf_text(&s));
		}
		strbuf_uninit(&s);
		of_group_mod_uninit(&gm);
	}
}

static void
test_text_meters(void **state)
{
	static const struct {
		const char *text;
		const char *printed; /* NULL: refused */
	} cases[] = {
		{"meter=1,band=type=drop,rate=5", "meter=1 kbps bands=type=drop rate=5"},
		{"meter=1 pktps stats bands=type=drop rate=5",
			"meter=1 pktps stats bands=type=drop rate=5"},
		{"meter=7,kbps,burst,bands=type=drop,rate=9,burst_size=2,type=dscp_remark,"
		 "prec_level=2,rate=4",
			"meter=7 kbps burst bands=type=drop rate=9 burst_size=2 "
			"type=dscp_remark rate=4 burst_size=0 prec_level=2"},
		{"", NULL},
		{"meter=1", NULL},
		{"band=type=drop,rate=5", NULL},
		{"meter=0xffff0001,band=type=drop,rate=5", NULL},
		{"meter=1,fast,band=type=drop,rate=5", NULL},
		{"meter=1,band=rate=5", NULL},
		{"meter=1,band=type=delay,rate=5", NULL},
		{"meter=1,band=type=drop,rate=4294967296", NULL},
		{"meter=1,band=type=drop,colour=5", NULL},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(cases); i++) {
		struct of_meter_mod mm = {.command = OF_MOD_ADD};
		struct strbuf s = STRBUF_INIT;

		if (!of_text_parse_meter(cases[i].text, strlen(cases[i].text), &mm, NULL)) {
			strbuf_put(&s, "refused");
		} else {
			struct of_meter_view view = {
				.id = mm.meter,
				.flags = mm.flags,
				.n_bands = mm.n_bands,
				.bands = mm.bands,
			};

			of_text_format_meter(&view, &s);
		}
		if (strcmp(strbuf_text(&s), cases[i].printed ? cases[i].printed : "refused")) {
			fail_msg("%s: %s", cases[i].text, strbuf_text(&s));
		}
		strbuf_uninit(&s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_prints_as_ovs_ofctl),
		cmocka_unit_test(test_text_flow_items),
		cmocka_unit_test(test_text_dump_line),
		cmocka_unit_test(test_text_port_names),
		cmocka_unit_test(test_text_refuses),
		cmocka_unit_test(test_text_group_commands),
		cmocka_unit_test(test_text_groups),
		cmocka_unit_test(test_text_meters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

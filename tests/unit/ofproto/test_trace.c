/* SPDX-License-Identifier: Apache-2.0
 *
 * Traces: their exact text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/byteorder.h"
#include "lib/dp_protocol.h"
#include "lib/error.h"
#include "lib/strbuf.h"
#include "ofproto/of_trace.h"
#include "tests/unit/ofproto/world.h"

/* Without the lines about the fast-path flow's match: how narrow it is is translation's business. */
static void
strip(struct strbuf *text)
{
	struct strbuf out = STRBUF_INIT;
	char *all = strbuf_take(text), *line, *save = NULL;

	for (line = strtok_r(all, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "fast-path flow:", 15) && strncmp(line, "  looks at:", 11)) {
			strbuf_printf(&out, "%s\n", line);
		}
	}
	free(all);
	*text = out;
}

static void
check_text(struct world *w, const char *flow, bool whole, const char *expected)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct strbuf text = STRBUF_INIT;
	struct flow_key key;
	struct of_trace *t;

	if (!of_trace_parse(flow, strlen(flow), NULL, 0, w->p, &key, &err)) {
		fail_msg("%s: %s", flow, err.text);
	}
	t = world_trace(w, &key, NULL, 0);
	of_trace_format(t, &text);
	if (!whole) {
		strip(&text);
	}
	assert_string_equal(strbuf_text(&text), expected);
	strbuf_uninit(&text);
	of_trace_destroy(t);
}

/* --- texts --------------------------------------------------------------------------------------- */

static const struct {
	const char *flows[4]; /* rules, or groups */
	const char *packet;
	const char *expected;
} cases[] = {
	{{NULL}, "in_port=1,tcp_dst=80",
		"packet: tcp,in_port=p1,nw_ttl=64,tp_dst=80\n"
		"  switch s1, port p1 (1)\n"
		"    table 0: no rule matches\n"
		"final flow: unchanged\n"
		"  actions: drop\n"
		"  drops: explicit: a flow says drop, or no rule matched: see weft flow list for "
		"the rules\n"},
	/* Changes; tables side by side; the action set. */
	{{"add table=0,priority=5,cookie=0x1a,ip,nw_dst=10.0.0.0/8,actions=dec_ttl,"
	  "set_field:00:00:00:00:00:09->eth_dst,resubmit(,1),output:2,"
	  "write_actions(output:3,set_field:10.0.0.9->ip_src),goto_table:2",
		 "add table=2,ip,actions=mod_nw_tos:32,write_metadata:0x5,goto_table:3",
		 "add table=3,metadata=5,ip,actions=output:4"},
		"in_port=1,ip,nw_dst=10.0.0.1",
		"packet: ip,in_port=p1,nw_dst=10.0.0.1,nw_ttl=64\n"
		"  switch s1, port p1 (1)\n"
		"    table 0: priority=5,ip,nw_dst=10.0.0.0/8, cookie=0x1a\n"
		"      dec_ttl\n"
		"        nw_ttl: 64 -> 63\n"
		"      set_field:00:00:00:00:00:09->eth_dst\n"
		"        eth_dst: 00:00:00:00:00:00 -> 00:00:00:00:00:09\n"
		"      resubmit(,1)\n"
		"        table 1: no rule matches\n"
		"      output:p2\n"
		"        out by port p2 (2)\n"
		"      write_actions(output:p3,set_field:10.0.0.9->ip_src)\n"
		"      goto_table:2\n"
		"    table 2: priority=32768,ip, cookie=0x0\n"
		"      set_field:8->ip_dscp\n"
		"        nw_tos: 0 -> 32\n"
		"      write_metadata:0x5\n"
		"        metadata: 0 -> 0x5\n"
		"      goto_table:3\n"
		"    table 3: priority=32768,ip,metadata=0x5, cookie=0x0\n"
		"      output:p4\n"
		"        out by port p4 (4)\n"
		"    action set\n"
		"      set_field:10.0.0.9->ip_src\n"
		"        ip_src: 0.0.0.0 -> 10.0.0.9\n"
		"      output:p3\n"
		"        out by port p3 (3)\n"
		"final flow: ip,metadata=0x5,in_port=p1,dl_dst=00:00:00:00:00:09,nw_src=10.0.0.9,"
		"nw_dst=10.0.0.1,nw_tos=32,nw_ecn=0,nw_ttl=63\n"
		"  actions: dec_ttl(drop(invalid-ttl)),set(eth_dst=00:00:00:00:00:09),output(12),"
		"set(nw_tos=32/0xfc),output(14),set(ip_src=10.0.0.9),output(13)\n"},
	/* Tags. */
	{{"add actions=push_vlan:0x8100,set_field:4101->vlan_vid,set_field:3->vlan_pcp,output:2,"
	  "pop_vlan,output:3"},
		"in_port=1",
		"packet: in_port=p1\n"
		"  switch s1, port p1 (1)\n"
		"    table 0: priority=32768, cookie=0x0\n"
		"      push_vlan:0x8100\n"
		"        dl_vlan: none -> 0\n"
		"        dl_vlan_pcp: none -> 0\n"
		"      set_field:4101->vlan_vid\n"
		"        dl_vlan: 0 -> 5\n"
		"      set_field:3->vlan_pcp\n"
		"        dl_vlan_pcp: 0 -> 3\n"
		"      output:p2\n"
		"        out by port p2 (2)\n"
		"      pop_vlan\n"
		"        dl_vlan: 5 -> none\n"
		"        dl_vlan_pcp: 3 -> none\n"
		"      output:p3\n"
		"        out by port p3 (3)\n"
		"final flow: unchanged\n"
		"  actions: push_vlan(tpid=0x8100,vid=5,pcp=3),output(12),pop_vlan,output(13)\n"},
	/* A select group: the datapath chooses. */
	{{"group_id=1,type=select,bucket=weight:3,actions=output:2,"
	  "bucket=weight:1,watch_port:6,actions=output:3,bucket=weight:0,actions=output:4",
		 "add actions=group:1,output:6,output:7"},
		"in_port=1",
		"packet: in_port=p1\n"
		"  switch s1, port p1 (1)\n"
		"    table 0: priority=32768, cookie=0x0\n"
		"      group:1\n"
		"        group 1, select: one bucket by weight and a hash of the packet's addresses "
		"and ports, which the datapath makes\n"
		"          bucket 0, weight 3 of 4\n"
		"            output:p2\n"
		"              out by port p2 (2)\n"
		"          bucket 1, weight 1 of 4, watches port p6: what it watches is not there\n"
		"          bucket 2, weight 0 of 4: never chosen\n"
		"      output:p6\n"
		"        port p6 does not send: it is down, or not there\n"
		"      output:p7\n"
		"        out by port p7 (7)\n"
		"final flow: unchanged\n"
		"  actions: clone(select(1.1)),output(17)\n"},
	/* Fast failover, with one group behind another. */
	{{"group_id=1,type=all,bucket=actions=output:5,bucket=set_field:1->reg0,output:7",
		 "group_id=2,type=ff,bucket=watch_port:8,actions=output:8,"
		 "bucket=watch_port:3,actions=output:3,bucket=watch_group:1,actions=group:1",
		 "add actions=group:2"},
		"in_port=1",
		"packet: in_port=p1\n"
		"  switch s1, port p1 (1)\n"
		"    table 0: priority=32768, cookie=0x0\n"
		"      group:2\n"
		"        group 2, fast_failover: runs the first bucket that is live\n"
		"          bucket 0, watches port p8: not live now\n"
		"            output:p8\n"
		"              out by port p8 (8), whose link is down\n"
		"          bucket 1, watches port p3: the first that is live\n"
		"            output:p3\n"
		"              out by port p3 (3)\n"
		"          bucket 2, watches group 1: live, but not the first\n"
		"            group:1\n"
		"              group 1, all: runs all buckets\n"
		"                bucket 0\n"
		"                  output:p5\n"
		"                    out by port p5 (5)\n"
		"                bucket 1\n"
		"                  set_field:0x1->reg0\n"
		"                    reg0: 0 -> 0x1\n"
		"                  output:p7\n"
		"                    out by port p7 (7)\n"
		"final flow: unchanged\n"
		"  actions: first_live(1.1)\n"},
	/* NORMAL: flooding into a VLAN with an access port, and to a known address. */
	{{"add priority=1,actions=NORMAL"}, "in_port=5,dl_vlan=5,dl_src=00:00:00:00:00:01",
		"packet: in_port=p5,dl_vlan=5,dl_vlan_pcp=0,vlan_tpid=0x8100,"
		"dl_src=00:00:00:00:00:01\n"
		"  switch s1, port p5 (5)\n"
		"    table 0: priority=1, cookie=0x0\n"
		"      NORMAL\n"
		"        VLAN 5: 00:00:00:00:00:01 would be learned at port p5\n"
		"        VLAN 5: destination not known, floods to p4,p7\n"
		"        a copy without the tag\n"
		"          out by port p4 (4)\n"
		"        a copy tagged with VLAN 5\n"
		"          out by port p7 (7)\n"
		"final flow: unchanged\n"
		"  actions: clone(pop_vlan,output(14)),output(17)\n"},
	{{"add priority=1,actions=NORMAL"},
		"in_port=7,dl_vlan=6,dl_src=00:00:00:00:00:02,dl_dst=00:00:00:00:00:03",
		"packet: in_port=p7,dl_vlan=6,dl_vlan_pcp=0,vlan_tpid=0x8100,"
		"dl_src=00:00:00:00:00:02,dl_dst=00:00:00:00:00:03\n"
		"  switch s1, port p7 (7)\n"
		"    table 0: priority=1, cookie=0x0\n"
		"      NORMAL\n"
		"        VLAN 6: 00:00:00:00:00:02 is known at port p7\n"
		"        VLAN 6: 00:00:00:00:00:03 is at port p5\n"
		"        a copy tagged with VLAN 6\n"
		"          out by port p5 (5)\n"
		"final flow: unchanged\n"
		"  actions: output(15)\n"},
	{{"add priority=1,actions=NORMAL"}, "in_port=4,dl_vlan=7,dl_dst=00:00:00:00:00:03",
		"packet: in_port=p4,dl_vlan=7,dl_vlan_pcp=0,vlan_tpid=0x8100,"
		"dl_dst=00:00:00:00:00:03\n"
		"  switch s1, port p4 (4)\n"
		"    table 0: priority=1, cookie=0x0\n"
		"      NORMAL\n"
		"        the port is no member of VLAN 7\n"
		"final flow: unchanged\n"
		"  actions: drop(vlan-not-allowed)\n"
		"  drops: vlan-not-allowed: the port is no member of the packet's VLAN: see tag, "
		"trunks and vlan-mode of the port\n"},
	/* A copy; controllers; ports that take nothing. */
	{{"add tcp,actions=clone(set_field:5->tcp_dst,output:2),controller:128,output:1,output:99"},
		"in_port=1,tcp_src=7",
		"packet: tcp,in_port=p1,nw_ttl=64,tp_src=7\n"
		"  switch s1, port p1 (1)\n"
		"    table 0: priority=32768,tcp, cookie=0x0\n"
		"      clone(set_field:5->tcp_dst,output:p2)\n"
		"        set_field:5->tcp_dst\n"
		"          tcp_dst: 0 -> 5\n"
		"        output:p2\n"
		"          out by port p2 (2)\n"
		"      CONTROLLER:128\n"
		"        to the controllers, up to 128 bytes: reason action\n"
		"      output:p1\n"
		"        not back to the input port\n"
		"      output:99\n"
		"        there is no port 99\n"
		"final flow: unchanged\n"
		"  actions: clone(set(tcp_dst=5),output(12)),"
		"to_agent(context=4294967295,max_len=128,reason=1)\n"},
	/* The TTL is used up. */
	{{"add ip,actions=mod_nw_ttl:1,dec_ttl,output:2"}, "in_port=1,ip",
		"packet: ip,in_port=p1,nw_ttl=64\n"
		"  switch s1, port p1 (1)\n"
		"    table 0: priority=32768,ip, cookie=0x0\n"
		"      mod_nw_ttl:1\n"
		"        nw_ttl: 64 -> 1\n"
		"      dec_ttl\n"
		"        TTL is used up: invalid-ttl\n"
		"final flow: ip,in_port=p1,nw_ttl=1\n"
		"  actions: drop(invalid-ttl)\n"
		"  drops: invalid-ttl: TTL would reach 0 and no rule wants to know: a routing loop, "
		"or traceroute\n"},
};

static void
test_trace_texts(void **state)
{
	static const int trunks[] = {5, 6, -1}, none[] = {9, -1};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(cases); i++) {
		struct of_port_info port_8, port_6;
		struct world w;

		world_init(&w);
		for (unsigned port = 1; port <= WORLD_N_PORTS; port++) {
			world_port(&w, port, OF_VLAN_TRUNK, 0, none);
		}
		world_port(&w, 4, OF_VLAN_ACCESS, 5, NULL);
		world_port(&w, 5, OF_VLAN_TRUNK, 0, trunks);
		world_port(&w, 7, OF_VLAN_TRUNK, 0, trunks);
		port_8 = *ofproto_port_find(w.p, OF_PORT(8));
		port_8.state = OF_PORT_LINK_DOWN;
		assert_true(ofproto_port_set(w.p, &port_8, NULL));
		port_6 = *ofproto_port_find(w.p, OF_PORT(6));
		port_6.config = OF_PORT_DOWN;
		assert_true(ofproto_port_set(w.p, &port_6, NULL));
		ofproto_fdb_learn(
			w.p, 6, (const uint8_t[]){0, 0, 0, 0, 0, 2}, OF_PORT(7), w.now_ms);
		ofproto_fdb_learn(
			w.p, 6, (const uint8_t[]){0, 0, 0, 0, 0, 3}, OF_PORT(5), w.now_ms);
		for (size_t k = 0; k < WEFT_ARRAY_SIZE(cases[i].flows) && cases[i].flows[k]; k++) {
			if (!strncmp(cases[i].flows[k], "group_id", 8)) {
				world_group(&w, cases[i].flows[k]);
			} else {
				world_flow(&w, cases[i].flows[k]);
			}
		}
		check_text(&w, cases[i].packet, false, cases[i].expected);
		world_uninit(&w);
	}
}

/* One rule, so that the flow's match is the rule's. */
static void
test_trace_shows_fast_path_flow(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	world_flow(&w, "add ip,nw_dst=10.0.0.0/8,nw_src=0.0.0.7/0.0.0.255,vlan_tci=0x1000/0x1000,"
		       "actions=output:2");
	check_text(&w, "in_port=1,ip,nw_dst=10.1.2.3,nw_src=1.2.3.7,dl_vlan=3", true,
		"packet: ip,in_port=p1,dl_vlan=3,dl_vlan_pcp=0,vlan_tpid=0x8100,nw_src=1.2.3.7,"
		"nw_dst=10.1.2.3,nw_ttl=64\n"
		"  switch s1, port p1 (1)\n"
		"    table 0: priority=32768,ip,vlan_tci=0x1000/0x1000,nw_src=0.0.0.7/0.0.0.255,"
		"nw_dst=10.0.0.0/8, cookie=0x0\n"
		"      output:p2\n"
		"        out by port p2 (2)\n"
		"final flow: unchanged\n"
		"fast-path flow: recirc_id=0,ip,in_port=11,vlan_tci=0x1000/0x1000,"
		"nw_src=0.0.0.7/0.0.0.255,nw_dst=10.0.0.0/8\n"
		"  looks at: in_port, recirc_id, eth_type, vlan (whether there is a tag), "
		"ip_src (the last 8 of 32 bits), ip_dst (the first 8 of 32 bits)\n"
		"  actions: output(12)\n");
	world_uninit(&w);
}

/* --- recirculation ------------------------------------------------------------------------------- */

static void
test_trace_follows_recirculation(void **state)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct strbuf text = STRBUF_INIT;
	struct flow_key key;
	struct of_trace *t;
	struct world w;

	(void)state;
	world_init(&w);
	world_flow(
		&w, "add mpls,mpls_bos=0,actions=set_field:4->reg3,pop_mpls:0x8847,goto_table:1");
	world_flow(
		&w, "add table=1,mpls,mpls_label=8,actions=pop_mpls:0x0800,resubmit(,2),output:3");
	world_flow(&w, "add table=2,reg3=4,ip,nw_dst=10.0.0.2,actions=dec_ttl,output:2");
	assert_true(of_trace_parse(
		"in_port=1", 9, world_labelled, WORLD_LABELLED_LEN, w.p, &key, &err));
	t = world_trace(&w, &key, world_labelled, WORLD_LABELLED_LEN);
	of_trace_format(t, &text);
	strip(&text);
	assert_string_equal(strbuf_text(&text),
		"packet: mpls,in_port=p1,dl_src=00:00:00:00:00:01,dl_dst=00:00:00:00:00:02,"
		"mpls_label=7,mpls_ttl=64,mpls_lse1=0x813f\n"
		"  switch s1, port p1 (1)\n"
		"    table 0: priority=32768,mpls,mpls_bos=0, cookie=0x0\n"
		"      set_field:0x4->reg3\n"
		"        reg3: 0 -> 0x4\n"
		"      pop_mpls:0x8847\n"
		"      goto_table:1\n"
		"    recirculates as 0xffffffff, to be parsed anew; goes on in table 1\n"
		"final flow: mpls,reg3=0x4,in_port=p1,dl_src=00:00:00:00:00:01,"
		"dl_dst=00:00:00:00:00:02,mpls_label=7,mpls_ttl=64,mpls_lse1=0x813f\n"
		"  actions: pop_mpls(0x8847),recirc(0xffffffff)\n"
		"recirculated: recirc_id=0xffffffff,mpls,in_port=p1,dl_src=00:00:00:00:00:01,"
		"dl_dst=00:00:00:00:00:02,mpls_label=8,mpls_ttl=63,mpls_bos=1\n"
		"  goes on in switch s1, table 1\n"
		"  reg3: 0 -> 0x4\n"
		"  table 1: priority=32768,mpls,mpls_label=8, cookie=0x0\n"
		"    pop_mpls:0x0800\n"
		"      eth_type: 0x8847 -> 0x800\n"
		"    resubmit(,2)\n"
		"  recirculates as 0xfffffffe, to be parsed anew; goes on in table 2\n"
		"final flow: ip,reg3=0x4,in_port=p1,dl_src=00:00:00:00:00:01,"
		"dl_dst=00:00:00:00:00:02\n"
		"  actions: pop_mpls(0x800),recirc(0xfffffffe)\n"
		"recirculated: recirc_id=0xfffffffe,udp,in_port=p1,dl_src=00:00:00:00:00:01,"
		"dl_dst=00:00:00:00:00:02,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_ttl=9,tp_src=1,"
		"tp_dst=2\n"
		"  goes on in switch s1, table 2, then with output:p3\n"
		"  reg3: 0 -> 0x4\n"
		"  table 2: priority=32768,ip,reg3=0x4,nw_dst=10.0.0.2, cookie=0x0\n"
		"    dec_ttl\n"
		"      nw_ttl: 9 -> 8\n"
		"    output:p2\n"
		"      out by port p2 (2)\n"
		"  output:p3\n"
		"    out by port p3 (3)\n"
		"final flow: udp,reg3=0x4,in_port=p1,dl_src=00:00:00:00:00:01,"
		"dl_dst=00:00:00:00:00:02,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_ttl=8,tp_src=1,"
		"tp_dst=2\n"
		"  actions: dec_ttl(drop(invalid-ttl)),output(12),output(13)\n");
	strbuf_uninit(&text);
	of_trace_destroy(t);
	world_uninit(&w);
}

/* From a recirculation on, by the id that a fast-path flow shows. */
static void
test_trace_begins_with_recirculation(void **state)
{
	const struct dp_action_u32 *recirc;
	char flow[64], expected[512];
	struct world w;

	(void)state;
	world_init(&w);
	world_flow(&w, "add mpls,actions=set_field:4->reg3,pop_mpls:0x0800,resubmit(,2),output:3");
	world_flow(&w, "add table=2,reg3=4,ip,actions=output:2");
	world_translate(&w, "in_port=1,mpls,mpls_label=7,mpls_bos=1");
	recirc = (const void *)(w.t.actions.data + w.t.actions.size - sizeof(*recirc));
	assert_int_equal(recirc->hdr.type, DP_ACTION_RECIRC);
	snprintf(flow, sizeof(flow), "in_port=1,ip,recirc_id=%u", recirc->v);
	snprintf(expected, sizeof(expected),
		"recirculated: recirc_id=0x%x,ip,in_port=p1,nw_ttl=64\n"
		"  goes on in switch s1, table 2, then with output:p3\n"
		"  reg3: 0 -> 0x4\n"
		"  table 2: priority=32768,ip,reg3=0x4, cookie=0x0\n"
		"    output:p2\n"
		"      out by port p2 (2)\n"
		"  output:p3\n"
		"    out by port p3 (3)\n"
		"final flow: ip,reg3=0x4,in_port=p1,nw_ttl=64\n"
		"  actions: output(12),output(13)\n",
		recirc->v);
	check_text(&w, flow, false, expected);
	check_text(&w, "in_port=1,ip,recirc_id=0x77", false,
		"recirculated: recirc_id=0x77,ip,in_port=p1,nw_ttl=64\n"
		"  refused: there is no such port or recirculation\n");
	world_uninit(&w);
}

/* The datapath gives up after DP_RECIRC_MAX times; so does the trace. */
static void
test_trace_ends_with_recirculations(void **state)
{
	const struct of_trace_pass *pass;
	const struct of_trace_node *n;
	struct flow_key key;
	struct of_trace *t;
	struct world w;

	(void)state;
	world_init(&w);
	world_flow(&w, "add ip,actions=set_field:0x86dd->eth_type,resubmit(,1)");
	world_flow(&w, "add table=1,actions=set_field:0x0800->eth_type,resubmit(,0)");
	world_key("in_port=1,ip,nw_ttl=64", &key);
	key.in_port = be32_from(1);
	t = world_trace(&w, &key, NULL, 0);
	assert_int_equal(list_count(of_trace_passes(t)), DP_RECIRC_MAX + 1);
	pass = LIST_ENTRY(of_trace_passes(t)->prev, struct of_trace_pass, link);
	n = LIST_ENTRY(pass->root.children.prev, struct of_trace_node, link);
	assert_int_equal(n->kind, OF_TRACE_END);
	assert_string_equal(n->values[0].text, "recirc-limit");
	of_trace_destroy(t);
	world_uninit(&w);
}

static size_t
count_nodes(const struct of_trace_node *n)
{
	const struct of_trace_node *child;
	size_t count = 0;

	LIST_FOREACH (child, link, &n->children) {
		count += 1 + count_nodes(child);
	}
	return count;
}

static void
test_trace_is_cut(void **state)
{
	const struct of_trace_pass *pass;
	struct strbuf text = STRBUF_INIT;
	struct flow_key key;
	struct of_trace *t;
	struct world w;

	(void)state;
	world_init(&w);
	strbuf_put(&text, "add actions=");
	for (unsigned i = 0; i < 1200; i++) {
		strbuf_printf(&text, "set_field:00:00:00:00:00:0%u->eth_dst,output:2,", 1 + i % 2);
	}
	strbuf_chomp(&text, ",");
	world_flow(&w, strbuf_text(&text));
	world_key("in_port=1", &key);
	key.in_port = be32_from(1);
	t = world_trace(&w, &key, NULL, 0);
	pass = LIST_ENTRY(of_trace_passes(t)->next, struct of_trace_pass, link);
	assert_int_equal(count_nodes(&pass->root), OF_TRACE_MAX_NODES + 1);
	strbuf_clear(&text);
	of_trace_format(t, &text);
	assert_non_null(strstr(strbuf_text(&text), "the trace is cut here: it is too long\n"));
	/* The flow is whole. */
	assert_int_equal(pass->dp_actions_size,
		1200 * (sizeof(struct dp_action_output) + 32 /* set-field */));
	of_trace_destroy(t);
	/* By much text in few nodes. */
	strbuf_clear(&text);
	strbuf_put(&text, "add table=1,actions=clear_actions,write_actions(output:2");
	for (unsigned i = 0; i < 1400; i++) {
		strbuf_put(&text, ",set_field:00:00:00:00:00:01->eth_dst");
	}
	strbuf_put(&text, ")");
	world_flow(&w, strbuf_text(&text));
	world_flow(&w,
		"add priority=65535,in_port=2,actions=resubmit(,1),resubmit(,1),resubmit(,1),resubmit(,1),"
		"resubmit(,1),resubmit(,1),resubmit(,1),resubmit(,1),output:2");
	world_key("in_port=2", &key);
	key.in_port = be32_from(2);
	t = world_trace(&w, &key, NULL, 0);
	strbuf_clear(&text);
	of_trace_format(t, &text);
	assert_non_null(strstr(strbuf_text(&text), "the trace is cut here: it is too long\n"));
	assert_true(text.len > OF_TRACE_MAX_TEXT && text.len < 2 * OF_TRACE_MAX_TEXT);
	strbuf_uninit(&text);
	of_trace_destroy(t);
	world_uninit(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trace_texts),
		cmocka_unit_test(test_trace_shows_fast_path_flow),
		cmocka_unit_test(test_trace_follows_recirculation),
		cmocka_unit_test(test_trace_begins_with_recirculation),
		cmocka_unit_test(test_trace_ends_with_recirculations),
		cmocka_unit_test(test_trace_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

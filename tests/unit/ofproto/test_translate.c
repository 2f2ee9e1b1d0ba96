/* SPDX-License-Identifier: Apache-2.0
 *
 * Translation: exact actions and exact masks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/ofproto/world.h"

struct row {
	const char *flows[6];
	const char *packet;
	const char *actions;
	const char *mask;
};

static const struct row rows[] = {
	/* Tables. */
	{{NULL}, "in_port=1", "drop", ""},
	/* A port that the model has not got: DROP_AGENT_REFUSED. */
	{{"actions=2"}, "in_port=9", "drop(agent-refused)", ""},
	{{"in_port=1,actions=2"}, "in_port=1,tcp", "output(12)", ""},
	{{"in_port=2,actions=2", "priority=1,actions=3"}, "in_port=1,tcp", "output(13)", ""},
	{{"ip,nw_dst=10.0.0.0/8,actions=2"}, "in_port=1,ip,nw_dst=10.1.2.3", "output(12)",
		"eth_type,ip_dst/ff000000"},
	{{"priority=9,tcp,tp_dst=80,actions=2", "priority=5,actions=3"}, "in_port=1,tcp,tp_dst=80",
		"output(12)", "eth_type,nw_proto,tcp_dst"},
	/* A higher priority decides without looking at what is below. */
	{{"priority=9,in_port=1,actions=2", "priority=5,tcp,tp_dst=5,actions=3"},
		"in_port=1,tcp,tp_dst=5", "output(12)", ""},
	{{"actions=goto_table:3", "table=3,ip,actions=4"}, "in_port=1,ip", "output(14)",
		"eth_type"},
	{{"actions=write_metadata:0x5/0xf,goto_table:3", "table=3,metadata=0x5/0xf,actions=4"},
		"in_port=1,ip", "output(14)", ""},
	{{"actions=resubmit(,7),output:2", "table=7,actions=set_field:3->reg1,output:5"},
		"in_port=1", "output(15),output(12)", ""},
	{{"in_port=1,actions=resubmit(4,)", "in_port=4,actions=5"}, "in_port=1", "output(15)", ""},
	/* Ports. */
	{{"actions=1"}, "in_port=1", "drop", ""},
	{{"actions=in_port"}, "in_port=1", "output(11)", ""},
	{{"actions=99"}, "in_port=1", "drop(port-gone)", ""},
	{{"actions=all"}, "in_port=3",
		"output(11),output(12),output(14),output(15),output(16),output(17),output(18)", ""},
	{{"actions=drop"}, "in_port=3", "drop", ""},
	/* Sets: late, few. */
	{{"actions=set_field:00:00:00:00:00:07->eth_dst"}, "in_port=1", "drop", ""},
	{{"actions=set_field:00:00:00:00:00:07->eth_dst,output:2,output:3"}, "in_port=1",
		"set(eth_dst=00:00:00:00:00:07),output(12),output(13)", ""},
	{{"actions=set_field:00:00:00:00:00:07->eth_dst,set_field:00:00:00:00:00:08->eth_dst,output:2"},
		"in_port=1", "set(eth_dst=00:00:00:00:00:08),output(12)", ""},
	/* What the packet is known to have need not be set. */
	{{"dl_dst=00:00:00:00:00:07,actions=set_field:00:00:00:00:00:07->eth_dst,output:2"},
		"in_port=1,dl_dst=00:00:00:00:00:07", "output(12)", "eth_dst"},
	{{"actions=set_field:00:00:00:00:00:07->eth_dst,output:2"},
		"in_port=1,dl_dst=00:00:00:00:00:07", "set(eth_dst=00:00:00:00:00:07),output(12)",
		""},
	/* ... and back again. */
	{{"dl_dst=00:00:00:00:00:07,actions=set_field:00:00:00:00:00:08->eth_dst,output:2,"
	  "set_field:00:00:00:00:00:07->eth_dst,output:3"},
		"in_port=1,dl_dst=00:00:00:00:00:07",
		"set(eth_dst=00:00:00:00:00:08),output(12),set(eth_dst=00:00:00:00:00:07),"
		"output(13)",
		"eth_dst"},
	/* A table that looks at what was set looks at nothing of the packet. */
	{{"ip,actions=set_field:10.0.0.1->ip_dst,resubmit(,3)",
		 "table=3,ip,nw_dst=10.0.0.1,actions=4"},
		"in_port=1,ip,nw_dst=9.9.9.9", "set(ip_dst=10.0.0.1),output(14)", "eth_type"},
	/* Moved bits depend on where they came from. */
	{{"actions=move:NXM_OF_ETH_SRC[0..15]->NXM_NX_REG0[0..15],resubmit(,3)",
		 "table=3,reg0=0x5,actions=4"},
		"in_port=1,dl_src=00:00:00:00:00:05", "output(14)", "eth_src/00000000ffff"},
	{{"actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],in_port"},
		"in_port=1,dl_src=00:00:00:00:00:05", "set(eth_dst=00:00:00:00:00:05),output(11)",
		"eth_src"},
	/* Neighbour discovery: fields are put before the type by which the packet has them changes, and an address
	 * is put though none like it was received: the option is another now. */
	{{"icmp6,icmp_type=135,icmp_code=0,actions=set_field:00:00:00:00:00:09->nd_sll,"
	  "set_field:2->nd_options_type,set_field:136->icmpv6_type,resubmit(,3)",
		 "table=3,icmp6,icmp_type=136,nd_tll=00:00:00:00:00:00,"
		 "actions=set_field:5->nd_reserved,set_field:00:00:00:00:00:00->nd_tll,output:2"},
		"in_port=1,icmp6,icmp_type=135,icmp_code=0",
		"set(nd_sll=00:00:00:00:00:09),set(nd_options_type=2),set(icmpv6_type=136),"
		"set(nd_reserved=5),set(nd_tll=00:00:00:00:00:00),output(12)",
		"eth_type,nw_proto,tcp_src/00ff,tcp_dst/00ff,nd_tll"},
	/* VLAN. */
	{{"actions=push_vlan:0x8100,set_field:4106->vlan_vid,output:2"}, "in_port=1",
		"push_vlan(tpid=0x8100,vid=10,pcp=0),output(12)", "vlan_tci/1000"},
	{{"vlan_tci=0x1000/0x1000,actions=pop_vlan,output:2"}, "in_port=1,dl_vlan=10",
		"pop_vlan,output(12)", "vlan_tci/1000"},
	{{"actions=load:0->NXM_OF_VLAN_TCI[],output:2"}, "in_port=1,dl_vlan=10",
		"pop_vlan,output(12)", "vlan_tci/1000"},
	{{"actions=load:0->NXM_OF_VLAN_TCI[],output:2"}, "in_port=1", "output(12)",
		"vlan_tci/1000"},
	{{"actions=load:0x7005->NXM_OF_VLAN_TCI[],output:2"}, "in_port=1",
		"push_vlan(tpid=0x8100,vid=5,pcp=3),output(12)", "vlan_tci/1000"},
	{{"actions=load:0x7005->NXM_OF_VLAN_TCI[],output:2"}, "in_port=1,dl_vlan=10",
		"set(vlan_tci=0x6005/0xefff),output(12)", "vlan_tci/1000"},
	{{"dl_vlan=10,actions=pop_vlan,output:2,output:3"}, "in_port=1,dl_vlan=10",
		"pop_vlan,output(12),output(13)", "vlan_tci/1fff"},
	{{"actions=push_vlan:0x8100,pop_vlan,output:2"}, "in_port=1", "output(12)",
		"vlan_tci/1000"},
	{{"dl_vlan=10,actions=set_field:4116->vlan_vid,output:2"}, "in_port=1,dl_vlan=10",
		"set(vlan_tci=0x14/0xfff),output(12)", "vlan_tci/1fff"},
	{{"dl_vlan=10,actions=push_vlan:0x88a8,set_field:4116->vlan_vid,output:2"},
		"in_port=1,dl_vlan=10,dl_vlan_pcp=3",
		"push_vlan(tpid=0x88a8,vid=20,pcp=3),output(12)", "vlan_tci"},
	{{"dl_vlan=10,actions=output:2,pop_vlan,output:3"}, "in_port=1,dl_vlan=10",
		"output(12),pop_vlan,output(13)", "vlan_tci/1fff"},
	{{"actions=mod_vlan_vid:5,output:2"}, "in_port=1",
		"push_vlan(tpid=0x8100,vid=5,pcp=0),output(12)", "vlan_tci/1000"},
	/* TTL. */
	{{"ip,actions=dec_ttl,output:2"}, "in_port=1,ip,nw_ttl=64",
		"dec_ttl(drop(invalid-ttl)),output(12)", "eth_type"},
	{{"ip,actions=dec_ttl,resubmit(,3)", "table=3,ip,nw_ttl=63,actions=4"},
		"in_port=1,ip,nw_ttl=64", "dec_ttl(drop(invalid-ttl)),output(14)",
		"eth_type,nw_ttl"},
	{{"ip,nw_ttl=1,actions=dec_ttl,output:2"}, "in_port=1,ip,nw_ttl=1", "drop(invalid-ttl)",
		"eth_type,nw_ttl"},
	{{"ip,actions=mod_nw_ttl:5,dec_ttl,output:2"}, "in_port=1,ip,nw_ttl=64",
		"set(nw_ttl=4),output(12)", "eth_type"},
	/* Action set: order, last of a kind, group of none. */
	{{"actions=write_actions(output:3,push_vlan:0x8100,output:2),goto_table:1",
		 "table=1,actions=write_actions(set_field:00:00:00:00:00:01->eth_dst)"},
		"in_port=1",
		"push_vlan(tpid=0x8100,vid=0,pcp=0),set(eth_dst=00:00:00:00:00:01),output(12)",
		"vlan_tci/1000"},
	{{"actions=write_actions(output:3),goto_table:1", "table=1,actions=clear_actions"},
		"in_port=1", "drop", ""},
	{{"actions=output:4,write_actions(output:3),goto_table:1"}, "in_port=1",
		"output(14),output(13)", ""},
	/* Clones. */
	{{"actions=clone(set_field:00:00:00:00:00:01->eth_dst,output:2),output:3"}, "in_port=1",
		"clone(set(eth_dst=00:00:00:00:00:01),output(12)),output(13)", ""},
	/* MPLS. */
	{{"ip,actions=push_mpls:0x8847,set_field:5->mpls_label,output:2"}, "in_port=1,ip,nw_ttl=9",
		"push_mpls(eth_type=0x8847,label=0,tc=0,ttl=9),set(mpls_label=5),output(12)",
		"eth_type,nw_ttl"},
	{{"mpls,actions=pop_mpls:0x0800,output:2"}, "in_port=1,mpls,mpls_bos=1",
		"pop_mpls(0x800),output(12)", "eth_type,mpls_bos"},
	{{"mpls,actions=pop_mpls:0x0800,dec_ttl,output:2"}, "in_port=1,mpls,mpls_bos=1",
		"pop_mpls(0x800),recirc(0x1)", "eth_type,mpls_bos"},
	{{"arp,actions=push_mpls:0x8847,output:2"}, "in_port=1,arp",
		"push_mpls(eth_type=0x8847,label=0,tc=0,ttl=0),output(12)", "eth_type"},
	{{"mpls,actions=set_field:0->mpls_bos,output:2"}, "in_port=1,mpls,mpls_bos=1",
		"set(mpls_bos=0),output(12)", "eth_type"},
	/* Tags behind a new label or backbone header are not there any more. */
	{{"dl_vlan=10,ip,actions=set_field:4107->vlan_vid,push_mpls:0x8847,resubmit(,3)",
		 "table=3,dl_vlan=11,actions=4", "table=3,dl_vlan=10,actions=3",
		 "table=3,vlan_tci=0,mpls,mpls_bos=1,actions=2"},
		"in_port=1,dl_vlan=10,ip,nw_ttl=9",
		"set(vlan_tci=0xb/0xfff),push_mpls(eth_type=0x8847,label=0,tc=0,ttl=9),output(12)",
		"eth_type,vlan_tci/1fff,nw_ttl"},
	{{"dl_vlan=10,arp,actions=push_mpls:0x8847,set_field:4107->vlan_vid,pop_vlan,output:2"},
		"in_port=1,dl_vlan=10,arp",
		"push_mpls(eth_type=0x8847,label=0,tc=0,ttl=0),output(12)",
		"eth_type,vlan_tci/1fff"},
	{{"dl_vlan=10,arp,actions=push_mpls:0x8847,push_vlan:0x8100,output:2"},
		"in_port=1,dl_vlan=10,dl_vlan_pcp=3,arp",
		"push_mpls(eth_type=0x8847,label=0,tc=0,ttl=0),"
		"push_vlan(tpid=0x8100,vid=0,pcp=0),output(12)",
		"eth_type,vlan_tci/1fff"},
	{{"dl_vlan=10,mpls,actions=push_mpls:0x8847,resubmit(,3)",
		 "table=3,mpls,mpls_bos=1,mpls_label=7,actions=2"},
		"in_port=1,dl_vlan=10,mpls,mpls_label=7,mpls_bos=0",
		"push_mpls(eth_type=0x8847,label=7,tc=0,ttl=0),output(12)",
		"eth_type,vlan_tci/1fff,mpls_label,mpls_tc,mpls_bos,mpls_ttl"},
	{{"mpls,actions=push_mpls:0x8847,resubmit(,3)",
		 "table=3,mpls,mpls_bos=0,mpls_label=7,actions=2"},
		"in_port=1,mpls,mpls_label=7,mpls_bos=1",
		"push_mpls(eth_type=0x8847,label=7,tc=0,ttl=0),output(12)",
		"eth_type,vlan_tci/1000,mpls_label,mpls_tc,mpls_bos,mpls_ttl"},
	{{"dl_vlan=10,mpls,actions=push_pbb:0x88e7,set_field:4107->vlan_vid,resubmit(,3)",
		 "table=3,dl_vlan=10,actions=3", "table=3,mpls,actions=4",
		 "table=3,vlan_tci=0,dl_type=0x88e7,pbb_isid=0,actions=2"},
		"in_port=1,dl_vlan=10,mpls", "push_pbb(0x88e7),output(12)",
		"eth_type,vlan_tci/1fff"},
	{{"dl_type=0x88e7,actions=push_pbb:0x88e7,resubmit(,3)",
		 "table=3,dl_type=0x88e7,pbb_isid=0x12345,pbb_uca=0,actions=2"},
		"in_port=1,dl_type=0x88e7,pbb_isid=0x12345,pbb_uca=1",
		"push_pbb(0x88e7),output(12)", "eth_type,pbb_isid"},
	/* What comes behind a type that was set is the datapath's to parse. */
	{{"ip,actions=set_field:10.0.0.1->ip_dst,set_field:0x86dd->eth_type,output:2"},
		"in_port=1,ip,nw_dst=10.0.0.2",
		"set(ip_dst=10.0.0.1),set(eth_type=0x86dd),output(12)", "eth_type"},
	{{"ip,actions=set_field:17->nw_proto,set_field:1->nw_ttl,output:2"}, "in_port=1,tcp",
		"set(nw_proto=17),recirc(0x1)", "eth_type"},
	/* Limits. */
	{{"actions=resubmit(,0)"}, "in_port=1", "drop(resubmit-depth)", ""},
	{{"actions=resubmit(,1),resubmit(,1)", "table=1,actions=resubmit(,2),resubmit(,2)",
		 "table=2,actions=resubmit(,0),resubmit(,0)"},
		"in_port=1", "drop(resubmit-depth)", ""},
};

static void
test_translate_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		struct world w;

		world_init(&w);
		for (unsigned n = 0; n < 6 && r->flows[n]; n++) {
			world_flow(&w, r->flows[n]);
		}
		if (strcmp(world_translate(&w, r->packet), r->actions)) {
			fail_msg("row %zu, %s: actions %s", i, r->packet, w.text);
		}
		if (strcmp(world_mask(&w), r->mask)) {
			fail_msg("row %zu, %s: mask %s", i, r->packet, w.text);
		}
		world_uninit(&w);
	}
}

static void
set_drop_fragments(struct world *w, bool drop)
{
	struct of_settings settings;

	ofproto_get_settings(w->p, &settings);
	settings.drop_fragments = drop;
	ofproto_set_settings(w->p, &settings);
}

/* The fragment bits are looked at only then, and of every packet. */
static void
test_translate_drops_fragments_if_told_so(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	world_flow(&w, "actions=2");
	assert_string_equal(world_translate(&w, "in_port=1,ip,ip_frag=first"), "output(12)");
	assert_string_equal(world_mask(&w), "");
	set_drop_fragments(&w, true);
	assert_string_equal(world_translate(&w, "in_port=1,ip,ip_frag=first"), "drop(fragment)");
	assert_string_equal(world_mask(&w), "ip_frag");
	assert_string_equal(world_translate(&w, "in_port=1,ipv6,ip_frag=later"), "drop(fragment)");
	assert_string_equal(world_translate(&w, "in_port=1,ip"), "output(12)");
	assert_string_equal(world_mask(&w), "ip_frag");
	set_drop_fragments(&w, false);
	assert_string_equal(world_translate(&w, "in_port=1,ip,ip_frag=first"), "output(12)");
	world_uninit(&w);
}

/* A packet of a controller's, which has no input port in the datapath, is parsed anew there and goes on. */
static void
test_translate_goes_on_with_what_a_controller_sent(void **state)
{
	struct of_actions list;
	struct flow_key key;
	struct world w;
	struct translate_in in = {.key = &key};

	(void)state;
	world_init(&w);
	world_flow(&w, "table=0,in_port=CONTROLLER,ip,nw_ttl=9,actions=3");
	of_actions_init(&list);
	of_actions_put_u32(&list, OF_ACTION_PUSH_MPLS, 0x8847);
	of_actions_put_u32(&list, OF_ACTION_POP_MPLS, 0x0800);
	of_actions_put_flag(&list, OF_ACTION_DEC_NW_TTL);
	of_actions_put_output(&list, OF_PORT(OFPP_TABLE), 0);
	world_key("ip,nw_ttl=10", &key);
	key.in_port = be32_from(OFPP_CONTROLLER);
	in.reader = w.reader;
	of_reader_enter(w.reader);
	in.version = of_model_version(w.model);
	translate_packet_out(&in, w.p, list.data, list.size, &w.t);
	of_reader_leave(w.reader);
	assert_int_equal(w.t.n_contexts, 1);
	key.in_port = be32_from(DP_PORT_MADE);
	key.recirc_id = be32_from(w.t.contexts[0]);
	assert_string_equal(world_translate_key(&w, &key), "dec_ttl(drop(invalid-ttl)),output(13)");
	/* Neither without a context, nor with one that there is not. */
	key.recirc_id = be32_from(9);
	assert_string_equal(world_translate_key(&w, &key), "drop(agent-refused)");
	key.recirc_id = be32_from(0);
	assert_string_equal(world_translate_key(&w, &key), "drop(agent-refused)");
	of_actions_uninit(&list);
	world_uninit(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_translate_rows),
		cmocka_unit_test(test_translate_drops_fragments_if_told_so),
		cmocka_unit_test(test_translate_goes_on_with_what_a_controller_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

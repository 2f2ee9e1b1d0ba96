/* SPDX-License-Identifier: Apache-2.0
 *
 * Mirrors: which packets are copied, as what, to where, how often.
 *
 * Ports: 1 access 10; 2, 3, 4 trunks; 5 access 99; 6 trunk 10; 7, 8 trunks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/byteorder.h"
#include "lib/error.h"
#include "lib/strbuf.h"
#include "ofproto/of_counter.h"
#include "ofproto/of_mirror.h"
#include "ofproto/of_text.h"
#include "tests/unit/ofproto/underlay_lab.h"

static int
begin(void **state)
{
	static const int ten[] = {10, -1};
	struct world *w = malloc(sizeof(*w));

	world_init(w);
	world_port(w, 1, OF_VLAN_ACCESS, 10, NULL);
	world_port(w, 5, OF_VLAN_ACCESS, 99, NULL);
	world_port(w, 6, OF_VLAN_TRUNK, 0, ten);
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

static const struct of_port one[] = {{1}}, two[] = {{2}}, three[] = {{3}};

#define SPAN(NAME, ...) ((struct of_mirror){.name = NAME, .output_port = OF_PORT(8), __VA_ARGS__})
#define RSPAN(NAME, ...)                                                                           \
	((struct of_mirror){                                                                       \
		.name = NAME, .output_port = OF_PORT_NONE, .output_vlan = 99, __VA_ARGS__})
#define SRC(PORTS) .src = (PORTS), .n_src = 1
#define DST(PORTS) .dst = (PORTS), .n_dst = 1

static void
set(struct world *w, struct of_mirror mirror)
{
	ofproto_set_mirrors(w->p, &mirror, 1);
}

#define EXPECT(W, PACKET, ACTIONS) assert_string_equal(world_translate(W, PACKET), ACTIONS)
#define EXPECT_MASK(W, MASK) assert_string_equal(world_mask(W), MASK)

#define SET9 "set(eth_src=00:00:00:00:00:09)"
#define TO9 "set_field:00:00:00:00:00:09->eth_src"

static void
test_mirror_source_port(void **state)
{
	struct world *w = *state;

	world_flow(w, "in_port=1,actions=" TO9 ",output:2");
	world_flow(w, "in_port=2,actions=output:1");
	world_flow(w, "in_port=3,actions=drop");
	world_flow(w, "in_port=4,actions=NORMAL");
	set(w, SPAN("m", SRC(one)));
	/* As it came in. */
	EXPECT(w, "in_port=1,udp", "output(18)," SET9 ",output(12)");
	EXPECT_MASK(w, "");
	EXPECT(w, "in_port=2,udp", "output(11)");
	/* What is dropped is copied too, and counted as dropped. */
	set(w, SPAN("m", SRC(three)));
	EXPECT(w, "in_port=3", "output(18),drop(explicit)");
	assert_int_equal(w->t.drop, DROP_EXPLICIT);
	world_flow(w, "priority=40000,in_port=3,actions=NORMAL");
	world_port(w, 3, OF_VLAN_ACCESS, 10, NULL);
	EXPECT(w, "in_port=3,dl_vlan=5", "output(18),drop(vlan-not-allowed)");
	/* Not what the port does not let in. */
	for (unsigned i = 0; i < 2; i++) {
		static const struct of_allow nobody;
		struct of_port_info info = *ofproto_port_find(w->p, OF_PORT(3));

		info.allow = &nobody;
		info.config = i ? OF_PORT_NO_RECV : 0;
		assert_true(ofproto_port_set(w->p, &info, NULL));
		EXPECT(w, "in_port=3", i ? "drop(rx-disabled)" : "drop(source-not-allowed)");
	}
	ofproto_set_mirrors(w->p, NULL, 0);
	EXPECT(w, "in_port=1,udp", SET9 ",output(12)");
}

static void
test_mirror_destination_port(void **state)
{
	struct world *w = *state;

	world_flow(w, "in_port=1,actions=" TO9 ",output:2");
	world_flow(w, "in_port=3,actions=output:2,output:4,output:2");
	world_flow(w, "in_port=4,actions=output:1");
	world_flow(w, "in_port=2,actions=in_port");
	world_flow(w, "in_port=7,actions=" TO9 ",output:9");
	set(w, SPAN("m", DST(two)));
	/* As it goes out. */
	EXPECT(w, "in_port=1", SET9 ",output(18),output(12)");
	EXPECT(w, "in_port=3", "output(18),output(12),output(14),output(12)");
	EXPECT(w, "in_port=4", "output(11)");
	EXPECT(w, "in_port=2", "output(18),output(12)");
	/* Not if it does not go out. */
	EXPECT(w, "in_port=7", "drop(port-gone)");
	/* Each packet once, whatever the reasons. */
	set(w, SPAN("m", SRC(one), DST(two)));
	EXPECT(w, "in_port=1", "output(18)," SET9 ",output(12)");
	set(w, SPAN("m", .select_all = true));
	EXPECT(w, "in_port=3", "output(18),output(12),output(14),output(12)");
	EXPECT(w, "in_port=4", "output(18),output(11)");
}

static void
test_mirror_several(void **state)
{
	struct world *w = *state;
	struct of_mirror list[] = {
		SPAN("a", SRC(one)),
		SPAN("b", DST(two), .max_len = 64),
		SPAN("c", .select_all = true),
	};

	list[1].output_port = OF_PORT(7);
	list[2].output_port = OF_PORT(4);
	ofproto_set_mirrors(w->p, list, 3);
	world_flow(w, "in_port=1,actions=output:2,output:3");
	world_flow(w, "in_port=3,actions=output:2");
	world_flow(w, "in_port=2,actions=output:7,output:4,output:3");
	world_flow(w, "in_port=8,actions=output:3");
	EXPECT(w, "in_port=1", "output(18),output(14),output(17,max_len=64),output(12),output(13)");
	EXPECT(w, "in_port=3", "output(14),output(17,max_len=64),output(12)");
	/* What goes to or comes from who watches is not watched there. */
	EXPECT(w, "in_port=2", "output(14),output(17),output(14),output(13)");
	EXPECT(w, "in_port=8", "output(14),output(13)");
	world_flow(w, "in_port=7,actions=drop");
	EXPECT(w, "in_port=7", "drop");
	/* A port that does not send: no copy, nothing noted. */
	ofproto_port_del(w->p, OF_PORT(8));
	EXPECT(w, "in_port=1", "output(14),output(17,max_len=64),output(12),output(13)");
	assert_int_equal(w->t.counters.n, 2);
}

static void
test_mirror_selects_by_vlan(void **state)
{
	static const uint64_t ten[64] = {UINT64_C(1) << 10}, none[64] = {UINT64_C(1) << 0};
	struct world *w = *state;

	world_flow(w, "in_port=1,actions=output:2");
	world_flow(w, "in_port=2,actions=output:3");
	world_flow(w, "in_port=3,vlan_tci=0x1000/0x1000,actions=pop_vlan,output:1");
	set(w, SPAN("m", .select_all = true, .vlans = ten));
	/* An access port's packets are in its VLAN. */
	EXPECT(w, "in_port=1", "output(18),output(12)");
	EXPECT_MASK(w, "vlan_tci/1000");
	EXPECT(w, "in_port=2,dl_vlan=10", "output(18),output(13)");
	EXPECT_MASK(w, "vlan_tci/1fff");
	EXPECT(w, "in_port=2,dl_vlan=11", "output(13)");
	EXPECT_MASK(w, "vlan_tci/1fff");
	EXPECT(w, "in_port=2", "output(13)");
	/* Tagged on an access port: in none. */
	set(w, SPAN("m", SRC(one), .vlans = ten));
	EXPECT(w, "in_port=1,dl_vlan=10", "output(12)");
	/* On the way out: in that of the port. */
	set(w, SPAN("m", .select_all = false, DST(one), .vlans = ten));
	EXPECT(w, "in_port=3,dl_vlan=20", "pop_vlan,output(18),output(11)");
	set(w, SPAN("m", .select_all = true, .vlans = none));
	EXPECT(w, "in_port=2", "output(18),output(13)");
}

static void
test_mirror_selects_by_filter(void **state)
{
	struct world *w = *state;
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_match filter;

	assert_true(of_text_parse_match("tcp,tp_dst=80", 13, NULL, &filter, &err));
	world_flow(w, "in_port=1,actions=output:2");
	world_flow(w, "in_port=3,tcp,actions=set_field:80->tcp_dst,output:2");
	set(w, SPAN("m", SRC(one), .filter = &filter));
	EXPECT(w, "in_port=1,tcp,tp_dst=80", "output(18),output(12)");
	EXPECT_MASK(w, "eth_type,nw_proto,tcp_dst");
	EXPECT(w, "in_port=1,tcp,tp_dst=81", "output(12)");
	EXPECT_MASK(w, "eth_type,nw_proto,tcp_dst");
	EXPECT(w, "in_port=3,tcp,tp_dst=443", "set(tcp_dst=80),output(12)");
	/* What it has become counts. */
	set(w, SPAN("m", DST(two), .filter = &filter));
	EXPECT(w, "in_port=3,tcp,tp_dst=443", "set(tcp_dst=80),output(18),output(12)");
}

#define PUSH99 "push_vlan(tpid=0x8100,vid=99,pcp=0)"
#define ALL_TRUNKS "output(12),output(13),output(14),output(17),output(18)"

static void
test_mirror_into_a_vlan(void **state)
{
	struct of_mirror list[] = {RSPAN("a", SRC(one)), SPAN("b", DST(two))};
	struct world *w = *state;

	world_flow(w, "in_port=1,actions=output:6");
	world_flow(w, "in_port=2,actions=output:6");
	world_flow(w, "in_port=3,vlan_tci=0x1000/0x1000,actions=pop_vlan,output:1");
	set(w, RSPAN("m", SRC(one)));
	/* By all ports that carry it, that one too by which it came; tagged but for the access port. */
	EXPECT(w, "in_port=1", "output(15),clone(" PUSH99 "," ALL_TRUNKS "),output(16)");
	set(w, RSPAN("m", SRC(two)));
	EXPECT(w, "in_port=2,dl_vlan=10,dl_vlan_pcp=5",
		"clone(pop_vlan,output(15)),clone(set(vlan_tci=0x63/0xfff)," ALL_TRUNKS
		"),output(16)");
	EXPECT_MASK(w, "eth_dst/010000000000,vlan_tci/1fff");
	/* What is in the VLAN already is not copied, nor what bridges keep to themselves. */
	EXPECT(w, "in_port=2,dl_vlan=99", "output(16)");
	EXPECT(w, "in_port=2,dl_dst=01:80:c2:00:00:0e", "output(16)");
	EXPECT_MASK(w, "eth_dst/fffffffffff0,vlan_tci/1000");
	EXPECT(w, "in_port=2,dl_dst=01:80:c2:00:00:1e",
		"output(15),clone(" PUSH99 "," ALL_TRUNKS "),output(16)");
	/* Copies are not watched. */
	world_flow(w, "in_port=7,actions=drop");
	list[0].src = (const struct of_port[]){{7}};
	ofproto_set_mirrors(w->p, list, 2);
	EXPECT(w, "in_port=7",
		"output(15),clone(" PUSH99 ",output(12),output(13),output(14),output(17)),"
		"drop(explicit)");
	/* As it goes out. */
	set(w, RSPAN("m", DST(one)));
	EXPECT(w, "in_port=3,dl_vlan=7",
		"pop_vlan,output(15),clone(" PUSH99 "," ALL_TRUNKS "),output(11)");
}

static void
test_mirror_and_normal(void **state)
{
	static const uint8_t mac[6] = {0, 0, 0, 0, 0, 1};
	struct world *w = *state;

	for (unsigned i = 2; i <= 7; i++) {
		ofproto_port_del(w->p, OF_PORT(i));
	}
	world_port(w, 2, OF_VLAN_TRUNK, 0, NULL);
	world_port(w, 3, OF_VLAN_TRUNK, 0, NULL);
	world_flow(w, "actions=NORMAL");
	EXPECT(w, "in_port=2,dl_src=00:00:00:00:00:01", "output(13),output(18)");
	/* The output port is the mirror's alone. */
	set(w, SPAN("m", SRC(one)));
	EXPECT(w, "in_port=2,dl_src=00:00:00:00:00:01", "output(13)");
	EXPECT(w, "in_port=8,dl_src=00:00:00:00:00:01", "drop(mirror-port)");
	assert_int_equal(w->t.n_learned, 0);
	/* Each copy as it goes out: floods are copied once. */
	set(w, SPAN("m", DST(one)));
	EXPECT(w, "in_port=2,dl_vlan=10", "clone(pop_vlan,output(18),output(11)),output(13)");
	/* In the output VLAN nobody is learned, and everything is flooded. */
	set(w, RSPAN("m", SRC(one)));
	ofproto_fdb_learn(w->p, 99, mac, OF_PORT(3), w->now_ms);
	EXPECT(w, "in_port=2,dl_vlan=99,dl_dst=00:00:00:00:00:01,dl_src=00:00:00:00:00:02",
		"output(13),output(18)");
	assert_int_equal(w->t.n_learned, 0);
	ofproto_set_mirrors(w->p, NULL, 0);
	EXPECT(w, "in_port=2,dl_vlan=99,dl_dst=00:00:00:00:00:01,dl_src=00:00:00:00:00:02",
		"output(13)");
	assert_int_equal(w->t.n_learned, 1);
}

static void
expect_traffic(struct world *w, const char *name, uint64_t packets)
{
	struct of_mirror_traffic traffic;

	assert_true(ofproto_mirror_traffic(w->p, name, &traffic));
	assert_int_equal(traffic.packets, packets);
	assert_int_equal(traffic.bytes, 100 * packets);
}

static void
test_mirror_counts(void **state)
{
	struct world *w = *state;
	struct of_mirror list[] = {SPAN("a", SRC(one)), SPAN("b", SRC(two))};
	struct of_mirror_traffic traffic;

	world_flow(w, "actions=output:3");
	ofproto_set_mirrors(w->p, list, 2);
	EXPECT(w, "in_port=1", "output(18),output(13)");
	assert_int_equal(w->t.counters.n, 1);
	of_counter_add(w->t.counters.v[0], 3, 300);
	expect_traffic(w, "a", 3);
	expect_traffic(w, "b", 0);
	/* They go on with the name. */
	list[0].max_len = 50;
	ofproto_set_mirrors(w->p, list, 1);
	EXPECT(w, "in_port=1", "output(18,max_len=50),output(13)");
	of_counter_add(w->t.counters.v[0], 1, 100);
	expect_traffic(w, "a", 4);
	assert_false(ofproto_mirror_traffic(w->p, "b", &traffic));
	ofproto_set_mirrors(w->p, &list[1], 1);
	ofproto_set_mirrors(w->p, list, 2);
	expect_traffic(w, "a", 0);
}

static void
test_mirror_once_through_recirculation(void **state)
{
	struct world *w = *state;
	struct flow_key key;

	world_flow(w, "in_port=1,mpls,actions=pop_mpls:0x800,resubmit(,1)");
	world_flow(w, "in_port=3,mpls,actions=pop_mpls:0x800,resubmit(,1)");
	world_flow(w, "table=1,ip,actions=output:2");
	set(w, SPAN("m", SRC(one), DST(two)));
	world_translate(w, "in_port=1,mpls");
	assert_memory_equal(w->text, "output(18),pop_mpls", 19);
	world_key("in_port=1,ip", &key);
	key.recirc_id = be32_from(w->t.contexts[0]);
	assert_string_equal(world_translate_key(w, &key), "output(12)");
	world_translate(w, "in_port=3,mpls");
	world_key("in_port=3,ip", &key);
	key.recirc_id = be32_from(w->t.contexts[0]);
	assert_string_equal(world_translate_key(w, &key), "output(18),output(12)");
}

static void
test_mirror_in_each_switch(void **state)
{
	struct world *w = *state;
	struct ofproto *s2 = ofproto_create(w->model, "s2", 2, NULL), *s1 = w->p;
	struct of_port_info patch = {.number = OF_PORT(9),
		.dp_port = DP_PORT_NONE,
		.name = "a",
		.kind = OF_PORT_PATCH,
		.patch = {ofproto_id(s2), OF_PORT(9)}};
	struct of_port_info plain = {.number = OF_PORT(1), .dp_port = {21}, .name = "b"};

	assert_true(ofproto_port_set(s1, &patch, NULL));
	patch.patch.ofproto_id = ofproto_id(s1);
	assert_true(ofproto_port_set(s2, &patch, NULL));
	assert_true(ofproto_port_set(s2, &plain, NULL));
	plain = (struct of_port_info){.number = OF_PORT(8), .dp_port = {28}, .name = "c"};
	assert_true(ofproto_port_set(s2, &plain, NULL));
	world_flow(w, "in_port=1,actions=" TO9 ",output:9,output:2");
	w->p = s2;
	world_flow(w, "in_port=9,actions=output:1");
	set(w, SPAN("m", .select_all = true));
	w->p = s1;
	set(w, SPAN("m", .select_all = true));
	EXPECT(w, "in_port=1", "output(18)," SET9 ",output(28),output(21),output(12)");
	/* The output may be a patch port: there it is a packet as any. */
	set(w, SPAN("m", SRC(one)));
	ofproto_set_mirrors(
		s1, &(struct of_mirror){.name = "m", .output_port = OF_PORT(9), SRC(two)}, 1);
	world_flow(w, "in_port=2,actions=output:3");
	EXPECT(w, "in_port=2", "output(28),output(21),output(13)");
	ofproto_destroy(s2);
}

/* Any object is there. */
static enum translate_object_state
ready_object(void *user, const struct translate_object *o, struct dp_handle *handle)
{
	uint32_t *n = user;

	*n = o->n_parts == 2 ? o->parts[0].n * 16 + o->parts[1].n : UINT32_MAX;
	*handle = (struct dp_handle){7, 1};
	return TRANSLATE_OBJECT_READY;
}

static void
test_mirror_in_buckets(void **state)
{
	struct world *w = *state;
	uint32_t n_counters = 0;
	struct translate_in in = {
		.reader = w->reader, .object = ready_object, .object_user = &n_counters};
	struct strbuf text = STRBUF_INIT;
	struct of_group_mod gm;
	struct flow_key key;

	of_group_mod_init(&gm);
	gm.command = OF_MOD_ADD;
	gm.type = OF_GROUP_SELECT;
	gm.group = 1;
	for (unsigned port = 2; port <= 3; port++) {
		struct of_bucket *b = of_group_mod_add_bucket(&gm);

		b->weight = 1;
		of_actions_put_output(&b->actions, OF_PORT(port), 0);
	}
	assert_true(ofproto_group_mod(w->p, &gm, w->now_ms, NULL));
	of_group_mod_uninit(&gm);
	world_flow(w, "in_port=1,actions=group:1,output:4");
	set(w, SPAN("m", DST(two)));
	world_key("in_port=1", &key);
	of_reader_enter(w->reader);
	in.version = of_model_version(w->model);
	in.key = &key;
	translate(&in, &w->t);
	of_reader_leave(w->reader);
	/* Counted with the bucket's share: the bucket and the mirror, the bucket. */
	assert_int_equal(n_counters, 2 * 16 + 1);
	set(w, SPAN("m", .select_all = false, .dst = (const struct of_port[]){{2}, {3}, {4}},
		       .n_dst = 3));
	of_reader_enter(w->reader);
	in.version = of_model_version(w->model);
	translate(&in, &w->t);
	of_reader_leave(w->reader);
	/* Either bucket copies it; what comes behind does not. */
	assert_int_equal(n_counters, 2 * 16 + 2);
	dp_actions_format(w->t.actions.data, w->t.actions.size, &text);
	assert_null(strstr(strbuf_text(&text), "output(18)"));
	assert_non_null(strstr(strbuf_text(&text), "output(14)"));
	strbuf_uninit(&text);
}

static void
test_mirror_into_a_tunnel(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel vxlan = lab_tunnel("192.0.2.2"), gre = vxlan;
	struct of_mirror mirror = SPAN("m", SRC(one));
	struct of_match filter;

	gre.kind = DP_TUNNEL_GRE;
	gre.dst_port = 0;
	lab_tunnel_port(t, 20, &gre);
	lab_route(t, 2, 1, 2);
	lab_flow(t, t->s1, "in_port=1,actions=" TO9 ",output:2");
	lab_flow(t, t->s1, "in_port=3,actions=output:20");
	lab_flow(t, t->u, "in_port=9,actions=output:1");
	mirror.output_port = OF_PORT(20);
	ofproto_set_mirrors(t->s1, &mirror, 1);
	assert_string_equal(
		lab_translate(t, "in_port=1"), "clone(encap(1.1),output(31))," SET9 ",output(12)");
	/* The underlay's mirrors see tunnels' packets as they go out, but not copies. */
	mirror = SPAN("m", .select_all = true);
	mirror.output_port = OF_PORT(2);
	ofproto_set_mirrors(t->u, &mirror, 1);
	assert_string_equal(
		lab_translate(t, "in_port=1"), "clone(encap(1.1),output(31))," SET9 ",output(12)");
	assert_string_equal(lab_translate(t, "in_port=3"), "encap(1.1),output(32),output(31)");
	/* Nor what the datapath would have to parse first. */
	assert_true(of_text_parse_match("udp,tp_dst=4789", 15, NULL, &filter, NULL));
	mirror.filter = &filter;
	ofproto_set_mirrors(t->u, &mirror, 1);
	lab_tunnel_port(t, 20, &vxlan);
	assert_string_equal(lab_translate(t, "in_port=3"), "encap(2.1),output(32),output(31)");
	assert_true(of_text_parse_match("udp,tp_src=0", 12, NULL, &filter, NULL));
	ofproto_set_mirrors(t->u, &mirror, 1);
	assert_string_equal(lab_translate(t, "in_port=3"), "encap(2.1),output(31)");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_mirror_source_port, begin, end),
		cmocka_unit_test_setup_teardown(test_mirror_destination_port, begin, end),
		cmocka_unit_test_setup_teardown(test_mirror_several, begin, end),
		cmocka_unit_test_setup_teardown(test_mirror_selects_by_vlan, begin, end),
		cmocka_unit_test_setup_teardown(test_mirror_selects_by_filter, begin, end),
		cmocka_unit_test_setup_teardown(test_mirror_into_a_vlan, begin, end),
		cmocka_unit_test_setup_teardown(test_mirror_and_normal, begin, end),
		cmocka_unit_test_setup_teardown(test_mirror_counts, begin, end),
		cmocka_unit_test_setup_teardown(test_mirror_once_through_recirculation, begin, end),
		cmocka_unit_test_setup_teardown(test_mirror_in_each_switch, begin, end),
		cmocka_unit_test_setup_teardown(test_mirror_in_buckets, begin, end),
		cmocka_unit_test_setup_teardown(
			test_mirror_into_a_tunnel, underlay_lab_begin, underlay_lab_end),
	};

	return cmocka_run_group_tests_name("mirror", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * NORMAL: VLAN modes in and out, learning, flooding; and the table of learned addresses.
 *
 * Ports: 1 access 10; 2 trunk, all; 3 trunk 10, 20; 4 native-untagged 10; 5 native-tagged 10;
 *        6 dot1q-tunnel 10; 7 access 20; 8 trunk 20.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ofproto/fdb.h"
#include "tests/unit/ofproto/world.h"

static int
begin(void **state)
{
	static const int both[] = {10, 20, -1}, twenty[] = {20, -1};
	struct world *w = malloc(sizeof(*w));

	world_init(w);
	world_port(w, 1, OF_VLAN_ACCESS, 10, NULL);
	world_port(w, 2, OF_VLAN_TRUNK, 0, NULL);
	world_port(w, 3, OF_VLAN_TRUNK, 0, both);
	world_port(w, 4, OF_VLAN_NATIVE_UNTAGGED, 10, both);
	world_port(w, 5, OF_VLAN_NATIVE_TAGGED, 10, both);
	world_port(w, 6, OF_VLAN_DOT1Q_TUNNEL, 10, NULL);
	world_port(w, 7, OF_VLAN_ACCESS, 20, NULL);
	world_port(w, 8, OF_VLAN_TRUNK, 0, twenty);
	world_flow(w, "actions=NORMAL");
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

#define PUSH10 "push_vlan(tpid=0x8100,vid=10,pcp=0)"

static void
test_normal_floods_each_vlan_where_it_is(void **state)
{
	static const struct {
		const char *packet;
		const char *actions;
	} rows[] = {
		/* Untagged into VLAN 10: as it is to untagged members, with a tag to the others. */
		{"in_port=1", "output(14),output(16)," PUSH10 ",output(12),output(13),output(15)"},
		{"in_port=4", "output(11),output(16)," PUSH10 ",output(12),output(13),output(15)"},
		{"in_port=5", "output(11),output(14),output(16)," PUSH10 ",output(12),output(13)"},
		/* Tagged 10. */
		{"in_port=3,dl_vlan=10",
			"clone(pop_vlan,output(11),output(14),output(16)),output(12),output(15)"},
		{"in_port=4,dl_vlan=10",
			"clone(pop_vlan,output(11),output(16)),output(12),output(13),output(15)"},
		/* Priority is kept. */
		{"in_port=3,dl_vlan=20,dl_vlan_pcp=5",
			"clone(pop_vlan,output(17)),output(12),output(14),output(15),output(18)"},
		{"in_port=7",
			"push_vlan(tpid=0x8100,vid=20,pcp=0),output(12),output(13),output(14),"
			"output(15),output(18)"},
		/* A priority tag is no VLAN: it becomes one. */
		{"in_port=1,dl_vlan=0,dl_vlan_pcp=3",
			"clone(pop_vlan,output(14),output(16)),set(vlan_tci=0xa/0xfff),output(12),output(13),"
			"output(15)"},
		/* A VLAN of one port alone. */
		{"in_port=2,dl_vlan=99", "drop"},
		{"in_port=2", "drop"},
		/* Not a member. */
		{"in_port=1,dl_vlan=10", "drop(vlan-not-allowed)"},
		{"in_port=3,dl_vlan=99", "drop(vlan-not-allowed)"},
		{"in_port=8", "drop(vlan-not-allowed)"},
		/* Customers' tags are payload. */
		{"in_port=6",
			"output(11),output(14),push_vlan(tpid=0x88a8,vid=10,pcp=0),output(12),"
			"output(13),output(15)"},
		{"in_port=6,dl_vlan=99",
			"output(11),output(14),push_vlan(tpid=0x88a8,vid=10,pcp=0),"
			"output(12),output(13),output(15)"},
		/* Reserved addresses stay here. */
		{"in_port=1,dl_dst=01:80:c2:00:00:00", "drop"},
		{"in_port=1,dl_dst=01:80:c2:00:00:0f", "drop"},
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(world_translate(w, rows[i].packet), rows[i].actions)) {
			fail_msg("%s: %s", rows[i].packet, w->text);
		}
	}
	world_translate(w, "in_port=1,dl_dst=01:80:c2:00:00:10");
	assert_non_null(strstr(w->text, "output"));
}

static void
test_normal_learns_per_vlan(void **state)
{
	struct world *w = *state;
	uint8_t mac[6] = {0, 0, 0, 0, 0, 1};

	world_translate(w, "in_port=3,dl_vlan=20,dl_src=00:00:00:00:00:01");
	assert_int_equal(w->t.n_learned, 1);
	assert_int_equal(w->t.learned[0].vlan, 20);
	assert_int_equal(w->t.learned[0].place.port.v, 3);
	world_translate(w, "in_port=3,dl_vlan=20,dl_src=01:00:00:00:00:01");
	assert_int_equal(w->t.n_learned, 0);
	world_translate(w, "in_port=3,dl_vlan=99,dl_src=00:00:00:00:00:01");
	assert_int_equal(w->t.n_learned, 0);
	ofproto_fdb_learn(w->p, 20, mac, OF_PORT(3), w->now_ms);
	assert_string_equal(world_translate(w, "in_port=7,dl_dst=00:00:00:00:00:01"),
		"push_vlan(tpid=0x8100,vid=20,pcp=0),output(13)");
	assert_string_equal(world_mask(w), "eth_dst,eth_src,vlan_tci/1000");
	/* Not in VLAN 10. */
	world_translate(w, "in_port=1,dl_dst=00:00:00:00:00:01");
	assert_non_null(strstr(w->text, "output(14),output(16)"));
	/* Where it came from. */
	assert_string_equal(
		world_translate(w, "in_port=3,dl_vlan=20,dl_dst=00:00:00:00:00:01"), "drop");
	/* It moves. */
	ofproto_fdb_learn(w->p, 20, mac, OF_PORT(8), w->now_ms);
	assert_string_equal(
		world_translate(w, "in_port=3,dl_vlan=20,dl_dst=00:00:00:00:00:01"), "output(18)");
	/* Its port goes. */
	ofproto_port_del(w->p, OF_PORT(8));
	world_translate(w, "in_port=3,dl_vlan=20,dl_dst=00:00:00:00:00:01");
	assert_non_null(strstr(w->text, "output(14)"));
}

static void
test_normal_leaves_the_packet_as_it_was(void **state)
{
	struct world *w = *state;

	world_flow(w, "priority=40000,in_port=3,actions=NORMAL,output:2");
	assert_string_equal(world_translate(w, "in_port=3,dl_vlan=10"),
		"clone(pop_vlan,output(11),output(14),output(16)),output(12),output(15),output(12)");
	world_flow(w,
		"priority=40000,in_port=1,actions=set_field:00:00:00:00:00:09->eth_src,NORMAL,output:2");
	assert_string_equal(world_translate(w, "in_port=1"),
		"set(eth_src=00:00:00:00:00:09),output(14),output(16),"
		"clone(" PUSH10 ",output(12),output(13),output(15)),output(12)");
}

/* --- the table ----------------------------------------------------------------------------------- */

static void
test_fdb_ages_and_evicts(void **state)
{
	struct world *w = *state;
	struct fdb *f = ofproto_fdb(w->p);
	struct of_settings s;
	uint8_t mac[6] = {0};

	ofproto_get_settings(w->p, &s);
	s.fdb_max = 3;
	ofproto_set_settings(w->p, &s);
	for (uint8_t i = 1; i <= 4; i++) {
		mac[5] = i;
		ofproto_fdb_learn(w->p, 10, mac, OF_PORT(1), w->now_ms + i);
	}
	assert_int_equal(fdb_count(f), 3);
	mac[5] = 1;
	assert_int_equal(fdb_lookup(f, 10, mac).v, OFPP_ANY);
	/* What is used stays: 2 is refreshed, so 3 goes next. */
	mac[5] = 2;
	assert_true(
		fdb_refresh(f, 10, mac, &(struct fdb_place){.port = OF_PORT(1)}, w->now_ms + 100));
	assert_false(
		fdb_refresh(f, 10, mac, &(struct fdb_place){.port = OF_PORT(2)}, w->now_ms + 100));
	mac[5] = 5;
	ofproto_fdb_learn(w->p, 10, mac, OF_PORT(1), w->now_ms + 101);
	mac[5] = 3;
	assert_int_equal(fdb_lookup(f, 10, mac).v, OFPP_ANY);
	mac[5] = 2;
	assert_int_equal(fdb_lookup(f, 10, mac).v, 1);
	/* Static entries neither age nor move. */
	mac[5] = 9;
	assert_true(ofproto_fdb_add_static(w->p, 10, mac, OF_PORT(2), NULL));
	assert_false(ofproto_fdb_add_static(w->p, 10, mac, OF_PORT(77), NULL));
	ofproto_fdb_learn(w->p, 10, mac, OF_PORT(1), w->now_ms);
	assert_true(fdb_refresh(f, 10, mac, &(struct fdb_place){.port = OF_PORT(1)}, w->now_ms));
	world_run(w, 300099);
	mac[5] = 2;
	assert_int_equal(fdb_lookup(f, 10, mac).v, 1);
	world_run(w, 1);
	assert_int_equal(fdb_lookup(f, 10, mac).v, OFPP_ANY);
	world_run(w, 10);
	assert_int_equal(fdb_count(f), 1);
	mac[5] = 9;
	assert_int_equal(fdb_lookup(f, 10, mac).v, 2);
	ofproto_fdb_flush(w->p);
	assert_int_equal(fdb_count(f), 1);
	assert_true(ofproto_fdb_del(w->p, 10, mac));
	assert_false(ofproto_fdb_del(w->p, 10, mac));
	assert_int_equal(fdb_count(f), 0);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_normal_floods_each_vlan_where_it_is),
		TEST(test_normal_learns_per_vlan),
		TEST(test_normal_leaves_the_packet_as_it_was),
		TEST(test_fdb_ages_and_evicts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

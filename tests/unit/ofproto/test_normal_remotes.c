/* SPDX-License-Identifier: Apache-2.0
 *
 * NORMAL on tunnel ports of many remotes: floods, what is learned, who hears what (underlay_lab.h).
 *
 *	1 [s1] 20 VNI 5, remote=flow, flood=192.0.2.2,192.0.2.3
 *	2      21 VNI 6, remote=flow, flood=192.0.2.4 (where a test has it)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/alloc.h"
#include "lib/error.h"
#include "ofproto/fdb.h"
#include "ofproto/of_trace.h"
#include "tests/unit/ofproto/underlay_lab.h"

#define EXPECT(T, PACKET, ACTIONS) assert_string_equal(lab_translate(T, PACKET), ACTIONS)
#define A "00:00:00:00:00:0a" /* a guest here */
#define B "00:00:00:00:00:0b" /* behind 192.0.2.2 */
#define FROM(SRC, DST) "dl_src=" SRC ",dl_dst=" DST
/* In by tunnel port 20 (40 in the datapath; world_key() adds 10). */
#define TUNNEL(REMOTE) "in_port=30,tun_id=5,tun_src=" REMOTE ",tun_dst=192.0.2.1,"
#define OUT(SLOT) "encap(" #SLOT ".1),output(31)"

static const uint8_t mac_b[6] = {0, 0, 0, 0, 0, 0xb};

static void
flood_port(struct underlay_lab *t, unsigned number, uint32_t id, unsigned n,
	const char *const *remotes)
{
	struct of_tunnel tunnel = lab_tunnel(NULL);
	struct of_flood *flood = xcalloc(1, sizeof(*flood) + n * sizeof(flood->remotes[0]));
	struct of_port_info info;

	tunnel.id = id;
	lab_tunnel_port(t, number, &tunnel);
	info = *ofproto_port_find(t->s1, OF_PORT(number));
	for (flood->n = 0; flood->n < n; flood->n++) {
		flood->remotes[flood->n] = lab_addr(remotes[flood->n]);
	}
	info.flood = flood;
	assert_true(ofproto_port_set(t->s1, &info, NULL));
	free(flood);
}

/* Ports 3 to 8 of s1 hear nothing. */
static int
begin(void **state)
{
	static const char *const remotes[] = {"192.0.2.2", "192.0.2.3"};
	struct underlay_lab *t;

	underlay_lab_begin(state);
	t = *state;
	for (unsigned i = 3; i <= WORLD_N_PORTS; i++) {
		ofproto_port_del(t->s1, OF_PORT(i));
	}
	for (unsigned i = 2; i <= 4; i++) {
		lab_route(t, i, 1, i);
	}
	lab_flow(t, t->s1, "actions=NORMAL");
	lab_flow(t, t->u, "actions=output:1");
	flood_port(t, 20, 5, 2, remotes);
	return 0;
}

static void
learn(struct underlay_lab *t, uint16_t vlan, const uint8_t mac[6], unsigned port,
	const char *remote)
{
	struct fdb_place place = {.port = OF_PORT(port), .remote = lab_addr(remote)};

	ofproto_fdb_learn_at(t->s1, vlan, mac, &place, t->w.now_ms);
}

static void
test_remotes_flood(void **state)
{
	struct underlay_lab *t = *state;

	EXPECT(t, "in_port=1," FROM(A, B), "output(12),clone(" OUT(1) ")," OUT(2));
	EXPECT(t, "in_port=1," FROM(A, "ff:ff:ff:ff:ff:ff"),
		"output(12),clone(" OUT(1) ")," OUT(2));
	/* To the next hops of both, with their addresses. */
	assert_non_null(strstr(lab_encap(t, 1), "020000000002020000000001080045"));
	assert_non_null(strstr(lab_encap(t, 1), "c0000201c0000202"));
	assert_non_null(strstr(lab_encap(t, 2), "020000000003020000000001080045"));
	assert_non_null(strstr(lab_encap(t, 2), "c0000201c0000203"));
	/* What rules say of tun_dst means nothing here; and nobody looks at it. */
	assert_null(strstr(world_mask(&t->w), "tun_"));
}

/* One without a route does not keep the others from it. */
static void
test_remotes_flood_past_a_lost_one(void **state)
{
	struct underlay_lab *t = *state;

	lab_no_route(t, 2, OF_UNDERLAY_NO_NEIGHBOUR);
	EXPECT(t, "in_port=1," FROM(A, B),
		"output(12),clone(" OUT(1) "),drop(tunnel-no-neighbour)");
	assert_non_null(strstr(lab_encap(t, 1), "c0000201c0000203"));
}

static void
test_remotes_learn(void **state)
{
	struct underlay_lab *t = *state;
	struct of_underlay_addr two = lab_addr("192.0.2.2");

	EXPECT(t, TUNNEL("192.0.2.2") FROM(B, A), "output(11),output(12)");
	assert_int_equal(t->w.t.n_learned, 1);
	assert_int_equal(t->w.t.learned[0].place.port.v, 20);
	assert_memory_equal(&t->w.t.learned[0].place.remote, &two, sizeof(two));
	assert_non_null(strstr(world_mask(&t->w), "tun_ipv6_src"));
	learn(t, 0, mac_b, 20, "192.0.2.2");
	EXPECT(t, "in_port=1," FROM(A, B), OUT(1));
	assert_non_null(strstr(lab_encap(t, 1), "c0000201c0000202"));
	/* Not for other addresses, nor in other VLANs. */
	EXPECT(t, "in_port=1," FROM(A, "00:00:00:00:00:0c"),
		"output(12),clone(" OUT(1) ")," OUT(2));
	EXPECT(t, "in_port=1,dl_vlan=7," FROM(A, B), "output(12),clone(" OUT(1) ")," OUT(2));
}

static void
test_remotes_move(void **state)
{
	struct underlay_lab *t = *state;
	struct fdb *f = ofproto_fdb(t->s1);
	struct fdb_place two = {OF_PORT(20), lab_addr("192.0.2.2")},
			 three = {OF_PORT(20), lab_addr("192.0.2.3")};
	struct fdb_place place;

	assert_false(fdb_refresh(f, 0, mac_b, &two, t->w.now_ms));
	learn(t, 0, mac_b, 20, "192.0.2.2");
	assert_true(fdb_refresh(f, 0, mac_b, &two, t->w.now_ms + 250000));
	/* Another remote behind the same port. */
	assert_false(fdb_refresh(f, 0, mac_b, &three, t->w.now_ms));
	learn(t, 0, mac_b, 20, "192.0.2.3");
	assert_int_equal(fdb_count(f), 1);
	place = fdb_find(f, 0, mac_b);
	assert_memory_equal(&place, &three, sizeof(place));
	EXPECT(t, "in_port=1," FROM(A, B), OUT(1));
	assert_non_null(strstr(lab_encap(t, 1), "c0000201c0000203"));
	/* A guest of this host now: no remote any more. */
	ofproto_fdb_learn(t->s1, 0, mac_b, OF_PORT(2), t->w.now_ms);
	EXPECT(t, "in_port=1," FROM(A, B), "output(12)");
	learn(t, 0, mac_b, 20, "192.0.2.2");
	EXPECT(t, "in_port=1," FROM(A, B), OUT(2));
	assert_non_null(strstr(lab_encap(t, 2), "c0000201c0000202"));
	/* It ages as others do, from its last use on. */
	world_run(&t->w, 299000);
	assert_int_equal(fdb_count(f), 1);
	world_run(&t->w, 260000);
	assert_int_equal(fdb_count(f), 0);
	EXPECT(t, "in_port=1," FROM(A, B), "output(12),clone(" OUT(2) ")," OUT(1));
}

static void
test_remotes_limit(void **state)
{
	struct underlay_lab *t = *state;
	struct of_settings s;

	ofproto_get_settings(t->s1, &s);
	s.fdb_max = 8;
	ofproto_set_settings(t->s1, &s);
	for (unsigned i = 0; i < 1000; i++) {
		uint8_t mac[6] = {0, 0, 0, 1, (uint8_t)(i >> 8), (uint8_t)i};

		learn(t, 0, mac, 20, i % 2 ? "192.0.2.2" : "192.0.2.3");
		assert_true(fdb_count(ofproto_fdb(t->s1)) <= 8);
	}
	for (unsigned i = 0; i < 100; i++) {
		learn(t, 0, mac_b, 20, i % 2 ? "192.0.2.2" : "192.0.2.3");
		assert_int_equal(fdb_count(ofproto_fdb(t->s1)), 8);
	}
}

/* What came from a remote goes to no other, whatever port that is behind. */
static void
test_remotes_split_horizon(void **state)
{
	static const char *const four[] = {"192.0.2.4"};
	static const uint8_t mac_c[6] = {0, 0, 0, 0, 0, 0xc};
	struct underlay_lab *t = *state;
	struct of_tunnel fixed = lab_tunnel("192.0.2.4");

	flood_port(t, 21, 6, 1, four);
	EXPECT(t, "in_port=1," FROM(A, B),
		"output(12),clone(" OUT(1) "),clone(" OUT(2) ")," OUT(3));
	EXPECT(t, TUNNEL("192.0.2.2") FROM(B, "ff:ff:ff:ff:ff:ff"), "output(11),output(12)");
	learn(t, 0, mac_c, 20, "192.0.2.3");
	EXPECT(t, TUNNEL("192.0.2.2") FROM(B, "00:00:00:00:00:0c"), "drop");
	learn(t, 0, mac_c, 21, "192.0.2.4");
	EXPECT(t, TUNNEL("192.0.2.2") FROM(B, "00:00:00:00:00:0c"), "drop");
	/* A tunnel port of one remote is a port like any other. */
	fixed.id = 7;
	lab_tunnel_port(t, 22, &fixed);
	EXPECT(t, TUNNEL("192.0.2.2") FROM(B, "ff:ff:ff:ff:ff:ff"),
		"output(11),output(12)," OUT(4));
}

/* Without a list NORMAL knows no remotes: tun_dst is the rules' to set. */
static void
test_remotes_without_a_list(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = lab_tunnel(NULL);

	lab_tunnel_port(t, 20, &tunnel);
	EXPECT(t, "in_port=1," FROM(A, B), "output(12),drop(tunnel-no-route)");
	EXPECT(t, TUNNEL("192.0.2.2") FROM(B, A), "output(11),output(12)");
	assert_true(of_underlay_addr_is_zero(&t->w.t.learned[0].place.remote));
	lab_flow(t, t->s1, "actions=set_field:192.0.2.3->tun_dst,NORMAL");
	EXPECT(t, "in_port=1," FROM(A, B), "output(12),set(tun_ipv6_dst=::ffff:192.0.2.3)," OUT(1));
	/* An output that a rule names is the rule's, with a list too. */
	static const char *const two[] = {"192.0.2.2"};
	flood_port(t, 20, 5, 1, two);
	lab_flow(t, t->s1, "actions=set_field:192.0.2.3->tun_dst,output:20");
	EXPECT(t, "in_port=1," FROM(A, B), "set(tun_ipv6_dst=::ffff:192.0.2.3)," OUT(1));
}

/* A flow follows its destination from remote to remote. */
static void
test_remotes_dependencies(void **state)
{
	struct underlay_lab *t = *state;
	uint64_t version = of_model_version(t->w.model);

	learn(t, 0, mac_b, 20, "192.0.2.2");
	assert_true(of_model_version(t->w.model) > version);
	version = of_model_version(t->w.model);
	learn(t, 0, mac_b, 20, "192.0.2.2");
	assert_true(of_model_version(t->w.model) == version);
	learn(t, 0, mac_b, 20, "192.0.2.3");
	assert_true(of_model_version(t->w.model) > version);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, begin, underlay_lab_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_remotes_flood),
		TEST(test_remotes_flood_past_a_lost_one),
		TEST(test_remotes_learn),
		TEST(test_remotes_move),
		TEST(test_remotes_limit),
		TEST(test_remotes_split_horizon),
		TEST(test_remotes_without_a_list),
		TEST(test_remotes_dependencies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

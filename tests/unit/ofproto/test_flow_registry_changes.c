/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow registry over a fake datapath: which flows a change makes it look at, and that all do what the rules say. The last
 * test runs handlers beside the loop, under the thread sanitizer.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "lib/strbuf.h"
#include "ofproto/fdb.h"
#include "tests/unit/ofproto/registry_lab.h"

static uint64_t rnd;

static unsigned
upto(unsigned n)
{
	return (unsigned)(world_random(&rnd) % n);
}

static void
random_key(struct flow_key *key)
{
	char text[200];

	snprintf(text, sizeof(text),
		"in_port=%u,dl_src=00:00:00:00:00:%02u,dl_dst=00:00:00:00:00:%02u,%s,nw_dst=10.0.0.%u,nw_ttl=%u%s",
		1 + upto(3), upto(3), upto(3), upto(2) ? "tcp" : "ip", upto(4), 62 + upto(3),
		upto(2)   ? ""
		: upto(2) ? ",dl_vlan=1"
			  : ",dl_vlan=2");
	world_key(text, key);
	if (key->vlan_tci && upto(2)) {
		key->inner_tci = be16_from((uint16_t)(FLOW_VLAN_PRESENT | upto(3)));
		key->inner_tpid = be16_from(0x8100);
	}
}

static void
random_mod(char *text, size_t size)
{
	static const char *const matches[] = {"ip,nw_dst=10.0.0.1", "ip", "tcp", "ip,in_port=2",
		"ip,dl_dst=00:00:00:00:00:01", "ip,nw_dst=10.0.0.0/30",
		"ip,dl_src=00:00:00:00:00:02", "ip,dl_vlan=1", "ip,vlan_tci=0", "ip,metadata=1",
		"ip,reg1=2", "ip,dl_dst=00:00:00:00:00:07", "ip,nw_dst=10.0.0.9"};
	static const char *const actions[] = {"output:2", "output:3", "drop", "NORMAL",
		"set_field:00:00:00:00:00:07->eth_dst,output:4", "resubmit(,1)", "controller:50",
		"set_field:00:00:00:00:00:07->eth_dst,resubmit(,1)",
		"dec_ttl,resubmit(,1),output:2", "set_field:10.0.0.9->ip_dst,resubmit(,2)",
		"push_vlan:0x8100,set_field:0x1001->vlan_vid,resubmit(,2)",
		"write_metadata:1,goto_table:2", "set_field:2->reg1,resubmit(,2)",
		"pop_vlan,resubmit(,2)"};
	unsigned what = upto(8), action = upto(WEFT_ARRAY_SIZE(actions));
	/* Rules that overlap have different priorities: which of equals wins is not said. */
	unsigned match = upto(WEFT_ARRAY_SIZE(matches));
	bool pops = what < 6 && action == WEFT_ARRAY_SIZE(actions) - 1;
	unsigned table = upto(action == WEFT_ARRAY_SIZE(actions) - 3 ? 2 : 3); /* goto: forward */

	match = pops ? 7 : match;
	if (what < 6) {
		snprintf(text, size, "%s table=%u,priority=%u,%s,actions=%s",
			what < 4 ? "add" : "modify", table, match + 20 * upto(3), matches[match],
			actions[action]);
	} else {
		snprintf(text, size, "delete table=%u,%s", table, matches[match]);
	}
}

/* Every installed flow does what a translation of a packet that it covers says. (Lists of actions are compared:
 * no rule of these tests may look at a field early that another one sets to what packets have in it, or at the TTL. What is
 * known of a packet at some place leaves actions out, and a rule that matches none of its flow's packets may change that.) */
static void
check_all(struct registry_lab *s)
{
	for (unsigned i = 0; i < MAX_FLOWS; i++) {
		const struct registry_fake_flow *flow = &s->f.flows[i];
		struct strbuf have = STRBUF_INIT;
		struct flow_key key;

		if (!flow->used) {
			continue;
		}
		random_key(&key);
		for (unsigned n = 0; n < OF_N_WORDS; n++) {
			key.words[n] =
				(key.words[n] & ~flow->mask.bits.words[n]) | flow->key.words[n];
		}
		dp_actions_format(flow->actions.data, flow->actions.size, &have);
		world_translate_key(&s->w, &key);
		if (strcmp(s->w.text, strbuf_text(&have))) {
			fail_msg("installed %s, should be %s", strbuf_text(&have), s->w.text);
		}
		strbuf_uninit(&have);
	}
}

/* How many flows the last change made to be looked at. */
static uint64_t
revalidated(struct registry_lab *s)
{
	static uint64_t before;
	uint64_t n = lab_counters(s).n_revalidated - before;

	before += n;
	return n;
}

static void
test_registry_touches_no_other(void **state)
{
	struct registry_lab *s = *state;
	uint8_t mac[6] = {0, 0, 0, 0, 0, 0};
	struct of_port_info info;

	world_flow(&s->w, "table=0,in_port=1,actions=2");
	world_flow(&s->w, "table=0,in_port=2,actions=NORMAL");
	world_flow(&s->w, "table=0,in_port=3,ip,actions=set_field:10.0.0.9->ip_dst,resubmit(,1)");
	world_flow(&s->w, "table=1,ip,nw_src=10.0.0.0/8,actions=5");
	lab_upcall(s, "in_port=1");
	for (unsigned i = 0; i < 100; i++) {
		char packet[100];

		snprintf(packet, sizeof(packet),
			"in_port=2,dl_src=00:00:00:00:00:aa,dl_dst=00:00:00:00:01:%02x", i);
		lab_upcall(s, packet);
		snprintf(packet, sizeof(packet), "in_port=3,ip,nw_src=%u.0.0.1", i + 1);
		lab_upcall(s, packet);
		lab_run(s, 0);
	}
	lab_run(s, 1);
	(void)revalidated(s);
	/* One of the addresses is learned, moves, is forgotten. */
	mac[4] = 1;
	mac[5] = 0x33;
	ofproto_fdb_learn(s->w.p, 0, mac, OF_PORT(5), s->w.now_ms);
	lab_run(s, 1);
	assert_int_equal(revalidated(s), 1);
	ofproto_fdb_learn(s->w.p, 0, mac, OF_PORT(6), s->w.now_ms);
	lab_run(s, 1);
	assert_int_equal(revalidated(s), 1);
	/* A port to which one flow leads by itself, and to which all others flood: but for that of the address, and those of
	 * the other ports. */
	world_port(&s->w, 6, OF_VLAN_ACCESS, 7, NULL);
	lab_run(s, 1);
	assert_int_equal(revalidated(s), 100);
	assert_true(ofproto_fdb_del(s->w.p, 0, mac));
	lab_run(s, 1);
	assert_int_equal(revalidated(s), 1);
	/* A link that goes is the datapath's to look at. */
	info = *ofproto_port_find(s->w.p, OF_PORT(2));
	info.state = OF_PORT_LINK_DOWN;
	assert_true(ofproto_port_set(s->w.p, &info, NULL));
	lab_run(s, 1);
	assert_int_equal(revalidated(s), 0);
	info.config = OF_PORT_NO_FWD;
	assert_true(ofproto_port_set(s->w.p, &info, NULL));
	lab_run(s, 1);
	assert_int_equal(revalidated(s), 101);
	/* Rules: for one source (of 100 there are eight flows: of as many bits as tell them from 10.0.0.0/8); for one that the set field excludes; below; for all. */
	world_flow(&s->w, "table=1,priority=40000,ip,nw_src=10.0.0.1,actions=6");
	lab_run(s, 1);
	assert_int_equal(revalidated(s), 1);
	world_flow(&s->w, "table=1,priority=40000,ip,nw_dst=10.0.0.8,actions=6");
	lab_run(s, 1);
	assert_int_equal(revalidated(s), 0);
	world_flow(&s->w, "table=1,priority=1,ip,nw_src=10.0.0.1,actions=6");
	lab_run(s, 1);
	assert_int_equal(revalidated(s), 0);
	world_flow(&s->w, "table=1,priority=1,ip,nw_src=11.0.0.1,actions=6");
	lab_run(s, 1);
	assert_int_equal(revalidated(s), 1);
	/* Two flows are gone: they would have to look at more of the source. */
	world_flow(&s->w, "table=1,priority=40000,ip,nw_dst=10.0.0.9,actions=6");
	lab_run(s, 1);
	assert_int_equal(revalidated(s), 6);
	world_flow(&s->w, "delete_strict table=1,priority=40000,ip,nw_src=10.0.0.1");
	lab_run(s, 1);
	assert_true(revalidated(s) <= 1);
	world_flow(&s->w, "modify_strict table=0,in_port=1,actions=3");
	lab_run(s, 1);
	assert_int_equal(revalidated(s), 1);
	/* Rules of a table where no flow was. */
	world_flow(&s->w, "table=7,ip,actions=6");
	lab_run(s, 1);
	assert_int_equal(revalidated(s), 0);
	check_all(s);
}

static void
far_port(struct ofproto *p, unsigned number, unsigned dp, struct ofproto *peer)
{
	struct of_port_info info = {
		.number = OF_PORT(number),
		.dp_port = {dp ? dp : UINT32_MAX},
		.kind = peer ? OF_PORT_PATCH : OF_PORT_PLAIN,
		.patch = {peer ? ofproto_id(peer) : UINT32_MAX, OF_PORT(number)},
	};

	snprintf(info.name, sizeof(info.name), "%s-%u", ofproto_name(p), number);
	assert_true(ofproto_port_set(p, &info, NULL));
}

/* The other end of a patch port, and what is behind it. */
static void
test_registry_touches_no_other_behind_a_patch(void **state)
{
	struct registry_lab *s = *state;
	struct ofproto *far = ofproto_create(s->w.model, "far", 7, NULL);

	far_port(far, 1, 21, NULL);
	far_port(far, 9, 0, s->w.p);
	far_port(s->w.p, 9, 0, far);
	ofproto_add_standalone_rule(far, s->w.now_ms);
	world_flow(&s->w, "in_port=1,actions=9");
	world_flow(&s->w, "in_port=2,actions=3");
	lab_upcall(s, "in_port=1,dl_dst=00:00:00:00:00:01");
	lab_upcall(s, "in_port=2");
	lab_run(s, 1);
	assert_non_null(strstr(lab_installed(s), "output(21)"));
	(void)revalidated(s);
	far_port(far, 2, 22, NULL);
	lab_run(s, 1);
	assert_int_equal(revalidated(s), 1);
	assert_non_null(strstr(lab_installed(s), "output(21),output(22)"));
	ofproto_port_del(far, OF_PORT(9));
	lab_run(s, 1);
	assert_int_equal(revalidated(s), 1);
	assert_null(strstr(lab_installed(s), "output(21)"));
	far_port(far, 9, 0, s->w.p);
	lab_run(s, 1);
	assert_int_equal(revalidated(s), 1);
	assert_non_null(strstr(lab_installed(s), "output(21),output(22)"));
	ofproto_destroy(far);
	lab_run(s, 1);
	assert_null(strstr(lab_installed(s), "output(21)"));
}

static void
test_registry_random(void **state)
{
	struct registry_lab *s = *state;

	rnd = world_seed();
	for (unsigned step = 0; step < 3000; step++) {
		struct flow_key key;
		char text[200];

		switch (upto(10)) {
		case 0:
			random_mod(text, sizeof(text));
			world_flow(&s->w, text);
			break;
		case 1:
			world_port(&s->w, 1 + upto(4), upto(3) ? OF_VLAN_TRUNK : OF_VLAN_ACCESS, 5,
				NULL);
			break;
		case 2:
			s->f.refuse_put = upto(3) ? 0 : upto(2) ? -EDQUOT : -ENOSPC;
			break;
		case 3:
			s->w.now_ms += upto(3000);
			break;
		default:
			random_key(&key);
			if (s->f.n_replies < MAX_REPLIES / 2) {
				lab_upcall_key(&s->f, &key, s->w.now_ms);
			}
		}
		if (!upto(4)) {
			lab_answer(&s->f, s->w.now_ms);
		}
		if (!upto(10)) {
			s->f.refuse_put = 0;
			lab_run(s, 1);
			assert_true(flow_registry_version(s->f.r) == of_model_version(s->w.model));
			assert_true(flow_registry_is_settled(s->f.r));
			assert_int_equal(lab_counters(s).n_flows, s->f.n_flows);
			check_all(s);
		}
	}
}

/* --- threads ------------------------------------------------------------------------------------- */

struct handler {
	struct registry_fake f;
	struct of_reader *reader;
	struct of_model *model;
	uint64_t seed;
	_Atomic bool *stop;
};

static void *
handle(void *arg)
{
	struct handler *h = arg;
	uint64_t now_ms = 1000, state = h->seed;

	while (!atomic_load(h->stop)) {
		struct flow_key key = {.eth_type = be16_from(0x0800)};
		uint64_t random = world_random(&state);

		key.in_port = be32_from(11 + random % 3);
		key.ip_dst = be32_from(0x0a000000u + random / 3 % 8);
		if (h->f.n_replies < 32) {
			lab_upcall_key(&h->f, &key, now_ms);
		}
		lab_answer(&h->f, now_ms);
		flow_registry_run(h->f.r, now_ms, 20);
		lab_answer(&h->f, now_ms);
		now_ms += 10;
	}
	return NULL;
}

static void
test_registry_beside_the_loop(void **state)
{
	struct world w;
	struct handler *h[2];
	pthread_t threads[2];
	_Atomic bool stop = false;

	(void)state;
	rnd = world_seed();
	world_init(&w);
	for (unsigned i = 0; i < 2; i++) {
		h[i] = xaligned(64, sizeof(*h[i]));
		h[i]->reader = of_reader_create(w.model);
		h[i]->model = w.model;
		h[i]->seed = rnd + i;
		h[i]->stop = &stop;
		registry_fake_init(&h[i]->f, h[i]->reader);
		assert_int_equal(pthread_create(&threads[i], NULL, handle, h[i]), 0);
	}
	for (unsigned i = 0; i < 1500; i++) {
		uint8_t mac[6] = {0, 0, 0, 0, 0, (uint8_t)upto(4)};
		char text[200];

		random_mod(text, sizeof(text));
		world_flow(&w, text);
		if (!upto(5)) {
			world_port(&w, 1 + upto(4), OF_VLAN_TRUNK, 0, NULL);
		}
		ofproto_fdb_learn(w.p, 0, mac, OF_PORT(1 + upto(3)), w.now_ms);
		world_run(&w, 5);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		registry_fake_uninit(&h[i]->f);
		of_reader_destroy(h[i]->reader);
		free(h[i]);
	}
	world_uninit(&w);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, registry_lab_begin, registry_lab_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_registry_touches_no_other),
		TEST(test_registry_touches_no_other_behind_a_patch),
		TEST(test_registry_random),
		cmocka_unit_test(test_registry_beside_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects of a flow registry, against a datapath that answers when it is told to.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/dp_protocol.h"
#include "lib/strbuf.h"
#include "ofproto/flow_object.h"
#include "ofproto/of_counter.h"
#include "tests/unit/ofproto/world.h"

struct fake {
	char log[1024];
	uint64_t object_request; /* the last one */
	uint64_t flow_request;
	uint32_t seed; /* of the last put */
	int error;     /* of object commands */
	int prepare_error;
	uint64_t packets; /* of each part */
	uint64_t next_request;
};

static void
note(struct fake *f, const char *word)
{
	size_t len = strlen(f->log);

	snprintf(f->log + len, sizeof(f->log) - len, "%s ", word);
}

static void
expect(struct fake *f, const char *log)
{
	assert_string_equal(f->log, log);
	f->log[0] = '\0';
}

static int
fake_object_put(void *user, uint64_t request, uint32_t kind, uint32_t seed, uint32_t n_parts,
	const void *body, size_t size)
{
	struct fake *f = user;

	if (!f->error) {
		assert_true(dp_object_validate(kind, body, size, n_parts, NULL));
		note(f, "put");
		f->object_request = request;
		f->seed = seed;
	}
	return f->error;
}

static int
fake_object_del(void *user, uint64_t request, struct dp_handle object)
{
	struct fake *f = user;
	char word[32];

	snprintf(word, sizeof(word), "del-%u.%u", object.slot, object.gen);
	note(f, word);
	f->object_request = request;
	return 0;
}

static int
fake_put(void *user, uint64_t request, const struct flow_key *key, uint8_t key_blocks,
	const struct flow_mask *mask, uint16_t flags, const void *actions, size_t actions_size)
{
	struct fake *f = user;
	struct strbuf s = STRBUF_INIT;

	(void)key;
	(void)key_blocks;
	(void)mask;
	(void)flags;
	dp_actions_format(actions, actions_size, &s);
	note(f, strbuf_text(&s));
	strbuf_uninit(&s);
	f->flow_request = request;
	return 0;
}

static int
fake_execute(void *user, uint64_t request, struct dp_parked parked, const void *actions,
	size_t actions_size)
{
	struct fake *f = user;
	char word[32];

	(void)request;
	(void)actions;
	(void)actions_size;
	snprintf(word, sizeof(word), "execute-%llu", (unsigned long long)parked.v);
	note(f, word);
	return 0;
}

static void
fake_stats(void *user, struct dp_handle slot, struct flow_stats *sum)
{
	struct fake *f = user;

	memset(sum, 0, sizeof(*sum));
	if (slot.slot >= 100) { /* a part's */
		sum->packets = f->packets;
		sum->bytes = 60 * f->packets;
	}
}

static int
fake_prepare(void *user)
{
	return ((struct fake *)user)->prepare_error;
}

static const struct flow_registry_ops fake_ops = {
	.put = fake_put,
	.object_put = fake_object_put,
	.object_del = fake_object_del,
	.execute = fake_execute,
	.stats = fake_stats,
};

/* The answer to the last command: the object's handle is {SLOT, 1}, its parts' {100, 1}, {101, 1}. */
static void
fill_reply(const struct fake *f, uint32_t type, int status, uint32_t slot,
	struct dp_object_put_reply *reply, struct dp_message *msg)
{
	static const struct dp_handle parts[2] = {{100, 1}, {101, 1}};
	static const struct flow_stats stats[2] = {
		{.packets = 50, .bytes = 3000}, {.packets = 70, .bytes = 4200}};

	*reply = (struct dp_object_put_reply){
		.reply = {.request = f->object_request, .status = status},
		.object = {slot, 1},
		.n_parts = 2,
	};
	*msg = (struct dp_message){
		.type = DP_REPLY + type,
		.body = reply,
		.parts = parts,
		.part_stats = stats,
		.n_parts = 2,
	};
}

static void
answer(struct flow_objects *o, struct fake *f, uint32_t type, int status, uint64_t now_ms)
{
	struct dp_object_put_reply reply;
	struct dp_message msg;

	fill_reply(f, type, status, 7, &reply, &msg);
	assert_true(flow_objects_reply(o, &msg, now_ms));
}

/* Two buckets that credit a counter each. */
struct wanted {
	struct dp_bucket buckets[2];
	struct of_counter *counters[2];
	struct translate_counters parts[2];
	struct translate_object o;
};

static void
want(struct wanted *w)
{
	memset(w, 0, sizeof(*w));
	for (uint32_t i = 0; i < 2; i++) {
		w->buckets[i] = (struct dp_bucket){.size = sizeof(struct dp_bucket),
			.id = i + 1,
			.weight = 1,
			.watch_port = UINT32_MAX};
		w->counters[i] = of_counter_create(0, 0);
		w->parts[i] = (struct translate_counters){.v = &w->counters[i], .n = 1};
	}
	w->o = (struct translate_object){.kind = DP_OBJECT_SELECT,
		.seed = 9,
		.n_parts = 2,
		.body = w->buckets,
		.size = sizeof(w->buckets),
		.parts = w->parts};
}

static void
unwant(struct wanted *w)
{
	of_counter_unref(w->counters[0]);
	of_counter_unref(w->counters[1]);
}

static void
test_object_life(void **state)
{
	struct fake f = {.next_request = 1};
	struct flow_objects *o = flow_objects_create(&fake_ops, fake_prepare, &f, &f.next_request);
	struct flow_registry_ops ops = fake_ops;
	struct flow_object **taken;
	struct dp_handle h;
	struct wanted w, other;
	uint32_t n;

	(void)state;
	ops.user = &f;
	flow_objects_destroy(o);
	o = flow_objects_create(&ops, fake_prepare, &f, &f.next_request);
	want(&w);
	want(&other);
	/* Full rings: asked for again with the next translation. */
	f.error = -EAGAIN;
	flow_objects_begin(o, 1000);
	assert_int_equal(flow_objects_get(o, &w.o, &h), TRANSLATE_OBJECT_PENDING);
	f.error = 0;
	f.prepare_error = -EAGAIN;
	assert_int_equal(flow_objects_get(o, &w.o, &h), TRANSLATE_OBJECT_PENDING);
	f.prepare_error = 0;
	expect(&f, "");
	assert_int_equal(flow_objects_count(o), 0);
	/* Asked for once, there when it has been answered, shared. */
	assert_int_equal(flow_objects_get(o, &w.o, &h), TRANSLATE_OBJECT_PENDING);
	assert_int_equal(flow_objects_get(o, &w.o, &h), TRANSLATE_OBJECT_PENDING);
	expect(&f, "put ");
	assert_int_equal(f.seed, 9);
	assert_false(flow_objects_are_settled(o));
	answer(o, &f, DP_OBJECT_PUT, 0, 1000);
	assert_true(flow_objects_are_settled(o));
	flow_objects_begin(o, 1000);
	assert_int_equal(flow_objects_get(o, &w.o, &h), TRANSLATE_OBJECT_READY);
	assert_int_equal(h.slot, 7);
	taken = flow_objects_take(o, &n);
	assert_int_equal(n, 1);
	/* The same bytes for other counters are another object. */
	assert_int_equal(flow_objects_get(o, &other.o, &h), TRANSLATE_OBJECT_PENDING);
	expect(&f, "put ");
	/* The datapath does not want it: not asked for again for a while. */
	answer(o, &f, DP_OBJECT_PUT, -ENOSPC, 1000);
	assert_int_equal(flow_objects_get(o, &other.o, &h), TRANSLATE_OBJECT_NONE);
	assert_true(flow_objects_run(o, 1000 + OBJECT_RETRY_MS, false));
	assert_int_equal(flow_objects_get(o, &other.o, &h), TRANSLATE_OBJECT_PENDING);
	expect(&f, "put ");
	answer(o, &f, DP_OBJECT_PUT, -ENOSPC, 3000);
	/* Credited as it counts, and what came until its end. */
	f.packets = 40;
	assert_true(flow_objects_run(o, 3000, true));
	assert_int_equal(atomic_load(&w.counters[0]->packets), 40);
	assert_int_equal(atomic_load(&w.counters[1]->bytes), 2400);
	flow_object_unref(o, taken[0]);
	free(taken);
	assert_true(flow_objects_run(o, 3000 + OBJECT_LINGER_MS - 1, false));
	expect(&f, "");
	assert_true(flow_objects_run(o, 3000 + OBJECT_LINGER_MS, false));
	expect(&f, "del-7.1 ");
	/* While it goes it cannot be had; a flow still held it: it is there again. */
	assert_int_equal(flow_objects_get(o, &w.o, &h), TRANSLATE_OBJECT_PENDING);
	answer(o, &f, DP_OBJECT_DEL, -EBUSY, 4000);
	flow_objects_begin(o, 4000);
	assert_int_equal(flow_objects_get(o, &w.o, &h), TRANSLATE_OBJECT_READY);
	flow_objects_begin(o, 4000);
	assert_true(flow_objects_run(o, 4000 + OBJECT_LINGER_MS, false));
	expect(&f, "del-7.1 ");
	answer(o, &f, DP_OBJECT_DEL, 0, 5000);
	assert_int_equal(atomic_load(&w.counters[0]->packets), 50);
	assert_int_equal(atomic_load(&w.counters[1]->packets), 70);
	flow_objects_destroy(o);
	unwant(&w);
	unwant(&other);
}

/* One of an earlier agent serves whoever wants just that one, and goes on where it had been credited. */
static void
test_object_adoption(void **state)
{
	static const struct dp_handle parts[2] = {{100, 1}, {101, 1}};
	static const struct flow_stats credited[2] = {{.packets = 30, .bytes = 1800}, {0}};
	struct fake f = {.next_request = 1, .packets = 40};
	struct flow_registry_ops ops = fake_ops;
	struct flow_objects *o;
	struct dp_object_item item = {.object = {9, 3}, .kind = DP_OBJECT_SELECT, .n_parts = 2};
	struct dp_message msg = {.body = &item, .parts = parts, .n_parts = 2};
	struct dp_handle h;
	struct wanted w;

	(void)state;
	ops.user = &f;
	o = flow_objects_create(&ops, fake_prepare, &f, &f.next_request);
	want(&w);
	msg.data = w.o.body;
	msg.data_len = w.o.size;
	flow_objects_adopt(o, &msg, credited, 1000);
	assert_true(flow_objects_run(o, 1500, true));
	flow_objects_begin(o, 1500);
	assert_int_equal(flow_objects_get(o, &w.o, &h), TRANSLATE_OBJECT_READY);
	assert_int_equal(h.slot, 9);
	expect(&f, "");
	assert_true(flow_objects_run(o, 1600, true));
	assert_int_equal(atomic_load(&w.counters[0]->packets), 10);
	assert_int_equal(atomic_load(&w.counters[1]->packets), 40);
	/* Nobody wants it: it goes. */
	flow_objects_begin(o, 1600);
	assert_true(flow_objects_run(o, 1600 + OBJECT_LINGER_MS, false));
	expect(&f, "del-9.3 ");
	flow_objects_destroy(o);
	unwant(&w);
}

/* Prepared tunnel headers have no parts; meters are somebody else's. */
static void
test_object_adopts_tunnel_headers(void **state)
{
	static const uint64_t body[8] = {7, 7, 7};
	struct fake f = {.next_request = 1};
	struct flow_registry_ops ops = fake_ops;
	struct dp_object_item item = {.object = {9, 3}, .kind = DP_OBJECT_ENCAP};
	struct dp_message msg = {
		.body = &item, .data = (const void *)body, .data_len = sizeof(body)};
	struct translate_object wanted = {
		.kind = DP_OBJECT_ENCAP, .body = body, .size = sizeof(body)};
	struct flow_objects *o;
	struct dp_handle h;

	(void)state;
	ops.user = &f;
	o = flow_objects_create(&ops, fake_prepare, &f, &f.next_request);
	flow_objects_adopt(o, &msg, NULL, 1000);
	item.kind = DP_OBJECT_METER;
	flow_objects_adopt(o, &msg, NULL, 1000);
	flow_objects_begin(o, 1500);
	assert_int_equal(flow_objects_get(o, &wanted, &h), TRANSLATE_OBJECT_READY);
	assert_int_equal(h.slot, 9);
	assert_int_equal(h.gen, 3);
	flow_objects_begin(o, 1600);
	assert_true(flow_objects_run(o, 1600 + OBJECT_LINGER_MS, true));
	expect(&f, "del-9.3 ");
	flow_objects_destroy(o);
}

/* A miss that needs an object waits for it, is translated anew and executed; no packet is lost. */
static void
test_registry_waits_for_objects(void **state)
{
	struct fake f = {.log = ""};
	struct flow_registry_ops ops = fake_ops;
	struct flow_registry_counters counters;
	struct dp_object_put_reply reply;
	struct dp_upcall up = {.packet_len = 60};
	struct flow_registry *r;
	struct of_group_mod gm;
	struct dp_message msg;
	struct flow_key key;
	struct world w;

	(void)state;
	ops.user = &f;
	world_init(&w);
	of_group_mod_init(&gm);
	gm.type = OF_GROUP_SELECT;
	gm.group = 1;
	for (unsigned i = 2; i < 4; i++) {
		struct of_bucket *b = of_group_mod_add_bucket(&gm);

		b->weight = 1;
		of_actions_put_output(&b->actions, OF_PORT(i), 0);
	}
	assert_true(ofproto_group_mod(w.p, &gm, 0, NULL));
	of_group_mod_uninit(&gm);
	world_flow(&w, "in_port=1,actions=group:1");
	r = flow_registry_create(w.reader, &ops);
	world_key("in_port=1,tcp", &key);
	for (up.parked.v = 1; up.parked.v <= 2; up.parked.v++) {
		flow_registry_upcall(r, &up, &key, FLOW_BLOCKS_DATAPATH, 1000);
	}
	expect(&f, "put ");
	assert_false(flow_registry_is_settled(r));
	fill_reply(&f, DP_OBJECT_PUT, 0, 7, &reply, &msg);
	flow_registry_reply(r, &msg, 1001);
	expect(&f, "select(7.1) execute-1 execute-2 ");
	flow_registry_counters(r, &counters);
	assert_int_equal(counters.n_upcalls, 2);
	assert_int_equal(counters.n_waited, 2);
	assert_int_equal(counters.n_lost, 0);
	flow_registry_destroy(r);
	world_uninit(&w);
}

static uint64_t
packets_of(struct ofproto *p)
{
	struct of_aggregate sum = {0};
	struct of_flow_query q;

	of_flow_query_init(&q);
	ofproto_aggregate(p, &q, &sum);
	return sum.packets;
}

/* What a bucket's packets meet in another switch counts them, and no others; when it goes, its last count comes soon. */
static void
test_registry_credits_rules_of_buckets(void **state)
{
	struct fake f = {.log = ""};
	struct flow_registry_ops ops = fake_ops;
	struct dp_object_put_reply reply;
	struct dp_flow_put_reply put_reply = {.flow = {3, 1}};
	struct dp_upcall up = {.packet_len = 60, .parked = {1}};
	struct flow_registry *r;
	struct of_group_mod gm;
	struct dp_message msg;
	struct flow_key key;
	struct ofproto *s2, *s1;
	struct world w;

	(void)state;
	ops.user = &f;
	world_init(&w);
	s1 = w.p;
	s2 = ofproto_create(w.model, "s2", 2, NULL);
	for (unsigned i = 0; i < 2; i++) {
		struct of_port_info info = {.number = OF_PORT(9),
			.dp_port = DP_PORT_NONE,
			.kind = OF_PORT_PATCH,
			.patch = {ofproto_id(i ? s1 : s2), OF_PORT(9)}};

		snprintf(info.name, sizeof(info.name), "patch%u", i);
		assert_true(ofproto_port_set(i ? s2 : s1, &info, NULL));
	}
	of_group_mod_init(&gm);
	gm.type = OF_GROUP_SELECT;
	gm.group = 1;
	for (unsigned i = 0; i < 2; i++) {
		struct of_bucket *b = of_group_mod_add_bucket(&gm);

		b->weight = 1;
		of_actions_put_output(&b->actions, OF_PORT(i ? 9 : 2), 0);
	}
	assert_true(ofproto_group_mod(s1, &gm, 0, NULL));
	of_group_mod_uninit(&gm);
	world_flow(&w, "in_port=1,actions=group:1");
	w.p = s2;
	world_flow(&w, "actions=drop");
	w.p = s1;
	r = flow_registry_create(w.reader, &ops);
	world_key("in_port=1,tcp", &key);
	flow_registry_upcall(r, &up, &key, FLOW_BLOCKS_DATAPATH, 1000);
	fill_reply(&f, DP_OBJECT_PUT, 0, 7, &reply, &msg);
	flow_registry_reply(r, &msg, 1001);
	expect(&f, "put select(7.1) execute-1 ");
	put_reply.reply.request = f.flow_request;
	msg = (struct dp_message){.type = DP_REPLY + DP_FLOW_PUT, .body = &put_reply};
	flow_registry_reply(r, &msg, 1002);
	f.packets = 5;
	flow_registry_pull(r, 1002);
	assert_int_equal(packets_of(s2), 5);
	assert_int_equal(packets_of(s1), 1); /* the one that was executed; its flow has none */
	/* The rule goes: another choice comes, and the old one goes without waiting for somebody. */
	w.p = s2;
	world_flow(&w, "delete");
	w.p = s1;
	flow_registry_run(r, 1010, 8);
	fill_reply(&f, DP_OBJECT_PUT, 0, 8, &reply, &msg);
	flow_registry_reply(r, &msg, 1011);
	flow_registry_run(r, 1012, 8);
	expect(&f, "put select(8.1) ");
	flow_registry_run(r, 1012 + OBJECT_BUSY_MS, 8);
	expect(&f, "del-7.1 ");
	flow_registry_destroy(r);
	ofproto_destroy(s2);
	world_uninit(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_object_life),
		cmocka_unit_test(test_object_adoption),
		cmocka_unit_test(test_object_adopts_tunnel_headers),
		cmocka_unit_test(test_registry_waits_for_objects),
		cmocka_unit_test(test_registry_credits_rules_of_buckets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

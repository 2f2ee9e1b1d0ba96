/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups and meters: what becomes of packets, of rules, of counters; who may come and go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/byteorder.h"
#include "lib/dp_protocol.h"
#include "lib/strbuf.h"
#include "ofproto/of_error.h"
#include "ofproto/of_text.h"
#include "tests/unit/ofproto/world.h"

/* Makes a group of buckets "WEIGHT WATCH_PORT WATCH_GROUP ACTIONS" (0: none), NULL at the end. */
static bool
group_mod(struct world *w, enum of_mod_command command, uint32_t id, enum of_group_type type,
	const char *const *buckets, struct weft_error *err)
{
	struct of_group_mod gm;
	bool ok;

	of_group_mod_init(&gm);
	gm.command = command;
	gm.type = (uint8_t)type;
	gm.group = id;
	for (; buckets && *buckets; buckets++) {
		struct of_bucket *b = of_group_mod_add_bucket(&gm);
		unsigned weight, port, group;
		int at;

		assert_int_equal(sscanf(*buckets, "%u %u %u %n", &weight, &port, &group, &at), 3);
		b->weight = (uint16_t)weight;
		b->watch_port = port ? OF_PORT(port) : OF_PORT_NONE;
		b->watch_group = group ? group : OFPG_ANY;
		assert_true(of_text_parse_actions(
			*buckets + at, strlen(*buckets + at), true, NULL, &b->actions, NULL));
	}
	ok = ofproto_group_mod(w->p, &gm, w->now_ms, err);
	of_group_mod_uninit(&gm);
	return ok;
}

#define BUCKETS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void
add_group(struct world *w, uint32_t id, enum of_group_type type, const char *const *buckets)
{
	struct weft_error err = WEFT_ERROR_INIT;

	if (!group_mod(w, OF_MOD_ADD, id, type, buckets, &err)) {
		fail_msg("group %u: %s", id, err.text);
	}
}

static void
refuse_group(struct world *w, enum of_mod_command command, uint32_t id, enum of_group_type type,
	const char *const *buckets, unsigned code)
{
	struct weft_error err = WEFT_ERROR_INIT;

	assert_false(group_mod(w, command, id, type, buckets, &err));
	assert_int_equal(err.code, OFPET_GROUP_MOD_FAILED);
	assert_int_equal(err.subcode, code);
}

/* --- translation --------------------------------------------------------------------------------- */

/* Objects of a fake datapath, as text; the first @ready are there. */
struct fake {
	struct world *w;
	char bodies[4][1024];
	uint32_t n;
	uint32_t ready;
};

static enum translate_object_state
fake_object(void *user, const struct translate_object *o, struct dp_handle *handle)
{
	struct fake *f = user;
	struct strbuf s = STRBUF_INIT;
	const uint8_t *at = o->body;
	uint32_t i = 0;

	assert_true(dp_object_validate(o->kind, o->body, o->size, o->n_parts, NULL));
	strbuf_printf(&s, "%s", o->kind == DP_OBJECT_SELECT ? "select" : "first_live");
	for (uint32_t k = 0; k < o->n_parts; k++) {
		const struct dp_bucket *b = (const void *)at;

		strbuf_printf(
			&s, " [%u:%d:%u ", b->weight, (int)b->watch_port, b->watch_object.slot);
		dp_actions_format(b->actions, b->size - sizeof(*b), &s);
		strbuf_printf(&s, " %u]", o->parts[k].n);
		at += b->size;
	}
	while (i < f->n && strcmp(f->bodies[i], strbuf_text(&s))) {
		i++;
	}
	if (i == f->n) {
		snprintf(f->bodies[f->n++], sizeof(f->bodies[0]), "%s", strbuf_text(&s));
	}
	strbuf_uninit(&s);
	*handle = (struct dp_handle){100 + i, 1};
	return i < f->ready ? TRANSLATE_OBJECT_READY : TRANSLATE_OBJECT_PENDING;
}

static const char *
translate_with(struct world *w, struct fake *f, const char *packet)
{
	struct translate_in in = {
		.reader = w->reader, .now_ms = w->now_ms, .object = fake_object, .object_user = f};
	struct strbuf s = STRBUF_INIT;
	struct flow_key key;

	world_key(packet, &key);
	in.key = &key;
	of_reader_enter(w->reader);
	in.version = of_model_version(w->model);
	translate(&in, &w->t);
	of_reader_leave(w->reader);
	dp_actions_format(w->t.actions.data, w->t.actions.size, &s);
	snprintf(w->text, sizeof(w->text), "%s", strbuf_text(&s));
	strbuf_uninit(&s);
	return w->text;
}

static void
test_group_all_and_indirect(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	add_group(&w, 1, OF_GROUP_ALL,
		BUCKETS("0 0 0 output:2", "0 0 0 output:3,set_field:00:00:00:00:00:07->eth_dst",
			"0 0 0 output:4"));
	world_flow(&w, "in_port=1,actions=group:1");
	/* A bucket is an action set: the field is set before the output, on a copy. */
	assert_string_equal(world_translate(&w, "in_port=1"),
		"output(12),clone(set(eth_dst=00:00:00:00:00:07),output(13)),output(14)");
	assert_int_equal(w.t.counters.n, 4);
	add_group(&w, 2, OF_GROUP_INDIRECT, BUCKETS("0 0 0 output:5,pop_vlan"));
	world_flow(&w, "in_port=2,dl_vlan=3,actions=group:2,output:6");
	assert_string_equal(world_translate(&w, "in_port=2,dl_vlan=3"),
		"clone(pop_vlan,output(15)),output(16)");
	/* Chained; in the action set a group stands in place of the output. */
	add_group(&w, 3, OF_GROUP_ALL, BUCKETS("0 0 0 group:2", "0 0 0 output:7"));
	world_flow(&w, "in_port=3,dl_vlan=3,actions=write_actions(group:3,output:8)");
	assert_string_equal(world_translate(&w, "in_port=3,dl_vlan=3"),
		"clone(pop_vlan,output(15)),output(17)");
	/* Not back to the input port; nothing at all. */
	world_flow(&w, "in_port=5,actions=group:1");
	assert_string_equal(world_translate(&w, "in_port=4"), "drop");
	add_group(&w, 4, OF_GROUP_ALL, NULL);
	world_flow(&w, "in_port=6,actions=group:4");
	assert_string_equal(world_translate(&w, "in_port=6"), "drop");
	world_uninit(&w);
}

static void
test_group_objects(void **state)
{
	struct world w;
	struct fake f = {.w = &w};

	(void)state;
	world_init(&w);
	add_group(&w, 1, OF_GROUP_SELECT,
		BUCKETS("3 0 0 output:2", "1 3 0 set_field:00:00:00:00:00:07->eth_dst,output:3",
			"0 0 0 output:4"));
	world_flow(&w, "in_port=1,actions=group:1,output:8");
	translate_with(&w, &f, "in_port=1");
	assert_true(w.t.is_pending);
	assert_string_equal(f.bodies[0],
		"select [3:-1:0 output(12) 1] [1:13:0 set(eth_dst=00:00:00:00:00:07),output(13) 1]");
	f.ready = 1;
	assert_string_equal(translate_with(&w, &f, "in_port=1"), "clone(select(100.1)),output(18)");
	assert_false(w.t.is_pending);
	assert_int_equal(w.t.counters.n, 1); /* the group; buckets count by themselves */
	assert_string_equal(world_mask(&w), "");
	/* A failover to a group whose object must be there first; a port that is not there yet. */
	refuse_group(&w, OF_MOD_ADD, 2, OF_GROUP_FAST_FAILOVER, BUCKETS("0 99 0 output:5"),
		OFPGMFC_BAD_WATCH);
	add_group(&w, 2, OF_GROUP_FAST_FAILOVER, BUCKETS("0 2 0 output:2", "0 0 1 group:1"));
	world_flow(&w, "in_port=4,actions=group:2");
	assert_string_equal((translate_with(&w, &f, "in_port=4"), f.bodies[1]),
		"first_live [1:12:0 output(12) 1] [1:-1:100 select(100.1) 2]");
	f.ready = 2;
	assert_string_equal(translate_with(&w, &f, "in_port=4"), "first_live(101.1)");
	world_uninit(&w);
}

/* Without objects the choice is made here: all of the flow's packets take one bucket. */
static void
test_group_chosen_here(void **state)
{
	unsigned n[3] = {0, 0, 0};
	struct world w;
	char packet[64];

	(void)state;
	world_init(&w);
	add_group(&w, 1, OF_GROUP_SELECT,
		BUCKETS("3 0 0 output:2", "1 0 0 output:3", "0 0 0 output:4"));
	world_flow(&w, "actions=group:1");
	for (unsigned i = 0; i < 400; i++) {
		snprintf(packet, sizeof(packet), "in_port=1,tcp,tp_dst=80,tp_src=%u", 1000 + i);
		world_translate(&w, packet);
		n[0] += !strcmp(w.text, "output(12)");
		n[1] += !strcmp(w.text, "output(13)");
		n[2] += !strcmp(w.text, "output(14)");
	}
	assert_int_equal(n[0] + n[1], 400);
	assert_in_range(n[1], 60, 140); /* a quarter */
	assert_string_equal(world_mask(&w), "eth_dst,eth_src,eth_type,vlan_tci/1fff,ip_src,ip_dst,"
					    "nw_proto,tcp_src,tcp_dst");
	add_group(&w, 2, OF_GROUP_FAST_FAILOVER, BUCKETS("0 2 0 output:2", "0 3 0 output:3"));
	world_flow(&w, "priority=40000,in_port=5,actions=group:2");
	assert_string_equal(world_translate(&w, "in_port=5"), "output(12)");
	{
		struct of_port_info down = *ofproto_port_find(w.p, OF_PORT(2));

		down.state = OF_PORT_LINK_DOWN;
		assert_true(ofproto_port_set(w.p, &down, NULL));
	}
	assert_string_equal(world_translate(&w, "in_port=5"), "output(13)");
	world_uninit(&w);
}

static void
test_meter_actions(void **state)
{
	struct of_meter_mod mm = {
		.command = OF_MOD_ADD,
		.flags = OF_METER_KBPS,
		.meter = 7,
		.n_bands = 1,
		.bands = {{.type = OF_BAND_DROP, .rate = 1000}},
	};
	struct world w;

	(void)state;
	world_init(&w);
	world_refuse(&w, "add in_port=1,actions=meter:7,output:2", OFPET_METER_MOD_FAILED,
		OFPMMFC_UNKNOWN_METER);
	assert_true(ofproto_meter_mod(w.p, &mm, 0, NULL));
	world_flow(&w, "in_port=1,actions=meter:7,output:2");
	assert_string_equal(world_translate(&w, "in_port=1"), "output(12)");
	ofproto_meter_set_handle(w.p, 7, (struct dp_handle){5, 2});
	assert_string_equal(world_translate(&w, "in_port=1"), "meter(5.2),output(12)");
	/* What a band made of the DSCP is not known: a look at it must wait. */
	mm.command = OF_MOD_MODIFY;
	mm.bands[0].type = OF_BAND_DSCP_REMARK;
	assert_true(ofproto_meter_mod(w.p, &mm, 0, NULL));
	world_flow(&w, "in_port=2,actions=meter:7,goto_table:1");
	assert_string_equal(world_translate(&w, "in_port=2,ip"), "meter(5.2),recirc(0x1)");
	mm.command = OF_MOD_DELETE;
	assert_true(ofproto_meter_mod(w.p, &mm, 0, NULL));
	assert_int_equal(ofproto_n_rules(w.p), 0);
	assert_int_equal(ofproto_n_meters(w.p), 0);
	world_uninit(&w);
}

/* --- groups come and go -------------------------------------------------------------------------- */

static void
test_group_deletion(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	world_refuse(&w, "add actions=group:1", OFPET_BAD_ACTION, OFPBAC_BAD_OUT_GROUP);
	add_group(&w, 1, OF_GROUP_ALL, BUCKETS("0 0 0 output:2"));
	add_group(&w, 2, OF_GROUP_ALL, BUCKETS("0 0 0 group:1"));
	world_flow(&w, "add send_flow_rem,in_port=1,actions=group:1");
	world_flow(&w, "in_port=2,actions=write_actions(group:2)");
	world_flow(&w, "in_port=3,actions=output:2");
	refuse_group(&w, OF_MOD_DELETE, 1, 0, NULL, OFPGMFC_CHAINED_GROUP);
	refuse_group(&w, OF_MOD_MODIFY, 1, OF_GROUP_ALL, BUCKETS("0 0 0 group:2"), OFPGMFC_LOOP);
	refuse_group(&w, OF_MOD_MODIFY, 9, OF_GROUP_ALL, NULL, OFPGMFC_UNKNOWN_GROUP);
	assert_true(group_mod(&w, OF_MOD_DELETE, 9, 0, NULL, NULL));
	assert_int_equal(ofproto_n_rules(w.p), 3);
	assert_true(group_mod(&w, OF_MOD_DELETE, 2, 0, NULL, NULL));
	assert_int_equal(ofproto_n_rules(w.p), 2);
	assert_true(group_mod(&w, OF_MOD_DELETE, 1, 0, NULL, NULL));
	assert_string_equal(world_dump(&w), "in_port=3 actions=output:2\n");
	world_run(&w, 1000);
	assert_string_equal(w.removed, "3 in_port=1 0/0\n"); /* OFPRR_GROUP_DELETE */
	add_group(&w, 1, OF_GROUP_ALL, NULL);
	add_group(&w, 2, OF_GROUP_ALL, BUCKETS("0 0 0 group:1"));
	world_flow(&w, "in_port=1,actions=group:1");
	assert_true(group_mod(&w, OF_MOD_DELETE, OFPG_ALL, 0, NULL, NULL));
	assert_int_equal(ofproto_n_groups(w.p), 0);
	assert_int_equal(ofproto_n_rules(w.p), 1);
	world_uninit(&w);
}

/* Steps of a transaction see each other; readers of the published version see none of them. */
static void
test_group_in_transaction(void **state)
{
	struct of_group_mod gm;
	struct of_flow_mod fm;
	struct of_txn *t;
	struct world w;

	(void)state;
	world_init(&w);
	world_flow(&w, "in_port=1,actions=output:3");
	for (unsigned pass = 0; pass < 2; pass++) {
		of_group_mod_init(&gm);
		gm.group = 5;
		of_actions_put_output(&of_group_mod_add_bucket(&gm)->actions, OF_PORT(2), 0);
		of_flow_mod_init(&fm);
		of_match_set_u64(&fm.match, FIELD_IN_PORT, 1);
		of_actions_put_u32(&fm.actions, OF_ACTION_GROUP, 5);
		t = of_txn_begin(w.model, NULL, NULL);
		assert_true(of_txn_group_mod(t, w.p, &gm, 0, NULL));
		assert_true(of_txn_flow_mod(t, w.p, &fm, 0, NULL));
		assert_string_equal(world_translate(&w, "in_port=1"), "output(13)");
		if (pass == 0) {
			of_txn_abort(t);
			world_run(&w, 100);
			assert_int_equal(ofproto_n_groups(w.p), 0);
			assert_string_equal(world_translate(&w, "in_port=1"), "output(13)");
		} else {
			of_txn_commit(t, 0);
			assert_string_equal(world_translate(&w, "in_port=1"), "output(12)");
		}
		of_group_mod_uninit(&gm);
		of_flow_mod_uninit(&fm);
	}
	world_uninit(&w);
}

/* Groups that a transaction removes make room for those that it adds, when all numbers are taken. */
static void
test_group_room_in_transaction(void **state)
{
	struct of_group_mod gm;
	struct of_txn *t;
	struct world w;

	(void)state;
	world_init(&w);
	of_group_mod_init(&gm);
	for (gm.group = 0; gm.group < OF_MAX_GROUPS; gm.group++) {
		assert_true(ofproto_group_mod(w.p, &gm, 0, NULL));
	}
	for (unsigned pass = 0; pass < 2; pass++) {
		t = of_txn_begin(w.model, NULL, NULL);
		gm.command = OF_MOD_ADD;
		gm.group = OF_MAX_GROUPS;
		assert_false(of_txn_group_mod(t, w.p, &gm, 0, NULL));
		gm.command = OF_MOD_MODIFY;
		gm.group = 6;
		assert_true(of_txn_group_mod(t, w.p, &gm, 0, NULL));
		gm.command = OF_MOD_DELETE;
		gm.group = 5;
		assert_true(of_txn_group_mod(t, w.p, &gm, 0, NULL));
		gm.command = OF_MOD_ADD;
		gm.group = OF_MAX_GROUPS;
		assert_true(of_txn_group_mod(t, w.p, &gm, 0, NULL));
		gm.group = 5;
		assert_false(of_txn_group_mod(t, w.p, &gm, 0, NULL));
		if (pass == 0) {
			gm.command = OF_MOD_DELETE;
			gm.group = 7;
			assert_true(of_txn_group_mod(t, w.p, &gm, 0, NULL));
			of_txn_abort(t);
		}
	}
	of_txn_commit(t, 0);
	of_group_mod_uninit(&gm);
	assert_int_equal(ofproto_n_groups(w.p), OF_MAX_GROUPS);
	world_uninit(&w);
}

static void
see(const struct of_group_view *view, void *text)
{
	char *at = text;

	at += sprintf(at, "%u: refs %u, %llu/%llu, age %llu", view->id, view->n_refs,
		(unsigned long long)view->packets, (unsigned long long)view->bytes,
		(unsigned long long)(view->now_ms - view->created_ms));
	for (uint32_t i = 0; i < view->n_buckets; i++) {
		at += sprintf(at, ", %llu/%llu", (unsigned long long)view->buckets[i].packets,
			(unsigned long long)view->buckets[i].bytes);
	}
}

static void
test_group_counters(void **state)
{
	struct world w;
	char text[256];

	(void)state;
	world_init(&w);
	add_group(&w, 1, OF_GROUP_ALL, BUCKETS("0 0 0 output:2", "0 0 0 output:3"));
	world_flow(&w, "in_port=1,actions=group:1");
	world_flow(&w, "in_port=2,actions=write_actions(group:1)");
	world_translate(&w, "in_port=1");
	for (uint32_t i = 0; i < w.t.counters.n; i++) {
		of_counter_add(w.t.counters.v[i], 3, 300);
	}
	w.now_ms += 500;
	assert_true(ofproto_group_visit(w.p, 1, true, w.now_ms, see, text));
	assert_string_equal(text, "1: refs 2, 3/300, age 500, 3/300, 3/300");
	/* The group's own go on, those of its buckets begin anew. */
	assert_true(group_mod(&w, OF_MOD_MODIFY, 1, OF_GROUP_ALL, BUCKETS("0 0 0 output:2"), NULL));
	assert_true(ofproto_group_visit(w.p, OFPG_ALL, true, w.now_ms, see, text));
	assert_string_equal(text, "1: refs 2, 3/300, age 500, 0/0");
	assert_false(ofproto_group_visit(w.p, 2, true, w.now_ms, see, text));
	world_uninit(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_group_all_and_indirect),
		cmocka_unit_test(test_group_objects),
		cmocka_unit_test(test_group_chosen_here),
		cmocka_unit_test(test_meter_actions),
		cmocka_unit_test(test_group_deletion),
		cmocka_unit_test(test_group_in_transaction),
		cmocka_unit_test(test_group_room_in_transaction),
		cmocka_unit_test(test_group_counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Traces, at random: they leave nothing behind, and the fast-path flows that they show are those that
 * translation makes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/byteorder.h"
#include "lib/dp_protocol.h"
#include "lib/error.h"
#include "lib/strbuf.h"
#include "ofproto/fdb.h"
#include "ofproto/of_context.h"
#include "ofproto/of_text.h"
#include "ofproto/of_trace.h"
#include "tests/unit/ofproto/world.h"

#define MAX_OBJECTS 2048

/* Objects by their bytes, numbered as they come. */
struct objects {
	struct strbuf bodies[MAX_OBJECTS];
	uint32_t kinds[MAX_OBJECTS];
	uint32_t n;
};

static enum translate_object_state
get_object(void *user, const struct translate_object *o, struct dp_handle *handle)
{
	struct objects *all = user;
	uint32_t i = 0;

	while (i < all->n && (all->kinds[i] != o->kind || all->bodies[i].len != o->size ||
				     memcmp(all->bodies[i].data, o->body, o->size))) {
		i++;
	}
	if (i == all->n) {
		assert_true(i < WEFT_ARRAY_SIZE(all->bodies));
		strbuf_put_bytes(&all->bodies[i], o->body, o->size);
		all->kinds[i] = o->kind;
		all->n++;
	}
	*handle = (struct dp_handle){i + 1, 1};
	return TRANSLATE_OBJECT_READY;
}

/* Translates what the trace's passes begin with, the one after the other. @compare: the flows must be those that
 * the trace shows. Whether all their contexts are the model's. */
static bool
translate_passes(struct world *w, const struct of_trace *t, bool compare)
{
	const struct of_trace_pass *pass;
	static struct objects objects;
	bool all = true;

	LIST_FOREACH (pass, link, of_trace_passes(t)) {
		struct translate_in in = {
			.reader = w->reader,
			.key = &pass->key,
			.now_ms = w->now_ms,
			.object = get_object,
			.object_user = &objects,
		};

		of_reader_enter(w->reader);
		in.version = of_model_version(w->model);
		if (pass->recirc_id > UINT32_MAX / 2) {
			all = false;
		} else {
			translate(&in, &w->t);
		}
		of_reader_leave(w->reader);
		if (compare) {
			assert_false(w->t.is_refused);
			assert_memory_equal(&w->t.mask, &pass->mask, sizeof(pass->mask));
			assert_int_equal(w->t.drop, pass->drop);
			assert_int_equal(w->t.actions.size, pass->dp_actions_size);
			if (w->t.actions.size) {
				assert_memory_equal(
					w->t.actions.data, pass->dp_actions, pass->dp_actions_size);
			}
		}
	}
	for (uint32_t i = 0; i < objects.n; i++) {
		strbuf_uninit(&objects.bodies[i]);
	}
	objects.n = 0;
	return all;
}

static uint64_t rnd;

static unsigned
upto(unsigned n)
{
	return (unsigned)(world_random(&rnd) % n);
}

static const char *
one_of(const char *const *texts, size_t n)
{
	return texts[upto((unsigned)n)];
}

#define ONE_OF(...)                                                                                \
	one_of((const char *const[]){__VA_ARGS__},                                                 \
		WEFT_ARRAY_SIZE(((const char *const[]){__VA_ARGS__})))

static void
add_random_flow(struct world *w, unsigned table)
{
	static const char *const actions[] = {
		"ip;dec_ttl",
		"ip;set_field:10.0.0.9->ip_dst",
		"ip;meter:1",
		"tcp;set_field:7->tcp_dst",
		"ip;push_mpls:0x8847",
		"mpls;pop_mpls:0x8847",
		"mpls;pop_mpls:0x0800",
		"mpls;dec_mpls_ttl",
		"dl_vlan=5;pop_vlan",
		";push_vlan:0x8100",
		";NORMAL",
		";group:1",
		";group:2",
		";group:3",
		";group:4",
		";output:2",
		";output:3",
		";CONTROLLER:77",
		";set_field:00:00:00:00:00:05->eth_dst",
		";set_field:3->reg1",
		";clone(set_field:00:00:00:00:00:06->eth_dst,output:4)",
		";ALL",
		"dl_type=0x88e7;pop_pbb",
		";push_pbb:0x88e7",
		";set_field:0x86dd->eth_type",
	};
	struct of_flow_mod fm = {.command = OF_FLOW_ADD};
	struct weft_error err = WEFT_ERROR_INIT;
	struct strbuf text = STRBUF_INIT;
	const char *action = actions[upto(WEFT_ARRAY_SIZE(actions))];
	const char *semicolon = strchr(action, ';');

	strbuf_printf(&text, "table=%u,priority=%u,", table, upto(4));
	strbuf_put_bytes(&text, action, (size_t)(semicolon - action));
	strbuf_printf(&text, "%s,actions=%s", upto(2) ? ",in_port=1" : "", semicolon + 1);
	for (unsigned n = upto(3); n; n--) {
		strbuf_printf(&text, ",%s",
			ONE_OF("output:2", "group:1", "resubmit(,4)", "NORMAL", "group:2",
				"resubmit(,5)", "set_field:1->reg0", "in_port"));
	}
	if (!upto(3)) {
		strbuf_printf(&text, ",write_actions(%s)",
			ONE_OF("group:1", "output:5", "group:3", "dec_ttl,output:3"));
	}
	if (table < 3 && upto(4)) {
		strbuf_printf(&text, ",goto_table:%u", table + 1);
	}
	/* What OpenFlow refuses (prerequisites after pops) is not added. */
	if (of_text_parse_flow(strbuf_text(&text), text.len, false, NULL, &fm, &err)) {
		(void)!ofproto_flow_mod(w->p, &fm, w->now_ms, &err);
	}
	of_flow_mod_uninit(&fm);
	strbuf_uninit(&text);
}

static void
add_random_tables(struct world *w)
{
	struct of_meter_mod mm = {.command = OF_MOD_ADD};

	assert_true(of_text_parse_meter(
		"meter=1,kbps,bands=type=dscp_remark,rate=9,prec_level=1", 55, &mm, NULL));
	assert_true(ofproto_meter_mod(w->p, &mm, w->now_ms, NULL));
	ofproto_meter_set_handle(w->p, 1, (struct dp_handle){70, 1});
	world_group(w, "group_id=4,type=all,bucket=output:5,bucket=push_vlan:0x8100,output:6");
	world_group(w, "group_id=1,type=select,bucket=weight:3,output:2,bucket=weight:1,output:3");
	world_group(
		w, "group_id=2,type=ff,bucket=watch_port:2,output:2,bucket=watch_port:3,group:4");
	world_group(w, "group_id=3,type=select,bucket=weight:1,group:2,"
		       "bucket=weight:1,pop_mpls:0x0800,dec_ttl,output:3");
	for (unsigned i = 0; i < 60; i++) {
		add_random_flow(w, upto(6));
	}
	for (unsigned i = 0; i < 4; i++) {
		uint8_t mac[6] = {0, 0, 0, 0, 0, (uint8_t)i};

		ofproto_fdb_learn(
			w->p, (uint16_t)(5 * upto(2)), mac, OF_PORT(1 + upto(4)), w->now_ms);
	}
}

static void
random_key(struct world *w, struct flow_key *key)
{
	struct strbuf text = STRBUF_INIT;

	strbuf_printf(&text, "in_port=%u,dl_src=00:00:00:00:00:%02x,dl_dst=00:00:00:00:00:%02x,%s",
		1 + upto(3), upto(6), upto(6),
		ONE_OF("tcp", "udp6", "arp", "mpls", "mpls,mpls_bos=0,mpls_lse1=0x1140",
			"ip,nw_ttl=1", "pbb_isid=4", "dl_vlan=5,tcp", "dl_vlan=6", "ip"));
	assert_true(of_trace_parse(strbuf_text(&text), text.len, NULL, 0, w->p, key, NULL));
	strbuf_uninit(&text);
}

/* All that a trace could have changed. */
static void
fingerprint(struct world *w, struct strbuf *out)
{
	uint64_t refs = 0, credits = 0;
	struct list *l;

	for (unsigned table = 0; table < OF_N_TABLES; table++) {
		struct of_table_stats stats;

		ofproto_table_stats(w->p, (uint8_t)table, &stats);
		credits += stats.n_lookups + stats.n_matched;
		for (l = w->p->tables[table].rules.next; l != &w->p->tables[table].rules;
			l = l->next) {
			const struct rule *r = LIST_ENTRY(l, struct rule, by_table);

			refs += atomic_load(&r->refs);
			credits += atomic_load(&r->packets);
		}
	}
	strbuf_printf(out, "%llu %llu %zu %zu %llu %u",
		(unsigned long long)of_model_version(w->model), (unsigned long long)refs,
		of_context_count(w->model), fdb_count(w->p->fdb), (unsigned long long)credits,
		w->n_contexts_gone);
}

static void
test_trace_agrees_with_translation(void **state)
{
	unsigned n_recirculated = 0, n_objects = 0;

	(void)state;
	rnd = world_seed();
	for (unsigned round = 0; round < 60; round++) {
		struct world w;

		world_init(&w);
		world_port(&w, 3, OF_VLAN_ACCESS, 5, NULL);
		add_random_tables(&w);
		for (unsigned i = 0; i < 25; i++) {
			struct strbuf before = STRBUF_INIT, after = STRBUF_INIT, text = STRBUF_INIT;
			struct of_trace *t = NULL;
			struct flow_key key;
			bool all;

			random_key(&w, &key);
			fingerprint(&w, &before);
			t = world_trace(&w, &key, NULL, 0);
			of_trace_format(t, &text);
			fingerprint(&w, &after);
			assert_string_equal(strbuf_text(&before), strbuf_text(&after));
			/* Each turn gives the model the contexts of one pass more. */
			for (unsigned turn = 0; turn <= DP_RECIRC_MAX + 1; turn++) {
				all = translate_passes(&w, t, false);
				of_trace_destroy(t);
				t = world_trace(&w, &key, NULL, 0);
				if (all) {
					break;
				}
			}
			assert_true(all);
			assert_true(translate_passes(&w, t, true));
			n_recirculated += list_count(of_trace_passes(t)) > 1;
			n_objects += strstr(strbuf_text(&text), "select(1.1)") != NULL;
			of_trace_destroy(t);
			strbuf_uninit(&before);
			strbuf_uninit(&after);
			strbuf_uninit(&text);
		}
		world_uninit(&w);
	}
	/* Or nothing has been shown. */
	assert_true(n_recirculated > 20);
	assert_true(n_objects > 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trace_agrees_with_translation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow-mods, transactions, timeouts, queries: OpenFlow 1.3.5 s.6.4 and s.6.5.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/strbuf.h"
#include "ofproto/of_error.h"
#include "ofproto/of_text.h"
#include "ofproto/ofproto_internal.h"
#include "tests/unit/ofproto/full_table.h"
#include "tests/unit/ofproto/world.h"

static struct world *
setup(void **state)
{
	return *state;
}

static int
make_world(void **state)
{
	struct world *w = malloc(sizeof(*w));

	world_init(w);
	*state = w;
	return 0;
}

static int
end_world(void **state)
{
	world_uninit(*state);
	free(*state);
	return 0;
}

#define assert_flows(W, TEXT) assert_string_equal(world_dump(W), TEXT)

/* The rule's counters as another thread would credit them. */
static void
credit(struct world *w, const char *packet, uint64_t packets, uint64_t bytes)
{
	world_translate(w, packet);
	for (unsigned i = 0; i < w->t.n_rules; i++) {
		of_rule_credit(w->t.rules[i], packets, bytes, w->now_ms);
	}
}

static struct of_aggregate
sum(struct world *w)
{
	struct of_aggregate a;
	struct of_flow_query q;

	of_flow_query_init(&q);
	ofproto_aggregate(w->p, &q, &a);
	return a;
}

static void
test_add_replaces_the_same_match(void **state)
{
	struct world *w = setup(state);

	world_flow(w, "cookie=0x1,priority=5,ip,actions=1");
	credit(w, "in_port=1,ip", 3, 300);
	world_flow(w, "cookie=0x2,priority=5,ip,actions=2");
	assert_flows(w, "cookie=0x2,priority=5,ip actions=output:2\n");
	assert_int_equal(sum(w).packets, 3);
	world_flow(w, "priority=5,ip,reset_counts,actions=3");
	assert_flows(w, "priority=5,ip actions=output:3\n");
	assert_int_equal(sum(w).packets, 0);
	/* Other priority, other rule. */
	world_flow(w, "priority=6,ip,actions=3");
	assert_int_equal(ofproto_n_rules(w->p), 2);
	world_run(w, 0);
	assert_int_equal(w->n_removed, 0);
}

static void
test_credit_after_replacement_goes_to_the_heir(void **state)
{
	struct world *w = setup(state);
	struct rule *old;

	world_flow(w, "ip,actions=1");
	world_translate(w, "in_port=1,ip");
	old = w->t.rules[0];
	of_rule_ref(old);
	world_flow(w, "ip,actions=2");
	of_rule_credit(old, 5, 500, 7);
	world_run(w, 0);
	of_rule_credit(old, 1, 100, 8);
	assert_int_equal(sum(w).packets, 6);
	of_rule_unref(old);
}

static void
test_add_checks_overlap_only_when_asked(void **state)
{
	struct world *w = setup(state);

	world_flow(w, "priority=5,ip,nw_dst=10.0.0.0/8,actions=1");
	world_refuse(w, "priority=5,ip,nw_src=1.2.3.4,check_overlap,actions=1",
		OFPET_FLOW_MOD_FAILED, OFPFMFC_OVERLAP);
	world_refuse(w, "priority=5,ip,nw_dst=10.0.0.0/8,check_overlap,actions=1",
		OFPET_FLOW_MOD_FAILED, OFPFMFC_OVERLAP);
	world_flow(w, "priority=5,ip,nw_dst=11.0.0.0/8,check_overlap,actions=1");
	world_flow(w, "priority=6,ip,nw_src=1.2.3.4,check_overlap,actions=1");
	world_flow(w, "priority=5,ip,nw_src=1.2.3.4,actions=1");
	assert_int_equal(ofproto_n_rules(w->p), 4);
}

static void
test_add_is_refused_by_full_tables(void **state)
{
	struct world *w = setup(state);

	world_flow(w, "table=3,priority=5,ip,actions=1");
	full_table_pretend(w->p, 3, OF_MAX_RULES_PER_TABLE - 1);
	world_refuse(
		w, "table=3,priority=6,ip,actions=1", OFPET_FLOW_MOD_FAILED, OFPFMFC_TABLE_FULL);
	/* What takes the place of another rule, and other tables, are not concerned. */
	world_flow(w, "table=3,priority=5,ip,actions=2");
	world_flow(w, "priority=6,ip,actions=1");
	/* One that goes makes room at once, whoever may still look at it. */
	world_flow(w, "delete table=3,ip");
	world_flow(w, "table=3,priority=7,ip,actions=1");
	world_refuse(
		w, "table=3,priority=6,ip,actions=1", OFPET_FLOW_MOD_FAILED, OFPFMFC_TABLE_FULL);
	full_table_pretend(w->p, 3, 1 - (long)OF_MAX_RULES_PER_TABLE);
	assert_flows(w, "priority=6,ip actions=output:1\ntable=3,priority=7,ip actions=output:1\n");
}

/* What a rule does not count, it does not tell; its use is noted all the same. */
static void
test_add_leaves_counters_out(void **state)
{
	struct world *w = setup(state);

	world_flow(w, "idle_timeout=5,no_packet_counts,ip,actions=1");
	world_run(w, 4000);
	credit(w, "in_port=1,ip", 3, 300);
	assert_int_equal(sum(w).packets, 0);
	assert_int_equal(sum(w).bytes, 300);
	world_run(w, 4000);
	assert_int_equal(ofproto_n_rules(w->p), 1);
	world_flow(w, "delete");
	world_flow(w, "no_byte_counts,ip,actions=1");
	credit(w, "in_port=1,ip", 3, 300);
	assert_int_equal(sum(w).packets, 3);
	assert_int_equal(sum(w).bytes, 0);
}

static void
test_modify_is_loose_or_strict(void **state)
{
	struct world *w = setup(state);

	world_flow(w, "cookie=0x1,priority=5,ip,actions=1");
	world_flow(w, "cookie=0x2,priority=6,tcp,actions=1");
	credit(w, "in_port=2,tcp", 2, 20);
	world_flow(w, "modify table=0,ip,actions=3");
	assert_flows(w, "cookie=0x1,priority=5,ip actions=output:3\n"
			"cookie=0x2,priority=6,tcp actions=output:3\n");
	assert_int_equal(sum(w).packets, 2);
	world_flow(w, "modify_strict table=0,priority=5,ip,actions=4");
	assert_flows(w, "cookie=0x1,priority=5,ip actions=output:4\n"
			"cookie=0x2,priority=6,tcp actions=output:3\n");
	/* Nothing matches: nothing is added. */
	world_flow(w, "modify_strict table=0,priority=7,ip,actions=4");
	world_flow(w, "modify udp,actions=4");
	assert_int_equal(ofproto_n_rules(w->p), 2);
	world_flow(w, "modify cookie=0x1/0xff,actions=5");
	assert_flows(w, "cookie=0x1,priority=5,ip actions=output:5\n"
			"cookie=0x2,priority=6,tcp actions=output:3\n");
	world_flow(w, "modify ip,reset_counts,actions=5");
	assert_int_equal(sum(w).packets, 0);
	assert_string_equal(world_translate(w, "in_port=1,tcp"), "output(15)");
}

static void
test_delete_filters(void **state)
{
	struct world *w = setup(state);

	world_flow(w, "cookie=0x11,priority=5,ip,actions=1");
	world_flow(w, "cookie=0x12,priority=6,tcp,actions=2");
	world_flow(w, "cookie=0x21,table=3,arp,actions=write_actions(output:2)");
	world_flow(w, "cookie=0x22,table=3,udp,actions=3");
	world_flow(w, "delete out_port=7");
	world_flow(w, "delete out_group=7");
	world_flow(w, "delete cookie=0x31/0xf1");
	world_flow(w, "delete_strict table=0,priority=4,ip");
	world_flow(w, "delete_strict table=0,priority=5,ip,nw_dst=1.2.3.4");
	assert_int_equal(ofproto_n_rules(w->p), 4);
	world_flow(w, "delete out_port=2");
	assert_flows(w, "cookie=0x11,priority=5,ip actions=output:1\n"
			"table=3,cookie=0x22,udp actions=output:3\n");
	world_flow(w, "delete cookie=0x2/0xf");
	assert_flows(w, "cookie=0x11,priority=5,ip actions=output:1\n");
	world_flow(w, "delete_strict table=0,priority=5,ip");
	assert_flows(w, "");
	world_flow(w, "table=4,actions=1");
	world_flow(w, "table=5,actions=1");
	world_flow(w, "delete table=4");
	assert_flows(w, "table=5, actions=output:1\n");
	world_flow(w, "delete");
	assert_flows(w, "");
}

static void
test_refused(void **state)
{
	static const struct {
		const char *flow;
		unsigned type, code;
	} rows[] = {
		{"table=255,actions=1", OFPET_FLOW_MOD_FAILED, OFPFMFC_BAD_TABLE_ID},
		{"actions=0", OFPET_BAD_ACTION, OFPBAC_BAD_OUT_PORT},
		{"actions=TABLE", OFPET_BAD_ACTION, OFPBAC_BAD_OUT_PORT},
		{"actions=ANY", OFPET_BAD_ACTION, OFPBAC_BAD_OUT_PORT},
		{"actions=output:0xffffff01", OFPET_BAD_ACTION, OFPBAC_BAD_OUT_PORT},
		{"actions=group:5", OFPET_BAD_ACTION, OFPBAC_BAD_OUT_GROUP},
		{"actions=meter:5", OFPET_METER_MOD_FAILED, OFPMMFC_UNKNOWN_METER},
		{"table=3,actions=goto_table:3", OFPET_BAD_INSTRUCTION, OFPBIC_BAD_TABLE_ID},
		{"table=3,actions=goto_table:1", OFPET_BAD_INSTRUCTION, OFPBIC_BAD_TABLE_ID},
		{"actions=goto_table:1,goto_table:2", OFPET_BAD_INSTRUCTION, OFPBIC_DUP_INST},
		{"actions=goto_table:1,clear_actions", OFPET_BAD_INSTRUCTION, OFPBIC_UNSUP_INST},
		{"actions=clear_actions,output:1", OFPET_BAD_INSTRUCTION, OFPBIC_UNSUP_INST},
		{"actions=write_actions(goto_table:1)", OFPET_BAD_ACTION, OFPBAC_BAD_TYPE},
		{"actions=set_field:1.2.3.4->ip_src", OFPET_BAD_ACTION, OFPBAC_MATCH_INCONSISTENT},
		{"actions=write_actions(set_field:5->tcp_src)", OFPET_BAD_ACTION,
			OFPBAC_MATCH_INCONSISTENT},
		{"udp,actions=set_field:5->tcp_src", OFPET_BAD_ACTION, OFPBAC_MATCH_INCONSISTENT},
		{"actions=set_field:4097->vlan_vid", OFPET_BAD_ACTION, OFPBAC_MATCH_INCONSISTENT},
		{"actions=pop_vlan", OFPET_BAD_ACTION, OFPBAC_MATCH_INCONSISTENT},
		{"dl_vlan=1,actions=pop_vlan,pop_vlan", OFPET_BAD_ACTION,
			OFPBAC_MATCH_INCONSISTENT},
		{"dl_vlan=1,actions=set_field:1->vlan_vid", OFPET_BAD_ACTION,
			OFPBAC_BAD_SET_ARGUMENT},
		{"actions=push_vlan:0x1234", OFPET_BAD_ACTION, OFPBAC_BAD_ARGUMENT},
		{"actions=push_mpls:0x0800", OFPET_BAD_ACTION, OFPBAC_BAD_ARGUMENT},
		{"actions=push_pbb:0x0800", OFPET_BAD_ACTION, OFPBAC_BAD_ARGUMENT},
		{"actions=dec_ttl", OFPET_BAD_ACTION, OFPBAC_MATCH_INCONSISTENT},
		{"ip,actions=dec_mpls_ttl", OFPET_BAD_ACTION, OFPBAC_MATCH_INCONSISTENT},
		{"ip,actions=push_mpls:0x8847,dec_ttl", OFPET_BAD_ACTION,
			OFPBAC_MATCH_INCONSISTENT},
		{"nw_dst=1.2.3.4,actions=1", OFPET_BAD_MATCH, OFPBMC_BAD_PREREQ},
		{"ip,tcp_dst=5,actions=1", OFPET_BAD_MATCH, OFPBMC_BAD_PREREQ},
		{"actions=write_actions(controller(id=3))", OFPET_BAD_ACTION, OFPBAC_BAD_TYPE},
		{"actions=write_actions(clone(1))", OFPET_BAD_ACTION, OFPBAC_BAD_TYPE},
		{"recirc_id=1,actions=1", OFPET_BAD_REQUEST, OFPBRC_EPERM},
		{"dp_hash=1,actions=1", OFPET_BAD_REQUEST, OFPBRC_EPERM},
		{"modify nw_dst=1.2.3.4,actions=1", OFPET_BAD_MATCH, OFPBMC_BAD_PREREQ},
		{"modify table=0,ip,actions=pop_vlan", OFPET_BAD_ACTION, OFPBAC_MATCH_INCONSISTENT},
	};
	struct world *w = setup(state);

	for (size_t i = 0; i < WEFT_ARRAY_SIZE(rows); i++) {
		world_refuse(w, rows[i].flow, rows[i].type, rows[i].code);
	}
	assert_int_equal(ofproto_n_rules(w->p), 0);
	world_flow(w,
		"ip,actions=push_mpls:0x8847,set_field:5->mpls_label,pop_mpls:0x0800,dec_ttl,output:1");
	world_flow(w, "actions=push_vlan:0x8100,set_field:4097->vlan_vid,output:1");
}

static void
test_hard_timeout(void **state)
{
	struct world *w = setup(state);

	world_flow(w, "hard_timeout=5,send_flow_rem,priority=7,ip,actions=1");
	world_flow(w, "hard_timeout=5,arp,actions=1");
	world_run(w, 4999);
	assert_int_equal(ofproto_n_rules(w->p), 2);
	assert_int_equal(of_model_next_ms(w->model), w->now_ms + 1);
	credit(w, "in_port=1,ip", 2, 120);
	world_run(w, 1);
	assert_int_equal(ofproto_n_rules(w->p), 0);
	assert_string_equal(w->removed, "1 priority=7,ip 2/120\n");
}

static void
test_idle_timeout_counts_from_the_last_packet(void **state)
{
	struct world *w = setup(state);

	world_flow(w, "idle_timeout=5,hard_timeout=60,send_flow_rem,ip,actions=1");
	world_run(w, 4000);
	credit(w, "in_port=1,ip", 1, 60);
	world_run(w, 4999);
	assert_int_equal(ofproto_n_rules(w->p), 1);
	/* Never before statistics are in. */
	of_reader_stats_pulled(w->reader, w->now_ms);
	world_run(w, 1);
	assert_int_equal(ofproto_n_rules(w->p), 1);
	of_reader_stats_pulled(w->reader, w->now_ms);
	world_run(w, 100);
	assert_int_equal(ofproto_n_rules(w->p), 0);
	assert_string_equal(w->removed, "0 ip 1/60\n");
}

static void
test_flow_removed_waits_for_the_last_flow(void **state)
{
	struct world *w = setup(state);
	struct rule *r;

	world_flow(w, "send_flow_rem,ip,actions=1");
	world_translate(w, "in_port=1,ip");
	r = w->t.rules[0];
	of_rule_ref(r);
	world_flow(w, "delete");
	world_run(w, 10);
	assert_int_equal(w->n_removed, 0);
	of_rule_credit(r, 9, 900, w->now_ms);
	of_rule_unref(r);
	world_run(w, 10);
	assert_string_equal(w->removed, "2 ip 9/900\n");
}

static bool
step(struct of_txn *t, struct world *w, const char *text)
{
	struct of_flow_mod fm = {.command = OF_FLOW_ADD};
	bool ok = of_text_parse_flow(text, strlen(text), true, NULL, &fm, NULL) &&
		  of_txn_flow_mod(t, w->p, &fm, w->now_ms, NULL);

	of_flow_mod_uninit(&fm);
	return ok;
}

static void
test_txn_is_seen_whole_or_not(void **state)
{
	struct world *w = setup(state);
	struct of_txn *t;
	uint64_t version;

	world_flow(w, "ip,actions=1");
	world_flow(w, "arp,actions=2");
	t = of_txn_begin(w->model, NULL, NULL);
	assert_non_null(t);
	assert_null(of_txn_begin(w->model, NULL, NULL));
	assert_true(step(t, w, "modify ip,actions=3"));
	assert_true(step(t, w, "delete arp"));
	assert_true(step(t, w, "udp,priority=40000,actions=4"));
	assert_true(step(t, w, "modify udp,actions=5"));
	assert_true(step(t, w, "tcp,actions=6"));
	assert_true(step(t, w, "delete tcp"));
	assert_flows(w, "ip actions=output:1\narp actions=output:2\n");
	assert_string_equal(world_translate(w, "in_port=8,udp"), "output(11)");
	/* Ports and addresses may move the version meanwhile. */
	world_port(w, 8, OF_VLAN_TRUNK, 0, NULL);
	assert_string_equal(world_translate(w, "in_port=8,udp"), "output(11)");
	world_run(w, 10);
	version = of_txn_commit(t, w->now_ms);
	assert_int_equal(of_model_version(w->model), version);
	assert_flows(w, "ip actions=output:3\npriority=40000,udp actions=output:5\n");
	assert_string_equal(world_translate(w, "in_port=8,udp"), "output(15)");
	assert_string_equal(world_translate(w, "in_port=8,arp"), "drop");
	assert_int_equal(ofproto_n_rules(w->p), 2);
}

static void
test_txn_abort_undoes_all(void **state)
{
	struct world *w = setup(state);
	struct of_txn *t;

	world_flow(w, "cookie=0x5,ip,send_flow_rem,actions=1");
	world_flow(w, "arp,actions=2");
	credit(w, "in_port=8,ip", 4, 40);
	t = of_txn_begin(w->model, NULL, NULL);
	assert_true(step(t, w, "modify ip,actions=3"));
	assert_true(step(t, w, "modify ip,actions=4"));
	assert_true(step(t, w, "ip,actions=5"));
	assert_true(step(t, w, "delete"));
	assert_true(step(t, w, "udp,actions=5"));
	assert_false(step(t, w, "table=255,actions=5"));
	of_txn_abort(t);
	assert_flows(w, "cookie=0x5,ip actions=output:1\narp actions=output:2\n");
	assert_int_equal(sum(w).packets, 4);
	assert_string_equal(world_translate(w, "in_port=8,ip"), "output(11)");
	world_run(w, 10);
	world_flow(w, "udp,priority=40000,actions=7");
	assert_string_equal(world_translate(w, "in_port=8,udp"), "output(17)");
	assert_int_equal(w->n_removed, 0);
}

/* What a transaction removes makes room for what it adds; one that is taken back leaves as many as there were. */
static void
test_txn_counts_what_will_be_there(void **state)
{
	struct world *w = setup(state);
	struct of_txn *t;

	world_flow(w, "ip,actions=1");
	world_flow(w, "arp,actions=1");
	full_table_pretend(w->p, 0, OF_MAX_RULES_PER_TABLE - 2);
	for (unsigned i = 0; i < 2; i++) {
		t = of_txn_begin(w->model, NULL, NULL);
		assert_false(step(t, w, "udp,actions=2"));
		assert_true(step(t, w, "delete ip"));
		assert_true(step(t, w, "udp,actions=2"));
		assert_false(step(t, w, "tcp,actions=2"));
		assert_true(step(t, w, "udp,actions=3"));
		assert_true(step(t, w, "modify arp,actions=4"));
		assert_false(step(t, w, "tcp,actions=2"));
		if (i == 0) {
			of_txn_abort(t);
		}
	}
	of_txn_commit(t, w->now_ms);
	world_refuse(w, "tcp,actions=2", OFPET_FLOW_MOD_FAILED, OFPFMFC_TABLE_FULL);
	full_table_pretend(w->p, 0, 2 - (long)OF_MAX_RULES_PER_TABLE);
	assert_int_equal(w->p->tables[0].n_next, 2);
	assert_flows(w, "arp actions=output:4\nudp actions=output:3\n");
}

static unsigned n_told, n_told_gone;

static void
tell(void *user, struct ofproto *p, uint64_t id, const struct of_flow_view *flow)
{
	(void)id;
	assert_ptr_equal(p, ((struct world *)user)->p);
	n_told += flow != NULL;
	n_told_gone += !flow;
}

/* Publishing is one store; what is left goes in slices, beside the model's other work. */
static void
test_txn_is_finished_in_slices(void **state)
{
	struct world *w = setup(state);
	unsigned turns = 0;
	struct of_txn *t;

	world_flow(w, "cookie=0x5,ip,send_flow_rem,actions=1");
	world_flow(w, "arp,actions=2");
	credit(w, "in_port=8,ip", 4, 40);
	of_model_set_journal(w->model, &(struct of_journal_ops){.flow = tell, .user = w});
	n_told = n_told_gone = 0;
	t = of_txn_begin(w->model, NULL, NULL);
	assert_true(step(t, w, "delete arp"));
	assert_true(step(t, w, "ip,actions=3")); /* replaces, and inherits the counters */
	assert_true(step(t, w, "udp,priority=40000,idle_timeout=1,actions=4"));
	of_txn_publish(t);
	assert_flows(w, "ip actions=output:3\npriority=40000,udp actions=output:4\n");
	assert_string_equal(world_translate(w, "in_port=8,udp"), "output(14)");
	assert_true(of_model_in_txn(w->model));
	while (of_txn_finish(t, w->now_ms, 1)) {
		turns++;
		world_run(w, 10);
	}
	assert_true(turns >= 4);
	assert_false(of_model_in_txn(w->model));
	assert_int_equal(n_told, 2);
	assert_int_equal(n_told_gone, 2);
	assert_int_equal(ofproto_n_rules(w->p), 2);
	assert_int_equal(sum(w).packets, 4);
	/* It has its timeout. */
	world_run(w, 3000);
	assert_flows(w, "ip actions=output:3\n");
}

static void
count_lost(void *user)
{
	++*(unsigned *)user;
}

/* The end of a switch does not wait for a transaction: that is taken back, or finished. */
static void
test_txn_gives_way_to_the_end_of_a_switch(void **state)
{
	struct world *w = setup(state);
	struct ofproto *other = ofproto_create(w->model, "other", 77, NULL);
	unsigned n_lost = 0;
	struct of_txn *t;

	assert_non_null(other);
	world_flow(w, "ip,actions=1");
	t = of_txn_begin(w->model, count_lost, &n_lost);
	assert_true(step(t, w, "delete ip"));
	ofproto_destroy(other);
	assert_int_equal(n_lost, 1);
	assert_false(of_model_in_txn(w->model));
	assert_flows(w, "ip actions=output:1\n");
	other = ofproto_create(w->model, "other", 77, NULL);
	assert_non_null(other);
	t = of_txn_begin(w->model, count_lost, &n_lost);
	assert_true(step(t, w, "delete ip"));
	assert_true(step(t, w, "udp,actions=2"));
	of_txn_publish(t);
	assert_true(of_txn_finish(t, w->now_ms, 1));
	ofproto_destroy(other);
	assert_int_equal(n_lost, 2);
	assert_flows(w, "udp actions=output:2\n");
	assert_int_equal(ofproto_n_rules(w->p), 1);
}

static bool
count_one(const struct of_flow_view *flow, void *user)
{
	(void)flow;
	++*(unsigned *)user;
	return true;
}

static void
test_query_survives_changes(void **state)
{
	struct world *w = setup(state);
	struct of_flow_query q;
	struct of_flow_cursor *c, *other;
	unsigned n = 0, n_other = 0;
	char text[64];

	for (unsigned i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), "priority=%u,actions=1", i);
		world_flow(w, text);
	}
	of_flow_query_init(&q);
	c = ofproto_query_begin(w->p, &q);
	other = ofproto_query_begin(w->p, &q);
	assert_true(ofproto_query_step(c, 5, w->now_ms, count_one, &n));
	assert_int_equal(n, 5);
	assert_true(ofproto_query_step(other, 3, w->now_ms, count_one, &n_other));
	world_flow(w, "delete_strict table=0,priority=5");
	world_flow(w, "delete_strict table=0,priority=0");
	world_run(w, 10);
	world_flow(w, "priority=99,actions=1");
	while (ofproto_query_step(c, 5, w->now_ms, count_one, &n)) {
	}
	assert_int_equal(n, 20);
	ofproto_query_end(c);
	while (ofproto_query_step(other, 1, w->now_ms, count_one, &n_other)) {
	}
	assert_int_equal(n_other, 20);
	ofproto_query_end(other);
	q.match = (struct of_match){0};
	of_match_set_u64(&q.match, FIELD_ETH_TYPE, 0x0800);
	c = ofproto_query_begin(w->p, &q);
	n = 0;
	while (ofproto_query_step(c, 100, w->now_ms, count_one, &n)) {
	}
	assert_int_equal(n, 0);
	ofproto_query_end(c);
}

static void
test_table_stats(void **state)
{
	struct world *w = setup(state);
	struct of_table_stats s;

	world_flow(w, "ip,actions=1");
	credit(w, "in_port=2,ip", 5, 50);
	credit(w, "in_port=2,arp", 2, 20);
	ofproto_table_stats(w->p, 0, &s);
	assert_int_equal(s.n_active, 1);
	assert_int_equal(s.n_matched, 5);
	assert_int_equal(s.n_lookups, 7);
}

static char journal[2048];

static void
journal_flow(void *user, struct ofproto *p, uint64_t id, const struct of_flow_view *flow)
{
	size_t len = strlen(journal);

	(void)user;
	(void)p;
	snprintf(journal + len, sizeof(journal) - len, "%s%llu ", flow ? "+" : "-",
		(unsigned long long)id);
}

static bool
keep_view(const struct of_flow_view *flow, void *user)
{
	*(struct of_flow_view *)user = *flow;
	return true;
}

static void
test_journal_and_import(void **state)
{
	struct world *w = setup(state);
	struct of_journal_ops ops = {.flow = journal_flow};
	struct of_flow_query q;
	struct of_flow_cursor *c;
	struct of_flow_view view;
	struct ofproto *p2;
	char expected[128];
	uint64_t id;

	journal[0] = '\0';
	of_model_set_journal(w->model, &ops);
	id = w->model->next_rule_id;
	world_flow(w, "ip,idle_timeout=10,hard_timeout=20,cookie=0x7,actions=1");
	world_flow(w, "modify ip,actions=2");
	world_flow(w, "ip,idle_timeout=10,hard_timeout=20,cookie=0x7,actions=3");
	snprintf(expected, sizeof(expected), "+%llu +%llu -%llu +%llu ", (unsigned long long)id,
		(unsigned long long)id, (unsigned long long)id, (unsigned long long)id + 1);
	/* Within one message the order does not matter. */
	assert_int_equal(strlen(journal), strlen(expected));
	of_model_set_journal(w->model, NULL);
	credit(w, "in_port=8,ip", 4, 40);

	of_flow_query_init(&q);
	c = ofproto_query_begin(w->p, &q);
	ofproto_query_step(c, 10, w->now_ms, keep_view, &view);
	ofproto_query_end(c);
	assert_int_equal(view.packets, 4);
	p2 = ofproto_create(w->model, "s2", 2, NULL);
	/* Eight seconds of its life lay in an earlier run. */
	view.created_ms = w->now_ms - 8000;
	view.used_ms = w->now_ms - 4000;
	assert_true(ofproto_import_flow(p2, &view, w->now_ms, NULL));
	world_flow(w, "delete");
	world_run(w, 5999);
	assert_int_equal(ofproto_n_rules(p2), 1);
	world_run(w, 1);
	assert_int_equal(ofproto_n_rules(p2), 0);
	ofproto_destroy(p2);
}

static void
test_standalone_rule_and_mode(void **state)
{
	struct world *w = setup(state);
	struct of_settings s;

	ofproto_add_standalone_rule(w->p, w->now_ms);
	assert_flows(w, "priority=0 actions=NORMAL\n");
	world_flow(w, "delete");
	world_flow(w, "actions=2");
	ofproto_get_settings(w->p, &s);
	s.standalone_now = true;
	ofproto_set_settings(w->p, &s);
	assert_string_equal(world_translate(w, "in_port=1,dl_dst=00:00:00:00:00:01"),
		"output(12),output(13),output(14),output(15),output(16),output(17),output(18)");
	s.standalone_now = false;
	ofproto_set_settings(w->p, &s);
	assert_string_equal(world_translate(w, "in_port=1"), "output(12)");
}

static void
test_ports(void **state)
{
	struct world *w = setup(state);
	struct of_port_info info = {.number = OF_PORT(9), .name = "p1", .dp_port = {99}};
	struct ofproto *p;
	unsigned n = 0;

	assert_false(ofproto_port_set(w->p, &info, NULL));
	strcpy(info.name, "p9");
	info.dp_port.v = 11;
	assert_false(ofproto_port_set(w->p, &info, NULL));
	info.dp_port.v = 99;
	info.number = OF_PORT(OFPP_MAX);
	assert_false(ofproto_port_set(w->p, &info, NULL));
	info.number = OF_PORT(OFPP_LOCAL);
	assert_true(ofproto_port_set(w->p, &info, NULL));
	assert_int_equal(
		of_model_port_by_dp(w->model, (struct dp_port){99}, &p)->number.v, OFPP_LOCAL);
	assert_ptr_equal(p, w->p);
	ofproto_port_del(w->p, OF_PORT(3));
	assert_null(ofproto_port_find(w->p, OF_PORT(3)));
	assert_null(of_model_port_by_dp(w->model, (struct dp_port){13}, NULL));
	assert_int_equal(ofproto_port_free_number(w->p).v, 3);
	for (const struct of_port_info *i = ofproto_port_next(w->p, OF_PORT(0)); i;
		i = ofproto_port_next(w->p, i->number)) {
		n++;
	}
	assert_int_equal(n, ofproto_n_ports(w->p));
	assert_int_equal(n, WORLD_N_PORTS);
	world_flow(w, "actions=LOCAL,3");
	assert_string_equal(world_translate(w, "in_port=1"), "output(99)");
	assert_string_equal(world_translate(w, "in_port=3"), "drop(agent-refused)");
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, make_world, end_world)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_add_replaces_the_same_match),
		TEST(test_credit_after_replacement_goes_to_the_heir),
		TEST(test_add_checks_overlap_only_when_asked),
		TEST(test_add_is_refused_by_full_tables),
		TEST(test_add_leaves_counters_out),
		TEST(test_modify_is_loose_or_strict),
		TEST(test_delete_filters),
		TEST(test_refused),
		TEST(test_hard_timeout),
		TEST(test_idle_timeout_counts_from_the_last_packet),
		TEST(test_flow_removed_waits_for_the_last_flow),
		TEST(test_txn_is_seen_whole_or_not),
		TEST(test_txn_abort_undoes_all),
		TEST(test_txn_counts_what_will_be_there),
		TEST(test_txn_is_finished_in_slices),
		TEST(test_txn_gives_way_to_the_end_of_a_switch),
		TEST(test_query_survives_changes),
		TEST(test_table_stats),
		TEST(test_journal_and_import),
		TEST(test_standalone_rule_and_mode),
		TEST(test_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Persistence: rules, learned addresses and counters as records of the state.
 *
 * Names:    rules are named by their id, switches by their number in the run that wrote the record;
 *           both are new in each run. So what is read is collected by the old names, imported, and
 *           the whole state is written anew before the first change of this run is recorded.
 * Counters: those of rules that were used, and what was credited of fast-path flows, are written
 *           every PERSIST_CREDIT_MS, and at an orderly end when nothing is credited any more. What
 *           flows count while no agent lives is credited by the next one: to the packet after an
 *           orderly end, but for those of the last moments after a sudden one.
 * Times:    CLOCK_MONOTONIC, which goes on while the machine runs. Times that lie in the future
 *           are of another boot and begin now.
 */
#include <stdlib.h>
#include <string.h>

#include "controller-agent/persist_internal.h"
#include "lib/alloc.h"
#include "ofproto/fdb.h"

#define PERSIST_CREDIT_MS 5000
#define RULES_A_SLICE 128
#define FLOWS_A_SLICE 65536
#define JOURNAL_RULE_MAX (sizeof(struct rule_record) + 2 * FLOW_KEY_SIZE + OF_ACTIONS_MAX_SIZE)

static bool snapshot(void *user, struct state *state, bool first);
static void rule_changed(
	void *user, struct ofproto *p, uint64_t id, const struct of_flow_view *flow);

const struct state_ops persist_state_ops = {persist_replay, persist_switch_gone, snapshot};

struct persist *
persist_create(struct agent *a)
{
	struct persist *p = xcalloc(1, sizeof(*p));

	p->agent = a;
	hmap_init(&p->old_rules);
	list_init(&p->old_rules_order);
	hmap_init(&p->old_macs);
	list_init(&p->old_macs_order);
	list_init(&p->waiting_macs);
	hmap_init(&p->old_flows);
	persist_items_create(p);
	return p;
}

void
persist_destroy(struct persist *p)
{
	if (!p) {
		return;
	}
	if (p->follows) {
		of_model_set_journal(p->agent->model, NULL);
	}
	if (p->snapshot_cursor) {
		ofproto_query_end(p->snapshot_cursor);
	}
	if (p->credit_cursor) {
		ofproto_query_end(p->credit_cursor);
	}
	persist_free_old(p);
	persist_forget_flows(p);
	persist_drop_waiting(p, 0);
	hmap_uninit(&p->old_macs);
	hmap_uninit(&p->old_flows);
	persist_items_destroy(p);
	persist_free_old_tlvs(p, 0);
	hmap_uninit(&p->old_rules);
	free(p->written);
	free(p->ids);
	free(p);
}

static void
published(void *persist)
{
	agent_touch(((struct persist *)persist)->agent);
}

void
persist_begin(struct persist *p)
{
	struct of_journal_ops ops = {
		.published = published,
		.flow = rule_changed,
		.group = persist_group_changed,
		.meter = persist_meter_changed,
		.tlvs = persist_tlvs_changed,
		.user = p,
	};

	persist_free_old(p);
	persist_free_old_items(p, 0);
	persist_free_old_tlvs(p, 0);
	p->knows_flows = !state_is_new(p->agent->state);
	state_checkpoint(p->agent->state);
	p->follows = true;
	of_model_set_journal(p->agent->model, &ops);
}

/* --- writing ------------------------------------------------------------------------------------ */

/* A record in a buffer that is used again and again. */
static const void *
encode_rule(uint32_t switch_id, const struct of_flow_view *flow, size_t *len)
{
	static uint8_t buffer[JOURNAL_RULE_MAX];
	struct rule_record head = {
		.id = flow->id,
		.cookie = flow->cookie,
		.created_ms = flow->created_ms,
		.used_ms = flow->used_ms,
		.packets = flow->packets,
		.bytes = flow->bytes,
		.value_map = of_words_map(&flow->match.value),
		.mask_map = of_words_map(&flow->match.mask.bits),
		.switch_id = switch_id,
		.actions_size = (uint32_t)flow->actions_size,
		.priority = flow->priority,
		.idle_timeout = flow->idle_timeout,
		.hard_timeout = flow->hard_timeout,
		.flags = flow->flags,
		.importance = flow->importance,
		.table = flow->table,
	};
	size_t at = sizeof(head);
	uint64_t words[OF_N_WORDS];

	memcpy(buffer, &head, sizeof(head));
	of_words_get(&flow->match.value, head.value_map, words);
	memcpy(buffer + at, words, of_mini_n(head.value_map) * 8);
	at += of_mini_n(head.value_map) * 8;
	of_words_get(&flow->match.mask.bits, head.mask_map, words);
	memcpy(buffer + at, words, of_mini_n(head.mask_map) * 8);
	at += of_mini_n(head.mask_map) * 8;
	if (flow->actions_size) {
		memcpy(buffer + at, flow->actions, flow->actions_size);
	}
	*len = at + flow->actions_size;
	return buffer;
}

static void
rule_changed(void *user, struct ofproto *ofproto, uint64_t id, const struct of_flow_view *flow)
{
	struct persist *p = user;
	struct gone_record gone = {.id = id};
	const void *record;
	size_t len;

	if (flow) {
		record = encode_rule(ofproto_id(ofproto), flow, &len);
		state_append(p->agent->state, STATE_RULE, record, len);
	} else {
		state_append(p->agent->state, STATE_RULE_GONE, &gone, sizeof(gone));
	}
	agent_touch(p->agent);
}

void
persist_learned(struct persist *p, struct ofproto *ofproto, uint16_t vlan, const uint8_t mac[6],
	const struct fdb_place *place)
{
	struct mac_record record = {
		.switch_id = ofproto_id(ofproto), .port = place->port.v, .vlan = vlan};

	memcpy(record.mac, mac, 6);
	memcpy(record.remote, place->remote.v, sizeof(record.remote));
	if (p->follows) {
		state_append(p->agent->state, STATE_MAC, &record, sizeof(record));
		agent_touch(p->agent);
	}
}

/* --- snapshots and counters --------------------------------------------------------------------- */

struct snapshot_visit {
	struct persist *persist;
	struct state *state;
	uint32_t switch_id;
};

static bool
snapshot_rule(const struct of_flow_view *flow, void *user)
{
	struct snapshot_visit *v = user;
	size_t len;
	const void *record = encode_rule(v->switch_id, flow, &len);

	state_snapshot_put(v->state, STATE_RULE, record, len);
	return true;
}

static void
snapshot_mac(const struct fdb_entry_view *e, void *user)
{
	struct snapshot_visit *v = user;
	struct mac_record record = {
		.switch_id = v->switch_id, .port = e->place.port.v, .vlan = e->vlan};

	memcpy(record.mac, e->mac, 6);
	memcpy(record.remote, e->place.remote.v, sizeof(record.remote));
	if (!e->is_static) {
		state_snapshot_put(v->state, STATE_MAC, &record, sizeof(record));
	}
}

/* Some of the flows; true: that was all. Before flows are adopted, those that were read stand for
 * them. */
static bool
snapshot_flows(struct persist *p, struct state *state)
{
	uint32_t n = p->agent->handlers ? handlers_n_slots(p->agent->handlers) : 0;
	struct flow_record record;
	struct flow_stats sum;
	struct dp_handle flow;
	struct old_mac *m;
	struct old_flow *f;

	if (p->snapshot_slot == 0) {
		LIST_FOREACH (m, link, &p->waiting_macs) {
			state_snapshot_put(state, STATE_MAC, &m->record, sizeof(m->record));
		}
		HMAP_FOREACH (f, node, &p->old_flows) {
			state_snapshot_put(state, STATE_FLOW, &f->record, sizeof(f->record));
		}
	}
	for (unsigned i = 0; i < FLOWS_A_SLICE && p->snapshot_slot < n; i++, p->snapshot_slot++) {
		if (handlers_flow_credit(p->agent->handlers, p->snapshot_slot, &flow, &sum)) {
			record = (struct flow_record){sum.packets, sum.bytes, flow.slot, flow.gen};
			state_snapshot_put(state, STATE_FLOW, &record, sizeof(record));
		}
	}
	return p->snapshot_slot >= n;
}

/* Begins with the switch after the last one; false: there is none. */
static bool
next_switch(struct persist *p)
{
	struct of_flow_query all;

	if (p->snapshot_cursor) {
		ofproto_query_end(p->snapshot_cursor);
		p->snapshot_cursor = NULL;
	}
	p->snapshot_at = ofproto_next(p->agent->model, p->snapshot_at);
	if (!p->snapshot_at) {
		return false;
	}
	of_flow_query_init(&all);
	p->snapshot_cursor = ofproto_query_begin(p->snapshot_at, &all);
	return true;
}

static bool
snapshot(void *user, struct state *state, bool first)
{
	struct persist *p = user;
	struct snapshot_visit v = {.persist = p, .state = state};

	if (first) {
		p->snapshot_at = NULL;
		p->snapshots_flows = false;
		p->snapshot_slot = 0;
	}
	if (!p->snapshots_flows && (first || !p->snapshot_cursor)) {
		p->snapshots_flows = !next_switch(p);
	}
	if (p->snapshots_flows) {
		return snapshot_flows(p, state);
	}
	v.switch_id = ofproto_id(p->snapshot_at);
	if (ofproto_query_step(
		    p->snapshot_cursor, RULES_A_SLICE, agent_now_ms(), snapshot_rule, &v)) {
		return false;
	}
	fdb_visit(ofproto_fdb(p->snapshot_at), snapshot_mac, &v);
	persist_snapshot_items(p, state, p->snapshot_at);
	persist_snapshot_tlvs(state, p->snapshot_at);
	p->snapshots_flows = !next_switch(p);
	return false;
}

void
persist_forget_switch(struct persist *p, struct ofproto *ofproto)
{
	persist_drop_waiting(p, ofproto_id(ofproto));
	if (p->credit_cursor && p->credit_switch == ofproto_id(ofproto)) {
		ofproto_query_end(p->credit_cursor);
		p->credit_cursor = NULL;
	}
	if (p->snapshot_at == ofproto) {
		/* Its rules are left out; those of the switches after it are not. */
		struct ofproto *before = NULL, *at = NULL;

		while ((at = ofproto_next(p->agent->model, at)) != NULL && at != ofproto) {
			before = at;
		}
		ofproto_query_end(p->snapshot_cursor);
		p->snapshot_cursor = NULL;
		p->snapshot_at = before;
	}
}

static bool
credit_rule(const struct of_flow_view *flow, void *user)
{
	struct persist *p = user;
	struct credit_record record = {flow->id, flow->packets, flow->bytes, flow->used_ms};

	if (flow->packets && flow->used_ms + 1000 >= p->credit_since_ms) {
		state_append(p->agent->state, STATE_CREDIT, &record, sizeof(record));
	}
	return true;
}

/* The switch after the one of that id; ids grow. */
static struct ofproto *
switch_after(struct persist *p, uint32_t id)
{
	struct ofproto *at = NULL, *best = NULL;

	while ((at = ofproto_next(p->agent->model, at)) != NULL) {
		if (ofproto_id(at) > id && (!best || ofproto_id(at) < ofproto_id(best))) {
			best = at;
		}
	}
	return best;
}

/* Writes what was credited of flows since the last time; true: that was all. */
static bool
credit_flows(struct persist *p)
{
	uint32_t n = handlers_n_slots(p->agent->handlers);
	struct flow_record record;
	struct flow_stats sum;
	struct dp_handle flow;

	if (p->n_written != n) {
		free(p->written);
		p->written = xcalloc(n ? n : 1, sizeof(*p->written));
		p->n_written = n;
		p->credit_slot = 0;
	}
	for (unsigned i = 0; i < FLOWS_A_SLICE && p->credit_slot < n; i++, p->credit_slot++) {
		if (handlers_flow_credit(p->agent->handlers, p->credit_slot, &flow, &sum) &&
			sum.packets != p->written[flow.slot]) {
			record = (struct flow_record){sum.packets, sum.bytes, flow.slot, flow.gen};
			state_append(p->agent->state, STATE_FLOW, &record, sizeof(record));
			p->written[flow.slot] = sum.packets;
		}
	}
	return p->credit_slot >= n;
}

void
persist_tick(struct persist *p, uint64_t now_ms)
{
	struct of_flow_query all;
	struct ofproto *next;

	if (p->credits_flows) {
		p->credits_flows = !credit_flows(p);
		agent_touch(p->agent);
		return;
	}
	if (!p->credit_cursor && p->credit_switch == 0) {
		if (now_ms < p->credit_began_ms + PERSIST_CREDIT_MS) {
			return;
		}
		p->credit_since_ms = p->credit_began_ms;
		p->credit_began_ms = now_ms;
	}
	if (!p->credit_cursor) {
		next = switch_after(p, p->credit_switch);
		p->credit_switch = next ? ofproto_id(next) : 0;
		if (!next) {
			p->credit_slot = 0;
			p->credits_flows = true;
			return;
		}
		persist_credit_items(p, next);
		of_flow_query_init(&all);
		p->credit_cursor = ofproto_query_begin(next, &all);
	}
	if (!ofproto_query_step(p->credit_cursor, 4 * RULES_A_SLICE, now_ms, credit_rule, p)) {
		ofproto_query_end(p->credit_cursor);
		p->credit_cursor = NULL;
	}
	agent_touch(p->agent);
}

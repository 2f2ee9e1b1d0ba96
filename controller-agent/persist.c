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
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller-agent/agent_internal.h"
#include "lib/alloc.h"
#include "lib/hash.h"
#include "lib/hmap.h"
#include "lib/log.h"
#include "ofproto/fdb.h"

WEFT_LOG_MODULE(persist);

#define PERSIST_CREDIT_MS 5000
#define RULES_A_SLICE 128
#define FLOWS_A_SLICE 65536
#define JOURNAL_RULE_MAX (sizeof(struct rule_record) + 2 * FLOW_KEY_SIZE + OF_ACTIONS_MAX_SIZE)

struct rule_record {
	uint64_t id;
	uint64_t cookie;
	uint64_t created_ms;
	uint64_t used_ms;
	uint64_t packets;
	uint64_t bytes;
	uint64_t value_map; /* words of the match that follow, then those of the mask */
	uint64_t mask_map;
	uint32_t switch_id;
	uint32_t actions_size; /* behind the words */
	uint16_t priority;
	uint16_t idle_timeout;
	uint16_t hard_timeout;
	uint16_t flags;
	uint16_t importance;
	uint8_t table;
	uint8_t zero[5];
};

struct gone_record {
	uint64_t id;
};

struct mac_record {
	uint32_t switch_id;
	uint32_t port; /* OFPP_ANY: forgotten */
	uint16_t vlan;
	uint8_t mac[6];
};

struct credit_record {
	uint64_t id;
	uint64_t packets;
	uint64_t bytes;
	uint64_t used_ms;
};

struct flow_record {
	uint64_t packets;
	uint64_t bytes;
	uint32_t slot;
	uint32_t gen;
};

/* What was read, by its old name. */
struct old_rule {
	struct hmap_node node;
	struct list link; /* in the order of reading */
	uint8_t *data;    /* struct rule_record and what follows, 8-aligned */
	size_t len;
};

struct old_mac {
	struct hmap_node node;
	struct list link; /* in the order in which they were learned */
	struct mac_record record;
};

struct old_flow {
	struct hmap_node node;
	struct flow_record record;
};

struct new_id {
	uint32_t old_id;
	uint32_t id;
};

struct persist {
	struct agent *agent;
	bool follows; /* changes are recorded */
	struct hmap old_rules;
	struct list old_rules_order;
	struct hmap old_macs;
	struct list old_macs_order;
	struct list waiting_macs; /* under their new switch's number, until their port comes */
	struct hmap old_flows;    /* by slot; handlers read while they adopt */
	bool knows_flows;         /* an earlier agent wrote them */
	uint64_t *written;        /* packets of each slot, as last written */
	uint32_t n_written;
	struct new_id *ids;
	size_t n_ids;
	/* The walk of a snapshot, or of counters: a switch at a time. */
	struct ofproto *snapshot_at;
	struct of_flow_cursor *snapshot_cursor;
	uint32_t snapshot_slot; /* the flows come behind the last switch */
	uint32_t credit_slot;
	bool snapshots_flows;
	bool credits_flows;
	uint32_t credit_switch; /* the switch that is being walked; 0: none */
	struct of_flow_cursor *credit_cursor;
	uint64_t credit_since_ms;
	uint64_t credit_began_ms;
};

static bool replay(
	void *user, enum state_kind kind, const void *data, size_t len, struct weft_error *err);
static void switch_gone(void *user, uint32_t id);
static bool snapshot(void *user, struct state *state, bool first);
static void rule_changed(
	void *user, struct ofproto *p, uint64_t id, const struct of_flow_view *flow);
static void free_old(struct persist *p);
static void drop_waiting(struct persist *p, uint32_t switch_id);

const struct state_ops persist_state_ops = {replay, switch_gone, snapshot};

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
	free_old(p);
	persist_forget_flows(p);
	drop_waiting(p, 0);
	hmap_uninit(&p->old_macs);
	hmap_uninit(&p->old_flows);
	hmap_uninit(&p->old_rules);
	free(p->written);
	free(p->ids);
	free(p);
}

/* --- reading ------------------------------------------------------------------------------------ */

static struct old_rule *
find_old(const struct persist *p, uint64_t id)
{
	struct old_rule *r;

	HMAP_FOREACH_WITH_HASH (r, node, hash_u64(id, 0), &p->old_rules) {
		if (((const struct rule_record *)r->data)->id == id) {
			return r;
		}
	}
	return NULL;
}

static void
free_old_rule(struct persist *p, struct old_rule *r)
{
	if (r) {
		hmap_remove(&p->old_rules, &r->node);
		list_remove(&r->link);
		free(r->data);
		free(r);
	}
}

static uint32_t
hash_mac(const struct mac_record *m)
{
	return hash_bytes(m->mac, 6, m->switch_id * 4096u + m->vlan);
}

static struct old_mac *
find_old_mac(const struct persist *p, const struct mac_record *m)
{
	struct old_mac *old;

	HMAP_FOREACH_WITH_HASH (old, node, hash_mac(m), &p->old_macs) {
		if (old->record.switch_id == m->switch_id && old->record.vlan == m->vlan &&
			memcmp(old->record.mac, m->mac, 6) == 0) {
			return old;
		}
	}
	return NULL;
}

static void
free_old_mac(struct persist *p, struct old_mac *m)
{
	if (m) {
		hmap_remove(&p->old_macs, &m->node);
		list_remove(&m->link);
		free(m);
	}
}

static void
free_old(struct persist *p)
{
	while (!list_is_empty(&p->old_rules_order)) {
		free_old_rule(p, LIST_ENTRY(p->old_rules_order.next, struct old_rule, link));
	}
	while (!list_is_empty(&p->old_macs_order)) {
		free_old_mac(p, LIST_ENTRY(p->old_macs_order.next, struct old_mac, link));
	}
}

static bool
bad(struct weft_error *err)
{
	return weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "the record is malformed");
}

static bool
replay_rule(struct persist *p, const void *data, size_t len, struct weft_error *err)
{
	struct rule_record head;
	struct old_rule *r;

	if (len < sizeof(head)) {
		return bad(err);
	}
	memcpy(&head, data, sizeof(head));
	if (len != sizeof(head) +
			   8 * (size_t)(of_mini_n(head.value_map) + of_mini_n(head.mask_map)) +
			   head.actions_size) {
		return bad(err);
	}
	r = find_old(p, head.id);
	if (r) {
		free(r->data);
	} else {
		r = xcalloc(1, sizeof(*r));
		hmap_insert(&p->old_rules, &r->node, hash_u64(head.id, 0));
		list_push_back(&p->old_rules_order, &r->link);
	}
	r->data = xmemdup(data, len);
	r->len = len;
	return true;
}

static bool
replay_credit(struct persist *p, const void *data, size_t len, struct weft_error *err)
{
	struct credit_record credit;
	struct old_rule *r;

	if (len != sizeof(credit)) {
		return bad(err);
	}
	memcpy(&credit, data, sizeof(credit));
	r = find_old(p, credit.id);
	if (r) {
		struct rule_record *head = (struct rule_record *)r->data;

		head->packets = credit.packets;
		head->bytes = credit.bytes;
		head->used_ms = credit.used_ms;
	}
	return true;
}

/* The last word about an address counts. */
static bool
replay_mac(struct persist *p, const void *data, size_t len, struct weft_error *err)
{
	struct mac_record record;
	struct old_mac *m;

	if (len != sizeof(record)) {
		return bad(err);
	}
	memcpy(&record, data, len);
	free_old_mac(p, find_old_mac(p, &record));
	if (record.port != OFPP_ANY) {
		m = xcalloc(1, sizeof(*m));
		m->record = record;
		hmap_insert(&p->old_macs, &m->node, hash_mac(&record));
		list_push_back(&p->old_macs_order, &m->link);
	}
	return true;
}

static bool
replay_flow(struct persist *p, const void *data, size_t len, struct weft_error *err)
{
	struct flow_record record;
	struct old_flow *f;

	if (len != sizeof(record)) {
		return bad(err);
	}
	memcpy(&record, data, sizeof(record));
	HMAP_FOREACH_WITH_HASH (f, node, hash_u64(record.slot, 0), &p->old_flows) {
		if (f->record.slot == record.slot) {
			f->record = record;
			return true;
		}
	}
	f = xcalloc(1, sizeof(*f));
	f->record = record;
	hmap_insert(&p->old_flows, &f->node, hash_u64(record.slot, 0));
	return true;
}

static bool
replay(void *user, enum state_kind kind, const void *data, size_t len, struct weft_error *err)
{
	struct persist *p = user;
	struct gone_record gone;

	switch (kind) {
	case STATE_RULE:
		return replay_rule(p, data, len, err);
	case STATE_RULE_GONE:
		if (len != sizeof(gone)) {
			return bad(err);
		}
		memcpy(&gone, data, sizeof(gone));
		free_old_rule(p, find_old(p, gone.id));
		return true;
	case STATE_MAC:
		return replay_mac(p, data, len, err);
	case STATE_CREDIT:
		return replay_credit(p, data, len, err);
	case STATE_FLOW:
		return replay_flow(p, data, len, err);
	default:
		return bad(err);
	}
}

static void
switch_gone(void *user, uint32_t id)
{
	struct persist *p = user;
	struct old_rule *r, *next;
	struct old_mac *m, *next_mac;

	LIST_FOREACH_SAFE (r, next, link, &p->old_rules_order) {
		if (((const struct rule_record *)r->data)->switch_id == id) {
			free_old_rule(p, r);
		}
	}
	LIST_FOREACH_SAFE (m, next_mac, link, &p->old_macs_order) {
		if (m->record.switch_id == id) {
			free_old_mac(p, m);
		}
	}
}

/* --- restoring ---------------------------------------------------------------------------------- */

static bool
import_rule(
	struct ofproto *ofproto, const struct old_rule *r, uint64_t now_ms, struct weft_error *err)
{
	const struct rule_record *head = (const struct rule_record *)r->data;
	const uint64_t *words = (const uint64_t *)(r->data + sizeof(*head));
	unsigned n = of_mini_n(head->value_map);
	struct of_flow_view flow = {
		.table = head->table,
		.priority = head->priority,
		.idle_timeout = head->idle_timeout,
		.hard_timeout = head->hard_timeout,
		.flags = head->flags,
		.importance = head->importance,
		.cookie = head->cookie,
		.created_ms = WEFT_MIN(head->created_ms, now_ms),
		.used_ms = WEFT_MIN(head->used_ms, now_ms),
		.packets = head->packets,
		.bytes = head->bytes,
		.now_ms = now_ms,
		.actions_size = head->actions_size,
	};

	of_words_put(&flow.match.value, head->value_map, words);
	of_words_put(&flow.match.mask.bits, head->mask_map, words + n);
	flow.actions = head->actions_size ? words + n + of_mini_n(head->mask_map) : NULL;
	return ofproto_import_flow(ofproto, &flow, now_ms, err);
}

bool
persist_restore_switch(struct persist *p, struct ofproto *ofproto)
{
	const struct state_switch *known =
		state_switch_find(p->agent->state, ofproto_name(ofproto));
	uint64_t now_ms = agent_now_ms();
	unsigned n_rules = 0;
	struct old_rule *r;
	struct old_mac *m, *next;

	if (!known || p->follows) {
		return known != NULL && !p->follows;
	}
	p->ids = xrealloc(p->ids, (p->n_ids + 1) * sizeof(*p->ids));
	p->ids[p->n_ids++] = (struct new_id){known->id, ofproto_id(ofproto)};
	LIST_FOREACH (r, link, &p->old_rules_order) {
		struct weft_error err = WEFT_ERROR_INIT;

		if (((const struct rule_record *)r->data)->switch_id != known->id) {
			continue;
		}
		if (import_rule(ofproto, r, now_ms, &err)) {
			n_rules++;
		} else {
			LOG_WARN_RL(
				"switch %s: a stored rule is left out: %s", known->name, err.text);
		}
	}
	LIST_FOREACH_SAFE (m, next, link, &p->old_macs_order) {
		if (m->record.switch_id == known->id) {
			hmap_remove(&p->old_macs, &m->node);
			list_remove(&m->link);
			m->record.switch_id = ofproto_id(ofproto);
			list_push_back(&p->waiting_macs, &m->link);
		}
	}
	LOG_INFO("switch %s: %u rules restored", known->name, n_rules);
	return true;
}

void
persist_restore_port(struct persist *p, struct ofproto *ofproto, struct of_port port)
{
	struct old_mac *m, *next;

	LIST_FOREACH_SAFE (m, next, link, &p->waiting_macs) {
		if (m->record.switch_id == ofproto_id(ofproto) && m->record.port == port.v) {
			ofproto_fdb_learn(
				ofproto, m->record.vlan, m->record.mac, port, agent_now_ms());
			list_remove(&m->link);
			free(m);
		}
	}
}

/* Of that switch; 0: of all. */
static void
drop_waiting(struct persist *p, uint32_t switch_id)
{
	struct old_mac *m, *next;

	LIST_FOREACH_SAFE (m, next, link, &p->waiting_macs) {
		if (switch_id == 0 || m->record.switch_id == switch_id) {
			list_remove(&m->link);
			free(m);
		}
	}
}

bool
persist_credited(const struct persist *p, struct dp_handle flow, struct flow_stats *sum)
{
	struct old_flow *f;

	memset(sum, 0, sizeof(*sum));
	HMAP_FOREACH_WITH_HASH (f, node, hash_u64(flow.slot, 0), &p->old_flows) {
		if (f->record.slot == flow.slot && f->record.gen == flow.gen) {
			sum->packets = f->record.packets;
			sum->bytes = f->record.bytes;
		}
	}
	return p->knows_flows;
}

void
persist_forget_flows(struct persist *p)
{
	struct old_flow *f, *next;

	HMAP_FOREACH_SAFE (f, next, node, &p->old_flows) {
		hmap_remove(&p->old_flows, &f->node);
		free(f);
	}
}

uint32_t
persist_new_id(const struct persist *p, uint32_t old_id)
{
	for (size_t i = 0; i < p->n_ids; i++) {
		if (p->ids[i].old_id == old_id) {
			return p->ids[i].id;
		}
	}
	return 0;
}

void
persist_begin(struct persist *p)
{
	struct of_journal_ops ops = {rule_changed, p};

	free_old(p);
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
	struct of_port port)
{
	struct mac_record record = {.switch_id = ofproto_id(ofproto), .port = port.v, .vlan = vlan};

	memcpy(record.mac, mac, 6);
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
	struct mac_record record = {.switch_id = v->switch_id, .port = e->port.v, .vlan = e->vlan};

	memcpy(record.mac, e->mac, 6);
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
	p->snapshots_flows = !next_switch(p);
	return false;
}

void
persist_forget_switch(struct persist *p, struct ofproto *ofproto)
{
	drop_waiting(p, ofproto_id(ofproto));
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
		of_flow_query_init(&all);
		p->credit_cursor = ofproto_query_begin(next, &all);
	}
	if (!ofproto_query_step(p->credit_cursor, 4 * RULES_A_SLICE, now_ms, credit_rule, p)) {
		ofproto_query_end(p->credit_cursor);
		p->credit_cursor = NULL;
	}
	agent_touch(p->agent);
}

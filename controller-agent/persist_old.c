/* SPDX-License-Identifier: Apache-2.0
 *
 * Persistence: what an earlier run wrote, collected by its old names and restored under the new ones.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller-agent/persist_internal.h"
#include "lib/alloc.h"
#include "lib/hash.h"
#include "lib/log.h"
#include "ofproto/fdb.h"

WEFT_LOG_MODULE(persist);

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

void
persist_free_old(struct persist *p)
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

bool
persist_replay(
	void *user, enum state_kind kind, const void *data, size_t len, struct weft_error *err)
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
	case STATE_GROUP:
	case STATE_GROUP_GONE:
	case STATE_METER:
	case STATE_METER_GONE:
		return persist_replay_item(p, kind, data, len) || bad(err);
	case STATE_TLVS:
		return persist_replay_tlvs(p, data, len) || bad(err);
	default:
		return bad(err);
	}
}

void
persist_switch_gone(void *user, uint32_t id)
{
	struct persist *p = user;
	struct old_rule *r, *next;
	struct old_mac *m, *next_mac;

	persist_free_old_items(p, id);
	persist_free_old_tlvs(p, id);
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
	uint64_t created_ms = WEFT_MIN(head->created_ms, now_ms);
	uint64_t used_ms = WEFT_MIN(head->used_ms, now_ms);
	struct of_flow_view flow = {
		.table = head->table,
		.priority = head->priority,
		.idle_timeout = head->idle_timeout,
		.hard_timeout = head->hard_timeout,
		.flags = head->flags,
		.importance = head->importance,
		.cookie = head->cookie,
		.created_ms = created_ms,
		.used_ms = used_ms,
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
	persist_restore_tlvs(p, ofproto, known->id);
	persist_restore_items(p, ofproto, known->id);
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
	struct fdb_place place = {.port = port};
	struct old_mac *m, *next;

	LIST_FOREACH_SAFE (m, next, link, &p->waiting_macs) {
		if (m->record.switch_id == ofproto_id(ofproto) && m->record.port == port.v) {
			memcpy(place.remote.v, m->record.remote, sizeof(place.remote.v));
			ofproto_fdb_learn_at(
				ofproto, m->record.vlan, m->record.mac, &place, agent_now_ms());
			list_remove(&m->link);
			free(m);
		}
	}
}

void
persist_drop_waiting(struct persist *p, uint32_t switch_id)
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

/* SPDX-License-Identifier: Apache-2.0
 *
 * Persistence: the records, and what the two files of it share: persist.c writes them, persist_old.c reads
 * and restores what an earlier run wrote.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "controller-agent/agent_internal.h"
#include "lib/hmap.h"
#include "lib/list.h"

struct of_flow_cursor;

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
	uint8_t remote[16]; /* struct of_underlay_addr; zero: none */
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

/* Which options of Geneve a switch's fields stand for, and their places: rules name options by these. */
struct tlv_record {
	uint32_t switch_id;
	uint32_t zero;
	struct of_tlv fields[OF_TLV_FIELDS];
};

struct persist {
	struct agent *agent;
	struct tlv_record *old_tlvs; /* of an earlier run, a switch each */
	size_t n_old_tlvs;
	bool follows; /* changes are recorded */
	struct hmap old_rules;
	struct list old_rules_order;
	struct hmap old_macs;
	struct list old_macs_order;
	struct list waiting_macs; /* under their new switch's number, until their port comes */
	struct hmap old_items;    /* groups and meters */
	struct list old_items_order;
	struct hmap written_groups; /* with their counters */
	struct hmap old_flows;      /* by slot; handlers read while they adopt */
	bool knows_flows;           /* an earlier agent wrote them */
	uint64_t *written;          /* packets of each slot, as last written */
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

/* persist_old.c */
bool persist_replay(
	void *user, enum state_kind kind, const void *data, size_t len, struct weft_error *err);
void persist_switch_gone(void *user, uint32_t id);
/* persist_object.c: groups and meters. */
void persist_items_create(struct persist *p);
void persist_items_destroy(struct persist *p);
/* False: the record is malformed. */
bool persist_replay_item(struct persist *p, enum state_kind kind, const void *data, size_t len);
/* Forgets what was read of that switch; 0: of all. */
void persist_free_old_items(struct persist *p, uint32_t switch_id);
void persist_restore_items(struct persist *p, struct ofproto *ofproto, uint32_t old_switch_id);
/* struct of_journal_ops */
void persist_group_changed(
	void *user, struct ofproto *ofproto, uint32_t id, const struct of_group_view *view);
void persist_meter_changed(
	void *user, struct ofproto *ofproto, uint32_t id, const struct of_meter_view *view);
void persist_snapshot_items(struct persist *p, struct state *state, struct ofproto *ofproto);
/* Writes groups whose counters have changed. */
void persist_credit_items(struct persist *p, struct ofproto *ofproto);

/* persist_tlv.c: tables of options, restored before the groups and rules that name them. */
/* False: the record is malformed. */
bool persist_replay_tlvs(struct persist *p, const void *data, size_t len);
void persist_free_old_tlvs(struct persist *p, uint32_t switch_id);
void persist_restore_tlvs(struct persist *p, struct ofproto *ofproto, uint32_t old_switch_id);
/* struct of_journal_ops */
void persist_tlvs_changed(void *user, struct ofproto *ofproto);
void persist_snapshot_tlvs(struct state *state, struct ofproto *ofproto);

/* persist_old.c */
/* Forgets the rules and addresses that were read. */
void persist_free_old(struct persist *p);
/* Forgets addresses that wait for a port of that switch; 0: of all. */
void persist_drop_waiting(struct persist *p, uint32_t switch_id);

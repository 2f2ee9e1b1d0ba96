/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenFlow switches: bodies of what ofproto.h keeps opaque, for ofproto/ and its tests.
 */
#pragma once

#include <stdatomic.h>

#include "lib/hmap.h"
#include "lib/list.h"
#include "ofproto/change_log.h"
#include "ofproto/classifier.h"
#include "ofproto/grace.h"
#include "ofproto/group_internal.h"
#include "ofproto/ofproto.h"
#include "ofproto/tunnel_internal.h"
#include "ofproto/underlay_provider.h"

#define OF_DP_PAGE 256u
#define OF_DP_PAGES ((DP_PORT_MAX + 1) / OF_DP_PAGE)

struct context_table;
struct learner;
struct mdb;
struct mirror_set;
struct of_counter;

/* What a rule does from one version on. Newest first; the older ones stand for readers of older
 * versions and are retired when a newer one is published. */
struct rule_actions {
	struct grace_item retired;
	struct rule_actions *older; /* not followed by readers of @from or later */
	uint64_t from;
	uint64_t cookie;
	bool older_retired; /* the loop's: @older is not its to follow any more */
	uint32_t size;
	uint8_t data[] __attribute__((aligned(8)));
};

struct rule {
	struct cls_rule cls;
	_Atomic(struct rule_actions *) actions;
	_Atomic uint32_t refs; /* one of the table's, one of each flow that credits it */
	uint8_t table;
	bool is_miss;             /* stands for "no rule" of its table; in no classifier */
	uint16_t flags;           /* enum of_flow_flags */
	struct ofproto *ofproto;  /* referenced */
	_Atomic uint64_t packets; /* handlers add */
	_Atomic uint64_t bytes;
	_Atomic uint64_t used_ms;
	_Atomic uint64_t renewed_ms; /* by who learned it: its hard timeout begins then; 0: never */
	_Atomic(struct rule *) heir; /* replaced: credits go there; referenced */
	/* The loop's. */
	struct list by_table;
	struct list by_objects; /* in the switch's object_rules; else by itself */
	union {
		struct grace_item retired;
		struct list dying;
	};
	uint64_t id;
	uint64_t created_ms;
	uint32_t heap_index; /* UINT32_MAX: no timeout */
	uint16_t idle_timeout;
	uint16_t hard_timeout;
	uint16_t importance;
	uint8_t removed_reason; /* enum of_removed_reason */
	uint32_t n_learners;    /* of_learned.c: what it learns that goes with it */
	struct learner **learners;
	uint64_t words[];
};

struct oftable {
	struct classifier cls;
	struct list rules; /* as added; with markers of queries, which have no rule */
	size_t n_active;
	size_t n_next; /* rules that will be there when the open transaction is published; its own */
	uint64_t n_changes; /* rules that came, went or were changed */
	struct {            /* rules of a cookie, when @n_changes was @at */
		uint64_t cookie;
		uint64_t at;
		size_t n;
	} counted;
	struct rule *miss;
	_Atomic uint64_t n_matched; /* handlers add */
	_Atomic uint64_t n_missed;
};

/* Immutable once published. */
struct ofport {
	struct grace_item retired;
	struct ofproto *ofproto;
	struct of_port_info info;
	struct of_counter
		*rx; /* of a patch or tunnel port: the same for all its snapshots; else NULL */
	struct of_counter *tx;
	struct tunnel_link tunnel; /* of a tunnel port: tunnel.c's */
};

/* Ports of a switch, sorted by number; replaced as a whole. */
struct ofport_set {
	struct grace_item retired;
	size_t n;
	const struct ofport *ports[];
};

struct ofproto {
	struct grace_item retired;
	struct of_model *model;
	struct list by_model;
	char *name;
	uint64_t dpid;
	uint32_t id;
	_Atomic uint32_t refs;       /* the model's, and one of each rule */
	struct of_settings settings; /* the loop's */
	_Atomic bool standalone_now; /* what handlers need of them */
	_Atomic bool invalid_ttl_to_agent;
	_Atomic bool drop_fragments;
	_Atomic(struct ofport_set *) ports;
	_Atomic(struct mirror_set *) mirrors; /* NULL: none */
	_Atomic bool multicast_snooping;
	_Atomic bool multicast_flood;
	struct fdb *fdb;
	struct mdb *mdb;
	struct versioned_table groups;
	struct versioned_table meters;
	struct of_tlv_map tlvs;
	/* The loop's. */
	struct list object_rules; /* rules that lead, or led, to groups or meters */
	uint32_t group_mark;      /* of the last search for loops */
	size_t n_rules;
	struct oftable tables[OF_N_TABLES];
};

/* Switches by id; replaced as a whole. */
struct ofproto_set {
	struct grace_item retired;
	uint32_t n;
	struct ofproto *by_id[];
};

struct dp_page {
	_Atomic(const struct ofport *) ports[OF_DP_PAGE];
};

struct of_reader {
	struct of_model *model;
	struct grace_reader *grace;
	_Atomic uint64_t stats_ms;
	_Atomic uint64_t changes_read; /* batches before it; UINT64_MAX: it needs none */
};

struct of_model {
	_Alignas(64) _Atomic uint64_t version;
	struct grace grace;
	_Atomic(struct ofproto_set *) by_id;
	_Atomic(struct dp_page *) dp_ports[OF_DP_PAGES];
	struct context_table *contexts;
	struct of_underlay_provider underlay;
	struct tunnel_map *tunnels;
	_Atomic uint64_t
		tlv_slots; /* bits of tun_opts_present that stand for an option of some switch */
	_Atomic uint64_t tlv_critical; /* those of them that must be understood */
	_Atomic(struct of_reader *) readers[GRACE_MAX_READERS];
	struct change_log changes;
	/* The loop's. */
	struct of_model_events events;
	struct of_journal_ops journal;
	struct list switches;
	struct of_txn *txn;
	struct change_batch
		*noted;        /* for the version that is published next; not a transaction's */
	struct hmap learners;  /* of_learned.c */
	struct list unlearned; /* learners whose last rule has gone */
	struct list to_learn;  /* while a transaction is open */
	uint32_t n_to_learn;
	struct list dying;  /* removed rules whose flow-removed waits for their last flow */
	struct rule **heap; /* rules with timeouts, by when they may be due */
	uint64_t *heap_due;
	uint32_t n_heap;
	uint32_t cap_heap;
	uint32_t next_ofproto_id;
	uint64_t next_rule_id;
	uint64_t now_ms; /* of the last run */
};

/* --- model.c --- */

/* Appends the changes of the version that is published next; consumes them. */
void model_append_changes(struct of_model *m, struct change_batch *noted, uint64_t version);
/* Handler: the batches of changes before @seq are not needed any more; UINT64_MAX: nor those that come. */
static inline void
of_reader_set_changes_read(struct of_reader *r, uint64_t seq)
{
	atomic_store_explicit(&r->changes_read, seq, memory_order_seq_cst);
}
/* Notes what has been changed, for whoever keeps results that depend on it (change_log.h). */
void model_changed(struct of_model *m, uint64_t dep);
void model_changed_all(struct of_model *m);
/* Moves the version on: what was changed before is in force. Without notes: everything may have changed. */
void model_publish(struct of_model *m);
/* The same, if anything was noted. */
void model_publish_noted(struct of_model *m);
void ofproto_ref(struct ofproto *p);
void ofproto_unref(struct ofproto *p);

/* --- ofport.c --- */

const struct ofport *ofport_find(const struct ofproto *p, struct of_port number);
const struct ofport *ofport_by_dp(const struct of_model *m, struct dp_port port);
/* The other end of a patch port, if each leads to the other; NULL: none. */
const struct ofport *ofport_peer(const struct ofport *port);
void ofport_del_all(struct ofproto *p);

/* --- rule.c --- */

struct rule *rule_create(
	struct ofproto *p, uint8_t table, const struct of_match *match, uint16_t priority);
struct rule *rule_create_miss(struct ofproto *p, uint8_t table);
/* The actions that are in force in @version. */
const struct rule_actions *rule_actions_at(const struct rule *r, uint64_t version);
struct rule_actions *rule_actions_create(
	uint64_t from, uint64_t cookie, const void *data, size_t size);
void rule_push_actions(struct rule *r, struct rule_actions *a);
/* The newest actions are published: the older ones go after a grace period. */
void rule_settle_actions(struct rule *r);
/* Takes back what rule_push_actions() did, before it was published. */
void rule_pop_actions(struct rule *r);
/* What was and will be credited to @r is @heir's. */
void rule_bequeath(struct rule *r, struct rule *heir);
/* After it was published as removed: out of the classifier, then out of memory. */
void rule_retire(struct rule *r);
void rule_view(const struct rule *r, uint64_t version, uint64_t now_ms, struct of_flow_view *view);
/* Emits flow-removed of rules that nothing credits any more; whether any wait. */
bool rule_run_dying(struct of_model *m, uint64_t now_ms, unsigned budget);

static inline struct rule *
rule_of(const struct cls_rule *r)
{
	return r ? WEFT_CONTAINER_OF(r, struct rule, cls) : NULL;
}

/* --- expiry.c --- */

void expiry_add(struct of_model *m, struct rule *r);
void expiry_del(struct of_model *m, struct rule *r);
/* Removes rules that are due, under one version; whether there are more. */
bool expiry_run(struct of_model *m, uint64_t now_ms, unsigned budget);

/* --- tlv_table.c --- */

/* A switch's map has changed, or is gone with it. */
void tlvs_changed(struct of_model *m);

/* --- flow_mod.c --- */

/* A transaction for what is done without a pause (@ahead 1). */
struct of_txn *txn_begin(struct of_model *m, uint64_t ahead);
/* A step of an open transaction: removes a rule that is visible in its version. */
void txn_remove(struct of_txn *t, struct rule *r, enum of_removed_reason reason);
/* The version that its steps prepare. */
uint64_t txn_version(const struct of_txn *t);
/* Steps: a group or meter comes (@destroy frees it in the end) or goes; the rules that lead to one, or
 * with @all to any, go. */
void txn_add_item(struct of_txn *t, struct ofproto *p, enum of_item_kind kind,
	struct versioned *item, void (*destroy)(struct versioned *item));
void txn_remove_item(
	struct of_txn *t, struct ofproto *p, enum of_item_kind kind, struct versioned *item);
/* All groups and meters go. */
void txn_remove_items(struct of_txn *t, struct ofproto *p);
void txn_remove_users(
	struct of_txn *t, struct ofproto *p, enum of_item_kind kind, uint32_t id, bool all);

/* --- of_context.c --- */

struct context_table *context_table_create(void);
void context_table_destroy(struct context_table *t);
/* Forgets contexts that have had no reference for a while, up to @budget. */
bool context_table_run(struct of_model *m, uint64_t now_ms, unsigned budget);

/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow registry: its flows, shared by flow_registry.c (what happens to them) and flow_registry_flow.c (what
 * they are).
 */
#pragma once

#include "lib/hmap.h"
#include "lib/list.h"
#include "ofproto/flow_deps.h"
#include "ofproto/flow_object.h"
#include "ofproto/flow_registry.h"
#include "ofproto/translate.h"

#define N_DENIED 4096u /* a power of two */
#define MAX_WAITING 4096u
#define MAX_PACKET_OUTS 256u
#define AWAITED_POLL_MS 10 /* how often is tried again what no answer will bring */

enum flow_state {
	FLOW_PUTTING,  /* the first put is unanswered; no handle yet */
	FLOW_CHANGING, /* a change is unanswered */
	FLOW_INSTALLED,
	FLOW_ADOPTED, /* of an earlier agent; not released yet */
	FLOW_DELETING,
};

struct flow {
	struct hmap_node by_key;
	struct hmap_node by_request;
	struct list by_stale; /* in @stale, @busy, @awaiting or @adopted; by itself if it agrees */
	struct list by_stats;
	struct list by_port; /* in its port's clock */
	struct flow_port *port;
	uint64_t clock_packets; /* when the hand passed last */
	bool is_evicted;
	enum flow_state state;
	bool has_rules; /* it was translated by us: statistics have an owner */
	struct dp_handle handle;
	uint64_t request; /* the unanswered one */
	bool is_stale;    /* what it depends on has changed: it is to be translated again */
	uint64_t agrees;  /* of a stale one: the last version that it agrees with for certain */
	uint64_t used_ms;
	uint64_t pulled_ms;
	struct flow_stats credited;
	struct flow_key *full_key; /* until the first put is answered */
	uint64_t map;              /* words of the mask */
	uint64_t *words;           /* the mask's, then the masked key's */
	uint8_t *actions;
	size_t actions_size;
	struct rule **rules; /* referenced */
	uint32_t n_rules;
	uint32_t *contexts; /* referenced */
	uint32_t n_contexts;
	struct translate_learned *learned;
	uint32_t n_learned;
	struct of_learned **learns; /* referenced */
	uint32_t n_learns;
	struct translate_fin *fins;
	uint32_t n_fins;
	struct of_counter **counters; /* referenced */
	uint32_t n_counters;
	struct flow_object **objects; /* referenced */
	uint32_t n_objects;
	struct flow_dep_set deps;
};

/* A miss whose translation needs an object that is not there yet. */
struct waiting {
	struct list link;
	struct dp_upcall up;
	struct flow_key key;
	uint8_t key_blocks;
};

/* A context that the datapath has been given over this registry's ring. */
struct sent_context {
	struct hmap_node node;
	uint32_t id;
};

struct flow_registry {
	struct of_reader *reader;
	struct of_model *model;
	struct flow_registry_ops ops;
	struct hmap by_key;
	struct hmap by_request;
	struct hmap sent_contexts;
	struct hmap ports; /* flow_registry_evict.c */
	struct flow_deps deps;
	uint64_t next_seq; /* the batch of changes that is read next */
	uint64_t seen;     /* flows that are not stale agree with this version */
	struct list stale;
	struct list busy; /* stale flows with an unanswered command */
	struct list adopted;
	struct list awaiting; /* stale flows whose translation needs an object */
	struct list waiting;  /* misses of that kind */
	uint32_t n_waiting;
	struct list packet_outs; /* flow_registry_out.c: likewise */
	uint32_t n_packet_outs;
	uint64_t tried; /* the version under which these were tried last */
	uint64_t tried_ms;
	uint64_t ran_ms; /* when flow_registry_run() was called last */
	bool is_stalled; /* then the ring was full */
	struct list by_stats;
	struct flow_objects *objects;
	uint64_t next_request;
	struct translation t;      /* scratch */
	uint32_t denied[N_DENIED]; /* hashes of keys whose put met the port's budget; 0: none */
	struct flow_registry_counters counters;
};

/* The flow is what the scratch translation says. References move over. */
void flow_take_translation(struct flow_registry *r, struct flow *f);
/* The flow of a mask and a key under it; NULL: none. */
struct flow *flow_find(
	struct flow_registry *r, const struct flow_key *key, const struct flow_mask *mask);
void flow_set_identity(struct flow_registry *r, struct flow *f, const struct flow_key *key,
	const struct flow_mask *mask);
void flow_get_identity(const struct flow *f, struct flow_key *key, struct flow_mask *mask);
/* A command about @f has been sent with the next request number. */
void flow_await(struct flow_registry *r, struct flow *f, enum flow_state state);
/* Its command was answered. */
void flow_settle(struct flow_registry *r, struct flow *f);
void flow_forget(struct flow_registry *r, struct flow *f);

/* flow_registry_evict.c: a flow counts among those of its input port from its first identity until it is
 * forgotten. */
void flow_join_port(struct flow_registry *r, struct flow *f, uint32_t number);
void flow_leave_port(struct flow_registry *r, struct flow *f);
/* The datapath has no slot for a flow of this input port: deletes some that are least in use. */
void flow_evict(struct flow_registry *r, uint32_t number);
/* flow_registry.c: deletes an installed flow. False: the ring is full. */
bool flow_evict_one(struct flow_registry *r, struct flow *f);
/* flow_registry.c: translates into the scratch translation; the version that was read. */
uint64_t flow_translate_now(struct flow_registry *r, const struct flow_key *key, uint64_t now_ms);
/* The first flow is on its way. All batches but the last one are of versions that have been published, which its
 * translation will see; of the last one that is not known. */
void flow_begin_to_read(struct flow_registry *r);
/* Makes stale what the changes up to the version in force concern. */
void flow_read_changes(struct flow_registry *r);
/* First in the line of those that are translated again. The line is by the version that they agree with: it says the
 * one of who was first, if that is older. */
void flow_queue_first(struct flow_registry *r, struct flow *f);
/* For struct flow_registry's @denied; never 0. */
uint32_t flow_denied_hash(const struct flow_key *key);

/* flow_registry_miss.c: the scratch translation's contexts, that this ring has not carried yet, go to the datapath. 0,
 * or -errno: try again. Another handler may have given them too: the datapath refuses the second time, and that is
 * fine. */
int flow_send_contexts(struct flow_registry *r);
/* Objects are there, or refused: whatever waited tries again. */
void flow_objects_came(struct flow_registry *r, uint64_t now_ms);
/* What is awaited is not an answer of the datapath's, which would tell by itself. */
bool flow_awaits_objects(const struct flow_registry *r);
/* flow_registry_learn.c: what was seen of a translation's packets, or of a flow's, is learned. @tcp_flags: of the
 * packets. */
void flow_learn_translated(
	struct flow_registry *r, const struct translation *t, uint16_t tcp_flags, uint64_t now_ms);
void flow_learn(struct flow_registry *r, const struct flow *f, uint16_t tcp_flags, uint64_t now_ms);
/* flow_registry_out.c: tries those that wait again. */
void flow_packet_outs_run(struct flow_registry *r, uint64_t now_ms);
void flow_packet_outs_forget(struct flow_registry *r);

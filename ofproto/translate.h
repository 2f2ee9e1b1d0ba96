/* SPDX-License-Identifier: Apache-2.0
 *
 * Translation: what happens to one packet, and to which others the same happens.
 *
 * What:     runs a key through the tables of its switch under one version. The result is a list of
 *           datapath actions, and the mask of the bits that were read: whatever packet agrees in
 *           them is treated the same, so that the pair can be installed as a fast-path flow.
 * Sets:     changed fields are kept in the key and written out as late as possible, before the next
 *           output that needs them; a field that ends as it began is not written when the mask
 *           knows its value.
 * Limits:   depth 64 of resubmits, 4096 actions, 64 learn actions, DP_ACTIONS_MAX_SIZE: beyond, the result is a drop
 *           with a reason.
 * Threads:  handlers and the loop, between of_reader_enter() and of_reader_leave(). Nothing shared is
 *           changed but by of_context_intern().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dp_action.h"
#include "lib/drop_reason.h"
#include "ofproto/fdb.h"
#include "ofproto/of_port.h"
#include "ofproto/ofproto.h"

#define TRANSLATE_MAX_DEPTH 64
#define TRANSLATE_MAX_ACTIONS 4096
#define TRANSLATE_MAX_LEARNED 8
#define TRANSLATE_MAX_LEARNS 64 /* learn actions */
#define TRANSLATE_MAX_GROUP_DEPTH 64

struct of_counter;
struct of_learned;
struct of_trace;

/* Counters that a flow, or a bucket of an object, credits. Not referenced. */
struct translate_counters {
	struct of_counter **v;
	uint32_t n;
	uint32_t capacity;
	struct rule **rules; /* of a bucket: what its packets alone hit */
	uint32_t n_rules;
	uint32_t cap_rules;
};

/* Buckets of which the datapath chooses one (DP_OBJECT_SELECT, DP_OBJECT_FIRST_LIVE). */
struct translate_object {
	uint32_t kind;
	uint32_t seed; /* of a select group's: the same for all objects of the group */
	uint32_t n_parts;
	const void *body; /* 8-aligned */
	size_t size;
	const struct translate_counters
		*parts; /* [n_parts]: what its share of the packets credits */
};

enum translate_object_state {
	TRANSLATE_OBJECT_READY,
	TRANSLATE_OBJECT_PENDING, /* the datapath has been asked: translate again later */
	TRANSLATE_OBJECT_NONE,    /* there cannot be such an object: choose here */
};

struct translate_in {
	struct of_reader *reader;
	uint64_t version;           /* of_model_version(), read before */
	const struct flow_key *key; /* as the datapath gave it, absent blocks zero */
	uint64_t now_ms;
	/* Finds or makes an object for this translation. NULL: there are none, and choices are made here,
	 * which makes the flow narrower. */
	enum translate_object_state (*object)(
		void *user, const struct translate_object *o, struct dp_handle *handle);
	void *object_user;
	bool wants_deps; /* what the result depends on is to be noted */
	/* Is told each step, and keeps what else a translation leaves behind (of_trace.h). NULL: nobody
	 * traces. */
	struct of_trace *trace;
};

/* An address that NORMAL saw: to be posted to the loop, and refreshed while the flow is used. */
struct translate_learned {
	uint32_t ofproto_id;
	struct fdb_place place;
	uint16_t vlan;
	uint8_t mac[6];
};

#define TRANSLATE_TCP_ENDS 0x5u /* FIN, RST */
/* A rule whose timeouts are to be limited when the connection ends. */
struct translate_fin {
	struct rule *rule; /* one of the translation's */
	uint16_t idle_timeout;
	uint16_t hard_timeout;
};

/* A lookup in a table: what is known of all packets that would be looked up like this one. */
struct translate_lookup {
	uint64_t table;         /* of_dep(OF_DEP_TABLE, ..) */
	int32_t priority;       /* of the rule; -1: none was found */
	struct flow_key key;    /* as the pipeline saw it */
	struct flow_mask known; /* bits that all packets of the flow have, by themselves */
	struct flow_mask moved; /* bits that did not come in that place */
};

struct translation {
	struct dp_actions actions;
	struct flow_mask mask; /* bits read; datapath blocks only; in_port and recirc_id exact */
	enum drop_reason drop; /* why it drops, if the actions forward nothing; else DROP_N */
	bool is_refused;       /* no such port or context: nothing to install */
	bool is_pending;       /* an object or a route is not ready: it means nothing yet */
	bool lacks_objects; /* it needs some, and translate_in.object is NULL: cannot be executed */
	struct rule **rules; /* hit, in order; a table's miss counts as a rule. Not referenced */
	uint32_t n_rules;
	uint32_t cap_rules;
	struct translate_counters counters; /* of groups and buckets, as rules */
	struct translate_learned learned[TRANSLATE_MAX_LEARNED];
	uint32_t n_learned;
	struct of_learned
		*learns[TRANSLATE_MAX_LEARNS]; /* of_learned.h: a reference each, as contexts */
	uint32_t n_learns;
	struct translate_fin *fins;
	uint32_t n_fins;
	uint32_t cap_fins;
	/* What the result depends on, beside the rules: of_dep(), and lookups. If asked for. */
	uint64_t *deps;
	uint32_t n_deps;
	uint32_t cap_deps;
	struct translate_lookup *lookups;
	uint32_t n_lookups;
	uint32_t cap_lookups;
	uint32_t *contexts; /* in the actions: a reference each, the owner's to give back */
	uint32_t n_contexts;
	uint32_t cap_contexts;
};

void translation_init(struct translation *t);
/* Frees memory; gives back the references to contexts that it still holds. */
void translation_uninit(struct translation *t, struct of_model *m);
/* Makes it empty, for reuse. */
void translation_clear(struct translation *t, struct of_model *m);

/* Credits the rules and counters of @t with packets that were treated so, but by no flow. Between enter and leave. */
void translation_credit(
	const struct translation *t, uint64_t packets, uint64_t bytes, uint64_t now_ms);

/* Translates. @t is cleared first. */
void translate(const struct translate_in *in, struct translation *t);

/* Translates a packet-out: @actions (checked) on a packet with @key (in_port: OpenFlow's number, or
 * OFPP_CONTROLLER, OFPP_LOCAL..; packet fields as packet_key_parse() gives them). The mask means
 * nothing. */
void translate_packet_out(const struct translate_in *in, struct ofproto *p, const void *actions,
	size_t actions_size, struct translation *t);

/* --- rules as fast-path flows hold them; handlers ------------------------------------------------ */

/* Between enter and leave, for a rule of a translation. */
void of_rule_ref(struct rule *r);
/* Any time. */
void of_rule_unref(struct rule *r);
/* Loop: its timeouts are at most these; 0: as they are. */
void of_rule_limit(struct rule *r, uint16_t idle_timeout, uint16_t hard_timeout);
/* Whether a newer version is without it. */
bool of_rule_is_removed(const struct rule *r);
/* Adds to its counters, and to its table's. @used_ms 0: not known. */
void of_rule_credit(struct rule *r, uint64_t packets, uint64_t bytes, uint64_t used_ms);

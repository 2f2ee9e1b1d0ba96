/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow registry: what one handler has installed in the fast path, kept true.
 *
 * What:     answers misses (translate, put, execute), follows the tables (each flow is translated
 *           again when the version has moved, and changed or deleted if it came out different),
 *           credits statistics to rules, removes flows that nobody uses.
 * Version:  a miss notes the version, translates, records the flow, and looks again: if the version
 *           moved, it translates again. Flows stand in a list in the order of the version they were
 *           checked against, so that flow_registry_version() is known at any time.
 * Outside:  everything that leaves goes through struct flow_registry_ops: the agent implements it
 *           over its rings, tests over a fake datapath. An op returns 0 or a negative errno;
 *           -EAGAIN (the ring is full): what a flow needs is tried again in the next run; a packet that
 *           could not be executed times out in the datapath.
 * Threads:  one handler owns a registry and makes all calls.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dp_action.h"
#include "lib/dp_protocol.h"
#include "ofproto/of_port.h"
#include "ofproto/ofproto.h"

struct flow_registry;
struct of_learned;
struct rule;
struct translate_learned;

/* All requests of a registry have this bit; whoever shares its ring leaves it to it. */
#define FLOW_REGISTRY_REQUEST (UINT64_C(1) << 63)

#define FLOW_REGISTRY_IDLE_MS 10000 /* a flow that was not used for so long is removed */
#define FLOW_REGISTRY_STATS_MS 500  /* how often each flow's statistics are read */
#define FLOW_REGISTRY_STATS_A_MS                                                                   \
	100 /* flows read a millisecond, at most: many flows are read less often */

struct flow_registry_ops {
	/* DP_FLOW_PUT, DP_FLOW_DEL, DP_CONTEXT_PUT with that request. */
	int (*put)(void *user, uint64_t request, const struct flow_key *key, uint8_t key_blocks,
		const struct flow_mask *mask, uint16_t flags, const void *actions,
		size_t actions_size);
	int (*del)(void *user, uint64_t request, struct dp_handle flow);
	int (*context_put)(
		void *user, uint64_t request, uint32_t id, const void *bytes, size_t size);
	/* DP_OBJECT_PUT of a new object, DP_OBJECT_DEL. */
	int (*object_put)(void *user, uint64_t request, uint32_t kind, uint32_t seed,
		uint32_t n_parts, const void *body, size_t size);
	int (*object_del)(void *user, uint64_t request, struct dp_handle object);
	/* DP_EXECUTE on a parked packet and those that joined it. */
	int (*execute)(void *user, uint64_t request, struct dp_parked parked, const void *actions,
		size_t actions_size);
	/* DP_EXECUTE on bytes. */
	int (*packet_out)(void *user, uint64_t request, struct dp_port in_port, const void *actions,
		size_t actions_size, const void *data, size_t len);
	/* Reads the statistics region; of a flow or a part of an object. */
	void (*stats)(void *user, struct dp_handle flow, struct flow_stats *sum);
	/* To the loop: ofproto_fdb_learn_at(). */
	void (*learned)(void *user, const struct translate_learned *l);
	/* To the loop: of_model_learn(). Borrowed. */
	void (*learn)(void *user, struct of_learned *l);
	/* To the loop: of_rule_limit(). Borrowed. */
	void (*limit)(void *user, struct rule *r, uint16_t idle_timeout, uint16_t hard_timeout);
	void *user;
};

struct flow_registry_counters {
	uint64_t n_upcalls;
	uint64_t n_installed;   /* puts that went well */
	uint64_t n_revalidated; /* translated again */
	uint64_t n_changed;     /* by revalidation */
	uint64_t n_deleted;     /* by revalidation */
	uint64_t n_idle;        /* removed because nobody used them */
	uint64_t n_evicted;     /* removed to make room for others of their port */
	uint64_t n_narrowed;
	uint64_t n_refused;      /* puts that the datapath refused */
	uint64_t n_retranslated; /* the version moved under a miss */
	uint64_t n_waited;       /* misses that waited for an object */
	uint64_t n_lost;         /* ... too many at a time: they time out */
	size_t n_objects;
	size_t n_flows;
	size_t n_adopted; /* still untouched */
};

struct flow_registry *flow_registry_create(
	struct of_reader *reader, const struct flow_registry_ops *ops);
/* Forgets everything; the datapath's flows stay. */
void flow_registry_destroy(struct flow_registry *r);
/* The datapath is gone with all its flows: forgets them. */
void flow_registry_reset(struct flow_registry *r);

/* A DP_UPCALL_MISS. @key: unpacked, absent blocks zero. */
void flow_registry_upcall(struct flow_registry *r, const struct dp_upcall *up,
	const struct flow_key *key, uint8_t key_blocks, uint64_t now_ms);

/* A packet-out whose translation needs objects (translation.lacks_objects). */
struct flow_packet_out {
	uint32_t ofproto_id;
	struct dp_port in_port; /* DP_PORT_NONE: none */
	struct flow_key key;    /* as translate_packet_out() takes it */
	const void *actions;
	size_t actions_size;
	const void *data;
	size_t len;
};
/* Executes it when its objects are there; if that takes longer than PACKET_OUT_WAIT_MS, or too many wait, it is
 * lost, and counted. */
void flow_registry_packet_out(
	struct flow_registry *r, const struct flow_packet_out *po, uint64_t now_ms);
#define PACKET_OUT_WAIT_MS 1000

/* A reply (decoded) whose request has FLOW_REGISTRY_REQUEST. */
void flow_registry_reply(struct flow_registry *r, const struct dp_message *msg, uint64_t now_ms);

/* A flow that an earlier agent installed: kept and left alone until flow_registry_release(), then
 * translated from its masked key. @credited: what had been credited of its counters (NULL: all of
 * @item's). */
void flow_registry_adopt(struct flow_registry *r, const struct dp_message *item,
	const struct flow_stats *credited, uint64_t now_ms);
/* The same of an object (DP_OBJECT_ITEM): it serves the first translation that wants just this one,
 * or is deleted. Before the flows. @credited: of each part. */
void flow_registry_adopt_object(struct flow_registry *r, const struct dp_message *item,
	const struct flow_stats *credited, uint64_t now_ms);
/* The rules are complete: adopted flows are now treated as all others. */
void flow_registry_release(struct flow_registry *r);

/* Revalidates, reads statistics, expires: at most @budget flows; whether there is more to do at once. */
bool flow_registry_run(struct flow_registry *r, uint64_t now_ms, unsigned budget);
/* Reads and credits all flows' statistics now, for somebody who asks for counters. */
void flow_registry_pull(struct flow_registry *r, uint64_t now_ms);
/* When flow_registry_run() has to be called at the latest. */
uint64_t flow_registry_next_ms(const struct flow_registry *r);

/* All flows agree with this version, and the commands for that have been handed to the ops: a
 * DP_BARRIER sent now is answered when it is in force. */
uint64_t flow_registry_version(const struct flow_registry *r);
/* No command is unanswered: every delete's final counters are credited. */
bool flow_registry_is_settled(const struct flow_registry *r);
/* Installed, and about to be. */
size_t flow_registry_n_flows(const struct flow_registry *r);

void flow_registry_counters(const struct flow_registry *r, struct flow_registry_counters *c);

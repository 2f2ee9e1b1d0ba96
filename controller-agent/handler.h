/* SPDX-License-Identifier: Apache-2.0
 *
 * Handlers: threads that answer the datapath's misses and keep the fast path true.
 *
 * What:     each handler owns a command ring, a reply ring, the upcall rings of its workers, and a
 *           flow registry (ofproto/flow_registry.h). It sleeps on one eventfd of the session's and on
 *           its inbox.
 * Bridge:   the loop posts orders, handlers post news; both through lock-free inboxes (inbox.h). The
 *           pool calls the user back from the loop, in the order in which a handler posted.
 * Sessions: handlers_attach() maps the rings and gives them out; handlers_detach() asks them back,
 *           and detached() is called when no thread touches them any more.
 * Takeover: handlers_adopt() lists contexts, then flows, before any miss is answered; adopted flows
 *           are left alone until handlers_release().
 * Barrier:  is answered when all flows agree with the version that was in force when it was asked,
 *           and the datapath has everything that was sent before, packet-outs included.
 * Limits:   HANDLER_MAX_PACKET_INS packets of a handler wait for the loop, the rest is dropped and
 *           counted. Once half of that is taken, a port gets no more than an eighth of it.
 *           So do HANDLER_MAX_LEARNS rules that are to be learned; later packets of their flows tell of
 *           them again.
 * Threads:  all functions are the loop's; callbacks come in the loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/dp_protocol.h"
#include "ofproto/flow_registry.h"
#include "ofproto/of_port.h"

struct dp_session;
struct event_base;
struct handlers;
struct of_model;
struct weft_error;

#define HANDLER_MAX_PACKET_INS 1024
#define HANDLER_MAX_LEARNS 1024

/* A packet that the datapath sent to the agent. */
struct handler_packet_in {
	struct flow_key key; /* with the datapath's port */
	uint8_t key_blocks;
	const void *context; /* bytes that were put for it (of_context.h); NULL: none known */
	size_t context_size;
	uint32_t packet_len; /* of the whole packet */
	uint32_t data_len;
	const uint8_t *data;
};

struct handler_object_reply {
	bool is_del;
	int status; /* 0 or a negative errno */
	struct dp_handle object;
	const struct dp_handle *parts; /* put: where their statistics are */
	uint32_t n_parts;
};

struct handlers_ops {
	void (*packet_in)(void *user, const struct handler_packet_in *packet);
	void (*learned)(void *user, const struct translate_learned *l);
	/* of_model_learn(), of_rule_limit(); borrowed. */
	void (*learn)(void *user, struct of_learned *l);
	void (*limit)(void *user, struct rule *r, uint16_t idle_timeout, uint16_t hard_timeout);
	/* A context that the datapath keeps (takeover). */
	void (*context)(void *user, uint32_t id, const void *bytes, size_t size);
	/* Contexts and flows are adopted; @n_flows of all handlers. */
	void (*adopted)(void *user, size_t n_flows);
	/* The rings of the last session are unmapped. */
	void (*detached)(void *user);
	/* Handler threads: what an earlier agent had credited of a flow's counters; false: all of
	 * them, as far as is known. */
	bool (*credited)(void *user, struct dp_handle flow, struct flow_stats *sum);
	/* An object of handlers_object_put() or _del(), answered; a status of -ENOTCONN: there is no
	 * session (any more). */
	void (*object_replied)(
		void *user, uint64_t token, const struct handler_object_reply *reply);
	/* A meter that the datapath keeps (takeover). */
	void (*meter_listed)(void *user, struct dp_handle object);
	/* A ring is broken, or a reply makes no sense: the session must end. */
	void (*broken)(void *user, const char *why);
};

struct handlers_counters {
	struct flow_registry_counters flows; /* of all handlers */
	uint64_t n_packet_ins;
	uint64_t n_packet_ins_dropped; /* the loop did not keep up */
	uint64_t n_learns_dropped;     /* nor with what is to be learned */
	uint64_t n_packet_outs;
	uint64_t n_bad_records; /* upcalls and replies that did not decode */
	uint64_t n_failed;      /* commands of ours that the datapath refused */
	uint64_t n_wakeups;
};

/* Starts @n threads, 1..DP_MAX_HANDLERS. */
struct handlers *handlers_create(struct event_base *base, struct of_model *model, unsigned n,
	const struct handlers_ops *ops, void *user, struct weft_error *err) WEFT_MUST_CHECK;
/* Ends the threads. No callback comes any more; barriers that wait are not answered. */
void handlers_destroy(struct handlers *h);
unsigned handlers_count(const struct handlers *h);

/* Gives the rings of a session out. @adopt: the datapath may have flows and contexts of an earlier
 * agent (or session): they are listed and adopted first. False: a ring cannot be mapped. */
bool handlers_attach(struct handlers *h, const struct dp_session *session, bool adopt,
	struct weft_error *err) WEFT_MUST_CHECK;
void handlers_detach(struct handlers *h);

/* Adopted flows are treated as all others from now on. */
void handlers_release(struct handlers *h);

/* The version may have moved: call it once at the end of a turn of the loop. */
void handlers_kick(struct handlers *h);

/* Runs datapath actions on a packet, as received on @in_port (DP_PORT_NONE: none). */
void handlers_packet_out(struct handlers *h, struct dp_port in_port, const void *actions,
	size_t actions_size, const void *data, size_t len);
/* The same for one whose translation needs objects: it is translated again by a handler, which has some. */
void handlers_translate_out(struct handlers *h, const struct flow_packet_out *po);
/* Puts a context that the next packet-out needs. */
void handlers_context_put(struct handlers *h, uint32_t id, const void *bytes, size_t size);
/* The datapath may forget the context. */
void handlers_context_del(struct handlers *h, uint32_t id);

struct dp_tun_opt;
/* The options of Geneve that the datapath is to know from now on; to be said anew in each session. */
void handlers_tun_opts(struct handlers *h, const struct dp_tun_opt *opts, size_t n);

/* Puts an object (handle none: a new one) or deletes one; object_replied() is called once. */
void handlers_object_put(struct handlers *h, struct dp_handle object, uint32_t kind,
	uint32_t n_parts, const void *body, size_t size, uint64_t token);
void handlers_object_del(struct handlers *h, struct dp_handle object, uint64_t token);
/* The statistics of a part of an object; zero without a session. */
void handlers_read_stats(const struct handlers *h, struct dp_handle part, struct flow_stats *sum);

/* Calls @done in the loop when the barrier holds. Without a session that is at once. */
void handlers_barrier(struct handlers *h, void (*done)(void *user), void *user);

/* Reads all flows' statistics, credits them to the rules, and calls @done in the loop. */
void handlers_pull(struct handlers *h, void (*done)(void *user), void *user);

/* Ends the threads: nothing is credited to rules any more. Only handlers_flow_credit() and
 * handlers_destroy() may follow. */
void handlers_stop(struct handlers *h);

/* What has been credited of the counters of the flow in that slot, in this session or the one before
 * it; false: nothing, or there is no such slot (@slot beyond handlers_n_slots()). */
bool handlers_flow_credit(
	const struct handlers *h, uint32_t slot, struct dp_handle *flow, struct flow_stats *sum);
uint32_t handlers_n_slots(const struct handlers *h);

void handlers_get_counters(struct handlers *h, struct handlers_counters *c);

/* SPDX-License-Identifier: Apache-2.0
 *
 * Handlers: what the pool (handler.c) and the thread (handler_thread.c) share.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "controller-agent/handler.h"
#include "controller-agent/inbox.h"
#include "lib/shm_ring.h"
#include "lib/stats_region.h"
#include "ofproto/translate.h"

/* One handler's part of a session; made by the loop, the thread's while attached. */
struct handler_rings {
	int event_fd; /* both ours, duplicates */
	int tables_fd;
	struct shm_ring command;
	struct shm_ring reply;
	struct shm_ring upcall[DP_MAX_WORKERS];
	unsigned n_upcall;
	const struct stats_region *stats;
};

/* Loop to handler. */
enum order_kind {
	ORDER_ATTACH, /* rings, adopt */
	ORDER_DETACH,
	ORDER_LIST_CONTEXTS,
	ORDER_LIST_FLOWS,
	ORDER_SERVE, /* nothing to adopt (any more): answer misses */
	ORDER_RELEASE,
	ORDER_PACKET_OUT,    /* in_port, actions, data */
	ORDER_TRANSLATE_OUT, /* the same, of OpenFlow; switch, key */
	ORDER_CONTEXT_PUT,   /* id, data */
	ORDER_CONTEXT_DEL,
	ORDER_OBJECT_PUT, /* object, kind, n_parts, data, token */
	ORDER_OBJECT_DEL, /* object, token */
	ORDER_TUN_OPTS,   /* data: struct dp_tun_opt */
	ORDER_BARRIER,    /* version */
	ORDER_PULL,
	ORDER_STOP,
};

struct order {
	struct inbox_item item;
	enum order_kind kind;
	struct handler_rings *rings;
	struct barrier *barrier; /* comes back in the news */
	uint64_t version;
	uint32_t id; /* context; packet-out: datapath port */
	uint32_t ofproto_id;
	struct flow_key key;
	struct dp_handle object;
	uint32_t kind_of_object; /* enum dp_object_kind */
	uint32_t n_parts;
	uint64_t token;
	uint32_t actions_size;
	uint32_t data_len;
	_Alignas(8) uint8_t bytes[]; /* actions, then data */
};

/* Handler to loop. */
enum news_kind {
	NEWS_PACKET_IN, /* key, context bytes, data */
	NEWS_LEARNED,   /* address */
	NEWS_LEARN,     /* learned */
	NEWS_LIMIT,     /* rule, idle_timeout, hard_timeout */
	NEWS_CONTEXT,   /* id, bytes */
	NEWS_CONTEXTS_LISTED,
	NEWS_FLOWS_LISTED, /* n */
	NEWS_OBJECT,       /* object, token, status, is_del; parts in bytes */
	NEWS_METER_LISTED, /* object */
	NEWS_DETACHED,
	NEWS_BARRIER,
	NEWS_BROKEN, /* text */
};

struct news {
	struct inbox_item item;
	enum news_kind kind;
	struct handler *from;
	struct barrier *barrier;
	struct handler_rings *rings; /* DETACHED: to be freed by the loop */
	uint64_t n;
	uint64_t token;
	struct dp_handle object;
	int status;
	bool is_del;
	uint32_t id; /* context */
	struct translate_learned address;
	struct of_learned *learned; /* referenced */
	struct rule *rule;          /* referenced */
	uint16_t idle_timeout;
	uint16_t hard_timeout;
	struct flow_key key; /* PACKET_IN */
	uint8_t key_blocks;
	uint32_t packet_len;
	uint32_t context_size;
	uint32_t data_len;
	_Alignas(8) uint8_t bytes[]; /* context, then data */
};

struct barrier {
	void (*done)(void *user);
	void *user;
	unsigned n_waiting; /* handlers; the loop's */
};

/* A barrier that waits in the handler. */
struct waiting_barrier {
	struct waiting_barrier *next;
	struct barrier *barrier;
	uint64_t version;
	uint64_t request; /* of the DP_BARRIER; 0: not sent yet */
	uint64_t n_sent;  /* commands up to and with it */
};

/* A command about an object of the loop's that is unanswered. */
struct waiting_object {
	struct waiting_object *next;
	uint64_t request;
	uint64_t token;
	bool is_del;
};

#define HANDLER_PORT_SHARES 64u /* ports beyond share a count */

/* A packet whose records come one by one; one an upcall ring. */
struct chain {
	struct news *news; /* NULL: none is open */
	uint32_t capacity;
	bool is_dropped; /* the rest is to be skipped */
};

struct handler {
	struct handlers *pool;
	unsigned index;
	pthread_t thread;
	struct inbox inbox;
	int inbox_fd;
	struct of_reader *reader;
	struct flow_registry *registry;
	/* The thread's. */
	struct handler_rings *rings; /* NULL: no session */
	bool serving;                /* misses are answered */
	bool is_released;            /* adopted flows are credited like others */
	bool reported_broken;
	bool sent;             /* something to publish */
	uint64_t next_request; /* of our own */
	uint64_t n_sent;       /* commands */
	bool is_confirmed; /* a DP_BARRIER behind the last of them was answered, or there are none */
	uint64_t n_listed;
	struct order *stalled;            /* waits for room in the ring */
	struct waiting_barrier *barriers; /* in order */
	struct waiting_barrier **barriers_end;
	struct waiting_object *objects;
	struct dp_tun_opt options[DP_TUN_OPTS_MAX]; /* that the datapath is to know */
	uint32_t n_options;
	bool has_options; /* they are to be sent */
	struct chain chains[DP_MAX_WORKERS];
	/* Counters: the thread writes, the loop reads. */
	_Atomic uint64_t n_packet_ins;
	_Atomic uint64_t n_packet_ins_dropped;
	_Atomic uint64_t n_packet_outs;
	_Atomic uint64_t n_bad_records;
	_Atomic uint64_t n_failed;
	_Atomic uint64_t n_wakeups;
	_Atomic uint64_t n_learns_dropped;
	_Atomic uint32_t n_waiting_learns;     /* posted, not yet taken */
	_Atomic uint32_t n_waiting_packet_ins; /* likewise */
	_Atomic uint32_t
		n_waiting_of_port[HANDLER_PORT_SHARES]; /* the same, by number of the port */
	/* Asleep, without flows and without anything under way: what it does next, it does by the version
	 * that it finds then. */
	_Atomic bool rests;
	_Atomic uint64_t flow_counters[sizeof(struct flow_registry_counters) / 8];
	_Alignas(8) uint8_t buffer[DP_MAX_MESSAGE];
};

/* What was credited of the flow in a slot. One handler writes, the loop reads: a sum that is a
 * moment old is good enough for what is persisted while it runs. */
struct flow_credit {
	_Atomic uint64_t packets;
	_Atomic uint64_t bytes;
	_Atomic uint32_t gen;
	_Atomic bool is_adopted; /* the handler's: nothing is credited before the release */
};

struct handlers {
	struct event_base *base;
	struct event *inbox_event;
	struct event *more; /* news are left: go on in the next turn */
	struct of_model *model;
	const struct handlers_ops *ops;
	void *user;
	struct inbox inbox; /* the loop's */
	int inbox_fd;
	unsigned n;
	struct handler *handlers; /* [n] */
	bool attached;
	bool detaching;
	unsigned n_detaching; /* handlers that have not given their rings back */
	unsigned n_listing;
	size_t n_listed;
	uint64_t kicked_version;
	bool stopped;
	struct stats_region stats;   /* of the session */
	struct flow_credit *credits; /* [n_slots]; kept from session to session of an instance */
	uint32_t n_slots;
	uint64_t instance;
	bool credits_are_old; /* attached again: credits tell what the session before had done */
};

/* handler_thread.c */
void *handler_run(void *handler);
void handler_rings_free(struct handler_rings *rings);
/* Loop, or a handler that has ended: one handler less to wait for; true: it was the last. */
bool barrier_unref(struct barrier *barrier);

/* Turns of one source before the next is looked at. */
#define HANDLER_BATCH 32

/* --- handler_send.c; the thread's */

uint64_t handler_now_ms(void);
/* One more; a counter that other threads read. */
void handler_count(_Atomic uint64_t *counter);

/* News with room for @n_bytes, to be posted. */
struct news *handler_news(struct handler *h, enum news_kind kind, size_t n_bytes);
void handler_post(struct handler *h, struct news *news);
/* Asks the loop to take the session back; once a session. */
void handler_report_broken(struct handler *h, const char *why);
void handler_answer_object(struct handler *h, uint64_t token, bool is_del, int status,
	struct dp_handle object, const struct dp_handle *parts, uint32_t n_parts);

/* What comes of a command that was written (@ok) or not: 0; -EAGAIN: the ring is full; -EPIPE. */
int handler_sent(struct handler *h, bool ok);
/* Makes what was sent since visible to the datapath. */
void handler_publish(struct handler *h);
/* False: the ring is full. */
bool handler_send_list(struct handler *h, uint32_t kind, uint32_t from);
/* As the registry's operations. */
int handler_send_context(void *user, uint64_t request, uint32_t id, const void *bytes, size_t size);
int handler_send_object(struct handler *h, uint64_t request, struct dp_handle object, uint32_t kind,
	uint32_t seed, uint32_t n_parts, const void *body, size_t size);
int handler_send_packet_out(void *user, uint64_t request, struct dp_port in_port,
	const void *actions, size_t actions_size, const void *data, size_t len);
int handler_send_object_del(void *user, uint64_t request, struct dp_handle object);
/* Sends what options of Geneve there are, if it does not know. */
void handler_run_options(struct handler *h);
void handler_registry_ops(struct handler *h, struct flow_registry_ops *ops);
void handler_store_credit(struct flow_credit *credit, uint32_t gen, const struct flow_stats *sum);

/* --- handler_receive.c; the thread's. Whether there may be more. */

bool handler_run_replies(struct handler *h);
bool handler_run_upcalls(struct handler *h);
void handler_drop_chain(struct handler *h, struct chain *chain);
/* A packet-in does not wait for the loop any more. */
void handler_packet_in_ends(const struct news *news);

/* --- handler_thread.c */

void handler_barrier_replied(struct handler *h, uint64_t request);

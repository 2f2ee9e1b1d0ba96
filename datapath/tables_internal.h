/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables thread, inside: its state, and what its files give each other.
 *
 * Files:   tables.c the thread, what the ports thread asks of it, the loop; session.c rings and replies;
 *          command.c a handler's ring, contexts, executes; flow_command.c flows; object_command.c objects;
 *          barrier.c barriers.
 * Threads: all functions are the tables thread's but for session_create(), which is the ports thread's.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datapath/context.h"
#include "datapath/tables.h"
#include "lib/compiler.h"
#include "lib/dp_protocol.h"
#include "lib/list.h"
#include "lib/shm_ring.h"

#define LIST_DEFAULT 64u /* items, where a list command names no number */

struct handler {
	struct shm_ring commands, replies;
	int event_fd;
	bool stuck; /* its replies are not read: its commands wait */
	bool told;  /* that a ring is broken */
};

struct session {
	uint64_t number, epoch;
	uint32_t n_handlers;
	struct handler handlers[DP_MAX_HANDLERS];
	struct session_rings *rings; /* one a worker */
	uint64_t token;              /* once it is closed: when the rings may go */
	struct session *next;        /* closed ones */
};

/* What the ports thread asks for. */
enum request_kind {
	REQUEST_NONE,
	REQUEST_ATTACH,
	REQUEST_DETACH,
	REQUEST_FLUSH,
	REQUEST_STOP,
};

struct tables {
	struct flow_table *table;
	const struct stats_region *stats;
	uint64_t instance;
	int event_fd;
	pthread_t thread;
	bool started;
	/* The thread's own. */
	struct session *session, *closed;
	struct contexts contexts;
	struct list barriers; /* struct barrier */
	uint64_t last_epoch;
	bool stop;
	uint32_t n_purges_due; /* workers that have not answered yet */
	uint64_t purge_ticket;
	void *buffer;
	/* Between the ports thread and this one. */
	pthread_mutex_t lock;
	pthread_cond_t answered;
	_Atomic int request; /* enum request_kind */
	struct session *offered;
	uint64_t number;
	uint16_t port;
	uint64_t last_number;
	_Atomic uint64_t commands, bad_messages, executes, sessions;
	_Atomic uint32_t n_contexts;
	_Atomic bool connected;
	void (*broken)(uint64_t session);
};
extern struct tables tables;

/* CLOCK_MONOTONIC. */
uint64_t tables_now_ms(void);

/* --- session.c */

/* Makes a session and its rings; their other ends go into @offer. NULL and @err. */
struct session *session_create(uint64_t number, uint32_t n_handlers, uint64_t epoch, int stats_fd,
	struct session_offer *offer, struct weft_error *err);
/* Unmaps its rings: no worker may write there any more. */
void session_free(struct session *s);
/* Gives workers the rings of a new session, in place of those of the one that stands. */
void session_attach(struct session *s);
/* Ends the session that stands, if any: workers drop its rings, which go a grace period later. */
void session_detach(void);
/* Frees ended sessions whose grace period has passed. Returns whether some still wait. */
bool session_free_closed(void);

/* The reply ring of a handler, if that session still stands, else NULL. */
struct shm_ring *reply_ring(uint64_t session, uint32_t handler);
/* Answers a command of the present session. */
void send_reply(uint32_t handler, uint32_t type, const void *reply, size_t size,
	const struct dp_part *parts, unsigned n_parts);
/* Answers with the struct of the command's reply in which all but request and status is zero. */
void reply_status(uint32_t handler, uint32_t type, uint64_t request, int status);

/* --- command.c */

/* Which request of which handler a delete was: the `user` of flow and object table. On the heap. */
struct deletion {
	uint64_t session, request;
	uint32_t handler;
};
struct deletion *deletion_create(uint64_t request, uint32_t handler);

/* Takes some commands of a handler. Returns whether any was there. */
bool command_run(uint32_t handler) WEFT_REQUIRES(weft_tables);

/* --- flow_command.c */

void flow_command_put(uint32_t handler, const struct dp_message *m) WEFT_REQUIRES(weft_tables);
void flow_command_del(uint32_t handler, const struct dp_flow_del *cmd) WEFT_REQUIRES(weft_tables);
void flow_command_list(uint32_t handler, const struct dp_list *cmd) WEFT_REQUIRES(weft_tables);
/* Reclaims what has passed its grace period and answers deletes. Returns whether some still wait. */
bool flow_command_reclaim(uint64_t now_ms) WEFT_REQUIRES(weft_tables);

/* --- object_command.c */

void object_command_put(uint32_t handler, const struct dp_message *m) WEFT_REQUIRES(weft_tables);
void object_command_del(uint32_t handler, const struct dp_object_del *cmd)
	WEFT_REQUIRES(weft_tables);
void object_command_list(uint32_t handler, const struct dp_list *cmd) WEFT_REQUIRES(weft_tables);
/* As flow_command_reclaim(). */
bool object_command_reclaim(void) WEFT_REQUIRES(weft_tables);

/* --- barrier.c */

void barrier_command(uint32_t handler, const struct dp_barrier *cmd) WEFT_REQUIRES(weft_tables);
/* Which barriers are through. To be asked before what they cover is answered (executes' outboxes,
 * deletes): so their replies cannot overtake. */
void barrier_check(void) WEFT_REQUIRES(weft_tables);
/* Answers those that are through. Returns whether some still wait. */
bool barrier_answer(void) WEFT_REQUIRES(weft_tables);
/* Forgets all of them; the thread has ended. */
void barriers_free(void);

/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables thread: the only writer of the flow table, and the agent's other end.
 *
 * What:     takes commands from the handlers' rings, changes flow table and contexts, forwards
 *           executes to workers, answers, and reclaims what has passed its grace period.
 * Threads:  functions below are for the ports thread; those that say so wait for the tables thread's
 *           word, which itself never waits: retired objects queue with a token.
 * Sessions: at most one. Opening one fences its predecessor: none of its commands is read after that.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datapath/flow_table.h"
#include "lib/compiler.h"
#include "lib/dp_protocol.h"

struct weft_error;

/* Starts the thread. @event_fd: what wakes it; workers' outboxes kick it too. */
int tables_start(struct flow_table *table, const struct stats_region *stats, uint64_t instance,
	int event_fd);
/* Ends the session and the thread. After the workers have stopped. */
void tables_stop(void);

/* Descriptors to be sent to the agent, in the protocol's order; the caller closes them. */
struct session_offer {
	uint64_t number;
	uint32_t next_context;
	uint64_t last_epoch; /* of the agent before; 0: none */
	int fds[2 + 3 * DP_MAX_HANDLERS + DP_MAX_WORKERS];
	size_t n_fds;
};

/* Opens a session with rings for @n_handlers. Waits. */
bool tables_session_open(uint32_t n_handlers, uint64_t epoch, int stats_fd,
	struct session_offer *offer, struct weft_error *err) WEFT_REQUIRES(weft_ports);

/* Ends session @number, if it is the one. Waits. */
void tables_session_close(uint64_t number) WEFT_REQUIRES(weft_ports);

/* Removes all flows of an input port and purges its parked packets. Waits; the port has been
 * unpublished. */
void tables_flush_port(uint16_t port) WEFT_REQUIRES(weft_ports);

/* Tells of a session whose rings its agent broke; called on the tables thread, which reads them no
 * more. The session is the ports thread's to close. Before the first session. */
void tables_set_broken_handler(void (*broken)(uint64_t session));

struct tables_counters {
	uint64_t commands, bad_messages, executes, sessions;
	uint32_t n_contexts;
	bool connected;
};
void tables_read_counters(struct tables_counters *counters);

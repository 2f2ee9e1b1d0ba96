/* SPDX-License-Identifier: Apache-2.0
 *
 * Rig: a whole datapath in the test's process. Real workers and tables thread, ports with queues in
 * memory, and an agent that is the test itself.
 *
 *     test (guest) -- fake port --> worker --> fake port -- test (guest)
 *                                   |    ^
 *                            upcall ring  command ring
 *                                   v    |
 *                                test (agent)
 *
 * Threads: the test's is the ports thread (functions without analysis take that for granted).
 */
#pragma once

#include "datapath/flow_table.h"
#include "datapath/port.h"
#include "datapath/tables.h"
#include "lib/compiler.h"
#include "lib/dp_protocol.h"
#include "lib/shm_ring.h"
#include "tests/unit/datapath/lab.h"

#define RIG_MAX_FLOWS 4096u

/* --- the datapath */
void rig_start(unsigned n_workers);
/* Also checks that all buffers came back and the books balance. */
void rig_stop(void);
extern struct flow_table *rig_table;
extern struct stats_region rig_stats;

/* Waits until @what holds, 10 s at most. */
#define rig_wait(WHAT)                                                                             \
	do {                                                                                       \
		uint64_t rig_end = rig_ms() + 10000;                                               \
		while (!(WHAT)) {                                                                  \
			assert_true(rig_ms() < rig_end);                                           \
			rig_nap();                                                                 \
		}                                                                                  \
	} while (0)
uint64_t rig_ms(void);
void rig_nap(void);

/* received + made + copied = sent + to the agent + dropped, and nothing is parked. */
void rig_assert_books(void);
/* All ports together, removed ones too. */
void rig_sums(struct port_sums *sums);

/* --- ports */
struct rig_options {
	uint16_t n_queues; /* 0: 1 */
	bool deaf;         /* cannot notify */
};
struct port *rig_port_add(uint16_t number, const struct rig_options *options) WEFT_NO_ANALYSIS;
void rig_port_del(struct port *port) WEFT_NO_ANALYSIS;
/* The guest sends a frame; the guest takes one, waiting for it. */
void rig_send(struct port *port, const uint8_t *frame, size_t len);
/* The same frame @n times at once: bursts of it, as far as they go. */
#define RIG_MANY 64u
void rig_send_many(struct port *port, const uint8_t *frame, size_t len, unsigned n);
/* A packet with metadata of its own; it is the rig's then. */
void rig_send_packet(struct port *port, struct packet *p);
size_t rig_receive(struct port *port, uint8_t *frame, size_t capacity);
/* Frames that the guest has not taken yet. */
unsigned rig_n_waiting(struct port *port);
/* How many more frames the guest takes before its queue is full. */
void rig_set_room(struct port *port, unsigned n);
/* Changes the number of queues, by way of an event. */
void rig_set_queues(struct port *port, uint16_t n) WEFT_NO_ANALYSIS;
/* The liveness word of the port goes down or up, by way of its status. */
void rig_set_link(struct port *port, bool up) WEFT_NO_ANALYSIS;

/* --- the agent */
struct rig_agent {
	uint64_t session;
	struct session_offer offer;
	unsigned n_workers;
	int event_fd, tables_fd;
	struct shm_ring commands, replies, upcalls[DP_MAX_WORKERS];
	uint64_t next_request;
	bool skip_executes; /* rig_reply() passes over answers to executes */
	_Alignas(8) uint8_t buffer[DP_MAX_MESSAGE];
	struct dp_message msg; /* the last one read */
};
void rig_agent_open(struct rig_agent *a, uint64_t epoch) WEFT_NO_ANALYSIS;
/* @tell: the connection closes, too. */
void rig_agent_close(struct rig_agent *a, bool tell) WEFT_NO_ANALYSIS;

/* What most tests begin and end with: one worker, @n_ports ports (numbers from 1) in @ports[1].., an agent. */
void rig_begin(struct port **ports, unsigned n_ports, struct rig_agent *a);
void rig_end(struct rig_agent *a);

/* The next reply (or item), waiting for it; its type. */
uint32_t rig_reply(struct rig_agent *a);
/* The next upcall of a worker, waiting for it. */
const struct dp_upcall *rig_upcall(struct rig_agent *a, unsigned worker);
/* Whether one is there already. */
bool rig_has_upcall(struct rig_agent *a, unsigned worker);

/* The bytes of a list. */
void rig_actions(const char *text, struct dp_actions *list);
/* Puts a flow and waits. The status; the handle in @flow. */
int rig_put(struct rig_agent *a, const struct flow_key *key, uint8_t blocks,
	const struct flow_mask *mask, uint16_t flags, const char *actions, struct dp_handle *flow);
int rig_del(struct rig_agent *a, struct dp_handle flow, struct flow_stats *final);
void rig_execute(struct rig_agent *a, struct dp_parked parked, uint32_t flags, const char *actions);
/* On bytes; waits. */
int rig_execute_bytes(struct rig_agent *a, uint32_t in_port, const char *actions,
	const uint8_t *data, size_t len);
void rig_barrier(struct rig_agent *a);

/* A mask of exact fields; input port and recirculation id always are. Ends with FIELD_N. */
void rig_mask(struct flow_mask *mask, ...);
/* A flow from one port to actions, whatever the packet. */
struct dp_handle rig_wire(struct rig_agent *a, uint16_t in_port, const char *actions);

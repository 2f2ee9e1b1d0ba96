/* SPDX-License-Identifier: Apache-2.0
 *
 * Workers: the threads that forward.
 *
 * Loop:    commands, parked packets' time, then for each rx queue: rx, parse, cache, classify, act;
 *          tx batches and upcall records leave at the end of each burst; then quiescent.
 * Sleep:   after WORKER_IDLE_US without a packet: notifications on, fence, look once more at rings
 *          and commands, offline, poll() on descriptors and the own eventfd, online. A queue whose
 *          provider cannot notify keeps its worker awake.
 * Reach:   other threads post records to the worker's inbox (the tables thread alone writes it) or
 *          publish a new list of queues, and kick the eventfd. The BFD thread has a ring of its own for the
 *          packets that are to be sent.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "datapath/flow_cache.h"
#include "datapath/port.h"
#include "lib/compiler.h"
#include "lib/packet.h"
#include "lib/shm_ring.h"

#define WORKER_BURST 32u
#define WORKER_MAX_BURST 256u
#define WORKER_IDLE_US 250u
#define WORKER_INBOX_SIZE (1u << 20)
#define WORKER_OUTBOX_SIZE (1u << 18)

struct session_rings;
struct park;

struct rx_queue {
	struct port *port;
	uint16_t queue;
};

/* What a worker polls; published as a whole. */
struct rx_list {
	unsigned n;
	struct rx_queue queues[];
};

/* Records of the inbox (tables thread to worker) and the outbox. */
enum worker_message {
	WORKER_EXECUTE = 1, /* struct worker_execute, actions, packet bytes */
	WORKER_PURGE,       /* struct worker_purge: parked packets of a port */
	WORKER_DONE,        /* outbox: struct worker_done */
};

struct worker_execute {
	uint64_t request;
	uint64_t session; /* number; answers to another are thrown away */
	uint32_t handler;
	uint32_t flags;  /* enum dp_execute_flags */
	uint64_t parked; /* 0: bytes */
	uint32_t in_port;
	uint32_t recirc_id;
	uint32_t actions_size;
	uint32_t data_len;
	bool has_tunnel;
	struct packet_tunnel tunnel;
};

struct worker_purge {
	uint32_t port;
	uint32_t zero;
	uint64_t ticket;
};

struct worker_done {
	uint64_t request;
	uint64_t session;
	uint32_t handler; /* UINT32_MAX: a purge, request is its ticket */
	int32_t status;
};

struct worker {
	unsigned id;
	unsigned core;
	int event_fd;
	struct flow_table *table;
	struct flow_cache cache;
	struct rte_mempool *pool;
	_Atomic(struct rx_list *) rx;
	_Atomic(struct session_rings *) session; /* NULL: no agent */
	struct park *park;
	struct shm_ring inbox, outbox; /* worker's sides */
	struct shm_ring made, heard;   /* likewise, from and to the BFD thread */
	_Atomic bool asleep;
	_Atomic bool stop;
	bool busy_poll;
	uint64_t now_ms, now_tsc, hz;
	uint64_t idle_since;
	/* Number of the next outer packet that may be a fragment, or is one; no two workers have one in common. */
	uint32_t ip_id, ip_id_step;
	uint64_t work_cycles;
	/* Ports with something in their tx batch. */
	struct port *dirty[512];
	unsigned n_dirty;
	/* Packets that are to go through once more: two lists, used by turns. */
	struct packet *recirculating[2][WORKER_MAX_BURST];
	unsigned n_recirculating, recirculating_now;
	/* The run of consecutive packets of one flow. */
	struct flow *run_flow;
	uint32_t run_packets;
	uint64_t run_bytes;
	uint16_t run_tcp_flags;
	const struct stats_region *stats;
	void *inbox_buffer; /* of DP_MAX_MESSAGE */
	_Atomic uint64_t busy_cycles, idle_cycles, n_packets, n_bursts, n_sleeps;
	_Atomic(const char *) awake_because;
	_Atomic uint16_t awake_port;
	struct flow_key keys[WORKER_BURST] WEFT_CACHE_ALIGNED;
};

struct workers {
	unsigned n;
	struct worker *list[DP_MAX_WORKERS];
	struct shm_ring inbox_in[DP_MAX_WORKERS]; /* the tables thread's sides */
	struct shm_ring outbox_out[DP_MAX_WORKERS];
	/* The BFD thread's sides, and its eventfd. */
	struct shm_ring made_in[DP_MAX_WORKERS];
	struct shm_ring heard_out[DP_MAX_WORKERS];
	int heard_fd;
};

extern struct workers workers;

/* Makes @n workers for @cores; threads start by worker_main() on their lcores. */
int workers_create(unsigned n, const unsigned *cores, struct flow_table *table,
	const struct stats_region *stats, struct rte_mempool *pool, uint32_t max_flows,
	bool busy_poll, int tables_event_fd);
void workers_destroy(void);
/* The body of a worker's lcore; returns when worker->stop. */
int worker_main(void *worker);
void workers_stop(void);

/* Ports thread: gives each published rx queue to a worker, publishes the lists, waits until the old
 * ones are out of use. A queue that moves is polled by nobody in between: drivers have no locks. */
void workers_assign_queues(void) WEFT_REQUIRES(weft_ports);

/* Any thread. */
void worker_kick(struct worker *w);

/* --- for stages, on the worker ---------------------------------------------------------------------- */

/* Takes a packet to a port's batch. */
void worker_output(struct worker *w, struct packet *p, uint32_t port);
/* Frees a packet and counts it on the port it came from. */
void worker_drop(struct worker *w, struct packet *p, enum drop_reason reason);
void worker_free(struct packet *p);
/* A deep copy, at most @max_len bytes (0: all), counted as copied; NULL: counted as no-copy. */
struct packet *worker_copy(struct worker *w, const struct packet *p, uint32_t max_len);
/* Likewise, but the copy may share the packet's bytes: neither is to be written to any more. */
struct packet *worker_share(struct worker *w, const struct packet *p, uint32_t max_len);
/* Leaves the packet its first @len bytes, and no offload state if that cuts it. */
void worker_truncate(struct packet *p, uint32_t len);
/* Moves the packet's bytes up until there are @n bytes of headroom, and some to spare: what has no room
 * behind them goes to another buffer. False: no buffer is free. */
bool worker_make_room(struct worker *w, struct packet *p, uint32_t n);
/* Brings what follows a short first segment into it, so that PACKET_HEAD_MIN bytes are in one piece. False: its
 * buffer is too small. */
bool worker_pull_head(struct packet *p);
/* In the books of the port it came from: one more packet like this, one less. */
void worker_count_copied(struct worker *w, const struct packet *p);
void worker_uncount_copied(struct worker *w, const struct packet *p);
/* Takes the packets back to the parser when the burst is through; beyond DP_RECIRC_MAX they drop. */
void worker_recirculate(struct worker *w, struct packet **pkts, unsigned n, uint32_t recirc_id);
/* A new packet with @data, as received on @in_port; counted as made. NULL: counted as no-buffer. */
struct packet *worker_make(struct worker *w, const uint8_t *data, uint32_t len, uint16_t in_port);
/* A number for an outer IP packet, by which its fragments are told from others' (RFC 6864 s.4.2, RFC 8200 s.4.5). */
static inline uint32_t
worker_next_ip_id(struct worker *w)
{
	uint32_t id = w->ip_id;

	w->ip_id += w->ip_id_step;
	return id;
}
/* The counters of the port a packet came from; those of DP_PORT_MADE if it has gone. */
struct port_worker *worker_port(struct worker *w, uint16_t in_port);

/* SPDX-License-Identifier: Apache-2.0
 *
 * Upcalls: what a worker asks and tells the agent, and the packets that wait for answers.
 *
 * Parked:  a packet that no flow matches stays with its worker under a handle with generation;
 *          packets with the same full key join it. The agent's execute runs its actions on all of
 *          them. After DP_PARK_MS they are dropped as upcall-timeout.
 * Shares:  what a port has parked and in the ring is kept by its number, here: it outlives the port,
 *          whose packets and records may still be on their way when it is removed.
 * Quota:   a port's records fill at most an eighth of the worker's upcall ring (upcall-quota), and
 *          at most DP_PARKED_PER_PORT of its packets are parked (park-full).
 * Threads: the worker's alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "datapath/worker.h"
#include "lib/dp_protocol.h"

/* What a worker has of a session; published and retired by the tables thread. */
struct session_rings {
	uint64_t number;
	struct shm_ring upcalls; /* the worker's side */
};

struct park *park_create(unsigned worker);
void park_destroy(struct park *park);

/* Parks a packet that was parsed in full depth and asks the agent; or drops it. Consumes it. */
void upcall_miss(struct worker *w, struct packet *p, const struct flow_key *key);

/* Sends the first @max_len bytes to the agent (65535: all). The packet stays the caller's. Counts
 * to_agent, or a drop. */
void upcall_to_agent(
	struct worker *w, struct packet *p, uint32_t context, uint16_t max_len, uint16_t reason);

/* Makes the records of this burst visible to the agent. */
void upcall_flush(struct worker *w);

/* Runs an answer on a parked packet. 0 or -ESTALE. */
int park_execute(struct worker *w, uint64_t parked, const void *actions, size_t size, bool keep)
	WEFT_REQUIRES(weft_worker);

/* Drops what has waited too long. */
void park_expire(struct worker *w);
/* Milliseconds until that is due; -1: nothing waits. */
int park_due_ms(const struct worker *w);
/* Drops the parked packets of a port, as purged; UINT32_MAX: of all ports. */
void park_purge(struct worker *w, uint32_t port);
/* Packets of a port that wait here now. Any thread, while the worker exists. */
uint32_t park_count(const struct worker *w, uint16_t port);

/* SPDX-License-Identifier: Apache-2.0
 *
 * Packet queue: packet-ins of one connection, on their way to a peer that is slow or may have only so many.
 *
 * What:     a token bucket (rate, burst) and behind it a queue. The queue is a row of queues, one for
 *           each input port; messages leave from one port after the other in turn.
 * Limits:   PACKET_QUEUE_MAX messages, no more than the burst where there is a rate (so that none
 *           waits longer than burst / rate), and PACKET_QUEUE_MAX_BYTES. Beyond them the port that
 *           holds most of what is too much loses its newest message: a port that floods displaces
 *           its own packets, and no other port's.
 * Counts:   put = sent + dropped + waiting, always. What was queued is what was not sent at once.
 * Why:      messages are kept encoded, since what they are made of is gone when they leave. The
 *           longest queue is searched for: there are as many as ports with packets that wait, and
 *           at most as many as messages.
 * Time:     handed in, in ms.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/hmap.h"
#include "lib/list.h"

#define PACKET_QUEUE_MAX 1024u
#define PACKET_QUEUE_MAX_BYTES (1u << 20)
#define PACKET_RATE_MAX 1000000u /* packet-ins a second, and of a burst */

struct packet_queue {
	struct list turns; /* struct port_queue: ports with messages, whose turn is next first */
	struct hmap ports; /* the same, by port */
	size_t n;          /* messages that wait */
	size_t n_bytes;
	uint32_t rate; /* a second; 0: no limit */
	uint32_t burst;
	uint64_t credit;      /* tokens, in thousandths */
	uint64_t credited_ms; /* up to when */
	uint64_t n_sent;
	uint64_t n_queued;
	uint64_t n_dropped;
};

/* One that waits. */
struct queued_packet {
	struct list link;
	uint8_t reason; /* as handed in */
	size_t size;
	uint8_t bytes[];
};

void packet_queue_init(struct packet_queue *q);
void packet_queue_uninit(struct packet_queue *q);
/* @rate: a second, 0 no limit; @burst: how many may go at once after a pause (packet_queue_burst()). A
 * new bucket is full; one whose rate changes keeps what it has, as far as it fits. What waits and is too much
 * for the new burst is dropped. */
void packet_queue_set_rate(struct packet_queue *q, uint32_t rate, uint32_t burst, uint64_t now_ms);

/* The burst that belongs to the rate: @burst, or a quarter of a second's; 0 without a rate. */
uint32_t packet_queue_burst(uint32_t rate, uint32_t burst);

/* Whether a message may be sent past the queue: none waits, and there is a token, which is taken. */
bool packet_queue_pass(struct packet_queue *q, uint64_t now_ms);
/* Puts a message of the port behind its others (a copy is taken), and drops what is too much then. */
void packet_queue_put(
	struct packet_queue *q, uint32_t port, uint8_t reason, const void *bytes, size_t size);
/* The next message that may be sent now, with a token; the caller's, to be freed. NULL: none. */
struct queued_packet *packet_queue_take(struct packet_queue *q, uint64_t now_ms);
/* A message that was taken is not sent after all. */
void packet_queue_unsent(struct packet_queue *q);
/* When the next message may leave; UINT64_MAX: none waits. */
uint64_t packet_queue_due(struct packet_queue *q, uint64_t now_ms);

/* SPDX-License-Identifier: Apache-2.0
 *
 * Packet queue: packet-ins of one connection, on their way to a peer that is slow or may have only so many.
 */
#include "controller-agent/packet_queue.h"

#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/compiler.h"
#include "lib/hash.h"

#define TOKEN 1000u /* thousandths */
#define BURST_SHARE 4u

/* The messages of a port, while it has some. */
struct port_queue {
	struct list link; /* in turns */
	struct hmap_node node;
	struct list packets; /* oldest first */
	uint32_t port;
	size_t n;
	size_t n_bytes;
};

static size_t max_messages(const struct packet_queue *q);
static void earn(struct packet_queue *q, uint64_t now_ms);
static bool spend(struct packet_queue *q, uint64_t now_ms);
static struct port_queue *port_queue_find(const struct packet_queue *q, uint32_t port);
static struct port_queue *port_queue_get(struct packet_queue *q, uint32_t port);
static void drop_excess(
	struct packet_queue *q, struct port_queue *newest, const struct queued_packet *packet);
static struct port_queue *longest(
	const struct packet_queue *q, struct port_queue *newest, bool by_bytes);
static struct queued_packet *take_from(
	struct packet_queue *q, struct port_queue *pq, struct list *link);

void
packet_queue_init(struct packet_queue *q)
{
	memset(q, 0, sizeof(*q));
	list_init(&q->turns);
	hmap_init(&q->ports);
}

void
packet_queue_uninit(struct packet_queue *q)
{
	while (!list_is_empty(&q->turns)) {
		struct port_queue *pq = LIST_ENTRY(q->turns.next, struct port_queue, link);

		free(take_from(q, pq, pq->packets.next));
	}
	hmap_uninit(&q->ports);
}

void
packet_queue_set_rate(struct packet_queue *q, uint32_t rate, uint32_t burst, uint64_t now_ms)
{
	bool is_new = !q->rate;

	earn(q, now_ms);
	q->rate = rate;
	q->burst = packet_queue_burst(rate, burst);
	q->credit = is_new ? (uint64_t)q->burst * TOKEN
			   : WEFT_MIN(q->credit, (uint64_t)q->burst * TOKEN);
	q->credited_ms = now_ms;
	drop_excess(q, NULL, NULL);
}

uint32_t
packet_queue_burst(uint32_t rate, uint32_t burst)
{
	if (!rate) {
		return 0;
	}
	return burst ? burst : WEFT_MAX(rate / BURST_SHARE, 1u);
}

bool
packet_queue_pass(struct packet_queue *q, uint64_t now_ms)
{
	if (q->n || !spend(q, now_ms)) {
		return false;
	}
	q->n_sent++;
	return true;
}

void
packet_queue_put(
	struct packet_queue *q, uint32_t port, uint8_t reason, const void *bytes, size_t size)
{
	struct queued_packet *packet = xmalloc(sizeof(*packet) + size);
	struct port_queue *pq = port_queue_get(q, port);

	packet->reason = reason;
	packet->size = size;
	memcpy(packet->bytes, bytes, size);
	list_push_back(&pq->packets, &packet->link);
	pq->n++;
	pq->n_bytes += size;
	q->n++;
	q->n_bytes += size;
	q->n_queued++;
	drop_excess(q, pq, packet);
}

/* @packet has just been put behind @newest's others; NULL: none has. */
static void
drop_excess(struct packet_queue *q, struct port_queue *newest, const struct queued_packet *packet)
{
	while (q->n > max_messages(q) || q->n_bytes > PACKET_QUEUE_MAX_BYTES) {
		struct port_queue *loser = longest(q, newest, q->n <= max_messages(q));
		struct list *last = loser->packets.prev;

		if (packet && last == &packet->link) {
			q->n_queued--; /* it never waited */
			newest = NULL; /* and its port may have no others */
			packet = NULL;
		}
		free(take_from(q, loser, last));
		q->n_dropped++;
	}
}

struct queued_packet *
packet_queue_take(struct packet_queue *q, uint64_t now_ms)
{
	struct queued_packet *packet;
	struct port_queue *pq;

	if (!q->n || !spend(q, now_ms)) {
		return NULL;
	}
	pq = LIST_ENTRY(q->turns.next, struct port_queue, link);
	list_remove(&pq->link);
	list_push_back(&q->turns, &pq->link);
	packet = take_from(q, pq, pq->packets.next);
	q->n_sent++;
	return packet;
}

void
packet_queue_unsent(struct packet_queue *q)
{
	q->n_sent--;
	q->n_dropped++;
	if (q->rate) {
		q->credit = WEFT_MIN(q->credit + TOKEN, (uint64_t)q->burst * TOKEN);
	}
}

uint64_t
packet_queue_due(struct packet_queue *q, uint64_t now_ms)
{
	if (!q->n) {
		return UINT64_MAX;
	}
	earn(q, now_ms);
	if (!q->rate || q->credit >= TOKEN) {
		return now_ms;
	}
	return now_ms + (TOKEN - q->credit + q->rate - 1) / q->rate;
}

static size_t
max_messages(const struct packet_queue *q)
{
	return q->rate ? WEFT_MIN(q->burst, PACKET_QUEUE_MAX) : PACKET_QUEUE_MAX;
}

/* --- tokens ------------------------------------------------------------------------------------- */

/* A rate of one a second earns a thousandth of a token each ms. */
static void
earn(struct packet_queue *q, uint64_t now_ms)
{
	uint64_t full = (uint64_t)q->burst * TOKEN, passed = now_ms - q->credited_ms;

	if (!q->rate || now_ms <= q->credited_ms) {
		return;
	}
	q->credited_ms = now_ms;
	q->credit = passed > full / q->rate ? full : WEFT_MIN(q->credit + passed * q->rate, full);
}

static bool
spend(struct packet_queue *q, uint64_t now_ms)
{
	if (!q->rate) {
		return true;
	}
	earn(q, now_ms);
	if (q->credit < TOKEN) {
		return false;
	}
	q->credit -= TOKEN;
	return true;
}

/* --- ports -------------------------------------------------------------------------------------- */

static struct port_queue *
port_queue_find(const struct packet_queue *q, uint32_t port)
{
	struct hmap_node *node;

	for (node = hmap_first_with_hash(&q->ports, hash_u64(port, 0)); node;
		node = hmap_next_with_hash(node)) {
		struct port_queue *pq = WEFT_CONTAINER_OF(node, struct port_queue, node);

		if (pq->port == port) {
			return pq;
		}
	}
	return NULL;
}

static struct port_queue *
port_queue_get(struct packet_queue *q, uint32_t port)
{
	struct port_queue *pq = port_queue_find(q, port);

	if (!pq) {
		pq = xcalloc(1, sizeof(*pq));
		pq->port = port;
		list_init(&pq->packets);
		list_push_back(&q->turns, &pq->link);
		hmap_insert(&q->ports, &pq->node, hash_u64(port, 0));
	}
	return pq;
}

/* The port with most messages or bytes; @newest, which has just got one, before others that have as many, if it is
 * not NULL. */
static struct port_queue *
longest(const struct packet_queue *q, struct port_queue *newest, bool by_bytes)
{
	struct port_queue *found = newest, *pq;

	LIST_FOREACH (pq, link, &q->turns) {
		if (!found || (by_bytes ? pq->n_bytes > found->n_bytes : pq->n > found->n)) {
			found = pq;
		}
	}
	return found;
}

/* Takes the packet at @link out; the port's queue goes with its last. */
static struct queued_packet *
take_from(struct packet_queue *q, struct port_queue *pq, struct list *link)
{
	struct queued_packet *packet = LIST_ENTRY(link, struct queued_packet, link);

	list_remove(link);
	pq->n--;
	pq->n_bytes -= packet->size;
	q->n--;
	q->n_bytes -= packet->size;
	if (!pq->n) {
		list_remove(&pq->link);
		hmap_remove(&q->ports, &pq->node);
		free(pq);
	}
	return packet;
}

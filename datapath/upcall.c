/* SPDX-License-Identifier: Apache-2.0
 *
 * Upcalls and parked packets.
 */
#include "datapath/upcall.h"

#include <errno.h>
#include <netinet/in.h>
#include <rte_mbuf.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "datapath/action.h"
#include "datapath/edit.h"
#include "datapath/flow_table.h"
#include "datapath/key_hash.h"
#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "lib/stats_region.h"
#include "vhost/packet_mbuf.h"

#define PARK_SLOTS 4096u
#define PARK_BUCKETS 4096u
#define NONE UINT32_MAX
/* Records that a ring can hold at most: none is smaller than its head and one key block. */
#define RECORD_MIN (sizeof(struct shm_ring_rec) + sizeof(struct dp_upcall) + FLOW_BLOCK_SIZE)
#define FIFO_SIZE 16384u

/* One key that waits for the agent. */
struct parked {
	uint32_t gen;
	uint32_t hash;
	uint32_t next;         /* in its bucket, or of the free list */
	uint32_t newer, older; /* by time */
	uint16_t in_port;
	uint16_t n; /* packets; 0: the slot is free */
	uint8_t key_blocks;
	uint64_t deadline_ms;
	struct packet *pkts[DP_PARKED_PER_KEY];
	struct flow_key key;
};

/* A record in the ring, to give its port the room back when the agent has read it. */
struct sent {
	uint32_t end; /* the ring's index behind it */
	uint32_t size;
	uint32_t port;
};

/* What a port has of the worker's room. */
struct share {
	_Atomic uint32_t n_parked; /* packets; written by the worker */
	uint32_t upcall_bytes;     /* in the ring */
};

struct park {
	unsigned worker;
	uint64_t session; /* whose ring the fifo is about */
	uint32_t free_head;
	uint32_t oldest, newest;
	uint32_t heads[PARK_BUCKETS];
	struct parked slots[PARK_SLOTS];
	struct sent fifo[FIFO_SIZE];
	uint32_t fifo_in, fifo_out;
	struct share shares[DP_PORT_MADE + 1];
};
_Static_assert(FIFO_SIZE *RECORD_MIN > DP_UPCALL_RING_SIZE, "the fifo outlasts the ring");

static const struct flow_mask all_ones = {.bits.bytes = {[0 ... FLOW_KEY_SIZE - 1] = 0xff}};

struct park *
park_create(unsigned worker)
{
	struct park *park = xcalloc(1, sizeof *park);

	park->worker = worker;
	park->oldest = park->newest = NONE;
	for (uint32_t i = 0; i < PARK_BUCKETS; i++) {
		park->heads[i] = NONE;
	}
	for (uint32_t i = 0; i < PARK_SLOTS; i++) {
		park->slots[i].next = i + 1 < PARK_SLOTS ? i + 1 : NONE;
		park->slots[i].gen = 1;
	}
	return park;
}

void
park_destroy(struct park *park)
{
	free(park);
}

/* --- ring ---------------------------------------------------------------------------------------------- */

static void
count_parked(struct park *park, uint16_t port, uint32_t n)
{
	_Atomic uint32_t *n_parked = &park->shares[port].n_parked;

	atomic_store_explicit(n_parked, atomic_load_explicit(n_parked, memory_order_relaxed) + n,
		memory_order_relaxed);
}

uint32_t
park_count(const struct worker *w, uint16_t port)
{
	return atomic_load_explicit(&w->park->shares[port].n_parked, memory_order_relaxed);
}

/* The agent's rings, or NULL. With a new session the old ring's records are nobody's any more. */
static struct session_rings *
session_of(struct worker *w)
{
	struct session_rings *s = atomic_load_explicit(&w->session, memory_order_acquire);
	struct park *park = w->park;

	if (WEFT_UNLIKELY(s && s->number != park->session)) {
		park->session = s->number;
		while (park->fifo_out != park->fifo_in) {
			struct sent *sent = &park->fifo[park->fifo_out++ % FIFO_SIZE];

			park->shares[sent->port].upcall_bytes -= sent->size;
		}
	}
	return s;
}

/* Gives ports back the room of records that the agent has read. */
static void
settle(struct worker *w, struct session_rings *s)
{
	struct park *park = w->park;
	uint32_t used = shm_ring_used(&s->upcalls), read = s->upcalls.own - used;

	while (park->fifo_out != park->fifo_in) {
		struct sent *sent = &park->fifo[park->fifo_out % FIFO_SIZE];

		if ((int32_t)(sent->end - read) > 0) {
			break;
		}
		park->shares[sent->port].upcall_bytes -= sent->size;
		park->fifo_out++;
	}
}

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Writes one record; false: no room for it in the ring or in the port's share. */
static bool
write_record(struct worker *w, struct session_rings *s, uint32_t kind, struct packet *p,
	struct dp_upcall *head, const struct flow_key *key)
{
	size_t key_size = flow_blocks_size(head->key_blocks);
	uint32_t size = (uint32_t)(sizeof *head + key_size + WEFT_ROUND_UP(head->data_len, 8));
	struct park *park = w->park;
	struct share *share = &park->shares[p->in_port];
	uint8_t *at;
	const uint8_t *data;

	if (share->upcall_bytes + size > DP_UPCALL_RING_SIZE / 8) {
		settle(w, s);
		if (share->upcall_bytes + size > DP_UPCALL_RING_SIZE / 8) {
			return false;
		}
	}
	at = park->fifo_in - park->fifo_out < FIFO_SIZE ? shm_ring_reserve(&s->upcalls, kind, size)
							: NULL;
	if (!at) {
		return false;
	}
	memcpy(at, head, sizeof *head);
	if (key_size) {
		flow_key_pack(at + sizeof *head, key, head->key_blocks);
	}
	at += sizeof *head + key_size;
	memset(at + head->data_len, 0, WEFT_ROUND_UP(head->data_len, 8) - head->data_len);
	data = rte_pktmbuf_read(packet_mbuf(p), head->data_off, head->data_len, at);
	if (data && data != at) {
		memcpy(at, data, head->data_len);
	}
	if (p->flags & PACKET_CSUM_PARTIAL && !head->data_off) {
		packet_complete_csum(p, at, head->data_len);
	}
	park->fifo[park->fifo_in++ % FIFO_SIZE] = (struct sent){s->upcalls.own, size, p->in_port};
	share->upcall_bytes += size;
	return true;
}

static void
fill_head(struct dp_upcall *head, const struct packet *p, const struct flow_key *key,
	uint64_t time_ns)
{
	*head = (struct dp_upcall){
		.time_ns = time_ns,
		.packet_len = p->len,
		.flags =
			(uint16_t)((p->flags & PACKET_CSUM_PARTIAL ? DP_UPCALL_CSUM_COMPLETED : 0) |
				   (p->flags & PACKET_GSO_MASK ? DP_UPCALL_GSO : 0)),
		.hash = p->hash ? p->hash : key_hash_tuple(key, p->key_blocks, 0),
	};
}

void
upcall_flush(struct worker *w)
{
	struct session_rings *s = session_of(w);

	if (s) {
		shm_ring_publish(&s->upcalls);
	}
}

void
upcall_to_agent(
	struct worker *w, struct packet *p, uint32_t context, uint16_t max_len, uint16_t reason)
{
	struct session_rings *s = session_of(w);
	struct port_worker *pw = worker_port(w, p->in_port);
	uint32_t len = max_len == UINT16_MAX ? p->len : WEFT_MIN(p->len, (uint32_t)max_len);
	struct park *park = w->park;
	uint32_t mark, fifo_mark;
	struct dp_upcall head;
	struct flow_key own;

	if (!s) {
		counter_add(&pw->counters.drops[DROP_NO_AGENT], 1);
		return;
	}
	/* The key of the packet as it is now, in full. */
	if (!packet_parse(p, &own, PARSE_L4)) {
		memset(&own, 0, FLOW_BLOCK_SIZE);
		p->key_blocks = FLOW_BLOCK(0);
	}
	fill_head(&head, p, &own, now_ns());
	head.context = context;
	head.reason = reason;
	mark = s->upcalls.own;
	fifo_mark = park->fifo_in;
	for (uint32_t off = 0; off == 0 || off < len; off += DP_UPCALL_DATA_MAX) {
		head.data_off = off;
		head.data_len = (uint16_t)WEFT_MIN(len - off, DP_UPCALL_DATA_MAX);
		head.key_blocks = off ? 0 : p->key_blocks;
		head.flags =
			(uint16_t)(off + DP_UPCALL_DATA_MAX < len ? head.flags | DP_UPCALL_MORE
								  : head.flags & ~DP_UPCALL_MORE);
		if (!write_record(w, s, DP_UPCALL_TO_AGENT, p, &head, &own)) {
			/* All or nothing: takes back what is not published yet. */
			s->upcalls.own = mark;
			while (park->fifo_in != fifo_mark) {
				const struct sent *sent = &park->fifo[--park->fifo_in % FIFO_SIZE];

				park->shares[sent->port].upcall_bytes -= sent->size;
			}
			counter_add(&pw->counters.drops[DROP_UPCALL_QUOTA], 1);
			return;
		}
	}
	counter_add(&pw->counters.to_agent, 1);
}

/* --- parking ------------------------------------------------------------------------------------------- */

static bool
same_key(const struct parked *e, const struct flow_key *key, uint8_t blocks)
{
	if (e->key_blocks != blocks) {
		return false;
	}
	for (unsigned b = 0; b < FLOW_N_BLOCKS; b++) {
		size_t off = b * FLOW_BLOCK_SIZE;

		if (blocks & FLOW_BLOCK(b) &&
			memcmp(e->key.bytes + off, key->bytes + off, FLOW_BLOCK_SIZE)) {
			return false;
		}
	}
	return true;
}

static struct parked *
find_parked(struct park *park, uint32_t hash, const struct flow_key *key, uint8_t blocks)
{
	for (uint32_t i = park->heads[hash % PARK_BUCKETS]; i != NONE; i = park->slots[i].next) {
		if (park->slots[i].hash == hash && same_key(&park->slots[i], key, blocks)) {
			return &park->slots[i];
		}
	}
	return NULL;
}

static uint64_t
handle_of(const struct park *park, const struct parked *e)
{
	return (uint64_t)e->gen << 32 | (uint64_t)park->worker << 24 | (uint64_t)(e - park->slots);
}

/* Takes an entry out of bucket and time list; its packets are the caller's. */
static void
release(struct worker *w, struct parked *e)
{
	struct park *park = w->park;
	uint32_t index = (uint32_t)(e - park->slots), *at = &park->heads[e->hash % PARK_BUCKETS];

	while (*at != index) {
		at = &park->slots[*at].next;
	}
	*at = e->next;
	if (e->older != NONE) {
		park->slots[e->older].newer = e->newer;
	} else {
		park->oldest = e->newer;
	}
	if (e->newer != NONE) {
		park->slots[e->newer].older = e->older;
	} else {
		park->newest = e->older;
	}
	count_parked(park, e->in_port, (uint32_t)-e->n);
	e->n = 0;
	e->gen = e->gen == UINT32_MAX ? 1 : e->gen + 1;
	e->next = park->free_head;
	park->free_head = index;
}

static struct parked *
take_entry(struct worker *w, uint32_t hash, const struct flow_key *key, const struct packet *p)
{
	struct park *park = w->park;
	uint32_t index = park->free_head;
	struct parked *e;

	if (index == NONE) {
		return NULL;
	}
	e = &park->slots[index];
	park->free_head = e->next;
	e->hash = hash;
	e->in_port = p->in_port;
	e->key_blocks = p->key_blocks;
	for (unsigned b = 0; b < FLOW_N_BLOCKS; b++) {
		size_t off = b * FLOW_BLOCK_SIZE;

		if (p->key_blocks & FLOW_BLOCK(b)) {
			memcpy(e->key.bytes + off, key->bytes + off, FLOW_BLOCK_SIZE);
		}
	}
	e->deadline_ms = w->now_ms + DP_PARK_MS;
	e->next = park->heads[hash % PARK_BUCKETS];
	park->heads[hash % PARK_BUCKETS] = index;
	e->older = park->newest;
	e->newer = NONE;
	if (park->newest != NONE) {
		park->slots[park->newest].newer = index;
	} else {
		park->oldest = index;
	}
	park->newest = index;
	return e;
}

void
upcall_miss(struct worker *w, struct packet *p, const struct flow_key *key)
{
	struct session_rings *s = session_of(w);
	struct port_worker *pw = worker_port(w, p->in_port);
	uint32_t hash = key_hash_live(key, p->key_blocks, FLOW_BLOCKS_DATAPATH, &all_ones);
	struct dp_upcall head;
	struct parked *e;

	if (!s) {
		worker_drop(w, p, DROP_NO_AGENT);
		return;
	}
	if (park_count(w, p->in_port) >= DP_PARKED_PER_PORT) {
		worker_drop(w, p, DROP_PARK_FULL);
		return;
	}
	e = find_parked(w->park, hash, key, p->key_blocks);
	if (e) {
		if (e->n == DP_PARKED_PER_KEY) {
			worker_drop(w, p, DROP_PARK_FULL);
			return;
		}
		counter_add(&pw->counters.upcalls_joined, 1);
	} else {
		e = take_entry(w, hash, key, p);
		if (!e) {
			worker_drop(w, p, DROP_PARK_FULL);
			return;
		}
		fill_head(&head, p, key, now_ns());
		head.parked.v = handle_of(w->park, e);
		head.data_len = (uint16_t)WEFT_MIN(p->len, DP_UPCALL_DATA_MAX);
		head.key_blocks = p->key_blocks;
		if (!write_record(w, s, DP_UPCALL_MISS, p, &head, key)) {
			release(w, e);
			worker_drop(w, p, DROP_UPCALL_QUOTA);
			return;
		}
		counter_add(&pw->counters.upcalls, 1);
	}
	e->pkts[e->n++] = p;
	count_parked(w->park, p->in_port, 1);
}

static void credit_joined(struct worker *w, const struct parked *e) WEFT_REQUIRES(weft_worker);

/* Those that joined the first: the agent counts that one alone, so the flow that it has put for them counts
 * these, as if they had come after it. */
static void
credit_joined(struct worker *w, const struct parked *e)
{
	struct flow *f;
	uint64_t bytes = 0;

	if (e->n < 2) {
		return;
	}
	f = flow_table_find(w->table, e->in_port, &e->key, e->key_blocks);
	if (!f) {
		return; /* nowhere to count */
	}
	for (unsigned i = 1; i < e->n; i++) {
		bytes += e->pkts[i]->len;
	}
	stats_record_credit(stats_region_record(w->stats, w->id, f->slot), e->n - 1u, bytes,
		w->now_ms, e->key.ip_proto == IPPROTO_TCP ? be16_to(e->key.tcp_flags) : 0);
}

int
park_execute(struct worker *w, uint64_t parked, const void *actions, size_t size, bool keep)
{
	struct park *park = w->park;
	uint32_t index = parked & 0xffffff, gen = (uint32_t)(parked >> 32);
	struct packet *pkts[DP_PARKED_PER_KEY];
	struct parked *e;
	unsigned n;

	if (index >= PARK_SLOTS || (parked >> 24 & 0xff) != park->worker) {
		return -ESTALE;
	}
	e = &park->slots[index];
	if (!e->n || e->gen != gen) {
		return -ESTALE;
	}
	if (keep) {
		/* On a copy of the first: the agent wants to see more of it. */
		struct packet *copy = worker_copy(w, e->pkts[0], 0);

		if (copy) {
			actions_run(w, copy, NULL, actions, size);
		}
		return 0;
	}
	credit_joined(w, e);
	n = e->n;
	memcpy(pkts, e->pkts, n * sizeof pkts[0]);
	release(w, e);
	for (unsigned i = 0; i < n; i++) {
		actions_run(w, pkts[i], NULL, actions, size);
	}
	return 0;
}

static void
drop_entry(struct worker *w, struct parked *e, enum drop_reason reason)
{
	struct packet *pkts[DP_PARKED_PER_KEY];
	unsigned n = e->n;

	memcpy(pkts, e->pkts, n * sizeof pkts[0]);
	release(w, e);
	for (unsigned i = 0; i < n; i++) {
		worker_drop(w, pkts[i], reason);
	}
}

void
park_expire(struct worker *w)
{
	struct park *park = w->park;

	while (park->oldest != NONE && park->slots[park->oldest].deadline_ms <= w->now_ms) {
		drop_entry(w, &park->slots[park->oldest], DROP_UPCALL_TIMEOUT);
	}
}

int
park_due_ms(const struct worker *w)
{
	const struct park *park = w->park;
	uint64_t deadline;

	if (park->oldest == NONE) {
		return -1;
	}
	deadline = park->slots[park->oldest].deadline_ms;
	return deadline > w->now_ms ? (int)(deadline - w->now_ms) : 0;
}

void
park_purge(struct worker *w, uint32_t port)
{
	struct park *park = w->park;
	uint32_t next;

	for (uint32_t i = park->oldest; i != NONE; i = next) {
		next = park->slots[i].newer;
		if (port == UINT32_MAX || park->slots[i].in_port == port) {
			drop_entry(w, &park->slots[i], DROP_PURGED);
		}
	}
}

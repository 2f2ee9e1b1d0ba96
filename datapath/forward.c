/* SPDX-License-Identifier: Apache-2.0
 *
 * Forwarding.
 *
 * Why: a burst is handled in passes (parse, then hash, then look up and act), so that the cache
 *      lines of the buckets are on their way before they are looked at.
 */
#include "datapath/forward.h"

#include <netinet/in.h>
#include <rte_prefetch.h>
#include <string.h>

#include "datapath/action.h"
#include "datapath/capture.h"
#include "datapath/key_hash.h"
#include "datapath/upcall.h"

/* The flows that packets of one port are looked up in. */
struct lookup {
	const struct live_mask *live, *old;
	enum parse_depth depth;
};

static struct lookup lookup_of(struct worker *w, uint32_t in_port) WEFT_REQUIRES(weft_worker);
static struct flow *classify(struct worker *w, struct packet *p, struct flow_key *key)
	WEFT_REQUIRES(weft_worker);
static void forward(struct worker *w, const struct lookup *l, struct port_worker *pw,
	struct packet **pkts, unsigned n) WEFT_REQUIRES(weft_worker);
static unsigned forward_again(struct worker *w, struct packet **pkts, unsigned n)
	WEFT_REQUIRES(weft_worker);

/* Credits the run of packets of one flow that ended. */
static void
credit_run(struct worker *w)
{
	if (w->run_packets) {
		stats_record_credit(stats_region_record(w->stats, w->id, w->run_flow->slot),
			w->run_packets, w->run_bytes, w->now_ms, w->run_tcp_flags);
		w->run_packets = 0;
		w->run_bytes = 0;
		w->run_tcp_flags = 0;
	}
	w->run_flow = NULL;
}

static inline void
act(struct worker *w, struct flow *f, struct packet *p, struct flow_key *key)
{
	uint32_t single_port = atomic_load_explicit(&f->single_port, memory_order_relaxed);
	const struct action_program *program;

	if (WEFT_UNLIKELY(f != w->run_flow)) {
		credit_run(w);
		w->run_flow = f;
	}
	w->run_packets++;
	w->run_bytes += p->len;
	if (key->tcp_flags && key->ip_proto == IPPROTO_TCP) {
		w->run_tcp_flags |= be16_to(key->tcp_flags);
	}
	if (WEFT_LIKELY(single_port != UINT32_MAX)) {
		worker_output(w, p, single_port);
		return;
	}
	program = atomic_load_explicit(&f->program, memory_order_acquire);
	if (WEFT_UNLIKELY(program->depth > p->depth)) {
		/* Parsed under the live mask of before this program. */
		packet_parse(p, key, (enum parse_depth)program->depth);
	}
	action_program_run(w, p, key, program);
}

/* Finds the flow of a packet that was parsed as deep as the live mask of the burst asks. A flow that
 * was put since may look deeper, into fields that are zero as yet. */
static struct flow *
classify(struct worker *w, struct packet *p, struct flow_key *key)
{
	struct flow *f = flow_table_find(w->table, p->in_port, key, p->key_blocks);

	if (p->depth < PARSE_L4 && (!f || f->mask->depth > p->depth)) {
		packet_parse(p, key, PARSE_L4);
		f = flow_table_find(w->table, p->in_port, key, p->key_blocks);
	}
	return f;
}

void
worker_recirculate(struct worker *w, struct packet *p, uint32_t recirc_id)
{
	if (++p->n_recirc > DP_RECIRC_MAX || w->n_recirculating == WORKER_MAX_BURST) {
		worker_drop(w, p, DROP_RECIRC_LIMIT);
		return;
	}
	p->recirc_id = recirc_id;
	w->recirculating[w->n_recirculating++] = p;
}

static void
drop_all(struct worker *w, struct packet **pkts, unsigned n, enum drop_reason reason)
{
	for (unsigned i = 0; i < n; i++) {
		worker_drop(w, pkts[i], reason);
	}
}

/* The flow in slot @guess if the key hits it, else what the cache finds. */
static inline struct flow *
find_cached(struct worker *w, uint32_t guess, uint32_t hash, const struct flow_key *key,
	uint8_t present)
{
	if (WEFT_LIKELY(guess != FLOW_SLOT_NONE)) {
		struct flow *f = &w->cache.flows[guess];

		if (WEFT_LIKELY(atomic_load_explicit(&f->live, memory_order_acquire) &&
				flow_matches(f, key, present))) {
			return f;
		}
	}
	return flow_cache_find(&w->cache, hash, key, present);
}

static struct lookup
lookup_of(struct worker *w, uint32_t in_port)
{
	struct lookup l;

	l.live = flow_table_live_mask(w->table, in_port, w->now_ms, &l.old);
	l.depth = l.live ? (enum parse_depth)l.live->depth : PARSE_L4;
	return l;
}

/* As long as packets go on being of the one flow that took the whole burst before, nothing needs to be hashed:
 * so it is with what comes out of one tunnel, or goes through a wire. Returns how many. */
static unsigned
follow(struct worker *w, const struct port_worker *pw, struct packet **pkts, unsigned n)
{
	struct flow *f;
	unsigned i = 0;

	if (pw->last_flow == UINT32_MAX) {
		return 0;
	}
	f = &w->cache.flows[pw->last_flow];
	while (i < n && atomic_load_explicit(&f->live, memory_order_acquire) &&
		flow_matches(f, &w->keys[i], pkts[i]->key_blocks) &&
		f->mask->depth <= pkts[i]->depth) {
		act(w, f, pkts[i], &w->keys[i]);
		i++;
	}
	return i;
}

/* Cache, classify, act: of packets of one port, parsed; their keys stand in w->keys. */
static void
forward(struct worker *w, const struct lookup *l, struct port_worker *pw, struct packet **pkts,
	unsigned n)
{
	const struct live_mask *live = l->live, *old = l->old;
	uint32_t hashes[WORKER_BURST], guesses[WORKER_BURST], n_table = 0;
	unsigned first = follow(w, pw, pkts, n), n_cache = first;
	const struct flow *one = NULL;
	bool is_one = n > 1;

	/* A pass of its own: read wide right behind the parser's narrow writes a key would stall. */
	for (unsigned i = first; live && i < n; i++) {
		hashes[i] =
			key_hash_live(&w->keys[i], pkts[i]->key_blocks, live->blocks, &live->mask);
		flow_cache_prefetch(&w->cache, hashes[i]);
	}
	for (unsigned i = first; live && i < n; i++) {
		guesses[i] = flow_cache_guess(&w->cache, hashes[i]);
		if (guesses[i] != FLOW_SLOT_NONE) {
			__builtin_prefetch(stats_region_record(w->stats, w->id, guesses[i]), 1);
		}
	}
	for (unsigned i = first; i < n; i++) {
		struct packet *p = pkts[i];
		struct flow_key *key = &w->keys[i];
		struct flow *f =
			live ? find_cached(w, guesses[i], hashes[i], key, p->key_blocks) : NULL;

		if (WEFT_LIKELY(f && f->mask->depth <= p->depth)) {
			is_one = is_one && (i == 0 || f == one);
			one = f;
			n_cache++;
			act(w, f, p, key);
			continue;
		}
		is_one = false;
		if (old &&
			(f = flow_cache_find(&w->cache,
				 key_hash_live(key, p->key_blocks, old->blocks, &old->mask), key,
				 p->key_blocks)) &&
			f->mask->depth <= p->depth) {
			n_cache++;
		} else if ((f = classify(w, p, key))) {
			n_table++;
		}
		if (!f) {
			counter_add(&pw->counters.misses, 1);
			upcall_miss(w, p, key);
			continue;
		}
		if (live) {
			flow_cache_insert(&w->cache, hashes[i], f->slot);
		}
		act(w, f, p, key);
	}
	if (first < n) {
		pw->last_flow = is_one ? one->slot : UINT32_MAX;
	}
	counter_add(&pw->counters.cache_hits, n_cache);
	if (n_table) {
		counter_add(&pw->counters.table_hits, n_table);
	}
}

/* Takes up to a burst of @pkts that have one input port and sends them through once more. Returns how
 * many. */
static unsigned
forward_again(struct worker *w, struct packet **pkts, unsigned n)
{
	uint16_t in_port = pkts[0]->in_port;
	struct lookup l = lookup_of(w, in_port);
	unsigned taken = 0, n_good = 0;

	for (; taken < n && taken < WORKER_BURST && pkts[taken]->in_port == in_port; taken++) {
		struct packet *p = pkts[taken];

		if (WEFT_UNLIKELY(!packet_parse(p, &w->keys[n_good], l.depth))) {
			worker_drop(w, p, DROP_RX_TRUNCATED);
			continue;
		}
		pkts[n_good++] = p;
	}
	forward(w, &l, worker_port(w, in_port), pkts, n_good);
	return taken;
}

/* In rounds: what a round recirculates is the next one's. DP_RECIRC_MAX bounds them. */
void
forward_recirculated(struct worker *w)
{
	struct packet *round[WORKER_MAX_BURST];
	unsigned n;

	while ((n = w->n_recirculating)) {
		memcpy(round, w->recirculating, n * sizeof round[0]);
		w->n_recirculating = 0;
		for (unsigned i = 0; i < n;) {
			i += forward_again(w, round + i, n - i);
		}
	}
	credit_run(w);
}

void
forward_burst(struct worker *w, struct port *port, struct port_worker *pw, struct packet **pkts,
	unsigned n)
{
	const struct capture_set *captures;
	struct lookup l;
	uint64_t bytes = 0;
	unsigned n_good = 0;

	captures = atomic_load_explicit(&port->capture_rx, memory_order_acquire);
	if (WEFT_UNLIKELY(captures)) {
		capture_received(captures, w->id, pkts[0]->rx_queue, pkts, n);
	}
	l = lookup_of(w, port->number);
	rte_prefetch0(pkts[0]->data);
	for (unsigned i = 0; i < n; i++) {
		struct packet *p = pkts[i];

		if (i + 1 < n) {
			rte_prefetch0(pkts[i + 1]->data);
		}
		bytes += p->len;
		if (WEFT_UNLIKELY(!packet_parse(p, &w->keys[n_good], l.depth))) {
			worker_drop(w, p, DROP_RX_TRUNCATED);
			continue;
		}
		pkts[n_good++] = p;
	}
	counter_add(&pw->counters.rx_packets, n);
	counter_add(&pw->counters.rx_bytes, bytes);
	if (WEFT_UNLIKELY(!atomic_load_explicit(&port->admin_up, memory_order_relaxed))) {
		drop_all(w, pkts, n_good, DROP_RX_DISABLED);
		return;
	}
	forward(w, &l, pw, pkts, n_good);
	forward_recirculated(w);
}

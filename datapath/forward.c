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

/* Notes @n more packets of a flow. @keys: of theirs; NULL: none is TCP. */
static inline void
count(struct worker *w, struct flow *f, struct packet **pkts, const struct flow_key *keys,
	unsigned n)
{
	uint64_t bytes = 0;
	be16_t tcp_flags = be16_from(0);

	if (WEFT_UNLIKELY(f != w->run_flow)) {
		credit_run(w);
		w->run_flow = f;
	}
	for (unsigned i = 0; i < n; i++) {
		bytes += pkts[i]->len;
		if (keys && keys[i].tcp_flags && keys[i].ip_proto == IPPROTO_TCP) {
			tcp_flags |= keys[i].tcp_flags;
		}
	}
	w->run_packets += n;
	w->run_bytes += bytes;
	w->run_tcp_flags |= be16_to(tcp_flags);
}

/* @n packets of one flow, whose keys stand in a row from @keys on. */
static inline void
act(struct worker *w, struct flow *f, struct packet **pkts, struct flow_key *keys, unsigned n)
{
	uint32_t single_port = atomic_load_explicit(&f->single_port, memory_order_relaxed);
	const struct action_program *program;

	count(w, f, pkts, keys, n);
	if (WEFT_LIKELY(single_port != UINT32_MAX)) {
		for (unsigned i = 0; i < n; i++) {
			worker_output(w, pkts[i], single_port);
		}
		return;
	}
	program = atomic_load_explicit(&f->program, memory_order_acquire);
	for (unsigned i = 0; i < n; i++) {
		if (WEFT_UNLIKELY(program->depth > pkts[i]->depth)) {
			/* Parsed under the live mask of before this program. */
			packet_parse(pkts[i], &keys[i], (enum parse_depth)program->depth);
		}
	}
	action_program_run(w, pkts, keys, n, program);
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
worker_recirculate(struct worker *w, struct packet **pkts, unsigned n, uint32_t recirc_id)
{
	struct packet **to = w->recirculating[w->recirculating_now];
	unsigned n_to = w->n_recirculating;

	for (unsigned i = 0; i < n; i++) {
		struct packet *p = pkts[i];

		if (WEFT_UNLIKELY(++p->n_recirc > DP_RECIRC_MAX || n_to == WORKER_MAX_BURST)) {
			worker_drop(w, p, DROP_RECIRC_LIMIT);
			continue;
		}
		p->recirc_id = recirc_id;
		to[n_to++] = p;
	}
	w->n_recirculating = n_to;
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

static inline bool
is_decap(const struct flow *f)
{
	return atomic_load_explicit(&f->single_port, memory_order_relaxed) == UINT32_MAX &&
	       atomic_load_explicit(&f->program, memory_order_acquire)->shape == SHAPE_DECAP;
}

/* As long as packets go on being of the one flow that took the whole burst before, nothing needs to be hashed:
 * so it is with what comes out of one tunnel, or goes through a wire. Returns how many. */
static unsigned
follow(struct worker *w, struct port_worker *pw, struct packet **pkts, unsigned n)
{
	struct flow *f;
	unsigned i = 0;

	if (pw->last_flow == UINT32_MAX) {
		return 0;
	}
	f = &w->cache.flows[pw->last_flow];
	if (!atomic_load_explicit(&f->live, memory_order_acquire)) {
		return 0;
	}
	while (i < n && f->mask->depth <= pkts[i]->depth &&
		flow_matches(f, &w->keys[i], pkts[i]->key_blocks)) {
		i++;
	}
	if (i) {
		if (WEFT_UNLIKELY(is_decap(f))) {
			outline_learn(&pw->outline, f, pkts[0]);
		}
		act(w, f, pkts, w->keys, i);
	}
	return i;
}

/* Takes from the front the packets that have the outline of the port's decapsulating flow: these are not even parsed.
 * Returns how many; adds their lengths to @bytes. */
static unsigned
follow_outline(
	struct worker *w, struct port_worker *pw, struct packet **pkts, unsigned n, uint64_t *bytes)
{
	struct outline *o = &pw->outline;
	struct flow *f = &w->cache.flows[o->slot];
	unsigned i = 0;

	if (atomic_load_explicit(&f->live, memory_order_acquire) != o->live || !is_decap(f)) {
		o->live = 0;
		return 0;
	}
	while (i < n && outline_fits(o, pkts[i])) {
		i++;
		rte_prefetch0(pkts[WEFT_MIN(i, n - 1)]->data);
	}
	for (unsigned j = 0; j < i; j++) {
		*bytes += pkts[j]->len;
	}
	if (i) {
		count(w, f, pkts, NULL, i);
		action_program_run(
			w, pkts, NULL, i, atomic_load_explicit(&f->program, memory_order_acquire));
		counter_add(&pw->counters.cache_hits, i);
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
			act(w, f, &pkts[i], key, 1);
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
		act(w, f, &pkts[i], key, 1);
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

/* In rounds: what a round recirculates is the next one's, and stands in the other list: a copy would wait for the
 * writes of this one. DP_RECIRC_MAX bounds them. */
void
forward_recirculated(struct worker *w)
{
	unsigned n;

	while ((n = w->n_recirculating)) {
		struct packet **round = w->recirculating[w->recirculating_now];

		w->n_recirculating = 0;
		w->recirculating_now ^= 1;
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
	bool admin_up = atomic_load_explicit(&port->admin_up, memory_order_relaxed);
	const struct capture_set *captures;
	struct lookup l;
	uint64_t bytes = 0;
	unsigned n_good = 0;

	captures = atomic_load_explicit(&port->capture_rx, memory_order_acquire);
	if (WEFT_UNLIKELY(captures)) {
		capture_received(captures, w->id, pkts[0]->rx_queue, pkts, n);
	}
	counter_add(&pw->counters.rx_packets, n);
	rte_prefetch0(pkts[0]->data);
	if (WEFT_UNLIKELY(pw->outline.live) && admin_up) {
		unsigned n_known = follow_outline(w, pw, pkts, n, &bytes);

		pkts += n_known;
		n -= n_known;
	}
	l = lookup_of(w, port->number);
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
	counter_add(&pw->counters.rx_bytes, bytes);
	if (WEFT_UNLIKELY(!admin_up)) {
		drop_all(w, pkts, n_good, DROP_RX_DISABLED);
		return;
	}
	forward(w, &l, pw, pkts, n_good);
	forward_recirculated(w);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow registry: misses, from the packet that nobody knew to the put of its flow; those that wait for objects or routes.
 */
#include <stdlib.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "lib/hash.h"
#include "ofproto/flow_registry_internal.h"
#include "ofproto/of_context.h"
#include "ofproto/ofproto_internal.h"

static void run_upcall(struct flow_registry *r, const struct dp_upcall *up,
	const struct flow_key *key, uint8_t key_blocks, uint64_t now_ms, bool again);
static void wait_for_object(struct flow_registry *r, const struct dp_upcall *up,
	const struct flow_key *key, uint8_t key_blocks);
static struct flow *record(struct flow_registry *r, const struct flow_key *key, uint64_t now_ms);
static int put_new(struct flow_registry *r, struct flow *f, uint8_t key_blocks);

void
flow_registry_upcall(struct flow_registry *r, const struct dp_upcall *up,
	const struct flow_key *key, uint8_t key_blocks, uint64_t now_ms)
{
	r->counters.n_upcalls++;
	of_reader_enter(r->reader);
	run_upcall(r, up, key, key_blocks, now_ms, false);
	of_reader_leave(r->reader);
}

static void
run_upcall(struct flow_registry *r, const struct dp_upcall *up, const struct flow_key *key,
	uint8_t key_blocks, uint64_t now_ms, bool again)
{
	struct translation *t = &r->t;
	uint64_t version;
	struct flow *f;

	if (hmap_is_empty(&r->by_key)) {
		flow_begin_to_read(r);
	}
	flow_read_changes(r); /* those before this translation are none of its flow's business */
	version = flow_translate_now(r, key, now_ms);
	if (t->is_pending) {
		r->counters.n_waited += !again;
		wait_for_object(r, up, key, key_blocks);
		return;
	}
	flow_learn_translated(r, t, be16_to(key->tcp_flags), now_ms);
	translation_credit(t, 1, up->packet_len, now_ms);
	if (flow_send_contexts(r)) {
		return; /* the packet times out: without its contexts it cannot be executed */
	}
	f = NULL;
	if (!t->is_refused && !flow_find(r, key, &t->mask)) {
		f = record(r, key, now_ms);
		if (put_new(r, f, key_blocks)) {
			flow_forget(r, f);
			f = NULL;
		}
	}
	/* A recorded flow has taken the translation over. */
	(void)r->ops.execute(r->ops.user, FLOW_REGISTRY_REQUEST, up->parked,
		f ? f->actions : t->actions.data, f ? f->actions_size : t->actions.size);
	if (f && of_model_version(r->model) != version) {
		/* The changes since are read in the next run; if they concern the flow, it is translated again
		 * when its put has been answered. */
		r->counters.n_retranslated++;
	}
}

static void
wait_for_object(struct flow_registry *r, const struct dp_upcall *up, const struct flow_key *key,
	uint8_t key_blocks)
{
	struct waiting *w;

	if (r->n_waiting == MAX_WAITING) {
		r->counters.n_lost++;
		return;
	}
	w = xcalloc(1, sizeof(*w));
	w->up = *up;
	w->key = *key;
	w->key_blocks = key_blocks;
	list_push_back(&r->waiting, &w->link);
	r->n_waiting++;
}

void
flow_objects_came(struct flow_registry *r, uint64_t now_ms)
{
	uint32_t n = r->n_waiting;

	r->tried = of_model_version(r->model);
	r->tried_ms = now_ms;
	while (!list_is_empty(&r->awaiting)) {
		flow_queue_first(r, LIST_ENTRY(r->awaiting.prev, struct flow, by_stale));
	}
	while (n--) {
		struct waiting *w = LIST_ENTRY(list_pop_front(&r->waiting), struct waiting, link);

		r->n_waiting--;
		run_upcall(r, &w->up, &w->key, w->key_blocks, now_ms, true);
		free(w);
	}
	flow_packet_outs_run(r, now_ms);
}

bool
flow_awaits_objects(const struct flow_registry *r)
{
	return (r->n_waiting || r->n_packet_outs || !list_is_empty(&r->awaiting)) &&
	       flow_objects_are_settled(r->objects);
}

static struct flow *
record(struct flow_registry *r, const struct flow_key *key, uint64_t now_ms)
{
	struct flow *f = xcalloc(1, sizeof(*f));

	f->used_ms = now_ms;
	f->pulled_ms = now_ms;
	f->full_key = xmemdup(key, sizeof(*key));
	list_init(&f->by_stale);
	list_push_back(&r->by_stats, &f->by_stats);
	flow_set_identity(r, f, key, &r->t.mask);
	flow_take_translation(r, f);
	return f;
}

static int
put_new(struct flow_registry *r, struct flow *f, uint8_t key_blocks)
{
	uint32_t hash = flow_denied_hash(f->full_key);
	uint16_t flags = DP_PUT_EXCLUSIVE;
	struct flow_key key;
	struct flow_mask mask;
	int error;

	if (r->denied[hash % N_DENIED] == hash) {
		/* The second time that this very key asks. */
		flags |= DP_PUT_NARROW;
		r->denied[hash % N_DENIED] = 0;
	}
	flow_get_identity(f, &key, &mask);
	error = r->ops.put(r->ops.user, FLOW_REGISTRY_REQUEST | r->next_request, f->full_key,
		key_blocks, &mask, flags, f->actions, f->actions_size);
	if (!error) {
		flow_await(r, f, FLOW_PUTTING);
	}
	return error;
}

int
flow_send_contexts(struct flow_registry *r)
{
	for (uint32_t i = 0; i < r->t.n_contexts; i++) {
		uint32_t id = r->t.contexts[i], hash = hash_u64(id, 0);
		struct sent_context *c;
		const void *bytes;
		size_t size;
		int error;

		HMAP_FOREACH_WITH_HASH (c, node, hash, &r->sent_contexts) {
			if (c->id == id) {
				break;
			}
		}
		if (c) {
			continue;
		}
		bytes = of_context_find(r->model, id, &size);
		error = r->ops.context_put(r->ops.user, FLOW_REGISTRY_REQUEST, id, bytes, size);
		if (error) {
			return error;
		}
		c = xmalloc(sizeof(*c));
		c->id = id;
		hmap_insert(&r->sent_contexts, &c->node, hash);
	}
	return 0;
}

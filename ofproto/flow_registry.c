/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow registry: answers, revalidation, statistics, adoption. Misses: flow_registry_miss.c.
 *
 * A flow is kept as the datapath knows it: the words of its mask and of its masked key. That is all
 * that a new translation may look at: if it wants to read more, the flow is wrong for some packet that
 * it covers, and is deleted.
 *
 * Stale:  a change that a flow depends on makes it stale until it has been translated again. It stands
 *         in @stale, in @busy while a command about it is unanswered, or in @awaiting while its translation
 *         needs an object of which the datapath has not answered yet; in each by the version that it agrees
 *         with, oldest first. All other flows agree with the version @seen. @by_stats holds all flows in
 *         the order in which their statistics were read.
 * Full rings: what cannot be sent now changes nothing here, and is decided again in the next run.
 */
#include "ofproto/flow_registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "lib/hash.h"
#include "lib/hmap.h"
#include "lib/list.h"
#include "ofproto/flow_registry_internal.h"
#include "ofproto/of_context.h"
#include "ofproto/ofproto_internal.h"
#include "ofproto/translate.h"

enum verdict {
	VERDICT_KEPT,
	VERDICT_GONE,  /* deleted, or being deleted */
	VERDICT_LATER, /* the ring is full */
};

static int send_contexts_of(void *registry);
static void make_stale(void *registry, void *flow);
static enum verdict revalidate(struct flow_registry *r, struct flow *f, uint64_t now_ms);
static enum verdict delete_flow(struct flow_registry *r, struct flow *f);
static void credit(struct flow_registry *r, struct flow *f, const struct flow_stats *now);
static bool pull(struct flow_registry *r, struct flow *f, uint64_t now_ms);
static void put_answered(
	struct flow_registry *r, struct flow *f, const struct dp_message *msg, uint64_t now_ms);

struct flow_registry *
flow_registry_create(struct of_reader *reader, const struct flow_registry_ops *ops)
{
	struct flow_registry *r = xcalloc(1, sizeof(*r));

	r->reader = reader;
	r->model = of_reader_model(reader);
	r->ops = *ops;
	hmap_init(&r->by_key);
	hmap_init(&r->by_request);
	hmap_init(&r->sent_contexts);
	hmap_init(&r->ports);
	flow_deps_init(&r->deps);
	list_init(&r->stale);
	list_init(&r->busy);
	list_init(&r->adopted);
	list_init(&r->by_stats);
	list_init(&r->awaiting);
	list_init(&r->waiting);
	list_init(&r->packet_outs);
	r->objects = flow_objects_create(&r->ops, send_contexts_of, r, &r->next_request);
	r->next_request = 1;
	r->seen = of_model_version(r->model);
	translation_init(&r->t);
	return r;
}

void
flow_registry_destroy(struct flow_registry *r)
{
	if (!r) {
		return;
	}
	flow_registry_reset(r);
	of_reader_enter(r->reader);
	translation_uninit(&r->t, r->model);
	of_reader_leave(r->reader);
	hmap_uninit(&r->by_key);
	hmap_uninit(&r->by_request);
	hmap_uninit(&r->sent_contexts);
	hmap_uninit(&r->ports);
	flow_deps_uninit(&r->deps);
	of_reader_set_changes_read(r->reader, UINT64_MAX);
	flow_objects_destroy(r->objects);
	free(r);
}

void
flow_registry_reset(struct flow_registry *r)
{
	struct sent_context *c, *next;

	of_reader_enter(r->reader);
	while (!list_is_empty(&r->by_stats)) {
		flow_forget(r, LIST_ENTRY(r->by_stats.next, struct flow, by_stats));
	}
	of_reader_leave(r->reader);
	while (!list_is_empty(&r->waiting)) {
		free(LIST_ENTRY(list_pop_front(&r->waiting), struct waiting, link));
	}
	r->n_waiting = 0;
	flow_packet_outs_forget(r);
	flow_objects_reset(r->objects);
	HMAP_FOREACH_SAFE (c, next, node, &r->sent_contexts) {
		hmap_remove(&r->sent_contexts, &c->node);
		free(c);
	}
	memset(r->denied, 0, sizeof(r->denied));
}

/* --- translating --------------------------------------------------------------------------------- */

uint64_t
flow_translate_now(struct flow_registry *r, const struct flow_key *key, uint64_t now_ms)
{
	struct translate_in in = {
		.reader = r->reader,
		.version = of_model_version(r->model),
		.key = key,
		.now_ms = now_ms,
		.object = flow_objects_get,
		.object_user = r->objects,
		.wants_deps = true,
	};

	flow_objects_begin(r->objects, now_ms);
	translate(&in, &r->t);
	return in.version;
}

static int
send_contexts_of(void *registry)
{
	return flow_send_contexts(registry);
}

/* --- replies ------------------------------------------------------------------------------------- */

void
flow_registry_reply(struct flow_registry *r, const struct dp_message *msg, uint64_t now_ms)
{
	const struct dp_reply *reply = msg->body;
	uint64_t request = reply->request & ~FLOW_REGISTRY_REQUEST;
	struct flow *f;

	if (flow_objects_reply(r->objects, msg, now_ms)) {
		of_reader_enter(r->reader);
		flow_objects_came(r, now_ms);
		of_reader_leave(r->reader);
		return;
	}
	HMAP_FOREACH_WITH_HASH (f, by_request, hash_u64(request, 0), &r->by_request) {
		if (f->request == request) {
			break;
		}
	}
	if (!request || !f) {
		return; /* of a context or an execute; or from before a reset */
	}
	of_reader_enter(r->reader);
	if (msg->type == DP_REPLY + DP_FLOW_PUT && f->state != FLOW_DELETING) {
		put_answered(r, f, msg, now_ms);
	} else if (msg->type == DP_REPLY + DP_FLOW_DEL && f->state == FLOW_DELETING) {
		const struct dp_flow_del_reply *del = msg->body;

		if (!reply->status && f->has_rules) {
			credit(r, f, &del->final);
		}
		flow_forget(r, f);
	}
	of_reader_leave(r->reader);
}

static void
put_answered(struct flow_registry *r, struct flow *f, const struct dp_message *msg, uint64_t now_ms)
{
	const struct dp_flow_put_reply *reply = msg->body;
	bool is_first = f->state == FLOW_PUTTING;

	if (reply->reply.status) {
		r->counters.n_refused += is_first;
		if (reply->reply.status == -ENOSPC && is_first) {
			flow_evict(r, be32_to(f->full_key->in_port));
		}
		if (reply->reply.status == -EDQUOT && is_first) {
			uint32_t hash = flow_denied_hash(f->full_key);

			r->denied[hash % N_DENIED] = hash;
		}
		if (is_first || reply->reply.status == -ENOENT) {
			/* -EEXIST: another handler's flow serves these packets. -ENOENT: it is gone, with
			 * its port. In any case there is none of ours. */
			flow_forget(r, f);
			return;
		}
		/* It stands there with its old actions: better none. */
		flow_settle(r, f);
		f->actions_size = 0;
		f->is_stale = true;
		f->agrees = 0;
		flow_queue_first(r, f);
		(void)delete_flow(r, f);
		return;
	}
	if (is_first) {
		r->counters.n_installed++;
		f->handle = reply->flow;
		if (reply->mask_blocks) {
			r->counters.n_narrowed++;
			hmap_remove(&r->by_key, &f->by_key);
			flow_set_identity(r, f, f->full_key, &msg->mask);
		}
		free(f->full_key);
		f->full_key = NULL;
	}
	flow_settle(r, f);
	if (f->is_stale) {
		/* What the tables became meanwhile. If the ring is full, it stays first in line. */
		flow_queue_first(r, f);
		(void)revalidate(r, f, now_ms);
	}
}

/* --- adoption ------------------------------------------------------------------------------------ */

void
flow_registry_adopt(struct flow_registry *r, const struct dp_message *item,
	const struct flow_stats *credited, uint64_t now_ms)
{
	const struct dp_flow_item *body = item->body;
	struct flow *f;

	if (flow_find(r, &item->key, &item->mask)) {
		return;
	}
	f = xcalloc(1, sizeof(*f));
	f->state = FLOW_ADOPTED;
	f->handle = body->flow;
	f->credited = credited ? *credited : body->stats;
	f->used_ms = now_ms;
	f->pulled_ms = now_ms;
	f->actions_size = item->actions_size;
	f->actions = xmemdup(item->actions, item->actions_size);
	flow_set_identity(r, f, &item->key, &item->mask);
	list_init(&f->by_stale);
	list_push_back(&r->adopted, &f->by_stale);
	list_push_back(&r->by_stats, &f->by_stats);
	r->counters.n_adopted++;
}

void
flow_registry_adopt_object(struct flow_registry *r, const struct dp_message *item,
	const struct flow_stats *credited, uint64_t now_ms)
{
	flow_objects_adopt(r->objects, item, credited, now_ms);
}

void
flow_registry_release(struct flow_registry *r)
{
	while (!list_is_empty(&r->adopted)) {
		struct flow *f = LIST_ENTRY(r->adopted.prev, struct flow, by_stale);

		f->state = FLOW_INSTALLED;
		f->is_stale = true;
		f->agrees = 0;
		flow_queue_first(r, f);
		r->counters.n_adopted--;
	}
}

/* Whether they can be read: else they come with the answer that the flow waits for. */
static bool
has_stats(const struct flow *f)
{
	return f->state != FLOW_PUTTING && f->state != FLOW_DELETING;
}

/* How often each flow's statistics are read: many flows are read as often as few by the second, all together. */
static uint64_t
stats_interval_ms(const struct flow_registry *r)
{
	return WEFT_MAX((uint64_t)FLOW_REGISTRY_STATS_MS,
		hmap_count(&r->by_key) / FLOW_REGISTRY_STATS_A_MS);
}

/* --- running ------------------------------------------------------------------------------------- */

bool
flow_registry_run(struct flow_registry *r, uint64_t now_ms, unsigned budget)
{
	bool more = false;
	struct flow *f;

	r->ran_ms = now_ms;
	r->is_stalled = false;
	of_reader_enter(r->reader);
	flow_read_changes(r);
	while (!list_is_empty(&r->stale)) {
		f = LIST_ENTRY(r->stale.next, struct flow, by_stale);
		if (!budget) {
			more = true;
			break;
		}
		budget--;
		if (revalidate(r, f, now_ms) == VERDICT_LATER) {
			r->is_stalled = true;
			break;
		}
	}
	while (budget && !list_is_empty(&r->by_stats)) {
		f = LIST_ENTRY(r->by_stats.next, struct flow, by_stats);
		if (f->pulled_ms + stats_interval_ms(r) > now_ms) {
			break;
		}
		if (!pull(r, f, now_ms)) {
			r->is_stalled |= has_stats(f);
			break;
		}
		budget--;
	}
	if (flow_awaits_objects(r) && (r->tried != of_model_version(r->model) ||
					      r->tried_ms + AWAITED_POLL_MS <= now_ms)) {
		/* A route may have come, or the ring was full when they were asked for. */
		flow_objects_came(r, now_ms);
	}
	if (list_is_empty(&r->adopted)) {
		r->is_stalled |= !flow_objects_run(r->objects, now_ms, false);
	}
	of_reader_leave(r->reader);
	of_reader_stats_pulled(r->reader,
		list_is_empty(&r->by_stats)
			? now_ms
			: LIST_ENTRY(r->by_stats.next, struct flow, by_stats)->pulled_ms);
	return more || !budget;
}

void
flow_registry_pull(struct flow_registry *r, uint64_t now_ms)
{
	size_t n = hmap_count(&r->by_key);

	of_reader_enter(r->reader);
	while (n-- && !list_is_empty(&r->by_stats) &&
		pull(r, LIST_ENTRY(r->by_stats.next, struct flow, by_stats), now_ms)) {
	}
	if (list_is_empty(&r->adopted)) {
		(void)flow_objects_run(r->objects, now_ms, true);
	}
	of_reader_leave(r->reader);
}

uint64_t
flow_registry_next_ms(const struct flow_registry *r)
{
	uint64_t next = UINT64_MAX;

	if (r->seen != of_model_version(r->model)) {
		return 0;
	}
	if (!list_is_empty(&r->stale)) {
		next = 0;
	} else if (!list_is_empty(&r->by_stats)) {
		const struct flow *first = LIST_ENTRY(r->by_stats.next, struct flow, by_stats);

		/* One that waits for its answer holds up the others: it is the answer that wakes us. */
		if (has_stats(first)) {
			next = first->pulled_ms + stats_interval_ms(r);
		}
	}
	if (flow_awaits_objects(r)) {
		next = WEFT_MIN(next, r->tried_ms + AWAITED_POLL_MS);
	}
	if (list_is_empty(&r->adopted)) {
		next = WEFT_MIN(next, flow_objects_next_ms(r->objects));
	}
	/* Room in the ring is not always told by an answer. */
	return r->is_stalled ? WEFT_MAX(next, r->ran_ms + 1) : next;
}

uint64_t
flow_registry_version(const struct flow_registry *r)
{
	const struct list *lists[] = {&r->stale, &r->busy};
	uint64_t version = r->seen;
	const struct flow *f;

	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(lists); i++) {
		if (!list_is_empty(lists[i])) {
			version = WEFT_MIN(
				version, LIST_ENTRY(lists[i]->next, struct flow, by_stale)->agrees);
		}
	}
	LIST_FOREACH (f, by_stale, &r->awaiting) {
		version = WEFT_MIN(version, f->agrees);
	}
	return version;
}

size_t
flow_registry_n_flows(const struct flow_registry *r)
{
	return hmap_count(&r->by_key);
}

bool
flow_registry_is_settled(const struct flow_registry *r)
{
	return hmap_is_empty(&r->by_request) && flow_objects_are_settled(r->objects) &&
	       list_is_empty(&r->awaiting) && !r->n_waiting && !r->n_packet_outs;
}

void
flow_registry_counters(const struct flow_registry *r, struct flow_registry_counters *c)
{
	*c = r->counters;
	c->n_flows = hmap_count(&r->by_key);
	c->n_objects = flow_objects_count(r->objects);
}

/* --- what has changed ---------------------------------------------------------------------------- */

void
flow_queue_first(struct flow_registry *r, struct flow *f)
{
	if (!list_is_empty(&r->stale)) {
		f->agrees = WEFT_MIN(
			f->agrees, LIST_ENTRY(r->stale.next, struct flow, by_stale)->agrees);
	}
	list_remove(&f->by_stale);
	list_push_front(&r->stale, &f->by_stale);
}

static void
make_stale(void *registry, void *flow)
{
	struct flow_registry *r = registry;
	struct flow *f = flow;

	if (f->is_stale || f->state == FLOW_ADOPTED || f->state == FLOW_DELETING) {
		return;
	}
	f->is_stale = true;
	f->agrees = r->seen;
	list_push_back(f->request ? &r->busy : &r->stale, &f->by_stale);
}

void
flow_begin_to_read(struct flow_registry *r)
{
	uint64_t end = change_log_end(&r->model->changes);

	r->next_seq = WEFT_MAX(r->next_seq, end ? end - 1 : 0);
	of_reader_set_changes_read(r->reader, r->next_seq);
}

void
flow_read_changes(struct flow_registry *r)
{
	uint64_t version = of_model_version(r->model);
	const struct change_log *log = &r->model->changes;
	struct flow *f;

	while (r->next_seq != change_log_end(log)) {
		const struct change_batch *b = change_log_get(log, r->next_seq);

		if (b && b->version > version) {
			break; /* not in force yet */
		}
		if (b && !b->is_all) {
			flow_deps_find(&r->deps, b, make_stale, r);
		} else {
			LIST_FOREACH (f, by_stats, &r->by_stats) {
				make_stale(r, f);
			}
		}
		if (b) {
			r->seen = b->version;
			r->next_seq++;
		} else {
			/* It is gone, and perhaps more. */
			r->next_seq = WEFT_MAX(r->next_seq + 1, change_log_first(log));
		}
	}
	r->seen = version;
	of_reader_set_changes_read(r->reader, hmap_is_empty(&r->by_key) ? UINT64_MAX : r->next_seq);
}

/* Translates a flow (of @stale) again, from its masked key, and makes the datapath follow. */
static enum verdict
revalidate(struct flow_registry *r, struct flow *f, uint64_t now_ms)
{
	struct flow_key key;
	struct flow_mask mask;
	struct flow_stats stats;
	bool same;
	int error;

	flow_get_identity(f, &key, &mask);
	(void)flow_translate_now(r, &key, now_ms);
	r->counters.n_revalidated++;
	if (r->t.is_pending) {
		list_remove(&f->by_stale);
		list_push_back(&r->awaiting, &f->by_stale);
		return VERDICT_KEPT;
	}
	if (r->t.is_refused || !flow_mask_covers(&r->t.mask, &mask)) {
		enum verdict verdict = delete_flow(r, f);

		r->counters.n_deleted += verdict == VERDICT_GONE;
		return verdict;
	}
	same = dp_actions_equal(f->actions, f->actions_size, r->t.actions.data, r->t.actions.size);
	if (!same) {
		error = flow_send_contexts(r);
		if (!error) {
			error = r->ops.put(r->ops.user, FLOW_REGISTRY_REQUEST | r->next_request,
				&key, flow_mask_blocks(&mask), &mask, DP_PUT_MODIFY,
				r->t.actions.data, r->t.actions.size);
		}
		if (error) {
			return VERDICT_LATER;
		}
		r->counters.n_changed++;
	}
	if (f->has_rules) {
		/* What the flow did so far was the old rules' doing. */
		r->ops.stats(r->ops.user, f->handle, &stats);
		credit(r, f, &stats);
	}
	flow_take_translation(r, f);
	f->is_stale = false;
	list_remove(&f->by_stale);
	if (!same) {
		flow_await(r, f, FLOW_CHANGING);
	}
	return VERDICT_KEPT;
}

static enum verdict
delete_flow(struct flow_registry *r, struct flow *f)
{
	if (r->ops.del(r->ops.user, FLOW_REGISTRY_REQUEST | r->next_request, f->handle)) {
		return VERDICT_LATER;
	}
	list_remove(&f->by_stale);
	flow_await(r, f, FLOW_DELETING);
	return VERDICT_GONE;
}

bool
flow_evict_one(struct flow_registry *r, struct flow *f)
{
	if (delete_flow(r, f) == VERDICT_LATER) {
		return false;
	}
	f->is_evicted = true;
	r->counters.n_evicted++;
	return true;
}

/* Reads a flow's statistics, and deletes it if nobody uses it. False: it waits for an answer, or the
 * ring is full. */
static bool
pull(struct flow_registry *r, struct flow *f, uint64_t now_ms)
{
	struct flow_stats stats;

	if (!has_stats(f)) {
		return false;
	}
	r->ops.stats(r->ops.user, f->handle, &stats);
	if (f->has_rules) {
		credit(r, f, &stats);
	}
	f->used_ms = WEFT_MAX(f->used_ms, stats.used_ms);
	if (f->state == FLOW_INSTALLED && f->used_ms + FLOW_REGISTRY_IDLE_MS < now_ms) {
		if (delete_flow(r, f) == VERDICT_LATER) {
			return false;
		}
		r->counters.n_idle++;
	}
	f->pulled_ms = now_ms;
	list_remove(&f->by_stats);
	list_push_back(&r->by_stats, &f->by_stats);
	return true;
}

/* Credits what came since the last time. */
static void
credit(struct flow_registry *r, struct flow *f, const struct flow_stats *now)
{
	uint64_t packets = now->packets - f->credited.packets;
	uint64_t bytes = now->bytes - f->credited.bytes;

	if (now->packets <= f->credited.packets) {
		return;
	}
	for (uint32_t i = 0; i < f->n_rules; i++) {
		of_rule_credit(f->rules[i], packets, bytes, now->used_ms);
	}
	for (uint32_t i = 0; i < f->n_counters; i++) {
		of_counter_add(f->counters[i], packets, bytes);
	}
	flow_learn(r, f, now->tcp_flags, now->used_ms);
	f->credited = *now;
}

uint32_t
flow_denied_hash(const struct flow_key *key)
{
	return hash_bytes(key, sizeof(*key), 0) | 1;
}

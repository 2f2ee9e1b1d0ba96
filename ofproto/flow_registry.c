/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow registry: misses, revalidation, statistics, adoption.
 *
 * A flow is kept as the datapath knows it: the words of its mask and of its masked key. That is all
 * that a new translation may look at: if it wants to read more, the flow is wrong for some packet that
 * it covers, and is deleted.
 *
 * Lists:  @ready and @busy hold all flows that must agree with the tables, each in the order of the
 *         version they were checked against; a flow with an unanswered put is busy. @by_stats holds
 *         all flows in the order in which their statistics were read.
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
#include "ofproto/fdb.h"
#include "ofproto/of_context.h"
#include "ofproto/ofproto_internal.h"
#include "ofproto/translate.h"

#define N_DENIED 4096u /* a power of two */

enum flow_state {
	FLOW_PUTTING,  /* the first put is unanswered; no handle yet */
	FLOW_CHANGING, /* a change is unanswered */
	FLOW_INSTALLED,
	FLOW_ADOPTED, /* of an earlier agent; not released yet */
	FLOW_DELETING,
};

struct flow {
	struct hmap_node by_key;
	struct hmap_node by_request;
	struct list by_version; /* in @ready, @busy or @adopted; by itself while it is deleted */
	struct list by_stats;
	enum flow_state state;
	bool has_rules; /* it was translated by us: statistics have an owner */
	struct dp_handle handle;
	uint64_t request; /* the unanswered one */
	uint64_t version;
	uint64_t used_ms;
	uint64_t pulled_ms;
	struct flow_stats credited;
	struct flow_key *full_key; /* until the first put is answered */
	uint64_t map;              /* words of the mask */
	uint64_t *words;           /* the mask's, then the masked key's */
	uint8_t *actions;
	size_t actions_size;
	struct rule **rules; /* referenced */
	uint32_t n_rules;
	uint32_t *contexts; /* referenced */
	uint32_t n_contexts;
	struct translate_learned *learned;
	uint32_t n_learned;
};

/* A context that the datapath has been given over this registry's ring. */
struct sent_context {
	struct hmap_node node;
	uint32_t id;
};

struct flow_registry {
	struct of_reader *reader;
	struct of_model *model;
	struct flow_registry_ops ops;
	struct hmap by_key;
	struct hmap by_request;
	struct hmap sent_contexts;
	struct list ready;
	struct list busy;
	struct list adopted;
	struct list by_stats;
	uint64_t next_request;
	struct translation t;      /* scratch */
	uint32_t denied[N_DENIED]; /* hashes of keys whose put met the port's budget; 0: none */
	struct flow_registry_counters counters;
};

enum verdict {
	VERDICT_KEPT,
	VERDICT_GONE,  /* deleted, or being deleted */
	VERDICT_LATER, /* the ring is full */
};

static void translate_now(
	struct flow_registry *r, const struct flow_key *key, uint64_t now_ms, uint64_t *version);
static struct flow *record(
	struct flow_registry *r, const struct flow_key *key, uint64_t version, uint64_t now_ms);
static int put_new(struct flow_registry *r, struct flow *f, uint8_t key_blocks);
static void learn(
	struct flow_registry *r, const struct translate_learned *l, uint32_t n, uint64_t now_ms);
static int send_contexts(struct flow_registry *r);
static enum verdict revalidate(struct flow_registry *r, struct flow *f, uint64_t now_ms);
static enum verdict delete_flow(struct flow_registry *r, struct flow *f);
static void take_translation(struct flow_registry *r, struct flow *f);
static void drop_translation(struct flow_registry *r, struct flow *f);
static void credit(struct flow_registry *r, struct flow *f, const struct flow_stats *now);
static bool pull(struct flow_registry *r, struct flow *f, uint64_t now_ms);
static void put_answered(
	struct flow_registry *r, struct flow *f, const struct dp_message *msg, uint64_t now_ms);
static void set_identity(struct flow_registry *r, struct flow *f, const struct flow_key *key,
	const struct flow_mask *mask);
static struct flow *find(
	struct flow_registry *r, const struct flow_key *key, const struct flow_mask *mask);
static void get_identity(const struct flow *f, struct flow_key *key, struct flow_mask *mask);
static void await(
	struct flow_registry *r, struct flow *f, enum flow_state state, struct list *list);
static void settle(struct flow_registry *r, struct flow *f);
static void forget(struct flow_registry *r, struct flow *f);
static uint32_t key_hash(const struct flow_key *key);

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
	list_init(&r->ready);
	list_init(&r->busy);
	list_init(&r->adopted);
	list_init(&r->by_stats);
	r->next_request = 1;
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
	free(r);
}

void
flow_registry_reset(struct flow_registry *r)
{
	struct sent_context *c, *next;

	of_reader_enter(r->reader);
	while (!list_is_empty(&r->by_stats)) {
		forget(r, LIST_ENTRY(r->by_stats.next, struct flow, by_stats));
	}
	of_reader_leave(r->reader);
	HMAP_FOREACH_SAFE (c, next, node, &r->sent_contexts) {
		hmap_remove(&r->sent_contexts, &c->node);
		free(c);
	}
	memset(r->denied, 0, sizeof(r->denied));
}

/* --- misses -------------------------------------------------------------------------------------- */

void
flow_registry_upcall(struct flow_registry *r, const struct dp_upcall *up,
	const struct flow_key *key, uint8_t key_blocks, uint64_t now_ms)
{
	struct translation *t = &r->t;
	uint64_t version;
	struct flow *f;

	r->counters.n_upcalls++;
	of_reader_enter(r->reader);
	translate_now(r, key, now_ms, &version);
	learn(r, t->learned, t->n_learned, now_ms);
	for (uint32_t i = 0; i < t->n_rules; i++) {
		of_rule_credit(t->rules[i], 1, up->packet_len, now_ms);
	}
	if (send_contexts(r)) {
		of_reader_leave(r->reader);
		return; /* the packet times out: without its contexts it cannot be executed */
	}
	f = NULL;
	if (!t->is_refused && !find(r, key, &t->mask)) {
		f = record(r, key, version, now_ms);
		if (put_new(r, f, key_blocks)) {
			forget(r, f);
			f = NULL;
		}
	}
	/* A recorded flow has taken the translation over. */
	(void)r->ops.execute(r->ops.user, FLOW_REGISTRY_REQUEST, up->parked,
		f ? f->actions : t->actions.data, f ? f->actions_size : t->actions.size);
	if (f && of_model_version(r->model) != version) {
		/* The flow stands in @busy with the version that it was translated under; it is
		 * translated again when its put has been answered. */
		r->counters.n_retranslated++;
	}
	of_reader_leave(r->reader);
}

static void
translate_now(
	struct flow_registry *r, const struct flow_key *key, uint64_t now_ms, uint64_t *version)
{
	struct translate_in in = {
		.reader = r->reader,
		.version = of_model_version(r->model),
		.key = key,
		.now_ms = now_ms,
	};

	*version = in.version;
	translate(&in, &r->t);
}

static struct flow *
record(struct flow_registry *r, const struct flow_key *key, uint64_t version, uint64_t now_ms)
{
	struct flow *f = xcalloc(1, sizeof(*f));

	f->version = version;
	f->used_ms = now_ms;
	f->pulled_ms = now_ms;
	f->full_key = xmemdup(key, sizeof(*key));
	list_init(&f->by_version);
	list_push_back(&r->by_stats, &f->by_stats);
	set_identity(r, f, key, &r->t.mask);
	take_translation(r, f);
	return f;
}

static int
put_new(struct flow_registry *r, struct flow *f, uint8_t key_blocks)
{
	uint32_t hash = key_hash(f->full_key);
	uint16_t flags = DP_PUT_EXCLUSIVE;
	struct flow_key key;
	struct flow_mask mask;
	int error;

	if (r->denied[hash % N_DENIED] == hash) {
		/* The second time that this very key asks. */
		flags |= DP_PUT_NARROW;
		r->denied[hash % N_DENIED] = 0;
	}
	get_identity(f, &key, &mask);
	error = r->ops.put(r->ops.user, FLOW_REGISTRY_REQUEST | r->next_request, f->full_key,
		key_blocks, &mask, flags, f->actions, f->actions_size);
	if (!error) {
		await(r, f, FLOW_PUTTING, &r->busy);
	}
	return error;
}

/* Refreshes what is known already, posts what is not. */
static void
learn(struct flow_registry *r, const struct translate_learned *l, uint32_t n, uint64_t now_ms)
{
	for (; n; n--, l++) {
		struct ofproto *p = ofproto_by_id(r->model, l->ofproto_id);

		if (p && !fdb_refresh(p->fdb, l->vlan, l->mac, l->port, now_ms)) {
			r->ops.learned(r->ops.user, l->ofproto_id, l->vlan, l->mac, l->port);
		}
	}
}

/* Gives the datapath the translation's contexts that this ring has not carried yet. Another handler
 * may have given them too: the datapath refuses the second time, and that is fine. */
static int
send_contexts(struct flow_registry *r)
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

/* --- replies ------------------------------------------------------------------------------------- */

void
flow_registry_reply(struct flow_registry *r, const struct dp_message *msg, uint64_t now_ms)
{
	const struct dp_reply *reply = msg->body;
	uint64_t request = reply->request & ~FLOW_REGISTRY_REQUEST;
	struct flow *f;

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
		forget(r, f);
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
		if (reply->reply.status == -EDQUOT && is_first) {
			uint32_t hash = key_hash(f->full_key);

			r->denied[hash % N_DENIED] = hash;
		}
		if (is_first || reply->reply.status == -ENOENT) {
			/* -EEXIST: another handler's flow serves these packets. -ENOENT: it is gone, with
			 * its port. In any case there is none of ours. */
			forget(r, f);
			return;
		}
		/* It stands there with its old actions: better none. */
		settle(r, f);
		f->version = 0;
		f->actions_size = 0;
		list_push_front(&r->ready, &f->by_version);
		(void)delete_flow(r, f);
		return;
	}
	if (is_first) {
		r->counters.n_installed++;
		f->handle = reply->flow;
		if (reply->mask_blocks) {
			r->counters.n_narrowed++;
			hmap_remove(&r->by_key, &f->by_key);
			set_identity(r, f, f->full_key, &msg->mask);
		}
		free(f->full_key);
		f->full_key = NULL;
	}
	settle(r, f);
	if (f->version != of_model_version(r->model)) {
		/* What the tables became meanwhile. If the ring is full, it stays first in line. */
		list_push_front(&r->ready, &f->by_version);
		(void)revalidate(r, f, now_ms);
	} else {
		list_push_back(&r->ready, &f->by_version);
	}
}

/* --- adoption ------------------------------------------------------------------------------------ */

void
flow_registry_adopt(struct flow_registry *r, const struct dp_message *item,
	const struct flow_stats *credited, uint64_t now_ms)
{
	const struct dp_flow_item *body = item->body;
	struct flow *f;

	if (find(r, &item->key, &item->mask)) {
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
	set_identity(r, f, &item->key, &item->mask);
	list_init(&f->by_version);
	list_push_back(&r->adopted, &f->by_version);
	list_push_back(&r->by_stats, &f->by_stats);
	r->counters.n_adopted++;
}

void
flow_registry_release(struct flow_registry *r)
{
	while (!list_is_empty(&r->adopted)) {
		struct flow *f = LIST_ENTRY(r->adopted.prev, struct flow, by_version);

		f->state = FLOW_INSTALLED;
		f->version = 0;
		list_remove(&f->by_version);
		list_push_front(&r->ready, &f->by_version);
		r->counters.n_adopted--;
	}
}

/* --- running ------------------------------------------------------------------------------------- */

bool
flow_registry_run(struct flow_registry *r, uint64_t now_ms, unsigned budget)
{
	bool more = false;
	struct flow *f;

	of_reader_enter(r->reader);
	while (!list_is_empty(&r->ready)) {
		f = LIST_ENTRY(r->ready.next, struct flow, by_version);
		if (f->version == of_model_version(r->model)) {
			break;
		}
		if (!budget) {
			more = true;
			break;
		}
		budget--;
		if (revalidate(r, f, now_ms) == VERDICT_LATER) {
			break;
		}
	}
	while (budget && !list_is_empty(&r->by_stats)) {
		f = LIST_ENTRY(r->by_stats.next, struct flow, by_stats);
		if (f->pulled_ms + FLOW_REGISTRY_STATS_MS > now_ms || !pull(r, f, now_ms)) {
			break;
		}
		budget--;
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
	of_reader_leave(r->reader);
}

uint64_t
flow_registry_next_ms(const struct flow_registry *r)
{
	if (!list_is_empty(&r->ready) &&
		LIST_ENTRY(r->ready.next, struct flow, by_version)->version !=
			of_model_version(r->model)) {
		return 0;
	}
	return list_is_empty(&r->by_stats)
		       ? UINT64_MAX
		       : LIST_ENTRY(r->by_stats.next, struct flow, by_stats)->pulled_ms +
				 FLOW_REGISTRY_STATS_MS;
}

uint64_t
flow_registry_version(const struct flow_registry *r)
{
	uint64_t version = of_model_version(r->model);
	const struct list *lists[] = {&r->ready, &r->busy};

	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(lists); i++) {
		if (!list_is_empty(lists[i])) {
			version = WEFT_MIN(version,
				LIST_ENTRY(lists[i]->next, struct flow, by_version)->version);
		}
	}
	return version;
}

bool
flow_registry_is_settled(const struct flow_registry *r)
{
	return hmap_is_empty(&r->by_request);
}

void
flow_registry_counters(const struct flow_registry *r, struct flow_registry_counters *c)
{
	*c = r->counters;
	c->n_flows = hmap_count(&r->by_key);
}

/* Translates a flow (of @ready) again, from its masked key, and makes the datapath follow. */
static enum verdict
revalidate(struct flow_registry *r, struct flow *f, uint64_t now_ms)
{
	struct flow_key key;
	struct flow_mask mask;
	uint64_t version;
	struct flow_stats stats;
	bool same;
	int error;

	get_identity(f, &key, &mask);
	translate_now(r, &key, now_ms, &version);
	if (r->t.is_refused || !flow_mask_covers(&r->t.mask, &mask)) {
		enum verdict verdict = delete_flow(r, f);

		r->counters.n_deleted += verdict == VERDICT_GONE;
		return verdict;
	}
	same = dp_actions_equal(f->actions, f->actions_size, r->t.actions.data, r->t.actions.size);
	if (!same) {
		error = send_contexts(r);
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
	take_translation(r, f);
	f->version = version;
	list_remove(&f->by_version);
	if (same) {
		list_push_back(&r->ready, &f->by_version);
	} else {
		await(r, f, FLOW_CHANGING, &r->busy);
	}
	return VERDICT_KEPT;
}

static enum verdict
delete_flow(struct flow_registry *r, struct flow *f)
{
	if (r->ops.del(r->ops.user, FLOW_REGISTRY_REQUEST | r->next_request, f->handle)) {
		return VERDICT_LATER;
	}
	list_remove(&f->by_version);
	await(r, f, FLOW_DELETING, NULL);
	return VERDICT_GONE;
}

/* Reads a flow's statistics, and deletes it if nobody uses it. False: it waits for an answer, or the
 * ring is full. */
static bool
pull(struct flow_registry *r, struct flow *f, uint64_t now_ms)
{
	struct flow_stats stats;

	if (f->state == FLOW_PUTTING || f->state == FLOW_DELETING) {
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
	learn(r, f->learned, f->n_learned, now->used_ms);
	f->credited = *now;
}

/* --- flows --------------------------------------------------------------------------------------- */

/* The flow is what the scratch translation says. References move over. */
static void
take_translation(struct flow_registry *r, struct flow *f)
{
	struct translation *t = &r->t;

	for (uint32_t i = 0; i < t->n_rules; i++) {
		of_rule_ref(t->rules[i]);
	}
	drop_translation(r, f);
	f->has_rules = true;
	f->actions_size = t->actions.size;
	f->actions = xmemdup(t->actions.data, t->actions.size);
	f->n_rules = t->n_rules;
	f->rules = xmemdup(t->rules, t->n_rules * sizeof(t->rules[0]));
	f->n_contexts = t->n_contexts;
	f->contexts = xmemdup(t->contexts, t->n_contexts * sizeof(t->contexts[0]));
	t->n_contexts = 0;
	f->n_learned = t->n_learned;
	f->learned = xmemdup(t->learned, t->n_learned * sizeof(t->learned[0]));
}

static void
drop_translation(struct flow_registry *r, struct flow *f)
{
	for (uint32_t i = 0; i < f->n_rules; i++) {
		of_rule_unref(f->rules[i]);
	}
	for (uint32_t i = 0; i < f->n_contexts; i++) {
		of_context_unref(r->model, f->contexts[i]);
	}
	f->n_rules = f->n_contexts = f->n_learned = 0;
	free(f->actions);
	free(f->rules);
	free(f->contexts);
	free(f->learned);
	f->actions = NULL;
	f->rules = NULL;
	f->contexts = NULL;
	f->learned = NULL;
}

static uint32_t
identity_hash(uint64_t map, const uint64_t *words)
{
	return hash_bytes(words, 2 * of_mini_n(map) * sizeof(*words), (uint32_t)(map ^ map >> 32));
}

/* The words of a mask, then of the key under it. */
static unsigned
make_words(const struct flow_key *key, const struct flow_mask *mask, uint64_t map, uint64_t *words)
{
	unsigned n = of_mini_n(map);

	of_words_get(&mask->bits, map, words);
	of_words_get(key, map, words + n);
	for (unsigned i = 0; i < n; i++) {
		words[n + i] &= words[i];
	}
	return 2 * n;
}

static void
set_identity(struct flow_registry *r, struct flow *f, const struct flow_key *key,
	const struct flow_mask *mask)
{
	uint64_t words[2 * OF_N_WORDS];
	unsigned n;

	f->map = of_words_map(&mask->bits);
	n = make_words(key, mask, f->map, words);
	free(f->words);
	f->words = xmemdup(words, n * sizeof(words[0]));
	hmap_insert(&r->by_key, &f->by_key, identity_hash(f->map, words));
}

static struct flow *
find(struct flow_registry *r, const struct flow_key *key, const struct flow_mask *mask)
{
	uint64_t words[2 * OF_N_WORDS], map = of_words_map(&mask->bits);
	unsigned n = make_words(key, mask, map, words);
	struct flow *f;

	HMAP_FOREACH_WITH_HASH (f, by_key, identity_hash(map, words), &r->by_key) {
		if (f->map == map && !memcmp(f->words, words, n * sizeof(words[0]))) {
			break;
		}
	}
	return f;
}

static void
get_identity(const struct flow *f, struct flow_key *key, struct flow_mask *mask)
{
	of_words_put(&mask->bits, f->map, f->words);
	of_words_put(key, f->map, f->words + of_mini_n(f->map));
}

/* A command about @f has been sent with the next request number. @list NULL: none. */
static void
await(struct flow_registry *r, struct flow *f, enum flow_state state, struct list *list)
{
	f->state = state;
	f->request = r->next_request++;
	hmap_insert(&r->by_request, &f->by_request, hash_u64(f->request, 0));
	if (list) {
		list_push_back(list, &f->by_version);
	}
}

/* Its command was answered. */
static void
settle(struct flow_registry *r, struct flow *f)
{
	hmap_remove(&r->by_request, &f->by_request);
	f->request = 0;
	f->state = FLOW_INSTALLED;
	list_remove(&f->by_version);
}

static void
forget(struct flow_registry *r, struct flow *f)
{
	if (f->request) {
		hmap_remove(&r->by_request, &f->by_request);
	}
	if (f->state == FLOW_ADOPTED) {
		r->counters.n_adopted--;
	}
	hmap_remove(&r->by_key, &f->by_key);
	list_remove(&f->by_version);
	list_remove(&f->by_stats);
	drop_translation(r, f);
	free(f->full_key);
	free(f->words);
	free(f);
}

/* Never 0. */
static uint32_t
key_hash(const struct flow_key *key)
{
	return hash_bytes(key, sizeof(*key), 0) | 1;
}

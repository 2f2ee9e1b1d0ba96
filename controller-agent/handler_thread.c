/* SPDX-License-Identifier: Apache-2.0
 *
 * Handler thread: orders, replies, upcalls, the registry's work; sleep when there is none.
 *
 * Order:  orders come before upcalls, so that a barrier or a detach does not wait behind a flood of
 *         misses; each source gives way after a batch.
 * Wake:   one poll() over the session's eventfd and the inbox's. Sleep is announced on every ring
 *         first, then all is looked at once more.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "controller-agent/handler_internal.h"
#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/log.h"
#include "ofproto/of_context.h"

WEFT_LOG_MODULE(handler);

#define BATCH 32
#define REGISTRY_BUDGET 64
#define MAX_SLEEP_MS 1000

static int op_put(void *user, uint64_t request, const struct flow_key *key, uint8_t key_blocks,
	const struct flow_mask *mask, uint16_t flags, const void *actions, size_t actions_size);
static int op_del(void *user, uint64_t request, struct dp_handle flow);
static int op_context_put(
	void *user, uint64_t request, uint32_t id, const void *bytes, size_t size);
static int op_object_put(void *user, uint64_t request, uint32_t kind, uint32_t n_parts,
	const void *body, size_t size);
static int op_object_del(void *user, uint64_t request, struct dp_handle object);
static int op_execute(void *user, uint64_t request, struct dp_parked parked, const void *actions,
	size_t actions_size);
static void op_stats(void *user, struct dp_handle flow, struct flow_stats *sum);
static void op_learned(
	void *user, uint32_t ofproto_id, uint16_t vlan, const uint8_t mac[6], struct of_port port);
static bool run_orders(struct handler *h, bool *stop);
static bool run_replies(struct handler *h);
static bool run_upcalls(struct handler *h);
static void run_barriers(struct handler *h);
static void publish(struct handler *h);
static void store_counters(struct handler *h);
static void sleep_until(struct handler *h, uint64_t until_ms);
static void detach(struct handler *h);

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void
count(_Atomic uint64_t *counter)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
		memory_order_relaxed);
}

void *
handler_run(void *arg)
{
	struct handler *h = arg;
	struct flow_registry_ops ops = {
		.put = op_put,
		.del = op_del,
		.context_put = op_context_put,
		.object_put = op_object_put,
		.object_del = op_object_del,
		.execute = op_execute,
		.stats = op_stats,
		.learned = op_learned,
		.user = h,
	};
	bool stop = false;

	weft_role_enter(weft_handler);
	h->registry = flow_registry_create(h->reader, &ops);
	while (!stop) {
		bool busy = run_orders(h, &stop);

		if (h->rings) {
			busy = run_replies(h) || busy;
			busy = (h->serving && run_upcalls(h)) || busy;
		}
		busy = flow_registry_run(h->registry, now_ms(), REGISTRY_BUDGET) || busy;
		run_barriers(h);
		publish(h);
		store_counters(h);
		if (!busy && !stop) {
			sleep_until(h, flow_registry_next_ms(h->registry));
		}
	}
	if (h->rings) {
		detach(h);
	}
	flow_registry_destroy(h->registry);
	weft_role_leave(weft_handler);
	return NULL;
}

void
handler_rings_free(struct handler_rings *rings)
{
	if (!rings) {
		return;
	}
	shm_ring_detach(&rings->command);
	shm_ring_detach(&rings->reply);
	for (unsigned i = 0; i < rings->n_upcall; i++) {
		shm_ring_detach(&rings->upcall[i]);
	}
	close(rings->event_fd);
	close(rings->tables_fd);
	free(rings);
}

/* --- news --------------------------------------------------------------------------------------- */

static struct news *
make_news(struct handler *h, enum news_kind kind, size_t n_bytes)
{
	struct news *news = xcalloc(1, sizeof(*news) + n_bytes);

	news->kind = kind;
	news->from = h;
	return news;
}

static void
post(struct handler *h, struct news *news)
{
	inbox_post(&h->pool->inbox, &news->item);
}

static void
report_broken(struct handler *h, const char *why)
{
	struct news *news;

	if (h->reported_broken) {
		return;
	}
	h->reported_broken = true;
	news = make_news(h, NEWS_BROKEN, strlen(why) + 1);
	memcpy(news->bytes, why, strlen(why) + 1);
	post(h, news);
}

/* --- sending ------------------------------------------------------------------------------------ */

/* What an op returns when there is nobody to send to: the registry must not wait for an answer. */
static int
sent(struct handler *h, bool ok)
{
	if (ok) {
		h->sent = true;
		return 0;
	}
	if (h->rings->command.broken) {
		report_broken(h, "the command ring is broken");
		return -EPIPE;
	}
	return -EAGAIN;
}

static int
op_put(void *user, uint64_t request, const struct flow_key *key, uint8_t key_blocks,
	const struct flow_mask *mask, uint16_t flags, const void *actions, size_t actions_size)
{
	struct handler *h = user;

	return h->rings ? sent(h, dp_send_flow_put(&h->rings->command, request, key, key_blocks,
					  mask, flags, actions, actions_size))
			: -EPIPE;
}

static int
op_del(void *user, uint64_t request, struct dp_handle flow)
{
	struct dp_flow_del del = {.cmd.request = request, .flow = flow};
	struct handler *h = user;

	return h->rings ? sent(h, dp_send(&h->rings->command, DP_FLOW_DEL, &del, sizeof(del), NULL,
					  0))
			: -EPIPE;
}

static int
op_context_put(void *user, uint64_t request, uint32_t id, const void *bytes, size_t size)
{
	struct dp_context_put put = {.cmd.request = request, .id = id, .size = (uint32_t)size};
	struct dp_part part = {bytes, size};
	struct handler *h = user;

	return h->rings ? sent(h, dp_send(&h->rings->command, DP_CONTEXT_PUT, &put, sizeof(put),
					  &part, 1))
			: -EPIPE;
}

static int
send_object(struct handler *h, uint64_t request, struct dp_handle object, uint32_t kind,
	uint32_t n_parts, const void *body, size_t size)
{
	struct dp_object_put put = {
		.cmd.request = request,
		.object = object,
		.kind = kind,
		.n_parts = n_parts,
		.body_size = (uint32_t)size,
	};
	struct dp_part part = {body, size};

	return h->rings ? sent(h, dp_send(&h->rings->command, DP_OBJECT_PUT, &put, sizeof(put),
					  &part, 1))
			: -EPIPE;
}

static int
op_object_put(void *user, uint64_t request, uint32_t kind, uint32_t n_parts, const void *body,
	size_t size)
{
	return send_object(user, request, (struct dp_handle){0, 0}, kind, n_parts, body, size);
}

static int
op_object_del(void *user, uint64_t request, struct dp_handle object)
{
	struct dp_object_del del = {.cmd.request = request, .object = object};
	struct handler *h = user;

	return h->rings ? sent(h, dp_send(&h->rings->command, DP_OBJECT_DEL, &del, sizeof(del),
					  NULL, 0))
			: -EPIPE;
}

static int
op_execute(void *user, uint64_t request, struct dp_parked parked, const void *actions,
	size_t actions_size)
{
	struct dp_execute x = {.cmd.request = request,
		.parked = parked,
		.in_port = UINT32_MAX,
		.actions_size = (uint32_t)actions_size};
	struct handler *h = user;

	return h->rings ? sent(h, dp_send_execute(&h->rings->command, &x, NULL, actions, NULL))
			: -EPIPE;
}

static void
store_credit(struct flow_credit *credit, uint32_t gen, const struct flow_stats *sum)
{
	atomic_store_explicit(&credit->is_adopted, false, memory_order_relaxed);
	atomic_store_explicit(&credit->packets, sum->packets, memory_order_relaxed);
	atomic_store_explicit(&credit->bytes, sum->bytes, memory_order_relaxed);
	atomic_store_explicit(&credit->gen, gen, memory_order_relaxed);
}

static void
op_stats(void *user, struct dp_handle flow, struct flow_stats *sum)
{
	struct handler *h = user;
	struct flow_credit *credit;

	memset(sum, 0, sizeof(*sum));
	if (!h->rings) {
		return;
	}
	stats_region_read(h->rings->stats, flow.slot, flow.gen, sum);
	if (flow.slot < h->pool->n_slots) { /* the registry credits what it is told */
		credit = &h->pool->credits[flow.slot];
		if (h->is_released ||
			!atomic_load_explicit(&credit->is_adopted, memory_order_relaxed)) {
			store_credit(credit, flow.gen, sum);
		}
	}
}

static void
op_learned(
	void *user, uint32_t ofproto_id, uint16_t vlan, const uint8_t mac[6], struct of_port port)
{
	struct handler *h = user;
	struct news *news = make_news(h, NEWS_LEARNED, 0);

	news->id = ofproto_id;
	news->vlan = vlan;
	news->port = port;
	memcpy(news->mac, mac, 6);
	post(h, news);
}

static void
publish(struct handler *h)
{
	if (h->rings && h->sent) {
		shm_ring_publish(&h->rings->command);
	}
	h->sent = false;
}

/* --- orders ------------------------------------------------------------------------------------- */

static bool
send_packet_out(struct handler *h, const struct order *o)
{
	struct dp_execute x = {.cmd.request = h->next_request++,
		.in_port = o->id,
		.actions_size = o->actions_size,
		.data_len = o->data_len};
	size_t data_at = WEFT_ROUND_UP((size_t)o->actions_size, 8);

	if (sent(h, dp_send_execute(&h->rings->command, &x, NULL, o->bytes, o->bytes + data_at)) ==
		-EAGAIN) {
		return false;
	}
	count(&h->n_packet_outs);
	return true;
}

static bool
send_list(struct handler *h, uint32_t kind, uint32_t from)
{
	struct dp_list list = {.cmd.request = h->next_request++, .from_slot = from};

	return sent(h, dp_send(&h->rings->command, kind, &list, sizeof(list), NULL, 0)) != -EAGAIN;
}

static bool
send_context_del(struct handler *h, uint32_t id)
{
	struct dp_context_del del = {.cmd.request = h->next_request++, .id = id};

	return sent(h, dp_send(&h->rings->command, DP_CONTEXT_DEL, &del, sizeof(del), NULL, 0)) !=
	       -EAGAIN;
}

static void
answer_object(struct handler *h, uint64_t token, bool is_del, int status, struct dp_handle object,
	const struct dp_handle *parts, uint32_t n_parts)
{
	size_t size = n_parts * sizeof(parts[0]);
	struct news *news = make_news(h, NEWS_OBJECT, size);

	news->token = token;
	news->is_del = is_del;
	news->status = status;
	news->object = object;
	news->data_len = (uint32_t)size;
	if (size) {
		memcpy(news->bytes, parts, size);
	}
	post(h, news);
}

/* False: the ring is full. */
static bool
run_object_order(struct handler *h, const struct order *o)
{
	bool is_del = o->kind == ORDER_OBJECT_DEL;
	struct waiting_object *w;
	int error;

	error = is_del ? op_object_del(h, h->next_request, o->object)
		       : send_object(h, h->next_request, o->object, o->kind_of_object, o->n_parts,
				 o->bytes, o->data_len);
	if (error == -EAGAIN) {
		return false;
	}
	if (error) {
		answer_object(h, o->token, is_del, -ENOTCONN, o->object, NULL, 0);
		return true;
	}
	w = xcalloc(1, sizeof(*w));
	w->request = h->next_request++;
	w->token = o->token;
	w->is_del = is_del;
	w->next = h->objects;
	h->objects = w;
	return true;
}

/* The session is over: nobody else will answer. */
static void
fail_objects(struct handler *h)
{
	while (h->objects) {
		struct waiting_object *w = h->objects;

		h->objects = w->next;
		answer_object(h, w->token, w->is_del, -ENOTCONN, (struct dp_handle){0, 0}, NULL, 0);
		free(w);
	}
}

static void
attach(struct handler *h, struct handler_rings *rings)
{
	h->rings = rings;
	h->serving = false;
	h->is_released = false;
	h->reported_broken = false;
	h->n_listed = 0;
	/* Whatever we had installed is listed anew, or is gone with its datapath. */
	flow_registry_reset(h->registry);
}

static void
answer_barrier(struct handler *h, struct barrier *barrier)
{
	struct news *news = make_news(h, NEWS_BARRIER, 0);

	news->barrier = barrier;
	post(h, news);
}

static void
drop_chain(struct handler *h, struct chain *chain)
{
	if (chain->news) {
		atomic_fetch_sub_explicit(&h->n_waiting_packet_ins, 1, memory_order_relaxed);
		free(chain->news);
	}
	chain->news = NULL;
	chain->is_dropped = false;
}

static void
detach(struct handler *h)
{
	struct news *news;

	for (unsigned i = 0; i < h->rings->n_upcall; i++) {
		drop_chain(h, &h->chains[i]);
	}
	news = make_news(h, NEWS_DETACHED, 0);
	news->rings = h->rings;
	h->rings = NULL;
	h->serving = false;
	fail_objects(h);
	run_barriers(h);
	post(h, news);
}

static void
take_barrier(struct handler *h, struct barrier *barrier, uint64_t version)
{
	struct waiting_barrier *w = xcalloc(1, sizeof(*w));

	w->barrier = barrier;
	w->version = version;
	*h->barriers_end = w;
	h->barriers_end = &w->next;
}

/* False: the ring is full, the order stays. */
static bool
run_order(struct handler *h, struct order *o, bool *stop)
{
	switch (o->kind) {
	case ORDER_ATTACH:
		attach(h, o->rings);
		return true;
	case ORDER_DETACH:
		if (h->rings) {
			detach(h);
		}
		return true;
	case ORDER_LIST_CONTEXTS:
		return !h->rings || send_list(h, DP_CONTEXT_LIST, 0);
	case ORDER_LIST_FLOWS:
		return !h->rings || send_list(h, DP_OBJECT_LIST, 0); /* then the flows */
	case ORDER_SERVE:
		h->serving = h->rings != NULL;
		return true;
	case ORDER_RELEASE:
		h->is_released = true;
		flow_registry_release(h->registry);
		return true;
	case ORDER_PACKET_OUT:
		return !h->rings || send_packet_out(h, o);
	case ORDER_CONTEXT_PUT:
		return !h->rings || op_context_put(h, h->next_request++, o->id, o->bytes,
					    o->data_len) != -EAGAIN;
	case ORDER_CONTEXT_DEL:
		return !h->rings || send_context_del(h, o->id);
	case ORDER_OBJECT_PUT:
	case ORDER_OBJECT_DEL:
		return run_object_order(h, o);
	case ORDER_BARRIER:
		take_barrier(h, o->barrier, o->version);
		return true;
	case ORDER_PULL:
		flow_registry_pull(h->registry, now_ms());
		answer_barrier(h, o->barrier);
		return true;
	case ORDER_STOP:
		*stop = true;
		return true;
	}
	return true;
}

static bool
run_orders(struct handler *h, bool *stop)
{
	for (unsigned i = 0; i < BATCH; i++) {
		struct order *o = h->stalled ? h->stalled : (struct order *)inbox_take(&h->inbox);

		if (!o) {
			return false;
		}
		h->stalled = NULL;
		if (!run_order(h, o, stop)) {
			h->stalled = o;
			return false; /* replies make room, and wake us */
		}
		free(o);
	}
	return true;
}

/* --- barriers ----------------------------------------------------------------------------------- */

/* Sends a DP_BARRIER for each that waits, once the flows agree with its version; without a session
 * there is nothing to wait for. */
static void
run_barriers(struct handler *h)
{
	while (h->barriers && !h->rings) {
		struct waiting_barrier *w = h->barriers;

		h->barriers = w->next;
		answer_barrier(h, w->barrier);
		free(w);
	}
	if (!h->barriers) {
		h->barriers_end = &h->barriers;
		return;
	}
	for (struct waiting_barrier *w = h->barriers; w; w = w->next) {
		struct dp_barrier b = {.cmd.request = h->next_request};

		if (w->request) {
			continue;
		}
		if (h->stalled || flow_registry_version(h->registry) < w->version ||
			sent(h, dp_send(&h->rings->command, DP_BARRIER, &b, sizeof(b), NULL, 0)) !=
				0) {
			return;
		}
		w->request = h->next_request++;
	}
}

static void
barrier_replied(struct handler *h, uint64_t request)
{
	/* In order: those before it were sent before it. */
	while (h->barriers && h->barriers->request && h->barriers->request <= request) {
		struct waiting_barrier *w = h->barriers;

		h->barriers = w->next;
		answer_barrier(h, w->barrier);
		free(w);
	}
	if (!h->barriers) {
		h->barriers_end = &h->barriers;
	}
}

/* --- replies ------------------------------------------------------------------------------------ */

static void
context_listed(struct handler *h, const struct dp_message *m)
{
	const struct dp_context_item *item = m->body;
	struct news *news = make_news(h, NEWS_CONTEXT, m->data_len);

	news->id = item->id;
	news->data_len = (uint32_t)m->data_len;
	memcpy(news->bytes, m->data, m->data_len);
	post(h, news);
}

static void
list_replied(struct handler *h, uint32_t kind, const struct dp_list_reply *reply)
{
	struct news *news;

	if (reply->reply.status == 0 && reply->next_slot != UINT32_MAX) {
		if (!send_list(h, kind, reply->next_slot)) {
			report_broken(h, "no room to go on with a list");
		}
		return;
	}
	if (kind == DP_OBJECT_LIST) {
		if (!send_list(h, DP_FLOW_LIST, 0)) {
			report_broken(h, "no room to go on with a list");
		}
		return;
	}
	if (reply->reply.status < 0) {
		LOG_ERR("datapath: listing what an earlier agent left: %s",
			strerror(-reply->reply.status));
	}
	news = make_news(h, kind == DP_FLOW_LIST ? NEWS_FLOWS_LISTED : NEWS_CONTEXTS_LISTED, 0);
	news->n = h->n_listed;
	post(h, news);
}

/* What an earlier agent, or we in an earlier session, had credited; false: not known. */
static bool
credited_before(struct handler *h, struct dp_handle slot, struct flow_stats *credited)
{
	struct dp_handle flow;

	if (!h->pool->credits_are_old) {
		return h->pool->ops->credited(h->pool->user, slot, credited);
	}
	if (!handlers_flow_credit(h->pool, slot.slot, &flow, credited) || flow.gen != slot.gen) {
		memset(credited, 0, sizeof(*credited));
	}
	return true;
}

/* Takes over an object, if it is in our share; meters are the loop's. */
static void
adopt_object(struct handler *h, const struct dp_message *m)
{
	const struct dp_object_item *item = m->body;
	struct flow_stats *credited;
	struct news *news;

	if (item->kind == DP_OBJECT_METER && h->index == 0) {
		news = make_news(h, NEWS_METER_LISTED, 0);
		news->object = item->object;
		post(h, news);
	}
	if (item->object.slot % h->pool->n != h->index) {
		return;
	}
	credited = xcalloc(m->n_parts + 1, sizeof(*credited));
	for (uint32_t i = 0; i < m->n_parts; i++) {
		if (!credited_before(h, m->parts[i], &credited[i])) {
			stats_region_read(
				h->rings->stats, m->parts[i].slot, m->parts[i].gen, &credited[i]);
		}
	}
	flow_registry_adopt_object(h->registry, m, credited, now_ms());
	free(credited);
}

/* Takes over a flow, if it is in our share. */
static void
adopt_flow(struct handler *h, const struct dp_message *m)
{
	const struct dp_flow_item *item = m->body;
	struct flow_stats credited = {0};
	bool known;

	if (item->flow.slot % h->pool->n != h->index) {
		return;
	}
	known = credited_before(h, item->flow, &credited);
	flow_registry_adopt(h->registry, m, known ? &credited : NULL, now_ms());
	if (item->flow.slot < h->pool->n_slots) {
		store_credit(&h->pool->credits[item->flow.slot], item->flow.gen,
			known ? &credited : &item->stats);
		atomic_store_explicit(
			&h->pool->credits[item->flow.slot].is_adopted, true, memory_order_relaxed);
	}
	h->n_listed++;
}

static void
object_replied(struct handler *h, const struct dp_message *m)
{
	const struct dp_object_put_reply *reply = m->body; /* a delete's is alike */
	struct waiting_object **at = &h->objects, *w;
	bool ok = reply->reply.status == 0 && m->type == DP_OBJECT_PUT + DP_REPLY;

	while (*at && (*at)->request != reply->reply.request) {
		at = &(*at)->next;
	}
	w = *at;
	if (w) {
		*at = w->next;
		answer_object(h, w->token, w->is_del, reply->reply.status, reply->object,
			ok ? m->parts : NULL, ok ? m->n_parts : 0);
		free(w);
	}
}

/* A reply or item whose request is ours. */
static void
own_reply(struct handler *h, const struct dp_message *m)
{
	const struct dp_reply *reply = m->body;

	switch (m->type) {
	case DP_FLOW_ITEM:
		adopt_flow(h, m);
		return;
	case DP_CONTEXT_ITEM:
		context_listed(h, m);
		return;
	case DP_OBJECT_ITEM:
		adopt_object(h, m);
		return;
	case DP_OBJECT_LIST + DP_REPLY:
		list_replied(h, DP_OBJECT_LIST, m->body);
		return;
	case DP_OBJECT_PUT + DP_REPLY:
	case DP_OBJECT_DEL + DP_REPLY:
		object_replied(h, m);
		return;
	case DP_FLOW_LIST + DP_REPLY:
		list_replied(h, DP_FLOW_LIST, m->body);
		return;
	case DP_CONTEXT_LIST + DP_REPLY:
		list_replied(h, DP_CONTEXT_LIST, m->body);
		return;
	case DP_BARRIER + DP_REPLY:
		barrier_replied(h, reply->request);
		return;
	default:
		if (reply->status < 0) { /* a packet-out, or a context that is still used */
			count(&h->n_failed);
			LOG_DBG("datapath: command %u: %s", m->type - DP_REPLY,
				strerror(-reply->status));
		}
	}
}

/* Requests stand first in replies and in items. */
static uint64_t
request_of(const struct dp_message *m)
{
	uint64_t request;

	memcpy(&request, m->body, sizeof(request));
	return request;
}

static bool
run_replies(struct handler *h)
{
	struct shm_ring *r = &h->rings->reply;

	for (unsigned i = 0; i < BATCH; i++) {
		struct weft_error err = WEFT_ERROR_INIT;
		struct dp_message m;
		uint32_t kind;
		int len = shm_ring_read(r, h->buffer, sizeof(h->buffer), &kind);

		if (len == -EAGAIN) {
			return false;
		}
		shm_ring_release(r);
		if (len < 0 || !dp_reply_decode(kind, h->buffer, (size_t)len, &m, &err)) {
			count(&h->n_bad_records);
			report_broken(h, len < 0 ? "the reply ring is broken" : err.text);
			return false;
		}
		if (request_of(&m) & FLOW_REGISTRY_REQUEST) {
			flow_registry_reply(h->registry, &m, now_ms());
		} else {
			own_reply(h, &m);
		}
	}
	return true;
}

/* --- upcalls ------------------------------------------------------------------------------------ */

/* Begins a packet-in; NULL: the loop has enough to do. */
static struct news *
begin_packet_in(struct handler *h, const struct dp_upcall *up, const struct dp_message *m,
	uint32_t capacity)
{
	const void *context;
	struct news *news;
	size_t size = 0;

	if (atomic_load_explicit(&h->n_waiting_packet_ins, memory_order_relaxed) >=
		HANDLER_MAX_PACKET_INS) {
		count(&h->n_packet_ins_dropped);
		return NULL;
	}
	atomic_fetch_add_explicit(&h->n_waiting_packet_ins, 1, memory_order_relaxed);
	of_reader_enter(h->reader);
	context = of_context_find(h->pool->model, up->context, &size);
	size = context ? size : 0;
	news = make_news(h, NEWS_PACKET_IN, size + capacity);
	news->context_size = (uint32_t)size;
	if (size) {
		memcpy(news->bytes, context, size);
	}
	of_reader_leave(h->reader);
	news->key = m->key;
	news->key_blocks = m->key_blocks;
	news->packet_len = up->packet_len;
	return news;
}

/* How many bytes the records of the packet can hold together: a chain goes on in full records. */
static uint32_t
chain_capacity(const struct dp_upcall *up)
{
	return up->flags & DP_UPCALL_MORE ? up->packet_len : up->data_len;
}

static void
to_agent(struct handler *h, struct chain *chain, const struct dp_upcall *up,
	const struct dp_message *m)
{
	bool more = up->flags & DP_UPCALL_MORE;

	if (up->data_off == 0) {
		drop_chain(h, chain);
		chain->capacity = chain_capacity(up);
		chain->news = begin_packet_in(h, up, m, chain->capacity);
		chain->is_dropped = !chain->news;
	}
	if (chain->news && chain->news->data_len == up->data_off &&
		m->data_len <= chain->capacity - chain->news->data_len) {
		memcpy(chain->news->bytes + chain->news->context_size + chain->news->data_len,
			m->data, m->data_len);
		chain->news->data_len += (uint32_t)m->data_len;
	} else if (chain->news) {
		count(&h->n_bad_records);
		drop_chain(h, chain);
		return;
	}
	if (!more && chain->news) {
		count(&h->n_packet_ins);
		post(h, chain->news);
		chain->news = NULL;
	}
}

/* One ring's batch. Whether it may have more. */
static bool
run_upcall_ring(struct handler *h, unsigned index)
{
	struct shm_ring *r = &h->rings->upcall[index];
	uint64_t now = now_ms();

	for (unsigned i = 0; i < BATCH; i++) {
		struct weft_error err = WEFT_ERROR_INIT;
		struct dp_message m;
		uint32_t kind;
		int len = shm_ring_read(r, h->buffer, sizeof(h->buffer), &kind);

		if (len == -EAGAIN) {
			return false;
		}
		shm_ring_release(r);
		if (len == -EPROTO) {
			report_broken(h, "an upcall ring is broken");
			return false;
		}
		if (len < 0 || !dp_upcall_decode(kind, h->buffer, (size_t)len, &m, &err)) {
			count(&h->n_bad_records);
			LOG_WARN_RL("datapath: upcall of kind %u: %s", kind, err.text);
		} else if (kind == DP_UPCALL_MISS) {
			flow_registry_upcall(h->registry, m.body, &m.key, m.key_blocks, now);
		} else {
			to_agent(h, &h->chains[index], m.body, &m);
		}
	}
	return true;
}

static bool
run_upcalls(struct handler *h)
{
	bool more = false;

	for (unsigned i = 0; i < h->rings->n_upcall; i++) {
		more = run_upcall_ring(h, i) || more;
	}
	return more;
}

/* --- sleep -------------------------------------------------------------------------------------- */

static void
store_counters(struct handler *h)
{
	struct flow_registry_counters c;
	uint64_t words[WEFT_ARRAY_SIZE(h->flow_counters)];

	flow_registry_counters(h->registry, &c);
	_Static_assert(sizeof(c) == sizeof(words), "counters are 64-bit words");
	memcpy(words, &c, sizeof(words));
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(words); i++) {
		atomic_store_explicit(&h->flow_counters[i], words[i], memory_order_relaxed);
	}
}

/* Announces sleep on every ring; false: something has come. */
static bool
announce(struct handler *h)
{
	bool empty = shm_ring_sleep(&h->rings->reply);

	for (unsigned i = 0; i < h->rings->n_upcall && empty && h->serving; i++) {
		empty = shm_ring_sleep(&h->rings->upcall[i]);
	}
	return empty;
}

static void
withdraw(struct handler *h)
{
	shm_ring_woken(&h->rings->reply);
	for (unsigned i = 0; i < h->rings->n_upcall; i++) {
		shm_ring_woken(&h->rings->upcall[i]);
	}
}

static void
sleep_until(struct handler *h, uint64_t until_ms)
{
	struct pollfd fds[2] = {{.fd = h->inbox_fd, .events = POLLIN}};
	uint64_t now = now_ms(), wait = until_ms > now ? until_ms - now : 0, posted;

	if (h->rings && h->reported_broken) {
		wait = MAX_SLEEP_MS; /* until the loop takes the rings back */
	} else if (h->rings) {
		fds[1] = (struct pollfd){.fd = h->rings->event_fd, .events = POLLIN};
		if (!announce(h)) {
			withdraw(h);
			return;
		}
	}
	if (inbox_is_empty(&h->inbox)) {
		poll(fds, fds[1].events ? 2 : 1, (int)WEFT_MIN(wait, (uint64_t)MAX_SLEEP_MS));
		count(&h->n_wakeups);
	}
	if (fds[1].events) {
		withdraw(h);
	}
	(void)!read(h->inbox_fd, &posted, sizeof(posted));
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Handler: what comes in from the datapath, replies and upcalls.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller-agent/handler_internal.h"
#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/log.h"
#include "ofproto/of_context.h"

WEFT_LOG_MODULE(handler);

/* --- replies ------------------------------------------------------------------------------------ */

static void
context_listed(struct handler *h, const struct dp_message *m)
{
	const struct dp_context_item *item = m->body;
	struct news *news = handler_news(h, NEWS_CONTEXT, m->data_len);

	news->id = item->id;
	news->data_len = (uint32_t)m->data_len;
	memcpy(news->bytes, m->data, m->data_len);
	handler_post(h, news);
}

static void
list_replied(struct handler *h, uint32_t kind, const struct dp_list_reply *reply)
{
	struct news *news;

	if (reply->reply.status == 0 && reply->next_slot != UINT32_MAX) {
		if (!handler_send_list(h, kind, reply->next_slot)) {
			handler_report_broken(h, "no room to go on with a list");
		}
		return;
	}
	if (kind == DP_OBJECT_LIST) {
		if (!handler_send_list(h, DP_FLOW_LIST, 0)) {
			handler_report_broken(h, "no room to go on with a list");
		}
		return;
	}
	if (reply->reply.status < 0) {
		LOG_ERR("datapath: listing what an earlier agent left: %s",
			strerror(-reply->reply.status));
	}
	news = handler_news(h, kind == DP_FLOW_LIST ? NEWS_FLOWS_LISTED : NEWS_CONTEXTS_LISTED, 0);
	news->n = h->n_listed;
	handler_post(h, news);
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
		news = handler_news(h, NEWS_METER_LISTED, 0);
		news->object = item->object;
		handler_post(h, news);
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
	flow_registry_adopt_object(h->registry, m, credited, handler_now_ms());
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
	flow_registry_adopt(h->registry, m, known ? &credited : NULL, handler_now_ms());
	if (item->flow.slot < h->pool->n_slots) {
		handler_store_credit(&h->pool->credits[item->flow.slot], item->flow.gen,
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
		handler_answer_object(h, w->token, w->is_del, reply->reply.status, reply->object,
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
	case DP_TUN_OPTS + DP_REPLY:
		/* Set too often for the moment: again. */
		h->has_options |= reply->status == -EAGAIN;
		return;
	case DP_BARRIER + DP_REPLY:
		handler_barrier_replied(h, reply->request);
		return;
	default:
		if (reply->status < 0) { /* a packet-out, or a context that is still used */
			handler_count(&h->n_failed);
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

bool
handler_run_replies(struct handler *h)
{
	struct shm_ring *r = &h->rings->reply;

	for (unsigned i = 0; i < HANDLER_BATCH; i++) {
		struct weft_error err = WEFT_ERROR_INIT;
		struct dp_message m;
		uint32_t kind;
		int len = shm_ring_read(r, h->buffer, sizeof(h->buffer), &kind);

		if (len == -EAGAIN) {
			return false;
		}
		shm_ring_release(r);
		if (len < 0 || !dp_reply_decode(kind, h->buffer, (size_t)len, &m, &err)) {
			handler_count(&h->n_bad_records);
			handler_report_broken(h, len < 0 ? "the reply ring is broken" : err.text);
			return false;
		}
		if (request_of(&m) & FLOW_REGISTRY_REQUEST) {
			flow_registry_reply(h->registry, &m, handler_now_ms());
		} else {
			own_reply(h, &m);
		}
	}
	return true;
}

/* --- upcalls ------------------------------------------------------------------------------------ */

void
handler_drop_chain(struct handler *h, struct chain *chain)
{
	if (chain->news) {
		handler_packet_in_ends(chain->news);
		free(chain->news);
	}
	chain->news = NULL;
	chain->is_dropped = false;
}

static _Atomic uint32_t *
waiting_of_port(struct handler *h, const struct flow_key *key)
{
	return &h->n_waiting_of_port[be32_to(key->in_port) % HANDLER_PORT_SHARES];
}

void
handler_packet_in_ends(const struct news *news)
{
	atomic_fetch_sub_explicit(&news->from->n_waiting_packet_ins, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(waiting_of_port(news->from, &news->key), 1, memory_order_relaxed);
}

/* Whether the loop has enough to do, with packets of that port if not with others. */
static bool
is_too_much(struct handler *h, const struct flow_key *key)
{
	uint32_t n = atomic_load_explicit(&h->n_waiting_packet_ins, memory_order_relaxed);
	uint32_t n_port = atomic_load_explicit(waiting_of_port(h, key), memory_order_relaxed);

	return n >= HANDLER_MAX_PACKET_INS ||
	       (n >= HANDLER_MAX_PACKET_INS / 2 && n_port >= HANDLER_MAX_PACKET_INS / 8);
}

/* Begins a packet-in; NULL: the loop has enough to do. */
static struct news *
begin_packet_in(struct handler *h, const struct dp_upcall *up, const struct dp_message *m,
	uint32_t capacity)
{
	const void *context;
	struct news *news;
	size_t size = 0;

	if (is_too_much(h, &m->key)) {
		handler_count(&h->n_packet_ins_dropped);
		return NULL;
	}
	atomic_fetch_add_explicit(&h->n_waiting_packet_ins, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(waiting_of_port(h, &m->key), 1, memory_order_relaxed);
	of_reader_enter(h->reader);
	context = of_context_find(h->pool->model, up->context, &size);
	size = context ? size : 0;
	news = handler_news(h, NEWS_PACKET_IN, size + capacity);
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
		handler_drop_chain(h, chain);
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
		handler_count(&h->n_bad_records);
		handler_drop_chain(h, chain);
		return;
	}
	if (!more && chain->news) {
		handler_count(&h->n_packet_ins);
		handler_post(h, chain->news);
		chain->news = NULL;
	}
}

/* One ring's batch. Whether it may have more. */
static bool
run_upcall_ring(struct handler *h, unsigned index)
{
	struct shm_ring *r = &h->rings->upcall[index];
	uint64_t now = handler_now_ms();

	for (unsigned i = 0; i < HANDLER_BATCH; i++) {
		struct weft_error err = WEFT_ERROR_INIT;
		struct dp_message m;
		uint32_t kind;
		int len = shm_ring_read(r, h->buffer, sizeof(h->buffer), &kind);

		if (len == -EAGAIN) {
			return false;
		}
		shm_ring_release(r);
		if (len == -EPROTO) {
			handler_report_broken(h, "an upcall ring is broken");
			return false;
		}
		if (len < 0 || !dp_upcall_decode(kind, h->buffer, (size_t)len, &m, &err)) {
			handler_count(&h->n_bad_records);
			LOG_WARN_RL("datapath: upcall of kind %u: %s", kind, err.text);
		} else if (kind == DP_UPCALL_MISS) {
			flow_registry_upcall(h->registry, m.body, &m.key, m.key_blocks, now);
		} else {
			to_agent(h, &h->chains[index], m.body, &m);
		}
	}
	return true;
}

bool
handler_run_upcalls(struct handler *h)
{
	bool more = false;

	for (unsigned i = 0; i < h->rings->n_upcall; i++) {
		more = run_upcall_ring(h, i) || more;
	}
	return more;
}

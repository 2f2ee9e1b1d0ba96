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
#include <unistd.h>

#include "controller-agent/handler_internal.h"
#include "lib/alloc.h"

#define REGISTRY_BUDGET 64
#define MAX_SLEEP_MS 1000

static bool run_orders(struct handler *h, bool *stop);
static void run_barriers(struct handler *h);
static void store_counters(struct handler *h);
static void sleep_until(struct handler *h, uint64_t until_ms);
static void detach(struct handler *h);

void *
handler_run(void *arg)
{
	struct handler *h = arg;
	struct flow_registry_ops ops;
	bool stop = false;

	weft_role_enter(weft_handler);
	handler_registry_ops(h, &ops);
	h->registry = flow_registry_create(h->reader, &ops);
	while (!stop) {
		bool busy = run_orders(h, &stop);

		if (h->rings) {
			busy = handler_run_replies(h) || busy;
			busy = (h->serving && handler_run_upcalls(h)) || busy;
		}
		busy = flow_registry_run(h->registry, handler_now_ms(), REGISTRY_BUDGET) || busy;
		handler_run_options(h);
		run_barriers(h);
		handler_publish(h);
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

/* --- orders ------------------------------------------------------------------------------------- */

static bool
send_packet_out(struct handler *h, const struct order *o)
{
	return handler_send_packet_out(h, h->next_request++, (struct dp_port){o->id}, o->bytes,
		       o->actions_size, o->bytes + WEFT_ROUND_UP((size_t)o->actions_size, 8),
		       o->data_len) != -EAGAIN;
}

static void
translate_out(struct handler *h, const struct order *o)
{
	struct flow_packet_out po = {
		.ofproto_id = o->ofproto_id,
		.in_port = {o->id},
		.key = o->key,
		.actions = o->bytes,
		.actions_size = o->actions_size,
		.data = o->bytes + WEFT_ROUND_UP((size_t)o->actions_size, 8),
		.len = o->data_len,
	};

	if (h->rings) {
		flow_registry_packet_out(h->registry, &po, handler_now_ms());
	}
}

static bool
send_context_del(struct handler *h, uint32_t id)
{
	struct dp_context_del del = {.cmd.request = h->next_request++, .id = id};

	return handler_sent(h, dp_send(&h->rings->command, DP_CONTEXT_DEL, &del, sizeof(del), NULL,
				       0)) != -EAGAIN;
}

/* False: the ring is full. */
static bool
run_object_order(struct handler *h, const struct order *o)
{
	bool is_del = o->kind == ORDER_OBJECT_DEL;
	struct waiting_object *w;
	int error;

	error = is_del ? handler_send_object_del(h, h->next_request, o->object)
		       : handler_send_object(h, h->next_request, o->object, o->kind_of_object, 0,
				 o->n_parts, o->bytes, o->data_len);
	if (error == -EAGAIN) {
		return false;
	}
	if (error) {
		handler_answer_object(h, o->token, is_del, -ENOTCONN, o->object, NULL, 0);
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
		handler_answer_object(
			h, w->token, w->is_del, -ENOTCONN, (struct dp_handle){0, 0}, NULL, 0);
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
	h->n_sent = 0;
	h->is_confirmed = true;
	h->n_listed = 0;
	/* Whatever we had installed is listed anew, or is gone with its datapath. */
	flow_registry_reset(h->registry);
}

static void
answer_barrier(struct handler *h, struct barrier *barrier)
{
	struct news *news = handler_news(h, NEWS_BARRIER, 0);

	news->barrier = barrier;
	handler_post(h, news);
}

static void
detach(struct handler *h)
{
	struct news *news;

	for (unsigned i = 0; i < h->rings->n_upcall; i++) {
		handler_drop_chain(h, &h->chains[i]);
	}
	news = handler_news(h, NEWS_DETACHED, 0);
	news->rings = h->rings;
	h->rings = NULL;
	h->serving = false;
	h->is_confirmed = true;
	fail_objects(h);
	run_barriers(h);
	handler_post(h, news);
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
		return !h->rings || handler_send_list(h, DP_CONTEXT_LIST, 0);
	case ORDER_LIST_FLOWS:
		return !h->rings || handler_send_list(h, DP_OBJECT_LIST, 0); /* then the flows */
	case ORDER_SERVE:
		h->serving = h->rings != NULL;
		return true;
	case ORDER_RELEASE:
		h->is_released = true;
		flow_registry_release(h->registry);
		return true;
	case ORDER_TRANSLATE_OUT:
		translate_out(h, o);
		return true;
	case ORDER_PACKET_OUT:
		return !h->rings || send_packet_out(h, o);
	case ORDER_CONTEXT_PUT:
		return !h->rings || handler_send_context(h, h->next_request++, o->id, o->bytes,
					    o->data_len) != -EAGAIN;
	case ORDER_CONTEXT_DEL:
		return !h->rings || send_context_del(h, o->id);
	case ORDER_OBJECT_PUT:
	case ORDER_OBJECT_DEL:
		return run_object_order(h, o);
	case ORDER_TUN_OPTS:
		h->n_options = o->data_len / sizeof(h->options[0]);
		memcpy(h->options, o->bytes, o->data_len);
		h->has_options = true;
		handler_run_options(h);
		return true;
	case ORDER_BARRIER:
		take_barrier(h, o->barrier, o->version);
		return true;
	case ORDER_PULL:
		flow_registry_pull(h->registry, handler_now_ms());
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
	for (unsigned i = 0; i < HANDLER_BATCH; i++) {
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
		if (h->stalled || h->has_options ||
			flow_registry_version(h->registry) < w->version ||
			handler_sent(h, dp_send(&h->rings->command, DP_BARRIER, &b, sizeof(b), NULL,
						0)) != 0) {
			return;
		}
		w->request = h->next_request++;
		w->n_sent = h->n_sent;
	}
}

void
handler_barrier_replied(struct handler *h, uint64_t request)
{
	/* In order: those before it were sent before it. */
	while (h->barriers && h->barriers->request && h->barriers->request <= request) {
		struct waiting_barrier *w = h->barriers;

		h->barriers = w->next;
		h->is_confirmed = w->n_sent == h->n_sent;
		answer_barrier(h, w->barrier);
		free(w);
	}
	if (!h->barriers) {
		h->barriers_end = &h->barriers;
	}
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

static bool
has_work(const struct handler *h)
{
	return h->stalled || h->barriers || h->objects || h->has_options || !h->is_confirmed ||
	       flow_registry_n_flows(h->registry) || !flow_registry_is_settled(h->registry) ||
	       (h->rings && !h->serving);
}

/* What the loop has published before it finds that we rest is seen by whatever we do afterwards: it fences
 * between the two, as we do here. */
static void
set_rests(struct handler *h, bool rests)
{
	atomic_store_explicit(&h->rests, rests, memory_order_seq_cst);
	atomic_thread_fence(memory_order_seq_cst);
}

static void
sleep_until(struct handler *h, uint64_t until_ms)
{
	struct pollfd fds[2] = {{.fd = h->inbox_fd, .events = POLLIN}};
	uint64_t now = handler_now_ms(), wait = until_ms > now ? until_ms - now : 0, posted;

	if (h->rings && h->reported_broken) {
		wait = MAX_SLEEP_MS; /* until the loop takes the rings back */
	} else if (h->rings) {
		fds[1] = (struct pollfd){.fd = h->rings->event_fd, .events = POLLIN};
		if (!announce(h)) {
			withdraw(h);
			return;
		}
	}
	set_rests(h, !has_work(h));
	if (inbox_is_empty(&h->inbox)) {
		poll(fds, fds[1].events ? 2 : 1, (int)WEFT_MIN(wait, (uint64_t)MAX_SLEEP_MS));
		handler_count(&h->n_wakeups);
	}
	set_rests(h, false);
	if (fds[1].events) {
		withdraw(h);
	}
	(void)!read(h->inbox_fd, &posted, sizeof(posted));
}

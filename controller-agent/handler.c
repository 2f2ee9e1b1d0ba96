/* SPDX-License-Identifier: Apache-2.0
 *
 * Handlers: the pool, and the loop's end of the bridge.
 *
 * Slices: news are handed out for at most a millisecond a turn of the loop.
 */
#include "controller-agent/handler.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "controller-agent/dp_client.h"
#include "controller-agent/handler_internal.h"
#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/log.h"
#include "ofproto/of_learned.h"
#include "ofproto/translate.h"

WEFT_LOG_MODULE(handlers);

#define SLICE_NS 1000000

static void forget_learn(const struct news *news);
static void take_news(int fd, short what, void *arg);
static void run_news(struct handlers *p, struct news *news);
static struct handler_rings *map_rings(
	struct handlers *p, const struct dp_session *s, unsigned index, struct weft_error *err);
static bool start_handler(struct handlers *p, struct handler *h, struct weft_error *err);
static void stop_handler(struct handler *h);
static void drop_credits(struct handlers *p);

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static struct order *
make_order(enum order_kind kind, size_t n_bytes)
{
	struct order *o = xcalloc(1, sizeof(*o) + n_bytes);

	o->kind = kind;
	return o;
}

static void
post_order(struct handler *h, struct order *o)
{
	inbox_post(&h->inbox, &o->item);
}

static void
post_to_all(struct handlers *p, enum order_kind kind)
{
	for (unsigned i = 0; i < p->n; i++) {
		post_order(&p->handlers[i], make_order(kind, 0));
	}
}

/* --- life --------------------------------------------------------------------------------------- */

struct handlers *
handlers_create(struct event_base *base, struct of_model *model, unsigned n,
	const struct handlers_ops *ops, void *user, struct weft_error *err)
{
	struct handlers *p = xaligned(64, sizeof(*p));
	unsigned started = 0;

	p->base = base;
	p->model = model;
	p->ops = ops;
	p->user = user;
	p->n = n;
	p->inbox_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	inbox_init(&p->inbox, p->inbox_fd);
	p->inbox_event = event_new(base, p->inbox_fd, EV_READ | EV_PERSIST, take_news, p);
	p->more = evtimer_new(base, take_news, p);
	event_add(p->inbox_event, NULL);
	p->handlers = xaligned(64, n * sizeof(*p->handlers));
	while (started < n) {
		p->handlers[started].pool = p;
		p->handlers[started].index = started;
		if (!start_handler(p, &p->handlers[started], err)) {
			break;
		}
		started++;
	}
	if (started < n) {
		p->n = started;
		handlers_destroy(p);
		return NULL;
	}
	return p;
}

static bool
start_handler(struct handlers *p, struct handler *h, struct weft_error *err)
{
	int rc;

	h->inbox_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	inbox_init(&h->inbox, h->inbox_fd);
	h->is_confirmed = true;
	h->barriers_end = &h->barriers;
	h->next_request = 1;
	h->reader = of_reader_create(p->model);
	rc = h->reader ? pthread_create(&h->thread, NULL, handler_run, h) : EAGAIN;
	if (rc != 0) {
		if (h->reader) {
			of_reader_destroy(h->reader);
		}
		close(h->inbox_fd);
		return weft_error_set(err, WEFT_ERR_SYSTEM, rc, "handler %u cannot be started: %s",
			h->index, strerror(rc));
	}
	return true;
}

static void
stop_handler(struct handler *h)
{
	struct order *o;

	post_order(h, make_order(ORDER_STOP, 0));
	pthread_join(h->thread, NULL);
	while ((o = (struct order *)inbox_take(&h->inbox)) != NULL) {
		if (o->kind == ORDER_ATTACH) {
			handler_rings_free(o->rings);
		} else if (o->kind == ORDER_BARRIER || o->kind == ORDER_PULL) {
			barrier_unref(o->barrier);
		}
		free(o);
	}
	free(h->stalled);
	while (h->barriers) {
		struct waiting_barrier *next = h->barriers->next;

		barrier_unref(h->barriers->barrier);
		free(h->barriers);
		h->barriers = next;
	}
	while (h->objects) {
		struct waiting_object *next = h->objects->next;

		free(h->objects);
		h->objects = next;
	}
	of_reader_destroy(h->reader);
	close(h->inbox_fd);
}

void
handlers_stop(struct handlers *p)
{
	for (unsigned i = 0; i < p->n && !p->stopped; i++) {
		stop_handler(&p->handlers[i]);
	}
	p->stopped = true;
}

void
handlers_destroy(struct handlers *p)
{
	struct news *news;

	if (!p) {
		return;
	}
	handlers_stop(p);
	while ((news = (struct news *)inbox_take(&p->inbox)) != NULL) {
		handler_rings_free(news->rings);
		forget_learn(news);
		if (news->barrier) {
			barrier_unref(news->barrier);
		}
		free(news);
	}
	if (p->attached || p->detaching) {
		stats_region_destroy(&p->stats);
	}
	drop_credits(p);
	event_free(p->inbox_event);
	event_free(p->more);
	close(p->inbox_fd);
	free(p->handlers);
	free(p);
}

unsigned
handlers_count(const struct handlers *p)
{
	return p->n;
}

/* --- credits ------------------------------------------------------------------------------------ */

static void
drop_credits(struct handlers *p)
{
	if (p->credits) {
		munmap(p->credits, (size_t)p->n_slots * sizeof(*p->credits));
	}
	p->credits = NULL;
	p->n_slots = 0;
}

/* Keeps those of the session before if it was with the same datapath. Pages that nobody uses cost
 * nothing. */
static void
prepare_credits(struct handlers *p, const struct dp_session *s)
{
	void *map;

	p->credits_are_old = p->credits && p->instance == s->instance && p->n_slots == s->n_slots;
	if (p->credits_are_old) {
		return;
	}
	drop_credits(p);
	p->instance = s->instance;
	map = mmap(NULL, (size_t)s->n_slots * sizeof(*p->credits), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED) {
		LOG_WARN("no memory to remember what is credited: %s", strerror(errno));
		return;
	}
	p->credits = map;
	p->n_slots = s->n_slots;
}

bool
handlers_flow_credit(
	const struct handlers *p, uint32_t slot, struct dp_handle *flow, struct flow_stats *sum)
{
	const struct flow_credit *credit;

	if (slot >= p->n_slots) {
		return false;
	}
	credit = &p->credits[slot];
	flow->slot = slot;
	flow->gen = atomic_load_explicit(&credit->gen, memory_order_relaxed);
	memset(sum, 0, sizeof(*sum));
	sum->packets = atomic_load_explicit(&credit->packets, memory_order_relaxed);
	sum->bytes = atomic_load_explicit(&credit->bytes, memory_order_relaxed);
	return flow->gen != 0;
}

uint32_t
handlers_n_slots(const struct handlers *p)
{
	return p->n_slots;
}

/* --- sessions ----------------------------------------------------------------------------------- */

bool
handlers_attach(struct handlers *p, const struct dp_session *s, bool adopt, struct weft_error *err)
{
	struct handler_rings *rings[DP_MAX_HANDLERS] = {NULL};

	if (!stats_region_attach(&p->stats, s->stats_fd, s->instance, err)) {
		return false;
	}
	for (unsigned i = 0; i < p->n; i++) {
		rings[i] = map_rings(p, s, i, err);
		if (!rings[i]) {
			for (unsigned k = 0; k < i; k++) {
				handler_rings_free(rings[k]);
			}
			stats_region_destroy(&p->stats);
			return false;
		}
	}
	prepare_credits(p, s);
	p->attached = true;
	p->n_listing = 0;
	p->n_listed = 0;
	for (unsigned i = 0; i < p->n; i++) {
		struct order *o = make_order(ORDER_ATTACH, 0);

		o->rings = rings[i];
		post_order(&p->handlers[i], o);
	}
	if (adopt) {
		post_order(&p->handlers[0], make_order(ORDER_LIST_CONTEXTS, 0));
	} else {
		post_to_all(p, ORDER_SERVE);
	}
	return true;
}

static struct handler_rings *
map_rings(struct handlers *p, const struct dp_session *s, unsigned index, struct weft_error *err)
{
	struct handler_rings *r = xcalloc(1, sizeof(*r));
	bool ok;

	r->stats = &p->stats;
	r->event_fd = dup(s->handler_fd[index]);
	r->tables_fd = dup(s->tables_fd);
	ok = shm_ring_attach(&r->command, s->command_fd[index], s->ring_size, r->tables_fd, err) &&
	     shm_ring_attach(&r->reply, s->reply_fd[index], s->ring_size, r->event_fd, err);
	for (unsigned w = index; ok && w < s->n_workers; w += p->n) {
		ok = shm_ring_attach(&r->upcall[r->n_upcall], s->upcall_fd[w], s->upcall_ring_size,
			r->event_fd, err);
		r->n_upcall += ok;
	}
	if (!ok) {
		handler_rings_free(r);
		return NULL;
	}
	return r;
}

void
handlers_detach(struct handlers *p)
{
	if (!p->attached) {
		return;
	}
	p->attached = false;
	p->detaching = true;
	p->n_detaching = p->n;
	post_to_all(p, ORDER_DETACH);
}

void
handlers_release(struct handlers *p)
{
	post_to_all(p, ORDER_RELEASE);
}

void
handlers_kick(struct handlers *p)
{
	uint64_t version = of_model_version(p->model), one = 1;

	if (version == p->kicked_version) {
		return;
	}
	p->kicked_version = version;
	atomic_thread_fence(memory_order_seq_cst);
	for (unsigned i = 0; i < p->n; i++) {
		if (atomic_load_explicit(&p->handlers[i].rests, memory_order_seq_cst)) {
			continue;
		}
		(void)!write(p->handlers[i].inbox_fd, &one, sizeof(one));
	}
}

/* --- orders ------------------------------------------------------------------------------------- */

static struct order *
make_packet_out(enum order_kind kind, struct dp_port in_port, const void *actions,
	size_t actions_size, const void *data, size_t len)
{
	size_t data_at = WEFT_ROUND_UP(actions_size, 8);
	struct order *o = make_order(kind, data_at + len);

	o->id = in_port.v;
	o->actions_size = (uint32_t)actions_size;
	o->data_len = (uint32_t)len;
	if (actions_size) {
		memcpy(o->bytes, actions, actions_size);
	}
	if (len) {
		memcpy(o->bytes + data_at, data, len);
	}
	return o;
}

void
handlers_packet_out(struct handlers *p, struct dp_port in_port, const void *actions,
	size_t actions_size, const void *data, size_t len)
{
	post_order(&p->handlers[0],
		make_packet_out(ORDER_PACKET_OUT, in_port, actions, actions_size, data, len));
}

void
handlers_translate_out(struct handlers *p, const struct flow_packet_out *po)
{
	struct order *o = make_packet_out(
		ORDER_TRANSLATE_OUT, po->in_port, po->actions, po->actions_size, po->data, po->len);

	o->ofproto_id = po->ofproto_id;
	o->key = po->key;
	post_order(&p->handlers[0], o);
}

void
handlers_context_put(struct handlers *p, uint32_t id, const void *bytes, size_t size)
{
	struct order *o = make_order(ORDER_CONTEXT_PUT, size);

	o->id = id;
	o->data_len = (uint32_t)size;
	memcpy(o->bytes, bytes, size);
	post_order(&p->handlers[0], o);
}

void
handlers_context_del(struct handlers *p, uint32_t id)
{
	struct order *o = make_order(ORDER_CONTEXT_DEL, 0);

	o->id = id;
	post_order(&p->handlers[0], o);
}

void
handlers_tun_opts(struct handlers *p, const struct dp_tun_opt *opts, size_t n)
{
	struct order *o = make_order(ORDER_TUN_OPTS, n * sizeof(*opts));

	o->data_len = (uint32_t)(n * sizeof(*opts));
	if (n) {
		memcpy(o->bytes, opts, n * sizeof(*opts));
	}
	post_order(&p->handlers[0], o);
}

static struct order *
make_object_order(enum order_kind kind, struct dp_handle object, uint64_t token, size_t size)
{
	struct order *o = make_order(kind, size);

	o->object = object;
	o->token = token;
	o->data_len = (uint32_t)size;
	return o;
}

void
handlers_object_put(struct handlers *p, struct dp_handle object, uint32_t kind, uint32_t n_parts,
	const void *body, size_t size, uint64_t token)
{
	struct order *o = make_object_order(ORDER_OBJECT_PUT, object, token, size);

	o->kind_of_object = kind;
	o->n_parts = n_parts;
	memcpy(o->bytes, body, size);
	post_order(&p->handlers[0], o);
}

void
handlers_object_del(struct handlers *p, struct dp_handle object, uint64_t token)
{
	post_order(&p->handlers[0], make_object_order(ORDER_OBJECT_DEL, object, token, 0));
}

void
handlers_read_stats(const struct handlers *p, struct dp_handle part, struct flow_stats *sum)
{
	memset(sum, 0, sizeof(*sum));
	if (p->attached || p->detaching) {
		stats_region_read(&p->stats, part.slot, part.gen, sum);
	}
}

static void
ask_all(struct handlers *p, enum order_kind kind, void (*done)(void *user), void *user)
{
	struct barrier *b = xcalloc(1, sizeof(*b));

	b->done = done;
	b->user = user;
	b->n_waiting = p->n;
	for (unsigned i = 0; i < p->n; i++) {
		struct order *o = make_order(kind, 0);

		o->barrier = b;
		o->version = of_model_version(p->model);
		post_order(&p->handlers[i], o);
	}
}

/* No handler has anything that could disagree with the version, or be under way. */
static bool
all_rest(struct handlers *p)
{
	/* Orders first: a handler that takes one has risen before. */
	for (unsigned i = 0; i < p->n; i++) {
		if (inbox_has_news(&p->handlers[i].inbox)) {
			return false;
		}
	}
	atomic_thread_fence(memory_order_seq_cst);
	for (unsigned i = 0; i < p->n; i++) {
		if (!atomic_load_explicit(&p->handlers[i].rests, memory_order_seq_cst)) {
			return false;
		}
	}
	return true;
}

/* Answers from the loop, behind what the handlers have told it. */
static void
answer_soon(struct handlers *p, void (*done)(void *user), void *user)
{
	struct news *news = xcalloc(1, sizeof(*news));

	news->kind = NEWS_BARRIER;
	news->barrier = xcalloc(1, sizeof(*news->barrier));
	news->barrier->done = done;
	news->barrier->user = user;
	news->barrier->n_waiting = 1;
	inbox_put(&p->inbox, &news->item);
	event_active(p->more, EV_TIMEOUT, 0);
}

void
handlers_barrier(struct handlers *p, void (*done)(void *user), void *user)
{
	if (all_rest(p)) {
		answer_soon(p, done, user);
		return;
	}
	ask_all(p, ORDER_BARRIER, done, user);
}

void
handlers_pull(struct handlers *p, void (*done)(void *user), void *user)
{
	ask_all(p, ORDER_PULL, done, user);
}

bool
barrier_unref(struct barrier *b)
{
	if (--b->n_waiting) {
		return false;
	}
	free(b);
	return true;
}

/* --- news --------------------------------------------------------------------------------------- */

static void
take_news(int fd, short what, void *arg)
{
	struct handlers *p = arg;
	struct timeval now = {0, 0};
	uint64_t until = now_ns() + SLICE_NS, posted;
	struct news *news;

	(void)what;
	if (fd >= 0) {
		(void)!read(fd, &posted, sizeof(posted));
	}
	while ((news = (struct news *)inbox_take(&p->inbox)) != NULL) {
		run_news(p, news);
		free(news);
		if (now_ns() > until) {
			evtimer_add(p->more, &now);
			return;
		}
	}
}

static void
packet_in(struct handlers *p, const struct news *news)
{
	struct handler_packet_in packet = {
		.key = news->key,
		.key_blocks = news->key_blocks,
		.context = news->context_size ? news->bytes : NULL,
		.context_size = news->context_size,
		.packet_len = news->packet_len,
		.data_len = news->data_len,
		.data = news->bytes + news->context_size,
	};

	handler_packet_in_ends(news);
	p->ops->packet_in(p->user, &packet);
}

static void
rings_came_back(struct handlers *p, struct handler_rings *rings)
{
	handler_rings_free(rings);
	if (--p->n_detaching == 0) {
		p->detaching = false;
		stats_region_destroy(&p->stats);
		p->ops->detached(p->user);
	}
}

static void
flows_listed(struct handlers *p, uint64_t n)
{
	p->n_listed += n;
	if (--p->n_listing == 0 && p->attached) {
		post_to_all(p, ORDER_SERVE);
		p->ops->adopted(p->user, p->n_listed);
	}
}

static void
barrier_answered(struct barrier *b)
{
	void (*done)(void *user) = b->done;
	void *user = b->user;

	if (barrier_unref(b)) {
		done(user);
	}
}

static void
object_answered(struct handlers *p, const struct news *news)
{
	struct handler_object_reply reply = {
		.is_del = news->is_del,
		.status = news->status,
		.object = news->object,
		.parts = (const void *)news->bytes,
		.n_parts = news->data_len / (uint32_t)sizeof(struct dp_handle),
	};

	p->ops->object_replied(p->user, news->token, &reply);
}

/* Gives back what a rule that is to be learned, or limited, held. */
static void
forget_learn(const struct news *news)
{
	if (news->kind == NEWS_LEARN || news->kind == NEWS_LIMIT) {
		atomic_fetch_sub_explicit(&news->from->n_waiting_learns, 1, memory_order_relaxed);
	}
	if (news->learned) {
		of_learned_unref(news->learned);
	}
	if (news->rule) {
		of_rule_unref(news->rule);
	}
}

static void
run_news(struct handlers *p, struct news *news)
{
	switch (news->kind) {
	case NEWS_PACKET_IN:
		packet_in(p, news);
		break;
	case NEWS_LEARNED:
		p->ops->learned(p->user, &news->address);
		break;
	case NEWS_LEARN:
		p->ops->learn(p->user, news->learned);
		forget_learn(news);
		break;
	case NEWS_LIMIT:
		p->ops->limit(p->user, news->rule, news->idle_timeout, news->hard_timeout);
		forget_learn(news);
		break;
	case NEWS_CONTEXT:
		p->ops->context(p->user, news->id, news->bytes, news->data_len);
		break;
	case NEWS_CONTEXTS_LISTED:
		p->n_listing = p->n;
		post_to_all(p, ORDER_LIST_FLOWS);
		break;
	case NEWS_FLOWS_LISTED:
		flows_listed(p, news->n);
		break;
	case NEWS_OBJECT:
		object_answered(p, news);
		break;
	case NEWS_METER_LISTED:
		p->ops->meter_listed(p->user, news->object);
		break;
	case NEWS_DETACHED:
		rings_came_back(p, news->rings);
		break;
	case NEWS_BARRIER:
		barrier_answered(news->barrier);
		break;
	case NEWS_BROKEN:
		if (p->attached) {
			p->ops->broken(p->user, (const char *)news->bytes);
		}
		break;
	}
}

void
handlers_get_counters(struct handlers *p, struct handlers_counters *c)
{
	memset(c, 0, sizeof(*c));
	for (unsigned i = 0; i < p->n; i++) {
		struct handler *h = &p->handlers[i];
		uint64_t *sum = (uint64_t *)&c->flows;

		for (unsigned k = 0; k < WEFT_ARRAY_SIZE(h->flow_counters); k++) {
			sum[k] += atomic_load_explicit(&h->flow_counters[k], memory_order_relaxed);
		}
		c->n_packet_ins += atomic_load_explicit(&h->n_packet_ins, memory_order_relaxed);
		c->n_packet_ins_dropped +=
			atomic_load_explicit(&h->n_packet_ins_dropped, memory_order_relaxed);
		c->n_learns_dropped +=
			atomic_load_explicit(&h->n_learns_dropped, memory_order_relaxed);
		c->n_packet_outs += atomic_load_explicit(&h->n_packet_outs, memory_order_relaxed);
		c->n_bad_records += atomic_load_explicit(&h->n_bad_records, memory_order_relaxed);
		c->n_failed += atomic_load_explicit(&h->n_failed, memory_order_relaxed);
		c->n_wakeups += atomic_load_explicit(&h->n_wakeups, memory_order_relaxed);
	}
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Underlay: life, handlers' questions, news, slices, listing.
 *
 * Slice:    one in a turn of the loop: what handlers asked for, then news for SLICE_NS / 2, then what these
 *           queued until SLICE_NS is over, then a few datagrams. Builds come before questions, so that
 *           a link that went down has left all paths before the kernel is asked what it makes of that.
 */
#include "controller-agent/underlay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "controller-agent/underlay_internal.h"
#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/hash.h"
#include "lib/log.h"

WEFT_LOG_MODULE(underlay);

#define SLICE_NS 500000u
#define SOON_MS 10u
#define SWEEP_MS 1000u
#define FORGET_SWEEPS                                                                              \
	5u /* not looked up for so many refreshes: whoever depends on it may say so now */

/* A pair that a handler wants to be followed. */
struct request {
	struct inbox_item item;
	struct of_underlay_key key;
};

static void wake(evutil_socket_t fd, short what, void *user);
static void run(evutil_socket_t fd, short what, void *user);
static void sweep(struct underlay *u, uint64_t now_ms);
static void ask_all(struct underlay *u);
static void touch_port(struct underlay *u, const char *name);

static const struct underlay_news_ops news_ops;

/* --- life ----------------------------------------------------------------------------------------- */

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t
underlay_now_ms(void)
{
	return now_ns() / 1000000;
}

struct underlay *
underlay_create(struct event_base *base, struct grace *grace, const struct underlay_ops *ops,
	void *user, struct weft_error *err)
{
	struct underlay *u = xaligned(_Alignof(struct underlay), sizeof(*u));

	if (!underlay_netlink_open(&u->nl, err)) {
		free(u);
		return NULL;
	}
	u->requests_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (u->requests_fd < 0) {
		weft_error_set(err, WEFT_ERR_SYSTEM, errno, "eventfd: %s", strerror(errno));
		underlay_netlink_close(&u->nl);
		free(u);
		return NULL;
	}
	if (getrandom(&u->basis, sizeof(u->basis), 0) != sizeof(u->basis)) {
		u->basis = (uint32_t)now_ns();
	}
	u->grace = grace;
	u->ops = *ops;
	u->user = user;
	inbox_init(&u->requests, u->requests_fd);
	list_init(&u->builds);
	list_init(&u->asks);
	list_init(&u->hop_asks);
	hmap_init(&u->devices);
	hmap_init(&u->hops);
	hmap_init(&u->ports);
	hmap_init(&u->owns);
	for (unsigned i = 0; i < UNDERLAY_WAITS; i++) {
		list_init(&u->waits[i]);
	}
	u->probe_fd[0] = u->probe_fd[1] = -1;
	u->scratch = xcalloc(
		1, sizeof(*u->scratch) + OF_UNDERLAY_MAX_PATHS * sizeof(struct of_underlay_path));
	u->news_event = event_new(base, u->nl.news_fd, EV_READ | EV_PERSIST, wake, u);
	u->request_event = event_new(base, u->requests_fd, EV_READ | EV_PERSIST, wake, u);
	u->work_event = event_new(base, -1, 0, run, u);
	u->timer_event = event_new(base, -1, 0, wake, u);
	event_add(u->news_event, NULL);
	u->dump_event = event_new(base, u->nl.dump_fd, EV_READ | EV_PERSIST, wake, u);
	event_add(u->request_event, NULL);
	event_add(u->dump_event, NULL);
	underlay_own_list(u);
	return u;
}

void
underlay_destroy(struct underlay *u)
{
	struct underlay_port *port, *next;
	struct inbox_item *item;

	if (!u) {
		return;
	}
	event_free(u->news_event);
	event_free(u->request_event);
	event_free(u->dump_event);
	event_free(u->work_event);
	event_free(u->timer_event);
	while ((item = inbox_take(&u->requests)) != NULL) {
		free(WEFT_CONTAINER_OF(item, struct request, item));
	}
	underlay_remote_del_all(u);
	HMAP_FOREACH_SAFE (port, next, by_name, &u->ports) {
		hmap_remove(&u->ports, &port->by_name);
		free(port);
	}
	hmap_uninit(&u->devices);
	hmap_uninit(&u->hops);
	hmap_uninit(&u->ports);
	underlay_own_free(u);
	for (unsigned i = 0; i < 2; i++) {
		if (u->probe_fd[i] >= 0) {
			close(u->probe_fd[i]);
		}
	}
	close(u->requests_fd);
	underlay_netlink_close(&u->nl);
	free(u->scratch);
	free(u->changed);
	free(u);
}

/* --- handlers ------------------------------------------------------------------------------------- */

static const struct of_underlay_route pending = {
	.state = OF_UNDERLAY_PENDING, .text = "the kernel is being asked"};
static const struct of_underlay_route full = {
	.state = OF_UNDERLAY_FULL, .text = "too many remotes are in use"};

/* Hands the pair to the loop; false: there is no room. */
static bool
post_request(struct underlay *u, const struct of_underlay_key *key)
{
	struct request *request;

	if (atomic_load_explicit(&u->n_followed, memory_order_relaxed) >= UNDERLAY_MAX_REMOTES ||
		atomic_load_explicit(&u->n_requests, memory_order_relaxed) >=
			UNDERLAY_MAX_REQUESTS) {
		atomic_store_explicit(&u->has_refused, true, memory_order_release);
		return false;
	}
	atomic_fetch_add_explicit(&u->n_requests, 1, memory_order_relaxed);
	request = xcalloc(1, sizeof(*request));
	request->key = *key;
	inbox_post(&u->requests, &request->item);
	return true;
}

static const struct of_underlay_route *
lookup(void *user, const struct of_underlay_key *key)
{
	struct underlay *u = user;
	struct underlay_remote *r =
		atomic_load_explicit(underlay_chain(u, key), memory_order_acquire);
	const struct underlay_snapshot *s;

	while (r && memcmp(&r->key, key, sizeof(*key)) != 0) {
		r = atomic_load_explicit(&r->next, memory_order_acquire);
	}
	if (!r) {
		return post_request(u, key) ? &pending : &full;
	}
	if (!atomic_load_explicit(&r->is_touched, memory_order_relaxed)) {
		atomic_store_explicit(&r->is_touched, true, memory_order_relaxed);
	}
	s = atomic_load_explicit(&r->published, memory_order_acquire);
	return s ? &s->route : &pending;
}

struct of_underlay_provider
underlay_provider(struct underlay *u)
{
	return (struct of_underlay_provider){lookup, u, underlay_owns};
}

static void
take_requests(struct underlay *u)
{
	struct inbox_item *item;
	uint64_t drained;

	(void)!read(u->requests_fd, &drained, sizeof(drained));
	while ((item = inbox_take(&u->requests)) != NULL) {
		struct request *request = WEFT_CONTAINER_OF(item, struct request, item);
		struct underlay_remote *r = underlay_remote_find(u, &request->key);

		atomic_fetch_sub_explicit(&u->n_requests, 1, memory_order_relaxed);
		if (!r) {
			r = underlay_remote_add(u, &request->key);
		}
		if (r) {
			atomic_store_explicit(&r->is_touched, true, memory_order_relaxed);
		} else { /* it hears so when it asks again */
			underlay_name(u, of_underlay_id(&request->key, &pending));
		}
		free(request);
	}
	if (u->n_sorted < UNDERLAY_MAX_REMOTES &&
		atomic_exchange_explicit(&u->has_refused, false, memory_order_acq_rel)) {
		underlay_name(u, of_underlay_id(&(struct of_underlay_key){0}, &full));
	}
}

/* --- slices --------------------------------------------------------------------------------------- */

void
underlay_name(struct underlay *u, uint32_t id)
{
	if (u->n_changed == u->cap_changed) {
		u->cap_changed = WEFT_MAX(u->cap_changed * 2, (size_t)64);
		u->changed = xrealloc(u->changed, u->cap_changed * sizeof(u->changed[0]));
	}
	u->changed[u->n_changed++] = id;
}

void
underlay_wake(struct underlay *u)
{
	if (!event_pending(u->work_event, EV_TIMEOUT, NULL)) {
		event_add(u->work_event, &(struct timeval){0, 0});
	}
}

static void
wake(evutil_socket_t fd, short what, void *user)
{
	(void)fd;
	(void)what;
	underlay_wake(user);
}

static void
read_news(struct underlay *u, uint64_t until_ns)
{
	int rc;

	do {
		rc = underlay_read_news(&u->nl, &news_ops, u);
		if (rc == -ENOBUFS) {
			LOG_WARN_RL("the kernel lost news: all remotes are asked for again");
			u->counters.n_lost++;
			ask_all(u);
		} else if (rc && rc != -EAGAIN) {
			LOG_WARN_RL("news of netlink: %s", strerror(-rc));
		}
		u->counters.n_news += !rc;
	} while ((!rc || rc == -ENOBUFS) && now_ns() < until_ns);
}

static void
work(struct underlay *u, uint64_t until_ns)
{
	do {
		if (!list_is_empty(&u->builds)) {
			underlay_remote_build(
				u, LIST_ENTRY(u->builds.next, struct underlay_remote, by_build));
		} else if (!list_is_empty(&u->hop_asks)) {
			underlay_hop_ask(
				u, LIST_ENTRY(u->hop_asks.next, struct underlay_hop, by_ask));
		} else if (!list_is_empty(&u->asks)) {
			underlay_remote_ask(
				u, LIST_ENTRY(u->asks.next, struct underlay_remote, by_ask));
		} else {
			return;
		}
	} while (now_ns() < until_ns);
}

static void
arm_timer(struct underlay *u, uint64_t now_ms, bool waits_for_tokens)
{
	bool soon = waits_for_tokens || (u->list_again && !u->is_listing);
	uint64_t next = soon ? now_ms + SOON_MS : underlay_probe_next_ms(u);

	if (u->n_sorted) {
		next = WEFT_MIN(next, u->sweep_ms);
	}
	if (next != UINT64_MAX) {
		uint64_t wait = next > now_ms ? next - now_ms : 0;

		event_add(u->timer_event, &(struct timeval){(time_t)(wait / 1000),
						  (suseconds_t)(wait % 1000 * 1000)});
	}
}

static void
run(evutil_socket_t fd, short what, void *user)
{
	struct underlay *u = user;
	uint64_t start = now_ns(), now_ms = start / 1000000;
	bool waits;

	(void)fd;
	(void)what;
	take_requests(u);
	read_news(u, start + SLICE_NS / 2);
	underlay_own_read(u);
	work(u, start + SLICE_NS);
	waits = underlay_probe(u, now_ms);
	if (now_ms >= u->sweep_ms) {
		sweep(u, now_ms);
	}
	if (!list_is_empty(&u->builds) || !list_is_empty(&u->hop_asks) ||
		!list_is_empty(&u->asks)) {
		underlay_wake(u);
	}
	arm_timer(u, now_ms, waits);
	underlay_own_publish(u);
	if (u->n_changed) {
		size_t n = u->n_changed;

		u->n_changed = 0;
		u->ops.changed(u->user, u->changed, n);
	}
}

/* Looks at a part of all remotes, so that each has its turn every UNDERLAY_REFRESH_S. */
static void
sweep(struct underlay *u, uint64_t now_ms)
{
	size_t n = u->n_sorted / (UNDERLAY_REFRESH_S * 1000 / SWEEP_MS) + 1;

	u->sweep_ms = now_ms + SWEEP_MS;
	for (; n && u->n_sorted; n--) {
		struct underlay_remote *r;

		if (u->sweep_at >= u->n_sorted) {
			u->sweep_at = 0;
		}
		r = u->sorted[u->sweep_at++];
		if (atomic_exchange_explicit(&r->is_touched, false, memory_order_relaxed) ||
			r->n_pins) {
			r->n_idle = 0;
		} else if (++r->n_idle > FORGET_SWEEPS) {
			underlay_remote_del(u, r);
			u->sweep_at--;
			continue;
		} else if (r->n_idle == FORGET_SWEEPS) {
			underlay_name(u, underlay_remote_id(r));
		}
		underlay_remote_to_ask(u, r);
	}
}

/* --- news ----------------------------------------------------------------------------------------- */

/* Nothing that is known may still be true. */
static void
ask_all(struct underlay *u)
{
	underlay_own_list(u);
	underlay_devices_ask(u);
	underlay_hops_to_ask(u);
	for (size_t i = 0; i < u->n_sorted; i++) {
		underlay_remote_to_build(u, u->sorted[i]);
		underlay_remote_to_ask(u, u->sorted[i]);
	}
}

static void
link_news(void *user, const struct underlay_link *link, bool is_gone)
{
	underlay_link_news(user, link, is_gone);
}

static void
neighbour_news(void *user, const struct underlay_neighbour *n, bool is_gone)
{
	underlay_neighbour_news(user, n, is_gone);
}

static void
route_news(void *user, const struct of_underlay_addr *prefix, unsigned prefix_len)
{
	bool v4 = underlay_addr_is_v4(prefix);
	struct underlay *u = user;
	size_t first, n = underlay_remote_range(u, prefix, prefix_len, &first);

	for (size_t i = first; i < first + n; i++) {
		/* The whole of IPv6 has IPv4's in it. */
		if (underlay_addr_is_v4(&u->sorted[i]->key.remote) == v4) {
			underlay_remote_to_ask(u, u->sorted[i]);
		}
	}
}

/* An address came or went: sources may be chosen otherwise, and routes of IPv4 that named it as their source
 * went with it, of which the kernel says nothing. */
static void
address_news(void *user, uint32_t ifindex, const struct of_underlay_addr *address, bool is_gone)
{
	struct underlay *u = user;
	struct underlay_device *d = underlay_device_find(u, ifindex);

	underlay_own_news(u, ifindex, address, is_gone);
	if (d) {
		underlay_device_touch(u, d, true);
	}
	for (size_t i = 0; i < u->n_sorted; i++) {
		struct underlay_remote *r = u->sorted[i];
		bool concerned = underlay_addr_equal(&r->key.local, address);

		for (unsigned k = 0; k < r->n_paths && !concerned; k++) {
			concerned = !r->paths[k].has_source ||
				    underlay_addr_equal(&r->paths[k].source, address);
		}
		if (concerned) {
			underlay_remote_to_ask(u, r);
		}
	}
}

static void
rule_news(void *user)
{
	struct underlay *u = user;

	for (size_t i = 0; i < u->n_sorted; i++) {
		underlay_remote_to_ask(u, u->sorted[i]);
	}
}

static void
nexthop_news(void *user)
{
	struct underlay *u = user;

	for (size_t i = 0; i < u->n_sorted; i++) {
		if (u->sorted[i]->nexthop_id) {
			underlay_remote_to_ask(u, u->sorted[i]);
		}
	}
}

static const struct underlay_news_ops news_ops = {
	.link = link_news,
	.address = address_news,
	.route = route_news,
	.rule = rule_news,
	.nexthop = nexthop_news,
	.neighbour = neighbour_news,
};

/* --- what the agent has --------------------------------------------------------------------------- */

static struct underlay_port *
find_port(struct underlay *u, const char *name)
{
	struct underlay_port *p;

	HMAP_FOREACH_WITH_HASH (p, by_name, hash_text(name, 0), &u->ports) {
		if (strcmp(p->name, name) == 0) {
			return p;
		}
	}
	return NULL;
}

void
underlay_device_set(struct underlay *u, const char *name, uint32_t ofproto_id, struct of_port port)
{
	struct underlay_port *p = find_port(u, name);

	if (strlen(name) >= sizeof(p->name)) {
		return; /* no kernel has such a device */
	}
	if (!p) {
		p = xcalloc(1, sizeof(*p));
		strcpy(p->name, name);
		hmap_insert(&u->ports, &p->by_name, hash_text(name, 0));
	} else if (p->ofproto_id == ofproto_id && p->port.v == port.v) {
		return;
	}
	p->ofproto_id = ofproto_id;
	p->port = port;
	touch_port(u, name);
}

void
underlay_device_del(struct underlay *u, const char *name)
{
	struct underlay_port *p = find_port(u, name);

	if (p) {
		hmap_remove(&u->ports, &p->by_name);
		free(p);
		touch_port(u, name);
	}
}

void
underlay_device_cut_off(struct underlay *u, const char *name, bool is_cut_off)
{
	struct underlay_port *p = find_port(u, name);

	if (p && p->is_cut_off != is_cut_off) {
		p->is_cut_off = is_cut_off;
		touch_port(u, name);
	}
}

static void
touch_port(struct underlay *u, const char *name)
{
	struct underlay_device *d;

	HMAP_FOREACH (d, by_ifindex, &u->devices) {
		if (strcmp(d->link.name, name) == 0) {
			underlay_device_touch(u, d, false);
		}
	}
}

bool
underlay_pin(struct underlay *u, const struct of_underlay_key *key)
{
	struct underlay_remote *r = underlay_remote_find(u, key);

	if (!r) {
		r = underlay_remote_add(u, key);
	}
	if (r) {
		r->n_pins++;
	}
	return r != NULL;
}

void
underlay_unpin(struct underlay *u, const struct of_underlay_key *key)
{
	struct underlay_remote *r = underlay_remote_find(u, key);

	if (r && --r->n_pins == 0) {
		/* Whoever depends on it asks for it again. */
		underlay_name(u, underlay_remote_id(r));
		underlay_remote_del(u, r);
		underlay_wake(u);
	}
}

/* --- listing -------------------------------------------------------------------------------------- */

static void
show(const struct underlay_remote *r, struct underlay_view *view)
{
	const struct underlay_snapshot *s =
		atomic_load_explicit(&r->published, memory_order_relaxed);

	*view = (struct underlay_view){
		.key = r->key,
		.n_pins = r->n_pins,
		.route = s ? &s->route : &pending,
		.has_prefix = r->has_answer,
		.prefix = r->prefix,
		.prefix_len = r->prefix_len,
		.table = r->table,
		.metric = r->metric,
		.last_error = r->last_error,
	};
}

bool
underlay_find(struct underlay *u, const struct of_underlay_key *key, struct underlay_view *view)
{
	const struct underlay_remote *r = underlay_remote_find(u, key);

	if (r) {
		show(r, view);
	}
	return r != NULL;
}

void
underlay_list(
	struct underlay *u, bool (*visit)(const struct underlay_view *view, void *user), void *user)
{
	for (size_t i = 0; i < u->n_sorted; i++) {
		struct underlay_view view;

		show(u->sorted[i], &view);
		if (!visit(&view, user)) {
			return;
		}
	}
}

void
underlay_get_counters(const struct underlay *u, struct underlay_counters *c)
{
	*c = u->counters;
	c->n_remotes = u->n_sorted;
	c->n_next_hops = hmap_count(&u->hops);
	c->n_asked = u->nl.n_asked;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Underlay: followed pairs of addresses.
 *
 * Place:    chains for handlers, which look a pair up without locks; an array in the order of remote
 *           addresses, in which the kernel's news of a prefix find whom they concern.
 * Lifetime: a snapshot is replaced by one store and retired; a pair is taken out of its chain and retired.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller-agent/underlay_internal.h"
#include "lib/alloc.h"
#include "lib/hash.h"

static size_t lower_bound(const struct underlay *u, const struct of_underlay_key *key);
static void publish(struct underlay *u, struct underlay_remote *r);
static void set_problem(struct underlay_remote *r, enum of_underlay_state state, const char *format,
	...) WEFT_PRINTF(3, 4);
static void remember_problem(struct underlay_remote *r);
static void drop_paths(struct underlay *u, struct underlay_path *paths, unsigned n);
static void free_snapshot(struct grace_item *item);
static void free_remote(struct grace_item *item);

/* --- the table ------------------------------------------------------------------------------------ */

static int
compare(const struct of_underlay_key *a, const struct of_underlay_key *b)
{
	int order = memcmp(&a->remote, &b->remote, sizeof(a->remote));

	return order ? order : memcmp(&a->local, &b->local, sizeof(a->local));
}

/* Where the key is, or would stand. */
static size_t
lower_bound(const struct underlay *u, const struct of_underlay_key *key)
{
	size_t low = 0, high = u->n_sorted;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (compare(&u->sorted[middle]->key, key) < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

struct underlay_remote *
underlay_remote_find(struct underlay *u, const struct of_underlay_key *key)
{
	size_t at = lower_bound(u, key);

	return at < u->n_sorted && compare(&u->sorted[at]->key, key) == 0 ? u->sorted[at] : NULL;
}

struct underlay_remote *
underlay_remote_add(struct underlay *u, const struct of_underlay_key *key)
{
	_Atomic(struct underlay_remote *) *head = underlay_chain(u, key);
	size_t at = lower_bound(u, key);
	struct underlay_remote *r;

	if (u->n_sorted == UNDERLAY_MAX_REMOTES) {
		return NULL;
	}
	r = xcalloc(1, sizeof(*r));
	r->key = *key;
	list_init(&r->by_build);
	list_init(&r->by_ask);
	if (u->n_sorted == u->cap_sorted) {
		u->cap_sorted = WEFT_MAX(u->cap_sorted * 2, (size_t)64);
		u->sorted = xrealloc(u->sorted, u->cap_sorted * sizeof(u->sorted[0]));
	}
	memmove(u->sorted + at + 1, u->sorted + at, (u->n_sorted - at) * sizeof(u->sorted[0]));
	u->sorted[at] = r;
	u->n_sorted++;
	atomic_store_explicit(&u->n_followed, (uint32_t)u->n_sorted, memory_order_relaxed);
	atomic_init(&r->next, atomic_load_explicit(head, memory_order_relaxed));
	atomic_store_explicit(head, r, memory_order_release);
	underlay_remote_to_ask(u, r);
	return r;
}

void
underlay_remote_del(struct underlay *u, struct underlay_remote *r)
{
	_Atomic(struct underlay_remote *) *link = underlay_chain(u, &r->key);
	struct underlay_snapshot *s = atomic_load_explicit(&r->published, memory_order_relaxed);
	size_t at = lower_bound(u, &r->key);

	while (atomic_load_explicit(link, memory_order_relaxed) != r) {
		link = &atomic_load_explicit(link, memory_order_relaxed)->next;
	}
	atomic_store_explicit(
		link, atomic_load_explicit(&r->next, memory_order_relaxed), memory_order_release);
	u->n_sorted--;
	memmove(u->sorted + at, u->sorted + at + 1, (u->n_sorted - at) * sizeof(u->sorted[0]));
	atomic_store_explicit(&u->n_followed, (uint32_t)u->n_sorted, memory_order_relaxed);
	list_remove(&r->by_build);
	list_remove(&r->by_ask);
	drop_paths(u, r->paths, r->n_paths);
	/* Handlers between enter and leave may still hold both. */
	if (s) {
		grace_retire(u->grace, &s->retired, free_snapshot);
	}
	grace_retire(u->grace, &r->retired, free_remote);
}

void
underlay_remote_del_all(struct underlay *u)
{
	while (u->n_sorted) {
		underlay_remote_del(u, u->sorted[u->n_sorted - 1]);
	}
	free(u->sorted);
}

uint32_t
underlay_remote_id(const struct underlay_remote *r)
{
	static const struct of_underlay_route route;

	return of_underlay_id(&r->key, &route);
}

size_t
underlay_remote_range(struct underlay *u, const struct of_underlay_addr *prefix,
	unsigned prefix_len, size_t *first)
{
	unsigned bits = prefix_len + (underlay_addr_is_v4(prefix) ? 96 : 0);
	struct of_underlay_key low = {.remote = *prefix}, high;
	size_t end;

	for (unsigned i = bits; i < 128; i++) {
		low.remote.v[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	}
	memset(&high, 0xff, sizeof(high));
	high.remote = low.remote;
	for (unsigned i = bits; i < 128; i++) {
		high.remote.v[i / 8] |= (uint8_t)(0x80 >> i % 8);
	}
	*first = lower_bound(u, &low);
	end = lower_bound(u, &high);
	while (end < u->n_sorted && compare(&u->sorted[end]->key, &high) == 0) {
		end++;
	}
	return end - *first;
}

void
underlay_remote_to_build(struct underlay *u, struct underlay_remote *r)
{
	if (list_is_empty(&r->by_build)) {
		list_push_back(&u->builds, &r->by_build);
		underlay_wake(u);
	}
}

void
underlay_remote_to_ask(struct underlay *u, struct underlay_remote *r)
{
	if (list_is_empty(&r->by_ask)) {
		list_push_back(&u->asks, &r->by_ask);
		underlay_wake(u);
	}
}

/* --- asking --------------------------------------------------------------------------------------- */

static const struct of_underlay_addr *
local_of(const struct underlay_remote *r)
{
	return underlay_addr_is_none(&r->key.local) ? NULL : &r->key.local;
}

static bool
is_own(struct underlay *u, const struct of_underlay_addr *a)
{
	struct underlay_answer answer;

	return !underlay_ask_route(&u->nl, NULL, a, &answer) && answer.type == RTN_LOCAL;
}

static const char *
type_text(uint8_t type)
{
	switch (type) {
	case RTN_BROADCAST:
		return "a broadcast address";
	case RTN_MULTICAST:
		return "a multicast address";
	case RTN_ANYCAST:
		return "an anycast address";
	default:
		return "no address of another host";
	}
}

/* Why the kernel would send nothing there. */
static void
explain(struct underlay_remote *r, int rc, uint8_t type)
{
	enum of_underlay_state state = OF_UNDERLAY_NO_ROUTE;
	char remote[UNDERLAY_ADDR_SIZE];

	underlay_addr_text(&r->key.remote, remote);
	if (rc == -ENETUNREACH) {
		set_problem(r, state, "the kernel has no route to %s", remote);
	} else if (rc == -EINVAL || (!rc && type == RTN_BLACKHOLE)) {
		set_problem(r, state, "the kernel's route to %s is a blackhole", remote);
	} else if (rc == -EHOSTUNREACH || (!rc && type == RTN_UNREACHABLE)) {
		set_problem(r, state, "the kernel's route to %s says unreachable", remote);
	} else if (rc == -EACCES || (!rc && type == RTN_PROHIBIT)) {
		set_problem(r, state, "the kernel's route to %s says prohibited", remote);
	} else if (rc) {
		set_problem(r, state, "the kernel does not tell its route to %s: %s", remote,
			strerror(-rc));
	} else if (type == RTN_LOCAL) {
		set_problem(r, OF_UNDERLAY_OWN_ADDRESS, "%s is an address of this host", remote);
	} else {
		set_problem(r, state, "%s is %s", remote, type_text(type));
	}
}

/* Whether the pair can be asked for at all. */
static bool
check_local(struct underlay *u, struct underlay_remote *r)
{
	const struct of_underlay_addr *local = local_of(r);
	char text[UNDERLAY_ADDR_SIZE];

	if (!local) {
		return true;
	}
	if (underlay_addr_is_v4(local) != underlay_addr_is_v4(&r->key.remote)) {
		set_problem(r, OF_UNDERLAY_NO_LOCAL,
			"the local address %s is not of the remote's family",
			underlay_addr_text(local, text));
		return false;
	}
	if (!is_own(u, local)) {
		set_problem(r, OF_UNDERLAY_NO_LOCAL,
			"the local address %s is no address of this host",
			underlay_addr_text(local, text));
		return false;
	}
	return true;
}

/* The kernel orders equal-cost nexthops of IPv6 as it likes. */
static int
compare_nexthops(const void *a, const void *b)
{
	const struct underlay_nexthop *x = a, *y = b;

	if (x->ifindex != y->ifindex) {
		return x->ifindex < y->ifindex ? -1 : 1;
	}
	return memcmp(&x->gateway, &y->gateway, sizeof(x->gateway));
}

/* The source address of packets that take this path. */
static void
find_source(struct underlay *u, struct underlay_remote *r, struct underlay_path *path,
	const struct underlay_answer *route)
{
	const struct of_underlay_addr *local = local_of(r);
	struct underlay_answer answer;

	path->has_source = local || route->has_source;
	path->source = local ? *local : route->source;
	path->mtu = route->mtu;
	if (!path->has_source && path->device->link.is_up &&
		!underlay_ask_source(
			&u->nl, NULL, &r->key.remote, path->device->link.ifindex, &answer)) {
		path->has_source = answer.has_source;
		path->source = answer.source;
		path->mtu = answer.mtu;
	}
}

static void
make_paths(struct underlay *u, struct underlay_remote *r, struct underlay_answer *answer)
{
	qsort(answer->nexthops, answer->n_nexthops, sizeof(answer->nexthops[0]), compare_nexthops);
	r->n_paths = answer->n_nexthops;
	r->paths = r->n_paths ? xcalloc(r->n_paths, sizeof(r->paths[0])) : NULL;
	for (unsigned i = 0; i < r->n_paths; i++) {
		const struct underlay_nexthop *nh = &answer->nexthops[i];
		struct underlay_path *path = &r->paths[i];

		path->remote = r;
		path->weight = nh->weight;
		path->is_dead = nh->is_dead;
		underlay_path_link(
			u, path, nh->ifindex, nh->has_gateway ? &nh->gateway : &r->key.remote);
		find_source(u, r, path, answer);
	}
}

static int
ask(struct underlay *u, struct underlay_remote *r, struct underlay_answer *answer)
{
	int rc = underlay_ask_route(&u->nl, local_of(r), &r->key.remote, answer);

	if (rc || answer->type != RTN_UNICAST || answer->n_nexthops || !answer->nexthop_id) {
		return rc;
	}
	/* net.ipv4.nexthop_compat_mode=0: the route names its nexthop object, and no more. */
	return underlay_ask_nexthops(&u->nl, answer);
}

void
underlay_remote_ask(struct underlay *u, struct underlay_remote *r)
{
	struct underlay_path *old = r->paths;
	struct underlay_answer answer = {0};
	unsigned n_old = r->n_paths;
	int rc;

	list_remove(&r->by_ask);
	free(r->problem);
	r->problem = NULL;
	r->state = OF_UNDERLAY_READY;
	r->paths = NULL;
	r->n_paths = 0;
	r->has_answer = false;
	if (check_local(u, r)) {
		rc = ask(u, r, &answer);
		r->has_answer = !rc;
		r->prefix = answer.prefix;
		r->prefix_len = answer.prefix_len;
		r->table = answer.table;
		r->metric = answer.metric;
		r->nexthop_id = answer.nexthop_id;
		if (rc || answer.type != RTN_UNICAST) {
			explain(r, rc, answer.type);
		} else {
			make_paths(u, r, &answer);
		}
	}
	/* Only now: what the new paths need of the old ones' has stayed. */
	drop_paths(u, old, n_old);
	underlay_remote_build(u, r);
}

/* --- building ------------------------------------------------------------------------------------- */

/* What keeps the path from being used, the later the nearer to use. */
enum fault {
	FAULT_DEVICE,
	FAULT_DOWN,
	FAULT_CUT_OFF,
	FAULT_SOURCE,
	FAULT_NEIGHBOUR,
	NO_FAULT,
};

static enum fault
find_fault(const struct underlay_path *path, const struct underlay_port *port)
{
	const struct underlay_link *link = &path->device->link;

	if (!port || !link->is_ethernet) {
		return FAULT_DEVICE;
	}
	if (path->is_dead || !link->has_carrier) {
		return FAULT_DOWN;
	}
	if (port->is_cut_off) {
		return FAULT_CUT_OFF;
	}
	if (!path->has_source) {
		return FAULT_SOURCE;
	}
	return path->hop->is_valid ? NO_FAULT : FAULT_NEIGHBOUR;
}

/* False: it is no error yet. */
static bool
explain_fault(struct underlay_remote *r, const struct underlay_path *path, enum fault fault)
{
	char remote[UNDERLAY_ADDR_SIZE], hop[UNDERLAY_ADDR_SIZE], number[24];
	const struct underlay_link *link = &path->device->link;
	const char *device = link->name;

	snprintf(number, sizeof(number), "device %u", link->ifindex);
	if (!device[0]) {
		device = number;
	}
	underlay_addr_text(&r->key.remote, remote);
	underlay_addr_text(&path->hop->address, hop);
	switch (fault) {
	case FAULT_DEVICE:
		set_problem(r, OF_UNDERLAY_NO_DEVICE,
			"the route to %s leaves by %s, which is no internal port of a switch",
			remote, device);
		return true;
	case FAULT_DOWN:
		set_problem(r, OF_UNDERLAY_LINK_DOWN, "the route to %s leaves by %s, which %s",
			remote, device, link->is_up ? "has no carrier" : "is down");
		return true;
	case FAULT_CUT_OFF:
		set_problem(r, OF_UNDERLAY_LINK_DOWN,
			"the route to %s leaves by %s, of whose switch no underlay port has a link",
			remote, device);
		return true;
	case FAULT_SOURCE:
		set_problem(
			r, OF_UNDERLAY_NO_LOCAL, "%s has no source address for %s", device, remote);
		return true;
	case FAULT_NEIGHBOUR:
	case NO_FAULT:
		break;
	}
	if (path->hop->send_error) {
		set_problem(r, OF_UNDERLAY_NO_NEIGHBOUR,
			"next hop %s on %s is not resolved: a datagram to it: %s", hop, device,
			strerror(-path->hop->send_error));
	} else {
		set_problem(r, OF_UNDERLAY_NO_NEIGHBOUR, "next hop %s on %s %s", hop, device,
			path->hop->has_failed ? "does not answer" : "is being resolved");
	}
	return path->hop->send_error || path->hop->has_failed;
}

static void
fill_path(struct underlay *u, const struct underlay_path *path, struct of_underlay_path *out,
	enum fault *fault)
{
	const struct underlay_port *port = underlay_device_port(u, path->device);
	const struct underlay_link *link = &path->device->link;

	*fault = find_fault(path, port);
	out->is_usable = *fault == NO_FAULT;
	out->next_hop = path->hop->address;
	out->weight = path->weight;
	out->mtu = path->mtu && path->mtu < link->mtu ? path->mtu : link->mtu;
	out->ofproto_id = port ? port->ofproto_id : 0;
	out->port = port ? port->port : OF_PORT_NONE;
	out->ifindex = link->ifindex;
	memcpy(out->device, link->name, sizeof(out->device));
	memcpy(out->source_mac, link->mac, 6);
	if (path->has_source) {
		out->source = path->source;
	}
	if (path->hop->is_valid) {
		memcpy(out->next_hop_mac, path->hop->mac, 6);
	}
}

void
underlay_remote_build(struct underlay *u, struct underlay_remote *r)
{
	struct of_underlay_route *route = &u->scratch->route;
	enum fault best = FAULT_DEVICE;
	unsigned best_at = 0;
	bool is_error = true;

	list_remove(&r->by_build);
	memset(u->scratch, 0, sizeof(*u->scratch) + r->n_paths * sizeof(route->paths[0]));
	route->n_paths = r->n_paths;
	for (unsigned i = 0; i < r->n_paths; i++) {
		enum fault fault;

		fill_path(u, &r->paths[i], &route->paths[i], &fault);
		route->usable_weight += fault == NO_FAULT ? r->paths[i].weight : 0;
		if (fault > best) {
			best = fault;
			best_at = i;
		}
	}
	if (r->n_paths) {
		free(r->problem);
		r->problem = NULL;
		r->state = OF_UNDERLAY_READY;
		if (best != NO_FAULT) {
			is_error = explain_fault(r, &r->paths[best_at], best);
		}
	} else if (r->state == OF_UNDERLAY_READY) {
		explain(r, -ENETUNREACH, 0);
	}
	route->state = r->state;
	if (r->problem) {
		snprintf(route->text, sizeof(route->text), "%s", r->problem);
		if (is_error) {
			remember_problem(r);
		}
	}
	publish(u, r);
}

/* Whether those who translate see no difference. */
static bool
is_same(const struct of_underlay_route *a, const struct of_underlay_route *b)
{
	return a->state == b->state && a->n_paths == b->n_paths &&
	       memcmp(a->paths, b->paths, a->n_paths * sizeof(a->paths[0])) == 0;
}

/* What stands in the scratch. */
static void
publish(struct underlay *u, struct underlay_remote *r)
{
	struct underlay_snapshot *old = atomic_load_explicit(&r->published, memory_order_relaxed);
	size_t size = sizeof(*old) + u->scratch->route.n_paths * sizeof(old->route.paths[0]);
	struct underlay_snapshot *s;
	bool same = old && is_same(&old->route, &u->scratch->route);

	if (same && strcmp(old->route.text, u->scratch->route.text) == 0) {
		return;
	}
	s = xmalloc(size);
	memcpy(s, u->scratch, size);
	s->route.generation = ++u->generation;
	atomic_store_explicit(&r->published, s, memory_order_release);
	u->counters.n_published++;
	if (old) {
		grace_retire(u->grace, &old->retired, free_snapshot);
	}
	if (!same) {
		underlay_name(u, underlay_remote_id(r));
	}
}

static void
set_problem(struct underlay_remote *r, enum of_underlay_state state, const char *format, ...)
{
	char text[OF_UNDERLAY_TEXT];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	free(r->problem);
	r->problem = xstrdup(text);
	r->state = state;
}

/* The problem is one that its user has to know, also when it is over. */
static void
remember_problem(struct underlay_remote *r)
{
	if (!r->last_error || strcmp(r->last_error, r->problem) != 0) {
		free(r->last_error);
		r->last_error = xstrdup(r->problem);
	}
}

/* --- freeing -------------------------------------------------------------------------------------- */

static void
drop_paths(struct underlay *u, struct underlay_path *paths, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		underlay_path_unlink(u, &paths[i]);
	}
	free(paths);
}

static void
free_snapshot(struct grace_item *item)
{
	free(WEFT_CONTAINER_OF(item, struct underlay_snapshot, retired));
}

static void
free_remote(struct grace_item *item)
{
	struct underlay_remote *r = WEFT_CONTAINER_OF(item, struct underlay_remote, retired);

	free(r->problem);
	free(r->last_error);
	free(r);
}

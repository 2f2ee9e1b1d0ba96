/* SPDX-License-Identifier: Apache-2.0
 *
 * Underlay: devices and next hops of paths, and datagrams that make the kernel resolve next hops.
 *
 * Probing:  an entry that is missing, incomplete or failed is sent a datagram at once, then after 1, 2,
 *           4, 8 and every 16 s. A stale one is sent one too: the datapath's traffic does not pass the
 *           kernel, which would keep a stale address for ever; the datagram makes it confirm the address
 *           or give it up. The address of a stale entry, or of one that the kernel has just thrown
 *           away to make room, is used on until it is known to be wrong.
 * Waits:    there are six, so that a list of next hops for each, in the order of their times, does for
 *           a heap.
 */
#include <errno.h>
#include <linux/neighbour.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controller-agent/underlay_internal.h"
#include "lib/alloc.h"
#include "lib/hash.h"

#define DISCARD_PORT 9
#define NUD_VALID (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY)

static const uint16_t wait_s[UNDERLAY_WAITS] = {0, 1, 2, 4, 8, 16};

static struct underlay_device *get_device(struct underlay *u, uint32_t ifindex);
static struct underlay_hop *get_hop(
	struct underlay *u, uint32_t ifindex, const struct of_underlay_addr *address);
static void take_state(struct underlay *u, struct underlay_hop *hop,
	const struct underlay_neighbour *n, bool is_gone);
static void schedule(struct underlay *u, struct underlay_hop *hop, unsigned wait, uint64_t now_ms);

/* --- paths ---------------------------------------------------------------------------------------- */

void
underlay_path_link(struct underlay *u, struct underlay_path *path, uint32_t ifindex,
	const struct of_underlay_addr *next_hop)
{
	path->device = get_device(u, ifindex);
	list_push_back(&path->device->paths, &path->by_device);
	path->hop = get_hop(u, ifindex, next_hop);
	list_push_back(&path->hop->paths, &path->by_hop);
}

void
underlay_path_unlink(struct underlay *u, struct underlay_path *path)
{
	list_remove(&path->by_hop);
	if (list_is_empty(&path->hop->paths)) {
		list_remove(&path->hop->by_wait);
		list_remove(&path->hop->by_ask);
		hmap_remove(&u->hops, &path->hop->by_key);
		free(path->hop);
	}
	list_remove(&path->by_device);
	if (list_is_empty(&path->device->paths)) {
		hmap_remove(&u->devices, &path->device->by_ifindex);
		free(path->device);
	}
}

/* --- devices -------------------------------------------------------------------------------------- */

struct underlay_device *
underlay_device_find(struct underlay *u, uint32_t ifindex)
{
	struct underlay_device *d;

	HMAP_FOREACH_WITH_HASH (d, by_ifindex, hash_u64(ifindex, 0), &u->devices) {
		if (d->link.ifindex == ifindex) {
			return d;
		}
	}
	return NULL;
}

static void
ask_device(struct underlay *u, struct underlay_device *d)
{
	struct underlay_link link;

	if (underlay_ask_link(&u->nl, d->link.ifindex, &link)) {
		link = (struct underlay_link){.ifindex = d->link.ifindex};
	}
	d->link = link;
}

static struct underlay_device *
get_device(struct underlay *u, uint32_t ifindex)
{
	struct underlay_device *d = underlay_device_find(u, ifindex);

	if (!d) {
		d = xcalloc(1, sizeof(*d));
		d->link.ifindex = ifindex;
		list_init(&d->paths);
		hmap_insert(&u->devices, &d->by_ifindex, hash_u64(ifindex, 0));
		ask_device(u, d);
	}
	return d;
}

void
underlay_device_touch(struct underlay *u, const struct underlay_device *d, bool ask)
{
	struct underlay_path *path;

	LIST_FOREACH (path, by_device, &d->paths) {
		underlay_remote_to_build(u, path->remote);
		if (ask) {
			underlay_remote_to_ask(u, path->remote);
		}
	}
}

static bool
is_same_link(const struct underlay_link *a, const struct underlay_link *b)
{
	return a->mtu == b->mtu && memcmp(a->mac, b->mac, 6) == 0 && a->is_up == b->is_up &&
	       a->has_carrier == b->has_carrier && a->is_ethernet == b->is_ethernet &&
	       strcmp(a->name, b->name) == 0;
}

void
underlay_link_news(struct underlay *u, const struct underlay_link *link, bool is_gone)
{
	struct underlay_device *d = underlay_device_find(u, link->ifindex);
	struct underlay_link now = {.ifindex = link->ifindex};

	if (!is_gone) {
		now = *link;
	}
	if (d && !is_same_link(&d->link, &now)) {
		d->link = now;
		underlay_device_touch(u, d, true);
	}
}

void
underlay_devices_ask(struct underlay *u)
{
	struct underlay_device *d;

	HMAP_FOREACH (d, by_ifindex, &u->devices) {
		ask_device(u, d);
	}
}

const struct underlay_port *
underlay_device_port(struct underlay *u, const struct underlay_device *d)
{
	struct underlay_port *p;

	HMAP_FOREACH_WITH_HASH (p, by_name, hash_text(d->link.name, 0), &u->ports) {
		if (strcmp(p->name, d->link.name) == 0) {
			return p;
		}
	}
	return NULL;
}

/* --- next hops ------------------------------------------------------------------------------------ */

static uint32_t
hash_hop(uint32_t ifindex, const struct of_underlay_addr *address)
{
	return hash_bytes(address, sizeof(*address), ifindex);
}

static struct underlay_hop *
find_hop(struct underlay *u, uint32_t ifindex, const struct of_underlay_addr *address)
{
	struct underlay_hop *hop;

	HMAP_FOREACH_WITH_HASH (hop, by_key, hash_hop(ifindex, address), &u->hops) {
		if (hop->ifindex == ifindex && underlay_addr_equal(&hop->address, address)) {
			return hop;
		}
	}
	return NULL;
}

static struct underlay_hop *
get_hop(struct underlay *u, uint32_t ifindex, const struct of_underlay_addr *address)
{
	struct underlay_hop *hop = find_hop(u, ifindex, address);

	if (!hop) {
		hop = xcalloc(1, sizeof(*hop));
		hop->ifindex = ifindex;
		hop->address = *address;
		list_init(&hop->paths);
		list_init(&hop->by_wait);
		list_init(&hop->by_ask);
		hmap_insert(&u->hops, &hop->by_key, hash_hop(ifindex, address));
		underlay_hop_ask(u, hop);
	}
	return hop;
}

void
underlay_hop_ask(struct underlay *u, struct underlay_hop *hop)
{
	struct underlay_neighbour n = {0};
	int rc = underlay_ask_neighbour(&u->nl, hop->ifindex, &hop->address, &n);

	list_remove(&hop->by_ask);
	take_state(u, hop, &n, rc != 0);
}

void
underlay_neighbour_news(struct underlay *u, const struct underlay_neighbour *n, bool is_gone)
{
	struct underlay_hop *hop = find_hop(u, n->ifindex, &n->address);

	if (hop) {
		take_state(u, hop, n, is_gone);
	}
}

void
underlay_hops_to_ask(struct underlay *u)
{
	struct underlay_hop *hop;

	HMAP_FOREACH (hop, by_key, &u->hops) {
		if (list_is_empty(&hop->by_ask)) {
			list_push_back(&u->hop_asks, &hop->by_ask);
		}
	}
}

/* What the kernel knows of the next hop now. */
static void
take_state(struct underlay *u, struct underlay_hop *hop, const struct underlay_neighbour *n,
	bool is_gone)
{
	/* Thrown away while it was good: its address is used on, and asked for. */
	bool lingers = is_gone && hop->is_valid && hop->n_tries == 0;
	uint16_t state = is_gone ? 0 : n->state;
	bool is_valid = lingers || (!is_gone && (state & NUD_VALID) && n->has_mac);
	bool moved = is_valid != hop->is_valid ||
		     (is_valid && !lingers && memcmp(hop->mac, n->mac, 6) != 0) ||
		     (!is_valid && !hop->has_failed && (state & NUD_FAILED));
	struct underlay_path *path;

	hop->state = state;
	hop->is_valid = is_valid;
	hop->has_failed = !is_valid && (hop->has_failed || (state & NUD_FAILED));
	if (is_valid && !lingers) {
		memcpy(hop->mac, n->mac, 6);
	}
	if (!lingers && is_valid && !(state & NUD_STALE)) {
		hop->n_tries = 0;
		hop->send_error = 0;
		list_remove(&hop->by_wait);
	} else if (list_is_empty(&hop->by_wait)) {
		schedule(u, hop, 0, underlay_now_ms());
	}
	if (moved) {
		LIST_FOREACH (path, by_hop, &hop->paths) {
			underlay_remote_to_build(u, path->remote);
		}
	}
}

/* --- datagrams ------------------------------------------------------------------------------------ */

static void
schedule(struct underlay *u, struct underlay_hop *hop, unsigned wait, uint64_t now_ms)
{
	hop->due_ms = now_ms + wait_s[wait] * UINT64_C(1000);
	list_push_back(&u->waits[wait], &hop->by_wait);
	underlay_wake(u);
}

static int
open_probe(bool v4)
{
	int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int hops = 1;

	if (fd < 0) {
		return -errno;
	}
	/* The next hop is in our own network: nobody has to pass the datagram on. */
	(void)setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TTL : IPV6_UNICAST_HOPS, &hops,
		sizeof(hops));
	return fd;
}

/* Sends an empty datagram to @to by way of that device. */
static int
send_datagram(struct underlay *u, const struct of_underlay_addr *to, uint32_t ifindex)
{
	bool v4 = underlay_addr_is_v4(to);
	int *fd = &u->probe_fd[v4 ? 0 : 1];
	struct in_pktinfo info4 = {.ipi_ifindex = (int)ifindex};
	struct in6_pktinfo info6 = {.ipi6_ifindex = ifindex};
	struct sockaddr_in to4 = {.sin_family = AF_INET, .sin_port = htons(DISCARD_PORT)};
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6,
		.sin6_port = htons(DISCARD_PORT),
		.sin6_scope_id = ifindex};
	char control[CMSG_SPACE(sizeof(info6))] __attribute__((aligned(8))) = {0};
	size_t info_size = v4 ? sizeof(info4) : sizeof(info6);
	struct msghdr msg = {.msg_name = v4 ? (void *)&to4 : (void *)&to6,
		.msg_namelen = v4 ? sizeof(to4) : sizeof(to6),
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(info_size)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	if (*fd < 0) {
		*fd = open_probe(v4);
	}
	if (*fd < 0) {
		return *fd;
	}
	memcpy(&to4.sin_addr, to->v + 12, 4);
	memcpy(&to6.sin6_addr, to->v, 16);
	c->cmsg_level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
	c->cmsg_type = v4 ? IP_PKTINFO : IPV6_PKTINFO;
	c->cmsg_len = CMSG_LEN(info_size);
	memcpy(CMSG_DATA(c), v4 ? (void *)&info4 : (void *)&info6, info_size);
	return sendmsg(*fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* A next hop outside the device's networks (a route with "onlink") is reached by what is behind it. */
static const struct of_underlay_addr *
target(struct underlay *u, const struct underlay_hop *hop)
{
	const struct underlay_path *path =
		LIST_ENTRY(hop->paths.next, struct underlay_path, by_hop);
	struct underlay_answer answer;

	if (!underlay_ask_source(&u->nl, NULL, &hop->address, hop->ifindex, &answer) &&
		answer.n_nexthops == 1 && answer.nexthops[0].has_gateway) {
		return &path->remote->key.remote;
	}
	return &hop->address;
}

static void
probe_hop(struct underlay *u, struct underlay_hop *hop, uint64_t now_ms)
{
	struct underlay_path *path;
	int rc;

	if (hop->n_tries && hop->state == 0) {
		underlay_hop_ask(
			u, hop); /* the kernel makes no news of an entry that it just made */
		if (hop->n_tries == 0) {
			return; /* resolved meanwhile */
		}
		list_remove(&hop->by_wait);
	}
	rc = send_datagram(u, target(u, hop), hop->ifindex);
	u->counters.n_probes++;
	hop->n_tries++;
	schedule(u, hop, WEFT_MIN(hop->n_tries, UNDERLAY_WAITS - 1), now_ms);
	if (rc != hop->send_error) {
		hop->send_error = rc;
		LIST_FOREACH (path, by_hop, &hop->paths) {
			underlay_remote_to_build(u, path->remote);
		}
	}
}

static struct underlay_hop *
first_due(const struct underlay *u)
{
	struct underlay_hop *first = NULL;

	for (unsigned i = 0; i < UNDERLAY_WAITS; i++) {
		struct underlay_hop *hop;

		if (list_is_empty(&u->waits[i])) {
			continue;
		}
		hop = LIST_ENTRY(u->waits[i].next, struct underlay_hop, by_wait);
		if (!first || hop->due_ms < first->due_ms) {
			first = hop;
		}
	}
	return first;
}

uint64_t
underlay_probe_next_ms(const struct underlay *u)
{
	const struct underlay_hop *hop = first_due(u);

	return hop ? hop->due_ms : UINT64_MAX;
}

static void
fill_tokens(struct underlay *u, uint64_t now_ms)
{
	const uint64_t most = UNDERLAY_PROBES_PER_S / 100;
	uint64_t more = (now_ms - u->tokens_ms) * UNDERLAY_PROBES_PER_S / 1000;

	if (more) {
		u->tokens = (uint32_t)WEFT_MIN(u->tokens + more, most);
		u->tokens_ms = now_ms;
	}
}

bool
underlay_probe(struct underlay *u, uint64_t now_ms)
{
	struct underlay_hop *hop;

	fill_tokens(u, now_ms);
	while ((hop = first_due(u)) != NULL && hop->due_ms <= now_ms && u->tokens) {
		u->tokens--;
		list_remove(&hop->by_wait);
		probe_hop(u, hop, now_ms);
	}
	return hop && hop->due_ms <= now_ms;
}

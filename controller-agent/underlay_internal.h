/* SPDX-License-Identifier: Apache-2.0
 *
 * The underlay's parts, as its files see each other:
 *   underlay.c          life, handlers' questions, news, slices, listing
 *   underlay_remote.c   followed pairs of addresses: asking, building and publishing their routes
 *   underlay_hop.c      devices and next hops of their paths, datagrams that make the kernel resolve
 *   underlay_own.c      the host's own addresses
 *   underlay_netlink.c, underlay_message.c   the kernel
 *
 * A remote has paths, a path a device and a next hop; both know their paths. News about one of them
 * queue the remotes of its paths: to be built (from what is known) or to be asked for (the kernel may
 * route otherwise now), which builds too.
 */
#pragma once

#include <event2/event.h>
#include <stdatomic.h>

#include "controller-agent/inbox.h"
#include "controller-agent/underlay.h"
#include "controller-agent/underlay_netlink.h"
#include "lib/hash.h"
#include "lib/hmap.h"
#include "lib/list.h"
#include "ofproto/grace.h"

#define UNDERLAY_CHAINS 4096u
#define UNDERLAY_MAX_REQUESTS 4096u /* of handlers, not yet taken */
#define UNDERLAY_WAITS 6u           /* between datagrams: now, 1, 2, 4, 8, 16 s */

struct underlay_hop;
struct underlay_device;
struct underlay_remote;

struct underlay_snapshot {
	struct grace_item retired;
	struct of_underlay_route route;
};

struct underlay_path {
	struct list by_hop;
	struct list by_device;
	struct underlay_remote *remote;
	struct underlay_hop *hop;
	struct underlay_device *device;
	bool has_source;
	bool is_dead; /* the kernel says so */
	uint16_t weight;
	uint32_t mtu; /* of the route; 0: the device's */
	struct of_underlay_addr source;
};

struct underlay_remote {
	struct grace_item retired;
	_Atomic(struct underlay_remote *) next;        /* in the chain that handlers walk */
	_Atomic(struct underlay_snapshot *) published; /* NULL: not yet */
	_Atomic bool is_touched;                       /* looked up since the last sweep */
	struct of_underlay_key key;
	/* The loop's. */
	struct list by_build; /* queued; else by itself */
	struct list by_ask;
	unsigned n_pins;
	unsigned n_idle; /* sweeps since it was looked up */
	/* What the kernel answered last. */
	enum of_underlay_state state; /* READY: as far as the route goes */
	bool has_answer;              /* it has a route, of whatever type */
	uint8_t prefix_len;
	uint32_t table;
	uint32_t metric;
	uint32_t nexthop_id;
	struct of_underlay_addr prefix;
	char *problem; /* unless READY */
	char *last_error;
	unsigned n_paths;
	struct underlay_path *paths;
};

struct underlay_device {
	struct hmap_node by_ifindex;
	struct list paths;
	struct underlay_link link; /* without a name: unknown, or gone */
};

struct underlay_hop {
	struct hmap_node by_key;
	struct list paths;
	struct list
		by_wait; /* in the list of datagrams to be sent after the same wait; else by itself */
	struct list by_ask;
	uint64_t due_ms; /* in the list of those that wait */
	uint32_t ifindex;
	struct of_underlay_addr address;
	uint16_t state;  /* NUD_*; 0: the kernel has no entry */
	bool is_valid;   /* its MAC can be used */
	bool has_failed; /* since it was valid last */
	uint8_t mac[6];
	unsigned n_tries; /* datagrams since it was resolved */
	int send_error;   /* of the last datagram; 0, or a negative errno */
};

/* A device that is a port of a switch. */
struct underlay_port {
	struct hmap_node by_name;
	char name[16];
	uint32_t ofproto_id;
	struct of_port port;
	bool is_cut_off;
};

/* An address of this host on a device. */
struct underlay_own {
	struct hmap_node by_key;
	struct of_underlay_addr address;
	uint32_t ifindex;
	uint32_t round; /* of listing, in which it was last seen */
};

/* All of them, each once, sorted: for handlers. */
struct underlay_own_set {
	struct grace_item retired;
	size_t n;
	struct of_underlay_addr addresses[];
};

struct underlay {
	struct underlay_netlink nl;
	struct grace *grace;
	struct underlay_ops ops;
	void *user;
	/* Handlers' too. */
	_Atomic(struct underlay_remote *) chains[UNDERLAY_CHAINS];
	uint32_t basis; /* of the chains' hash: packets may choose the addresses */
	struct inbox requests;
	_Atomic uint32_t n_requests;
	_Atomic uint32_t n_followed; /* remotes */
	_Atomic bool has_refused;    /* some pair, for want of room */
	_Atomic(struct underlay_own_set *) own_set;
	/* The loop's. */
	int requests_fd;
	struct event *news_event;
	struct event *request_event;
	struct event *work_event; /* queued work is left */
	struct event *timer_event;
	struct underlay_remote **sorted; /* by remote, then local address */
	size_t n_sorted;
	size_t cap_sorted;
	size_t sweep_at; /* the next to be looked at */
	uint64_t sweep_ms;
	struct list builds;
	struct list asks;
	struct list hop_asks;
	struct hmap devices;
	struct hmap hops;
	struct hmap ports;
	struct hmap owns;
	uint32_t own_round;
	bool owns_are_dirty; /* they are not what was published */
	bool is_listing;     /* the host's addresses */
	bool list_again;     /* one went meanwhile, which the listing may bring back */
	struct event *dump_event;
	struct list waits[UNDERLAY_WAITS]; /* struct underlay_hop, each in the order of due_ms */
	uint64_t tokens_ms;                /* when @tokens was filled */
	uint32_t tokens;                   /* datagrams that may be sent now */
	int probe_fd[2];                   /* IPv4, IPv6; -1: not opened yet */
	uint32_t *changed;                 /* ids to be named at the end of the slice */
	size_t n_changed;
	size_t cap_changed;
	uint64_t generation;
	struct underlay_counters counters;
	struct underlay_snapshot *scratch;
};

/* --- underlay.c */

uint64_t underlay_now_ms(void);
/* To be named at the end of the slice. */
void underlay_name(struct underlay *u, uint32_t id);
/* Work was queued. */
void underlay_wake(struct underlay *u);

/* --- underlay_remote.c */

static inline _Atomic(struct underlay_remote *) *
underlay_chain(struct underlay *u, const struct of_underlay_key *key)
{
	return &u->chains[hash_bytes(key, sizeof(*key), u->basis) % UNDERLAY_CHAINS];
}

struct underlay_remote *underlay_remote_find(struct underlay *u, const struct of_underlay_key *key);
/* NULL: too many. */
struct underlay_remote *underlay_remote_add(struct underlay *u, const struct of_underlay_key *key);
void underlay_remote_del(struct underlay *u, struct underlay_remote *r);
/* At the end: nobody reads any more. */
void underlay_remote_del_all(struct underlay *u);
uint32_t underlay_remote_id(const struct underlay_remote *r);
/* Queue it. */
void underlay_remote_to_build(struct underlay *u, struct underlay_remote *r);
void underlay_remote_to_ask(struct underlay *u, struct underlay_remote *r);
/* Do it now. */
void underlay_remote_build(struct underlay *u, struct underlay_remote *r);
void underlay_remote_ask(struct underlay *u, struct underlay_remote *r);
/* The remotes within a prefix: from *@first on, so many. */
size_t underlay_remote_range(struct underlay *u, const struct of_underlay_addr *prefix,
	unsigned prefix_len, size_t *first);

/* --- underlay_hop.c */

/* Finds or makes what the path leads over, and links it there; asks the kernel about a new one. */
void underlay_path_link(struct underlay *u, struct underlay_path *path, uint32_t ifindex,
	const struct of_underlay_addr *next_hop);
/* What no path needs any more is freed. */
void underlay_path_unlink(struct underlay *u, struct underlay_path *path);
/* The port of a switch that the device is; NULL: none. */
const struct underlay_port *underlay_device_port(
	struct underlay *u, const struct underlay_device *d);
void underlay_link_news(struct underlay *u, const struct underlay_link *link, bool is_gone);
void underlay_neighbour_news(struct underlay *u, const struct underlay_neighbour *n, bool is_gone);
/* News were lost: queues all of them to be asked about. */
void underlay_hops_to_ask(struct underlay *u);
void underlay_hop_ask(struct underlay *u, struct underlay_hop *hop);
void underlay_devices_ask(struct underlay *u);
struct underlay_device *underlay_device_find(struct underlay *u, uint32_t ifindex);
/* Queues the remotes of the device's paths. */
void underlay_device_touch(struct underlay *u, const struct underlay_device *d, bool ask);
/* Sends the datagrams that are due; true: there are more, when there are tokens again. */
bool underlay_probe(struct underlay *u, uint64_t now_ms);
/* When the next one is due; UINT64_MAX: none waits. */
uint64_t underlay_probe_next_ms(const struct underlay *u);

/* --- underlay_own.c */

/* Lists the host's addresses (again). */
void underlay_own_list(struct underlay *u);
/* Reads a part of the listing. */
void underlay_own_read(struct underlay *u);
void underlay_own_news(
	struct underlay *u, uint32_t ifindex, const struct of_underlay_addr *address, bool is_gone);
/* At the end of a slice: what has changed is published and named. */
void underlay_own_publish(struct underlay *u);
void underlay_own_free(struct underlay *u);
/* The provider's. */
bool underlay_owns(void *user, const struct of_underlay_addr *address);

/* SPDX-License-Identifier: Apache-2.0
 *
 * The underlay as translation sees it: by which ways the far end of a tunnel is reached.
 *
 * What:     whoever knows the routes and neighbours of the host (the agent, by netlink; tests, from a
 *           table) provides lookup(), which answers for a pair of local and remote address. An answer is
 *           an immutable snapshot; news are a new snapshot.
 * Devices:  a path leaves by an `internal` port of some switch, the underlay switch: the encapsulated
 *           packet goes on through that switch's tables as if it had come in by that port. A route that
 *           leaves by another device is no path (OF_UNDERLAY_NO_DEVICE).
 * Changes:  who translates notes of_underlay_id() of each route that it looked at. When one of them is
 *           published anew, of_model_underlay_changed() names it, and what depends on it is translated
 *           again. A reader may see a route early, never late: it is published first, then named.
 * Threads:  lookup(): handlers and the loop, between of_reader_enter() and of_reader_leave(), without
 *           locks; what it returned is valid until the leave. All else: the loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ofproto/of_port.h"

struct grace;
struct of_model;

#define OF_UNDERLAY_MAX_PATHS 16
#define OF_UNDERLAY_TEXT 160

/* IPv6, or IPv4 as ::ffff:a.b.c.d, as in the flow key's tunnel fields. */
struct of_underlay_addr {
	uint8_t v[16];
};

struct of_underlay_key {
	struct of_underlay_addr local; /* all zero: any, the kernel chooses the source address */
	struct of_underlay_addr remote;
};

enum of_underlay_state {
	OF_UNDERLAY_READY,    /* one path or more can be used */
	OF_UNDERLAY_PENDING,  /* just asked for: an answer is published within milliseconds */
	OF_UNDERLAY_NO_ROUTE, /* none, or it is a blackhole, unreachable, prohibited, multicast.. */
	OF_UNDERLAY_OWN_ADDRESS,  /* the remote is this host */
	OF_UNDERLAY_NO_LOCAL,     /* the local address is not this host's */
	OF_UNDERLAY_NO_DEVICE,    /* the route leaves by no internal port of a switch */
	OF_UNDERLAY_LINK_DOWN,    /* every path's link is down */
	OF_UNDERLAY_NO_NEIGHBOUR, /* no next hop answers (yet) */
	OF_UNDERLAY_FULL,         /* too many remotes are looked up already */
};

struct of_underlay_path {
	struct of_underlay_addr source;   /* of the outer header */
	struct of_underlay_addr next_hop; /* the gateway, or the remote itself */
	uint8_t source_mac[6];
	uint8_t next_hop_mac[6];
	bool is_usable;  /* its link is up and its next hop answers; else the MACs mean nothing */
	uint16_t weight; /* 1.. 256 */
	uint32_t mtu;    /* largest outer L3 packet */
	uint32_t ofproto_id; /* the underlay switch */
	struct of_port port; /* its internal port: the encapsulated packet's input port */
	uint32_t ifindex;    /* the kernel's, of that port's device */
	char device[16];     /* its name */
};

/* Immutable once published. */
struct of_underlay_route {
	enum of_underlay_state state;
	uint64_t generation;         /* another one for each snapshot */
	char text[OF_UNDERLAY_TEXT]; /* unless READY: what is wrong, in words */
	uint32_t n_paths;            /* equal-cost, as the kernel has them; unusable ones too */
	uint32_t usable_weight;      /* sum over usable paths; 0 unless READY */
	struct of_underlay_path paths[];
};

struct of_underlay_provider {
	/* The route of that pair, never NULL. A pair that was not asked for before is followed from now
	 * on (the answer is PENDING then); one that nobody has asked for during some minutes, and that is
	 * not a tunnel port's, is forgotten: then it is named as changed, so that who still depends on
	 * it asks again. */
	const struct of_underlay_route *(*lookup)(void *user, const struct of_underlay_key *key);
	void *user;
	/* Whether the kernel takes packets to that address for itself: it is the host's, on whatever device.
	 * Asked as lookup() is, for every address that comes along in packets: nothing is remembered of
	 * it. When an address comes or goes of_underlay_own_id() is named as changed. */
	bool (*owns)(void *user, const struct of_underlay_addr *address);
};

/* Loop, before the first translation: who answers; it outlives all translations. */
void of_model_set_underlay(struct of_model *m, const struct of_underlay_provider *provider);
/* Handler or loop, between enter and leave. Without a provider every remote is OF_UNDERLAY_NO_ROUTE. */
const struct of_underlay_route *of_model_underlay(
	const struct of_model *m, const struct of_underlay_key *key);
/* Likewise; without a provider the host has no addresses. */
bool of_model_owns_address(const struct of_model *m, const struct of_underlay_addr *address);
/* Loop: the routes with these ids have been published anew. What depends on them is translated again. */
void of_model_underlay_changed(struct of_model *m, const uint32_t *ids, size_t n);
/* The grace period after which no reader holds what it found: snapshots are retired there. */
struct grace *of_model_grace(struct of_model *m);

/* The number under which changes of what was found for @key are named; depends on nothing but these two. Two
 * pairs of addresses may have the same: then news of one count as news of both. */
uint32_t of_underlay_id(const struct of_underlay_key *key, const struct of_underlay_route *found);

/* The same for what owns() said of an address. */
uint32_t of_underlay_own_id(const struct of_underlay_addr *address);

/* The path of packets with that hash of their inner headers: by weight among all, and if that one cannot be
 * used, by weight among those that can, so that the failure of one path moves no flow of the others.
 * NULL: none can be used. */
const struct of_underlay_path *of_underlay_pick(const struct of_underlay_route *r, uint32_t hash);

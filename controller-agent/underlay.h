/* SPDX-License-Identifier: Apache-2.0
 *
 * Underlay: how the kernel of this host would reach the far ends of tunnels.
 *
 * What:     follows pairs of local and remote address. For each it asks the kernel for the route (longest
 *           prefix, policy rules, metrics and equal-cost paths are the kernel's own decision), for each
 *           path's source address, and for the next hop's MAC; watches links, addresses, routes,
 *           rules and neighbours; and publishes a new snapshot (ofproto/underlay_provider.h) whenever the
 *           answer is another one. The host's tables are never changed, and never copied: what is kept
 *           grows with the remotes, not with the routes.
 * Resolve:  a next hop that is unresolved or stale is sent a datagram (UDP port 9, discard; TTL 1) out of
 *           an ordinary socket, so that the kernel resolves it: needs no privilege. One that does not answer
 *           is tried again after 1, 2, 4, 8 and then every 16 s; at most UNDERLAY_PROBES_PER_S in all.
 * Paths:    of an equal-cost route those are used whose link is up and whose next hop answers. A path whose
 *           device is no `internal` port of a switch is shown, and not used.
 * Lost:     when the kernel could not deliver news (ENOBUFS) links and addresses are listed and all remotes
 *           asked for anew. Each remote is asked for anew every UNDERLAY_REFRESH_S anyway: some changes
 *           (sysctl) make no news.
 * Threads:  everything here is the loop's, in slices of less than a millisecond; the provider's lookup() is
 *           handlers' too.
 * Limits:   UNDERLAY_MAX_REMOTES pairs. The network namespace is the agent's own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "ofproto/of_port.h"
#include "ofproto/underlay_provider.h"

struct event_base;
struct grace;
struct underlay;
struct weft_error;

#define UNDERLAY_MAX_REMOTES 16384u
#define UNDERLAY_PROBES_PER_S 1000u
#define UNDERLAY_REFRESH_S 60u

struct underlay_ops {
	/* The routes with these ids were published anew: those whose answer is another one, no others. */
	void (*changed)(void *user, const uint32_t *ids, size_t n);
};

/* Opens the sockets and begins to watch. @grace: where snapshots are retired (of_model_grace()). NULL: no
 * netlink; see @err. */
struct underlay *underlay_create(struct event_base *base, struct grace *grace,
	const struct underlay_ops *ops, void *user, struct weft_error *err) WEFT_MUST_CHECK;
/* No reader may be inside, nor come. What is retired goes with the grace period's owner. */
void underlay_destroy(struct underlay *u);

/* For of_model_set_underlay(). */
struct of_underlay_provider underlay_provider(struct underlay *u);

/* The device of that name is this `internal` port of a switch; or is not any more. */
void underlay_device_set(
	struct underlay *u, const char *name, uint32_t ofproto_id, struct of_port port);
void underlay_device_del(struct underlay *u, const char *name);
/* Whether the way out ends in its switch, whatever the kernel says of the device: its paths are as if it had
 * no carrier. Forgotten when the device is deleted. */
void underlay_device_cut_off(struct underlay *u, const char *name, bool is_cut_off);

/* A tunnel port has this pair: it is followed without being asked for, until it is unpinned as often. False:
 * there are too many already; then it must not be unpinned. */
bool underlay_pin(struct underlay *u, const struct of_underlay_key *key) WEFT_MUST_CHECK;
void underlay_unpin(struct underlay *u, const struct of_underlay_key *key);

/* --- listing ------------------------------------------------------------------------------------- */

/* A followed pair. Borrowed until the loop goes on. */
struct underlay_view {
	struct of_underlay_key key;
	unsigned n_pins;
	const struct of_underlay_route *route; /* as published */
	bool has_prefix;                       /* the kernel named the route */
	struct of_underlay_addr prefix;
	uint8_t prefix_len; /* of the family's own address */
	uint32_t table;
	uint32_t metric;
	const char *last_error; /* the last one, also when it is over; NULL: none yet */
};

/* False: the pair is not followed. */
bool underlay_find(
	struct underlay *u, const struct of_underlay_key *key, struct underlay_view *view);
/* Visits all, in the order of remote and local address. @visit false stops. */
void underlay_list(struct underlay *u, bool (*visit)(const struct underlay_view *view, void *user),
	void *user);

struct underlay_counters {
	size_t n_remotes;
	size_t n_next_hops;
	uint64_t n_news;      /* messages of the kernel */
	uint64_t n_lost;      /* times that it could not deliver some */
	uint64_t n_asked;     /* questions to it */
	uint64_t n_published; /* snapshots */
	uint64_t n_probes;    /* datagrams that make it resolve */
};
void underlay_get_counters(const struct underlay *u, struct underlay_counters *c);

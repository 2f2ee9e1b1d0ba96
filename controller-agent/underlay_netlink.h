/* SPDX-License-Identifier: Apache-2.0
 *
 * What the underlay asks the kernel and hears from it: route netlink as plain structs.
 *
 * What:     a socket for questions, each answered before the call returns (the kernel does so in the
 *           system call itself: microseconds, no waiting), and one for news. Addresses are v6-mapped.
 * Why:      the kernel is asked what it would do with a packet, rather than to list its routes: it
 *           tells neither that a route of IPv4 went with its device or source address nor which
 *           rule decides, and its table can hold a million routes for a handful of remotes. libnl builds
 *           and takes apart the messages; its own sockets would turn errno values into codes of theirs.
 * Threads:  the loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "ofproto/underlay_provider.h"

struct nlmsghdr;
struct weft_error;

struct underlay_netlink {
	int ask_fd;
	int news_fd;
	int dump_fd;
	uint32_t sequence;
	uint32_t dump_sequence;
	bool dump_is_torn; /* it changed while it was listed */
	uint64_t n_asked;
	char *answer; /* the last one */
	char *news;
};

struct underlay_link {
	uint32_t ifindex;
	uint32_t mtu;
	uint8_t mac[6];
	bool is_up; /* administratively */
	bool has_carrier;
	bool is_ethernet;
	char name[16];
};

struct underlay_neighbour {
	uint32_t ifindex;
	struct of_underlay_addr address;
	uint16_t state; /* NUD_* of <linux/neighbour.h> */
	bool has_mac;
	uint8_t mac[6];
};

struct underlay_nexthop {
	uint32_t ifindex;
	bool has_gateway;
	bool is_dead;
	struct of_underlay_addr gateway;
	uint16_t weight;
};

/* The route that a packet would follow. */
struct underlay_answer {
	uint8_t type; /* RTN_* of <linux/rtnetlink.h> */
	uint8_t prefix_len;
	struct of_underlay_addr prefix;
	uint32_t table;
	uint32_t metric;
	bool has_source;
	struct of_underlay_addr source;
	uint32_t mtu;        /* of the route; 0: the device's */
	uint32_t nexthop_id; /* the nexthop object that it refers to; 0: none */
	unsigned n_nexthops;
	struct underlay_nexthop nexthops[OF_UNDERLAY_MAX_PATHS];
};

struct underlay_news_ops {
	void (*link)(void *user, const struct underlay_link *link, bool is_gone);
	void (*address)(
		void *user, uint32_t ifindex, const struct of_underlay_addr *address, bool is_gone);
	void (*route)(void *user, const struct of_underlay_addr *prefix, unsigned prefix_len);
	void (*rule)(void *user);
	void (*nexthop)(void *user);
	void (*neighbour)(void *user, const struct underlay_neighbour *n, bool is_gone);
};

bool underlay_netlink_open(struct underlay_netlink *nl, struct weft_error *err) WEFT_MUST_CHECK;
void underlay_netlink_close(struct underlay_netlink *nl);

/* By which route a packet to @remote goes; @local NULL: with a source address of the kernel's choice.
 * -ENETUNREACH: there is none; -EINVAL: a blackhole; -EHOSTUNREACH, -EACCES: likewise. */
int underlay_ask_route(struct underlay_netlink *nl, const struct of_underlay_addr *local,
	const struct of_underlay_addr *remote, struct underlay_answer *answer) WEFT_MUST_CHECK;
/* Which source address, MTU and next hop it takes if it goes out by @ifindex (0: any). */
int underlay_ask_source(struct underlay_netlink *nl, const struct of_underlay_addr *local,
	const struct of_underlay_addr *remote, uint32_t ifindex,
	struct underlay_answer *answer) WEFT_MUST_CHECK;
/* Fills in the nexthops of the object that @answer names; weights of a group, or one. */
int underlay_ask_nexthops(
	struct underlay_netlink *nl, struct underlay_answer *answer) WEFT_MUST_CHECK;
/* -ENODEV: there is no such link (any more). */
int underlay_ask_link(
	struct underlay_netlink *nl, uint32_t ifindex, struct underlay_link *link) WEFT_MUST_CHECK;
/* -ENOENT: the kernel has no entry. */
int underlay_ask_neighbour(struct underlay_netlink *nl, uint32_t ifindex,
	const struct of_underlay_addr *address, struct underlay_neighbour *n) WEFT_MUST_CHECK;

/* Reads one datagram of news and calls what it is about. -EAGAIN: there is none; -ENOBUFS: some were
 * lost. */
int underlay_read_news(struct underlay_netlink *nl, const struct underlay_news_ops *ops,
	void *user) WEFT_MUST_CHECK;

/* Asks for all addresses of this host, to be read from dump_fd. One listing at a time: what is left
 * of an earlier one is read past. */
int underlay_list_addresses(struct underlay_netlink *nl) WEFT_MUST_CHECK;
/* Reads a part of them; each is handed to ops->address(). 0: there are more; 1: that was all; -EAGAIN: none is
 * there now; -EINTR: they changed meanwhile, so that some may be missing. */
int underlay_read_addresses(struct underlay_netlink *nl, const struct underlay_news_ops *ops,
	void *user) WEFT_MUST_CHECK;

/* --- messages; for the above and its tests ------------------------------------------------------- */

int underlay_parse_route(struct nlmsghdr *m, struct underlay_answer *answer) WEFT_MUST_CHECK;
int underlay_parse_link(struct nlmsghdr *m, struct underlay_link *link) WEFT_MUST_CHECK;
/* -ENOENT: an entry of another kind (proxy, bridge). */
int underlay_parse_neighbour(struct nlmsghdr *m, struct underlay_neighbour *n) WEFT_MUST_CHECK;
/* Hands the messages of a datagram to @ops; what does not parse is skipped. */
void underlay_hand_out_news(
	void *data, size_t size, const struct underlay_news_ops *ops, void *user);

/* --- addresses ----------------------------------------------------------------------------------- */

#define UNDERLAY_ADDR_SIZE 46

static inline bool
underlay_addr_is_v4(const struct of_underlay_addr *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, 0xff};

	return __builtin_memcmp(a->v, mapped, 12) == 0;
}

static inline bool
underlay_addr_is_none(const struct of_underlay_addr *a)
{
	static const struct of_underlay_addr none;

	return __builtin_memcmp(a, &none, sizeof(none)) == 0;
}

static inline bool
underlay_addr_equal(const struct of_underlay_addr *a, const struct of_underlay_addr *b)
{
	return __builtin_memcmp(a, b, sizeof(*a)) == 0;
}

/* From the 4 or 16 bytes of a message; false: of another size. */
bool underlay_addr_read(const void *bytes, size_t size, struct of_underlay_addr *a);
/* Writes it to @text, of UNDERLAY_ADDR_SIZE; returns @text. */
const char *underlay_addr_text(const struct of_underlay_addr *a, char *text);
/* False: no address of either family. */
bool underlay_addr_parse(const char *text, struct of_underlay_addr *a);

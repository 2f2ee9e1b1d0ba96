/* SPDX-License-Identifier: Apache-2.0
 *
 * Network interfaces of the kernel: made, found, changed and deleted by route netlink.
 *
 * Why:     libnl's own sockets turn errno values into codes of theirs, and an error message that names
 *          the cause needs the errno; libnl builds and takes apart the messages here.
 * Threads: a handle belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"

struct weft_error;

#define NETDEV_NAME_MAX 15u
#define NETDEV_ALIAS_SIZE 256u

/* A request socket in one network namespace. */
struct netdev {
	int fd;    /* -1: closed */
	int ns_fd; /* of the namespace; -1: the process's own */
	uint32_t sequence;
};

struct netdev_info {
	uint32_t ifindex;
	uint32_t mtu;
	uint8_t mac[6];
	bool is_up;      /* administratively */
	bool is_running; /* and has a carrier */
	bool is_ethernet;
	char name[NETDEV_NAME_MAX + 1];
	char alias[NETDEV_ALIAS_SIZE];
	uint64_t rx_errors, rx_dropped, rx_missed, rx_crc, rx_frame, rx_over;
	uint64_t tx_errors, tx_dropped, collisions;
};

/* What the driver says of the link now, 0 and false if it does not know. */
struct netdev_link {
	uint32_t speed_mbps;
	bool is_copper, is_fibre;
};

/* What to change; zero members stay. */
struct netdev_change {
	enum { NETDEV_KEEP, NETDEV_UP, NETDEV_DOWN } state;
	bool no_arp;  /* the kernel neither asks nor answers there */
	bool no_ipv6; /* nor makes itself a link-local address */
	const char *alias;
	uint32_t mtu;
};

/* Opens a handle in namespace @netns: NULL the process's own, a name as of ip-netns(8), or a path.
 * Fills @err on failure; @n is closed then. */
bool netdev_open(struct netdev *n, const char *netns, struct weft_error *err) WEFT_MUST_CHECK;
void netdev_close(struct netdev *n);

/* Finds an interface by @name, or by @ifindex when that is NULL. -ENODEV: there is none. */
int netdev_find(struct netdev *n, const char *name, uint32_t ifindex,
	struct netdev_info *info) WEFT_MUST_CHECK;

/* Asks the driver (as ethtool(8) does). */
void netdev_read_link(struct netdev *n, const char *name, struct netdev_link *link);

/* Makes a veth pair: @name here, @peer_name in @peer's namespace. @mtu 0: the kernel's default. */
int netdev_make_veth(struct netdev *n, const char *name, const struct netdev *peer,
	const char *peer_name, uint32_t mtu) WEFT_MUST_CHECK;

/* Makes the tap @name, or attaches to it where it is there: a descriptor that does not block and stands for the
 * interface's wire, frames with virtio_net_hdr before them. The tap stays when the descriptor is closed. -EINVAL: the
 * interface of that name is no tap; -EBUSY: somebody has it. */
int netdev_open_tap(struct netdev *n, const char *name) WEFT_MUST_CHECK;
/* Whether the host's end of the tap sees a carrier. */
int netdev_set_tap_carrier(int fd, bool on);

int netdev_change(
	struct netdev *n, uint32_t ifindex, const struct netdev_change *change) WEFT_MUST_CHECK;
int netdev_delete(struct netdev *n, uint32_t ifindex);

/* Adds addresses, "ADDRESS/PREFIX[,..]"; those that are there already stay. -EINVAL: no such text. */
int netdev_add_addresses(struct netdev *n, uint32_t ifindex, const char *text) WEFT_MUST_CHECK;
/* Whether @text is a list of addresses. */
bool netdev_check_addresses(const char *text, struct weft_error *err) WEFT_MUST_CHECK;

/* Link news, for the liveness thread: opens a socket that gets one message for each change of any
 * interface. */
int netdev_open_news(void) WEFT_MUST_CHECK;

/* Reads the pending news, and calls @visit for each interface changed, or with @info NULL for one
 * deleted. Returns 0, or -ENOBUFS when some news were lost: ask for each interface. */
int netdev_read_news(int fd,
	void (*visit)(uint32_t ifindex, const struct netdev_info *info, void *user),
	void *user) WEFT_MUST_CHECK;

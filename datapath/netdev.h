/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernel network devices by netlink (libnl): veth pairs made, moved, addressed, watched, removed.
 *
 * Threads: the ports thread, but for the watch, which has a thread of its own (the liveness thread).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/compiler.h"

struct weft_error;

#define NETDEV_NAME_MAX 15

/* A veth pair: @name in our namespace with alias @alias, @peer in @netns (NULL: ours; a name of
 * ip-netns(8) or a path). @addresses: "ADDRESS/LENGTH[,..]" for the peer, or NULL. @mtu: of both, 0:
 * leave. Both are set up. A device @name that has that alias already is adopted as it is. */
bool netdev_make_veth(const char *name, const char *alias, const char *peer, const char *netns,
	const char *addresses, uint32_t mtu, struct weft_error *err) WEFT_MUST_CHECK;

/* Removes @name (and so its peer) if it has that alias. */
void netdev_remove(const char *name, const char *alias);

struct netdev_info {
	int ifindex;
	uint8_t mac[6];
	uint32_t mtu;
	bool up, running; /* administratively; and with a carrier */
};

bool netdev_query(const char *name, struct netdev_info *info, struct weft_error *err) WEFT_MUST_CHECK;
bool netdev_set_up(const char *name, bool up, struct weft_error *err) WEFT_MUST_CHECK;
bool netdev_set_mtu(const char *name, uint32_t mtu, struct weft_error *err) WEFT_MUST_CHECK;

/* Has @changed called, on the watch's thread, when the kernel tells news of a device. */
struct netdev_watch;
struct netdev_watch *netdev_watch(int ifindex,
	void (*changed)(void *user, bool exists, bool running, uint32_t mtu), void *user);
/* No call is under way when it returns, and none comes after. */
void netdev_unwatch(struct netdev_watch *w);

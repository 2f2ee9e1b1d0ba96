/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernel network devices.
 */
#include "datapath/netdev.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/error.h"

/* --- sockets and namespaces ---------------------------------------------------------------------------------- */

static struct nl_sock *
open_socket(void)
{
	struct nl_sock *s = nl_socket_alloc();

	if (s && nl_connect(s, NETLINK_ROUTE)) {
		nl_socket_free(s);
		s = NULL;
	}
	return s;
}

struct entry {
	int ns_fd;
	struct nl_sock *socket;
};

static void *
open_socket_inside(void *arg)
{
	struct entry *e = arg;

	/* This thread never comes back from there. */
	if (!setns(e->ns_fd, CLONE_NEWNET)) {
		e->socket = open_socket();
	}
	return NULL;
}

/* A netlink socket of the namespace @ns_fd (-1: ours). */
static struct nl_sock *
socket_in(int ns_fd)
{
	struct entry e = {.ns_fd = ns_fd};
	pthread_t thread;

	if (ns_fd < 0) {
		return open_socket();
	}
	if (pthread_create(&thread, NULL, open_socket_inside, &e)) {
		return NULL;
	}
	pthread_join(thread, NULL);
	return e.socket;
}

/* The descriptor of a namespace, -1 for NULL; -2: see @err. */
static int
open_netns(const char *netns, struct weft_error *err)
{
	char path[512];
	int fd;

	if (!netns) {
		return -1;
	}
	snprintf(path, sizeof path, "%s%s", strchr(netns, '/') ? "" : "/run/netns/", netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		weft_error_set(err, WEFT_ERR_SYSTEM, errno,
			"no network namespace %s: %s; make it with ip netns add", netns, strerror(errno));
		return -2;
	}
	return fd;
}

static bool
fail(struct weft_error *err, int rc, const char *what, const char *name)
{
	return weft_error_set(err, WEFT_ERR_SYSTEM, rc == -NLE_PERM ? EPERM : EIO, "cannot %s %s: %s%s", what,
		name, nl_geterror(rc), rc == -NLE_PERM ? "; weft-datapath needs CAP_NET_ADMIN" : "");
}

static struct rtnl_link *
get_link(struct nl_sock *s, const char *name)
{
	struct rtnl_link *link = NULL;

	return rtnl_link_get_kernel(s, 0, name, &link) ? NULL : link;
}

/* --- making and removing --------------------------------------------------------------------------------------- */

/* Changes flags, MTU and alias of a device, whichever are given. */
static int
change_link(struct nl_sock *s, const char *name, int up, uint32_t mtu, const char *alias)
{
	struct rtnl_link *link = get_link(s, name), *change;
	int rc;

	if (!link) {
		return -NLE_NODEV;
	}
	change = rtnl_link_alloc();
	rtnl_link_set_ifindex(change, rtnl_link_get_ifindex(link));
	if (up > 0) {
		rtnl_link_set_flags(change, IFF_UP);
	} else if (!up) {
		rtnl_link_unset_flags(change, IFF_UP);
	}
	if (mtu) {
		rtnl_link_set_mtu(change, mtu);
	}
	if (alias) {
		rtnl_link_set_ifalias(change, alias);
	}
	rc = rtnl_link_change(s, link, change, 0);
	rtnl_link_put(change);
	rtnl_link_put(link);
	return rc;
}

static bool
add_addresses(struct nl_sock *s, const char *name, const char *addresses, struct weft_error *err)
{
	struct rtnl_link *link = get_link(s, name);
	char *copy = xstrdup(addresses), *save = NULL;
	bool ok = link;

	for (char *word = strtok_r(copy, ",", &save); ok && word; word = strtok_r(NULL, ",", &save)) {
		struct rtnl_addr *address = rtnl_addr_alloc();
		struct nl_addr *local = NULL;
		int rc = nl_addr_parse(word, AF_UNSPEC, &local);

		if (!rc) {
			rtnl_addr_set_ifindex(address, rtnl_link_get_ifindex(link));
			rtnl_addr_set_local(address, local);
			rc = rtnl_addr_add(s, address, 0);
			nl_addr_put(local);
		}
		rtnl_addr_put(address);
		ok = !rc || weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "cannot give %s the address %s: %s",
				     name, word, nl_geterror(rc));
	}
	if (!link) {
		fail(err, -NLE_NODEV, "give an address to", name);
	}
	rtnl_link_put(link);
	free(copy);
	return ok;
}

/* Our end is a wire, not a host: it must not speak for itself. */
static void
silence(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, "1", 1) < 0) {
			/* It may then send router solicitations; rules can drop them. */
		}
		close(fd);
	}
}

static bool
make_pair(struct nl_sock *s, const char *name, const char *peer, int ns_fd, struct weft_error *err)
{
	struct rtnl_link *link = rtnl_link_veth_alloc(), *other = rtnl_link_veth_get_peer(link);
	int rc;

	rtnl_link_set_name(link, name);
	rtnl_link_set_name(other, peer);
	if (ns_fd >= 0) {
		rtnl_link_set_ns_fd(other, ns_fd);
	}
	rc = rtnl_link_add(s, link, NLM_F_CREATE | NLM_F_EXCL);
	rtnl_link_put(other);
	rtnl_link_put(link);
	if (rc == -NLE_EXIST) {
		return weft_error_set(err, WEFT_ERR_CONFLICT, EEXIST,
			"a device named %s or %s exists already; remove it or choose another name", name, peer);
	}
	return !rc || fail(err, rc, "make veth pair", name);
}

static bool
finish_pair(struct nl_sock *ours, struct nl_sock *theirs, const char *name, const char *alias,
	const char *peer, const char *addresses, uint32_t mtu, struct weft_error *err)
{
	int rc;

	silence(name);
	rc = change_link(ours, name, 1, mtu, alias);
	if (rc) {
		return fail(err, rc, "set up", name);
	}
	rc = change_link(theirs, peer, 1, mtu, NULL);
	if (rc) {
		return fail(err, rc, "set up", peer);
	}
	return !addresses || add_addresses(theirs, peer, addresses, err);
}

bool
netdev_make_veth(const char *name, const char *alias, const char *peer, const char *netns,
	const char *addresses, uint32_t mtu, struct weft_error *err)
{
	int ns_fd = open_netns(netns, err);
	struct nl_sock *ours, *theirs = NULL;
	struct rtnl_link *there;
	bool ok = false;

	if (ns_fd == -2) {
		return false;
	}
	ours = socket_in(-1);
	theirs = ours ? socket_in(ns_fd) : NULL;
	if (!theirs) {
		weft_error_set(err, WEFT_ERR_SYSTEM, EIO, "cannot open netlink%s%s", netns ? " in " : "",
			netns ? netns : "");
		goto close;
	}
	there = get_link(ours, name);
	if (there) {
		const char *has = rtnl_link_get_ifalias(there);

		ok = has && !strcmp(has, alias);
		if (!ok) {
			weft_error_set(err, WEFT_ERR_CONFLICT, EEXIST,
				"device %s exists already and is none of ours; remove it or choose another name",
				name);
		}
		rtnl_link_put(there);
		goto close;
	}
	ok = make_pair(ours, name, peer, ns_fd, err);
	if (ok && !finish_pair(ours, theirs, name, alias, peer, addresses, mtu, err)) {
		struct rtnl_link *half = get_link(ours, name);

		if (half) {
			rtnl_link_delete(ours, half);
			rtnl_link_put(half);
		}
		ok = false;
	}

close:
	nl_socket_free(ours);
	nl_socket_free(theirs);
	if (ns_fd >= 0) {
		close(ns_fd);
	}
	return ok;
}

void
netdev_remove(const char *name, const char *alias)
{
	struct nl_sock *s = socket_in(-1);
	struct rtnl_link *link = s ? get_link(s, name) : NULL;
	const char *has = link ? rtnl_link_get_ifalias(link) : NULL;

	if (has && !strcmp(has, alias)) {
		rtnl_link_delete(s, link);
	}
	if (link) {
		rtnl_link_put(link);
	}
	nl_socket_free(s);
}

static void
fill_info(struct rtnl_link *link, struct netdev_info *info)
{
	struct nl_addr *mac = rtnl_link_get_addr(link);
	unsigned flags = rtnl_link_get_flags(link);

	*info = (struct netdev_info){
		.ifindex = rtnl_link_get_ifindex(link),
		.mtu = rtnl_link_get_mtu(link),
		.up = flags & IFF_UP,
		.running = (flags & IFF_UP) && (flags & IFF_RUNNING),
	};
	if (mac && nl_addr_get_len(mac) == 6) {
		memcpy(info->mac, nl_addr_get_binary_addr(mac), 6);
	}
}

bool
netdev_query(const char *name, struct netdev_info *info, struct weft_error *err)
{
	struct nl_sock *s = socket_in(-1);
	struct rtnl_link *link = s ? get_link(s, name) : NULL;

	if (link) {
		fill_info(link, info);
		rtnl_link_put(link);
	} else {
		weft_error_set(err, WEFT_ERR_SYSTEM, ENODEV, "no network device %s; see ip link", name);
	}
	nl_socket_free(s);
	return link;
}

bool
netdev_set_up(const char *name, bool up, struct weft_error *err)
{
	struct nl_sock *s = socket_in(-1);
	int rc = s ? change_link(s, name, up, 0, NULL) : -NLE_BAD_SOCK;

	nl_socket_free(s);
	return !rc || fail(err, rc, up ? "set up" : "set down", name);
}

bool
netdev_set_mtu(const char *name, uint32_t mtu, struct weft_error *err)
{
	struct nl_sock *s = socket_in(-1);
	int rc = s ? change_link(s, name, -1, mtu, NULL) : -NLE_BAD_SOCK;

	nl_socket_free(s);
	return !rc || fail(err, rc, "set the MTU of", name);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Port types veth, internal, tap and af-packet: interfaces of the kernel.
 *
 *     veth      [workers] NAME ===== PEER [namespace]      a pair; NAME is our end
 *     internal  [workers] NAME-w === NAME [host]           a pair; NAME is the host's end
 *     tap       [workers] descriptor === IFNAME [namespace]
 *     af-packet [workers] IFNAME                           somebody else's interface
 *
 * Lifetime: pairs and taps are made with the port and deleted with it. They carry the alias
 *           weft:RUNDIR:PORT; a datapath that was killed finds them again by that and adopts them,
 *           so that addresses and routes of the other end survive.
 * Why:      a pair instead of a tap for internal ports, because a packet socket moves a batch with
 *           one call and a tap one frame.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datapath/liveness.h"
#include "datapath/netdev.h"
#include "datapath/packet_socket.h"
#include "datapath/port_provider.h"
#include "datapath/providers.h"
#include "lib/alloc.h"
#include "lib/drop_reason.h"
#include "lib/error.h"
#include "lib/log.h"

WEFT_LOG_MODULE(kernel_port);

#define MIN_MTU 68u
#define MAX_MTU 65535u
#define DEFAULT_MTU 1500u

enum kind { KIND_VETH, KIND_INTERNAL, KIND_TAP, KIND_AF_PACKET };

struct port_dev {
	enum kind kind;
	struct port *port;
	struct packet_socket *socket;
	struct netdev here; /* a tap's: in its namespace, which its descriptor keeps anyway */
	/* The namespace of a pair's other end. Open only while it is needed: a descriptor would keep a
	 * namespace alive that its owner has deleted. */
	struct netdev there;
	struct liveness_watch *watch, *peer_watch;
	uint32_t ifindex; /* of our end; 0: not there yet */
	uint32_t peer_ifindex;
	uint8_t peer_mac[6];     /* when it was made */
	bool is_peer_here;       /* in our namespace */
	_Atomic bool is_running; /* liveness writes, workers read */
	_Atomic bool is_gone;
	char name[NETDEV_NAME_MAX + 1], peer[NETDEV_NAME_MAX + 1];
	char *netns;
	char *alias; /* NULL: not ours */
};

/* --- open --------------------------------------------------------------------------------------------------- */

/* The kernel would make a number of its own of %d. */
static bool
take_name(char *to, const char *name, const char *suffix, const char *what, struct weft_error *err)
{
	int len = snprintf(to, NETDEV_NAME_MAX + 1, "%s%s", name, suffix);

	if (len < 1 || len > (int)NETDEV_NAME_MAX || strpbrk(name, "/:% \t\n") ||
		!strcmp(name, ".") || !strcmp(name, "..")) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"%s \"%s%s\" cannot be an interface's name: at most %u characters, no space, "
			"slash, colon or %%",
			what, name, suffix, NETDEV_NAME_MAX);
	}
	return true;
}

/* The hidden end of an internal port. It cannot clash with a port's own name by chance: what is
 * there without our alias is refused. */
static void
hidden_name(char *to, const char *name)
{
	uint32_t hash = 2166136261u;

	if (strlen(name) + 2 <= NETDEV_NAME_MAX) {
		snprintf(to, NETDEV_NAME_MAX + 1, "%s-w", name);
		return;
	}
	for (const char *c = name; *c; c++) {
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	}
	snprintf(to, NETDEV_NAME_MAX + 1, "weft-%08x", hash);
}

static bool
name_ends(struct port_dev *dev, const struct port_config *config, struct weft_error *err)
{
	const char *ifname = port_option_find(config->options, config->n_options, "ifname");

	switch (dev->kind) {
	case KIND_VETH:
		return take_name(dev->name, config->name, "", "port name", err) &&
		       take_name(dev->peer, ifname ? ifname : config->name, ifname ? "" : "-p",
			       ifname ? "ifname" : "the peer's name", err);
	case KIND_INTERNAL:
		if (!take_name(dev->peer, config->name, "", "port name", err)) {
			return false;
		}
		hidden_name(dev->name, config->name);
		return true;
	case KIND_TAP:
		return take_name(dev->name, ifname ? ifname : config->name, "",
			ifname ? "ifname" : "port name", err);
	case KIND_AF_PACKET:
		return take_name(dev->name, ifname, "", "ifname", err);
	}
	return false;
}

static bool
refuse(struct weft_error *err, int rc, const char *what, const char *name)
{
	return weft_error_set(err, rc == -EEXIST ? WEFT_ERR_CONFLICT : WEFT_ERR_SYSTEM, -rc,
		"cannot %s %s: %s%s", what, name, strerror(-rc),
		rc == -EPERM        ? "; run weft-datapath as root or give it CAP_NET_ADMIN"
		: rc == -EEXIST     ? "; remove it or choose another name"
		: rc == -ENOENT     ? "; load the kernel's tun module"
		: rc == -EOPNOTSUPP ? "; the kernel has no veth"
				    : "");
}

static bool
check_owner(const struct port_dev *dev, const struct netdev_info *info, struct weft_error *err)
{
	return !strcmp(info->alias, dev->alias) ||
	       weft_error_set(err, WEFT_ERR_CONFLICT, EEXIST,
		       "interface %s exists already and is not this port's; remove it or choose another name",
		       dev->name);
}

/* Finds a pair that an earlier datapath of this run directory made for this port. 1: it is there as
 * wanted; 0: there is none; -1: a name is taken, or it could not be found out. */
static int
find_pair(struct port_dev *dev, struct weft_error *err)
{
	struct netdev_info own, other;
	int rc = netdev_find(&dev->here, dev->name, 0, &own);

	if (rc == -ENODEV) {
		return 0;
	}
	if (rc) {
		refuse(err, rc, "look for interface", dev->name);
		return -1;
	}
	if (!check_owner(dev, &own, err)) {
		return -1;
	}
	if (!netdev_find(&dev->there, dev->peer, 0, &other) && !strcmp(other.alias, dev->alias)) {
		dev->ifindex = own.ifindex;
		dev->peer_ifindex = other.ifindex;
		memcpy(dev->peer_mac, other.mac, sizeof dev->peer_mac);
		return 1;
	}
	/* Ours, but the other end is not what this configuration wants: make it anew. */
	rc = netdev_delete(&dev->here, own.ifindex);
	if (rc) {
		refuse(err, rc, "remove the old interface", dev->name);
		return -1;
	}
	return 0;
}

static bool
make_pair(struct port_dev *dev, uint32_t mtu, struct weft_error *err)
{
	struct netdev_info own, other;
	int found = find_pair(dev, err), rc;

	if (found < 0) {
		return false;
	}
	if (found) {
		LOG_INFO("%s: adopted the interface of an earlier run", dev->name);
		return true;
	}
	rc = netdev_make_veth(&dev->here, dev->name, &dev->there, dev->peer, mtu);
	if (rc) {
		/* There is none of our end's name, as find_pair() has seen. */
		return refuse(err, rc, "make interface", rc == -EEXIST ? dev->peer : dev->name);
	}
	rc = netdev_find(&dev->here, dev->name, 0, &own);
	if (rc) {
		return refuse(err, rc, "find the new interface", dev->name);
	}
	dev->ifindex = own.ifindex;
	rc = netdev_find(&dev->there, dev->peer, 0, &other);
	if (rc) {
		return refuse(err, rc, "find the new interface", dev->peer);
	}
	dev->peer_ifindex = other.ifindex;
	memcpy(dev->peer_mac, other.mac, sizeof dev->peer_mac);
	return true;
}

static bool
set_up_pair(struct port_dev *dev, uint32_t mtu, const char *ip, struct weft_error *err)
{
	/* The host's stack is no party on our end: it neither resolves nor announces itself there. */
	const struct netdev_change quiet = {
		.no_arp = true, .no_ipv6 = true, .alias = dev->alias, .mtu = mtu};
	const struct netdev_change other = {.alias = dev->alias, .mtu = mtu};
	const struct netdev_change up = {.state = NETDEV_UP};
	int rc = netdev_change(&dev->here, dev->ifindex, &quiet);

	rc = rc ? rc : netdev_change(&dev->there, dev->peer_ifindex, &other);
	rc = rc ? rc : netdev_change(&dev->here, dev->ifindex, &up);
	if (rc) {
		return refuse(err, rc, "set up interface", dev->name);
	}
	rc = netdev_change(&dev->there, dev->peer_ifindex, &up);
	if (rc) {
		return refuse(err, rc, "set up interface", dev->peer);
	}
	rc = ip ? netdev_add_addresses(&dev->there, dev->peer_ifindex, ip) : 0;
	return !rc || refuse(err, rc, "give its address to interface", dev->peer);
}

static void
link_news(enum liveness_news news, void *user)
{
	struct port_dev *dev = user;

	atomic_store(&dev->is_running, news == LIVENESS_UP);
	if (news == LIVENESS_GONE) {
		atomic_store(&dev->is_gone, true);
	}
	port_core_event(dev->port, news == LIVENESS_GONE ? PORT_EVENT_GONE : PORT_EVENT_STATUS);
}

static void
peer_news(enum liveness_news news, void *user)
{
	(void)news;
	port_core_event(((struct port_dev *)user)->port, PORT_EVENT_STATUS);
}

/* Its link is known from the start, not only when liveness has looked. */
static bool
watch_links(struct port_dev *dev, struct weft_error *err) WEFT_REQUIRES(weft_ports)
{
	struct netdev_info info;
	int rc = netdev_find(&dev->here, NULL, dev->ifindex, &info);

	if (rc) {
		return refuse(err, rc, "find interface", dev->name);
	}
	atomic_store(&dev->is_running, info.is_running);
	if (dev->kind == KIND_TAP && dev->netns) {
		return true; /* no news from there; whether it takes packets shows when they are sent */
	}
	dev->watch = liveness_watch_link(dev->ifindex, link_news, dev, err);
	if (dev->watch && dev->peer_ifindex && dev->is_peer_here) {
		dev->peer_watch = liveness_watch_link(dev->peer_ifindex, peer_news, dev, err);
		return dev->peer_watch;
	}
	return dev->watch;
}

/* What is made for the port carries its name. */
static bool
set_alias(struct port_dev *dev, const struct port_config *config, struct weft_error *err)
{
	char *rundir = realpath(config->rundir, NULL);

	dev->alias = xasprintf("weft:%s:%s", rundir ? rundir : config->rundir, config->name);
	free(rundir);
	if (strlen(dev->alias) >= NETDEV_ALIAS_SIZE) {
		return weft_error_set(err, WEFT_ERR_INVALID, ENAMETOOLONG,
			"the run directory's name is too long for an interface's alias (%u characters)",
			NETDEV_ALIAS_SIZE - 1);
	}
	return true;
}

static uint32_t
mtu_of(const struct port_config *config)
{
	const char *text = port_option_find(config->options, config->n_options, "mtu");

	return text ? (uint32_t)strtoul(text, NULL, 10) : 0;
}

static bool
open_pair(struct port_dev *dev, const struct port_config *config, struct weft_error *err)
{
	const char *ip = port_option_find(config->options, config->n_options, "ip");
	uint32_t mtu = mtu_of(config);
	bool ok;

	dev->is_peer_here = !dev->netns;
	ok = set_alias(dev, config, err) && (!ip || netdev_check_addresses(ip, err)) &&
	     netdev_open(&dev->there, dev->netns, err) && make_pair(dev, mtu, err) &&
	     set_up_pair(dev, mtu, ip, err);
	netdev_close(&dev->there);
	return ok;
}

/* Makes the tap, or attaches to the one of an earlier run. Its descriptor; -1. */
static int
attach_tap(struct port_dev *dev, struct weft_error *err)
{
	struct netdev_info info;
	int rc = netdev_find(&dev->here, dev->name, 0, &info), fd;
	bool found = !rc;

	if (rc && rc != -ENODEV) {
		refuse(err, rc, "look for interface", dev->name);
		return -1;
	}
	if (found && !check_owner(dev, &info, err)) {
		return -1;
	}
	fd = netdev_open_tap(&dev->here, dev->name);
	if (fd == -EINVAL && found) {
		/* Ours, but of another type: from a port of that name that is no more. */
		rc = netdev_delete(&dev->here, info.ifindex);
		fd = rc ? rc : netdev_open_tap(&dev->here, dev->name);
		found = false;
	}
	if (fd < 0) {
		refuse(err, fd, "make the tap", dev->name);
		return -1;
	}
	if (found) {
		LOG_INFO("%s: adopted the tap of an earlier run", dev->name);
	}
	rc = netdev_find(&dev->here, dev->name, 0, &info);
	if (rc) {
		refuse(err, rc, "find the new interface", dev->name);
		close(fd);
		return -1;
	}
	dev->ifindex = info.ifindex;
	return fd;
}

static bool
open_tap(struct port_dev *dev, const struct port_config *config, struct weft_error *err)
{
	const char *ip = port_option_find(config->options, config->n_options, "ip");
	struct netdev_change change = {.state = NETDEV_UP, .mtu = mtu_of(config)};
	int fd, rc;

	if (!set_alias(dev, config, err) || (ip && !netdev_check_addresses(ip, err))) {
		return false;
	}
	fd = attach_tap(dev, err);
	if (fd < 0) {
		return false;
	}
	dev->socket = packet_socket_open_tap(fd, config->number, config->port, config->pool, err);
	if (!dev->socket) {
		return false;
	}
	(void)netdev_set_tap_carrier(fd, true); /* an adopted one may have lost it */
	change.alias = dev->alias;
	rc = netdev_change(&dev->here, dev->ifindex, &change);
	if (rc) {
		return refuse(err, rc, "set up interface", dev->name);
	}
	rc = ip ? netdev_add_addresses(&dev->here, dev->ifindex, ip) : 0;
	return !rc || refuse(err, rc, "give its address to interface", dev->name);
}

static bool
open_foreign(struct port_dev *dev, struct weft_error *err)
{
	struct netdev_info info;
	int rc = netdev_find(&dev->here, dev->name, 0, &info);

	if (rc == -ENODEV) {
		return weft_error_set(
			err, WEFT_ERR_CONFLICT, ENODEV, "no interface %s; see: ip link", dev->name);
	}
	if (rc) {
		return refuse(err, rc, "find interface", dev->name);
	}
	if (!info.is_ethernet) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"interface %s is no Ethernet interface", dev->name);
	}
	dev->ifindex = info.ifindex;
	return true;
}

/* Deletes the pair, if it is still ours. */
static void
delete_pair(struct port_dev *dev)
{
	struct netdev_info info;
	int rc;

	if (!dev->alias || !dev->ifindex || atomic_load(&dev->is_gone) ||
		netdev_find(&dev->here, NULL, dev->ifindex, &info) ||
		strcmp(info.name, dev->name)) {
		return;
	}
	rc = netdev_delete(&dev->here, dev->ifindex);
	if (rc) {
		LOG_WARN("%s: cannot remove the interface: %s", dev->name, strerror(-rc));
	}
}

static void
kernel_close(struct port_dev *dev) WEFT_REQUIRES(weft_ports)
{
	liveness_unwatch(dev->watch);
	liveness_unwatch(dev->peer_watch);
	packet_socket_close(dev->socket);
	delete_pair(dev);
	netdev_close(&dev->here);
	netdev_close(&dev->there);
	free(dev->netns);
	free(dev->alias);
	free(dev);
}

static struct port_dev *
kernel_open(enum kind kind, const struct port_config *config, struct weft_error *err)
	WEFT_REQUIRES(weft_ports)
{
	const char *netns = port_option_find(config->options, config->n_options, "netns");
	struct port_dev *dev = xcalloc(1, sizeof *dev);
	bool ok;

	dev->kind = kind;
	dev->port = config->port;
	dev->netns = netns ? xstrdup(netns) : NULL;
	dev->here = dev->there = (struct netdev){.fd = -1, .ns_fd = -1};
	ok = name_ends(dev, config, err) &&
	     netdev_open(&dev->here, kind == KIND_TAP ? netns : NULL, err) &&
	     (kind == KIND_AF_PACKET    ? open_foreign(dev, err)
		     : kind == KIND_TAP ? open_tap(dev, config, err)
					: open_pair(dev, config, err));
	if (ok && !dev->socket) {
		dev->socket = packet_socket_open(
			dev->ifindex, config->number, config->port, config->pool, err);
	}
	if (ok && dev->socket && watch_links(dev, err)) {
		return dev;
	}
	kernel_close(dev);
	return NULL;
}

static struct port_dev *
veth_open(const struct port_config *config, struct weft_error *err) WEFT_REQUIRES(weft_ports)
{
	return kernel_open(KIND_VETH, config, err);
}

static struct port_dev *
internal_open(const struct port_config *config, struct weft_error *err) WEFT_REQUIRES(weft_ports)
{
	return kernel_open(KIND_INTERNAL, config, err);
}

static struct port_dev *
tap_open(const struct port_config *config, struct weft_error *err) WEFT_REQUIRES(weft_ports)
{
	return kernel_open(KIND_TAP, config, err);
}

static struct port_dev *
af_packet_open(const struct port_config *config, struct weft_error *err) WEFT_REQUIRES(weft_ports)
{
	return kernel_open(KIND_AF_PACKET, config, err);
}

/* --- changes and listings ------------------------------------------------------------------------------- */

static bool
kernel_set(
	struct port_dev *dev, const struct port_option *changes, size_t n, struct weft_error *err)
{
	const char *text = port_option_find(changes, n, "mtu");
	struct netdev_change change = {
		.mtu = text && *text ? (uint32_t)strtoul(text, NULL, 10) : DEFAULT_MTU};
	int rc;

	if (!text) {
		return true;
	}
	if (dev->kind == KIND_TAP) {
		rc = netdev_change(&dev->here, dev->ifindex, &change);
		return !rc || refuse(err, rc, "set the MTU of interface", dev->name);
	}
	if (!netdev_open(&dev->there, dev->netns, err)) {
		return false;
	}
	rc = netdev_change(&dev->there, dev->peer_ifindex, &change);
	netdev_close(&dev->there);
	rc = rc ? rc : netdev_change(&dev->here, dev->ifindex, &change);
	return !rc || refuse(err, rc, "set the MTU of interface", dev->name);
}

/* The other end of a pair loses its carrier, and so does a tap. */
static void
kernel_set_admin(struct port_dev *dev, bool up)
{
	const struct netdev_change change = {.state = up ? NETDEV_UP : NETDEV_DOWN};
	int rc = dev->kind == KIND_TAP ? netdev_set_tap_carrier(packet_socket_fd(dev->socket), up)
		 : dev->alias          ? netdev_change(&dev->here, dev->ifindex, &change)
				       : 0;

	if (rc) {
		LOG_WARN("%s: cannot take the interface %s: %s", dev->name, up ? "up" : "down",
			strerror(-rc));
	}
}

static void
kernel_status(struct port_dev *dev, struct port_status *status)
{
	struct netdev_info own, other;
	struct netdev_link link;

	*status = (struct port_status){.n_rxq = 1, .n_txq = 1};
	if (atomic_load(&dev->is_gone) || netdev_find(&dev->here, NULL, dev->ifindex, &own)) {
		snprintf(status->peer, sizeof status->peer, "%s: the interface was deleted",
			dev->name);
		return;
	}
	status->link_up = own.is_running;
	status->mtu = own.mtu;
	status->ifindex = own.ifindex;
	memcpy(status->mac, own.mac, sizeof status->mac);
	netdev_read_link(&dev->here, own.name, &link);
	status->speed_mbps = link.speed_mbps;
	status->is_copper = link.is_copper;
	status->is_fibre = link.is_fibre;
	snprintf(status->peer, sizeof status->peer, "%s%s%.90s", *dev->peer ? dev->peer : dev->name,
		dev->netns ? " in " : "", dev->netns ? dev->netns : "");
	if (dev->kind == KIND_INTERNAL) {
		/* The port is the host's end: that is the address and the interface that others know. */
		bool seen = dev->is_peer_here &&
			    !netdev_find(&dev->here, NULL, dev->peer_ifindex, &other);

		memcpy(status->mac, seen ? other.mac : dev->peer_mac, sizeof status->mac);
		status->ifindex = seen ? other.ifindex : 0;
	}
}

static bool
kernel_is_up(struct port_dev *dev)
{
	return atomic_load(&dev->is_running) && !atomic_load(&dev->is_gone);
}

static void
kernel_stats(struct port_dev *dev, struct port_dev_stats *stats)
{
	struct netdev_info info;

	*stats = (struct port_dev_stats){.rx_missed = packet_socket_missed(dev->socket)};
	if (netdev_find(&dev->here, NULL, dev->ifindex, &info)) {
		return;
	}
	stats->rx_errors = info.rx_errors;
	stats->rx_missed += info.rx_missed;
	stats->rx_crc = info.rx_crc;
	stats->rx_frame = info.rx_frame;
	stats->rx_over = info.rx_over;
	stats->tx_errors = info.tx_errors;
	stats->tx_dropped = info.tx_dropped;
	stats->collisions = info.collisions;
}

/* --- packets ---------------------------------------------------------------------------------------------- */

static uint16_t
kernel_rx(struct port_dev *dev, uint16_t queue, struct packet **pkts, uint16_t n)
{
	(void)queue;
	return packet_socket_rx(dev->socket, pkts, n);
}

static uint16_t
kernel_tx(struct port_dev *dev, uint16_t queue, struct packet **pkts, uint16_t n)
{
	(void)queue;
	if (!atomic_load_explicit(&dev->is_running, memory_order_relaxed)) {
		return 0;
	}
	return packet_socket_tx(dev->socket, pkts, n);
}

static int
kernel_rx_sleep(struct port_dev *dev, uint16_t queue)
{
	(void)queue;
	return packet_socket_fd(dev->socket); /* readable as long as there is a frame */
}

/* --- the types -------------------------------------------------------------------------------------- */

#define OPTION_NETNS                                                                               \
	{                                                                                          \
		"netns", PORT_OPT_TEXT, 0, 0, NULL, false, false, "namespace of the other end"     \
	}
#define OPTION_IP                                                                                  \
	{                                                                                          \
		"ip", PORT_OPT_TEXT, 0, 0, NULL, false, false,                                     \
			"its addresses, ADDRESS/PREFIX[,..]"                                       \
	}
#define OPTION_MTU                                                                                 \
	{                                                                                          \
		"mtu", PORT_OPT_UINT, MIN_MTU, MAX_MTU, NULL, false, true, "of both ends (1500)"   \
	}
#define OPTION_END                                                                                 \
	{                                                                                          \
		NULL, PORT_OPT_TEXT, 0, 0, NULL, false, false, NULL                                \
	}

static const struct port_option_spec veth_options[] = {
	{"ifname", PORT_OPT_TEXT, 0, 0, NULL, false, false, "the other end's name (NAME-p)"},
	OPTION_NETNS,
	OPTION_IP,
	OPTION_MTU,
	OPTION_END,
};

static const struct port_option_spec internal_options[] = {
	OPTION_NETNS,
	OPTION_IP,
	OPTION_MTU,
	OPTION_END,
};

static const struct port_option_spec tap_options[] = {
	{"ifname", PORT_OPT_TEXT, 0, 0, NULL, false, false, "the interface's name (NAME)"},
	OPTION_NETNS,
	OPTION_IP,
	OPTION_MTU,
	OPTION_END,
};

static const struct port_option_spec af_packet_options[] = {
	{"ifname", PORT_OPT_TEXT, 0, 0, NULL, true, false, "the interface"},
	OPTION_END,
};

#define KERNEL_FUNCTIONS                                                                           \
	.close = kernel_close, .set = kernel_set, .set_admin = kernel_set_admin,                   \
	.status = kernel_status, .is_up = kernel_is_up, .stats = kernel_stats, .rx = kernel_rx,    \
	.tx = kernel_tx, .rx_sleep = kernel_rx_sleep

const struct port_provider veth_provider = {
	.type = "veth",
	.help = "a pair of interfaces, the other end for a namespace",
	.options = veth_options,
	.can_join = true,
	.open = veth_open,
	KERNEL_FUNCTIONS,
};

const struct port_provider internal_provider = {
	.type = "internal",
	.help = "an interface of the host",
	.options = internal_options,
	.open = internal_open,
	KERNEL_FUNCTIONS,
};

const struct port_provider tap_provider = {
	.type = "tap",
	.help = "a tap of the host or of a namespace",
	.options = tap_options,
	.can_join = true,
	.open = tap_open,
	KERNEL_FUNCTIONS,
};

const struct port_provider af_packet_provider = {
	.type = "af-packet",
	.help = "an existing interface of the host",
	.options = af_packet_options,
	.can_join = true,
	.open = af_packet_open,
	KERNEL_FUNCTIONS,
};

/* SPDX-License-Identifier: Apache-2.0
 *
 * Network interfaces of the kernel, by route netlink.
 */
#include "datapath/netdev.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/error.h"

#define REPLY_SIZE 32768u
#define ADDR_GEN_NONE 1u /* IN6_ADDR_GEN_MODE_NONE */

/* --- namespaces ------------------------------------------------------------------------------------------ */

/* What is opened belongs to the namespace it is opened in. That is done by a thread of its own: a thread that could
 * not come back from another namespace would be lost, and with it the ports thread. */
struct visit {
	int (*open)(void);
	int ns_fd, fd, error;
};

static void *
open_in_namespace(void *arg)
{
	struct visit *visit = arg;

	if (setns(visit->ns_fd, CLONE_NEWNET)) {
		visit->error = errno;
		return NULL;
	}
	visit->fd = visit->open();
	visit->error = visit->fd < 0 ? errno : 0;
	return NULL;
}

/* The descriptor that @open makes in a namespace (-1: our own); -errno. */
static int
open_there(int ns_fd, int (*open)(void))
{
	struct visit visit = {.open = open, .ns_fd = ns_fd, .fd = -1};
	pthread_t thread;
	int rc;

	if (ns_fd < 0) {
		visit.fd = open();
		return visit.fd < 0 ? -errno : visit.fd;
	}
	rc = pthread_create(&thread, NULL, open_in_namespace, &visit);
	if (rc) {
		return -rc;
	}
	pthread_join(thread, NULL);
	return visit.error ? -visit.error : visit.fd;
}

static int
open_route_socket(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
}

static int
open_tun(void)
{
	return open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
}

static bool
open_visitor(struct netdev *n, const char *netns, struct weft_error *err)
{
	char path[512];
	int rc;

	if (strchr(netns, '/')) {
		snprintf(path, sizeof path, "%s", netns);
	} else {
		snprintf(path, sizeof path, "/var/run/netns/%s", netns);
	}
	n->ns_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (n->ns_fd < 0) {
		return weft_error_set(err, WEFT_ERR_CONFLICT, errno,
			"cannot open network namespace %s: %s; make it with: ip netns add %s",
			netns, strerror(errno), netns);
	}
	rc = open_there(n->ns_fd, open_route_socket);
	if (rc >= 0) {
		n->fd = rc;
		return true;
	}
	netdev_close(n);
	return weft_error_set(err, WEFT_ERR_SYSTEM, -rc, "cannot enter network namespace %s: %s%s",
		netns, strerror(-rc), rc == -EPERM ? "; run weft-datapath as root" : "");
}

bool
netdev_open(struct netdev *n, const char *netns, struct weft_error *err)
{
	*n = (struct netdev){.fd = -1, .ns_fd = -1};
	if (netns) {
		return open_visitor(n, netns, err);
	}
	n->fd = open_route_socket();
	return n->fd >= 0 || weft_error_set(err, WEFT_ERR_SYSTEM, errno,
				     "cannot open a netlink socket: %s", strerror(errno));
}

void
netdev_close(struct netdev *n)
{
	if (n->fd >= 0) {
		close(n->fd);
	}
	if (n->ns_fd >= 0) {
		close(n->ns_fd);
	}
	n->fd = n->ns_fd = -1;
}

/* --- taps ------------------------------------------------------------------------------------------------- */

int
netdev_open_tap(struct netdev *n, const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int fd = open_there(n->ns_fd, open_tun), size = sizeof(struct virtio_net_hdr), rc = 0;

	if (fd < 0) {
		return fd;
	}
	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
	/* The kernel may leave checksums and segmentation to us, as a guest would. */
	if (ioctl(fd, TUNSETIFF, &request) || ioctl(fd, TUNSETVNETHDRSZ, &size) ||
		ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN) ||
		ioctl(fd, TUNSETPERSIST, 1)) {
		rc = -errno;
		close(fd);
	}
	return rc ? rc : fd;
}

int
netdev_set_tap_carrier(int fd, bool on)
{
	int carrier = on;

	return ioctl(fd, TUNSETCARRIER, &carrier) ? -errno : 0;
}

/* --- requests --------------------------------------------------------------------------------------------- */

/* Sends a request and waits for its answer, an error or one message, which goes to @reply if that
 * is not NULL. Frees @msg; NULL: it could not be built. */
static int
request(struct netdev *n, struct nl_msg *msg, struct nlmsghdr *reply)
{
	struct nlmsghdr *head = msg ? nlmsg_hdr(msg) : NULL, *buffer = reply;
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	char own[1024] __attribute__((aligned(8)));
	ssize_t got;
	int rc = 0;

	if (!head) {
		return -ENOMEM;
	}
	if (!buffer) {
		buffer = (struct nlmsghdr *)(void *)own;
		head->nlmsg_flags |= NLM_F_ACK;
	}
	head->nlmsg_seq = ++n->sequence;
	head->nlmsg_pid = 0;
	if (sendto(n->fd, head, head->nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof kernel) <
		0) {
		rc = -errno;
	}
	nlmsg_free(msg);
	while (!rc) {
		got = recv(n->fd, buffer, reply ? REPLY_SIZE : sizeof own, 0);
		if (got < 0) {
			rc = errno == EINTR ? 0 : -errno;
			continue;
		}
		if (!NLMSG_OK(buffer, (size_t)got) || buffer->nlmsg_seq != n->sequence) {
			continue;
		}
		if (buffer->nlmsg_type != NLMSG_ERROR) {
			return 0;
		}
		return ((const struct nlmsgerr *)NLMSG_DATA(buffer))->error;
	}
	return rc;
}

static struct nl_msg *
link_message(int type, int flags, uint32_t ifindex, unsigned if_flags, unsigned if_mask)
{
	struct ifinfomsg head = {.ifi_family = AF_UNSPEC,
		.ifi_index = (int)ifindex,
		.ifi_flags = if_flags,
		.ifi_change = if_mask};
	struct nl_msg *msg = nlmsg_alloc_simple(type, flags | NLM_F_REQUEST);

	if (msg && nlmsg_append(msg, &head, sizeof head, NLMSG_ALIGNTO)) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

static void
read_stats(struct netdev_info *info, const struct nlattr *attribute)
{
	struct rtnl_link_stats64 s = {0};

	memcpy(&s, nla_data(attribute),
		(size_t)nla_len(attribute) < sizeof s ? (size_t)nla_len(attribute) : sizeof s);
	info->rx_errors = s.rx_errors;
	info->rx_dropped = s.rx_dropped;
	info->rx_missed = s.rx_missed_errors;
	info->rx_crc = s.rx_crc_errors;
	info->rx_frame = s.rx_frame_errors;
	info->rx_over = s.rx_over_errors;
	info->tx_errors = s.tx_errors;
	info->tx_dropped = s.tx_dropped;
	info->collisions = s.collisions;
}

static int
parse_link(struct nlmsghdr *message, struct netdev_info *info)
{
	struct nlattr *tb[IFLA_MAX + 1];
	const struct ifinfomsg *head = NLMSG_DATA(message);

	if (message->nlmsg_type != RTM_NEWLINK ||
		nlmsg_parse(message, sizeof *head, tb, IFLA_MAX, NULL) < 0) {
		return -EPROTO;
	}
	*info = (struct netdev_info){
		.ifindex = (uint32_t)head->ifi_index,
		.is_up = head->ifi_flags & IFF_UP,
		.is_running = (head->ifi_flags & IFF_UP) && (head->ifi_flags & IFF_RUNNING),
		.is_ethernet = head->ifi_type == ARPHRD_ETHER,
	};
	if (tb[IFLA_MTU]) {
		info->mtu = nla_get_u32(tb[IFLA_MTU]);
	}
	if (tb[IFLA_ADDRESS] && nla_len(tb[IFLA_ADDRESS]) == 6) {
		memcpy(info->mac, nla_data(tb[IFLA_ADDRESS]), 6);
	}
	if (tb[IFLA_IFNAME]) {
		nla_strlcpy(info->name, tb[IFLA_IFNAME], sizeof info->name);
	}
	if (tb[IFLA_IFALIAS]) {
		nla_strlcpy(info->alias, tb[IFLA_IFALIAS], sizeof info->alias);
	}
	if (tb[IFLA_STATS64]) {
		read_stats(info, tb[IFLA_STATS64]);
	}
	return 0;
}

int
netdev_find(struct netdev *n, const char *name, uint32_t ifindex, struct netdev_info *info)
{
	struct nl_msg *msg = link_message(RTM_GETLINK, 0, name ? 0 : ifindex, 0, 0);
	struct nlmsghdr *reply = malloc(REPLY_SIZE);
	int rc;

	if (msg && name && nla_put_string(msg, IFLA_IFNAME, name)) {
		nlmsg_free(msg);
		msg = NULL;
	}
	if (!reply) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	rc = request(n, msg, reply);
	if (!rc) {
		rc = parse_link(reply, info);
	}
	free(reply);
	return rc;
}

void
netdev_read_link(struct netdev *n, const char *name, struct netdev_link *link)
{
	/* Behind the head stand three masks of link modes: the kernel says how many words each has. */
	union {
		struct ethtool_link_settings head;
		uint32_t words[sizeof(struct ethtool_link_settings) / 4 + 3 * INT8_MAX];
	} settings = {.head.cmd = ETHTOOL_GLINKSETTINGS};
	struct ifreq request = {.ifr_data = (void *)&settings};

	memset(link, 0, sizeof *link);
	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
	if (ioctl(n->fd, SIOCETHTOOL, &request) || settings.head.link_mode_masks_nwords >= 0) {
		return;
	}
	settings.head.cmd = ETHTOOL_GLINKSETTINGS;
	settings.head.link_mode_masks_nwords = (int8_t)-settings.head.link_mode_masks_nwords;
	if (ioctl(n->fd, SIOCETHTOOL, &request) || settings.head.link_mode_masks_nwords <= 0) {
		return;
	}
	link->speed_mbps = settings.head.speed == (uint32_t)SPEED_UNKNOWN ? 0 : settings.head.speed;
	link->is_copper = settings.head.port == PORT_TP;
	link->is_fibre = settings.head.port == PORT_FIBRE;
}

/* The part of the message that describes the pair. */
static bool
put_pair(struct nl_msg *msg, const struct netdev *peer, const char *peer_name, uint32_t mtu)
{
	struct ifinfomsg head = {.ifi_family = AF_UNSPEC};
	struct nlattr *info = nla_nest_start(msg, IFLA_LINKINFO), *data, *other;

	if (!info || nla_put_string(msg, IFLA_INFO_KIND, "veth")) {
		return false;
	}
	data = nla_nest_start(msg, IFLA_INFO_DATA);
	other = data ? nla_nest_start(msg, VETH_INFO_PEER) : NULL;
	if (!other || nlmsg_append(msg, &head, sizeof head, NLMSG_ALIGNTO) ||
		nla_put_string(msg, IFLA_IFNAME, peer_name) ||
		(mtu && nla_put_u32(msg, IFLA_MTU, mtu)) ||
		(peer->ns_fd >= 0 && nla_put_u32(msg, IFLA_NET_NS_FD, (uint32_t)peer->ns_fd))) {
		return false;
	}
	nla_nest_end(msg, other);
	nla_nest_end(msg, data);
	nla_nest_end(msg, info);
	return true;
}

int
netdev_make_veth(struct netdev *n, const char *name, const struct netdev *peer,
	const char *peer_name, uint32_t mtu)
{
	struct nl_msg *msg = link_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, 0, 0);

	if (msg && (nla_put_string(msg, IFLA_IFNAME, name) ||
			   (mtu && nla_put_u32(msg, IFLA_MTU, mtu)) ||
			   !put_pair(msg, peer, peer_name, mtu))) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return request(n, msg, NULL);
}

/* A kernel without IPv6 refuses this, and needs it not. */
static void
turn_ipv6_off(struct netdev *n, uint32_t ifindex)
{
	struct nl_msg *msg = link_message(RTM_SETLINK, 0, ifindex, 0, 0);
	struct nlattr *spec = msg ? nla_nest_start(msg, IFLA_AF_SPEC) : NULL;
	struct nlattr *inet6 = spec ? nla_nest_start(msg, AF_INET6) : NULL;

	if (!inet6 || nla_put_u8(msg, IFLA_INET6_ADDR_GEN_MODE, ADDR_GEN_NONE)) {
		nlmsg_free(msg);
		return;
	}
	nla_nest_end(msg, inet6);
	nla_nest_end(msg, spec);
	(void)request(n, msg, NULL);
}

int
netdev_change(struct netdev *n, uint32_t ifindex, const struct netdev_change *change)
{
	unsigned flags =
		(change->state == NETDEV_UP ? IFF_UP : 0) | (change->no_arp ? IFF_NOARP : 0);
	unsigned mask =
		(change->state != NETDEV_KEEP ? IFF_UP : 0) | (change->no_arp ? IFF_NOARP : 0);
	struct nl_msg *msg;

	if (change->no_ipv6) {
		turn_ipv6_off(n, ifindex);
	}
	msg = link_message(RTM_SETLINK, 0, ifindex, flags, mask);
	if (msg && ((change->alias && nla_put_string(msg, IFLA_IFALIAS, change->alias)) ||
			   (change->mtu && nla_put_u32(msg, IFLA_MTU, change->mtu)))) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return request(n, msg, NULL);
}

int
netdev_delete(struct netdev *n, uint32_t ifindex)
{
	return request(n, link_message(RTM_DELLINK, 0, ifindex, 0, 0), NULL);
}

/* --- addresses -------------------------------------------------------------------------------------------- */

struct address {
	uint8_t family, prefix;
	uint8_t len;
	uint8_t bytes[16];
};

/* Reads the address at *@at and moves on behind its comma. */
static bool
next_address(const char **at, struct address *a)
{
	size_t len = strcspn(*at, ",");
	char text[64], *slash, *end;
	unsigned long prefix;

	if (!len || len >= sizeof text) {
		return false;
	}
	memcpy(text, *at, len);
	text[len] = '\0';
	*at += len + ((*at)[len] == ',');
	slash = strchr(text, '/');
	if (!slash) {
		return false;
	}
	*slash++ = '\0';
	a->family = strchr(text, ':') ? AF_INET6 : AF_INET;
	a->len = a->family == AF_INET6 ? 16 : 4;
	prefix = strtoul(slash, &end, 10);
	a->prefix = (uint8_t)prefix;
	return slash[0] >= '0' && slash[0] <= '9' && !*end && prefix <= a->len * 8u &&
	       inet_pton(a->family, text, a->bytes) == 1;
}

bool
netdev_check_addresses(const char *text, struct weft_error *err)
{
	const char *at = text;
	struct address a;

	do {
		if (!next_address(&at, &a)) {
			return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
				"ip takes ADDRESS/PREFIX[,..] as 10.0.0.1/24, not \"%s\"", text);
		}
	} while (*at);
	return true;
}

static int
add_address(struct netdev *n, uint32_t ifindex, const struct address *a)
{
	struct ifaddrmsg head = {.ifa_family = a->family,
		.ifa_prefixlen = a->prefix,
		.ifa_index = ifindex,
		.ifa_flags = a->family == AF_INET6 ? IFA_F_NODAD : 0};
	struct nl_msg *msg =
		nlmsg_alloc_simple(RTM_NEWADDR, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE);
	uint8_t broadcast[16];

	memcpy(broadcast, a->bytes, a->len);
	for (unsigned bit = a->prefix; a->family == AF_INET && bit < 32; bit++) {
		broadcast[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
	}
	if (msg && (nlmsg_append(msg, &head, sizeof head, NLMSG_ALIGNTO) ||
			   nla_put(msg, IFA_LOCAL, a->len, a->bytes) ||
			   nla_put(msg, IFA_ADDRESS, a->len, a->bytes) ||
			   (a->family == AF_INET && a->prefix < 31 &&
				   nla_put(msg, IFA_BROADCAST, 4, broadcast)))) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return request(n, msg, NULL);
}

int
netdev_add_addresses(struct netdev *n, uint32_t ifindex, const char *text)
{
	const char *at = text;
	struct address a;

	do {
		int rc = next_address(&at, &a) ? add_address(n, ifindex, &a) : -EINVAL;

		if (rc && rc != -EEXIST) {
			return rc;
		}
	} while (*at);
	return 0;
}

/* --- news --------------------------------------------------------------------------------------------------- */

int
netdev_open_news(void)
{
	struct sockaddr_nl groups = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&groups, sizeof groups)) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	return fd < 0 ? -errno : fd;
}

int
netdev_read_news(int fd,
	void (*visit)(uint32_t ifindex, const struct netdev_info *info, void *user), void *user)
{
	char buffer[REPLY_SIZE] __attribute__((aligned(8)));
	bool lost = false;
	ssize_t got;

	while ((got = recv(fd, buffer, sizeof buffer, 0)) > 0 || (got < 0 && errno != EAGAIN)) {
		struct nlmsghdr *m = (struct nlmsghdr *)(void *)buffer;
		int left = (int)got;

		lost |= got < 0 && errno == ENOBUFS;
		if (got < 0 && errno != ENOBUFS && errno != EINTR) {
			break;
		}
		for (; left > 0 && nlmsg_ok(m, left); m = nlmsg_next(m, &left)) {
			struct netdev_info info;

			if (m->nlmsg_type == RTM_DELLINK) {
				visit((uint32_t)((struct ifinfomsg *)NLMSG_DATA(m))->ifi_index,
					NULL, user);
			} else if (!parse_link(m, &info)) {
				visit(info.ifindex, &info, user);
			}
		}
	}
	return lost ? -ENOBUFS : 0;
}

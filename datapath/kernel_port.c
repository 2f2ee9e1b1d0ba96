/* SPDX-License-Identifier: Apache-2.0
 *
 * Port types veth, internal and af-packet: kernel devices by packet sockets of our own.
 *
 * What:     one AF_PACKET socket a device with PACKET_VNET_HDR (checksum and segmentation state) and
 *           PACKET_AUXDATA (the outer VLAN tag that the kernel takes off, with its TPID). recvmmsg()
 *           and sendmmsg() carry a burst each.
 * internal: a veth pair too: the host's end has the port's name, ours a name made from run directory
 *           and port.
 * Why:      DPDK 22.11's af_packet driver loses the TPID of 802.1ad, checksum and segmentation
 *           state, link changes, and frames over 2048 bytes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <rte_mbuf.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "datapath/netdev.h"
#include "datapath/port_provider.h"
#include "datapath/providers.h"
#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "lib/drop_reason.h"
#include "lib/error.h"
#include "lib/hash.h"
#include "vhost/packet_mbuf.h"

#define BURST 32u
#define OVERFLOW_SIZE 65600u /* of a frame beyond its first buffer */
#define MAX_SEGMENTS 48u
#define SOCKET_BUFFER (4 << 20)
#define TAG_SIZE 4u

/* One place of a receive burst. */
struct rx_slot {
	struct rte_mbuf *m; /* waits for a frame */
	struct virtio_net_hdr vnet;
	struct iovec parts[3];
	union {
		struct cmsghdr align;
		char bytes[64]; /* CMSG_SPACE of the auxiliary data */
	} control;
	uint8_t *overflow;
};

struct port_dev {
	struct port *port;
	struct rte_mempool *pool;
	int fd;
	uint16_t number;
	char ifname[NETDEV_NAME_MAX + 1]; /* our end */
	char alias[256];  /* of devices that we made; empty: not ours */
	char words[96];   /* for status */
	uint8_t mac[6];
	int ifindex;
	_Atomic bool running, exists; /* by the liveness thread */
	_Atomic uint32_t mtu;
	struct netdev_watch *watch;
	struct rx_slot rx[BURST];
	struct mmsghdr rx_messages[BURST];
	_Atomic uint64_t rx_missed;
};

static const struct port_option_spec veth_options[] = {
	{"netns", PORT_OPT_TEXT, 0, 0, NULL, false, false, "namespace of the other end (ours)"},
	{"ifname", PORT_OPT_TEXT, 0, 0, NULL, false, false, "name of the other end (NAME-p)"},
	{"ip", PORT_OPT_TEXT, 0, 0, NULL, false, false, "its addresses, ADDRESS/LENGTH[,..]"},
	{"mtu", PORT_OPT_UINT, 68, 65535, NULL, false, true, "of both ends"},
	{NULL, PORT_OPT_TEXT, 0, 0, NULL, false, false, NULL},
};

static const struct port_option_spec internal_options[] = {
	{"netns", PORT_OPT_TEXT, 0, 0, NULL, false, false, "namespace of the device (ours)"},
	{"ip", PORT_OPT_TEXT, 0, 0, NULL, false, false, "its addresses, ADDRESS/LENGTH[,..]"},
	{"mtu", PORT_OPT_UINT, 68, 65535, NULL, false, true, "of the device"},
	{NULL, PORT_OPT_TEXT, 0, 0, NULL, false, false, NULL},
};

static const struct port_option_spec af_packet_options[] = {
	{"ifname", PORT_OPT_TEXT, 0, 0, NULL, true, false, "an existing network device"},
	{NULL, PORT_OPT_TEXT, 0, 0, NULL, false, false, NULL},
};

/* --- open, close ------------------------------------------------------------------------------------------------ */

static bool
set_socket_option(int fd, int level, int option, int value)
{
	return !setsockopt(fd, level, option, &value, sizeof value);
}

static bool
open_socket(struct port_dev *dev, struct weft_error *err)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = dev->ifindex,
	};
	struct packet_mreq promiscuous = {.mr_ifindex = dev->ifindex, .mr_type = PACKET_MR_PROMISC};

	/* Protocol 0 until it is bound: nothing of other devices gets in. */
	dev->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (dev->fd < 0) {
		return weft_error_set(err, WEFT_ERR_SYSTEM, errno, "cannot open a packet socket: %s%s",
			strerror(errno), errno == EPERM ? "; weft-datapath needs CAP_NET_RAW" : "");
	}
	if (!set_socket_option(dev->fd, SOL_PACKET, PACKET_VNET_HDR, 1) ||
		!set_socket_option(dev->fd, SOL_PACKET, PACKET_AUXDATA, 1) ||
		!set_socket_option(dev->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1) ||
		setsockopt(dev->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous,
			sizeof promiscuous) ||
		bind(dev->fd, (struct sockaddr *)&address, sizeof address)) {
		return weft_error_set(err, WEFT_ERR_SYSTEM, errno, "cannot attach to device %s: %s",
			dev->ifname, strerror(errno));
	}
	/* Larger than the system's limit if we may. */
	if (!set_socket_option(dev->fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER)) {
		set_socket_option(dev->fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER);
	}
	if (!set_socket_option(dev->fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BUFFER)) {
		set_socket_option(dev->fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER);
	}
	return true;
}

static void
kernel_close(struct port_dev *dev)
{
	netdev_unwatch(dev->watch);
	if (dev->fd >= 0) {
		close(dev->fd);
	}
	if (dev->alias[0]) {
		netdev_remove(dev->ifname, dev->alias);
	}
	for (unsigned i = 0; i < BURST; i++) {
		rte_pktmbuf_free(dev->rx[i].m);
		free(dev->rx[i].overflow);
	}
	free(dev);
}

/* On the liveness thread. */
static void
device_changed(void *user, bool exists, bool running, uint32_t mtu)
{
	struct port_dev *dev = user;
	bool news = running != dev->running || exists != dev->exists || (mtu && mtu != dev->mtu);

	dev->exists = exists;
	dev->running = running;
	dev->mtu = mtu ? mtu : dev->mtu;
	if (news) {
		port_core_event(dev->port, exists ? PORT_EVENT_STATUS : PORT_EVENT_GONE);
	}
}

static struct port_dev *
dev_create(const struct port_config *config, const char *ifname)
{
	struct port_dev *dev = xcalloc(1, sizeof *dev);

	dev->port = config->port;
	dev->pool = config->pool;
	dev->number = config->number;
	dev->fd = -1;
	snprintf(dev->ifname, sizeof dev->ifname, "%s", ifname);
	for (unsigned i = 0; i < BURST; i++) {
		dev->rx[i].overflow = xmalloc(OVERFLOW_SIZE);
	}
	return dev;
}

/* The device exists: attaches to it. Consumes @dev when it fails. */
static struct port_dev *
attach(struct port_dev *dev, struct weft_error *err)
{
	struct netdev_info info;

	if (!netdev_query(dev->ifname, &info, err)) {
		goto fail;
	}
	dev->ifindex = info.ifindex;
	memcpy(dev->mac, info.mac, sizeof dev->mac);
	dev->mtu = info.mtu;
	dev->exists = true;
	dev->running = info.running;
	if (!open_socket(dev, err)) {
		goto fail;
	}
	dev->watch = netdev_watch(info.ifindex, device_changed, dev);
	/* A change between the query and the watch would have been missed. */
	if (dev->watch && netdev_query(dev->ifname, &info, NULL)) {
		dev->running = info.running;
	}
	return dev;

fail:
	kernel_close(dev);
	return NULL;
}

static bool
check_name(const char *what, const char *name, struct weft_error *err)
{
	if (strlen(name) > NETDEV_NAME_MAX || !*name || strpbrk(name, "/ \t")) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"%s \"%s\" is no name of a kernel device (up to %d characters, no / or space)", what,
			name, NETDEV_NAME_MAX);
	}
	return true;
}

static const char *
option(const struct port_config *c, const char *key)
{
	return port_option_find(c->options, c->n_options, key);
}

/* A veth pair of our making: @ours here, @peer where the options say. */
static struct port_dev *
open_pair(const struct port_config *config, const char *ours, const char *peer, struct weft_error *err)
{
	const char *mtu = option(config, "mtu"), *netns = option(config, "netns");
	struct port_dev *dev = dev_create(config, ours);
	char alias[sizeof dev->alias];

	/* The kernel keeps 255 characters. */
	snprintf(alias, sizeof alias, "weft:%.180s:%s", config->rundir, config->name);
	if (!netdev_make_veth(ours, alias, peer, netns, option(config, "ip"),
		    mtu ? (uint32_t)strtoul(mtu, NULL, 10) : 0, err)) {
		kernel_close(dev);
		return NULL;
	}
	memcpy(dev->alias, alias, sizeof alias);
	snprintf(dev->words, sizeof dev->words, "%s%s%s", peer, netns ? " in " : "", netns ? netns : "");
	return attach(dev, err);
}

static struct port_dev *
veth_open(const struct port_config *config, struct weft_error *err)
{
	const char *ifname = option(config, "ifname");
	char peer[80];

	snprintf(peer, sizeof peer, "%s%s", ifname ? ifname : config->name, ifname ? "" : "-p");
	if (!check_name("port", config->name, err) || !check_name("ifname", peer, err)) {
		return NULL;
	}
	return open_pair(config, config->name, peer, err);
}

static struct port_dev *
internal_open(const struct port_config *config, struct weft_error *err)
{
	char ours[NETDEV_NAME_MAX + 1];

	if (!check_name("port", config->name, err)) {
		return NULL;
	}
	snprintf(ours, sizeof ours, "wf%08x", hash_text(config->name, hash_text(config->rundir, 0)));
	return open_pair(config, ours, config->name, err);
}

static struct port_dev *
af_packet_open(const struct port_config *config, struct weft_error *err)
{
	const char *ifname = option(config, "ifname");
	struct port_dev *dev;

	if (!check_name("ifname", ifname, err)) {
		return NULL;
	}
	dev = dev_create(config, ifname);
	snprintf(dev->words, sizeof dev->words, "%s", ifname);
	return attach(dev, err);
}

static bool
kernel_set(struct port_dev *dev, const struct port_option *options, size_t n, struct weft_error *err)
{
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(options[i].key, "mtu") &&
			!netdev_set_mtu(dev->ifname, (uint32_t)strtoul(options[i].value, NULL, 10), err)) {
			return false;
		}
	}
	return true;
}

/* The far end of a pair of ours loses its carrier with our end. */
static void
kernel_set_admin(struct port_dev *dev, bool up)
{
	if (dev->alias[0]) {
		struct weft_error err = WEFT_ERROR_INIT;

		if (!netdev_set_up(dev->ifname, up, &err)) {
			dev->exists = false;
		}
	}
}

static void
kernel_status(struct port_dev *dev, struct port_status *status)
{
	*status = (struct port_status){
		.link_up = dev->running,
		.mtu = dev->mtu,
		.speed_mbps = 10000,
		.n_rxq = 1,
		.n_txq = 1,
		.ifindex = (uint32_t)dev->ifindex,
	};
	memcpy(status->mac, dev->mac, sizeof status->mac);
	snprintf(status->peer, sizeof status->peer, "%s%s", dev->words, dev->exists ? "" : " (device is gone)");
}

static void
kernel_stats(struct port_dev *dev, struct port_dev_stats *stats)
{
	struct tpacket_stats packets;
	socklen_t size = sizeof packets;

	/* Reading resets the kernel's count. */
	if (!getsockopt(dev->fd, SOL_PACKET, PACKET_STATISTICS, &packets, &size)) {
		atomic_fetch_add(&dev->rx_missed, packets.tp_drops);
	}
	stats->rx_missed = dev->rx_missed;
}

/* --- receive ---------------------------------------------------------------------------------------------------- */

/* Makes every slot ready. Returns how many from the start are. */
static unsigned
refill(struct port_dev *dev, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct rx_slot *slot = &dev->rx[i];
		struct msghdr *message = &dev->rx_messages[i].msg_hdr;

		if (!slot->m && !(slot->m = rte_pktmbuf_alloc(dev->pool))) {
			return i;
		}
		slot->parts[0] = (struct iovec){&slot->vnet, sizeof slot->vnet};
		slot->parts[1] = (struct iovec){rte_pktmbuf_mtod(slot->m, void *), rte_pktmbuf_tailroom(slot->m)};
		slot->parts[2] = (struct iovec){slot->overflow, OVERFLOW_SIZE};
		*message = (struct msghdr){
			.msg_iov = slot->parts,
			.msg_iovlen = 3,
			.msg_control = &slot->control,
			.msg_controllen = sizeof slot->control,
		};
	}
	return n;
}

/* Chains buffers for what did not fit in the first. */
static bool
append_overflow(struct port_dev *dev, struct rte_mbuf *m, const uint8_t *data, uint32_t len)
{
	struct rte_mbuf *last = m;

	while (len) {
		struct rte_mbuf *more = rte_pktmbuf_alloc(dev->pool);
		uint16_t n;

		if (!more) {
			return false;
		}
		more->data_off = 0;
		n = (uint16_t)WEFT_MIN(len, (uint32_t)more->buf_len);
		memcpy(rte_pktmbuf_mtod(more, void *), data, n);
		more->data_len = n;
		last->next = more;
		last = more;
		m->nb_segs++;
		m->pkt_len += n;
		data += n;
		len -= n;
	}
	return true;
}

/* The tag that the kernel took off, or false. */
static bool
outer_tag(struct msghdr *message, uint16_t *tpid, uint16_t *tci)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		struct tpacket_auxdata aux;

		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA) {
			continue;
		}
		memcpy(&aux, CMSG_DATA(c), sizeof aux);
		if (aux.tp_status & TP_STATUS_VLAN_VALID) {
			*tci = aux.tp_vlan_tci;
			*tpid = aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid : ETH_P_8021Q;
			return true;
		}
	}
	return false;
}

/* The headroom of a fresh buffer has room for it. */
static void
restore_tag(struct rte_mbuf *m, uint16_t tpid, uint16_t tci)
{
	uint8_t *front = (uint8_t *)rte_pktmbuf_prepend(m, TAG_SIZE);

	if (!front) {
		return;
	}
	memmove(front, front + TAG_SIZE, 12);
	put_be16(front + 12, tpid);
	put_be16(front + 14, tci);
}

static void
take_offloads(struct packet *p, const struct virtio_net_hdr *vnet, unsigned shift)
{
	if (vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		p->flags |= PACKET_CSUM_PARTIAL;
		p->csum_start = (uint16_t)(vnet->csum_start + shift);
		p->csum_offset = vnet->csum_offset;
	} else if (vnet->flags & VIRTIO_NET_HDR_F_DATA_VALID) {
		p->flags |= PACKET_CSUM_VALID;
	}
	switch (vnet->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		p->flags |= PACKET_GSO_TCP4;
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		p->flags |= PACKET_GSO_TCP6;
		break;
	case 5: /* VIRTIO_NET_HDR_GSO_UDP_L4 (VIRTIO 1.2 s.5.1.6) */
		p->flags |= PACKET_GSO_UDP;
		break;
	default:
		return;
	}
	p->gso_size = vnet->gso_size;
	p->flags |= vnet->gso_type & VIRTIO_NET_HDR_GSO_ECN ? PACKET_GSO_ECN : 0;
}

/* Makes a packet of a filled slot; NULL: lost and counted. */
static struct packet *
take_frame(struct port_dev *dev, struct rx_slot *slot, struct mmsghdr *message)
{
	struct rte_mbuf *m = slot->m;
	uint32_t len = message->msg_len, first;
	uint16_t tpid, tci;
	struct packet *p;
	unsigned shift = 0;

	slot->m = NULL;
	if (len < sizeof slot->vnet || message->msg_hdr.msg_flags & MSG_TRUNC) {
		rte_pktmbuf_free(m);
		port_core_rx_drop(dev->port, DROP_RX_TOO_LONG, 1);
		return NULL;
	}
	len -= (uint32_t)sizeof slot->vnet;
	first = WEFT_MIN(len, (uint32_t)rte_pktmbuf_tailroom(m));
	m->data_len = (uint16_t)first;
	m->pkt_len = first;
	if (!append_overflow(dev, m, slot->overflow, len - first)) {
		rte_pktmbuf_free(m);
		port_core_rx_drop(dev->port, DROP_RX_NO_BUFFER, 1);
		return NULL;
	}
	if (len >= 12 && outer_tag(&message->msg_hdr, &tpid, &tci)) {
		restore_tag(m, tpid, tci);
		shift = TAG_SIZE;
	}
	p = packet_of_mbuf(m);
	packet_init_from_mbuf(p, m, dev->number, 0);
	take_offloads(p, &slot->vnet, shift);
	return p;
}

static uint16_t
kernel_rx(struct port_dev *dev, uint16_t queue, struct packet **pkts, uint16_t n)
{
	unsigned ready = refill(dev, WEFT_MIN((unsigned)n, BURST));
	uint16_t kept = 0;
	int got;

	(void)queue;
	got = ready ? recvmmsg(dev->fd, dev->rx_messages, ready, MSG_DONTWAIT, NULL) : 0;
	for (int i = 0; i < got; i++) {
		struct packet *p = take_frame(dev, &dev->rx[i], &dev->rx_messages[i]);

		if (p) {
			pkts[kept++] = p;
		}
	}
	return kept;
}

static int
kernel_rx_sleep(struct port_dev *dev, uint16_t queue)
{
	(void)queue;
	return dev->exists ? dev->fd : -ENODEV;
}

/* --- send --------------------------------------------------------------------------------------------------------- */

static void
put_offloads(const struct packet *p, struct virtio_net_hdr *vnet)
{
	*vnet = (struct virtio_net_hdr){0};
	if (p->flags & PACKET_CSUM_PARTIAL) {
		vnet->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		vnet->csum_start = p->csum_start;
		vnet->csum_offset = p->csum_offset;
	} else if (p->flags & PACKET_CSUM_VALID) {
		vnet->flags = VIRTIO_NET_HDR_F_DATA_VALID;
	}
	if (!(p->flags & PACKET_GSO_MASK)) {
		return;
	}
	vnet->gso_type = p->flags & PACKET_GSO_TCP4 ? VIRTIO_NET_HDR_GSO_TCPV4
		: p->flags & PACKET_GSO_TCP6       ? VIRTIO_NET_HDR_GSO_TCPV6
						   : 5;
	vnet->gso_type |= p->flags & PACKET_GSO_ECN ? VIRTIO_NET_HDR_GSO_ECN : 0;
	vnet->gso_size = p->gso_size;
	/* The headers end with L4's: a hint for the kernel's linear part. */
	vnet->hdr_len = (uint16_t)WEFT_MIN((uint32_t)p->csum_start + 60, p->head_len);
}

/* Iovecs of a packet; 0: too many segments. */
static unsigned
put_parts(const struct packet *p, struct virtio_net_hdr *vnet, struct iovec *parts)
{
	unsigned n = 1;

	parts[0] = (struct iovec){vnet, sizeof *vnet};
	for (struct rte_mbuf *m = packet_mbuf(p); m; m = m->next) {
		if (n == MAX_SEGMENTS + 1) {
			return 0;
		}
		parts[n++] = (struct iovec){rte_pktmbuf_mtod(m, void *), m->data_len};
	}
	return n;
}

static enum drop_reason
reason_of(int error)
{
	switch (error) {
	case EMSGSIZE:
		return DROP_TX_TOO_LONG;
	case ENETDOWN:
	case ENXIO:
	case ENODEV:
		return DROP_TX_DOWN;
	case EINVAL:
		return DROP_TX_OFFLOAD;
	default:
		return DROP_TX_ERROR;
	}
}

static uint16_t
kernel_tx(struct port_dev *dev, uint16_t queue, struct packet **pkts, uint16_t n)
{
	struct virtio_net_hdr vnet[BURST];
	struct iovec parts[BURST][MAX_SEGMENTS + 1];
	struct mmsghdr messages[BURST];
	uint16_t done = 0;

	(void)queue;
	n = WEFT_MIN(n, (uint16_t)BURST);
	for (uint16_t i = 0; i < n; i++) {
		unsigned n_parts;

		put_offloads(pkts[i], &vnet[i]);
		n_parts = put_parts(pkts[i], &vnet[i], parts[i]);
		messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = parts[i], .msg_iovlen = n_parts}};
	}
	while (done < n) {
		int sent = sendmmsg(dev->fd, messages + done, n - done, MSG_DONTWAIT);

		if (sent > 0) {
			done = (uint16_t)(done + sent);
			continue;
		}
		if (errno == EAGAIN || errno == ENOBUFS) {
			break;
		}
		if (errno != EINTR) {
			/* The first of the rest can't be sent, now or ever. */
			port_core_tx_drop(dev->port, reason_of(errno), 1);
			done++;
		}
	}
	for (uint16_t i = 0; i < done; i++) {
		rte_pktmbuf_free(packet_mbuf(pkts[i]));
	}
	return done;
}

#define KERNEL_PROVIDER(TYPE, HELP, OPTIONS, OPEN) \
	{ \
		.type = TYPE, .help = HELP, .options = OPTIONS, .open = OPEN, .close = kernel_close, \
		.set = kernel_set, .set_admin = kernel_set_admin, .status = kernel_status, \
		.stats = kernel_stats, .rx = kernel_rx, .tx = kernel_tx, .rx_sleep = kernel_rx_sleep, \
	}

const struct port_provider veth_provider =
	KERNEL_PROVIDER("veth", "a veth pair, one end in a namespace", veth_options, veth_open);
const struct port_provider internal_provider =
	KERNEL_PROVIDER("internal", "a device of the host with the port's name", internal_options,
		internal_open);
const struct port_provider af_packet_provider =
	KERNEL_PROVIDER("af-packet", "an existing network device", af_packet_options, af_packet_open);

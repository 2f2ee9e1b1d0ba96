/* SPDX-License-Identifier: Apache-2.0
 *
 * Port type ethdev: whatever DPDK has a driver for, by its device arguments; and the types that are
 * such a device by another name (ethdev_devargs.c has a row for each).
 *
 * Threads: DPDK's interrupt thread runs the link callback, which only posts an event; liveness asks
 *          drivers that do not interrupt.
 */
#include <errno.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/ethdev_devargs.h"
#include "datapath/liveness.h"
#include "datapath/offload.h"
#include "datapath/port_provider.h"
#include "datapath/providers.h"
#include "lib/alloc.h"
#include "lib/drop_reason.h"
#include "lib/error.h"
#include "lib/log.h"
#include "lib/strbuf.h"
#include "vhost/packet_mbuf.h"

WEFT_LOG_MODULE(ethdev_port);

#define RING_SIZE 1024u
#define MAX_BURST 256u
#define MAX_QUEUES 16u
#define NO_ETHDEV RTE_MAX_ETHPORTS

struct port_dev {
	struct port *port;
	struct rte_mempool *pool;
	char *devargs;
	char *peer;  /* as listings show it */
	uint16_t id; /* DPDK's; NO_ETHDEV: none */
	uint16_t in_port;
	uint16_t n_queues;
	uint16_t mtu;            /* wanted; 0: the device's own */
	_Atomic bool is_stopped; /* administratively; a device that would lose nothing waits */
	const struct ethdev_kind *kind;
	bool is_started, has_callbacks;
	bool takes_chains; /* tx of several segments */
	bool has_interrupts;
	int rx_fds[MAX_QUEUES];
	_Atomic bool is_up; /* link */
	_Atomic bool is_gone;
	struct liveness_watch *watch;
	struct rte_eth_dev_owner owner;
};

/* --- link --------------------------------------------------------------------------------------------------- */

static int
on_ethdev_event(uint16_t id, enum rte_eth_event_type type, void *user, void *ignored)
{
	struct port_dev *dev = user;
	struct rte_eth_link link = {0};

	(void)ignored;
	if (type == RTE_ETH_EVENT_INTR_RMV) {
		atomic_store(&dev->is_up, false);
		atomic_store(&dev->is_gone, true);
		port_core_event(dev->port, PORT_EVENT_GONE);
		return 0;
	}
	rte_eth_link_get_nowait(id, &link);
	atomic_store(&dev->is_up, link.link_status);
	port_core_event(dev->port, PORT_EVENT_STATUS);
	return 0;
}

static bool
ask_link(void *user)
{
	struct port_dev *dev = user;
	struct rte_eth_link link = {0};

	return !rte_eth_link_get_nowait(dev->id, &link) && link.link_status;
}

static void
link_news(enum liveness_news news, void *user)
{
	struct port_dev *dev = user;

	atomic_store(&dev->is_up, news == LIVENESS_UP);
	port_core_event(dev->port, PORT_EVENT_STATUS);
}

/* --- open --------------------------------------------------------------------------------------------------- */

static const char *
problem(int rc)
{
	switch (rc) {
	case -EFAULT: /* no bus knows such a name */
		return "unknown driver";
	case -1: /* from drivers that name no cause */
		return "its driver refuses, see the log of weft-datapath";
	default:
		return rte_strerror(-rc);
	}
}

static bool
refuse(const struct port_dev *dev, int rc, const char *what, struct weft_error *err)
{
	return weft_error_set(err, WEFT_ERR_SYSTEM, -rc, "cannot %s device \"%s\": %s", what,
		dev->devargs, problem(rc));
}

static uint16_t
find_ethdev(const char *devargs)
{
	struct rte_dev_iterator iterator;
	uint16_t id, found = NO_ETHDEV;

	RTE_ETH_FOREACH_MATCHING_DEV(id, devargs, &iterator)
	{
		found = id;
		rte_eth_iterator_cleanup(&iterator);
		break;
	}
	return found;
}

/* Finds the device, or makes DPDK find it, and claims it. */
static bool
claim(struct port_dev *dev, const char *name, struct weft_error *err)
{
	struct rte_eth_dev_owner owner;
	uint16_t id;
	int rc;

	id = find_ethdev(dev->devargs);
	if (id != NO_ETHDEV && !rte_eth_dev_owner_get(id, &owner) &&
		owner.id != RTE_ETH_DEV_NO_OWNER) {
		return weft_error_set(err, WEFT_ERR_CONFLICT, EBUSY,
			"device \"%s\" belongs to another port already (%s)", dev->devargs,
			owner.name);
	}
	if (id == NO_ETHDEV) {
		rc = rte_dev_probe(dev->devargs);
		if (rc) {
			return weft_error_set(err, WEFT_ERR_INVALID, -rc,
				"DPDK cannot open devargs=\"%s\": %s; it takes NAME,KEY=VALUE.. as of "
				"DPDK's drivers (net_tap0,iface=t0) or the address of a PCI device that "
				"is bound to vfio-pci",
				dev->devargs, problem(rc));
		}
		id = find_ethdev(dev->devargs);
	}
	if (id == NO_ETHDEV) {
		dev->devargs[strcspn(dev->devargs, ",")] = '\0';
		(void)rte_eal_hotplug_remove("vdev", dev->devargs);
		return weft_error_set(
			err, WEFT_ERR_INVALID, ENODEV, "\"%s\" is no network device", dev->devargs);
	}
	dev->id = id;
	rc = rte_eth_dev_owner_new(&dev->owner.id);
	snprintf(dev->owner.name, sizeof dev->owner.name, "%.60s", name);
	rc = rc ? rc : rte_eth_dev_owner_set(id, &dev->owner);
	return !rc || refuse(dev, rc, "claim", err);
}

static int
set_up_queues(struct port_dev *dev, const struct rte_eth_dev_info *info)
{
	uint16_t n_rx = RING_SIZE, n_tx = RING_SIZE;
	int socket = rte_eth_dev_socket_id(dev->id), rc;

	rc = rte_eth_dev_adjust_nb_rx_tx_desc(dev->id, &n_rx, &n_tx);
	for (uint16_t q = 0; !rc && q < dev->n_queues; q++) {
		struct rte_eth_txconf tx = info->default_txconf;

		tx.offloads = dev->takes_chains ? RTE_ETH_TX_OFFLOAD_MULTI_SEGS : 0;
		rc = rte_eth_rx_queue_setup(dev->id, q, n_rx, (unsigned)socket, NULL, dev->pool);
		rc = rc ? rc : rte_eth_tx_queue_setup(dev->id, q, n_tx, (unsigned)socket, &tx);
	}
	return rc;
}

static int
start(struct port_dev *dev, const struct rte_eth_dev_info *info, bool interrupts)
{
	struct rte_eth_conf conf = {0};
	int rc;

	conf.rxmode.mtu = dev->mtu;
	if (dev->mtu + PORT_LINK_HEADER_LEN + RTE_PKTMBUF_HEADROOM >
		rte_pktmbuf_data_room_size(dev->pool)) {
		conf.rxmode.offloads = info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER;
	}
	conf.intr_conf.lsc = !!(*info->dev_flags & RTE_ETH_DEV_INTR_LSC);
	conf.intr_conf.rmv = !!(*info->dev_flags & RTE_ETH_DEV_INTR_RMV);
	conf.intr_conf.rxq = interrupts;
	conf.txmode.offloads = dev->takes_chains ? RTE_ETH_TX_OFFLOAD_MULTI_SEGS : 0;
	rc = rte_eth_dev_configure(dev->id, dev->n_queues, dev->n_queues, &conf);
	rc = rc ? rc : set_up_queues(dev, info);
	rc = rc ? rc : rte_eth_dev_start(dev->id);
	dev->is_started = !rc;
	return rc;
}

/* Whether every queue has a descriptor that can be waited on. */
static bool
find_descriptors(struct port_dev *dev)
{
	for (uint16_t q = 0; q < dev->n_queues; q++) {
		dev->rx_fds[q] = rte_eth_dev_rx_intr_ctl_q_get_fd(dev->id, q);
		if (dev->rx_fds[q] < 0) {
			return false;
		}
	}
	return true;
}

static bool
check_mtu(const struct port_dev *dev, uint16_t mtu, struct weft_error *err)
{
	struct rte_eth_dev_info info;
	uint16_t max;

	if (!mtu || rte_eth_dev_info_get(dev->id, &info)) {
		return true;
	}
	max = info.max_mtu ? info.max_mtu : UINT16_MAX;
	return (mtu >= info.min_mtu && mtu <= max) ||
	       weft_error_set(err, WEFT_ERR_INVALID, ERANGE,
		       "device \"%s\" takes an mtu from %u to %u, not %u", dev->devargs,
		       info.min_mtu, max, mtu);
}

static bool
start_device(struct port_dev *dev, struct weft_error *err)
{
	struct rte_eth_dev_info info;
	int rc = rte_eth_dev_info_get(dev->id, &info);

	if (rc) {
		return refuse(dev, rc, "ask", err);
	}
	if (!check_mtu(dev, dev->mtu, err)) {
		return false;
	}
	if (dev->n_queues > info.max_rx_queues || dev->n_queues > info.max_tx_queues) {
		return weft_error_set(err, WEFT_ERR_INVALID, ERANGE,
			"device \"%s\" has %u queues, not %u", dev->devargs,
			RTE_MIN(info.max_rx_queues, info.max_tx_queues), dev->n_queues);
	}
	dev->takes_chains = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	/* Wanted, but by far not every driver has them, and some notice only when they start. */
	rc = start(dev, &info, true);
	dev->has_interrupts = !rc && find_descriptors(dev);
	if (rc) {
		rc = start(dev, &info, false);
	}
	if (rc) {
		return refuse(dev, rc, "start", err);
	}
	rc = rte_eth_promiscuous_enable(dev->id);
	if (rc && rc != -ENOTSUP) {
		LOG_WARN("\"%s\": not promiscuous: %s", dev->devargs, rte_strerror(-rc));
	}
	atomic_store(&dev->is_up, ask_link(dev));
	return true;
}

static bool
watch_device(struct port_dev *dev, struct weft_error *err) WEFT_REQUIRES(weft_ports)
{
	struct rte_eth_dev_info info;
	int rc = rte_eth_dev_info_get(dev->id, &info);

	rc = rc ? rc
		: rte_eth_dev_callback_register(
			  dev->id, RTE_ETH_EVENT_INTR_LSC, on_ethdev_event, dev);
	rc = rc ? rc
		: rte_eth_dev_callback_register(
			  dev->id, RTE_ETH_EVENT_INTR_RMV, on_ethdev_event, dev);
	if (rc) {
		return refuse(dev, rc, "watch", err);
	}
	dev->has_callbacks = true;
	if (*info.dev_flags & RTE_ETH_DEV_INTR_LSC) {
		return true;
	}
	dev->watch = liveness_watch_poll(ask_link, link_news, dev, err);
	return dev->watch;
}

/* Stops the ethdev and takes its device out of DPDK, unless that has other ports. */
static void
release(struct port_dev *dev)
{
	struct rte_eth_dev_info info;
	struct rte_device *device;
	uint16_t other;
	int rc;

	device = rte_eth_dev_info_get(dev->id, &info) ? NULL : info.device;
	if (dev->has_callbacks) {
		/* -EAGAIN: it is running just now. */
		while (rte_eth_dev_callback_unregister(
			       dev->id, RTE_ETH_EVENT_INTR_LSC, on_ethdev_event, dev) == -EAGAIN) {
		}
		while (rte_eth_dev_callback_unregister(
			       dev->id, RTE_ETH_EVENT_INTR_RMV, on_ethdev_event, dev) == -EAGAIN) {
		}
	}
	if (dev->is_started) {
		(void)rte_eth_dev_stop(dev->id);
	}
	if (dev->owner.id) {
		(void)rte_eth_dev_owner_unset(dev->id, dev->owner.id);
	}
	(void)rte_eth_dev_close(dev->id);
	RTE_ETH_FOREACH_DEV_OF(other, device)
	{
		return;
	}
	rc = device ? rte_dev_remove(device) : 0;
	if (rc) {
		LOG_WARN("\"%s\": cannot remove the device: %s", dev->devargs, rte_strerror(-rc));
	}
}

static void
ethdev_close(struct port_dev *dev) WEFT_REQUIRES(weft_ports)
{
	liveness_unwatch(dev->watch);
	if (dev->id != NO_ETHDEV) {
		release(dev);
	}
	free(dev->devargs);
	free(dev->peer);
	free(dev);
}

static char *
peer_of(const struct port_config *config, const struct port_dev *dev)
{
	struct strbuf text = STRBUF_INIT;

	if (!dev->kind->peer) {
		return xstrdup(dev->devargs ? dev->devargs : "");
	}
	for (const char *const *key = dev->kind->peer; *key; key++) {
		const char *value = port_option_find(config->options, config->n_options, *key);

		if (value) {
			strbuf_printf(&text, "%s%s=%s", text.len ? " " : "", *key, value);
		}
	}
	return strbuf_take(&text);
}

static struct port_dev *
ethdev_open(const struct port_config *config, struct weft_error *err) WEFT_REQUIRES(weft_ports)
{
	const char *queues = port_option_find(config->options, config->n_options, "queues");
	const char *mtu = port_option_find(config->options, config->n_options, "mtu");
	struct port_dev *dev = xcalloc(1, sizeof *dev);

	dev->port = config->port;
	dev->pool = config->pool;
	dev->kind = ethdev_kind_find(config->type);
	dev->devargs = dev->kind->devargs(config, err);
	dev->peer = peer_of(config, dev);
	dev->id = NO_ETHDEV;
	dev->in_port = config->number;
	dev->n_queues = queues ? (uint16_t)strtoul(queues, NULL, 10) : 1;
	dev->mtu = mtu ? (uint16_t)strtoul(mtu, NULL, 10) : 0;
	if (dev->devargs && claim(dev, config->name, err) && start_device(dev, err) &&
		watch_device(dev, err)) {
		return dev;
	}
	ethdev_close(dev);
	return NULL;
}

/* --- changes and listings ------------------------------------------------------------------------------- */

static bool
ethdev_set(
	struct port_dev *dev, const struct port_option *changes, size_t n, struct weft_error *err)
{
	const char *text = port_option_find(changes, n, "mtu");
	uint16_t mtu = text && *text ? (uint16_t)strtoul(text, NULL, 10) : RTE_ETHER_MTU;
	int rc;

	if (!text) {
		return true;
	}
	if (!check_mtu(dev, mtu, err)) {
		return false;
	}
	rc = rte_eth_dev_set_mtu(dev->id, mtu);
	if (rc == -EBUSY) {
		return weft_error_set(err, WEFT_ERR_INVALID, EBUSY,
			"device \"%s\" cannot change its mtu while it runs; remove the port and add "
			"it anew with mtu=%u",
			dev->devargs, mtu);
	}
	/* What has no MTU of its own is held to it all the same, by the core. */
	if (rc && rc != -ENOTSUP) {
		return refuse(dev, rc, "set the mtu of", err);
	}
	dev->mtu = mtu;
	return true;
}

static void
ethdev_set_admin(struct port_dev *dev, bool up)
{
	int rc = up ? rte_eth_dev_set_link_up(dev->id) : rte_eth_dev_set_link_down(dev->id);

	atomic_store(&dev->is_stopped, !up);
	if (rc && rc != -ENOTSUP) {
		LOG_WARN("\"%s\": cannot take the link %s: %s", dev->devargs, up ? "up" : "down",
			rte_strerror(-rc));
	}
}

static void
ethdev_status(struct port_dev *dev, struct port_status *status)
{
	struct rte_ether_addr mac;
	struct rte_eth_link link = {0};
	uint16_t mtu = 0;

	*status = (struct port_status){.link_up = atomic_load(&dev->is_up),
		.n_rxq = dev->n_queues,
		.n_txq = dev->n_queues};
	snprintf(status->peer, sizeof status->peer, "%.100s%s", dev->peer,
		atomic_load(&dev->is_gone) ? ": the device was removed" : "");
	if (!rte_eth_macaddr_get(dev->id, &mac)) {
		memcpy(status->mac, mac.addr_bytes, sizeof status->mac);
	}
	if (dev->mtu || !rte_eth_dev_get_mtu(dev->id, &mtu)) {
		status->mtu = dev->mtu ? dev->mtu : mtu;
		status->max_len = status->mtu ? status->mtu + PORT_LINK_HEADER_LEN : 0;
	}
	if (!rte_eth_link_get_nowait(dev->id, &link) &&
		link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN) {
		status->speed_mbps = link.link_speed;
	}
}

static bool
ethdev_is_up(struct port_dev *dev)
{
	return atomic_load(&dev->is_up) && !atomic_load(&dev->is_gone);
}

static void
ethdev_stats(struct port_dev *dev, struct port_dev_stats *stats)
{
	struct rte_eth_stats s;

	*stats = (struct port_dev_stats){0};
	if (!rte_eth_stats_get(dev->id, &s)) {
		stats->rx_errors = s.ierrors;
		stats->rx_missed = s.imissed + s.rx_nombuf;
		stats->tx_errors = s.oerrors;
	}
}

/* --- packets ---------------------------------------------------------------------------------------------- */

static uint16_t
ethdev_rx(struct port_dev *dev, uint16_t queue, struct packet **pkts, uint16_t n)
{
	struct rte_mbuf *mbufs[MAX_BURST];
	uint16_t got, kept = 0;

	if (WEFT_UNLIKELY(dev->kind->waits &&
			  atomic_load_explicit(&dev->is_stopped, memory_order_relaxed))) {
		return 0;
	}
	got = rte_eth_rx_burst(dev->id, queue, mbufs, WEFT_MIN(n, (uint16_t)MAX_BURST));

	for (uint16_t i = 0; i < got; i++) {
		struct rte_mbuf *m = mbufs[i];
		struct packet *p;

		if (WEFT_UNLIKELY(m->pkt_len > PACKET_MAX_LEN)) {
			rte_pktmbuf_free(m);
			port_core_rx_drop(dev->port, DROP_RX_TOO_LONG, 1);
			continue;
		}
		if (WEFT_UNLIKELY(m->data_len < RTE_MIN(m->pkt_len, PACKET_HEAD_MIN)) &&
			rte_pktmbuf_linearize(m)) {
			rte_pktmbuf_free(m);
			port_core_rx_drop(dev->port, DROP_RX_NO_BUFFER, 1);
			continue;
		}
		m->ol_flags = 0;
		p = packet_of_mbuf(m);
		packet_init_from_mbuf(p, m, dev->in_port, (uint8_t)queue);
		pkts[kept++] = p;
	}
	return kept;
}

/* Makes a packet fit for the device; a reason: it cannot be. */
static unsigned
make_fit(struct port_dev *dev, struct packet *p)
{
	struct rte_mbuf *m = packet_mbuf(p);

	if (p->flags & PACKET_CSUM_PARTIAL && offload_complete_csum(p)) {
		return DROP_TX_OFFLOAD;
	}
	if (m->nb_segs > 1 && !dev->takes_chains && rte_pktmbuf_linearize(m)) {
		return DROP_TX_TOO_LONG;
	}
	m->ol_flags = 0;
	return DROP_N;
}

/* Cuts a packet and sends the pieces; consumes it. */
static void
tx_segmented(struct port_dev *dev, uint16_t queue, struct packet *p)
{
	struct packet *segments[OFFLOAD_MAX_SEGMENTS];
	struct rte_mbuf *mbufs[OFFLOAD_MAX_SEGMENTS];
	int n = offload_segment(p, dev->pool, segments);
	uint16_t sent = 0;

	for (int i = 0; i < n; i++) {
		mbufs[i] = packet_mbuf(segments[i]);
	}
	while (sent < n) {
		uint16_t more =
			rte_eth_tx_burst(dev->id, queue, mbufs + sent, (uint16_t)(n - sent));

		if (!more) {
			rte_pktmbuf_free_bulk(mbufs + sent, (unsigned)n - sent);
			break;
		}
		sent = (uint16_t)(sent + more);
	}
	if (n < 0 || sent < n) {
		/* Some pieces may have gone out; the packet as a whole is lost. */
		port_core_tx_drop(dev->port, n < 0 ? DROP_TX_OFFLOAD : DROP_TX_FULL, 1);
	}
	rte_pktmbuf_free(packet_mbuf(p));
}

static uint16_t
ethdev_tx(struct port_dev *dev, uint16_t queue, struct packet **pkts, uint16_t n)
{
	struct rte_mbuf *mbufs[MAX_BURST];
	uint16_t done = 0;

	while (done < n && atomic_load_explicit(&dev->is_up, memory_order_relaxed)) {
		unsigned reason = DROP_N;
		uint16_t batch = 0, sent;

		while (batch < MAX_BURST && done + batch < n &&
			!(pkts[done + batch]->flags & PACKET_GSO_MASK)) {
			reason = make_fit(dev, pkts[done + batch]);
			if (reason != DROP_N) {
				break;
			}
			mbufs[batch] = packet_mbuf(pkts[done + batch]);
			batch++;
		}
		sent = batch ? rte_eth_tx_burst(dev->id, queue, mbufs, batch) : 0;
		done = (uint16_t)(done + sent);
		if (sent < batch) {
			break;
		}
		if (reason != DROP_N) {
			port_core_tx_drop(dev->port, reason, 1);
			rte_pktmbuf_free(packet_mbuf(pkts[done++]));
		} else if (done < n && pkts[done]->flags & PACKET_GSO_MASK) {
			tx_segmented(dev, queue, pkts[done++]);
		}
	}
	return done;
}

static int
ethdev_rx_sleep(struct port_dev *dev, uint16_t queue)
{
	int rc, waiting;

	if (dev->kind->only_sends) {
		return -ENODEV;
	}
	if (!dev->has_interrupts) {
		return -ENOTSUP;
	}
	rc = rte_eth_dev_rx_intr_enable(dev->id, queue);
	if (rc == -ENOTSUP) {
		return dev->rx_fds
			[queue]; /* the device's own descriptor, readable while there is a frame */
	}
	waiting = rc ? rc : rte_eth_rx_queue_count(dev->id, queue);
	if (waiting) {
		(void)rte_eth_dev_rx_intr_disable(dev->id, queue);
		/* A driver that cannot say what waits could miss what came before it was asked. */
		return waiting > 0 ? -EAGAIN : -ENOTSUP;
	}
	return dev->rx_fds[queue];
}

static void
ethdev_rx_woken(struct port_dev *dev, uint16_t queue)
{
	if (dev->has_interrupts) {
		(void)rte_eth_dev_rx_intr_disable(dev->id, queue);
	}
}

#define OPTION_QUEUES                                                                              \
	{                                                                                          \
		"queues", PORT_OPT_UINT, 1, MAX_QUEUES, NULL, false, false,                        \
			"receive and transmit queues (1)"                                          \
	}
#define OPTION_MTU                                                                                 \
	{                                                                                          \
		"mtu", PORT_OPT_UINT, 68, 65535, NULL, false, true, "longest packet (1500)"        \
	}
#define OPTION_END                                                                                 \
	{                                                                                          \
		NULL, PORT_OPT_TEXT, 0, 0, NULL, false, false, NULL                                \
	}

static const struct port_option_spec ethdev_options[] = {
	{"devargs", PORT_OPT_TEXT, 0, 0, NULL, true, false,
		"DPDK device, NAME,KEY=VALUE.. or PCI address"},
	OPTION_QUEUES,
	OPTION_MTU,
	OPTION_END,
};

static const struct port_option_spec af_xdp_options[] = {
	{"ifname", PORT_OPT_TEXT, 0, 0, NULL, true, false, "the interface"},
	OPTION_QUEUES,
	OPTION_MTU,
	OPTION_END,
};

static const struct port_option_spec pcap_options[] = {
	{"rx", PORT_OPT_TEXT, 0, 0, NULL, false, false, "file whose packets come in"},
	{"tx", PORT_OPT_TEXT, 0, 0, NULL, false, false, "file that packets go to"},
	OPTION_MTU,
	OPTION_END,
};

static const struct port_option_spec memif_options[] = {
	{"socket", PORT_OPT_TEXT, 0, 0, NULL, true, false, "path of the control socket"},
	{"role", PORT_OPT_CHOICE, 0, 0, "server,client", false, false, "who listens (server)"},
	{"id", PORT_OPT_UINT, 0, UINT32_MAX, NULL, false, false, "the same at both ends (0)"},
	OPTION_QUEUES,
	OPTION_MTU,
	OPTION_END,
};

static const struct port_option_spec null_options[] = {
	OPTION_MTU,
	OPTION_END,
};

#define ETHDEV_PROVIDER(NAME, TYPE, CAN_JOIN, HELP)                                                \
	const struct port_provider NAME##_provider = {                                             \
		.type = TYPE,                                                                      \
		.help = HELP,                                                                      \
		.options = NAME##_options,                                                         \
		.can_join = CAN_JOIN,                                                              \
		.open = ethdev_open,                                                               \
		.close = ethdev_close,                                                             \
		.set = ethdev_set,                                                                 \
		.set_admin = ethdev_set_admin,                                                     \
		.status = ethdev_status,                                                           \
		.is_up = ethdev_is_up,                                                             \
		.stats = ethdev_stats,                                                             \
		.rx = ethdev_rx,                                                                   \
		.tx = ethdev_tx,                                                                   \
		.rx_sleep = ethdev_rx_sleep,                                                       \
		.rx_woken = ethdev_rx_woken,                                                       \
	}

ETHDEV_PROVIDER(ethdev, "ethdev", true, "a device of DPDK");
ETHDEV_PROVIDER(af_xdp, "af-xdp", true, "an existing interface of the host, by AF_XDP");
ETHDEV_PROVIDER(pcap, "pcap", false, "capture files, read and written");
ETHDEV_PROVIDER(memif, "memif", true, "shared memory with another process");
ETHDEV_PROVIDER(null, "null", false, "takes every packet and sends none");

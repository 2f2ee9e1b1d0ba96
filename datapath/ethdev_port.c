/* SPDX-License-Identifier: Apache-2.0
 *
 * Port type ethdev: any device of DPDK, named by its devargs.
 *
 * What: virtual devices (net_pcap0,rx_pcap=.. net_tap0 net_memif0 net_null0 ..) and physical ones by
 *       PCI address. Polled: few drivers notify, so that a worker with such a port stays awake.
 */
#include <errno.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/offload.h"
#include "datapath/port_provider.h"
#include "datapath/providers.h"
#include "lib/alloc.h"
#include "lib/drop_reason.h"
#include "lib/error.h"
#include "vhost/packet_mbuf.h"

#define DESCRIPTORS 512u
#define MAX_BURST 64u

struct port_dev {
	struct port *port;
	struct rte_mempool *pool;
	uint16_t id;     /* of DPDK */
	uint16_t number;
	uint16_t n_queues;
	bool started;
	char devargs[100];
};

static const struct port_option_spec options[] = {
	{"devargs", PORT_OPT_TEXT, 0, 0, NULL, true, false,
		"DPDK's name and arguments of the device, as net_pcap0,rx_pcap=F or 0000:01:00.0"},
	{"queues", PORT_OPT_UINT, 1, PORT_MAX_QUEUES, NULL, false, false, "queue pairs (1)"},
	{"mtu", PORT_OPT_UINT, 68, 9000, NULL, false, true, "of the device"},
	{NULL, PORT_OPT_TEXT, 0, 0, NULL, false, false, NULL},
};

static int
link_changed(uint16_t id, enum rte_eth_event_type type, void *user, void *ret)
{
	(void)id;
	(void)type;
	(void)ret;
	port_core_event(((struct port_dev *)user)->port, PORT_EVENT_STATUS);
	return 0;
}

static void
ethdev_close(struct port_dev *dev)
{
	struct rte_eth_dev_info info;

	if (dev->id != RTE_MAX_ETHPORTS) {
		rte_eth_dev_callback_unregister(dev->id, RTE_ETH_EVENT_INTR_LSC, link_changed, dev);
		if (dev->started) {
			rte_eth_dev_stop(dev->id);
		}
		if (!rte_eth_dev_info_get(dev->id, &info) && info.device) {
			struct rte_device *device = info.device;

			rte_eth_dev_close(dev->id);
			rte_dev_remove(device);
		}
	}
	free(dev);
}

static bool
configure(struct port_dev *dev, uint16_t n_queues, uint16_t mtu, struct weft_error *err)
{
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf = {0};
	const char *what = "ask";
	int rc = rte_eth_dev_info_get(dev->id, &info);

	if (!rc && (info.max_rx_queues < n_queues || info.max_tx_queues < n_queues)) {
		return weft_error_set(err, WEFT_ERR_INVALID, ERANGE, "device %s has %u rx and %u tx queues",
			dev->devargs, info.max_rx_queues, info.max_tx_queues);
	}
	if (!rc) {
		what = "configure";
		conf.rxmode.mtu = mtu;
		if (n_queues > 1) {
			conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
			conf.rx_adv_conf.rss_conf.rss_hf =
				(RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP) & info.flow_type_rss_offloads;
		}
		conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
		rc = rte_eth_dev_configure(dev->id, n_queues, n_queues, &conf);
	}
	for (uint16_t q = 0; !rc && q < n_queues; q++) {
		uint16_t n_rx = DESCRIPTORS, n_tx = DESCRIPTORS;

		what = "set up the queues of";
		rte_eth_dev_adjust_nb_rx_tx_desc(dev->id, &n_rx, &n_tx);
		rc = rte_eth_rx_queue_setup(dev->id, q, n_rx, SOCKET_ID_ANY, NULL, dev->pool);
		rc = rc ? rc : rte_eth_tx_queue_setup(dev->id, q, n_tx, SOCKET_ID_ANY, NULL);
	}
	if (!rc) {
		what = "start";
		rc = rte_eth_dev_start(dev->id);
	}
	if (rc) {
		return weft_error_set(err, WEFT_ERR_SYSTEM, -rc, "cannot %s device %s: %s", what, dev->devargs,
			strerror(-rc));
	}
	dev->started = true;
	dev->n_queues = n_queues;
	rte_eth_promiscuous_enable(dev->id);
	return true;
}

static struct port_dev *
ethdev_open(const struct port_config *config, struct weft_error *err)
{
	const char *devargs = port_option_find(config->options, config->n_options, "devargs");
	const char *queues = port_option_find(config->options, config->n_options, "queues");
	const char *mtu = port_option_find(config->options, config->n_options, "mtu");
	struct port_dev *dev = xcalloc(1, sizeof *dev);
	struct rte_dev_iterator iterator;
	uint16_t id = RTE_MAX_ETHPORTS, found;
	int rc;

	dev->port = config->port;
	dev->pool = config->pool;
	dev->number = config->number;
	dev->id = RTE_MAX_ETHPORTS;
	snprintf(dev->devargs, sizeof dev->devargs, "%s", devargs);
	RTE_ETH_FOREACH_MATCHING_DEV(found, devargs, &iterator) {
		rte_eth_iterator_cleanup(&iterator);
		weft_error_set(err, WEFT_ERR_CONFLICT, EBUSY, "device %s is used by another port", devargs);
		goto fail;
	}
	rc = rte_dev_probe(devargs);
	if (rc) {
		weft_error_set(err, WEFT_ERR_INVALID, -rc,
			"DPDK cannot open devargs=%s: %s; name a driver's device as net_pcap0,rx_pcap=FILE, or a PCI "
			"address that is bound to vfio-pci", devargs, strerror(-rc));
		goto fail;
	}
	RTE_ETH_FOREACH_MATCHING_DEV(found, devargs, &iterator) {
		id = found;
	}
	if (id == RTE_MAX_ETHPORTS) {
		weft_error_set(err, WEFT_ERR_INVALID, ENODEV, "devargs=%s is no network device of DPDK",
			devargs);
		goto fail;
	}
	dev->id = id;
	if (!configure(dev, queues ? (uint16_t)strtoul(queues, NULL, 10) : 1,
		    mtu ? (uint16_t)strtoul(mtu, NULL, 10) : 1500, err)) {
		goto fail;
	}
	rte_eth_dev_callback_register(dev->id, RTE_ETH_EVENT_INTR_LSC, link_changed, dev);
	return dev;

fail:
	ethdev_close(dev);
	return NULL;
}

static bool
ethdev_set(struct port_dev *dev, const struct port_option *changes, size_t n, struct weft_error *err)
{
	for (size_t i = 0; i < n; i++) {
		int rc = rte_eth_dev_set_mtu(dev->id, (uint16_t)strtoul(changes[i].value, NULL, 10));

		if (rc) {
			return weft_error_set(err, WEFT_ERR_SYSTEM, -rc, "device %s cannot have mtu=%s: %s",
				dev->devargs, changes[i].value, strerror(-rc));
		}
	}
	return true;
}

static void
ethdev_set_admin(struct port_dev *dev, bool up)
{
	/* Not every driver can; the core stops traffic in any case. */
	(void)(up ? rte_eth_dev_set_link_up(dev->id) : rte_eth_dev_set_link_down(dev->id));
}

static void
ethdev_status(struct port_dev *dev, struct port_status *status)
{
	struct rte_eth_link link = {0};
	struct rte_ether_addr mac = {0};
	uint16_t mtu = 0;

	rte_eth_link_get_nowait(dev->id, &link);
	rte_eth_macaddr_get(dev->id, &mac);
	rte_eth_dev_get_mtu(dev->id, &mtu);
	*status = (struct port_status){
		.link_up = link.link_status,
		.mtu = mtu,
		.speed_mbps = link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : link.link_speed,
		.n_rxq = dev->n_queues,
		.n_txq = dev->n_queues,
	};
	memcpy(status->mac, mac.addr_bytes, sizeof status->mac);
	snprintf(status->peer, sizeof status->peer, "%s", dev->devargs);
}

static void
ethdev_stats(struct port_dev *dev, struct port_dev_stats *stats)
{
	struct rte_eth_stats eth;

	if (!rte_eth_stats_get(dev->id, &eth)) {
		stats->rx_errors = eth.ierrors;
		stats->rx_missed = eth.imissed + eth.rx_nombuf;
		stats->tx_errors = eth.oerrors;
	}
}

static uint16_t
ethdev_rx(struct port_dev *dev, uint16_t queue, struct packet **pkts, uint16_t n)
{
	struct rte_mbuf *mbufs[MAX_BURST];
	uint16_t got = rte_eth_rx_burst(dev->id, queue, mbufs, WEFT_MIN(n, (uint16_t)MAX_BURST)), kept = 0;

	for (uint16_t i = 0; i < got; i++) {
		struct packet *p = packet_of_mbuf(mbufs[i]);

		/* Headers in one piece: a first segment shorter than them is rare. */
		if (mbufs[i]->data_len < WEFT_MIN(mbufs[i]->pkt_len, (uint32_t)PACKET_HEAD_MIN) &&
			rte_pktmbuf_linearize(mbufs[i])) {
			rte_pktmbuf_free(mbufs[i]);
			port_core_rx_drop(dev->port, DROP_RX_TOO_LONG, 1);
			continue;
		}
		mbufs[i]->ol_flags = 0;
		packet_init_from_mbuf(p, mbufs[i], dev->number, (uint8_t)queue);
		pkts[kept++] = p;
	}
	return kept;
}

/* Completes or cuts what the driver is not asked to. Consumes the packet unless it returns false. */
static bool
tx_offloaded(struct port_dev *dev, uint16_t queue, struct packet *p)
{
	struct rte_mbuf *mbufs[OFFLOAD_MAX_SEGMENTS];
	struct packet *segments[OFFLOAD_MAX_SEGMENTS];
	uint16_t sent;
	int n;

	if (!(p->flags & PACKET_GSO_MASK)) {
		struct rte_mbuf *m = packet_mbuf(p);

		if (!offload_complete_csum(p)) {
			return rte_eth_tx_burst(dev->id, queue, &m, 1) == 1;
		}
		rte_pktmbuf_free(m);
		port_core_tx_drop(dev->port, DROP_TX_OFFLOAD, 1);
		return true;
	}
	n = offload_segment(p, dev->pool, segments);
	for (int i = 0; i < n; i++) {
		mbufs[i] = packet_mbuf(segments[i]);
	}
	sent = n > 0 ? rte_eth_tx_burst(dev->id, queue, mbufs, (uint16_t)n) : 0;
	if (n < 0 || sent < n) {
		if (n > sent) {
			rte_pktmbuf_free_bulk(mbufs + sent, (unsigned)(n - sent));
		}
		port_core_tx_drop(dev->port, n < 0 ? DROP_TX_OFFLOAD : DROP_TX_FULL, 1);
	}
	rte_pktmbuf_free(packet_mbuf(p));
	return true;
}

static uint16_t
ethdev_tx(struct port_dev *dev, uint16_t queue, struct packet **pkts, uint16_t n)
{
	struct rte_mbuf *mbufs[MAX_BURST];
	uint16_t done = 0;

	n = WEFT_MIN(n, (uint16_t)MAX_BURST);
	while (done < n) {
		uint16_t plain = 0, sent;

		while (done + plain < n &&
			!(pkts[done + plain]->flags & (PACKET_CSUM_PARTIAL | PACKET_GSO_MASK))) {
			mbufs[plain] = packet_mbuf(pkts[done + plain]);
			plain++;
		}
		if (plain) {
			sent = rte_eth_tx_burst(dev->id, queue, mbufs, plain);
			done = (uint16_t)(done + sent);
			if (sent < plain) {
				break;
			}
		} else if (tx_offloaded(dev, queue, pkts[done])) {
			done++;
		} else {
			break;
		}
	}
	return done;
}

const struct port_provider ethdev_provider = {
	.type = "ethdev",
	.help = "any network device of DPDK",
	.options = options,
	.open = ethdev_open,
	.close = ethdev_close,
	.set = ethdev_set,
	.set_admin = ethdev_set_admin,
	.status = ethdev_status,
	.stats = ethdev_stats,
	.rx = ethdev_rx,
	.tx = ethdev_tx,
};

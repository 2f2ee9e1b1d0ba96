/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnel ports: input ports of decapsulated packets.
 *
 * What:  a port without a device. Packets come to it by DECAP; what leaves by the tunnel gets its header by
 *        ENCAP and goes out by another port, so that nothing is ever output here. Which packets are its, and
 *        how they are sent, is the agent's to know: there are no options.
 * Why:   it has a number (flows match on it), administrative state and counters as every port does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/providers.h"
#include "lib/alloc.h"
#include "lib/drop_reason.h"
#include "vhost/packet_mbuf.h"

struct port_dev {
	struct port *port;
};

static struct port_dev *
tunnel_open(const struct port_config *config, struct weft_error *err)
{
	struct port_dev *dev = xcalloc(1, sizeof *dev);

	(void)err;
	dev->port = config->port;
	return dev;
}

static void
tunnel_close(struct port_dev *dev)
{
	free(dev);
}

static bool
tunnel_set(
	struct port_dev *dev, const struct port_option *options, size_t n, struct weft_error *err)
{
	(void)dev;
	(void)options;
	(void)n;
	(void)err;
	return true;
}

static void
tunnel_status(struct port_dev *dev, struct port_status *status)
{
	(void)dev;
	memset(status, 0, sizeof *status);
	status->link_up = true;
	status->n_txq = 1;
}

static uint16_t
tunnel_rx(struct port_dev *dev, uint16_t queue, struct packet **pkts, uint16_t n)
{
	(void)dev;
	(void)queue;
	(void)pkts;
	(void)n;
	return 0;
}

static uint16_t
tunnel_tx(struct port_dev *dev, uint16_t queue, struct packet **pkts, uint16_t n)
{
	(void)queue;
	for (uint16_t i = 0; i < n; i++) {
		rte_pktmbuf_free(packet_mbuf(pkts[i]));
	}
	port_core_tx_drop(dev->port, DROP_TX_ERROR, n);
	return n;
}

static int
tunnel_rx_sleep(struct port_dev *dev, uint16_t queue)
{
	(void)dev;
	(void)queue;
	return -ENODEV;
}

static void
tunnel_rx_woken(struct port_dev *dev, uint16_t queue)
{
	(void)dev;
	(void)queue;
}

static const struct port_option_spec no_options[] = {
	{NULL, PORT_OPT_TEXT, 0, 0, NULL, false, false, NULL},
};

#define TUNNEL_PROVIDER(NAME, TEXT)                                                                \
	const struct port_provider NAME##_provider = {                                             \
		.type = #NAME,                                                                     \
		.help = TEXT,                                                                      \
		.options = no_options,                                                             \
		.open = tunnel_open,                                                               \
		.close = tunnel_close,                                                             \
		.set = tunnel_set,                                                                 \
		.status = tunnel_status,                                                           \
		.rx = tunnel_rx,                                                                   \
		.tx = tunnel_tx,                                                                   \
		.rx_sleep = tunnel_rx_sleep,                                                       \
		.rx_woken = tunnel_rx_woken,                                                       \
	}

TUNNEL_PROVIDER(vxlan, "VXLAN tunnels' input port");
TUNNEL_PROVIDER(geneve, "Geneve tunnels' input port");
TUNNEL_PROVIDER(gre, "GRE tunnels' input port");
TUNNEL_PROVIDER(erspan, "ERSPAN tunnels' input port");

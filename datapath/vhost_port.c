/* SPDX-License-Identifier: Apache-2.0
 *
 * Port type vhost-user: a thin provider over vhost/.
 */
#include <errno.h>
#include <rte_mbuf.h>
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
#include "vhost/vhost_user.h"

struct port_dev {
	struct port *port;
	struct vhost_user *vhost;
	struct rte_mempool *pool;
	char *path;
	bool client;
	uint32_t mtu; /* longest packet that it is sent; 0: as the guest takes them */
};

static const struct port_option_spec options[] = {
	{"path", PORT_OPT_TEXT, 0, 0, NULL, false, false, "socket (RUNDIR/vhost/NAME.sock)"},
	{"mode", PORT_OPT_CHOICE, 0, 0, "server,client", false, false,
		"who listens: server is Weft"},
	{"queues", PORT_OPT_UINT, 1, VHOST_MAX_PAIRS, NULL, false, false, "queue pairs (1)"},
	{"mtu", PORT_OPT_UINT, 68, 65535, NULL, false, true, "longest packet (as the guest takes)"},
	{"owner", PORT_OPT_TEXT, 0, 0, NULL, false, false, "user that owns the socket file"},
	{"socket-mode", PORT_OPT_TEXT, 0, 0, NULL, false, false, "its permissions, octal (0660)"},
	{NULL, PORT_OPT_TEXT, 0, 0, NULL, false, false, NULL},
};

static void
changed(void *user)
{
	port_core_event(((struct port_dev *)user)->port, PORT_EVENT_STATUS);
}

static void
rx_dropped(void *user, unsigned reason, uint32_t n)
{
	port_core_rx_drop(((struct port_dev *)user)->port, reason, n);
}

static bool
parse_mode(const char *text, int *mode, struct weft_error *err)
{
	char *end;
	long n = text ? strtol(text, &end, 8) : -1;

	if (text && (end == text || *end || n < 0 || n > 0777)) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"socket-mode is octal permissions as 0660, not \"%s\"", text);
	}
	*mode = (int)n;
	return true;
}

/* The two daemons and the command line may run in different directories. */
static bool
check_path(const char *path, struct weft_error *err)
{
	return !path || path[0] == '/' ||
	       weft_error_set(
		       err, WEFT_ERR_INVALID, EINVAL, "path=%s must be a path from the root", path);
}

static void
vhost_close(struct port_dev *dev)
{
	if (dev->vhost) {
		vhost_user_close(dev->vhost);
	}
	free(dev->path);
	free(dev);
}

static struct port_dev *
vhost_open(const struct port_config *config, struct weft_error *err)
{
	const char *path = port_option_find(config->options, config->n_options, "path");
	const char *mode = port_option_find(config->options, config->n_options, "mode");
	const char *mtu = port_option_find(config->options, config->n_options, "mtu");
	const char *queues = port_option_find(config->options, config->n_options, "queues");
	struct port_dev *dev = xcalloc(1, sizeof *dev);
	struct vhost_user_config vhost = {
		.owner = port_option_find(config->options, config->n_options, "owner"),
		.group = config->group,
		.in_port = config->number,
		.pool = config->pool,
		.synchronize = port_core_synchronize,
		.changed = changed,
		.rx_dropped = rx_dropped,
		.user = dev,
	};

	dev->port = config->port;
	dev->pool = config->pool;
	dev->client = mode && !strcmp(mode, "client");
	dev->path =
		path ? xstrdup(path) : xasprintf("%s/vhost/%s.sock", config->rundir, config->name);
	vhost.path = dev->path;
	vhost.make_directory = !path;
	dev->mtu = mtu ? (uint32_t)strtoul(mtu, NULL, 10) : 0;
	vhost.client = dev->client;
	vhost.n_pairs = queues ? (unsigned)strtoul(queues, NULL, 10) : 1;
	if (check_path(path, err) &&
		parse_mode(port_option_find(config->options, config->n_options, "socket-mode"),
			&vhost.mode, err)) {
		dev->vhost = vhost_user_open(&vhost, err);
	}
	if (!dev->vhost) {
		vhost_close(dev);
		return NULL;
	}
	return dev;
}

static bool
vhost_set(struct port_dev *dev, const struct port_option *changes, size_t n, struct weft_error *err)
{
	const char *mtu = port_option_find(changes, n, "mtu");

	(void)err;
	if (mtu) {
		dev->mtu = (uint32_t)strtoul(mtu, NULL, 10);
	}
	return true;
}

static void
vhost_status(struct port_dev *dev, struct port_status *status)
{
	struct vhost_user_status vhost;

	vhost_user_status(dev->vhost, &vhost);
	*status = (struct port_status){
		.link_up = vhost.connected && vhost.n_pairs,
		.n_rxq = (uint16_t)vhost.n_pairs,
		.n_txq = (uint16_t)vhost.n_pairs,
		.mtu = dev->mtu    ? dev->mtu
		       : vhost.mtu ? vhost.mtu
				   : 1500,
		.max_len = dev->mtu ? dev->mtu + PORT_LINK_HEADER_LEN : 0,
	};
	snprintf(status->peer, sizeof status->peer, "%.100s %s", dev->path,
		vhost.connected ? "guest"
		: dev->client   ? "connecting"
				: "listening");
}

static uint16_t
vhost_rx(struct port_dev *dev, uint16_t queue, struct packet **pkts, uint16_t n)
{
	return vhost_user_rx(dev->vhost, queue, pkts, n);
}

/* A packet that the guest cannot take as it is: completes or cuts it. Consumes it unless it returns
 * false (the guest has no room). */
static bool
tx_offloaded(struct port_dev *dev, uint16_t queue, struct packet *p)
{
	struct packet *segments[OFFLOAD_MAX_SEGMENTS];
	int n;
	uint16_t sent = 0;

	if (!(p->flags & PACKET_GSO_MASK)) {
		if (offload_complete_csum(p)) {
			rte_pktmbuf_free(packet_mbuf(p));
			port_core_tx_drop(dev->port, DROP_TX_OFFLOAD, 1);
			return true;
		}
		return vhost_user_tx(dev->vhost, queue, &p, 1) == 1;
	}
	n = offload_segment(p, dev->pool, segments);
	while (n > 0 && sent < n) {
		uint16_t more =
			vhost_user_tx(dev->vhost, queue, segments + sent, (uint16_t)(n - sent));

		if (!more) {
			break;
		}
		sent = (uint16_t)(sent + more);
	}
	for (int i = sent; i < n; i++) {
		rte_pktmbuf_free(packet_mbuf(segments[i]));
	}
	if (n < 0 || sent < n) {
		/* Some segments may have gone out; the packet as a whole is lost. */
		port_core_tx_drop(dev->port, n < 0 ? DROP_TX_OFFLOAD : DROP_TX_FULL, 1);
	}
	rte_pktmbuf_free(packet_mbuf(p));
	return true;
}

static uint16_t
vhost_tx(struct port_dev *dev, uint16_t queue, struct packet **pkts, uint16_t n)
{
	uint16_t done = 0, plain;

	while (done < n) {
		for (plain = done; plain < n &&
				   !(pkts[plain]->flags & (PACKET_CSUM_PARTIAL | PACKET_GSO_MASK));
			plain++) {
		}
		if (plain > done) {
			uint16_t want = (uint16_t)(plain - done);
			uint16_t sent = vhost_user_tx(dev->vhost, queue, pkts + done, want);

			done = (uint16_t)(done + sent);
			if (sent < want) {
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

static int
vhost_rx_sleep(struct port_dev *dev, uint16_t queue)
{
	return vhost_user_rx_sleep(dev->vhost, queue);
}

static void
vhost_rx_woken(struct port_dev *dev, uint16_t queue)
{
	vhost_user_rx_woken(dev->vhost, queue);
}

const struct port_provider vhost_provider = {
	.type = "vhost-user",
	.help = "a virtual machine's or container's virtio-net device",
	.options = options,
	.open = vhost_open,
	.close = vhost_close,
	.set = vhost_set,
	.status = vhost_status,
	.rx = vhost_rx,
	.tx = vhost_tx,
	.rx_sleep = vhost_rx_sleep,
	.rx_woken = vhost_rx_woken,
};

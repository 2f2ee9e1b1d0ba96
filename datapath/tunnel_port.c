/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnel ports: input ports of decapsulated packets.
 *
 * What:  a port without a device. Packets come to it by DECAP; what leaves by the tunnel gets its header by
 *        ENCAP and goes out by another port. What is output to the port itself is for its BFD session. Which
 *        packets are its, and how they are sent, is the agent's to know: BFD's are the only options.
 * Why:   it has a number (flows match on it), administrative state and counters as every port does.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/bfd_session.h"
#include "datapath/providers.h"
#include "lib/alloc.h"
#include "lib/drop_reason.h"
#include "lib/error.h"
#include "lib/eth_addr.h"
#include "vhost/packet_mbuf.h"

#define MS_MAX 60000
#define N_OPTIONS 8u

static const struct port_option_spec options[] = {
	{"bfd", PORT_OPT_BOOL, 0, 0, NULL, false, true, "watch the path by BFD"},
	{"bfd-min-tx", PORT_OPT_UINT, 1, MS_MAX, NULL, false, true,
		"least interval of sending, ms"},
	{"bfd-min-rx", PORT_OPT_UINT, 1, MS_MAX, NULL, false, true, "least interval taken, ms"},
	{"bfd-mult", PORT_OPT_UINT, 1, 255, NULL, false, true, "packets that may be lost"},
	{"bfd-src-mac", PORT_OPT_TEXT, 0, 0, NULL, false, true, "source address of packets"},
	{"bfd-dst-mac", PORT_OPT_TEXT, 0, 0, NULL, false, true, "destination address of packets"},
	{"bfd-src-ip", PORT_OPT_TEXT, 0, 0, NULL, false, true, "their IPv4 source"},
	{"bfd-dst-ip", PORT_OPT_TEXT, 0, 0, NULL, false, true, "their IPv4 destination"},
	{NULL, PORT_OPT_TEXT, 0, 0, NULL, false, false, NULL},
};
_Static_assert(WEFT_ARRAY_SIZE(options) == N_OPTIONS + 1, "a default for each");

/* In the order of the options. MAC: RFC 8971 s.4; source: link-local, as Open vSwitch's. */
static const char *const defaults[N_OPTIONS] = {"no", "300", "300", "3", "00:00:00:00:00:00",
	"00:00:5e:00:52:02", "169.254.1.1", "127.0.0.1"};

struct port_dev {
	struct port *port;
	bool is_admin_down;
	char *values[N_OPTIONS]; /* NULL: the default */
	_Atomic(struct bfd_session *) session;
};

/* --- options --------------------------------------------------------------------------------------- */

static const char *
value_of(char *const values[N_OPTIONS], unsigned i)
{
	return values[i] ? values[i] : defaults[i];
}

static bool
parse_mac(const char *key, const char *text, uint8_t mac[6], struct weft_error *err)
{
	return eth_addr_parse(text, mac) ||
	       weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
		       "%s takes an address like 00:00:5e:00:52:02, not \"%s\"", key, text);
}

static bool
parse_ip(const char *key, const char *text, uint8_t ip[4], struct weft_error *err)
{
	return inet_pton(AF_INET, text, ip) == 1 ||
	       weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "%s takes an IPv4 address, not \"%s\"",
		       key, text);
}

static bool
make_config(char *const values[N_OPTIONS], bool is_admin_down, struct bfd_session_config *c,
	struct weft_error *err)
{
	*c = (struct bfd_session_config){
		.bfd.min_tx_us = (uint32_t)strtoul(value_of(values, 1), NULL, 10) * 1000,
		.bfd.min_rx_us = (uint32_t)strtoul(value_of(values, 2), NULL, 10) * 1000,
		.bfd.mult = (uint8_t)strtoul(value_of(values, 3), NULL, 10),
		.bfd.admin_down = is_admin_down,
	};
	return parse_mac(options[4].key, value_of(values, 4), c->ends.src_mac, err) &&
	       parse_mac(options[5].key, value_of(values, 5), c->ends.dst_mac, err) &&
	       parse_ip(options[6].key, value_of(values, 6), c->ends.src_ip, err) &&
	       parse_ip(options[7].key, value_of(values, 7), c->ends.dst_ip, err);
}

/* Nobody takes packets to the session any more, then it goes. */
static void
close_session(struct port_dev *dev) WEFT_REQUIRES(weft_ports)
{
	struct bfd_session *s = atomic_exchange(&dev->session, NULL);

	if (s) {
		port_core_synchronize();
		bfd_session_close(s);
	}
}

/* Makes the session what the values say. */
static bool
apply(struct port_dev *dev, char *const values[N_OPTIONS], struct weft_error *err)
	WEFT_REQUIRES(weft_ports)
{
	struct bfd_session *s = atomic_load(&dev->session);
	struct bfd_session_config config;

	if (!make_config(values, dev->is_admin_down, &config, err)) {
		return false;
	}
	if (strcmp(value_of(values, 0), "yes") != 0) {
		close_session(dev);
		return true;
	}
	if (s) {
		bfd_session_set(s, &config);
		return true;
	}
	s = bfd_session_open(dev->port, &config, err);
	atomic_store(&dev->session, s);
	return s != NULL;
}

static unsigned
index_of(const char *key)
{
	unsigned i = 0;

	while (i < N_OPTIONS - 1 && strcmp(options[i].key, key) != 0) {
		i++;
	}
	return i;
}

static bool
tunnel_set(struct port_dev *dev, const struct port_option *given, size_t n, struct weft_error *err)
	WEFT_REQUIRES(weft_ports)
{
	char *values[N_OPTIONS];
	bool ok;

	for (unsigned i = 0; i < N_OPTIONS; i++) {
		values[i] = dev->values[i] ? xstrdup(dev->values[i]) : NULL;
	}
	for (size_t i = 0; i < n; i++) {
		char **value = &values[index_of(given[i].key)];

		free(*value);
		*value = *given[i].value ? xstrdup(given[i].value) : NULL; /* empty: taken back */
	}
	ok = apply(dev, values, err);
	for (unsigned i = 0; i < N_OPTIONS; i++) {
		free(ok ? dev->values[i] : values[i]);
		dev->values[i] = ok ? values[i] : dev->values[i];
	}
	return ok;
}

static void
tunnel_set_admin(struct port_dev *dev, bool up) WEFT_REQUIRES(weft_ports)
{
	struct weft_error err = WEFT_ERROR_INIT;

	dev->is_admin_down = !up;
	(void)apply(dev, dev->values, &err); /* they were right, and nothing new is made */
}

/* --- life ------------------------------------------------------------------------------------------ */

static void
tunnel_close(struct port_dev *dev) WEFT_REQUIRES(weft_ports)
{
	close_session(dev);
	for (unsigned i = 0; i < N_OPTIONS; i++) {
		free(dev->values[i]);
	}
	free(dev);
}

static struct port_dev *
tunnel_open(const struct port_config *config, struct weft_error *err) WEFT_REQUIRES(weft_ports)
{
	struct port_dev *dev = xcalloc(1, sizeof *dev);

	dev->port = config->port;
	if (!tunnel_set(dev, config->options, config->n_options, err)) {
		tunnel_close(dev);
		return NULL;
	}
	return dev;
}

static void
tunnel_status(struct port_dev *dev, struct port_status *status)
{
	struct bfd_session *s = atomic_load(&dev->session);

	memset(status, 0, sizeof *status);
	status->link_up = true;
	status->n_txq = 1;
	if (s) {
		bfd_session_text(s, status->peer, sizeof status->peer);
	}
}

static json_t *
tunnel_details(struct port_dev *dev)
{
	struct bfd_session *s = atomic_load(&dev->session);
	json_t *details = json_object();

	if (s) {
		json_object_set_new(details, "bfd", bfd_session_json(s));
	}
	return details;
}

/* --- packets --------------------------------------------------------------------------------------- */

static uint16_t
tunnel_rx(struct port_dev *dev, uint16_t queue, struct packet **pkts, uint16_t n)
{
	(void)dev;
	(void)queue;
	(void)pkts;
	(void)n;
	return 0;
}

static uint16_t tunnel_tx(struct port_dev *dev, uint16_t queue, struct packet **pkts, uint16_t n)
	WEFT_REQUIRES(weft_worker);

static uint16_t
tunnel_tx(struct port_dev *dev, uint16_t queue, struct packet **pkts, uint16_t n)
{
	struct bfd_session *s = atomic_load_explicit(&dev->session, memory_order_acquire);

	(void)queue;
	for (uint16_t i = 0; i < n; i++) {
		int result = s ? bfd_session_take(s, pkts[i]) : (int)DROP_BFD_UNKNOWN;

		if (result != BFD_TAKEN) {
			port_core_tx_drop(dev->port, (unsigned)result, 1);
		}
		rte_pktmbuf_free(packet_mbuf(pkts[i]));
	}
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

#define TUNNEL_PROVIDER(NAME, TEXT)                                                                \
	const struct port_provider NAME##_provider = {                                             \
		.type = #NAME,                                                                     \
		.help = TEXT,                                                                      \
		.options = options,                                                                \
		.open = tunnel_open,                                                               \
		.close = tunnel_close,                                                             \
		.set = tunnel_set,                                                                 \
		.set_admin = tunnel_set_admin,                                                     \
		.status = tunnel_status,                                                           \
		.details = tunnel_details,                                                         \
		.rx = tunnel_rx,                                                                   \
		.tx = tunnel_tx,                                                                   \
		.rx_sleep = tunnel_rx_sleep,                                                       \
		.rx_woken = tunnel_rx_woken,                                                       \
	}

TUNNEL_PROVIDER(vxlan, "VXLAN tunnels' input port");
TUNNEL_PROVIDER(geneve, "Geneve tunnels' input port");
TUNNEL_PROVIDER(gre, "GRE tunnels' input port");
TUNNEL_PROVIDER(erspan, "ERSPAN tunnels' input port");

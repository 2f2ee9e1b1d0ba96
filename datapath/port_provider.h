/* SPDX-License-Identifier: Apache-2.0
 *
 * Port provider: what a kind of port must do to be plugged into the datapath.
 *
 * What:     a provider is one row of functions (struct port_provider) and one line in port.c's
 *           list. The core owns struct port (number, name, counters, rx queue to worker
 *           assignment, tx locks, admin state); the provider owns struct port_dev.
 * Threads:  open, close, set, status, stats, offers: ports thread. rx, tx, rx_sleep, rx_woken:
 *           the worker that owns the queue (tx: any worker, one at a time; the core locks a tx
 *           queue that has several writers). Events may come from any thread, also from inside
 *           open and close.
 * Lifetime: the core calls nothing of a device after close; close is called when no worker can
 *           reach the device any more (unlinked, grace period waited). A provider that must give
 *           up something earlier (a vhost guest that goes away) withdraws it by itself: atomic
 *           store, port_core_synchronize(), then the event.
 * Bursts:   DPDK's rule: the return value says how many packets changed hands, the rest stay the
 *           caller's. Received packets are filled in whole: data, len, head_len, in_port,
 *           rx_queue, headroom, offload flags.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/packet.h"

struct packet;
struct port_dev; /* opaque: the provider's device */
struct port;     /* opaque: the core's port */
struct rte_mempool;
struct weft_error;

#define PORT_MAX_QUEUES 64
#define PORT_LINK_HEADER_LEN 22u /* Ethernet and two tags: what a frame has beyond the MTU */

/* A configured option, KEY=VALUE. */
struct port_option {
	const char *key;
	const char *value;
};

/* What an option may be; the core checks names, kinds and ranges before open and set. */
struct port_option_spec {
	const char *key;
	enum { PORT_OPT_TEXT, PORT_OPT_UINT, PORT_OPT_BOOL, PORT_OPT_CHOICE } kind;
	uint64_t min, max;   /* UINT */
	const char *choices; /* CHOICE: comma-separated */
	bool required;
	bool settable; /* may change while the port is open (set) */
	const char *help;
};

struct port_config {
	struct port *port; /* for events */
	const char *type;  /* the provider's */
	const char *name;
	uint16_t number; /* datapath port: goes into packet->in_port */
	const char *rundir;
	const char *group;        /* of socket files; NULL: leave */
	int socket_id;            /* NUMA node wanted, or -1 */
	struct rte_mempool *pool; /* packets are taken from it (priv area: vhost/packet_mbuf.h) */
	const struct port_option *options;
	size_t n_options;
};

struct port_status {
	bool link_up;        /* there is a peer that takes packets */
	uint8_t mac[6];      /* our end's address, or zero */
	uint32_t mtu;        /* of L3; 0: unknown */
	uint32_t speed_mbps; /* 0: unknown */
	bool is_copper;      /* as the driver says */
	bool is_fibre;
	uint32_t max_len; /* longest frame for tx, the core drops longer ones; 0: PACKET_MAX_LEN */
	uint16_t n_rxq;   /* queues in use now */
	uint16_t n_txq;
	uint32_t ifindex; /* kernel devices */
	char peer[128];   /* in words: socket path and state, interface, devargs */
};

/* Counted by the device itself, besides what the core counts. */
struct port_dev_stats {
	uint64_t rx_errors, rx_missed, rx_crc, rx_frame, rx_over;
	uint64_t tx_errors, tx_dropped, collisions;
};

enum port_event {
	PORT_EVENT_STATUS, /* status changed: link, MTU, queues: ask */
	PORT_EVENT_GONE,   /* the device is lost for good (interface deleted) */
};

struct port_provider {
	const char *type; /* as in type=TYPE */
	const char *help;
	const struct port_option_spec *options; /* ends with key NULL */
	bool can_join; /* may be a bond's member: a link that carries what the switch gives it */

	/* Makes the device. Nothing half-made is left on failure, @err says what, why and what to do. */
	struct port_dev *(*open)(const struct port_config *config, struct weft_error *err);
	void (*close)(struct port_dev *dev);
	/* Applies settable options, all or none. */
	bool (*set)(struct port_dev *dev, const struct port_option *options, size_t n,
		struct weft_error *err);
	/* Administrative state, also told to the other side where there is a way. May be NULL. */
	void (*set_admin)(struct port_dev *dev, bool up);
	void (*status)(struct port_dev *dev, struct port_status *status);
	/* Whether the link is up; any thread, also from inside an event. NULL: as status said last. */
	bool (*is_up)(struct port_dev *dev);
	/* More for listings: an object, merged into the port's. May be NULL. */
	json_t *(*details)(struct port_dev *dev);
	void (*stats)(struct port_dev *dev, struct port_dev_stats *stats); /* may be NULL */

	uint16_t (*rx)(struct port_dev *dev, uint16_t queue, struct packet **pkts, uint16_t n);
	/* Takes ownership of the first so many packets. A packet that can never be sent is taken, freed
	 * and reported by port_core_tx_drop(). Offload flags that the far side can't take are
	 * completed here (checksum, segmentation). */
	uint16_t (*tx)(struct port_dev *dev, uint16_t queue, struct packet **pkts, uint16_t n);

	/* Before the worker sleeps: asks for a wake-up. Returns a descriptor that becomes readable
	 * when packets come; -EAGAIN: there are some now; -ENODEV: no peer, nothing will come
	 * before an event; -ENOTSUP: this device must be polled. */
	int (*rx_sleep)(struct port_dev *dev, uint16_t queue);
	/* After the worker slept: withdraws the wish and drains the descriptor. */
	void (*rx_woken)(struct port_dev *dev, uint16_t queue);
};

/* What providers call; port.c. */

/* Posts news to the ports thread. Any thread; never blocks on the caller's locks. */
void port_core_event(struct port *port, enum port_event event);

/* Waits until no worker uses what was unlinked before. Not for workers. vhost callbacks may. */
void port_core_synchronize(void);

/* Counts a packet that tx took but could not send; the provider frees it. Worker. @reason: enum
 * drop_reason. */
void port_core_tx_drop(struct port *port, unsigned reason, uint32_t n);
/* Likewise one lost on the way in (rx-no-buffer, rx-too-long): counts as received and dropped. */
void port_core_rx_drop(struct port *port, unsigned reason, uint32_t n);

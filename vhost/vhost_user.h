/* SPDX-License-Identifier: Apache-2.0
 *
 * vhost-user devices over DPDK's rte_vhost.
 *
 * Life:     open makes the socket (server) or begins to connect (client); guests come, go and come
 *           back until close. A device without a guest takes and gives nothing.
 * Threads:  open and close: ports thread. rx, tx, rx_sleep, rx_woken: workers, each queue one at a
 *           time. rte_vhost calls back on threads of its own, or on that of close.
 * Removal:  when a guest goes away the callback withdraws it by an atomic store, waits for the
 *           workers' grace period through config.synchronize, and returns; then rte_vhost frees
 *           and unmaps. A queue that is disabled is withdrawn alike but not waited for: rte_vhost
 *           calls back with the queue's access lock held, on which a worker may spin. No lock that
 *           a callback takes is ever held around an rte_vhost call.
 * Offloads: refused (checksum, TSO, UFO, ECN, both ways): a guest sends and gets complete packets.
 *           Mergeable receive buffers stay.
 * Trust:    rte_vhost checks rings and addresses; a guest that breaks them loses its own traffic.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/packet.h"

#define VHOST_MAX_PAIRS 16u

struct rte_mempool;
struct vhost_user; /* opaque */
struct weft_error;

struct vhost_user_config {
	const char *path;    /* of the socket */
	bool make_directory; /* that it stands in */
	bool client;         /* connect, and again when it breaks; else listen */
	unsigned n_pairs;    /* queue pairs that are used, 1..VHOST_MAX_PAIRS */
	const char *owner;   /* of the socket file; NULL: leave */
	const char *group;
	int mode;         /* of the socket file; -1: 0660 */
	uint16_t in_port; /* into packets */
	struct rte_mempool *pool;
	void (*synchronize)(void);   /* waits for the workers' grace period */
	void (*changed)(void *user); /* news: ask vhost_user_status(); any thread */
	/* Packets lost on the way in or out (taken, freed, not delivered); worker. @reason: enum
	 * drop_reason. */
	void (*rx_dropped)(void *user, unsigned reason, uint32_t n);
	void *user;
};

struct vhost_user_status {
	bool connected;
	unsigned n_pairs;  /* enabled by the guest, up to the configured number */
	uint16_t mtu;      /* that the guest's side has told; 0: none */
	uint64_t features; /* negotiated */
};

/* NULL: see @err; nothing is left. */
struct vhost_user *vhost_user_open(const struct vhost_user_config *config, struct weft_error *err);
/* No worker uses the device any more. */
void vhost_user_close(struct vhost_user *v);

void vhost_user_status(const struct vhost_user *v, struct vhost_user_status *status);

/* Packets that the guest sent on pair @q; the caller's. VIRTIO 1.1 s.5.1.6.2. */
uint16_t vhost_user_rx(struct vhost_user *v, uint16_t q, struct packet **pkts, uint16_t n);
/* Copies packets to the guest and frees those that it took; returns how many. VIRTIO 1.1 s.5.1.6.3. */
uint16_t vhost_user_tx(struct vhost_user *v, uint16_t q, struct packet **pkts, uint16_t n);

/* As in port_provider.h. VIRTIO 1.1 s.2.6.7. */
int vhost_user_rx_sleep(struct vhost_user *v, uint16_t q);
void vhost_user_rx_woken(struct vhost_user *v, uint16_t q);

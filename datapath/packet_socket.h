/* SPDX-License-Identifier: Apache-2.0
 *
 * Packet socket: frames of a kernel interface, with VLAN tags, checksum and segmentation state.
 *
 * What:     an AF_PACKET socket with virtio-net headers (PACKET_VNET_HDR) and auxiliary data; tags
 *           that the kernel took off are put back with their TPID. Or the descriptor of a tap, which has
 *           the same headers before the frames and leaves the tags in them.
 * Why:      DPDK's af_packet driver loses the 802.1ad TPID and the offload state, and cuts frames at 2 KiB.
 * Threads:  rx: the worker that owns the queue; tx: one worker at a time; the rest the ports thread.
 */
#pragma once

#include <stdint.h>

#include "lib/compiler.h"

struct packet;
struct packet_socket; /* opaque */
struct port;
struct rte_mempool;
struct weft_error;

/* Opens a socket on interface @ifindex. Received packets are of port @in_port; losses are counted
 * on @port. */
struct packet_socket *packet_socket_open(uint32_t ifindex, uint16_t in_port, struct port *port,
	struct rte_mempool *pool, struct weft_error *err) WEFT_MUST_CHECK;
/* The same on the descriptor of a tap (netdev_open_tap()), which is taken, also on failure. */
struct packet_socket *packet_socket_open_tap(int fd, uint16_t in_port, struct port *port,
	struct rte_mempool *pool, struct weft_error *err) WEFT_MUST_CHECK;
void packet_socket_close(struct packet_socket *s);

/* Readable when frames have come. */
int packet_socket_fd(const struct packet_socket *s);

/* Frames that the kernel had no room for. */
uint64_t packet_socket_missed(struct packet_socket *s);

/* As of struct port_provider. */
uint16_t packet_socket_rx(struct packet_socket *s, struct packet **pkts, uint16_t n);
uint16_t packet_socket_tx(struct packet_socket *s, struct packet **pkts, uint16_t n);

/* SPDX-License-Identifier: Apache-2.0
 *
 * A vhost-user guest for tests: plays the virtual machine monitor (the messages on the socket) and the
 * virtio-net driver (rings in a shared memfd).
 *
 * Rings: split ones with a buffer for each descriptor. With GUEST_F_RING_PACKED the transmit rings are
 *        packed, and nothing can be received.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_MAX_PAIRS 4u
#define GUEST_RING_SIZE 256u
#define GUEST_BUFFER_SIZE 2048u
#define GUEST_NET_HEADER_LEN 12u /* VIRTIO 1.1 s.5.1.6 */

/* VIRTIO 1.1 s.5.1.3 and s.6, vhost-user */
#define GUEST_F_CSUM (1ull << 0)
#define GUEST_F_MRG_RXBUF (1ull << 15)
#define GUEST_F_MQ (1ull << 22)
#define GUEST_F_LOG_ALL (1ull << 26)
#define GUEST_F_PROTOCOL_FEATURES (1ull << 30)
#define GUEST_F_VERSION_1 (1ull << 32)
#define GUEST_F_RING_PACKED (1ull << 34)
#define GUEST_FEATURES                                                                             \
	(GUEST_F_MRG_RXBUF | GUEST_F_MQ | GUEST_F_PROTOCOL_FEATURES | GUEST_F_VERSION_1)

#define GUEST_DESC_NEXT 1u
#define GUEST_DESC_WRITE 2u

/* Numbers of virtqueues. */
#define GUEST_RX(PAIR) (2 * (PAIR))
#define GUEST_TX(PAIR) (2 * (PAIR) + 1)

struct guest_ring {
	size_t desc, avail, used, buffers; /* offsets in the memory */
	uint16_t avail_idx, used_idx;
	int kick, call; /* eventfds */
};

struct guest {
	int fd; /* of the socket; -1: none */
	int memory_fd;
	uint8_t *memory;
	size_t memory_size;
	unsigned n_pairs;
	uint64_t offered, features;
	struct guest_ring rings[2 * GUEST_MAX_PAIRS];
};

/* Connects to a listening device. */
void guest_connect(struct guest *g, const char *path);
/* Waits for a connecting device on the listening socket @fd, which stays open. */
void guest_accept(struct guest *g, int fd);
/* A listening socket for guest_accept(). */
int guest_listen(const char *path);

/* Negotiates the @features that are offered, shares memory and starts @n_pairs; all is done by the
 * device when it returns. */
void guest_start(struct guest *g, unsigned n_pairs, uint64_t features);
/* Waits until the device has done all that was asked. */
void guest_sync(struct guest *g);
/* Enables or disables a virtqueue. */
void guest_enable(struct guest *g, unsigned queue, bool enable);
/* Stops a virtqueue; returns where the device stood. */
uint32_t guest_stop_ring(struct guest *g, unsigned queue);
/* Goes without a word. */
void guest_kill(struct guest *g);

/* The device's address of @offset in the memory. */
uint64_t guest_address(size_t offset);
/* Writes descriptor @index of a split ring. */
void guest_describe(struct guest *g, unsigned queue, uint16_t index, uint64_t address, uint32_t len,
	uint16_t flags, uint16_t next);
/* Makes the chain of a split ring that begins with descriptor @head available. */
void guest_offer(struct guest *g, unsigned queue, uint16_t head);
/* Sends a frame in as many buffers as it needs; kicks if the device wants that. */
void guest_send(struct guest *g, unsigned pair, const uint8_t *frame, size_t len);
/* Whether the device wants to be kicked. */
bool guest_wants_notice(const struct guest *g, unsigned queue);
/* The next frame that the device wrote: its length, 0: none. */
size_t guest_receive(struct guest *g, unsigned pair, uint8_t *frame, size_t capacity);
/* How often the device has called since the last question. */
uint64_t guest_calls(struct guest *g, unsigned queue);

/* SPDX-License-Identifier: Apache-2.0
 *
 * What the datapath's tests share: DPDK without huge pages, packets, naive checksums, random numbers.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/flow_key.h"
#include "lib/packet.h"

struct rte_mempool;

extern struct rte_mempool *lab_pool;

/* Starts DPDK once a process, without root, huge pages or anything left behind. */
int lab_start(void **state);
/* Buffers of the pool that are out. */
unsigned lab_n_buffers(void);

/* Seed from WEFT_SEED, or the time; printed. */
void lab_seed(const char *test);
uint64_t lab_random(void);
uint32_t lab_below(uint32_t n);

/* A frame in pieces: @bytes in hexadecimal, blanks ignored. Returns its length. */
size_t lab_hex(uint8_t *frame, size_t capacity, const char *hex);

/* A packet with these bytes; its first segment holds min(len, @first) of them (0: all that fit). */
struct packet *lab_packet(const uint8_t *frame, size_t len, uint16_t in_port, size_t first);
void lab_free(struct packet *p);
/* Copies the packet's bytes out and checks that its metadata agrees with the buffer. */
size_t lab_bytes(const struct packet *p, uint8_t *bytes, size_t capacity);

/* One's complement sum of the Internet checksum (RFC 1071), over @n bytes, begun with @sum. */
uint16_t lab_csum(const uint8_t *bytes, size_t n, uint32_t sum);

/* Frames: what a naive sender would send, checksums right. */
struct lab_frame {
	uint8_t bytes[2048];
	size_t len;
	size_t l3, l4; /* offsets */
};

enum lab_kind {
	LAB_TCP4,
	LAB_UDP4,
	LAB_ICMP4,
	LAB_SCTP4,
	LAB_TCP6,
	LAB_UDP6,
	LAB_ICMP6,
	LAB_ARP,
	LAB_KINDS,
};

/* @n_tags: 0 to 2; @payload: bytes behind the L4 header. Addresses and ports come from lab_random(). */
void lab_frame(struct lab_frame *f, enum lab_kind kind, unsigned n_tags, size_t payload);
/* Stores the IPv4 and L4 checksums anew. @zero_udp: IPv4 UDP without one. */
void lab_frame_csums(struct lab_frame *f, bool zero_udp);

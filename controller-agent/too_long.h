/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets that are too long for the way behind a tunnel port: the answer to their sender.
 *
 * What: as a router on the way would send it (RFC 1191, RFC 8201), but from the address that the packet was for:
 *       the switch has none in the guests' networks. It enters the switch by the tunnel port.
 * Why:  bridged guests believe it: the Linux kernel's own tunnels do the same.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct agent;
struct handler_packet_in;
struct of_context;

#define TOO_LONG_MAX_ANSWER (14u + 8 + 1280) /* Ethernet, two tags, the least MTU of IPv6 */
#define TOO_LONG_BUCKETS 256u
#define TOO_LONG_PER_S 100u /* for each of the buckets that input ports share */

struct too_long {
	struct {
		uint64_t refilled_ms;
		uint32_t tokens;
	} buckets[TOO_LONG_BUCKETS];
	uint64_t n_answered;
	uint64_t n_unanswered; /* none is allowed, or too many */
};

/* The frame that tells the sender of @frame that untagged IP packets may have @mtu bytes; its length. 0: there must not be one:
 * neither IPv4 that may not be fragmented nor IPv6, an ICMP error, a fragment, not from one host to one other, malformed;
 * or the MTU is less than the protocol allows. */
size_t too_long_answer(const uint8_t *frame, size_t len, uint32_t mtu, uint8_t *answer);

/* A packet that the datapath could not send: @c says by which port, and how long it may be. */
void agent_too_long(
	struct agent *a, const struct handler_packet_in *packet, const struct of_context *c);

/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of packets outside of the fast path: of one that a controller sent (packet-out), or that a user
 * wants traced or has captured.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flow_key;
struct flow_mask;
struct strbuf;

/* Fills all of @key from @len bytes, as packet_parse() finds it; in_port and everything that is not in the packet
 * is zero. False: a truncated Ethernet or VLAN header; @key is zero. */
bool packet_key_parse(const uint8_t *data, size_t len, struct flow_key *key);

/* Sets in @mask (all of it is written) what a packet with @key has: fields that are not zero, and ICMP's type. */
void packet_key_fields(const struct flow_key *key, struct flow_mask *mask);
/* Text of a packet's key, as a match of all that it has. */
void packet_key_format(const struct flow_key *key, struct strbuf *out);

/* SPDX-License-Identifier: Apache-2.0
 *
 * Packet parser of the slow path: the key of a packet that a controller sent (packet-out), or that a
 * user wants traced or has captured. As deep as the key goes; semantics as lib/flow_key.h says.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct flow_key;
struct strbuf;

/* Fills all of @key from @len bytes; in_port and everything that is not in the packet is zero. */
void packet_key_parse(const uint8_t *data, size_t len, struct flow_key *key);

/* Text of a packet's key, as a match of all that it has: fields that are not zero, and ICMP's type. */
void packet_key_format(const struct flow_key *key, struct strbuf *out);

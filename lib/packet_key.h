/* SPDX-License-Identifier: Apache-2.0
 *
 * Packet parser of the slow path: the key of a packet that a controller sent (packet-out), or that a
 * user wants traced or has captured. As deep as the key goes; semantics as lib/flow_key.h says.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct flow_key;

/* Fills all of @key from @len bytes; in_port and everything that is not in the packet is zero. */
void packet_key_parse(const uint8_t *data, size_t len, struct flow_key *key);

/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnels: packets put into them and taken out.
 *
 * In:       a prepared header (struct dp_encap) is copied in front of the packet, then its lengths, checksums,
 *           source port and what the flow decides are filled in.
 * Out:      all outer headers are checked, their fields become the packet's tunnel fields, and what they
 *           enclosed is a packet of its own.
 * To add:   a kind of tunnel is one file with its row, a line in tunnel.c, a kind in lib/dp_action.h and
 *           its header's check in lib/dp_encap.c.
 * Threads:  workers; headers are made by the tables thread and never change, but for sequence numbers.
 */
#pragma once

#include <stdint.h>

#include "datapath/edit.h"
#include "lib/dp_protocol.h"
#include "lib/packet.h"

#define TUNNEL_MAX_FRAGMENTS 128u

struct tunnel_encap;
struct worker;

/* @body: checked. */
struct tunnel_encap *tunnel_encap_create(const struct dp_encap *body);
void tunnel_encap_destroy(struct tunnel_encap *e);

/* Puts a parsed packet, which is not to be cut in segments, into a tunnel; it is the outer frame then, with
 * the offsets of its headers. @hash: of the packet's 5-tuple. Returns EDIT_OK or a drop reason, behind which
 * the packet is as it was: tunnel-loop, encap-bad, encap-too-long (than IP can be), tunnel-id-range,
 * tx-offload (a checksum that was left to us cannot be completed), no-headroom. */
int tunnel_encap(struct worker *w, struct packet *p, struct tunnel_encap *e, uint32_t hash);

/* Cuts an outer frame in fragments of IP packets of at most @mtu bytes each, complete packets. Returns how
 * many stand in @pieces; the frame stays the caller's. -EMSGSIZE: it may not be cut, or more than
 * TUNNEL_MAX_FRAGMENTS; -ENOMEM: no buffers, nothing is left. */
int tunnel_fragment(struct worker *w, const struct packet *p, uint32_t mtu, struct packet **pieces);

/* Takes a packet out of a tunnel of @kind: it is then the inner frame, with the tunnel fields of its outer
 * headers, still to be parsed. Returns EDIT_OK or a drop reason (see struct dp_action_decap), behind which
 * the packet may be changed. */
int tunnel_decap(struct packet *p, uint32_t kind);

/* SPDX-License-Identifier: Apache-2.0
 *
 * Rig of tunnels: a worker between two guests and an uplink (rig.h). Tunnels are VXLAN, with VNI 0x7b.
 *
 *     guest 1 --+              +-- uplink 2
 *               +-- worker ----+
 *     guest 4 --+   tunnel 3
 */
#pragma once

#include "lib/drop_reason.h"
#include "tests/unit/datapath/rig_object.h"

#define TUNNEL_RIG_N_PORTS 4
#define TUNNEL_RIG_PORT 3
#define TUNNEL_RIG_FRAME_MAX 16384
/* Bytes of the headers. */
#define TUNNEL_RIG_V4 50u
#define TUNNEL_RIG_V6 70u

extern struct rig_agent tunnel_rig_agent;
extern struct port *tunnel_rig_ports[TUNNEL_RIG_N_PORTS + 1];
extern uint8_t tunnel_rig_bytes[TUNNEL_RIG_FRAME_MAX]; /* of the last frame received */

void tunnel_rig_begin(void);
void tunnel_rig_end(void);

/* A frame whose ends know of no ECN. */
void tunnel_rig_frame(struct lab_frame *f, enum lab_kind kind, unsigned n_tags, size_t payload);

/* Puts a VXLAN header as object, over @object or a new one; the rest of @wanted is the caller's to fill in. */
struct dp_handle tunnel_rig_encap(const struct dp_encap *wanted, bool v6, struct dp_handle object);
struct dp_handle tunnel_rig_plain(void);
/* A flow of a tunnel's packets: in by @in_port with tunnel id @id. */
void tunnel_rig_flow(uint16_t in_port, uint32_t recirc_id, uint32_t id, const char *actions);

/* Waits until all that was sent has left, ended or been parked. */
void tunnel_rig_settle(void);
/* Sends by port @from and waits for that. */
void tunnel_rig_send(unsigned from, const uint8_t *frame, size_t len);
/* The frame drops for that reason, once. */
void tunnel_rig_expect_drop(
	unsigned from, const uint8_t *frame, size_t len, enum drop_reason reason);

/* The frame as it goes into a tunnel of tunnel_rig_plain(): naive, but for the source port. Returns its length. */
size_t tunnel_rig_outer(
	uint8_t *outer, const uint8_t *frame, size_t len, uint32_t vni, uint16_t port);
/* What waits at @port is that one frame: in such a tunnel, or as it is. */
void tunnel_rig_expect_outer(unsigned port, const uint8_t *frame, size_t len, uint32_t vni);
void tunnel_rig_expect_frame(unsigned port, const uint8_t *frame, size_t len);

/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnel ports of all switches, as packets from outside find them.
 *
 * What:    a listener stands for the tunnel ports that packets to one UDP port (or of GRE) can be for. What
 *          is decapsulated comes in by the listener's face, one of these ports; translation then looks for
 *          the right one by the tunnel fields, and looks at those alone in which they differ. GRE and
 *          ERSPAN, which is in GRE, share a listener.
 * Why:     the outer headers do not tell the port: the id stands behind them. One face for all makes one
 *          outer flow for all remotes.
 * Threads: the loop changes, handlers read without locks. A port is replaced by adding the new snapshot
 *          before the old one goes: readers always find one of them.
 */
#pragma once

#include <stdatomic.h>

#include "lib/list.h"
#include "ofproto/change_log.h"
#include "ofproto/grace.h"
#include "ofproto/of_tunnel.h"

struct of_model;
struct ofport;
struct flow_key;
struct flow_mask;

#define TUNNEL_CHAINS 4096u
#define TUNNEL_PROTO_UDP 17
#define TUNNEL_PROTO_GRE 47
/* What is given of a port, as bits: the more significant the sooner it is asked. */
#define TUNNEL_GIVEN_LOCAL 1u
#define TUNNEL_GIVEN_REMOTE 2u
#define TUNNEL_GIVEN_ID 4u
#define TUNNEL_N_GIVEN 8u

/* Dependencies of translations: on the listeners as a whole, where there are none; on one of them, that it is
 * there, its face and what its ports are known by. */
#define TUNNEL_DEP_ANY of_dep(OF_DEP_OTHER, 0, UINT64_C(1) << 32)
#define TUNNEL_DEP(DST_PORT)                                                                       \
	of_dep(OF_DEP_OTHER, 0, UINT64_C(1) << 32 | UINT64_C(1) << 31 | (DST_PORT))

struct tunnel_listener {
	struct grace_item retired;
	_Atomic(struct tunnel_listener *) next;
	_Atomic(const struct ofport *) face; /* NULL: none of them takes packets */
	_Atomic uint32_t n[TUNNEL_N_GIVEN];  /* ports by what is given of them */
	_Atomic uint32_t decap_kind; /* enum dp_tunnel_kind: that of its ports, or of either */
	uint8_t kind;                /* the loop's: of one of them */
	uint16_t dst_port;
	uint32_t n_ports, n_erspan; /* the loop's: how many there are, of them ERSPAN's */
	struct list ports;          /* the loop's: struct ofport's tunnel.by_listener */
};

struct tunnel_map {
	_Atomic(struct tunnel_listener *) listeners;
	_Atomic(const struct ofport *) chains[TUNNEL_CHAINS];
};

/* What a tunnel port's snapshot has for it. */
struct tunnel_link {
	_Atomic(const struct ofport *) next; /* of its chain */
	struct list by_listener;
	uint32_t chain;
};

struct tunnel_map *tunnel_map_create(void);
void tunnel_map_destroy(struct tunnel_map *map);

/* Loop: the port that the tunnel cannot be there together with, but for @self (NULL: nobody); and why. */
const struct ofport *tunnel_rival(
	struct of_model *m, const struct of_tunnel *t, const struct ofport *self, const char **why);
/* Loop: @port takes the place of @old; either may be NULL, or no tunnel's. */
void tunnel_replace(struct of_model *m, const struct ofport *old, const struct ofport *port);

/* Handler or loop: who takes packets to that UDP port, or GRE's (@dst_port 0). NULL: nobody. */
struct tunnel_listener *tunnel_listener_find(const struct of_model *m, uint16_t dst_port);
/* Whether there is any. */
bool tunnel_any_listener(const struct of_model *m);
/* Where decapsulated packets come in. NULL: all are down, or not in the datapath. */
const struct ofport *tunnel_face(const struct tunnel_listener *l);
/* As what packets are decapsulated. */
enum dp_tunnel_kind tunnel_decap_kind(const struct tunnel_listener *l);
/* The port of a decapsulated packet with these tunnel fields, of @face's listener. @looked gets what that
 * depended on. NULL: none. */
const struct ofport *tunnel_find(const struct of_model *m, const struct ofport *face,
	const struct flow_key *key, struct flow_mask *looked);

/* --- tunnel_header.c --- */

/* Fills @e and its header (room for DP_ENCAP_MAX_SIZE bytes, all zero) for packets that leave by the port and
 * that path, to @remote. @is_egress: a mirror has seen them go out. Returns the size of the body, a multiple of 8. */
size_t tunnel_header(const struct of_tunnel *t, const struct of_underlay_path *path,
	const struct of_underlay_addr *remote, bool is_egress, struct dp_encap *e);
/* The packet's tunnel fields that go into the headers, as enum dp_encap_flags. */
uint32_t tunnel_key_flags(const struct of_tunnel *t);
/* The longest IP packet, in bytes, that fits behind @e and an Ethernet header; 0: the path has no limit. */
uint32_t tunnel_inner_mtu(const struct dp_encap *e);

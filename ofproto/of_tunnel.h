/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnel ports: what their owner says of them.
 *
 * What:   a tunnel port is one end of a tunnel, or of many: each of remote and local address and id (VNI,
 *         GRE key) is either given, or taken from the packet's tunnel fields (tun_dst, tun_src, tun_id).
 * In:     a decapsulated packet belongs to the port that agrees with it in kind, UDP port and all that
 *         is given; of several to the one with a given id, then with a given remote, then with a given
 *         local address. Such a port is unique.
 * Out:    outer addresses come from the underlay (underlay_provider.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/dp_action.h"
#include "lib/dp_protocol.h"
#include "ofproto/underlay_provider.h"

struct weft_error;

#define OF_TUNNEL_VXLAN_PORT 4789
#define OF_TUNNEL_GPE_PORT 4790
#define OF_TUNNEL_GENEVE_PORT 6081
#define OF_TUNNEL_TTL 64
#define OF_TUNNEL_IDX_MAX 0xfffffu /* ERSPAN type II's index */
#define OF_TUNNEL_HWID_MAX 0x3fu   /* type III's hardware */

enum of_tunnel_from {
	OF_TUNNEL_GIVEN,
	OF_TUNNEL_FLOW,   /* the packet's tunnel field */
	OF_TUNNEL_PACKET, /* TOS, TTL: the inner IP header; without one what is given */
};

enum of_tunnel_csum {
	OF_TUNNEL_CSUM_AUTO, /* UDP over IPv6: other ends drop packets without (RFC 8200 s.8.1) */
	OF_TUNNEL_CSUM_NO,
	OF_TUNNEL_CSUM_YES,
};

enum of_tunnel_dir {
	OF_TUNNEL_DIR_MIRROR, /* as the mirror has seen the packet; others: inward */
	OF_TUNNEL_DIR_INGRESS,
	OF_TUNNEL_DIR_EGRESS,
};

struct of_tunnel {
	uint8_t kind;      /* enum dp_tunnel_kind: VXLAN, VXLAN_GPE, GENEVE, GRE, ERSPAN */
	uint8_t remote_by; /* these: enum of_tunnel_from */
	uint8_t local_by;
	uint8_t id_by;
	uint8_t tos_by;
	uint8_t ttl_by;
	uint8_t flags_by; /* don't fragment, UDP checksum; Geneve's O */
	uint8_t too_long; /* enum dp_encap_too_long */
	struct of_underlay_addr remote;
	struct of_underlay_addr local; /* all zero: any; the kernel chooses the source */
	uint32_t id;                   /* GRE: 0 is none; ERSPAN: the session */
	uint16_t dst_port;             /* UDP; GRE, ERSPAN: 0 */
	uint8_t tos;                   /* without ECN */
	uint8_t ttl;                   /* not 0 */
	bool dont_fragment;
	uint8_t csum;         /* of UDP, or GRE's: enum of_tunnel_csum */
	bool gbp;             /* VXLAN: group policy is taken from the packet's tunnel fields */
	bool seq;             /* GRE: packets are numbered; ERSPAN's always are */
	struct {              /* ERSPAN */
		uint8_t ver;  /* 1: type II, 2: type III */
		uint8_t dir;  /* III: enum of_tunnel_dir */
		uint8_t hwid; /* III */
		uint32_t idx; /* II */
	} erspan;
	bool bfd;           /* the datapath's port watches the path; remote and local are given */
	uint8_t bfd_mac[6]; /* where BFD's packets go to, besides addresses that are known */
	uint32_t bfd_id;    /* of BFD's packets, when the id is the flows' to say */
};

/* The largest id that the kind has room for. */
uint32_t of_tunnel_id_max(enum dp_tunnel_kind kind);

#define OF_FLOOD_MAX 64

/* The remotes of a tunnel port with remote=flow to which NORMAL sends what is for all, or for an address that it has not
 * seen; such a port learns behind which remote addresses are. */
struct of_flood {
	size_t n;
	struct of_underlay_addr remotes[];
};

/* Whether it makes sense by itself. The message stands behind "port NAME: ". */
bool of_tunnel_check(const struct of_tunnel *t, struct weft_error *err) WEFT_MUST_CHECK;
/* Why both cannot be there at the same time; NULL: they can. */
const char *of_tunnel_conflict(const struct of_tunnel *a, const struct of_tunnel *b);

/* Equal for tunnels that packets from outside cannot tell apart. */
uint32_t of_tunnel_hash(const struct of_tunnel *t);

bool of_underlay_addr_is_zero(const struct of_underlay_addr *a);
bool of_underlay_addr_is_v4(const struct of_underlay_addr *a);

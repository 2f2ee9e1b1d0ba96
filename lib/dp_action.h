/* SPDX-License-Identifier: Apache-2.0
 *
 * Datapath actions: what a fast-path flow does, as agent and datapath exchange it.
 *
 * Form:   a list of records, each a struct dp_action_hdr with its length (header included, a
 *         multiple of 8), all in host order but for packet header values, which are in network
 *         order. Some hold nested lists. An empty list is a drop of reason explicit.
 * Use:    the agent builds lists with dp_actions_*(); the datapath checks a copy with
 *         dp_actions_validate() and compiles it; both print them with dp_actions_format().
 * Limits: DP_ACTIONS_MAX_SIZE bytes and DP_ACTIONS_MAX_DEPTH levels a list.
 * To add: an enumerator, a row in dp_action.c's table, a test, a line in docs/design.md.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "lib/drop_reason.h"
#include "lib/field.h"

struct strbuf;
struct weft_error;

#define DP_ACTIONS_MAX_SIZE 65536 /* 4096 actions of 16 bytes */
#define DP_ACTIONS_MAX_DEPTH 8

/* A datapath port number: 0..DP_PORT_MAX. Never mixed with OpenFlow's. */
struct dp_port {
	uint32_t v;
};
#define DP_PORT_MAX 65534u
#define DP_PORT_MADE 65535u /* in_port of packets that the switch made itself */
#define DP_PORT_NONE ((struct dp_port){UINT32_MAX})

/* Identity of a flow or object: slot and generation, given by the datapath. {0, 0} is none:
 * generations begin at 1. */
struct dp_handle {
	uint32_t slot;
	uint32_t gen;
};

static inline bool
dp_handle_is_none(struct dp_handle h)
{
	return h.gen == 0;
}

enum dp_action_type {
	DP_ACTION_OUTPUT = 1,   /* struct dp_action_output */
	DP_ACTION_DROP,         /* struct dp_action_u32: enum drop_reason; ends the list */
	DP_ACTION_TO_AGENT,     /* struct dp_action_to_agent */
	DP_ACTION_PUSH_VLAN,    /* struct dp_action_push_vlan */
	DP_ACTION_POP_VLAN,     /* header alone: the outermost tag */
	DP_ACTION_SET_FIELD,    /* struct dp_action_set_field */
	DP_ACTION_DEC_TTL,      /* IPv4 TTL or hop limit. Header, then a nested list that runs in
	                         * place of the rest of this list when TTL would reach 0 */
	DP_ACTION_PUSH_MPLS,    /* struct dp_action_push_mpls */
	DP_ACTION_POP_MPLS,     /* struct dp_action_u32: new Ethernet type, host order */
	DP_ACTION_DEC_MPLS_TTL, /* as DEC_TTL, of the outermost label */
	DP_ACTION_COPY_TTL_OUT, /* header alone: next-to-outermost to outermost */
	DP_ACTION_COPY_TTL_IN,  /* header alone */
	DP_ACTION_PUSH_PBB,     /* struct dp_action_u32: Ethernet type, host order */
	DP_ACTION_POP_PBB,      /* header alone */
	DP_ACTION_SELECT,       /* struct dp_action_object: the actions of a bucket, by weight and
	                         * hash; see dp_protocol.h's struct dp_bucket */
	DP_ACTION_FIRST_LIVE,   /* struct dp_action_object: the actions of the first live bucket */
	DP_ACTION_METER,        /* struct dp_action_object: over its rate the packet ends here, or
	                         * has its DSCP changed; see struct dp_meter_band */
	DP_ACTION_SAMPLE,       /* struct dp_action_u32: probability in 1/2^32 less one, then a
	                         * nested list that runs on a copy */
	DP_ACTION_CLONE,        /* header, then a nested list that runs on a copy */
	DP_ACTION_RECIRC,       /* struct dp_action_u32: recirculation id; ends the list */
	DP_ACTION_ENCAP,        /* struct dp_action_object: a prepared tunnel header */
	DP_ACTION_DECAP,        /* struct dp_action_decap; ends the list */
	DP_ACTION_CHECK_LEN,    /* struct dp_action_check_len */
	DP_ACTION_HASH,         /* struct dp_action_hash: sets the key's hash */
	DP_ACTION_N,
};

struct dp_action_hdr {
	uint16_t type; /* enum dp_action_type */
	uint16_t zero;
	uint32_t len; /* bytes, header and nested lists included; a multiple of 8 */
};

struct dp_action_u32 {
	struct dp_action_hdr hdr;
	uint32_t v;
	uint32_t zero;
};

struct dp_action_output {
	struct dp_action_hdr hdr;
	uint32_t port;    /* struct dp_port's number */
	uint32_t max_len; /* send at most so many bytes; 0: all */
};

/* Sends the packet (a copy, the list goes on) to the agent. */
struct dp_action_to_agent {
	struct dp_action_hdr hdr;
	uint32_t context; /* an id whose opaque bytes the agent has put (DP_CTX_PUT), or 0 */
	uint16_t max_len; /* bytes of the packet; 65535: all */
	uint16_t reason;  /* opaque to the datapath */
};

struct dp_action_push_vlan {
	struct dp_action_hdr hdr;
	be16_t tpid; /* 0x8100 or 0x88a8 */
	be16_t tci;  /* the tag's 16 bits as they stand on the wire */
	uint32_t zero;
};

struct dp_action_push_mpls {
	struct dp_action_hdr hdr;
	be16_t eth_type; /* 0x8847 or 0x8848 */
	uint16_t zero;
	be32_t lse; /* label, TC and TTL; BoS is set as the packet needs it */
};

/* Sets the bits of @mask in a field. Behind it stand the value and the mask, each of the field's
 * n_bytes, and zeroes up to a multiple of 8. Fields of the tunnel key (block 2, 5, tun_id) set what
 * ENCAP will use. */
struct dp_action_set_field {
	struct dp_action_hdr hdr;
	uint16_t field; /* enum field_id, FIELD_WRITABLE and not FIELD_PIPELINE */
	uint16_t n_bytes;
	uint32_t zero;
	uint8_t data[];
};

struct dp_action_object {
	struct dp_action_hdr hdr;
	struct dp_handle object;
};

/* Checks and removes the outer headers up to and with the tunnel's, stores them in the packet's tunnel
 * fields (block 2, tun_id, block 5), and looks the packet up anew: it is then received by @port, and
 * counted there. Inner packets without an Ethernet header get one, of zero addresses. Needs @port to be
 * there (port-gone) and up (rx-disabled). Headers that are malformed or not of @kind: decap-bad; with a wrong
 * checksum: decap-checksum; fragments of outer packets: decap-fragment; what carries neither Ethernet nor
 * (GRE, Geneve, VXLAN-GPE) IP or MPLS: decap-protocol; Geneve options that must be understood and are
 * not: decap-option; bits set that VXLAN reserves: decap-reserved; marked congested, while the inner
 * packet's ends know of no ECN (RFC 6040 s.4.2): decap-ecn. */
struct dp_action_decap {
	struct dp_action_hdr hdr;
	uint32_t kind;      /* enum dp_tunnel_kind */
	uint32_t port;      /* in_port of the inner packet */
	uint32_t recirc_id; /* 0: as if received */
	uint32_t zero;
};

enum dp_tunnel_kind {
	DP_TUNNEL_VXLAN = 1,
	DP_TUNNEL_VXLAN_GPE,
	DP_TUNNEL_GENEVE,
	DP_TUNNEL_GRE,
	DP_TUNNEL_ERSPAN,
	DP_TUNNEL_GRE_OR_ERSPAN, /* DECAP alone: the one or the other, as the header says */
	DP_TUNNEL_KIND_N,
};

/* As in the text of DECAP. */
const char *dp_tunnel_kind_name(enum dp_tunnel_kind kind);

/* Packets longer than @max_len run the first nested list, others the second; both then go on. */
struct dp_action_check_len {
	struct dp_action_hdr hdr;
	uint32_t max_len;     /* of the frame */
	uint32_t longer_size; /* bytes of the first nested list */
};

/* The hash is of the masked key: n_fields field ids stand behind it as uint16_t. None: the 5-tuple
 * as the select action takes it. */
struct dp_action_hash {
	struct dp_action_hdr hdr;
	uint32_t basis;
	uint32_t n_fields;
	uint16_t fields[];
};

/* A growing list. */
struct dp_actions {
	uint8_t *data; /* heap, 8-aligned; NULL while empty */
	size_t size;
	size_t capacity;
};

void dp_actions_init(struct dp_actions *list);
void dp_actions_uninit(struct dp_actions *list);
void dp_actions_clear(struct dp_actions *list);
bool dp_actions_equal(const void *a, size_t a_size, const void *b, size_t b_size);

void dp_actions_put_output(struct dp_actions *list, struct dp_port port, uint32_t max_len);
void dp_actions_put_drop(struct dp_actions *list, enum drop_reason reason);
void dp_actions_put_to_agent(
	struct dp_actions *list, uint32_t context, uint16_t max_len, uint16_t reason);
void dp_actions_put_push_vlan(struct dp_actions *list, be16_t tpid, be16_t tci);
/* An action that is its header alone. */
void dp_actions_put_flag(struct dp_actions *list, enum dp_action_type type);
/* DROP, POP_MPLS, PUSH_PBB, RECIRC. */
void dp_actions_put_u32(struct dp_actions *list, enum dp_action_type type, uint32_t v);
void dp_actions_put_push_mpls(struct dp_actions *list, be16_t eth_type, be32_t lse);
/* @mask NULL: all bits of the field. */
void dp_actions_put_set_field(struct dp_actions *list, enum field_id field,
	const union field_value *value, const union field_value *mask);
void dp_actions_put_object(struct dp_actions *list, enum dp_action_type type, struct dp_handle h);
void dp_actions_put_decap(
	struct dp_actions *list, enum dp_tunnel_kind kind, struct dp_port port, uint32_t recirc_id);
void dp_actions_put_check_len(struct dp_actions *list, uint32_t max_len,
	const struct dp_actions *longer, const struct dp_actions *shorter);
void dp_actions_put_hash(
	struct dp_actions *list, uint32_t basis, const uint16_t *fields, uint32_t n_fields);
void dp_actions_append(struct dp_actions *list, const void *data, size_t size);

/* Opens a CLONE, SAMPLE, DEC_TTL or DEC_MPLS_TTL (@v: SAMPLE's probability, else 0): what is put
 * until dp_actions_end() of the returned offset is nested in it. */
size_t dp_actions_begin(struct dp_actions *list, enum dp_action_type type, uint32_t v);
void dp_actions_end(struct dp_actions *list, size_t at);

/* Walks a valid list:  for (a = dp_action_first(d, n); a; a = dp_action_next(a, d, n)) */
static inline const struct dp_action_hdr *
dp_action_first(const void *data, size_t size)
{
	return size ? (const struct dp_action_hdr *)data : NULL;
}

static inline const struct dp_action_hdr *
dp_action_next(const struct dp_action_hdr *a, const void *data, size_t size)
{
	const uint8_t *next = (const uint8_t *)a + a->len;

	return next < (const uint8_t *)data + size
		       ? (const struct dp_action_hdr *)(const void *)next
		       : NULL;
}

/* The nested list of @a: its start, its size in @size (0: none). CHECK_LEN: @which 0 longer, 1
 * not longer; else 0. */
const void *dp_action_nested(const struct dp_action_hdr *a, unsigned which, size_t *size);

/* Checks an untrusted list that the peer can no longer change: lengths, types, ranges, fields,
 * nesting, nothing behind an action that ends its list. */
bool dp_actions_validate(const void *data, size_t size, struct weft_error *err) WEFT_MUST_CHECK;

/* Text, as `output(3),push_vlan(tpid=0x8100,vid=10,pcp=0)`, `drop(explicit)`; names in source
 * and drop lists; an empty list is `drop`. Only a valid list may be formatted. Parsing takes what
 * formatting prints, appends to @list what dp_actions_validate() accepts, and leaves @list alone
 * when it fails. */
void dp_actions_format(const void *data, size_t size, struct strbuf *out);
bool dp_actions_parse(const char *text, size_t len, struct dp_actions *list,
	struct weft_error *err) WEFT_MUST_CHECK;

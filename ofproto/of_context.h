/* SPDX-License-Identifier: Apache-2.0
 *
 * Contexts: where in the pipeline a packet stood when it left, as opaque bytes with an id.
 *
 * What:     the datapath keeps contexts for us (DP_CONTEXT_PUT). A to-agent action carries the id of
 *           one that says which rule of which switch sent the packet; a recirculation id is the id of
 *           one that freezes the rest of a translation: table, registers, metadata, tunnel id, action
 *           set, what is left of the action list. Both draw from one number space.
 * Sharing:  equal bytes have one id, however many flows refer to it. Flows hold references; when
 *           the last one is gone, and a while after, the id is given up for good (of_model_events).
 * Threads:  handlers find and intern without locks, between enter and leave; the loop removes.
 * Limits:   OF_CONTEXTS_MAX at a time; DP_CONTEXT_MAX_SIZE bytes each.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/flow_key.h"
#include "ofproto/of_port.h"

struct of_model;
struct weft_error;

#define OF_CONTEXTS_MAX 262144
#define OF_CONTEXT_NONE 0u

enum of_context_kind {
	OF_CONTEXT_PACKET_IN = 1,
	OF_CONTEXT_FROZEN,
	OF_CONTEXT_TOO_LONG, /* for the path behind tunnel port @in_port, which takes @max_len (IP) */
	OF_CONTEXT_SNOOP,    /* a multicast listener's or router's message, for of_multicast.h */
};

enum of_packet_in_reason { /* OFPR_*, of OpenFlow 1.4: older codecs map 3 and above to ACTION */
	OF_REASON_NO_MATCH,
	OF_REASON_ACTION,
	OF_REASON_INVALID_TTL,
	OF_REASON_ACTION_SET,
	OF_REASON_GROUP,
	OF_REASON_PACKET_OUT,
};

/* Host order, but for what comes out of a key. Members that a kind does not use are zero. */
struct of_context {
	uint8_t kind;        /* enum of_context_kind */
	uint8_t table;       /* of the rule; FROZEN: where to go on */
	uint8_t reason;      /* PACKET_IN: enum of_packet_in_reason */
	uint8_t pause;       /* PACKET_IN: the controller will resume it; freeze data follows */
	uint32_t ofproto_id; /* the switch */
	uint32_t in_port;    /* OpenFlow port; 0: the one that the key's datapath port is */
	uint16_t max_len;    /* PACKET_IN: bytes that the controller asked for */
	uint16_t controller_id;
	uint64_t cookie;   /* PACKET_IN: of the rule; all ones: none */
	uint32_t depth;    /* FROZEN: resubmits so far */
	uint32_t mirrored; /* FROZEN: by which mirrors of the switch */
	uint16_t vlan;     /* SNOOP */
	be64_t metadata;
	be32_t tun_id_hi;
	be32_t pkt_mark;
	be32_t regs[FLOW_N_REGS];
	uint16_t userdata_len;   /* PACKET_IN */
	uint16_t action_set_len; /* FROZEN: of_actions */
	uint16_t actions_len;    /* FROZEN: what is left of the list */
	uint16_t stack_len;      /* FROZEN: of 64-bit words */
	const uint8_t *userdata; /* borrowed from the bytes */
	const void *action_set;  /* 8-aligned */
	const void *actions;
	const uint8_t *stack;
};

/* @buf: at least DP_CONTEXT_MAX_SIZE bytes, 8-aligned. The size, 0 if it does not fit. */
size_t of_context_encode(const struct of_context *c, void *buf);
/* Takes bytes apart that we encoded, now or in an earlier run; they are checked. */
bool of_context_decode(const void *bytes, size_t size, struct of_context *c,
	struct weft_error *err) WEFT_MUST_CHECK;

/* Handler or loop: the id of these bytes, with a reference for the caller. OF_CONTEXT_NONE: there
 * are too many. */
uint32_t of_context_intern(struct of_model *m, const void *bytes, size_t size);
/* Handler or loop: their id, if they have one, without a reference; else OF_CONTEXT_NONE. */
uint32_t of_context_lookup(const struct of_model *m, const void *bytes, size_t size);
/* Handler or loop: one reference less. */
void of_context_unref(struct of_model *m, uint32_t id);
/* Handler or loop: the bytes of an id, borrowed until leave. NULL: unknown. */
const void *of_context_find(const struct of_model *m, uint32_t id, size_t *size);
/* Loop: a context that the datapath has kept since an earlier run; without references. False: the
 * id or the bytes are there already, or too many. */
bool of_context_adopt(struct of_model *m, uint32_t id, const void *bytes, size_t size);
size_t of_context_count(const struct of_model *m);

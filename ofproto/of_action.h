/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenFlow actions and instructions, whatever the version they came by.
 *
 * Form:   a list of records like lib/dp_action.h's: each a struct of_action_hdr with its length
 *         (header included, a multiple of 8), in host order; field values and masks as in union
 *         field_value (big-endian). Some hold nested lists.
 * Whole:  a rule's instructions stand in one list, in the order in which they are executed: METER,
 *         the actions of apply-actions, CLEAR_ACTIONS, WRITE_ACTIONS, WRITE_METADATA, GOTO_TABLE.
 *         That is also how ovs-ofctl(8) writes them. A bucket, a packet-out and a WRITE_ACTIONS
 *         hold actions alone.
 * Use:    codecs and texts build lists with of_actions_put_*(), then of_actions_check().
 * To add: an enumerator, a row in of_action.c's table, its struct; its line in of_text.c,
 *         translate.c and the codecs; a test; a line in docs/openflow.md.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/field.h"
#include "ofproto/of_port.h"

struct of_match;
struct of_tlv_map;
struct weft_error;

#define OF_ACTIONS_MAX_SIZE 65536
#define OF_ACTIONS_MAX_DEPTH 8
#define OF_MAX_LEN_NO_BUFFER 0xffffu /* OFPCML_NO_BUFFER: the whole packet */
#define OF_N_TABLES 255              /* 0 .. 254 */
#define OF_TABLE_ALL 255

enum of_action_type {
	/* Actions. */
	OF_ACTION_OUTPUT = 1, /* struct of_action_output */
	OF_ACTION_CONTROLLER, /* struct of_action_controller: NXAST_CONTROLLER(2) */
	OF_ACTION_ENQUEUE,    /* struct of_action_enqueue: OpenFlow 1.0 */
	OF_ACTION_GROUP,      /* struct of_action_u32: group id */
	OF_ACTION_SET_QUEUE,  /* struct of_action_u32 */
	OF_ACTION_PUSH_VLAN,  /* struct of_action_u32: TPID */
	OF_ACTION_POP_VLAN,   /* header alone */
	OF_ACTION_SET_VLAN_VID, /* struct of_action_u32: OpenFlow 1.0, pushes a tag if there is none */
	OF_ACTION_SET_VLAN_PCP, /* struct of_action_u32: likewise */
	OF_ACTION_PUSH_MPLS,    /* struct of_action_u32: Ethernet type */
	OF_ACTION_POP_MPLS,     /* struct of_action_u32: Ethernet type */
	OF_ACTION_PUSH_PBB,     /* struct of_action_u32: Ethernet type */
	OF_ACTION_POP_PBB,
	OF_ACTION_SET_NW_TTL, /* struct of_action_u32 */
	OF_ACTION_DEC_NW_TTL,
	OF_ACTION_SET_MPLS_TTL, /* struct of_action_u32 */
	OF_ACTION_DEC_MPLS_TTL,
	OF_ACTION_COPY_TTL_OUT,
	OF_ACTION_COPY_TTL_IN,
	OF_ACTION_SET_FIELD,   /* struct of_action_set_field */
	OF_ACTION_COPY_FIELD,  /* struct of_action_copy_field: reg_move, move, 1.5 copy_field */
	OF_ACTION_RESUBMIT,    /* struct of_action_resubmit */
	OF_ACTION_CLONE,       /* header, nested list */
	OF_ACTION_LEARN,       /* struct of_action_learn: NXAST_LEARN(2) */
	OF_ACTION_FIN_TIMEOUT, /* struct of_action_fin_timeout */
	/* Instructions. METER is an action too, since OpenFlow 1.5. */
	OF_ACTION_METER, /* struct of_action_u32 */
	OF_ACTION_CLEAR_ACTIONS,
	OF_ACTION_WRITE_ACTIONS,  /* header, nested list */
	OF_ACTION_WRITE_METADATA, /* struct of_action_write_metadata */
	OF_ACTION_GOTO_TABLE,     /* struct of_action_u32 */
	OF_ACTION_N,
};

struct of_action_hdr {
	uint16_t type; /* enum of_action_type */
	uint16_t zero;
	uint32_t len;
};

struct of_action_u32 {
	struct of_action_hdr hdr;
	uint32_t v;
	uint32_t zero;
};

struct of_action_output {
	struct of_action_hdr hdr;
	uint32_t port;    /* struct of_port's number */
	uint16_t max_len; /* to CONTROLLER: bytes of the packet, OF_MAX_LEN_NO_BUFFER: all */
	uint16_t zero;
};

/* Behind it: userdata_len bytes, and zeroes up to a multiple of 8. */
struct of_action_controller {
	struct of_action_hdr hdr;
	uint16_t max_len;
	uint16_t controller_id;
	uint8_t reason; /* OFPR_* */
	uint8_t pause;  /* 1: translation waits for the controller's resume */
	uint16_t userdata_len;
	uint32_t meter; /* 0: none */
	uint32_t zero;
	uint8_t userdata[];
};

struct of_action_enqueue {
	struct of_action_hdr hdr;
	uint32_t port;
	uint32_t queue;
};

/* Behind it: value and mask, each n_bytes, and zeroes up to a multiple of 8. */
struct of_action_set_field {
	struct of_action_hdr hdr;
	uint16_t field; /* enum field_id */
	uint8_t n_bytes;
	uint8_t is_load; /* written as load: (NXAST_REG_LOAD); the same effect */
	uint32_t zero;
	uint8_t data[];
};

struct of_action_copy_field {
	struct of_action_hdr hdr;
	uint16_t src; /* enum field_id */
	uint16_t dst;
	uint16_t src_ofs; /* bits from the low end */
	uint16_t dst_ofs;
	uint16_t n_bits;
	uint16_t zero1;
	uint32_t zero2;
};

struct of_action_resubmit {
	struct of_action_hdr hdr;
	uint32_t in_port; /* OFPP_IN_PORT: the packet's own */
	uint8_t table;    /* OF_TABLE_ALL: the current one */
	uint8_t zero[3];
};

/* Once a TCP connection ends (FIN or RST), the rule's timeouts are at most these. */
struct of_action_fin_timeout {
	struct of_action_hdr hdr;
	uint16_t idle_timeout; /* s; 0: as it is */
	uint16_t hard_timeout;
	uint32_t zero;
};

enum of_learn_flags { /* NX_LEARN_F_* */
	OF_LEARN_SEND_FLOW_REM = 1 << 0,
	OF_LEARN_DELETE_LEARNED =
		1 << 1, /* what was learned goes with the last rule that learns it */
};

/* Adds a rule, or renews it. Behind it: the specs, each a struct of_learn_spec. */
struct of_action_learn {
	struct of_action_hdr hdr;
	uint64_t cookie;
	uint16_t idle_timeout;
	uint16_t hard_timeout;
	uint16_t priority;
	uint16_t flags;            /* enum of_learn_flags */
	uint32_t limit;            /* rules of this cookie in the table; 0: none */
	uint16_t fin_idle_timeout; /* the learned rule's FIN_TIMEOUT; both 0: it has none */
	uint16_t fin_hard_timeout;
	uint8_t table;
	uint8_t zero[7];
};

enum of_learn_to {
	OF_LEARN_MATCH,  /* the rule matches the bits */
	OF_LEARN_LOAD,   /* it loads them */
	OF_LEARN_OUTPUT, /* it outputs to the port of that number */
	OF_LEARN_TO_N,
};

/* Some bits of a field. */
struct of_learn_bits {
	uint16_t field; /* enum field_id */
	uint16_t ofs;   /* from the low end */
	uint8_t form;   /* enum oxm_form */
	uint8_t zero[3];
};

/* One thing of the rule to learn. Behind it, if it is a constant: its bytes, big-endian, the bits in the
 * low end; and zeroes up to a multiple of 8. */
struct of_learn_spec {
	uint8_t to; /* enum of_learn_to */
	uint8_t is_constant;
	uint16_t n_bits;
	uint32_t zero;
	struct of_learn_bits src; /* zero for a constant */
	struct of_learn_bits dst; /* zero for OUTPUT */
	uint8_t value[];
};

struct of_action_write_metadata {
	struct of_action_hdr hdr;
	uint64_t metadata;
	uint64_t mask;
};

/* A growing list. */
struct of_actions {
	uint8_t *data; /* heap, 8-aligned; NULL while empty */
	size_t size;
	size_t capacity;
	/* By which what is read into it understands tun_metadata fields (of_tlv.h); NULL: there are none. */
	const struct of_tlv_map *tlvs;
};

void of_actions_init(struct of_actions *list);
void of_actions_uninit(struct of_actions *list);
void of_actions_clear(struct of_actions *list);
bool of_actions_equal(const void *a, size_t a_size, const void *b, size_t b_size);

/* An action that is its header alone. */
void of_actions_put_flag(struct of_actions *list, enum of_action_type type);
/* Any struct of_action_u32. */
void of_actions_put_u32(struct of_actions *list, enum of_action_type type, uint32_t v);
/* @max_len counts for CONTROLLER alone; others keep it for who asks. */
void of_actions_put_output(struct of_actions *list, struct of_port port, uint16_t max_len);
void of_actions_put_controller(struct of_actions *list, uint16_t max_len, uint8_t reason,
	uint16_t controller_id, const void *userdata, uint16_t userdata_len, uint32_t meter,
	bool pause);
void of_actions_put_enqueue(struct of_actions *list, struct of_port port, uint32_t queue);
/* @mask NULL: all bits of the field. */
void of_actions_put_set_field(struct of_actions *list, enum field_id field,
	const union field_value *value, const union field_value *mask);
void of_actions_put_copy_field(struct of_actions *list, enum field_id src, uint16_t src_ofs,
	enum field_id dst, uint16_t dst_ofs, uint16_t n_bits);
void of_actions_put_resubmit(struct of_actions *list, struct of_port in_port, uint8_t table);
void of_actions_put_write_metadata(struct of_actions *list, uint64_t metadata, uint64_t mask);
void of_actions_append(struct of_actions *list, const void *data, size_t size);
void of_actions_put_fin_timeout(
	struct of_actions *list, uint16_t idle_timeout, uint16_t hard_timeout);
/* Opens a LEARN like @learn, whose header need not be filled; specs follow, then of_actions_end(). */
size_t of_actions_begin_learn(struct of_actions *list, const struct of_action_learn *learn);
/* @value: (n_bits + 7) / 8 bytes of a constant, without bits beyond n_bits; else not looked at. */
void of_actions_put_learn_spec(
	struct of_actions *list, const struct of_learn_spec *spec, const void *value);
/* Walks the specs; begin with NULL. NULL: no more. */
const struct of_learn_spec *of_learn_next(
	const struct of_action_learn *learn, const struct of_learn_spec *after);
/* Bytes of a constant. */
static inline size_t
of_learn_value_size(const struct of_learn_spec *spec)
{
	return spec->is_constant ? (spec->n_bits + 7u) / 8 : 0;
}
/* Opens a WRITE_ACTIONS or CLONE: what is put until of_actions_end() is nested in it. */
size_t of_actions_begin(struct of_actions *list, enum of_action_type type);
void of_actions_end(struct of_actions *list, size_t at);

/* Walks a list:  for (a = of_action_first(d, n); a; a = of_action_next(a, d, n)) */
const struct of_action_hdr *of_action_first(const void *data, size_t size);
const struct of_action_hdr *of_action_next(
	const struct of_action_hdr *a, const void *data, size_t size);
/* The list inside CLONE and WRITE_ACTIONS (others: none). */
const void *of_action_nested(const struct of_action_hdr *a, size_t *size);
/* Value and mask of a set-field, as unions. */
void of_action_set_field_get(
	const struct of_action_set_field *a, union field_value *value, union field_value *mask);

/* From METER on, but METER: never inside buckets, packet-outs, write-actions. */
bool of_action_is_instruction(enum of_action_type type);

/* What lists are judged by. */
struct of_check {
	const struct of_match *match; /* of the rule; NULL: no rule (bucket, packet-out) */
	uint8_t table;                /* of the rule */
	bool is_actions;              /* a bucket, packet-out or write-actions: no instructions */
	bool is_packet_out;           /* TABLE is a port there */
	/* Whether a group or meter is there; NULL: none is. */
	bool (*group_exists)(void *user, uint32_t id);
	bool (*meter_exists)(void *user, uint32_t id);
	void *user;
};

/* Checks ports, tables, fields (writable, value, mask, prerequisites under the match and the
 * actions before), tags, order of instructions, groups, meters and nesting. Errors as OpenFlow 1.3.5
 * s.6.4 and s.A.4.4 name them. */
bool of_actions_check(const void *data, size_t size, const struct of_check *check,
	struct weft_error *err) WEFT_MUST_CHECK;

/* Whether the list, nested ones included, outputs to the port, or names the group (filters of
 * OpenFlow 1.3.5 s.6.4). */
bool of_actions_output_to(const void *data, size_t size, struct of_port port);
bool of_actions_use_group(const void *data, size_t size, uint32_t group);

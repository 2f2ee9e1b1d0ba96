/* SPDX-License-Identifier: Apache-2.0
 *
 * Datapath protocol: how the agent rules the datapath.
 *
 * Session:  the agent connects to RUNDIR/datapath.sock and calls the JSON-RPC method session.open
 *           {"protocol": DP_PROTOCOL_VERSION, "epoch": E, "handlers": H, "name": TEXT}. @epoch is
 *           the agent's own number for this run of it. The reply
 *           {"instance": I, "session": S, "workers": W, "max_flows": F, "slots": N,
 *            "ring_size": R, "upcall_ring_size": U, "next_context": C, "last_epoch": P}
 *           brings descriptors, in this order: the statistics region; the eventfd that wakes the
 *           tables thread; for each handler its eventfd, the memfd of its command ring and of its
 *           reply ring; for each worker the memfd of its upcall ring. 64-bit numbers are decimal
 *           strings. Another version is refused in words, a second agent too while the first
 *           one's connection stands. Worker W's upcall ring is read by handler W % H; a handler
 *           sleeps on its one eventfd for all its rings.
 *           The connection is the session: when it closes, the rings are abandoned, flows and
 *           ports stay, misses drop as no-agent. A new session fences the old one: nothing of
 *           it is read any more once session.open has been answered.
 * Ports:    on the same connection, as JSON-RPC: port.add {"port": N, "name", "type", "options":
 *           {..}}, port.del {"port"}, port.set {"port", "options"}, port.list, and towards the agent
 *           the notification port.changed {a port.list entry}. Their order against the rings is the
 *           caller's business: port.add is answered when flows may output to the port, port.del
 *           when the port's flows are gone and its number is free for others.
 * Rings:    everything below. Commands of one ring are executed in order; replies come in order,
 *           one a command, but for a delete's, which waits for the grace period and comes when it
 *           has passed. A command is taken from its ring only while the reply ring has room, so
 *           a handler that does not read its replies stops its own commands and nobody else's.
 * Trust:    each message is copied out of the ring before it is checked. Wrong lengths or types
 *           are answered -EINVAL; a broken ring ends the session.
 * Form:     host order, but for what stands in keys and packets. A record's kind is the message
 *           type; variable parts follow the struct, each at a multiple of 8 from its start, in the
 *           order named in the remark.
 * Versions: agent and datapath must have the same; any change of this file raises it.
 */
#pragma once

#include <stdint.h>

#include "lib/dp_action.h"
#include "lib/flow_key.h"
#include "lib/stats_region.h"

struct weft_error;

#define DP_PROTOCOL_VERSION 1u

#define DP_MAX_HANDLERS 16u
#define DP_MAX_WORKERS 64u
#define DP_RING_SIZE (4u << 20)        /* command and reply rings */
#define DP_UPCALL_RING_SIZE (1u << 20) /* a port holds at most an eighth */
#define DP_MAX_MESSAGE (160u << 10)
#define DP_UPCALL_DATA_MAX 256u /* packet bytes in a miss, and in a link of a chain */
#define DP_CONTEXT_MAX_SIZE 2048u
#define DP_OBJECT_MAX_BODY (96u << 10)
#define DP_PARKED_PER_PORT 256u
#define DP_PARKED_PER_KEY 32u
#define DP_PARK_MS 1000u
#define DP_RECIRC_MAX 16u /* recirculations of one packet */
/* Of packets that a port has made to look after its link (BFD): they are to leave by it. No context's id. */
#define DP_RECIRC_OWN 0x80000000u

/* Commands (agent to tables thread) and their replies (type + DP_REPLY). */
enum dp_command_type {
	DP_FLOW_PUT = 1,
	DP_FLOW_DEL,
	DP_FLOW_LIST,
	DP_OBJECT_PUT,
	DP_OBJECT_DEL,
	DP_OBJECT_LIST,
	DP_CONTEXT_PUT,
	DP_CONTEXT_DEL,
	DP_CONTEXT_LIST,
	DP_EXECUTE,
	DP_BARRIER,
	DP_TUN_OPTS,
	DP_COMMAND_N,
};
#define DP_REPLY 0x100u
/* Items of a list come before its reply, with these types. */
#define DP_FLOW_ITEM (0x200u + DP_FLOW_LIST)
#define DP_OBJECT_ITEM (0x200u + DP_OBJECT_LIST)
#define DP_CONTEXT_ITEM (0x200u + DP_CONTEXT_LIST)

/* Begins every command. */
struct dp_command {
	uint64_t request; /* the agent's, comes back in the reply */
};

/* Begins every reply. */
struct dp_reply {
	uint64_t request;
	int32_t status; /* 0 or a negative errno */
	uint32_t zero;
};

/* Installs a flow, or changes the actions of the one with the same masked key, which keeps slot,
 * generation and counters. Behind it: key blocks, mask blocks, actions.
 *
 * The key is the whole key of the packet that asked, not masked: where the input port's budget of
 * masks is used up the flow is installed narrower (DP_PUT_NARROW) under a mask that contains
 * @mask. The mask must have the input port and recirculation id exact, and no bit in blocks 6, 7. */
struct dp_flow_put {
	struct dp_command cmd;
	uint8_t key_blocks;
	uint8_t mask_blocks; /* a subset of key_blocks, or blocks that are absent (zero) in the key */
	uint16_t flags;      /* enum dp_put_flags */
	uint32_t actions_size;
};

enum dp_put_flags {
	DP_PUT_EXCLUSIVE = 1 << 0, /* -EEXIST rather than a change; the reply names the flow */
	DP_PUT_MODIFY = 1 << 1,    /* -ENOENT rather than a new flow */
	DP_PUT_NARROW = 1 << 2,    /* narrow if need be; without it -EDQUOT */
};

/* -ENOSPC: the table or the port's share is full. -ESTALE: an action refers to an object that is not
 * there; -EINVAL: to one of another kind. With flag DP_PUT_NARROWED the mask that was taken
 * follows: its blocks. */
struct dp_flow_put_reply {
	struct dp_reply reply;
	struct dp_handle flow;
	uint8_t mask_blocks; /* 0: as asked */
	uint8_t zero1[3];
	uint32_t zero2;
};

/* Removes a flow. -ESTALE: it is gone. */
struct dp_flow_del {
	struct dp_command cmd;
	struct dp_handle flow;
};

/* Comes after the grace period: no worker credits the flow any more. */
struct dp_flow_del_reply {
	struct dp_reply reply;
	struct dp_handle flow;
	struct flow_stats final;
};

/* Lists from slot @from_slot on, up to @max items (0: 64). */
struct dp_list {
	struct dp_command cmd;
	uint32_t from_slot;
	uint32_t max;
};

struct dp_list_reply {
	struct dp_reply reply;
	uint32_t next_slot; /* where to go on; UINT32_MAX: that was all */
	uint32_t zero;
};

/* Behind it: masked key blocks, mask blocks (of the same bitmap), actions. */
struct dp_flow_item {
	uint64_t request;
	struct dp_handle flow;
	uint64_t epoch;      /* of the agent that put it last */
	uint64_t created_ms; /* CLOCK_MONOTONIC */
	uint8_t blocks;
	uint8_t zero1[3];
	uint32_t actions_size;
	struct flow_stats stats;
};

enum dp_object_kind {
	DP_OBJECT_SELECT = 1, /* struct dp_bucket each */
	DP_OBJECT_FIRST_LIVE, /* struct dp_bucket each */
	DP_OBJECT_METER,      /* struct dp_meter, struct dp_meter_band each */
	DP_OBJECT_ENCAP,      /* struct dp_encap, header bytes */
};

/* Installs an object (handle none) or replaces its body; flows that refer to it need no change, and
 * each packet sees either the old body or the new one. Parts (buckets, the meter and its bands) with
 * an @id that was there before keep their counters and their slots, bands also how full their buckets
 * are; those of the others are gone without a report. The kind of an object never changes. Behind it:
 * the body, of up to DP_OBJECT_MAX_BODY bytes. */
struct dp_object_put {
	struct dp_command cmd;
	struct dp_handle object;
	uint32_t kind; /* enum dp_object_kind */
	uint32_t n_parts;
	uint32_t body_size;
	uint32_t
		seed; /* SELECT: decides together with a packet's hash; 0: one of the datapath's. An object
	                * that has the seed of another one begins where that stands: buckets of the same
	                * id keep their packets as far as their weights allow */
};

/* -ESTALE: the object to be replaced, or one that the body refers to, is not there. -EINVAL: another
 * kind, of either. -ELOOP: it would refer to itself, by way of others too. -ENOSPC: objects or slots
 * of statistics are used up. -EOPNOTSUPP: the body asks for what the datapath cannot do. On errors all
 * is as before. Behind it: a struct dp_handle for each part, in order, that names its statistics
 * slot. */
struct dp_object_put_reply {
	struct dp_reply reply;
	struct dp_handle object;
	uint32_t n_parts;
	uint32_t zero;
};

/* -EBUSY while a flow or object refers to it (a flow that has been deleted does so no longer).
 * -ESTALE: it is gone. */
struct dp_object_del {
	struct dp_command cmd;
	struct dp_handle object;
};

/* After the grace period: no worker credits its parts any more. Behind it: struct flow_stats for each
 * part, in the order of the last put. */
struct dp_object_del_reply {
	struct dp_reply reply;
	struct dp_handle object;
	uint32_t n_parts;
	uint32_t zero;
};

/* Behind it: as in a put's reply, then the body. */
struct dp_object_item {
	uint64_t request;
	struct dp_handle object;
	uint32_t kind;
	uint32_t n_parts;
	uint32_t body_size;
	uint32_t zero;
};

/* A choice of actions. They run in place of the action that chose the bucket, on the packet itself: what
 * stands behind that action in its list sees their changes (CLONE keeps the packet as it is). Its
 * statistics count the packets that chose it.
 *
 * Live: a bucket that watches nothing always is; others while the port or the object that they watch
 * is. A port is live while it is there, administratively up and has a link. An object is live while
 * one of its buckets is; meters always are. Looked up for each packet, no agent needed.
 *
 * SELECT: by the packet's hash (what a HASH action set, else that of its 5-tuple) among live buckets
 * in proportion to their weights. A change to one bucket, or of its liveness, moves the packets that
 * it gains or loses, and hardly any others. FIRST_LIVE: the first live one in order; weights do not
 * matter. No live bucket: the packet drops as no-bucket. Buckets may refer to other objects
 * by actions; a packet that goes through more than DP_OBJECT_MAX_DEPTH of them one inside the other, or
 * looks at some thousands of objects and buckets in all, drops as action-limit. What is watched by
 * way of more than so many objects is not live. */
struct dp_bucket {
	uint32_t size;                 /* with its actions, a multiple of 8 */
	uint32_t id;                   /* unique in the object */
	uint32_t weight;               /* select: 0 is never chosen */
	uint32_t watch_port;           /* UINT32_MAX: none */
	struct dp_handle watch_object; /* SELECT or FIRST_LIVE; none */
	uint8_t actions[];
};
#define DP_OBJECT_MAX_DEPTH 8u

enum dp_meter_flags {
	DP_METER_PKTPS = 1 << 0, /* rates in packets a second, else kilobits */
	DP_METER_BURST = 1 << 1, /* bursts are as the bands say, else the datapath's choice */
	DP_METER_STATS = 1 << 2, /* the agent's; the datapath always counts */
};

/* Each band is a token bucket of its own, filled at its rate, over all workers together; a packet
 * that finds too few tokens exceeds the band and takes none. Of the bands that a packet exceeds the
 * one with the highest rate (the first of equal ones) acts; the others do nothing. A packet is
 * counted in the meter's part, and in that of the band that acted on it. Lengths are those of frames,
 * without FCS. */
struct dp_meter {
	uint32_t flags;
	uint32_t id; /* of its part; unique among those of the bands too */
};

enum dp_band_kind {
	DP_BAND_DROP = 1, /* drops as meter */
	DP_BAND_DSCP_REMARK, /* raises the drop precedence of an AF class (RFC 2597) by prec_level, to 3
	                      * at most; other packets stay as they are */
};

struct dp_meter_band {
	uint32_t id;
	uint32_t kind; /* enum dp_band_kind */
	uint32_t rate; /* kilobits or packets a second; 0: every packet exceeds it */
	uint32_t
		burst; /* kilobits or packets; 0: the datapath's choice. A packet longer than the burst
	                 * passes when the bucket is full, and its tokens are owed */
	uint32_t prec_level;
	uint32_t zero;
};

/* What the key says is said by the packet's tunnel fields: those that DECAP or DP_EXECUTE gave it, as
 * SET_FIELD has changed them; a packet without them has zeroes. */
enum dp_encap_flags {
	DP_ENCAP_ID_FROM_KEY = 1 << 0,   /* id: tun_id. The header has a place for one (GRE: a key).
	                                * Wider than that: drops as tunnel-id-range */
	DP_ENCAP_DST_FROM_KEY = 1 << 1,  /* outer destination: tun_dst, of the header's family, else
	                                  * drops as encap-bad. Ethernet is the header's all the
	                                  * same: the next hop to all such destinations */
	DP_ENCAP_TOS_INHERIT = 1 << 2,   /* outer DSCP: the packet's, if it is IP */
	DP_ENCAP_TTL_INHERIT = 1 << 3,   /* outer TTL: likewise */
	DP_ENCAP_UDP_CSUM = 1 << 4,      /* UDP checksum, else 0, over IPv6 too (RFC 6935) */
	DP_ENCAP_OPTS_FROM_KEY = 1 << 5, /* Geneve: tun_opts' options, behind those of the header;
	                                  * more than 252 bytes in all: drops as encap-bad */
	DP_ENCAP_GBP_FROM_KEY = 1 << 6, /* VXLAN: tun_gbp_id and tun_gbp_flags, unless both are 0 */
	DP_ENCAP_SRC_FROM_KEY =
		1 << 7, /* outer source: tun_src, as DST_FROM_KEY; 0: the header's */
	DP_ENCAP_TOS_FROM_KEY = 1 << 8, /* outer DSCP: tun_tos'. Not with TOS_INHERIT */
	DP_ENCAP_TTL_FROM_KEY =
		1 << 9, /* outer TTL: tun_ttl; 0: the header's. Not with TTL_INHERIT */
	DP_ENCAP_FLAGS_FROM_KEY = 1 << 10, /* don't fragment, UDP checksum, Geneve's O: as tun_flags
	                                    * says, not as the header and UDP_CSUM do */
	DP_ENCAP_L3 =
		1 << 11, /* GRE, Geneve, VXLAN-GPE: the packet goes without its Ethernet header,
	                        * whose type (IPv4, IPv6, MPLS) becomes the header's next protocol;
	                        * others, tagged ones too, drop as encap-bad */
};

/* What becomes of a packet that would be longer than the mtu (one that is still to be cut in segments:
 * each of them). Longer than IP can be: drops as encap-too-long in any case. */
enum dp_encap_too_long {
	DP_ENCAP_DROP,     /* as encap-too-long */
	DP_ENCAP_FRAGMENT, /* the outer packet in fragments, each of which goes on through the list;
	                    * the header may not say don't fragment, and if the key does: DROP */
	DP_ENCAP_TO_AGENT, /* as to_agent(context, max_len=65535, reason) does with the packet as it
	                    * was, which ends there as encap-too-long */
	DP_ENCAP_CUT, /* what does not fit of the packet is left out. Not with OPTS_FROM_KEY, L3 */
};

/* A tunnel's headers, prepared. ENCAP puts them in front of the packet, which is that outer frame from
 * then on: the actions behind see its headers, and its tunnel fields are zero. A packet that has been
 * encapsulated and not decapsulated since drops as tunnel-loop.
 *
 * @header: Ethernet (with up to two VLAN tags), IPv4 without options or IPv6 without extension headers,
 * UDP (not GRE, ERSPAN), the tunnel's header; nothing behind it. All is sent as it stands here but for
 *   what the flags say;
 *   IPv4 total length, identification (without don't-fragment a number of its own, else 0), checksum;
 *   IPv6 payload length;
 *   the ECN bits: those of the packet, if it is IP (RFC 6040 s.4.1, normal mode);
 *   UDP source port (49152 and more, by the packet's 5-tuple), length, checksum;
 *   GRE's checksum and sequence number where its flags say that there are some: numbers are those of the
 *   tunnel port, or without one of the object;
 *   ERSPAN: the packet's outermost VLAN tag (id, priority, type II: that there is one), that it was cut,
 *   and type III's time (of day, in steps of 100 us).
 * What stands in those places does not matter. */
struct dp_encap {
	uint32_t kind; /* enum dp_tunnel_kind */
	uint32_t flags;
	uint16_t size; /* of the header, up to DP_ENCAP_MAX_SIZE */
	uint16_t l3_off;
	uint16_t l4_off;   /* of UDP or GRE */
	uint16_t mtu;      /* longest outer L3 packet; 0: as IP allows */
	uint16_t too_long; /* enum dp_encap_too_long */
	uint16_t reason;   /* for the agent */
	uint32_t context;  /* likewise */
	uint32_t port;     /* tunnel port whose sent packets it counts; UINT32_MAX: none */
	uint16_t max_len;  /* longer packets are cut to so many bytes first; 0: none are */
	uint16_t zero;
	uint8_t header[];
};
#define DP_ENCAP_MIN_CUT 14u /* the least that is left of a packet that is cut */
#define DP_ENCAP_MAX_SIZE 256u

/* Keeps opaque bytes under an id of the agent's choice; ids are never reused within an instance.
 * -EEXIST. Behind it: the bytes, up to DP_CONTEXT_MAX_SIZE. */
struct dp_context_put {
	struct dp_command cmd;
	uint32_t id; /* from 1 */
	uint32_t size;
};

/* -ENOENT. That no flow refers to it any more is the agent's to know. */
struct dp_context_del {
	struct dp_command cmd;
	uint32_t id;
	uint32_t zero;
};

/* Lists count ids in place of slots. */
struct dp_context_item {
	uint64_t request;
	uint32_t id;
	uint32_t size;
};

/* A parked packet: given in the upcall record. 0 is none. */
struct dp_parked {
	uint64_t v;
};

enum dp_execute_flags {
	DP_EXECUTE_REPLY = 1 << 0, /* answer also when it went well */
	DP_EXECUTE_KEEP = 1 << 1,  /* the packet stays parked (to-agent for more of its bytes) */
};

/* Runs actions on a parked packet and those that joined it (-ESTALE: gone), after the puts sent
 * before it; or on bytes, as if they had been received on @in_port. Failures alone are answered
 * unless DP_EXECUTE_REPLY. Behind it: metadata key blocks (recirculation id, tunnel; for bytes
 * only), actions, bytes. */
struct dp_execute {
	struct dp_command cmd;
	struct dp_parked parked;
	uint32_t in_port; /* for bytes; UINT32_MAX: made by the switch, no port */
	uint32_t flags;   /* enum dp_execute_flags */
	uint32_t actions_size;
	uint32_t data_len; /* up to PACKET_MAX_LEN */
	uint8_t key_blocks;
	uint8_t zero1[3];
	uint32_t zero2;
};

/* Answered when all earlier commands of this ring are in force: executed, and seen by every
 * worker (a grace period), deletes included. */
struct dp_barrier {
	struct dp_command cmd;
};

/* An option of Geneve that flows know: where its data stand in tun_opts. */
struct dp_tun_opt {
	uint16_t opt_class;
	uint8_t type;   /* all 8 bits: also the one that says that it must be understood */
	uint8_t len;    /* of its data, a multiple of 4; one of another length is not known */
	uint8_t offset; /* of its data in tun_opts; no two overlap */
	uint8_t slot;   /* 1 << slot in tun_opts_present says that it is there */
	uint8_t zero[2];
};
#define DP_TUN_OPTS_MAX 64u

enum dp_tun_opts_flags {
	DP_TUN_OPTS_SET = 1 << 0, /* from now on these @n, and no others; else @n is 0 */
};

/* Asks which options flows know, or says so. They outlast the session. -EAGAIN: set too often for now.
 * Behind it: the options. */
struct dp_tun_opts {
	struct dp_command cmd;
	uint32_t n;
	uint32_t flags; /* enum dp_tun_opts_flags */
};

/* Behind it: the options in force. */
struct dp_tun_opts_reply {
	struct dp_reply reply;
	uint32_t n;
	uint32_t zero;
};

/* Records of an upcall ring (worker to handler). */
enum dp_upcall_type {
	DP_UPCALL_MISS = 1,
	DP_UPCALL_TO_AGENT, /* an action; a chain of records where the bytes do not fit in one */
	DP_UPCALL_N,
};

enum dp_upcall_flags {
	DP_UPCALL_CSUM_COMPLETED = 1 << 0, /* data has checksums that were left to the receiver */
	DP_UPCALL_GSO = 1 << 1,
	DP_UPCALL_MORE = 1 << 2, /* the chain goes on in the next record of this ring */
};

/* Behind it: key blocks, data_len bytes of the packet. In a chain only the first record has a
 * key. */
struct dp_upcall {
	struct dp_parked parked; /* MISS: answer by DP_EXECUTE; TO_AGENT: none */
	uint64_t time_ns;        /* CLOCK_MONOTONIC, when it was received */
	uint32_t packet_len;     /* of the whole packet */
	uint32_t data_off;       /* where these bytes stand in it */
	uint16_t data_len;
	uint8_t key_blocks;
	uint8_t zero;
	uint16_t flags;   /* enum dp_upcall_flags */
	uint16_t reason;  /* of the to-agent action */
	uint32_t context; /* of the to-agent action */
	uint32_t hash;    /* of the packet, as select would take it */
};

/* A message taken apart: pointers into the caller's copy. Unused parts are NULL, 0. */
struct dp_message {
	uint32_t type;
	const void *body;    /* the struct of that type */
	struct flow_key key; /* unpacked, absent blocks zero */
	struct flow_mask mask;
	uint8_t key_blocks;
	uint8_t mask_blocks;
	const void *actions; /* validated, for commands and flow items */
	size_t actions_size;
	const uint8_t *data; /* packet bytes, context bytes, object body or struct dp_tun_opt */
	size_t data_len;
	const struct dp_handle *parts;
	const struct flow_stats *part_stats;
	uint32_t n_parts;
};

/* Checks and takes apart one record that was copied to @buf (8-aligned, @len bytes). All lengths,
 * ranges, reserved zeroes and action lists are checked; handles, ports and ids are the receiver's
 * to look up. */
bool dp_command_decode(uint32_t kind, const void *buf, size_t len, struct dp_message *msg,
	struct weft_error *err) WEFT_MUST_CHECK;
bool dp_reply_decode(uint32_t kind, const void *buf, size_t len, struct dp_message *msg,
	struct weft_error *err) WEFT_MUST_CHECK;
bool dp_upcall_decode(uint32_t kind, const void *buf, size_t len, struct dp_message *msg,
	struct weft_error *err) WEFT_MUST_CHECK;

/* Checks an object's body (DP_OBJECT_PUT): size, sizes, ids, kinds, nested action lists. */
bool dp_object_validate(uint32_t kind, const void *body, size_t size, uint32_t n_parts,
	struct weft_error *err) WEFT_MUST_CHECK;

/* Writers, straight into a ring record: false when the ring is full. The caller publishes. */
struct shm_ring;
bool dp_send_flow_put(struct shm_ring *r, uint64_t request, const struct flow_key *key,
	uint8_t key_blocks, const struct flow_mask *mask, uint16_t flags, const void *actions,
	size_t actions_size);
bool dp_send_execute(struct shm_ring *r, const struct dp_execute *head, const struct flow_key *key,
	const void *actions, const void *data);
/* Any message whose parts are fixed structs or plain bytes: head, then @n parts of given sizes,
 * each padded to 8. */
struct dp_part {
	const void *data;
	size_t size;
};
bool dp_send(struct shm_ring *r, uint32_t kind, const void *head, size_t head_size,
	const struct dp_part *parts, unsigned n_parts);

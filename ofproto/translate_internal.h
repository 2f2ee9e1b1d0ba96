/* SPDX-License-Identifier: Apache-2.0
 *
 * Translation: the state of one, shared by translate.c (tables and lists), translate_packet.c (what
 * has become of the packet), translate_put.c (the actions for that), translate_output.c (ports, controllers), translate_normal.c (NORMAL) and
 * translate_port.c (how it comes into a switch).
 */
#pragma once

#include "lib/compiler.h"
#include "ofproto/change_log.h"
#include "ofproto/ofproto_internal.h"
#include "ofproto/translate.h"
#include "ofproto/underlay_provider.h"

#define XLATE_MAX_PUSHES 4

/* Where a tag's bits in the key come from. */
enum tag_origin {
	TAG_FROM_OUTER, /* the packet's outer tag */
	TAG_FROM_INNER,
	TAG_MADE, /* nothing of the packet's: pushed, or unknown beyond the inner tag */
};

struct of_context;

struct xlate_push {
	be16_t tpid;
	be16_t tci; /* once another tag lies on it */
};

/* A packet in the middle of translation. */
struct xlate_packet {
	struct flow_key key;  /* as the pipeline sees it; in_port is OpenFlow's */
	struct flow_key base; /* what the actions put so far have made of it */
	struct flow_mask
		made; /* bits of @key that do not depend on the packet as it was received */
	struct flow_mask pending;  /* bits of @key that were set and not yet put */
	struct flow_mask fixed;    /* bits of @base that actions put have made constants */
	enum tag_origin origin[2]; /* of the outer and the inner tag in @key */
	uint8_t n_pops;            /* tags to pop, then */
	uint8_t n_pushes;          /* tags to push, not yet put */
	struct xlate_push pushes[XLATE_MAX_PUSHES]; /* lowest first */
	enum tag_origin own_origin; /* of the outermost tag that is not one of @pushes */
	be16_t own_tci;             /* that tag; while there are pushes */
	struct {                    /* the inner tag that the first push moved out of sight */
		be16_t tci, tpid, made_tci, made_tpid;
		enum tag_origin origin;
	} hidden;
	bool ttl_moved; /* @key's TTL depends on all of the packet's */
	bool is_opaque; /* headers behind the label stack are not in the key: recirculate */
	bool is_outer; /* encapsulated: what is not @made is unknown, and not the received packet's */
};

struct xlate {
	const struct translate_in *in;
	struct translation *out;
	struct of_model *model;
	struct ofproto *p;
	struct dp_port
		came_by; /* what @in's key tells; DP_PORT_NONE: a packet-out, which came by none */
	struct xlate_packet pkt;
	struct of_actions action_set; /* as written, unsorted */
	struct of_actions frozen;     /* what is left of the lists when it stops to recirculate */
	struct rule *rule;            /* whose actions run; NULL: a packet-out's */
	uint64_t cookie;
	uint8_t table;
	uint8_t reason; /* enum of_packet_in_reason for CONTROLLER */
	unsigned depth; /* of resubmits */
	unsigned group_depth;
	unsigned object_depth;               /* of buckets that the datapath chooses */
	bool no_object;                      /* a bucket cannot be the datapath's to choose */
	struct translate_counters *counters; /* where groups, buckets and rules are noted */
	struct { /* while it goes out by @port: its far end, NORMAL's to know */
		const struct ofport *port;
		const struct of_underlay_addr *remote;
	} chosen;
	unsigned n_actions;
	uint32_t mirrored;       /* by which mirrors of the switch */
	bool is_mirror_copy;     /* what is put now is for one */
	bool mirror_is_egress;   /* then: it was seen going out */
	uint16_t mirror_max_len; /* likewise: it is to be cut to so many bytes; 0: not */
	bool from_underlay;      /* it was received by an underlay port */
	bool has_output;         /* the packet, or a copy, goes somewhere */
	uint64_t lost;           /* bits by enum drop_reason: why copies did not get into tunnels */
	bool stopped;            /* nothing more may happen to this packet */
	bool freezing;
	uint8_t freeze_table;  /* where to go on; OF_TABLE_ALL: with the list alone */
	enum drop_reason drop; /* why, if nothing has been output */
	bool failed;           /* whatever was put: the result is a drop for that reason */
};

/* A remark, if somebody traces; translate_trace.h has what else can be told. */
#define xlate_trace(X, ...)                                                                        \
	do {                                                                                       \
		if (__builtin_expect((X)->in->trace != NULL, 0)) {                                 \
			xlate_tell(X, __VA_ARGS__);                                                \
		}                                                                                  \
	} while (0)
void xlate_tell(struct xlate *x, const char *format, ...) WEFT_PRINTF(2, 3);

/* --- translate.c --- */

/* Ends translation with a drop. */
void xlate_fail(struct xlate *x, enum drop_reason reason);
/* From table 0 to the end of the action set. */
void xlate_pipeline(struct xlate *x);
/* Looks up in a table, and runs what is found. */
void xlate_table(struct xlate *x, uint8_t table);
/* Ends a whole list that sends the packet somewhere; what was lost of it is counted. */
void xlate_end_list(struct dp_actions *list, uint64_t lost);
/* A copy that nothing comes after need not be one; in the list that begins @from there. */
void xlate_unwrap_last_clone(struct dp_actions *list, size_t from);

/* --- translate_list.c --- */

/* Looks up in a table, runs what is found, and goes on after it where it was. @from: OFPP_IN_PORT, or as which port's
 * packet; @to: OF_TABLE_ALL: the current table. */
void xlate_resubmit(struct xlate *x, struct of_port from, uint8_t to);

/* Runs a list. */
void xlate_list(struct xlate *x, const void *data, size_t size);
/* Runs a list as an action set. */
void xlate_set(struct xlate *x, const void *data, size_t size);
/* Takes what was written for the end and does it. */
void xlate_action_set(struct xlate *x);
/* Runs a list on a copy of the packet: what it does to it ends with it. What it puts stands in a clone
 * if need be. @is_set: as an action set. */
void xlate_on_copy(struct xlate *x, const void *data, size_t size, bool is_set);

/* Ends a clone that was begun @at; it goes if what it does changes nothing for what comes after it. */
void xlate_end_copy(struct dp_actions *list, size_t at);

/* --- translate_deps.c --- */

/* Notes that the result depends on something of this switch, whether it is there or not. */
void xlate_depend(struct xlate *x, enum of_dep_kind kind, uint64_t id);
/* The same for what is of another switch, or of none: of_dep(). */
void xlate_depend_on(struct xlate *x, uint64_t dep);
/* How a tunnel's far end is reached; whether an address is the host's: noted likewise. */
const struct of_underlay_route *xlate_underlay(struct xlate *x, const struct of_underlay_key *key);
bool xlate_owns_address(struct xlate *x, const struct of_underlay_addr *address);
/* A port of the switch; notes that the result depends on it, and on its peer. NULL: none. */
const struct ofport *xlate_port(struct xlate *x, struct of_port number);
/* All its ports; likewise. */
const struct ofport_set *xlate_ports(struct xlate *x);
/* What a lookup in a table found (NULL: nothing), and which bits it looked at. */
void xlate_note_lookup(
	struct xlate *x, uint8_t table, const struct rule *r, const struct flow_mask *looked);

/* --- translate_group.c --- */

void xlate_group(struct xlate *x, uint32_t id);
void xlate_meter(struct xlate *x, uint32_t id);
/* The flow, or the bucket, credits the counter. */
void xlate_note(struct xlate *x, struct of_counter *c);
/* A number for the packet's connection; looks at what tells connections apart. */
uint32_t xlate_hash(struct xlate *x, uint32_t basis);

/* --- translate_packet.c --- */

void xlate_packet_init(struct xlate *x, const struct flow_key *key, uint32_t in_port);
/* Notes that these bits of the key were looked at. */
void xlate_read(struct xlate *x, const struct flow_mask *bits);
void xlate_read_field(struct xlate *x, enum field_id field);
/* Whether the packet meets it; notes what that looked at. */
bool xlate_holds(struct xlate *x, enum field_prereq prereq);
bool xlate_is_tagged(struct xlate *x);
void xlate_set_field(struct xlate *x, enum field_id field, const union field_value *value,
	const union field_value *mask);
void xlate_set_u64(struct xlate *x, enum field_id field, uint64_t value, uint64_t mask);
void xlate_copy_field(struct xlate *x, const struct of_action_copy_field *a);
void xlate_push_vlan(struct xlate *x, uint16_t tpid);
void xlate_pop_vlan(struct xlate *x);
void xlate_push_mpls(struct xlate *x, uint16_t eth_type);
void xlate_pop_mpls(struct xlate *x, uint16_t eth_type);
void xlate_push_pbb(struct xlate *x, uint16_t eth_type);
void xlate_pop_pbb(struct xlate *x);
void xlate_set_ttl(struct xlate *x, bool mpls, uint8_t ttl);
/* False: it is known that the TTL is used up. */
bool xlate_dec_ttl(struct xlate *x, bool mpls);
void xlate_copy_ttl(struct xlate *x, bool out);
/* Whether any of these bits is not known before the datapath has parsed anew. */
bool xlate_is_unknown(const struct xlate *x, const struct flow_mask *bits);
bool xlate_is_unknown_field(const struct xlate *x, enum field_id field);

/* Puts the tag that was set, and those that were pushed or popped. */
void xlate_commit_vlan(struct xlate *x);

/* --- translate_put.c --- */

/* Puts the actions that bring the packet to what the key says, but for its tunnel fields. */
void xlate_commit(struct xlate *x);
/* Puts what was set of neighbour discovery so far: before its type changes, with which its fields come
 * and go. */
void xlate_commit_nd(struct xlate *x);
/* The same for the tunnel fields that an encapsulation with these flags (enum dp_encap_flags) takes. */
void xlate_commit_tunnel(struct xlate *x, uint32_t flags);
#define XLATE_ALL_TUNNEL_FIELDS UINT32_MAX
/* The packet came without tunnel fields. */
void xlate_packet_no_tunnel(struct xlate *x);

/* The packet has the option of whose data @mask has bits. */
void xlate_option_set(struct xlate *x, const union field_value *mask);

/* --- translate_output.c --- */

void xlate_output(struct xlate *x, struct of_port port, uint16_t max_len);
/* To one port, whatever it is. */
void xlate_put_output(struct xlate *x, const struct ofport *port);
/* Whether it sends, else the packet's loss is blamed on that; and tells a trace that it does not. */
bool xlate_may_send(struct xlate *x, const struct ofport *port);
void xlate_tell_mute(struct xlate *x, const struct ofport *port);
/* The port that the packet came in by; NULL: none, or it is gone. */
const struct ofport *xlate_in_port(struct xlate *x);
/* To the controllers, with a context. */
void xlate_to_agent(struct xlate *x, uint8_t reason, uint16_t max_len, uint16_t controller_id,
	const void *userdata, uint16_t userdata_len);
/* The context in which translation goes on after recirculation: puts RECIRC and ends. */
void xlate_freeze(struct xlate *x);
/* Interns the context; the translation owns the reference. False: translation has failed. */
bool xlate_put_context(struct xlate *x, const struct of_context *c, uint32_t *id);
/* Why a packet that goes nowhere in the end is dropped: the first cause. */
void xlate_blame(struct xlate *x, enum drop_reason reason);
/* Whether the port sends as it is set up; and whether its link is up too. */
bool xlate_port_can_send(const struct ofport *port);
bool xlate_port_is_live(const struct ofport *port);

/* --- translate_normal.c --- */

void xlate_normal(struct xlate *x);
/* The VLAN that NORMAL takes the packet to be in on @port; false: in none that the port is a member of. */
bool xlate_vlan_on(struct xlate *x, const struct ofport *port, uint16_t *vlan);
/* Copies that are in @vlan, by all ports that are members. */
void xlate_put_in_vlan(struct xlate *x, uint16_t vlan);

/* --- translate_learn.c --- */

/* The rule that the packet teaches. */
void xlate_learn(struct xlate *x, const struct of_action_learn *a);
/* Whether it must know more of the packet than is known. */
bool xlate_learn_needs_unknown(const struct xlate *x, const struct of_action_learn *a);
void xlate_fin_timeout(struct xlate *x, const struct of_action_fin_timeout *a);
/* What was tried is not what happens: keeps only the first of each. */
void xlate_unlearn(struct xlate *x, uint32_t n_learns, uint32_t n_fins);

/* --- translate_mirror.c --- */

/* The packet has come in by @port, or is about to go out there, and is now as it is on the wire. */
void xlate_mirror(struct xlate *x, const struct ofport *port, bool is_egress);

/* --- translate_port.c --- */

/* The packet comes into its switch by @port. */
void xlate_receive(struct xlate *x, const struct ofport *port);
/* Whether its sources are in the list. */
bool xlate_is_allowed(struct xlate *x, const struct of_allow *allow);
/* A copy of it goes on at the other end of a patch port. */
void xlate_patch(struct xlate *x, const struct ofport *port);
/* From here on it is in the switch of @port, as if it had come in there; the key is the caller's to change.
 * Returns the state of before, for xlate_come_back(). */
struct xlate *xlate_leave(struct xlate *x, const struct ofport *port);
void xlate_come_back(struct xlate *x, struct xlate *before);

/* --- translate_tunnel.c --- */

/* A copy of it goes out by a tunnel port. */
void xlate_tunnel(struct xlate *x, const struct ofport *port);
/* Whether there is a way to its far end now, if the port has a given one; true of other ports. */
bool xlate_tunnel_has_way(struct xlate *x, const struct ofport *port);
/* Whether it is encapsulated, and the action must know more of the outer headers than is known. */
bool xlate_needs_unknown(const struct xlate *x, const struct of_action_hdr *a);
/* It is to be output to a plain port: whether it is a tunnel's packet, and has been dealt with as such. */
bool xlate_decap(struct xlate *x, const struct ofport *port);
/* The tunnel port of a packet that came in by @face, which is its input port from here on. NULL: none; it is
 * blamed. */
const struct ofport *xlate_tunnel_port(struct xlate *x, const struct ofport *face);

/* --- translate_bfd.c --- */

/* Whether a packet that came out of the tunnel of @port is for its BFD session; it has been put there then. */
bool xlate_bfd_in(struct xlate *x, const struct ofport *port);
/* A packet that the session has made, which goes into the tunnel. False: the port has none. */
bool xlate_bfd_out(struct xlate *x, const struct ofport *port);

/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenFlow switches: ports, tables, rules, learned addresses.
 *
 * What:     struct of_model holds all switches of an agent, since one translation may cross from one
 *           to another, and the one version that they share. A struct ofproto is a switch. Nothing
 *           here does I/O or knows the time: callers say what time it is (@now_ms, CLOCK_MONOTONIC
 *           in ms, never going back).
 * Versions: every change is prepared under the next version and published with one store. A reader
 *           notes the version, then reads; what it installs under that version is checked again when
 *           the version has moved (flow_registry.h). Things that are not versioned one by one (ports,
 *           settings, learned addresses) are changed first and the version moved after: a reader may
 *           see them early, never late.
 * Threads:  the loop is the only writer: every function here is its, unless its comment says handler.
 *           Handlers read between of_reader_enter() and of_reader_leave().
 * Memory:   rules are freed when no table, transaction, query or fast-path flow refers to them and
 *           a grace period has passed.
 * Spec:     OpenFlow 1.3.5 s.5 and s.6.4, with importance and the like of 1.4.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/dp_action.h"
#include "lib/list.h"
#include "ofproto/of_action.h"
#include "ofproto/of_allow.h"
#include "ofproto/of_group.h"
#include "ofproto/of_match.h"
#include "ofproto/of_meter.h"
#include "ofproto/of_port.h"
#include "ofproto/of_tlv.h"
#include "ofproto/of_tunnel.h"

struct fdb;
struct fdb_place;
struct grace_reader;
struct of_model;
struct of_txn;
struct ofproto;
struct rule;
struct weft_error;

#define OF_MAX_RULES_PER_TABLE 1000000u

/* --- the model ----------------------------------------------------------------------------------- */

enum of_removed_reason { /* OFPRR_* */
	OF_REMOVED_IDLE,
	OF_REMOVED_HARD,
	OF_REMOVED_DELETE,
	OF_REMOVED_GROUP,
	OF_REMOVED_METER,    /* OpenFlow 1.4 */
	OF_REMOVED_EVICTION, /* OpenFlow 1.4 */
};

struct of_flow_view;

/* Calls from the loop's own functions (mostly of_model_run()). */
struct of_model_events {
	/* A rule with OF_FLAG_SEND_FLOW_REM is gone, and no fast-path flow that credited it is left: its
	 * counters are final. */
	void (*flow_removed)(void *user, struct ofproto *p, const struct of_flow_view *flow,
		enum of_removed_reason reason);
	/* No flow refers to a context any more and none will: the datapath may forget it. */
	void (*context_gone)(void *user, uint32_t id);
	void *user;
	/* A meter was added or changed, or is gone (of_meter.h); published. NULL: nobody listens. */
	void (*meter_changed)(void *user, struct ofproto *p, uint32_t meter);
	/* of_model_tlvs() tells others (of_tlv.h). NULL: nobody listens. */
	void (*tlvs_changed)(void *user);
};

struct of_model *of_model_create(const struct of_model_events *events);
/* Its switches and readers must be gone. */
void of_model_destroy(struct of_model *m);

/* Any thread. The version that is in force for new lookups. */
uint64_t of_model_version(const struct of_model *m);

/* Does what time brings: timeouts, ageing, freeing, flow-removed of rules that are no longer
 * credited. At most @budget rules or objects; returns whether there is more to do at once. Call it
 * also at of_model_next_ms(). */
bool of_model_run(struct of_model *m, uint64_t now_ms, unsigned budget);
/* When the next timeout may be due; UINT64_MAX: none. A rule's idle timeout is judged by the
 * statistics that handlers pulled (flow_registry.h): never before they all have pulled later than
 * the moment it would be due. */
uint64_t of_model_next_ms(const struct of_model *m);

/* The ids of contexts begin here (the datapath's "next_context"); before the first translation. */
void of_model_set_next_context(struct of_model *m, uint32_t id);

/* A thread that translates. NULL: too many. */
struct of_reader *of_reader_create(struct of_model *m);
void of_reader_destroy(struct of_reader *r);
/* Handler. Enter nests. */
void of_reader_enter(struct of_reader *r);
void of_reader_leave(struct of_reader *r);
struct of_model *of_reader_model(const struct of_reader *r);
/* Handler: all its flows' statistics were read at @now_ms or later and credited. */
void of_reader_stats_pulled(struct of_reader *r, uint64_t now_ms);

/* --- switches ------------------------------------------------------------------------------------ */

enum of_fail_mode {
	OF_FAIL_STANDALONE,
	OF_FAIL_SECURE,
};

#define OF_FDB_AGEING_S 300u
#define OF_FDB_MAX 8192u

struct of_settings {
	enum of_fail_mode fail_mode;
	uint16_t miss_send_len;    /* OFPT_SET_CONFIG; 1.0's table-miss packet-ins */
	bool invalid_ttl_to_agent; /* some controller wants OFPR_INVALID_TTL */
	bool standalone_now;       /* controllers are silent: every packet is treated as NORMAL */
	bool drop_fragments;       /* OFPC_FRAG_DROP: IP fragments do not come to the tables */
	uint32_t fdb_ageing_s;     /* OF_FDB_AGEING_S */
	uint32_t fdb_max;          /* OF_FDB_MAX */
	bool multicast_snooping;   /* of_multicast.h; off */
	bool multicast_flood;      /* groups that nobody has asked for; on */
	uint32_t multicast_ageing_s;
};

/* A switch without ports and rules (the agent adds the standalone rule, or restores what was). NULL
 * and @err when the name is taken. */
struct ofproto *ofproto_create(struct of_model *m, const char *name, uint64_t dpid,
	struct weft_error *err) WEFT_MUST_CHECK;
/* Removes its rules (without flow-removed) and ports. Handlers may be inside; memory goes later. */
void ofproto_destroy(struct ofproto *p);
struct ofproto *ofproto_find(const struct of_model *m, const char *name);
struct ofproto *ofproto_next(const struct of_model *m, const struct ofproto *after);

const char *ofproto_name(const struct ofproto *p);
uint64_t ofproto_dpid(const struct ofproto *p);
void ofproto_set_dpid(struct ofproto *p, uint64_t dpid);
/* Small number, unique in the model and never used again; stands in contexts. */
uint32_t ofproto_id(const struct ofproto *p);
/* Any thread, between enter and leave (the loop always). */
struct ofproto *ofproto_by_id(const struct of_model *m, uint32_t id);
struct of_model *ofproto_model(const struct ofproto *p);

void ofproto_get_settings(const struct ofproto *p, struct of_settings *s);
void ofproto_set_settings(struct ofproto *p, const struct of_settings *s);

/* Adds the priority-0 NORMAL rule of a new standalone switch to table 0. */
void ofproto_add_standalone_rule(struct ofproto *p, uint64_t now_ms);

/* --- ports --------------------------------------------------------------------------------------- */

enum of_port_config { /* OFPPC_* */
	OF_PORT_DOWN = 1 << 0,
	OF_PORT_NO_STP = 1 << 1, /* OpenFlow 1.0 */
	OF_PORT_NO_RECV = 1 << 2,
	OF_PORT_NO_RECV_STP = 1 << 3, /* OpenFlow 1.0 */
	OF_PORT_NO_FLOOD = 1 << 4,    /* OpenFlow 1.0 */
	OF_PORT_NO_FWD = 1 << 5,
	OF_PORT_NO_PACKET_IN = 1 << 6,
};

enum of_port_state { /* OFPPS_* */
	OF_PORT_LINK_DOWN = 1 << 0,
	OF_PORT_BLOCKED = 1 << 1,
	OF_PORT_LIVE = 1 << 2,
};

enum of_vlan_mode {
	OF_VLAN_TRUNK,
	OF_VLAN_ACCESS,
	OF_VLAN_NATIVE_TAGGED,
	OF_VLAN_NATIVE_UNTAGGED,
	OF_VLAN_DOT1Q_TUNNEL,
};

enum of_port_kind {
	OF_PORT_PLAIN, /* one of the datapath's */
	OF_PORT_PATCH, /* leads to another switch's */
	OF_PORT_TUNNEL, /* the datapath's, but nothing is output there: packets go on with outer headers */
};

#define OF_PORT_NAME_MAX 63

/* A port as its owner describes it. */
struct of_port_info {
	struct of_port number; /* 1 .. OFPP_MAX - 1, or OFPP_LOCAL */
	char name[OF_PORT_NAME_MAX + 1];
	struct dp_port dp_port; /* DP_PORT_NONE: the datapath does not have it (yet) */
	uint8_t mac[6];
	uint32_t config;   /* enum of_port_config */
	uint32_t state;    /* enum of_port_state */
	bool is_path_down; /* the link is up, but nobody answers behind it: not live */
	uint32_t curr;     /* OFPPF_* */
	uint32_t advertised;
	uint32_t supported;
	uint32_t peer;
	uint32_t curr_speed; /* kbit/s */
	uint32_t max_speed;
	uint32_t mtu;
	bool is_underlay; /* tunnel packets that come in here may be for us */
	bool is_internal; /* a device of the host's: its kernel takes what is output here */
	enum of_vlan_mode vlan_mode;
	uint16_t tag;             /* VLAN of access, native and tunnel modes; 0: none */
	bool has_trunks;          /* without: every VLAN */
	uint64_t trunks[64];      /* bitmap of VLANs; VLAN 0: untagged packets on a trunk */
	bool is_multicast_router; /* NORMAL sends what listeners want, and their reports, here too */
	const struct of_allow *allow; /* NULL: all sources. The port keeps a copy of its own */
	enum of_port_kind kind;
	struct {
		uint32_t ofproto_id; /* UINT32_MAX: not there */
		struct of_port port; /* a patch port, whose peer is this one */
	} patch;
	struct of_tunnel tunnel;
	const struct of_flood
		*flood; /* NULL: NORMAL knows no remotes. The port keeps a copy of its own */
};

/* What went through a port that the datapath does not have, or a tunnel's. */
struct of_port_traffic {
	uint64_t rx_packets;
	uint64_t rx_bytes;
	uint64_t tx_packets;
	uint64_t tx_bytes;
};

/* Adds a port, or replaces what is known of the one with that number (flows follow by the version).
 * Fails when name or datapath port are another port's, or a tunnel makes no sense or is there already. */
bool ofproto_port_set(
	struct ofproto *p, const struct of_port_info *info, struct weft_error *err) WEFT_MUST_CHECK;
/* Removes it, with what was learned there. Nothing happens if it is not there. */
void ofproto_port_del(struct ofproto *p, struct of_port number);
/* Borrowed until the loop changes the port; handlers: until they leave. NULL: none. */
const struct of_port_info *ofproto_port_find(const struct ofproto *p, struct of_port number);
const struct of_port_info *ofproto_port_by_name(const struct ofproto *p, const char *name);
/* Handler or loop: which port of which switch a datapath port is. */
const struct of_port_info *of_model_port_by_dp(
	const struct of_model *m, struct dp_port port, struct ofproto **p);
/* In the order of their numbers; begin with OF_PORT(0). NULL: no more. */
const struct of_port_info *ofproto_port_next(const struct ofproto *p, struct of_port after);
size_t ofproto_n_ports(const struct ofproto *p);
/* Of a patch or tunnel port, as far as statistics were read (handlers). False: there is no such port. */
bool ofproto_port_traffic(
	const struct ofproto *p, struct of_port number, struct of_port_traffic *traffic);
/* The lowest number from 1 on that is free and below OF_PORT_AUTO_MAX; OF_PORT_NONE: none. */
struct of_port ofproto_port_free_number(const struct ofproto *p);

/* --- rules --------------------------------------------------------------------------------------- */

enum of_flow_command { /* OFPFC_* */
	OF_FLOW_ADD,
	OF_FLOW_MODIFY,
	OF_FLOW_MODIFY_STRICT,
	OF_FLOW_DELETE,
	OF_FLOW_DELETE_STRICT,
};

enum of_flow_flags { /* OFPFF_* */
	OF_FLAG_SEND_FLOW_REM = 1 << 0,
	OF_FLAG_CHECK_OVERLAP = 1 << 1,
	OF_FLAG_RESET_COUNTS = 1 << 2,
	OF_FLAG_NO_PKT_COUNTS = 1 << 3,
	OF_FLAG_NO_BYT_COUNTS = 1 << 4,
};

#define OF_DEFAULT_PRIORITY 0x8000

struct of_flow_mod {
	enum of_flow_command command;
	uint8_t table;         /* OF_TABLE_ALL: deletes and modifies in all; adds are refused */
	uint16_t priority;     /* ADD and the strict commands */
	uint16_t idle_timeout; /* s; 0: none */
	uint16_t hard_timeout; /* s; 0: none */
	uint16_t flags;        /* enum of_flow_flags */
	uint16_t importance;   /* OpenFlow 1.4 */
	uint64_t cookie;       /* ADD: the rule's; else compared under the mask */
	uint64_t cookie_mask;  /* modifies and deletes; 0: any */
	bool set_cookie;       /* MODIFY gives the rule @new_cookie too (OpenFlow 1.0) */
	bool modify_adds;      /* MODIFY that finds nothing adds (OpenFlow 1.0 to 1.1) */
	uint64_t new_cookie;
	struct of_port out_port; /* deletes: only rules that output there; OFPP_ANY: all */
	uint32_t out_group;      /* deletes; OFPG_ANY: all */
	struct of_match match;
	struct of_actions actions; /* instructions; the caller's */
};

/* All defaults: an ADD to table 0 that matches everything with no instructions. */
void of_flow_mod_init(struct of_flow_mod *fm);
void of_flow_mod_uninit(struct of_flow_mod *fm);

/* Executes one flow-mod whole or not at all, and publishes it. No transaction may be open. */
bool ofproto_flow_mod(struct ofproto *p, const struct of_flow_mod *fm, uint64_t now_ms,
	struct weft_error *err) WEFT_MUST_CHECK;

/* Whether the actions are fit for a packet-out, by the groups and meters that there are. @match: that only the
 * packet meets. */
bool ofproto_packet_out_check(const struct ofproto *p, const void *actions, size_t size,
	const struct of_match *match, struct weft_error *err) WEFT_MUST_CHECK;

/* Transactions: flow-, group- and meter-mods of any switches that come into force together. Each step sees those
 * before it. One is open at a time: of_txn_begin() returns NULL while another is, and until commit
 * or abort nothing else may change rules. Between steps the loop may do other things. */
/* @lost (@user) is called when it is taken back because something else has to change rules that cannot wait:
 * the end of a switch, standalone mode. @t is gone then; if it was published, it stays in force. */
struct of_txn *of_txn_begin(struct of_model *m, void (*lost)(void *user), void *user);
bool of_txn_flow_mod(struct of_txn *t, struct ofproto *p, const struct of_flow_mod *fm,
	uint64_t now_ms, struct weft_error *err) WEFT_MUST_CHECK;
/* Publishes with one store; the version from which it is in force. */
uint64_t of_txn_publish(struct of_txn *t);
/* Does so many steps of what is left to be done for a published one. True: there are more; false: that was all,
 * and @t is gone. */
bool of_txn_finish(struct of_txn *t, uint64_t now_ms, unsigned steps) WEFT_MUST_CHECK;
/* Both in one. Consumes @t. */
uint64_t of_txn_commit(struct of_txn *t, uint64_t now_ms);
/* Undoes all steps, of which nobody has seen any. Consumes @t. */
void of_txn_abort(struct of_txn *t);
bool of_model_in_txn(const struct of_model *m);

/* A rule as it is listed and persisted. Pointers are borrowed until the visitor returns. */
struct of_flow_view {
	struct of_match match;
	uint8_t table;
	uint16_t priority;
	uint16_t idle_timeout;
	uint16_t hard_timeout;
	uint16_t flags;
	uint16_t importance;
	uint64_t cookie;
	uint64_t created_ms;
	uint64_t used_ms; /* last packet, or created */
	uint64_t packets;
	uint64_t bytes;
	uint64_t now_ms; /* when it was asked (durations are differences) */
	const void *actions;
	size_t actions_size;
	uint64_t id; /* unique in the model, never used again: persistence names rules by it */
	const struct of_tlv_map *tlvs; /* by which options of Geneve in it are fields */
};

struct of_flow_query {
	struct of_match match; /* rules that it contains */
	uint8_t table;         /* OF_TABLE_ALL: all */
	uint64_t cookie;
	uint64_t cookie_mask;
	struct of_port out_port; /* OFPP_ANY: all */
	uint32_t out_group;      /* OFPG_ANY: all */
};

/* All rules. */
void of_flow_query_init(struct of_flow_query *q);

/* A query that goes on in slices: rules added meanwhile may be missed, those removed are. Rules come
 * in the order of tables, and within a table as they were added. */
struct of_flow_cursor;
struct of_flow_cursor *ofproto_query_begin(struct ofproto *p, const struct of_flow_query *q);
/* Visits up to @max_rules (looked at, not only shown) more; whether there are more. @visit false
 * stops before the next; that rule is not repeated. */
bool ofproto_query_step(struct of_flow_cursor *c, unsigned max_rules, uint64_t now_ms,
	bool (*visit)(const struct of_flow_view *flow, void *user), void *user);
void ofproto_query_end(struct of_flow_cursor *c);

struct of_aggregate {
	uint64_t packets;
	uint64_t bytes;
	uint32_t n_flows;
};
/* For ofproto_query_step(): adds the flow to @sum, a struct of_aggregate. Returns true. */
bool of_aggregate_add(const struct of_flow_view *flow, void *sum);
/* All at once. */
void ofproto_aggregate(struct ofproto *p, const struct of_flow_query *q, struct of_aggregate *sum);

struct of_table_stats {
	uint32_t n_active;
	uint64_t n_lookups;
	uint64_t n_matched;
};
void ofproto_table_stats(const struct ofproto *p, uint8_t table, struct of_table_stats *stats);
size_t ofproto_n_rules(const struct ofproto *p);

/* Persistence: adds a rule with the counters and times of @flow (whose times are on this run's clock:
 * created_ms and used_ms may lie before its start). Not checked again beyond what an ADD checks. */
bool ofproto_import_flow(struct ofproto *p, const struct of_flow_view *flow, uint64_t now_ms,
	struct weft_error *err) WEFT_MUST_CHECK;

/* Changes of rules, groups and meters, for the journal: called for each that was added or changed, or
 * is gone (the view NULL), once that is published; @published before them, for all together. NULL: nobody
 * listens. */
struct of_journal_ops {
	void (*published)(void *user);
	void (*flow)(void *user, struct ofproto *p, uint64_t id, const struct of_flow_view *flow);
	void *user;
	void (*group)(
		void *user, struct ofproto *p, uint32_t id, const struct of_group_view *group);
	void (*meter)(
		void *user, struct ofproto *p, uint32_t id, const struct of_meter_view *meter);
	/* The switch's TLV table is another. NULL: nobody listens. */
	void (*tlvs)(void *user, struct ofproto *p);
};
void of_model_set_journal(struct of_model *m, const struct of_journal_ops *ops);

/* --- learned addresses (fdb.h) ------------------------------------------------------------------- */

struct fdb *ofproto_fdb(const struct ofproto *p);
/* Loop: a packet with that source came from @port. Moves the version if it changes something. */
void ofproto_fdb_learn(struct ofproto *p, uint16_t vlan, const uint8_t mac[6], struct of_port port,
	uint64_t now_ms);
/* The same, from a remote of a tunnel port. */
void ofproto_fdb_learn_at(struct ofproto *p, uint16_t vlan, const uint8_t mac[6],
	const struct fdb_place *place, uint64_t now_ms);
/* A static entry; it neither ages nor moves. */
bool ofproto_fdb_add_static(struct ofproto *p, uint16_t vlan, const uint8_t mac[6],
	struct of_port port, struct weft_error *err) WEFT_MUST_CHECK;
bool ofproto_fdb_del(struct ofproto *p, uint16_t vlan, const uint8_t mac[6]);
/* All that was learned; static entries stay. */
void ofproto_fdb_flush(struct ofproto *p);

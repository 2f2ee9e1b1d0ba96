/* SPDX-License-Identifier: Apache-2.0
 *
 * The agent's parts, as its files see each other:
 *   agent.c      life, wiring, the turn of the loop, takeover
 *   apply.c      changes: from what is present to what is wanted
 *   ports.c      ports in the datapath: made, adopted, removed, tried again
 *   patch.c      patch ports
 *   tunnel_port.c    tunnel ports
 *   too_long.c   packets that are too long for a tunnel
 *   mirrors.c    mirrors
 *   multicast.c  multicast snooping
 *   switches.c   switches and their ports in ofproto/ and on the wire
 *   packets.c    packet-ins and packet-outs
 *   meters.c     meters in the datapath
 *   persist.c, persist_old.c    rules, addresses and counters as records of the state: written, read
 *   bfd.c        the listing of BFD sessions
 *   learned.c    what handlers have seen packets teach
 *   tunnels.c    what the underlay is to know, and what it says of tunnel ports
 *   rpc.c, rpc_flow.c, rpc_object.c, rpc_trace.c   agent.sock
 */
#pragma once

#include <event2/event.h>
#include <jansson.h>

#include "controller-agent/agent.h"
#include "controller-agent/config.h"
#include "controller-agent/dp_client.h"
#include "controller-agent/handler.h"
#include "controller-agent/of_service.h"
#include "controller-agent/state.h"
#include "controller-agent/too_long.h"
#include "controller-agent/underlay.h"
#include "lib/error.h"
#include "lib/list.h"
#include "ofproto/ofproto.h"

struct agent_meters;
struct agent_traces;
struct change;
struct persist;
struct rpc_call;
struct rpc_server;

#define AGENT_PORT_RETRY_MS 5000
#define AGENT_SLICE_NS 1000000
#define AGENT_OF_LOCAL 0xfffeu /* LOCAL in the state */

enum agent_port_state {
	PORT_ABSENT, /* not in the datapath; it is made when there is one */
	PORT_ADDING, /* these three: the datapath has been asked */
	PORT_SETTING,
	PORT_DELETING,
	PORT_PRESENT,
	PORT_FAILED, /* the datapath refused it: see error; tried again later */
};

struct agent_port {
	struct list link; /* in the switch */
	struct agent *agent;
	struct agent_switch *sw;
	struct config_port *config;  /* as applied; ours */
	struct config_port *setting; /* as being set; ours */
	struct dp_port dp_port;
	struct of_port of_port;
	enum agent_port_state state;
	uint32_t of_config; /* enum of_port_config that controllers set */
	bool is_dirty;      /* found in the datapath under another number or with other options */
	uint64_t retry_ms;  /* FAILED: when to try again */
	uint64_t made_ms;   /* when it came into the datapath */
	char *error;        /* FAILED: why */
	bool is_device;     /* the underlay knows the port's device */
	bool is_uplink;     /* likewise: an underlay port */
	bool is_pinned;     /* the underlay follows the tunnel's @ends for it */
	struct of_underlay_key ends;
	struct dp_port_info info; /* last heard; options NULL */
	json_t *entry;            /* the last port.list entry, for counters; NULL: none */
};

struct agent_switch {
	struct list link;
	struct agent *agent;
	struct config_switch
		*config; /* as applied: settings and controllers; its ports are not used */
	struct ofproto *ofproto;
	struct of_switch *of; /* NULL: its management socket could not be made */
	bool is_ready;        /* its rules are complete */
	struct list ports;
};

struct agent {
	struct event_base *base;
	struct agent_options options;
	char *rundir;
	char *config_path;
	char *state_dir;
	char *group;
	uint64_t epoch;
	bool ending;

	struct config *config; /* in force, as saved */
	struct state *state;
	struct persist *persist;
	struct agent_meters *meters;
	struct of_model *model;
	struct of_reader *reader;  /* the loop's own */
	struct underlay *underlay; /* NULL: no netlink here */
	struct of_service *service;
	struct handlers *handlers;
	struct dp_client *client;
	struct rpc_server *rpc;
	struct list switches;

	struct event *turn; /* what is left to do at the end of a turn; pending while there is */
	struct event *tick; /* every AGENT_TICK_MS */
	bool turn_is_pending;

	/* apply.c */
	struct list changes;         /* queued; the first is running */
	struct event *resume;        /* goes on with the first */
	struct list jobs;            /* rpc_flow.c: calls that are being worked off */
	struct list object_jobs;     /* rpc_object.c: likewise */
	struct list tunnel_listings; /* tunnels.c: likewise */
	struct agent_traces *traces;

	/* takeover */
	bool state_was_loaded; /* rules are complete as far as the state goes */
	bool had_session;
	bool is_released;      /* rules are complete */
	bool ports_are_synced; /* every port is made or refused in this session */
	bool flows_are_adopted;
	bool may_have_inherited; /* the datapath had flows of an earlier agent */
	uint64_t takeover_ms;    /* when waiting began */

	uint64_t n_unknown_packet_ins;
	struct too_long too_long;
	uint64_t started_ms;
};

/* agent.c */
uint64_t agent_now_ms(void);
uint64_t agent_now_ns(void);
uint64_t agent_boot_ms(void); /* CLOCK_BOOTTIME */
/* Something changed: the turn's end has work (kick handlers, write the journal). */
void agent_touch(struct agent *a);
/* Ports or flows of the session have arrived: the takeover may be over. */
void agent_check_takeover(struct agent *a);
struct agent_switch *agent_switch_find(const struct agent *a, const char *name);
struct agent_switch *agent_switch_of(const struct agent *a, const struct ofproto *p);
struct agent_port *agent_port_find(const struct agent *a, const char *name);
struct agent_port *agent_port_by_dp(const struct agent *a, struct dp_port port);

/* apply.c: edits a copy of the configuration in force, makes it so, and saves it; or undoes what it
 * had begun and calls @done with the error. @edit NULL: makes the configuration in force so, as far
 * as it goes; failures of single things are logged. @edit is called when its turn comes, or never. */
typedef bool change_edit_fn(void *user, struct config *wanted, struct weft_error *err);
typedef void change_done_fn(void *user, const struct weft_error *err);
void agent_apply(struct agent *a, change_edit_fn *edit, change_done_fn *done, void *user);
/* A port's state changed: the running change may go on. */
void agent_apply_resume(struct agent *a);
void agent_apply_destroy(struct agent *a);

/* ports.c */
struct agent_port *agent_port_create(
	struct agent_switch *sw, const struct config_port *config, struct weft_error *err);
/* The state keeps what controllers have made of the port's configuration. */
void agent_port_store_config(struct agent_port *p);
/* At the agent's end: what it has of the port. */
void agent_port_free(struct agent_port *p);
/* It must not be in the datapath, nor asked for. @forget: its numbers too. */
void agent_port_destroy(struct agent_port *p, bool forget);
void agent_port_start_add(struct agent_port *p);
void agent_port_start_del(struct agent_port *p);
/* Asks the datapath for what changed to @config, and applies it all when it has agreed. */
void agent_port_start_set(struct agent_port *p, const struct config_port *config);
bool agent_port_is_busy(const struct agent_port *p);
/* Whether such a port is the agent's alone: the datapath does not have it, and it is there at once. */
bool config_port_is_virtual(const struct config_port *config);
/* The bond that has taken the port, which is then hidden from OpenFlow; NULL: none. */
const struct agent_port *agent_port_bond(const struct agent_port *p);
void agent_ports_session_up(struct agent *a);
void agent_ports_session_down(struct agent *a);
void agent_ports_tick(struct agent *a);
void agent_port_changed(struct agent *a, const struct dp_port_info *info);
/* Reads all ports' counters anew, then calls @done. */
void agent_ports_refresh(struct agent *a, void (*done)(void *user), void *user);
bool config_port_equal(const struct config_port *a, const struct config_port *b);

/* tunnel_port.c */
/* Fills what a tunnel port has beside its datapath port. */
void agent_tunnel_describe(const struct agent_port *p, struct of_port_info *info);
/* Whether the port, if it is a tunnel's, may be added or changed to what it is in @wanted. */
bool agent_tunnel_check(const struct agent *a, const struct config *wanted,
	const struct config_port *port, struct weft_error *err) WEFT_MUST_CHECK;
/* What flows have carried through it, in the datapath's listing of the port. */
void agent_tunnel_count(struct agent_port *p);

/* patch.c */
/* Fills what a patch port has instead of a datapath port. */
void agent_patch_describe(const struct agent_port *p, struct of_port_info *info);
/* A port has come, gone or changed: if it is, or was, a patch port, its peer sees that. */
void agent_patch_changed(struct agent *a, const struct config_port *changed);
/* As an entry of the datapath's port.list would have them; NULL: it is not shown. */
json_t *agent_patch_counters(const struct agent_port *p);

/* mirrors.c */
/* The switch's mirrors are now those of @config. */
void agent_mirrors_update(struct agent_switch *sw, const struct config_switch *config);
void agent_rpc_mirror_add(struct rpc_call *call, json_t *params, void *user);
void agent_rpc_mirror_del(struct rpc_call *call, json_t *params, void *user);
void agent_rpc_mirror_list(struct rpc_call *call, json_t *params, void *user);

/* multicast.c */
void agent_multicast_settings(const struct config_switch *config, struct of_settings *s);
void agent_rpc_mdb_list(struct rpc_call *call, json_t *params, void *user);
/* tlvs.c: options of Geneve (of_tlv.h). Before any flow of the session; as struct of_model_events brings it. */
void agent_tlvs_session_up(struct agent *a);
void agent_tlvs_changed(void *agent);
void agent_rpc_tlv_add(struct rpc_call *call, json_t *params, void *user);
void agent_rpc_tlv_del(struct rpc_call *call, json_t *params, void *user);
void agent_rpc_tlv_list(struct rpc_call *call, json_t *params, void *user);

/* switches.c */
struct agent_switch *agent_switch_create(struct agent *a, const struct config_switch *config,
	bool keep_going, struct weft_error *err);
void agent_switch_destroy(struct agent_switch *sw, bool forget);
/* What ofproto/ and the service do not have. */
void agent_switch_free(struct agent_switch *sw);
bool agent_switch_differs(const struct agent_switch *sw, const struct config_switch *config);
/* What the service has to know of a controller; strings are @ctl's. */
void agent_controller_setup(const struct config_controller *ctl, struct of_controller_setup *setup);

/* The state keeps its number, datapath id, and what controllers have set. */
void agent_switch_store(struct agent_switch *sw);
/* Settings and controllers. On failure part of it may be done: apply the old ones again. */
bool agent_switch_update(struct agent_switch *sw, const struct config_switch *config,
	bool keep_going, struct weft_error *err);
/* Tells ofproto/ and controllers what is known of the port; adds it if need be. Hides a bond's member. */
bool agent_switch_show_port(struct agent_port *p, struct weft_error *err);
void agent_switch_hide_port(struct agent_port *p);
bool agent_switch_port_mod(struct agent *a, struct ofproto *ofproto, struct of_port port,
	uint32_t config, uint32_t mask, struct weft_error *err);
void agent_switch_port_stats(
	struct agent *a, struct ofproto *ofproto, struct of_port port, struct of_port_stats *stats);

/* packets.c */
void agent_packet_in(struct agent *a, const struct handler_packet_in *packet);
/* With the packet's key: in_port is OpenFlow's. */
void agent_send_out(struct agent *a, struct ofproto *ofproto, const struct of_packet_out *po,
	const struct flow_key *key);
bool agent_packet_out(struct agent *a, struct ofproto *ofproto, const struct of_packet_out *po,
	struct weft_error *err);

/* learned.c: struct handlers_ops; @user is the agent. */
void agent_learned(void *user, const struct translate_learned *l);
void agent_learn(void *user, struct of_learned *l);
void agent_limit(void *user, struct rule *r, uint16_t idle_timeout, uint16_t hard_timeout);
/* tunnels.c */
void agent_tunnels_create(struct agent *a);
/* When no handler runs any more. */
void agent_tunnels_destroy(struct agent *a);
/* The port has come, gone or changed. */
void agent_tunnels_port_changed(struct agent_port *p);
/* For agent.stats. */
json_t *agent_tunnels_stats(const struct agent *a);
void agent_rpc_tunnel_list(struct rpc_call *call, json_t *params, void *user);

/* bfd.c */
void agent_rpc_bfd_list(struct rpc_call *call, json_t *params, void *user);

/* meters.c */
void agent_meters_create(struct agent *a);
void agent_meters_destroy(struct agent *a);
void agent_meter_changed(struct agent *a, struct ofproto *p, uint32_t id);
void agent_meter_replied(struct agent *a, uint64_t token, const struct handler_object_reply *reply);
void agent_meter_listed(struct agent *a, struct dp_handle object);
void agent_meters_session_up(struct agent *a, bool is_new_instance);
/* While the statistics of the session can still be read. */
void agent_meters_session_down(struct agent *a);
void agent_meters_tick(struct agent *a);
void agent_meter_stats(
	struct agent *a, struct ofproto *p, uint32_t id, struct of_meter_stats *stats);
/* As handlers_barrier(), when the meters that were changed before are in the datapath. */
void agent_meters_barrier(struct agent *a, void (*done)(void *user), void *user);

/* persist.c */
struct persist *persist_create(struct agent *a);
void persist_destroy(struct persist *p);
extern const struct state_ops persist_state_ops; /* user: struct persist */
/* After the state was opened: gives a new switch the rules and addresses that were stored under its
 * old id. Returns whether there was such a switch. */
bool persist_restore_switch(struct persist *p, struct ofproto *ofproto);
/* Handler threads, while they adopt: see struct handlers_ops. */
bool persist_credited(const struct persist *p, struct dp_handle flow, struct flow_stats *sum);
/* Nothing is being adopted any more. */
void persist_forget_flows(struct persist *p);
/* A port is there: the addresses that were learned on it are too. */
void persist_restore_port(struct persist *p, struct ofproto *ofproto, struct of_port port);
/* All switches are restored: rewrites the state, and follows changes from now on. */
void persist_begin(struct persist *p);
void persist_learned(struct persist *p, struct ofproto *ofproto, uint16_t vlan,
	const uint8_t mac[6], const struct fdb_place *place);
/* The datapath knows the meter by another handle now. */
void persist_meter_handle(struct persist *p, struct ofproto *ofproto, uint32_t meter);
/* Before ofproto_destroy(). */
void persist_forget_switch(struct persist *p, struct ofproto *ofproto);
/* Translates a switch's id of the run before; 0: unknown. */
uint32_t persist_new_id(const struct persist *p, uint32_t old_id);
/* Writes counters that have changed, a slice at a time. */
void persist_tick(struct persist *p, uint64_t now_ms);

/* rpc.c */
struct rpc_server *agent_rpc_create(struct agent *a, struct weft_error *err);
void agent_rpc_flow_add(struct rpc_call *call, json_t *params, void *user);
void agent_rpc_flow_mod(struct rpc_call *call, json_t *params, void *user);
void agent_rpc_flow_del(struct rpc_call *call, json_t *params, void *user);
void agent_rpc_flow_list(struct rpc_call *call, json_t *params, void *user);
void agent_rpc_controller_list(struct rpc_call *call, json_t *params, void *user);
/* Adds a switch's controllers to @list; returns it. */
json_t *agent_rpc_controllers(const struct agent_switch *sw, json_t *list);
void agent_rpc_table_list(struct rpc_call *call, json_t *params, void *user);
void agent_rpc_fdb_list(struct rpc_call *call, json_t *params, void *user);
void agent_rpc_group_add(struct rpc_call *call, json_t *params, void *user);
void agent_rpc_group_mod(struct rpc_call *call, json_t *params, void *user);
void agent_rpc_group_del(struct rpc_call *call, json_t *params, void *user);
void agent_rpc_group_list(struct rpc_call *call, json_t *params, void *user);
void agent_rpc_meter_add(struct rpc_call *call, json_t *params, void *user);
void agent_rpc_meter_mod(struct rpc_call *call, json_t *params, void *user);
void agent_rpc_meter_del(struct rpc_call *call, json_t *params, void *user);
void agent_rpc_meter_list(struct rpc_call *call, json_t *params, void *user);
void agent_rpc_object_destroy(struct agent *a);
void agent_rpc_flow_destroy(struct agent *a);
/* rpc_trace.c */
struct agent_traces *agent_traces_create(struct agent *a);
/* Waits for the one that is under way. */
void agent_traces_destroy(struct agent_traces *t);
void agent_rpc_trace_run(struct rpc_call *call, json_t *params, void *user);
/* The switch that a parameter names; NULL: the call has failed. */
struct agent_switch *agent_rpc_switch(
	struct agent *a, struct rpc_call *call, json_t *params, const char *key);
/* An array that may be missing (NULL), borrowed. False: it is something else, and the call has failed. */
bool agent_rpc_texts(struct rpc_call *call, json_t *params, const char *key, json_t **texts);

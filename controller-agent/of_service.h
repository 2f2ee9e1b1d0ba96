/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenFlow service: the switches of ofproto/, as controllers and clients see them on the wire.
 *
 * What:     each attached switch has a listener SWITCH.mgmt for local clients (ovs-ofctl) and any number
 *           of controllers, active or passive. Behind a connection stand channel.h (bytes, hello,
 *           keep-alive), of_conn.h (role, filters, one request after the other) and the codec of the
 *           version that was negotiated (of_codec.h).
 * Outside:  what reaches beyond ofproto/ (the datapath, configuration, the clock) goes through struct
 *           of_service_ops. Requests that need the datapath's answer end by a callback; the
 *           connection waits meanwhile, all others go on.
 * Silence:  a switch whose controllers have all been silent for three probe intervals gets
 *           of_settings.standalone_now, if its fail mode is standalone and of_switch_set_ready() was
 *           called; it is taken back as soon as one answers.
 * Limits:   of_conn.h and channel.h; a peer that does not read is not read from either, loses
 *           packet-ins, and is disconnected when other news pile up.
 * Threads:  the loop. Callbacks may be called from inside any function here but of_service_create().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "ofproto/of_match.h"
#include "ofproto/of_port.h"
#include "ofproto/ofproto.h"

struct event_base;
struct of_context;
struct of_service;
struct of_switch;
struct weft_error;

#define OF_PROBE_MS 5000u /* inactivity probe interval */
#define OF_NO_PROBE UINT32_MAX
#define OF_SILENT_PROBES 3u /* intervals without a word until standalone begins */
#define OF_BACKOFF_MIN_MS 1000u
#define OF_BACKOFF_MAX_MS 8000u
#define OF_MAX_CLIENTS 128u    /* of one SWITCH.mgmt, or of one passive target */
#define OF_MAX_CONTROLLERS 64u /* targets of a switch */

/* Versions, as bits; the numbers are those of enum config_protocol. */
#define OF_PROTOCOL_10 (1u << 0)
#define OF_PROTOCOL_13 (1u << 1)
#define OF_PROTOCOL_14 (1u << 2)
#define OF_PROTOCOL_15 (1u << 3)
/* What there are codecs for. */
uint32_t of_service_protocols(void);

/* --- what the service needs --------------------------------------------------------------------- */

/* Called once, later or at once, in the loop. */
typedef void of_done_fn(void *arg);

/* A packet-out, checked. */
struct of_packet_out {
	struct of_port in_port; /* an ordinary number, LOCAL, CONTROLLER or ANY */
	const void *actions;    /* struct of_action_hdr records */
	size_t actions_size;
	const uint8_t *data;
	size_t len; /* at least an Ethernet header */
};

/* Counters that are not known are all ones (OpenFlow 1.3.5 s.A.3.5.6). */
struct of_port_stats {
	uint64_t rx_packets, tx_packets;
	uint64_t rx_bytes, tx_bytes;
	uint64_t rx_dropped, tx_dropped;
	uint64_t rx_errors, tx_errors;
	uint64_t rx_frame_err, rx_over_err, rx_crc_err;
	uint64_t collisions;
	uint64_t duration_ms; /* since the port was made */
};

/* Counters of a meter and its bands. */
struct of_meter_stats {
	uint64_t packets;
	uint64_t bytes;
	struct {
		uint64_t packets;
		uint64_t bytes;
	} bands[OF_MAX_BANDS];
};

enum of_refresh {
	OF_REFRESH_FLOWS, /* flow_registry's counters have been credited to the rules */
	OF_REFRESH_PORTS, /* port_stats() below is up to date */
};

/* No function may be NULL. */
struct of_service_ops {
	/* CLOCK_MONOTONIC in ms. */
	uint64_t (*now_ms)(void *user);
	/* Calls @done when all changes of @p made so far are in force in the datapath (or there is
	 * none). */
	void (*barrier)(void *user, struct ofproto *p, of_done_fn *done, void *arg);
	/* Brings counters of @p up to date as far as the datapath answers in time, then calls @done. */
	void (*refresh)(
		void *user, struct ofproto *p, enum of_refresh what, of_done_fn *done, void *arg);
	/* The port's counters as last refreshed. */
	void (*port_stats)(
		void *user, struct ofproto *p, struct of_port port, struct of_port_stats *stats);
	/* What the meter has counted. */
	void (*meter_stats)(
		void *user, struct ofproto *p, uint32_t meter, struct of_meter_stats *stats);
	/* Translates and executes. @po is borrowed. */
	bool (*packet_out)(void *user, struct ofproto *p, const struct of_packet_out *po,
		struct weft_error *err);
	/* OFPT_PORT_MOD: sets the bits @mask of the port's enum of_port_config to @config, in
	 * ofproto/ and the datapath. The port exists. Port-status comes by
	 * of_service_port_status(). */
	bool (*port_mod)(void *user, struct ofproto *p, struct of_port port, uint32_t config,
		uint32_t mask, struct weft_error *err);
	/* OFPT_SET_CONFIG changed of_settings of @p that are the switch's own. */
	void (*config_changed)(void *user, struct ofproto *p);
	/* of_settings.standalone_now of @p was changed. */
	void (*standalone)(void *user, struct ofproto *p, bool now);
	void *user;
	const char *latency_path; /* wakeful.h; NULL: none */
};

/* --- life --------------------------------------------------------------------------------------- */

/* @ops is copied. The process ignores SIGPIPE from now on. */
struct of_service *of_service_create(struct event_base *base, const struct of_service_ops *ops);
/* Closes everything. Done functions that are still to come do nothing then, but must not come after
 * this returns: end or forget them first. */
void of_service_destroy(struct of_service *s);

/* Does what time brings (probes, back-off, silence). The service arms its own timer; tests on a virtual
 * clock call this after they have moved it. */
void of_service_run(struct of_service *s);

/* --- switches ----------------------------------------------------------------------------------- */

struct of_switch_setup {
	struct ofproto *ofproto;
	const char *mgmt_path; /* RUNDIR/SWITCH.mgmt; NULL: none */
	const char *group;     /* of that socket; NULL: leave */
	uint32_t protocols;    /* OF_PROTOCOL_*; 0: all that there are */
	/* DESC: NULL are empty. Copied. */
	const char *manufacturer;
	const char *hardware;
	const char *software;
	const char *serial;
	const char *description;
};

/* NULL and @err: the socket cannot be made. */
struct of_switch *of_switch_attach(struct of_service *s, const struct of_switch_setup *setup,
	struct weft_error *err) WEFT_MUST_CHECK;
/* Closes its connections and listeners; before ofproto_destroy(). */
void of_switch_detach(struct of_switch *sw);
struct of_switch *of_switch_find(const struct of_service *s, const struct ofproto *p);

/* Connections that speak a version that is no longer allowed are closed. */
void of_switch_set_protocols(struct of_switch *sw, uint32_t protocols);
/* The datapath id changed: controllers are disconnected, so that they ask again. */
void of_switch_reconnect(struct of_switch *sw);
/* The rules are complete (design section 6): standalone may begin from now on. */
void of_switch_set_ready(struct of_switch *sw);
/* Somebody changed the fail mode by ofproto_set_settings() (which must keep the other members). */
void of_switch_settings_changed(struct of_switch *sw);

struct of_switch_status {
	uint32_t n_controllers; /* configured */
	uint32_t n_connected;   /* connections to controllers that are open */
	bool standalone_now;
	uint64_t last_flow_mod_ms; /* from a controller; 0: none yet */
	uint64_t last_barrier_ms;  /* of a controller, answered; 0: none yet */
};
void of_switch_status(const struct of_switch *sw, struct of_switch_status *status);

/* --- controllers -------------------------------------------------------------------------------- */

/* Strings are copied; key, cert and ca: NULL none. */
struct of_controller_setup {
	const char *target; /* tcp:HOST:PORT ptcp:PORT[:ADDR] unix:PATH; tls: and ptls: likewise */
	const char *key;
	const char *cert;
	const char *ca;
	uint32_t probe_ms;   /* 0: OF_PROBE_MS; OF_NO_PROBE: an open connection counts as heard */
	uint32_t rate_limit; /* packet-ins a second to each connection; 0: no limit */
	uint32_t burst;      /* of them (packet_queue.h); 0: by the rate */
};

/* Whether the text is a target that can be connected to or listened on. */
bool of_target_check(
	const struct of_controller_setup *setup, struct weft_error *err) WEFT_MUST_CHECK;

/* Adds a controller and begins to connect or listen. Fails on a bad target, on one that is there
 * already, and when a passive target cannot be listened on. */
bool of_switch_add_controller(struct of_switch *sw, const struct of_controller_setup *setup,
	struct weft_error *err) WEFT_MUST_CHECK;
/* Changes rate_limit, burst and probe_ms of the controller with that target, and of its connections. False:
 * there is none. */
bool of_switch_limit_controller(struct of_switch *sw, const struct of_controller_setup *setup);
/* False: there is none with that target. */
bool of_switch_del_controller(struct of_switch *sw, const char *target);

enum of_role {
	OF_ROLE_NOCHANGE,
	OF_ROLE_EQUAL,
	OF_ROLE_MASTER,
	OF_ROLE_SLAVE,
};
const char *of_role_name(enum of_role role); /* "equal", "master", "slave" */

/* One target and one of its connections (a passive target may have several, or none). */
struct of_controller_status {
	const char *target;     /* borrowed */
	const char *peer;       /* address of the connection; "" without one */
	const char *state;      /* "connecting", "hello", "connected", "backing off", "listening" */
	const char *last_error; /* in words, why it was disconnected or refused last; "" none */
	const char *version;    /* "1.3"; "" not negotiated */
	enum of_role role;
	bool is_connected;
	uint64_t since_ms;   /* of the state, by ops.now_ms */
	uint64_t n_connects; /* completed hellos */
	uint64_t rx_messages, tx_messages;
	uint32_t rate_limit, burst;  /* of packet-ins; 0: none */
	uint64_t packet_ins;         /* sent to this connection */
	uint64_t packet_ins_queued;  /* of them and of those that wait: not sent at once */
	uint64_t packet_ins_waiting; /* now */
	uint64_t packet_ins_dropped;
};
/* Controllers in the order in which they were added. */
void of_switch_list_controllers(const struct of_switch *sw,
	void (*visit)(const struct of_controller_status *status, void *user), void *user);

/* --- news from ofproto/ and the datapath --------------------------------------------------------- */

struct of_packet_in {
	struct of_port in_port; /* that the packet came in by: ports have their turns */
	const uint8_t *data;
	size_t len;         /* bytes that are here */
	uint32_t total_len; /* of the packet */
	uint16_t max_len;   /* bytes to send; OF_MAX_LEN_NO_BUFFER: all */
	uint8_t reason;     /* enum of_packet_in_reason */
	uint8_t table;
	uint16_t controller_id;
	uint64_t cookie; /* of the rule; all ones: none */
	struct of_match
		match; /* in_port (OpenFlow's) and other pipeline fields that are not zero */
	const struct of_tlv_map *tlvs; /* the switch's */
};

/* Fills all but data, len and total_len, for a to-agent action with that context on a packet with that
 * key (as the datapath gave it) that came in by @in_port. */
void of_packet_in_fill(struct of_packet_in *pi, const struct of_context *context,
	const struct flow_key *key, struct of_port in_port, const struct of_tlv_map *tlvs);

/* To every connection of the switch whose filters let it through. */
void of_service_packet_in(struct of_service *s, struct ofproto *p, const struct of_packet_in *pi);
/* As struct of_model_events brings it. */
void of_service_flow_removed(struct of_service *s, struct ofproto *p,
	const struct of_flow_view *flow, enum of_removed_reason reason);

enum of_port_reason { /* OFPPR_* */
	OF_PORT_ADDED,
	OF_PORT_DELETED,
	OF_PORT_MODIFIED,
};
void of_service_port_status(struct of_service *s, struct ofproto *p, enum of_port_reason reason,
	const struct of_port_info *info);

/* --- counters ----------------------------------------------------------------------------------- */

/* OF_SERVICE_COUNTER(member, "name in weft stats") */
#define OF_SERVICE_COUNTERS(X)                                                                     \
	X(connects, "openflow connections opened")                                                 \
	X(disconnects, "openflow connections closed")                                              \
	X(refused, "openflow connections refused: too many")                                       \
	X(version_mismatch, "openflow connections closed: no common version")                      \
	X(garbage, "openflow connections closed: not openflow")                                    \
	X(probe_timeouts, "openflow connections closed: silent")                                   \
	X(stalled, "openflow connections closed: peer does not read")                              \
	X(rx_messages, "openflow messages received")                                               \
	X(tx_messages, "openflow messages sent")                                                   \
	X(errors_sent, "openflow errors sent")                                                     \
	X(flow_mods, "flow-mods")                                                                  \
	X(packet_outs, "packet-outs")                                                              \
	X(packet_ins, "packet-ins sent")                                                           \
	X(packet_ins_queued, "packet-ins that had to wait")                                        \
	X(packet_ins_dropped, "packet-ins dropped: over the limit, or peer is slow")               \
	X(flow_removed, "flow-removed sent")                                                       \
	X(port_status, "port-status sent")                                                         \
	X(barriers, "barriers")

struct of_service_counters {
#define X(MEMBER, NAME) uint64_t MEMBER;
	OF_SERVICE_COUNTERS(X)
#undef X
};
const struct of_service_counters *of_service_counters(const struct of_service *s);

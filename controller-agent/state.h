/* SPDX-License-Identifier: Apache-2.0
 *
 * State: what the agent must know again after a restart, and nobody configures.
 *
 * What:     datapath ids and OpenFlow and datapath port numbers, kept here in small tables; rules,
 *           MACs and counters, which live in ofproto/ and pass through as records. All in one
 *           journal (journal.h) in the state directory.
 * Opening:  small tables are filled; other records go to the user, in the order in which they were
 *           written. A switch that was deleted takes its rules with it: the user is told.
 * Numbers:  datapath port numbers go round 0..65535 and rest 60 s after use, also over a restart.
 * Threads:  the loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/dp_action.h"

struct state;
struct weft_error;

#define STATE_PORT_REST_MS 60000u

/* Kinds of records. Numbers stay as they are; new ones are appended. */
enum state_kind {
	STATE_SWITCH = 1,  /* ours: {"name", "dpid", "id"} */
	STATE_SWITCH_GONE, /* {"name"}; also given to the user */
	STATE_PORT,        /* ours: {"name", "switch", "of-port", "dp-port"} */
	STATE_PORT_GONE,   /* ours: {"name"} */
	STATE_INSTANCE,    /* ours: {"instance"} */
	STATE_RULE = 16,   /* the user's, from here on */
	STATE_RULE_GONE,
	STATE_MAC,
	STATE_CREDIT,
	STATE_FLOW,
	STATE_GROUP,
	STATE_GROUP_GONE,
	STATE_METER,
	STATE_METER_GONE,
	STATE_TLVS,
};

/* What a port keeps. */
struct state_port {
	char name[64];
	char sw[64];
	uint16_t of_port;
	struct dp_port dp_port;
	uint32_t of_config; /* OFPPC_* that controllers have set beyond what is configured */
};

struct state_ops {
	/* A record of STATE_RULE and above while the state is opened. False (and @err): it means
	 * nothing, and is left out. */
	bool (*replay)(void *user, enum state_kind kind, const void *data, size_t len,
		struct weft_error *err);
	/* While the state is opened: the switch of that id was deleted there; forget its rules. */
	void (*switch_gone)(void *user, uint32_t id);
	/* A slice of a snapshot: writes some of the user's records with state_snapshot_put(). @first:
	 * begin anew. True: that was all. */
	bool (*snapshot)(void *user, struct state *state, bool first);
};

struct state *state_open(const char *directory, const struct state_ops *ops, void *user,
	struct weft_error *err) WEFT_MUST_CHECK;
void state_close(struct state *s);

/* Whether there was any record: an agent that has none has not lived here before. */
bool state_is_new(const struct state *s);

/* The datapath instance whose flows and ports are known; 0: none. */
uint64_t state_instance(const struct state *s);
void state_set_instance(struct state *s, uint64_t instance);

/* What a switch keeps. */
struct state_switch {
	char name[64];
	uint64_t dpid;
	uint32_t id; /* its number in the run that wrote it: names it in the user's records */
	bool drop_fragments; /* OFPC_FRAG_DROP */
};

/* NULL: not known. Borrowed until the next change. */
const struct state_switch *state_switch_find(const struct state *s, const char *name);
/* Any switch after @i others; NULL: there are no more. */
const struct state_switch *state_switch_at(const struct state *s, size_t i);
void state_set_switch(struct state *s, const struct state_switch *sw);
void state_forget_switch(struct state *s, const char *name);

/* A port's numbers. NULL: not known. Borrowed until the next change. */
const struct state_port *state_port_find(const struct state *s, const char *name);
/* Any port after @i others; NULL: there are no more. */
const struct state_port *state_port_at(const struct state *s, size_t i);
void state_set_port(struct state *s, const struct state_port *port);
/* @now_ms: CLOCK_BOOTTIME; its datapath number rests from then on. */
void state_forget_port(struct state *s, const char *name, uint64_t now_ms);

/* The lowest free OpenFlow number of the switch, 1..0xfeff; 0: none is left. */
uint16_t state_choose_of_port(const struct state *s, const char *sw);
/* The next free datapath number; none: DP_PORT_NONE. */
struct dp_port state_choose_dp_port(struct state *s, uint64_t now_ms);

/* Rules, MACs, counters. */
void state_append(struct state *s, enum state_kind kind, const void *data, size_t len);
void state_snapshot_put(struct state *s, enum state_kind kind, const void *data, size_t len);

/* Writes what was appended, and takes snapshots when they pay, a slice a call. Returns whether
 * there is more to do at once. */
bool state_run(struct state *s);
/* Takes a whole snapshot now (an orderly end). */
void state_checkpoint(struct state *s);

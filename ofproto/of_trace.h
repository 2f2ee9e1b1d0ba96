/* SPDX-License-Identifier: Apache-2.0
 *
 * Trace: what translation does with one packet, told step by step.
 *
 * What:     a flow's text, or a packet's bytes, becomes a key; it is translated as a handler would, and
 *           each step is noted in a tree: tables and the rules hit, actions and what they changed,
 *           groups, NORMAL. Where the packet recirculates, the trace goes on with what the datapath
 *           would make of it: a pass each. A pass ends with the fast-path flow that would be
 *           installed for it.
 * Leaves:   nothing, but that the kernel is asked for the route to a tunnel's remote. Contexts and objects
 *           that do not exist yet are the trace's own and go with it: contexts have ids from the end of the
 *           number space, objects are counted from slot 1 on. Nothing is learned or credited.
 * Unknown:  which bucket of a select group the datapath takes (it alone knows its hash's seed), whether
 *           a meter's rate is exceeded, which headers lie behind labels if only a text was given.
 * Limits:   OF_TRACE_MAX_NODES nodes, OF_TRACE_MAX_TEXT bytes of text, OF_TRACE_MAX_PASSES passes; beyond, the
 *           trace says that it is cut. The fast-path flows that it shows are whole.
 * Threads:  any, with a reader of its own; a trace is its maker's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/drop_reason.h"
#include "lib/flow_key.h"
#include "lib/list.h"
#include "ofproto/of_port.h"

struct of_reader;
struct of_trace_packet;
struct ofproto;
struct strbuf;
struct weft_error;

#define OF_TRACE_MAX_NODES 4096u
#define OF_TRACE_MAX_TEXT 262144u
#define OF_TRACE_MAX_PASSES 64u
#define OF_TRACE_MAX_VALUES 6u

enum of_trace_kind {
	OF_TRACE_NOTE,       /* a remark */
	OF_TRACE_SWITCH,     /* the packet comes into a switch by a port */
	OF_TRACE_TABLE,      /* a table was looked at: "table", and of the rule "priority", "match",
	                       * "cookie"; without them none matched */
	OF_TRACE_ACTION_SET, /* runs at the end */
	OF_TRACE_ACTION,     /* "action" */
	OF_TRACE_CHANGE,     /* "field", "before", "after" */
	OF_TRACE_GROUP,      /* "group", "type" */
	OF_TRACE_BUCKET,     /* "bucket", "chosen": "yes", "no" or "maybe" */
	OF_TRACE_METER,      /* "meter" */
	OF_TRACE_NORMAL,     /* "vlan" */
	OF_TRACE_LEARN,      /* "vlan", "mac", "port" */
	OF_TRACE_OUTPUT,     /* "port" (OpenFlow's number), "name", "dp_port" */
	OF_TRACE_CONTROLLER, /* "reason", "max_len" */
	OF_TRACE_RECIRCULATE, /* "recirc_id" */
	OF_TRACE_END,         /* nothing more happens to the packet: "reason", a drop's */
	OF_TRACE_N,
};

/* "note", "table", "action-set", .. */
const char *of_trace_kind_name(enum of_trace_kind kind);

struct of_trace_value {
	const char *name; /* static */
	char *text;       /* NULL: a number */
	uint64_t number;
};

struct of_trace_node {
	struct list link;
	struct list children;
	struct of_trace_node *parent;
	enum of_trace_kind kind;
	unsigned n_values;
	struct of_trace_value values[OF_TRACE_MAX_VALUES];
	char *text; /* a line for people */
};

/* A field that the fast-path flow looks at. */
struct of_trace_looked {
	const char *field; /* static */
	char *bits;        /* "all", "the first 8 of 32 bits", .. */
};

/* From the packet's arrival, or a recirculation, to its end or the next one. */
struct of_trace_pass {
	struct list link;
	uint32_t recirc_id; /* 0: as received */
	unsigned depth;     /* recirculations before it */
	struct flow_key key;
	struct of_trace_packet *packet; /* recirculated: what is known of it besides the key */
	char *flow;                     /* the packet at the beginning, as a match */
	struct of_trace_node root;      /* its children are the steps */
	char *final;                    /* the packet at the end, as a match */
	/* The fast-path flow. */
	bool is_refused; /* there is none: no such context */
	bool is_pending; /* there will be one: a tunnel's route is being looked up */
	char *match;     /* as `weft dp flows` shows it */
	char *actions;
	enum drop_reason drop; /* why it forwards nothing; else DROP_N */
	struct of_trace_looked *looked;
	size_t n_looked;
	/* For tests: what text was made of. */
	struct flow_mask mask;
	void *dp_actions;
	size_t dp_actions_size;
};

struct of_trace_in {
	struct of_reader *reader;
	struct ofproto *ofproto;
	const struct flow_key *key; /* in_port: OpenFlow's */
	const uint8_t *packet;      /* if bytes were given: what pops bring to light. Borrowed */
	size_t packet_len;
	uint64_t now_ms;
};

struct of_trace;

/* Makes a key of "in_port=1,tcp,nw_dst=10.0.0.1", in the syntax of ovs-ofctl(8). What a field stands on is
 * given implicitly (tcp_dst: TCP over IPv4, unless an IPv6 field says otherwise); TTLs that are not given are
 * 64, the TPID of a tag 0x8100. With @packet, its bytes tell all but where it came in and what a tunnel or the
 * pipeline adds. The input port must be given. */
bool of_trace_parse(const char *flow, size_t len, const uint8_t *packet, size_t packet_len,
	const struct ofproto *p, struct flow_key *key, struct weft_error *err) WEFT_MUST_CHECK;

/* NULL: there is no such port, or it is not in the datapath. */
struct of_trace *of_trace_create(const struct of_trace_in *in, struct weft_error *err);
void of_trace_destroy(struct of_trace *t);

/* Whether something was not known yet: try again in a moment. */
bool of_trace_is_pending(const struct of_trace *t);
/* struct of_trace_pass, in the order in which they were made. */
const struct list *of_trace_passes(const struct of_trace *t);
/* For people: indented lines. */
void of_trace_format(const struct of_trace *t, struct strbuf *out);

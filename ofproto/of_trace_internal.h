/* SPDX-License-Identifier: Apache-2.0
 *
 * Trace: its body, for its own files and for translation (translate_trace.h).
 */
#pragma once

#include "lib/compiler.h"
#include "lib/dp_action.h"
#include "ofproto/of_text.h"
#include "ofproto/of_trace.h"
#include "ofproto/translate.h"

#define OF_TRACE_TTL 64u /* of what the user said nothing about */

/* A context or an object of the trace's own. */
struct of_trace_item {
	struct list link;
	uint32_t id;
	uint32_t kind; /* of an object */
	size_t size;
	uint8_t bytes[] __attribute__((aligned(8)));
};

struct of_trace {
	struct list passes;
	struct of_trace_node *at; /* what is told now is a child of it */
	size_t n_nodes;
	size_t text_len;                /* of nodes and flows */
	bool is_cut;                    /* nothing is added any more */
	struct flow_key final;          /* what the pipeline has made of the packet */
	const struct ofproto *final_in; /* in whose ports */
	struct list contexts;
	struct list objects;
	uint32_t n_contexts;
	uint32_t n_objects;
	const uint8_t *packet;
	size_t packet_len;
};

/* --- of_trace.c --- */

/* A new child of what is told now. NULL: the trace is cut. */
struct of_trace_node *of_trace_add(
	struct of_trace *t, enum of_trace_kind kind, const char *format, ...) WEFT_PRINTF(3, 4);
/* What is told from now on belongs to @n (NULL: to what it did before). Returns what that was, for
 * of_trace_leave(). */
struct of_trace_node *of_trace_enter(struct of_trace *t, struct of_trace_node *n);
void of_trace_leave(struct of_trace *t, struct of_trace_node *before);
void of_trace_put_text(struct of_trace_node *n, const char *name, const char *text);
void of_trace_put_number(struct of_trace_node *n, const char *name, uint64_t number);

/* The id of a context, with no reference taken: one that is in use, or one of the trace's own. */
uint32_t of_trace_intern(struct of_trace *t, struct of_model *m, const void *bytes, size_t size);
/* As of_context_find(). */
const void *of_trace_find_context(
	const struct of_trace *t, const struct of_model *m, uint32_t id, size_t *size);

/* --- of_trace_replay.c --- */

/* A packet of whose headers more is known than the key shows. */
struct of_trace_packet;
struct of_trace_packet *of_trace_packet_copy(const struct of_trace_packet *k);

/* A copy of the packet comes round again, by the key's recirc_id. */
typedef void of_trace_recirculated_fn(struct of_trace *t, const struct of_trace_pass *from,
	const struct flow_key *key, const struct of_trace_packet *packet);
/* Does to the pass's packet what the datapath would by its actions. */
void of_trace_replay(struct of_trace *t, const struct of_trace_pass *pass,
	of_trace_recirculated_fn *recirculated);

/* --- of_trace_text.c --- */

/* What the packet is, as a match of all that it has. @is_dp: its in_port is the datapath's. */
char *of_trace_flow_text(const struct ofproto *p, const struct flow_key *key, bool is_dp);
/* Fills in the pass's fast-path flow. */
void of_trace_set_fast_path(struct of_trace_pass *pass, const struct translation *result);
/* Tells of each field that differs. */
void of_trace_changes(
	struct of_trace *t, const struct flow_key *before, const struct flow_key *after);

/* SPDX-License-Identifier: Apache-2.0
 *
 * Translation: what it tells a trace (of_trace.h). Where nobody traces, each of these costs a look at a
 * pointer; arguments are not evaluated.
 *
 * Scopes: what is told between xlate_trace_..begin.. and xlate_trace_end() of its result stands below it.
 */
#pragma once

#include "ofproto/of_trace_internal.h"
#include "ofproto/translate_internal.h"

struct of_context;

static inline bool
xlate_is_traced(const struct xlate *x)
{
	return __builtin_expect(x->in->trace != NULL, 0);
}

/* A scope. */
#define XLATE_BEGIN(X, KIND, ...)                                                                  \
	(xlate_is_traced(X) ? of_trace_enter((X)->in->trace,                                       \
				      of_trace_add((X)->in->trace, KIND, __VA_ARGS__))             \
			    : NULL)
/* A scope: a table was looked at; @R NULL: no rule matched. */
#define XLATE_BEGIN_TABLE(X, TABLE, R, A)                                                          \
	(xlate_is_traced(X) ? xlate_tell_table(X, TABLE, R, A) : NULL)

static inline void
xlate_trace_end(struct xlate *x, struct of_trace_node *before)
{
	if (xlate_is_traced(x)) {
		of_trace_leave(x->in->trace, before);
	}
}

/* --- translate_trace.c: to be called only if xlate_is_traced() --- */

struct of_trace_node *xlate_tell_table(
	struct xlate *x, uint8_t table, const struct rule *r, const struct rule_actions *a);
/* Runs an action in a scope of its own, and tells what it changed. */
void xlate_tell_action(struct xlate *x, const struct of_action_hdr *a,
	void (*run)(struct xlate *x, const struct of_action_hdr *a));
/* A scope: a group runs. */
struct of_trace_node *xlate_tell_group(struct xlate *x, const struct group *g);
/* A scope: one of its buckets. @chosen: "yes", "no", "maybe". */
struct of_trace_node *xlate_tell_bucket(struct xlate *x, const struct group *g,
	const struct group_bucket *b, const char *chosen, const char *why);
void xlate_tell_meter(struct xlate *x, const struct meter *m, struct dp_handle handle);
void xlate_tell_output(struct xlate *x, const struct ofport *port);
void xlate_tell_controller(struct xlate *x, uint8_t reason, uint16_t max_len);
/* NORMAL: the source was seen at @place; and where the packet goes: @known none: it is flooded. */
void xlate_tell_learned(struct xlate *x, const struct fdb_place *place, uint16_t vlan);
void xlate_tell_known(struct xlate *x, const struct fdb_place *known, uint16_t vlan, size_t n_to);
void xlate_tell_flood(struct xlate *x, uint16_t vlan, const struct ofport *const *to, size_t n_to);
/* It is a tunnel packet now, in the switch @p. */
void xlate_tell_outer(struct xlate *x, const struct ofproto *p);
/* The packet recirculates. */
void xlate_tell_freeze(struct xlate *x, uint32_t id);
/* It goes on with the context @c, which brought back what @key has not. */
void xlate_tell_thaw(struct xlate *x, const struct flow_key *key, const struct of_context *c);
void xlate_tell_end(struct xlate *x, const char *what, enum drop_reason reason);

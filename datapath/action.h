/* SPDX-License-Identifier: Apache-2.0
 *
 * Actions: what a flow's list does to a packet.
 *
 * How:  lists are validated when they come in, then run as they are, record by record; the commonest
 *       one, a single output, is known beforehand. The last output of a list takes the packet, others
 *       take copies, which
 *       share its bytes when nothing behind them in the list writes to it.
 * Ends: a packet ends by an output, a drop with a reason, the agent, or recirculation; a list that
 *       does none of these ends in explicit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datapath/flow_table.h"
#include "lib/packet.h"

struct worker;

/* Lists that have a way of their own through the code. */
enum action_shape {
	SHAPE_ANY,
	SHAPE_ENCAP, /* tunnel fields, ENCAP, a plain OUTPUT */
	SHAPE_DECAP, /* DECAP alone: needs no keys */
};

/* A copy of a validated list. Freed by free(). */
struct action_program *action_program_create(const void *actions, size_t size);

/* Runs a flow's list on up to WORKER_BURST parsed packets, whose keys stand in a row, and consumes them; as
 * actions_run(). */
void action_program_run(struct worker *w, struct packet **pkts, const struct flow_key *keys,
	unsigned n, const struct action_program *program);

/* Runs a list on a parsed packet and consumes it. @key: the packet's, if it was parsed as deep as the list
 * asks; or NULL. */
void actions_run(struct worker *w, struct packet *p, const struct flow_key *key,
	const void *actions, size_t size);

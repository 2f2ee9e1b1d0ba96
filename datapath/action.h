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
struct weft_error;

/* A copy of a validated list. Freed by free(). */
struct action_program *action_program_create(const void *actions, size_t size);

/* Whether this datapath can do all that a validated list asks for. @err names what it cannot. */
bool actions_supported(const void *actions, size_t size, struct weft_error *err);

/* Runs a list on a parsed packet and consumes it. */
void actions_run(struct worker *w, struct packet *p, const void *actions, size_t size);

/* SPDX-License-Identifier: Apache-2.0
 *
 * The agent: everything of weft-agent but its command line.
 *
 * What:     owns configuration, state, switches, handlers, the datapath session, the OpenFlow service
 *           and agent.sock, and passes on what one of them needs of another.
 * Threads:  the loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/compiler.h"

struct agent;
struct event_base;
struct weft_error;

struct agent_options {
	const char *rundir;
	const char *config_path; /* DESIGN section 8 */
	const char *state_dir;
	const char *group; /* of sockets; NULL: leave */
	unsigned n_handlers;
	unsigned restore_wait_ms; /* how long rules may take to come back after a takeover */
	unsigned quiet_ms;        /* without flow-mods after a controller's barrier: complete */
};

#define AGENT_RESTORE_WAIT_MS 60000
#define AGENT_QUIET_MS 5000

/* Reads configuration and state, makes switches and sockets, starts the handlers. Ports come when
 * the datapath answers. NULL: see @err; nothing is left behind. */
struct agent *agent_create(struct event_base *base, const struct agent_options *options,
	struct weft_error *err) WEFT_MUST_CHECK;
/* Writes the state and closes everything; the datapath forwards on. */
void agent_destroy(struct agent *a);

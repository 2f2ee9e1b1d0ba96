/* SPDX-License-Identifier: Apache-2.0
 *
 * Datapath client: the agent's end of the datapath's socket.
 *
 * What:     connects to RUNDIR/datapath.sock, opens a session (lib/dp_protocol.h), keeps trying
 *           when there is no datapath, and tells its user when a session comes and goes. The rings
 *           are the handlers' (handler.h); here are the descriptors and the ports.
 * Down:     the user's down() must give the rings up. The client tries again once that has happened
 *           (dp_client_released()), so that no two sessions' rings are served at once.
 * Threads:  the loop.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/dp_protocol.h"

struct dp_client;
struct event_base;
struct weft_error;

#define DP_CLIENT_RETRY_MIN_MS 50
#define DP_CLIENT_RETRY_MAX_MS 1000

/* An open session. Descriptors are the client's, open until down() returns. */
struct dp_session {
	uint64_t instance;
	uint64_t number;
	uint64_t last_epoch; /* of the session before this one; 0: none */
	uint32_t n_workers;
	uint32_t n_handlers;
	uint32_t max_flows;
	uint32_t n_slots;
	uint32_t ring_size;
	uint32_t upcall_ring_size;
	uint32_t next_context; /* lowest id that was never used */
	int stats_fd;
	int tables_fd;
	int handler_fd[DP_MAX_HANDLERS];
	int command_fd[DP_MAX_HANDLERS];
	int reply_fd[DP_MAX_HANDLERS];
	int upcall_fd[DP_MAX_WORKERS];
};

/* A port as the datapath has it. */
struct dp_port_info {
	struct dp_port port;
	char name[64];
	char type[32];
	json_t *options; /* borrowed */
	bool link_up;
	bool path_down; /* BFD finds that nobody answers */
	bool admin_up;
	uint8_t mac[6];
	uint32_t mtu;
	uint32_t speed_mbps;
	bool is_copper, is_fibre;
	char peer[128];
};

struct dp_client_ops {
	void (*up)(void *user, const struct dp_session *session);
	void (*down)(void *user);
	void (*port_changed)(void *user, const struct dp_port_info *info);
};

/* @epoch: of this run of the agent. */
struct dp_client *dp_client_create(struct event_base *base, const char *path, uint64_t epoch,
	unsigned n_handlers, const struct dp_client_ops *ops, void *user);
/* down() is called if there is a session. */
void dp_client_destroy(struct dp_client *c);

/* The user has given the rings of the last session up. */
void dp_client_released(struct dp_client *c);

/* The session; NULL: none. */
const struct dp_session *dp_client_session(const struct dp_client *c);
/* Why there is none, in words; empty: there is one. */
const char *dp_client_problem(const struct dp_client *c);
/* There is no session, but an attempt is under way. */
bool dp_client_is_trying(const struct dp_client *c);
/* Ends the session (a broken ring) and begins anew. */
void dp_client_restart(struct dp_client *c, const char *why);

/* Called once, with @err set or not; @info is NULL with an error, and for port.del. */
typedef void dp_port_done_fn(
	void *user, const struct dp_port_info *info, const struct weft_error *err);
/* Calls of the datapath; without a session they fail at once. @options are taken.
 * @again: the port was there before, so what cannot be had any more is left out. */
void dp_client_port_add(struct dp_client *c, struct dp_port port, const char *name,
	const char *type, json_t *options, bool again, dp_port_done_fn *done, void *user);
void dp_client_port_set(struct dp_client *c, struct dp_port port, json_t *options,
	dp_port_done_fn *done, void *user);
void dp_client_port_del(
	struct dp_client *c, struct dp_port port, dp_port_done_fn *done, void *user);
/* @each for every port, then @done. */
void dp_client_port_list(struct dp_client *c,
	void (*each)(void *user, const struct dp_port_info *info), dp_port_done_fn *done,
	void *user);

/* Any other method of the datapath (dp.flows, drops, ..), for the CLI. @params are taken. */
typedef void dp_call_done_fn(void *user, json_t *result, const struct weft_error *err);
void dp_client_call(
	struct dp_client *c, const char *method, json_t *params, dp_call_done_fn *done, void *user);

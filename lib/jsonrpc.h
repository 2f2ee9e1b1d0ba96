/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON-RPC 2.0 over unix stream sockets: one JSON object a line.
 *
 * What:     a peer (struct rpc_peer) is one connection; both sides may call methods of the other
 *           and send notifications. A server accepts peers; rpc_peer_connect() makes one. Both run
 *           on libevent. For programs without a loop there is a blocking client.
 * Methods:  a table with a row each. A method answers at once or later, through its call; a call
 *           whose peer has gone swallows the answer.
 * Closing:  a peer that closes its sending half alone still gets all answers, late ones too. One that
 *           closes both, or dies, is gone at once.
 * Files:    a reply may carry descriptors (SCM_RIGHTS); they arrive with its first byte.
 * Limits:   RPC_MAX_MESSAGE a line, RPC_MAX_PEERS connections a server, RPC_MAX_BACKLOG bytes of
 *           output that a peer does not read: beyond, the connection is closed. Garbage closes it
 *           too; that is logged (rate limited) and counted.
 * Threads:  all of a server or peer belongs to the thread of its event base.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"

struct event_base;
struct weft_error;
struct rpc_server; /* opaque */
struct rpc_peer;   /* opaque */
struct rpc_call;   /* opaque: one request that waits for its answer */
struct rpc_client; /* opaque: blocking */

#define RPC_MAX_MESSAGE (32u << 20)
#define RPC_MAX_BACKLOG (64u << 20)
#define RPC_MAX_PEERS 128u
#define RPC_MAX_FDS 128u

/* JSON-RPC error codes. Ours is for everything that the caller can put right. */
#define RPC_PARSE_ERROR (-32700)
#define RPC_INVALID_REQUEST (-32600)
#define RPC_METHOD_NOT_FOUND (-32601)
#define RPC_INVALID_PARAMS (-32602)
#define RPC_FAILED (-32000)

struct rpc_method {
	const char *name;
	/* @params: an object (empty when none were sent), borrowed for the time of the call of this
	 * function. For a notification @call is NULL. */
	void (*run)(struct rpc_call *call, json_t *params, void *user);
};

struct rpc_methods {
	const struct rpc_method *rows;
	size_t n_rows;
	void *user; /* given to run() */
};

struct rpc_counters {
	uint64_t accepted; /* connections */
	uint64_t refused;  /* connections beyond the limit */
	uint64_t requests;
	uint64_t errors;  /* requests answered by an error */
	uint64_t garbage; /* connections closed for what they sent */
	uint64_t stalled; /* connections closed since they did not read */
};

/* Listens on @path (unix_listen()'s rules). Destroying it closes all peers and removes the file. */
struct rpc_server *rpc_server_create(struct event_base *base, const char *path, const char *group,
	const struct rpc_methods *methods, struct weft_error *err);
void rpc_server_destroy(struct rpc_server *s);
const struct rpc_counters *rpc_server_counters(const struct rpc_server *s);
/* Sends a notification to every peer. Takes @params. */
void rpc_server_notify(struct rpc_server *s, const char *method, json_t *params);

/* Connects. @methods: what the other side may call, or NULL. @closed is called once, when the
 * connection ends by any cause but rpc_peer_destroy(); the peer is gone after it. */
struct rpc_peer *rpc_peer_connect(struct event_base *base, const char *path, const char *what,
	const struct rpc_methods *methods, void (*closed)(void *user), void *user,
	struct weft_error *err);
void rpc_peer_destroy(struct rpc_peer *p);

/* Calls a method of the other side. Takes @params. @reply is called once with a result (borrowed)
 * or, with result NULL, an error; @fds are the callee's to close. When the connection ends before,
 * it is called with an error. */
typedef void rpc_reply_fn(
	json_t *result, const struct weft_error *err, const int *fds, size_t n_fds, void *user);
void rpc_peer_call(
	struct rpc_peer *p, const char *method, json_t *params, rpc_reply_fn *reply, void *user);

/* Takes @params. */
void rpc_peer_notify(struct rpc_peer *p, const char *method, json_t *params);

/* Has @closed called when an accepted peer goes away (once, in place of an earlier one). */
void rpc_peer_on_close(
	struct rpc_peer *p, void (*closed)(struct rpc_peer *p, void *user), void *user);

/* The peer's process id, or 0. */
int rpc_peer_pid(const struct rpc_peer *p);

/* The connection a call came by; NULL when it has gone. */
struct rpc_peer *rpc_call_peer(struct rpc_call *call);

/* Each ends the call. @result is taken; NULL stands for null. Descriptors are duplicated, the
 * caller keeps its own. */
void rpc_call_reply(struct rpc_call *call, json_t *result);
/* The same of a result that somebody has made text of already: sound JSON in one line, borrowed. */
void rpc_call_reply_text(struct rpc_call *call, const char *result);
void rpc_call_reply_fds(struct rpc_call *call, json_t *result, const int *fds, size_t n_fds);
void rpc_call_fail(struct rpc_call *call, int code, const char *format, ...) WEFT_PRINTF(3, 4);
void rpc_call_fail_error(struct rpc_call *call, const struct weft_error *err);

/* Blocking client. @timeout_ms: for each call. */
struct rpc_client *rpc_client_open(const char *path, const char *what, struct weft_error *err);
void rpc_client_close(struct rpc_client *c);
/* Takes @params (NULL: none). The result is the caller's (json_decref()); NULL: failed, see @err.
 * Notifications that come meanwhile are dropped. Descriptors, if wanted: @n_fds room in, count
 * out. */
json_t *rpc_client_call(struct rpc_client *c, const char *method, json_t *params, int timeout_ms,
	struct weft_error *err);
json_t *rpc_client_call_fds(struct rpc_client *c, const char *method, json_t *params,
	int timeout_ms, int *fds, size_t *n_fds, struct weft_error *err);

/* For tests and fuzzing: whether one line is a sound request, notification or response. */
bool rpc_message_check(const char *line, size_t len, struct weft_error *err) WEFT_MUST_CHECK;

/* SPDX-License-Identifier: Apache-2.0
 *
 * Connector: makes and accepts the connections that channels run on.
 *
 * Targets:  tcp:HOST:PORT (HOST: address, [address6] or name), ptcp:PORT[:ADDR], unix:PATH; tls: and
 *           ptls: are the same words with TLS. PORT may be left out of tcp: and tls: (6653).
 * Active:   an active connector connects, hands the descriptor over, and waits to be told that the
 *           connection is lost. It tries again after 1 s, and after each failure in a row twice as
 *           late, up to 8 s, each time up to a quarter sooner, by chance, so that the switches of a
 *           controller that was away do not come back all at once; a connection whose hello was
 *           completed makes it begin anew. Names are resolved without blocking.
 * Passive:  a listener hands over each connection that it accepts.
 * Threads:  the loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"

struct connector;
struct event_base;
struct listener;
struct timers;
struct weft_error;

#define OFP_TCP_PORT 6653 /* IANA's */
#define CONNECT_TIMEOUT_MS 5000u
#define CONNECTOR_PEER_MAX 128
#define CONNECTOR_JITTER 4 /* the part of a wait that is left to chance */

enum target_kind {
	TARGET_TCP,
	TARGET_TLS,
	TARGET_UNIX,
	TARGET_PTCP,
	TARGET_PTLS,
};

struct target {
	enum target_kind kind;
	uint16_t port;
	char host[256]; /* or path, or the address to listen on ("": any) */
};

bool target_parse(const char *text, struct target *t, struct weft_error *err) WEFT_MUST_CHECK;
bool target_is_passive(const struct target *t);
bool target_is_tls(const struct target *t);

struct connector_ops {
	/* @fd is non-blocking and the user's from now on. */
	void (*connected)(void *user, int fd, const char *peer);
	void (*failed)(void *user, const char *why);
};

/* Begins to connect at once; no callback comes before the loop runs. */
struct connector *connector_create(struct event_base *base, struct timers *timers,
	const struct target *target, const struct connector_ops *ops, void *user);
void connector_destroy(struct connector *c);
/* The connection that was handed over has ended; @was_open: its hello had been completed. */
void connector_lost(struct connector *c, bool was_open);
/* "connecting", "backing off"; "connected" while a connection is handed over. */
const char *connector_state(const struct connector *c);

typedef void listener_accepted_fn(void *user, int fd, const char *peer);

/* @target: passive. */
struct listener *listener_create(struct event_base *base, const struct target *target,
	listener_accepted_fn *accepted, void *user, struct weft_error *err);
/* On a unix socket (unix_listen()'s rules). */
struct listener *listener_create_unix(struct event_base *base, const char *path, const char *group,
	listener_accepted_fn *accepted, void *user, struct weft_error *err);
/* Removes the socket's file too. */
void listener_destroy(struct listener *l);
/* The port that is listened on (which differs from the target's if that is 0). */
uint16_t listener_port(const struct listener *l);

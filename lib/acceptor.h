/* SPDX-License-Identifier: Apache-2.0
 *
 * Acceptor: hands over the connections that come to a listening socket.
 *
 * Rest:    when the process has no descriptor or memory for one more, the connection stays in the
 *          socket's queue and the socket stays readable. The acceptor then looks away for
 *          ACCEPTOR_REST_MS; otherwise the loop would turn without end and starve what could free some.
 * Threads: that of its event base.
 */
#pragma once

#include <stdint.h>
#include <sys/socket.h>

struct acceptor;
struct event_base;

#define ACCEPTOR_REST_MS 100
#define ACCEPTOR_TURN 16 /* connections before others get their turn */

/* @conn is non-blocking and the callee's; the acceptor must not be destroyed from inside. */
typedef void acceptor_fn(void *user, int conn, const struct sockaddr_storage *from);

/* Accepts on @fd, which it takes, from now on. @what names the socket in the log. */
struct acceptor *acceptor_create(
	struct event_base *base, int fd, const char *what, acceptor_fn *accepted, void *user);
/* Closes the socket. */
void acceptor_destroy(struct acceptor *a);
/* How often it had to rest. */
uint64_t acceptor_rests(const struct acceptor *a);

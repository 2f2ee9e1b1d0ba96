/* SPDX-License-Identifier: Apache-2.0
 *
 * Unix stream sockets: listening, connecting, passing descriptors.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/compiler.h"

struct weft_error;

#define UNIX_MAX_FDS 253 /* that Linux passes in one message (SCM_MAX_FD) */

/* Listens on @path, mode 0660, group @group (NULL: leave). A socket file on which nobody listens is
 * taken over; a live one, or another kind of file, is an error. Returns a non-blocking descriptor
 * or -1. */
int unix_listen(const char *path, const char *group, struct weft_error *err);

/* Whether the file @path may be replaced by a new socket: it does not exist, or is a socket on which
 * nobody listens (it is removed then). */
bool unix_take_over(const char *path, struct weft_error *err) WEFT_MUST_CHECK;

/* Applies owner, group (names or numbers, NULL: leave) and mode (-1: leave) to @path. */
bool unix_set_access(const char *path, const char *owner, const char *group, int mode,
	struct weft_error *err) WEFT_MUST_CHECK;

/* Connects to @path; @what names the peer in the error ("weft-agent"). A blocking descriptor, or
 * -1. */
int unix_connect(const char *path, const char *what, struct weft_error *err);

/* The peer's process, or 0. */
pid_t unix_peer_pid(int fd);

/* As send() and recv(), with descriptors. Received ones are close-on-exec; @n_fds: room in, count
 * out; more than there is room for are closed. */
ssize_t unix_send_fds(int fd, const void *data, size_t size, const int *fds, size_t n_fds);
ssize_t unix_recv_fds(int fd, void *data, size_t size, int *fds, size_t *n_fds);

/* Makes @path's directories that are missing, mode 0755. */
bool make_directories(const char *path, struct weft_error *err) WEFT_MUST_CHECK;

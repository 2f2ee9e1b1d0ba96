/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocking JSON-RPC client.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/jsonrpc.h"
#include "lib/jsonrpc_internal.h"
#include "lib/unix_socket.h"

#define READ_SIZE 65536

struct rpc_client {
	int fd;
	char *what;
	struct rpc_line_buffer in;
	json_int_t next_id;
	int fds[RPC_MAX_FDS];
	size_t n_fds;
};

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct rpc_client *
rpc_client_open(const char *path, const char *what, struct weft_error *err)
{
	int fd = unix_connect(path, what, err);
	struct rpc_client *c;

	if (fd < 0) {
		return NULL;
	}
	c = xcalloc(1, sizeof *c);
	c->fd = fd;
	c->what = xstrdup(what);
	return c;
}

static void
drop_fds(struct rpc_client *c)
{
	for (size_t i = 0; i < c->n_fds; i++) {
		close(c->fds[i]);
	}
	c->n_fds = 0;
}

void
rpc_client_close(struct rpc_client *c)
{
	if (c) {
		drop_fds(c);
		close(c->fd);
		rpc_line_buffer_uninit(&c->in);
		free(c->what);
		free(c);
	}
}

/* Waits for @events until @end_ms. */
static bool
await(struct rpc_client *c, short events, int64_t end_ms, struct weft_error *err)
{
	struct pollfd poller = {.fd = c->fd, .events = events};

	for (;;) {
		int64_t left = end_ms - now_ms();
		int n = poll(&poller, 1, left > 0 ? (int)left : 0);

		if (n > 0) {
			return true;
		}
		if (n == 0) {
			return weft_error_set(
				err, WEFT_ERR_SYSTEM, ETIMEDOUT, "%s does not answer", c->what);
		}
		if (errno != EINTR) {
			return weft_error_set(err, WEFT_ERR_SYSTEM, errno, "cannot wait for %s: %s",
				c->what, strerror(errno));
		}
	}
}

static bool
send_all(struct rpc_client *c, const char *text, size_t len, int64_t end_ms, struct weft_error *err)
{
	while (len) {
		ssize_t n = send(c->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0) {
			text += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			if (!await(c, POLLOUT, end_ms, err)) {
				return false;
			}
		} else if (errno != EINTR) {
			return weft_error_set(
				err, WEFT_ERR_SYSTEM, errno, "%s closed the connection", c->what);
		}
	}
	return true;
}

/* The next line, within the time. */
static const char *
read_line(struct rpc_client *c, size_t *len, int64_t end_ms, struct weft_error *err)
{
	const char *line;

	while (!(line = rpc_line_buffer_next(&c->in, len))) {
		size_t room = RPC_MAX_FDS - c->n_fds;
		ssize_t n;

		if (c->in.size > RPC_MAX_MESSAGE) {
			weft_error_set(err, WEFT_ERR_SYSTEM, EMSGSIZE,
				"%s sends a message of more than %u bytes", c->what,
				RPC_MAX_MESSAGE);
			return NULL;
		}

		if (!await(c, POLLIN, end_ms, err)) {
			return NULL;
		}
		n = unix_recv_fds(c->fd, rpc_line_buffer_room(&c->in, READ_SIZE), READ_SIZE,
			c->fds + c->n_fds, &room);
		c->n_fds += room;
		if (n > 0) {
			rpc_line_buffer_added(&c->in, (size_t)n);
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			weft_error_set(err, WEFT_ERR_SYSTEM, ECONNRESET, "%s closed the connection",
				c->what);
			return NULL;
		}
	}
	return line;
}

json_t *
rpc_client_call(struct rpc_client *c, const char *method, json_t *params, int timeout_ms,
	struct weft_error *err)
{
	return rpc_client_call_fds(c, method, params, timeout_ms, NULL, NULL, err);
}

json_t *
rpc_client_call_fds(struct rpc_client *c, const char *method, json_t *params, int timeout_ms,
	int *fds, size_t *n_fds, struct weft_error *err)
{
	int64_t end_ms = now_ms() + timeout_ms;
	json_int_t id = ++c->next_id;
	json_t *request = json_pack("{s:s, s:s, s:o, s:I}", "jsonrpc", "2.0", "method", method,
		"params", params ? params : json_object(), "id", id);
	char *text = json_dumps(request, JSON_COMPACT);
	json_t *result = NULL;
	bool sent;

	json_decref(request);
	if (!text) {
		weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "arguments are not valid UTF-8");
		return NULL;
	}
	sent = send_all(c, text, strlen(text), end_ms, err) && send_all(c, "\n", 1, end_ms, err);
	free(text);
	while (sent) {
		struct rpc_message m;
		size_t len;
		const char *line = read_line(c, &len, end_ms, err);

		if (!line || !rpc_message_parse(line, len, &m, err)) {
			break;
		}
		if (m.method || json_integer_value(m.id) != id) {
			if (m.error && json_is_null(m.id)) {
				weft_error_set(err, WEFT_ERR_RPC, m.error_code, "%s", m.error_text);
				sent = false;
			}
			rpc_message_uninit(&m);
			continue;
		}
		if (m.error) {
			weft_error_set(err, WEFT_ERR_RPC, m.error_code, "%s", m.error_text);
		} else {
			result = json_incref(m.result);
		}
		rpc_message_uninit(&m);
		break;
	}
	if (result && n_fds) {
		size_t n = c->n_fds < *n_fds ? c->n_fds : *n_fds;

		memcpy(fds, c->fds, n * sizeof fds[0]);
		memmove(c->fds, c->fds + n, (c->n_fds - n) * sizeof c->fds[0]);
		c->n_fds -= n;
		*n_fds = n;
	}
	drop_fds(c);
	return result;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON-RPC peers and servers on libevent.
 *
 * Why: bufferevents cannot carry descriptors, so output is a list of chunks of our own, of which
 *      one may bring descriptors along with its first byte.
 * Lifetime: a peer may be destroyed from inside a method or reply callback; it is marked, and
 *      freed when the outermost event function leaves it.
 */
#include "lib/jsonrpc.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/acceptor.h"
#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/jsonrpc_internal.h"
#include "lib/list.h"
#include "lib/log.h"
#include "lib/unix_socket.h"

WEFT_LOG_MODULE(jsonrpc);

#define READ_SIZE 65536
/* Lines handled in one go before others get their turn. */
#define LINES_A_TURN 64

struct chunk {
	struct list link;
	size_t size, sent;
	size_t n_fds;
	int *fds;
	char data[];
};

struct pending {
	struct list link;
	json_int_t id;
	rpc_reply_fn *reply;
	void *user;
};

struct rpc_call {
	struct list link;      /* in the peer's calls */
	struct rpc_peer *peer; /* NULL: gone */
	json_t *id;
};

struct rpc_peer {
	struct list link;          /* in the server's peers */
	struct rpc_server *server; /* NULL: we connected */
	struct rpc_methods methods;
	struct rpc_counters *counters;
	struct event_base *base;
	struct event *read_event, *write_event;
	int fd;
	pid_t pid;
	struct rpc_line_buffer in;
	uint64_t n_received, n_handled; /* bytes; handled: up to the end of the line at hand */
	int fds[RPC_MAX_FDS];           /* received, for this or a later line */
	uint64_t fds_at[RPC_MAX_FDS];   /* number of the byte that each came with */
	size_t n_fds;
	struct list out; /* struct chunk */
	size_t backlog;
	struct list pending; /* struct pending: our calls */
	struct list calls;   /* struct rpc_call: theirs */
	json_int_t next_id;
	void (*closed_peer)(struct rpc_peer *p, void *user);
	void (*closed)(void *user);
	void *closed_user;
	bool lines_left;  /* whole lines wait in the buffer for their turn */
	bool eof;         /* the peer will send no more */
	unsigned entered; /* event functions on the stack */
	bool dead;
	struct rpc_counters own_counters;
};

struct rpc_server {
	struct event_base *base;
	struct acceptor *acceptor;
	struct rpc_methods methods;
	struct list peers;
	size_t n_peers;
	char *path;
	struct rpc_counters counters;
};

static struct rpc_peer *peer_create(struct event_base *base, int fd, struct rpc_server *server,
	const struct rpc_methods *methods);
static void peer_end(struct rpc_peer *p, bool tell);
static bool is_over(const struct rpc_peer *p);
static void peer_free(struct rpc_peer *p);
static void peer_send(struct rpc_peer *p, json_t *message, const int *fds, size_t n_fds);
static void peer_send_text(struct rpc_peer *p, char *text, const int *fds, size_t n_fds);
static void on_accepted(void *user, int conn, const struct sockaddr_storage *from);
static void on_readable(evutil_socket_t fd, short what, void *user);
static void on_writable(evutil_socket_t fd, short what, void *user);
static void on_hangup(evutil_socket_t fd, short what, void *user);

struct rpc_server *
rpc_server_create(struct event_base *base, const char *path, const char *group,
	const struct rpc_methods *methods, struct weft_error *err)
{
	int fd = unix_listen(path, group, err);
	struct rpc_server *s;

	if (fd < 0) {
		return NULL;
	}
	s = xcalloc(1, sizeof *s);
	s->base = base;
	s->methods = *methods;
	s->path = xstrdup(path);
	list_init(&s->peers);
	s->acceptor = acceptor_create(base, fd, path, on_accepted, s);
	return s;
}

void
rpc_server_destroy(struct rpc_server *s)
{
	if (!s) {
		return;
	}
	while (!list_is_empty(&s->peers)) {
		struct rpc_peer *p = LIST_ENTRY(s->peers.next, struct rpc_peer, link);

		peer_end(p, true);
	}
	acceptor_destroy(s->acceptor);
	unlink(s->path);
	free(s->path);
	free(s);
}

const struct rpc_counters *
rpc_server_counters(const struct rpc_server *s)
{
	return &s->counters;
}

void
rpc_server_notify(struct rpc_server *s, const char *method, json_t *params)
{
	struct rpc_peer *p, *next;

	LIST_FOREACH_SAFE (p, next, link, &s->peers) {
		rpc_peer_notify(p, method, json_incref(params));
	}
	json_decref(params);
}

struct rpc_peer *
rpc_peer_connect(struct event_base *base, const char *path, const char *what,
	const struct rpc_methods *methods, void (*closed)(void *user), void *user,
	struct weft_error *err)
{
	int fd = unix_connect(path, what, err);
	struct rpc_peer *p;

	if (fd < 0) {
		return NULL;
	}
	evutil_make_socket_nonblocking(fd);
	p = peer_create(base, fd, NULL, methods);
	p->closed = closed;
	p->closed_user = user;
	return p;
}

void
rpc_peer_destroy(struct rpc_peer *p)
{
	if (p) {
		p->closed = NULL;
		p->closed_peer = NULL;
		peer_end(p, false);
	}
}

void
rpc_peer_call(
	struct rpc_peer *p, const char *method, json_t *params, rpc_reply_fn *reply, void *user)
{
	struct pending *pending = xcalloc(1, sizeof *pending);

	pending->id = ++p->next_id;
	pending->reply = reply;
	pending->user = user;
	list_push_back(&p->pending, &pending->link);
	peer_send(p,
		json_pack("{s:s, s:s, s:o, s:I}", "jsonrpc", "2.0", "method", method, "params",
			params ? params : json_object(), "id", pending->id),
		NULL, 0);
}

void
rpc_peer_notify(struct rpc_peer *p, const char *method, json_t *params)
{
	peer_send(p,
		json_pack("{s:s, s:s, s:o}", "jsonrpc", "2.0", "method", method, "params",
			params ? params : json_object()),
		NULL, 0);
}

void
rpc_peer_on_close(struct rpc_peer *p, void (*closed)(struct rpc_peer *p, void *user), void *user)
{
	p->closed_peer = closed;
	p->closed_user = user;
}

int
rpc_peer_pid(const struct rpc_peer *p)
{
	return p->pid;
}

struct rpc_peer *
rpc_call_peer(struct rpc_call *call)
{
	return call->peer;
}

static void
call_end(struct rpc_call *call)
{
	list_remove(&call->link);
	json_decref(call->id);
	free(call);
}

void
rpc_call_reply(struct rpc_call *call, json_t *result)
{
	rpc_call_reply_fds(call, result, NULL, 0);
}

void
rpc_call_reply_fds(struct rpc_call *call, json_t *result, const int *fds, size_t n_fds)
{
	if (!result) {
		result = json_null();
	}
	if (call->peer) {
		peer_send(call->peer,
			json_pack("{s:s, s:o, s:O}", "jsonrpc", "2.0", "result", result, "id",
				call->id),
			fds, n_fds);
	} else {
		json_decref(result);
	}
	call_end(call);
}

void
rpc_call_reply_text(struct rpc_call *call, const char *result)
{
	char *id = call->peer ? json_dumps(call->id, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

	if (id) {
		peer_send_text(call->peer,
			xasprintf("{\"jsonrpc\":\"2.0\",\"result\":%s,\"id\":%s}", result, id),
			NULL, 0);
	}
	free(id);
	call_end(call);
}

/* Errors may quote anything, cut anywhere; JSON takes UTF-8 alone. */
static void
make_utf8(char *text)
{
	json_t *string = json_string(text);

	if (!string) {
		for (; *text; text++) {
			*text = (unsigned char)*text < 0x80 ? *text : '?';
		}
	}
	json_decref(string);
}

static void
send_error(struct rpc_peer *p, json_t *id, int code, const char *message)
{
	char text[1024];

	snprintf(text, sizeof text, "%s", message);
	make_utf8(text);
	p->counters->errors++;
	peer_send(p,
		json_pack("{s:s, s:{s:i, s:s%}, s:O}", "jsonrpc", "2.0", "error", "code", code,
			"message", text, strlen(text), "id", id),
		NULL, 0);
}

void
rpc_call_fail(struct rpc_call *call, int code, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (call->peer) {
		send_error(call->peer, call->id, code, text);
	}
	call_end(call);
}

void
rpc_call_fail_error(struct rpc_call *call, const struct weft_error *err)
{
	rpc_call_fail(call, err->domain == WEFT_ERR_RPC ? err->code : RPC_FAILED, "%s", err->text);
}

static struct rpc_peer *
peer_create(struct event_base *base, int fd, struct rpc_server *server,
	const struct rpc_methods *methods)
{
	struct rpc_peer *p = xcalloc(1, sizeof *p);

	p->base = base;
	p->fd = fd;
	p->pid = unix_peer_pid(fd);
	p->server = server;
	p->methods = methods ? *methods : (struct rpc_methods){0};
	p->counters = server ? &server->counters : &p->own_counters;
	list_init(&p->link);
	list_init(&p->out);
	list_init(&p->pending);
	list_init(&p->calls);
	if (server) {
		list_push_back(&server->peers, &p->link);
		server->n_peers++;
	}
	p->read_event = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, p);
	p->write_event = event_new(base, fd, EV_WRITE, on_writable, p);
	event_add(p->read_event, NULL);
	return p;
}

/* Ends the connection: cuts it off from everything at once, frees it when nobody is inside. */
static void
peer_end(struct rpc_peer *p, bool tell)
{
	struct weft_error err = WEFT_ERROR_INIT;

	if (p->dead) {
		return;
	}
	p->dead = true;
	p->entered++;
	event_del(p->read_event);
	event_del(p->write_event);
	if (p->server) {
		list_remove(&p->link);
		p->server->n_peers--;
	}
	while (!list_is_empty(&p->calls)) {
		struct rpc_call *call =
			LIST_ENTRY(list_pop_front(&p->calls), struct rpc_call, link);

		call->peer = NULL;
	}
	weft_error_set(&err, WEFT_ERR_SYSTEM, ECONNRESET, "the connection was closed");
	while (!list_is_empty(&p->pending)) {
		struct pending *pending =
			LIST_ENTRY(list_pop_front(&p->pending), struct pending, link);

		pending->reply(NULL, &err, NULL, 0, pending->user);
		free(pending);
	}
	if (tell && p->closed_peer) {
		p->closed_peer(p, p->closed_user);
	}
	if (tell && p->closed) {
		p->closed(p->closed_user);
	}
	if (--p->entered == 0) {
		peer_free(p);
	}
}

static void
peer_free(struct rpc_peer *p)
{
	while (!list_is_empty(&p->out)) {
		struct chunk *chunk = LIST_ENTRY(list_pop_front(&p->out), struct chunk, link);

		for (size_t i = 0; i < chunk->n_fds; i++) {
			close(chunk->fds[i]);
		}
		free(chunk->fds);
		free(chunk);
	}
	for (size_t i = 0; i < p->n_fds; i++) {
		close(p->fds[i]);
	}
	event_free(p->read_event);
	event_free(p->write_event);
	close(p->fd);
	rpc_line_buffer_uninit(&p->in);
	free(p);
}

static void
peer_enter(struct rpc_peer *p)
{
	p->entered++;
}

static void
peer_leave(struct rpc_peer *p)
{
	if (--p->entered == 0 && p->dead) {
		peer_free(p);
	}
}

/* Takes @message. */
static void
peer_send(struct rpc_peer *p, json_t *message, const int *fds, size_t n_fds)
{
	char *text =
		p->dead || !message ? NULL : json_dumps(message, JSON_COMPACT | JSON_ENCODE_ANY);

	json_decref(message);
	if (text) {
		peer_send_text(p, text, fds, n_fds);
	}
}

/* Takes @text, a line without its end. */
static void
peer_send_text(struct rpc_peer *p, char *text, const int *fds, size_t n_fds)
{
	struct chunk *chunk;
	size_t len = strlen(text);

	if (p->dead) {
		free(text);
		return;
	}
	if (p->backlog + len > RPC_MAX_BACKLOG) {
		free(text);
		p->counters->stalled++;
		LOG_WARN_RL("process %d does not read its answers: connection closed", (int)p->pid);
		peer_end(p, true);
		return;
	}
	chunk = xmalloc(sizeof *chunk + len + 1);
	*chunk = (struct chunk){.size = len + 1};
	memcpy(chunk->data, text, len);
	chunk->data[len] = '\n';
	free(text);
	if (n_fds) {
		chunk->fds = xcalloc(n_fds, sizeof *chunk->fds);
		for (size_t i = 0; i < n_fds; i++) {
			chunk->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
		}
		chunk->n_fds = n_fds;
	}
	p->backlog += chunk->size;
	list_push_back(&p->out, &chunk->link);
	event_add(p->write_event, NULL);
}

static void
on_accepted(void *user, int conn, const struct sockaddr_storage *from)
{
	struct rpc_server *s = user;

	(void)from;
	if (s->n_peers >= RPC_MAX_PEERS) {
		s->counters.refused++;
		LOG_WARN_RL("%s: more than %u connections: one refused", s->path, RPC_MAX_PEERS);
		close(conn);
		return;
	}
	s->counters.accepted++;
	peer_create(s->base, conn, s, &s->methods);
}

static void
on_writable(evutil_socket_t fd, short what, void *user)
{
	struct rpc_peer *p = user;

	(void)what;
	while (!list_is_empty(&p->out)) {
		struct chunk *chunk = LIST_ENTRY(p->out.next, struct chunk, link);
		ssize_t n = unix_send_fds(fd, chunk->data + chunk->sent, chunk->size - chunk->sent,
			chunk->fds, chunk->n_fds);

		if (n < 0) {
			if (errno == EAGAIN || errno == EINTR) {
				event_add(p->write_event, NULL);
			} else {
				peer_end(p, true);
			}
			return;
		}
		for (size_t i = 0; i < chunk->n_fds; i++) {
			close(chunk->fds[i]);
		}
		free(chunk->fds);
		chunk->fds = NULL;
		chunk->n_fds = 0;
		chunk->sent += (size_t)n;
		p->backlog -= (size_t)n;
		if (chunk->sent < chunk->size) {
			continue;
		}
		list_remove(&chunk->link);
		free(chunk);
	}
	if (is_over(p) && !p->entered) {
		peer_end(p, true);
	}
}

static void
handle_request(struct rpc_peer *p, const struct rpc_message *m)
{
	const struct rpc_method *method = NULL;
	struct rpc_call *call = NULL;
	json_t *params = m->params ? json_incref(m->params) : json_object();

	p->counters->requests++;
	for (size_t i = 0; i < p->methods.n_rows && !method; i++) {
		if (!strcmp(p->methods.rows[i].name, m->method)) {
			method = &p->methods.rows[i];
		}
	}
	if (!method) {
		if (m->id) {
			char text[160];

			snprintf(text, sizeof text, "no method \"%.100s\"", m->method);
			send_error(p, m->id, RPC_METHOD_NOT_FOUND, text);
		}
		json_decref(params);
		return;
	}
	if (m->id) {
		call = xcalloc(1, sizeof *call);
		call->peer = p;
		call->id = json_incref(m->id);
		list_push_back(&p->calls, &call->link);
	}
	method->run(call, params, p->methods.user);
	json_decref(params);
}

/* The descriptors that came with the line at hand. */
static size_t
take_fds(struct rpc_peer *p, int fds[RPC_MAX_FDS])
{
	size_t n = 0;

	while (n < p->n_fds && p->fds_at[n] < p->n_handled) {
		fds[n] = p->fds[n];
		n++;
	}
	p->n_fds -= n;
	memmove(p->fds, p->fds + n, p->n_fds * sizeof p->fds[0]);
	memmove(p->fds_at, p->fds_at + n, p->n_fds * sizeof p->fds_at[0]);
	return n;
}

static void
close_fds(const int *fds, size_t n_fds)
{
	for (size_t i = 0; i < n_fds; i++) {
		close(fds[i]);
	}
}

/* @fds are taken. */
static void
handle_response(struct rpc_peer *p, const struct rpc_message *m, const int *fds, size_t n_fds)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct pending *pending;

	LIST_FOREACH (pending, link, &p->pending) {
		if (m->id && json_integer_value(m->id) == pending->id) {
			break;
		}
	}
	if (&pending->link == &p->pending) {
		close_fds(fds, n_fds);
		return;
	}
	list_remove(&pending->link);
	if (m->error) {
		weft_error_set(&err, WEFT_ERR_RPC, m->error_code, "%s", m->error_text);
		close_fds(fds, n_fds);
		pending->reply(NULL, &err, NULL, 0, pending->user);
	} else {
		pending->reply(m->result, NULL, fds, n_fds, pending->user);
	}
	free(pending);
}

static void
handle_line(struct rpc_peer *p, const char *line, size_t len)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct rpc_message m;
	int fds[RPC_MAX_FDS];
	size_t n_fds;

	p->n_handled += len + 1;
	n_fds = take_fds(p, fds);
	if (!rpc_message_parse(line, len, &m, &err)) {
		close_fds(fds, n_fds);
		p->counters->garbage++;
		LOG_WARN_RL("process %d: %s: connection closed", (int)p->pid, err.text);
		send_error(p, json_null(), err.code, err.text);
		on_writable(p->fd, EV_WRITE, p);
		peer_end(p, true);
		return;
	}
	if (m.method) {
		close_fds(fds, n_fds); /* only replies bring any */
		handle_request(p, &m);
	} else {
		handle_response(p, &m, fds, n_fds);
	}
	rpc_message_uninit(&m);
}

/* Whether the peer has closed its end for reading too, or was killed. */
static bool
has_hung_up(const struct rpc_peer *p)
{
	struct pollfd pfd = {.fd = p->fd};

	return poll(&pfd, 1, 0) > 0;
}

/* Whether nothing more can come from the peer, nor is to be sent. Late answers are waited for while
 * the peer can read them; but not when we wait for an answer of the peer's, who will send none. */
static bool
is_over(const struct rpc_peer *p)
{
	return p->eof && !p->lines_left && list_is_empty(&p->out) &&
	       (list_is_empty(&p->calls) || !list_is_empty(&p->pending) || has_hung_up(p));
}

/* At the end of the stream the socket is readable for ever: only changes are of interest from here
 * on. libevent wants all events of a descriptor to be of one kind. */
static void
watch_for_hangup(struct rpc_peer *p)
{
	event_del(p->read_event);
	event_del(p->write_event);
	event_assign(p->write_event, p->base, p->fd, EV_WRITE | EV_ET, on_writable, p);
	event_assign(p->read_event, p->base, p->fd, EV_READ | EV_ET | EV_PERSIST, on_hangup, p);
	event_add(p->read_event, NULL);
	if (!list_is_empty(&p->out)) {
		event_add(p->write_event, NULL);
	}
}

static void
on_hangup(evutil_socket_t fd, short what, void *user)
{
	struct rpc_peer *p = user;

	(void)fd;
	(void)what;
	if (has_hung_up(p)) {
		peer_end(p, true);
	}
}

/* Reads once. False: the peer has ended. */
static bool
receive(struct rpc_peer *p)
{
	size_t room = RPC_MAX_FDS - p->n_fds;
	ssize_t n = unix_recv_fds(p->fd, rpc_line_buffer_room(&p->in, READ_SIZE), READ_SIZE,
		p->fds + p->n_fds, &room);

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		peer_end(p, true);
		return false;
	}
	if (n == 0) {
		p->eof = true;
		watch_for_hangup(p);
	}
	if (n > 0) {
		rpc_line_buffer_added(&p->in, (size_t)n);
		p->n_received += (uint64_t)n;
	}
	/* The kernel ends a read within the data that descriptors were sent with: its last byte is
	 * of their message, however many messages stand before it (unix(7)). */
	for (size_t i = 0; i < room; i++) {
		p->fds_at[p->n_fds++] = p->n_received - 1;
	}
	return true;
}

static void
on_readable(evutil_socket_t fd, short what, void *user)
{
	struct rpc_peer *p = user;
	const char *line = NULL;
	unsigned n_lines = 0;
	size_t len;

	(void)fd;
	(void)what;
	peer_enter(p);
	/* What was read before is handled before more is read, so that the buffer has a bound and
	 * the end of the stream ends nothing that came before it. */
	if (!p->lines_left && !p->eof && !receive(p)) {
		peer_leave(p);
		return;
	}
	p->lines_left = false;
	while (!p->dead && (line = rpc_line_buffer_next(&p->in, &len))) {
		handle_line(p, line, len);
		if (++n_lines == LINES_A_TURN && !p->dead) {
			/* The rest after others have had their turn. */
			p->lines_left = true;
			event_active(p->read_event, EV_READ, 1);
			break;
		}
	}
	if (!p->dead && !p->lines_left && p->in.size > RPC_MAX_MESSAGE) {
		p->counters->garbage++;
		LOG_WARN_RL("process %d: a message of more than %u bytes: connection closed",
			(int)p->pid, RPC_MAX_MESSAGE);
		peer_end(p, true);
	}
	if (!p->dead && p->eof) {
		/* The peer may still read: it gets what was answered. */
		on_writable(p->fd, EV_WRITE, p);
		if (!p->dead && is_over(p)) {
			peer_end(p, true);
		}
	}
	peer_leave(p);
}

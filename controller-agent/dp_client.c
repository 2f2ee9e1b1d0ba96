/* SPDX-License-Identifier: Apache-2.0
 *
 * Datapath client: connection, handshake, ports.
 */
#include "controller-agent/dp_client.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/eth_addr.h"
#include "lib/jsonrpc.h"
#include "lib/log.h"
#include "lib/shm_ring.h"

WEFT_LOG_MODULE(dp_client);

struct dp_client {
	struct event_base *base;
	char *path;
	uint64_t epoch;
	unsigned n_handlers;
	const struct dp_client_ops *ops;
	void *user;
	struct rpc_peer *peer; /* NULL: not connected */
	bool has_tried;
	bool open;      /* the session stands */
	bool releasing; /* the user still has rings of the last one */
	bool destroying;
	struct dp_session session;
	struct event *retry;
	unsigned retry_ms;
	char problem[WEFT_ERROR_TEXT];
	char logged[WEFT_ERROR_TEXT]; /* the problem that was logged last */
};

/* A call that waits for its answer. */
struct port_call {
	void (*each)(void *user, const struct dp_port_info *info);
	dp_port_done_fn *done;
	dp_call_done_fn *call_done;
	void *user;
};

static void try_again(int fd, short what, void *arg);
static void connect_now(struct dp_client *c);
static void lose(struct dp_client *c, const char *why);
static void closed(void *arg);
static void opened(
	json_t *result, const struct weft_error *err, const int *fds, size_t n_fds, void *arg);
static bool take_session(
	struct dp_client *c, json_t *result, const int *fds, size_t n_fds, struct weft_error *err);
static void close_session_fds(struct dp_client *c);
static void port_changed(struct rpc_call *call, json_t *params, void *arg);
static bool port_info(json_t *entry, struct dp_port_info *info);

static const struct rpc_method notifications[] = {
	{"port.changed", port_changed},
};

struct dp_client *
dp_client_create(struct event_base *base, const char *path, uint64_t epoch, unsigned n_handlers,
	const struct dp_client_ops *ops, void *user)
{
	struct dp_client *c = xcalloc(1, sizeof(*c));
	struct timeval now = {0, 0};

	c->base = base;
	c->path = xstrdup(path);
	c->epoch = epoch;
	c->n_handlers = n_handlers;
	c->ops = ops;
	c->user = user;
	c->retry = evtimer_new(base, try_again, c);
	snprintf(c->problem, sizeof(c->problem), "not connected yet");
	evtimer_add(c->retry, &now);
	return c;
}

void
dp_client_destroy(struct dp_client *c)
{
	if (!c) {
		return;
	}
	c->destroying = true;
	lose(c, "the agent ends");
	event_free(c->retry);
	free(c->path);
	free(c);
}

void
dp_client_released(struct dp_client *c)
{
	struct timeval soon = {0, DP_CLIENT_RETRY_MIN_MS * 1000};

	if (c->releasing) {
		c->releasing = false;
		evtimer_add(c->retry, &soon);
	}
}

const struct dp_session *
dp_client_session(const struct dp_client *c)
{
	return c->open ? &c->session : NULL;
}

const char *
dp_client_problem(const struct dp_client *c)
{
	return c->open ? "" : c->problem;
}

bool
dp_client_is_trying(const struct dp_client *c)
{
	return !c->open && (c->peer || !c->has_tried);
}

void
dp_client_restart(struct dp_client *c, const char *why)
{
	lose(c, why);
}

/* --- connection --------------------------------------------------------------------------------- */

/* Says why there is no session: once, until something else is the matter. */
static void
set_problem(struct dp_client *c, const char *why)
{
	snprintf(c->problem, sizeof(c->problem), "%s", why);
	if (strcmp(c->logged, why) != 0 && !c->destroying) {
		snprintf(c->logged, sizeof(c->logged), "%s", why);
		LOG_WARN("datapath %s: %s", c->path, why);
	}
}

static void
retry_later(struct dp_client *c)
{
	struct timeval delay;

	if (c->destroying || c->releasing) {
		return;
	}
	c->retry_ms = c->retry_ms ? WEFT_MIN(c->retry_ms * 2, (unsigned)DP_CLIENT_RETRY_MAX_MS)
				  : DP_CLIENT_RETRY_MIN_MS;
	delay.tv_sec = c->retry_ms / 1000;
	delay.tv_usec = c->retry_ms % 1000 * 1000;
	evtimer_add(c->retry, &delay);
}

static void
try_again(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	connect_now(arg);
}

static void
connect_now(struct dp_client *c)
{
	struct rpc_methods methods = {notifications, WEFT_ARRAY_SIZE(notifications), c};
	struct weft_error err = WEFT_ERROR_INIT;
	char epoch[24];

	c->has_tried = true;
	c->peer = rpc_peer_connect(c->base, c->path, "weft-datapath", &methods, closed, c, &err);
	if (!c->peer) {
		set_problem(c, err.text);
		retry_later(c);
		return;
	}
	snprintf(epoch, sizeof(epoch), "%llu", (unsigned long long)c->epoch);
	rpc_peer_call(c->peer, "session.open",
		json_pack("{s:i, s:s, s:i, s:s}", "protocol", (int)DP_PROTOCOL_VERSION, "epoch",
			epoch, "handlers", (int)c->n_handlers, "name", "weft-agent"),
		opened, c);
}

/* Ends connection and session. */
static void
lose(struct dp_client *c, const char *why)
{
	struct rpc_peer *peer = c->peer;

	set_problem(c, why);
	c->peer = NULL;
	if (c->open) {
		c->open = false;
		c->releasing = !c->destroying;
		c->ops->down(c->user);
		close_session_fds(c);
	}
	rpc_peer_destroy(peer);
	retry_later(c);
}

static void
closed(void *arg)
{
	struct dp_client *c = arg;

	c->peer = NULL; /* gone already */
	lose(c, c->open ? "weft-datapath closed the connection" : c->problem);
}

static void
opened(json_t *result, const struct weft_error *err, const int *fds, size_t n_fds, void *arg)
{
	struct dp_client *c = arg;
	struct weft_error why = WEFT_ERROR_INIT;

	if (c->destroying || !c->peer) {
		for (size_t i = 0; i < n_fds; i++) {
			close(fds[i]);
		}
		return;
	}
	if (!result) {
		lose(c, err->text);
		return;
	}
	if (!take_session(c, result, fds, n_fds, &why)) {
		for (size_t i = 0; i < n_fds; i++) {
			close(fds[i]);
		}
		lose(c, why.text);
		return;
	}
	c->open = true;
	c->retry_ms = 0;
	c->logged[0] = '\0';
	LOG_INFO("datapath %s: session %llu with instance %llu, %u workers", c->path,
		(unsigned long long)c->session.number, (unsigned long long)c->session.instance,
		c->session.n_workers);
	c->ops->up(c->user, &c->session);
}

static bool
decimal(json_t *object, const char *key, uint64_t *n)
{
	const char *text = json_string_value(json_object_get(object, key));
	char *end;

	if (!text || *text < '0' || *text > '9') {
		return false;
	}
	errno = 0;
	*n = strtoull(text, &end, 10);
	return *end == '\0' && errno == 0;
}

static bool
number(json_t *object, const char *key, uint32_t min, uint32_t max, uint32_t *n)
{
	json_t *value = json_object_get(object, key);
	json_int_t v = json_integer_value(value);

	if (!json_is_integer(value) || v < min || v > max) {
		return false;
	}
	*n = (uint32_t)v;
	return true;
}

/* Checks the reply, then takes the descriptors in the protocol's order. */
static bool
take_session(
	struct dp_client *c, json_t *result, const int *fds, size_t n_fds, struct weft_error *err)
{
	struct dp_session s = {.n_handlers = c->n_handlers};
	size_t n = 0;

	if (!decimal(result, "instance", &s.instance) || !decimal(result, "session", &s.number) ||
		!decimal(result, "last_epoch", &s.last_epoch) ||
		!number(result, "workers", 1, DP_MAX_WORKERS, &s.n_workers) ||
		!number(result, "max_flows", 1, UINT32_MAX, &s.max_flows) ||
		!number(result, "slots", 1, UINT32_MAX, &s.n_slots) ||
		!number(result, "ring_size", SHM_RING_MIN_SIZE, SHM_RING_MAX_SIZE, &s.ring_size) ||
		!number(result, "upcall_ring_size", SHM_RING_MIN_SIZE, SHM_RING_MAX_SIZE,
			&s.upcall_ring_size) ||
		!number(result, "next_context", 1, UINT32_MAX, &s.next_context)) {
		return weft_error_set(err, WEFT_ERR_INVALID, EPROTO,
			"the answer to session.open is malformed: use programs of one build");
	}
	if (n_fds != 2 + 3 * (size_t)s.n_handlers + s.n_workers) {
		return weft_error_set(err, WEFT_ERR_INVALID, EPROTO,
			"the answer to session.open has %zu descriptors in place of %zu", n_fds,
			2 + 3 * (size_t)s.n_handlers + s.n_workers);
	}
	s.stats_fd = fds[n++];
	s.tables_fd = fds[n++];
	for (uint32_t h = 0; h < s.n_handlers; h++) {
		s.handler_fd[h] = fds[n++];
		s.command_fd[h] = fds[n++];
		s.reply_fd[h] = fds[n++];
	}
	for (uint32_t w = 0; w < s.n_workers; w++) {
		s.upcall_fd[w] = fds[n++];
	}
	c->session = s;
	return true;
}

static void
close_session_fds(struct dp_client *c)
{
	struct dp_session *s = &c->session;

	close(s->stats_fd);
	close(s->tables_fd);
	for (uint32_t h = 0; h < s->n_handlers; h++) {
		close(s->handler_fd[h]);
		close(s->command_fd[h]);
		close(s->reply_fd[h]);
	}
	for (uint32_t w = 0; w < s->n_workers; w++) {
		close(s->upcall_fd[w]);
	}
}

/* --- ports -------------------------------------------------------------------------------------- */

static void
port_changed(struct rpc_call *call, json_t *params, void *arg)
{
	struct dp_client *c = arg;
	struct dp_port_info info;

	if (call) {
		rpc_call_fail(call, RPC_INVALID_REQUEST, "port.changed is a notification");
	} else if (c->open && port_info(params, &info)) {
		c->ops->port_changed(c->user, &info);
	}
}

static void
copy_text(char *to, size_t size, json_t *value)
{
	const char *text = json_string_value(value);

	snprintf(to, size, "%s", text ? text : "");
}

/* "up" or true. */
static bool
is_up(json_t *value, bool otherwise)
{
	if (json_is_string(value)) {
		return strcmp(json_string_value(value), "up") == 0;
	}
	return value ? json_is_true(value) : otherwise;
}

static bool
port_info(json_t *entry, struct dp_port_info *info)
{
	const char *medium, *mac;
	const json_t *bfd;

	memset(info, 0, sizeof(*info));
	if (!number(entry, "port", 0, DP_PORT_MAX, &info->port.v)) {
		return false;
	}
	copy_text(info->name, sizeof(info->name), json_object_get(entry, "name"));
	copy_text(info->type, sizeof(info->type), json_object_get(entry, "type"));
	copy_text(info->peer, sizeof(info->peer), json_object_get(entry, "peer"));
	info->options = json_object_get(entry, "options");
	info->link_up = is_up(json_object_get(entry, "link"), false);
	bfd = json_object_get(entry, "bfd");
	info->path_down = bfd && !json_is_true(json_object_get(bfd, "forwarding"));
	info->admin_up = is_up(json_object_get(entry, "admin"), true);
	mac = json_string_value(json_object_get(entry, "mac"));
	if (!mac || !eth_addr_parse(mac, info->mac)) {
		memset(info->mac, 0, sizeof(info->mac));
	}
	number(entry, "mtu", 0, UINT32_MAX, &info->mtu);
	number(entry, "speed_mbps", 0, UINT32_MAX, &info->speed_mbps);
	medium = json_string_value(json_object_get(entry, "medium"));
	info->is_copper = medium && !strcmp(medium, "copper");
	info->is_fibre = medium && !strcmp(medium, "fibre");
	return true;
}

static void
answered(json_t *result, const struct weft_error *err, const int *fds, size_t n_fds, void *arg)
{
	struct port_call *call = arg;
	struct dp_port_info info;
	json_t *entry;
	size_t i;

	for (i = 0; i < n_fds; i++) {
		close(fds[i]);
	}
	if (call->call_done) {
		call->call_done(call->user, result, result ? NULL : err);
	} else if (!result) {
		call->done(call->user, NULL, err);
	} else if (json_is_array(result)) {
		json_array_foreach (result, i, entry) {
			if (port_info(entry, &info)) {
				call->each(call->user, &info);
			}
		}
		call->done(call->user, NULL, NULL);
	} else {
		call->done(call->user, port_info(result, &info) ? &info : NULL, NULL);
	}
	free(call);
}

static void
send_call(struct dp_client *c, const char *method, json_t *params, const struct port_call *how)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct port_call *call;

	if (!c->open) {
		json_decref(params);
		weft_error_set(&err, WEFT_ERR_CONFLICT, ENOTCONN,
			"no datapath (%s): is weft-datapath running?", c->problem);
		if (how->call_done) {
			how->call_done(how->user, NULL, &err);
		} else {
			how->done(how->user, NULL, &err);
		}
		return;
	}
	call = xmemdup(how, sizeof(*how));
	rpc_peer_call(c->peer, method, params, answered, call);
}

void
dp_client_port_add(struct dp_client *c, struct dp_port port, const char *name, const char *type,
	json_t *options, bool again, dp_port_done_fn *done, void *user)
{
	struct port_call how = {.done = done, .user = user};

	send_call(c, "port.add",
		json_pack("{s:i, s:s, s:s, s:o, s:b}", "port", (int)port.v, "name", name, "type",
			type, "options", options, "again", again),
		&how);
}

void
dp_client_port_set(struct dp_client *c, struct dp_port port, json_t *options, dp_port_done_fn *done,
	void *user)
{
	struct port_call how = {.done = done, .user = user};

	send_call(c, "port.set", json_pack("{s:i, s:o}", "port", (int)port.v, "options", options),
		&how);
}

void
dp_client_port_del(struct dp_client *c, struct dp_port port, dp_port_done_fn *done, void *user)
{
	struct port_call how = {.done = done, .user = user};

	send_call(c, "port.del", json_pack("{s:i}", "port", (int)port.v), &how);
}

void
dp_client_port_list(struct dp_client *c, void (*each)(void *user, const struct dp_port_info *info),
	dp_port_done_fn *done, void *user)
{
	struct port_call how = {.each = each, .done = done, .user = user};

	send_call(c, "port.list", json_object(), &how);
}

void
dp_client_call(
	struct dp_client *c, const char *method, json_t *params, dp_call_done_fn *done, void *user)
{
	struct port_call how = {.call_done = done, .user = user};

	send_call(c, method, params ? params : json_object(), &how);
}

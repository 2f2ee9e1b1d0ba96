/* SPDX-License-Identifier: Apache-2.0
 *
 * Ports thread: the session's and the command line's methods that change or name ports.
 *
 * Removal of a port: rx stops, tx is unpublished, a grace period (port_unpublish()); its flows go and
 * its parked packets are purged (tables_flush_port()); the device is closed; the number is free.
 */
#include "datapath/ports_thread.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "datapath/bond_port.h"
#include "datapath/capture.h"
#include "datapath/capture_rpc.h"
#include "datapath/listing.h"
#include "datapath/port.h"
#include "datapath/providers.h"
#include "datapath/tables.h"
#include "datapath/worker.h"
#include "lib/alloc.h"
#include "lib/daemon.h"
#include "lib/error.h"
#include "lib/jsonrpc.h"
#include "lib/log.h"

WEFT_LOG_MODULE(ports);

#define MAX_OPTIONS 64u

/* What this thread keeps of a port; port->user. */
struct port_record {
	struct port *port;
	json_t *options; /* as given, for listings and adoption */
	bool gone;       /* the device is lost; waits for port.del */
};

static struct {
	struct ports_thread_config config;
	struct event_base *base;
	struct rpc_server *server;
	struct event *news_event, *capture_event;
	int news_fd;
	struct rpc_peer *session_peer; /* NULL: no agent */
	uint64_t session_number;
	_Atomic uint64_t broken_session; /* told by the tables thread; 0: none */
} ports = {.news_fd = -1};

static void on_news(evutil_socket_t fd, short what, void *user);
static void wake(struct port *port, enum port_event event);
static void remove_port(struct port *port) WEFT_REQUIRES(weft_ports);

/* --- parameters ------------------------------------------------------------------------------------------ */

static bool
take_options(const json_t *object, struct port_option *options, size_t *n, struct weft_error *err)
{
	const char *key;
	json_t *value;

	*n = 0;
	if (object && !json_is_object(object)) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "options must be an object");
	}
	json_object_foreach ((json_t *)object, key, value) {
		if (*n == MAX_OPTIONS || !json_is_string(value)) {
			return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
				"option \"%s\" is no string, or one of too many", key);
		}
		options[(*n)++] = (struct port_option){key, json_string_value(value)};
	}
	return true;
}

static struct port *
port_param(const json_t *params, struct weft_error *err)
{
	const json_t *number = json_object_get(params, "port");
	json_int_t n = json_is_integer(number) ? json_integer_value(number) : -1;
	struct port *port = n >= 0 && n <= DP_PORT_MAX ? port_find((uint32_t)n) : NULL;

	if (!port) {
		weft_error_set(err, WEFT_ERR_CONFLICT, ENOENT, "no port %lld in the datapath",
			(long long)n);
	}
	return port;
}

/* Only the agent's connection may change ports. */
static bool
is_session(struct rpc_call *call, struct weft_error *err)
{
	if (call && ports.session_peer && rpc_call_peer(call) == ports.session_peer) {
		return true;
	}
	return weft_error_set(err, WEFT_ERR_CONFLICT, EPERM,
		"only the agent changes ports; use weft-agent's socket");
}

/* --- session --------------------------------------------------------------------------------------------- */

static void
session_closed(struct rpc_peer *peer, void *user)
{
	(void)user;
	if (peer == ports.session_peer) {
		ports.session_peer = NULL;
		weft_role_enter(weft_ports);
		tables_session_close(ports.session_number);
		weft_role_leave(weft_ports);
		LOG_WARN("agent has gone; flows and ports stay in force");
	}
}

static json_t *
u64_text(uint64_t n)
{
	char text[24];

	snprintf(text, sizeof text, "%llu", (unsigned long long)n);
	return json_string(text);
}

static bool
session_params(const json_t *params, uint64_t *epoch, uint32_t *n_handlers, struct weft_error *err)
{
	json_int_t version = json_integer_value(json_object_get(params, "protocol"));
	json_int_t handlers = json_integer_value(json_object_get(params, "handlers"));
	const json_t *value = json_object_get(params, "epoch");
	const char *text = json_string_value(value);

	if (version != DP_PROTOCOL_VERSION) {
		return weft_error_set(err, WEFT_ERR_CONFLICT, EPROTO,
			"agent speaks version %lld of the datapath protocol, this datapath %u; install "
			"weft-agent and weft-datapath of the same release",
			(long long)version, DP_PROTOCOL_VERSION);
	}
	if (handlers < 1 || handlers > DP_MAX_HANDLERS) {
		return weft_error_set(
			err, WEFT_ERR_INVALID, ERANGE, "handlers must be 1 to %u", DP_MAX_HANDLERS);
	}
	*n_handlers = (uint32_t)handlers;
	*epoch = text ? strtoull(text, NULL, 10) : (uint64_t)json_integer_value(value);
	return true;
}

static void
session_open(struct rpc_call *call, json_t *params, void *user) WEFT_REQUIRES(weft_ports)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct session_offer offer;
	uint32_t n_handlers = 0;
	uint64_t epoch = 0;

	(void)user;
	if (!call) {
		return;
	}
	if (ports.session_peer) {
		rpc_call_fail(call, RPC_FAILED,
			"an agent is connected already (process %d); stop it first",
			rpc_peer_pid(ports.session_peer));
		return;
	}
	if (!session_params(params, &epoch, &n_handlers, &err) ||
		!tables_session_open(n_handlers, epoch, ports.config.stats_fd, &offer, &err)) {
		LOG_WARN_RL("session refused: %s", err.text);
		rpc_call_fail_error(call, &err);
		return;
	}
	ports.session_peer = rpc_call_peer(call);
	ports.session_number = offer.number;
	rpc_peer_on_close(ports.session_peer, session_closed, NULL);
	rpc_call_reply_fds(call,
		json_pack("{s:o, s:o, s:i, s:I, s:I, s:I, s:I, s:I, s:o}", "instance",
			u64_text(ports.config.instance), "session", u64_text(offer.number),
			"workers", (int)workers.n, "max_flows", (json_int_t)ports.config.max_flows,
			"slots", (json_int_t)ports.config.n_slots, "ring_size",
			(json_int_t)DP_RING_SIZE, "upcall_ring_size",
			(json_int_t)DP_UPCALL_RING_SIZE, "next_context",
			(json_int_t)offer.next_context, "last_epoch", u64_text(offer.last_epoch)),
		offer.fds, offer.n_fds);
	for (size_t i = 0; i < offer.n_fds; i++) {
		close(offer.fds[i]);
	}
}

/* --- ports ------------------------------------------------------------------------------------------------- */

static bool
name_is_free(const char *name, struct weft_error *err)
{
	for (uint32_t n = 0; n <= DP_PORT_MAX; n++) {
		struct port *port = port_find(n);

		if (port && !strcmp(port->name, name)) {
			return weft_error_set(err, WEFT_ERR_CONFLICT, EEXIST,
				"port %s exists already in the datapath", name);
		}
	}
	return true;
}

static bool is_core_option(const char *key);
static bool set_core_option(struct port *port, const struct port_option *option, unsigned n_queues,
	bool check, struct weft_error *err) WEFT_REQUIRES(weft_ports);
static bool set_core_options(struct port *port, const struct port_option *options, size_t n,
	bool again, struct weft_error *err) WEFT_REQUIRES(weft_ports);

static struct port *
add_port(json_t *params, struct weft_error *err) WEFT_REQUIRES(weft_ports)
{
	const char *name = json_string_value(json_object_get(params, "name"));
	const char *type = json_string_value(json_object_get(params, "type"));
	const json_t *number = json_object_get(params, "port");
	json_t *given = json_object_get(params, "options");
	struct port_option all[MAX_OPTIONS], options[MAX_OPTIONS];
	const struct port_provider *provider;
	struct port_config config = {
		.rundir = ports.config.daemon->rundir,
		.group = ports.config.daemon->group,
		.socket_id = -1,
		.pool = ports.config.pool,
		.options = options,
	};
	struct port_record *record;
	struct port *port;
	size_t n = 0;

	if (!name || !type || !json_is_integer(number) || json_integer_value(number) < 0 ||
		json_integer_value(number) > DP_PORT_MAX || strlen(name) >= PORT_NAME_SIZE) {
		weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"port.add needs port (0..%u), name and type", DP_PORT_MAX);
		return NULL;
	}
	if (port_find((uint32_t)json_integer_value(number))) {
		weft_error_set(err, WEFT_ERR_CONFLICT, EEXIST, "datapath port %lld exists already",
			(long long)json_integer_value(number));
		return NULL;
	}
	provider = provider_find(type, err);
	if (!provider || !name_is_free(name, err) || !take_options(given, all, &n, err)) {
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		if (!is_core_option(all[i].key)) {
			options[config.n_options++] = all[i];
		}
	}
	if (!provider_check_options(provider, options, config.n_options, false, err)) {
		return NULL;
	}
	port = port_create((uint16_t)json_integer_value(number), name, provider, &config, err);
	if (!port) {
		return NULL;
	}
	if (!set_core_options(port, all, n, json_is_true(json_object_get(params, "again")), err)) {
		port_destroy(port);
		return NULL;
	}
	record = xcalloc(1, sizeof *record);
	record->port = port;
	record->options = given ? json_deep_copy(given) : json_object();
	port->user = record;
	port_publish(port);
	LOG_INFO("port %s: added, type %s, number %u", name, type, port->number);
	bond_port_added(port);
	return port;
}

static json_t *
port_json(struct port *port)
{
	struct port_record *record = port->user;

	return listing_port(port, record ? record->options : NULL);
}

static void
rpc_port_add(struct rpc_call *call, json_t *params, void *user) WEFT_REQUIRES(weft_ports)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct port *port = is_session(call, &err) ? add_port(params, &err) : NULL;

	(void)user;
	if (!call) {
		return;
	}
	if (port) {
		rpc_call_reply(call, port_json(port));
	} else {
		rpc_call_fail_error(call, &err);
	}
}

static void
remove_port(struct port *port)
{
	struct port_record *record = port->user;

	LOG_INFO("port %s: removed", port->name);
	bond_port_removed(port);
	port_unpublish(port);
	captures_port_gone(port);
	tables_flush_port(port->number);
	port_destroy(port);
	json_decref(record->options);
	free(record);
}

static void
rpc_port_del(struct rpc_call *call, json_t *params, void *user) WEFT_REQUIRES(weft_ports)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct port *port = is_session(call, &err) ? port_param(params, &err) : NULL;

	(void)user;
	if (!call) {
		return;
	}
	if (!port) {
		rpc_call_fail_error(call, &err);
		return;
	}
	remove_port(port);
	rpc_call_reply(call, json_object());
}

/* How many queues the port may have, by its options. */
static unsigned
max_queues(const struct port *port, const struct port_option *options, size_t n)
{
	const struct port_record *record = port->user;
	const char *text = port_option_find(options, n, "queues");
	unsigned queues;

	if (!text && record) {
		text = json_string_value(json_object_get(record->options, "queues"));
	}
	queues = text ? (unsigned)strtoul(text, NULL, 10) : 1;
	return WEFT_MIN(WEFT_MAX(queues, (unsigned)port->n_rxq), (unsigned)PORT_MAX_QUEUES);
}

/* A number up to @stop, and what follows it. */
static bool
take_number(const char **at, char stop, unsigned limit, unsigned *n)
{
	unsigned long value;
	char *end;

	if (**at < '0' || **at > '9') {
		return false;
	}
	value = strtoul(*at, &end, 10);
	if (value >= limit || *end != stop) {
		return false;
	}
	*n = (unsigned)value;
	*at = end;
	return true;
}

/* QUEUE:WORKER[,..]; nothing: the core chooses. */
static bool
parse_rxq_worker(const char *text, unsigned n_queues, uint16_t wanted[PORT_MAX_QUEUES],
	struct weft_error *err)
{
	const char *at = text;
	unsigned queue, worker;

	memset(wanted, 0xff, PORT_MAX_QUEUES * sizeof wanted[0]);
	while (*at) {
		bool ok = take_number(&at, ':', n_queues, &queue) && *at++ == ':' &&
			  take_number(&at, strchr(at, ',') ? ',' : '\0', workers.n, &worker) &&
			  (!*at || at[1]);

		if (!ok || wanted[queue] != UINT16_MAX) {
			return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
				"rxq-worker takes QUEUE:WORKER[,..], each queue once, with queues 0 to %u "
				"and workers 0 to %u, not \"%s\"",
				n_queues - 1, workers.n - 1, text);
		}
		wanted[queue] = (uint16_t)worker;
		at += *at == ',';
	}
	return true;
}

/* The core's own options: admin=up|down, rxq-worker=QUEUE:WORKER[,..]. The rest is the provider's. */
static bool
set_core_option(struct port *port, const struct port_option *option, unsigned n_queues, bool check,
	struct weft_error *err)
{
	uint16_t wanted[PORT_MAX_QUEUES];

	if (!strcmp(option->key, "admin")) {
		bool up = !strcmp(option->value, "up");

		if (!up && strcmp(option->value, "down")) {
			return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
				"admin is up or down, not \"%s\"", option->value);
		}
		if (!check) {
			atomic_store(&port->admin_up, up);
			if (port->provider->set_admin) {
				port->provider->set_admin(port->dev, up);
			}
			port_tell_observer(port);
		}
		return true;
	}
	if (!parse_rxq_worker(option->value, n_queues, wanted, err)) {
		return false;
	}
	if (!check) {
		port_assign(port, wanted);
	}
	return true;
}

/* Those of a port that has just been made, before workers see it. One that was right when it was
 * given (@again) may no longer be, such as a worker that is not there any more. */
static bool
set_core_options(struct port *port, const struct port_option *options, size_t n, bool again,
	struct weft_error *err)
{
	unsigned n_queues = max_queues(port, options, n);

	for (size_t i = 0; i < n; i++) {
		struct weft_error wrong = WEFT_ERROR_INIT;

		if (!is_core_option(options[i].key) ||
			set_core_option(port, &options[i], n_queues, false, &wrong)) {
			continue;
		}
		if (!again) {
			weft_error_move(err, &wrong);
			return false;
		}
		LOG_WARN("port %s: %s: ignored", port->name, wrong.text);
	}
	return true;
}

static bool
is_core_option(const char *key)
{
	return !strcmp(key, "admin") || !strcmp(key, "rxq-worker");
}

static bool
set_port(struct port *port, const json_t *params, struct weft_error *err) WEFT_REQUIRES(weft_ports)
{
	struct port_option options[MAX_OPTIONS], own[MAX_OPTIONS];
	struct port_record *record = port->user;
	struct port_status status = {0};
	size_t n, n_own = 0;

	if (!take_options(json_object_get(params, "options"), options, &n, err)) {
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		if (!is_core_option(options[i].key)) {
			own[n_own++] = options[i];
		} else if (!set_core_option(
				   port, &options[i], max_queues(port, NULL, 0), true, err)) {
			return false;
		}
	}
	if (n_own && (!provider_check_options(port->provider, own, n_own, true, err) ||
			     !port->provider->set(port->dev, own, n_own, err))) {
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		if (is_core_option(options[i].key)) {
			(void)set_core_option(
				port, &options[i], max_queues(port, NULL, 0), false, err);
		}
		json_object_set_new(record->options, options[i].key, json_string(options[i].value));
	}
	if (n_own) {
		port->provider->status(port->dev, &status);
		port_refresh(port, &status);
	}
	return true;
}

static void
rpc_port_set(struct rpc_call *call, json_t *params, void *user) WEFT_REQUIRES(weft_ports)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct port *port = is_session(call, &err) ? port_param(params, &err) : NULL;

	(void)user;
	if (!call) {
		return;
	}
	if (!port || !set_port(port, params, &err)) {
		rpc_call_fail_error(call, &err);
		return;
	}
	rpc_call_reply(call, port_json(port));
}

static void
rpc_port_list(struct rpc_call *call, json_t *params, void *user)
{
	json_t *list = json_array();

	(void)params;
	(void)user;
	for (uint32_t n = 0; n <= DP_PORT_MAX; n++) {
		struct port *port = port_find(n);

		if (port) {
			json_array_append_new(list, port_json(port));
		}
	}
	if (call) {
		rpc_call_reply(call, list);
	} else {
		json_decref(list);
	}
}

/* --- listings ---------------------------------------------------------------------------------------------- */

/* One row for the listings that need parameters alone. */
#define LISTING_METHOD(NAME, CALL)                                                                 \
	static void NAME(struct rpc_call *call, json_t *params, void *user)                        \
	{                                                                                          \
		struct weft_error err = WEFT_ERROR_INIT;                                           \
		json_t *result = (CALL);                                                           \
		(void)user;                                                                        \
		(void)params;                                                                      \
		if (!call) {                                                                       \
			json_decref(result);                                                       \
		} else if (result) {                                                               \
			rpc_call_reply(call, result);                                              \
		} else {                                                                           \
			rpc_call_fail_error(call, &err);                                           \
		}                                                                                  \
	}                                                                                          \
	struct weft_error

LISTING_METHOD(rpc_flow_list, listing_flows(&ports.config, params, &err));
LISTING_METHOD(rpc_object_list, listing_objects(&ports.config, params, &err));
LISTING_METHOD(rpc_stats, listing_stats(&ports.config));
LISTING_METHOD(rpc_workers, listing_workers());
LISTING_METHOD(rpc_caches, listing_caches(&ports.config));
LISTING_METHOD(rpc_drops, listing_drops(params, &err));
LISTING_METHOD(rpc_log, listing_set_log(params, &err));

static const struct rpc_method methods[] = {
	{"session.open", session_open},
	{"port.add", rpc_port_add},
	{"port.del", rpc_port_del},
	{"port.set", rpc_port_set},
	{"port.list", rpc_port_list},
	{"flow.list", rpc_flow_list},
	{"object.list", rpc_object_list},
	{"stats.get", rpc_stats},
	{"worker.list", rpc_workers},
	{"cache.list", rpc_caches},
	{"drop.list", rpc_drops},
	{"capture.start", capture_rpc_start},
	{"log.set", rpc_log},
};

/* --- news ---------------------------------------------------------------------------------------------------- */

/* Any thread: marks the port and wakes the ports thread. */
static void
wake(struct port *port, enum port_event event)
{
	uint64_t one = 1;

	(void)event; /* both say: ask the device */
	atomic_store(&port->has_news, true);
	if (ports.news_fd >= 0 && write(ports.news_fd, &one, sizeof one) < 0) {
		/* EAGAIN: it has been told often enough. */
	}
}

/* The tables thread: the agent of a session broke its rings. */
static void
session_broken(uint64_t session)
{
	uint64_t one = 1;

	atomic_store(&ports.broken_session, session);
	if (ports.news_fd >= 0 && write(ports.news_fd, &one, sizeof one) < 0) {
		/* EAGAIN: it has been told often enough. */
	}
}

static void
on_news(evutil_socket_t fd, short what, void *user)
{
	uint64_t n;

	(void)what;
	(void)user;
	weft_role_enter(weft_ports);
	if (read(fd, &n, sizeof n) < 0) {
		/* EAGAIN */
	}
	if (ports.session_peer &&
		atomic_exchange(&ports.broken_session, 0) == ports.session_number) {
		struct rpc_peer *peer = ports.session_peer;

		session_closed(peer, NULL);
		rpc_peer_destroy(peer);
	}
	for (uint32_t number = 0; number <= DP_PORT_MAX; number++) {
		struct port *port = port_find(number);
		struct port_status status = {0};

		if (!port || !atomic_exchange(&port->has_news, false)) {
			continue;
		}
		port->provider->status(port->dev, &status);
		port_refresh(port, &status);
		LOG_INFO("port %s: link %s, %u rx queues: %s", port->name,
			status.link_up ? "up" : "down", status.n_rxq, status.peer);
		if (ports.session_peer) {
			rpc_peer_notify(ports.session_peer, "port.changed", port_json(port));
		}
	}
	weft_role_leave(weft_ports);
}

static void
on_capture_news(evutil_socket_t fd, short what, void *user)
{
	(void)fd;
	(void)what;
	(void)user;
	weft_role_enter(weft_ports);
	captures_run();
	weft_role_leave(weft_ports);
}

static bool
open_captures(struct weft_error *err) WEFT_REQUIRES(weft_ports)
{
	int fd = captures_open();

	if (fd < 0) {
		return weft_error_set(
			err, WEFT_ERR_SYSTEM, -fd, "cannot make an eventfd: %s", strerror(-fd));
	}
	ports.capture_event =
		event_new(ports.base, fd, EV_READ | EV_PERSIST, on_capture_news, NULL);
	event_add(ports.capture_event, NULL);
	return true;
}

bool
ports_thread_start(
	struct event_base *base, const struct ports_thread_config *config, struct weft_error *err)
{
	struct rpc_methods table = {methods, WEFT_ARRAY_SIZE(methods), NULL};
	char path[4096];

	ports.config = *config;
	ports.base = base;
	ports.news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ports.news_fd < 0) {
		return weft_error_set(
			err, WEFT_ERR_SYSTEM, errno, "cannot make an eventfd: %s", strerror(errno));
	}
	ports.news_event = event_new(base, ports.news_fd, EV_READ | EV_PERSIST, on_news, NULL);
	event_add(ports.news_event, NULL);
	if (!open_captures(err)) {
		return false;
	}
	port_set_event_handler(wake);
	tables_set_broken_handler(session_broken);
	snprintf(path, sizeof path, "%s/datapath.sock", config->daemon->rundir);
	ports.server = rpc_server_create(base, path, config->daemon->group, &table, err);
	return ports.server;
}

void
ports_thread_stop(void)
{
	rpc_server_destroy(ports.server);
	ports.server = NULL;
	if (ports.capture_event) {
		event_free(ports.capture_event);
		ports.capture_event = NULL;
	}
	captures_close();
	for (uint32_t n = 0; n <= DP_PORT_MAX; n++) {
		struct port *port = port_find(n);

		if (port) {
			remove_port(port);
		}
	}
	port_set_event_handler(NULL);
	if (ports.news_event) {
		event_free(ports.news_event);
		close(ports.news_fd);
		ports.news_fd = -1;
	}
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Fake datapath: its socket. Methods run in the fake's thread and take its lock.
 */
#include <assert.h>
#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/jsonrpc.h"
#include "tests/unit/controller-agent/fake_datapath_internal.h"

struct fake_server {
	struct event_base *base;
	struct rpc_server *rpc;
	struct rpc_peer *agent; /* with an open session */
	struct event *wake;
	struct event *tables;
};

static const struct rpc_methods methods;

static void
drain(int fd, short what, void *arg)
{
	uint64_t n;

	(void)what;
	(void)arg;
	(void)!read(fd, &n, sizeof(n));
}

struct fake_server *
fake_server_start(struct fake_datapath *dp)
{
	struct fake_server *s = xcalloc(1, sizeof(*s));
	struct rpc_methods mine = methods;
	struct weft_error err = WEFT_ERROR_INIT;

	mine.user = dp;
	s->base = event_base_new();
	s->rpc = rpc_server_create(s->base, dp->path, NULL, &mine, &err);
	if (!s->rpc) {
		fprintf(stderr, "fake datapath: %s\n", err.text);
		abort();
	}
	s->wake = event_new(s->base, dp->wake_fd, EV_READ | EV_PERSIST, drain, NULL);
	event_add(s->wake, NULL);
	return s;
}

void
fake_server_stop(struct fake_server *s)
{
	rpc_server_destroy(s->rpc); /* agent_closed() */
	event_free(s->wake);
	event_base_free(s->base);
	free(s);
}

void
fake_server_run(struct fake_datapath *dp)
{
	event_base_loop(dp->server->base, EVLOOP_ONCE);
}

void
fake_server_close_connection(struct fake_datapath *dp)
{
	struct rpc_peer *agent = dp->server->agent;

	dp->server->agent = NULL;
	if (dp->server->tables) {
		event_free(dp->server->tables);
		dp->server->tables = NULL;
	}
	if (agent) {
		rpc_peer_on_close(agent, NULL, NULL);
		rpc_peer_destroy(agent);
	}
}

static void
agent_closed(struct rpc_peer *peer, void *arg)
{
	struct fake_datapath *dp = arg;

	pthread_mutex_lock(&dp->lock);
	if (dp->server->agent == peer) {
		dp->server->agent = NULL;
		if (dp->server->tables) {
			event_free(dp->server->tables);
			dp->server->tables = NULL;
		}
		fake_session_close(dp);
	}
	pthread_mutex_unlock(&dp->lock);
}

static json_t *
decimal(uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	return json_string(text);
}

static void
session_open(struct rpc_call *call, json_t *params, void *arg)
{
	struct fake_datapath *dp = arg;
	const char *epoch = "0";
	int version = 0, handlers = 1, fds[128], n;

	pthread_mutex_lock(&dp->lock);
	json_unpack(params, "{s?i, s?i, s?s}", "protocol", &version, "handlers", &handlers, "epoch",
		&epoch);
	if (version != (int)dp->version) {
		dp->counts.n_refused++;
		rpc_call_fail(call, RPC_FAILED,
			"protocol version %d is not %u: use programs of one build", version,
			dp->version);
	} else if (dp->server->agent) {
		dp->counts.n_refused++;
		rpc_call_fail(call, RPC_FAILED, "another agent has the session");
	} else {
		dp->server->agent = rpc_call_peer(call);
		rpc_peer_on_close(dp->server->agent, agent_closed, dp);
		n = fake_session_open(dp, (unsigned)handlers, strtoull(epoch, NULL, 10), fds);
		dp->server->tables = event_new(
			dp->server->base, dp->session.tables_fd, EV_READ | EV_PERSIST, drain, NULL);
		event_add(dp->server->tables, NULL);
		rpc_call_reply_fds(call,
			json_pack("{s:o, s:o, s:i, s:i, s:i, s:i, s:i, s:i, s:o}", "instance",
				decimal(dp->instance), "session", decimal(dp->n_session), "workers",
				(int)dp->n_workers, "max_flows", FAKE_MAX_FLOWS, "slots",
				FAKE_MAX_FLOWS + 64, "ring_size", (int)DP_RING_SIZE,
				"upcall_ring_size", (int)DP_UPCALL_RING_SIZE, "next_context",
				(int)dp->next_context, "last_epoch", decimal(dp->last_epoch)),
			fds, (size_t)n);
		for (int i = 0; i < n; i++) {
			close(fds[i]);
		}
	}
	pthread_mutex_unlock(&dp->lock);
}

static json_t *
port_json(const struct fake_port *p)
{
	json_t *options = json_loads(p->options, 0, NULL);

	return json_pack("{s:i, s:s, s:s, s:o, s:s, s:s, s:s, s:i, s:i}", "port", (int)p->number,
		"name", p->name, "type", p->type, "options", options ? options : json_object(),
		"link", p->link_up ? "up" : "down", "admin", p->admin_up ? "up" : "down", "mac",
		"02:00:00:00:00:01", "mtu", 1500, "speed_mbps", 10000);
}

void
fake_server_notify_port(struct fake_datapath *dp, const struct fake_port *port)
{
	rpc_server_notify(dp->server->rpc, "port.changed", port_json(port));
}

static struct fake_port *
find_port(struct fake_datapath *dp, int number)
{
	for (unsigned i = 0; i < FAKE_MAX_PORTS; i++) {
		if (dp->ports[i].used && (int)dp->ports[i].number == number) {
			return &dp->ports[i];
		}
	}
	return NULL;
}

static void
port_add(struct rpc_call *call, json_t *params, void *arg)
{
	struct fake_datapath *dp = arg;
	const char *name = "", *type = "";
	json_t *options = NULL;
	struct fake_port *p = dp->ports;
	int number = -1;

	pthread_mutex_lock(&dp->lock);
	json_unpack(params, "{s:i, s:s, s:s, s?o}", "port", &number, "name", &name, "type", &type,
		"options", &options);
	if (strcmp(name, dp->refuse_name) == 0) {
		rpc_call_fail(call, RPC_FAILED, "%s", dp->refuse_text);
	} else if (strcmp(type, "null") != 0 && strcmp(type, "vhost-user") != 0 &&
		   strcmp(type, "internal") != 0) {
		rpc_call_fail(call, RPC_FAILED, "type=%s: there is no such type of port", type);
	} else if (find_port(dp, number)) {
		rpc_call_fail(call, RPC_FAILED, "port number %d is in use", number);
	} else {
		while (p->used) {
			assert(p < dp->ports + FAKE_MAX_PORTS - 1);
			p++;
		}
		p->used = p->link_up = p->admin_up = true;
		p->number = (uint32_t)number;
		snprintf(p->name, sizeof(p->name), "%s", name);
		snprintf(p->type, sizeof(p->type), "%s", type);
		p->options = options ? json_dumps(options, JSON_COMPACT) : xstrdup("{}");
		dp->counts.n_ports++;
		rpc_call_reply(call, port_json(p));
	}
	pthread_mutex_unlock(&dp->lock);
}

static void
port_del(struct rpc_call *call, json_t *params, void *arg)
{
	struct fake_datapath *dp = arg;
	struct fake_port *p;
	int number = -1;

	pthread_mutex_lock(&dp->lock);
	json_unpack(params, "{s:i}", "port", &number);
	p = find_port(dp, number);
	if (p) {
		fake_port_delete(dp, p);
		rpc_call_reply(call, NULL);
	} else {
		rpc_call_fail(call, RPC_FAILED, "there is no port %d", number);
	}
	pthread_mutex_unlock(&dp->lock);
}

static void
port_set(struct rpc_call *call, json_t *params, void *arg)
{
	struct fake_datapath *dp = arg;
	json_t *options = NULL, *all, *admin;
	struct fake_port *p;
	int number = -1;

	pthread_mutex_lock(&dp->lock);
	json_unpack(params, "{s:i, s:o}", "port", &number, "options", &options);
	p = find_port(dp, number);
	if (!p) {
		rpc_call_fail(call, RPC_FAILED, "there is no port %d", number);
	} else if (json_object_get(options, "queues")) {
		rpc_call_fail(call, RPC_FAILED, "queues= cannot change while the port exists");
	} else {
		admin = json_object_get(options, "admin");
		if (admin) {
			p->admin_up = strcmp(json_string_value(admin), "up") == 0;
		}
		all = json_loads(p->options, 0, NULL);
		json_object_update(all, options);
		free(p->options);
		p->options = json_dumps(all, JSON_COMPACT);
		json_decref(all);
		rpc_call_reply(call, port_json(p));
	}
	pthread_mutex_unlock(&dp->lock);
}

static void
port_list(struct rpc_call *call, json_t *params, void *arg)
{
	struct fake_datapath *dp = arg;
	json_t *list = json_array();

	(void)params;
	pthread_mutex_lock(&dp->lock);
	for (unsigned i = 0; i < FAKE_MAX_PORTS; i++) {
		if (dp->ports[i].used) {
			json_array_append_new(list, port_json(&dp->ports[i]));
		}
	}
	rpc_call_reply(call, list);
	pthread_mutex_unlock(&dp->lock);
}

static const struct rpc_method rows[] = {
	{"session.open", session_open},
	{"port.add", port_add},
	{"port.del", port_del},
	{"port.set", port_set},
	{"port.list", port_list},
};

static const struct rpc_methods methods = {.rows = rows, .n_rows = WEFT_ARRAY_SIZE(rows)};

/* SPDX-License-Identifier: Apache-2.0
 *
 * Room: controller-agent. OpenFlow messages of a client, from the socket to the tables: whatever comes, the
 * service lives, answers or closes, and a client that comes after it is served.
 */
#include <event2/event.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controller-agent/of_service.h"
#include "controller-agent/of_service_internal.h"
#include "lib/error.h"
#include "lib/log.h"
#include "ofproto/ofproto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define INPUT_MAX 100000

static struct event_base *base;
static struct of_model *model;
static struct ofproto *ofproto;
static struct of_service *service;
static struct of_switch *sw;
static uint64_t now_ms = 1000;

static uint64_t
now(void *user)
{
	return now_ms;
}

static void
barrier(void *user, struct ofproto *p, of_done_fn *done, void *arg)
{
	done(arg);
}

static void
refresh(void *user, struct ofproto *p, enum of_refresh what, of_done_fn *done, void *arg)
{
	done(arg);
}

static void
port_stats(void *user, struct ofproto *p, struct of_port port, struct of_port_stats *stats)
{
}

static void
meter_stats(void *user, struct ofproto *p, uint32_t meter, struct of_meter_stats *stats)
{
	(void)user;
	(void)p;
	(void)meter;
	(void)stats;
}

static bool
packet_out(void *user, struct ofproto *p, const struct of_packet_out *po, struct weft_error *err)
{
	return true;
}

static bool
port_mod(void *user, struct ofproto *p, struct of_port port, uint32_t config, uint32_t mask,
	struct weft_error *err)
{
	return true;
}

static void
standalone(void *user, struct ofproto *p, bool is_now)
{
}

static void
flow_removed(void *user, struct ofproto *p, const struct of_flow_view *flow,
	enum of_removed_reason reason)
{
	of_service_flow_removed(service, p, flow, reason);
}

static void
context_gone(void *user, uint32_t id)
{
}

static void
config_changed(void *user, struct ofproto *p)
{
}

static void
begin(void)
{
	static const struct of_model_events events = {
		.flow_removed = flow_removed,
		.context_gone = context_gone,
	};
	static const struct of_service_ops ops = {
		.now_ms = now,
		.barrier = barrier,
		.refresh = refresh,
		.port_stats = port_stats,
		.meter_stats = meter_stats,
		.packet_out = packet_out,
		.port_mod = port_mod,
		.config_changed = config_changed,
		.standalone = standalone,
	};
	struct of_port_info info = {
		.number = OF_PORT(1), .name = "p1", .mac = {2, 0, 0, 0, 1, 1}, .dp_port = {1}};
	struct of_switch_setup setup = {.description = "fuzz"};

	if (!log_set_level("off", NULL)) {
		abort();
	}
	base = event_base_new();
	model = of_model_create(&events);
	ofproto = ofproto_create(model, "br0", 1, NULL);
	service = of_service_create(base, &ops);
	setup.ofproto = ofproto;
	sw = of_switch_attach(service, &setup, NULL);
	if (!sw || !ofproto_port_set(ofproto, &info, NULL)) {
		abort();
	}
}

static void
run(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

/* A client that says these bytes after its hello; whether it was answered at all. */
static bool
client(const uint8_t *data, size_t len)
{
	static const uint8_t hello[] = {4, 0, 0, 8, 0, 0, 0, 1};
	static uint8_t sink[1 << 18];
	bool is_answered = false;
	size_t at = 0;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0) {
		abort();
	}
	of_conn_create(sw, NULL, fds[1], "fuzz");
	run();
	if (recv(fds[0], sink, 16, 0) != 16 ||
		send(fds[0], hello, sizeof(hello), MSG_NOSIGNAL) < 0) {
		abort();
	}
	run();
	while (at < len) {
		ssize_t n = send(fds[0], data + at, len - at, MSG_NOSIGNAL);

		run();
		is_answered |= recv(fds[0], sink, sizeof(sink), 0) > 0;
		if (n <= 0) {
			break;
		}
		at += (size_t)n;
	}
	run();
	is_answered |= recv(fds[0], sink, sizeof(sink), 0) > 0;
	close(fds[0]);
	run();
	return is_answered;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t barrier_request[] = {4, 20, 0, 8, 0, 0, 0, 2};
	struct of_flow_mod all;

	if (!base) {
		begin();
	}
	if (len > INPUT_MAX) {
		return 0;
	}
	client(data, len);
	if (!client(barrier_request, sizeof(barrier_request))) {
		abort();
	}
	of_flow_mod_init(&all);
	all.command = OF_FLOW_DELETE;
	all.table = OF_TABLE_ALL;
	if (!ofproto_flow_mod(ofproto, &all, now_ms, NULL) || ofproto_n_rules(ofproto)) {
		abort();
	}
	of_flow_mod_uninit(&all);
	now_ms += 10;
	while (of_model_run(model, now_ms, 1000)) {
	}
	return 0;
}

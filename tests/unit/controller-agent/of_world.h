/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole OpenFlow service in a test: model, one switch with three ports, a mgmt socket, a virtual clock, and
 * callbacks that write down what they were asked.
 */
#pragma once

#include <sys/un.h>

#include "tests/unit/controller-agent/of_lab.h"

#include "controller-agent/of_service.h"
#include "lib/error.h"
#include "ofproto/of_context.h"
#include "ofproto/of_error.h"
#include "ofproto/ofproto.h"

#define WORLD_WAITS 16

struct world {
	struct lab lab;
	struct of_model *model;
	struct ofproto *ofproto;
	struct of_service *service;
	struct of_switch *sw;
	char dir[64];
	char mgmt[96];
	/* Callbacks. */
	bool hold; /* barriers and refreshes are answered by world_release() */
	unsigned n_barriers, n_refreshes, n_packet_outs, n_port_mods, n_waits;
	of_done_fn *done[WORLD_WAITS];
	void *done_arg[WORLD_WAITS];
	struct of_packet_out packet_out;
	uint8_t packet_out_data[2048];
	uint8_t packet_out_actions[2048];
	uint32_t port_mod_config, port_mod_mask;
	int standalone; /* -1: never told */
	unsigned n_config_changes;
};

static inline uint64_t
world_now(void *user)
{
	return ((struct world *)user)->lab.now_ms;
}

static inline void
world_wait(struct world *w, of_done_fn *done, void *arg)
{
	if (!w->hold) {
		done(arg);
		return;
	}
	assert_true(w->n_waits < WORLD_WAITS);
	w->done[w->n_waits] = done;
	w->done_arg[w->n_waits++] = arg;
}

static inline void
world_barrier(void *user, struct ofproto *p, of_done_fn *done, void *arg)
{
	struct world *w = user;

	assert_ptr_equal(p, w->ofproto);
	w->n_barriers++;
	world_wait(w, done, arg);
}

static inline void
world_refresh(void *user, struct ofproto *p, enum of_refresh what, of_done_fn *done, void *arg)
{
	struct world *w = user;

	(void)p;
	(void)what;
	w->n_refreshes++;
	world_wait(w, done, arg);
}

static inline void
world_port_stats(void *user, struct ofproto *p, struct of_port port, struct of_port_stats *stats)
{
	(void)user;
	(void)p;
	memset(stats, 0xff, sizeof(*stats));
	stats->rx_packets = port.v * 10;
	stats->tx_packets = port.v * 10 + 1;
	stats->rx_bytes = port.v * 1000;
	stats->tx_bytes = port.v * 1000 + 1;
	stats->rx_dropped = stats->tx_dropped = stats->rx_errors = stats->tx_errors = 0;
	stats->duration_ms = 12345;
}

/* Made of the numbers of meter and band. */
static inline void
world_meter_stats(void *user, struct ofproto *p, uint32_t meter, struct of_meter_stats *stats)
{
	(void)user;
	(void)p;
	stats->packets = 1000 * (uint64_t)meter;
	stats->bytes = 1000000 * (uint64_t)meter;
	for (unsigned i = 0; i < OF_MAX_BANDS; i++) {
		stats->bands[i].packets = 100 + i;
		stats->bands[i].bytes = 10000 + i;
	}
}

static inline bool
world_packet_out(
	void *user, struct ofproto *p, const struct of_packet_out *po, struct weft_error *err)
{
	struct world *w = user;

	(void)p;
	(void)err;
	w->n_packet_outs++;
	w->packet_out = *po;
	assert_true(po->len <= sizeof(w->packet_out_data));
	memcpy(w->packet_out_data, po->data, po->len);
	if (po->actions_size) {
		memcpy(w->packet_out_actions, po->actions, po->actions_size);
	}
	return true;
}

static inline bool
world_port_mod(void *user, struct ofproto *p, struct of_port port, uint32_t config, uint32_t mask,
	struct weft_error *err)
{
	struct world *w = user;
	struct of_port_info info = *ofproto_port_find(p, port);

	w->n_port_mods++;
	w->port_mod_config = config;
	w->port_mod_mask = mask;
	info.config = (info.config & ~mask) | config;
	if (!ofproto_port_set(p, &info, err)) {
		return false;
	}
	of_service_port_status(w->service, p, OF_PORT_MODIFIED, &info);
	return true;
}

static inline void
world_standalone(void *user, struct ofproto *p, bool now)
{
	struct of_settings settings;

	ofproto_get_settings(p, &settings);
	assert_int_equal(settings.standalone_now, now);
	((struct world *)user)->standalone = now;
}

static inline void
world_flow_removed(void *user, struct ofproto *p, const struct of_flow_view *flow,
	enum of_removed_reason reason)
{
	of_service_flow_removed(((struct world *)user)->service, p, flow, reason);
}

static inline void
world_context_gone(void *user, uint32_t id)
{
	(void)user;
	(void)id;
}

static inline void
world_add_port(struct world *w, uint32_t number, const char *name)
{
	struct of_port_info info = {
		.number = OF_PORT(number),
		.dp_port = {number + 100},
		.mac = {2, 0, 0, 0, 1, (uint8_t)number},
		.state = OF_PORT_LIVE,
		.mtu = 1500,
	};

	snprintf(info.name, sizeof(info.name), "%s", name);
	assert_true(ofproto_port_set(w->ofproto, &info, NULL));
}

static inline void
world_config_changed(void *user, struct ofproto *p)
{
	(void)p;
	((struct world *)user)->n_config_changes++;
}

static inline void
world_open(struct world *w)
{
	const struct of_model_events events = {
		.flow_removed = world_flow_removed,
		.context_gone = world_context_gone,
		.user = w,
	};
	const struct of_service_ops ops = {
		.now_ms = world_now,
		.barrier = world_barrier,
		.refresh = world_refresh,
		.port_stats = world_port_stats,
		.meter_stats = world_meter_stats,
		.packet_out = world_packet_out,
		.port_mod = world_port_mod,
		.config_changed = world_config_changed,
		.standalone = world_standalone,
		.user = w,
	};
	struct of_switch_setup setup = {
		.manufacturer = "Weft",
		.hardware = "none",
		.software = "1",
		.description = "br0",
	};

	memset(w, 0, sizeof(*w));
	w->standalone = -1;
	lab_open(&w->lab);
	strcpy(w->dir, "/tmp/weft-test-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->mgmt, sizeof(w->mgmt), "%s/br0.mgmt", w->dir);
	w->model = of_model_create(&events);
	w->ofproto = ofproto_create(w->model, "br0", 0x123456789abcdef0, NULL);
	assert_non_null(w->ofproto);
	world_add_port(w, 1, "p1");
	world_add_port(w, 2, "p2");
	world_add_port(w, OFPP_LOCAL, "br0");
	w->service = of_service_create(w->lab.base, &ops);
	setup.ofproto = w->ofproto;
	setup.mgmt_path = w->mgmt;
	w->sw = of_switch_attach(w->service, &setup, NULL);
	assert_non_null(w->sw);
}

/* Events of the model must not reach a service that is gone. */
static inline void
world_close(struct world *w)
{
	of_switch_detach(w->sw);
	ofproto_destroy(w->ofproto);
	while (of_model_run(w->model, w->lab.now_ms, 1000)) {
	}
	of_service_destroy(w->service);
	of_model_destroy(w->model);
	lab_close(&w->lab);
	rmdir(w->dir);
}

static inline void
world_run(struct world *w)
{
	lab_run(&w->lab);
}

static inline void
world_advance(struct world *w, uint64_t ms)
{
	w->lab.now_ms += ms;
	of_service_run(w->service);
	lab_run(&w->lab);
}

/* Answers all barriers and refreshes that wait. */
static inline void
world_release(struct world *w)
{
	unsigned n = w->n_waits;

	w->n_waits = 0;
	for (unsigned i = 0; i < n; i++) {
		w->done[i](w->done_arg[i]);
	}
	world_run(w);
}

static inline int
world_connect(struct world *w)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", w->mgmt);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/* Exchanges hellos of OpenFlow 1.3. */
static inline void
world_hello(struct world *w, int fd)
{
	world_run(w);
	expect_hex(fd, "04 00 0010 00000001 0001 0008 00000010");
	send_hex(fd, "04 00 0008 00000001");
	world_run(w);
}

/* A client of the mgmt socket, hello done. */
static inline int
world_client(struct world *w)
{
	int fd = world_connect(w);

	world_hello(w, fd);
	return fd;
}

/* A listening socket to which the switch connects as to a controller. */
static inline int
world_listen(struct world *w, char *target, size_t size)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/controller", w->dir);
	snprintf(target, size, "unix:%s", addr.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static inline int
world_accept(struct world *w, int listener)
{
	int fd;

	world_run(w);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

/* Messages that several tests send. */
#define BARRIER "04 14 0008 000000bb"
#define BARRIER_REPLY "04 15 0008 000000bb"
#define EMPTY_FLOW_MOD                                                                             \
	"040e003811223344 0000000000000000 0000000000000000 0000 0000 0000 0001 ffffffff ffffffff" \
	"ffffffff 0000 0000 0001 0004 00000000"

/* A packet-in from port 2 of 100 bytes, of which 20 are known. */
static inline void
world_packet_in(struct world *w, uint8_t reason, uint16_t max_len)
{
	static const uint8_t data[20] = "0123456789abcdefghi";
	struct of_context context = {
		.kind = OF_CONTEXT_PACKET_IN,
		.table = 3,
		.reason = reason,
		.max_len = max_len,
		.cookie = 0x1122,
		.metadata = be64_from(0x55),
	};
	struct flow_key key;
	struct of_packet_in pi = {.data = data, .len = sizeof(data), .total_len = 100};

	memset(&key, 0, sizeof(key));
	key.tun_id_lo = be32_from(7);
	of_packet_in_fill(&pi, &context, &key, OF_PORT(2), NULL);
	of_service_packet_in(w->service, w->ofproto, &pi);
	world_run(w);
}

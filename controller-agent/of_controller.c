/* SPDX-License-Identifier: Apache-2.0
 *
 * Controllers of a switch: targets, their connections, and their silence.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controller-agent/of_conn.h"
#include "controller-agent/of_service_internal.h"
#include "controller-agent/tls.h"
#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/log.h"

WEFT_LOG_MODULE(openflow);

static bool make_tls(const struct of_controller_setup *setup, const struct target *target,
	struct tls **tls, struct weft_error *err);
static void set_limits(struct of_controller *controller, const struct of_controller_setup *setup);
static struct of_controller *find(const struct of_switch *sw, const char *target);
static size_t count(const struct of_switch *sw);
static void on_connected(void *user, int fd, const char *peer);
static void on_failed(void *user, const char *why);
static void on_accepted(void *user, int fd, const char *peer);
static void set_error(struct of_controller *controller, const char *why);
static uint64_t heard_ms(const struct of_switch *sw);
static uint64_t patience_ms(const struct of_switch *sw);
static void set_standalone(struct of_switch *sw, bool now);
static void list_one(const struct of_controller *controller,
	void (*visit)(const struct of_controller_status *status, void *user), void *user);
static void fill_connection(const struct of_conn *c, struct of_controller_status *status);

static const struct connector_ops connector_ops = {on_connected, on_failed};

/* --- adding and removing ------------------------------------------------------------------------ */

bool
of_target_check(const struct of_controller_setup *setup, struct weft_error *err)
{
	struct target target;
	struct tls *tls;

	if (!target_parse(setup->target, &target, err)) {
		return false;
	}
	if (!make_tls(setup, &target, &tls, err)) {
		weft_error_prefix(err, "controller %s", setup->target);
		return false;
	}
	tls_destroy(tls);
	return true;
}

/* NULL for a target that is without TLS. */
static bool
make_tls(const struct of_controller_setup *setup, const struct target *target, struct tls **tls,
	struct weft_error *err)
{
	const struct tls_files files = {setup->key, setup->cert, setup->ca};

	*tls = NULL;
	if (target_is_tls(target)) {
		*tls = tls_create(&files, err);
		return *tls != NULL;
	}
	if (setup->key || setup->cert || setup->ca) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"key, cert and ca are for tls: and ptls: alone");
	}
	return true;
}

bool
of_switch_add_controller(
	struct of_switch *sw, const struct of_controller_setup *setup, struct weft_error *err)
{
	struct of_service *s = sw->service;
	struct of_controller *controller;
	struct target target;
	struct tls *tls;

	if (!target_parse(setup->target, &target, err)) {
		return false;
	}
	if (find(sw, setup->target)) {
		return weft_error_set(err, WEFT_ERR_CONFLICT, EEXIST,
			"switch %s has controller \"%s\" already", ofproto_name(sw->ofproto),
			setup->target);
	}
	if (count(sw) >= OF_MAX_CONTROLLERS) {
		return weft_error_set(err, WEFT_ERR_CONFLICT, ENOSPC,
			"switch %s has %u controllers, the most that it can have",
			ofproto_name(sw->ofproto), OF_MAX_CONTROLLERS);
	}
	if (!make_tls(setup, &target, &tls, err)) {
		return false;
	}
	controller = xcalloc(1, sizeof(*controller));
	controller->sw = sw;
	controller->tls = tls;
	controller->target = target;
	set_limits(controller, setup);
	controller->since_ms = timers_now(s->timers);
	if (target_is_passive(&target)) {
		controller->listener =
			listener_create(s->base, &target, on_accepted, controller, err);
		if (!controller->listener) {
			tls_destroy(tls);
			free(controller);
			return false;
		}
	} else {
		controller->connector =
			connector_create(s->base, s->timers, &target, &connector_ops, controller);
	}
	controller->text = xstrdup(setup->target);
	if (list_is_empty(&sw->controllers)) {
		/* Silence counts from now on. */
		sw->heard_ms = timers_now(s->timers);
	}
	list_push_back(&sw->controllers, &controller->link);
	of_switch_judge_silence(sw);
	return true;
}

static void
set_limits(struct of_controller *controller, const struct of_controller_setup *setup)
{
	controller->rate_limit = setup->rate_limit;
	controller->burst = setup->burst;
	controller->probe_ms = setup->probe_ms == OF_NO_PROBE ? 0
			       : setup->probe_ms              ? setup->probe_ms
							      : OF_PROBE_MS;
}

bool
of_switch_limit_controller(struct of_switch *sw, const struct of_controller_setup *setup)
{
	struct of_controller *controller = find(sw, setup->target);
	struct of_conn *c;

	if (!controller) {
		return false;
	}
	set_limits(controller, setup);
	LIST_FOREACH (c, link, &sw->conns) {
		if (c->controller == controller) {
			packet_queue_set_rate(&c->packet_ins, controller->rate_limit,
				controller->burst, timers_now(sw->service->timers));
			of_conn_send_packet_ins(c);
			channel_set_probe(c->channel, controller->probe_ms);
		}
	}
	of_switch_judge_silence(sw);
	return true;
}

bool
of_switch_del_controller(struct of_switch *sw, const char *target)
{
	struct of_controller *controller = find(sw, target);

	if (!controller) {
		return false;
	}
	of_controller_destroy(controller);
	of_switch_judge_silence(sw);
	of_switch_update_settings(sw);
	return true;
}

void
of_controller_destroy(struct of_controller *controller)
{
	struct of_conn *c, *next;

	LIST_FOREACH_SAFE (c, next, link, &controller->sw->conns) {
		if (c->controller == controller) {
			controller->sw->service->counters.disconnects += c->codec != NULL;
			of_conn_destroy(c);
		}
	}
	connector_destroy(controller->connector);
	listener_destroy(controller->listener);
	list_remove(&controller->link);
	tls_destroy(controller->tls);
	free(controller->text);
	free(controller);
}

static struct of_controller *
find(const struct of_switch *sw, const char *target)
{
	struct of_controller *controller;

	LIST_FOREACH (controller, link, &sw->controllers) {
		if (strcmp(controller->text, target) == 0) {
			return controller;
		}
	}
	return NULL;
}

static size_t
count(const struct of_switch *sw)
{
	return list_count(&sw->controllers);
}

/* --- connections -------------------------------------------------------------------------------- */

static void
on_connected(void *user, int fd, const char *peer)
{
	struct of_controller *controller = user;

	controller->since_ms = timers_now(controller->sw->service->timers);
	of_conn_create(controller->sw, controller, fd, peer);
}

static void
on_failed(void *user, const char *why)
{
	struct of_controller *controller = user;

	/* The same cause again and again is told once. */
	if (strcmp(controller->last_error, why) != 0) {
		LOG_WARN_RL("switch %s: controller %s: %s", ofproto_name(controller->sw->ofproto),
			controller->text, why);
	}
	controller->since_ms = timers_now(controller->sw->service->timers);
	set_error(controller, why);
}

static void
on_accepted(void *user, int fd, const char *peer)
{
	struct of_controller *controller = user;

	if (controller->n_conns >= OF_MAX_CLIENTS) {
		controller->sw->service->counters.refused++;
		LOG_WARN_RL("switch %s: %s refused: %s has %u connections already",
			ofproto_name(controller->sw->ofproto), peer, controller->text,
			OF_MAX_CLIENTS);
		close(fd);
		return;
	}
	of_conn_create(controller->sw, controller, fd, peer);
}

void
of_controller_opened(struct of_controller *controller)
{
	controller->n_connects++;
	controller->last_error[0] = '\0';
	of_switch_judge_silence(controller->sw);
}

void
of_controller_closed(
	struct of_controller *controller, bool was_open, uint64_t heard, const char *why)
{
	struct of_switch *sw = controller->sw;

	controller->since_ms = timers_now(sw->service->timers);
	if (was_open) {
		sw->heard_ms =
			WEFT_MAX(sw->heard_ms, controller->probe_ms ? heard : controller->since_ms);
	}
	set_error(controller, why);
	if (controller->connector) {
		connector_lost(controller->connector, was_open);
	}
	of_switch_judge_silence(sw);
}

static void
set_error(struct of_controller *controller, const char *why)
{
	size_t len = strnlen(why, sizeof(controller->last_error) - 1);

	memmove(controller->last_error, why, len);
	controller->last_error[len] = '\0';
}

/* --- silence ------------------------------------------------------------------------------------ */

void
of_switch_judge_silence(struct of_switch *sw)
{
	uint64_t now = timers_now(sw->service->timers), due;
	struct of_settings settings;
	struct of_conn *c;

	ofproto_get_settings(sw->ofproto, &settings);
	timer_cancel(&sw->silence);
	if (list_is_empty(&sw->controllers) || !sw->is_ready ||
		settings.fail_mode != OF_FAIL_STANDALONE) {
		set_standalone(sw, false);
		return;
	}
	due = heard_ms(sw) + patience_ms(sw);
	if (now >= due) {
		set_standalone(sw, true);
		return;
	}
	timer_set(sw->service->timers, &sw->silence, due);
	if (settings.standalone_now) {
		/* It takes a connection that speaks to end it. */
		LIST_FOREACH (c, link, &sw->conns) {
			if (c->controller && channel_is_open(c->channel)) {
				set_standalone(sw, false);
				return;
			}
		}
	}
}

void
of_switch_on_silence(void *arg)
{
	of_switch_judge_silence(arg);
}

/* When any controller was heard last. */
static uint64_t
heard_ms(const struct of_switch *sw)
{
	uint64_t heard = sw->heard_ms;
	const struct of_conn *c;

	LIST_FOREACH (c, link, &sw->conns) {
		if (c->controller && channel_is_open(c->channel)) {
			heard = WEFT_MAX(heard, c->controller->probe_ms
							? channel_heard_ms(c->channel)
							: timers_now(sw->service->timers));
		}
	}
	return heard;
}

static uint64_t
patience_ms(const struct of_switch *sw)
{
	const struct of_controller *controller;
	uint64_t probe_ms = 0;

	LIST_FOREACH (controller, link, &sw->controllers) {
		probe_ms = WEFT_MAX(
			probe_ms, controller->probe_ms ? controller->probe_ms : OF_PROBE_MS);
	}
	return OF_SILENT_PROBES * probe_ms;
}

static void
set_standalone(struct of_switch *sw, bool now)
{
	struct of_settings settings;

	ofproto_get_settings(sw->ofproto, &settings);
	if (settings.standalone_now == now) {
		return;
	}
	settings.standalone_now = now;
	ofproto_set_settings(sw->ofproto, &settings);
	sw->service->ops.standalone(sw->service->ops.user, sw->ofproto, now);
}

/* --- listing ------------------------------------------------------------------------------------ */

void
of_switch_list_controllers(const struct of_switch *sw,
	void (*visit)(const struct of_controller_status *status, void *user), void *user)
{
	const struct of_controller *controller;

	LIST_FOREACH (controller, link, &sw->controllers) {
		list_one(controller, visit, user);
	}
}

static void
list_one(const struct of_controller *controller,
	void (*visit)(const struct of_controller_status *status, void *user), void *user)
{
	const struct of_controller_status empty = {
		.target = controller->text,
		.peer = "",
		.state =
			controller->listener ? "listening" : connector_state(controller->connector),
		.last_error = controller->last_error,
		.version = "",
		.role = OF_ROLE_EQUAL,
		.since_ms = controller->since_ms,
		.n_connects = controller->n_connects,
		.rate_limit = controller->rate_limit,
		.burst = packet_queue_burst(controller->rate_limit, controller->burst),
	};
	const struct of_conn *c;
	unsigned n = 0;

	LIST_FOREACH (c, link, &controller->sw->conns) {
		if (c->controller == controller) {
			struct of_controller_status status = empty;

			fill_connection(c, &status);
			visit(&status, user);
			n++;
		}
	}
	if (!n) {
		visit(&empty, user);
	}
}

static void
fill_connection(const struct of_conn *c, struct of_controller_status *status)
{
	status->peer = c->peer;
	status->state = c->codec ? "connected" : "hello";
	status->version = c->codec ? c->codec->name : "";
	status->role = c->role;
	status->is_connected = c->codec != NULL;
	status->since_ms = c->since_ms;
	status->rx_messages = channel_rx_messages(c->channel);
	status->tx_messages = channel_tx_messages(c->channel);
	status->packet_ins = c->packet_ins.n_sent;
	status->packet_ins_queued = c->packet_ins.n_queued;
	status->packet_ins_waiting = c->packet_ins.n;
	status->packet_ins_dropped = c->packet_ins.n_dropped;
}

const char *
of_role_name(enum of_role role)
{
	switch (role) {
	case OF_ROLE_MASTER:
		return "master";
	case OF_ROLE_SLAVE:
		return "slave";
	case OF_ROLE_NOCHANGE:
	case OF_ROLE_EQUAL:
		break;
	}
	return "equal";
}

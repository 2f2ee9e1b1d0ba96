/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenFlow service: life of the service and of its switches.
 */
#include "controller-agent/of_service.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "controller-agent/of_conn.h"
#include "controller-agent/of_service_internal.h"
#include "controller-agent/wakeful.h"
#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/log.h"

WEFT_LOG_MODULE(openflow);

static void on_client(void *user, int fd, const char *peer);
static void close_conns(struct of_switch *sw, uint32_t keep_versions, const char *why);
static char *copy(const char *text);

struct of_service *
of_service_create(struct event_base *base, const struct of_service_ops *ops)
{
	struct of_service *s = xcalloc(1, sizeof(*s));

	/* libevent writes to sockets by writev(): a peer that has gone is an error, not a signal. */
	signal(SIGPIPE, SIG_IGN);
	s->base = base;
	s->ops = *ops;
	s->timers = timers_create(base, ops->now_ms, ops->user);
	s->wakeful = wakeful_create(s->timers, ops->latency_path);
	list_init(&s->switches);
	list_init(&s->orphans);
	return s;
}

void
of_service_destroy(struct of_service *s)
{
	if (!s) {
		return;
	}
	while (!list_is_empty(&s->switches)) {
		of_switch_detach(LIST_ENTRY(s->switches.next, struct of_switch, link));
	}
	while (!list_is_empty(&s->orphans)) {
		struct of_job *job = LIST_ENTRY(list_pop_front(&s->orphans), struct of_job, link);

		if (job->uninit) {
			job->uninit(job);
		}
		free(job);
	}
	wakeful_destroy(s->wakeful);
	timers_destroy(s->timers);
	free(s);
}

void
of_service_run(struct of_service *s)
{
	timers_run(s->timers);
}

const struct of_service_counters *
of_service_counters(const struct of_service *s)
{
	return &s->counters;
}

/* --- switches ----------------------------------------------------------------------------------- */

struct of_switch *
of_switch_attach(struct of_service *s, const struct of_switch_setup *setup, struct weft_error *err)
{
	struct of_switch *sw = xcalloc(1, sizeof(*sw));

	if (setup->mgmt_path) {
		sw->mgmt = listener_create_unix(
			s->base, setup->mgmt_path, setup->group, on_client, sw, err);
		if (!sw->mgmt) {
			free(sw);
			return NULL;
		}
	}
	sw->service = s;
	sw->ofproto = setup->ofproto;
	sw->protocols = setup->protocols;
	list_init(&sw->conns);
	list_init(&sw->controllers);
	sw->desc.manufacturer = copy(setup->manufacturer);
	sw->desc.hardware = copy(setup->hardware);
	sw->desc.software = copy(setup->software);
	sw->desc.serial = copy(setup->serial);
	sw->desc.description = copy(setup->description);
	sw->heard_ms = timers_now(s->timers);
	timer_init(&sw->silence, of_switch_on_silence, sw);
	list_push_back(&s->switches, &sw->link);
	return sw;
}

void
of_switch_detach(struct of_switch *sw)
{
	if (!sw) {
		return;
	}
	timer_cancel(&sw->silence);
	while (!list_is_empty(&sw->controllers)) {
		of_controller_destroy(LIST_ENTRY(sw->controllers.next, struct of_controller, link));
	}
	while (!list_is_empty(&sw->conns)) {
		struct of_conn *c = LIST_ENTRY(sw->conns.next, struct of_conn, link);

		sw->service->counters.disconnects += c->codec != NULL;
		of_conn_destroy(c);
	}
	listener_destroy(sw->mgmt);
	list_remove(&sw->link);
	free((char *)sw->desc.manufacturer);
	free((char *)sw->desc.hardware);
	free((char *)sw->desc.software);
	free((char *)sw->desc.serial);
	free((char *)sw->desc.description);
	free(sw);
}

struct of_switch *
of_switch_find(const struct of_service *s, const struct ofproto *p)
{
	struct of_switch *sw;

	LIST_FOREACH (sw, link, &s->switches) {
		if (sw->ofproto == p) {
			return sw;
		}
	}
	return NULL;
}

void
of_switch_set_protocols(struct of_switch *sw, uint32_t protocols)
{
	sw->protocols = protocols;
	close_conns(sw, of_codec_versions(protocols), "this OpenFlow version is no longer allowed");
}

void
of_switch_reconnect(struct of_switch *sw)
{
	close_conns(sw, 0, "the switch has a new datapath id");
}

void
of_switch_set_ready(struct of_switch *sw)
{
	sw->is_ready = true;
	of_switch_judge_silence(sw);
}

void
of_switch_settings_changed(struct of_switch *sw)
{
	of_switch_judge_silence(sw);
}

void
of_switch_status(const struct of_switch *sw, struct of_switch_status *status)
{
	struct of_settings settings;
	const struct of_conn *c;

	ofproto_get_settings(sw->ofproto, &settings);
	*status = (struct of_switch_status){
		.n_controllers = (uint32_t)list_count(&sw->controllers),
		.standalone_now = settings.standalone_now,
		.last_flow_mod_ms = sw->last_flow_mod_ms,
		.last_barrier_ms = sw->last_barrier_ms,
	};
	LIST_FOREACH (c, link, &sw->conns) {
		status->n_connected += c->controller && channel_is_open(c->channel);
	}
}

/* A connection to SWITCH.mgmt. */
static void
on_client(void *user, int fd, const char *peer)
{
	struct of_switch *sw = user;

	if (sw->n_clients >= OF_MAX_CLIENTS) {
		sw->service->counters.refused++;
		LOG_WARN_RL("switch %s: client %s refused: there are %u already",
			ofproto_name(sw->ofproto), peer, OF_MAX_CLIENTS);
		close(fd);
		return;
	}
	of_conn_create(sw, NULL, fd, peer);
}

/* Ends the connections whose version is not among @keep_versions. Each end changes the list. */
static void
close_conns(struct of_switch *sw, uint32_t keep_versions, const char *why)
{
	struct of_conn *c, *next;

	LIST_FOREACH_SAFE (c, next, link, &sw->conns) {
		uint8_t version = channel_version(c->channel);

		if (!version || !(keep_versions & 1u << version)) {
			channel_end(c->channel, CHANNEL_END_US, "%s", why);
		}
	}
}

static char *
copy(const char *text)
{
	return xstrdup(text ? text : "");
}

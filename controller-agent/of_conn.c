/* SPDX-License-Identifier: Apache-2.0
 *
 * Connection: one controller or client, from its hello on.
 */
#include "controller-agent/of_conn.h"

#include <stdlib.h>
#include <string.h>

#include "controller-agent/of_msg.h"
#include "controller-agent/of_wire.h"
#include "controller-agent/tls.h"
#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/log.h"
#include "ofproto/of_context.h"

WEFT_LOG_MODULE(openflow);

#define DEFAULT_MISS_SEND_LEN 128

static void on_opened(void *user);
static void on_message(void *user, const uint8_t *msg, size_t len);
static void on_drained(void *user);
static void on_closed(void *user, enum channel_end end, const char *why);
static void count_end(struct of_service_counters *counters, enum channel_end end);
static void on_job_timer(void *arg);
static void run_job(struct of_conn *c);
static void job_free(struct of_job *job);
static void drop_job(struct of_conn *c);

static const struct channel_ops channel_ops = {on_opened, on_message, on_drained, on_closed};

/* OpenFlow 1.3.5 s.6.3.4 and s.A.3.10: what a connection gets that has said nothing. */
static const struct of_async default_async = {
	.mask =
		{
			[OF_ASYNC_PACKET_IN] = {1u << OF_REASON_NO_MATCH | 1u << OF_REASON_ACTION,
				0},
			[OF_ASYNC_PORT_STATUS] = {0x7, 0x7},
			[OF_ASYNC_FLOW_REMOVED] = {0xf, 0},
		},
};

struct of_conn *
of_conn_create(struct of_switch *sw, struct of_controller *controller, int fd, const char *peer)
{
	struct of_service *s = sw->service;
	struct of_conn *c = xcalloc(1, sizeof(*c));
	struct channel_setup setup = {
		.fd = fd,
		.versions = of_codec_versions(sw->protocols),
		/* A local client may sleep as long as it likes: its socket tells when it is gone. */
		.probe_ms = controller ? controller->probe_ms : 0,
		.hello_ms = controller && controller->probe_ms ? controller->probe_ms : OF_PROBE_MS,
	};

	if (controller && controller->tls) {
		setup.tls = tls_session(controller->tls);
		setup.is_server = controller->listener != NULL;
	}
	c->sw = sw;
	c->controller = controller;
	c->role = OF_ROLE_EQUAL;
	c->async = default_async;
	/* A client of the mgmt socket gets no news until it asks, by a length other than 0. */
	c->config.miss_send_len = controller ? DEFAULT_MISS_SEND_LEN : 0;
	c->since_ms = timers_now(s->timers);
	timer_init(&c->job_timer, on_job_timer, c);
	timer_init(&c->packet_in_timer, of_conn_send_packet_ins, c);
	packet_queue_init(&c->packet_ins);
	if (controller) {
		packet_queue_set_rate(
			&c->packet_ins, controller->rate_limit, controller->burst, c->since_ms);
	}
	of_bundles_init(c);
	memccpy(c->peer, peer, '\0', sizeof(c->peer) - 1);
	list_push_back(&sw->conns, &c->link);
	if (controller) {
		controller->n_conns++;
	} else {
		sw->n_clients++;
	}
	c->channel = channel_create(s->base, s->timers, &setup, &channel_ops, c);
	return c;
}

void
of_conn_destroy(struct of_conn *c)
{
	drop_job(c);
	timer_cancel(&c->job_timer);
	timer_cancel(&c->packet_in_timer);
	of_conn_service(c)->counters.packet_ins_dropped += c->packet_ins.n;
	packet_queue_uninit(&c->packet_ins);
	of_bundles_uninit(c);
	list_remove(&c->link);
	if (c->controller) {
		c->controller->n_conns--;
	} else {
		c->sw->n_clients--;
	}
	channel_destroy(c->channel);
	strbuf_uninit(&c->out);
	for (unsigned i = 0; i < OF_MAX_ASSEMBLIES; i++) {
		strbuf_uninit(&c->assemblies[i].body);
	}
	free(c);
}

/* --- the channel's callbacks -------------------------------------------------------------------- */

static void
on_opened(void *user)
{
	struct of_conn *c = user;

	c->codec = of_codec_find(channel_version(c->channel));
	c->since_ms = timers_now(of_conn_service(c)->timers);
	of_conn_service(c)->counters.connects++;
	LOG_AT(c->controller ? LOG_LEVEL_INFO : LOG_LEVEL_DBG,
		"switch %s: %s %s connected by OpenFlow %s", ofproto_name(c->sw->ofproto),
		c->controller ? "controller" : "client", c->peer, c->codec->name);
	if (c->controller) {
		of_controller_opened(c->controller);
	}
}

static void
on_message(void *user, const uint8_t *msg, size_t len)
{
	struct of_conn *c = user;

	of_conn_service(c)->counters.rx_messages++;
	of_msg_dispatch(c, msg, len);
}

static void
on_drained(void *user)
{
	struct of_conn *c = user;

	run_job(c);
	if (channel_is_open(c->channel)) {
		of_conn_send_packet_ins(c);
	}
}

static void
on_closed(void *user, enum channel_end end, const char *why)
{
	struct of_conn *c = user;
	struct of_switch *sw = c->sw;
	struct of_controller *controller = c->controller;
	bool was_open = c->codec != NULL;
	uint64_t heard_ms = channel_heard_ms(c->channel);

	if (was_open) {
		sw->service->counters.disconnects++;
	}
	count_end(&sw->service->counters, end);
	if (end == CHANNEL_END_PEER && !controller) {
		LOG_DBG("switch %s: client %s: %s", ofproto_name(sw->ofproto), c->peer, why);
	} else {
		LOG_INFO_RL("switch %s: %s %s disconnected: %s", ofproto_name(sw->ofproto),
			controller ? "controller" : "client", c->peer, why);
	}
	of_conn_destroy(c);
	if (controller) {
		of_controller_closed(controller, was_open, heard_ms, why);
	}
	of_switch_update_settings(sw);
}

static void
count_end(struct of_service_counters *counters, enum channel_end end)
{
	switch (end) {
	case CHANNEL_END_VERSION:
		counters->version_mismatch++;
		break;
	case CHANNEL_END_GARBAGE:
		counters->garbage++;
		break;
	case CHANNEL_END_SILENT:
		counters->probe_timeouts++;
		break;
	case CHANNEL_END_STALLED:
		counters->stalled++;
		break;
	case CHANNEL_END_PEER:
	case CHANNEL_END_US:
		break;
	}
}

/* --- replies ------------------------------------------------------------------------------------ */

void
of_conn_send(struct of_conn *c)
{
	of_conn_service(c)->counters.tx_messages++;
	channel_send(c->channel, c->out.data, c->out.len);
	strbuf_clear(&c->out);
}

void
of_conn_send_error(struct of_conn *c, const struct of_request *rq, const struct weft_error *err)
{
	LOG_INFO_RL("switch %s: %s: %s refused: %s", ofproto_name(c->sw->ofproto), c->peer,
		of_msg_name(rq->type), err->text);
	if (err->domain == WEFT_ERR_OPENFLOW) {
		of_conn_refuse(c, rq, (uint16_t)err->code, (uint16_t)err->subcode);
	} else {
		of_conn_refuse(c, rq, OFPET_BAD_REQUEST, OFPBRC_EPERM);
	}
}

void
of_conn_refuse(struct of_conn *c, const struct of_request *rq, uint16_t type, uint16_t code)
{
	of_conn_service(c)->counters.errors_sent++;
	LOG_DBG("switch %s: %s: error %s", ofproto_name(c->sw->ofproto), c->peer,
		of_error_name(type, code));
	strbuf_clear(&c->out);
	c->codec->put_error(&c->out, rq->xid, type, code, rq->msg, rq->len);
	of_conn_send(c);
}

/* --- jobs --------------------------------------------------------------------------------------- */

void *
of_job_create(struct of_conn *c, const struct of_request *rq, size_t size,
	enum of_job_next (*step)(struct of_job *job), void (*uninit)(struct of_job *job))
{
	struct of_job *job = xcalloc(1, size);

	list_init(&job->link);
	job->conn = c;
	job->xid = rq->xid;
	job->step = step;
	job->uninit = uninit;
	return job;
}

void
of_job_start(struct of_job *job)
{
	struct of_conn *c = job->conn;

	c->job = job;
	channel_pause(c->channel);
	run_job(c);
}

void
of_job_done(void *arg)
{
	struct of_job *job = arg;

	job->is_waiting = false;
	if (!job->conn) {
		list_remove(&job->link);
		job_free(job);
	} else if (job->conn->job == job && !timer_is_armed(&job->conn->job_timer)) {
		/* Not from here: this may be inside the step that asked for it. */
		timer_set(of_conn_service(job->conn)->timers, &job->conn->job_timer, 0);
	}
}

static void
on_job_timer(void *arg)
{
	run_job(arg);
}

/* One step, if it is time for one. */
static void
run_job(struct of_conn *c)
{
	struct of_job *job = c->job;

	if (!job || job->is_waiting || channel_is_full(c->channel)) {
		return;
	}
	timer_cancel(&c->job_timer);
	switch (job->step(job)) {
	case OF_JOB_DONE:
		c->job = NULL;
		job_free(job);
		channel_resume(c->channel);
		break;
	case OF_JOB_AGAIN:
		timer_set(of_conn_service(c)->timers, &c->job_timer, 0);
		break;
	case OF_JOB_LATER:
		timer_set(of_conn_service(c)->timers, &c->job_timer,
			timers_now(of_conn_service(c)->timers) + 1);
		break;
	case OF_JOB_WAIT:
		break;
	}
}

static void
job_free(struct of_job *job)
{
	if (job->uninit) {
		job->uninit(job);
	}
	free(job);
}

/* The connection ends. A job that waits must stay until its callback has come. */
static void
drop_job(struct of_conn *c)
{
	struct of_job *job = c->job;

	c->job = NULL;
	if (!job) {
		return;
	}
	job->conn = NULL;
	if (job->is_waiting) {
		list_push_back(&of_conn_service(c)->orphans, &job->link);
	} else {
		job_free(job);
	}
}

/* --- multipart replies -------------------------------------------------------------------------- */

void
of_multi_begin(struct of_multi *m, const struct of_conn *c, uint32_t xid, enum of_part_type part)
{
	strbuf_init(&m->out);
	m->xid = xid;
	m->part = part;
	m->start = c->codec->begin_part(&m->out, xid, part);
}

void
of_multi_added(struct of_multi *m, struct of_conn *c, size_t before)
{
	size_t entry = m->out.len - before;
	uint8_t *last;

	if (m->out.len - m->start <= OF_MESSAGE_MAX) {
		return;
	}
	last = xmemdup(m->out.data + before, entry);
	strbuf_truncate(&m->out, before);
	c->codec->end_part(&m->out, m->start, true);
	strbuf_put_bytes(&c->out, m->out.data, m->out.len);
	of_conn_send(c);
	strbuf_clear(&m->out);
	m->start = c->codec->begin_part(&m->out, m->xid, m->part);
	if (m->out.len + entry <= OF_MESSAGE_MAX) {
		strbuf_put_bytes(&m->out, last, entry);
	} else {
		LOG_WARN_RL("switch %s: an entry of %zu bytes does not fit in a multipart reply",
			ofproto_name(c->sw->ofproto), entry);
	}
	free(last);
}

void
of_multi_end(struct of_multi *m, struct of_conn *c)
{
	c->codec->end_part(&m->out, m->start, false);
	strbuf_put_bytes(&c->out, m->out.data, m->out.len);
	of_conn_send(c);
	of_multi_uninit(m);
}

void
of_multi_uninit(struct of_multi *m)
{
	strbuf_uninit(&m->out);
}

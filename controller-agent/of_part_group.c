/* SPDX-License-Identifier: Apache-2.0
 *
 * Multipart GROUP, GROUP_DESC, GROUP_FEATURES, METER, METER_CONFIG, METER_FEATURES, EXPERIMENTER.
 *
 * Spec: OpenFlow 1.3.5 s.A.3.5.9 to s.A.3.5.15; errors s.A.4.4.
 */
#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"

#define EXPERIMENTER_SIZE 8u /* its number and that of the type */

/* Statistics of groups or meters. */
struct stats_job {
	struct of_job job;
	enum of_part_type part;
	uint32_t number; /* OFPG_ALL, OFPM_ALL: all */
	struct of_multi multi;
};

/* A list under way. */
struct listing {
	struct of_conn *conn;
	struct of_multi *multi;
};

static void start(struct of_conn *c, const struct of_request *rq, enum of_part_type part);
static enum of_job_next refresh(struct of_job *job);
static enum of_job_next answer(struct of_job *job);
static void ignore_meter(const struct of_meter_view *view, void *none);
static void put_group(const struct of_group_view *view, void *listing);
static void put_group_desc(const struct of_group_view *view, void *listing);
static void put_meter(const struct of_meter_view *view, void *listing);
static void put_meter_config(const struct of_meter_view *view, void *listing);

void
of_part_group(struct of_conn *c, const struct of_request *rq)
{
	start(c, rq, OF_PART_GROUP);
}

/* A single meter that is not there is an error, a group is none (s.A.4.4 has no code for it). */
void
of_part_meter(struct of_conn *c, const struct of_request *rq)
{
	uint32_t number = c->codec->get_number(rq->body);

	if (number != OFPM_ALL &&
		!ofproto_meter_visit(c->sw->ofproto, number, false, 0, ignore_meter, NULL)) {
		of_conn_refuse(c, rq, OFPET_METER_MOD_FAILED, OFPMMFC_UNKNOWN_METER);
		return;
	}
	start(c, rq, OF_PART_METER);
}

static void
start(struct of_conn *c, const struct of_request *rq, enum of_part_type part)
{
	struct stats_job *stats = of_job_create(c, rq, sizeof(*stats), refresh, NULL);

	stats->part = part;
	stats->number = c->codec->get_number(rq->body);
	of_job_start(&stats->job);
}

static enum of_job_next
refresh(struct of_job *job)
{
	struct of_service *s = of_conn_service(job->conn);

	job->step = answer;
	job->is_waiting = true;
	s->ops.refresh(s->ops.user, job->conn->sw->ofproto, OF_REFRESH_FLOWS, of_job_done, job);
	return OF_JOB_WAIT;
}

static enum of_job_next
answer(struct of_job *job)
{
	struct stats_job *stats = WEFT_CONTAINER_OF(job, struct stats_job, job);
	struct of_conn *c = job->conn;
	uint64_t now = timers_now(of_conn_service(c)->timers);
	struct listing listing = {c, &stats->multi};

	of_multi_begin(&stats->multi, c, job->xid, stats->part);
	if (stats->part == OF_PART_GROUP) {
		ofproto_group_visit(c->sw->ofproto, stats->number, true, now, put_group, &listing);
	} else {
		ofproto_meter_visit(c->sw->ofproto, stats->number, true, now, put_meter, &listing);
	}
	of_multi_end(&stats->multi, c);
	return OF_JOB_DONE;
}

static void
ignore_meter(const struct of_meter_view *view, void *none)
{
	(void)view;
	(void)none;
}

static void
put_group(const struct of_group_view *view, void *listing)
{
	struct listing *l = listing;
	size_t before = l->multi->out.len;

	l->conn->codec->put_group(&l->multi->out, view);
	of_multi_added(l->multi, l->conn, before);
}

static void
put_meter(const struct of_meter_view *view, void *listing)
{
	struct listing *l = listing;
	struct of_service *s = of_conn_service(l->conn);
	size_t before = l->multi->out.len;
	struct of_meter_stats stats = {0};

	s->ops.meter_stats(s->ops.user, l->conn->sw->ofproto, view->id, &stats);
	l->conn->codec->put_meter(&l->multi->out, view, &stats);
	of_multi_added(l->multi, l->conn, before);
}

void
of_part_group_desc(struct of_conn *c, const struct of_request *rq)
{
	struct of_multi m;
	struct listing listing = {c, &m};

	of_multi_begin(&m, c, rq->xid, OF_PART_GROUP_DESC);
	ofproto_group_visit(c->sw->ofproto, OFPG_ALL, false, timers_now(of_conn_service(c)->timers),
		put_group_desc, &listing);
	of_multi_end(&m, c);
}

static void
put_group_desc(const struct of_group_view *view, void *listing)
{
	struct listing *l = listing;
	size_t before = l->multi->out.len;

	l->conn->codec->put_group_desc(&l->multi->out, view);
	of_multi_added(l->multi, l->conn, before);
}

void
of_part_group_features(struct of_conn *c, const struct of_request *rq)
{
	struct of_multi m;

	of_multi_begin(&m, c, rq->xid, OF_PART_GROUP_FEATURES);
	c->codec->put_group_features(&m.out);
	of_multi_end(&m, c);
}

void
of_part_meter_config(struct of_conn *c, const struct of_request *rq)
{
	uint32_t number = c->codec->get_number(rq->body);
	struct of_multi m;
	struct listing listing = {c, &m};

	of_multi_begin(&m, c, rq->xid, OF_PART_METER_CONFIG);
	if (!ofproto_meter_visit(c->sw->ofproto, number, false,
		    timers_now(of_conn_service(c)->timers), put_meter_config, &listing) &&
		number != OFPM_ALL) {
		of_multi_uninit(&m);
		of_conn_refuse(c, rq, OFPET_METER_MOD_FAILED, OFPMMFC_UNKNOWN_METER);
		return;
	}
	of_multi_end(&m, c);
}

static void
put_meter_config(const struct of_meter_view *view, void *listing)
{
	struct listing *l = listing;
	size_t before = l->multi->out.len;

	l->conn->codec->put_meter_config(&l->multi->out, view);
	of_multi_added(l->multi, l->conn, before);
}

void
of_part_meter_features(struct of_conn *c, const struct of_request *rq)
{
	struct of_multi m;

	of_multi_begin(&m, c, rq->xid, OF_PART_METER_FEATURES);
	c->codec->put_meter_features(&m.out);
	of_multi_end(&m, c);
}

/* None is known; some experimenters are, for their messages. */
void
of_part_experimenter(struct of_conn *c, const struct of_request *rq)
{
	bool known;

	if (rq->body_len < EXPERIMENTER_SIZE) {
		of_conn_refuse(c, rq, OFPET_BAD_REQUEST, OFPBRC_BAD_LEN);
		return;
	}
	(void)of_codec_experimenter(c->codec, rq->body, &known);
	of_conn_refuse(
		c, rq, OFPET_BAD_REQUEST, known ? OFPBRC_BAD_EXP_TYPE : OFPBRC_BAD_EXPERIMENTER);
}

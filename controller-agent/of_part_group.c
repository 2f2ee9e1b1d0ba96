/* SPDX-License-Identifier: Apache-2.0
 *
 * Multipart GROUP, GROUP_DESC, GROUP_FEATURES, METER, METER_CONFIG, METER_FEATURES, EXPERIMENTER.
 *
 * Lists: first the numbers are noted, then what has them is told of in slices, while the peer reads. What has gone
 *        meanwhile is left out.
 * Spec:  OpenFlow 1.3.5 s.A.3.5.9 to s.A.3.5.15; errors s.A.4.4.
 */
#include <stdlib.h>

#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"
#include "lib/alloc.h"

#define EXPERIMENTER_SIZE 8u /* its number and that of the type */
#define ITEMS_A_SLICE 32     /* some 100 us */

/* A list of groups or meters under way. */
struct list_job {
	struct of_job job;
	enum of_part_type part;
	uint32_t number; /* OFPG_ALL, OFPM_ALL: all */
	uint32_t *numbers;
	size_t n, capacity;
	size_t at; /* of the next to be told of */
	struct of_multi multi;
};

static void start(
	struct of_conn *c, const struct of_request *rq, enum of_part_type part, uint32_t number);
static bool has_meter(struct of_conn *c, const struct of_request *rq, uint32_t number);
static bool is_of_groups(const struct list_job *list);
static enum of_job_next refresh(struct of_job *job);
static enum of_job_next begin(struct of_job *job);
static enum of_job_next go_on(struct of_job *job);
static void uninit(struct of_job *job);
static void ignore_meter(const struct of_meter_view *view, void *none);
static void note(struct list_job *list, uint32_t number);
static void note_group(const struct of_group_view *view, void *list);
static void note_meter(const struct of_meter_view *view, void *list);
static void put_group(const struct of_group_view *view, void *list);
static void put_meter(const struct of_meter_view *view, void *list);

void
of_part_group(struct of_conn *c, const struct of_request *rq)
{
	start(c, rq, OF_PART_GROUP, c->codec->get_number(rq->body));
}

void
of_part_group_desc(struct of_conn *c, const struct of_request *rq)
{
	start(c, rq, OF_PART_GROUP_DESC, OFPG_ALL);
}

void
of_part_meter(struct of_conn *c, const struct of_request *rq)
{
	uint32_t number = c->codec->get_number(rq->body);

	if (has_meter(c, rq, number)) {
		start(c, rq, OF_PART_METER, number);
	}
}

void
of_part_meter_config(struct of_conn *c, const struct of_request *rq)
{
	uint32_t number = c->codec->get_number(rq->body);

	if (has_meter(c, rq, number)) {
		start(c, rq, OF_PART_METER_CONFIG, number);
	}
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

/* --- lists --------------------------------------------------------------------------------------- */

static void
start(struct of_conn *c, const struct of_request *rq, enum of_part_type part, uint32_t number)
{
	bool counts = part == OF_PART_GROUP || part == OF_PART_METER;
	struct list_job *list =
		of_job_create(c, rq, sizeof(*list), counts ? refresh : begin, uninit);

	list->part = part;
	list->number = number;
	of_job_start(&list->job);
}

/* A single meter that is not there is an error, a group is none (s.A.4.4 has no code for it). */
static bool
has_meter(struct of_conn *c, const struct of_request *rq, uint32_t number)
{
	if (number != OFPM_ALL &&
		!ofproto_meter_visit(c->sw->ofproto, number, false, 0, ignore_meter, NULL)) {
		of_conn_refuse(c, rq, OFPET_METER_MOD_FAILED, OFPMMFC_UNKNOWN_METER);
		return false;
	}
	return true;
}

static bool
is_of_groups(const struct list_job *list)
{
	return list->part == OF_PART_GROUP || list->part == OF_PART_GROUP_DESC;
}

static enum of_job_next
refresh(struct of_job *job)
{
	struct of_service *s = of_conn_service(job->conn);

	job->step = begin;
	job->is_waiting = true;
	s->ops.refresh(s->ops.user, job->conn->sw->ofproto, OF_REFRESH_FLOWS, of_job_done, job);
	return OF_JOB_WAIT;
}

static enum of_job_next
begin(struct of_job *job)
{
	struct list_job *list = WEFT_CONTAINER_OF(job, struct list_job, job);
	struct ofproto *p = job->conn->sw->ofproto;

	if (is_of_groups(list)) {
		ofproto_group_visit(
			p, list->number, list->part == OF_PART_GROUP, 0, note_group, list);
	} else {
		ofproto_meter_visit(
			p, list->number, list->part == OF_PART_METER, 0, note_meter, list);
	}
	of_multi_begin(&list->multi, job->conn, job->xid, list->part);
	job->step = go_on;
	return go_on(job);
}

static enum of_job_next
go_on(struct of_job *job)
{
	struct list_job *list = WEFT_CONTAINER_OF(job, struct list_job, job);
	struct of_conn *c = job->conn;
	uint64_t now = timers_now(of_conn_service(c)->timers);

	for (unsigned i = 0; list->at < list->n; i++) {
		uint32_t number = list->numbers[list->at];

		if (i == ITEMS_A_SLICE || channel_is_full(c->channel)) {
			return OF_JOB_AGAIN;
		}
		if (is_of_groups(list)) {
			ofproto_group_visit(c->sw->ofproto, number, false, now, put_group, list);
		} else {
			ofproto_meter_visit(c->sw->ofproto, number, false, now, put_meter, list);
		}
		list->at++;
	}
	of_multi_end(&list->multi, c);
	return OF_JOB_DONE;
}

static void
uninit(struct of_job *job)
{
	struct list_job *list = WEFT_CONTAINER_OF(job, struct list_job, job);

	free(list->numbers);
	of_multi_uninit(&list->multi);
}

static void
ignore_meter(const struct of_meter_view *view, void *none)
{
	(void)view;
	(void)none;
}

static void
note(struct list_job *list, uint32_t number)
{
	if (list->n == list->capacity) {
		list->capacity = 2 * list->capacity + 16;
		list->numbers = xrealloc(list->numbers, list->capacity * sizeof(list->numbers[0]));
	}
	list->numbers[list->n++] = number;
}

static void
note_group(const struct of_group_view *view, void *list)
{
	note(list, view->id);
}

static void
note_meter(const struct of_meter_view *view, void *list)
{
	note(list, view->id);
}

static void
put_group(const struct of_group_view *view, void *list_)
{
	struct list_job *list = list_;
	struct of_conn *c = list->job.conn;
	size_t before = list->multi.out.len;

	if (list->part == OF_PART_GROUP) {
		c->codec->put_group(&list->multi.out, view);
	} else {
		c->codec->put_group_desc(&list->multi.out, view);
	}
	of_multi_added(&list->multi, c, before);
}

static void
put_meter(const struct of_meter_view *view, void *list_)
{
	struct list_job *list = list_;
	struct of_conn *c = list->job.conn;
	struct of_service *s = of_conn_service(c);
	size_t before = list->multi.out.len;
	struct of_meter_stats stats = {0};

	if (list->part == OF_PART_METER) {
		s->ops.meter_stats(s->ops.user, c->sw->ofproto, view->id, &stats);
		c->codec->put_meter(&list->multi.out, view, &stats);
	} else {
		c->codec->put_meter_config(&list->multi.out, view);
	}
	of_multi_added(&list->multi, c, before);
}

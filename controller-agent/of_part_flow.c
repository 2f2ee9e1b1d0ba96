/* SPDX-License-Identifier: Apache-2.0
 *
 * Multipart FLOW and AGGREGATE: rules and their counters.
 *
 * Spec: OpenFlow 1.3.5 s.A.3.5.2, s.A.3.5.3.
 */
#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"
#include "lib/error.h"

#define RULES_A_SLICE 64 /* some 100 us */
#define SUMMED_A_SLICE 1024

struct dump {
	struct of_job job;
	struct of_flow_query query;
	struct of_flow_cursor *cursor; /* NULL: not begun */
	struct of_multi multi;
	struct of_aggregate sum;
};

static void start(struct of_conn *c, const struct of_request *rq,
	enum of_job_next (*step)(struct of_job *job));
static void refresh(struct of_job *job);
static enum of_job_next flow_step(struct of_job *job);
static enum of_job_next flow_list(struct of_job *job);
static bool flow_visit(const struct of_flow_view *flow, void *user);
static enum of_job_next aggregate_step(struct of_job *job);
static enum of_job_next aggregate_sum(struct of_job *job);
static void uninit(struct of_job *job);

void
of_part_flow(struct of_conn *c, const struct of_request *rq)
{
	start(c, rq, flow_step);
}

void
of_part_aggregate(struct of_conn *c, const struct of_request *rq)
{
	start(c, rq, aggregate_step);
}

static void
start(struct of_conn *c, const struct of_request *rq, enum of_job_next (*step)(struct of_job *job))
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_flow_query query;
	struct dump *dump;

	if (!c->codec->get_flow_query(
		    rq->body, rq->body_len, ofproto_tlvs(c->sw->ofproto), &query, &err)) {
		of_conn_send_error(c, rq, &err);
		return;
	}
	dump = of_job_create(c, rq, sizeof(*dump), step, uninit);
	dump->query = query;
	of_job_start(&dump->job);
}

static void
refresh(struct of_job *job)
{
	struct of_service *s = of_conn_service(job->conn);

	job->is_waiting = true;
	s->ops.refresh(s->ops.user, job->conn->sw->ofproto, OF_REFRESH_FLOWS, of_job_done, job);
}

static enum of_job_next
flow_step(struct of_job *job)
{
	job->step = flow_list;
	refresh(job);
	return OF_JOB_WAIT;
}

static enum of_job_next
flow_list(struct of_job *job)
{
	struct dump *dump = WEFT_CONTAINER_OF(job, struct dump, job);
	struct of_conn *c = job->conn;

	if (!dump->cursor) {
		dump->cursor = ofproto_query_begin(c->sw->ofproto, &dump->query);
		of_multi_begin(&dump->multi, c, job->xid, OF_PART_FLOW);
	}
	if (ofproto_query_step(dump->cursor, RULES_A_SLICE, timers_now(of_conn_service(c)->timers),
		    flow_visit, dump)) {
		return OF_JOB_AGAIN;
	}
	of_multi_end(&dump->multi, c);
	return OF_JOB_DONE;
}

static bool
flow_visit(const struct of_flow_view *flow, void *user)
{
	struct dump *dump = user;
	struct of_conn *c = dump->job.conn;
	size_t before = dump->multi.out.len;

	c->codec->put_flow(&dump->multi.out, flow);
	of_multi_added(&dump->multi, c, before);
	return !channel_is_full(c->channel);
}

static enum of_job_next
aggregate_step(struct of_job *job)
{
	job->step = aggregate_sum;
	refresh(job);
	return OF_JOB_WAIT;
}

static enum of_job_next
aggregate_sum(struct of_job *job)
{
	struct dump *dump = WEFT_CONTAINER_OF(job, struct dump, job);
	struct of_conn *c = job->conn;

	if (!dump->cursor) {
		dump->cursor = ofproto_query_begin(c->sw->ofproto, &dump->query);
	}
	if (ofproto_query_step(dump->cursor, SUMMED_A_SLICE, timers_now(of_conn_service(c)->timers),
		    of_aggregate_add, &dump->sum)) {
		return OF_JOB_AGAIN;
	}
	of_multi_begin(&dump->multi, c, job->xid, OF_PART_AGGREGATE);
	c->codec->put_aggregate(&dump->multi.out, &dump->sum);
	of_multi_end(&dump->multi, c);
	return OF_JOB_DONE;
}

static void
uninit(struct of_job *job)
{
	struct dump *dump = WEFT_CONTAINER_OF(job, struct dump, job);

	if (dump->cursor) {
		ofproto_query_end(dump->cursor);
	}
	of_multi_uninit(&dump->multi);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Multipart PORT_STATS, PORT_DESC, QUEUE.
 *
 * Spec: OpenFlow 1.3.5 s.A.3.5.6, s.A.3.5.7, s.A.3.5.8; errors s.A.4.4.
 */
#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"

struct stats_job {
	struct of_job job;
	struct of_port port; /* OFPP_ANY: all */
};

static enum of_job_next refresh(struct of_job *job);
static enum of_job_next answer(struct of_job *job);
static void put_stats(struct of_multi *m, struct of_conn *c, struct of_port port);

void
of_part_port_stats(struct of_conn *c, const struct of_request *rq)
{
	struct of_port port = OF_PORT(c->codec->get_number(rq->body));
	struct stats_job *stats;

	if (!of_port_is(port, OFPP_ANY) && !ofproto_port_find(c->sw->ofproto, port)) {
		of_conn_refuse(c, rq, OFPET_BAD_REQUEST, OFPBRC_BAD_PORT);
		return;
	}
	stats = of_job_create(c, rq, sizeof(*stats), refresh, NULL);
	stats->port = port;
	of_job_start(&stats->job);
}

static enum of_job_next
refresh(struct of_job *job)
{
	struct of_service *s = of_conn_service(job->conn);

	job->step = answer;
	job->is_waiting = true;
	s->ops.refresh(s->ops.user, job->conn->sw->ofproto, OF_REFRESH_PORTS, of_job_done, job);
	return OF_JOB_WAIT;
}

static enum of_job_next
answer(struct of_job *job)
{
	struct of_port wanted = WEFT_CONTAINER_OF(job, struct stats_job, job)->port;
	struct of_conn *c = job->conn;
	const struct of_port_info *info;
	struct of_multi m;

	of_multi_begin(&m, c, job->xid, OF_PART_PORT_STATS);
	if (!of_port_is(wanted, OFPP_ANY)) {
		/* It may have gone while the counters were read. */
		if (ofproto_port_find(c->sw->ofproto, wanted)) {
			put_stats(&m, c, wanted);
		}
	} else {
		for (info = ofproto_port_next(c->sw->ofproto, OF_PORT(0)); info;
			info = ofproto_port_next(c->sw->ofproto, info->number)) {
			put_stats(&m, c, info->number);
		}
	}
	of_multi_end(&m, c);
	return OF_JOB_DONE;
}

static void
put_stats(struct of_multi *m, struct of_conn *c, struct of_port port)
{
	struct of_service *s = of_conn_service(c);
	size_t before = m->out.len;
	struct of_port_stats stats = {0};

	s->ops.port_stats(s->ops.user, c->sw->ofproto, port, &stats);
	c->codec->put_port_stats(&m->out, port, &stats);
	of_multi_added(m, c, before);
}

void
of_part_port_desc(struct of_conn *c, const struct of_request *rq)
{
	const struct of_port_info *info;
	struct of_multi m;

	of_multi_begin(&m, c, rq->xid, OF_PART_PORT_DESC);
	for (info = ofproto_port_next(c->sw->ofproto, OF_PORT(0)); info;
		info = ofproto_port_next(c->sw->ofproto, info->number)) {
		size_t before = m.out.len;

		c->codec->put_port(&m.out, info);
		of_multi_added(&m, c, before);
	}
	of_multi_end(&m, c);
}

/* No port has queues. */
void
of_part_queue(struct of_conn *c, const struct of_request *rq)
{
	struct of_port port;
	struct of_multi m;
	uint32_t queue;

	c->codec->get_queue(rq->body, &port, &queue);
	if (!of_port_is(port, OFPP_ANY) && !ofproto_port_find(c->sw->ofproto, port)) {
		of_conn_refuse(c, rq, OFPET_QUEUE_OP_FAILED, OFPQOFC_BAD_PORT);
		return;
	}
	if (queue != OF_QUEUE_ALL) {
		of_conn_refuse(c, rq, OFPET_QUEUE_OP_FAILED, OFPQOFC_BAD_QUEUE);
		return;
	}
	of_multi_begin(&m, c, rq->xid, OF_PART_QUEUE);
	of_multi_end(&m, c);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * BARRIER_REQUEST: answered when all that came before is in force in the datapath.
 *
 * Spec: OpenFlow 1.3.5 s.6.2, s.A.3.8.
 */
#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"
#include "controller-agent/wakeful.h"

static enum of_job_next step(struct of_job *job);
static enum of_job_next answer(struct of_job *job);

void
of_msg_barrier(struct of_conn *c, const struct of_request *rq)
{
	of_conn_service(c)->counters.barriers++;
	of_job_start(of_job_create(c, rq, sizeof(struct of_job), step, NULL));
}

static enum of_job_next
step(struct of_job *job)
{
	struct of_service *s = of_conn_service(job->conn);

	job->step = answer;
	job->is_waiting = true;
	s->ops.barrier(s->ops.user, job->conn->sw->ofproto, of_job_done, job);
	return OF_JOB_WAIT;
}

static enum of_job_next
answer(struct of_job *job)
{
	struct of_conn *c = job->conn;

	if (!c->controller) {
		wakeful_answered(of_conn_service(c)->wakeful);
	} else {
		c->sw->last_barrier_ms = timers_now(of_conn_service(c)->timers);
	}
	c->codec->put_barrier(&c->out, job->xid);
	of_conn_send(c);
	return OF_JOB_DONE;
}

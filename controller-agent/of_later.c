/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages that change rules, groups or meters: they wait while somebody's transaction is open.
 */
#include <stdlib.h>

#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"
#include "lib/alloc.h"

struct later {
	struct of_job job;
	of_msg_fn *run;
	enum of_msg_type type;
	uint8_t *msg;
	size_t len;
};

static enum of_job_next step(struct of_job *job);
static void uninit(struct of_job *job);

void
of_msg_outside_txn(struct of_conn *c, const struct of_request *rq, of_msg_fn *run)
{
	struct later *later;

	if (!of_model_in_txn(ofproto_model(c->sw->ofproto))) {
		run(c, rq);
		return;
	}
	later = of_job_create(c, rq, sizeof(*later), step, uninit);
	later->run = run;
	later->type = rq->type;
	later->msg = xmemdup(rq->msg, rq->len);
	later->len = rq->len;
	of_job_start(&later->job);
}

void
of_msg_note_change(struct of_conn *c, uint64_t now_ms)
{
	if (c->controller) {
		c->sw->last_flow_mod_ms = now_ms;
	}
}

static enum of_job_next
step(struct of_job *job)
{
	struct later *later = WEFT_CONTAINER_OF(job, struct later, job);
	struct of_request rq = {
		.type = later->type,
		.xid = job->xid,
		.msg = later->msg,
		.len = later->len,
		.body = later->msg + OFP_HEADER_SIZE,
		.body_len = later->len - OFP_HEADER_SIZE,
	};

	if (of_model_in_txn(ofproto_model(job->conn->sw->ofproto))) {
		return OF_JOB_LATER;
	}
	later->run(job->conn, &rq);
	return OF_JOB_DONE;
}

static void
uninit(struct of_job *job)
{
	free(WEFT_CONTAINER_OF(job, struct later, job)->msg);
}

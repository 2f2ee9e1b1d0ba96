/* SPDX-License-Identifier: Apache-2.0
 *
 * FLOW_MOD: changes rules.
 *
 * Spec: OpenFlow 1.3.5 s.6.4, s.A.3.4.1.
 */
#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/error.h"

/* A flow-mod that came while somebody's transaction was open. */
struct later {
	struct of_job job;
	uint8_t *msg;
	size_t len;
};

static void run(struct of_conn *c, const struct of_request *rq);
static void run_later(struct of_conn *c, const struct of_request *rq);
static enum of_job_next step(struct of_job *job);
static void uninit(struct of_job *job);

void
of_msg_flow_mod(struct of_conn *c, const struct of_request *rq)
{
	if (of_model_in_txn(ofproto_model(c->sw->ofproto))) {
		run_later(c, rq);
	} else {
		run(c, rq);
	}
}

static void
run(struct of_conn *c, const struct of_request *rq)
{
	struct of_service *s = of_conn_service(c);
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_flow_mod fm;
	uint32_t buffer_id;
	uint64_t now = timers_now(s->timers);

	s->counters.flow_mods++;
	if (c->controller) {
		c->sw->last_flow_mod_ms = now;
	}
	if (!c->codec->get_flow_mod(rq->body, rq->body_len, &fm, &buffer_id, &err)) {
		of_conn_send_error(c, rq, &err);
	} else if (buffer_id != OF_NO_BUFFER && fm.command < OF_FLOW_DELETE) {
		of_conn_refuse(c, rq, OFPET_BAD_REQUEST, OFPBRC_BUFFER_UNKNOWN);
	} else if (!ofproto_flow_mod(c->sw->ofproto, &fm, now, &err)) {
		of_conn_send_error(c, rq, &err);
	}
	of_flow_mod_uninit(&fm);
}

static void
run_later(struct of_conn *c, const struct of_request *rq)
{
	struct later *later = of_job_create(c, rq, sizeof(*later), step, uninit);

	later->msg = xmemdup(rq->msg, rq->len);
	later->len = rq->len;
	of_job_start(&later->job);
}

static enum of_job_next
step(struct of_job *job)
{
	struct later *later = WEFT_CONTAINER_OF(job, struct later, job);
	struct of_request rq = {
		.type = OF_MSG_FLOW_MOD,
		.xid = job->xid,
		.msg = later->msg,
		.len = later->len,
		.body = later->msg + OFP_HEADER_SIZE,
		.body_len = later->len - OFP_HEADER_SIZE,
	};

	if (of_model_in_txn(ofproto_model(job->conn->sw->ofproto))) {
		return OF_JOB_LATER;
	}
	run(job->conn, &rq);
	return OF_JOB_DONE;
}

static void
uninit(struct of_job *job)
{
	free(WEFT_CONTAINER_OF(job, struct later, job)->msg);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Multipart TABLE and TABLE_FEATURES.
 *
 * Spec: OpenFlow 1.3.5 s.A.3.5.4, s.A.3.5.5.
 */
#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"

static enum of_job_next refresh(struct of_job *job);
static enum of_job_next answer(struct of_job *job);

void
of_part_table(struct of_conn *c, const struct of_request *rq)
{
	of_job_start(of_job_create(c, rq, sizeof(struct of_job), refresh, NULL));
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
	struct of_conn *c = job->conn;
	struct of_multi m;

	of_multi_begin(&m, c, job->xid, OF_PART_TABLE);
	for (unsigned table = 0; table < OF_N_TABLES; table++) {
		struct of_table_stats stats = {0};
		size_t before = m.out.len;

		ofproto_table_stats(c->sw->ofproto, (uint8_t)table, &stats);
		c->codec->put_table(&m.out, (uint8_t)table, &stats);
		of_multi_added(&m, c, before);
	}
	of_multi_end(&m, c);
	return OF_JOB_DONE;
}

/* The tables that are in use, and the first: all tables can do the same, and clients ask before nearly
 * every command, for names. A body would change the tables, which cannot be. */
void
of_part_table_features(struct of_conn *c, const struct of_request *rq)
{
	struct of_multi m;

	if (rq->body_len) {
		if (c->role == OF_ROLE_SLAVE) {
			of_conn_refuse(c, rq, OFPET_BAD_REQUEST, OFPBRC_IS_SLAVE);
		} else {
			of_conn_refuse(c, rq, OFPET_TABLE_FEATURES_FAILED, OFPTFFC_EPERM);
		}
		return;
	}
	of_multi_begin(&m, c, rq->xid, OF_PART_TABLE_FEATURES);
	for (unsigned table = 0; table < OF_N_TABLES; table++) {
		struct of_table_stats stats = {0};
		size_t before = m.out.len;

		ofproto_table_stats(c->sw->ofproto, (uint8_t)table, &stats);
		if (table == 0 || stats.n_active) {
			c->codec->put_table_features(&m.out, (uint8_t)table);
			of_multi_added(&m, c, before);
		}
	}
	of_multi_end(&m, c);
}

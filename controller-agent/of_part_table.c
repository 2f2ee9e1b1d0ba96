/* SPDX-License-Identifier: Apache-2.0
 *
 * Multipart TABLE and TABLE_FEATURES.
 *
 * Spec: OpenFlow 1.3.5 s.A.3.5.4, s.A.3.5.5.
 */
#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"
#include "lib/error.h"

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

/* --- TABLE_FEATURES ----------------------------------------------------------------------------- */

static bool
is_in_use(struct of_conn *c, uint8_t table)
{
	struct of_table_stats stats = {0};

	ofproto_table_stats(c->sw->ofproto, table, &stats);
	return stats.n_active > 0;
}

/* The tables that are in use, and the first: all tables can do the same, and clients ask before nearly
 * every command, for names. */
static void
list_tables(struct of_conn *c, struct of_table_wish *list)
{
	list->n = 0;
	for (unsigned table = 0; table < OF_N_TABLES; table++) {
		if (table == 0 || is_in_use(c, (uint8_t)table)) {
			list->tables[list->n++] = (uint8_t)table;
		}
	}
}

/* Whether the switch is as it is wished: whoever wishes for less has it already, but tables that the wish
 * leaves out are to go (s.A.3.5.5), which those with rules in them do not. */
static bool
is_fulfilled(struct of_conn *c, const struct of_table_wish *wish, struct weft_error *err)
{
	bool is_wished[OF_N_TABLES] = {false};

	if (wish->has_names) {
		return of_error_set(
			err, OFPET_TABLE_FEATURES_FAILED, OFPTFFC_EPERM, "tables have no names");
	}
	for (unsigned i = 0; i < wish->n; i++) {
		is_wished[wish->tables[i]] = true;
	}
	for (unsigned table = 0; table < OF_N_TABLES; table++) {
		if (!is_wished[table] && (table == 0 || is_in_use(c, (uint8_t)table))) {
			return of_error_set(err, OFPET_TABLE_FEATURES_FAILED, OFPTFFC_EPERM,
				"table %u is in use and cannot be taken away", table);
		}
	}
	return true;
}

void
of_part_table_features(struct of_conn *c, const struct of_request *rq)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_table_wish tables;
	struct of_multi m;

	if (!rq->body_len) {
		list_tables(c, &tables);
	} else if (c->role == OF_ROLE_SLAVE) {
		of_conn_refuse(c, rq, OFPET_BAD_REQUEST, OFPBRC_IS_SLAVE);
		return;
	} else if (!c->codec->get_table_features(rq->body, rq->body_len, &tables, &err) ||
		   !is_fulfilled(c, &tables, &err)) {
		of_conn_send_error(c, rq, &err);
		return;
	}
	of_multi_begin(&m, c, rq->xid, OF_PART_TABLE_FEATURES);
	for (unsigned i = 0; i < tables.n; i++) {
		size_t before = m.out.len;

		c->codec->put_table_features(&m.out, tables.tables[i]);
		of_multi_added(&m, c, before);
	}
	of_multi_end(&m, c);
}

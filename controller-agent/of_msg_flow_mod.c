/* SPDX-License-Identifier: Apache-2.0
 *
 * FLOW_MOD: changes rules.
 *
 * Spec: OpenFlow 1.3.5 s.6.4, s.A.3.4.1.
 */
#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"
#include "lib/error.h"

static void run(struct of_conn *c, const struct of_request *rq);

void
of_msg_flow_mod(struct of_conn *c, const struct of_request *rq)
{
	of_msg_outside_txn(c, rq, run);
}

bool
of_msg_get_flow_mod(struct of_conn *c, const struct of_request *rq, struct of_flow_mod *fm,
	struct weft_error *err)
{
	uint32_t buffer_id;

	if (!c->codec->get_flow_mod(
		    rq->body, rq->body_len, ofproto_tlvs(c->sw->ofproto), fm, &buffer_id, err)) {
		return false;
	}
	if (buffer_id != OF_NO_BUFFER && fm->command < OF_FLOW_DELETE) {
		return of_error_set(err, OFPET_BAD_REQUEST, OFPBRC_BUFFER_UNKNOWN,
			"buffer %u: packets are never buffered", buffer_id);
	}
	return true;
}

static void
run(struct of_conn *c, const struct of_request *rq)
{
	struct of_service *s = of_conn_service(c);
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_flow_mod fm;
	uint64_t now = timers_now(s->timers);

	s->counters.flow_mods++;
	of_msg_note_change(c, now);
	if (!of_msg_get_flow_mod(c, rq, &fm, &err) ||
		!ofproto_flow_mod(c->sw->ofproto, &fm, now, &err)) {
		of_conn_send_error(c, rq, &err);
	}
	of_flow_mod_uninit(&fm);
}

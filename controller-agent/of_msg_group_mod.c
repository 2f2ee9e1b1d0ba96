/* SPDX-License-Identifier: Apache-2.0
 *
 * GROUP_MOD: changes groups.
 *
 * Spec: OpenFlow 1.3.5 s.6.5, s.A.3.4.2, errors s.A.4.4.
 */
#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"
#include "lib/error.h"

static void run(struct of_conn *c, const struct of_request *rq);

void
of_msg_group_mod(struct of_conn *c, const struct of_request *rq)
{
	of_msg_outside_txn(c, rq, run);
}

static void
run(struct of_conn *c, const struct of_request *rq)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_group_mod gm;
	uint64_t now = timers_now(of_conn_service(c)->timers);

	of_msg_note_change(c, now);
	if (!c->codec->get_group_mod(
		    rq->body, rq->body_len, ofproto_tlvs(c->sw->ofproto), &gm, &err) ||
		!ofproto_group_mod(c->sw->ofproto, &gm, now, &err)) {
		of_conn_send_error(c, rq, &err);
	}
	of_group_mod_uninit(&gm);
}

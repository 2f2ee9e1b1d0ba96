/* SPDX-License-Identifier: Apache-2.0
 *
 * TLV_TABLE_MOD, TLV_TABLE_REQUEST: which options of Geneve tun_metadata fields stand for.
 */
#include <stdlib.h>

#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"
#include "lib/error.h"

static void run(struct of_conn *c, const struct of_request *rq);

void
of_msg_tlv_mod(struct of_conn *c, const struct of_request *rq)
{
	of_msg_outside_txn(c, rq, run);
}

static void
run(struct of_conn *c, const struct of_request *rq)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_tlv_mod tm;

	of_msg_note_change(c, timers_now(of_conn_service(c)->timers));
	if (!c->codec->get_tlv_mod(rq->body, rq->body_len, &tm, &err) ||
		!ofproto_tlv_mod(c->sw->ofproto, tm.command, tm.entries, tm.n, &err)) {
		of_conn_send_error(c, rq, &err);
	}
	free(tm.entries);
}

void
of_msg_tlv_request(struct of_conn *c, const struct of_request *rq)
{
	c->codec->put_tlv_table(&c->out, rq->xid, ofproto_tlvs(c->sw->ofproto));
	of_conn_send(c);
}

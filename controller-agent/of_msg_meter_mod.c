/* SPDX-License-Identifier: Apache-2.0
 *
 * METER_MOD: there are no meters.
 *
 * Spec: OpenFlow 1.3.5 s.A.3.4.4, errors s.A.4.4.
 */
#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"
#include "lib/error.h"

void
of_msg_meter_mod(struct of_conn *c, const struct of_request *rq)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_meter_mod mm;

	if (!c->codec->get_meter_mod(rq->body, rq->body_len, &mm, &err)) {
		of_conn_send_error(c, rq, &err);
		return;
	}
	switch (mm.command) {
	case OF_MOD_ADD:
		of_conn_refuse(c, rq, OFPET_METER_MOD_FAILED,
			mm.meter ? OFPMMFC_OUT_OF_METERS : OFPMMFC_INVALID_METER);
		break;
	case OF_MOD_MODIFY:
		of_conn_refuse(c, rq, OFPET_METER_MOD_FAILED, OFPMMFC_UNKNOWN_METER);
		break;
	case OF_MOD_DELETE:
		break;
	case OF_MOD_N:
		of_conn_refuse(c, rq, OFPET_METER_MOD_FAILED, OFPMMFC_BAD_COMMAND);
		break;
	}
}

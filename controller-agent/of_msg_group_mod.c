/* SPDX-License-Identifier: Apache-2.0
 *
 * GROUP_MOD: there are no groups.
 *
 * Spec: OpenFlow 1.3.5 s.A.3.4.2, errors s.A.4.4.
 */
#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"
#include "lib/error.h"

void
of_msg_group_mod(struct of_conn *c, const struct of_request *rq)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_group_mod gm;

	if (!c->codec->get_group_mod(rq->body, rq->body_len, &gm, &err)) {
		of_conn_send_error(c, rq, &err);
		return;
	}
	switch (gm.command) {
	case OF_MOD_ADD:
		of_conn_refuse(c, rq, OFPET_GROUP_MOD_FAILED,
			gm.group > OFPG_MAX ? OFPGMFC_INVALID_GROUP : OFPGMFC_OUT_OF_GROUPS);
		break;
	case OF_MOD_MODIFY:
		of_conn_refuse(c, rq, OFPET_GROUP_MOD_FAILED, OFPGMFC_UNKNOWN_GROUP);
		break;
	case OF_MOD_DELETE:
		/* Deleting what is not there is no error. */
		break;
	case OF_MOD_N:
		of_conn_refuse(c, rq, OFPET_GROUP_MOD_FAILED, OFPGMFC_BAD_COMMAND);
		break;
	}
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * EXPERIMENTER, ERROR: what is not for us.
 *
 * Spec: OpenFlow 1.3.5 s.A.5.4, s.A.4.4.
 */
#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"
#include "lib/byteorder.h"
#include "lib/log.h"

WEFT_LOG_MODULE(openflow);

void
of_msg_experimenter(struct of_conn *c, const struct of_request *rq)
{
	of_conn_refuse(c, rq, OFPET_BAD_REQUEST, OFPBRC_BAD_EXPERIMENTER);
}

/* A controller complains. Nothing can be done about it but to write it down. */
void
of_msg_error(struct of_conn *c, const struct of_request *rq)
{
	LOG_WARN_RL("switch %s: %s sent error %s", ofproto_name(c->sw->ofproto), c->peer,
		of_error_name(get_be16(rq->body), get_be16(rq->body + 2)));
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * QUEUE_GET_CONFIG_REQUEST: no port has queues.
 *
 * Spec: OpenFlow 1.3.5 s.A.3.6.
 */
#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"
#include "lib/error.h"

void
of_msg_queue_config(struct of_conn *c, const struct of_request *rq)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_port port;

	if (!c->codec->get_queue_config(rq->body, rq->body_len, &port, &err)) {
		of_conn_send_error(c, rq, &err);
	} else if (!of_port_is(port, OFPP_ANY) && !ofproto_port_find(c->sw->ofproto, port)) {
		of_conn_refuse(c, rq, OFPET_QUEUE_OP_FAILED, OFPQOFC_BAD_PORT);
	} else {
		c->codec->put_queue_config(&c->out, rq->xid, port);
		of_conn_send(c);
	}
}

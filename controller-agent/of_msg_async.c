/* SPDX-License-Identifier: Apache-2.0
 *
 * GET_ASYNC_REQUEST, SET_ASYNC: which news a connection gets.
 *
 * Spec: OpenFlow 1.3.5 s.A.3.10.
 */
#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"
#include "lib/error.h"

void
of_msg_async_get(struct of_conn *c, const struct of_request *rq)
{
	c->codec->put_async(&c->out, rq->xid, &c->async);
	of_conn_send(c);
}

void
of_msg_async_set(struct of_conn *c, const struct of_request *rq)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_async async = c->async;

	if (!c->codec->get_set_async(rq->body, rq->body_len, &async, &err)) {
		of_conn_send_error(c, rq, &err);
		return;
	}
	c->async = async;
	of_switch_update_settings(c->sw);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * FEATURES_REQUEST: what the switch can.
 *
 * Spec: OpenFlow 1.3.5 s.A.3.1.
 */
#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"

void
of_msg_features(struct of_conn *c, const struct of_request *rq)
{
	struct of_features f = {
		.dpid = ofproto_dpid(c->sw->ofproto),
		.n_tables = OF_N_TABLES,
		.n_buffers = 0,
	};

	c->codec->put_features(&c->out, rq->xid, &f);
	of_conn_send(c);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Multipart DESC: what the switch says of itself.
 *
 * Spec: OpenFlow 1.3.5 s.A.3.5.1.
 */
#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"

void
of_part_desc(struct of_conn *c, const struct of_request *rq)
{
	struct of_multi m;

	of_multi_begin(&m, c, rq->xid, OF_PART_DESC);
	c->codec->put_desc(&m.out, &c->sw->desc);
	of_multi_end(&m, c);
}

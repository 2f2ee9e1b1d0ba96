/* SPDX-License-Identifier: Apache-2.0
 *
 * TABLE_MOD: means nothing in OpenFlow 1.3; its values are checked.
 *
 * Spec: OpenFlow 1.3.5 s.A.3.3.
 */
#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"
#include "lib/error.h"

#define OFPTC_DEPRECATED_MASK 3u

void
of_msg_table_mod(struct of_conn *c, const struct of_request *rq)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_table_mod tm;

	if (!c->codec->get_table_mod(rq->body, rq->body_len, &tm, &err)) {
		of_conn_send_error(c, rq, &err);
	} else if (tm.config & ~OFPTC_DEPRECATED_MASK) {
		of_conn_refuse(c, rq, OFPET_TABLE_MOD_FAILED, OFPTMFC_BAD_CONFIG);
	}
}

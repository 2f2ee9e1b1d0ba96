/* SPDX-License-Identifier: Apache-2.0
 *
 * Multipart GROUP, GROUP_DESC, GROUP_FEATURES, METER, METER_CONFIG, METER_FEATURES, EXPERIMENTER: there are none.
 *
 * Spec: OpenFlow 1.3.5 s.A.3.5.9 to s.A.3.5.15; errors s.A.4.4.
 */
#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"

static void
send_empty(struct of_conn *c, const struct of_request *rq, enum of_part_type part)
{
	struct of_multi m;

	of_multi_begin(&m, c, rq->xid, part);
	of_multi_end(&m, c);
}

void
of_part_group(struct of_conn *c, const struct of_request *rq)
{
	send_empty(c, rq, OF_PART_GROUP);
}

void
of_part_group_desc(struct of_conn *c, const struct of_request *rq)
{
	send_empty(c, rq, OF_PART_GROUP_DESC);
}

void
of_part_group_features(struct of_conn *c, const struct of_request *rq)
{
	struct of_multi m;

	of_multi_begin(&m, c, rq->xid, OF_PART_GROUP_FEATURES);
	c->codec->put_group_features(&m.out);
	of_multi_end(&m, c);
}

/* A single meter that is not there is an error, the list of all is empty. */
static void
send_meters(struct of_conn *c, const struct of_request *rq, enum of_part_type part)
{
	if (c->codec->get_number(rq->body) != OF_METER_ALL) {
		of_conn_refuse(c, rq, OFPET_METER_MOD_FAILED, OFPMMFC_UNKNOWN_METER);
	} else {
		send_empty(c, rq, part);
	}
}

void
of_part_meter(struct of_conn *c, const struct of_request *rq)
{
	send_meters(c, rq, OF_PART_METER);
}

void
of_part_meter_config(struct of_conn *c, const struct of_request *rq)
{
	send_meters(c, rq, OF_PART_METER_CONFIG);
}

void
of_part_meter_features(struct of_conn *c, const struct of_request *rq)
{
	struct of_multi m;

	of_multi_begin(&m, c, rq->xid, OF_PART_METER_FEATURES);
	c->codec->put_meter_features(&m.out);
	of_multi_end(&m, c);
}

void
of_part_experimenter(struct of_conn *c, const struct of_request *rq)
{
	of_conn_refuse(c, rq, OFPET_BAD_REQUEST, OFPBRC_BAD_EXPERIMENTER);
}

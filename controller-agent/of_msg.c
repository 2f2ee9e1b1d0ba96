/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages: the table of handlers.
 */
#include "controller-agent/of_msg.h"

#include "controller-agent/of_conn.h"
#include "lib/byteorder.h"
#include "lib/error.h"

#define EXPERIMENTER_SIZE 8u /* its number and that of the type */

struct row {
	const char *name;
	of_msg_fn *run;
	bool writes; /* refused to a slave (OpenFlow 1.3.5 s.6.3.4) */
};

static const struct row rows[OF_MSG_N] = {
	[OF_MSG_ERROR] = {"ERROR", of_msg_error, false},
	[OF_MSG_EXPERIMENTER] = {"EXPERIMENTER", of_msg_experimenter, false},
	[OF_MSG_FEATURES] = {"FEATURES_REQUEST", of_msg_features, false},
	[OF_MSG_GET_CONFIG] = {"GET_CONFIG_REQUEST", of_msg_config_get, false},
	[OF_MSG_SET_CONFIG] = {"SET_CONFIG", of_msg_config_set, false},
	[OF_MSG_PACKET_OUT] = {"PACKET_OUT", of_msg_packet_out, true},
	[OF_MSG_FLOW_MOD] = {"FLOW_MOD", of_msg_flow_mod, true},
	[OF_MSG_GROUP_MOD] = {"GROUP_MOD", of_msg_group_mod, true},
	[OF_MSG_PORT_MOD] = {"PORT_MOD", of_msg_port_mod, true},
	[OF_MSG_TABLE_MOD] = {"TABLE_MOD", of_msg_table_mod, true},
	[OF_MSG_METER_MOD] = {"METER_MOD", of_msg_meter_mod, true},
	[OF_MSG_MULTIPART] = {"MULTIPART_REQUEST", of_msg_multipart, false},
	[OF_MSG_BARRIER] = {"BARRIER_REQUEST", of_msg_barrier, false},
	[OF_MSG_QUEUE_CONFIG] = {"QUEUE_GET_CONFIG_REQUEST", of_msg_queue_config, false},
	[OF_MSG_ROLE] = {"ROLE_REQUEST", of_msg_role, false},
	[OF_MSG_GET_ASYNC] = {"GET_ASYNC_REQUEST", of_msg_async_get, false},
	[OF_MSG_SET_ASYNC] = {"SET_ASYNC", of_msg_async_set, false},
	[OF_MSG_BUNDLE_CONTROL] = {"BUNDLE_CONTROL", of_msg_bundle_control, true},
	[OF_MSG_BUNDLE_ADD] = {"BUNDLE_ADD_MESSAGE", of_msg_bundle_add, true},
	[OF_MSG_TLV_MOD] = {"TLV_TABLE_MOD", of_msg_tlv_mod, true},
	[OF_MSG_TLV_REQUEST] = {"TLV_TABLE_REQUEST", of_msg_tlv_request, false},
};

void
of_msg_dispatch(struct of_conn *c, const uint8_t *msg, size_t len)
{
	const struct of_wire_type *wire = of_codec_type(c->codec, msg[1]);
	struct of_request rq = {
		.type = wire ? (enum of_msg_type)wire->type : OF_MSG_N,
		.xid = get_be32(msg + 4),
		.msg = msg,
		.len = len,
		.body = msg + OFP_HEADER_SIZE,
		.body_len = len - OFP_HEADER_SIZE,
	};

	if (rq.type == OF_MSG_EXPERIMENTER && of_wire_type_fits(wire, rq.body_len)) {
		bool known;
		const struct of_wire_type *inner = of_codec_experimenter(c->codec, rq.body, &known);

		if (inner) {
			wire = inner;
			rq.type = (enum of_msg_type)inner->type;
			rq.body += EXPERIMENTER_SIZE;
			rq.body_len -= EXPERIMENTER_SIZE;
		} else if (known) {
			of_conn_refuse(c, &rq, OFPET_BAD_REQUEST, OFPBRC_BAD_EXP_TYPE);
			return;
		}
	}
	if (!wire) {
		of_conn_refuse(c, &rq, OFPET_BAD_REQUEST, OFPBRC_BAD_TYPE);
	} else if (!of_wire_type_fits(wire, rq.body_len)) {
		of_conn_refuse(c, &rq, OFPET_BAD_REQUEST, OFPBRC_BAD_LEN);
	} else if (rows[rq.type].writes && c->role == OF_ROLE_SLAVE) {
		of_conn_refuse(c, &rq, OFPET_BAD_REQUEST, OFPBRC_IS_SLAVE);
	} else {
		rows[rq.type].run(c, &rq);
	}
}

const char *
of_msg_name(enum of_msg_type type)
{
	return type < OF_MSG_N ? rows[type].name : "a message of unknown type";
}

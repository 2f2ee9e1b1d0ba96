/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenFlow 1.3 on the wire: the table of messages, and those that are small.
 *
 * Spec: OpenFlow 1.3.5 s.A.
 */
#include <string.h>

#include "controller-agent/channel.h"
#include "controller-agent/of13_internal.h"
#include "lib/error.h"
#include "ofproto/oxm.h"

/* s.A.3.1, enum ofp_capabilities: flow, table, port and group statistics. */
#define CAPABILITIES 0xfu
#define PORT_CONFIG_ALL                                                                            \
	((uint32_t)(OF_PORT_DOWN | OF_PORT_NO_RECV | OF_PORT_NO_FWD | OF_PORT_NO_PACKET_IN))

#define NOT_A_REQUEST                                                                              \
	{                                                                                          \
		OF_MSG_N, true, 0                                                                  \
	}

static const struct of_wire_type types[OFPT13_N] = {
	[OFPT13_HELLO] = NOT_A_REQUEST,
	[OFPT13_ERROR] = {OF_MSG_ERROR, false, 4},
	[OFPT13_ECHO_REQUEST] = NOT_A_REQUEST, /* the channel's */
	[OFPT13_ECHO_REPLY] = NOT_A_REQUEST,
	[OFPT13_EXPERIMENTER] = {OF_MSG_EXPERIMENTER, false, 8},
	[OFPT13_FEATURES_REQUEST] = {OF_MSG_FEATURES, true, 0},
	[OFPT13_FEATURES_REPLY] = NOT_A_REQUEST,
	[OFPT13_GET_CONFIG_REQUEST] = {OF_MSG_GET_CONFIG, true, 0},
	[OFPT13_GET_CONFIG_REPLY] = NOT_A_REQUEST,
	[OFPT13_SET_CONFIG] = {OF_MSG_SET_CONFIG, true, 4},
	[OFPT13_PACKET_IN] = NOT_A_REQUEST,
	[OFPT13_FLOW_REMOVED] = NOT_A_REQUEST,
	[OFPT13_PORT_STATUS] = NOT_A_REQUEST,
	[OFPT13_PACKET_OUT] = {OF_MSG_PACKET_OUT, false, 16},
	[OFPT13_FLOW_MOD] = {OF_MSG_FLOW_MOD, false, 48},
	[OFPT13_GROUP_MOD] = {OF_MSG_GROUP_MOD, false, 8},
	[OFPT13_PORT_MOD] = {OF_MSG_PORT_MOD, true, 32},
	[OFPT13_TABLE_MOD] = {OF_MSG_TABLE_MOD, true, 8},
	[OFPT13_MULTIPART_REQUEST] = {OF_MSG_MULTIPART, false, 8},
	[OFPT13_MULTIPART_REPLY] = NOT_A_REQUEST,
	[OFPT13_BARRIER_REQUEST] = {OF_MSG_BARRIER, true, 0},
	[OFPT13_BARRIER_REPLY] = NOT_A_REQUEST,
	[OFPT13_QUEUE_GET_CONFIG_REQUEST] = {OF_MSG_QUEUE_CONFIG, true, 8},
	[OFPT13_QUEUE_GET_CONFIG_REPLY] = NOT_A_REQUEST,
	[OFPT13_ROLE_REQUEST] = {OF_MSG_ROLE, true, 16},
	[OFPT13_ROLE_REPLY] = NOT_A_REQUEST,
	[OFPT13_GET_ASYNC_REQUEST] = {OF_MSG_GET_ASYNC, true, 0},
	[OFPT13_GET_ASYNC_REPLY] = NOT_A_REQUEST,
	[OFPT13_SET_ASYNC] = {OF_MSG_SET_ASYNC, true, 24},
	[OFPT13_METER_MOD] = {OF_MSG_METER_MOD, false, 8},
};

/* --- requests ----------------------------------------------------------------------------------- */

/* s.A.3.2. */
static bool
get_set_config(
	const uint8_t *body, size_t len, struct of_switch_config *config, struct weft_error *err)
{
	(void)len;
	(void)err;
	config->flags = get_be16(body);
	config->miss_send_len = get_be16(body + 2);
	return true;
}

/* s.A.3.4.3. */
static bool
get_port_mod(const uint8_t *body, size_t len, struct of_port_mod *pm, struct weft_error *err)
{
	(void)len;
	pm->port = OF_PORT(get_be32(body));
	memcpy(pm->mac, body + 8, 6);
	pm->config = get_be32(body + 16);
	pm->mask = get_be32(body + 20);
	pm->advertise = get_be32(body + 24);
	if (pm->mask & ~PORT_CONFIG_ALL) {
		return of_error_set(err, OFPET_PORT_MOD_FAILED, OFPPMFC_BAD_CONFIG,
			"port config bits 0x%x are unknown", pm->mask & ~PORT_CONFIG_ALL);
	}
	return true;
}

/* s.A.3.3. */
static bool
get_table_mod(const uint8_t *body, size_t len, struct of_table_mod *tm, struct weft_error *err)
{
	(void)len;
	(void)err;
	tm->table = body[0];
	tm->config = get_be32(body + 4);
	return true;
}

static bool
get_queue_config(const uint8_t *body, size_t len, struct of_port *port, struct weft_error *err)
{
	(void)len;
	(void)err;
	*port = OF_PORT(get_be32(body));
	return true;
}

/* s.A.3.9. */
static bool
get_role(const uint8_t *body, size_t len, struct of_role_msg *role, struct weft_error *err)
{
	(void)len;
	(void)err;
	role->role = get_be32(body);
	role->generation = get_be64(body + 8);
	return true;
}

/* s.A.3.10. */
static bool
get_set_async(const uint8_t *body, size_t len, struct of_async *async, struct weft_error *err)
{
	(void)len;
	(void)err;
	for (unsigned kind = 0; kind < OF_ASYNC_N; kind++) {
		async->mask[kind][0] = get_be32(body + 8 * kind);
		async->mask[kind][1] = get_be32(body + 8 * kind + 4);
	}
	return true;
}

/* --- replies ------------------------------------------------------------------------------------ */

/* Errors that 1.3 does not have, by the numbers of the ONF's extensions 230 and 260; 0: it has that one. */
static uint16_t
onf_error(uint16_t type, uint16_t code)
{
	if (type == OFPET_BUNDLE_FAILED) {
		return (uint16_t)(ONFERR13_BUNDLE_UNKNOWN + code);
	}
	return type == OFPET_BAD_INSTRUCTION && code == OFPBIC_DUP_INST ? ONFERR13_DUP_INSTRUCTION
									: 0;
}

/* s.A.4.4. */
static void
put_error(struct strbuf *out, uint32_t xid, uint16_t type, uint16_t code, const uint8_t *request,
	size_t len)
{
	size_t start = wire_begin(out, OFP13_VERSION, OFPT13_ERROR, xid);
	uint16_t onf = onf_error(type, code);

	if (type == OFPET_NICIRA) {
		wire_put_u16(out, OFPET_EXPERIMENTER);
		wire_put_u16(out, code);
		wire_put_u32(out, OXM_EXPERIMENTER_NX);
	} else if (onf) {
		wire_put_u16(out, OFPET_EXPERIMENTER);
		wire_put_u16(out, onf);
		wire_put_u32(out, ONF_EXPERIMENTER);
	} else {
		wire_put_u16(out, type);
		wire_put_u16(out, code);
	}
	strbuf_put_bytes(out, request, WEFT_MIN(len, (size_t)CHANNEL_ERROR_DATA));
	wire_end(out, start);
}

/* s.A.3.1. */
static void
put_features(struct strbuf *out, uint32_t xid, const struct of_features *f)
{
	size_t start = wire_begin(out, OFP13_VERSION, OFPT13_FEATURES_REPLY, xid);

	wire_put_u64(out, f->dpid);
	wire_put_u32(out, f->n_buffers);
	wire_put_u8(out, f->n_tables);
	wire_put_u8(out, 0); /* auxiliary id: the main connection */
	wire_put_zeros(out, 2);
	wire_put_u32(out, CAPABILITIES);
	wire_put_u32(out, 0);
	wire_end(out, start);
}

static void
put_config(struct strbuf *out, uint32_t xid, const struct of_switch_config *config)
{
	size_t start = wire_begin(out, OFP13_VERSION, OFPT13_GET_CONFIG_REPLY, xid);

	wire_put_u16(out, config->flags);
	wire_put_u16(out, config->miss_send_len);
	wire_end(out, start);
}

static void
put_barrier(struct strbuf *out, uint32_t xid)
{
	wire_end(out, wire_begin(out, OFP13_VERSION, OFPT13_BARRIER_REPLY, xid));
}

/* s.A.3.6: no port has queues. */
static void
put_queue_config(struct strbuf *out, uint32_t xid, struct of_port port)
{
	size_t start = wire_begin(out, OFP13_VERSION, OFPT13_QUEUE_GET_CONFIG_REPLY, xid);

	wire_put_u32(out, port.v);
	wire_put_zeros(out, 4);
	wire_end(out, start);
}

static void
put_role(struct strbuf *out, uint32_t xid, const struct of_role_msg *role)
{
	size_t start = wire_begin(out, OFP13_VERSION, OFPT13_ROLE_REPLY, xid);

	wire_put_u32(out, role->role);
	wire_put_zeros(out, 4);
	wire_put_u64(out, role->generation);
	wire_end(out, start);
}

static void
put_async(struct strbuf *out, uint32_t xid, const struct of_async *async)
{
	size_t start = wire_begin(out, OFP13_VERSION, OFPT13_GET_ASYNC_REPLY, xid);

	for (unsigned kind = 0; kind < OF_ASYNC_N; kind++) {
		wire_put_u32(out, async->mask[kind][0]);
		wire_put_u32(out, async->mask[kind][1]);
	}
	wire_end(out, start);
}

/* s.A.4.3. */
static void
put_port_status(struct strbuf *out, enum of_port_reason reason, const struct of_port_info *info)
{
	size_t start = wire_begin(out, OFP13_VERSION, OFPT13_PORT_STATUS, 0);

	wire_put_u8(out, (uint8_t)reason);
	wire_put_zeros(out, 7);
	of13_put_port(out, info);
	wire_end(out, start);
}

const struct of_codec of13_codec = {
	.version = OFP13_VERSION,
	.protocol = OF_PROTOCOL_13,
	.name = "1.3",
	.types = types,
	.n_types = OFPT13_N,
	.parts = of13_parts,
	.n_parts = OFPMP13_N,
	.experimenters = of13_experimenters,
	.n_experimenters = OF13_N_EXPERIMENTERS,
	.get_set_config = get_set_config,
	.get_packet_out = of13_get_packet_out,
	.get_flow_mod = of13_get_flow_mod,
	.get_group_mod = of13_get_group_mod,
	.get_port_mod = get_port_mod,
	.get_table_mod = get_table_mod,
	.get_meter_mod = of13_get_meter_mod,
	.get_queue_config = get_queue_config,
	.get_role = get_role,
	.get_set_async = get_set_async,
	.get_bundle_control = of13_get_bundle_control,
	.get_bundle_add = of13_get_bundle_add,
	.get_tlv_mod = of13_get_tlv_mod,
	.get_multipart = of13_get_multipart,
	.get_flow_query = of13_get_flow_query,
	.get_number = of13_get_number,
	.get_queue = of13_get_queue,
	.get_table_features = of13_get_table_features,
	.put_error = put_error,
	.put_features = put_features,
	.put_config = put_config,
	.put_bundle_control = of13_put_bundle_control,
	.put_tlv_table = of13_put_tlv_table,
	.put_barrier = put_barrier,
	.put_queue_config = put_queue_config,
	.put_role = put_role,
	.put_async = put_async,
	.begin_part = of13_begin_part,
	.end_part = of13_end_part,
	.put_desc = of13_put_desc,
	.put_flow = of13_put_flow,
	.put_aggregate = of13_put_aggregate,
	.put_table = of13_put_table,
	.put_port_stats = of13_put_port_stats,
	.put_port = of13_put_port,
	.put_group = of13_put_group,
	.put_group_desc = of13_put_group_desc,
	.put_meter = of13_put_meter,
	.put_meter_config = of13_put_meter_config,
	.put_group_features = of13_put_group_features,
	.put_meter_features = of13_put_meter_features,
	.put_table_features = of13_put_table_features,
	.put_packet_in = of13_put_packet_in,
	.put_flow_removed = of13_put_flow_removed,
	.put_port_status = put_port_status,
};

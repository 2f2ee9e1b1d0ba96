/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenFlow 1.3 on the wire: what the files of this codec share.
 *
 * Numbers that all versions share, or that ofproto/ has, stand there.
 * Spec: OpenFlow 1.3.5 s.A; sections are named beside the code.
 */
#pragma once

#include "controller-agent/of_codec.h"
#include "controller-agent/of_wire.h"

#define OFP13_VERSION 4u

enum ofp13_type {
	OFPT13_HELLO = 0,
	OFPT13_ERROR = 1,
	OFPT13_ECHO_REQUEST = 2,
	OFPT13_ECHO_REPLY = 3,
	OFPT13_EXPERIMENTER = 4,
	OFPT13_FEATURES_REQUEST = 5,
	OFPT13_FEATURES_REPLY = 6,
	OFPT13_GET_CONFIG_REQUEST = 7,
	OFPT13_GET_CONFIG_REPLY = 8,
	OFPT13_SET_CONFIG = 9,
	OFPT13_PACKET_IN = 10,
	OFPT13_FLOW_REMOVED = 11,
	OFPT13_PORT_STATUS = 12,
	OFPT13_PACKET_OUT = 13,
	OFPT13_FLOW_MOD = 14,
	OFPT13_GROUP_MOD = 15,
	OFPT13_PORT_MOD = 16,
	OFPT13_TABLE_MOD = 17,
	OFPT13_MULTIPART_REQUEST = 18,
	OFPT13_MULTIPART_REPLY = 19,
	OFPT13_BARRIER_REQUEST = 20,
	OFPT13_BARRIER_REPLY = 21,
	OFPT13_QUEUE_GET_CONFIG_REQUEST = 22,
	OFPT13_QUEUE_GET_CONFIG_REPLY = 23,
	OFPT13_ROLE_REQUEST = 24,
	OFPT13_ROLE_REPLY = 25,
	OFPT13_GET_ASYNC_REQUEST = 26,
	OFPT13_GET_ASYNC_REPLY = 27,
	OFPT13_SET_ASYNC = 28,
	OFPT13_METER_MOD = 29,
	OFPT13_N,
};

enum ofp13_multipart_type {
	OFPMP13_DESC = 0,
	OFPMP13_FLOW = 1,
	OFPMP13_AGGREGATE = 2,
	OFPMP13_TABLE = 3,
	OFPMP13_PORT_STATS = 4,
	OFPMP13_QUEUE = 5,
	OFPMP13_GROUP = 6,
	OFPMP13_GROUP_DESC = 7,
	OFPMP13_GROUP_FEATURES = 8,
	OFPMP13_METER = 9,
	OFPMP13_METER_CONFIG = 10,
	OFPMP13_METER_FEATURES = 11,
	OFPMP13_TABLE_FEATURES = 12,
	OFPMP13_PORT_DESC = 13,
	OFPMP13_N,
	OFPMP13_EXPERIMENTER = 0xffff,
};

enum ofp13_instruction_type {
	OFPIT13_GOTO_TABLE = 1,
	OFPIT13_WRITE_METADATA = 2,
	OFPIT13_WRITE_ACTIONS = 3,
	OFPIT13_APPLY_ACTIONS = 4,
	OFPIT13_CLEAR_ACTIONS = 5,
	OFPIT13_METER = 6,
	OFPIT13_N,
	OFPIT13_EXPERIMENTER = 0xffff,
};

/* of13_action.c, s.A.2.4 and s.A.2.5. */
bool of13_get_actions(
	const uint8_t *data, size_t len, struct of_actions *actions, struct weft_error *err);
bool of13_get_instructions(
	const uint8_t *data, size_t len, struct of_actions *list, struct weft_error *err);
void of13_put_actions(
	struct strbuf *out, const struct of_tlv_map *tlvs, const void *actions, size_t size);
void of13_put_instructions(
	struct strbuf *out, const struct of_tlv_map *tlvs, const void *list, size_t size);
/* Wire numbers of the actions that tables support, one after the other: begin with 0 for @n. */
bool of13_action_number(unsigned n, uint16_t *number);
uint32_t of13_action_bits(void);

/* of13_flow.c. */
bool of13_get_packet_out(const uint8_t *body, size_t len, const struct of_tlv_map *tlvs,
	struct of_packet_out_msg *msg, struct weft_error *err);
bool of13_get_flow_mod(const uint8_t *body, size_t len, const struct of_tlv_map *tlvs,
	struct of_flow_mod *fm, uint32_t *buffer_id, struct weft_error *err);
bool of13_get_flow_query(const uint8_t *body, size_t len, const struct of_tlv_map *tlvs,
	struct of_flow_query *query, struct weft_error *err);
/* Seconds, then nanoseconds. */
void of13_put_duration(struct strbuf *out, uint64_t ms);
void of13_put_flow(struct strbuf *out, const struct of_flow_view *flow);
void of13_put_packet_in(struct strbuf *out, const struct of_packet_in *pi);
void of13_put_flow_removed(
	struct strbuf *out, const struct of_flow_view *flow, enum of_removed_reason reason);

/* of13_group.c. */
bool of13_get_group_mod(const uint8_t *body, size_t len, const struct of_tlv_map *tlvs,
	struct of_group_mod *gm, struct weft_error *err);
bool of13_get_meter_mod(
	const uint8_t *body, size_t len, struct of_meter_mod *mm, struct weft_error *err);
void of13_put_group(struct strbuf *out, const struct of_group_view *view);
void of13_put_group_desc(struct strbuf *out, const struct of_group_view *view);
void of13_put_group_features(struct strbuf *out);
void of13_put_meter(
	struct strbuf *out, const struct of_meter_view *view, const struct of_meter_stats *stats);
void of13_put_meter_config(struct strbuf *out, const struct of_meter_view *view);
void of13_put_meter_features(struct strbuf *out);

/* of13_multipart.c. */
bool of13_get_multipart(
	const uint8_t *body, size_t len, struct of_multipart *part, struct weft_error *err);
uint32_t of13_get_number(const uint8_t *body);
void of13_get_queue(const uint8_t *body, struct of_port *port, uint32_t *queue);
size_t of13_begin_part(struct strbuf *out, uint32_t xid, enum of_part_type part);
void of13_end_part(struct strbuf *out, size_t start, bool has_more);
void of13_put_desc(struct strbuf *out, const struct of_desc *desc);
void of13_put_aggregate(struct strbuf *out, const struct of_aggregate *sum);
void of13_put_table(struct strbuf *out, uint8_t table, const struct of_table_stats *stats);
void of13_put_port_stats(
	struct strbuf *out, struct of_port port, const struct of_port_stats *stats);
void of13_put_port(struct strbuf *out, const struct of_port_info *info);
extern const struct of_wire_type of13_parts[OFPMP13_N];

/* of13_table_features.c. */
bool of13_get_table_features(
	const uint8_t *body, size_t len, struct of_table_wish *wish, struct weft_error *err);
void of13_put_table_features(struct strbuf *out, uint8_t table);

/* Approved extensions of the ONF: 230, bundles; 260, an error. */
#define ONF_EXPERIMENTER 0x4f4e4600u
#define ONF_ET_BUNDLE_CONTROL 2300u
#define ONF_ET_BUNDLE_ADD_MESSAGE 2301u
#define ONFERR13_DUP_INSTRUCTION 2600u /* OFPBIC_DUP_INST of 1.4 */
#define ONFERR13_BUNDLE_UNKNOWN                                                                    \
	2300u /* the first of its errors, in the order of enum of_bundle_failed_code */
#define OF13_N_EXPERIMENTERS 4u
extern const struct of_experimenter_type of13_experimenters[OF13_N_EXPERIMENTERS];
bool of13_get_bundle_control(
	const uint8_t *body, size_t len, struct of_bundle_control *bc, struct weft_error *err);
bool of13_get_bundle_add(
	const uint8_t *body, size_t len, struct of_bundle_add *add, struct weft_error *err);
void of13_put_bundle_control(struct strbuf *out, uint32_t xid, const struct of_bundle_control *bc);

/* of13_tlv.c: Nicira's messages about options of Geneve. */
#define NXT_TLV_TABLE_MOD 24u
#define NXT_TLV_TABLE_REQUEST 25u
#define NXT_TLV_TABLE_REPLY 26u
bool of13_get_tlv_mod(
	const uint8_t *body, size_t len, struct of_tlv_mod *tm, struct weft_error *err);
void of13_put_tlv_table(struct strbuf *out, uint32_t xid, const struct of_tlv_map *tlvs);

/* SPDX-License-Identifier: Apache-2.0
 *
 * Codec: one version of OpenFlow on the wire, between bytes and structs that know no version.
 *
 * What:     struct of_codec has a function for each message that is read or written, and tables of the
 *           wire's type numbers. of_msg_*.c handle neutral requests and never look at bytes. The
 *           structs of ofproto/ (flow-mods, actions, matches, errors) are neutral too.
 * Reading:  get_*() take the body of a message whose length the tables have checked against the
 *           least; all other checks are theirs. Errors are of WEFT_ERR_OPENFLOW, in OpenFlow 1.3's
 *           numbers; put_error() maps them.
 * Writing:  put_*() append whole messages, or entries of a multipart reply.
 * To add:   a version: of1X_*.c with a struct of_codec, a row in of_codec.c; a message: an enumerator, a
 *           row in each codec's table, its functions, a handler (of_msg.h), a test, a line in
 *           docs/openflow.md.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller-agent/of_service.h"
#include "lib/compiler.h"
#include "lib/strbuf.h"
#include "ofproto/of_action.h"
#include "ofproto/of_error.h"
#include "ofproto/ofproto.h"

#define OF_NO_BUFFER 0xffffffffu
#define OF_QUEUE_ALL 0xffffffffu
#define OF_METER_ALL 0xffffffffu

/* What a controller may send. */
enum of_msg_type {
	OF_MSG_ERROR,
	OF_MSG_EXPERIMENTER,
	OF_MSG_FEATURES,
	OF_MSG_GET_CONFIG,
	OF_MSG_SET_CONFIG,
	OF_MSG_PACKET_OUT,
	OF_MSG_FLOW_MOD,
	OF_MSG_GROUP_MOD,
	OF_MSG_PORT_MOD,
	OF_MSG_TABLE_MOD,
	OF_MSG_METER_MOD,
	OF_MSG_MULTIPART,
	OF_MSG_BARRIER,
	OF_MSG_QUEUE_CONFIG,
	OF_MSG_ROLE,
	OF_MSG_GET_ASYNC,
	OF_MSG_SET_ASYNC,
	OF_MSG_BUNDLE_CONTROL,
	OF_MSG_BUNDLE_ADD,
	OF_MSG_TLV_MOD, /* Nicira's table of Geneve's options (of_tlv.h) */
	OF_MSG_TLV_REQUEST,
	OF_MSG_N,
};

enum of_part_type {
	OF_PART_DESC,
	OF_PART_FLOW,
	OF_PART_AGGREGATE,
	OF_PART_TABLE,
	OF_PART_PORT_STATS,
	OF_PART_QUEUE,
	OF_PART_GROUP,
	OF_PART_GROUP_DESC,
	OF_PART_GROUP_FEATURES,
	OF_PART_METER,
	OF_PART_METER_CONFIG,
	OF_PART_METER_FEATURES,
	OF_PART_TABLE_FEATURES,
	OF_PART_PORT_DESC,
	OF_PART_EXPERIMENTER,
	OF_PART_N,
};

/* A number of the wire. Lengths: of the body behind the header, or the multipart header. */
struct of_wire_type {
	uint8_t type; /* enum of_msg_type or of_part_type; their _N: the wire has no such request */
	bool is_exact;
	uint16_t min_len;
};

/* An experimenter's message that is known. */
struct of_experimenter_type {
	uint32_t experimenter;
	uint32_t exp_type;
	struct of_wire_type wire; /* lengths: behind these two */
};

struct of_features {
	uint64_t dpid;
	uint8_t n_tables;
	uint32_t n_buffers;
};

struct of_switch_config {
	uint16_t flags; /* OFPC_FRAG_* */
	uint16_t miss_send_len;
};

struct of_role_msg {
	uint32_t role; /* enum of_role; what came may be another number */
	uint64_t generation;
};

/* Kinds of news that can be filtered, and for whom. */
enum of_async_kind {
	OF_ASYNC_PACKET_IN,
	OF_ASYNC_PORT_STATUS,
	OF_ASYNC_FLOW_REMOVED,
	OF_ASYNC_N,
};

/* Bitmaps of reasons: [0] as master or equal, [1] as slave. */
struct of_async {
	uint32_t mask[OF_ASYNC_N][2];
};

struct of_packet_out_msg {
	uint32_t buffer_id;
	struct of_port in_port;
	struct of_actions actions;
	const uint8_t *data; /* borrowed from the message */
	size_t len;
};

struct of_port_mod {
	struct of_port port;
	uint8_t mac[6];
	uint32_t config;
	uint32_t mask;
	uint32_t advertise;
};

struct of_table_mod {
	uint8_t table;
	uint32_t config;
};

enum of_bundle_control_type {
	OF_BUNDLE_OPEN = 0,
	OF_BUNDLE_CLOSE = 2,
	OF_BUNDLE_COMMIT = 4,
	OF_BUNDLE_DISCARD = 6, /* each reply is one more */
};

struct of_bundle_control {
	uint32_t id;
	uint16_t type; /* enum of_bundle_control_type; what came may be another number */
	uint16_t flags;
};

struct of_bundle_add {
	uint32_t id;
	uint16_t flags;
	const uint8_t *msg; /* whole, borrowed */
	size_t len;
};

struct of_tlv_mod {
	unsigned command;             /* enum of_tlv_command; what came may be another number */
	struct of_tlv_entry *entries; /* heap, the caller's */
	size_t n;
};

struct of_multipart {
	enum of_part_type part; /* OF_PART_N: unknown */
	bool has_more;
	const uint8_t *body;
	size_t len;
};

/* Tables as a controller would have them, of which no capability is more than they have. */
struct of_table_wish {
	uint8_t tables[OF_N_TABLES]; /* each once */
	unsigned n;
	bool has_names; /* some table is to be called something */
};

struct of_desc {
	const char *manufacturer;
	const char *hardware;
	const char *software;
	const char *serial;
	const char *description;
};

struct of_codec {
	uint8_t version;                  /* on the wire */
	uint32_t protocol;                /* OF_PROTOCOL_* */
	const char *name;                 /* "1.3" */
	const struct of_wire_type *types; /* by the wire's number */
	size_t n_types;
	const struct of_wire_type *parts;
	size_t n_parts;
	const struct of_experimenter_type *experimenters;
	size_t n_experimenters;

	/* Requests. @body, @len: behind the header. @tlvs: the switch's, by which tun_metadata fields are read. */
	bool (*get_set_config)(const uint8_t *body, size_t len, struct of_switch_config *config,
		struct weft_error *err);
	/* @msg->actions is the caller's to uninit, also after a failure (here and below). */
	bool (*get_packet_out)(const uint8_t *body, size_t len, const struct of_tlv_map *tlvs,
		struct of_packet_out_msg *msg, struct weft_error *err);
	/* @buffer_id: the packet that the flow is to be applied to. */
	bool (*get_flow_mod)(const uint8_t *body, size_t len, const struct of_tlv_map *tlvs,
		struct of_flow_mod *fm, uint32_t *buffer_id, struct weft_error *err);
	/* @gm is the caller's to uninit, also after a failure. */
	bool (*get_group_mod)(const uint8_t *body, size_t len, const struct of_tlv_map *tlvs,
		struct of_group_mod *gm, struct weft_error *err);
	bool (*get_port_mod)(
		const uint8_t *body, size_t len, struct of_port_mod *pm, struct weft_error *err);
	bool (*get_table_mod)(
		const uint8_t *body, size_t len, struct of_table_mod *tm, struct weft_error *err);
	bool (*get_meter_mod)(
		const uint8_t *body, size_t len, struct of_meter_mod *mm, struct weft_error *err);
	bool (*get_queue_config)(
		const uint8_t *body, size_t len, struct of_port *port, struct weft_error *err);
	bool (*get_role)(
		const uint8_t *body, size_t len, struct of_role_msg *role, struct weft_error *err);
	bool (*get_set_async)(
		const uint8_t *body, size_t len, struct of_async *async, struct weft_error *err);

	bool (*get_bundle_control)(const uint8_t *body, size_t len, struct of_bundle_control *bc,
		struct weft_error *err);
	/* The message in it has a header and is all there; nothing else is known of it. */
	bool (*get_bundle_add)(
		const uint8_t *body, size_t len, struct of_bundle_add *add, struct weft_error *err);

	bool (*get_tlv_mod)(
		const uint8_t *body, size_t len, struct of_tlv_mod *tm, struct weft_error *err);

	/* Multipart requests: the header, then what stands in the body. */
	bool (*get_multipart)(
		const uint8_t *body, size_t len, struct of_multipart *part, struct weft_error *err);
	/* FLOW and AGGREGATE. */
	bool (*get_flow_query)(const uint8_t *body, size_t len, const struct of_tlv_map *tlvs,
		struct of_flow_query *query, struct weft_error *err);
	/* PORT_STATS: the port; GROUP, METER, METER_CONFIG: the number. */
	uint32_t (*get_number)(const uint8_t *body);
	/* QUEUE. */
	void (*get_queue)(const uint8_t *body, struct of_port *port, uint32_t *queue);
	/* TABLE_FEATURES. */
	bool (*get_table_features)(const uint8_t *body, size_t len, struct of_table_wish *wish,
		struct weft_error *err);

	/* Replies. */
	void (*put_error)(struct strbuf *out, uint32_t xid, uint16_t type, uint16_t code,
		const uint8_t *request, size_t len);
	void (*put_features)(struct strbuf *out, uint32_t xid, const struct of_features *f);
	void (*put_config)(struct strbuf *out, uint32_t xid, const struct of_switch_config *config);
	void (*put_bundle_control)(
		struct strbuf *out, uint32_t xid, const struct of_bundle_control *bc);
	void (*put_tlv_table)(struct strbuf *out, uint32_t xid, const struct of_tlv_map *tlvs);
	void (*put_barrier)(struct strbuf *out, uint32_t xid);
	void (*put_queue_config)(struct strbuf *out, uint32_t xid, struct of_port port);
	void (*put_role)(struct strbuf *out, uint32_t xid, const struct of_role_msg *role);
	void (*put_async)(struct strbuf *out, uint32_t xid, const struct of_async *async);

	/* Multipart replies: begin, entries, end. */
	size_t (*begin_part)(struct strbuf *out, uint32_t xid, enum of_part_type part);
	void (*end_part)(struct strbuf *out, size_t start, bool has_more);
	void (*put_desc)(struct strbuf *out, const struct of_desc *desc);
	void (*put_flow)(struct strbuf *out, const struct of_flow_view *flow);
	void (*put_aggregate)(struct strbuf *out, const struct of_aggregate *sum);
	void (*put_table)(struct strbuf *out, uint8_t table, const struct of_table_stats *stats);
	void (*put_port_stats)(
		struct strbuf *out, struct of_port port, const struct of_port_stats *stats);
	void (*put_port)(struct strbuf *out, const struct of_port_info *info);
	void (*put_group)(struct strbuf *out, const struct of_group_view *view);
	void (*put_group_desc)(struct strbuf *out, const struct of_group_view *view);
	void (*put_group_features)(struct strbuf *out);
	void (*put_meter)(struct strbuf *out, const struct of_meter_view *view,
		const struct of_meter_stats *stats);
	void (*put_meter_config)(struct strbuf *out, const struct of_meter_view *view);
	void (*put_meter_features)(struct strbuf *out);
	void (*put_table_features)(struct strbuf *out, uint8_t table);

	/* News. */
	void (*put_packet_in)(struct strbuf *out, const struct of_packet_in *pi);
	void (*put_flow_removed)(
		struct strbuf *out, const struct of_flow_view *flow, enum of_removed_reason reason);
	void (*put_port_status)(
		struct strbuf *out, enum of_port_reason reason, const struct of_port_info *info);
};

extern const struct of_codec of13_codec;

/* The codec of a wire version; NULL: there is none. */
const struct of_codec *of_codec_find(uint8_t version);
/* Bitmap by wire number of the OF_PROTOCOL_* bits that there are codecs for; 0 stands for all. */
uint32_t of_codec_versions(uint32_t protocols);

/* The row of a wire number, NULL: it is no request. */
const struct of_wire_type *of_codec_type(const struct of_codec *codec, uint8_t number);
/* The row of an experimenter's message (@body, at least 8 bytes), NULL: unknown; @known: the experimenter is not. */
const struct of_wire_type *of_codec_experimenter(
	const struct of_codec *codec, const uint8_t *body, bool *known);
const struct of_wire_type *of_codec_part(const struct of_codec *codec, enum of_part_type part);

/* Whether @len fits the row. */
bool of_wire_type_fits(const struct of_wire_type *row, size_t len);

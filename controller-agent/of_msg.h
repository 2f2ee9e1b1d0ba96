/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages: a handler for each request, found by one table.
 *
 * What:     of_msg_dispatch() finds a message's row: its neutral type and least length in the codec's
 *           table, its handler and who may send it in ours. A handler answers at once, or starts a job
 *           (of_conn.h), or refuses; it never closes the connection.
 * To add:   see of_codec.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller-agent/of_codec.h"

struct of_conn;
struct of_request;
struct weft_error;

/* One whole message of the connection's version. */
void of_msg_dispatch(struct of_conn *c, const uint8_t *msg, size_t len);

/* "FLOW_MOD". */
const char *of_msg_name(enum of_msg_type type);

/* Handlers: the body is at least as long as the codec's row says. */
typedef void of_msg_fn(struct of_conn *c, const struct of_request *rq);
of_msg_fn of_msg_async_get;
of_msg_fn of_msg_async_set;
of_msg_fn of_msg_barrier;
of_msg_fn of_msg_bundle_add;
of_msg_fn of_msg_bundle_control;
of_msg_fn of_msg_config_get;
of_msg_fn of_msg_config_set;
of_msg_fn of_msg_error;
of_msg_fn of_msg_experimenter;
of_msg_fn of_msg_features;
of_msg_fn of_msg_flow_mod;
of_msg_fn of_msg_group_mod;
of_msg_fn of_msg_meter_mod;
of_msg_fn of_msg_multipart;
of_msg_fn of_msg_packet_out;
of_msg_fn of_msg_port_mod;
of_msg_fn of_msg_queue_config;
of_msg_fn of_msg_role;
of_msg_fn of_msg_table_mod;
of_msg_fn of_msg_tlv_mod;
of_msg_fn of_msg_tlv_request;

/* Runs @run at once, or when the transaction that is open has ended. */
void of_msg_outside_txn(struct of_conn *c, const struct of_request *rq, of_msg_fn *run);
/* A controller has changed rules, groups or meters. */
void of_msg_note_change(struct of_conn *c, uint64_t now_ms);

struct of_flow_mod;
struct of_port_mod;

/* Reads one, and refuses a buffer. @fm is the caller's to uninit, also after a failure. */
bool of_msg_get_flow_mod(struct of_conn *c, const struct of_request *rq, struct of_flow_mod *fm,
	struct weft_error *err);
/* Reads one, and checks it against the port that there is. */
bool of_msg_get_port_mod(struct of_conn *c, const struct of_request *rq, struct of_port_mod *pm,
	struct weft_error *err);

/* A connection's bundles: none; all are forgotten. */
void of_bundles_init(struct of_conn *c);
void of_bundles_uninit(struct of_conn *c);

/* Handlers of multipart requests: @rq->body is the body behind the multipart header, of all messages. */
of_msg_fn of_part_aggregate;
of_msg_fn of_part_desc;
of_msg_fn of_part_experimenter;
of_msg_fn of_part_flow;
of_msg_fn of_part_group;
of_msg_fn of_part_group_desc;
of_msg_fn of_part_group_features;
of_msg_fn of_part_meter;
of_msg_fn of_part_meter_config;
of_msg_fn of_part_meter_features;
of_msg_fn of_part_port_desc;
of_msg_fn of_part_port_stats;
of_msg_fn of_part_queue;
of_msg_fn of_part_table;
of_msg_fn of_part_table_features;

/* SPDX-License-Identifier: Apache-2.0
 *
 * Text of flows and actions, in the syntax of ovs-ofctl(8), printed as ovs-ofctl prints it.
 *
 * Errors: domain WEFT_ERR_INVALID, with the offset of the offending character; a sound text with a
 *         meaning that OpenFlow refuses (prerequisites): WEFT_ERR_OPENFLOW.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "ofproto/of_port.h"

struct of_actions;
struct of_group_mod;
struct of_group_view;
struct of_meter_mod;
struct of_meter_view;
struct of_flow_mod;
struct of_flow_query;
struct of_flow_view;
struct of_match;
struct of_tlv_map;
struct ofproto;
struct strbuf;
struct weft_error;

/* Names of ports and options, as a switch knows them. Members may be NULL. */
struct of_text_names {
	/* Whether there is a port of that name. */
	bool (*find)(void *user, const char *name, size_t len, struct of_port *port);
	/* The name of a port, NULL: print its number. */
	const char *(*name)(void *user, struct of_port port);
	void *user;
	const struct of_tlv_map *tlvs; /* what tun_metadata fields stand for; NULL: nothing */
};

/* @names may be NULL everywhere. */

/* The ports of a switch, which may not go meanwhile (handlers: between enter and leave). */
struct of_text_names of_text_names_of(const struct ofproto *p);

/* A whole flow: match fields, table=, priority=, cookie=C[/M], idle_timeout=, hard_timeout=,
 * importance=, out_port=, out_group=, send_flow_rem, check_overlap, reset_counts, no_packet_counts,
 * no_byte_counts, actions=. @fm->command says what for: adds and modifies must have actions=,
 * deletes must not. @fm is initialised here (the command is kept) and is the caller's to uninit,
 * also after a failure. A command word (add, modify, modify_strict, delete, delete_strict) may begin the
 * text of a file's line: it replaces @fm->command if @with_command. */
bool of_text_parse_flow(const char *text, size_t len, bool with_command,
	const struct of_text_names *names, struct of_flow_mod *fm,
	struct weft_error *err) WEFT_MUST_CHECK;
/* The same without actions, for listings. Empty: all. */
bool of_text_parse_query(const char *text, size_t len, const struct of_text_names *names,
	struct of_flow_query *q, struct weft_error *err) WEFT_MUST_CHECK;
bool of_text_parse_match(const char *text, size_t len, const struct of_text_names *names,
	struct of_match *match, struct weft_error *err) WEFT_MUST_CHECK;
/* What stands behind "actions=": instructions, or actions alone (@is_actions). "drop": none. */
bool of_text_parse_actions(const char *text, size_t len, bool is_actions,
	const struct of_text_names *names, struct of_actions *actions,
	struct weft_error *err) WEFT_MUST_CHECK;

/* "group_id=1,type=select,bucket=weight:3,actions=output:1,bucket=..": a group-mod for @gm->command, a
 * deletion without type and buckets (no group_id: all). @gm is initialised here (the command is kept) and
 * is the caller's to uninit, also after a failure. @with_command: "add", "modify" or "delete" may begin the
 * text, as for flows. */
bool of_text_parse_group(const char *text, size_t len, bool with_command,
	const struct of_text_names *names, struct of_group_mod *gm,
	struct weft_error *err) WEFT_MUST_CHECK;
/* "meter=5,kbps,burst,stats,bands=type=drop,rate=1000,burst_size=100,type=..", likewise. */
bool of_text_parse_meter(const char *text, size_t len, struct of_meter_mod *mm,
	struct weft_error *err) WEFT_MUST_CHECK;
/* As ovs-ofctl prints them, without leading space; a meter in one line. */
void of_text_format_group(
	const struct of_group_view *view, const struct of_text_names *names, struct strbuf *out);
void of_text_format_meter(const struct of_meter_view *view, struct strbuf *out);

/* " cookie=0x0, duration=1.25s, table=0, n_packets=3, n_bytes=180, priority=5,ip actions=NORMAL",
 * without the leading space; the line that `ovs-ofctl dump-flows` prints. */
void of_text_format_flow(
	const struct of_flow_view *flow, const struct of_text_names *names, struct strbuf *out);
/* "priority=5,ip,nw_src=10.0.0.0/8"; with the default priority just the match, which may be empty. */
void of_text_format_match(const struct of_match *match, uint16_t priority,
	const struct of_text_names *names, struct strbuf *out);
/* "output:1,NORMAL"; "drop" when empty. */
void of_text_format_actions(
	const void *actions, size_t size, const struct of_text_names *names, struct strbuf *out);

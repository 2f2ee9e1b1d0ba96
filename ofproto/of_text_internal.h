/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts: pieces shared by flows and actions.
 */
#pragma once

#include "ofproto/of_text.h"
#include "ofproto/of_tlv.h"

struct of_action_fin_timeout;
struct of_action_learn;

/* Text that need not end with NUL. */
struct of_span {
	const char *at;
	size_t len;
};

bool of_span_is(struct of_span s, const char *word);
/* Cuts off what stands before the first @c outside parentheses; @s becomes what stands behind it. */
struct of_span of_span_cut(struct of_span *s, char c);
struct of_span of_span_trim(struct of_span s);
/* A whole number up to @max, decimal or 0x. */
bool of_span_number(struct of_span s, uint64_t max, uint64_t *n);
/* LEFT->RIGHT. */
bool of_span_split_arrow(struct of_span s, struct of_span *left, struct of_span *right);
/* The bits of a field of @width bits that NAME, NAME[], NAME[BIT] or NAME[LOW..HIGH] means; and the same
 * without the name. */
bool of_text_parse_range(struct of_span text, unsigned width, uint16_t *ofs, uint16_t *n_bits);
void of_text_put_range(unsigned ofs, unsigned n_bits, unsigned width, struct strbuf *out);
/* A port: number, reserved name, name as it is or in double quotes. */
bool of_text_find_port(const struct of_text_names *names, struct of_span s, struct of_port *port);
void of_text_put_port(const struct of_text_names *names, struct of_port port, struct strbuf *out);

/* The value of a tun_metadata field, of the option's size; with a slash, the mask. */
bool of_text_parse_option(struct of_span text, unsigned index, const struct of_tlv *tlv,
	union field_value *value, union field_value *mask, struct weft_error *err);

/* "action", "no_match", ..: enum of_packet_in_reason. */
const char *of_text_reason_name(uint8_t reason);

/* As of_text_parse_actions(), told of the match: what tp_src means follows from it (may be NULL). */
bool of_text_parse_list(struct of_span text, const struct of_match *match,
	const struct of_text_names *names, struct of_actions *actions, struct weft_error *err);

/* of_text_learn.c: what stands in learn(..) and fin_timeout(..); and the whole of them. */
bool of_text_parse_learn(struct of_span text, const struct of_text_names *names,
	struct of_actions *actions, struct weft_error *err);
bool of_text_parse_fin_timeout(
	struct of_span text, struct of_actions *actions, struct weft_error *err);
void of_text_format_learn(
	const struct of_action_learn *learn, const struct of_text_names *names, struct strbuf *out);
void of_text_format_fin_timeout(const struct of_action_fin_timeout *a, struct strbuf *out);

/* SPDX-License-Identifier: Apache-2.0
 *
 * Pieces of text, shared by the parsers of field values, matches and datapath actions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/field.h"

/* Text that need not end with NUL. */
struct span {
	const char *text;
	size_t len;
};

/* Whether it is @word, in any case. */
bool span_is(struct span s, const char *word);
/* What stands before the first @c; @rest is what stands behind it (text NULL: there is no @c). */
struct span span_before(struct span s, char c, struct span *rest);
/* The whole span as a number, decimal without leading zeroes or 0x. */
bool span_number(struct span s, uint64_t *n);
/* -1: none. */
int span_hex_digit(char c);

/* A span fit to be shown in an error: cut, and without unprintable characters. */
struct span_quoted {
	char text[64];
};
const char *span_quote(struct span s, struct span_quoted *buf);

/* field_parse_value(), told more. */
struct field_text {
	const struct field *f;
	struct span name; /* by which the user called the field: for errors */
	bool any_mask;    /* take masks also for fields that OpenFlow lets nobody mask */
};
bool field_parse_span(const struct field_text *how, struct span text, union field_value *value,
	union field_value *mask, struct weft_error *err);

/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenFlow actions: what of_action*.c, contexts and texts share.
 */
#pragma once

#include "ofproto/of_action.h"

enum of_action_shape {
	OF_SHAPE_FIXED,
	OF_SHAPE_BYTES, /* struct of_action_controller */
	OF_SHAPE_FIELD, /* struct of_action_set_field */
	OF_SHAPE_LIST,  /* a header and a list */
	OF_SHAPE_LEARN, /* struct of_action_learn */
};

struct of_action_row {
	const char *name;
	enum of_action_shape shape;
	size_t size;
};

extern const struct of_action_row of_action_rows[OF_ACTION_N];

/* Whether untrusted bytes (8-aligned) have the shape of a list. What it means is not checked. */
bool of_actions_is_list(const void *data, size_t size, unsigned depth);

/* Makes room for @size more bytes. */
void of_actions_reserve(struct of_actions *list, size_t size);

/* An action of @size bytes, zeroed but for its header. */
void *of_actions_put(struct of_actions *list, enum of_action_type type, size_t size);

/* of_action_learn.c: whether what stands behind a LEARN (whose length is sound) are specs. */
bool of_learn_is_whole(const struct of_action_learn *learn);
/* Whether specs make sense: bits within fields, prerequisites under @match (NULL: not known) and under what the
 * learned rule matches. */
bool of_learn_check(
	const struct of_action_learn *learn, const struct of_match *match, struct weft_error *err);
/* Adds bits to a match, and to a value and mask of their field. */
void of_learn_match(struct of_match *match, const struct of_learn_bits *dst, unsigned n_bits,
	const union field_value *bits);
void of_learn_place(const struct of_learn_bits *dst, unsigned n_bits, const union field_value *bits,
	union field_value *value, union field_value *mask);
/* Copies @n bits between big-endian numbers of @src_bytes and @dst_bytes bytes, counted from the low
 * ends. */
void of_bits_copy(const uint8_t *src, unsigned src_bytes, unsigned src_ofs, uint8_t *dst,
	unsigned dst_bytes, unsigned dst_ofs, unsigned n);

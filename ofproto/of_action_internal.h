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

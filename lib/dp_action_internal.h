/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of datapath actions, shared by lists and text.
 */
#pragma once

#include "lib/dp_action.h"

enum dp_nested {
	DP_NESTED_NO,    /* the struct alone */
	DP_NESTED_ONE,   /* a list behind it */
	DP_NESTED_TWO,   /* two lists (CHECK_LEN) */
	DP_NESTED_OTHER, /* other bytes behind it */
};

struct dp_action_row {
	const char *name;
	uint16_t size;  /* of the fixed part */
	uint8_t nested; /* enum dp_nested */
	bool ends;      /* nothing may follow in its list */
};

extern const struct dp_action_row dp_action_rows[DP_ACTION_N];

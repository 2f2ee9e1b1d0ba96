/* SPDX-License-Identifier: Apache-2.0
 *
 * Random datapath actions.
 */
#pragma once

#include "lib/dp_action.h"

/* Appends a valid list, nested at most @depth levels deeper. */
void random_actions(struct dp_actions *list, unsigned depth);

/* SPDX-License-Identifier: Apache-2.0
 *
 * Mirrors of a switch, as translation sees them.
 */
#pragma once

#include "ofproto/grace.h"
#include "ofproto/of_mirror.h"

struct of_counter;

struct mirror {
	struct of_mirror is; /* what it points to is ours */
	struct of_counter *counter;
};

/* Immutable once published; replaced as a whole. */
struct mirror_set {
	struct grace_item retired;
	uint32_t n;
	struct mirror mirrors[];
};

/* Frees what is left when the switch goes. */
void mirror_set_destroy(struct mirror_set *set);
/* Whether it is the output of a mirror. @set may be NULL. */
bool mirror_set_has_port(const struct mirror_set *set, struct of_port port);
bool mirror_set_has_vlan(const struct mirror_set *set, uint16_t vlan);

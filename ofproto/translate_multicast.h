/* SPDX-License-Identifier: Apache-2.0
 *
 * Translation: who listens to a multicast packet.
 */
#pragma once

#include "ofproto/translate_internal.h"

struct mdb;
struct mdb_group;

struct xlate_listeners {
	const struct mdb *mdb;
	const struct mdb_group *group; /* NULL: routers alone */
	uint16_t vlan;
};

/* False: the packet is flooded as any. Else @l says whom it is for. Puts what the agent is to hear of it; @in: where
 * it came in, NULL: nowhere. */
bool xlate_multicast(
	struct xlate *x, uint16_t vlan, const struct ofport *in, struct xlate_listeners *l);
bool xlate_listens(const struct xlate_listeners *l, const struct ofport *port);

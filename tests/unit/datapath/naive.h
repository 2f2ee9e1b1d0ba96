/* SPDX-License-Identifier: Apache-2.0
 *
 * A naive packet: what the fast path's edits do, done the plain way. Headers are looked for from the
 * first byte on before each edit, fields are written bit by bit, and checksums are summed up anew. A
 * checksum that was wrong is as wrong behind an edit as it was before.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/field.h"

#define NAIVE_CAPACITY 66000u

struct naive {
	uint8_t bytes[NAIVE_CAPACITY];
	size_t len;
	size_t head; /* bytes in which headers are looked for: behind them the packet is in pieces */
	unsigned n_tags; /* that are known; the parser looks for two, more may be pushed */
	int headroom;
	bool is_loose; /* a checksum was wrong: 0 and ~0 are the same to it */
};

/* All results are edit.h's. Begins with a whole frame, and after a recirculation. */
int naive_parse(struct naive *n);

int naive_set(struct naive *n, enum field_id field, const uint8_t *value, const uint8_t *mask);
int naive_push_vlan(struct naive *n, uint16_t tpid, uint16_t tci);
int naive_pop_vlan(struct naive *n);
int naive_push_mpls(struct naive *n, uint16_t type, uint32_t lse);
int naive_pop_mpls(struct naive *n, uint16_t type);
int naive_push_pbb(struct naive *n, uint16_t type);
int naive_pop_pbb(struct naive *n);
int naive_copy_ttl(struct naive *n, bool out);
int naive_dec_ttl(struct naive *n);
int naive_dec_mpls_ttl(struct naive *n);

/* Makes the checksums right. */
void naive_mend(struct naive *n);
/* Where the L4 header and its checksum stand, if the packet has a checksum that can be left to the
 * receiver: TCP or UDP, in one piece. @pseudo: the sum that stands there meanwhile. */
bool naive_partial(const struct naive *n, size_t *l4, size_t *csum, uint16_t *pseudo);

/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables that are full: a million rules would take a test long, so a table only thinks that it has them.
 */
#pragma once

#include "ofproto/ofproto_internal.h"

/* The table counts @n rules more than it has, which may be negative. */
static inline void
full_table_pretend(struct ofproto *p, uint8_t table, long n)
{
	p->tables[table].n_next += (size_t)n;
}

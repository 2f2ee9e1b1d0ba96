/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnel options: which Geneve options are tunnel fields, and where their data stand in block 5.
 *
 * Threads:  the tables thread replaces the table as a whole; workers find it without locks, online in RCU.
 * Lifetime: a table that was replaced is freed after a grace period, at a later replacement.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "lib/dp_protocol.h"

#define TUNNEL_OPTIONS DP_TUN_OPTS_MAX
#define TUNNEL_OPTION_BUCKETS 128u /* a power of two, more than TUNNEL_OPTIONS */
#define TUNNEL_OPTION_NONE 0xffu

struct tunnel_options {
	uint32_t n;
	struct dp_tun_opt list[TUNNEL_OPTIONS];
	uint8_t slots[TUNNEL_OPTIONS];          /* index in the list; or TUNNEL_OPTION_NONE */
	uint8_t buckets[TUNNEL_OPTION_BUCKETS]; /* likewise, by class and type, open addressing */
};

extern _Atomic(struct tunnel_options *) tunnel_options_now; /* NULL: none */

static inline const struct tunnel_options *
tunnel_options_get(void)
{
	return atomic_load_explicit(&tunnel_options_now, memory_order_acquire);
}

static inline uint32_t
tunnel_options_bucket(uint16_t opt_class, uint8_t type)
{
	uint32_t hash = ((uint32_t)opt_class << 8 | type) * 0x9e3779b1u;

	return hash >> 25;
}

/* The option of that class and type, or NULL. @options may be NULL. */
static inline const struct dp_tun_opt *
tunnel_options_find(const struct tunnel_options *options, uint16_t opt_class, uint8_t type)
{
	uint32_t at = tunnel_options_bucket(opt_class, type);

	while (options && options->buckets[at] != TUNNEL_OPTION_NONE) {
		const struct dp_tun_opt *o = &options->list[options->buckets[at]];

		if (o->opt_class == opt_class && o->type == type) {
			return o;
		}
		at = (at + 1) % TUNNEL_OPTION_BUCKETS;
	}
	return NULL;
}

/* The option with that bit in tun_opts_present, or NULL. */
static inline const struct dp_tun_opt *
tunnel_options_slot(const struct tunnel_options *options, unsigned slot)
{
	return options && options->slots[slot] != TUNNEL_OPTION_NONE
		       ? &options->list[options->slots[slot]]
		       : NULL;
}

/* Tables thread. @opts have been checked. -EAGAIN: replaced too often for now. */
int tunnel_options_put(const struct dp_tun_opt *opts, uint32_t n);
/* When no worker is there any more. */
void tunnel_options_uninit(void);

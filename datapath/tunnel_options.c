/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnel options.
 */
#include "datapath/tunnel_options.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/rcu.h"
#include "lib/alloc.h"

#define MAX_RETIRED 16u

_Static_assert(1u << (32 - 25) == TUNNEL_OPTION_BUCKETS, "a hash is a bucket");

_Atomic(struct tunnel_options *) tunnel_options_now;
static struct {
	struct tunnel_options *options;
	uint64_t token;
} retired[MAX_RETIRED];
static unsigned n_retired;

/* Frees what no worker can hold any more; the oldest stand first. */
static void
reclaim(void)
{
	unsigned n = 0;

	while (n < n_retired && rcu_passed(retired[n].token)) {
		free(retired[n++].options);
	}
	n_retired -= n;
	memmove(retired, retired + n, n_retired * sizeof retired[0]);
}

int
tunnel_options_put(const struct dp_tun_opt *opts, uint32_t n)
{
	struct tunnel_options *fresh, *was;

	reclaim();
	if (n_retired == MAX_RETIRED) {
		return -EAGAIN;
	}
	fresh = xcalloc(1, sizeof *fresh);
	fresh->n = n;
	memset(fresh->slots, TUNNEL_OPTION_NONE, sizeof fresh->slots);
	memset(fresh->buckets, TUNNEL_OPTION_NONE, sizeof fresh->buckets);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = tunnel_options_bucket(opts[i].opt_class, opts[i].type);

		while (fresh->buckets[at] != TUNNEL_OPTION_NONE) {
			at = (at + 1) % TUNNEL_OPTION_BUCKETS;
		}
		fresh->buckets[at] = (uint8_t)i;
		fresh->slots[opts[i].slot] = (uint8_t)i;
		fresh->list[i] = opts[i];
	}
	was = atomic_exchange_explicit(&tunnel_options_now, fresh, memory_order_acq_rel);
	if (was) {
		retired[n_retired].options = was;
		retired[n_retired++].token = rcu_start();
	}
	return 0;
}

void
tunnel_options_uninit(void)
{
	while (n_retired) {
		free(retired[--n_retired].options);
	}
	free(atomic_exchange_explicit(&tunnel_options_now, NULL, memory_order_relaxed));
}

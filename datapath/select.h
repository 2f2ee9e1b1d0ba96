/* SPDX-License-Identifier: Apache-2.0
 *
 * Select: which bucket a hash falls to, in proportion to the buckets' weights.
 *
 * What:    a table of entries, each the number of a bucket, made when an object is put; a packet's hash
 *          picks the entry. Each bucket has as many entries as its weight is worth, to the entry.
 * Changes: a table that replaces another keeps all entries that the new weights leave to their buckets
 *          (known by their ids), so that no more hashes move than must. Without a table before it,
 *          each bucket claims entries in an order that its id alone decides.
 * Dead:    the entry of a bucket that is not live is passed over for others that the hash goes on to, so
 *          only packets of dead buckets move. Where nearly all are dead, the live ones are compared
 *          by weighted rendezvous.
 * Why:     comparing all buckets for every packet (rendezvous alone) costs a logarithm a bucket; a
 *          table filled by rendezvous has the least movement, but shares that are off by
 *          several percent where an object has few hundred entries a bucket.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/hash.h"

#define SELECT_MIN_ENTRIES 256u
#define SELECT_MAX_ENTRIES 65536u
#define SELECT_NONE UINT32_MAX

struct select_bucket {
	uint32_t id;
	uint32_t weight;
};

struct select_table {
	uint32_t mask;      /* entries less one; a power of two */
	uint16_t entries[]; /* a bucket's number */
};

/* NULL: no bucket has a weight. @was: the table before (NULL: none), of the buckets @old. @n, @n_old:
 * at most 65535. Freed by free(). */
struct select_table *select_table_create(const struct select_bucket *buckets, uint32_t n,
	const struct select_table *was, const struct select_bucket *old, uint32_t n_old);

/* The bucket that try number @try_ of @hash falls to; try 0 is the one that counts while all live. */
static inline uint32_t
select_table_try(const struct select_table *t, uint64_t hash, unsigned try_)
{
	return t->entries[hash_mix(hash, try_) & t->mask];
}

/* How @hash likes a bucket: of those that may be chosen the one with the greatest is. */
double select_score(const struct select_bucket *bucket, uint64_t hash);

/* SPDX-License-Identifier: Apache-2.0
 *
 * Select tables.
 */
#include "datapath/select.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/compiler.h"

#define FREE UINT16_MAX
#define ENTRIES_A_BUCKET                                                                           \
	64u /* of the one with the least weight, where the table may be that large */
#define MAX_ROUNDS 256u

/* What a bucket is due, while a table is filled. */
struct claim {
	uint32_t id, index; /* of the bucket */
	uint32_t quota;     /* entries in all */
	uint32_t n;         /* entries that it has */
	uint32_t next;      /* of its own order of entries */
	uint32_t first, step;
	uint64_t rest; /* of the division that the quota came from */
};

static int
compare_ids(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static int
compare_rests(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;

	return x->rest != y->rest ? (x->rest < y->rest) - (x->rest > y->rest) : compare_ids(a, b);
}

static struct claim *
find_claim(struct claim *claims, uint32_t n, uint32_t id)
{
	struct claim key = {.id = id};

	return bsearch(&key, claims, n, sizeof claims[0], compare_ids);
}

/* Buckets with a weight. Returns how many; the sum of weights in @sum. */
static uint32_t
make_claims(struct claim *claims, const struct select_bucket *buckets, uint32_t n, uint64_t *sum)
{
	uint32_t n_claims = 0;

	*sum = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (buckets[i].weight) {
			uint64_t order = hash_mix(0, buckets[i].id);

			claims[n_claims++] = (struct claim){.id = buckets[i].id,
				.index = i,
				.first = (uint32_t)order,
				.step = (uint32_t)(order >> 32) | 1};
			*sum += buckets[i].weight;
		}
	}
	return n_claims;
}

static uint32_t
size_for(const struct select_bucket *buckets, uint32_t n, uint64_t sum, uint32_t at_least)
{
	uint64_t least = UINT64_MAX, wanted;
	uint32_t size = SELECT_MIN_ENTRIES;

	for (uint32_t i = 0; i < n; i++) {
		least = buckets[i].weight ? WEFT_MIN(least, (uint64_t)buckets[i].weight) : least;
	}
	wanted = (sum + least - 1) / least * ENTRIES_A_BUCKET;
	while (size < SELECT_MAX_ENTRIES && (size < wanted || size < at_least)) {
		size *= 2;
	}
	return size;
}

/* Divides @size entries by weight: whole parts, then one more for the largest rests; at least one each,
 * where there are as many entries as buckets. Sorts the claims by id. */
static void
set_quotas(struct claim *claims, uint32_t n, const struct select_bucket *buckets, uint64_t sum,
	uint32_t size)
{
	uint32_t left = size, largest = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t share = (uint64_t)buckets[claims[i].index].weight * size;

		claims[i].quota = (uint32_t)(share / sum);
		claims[i].rest = share % sum;
		left -= claims[i].quota;
	}
	qsort(claims, n, sizeof claims[0], compare_rests);
	for (uint32_t i = 0; i < left; i++) {
		claims[i].quota++;
	}
	for (uint32_t i = 1; i < n; i++) {
		largest = claims[i].quota > claims[largest].quota ? i : largest;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (!claims[i].quota && claims[largest].quota > 1) {
			claims[i].quota = 1;
			claims[largest].quota--;
		}
	}
	qsort(claims, n, sizeof claims[0], compare_ids);
}

/* Takes over the entries of the table before, but those that are not their bucket's any more. */
static void
keep_entries(struct select_table *t, struct claim *claims, uint32_t n,
	const struct select_table *was, const struct select_bucket *old, uint32_t n_old)
{
	struct claim **now = xcalloc(n_old + 1, sizeof now[0]);

	for (uint32_t i = 0; i < n_old; i++) {
		now[i] = find_claim(claims, n, old[i].id);
	}
	for (uint32_t i = 0; i <= t->mask; i++) {
		/* In an order without a pattern, lest the entries given up lie side by side. */
		uint32_t at = (i * 0x9e3779b1u) & t->mask;
		struct claim *c = now[was->entries[at & was->mask]];

		if (c && c->n < c->quota) {
			t->entries[at] = (uint16_t)c->index;
			c->n++;
		}
	}
	free(now);
}

/* Gives a bucket the next entry of its own order that is free. There is one. */
static void
claim_entry(struct select_table *t, struct claim *c)
{
	uint32_t at;

	do {
		at = (c->first + c->next++ * c->step) & t->mask;
	} while (t->entries[at] != FREE);
	t->entries[at] = (uint16_t)c->index;
	c->n++;
}

/* In rounds, so that all are served alike while there is much to choose from. */
static void
claim_rest(struct select_table *t, struct claim *claims, uint32_t n)
{
	for (uint32_t round = 1; round <= MAX_ROUNDS; round++) {
		for (uint32_t i = 0; i < n; i++) {
			struct claim *c = &claims[i];
			uint32_t due = (uint32_t)(((uint64_t)c->quota * round + MAX_ROUNDS - 1) /
						  MAX_ROUNDS);

			while (c->n < due) {
				claim_entry(t, c);
			}
		}
	}
}

struct select_table *
select_table_create(const struct select_bucket *buckets, uint32_t n, const struct select_table *was,
	const struct select_bucket *old, uint32_t n_old)
{
	struct claim *claims = xcalloc(n + 1, sizeof claims[0]);
	struct select_table *t;
	uint32_t n_claims, size;
	uint64_t sum;

	n_claims = make_claims(claims, buckets, n, &sum);
	if (!n_claims) {
		free(claims);
		return NULL;
	}
	/* Never smaller than before: that would move hashes without need. */
	size = size_for(buckets, n, sum, was ? was->mask + 1 : 0);
	t = xmalloc(sizeof *t + size * sizeof t->entries[0]);
	t->mask = size - 1;
	memset(t->entries, 0xff, size * sizeof t->entries[0]);
	set_quotas(claims, n_claims, buckets, sum, size);
	if (was) {
		keep_entries(t, claims, n_claims, was, old, n_old);
	}
	claim_rest(t, claims, n_claims);
	free(claims);
	return t;
}

double
select_score(const struct select_bucket *bucket, uint64_t hash)
{
	/* Uniform in (0, 1], and its logarithm over the weight: the greatest is a bucket's as often as
	 * its weight has it (Efraimidis and Spirakis, weighted random sampling, 2006). */
	uint64_t mixed = hash_mix(hash_mix(hash, bucket->id), 0);
	double u = (double)((mixed >> 11) + 1) * 0x1p-53;

	return log(u) / bucket->weight;
}

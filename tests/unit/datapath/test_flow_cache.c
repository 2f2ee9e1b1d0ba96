/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow cache: what it finds, and whose entries give way.
 */
#include "tests/unit/datapath/lab.h"

#include <stdlib.h>
#include <string.h>

#include "datapath/flow_cache.h"
#include "lib/alloc.h"

#define N_BUCKETS 64u
#define N_FLOWS 4096u

static struct flow_cache cache;
static struct table_mask *mask;

/* Flow I is of input port I % 16 and wants I as its key's first word. */
static int
begin(void **state)
{
	(void)state;
	mask = xcalloc(1, sizeof *mask + FLOW_BLOCK_SIZE);
	mask->blocks = FLOW_BLOCK(0);
	mask->words[0] = UINT64_MAX;
	cache.flows = xaligned(128, N_FLOWS * sizeof *cache.flows);
	memset(cache.flows, 0, N_FLOWS * sizeof *cache.flows);
	cache.buckets = xaligned(64, N_BUCKETS * sizeof *cache.buckets);
	memset(cache.buckets, 0xff, N_BUCKETS * sizeof *cache.buckets);
	cache.mask = N_BUCKETS - 1;
	for (uint32_t i = 0; i < N_FLOWS; i++) {
		struct flow *f = &cache.flows[i];

		f->live = 1;
		f->slot = i;
		f->mask = mask;
		f->in_port = i % 16;
		f->nonzero_blocks = FLOW_BLOCK(0);
		f->key[0] = i + 1;
	}
	return 0;
}

static int
end(void **state)
{
	(void)state;
	free(cache.flows);
	free(cache.buckets);
	free(mask);
	return 0;
}

static struct flow *
find(uint32_t hash, uint32_t i)
{
	struct flow_key key;

	memset(&key, 0, sizeof key);
	key.words[0] = i + 1;
	return flow_cache_find(&cache, hash, &key, FLOW_BLOCK(0));
}

/* All eight ways are found, and no other key's flow by the same signature. */
static void
test_flow_cache_finds_every_way(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < FLOW_CACHE_WAYS; i++) {
		flow_cache_insert(&cache, i << 16 | 5, i);
	}
	for (uint32_t i = 0; i < FLOW_CACHE_WAYS; i++) {
		assert_ptr_equal(find(i << 16 | 5, i), &cache.flows[i]);
		assert_int_equal(flow_cache_guess(&cache, i << 16 | 5), i);
		assert_null(find(i << 16 | 5, i + 1));
		assert_null(find(i << 16 | 6, i));
	}
	assert_int_equal(flow_cache_guess(&cache, 99 << 16 | 5), FLOW_SLOT_NONE);
	/* A dead flow is not found, and its way is the next to be taken. */
	cache.flows[3].live = 0;
	assert_null(find(3 << 16 | 5, 3));
	flow_cache_insert(&cache, 77 << 16 | 5, 77);
	for (uint32_t i = 0; i < FLOW_CACHE_WAYS; i++) {
		assert_int_equal(find(i << 16 | 5, i) != NULL, i != 3);
	}
	assert_ptr_equal(find(77 << 16 | 5, 77), &cache.flows[77]);
}

/* Two flows of one signature in one bucket are told apart. */
static void
test_flow_cache_tells_signatures_apart(void **state)
{
	(void)state;
	flow_cache_insert(&cache, 7 << 16 | 9, 1);
	flow_cache_insert(&cache, 7 << 16 | 9, 2);
	flow_cache_insert(&cache, 7 << 16 | 9, 1);
	assert_ptr_equal(find(7 << 16 | 9, 1), &cache.flows[1]);
	assert_ptr_equal(find(7 << 16 | 9, 2), &cache.flows[2]);
	assert_int_equal(cache.buckets[9].slots[2], FLOW_SLOT_NONE);
}

/* A port that is flooded takes what is free and its own, and never more than its share from others. */
static void
test_flow_cache_flood_spares_other_ports(void **state)
{
	(void)state;
	for (uint32_t bucket = 0; bucket < N_BUCKETS; bucket++) {
		for (uint32_t i = 0; i < 4; i++) {
			flow_cache_insert(
				&cache, (1000 + i) << 16 | bucket, 16 * i + 2); /* port 2 */
		}
	}
	for (uint32_t i = 0; i < 100 * N_FLOWS; i++) {
		flow_cache_insert(
			&cache, i * 2654435761u, i % (N_FLOWS / 16) * 16 + 7); /* port 7 */
	}
	for (uint32_t bucket = 0; bucket < N_BUCKETS; bucket++) {
		unsigned n = 0;

		for (uint32_t i = 0; i < 4; i++) {
			assert_non_null(find((1000 + i) << 16 | bucket, 16 * i + 2));
		}
		for (uint32_t i = 0; i < FLOW_CACHE_WAYS; i++) {
			n += cache.flows[cache.buckets[bucket].slots[i]].in_port == 7;
		}
		assert_int_equal(n, 4);
		/* A third port gets in at the expense of one that has most. */
		flow_cache_insert(&cache, 2000 << 16 | bucket, 3);
		assert_ptr_equal(find(2000 << 16 | bucket, 3), &cache.flows[3]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_flow_cache_finds_every_way, begin, end),
		cmocka_unit_test_setup_teardown(test_flow_cache_tells_signatures_apart, begin, end),
		cmocka_unit_test_setup_teardown(
			test_flow_cache_flood_spares_other_ports, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow table with readers beside the writer, also under the thread sanitizer. DPDK's RCU is inlined, and
 * so instrumented; of its libraries only the memory allocator is used here.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datapath/flow_cache.h"
#include "datapath/key_hash.h"
#include "datapath/rcu.h"
#include "lib/compiler.h"
#include "lib/dp_protocol.h"
#include "lib/field.h"
#include "tests/unit/datapath/lab.h"

#define N_READERS 2u
#define MAX_FLOWS 600u
#define N_KEYS 500u
#define ROUNDS 40000u
#define PORT 7u

static struct flow_table *table;
static struct stats_region stats;
static _Atomic bool stop;
static _Atomic uint64_t n_hits, n_misses, n_wrong;

static void
make_key(struct flow_key *key, uint32_t n)
{
	memset(key, 0, sizeof *key);
	key->in_port = be32_from(PORT);
	key->ip_dst = be32_from(n);
	key->ipv6_dst[0] = (uint8_t)n;
}

/* Even keys by a mask of one block, odd ones by two. */
static void
make_mask(struct flow_mask *mask, uint32_t n)
{
	memset(mask, 0, sizeof *mask);
	field_mask_exact(field_get(FIELD_IN_PORT), mask);
	field_mask_exact(field_get(FIELD_RECIRC_ID), mask);
	field_mask_exact(field_get(FIELD_IPV4_DST), mask);
	if (n & 1) {
		field_mask_exact(field_get(FIELD_IPV6_DST), mask);
	}
}

/* As a worker: live mask, cache, table; the flow found must be this key's and stay so until quiescent. */
static void
look(struct flow_cache *cache, unsigned reader, uint32_t n) WEFT_NO_ANALYSIS
{
	const struct live_mask *old, *live = flow_table_live_mask(table, PORT, n, &old);
	uint8_t present = FLOW_BLOCK(0) | FLOW_BLOCK(1);
	struct action_program *program;
	struct flow_key key;
	struct flow *f;
	uint32_t hash;

	make_key(&key, n);
	if (!live) {
		n_misses++;
		return;
	}
	hash = key_hash_live(&key, present, live->blocks, &live->mask);
	f = flow_cache_find(cache, hash, &key, present);
	if (!f) {
		f = flow_table_find(table, PORT, &key, present);
		if (!f) {
			n_misses++;
			return;
		}
		flow_cache_insert(cache, hash, f->slot);
	}
	n_hits++;
	program = atomic_load_explicit(&f->program, memory_order_acquire);
	if (program->single_port % N_KEYS != n || f->in_port != PORT ||
		!flow_matches(f, &key, present)) {
		n_wrong++;
	}
	stats_record_credit(stats_region_record(&stats, reader, f->slot), 1, 64, 1, 0);
}

static void *
read_flows(void *arg)
{
	unsigned reader = (unsigned)(uintptr_t)arg;
	struct flow_cache cache = {.mask = 63, .flows = flow_table_slots(table)};
	uint64_t random = reader + 1;

	if (posix_memalign((void **)&cache.buckets, 64, 64 * sizeof cache.buckets[0])) {
		abort();
	}
	memset(cache.buckets, 0xff, 64 * sizeof cache.buckets[0]);
	rcu_register(reader);
	rcu_online(reader);
	while (!stop) {
		for (unsigned i = 0; i < 32; i++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			look(&cache, reader, (uint32_t)(random >> 33) % N_KEYS);
		}
		rcu_quiescent(reader);
		if (random >> 60 == 0) {
			rcu_offline(reader);
			sched_yield();
			rcu_online(reader);
		}
	}
	rcu_offline(reader);
	rcu_unregister(reader);
	free(cache.buckets);
	return NULL;
}

static uint64_t n_told, packets_told;

static void
deleted(struct dp_handle flow, const struct flow_stats *final, uint64_t user, void *arg)
{
	(void)flow;
	(void)user;
	(void)arg;
	n_told++;
	packets_told += final->packets;
}

static void
test_flow_table_readers_beside_the_writer(void **state) WEFT_NO_ANALYSIS
{
	static struct dp_handle flows[N_KEYS];
	pthread_t threads[N_READERS];
	uint64_t n_deleted = 0;
	struct flow_stats sum;
	int fd;

	(void)state;
	lab_seed("threads");
	assert_int_equal(stats_region_create(&stats, 1, N_READERS, MAX_FLOWS, &fd), 0);
	close(fd);
	assert_int_equal(rcu_init(), 0);
	table = flow_table_create(MAX_FLOWS, &stats);
	for (unsigned i = 0; i < N_READERS; i++) {
		assert_int_equal(
			pthread_create(&threads[i], NULL, read_flows, (void *)(uintptr_t)i), 0);
	}
	for (uint32_t round = 0; round < ROUNDS; round++) {
		/* Waves: many flows, then few, so that hash tables, masks and live masks come and go. */
		uint32_t n = lab_below(round / 4000 % 2 ? 20 : N_KEYS);
		struct dp_action_output out = {
			.hdr = {DP_ACTION_OUTPUT, 0, sizeof out}, .port = n + N_KEYS * (round % 8)};
		struct flow_put_result result;
		struct flow_key key;
		struct flow_mask mask;
		struct flow_put put = {.key = &key,
			.key_blocks = FLOW_BLOCK(0) | FLOW_BLOCK(1),
			.mask = &mask,
			.actions = &out,
			.actions_size = sizeof out,
			.now_ms = round * 10};

		make_key(&key, n);
		make_mask(&mask, n);
		if (lab_below(round / 4000 % 2 ? 2 : 3)) {
			if (!flow_table_put(table, &put, &result)) {
				flows[n] = result.flow;
			}
		} else if (round / 4000 % 2 && lab_below(50) == 0) {
			flow_table_flush_port(table, PORT);
			memset(flows, 0, sizeof flows);
		} else if (flows[n].gen) {
			assert_int_equal(flow_table_del(table, flows[n], n), 0);
			flows[n].gen = 0;
			n_deleted++;
		}
		flow_table_run(table, round * 10, deleted, NULL);
		/* Also on a busy machine the readers have their turns. */
		for (uint64_t was = n_hits + n_misses;
			round % 500 == 0 && n_hits + n_misses < was + 500;) {
			sched_yield();
		}
	}
	stop = true;
	for (unsigned i = 0; i < N_READERS; i++) {
		pthread_join(threads[i], NULL);
	}
	while (flow_table_run(table, 0, deleted, NULL)) {
	}
	assert_int_equal(n_wrong, 0);
	assert_int_equal(n_told, n_deleted);
	assert_true(n_hits > 1000 && n_misses > 1000);
	/* Silently flushed flows took theirs along; nothing is counted twice. */
	for (unsigned i = 0; i < N_KEYS; i++) {
		if (flows[i].gen) {
			stats_region_read(&stats, flows[i].slot, flows[i].gen, &sum);
			packets_told += sum.packets;
		}
	}
	assert_true(packets_told <= n_hits);
	flow_table_destroy(table);
	stats_region_destroy(&stats);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flow_table_readers_beside_the_writer),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}

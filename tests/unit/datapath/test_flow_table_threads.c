/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow table with readers beside the writer, also under the thread sanitizer, with delays where they hurt.
 * DPDK's RCU is inlined, and so instrumented; of its libraries only the memory allocator is used here.
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
#include "tests/unit/race_delay.h"

#define N_READERS 2u
#define MAX_FLOWS 600u
#define N_KEYS 500u
#define N_MASKS 24u /* more than have a hash table of their own */
#define ROUNDS 20000u
#define ROUND_MS 200u /* live masks shrink after some rounds */
#define PORT 7u

static struct flow_table *table;
static struct stats_region stats;
static _Atomic bool stop;
static _Atomic uint64_t now_ms;
static _Atomic uint64_t n_hits, n_misses, n_wrong, n_listed;

static void
make_key(struct flow_key *key, uint32_t n)
{
	memset(key, 0, sizeof *key);
	key->in_port = be32_from(PORT);
	key->ip_src = be32_from(~n);
	key->ip_dst = be32_from(n);
	key->ipv6_dst[0] = (uint8_t)n;
}

/* Even keys by a mask of one block, odd ones by two; each mask lacks a bit that all others have, so that none
 * covers another. The first two masks have most of the keys. */
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
	mask->bits.ip_src = be32_from(~(1u << (n < N_KEYS / 2 ? n % 2 : n % N_MASKS)));
}

/* As a worker: live mask, cache, table; the flow found must be this key's and stay so until quiescent. */
static void
look(struct flow_cache *cache, unsigned reader, uint32_t n) WEFT_NO_ANALYSIS
{
	const struct live_mask *old, *live = flow_table_live_mask(table, PORT, now_ms, &old);
	uint8_t present = FLOW_BLOCK(0) | FLOW_BLOCK(1);
	struct action_program *program;
	struct flow_key key;
	struct flow *f;
	uint32_t hash, single_port;

	make_key(&key, n);
	if (!live) {
		n_misses++;
		return;
	}
	hash = key_hash_live(&key, present, live->blocks, &live->mask);
	f = flow_cache_find(cache, hash, &key, present);
	if (!f && old) {
		f = flow_cache_find(cache, key_hash_live(&key, present, old->blocks, &old->mask),
			&key, present);
	}
	if (!f) {
		f = flow_table_find(table, PORT, &key, present);
		if (!f) {
			n_misses++;
			return;
		}
		flow_cache_insert(cache, hash, f->slot);
	}
	n_hits++;
	single_port = atomic_load_explicit(&f->single_port, memory_order_relaxed);
	program = atomic_load_explicit(&f->program, memory_order_acquire);
	RACE_POINT();
	if (program->single_port % N_KEYS != n || f->in_port != PORT ||
		(single_port != UINT32_MAX && single_port % N_KEYS != n) ||
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

/* As the ports thread: all flows, each whole; counters. */
static void *
list_flows(void *arg)
{
	struct flow_table_counters counters;
	struct flow_info info;
	struct flow_mask mask, live;
	uint32_t n, n_masks, n_flows;

	(void)arg;
	rcu_register(RCU_READER_PORTS);
	while (!stop) {
		rcu_online(RCU_READER_PORTS);
		for (uint32_t slot = 0; flow_table_list(table, slot, &info, &slot); n_listed++) {
			RACE_POINT();
			n = be32_to(info.key.ip_dst);
			make_mask(&mask, n);
			if (n >= N_KEYS || info.program->single_port % N_KEYS != n ||
				info.in_port != PORT || !info.flow.gen ||
				!flow_mask_equal(&info.mask, &mask)) {
				n_wrong++;
			}
			rcu_quiescent(RCU_READER_PORTS);
		}
		flow_table_read_counters(table, &counters);
		if (counters.n_flows > MAX_FLOWS || counters.n_masks > N_MASKS) {
			n_wrong++;
		}
		if (flow_table_port_info(table, PORT, &n_masks, &n_flows, &live) &&
			(n_masks > N_MASKS || n_flows > N_KEYS)) {
			n_wrong++;
		}
		rcu_offline(RCU_READER_PORTS);
		sched_yield();
	}
	rcu_unregister(RCU_READER_PORTS);
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

static struct dp_handle flows[N_KEYS];

static void
put_flow(uint32_t n, uint32_t round) WEFT_NO_ANALYSIS
{
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
		.now_ms = (uint64_t)round * ROUND_MS};

	make_key(&key, n);
	make_mask(&mask, n);
	if (!flow_table_put(table, &put, &result)) {
		flows[n] = result.flow;
	}
}

static void
flush(void) WEFT_NO_ANALYSIS
{
	flow_table_flush_port(table, PORT);
	memset(flows, 0, sizeof flows);
}

/* Hash tables double, and are made coarser, as often as readers let them. */
static void
fill(uint32_t round) WEFT_NO_ANALYSIS
{
	for (uint32_t first = 0; first < N_MASKS; first++) {
		for (uint32_t n = first; n < N_KEYS; n += N_MASKS) {
			put_flow(n, round);
		}
	}
}

static void
test_flow_table_readers_beside_the_writer(void **state) WEFT_NO_ANALYSIS
{
	pthread_t threads[N_READERS], lister;
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
	assert_int_equal(pthread_create(&lister, NULL, list_flows, NULL), 0);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		/* Waves: many flows, then few, so that hash tables, masks and live masks come and go. */
		uint32_t n = lab_below(round / 4000 % 2 ? 20 : N_KEYS);

		now_ms = (uint64_t)round * ROUND_MS;
		if (round % 200 == 0) {
			flush();
		} else if (round % 200 == 1) {
			fill(round);
		} else if (lab_below(round / 4000 % 2 ? 2 : 3)) {
			put_flow(n, round);
		} else if (round / 4000 % 2 && lab_below(50) == 0) {
			flush();
		} else if (flows[n].gen) {
			assert_int_equal(flow_table_del(table, flows[n], n), 0);
			flows[n].gen = 0;
			n_deleted++;
		}
		flow_table_run(table, now_ms, deleted, NULL);
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
	pthread_join(lister, NULL);
	while (flow_table_run(table, 0, deleted, NULL)) {
	}
	assert_int_equal(n_wrong, 0);
	assert_int_equal(n_told, n_deleted);
	assert_true(n_hits > 1000 && n_misses > 1000 && n_listed > 1000);
	assert_true(!HAS_RACE_POINTS || n_race_delays > 1000);
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

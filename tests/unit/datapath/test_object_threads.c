/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects replaced and deleted under readers, also under the thread sanitizer (see
 * test_flow_table_threads.c for what of DPDK is used).
 */
#include <pthread.h>
#include <rte_cycles.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datapath/meter.h"
#include "datapath/object.h"
#include "datapath/rcu.h"
#include "lib/compiler.h"
#include "tests/unit/datapath/lab.h"
#include "tests/unit/race_delay.h"

#define N_READERS 2u
#define N_OBJECTS 24u
#define MAX_PARTS 12u
#define ROUNDS 12000u
#define MOST_ROUNDS 100 * ROUNDS

static struct stats_region stats;
static _Atomic uint64_t published[N_OBJECTS]; /* slot and generation; 0: none */
static _Atomic uint64_t credited[N_OBJECTS];  /* to the part with id 1 of the one that is there */
static _Atomic bool stop;
static _Atomic uint64_t n_used, n_gone, n_wrong;

/* A body of one version: all buckets have its number as weight, their ids go up from 1. */
static void
use_buckets(const struct object_body *body, unsigned reader, uint32_t object, uint32_t hash)
{
	unsigned looks = OBJECT_MAX_LOOKS;
	const struct dp_bucket *b;
	uint32_t part;

	b = object_choose(body, hash, &part, &looks);
	if (!b || b != body->buckets[part] || b->id != part + 1 ||
		b->weight != body->buckets[0]->weight || b->watch_port != UINT32_MAX ||
		body->n_parts != b->weight % MAX_PARTS + 1) {
		n_wrong++;
		return;
	}
	stats_record_credit(
		stats_region_record(&stats, reader, body->parts[part].slot), 1, 64, 1, 0);
	credited[object] += part == 0;
}

static void
use_meter(const struct object_body *body, unsigned reader, uint32_t object)
{
	const struct meter_band *band = meter_charge(body->meter, 64, rte_rdtsc());

	if (!band || band->kind != DP_BAND_DROP || band->rate != 0 ||
		band->index + 1 != body->n_parts - 1) {
		n_wrong++;
		return;
	}
	stats_record_credit(stats_region_record(&stats, reader, body->parts[0].slot), 1, 64, 1, 0);
	credited[object]++;
}

static void *
read_objects(void *arg)
{
	unsigned reader = (unsigned)(uintptr_t)arg;
	uint64_t random = reader + 1;

	rcu_register(reader);
	rcu_online(reader);
	while (!stop) {
		for (unsigned i = 0; i < 16; i++) {
			uint32_t object = (uint32_t)(random >> 40) % N_OBJECTS;
			uint64_t handle = published[object];
			const struct object_body *body = object_find(
				(struct dp_handle){(uint32_t)(handle >> 32), (uint32_t)handle});

			random = random * 6364136223846793005u + 1442695040888963407u;
			if (!body) {
				n_gone++;
				continue;
			}
			n_used++;
			if (random >> 59 == 0) {
				sched_yield(); /* with the body in hand */
			}
			if (body->kind == DP_OBJECT_METER) {
				use_meter(body, reader, object);
			} else {
				use_buckets(body, reader, object, (uint32_t)(random >> 32));
			}
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
	return NULL;
}

/* Puts version @v over @handle, or anew. */
static void
put(uint32_t kind, uint32_t v, struct dp_handle *handle) WEFT_NO_ANALYSIS
{
	struct dp_bucket buckets[MAX_PARTS] = {{0}};
	struct {
		struct dp_meter meter;
		struct dp_meter_band bands[3];
	} meter = {.meter.id = 1};
	struct dp_object_put cmd = {.object = *handle, .kind = kind};
	struct dp_message m = {.type = DP_OBJECT_PUT, .body = &cmd};
	const struct dp_handle *parts;

	if (kind == DP_OBJECT_METER) {
		/* The one that acts is the last put. */
		m.n_parts = 2 + v % 3;
		for (uint32_t i = 0; i < m.n_parts - 1; i++) {
			meter.bands[i] = (struct dp_meter_band){
				.id = i + 2, .kind = DP_BAND_DSCP_REMARK, .rate = UINT32_MAX};
		}
		meter.bands[m.n_parts - 2].kind = DP_BAND_DROP;
		meter.bands[m.n_parts - 2].rate = 0;
		m.data = (const void *)&meter;
		m.data_len = sizeof meter.meter + (m.n_parts - 1) * sizeof meter.bands[0];
	} else {
		m.n_parts = v % MAX_PARTS + 1;
		for (uint32_t i = 0; i < m.n_parts; i++) {
			buckets[i].size = sizeof buckets[i];
			buckets[i].id = i + 1;
			buckets[i].weight = v;
			buckets[i].watch_port = UINT32_MAX;
		}
		m.data = (const void *)buckets;
		m.data_len = m.n_parts * sizeof buckets[0];
	}
	assert_int_equal(objects_put(&m, handle, &parts), 0);
	for (uint32_t i = 0; i < m.n_parts; i++) {
		assert_int_not_equal(parts[i].gen, 0);
	}
}

static uint64_t n_told;

/* No reader credits the object any more: sums are exact. @user: which one. */
static bool
deleted(struct dp_handle object, const struct flow_stats *finals, uint32_t n, uint64_t user,
	void *arg)
{
	(void)object;
	(void)arg;
	assert_true(n > 0);
	if (lab_below(4) == 0) {
		return false; /* later */
	}
	assert_int_equal(finals[0].packets, credited[user]);
	credited[user] = 0;
	published[user] = 0;
	n_told++;
	return true;
}

static bool
seen_enough(void)
{
	return n_told > 100 && n_used > 1000 && n_gone > 100;
}

static void
test_objects_readers_beside_the_writer(void **state) WEFT_NO_ANALYSIS
{
	static struct dp_handle objects[N_OBJECTS];
	static bool is_there[N_OBJECTS];
	pthread_t threads[N_READERS];
	uint64_t n_deleted = 0;
	int fd;

	(void)state;
	lab_seed("object threads");
	assert_int_equal(stats_region_create(&stats, 1, N_READERS, OBJECT_PARTS_MAX, &fd), 0);
	close(fd);
	assert_int_equal(rcu_init(), 0);
	assert_int_equal(objects_init(&stats, 0), 0);
	for (unsigned i = 0; i < N_READERS; i++) {
		assert_int_equal(
			pthread_create(&threads[i], NULL, read_objects, (void *)(uintptr_t)i), 0);
	}
	/* Until all has been seen often enough, however the processors are shared out; MOST_ROUNDS is for a reader
	 * that never finds anything. */
	for (uint32_t round = 1; round < ROUNDS || (!seen_enough() && round < MOST_ROUNDS);
		round++) {
		uint32_t i = lab_below(N_OBJECTS);
		uint32_t kind = i % 3 == 0   ? DP_OBJECT_METER
				: i % 3 == 1 ? DP_OBJECT_SELECT
					     : DP_OBJECT_FIRST_LIVE;

		if (is_there[i] && lab_below(3) == 0) {
			assert_int_equal(objects_del(objects[i], i), 0);
			is_there[i] = false;
			n_deleted++;
		} else if (is_there[i]) {
			put(kind, round, &objects[i]);
		} else if (!published[i]) {
			objects[i] = (struct dp_handle){0, 0};
			put(kind, round, &objects[i]);
			is_there[i] = true;
			published[i] = (uint64_t)objects[i].slot << 32 | objects[i].gen;
		}
		objects_run(deleted, NULL);
		for (uint64_t was = n_used + n_gone;
			round % 100 == 0 && n_used + n_gone < was + 200;) {
			sched_yield();
		}
	}
	for (uint32_t i = 0; i < N_OBJECTS; i++) {
		if (is_there[i]) {
			assert_int_equal(objects_del(objects[i], i), 0);
			n_deleted++;
		}
	}
	while (objects_run(deleted, NULL)) {
		sched_yield();
	}
	stop = true;
	for (unsigned i = 0; i < N_READERS; i++) {
		pthread_join(threads[i], NULL);
	}
	assert_int_equal(n_wrong, 0);
	assert_int_equal(n_told, n_deleted);
	assert_true(seen_enough());
	assert_true(!HAS_RACE_POINTS || n_race_delays > 100);
	assert_int_equal(objects_count(), 0);
	objects_uninit();
	stats_region_destroy(&stats);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_objects_readers_beside_the_writer),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}

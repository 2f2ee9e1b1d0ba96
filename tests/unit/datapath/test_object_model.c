/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects against a naive model: random objects, references, watches and links; who may be deleted, what is
 * live, which bucket packets take and when they may change to another.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datapath/object.h"
#include "datapath/port.h"
#include "datapath/rcu.h"
#include "lib/alloc.h"
#include "lib/compiler.h"
#include "tests/unit/datapath/lab.h"

#define N_OBJECTS 9u /* watches go no deeper than is looked */
#define MAX_BUCKETS 6u
#define N_PORTS 5u
#define N_HASHES 24u
#define ROUNDS 6000u
#define NOBODY UINT32_MAX

/* What the model knows of a bucket: objects by their number, NOBODY: none. */
struct bucket {
	uint32_t id, weight, watch_port, watch, ref;
};

struct object_model {
	bool exists;
	uint32_t kind;
	struct dp_handle handle;
	uint32_t n;
	struct bucket buckets[MAX_BUCKETS];
	/* As of the last look. */
	bool seen;
	uint32_t chosen[N_HASHES]; /* ids, NOBODY: none */
	bool was_live[MAX_BUCKETS];
};

static struct object_model objects[N_OBJECTS];
static struct port ports[N_PORTS];
static uint32_t next_id;

/* --- the model ------------------------------------------------------------------------------------------- */

static bool object_live(uint32_t o);

static bool
port_live(uint32_t number)
{
	return number < N_PORTS && port_table[number] && ports[number].link_up &&
	       ports[number].admin_up;
}

static bool
bucket_live(const struct bucket *b)
{
	if (b->watch_port == NOBODY && b->watch == NOBODY) {
		return true;
	}
	return port_live(b->watch_port) || (b->watch != NOBODY && object_live(b->watch));
}

static bool
object_live(uint32_t o)
{
	for (uint32_t i = 0; i < objects[o].n; i++) {
		if (bucket_live(&objects[o].buckets[i])) {
			return true;
		}
	}
	return false;
}

static bool
reaches(const struct object_model *from, uint32_t to)
{
	for (uint32_t i = 0; i < from->n; i++) {
		const uint32_t next[] = {from->buckets[i].watch, from->buckets[i].ref};

		for (unsigned k = 0; k < 2; k++) {
			if (next[k] != NOBODY &&
				(next[k] == to || reaches(&objects[next[k]], to))) {
				return true;
			}
		}
	}
	return false;
}

static uint32_t
refs(uint32_t to)
{
	uint32_t n = 0;

	for (uint32_t o = 0; o < N_OBJECTS; o++) {
		for (uint32_t i = 0; objects[o].exists && i < objects[o].n; i++) {
			n += objects[o].buckets[i].watch == to;
			n += objects[o].buckets[i].ref == to;
		}
	}
	return n;
}

/* --- changes ----------------------------------------------------------------------------------------------- */

static uint32_t
random_object(void)
{
	uint32_t o = lab_below(N_OBJECTS);

	return lab_below(3) || !objects[o].exists ? NOBODY : o;
}

static void
random_bucket(struct bucket *b)
{
	*b = (struct bucket){
		.id = next_id++,
		.weight = lab_below(4),
		.watch_port = lab_below(2) ? NOBODY : lab_below(N_PORTS + 1),
		.watch = random_object(),
		.ref = random_object(),
	};
}

static int
put(const struct object_model *want, struct dp_handle *handle) WEFT_NO_ANALYSIS
{
	struct dp_object_put cmd = {.object = *handle, .kind = want->kind};
	struct dp_message m = {.type = DP_OBJECT_PUT, .body = &cmd, .n_parts = want->n};
	const struct dp_handle *parts;
	struct dp_actions body;
	int rc;

	dp_actions_init(&body);
	for (uint32_t i = 0; i < want->n; i++) {
		const struct bucket *b = &want->buckets[i];
		struct dp_bucket head = {
			.size = sizeof head,
			.id = b->id,
			.weight = b->weight,
			.watch_port = b->watch_port,
		};
		struct dp_actions list;

		dp_actions_init(&list);
		if (b->watch != NOBODY) {
			head.watch_object = objects[b->watch].handle;
		}
		if (b->ref != NOBODY) {
			size_t at = dp_actions_begin(&list, DP_ACTION_CLONE, 0);

			dp_actions_put_object(&list,
				objects[b->ref].kind == DP_OBJECT_SELECT ? DP_ACTION_SELECT
									 : DP_ACTION_FIRST_LIVE,
				objects[b->ref].handle);
			dp_actions_end(&list, at);
		}
		head.size += (uint32_t)list.size;
		dp_actions_append(&body, &head, sizeof head);
		dp_actions_append(&body, list.data, list.size);
		dp_actions_uninit(&list);
	}
	m.data = body.data;
	m.data_len = body.size;
	rc = objects_put(&m, handle, &parts);
	dp_actions_uninit(&body);
	return rc;
}

/* A new object, or one with buckets added, removed, changed, or moved about. */
static void
change_object(uint32_t o)
{
	struct object_model want = objects[o];
	struct dp_handle handle = want.exists ? want.handle : (struct dp_handle){0, 0};
	bool same_buckets = false;

	if (!want.exists) {
		want = (struct object_model){.exists = true,
			.kind = lab_below(2) ? DP_OBJECT_SELECT : DP_OBJECT_FIRST_LIVE};
		for (uint32_t n = lab_below(MAX_BUCKETS + 1); want.n < n; want.n++) {
			random_bucket(&want.buckets[want.n]);
		}
	} else if (want.n > 1 && lab_below(3) == 0) {
		struct bucket first = want.buckets[0];
		bool live = want.was_live[0];

		/* The order alone: a select must not mind. */
		memmove(want.buckets, want.buckets + 1, (want.n - 1) * sizeof first);
		memmove(want.was_live, want.was_live + 1, (want.n - 1) * sizeof live);
		want.buckets[want.n - 1] = first;
		want.was_live[want.n - 1] = live;
		same_buckets = want.kind == DP_OBJECT_SELECT;
	} else if (want.n && lab_below(3) == 0) {
		memmove(want.buckets, want.buckets + 1, (--want.n) * sizeof want.buckets[0]);
	} else if (want.n < MAX_BUCKETS) {
		random_bucket(&want.buckets[want.n++]);
	}
	want.seen &= same_buckets;
	if (objects[o].exists && reaches(&want, o)) {
		assert_int_equal(put(&want, &handle), -ELOOP);
		return;
	}
	assert_int_equal(put(&want, &handle), 0);
	want.handle = handle;
	objects[o] = want;
}

static bool
deleted(struct dp_handle object, const struct flow_stats *finals, uint32_t n, uint64_t user,
	void *arg)
{
	(void)object;
	(void)finals;
	(void)user;
	*(uint32_t *)arg += n;
	return true;
}

static void
delete_object(uint32_t o) WEFT_NO_ANALYSIS
{
	uint32_t n_parts = 0;

	if (!objects[o].exists) {
		assert_int_equal(objects_del(objects[o].handle, 0), -ESTALE);
	} else if (refs(o)) {
		assert_int_equal(objects_del(objects[o].handle, 0), -EBUSY);
	} else {
		assert_int_equal(objects_del(objects[o].handle, 0), 0);
		while (objects_run(deleted, &n_parts)) {
			/* Nobody reads beside us: at once. */
		}
		assert_int_equal(n_parts, objects[o].n);
		objects[o].exists = false;
	}
}

static void
change_port(uint32_t number)
{
	switch (lab_below(3)) {
	case 0:
		ports[number].link_up = lab_below(2);
		break;
	case 1:
		ports[number].admin_up = lab_below(4) > 0;
		break;
	default:
		port_table[number] = lab_below(4) ? &ports[number] : NULL;
		break;
	}
}

/* --- looks ------------------------------------------------------------------------------------------------- */

static uint32_t
index_of(const struct object_model *m, uint32_t id)
{
	for (uint32_t i = 0; i < m->n; i++) {
		if (m->buckets[i].id == id) {
			return i;
		}
	}
	return NOBODY;
}

static void
check_first_live(const struct object_model *m, const struct object_body *body, uint32_t hash)
{
	unsigned looks = OBJECT_MAX_LOOKS;
	uint32_t part, want = 0;

	while (want < m->n && !bucket_live(&m->buckets[want])) {
		want++;
	}
	if (want == m->n) {
		assert_null(object_choose(body, hash, &part, &looks));
	} else {
		assert_ptr_equal(object_choose(body, hash, &part, &looks), body->buckets[want]);
		assert_int_equal(part, want);
	}
}

/* A live bucket with a weight, if there is one. A hash leaves its bucket only when that has died, or for
 * one that has come to life. */
static void
check_select(struct object_model *m, const struct object_body *body, uint32_t hash)
{
	unsigned looks = OBJECT_MAX_LOOKS;
	uint32_t part, was = m->chosen[hash], old;
	const struct dp_bucket *b = object_choose(body, hash, &part, &looks);
	bool any = false;

	for (uint32_t i = 0; i < m->n; i++) {
		any |= m->buckets[i].weight && bucket_live(&m->buckets[i]);
	}
	assert_int_equal(b != NULL, any);
	if (b) {
		assert_int_equal(b->id, m->buckets[part].id);
		assert_true(m->buckets[part].weight && bucket_live(&m->buckets[part]));
	}
	if (m->seen && was != NOBODY && b && b->id != was) {
		old = index_of(m, was);
		assert_true(!bucket_live(&m->buckets[old]) || !m->was_live[part]);
	}
	m->chosen[hash] = b ? b->id : NOBODY;
}

static void
check_object(uint32_t o)
{
	struct object_model *m = &objects[o];
	const struct object_body *body = object_find(m->handle);

	if (!m->exists) {
		assert_null(body);
		return;
	}
	assert_int_equal(object_slots[m->handle.slot].n_refs, refs(o));
	assert_int_equal(body->n_parts, m->n);
	for (uint32_t hash = 0; hash < N_HASHES; hash++) {
		if (m->kind == DP_OBJECT_SELECT) {
			check_select(m, body, hash);
		} else {
			check_first_live(m, body, hash);
		}
	}
	for (uint32_t i = 0; i < m->n; i++) {
		unsigned looks = OBJECT_MAX_LOOKS;

		m->was_live[i] = bucket_live(&m->buckets[i]);
		assert_int_equal(object_bucket_is_live(body->buckets[i], &looks), m->was_live[i]);
	}
	m->seen = true;
}

static void
test_objects_like_a_model(void **state)
{
	struct stats_region stats;
	int fd;

	(void)state;
	lab_seed("object model");
	assert_int_equal(stats_region_create(&stats, 1, 1, OBJECT_PARTS_MAX, &fd), 0);
	close(fd);
	assert_int_equal(rcu_init(), 0);
	assert_int_equal(objects_init(&stats, 0), 0);
	for (uint32_t i = 0; i < N_PORTS; i++) {
		port_table[i] = &ports[i];
	}
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint32_t o = lab_below(N_OBJECTS);

		switch (lab_below(5)) {
		case 0:
			change_object(o);
			break;
		case 1:
			delete_object(o);
			break;
		default:
			change_port(lab_below(N_PORTS));
			break;
		}
		for (o = 0; o < N_OBJECTS; o++) {
			check_object(o);
		}
	}
	for (uint32_t i = 0; i < N_PORTS; i++) {
		port_table[i] = NULL;
	}
	objects_uninit();
	stats_region_destroy(&stats);
}

/* Where nearly all buckets are dead, the live ones share by weight, and the death of one of them moves its
 * own packets alone. */
static void
test_objects_nearly_all_dead(void **state) WEFT_NO_ANALYSIS
{
	enum { N = 300, N_LIVE = 4, N_PACKETS = 60000 };

	static struct dp_bucket buckets[N];
	static uint8_t first[N_PACKETS];
	struct dp_object_put cmd = {.kind = DP_OBJECT_SELECT};
	struct dp_message m = {
		.type = DP_OBJECT_PUT,
		.body = &cmd,
		.n_parts = N,
		.data = (const void *)buckets,
		.data_len = sizeof buckets,
	};
	uint32_t n[N_LIVE] = {0}, sum = 0;
	const struct dp_handle *parts;
	struct dp_handle object = {0, 0};
	struct stats_region stats;
	int fd;

	(void)state;
	assert_int_equal(stats_region_create(&stats, 1, 1, OBJECT_PARTS_MAX, &fd), 0);
	close(fd);
	assert_int_equal(rcu_init(), 0);
	assert_int_equal(objects_init(&stats, 0), 0);
	for (uint32_t i = 0; i < N; i++) {
		bool live = i % 80 == 7; /* 7, 87, 167, 247 */

		buckets[i] = (struct dp_bucket){.size = sizeof buckets[i], .id = i};
		buckets[i].weight = live ? 1 + i / 80 : 1 + i % 5;
		buckets[i].watch_port = live ? i / 80 : N_PORTS;
		sum += live ? buckets[i].weight : 0;
	}
	for (uint32_t i = 0; i < N_LIVE; i++) {
		port_table[i] = &ports[i];
		ports[i].link_up = ports[i].admin_up = true;
	}
	assert_int_equal(objects_put(&m, &object, &parts), 0);
	for (unsigned pass = 0; pass < 2; pass++) {
		ports[2].link_up = !pass;
		for (uint32_t hash = 0; hash < N_PACKETS; hash++) {
			unsigned looks = OBJECT_MAX_LOOKS;
			uint32_t part;

			assert_non_null(object_choose(object_find(object), hash, &part, &looks));
			assert_int_equal(part % 80, 7);
			if (pass) {
				assert_true(first[hash] == part / 80 || first[hash] == 2);
				assert_int_not_equal(part / 80, 2);
			} else {
				first[hash] = (uint8_t)(part / 80);
				n[part / 80]++;
			}
		}
	}
	for (uint32_t i = 0; i < N_LIVE; i++) {
		uint32_t want = N_PACKETS / sum * (i + 1);

		assert_in_range(n[i], want - want / 20, want + want / 20);
		port_table[i] = NULL;
	}
	objects_uninit();
	stats_region_destroy(&stats);
}

/* An object of the seed of another one goes on from there: connections move only as the weights have it. */
static void
test_objects_of_one_seed(void **state) WEFT_NO_ANALYSIS
{
	enum { N_PACKETS = 20000 };

	static uint8_t before[N_PACKETS];
	struct dp_bucket buckets[2] = {{.size = sizeof buckets[0], .id = 1, .weight = 3},
		{.size = sizeof buckets[0], .id = 2, .weight = 1}};
	struct dp_object_put cmd = {.kind = DP_OBJECT_SELECT, .seed = 77};
	struct dp_message m = {
		.type = DP_OBJECT_PUT,
		.body = &cmd,
		.n_parts = 2,
		.data = (const void *)buckets,
		.data_len = sizeof buckets,
	};
	const struct dp_handle *parts;
	struct dp_handle made[4] = {{0, 0}};
	uint32_t n_moved[4] = {0}, n_back[4] = {0};
	struct stats_region stats;
	int fd;

	(void)state;
	assert_int_equal(stats_region_create(&stats, 1, 1, OBJECT_PARTS_MAX, &fd), 0);
	close(fd);
	assert_int_equal(rcu_init(), 0);
	assert_int_equal(objects_init(&stats, 0), 0);
	for (unsigned i = 0; i < 2; i++) {
		buckets[i].watch_port = UINT32_MAX;
	}
	for (unsigned k = 0; k < 4; k++) {
		buckets[0].weight = k == 1 ? 100 : 3;
		buckets[1].weight = k < 2 ? 1 : 3;
		cmd.seed = k < 3 ? 77 : 0;
		assert_int_equal(objects_put(&m, &made[k], &parts), 0);
		for (uint32_t hash = 0; hash < N_PACKETS; hash++) {
			unsigned looks = OBJECT_MAX_LOOKS;
			uint32_t part;

			assert_non_null(object_choose(object_find(made[k]), hash, &part, &looks));
			n_moved[k] += k && part > before[hash];
			n_back[k] += k && part < before[hash];
			before[hash] = (uint8_t)part;
		}
	}
	/* From a quarter to hardly any, with a table of another size; from there to a half. Never the other way round. A
	 * seed of its own moves any. */
	assert_in_range(n_back[1], N_PACKETS / 5, N_PACKETS / 10 * 3);
	assert_int_equal(n_moved[1], 0);
	assert_in_range(n_moved[2], N_PACKETS / 20 * 9, N_PACKETS / 20 * 11);
	assert_int_equal(n_back[2], 0);
	assert_true(n_back[3] > N_PACKETS / 20);
	objects_uninit();
	stats_region_destroy(&stats);
}

/* A worker in the middle of a burst still finds what has just been deleted; then nobody does, and only when
 * it has let go the sums are told and the slot is free. */
static void
test_objects_go_in_two_steps(void **state) WEFT_NO_ANALYSIS
{
	struct dp_object_put cmd = {.kind = DP_OBJECT_FIRST_LIVE};
	struct dp_message m = {.type = DP_OBJECT_PUT, .body = &cmd};
	struct dp_bucket bucket = {.size = sizeof bucket, .watch_port = UINT32_MAX};
	struct dp_handle object = {0, 0}, other = {0, 0};
	const struct object_body *body;
	const struct dp_handle *parts;
	struct object_info info;
	struct stats_region stats;
	uint32_t n_told = 0, next;
	int fd;

	(void)state;
	assert_int_equal(stats_region_create(&stats, 1, 1, OBJECT_PARTS_MAX, &fd), 0);
	close(fd);
	assert_int_equal(rcu_init(), 0);
	assert_int_equal(objects_init(&stats, 0), 0);
	rcu_register(0);
	rcu_online(0);
	m.n_parts = 1;
	m.data = (const void *)&bucket;
	m.data_len = sizeof bucket;
	assert_int_equal(objects_put(&m, &object, &parts), 0);
	body = object_find(object);
	assert_non_null(body);
	assert_int_equal(objects_del(object, 0), 0);
	/* For commands it is gone at once. */
	assert_int_equal(objects_del(object, 0), -ESTALE);
	assert_false(objects_list(0, &info, &next));
	assert_int_equal(objects_count(), 0);
	assert_true(objects_run(deleted, &n_told));
	assert_ptr_equal(object_find(object), body);
	rcu_quiescent(0);
	assert_ptr_equal(object_find(object), body);
	assert_true(objects_run(deleted, &n_told));
	assert_null(object_find(object));
	assert_true(objects_run(deleted, &n_told));
	assert_int_equal(n_told, 0);
	assert_int_equal(objects_put(&m, &other, &parts), 0);
	assert_int_not_equal(other.slot, object.slot);
	stats_record_credit(stats_region_record(&stats, 0, body->parts[0].slot), 3, 180, 1, 0);
	rcu_quiescent(0);
	assert_int_equal(objects_n_deleted(), 1);
	assert_int_equal(objects_n_told(), 0);
	assert_false(objects_run(deleted, &n_told));
	assert_int_equal(n_told, 1);
	assert_int_equal(objects_n_told(), 1);
	other = (struct dp_handle){0, 0};
	assert_int_equal(objects_put(&m, &other, &parts), 0);
	assert_int_equal(other.slot, object.slot);
	assert_int_equal(other.gen, object.gen + 1);
	assert_null(object_find(object));
	rcu_offline(0);
	rcu_unregister(0);
	objects_uninit();
	stats_region_destroy(&stats);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_objects_like_a_model),
		cmocka_unit_test(test_objects_nearly_all_dead),
		cmocka_unit_test(test_objects_of_one_seed),
		cmocka_unit_test(test_objects_go_in_two_steps),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}

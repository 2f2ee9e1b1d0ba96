/* SPDX-License-Identifier: Apache-2.0
 *
 * Prefix trie and bag of hashes, against lists that are searched from end to end; and with readers beside the
 * writer, run under the thread sanitizer.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/alloc.h"
#include "ofproto/hash_bag.h"
#include "ofproto/prefix_trie.h"
#include "tests/unit/ofproto/world.h"

#define N_PREFIXES 300u

struct prefix {
	uint8_t value[16];
	unsigned n_bits; /* 0: not there */
};

static uint64_t rnd;

static unsigned
upto(unsigned n)
{
	return (unsigned)(world_random(&rnd) % n);
}

/* Few values, that share long beginnings. */
static void
random_bytes(uint8_t *value, unsigned width)
{
	for (unsigned i = 0; i < width / 8; i++) {
		value[i] = upto(3) ? 0xa5 : (uint8_t)(1u << upto(8));
	}
}

static bool
begins_with(const uint8_t *value, const struct prefix *p)
{
	for (unsigned b = 0; b < p->n_bits; b++) {
		if ((value[b / 8] ^ p->value[b / 8]) >> (7 - b % 8) & 1) {
			return false;
		}
	}
	return true;
}

static void
naive_lengths(const struct prefix *all, const uint8_t *value, uint64_t lengths[2])
{
	lengths[0] = lengths[1] = 0;
	for (unsigned i = 0; i < N_PREFIXES; i++) {
		if (all[i].n_bits && begins_with(value, &all[i])) {
			lengths[(all[i].n_bits - 1) / 64] |= UINT64_C(1)
							     << (all[i].n_bits - 1) % 64;
		}
	}
}

/* As few bits as tell: the first with which every prefix is left behind, or ends. */
static unsigned
naive_bits(const struct prefix *all, const uint8_t *value, unsigned width)
{
	unsigned most = 0;

	for (unsigned i = 0; i < N_PREFIXES; i++) {
		unsigned b = 0;

		if (!all[i].n_bits) {
			continue;
		}
		while (b < all[i].n_bits &&
			!((value[b / 8] ^ all[i].value[b / 8]) >> (7 - b % 8) & 1)) {
			b++;
		}
		b += b < all[i].n_bits;
		most = b > most ? b : most;
	}
	return most < width ? most : width;
}

static void
check(const struct prefix_trie *t, const struct prefix *all, unsigned width)
{
	uint8_t value[16], other[16];
	struct prefix_found found, again;
	uint64_t lengths[2];

	random_bytes(value, width);
	prefix_trie_find(t, value, width, &found);
	naive_lengths(all, value, lengths);
	assert_memory_equal(found.lengths, lengths, sizeof(lengths));
	assert_int_equal(found.n_bits, naive_bits(all, value, width));
	/* Whatever stands behind those bits. */
	memcpy(other, value, sizeof(other));
	for (unsigned b = found.n_bits; b < width; b++) {
		if (upto(2)) {
			other[b / 8] ^= (uint8_t)(0x80 >> b % 8);
		}
	}
	prefix_trie_find(t, other, width, &again);
	assert_memory_equal(again.lengths, lengths, sizeof(lengths));
	assert_int_equal(again.n_bits, found.n_bits);
}

static void
run(unsigned width)
{
	struct grace *grace = xaligned(64, sizeof(*grace));
	struct prefix *all = xcalloc(N_PREFIXES, sizeof(*all));
	struct prefix_trie t;

	rnd = world_seed();
	grace_init(grace);
	prefix_trie_init(&t, grace);
	for (unsigned step = 0; step < 20000; step++) {
		/* It fills, and empties, and fills.. */
		struct prefix *p = &all[upto(step / 4000 % 2 ? 20 : N_PREFIXES)];

		if (p->n_bits) {
			prefix_trie_remove(&t, p->value, p->n_bits);
			p->n_bits = 0;
		} else {
			random_bytes(p->value, width);
			p->n_bits = 1 + upto(upto(3) ? width : width / 4);
			prefix_trie_insert(&t, p->value, p->n_bits);
		}
		if (step % 4000 == 3999) {
			for (unsigned i = 20; i < N_PREFIXES; i++) {
				if (all[i].n_bits) {
					prefix_trie_remove(&t, all[i].value, all[i].n_bits);
					all[i].n_bits = 0;
				}
			}
		}
		check(&t, all, width);
		grace_run(grace, 10);
	}
	for (unsigned i = 0; i < N_PREFIXES; i++) {
		if (all[i].n_bits) {
			prefix_trie_remove(&t, all[i].value, all[i].n_bits);
		}
	}
	prefix_trie_uninit(&t);
	grace_uninit(grace);
	free(grace);
	free(all);
}

static void
test_trie_against_a_list(void **state)
{
	(void)state;
	run(16);
	run(32);
	run(128);
}

static void
test_bag_against_counts(void **state)
{
	struct grace *grace = xaligned(64, sizeof(*grace));
	struct hash_bag bag = {.n = 0};
	unsigned counts[512] = {0};

	(void)state;
	rnd = world_seed();
	grace_init(grace);
	assert_false(hash_bag_has(&bag, 0));
	for (unsigned step = 0; step < 50000; step++) {
		unsigned i = upto(step / 10000 % 2 ? 30 : 512), there = upto(512);
		/* Neighbours in the table, too; and the hash 0. */
		uint32_t hash = i % 3 ? i * 0x9e3779b1u : i << 16;

		if (counts[i] && upto(3)) {
			hash_bag_remove(&bag, grace, hash);
			counts[i]--;
		} else {
			hash_bag_add(&bag, grace, hash);
			counts[i]++;
		}
		assert_int_equal(hash_bag_has(&bag, there % 3 ? there * 0x9e3779b1u : there << 16),
			counts[there] > 0);
		grace_run(grace, 10);
	}
	hash_bag_uninit(&bag);
	grace_uninit(grace);
	free(grace);
}

/* --- threads ------------------------------------------------------------------------------------- */

struct shared {
	struct grace *grace;
	struct prefix_trie t;
	struct hash_bag bag;
	_Atomic bool stop;
};

/* 10.0.0.0/8 and the hash 7 are always there. */
static void *
read_them(void *arg)
{
	struct shared *s = arg;
	struct grace_reader *r = grace_reader_register(s->grace);
	uint64_t state = 1;

	while (!atomic_load(&s->stop)) {
		uint64_t random = world_random(&state);
		uint8_t value[4] = {10, (uint8_t)random, (uint8_t)(random >> 8), 1};
		struct prefix_found found;

		grace_enter(s->grace, r);
		prefix_trie_find(&s->t, value, 32, &found);
		assert_true(prefix_found_has(&found, 8));
		assert_true(found.n_bits >= 8);
		assert_true(hash_bag_has(&s->bag, 7));
		(void)hash_bag_has(&s->bag, (uint32_t)random % 64);
		grace_leave(r);
	}
	grace_reader_unregister(r);
	return NULL;
}

static void
test_readers_beside_the_writer(void **state)
{
	struct shared s = {.grace = xaligned(64, sizeof(*s.grace))};
	static const uint8_t net[4] = {10};
	struct prefix all[64] = {{{0}, 0}};
	unsigned counts[64] = {0};
	pthread_t threads[2];

	(void)state;
	rnd = world_seed();
	grace_init(s.grace);
	prefix_trie_init(&s.t, s.grace);
	prefix_trie_insert(&s.t, net, 8);
	hash_bag_add(&s.bag, s.grace, 7);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, read_them, &s), 0);
	}
	for (unsigned step = 0; step < 20000; step++) {
		struct prefix *p = &all[upto(64)];
		unsigned i = upto(64);

		if (p->n_bits) {
			prefix_trie_remove(&s.t, p->value, p->n_bits);
			p->n_bits = 0;
		} else {
			random_bytes(p->value, 32);
			p->value[0] = upto(3) ? 10 : p->value[0];
			p->n_bits = 1 + upto(32);
			prefix_trie_insert(&s.t, p->value, p->n_bits);
		}
		if (counts[i]) {
			hash_bag_remove(&s.bag, s.grace, i);
			counts[i]--;
		} else {
			hash_bag_add(&s.bag, s.grace, i);
			counts[i]++;
		}
		grace_run(s.grace, 100);
	}
	atomic_store(&s.stop, true);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
	}
	for (unsigned i = 0; i < 64; i++) {
		if (all[i].n_bits) {
			prefix_trie_remove(&s.t, all[i].value, all[i].n_bits);
		}
	}
	prefix_trie_remove(&s.t, net, 8);
	prefix_trie_uninit(&s.t);
	hash_bag_uninit(&s.bag);
	grace_uninit(s.grace);
	free(s.grace);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trie_against_a_list),
		cmocka_unit_test(test_bag_against_counts),
		cmocka_unit_test(test_readers_beside_the_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Select tables: shares by weight, and how little moves when something changes.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/select.h"
#include "lib/compiler.h"
#include "tests/unit/datapath/lab.h"

#define MAX_BUCKETS 4096u
#define N_HASHES 400000u

static struct select_bucket buckets[MAX_BUCKETS], before[MAX_BUCKETS];

static uint32_t
count(const struct select_table *t, uint32_t bucket)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i <= t->mask; i++) {
		n += t->entries[i] == bucket;
	}
	return n;
}

/* What each bucket may have: its share of the entries, to one entry, and at least one. */
static void
assert_shares(const struct select_table *t, uint32_t n)
{
	uint64_t sum = 0, total = 0;
	uint32_t n_weighted = 0;

	for (uint32_t i = 0; i < n; i++) {
		sum += buckets[i].weight;
		n_weighted += buckets[i].weight != 0;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t have = count(t, i);
		double want = (double)buckets[i].weight * (t->mask + 1.0) / (double)sum;

		total += have;
		if (!buckets[i].weight) {
			assert_int_equal(have, 0);
		} else if (want < 1) {
			assert_int_equal(have, 1);
		} else if (have > want) {
			assert_true(have - want < 1);
		} else {
			/* Those with less than an entry take theirs from the largest. */
			assert_true(want - have < 1 || want > (t->mask + 1.0) / n_weighted);
		}
	}
	assert_int_equal(total, t->mask + 1);
}

/* Some weights, and the size of table that gives the smallest of them 64 entries, if that can be. */
static void
test_select_shares(void **state)
{
	static const struct {
		uint32_t weights[6], n, size;
	} cases[] = {
		{{1}, 1, 256},
		{{1, 1}, 2, 256},
		{{1, 1, 1, 1, 1}, 5, 512},
		{{3, 0, 5}, 3, 256},
		{{1, 99}, 2, 8192},
		{{100, 300, 600}, 3, 1024},
		{{1, 65535}, 2, 65536},
		{{1, 4000000000u, 4000000000u}, 3, 65536},
		{{0, 0, 7, 0}, 4, 256},
	};

	(void)state;
	for (size_t c = 0; c < WEFT_ARRAY_SIZE(cases); c++) {
		struct select_table *t;

		for (uint32_t i = 0; i < cases[c].n; i++) {
			buckets[i] = (struct select_bucket){i * 3 + 1, cases[c].weights[i]};
		}
		t = select_table_create(buckets, cases[c].n, NULL, NULL, 0);
		assert_int_equal(t->mask + 1, cases[c].size);
		assert_shares(t, cases[c].n);
		free(t);
	}
	/* Nothing to choose. */
	buckets[0].weight = 0;
	assert_null(select_table_create(buckets, 1, NULL, NULL, 0));
	assert_null(select_table_create(buckets, 0, NULL, NULL, 0));
	/* As many as there can be. */
	for (uint32_t i = 0; i < MAX_BUCKETS; i++) {
		buckets[i] = (struct select_bucket){i * 7919, 1 + i % 2};
	}
	{
		struct select_table *t = select_table_create(buckets, MAX_BUCKETS, NULL, NULL, 0);

		assert_int_equal(t->mask + 1, SELECT_MAX_ENTRIES);
		for (uint32_t i = 0; i < MAX_BUCKETS; i += 97) {
			uint32_t have = count(t, i);

			assert_true(i % 2 ? have == 21 || have == 22 : have == 10 || have == 11);
		}
		free(t);
	}
}

/* Fixed hashes fall to the buckets as their weights say, by the first try and by each other one. */
static void
test_select_hashes(void **state)
{
	static const uint32_t weights[] = {10, 20, 30, 40};
	uint32_t n[16][4] = {{0}}, both[4] = {0};
	struct select_table *t;

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		buckets[i] = (struct select_bucket){i, weights[i]};
	}
	t = select_table_create(buckets, 4, NULL, NULL, 0);
	for (uint32_t h = 0; h < N_HASHES; h++) {
		for (unsigned try_ = 0; try_ < 16; try_++) {
			n[try_][select_table_try(t, h, try_)]++;
		}
		/* The second try of those whose first was bucket 3 does not lean on the first. */
		if (select_table_try(t, h, 0) == 3) {
			both[select_table_try(t, h, 1)]++;
		}
	}
	for (uint32_t i = 0; i < 4; i++) {
		for (unsigned try_ = 0; try_ < 16; try_++) {
			double share = (double)n[try_][i] / N_HASHES;

			assert_true(fabs(share * 100 / weights[i] - 1) < 0.04);
		}
		assert_true(fabs((double)both[i] / n[0][3] * 100 / weights[i] - 1) < 0.06);
	}
	free(t);
}

/* How many entries of two tables lead to buckets of other ids, over the larger one. */
static uint32_t
moved(const struct select_table *a, const struct select_bucket *a_buckets,
	const struct select_table *b, const struct select_bucket *b_buckets)
{
	uint32_t mask = WEFT_MAX(a->mask, b->mask), n = 0;

	for (uint32_t i = 0; i <= mask; i++) {
		n += a_buckets[a->entries[i & a->mask]].id != b_buckets[b->entries[i & b->mask]].id;
	}
	return n;
}

/* Random changes, one over the other: no entry moves that its bucket need not give up. */
static void
test_select_replace_moves_least(void **state)
{
	uint32_t n = 1, next_id = 1;
	struct select_table *t;

	(void)state;
	lab_seed("select replace");
	buckets[0] = (struct select_bucket){0, 5};
	t = select_table_create(buckets, n, NULL, NULL, 0);
	for (unsigned round = 0; round < 300; round++) {
		struct select_table *was = t;
		uint32_t n_was = n, surplus = 0, scale;

		memcpy(before, buckets, n * sizeof before[0]);
		for (unsigned k = 1 + lab_below(3); k; k--) {
			uint32_t i = lab_below(n);

			switch (lab_below(4)) {
			case 0: /* a new one, anywhere */
				memmove(&buckets[i + 1], &buckets[i], (n - i) * sizeof buckets[0]);
				buckets[i] = (struct select_bucket){next_id++, 1 + lab_below(20)};
				n++;
				break;
			case 1:
				if (n > 1) {
					memmove(&buckets[i], &buckets[i + 1],
						(--n - i) * sizeof buckets[0]);
				}
				break;
			case 2: {
				struct select_bucket other = buckets[i];

				buckets[i] = buckets[0];
				buckets[0] = other;
				break;
			}
			default:
				buckets[i].weight = 1 + lab_below(20);
				break;
			}
		}
		t = select_table_create(buckets, n, was, before, n_was);
		assert_true(t->mask >= was->mask);
		assert_shares(t, n);
		scale = (t->mask + 1) / (was->mask + 1);
		for (uint32_t i = 0; i < n_was; i++) {
			uint32_t had = count(was, i) * scale, has = 0;

			for (uint32_t k = 0; k < n; k++) {
				has = buckets[k].id == before[i].id ? count(t, k) : has;
			}
			surplus += had > has ? had - has : 0;
		}
		assert_int_equal(moved(was, before, t, buckets), surplus);
		free(was);
	}
	free(t);
}

/* Without a table before, ids alone decide: the order of buckets does not matter, and a bucket less or
 * more moves little beyond its own share. */
static void
test_select_anew(void **state)
{
	struct select_table *ten, *reversed, *nine;
	uint32_t others;

	(void)state;
	for (uint32_t i = 0; i < 10; i++) {
		before[i] = (struct select_bucket){i, 1};
		buckets[9 - i] = before[i];
	}
	ten = select_table_create(before, 10, NULL, NULL, 0);
	reversed = select_table_create(buckets, 10, NULL, NULL, 0);
	assert_int_equal(moved(ten, before, reversed, buckets), 0);
	nine = select_table_create(before, 9, NULL, NULL, 0);
	assert_int_equal(nine->mask, ten->mask);
	others = moved(ten, before, nine, before) - count(ten, 9);
	assert_true(others < (ten->mask + 1) / 8);
	free(ten);
	free(reversed);
	free(nine);
}

/* The greatest score is a bucket's as often as its weight has it, and another's coming or going moves
 * nothing else. */
static void
test_select_scores(void **state)
{
	static const uint32_t weights[] = {1, 2, 3, 4};
	uint32_t n[4] = {0};

	(void)state;
	for (uint32_t h = 0; h < 100000; h++) {
		uint32_t best = 0, best_of_three = 0;

		for (uint32_t i = 0; i < 4; i++) {
			buckets[i] = (struct select_bucket){i, weights[i]};
			if (select_score(&buckets[i], h) > select_score(&buckets[best], h)) {
				best = i;
				best_of_three = i < 3 ? i : best_of_three;
			}
		}
		n[best]++;
		if (best < 3) {
			assert_int_equal(best, best_of_three);
		}
	}
	for (uint32_t i = 0; i < 4; i++) {
		assert_true(fabs(n[i] / 10000.0 / weights[i] - 1) < 0.04);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_select_shares),
		cmocka_unit_test(test_select_hashes),
		cmocka_unit_test(test_select_replace_moves_least),
		cmocka_unit_test(test_select_anew),
		cmocka_unit_test(test_select_scores),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Dependencies of flows, against a list of all of them that is looked through one by one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/alloc.h"
#include "ofproto/classifier.h"
#include "ofproto/flow_deps.h"
#include "tests/unit/ofproto/world.h"

#define N_FLOWS 1000u
#define N_TABLES 2u
/* Words of the key that the masks of this test look at. */
#define N_WORDS 3u

struct flow {
	struct flow_dep_set deps;
	bool used;
	unsigned n_lookups;
	uint64_t table[2];
	uint64_t key[2][N_WORDS];
	uint64_t known[2][N_WORDS];
	int32_t priority[2];
	uint64_t things[2];
	bool is_hit;
};

static struct flow flows[N_FLOWS];
static struct flow_deps deps;
static uint64_t rnd;

static unsigned
upto(unsigned n)
{
	return (unsigned)(world_random(&rnd) % n);
}

/* Few values and few masks, so that they meet; @n_masks: how many kinds of masks. */
static uint64_t
random_mask(unsigned n_masks)
{
	static const uint64_t simple[] = {0xffff, 0xff, 0xff00, 0, 0xf0f0};

	return n_masks ? simple[upto(WEFT_MIN(n_masks, 5u))] : world_random(&rnd) & 0xffff;
}

static void
set_flow(struct flow *f, unsigned n_masks)
{
	struct translation t = {0};
	struct translate_lookup lookups[2];

	memset(lookups, 0, sizeof(lookups));
	f->used = true;
	f->n_lookups = upto(3);
	for (unsigned i = 0; i < f->n_lookups; i++) {
		struct translate_lookup *l = &lookups[i];

		f->table[i] = l->table = of_dep(OF_DEP_TABLE, 1, upto(N_TABLES));
		f->priority[i] = l->priority = (int32_t)upto(4) - 1;
		for (unsigned w = 0; w < N_WORDS; w++) {
			/* Made bits, and read ones, of which some had been moved. */
			uint64_t made = random_mask(n_masks), moved = upto(4) ? 0 : 0xff;

			l->key.words[w] = world_random(&rnd) & 0x0303;
			l->known.bits.words[w] = made;
			l->moved.bits.words[w] = moved;
			t.mask.bits.words[w] = i ? t.mask.bits.words[w] : random_mask(n_masks);
			f->key[i][w] = l->key.words[w];
		}
	}
	for (unsigned i = 0; i < f->n_lookups; i++) {
		for (unsigned w = 0; w < N_WORDS; w++) {
			f->known[i][w] = lookups[i].known.bits.words[w] |
					 (t.mask.bits.words[w] & ~lookups[i].moved.bits.words[w]);
		}
	}
	f->things[0] = of_dep(OF_DEP_PORT, 1, upto(5));
	f->things[1] = of_dep(OF_DEP_ADDRESS, 1 + upto(2), upto(20));
	t.deps = f->things;
	t.n_deps = 2;
	t.lookups = lookups;
	t.n_lookups = f->n_lookups;
	flow_deps_set(&deps, &f->deps, f, &t);
}

static void
unset_flow(struct flow *f)
{
	flow_deps_clear(&deps, &f->deps);
	f->used = false;
}

static void
note_hit(void *user, void *flow)
{
	assert_ptr_equal(user, &deps);
	((struct flow *)flow)->is_hit = true;
}

static void
find(struct change_batch *b)
{
	for (unsigned i = 0; i < N_FLOWS; i++) {
		flows[i].is_hit = false;
	}
	flow_deps_find(&deps, b, note_hit, &deps);
	change_batch_destroy(b);
}

/* Whether the rule of that mask and value can meet the flow's packets, at a place not above the rule. */
static bool
is_concerned(const struct flow *f, uint64_t table, const uint64_t *mask, const uint64_t *value,
	int32_t priority)
{
	for (unsigned i = 0; i < f->n_lookups; i++) {
		bool agrees = f->table[i] == table && f->priority[i] <= priority;

		for (unsigned w = 0; w < N_WORDS; w++) {
			agrees &= !((f->key[i][w] ^ value[w]) & mask[w] & f->known[i][w]);
		}
		if (agrees) {
			return true;
		}
	}
	return false;
}

static void
check_rule(unsigned n_masks, bool is_exact)
{
	uint64_t table = of_dep(OF_DEP_TABLE, 1, upto(N_TABLES)), mask[N_WORDS], value[N_WORDS];
	struct cls_rule rule = {.priority = (uint16_t)upto(3)};
	struct change_batch *b = NULL;
	struct of_match match;
	struct classifier cls;
	struct grace *grace = xaligned(64, sizeof(*grace));
	uint64_t words[OF_N_WORDS];

	memset(&match, 0, sizeof(match));
	for (unsigned w = 0; w < N_WORDS; w++) {
		mask[w] = random_mask(n_masks ? 5 : 0);
		value[w] = world_random(&rnd) & 0x0303 & mask[w];
		match.mask.bits.words[w] = mask[w];
		match.value.words[w] = value[w];
	}
	grace_init(grace);
	classifier_init(&cls, grace);
	cls_insert(&cls, &rule, &match, words);
	change_note_rule(&b, table, &rule);
	find(b);
	for (unsigned i = 0; i < N_FLOWS; i++) {
		bool want =
			flows[i].used && is_concerned(&flows[i], table, mask, value, rule.priority);

		if (want || is_exact) {
			assert_int_equal(flows[i].is_hit, want);
		}
	}
	cls_remove(&cls, &rule);
	cls_rule_uninit(&rule);
	classifier_uninit(&cls);
	grace_uninit(grace);
	free(grace);
}

static void
check_thing(void)
{
	struct change_batch *b = NULL;
	uint64_t dep = upto(2) ? of_dep(OF_DEP_PORT, 1, upto(6))
			       : of_dep(OF_DEP_ADDRESS, 1 + upto(3), upto(22));

	change_note(&b, dep);
	find(b);
	for (unsigned i = 0; i < N_FLOWS; i++) {
		const struct flow *f = &flows[i];

		assert_int_equal(
			f->is_hit, f->used && (f->things[0] == dep || f->things[1] == dep));
	}
}

static void
run(unsigned n_masks, bool is_exact)
{
	rnd = world_seed();
	flow_deps_init(&deps);
	memset(flows, 0, sizeof(flows));
	for (unsigned step = 0; step < 6000; step++) {
		struct flow *f = &flows[upto(N_FLOWS)];

		switch (upto(8)) {
		case 0:
			check_rule(n_masks, is_exact);
			break;
		case 1:
			check_thing();
			break;
		case 2:
			unset_flow(f);
			break;
		default:
			set_flow(f, n_masks); /* also over another */
		}
	}
	for (unsigned i = 0; i < N_FLOWS; i++) {
		unset_flow(&flows[i]);
	}
	flow_deps_uninit(&deps);
}

/* Few masks: groups of many records, found by indexes, which make way for one another. */
static void
test_deps_few_masks(void **state)
{
	(void)state;
	run(1, true);
	run(2, true);
}

/* So many masks that lookups share groups: some flows are found in vain, none is missed. */
static void
test_deps_many_masks(void **state)
{
	(void)state;
	run(5, false);
	run(0, false);
}

/* --- the log ------------------------------------------------------------------------------------- */

static void
test_log_keeps_what_it_says(void **state)
{
	struct grace *grace = xaligned(64, sizeof(*grace));
	struct change_log *log = xcalloc(1, sizeof(*log));
	struct change_batch *b = NULL;

	(void)state;
	grace_init(grace);
	change_log_init(log, grace);
	assert_null(change_log_get(log, 0));
	for (uint64_t i = 0; i < CHANGE_LOG_MAX_BATCHES + 10; i++) {
		change_note(&b, i);
		change_log_append(log, b, 2 * i);
		b = NULL;
	}
	assert_int_equal(change_log_first(log), 10);
	assert_int_equal(change_log_end(log), CHANGE_LOG_MAX_BATCHES + 10);
	assert_null(change_log_get(log, 9));
	for (uint64_t i = 10; i < change_log_end(log); i++) {
		const struct change_batch *got = change_log_get(log, i);

		assert_int_equal(got->version, 2 * i);
		assert_int_equal(got->n, 1);
		assert_int_equal(got->changes[0].dep, i);
		assert_false(got->is_all);
	}
	assert_null(change_log_get(log, change_log_end(log)));
	/* Without notes: everything. */
	change_log_append(log, NULL, 100000);
	assert_true(change_log_get(log, change_log_end(log) - 1)->is_all);
	/* Too many in one batch: everything; and the limit of all together. */
	for (unsigned i = 0; i <= CHANGE_BATCH_MAX; i++) {
		change_note(&b, i);
		assert_int_equal(b->is_all, i == CHANGE_BATCH_MAX);
	}
	change_note(&b, 7);
	assert_int_equal(b->n, 0);
	change_log_append(log, b, 100001);
	b = NULL;
	for (unsigned n = 0; n < 2 * CHANGE_LOG_MAX_CHANGES / CHANGE_BATCH_MAX; n++) {
		for (unsigned i = 0; i < CHANGE_BATCH_MAX; i++) {
			change_note(&b, i);
		}
		change_log_append(log, b, 100002 + n);
		b = NULL;
	}
	assert_int_equal(change_log_end(log) - change_log_first(log),
		CHANGE_LOG_MAX_CHANGES / CHANGE_BATCH_MAX);
	change_log_trim(log, change_log_end(log) - 3);
	assert_int_equal(change_log_end(log) - change_log_first(log), 3);
	assert_null(change_log_get(log, change_log_end(log) - 4));
	assert_non_null(change_log_get(log, change_log_end(log) - 3));
	change_log_trim(log, UINT64_MAX);
	assert_int_equal(change_log_first(log), change_log_end(log));
	change_log_uninit(log);
	grace_uninit(grace);
	free(log);
	free(grace);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deps_few_masks),
		cmocka_unit_test(test_deps_many_masks),
		cmocka_unit_test(test_log_keeps_what_it_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The underlay as translation sees it: which of several paths a packet takes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/alloc.h"
#include "ofproto/ofproto.h"
#include "ofproto/underlay_provider.h"

#define N_HASHES 30000u

static struct of_underlay_route *
make(uint32_t n, const uint16_t *weights)
{
	struct of_underlay_route *r = xcalloc(1, sizeof(*r) + n * sizeof(r->paths[0]));

	r->state = OF_UNDERLAY_READY;
	r->n_paths = n;
	for (uint32_t i = 0; i < n; i++) {
		r->paths[i].weight = weights[i];
		r->paths[i].is_usable = true;
		r->usable_weight += weights[i];
	}
	return r;
}

static void
break_path(struct of_underlay_route *r, uint32_t i)
{
	r->paths[i].is_usable = false;
	r->usable_weight -= r->paths[i].weight;
}

static void
count(const struct of_underlay_route *r, unsigned *n)
{
	memset(n, 0, r->n_paths * sizeof(*n));
	for (uint32_t h = 0; h < N_HASHES; h++) {
		n[of_underlay_pick(r, h) - r->paths]++;
	}
}

/* Within a tenth of what its weight says. */
static void
check_share(unsigned n, unsigned expected)
{
	assert_in_range(n, expected - expected / 10, expected + expected / 10);
}

static void
test_underlay_picks_by_weight(void **state)
{
	struct of_underlay_route *r = make(3, (const uint16_t[]){1, 3, 2});
	unsigned n[3];

	(void)state;
	count(r, n);
	check_share(n[0], N_HASHES / 6);
	check_share(n[1], N_HASHES / 2);
	check_share(n[2], N_HASHES / 3);
	free(r);
}

static void
test_underlay_failed_path_moves_its_own_flows_only(void **state)
{
	struct of_underlay_route *r = make(3, (const uint16_t[]){1, 2, 3}),
				 *broken = make(3, (const uint16_t[]){1, 2, 3});
	unsigned n[3];

	(void)state;
	break_path(broken, 2);
	for (uint32_t h = 0; h < N_HASHES; h++) {
		ptrdiff_t before = of_underlay_pick(r, h) - r->paths;
		ptrdiff_t after = of_underlay_pick(broken, h) - broken->paths;

		assert_int_not_equal(after, 2);
		assert_true(before == 2 || before == after);
	}
	/* Those that moved are spread by weight. */
	count(broken, n);
	check_share(n[0], N_HASHES / 3);
	check_share(n[1], N_HASHES / 3 * 2);
	break_path(broken, 0);
	count(broken, n);
	assert_int_equal(n[1], N_HASHES);
	break_path(broken, 1);
	assert_null(of_underlay_pick(broken, 1));
	free(r);
	free(broken);
}

/* --- provider ------------------------------------------------------------------------------------ */

static const struct of_underlay_route *
find(void *user, const struct of_underlay_key *key)
{
	return key->remote.v[15] == 7 ? user : NULL;
}

static bool
owns(void *user, const struct of_underlay_addr *address)
{
	(void)user;
	return address->v[15] == 3;
}

static void
test_underlay_asks_the_provider(void **state)
{
	struct of_model *m = of_model_create(&(struct of_model_events){0});
	struct of_underlay_route *r = make(1, (const uint16_t[]){1});
	struct of_underlay_key key = {.remote.v[15] = 7};
	uint64_t version = of_model_version(m);
	uint32_t id = 1;

	(void)state;
	assert_int_equal(of_model_underlay(m, &key)->state, OF_UNDERLAY_NO_ROUTE);
	assert_int_equal(of_model_underlay(m, &key)->n_paths, 0);
	assert_false(of_model_owns_address(m, &key.local));
	of_model_set_underlay(m, &(struct of_underlay_provider){find, r, NULL});
	assert_ptr_equal(of_model_underlay(m, &key), r);
	key.local.v[15] = 3;
	assert_false(of_model_owns_address(m, &key.local));
	of_model_set_underlay(m, &(struct of_underlay_provider){find, r, owns});
	assert_true(of_model_owns_address(m, &key.local));
	assert_false(of_model_owns_address(m, &key.remote));
	/* What was translated with the old snapshot is translated again. */
	of_model_underlay_changed(m, &id, 0);
	assert_int_equal(of_model_version(m), version);
	of_model_underlay_changed(m, &id, 1);
	assert_true(of_model_version(m) > version);
	of_model_destroy(m);
	free(r);
}

static void
test_underlay_ids_name_pairs(void **state)
{
	struct of_underlay_key a = {.remote.v[15] = 7}, b = {.remote.v[15] = 8},
			       c = {.local.v[15] = 1, .remote.v[15] = 7};
	struct of_underlay_route *r = make(1, (const uint16_t[]){1});
	uint32_t id = of_underlay_id(&a, r);

	(void)state;
	assert_int_not_equal(id, 0);
	assert_int_not_equal(of_underlay_id(&b, r), id);
	assert_int_not_equal(of_underlay_id(&c, r), id);
	r->state = OF_UNDERLAY_PENDING;
	assert_int_equal(of_underlay_id(&a, r), id);
	r->state = OF_UNDERLAY_FULL;
	assert_int_equal(of_underlay_id(&a, r), 0);
	assert_int_not_equal(of_underlay_own_id(&a.remote), of_underlay_own_id(&b.remote));
	assert_int_not_equal(of_underlay_own_id(&a.remote), 0);
	free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_underlay_picks_by_weight),
		cmocka_unit_test(test_underlay_failed_path_moves_its_own_flows_only),
		cmocka_unit_test(test_underlay_asks_the_provider),
		cmocka_unit_test(test_underlay_ids_name_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

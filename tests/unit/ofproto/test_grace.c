/* SPDX-License-Identifier: Apache-2.0
 *
 * Grace periods.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/alloc.h"
#include "lib/compiler.h"
#include "ofproto/grace.h"

struct object {
	struct grace_item retired;
	unsigned *n_freed;
};

static struct grace grace;
static struct grace_reader *late;
static struct object *next;

static struct object *
make(unsigned *n_freed)
{
	struct object *o = xcalloc(1, sizeof(*o));

	o->n_freed = n_freed;
	return o;
}

static void
release(struct grace_item *item)
{
	struct object *o = WEFT_CONTAINER_OF(item, struct object, retired);

	++*o->n_freed;
	free(o);
}

static void
test_grace_waits_for_those_inside(void **state)
{
	struct grace_reader *a, *b;
	unsigned n = 0;

	(void)state;
	grace_init(&grace);
	a = grace_reader_register(&grace);
	b = grace_reader_register(&grace);
	grace_enter(&grace, a);
	grace_enter(&grace, a);
	grace_retire(&grace, &make(&n)->retired, release);
	assert_true(grace_run(&grace, 10));
	/* Whoever enters now cannot have found it. */
	grace_enter(&grace, b);
	grace_leave(a);
	assert_true(grace_run(&grace, 10));
	assert_int_equal(n, 0);
	grace_leave(a);
	assert_false(grace_run(&grace, 10));
	assert_int_equal(n, 1);
	grace_retire(&grace, &make(&n)->retired, release);
	grace_retire(&grace, &make(&n)->retired, release);
	assert_true(grace_run(&grace, 10));
	grace_leave(b);
	assert_true(grace_run(&grace, 1));
	assert_int_equal(n, 2);
	assert_false(grace_run(&grace, 1));
	assert_int_equal(n, 3);
	grace_reader_unregister(a);
	grace_reader_unregister(b);
	grace_uninit(&grace);
}

static void
enter_and_retire(struct grace_item *item)
{
	release(item);
	/* Another thread comes in just now, finds the next object, and we unlink that. */
	grace_enter(&grace, late);
	grace_retire(&grace, &next->retired, release);
}

static void
test_grace_judges_anew_what_release_retires(void **state)
{
	unsigned n = 0;

	(void)state;
	grace_init(&grace);
	late = grace_reader_register(&grace);
	next = make(&n);
	grace_retire(&grace, &make(&n)->retired, enter_and_retire);
	assert_true(grace_run(&grace, 10));
	assert_int_equal(n, 1);
	assert_true(grace_run(&grace, 10));
	grace_leave(late);
	assert_false(grace_run(&grace, 10));
	assert_int_equal(n, 2);
	grace_reader_unregister(late);
	grace_uninit(&grace);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grace_waits_for_those_inside),
		cmocka_unit_test(test_grace_judges_anew_what_release_retires),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

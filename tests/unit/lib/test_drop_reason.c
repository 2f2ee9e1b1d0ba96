/* SPDX-License-Identifier: Apache-2.0
 *
 * Drop reasons: names are unique, lower case, and found again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/drop_reason.h"

static void
test_drop_reason_names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < DROP_N; i++) {
		const char *name = drop_reason_name((enum drop_reason)i);

		assert_int_equal(
			strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(name));
		assert_int_equal(drop_reason_by_name(name, strlen(name)), i);
		assert_true(strlen(drop_reason_text((enum drop_reason)i)) > 10);
	}
	assert_int_equal(drop_reason_by_name("explici", 7), DROP_N);
	assert_int_equal(drop_reason_by_name("explicitly", 8), DROP_EXPLICIT);
	assert_string_equal(drop_reason_name(DROP_N), "unknown");
	assert_string_equal(drop_reason_name((enum drop_reason)0xffffffffu), "unknown");
	assert_non_null(drop_reason_text(DROP_N));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_drop_reason_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

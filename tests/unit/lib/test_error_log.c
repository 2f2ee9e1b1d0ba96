/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors: the first wins. Logging: levels by module, limits, one clean line each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/error.h"
#include "lib/file.h"
#include "lib/log.h"

WEFT_LOG_MODULE(testing);

static void
test_error_first_wins(void **state)
{
	struct weft_error err = WEFT_ERROR_INIT, other = WEFT_ERROR_INIT;
	char expected[64];

	(void)state;
	assert_false(weft_error_is_set(&err));
	assert_false(weft_error_is_set(NULL));
	weft_error_prefix(&err, "nothing");
	assert_false(weft_error_set_at(&err, WEFT_ERR_OPENFLOW, 4, 9, 17, "first %d", 1));
	assert_false(weft_error_set(&err, WEFT_ERR_SYSTEM, 5, "second"));
	assert_false(weft_error_set(NULL, WEFT_ERR_SYSTEM, 5, "nowhere"));
	assert_int_equal(err.domain, WEFT_ERR_OPENFLOW);
	assert_int_equal(err.code, 4);
	assert_int_equal(err.subcode, 9);
	assert_int_equal(err.offset, 17);
	weft_error_prefix(&err, "port %s", "p1");
	snprintf(expected, sizeof expected, "port p1: first 1");
	assert_string_equal(err.text, expected);
	weft_error_move(&other, &err);
	assert_string_equal(other.text, expected);
	weft_error_init(&err);
	assert_false(weft_error_is_set(&err));
}

static void
test_error_long_texts_are_cut(void **state)
{
	struct weft_error err = WEFT_ERROR_INIT;
	char text[2000];

	(void)state;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	weft_error_set(&err, WEFT_ERR_INVALID, 0, "%s", text);
	assert_int_equal(strlen(err.text), WEFT_ERROR_TEXT - 1);
	weft_error_prefix(&err, "%s", text);
	assert_int_equal(strlen(err.text), WEFT_ERROR_TEXT - 1);
}

static unsigned
count_lines(const char *text, const char *word)
{
	unsigned n = 0;

	for (const char *at = strstr(text, word); at; at = strstr(at + 1, word)) {
		n++;
	}
	return n;
}

static void
test_log_levels_limits_and_clean_lines(void **state)
{
	char path[] = "/tmp/weft-test-log-XXXXXX", *text;
	struct weft_error err = WEFT_ERROR_INIT;
	size_t size;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_true(log_set_file(path, &err));
	assert_true(log_set_level("testing:warn", &err));
	LOG_INFO("quiet");
	LOG_WARN("loud %s", "evil\nline\033[1m");
	assert_true(log_set_level("dbg", &err));
	LOG_DBG("whispered");
	for (unsigned i = 0; i < 1000; i++) {
		LOG_ERR_RL("again and again");
	}
	assert_true(log_set_file(NULL, &err));
	assert_false(log_set_level("nothere:dbg", &err));
	weft_error_init(&err);
	assert_false(log_set_level("testing:loud", &err));
	assert_non_null(strstr(err.text, "loud"));
	text = file_read(path, 1 << 20, &size, NULL);
	assert_non_null(text);
	assert_null(strstr(text, "quiet"));
	assert_non_null(strstr(text, " warn testing: loud evil?line?[1m\n"));
	assert_non_null(strstr(text, " dbg testing: whispered\n"));
	assert_int_equal(count_lines(text, "again and again"), 10);
	free(text);
	unlink(path);
}

static void
test_file_is_written_whole_or_not(void **state)
{
	char path[] = "/tmp/weft-test-file-XXXXXX", *text;
	struct weft_error err = WEFT_ERROR_INIT;
	size_t size;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_true(file_write_atomically(path, "one", 3, &err));
	assert_true(file_write_atomically(path, "twelve", 6, &err));
	text = file_read(path, 100, &size, &err);
	assert_string_equal(text, "twelve");
	assert_int_equal(size, 6);
	free(text);
	assert_null(file_read(path, 5, &size, &err));
	assert_non_null(strstr(err.text, "longer than 5"));
	unlink(path);
	weft_error_init(&err);
	assert_null(file_read(path, 5, &size, &err));
	assert_int_equal(err.code, 2); /* ENOENT */
	weft_error_init(&err);
	assert_false(file_write_atomically("/nowhere/at/all", "x", 1, &err));
	assert_non_null(strstr(err.text, "/nowhere/at/all"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_first_wins),
		cmocka_unit_test(test_error_long_texts_are_cut),
		cmocka_unit_test(test_log_levels_limits_and_clean_lines),
		cmocka_unit_test(test_file_is_written_whole_or_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Wakeful: held from so many answers on, for as long as they come, and never without its file.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "controller-agent/timers.h"
#include "controller-agent/wakeful.h"

static struct event_base *base;
static struct timers *timers;
static uint64_t now;

static uint64_t
clock_ms(void *user)
{
	return now;
}

static int
setup(void **state)
{
	now = 1000;
	base = event_base_new();
	timers = timers_create(base, clock_ms, NULL);
	return 0;
}

static int
teardown(void **state)
{
	timers_destroy(timers);
	event_base_free(base);
	return 0;
}

static void
answers(struct wakeful *w, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		wakeful_answered(w);
	}
}

static void
pass(uint64_t ms)
{
	now += ms;
	timers_run(timers);
}

static void
test_wakeful_holds_while_answers_come(void **state)
{
	char path[] = "/tmp/weft-wakeful-XXXXXX";
	int fd = mkstemp(path);
	struct wakeful *w = wakeful_create(timers, path);
	int32_t written = -1;

	answers(w, WAKEFUL_ANSWERS - 1);
	assert_false(wakeful_is_held(w));
	pass(WAKEFUL_WINDOW_MS);
	answers(w, WAKEFUL_ANSWERS - 1); /* a new window begins at none */
	assert_false(wakeful_is_held(w));
	assert_int_equal(read(fd, &written, sizeof(written)), 0);
	answers(w, 1);
	assert_true(wakeful_is_held(w));
	assert_int_equal(read(fd, &written, sizeof(written)), sizeof(written));
	assert_int_equal(written, 0);

	for (unsigned i = 0; i < 3; i++) {
		pass(WAKEFUL_WINDOW_MS);
		assert_true(wakeful_is_held(w));
		answers(w, WAKEFUL_ANSWERS);
	}
	pass(WAKEFUL_WINDOW_MS);
	answers(w, WAKEFUL_ANSWERS - 1);
	assert_true(wakeful_is_held(w));
	pass(WAKEFUL_WINDOW_MS);
	assert_false(wakeful_is_held(w));
	assert_int_equal(read(fd, &written, sizeof(written)), 0); /* written once */

	answers(w, WAKEFUL_ANSWERS); /* and again */
	assert_true(wakeful_is_held(w));
	wakeful_destroy(w);
	close(fd);
	unlink(path);
}

/* Its descriptor is closed: that is what ends the request. */
static void
test_wakeful_closes_the_file(void **state)
{
	char path[] = "/tmp/weft-wakeful-XXXXXX";
	int fd = mkstemp(path);
	struct wakeful *w = wakeful_create(timers, path);
	int next = dup(fd);

	close(next); /* the number that the next one gets */
	answers(w, WAKEFUL_ANSWERS);
	assert_true(fcntl(next, F_GETFD) & FD_CLOEXEC);
	pass(WAKEFUL_WINDOW_MS);
	pass(WAKEFUL_WINDOW_MS);
	assert_int_equal(fcntl(next, F_GETFD), -1);
	answers(w, WAKEFUL_ANSWERS);
	assert_int_not_equal(fcntl(next, F_GETFD), -1);
	wakeful_destroy(w);
	assert_int_equal(fcntl(next, F_GETFD), -1);
	close(fd);
	unlink(path);
}

static void
test_wakeful_does_without(void **state)
{
	static const char *const paths[] = {NULL, "/nonexistent/latency", "/", "/dev/full"};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct wakeful *w = wakeful_create(timers, paths[i]);

		answers(w, 3 * WAKEFUL_ANSWERS);
		assert_false(wakeful_is_held(w));
		pass(WAKEFUL_WINDOW_MS);
		answers(w, 3 * WAKEFUL_ANSWERS);
		assert_false(wakeful_is_held(w));
		wakeful_destroy(w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_wakeful_holds_while_answers_come, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wakeful_closes_the_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wakeful_does_without, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Inbox: order, nothing lost, wake-ups. Runs under the thread sanitizer too.
 */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "controller-agent/inbox.h"

#define N_POSTERS 4
#define N_MESSAGES 20000

struct message {
	struct inbox_item item;
	unsigned poster;
	unsigned number;
};

static struct inbox inbox;

static void
post(unsigned poster, unsigned number)
{
	struct message *m = malloc(sizeof(*m));

	assert_non_null(m);
	m->poster = poster;
	m->number = number;
	inbox_post(&inbox, &m->item);
}

static bool
take(unsigned *poster, unsigned *number)
{
	struct message *m = (struct message *)inbox_take(&inbox);

	if (!m) {
		return false;
	}
	*poster = m->poster;
	*number = m->number;
	free(m);
	return true;
}

static void
test_inbox_keeps_order(void **state)
{
	unsigned poster, number;

	(void)state;
	inbox_init(&inbox, -1);
	assert_true(inbox_is_empty(&inbox));
	assert_false(take(&poster, &number));
	for (unsigned i = 0; i < 3; i++) {
		post(0, i);
	}
	assert_true(take(&poster, &number));
	assert_int_equal(number, 0);
	post(0, 3); /* comes behind what was taken but not handed out */
	assert_false(inbox_is_empty(&inbox));
	for (unsigned i = 1; i < 4; i++) {
		assert_true(take(&poster, &number));
		assert_int_equal(number, i);
	}
	assert_true(inbox_is_empty(&inbox));
}

static void
test_inbox_wakes_once_for_many(void **state)
{
	unsigned poster, number;
	uint64_t count = 0;
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	(void)state;
	inbox_init(&inbox, fd);
	post(0, 0);
	post(0, 1);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	while (take(&poster, &number)) {
	}
	post(0, 2);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_true(take(&poster, &number));
	close(fd);
}

static void *
run_poster(void *arg)
{
	for (unsigned i = 0; i < N_MESSAGES; i++) {
		post((unsigned)(uintptr_t)arg, i);
	}
	return NULL;
}

static void
test_inbox_loses_nothing_of_many_posters(void **state)
{
	unsigned next[N_POSTERS] = {0}, n = 0, poster, number;
	pthread_t threads[N_POSTERS];
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	(void)state;
	inbox_init(&inbox, fd);
	for (uintptr_t i = 0; i < N_POSTERS; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, run_poster, (void *)i), 0);
	}
	while (n < N_POSTERS * N_MESSAGES) {
		uint64_t count;

		/* A lost wake-up shows as a time-out. */
		assert_int_equal(poll(&wait, 1, 20000), 1);
		assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
		while (take(&poster, &number)) {
			assert_int_equal(number, next[poster]++);
			n++;
		}
	}
	for (unsigned i = 0; i < N_POSTERS; i++) {
		pthread_join(threads[i], NULL);
	}
	assert_true(inbox_is_empty(&inbox));
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inbox_keeps_order),
		cmocka_unit_test(test_inbox_wakes_once_for_many),
		cmocka_unit_test(test_inbox_loses_nothing_of_many_posters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

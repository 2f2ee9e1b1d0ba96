/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared-memory ring between two threads, with sleep and wake. Runs under the thread sanitizer too, with
 * delays where they hurt.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/shm_ring.h"
#include "tests/unit/race_delay.h"

#define SIZE (1u << 13)
#define N_RECORDS 60000u
#define BURST 7u
/* The producer lets the consumer fall asleep so often. */
#define N_PAUSES 50u
#define N_ROUNDS 100000u
#define N_SPINS 5000u /* then the consumer may need the producer's core */
#define ROUNDS_S 10   /* a busy machine makes fewer rounds */
#define WAKE_TIMEOUT_MS 30000

struct test {
	struct shm_ring in, out;
	void *memory;
	int event_fd;
	unsigned n_sleeps;
	bool lost_wake;
	_Atomic bool stop; /* the producer is to give up */
};

/* Length and contents follow from the number. */
static uint32_t
len_of(uint32_t n)
{
	return 4 + n * 2654435761u % 200;
}

static void *
produce(void *arg)
{
	struct test *t = arg;

	for (uint32_t n = 0; n < N_RECORDS;) {
		uint8_t *at = shm_ring_reserve(&t->in, n & 0xffff, len_of(n));

		if (!at) {
			shm_ring_publish(&t->in);
			sched_yield();
			continue;
		}
		RACE_POINT();
		memset(at, (int)(n & 0xff), len_of(n));
		memcpy(at, &n, sizeof n);
		n++;
		if (n % BURST == 0) {
			shm_ring_publish(&t->in);
		}
		if (n % (N_RECORDS / N_PAUSES) == 0 && n < N_RECORDS) {
			while (!atomic_load_explicit(&t->in.shared->asleep, memory_order_relaxed)) {
				shm_ring_publish(&t->in);
				sched_yield();
			}
		}
	}
	shm_ring_publish(&t->in);
	return NULL;
}

static void
wait_for_records(struct test *t)
{
	struct pollfd fd = {.fd = t->event_fd, .events = POLLIN};

	if (!shm_ring_sleep(&t->out)) {
		return;
	}
	t->n_sleeps++;
	if (poll(&fd, 1, WAKE_TIMEOUT_MS) != 1) {
		t->lost_wake = true;
	}
	shm_ring_woken(&t->out);
}

static void
test_shm_ring_between_threads(void **state)
{
	struct test t = {.event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
	uint8_t buf[256], want[256];
	pthread_t producer;

	(void)state;
	t.memory = aligned_alloc(64, SHM_RING_HEADER_SIZE + SIZE);
	shm_ring_init_private(&t.in, t.memory, SIZE, t.event_fd);
	shm_ring_init_private(&t.out, t.memory, SIZE, t.event_fd);
	assert_int_equal(pthread_create(&producer, NULL, produce, &t), 0);
	for (uint32_t n = 0; n < N_RECORDS && !t.lost_wake;) {
		uint32_t kind;
		int len = shm_ring_read(&t.out, buf, sizeof buf, &kind);

		if (len == -EAGAIN) {
			wait_for_records(&t);
			continue;
		}
		assert_int_equal(len, len_of(n));
		assert_int_equal(kind, n & 0xffff);
		memset(want, (int)(n & 0xff), sizeof want);
		memcpy(want, &n, sizeof n);
		assert_memory_equal(buf, want, (size_t)len);
		n++;
		if (n % 3 == 0) {
			shm_ring_release(&t.out);
		}
	}
	assert_false(t.lost_wake);
	pthread_join(producer, NULL);
	assert_true(t.n_sleeps >= N_PAUSES - 1);
	assert_true(!HAS_RACE_POINTS || n_race_delays > N_RECORDS / 100);
	free(t.memory);
	close(t.event_fd);
}

/* Publishes each record just when the consumer, having given back the last one, falls asleep. */
static void *
produce_one_by_one(void *arg)
{
	struct test *t = arg;

	for (uint32_t n = 0; n < N_ROUNDS; n++) {
		for (unsigned spins = 0; shm_ring_used(&t->in); spins++) {
			if (atomic_load(&t->stop)) {
				return NULL;
			}
			if (spins % N_SPINS == N_SPINS - 1) {
				sched_yield();
			}
		}
		shm_ring_reserve(&t->in, n, 0);
		shm_ring_publish(&t->in);
	}
	return NULL;
}

/* No wake-up is lost: needs the fences of both sides. */
static void
test_shm_ring_wakes_always(void **state)
{
	struct test t = {.event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
	time_t end = time(NULL) + ROUNDS_S;
	pthread_t producer;
	uint32_t n = 0;

	(void)state;
	t.memory = aligned_alloc(64, SHM_RING_HEADER_SIZE + SIZE);
	shm_ring_init_private(&t.in, t.memory, SIZE, t.event_fd);
	shm_ring_init_private(&t.out, t.memory, SIZE, t.event_fd);
	assert_int_equal(pthread_create(&producer, NULL, produce_one_by_one, &t), 0);
	while (n < N_ROUNDS && !t.lost_wake && time(NULL) < end) {
		uint32_t kind;
		char nothing;

		if (shm_ring_read(&t.out, &nothing, 0, &kind) == -EAGAIN) {
			/* The news that the ring is empty takes its time to the producer: meet it there. */
			shm_ring_release(&t.out);
			for (volatile uint32_t spin = n % 256; spin > 0; spin--) {
			}
			wait_for_records(&t);
		} else {
			assert_int_equal(kind, n++);
		}
	}
	atomic_store(&t.stop, true);
	pthread_join(producer, NULL);
	assert_false(t.lost_wake);
	assert_true(n > 0);
	free(t.memory);
	close(t.event_fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shm_ring_between_threads),
		cmocka_unit_test(test_shm_ring_wakes_always),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Packet queue: rate, burst, turns of ports, and who loses what, to the message.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller-agent/packet_queue.h"
#include "lib/compiler.h"

#define NOW 5000u

/* Messages of @size bytes that begin with their port and a running number of it. */
struct message {
	uint32_t port;
	uint32_t number;
};

static struct packet_queue queue;
static uint8_t bytes[70000];

static void
put(uint32_t port, uint32_t number, size_t size)
{
	const struct message m = {port, number};

	memcpy(bytes, &m, sizeof(m));
	packet_queue_put(&queue, port, (uint8_t)port, bytes, size);
}

/* The next message is that one. */
static void
expect(uint64_t now, uint32_t port, uint32_t number)
{
	struct queued_packet *packet = packet_queue_take(&queue, now);
	struct message m;

	assert_non_null(packet);
	memcpy(&m, packet->bytes, sizeof(m));
	assert_int_equal(m.port, port);
	assert_int_equal(m.number, number);
	assert_int_equal(packet->reason, (uint8_t)port);
	free(packet);
}

static void
expect_none(uint64_t now)
{
	assert_null(packet_queue_take(&queue, now));
}

static void
expect_counts(uint64_t sent, uint64_t queued, uint64_t dropped, size_t waiting)
{
	assert_int_equal(queue.n_sent, sent);
	assert_int_equal(queue.n_queued, queued);
	assert_int_equal(queue.n_dropped, dropped);
	assert_int_equal(queue.n, waiting);
	assert_int_equal(hmap_count(&queue.ports) != 0, waiting != 0);
}

static void
test_packet_queue_keeps_the_rate(void **state)
{
	(void)state;
	packet_queue_init(&queue);
	packet_queue_set_rate(&queue, 10, 5, NOW);
	for (unsigned i = 0; i < 5; i++) {
		assert_true(packet_queue_pass(&queue, NOW));
	}
	assert_false(packet_queue_pass(&queue, NOW));
	assert_int_equal(packet_queue_due(&queue, NOW), UINT64_MAX);
	for (unsigned i = 0; i < 3; i++) {
		put(1, i, 100);
	}
	expect_counts(5, 3, 0, 3);
	/* One each 100 ms, to the ms, and none past those that wait. */
	assert_int_equal(packet_queue_due(&queue, NOW + 30), NOW + 100);
	expect_none(NOW + 99);
	assert_false(packet_queue_pass(&queue, NOW + 150));
	expect(NOW + 150, 1, 0);
	expect_none(NOW + 199);
	assert_int_equal(packet_queue_due(&queue, NOW + 199), NOW + 200);
	expect(NOW + 200, 1, 1);
	expect(NOW + 300, 1, 2);
	expect_counts(8, 3, 0, 0);
	/* A pause fills the bucket to the burst and no further, be it short or long. */
	assert_true(packet_queue_pass(&queue, NOW + 600));
	for (unsigned i = 0; i < 5; i++) {
		assert_true(packet_queue_pass(&queue, NOW + 1000));
	}
	assert_false(packet_queue_pass(&queue, NOW + 1000));
	expect_counts(14, 3, 0, 0);
	packet_queue_set_rate(&queue, 16, 5, NOW + 1000);
	for (unsigned i = 0; i < 5; i++) {
		assert_true(packet_queue_pass(&queue, NOW + 1000 + (UINT64_C(1) << 60)));
	}
	assert_false(packet_queue_pass(&queue, NOW + 1000 + (UINT64_C(1) << 60)));
	packet_queue_uninit(&queue);
}

/* A thousand ms of a flood at one port, and a packet now and then at others. */
static void
test_packet_queue_is_fair_by_port(void **state)
{
	unsigned n_flood = 0, n_slow = 0, got_flood = 0, got_slow[3] = {0};
	struct queued_packet *packet;

	(void)state;
	packet_queue_init(&queue);
	packet_queue_set_rate(&queue, 100, 20, NOW);
	for (uint64_t now = NOW; now < NOW + 1000; now++) {
		for (unsigned i = 0; i < 10; i++) {
			n_flood++;
			if (packet_queue_pass(&queue, now)) {
				got_flood++;
			} else {
				put(9, n_flood, 60);
			}
		}
		if (now % 40 == 0) {
			uint32_t port = (uint32_t)(now / 40 % 3);

			n_slow++;
			if (packet_queue_pass(&queue, now)) {
				got_slow[port]++;
			} else {
				put(port, 0, 60000);
			}
		}
		while ((packet = packet_queue_take(&queue, now)) != NULL) {
			struct message m;

			memcpy(&m, packet->bytes, sizeof(m));
			*(m.port == 9 ? &got_flood : &got_slow[m.port]) += 1;
			free(packet);
		}
	}
	assert_int_equal(n_slow, 25);
	/* 20 at once, then 100 a second; whatever the others sent has left, but for what waits. */
	assert_int_equal(queue.n_sent, 119);
	assert_int_equal(got_flood + got_slow[0] + got_slow[1] + got_slow[2], 119);
	assert_int_equal(got_slow[0] + got_slow[1] + got_slow[2], 25);
	assert_int_equal(queue.n, 20);
	assert_int_equal(queue.n_dropped, n_flood + n_slow - 119 - 20);
	packet_queue_uninit(&queue);
}

static void
test_packet_queue_takes_turns(void **state)
{
	(void)state;
	packet_queue_init(&queue);
	for (unsigned i = 0; i < 4; i++) {
		put(1, i, 10);
	}
	put(2, 0, 10);
	put(3, 0, 10);
	put(3, 1, 10);
	expect(NOW, 1, 0);
	expect(NOW, 2, 0);
	expect(NOW, 3, 0);
	put(2, 1, 10); /* a port that comes back stands behind all others */
	expect(NOW, 1, 1);
	expect(NOW, 3, 1);
	expect(NOW, 2, 1);
	expect(NOW, 1, 2);
	expect(NOW, 1, 3);
	expect_none(NOW);
	expect_counts(8, 8, 0, 0);
	packet_queue_uninit(&queue);
}

/* Without a rate: who holds most loses its newest, be it messages or bytes. */
static void
test_packet_queue_is_bounded(void **state)
{
	(void)state;
	packet_queue_init(&queue);
	for (unsigned i = 0; i < PACKET_QUEUE_MAX + 10; i++) {
		put(1, i, 10);
	}
	expect_counts(0, PACKET_QUEUE_MAX, 10, PACKET_QUEUE_MAX);
	for (unsigned i = 0; i < 3; i++) {
		put(2, i, 10);
	}
	expect_counts(0, PACKET_QUEUE_MAX + 3, 13, PACKET_QUEUE_MAX);
	/* Few large ones are little beside many small ones: the number was exceeded. */
	put(3, 0, 5000);
	expect_counts(0, PACKET_QUEUE_MAX + 4, 14, PACKET_QUEUE_MAX);
	expect(NOW, 1, 0);
	expect(NOW, 2, 0);
	expect(NOW, 3, 0);
	expect(NOW, 1, 1);
	expect(NOW, 2, 1);
	expect(NOW, 1, 2);
	expect(NOW, 2, 2);
	for (unsigned i = 3; i < PACKET_QUEUE_MAX - 4; i++) {
		expect(NOW, 1, i);
	}
	expect_none(NOW);
	assert_int_equal(queue.n_bytes, 0);
	packet_queue_uninit(&queue);

	packet_queue_init(&queue);
	for (unsigned i = 0; i < 20; i++) {
		put(1, i, 1000);
	}
	for (unsigned i = 0; i < 20; i++) {
		put(2, i, 65536); /* sixteen of them fill it */
	}
	expect_counts(0, 35, 5, 35);
	assert_int_equal(queue.n_bytes, 20u * 1000 + 15u * 65536);
	put(3, 0, 60000);
	expect_counts(0, 36, 6, 35);
	packet_queue_uninit(&queue);
}

/* The burst bounds the queue where there is a rate; equals lose what came last. */
static void
test_packet_queue_bounds_the_wait(void **state)
{
	(void)state;
	packet_queue_init(&queue);
	packet_queue_set_rate(&queue, 1000, 0, NOW);
	assert_int_equal(queue.burst, 250);
	packet_queue_set_rate(&queue, 3, 0, NOW);
	assert_int_equal(queue.burst, 1);
	packet_queue_set_rate(&queue, 1000, 4, NOW);
	put(1, 0, 10);
	put(1, 1, 10);
	put(2, 0, 10);
	put(2, 1, 10);
	put(2, 2, 10); /* three against two */
	put(1, 2, 10);
	put(3, 0, 10); /* two, two and one: the first of the longest */
	expect_counts(0, 5, 3, 4);
	/* It had one token, from the burst of one. */
	expect(NOW, 1, 0);
	expect_none(NOW);
	expect(NOW + 1, 2, 0);
	expect(NOW + 2, 3, 0);
	expect(NOW + 3, 2, 1);
	expect_counts(4, 5, 3, 0);
	/* Not sent after all: the token comes back. */
	put(1, 9, 10);
	expect(NOW + 4, 1, 9);
	packet_queue_unsent(&queue);
	expect_counts(4, 6, 4, 0);
	assert_true(packet_queue_pass(&queue, NOW + 4));
	assert_false(packet_queue_pass(&queue, NOW + 4));
	/* No rate any more: all go. */
	packet_queue_set_rate(&queue, 0, 0, NOW + 4);
	for (unsigned i = 0; i < 1000; i++) {
		assert_true(packet_queue_pass(&queue, NOW + 4));
	}
	packet_queue_uninit(&queue);
}

/* A smaller burst is one for those that wait already. */
static void
test_packet_queue_shrinks(void **state)
{
	(void)state;
	packet_queue_init(&queue);
	for (unsigned i = 0; i < 3; i++) {
		put(1, i, 60);
		put(2, i, 60);
	}
	expect_counts(0, 6, 0, 6);
	packet_queue_set_rate(&queue, 1000, 2, NOW);
	expect_counts(0, 6, 4, 2);
	/* Each port has as many as the new one: that one goes, though more than one is too much. */
	queue.burst = 1;
	put(3, 0, 60);
	expect_counts(0, 6, 6, 1);
	expect(NOW, 2, 0);
	packet_queue_uninit(&queue);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packet_queue_keeps_the_rate),
		cmocka_unit_test(test_packet_queue_is_fair_by_port),
		cmocka_unit_test(test_packet_queue_takes_turns),
		cmocka_unit_test(test_packet_queue_is_bounded),
		cmocka_unit_test(test_packet_queue_bounds_the_wait),
		cmocka_unit_test(test_packet_queue_shrinks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

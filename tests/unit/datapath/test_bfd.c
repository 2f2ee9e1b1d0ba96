/* SPDX-License-Identifier: Apache-2.0
 *
 * BFD: the state machine against RFC 5880, with a clock of the test's own. Packets are made and read by the test's own
 * code.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "datapath/bfd.h"
#include "lib/compiler.h"

#define MS 1000u
#define S (1000u * MS)
#define MINE 0x11223344u
#define THEIRS 0x55667788u
#define P 0x20u
#define F 0x10u
#define D 0x02u

static const struct bfd_config fast = {.min_tx_us = 10 * MS, .min_rx_us = 20 * MS, .mult = 3};

static uint32_t
word(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void
put_word(uint8_t *at, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++) {
		at[i] = (uint8_t)(v >> (24 - 8 * i));
	}
}

/* A control packet as RFC 5880 s.4.1 draws it. */
static void
draw(uint8_t b[24], unsigned state, unsigned flags, uint32_t your)
{
	memset(b, 0, 24);
	b[0] = 1 << 5;
	b[1] = (uint8_t)(state << 6 | flags);
	b[2] = 3;
	b[3] = 24;
	put_word(b + 4, THEIRS);
	put_word(b + 8, your);
	put_word(b + 12, 10 * MS);
	put_word(b + 16, 10 * MS);
}

static bool
hear_bytes(struct bfd *b, const uint8_t *bytes, uint64_t now)
{
	struct bfd_packet p;

	assert_true(bfd_packet_parse(bytes, 24, &p));
	return bfd_receive(b, &p, now);
}

static bool
hear(struct bfd *b, unsigned state, unsigned flags, uint64_t now)
{
	uint8_t bytes[24];

	draw(bytes, state, flags, b->local_discr);
	return hear_bytes(b, bytes, now);
}

/* Sends what is due at that time; how many. The last one stands in @bytes. */
static unsigned
run(struct bfd *b, uint64_t now, uint8_t bytes[24])
{
	unsigned n = 0;

	while (bfd_run(b, now)) {
		bfd_packet_write(b, bytes);
		bfd_sent(b, now);
		assert_true(++n < 10);
	}
	return n;
}

/* Sends what is due from @now to @until; how many. */
static unsigned
run_until(struct bfd *b, uint64_t now, uint64_t until, uint8_t bytes[24])
{
	unsigned n = 0;

	while (bfd_due(b) <= until) {
		now = WEFT_MAX(now, bfd_due(b));
		n += run(b, now, bytes);
	}
	return n;
}

static struct bfd
made(unsigned state)
{
	struct bfd b;
	uint8_t bytes[24];

	bfd_init(&b, MINE, &fast, 0);
	if (state == BFD_ADMIN_DOWN) {
		struct bfd_config config = fast;

		config.admin_down = true;
		bfd_configure(&b, &config, 0);
	} else if (state != BFD_DOWN) {
		assert_true(hear(&b, state == BFD_INIT ? BFD_DOWN : BFD_INIT, 0, 0));
	}
	assert_int_equal(b.state, state);
	run(&b, 0, bytes);
	return b;
}

/* RFC 5880 s.6.2 and s.6.8.6. */
static void
test_bfd_state_follows_neighbour(void **state)
{
	static const struct {
		unsigned before, heard, after, diag;
	} rows[] = {
		{BFD_DOWN, BFD_ADMIN_DOWN, BFD_DOWN, BFD_DIAG_NONE},
		{BFD_DOWN, BFD_DOWN, BFD_INIT, BFD_DIAG_NONE},
		{BFD_DOWN, BFD_INIT, BFD_UP, BFD_DIAG_NONE},
		{BFD_DOWN, BFD_UP, BFD_DOWN, BFD_DIAG_NONE},
		{BFD_INIT, BFD_ADMIN_DOWN, BFD_DOWN, BFD_DIAG_NEIGHBOUR_DOWN},
		{BFD_INIT, BFD_DOWN, BFD_INIT, BFD_DIAG_NONE},
		{BFD_INIT, BFD_INIT, BFD_UP, BFD_DIAG_NONE},
		{BFD_INIT, BFD_UP, BFD_UP, BFD_DIAG_NONE},
		{BFD_UP, BFD_ADMIN_DOWN, BFD_DOWN, BFD_DIAG_NEIGHBOUR_DOWN},
		{BFD_UP, BFD_DOWN, BFD_DOWN, BFD_DIAG_NEIGHBOUR_DOWN},
		{BFD_UP, BFD_INIT, BFD_UP, BFD_DIAG_NONE},
		{BFD_UP, BFD_UP, BFD_UP, BFD_DIAG_NONE},
		{BFD_ADMIN_DOWN, BFD_DOWN, BFD_ADMIN_DOWN, BFD_DIAG_ADMIN_DOWN},
		{BFD_ADMIN_DOWN, BFD_INIT, BFD_ADMIN_DOWN, BFD_DIAG_ADMIN_DOWN},
		{BFD_ADMIN_DOWN, BFD_UP, BFD_ADMIN_DOWN, BFD_DIAG_ADMIN_DOWN},
	};

	(void)state;
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(rows); i++) {
		struct bfd b = made(rows[i].before);
		bool changes = rows[i].before != rows[i].after;
		uint8_t bytes[24] = {0};

		assert_int_equal(
			hear(&b, rows[i].heard, 0, 5 * MS), rows[i].before != BFD_ADMIN_DOWN);
		assert_int_equal(b.state, rows[i].after);
		assert_int_equal(b.diag, rows[i].diag);
		/* The news goes at once; else nothing does, but when the neighbour is heard first. */
		assert_int_equal(
			run(&b, 5 * MS, bytes) != 0, changes || (rows[i].before == BFD_DOWN));
		if (changes) {
			assert_int_equal(bytes[1] >> 6, rows[i].after);
			assert_int_equal(bytes[0], 1 << 5 | rows[i].diag);
			assert_int_equal(word(bytes + 8), THEIRS);
		}
	}
}

static void
test_bfd_parse_refuses(void **state)
{
	struct bfd_packet p;
	uint8_t good[24], bytes[24];

	(void)state;
	draw(good, BFD_UP, P | D, MINE);
	good[0] |= 7;
	assert_true(bfd_packet_parse(good, 24, &p));
	assert_int_equal(p.state, BFD_UP);
	assert_int_equal(p.diag, 7);
	assert_int_equal(p.mult, 3);
	assert_true(p.poll && p.demand && !p.final);
	assert_int_equal(p.my_discr, THEIRS);
	assert_int_equal(p.your_discr, MINE);
	assert_int_equal(p.min_tx_us, 10 * MS);
	for (uint32_t len = 0; len < 24; len++) {
		assert_false(bfd_packet_parse(good, len, &p));
	}
#define REFUSED(AT, VALUE)                                                                         \
	do {                                                                                       \
		memcpy(bytes, good, 24);                                                           \
		bytes[AT] = (VALUE);                                                               \
		assert_false(bfd_packet_parse(bytes, 24, &p));                                     \
	} while (0)
	REFUSED(0, 0);           /* version 0 */
	REFUSED(0, 2 << 5);      /* version 2 */
	REFUSED(1, 0xc0 | 0x01); /* multipoint */
	REFUSED(1, 0xc0 | 0x04); /* authenticated */
	REFUSED(2, 0);           /* multiplier */
	REFUSED(3, 23);          /* length */
	REFUSED(3, 25);          /* longer than what is there */
	memcpy(bytes, good, 24);
	put_word(bytes + 4, 0);
	assert_false(bfd_packet_parse(bytes, 24, &p));
	/* Without the discriminator of ours only who is down may come. */
	for (unsigned s = BFD_ADMIN_DOWN; s <= BFD_UP; s++) {
		draw(bytes, s, 0, 0);
		assert_int_equal(bfd_packet_parse(bytes, 24, &p), s <= BFD_DOWN);
	}
	/* What stands behind the packet, of which the length says that it is part, is not looked at. */
	draw(bytes, BFD_DOWN, 0, 0);
	assert_true(bfd_packet_parse(bytes, 24, &p));
}

static void
test_bfd_discriminator_of_another(void **state)
{
	struct bfd b = made(BFD_UP);
	uint64_t detect_at = b.detect_at;
	uint8_t bytes[24];

	(void)state;
	draw(bytes, BFD_DOWN, 0, MINE + 1);
	assert_false(hear_bytes(&b, bytes, 5 * MS));
	assert_int_equal(b.state, BFD_UP);
	assert_true(b.detect_at == detect_at);
}

/* s.6.8.3, s.6.8.7: not more often than once a second before it is up, less a quarter at most. */
static void
test_bfd_is_slow_until_up(void **state)
{
	struct bfd b = made(BFD_DOWN);
	uint64_t before = 0, least = UINT64_MAX, most = 0;
	uint8_t bytes[24];

	(void)state;
	for (unsigned i = 0; i < 500; i++) {
		uint64_t due = bfd_due(&b);

		least = WEFT_MIN(least, due - before);
		most = WEFT_MAX(most, due - before);
		assert_int_equal(run(&b, due - 1, bytes), 0);
		assert_int_equal(run(&b, due, bytes), 1);
		assert_int_equal(word(bytes + 12), 1 * S);
		assert_int_equal(word(bytes + 16), 20 * MS);
		before = due;
	}
	assert_in_range(least, 750 * MS, 770 * MS);
	assert_in_range(most, 980 * MS, 1 * S);
}

/* s.6.8.7: with a multiplier of 1 at least a tenth is taken off. */
static void
test_bfd_jitter_of_single(void **state)
{
	struct bfd_config config = {.min_tx_us = 2 * S, .min_rx_us = 2 * S, .mult = 1};
	uint64_t before = 0, least = UINT64_MAX, most = 0;
	uint8_t bytes[24];
	struct bfd b;

	(void)state;
	bfd_init(&b, MINE, &config, 0);
	run(&b, 0, bytes);
	for (unsigned i = 0; i < 500; i++) {
		uint64_t due = bfd_due(&b);

		least = WEFT_MIN(least, due - before);
		most = WEFT_MAX(most, due - before);
		assert_int_equal(run(&b, due, bytes), 1);
		before = due;
	}
	assert_in_range(least, 1500 * MS, 1520 * MS);
	assert_in_range(most, 1780 * MS, 1800 * MS);
}

/* s.6.5, s.6.8.3: what it wants when up is polled until it is confirmed. */
static void
test_bfd_polls_when_up(void **state)
{
	struct bfd b;
	uint8_t bytes[24];

	(void)state;
	bfd_init(&b, MINE, &fast, 0);
	run(&b, 0, bytes);
	assert_int_equal(bytes[1], BFD_DOWN << 6);
	assert_true(hear(&b, BFD_INIT, 0, 1 * MS));
	assert_int_equal(run(&b, 1 * MS, bytes), 1);
	assert_int_equal(bytes[1], BFD_UP << 6 | P);
	assert_int_equal(word(bytes + 12), 10 * MS);
	/* To send more often it need not wait. */
	assert_in_range(bfd_due(&b), 1 * MS + 7500, 11 * MS);
	assert_int_equal(run(&b, 11 * MS, bytes), 1);
	assert_int_equal(bytes[1], BFD_UP << 6 | P);
	assert_true(hear(&b, BFD_UP, F, 12 * MS));
	assert_int_equal(run(&b, 21 * MS, bytes), 1);
	assert_int_equal(bytes[1], BFD_UP << 6);
}

/* s.6.5: an answer goes at once, never together with a poll, which goes behind it. */
static void
test_bfd_answers_poll(void **state)
{
	struct bfd b = made(BFD_UP);
	uint8_t bytes[24];

	(void)state;
	assert_true(hear(&b, BFD_UP, P, 2 * MS));
	assert_true(bfd_due(&b) <= 2 * MS);
	assert_true(bfd_run(&b, 2 * MS));
	bfd_packet_write(&b, bytes);
	assert_int_equal(bytes[1], BFD_UP << 6 | F);
	bfd_sent(&b, 2 * MS);
	assert_true(bfd_run(&b, 2 * MS));
	bfd_packet_write(&b, bytes);
	assert_int_equal(bytes[1], BFD_UP << 6 | P);
	bfd_sent(&b, 2 * MS);
	assert_false(bfd_run(&b, 2 * MS));
	/* Nothing of its own to ask: the answer alone, beside the plan. */
	assert_true(hear(&b, BFD_UP, F, 3 * MS));
	run(&b, 3 * MS, bytes);
	assert_true(hear(&b, BFD_UP, P, 4 * MS));
	assert_int_equal(run(&b, 4 * MS, bytes), 1);
	assert_int_equal(bytes[1], BFD_UP << 6 | F);
	assert_true(bfd_due(&b) > 4 * MS);
}

/* s.6.8.4: the neighbour's multiplier, and the slower of what it sends and we take. */
static void
test_bfd_detects_silence(void **state)
{
	struct bfd b = made(BFD_UP);
	uint8_t bytes[24];

	(void)state;
	assert_true(hear(&b, BFD_UP, F, 100 * MS));
	assert_true(bfd_detect_us(&b) == 3 * 20 * MS);
	run_until(&b, 100 * MS, 160 * MS - 1, bytes);
	assert_int_equal(b.state, BFD_UP);
	assert_true(bfd_is_forwarding(&b));
	assert_int_equal(run(&b, 160 * MS, bytes), 1);
	assert_int_equal(b.state, BFD_DOWN);
	assert_false(bfd_is_forwarding(&b));
	assert_int_equal(bytes[0], 1 << 5 | BFD_DIAG_EXPIRED);
	assert_int_equal(bytes[1], BFD_DOWN << 6);
	assert_int_equal(word(bytes + 8), 0); /* s.6.8.1: RemoteDiscr */
	assert_int_equal(word(bytes + 12), 1 * S);
	assert_true(b.n_up == 1 && b.n_down == 1);
	/* A neighbour that sends more slowly than we take. */
	b = made(BFD_UP);
	draw(bytes, BFD_UP, 0, MINE);
	bytes[2] = 5;
	put_word(bytes + 12, 50 * MS);
	assert_true(hear_bytes(&b, bytes, 0));
	assert_true(bfd_detect_us(&b) == 250 * MS);
}

/* s.6.8.3: while up, to send less often and to miss the neighbour sooner wait for its answer. */
static void
test_bfd_changes_wait_for_answer(void **state)
{
	struct bfd b = made(BFD_UP);
	struct bfd_config slower = {.min_tx_us = 40 * MS, .min_rx_us = 15 * MS, .mult = 4};
	struct bfd_config again = {.min_tx_us = 60 * MS, .min_rx_us = 15 * MS, .mult = 4};
	uint8_t bytes[24];

	(void)state;
	assert_true(hear(&b, BFD_UP, F, 1 * MS));
	run(&b, 1 * MS, bytes);
	bfd_configure(&b, &slower, 2 * MS);
	assert_int_equal(run(&b, 2 * MS, bytes), 1);
	assert_int_equal(bytes[1], BFD_UP << 6 | P);
	assert_int_equal(bytes[2], 4);
	assert_int_equal(word(bytes + 12), 40 * MS);
	assert_int_equal(word(bytes + 16), 15 * MS);
	assert_int_equal(bfd_tx_interval_us(&b), 10 * MS);
	assert_true(bfd_detect_us(&b) == 3 * 20 * MS);
	/* What is wanted meanwhile is asked for when this is confirmed. */
	bfd_configure(&b, &again, 3 * MS);
	assert_int_equal(run(&b, 3 * MS, bytes), 0);
	assert_true(hear(&b, BFD_UP, F, 4 * MS));
	assert_int_equal(bfd_tx_interval_us(&b), 40 * MS);
	assert_true(bfd_detect_us(&b) == 3 * 15 * MS);
	assert_int_equal(run(&b, 4 * MS, bytes), 1);
	assert_int_equal(bytes[1], BFD_UP << 6 | P);
	assert_int_equal(word(bytes + 12), 60 * MS);
	assert_true(hear(&b, BFD_UP, F, 5 * MS));
	assert_int_equal(bfd_tx_interval_us(&b), 60 * MS);
}

/* s.6.8.7: the neighbour's demand mode, and one that wants nothing. */
static void
test_bfd_is_silent_on_demand(void **state)
{
	struct bfd_config wanted = {.min_tx_us = 9 * MS, .min_rx_us = 20 * MS, .mult = 3};
	struct bfd b = made(BFD_UP);
	uint8_t bytes[24];

	(void)state;
	assert_true(hear(&b, BFD_UP, F | D, 0));
	run(&b, 0, bytes);
	assert_int_equal(run_until(&b, 0, 59 * MS, bytes), 0);
	assert_true(hear(&b, BFD_UP, P | D, 59 * MS));
	assert_int_equal(run(&b, 59 * MS, bytes), 1);
	assert_int_equal(bytes[1], BFD_UP << 6 | F);
	assert_true(hear(&b, BFD_UP, 0, 60 * MS));
	assert_int_not_equal(run_until(&b, 60 * MS, 80 * MS, bytes), 0);

	/* A poll goes all the same, again and again. */
	assert_true(hear(&b, BFD_UP, D, 80 * MS));
	bfd_configure(&b, &wanted, 80 * MS);
	assert_in_range(run_until(&b, 80 * MS, 120 * MS, bytes), 3, 6);
	assert_int_equal(bytes[1], BFD_UP << 6 | P);
	assert_true(hear(&b, BFD_UP, F | D, 120 * MS));
	assert_int_equal(run_until(&b, 120 * MS, 179 * MS, bytes), 0);
	/* And who is down speaks. */
	assert_int_not_equal(run_until(&b, 179 * MS, 2 * S, bytes), 0);
	assert_int_equal(b.state, BFD_DOWN);
	assert_int_equal(bytes[1], BFD_DOWN << 6);

	b = made(BFD_UP);
	draw(bytes, BFD_UP, 0, MINE);
	put_word(bytes + 16, 0);
	assert_true(hear_bytes(&b, bytes, 80 * MS));
	assert_int_equal(run_until(&b, 80 * MS, 139 * MS, bytes), 0);
	assert_int_equal(b.state, BFD_UP);
}

/* A neighbour that takes packets less often than we would send. */
static void
test_bfd_heeds_neighbours_interval(void **state)
{
	struct bfd b = made(BFD_UP);
	uint8_t bytes[24];

	(void)state;
	draw(bytes, BFD_UP, F, MINE);
	put_word(bytes + 16, 500 * MS);
	assert_true(hear_bytes(&b, bytes, 0));
	run(&b, 0, bytes);
	assert_int_equal(bfd_tx_interval_us(&b), 500 * MS);
	assert_in_range(b.next_tx, 375 * MS, 500 * MS);
	assert_true(bfd_due(&b) == 60 * MS); /* when the neighbour is missed */
}

/* s.6.8.16; and what the neighbour says of the path behind it. */
static void
test_bfd_admin_down_and_path(void **state)
{
	struct bfd b = made(BFD_UP);
	struct bfd_config config = fast;
	uint8_t bytes[24];

	(void)state;
	draw(bytes, BFD_UP, 0, MINE);
	for (unsigned diag = 0; diag < 32; diag++) {
		bytes[0] = (uint8_t)(1 << 5 | diag);
		assert_true(hear_bytes(&b, bytes, 0));
		assert_int_equal(bfd_is_forwarding(&b), diag != 5 && diag != 6 && diag != 8);
	}
	config.admin_down = true;
	bfd_configure(&b, &config, 1 * MS);
	assert_int_equal(run(&b, 1 * MS, bytes), 1);
	assert_int_equal(bytes[0], 1 << 5 | BFD_DIAG_ADMIN_DOWN);
	assert_int_equal(bytes[1], BFD_ADMIN_DOWN << 6);
	assert_in_range(
		run_until(&b, 1 * MS, 10 * S, bytes), 9, 14); /* slowly, so that it stays known */
	assert_int_equal(bytes[1], BFD_ADMIN_DOWN << 6);
	bfd_init(&b, MINE, &config, 10 * S);
	assert_int_equal(run(&b, 10 * S, bytes), 1);
	assert_int_equal(bytes[0], 1 << 5 | BFD_DIAG_ADMIN_DOWN);
	assert_int_equal(bytes[1], BFD_ADMIN_DOWN << 6);
	config.admin_down = false;
	bfd_configure(&b, &config, 11 * S);
	assert_int_equal(run(&b, 11 * S, bytes), 1);
	assert_int_equal(bytes[0], 1 << 5);
	assert_int_equal(bytes[1], BFD_DOWN << 6);
}

/* Two of them with a wire between that takes a millisecond: up within two slow intervals, then as often as agreed;
 * cut, both find out. */
static void
test_bfd_two_sessions(void **state)
{
	struct bfd b[2];
	struct bfd_packet p;
	uint8_t bytes[24];
	unsigned n_sent[2] = {0};
	bool cut = false;

	(void)state;
	bfd_init(&b[0], 1, &fast, 0);
	bfd_init(&b[1], 2, &fast, 0);
	for (uint64_t now = 0; now < 4 * S; now += 1 * MS) {
		cut = now >= 3 * S;
		for (unsigned i = 0; i < 2; i++) {
			while (bfd_run(&b[i], now)) {
				bfd_packet_write(&b[i], bytes);
				bfd_sent(&b[i], now);
				n_sent[i] += now >= 2 * S && !cut;
				assert_true(bfd_packet_parse(bytes, 24, &p));
				if (!cut) {
					assert_true(bfd_receive(&b[!i], &p, now));
				}
			}
			if (now >= 2 * S && !cut) {
				assert_int_equal(b[i].state, BFD_UP);
				assert_false(b[i].poll);
			}
			if (now == 3 * S + 62 * MS) {
				assert_int_equal(b[i].state, BFD_DOWN);
				assert_int_equal(b[i].diag, BFD_DIAG_EXPIRED);
			}
		}
	}
	/* Each 20 ms, as the other takes them, less an eighth in the middle: about 57. */
	assert_in_range(n_sent[0], 50, 67);
	assert_in_range(n_sent[1], 50, 67);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bfd_state_follows_neighbour),
		cmocka_unit_test(test_bfd_parse_refuses),
		cmocka_unit_test(test_bfd_discriminator_of_another),
		cmocka_unit_test(test_bfd_is_slow_until_up),
		cmocka_unit_test(test_bfd_jitter_of_single),
		cmocka_unit_test(test_bfd_polls_when_up),
		cmocka_unit_test(test_bfd_answers_poll),
		cmocka_unit_test(test_bfd_detects_silence),
		cmocka_unit_test(test_bfd_changes_wait_for_answer),
		cmocka_unit_test(test_bfd_is_silent_on_demand),
		cmocka_unit_test(test_bfd_heeds_neighbours_interval),
		cmocka_unit_test(test_bfd_admin_down_and_path),
		cmocka_unit_test(test_bfd_two_sessions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Meters on a clock of the test's own: rates and bursts to the packet, many threads on one bucket, and
 * DPDK's rte_meter as the twin.
 */
#include <math.h>
#include <pthread.h>
#include <rte_cycles.h>
#include <rte_meter.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/meter.h"
#include "lib/compiler.h"
#include "lib/packet.h"
#include "tests/unit/datapath/lab.h"

#define HZ UINT64_C(2600000000)
#define MS (HZ / 1000)

static struct meter *
make(uint32_t flags, const struct dp_meter_band *bands, uint32_t n)
{
	const struct dp_meter meter = {.flags = flags, .id = 100};

	return meter_create(&meter, bands, n, HZ, 0, NULL);
}

static struct meter *
make_drop(uint32_t flags, uint32_t rate, uint32_t burst)
{
	const struct dp_meter_band band = {
		.id = 1, .kind = DP_BAND_DROP, .rate = rate, .burst = burst};

	return make(flags, &band, 1);
}

/* How many of @n packets at once conform. */
static uint32_t
conform(struct meter *m, uint32_t n, uint32_t len, uint64_t now)
{
	uint32_t passed = 0;

	for (uint32_t i = 0; i < n; i++) {
		passed += !meter_charge(m, len, now);
	}
	return passed;
}

static void
test_meter_burst_and_rate(void **state)
{
	/* 1000 packets a second, 10 at once. */
	struct meter *m = make_drop(DP_METER_PKTPS | DP_METER_BURST, 1000, 10);

	(void)state;
	assert_int_equal(conform(m, 50, 64, 0), 10);
	assert_int_equal(conform(m, 50, 9000, MS - 1), 0);
	assert_int_equal(conform(m, 50, 9000, MS), 1);
	assert_int_equal(conform(m, 50, 64, 4 * MS), 3);
	assert_int_equal(conform(m, 50, 64, 1000 * MS), 10);
	free(m);
	/* 8000 kilobits a second are 1000 bytes a millisecond; 40 kilobits are 5000 bytes. */
	m = make_drop(DP_METER_BURST, 8000, 40);
	assert_int_equal(conform(m, 50, 1000, 0), 5);
	assert_int_equal(conform(m, 50, 500, MS), 2);
	assert_int_equal(conform(m, 50, 1000, 2 * MS), 1);
	/* Tokens that one packet could not use are there for a smaller one. */
	assert_int_equal(conform(m, 50, 1000, 2 * MS + MS / 2), 0);
	assert_int_equal(conform(m, 50, 500, 2 * MS + MS / 2), 1);
	free(m);
}

/* In the long run the rate holds to the packet, whatever the steps of time. */
static void
test_meter_long_run(void **state)
{
	static const struct {
		uint32_t flags, rate, len;
		double each; /* conforming packets a second */
	} cases[] = {
		{DP_METER_PKTPS, 1, 64, 1},
		{DP_METER_PKTPS, 1000000, 64, 1e6},
		{0, 100, 1250, 10},
		{0, 1000000, 1500, 1e9 / 12000},
		{0, 100000000, 64, 1e11 / 512},
	};

	(void)state;
	for (size_t c = 0; c < WEFT_ARRAY_SIZE(cases); c++) {
		struct meter *m = make_drop(cases[c].flags | DP_METER_BURST, cases[c].rate, 1000);
		uint64_t now = 0, step = (uint64_t)((double)HZ / cases[c].each / 2.7);
		uint32_t passed = 0, burst = conform(m, 10000000, cases[c].len, 0);
		const uint32_t n = 300000;

		assert_true(burst < 10000000);
		for (uint32_t i = 0; i < n; i++) {
			now += step;
			passed += !meter_charge(m, cases[c].len, now);
		}
		/* One more may be on its way; cycles are whole in each step. */
		assert_true(fabs(passed - (double)now / (double)HZ * cases[c].each) <
			    2 + passed * 0.004);
		free(m);
	}
}

static void
test_meter_chosen_burst(void **state)
{
	struct meter *m;

	(void)state;
	/* A tenth of a second, whether the burst is 0 or not to be looked at. */
	m = make_drop(DP_METER_PKTPS | DP_METER_BURST, 10000, 0);
	assert_int_equal(conform(m, 5000, 64, 0), 1000);
	free(m);
	m = make_drop(DP_METER_PKTPS, 10000, 7);
	assert_int_equal(conform(m, 5000, 64, 0), 1000);
	free(m);
	m = make_drop(0, 80000, 7); /* 1 000 000 bytes */
	assert_int_equal(conform(m, 5000, 1000, 0), 1000);
	free(m);
	/* But some packets. */
	m = make_drop(DP_METER_PKTPS, 1, 0);
	assert_int_equal(conform(m, 5000, 64, 0), 32);
	free(m);
	m = make_drop(0, 1, 0);
	assert_int_equal(conform(m, 5000, 1500, 0), 32);
	free(m);
}

static void
test_meter_extremes(void **state)
{
	struct meter *m;

	(void)state;
	/* Nothing conforms to a rate of 0. */
	m = make_drop(DP_METER_BURST, 0, 1000);
	assert_int_equal(conform(m, 10, 64, 0), 0);
	assert_int_equal(conform(m, 10, 64, HZ * 3600), 0);
	free(m);
	/* A packet longer than the burst passes when the bucket is full, and is owed. */
	m = make_drop(DP_METER_BURST, 8, 1); /* 1000 bytes a second, 125 at once */
	assert_int_equal(conform(m, 3, 1000, 0), 1);
	assert_int_equal(conform(m, 3, 64, HZ * 9 / 10), 0);
	assert_int_equal(conform(m, 3, 64, HZ * 95 / 100), 1);
	free(m);
	/* The highest numbers of all: no sum overflows. */
	m = make_drop(DP_METER_BURST, UINT32_MAX, UINT32_MAX);
	assert_int_equal(conform(m, 1000, PACKET_MAX_LEN, 0), 1000);
	assert_int_equal(conform(m, 1000, PACKET_MAX_LEN, HZ << 20), 1000);
	free(m);
	for (uint32_t burst = UINT32_MAX; burst > 4000000; burst -= 1999993) {
		m = make_drop(DP_METER_BURST, 1, burst);
		assert_int_equal(conform(m, 1000, PACKET_MAX_LEN, 0), 1000);
		free(m);
	}
	/* Half a year without a packet is no debt, nor is the wrap of the clock. */
	m = make_drop(DP_METER_PKTPS | DP_METER_BURST, 10, 5);
	for (unsigned i = 0; i < 40; i++) {
		assert_int_equal(conform(m, 9, 64, HZ * 3600 * 24 * 190 * i), 5);
	}
	free(m);
	/* Another worker's clock that is a little behind finds no more. */
	m = make_drop(DP_METER_PKTPS | DP_METER_BURST, 10, 5);
	assert_int_equal(conform(m, 9, 64, HZ), 5);
	assert_int_equal(conform(m, 9, 64, HZ - 1000), 0);
	free(m);
}

/* All bands are charged; of those that are exceeded the one with the highest rate acts. */
static void
test_meter_bands(void **state)
{
	static const struct dp_meter_band bands[] = {
		{.id = 5, .kind = DP_BAND_DSCP_REMARK, .rate = 1000, .burst = 10, .prec_level = 1},
		{.id = 4, .kind = DP_BAND_DROP, .rate = 3000, .burst = 30},
		{.id = 3, .kind = DP_BAND_DSCP_REMARK, .rate = 2000, .burst = 20, .prec_level = 2},
		{.id = 2, .kind = DP_BAND_DROP, .rate = 2000, .burst = 20},
	};
	struct meter *m = make(DP_METER_PKTPS | DP_METER_BURST, bands, 4);
	uint32_t acted[5] = {0};

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		const struct meter_band *b = meter_charge(m, 64, 0);

		acted[b ? b->index : 4]++;
		if (b) {
			assert_int_equal(b->id, bands[b->index].id);
			assert_int_equal(b->kind, bands[b->index].kind);
			assert_int_equal(b->prec_level, bands[b->index].prec_level);
		}
	}
	assert_int_equal(acted[4], 10);
	assert_int_equal(acted[0], 10);
	assert_int_equal(acted[2], 10); /* the first of those with 2000 */
	assert_int_equal(acted[3], 0);
	assert_int_equal(acted[1], 70);
	free(m);
	m = make(DP_METER_PKTPS, bands, 0);
	assert_null(meter_charge(m, 64, 0));
	free(m);
}

/* A meter that is put again goes on where it was, band by band. */
static void
test_meter_replaced(void **state)
{
	const struct dp_meter meter = {.flags = DP_METER_PKTPS | DP_METER_BURST};
	struct dp_meter_band bands[] = {
		{.id = 1, .kind = DP_BAND_DROP, .rate = 10, .burst = 10},
		{.id = 2, .kind = DP_BAND_DROP, .rate = 5, .burst = 100},
	};
	struct meter *was = meter_create(&meter, bands, 2, HZ, 0, NULL), *m;

	(void)state;
	assert_int_equal(conform(was, 100, 64, 0), 10);
	bands[0].id = 2;
	bands[1].id = 1;
	bands[0].rate = bands[1].rate = 10;
	bands[0].burst = bands[1].burst = 10;
	m = meter_create(&meter, bands, 2, HZ, 0, was);
	assert_int_equal(meter_charge(m, 64, 0)->id, 2); /* 100 of its 100 were taken, too */
	assert_int_equal(conform(m, 100, 64, HZ / 10), 1);
	bands[1].id = 3;
	free(was);
	was = m;
	m = meter_create(&meter, &bands[1], 1, HZ, HZ, was);
	assert_int_equal(conform(m, 100, 64, HZ), 10); /* a new band is full */
	free(was);
	free(m);
}

/* rte_meter's token bucket with the same rate and burst, random packets: the same verdicts but where the
 * last token hangs on rounding. */
static void
test_meter_like_rte_meter(void **state)
{
	(void)state;
	lab_seed("rte_meter");
	for (unsigned round = 0; round < 20; round++) {
		uint32_t rate = 1000 + lab_below(10000000), burst = 100 + lab_below(20000);
		struct rte_meter_srtcm_params params = {
			.cir = (uint64_t)rate * 125, .cbs = (uint64_t)burst * 125, .ebs = 0};
		struct rte_meter_srtcm_profile profile;
		struct rte_meter_srtcm twin;
		uint64_t now, passed = 0, twin_passed = 0, bytes = 0, twin_bytes = 0;
		uint64_t mean = (uint64_t)(700.0 * (double)rte_get_tsc_hz() / (rate * 125.0));
		const struct dp_meter meter = {.flags = DP_METER_BURST};
		const struct dp_meter_band band = {
			.kind = DP_BAND_DROP, .rate = rate, .burst = burst};
		struct meter *m;

		assert_int_equal(rte_meter_srtcm_profile_config(&profile, &params), 0);
		assert_int_equal(rte_meter_srtcm_config(&twin, &profile), 0);
		/* It goes by DPDK's clock and begins now. */
		now = twin.time;
		m = meter_create(&meter, &band, 1, rte_get_tsc_hz(), now, NULL);
		for (uint32_t i = 0; i < 20000; i++) {
			uint32_t len = 60 + lab_below(1455);
			bool mine, its;

			now += lab_random() % (2 * mean);
			mine = !meter_charge(m, len, now);
			its = rte_meter_srtcm_color_blind_check(&twin, &profile, now, len) ==
			      RTE_COLOR_GREEN;
			passed += mine;
			twin_passed += its;
			bytes += mine ? len : 0;
			twin_bytes += its ? len : 0;
		}
		assert_true(passed > 1000 && passed <= 20000);
		assert_true(fabs((double)bytes / (double)twin_bytes - 1) < 0.01);
		assert_true(fabs((double)passed / (double)twin_passed - 1) < 0.01);
		free(m);
	}
}

#define N_THREADS 4

static struct meter *shared;
static _Atomic uint32_t n_passed;

static void *
hammer(void *unused)
{
	(void)unused;
	for (unsigned i = 0; i < 50000; i++) {
		/* All see the same hour. */
		n_passed += !meter_charge(shared, 64, HZ * 10);
	}
	return NULL;
}

/* However many take from it at once, a bucket gives what it holds. */
static void
test_meter_shared(void **state)
{
	pthread_t threads[N_THREADS];

	(void)state;
	shared = make_drop(DP_METER_PKTPS | DP_METER_BURST, 1000, 12345);
	for (unsigned i = 0; i < N_THREADS; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, NULL), 0);
	}
	for (unsigned i = 0; i < N_THREADS; i++) {
		pthread_join(threads[i], NULL);
	}
	assert_int_equal(n_passed, 12345);
	free(shared);
}

/* RFC 2597 section 6: AFxy is class x (1 to 4), drop precedence y (1 to 3). */
static void
test_meter_dscp(void **state)
{
	(void)state;
	for (unsigned dscp = 0; dscp < 64; dscp++) {
		for (unsigned by = 0; by < 5; by++) {
			unsigned want = dscp;

			for (unsigned x = 1; x <= 4; x++) {
				for (unsigned y = 1; y <= 3; y++) {
					if (dscp == 8 * x + 2 * y) {
						want = 8 * x + 2 * (y + by > 3 ? 3 : y + by);
					}
				}
			}
			assert_int_equal(meter_raise_dscp((uint8_t)dscp, by), want);
		}
	}
	assert_int_equal(meter_raise_dscp(10, UINT32_MAX), 14);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meter_burst_and_rate),
		cmocka_unit_test(test_meter_long_run),
		cmocka_unit_test(test_meter_chosen_burst),
		cmocka_unit_test(test_meter_extremes),
		cmocka_unit_test(test_meter_bands),
		cmocka_unit_test(test_meter_replaced),
		cmocka_unit_test(test_meter_like_rte_meter),
		cmocka_unit_test(test_meter_shared),
		cmocka_unit_test(test_meter_dscp),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}

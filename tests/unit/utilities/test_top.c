/* SPDX-License-Identifier: Apache-2.0
 *
 * weft top: from two readings to a report, exactly.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "utilities/weft/top.h"

#define S 1000000000ull

static json_t *
load(const char *text)
{
	json_error_t err;
	json_t *value = json_loads(text, 0, &err);

	if (!value) {
		fail_msg("%s: %s", text, err.text);
	}
	return value;
}

static struct top_sample
sample(uint64_t at_ns, const char *stats, const char *ports, const char *drops, const char *workers)
{
	return (struct top_sample){at_ns, load(stats), load(ports), load(drops), load(workers)};
}

static const char stats_before[] =
	"{\"instance\":7,\"agent\":\"connected\",\"flows\":1,\"max_flows\":100,\"masks\":1,\"objects\":0,"
	"\"rx_packets\":1000,\"rx_bytes\":60000,\"tx_packets\":10,\"tx_bytes\":600,\"dropped\":5,"
	"\"to_agent\":0,\"upcalls\":1,\"cache_hits\":0,\"table_hits\":0,\"misses\":0}";
static const char stats_now[] =
	"{\"instance\":7,\"agent\":\"none\",\"flows\":12,\"max_flows\":100,\"masks\":3,\"objects\":2,"
	"\"rx_packets\":2001000,\"rx_bytes\":120060000,\"tx_packets\":10,\"tx_bytes\":600,\"dropped\":8,"
	"\"to_agent\":2,\"upcalls\":5,\"cache_hits\":1980,\"table_hits\":18,\"misses\":2}";
static const char ports_before[] =
	"[{\"name\":\"a\",\"link\":\"up\",\"rx_packets\":0,\"rx_bytes\":0,\"tx_packets\":0,\"tx_bytes\":0,"
	"\"rx_dropped\":0,\"tx_dropped\":0},"
	"{\"name\":\"b\",\"link\":\"up\",\"rx_packets\":50,\"rx_bytes\":0,\"tx_packets\":0,\"tx_bytes\":0,"
	"\"rx_dropped\":0,\"tx_dropped\":0}]";
static const char ports_now[] =
	"[{\"name\":\"a\",\"link\":\"up\",\"rx_packets\":3,\"rx_bytes\":180,\"tx_packets\":4000,"
	"\"tx_bytes\":240000,\"rx_dropped\":1,\"tx_dropped\":3},"
	/* Made anew. */
	"{\"name\":\"b\",\"link\":\"down\",\"rx_packets\":0,\"rx_bytes\":0,\"tx_packets\":0,\"tx_bytes\":0,"
	"\"rx_dropped\":0,\"tx_dropped\":0},"
	"{\"name\":\"c\",\"link\":\"up\",\"rx_packets\":2000,\"rx_bytes\":1000000,\"tx_packets\":0,"
	"\"tx_bytes\":0,\"rx_dropped\":0,\"tx_dropped\":0}]";
static const char drops_before[] = "[{\"port\":\"a\",\"reason\":\"explicit\",\"packets\":5},"
				   "{\"port\":\"b\",\"reason\":\"meter\",\"packets\":9}]";
static const char drops_now[] = "[{\"port\":\"b\",\"reason\":\"meter\",\"packets\":9},"
				"{\"port\":\"a\",\"reason\":\"explicit\",\"packets\":6},"
				"{\"port\":\"a\",\"reason\":\"tx-full\",\"packets\":3}]";
static const char workers_before[] =
	"[{\"worker\":0,\"core\":1,\"state\":\"running\",\"packets\":0,\"sleeps\":0,\"busy_cycles\":100,"
	"\"idle_cycles\":100},"
	"{\"worker\":1,\"core\":2,\"state\":\"asleep\",\"packets\":0,\"sleeps\":0,\"busy_cycles\":0,"
	"\"idle_cycles\":0}]";
static const char workers_now[] =
	"[{\"worker\":0,\"core\":1,\"state\":\"running\",\"packets\":2000000,\"sleeps\":1,"
	"\"busy_cycles\":1900,\"idle_cycles\":300},"
	"{\"worker\":1,\"core\":2,\"state\":\"asleep\",\"packets\":0,\"sleeps\":0,\"busy_cycles\":0,"
	"\"idle_cycles\":0},"
	"{\"worker\":2,\"core\":3,\"state\":\"asleep\",\"packets\":0,\"sleeps\":0,\"busy_cycles\":0,"
	"\"idle_cycles\":0}]";

/* Two seconds. */
static json_t *
report_of_both(const char *now)
{
	struct top_sample a =
		sample(5 * S, stats_before, ports_before, drops_before, workers_before);
	struct top_sample b = sample(7 * S, now, ports_now, drops_now, workers_now);
	json_t *report = top_report(&a, &b);

	top_sample_uninit(&a);
	top_sample_uninit(&b);
	return report;
}

static void
check_part(const json_t *report, const char *part, const char *expected)
{
	json_t *value = load(expected);

	if (!json_equal(json_object_get(report, part), value)) {
		char *text = json_dumps(json_object_get(report, part), JSON_COMPACT);

		fail_msg("%s: %s", part, text);
	}
	json_decref(value);
}

static void
test_top_report_is_the_difference(void **state)
{
	json_t *report = report_of_both(stats_now);

	(void)state;
	assert_true(json_real_value(json_object_get(report, "interval_s")) == 2);
	check_part(report, "datapath",
		"{\"agent\":\"none\",\"flows\":12,\"max_flows\":100,\"masks\":3,\"objects\":2,"
		"\"rx_pps\":1000000.0,\"rx_bps\":480000000.0,\"tx_pps\":0.0,\"tx_bps\":0.0,"
		"\"dropped_pps\":1.5,\"to_agent_pps\":1.0,\"upcalls_ps\":2.0,"
		"\"cache_hits_ps\":990.0,\"table_hits_ps\":9.0,\"misses_ps\":1.0}");
	/* The busiest first; those of which nothing is known are last. */
	check_part(report, "ports",
		"[{\"port\":\"a\",\"link\":\"up\",\"rx_pps\":1.5,\"rx_bps\":720.0,\"tx_pps\":2000.0,"
		"\"tx_bps\":960000.0,\"dropped_pps\":2.0},"
		"{\"port\":\"b\",\"link\":\"down\",\"rx_pps\":null,\"rx_bps\":0.0,\"tx_pps\":0.0,"
		"\"tx_bps\":0.0,\"dropped_pps\":0.0},"
		"{\"port\":\"c\",\"link\":\"up\",\"rx_pps\":null,\"rx_bps\":null,\"tx_pps\":null,"
		"\"tx_bps\":null,\"dropped_pps\":null}]");
	check_part(report, "drops",
		"[{\"port\":\"a\",\"reason\":\"tx-full\",\"pps\":1.5,\"packets\":3},"
		"{\"port\":\"a\",\"reason\":\"explicit\",\"pps\":0.5,\"packets\":6},"
		"{\"port\":\"b\",\"reason\":\"meter\",\"pps\":0.0,\"packets\":9}]");
	check_part(report, "workers",
		"[{\"worker\":0,\"core\":1,\"state\":\"running\",\"load\":0.9,\"pps\":1000000.0,"
		"\"sleeps_ps\":0.5},"
		"{\"worker\":1,\"core\":2,\"state\":\"asleep\",\"load\":0.0,\"pps\":0.0,"
		"\"sleeps_ps\":0.0},"
		"{\"worker\":2,\"core\":3,\"state\":\"asleep\",\"load\":null,\"pps\":null,"
		"\"sleeps_ps\":null}]");
	json_decref(report);
}

/* Counters of another instance: nothing is known but what stands there. */
static void
test_top_report_of_another_instance(void **state)
{
	json_t *report = report_of_both("{\"instance\":8,\"flows\":4,\"rx_packets\":5000}");
	json_t *t = json_object_get(report, "datapath"), *row;
	size_t i;

	(void)state;
	assert_int_equal(json_integer_value(json_object_get(t, "flows")), 4);
	assert_true(json_is_null(json_object_get(t, "rx_pps")));
	assert_true(json_is_null(json_object_get(t, "agent")));
	json_array_foreach (json_object_get(report, "drops"), i, row) {
		assert_true(json_is_null(json_object_get(row, "pps")));
	}
	json_array_foreach (json_object_get(report, "workers"), i, row) {
		assert_true(json_is_null(json_object_get(row, "load")));
	}
	json_decref(report);
}

static void
test_top_prints_reports(void **state)
{
	json_t *report = report_of_both(stats_now);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	top_print(report, out);
	fclose(out);
	assert_string_equal(text,
		"in 1.00M packets/s, 480M bit/s; out 0 packets/s, 0 bit/s; dropped 1.5/s; to agent 1.0/s\n"
		"flows 12 of 100, masks 3, objects 2; cache 99.0 %, table 0.9 %, misses 0.1 %; "
		"upcalls 2.0/s; agent none\n"
		"\n"
		"WORKER  CORE  STATE    LOAD  PACKETS/S  SLEEPS/S\n"
		"     0     1  running  90 %      1.00M       0.5\n"
		"     1     2  asleep    0 %          0         0\n"
		"     2     3  asleep      -          -         -\n"
		"\n"
		"PORT  LINK  RX PKT/S  RX BIT/S  TX PKT/S  TX BIT/S  DROPS/S\n"
		"a     up         1.5       720     2.00k      960k      2.0\n"
		"b     down         -         0         0         0        0\n"
		"c     up           -         -         -         -        -\n"
		"\n"
		"DROPS OF PORT  REASON    PACKETS/S  SINCE START\n"
		"a              tx-full         1.5            3\n"
		"a              explicit        0.5            6\n"
		"b              meter             0            9\n");
	free(text);
	json_decref(report);
}

static void
test_top_scales(void **state)
{
	static const struct {
		double value;
		const char *text;
	} cases[] = {{0, "0"}, {0.04, "0.0"}, {1.5, "1.5"}, {9.94, "9.9"}, {9.96, "10"},
		{999.4, "999"}, {999.6, "1.00k"}, {1234, "1.23k"}, {12345, "12.3k"},
		{123456, "123k"}, {999499, "999k"}, {999600, "1.00M"}, {1e9, "1.00G"},
		{2.5e13, "25.0T"}, {4e18, "4000P"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[16];

		top_scale(cases[i].value, text, sizeof(text));
		assert_string_equal(text, cases[i].text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_top_report_is_the_difference),
		cmocka_unit_test(test_top_report_of_another_instance),
		cmocka_unit_test(test_top_prints_reports),
		cmocka_unit_test(test_top_scales),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

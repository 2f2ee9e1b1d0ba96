/* SPDX-License-Identifier: Apache-2.0
 *
 * weft top: the report, as JSON and for people.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/compiler.h"
#include "utilities/weft/cli.h"
#include "utilities/weft/top.h"

#define SCALED_MAX 16

void
top_sample_uninit(struct top_sample *s)
{
	json_decref(s->stats);
	json_decref(s->ports);
	json_decref(s->drops);
	json_decref(s->workers);
	*s = (struct top_sample){0};
}

/* --- differences -------------------------------------------------------------------------------- */

/* What a counter has grown by. False: there was none, or it has begun anew. */
static bool
growth(const json_t *before, const json_t *now, const char *key, double *n)
{
	const json_t *a = json_object_get(before, key), *b = json_object_get(now, key);

	if (!json_is_integer(a) || !json_is_integer(b) ||
		json_integer_value(b) < json_integer_value(a)) {
		return false;
	}
	*n = (double)(json_integer_value(b) - json_integer_value(a));
	return true;
}

/* The sum of up to two counters' growth a second, times @factor; null: not known. */
static json_t *
rate(const json_t *before, const json_t *now, const char *key, const char *also, double factor,
	double seconds)
{
	double n, more = 0;

	if (!growth(before, now, key, &n) || (also && !growth(before, now, also, &more))) {
		return json_null();
	}
	return json_real((n + more) * factor / seconds);
}

/* The row that agrees with @row in these members; NULL: none. */
static const json_t *
find(const json_t *rows, const json_t *row, const char *key, const char *also)
{
	const json_t *other;
	size_t i;

	json_array_foreach (rows, i, other) {
		if (json_equal(json_object_get(other, key), json_object_get(row, key)) &&
			(!also || json_equal(json_object_get(other, also),
					  json_object_get(row, also)))) {
			return other;
		}
	}
	return NULL;
}

static void
copy(json_t *to, const json_t *from, const char *key)
{
	json_t *value = json_object_get(from, key);

	if (value) {
		json_object_set(to, key, value);
	} else {
		json_object_set_new(to, key, json_null());
	}
}

/* --- parts -------------------------------------------------------------------------------------- */

/* What a row has most of: bits in and out, or packets. */
static double
busyness(const json_t *row)
{
	return json_number_value(json_object_get(row, "rx_bps")) +
	       json_number_value(json_object_get(row, "tx_bps")) +
	       json_number_value(json_object_get(row, "pps"));
}

/* The busiest first, then those that have had most, then by name. */
static int
compare_rows(const void *a, const void *b)
{
	static const char *const names[] = {"port", "reason"};
	const json_t *left = *(json_t *const *)a, *right = *(json_t *const *)b;
	double l = busyness(left), r = busyness(right);

	if (!(l < r) && !(l > r)) {
		l = json_number_value(json_object_get(left, "packets"));
		r = json_number_value(json_object_get(right, "packets"));
	}
	if (l < r || l > r) {
		return l < r ? 1 : -1;
	}
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(names); i++) {
		const char *first = json_string_value(json_object_get(left, names[i]));
		const char *second = json_string_value(json_object_get(right, names[i]));
		int order = first && second ? strcmp(first, second) : 0;

		if (order) {
			return order;
		}
	}
	return 0;
}

/* Takes @rows. */
static json_t *
sorted(json_t *rows)
{
	size_t n = json_array_size(rows);
	json_t **list = xcalloc(n + 1, sizeof(*list)), *result = json_array();

	for (size_t i = 0; i < n; i++) {
		list[i] = json_array_get(rows, i);
	}
	qsort(list, n, sizeof(*list), compare_rows);
	for (size_t i = 0; i < n; i++) {
		json_array_append(result, list[i]);
	}
	free(list);
	json_decref(rows);
	return result;
}

static json_t *
ports(const json_t *before, const json_t *now, double seconds)
{
	json_t *rows = json_array();
	const json_t *port;
	size_t i;

	json_array_foreach (now, i, port) {
		const json_t *was = find(before, port, "name", NULL);
		json_t *row = json_object();

		json_object_set(row, "port", json_object_get(port, "name"));
		copy(row, port, "link");
		json_object_set_new(row, "rx_pps", rate(was, port, "rx_packets", NULL, 1, seconds));
		json_object_set_new(row, "rx_bps", rate(was, port, "rx_bytes", NULL, 8, seconds));
		json_object_set_new(row, "tx_pps", rate(was, port, "tx_packets", NULL, 1, seconds));
		json_object_set_new(row, "tx_bps", rate(was, port, "tx_bytes", NULL, 8, seconds));
		json_object_set_new(row, "dropped_pps",
			rate(was, port, "rx_dropped", "tx_dropped", 1, seconds));
		json_array_append_new(rows, row);
	}
	return sorted(rows);
}

static json_t *
drops(const json_t *before, const json_t *now, double seconds)
{
	json_t *rows = json_array(), *none = json_pack("{s:i}", "packets", 0);
	const json_t *drop;
	size_t i;

	json_array_foreach (now, i, drop) {
		const json_t *was = find(before, drop, "port", "reason");
		json_t *row = json_object();

		copy(row, drop, "port");
		copy(row, drop, "reason");
		/* Reasons that have dropped nothing are not listed. */
		json_object_set_new(row, "pps",
			before ? rate(was ? was : none, drop, "packets", NULL, 1, seconds)
			       : json_null());
		copy(row, drop, "packets");
		json_array_append_new(rows, row);
	}
	json_decref(none);
	return sorted(rows);
}

static json_t *
workers(const json_t *before, const json_t *now, double seconds)
{
	json_t *rows = json_array();
	const json_t *worker;
	size_t i;

	json_array_foreach (now, i, worker) {
		const json_t *was = find(before, worker, "worker", NULL);
		json_t *row = json_object();
		double busy, idle;

		copy(row, worker, "worker");
		copy(row, worker, "core");
		copy(row, worker, "state");
		if (growth(was, worker, "busy_cycles", &busy) &&
			growth(was, worker, "idle_cycles", &idle)) {
			/* Asleep all the time: neither. */
			json_object_set_new(
				row, "load", json_real(busy > 0 ? busy / (busy + idle) : 0));
		} else {
			json_object_set_new(row, "load", json_null());
		}
		json_object_set_new(row, "pps", rate(was, worker, "packets", NULL, 1, seconds));
		json_object_set_new(
			row, "sleeps_ps", rate(was, worker, "sleeps", NULL, 1, seconds));
		json_array_append_new(rows, row);
	}
	return rows;
}

static json_t *
totals(const json_t *before, const json_t *now, double seconds)
{
	static const char *const same[] = {"agent", "flows", "max_flows", "masks", "objects"};
	static const struct {
		const char *name, *key;
		double factor;
	} rates[] = {
		{"rx_pps", "rx_packets", 1},
		{"rx_bps", "rx_bytes", 8},
		{"tx_pps", "tx_packets", 1},
		{"tx_bps", "tx_bytes", 8},
		{"dropped_pps", "dropped", 1},
		{"to_agent_pps", "to_agent", 1},
		{"upcalls_ps", "upcalls", 1},
		{"cache_hits_ps", "cache_hits", 1},
		{"table_hits_ps", "table_hits", 1},
		{"misses_ps", "misses", 1},
	};
	json_t *row = json_object();

	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(same); i++) {
		copy(row, now, same[i]);
	}
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(rates); i++) {
		json_object_set_new(row, rates[i].name,
			rate(before, now, rates[i].key, NULL, rates[i].factor, seconds));
	}
	return row;
}

json_t *
top_report(const struct top_sample *before, const struct top_sample *now)
{
	/* Counters of another instance say nothing. */
	bool same = json_equal(json_object_get(before->stats, "instance"),
		json_object_get(now->stats, "instance"));
	double seconds =
		now->at_ns > before->at_ns ? (double)(now->at_ns - before->at_ns) / 1e9 : 1;

	return json_pack("{s:f, s:o, s:o, s:o, s:o}", "interval_s", seconds, "datapath",
		totals(same ? before->stats : NULL, now->stats, seconds), "workers",
		workers(same ? before->workers : NULL, now->workers, seconds), "ports",
		ports(same ? before->ports : NULL, now->ports, seconds), "drops",
		drops(same ? before->drops : NULL, now->drops, seconds));
}

/* --- for people --------------------------------------------------------------------------------- */

void
top_scale(double value, char *text, size_t size)
{
	static const char *const units[] = {"", "k", "M", "G", "T", "P"};
	unsigned unit = 0;

	while (value >= 999.5 && unit + 1 < WEFT_ARRAY_SIZE(units)) {
		value /= 1000;
		unit++;
	}
	if (!unit) {
		snprintf(text, size, value < 9.95 && value > 0 ? "%.1f" : "%.0f", value);
	} else {
		snprintf(text, size, "%.*f%s",
			value < 9.995   ? 2
			: value < 99.95 ? 1
					: 0,
			value, units[unit]);
	}
}

/* A rate as people read it; "-": not known. */
static const char *
scaled(const json_t *row, const char *key, char text[SCALED_MAX])
{
	const json_t *value = json_object_get(row, key);

	if (!json_is_number(value)) {
		return "-";
	}
	top_scale(json_number_value(value), text, SCALED_MAX);
	return text;
}

/* The share of @key in these three; "-": not known, or nothing happened. */
static const char *
share(const json_t *row, const char *key, char text[SCALED_MAX])
{
	double sum = json_number_value(json_object_get(row, "cache_hits_ps")) +
		     json_number_value(json_object_get(row, "table_hits_ps")) +
		     json_number_value(json_object_get(row, "misses_ps"));

	if (!(sum > 0)) {
		return "-";
	}
	snprintf(text, SCALED_MAX, "%.1f %%",
		100 * json_number_value(json_object_get(row, key)) / sum);
	return text;
}

static void
print_totals(const json_t *t, FILE *out)
{
	char a[SCALED_MAX], b[SCALED_MAX], c[SCALED_MAX], d[SCALED_MAX];
	const char *agent = json_string_value(json_object_get(t, "agent"));

	fprintf(out, "in %s packets/s, %s bit/s; ", scaled(t, "rx_pps", a), scaled(t, "rx_bps", b));
	fprintf(out, "out %s packets/s, %s bit/s; dropped %s/s; to agent %s/s\n",
		scaled(t, "tx_pps", a), scaled(t, "tx_bps", b), scaled(t, "dropped_pps", c),
		scaled(t, "to_agent_pps", d));
	fprintf(out, "flows %lld of %lld, masks %lld, objects %lld; ",
		(long long)json_integer_value(json_object_get(t, "flows")),
		(long long)json_integer_value(json_object_get(t, "max_flows")),
		(long long)json_integer_value(json_object_get(t, "masks")),
		(long long)json_integer_value(json_object_get(t, "objects")));
	fprintf(out, "cache %s, table %s, misses %s; upcalls %s/s; agent %s\n",
		share(t, "cache_hits_ps", a), share(t, "table_hits_ps", b),
		share(t, "misses_ps", c), scaled(t, "upcalls_ps", d), agent ? agent : "-");
}

/* Rows with rates as people read them. */
static json_t *
readable(const json_t *rows)
{
	json_t *result = json_array(), *value;
	const json_t *row;
	const char *key;
	size_t i;

	json_array_foreach (rows, i, row) {
		json_t *text = json_object();

		json_object_foreach ((json_t *)row, key, value) {
			char number[SCALED_MAX];

			if (!strcmp(key, "load") && json_is_number(value)) {
				snprintf(number, sizeof(number), "%.0f %%",
					100 * json_number_value(value));
				json_object_set_new(text, key, json_string(number));
			} else if (json_is_real(value)) {
				top_scale(json_real_value(value), number, sizeof(number));
				json_object_set_new(text, key, json_string(number));
			} else {
				json_object_set(text, key, value);
			}
		}
		json_array_append_new(result, text);
	}
	return result;
}

void
top_print(const json_t *report, FILE *out)
{
	static const struct {
		const char *member;
		struct cli_column columns[CLI_MAX_COLUMNS];
	} tables[] = {
		{"workers", {{"WORKER", "worker", true}, {"CORE", "core", true},
				    {"STATE", "state", false}, {"LOAD", "load", true},
				    {"PACKETS/S", "pps", true}, {"SLEEPS/S", "sleeps_ps", true}}},
		{"ports", {{"PORT", "port", false}, {"LINK", "link", false},
				  {"RX PKT/S", "rx_pps", true}, {"RX BIT/S", "rx_bps", true},
				  {"TX PKT/S", "tx_pps", true}, {"TX BIT/S", "tx_bps", true},
				  {"DROPS/S", "dropped_pps", true}}},
		{"drops", {{"DROPS OF PORT", "port", false}, {"REASON", "reason", false},
				  {"PACKETS/S", "pps", true}, {"SINCE START", "packets", true}}},
	};

	print_totals(json_object_get(report, "datapath"), out);
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(tables); i++) {
		const json_t *rows = json_object_get(report, tables[i].member);
		json_t *text = readable(rows);

		if (json_array_size(rows)) {
			fputc('\n', out);
			cli_print_table(tables[i].columns, text, out);
		}
		json_decref(text);
	}
}

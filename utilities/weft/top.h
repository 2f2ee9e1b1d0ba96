/* SPDX-License-Identifier: Apache-2.0
 *
 * weft top: from two readings of the datapath's counters to a report of what happened between them.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

/* One reading: the results of the datapath's methods. */
struct top_sample {
	uint64_t at_ns;  /* CLOCK_MONOTONIC */
	json_t *stats;   /* stats.get */
	json_t *ports;   /* port.list */
	json_t *drops;   /* drop.list */
	json_t *workers; /* worker.list */
};

void top_sample_uninit(struct top_sample *s);

/* Rates between two readings (docs/rpc.md has the members). What was not there before, or has begun anew, has
 * none: null. */
json_t *top_report(const struct top_sample *before, const struct top_sample *now);

/* For people, without the time. */
void top_print(const json_t *report, FILE *out);

/* "0", "1.5", "999", "1.00k", "12.3M": three digits. */
void top_scale(double value, char *text, size_t size);

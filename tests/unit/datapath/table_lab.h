/* SPDX-License-Identifier: Apache-2.0
 *
 * A flow table for tests, in one thread that is writer and reader; flows are outputs to a port.
 */
#pragma once

#include "datapath/flow_table_internal.h"
#include "lib/stats_region.h"

#define TABLE_LAB_FLOWS 3000u
#define TABLE_LAB_READER 1u

extern struct flow_table *lab_table;
extern struct stats_region lab_stats; /* two workers' */
extern uint64_t lab_now_ms;

/* The last deletions told. */
extern struct table_lab_told {
	struct dp_handle flow;
	struct flow_stats final;
	uint64_t user;
	unsigned n;
} lab_told;

/* For cmocka. */
int table_lab_start(void **state);
int table_lab_stop(void **state);

/* Tells what can be told; whether something waits for the reader. */
bool table_lab_run(void);
/* The reader is quiescent, and deletions are told, until nothing waits any more. */
void table_lab_pass(void);

/* As flow_table_put() and the others. */
int table_lab_put(const struct flow_key *key, uint8_t blocks, const struct flow_mask *mask,
	uint16_t flags, uint32_t port, struct flow_put_result *result);
struct flow *table_lab_find(uint16_t in_port, const struct flow_key *key, uint8_t blocks);
int table_lab_del(struct dp_handle flow, uint64_t user);
void table_lab_flush(uint16_t port);

/* The port that the flow sends to. */
uint32_t table_lab_port_of(const struct flow *f);
/* The bits that every mask has: input port and recirculation id. */
void table_lab_base_mask(struct flow_mask *mask);

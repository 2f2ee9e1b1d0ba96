/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/datapath/table_lab.h"

#include <string.h>
#include <unistd.h>

#include "datapath/rcu.h"
#include "lib/field.h"
#include "tests/unit/datapath/lab.h"

struct flow_table *lab_table;
struct stats_region lab_stats;
uint64_t lab_now_ms = 1000000;
struct table_lab_told lab_told;

int
table_lab_start(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(stats_region_create(&lab_stats, 1, 2, TABLE_LAB_FLOWS, &fd), 0);
	close(fd);
	assert_int_equal(rcu_init(), 0);
	rcu_register(TABLE_LAB_READER);
	rcu_online(TABLE_LAB_READER);
	lab_table = flow_table_create(TABLE_LAB_FLOWS, &lab_stats);
	return 0;
}

int
table_lab_stop(void **state)
{
	(void)state;
	rcu_offline(TABLE_LAB_READER);
	rcu_unregister(TABLE_LAB_READER);
	flow_table_destroy(lab_table);
	stats_region_destroy(&lab_stats);
	return 0;
}

static void
deleted(struct dp_handle flow, const struct flow_stats *final, uint64_t user, void *arg)
{
	(void)arg;
	lab_told.flow = flow;
	lab_told.final = *final;
	lab_told.user = user;
	lab_told.n++;
}

bool
table_lab_run(void) WEFT_NO_ANALYSIS
{
	return flow_table_run(lab_table, lab_now_ms, deleted, NULL);
}

void
table_lab_pass(void)
{
	rcu_quiescent(TABLE_LAB_READER);
	while (table_lab_run()) {
		rcu_quiescent(TABLE_LAB_READER);
	}
}

/* An output to @port, as bytes. */
static const void *
output_to(uint32_t port, size_t *size)
{
	static struct dp_action_output out;

	out = (struct dp_action_output){.hdr = {DP_ACTION_OUTPUT, 0, sizeof out}, .port = port};
	*size = sizeof out;
	return &out;
}

int
table_lab_put(const struct flow_key *key, uint8_t blocks, const struct flow_mask *mask,
	uint16_t flags, uint32_t port, struct flow_put_result *result) WEFT_NO_ANALYSIS
{
	struct flow_put p = {.key = key,
		.key_blocks = blocks,
		.mask = mask,
		.flags = flags,
		.epoch = 9,
		.now_ms = lab_now_ms};

	p.actions = output_to(port, &p.actions_size);
	return flow_table_put(lab_table, &p, result);
}

struct flow *
table_lab_find(uint16_t in_port, const struct flow_key *key, uint8_t blocks) WEFT_NO_ANALYSIS
{
	return flow_table_find(lab_table, in_port, key, blocks);
}

int
table_lab_del(struct dp_handle flow, uint64_t user) WEFT_NO_ANALYSIS
{
	return flow_table_del(lab_table, flow, user);
}

void
table_lab_flush(uint16_t port) WEFT_NO_ANALYSIS
{
	flow_table_flush_port(lab_table, port);
}

uint32_t
table_lab_port_of(const struct flow *f)
{
	return ((struct action_program *)f->program)->single_port;
}

void
table_lab_base_mask(struct flow_mask *mask)
{
	memset(mask, 0, sizeof *mask);
	field_mask_exact(field_get(FIELD_IN_PORT), mask);
	field_mask_exact(field_get(FIELD_RECIRC_ID), mask);
}

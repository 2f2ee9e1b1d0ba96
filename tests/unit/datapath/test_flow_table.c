/* SPDX-License-Identifier: Apache-2.0
 *
 * Promises of the flow table, one by one. At random: test_flow_table_model.c.
 */
#include <errno.h>
#include <string.h>

#include "lib/compiler.h"
#include "lib/dp_protocol.h"
#include "lib/field.h"
#include "tests/unit/datapath/lab.h"
#include "tests/unit/datapath/table_lab.h"

/* What one port alone may have: a sixteenth is kept for others. */
#define PORT_FLOWS (TABLE_LAB_FLOWS - TABLE_LAB_FLOWS / 16)

/* Many flows of one mask: the hash table grows under its readers and shrinks by deletion. */
static void
test_flow_table_grows(void **state)
{
	static struct dp_handle flows[TABLE_LAB_FLOWS];
	struct flow_put_result result;
	struct flow_key key = {.in_port = be32_from(5)};
	struct flow_mask mask;

	(void)state;
	table_lab_base_mask(&mask);
	field_mask_exact(field_get(FIELD_IPV4_DST), &mask);
	for (uint32_t i = 0; i < PORT_FLOWS; i++) {
		key.ip_dst = be32_from(i);
		assert_int_equal(table_lab_put(&key, FLOW_BLOCK(0), &mask, 0, i, &result), 0);
		flows[i] = result.flow;
		if (i % 100 == 0) {
			table_lab_pass();
		}
	}
	key.ip_dst = be32_from(PORT_FLOWS);
	assert_int_equal(table_lab_put(&key, FLOW_BLOCK(0), &mask, 0, 0, &result), -ENOSPC);
	for (uint32_t i = 0; i < PORT_FLOWS; i++) {
		key.ip_dst = be32_from(i);
		assert_non_null(table_lab_find(5, &key, FLOW_BLOCK(0)));
		assert_int_equal(table_lab_port_of(table_lab_find(5, &key, FLOW_BLOCK(0))), i);
		assert_null(table_lab_find(6, &key, FLOW_BLOCK(0)));
	}
	for (uint32_t i = 0; i < PORT_FLOWS; i += 2) {
		assert_int_equal(table_lab_del(flows[i], i), 0);
	}
	for (uint32_t i = 0; i < PORT_FLOWS; i++) {
		key.ip_dst = be32_from(i);
		assert_int_equal(table_lab_find(5, &key, FLOW_BLOCK(0)) != NULL, i & 1);
	}
	/* No slot is reused before its grace period. */
	for (uint32_t i = PORT_FLOWS; i < TABLE_LAB_FLOWS; i++) {
		key.ip_dst = be32_from(i);
		assert_int_equal(table_lab_put(&key, FLOW_BLOCK(0), &mask, 0, 0, &result), 0);
		assert_int_equal(result.flow.gen, 1);
	}
	key.ip_dst = be32_from(1u << 20);
	assert_int_equal(table_lab_put(&key, FLOW_BLOCK(0), &mask, 0, 0, &result), -ENOSPC);
	table_lab_pass();
	assert_int_equal(table_lab_put(&key, FLOW_BLOCK(0), &mask, 0, 0, &result), 0);
	assert_int_not_equal(result.flow.gen, 1);
	assert_int_equal(
		table_lab_del((struct dp_handle){result.flow.slot, result.flow.gen - 1}, 0),
		-ESTALE);
	assert_int_equal(table_lab_del((struct dp_handle){TABLE_LAB_FLOWS, 1}, 0), -ESTALE);
	assert_int_equal(table_lab_del((struct dp_handle){0, 0}, 0), -ESTALE);
	table_lab_flush(5);
	table_lab_pass();
}

/* A port that has taken all it may leaves the others their parts. */
static void
test_flow_table_parts_of_ports(void **state)
{
	struct flow_put_result result;
	struct flow_key key = {.in_port = be32_from(5)};
	struct flow_table_counters counters;
	struct flow_mask mask;
	uint32_t n = 0;

	(void)state;
	table_lab_base_mask(&mask);
	field_mask_exact(field_get(FIELD_IPV4_DST), &mask);
	key.ip_dst = be32_from(1);
	assert_int_equal(table_lab_put(&key, FLOW_BLOCK(0), &mask, 0, 1, &result), 0);
	key.in_port = be32_from(6);
	for (; key.ip_dst = be32_from(n), !table_lab_put(&key, FLOW_BLOCK(0), &mask, 0, 1, &result);
		n++) {
	}
	/* Half of the table is the two ports' own, a sixteenth a newcomer's. */
	assert_int_equal(n, TABLE_LAB_FLOWS - TABLE_LAB_FLOWS / 16 - TABLE_LAB_FLOWS / 4);
	key.in_port = be32_from(7);
	assert_int_equal(table_lab_put(&key, FLOW_BLOCK(0), &mask, 0, 1, &result), 0);
	key.in_port = be32_from(5);
	for (n = 1; n < TABLE_LAB_FLOWS / 6; n++) {
		key.ip_dst = be32_from(n);
		assert_int_equal(table_lab_put(&key, FLOW_BLOCK(0), &mask, 0, 1, &result), 0);
	}
	key.in_port = be32_from(6);
	key.ip_dst = be32_from(1u << 20);
	assert_int_equal(table_lab_put(&key, FLOW_BLOCK(0), &mask, 0, 1, &result), -ENOSPC);
	flow_table_read_counters(lab_table, &counters);
	assert_int_equal(counters.refused, 2);
	table_lab_flush(5);
	table_lab_flush(6);
	table_lab_flush(7);
	table_lab_pass();
}

static struct subtable *
last_table(uint16_t port)
{
	const struct subtable_list *list = ((struct port_flows *)lab_table->ports[port])->list;

	return list->subtables[list->n - 1];
}

/* A table grows a few buckets with each put: flows go meanwhile, and the shared table is not made coarser until it
 * is done, but is done in the end even if nobody puts flows there any more. */
static void
test_flow_table_grows_in_steps(void **state)
{
	enum { N_OWN = 11, N_FLOWS = 17 };
	struct flow_key key = {.in_port = be32_from(5)};
	struct dp_handle flows[N_FLOWS];
	struct flow_put_result result;
	struct flow_mask mask;
	unsigned refused = 0;

	(void)state;
	for (uint32_t i = 0; i < N_OWN; i++) {
		table_lab_base_mask(&mask);
		mask.bits.ip_dst = be32_from(0x80000000u >> i);
		assert_int_equal(table_lab_put(&key, FLOW_BLOCK(0), &mask, 0, 1, &result), 0);
	}
	table_lab_base_mask(&mask);
	mask.bits.ip_src = be32_from(UINT32_MAX);
	key.ip_dst = be32_from(UINT32_MAX); /* for none of those */
	for (uint32_t i = 0; i < N_FLOWS; i++) {
		key.ip_src = be32_from((i + 1) * 0x01010101u);
		assert_int_equal(table_lab_put(&key, FLOW_BLOCK(0), &mask, 0, i, &result), 0);
		flows[i] = result.flow;
	}
	assert_true(last_table(5)->is_shared);
	assert_non_null(last_table(5)->growing);
	for (uint32_t i = 0; i < N_FLOWS; i += 3) {
		assert_int_equal(table_lab_del(flows[i], i), 0);
	}
	mask.bits.ip_src = be32_from(0xffff0000);
	key.ip_src = be32_from(0xff000000);
	while (table_lab_put(&key, FLOW_BLOCK(0), &mask, 0, 99, &result) == -EDQUOT) {
		assert_true(++refused < 16);
		table_lab_pass();
	}
	assert_int_not_equal(refused, 0);
	assert_int_equal(table_lab_port_of(table_lab_find(5, &key, FLOW_BLOCK(0))), 99);
	for (uint32_t i = 0; i < N_FLOWS; i++) {
		const struct flow *f;

		key.ip_src = be32_from((i + 1) * 0x01010101u);
		f = table_lab_find(5, &key, FLOW_BLOCK(0));
		assert_int_equal(f ? table_lab_port_of(f) : 1000, i % 3 ? i : 1000);
	}
	/* A table goes in the middle of its growth. */
	key.in_port = be32_from(6);
	mask.bits.ip_src = be32_from(UINT32_MAX);
	for (uint32_t i = 0; i < N_FLOWS; i++) {
		key.ip_src = be32_from(i);
		assert_int_equal(table_lab_put(&key, FLOW_BLOCK(0), &mask, 0, i, &result), 0);
	}
	assert_non_null(last_table(6)->growing);
	table_lab_flush(5);
	table_lab_flush(6);
	table_lab_pass();
}

/* However many masks there are, a miss looks into few tables, and chains of shared ones are short. */
static void
test_flow_table_few_probes(void **state)
{
	struct flow_put_result result;
	const struct port_flows *pf;
	struct flow_table_counters before, counters;
	struct flow_mask mask, want;
	uint32_t seed = 1;

	(void)state;
	flow_table_read_counters(lab_table, &before);
	for (uint32_t i = 0; i < FLOW_MASKS_PER_PORT; i++) {
		for (uint32_t n = 0; n < 20; n++) {
			struct flow_key key = {
				.in_port = be32_from(5), .eth_type = be16_from(0x0800)};

			table_lab_base_mask(&mask);
			field_mask_exact(field_get(FIELD_ETH_TYPE), &mask);
			/* Bits of an address, each set once, no two alike. */
			mask.bits.ip_dst = be32_from((i + 1) * 0x01010101u | 0x80000000u);
			key.ip_dst = be32_from(seed = seed * 1103515245u + 12345u);
			assert_true(table_lab_put(&key, FLOW_BLOCK(0), &mask, DP_PUT_NARROW, i,
					    &result) == 0);
			/* It serves its own packet. */
			assert_non_null(table_lab_find(5, &key, FLOW_BLOCK(0)));
		}
	}
	pf = lab_table->ports[5];
	assert_true(((struct subtable_list *)pf->list)->n <= FLOW_MAX_PROBES);
	for (uint32_t i = 0; i < ((struct subtable_list *)pf->list)->n; i++) {
		const struct subtable *s = ((struct subtable_list *)pf->list)->subtables[i];
		const struct buckets *b = s->buckets;

		for (uint32_t h = 0; h <= b->mask; h++) {
			for (uint32_t slot = b->heads[h]; slot != FLOW_SLOT_NONE;
				slot = lab_table->flows[slot].next[b->link]) {
				unsigned n = 0;

				for (uint32_t other = b->heads[h]; other != FLOW_SLOT_NONE;
					other = lab_table->flows[other].next[b->link]) {
					n += lab_table->flows[other].hash[b->link] ==
					     lab_table->flows[slot].hash[b->link];
				}
				assert_true(n <= 8);
			}
		}
	}
	flow_table_read_counters(lab_table, &counters);
	assert_true(counters.narrowed > before.narrowed);
	/* Without leave to narrow, what finds no place is refused. */
	memset(&want, 0, sizeof want);
	for (uint32_t n = 0, refused = 0; !refused; n++) {
		struct flow_key key = {.in_port = be32_from(5), .ip_src = be32_from(n)};

		assert_true(n < 1000);
		table_lab_base_mask(&mask);
		mask.bits.ip_src = be32_from(0xff0000ffu ^ n << 8);
		refused = table_lab_put(&key, FLOW_BLOCK(0), &mask, 0, 1, &result) == -EDQUOT;
	}
	table_lab_flush(5);
	table_lab_pass();
	assert_int_equal(((struct port_flows *)lab_table->ports[5])->n_masks, 0);
	assert_int_equal(((struct subtable_list *)pf->list)->n, 0);
	flow_table_read_counters(lab_table, &counters);
	assert_int_equal(counters.n_masks, before.n_masks);
}

/* A bit that a flow wants in a block that the packet has not. */
static void
test_flow_table_absent_blocks_are_zero(void **state)
{
	struct flow_put_result result;
	struct flow_key key = {.in_port = be32_from(5)};
	uint8_t both = FLOW_BLOCK(0) | FLOW_BLOCK(1);
	struct flow_mask mask;
	struct flow *f;

	(void)state;
	table_lab_base_mask(&mask);
	field_mask_exact(field_get(FIELD_IPV6_DST), &mask);
	key.ipv6_dst[3] = 1;
	assert_int_equal(table_lab_put(&key, both, &mask, 0, 1, &result), 0);
	f = table_lab_find(5, &key, both);
	assert_non_null(f);
	assert_false(flow_matches(f, &key, FLOW_BLOCK(0)));
	assert_null(table_lab_find(5, &key, FLOW_BLOCK(0)));
	/* Zero is what an absent block is. */
	key.ipv6_dst[3] = 0;
	assert_int_equal(table_lab_put(&key, both, &mask, 0, 2, &result), 0);
	key.ipv6_dst[3] = 1;
	assert_int_equal(table_lab_port_of(table_lab_find(5, &key, FLOW_BLOCK(0))), 2);
	assert_int_equal(table_lab_port_of(table_lab_find(5, &key, both)), 1);
	table_lab_flush(5);
	table_lab_pass();
}

/* A delete waits for the reader, and its sums have what the reader credited until then. */
static void
test_flow_table_final_counters(void **state)
{
	struct flow_put_result result;
	struct flow_key key = {.in_port = be32_from(5)};
	struct flow_mask mask;

	(void)state;
	table_lab_base_mask(&mask);
	assert_int_equal(table_lab_put(&key, FLOW_BLOCK(0), &mask, 0, 1, &result), 0);
	stats_record_credit(stats_region_record(&lab_stats, 0, result.flow.slot), 3, 300, 11, 2);
	lab_told.n = 0;
	assert_int_equal(table_lab_del(result.flow, 77), 0);
	assert_null(table_lab_find(5, &key, FLOW_BLOCK(0)));
	stats_record_credit(stats_region_record(&lab_stats, 1, result.flow.slot), 4, 400, 22, 16);
	assert_true(table_lab_run());
	assert_int_equal(lab_told.n, 0);
	table_lab_pass();
	assert_int_equal(lab_told.n, 1);
	assert_int_equal(lab_told.user, 77);
	assert_int_equal(lab_told.final.packets, 7);
	assert_int_equal(lab_told.final.bytes, 700);
	assert_int_equal(lab_told.final.used_ms, 22);
	assert_int_equal(lab_told.final.tcp_flags, 18);
}

/* Beyond the budget: refused, or narrowed under a mask that has all bits asked for. */
static void
test_flow_table_mask_budget(void **state)
{
	struct flow_put_result result;
	struct flow_key key = {.in_port = be32_from(5), .eth_type = be16_from(0x800)}, other;
	struct flow_mask mask, wide;
	struct flow_table_counters c;
	uint32_t n_masks, n_flows;

	(void)state;
	key.ip_dst = be32_from(0x0a000001);
	key.eth_dst[0] = 2;
	/* All look at the destination, and at one bit of the source or of the ports. */
	for (unsigned i = 0; i < FLOW_MASKS_PER_PORT; i++) {
		table_lab_base_mask(&mask);
		mask.bits.ip_dst = UINT32_MAX;
		if (i < 32) {
			mask.bits.ip_src = be32_from(1u << i);
		} else if (i < 48) {
			mask.bits.l4_src = be16_from((uint16_t)(1u << (i - 32)));
		} else {
			mask.bits.l4_dst = be16_from((uint16_t)(1u << (i - 48)));
		}
		key.ip_dst = be32_from(0x0a000001 + i);
		assert_int_equal(table_lab_put(&key, FLOW_BLOCK(0), &mask, 0, i, &result), 0);
		assert_false(result.narrowed);
		assert_int_equal(table_lab_port_of(table_lab_find(5, &key, FLOW_BLOCK(0))), i);
		table_lab_pass();
	}
	/* Known masks go on; another port has its own. */
	other = key;
	other.ip_src = be32_from(1);
	assert_int_equal(table_lab_put(&other, FLOW_BLOCK(0), &mask, 0, 1, &result), 0);
	table_lab_base_mask(&mask);
	mask.bits.ip_dst = be32_from(0x00000001);
	assert_int_equal(table_lab_put(&key, FLOW_BLOCK(0), &mask, 0, 1, &result), -EDQUOT);
	other.in_port = be32_from(6);
	assert_int_equal(table_lab_put(&other, FLOW_BLOCK(0), &mask, 0, 1, &result), 0);
	table_lab_flush(6);
	/* An installed mask has the bit. */
	assert_int_equal(table_lab_put(&key, FLOW_BLOCK(0), &mask, DP_PUT_NARROW, 5, &result), 0);
	assert_true(result.narrowed);
	assert_true(flow_mask_covers(&mask, &result.mask));
	assert_int_equal(be32_to(result.mask.bits.ip_dst), UINT32_MAX);
	/* None has: the full mask, which only this packet meets. */
	table_lab_base_mask(&mask);
	mask.bits.ip_dst = be32_from(1);
	mask.bits.eth_dst[0] = 2;
	table_lab_flush(5);
	table_lab_pass();
	for (unsigned i = 0; i < FLOW_MASKS_PER_PORT; i++) {
		table_lab_base_mask(&wide);
		wide.bits.ip_src = be32_from(0xff000000u + i);
		key.ip_src = be32_from(i << 24);
		assert_int_equal(table_lab_put(&key, FLOW_BLOCK(0), &wide, 0, i, &result), 0);
		table_lab_pass();
	}
	assert_int_equal(table_lab_put(&key, FLOW_BLOCK(0), &mask, DP_PUT_NARROW, 5, &result), 0);
	assert_true(result.narrowed);
	assert_true(flow_mask_covers(&mask, &result.mask));
	assert_int_equal(be16_to(result.mask.bits.l4_dst), 0xffff);
	other = key;
	other.l4_dst = be16_from(9);
	/* A second of the same kind needs no further mask. */
	(void)flow_table_port_info(lab_table, 5, &n_masks, &n_flows, &wide);
	assert_int_equal(n_masks, FLOW_MASKS_PER_PORT + 1);
	assert_int_equal(table_lab_put(&other, FLOW_BLOCK(0), &mask, DP_PUT_NARROW, 6, &result), 0);
	(void)flow_table_port_info(lab_table, 5, &n_masks, &n_flows, &wide);
	assert_int_equal(n_masks, FLOW_MASKS_PER_PORT + 1);
	assert_int_equal(n_flows, FLOW_MASKS_PER_PORT + 2);
	flow_table_read_counters(lab_table, &c);
	assert_int_equal(c.narrowed, 3);
	assert_int_equal(c.refused, 1);
	table_lab_flush(5);
	table_lab_pass();
}

/* The live mask grows with the put, shrinks late, and its predecessor stays for a second. */
static void
test_flow_table_live_mask(void **state) WEFT_NO_ANALYSIS
{
	const struct live_mask *live, *old;
	struct flow_put_result result, wide;
	struct flow_key key = {.in_port = be32_from(8)};
	struct flow_mask mask;

	(void)state;
	assert_null(flow_table_live_mask(lab_table, 8, lab_now_ms, &old));
	table_lab_base_mask(&mask);
	assert_int_equal(table_lab_put(&key, FLOW_BLOCK(0), &mask, 0, 1, &wide), 0);
	live = flow_table_live_mask(lab_table, 8, lab_now_ms, &old);
	assert_true(flow_mask_equal(&live->mask, &mask));
	assert_int_equal(live->blocks, FLOW_BLOCK(0));
	assert_int_equal(live->depth, PARSE_L2);
	lab_now_ms += 5000;
	field_mask_exact(field_get(FIELD_TCP_DST), &mask);
	key.l4_dst = be16_from(80);
	assert_int_equal(table_lab_put(&key, FLOW_BLOCK(0), &mask, 0, 1, &result), 0);
	live = flow_table_live_mask(lab_table, 8, lab_now_ms, &old);
	assert_true(flow_mask_equal(&live->mask, &mask));
	assert_int_equal(live->depth, PARSE_L4);
	assert_non_null(old);
	assert_int_equal(be16_to(old->mask.bits.l4_dst), 0);
	(void)flow_table_live_mask(lab_table, 8, lab_now_ms + LIVE_OLD_MS, &old);
	assert_null(old);
	/* It goes: not at once a second time. What the switch made itself has no flows meanwhile. */
	assert_int_equal(table_lab_del(result.flow, 0), 0);
	assert_null(flow_table_live_mask(lab_table, DP_PORT_MADE, lab_now_ms, &old));
	table_lab_pass();
	live = flow_table_live_mask(lab_table, 8, lab_now_ms, &old);
	assert_int_equal(be16_to(live->mask.bits.l4_dst), 0);
	lab_now_ms += 100;
	assert_int_equal(table_lab_put(&key, FLOW_BLOCK(0), &mask, 0, 1, &result), 0);
	assert_int_equal(table_lab_del(result.flow, 0), 0);
	table_lab_pass();
	live = flow_table_live_mask(lab_table, 8, lab_now_ms, &old);
	assert_int_equal(be16_to(live->mask.bits.l4_dst), 0xffff);
	lab_now_ms += LIVE_SHRINK_MS;
	table_lab_pass();
	live = flow_table_live_mask(lab_table, 8, lab_now_ms, &old);
	assert_int_equal(be16_to(live->mask.bits.l4_dst), 0);
	assert_int_equal(table_lab_del(wide.flow, 0), 0);
	table_lab_pass();
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, table_lab_start, table_lab_stop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_flow_table_grows),
		TEST(test_flow_table_parts_of_ports),
		TEST(test_flow_table_grows_in_steps),
		TEST(test_flow_table_few_probes),
		TEST(test_flow_table_absent_blocks_are_zero),
		TEST(test_flow_table_final_counters),
		TEST(test_flow_table_mask_budget),
		TEST(test_flow_table_live_mask),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow table and cache, at random against a naive twin, and their promises one by one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datapath/flow_cache.h"
#include "datapath/flow_table_internal.h"
#include "datapath/key_hash.h"
#include "datapath/rcu.h"
#include "lib/compiler.h"
#include "lib/dp_protocol.h"
#include "lib/field.h"
#include "tests/unit/datapath/lab.h"

#define MAX_FLOWS 3000u
#define READER 1u
/* What one port alone may have: a sixteenth is kept for others. */
#define PORT_FLOWS (MAX_FLOWS - MAX_FLOWS / 16)

static struct flow_table *table;
static struct stats_region stats;
static uint64_t now_ms = 1000000;

static int
start(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(stats_region_create(&stats, 1, 2, MAX_FLOWS, &fd), 0);
	close(fd);
	assert_int_equal(rcu_init(), 0);
	rcu_register(READER);
	rcu_online(READER);
	table = flow_table_create(MAX_FLOWS, &stats);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	rcu_offline(READER);
	rcu_unregister(READER);
	flow_table_destroy(table);
	stats_region_destroy(&stats);
	return 0;
}

/* The last deletions told. */
static struct {
	struct dp_handle flow;
	struct flow_stats final;
	uint64_t user;
	unsigned n;
} told;

static void
deleted(struct dp_handle flow, const struct flow_stats *final, uint64_t user, void *arg)
{
	(void)arg;
	told.flow = flow;
	told.final = *final;
	told.user = user;
	told.n++;
}

static void
pass(void) WEFT_NO_ANALYSIS
{
	rcu_quiescent(READER);
	while (flow_table_run(table, now_ms, deleted, NULL)) {
		rcu_quiescent(READER);
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

static int
put(const struct flow_key *key, uint8_t blocks, const struct flow_mask *mask, uint16_t flags,
	uint32_t port, struct flow_put_result *result) WEFT_NO_ANALYSIS
{
	struct flow_put p = {.key = key,
		.key_blocks = blocks,
		.mask = mask,
		.flags = flags,
		.epoch = 9,
		.now_ms = now_ms};

	p.actions = output_to(port, &p.actions_size);
	return flow_table_put(table, &p, result);
}

static struct flow *
find(uint16_t in_port, const struct flow_key *key, uint8_t blocks) WEFT_NO_ANALYSIS
{
	return flow_table_find(table, in_port, key, blocks);
}

static int
del(struct dp_handle flow, uint64_t user) WEFT_NO_ANALYSIS
{
	return flow_table_del(table, flow, user);
}

static void
flush(uint16_t port) WEFT_NO_ANALYSIS
{
	flow_table_flush_port(table, port);
}

static uint32_t
port_of(const struct flow *f)
{
	return ((struct action_program *)f->program)->single_port;
}

static void
base_mask(struct flow_mask *mask)
{
	memset(mask, 0, sizeof *mask);
	field_mask_exact(field_get(FIELD_IN_PORT), mask);
	field_mask_exact(field_get(FIELD_RECIRC_ID), mask);
}

/* --- at random ------------------------------------------------------------------------------------------- */

/* What the table should hold. */
struct twin {
	bool there;
	struct flow_key key; /* masked */
	struct flow_mask mask;
	struct dp_handle handle;
	uint32_t port;
};
static struct twin twins[2000];
static unsigned n_twins;

/* Few values, so that keys meet; block 1 and 3 are there or not. */
static uint8_t
random_key(struct flow_key *key)
{
	uint8_t blocks = FLOW_BLOCK(0);

	memset(key, 0, sizeof *key);
	key->in_port = be32_from(1 + lab_below(3));
	key->eth_dst[5] = (uint8_t)lab_below(6);
	key->eth_src[5] = (uint8_t)lab_below(6);
	key->eth_type = be16_from((uint16_t)lab_below(3));
	key->ip_dst = be32_from(lab_below(8));
	key->l4_dst = be16_from((uint16_t)lab_below(4));
	if (lab_below(2)) {
		blocks |= FLOW_BLOCK(1);
		key->ipv6_dst[15] = (uint8_t)lab_below(4);
		key->nd_target[0] = (uint8_t)lab_below(2);
	}
	if (lab_below(3) == 0) {
		blocks |= FLOW_BLOCK(3);
		key->inner_tci = be16_from((uint16_t)lab_below(3));
	}
	return blocks;
}

static void
random_mask(struct flow_mask *mask)
{
	static const enum field_id fields[] = {FIELD_ETH_DST, FIELD_ETH_SRC, FIELD_ETH_TYPE,
		FIELD_IPV4_DST, FIELD_TCP_DST, FIELD_IPV6_DST, FIELD_ND_TARGET, FIELD_INNER_TCI};

	base_mask(mask);
	for (unsigned n = lab_below(4); n-- > 0;) {
		field_mask_exact(field_get(fields[lab_below(WEFT_ARRAY_SIZE(fields))]), mask);
	}
	if (lab_below(4) == 0) {
		mask->bits.ip_dst = be32_from(0xfffffffeu << lab_below(3));
	}
}

static struct twin *
twin_exact(const struct flow_key *masked, const struct flow_mask *mask)
{
	for (unsigned i = 0; i < n_twins; i++) {
		if (twins[i].there && flow_key_equal(&twins[i].key, masked) &&
			flow_mask_equal(&twins[i].mask, mask)) {
			return &twins[i];
		}
	}
	return NULL;
}

static bool
twin_matches(const struct twin *t, const struct flow_key *key, uint8_t blocks)
{
	return t->there && flow_key_matches(key, blocks, &t->key, &t->mask);
}

static void
random_put(void)
{
	struct flow_put_result result;
	struct flow_key key, masked;
	struct flow_mask mask;
	uint8_t blocks = random_key(&key);
	uint16_t flags = (uint16_t)(lab_below(3) ? 0 : 1u << lab_below(2));
	uint32_t port = lab_below(1000);
	struct twin *t;
	int rc;

	random_mask(&mask);
	flow_key_mask(&masked, &key, blocks, &mask);
	t = twin_exact(&masked, &mask);
	rc = put(&key, blocks, &mask, flags, port, &result);
	if (t) {
		assert_int_equal(result.flow.slot, t->handle.slot);
		assert_int_equal(result.flow.gen, t->handle.gen);
		assert_int_equal(rc, flags & DP_PUT_EXCLUSIVE ? -EEXIST : 0);
		t->port = rc ? t->port : port;
	} else if (rc == -EDQUOT) {
		assert_false(flags & DP_PUT_NARROW);
	} else {
		assert_int_equal(rc, flags & DP_PUT_MODIFY ? -ENOENT : 0);
		if (!rc && n_twins < WEFT_ARRAY_SIZE(twins)) {
			twins[n_twins++] = (struct twin){true, masked, mask, result.flow, port};
		} else if (!rc) {
			assert_int_equal(del(result.flow, 0), 0);
		}
	}
}

/* A flow is found exactly when the twin has one that matches, and it is one of those. */
static void
random_find(struct flow_cache *cache)
{
	struct flow_key key;
	uint8_t blocks = random_key(&key);
	uint16_t port = (uint16_t)be32_to(key.in_port);
	struct flow *f = find(port, &key, blocks);
	struct flow_mask ones;
	bool any = false, same = false;
	uint32_t hash;

	/* Bytes of absent blocks are undefined. */
	for (unsigned b = 0; b < FLOW_N_BLOCKS; b++) {
		if (!(blocks & FLOW_BLOCK(b))) {
			memset(key.bytes + b * FLOW_BLOCK_SIZE, (int)lab_random(), FLOW_BLOCK_SIZE);
		}
	}
	assert_ptr_equal(find(port, &key, blocks), f);
	for (unsigned i = 0; i < n_twins; i++) {
		if (twin_matches(&twins[i], &key, blocks)) {
			any = true;
			same |= f && f->slot == twins[i].handle.slot &&
				f->live == twins[i].handle.gen && port_of(f) == twins[i].port;
		}
	}
	assert_int_equal(f != NULL, any);
	assert_int_equal(same, any);
	/* The cache never finds what does not match. */
	memset(&ones, 0xff, sizeof ones);
	hash = key_hash_live(&key, blocks, FLOW_BLOCKS_DATAPATH, &ones);
	if (f) {
		flow_cache_insert(cache, hash, f->slot);
	}
	f = flow_cache_find(cache, hash, &key, blocks);
	assert_int_equal(f != NULL, any);
	if (f) {
		same = false;
		for (unsigned i = 0; i < n_twins; i++) {
			same |= twin_matches(&twins[i], &key, blocks) &&
				twins[i].handle.slot == f->slot && twins[i].handle.gen == f->live;
		}
		assert_true(same);
	}
}

static void
test_flow_table_random_against_twin(void **state)
{
	struct flow_cache cache = {.mask = 15, .flows = flow_table_slots(table)};
	struct flow_table_counters c;
	unsigned n;

	(void)state;
	lab_seed("flow table");
	assert_int_equal(
		posix_memalign((void **)&cache.buckets, 64, 16 * sizeof cache.buckets[0]), 0);
	memset(cache.buckets, 0xff, 16 * sizeof cache.buckets[0]);
	n_twins = 0;
	for (unsigned i = 0; i < 30000; i++) {
		switch (lab_below(8)) {
		case 0:
		case 1:
			random_put();
			break;
		case 2:
			if (n_twins) {
				struct twin *t = &twins[lab_below(n_twins)];
				bool look = lab_below(2);

				if (look) {
					pass();
				}
				told.n = 0;
				assert_int_equal(del(t->handle, i), t->there ? 0 : -ESTALE);
				if (t->there && look) {
					pass();
					assert_int_equal(told.n, 1);
					assert_int_equal(told.flow.slot, t->handle.slot);
					assert_int_equal(told.user, i);
				}
				*t = twins[--n_twins];
			}
			break;
		case 3:
			if (lab_below(300) == 0) {
				uint16_t port = (uint16_t)(1 + lab_below(3));

				flush(port);
				for (unsigned k = 0; k < n_twins; k++) {
					twins[k].there &= be32_to(twins[k].key.in_port) != port;
				}
			} else {
				rcu_quiescent(READER);
				pass();
			}
			break;
		default:
			random_find(&cache);
			break;
		}
	}
	pass();
	n = 0;
	for (unsigned i = 0; i < n_twins; i++) {
		n += twins[i].there;
	}
	flow_table_read_counters(table, &c);
	assert_int_equal(c.n_flows, n);
	for (uint32_t slot = 0, next;; slot = next) {
		struct flow_info info;
		struct twin *t;

		if (!flow_table_list(table, slot, &info, &next)) {
			break;
		}
		t = twin_exact(&info.key, &info.mask);
		assert_non_null(t);
		assert_int_equal(info.flow.gen, t->handle.gen);
		assert_int_equal(info.program->single_port, t->port);
		n--;
	}
	assert_int_equal(n, 0);
	for (uint16_t port = 1; port <= 3; port++) {
		flush(port);
	}
	pass();
	flow_table_read_counters(table, &c);
	assert_int_equal(c.n_flows, 0);
	assert_int_equal(c.n_masks, 0);
	free(cache.buckets);
}

/* --- one by one ------------------------------------------------------------------------------------------ */

/* Many flows of one mask: the hash table grows under its readers and shrinks by deletion. */
static void
test_flow_table_grows(void **state)
{
	static struct dp_handle flows[MAX_FLOWS];
	struct flow_put_result result;
	struct flow_key key = {.in_port = be32_from(5)};
	struct flow_mask mask;

	(void)state;
	base_mask(&mask);
	field_mask_exact(field_get(FIELD_IPV4_DST), &mask);
	for (uint32_t i = 0; i < PORT_FLOWS; i++) {
		key.ip_dst = be32_from(i);
		assert_int_equal(put(&key, FLOW_BLOCK(0), &mask, 0, i, &result), 0);
		flows[i] = result.flow;
		if (i % 100 == 0) {
			pass();
		}
	}
	key.ip_dst = be32_from(PORT_FLOWS);
	assert_int_equal(put(&key, FLOW_BLOCK(0), &mask, 0, 0, &result), -ENOSPC);
	for (uint32_t i = 0; i < PORT_FLOWS; i++) {
		key.ip_dst = be32_from(i);
		assert_non_null(find(5, &key, FLOW_BLOCK(0)));
		assert_int_equal(port_of(find(5, &key, FLOW_BLOCK(0))), i);
		assert_null(find(6, &key, FLOW_BLOCK(0)));
	}
	for (uint32_t i = 0; i < PORT_FLOWS; i += 2) {
		assert_int_equal(del(flows[i], i), 0);
	}
	for (uint32_t i = 0; i < PORT_FLOWS; i++) {
		key.ip_dst = be32_from(i);
		assert_int_equal(find(5, &key, FLOW_BLOCK(0)) != NULL, i & 1);
	}
	/* No slot is reused before its grace period. */
	for (uint32_t i = PORT_FLOWS; i < MAX_FLOWS; i++) {
		key.ip_dst = be32_from(i);
		assert_int_equal(put(&key, FLOW_BLOCK(0), &mask, 0, 0, &result), 0);
		assert_int_equal(result.flow.gen, 1);
	}
	key.ip_dst = be32_from(1u << 20);
	assert_int_equal(put(&key, FLOW_BLOCK(0), &mask, 0, 0, &result), -ENOSPC);
	pass();
	assert_int_equal(put(&key, FLOW_BLOCK(0), &mask, 0, 0, &result), 0);
	assert_int_not_equal(result.flow.gen, 1);
	assert_int_equal(
		del((struct dp_handle){result.flow.slot, result.flow.gen - 1}, 0), -ESTALE);
	assert_int_equal(del((struct dp_handle){MAX_FLOWS, 1}, 0), -ESTALE);
	assert_int_equal(del((struct dp_handle){0, 0}, 0), -ESTALE);
	flush(5);
	pass();
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
	base_mask(&mask);
	field_mask_exact(field_get(FIELD_IPV4_DST), &mask);
	key.ip_dst = be32_from(1);
	assert_int_equal(put(&key, FLOW_BLOCK(0), &mask, 0, 1, &result), 0);
	key.in_port = be32_from(6);
	for (; key.ip_dst = be32_from(n), !put(&key, FLOW_BLOCK(0), &mask, 0, 1, &result); n++) {
	}
	/* Half of the table is the two ports' own, a sixteenth a newcomer's. */
	assert_int_equal(n, MAX_FLOWS - MAX_FLOWS / 16 - MAX_FLOWS / 4);
	key.in_port = be32_from(7);
	assert_int_equal(put(&key, FLOW_BLOCK(0), &mask, 0, 1, &result), 0);
	key.in_port = be32_from(5);
	for (n = 1; n < MAX_FLOWS / 6; n++) {
		key.ip_dst = be32_from(n);
		assert_int_equal(put(&key, FLOW_BLOCK(0), &mask, 0, 1, &result), 0);
	}
	key.in_port = be32_from(6);
	key.ip_dst = be32_from(1u << 20);
	assert_int_equal(put(&key, FLOW_BLOCK(0), &mask, 0, 1, &result), -ENOSPC);
	flow_table_read_counters(table, &counters);
	assert_int_equal(counters.refused, 2);
	flush(5);
	flush(6);
	flush(7);
	pass();
}

static struct subtable *
last_table(uint16_t port)
{
	const struct subtable_list *list = ((struct port_flows *)table->ports[port])->list;

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
		base_mask(&mask);
		mask.bits.ip_dst = be32_from(0x80000000u >> i);
		assert_int_equal(put(&key, FLOW_BLOCK(0), &mask, 0, 1, &result), 0);
	}
	base_mask(&mask);
	mask.bits.ip_src = be32_from(UINT32_MAX);
	key.ip_dst = be32_from(UINT32_MAX); /* for none of those */
	for (uint32_t i = 0; i < N_FLOWS; i++) {
		key.ip_src = be32_from((i + 1) * 0x01010101u);
		assert_int_equal(put(&key, FLOW_BLOCK(0), &mask, 0, i, &result), 0);
		flows[i] = result.flow;
	}
	assert_true(last_table(5)->is_shared);
	assert_non_null(last_table(5)->growing);
	for (uint32_t i = 0; i < N_FLOWS; i += 3) {
		assert_int_equal(del(flows[i], i), 0);
	}
	mask.bits.ip_src = be32_from(0xffff0000);
	key.ip_src = be32_from(0xff000000);
	while (put(&key, FLOW_BLOCK(0), &mask, 0, 99, &result) == -EDQUOT) {
		assert_true(++refused < 16);
		pass();
	}
	assert_int_not_equal(refused, 0);
	assert_int_equal(port_of(find(5, &key, FLOW_BLOCK(0))), 99);
	for (uint32_t i = 0; i < N_FLOWS; i++) {
		const struct flow *f;

		key.ip_src = be32_from((i + 1) * 0x01010101u);
		f = find(5, &key, FLOW_BLOCK(0));
		assert_int_equal(f ? port_of(f) : 1000, i % 3 ? i : 1000);
	}
	/* A table goes in the middle of its growth. */
	key.in_port = be32_from(6);
	mask.bits.ip_src = be32_from(UINT32_MAX);
	for (uint32_t i = 0; i < N_FLOWS; i++) {
		key.ip_src = be32_from(i);
		assert_int_equal(put(&key, FLOW_BLOCK(0), &mask, 0, i, &result), 0);
	}
	assert_non_null(last_table(6)->growing);
	flush(5);
	flush(6);
	pass();
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
	flow_table_read_counters(table, &before);
	for (uint32_t i = 0; i < FLOW_MASKS_PER_PORT; i++) {
		for (uint32_t n = 0; n < 20; n++) {
			struct flow_key key = {
				.in_port = be32_from(5), .eth_type = be16_from(0x0800)};

			base_mask(&mask);
			field_mask_exact(field_get(FIELD_ETH_TYPE), &mask);
			/* Bits of an address, each set once, no two alike. */
			mask.bits.ip_dst = be32_from((i + 1) * 0x01010101u | 0x80000000u);
			key.ip_dst = be32_from(seed = seed * 1103515245u + 12345u);
			assert_true(
				put(&key, FLOW_BLOCK(0), &mask, DP_PUT_NARROW, i, &result) == 0);
			/* It serves its own packet. */
			assert_non_null(find(5, &key, FLOW_BLOCK(0)));
		}
	}
	pf = table->ports[5];
	assert_true(((struct subtable_list *)pf->list)->n <= FLOW_MAX_PROBES);
	for (uint32_t i = 0; i < ((struct subtable_list *)pf->list)->n; i++) {
		const struct subtable *s = ((struct subtable_list *)pf->list)->subtables[i];
		const struct buckets *b = s->buckets;

		for (uint32_t h = 0; h <= b->mask; h++) {
			for (uint32_t slot = b->heads[h]; slot != FLOW_SLOT_NONE;
				slot = table->flows[slot].next[b->link]) {
				unsigned n = 0;

				for (uint32_t other = b->heads[h]; other != FLOW_SLOT_NONE;
					other = table->flows[other].next[b->link]) {
					n += table->flows[other].hash[b->link] ==
					     table->flows[slot].hash[b->link];
				}
				assert_true(n <= 8);
			}
		}
	}
	flow_table_read_counters(table, &counters);
	assert_true(counters.narrowed > before.narrowed);
	/* Without leave to narrow, what finds no place is refused. */
	memset(&want, 0, sizeof want);
	for (uint32_t n = 0, refused = 0; !refused; n++) {
		struct flow_key key = {.in_port = be32_from(5), .ip_src = be32_from(n)};

		assert_true(n < 1000);
		base_mask(&mask);
		mask.bits.ip_src = be32_from(0xff0000ffu ^ n << 8);
		refused = put(&key, FLOW_BLOCK(0), &mask, 0, 1, &result) == -EDQUOT;
	}
	flush(5);
	pass();
	assert_int_equal(((struct port_flows *)table->ports[5])->n_masks, 0);
	assert_int_equal(((struct subtable_list *)pf->list)->n, 0);
	flow_table_read_counters(table, &counters);
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
	base_mask(&mask);
	field_mask_exact(field_get(FIELD_IPV6_DST), &mask);
	key.ipv6_dst[3] = 1;
	assert_int_equal(put(&key, both, &mask, 0, 1, &result), 0);
	f = find(5, &key, both);
	assert_non_null(f);
	assert_false(flow_matches(f, &key, FLOW_BLOCK(0)));
	assert_null(find(5, &key, FLOW_BLOCK(0)));
	/* Zero is what an absent block is. */
	key.ipv6_dst[3] = 0;
	assert_int_equal(put(&key, both, &mask, 0, 2, &result), 0);
	key.ipv6_dst[3] = 1;
	assert_int_equal(port_of(find(5, &key, FLOW_BLOCK(0))), 2);
	assert_int_equal(port_of(find(5, &key, both)), 1);
	flush(5);
	pass();
}

/* A delete waits for the reader, and its sums have what the reader credited until then. */
static void
test_flow_table_final_counters(void **state)
{
	struct flow_put_result result;
	struct flow_key key = {.in_port = be32_from(5)};
	struct flow_mask mask;

	(void)state;
	base_mask(&mask);
	assert_int_equal(put(&key, FLOW_BLOCK(0), &mask, 0, 1, &result), 0);
	stats_record_credit(stats_region_record(&stats, 0, result.flow.slot), 3, 300, 11, 2);
	told.n = 0;
	assert_int_equal(del(result.flow, 77), 0);
	assert_null(find(5, &key, FLOW_BLOCK(0)));
	stats_record_credit(stats_region_record(&stats, 1, result.flow.slot), 4, 400, 22, 16);
	weft_role_enter(weft_tables);
	assert_true(flow_table_run(table, now_ms, deleted, NULL));
	weft_role_leave(weft_tables);
	assert_int_equal(told.n, 0);
	pass();
	assert_int_equal(told.n, 1);
	assert_int_equal(told.user, 77);
	assert_int_equal(told.final.packets, 7);
	assert_int_equal(told.final.bytes, 700);
	assert_int_equal(told.final.used_ms, 22);
	assert_int_equal(told.final.tcp_flags, 18);
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
		base_mask(&mask);
		mask.bits.ip_dst = UINT32_MAX;
		if (i < 32) {
			mask.bits.ip_src = be32_from(1u << i);
		} else if (i < 48) {
			mask.bits.l4_src = be16_from((uint16_t)(1u << (i - 32)));
		} else {
			mask.bits.l4_dst = be16_from((uint16_t)(1u << (i - 48)));
		}
		key.ip_dst = be32_from(0x0a000001 + i);
		assert_int_equal(put(&key, FLOW_BLOCK(0), &mask, 0, i, &result), 0);
		assert_false(result.narrowed);
		assert_int_equal(port_of(find(5, &key, FLOW_BLOCK(0))), i);
		pass();
	}
	/* Known masks go on; another port has its own. */
	other = key;
	other.ip_src = be32_from(1);
	assert_int_equal(put(&other, FLOW_BLOCK(0), &mask, 0, 1, &result), 0);
	base_mask(&mask);
	mask.bits.ip_dst = be32_from(0x00000001);
	assert_int_equal(put(&key, FLOW_BLOCK(0), &mask, 0, 1, &result), -EDQUOT);
	other.in_port = be32_from(6);
	assert_int_equal(put(&other, FLOW_BLOCK(0), &mask, 0, 1, &result), 0);
	flush(6);
	/* An installed mask has the bit. */
	assert_int_equal(put(&key, FLOW_BLOCK(0), &mask, DP_PUT_NARROW, 5, &result), 0);
	assert_true(result.narrowed);
	assert_true(flow_mask_covers(&mask, &result.mask));
	assert_int_equal(be32_to(result.mask.bits.ip_dst), UINT32_MAX);
	/* None has: the full mask, which only this packet meets. */
	base_mask(&mask);
	mask.bits.ip_dst = be32_from(1);
	mask.bits.eth_dst[0] = 2;
	flush(5);
	pass();
	for (unsigned i = 0; i < FLOW_MASKS_PER_PORT; i++) {
		base_mask(&wide);
		wide.bits.ip_src = be32_from(0xff000000u + i);
		key.ip_src = be32_from(i << 24);
		assert_int_equal(put(&key, FLOW_BLOCK(0), &wide, 0, i, &result), 0);
		pass();
	}
	assert_int_equal(put(&key, FLOW_BLOCK(0), &mask, DP_PUT_NARROW, 5, &result), 0);
	assert_true(result.narrowed);
	assert_true(flow_mask_covers(&mask, &result.mask));
	assert_int_equal(be16_to(result.mask.bits.l4_dst), 0xffff);
	other = key;
	other.l4_dst = be16_from(9);
	/* A second of the same kind needs no further mask. */
	(void)flow_table_port_info(table, 5, &n_masks, &n_flows, &wide);
	assert_int_equal(n_masks, FLOW_MASKS_PER_PORT + 1);
	assert_int_equal(put(&other, FLOW_BLOCK(0), &mask, DP_PUT_NARROW, 6, &result), 0);
	(void)flow_table_port_info(table, 5, &n_masks, &n_flows, &wide);
	assert_int_equal(n_masks, FLOW_MASKS_PER_PORT + 1);
	assert_int_equal(n_flows, FLOW_MASKS_PER_PORT + 2);
	flow_table_read_counters(table, &c);
	assert_int_equal(c.narrowed, 3);
	assert_int_equal(c.refused, 1);
	flush(5);
	pass();
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
	assert_null(flow_table_live_mask(table, 8, now_ms, &old));
	base_mask(&mask);
	assert_int_equal(put(&key, FLOW_BLOCK(0), &mask, 0, 1, &wide), 0);
	live = flow_table_live_mask(table, 8, now_ms, &old);
	assert_true(flow_mask_equal(&live->mask, &mask));
	assert_int_equal(live->blocks, FLOW_BLOCK(0));
	assert_int_equal(live->depth, PARSE_L2);
	now_ms += 5000;
	field_mask_exact(field_get(FIELD_TCP_DST), &mask);
	key.l4_dst = be16_from(80);
	assert_int_equal(put(&key, FLOW_BLOCK(0), &mask, 0, 1, &result), 0);
	live = flow_table_live_mask(table, 8, now_ms, &old);
	assert_true(flow_mask_equal(&live->mask, &mask));
	assert_int_equal(live->depth, PARSE_L4);
	assert_non_null(old);
	assert_int_equal(be16_to(old->mask.bits.l4_dst), 0);
	(void)flow_table_live_mask(table, 8, now_ms + LIVE_OLD_MS, &old);
	assert_null(old);
	/* It goes: not at once a second time. What the switch made itself has no flows meanwhile. */
	assert_int_equal(del(result.flow, 0), 0);
	assert_null(flow_table_live_mask(table, DP_PORT_MADE, now_ms, &old));
	pass();
	live = flow_table_live_mask(table, 8, now_ms, &old);
	assert_int_equal(be16_to(live->mask.bits.l4_dst), 0);
	now_ms += 100;
	assert_int_equal(put(&key, FLOW_BLOCK(0), &mask, 0, 1, &result), 0);
	assert_int_equal(del(result.flow, 0), 0);
	pass();
	live = flow_table_live_mask(table, 8, now_ms, &old);
	assert_int_equal(be16_to(live->mask.bits.l4_dst), 0xffff);
	now_ms += LIVE_SHRINK_MS;
	pass();
	live = flow_table_live_mask(table, 8, now_ms, &old);
	assert_int_equal(be16_to(live->mask.bits.l4_dst), 0);
	assert_int_equal(del(wide.flow, 0), 0);
	pass();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_flow_table_random_against_twin, start, stop),
		cmocka_unit_test_setup_teardown(test_flow_table_grows, start, stop),
		cmocka_unit_test_setup_teardown(test_flow_table_parts_of_ports, start, stop),
		cmocka_unit_test_setup_teardown(test_flow_table_grows_in_steps, start, stop),
		cmocka_unit_test_setup_teardown(test_flow_table_few_probes, start, stop),
		cmocka_unit_test_setup_teardown(
			test_flow_table_absent_blocks_are_zero, start, stop),
		cmocka_unit_test_setup_teardown(test_flow_table_final_counters, start, stop),
		cmocka_unit_test_setup_teardown(test_flow_table_mask_budget, start, stop),
		cmocka_unit_test_setup_teardown(test_flow_table_live_mask, start, stop),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}

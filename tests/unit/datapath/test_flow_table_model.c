/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow table and cache, at random against a naive twin.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/flow_cache.h"
#include "datapath/key_hash.h"
#include "datapath/rcu.h"
#include "lib/compiler.h"
#include "lib/dp_protocol.h"
#include "lib/field.h"
#include "tests/unit/datapath/lab.h"
#include "tests/unit/datapath/table_lab.h"

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

	table_lab_base_mask(mask);
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
	rc = table_lab_put(&key, blocks, &mask, flags, port, &result);
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
			assert_int_equal(table_lab_del(result.flow, 0), 0);
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
	struct flow *f = table_lab_find(port, &key, blocks);
	struct flow_mask ones;
	bool any = false, same = false;
	uint32_t hash;

	/* Bytes of absent blocks are undefined. */
	for (unsigned b = 0; b < FLOW_N_BLOCKS; b++) {
		if (!(blocks & FLOW_BLOCK(b))) {
			memset(key.bytes + b * FLOW_BLOCK_SIZE, (int)lab_random(), FLOW_BLOCK_SIZE);
		}
	}
	assert_ptr_equal(table_lab_find(port, &key, blocks), f);
	for (unsigned i = 0; i < n_twins; i++) {
		if (twin_matches(&twins[i], &key, blocks)) {
			any = true;
			same |= f && f->slot == twins[i].handle.slot &&
				f->live == twins[i].handle.gen &&
				table_lab_port_of(f) == twins[i].port;
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
	struct flow_cache cache = {.mask = 15, .flows = flow_table_slots(lab_table)};
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
					table_lab_pass();
				}
				lab_told.n = 0;
				assert_int_equal(
					table_lab_del(t->handle, i), t->there ? 0 : -ESTALE);
				if (t->there && look) {
					table_lab_pass();
					assert_int_equal(lab_told.n, 1);
					assert_int_equal(lab_told.flow.slot, t->handle.slot);
					assert_int_equal(lab_told.user, i);
				}
				*t = twins[--n_twins];
			}
			break;
		case 3:
			if (lab_below(300) == 0) {
				uint16_t port = (uint16_t)(1 + lab_below(3));

				table_lab_flush(port);
				for (unsigned k = 0; k < n_twins; k++) {
					twins[k].there &= be32_to(twins[k].key.in_port) != port;
				}
			} else {
				rcu_quiescent(TABLE_LAB_READER);
				table_lab_pass();
			}
			break;
		default:
			random_find(&cache);
			break;
		}
	}
	table_lab_pass();
	n = 0;
	for (unsigned i = 0; i < n_twins; i++) {
		n += twins[i].there;
	}
	flow_table_read_counters(lab_table, &c);
	assert_int_equal(c.n_flows, n);
	for (uint32_t slot = 0, next;; slot = next) {
		struct flow_info info;
		struct twin *t;

		if (!flow_table_list(lab_table, slot, &info, &next)) {
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
		table_lab_flush(port);
	}
	table_lab_pass();
	flow_table_read_counters(lab_table, &c);
	assert_int_equal(c.n_flows, 0);
	assert_int_equal(c.n_masks, 0);
	free(cache.buckets);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, table_lab_start, table_lab_stop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_flow_table_random_against_twin),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}

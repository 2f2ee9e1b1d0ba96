/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow keys: layout, and every operation against a twin that goes byte by byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/field.h"
#include "lib/flow_key.h"
#include "tests/unit/lib/random.h"

#define ROUNDS 20000

/* Bytes that no field covers: padding, and the places of bits to come. */
static const struct {
	uint16_t offset, size;
} gaps[] = {
	{offsetof(struct flow_key, zero2), 12},
	{offsetof(struct flow_key, zero3), 40},
	{offsetof(struct flow_key, zero4), 11},
	{offsetof(struct flow_key, zero7), 32},
};

/* Bits of a byte that no field covers. */
static const struct {
	uint16_t offset;
	uint8_t bits;
} spare_bits[] = {
	{offsetof(struct flow_key, tcp_flags), 0xf0},
	{offsetof(struct flow_key, ip_frag), 0xf0},
	{offsetof(struct flow_key, ct_state), 0xff},
	{offsetof(struct flow_key, flabel_exthdr), 0xe0},
	{offsetof(struct flow_key, tun_erspan_ver), 0xf0},
	{offsetof(struct flow_key, tun_erspan_dir), 0xfe},
	{offsetof(struct flow_key, tun_erspan_hwid), 0xc0},
	{offsetof(struct flow_key, tun_erspan_idx), 0xff},
	{offsetof(struct flow_key, tun_erspan_idx) + 1, 0xf0},
	{offsetof(struct flow_key, pbb), 0xfe},
};

/* The table and the struct agree to the last bit. */
static void
test_flow_key_layout(void **state)
{
	struct flow_mask covered = {0};
	uint8_t want[FLOW_KEY_SIZE];

	(void)state;
	memset(want, 0xff, sizeof want);
	for (size_t i = 0; i < sizeof gaps / sizeof gaps[0]; i++) {
		memset(want + gaps[i].offset, 0, gaps[i].size);
	}
	for (size_t i = 0; i < sizeof spare_bits / sizeof spare_bits[0]; i++) {
		want[spare_bits[i].offset] &= (uint8_t)~spare_bits[i].bits;
	}
	for (unsigned id = 0; id < FIELD_N; id++) {
		field_mask_exact(field_get((enum field_id)id), &covered);
	}
	assert_memory_equal(covered.bits.bytes, want, sizeof want);
}

/* A key with few bits, so that things are equal now and then. */
static void
make_key(struct flow_key *key)
{
	memset(key, 0, sizeof *key);
	for (unsigned n = random_below(6); n > 0; n--) {
		key->bytes[random_below(FLOW_KEY_SIZE)] = (uint8_t)random_u64();
	}
	if (!random_below(4)) {
		random_bytes(key->bytes + random_below(8) * FLOW_BLOCK_SIZE, FLOW_BLOCK_SIZE);
	}
}

static uint8_t
present_byte(const struct flow_key *key, uint8_t present, unsigned i)
{
	return present >> i / FLOW_BLOCK_SIZE & 1 ? key->bytes[i] : 0;
}

static bool
twin_matches(const struct flow_key *key, uint8_t present, const struct flow_key *value,
	const struct flow_mask *mask)
{
	for (unsigned i = 0; i < FLOW_KEY_SIZE; i++) {
		if ((present_byte(key, present, i) & mask->bits.bytes[i]) != value->bytes[i]) {
			return false;
		}
	}
	return true;
}

static void
check_masking(void)
{
	struct flow_key key, value, same, other;
	struct flow_mask mask;
	uint8_t present = (uint8_t)random_u64();

	make_key(&key);
	make_key(&mask.bits);
	if (random_below(2)) {
		flow_mask_union(&mask, &(struct flow_mask){key});
	}
	random_bytes(&value, sizeof value); /* all of it is written */
	flow_key_mask(&value, &key, present, &mask);
	for (unsigned i = 0; i < FLOW_KEY_SIZE; i++) {
		assert_int_equal(
			value.bytes[i], present_byte(&key, present, i) & mask.bits.bytes[i]);
	}
	assert_true(flow_key_matches(&key, present, &value, &mask));

	/* Absent or zero: the same key, the same hash. */
	same = key;
	flow_key_clear_absent(&same, present);
	assert_true(flow_key_matches(&same, FLOW_BLOCKS_ALL, &value, &mask));
	assert_int_equal(flow_key_hash(&key, present, &mask, 7),
		flow_key_hash(&same, FLOW_BLOCKS_ALL, &mask, 7));
	assert_int_equal(flow_key_hash(&key, present, &mask, 7),
		flow_key_hash(&same, flow_key_blocks(&same), &mask, 7));
	assert_int_equal(flow_key_hash(&value, FLOW_BLOCKS_ALL, &mask, 7),
		flow_key_hash(&key, present, &mask, 7));

	other = key;
	other.bytes[random_below(FLOW_KEY_SIZE)] ^= (uint8_t)(1u << random_below(8));
	assert_int_equal(flow_key_matches(&other, present, &value, &mask),
		twin_matches(&other, present, &value, &mask));
	if (!flow_key_matches(&other, present, &value, &mask)) {
		assert_int_not_equal(flow_key_hash(&other, present, &mask, 7),
			flow_key_hash(&key, present, &mask, 7));
	}
}

static void
check_masks(void)
{
	struct flow_mask a, b, both;
	struct flow_key x, y;
	bool covers = true, overlaps = true;

	make_key(&a.bits);
	make_key(&b.bits);
	make_key(&x);
	y = random_below(2) ? x : a.bits;
	if (random_below(2)) {
		flow_mask_union(&b, &a);
	}
	both = a;
	flow_mask_union(&both, &b);
	for (unsigned i = 0; i < FLOW_KEY_SIZE; i++) {
		uint8_t shared = a.bits.bytes[i] & b.bits.bytes[i];

		assert_int_equal(both.bits.bytes[i], a.bits.bytes[i] | b.bits.bytes[i]);
		covers = covers && !(a.bits.bytes[i] & ~b.bits.bytes[i]);
		overlaps = overlaps && !((x.bytes[i] ^ y.bytes[i]) & shared);
	}
	assert_int_equal(flow_mask_covers(&a, &b), covers);
	assert_true(flow_mask_covers(&a, &both));
	assert_int_equal(flow_match_overlaps(&x, &a, &y, &b), overlaps);
	assert_int_equal(flow_mask_equal(&a, &b), !memcmp(&a, &b, sizeof a));
	assert_int_equal(flow_key_equal(&x, &y), !memcmp(&x, &y, sizeof x));
}

static void
check_packing(void)
{
	struct flow_key key, back;
	uint8_t packed[FLOW_KEY_SIZE], blocks = 0;

	make_key(&key);
	for (unsigned i = 0; i < FLOW_KEY_SIZE; i++) {
		blocks |= (uint8_t)(!!key.bytes[i] << i / FLOW_BLOCK_SIZE);
	}
	assert_int_equal(flow_key_blocks(&key), blocks);
	assert_int_equal(flow_mask_blocks(&(struct flow_mask){key}), blocks);
	memset(packed, 0xee, sizeof packed);
	flow_key_pack(packed, &key, blocks);
	for (size_t i = flow_blocks_size(blocks); i < sizeof packed; i++) {
		assert_int_equal(packed[i], 0xee);
	}
	random_bytes(&back, sizeof back);
	flow_key_unpack(&back, packed, blocks);
	assert_memory_equal(&back, &key, sizeof key);
}

static void
test_flow_key_agrees_with_twin(void **state)
{
	(void)state;
	random_begin("flow_key");
	for (unsigned i = 0; i < ROUNDS; i++) {
		check_masking();
		check_masks();
		check_packing();
	}
}

/* Keys that differ in one small number must spread over a table. */
static void
test_flow_key_hash_spreads(void **state)
{
	static uint32_t counts[1024];
	struct flow_key key = {0};
	struct flow_mask mask = {0};
	unsigned worst = 0;

	(void)state;
	field_mask_exact(field_get(FIELD_IPV4_DST), &mask);
	for (uint32_t i = 0; i < 16 * 1024; i++) {
		key.ip_dst = be32_from(0x0a000000 + i);
		counts[flow_key_hash(&key, FLOW_BLOCK(0), &mask, 0) & 1023]++;
	}
	for (unsigned i = 0; i < 1024; i++) {
		worst = counts[i] > worst ? counts[i] : worst;
	}
	assert_in_range(worst, 16, 48); /* 16 on the average */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flow_key_layout),
		cmocka_unit_test(test_flow_key_agrees_with_twin),
		cmocka_unit_test(test_flow_key_hash_spreads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

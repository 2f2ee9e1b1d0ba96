/* SPDX-License-Identifier: Apache-2.0
 *
 * Field table: names, values against a twin that goes bit by bit, prerequisites.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "lib/field.h"
#include "tests/unit/lib/random.h"

#define ROUNDS 300

static void
test_field_names_are_unique(void **state)
{
	(void)state;
	for (unsigned i = 0; i < FIELD_N; i++) {
		const struct field *f = field_get((enum field_id)i);

		assert_int_equal(field_by_name(f->name, strlen(f->name)), i);
		if (f->alias) {
			assert_int_equal(field_by_name(f->alias, strlen(f->alias)), i);
		}
	}
	assert_int_equal(field_by_name("ip_sr", 5), FIELD_N);
	assert_int_equal(field_by_name("ip_src_and_more", 6), FIELD_IPV4_SRC);
	assert_int_equal(field_by_name("NW_SRC", 6), FIELD_IPV4_SRC);
	assert_int_equal(field_by_name("", 0), FIELD_N);
}

/* Where bit @i (from the low end) of the field stands in the key. */
static unsigned
place_of(const struct field *f, unsigned i, uint8_t *bit)
{
	unsigned low_bytes = f->hi_offset ? f->n_bytes - 4u : f->n_bytes, at = f->shift + i;

	*bit = (uint8_t)(1u << at % 8);
	if (at / 8 >= low_bytes) {
		return f->hi_offset + 3 - (at / 8 - low_bytes);
	}
	return f->offset + low_bytes - 1 - at / 8;
}

static bool
value_bit(const struct field *f, const union field_value *v, unsigned i)
{
	return v->b[f->n_bytes - 1 - i / 8] >> i % 8 & 1;
}

static void
check_field(const struct field *f)
{
	struct flow_key key, before;
	struct flow_mask exact = {0};
	union field_value value = {0}, mask = {0}, got, ones;
	bool any = false, all = true;

	random_bytes(&key, sizeof key);
	random_bytes(value.b, f->n_bytes);
	random_bytes(mask.b, f->n_bytes);
	before = key;
	field_store_masked(f, &key, &value, &mask);
	for (unsigned i = 0; i < f->width; i++) {
		uint8_t bit;
		unsigned at = place_of(f, i, &bit);
		bool want =
			value_bit(f, &mask, i) ? value_bit(f, &value, i) : before.bytes[at] & bit;

		assert_int_equal(!!(key.bytes[at] & bit), want);
		before.bytes[at] = (uint8_t)((before.bytes[at] & ~bit) | (want ? bit : 0));
	}
	assert_memory_equal(&key, &before, sizeof key); /* no other bit has changed */

	random_bytes(&got, sizeof got);
	field_load(f, &key, &got);
	for (unsigned i = 0; i < 8u * f->n_bytes; i++) {
		uint8_t bit;
		unsigned at = i < f->width ? place_of(f, i, &bit) : 0;

		assert_int_equal(value_bit(f, &got, i), i < f->width && key.bytes[at] & bit);
	}
	assert_true(field_value_fits(f, &got));
	field_store(f, &before, &got);
	assert_memory_equal(&key, &before, sizeof key);

	field_value_ones(f, &ones);
	field_mask_exact(f, &exact);
	assert_true(field_is_exact(f, &exact) && field_is_masked(f, &exact));
	field_store(f, &exact.bits, &got);
	for (unsigned i = 0; i < f->width; i++) {
		any = any || value_bit(f, &got, i);
		all = all && value_bit(f, &got, i);
	}
	assert_int_equal(field_is_exact(f, &exact), all);
	assert_int_equal(field_is_masked(f, &exact), any);
	if (f->n_bytes <= 8) {
		union field_value again;

		field_value_from_u64(f, field_value_u64(f, &got), &again);
		assert_memory_equal(again.b, got.b, f->n_bytes);
	}
	if (f->width < 8u * f->n_bytes) {
		ones.b[0] |= 0x80;
		assert_false(field_value_fits(f, &ones));
	}
}

static void
test_field_agrees_with_twin(void **state)
{
	(void)state;
	random_begin("field");
	for (unsigned i = 0; i < ROUNDS; i++) {
		for (unsigned id = 0; id < FIELD_N; id++) {
			check_field(field_get((enum field_id)id));
		}
	}
}

static struct flow_key
key_of(uint16_t eth_type, uint8_t proto, uint8_t icmp_type)
{
	struct flow_key key = {.eth_type = be16_from(eth_type)};

	key.ip_proto = proto;
	key.icmp_type = be16_from(icmp_type);
	return key;
}

static void
test_field_prerequisites(void **state)
{
	static const struct {
		enum field_prereq prereq;
		uint16_t eth_type;
		uint8_t proto, icmp_type;
		bool holds;
	} cases[] = {
		{FIELD_PRE_NONE, 0, 0, 0, true},
		{FIELD_PRE_IPV4, 0x0800, 0, 0, true},
		{FIELD_PRE_IPV4, 0x86dd, 0, 0, false},
		{FIELD_PRE_IPV6, 0x86dd, 0, 0, true},
		{FIELD_PRE_IP, 0x0800, 0, 0, true},
		{FIELD_PRE_IP, 0x86dd, 0, 0, true},
		{FIELD_PRE_IP, 0x0806, 0, 0, false},
		{FIELD_PRE_ARP, 0x0806, 0, 0, true},
		{FIELD_PRE_ARP, 0x8035, 0, 0, true},
		{FIELD_PRE_ARP, 0, 0, 0, false},
		{FIELD_PRE_TCP, 0x0800, 6, 0, true},
		{FIELD_PRE_TCP, 0x86dd, 6, 0, true},
		{FIELD_PRE_TCP, 0x0800, 17, 0, false},
		{FIELD_PRE_TCP, 0x0806, 6, 0, false},
		{FIELD_PRE_UDP, 0x0800, 17, 0, true},
		{FIELD_PRE_SCTP, 0x86dd, 132, 0, true},
		{FIELD_PRE_L4, 0x0800, 132, 0, true},
		{FIELD_PRE_L4, 0x0800, 0, 0, false},
		{FIELD_PRE_ICMPV4, 0x0800, 1, 0, true},
		{FIELD_PRE_ICMPV4, 0x86dd, 1, 0, false},
		{FIELD_PRE_ICMPV6, 0x86dd, 58, 0, true},
		{FIELD_PRE_ND, 0x86dd, 58, 135, true},
		{FIELD_PRE_ND, 0x86dd, 58, 136, true},
		{FIELD_PRE_ND, 0x86dd, 58, 134, false},
		{FIELD_PRE_ND_SOL, 0x86dd, 58, 136, false},
		{FIELD_PRE_ND_ADV, 0x86dd, 58, 136, true},
		{FIELD_PRE_MPLS, 0x8847, 0, 0, true},
		{FIELD_PRE_MPLS, 0x8848, 0, 0, true},
		{FIELD_PRE_MPLS, 0x0800, 0, 0, false},
		{FIELD_PRE_PBB, 0x88e7, 0, 0, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct flow_key key = key_of(cases[i].eth_type, cases[i].proto, cases[i].icmp_type);
		struct flow_mask mask = {0};

		assert_int_equal(field_prereq_holds(cases[i].prereq, &key), cases[i].holds);
		assert_int_equal(field_prereq_matched(cases[i].prereq, &key, &mask),
			cases[i].prereq == FIELD_PRE_NONE);
		field_prereq_unwildcard(cases[i].prereq, &mask);
		assert_int_equal(
			field_prereq_matched(cases[i].prereq, &key, &mask), cases[i].holds);
	}
}

static void
test_field_prerequisites_of_tags(void **state)
{
	struct flow_key key = {.vlan_tci = be16_from(FLOW_VLAN_PRESENT | 5)};
	struct flow_mask mask = {0};

	(void)state;
	assert_true(field_prereq_holds(FIELD_PRE_VLAN, &key));
	assert_false(field_prereq_holds(FIELD_PRE_VLAN2, &key));
	assert_false(field_prereq_matched(FIELD_PRE_VLAN, &key, &mask));
	field_prereq_unwildcard(FIELD_PRE_VLAN, &mask);
	assert_true(field_prereq_matched(FIELD_PRE_VLAN, &key, &mask));
	key.vlan_tci = 0;
	assert_false(field_prereq_matched(FIELD_PRE_VLAN, &key, &mask));
	key.inner_tci = be16_from(FLOW_VLAN_PRESENT);
	field_prereq_unwildcard(FIELD_PRE_VLAN2, &mask);
	assert_true(field_prereq_matched(FIELD_PRE_VLAN2, &key, &mask));
}

/* What unwildcarding adds decides: keys that agree on it agree on the prerequisite. */
static void
test_field_unwildcard_is_enough(void **state)
{
	static const uint16_t types[] = {0x0800, 0x86dd, 0x0806, 0x8847, 0x88e7, 0x8035};
	static const uint8_t protos[] = {1, 6, 17, 58, 132, 0};

	(void)state;
	random_begin("unwildcard");
	for (unsigned i = 0; i < 50000; i++) {
		enum field_prereq prereq = (enum field_prereq)random_below(FIELD_PRE_N);
		struct flow_key a, b;
		struct flow_mask mask = {0};

		random_bytes(&a, sizeof a);
		random_bytes(&b, sizeof b);
		a.eth_type = be16_from(types[random_below(6)]);
		a.ip_proto = protos[random_below(6)];
		a.icmp_type = be16_from((uint16_t)(134 + random_below(3)));
		a.icmp_code = be16_from((uint16_t)random_below(2));
		field_prereq_unwildcard(prereq, &mask);
		/* b, but a's bits where the mask has any. */
		for (unsigned n = 0; n < FLOW_KEY_SIZE; n++) {
			b.bytes[n] = (uint8_t)((b.bytes[n] & ~mask.bits.bytes[n]) |
					       (a.bytes[n] & mask.bits.bytes[n]));
		}
		/* The high byte of the ICMP places is zero in every key. */
		b.icmp_type &= be16_from(0xff);
		b.icmp_code &= be16_from(0xff);
		assert_int_equal(field_prereq_holds(prereq, &a), field_prereq_holds(prereq, &b));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_field_names_are_unique),
		cmocka_unit_test(test_field_agrees_with_twin),
		cmocka_unit_test(test_field_prerequisites),
		cmocka_unit_test(test_field_prerequisites_of_tags),
		cmocka_unit_test(test_field_unwildcard_is_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

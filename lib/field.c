/* SPDX-License-Identifier: Apache-2.0
 *
 * Field table: its rows, and reading and writing fields of a key.
 */
#include "lib/field.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* The part of tun_id that does not stand at its offset. */
#define HI_OFFSET(ID) ((ID) == FIELD_TUN_ID ? (uint16_t)offsetof(struct flow_key, tun_id_hi) : 0)

const struct field field_table[FIELD_N] = {
#define FIELD(ID, NAME, ALIAS, MEMBER, N_BYTES, SHIFT, WIDTH, PREREQ, FORMAT, FLAGS)               \
	[FIELD_##ID] = {                                                                           \
		.name = NAME,                                                                      \
		.alias = ALIAS,                                                                    \
		.offset = offsetof(struct flow_key, MEMBER),                                       \
		.hi_offset = HI_OFFSET(FIELD_##ID),                                                \
		.n_bytes = N_BYTES,                                                                \
		.shift = SHIFT,                                                                    \
		.width = WIDTH,                                                                    \
		.block = offsetof(struct flow_key, MEMBER) / FLOW_BLOCK_SIZE,                      \
		.prereq = FIELD_PRE_##PREREQ,                                                      \
		.format = FIELD_FMT_##FORMAT,                                                      \
		.flags = FLAGS,                                                                    \
	},
#include "lib/field_list.h"
#undef FIELD
};

#define FIELD(ID, NAME, ALIAS, MEMBER, N_BYTES, SHIFT, WIDTH, ...)                                 \
	_Static_assert(WIDTH == 8 * N_BYTES || N_BYTES <= 4, NAME " is whole, or a small number"); \
	_Static_assert(SHIFT + WIDTH <= 8 * N_BYTES && N_BYTES <= FIELD_MAX_BYTES, NAME " fits");  \
	_Static_assert(FIELD_##ID == FIELD_TUN_ID ||                                               \
			       offsetof(struct flow_key, MEMBER) / FLOW_BLOCK_SIZE ==              \
				       (offsetof(struct flow_key, MEMBER) + N_BYTES - 1) /         \
					       FLOW_BLOCK_SIZE,                                    \
		NAME " stands in one block");
#include "lib/field_list.h"
#undef FIELD

enum field_id
field_by_name(const char *name, size_t len)
{
	unsigned i;

	for (i = 0; i < FIELD_N; i++) {
		const struct field *f = &field_table[i];

		if ((strlen(f->name) == len && !strncasecmp(f->name, name, len)) ||
			(f->alias && strlen(f->alias) == len &&
				!strncasecmp(f->alias, name, len))) {
			break;
		}
	}
	return (enum field_id)i;
}

/* Bytes that stand at the field's offset (the low part of a field with two). */
static unsigned
low_size(const struct field *f)
{
	return f->hi_offset ? f->n_bytes - 4u : f->n_bytes;
}

/* The whole bytes at the field's place. */
static void
load_raw(const struct field *f, const struct flow_key *key, uint8_t raw[FIELD_MAX_BYTES])
{
	unsigned low = low_size(f), hi = f->n_bytes - low;

	if (hi) {
		memcpy(raw, key->bytes + f->hi_offset, hi);
	}
	memcpy(raw + hi, key->bytes + f->offset, low);
}

static void
store_raw(const struct field *f, struct flow_key *key, const uint8_t raw[FIELD_MAX_BYTES])
{
	unsigned low = low_size(f), hi = f->n_bytes - low;

	if (hi) {
		memcpy(key->bytes + f->hi_offset, raw, hi);
	}
	memcpy(key->bytes + f->offset, raw + hi, low);
}

static bool
is_whole(const struct field *f)
{
	return !f->shift && f->width == 8 * f->n_bytes;
}

/* Fields that are part of their bytes have at most 4. */
static uint32_t
number_of(const struct field *f, const uint8_t *bytes)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < f->n_bytes; i++) {
		n = n << 8 | bytes[i];
	}
	return n;
}

static void
bytes_of(const struct field *f, uint32_t n, uint8_t *bytes)
{
	for (unsigned i = f->n_bytes; i-- > 0; n >>= 8) {
		bytes[i] = (uint8_t)n;
	}
}

static uint32_t
low_bits(const struct field *f)
{
	return f->width >= 32 ? UINT32_MAX : (1u << f->width) - 1;
}

void
field_load(const struct field *f, const struct flow_key *key, union field_value *value)
{
	memset(value, 0, sizeof *value);
	load_raw(f, key, value->b);
	if (!is_whole(f)) {
		bytes_of(f, number_of(f, value->b) >> f->shift & low_bits(f), value->b);
	}
}

void
field_store(const struct field *f, struct flow_key *key, const union field_value *value)
{
	union field_value ones;

	field_value_ones(f, &ones);
	field_store_masked(f, key, value, &ones);
}

void
field_store_masked(const struct field *f, struct flow_key *key, const union field_value *value,
	const union field_value *mask)
{
	uint8_t raw[FIELD_MAX_BYTES];

	load_raw(f, key, raw);
	if (is_whole(f)) {
		for (unsigned i = 0; i < f->n_bytes; i++) {
			raw[i] = (uint8_t)((raw[i] & ~mask->b[i]) | (value->b[i] & mask->b[i]));
		}
	} else {
		uint32_t bits = (number_of(f, mask->b) & low_bits(f)) << f->shift;

		bytes_of(f,
			(number_of(f, raw) & ~bits) | (number_of(f, value->b) << f->shift & bits),
			raw);
	}
	store_raw(f, key, raw);
}

void
field_mask_exact(const struct field *f, struct flow_mask *mask)
{
	union field_value ones;

	field_value_ones(f, &ones);
	field_store(f, &mask->bits, &ones);
}

bool
field_is_exact(const struct field *f, const struct flow_mask *mask)
{
	union field_value ones, bits;

	field_value_ones(f, &ones);
	field_load(f, &mask->bits, &bits);
	return !memcmp(&ones, &bits, f->n_bytes);
}

bool
field_is_masked(const struct field *f, const struct flow_mask *mask)
{
	union field_value bits;
	uint8_t any = 0;

	field_load(f, &mask->bits, &bits);
	for (unsigned i = 0; i < f->n_bytes; i++) {
		any |= bits.b[i];
	}
	return any;
}

void
field_value_ones(const struct field *f, union field_value *value)
{
	memset(value, 0, sizeof *value);
	if (is_whole(f)) {
		memset(value->b, 0xff, f->n_bytes);
	} else {
		bytes_of(f, low_bits(f), value->b);
	}
}

bool
field_value_fits(const struct field *f, const union field_value *value)
{
	return is_whole(f) || !(number_of(f, value->b) & ~low_bits(f));
}

uint64_t
field_value_u64(const struct field *f, const union field_value *value)
{
	uint64_t n = 0;

	assert(f->n_bytes <= 8);
	for (unsigned i = 0; i < f->n_bytes; i++) {
		n = n << 8 | value->b[i];
	}
	return n;
}

void
field_value_from_u64(const struct field *f, uint64_t n, union field_value *value)
{
	memset(value, 0, sizeof *value);
	for (unsigned i = f->n_bytes; i-- > 0; n >>= 8) {
		value->b[i] = (uint8_t)n;
	}
}

/* --- prerequisites -------------------------------------------------------------------------------- */

#define ETH_TYPE_IPV4 0x0800
#define ETH_TYPE_ARP 0x0806
#define ETH_TYPE_RARP 0x8035
#define ETH_TYPE_IPV6 0x86dd
#define ETH_TYPE_MPLS 0x8847
#define ETH_TYPE_MPLS_MULTICAST 0x8848
#define ETH_TYPE_PBB 0x88e7

/* What each prerequisite reads of the key. */
enum reads {
	READS_VLAN = 1 << 0,
	READS_VLAN2 = 1 << 1,
	READS_ETH_TYPE = 1 << 2,
	READS_PROTO = 1 << 3,
	READS_ICMP = 1 << 4,
};

static const struct {
	uint16_t eth_types[2]; /* 0: any */
	uint8_t protocols[3];  /* 0: any */
	uint8_t icmp_types[2]; /* 0: any; with code 0 */
	uint8_t reads;
} prereqs[FIELD_PRE_N] = {
	[FIELD_PRE_VLAN] = {.reads = READS_VLAN},
	[FIELD_PRE_VLAN2] = {.reads = READS_VLAN2},
	[FIELD_PRE_IPV4] = {{ETH_TYPE_IPV4}, {0}, {0}, READS_ETH_TYPE},
	[FIELD_PRE_IPV6] = {{ETH_TYPE_IPV6}, {0}, {0}, READS_ETH_TYPE},
	[FIELD_PRE_IP] = {{ETH_TYPE_IPV4, ETH_TYPE_IPV6}, {0}, {0}, READS_ETH_TYPE},
	[FIELD_PRE_ARP] = {{ETH_TYPE_ARP, ETH_TYPE_RARP}, {0}, {0}, READS_ETH_TYPE},
	[FIELD_PRE_TCP] = {{ETH_TYPE_IPV4, ETH_TYPE_IPV6}, {6}, {0}, READS_ETH_TYPE | READS_PROTO},
	[FIELD_PRE_UDP] = {{ETH_TYPE_IPV4, ETH_TYPE_IPV6}, {17}, {0}, READS_ETH_TYPE | READS_PROTO},
	[FIELD_PRE_SCTP] = {{ETH_TYPE_IPV4, ETH_TYPE_IPV6}, {132}, {0},
		READS_ETH_TYPE | READS_PROTO},
	[FIELD_PRE_L4] = {{ETH_TYPE_IPV4, ETH_TYPE_IPV6}, {6, 17, 132}, {0},
		READS_ETH_TYPE | READS_PROTO},
	[FIELD_PRE_ICMPV4] = {{ETH_TYPE_IPV4}, {1}, {0}, READS_ETH_TYPE | READS_PROTO},
	[FIELD_PRE_ICMPV6] = {{ETH_TYPE_IPV6}, {58}, {0}, READS_ETH_TYPE | READS_PROTO},
	[FIELD_PRE_ND] = {{ETH_TYPE_IPV6}, {58}, {135, 136},
		READS_ETH_TYPE | READS_PROTO | READS_ICMP},
	[FIELD_PRE_ND_SOL] = {{ETH_TYPE_IPV6}, {58}, {135},
		READS_ETH_TYPE | READS_PROTO | READS_ICMP},
	[FIELD_PRE_ND_ADV] = {{ETH_TYPE_IPV6}, {58}, {136},
		READS_ETH_TYPE | READS_PROTO | READS_ICMP},
	[FIELD_PRE_MPLS] = {{ETH_TYPE_MPLS, ETH_TYPE_MPLS_MULTICAST}, {0}, {0}, READS_ETH_TYPE},
	[FIELD_PRE_PBB] = {{ETH_TYPE_PBB}, {0}, {0}, READS_ETH_TYPE},
};

static bool
has_u16(const uint16_t *list, size_t n, uint16_t v)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i] && list[i] == v) {
			return true;
		}
	}
	return false;
}

static bool
has_u8(const uint8_t *list, size_t n, uint16_t v)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i] && list[i] == v) {
			return true;
		}
	}
	return false;
}

bool
field_prereq_holds(enum field_prereq prereq, const struct flow_key *key)
{
	uint8_t reads = prereqs[prereq].reads;

	return (!(reads & READS_VLAN) || key->vlan_tci & be16_from(FLOW_VLAN_PRESENT)) &&
	       (!(reads & READS_VLAN2) || key->inner_tci & be16_from(FLOW_VLAN_PRESENT)) &&
	       (!(reads & READS_ETH_TYPE) ||
		       has_u16(prereqs[prereq].eth_types, 2, be16_to(key->eth_type))) &&
	       (!(reads & READS_PROTO) || has_u8(prereqs[prereq].protocols, 3, key->ip_proto)) &&
	       (!(reads & READS_ICMP) ||
		       (has_u8(prereqs[prereq].icmp_types, 2, be16_to(key->icmp_type)) &&
			       !key->icmp_code));
}

bool
field_prereq_matched(
	enum field_prereq prereq, const struct flow_key *value, const struct flow_mask *mask)
{
	uint8_t reads = prereqs[prereq].reads;

	if ((reads & READS_VLAN && !(mask->bits.vlan_tci & be16_from(FLOW_VLAN_PRESENT))) ||
		(reads & READS_VLAN2 && !(mask->bits.inner_tci & be16_from(FLOW_VLAN_PRESENT))) ||
		(reads & READS_ETH_TYPE && mask->bits.eth_type != UINT16_MAX) ||
		(reads & READS_PROTO && mask->bits.ip_proto != UINT8_MAX) ||
		(reads & READS_ICMP && (be16_to(mask->bits.icmp_type) & 0xff) != 0xff)) {
		return false;
	}
	if (reads & READS_ICMP) {
		/* OpenFlow asks for the type alone (1.3.5 s.7.2.3.8). */
		struct flow_key with_code = *value;

		with_code.icmp_code = 0;
		return field_prereq_holds(prereq, &with_code);
	}
	return field_prereq_holds(prereq, value);
}

void
field_prereq_unwildcard(enum field_prereq prereq, struct flow_mask *mask)
{
	uint8_t reads = prereqs[prereq].reads;

	if (reads & READS_VLAN) {
		mask->bits.vlan_tci |= be16_from(FLOW_VLAN_PRESENT);
	}
	if (reads & READS_VLAN2) {
		mask->bits.inner_tci |= be16_from(FLOW_VLAN_PRESENT);
	}
	if (reads & READS_ETH_TYPE) {
		mask->bits.eth_type = UINT16_MAX;
	}
	if (reads & READS_PROTO) {
		mask->bits.ip_proto = UINT8_MAX;
	}
	if (reads & READS_ICMP) {
		mask->bits.icmp_type |= be16_from(0xff);
		mask->bits.icmp_code |= be16_from(0xff);
	}
}

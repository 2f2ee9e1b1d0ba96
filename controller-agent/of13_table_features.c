/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenFlow 1.3 on the wire: what tables can do, and what a controller would have them do.
 *
 * Wishes: a table that can do more than it is asked for is as it was asked for, so that a wish is checked
 *         element by element against what is written here.
 * Spec:   OpenFlow 1.3.5 s.A.3.5.5.
 */
#include <string.h>

#include "controller-agent/of13_internal.h"
#include "lib/error.h"
#include "ofproto/ofproto.h"
#include "ofproto/oxm.h"

#define MAX_TABLE_NAME_LEN 32u
#define TABLE_SIZE 64u
#define CONFIG_DEPRECATED 3u /* enum ofp_table_config */

/* Enum ofp_table_feature_prop_type: those of ordinary entries. One more: of table-miss entries. */
enum {
	OFPTFPT13_INSTRUCTIONS = 0,
	OFPTFPT13_NEXT_TABLES = 2,
	OFPTFPT13_WRITE_ACTIONS = 4,
	OFPTFPT13_APPLY_ACTIONS = 6,
	OFPTFPT13_MATCH = 8,      /* table-miss entries have none, */
	OFPTFPT13_WILDCARDS = 10, /* nor of these */
	OFPTFPT13_WRITE_SETFIELD = 12,
	OFPTFPT13_APPLY_SETFIELD = 14,
	OFPTFPT13_N = 16, /* experimenters' have higher numbers: none is known */
};
#define REQUIRED_PROPERTIES 0x5555u /* bits of those that cannot be left out */
#define KNOWN_PROPERTIES 0xf5ffu

static bool refuse(struct weft_error *err, uint16_t code, unsigned table, const char *why);

/* --- what they can ------------------------------------------------------------------------------ */

static bool
has_instruction(uint8_t table, unsigned type)
{
	return type >= OFPIT13_GOTO_TABLE && type <= OFPIT13_METER &&
	       (type != OFPIT13_GOTO_TABLE || table < OF_N_TABLES - 1);
}

static bool
has_field(uint16_t property, enum field_id field, bool has_mask)
{
	bool set = property >= OFPTFPT13_WRITE_SETFIELD;

	return oxm_header(field, OFP13_VERSION, false) &&
	       (!set || field_get(field)->flags & FIELD_WRITABLE) &&
	       (!has_mask || (!set && oxm_is_maskable(field)));
}

/* --- writing ------------------------------------------------------------------------------------ */

static size_t
begin_property(struct strbuf *out, uint16_t type)
{
	size_t start = out->len;

	wire_put_u16(out, type);
	wire_put_u16(out, 0);
	return start;
}

/* The length does not count the padding. */
static void
end_property(struct strbuf *out, size_t start)
{
	wire_set_u16(out, start + 2, (uint16_t)(out->len - start));
	wire_pad8(out, start);
}

static void
put_instructions(struct strbuf *out, uint8_t table)
{
	for (unsigned type = 0; type < OFPIT13_N; type++) {
		if (has_instruction(table, type)) {
			wire_put_u16(out, (uint16_t)type);
			wire_put_u16(out, 4);
		}
	}
}

static void
put_next_tables(struct strbuf *out, uint8_t table)
{
	for (unsigned next = table + 1u; next < OF_N_TABLES; next++) {
		wire_put_u8(out, (uint8_t)next);
	}
}

static void
put_action_list(struct strbuf *out)
{
	uint16_t number;

	for (unsigned n = 0; of13_action_number(n, &number); n++) {
		wire_put_u16(out, number);
		wire_put_u16(out, 4);
	}
}

static void
put_field_list(struct strbuf *out, uint16_t property)
{
	bool set = property >= OFPTFPT13_WRITE_SETFIELD;

	for (enum field_id f = oxm_next_field(FIELD_N, OFP13_VERSION, set); f != FIELD_N;
		f = oxm_next_field(f, OFP13_VERSION, set)) {
		oxm_put_header(
			out, f, OFP13_VERSION, property == OFPTFPT13_MATCH && oxm_is_maskable(f));
	}
}

/* @type: its own number or, with the same content, that of table-miss entries. */
static void
put_property(struct strbuf *out, uint16_t type, uint8_t table)
{
	size_t start = begin_property(out, type);
	uint16_t property = type & ~1u;

	switch (property) {
	case OFPTFPT13_INSTRUCTIONS:
		put_instructions(out, table);
		break;
	case OFPTFPT13_NEXT_TABLES:
		put_next_tables(out, table);
		break;
	case OFPTFPT13_WRITE_ACTIONS:
	case OFPTFPT13_APPLY_ACTIONS:
		put_action_list(out);
		break;
	default:
		put_field_list(out, property);
		break;
	}
	end_property(out, start);
}

void
of13_put_table_features(struct strbuf *out, uint8_t table)
{
	size_t start = out->len;

	wire_put_u16(out, 0);
	wire_put_u8(out, table);
	wire_put_zeros(out, 5);
	wire_put_zeros(out, MAX_TABLE_NAME_LEN); /* no name: clients then print numbers */
	wire_put_u64(out, UINT64_MAX);           /* bits of metadata that can be matched */
	wire_put_u64(out, UINT64_MAX);           /* and written */
	wire_put_u32(out, 0);
	wire_put_u32(out, OF_MAX_RULES_PER_TABLE);
	for (unsigned type = 0; type < OFPTFPT13_N; type++) {
		if (KNOWN_PROPERTIES & 1u << type) {
			put_property(out, (uint16_t)type, table);
		}
	}
	wire_set_u16(out, start, (uint16_t)(out->len - start));
}

/* --- reading ------------------------------------------------------------------------------------ */

/* Instructions, or actions: a type and a length of 4; an experimenter's has more behind it. */
static bool
check_types(uint16_t property, const uint8_t *at, size_t len, uint8_t table, struct weft_error *err)
{
	uint32_t actions = of13_action_bits();

	for (size_t size; len; at += size, len -= size) {
		uint16_t type = len >= 4 ? get_be16(at) : 0;

		size = len >= 4 ? get_be16(at + 2) : 0;
		if (size < 4 || size > len || (type != 0xffff && size != 4)) {
			return refuse(err, OFPTFFC_BAD_LEN, table,
				"an instruction or action of a wrong length");
		}
		if (property == OFPTFPT13_INSTRUCTIONS ? !has_instruction(table, type)
						       : type >= 32 || !(actions >> type & 1)) {
			return refuse(err, OFPTFFC_BAD_ARGUMENT, table,
				"an instruction or action that it does not have");
		}
	}
	return true;
}

static bool
check_next_tables(const uint8_t *at, size_t len, uint8_t table, struct weft_error *err)
{
	for (size_t i = 0; i < len; i++) {
		if (at[i] <= table || at[i] >= OF_N_TABLES) {
			return refuse(err, OFPTFFC_BAD_ARGUMENT, table,
				"a next table that it cannot lead to");
		}
	}
	return true;
}

static bool
check_fields(
	uint16_t property, const uint8_t *at, size_t len, uint8_t table, struct weft_error *err)
{
	for (size_t used; len; at += used, len -= used) {
		struct weft_error cause = WEFT_ERROR_INIT;
		enum field_id field;
		bool has_mask, ok = oxm_pull_header(at, len, &field, &has_mask, &used, &cause);

		if (!ok && cause.subcode == OFPBMC_BAD_LEN) {
			return refuse(
				err, OFPTFFC_BAD_LEN, table, "the header of a field is cut off");
		}
		if (!ok || !has_field(property, field, has_mask)) {
			return refuse(err, OFPTFFC_BAD_ARGUMENT, table,
				"a field that it does not have, or not under a mask");
		}
	}
	return true;
}

/* @type: of those for table-miss entries, the one that is the same for others. */
static bool
check_property(uint16_t type, const uint8_t *at, size_t len, uint8_t table, struct weft_error *err)
{
	switch (type) {
	case OFPTFPT13_INSTRUCTIONS:
	case OFPTFPT13_WRITE_ACTIONS:
	case OFPTFPT13_APPLY_ACTIONS:
		return check_types(type, at, len, table, err);
	case OFPTFPT13_NEXT_TABLES:
		return check_next_tables(at, len, table, err);
	default:
		return check_fields(type, at, len, table, err);
	}
}

static bool
check_properties(const uint8_t *at, size_t len, uint8_t table, struct weft_error *err)
{
	uint32_t found = 0;

	for (size_t size; len; at += WEFT_ROUND_UP(size, 8), len -= WEFT_ROUND_UP(size, 8)) {
		uint16_t type = get_be16(at);

		/* The rest is a multiple of 8 long. */
		size = get_be16(at + 2);
		if (size < 4 || WEFT_ROUND_UP(size, 8) > len) {
			return refuse(err, OFPTFFC_BAD_LEN, table, "a property of a wrong length");
		}
		if (type >= OFPTFPT13_N || !(KNOWN_PROPERTIES & 1u << type)) {
			return refuse(err, OFPTFFC_BAD_TYPE, table, "an unknown property");
		}
		if (found & 1u << type) {
			return refuse(err, OFPTFFC_BAD_ARGUMENT, table, "a property stands twice");
		}
		found |= 1u << type;
		if (!check_property((uint16_t)(type & ~1u), at + 4, size - 4, table, err)) {
			return false;
		}
	}
	return (found & REQUIRED_PROPERTIES) == REQUIRED_PROPERTIES ||
	       refuse(err, OFPTFFC_BAD_ARGUMENT, table, "a property is missing");
}

static bool
get_table(const uint8_t *at, size_t size, struct of_table_wish *wish, struct weft_error *err)
{
	static const uint8_t no_name[MAX_TABLE_NAME_LEN];
	uint8_t table = at[2];

	if (table >= OF_N_TABLES || memchr(wish->tables, table, wish->n)) {
		return refuse(err, OFPTFFC_BAD_TABLE, table, "it does not exist, or stands twice");
	}
	/* All bits of metadata can be had. */
	if (get_be32(at + 56) & ~CONFIG_DEPRECATED) {
		return refuse(err, OFPTFFC_BAD_ARGUMENT, table, "unknown configuration");
	}
	if (get_be32(at + 60) > OF_MAX_RULES_PER_TABLE) {
		return refuse(err, OFPTFFC_BAD_ARGUMENT, table, "more rules than it holds");
	}
	if (!check_properties(at + TABLE_SIZE, size - TABLE_SIZE, table, err)) {
		return false;
	}
	wish->has_names |= memcmp(at + 8, no_name, sizeof(no_name)) != 0;
	wish->tables[wish->n++] = table;
	return true;
}

bool
of13_get_table_features(
	const uint8_t *body, size_t len, struct of_table_wish *wish, struct weft_error *err)
{
	wish->n = 0;
	wish->has_names = false;
	for (size_t size; len; body += size, len -= size) {
		size = len >= TABLE_SIZE ? get_be16(body) : 0;
		if (size < TABLE_SIZE || size % 8 || size > len) {
			return of_error_set(err, OFPET_TABLE_FEATURES_FAILED, OFPTFFC_BAD_LEN,
				"features of a table of %zu bytes where %zu are left", size, len);
		}
		if (!get_table(body, size, wish, err)) {
			return false;
		}
	}
	return true;
}

static bool
refuse(struct weft_error *err, uint16_t code, unsigned table, const char *why)
{
	return of_error_set(
		err, OFPET_TABLE_FEATURES_FAILED, code, "features of table %u: %s", table, why);
}

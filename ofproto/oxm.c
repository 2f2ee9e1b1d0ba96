/* SPDX-License-Identifier: Apache-2.0
 *
 * OXM: rows of oxm_list.h turned into encoding and decoding.
 */
#include "ofproto/oxm.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "lib/hash.h"
#include "lib/strbuf.h"
#include "ofproto/of_error.h"
#include "ofproto/of_match.h"
#include "ofproto/of_port.h"
#include "ofproto/of_tlv.h"
#include "ofproto/oxm_internal.h"

/* How a value on the wire differs from the field table's, beyond its size. */
enum quirk {
	QUIRK_NONE,
	QUIRK_PORT16, /* OpenFlow 1.0's port numbers */
	QUIRK_TOS,    /* the DSCP bits alone */
	QUIRK_MAPPED, /* IPv4 for the low bytes of a v6-mapped address */
};

#define CLASS_BASIC OXM_CLASS_BASIC
#define CLASS_ERIC OXM_CLASS_ERIC
#define CLASS_EXPERIMENTER OXM_CLASS_EXPERIMENTER
#define CLASS_NXM0 OXM_CLASS_NXM0
#define CLASS_NXM1 OXM_CLASS_NXM1
#define CLASS_PACKET_REGS OXM_CLASS_PACKET_REGS

struct row {
	uint16_t class;
	uint8_t number;
	uint8_t size;    /* of the value on the wire */
	uint8_t field;   /* enum field_id */
	uint8_t version; /* wire number of the first OpenFlow version that has it */
	uint8_t quirk;
	const char *name;
};
_Static_assert(FIELD_N < 256, "fields fit in a byte");

static const struct row rows[] = {
#define OXM(CLASS, NUMBER, SIZE, FIELD, NAME, VERSION, QUIRK)                                      \
	{CLASS_##CLASS, NUMBER, SIZE, FIELD_##FIELD, VERSION, QUIRK_##QUIRK, NAME},
#include "ofproto/oxm_list.h"
#undef OXM
};
#define N_ROWS WEFT_ARRAY_SIZE(rows)
#define N_VERSIONS 8u /* wire numbers; the last stands for all later ones */

/* By class and number, and by field and version: index + 1. Filled before main(). */
static uint8_t index_of[6][128];
static uint8_t index_to_send[FIELD_N][N_VERSIONS];
_Static_assert(N_ROWS < 255, "rows fit in a byte");

static const struct row *find_row(uint32_t header, uint32_t exp);
static const struct row *row_to_send(enum field_id field, uint8_t version);
static const struct row *own_row(enum field_id field);
static const struct row *mapped_row(enum field_id field, const struct row *otherwise);
static int class_index(uint16_t class);
static enum oxm_form form_of(const struct row *row);
static const struct row *row_in_form(enum field_id field, enum oxm_form form);
static bool from_wire(const struct row *row, const uint8_t *wire, union field_value *value);
static void to_wire(const struct row *row, const union field_value *value, uint8_t *wire);
static void all_ones(const struct row *row, union field_value *mask);
static bool is_split(const struct row *row, const struct of_match *match);
static bool is_mapped(const union field_value *value, const union field_value *mask);
static size_t header_size(const struct row *row);
static void put_row(struct strbuf *out, const struct row *row, const union field_value *value,
	const union field_value *mask);
static bool add_entry(struct of_match *match, const struct oxm_entry *e,
	const struct of_tlv_map *tlvs, unsigned flags, size_t offset, struct weft_error *err);

static void __attribute__((constructor)) fill_index(void)
{
	for (size_t i = 0; i < N_ROWS; i++) {
		index_of[class_index(rows[i].class)][rows[i].number] = (uint8_t)(i + 1);
	}
	for (size_t i = N_ROWS; i-- > 0;) {
		for (uint8_t v = rows[i].version; v < N_VERSIONS; v++) {
			if (rows[i].quirk != QUIRK_MAPPED) {
				index_to_send[rows[i].field][v] = (uint8_t)(i + 1);
			}
		}
	}
}

uint32_t
oxm_header(enum field_id field, uint8_t version, bool has_mask)
{
	const struct row *row = row_to_send(field, version);

	return row ? OXM_HEADER(row->class, row->number, has_mask,
			     (row->size << has_mask) + (header_size(row) - 4))
		   : 0;
}

enum field_id
oxm_field(uint32_t header, uint32_t exp)
{
	const struct row *row = find_row(header, exp);

	return row ? row->field : FIELD_N;
}

size_t
oxm_entry_size(enum field_id field, uint8_t version, bool has_mask)
{
	const struct row *row = row_to_send(field, version);

	return row ? header_size(row) + ((size_t)row->size << has_mask) : 0;
}

bool
oxm_is_maskable(enum field_id field)
{
	return field_get(field)->flags & FIELD_MASKABLE;
}

enum field_id
oxm_next_field(enum field_id after, uint8_t version, bool set)
{
	for (unsigned id = after == FIELD_N ? 0 : after + 1u; id < FIELD_N; id++) {
		if (row_to_send(id, version) && (!set || field_get(id)->flags & FIELD_WRITABLE)) {
			return id;
		}
	}
	return FIELD_N;
}

/* --- names --------------------------------------------------------------------------------------- */

static const char *
prefix_of(const struct row *row)
{
	switch (row->class) {
	case OXM_CLASS_NXM0:
		return "NXM_OF_";
	case OXM_CLASS_NXM1:
		return "NXM_NX_";
	case OXM_CLASS_ERIC:
		return "ERICOXM_OF_";
	default:
		return "OXM_OF_";
	}
}

static const struct row *
row_by_name(const char *name, size_t len)
{
	for (size_t i = 0; i < N_ROWS; i++) {
		const char *prefix = prefix_of(&rows[i]);
		size_t n = strlen(prefix);

		if (len == n + strlen(rows[i].name) && !strncasecmp(name, prefix, n) &&
			!strncasecmp(name + n, rows[i].name, len - n)) {
			return &rows[i];
		}
	}
	return NULL;
}

enum field_id
oxm_by_name(const char *name, size_t len)
{
	const struct row *row = row_by_name(name, len);

	return row ? row->field : FIELD_N;
}

enum field_id
oxm_form_by_name(const char *name, size_t len, enum oxm_form *form)
{
	const struct row *row = row_by_name(name, len);

	*form = row ? form_of(row) : OXM_FORM_WHOLE;
	return row ? row->field : FIELD_N;
}

void
oxm_put_form_name(enum field_id field, enum oxm_form form, struct strbuf *out)
{
	const struct row *row = row_in_form(field, form);

	if (row) {
		strbuf_printf(out, "%s%s", prefix_of(row), row->name);
	} else {
		strbuf_put(out, field_get(field)->name);
	}
}

void
oxm_put_name(enum field_id field, struct strbuf *out)
{
	const struct row *row = row_to_send(field, 1);

	row = row ? row : own_row(field);
	if (row) {
		strbuf_printf(out, "%s%s", prefix_of(row), row->name);
	} else {
		strbuf_put(out, field_get(field)->name);
	}
}

/* --- single fields ------------------------------------------------------------------------------- */

bool
oxm_pull_header(const uint8_t *data, size_t len, enum field_id *field, bool *has_mask, size_t *used,
	struct weft_error *err)
{
	uint32_t header, exp = 0;

	*used = 0;
	if (len < 4) {
		return of_error_set(err, OFPET_BAD_MATCH, OFPBMC_BAD_LEN, "OXM header is cut off");
	}
	header = get_be32(data);
	*used = 4;
	if (header >> 16 == OXM_CLASS_EXPERIMENTER) {
		if (len < 8 || (header & 0xff) < 4) {
			return of_error_set(err, OFPET_BAD_MATCH, OFPBMC_BAD_LEN,
				"OXM experimenter header is cut off");
		}
		exp = get_be32(data + 4);
		*used = 8;
	}
	*field = oxm_field(header, exp);
	*has_mask = header & 0x100;
	if (*field == FIELD_N) {
		return of_error_set(err, OFPET_BAD_MATCH, OFPBMC_BAD_FIELD,
			"OXM field %u of class 0x%04x is unknown", header >> 9 & 0x7f,
			header >> 16);
	}
	return true;
}

bool
oxm_pull_entry(const uint8_t *data, size_t len, const struct of_tlv_map *tlvs, struct oxm_entry *e,
	size_t *used, struct weft_error *err)
{
	const struct row *row;
	const struct field *f;
	uint32_t header;
	size_t at, payload;

	memset(e, 0, sizeof(*e));
	e->field = FIELD_N;
	*used = 0;
	if (len < 4 || 4 + (get_be32(data) & 0xff) > len) {
		return of_error_set(err, OFPET_BAD_MATCH, OFPBMC_BAD_LEN, "OXM field is cut off");
	}
	header = get_be32(data);
	payload = header & 0xff;
	if (oxm_is_tlv(header)) {
		*used = 4 + payload;
		return oxm_pull_tlv(header, data + 4, tlvs, e, err);
	}
	if (!oxm_pull_header(data, len, &e->field, &e->has_mask, &at, err)) {
		*used = 4 + payload;
		return false;
	}
	row = find_row(header, at == 8 ? get_be32(data + 4) : 0);
	f = field_get(row->field);
	payload -= at - 4;
	*used = at + payload;
	if (payload != (size_t)row->size << e->has_mask) {
		return of_error_set_at(err, OFPET_BAD_MATCH, OFPBMC_BAD_LEN, 3, "%s has %zu bytes",
			f->name, payload);
	}
	all_ones(row, &e->mask);
	if (!from_wire(row, data + at, &e->value)) {
		return of_error_set_at(err, OFPET_BAD_MATCH, OFPBMC_BAD_VALUE, at,
			"value of %s is out of range", f->name);
	}
	if (!e->has_mask) {
		for (unsigned i = 0; i < f->n_bytes; i++) {
			e->value.b[i] &= e->mask.b[i];
		}
		return true;
	}
	if (!(f->flags & FIELD_MASKABLE) || row->quirk == QUIRK_PORT16) {
		return of_error_set_at(err, OFPET_BAD_MATCH, OFPBMC_BAD_MASK, at,
			"%s cannot be matched under a mask", f->name);
	}
	if (!from_wire(row, data + at + row->size, &e->mask)) {
		return of_error_set_at(err, OFPET_BAD_MATCH, OFPBMC_BAD_MASK, at + row->size,
			"mask of %s is out of range", f->name);
	}
	if (row->quirk == QUIRK_MAPPED) {
		memset(e->mask.b, 0xff, 12);
	}
	for (unsigned i = 0; i < f->n_bytes; i++) {
		if (e->value.b[i] & ~e->mask.b[i]) {
			return of_error_set_at(err, OFPET_BAD_MATCH, OFPBMC_BAD_WILDCARDS, at,
				"value of %s has bits that its mask has not", f->name);
		}
	}
	return true;
}

void
oxm_put_header(struct strbuf *out, enum field_id field, uint8_t version, bool has_mask)
{
	const struct row *row = row_to_send(field, version);
	uint8_t bytes[8];

	if (row) {
		put_be32(bytes, oxm_header(field, version, has_mask));
		put_be32(bytes + 4, OXM_EXPERIMENTER_ONF);
		strbuf_put_bytes(out, bytes, header_size(row));
	}
}

void
oxm_put_entry(struct strbuf *out, enum field_id field, uint8_t version,
	const union field_value *value, const union field_value *mask)
{
	const struct row *row = row_to_send(field, version);
	union field_value ones;

	if (row) {
		field_value_ones(field_get(field), &ones);
		if (is_mapped(value, mask ? mask : &ones)) {
			row = mapped_row(field, row);
		}
		put_row(out, row, value, mask);
	}
}

/* --- matches ------------------------------------------------------------------------------------- */

bool
oxm_decode_match(const uint8_t *data, size_t len, unsigned flags, const struct of_tlv_map *tlvs,
	struct of_match *match, struct weft_error *err)
{
	size_t at = 0;

	of_match_init(match);
	while (at < len) {
		struct weft_error why = WEFT_ERROR_INIT;
		struct oxm_entry e;
		size_t used;

		if (!oxm_pull_entry(data + at, len - at, tlvs, &e, &used, &why)) {
			if (e.field == FIELD_N && used && used <= len - at &&
				flags & OXM_SKIP_UNKNOWN) {
				at += used;
				continue;
			}
			why.offset += at;
			weft_error_move(err, &why);
			return false;
		}
		if (!add_entry(match, &e, tlvs, flags, at, err)) {
			return false;
		}
		at += used;
	}
	return true;
}

void
oxm_encode_match(struct strbuf *out, const struct of_match *match, uint8_t version,
	const struct of_tlv_map *tlvs)
{
	struct flow_mask left = match->mask;
	union field_value zero = {{0}};
	uint64_t map = of_words_map(&left.bits);

	/* The rows stand in an order in which prerequisites come first. */
	for (size_t i = 0; i < N_ROWS && map; i++) {
		const struct row *row = &rows[i];
		const struct field *f = field_get(row->field);
		union field_value value, mask, ones;

		if (row->version > version || !field_is_masked(f, &left) || is_split(row, match) ||
			!field_prereq_matched(f->prereq, &match->value, &match->mask)) {
			continue;
		}
		field_load(f, &match->value, &value);
		field_load(f, &left.bits, &mask);
		all_ones(row, &ones);
		if ((memcmp(&mask, &ones, sizeof(mask)) && !(f->flags & FIELD_MASKABLE)) ||
			(row->quirk == QUIRK_MAPPED && !is_mapped(&value, &mask))) {
			continue;
		}
		put_row(out, row, &value, &mask);
		field_store(f, &left.bits, &zero);
		map = of_words_map(&left.bits);
	}
	oxm_encode_tlvs(out, match, tlvs);
}

void
oxm_put_match(struct strbuf *out, const struct of_match *match, uint8_t version,
	const struct of_tlv_map *tlvs)
{
	static const uint8_t padding[8];
	size_t start = out->len, size;
	uint8_t head[4] = {0, 1};

	strbuf_put_bytes(out, head, sizeof(head));
	oxm_encode_match(out, match, version, tlvs);
	size = out->len - start;
	put_be16(out->data + start + 2, (uint16_t)size);
	strbuf_put_bytes(out, padding, WEFT_ROUND_UP(size, 8) - size);
}

bool
oxm_pull_match(const uint8_t *data, size_t len, unsigned flags, const struct of_tlv_map *tlvs,
	struct of_match *match, size_t *used, struct weft_error *err)
{
	struct weft_error why = WEFT_ERROR_INIT;
	size_t size;

	of_match_init(match);
	*used = 0;
	if (len < 4) {
		return of_error_set(err, OFPET_BAD_MATCH, OFPBMC_BAD_LEN, "match is cut off");
	}
	if (get_be16(data) != 1) {
		return of_error_set(
			err, OFPET_BAD_MATCH, OFPBMC_BAD_TYPE, "match type %u", get_be16(data));
	}
	size = get_be16(data + 2);
	if (size < 4 || WEFT_ROUND_UP(size, 8) > len) {
		return of_error_set_at(err, OFPET_BAD_MATCH, OFPBMC_BAD_LEN, 2,
			"match of %zu bytes in %zu", size, len);
	}
	*used = WEFT_ROUND_UP(size, 8);
	if (!oxm_decode_match(data + 4, size - 4, flags, tlvs, match, &why)) {
		why.offset += 4;
		weft_error_move(err, &why);
		return false;
	}
	return true;
}

static bool
add_entry(struct of_match *match, const struct oxm_entry *e, const struct of_tlv_map *tlvs,
	unsigned flags, size_t offset, struct weft_error *err)
{
	const struct field *f = field_get(e->field);
	struct of_tlv tlv;

	if (e->is_tlv && of_tlv_get(tlvs, e->index, &tlv)) {
		if (be64_to(match->mask.bits.tun_opts_present) >> tlv.slot & 1) {
			return of_error_set_at(err, OFPET_BAD_MATCH, OFPBMC_DUP_FIELD, offset,
				"tun_metadata%u stands twice", e->index);
		}
		of_tlv_match(match, &tlv, &e->value, &e->mask);
		return true;
	}
	if (field_is_masked(f, &match->mask)) {
		return of_error_set_at(
			err, OFPET_BAD_MATCH, OFPBMC_DUP_FIELD, offset, "%s stands twice", f->name);
	}
	if (!(flags & OXM_ANY_PREREQ) &&
		!field_prereq_matched(f->prereq, &match->value, &match->mask)) {
		return of_error_set_at(err, OFPET_BAD_MATCH, OFPBMC_BAD_PREREQ, offset,
			"%s stands without its prerequisite before it", f->name);
	}
	of_match_set(match, e->field, &e->value, &e->mask);
	return true;
}

/* --- rows ---------------------------------------------------------------------------------------- */

static int
class_index(uint16_t class)
{
	switch (class) {
	case OXM_CLASS_NXM0:
		return 0;
	case OXM_CLASS_NXM1:
		return 1;
	case OXM_CLASS_BASIC:
		return 2;
	case OXM_CLASS_PACKET_REGS:
		return 3;
	case OXM_CLASS_EXPERIMENTER:
		return 4;
	case OXM_CLASS_ERIC:
		return 5;
	default:
		return -1;
	}
}

static const struct row *
find_row(uint32_t header, uint32_t exp)
{
	int class = class_index((uint16_t)(header >> 16));
	uint8_t i;

	if (class < 0 || (header >> 16 == OXM_CLASS_EXPERIMENTER && exp != OXM_EXPERIMENTER_ONF)) {
		return NULL;
	}
	i = index_of[class][header >> 9 & 0x7f];
	return i ? &rows[i - 1] : NULL;
}

static const struct row *
row_to_send(enum field_id field, uint8_t version)
{
	uint8_t i = index_to_send[field][WEFT_MIN(version, N_VERSIONS - 1)];

	return i ? &rows[i - 1] : NULL;
}

/* The row for IPv4 addresses of a field that holds both kinds. */
static const struct row *
mapped_row(enum field_id field, const struct row *otherwise)
{
	for (size_t i = 0; i < N_ROWS; i++) {
		if (rows[i].field == field && rows[i].quirk == QUIRK_MAPPED) {
			return &rows[i];
		}
	}
	return otherwise;
}

static const struct row *
own_row(enum field_id field)
{
	return row_to_send(field, UINT8_MAX);
}

static size_t
header_size(const struct row *row)
{
	return row->class == OXM_CLASS_EXPERIMENTER ? 8 : 4;
}

/* --- forms --------------------------------------------------------------------------------------- */

static enum oxm_form
form_of(const struct row *row)
{
	return row->quirk == QUIRK_PORT16   ? OXM_FORM_PORT16
	       : row->quirk == QUIRK_MAPPED ? OXM_FORM_MAPPED
					    : OXM_FORM_WHOLE;
}

/* The oldest number of a field in a form, among those that stand in 4 bytes. */
static const struct row *
row_in_form(enum field_id field, enum oxm_form form)
{
	const struct row *oldest = NULL;

	for (size_t i = 0; i < N_ROWS; i++) {
		const struct row *row = &rows[i];

		if (row->field == field && form_of(row) == form &&
			row->class != OXM_CLASS_EXPERIMENTER &&
			(!oldest || row->version < oldest->version)) {
			oldest = row;
		}
	}
	return oldest;
}

bool
oxm_form_of(uint32_t header, enum field_id *field, enum oxm_form *form)
{
	const struct row *row = header >> 16 == OXM_CLASS_EXPERIMENTER ? NULL : find_row(header, 0);

	if (!row || header != OXM_HEADER(row->class, row->number, false, row->size)) {
		return false;
	}
	*field = row->field;
	*form = form_of(row);
	return true;
}

uint32_t
oxm_form_header(enum field_id field, enum oxm_form form)
{
	const struct row *row = row_in_form(field, form);

	return row ? OXM_HEADER(row->class, row->number, false, row->size) : 0;
}

unsigned
oxm_form_width(enum field_id field, enum oxm_form form)
{
	return form == OXM_FORM_PORT16   ? 16
	       : form == OXM_FORM_MAPPED ? 32
	       : field == FIELD_VLAN_VID ? 12 /* OFPVID_PRESENT is no part of it */
					 : field_get(field)->width;
}

/* --- values -------------------------------------------------------------------------------------- */

/* False: bits beyond the field's. */
static bool
from_wire(const struct row *row, const uint8_t *wire, union field_value *value)
{
	const struct field *f = field_get(row->field);
	unsigned size = row->size;

	memset(value, 0, sizeof(*value));
	for (; size > f->n_bytes; size--) {
		if (*wire++) {
			return false;
		}
	}
	memcpy(value->b + f->n_bytes - size, wire, size);
	switch ((enum quirk)row->quirk) {
	case QUIRK_PORT16:
		if (value->b[2] == 0xff) {
			value->b[0] = value->b[1] = 0xff;
		}
		break;
	case QUIRK_MAPPED:
		value->b[10] = value->b[11] = 0xff;
		break;
	case QUIRK_TOS:
	case QUIRK_NONE:
		break;
	}
	return field_value_fits(f, value);
}

static void
to_wire(const struct row *row, const union field_value *value, uint8_t *wire)
{
	const struct field *f = field_get(row->field);
	unsigned size = WEFT_MIN(row->size, f->n_bytes);

	memset(wire, 0, row->size);
	memcpy(wire + row->size - size, value->b + f->n_bytes - size, size);
}

static void
all_ones(const struct row *row, union field_value *mask)
{
	field_value_ones(field_get(row->field), mask);
	if (row->quirk == QUIRK_TOS) {
		mask->b[0] = 0xfc;
	}
}

/* Whether the row has part of a field under a mask that only the whole field's number can carry: parts
 * of a TCI or TOS must not be sent beside the whole. */
static bool
is_split(const struct row *row, const struct of_match *match)
{
	const struct flow_key *mask = &match->mask.bits;
	uint16_t pcp = be16_to(mask->vlan_tci) & 0xe000;
	uint8_t dscp = mask->ip_tos & 0xfc, ecn = mask->ip_tos & 3;

	switch (row->field) {
	case FIELD_VLAN_VID:
	case FIELD_VLAN_PCP:
		return pcp && (pcp != 0xe000 || !field_prereq_matched(FIELD_PRE_VLAN, &match->value,
							&match->mask));
	case FIELD_IP_DSCP:
	case FIELD_IP_ECN:
		return (dscp && dscp != 0xfc) || (ecn && ecn != 3);
	default:
		return false;
	}
}

/* Whether the IPv4 form says it all. */
static bool
is_mapped(const union field_value *value, const union field_value *mask)
{
	static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	for (unsigned i = 0; i < sizeof(prefix); i++) {
		if (value->b[i] != prefix[i] || mask->b[i] != 0xff) {
			return false;
		}
	}
	return true;
}

static void
put_row(struct strbuf *out, const struct row *row, const union field_value *value,
	const union field_value *mask)
{
	uint8_t bytes[8 + 2 * FIELD_MAX_BYTES];
	size_t at = header_size(row);
	union field_value ones;
	bool has_mask;

	all_ones(row, &ones);
	has_mask = mask && memcmp(mask->b, ones.b, field_get(row->field)->n_bytes);
	put_be32(bytes,
		OXM_HEADER(row->class, row->number, has_mask, (row->size << has_mask) + (at - 4)));
	put_be32(bytes + 4, OXM_EXPERIMENTER_ONF);
	to_wire(row, value, bytes + at);
	at += row->size;
	if (has_mask) {
		to_wire(row, mask, bytes + at);
		at += row->size;
	}
	strbuf_put_bytes(out, bytes, at);
}

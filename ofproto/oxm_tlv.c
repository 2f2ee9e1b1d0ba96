/* SPDX-License-Identifier: Apache-2.0
 *
 * OXM: NXM_NX_TUN_METADATA0 to 63, whose sizes a switch's map says. A value on the wire may be shorter than
 * the option's data: what is missing is zero on the left, of the mask too. It may be longer by zeroes.
 */
#include <string.h>

#include "lib/byteorder.h"
#include "lib/strbuf.h"
#include "ofproto/of_error.h"
#include "ofproto/of_match.h"
#include "ofproto/of_tlv.h"
#include "ofproto/oxm.h"
#include "ofproto/oxm_internal.h"

#define FIRST_NUMBER 40u
/* Lengths of a header that stands alone. */
#define HEADER_LEN OF_TLV_LEN_MAX

static unsigned
index_of(uint32_t header)
{
	return (header >> 9 & 0x7f) - FIRST_NUMBER;
}

bool
oxm_is_tlv(uint32_t header)
{
	return header >> 16 == OXM_CLASS_NXM1 && index_of(header) < OF_TLV_FIELDS;
}

static unsigned
slot_of(uint64_t slots)
{
	return slots ? (unsigned)__builtin_ctzll(slots) : OF_TLV_FIELDS;
}

/* The low bytes of @n to the place of the option. False: there are more than it has. */
static bool
take_bytes(const struct of_tlv *tlv, const uint8_t *from, size_t n, union field_value *to)
{
	memset(to, 0, sizeof(*to));
	for (; n > tlv->len; n--) {
		if (*from++) {
			return false;
		}
	}
	memcpy(to->b + tlv->offset + tlv->len - n, from, n);
	return true;
}

bool
oxm_pull_tlv(uint32_t header, const uint8_t *payload, const struct of_tlv_map *tlvs,
	struct oxm_entry *e, struct weft_error *err)
{
	unsigned index = index_of(header);
	size_t n = header & 0xff;
	struct of_tlv tlv;

	memset(e, 0, sizeof(*e));
	e->field = FIELD_N;
	if (!of_tlv_get(tlvs, index, &tlv)) {
		return of_tlv_refuse(err, index);
	}
	e->field = FIELD_TUN_OPTS;
	e->has_mask = header & 0x100;
	e->is_tlv = true;
	e->index = (uint8_t)index;
	memset(e->mask.b + tlv.offset, 0xff, tlv.len);
	if (e->has_mask && n % 2) {
		return of_error_set_at(err, OFPET_BAD_MATCH, OFPBMC_BAD_LEN, 3,
			"tun_metadata%u has %zu bytes of value and mask", index, n);
	}
	n >>= e->has_mask;
	if (!take_bytes(&tlv, payload, n, &e->value) ||
		(e->has_mask && !take_bytes(&tlv, payload + n, n, &e->mask))) {
		return of_error_set_at(err, OFPET_BAD_MATCH, OFPBMC_BAD_LEN, 3,
			"%zu bytes for tun_metadata%u, which has %u", n, index, tlv.len);
	}
	for (unsigned i = 0; i < OF_TLV_SPACE; i++) {
		if (e->value.b[i] & ~e->mask.b[i]) {
			return of_error_set_at(err, OFPET_BAD_MATCH, OFPBMC_BAD_WILDCARDS, 4,
				"value of tun_metadata%u has bits that its mask has not", index);
		}
	}
	return true;
}

static void
put_tlv(struct strbuf *out, unsigned index, const struct of_tlv *tlv, const uint8_t *value,
	const uint8_t *mask)
{
	bool is_exact = tlv->len > 0; /* without data nothing but a mask says that it is there */
	uint8_t header[4];

	for (unsigned i = 0; i < tlv->len; i++) {
		is_exact &= mask[tlv->offset + i] == 0xff;
	}
	put_be32(header,
		OXM_HEADER(OXM_CLASS_NXM1, FIRST_NUMBER + index, !is_exact, tlv->len << !is_exact));
	strbuf_put_bytes(out, header, sizeof(header));
	strbuf_put_bytes(out, value + tlv->offset, tlv->len);
	if (!is_exact) {
		strbuf_put_bytes(out, mask + tlv->offset, tlv->len);
	}
}

void
oxm_put_set_tlv(struct strbuf *out, const struct of_tlv_map *tlvs, enum field_id field,
	const union field_value *value, const union field_value *mask)
{
	const struct field *f = field_get(field);
	struct of_tlv tlv;
	uint8_t header[4];
	unsigned index;

	if (field == FIELD_TUN_OPTS) {
		index = of_tlv_of_mask(tlvs, mask, &tlv);
		if (index < OF_TLV_FIELDS) {
			put_tlv(out, index, &tlv, value->b, mask->b);
		}
		return;
	}
	index = of_tlv_of_slot(tlvs, slot_of(field_value_u64(f, mask)), &tlv);
	if (index < OF_TLV_FIELDS) {
		put_be32(header, OXM_HEADER(OXM_CLASS_NXM1, FIRST_NUMBER + index,
					 !field_value_u64(f, value), 0));
		strbuf_put_bytes(out, header, sizeof(header));
	}
}

bool
oxm_tlv_of_header(const uint8_t *data, const struct of_tlv_map *tlvs, struct of_tlv *tlv)
{
	uint32_t header = get_be32(data);

	return oxm_is_tlv(header) && of_tlv_get(tlvs, index_of(header), tlv);
}

void
oxm_encode_tlvs(struct strbuf *out, const struct of_match *match, const struct of_tlv_map *tlvs)
{
	uint64_t slots = be64_to(match->mask.bits.tun_opts_present);
	struct of_tlv tlv;

	for (unsigned i = 0; slots && i < OF_TLV_FIELDS; i++) {
		if (of_tlv_get(tlvs, i, &tlv) && slots >> tlv.slot & 1) {
			put_tlv(out, i, &tlv, match->value.tun_opts, match->mask.bits.tun_opts);
		}
	}
}

bool
oxm_pull_nxm_header(const uint8_t *data, const struct of_tlv_map *tlvs, enum field_id *field,
	unsigned *ofs, unsigned *width, struct weft_error *err)
{
	uint32_t header = get_be32(data);
	struct of_tlv tlv;

	if (oxm_is_tlv(header)) {
		if (!of_tlv_get(tlvs, index_of(header), &tlv)) {
			return of_tlv_refuse(err, index_of(header));
		}
		*field = FIELD_TUN_OPTS;
		*ofs = of_tlv_bit(&tlv);
		*width = 8u * tlv.len;
		return true;
	}
	*field = oxm_field(header, 0);
	*ofs = 0;
	*width = *field == FIELD_N ? 0 : field_get(*field)->width;
	return *field != FIELD_N;
}

uint32_t
oxm_nxm_header(enum field_id field, uint8_t version, const struct of_tlv_map *tlvs, unsigned *ofs)
{
	struct of_tlv tlv;
	unsigned index;

	if (field != FIELD_TUN_OPTS) {
		return oxm_header(field, version, false);
	}
	index = of_tlv_of_bit(tlvs, *ofs, &tlv);
	if (index == OF_TLV_FIELDS) {
		return 0;
	}
	*ofs -= of_tlv_bit(&tlv);
	return OXM_HEADER(OXM_CLASS_NXM1, FIRST_NUMBER + index, false, HEADER_LEN);
}

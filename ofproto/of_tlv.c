/* SPDX-License-Identifier: Apache-2.0
 *
 * Options of Geneve as fields: maps, places, texts.
 */
#include "ofproto/of_tlv.h"

#include <string.h>
#include <strings.h>

#include "lib/byteorder.h"
#include "lib/strbuf.h"
#include "ofproto/of_action.h"
#include "ofproto/of_error.h"
#include "ofproto/of_match.h"

_Static_assert(sizeof(struct of_tlv) == sizeof(uint64_t), "a field is one word");
_Static_assert(sizeof(((struct flow_key *)0)->tun_opts) == OF_TLV_SPACE, "block 5");

bool
of_tlv_get(const struct of_tlv_map *map, unsigned index, struct of_tlv *tlv)
{
	uint64_t word;

	if (!map || index >= OF_TLV_FIELDS) {
		return false;
	}
	word = atomic_load_explicit(&map->fields[index], memory_order_relaxed);
	memcpy(tlv, &word, sizeof(word));
	return tlv->is_mapped;
}

unsigned
of_tlv_at(const struct of_tlv_map *map, unsigned offset, struct of_tlv *tlv)
{
	unsigned i;

	for (i = 0; i < OF_TLV_FIELDS; i++) {
		if (of_tlv_get(map, i, tlv) && offset >= tlv->offset &&
			offset < (unsigned)tlv->offset + tlv->len) {
			break;
		}
	}
	return i;
}

unsigned
of_tlv_of_slot(const struct of_tlv_map *map, unsigned slot, struct of_tlv *tlv)
{
	unsigned i;

	for (i = 0; i < OF_TLV_FIELDS; i++) {
		if (of_tlv_get(map, i, tlv) && tlv->slot == slot) {
			break;
		}
	}
	return i;
}

unsigned
of_tlv_of_mask(const struct of_tlv_map *map, const union field_value *mask, struct of_tlv *tlv)
{
	for (unsigned i = OF_TLV_SPACE; i-- > 0;) {
		if (mask->b[i]) {
			return of_tlv_at(map, i, tlv);
		}
	}
	return OF_TLV_FIELDS;
}

unsigned
of_tlv_of_bit(const struct of_tlv_map *map, unsigned ofs, struct of_tlv *tlv)
{
	return ofs / 8 < OF_TLV_SPACE ? of_tlv_at(map, OF_TLV_SPACE - 1 - ofs / 8, tlv)
				      : OF_TLV_FIELDS;
}

unsigned
of_tlv_bit(const struct of_tlv *tlv)
{
	return 8 * (OF_TLV_SPACE - tlv->offset - tlv->len);
}

uint64_t
of_tlv_slots(const struct of_tlv_map *map)
{
	uint64_t slots = 0;
	struct of_tlv tlv;

	for (unsigned i = 0; i < OF_TLV_FIELDS; i++) {
		slots |= of_tlv_get(map, i, &tlv) ? UINT64_C(1) << tlv.slot : 0;
	}
	return slots;
}

void
of_tlv_field(const struct of_tlv *tlv, struct field *f)
{
	*f = (struct field){
		.name = "an option",
		.n_bytes = tlv->len,
		.width = (uint16_t)(8 * tlv->len),
		.format = FIELD_FMT_BYTES,
		.flags = FIELD_MASKABLE | FIELD_WRITABLE,
	};
}

void
of_tlv_place(const struct of_tlv *tlv, const union field_value *value, union field_value *opts)
{
	memset(opts, 0, sizeof(*opts));
	memcpy(opts->b + tlv->offset, value->b, tlv->len);
}

void
of_tlv_take(const struct of_tlv *tlv, const union field_value *opts, union field_value *value)
{
	memset(value, 0, sizeof(*value));
	memcpy(value->b, opts->b + tlv->offset, tlv->len);
}

void
of_tlv_match(struct of_match *match, const struct of_tlv *tlv, const union field_value *value,
	const union field_value *mask)
{
	struct flow_key *bits = &match->mask.bits;

	for (unsigned i = tlv->offset; i < (unsigned)tlv->offset + tlv->len; i++) {
		match->value.tun_opts[i] = value->b[i] & mask->b[i];
		bits->tun_opts[i] = mask->b[i];
	}
	match->value.tun_opts_present |= be64_from(UINT64_C(1) << tlv->slot);
	bits->tun_opts_present |= be64_from(UINT64_C(1) << tlv->slot);
}

static void
put_presence(struct of_actions *list, const struct of_tlv *tlv, bool is_there)
{
	const struct field *f = field_get(FIELD_TUN_OPTS_PRESENT);
	union field_value value, mask;

	field_value_from_u64(f, UINT64_C(1) << tlv->slot, &mask);
	memset(&value, 0, sizeof(value));
	of_actions_put_set_field(list, FIELD_TUN_OPTS_PRESENT, is_there ? &mask : &value, &mask);
}

void
of_tlv_put_set(struct of_actions *list, const struct of_tlv *tlv, const union field_value *value,
	const union field_value *mask)
{
	if (tlv->len) {
		of_actions_put_set_field(list, FIELD_TUN_OPTS, value, mask);
	} else {
		put_presence(list, tlv, true);
	}
}

void
of_tlv_put_delete(struct of_actions *list, const struct of_tlv *tlv)
{
	put_presence(list, tlv, false);
}

/* --- texts --------------------------------------------------------------------------------------- */

bool
of_tlv_parse_name(const char *name, size_t len, unsigned *index)
{
	static const char *const prefixes[] = {"tun_metadata", "NXM_NX_TUN_METADATA"};

	for (size_t i = 0; i < WEFT_ARRAY_SIZE(prefixes); i++) {
		size_t n = strlen(prefixes[i]);
		const char *digits = name + n;

		if (len <= n || len > n + 2 || strncasecmp(name, prefixes[i], n) != 0 ||
			digits[0] < '0' || digits[0] > '9' || (len == n + 2 && digits[0] == '0')) {
			continue;
		}
		*index = (unsigned)(digits[0] - '0');
		if (len == n + 2) {
			if (digits[1] < '0' || digits[1] > '9') {
				continue;
			}
			*index = 10 * *index + (unsigned)(digits[1] - '0');
		}
		return *index < OF_TLV_FIELDS;
	}
	return false;
}

bool
of_tlv_refuse(struct weft_error *err, unsigned index)
{
	return of_error_set(err, OFPET_NICIRA, NXFMFC_INVALID_TLV_FIELD,
		"tun_metadata%u stands for no option: the switch's TLV table does not have it",
		index);
}

static bool
is_all(const union field_value *mask, const struct of_tlv *tlv, uint8_t byte)
{
	for (unsigned i = 0; i < tlv->len; i++) {
		if (mask->b[i] != byte) {
			return false;
		}
	}
	return true;
}

/* As ovs-ofctl prints fields of that size: zero has its 0x too. */
static void
put_hex(const union field_value *value, unsigned len, struct strbuf *out)
{
	unsigned at = 0;

	while (at + 1 < len && !value->b[at]) {
		at++;
	}
	strbuf_printf(out, "0x%x", len ? value->b[at] : 0u);
	for (at++; at < len; at++) {
		strbuf_printf(out, "%02x", value->b[at]);
	}
}

void
of_tlv_format_value(const struct of_tlv *tlv, const union field_value *opts_value,
	const union field_value *opts_mask, struct strbuf *out)
{
	union field_value part;

	of_tlv_take(tlv, opts_value, &part);
	put_hex(&part, tlv->len, out);
	of_tlv_take(tlv, opts_mask, &part);
	if (!is_all(&part, tlv, 0xff)) {
		strbuf_put_char(out, '/');
		put_hex(&part, tlv->len, out);
	}
}

void
of_tlv_format_match(const struct of_tlv_map *map, const struct flow_key *value,
	const struct flow_mask *mask, struct strbuf *out)
{
	uint64_t slots = be64_to(mask->bits.tun_opts_present);
	union field_value opts, opts_mask, m;
	struct of_tlv tlv;

	field_load(field_get(FIELD_TUN_OPTS), value, &opts);
	field_load(field_get(FIELD_TUN_OPTS), &mask->bits, &opts_mask);
	for (unsigned i = 0; slots && i < OF_TLV_FIELDS; i++) {
		if (!of_tlv_get(map, i, &tlv) || !(slots >> tlv.slot & 1)) {
			continue;
		}
		of_tlv_take(&tlv, &opts_mask, &m);
		strbuf_printf(out, "tun_metadata%u", i);
		if (!(be64_to(value->tun_opts_present) >> tlv.slot & 1)) {
			strbuf_put(out, "=NP"); /* of a packet: the option is not there */
		} else if (!is_all(&m, &tlv, 0)) {
			strbuf_put_char(out, '=');
			of_tlv_format_value(&tlv, &opts, &opts_mask, out);
		}
		strbuf_put_char(out, ',');
	}
}

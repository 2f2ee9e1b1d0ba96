/* SPDX-License-Identifier: Apache-2.0
 *
 * OXM: numbers of the fields, and matches as OpenFlow 1.2 and later carry them.
 *
 * What:     rows field <-> (class, number) for the OpenFlow basic class, the Nicira classes 0 and 1,
 *           packet registers, Ericsson's and ONF's experimenter fields; encoding and decoding of OFPMT_OXM
 *           matches and of the single fields in set-field and lists of fields.
 * Quirks:   a value's size on the wire may differ from the field table's: ip_dscp, ipv6_exthdr (2
 *           bytes), pbb_isid (3 bytes), icmp types (1 byte), vlan_vid's OFPVID_PRESENT, tunnel_id.
 *           They are columns of the rows, not code elsewhere.
 * Options:  NXM_NX_TUN_METADATA0 to 63 stand for what a switch's map says (of_tlv.h), and are parts of
 *           FIELD_TUN_OPTS here; @tlvs is the map, NULL: they stand for nothing.
 * Spec:     OpenFlow 1.3.5 s.A.2.3; errors s.A.4.4.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/field.h"

struct of_match;
struct of_tlv;
struct of_tlv_map;
struct strbuf;
struct weft_error;

#define OXM_CLASS_NXM0 0x0000u
#define OXM_CLASS_NXM1 0x0001u
#define OXM_CLASS_ERIC 0x1000u
#define OXM_CLASS_BASIC 0x8000u
#define OXM_CLASS_PACKET_REGS 0x8001u
#define OXM_CLASS_EXPERIMENTER 0xffffu
#define OXM_EXPERIMENTER_ONF 0x4f4e4600u
#define OXM_EXPERIMENTER_NX 0x00002320u

#define OXM_HEADER(CLASS, FIELD, HAS_MASK, LEN)                                                    \
	((uint32_t)(CLASS) << 16 | (uint32_t)(FIELD) << 9 | (uint32_t) !!(HAS_MASK) << 8 |         \
		(uint32_t)(LEN))

/* One TLV taken apart. */
struct oxm_entry {
	enum field_id field; /* FIELD_N: not one of ours */
	bool has_mask;
	bool is_tlv;             /* FIELD_TUN_OPTS, of which the mask has an option's bytes */
	uint8_t index;           /* is_tlv: of the tun_metadata field */
	union field_value value; /* in the field table's form */
	union field_value mask;  /* all ones without has_mask */
};

/* 32-bit header of the field by which we send it under OpenFlow @version (wire number: 1, 4, 5, 6);
 * 0: it has none. */
uint32_t oxm_header(enum field_id field, uint8_t version, bool has_mask);
/* The field of class and number, or FIELD_N. @header's length and mask bits do not matter. @exp: the
 * experimenter id for class 0xffff. */
enum field_id oxm_field(uint32_t header, uint32_t exp);
/* Bytes of a whole TLV. */
size_t oxm_entry_size(enum field_id field, uint8_t version, bool has_mask);

/* Reads one TLV of at most @len bytes, its size into @used. Errors are of type OFPET_BAD_MATCH. An
 * unknown field is OFPBMC_BAD_FIELD, with @used filled. */
bool oxm_pull_entry(const uint8_t *data, size_t len, const struct of_tlv_map *tlvs,
	struct oxm_entry *e, size_t *used, struct weft_error *err) WEFT_MUST_CHECK;
/* Reads one header alone (lists of fields in features, copy-field). */
bool oxm_pull_header(const uint8_t *data, size_t len, enum field_id *field, bool *has_mask,
	size_t *used, struct weft_error *err) WEFT_MUST_CHECK;
/* A field that stands as its header of 4 bytes alone, in Nicira's actions: @ofs is its lowest bit in @field. False:
 * unknown, @err is set if there is more to say (a tun_metadata field that stands for nothing). */
bool oxm_pull_nxm_header(const uint8_t *data, const struct of_tlv_map *tlvs, enum field_id *field,
	unsigned *ofs, unsigned *width, struct weft_error *err) WEFT_MUST_CHECK;
/* The header of the field that has that bit, and the bit's number in it; 0: it has none. */
uint32_t oxm_nxm_header(
	enum field_id field, uint8_t version, const struct of_tlv_map *tlvs, unsigned *ofs);
/* What of_tlv.h's set-fields say, as a tun_metadata field: without mask if they set the whole option, or that it is
 * there; with the mask 0 if it is taken away. Nothing: the map has no such option. */
void oxm_put_set_tlv(struct strbuf *out, const struct of_tlv_map *tlvs, enum field_id field,
	const union field_value *value, const union field_value *mask);
/* What a header of a tun_metadata field stands for. */
bool oxm_tlv_of_header(const uint8_t *data, const struct of_tlv_map *tlvs, struct of_tlv *tlv);
/* Appends one TLV. @mask NULL or all ones: without mask. */
void oxm_put_entry(struct strbuf *out, enum field_id field, uint8_t version,
	const union field_value *value, const union field_value *mask);
void oxm_put_header(struct strbuf *out, enum field_id field, uint8_t version, bool has_mask);

enum oxm_decode_flags {
	OXM_ANY_PREREQ = 1 << 0,   /* do not demand prerequisites (packet-out's, resume's fields) */
	OXM_SKIP_UNKNOWN = 1 << 1, /* leave out fields that are not ours */
};

/* Decodes the TLVs of a match (without ofp_match's own header and padding). Duplicates, bad masks,
 * bits of the value outside the mask, prerequisites that do not stand before, bad values: the
 * codes of OFPET_BAD_MATCH, with the offset. */
bool oxm_decode_match(const uint8_t *data, size_t len, unsigned flags,
	const struct of_tlv_map *tlvs, struct of_match *match,
	struct weft_error *err) WEFT_MUST_CHECK;
/* Appends the TLVs of @match in an order in which prerequisites come first. */
void oxm_encode_match(struct strbuf *out, const struct of_match *match, uint8_t version,
	const struct of_tlv_map *tlvs);
/* Writes a whole ofp_match: type 1, length, TLVs, padding to 8. */
void oxm_put_match(struct strbuf *out, const struct of_match *match, uint8_t version,
	const struct of_tlv_map *tlvs);
/* Reads a whole ofp_match; @used with its padding. */
bool oxm_pull_match(const uint8_t *data, size_t len, unsigned flags, const struct of_tlv_map *tlvs,
	struct of_match *match, size_t *used, struct weft_error *err) WEFT_MUST_CHECK;

/* The fields that matching (@set false) or set-field (@set true) know under a version, one after the
 * other: pass FIELD_N to begin, FIELD_N ends. */
enum field_id oxm_next_field(enum field_id after, uint8_t version, bool set);
bool oxm_is_maskable(enum field_id field);

/* Some numbers carry part of a field: NXM_OF_IN_PORT OpenFlow 1.0's 16 bits of a port number, NXM_NX_TUN_IPV4_SRC
 * the IPv4 address in a v6-mapped one. */
enum oxm_form {
	OXM_FORM_WHOLE,
	OXM_FORM_PORT16,
	OXM_FORM_MAPPED,
	OXM_FORM_N,
};

/* The field and form of a header of 4 bytes (class 0xffff has longer ones), without mask and with the value's
 * length. */
bool oxm_form_of(uint32_t header, enum field_id *field, enum oxm_form *form);
/* The header by which ovs-ofctl names it; 0: the field has none of 4 bytes, or not in that form. */
uint32_t oxm_form_header(enum field_id field, enum oxm_form form);
/* Bits that parts of fields are counted in. */
unsigned oxm_form_width(enum field_id field, enum oxm_form form);

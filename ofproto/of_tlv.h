/* SPDX-License-Identifier: Apache-2.0
 *
 * Options of Geneve (RFC 8926) as fields: tun_metadata0 to tun_metadata63.
 *
 * What:    a switch's controller says which option (class, type, length) each field stands for: Nicira's
 *          TLV table. Until it does, a field stands for none, and is refused.
 * Places:  the data of an option stand in block 5 of the key, at the same place and under the same bit of
 *          tun_opts_present in all switches that map it: the datapath knows one list of options. So
 *          all options of all switches together have OF_TLV_SPACE bytes, and an option has one length.
 * Form:    neither matches nor actions name tun_metadata fields. A match has bits of tun_opts, and always
 *          the option's bit of tun_opts_present: no packet without the option meets it. A set-field
 *          or copy-field is one of FIELD_TUN_OPTS, within the bytes of one option; the option is there
 *          then. A set-field of FIELD_TUN_OPTS_PRESENT takes options away (delete_field).
 * Threads: the loop writes a map; a field is one word, which any thread may read at any time.
 * Spec:    the messages and errors are those of Open vSwitch's extension (ovs-fields(7), tunnel metadata).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/field.h"

struct dp_tun_opt;
struct of_actions;
struct of_match;
struct of_model;
struct ofproto;
struct strbuf;
struct weft_error;

#define OF_TLV_FIELDS 64u
#define OF_TLV_SPACE 56u
#define OF_TLV_LEN_MAX 124u /* of the data of any option */

/* What a field stands for. */
struct of_tlv {
	uint16_t opt_class;
	uint8_t type;
	uint8_t len;    /* of its data, a multiple of 4 */
	uint8_t offset; /* of its data in tun_opts */
	uint8_t slot;   /* its bit in tun_opts_present */
	uint8_t is_mapped;
	uint8_t zero;
};

struct of_tlv_map {
	_Atomic uint64_t fields[OF_TLV_FIELDS]; /* struct of_tlv */
};

/* False: the field stands for nothing. @map may be NULL: none does. */
bool of_tlv_get(const struct of_tlv_map *map, unsigned index, struct of_tlv *tlv);
/* The field whose option has that byte of tun_opts; OF_TLV_FIELDS: none. */
unsigned of_tlv_at(const struct of_tlv_map *map, unsigned offset, struct of_tlv *tlv);
/* The field of that bit of tun_opts_present, likewise. */
unsigned of_tlv_of_slot(const struct of_tlv_map *map, unsigned slot, struct of_tlv *tlv);
/* The field of a set-field or of an end of a copy-field of FIELD_TUN_OPTS, likewise: of the lowest bit. */
unsigned of_tlv_of_mask(
	const struct of_tlv_map *map, const union field_value *mask, struct of_tlv *tlv);
unsigned of_tlv_of_bit(const struct of_tlv_map *map, unsigned ofs, struct of_tlv *tlv);
/* The lowest bit of the option's data in FIELD_TUN_OPTS. */
unsigned of_tlv_bit(const struct of_tlv *tlv);
/* Bits of tun_opts_present of all its fields. */
uint64_t of_tlv_slots(const struct of_tlv_map *map);

/* A field of the option's size, for texts of its value. */
void of_tlv_field(const struct of_tlv *tlv, struct field *f);
/* Moves a value of that field to its place in FIELD_TUN_OPTS, and back. */
void of_tlv_place(
	const struct of_tlv *tlv, const union field_value *value, union field_value *opts);
void of_tlv_take(const struct of_tlv *tlv, const union field_value *opts, union field_value *value);

/* @match asks for the option, with those bits in its data (both as FIELD_TUN_OPTS). */
void of_tlv_match(struct of_match *match, const struct of_tlv *tlv, const union field_value *value,
	const union field_value *mask);

/* Appends a set-field of the option's data; one without data is just there. */
void of_tlv_put_set(struct of_actions *list, const struct of_tlv *tlv,
	const union field_value *value, const union field_value *mask);
/* Appends what takes the option away. */
void of_tlv_put_delete(struct of_actions *list, const struct of_tlv *tlv);

/* Number N of a name "tun_metadataN" or "NXM_NX_TUN_METADATAN"; false: another name. */
bool of_tlv_parse_name(const char *name, size_t len, unsigned *index);
/* That the field stands for nothing: NXFMFC_INVALID_TLV_FIELD. Returns false. */
bool of_tlv_refuse(struct weft_error *err, unsigned index);
/* The value of an option's data, with a slash and the mask unless that is all of it (both as FIELD_TUN_OPTS). */
void of_tlv_format_value(const struct of_tlv *tlv, const union field_value *opts_value,
	const union field_value *opts_mask, struct strbuf *out);
/* The match's tun_metadata fields, each with a comma behind it, as ovs-ofctl prints them. */
void of_tlv_format_match(const struct of_tlv_map *map, const struct flow_key *value,
	const struct flow_mask *mask, struct strbuf *out);

/* --- switches ------------------------------------------------------------------------------------ */

enum of_tlv_command { /* NXTTMC_* */
	OF_TLV_ADD,
	OF_TLV_DELETE,
	OF_TLV_CLEAR,
	OF_TLV_N,
};

struct of_tlv_entry {
	uint16_t opt_class;
	uint8_t type;
	uint8_t len;
	uint16_t index;
};

/* "{class=0xffff,type=0x80,len=4}->tun_metadata0,..", at least one and up to @max; @names_alone: a field's name may
 * stand for its mapping. */
bool of_tlv_parse(const char *text, size_t len, bool names_alone, size_t max,
	struct of_tlv_entry *entries, size_t *n, struct weft_error *err) WEFT_MUST_CHECK;

const struct of_tlv_map *ofproto_tlvs(const struct ofproto *p);
/* Executes all of it or nothing. No transaction may be open. @command may be any number. DELETE looks at the indices alone, and passes over those
 * that stand for nothing; a field that a rule or group uses stays. Errors: NXTTMFC_*. */
bool ofproto_tlv_mod(struct ofproto *p, unsigned command, const struct of_tlv_entry *entries,
	size_t n, struct weft_error *err) WEFT_MUST_CHECK;
/* Persistence: the field stands for what it did, in the same place. False: it cannot. */
bool ofproto_tlv_import(
	struct ofproto *p, unsigned index, const struct of_tlv *tlv) WEFT_MUST_CHECK;
/* The options of all switches; @opts has room for OF_TLV_FIELDS. */
size_t of_model_tlvs(const struct of_model *m, struct dp_tun_opt *opts);

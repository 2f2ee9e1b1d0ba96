/* SPDX-License-Identifier: Apache-2.0
 *
 * Field table: every field of the flow key, once.
 *
 * What:    parsing and formatting of text, matching, set-field, capability lists and (with the
 *          numbers that ofproto/ adds) OXM and NXM all work from the rows of field_list.h.
 * Place:   a field is @width bits of the big-endian number in @n_bytes bytes at @offset of the
 *          key, @shift bits from its low end. tun_id alone has two parts: @hi_offset is where its
 *          upper 4 bytes stand (0: one part).
 * Values:  union field_value holds @n_bytes bytes (with both parts: 8), big-endian, the number in
 *          the low @width bits: the form OXM uses.
 * Overlap: fields may overlap (xreg0 covers reg0 and reg1; vlan_tci covers vlan_vid and vlan_pcp).
 */
#pragma once

#include "lib/flow_key.h"

struct strbuf;
struct weft_error;

/* What a packet must be for a field to mean something. Each implies the ones it stands on. */
enum field_prereq {
	FIELD_PRE_NONE,
	FIELD_PRE_VLAN,  /* an outer tag */
	FIELD_PRE_VLAN2, /* an inner tag */
	FIELD_PRE_IPV4,
	FIELD_PRE_IPV6,
	FIELD_PRE_IP,  /* IPv4 or IPv6 */
	FIELD_PRE_ARP, /* ARP or RARP */
	FIELD_PRE_TCP,
	FIELD_PRE_UDP,
	FIELD_PRE_SCTP,
	FIELD_PRE_L4, /* TCP, UDP or SCTP */
	FIELD_PRE_ICMPV4,
	FIELD_PRE_ICMPV6,
	FIELD_PRE_ND,     /* ICMPv6 type 135 or 136, code 0 */
	FIELD_PRE_ND_SOL, /* type 135 */
	FIELD_PRE_ND_ADV, /* type 136 */
	FIELD_PRE_MPLS,   /* 0x8847 or 0x8848 */
	FIELD_PRE_PBB,    /* 0x88e7 */
	FIELD_PRE_N,
};

/* How a value is written. */
enum field_format {
	FIELD_FMT_DEC,
	FIELD_FMT_HEX,
	FIELD_FMT_ETH,
	FIELD_FMT_IPV4,
	FIELD_FMT_IPV6,
	FIELD_FMT_PORT,      /* OpenFlow port: number, reserved name or port name */
	FIELD_FMT_FRAG,      /* no, yes, first, later, not_later */
	FIELD_FMT_TCP_FLAGS, /* +syn-ack or a number */
	FIELD_FMT_TUN_FLAGS,
	FIELD_FMT_CT_STATE,
	FIELD_FMT_BYTES,       /* a long hexadecimal number */
	FIELD_FMT_PACKET_TYPE, /* (NAMESPACE,TYPE) */
};

enum field_flags {
	FIELD_MASKABLE = 1 << 0,
	FIELD_WRITABLE = 1 << 1, /* set-field can change it */
	FIELD_PIPELINE = 1 << 2, /* of the switch, not of the packet; ofproto/ alone */
};

enum field_id {
#define FIELD(ID, ...) FIELD_##ID,
#include "lib/field_list.h"
#undef FIELD
	FIELD_N,
};

#define FIELD_MAX_BYTES 56

union field_value {
	uint8_t b[FIELD_MAX_BYTES];
};

struct field {
	const char *name;  /* as in ovs-fields(7) */
	const char *alias; /* a second name that text may use, or NULL */
	uint16_t offset;   /* bytes from the start of struct flow_key */
	uint16_t hi_offset;
	uint8_t n_bytes; /* of the value, both parts together */
	uint8_t shift;
	uint16_t width; /* bits */
	uint8_t block;  /* of @offset */
	uint8_t prereq; /* enum field_prereq */
	uint8_t format; /* enum field_format */
	uint8_t flags;  /* enum field_flags */
};

extern const struct field field_table[FIELD_N];

static inline const struct field *
field_get(enum field_id id)
{
	return &field_table[id];
}

/* The field of that name or alias, or FIELD_N. @len: bytes of @name. */
enum field_id field_by_name(const char *name, size_t len);

/* Reads the field's bits from @key (all blocks present) into @value, and stores them there. */
void field_load(const struct field *f, const struct flow_key *key, union field_value *value);
void field_store(const struct field *f, struct flow_key *key, const union field_value *value);

/* key = (key & ~mask) | (value & mask), within the field. */
void field_store_masked(const struct field *f, struct flow_key *key, const union field_value *value,
	const union field_value *mask);

/* Sets all bits of the field in @mask. */
void field_mask_exact(const struct field *f, struct flow_mask *mask);

/* Whether all (any) of the field's bits are in @mask. */
bool field_is_exact(const struct field *f, const struct flow_mask *mask);
bool field_is_masked(const struct field *f, const struct flow_mask *mask);

/* All bits of the field's width. */
void field_value_ones(const struct field *f, union field_value *value);

/* Whether @value has no bit outside the field's width. */
bool field_value_fits(const struct field *f, const union field_value *value);

/* For fields up to 64 bits. */
uint64_t field_value_u64(const struct field *f, const union field_value *value);
void field_value_from_u64(const struct field *f, uint64_t n, union field_value *value);

/* Whether a packet with @key (all blocks present) meets @prereq; and whether a match of @value
 * under @mask lets only such packets through. */
bool field_prereq_holds(enum field_prereq prereq, const struct flow_key *key);
bool field_prereq_matched(
	enum field_prereq prereq, const struct flow_key *value, const struct flow_mask *mask);

/* Sets in @mask the bits that field_prereq_holds() reads, so that a translation that asked it may
 * widen no further. */
void field_prereq_unwildcard(enum field_prereq prereq, struct flow_mask *mask);

/* Text of one value, "V" or "V/M", as in ovs-fields(7), and printed as ovs-ofctl(8) prints it; "ANY"
 * is no bit at all. Parsing with @mask NULL takes exact values only; else @mask is filled, and bits of
 * the value outside it are cleared. Formatting with @mask NULL: exact. Port names are not resolved
 * here: FIELD_FMT_PORT takes and prints numbers. */
bool field_parse_value(const struct field *f, const char *text, size_t len,
	union field_value *value, union field_value *mask, struct weft_error *err) WEFT_MUST_CHECK;
void field_format_value(const struct field *f, const union field_value *value,
	const union field_value *mask, struct strbuf *out);

/* Text of a datapath match: fields that are in @mask, comma-separated, with protocol shorthands
 * (tcp, udp, arp, ip, ipv6, icmp, icmp6, ...). "any" when @mask is empty. flow_text_parse() takes
 * what flow_text_format() prints, shorthands and aliases; it fills in no prerequisites beyond those
 * of shorthands. A field whose bits stand there already, with another value, is an error. */
void flow_text_format(
	const struct flow_key *value, const struct flow_mask *mask, struct strbuf *out);
bool flow_text_parse(const char *text, size_t len, struct flow_key *value, struct flow_mask *mask,
	struct weft_error *err) WEFT_MUST_CHECK;

/* The parts of it, for texts that hold more than a match. */

/* How ports are written; members may be NULL: as numbers. */
struct flow_text_ports {
	bool (*parse)(void *user, const char *text, size_t len, uint32_t *port);
	void (*format)(void *user, uint32_t port, struct strbuf *out);
	void *user;
	/* Writes what tun_opts and tun_opts_present are called, a comma behind each; NULL: as they are. */
	void (*format_options)(void *user, const struct flow_key *value,
		const struct flow_mask *mask, struct strbuf *out);
};

/* NAME=VALUE, or a word (@text NULL). */
struct flow_text_item {
	const char *name;
	size_t name_len;
	const char *text;
	size_t len;
};

/* Adds one item to a match. 0; -ENOENT: @item's name is no field and no shorthand (@err is left
 * alone); -EINVAL: @err says why. Only fields that are maskable may have masks. @ports may be NULL. */
int flow_text_parse_item(const struct flow_text_item *item, const struct flow_text_ports *ports,
	struct flow_key *value, struct flow_mask *mask, struct weft_error *err) WEFT_MUST_CHECK;
/* As flow_text_format(), nothing for an empty mask: what stands behind the priority in
 * `ovs-ofctl dump-flows`. */
void flow_text_format_match(const struct flow_key *value, const struct flow_mask *mask,
	const struct flow_text_ports *ports, struct strbuf *out);

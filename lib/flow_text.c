/* SPDX-License-Identifier: Apache-2.0
 *
 * Text of matches.
 *
 * How: the formatter keeps a copy of the mask and takes out the bits that it has written, first in
 *      the order and with the names of ovs-ofctl(8), in the end whatever is left, by the field
 *      table: no bit of a match goes unprinted, and what is printed parses to the same match. The
 *      one exception is a match on fragments that has a shorter equal.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/error.h"
#include "lib/field.h"
#include "lib/field_text_internal.h"
#include "lib/strbuf.h"

#define ETH_TYPE_IPV4 0x0800u
#define ETH_TYPE_ARP 0x0806u
#define ETH_TYPE_RARP 0x8035u
#define ETH_TYPE_IPV6 0x86ddu
#define ETH_TYPE_MPLS 0x8847u
#define ETH_TYPE_MPLS_MULTICAST 0x8848u

#define PROTO_NONE (-1)
#define PROTO_ICMP 1
#define PROTO_TCP 6
#define PROTO_UDP 17
#define PROTO_ICMPV6 58
#define PROTO_SCTP 132

#define TCI_PRESENT FLOW_VLAN_PRESENT
#define TCI_VID 0x0fffu
#define TCI_PCP 0xe000u
#define TCI_PCP_SHIFT 13
#define NO_VLAN 0xffffu /* OFP_VLAN_NONE of OpenFlow 1.0 */

#define TOS_DSCP 0xfcu
#define TOS_ECN 0x03u

/* The first with the wanted type and protocol is the one that is printed. */
static const struct shorthand {
	const char *name;
	uint16_t eth_type;
	int16_t proto;
} shorthands[] = {
	{"tcp", ETH_TYPE_IPV4, PROTO_TCP},
	{"udp", ETH_TYPE_IPV4, PROTO_UDP},
	{"icmp", ETH_TYPE_IPV4, PROTO_ICMP},
	{"sctp", ETH_TYPE_IPV4, PROTO_SCTP},
	{"tcp6", ETH_TYPE_IPV6, PROTO_TCP},
	{"udp6", ETH_TYPE_IPV6, PROTO_UDP},
	{"icmp6", ETH_TYPE_IPV6, PROTO_ICMPV6},
	{"sctp6", ETH_TYPE_IPV6, PROTO_SCTP},
	{"ip", ETH_TYPE_IPV4, PROTO_NONE},
	{"ipv6", ETH_TYPE_IPV6, PROTO_NONE},
	{"arp", ETH_TYPE_ARP, PROTO_NONE},
	{"rarp", ETH_TYPE_RARP, PROTO_NONE},
	{"mpls", ETH_TYPE_MPLS, PROTO_NONE},
	{"mplsm", ETH_TYPE_MPLS_MULTICAST, PROTO_NONE},
	{"ip4", ETH_TYPE_IPV4, PROTO_NONE},
	{"ipv4", ETH_TYPE_IPV4, PROTO_NONE},
	{"ip6", ETH_TYPE_IPV6, PROTO_NONE},
	{"icmpv6", ETH_TYPE_IPV6, PROTO_ICMPV6},
};

/* --- parsing ---------------------------------------------------------------------------------------- */

struct parser {
	const struct flow_text_ports *ports;
	bool any_mask;
	struct flow_key *key;
	struct flow_mask *mask;
	struct weft_error *err;
};

/* An item whose name stands for something else than the field of that name. */
typedef bool special_parser(
	const struct parser *p, const struct field *f, struct span name, struct span text);
static special_parser parse_dl_vlan, parse_vlan_pcp, parse_tos, parse_nw_proto, parse_l4,
	parse_mapped, parse_port;

static const struct special {
	const char *name;
	enum field_id field;
	special_parser *parse;
} specials[] = {
	{"dl_vlan", FIELD_VLAN_VID, parse_dl_vlan},
	{"dl_vlan_pcp", FIELD_VLAN_PCP, parse_vlan_pcp},
	{"vlan_pcp", FIELD_VLAN_PCP, parse_vlan_pcp},
	{"nw_tos", FIELD_IP_TOS, parse_tos},
	{"ip_tos", FIELD_IP_TOS, parse_tos},
	{"nw_proto", FIELD_IP_PROTO, parse_nw_proto},
	{"ip_proto", FIELD_IP_PROTO, parse_nw_proto},
	{"tp_src", FIELD_L4_SRC, parse_l4},
	{"tp_dst", FIELD_L4_DST, parse_l4},
	{"tun_src", FIELD_TUN_SRC, parse_mapped},
	{"tun_dst", FIELD_TUN_DST, parse_mapped},
	{"ct_nw_src", FIELD_CT_SRC, parse_mapped},
	{"ct_nw_dst", FIELD_CT_DST, parse_mapped},
	{"in_port", FIELD_IN_PORT, parse_port},
	{"in_phy_port", FIELD_IN_PHY_PORT, parse_port},
	{"actset_output", FIELD_ACTSET_OUTPUT, parse_port},
};

static bool
invalid(const struct parser *p, struct span name, struct span text, const char *why)
{
	struct span_quoted quoted_name, quoted;

	return weft_error_set(p->err, WEFT_ERR_INVALID, EINVAL, "%s=%s: %s",
		span_quote(name, &quoted_name), span_quote(text, &quoted), why);
}

/* Adds a field's bits to the match. */
static bool
add(const struct parser *p, const struct field *f, const union field_value *value,
	const union field_value *mask)
{
	union field_value old, old_mask;

	field_load(f, p->key, &old);
	field_load(f, &p->mask->bits, &old_mask);
	for (unsigned i = 0; i < f->n_bytes; i++) {
		if ((old.b[i] ^ value->b[i]) & old_mask.b[i] & mask->b[i]) {
			return weft_error_set(p->err, WEFT_ERR_INVALID, EINVAL,
				"%s contradicts what stands before it; leave one of them out",
				f->name);
		}
	}
	field_store_masked(f, p->key, value, mask);
	field_store_masked(f, &p->mask->bits, mask, mask);
	return true;
}

static bool
add_number(const struct parser *p, enum field_id id, uint64_t value, uint64_t mask)
{
	const struct field *f = field_get(id);
	union field_value v, m;

	field_value_from_u64(f, value & mask, &v);
	field_value_from_u64(f, mask, &m);
	return add(p, f, &v, &m);
}

static bool
parse_text(const struct parser *p, const struct field *f, struct span name, struct span text,
	union field_value *value, union field_value *mask)
{
	struct field_text how = {.f = f, .name = name, .any_mask = p->any_mask};

	return field_parse_span(&how, text, value, mask, p->err);
}

static bool
add_text(const struct parser *p, const struct field *f, struct span name, struct span text)
{
	union field_value value, mask;

	return parse_text(p, f, name, text, &value, &mask) && add(p, f, &value, &mask);
}

static bool
has_slash(struct span text)
{
	return text.len && memchr(text.text, '/', text.len);
}

/* Ethernet type that the match demands; 0: none yet. */
static uint16_t
known_type(const struct flow_key *key, const struct flow_mask *mask)
{
	return mask->bits.eth_type == UINT16_MAX ? be16_to(key->eth_type) : 0;
}

static bool
is_arp(uint16_t eth_type)
{
	return eth_type == ETH_TYPE_ARP || eth_type == ETH_TYPE_RARP;
}

static bool
is_icmp(uint16_t eth_type, const struct flow_key *key, const struct flow_mask *mask)
{
	return mask->bits.ip_proto == UINT8_MAX &&
	       ((eth_type == ETH_TYPE_IPV4 && key->ip_proto == PROTO_ICMP) ||
		       (eth_type == ETH_TYPE_IPV6 && key->ip_proto == PROTO_ICMPV6));
}

static bool
parse_dl_vlan(const struct parser *p, const struct field *f, struct span name, struct span text)
{
	uint64_t n;

	if (span_is(text, "ANY") || span_is(text, "*")) {
		return true;
	}
	if (!span_number(text, &n) || (n > TCI_VID && n != NO_VLAN)) {
		return invalid(
			p, name, text, "not a VLAN; write 0 to 4095, or 0xffff for untagged");
	}
	return add_number(
		p, FIELD_VLAN_TCI, n == NO_VLAN ? 0 : TCI_PRESENT | n, TCI_PRESENT | TCI_VID);
}

static bool
parse_vlan_pcp(const struct parser *p, const struct field *f, struct span name, struct span text)
{
	union field_value value, mask;

	if (!parse_text(p, f, name, text, &value, &mask)) {
		return false;
	}
	/* Only a tag has a priority. */
	return !mask.b[1] || (add(p, f, &value, &mask) &&
				     add_number(p, FIELD_VLAN_TCI, TCI_PRESENT, TCI_PRESENT));
}

static bool
parse_tos(const struct parser *p, const struct field *f, struct span name, struct span text)
{
	union field_value value, mask;

	if (!parse_text(p, f, name, text, &value, &mask)) {
		return false;
	}
	if (!has_slash(text)) {
		/* The DSCP bits alone: nw_ecn is a field of its own. */
		mask.b[0] &= TOS_DSCP;
		value.b[0] &= TOS_DSCP;
	}
	return add(p, f, &value, &mask);
}

static bool
parse_nw_proto(const struct parser *p, const struct field *f, struct span name, struct span text)
{
	return add_text(
		p, is_arp(known_type(p->key, p->mask)) ? field_get(FIELD_ARP_OP) : f, name, text);
}

static bool
parse_l4(const struct parser *p, const struct field *f, struct span name, struct span text)
{
	uint16_t eth_type = known_type(p->key, p->mask);

	if (!has_slash(text) && is_icmp(eth_type, p->key, p->mask)) {
		f = field_get(f == field_get(FIELD_L4_SRC) ? FIELD_ICMPV4_TYPE : FIELD_ICMPV4_CODE);
	}
	return add_text(p, f, name, text);
}

/* An IPv4 address in a place where IPv4 is v6-mapped. */
static bool
parse_mapped(const struct parser *p, const struct field *f, struct span name, struct span text)
{
	union field_value v4, v4_mask, value = {0}, mask = {0};

	if (!parse_text(p, field_get(FIELD_IPV4_SRC), name, text, &v4, &v4_mask)) {
		return false;
	}
	if (span_is(text, "ANY") || span_is(text, "*")) {
		return true;
	}
	value.b[10] = value.b[11] = 0xff;
	memset(mask.b, 0xff, 12);
	memcpy(value.b + 12, v4.b, 4);
	memcpy(mask.b + 12, v4_mask.b, 4);
	return add(p, f, &value, &mask);
}

static bool
parse_port(const struct parser *p, const struct field *f, struct span name, struct span text)
{
	uint32_t port;

	if (p->ports && p->ports->parse && !has_slash(text) && !span_is(text, "ANY") &&
		!span_is(text, "*")) {
		if (!p->ports->parse(p->ports->user, text.text, text.len, &port)) {
			return invalid(p, name, text,
				"no port of that name; write a port's number or name, or LOCAL");
		}
		return add_number(p, (enum field_id)(f - field_table), port, UINT32_MAX);
	}
	return add_text(p, f, name, text);
}

static bool
parse_shorthand(const struct parser *p, const struct shorthand *s)
{
	return add_number(p, FIELD_ETH_TYPE, s->eth_type, UINT16_MAX) &&
	       (s->proto == PROTO_NONE ||
		       add_number(p, FIELD_IP_PROTO, (unsigned)s->proto, UINT8_MAX));
}

static int
parse_word(const struct parser *p, struct span name)
{
	/* What is no Ethernet frame must be asked for by its packet type. */
	if (span_is(name, "eth")) {
		return 0;
	}
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(shorthands); i++) {
		if (span_is(name, shorthands[i].name)) {
			return parse_shorthand(p, &shorthands[i]) ? 0 : -EINVAL;
		}
	}
	if (field_by_name(name.text, name.len) != FIELD_N || span_is(name, "dl_vlan")) {
		struct span_quoted quoted;

		weft_error_set(p->err, WEFT_ERR_INVALID, EINVAL, "%s has no value; write %s=VALUE",
			span_quote(name, &quoted), quoted.text);
		return -EINVAL;
	}
	return -ENOENT;
}

static int
parse_item(const struct parser *p, const struct flow_text_item *item)
{
	struct span name = {item->name, item->name_len}, text = {item->text, item->len};
	enum field_id id;

	if (!item->text) {
		return parse_word(p, name);
	}
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(specials); i++) {
		if (span_is(name, specials[i].name)) {
			const struct field *f = field_get(specials[i].field);

			return specials[i].parse(p, f, name, text) ? 0 : -EINVAL;
		}
	}
	id = field_by_name(name.text, name.len);
	if (id == FIELD_N) {
		return -ENOENT;
	}
	return add_text(p, field_get(id), name, text) ? 0 : -EINVAL;
}

int
flow_text_parse_item(const struct flow_text_item *item, const struct flow_text_ports *ports,
	struct flow_key *value, struct flow_mask *mask, struct weft_error *err)
{
	struct parser p = {.ports = ports, .key = value, .mask = mask, .err = err};

	return parse_item(&p, item);
}

static bool
is_separator(char c)
{
	return c == ',' || isspace((unsigned char)c);
}

/* Cuts the next item off @text; commas in parentheses do not end one. */
static bool
next_item(struct span *text, struct flow_text_item *item)
{
	struct span whole, value;
	size_t n = 0, depth = 0;

	while (text->len && is_separator(text->text[0])) {
		text->text++;
		text->len--;
	}
	while (n < text->len && (depth || !is_separator(text->text[n]))) {
		depth += text->text[n] == '(';
		depth -= depth && text->text[n] == ')';
		n++;
	}
	whole = span_before((struct span){text->text, n}, '=', &value);
	*item = (struct flow_text_item){whole.text, whole.len, value.text, value.len};
	text->text += n;
	text->len -= n;
	return n;
}

bool
flow_text_parse(const char *text, size_t len, struct flow_key *value, struct flow_mask *mask,
	struct weft_error *err)
{
	struct parser p = {.any_mask = true, .key = value, .mask = mask, .err = err};
	struct span rest = {text, len};
	struct flow_text_item item;
	struct span_quoted quoted;
	int rc = 0;

	memset(value, 0, sizeof *value);
	memset(mask, 0, sizeof *mask);
	if (!len || span_is(rest, "any")) {
		return true;
	}
	while (!rc && next_item(&rest, &item)) {
		rc = parse_item(&p, &item);
	}
	if (rc == -ENOENT) {
		weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"%s is no field of a match; ovs-fields(7) lists them",
			span_quote((struct span){item.name, item.name_len}, &quoted));
	}
	if (rc && err) {
		err->offset = (size_t)(item.name - text);
	}
	return !rc;
}

/* --- formatting ------------------------------------------------------------------------------------- */

struct writer {
	const struct flow_key *key;
	struct flow_mask left; /* bits that are still to be written */
	const struct flow_text_ports *ports;
	struct strbuf *out;
};

/* Takes the field's bits out of what is left. False: there are none. */
static bool
take(struct writer *w, const struct field *f, union field_value *value, union field_value *mask)
{
	union field_value none = {0};

	field_load(f, &w->left.bits, mask);
	if (!memcmp(mask, &none, sizeof none)) {
		return false;
	}
	field_load(f, w->key, value);
	for (unsigned i = 0; i < f->n_bytes; i++) {
		value->b[i] &= mask->b[i];
	}
	field_store_masked(f, &w->left.bits, &none, mask);
	return true;
}

static void
write_as(struct writer *w, enum field_id id, const char *name)
{
	const struct field *f = field_get(id);
	union field_value value, mask, ones;

	if (!take(w, f, &value, &mask)) {
		return;
	}
	strbuf_printf(w->out, "%s=", name);
	field_value_ones(f, &ones);
	if (f->format == FIELD_FMT_PORT && w->ports && w->ports->format &&
		!memcmp(&mask, &ones, sizeof ones)) {
		w->ports->format(w->ports->user, (uint32_t)field_value_u64(f, &value), w->out);
	} else {
		field_format_value(f, &value, &mask, w->out);
	}
	strbuf_put_char(w->out, ',');
}

static void
write_field(struct writer *w, enum field_id id)
{
	write_as(w, id, field_get(id)->name);
}

static void
write_fields(struct writer *w, const enum field_id *ids, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		write_field(w, ids[i]);
	}
}

/* Hexadecimal digits behind 0x; ovs-ofctl pads some fields. */
static void
write_hex(struct writer *w, enum field_id id, const char *name, int digits)
{
	const struct field *f = field_get(id);
	union field_value value, mask, ones;

	if (!take(w, f, &value, &mask)) {
		return;
	}
	strbuf_printf(w->out, "%s=0x%0*x", name, digits, (unsigned)field_value_u64(f, &value));
	field_value_ones(f, &ones);
	if (memcmp(&mask, &ones, sizeof ones)) {
		strbuf_printf(w->out, "/0x%0*x", digits, (unsigned)field_value_u64(f, &mask));
	}
	strbuf_put_char(w->out, ',');
}

/* Decimal when exact, hexadecimal under a mask. */
static void
write_l4(struct writer *w, enum field_id id, const char *name)
{
	const struct field *f = field_get(id);

	if (field_is_exact(f, &w->left)) {
		write_as(w, id, name);
	} else {
		write_hex(w, id, name, 1);
	}
}

/* An address that may be IPv4's. */
static void
write_mapped(struct writer *w, enum field_id id, const char *v4_name)
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
	const struct field *f = field_get(id), *v4 = field_get(FIELD_IPV4_SRC);
	union field_value value, mask, v4_value = {0}, v4_mask = {0}, ones;

	field_value_ones(f, &ones);
	field_load(f, w->key, &value);
	field_load(f, &w->left.bits, &mask);
	if (memcmp(value.b, prefix, sizeof prefix) || memcmp(mask.b, ones.b, sizeof prefix)) {
		write_field(w, id);
		return;
	}
	take(w, f, &value, &mask);
	memcpy(v4_value.b, value.b + 12, 4);
	memcpy(v4_mask.b, mask.b + 12, 4);
	strbuf_printf(w->out, "%s=", v4_name);
	if (get_be32(v4_mask.b)) {
		field_format_value(v4, &v4_value, &v4_mask, w->out);
	} else {
		strbuf_put(w->out, "0.0.0.0/0");
	}
	strbuf_put_char(w->out, ',');
}

/* The word for the Ethernet type and protocol, if there is one. */
static void
write_shorthand(struct writer *w, uint16_t eth_type)
{
	const struct flow_key *bits = &w->left.bits;
	int proto = bits->ip_proto == UINT8_MAX ? w->key->ip_proto : PROTO_NONE;

	for (size_t i = 0; eth_type && i < WEFT_ARRAY_SIZE(shorthands); i++) {
		const struct shorthand *s = &shorthands[i];

		if (s->eth_type == eth_type && (s->proto == PROTO_NONE || s->proto == proto)) {
			strbuf_printf(w->out, "%s,", s->name);
			w->left.bits.eth_type = 0;
			if (s->proto != PROTO_NONE) {
				w->left.bits.ip_proto = 0;
			}
			return;
		}
	}
}

static void
write_vlan(struct writer *w)
{
	unsigned tci = be16_to(w->key->vlan_tci), mask = be16_to(w->left.bits.vlan_tci);
	unsigned vid = mask & TCI_VID, pcp = mask & TCI_PCP;

	if (mask & tci & TCI_PRESENT && (!vid || vid == TCI_VID) && (!pcp || pcp == TCI_PCP) &&
		(vid || pcp)) {
		if (vid) {
			strbuf_printf(w->out, "dl_vlan=%u,", tci & TCI_VID);
		}
		if (pcp) {
			strbuf_printf(w->out, "dl_vlan_pcp=%u,", tci >> TCI_PCP_SHIFT);
		}
		w->left.bits.vlan_tci = 0;
	} else {
		write_hex(w, FIELD_VLAN_TCI, "vlan_tci", 4);
	}
	write_field(w, FIELD_VLAN_TPID);
	write_hex(w, FIELD_INNER_TCI, "inner_tci", 4);
	write_field(w, FIELD_INNER_TPID);
}

/* Part of the TOS byte. */
static void
write_tos(struct writer *w, unsigned part, const char *name)
{
	if ((w->left.bits.ip_tos & part) == part) {
		strbuf_printf(w->out, "%s=%u,", name, w->key->ip_tos & part);
		w->left.bits.ip_tos &= (uint8_t)~part;
	}
}

static void
write_network(struct writer *w, uint16_t eth_type)
{
	bool arp = is_arp(eth_type);

	write_as(w, FIELD_IPV4_SRC, arp ? "arp_spa" : "nw_src");
	write_as(w, FIELD_IPV4_DST, arp ? "arp_tpa" : "nw_dst");
	write_field(w, FIELD_IPV6_SRC);
	write_field(w, FIELD_IPV6_DST);
	write_hex(w, FIELD_IPV6_FLABEL, "ipv6_label", 5);
	write_field(w, FIELD_IPV6_EXTHDR);
	if (arp) {
		write_field(w, FIELD_ARP_OP);
		write_field(w, FIELD_ARP_SHA);
		write_field(w, FIELD_ARP_THA);
	} else {
		write_field(w, FIELD_IP_PROTO);
	}
	write_tos(w, TOS_DSCP, "nw_tos");
	write_tos(w, TOS_ECN, "nw_ecn");
	/* Masks that neither of them has; with the slash the text is of the whole byte. */
	write_field(w, FIELD_IP_TOS);
	write_field(w, FIELD_IP_TTL);
	write_field(w, FIELD_MPLS_LABEL);
	write_field(w, FIELD_MPLS_TC);
	write_field(w, FIELD_MPLS_TTL);
	write_field(w, FIELD_MPLS_BOS);
	write_field(w, FIELD_MPLS_LSE1);
	write_field(w, FIELD_MPLS_LSE2);
	write_as(w, FIELD_IP_FRAG, "nw_frag");
}

static void
write_transport(struct writer *w, uint16_t eth_type, const struct flow_mask *mask)
{
	if (is_icmp(eth_type, w->key, mask)) {
		if (field_is_exact(field_get(FIELD_ICMPV4_TYPE), &w->left)) {
			write_field(w, FIELD_ICMPV4_TYPE);
		}
		if (field_is_exact(field_get(FIELD_ICMPV4_CODE), &w->left)) {
			write_field(w, FIELD_ICMPV4_CODE);
		}
		/* What is left has a mask, so that it is not taken for type and code again. */
	}
	write_l4(w, FIELD_L4_SRC, "tp_src");
	write_l4(w, FIELD_L4_DST, "tp_dst");
	write_field(w, FIELD_ND_TARGET);
	if (!is_arp(eth_type)) {
		write_field(w, FIELD_ND_SLL);
		write_field(w, FIELD_ND_TLL);
	}
	if (field_prereq_matched(FIELD_PRE_ND, w->key, mask)) {
		write_field(w, FIELD_ND_RESERVED);
		write_field(w, FIELD_ND_OPTIONS_TYPE);
	}
	write_field(w, FIELD_TCP_FLAGS);
}

void
flow_text_format_match(const struct flow_key *value, const struct flow_mask *mask,
	const struct flow_text_ports *ports, struct strbuf *out)
{
	static const enum field_id first[] = {FIELD_PKT_MARK, FIELD_RECIRC_ID, FIELD_HASH,
		FIELD_CONJ_ID, FIELD_SKB_PRIORITY, FIELD_ACTSET_OUTPUT, FIELD_CT_STATE,
		FIELD_CT_ZONE, FIELD_CT_MARK, FIELD_CT_LABEL};
	static const enum field_id tunnel[] = {FIELD_TUN_GBP_ID, FIELD_TUN_GBP_FLAGS, FIELD_TUN_TOS,
		FIELD_TUN_TTL, FIELD_TUN_ERSPAN_VER, FIELD_TUN_ERSPAN_IDX, FIELD_TUN_ERSPAN_DIR,
		FIELD_TUN_ERSPAN_HWID, FIELD_TUN_FLAGS};
	struct writer w = {value, *mask, ports, out};
	uint16_t eth_type = known_type(value, mask);
	size_t start = out->len;

	write_fields(&w, first, WEFT_ARRAY_SIZE(first));
	write_mapped(&w, FIELD_CT_SRC, "ct_nw_src");
	write_mapped(&w, FIELD_CT_DST, "ct_nw_dst");
	write_field(&w, FIELD_CT_PROTO);
	write_l4(&w, FIELD_CT_TP_SRC, "ct_tp_src");
	write_l4(&w, FIELD_CT_TP_DST, "ct_tp_dst");
	write_field(&w, FIELD_PACKET_TYPE);
	write_shorthand(&w, eth_type);
	for (unsigned id = FIELD_REG0; id <= FIELD_REG15; id++) {
		write_field(&w, (enum field_id)id);
	}
	write_field(&w, FIELD_TUN_ID);
	write_mapped(&w, FIELD_TUN_SRC, "tun_src");
	write_mapped(&w, FIELD_TUN_DST, "tun_dst");
	write_fields(&w, tunnel, WEFT_ARRAY_SIZE(tunnel));
	if (ports && ports->format_options) {
		ports->format_options(ports->user, value, mask, out);
		memset(w.left.bits.tun_opts, 0, sizeof w.left.bits.tun_opts);
		w.left.bits.tun_opts_present = be64_from(0);
	}
	write_field(&w, FIELD_METADATA);
	write_field(&w, FIELD_IN_PORT);
	write_vlan(&w);
	write_as(&w, FIELD_ETH_SRC, "dl_src");
	write_as(&w, FIELD_ETH_DST, "dl_dst");
	write_hex(&w, FIELD_ETH_TYPE, "dl_type", 4);
	write_network(&w, eth_type);
	write_transport(&w, eth_type, mask);
	for (unsigned id = 0; id < FIELD_N; id++) {
		write_field(&w, (enum field_id)id);
	}
	if (out->len > start) {
		strbuf_truncate(out, out->len - 1);
	}
}

void
flow_text_format(const struct flow_key *value, const struct flow_mask *mask, struct strbuf *out)
{
	size_t start = out->len;

	flow_text_format_match(value, mask, NULL, out);
	if (out->len == start) {
		strbuf_put(out, "any");
	}
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Text of field values.
 *
 * How: a parser and a formatter for each enum field_format, on spans that need not end with NUL.
 *      What is printed is what ovs-ofctl(8) prints; what is taken is what ovs-fields(7) describes,
 *      but for numbers with leading zeroes: ovs-ofctl reads them as octal, most people do not.
 */
#include "lib/eth_addr.h"
#include "lib/field.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "lib/error.h"
#include "lib/field_text_internal.h"
#include "lib/strbuf.h"

struct flag_name {
	uint16_t bit;
	const char *name;
};

/* RFC 793, 3168, 3540; the bits that have no name are written as ovs-ofctl does. */
static const struct flag_name tcp_flag_names[] = {
	{0x001, "fin"},
	{0x002, "syn"},
	{0x004, "rst"},
	{0x008, "psh"},
	{0x010, "ack"},
	{0x020, "urg"},
	{0x040, "ece"},
	{0x080, "cwr"},
	{0x100, "ns"},
	{0x200, "[200]"},
	{0x400, "[400]"},
	{0x800, "[800]"},
	{0, NULL},
};
static const struct flag_name ct_state_names[] = {
	{0x01, "new"},
	{0x02, "est"},
	{0x04, "rel"},
	{0x08, "rpl"},
	{0x10, "inv"},
	{0x20, "trk"},
	{0x40, "snat"},
	{0x80, "dnat"},
	{0, NULL},
};
static const struct flag_name tun_flag_names[] = {
	{FLOW_TUN_OAM, "oam"},
	{FLOW_TUN_CSUM, "csum"},
	{FLOW_TUN_DF, "df"},
	{FLOW_TUN_KEY, "key"},
	{FLOW_TUN_PRESENT, "present"},
	{0, NULL},
};

/* The first row that fits is the word. */
static const struct {
	const char *name;
	uint8_t value, mask;
} frag_words[] = {
	{"no", 0, FLOW_FRAG_MASK},
	{"first", FLOW_FRAG_ANY, FLOW_FRAG_MASK},
	{"later", FLOW_FRAG_ANY | FLOW_FRAG_LATER, FLOW_FRAG_MASK},
	{"no", 0, FLOW_FRAG_ANY},
	{"yes", FLOW_FRAG_ANY, FLOW_FRAG_ANY},
	{"not_later", 0, FLOW_FRAG_LATER},
	{"later", FLOW_FRAG_LATER, FLOW_FRAG_LATER},
};

static bool parse_one(const struct field *f, struct span text, union field_value *value);
static bool parse_prefix(const struct field *f, struct span text, union field_value *mask);
static bool parse_flags(
	const struct field *f, struct span text, union field_value *value, union field_value *mask);
static bool parse_frag(struct span text, union field_value *value, union field_value *mask);
static void format_number(
	const struct field *f, const union field_value *value, bool hex, struct strbuf *out);
static void format_one(const struct field *f, const union field_value *value, struct strbuf *out);
static bool format_prefix(const struct field *f, const union field_value *mask, struct strbuf *out);
static bool format_flags(const struct field *f, const union field_value *value,
	const union field_value *mask, struct strbuf *out);
static bool format_frag(
	const union field_value *value, const union field_value *mask, struct strbuf *out);

/* --- spans ------------------------------------------------------------------------------------------ */

bool
span_is(struct span s, const char *word)
{
	return strlen(word) == s.len && !strncasecmp(s.text, word, s.len);
}

struct span
span_before(struct span s, char c, struct span *rest)
{
	const char *at = s.len ? memchr(s.text, c, s.len) : NULL;

	if (!at) {
		*rest = (struct span){NULL, 0};
		return s;
	}
	*rest = (struct span){at + 1, s.len - (size_t)(at - s.text) - 1};
	return (struct span){s.text, (size_t)(at - s.text)};
}

bool
span_number(struct span s, uint64_t *n)
{
	unsigned base = 10;
	uint64_t v = 0;

	if (s.len > 2 && s.text[0] == '0' && (s.text[1] | 0x20) == 'x') {
		base = 16;
		s.text += 2;
		s.len -= 2;
	} else if (s.len > 1 && s.text[0] == '0') {
		return false; /* octal to some, decimal to others */
	}
	if (!s.len) {
		return false;
	}
	for (size_t i = 0; i < s.len; i++) {
		int digit = span_hex_digit(s.text[i]);

		if (digit < 0 || (unsigned)digit >= base || __builtin_mul_overflow(v, base, &v) ||
			__builtin_add_overflow(v, (unsigned)digit, &v)) {
			return false;
		}
	}
	*n = v;
	return true;
}

int
span_hex_digit(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

const char *
span_quote(struct span s, struct span_quoted *buf)
{
	size_t n = WEFT_MIN(s.len, sizeof buf->text - 4);

	for (size_t i = 0; i < n; i++) {
		buf->text[i] = isprint((unsigned char)s.text[i]) ? s.text[i] : '?';
	}
	strcpy(buf->text + n, n < s.len ? "..." : "");
	return buf->text;
}

/* --- parsing ---------------------------------------------------------------------------------------- */

/* What to write instead. */
static const char *
remedy(const struct field *f)
{
	switch ((enum field_format)f->format) {
	case FIELD_FMT_ETH:
		return "write an Ethernet address as 00:11:22:aa:bb:cc";
	case FIELD_FMT_IPV4:
		return "write an IPv4 address as 10.0.0.1";
	case FIELD_FMT_IPV6:
		return "write an IPv6 address as fe80::1";
	case FIELD_FMT_FRAG:
		return "write no, yes, first, later or not_later";
	case FIELD_FMT_TCP_FLAGS:
		return "write flags as +syn-ack, syn|ack or 0x012";
	case FIELD_FMT_TUN_FLAGS:
		return "write flags as +oam-csum, oam|df or 0x1";
	case FIELD_FMT_CT_STATE:
		return "write states as +trk+new-inv, new|trk or 0x21";
	case FIELD_FMT_PACKET_TYPE:
		return "write a packet type as (NAMESPACE,TYPE), such as (1,0x800)";
	default:
		return "write a decimal number, or 0x and a hexadecimal one";
	}
}

static bool
refuse(const struct field_text *how, struct span text, struct weft_error *err)
{
	struct span_quoted name, quoted;

	return weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "%s=%s: not a value of %u bits; %s",
		span_quote(how->name, &name), span_quote(text, &quoted), how->f->width,
		remedy(how->f));
}

static bool
parse_mask(const struct field_text *how, struct span text, union field_value *mask,
	struct weft_error *err)
{
	const struct field *f = how->f;
	struct span_quoted name, quoted;

	if (!(f->flags & FIELD_MASKABLE) && !how->any_mask) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"%s takes no mask; leave out what follows the slash",
			span_quote(how->name, &name));
	}
	if (!parse_prefix(f, text, mask) &&
		!(parse_one(f, text, mask) && field_value_fits(f, mask))) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"%s: /%s is not a mask for it; write it like a value%s",
			span_quote(how->name, &name), span_quote(text, &quoted),
			f->format == FIELD_FMT_IPV4 || f->format == FIELD_FMT_IPV6
				? ", or as the number of leading bits"
				: "");
	}
	return true;
}

bool
field_parse_span(const struct field_text *how, struct span text, union field_value *value,
	union field_value *mask, struct weft_error *err)
{
	struct span mask_text, value_text = span_before(text, '/', &mask_text);
	const struct field *f = how->f;
	union field_value unused, ones;
	bool exact_only = !mask;

	mask = mask ? mask : &unused;
	memset(value, 0, sizeof *value);
	memset(mask, 0, sizeof *mask);
	field_value_ones(f, &ones);
	if (span_is(text, "ANY") || span_is(text, "*")) {
		return !exact_only || refuse(how, text, err);
	}
	*mask = ones;
	if (!mask_text.text &&
		(parse_flags(f, text, value, mask) ||
			(f->format == FIELD_FMT_FRAG && parse_frag(text, value, mask)))) {
		return !exact_only || !memcmp(mask, &ones, sizeof ones) || refuse(how, text, err);
	}
	if (!parse_one(f, value_text, value) || !field_value_fits(f, value) ||
		(mask_text.text && exact_only)) {
		return refuse(how, text, err);
	}
	if (!mask_text.text) {
		return true;
	}
	memset(mask, 0, sizeof *mask);
	if (!parse_mask(how, mask_text, mask, err)) {
		return false;
	}
	for (unsigned i = 0; i < f->n_bytes; i++) {
		value->b[i] &= mask->b[i];
	}
	return true;
}

bool
field_parse_value(const struct field *f, const char *text, size_t len, union field_value *value,
	union field_value *mask, struct weft_error *err)
{
	struct field_text how = {.f = f, .name = {f->name, strlen(f->name)}};

	return field_parse_span(&how, (struct span){text, len}, value, mask, err);
}

static bool
parse_integer(const struct field *f, struct span text, union field_value *value)
{
	uint64_t n;

	if (!span_number(text, &n) || (f->n_bytes < 8 && n >> 8 * f->n_bytes)) {
		return false;
	}
	field_value_from_u64(f, n, value);
	return true;
}

static bool
parse_eth(struct span text, union field_value *value)
{
	for (unsigned i = 0; i < 6; i++) {
		struct span rest, byte = span_before(text, ':', &rest);
		int high, low;

		if (!byte.len || byte.len > 2 || !rest.text != (i == 5)) {
			return false;
		}
		high = byte.len == 2 ? span_hex_digit(byte.text[0]) : 0;
		low = span_hex_digit(byte.text[byte.len - 1]);
		if (high < 0 || low < 0) {
			return false;
		}
		value->b[i] = (uint8_t)(high << 4 | low);
		text = rest;
	}
	return true;
}

static bool
parse_address(int family, struct span text, union field_value *value)
{
	char copy[INET6_ADDRSTRLEN];

	if (text.len >= sizeof copy || memchr(text.text, '\0', text.len)) {
		return false;
	}
	memcpy(copy, text.text, text.len);
	copy[text.len] = '\0';
	return inet_pton(family, copy, value->b) == 1;
}

/* Numbers of any width: hexadecimal, or decimal as far as 64 bits. */
static bool
parse_bytes(const struct field *f, struct span text, union field_value *value)
{
	unsigned nibble = 0;
	uint64_t n;

	if (span_number(text, &n)) {
		if (f->n_bytes < 8 && n >> 8 * f->n_bytes) {
			return false;
		}
		field_value_from_u64(f, n, value);
		return true;
	}
	if (text.len < 3 || text.text[0] != '0' || (text.text[1] | 0x20) != 'x') {
		return false;
	}
	memset(value, 0, sizeof *value);
	for (size_t i = text.len; i-- > 2; nibble++) {
		int digit = span_hex_digit(text.text[i]);

		if (digit < 0 || (digit && nibble >= 2u * f->n_bytes)) {
			return false;
		}
		if (nibble < 2u * f->n_bytes) {
			value->b[f->n_bytes - 1 - nibble / 2] |= (uint8_t)(digit << nibble % 2 * 4);
		}
	}
	return true;
}

/* "(NAMESPACE,TYPE)" */
static bool
parse_packet_type(const struct field *f, struct span text, union field_value *value)
{
	struct span type, space;
	uint64_t high, low;

	if (text.len < 2 || text.text[0] != '(' || text.text[text.len - 1] != ')') {
		return parse_integer(f, text, value);
	}
	space = span_before((struct span){text.text + 1, text.len - 2}, ',', &type);
	if (!type.text || !span_number(space, &high) || !span_number(type, &low) ||
		high > UINT16_MAX || low > UINT16_MAX) {
		return false;
	}
	field_value_from_u64(f, high << 16 | low, value);
	return true;
}

/* A value without mask. */
static bool
parse_one(const struct field *f, struct span text, union field_value *value)
{
	if (!text.len) {
		return false;
	}
	switch ((enum field_format)f->format) {
	case FIELD_FMT_ETH:
		return parse_eth(text, value);
	case FIELD_FMT_IPV4:
		return parse_address(AF_INET, text, value);
	case FIELD_FMT_IPV6:
		return parse_address(AF_INET6, text, value);
	case FIELD_FMT_BYTES:
		return parse_bytes(f, text, value);
	case FIELD_FMT_PACKET_TYPE:
		return parse_packet_type(f, text, value);
	default:
		return parse_integer(f, text, value);
	}
}

/* An address' mask as a number of leading bits. */
static bool
parse_prefix(const struct field *f, struct span text, union field_value *mask)
{
	uint64_t bits;

	if ((f->format != FIELD_FMT_IPV4 && f->format != FIELD_FMT_IPV6) ||
		!span_number(text, &bits) || bits > f->width) {
		return false;
	}
	for (unsigned i = 0; i < bits; i++) {
		mask->b[i / 8] |= (uint8_t)(0x80 >> i % 8);
	}
	return true;
}

static const struct flag_name *
flag_names(const struct field *f)
{
	switch ((enum field_format)f->format) {
	case FIELD_FMT_TCP_FLAGS:
		return tcp_flag_names;
	case FIELD_FMT_TUN_FLAGS:
		return tun_flag_names;
	case FIELD_FMT_CT_STATE:
		return ct_state_names;
	default:
		return NULL;
	}
}

static uint16_t
flag_by_name(const struct flag_name *names, struct span word)
{
	while (names->name && !span_is(word, names->name)) {
		names++;
	}
	return names->bit;
}

static bool
ends_flag(char c, bool is_signed)
{
	return is_signed ? c == '+' || c == '-' : c == '|';
}

/* "+a-b" (those bits) or "a|b" (all bits). */
static bool
parse_flags(
	const struct field *f, struct span text, union field_value *value, union field_value *mask)
{
	const struct flag_name *names = flag_names(f);
	bool is_signed = text.len && (text.text[0] == '+' || text.text[0] == '-');
	uint16_t set = 0, given = 0;
	size_t at = 0;

	if (!names || !text.len || isdigit((unsigned char)text.text[0])) {
		return false;
	}
	while (at < text.len) {
		bool want = true;
		size_t from;
		uint16_t bit;

		if (is_signed) {
			want = text.text[at] == '+';
			at++;
		}
		from = at;
		while (at < text.len && !ends_flag(text.text[at], is_signed)) {
			at++;
		}
		bit = flag_by_name(names, (struct span){text.text + from, at - from});
		if (!bit || given & bit) {
			return false;
		}
		given |= bit;
		set |= want ? bit : 0;
		if (!is_signed && at < text.len && ++at == text.len) {
			return false; /* ends with a bar */
		}
	}
	field_value_from_u64(f, set, value);
	if (is_signed) {
		field_value_from_u64(f, given, mask);
	}
	return true;
}

static bool
parse_frag(struct span text, union field_value *value, union field_value *mask)
{
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(frag_words); i++) {
		if (span_is(text, frag_words[i].name)) {
			value->b[0] = frag_words[i].value;
			mask->b[0] = frag_words[i].mask;
			return true;
		}
	}
	return false;
}

/* --- formatting ------------------------------------------------------------------------------------- */

void
field_format_value(const struct field *f, const union field_value *value,
	const union field_value *mask, struct strbuf *out)
{
	union field_value ones, none = {0};

	field_value_ones(f, &ones);
	mask = mask ? mask : &ones;
	if (!memcmp(mask, &none, f->n_bytes)) {
		strbuf_put(out, "ANY");
		return;
	}
	if (format_flags(f, value, mask, out) ||
		(f->format == FIELD_FMT_FRAG && format_frag(value, mask, out))) {
		return;
	}
	format_one(f, value, out);
	if (memcmp(mask, &ones, f->n_bytes)) {
		strbuf_put_char(out, '/');
		if (!format_prefix(f, mask, out)) {
			if (f->format == FIELD_FMT_DEC) {
				format_number(f, mask, true, out);
			} else {
				format_one(f, mask, out);
			}
		}
	}
}

static void
format_number(const struct field *f, const union field_value *value, bool hex, struct strbuf *out)
{
	uint64_t n = field_value_u64(f, value);

	strbuf_printf(out, hex ? "%#" PRIx64 : "%" PRIu64, n);
}

static void
format_bytes(const struct field *f, const union field_value *value, struct strbuf *out)
{
	unsigned i = 0;

	while (i < f->n_bytes && !value->b[i]) {
		i++;
	}
	if (i == f->n_bytes) {
		strbuf_put_char(out, '0');
		return;
	}
	strbuf_printf(out, "0x%x", value->b[i]);
	while (++i < f->n_bytes) {
		strbuf_printf(out, "%02x", value->b[i]);
	}
}

static void
format_one(const struct field *f, const union field_value *value, struct strbuf *out)
{
	const uint8_t *b = value->b;
	char address[INET6_ADDRSTRLEN];

	switch ((enum field_format)f->format) {
	case FIELD_FMT_ETH:
		strbuf_put(out, eth_addr_text(b, address));
		break;
	case FIELD_FMT_IPV4:
		strbuf_put(out, inet_ntop(AF_INET, b, address, sizeof address));
		break;
	case FIELD_FMT_IPV6:
		strbuf_put(out, inet_ntop(AF_INET6, b, address, sizeof address));
		break;
	case FIELD_FMT_BYTES:
		format_bytes(f, value, out);
		break;
	case FIELD_FMT_PACKET_TYPE:
		strbuf_printf(out, "(%u,%#x)", get_be16(b), get_be16(b + 2));
		break;
	default:
		format_number(
			f, value, f->format != FIELD_FMT_DEC && f->format != FIELD_FMT_PORT, out);
		break;
	}
}

/* The mask of an address as a number of bits, if it is one. */
static bool
format_prefix(const struct field *f, const union field_value *mask, struct strbuf *out)
{
	unsigned bits = 0;

	if (f->format != FIELD_FMT_IPV4 && f->format != FIELD_FMT_IPV6) {
		return false;
	}
	while (bits < f->width && mask->b[bits / 8] & 0x80 >> bits % 8) {
		bits++;
	}
	for (unsigned i = bits; i < f->width; i++) {
		if (mask->b[i / 8] & 0x80 >> i % 8) {
			return false;
		}
	}
	strbuf_printf(out, "%u", bits);
	return true;
}

/* False when a bit has no name: then the value is written as a number. */
static bool
format_flags(const struct field *f, const union field_value *value, const union field_value *mask,
	struct strbuf *out)
{
	const struct flag_name *names = flag_names(f);
	uint64_t bits, given, known = 0;
	union field_value ones;
	bool exact, first = true;

	if (!names) {
		return false;
	}
	field_value_ones(f, &ones);
	bits = field_value_u64(f, value);
	given = field_value_u64(f, mask);
	exact = given == field_value_u64(f, &ones);
	for (const struct flag_name *n = names; n->name; n++) {
		known |= n->bit;
	}
	if ((exact ? bits : given) & ~known) {
		return false;
	}
	for (; names->name; names++) {
		if (!exact && given & names->bit) {
			strbuf_printf(out, "%c%s", bits & names->bit ? '+' : '-', names->name);
		} else if (exact && bits & names->bit) {
			strbuf_printf(out, "%s%s", first ? "" : "|", names->name);
			first = false;
		}
	}
	if (exact && first) {
		strbuf_put_char(out, '0');
	}
	return true;
}

static bool
format_frag(const union field_value *value, const union field_value *mask, struct strbuf *out)
{
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(frag_words); i++) {
		if (frag_words[i].mask == mask->b[0] &&
			frag_words[i].value == (value->b[0] & mask->b[0])) {
			strbuf_put(out, frag_words[i].name);
			return true;
		}
	}
	return false;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts of TLV tables: "{class=0xffff,type=0x80,len=4}->tun_metadata0", as ovs-ofctl add-tlv-map takes them.
 */
#include <ctype.h>

#include "lib/error.h"
#include "ofproto/of_text_internal.h"
#include "ofproto/of_tlv.h"

static bool
refuse(struct of_span text, struct weft_error *err)
{
	return weft_error_set(err, WEFT_ERR_INVALID, 0,
		"%.*s: not {class=N,type=N,len=N}->tun_metadataN",
		(int)WEFT_MIN(text.len, (size_t)64), text.at);
}

/* NAME=NUMBER at the beginning of @s. */
static bool
take_number(struct of_span *s, const char *name, uint64_t max, uint64_t *n)
{
	struct of_span value = of_span_cut(s, ','), word = of_span_trim(of_span_cut(&value, '='));

	return of_span_is(word, name) && of_span_number(of_span_trim(value), max, n);
}

/* A name, up to a comma or a blank. */
static struct of_span
cut_name(struct of_span *s)
{
	struct of_span name = {s->at, 0};

	while (name.len < s->len && name.at[name.len] != ',' &&
		!isspace((unsigned char)name.at[name.len])) {
		name.len++;
	}
	s->at += name.len;
	s->len -= name.len;
	return name;
}

/* One mapping at the beginning of @s. */
static bool
take_entry(struct of_span *s, struct of_tlv_entry *e)
{
	struct of_span inside, field;
	uint64_t opt_class, type, len;
	unsigned index;

	if (s->at[0] != '{') {
		return false;
	}
	inside = (struct of_span){s->at + 1, s->len - 1};
	s->at++;
	s->len--;
	while (s->len && s->at[0] != '}') {
		s->at++;
		s->len--;
	}
	inside.len = (size_t)(s->at - inside.at);
	if (s->len < 3 || s->at[1] != '-' || s->at[2] != '>') {
		return false;
	}
	s->at += 3;
	s->len -= 3;
	field = cut_name(s);
	if (!take_number(&inside, "class", UINT16_MAX, &opt_class) ||
		!take_number(&inside, "type", UINT8_MAX, &type) ||
		!take_number(&inside, "len", UINT8_MAX, &len) || inside.len ||
		!of_tlv_parse_name(field.at, field.len, &index)) {
		return false;
	}
	*e = (struct of_tlv_entry){
		(uint16_t)opt_class, (uint8_t)type, (uint8_t)len, (uint16_t)index};
	return true;
}

bool
of_tlv_parse(const char *text, size_t len, bool names_alone, size_t max,
	struct of_tlv_entry *entries, size_t *n, struct weft_error *err)
{
	struct of_span s = of_span_trim((struct of_span){text, len}), name, start;
	unsigned index;

	for (*n = 0; s.len; s = of_span_trim(s)) {
		start = s;
		if (*n == max) {
			return weft_error_set(
				err, WEFT_ERR_INVALID, 0, "more than %zu mappings at once", max);
		}
		name = cut_name(&s);
		if (names_alone && of_tlv_parse_name(name.at, name.len, &index)) {
			entries[*n] = (struct of_tlv_entry){.index = (uint16_t)index};
		} else {
			s = start;
			if (!take_entry(&s, &entries[*n])) {
				return refuse(start, err);
			}
		}
		(*n)++;
		if (s.len && s.at[0] == ',') {
			s.at++;
			s.len--;
		}
	}
	return *n || refuse(s, err);
}

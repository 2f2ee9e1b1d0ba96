/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts of groups and meters, as ovs-ofctl(8) has them.
 */
#include <string.h>

#include "lib/error.h"
#include "lib/strbuf.h"
#include "ofproto/of_text_internal.h"
#include "ofproto/ofproto.h"

static bool bad(struct weft_error *err, const char *what, struct of_span s);
static bool parse_bucket(struct of_span text, const struct of_text_names *names,
	struct of_group_mod *gm, struct weft_error *err);
static bool parse_bucket_item(struct of_span key, struct of_span value,
	const struct of_text_names *names, struct of_bucket *b, struct weft_error *err);
static bool parse_band_item(
	struct of_span key, struct of_span value, struct of_meter_mod *mm, struct weft_error *err);

/* Cuts off "key=value" or "key:value"; a comma or white space ends it. */
static struct of_span
cut_item(struct of_span *text, struct of_span *value)
{
	struct of_span item = of_span_trim(*text), key;
	size_t len = 0;

	while (len < item.len && !strchr(", \t", item.at[len])) {
		len++;
	}
	text->len = item.len - WEFT_MIN(item.len, len + 1);
	text->at = item.at + (item.len - text->len);
	item.len = len;
	key = item;
	key.len = 0;
	while (key.len < item.len && item.at[key.len] != '=' && item.at[key.len] != ':') {
		key.len++;
	}
	*value = (struct of_span){item.at + key.len, item.len - key.len};
	if (value->len) {
		value->at++;
		value->len--;
	}
	return key;
}

/* Where @word begins after a comma, or at the start; NULL: nowhere. */
static const char *
find_word(struct of_span text, const char *word)
{
	size_t len = strlen(word), depth = 0;

	for (size_t i = 0; i + len <= text.len; i++) {
		depth += text.at[i] == '(';
		depth -= text.at[i] == ')' && depth;
		if (!depth && !memcmp(text.at + i, word, len) &&
			(!i || strchr(", \t", text.at[i - 1]))) {
			return text.at + i;
		}
	}
	return NULL;
}

/* --- groups -------------------------------------------------------------------------------------- */

static bool
parse_group_item(struct of_span key, struct of_span value, struct of_group_mod *gm, bool *has_type,
	struct weft_error *err)
{
	uint64_t n;

	if (of_span_is(key, "group_id")) {
		if (of_span_is(value, "all")) {
			gm->group = OFPG_ALL;
			return true;
		}
		if (!of_span_number(value, UINT32_MAX, &n)) {
			return bad(err, "bad group_id", value);
		}
		gm->group = (uint32_t)n;
		return true;
	}
	if (of_span_is(key, "type")) {
		*has_type = true;
		gm->type = OF_GROUP_TYPE_N;
		for (unsigned type = 0; type < OF_GROUP_TYPE_N; type++) {
			if (of_span_is(value, of_group_type_name(type))) {
				gm->type = (uint8_t)type;
			}
		}
		if (of_span_is(value, "ff")) {
			gm->type = OF_GROUP_FAST_FAILOVER;
		}
		return gm->type < OF_GROUP_TYPE_N || bad(err, "unknown type of group", value);
	}
	return bad(err, "unknown word in a group", key);
}

/* Takes a command word off the front. */
static void
take_command(struct of_span *text, enum of_mod_command *command)
{
	static const struct {
		const char *name;
		enum of_mod_command command;
	} commands[] = {
		{"add", OF_MOD_ADD},
		{"modify", OF_MOD_MODIFY},
		{"delete", OF_MOD_DELETE},
	};
	struct of_span tail = *text, word = of_span_cut(&tail, ' ');

	for (size_t i = 0; i < WEFT_ARRAY_SIZE(commands); i++) {
		if (of_span_is(word, commands[i].name)) {
			*command = commands[i].command;
			*text = of_span_trim(tail);
		}
	}
}

bool
of_text_parse_group(const char *text, size_t len, bool with_command,
	const struct of_text_names *names, struct of_group_mod *gm, struct weft_error *err)
{
	struct of_span rest = of_span_trim((struct of_span){text, len}), head, value, key;
	enum of_mod_command command = gm->command;
	bool has_type = false, has_id = false;
	const char *bucket;

	if (with_command) {
		take_command(&rest, &command);
	}
	head = rest;
	of_group_mod_init(gm);
	gm->command = command;
	gm->group = OFPG_ALL;
	bucket = find_word(rest, "bucket=");
	if (bucket) {
		head.len = (size_t)(bucket - head.at);
	}
	while (of_span_trim(head).len) {
		key = cut_item(&head, &value);
		if (key.len && !parse_group_item(key, value, gm, &has_type, err)) {
			return false;
		}
		has_id |= of_span_is(key, "group_id");
	}
	while (bucket) {
		struct of_span one = {bucket + strlen("bucket="), 0};

		rest.len -= (size_t)(one.at - rest.at);
		rest.at = one.at;
		bucket = find_word(rest, "bucket=");
		one.len = bucket ? (size_t)(bucket - one.at) : rest.len;
		if (!parse_bucket(one, names, gm, err)) {
			return false;
		}
	}
	if (command == OF_MOD_DELETE) {
		return !gm->n_buckets || bad(err, "a deletion has no buckets", rest);
	}
	if (!has_id || !has_type) {
		return weft_error_set(err, WEFT_ERR_INVALID, 0, "group: %s is missing",
			has_id ? "type=" : "group_id=");
	}
	return true;
}

static bool
is_bucket_word(struct of_span key)
{
	return of_span_is(key, "weight") || of_span_is(key, "watch_port") ||
	       of_span_is(key, "watch_group") || of_span_is(key, "bucket_id");
}

static bool
parse_bucket(struct of_span text, const struct of_text_names *names, struct of_group_mod *gm,
	struct weft_error *err)
{
	struct of_bucket *b = of_group_mod_add_bucket(gm);
	struct of_span head, value, key;
	const char *actions;

	if (gm->type == OF_GROUP_SELECT) {
		b->weight = 1;
	}
	text = of_span_trim(text);
	while (text.len && text.at[text.len - 1] == ',') {
		text.len--;
	}
	actions = find_word(text, "actions=");
	if (!actions) {
		/* "bucket=output:1": the first word that is no word of a bucket begins the actions. */
		head = text;
		while (head.len) {
			struct of_span before = head;

			key = cut_item(&head, &value);
			if (is_bucket_word(key)) {
				if (!parse_bucket_item(key, value, names, b, err)) {
					return false;
				}
			} else {
				return of_text_parse_actions(
					before.at, before.len, true, names, &b->actions, err);
			}
		}
		return true;
	}
	head = (struct of_span){text.at, (size_t)(actions - text.at)};
	while (of_span_trim(head).len) {
		key = cut_item(&head, &value);
		if (key.len && !parse_bucket_item(key, value, names, b, err)) {
			return false;
		}
	}
	actions += strlen("actions=");
	return of_text_parse_actions(
		actions, (size_t)(text.at + text.len - actions), true, names, &b->actions, err);
}

static bool
parse_bucket_item(struct of_span key, struct of_span value, const struct of_text_names *names,
	struct of_bucket *b, struct weft_error *err)
{
	uint64_t n;

	if (of_span_is(key, "weight")) {
		if (!of_span_number(value, UINT16_MAX, &n)) {
			return bad(err, "bad weight", value);
		}
		b->weight = (uint16_t)n;
		return true;
	}
	if (of_span_is(key, "watch_port")) {
		return of_text_find_port(names, value, &b->watch_port) ||
		       bad(err, "unknown port to watch", value);
	}
	if (of_span_is(key, "watch_group")) {
		if (!of_span_number(value, OFPG_MAX, &n)) {
			return bad(err, "bad group to watch", value);
		}
		b->watch_group = (uint32_t)n;
		return true;
	}
	if (of_span_is(key, "bucket_id")) {
		return of_span_number(value, UINT32_MAX, &n) || bad(err, "bad bucket_id", value);
	}
	return bad(err, "unknown word in a bucket", key);
}

void
of_text_format_group(
	const struct of_group_view *view, const struct of_text_names *names, struct strbuf *out)
{
	strbuf_printf(out, "group_id=%u,type=%s", view->id,
		view->type == OF_GROUP_FAST_FAILOVER ? "ff" : of_group_type_name(view->type));
	for (uint32_t i = 0; i < view->n_buckets; i++) {
		const struct of_bucket_view *b = &view->buckets[i];

		strbuf_put(out, ",bucket=");
		if (view->type == OF_GROUP_SELECT && b->weight != 1) {
			strbuf_printf(out, "weight:%u,", b->weight);
		}
		if (!of_port_is(b->watch_port, OFPP_ANY)) {
			strbuf_put(out, "watch_port:");
			of_text_put_port(names, b->watch_port, out);
			strbuf_put_char(out, ',');
		}
		if (b->watch_group != OFPG_ANY) {
			strbuf_printf(out, "watch_group:%u,", b->watch_group);
		}
		strbuf_put(out, "actions=");
		of_text_format_actions(b->actions, b->actions_size, names, out);
	}
}

/* --- meters -------------------------------------------------------------------------------------- */

static bool
parse_meter_word(
	struct of_span key, struct of_span value, struct of_meter_mod *mm, struct weft_error *err)
{
	static const struct {
		const char *name;
		uint16_t flag;
	} flags[] = {
		{"kbps", OF_METER_KBPS},
		{"pktps", OF_METER_PKTPS},
		{"burst", OF_METER_BURST},
		{"stats", OF_METER_STATS},
	};
	uint64_t n;

	for (size_t i = 0; i < WEFT_ARRAY_SIZE(flags); i++) {
		if (of_span_is(key, flags[i].name) && !value.len) {
			mm->flags |= flags[i].flag;
			return true;
		}
	}
	if (!of_span_is(key, "meter")) {
		return bad(err, "unknown word in a meter", key);
	}
	if (of_span_is(value, "all")) {
		mm->meter = OFPM_ALL;
		return true;
	}
	if (!of_span_number(value, OFPM_MAX, &n)) {
		return bad(err, "bad meter", value);
	}
	mm->meter = (uint32_t)n;
	return true;
}

bool
of_text_parse_meter(const char *text, size_t len, struct of_meter_mod *mm, struct weft_error *err)
{
	struct of_span rest = of_span_trim((struct of_span){text, len}), value, key;
	enum of_mod_command command = mm->command;
	bool in_bands = false, has_id = false;

	memset(mm, 0, sizeof(*mm));
	mm->command = command;
	mm->meter = OFPM_ALL;
	while (of_span_trim(rest).len) {
		const char *bands = find_word(rest, "bands=");

		bands = bands ? bands : find_word(rest, "band=");
		if (!in_bands && bands == rest.at) {
			in_bands = true;
			of_span_cut(&rest, '=');
			continue;
		}
		key = cut_item(&rest, &value);
		rest = of_span_trim(rest);
		if (!key.len) {
			continue;
		}
		if (!(in_bands ? parse_band_item : parse_meter_word)(key, value, mm, err)) {
			return false;
		}
		has_id |= of_span_is(key, "meter");
	}
	if (command == OF_MOD_DELETE) {
		return !mm->n_bands || bad(err, "a deletion has no bands", rest);
	}
	if (!has_id || !mm->n_bands) {
		return weft_error_set(err, WEFT_ERR_INVALID, 0, "meter: %s is missing",
			has_id ? "band=" : "meter=");
	}
	if (!(mm->flags & OF_METER_PKTPS)) {
		mm->flags |= OF_METER_KBPS;
	}
	return true;
}

static bool
parse_band_item(
	struct of_span key, struct of_span value, struct of_meter_mod *mm, struct weft_error *err)
{
	struct of_meter_band *b = mm->n_bands ? &mm->bands[mm->n_bands - 1] : NULL;
	uint64_t n;

	if (of_span_is(key, "type")) {
		if (mm->n_bands == OF_MAX_BANDS) {
			return bad(err, "too many bands", value);
		}
		b = &mm->bands[mm->n_bands++];
		b->type = of_span_is(value, "drop")          ? OF_BAND_DROP
			  : of_span_is(value, "dscp_remark") ? OF_BAND_DSCP_REMARK
							     : 0;
		return b->type || bad(err, "unknown type of band", value);
	}
	if (!b) {
		return bad(err, "a band begins with its type, not with", key);
	}
	if (of_span_is(key, "rate") && of_span_number(value, UINT32_MAX, &n)) {
		b->rate = (uint32_t)n;
	} else if (of_span_is(key, "burst_size") && of_span_number(value, UINT32_MAX, &n)) {
		b->burst = (uint32_t)n;
	} else if (of_span_is(key, "prec_level") && of_span_number(value, UINT8_MAX, &n)) {
		b->prec_level = (uint8_t)n;
	} else {
		return bad(err, "unknown word, or bad value, in a band", key);
	}
	return true;
}

void
of_text_format_meter(const struct of_meter_view *view, struct strbuf *out)
{
	strbuf_printf(out, "meter=%u%s%s%s%s bands=", view->id,
		view->flags & OF_METER_KBPS ? " kbps" : "",
		view->flags & OF_METER_PKTPS ? " pktps" : "",
		view->flags & OF_METER_BURST ? " burst" : "",
		view->flags & OF_METER_STATS ? " stats" : "");
	for (uint32_t i = 0; i < view->n_bands; i++) {
		const struct of_meter_band *b = &view->bands[i];

		strbuf_printf(out, "%stype=%s rate=%u", i ? " " : "",
			b->type == OF_BAND_DROP ? "drop" : "dscp_remark", b->rate);
		if (view->flags & OF_METER_BURST) {
			strbuf_printf(out, " burst_size=%u", b->burst);
		}
		if (b->type == OF_BAND_DSCP_REMARK) {
			strbuf_printf(out, " prec_level=%u", b->prec_level);
		}
	}
}

static bool
bad(struct weft_error *err, const char *what, struct of_span s)
{
	return weft_error_set(
		err, WEFT_ERR_INVALID, 0, "%s: \"%.*s\"", what, (int)WEFT_MIN(s.len, 80u), s.at);
}

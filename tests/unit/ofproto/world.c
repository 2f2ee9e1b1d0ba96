/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests' switch.
 */
#include "tests/unit/ofproto/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/byteorder.h"
#include "lib/strbuf.h"
#include "ofproto/of_error.h"
#include "ofproto/of_text.h"
#include "ofproto/of_trace.h"

static void
flow_removed(void *user, struct ofproto *p, const struct of_flow_view *flow,
	enum of_removed_reason reason)
{
	struct world *w = user;
	struct strbuf s = STRBUF_INIT;
	size_t len = strlen(w->removed);

	(void)p;
	of_text_format_match(&flow->match, flow->priority, NULL, &s);
	snprintf(w->removed + len, sizeof(w->removed) - len, "%d %s %llu/%llu\n", (int)reason,
		strbuf_text(&s), (unsigned long long)flow->packets,
		(unsigned long long)flow->bytes);
	w->n_removed++;
	strbuf_uninit(&s);
}

static void
context_gone(void *user, uint32_t id)
{
	struct world *w = user;

	(void)id;
	w->n_contexts_gone++;
}

void
world_init(struct world *w)
{
	struct of_model_events events = {
		.flow_removed = flow_removed,
		.context_gone = context_gone,
		.user = w,
	};

	memset(w, 0, sizeof(*w));
	w->now_ms = 1000;
	w->model = of_model_create(&events);
	w->reader = of_reader_create(w->model);
	w->p = ofproto_create(w->model, "s1", 1, NULL);
	assert_non_null(w->p);
	translation_init(&w->t);
	for (unsigned i = 1; i <= WORLD_N_PORTS; i++) {
		world_port(w, i, OF_VLAN_TRUNK, 0, NULL);
	}
	of_reader_stats_pulled(w->reader, UINT64_MAX);
}

void
world_uninit(struct world *w)
{
	of_reader_enter(w->reader);
	translation_uninit(&w->t, w->model);
	of_reader_leave(w->reader);
	ofproto_destroy(w->p);
	of_reader_destroy(w->reader);
	of_model_destroy(w->model);
}

void
world_port(
	struct world *w, unsigned number, enum of_vlan_mode mode, uint16_t tag, const int *trunks)
{
	struct of_port_info info = {
		.number = OF_PORT(number),
		.dp_port = {10 + number},
		.vlan_mode = mode,
		.tag = tag,
		.has_trunks = trunks != NULL,
	};

	snprintf(info.name, sizeof(info.name), "p%u", number);
	for (; trunks && *trunks >= 0; trunks++) {
		info.trunks[*trunks / 64] |= UINT64_C(1) << *trunks % 64;
	}
	assert_true(ofproto_port_set(w->p, &info, NULL));
}

static bool
flow_mod(struct world *w, const char *text, struct weft_error *err)
{
	struct of_text_names names = of_text_names_of(w->p);
	struct of_flow_mod fm = {.command = OF_FLOW_ADD};
	bool ok = of_text_parse_flow(text, strlen(text), true, &names, &fm, err) &&
		  ofproto_flow_mod(w->p, &fm, w->now_ms, err);

	of_flow_mod_uninit(&fm);
	return ok;
}

void
world_flow(struct world *w, const char *text)
{
	struct weft_error err = WEFT_ERROR_INIT;

	if (!flow_mod(w, text, &err)) {
		fail_msg("%s: %s", text, err.text);
	}
}

void
world_group(struct world *w, const char *text)
{
	struct of_group_mod gm = {.command = OF_MOD_ADD};
	struct weft_error err = WEFT_ERROR_INIT;

	if (!of_text_parse_group(text, strlen(text), false, NULL, &gm, &err) ||
		!ofproto_group_mod(w->p, &gm, w->now_ms, &err)) {
		fail_msg("%s: %s", text, err.text);
	}
	of_group_mod_uninit(&gm);
}

void
world_refuse(struct world *w, const char *text, unsigned type, unsigned code)
{
	struct weft_error err = WEFT_ERROR_INIT;

	if (flow_mod(w, text, &err)) {
		fail_msg("%s: taken", text);
	}
	if (err.domain != WEFT_ERR_OPENFLOW || err.code != (int)type || err.subcode != (int)code) {
		fail_msg("%s: error %d/%d, not %s: %s", text, err.code, err.subcode,
			of_error_name((uint16_t)type, (uint16_t)code), err.text);
	}
}

static bool
dump_one(const struct of_flow_view *flow, void *user)
{
	struct strbuf *s = user;

	if (flow->table) {
		strbuf_printf(s, "table=%u,", flow->table);
	}
	if (flow->cookie) {
		strbuf_printf(s, "cookie=0x%llx,", (unsigned long long)flow->cookie);
	}
	of_text_format_match(&flow->match, flow->priority, NULL, s);
	strbuf_put(s, " actions=");
	of_text_format_actions(flow->actions, flow->actions_size, NULL, s);
	strbuf_put_char(s, '\n');
	return true;
}

const char *
world_dump(struct world *w)
{
	struct strbuf s = STRBUF_INIT;
	struct of_flow_query q;
	struct of_flow_cursor *c;

	of_flow_query_init(&q);
	c = ofproto_query_begin(w->p, &q);
	while (ofproto_query_step(c, 3, w->now_ms, dump_one, &s)) {
	}
	ofproto_query_end(c);
	snprintf(w->text, sizeof(w->text), "%s", strbuf_text(&s));
	strbuf_uninit(&s);
	return w->text;
}

void
world_key(const char *text, struct flow_key *key)
{
	struct of_match m;
	struct weft_error err = WEFT_ERROR_INIT;

	if (!of_text_parse_match(text, strlen(text), NULL, &m, &err)) {
		fail_msg("%s: %s", text, err.text);
	}
	*key = m.value;
	if (key->vlan_tci && !key->vlan_tpid) {
		key->vlan_tpid = be16_from(0x8100);
	}
	key->in_port = be32_from(be32_to(key->in_port) + 10);
}

const char *
world_translate(struct world *w, const char *packet)
{
	struct flow_key key;

	world_key(packet, &key);
	return world_translate_key(w, &key);
}

const char *
world_translate_key(struct world *w, const struct flow_key *key)
{
	struct strbuf s = STRBUF_INIT;
	struct translate_in in = {.reader = w->reader, .key = key, .now_ms = w->now_ms};

	of_reader_enter(w->reader);
	in.version = of_model_version(w->model);
	translate(&in, &w->t);
	of_reader_leave(w->reader);
	dp_actions_format(w->t.actions.data, w->t.actions.size, &s);
	snprintf(w->text, sizeof(w->text), "%s", strbuf_text(&s));
	strbuf_uninit(&s);
	return w->text;
}

const char *
world_mask(struct world *w)
{
	struct flow_mask left = w->t.mask;
	struct strbuf s = STRBUF_INIT;
	union field_value none = {{0}};

	left.bits.in_port = 0;
	left.bits.recirc_id = 0;
	for (unsigned id = 0; id < FIELD_N; id++) {
		const struct field *f = field_get(id);
		union field_value mask;

		if (!field_is_masked(f, &left)) {
			continue;
		}
		field_load(f, &left.bits, &mask);
		if (field_is_exact(f, &left)) {
			strbuf_printf(&s, "%s,", f->name);
		} else {
			strbuf_printf(&s, "%s/", f->name);
			for (unsigned i = 0; i < f->n_bytes; i++) {
				strbuf_printf(&s, "%02x", mask.b[i]);
			}
			strbuf_put_char(&s, ',');
		}
		field_store(f, &left.bits, &none);
	}
	strbuf_chomp(&s, ",");
	snprintf(w->text, sizeof(w->text), "%s", strbuf_text(&s));
	strbuf_uninit(&s);
	return w->text;
}

const uint8_t world_labelled[WORLD_LABELLED_LEN] = {0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1, 0x88, 0x47,
	0x00, 0x00, 0x70, 0x40, 0x00, 0x00, 0x81, 0x3f, 0x45, 0, 0, 28, 0, 0, 0, 0, 9, 17, 0x5d,
	0xcf, 10, 0, 0, 1, 10, 0, 0, 2, 0, 1, 0, 2, 0, 8, 0, 0};

struct of_trace *
world_trace(struct world *w, const struct flow_key *key, const uint8_t *packet, size_t len)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_trace_in in = {
		.reader = w->reader,
		.ofproto = w->p,
		.key = key,
		.packet = packet,
		.packet_len = len,
		.now_ms = w->now_ms,
	};
	struct of_trace *t = of_trace_create(&in, &err);

	if (!t) {
		fail_msg("%s", err.text);
	}
	return t;
}

void
world_run(struct world *w, uint64_t ms)
{
	w->now_ms += ms;
	for (unsigned i = 0; i < 4; i++) {
		while (of_model_run(w->model, w->now_ms, 100)) {
		}
	}
}

uint64_t
world_seed(void)
{
	const char *text = getenv("WEFT_TEST_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL) * 2654435761u;

	print_message("WEFT_TEST_SEED=%llu\n", (unsigned long long)seed);
	return seed | 1;
}

uint64_t
world_random(uint64_t *state)
{
	/* xorshift64* */
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (*state * 2685821657736338717u) >> 16;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz: traces. The first line is a flow, or after a 0 byte the bytes of a packet; the others are rules and groups.
 * Whatever they are, the trace ends, leaves nothing behind and shows the flow that translation makes. Room: ofproto
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/strbuf.h"
#include "ofproto/of_context.h"
#include "ofproto/of_group.h"
#include "ofproto/of_text.h"
#include "ofproto/of_trace.h"
#include "ofproto/ofproto.h"
#include "ofproto/translate.h"

#define N_PORTS 4u
#define NOW_MS 1000
#define MAX_LINES 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct of_model *model;
static struct of_reader *reader;

static void
context_gone(void *user, uint32_t id)
{
	(void)user;
	(void)id;
}

static void
flow_removed(void *user, struct ofproto *p, const struct of_flow_view *flow,
	enum of_removed_reason reason)
{
	(void)user;
	(void)p;
	(void)flow;
	(void)reason;
}

static struct ofproto *
make_switch(void)
{
	struct ofproto *p = ofproto_create(model, "s1", 1, NULL);

	if (!p) {
		abort();
	}
	for (unsigned i = 1; i <= N_PORTS; i++) {
		struct of_port_info info = {.number = OF_PORT(i),
			.dp_port = {10 + i},
			.name = {'p', (char)('0' + i)},
			.vlan_mode = i == 4 ? OF_VLAN_ACCESS : OF_VLAN_TRUNK,
			.tag = i == 4 ? 5 : 0};

		if (!ofproto_port_set(p, &info, NULL)) {
			abort();
		}
	}
	return p;
}

static void
add_line(struct ofproto *p, const char *line, size_t len)
{
	struct of_flow_mod fm = {.command = OF_FLOW_ADD};
	struct of_group_mod gm = {.command = OF_MOD_ADD};

	if (of_text_parse_group(line, len, false, NULL, &gm, NULL)) {
		(void)!ofproto_group_mod(p, &gm, NOW_MS, NULL);
	} else if (of_text_parse_flow(line, len, false, NULL, &fm, NULL)) {
		(void)!ofproto_flow_mod(p, &fm, NOW_MS, NULL);
	}
	of_group_mod_uninit(&gm);
	of_flow_mod_uninit(&fm);
}

/* As the trace numbers them; that equal ones are the same object is not looked at here. */
static enum translate_object_state
get_object(void *n, const struct translate_object *o, struct dp_handle *handle)
{
	(void)o;
	*handle = (struct dp_handle){++*(uint32_t *)n, 1};
	return TRANSLATE_OBJECT_READY;
}

/* The first pass is what translation makes of its key. */
static void
compare(const struct of_trace *t)
{
	const struct of_trace_pass *pass =
		LIST_ENTRY(of_trace_passes(t)->next, struct of_trace_pass, link);
	uint32_t n_objects = 0;
	struct translate_in in = {
		.reader = reader,
		.key = &pass->key,
		.now_ms = NOW_MS,
		.object = get_object,
		.object_user = &n_objects,
	};
	struct translation result;

	translation_init(&result);
	of_reader_enter(reader);
	in.version = of_model_version(model);
	translate(&in, &result);
	if (result.is_refused != pass->is_refused ||
		(!result.is_refused && (memcmp(&result.mask, &pass->mask, sizeof(result.mask)) ||
					       result.drop != pass->drop ||
					       result.actions.size != pass->dp_actions_size))) {
		abort();
	}
	translation_uninit(&result, model);
	of_reader_leave(reader);
}

static void
trace(struct ofproto *p, const uint8_t *line, size_t len)
{
	const uint8_t *zero = memchr(line, 0, len);
	const uint8_t *packet = zero ? zero + 1 : NULL;
	size_t flow_len = zero ? (size_t)(zero - line) : len;
	size_t packet_len = zero ? len - flow_len - 1 : 0, n = of_context_count(model);
	struct strbuf text = STRBUF_INIT;
	struct of_trace_in in = {.reader = reader, .ofproto = p, .now_ms = NOW_MS};
	struct flow_key key;
	struct of_trace *t;

	if (!of_trace_parse((const char *)line, flow_len, packet, packet_len, p, &key, NULL)) {
		return;
	}
	in.key = &key;
	in.packet = packet;
	in.packet_len = packet_len;
	t = of_trace_create(&in, NULL);
	if (!t || of_context_count(model) != n) {
		abort();
	}
	of_trace_format(t, &text);
	if (!text.len) {
		abort();
	}
	compare(t);
	strbuf_uninit(&text);
	of_trace_destroy(t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct of_model_events events = {flow_removed, context_gone, NULL, NULL, NULL};
	const uint8_t *end = memchr(data, '\n', size);
	size_t len = end ? (size_t)(end - data) : size, at = len;
	struct ofproto *p;

	model = of_model_create(&events);
	reader = of_reader_create(model);
	p = make_switch();
	for (unsigned i = 0; at < size && i < MAX_LINES; i++) {
		const uint8_t *line = data + ++at;

		end = memchr(line, '\n', size - at);
		add_line(p, (const char *)line, end ? (size_t)(end - line) : size - at);
		at = end ? (size_t)(end - data) : size;
	}
	trace(p, data, len);
	ofproto_destroy(p);
	of_reader_destroy(reader);
	of_model_destroy(model);
	return 0;
}

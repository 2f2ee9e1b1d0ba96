/* SPDX-License-Identifier: Apache-2.0
 *
 * An overlay and an underlay switch, for tests of tunnels.
 */
#include "tests/unit/ofproto/underlay_lab.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "lib/dp_encap.h"
#include "lib/dp_protocol.h"
#include "lib/error.h"
#include "lib/strbuf.h"

static const struct of_underlay_route *
lookup(void *user, const struct of_underlay_key *key)
{
	static const struct of_underlay_route none = {
		.state = OF_UNDERLAY_NO_ROUTE, .text = "no route"};
	struct underlay_lab *t = user;
	const struct of_underlay_route *r = t->routes[key->remote.v[15]];

	t->n_lookups++;
	t->asked = *key;
	return r ? r : &none;
}

static bool
owns(void *user, const struct of_underlay_addr *address)
{
	struct of_underlay_addr v4 = lab_addr("192.0.2.1"), v6 = lab_addr("2001:db8::1");

	(void)user;
	return !memcmp(address, &v4, sizeof(v4)) || !memcmp(address, &v6, sizeof(v6));
}

static void
add_port(struct ofproto *p, struct of_port_info *info)
{
	snprintf(info->name, sizeof(info->name), "%s-%u", ofproto_name(p), info->number.v);
	assert_true(ofproto_port_set(p, info, NULL));
}

int
underlay_lab_begin(void **state)
{
	struct underlay_lab *t = calloc(1, sizeof(*t));

	world_init(&t->w);
	t->s1 = t->w.p;
	t->u = ofproto_create(t->w.model, "u", 2, NULL);
	add_port(t->u,
		&(struct of_port_info){.number = OF_PORT(1), .dp_port = {31}, .is_underlay = true});
	add_port(t->u, &(struct of_port_info){.number = OF_PORT(2), .dp_port = {32}});
	add_port(t->u, &(struct of_port_info){.number = OF_PORT(9),
			       .dp_port = {39},
			       .is_internal = true,
			       .mac = {2, 0, 0, 0, 0, 1}});
	of_model_set_underlay(t->w.model, &(struct of_underlay_provider){lookup, t, owns});
	*state = t;
	return 0;
}

int
underlay_lab_end(void **state)
{
	struct underlay_lab *t = *state;

	struct ofproto *p;

	while ((p = ofproto_next(t->w.model, t->s1))) {
		ofproto_destroy(p);
	}
	t->w.p = t->s1;
	world_uninit(&t->w);
	for (unsigned i = 0; i < 256; i++) {
		free(t->routes[i]);
	}
	free(t);
	return 0;
}

struct of_underlay_addr
lab_addr(const char *text)
{
	struct of_underlay_addr a = {.v = {[10] = 0xff, [11] = 0xff}};

	if (inet_pton(AF_INET, text, a.v + 12) != 1) {
		assert_int_equal(inet_pton(AF_INET6, text, a.v), 1);
	}
	return a;
}

struct of_tunnel
lab_tunnel(const char *remote)
{
	struct of_tunnel t = {
		.kind = DP_TUNNEL_VXLAN,
		.id = 5,
		.dst_port = OF_TUNNEL_VXLAN_PORT,
		.ttl = OF_TUNNEL_TTL,
		.dont_fragment = true,
	};

	if (remote) {
		t.remote = lab_addr(remote);
	} else {
		t.remote_by = OF_TUNNEL_FLOW;
	}
	return t;
}

bool
lab_set_tunnel(struct underlay_lab *t, unsigned number, const struct of_tunnel *tunnel,
	uint32_t config, struct weft_error *err)
{
	struct of_port_info info = {
		.number = OF_PORT(number),
		.dp_port = {number + 20},
		.config = config,
		.kind = OF_PORT_TUNNEL,
		.tunnel = *tunnel,
	};

	snprintf(info.name, sizeof(info.name), "t%u", number);
	return ofproto_port_set(t->s1, &info, err);
}

void
lab_tunnel_port(struct underlay_lab *t, unsigned number, const struct of_tunnel *tunnel)
{
	struct weft_error err = WEFT_ERROR_INIT;

	if (!lab_set_tunnel(t, number, tunnel, 0, &err)) {
		fail_msg("%s", err.text);
	}
}

void
lab_route(struct underlay_lab *t, unsigned remote, unsigned n, unsigned mac)
{
	struct of_underlay_route *r = xcalloc(1, sizeof(*r) + n * sizeof(r->paths[0]));

	r->state = OF_UNDERLAY_READY;
	r->n_paths = n;
	r->usable_weight = n;
	for (unsigned i = 0; i < n; i++) {
		r->paths[i] = (struct of_underlay_path){
			.source = lab_addr(remote < 128 ? "192.0.2.1" : "2001:db8::1"),
			.source_mac = {2, 0, 0, 0, 0, 1},
			.next_hop_mac = {2, 0, 0, 0, 0, (uint8_t)(mac + i)},
			.is_usable = true,
			.weight = 1,
			.mtu = 1500,
			.ofproto_id = ofproto_id(t->u),
			.port = OF_PORT(9),
			.device = "u-9",
		};
	}
	free(t->routes[remote]);
	t->routes[remote] = r;
}

void
lab_no_route(struct underlay_lab *t, unsigned remote, enum of_underlay_state state)
{
	lab_route(t, remote, 0, 0);
	t->routes[remote]->state = state;
	strcpy(t->routes[remote]->text, "as the test says");
}

void
lab_route_changed(struct underlay_lab *t, const char *remote)
{
	struct of_underlay_key key = {.remote = lab_addr(remote)};
	uint32_t id = of_underlay_id(&key, t->routes[key.remote.v[15]]);

	of_model_underlay_changed(t->w.model, &id, 1);
}

void
lab_flow(struct underlay_lab *t, struct ofproto *p, const char *text)
{
	t->w.p = p;
	world_flow(&t->w, text);
	t->w.p = t->s1;
}

static enum translate_object_state
choice(struct underlay_lab *t, const struct translate_object *o, struct dp_handle *handle)
{
	struct strbuf s = STRBUF_INIT;
	const uint8_t *at = o->body;
	unsigned i = 0;

	assert_true(dp_object_validate(o->kind, o->body, o->size, o->n_parts, NULL));
	assert_int_equal(o->kind == DP_OBJECT_SELECT, o->seed != 0);
	t->seed = o->seed;
	strbuf_put(&s, o->kind == DP_OBJECT_SELECT ? "select" : "first_live");
	for (uint32_t k = 0; k < o->n_parts; k++) {
		const struct dp_bucket *b = (const void *)at;

		strbuf_printf(
			&s, " [%u:%d:%u ", b->weight, (int)b->watch_port, b->watch_object.slot);
		dp_actions_format(b->actions, b->size - sizeof(*b), &s);
		strbuf_printf(&s, " %u/%u]", o->parts[k].n, o->parts[k].n_rules);
		at += b->size;
	}
	while (i < t->n_choices && strcmp(t->choices[i], strbuf_text(&s))) {
		i++;
	}
	if (i == t->n_choices) {
		assert_true(++t->n_choices <= WEFT_ARRAY_SIZE(t->choices));
		snprintf(t->choices[i], sizeof(t->choices[i]), "%s", strbuf_text(&s));
	}
	strbuf_uninit(&s);
	*handle = (struct dp_handle){100 + i, 1};
	return TRANSLATE_OBJECT_READY;
}

enum translate_object_state
lab_object(void *lab, const struct translate_object *o, struct dp_handle *handle)
{
	struct underlay_lab *t = lab;
	unsigned i = 0;

	if (o->kind != DP_OBJECT_ENCAP && t->may_choose) {
		return choice(t, o, handle);
	}
	if (o->kind != DP_OBJECT_ENCAP || t->object_state != TRANSLATE_OBJECT_READY) {
		return o->kind == DP_OBJECT_ENCAP ? t->object_state : TRANSLATE_OBJECT_NONE;
	}
	assert_true(dp_object_validate(o->kind, o->body, o->size, 0, NULL));
	while (i < t->n_objects &&
		(t->objects[i].size != o->size || memcmp(t->objects[i].body, o->body, o->size))) {
		i++;
	}
	if (i == t->n_objects) {
		assert_true(++t->n_objects <= LAB_MAX_OBJECTS);
		t->objects[i].size = o->size;
		memcpy(t->objects[i].body, o->body, o->size);
	}
	*handle = (struct dp_handle){i + 1, 1};
	return TRANSLATE_OBJECT_READY;
}

const char *
lab_translate(struct underlay_lab *t, const char *packet)
{
	struct flow_key key;

	world_key(packet, &key);
	return lab_translate_key(t, &key);
}

const char *
lab_translate_key(struct underlay_lab *t, const struct flow_key *key)
{
	struct strbuf s = STRBUF_INIT;
	struct translate_in in = {
		.reader = t->w.reader,
		.key = key,
		.now_ms = t->w.now_ms,
		.object = t->no_objects ? NULL : lab_object,
		.object_user = t,
		.wants_deps = true,
	};

	of_reader_enter(t->w.reader);
	in.version = of_model_version(t->w.model);
	translate(&in, &t->w.t);
	of_reader_leave(t->w.reader);
	assert_true(t->no_objects ||
		    dp_actions_validate(t->w.t.actions.data, t->w.t.actions.size, NULL));
	dp_actions_format(t->w.t.actions.data, t->w.t.actions.size, &s);
	snprintf(t->w.text, sizeof(t->w.text), "%s", strbuf_text(&s));
	strbuf_uninit(&s);
	return t->w.text;
}

const char *
lab_encap(struct underlay_lab *t, unsigned slot)
{
	const struct dp_encap *e = (const void *)t->objects[slot - 1].body;
	struct strbuf s = STRBUF_INIT;

	assert_true(slot && slot <= t->n_objects);
	strbuf_printf(&s, "%u 0x%x %u %u %u %u %u ", e->kind, e->flags, e->too_long, e->mtu,
		e->port, e->l3_off, e->l4_off);
	for (unsigned i = 0; i < e->size; i++) {
		strbuf_printf(&s, "%02x", e->header[i]);
	}
	snprintf(t->w.text, sizeof(t->w.text), "%s", strbuf_text(&s));
	strbuf_uninit(&s);
	return t->w.text;
}

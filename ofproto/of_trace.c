/* SPDX-License-Identifier: Apache-2.0
 *
 * Trace: its tree, what it keeps to itself, and the passes of a packet.
 *
 * Own things: what a translation would leave behind is kept here and freed with the trace. A context that
 *             exists is called by its id, so that the trace's actions are those of the installed flow.
 */
#include "ofproto/of_trace.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "lib/dp_protocol.h"
#include "lib/error.h"
#include "lib/strbuf.h"
#include "ofproto/of_context.h"
#include "ofproto/of_trace_internal.h"
#include "ofproto/ofproto_internal.h"

static const struct ofport *face_of(const struct ofport *port);
static void enter_by(const struct ofport *port, struct flow_key *key);
static struct of_trace_pass *add_pass(
	struct of_trace *t, const struct flow_key *key, unsigned depth);
static void run_pass(struct of_trace *t, const struct of_trace_in *in, struct of_trace_pass *pass,
	uint64_t version);
static of_trace_recirculated_fn recirculated;
static enum translate_object_state get_object(
	void *trace, const struct translate_object *o, struct dp_handle *handle);
static struct of_trace_item *find_item(
	const struct list *items, uint32_t kind, const void *bytes, size_t size);
static struct of_trace_item *add_item(
	struct list *items, uint32_t id, uint32_t kind, const void *bytes, size_t size);
static void free_items(struct list *items);
static void free_pass(struct of_trace_pass *pass);
static void uninit_node(struct of_trace_node *n);

const char *
of_trace_kind_name(enum of_trace_kind kind)
{
	static const char *const names[] = {
		[OF_TRACE_NOTE] = "note",
		[OF_TRACE_SWITCH] = "switch",
		[OF_TRACE_TABLE] = "table",
		[OF_TRACE_ACTION_SET] = "action-set",
		[OF_TRACE_ACTION] = "action",
		[OF_TRACE_CHANGE] = "change",
		[OF_TRACE_GROUP] = "group",
		[OF_TRACE_BUCKET] = "bucket",
		[OF_TRACE_METER] = "meter",
		[OF_TRACE_NORMAL] = "normal",
		[OF_TRACE_LEARN] = "learn",
		[OF_TRACE_OUTPUT] = "output",
		[OF_TRACE_CONTROLLER] = "controller",
		[OF_TRACE_RECIRCULATE] = "recirculate",
		[OF_TRACE_END] = "end",
	};

	_Static_assert(WEFT_ARRAY_SIZE(names) == OF_TRACE_N, "a name each");
	return names[kind];
}

struct of_trace *
of_trace_create(const struct of_trace_in *in, struct weft_error *err)
{
	const struct ofport *port;
	struct of_trace_pass *pass;
	struct of_trace *t = NULL;
	struct flow_key key = *in->key;
	uint64_t version;

	of_reader_enter(in->reader);
	version = of_model_version(in->ofproto->model);
	port = ofport_find(in->ofproto, OF_PORT(be32_to(key.in_port)));
	if (!port) {
		weft_error_set(err, WEFT_ERR_CONFLICT, ENOENT, "switch %s has no port %u",
			in->ofproto->name, be32_to(key.in_port));
	} else if (port->info.dp_port.v > DP_PORT_MAX) {
		weft_error_set(err, WEFT_ERR_CONFLICT, ENODEV,
			"port %s is not in the datapath: nothing comes in by it", port->info.name);
	} else if (port->info.kind == OF_PORT_TUNNEL && !face_of(port)) {
		weft_error_set(err, WEFT_ERR_CONFLICT, ENODEV,
			"port %s is down: no tunnel packet is taken in for it", port->info.name);
	} else {
		t = xcalloc(1, sizeof(*t));
		list_init(&t->passes);
		list_init(&t->contexts);
		list_init(&t->objects);
		t->packet = in->packet;
		t->packet_len = in->packet_len;
		enter_by(port, &key);
		add_pass(t, &key, 0);
		/* Passes are added while they run. */
		LIST_FOREACH (pass, link, &t->passes) {
			run_pass(t, in, pass, version);
		}
	}
	of_reader_leave(in->reader);
	return t;
}

void
of_trace_destroy(struct of_trace *t)
{
	if (!t) {
		return;
	}
	while (!list_is_empty(&t->passes)) {
		free_pass(LIST_ENTRY(t->passes.next, struct of_trace_pass, link));
	}
	free_items(&t->contexts);
	free_items(&t->objects);
	free(t);
}

bool
of_trace_is_pending(const struct of_trace *t)
{
	const struct of_trace_pass *pass;

	LIST_FOREACH (pass, link, &t->passes) {
		if (pass->is_pending) {
			return true;
		}
	}
	return false;
}

const struct list *
of_trace_passes(const struct of_trace *t)
{
	return &t->passes;
}

/* The port by which the datapath hands on what came for a tunnel port. */
static const struct ofport *
face_of(const struct ofport *port)
{
	const struct tunnel_listener *l =
		tunnel_listener_find(port->ofproto->model, port->info.tunnel.dst_port);

	return l ? tunnel_face(l) : NULL;
}

/* Makes @key what the datapath gives of a packet that came in by @port: of a tunnel port what its outer header
 * must have been, where nothing else is said. */
static void
enter_by(const struct ofport *port, struct flow_key *key)
{
	const struct of_tunnel *tunnel = &port->info.tunnel;
	static const uint8_t none[sizeof(key->tun_src)];

	if (port->info.kind != OF_PORT_TUNNEL) {
		key->in_port = be32_from(port->info.dp_port.v);
		return;
	}
	key->in_port = be32_from(face_of(port)->info.dp_port.v);
	key->tun_flags |= be16_from(
		FLOW_TUN_PRESENT | (tunnel->kind == DP_TUNNEL_ERSPAN ? FLOW_TUN_ERSPAN : 0));
	if (tunnel->id_by == OF_TUNNEL_GIVEN && !key->tun_id_lo) {
		key->tun_id_lo = be32_from(tunnel->id);
	}
	if (tunnel->remote_by == OF_TUNNEL_GIVEN && !memcmp(key->tun_src, none, sizeof(none))) {
		memcpy(key->tun_src, tunnel->remote.v, sizeof(none));
	}
	if (tunnel->local_by == OF_TUNNEL_GIVEN && !memcmp(key->tun_dst, none, sizeof(none))) {
		memcpy(key->tun_dst, tunnel->local.v, sizeof(none));
	}
}

/* --- passes -------------------------------------------------------------------------------------- */

static struct of_trace_pass *
add_pass(struct of_trace *t, const struct flow_key *key, unsigned depth)
{
	struct of_trace_pass *pass = xcalloc(1, sizeof(*pass));

	pass->recirc_id = be32_to(key->recirc_id);
	pass->depth = depth;
	pass->key = *key;
	list_init(&pass->root.children);
	list_push_back(&t->passes, &pass->link);
	return pass;
}

static void
run_pass(struct of_trace *t, const struct of_trace_in *in, struct of_trace_pass *pass,
	uint64_t version)
{
	struct translate_in what = {
		.reader = in->reader,
		.version = version,
		.key = &pass->key,
		.now_ms = in->now_ms,
		.object = get_object,
		.object_user = t,
		.trace = t,
	};
	struct translation result;

	t->at = &pass->root;
	t->final = pass->key;
	t->final_in = in->ofproto;
	pass->flow = of_trace_flow_text(in->ofproto, &pass->key, true);
	translation_init(&result);
	translate(&what, &result);
	pass->is_refused = result.is_refused;
	pass->is_pending = result.is_pending;
	if (result.is_pending) {
		of_trace_add(t, OF_TRACE_NOTE,
			"the route to the tunnel's remote is being looked up: try again");
	} else if (result.is_refused) {
		of_trace_add(t, OF_TRACE_END, "refused: there is no such port or recirculation");
	} else {
		pass->final = of_trace_flow_text(t->final_in, &t->final, false);
		of_trace_set_fast_path(pass, &result);
		t->text_len += strlen(pass->match) + strlen(pass->actions);
		of_trace_replay(t, pass, recirculated);
	}
	translation_uninit(&result, in->ofproto->model);
}

static void
recirculated(struct of_trace *t, const struct of_trace_pass *from, const struct flow_key *key,
	const struct of_trace_packet *packet)
{
	uint32_t id = be32_to(key->recirc_id);

	t->at = (struct of_trace_node *)&from->root;
	if (from->depth == DP_RECIRC_MAX) {
		struct of_trace_node *n = of_trace_add(t, OF_TRACE_END,
			"the datapath does not recirculate it as 0x%x: %s", id,
			drop_reason_name(DROP_RECIRC_LIMIT));

		of_trace_put_text(n, "reason", drop_reason_name(DROP_RECIRC_LIMIT));
	} else if (list_count(&t->passes) >= OF_TRACE_MAX_PASSES || t->is_cut) {
		of_trace_add(t, OF_TRACE_NOTE,
			"recirculation 0x%x is not followed: there are too many", id);
	} else {
		add_pass(t, key, from->depth + 1)->packet = of_trace_packet_copy(packet);
	}
}

/* --- the tree ------------------------------------------------------------------------------------ */

struct of_trace_node *
of_trace_add(struct of_trace *t, enum of_trace_kind kind, const char *format, ...)
{
	struct strbuf text = STRBUF_INIT;
	struct of_trace_node *n;
	va_list args;

	if (t->is_cut) {
		return NULL;
	}
	t->is_cut = t->n_nodes++ == OF_TRACE_MAX_NODES || t->text_len > OF_TRACE_MAX_TEXT;
	if (t->is_cut) {
		kind = OF_TRACE_NOTE;
		strbuf_put(&text, "the trace is cut here: it is too long");
	} else {
		va_start(args, format);
		strbuf_vprintf(&text, format, args);
		va_end(args);
	}
	n = xcalloc(1, sizeof(*n));
	n->kind = kind;
	n->parent = t->at;
	t->text_len += text.len;
	n->text = strbuf_take(&text);
	list_init(&n->children);
	list_push_back(&t->at->children, &n->link);
	return t->is_cut ? NULL : n;
}

struct of_trace_node *
of_trace_enter(struct of_trace *t, struct of_trace_node *n)
{
	struct of_trace_node *before = t->at;

	if (n) {
		t->at = n;
	}
	return before;
}

void
of_trace_leave(struct of_trace *t, struct of_trace_node *before)
{
	t->at = before;
}

static struct of_trace_value *
put_value(struct of_trace_node *n, const char *name)
{
	struct of_trace_value *v = n ? &n->values[n->n_values] : NULL;

	if (v) {
		n->n_values++;
		v->name = name;
	}
	return v;
}

void
of_trace_put_text(struct of_trace_node *n, const char *name, const char *text)
{
	struct of_trace_value *v = put_value(n, name);

	if (v) {
		v->text = xstrdup(text);
	}
}

void
of_trace_put_number(struct of_trace_node *n, const char *name, uint64_t number)
{
	struct of_trace_value *v = put_value(n, name);

	if (v) {
		v->number = number;
	}
}

/* --- what is not the model's --------------------------------------------------------------------- */

uint32_t
of_trace_intern(struct of_trace *t, struct of_model *m, const void *bytes, size_t size)
{
	const struct of_trace_item *own = find_item(&t->contexts, 0, bytes, size);
	uint32_t id;

	if (own) {
		return own->id;
	}
	id = of_context_lookup(m, bytes, size);
	if (id == OF_CONTEXT_NONE && of_context_count(m) >= OF_CONTEXTS_MAX) {
		return OF_CONTEXT_NONE;
	}
	/* A copy of one that exists too: it may be given up while we go on. */
	id = id != OF_CONTEXT_NONE ? id : UINT32_MAX - t->n_contexts++;
	add_item(&t->contexts, id, 0, bytes, size);
	return id;
}

const void *
of_trace_find_context(const struct of_trace *t, const struct of_model *m, uint32_t id, size_t *size)
{
	const struct of_trace_item *own;

	LIST_FOREACH (own, link, &t->contexts) {
		if (own->id == id) {
			*size = own->size;
			return own->bytes;
		}
	}
	return of_context_find(m, id, size);
}

/* translate_in.object */
static enum translate_object_state
get_object(void *trace, const struct translate_object *o, struct dp_handle *handle)
{
	struct of_trace *t = trace;
	const struct of_trace_item *own = find_item(&t->objects, o->kind, o->body, o->size);

	if (!own) {
		own = add_item(&t->objects, ++t->n_objects, o->kind, o->body, o->size);
	}
	*handle = (struct dp_handle){own->id, 1};
	return TRANSLATE_OBJECT_READY;
}

static struct of_trace_item *
find_item(const struct list *items, uint32_t kind, const void *bytes, size_t size)
{
	struct of_trace_item *item;

	LIST_FOREACH (item, link, items) {
		if (item->kind == kind && item->size == size && !memcmp(item->bytes, bytes, size)) {
			return item;
		}
	}
	return NULL;
}

static struct of_trace_item *
add_item(struct list *items, uint32_t id, uint32_t kind, const void *bytes, size_t size)
{
	struct of_trace_item *item = xcalloc(1, sizeof(*item) + size);

	item->id = id;
	item->kind = kind;
	item->size = size;
	memcpy(item->bytes, bytes, size);
	list_push_back(items, &item->link);
	return item;
}

static void
free_items(struct list *items)
{
	while (!list_is_empty(items)) {
		free(LIST_ENTRY(list_pop_front(items), struct of_trace_item, link));
	}
}

static void
free_pass(struct of_trace_pass *pass)
{
	list_remove(&pass->link);
	uninit_node(&pass->root);
	for (size_t i = 0; i < pass->n_looked; i++) {
		free(pass->looked[i].bits);
	}
	free(pass->looked);
	free(pass->packet);
	free(pass->flow);
	free(pass->final);
	free(pass->match);
	free(pass->actions);
	free(pass->dp_actions);
	free(pass);
}

static void
uninit_node(struct of_trace_node *n)
{
	while (!list_is_empty(&n->children)) {
		struct of_trace_node *child =
			LIST_ENTRY(list_pop_front(&n->children), struct of_trace_node, link);

		uninit_node(child);
		free(child);
	}
	for (unsigned i = 0; i < n->n_values; i++) {
		free(n->values[i].text);
	}
	free(n->text);
}

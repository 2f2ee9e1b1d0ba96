/* SPDX-License-Identifier: Apache-2.0
 *
 * Persistence of groups and meters: written whole whenever they change, groups also when their counters
 * have; restored before the rules that lead to them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller-agent/persist_internal.h"
#include "lib/alloc.h"
#include "lib/hash.h"
#include "lib/log.h"

WEFT_LOG_MODULE(persist);

/* Begins all records of groups and meters; alone it says that one is gone. */
struct item_head {
	uint32_t switch_id;
	uint32_t id;
};

/* Behind it: n_buckets struct bucket_record, each with its actions behind it. */
struct group_record {
	struct item_head head;
	uint64_t created_ms;
	uint64_t packets;
	uint64_t bytes;
	uint32_t n_buckets;
	uint32_t type;
};

struct bucket_record {
	uint64_t packets;
	uint64_t bytes;
	uint32_t watch_port;
	uint32_t watch_group;
	uint32_t weight;
	uint32_t actions_size;
};

struct meter_record {
	struct item_head head;
	uint64_t created_ms;
	struct dp_handle handle;
	uint32_t flags;
	uint32_t n_bands;
	struct {
		uint32_t type;
		uint32_t rate;
		uint32_t burst;
		uint32_t prec_level;
	} bands[OF_MAX_BANDS];
};

struct old_item {
	struct hmap_node node;
	struct list link; /* in the order of reading */
	bool is_group;
	uint8_t *data; /* 8-aligned */
	size_t len;
};

struct written_group {
	struct hmap_node node;
	uint64_t id; /* of the switch in the upper half */
	uint64_t packets;
};

/* --- reading ------------------------------------------------------------------------------------ */

static uint32_t
hash_item(bool is_group, const struct item_head *head)
{
	return hash_u64((uint64_t)head->switch_id << 32 | head->id, is_group);
}

static struct old_item *
find_old(const struct persist *p, bool is_group, const struct item_head *head)
{
	struct old_item *item;

	HMAP_FOREACH_WITH_HASH (item, node, hash_item(is_group, head), &p->old_items) {
		if (item->is_group == is_group && !memcmp(item->data, head, sizeof(*head))) {
			break;
		}
	}
	return item;
}

static void
free_old(struct persist *p, struct old_item *item)
{
	if (item) {
		hmap_remove(&p->old_items, &item->node);
		list_remove(&item->link);
		free(item->data);
		free(item);
	}
}

static bool
is_group_whole(const uint8_t *data, size_t len)
{
	struct group_record head;
	size_t at = sizeof(head);

	if (len < sizeof(head)) {
		return false;
	}
	memcpy(&head, data, sizeof(head));
	for (uint32_t i = 0; i < head.n_buckets; i++) {
		struct bucket_record b;

		if (len - at < sizeof(b)) {
			return false;
		}
		memcpy(&b, data + at, sizeof(b));
		at += sizeof(b);
		if (b.actions_size > len - at || b.actions_size % 8) {
			return false;
		}
		at += b.actions_size;
	}
	return at == len && head.n_buckets <= OF_MAX_BUCKETS;
}

static bool
is_meter_whole(const uint8_t *data, size_t len)
{
	struct meter_record r;

	if (len != sizeof(r)) {
		return false;
	}
	memcpy(&r, data, sizeof(r));
	return r.n_bands <= OF_MAX_BANDS;
}

bool
persist_replay_item(struct persist *p, enum state_kind kind, const void *data, size_t len)
{
	bool is_group = kind == STATE_GROUP || kind == STATE_GROUP_GONE;
	bool is_gone = kind == STATE_GROUP_GONE || kind == STATE_METER_GONE;
	struct item_head head;
	struct old_item *item;

	if (is_gone ? len != sizeof(head)
		    : !(is_group ? is_group_whole : is_meter_whole)(data, len)) {
		return false;
	}
	memcpy(&head, data, sizeof(head));
	free_old(p, find_old(p, is_group, &head));
	if (!is_gone) {
		item = xcalloc(1, sizeof(*item));
		item->is_group = is_group;
		item->data = xmemdup(data, len);
		item->len = len;
		hmap_insert(&p->old_items, &item->node, hash_item(is_group, &head));
		list_push_back(&p->old_items_order, &item->link);
	}
	return true;
}

void
persist_free_old_items(struct persist *p, uint32_t switch_id)
{
	struct old_item *item, *next;

	LIST_FOREACH_SAFE (item, next, link, &p->old_items_order) {
		if (!switch_id || ((const struct item_head *)item->data)->switch_id == switch_id) {
			free_old(p, item);
		}
	}
}

/* --- restoring ---------------------------------------------------------------------------------- */

static bool
import_group(struct ofproto *ofproto, const struct old_item *item, uint64_t now_ms,
	struct weft_error *err)
{
	const struct group_record *head = (const struct group_record *)item->data;
	struct of_bucket_view *buckets = xcalloc(head->n_buckets + 1, sizeof(*buckets));
	const uint8_t *at = item->data + sizeof(*head);
	uint64_t created_ms = WEFT_MIN(head->created_ms, now_ms);
	struct of_group_view view = {
		.id = head->head.id,
		.type = (uint8_t)head->type,
		.created_ms = created_ms,
		.packets = head->packets,
		.bytes = head->bytes,
		.n_buckets = head->n_buckets,
		.buckets = buckets,
	};
	bool ok;

	for (uint32_t i = 0; i < head->n_buckets; i++) {
		const struct bucket_record *b = (const struct bucket_record *)at;

		at += sizeof(*b);
		buckets[i] = (struct of_bucket_view){
			.weight = (uint16_t)b->weight,
			.watch_port = OF_PORT(b->watch_port),
			.watch_group = b->watch_group,
			.actions = at,
			.actions_size = b->actions_size,
			.packets = b->packets,
			.bytes = b->bytes,
		};
		at += b->actions_size;
	}
	ok = ofproto_import_group(ofproto, &view, now_ms, err);
	free(buckets);
	return ok;
}

static bool
import_meter(struct ofproto *ofproto, const struct old_item *item, uint64_t now_ms,
	struct weft_error *err)
{
	const struct meter_record *r = (const struct meter_record *)item->data;
	struct of_meter_band bands[OF_MAX_BANDS];
	uint64_t created_ms = WEFT_MIN(r->created_ms, now_ms);
	struct of_meter_view view = {
		.id = r->head.id,
		.flags = (uint16_t)r->flags,
		.created_ms = created_ms,
		.handle = r->handle,
		.n_bands = r->n_bands,
		.bands = bands,
	};

	for (uint32_t i = 0; i < r->n_bands; i++) {
		bands[i] = (struct of_meter_band){
			.type = (uint16_t)r->bands[i].type,
			.rate = r->bands[i].rate,
			.burst = r->bands[i].burst,
			.prec_level = (uint8_t)r->bands[i].prec_level,
		};
	}
	return ofproto_import_meter(ofproto, &view, now_ms, err);
}

/* Meters first; groups as soon as those that they lead to are there. */
void
persist_restore_items(struct persist *p, struct ofproto *ofproto, uint32_t old_switch_id)
{
	bool moved = true;
	struct old_item *item, *next;
	struct weft_error err = WEFT_ERROR_INIT;

	for (unsigned pass = 0; pass < 2 || moved; pass++) {
		moved = false;
		LIST_FOREACH_SAFE (item, next, link, &p->old_items_order) {
			if (((const struct item_head *)item->data)->switch_id != old_switch_id ||
				item->is_group == (pass == 0)) {
				continue;
			}
			err = (struct weft_error)WEFT_ERROR_INIT;
			if ((item->is_group ? import_group : import_meter)(
				    ofproto, item, agent_now_ms(), &err)) {
				free_old(p, item);
				moved = true;
			}
		}
	}
	LIST_FOREACH (item, link, &p->old_items_order) {
		if (((const struct item_head *)item->data)->switch_id == old_switch_id) {
			LOG_WARN_RL("switch %s: a stored group or meter is left out: %s",
				ofproto_name(ofproto), err.text);
		}
	}
	persist_free_old_items(p, old_switch_id);
}

/* --- writing ------------------------------------------------------------------------------------ */

static uint8_t *
encode_group(uint32_t switch_id, const struct of_group_view *view, size_t *len)
{
	struct group_record head = {
		.head = {switch_id, view->id},
		.created_ms = view->created_ms,
		.packets = view->packets,
		.bytes = view->bytes,
		.n_buckets = view->n_buckets,
		.type = view->type,
	};
	size_t size = sizeof(head), at = sizeof(head);
	uint8_t *data;

	for (uint32_t i = 0; i < view->n_buckets; i++) {
		size += sizeof(struct bucket_record) + view->buckets[i].actions_size;
	}
	data = xmalloc(size);
	memcpy(data, &head, sizeof(head));
	for (uint32_t i = 0; i < view->n_buckets; i++) {
		const struct of_bucket_view *b = &view->buckets[i];
		struct bucket_record record = {
			.packets = b->packets,
			.bytes = b->bytes,
			.watch_port = b->watch_port.v,
			.watch_group = b->watch_group,
			.weight = b->weight,
			.actions_size = (uint32_t)b->actions_size,
		};

		memcpy(data + at, &record, sizeof(record));
		at += sizeof(record);
		if (b->actions_size) {
			memcpy(data + at, b->actions, b->actions_size);
		}
		at += b->actions_size;
	}
	*len = size;
	return data;
}

static void
encode_meter(uint32_t switch_id, const struct of_meter_view *view, struct meter_record *r)
{
	memset(r, 0, sizeof(*r));
	r->head = (struct item_head){switch_id, view->id};
	r->created_ms = view->created_ms;
	r->handle = view->handle;
	r->flags = view->flags;
	r->n_bands = view->n_bands;
	for (uint32_t i = 0; i < view->n_bands; i++) {
		r->bands[i].type = view->bands[i].type;
		r->bands[i].rate = view->bands[i].rate;
		r->bands[i].burst = view->bands[i].burst;
		r->bands[i].prec_level = view->bands[i].prec_level;
	}
}

static struct written_group *
written(struct persist *p, uint32_t switch_id, uint32_t group)
{
	uint64_t id = (uint64_t)switch_id << 32 | group;
	struct written_group *w;

	HMAP_FOREACH_WITH_HASH (w, node, hash_u64(id, 0), &p->written_groups) {
		if (w->id == id) {
			return w;
		}
	}
	w = xcalloc(1, sizeof(*w));
	w->id = id;
	hmap_insert(&p->written_groups, &w->node, hash_u64(id, 0));
	return w;
}

void
persist_group_changed(
	void *user, struct ofproto *ofproto, uint32_t id, const struct of_group_view *view)
{
	struct persist *p = user;
	struct item_head gone = {ofproto_id(ofproto), id};
	struct written_group *w = written(p, gone.switch_id, id);
	uint8_t *data;
	size_t len;

	if (view) {
		data = encode_group(gone.switch_id, view, &len);
		state_append(p->agent->state, STATE_GROUP, data, len);
		w->packets = view->packets;
		free(data);
	} else {
		state_append(p->agent->state, STATE_GROUP_GONE, &gone, sizeof(gone));
		hmap_remove(&p->written_groups, &w->node);
		free(w);
	}
	agent_touch(p->agent);
}

void
persist_meter_changed(
	void *user, struct ofproto *ofproto, uint32_t id, const struct of_meter_view *view)
{
	struct persist *p = user;
	struct item_head gone = {ofproto_id(ofproto), id};
	struct meter_record record;

	if (view) {
		encode_meter(gone.switch_id, view, &record);
		state_append(p->agent->state, STATE_METER, &record, sizeof(record));
	} else {
		state_append(p->agent->state, STATE_METER_GONE, &gone, sizeof(gone));
	}
	agent_touch(p->agent);
}

struct visit {
	struct persist *persist;
	struct state *state; /* NULL: the journal */
	struct ofproto *ofproto;
};

static void
put_meter(const struct of_meter_view *view, void *user)
{
	struct visit *v = user;
	struct meter_record record;

	if (!v->state) {
		persist_meter_changed(v->persist, v->ofproto, view->id, view);
		return;
	}
	encode_meter(ofproto_id(v->ofproto), view, &record);
	state_snapshot_put(v->state, STATE_METER, &record, sizeof(record));
}

static void
put_group(const struct of_group_view *view, void *user)
{
	struct visit *v = user;
	uint8_t *data;
	size_t len;

	if (!v->state) {
		if (written(v->persist, ofproto_id(v->ofproto), view->id)->packets !=
			view->packets) {
			persist_group_changed(v->persist, v->ofproto, view->id, view);
		}
		return;
	}
	data = encode_group(ofproto_id(v->ofproto), view, &len);
	state_snapshot_put(v->state, STATE_GROUP, data, len);
	free(data);
}

void
persist_meter_handle(struct persist *p, struct ofproto *ofproto, uint32_t meter)
{
	struct visit v = {p, NULL, ofproto};

	if (p->follows) {
		ofproto_meter_visit(ofproto, meter, false, 0, put_meter, &v);
	}
}

void
persist_snapshot_items(struct persist *p, struct state *state, struct ofproto *ofproto)
{
	struct visit v = {p, state, ofproto};

	ofproto_meter_visit(ofproto, OFPM_ALL, false, 0, put_meter, &v);
	ofproto_group_visit(ofproto, OFPG_ALL, false, 0, put_group, &v);
}

void
persist_credit_items(struct persist *p, struct ofproto *ofproto)
{
	struct visit v = {p, NULL, ofproto};

	ofproto_group_visit(ofproto, OFPG_ALL, false, 0, put_group, &v);
}

void
persist_items_create(struct persist *p)
{
	hmap_init(&p->old_items);
	list_init(&p->old_items_order);
	hmap_init(&p->written_groups);
}

void
persist_items_destroy(struct persist *p)
{
	struct written_group *w, *next;

	persist_free_old_items(p, 0);
	hmap_uninit(&p->old_items);
	HMAP_FOREACH_SAFE (w, next, node, &p->written_groups) {
		hmap_remove(&p->written_groups, &w->node);
		free(w);
	}
	hmap_uninit(&p->written_groups);
}

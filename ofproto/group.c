/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups: group-mods as steps of a transaction, listing.
 */
#include "ofproto/of_group.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/error.h"
#include "ofproto/of_error.h"
#include "ofproto/ofproto_internal.h"

/* So that a group always fits in a message of any version. */
#define GROUP_MAX_SIZE 60000u
#define BUCKET_HEAD 16u

static const char *const type_names[OF_GROUP_TYPE_N] = {
	"all", "select", "indirect", "fast_failover"};

static bool group_mod(struct of_txn *t, struct ofproto *p, const struct of_group_mod *gm,
	bool is_import, uint64_t now_ms, struct weft_error *err);
static bool check(struct of_txn *t, struct ofproto *p, const struct of_group_mod *gm,
	bool is_import, struct weft_error *err);
static bool check_watch(struct of_txn *t, struct ofproto *p, const struct of_group_mod *gm,
	const struct of_bucket *b, struct weft_error *err);
static bool check_bucket(struct of_txn *t, struct ofproto *p, const struct of_group_mod *gm,
	const struct of_bucket *b, struct weft_error *err);
static bool check_loop(
	struct of_txn *t, struct ofproto *p, const struct of_group_mod *gm, struct weft_error *err);
static bool delete_groups(
	struct of_txn *t, struct ofproto *p, uint32_t group, struct weft_error *err);
static bool is_chained(struct ofproto *p, uint64_t version, uint32_t group);
static struct group *create(
	const struct of_group_mod *gm, const struct group *old, uint64_t now_ms);
static void destroy(struct versioned *v);
static void view_buckets(const struct group *g, struct of_bucket_view *buckets);

const char *
of_group_type_name(unsigned type)
{
	return type < OF_GROUP_TYPE_N ? type_names[type] : NULL;
}

void
of_group_mod_init(struct of_group_mod *gm)
{
	memset(gm, 0, sizeof(*gm));
}

void
of_group_mod_uninit(struct of_group_mod *gm)
{
	for (uint32_t i = 0; i < gm->n_buckets; i++) {
		of_actions_uninit(&gm->buckets[i].actions);
	}
	free(gm->buckets);
	of_group_mod_init(gm);
}

struct of_bucket *
of_group_mod_add_bucket(struct of_group_mod *gm)
{
	struct of_bucket *b;

	gm->buckets = xrealloc(gm->buckets, (gm->n_buckets + 1) * sizeof(gm->buckets[0]));
	b = &gm->buckets[gm->n_buckets++];
	*b = (struct of_bucket){.watch_port = OF_PORT_NONE, .watch_group = OFPG_ANY};
	of_actions_init(&b->actions);
	return b;
}

bool
ofproto_group_mod(
	struct ofproto *p, const struct of_group_mod *gm, uint64_t now_ms, struct weft_error *err)
{
	struct of_txn *t = txn_begin(p->model, 1);

	if (!of_txn_group_mod(t, p, gm, now_ms, err)) {
		of_txn_abort(t);
		return false;
	}
	of_txn_commit(t, now_ms);
	return true;
}

bool
of_txn_group_mod(struct of_txn *t, struct ofproto *p, const struct of_group_mod *gm,
	uint64_t now_ms, struct weft_error *err)
{
	return group_mod(t, p, gm, false, now_ms, err);
}

/* @is_import: the ports that it watches may come later. */
static bool
group_mod(struct of_txn *t, struct ofproto *p, const struct of_group_mod *gm, bool is_import,
	uint64_t now_ms, struct weft_error *err)
{
	struct group *old;

	if (gm->command == OF_MOD_DELETE) {
		return delete_groups(t, p, gm->group, err);
	}
	if (gm->command != OF_MOD_ADD && gm->command != OF_MOD_MODIFY) {
		return of_error_set(err, OFPET_GROUP_MOD_FAILED, OFPGMFC_BAD_COMMAND,
			"unknown group-mod command");
	}
	if (gm->group > OFPG_MAX) {
		return of_error_set(err, OFPET_GROUP_MOD_FAILED, OFPGMFC_INVALID_GROUP,
			"0x%x is not the number of a group", gm->group);
	}
	old = group_of(versioned_find(&p->groups, gm->group, txn_version(t)));
	if (gm->command == OF_MOD_ADD && old) {
		return of_error_set(err, OFPET_GROUP_MOD_FAILED, OFPGMFC_GROUP_EXISTS,
			"group %u exists already", gm->group);
	}
	if (gm->command == OF_MOD_MODIFY && !old) {
		return of_error_set(err, OFPET_GROUP_MOD_FAILED, OFPGMFC_UNKNOWN_GROUP,
			"group %u does not exist", gm->group);
	}
	if (!check(t, p, gm, is_import, err)) {
		return false;
	}
	if (!old && p->groups.n_next >= OF_MAX_GROUPS) {
		return of_error_set(err, OFPET_GROUP_MOD_FAILED, OFPGMFC_OUT_OF_GROUPS,
			"there are %u groups already", OF_MAX_GROUPS);
	}
	if (old) {
		txn_remove_item(t, p, OF_ITEM_GROUP, &old->v);
	}
	txn_add_item(t, p, OF_ITEM_GROUP, &create(gm, old, now_ms)->v, destroy);
	return true;
}

bool
ofproto_import_group(struct ofproto *p, const struct of_group_view *view, uint64_t now_ms,
	struct weft_error *err)
{
	struct of_group_mod gm;
	struct of_txn *t;
	struct group *g;
	bool ok;

	of_group_mod_init(&gm);
	gm.command = OF_MOD_ADD;
	gm.type = view->type;
	gm.group = view->id;
	for (uint32_t i = 0; i < view->n_buckets; i++) {
		const struct of_bucket_view *from = &view->buckets[i];
		struct of_bucket *b = of_group_mod_add_bucket(&gm);

		b->weight = from->weight;
		b->watch_port = from->watch_port;
		b->watch_group = from->watch_group;
		of_actions_append(&b->actions, from->actions, from->actions_size);
	}
	t = txn_begin(p->model, 1);
	ok = group_mod(t, p, &gm, true, view->created_ms, err);
	of_group_mod_uninit(&gm);
	if (!ok) {
		of_txn_abort(t);
	} else {
		of_txn_commit(t, now_ms);
		g = group_of(versioned_find(&p->groups, view->id, of_model_version(p->model)));
		of_counter_add(g->counter, view->packets, view->bytes);
		for (uint32_t i = 0; i < view->n_buckets; i++) {
			of_counter_add(g->buckets[i].counter, view->buckets[i].packets,
				view->buckets[i].bytes);
		}
	}
	return ok;
}

/* --- checks -------------------------------------------------------------------------------------- */

static bool
check(struct of_txn *t, struct ofproto *p, const struct of_group_mod *gm, bool is_import,
	struct weft_error *err)
{
	size_t size = 0;

	if (gm->type >= OF_GROUP_TYPE_N) {
		return of_error_set(err, OFPET_GROUP_MOD_FAILED, OFPGMFC_BAD_TYPE,
			"unknown type %u of group", gm->type);
	}
	if (gm->n_buckets > OF_MAX_BUCKETS) {
		return of_error_set(err, OFPET_GROUP_MOD_FAILED, OFPGMFC_OUT_OF_BUCKETS,
			"%u buckets, more than %u", gm->n_buckets, OF_MAX_BUCKETS);
	}
	if (gm->type == OF_GROUP_INDIRECT && gm->n_buckets != 1) {
		return of_error_set(err, OFPET_GROUP_MOD_FAILED, OFPGMFC_INVALID_GROUP,
			"an indirect group has one bucket, not %u", gm->n_buckets);
	}
	for (uint32_t i = 0; i < gm->n_buckets; i++) {
		if (!check_bucket(t, p, gm, &gm->buckets[i], err) ||
			(!is_import && !check_watch(t, p, gm, &gm->buckets[i], err))) {
			return false;
		}
		size += BUCKET_HEAD + gm->buckets[i].actions.size;
	}
	if (size > GROUP_MAX_SIZE) {
		return of_error_set(err, OFPET_GROUP_MOD_FAILED, OFPGMFC_OUT_OF_BUCKETS,
			"the buckets of a group take more than %u bytes", GROUP_MAX_SIZE);
	}
	return check_loop(t, p, gm, err);
}

static bool
check_bucket(struct of_txn *t, struct ofproto *p, const struct of_group_mod *gm,
	const struct of_bucket *b, struct weft_error *err)
{
	struct txn_scope scope = {p, txn_version(t)};
	struct of_check check = {
		.is_actions = true,
		.group_exists = txn_group_exists,
		.meter_exists = txn_meter_exists,
		.user = &scope,
	};

	if (b->weight && gm->type != OF_GROUP_SELECT) {
		return of_error_set(err, OFPET_GROUP_MOD_FAILED, OFPGMFC_INVALID_GROUP,
			"weights are for select groups");
	}
	if (b->watch_group == gm->group ||
		of_actions_use_group(b->actions.data, b->actions.size, gm->group)) {
		return of_error_set(err, OFPET_GROUP_MOD_FAILED, OFPGMFC_LOOP,
			"group %u leads to itself", gm->group);
	}
	return of_actions_check(b->actions.data, b->actions.size, &check, err);
}

static bool
check_watch(struct of_txn *t, struct ofproto *p, const struct of_group_mod *gm,
	const struct of_bucket *b, struct weft_error *err)
{
	bool watches = !of_port_is(b->watch_port, OFPP_ANY) || b->watch_group != OFPG_ANY;

	if (watches && (gm->type == OF_GROUP_ALL || gm->type == OF_GROUP_INDIRECT)) {
		return of_error_set(err, OFPET_GROUP_MOD_FAILED, OFPGMFC_WATCH_UNSUPPORTED,
			"a group of type %s watches nothing", type_names[gm->type]);
	}
	if (!watches && gm->type == OF_GROUP_FAST_FAILOVER) {
		return of_error_set(err, OFPET_GROUP_MOD_FAILED, OFPGMFC_INVALID_GROUP,
			"a bucket of a fast failover group must watch a port or a group");
	}
	if (!of_port_is(b->watch_port, OFPP_ANY) && !ofport_find(p, b->watch_port)) {
		return of_error_set(err, OFPET_GROUP_MOD_FAILED, OFPGMFC_BAD_WATCH,
			"there is no port %u to watch", b->watch_port.v);
	}
	if (b->watch_group != OFPG_ANY &&
		!versioned_find(&p->groups, b->watch_group, txn_version(t))) {
		return of_error_set(err, OFPET_GROUP_MOD_FAILED, OFPGMFC_BAD_WATCH,
			"there is no group %u to watch", b->watch_group);
	}
	return true;
}

/* A search through all groups that the new one would lead to. */
struct search {
	struct ofproto *p;
	uint64_t version;
	uint32_t wanted;
	uint32_t mark;
	struct group **left; /* found, not yet looked into */
	size_t n_left;
	size_t capacity;
	bool found;
};

static void
reach(uint16_t type, uint32_t id, void *search)
{
	struct search *s = search;
	struct group *g;

	if (type != OF_ACTION_GROUP) {
		return;
	}
	s->found |= id == s->wanted;
	g = group_of(versioned_find(&s->p->groups, id, s->version));
	if (!g || g->mark == s->mark) {
		return;
	}
	g->mark = s->mark;
	if (s->n_left == s->capacity) {
		s->capacity = 2 * s->capacity + 16;
		s->left = xrealloc(s->left, s->capacity * sizeof(s->left[0]));
	}
	s->left[s->n_left++] = g;
}

static void
reach_bucket(struct search *s, const void *actions, size_t size, uint32_t watch_group)
{
	of_actions_each_object(actions, size, reach, s);
	if (watch_group != OFPG_ANY) {
		reach(OF_ACTION_GROUP, watch_group, s);
	}
}

static bool
check_loop(
	struct of_txn *t, struct ofproto *p, const struct of_group_mod *gm, struct weft_error *err)
{
	struct search s = {
		.p = p,
		.version = txn_version(t),
		.wanted = gm->group,
		.mark = ++p->group_mark,
	};

	for (uint32_t i = 0; i < gm->n_buckets; i++) {
		const struct of_bucket *b = &gm->buckets[i];

		reach_bucket(&s, b->actions.data, b->actions.size, b->watch_group);
	}
	while (s.n_left && !s.found) {
		const struct group *g = s.left[--s.n_left];

		for (uint32_t i = 0; i < g->n_buckets; i++) {
			reach_bucket(&s, g->buckets[i].actions, g->buckets[i].size,
				g->buckets[i].watch_group);
		}
	}
	free(s.left);
	return !s.found || of_error_set(err, OFPET_GROUP_MOD_FAILED, OFPGMFC_LOOP,
				   "group %u would lead to itself", gm->group);
}

/* --- deletion ------------------------------------------------------------------------------------ */

static bool
delete_groups(struct of_txn *t, struct ofproto *p, uint32_t group, struct weft_error *err)
{
	uint64_t version = txn_version(t);
	struct group *g;

	if (group != OFPG_ALL) {
		if (group > OFPG_MAX) {
			return of_error_set(err, OFPET_GROUP_MOD_FAILED, OFPGMFC_INVALID_GROUP,
				"0x%x is not the number of a group", group);
		}
		g = group_of(versioned_find(&p->groups, group, version));
		if (!g) {
			return true; /* deleting what is not there is no error */
		}
		if (is_chained(p, version, group)) {
			return of_error_set(err, OFPET_GROUP_MOD_FAILED, OFPGMFC_CHAINED_GROUP,
				"another group leads to group %u", group);
		}
		txn_remove_users(t, p, OF_ITEM_GROUP, group, false);
		txn_remove_item(t, p, OF_ITEM_GROUP, &g->v);
		return true;
	}
	txn_remove_users(t, p, OF_ITEM_GROUP, group, true);
	LIST_FOREACH (g, v.by_table, &p->groups.items) {
		if (versioned_is_visible(&g->v, version)) {
			txn_remove_item(t, p, OF_ITEM_GROUP, &g->v);
		}
	}
	return true;
}

static bool
is_chained(struct ofproto *p, uint64_t version, uint32_t group)
{
	const struct group *g;

	LIST_FOREACH (g, v.by_table, &p->groups.items) {
		for (uint32_t i = 0; i < g->n_buckets; i++) {
			const struct group_bucket *b = &g->buckets[i];

			if (versioned_is_visible(&g->v, version) &&
				(b->watch_group == group ||
					of_actions_use_group(b->actions, b->size, group))) {
				return true;
			}
		}
	}
	return false;
}

/* --- life ---------------------------------------------------------------------------------------- */

/* @old: whose top counters and age go on; NULL: none. */
static struct group *
create(const struct of_group_mod *gm, const struct group *old, uint64_t now_ms)
{
	size_t head = sizeof(struct group) + gm->n_buckets * sizeof(struct group_bucket);
	size_t size = head;
	struct group *g;
	uint8_t *at;

	for (uint32_t i = 0; i < gm->n_buckets; i++) {
		size += gm->buckets[i].actions.size;
	}
	g = xcalloc(1, size);
	at = (uint8_t *)g + head;
	g->v.id = gm->group;
	g->type = gm->type;
	g->created_ms = old ? old->created_ms : now_ms;
	g->counter = old ? of_counter_ref(old->counter) : of_counter_create(0, 0);
	g->n_buckets = gm->n_buckets;
	for (uint32_t i = 0; i < gm->n_buckets; i++) {
		const struct of_bucket *b = &gm->buckets[i];

		g->buckets[i] = (struct group_bucket){
			.weight = b->weight,
			.watch_port = b->watch_port,
			.watch_group = b->watch_group,
			.size = (uint32_t)b->actions.size,
			.actions = at,
			.counter = of_counter_create(0, 0),
		};
		if (b->actions.size) {
			memcpy(at, b->actions.data, b->actions.size);
		}
		at += b->actions.size;
	}
	return g;
}

static void
destroy(struct versioned *v)
{
	struct group *g = group_of(v);

	for (uint32_t i = 0; i < g->n_buckets; i++) {
		of_counter_unref(g->buckets[i].counter);
	}
	of_counter_unref(g->counter);
	free(g);
}

/* --- listing ------------------------------------------------------------------------------------- */

static void
group_view(const struct ofproto *p, const struct group *g, uint64_t now_ms,
	struct of_bucket_view *buckets, struct of_group_view *view)
{
	view_buckets(g, buckets);
	*view = (struct of_group_view){
		.id = g->v.id,
		.type = g->type,
		.n_refs = g->n_refs,
		.created_ms = g->created_ms,
		.now_ms = now_ms,
		.packets = atomic_load_explicit(&g->counter->packets, memory_order_relaxed),
		.bytes = atomic_load_explicit(&g->counter->bytes, memory_order_relaxed),
		.n_buckets = g->n_buckets,
		.buckets = buckets,
		.tlvs = &p->tlvs,
	};
}

static void
view_buckets(const struct group *g, struct of_bucket_view *buckets)
{
	for (uint32_t i = 0; i < g->n_buckets; i++) {
		const struct group_bucket *b = &g->buckets[i];

		buckets[i] = (struct of_bucket_view){
			.weight = b->weight,
			.watch_port = b->watch_port,
			.watch_group = b->watch_group,
			.actions = b->actions,
			.actions_size = b->size,
			.packets = atomic_load_explicit(&b->counter->packets, memory_order_relaxed),
			.bytes = atomic_load_explicit(&b->counter->bytes, memory_order_relaxed),
		};
	}
}

bool
ofproto_group_visit(struct ofproto *p, uint32_t group, bool with_refs, uint64_t now_ms,
	void (*visit)(const struct of_group_view *view, void *user), void *user)
{
	struct of_bucket_view *buckets = xcalloc(OF_MAX_BUCKETS, sizeof(*buckets));
	uint64_t version = of_model_version(p->model);
	struct versioned **items;
	struct of_group_view view;
	size_t n;

	if (with_refs) {
		of_count_refs(p, version);
	}
	items = versioned_collect(&p->groups, group, group == OFPG_ALL, version, &n);
	for (size_t i = 0; i < n; i++) {
		group_view(p, group_of(items[i]), now_ms, buckets, &view);
		visit(&view, user);
	}
	free(items);
	free(buckets);
	return n > 0;
}

size_t
ofproto_n_groups(const struct ofproto *p)
{
	return p->groups.n;
}

void
group_journal(struct ofproto *p, uint32_t id, uint64_t version, uint64_t now_ms)
{
	const struct of_journal_ops *j = &p->model->journal;
	const struct group *g = group_of(versioned_find(&p->groups, id, version));
	struct of_bucket_view *buckets;
	struct of_group_view view;

	if (!j->group) {
		return;
	}
	if (!g) {
		j->group(j->user, p, id, NULL);
		return;
	}
	buckets = xcalloc(OF_MAX_BUCKETS, sizeof(*buckets));
	group_view(p, g, now_ms, buckets, &view);
	j->group(j->user, p, id, &view);
	free(buckets);
}

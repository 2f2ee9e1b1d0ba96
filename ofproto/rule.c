/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules: life, counters, versions of their actions.
 *
 * Life: created in a transaction; published; published as removed. Then, a grace period later, no
 *       reader can find it visible, so that the references of flows can only become fewer: it leaves
 *       the classifier. Another grace period later no reader stands on it: the table's reference is
 *       given back, or, if a flow-removed is due, waits until it is the last. The last reference
 *       frees the memory, in whatever thread.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "ofproto/ofproto_internal.h"
#include "ofproto/translate.h"

static void leave_classifier(struct grace_item *item);
static void leave_memory(struct grace_item *item);
static void move_counters(struct rule *from, struct rule *to);
static void free_rule(struct rule *r);
static void free_actions(struct grace_item *item);

struct rule *
rule_create(struct ofproto *p, uint8_t table, const struct of_match *match, uint16_t priority)
{
	struct rule *r = xcalloc(1, sizeof(*r) + cls_rule_words_size(match));

	r->ofproto = p;
	r->table = table;
	r->cls.priority = priority;
	r->id = p->model->next_rule_id++;
	r->heap_index = UINT32_MAX;
	atomic_init(&r->refs, 1);
	list_init(&r->by_table);
	list_init(&r->by_objects);
	ofproto_ref(p);
	return r;
}

struct rule *
rule_create_miss(struct ofproto *p, uint8_t table)
{
	struct of_match any;
	struct rule *r;

	of_match_init(&any);
	r = rule_create(p, table, &any, 0);
	r->is_miss = true;
	return r;
}

const struct rule_actions *
rule_actions_at(const struct rule *r, uint64_t version)
{
	const struct rule_actions *a = atomic_load_explicit(&r->actions, memory_order_acquire);

	while (a->from > version) {
		a = a->older;
	}
	return a;
}

struct rule_actions *
rule_actions_create(uint64_t from, uint64_t cookie, const void *data, size_t size)
{
	struct rule_actions *a = xmalloc(sizeof(*a) + size);

	*a = (struct rule_actions){.from = from, .cookie = cookie, .size = (uint32_t)size};
	if (size) {
		memcpy(a->data, data, size);
	}
	return a;
}

void
rule_push_actions(struct rule *r, struct rule_actions *a)
{
	a->older = atomic_load_explicit(&r->actions, memory_order_relaxed);
	atomic_store_explicit(&r->actions, a, memory_order_release);
}

void
rule_settle_actions(struct rule *r)
{
	struct rule_actions *a = atomic_load_explicit(&r->actions, memory_order_relaxed), *older;

	if (a->older_retired) {
		return;
	}
	/* The links stay: readers of older versions may still follow them. */
	a->older_retired = true;
	for (a = a->older; a; a = older) {
		older = a->older_retired ? NULL : a->older;
		grace_retire(&r->ofproto->model->grace, &a->retired, free_actions);
	}
}

void
rule_pop_actions(struct rule *r)
{
	struct rule_actions *a = atomic_load_explicit(&r->actions, memory_order_relaxed);

	atomic_store_explicit(&r->actions, a->older, memory_order_release);
	grace_retire(&r->ofproto->model->grace, &a->retired, free_actions);
}

void
rule_bequeath(struct rule *r, struct rule *heir)
{
	of_rule_ref(heir);
	atomic_store_explicit(&r->heir, heir, memory_order_release);
	move_counters(r, heir);
}

void
rule_retire(struct rule *r)
{
	grace_retire(&r->ofproto->model->grace, &r->retired, leave_classifier);
}

void
rule_view(const struct rule *r, uint64_t version, uint64_t now_ms, struct of_flow_view *view)
{
	const struct rule_actions *a = rule_actions_at(r, version);
	uint64_t used_ms = atomic_load_explicit(&r->used_ms, memory_order_relaxed);

	*view = (struct of_flow_view){
		.table = r->table,
		.priority = r->cls.priority,
		.idle_timeout = r->idle_timeout,
		.hard_timeout = r->hard_timeout,
		.flags = r->flags,
		.importance = r->importance,
		.cookie = a->cookie,
		.created_ms = r->created_ms,
		.used_ms = used_ms > r->created_ms ? used_ms : r->created_ms,
		.now_ms = now_ms,
		.actions = a->data,
		.actions_size = a->size,
		.id = r->id,
		.tlvs = &r->ofproto->tlvs,
	};
	if (!(r->flags & OF_FLAG_NO_PKT_COUNTS)) {
		view->packets = atomic_load_explicit(&r->packets, memory_order_relaxed);
	}
	if (!(r->flags & OF_FLAG_NO_BYT_COUNTS)) {
		view->bytes = atomic_load_explicit(&r->bytes, memory_order_relaxed);
	}
	cls_rule_match(&r->cls, &view->match);
}

bool
rule_run_dying(struct of_model *m, uint64_t now_ms, unsigned budget)
{
	struct list *l = m->dying.next;

	while (budget-- && l != &m->dying) {
		struct rule *r = LIST_ENTRY(l, struct rule, dying);
		struct of_flow_view view;

		l = l->next;
		if (atomic_load_explicit(&r->refs, memory_order_acquire) > 1) {
			continue;
		}
		list_remove(&r->dying);
		rule_view(r, UINT64_MAX, now_ms, &view);
		m->events.flow_removed(m->events.user, r->ofproto, &view, r->removed_reason);
		of_rule_unref(r);
	}
	return !list_is_empty(&m->dying);
}

void
of_rule_ref(struct rule *r)
{
	atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
}

void
of_rule_unref(struct rule *r)
{
	if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) == 1) {
		free_rule(r);
	}
}

bool
of_rule_is_removed(const struct rule *r)
{
	return atomic_load_explicit(&r->cls.removed, memory_order_relaxed) != CLS_NEVER;
}

void
of_rule_credit(struct rule *r, uint64_t packets, uint64_t bytes, uint64_t used_ms)
{
	struct oftable *t = &r->ofproto->tables[r->table];
	struct rule *heir;
	uint64_t seen;

	atomic_fetch_add_explicit(
		r->is_miss ? &t->n_missed : &t->n_matched, packets, memory_order_relaxed);
	while ((heir = atomic_load_explicit(&r->heir, memory_order_acquire))) {
		r = heir;
	}
	atomic_fetch_add_explicit(&r->packets, packets, memory_order_relaxed);
	atomic_fetch_add_explicit(&r->bytes, bytes, memory_order_relaxed);
	seen = atomic_load_explicit(&r->used_ms, memory_order_relaxed);
	while (seen < used_ms && !atomic_compare_exchange_weak_explicit(&r->used_ms, &seen, used_ms,
					 memory_order_relaxed, memory_order_relaxed)) {
	}
}

static void
leave_classifier(struct grace_item *item)
{
	struct rule *r = WEFT_CONTAINER_OF(item, struct rule, retired);

	if (!r->is_miss) {
		cls_remove(&r->ofproto->tables[r->table].cls, &r->cls);
	}
	grace_retire(&r->ofproto->model->grace, &r->retired, leave_memory);
}

static void
leave_memory(struct grace_item *item)
{
	struct rule *r = WEFT_CONTAINER_OF(item, struct rule, retired);

	if (r->flags & OF_FLAG_SEND_FLOW_REM) {
		list_push_back(&r->ofproto->model->dying, &r->dying);
	} else {
		of_rule_unref(r);
	}
}

static void
move_counters(struct rule *from, struct rule *to)
{
	atomic_fetch_add_explicit(&to->packets,
		atomic_exchange_explicit(&from->packets, 0, memory_order_relaxed),
		memory_order_relaxed);
	atomic_fetch_add_explicit(&to->bytes,
		atomic_exchange_explicit(&from->bytes, 0, memory_order_relaxed),
		memory_order_relaxed);
}

static void
free_rule(struct rule *r)
{
	struct rule *heir = atomic_load_explicit(&r->heir, memory_order_relaxed);

	if (heir) {
		/* From whoever looked for an heir before there was one. */
		move_counters(r, heir);
		of_rule_unref(heir);
	}
	if (r->cls.subtable) {
		cls_rule_uninit(&r->cls);
	}
	/* Older ones were retired when newer ones were published. */
	free(atomic_load_explicit(&r->actions, memory_order_relaxed));
	ofproto_unref(r->ofproto);
	free(r);
}

static void
free_actions(struct grace_item *item)
{
	free(WEFT_CONTAINER_OF(item, struct rule_actions, retired));
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Transactions.
 *
 * Publish: one store of the version. What it leaves to be done (counters, timeouts, retiring, the journal)
 *          nobody who looks at rules can see, so that it may go in slices.
 * Lost:    the end of a switch, or of its rules by themselves, does not wait for whoever prepares a long
 *          transaction: that one is taken back, or finished if it is published, and its owner told.
 */
#include "ofproto/txn.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>

#include "lib/alloc.h"
#include "ofproto/of_learned_internal.h"

/* How far ahead the version of a transaction lies that is prepared in slices: ports, learned addresses
 * and the like move the published version meanwhile. */
#define TXN_AHEAD (UINT64_C(1) << 20)

static void settle(struct of_txn *t, const struct op *op);
static void journal(struct of_txn *t, const struct op *op, uint64_t now_ms);
static void undo(struct of_txn *t, const struct op *op);
static void lose(struct of_txn *t);
static bool is_item(enum op_kind kind);
static size_t change_of(enum op_kind kind);
static size_t *count_of(const struct rule *r);

struct of_txn *
of_txn_begin(struct of_model *m, void (*lost)(void *user), void *user)
{
	struct of_txn *t;

	if (m->txn) {
		return NULL;
	}
	t = txn_begin(m, TXN_AHEAD);
	t->lost = lost;
	t->user = user;
	return t;
}

struct of_txn *
txn_begin(struct of_model *m, uint64_t ahead)
{
	struct of_txn *t;

	if (m->txn) {
		lose(m->txn);
	}
	t = xcalloc(1, sizeof(*t));
	t->model = m;
	t->version = of_model_version(m) + ahead;
	m->txn = t;
	return t;
}

static void
lose(struct of_txn *t)
{
	void (*lost)(void *user) = t->lost;
	void *user = t->user;

	assert(lost);
	if (t->is_published) {
		while (of_txn_finish(t, t->model->now_ms, UINT_MAX)) {
		}
	} else {
		of_txn_abort(t);
	}
	lost(user);
}

static void
free_txn(struct of_txn *t)
{
	t->model->txn = NULL;
	change_batch_destroy(t->noted);
	free(t->ops);
	free(t);
}

bool
of_model_in_txn(const struct of_model *m)
{
	return m->txn != NULL;
}

bool
txn_holds_memory(const struct of_model *m)
{
	return m->txn && m->txn->is_published;
}

/* --- the end ------------------------------------------------------------------------------------- */

uint64_t
of_txn_publish(struct of_txn *t)
{
	struct of_model *m = t->model;

	assert(!t->is_published);
	t->is_published = true;
	if (!t->n) {
		return of_model_version(m);
	}
	assert(of_model_version(m) < t->version);
	model_append_changes(m, t->noted, t->version);
	t->noted = NULL;
	atomic_store_explicit(&m->version, t->version, memory_order_release);
	if (m->journal.published) {
		m->journal.published(m->journal.user);
	}
	return t->version;
}

bool
of_txn_finish(struct of_txn *t, uint64_t now_ms, unsigned steps)
{
	bool tells = t->model->journal.flow || t->has_items;
	struct of_model *m;

	for (; t->pass != TXN_DONE; t->pass++, t->at = 0) {
		for (; t->at < t->n; t->at++) {
			if (!steps--) {
				return true;
			}
			if (t->pass == TXN_SETTLE) {
				settle(t, &t->ops[t->at]);
			} else if (tells) {
				journal(t, &t->ops[t->at], now_ms);
			}
		}
	}
	m = t->model;
	free_txn(t);
	model_unlearn(m, now_ms);
	return false;
}

uint64_t
of_txn_commit(struct of_txn *t, uint64_t now_ms)
{
	uint64_t version = of_txn_publish(t);

	while (of_txn_finish(t, now_ms, UINT_MAX)) {
	}
	return version;
}

void
of_txn_abort(struct of_txn *t)
{
	assert(!t->is_published);
	for (size_t i = t->n; i-- > 0;) {
		undo(t, &t->ops[i]);
	}
	free_txn(t);
}

/* --- steps --------------------------------------------------------------------------------------- */

struct op *
txn_note(struct of_txn *t, enum op_kind kind, struct rule *r)
{
	if (t->n == t->capacity) {
		t->capacity = 2 * t->capacity + 4;
		t->ops = xrealloc(t->ops, t->capacity * sizeof(t->ops[0]));
	}
	t->ops[t->n] = (struct op){.rule = r, .kind = kind};
	if (r) {
		*count_of(r) += change_of(kind);
		r->ofproto->tables[r->table].n_changes++;
	}
	if (kind == OP_ADD) {
		change_note_rule(
			&t->noted, of_dep(OF_DEP_TABLE, r->ofproto->id, r->table), &r->cls);
	} else if (r) {
		change_note(&t->noted, of_dep(OF_DEP_RULE, 0, (uintptr_t)r));
	}
	return &t->ops[t->n++];
}

void
txn_remove(struct of_txn *t, struct rule *r, enum of_removed_reason reason)
{
	r->removed_reason = (uint8_t)reason;
	atomic_store_explicit(&r->cls.removed, t->version, memory_order_release);
	txn_note(t, OP_REMOVE, r);
}

uint64_t
txn_version(const struct of_txn *t)
{
	return t->version;
}

static void
note_item(struct of_txn *t, enum op_kind kind, struct ofproto *p, enum of_item_kind item_kind,
	struct versioned *item)
{
	struct op *op = txn_note(t, kind, NULL);

	op->ofproto = p;
	op->item_kind = item_kind;
	op->item = item;
	item->table->n_next += change_of(kind);
	t->has_items = true;
	change_note(&t->noted,
		of_dep(item_kind == OF_ITEM_GROUP ? OF_DEP_GROUP : OF_DEP_METER, p->id, item->id));
}

void
txn_add_item(struct of_txn *t, struct ofproto *p, enum of_item_kind kind, struct versioned *item,
	void (*destroy)(struct versioned *item))
{
	versioned_insert(
		kind == OF_ITEM_GROUP ? &p->groups : &p->meters, item, t->version, destroy);
	note_item(t, OP_ITEM_ADD, p, kind, item);
}

void
txn_remove_item(struct of_txn *t, struct ofproto *p, enum of_item_kind kind, struct versioned *item)
{
	atomic_store_explicit(&item->removed, t->version, memory_order_release);
	note_item(t, OP_ITEM_REMOVE, p, kind, item);
}

void
txn_remove_items(struct of_txn *t, struct ofproto *p)
{
	struct versioned *item;

	LIST_FOREACH (item, by_table, &p->groups.items) {
		txn_remove_item(t, p, OF_ITEM_GROUP, item);
	}
	LIST_FOREACH (item, by_table, &p->meters.items) {
		txn_remove_item(t, p, OF_ITEM_METER, item);
	}
}

void
txn_remove_users(struct of_txn *t, struct ofproto *p, enum of_item_kind kind, uint32_t id, bool all)
{
	struct rule *r;

	LIST_FOREACH (r, by_objects, &p->object_rules) {
		const struct rule_actions *a = rule_actions_at(r, t->version);

		if (cls_rule_visible(&r->cls, t->version) &&
			of_actions_use_object(a->data, a->size, kind, id, all)) {
			txn_remove(
				t, r, kind == OF_ITEM_GROUP ? OF_REMOVED_GROUP : OF_REMOVED_METER);
		}
	}
}

/* Of a group or meter; else of a rule. */
static bool
is_item(enum op_kind kind)
{
	return kind == OP_ITEM_ADD || kind == OP_ITEM_REMOVE;
}

/* What the step adds to what there will be: 1, 0 or -1. */
static size_t
change_of(enum op_kind kind)
{
	switch (kind) {
	case OP_ADD:
	case OP_ITEM_ADD:
		return 1;
	case OP_REMOVE:
	case OP_REPLACE:
	case OP_ITEM_REMOVE:
		return (size_t)-1;
	case OP_ACTIONS:
		break;
	}
	return 0;
}

static size_t *
count_of(const struct rule *r)
{
	return &r->ofproto->tables[r->table].n_next;
}

/* --- what becomes of them ----------------------------------------------------------------------------- */

static void
settle(struct of_txn *t, const struct op *op)
{
	struct rule *r = op->rule;

	switch (op->kind) {
	case OP_ADD:
		r->ofproto->tables[r->table].n_active++;
		r->ofproto->n_rules++;
		expiry_add(t->model, r);
		rule_note_learns(r, true);
		break;
	case OP_REPLACE:
		/* No flow-removed for what an add replaces (s.6.4). */
		r->flags &= (uint16_t)~OF_FLAG_SEND_FLOW_REM;
		if (!op->reset_counts) {
			rule_bequeath(r, op->heir);
		}
		__attribute__((fallthrough));
	case OP_REMOVE:
		r->ofproto->tables[r->table].n_active--;
		r->ofproto->n_rules--;
		expiry_del(t->model, r);
		list_remove(&r->by_table);
		list_remove(&r->by_objects);
		rule_note_learns(r, false);
		rule_retire(r);
		break;
	case OP_ACTIONS:
		rule_settle_actions(r);
		if (cls_rule_visible(&r->cls, t->version)) {
			rule_note_learns(r, true);
		}
		if (op->reset_counts) {
			atomic_store_explicit(&r->packets, 0, memory_order_relaxed);
			atomic_store_explicit(&r->bytes, 0, memory_order_relaxed);
		}
		break;
	case OP_ITEM_ADD:
		break;
	case OP_ITEM_REMOVE:
		versioned_retire(op->item);
		break;
	}
}

/* What stands in the place of an item that goes. */
static struct versioned *
txn_item_find(const struct of_txn *t, const struct op *op)
{
	const struct ofproto *p = op->ofproto;

	return versioned_find(
		op->item_kind == OF_ITEM_GROUP ? &p->groups : &p->meters, op->item->id, t->version);
}

/* A rule that came and went in one transaction is not worth telling. */
static void
journal(struct of_txn *t, const struct op *op, uint64_t now_ms)
{
	const struct of_journal_ops *j = &t->model->journal;
	struct rule *r = op->rule;
	struct of_flow_view view;

	if (is_item(op->kind)) {
		if (op->kind == OP_ITEM_REMOVE && txn_item_find(t, op)) {
			return; /* changed: told when its heir is */
		}
		(op->item_kind == OF_ITEM_GROUP ? group_journal : meter_journal)(
			op->ofproto, op->item->id, t->version, now_ms);
		return;
	}
	if (!j->flow) {
		return;
	}
	if (op->kind == OP_REMOVE || op->kind == OP_REPLACE) {
		j->flow(j->user, r->ofproto, r->id, NULL);
	} else if (cls_rule_visible(&r->cls, t->version)) {
		rule_view(r, t->version, now_ms, &view);
		j->flow(j->user, r->ofproto, r->id, &view);
	}
}

static void
undo(struct of_txn *t, const struct op *op)
{
	struct rule *r = op->rule;

	*(is_item(op->kind) ? &op->item->table->n_next : count_of(r)) -= change_of(op->kind);
	switch (op->kind) {
	case OP_ADD:
		/* Never visible to anyone, but readers may be walking over it. */
		atomic_store_explicit(&r->cls.removed, 0, memory_order_release);
		r->flags = 0;
		list_remove(&r->by_table);
		list_remove(&r->by_objects);
		rule_retire(r);
		break;
	case OP_REMOVE:
	case OP_REPLACE:
		atomic_store_explicit(&r->cls.removed, CLS_NEVER, memory_order_release);
		break;
	case OP_ACTIONS:
		rule_pop_actions(r);
		break;
	case OP_ITEM_ADD:
		atomic_store_explicit(&op->item->removed, 0, memory_order_release);
		versioned_retire(op->item);
		break;
	case OP_ITEM_REMOVE:
		atomic_store_explicit(&op->item->removed, VERSIONED_NEVER, memory_order_release);
		break;
	}
}

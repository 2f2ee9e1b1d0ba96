/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow-mods: changes of rules, as steps of a transaction (OpenFlow 1.3.5 s.6.4).
 *
 * A step changes nothing that a reader of the published version can see: it adds rules that are
 * visible from the transaction's version on, gives rules a last version, or pushes newer actions onto
 * them. Commit stores the version; abort takes the steps back in reverse order.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/error.h"
#include "ofproto/of_error.h"
#include "ofproto/ofproto_internal.h"
#include "ofproto/translate.h"

/* How far ahead the version of a transaction lies that is prepared in slices: ports, learned addresses
 * and the like move the published version meanwhile. */
#define TXN_AHEAD (UINT64_C(1) << 20)
/* Retired objects that one flow-mod frees on its way, so that a flood of them stays bounded. */
#define FREE_PER_MOD 4

enum op_kind {
	OP_ADD,
	OP_REMOVE,
	OP_REPLACE, /* an add took its place */
	OP_ACTIONS,
	OP_ITEM_ADD, /* a group or meter */
	OP_ITEM_REMOVE,
};

struct op {
	struct rule *rule;
	struct rule *heir; /* REPLACE */
	enum op_kind kind;
	bool reset_counts; /* REPLACE, ACTIONS */
	/* ITEM_*. */
	enum of_item_kind item_kind;
	struct ofproto *ofproto;
	struct versioned *item;
};

struct of_txn {
	struct of_model *model;
	uint64_t version;
	struct op *ops;
	size_t n;
	size_t capacity;
	bool has_items; /* steps with groups or meters */
};

/* What a non-strict command does with each rule it finds. */
struct selection {
	const struct of_flow_mod *fm;
	uint64_t version;
	struct rule **rules;
	size_t n;
	size_t capacity;
};

static struct op *note(struct of_txn *t, enum op_kind kind, struct rule *r);
static bool check_flow(const struct of_txn *t, const struct ofproto *p,
	const struct of_flow_mod *fm, struct weft_error *err);
static void note_objects(struct rule *r, const void *actions, size_t size);
static bool check_table(const struct of_flow_mod *fm, struct weft_error *err);
static bool add(struct of_txn *t, struct ofproto *p, const struct of_flow_mod *fm, uint64_t now_ms,
	struct weft_error *err);
static struct rule *add_rule(struct of_txn *t, struct ofproto *p, const struct of_flow_mod *fm,
	uint64_t cookie, uint64_t now_ms);
static bool modify(struct of_txn *t, struct ofproto *p, const struct of_flow_mod *fm,
	uint64_t now_ms, struct weft_error *err);
static void modify_rule(struct of_txn *t, struct rule *r, const struct of_flow_mod *fm);
static void select_rules(struct ofproto *p, struct selection *s);
static bool select_rule(struct cls_rule *cls, void *selection);
static void commit_op(struct of_txn *t, const struct op *op);
static void journal_op(struct of_txn *t, const struct op *op, uint64_t now_ms);
static void abort_op(struct of_txn *t, const struct op *op);
static void finish(struct of_txn *t);

void
of_flow_mod_init(struct of_flow_mod *fm)
{
	memset(fm, 0, sizeof(*fm));
	fm->priority = OF_DEFAULT_PRIORITY;
	fm->out_port = OF_PORT(OFPP_ANY);
	fm->out_group = OFPG_ANY;
	of_match_init(&fm->match);
	of_actions_init(&fm->actions);
}

void
of_flow_mod_uninit(struct of_flow_mod *fm)
{
	of_actions_uninit(&fm->actions);
}

bool
ofproto_flow_mod(
	struct ofproto *p, const struct of_flow_mod *fm, uint64_t now_ms, struct weft_error *err)
{
	struct of_model *m = p->model;
	struct of_txn *t;

	assert(!m->txn);
	t = txn_begin(m, 1);
	if (!of_txn_flow_mod(t, p, fm, now_ms, err)) {
		of_txn_abort(t);
		return false;
	}
	of_txn_commit(t, now_ms);
	grace_run(&m->grace, FREE_PER_MOD);
	return true;
}

struct of_txn *
of_txn_begin(struct of_model *m)
{
	return m->txn ? NULL : txn_begin(m, TXN_AHEAD);
}

bool
of_txn_flow_mod(struct of_txn *t, struct ofproto *p, const struct of_flow_mod *fm, uint64_t now_ms,
	struct weft_error *err)
{
	struct selection s = {.fm = fm, .version = t->version};

	if (!check_table(fm, err)) {
		return false;
	}
	switch (fm->command) {
	case OF_FLOW_ADD:
		return check_flow(t, p, fm, err) && add(t, p, fm, now_ms, err);
	case OF_FLOW_MODIFY:
	case OF_FLOW_MODIFY_STRICT:
		return check_flow(t, p, fm, err) && modify(t, p, fm, now_ms, err);
	case OF_FLOW_DELETE:
	case OF_FLOW_DELETE_STRICT:
		select_rules(p, &s);
		for (size_t i = 0; i < s.n; i++) {
			txn_remove(t, s.rules[i], OF_REMOVED_DELETE);
		}
		free(s.rules);
		return true;
	}
	return of_error_set(err, OFPET_FLOW_MOD_FAILED, OFPFMFC_BAD_COMMAND, "flow-mod command %d",
		(int)fm->command);
}

uint64_t
of_txn_commit(struct of_txn *t, uint64_t now_ms)
{
	struct of_model *m = t->model;
	uint64_t version = t->version;

	if (t->n) {
		assert(of_model_version(m) < version);
		atomic_store_explicit(&m->version, version, memory_order_release);
	} else {
		version = of_model_version(m);
	}
	for (size_t i = 0; i < t->n; i++) {
		commit_op(t, &t->ops[i]);
	}
	for (size_t i = 0; i < t->n && (m->journal.flow || t->has_items); i++) {
		journal_op(t, &t->ops[i], now_ms);
	}
	finish(t);
	return version;
}

void
of_txn_abort(struct of_txn *t)
{
	for (size_t i = t->n; i-- > 0;) {
		abort_op(t, &t->ops[i]);
	}
	finish(t);
}

bool
of_model_in_txn(const struct of_model *m)
{
	return m->txn != NULL;
}

void
ofproto_add_standalone_rule(struct ofproto *p, uint64_t now_ms)
{
	struct of_flow_mod fm;
	struct of_txn *t = txn_begin(p->model, 1);

	of_flow_mod_init(&fm);
	fm.priority = 0;
	of_actions_put_output(&fm.actions, OF_PORT(OFPP_NORMAL), 0);
	/* It cannot fail: nothing in it depends on the switch, and a table has room for one more. */
	(void)!of_txn_flow_mod(t, p, &fm, now_ms, NULL);
	of_txn_commit(t, now_ms);
	of_flow_mod_uninit(&fm);
}

bool
ofproto_import_flow(
	struct ofproto *p, const struct of_flow_view *flow, uint64_t now_ms, struct weft_error *err)
{
	struct of_flow_mod fm;
	struct of_txn *t;
	bool ok;

	assert(!p->model->txn);
	of_flow_mod_init(&fm);
	fm.table = flow->table;
	fm.priority = flow->priority;
	fm.idle_timeout = flow->idle_timeout;
	fm.hard_timeout = flow->hard_timeout;
	fm.flags = flow->flags;
	fm.importance = flow->importance;
	fm.cookie = flow->cookie;
	fm.match = flow->match;
	of_actions_append(&fm.actions, flow->actions, flow->actions_size);
	t = txn_begin(p->model, 1);
	ok = of_txn_flow_mod(t, p, &fm, flow->created_ms, err);
	if (ok) {
		struct rule *r = t->ops[0].rule;

		atomic_store_explicit(&r->packets, flow->packets, memory_order_relaxed);
		atomic_store_explicit(&r->bytes, flow->bytes, memory_order_relaxed);
		atomic_store_explicit(&r->used_ms, flow->used_ms, memory_order_relaxed);
		of_txn_commit(t, now_ms);
	} else {
		of_txn_abort(t);
	}
	of_flow_mod_uninit(&fm);
	return ok;
}

void
txn_remove(struct of_txn *t, struct rule *r, enum of_removed_reason reason)
{
	r->removed_reason = (uint8_t)reason;
	atomic_store_explicit(&r->cls.removed, t->version, memory_order_release);
	note(t, OP_REMOVE, r);
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
	struct op *op = note(t, kind, NULL);

	op->ofproto = p;
	op->item_kind = item_kind;
	op->item = item;
	t->has_items = true;
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

struct of_txn *
txn_begin(struct of_model *m, uint64_t ahead)
{
	struct of_txn *t = xcalloc(1, sizeof(*t));

	t->model = m;
	t->version = of_model_version(m) + ahead;
	m->txn = t;
	return t;
}

static void
finish(struct of_txn *t)
{
	t->model->txn = NULL;
	free(t->ops);
	free(t);
}

static struct op *
note(struct of_txn *t, enum op_kind kind, struct rule *r)
{
	if (t->n == t->capacity) {
		t->capacity = 2 * t->capacity + 4;
		t->ops = xrealloc(t->ops, t->capacity * sizeof(t->ops[0]));
	}
	t->ops[t->n] = (struct op){.rule = r, .kind = kind};
	return &t->ops[t->n++];
}

/* --- checks -------------------------------------------------------------------------------------- */

static bool
check_table(const struct of_flow_mod *fm, struct weft_error *err)
{
	if (fm->table == OF_TABLE_ALL && fm->command == OF_FLOW_ADD) {
		return of_error_set(err, OFPET_FLOW_MOD_FAILED, OFPFMFC_BAD_TABLE_ID,
			"a rule cannot be added to all tables");
	}
	return true;
}

static bool
check_flow(const struct of_txn *t, const struct ofproto *p, const struct of_flow_mod *fm,
	struct weft_error *err)
{
	struct txn_scope scope = {p, t->version};
	struct of_check check = {
		.match = &fm->match,
		/* Of all tables: a goto must lead forward from each; only the last is sure to fail. */
		.table = fm->table == OF_TABLE_ALL ? 0 : fm->table,
		.group_exists = txn_group_exists,
		.meter_exists = txn_meter_exists,
		.user = &scope,
	};

	return of_match_check(&fm->match, err) &&
	       of_actions_check(fm->actions.data, fm->actions.size, &check, err);
}

/* --- add ----------------------------------------------------------------------------------------- */

static bool
add(struct of_txn *t, struct ofproto *p, const struct of_flow_mod *fm, uint64_t now_ms,
	struct weft_error *err)
{
	struct oftable *table = &p->tables[fm->table];
	struct rule *old, *r;

	if (fm->flags & OF_FLAG_CHECK_OVERLAP &&
		cls_find_overlap(&table->cls, t->version, &fm->match, fm->priority)) {
		return of_error_set(err, OFPET_FLOW_MOD_FAILED, OFPFMFC_OVERLAP,
			"a rule of priority %u matches some of the same packets", fm->priority);
	}
	old = rule_of(cls_find(&table->cls, t->version, &fm->match, fm->priority));
	if (!old && table->cls.n_rules >= OF_MAX_RULES_PER_TABLE) {
		return of_error_set(err, OFPET_FLOW_MOD_FAILED, OFPFMFC_TABLE_FULL,
			"table %u has %u rules already", fm->table, OF_MAX_RULES_PER_TABLE);
	}
	r = add_rule(t, p, fm, fm->cookie, now_ms);
	if (old) {
		struct op *op = note(t, OP_REPLACE, old);

		atomic_store_explicit(&old->cls.removed, t->version, memory_order_release);
		op->heir = r;
		op->reset_counts = fm->flags & OF_FLAG_RESET_COUNTS;
	}
	return true;
}

static struct rule *
add_rule(struct of_txn *t, struct ofproto *p, const struct of_flow_mod *fm, uint64_t cookie,
	uint64_t now_ms)
{
	struct oftable *table = &p->tables[fm->table];
	struct rule *r = rule_create(p, fm->table, &fm->match, fm->priority);

	r->flags =
		fm->flags & (OF_FLAG_SEND_FLOW_REM | OF_FLAG_CHECK_OVERLAP | OF_FLAG_RESET_COUNTS |
				    OF_FLAG_NO_PKT_COUNTS | OF_FLAG_NO_BYT_COUNTS);
	r->idle_timeout = fm->idle_timeout;
	r->hard_timeout = fm->hard_timeout;
	r->importance = fm->importance;
	r->created_ms = now_ms;
	atomic_init(&r->used_ms, now_ms);
	atomic_init(
		&r->actions, rule_actions_create(0, cookie, fm->actions.data, fm->actions.size));
	atomic_init(&r->cls.added, t->version);
	atomic_init(&r->cls.removed, CLS_NEVER);
	cls_insert(&table->cls, &r->cls, &fm->match, r->words);
	list_push_back(&table->rules, &r->by_table);
	note_objects(r, fm->actions.data, fm->actions.size);
	note(t, OP_ADD, r);
	return r;
}

/* Remembers that the rule leads to a group or meter. */
static void
note_objects(struct rule *r, const void *actions, size_t size)
{
	if (list_is_empty(&r->by_objects) && of_actions_use_objects(actions, size)) {
		list_push_back(&r->ofproto->object_rules, &r->by_objects);
	}
}

/* --- modify, select ------------------------------------------------------------------------------ */

static bool
modify(struct of_txn *t, struct ofproto *p, const struct of_flow_mod *fm, uint64_t now_ms,
	struct weft_error *err)
{
	struct selection s = {.fm = fm, .version = t->version};
	bool ok = true;

	select_rules(p, &s);
	for (size_t i = 0; i < s.n; i++) {
		modify_rule(t, s.rules[i], fm);
	}
	free(s.rules);
	if (!s.n && fm->modify_adds && !fm->cookie_mask && fm->table != OF_TABLE_ALL) {
		struct of_flow_mod as_add = *fm;

		as_add.command = OF_FLOW_ADD;
		as_add.cookie = fm->set_cookie ? fm->new_cookie : fm->cookie;
		ok = add(t, p, &as_add, now_ms, err);
	}
	return ok;
}

static void
modify_rule(struct of_txn *t, struct rule *r, const struct of_flow_mod *fm)
{
	uint64_t cookie = fm->set_cookie ? fm->new_cookie : rule_actions_at(r, t->version)->cookie;

	rule_push_actions(
		r, rule_actions_create(t->version, cookie, fm->actions.data, fm->actions.size));
	note_objects(r, fm->actions.data, fm->actions.size);
	note(t, OP_ACTIONS, r)->reset_counts = fm->flags & OF_FLAG_RESET_COUNTS;
}

/* The rules that a modify or delete is about, strict or not. */
static void
select_rules(struct ofproto *p, struct selection *s)
{
	bool strict =
		s->fm->command == OF_FLOW_MODIFY_STRICT || s->fm->command == OF_FLOW_DELETE_STRICT;
	unsigned first = s->fm->table == OF_TABLE_ALL ? 0 : s->fm->table;
	unsigned last = s->fm->table == OF_TABLE_ALL ? OF_N_TABLES - 1 : s->fm->table;

	for (unsigned i = first; i <= last; i++) {
		struct classifier *cls = &p->tables[i].cls;

		if (strict) {
			struct cls_rule *r =
				cls_find(cls, s->version, &s->fm->match, s->fm->priority);

			if (r) {
				select_rule(r, s);
			}
		} else {
			cls_visit(cls, s->version, &s->fm->match, select_rule, s);
		}
	}
}

static bool
select_rule(struct cls_rule *cls, void *selection)
{
	struct selection *s = selection;
	const struct of_flow_mod *fm = s->fm;
	struct rule *r = rule_of(cls);
	const struct rule_actions *a = rule_actions_at(r, s->version);
	bool deletes = fm->command == OF_FLOW_DELETE || fm->command == OF_FLOW_DELETE_STRICT;

	if ((a->cookie ^ fm->cookie) & fm->cookie_mask) {
		return true;
	}
	if (deletes && ((fm->out_port.v != OFPP_ANY &&
				!of_actions_output_to(a->data, a->size, fm->out_port)) ||
			       (fm->out_group != OFPG_ANY &&
				       !of_actions_use_group(a->data, a->size, fm->out_group)))) {
		return true;
	}
	if (s->n == s->capacity) {
		s->capacity = 2 * s->capacity + 16;
		s->rules = xrealloc(s->rules, s->capacity * sizeof(s->rules[0]));
	}
	s->rules[s->n++] = r;
	return true;
}

/* --- commit and abort ---------------------------------------------------------------------------- */

static void
commit_op(struct of_txn *t, const struct op *op)
{
	struct rule *r = op->rule;

	switch (op->kind) {
	case OP_ADD:
		r->ofproto->tables[r->table].n_active++;
		r->ofproto->n_rules++;
		expiry_add(t->model, r);
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
		rule_retire(r);
		break;
	case OP_ACTIONS:
		rule_settle_actions(r);
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
journal_op(struct of_txn *t, const struct op *op, uint64_t now_ms)
{
	const struct of_journal_ops *j = &t->model->journal;
	struct rule *r = op->rule;
	struct of_flow_view view;

	if (op->kind == OP_ITEM_ADD || op->kind == OP_ITEM_REMOVE) {
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
abort_op(struct of_txn *t, const struct op *op)
{
	struct rule *r = op->rule;

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

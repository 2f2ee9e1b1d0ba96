/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow-mods: changes of rules, as steps of a transaction (OpenFlow 1.3.5 s.6.4).
 *
 * A step changes nothing that a reader of the published version can see: it adds rules that are
 * visible from the transaction's version on, gives rules a last version, or pushes newer actions onto
 * them. What becomes of the steps is in txn.c.
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
#include "ofproto/txn.h"

/* Retired objects that one flow-mod frees on its way, so that a flood of them stays bounded. */
#define FREE_PER_MOD 4

/* What a non-strict command does with each rule it finds. */
struct selection {
	const struct of_flow_mod *fm;
	uint64_t version;
	struct rule **rules;
	size_t n;
	size_t capacity;
};

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

/* How the datapath chose and brought a packet back is not for rules to know. */
static bool
check_match(const struct of_match *match, struct weft_error *err)
{
	if (field_is_masked(field_get(FIELD_RECIRC_ID), &match->mask) ||
		field_is_masked(field_get(FIELD_HASH), &match->mask)) {
		return of_error_set(err, OFPET_BAD_REQUEST, OFPBRC_EPERM,
			"recirc_id and dp_hash are the switch's own");
	}
	return of_match_check(match, err);
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

	return check_match(&fm->match, err) &&
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
	if (!old && table->n_next >= OF_MAX_RULES_PER_TABLE) {
		return of_error_set(err, OFPET_FLOW_MOD_FAILED, OFPFMFC_TABLE_FULL,
			"table %u has %u rules already", fm->table, OF_MAX_RULES_PER_TABLE);
	}
	r = add_rule(t, p, fm, fm->cookie, now_ms);
	if (old) {
		struct op *op = txn_note(t, OP_REPLACE, old);

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
	txn_note(t, OP_ADD, r);
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
	txn_note(t, OP_ACTIONS, r)->reset_counts = fm->flags & OF_FLAG_RESET_COUNTS;
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

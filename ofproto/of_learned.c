/* SPDX-License-Identifier: Apache-2.0
 *
 * Learned rules: what learn actions ask for, and how it comes into tables and leaves them.
 *
 * Asked:   many flows may ask for rules, so that one is kept in few bytes: words of its match, actions.
 * Gone:    a rule with a learn that has the flag delete_learned is noted by table and cookie; when the last one
 *          of these is gone, so is, in the transaction after, whatever has that cookie in that table.
 */
#include "ofproto/of_learned.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/hash.h"
#include "ofproto/of_learned_internal.h"
#include "ofproto/ofproto_internal.h"

#define KEEP_COOKIE UINT64_MAX /* a changed rule keeps its own */

struct of_learned {
	_Atomic uint32_t refs;
	uint32_t ofproto_id;
	uint32_t limit;
	uint16_t priority;
	uint16_t idle_timeout;
	uint16_t hard_timeout;
	uint16_t flags;
	uint8_t table;
	uint64_t cookie;
	uint64_t map; /* words of the mask */
	uint32_t actions_size;
	uint64_t words[]; /* the mask's, the value's; then the actions */
};

/* One that came while a transaction was open. */
struct waiting {
	struct list link;
	struct of_learned *learned;
};

/* A table and cookie that rules with delete_learned learn into. */
struct learner {
	struct hmap_node node;
	struct list gone; /* in the model's list, or by itself */
	struct ofproto *ofproto;
	uint64_t cookie;
	uint32_t n; /* rules that do, each as often as it does */
	uint8_t table;
};

static void learn(struct of_model *m, const struct of_learned *l, uint64_t now_ms);
static void get_match(const struct of_learned *l, struct of_match *match);
static bool stands(const struct of_learned *l, const struct rule *r, uint64_t version);
static void renew(struct rule *r, uint64_t now_ms);
static bool has_room(struct ofproto *p, const struct of_learned *l);
static void note_learner(struct rule *r, const struct of_action_learn *a);

struct of_learned *
of_learned_create(uint32_t ofproto_id, const struct of_flow_mod *fm, uint32_t limit)
{
	uint64_t map = of_words_map(&fm->match.mask.bits);
	unsigned n = of_mini_n(map);
	struct of_learned *l = xmalloc(sizeof(*l) + 2 * n * sizeof(l->words[0]) + fm->actions.size);

	*l = (struct of_learned){
		.ofproto_id = ofproto_id,
		.limit = limit,
		.priority = fm->priority,
		.idle_timeout = fm->idle_timeout,
		.hard_timeout = fm->hard_timeout,
		.flags = fm->flags,
		.table = fm->table,
		.cookie = fm->new_cookie,
		.map = map,
		.actions_size = (uint32_t)fm->actions.size,
	};
	atomic_init(&l->refs, 1);
	of_words_get(&fm->match.mask.bits, map, l->words);
	of_words_get(&fm->match.value, map, l->words + n);
	if (fm->actions.size) {
		memcpy(l->words + 2 * n, fm->actions.data, fm->actions.size);
	}
	return l;
}

struct of_learned *
of_learned_ref(struct of_learned *l)
{
	atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
	return l;
}

void
of_learned_unref(struct of_learned *l)
{
	if (atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) == 1) {
		free(l);
	}
}

uint32_t
of_learned_ofproto_id(const struct of_learned *l)
{
	return l->ofproto_id;
}

static const void *
actions_of(const struct of_learned *l)
{
	return l->words + 2 * of_mini_n(l->map);
}

void
of_learned_get(const struct of_learned *l, struct of_flow_mod *fm)
{
	of_flow_mod_init(fm);
	fm->command = OF_FLOW_MODIFY_STRICT;
	fm->modify_adds = true;
	fm->set_cookie = l->cookie != KEEP_COOKIE;
	fm->new_cookie = l->cookie;
	fm->table = l->table;
	fm->priority = l->priority;
	fm->idle_timeout = l->idle_timeout;
	fm->hard_timeout = l->hard_timeout;
	fm->flags = l->flags;
	get_match(l, &fm->match);
	of_actions_append(&fm->actions, actions_of(l), l->actions_size);
}

bool
of_learned_stands(struct of_model *m, const struct of_learned *l, bool renews, uint64_t now_ms)
{
	const struct ofproto *p = ofproto_by_id(m, l->ofproto_id);
	uint64_t version = of_model_version(m);
	struct of_match match;
	struct rule *r;

	if (!p) {
		return true; /* there is nothing to be done */
	}
	get_match(l, &match);
	r = rule_of(cls_find_shared(&p->tables[l->table].cls, version, &match, l->priority));
	if (!r || !stands(l, r, version)) {
		return false;
	}
	if (renews) {
		renew(r, now_ms);
	}
	return true;
}

void
of_model_learn(struct of_model *m, struct of_learned *l, uint64_t now_ms)
{
	struct waiting *w;

	if (!m->txn) {
		learn(m, l, now_ms);
	} else if (m->n_to_learn < OF_LEARN_MAX_WAITING) {
		w = xmalloc(sizeof(*w));
		w->learned = of_learned_ref(l);
		list_push_back(&m->to_learn, &w->link);
		m->n_to_learn++;
	}
}

bool
model_run_learned(struct of_model *m, uint64_t now_ms, unsigned budget)
{
	while (!m->txn && m->n_to_learn && budget--) {
		struct waiting *w = LIST_ENTRY(list_pop_front(&m->to_learn), struct waiting, link);

		m->n_to_learn--;
		learn(m, w->learned, now_ms);
		of_learned_unref(w->learned);
		free(w);
	}
	return !m->txn && m->n_to_learn;
}

void
model_forget_learned(struct of_model *m)
{
	while (m->n_to_learn) {
		struct waiting *w = LIST_ENTRY(list_pop_front(&m->to_learn), struct waiting, link);

		m->n_to_learn--;
		of_learned_unref(w->learned);
		free(w);
	}
	hmap_uninit(&m->learners);
}

static void
learn(struct of_model *m, const struct of_learned *l, uint64_t now_ms)
{
	struct ofproto *p = ofproto_by_id(m, l->ofproto_id);
	struct of_flow_mod fm;
	struct rule *r;

	if (!p || of_learned_stands(m, l, true, now_ms)) {
		return;
	}
	of_learned_get(l, &fm);
	r = rule_of(
		cls_find(&p->tables[l->table].cls, of_model_version(m), &fm.match, fm.priority));
	if ((r || has_room(p, l)) && ofproto_flow_mod(p, &fm, now_ms, NULL) && r) {
		renew(r, now_ms);
	}
	of_flow_mod_uninit(&fm);
}

static void
get_match(const struct of_learned *l, struct of_match *match)
{
	of_words_put(&match->mask.bits, l->map, l->words);
	of_words_put(&match->value, l->map, l->words + of_mini_n(l->map));
}

static bool
stands(const struct of_learned *l, const struct rule *r, uint64_t version)
{
	const struct rule_actions *a = rule_actions_at(r, version);

	return (l->cookie == KEEP_COOKIE || a->cookie == l->cookie) &&
	       of_actions_equal(a->data, a->size, actions_of(l), l->actions_size);
}

static void
renew(struct rule *r, uint64_t now_ms)
{
	uint64_t seen = atomic_load_explicit(&r->renewed_ms, memory_order_relaxed);

	while (seen < now_ms && !atomic_compare_exchange_weak_explicit(&r->renewed_ms, &seen,
					now_ms, memory_order_relaxed, memory_order_relaxed)) {
	}
}

/* Rules of a cookie are counted again only when others than learned ones came or went. */
static bool
has_room(struct ofproto *p, const struct of_learned *l)
{
	struct oftable *t = &p->tables[l->table];
	uint64_t cookie = l->cookie == KEEP_COOKIE ? 0 : l->cookie;
	uint64_t version = of_model_version(p->model);
	struct rule *r;

	if (t->n_active >= OF_LEARN_MAX_RULES) {
		return false;
	}
	if (!l->limit || t->n_active < l->limit) {
		return true;
	}
	if (t->counted.at != t->n_changes || t->counted.cookie != cookie) {
		t->counted.at = t->n_changes;
		t->counted.cookie = cookie;
		t->counted.n = 0;
		LIST_FOREACH (r, by_table, &t->rules) {
			t->counted.n += !r->is_miss && cls_rule_visible(&r->cls, version) &&
					rule_actions_at(r, version)->cookie == cookie;
		}
	}
	if (t->counted.n >= l->limit) {
		return false;
	}
	/* The rule that is now to be added. */
	t->counted.n++;
	t->counted.at++;
	return true;
}

/* --- what goes with those who learned it ---------------------------------------------------------- */

static struct learner *
find_learner(const struct ofproto *p, uint8_t table, uint64_t cookie)
{
	struct learner *l;

	HMAP_FOREACH_WITH_HASH (l, node, hash_u64(cookie, table), &p->model->learners) {
		if (l->ofproto == p && l->cookie == cookie && l->table == table) {
			return l;
		}
	}
	return NULL;
}

void
rule_note_learns(struct rule *r, bool is_there)
{
	struct learner **old = r->learners;
	uint32_t n_old = r->n_learners;
	const struct rule_actions *a = atomic_load_explicit(&r->actions, memory_order_relaxed);
	const struct of_action_hdr *i;

	r->learners = NULL;
	r->n_learners = 0;
	for (i = is_there ? of_action_first(a->data, a->size) : NULL; i;
		i = of_action_next(i, a->data, a->size)) {
		if (i->type == OF_ACTION_LEARN) {
			note_learner(r, (const void *)i);
		}
	}
	while (n_old) {
		struct learner *l = old[--n_old];

		if (!--l->n) {
			list_push_back(&r->ofproto->model->unlearned, &l->gone);
		}
	}
	free(old);
}

static void
note_learner(struct rule *r, const struct of_action_learn *a)
{
	struct ofproto *p = r->ofproto;
	struct learner *l;

	if (!(a->flags & OF_LEARN_DELETE_LEARNED)) {
		return;
	}
	l = find_learner(p, a->table, a->cookie);
	if (!l) {
		l = xcalloc(1, sizeof(*l));
		l->ofproto = p;
		l->table = a->table;
		l->cookie = a->cookie;
		list_init(&l->gone);
		hmap_insert(&p->model->learners, &l->node, hash_u64(a->cookie, a->table));
	}
	list_remove(&l->gone);
	l->n++;
	r->learners = xrealloc(r->learners, (r->n_learners + 1) * sizeof(r->learners[0]));
	r->learners[r->n_learners++] = l;
}

void
model_unlearn(struct of_model *m, uint64_t now_ms)
{
	while (!m->txn && !list_is_empty(&m->unlearned)) {
		struct learner *l = LIST_ENTRY(list_pop_front(&m->unlearned), struct learner, gone);
		struct of_flow_mod fm;

		of_flow_mod_init(&fm);
		fm.command = OF_FLOW_DELETE;
		fm.table = l->table;
		fm.cookie = l->cookie;
		fm.cookie_mask = UINT64_MAX;
		hmap_remove(&m->learners, &l->node);
		/* It cannot fail: a delete is not checked. */
		(void)!ofproto_flow_mod(l->ofproto, &fm, now_ms, NULL);
		of_flow_mod_uninit(&fm);
		free(l);
	}
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Queries: walking a table's list of rules in slices.
 *
 * A cursor stands in the list as a marker, a list element without a rule, so that rules can come and
 * go around it.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "ofproto/ofproto_internal.h"
#include "ofproto/translate.h"

struct of_flow_cursor {
	struct rule *marker; /* known by its is_miss: the rules of misses never stand in lists */
	struct ofproto *p;   /* referenced by the marker */
	struct of_flow_query query;
	unsigned table;
	bool done;
};

static void enter_table(struct of_flow_cursor *c, unsigned table);
static bool is_wanted(const struct of_flow_query *q, const struct rule *r, uint64_t version,
	uint64_t now_ms, struct of_flow_view *view);

void
of_flow_query_init(struct of_flow_query *q)
{
	memset(q, 0, sizeof(*q));
	of_match_init(&q->match);
	q->table = OF_TABLE_ALL;
	q->out_port = OF_PORT(OFPP_ANY);
	q->out_group = OFPG_ANY;
}

struct of_flow_cursor *
ofproto_query_begin(struct ofproto *p, const struct of_flow_query *q)
{
	struct of_flow_cursor *c = xcalloc(1, sizeof(*c));

	c->p = p;
	c->query = *q;
	c->marker = rule_create_miss(p, 0);
	enter_table(c, q->table == OF_TABLE_ALL ? 0 : q->table);
	return c;
}

bool
ofproto_query_step(struct of_flow_cursor *c, unsigned max_rules, uint64_t now_ms,
	bool (*visit)(const struct of_flow_view *flow, void *user), void *user)
{
	uint64_t version = of_model_version(c->p->model);

	while (!c->done && max_rules) {
		struct list *next = c->marker->by_table.next;
		struct of_flow_view view;
		struct rule *r;

		if (next == &c->p->tables[c->table].rules) {
			if (c->query.table != OF_TABLE_ALL || c->table == OF_N_TABLES - 1) {
				c->done = true;
			} else {
				enter_table(c, c->table + 1);
			}
			continue;
		}
		r = LIST_ENTRY(next, struct rule, by_table);
		list_remove(&c->marker->by_table);
		list_push_front(next, &c->marker->by_table);
		if (r->is_miss) {
			continue; /* another query */
		}
		max_rules--;
		if (is_wanted(&c->query, r, version, now_ms, &view) && !visit(&view, user)) {
			break;
		}
	}
	return !c->done;
}

void
ofproto_query_end(struct of_flow_cursor *c)
{
	if (c) {
		list_remove(&c->marker->by_table);
		/* In no classifier, seen by no reader. */
		of_rule_unref(c->marker);
		free(c);
	}
}

bool
of_aggregate_add(const struct of_flow_view *flow, void *sum_)
{
	struct of_aggregate *sum = sum_;

	sum->packets += flow->packets;
	sum->bytes += flow->bytes;
	sum->n_flows++;
	return true;
}

void
ofproto_aggregate(struct ofproto *p, const struct of_flow_query *q, struct of_aggregate *sum)
{
	struct of_flow_cursor *c = ofproto_query_begin(p, q);

	memset(sum, 0, sizeof(*sum));
	while (ofproto_query_step(c, UINT32_MAX, p->model->now_ms, of_aggregate_add, sum)) {
	}
	ofproto_query_end(c);
}

void
ofproto_table_stats(const struct ofproto *p, uint8_t table, struct of_table_stats *stats)
{
	const struct oftable *t = &p->tables[table];

	stats->n_active = (uint32_t)t->n_active;
	stats->n_matched = atomic_load_explicit(&t->n_matched, memory_order_relaxed);
	stats->n_lookups =
		stats->n_matched + atomic_load_explicit(&t->n_missed, memory_order_relaxed);
}

size_t
ofproto_n_rules(const struct ofproto *p)
{
	return p->n_rules;
}

static void
enter_table(struct of_flow_cursor *c, unsigned table)
{
	c->table = table;
	list_remove(&c->marker->by_table);
	list_push_front(&c->p->tables[table].rules, &c->marker->by_table);
}

/* Whether the rule is in force and asked for; fills @view. */
static bool
is_wanted(const struct of_flow_query *q, const struct rule *r, uint64_t version, uint64_t now_ms,
	struct of_flow_view *view)
{
	const struct rule_actions *a;

	if (!cls_rule_visible(&r->cls, version)) {
		return false;
	}
	a = rule_actions_at(r, version);
	if ((a->cookie ^ q->cookie) & q->cookie_mask ||
		(q->out_port.v != OFPP_ANY &&
			!of_actions_output_to(a->data, a->size, q->out_port)) ||
		(q->out_group != OFPG_ANY &&
			!of_actions_use_group(a->data, a->size, q->out_group))) {
		return false;
	}
	rule_view(r, version, now_ms, view);
	return of_match_contains(&q->match, &view->match);
}

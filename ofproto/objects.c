/* SPDX-License-Identifier: Apache-2.0
 *
 * What rules and groups have to do with groups and meters: who names whom.
 */
#include "ofproto/ofproto_internal.h"

static void count_one(uint16_t type, uint32_t id, void *scope);

void
of_actions_each_object(const void *data, size_t size,
	void (*visit)(uint16_t type, uint32_t id, void *user), void *user)
{
	const struct of_action_hdr *a;

	for (a = of_action_first(data, size); a; a = of_action_next(a, data, size)) {
		const struct of_action_u32 *u = (const void *)a;
		const struct of_action_controller *c = (const void *)a;
		size_t nested_size;
		const void *nested = of_action_nested(a, &nested_size);

		if (a->type == OF_ACTION_GROUP || a->type == OF_ACTION_METER) {
			visit(a->type, u->v, user);
		} else if (a->type == OF_ACTION_CONTROLLER && c->meter) {
			visit(OF_ACTION_METER, c->meter, user);
		}
		of_actions_each_object(nested, nested_size, visit, user);
	}
}

struct wanted {
	uint16_t type; /* 0: any */
	uint32_t id;
	bool any; /* number */
	bool found;
};

static void
look(uint16_t type, uint32_t id, void *wanted)
{
	struct wanted *w = wanted;

	w->found |= !w->type || (type == w->type && (w->any || id == w->id));
}

bool
of_actions_use_objects(const void *data, size_t size)
{
	struct wanted w = {0};

	of_actions_each_object(data, size, look, &w);
	return w.found;
}

bool
of_actions_use_object(const void *data, size_t size, enum of_item_kind kind, uint32_t id, bool any)
{
	struct wanted w = {
		.type = kind == OF_ITEM_GROUP ? OF_ACTION_GROUP : OF_ACTION_METER,
		.id = id,
		.any = any,
	};

	of_actions_each_object(data, size, look, &w);
	return w.found;
}

bool
txn_group_exists(void *scope, uint32_t id)
{
	const struct txn_scope *s = scope;

	return versioned_find(&s->p->groups, id, s->version) != NULL;
}

bool
txn_meter_exists(void *scope, uint32_t id)
{
	const struct txn_scope *s = scope;

	return versioned_find(&s->p->meters, id, s->version) != NULL;
}

bool
ofproto_packet_out_check(const struct ofproto *p, const void *actions, size_t size,
	const struct of_match *match, struct weft_error *err)
{
	struct txn_scope scope = {p, of_model_version(p->model)};
	const struct of_check check = {
		.match = match,
		.is_actions = true,
		.is_packet_out = true,
		.group_exists = txn_group_exists,
		.meter_exists = txn_meter_exists,
		.user = &scope,
	};

	return of_actions_check(actions, size, &check, err);
}

void
of_count_refs(struct ofproto *p, uint64_t version)
{
	struct txn_scope scope = {p, version};
	struct group *g;
	struct meter *m;
	struct rule *r;

	LIST_FOREACH (g, v.by_table, &p->groups.items) {
		g->n_refs = 0;
	}
	LIST_FOREACH (m, v.by_table, &p->meters.items) {
		m->n_refs = 0;
	}
	LIST_FOREACH (r, by_objects, &p->object_rules) {
		if (cls_rule_visible(&r->cls, version)) {
			const struct rule_actions *a = rule_actions_at(r, version);

			of_actions_each_object(a->data, a->size, count_one, &scope);
		}
	}
	LIST_FOREACH (g, v.by_table, &p->groups.items) {
		for (uint32_t i = 0; i < g->n_buckets; i++) {
			if (versioned_is_visible(&g->v, version)) {
				of_actions_each_object(g->buckets[i].actions, g->buckets[i].size,
					count_one, &scope);
			}
		}
	}
}

static void
count_one(uint16_t type, uint32_t id, void *scope)
{
	const struct txn_scope *s = scope;
	struct group *g;
	struct meter *m;

	if (type == OF_ACTION_GROUP) {
		g = group_of(versioned_find(&s->p->groups, id, s->version));
		if (g) {
			g->n_refs++;
		}
	} else {
		m = meter_of(versioned_find(&s->p->meters, id, s->version));
		if (m) {
			m->n_refs++;
		}
	}
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow registry: a flow's identity and what it holds of its translation.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "lib/hash.h"
#include "ofproto/flow_registry_internal.h"
#include "ofproto/of_context.h"
#include "ofproto/of_counter.h"
#include "ofproto/of_learned.h"
#include "ofproto/ofproto_internal.h"

static void drop_translation(struct flow_registry *r, struct flow *f);

void
flow_take_translation(struct flow_registry *r, struct flow *f)
{
	struct translation *t = &r->t;

	for (uint32_t i = 0; i < t->n_rules; i++) {
		of_rule_ref(t->rules[i]);
	}
	for (uint32_t i = 0; i < t->counters.n; i++) {
		of_counter_ref(t->counters.v[i]);
	}
	drop_translation(r, f);
	f->has_rules = true;
	f->actions_size = t->actions.size;
	f->actions = xmemdup(t->actions.data, t->actions.size);
	f->n_rules = t->n_rules;
	f->rules = xmemdup(t->rules, t->n_rules * sizeof(t->rules[0]));
	f->n_contexts = t->n_contexts;
	f->contexts = xmemdup(t->contexts, t->n_contexts * sizeof(t->contexts[0]));
	t->n_contexts = 0;
	f->n_learned = t->n_learned;
	f->learned = xmemdup(t->learned, t->n_learned * sizeof(t->learned[0]));
	f->n_learns = t->n_learns;
	f->learns = xmemdup(t->learns, t->n_learns * sizeof(t->learns[0]));
	t->n_learns = 0;
	f->n_fins = t->n_fins;
	f->fins = xmemdup(t->fins, t->n_fins * sizeof(t->fins[0]));
	f->n_counters = t->counters.n;
	f->counters = xmemdup(t->counters.v, t->counters.n * sizeof(t->counters.v[0]));
	f->objects = flow_objects_take(r->objects, &f->n_objects);
	flow_deps_set(&r->deps, &f->deps, f, t);
}

static void
drop_translation(struct flow_registry *r, struct flow *f)
{
	for (uint32_t i = 0; i < f->n_rules; i++) {
		of_rule_unref(f->rules[i]);
	}
	for (uint32_t i = 0; i < f->n_contexts; i++) {
		of_context_unref(r->model, f->contexts[i]);
	}
	for (uint32_t i = 0; i < f->n_counters; i++) {
		of_counter_unref(f->counters[i]);
	}
	for (uint32_t i = 0; i < f->n_objects; i++) {
		flow_object_unref(r->objects, f->objects[i]);
	}
	for (uint32_t i = 0; i < f->n_learns; i++) {
		of_learned_unref(f->learns[i]);
	}
	f->n_rules = f->n_contexts = f->n_learned = f->n_counters = f->n_objects = 0;
	f->n_learns = f->n_fins = 0;
	free(f->actions);
	free(f->rules);
	free(f->contexts);
	free(f->learned);
	free(f->learns);
	free(f->fins);
	free(f->counters);
	free(f->objects);
	f->counters = NULL;
	f->objects = NULL;
	f->actions = NULL;
	f->rules = NULL;
	f->contexts = NULL;
	f->learned = NULL;
	f->learns = NULL;
	f->fins = NULL;
}

static uint32_t
identity_hash(uint64_t map, const uint64_t *words)
{
	return hash_bytes(words, 2 * of_mini_n(map) * sizeof(*words), (uint32_t)(map ^ map >> 32));
}

/* The words of a mask, then of the key under it. */
static unsigned
make_words(const struct flow_key *key, const struct flow_mask *mask, uint64_t map, uint64_t *words)
{
	unsigned n = of_mini_n(map);

	of_words_get(&mask->bits, map, words);
	of_words_get(key, map, words + n);
	for (unsigned i = 0; i < n; i++) {
		words[n + i] &= words[i];
	}
	return 2 * n;
}

void
flow_set_identity(struct flow_registry *r, struct flow *f, const struct flow_key *key,
	const struct flow_mask *mask)
{
	uint64_t words[2 * OF_N_WORDS];
	unsigned n;

	f->map = of_words_map(&mask->bits);
	n = make_words(key, mask, f->map, words);
	free(f->words);
	f->words = xmemdup(words, n * sizeof(words[0]));
	hmap_insert(&r->by_key, &f->by_key, identity_hash(f->map, words));
	if (!f->port) {
		flow_join_port(r, f, be32_to(key->in_port));
	}
}

struct flow *
flow_find(struct flow_registry *r, const struct flow_key *key, const struct flow_mask *mask)
{
	uint64_t words[2 * OF_N_WORDS], map = of_words_map(&mask->bits);
	unsigned n = make_words(key, mask, map, words);
	struct flow *f;

	HMAP_FOREACH_WITH_HASH (f, by_key, identity_hash(map, words), &r->by_key) {
		if (f->map == map && !memcmp(f->words, words, n * sizeof(words[0]))) {
			break;
		}
	}
	return f;
}

void
flow_get_identity(const struct flow *f, struct flow_key *key, struct flow_mask *mask)
{
	of_words_put(&mask->bits, f->map, f->words);
	of_words_put(key, f->map, f->words + of_mini_n(f->map));
}

void
flow_await(struct flow_registry *r, struct flow *f, enum flow_state state)
{
	f->state = state;
	f->request = r->next_request++;
	hmap_insert(&r->by_request, &f->by_request, hash_u64(f->request, 0));
}

void
flow_settle(struct flow_registry *r, struct flow *f)
{
	hmap_remove(&r->by_request, &f->by_request);
	f->request = 0;
	f->state = FLOW_INSTALLED;
}

void
flow_forget(struct flow_registry *r, struct flow *f)
{
	if (f->request) {
		hmap_remove(&r->by_request, &f->by_request);
	}
	if (f->state == FLOW_ADOPTED) {
		r->counters.n_adopted--;
	}
	hmap_remove(&r->by_key, &f->by_key);
	flow_leave_port(r, f);
	list_remove(&f->by_stale);
	list_remove(&f->by_stats);
	drop_translation(r, f);
	flow_deps_clear(&r->deps, &f->deps);
	free(f->full_key);
	free(f->words);
	free(f);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects: who refers to whom.
 */
#include <errno.h>
#include <stdlib.h>

#include "datapath/object_internal.h"
#include "lib/alloc.h"
#include "lib/dp_action.h"

/* Calls @visit for each object that a list refers to, until it says other than 0. @kind: what the action
 * asks for. */
static int
each_in_list(const void *actions, size_t size, object_visit_fn *visit, void *arg)
{
	static const uint32_t kinds[DP_ACTION_N] = {
		[DP_ACTION_SELECT] = DP_OBJECT_SELECT,
		[DP_ACTION_FIRST_LIVE] = DP_OBJECT_FIRST_LIVE,
		[DP_ACTION_METER] = DP_OBJECT_METER,
		[DP_ACTION_ENCAP] = DP_OBJECT_ENCAP,
	};
	int rc = 0;

	for (const struct dp_action_hdr *a = dp_action_first(actions, size); a && !rc;
		a = dp_action_next(a, actions, size)) {
		if (kinds[a->type]) {
			rc = visit(((const struct dp_action_object *)(const void *)a)->object,
				kinds[a->type], arg);
		}
		for (unsigned which = 0; which < 2 && !rc; which++) {
			size_t nested_size;
			const void *nested = dp_action_nested(a, which, &nested_size);

			rc = each_in_list(nested, nested_size, visit, arg);
		}
	}
	return rc;
}

const struct dp_bucket *
object_next_bucket(const void *raw, size_t size, const struct dp_bucket *b)
{
	const uint8_t *at = b ? (const uint8_t *)b + b->size : raw;

	/* An empty body may be a null pointer, to which nothing is added, not even 0. */
	return size && at < (const uint8_t *)raw + size ? (const void *)at : NULL;
}

bool
object_has_buckets(uint32_t kind)
{
	return kind == DP_OBJECT_SELECT || kind == DP_OBJECT_FIRST_LIVE;
}

int
object_each_ref(uint32_t kind, const void *raw, size_t size, object_visit_fn *visit, void *arg)
{
	const struct dp_bucket *b = NULL;
	int rc = 0;

	while (object_has_buckets(kind) && !rc && (b = object_next_bucket(raw, size, b))) {
		if (!dp_handle_is_none(b->watch_object)) {
			rc = visit(b->watch_object, 0, arg);
		}
		if (!rc) {
			rc = each_in_list(b->actions, b->size - sizeof *b, visit, arg);
		}
	}
	return rc;
}

struct object_body *
object_find_kept(struct dp_handle h)
{
	struct object_body *body = object_find(h);

	return body && !atomic_load_explicit(&object_slots[h.slot].deleted, memory_order_relaxed)
		       ? body
		       : NULL;
}

int
object_check_ref(struct dp_handle h, uint32_t kind, void *arg)
{
	const struct object_body *body = object_find_kept(h);

	(void)arg;
	if (!body) {
		return -ESTALE;
	}
	return body->kind == kind || (!kind && object_has_buckets(body->kind)) ? 0 : -EINVAL;
}

int
object_count_ref(struct dp_handle h, uint32_t kind, void *arg)
{
	(void)kind;
	atomic_fetch_add_explicit(
		&object_slots[h.slot].n_refs, *(uint64_t *)arg, memory_order_relaxed);
	return 0;
}

int
objects_check(const void *actions, size_t size)
{
	return each_in_list(actions, size, object_check_ref, NULL);
}

void
objects_ref(const void *actions, size_t size)
{
	uint64_t one = 1;

	each_in_list(actions, size, object_count_ref, &one);
}

void
objects_unref(const void *actions, size_t size)
{
	uint64_t less = UINT64_MAX;

	each_in_list(actions, size, object_count_ref, &less);
}

/* With a stack of its own: chains are as long as there are objects. */
struct search {
	uint32_t target;
	uint32_t number; /* of the search: each object is looked into once */
	uint32_t *slots; /* to be looked into */
	size_t n, max;
};

/* Notes an object to be looked into. */
static int
search_one(struct dp_handle h, uint32_t kind, void *arg)
{
	struct search *s = arg;

	(void)kind;
	if (h.slot == s->target) {
		return -ELOOP;
	}
	if (object_slots[h.slot].seen != s->number) {
		object_slots[h.slot].seen = s->number;
		if (s->n == s->max) {
			s->max = 2 * s->max + 16;
			s->slots = xrealloc(s->slots, s->max * sizeof s->slots[0]);
		}
		s->slots[s->n++] = h.slot;
	}
	return 0;
}

int
object_search_loop(uint32_t kind, const void *raw, size_t size, uint32_t slot)
{
	static uint32_t searches;
	struct search s = {.target = slot, .number = ++searches};
	int rc = object_each_ref(kind, raw, size, search_one, &s);

	while (!rc && s.n) {
		const struct object_body *body = object_slots[s.slots[--s.n]].body;

		rc = object_each_ref(body->kind, body->raw, body->size, search_one, &s);
	}
	free(s.slots);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects.
 */
#include "datapath/object.h"

#include <errno.h>
#include <rte_cycles.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "datapath/meter.h"
#include "datapath/object_internal.h"
#include "datapath/rcu.h"
#include "datapath/select.h"
#include "datapath/tunnel.h"
#include "lib/alloc.h"

#define NONE UINT32_MAX
#define N_SEEDS 4096u

/* What waits for its grace period; a FIFO. */
struct retired {
	struct retired *next;
	uint64_t token;
	struct object_body *body;
	bool *lost;    /* parts of the body whose slots go with it; NULL: all */
	uint32_t slot; /* of the object that was deleted, else NONE */
	bool withdrawn;
	uint64_t user;
};

struct object *object_slots;

static struct {
	const struct stats_region *stats;
	uint32_t first_slot;
	uint32_t n_fresh, free_head; /* objects */
	uint32_t n_fresh_parts, free_parts, n_parts;
	uint32_t *part_gens, *part_next;
	struct retired *retired_head, **retired_tail;
	uint64_t n_deleted, n_told;
	_Atomic uint32_t n;
	uint32_t by_seed
		[N_SEEDS]; /* slot + 1 of the last select object of a seed like that; a guess */
} objects;

int
objects_init(const struct stats_region *stats, uint32_t first_slot)
{
	size_t size = OBJECTS_MAX * sizeof(struct object);

	memset(&objects, 0, sizeof objects);
	objects.stats = stats;
	objects.first_slot = first_slot;
	objects.free_head = objects.free_parts = NONE;
	objects.retired_tail = &objects.retired_head;
	object_slots = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (object_slots == MAP_FAILED) {
		object_slots = NULL;
		return -ENOMEM;
	}
	objects.part_gens = xcalloc(OBJECT_PARTS_MAX, sizeof objects.part_gens[0]);
	objects.part_next = xcalloc(OBJECT_PARTS_MAX, sizeof objects.part_next[0]);
	return 0;
}

static void
body_free(struct object_body *body)
{
	if (body) {
		free(body->parts);
		free(body->buckets);
		free(body->table);
		free(body->meter);
		tunnel_encap_destroy(body->encap);
		free(body);
	}
}

static void
retired_free(struct retired *r)
{
	body_free(r->body);
	free(r->lost);
	free(r);
}

void
objects_uninit(void)
{
	struct retired *r, *next;

	if (!object_slots) {
		return;
	}
	for (r = objects.retired_head; r; r = next) {
		next = r->next;
		retired_free(r);
	}
	for (uint32_t i = 0; i < objects.n_fresh; i++) {
		body_free(object_slots[i].deleted ? NULL : object_slots[i].body); /* retired */
	}
	free(objects.part_gens);
	free(objects.part_next);
	munmap(object_slots, OBJECTS_MAX * sizeof(struct object));
	object_slots = NULL;
}

/* --- put ----------------------------------------------------------------------------------------------- */

/* A statistics slot for a new part. There is one. */
static struct dp_handle
take_part(void)
{
	uint32_t part = objects.free_parts;

	if (part != NONE) {
		objects.free_parts = objects.part_next[part];
	} else {
		part = objects.n_fresh_parts++;
	}
	objects.n_parts++;
	if (++objects.part_gens[part] == 0) {
		objects.part_gens[part] = 1;
	}
	stats_region_reset(objects.stats, objects.first_slot + part, objects.part_gens[part]);
	return (struct dp_handle){objects.first_slot + part, objects.part_gens[part]};
}

static void
give_part(struct dp_handle h)
{
	uint32_t part = h.slot - objects.first_slot;

	objects.part_next[part] = objects.free_parts;
	objects.free_parts = part;
	objects.n_parts--;
}

static uint32_t
part_id(const struct object_body *body, uint32_t i)
{
	const struct dp_meter *meter = (const void *)body->raw;

	if (body->buckets) {
		return body->buckets[i]->id;
	}
	return i ? ((const struct dp_meter_band *)(const void *)(meter + 1))[i - 1].id : meter->id;
}

/* What a body's parts are known by, sorted. */
struct part {
	uint32_t id, index;
};

static int
compare_parts(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

/* Gives the parts their slots: those that @was has by the same id keep theirs. Returns which of @was' are
 * lost by it. */
static bool *
set_parts(struct object_body *body, const struct object_body *was)
{
	uint32_t n_was = was ? was->n_parts : 0;
	bool *lost = xcalloc(n_was + 1, sizeof lost[0]);
	struct part *before = xcalloc(n_was + 1, sizeof before[0]), *found;

	for (uint32_t i = 0; i < n_was; i++) {
		before[i] = (struct part){part_id(was, i), i};
		lost[i] = true;
	}
	qsort(before, n_was, sizeof before[0], compare_parts);
	body->parts = xcalloc(body->n_parts + 1, sizeof body->parts[0]);
	for (uint32_t i = 0; i < body->n_parts; i++) {
		struct part key = {.id = part_id(body, i)};

		found = bsearch(&key, before, n_was, sizeof before[0], compare_parts);
		if (found) {
			body->parts[i] = was->parts[found->index];
			lost[found->index] = false;
		} else {
			body->parts[i] = take_part();
		}
	}
	free(before);
	return lost;
}

static struct select_bucket *
select_buckets(const struct object_body *body)
{
	struct select_bucket *list = xcalloc(body->n_parts + 1, sizeof list[0]);

	for (uint32_t i = 0; i < body->n_parts; i++) {
		list[i] = (struct select_bucket){body->buckets[i]->id, body->buckets[i]->weight};
	}
	return list;
}

static void
set_table(struct object_body *body, const struct object_body *was)
{
	struct select_bucket *now = select_buckets(body), *old = was ? select_buckets(was) : NULL;

	body->table = select_table_create(
		now, body->n_parts, was ? was->table : NULL, old, was ? was->n_parts : 0);
	free(now);
	free(old);
}

/* The table that a new object of that seed goes on from. */
static const struct object_body *
body_of_seed(uint32_t seed)
{
	uint32_t slot = objects.by_seed[seed % N_SEEDS];
	const struct object_body *body =
		seed && slot
			? atomic_load_explicit(&object_slots[slot - 1].body, memory_order_relaxed)
			: NULL;

	return body && body->kind == DP_OBJECT_SELECT && body->seed == seed ? body : NULL;
}

/* A body with all that is computed from it; nobody sees it yet. */
static struct object_body *
body_create(const struct dp_message *m, uint32_t slot, const struct object_body *was)
{
	const struct dp_object_put *put = m->body;
	struct object_body *body =
		xcalloc(1, sizeof *body + WEFT_ROUND_UP(m->data_len, sizeof body->raw[0]));
	const struct dp_bucket *b = NULL;
	const struct dp_meter *meter = (const void *)body->raw;

	body->kind = put->kind;
	body->n_parts = m->n_parts;
	body->size = (uint32_t)m->data_len;
	body->seed = put->seed ? put->seed : slot + 1;
	if (m->data_len) {
		memcpy(body->raw, m->data, m->data_len);
	}
	if (object_has_buckets(body->kind)) {
		body->buckets = xcalloc(body->n_parts + 1, sizeof body->buckets[0]);
		for (uint32_t i = 0; i < body->n_parts; i++) {
			b = object_next_bucket(body->raw, body->size, b);
			body->buckets[i] = b;
		}
	}
	if (body->kind == DP_OBJECT_SELECT) {
		set_table(body, was ? was : body_of_seed(put->seed));
		objects.by_seed[body->seed % N_SEEDS] = slot + 1;
	} else if (body->kind == DP_OBJECT_METER) {
		body->meter = meter_create(meter, (const void *)(meter + 1), body->n_parts - 1,
			rte_get_tsc_hz(), rte_rdtsc(), was ? was->meter : NULL);
	} else if (body->kind == DP_OBJECT_ENCAP) {
		body->encap = tunnel_encap_create((const void *)body->raw);
	}
	return body;
}

static void
enqueue(struct retired *r)
{
	r->next = NULL;
	r->token = rcu_start();
	*objects.retired_tail = r;
	objects.retired_tail = &r->next;
}

static void
retire(struct object_body *body, bool *lost, uint32_t slot, uint64_t user)
{
	struct retired *r = xcalloc(1, sizeof *r);

	r->body = body;
	r->lost = lost;
	r->slot = slot;
	r->user = user;
	enqueue(r);
}

/* Whether a body may be put at @slot (NONE: a new one): everything that is checked before anything is
 * changed. */
static int
check_put(const struct dp_message *m, uint32_t slot, const struct object_body *was)
{
	const struct dp_object_put *put = m->body;
	int rc = object_each_ref(put->kind, m->data, m->data_len, object_check_ref, NULL);

	if (rc) {
		return rc;
	}
	if (was && was->kind != put->kind) {
		return -EINVAL;
	}
	/* Also for the parts that are kept, which is more than needed by little. */
	if (m->n_parts > OBJECT_PARTS_MAX - objects.n_parts) {
		return -ENOSPC;
	}
	if (slot == NONE) {
		return objects.free_head == NONE && objects.n_fresh == OBJECTS_MAX ? -ENOSPC : 0;
	}
	return object_search_loop(put->kind, m->data, m->data_len, slot);
}

static uint32_t
take_slot(void)
{
	uint32_t slot = objects.free_head;
	struct object *o;

	if (slot != NONE) {
		objects.free_head = object_slots[slot].free_next;
	} else {
		slot = objects.n_fresh++;
	}
	o = &object_slots[slot];
	atomic_store_explicit(&o->gen, o->gen == UINT32_MAX ? 1 : o->gen + 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&objects.n, 1, memory_order_relaxed);
	return slot;
}

int
objects_put(const struct dp_message *m, struct dp_handle *object, const struct dp_handle **parts)
{
	const struct dp_object_put *put = m->body;
	bool is_new = dp_handle_is_none(*object);
	struct object_body *was = is_new ? NULL : object_find_kept(*object), *body;
	uint32_t slot = is_new ? NONE : object->slot;
	uint64_t one = 1, less = UINT64_MAX;
	bool *lost;
	int rc;

	if (!is_new && !was) {
		return -ESTALE;
	}
	rc = check_put(m, slot, was);
	if (rc) {
		return rc;
	}
	if (is_new) {
		slot = take_slot();
		*object = (struct dp_handle){slot, object_slots[slot].gen};
	}
	body = body_create(m, slot, was);
	lost = set_parts(body, was);
	object_each_ref(put->kind, body->raw, body->size, object_count_ref, &one);
	atomic_store_explicit(&object_slots[slot].body, body, memory_order_release);
	if (was) {
		object_each_ref(was->kind, was->raw, was->size, object_count_ref, &less);
		retire(was, lost, NONE, 0);
	} else {
		free(lost);
	}
	*parts = body->parts;
	return 0;
}

/* --- del ----------------------------------------------------------------------------------------------- */

int
objects_del(struct dp_handle object, uint64_t user)
{
	struct object_body *body = object_find_kept(object);
	uint64_t less = UINT64_MAX;
	struct object *o;

	if (!body) {
		return -ESTALE;
	}
	o = &object_slots[object.slot];
	if (atomic_load_explicit(&o->n_refs, memory_order_relaxed)) {
		return -EBUSY;
	}
	atomic_store_explicit(&o->deleted, true, memory_order_relaxed);
	objects.n_deleted++;
	atomic_fetch_sub_explicit(&objects.n, 1, memory_order_relaxed);
	object_each_ref(body->kind, body->raw, body->size, object_count_ref, &less);
	retire(body, NULL, object.slot, user);
	return 0;
}

/* Tells of an object that was deleted. False: not now. */
static bool
tell(const struct retired *r, object_deleted_fn *deleted, void *arg)
{
	struct flow_stats *finals = xcalloc(r->body->n_parts + 1, sizeof finals[0]);
	bool told;

	for (uint32_t i = 0; i < r->body->n_parts; i++) {
		stats_region_read(
			objects.stats, r->body->parts[i].slot, r->body->parts[i].gen, &finals[i]);
	}
	told = deleted((struct dp_handle){r->slot, object_slots[r->slot].gen}, finals,
		r->body->n_parts, r->user, arg);
	objects.n_told += told;
	free(finals);
	return told;
}

/* Nobody holds it any more. */
static void
reclaim(struct retired *r)
{
	for (uint32_t i = 0; i < r->body->n_parts; i++) {
		if (!r->lost || r->lost[i]) {
			give_part(r->body->parts[i]);
		}
	}
	if (r->slot != NONE) {
		object_slots[r->slot].deleted = false;
		object_slots[r->slot].free_next = objects.free_head;
		objects.free_head = r->slot;
	}
	retired_free(r);
}

bool
objects_run(object_deleted_fn *deleted, void *arg)
{
	struct retired *r;

	while ((r = objects.retired_head) && rcu_passed(r->token)) {
		bool withdraw = r->slot != NONE && !r->withdrawn;

		if (r->slot != NONE && !withdraw && !tell(r, deleted, arg)) {
			break;
		}
		objects.retired_head = r->next;
		if (!objects.retired_head) {
			objects.retired_tail = &objects.retired_head;
		}
		if (withdraw) {
			atomic_store_explicit(
				&object_slots[r->slot].body, NULL, memory_order_release);
			r->withdrawn = true;
			enqueue(r);
		} else {
			reclaim(r);
		}
	}
	return objects.retired_head;
}

uint64_t
objects_n_deleted(void)
{
	return objects.n_deleted;
}

uint64_t
objects_n_told(void)
{
	return objects.n_told;
}

/* --- listing ------------------------------------------------------------------------------------------- */

bool
objects_list(uint32_t slot, struct object_info *info, uint32_t *next)
{
	for (; object_slots && slot < OBJECTS_MAX; slot++) {
		const struct object *o = &object_slots[slot];
		uint32_t gen = atomic_load_explicit(&o->gen, memory_order_acquire);

		if (!gen) {
			return false; /* nor has any slot behind it been used */
		}
		info->body = atomic_load_explicit(&o->body, memory_order_acquire);
		if (info->body && !atomic_load_explicit(&o->deleted, memory_order_relaxed)) {
			info->object = (struct dp_handle){slot, gen};
			info->n_refs = atomic_load_explicit(&o->n_refs, memory_order_relaxed);
			*next = slot + 1;
			return true;
		}
	}
	return false;
}

uint32_t
objects_count(void)
{
	return atomic_load_explicit(&objects.n, memory_order_relaxed);
}

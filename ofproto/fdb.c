/* SPDX-License-Identifier: Apache-2.0
 *
 * MAC learning table: hash chains that readers walk without locks, a list by age for the writer.
 *
 * Move: to another port, by a store; to another remote, by an entry in the place of the old one, so that no reader
 *      sees half an address.
 * Age: handlers refresh an entry by storing its time; the list is put right when the writer comes by:
 *      an entry at its head that was used since it was filed goes to the tail.
 * Why: buckets do not grow: their number follows from the limit, which is small, and a table that
 *      readers see while it is rebuilt costs more than chains of a few entries.
 */
#include "ofproto/fdb.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "lib/hash.h"
#include "lib/list.h"
#include "ofproto/grace.h"

#define MIN_BUCKETS 1024u
#define MAX_BUCKETS 65536u
/* At most so many entries are put right before one is evicted. */
#define EVICT_TRIES 64

struct fdb_entry {
	struct grace_item retired;
	_Atomic(struct fdb_entry *) next;
	uint64_t key; /* VLAN and address */
	_Atomic uint32_t port;
	struct of_underlay_addr remote; /* never changes */
	_Atomic uint64_t used_ms;
	/* The writer's. */
	struct list by_age;
	uint64_t filed_ms; /* used_ms when it was put into the list */
	bool is_static;
};

struct fdb {
	struct grace *grace;
	void (*changed)(void *user, uint64_t key);
	void *user;
	size_t max;
	size_t n_learned;
	size_t n_static;
	struct list learned; /* oldest first */
	struct list statics;
	uint32_t mask;
	_Atomic(struct fdb_entry *) buckets[];
};

static struct fdb_entry *find(const struct fdb *f, uint64_t key);
static struct fdb_entry *add(struct fdb *f, uint64_t key, const struct fdb_place *place,
	uint64_t now_ms, bool is_static);
static bool move(struct fdb *f, struct fdb_entry *e, struct of_port port);
static bool same_remote(const struct fdb_entry *e, const struct fdb_place *place);
static void evict(struct fdb *f);
static void remove_entry(struct fdb *f, struct fdb_entry *e);
static void file(struct fdb *f, struct fdb_entry *e, uint64_t used_ms);
static uint64_t used(const struct fdb_entry *e);
static void free_entry(struct grace_item *item);

uint64_t
fdb_key(uint16_t vlan, const uint8_t mac[6])
{
	return (uint64_t)vlan << 48 | (uint64_t)get_be16(mac) << 32 | get_be32(mac + 2);
}

struct fdb *
fdb_create(struct grace *grace, size_t max, void (*changed)(void *user, uint64_t key), void *user)
{
	uint32_t n = MIN_BUCKETS;
	struct fdb *f;

	while (n < max && n < MAX_BUCKETS) {
		n *= 2;
	}
	f = xcalloc(1, sizeof(*f) + n * sizeof(f->buckets[0]));
	f->grace = grace;
	f->changed = changed;
	f->user = user;
	f->max = max;
	f->mask = n - 1;
	list_init(&f->learned);
	list_init(&f->statics);
	return f;
}

void
fdb_destroy(struct fdb *f)
{
	if (!f) {
		return;
	}
	for (uint32_t i = 0; i <= f->mask; i++) {
		struct fdb_entry *e, *next;

		for (e = atomic_load_explicit(&f->buckets[i], memory_order_relaxed); e; e = next) {
			next = atomic_load_explicit(&e->next, memory_order_relaxed);
			free(e);
		}
	}
	free(f);
}

void
fdb_set_max(struct fdb *f, size_t max)
{
	f->max = max;
	while (f->n_learned > max) {
		evict(f);
	}
}

size_t
fdb_count(const struct fdb *f)
{
	return f->n_learned + f->n_static;
}

struct of_port
fdb_lookup(const struct fdb *f, uint16_t vlan, const uint8_t mac[6])
{
	const struct fdb_entry *e = find(f, fdb_key(vlan, mac));

	return e ? OF_PORT(atomic_load_explicit(&e->port, memory_order_relaxed)) : OF_PORT_NONE;
}

struct fdb_place
fdb_find(const struct fdb *f, uint16_t vlan, const uint8_t mac[6])
{
	const struct fdb_entry *e = find(f, fdb_key(vlan, mac));
	struct fdb_place place = {.port = OF_PORT_NONE};

	if (e) {
		place.port = OF_PORT(atomic_load_explicit(&e->port, memory_order_relaxed));
		place.remote = e->remote;
	}
	return place;
}

bool
fdb_refresh(const struct fdb *f, uint16_t vlan, const uint8_t mac[6], const struct fdb_place *place,
	uint64_t now_ms)
{
	struct fdb_entry *e = find(f, fdb_key(vlan, mac));

	if (!e) {
		return false;
	}
	if (e->is_static) {
		return true;
	}
	if (atomic_load_explicit(&e->port, memory_order_relaxed) != place->port.v ||
		!same_remote(e, place)) {
		return false;
	}
	if (used(e) < now_ms) {
		atomic_store_explicit(&e->used_ms, now_ms, memory_order_relaxed);
	}
	return true;
}

bool
fdb_learn(struct fdb *f, uint16_t vlan, const uint8_t mac[6], const struct fdb_place *place,
	uint64_t now_ms)
{
	uint64_t key = fdb_key(vlan, mac);
	struct fdb_entry *e = find(f, key);

	if (mac[0] & 1 || !f->max) {
		return false;
	}
	if (e && e->is_static) {
		return false;
	}
	if (e && same_remote(e, place)) {
		file(f, e, WEFT_MAX(now_ms, used(e)));
		return move(f, e, place->port);
	}
	if (e) {
		now_ms = WEFT_MAX(now_ms, used(e));
		remove_entry(f, e);
	}
	while (f->n_learned >= f->max) {
		evict(f);
	}
	e = add(f, key, place, now_ms, false);
	f->n_learned++;
	file(f, e, now_ms);
	return true;
}

bool
fdb_add_static(struct fdb *f, uint16_t vlan, const uint8_t mac[6], struct of_port port)
{
	struct fdb_place place = {.port = port};
	uint64_t key = fdb_key(vlan, mac);
	struct fdb_entry *e = find(f, key);

	if (e && e->is_static) {
		return move(f, e, port);
	}
	if (e) {
		remove_entry(f, e);
	}
	e = add(f, key, &place, 0, true);
	list_push_back(&f->statics, &e->by_age);
	f->n_static++;
	return true;
}

bool
fdb_del(struct fdb *f, uint16_t vlan, const uint8_t mac[6])
{
	struct fdb_entry *e = find(f, fdb_key(vlan, mac));

	if (e) {
		remove_entry(f, e);
	}
	return e != NULL;
}

bool
fdb_flush(struct fdb *f)
{
	bool changed = !list_is_empty(&f->learned);

	while (!list_is_empty(&f->learned)) {
		remove_entry(f, LIST_ENTRY(f->learned.next, struct fdb_entry, by_age));
	}
	return changed;
}

bool
fdb_flush_port(struct fdb *f, struct of_port port)
{
	struct list *lists[] = {&f->learned, &f->statics};
	bool changed = false;

	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(lists); i++) {
		struct fdb_entry *e, *next;

		LIST_FOREACH_SAFE (e, next, by_age, lists[i]) {
			if (atomic_load_explicit(&e->port, memory_order_relaxed) == port.v) {
				remove_entry(f, e);
				changed = true;
			}
		}
	}
	return changed;
}

bool
fdb_expire(struct fdb *f, uint64_t now_ms, uint64_t ageing_ms, unsigned budget)
{
	bool changed = false;

	while (budget-- && !list_is_empty(&f->learned)) {
		struct fdb_entry *e = LIST_ENTRY(f->learned.next, struct fdb_entry, by_age);

		if (e->filed_ms + ageing_ms > now_ms) {
			break;
		}
		if (used(e) > e->filed_ms) {
			file(f, e, used(e));
		} else {
			remove_entry(f, e);
			changed = true;
		}
	}
	return changed;
}

uint64_t
fdb_next_ms(const struct fdb *f, uint64_t ageing_ms)
{
	return list_is_empty(&f->learned)
		       ? UINT64_MAX
		       : LIST_ENTRY(f->learned.next, struct fdb_entry, by_age)->filed_ms +
				 ageing_ms;
}

void
fdb_visit(
	const struct fdb *f, void (*visit)(const struct fdb_entry_view *e, void *user), void *user)
{
	const struct list *lists[] = {&f->learned, &f->statics};

	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(lists); i++) {
		const struct fdb_entry *e;

		LIST_FOREACH (e, by_age, lists[i]) {
			struct fdb_entry_view view = {
				.vlan = (uint16_t)(e->key >> 48),
				.place = {OF_PORT(atomic_load_explicit(
						  &e->port, memory_order_relaxed)),
					e->remote},
				.is_static = e->is_static,
				.used_ms = used(e),
			};

			for (unsigned b = 0; b < 6; b++) {
				view.mac[b] = (uint8_t)(e->key >> (40 - 8 * b));
			}
			visit(&view, user);
		}
	}
}

static struct fdb_entry *
find(const struct fdb *f, uint64_t key)
{
	struct fdb_entry *e =
		atomic_load_explicit(&f->buckets[hash_u64(key, 0) & f->mask], memory_order_acquire);

	while (e && e->key != key) {
		e = atomic_load_explicit(&e->next, memory_order_acquire);
	}
	return e;
}

static struct fdb_entry *
add(struct fdb *f, uint64_t key, const struct fdb_place *place, uint64_t now_ms, bool is_static)
{
	_Atomic(struct fdb_entry *) *head = &f->buckets[hash_u64(key, 0) & f->mask];
	struct fdb_entry *e = xcalloc(1, sizeof(*e));

	e->key = key;
	e->is_static = is_static;
	e->remote = place->remote;
	atomic_init(&e->port, place->port.v);
	atomic_init(&e->used_ms, now_ms);
	list_init(&e->by_age);
	atomic_init(&e->next, atomic_load_explicit(head, memory_order_relaxed));
	atomic_store_explicit(head, e, memory_order_release);
	f->changed(f->user, key);
	return e;
}

static bool
move(struct fdb *f, struct fdb_entry *e, struct of_port port)
{
	if (atomic_exchange_explicit(&e->port, port.v, memory_order_relaxed) == port.v) {
		return false;
	}
	f->changed(f->user, e->key);
	return true;
}

static bool
same_remote(const struct fdb_entry *e, const struct fdb_place *place)
{
	return !memcmp(&e->remote, &place->remote, sizeof(e->remote));
}

/* Removes the entry that was used least recently, or nearly so. */
static void
evict(struct fdb *f)
{
	for (unsigned i = 0; i < EVICT_TRIES; i++) {
		struct fdb_entry *e = LIST_ENTRY(f->learned.next, struct fdb_entry, by_age);

		if (used(e) <= e->filed_ms) {
			break;
		}
		file(f, e, used(e));
	}
	remove_entry(f, LIST_ENTRY(f->learned.next, struct fdb_entry, by_age));
}

/* Unlinks it; readers may hold it until the grace period has passed. */
static void
remove_entry(struct fdb *f, struct fdb_entry *e)
{
	_Atomic(struct fdb_entry *) *link = &f->buckets[hash_u64(e->key, 0) & f->mask];
	struct fdb_entry *i;

	while ((i = atomic_load_explicit(link, memory_order_relaxed)) != e) {
		link = &i->next;
	}
	atomic_store_explicit(
		link, atomic_load_explicit(&e->next, memory_order_relaxed), memory_order_release);
	list_remove(&e->by_age);
	if (e->is_static) {
		f->n_static--;
	} else {
		f->n_learned--;
	}
	f->changed(f->user, e->key);
	grace_retire(f->grace, &e->retired, free_entry);
}

/* To the young end of the list. */
static void
file(struct fdb *f, struct fdb_entry *e, uint64_t used_ms)
{
	list_remove(&e->by_age);
	e->filed_ms = used_ms;
	if (used(e) < used_ms) {
		atomic_store_explicit(&e->used_ms, used_ms, memory_order_relaxed);
	}
	list_push_back(&f->learned, &e->by_age);
}

static uint64_t
used(const struct fdb_entry *e)
{
	return atomic_load_explicit(&e->used_ms, memory_order_relaxed);
}

static void
free_entry(struct grace_item *item)
{
	free(WEFT_CONTAINER_OF(item, struct fdb_entry, retired));
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Multicast table: hash chains of immutable groups, and one list of routers.
 */
#include "ofproto/mdb.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/compiler.h"
#include "lib/hash.h"

#define N_CHAINS 1024u
#define ROUTERS_DEP (UINT64_C(1) << 63)

struct mdb {
	struct grace *grace;
	void (*changed)(void *user, uint64_t dep);
	void *user;
	size_t n_groups;
	uint64_t next_ms; /* nothing is due before */
	struct list groups;
	_Atomic(struct mdb_routers *) routers; /* NULL: none */
	_Atomic(struct mdb_group *) chains[N_CHAINS];
};

static struct mdb_group *find(const struct mdb *m, uint16_t vlan, const uint8_t addr[16]);
static void replace(
	struct mdb *m, const struct mdb_group *is, struct mdb_group *old, struct mdb_group *new);
static void set_routers(struct mdb *m, struct mdb_routers *new, uint16_t vlan);
static size_t n_of_port(const struct mdb *m, struct of_port port);
static bool remove_members(
	struct mdb *m, bool (*is_gone)(const struct mdb_member *e, uint64_t arg), uint64_t arg);
static void free_group(struct grace_item *item);
static void free_routers(struct grace_item *item);

struct mdb *
mdb_create(struct grace *grace, void (*changed)(void *user, uint64_t dep), void *user)
{
	struct mdb *m = xcalloc(1, sizeof(*m));

	m->grace = grace;
	m->changed = changed;
	m->user = user;
	m->next_ms = UINT64_MAX;
	list_init(&m->groups);
	return m;
}

void
mdb_destroy(struct mdb *m)
{
	if (!m) {
		return;
	}
	while (!list_is_empty(&m->groups)) {
		free(LIST_ENTRY(list_pop_front(&m->groups), struct mdb_group, link));
	}
	free(atomic_load_explicit(&m->routers, memory_order_relaxed));
	free(m);
}

size_t
mdb_count(const struct mdb *m)
{
	return m->n_groups;
}

uint64_t
mdb_dep(uint16_t vlan, const uint8_t addr[16])
{
	return (uint64_t)hash_bytes(addr, 16, vlan) << 16 | vlan;
}

uint64_t
mdb_dep_routers(uint16_t vlan)
{
	return ROUTERS_DEP | vlan;
}

const struct mdb_group *
mdb_find(const struct mdb *m, uint16_t vlan, const uint8_t addr[16])
{
	return find(m, vlan, addr);
}

bool
mdb_has_router(const struct mdb *m, uint16_t vlan, struct of_port port)
{
	const struct mdb_routers *r = atomic_load_explicit(&m->routers, memory_order_acquire);

	for (uint32_t i = 0; r && i < r->n; i++) {
		if (r->members[i].vlan == vlan && r->members[i].port.v == port.v) {
			return true;
		}
	}
	return false;
}

/* --- the loop ------------------------------------------------------------------------------------ */

/* Refreshes the member of that port and VLAN. */
static bool
refresh(struct mdb *m, struct mdb_member *list, uint32_t n, const struct mdb_member *member)
{
	m->next_ms = WEFT_MIN(m->next_ms, member->expires_ms);
	for (uint32_t i = 0; i < n; i++) {
		if (list[i].port.v == member->port.v && list[i].vlan == member->vlan) {
			list[i].expires_ms = member->expires_ms;
			return true;
		}
	}
	return false;
}

bool
mdb_join(struct mdb *m, uint16_t vlan, const uint8_t addr[16], struct of_port port,
	uint64_t expires_ms)
{
	struct mdb_group *old = find(m, vlan, addr), *g;
	const struct mdb_member member = {port, vlan, expires_ms};
	uint32_t n = old ? old->n : 0;

	if (old && refresh(m, old->members, n, &member)) {
		return false;
	}
	if ((!old && m->n_groups >= MDB_MAX_GROUPS) || n_of_port(m, port) >= MDB_MAX_OF_PORT) {
		return false;
	}
	g = xcalloc(1, sizeof(*g) + (n + 1) * sizeof(g->members[0]));
	g->vlan = vlan;
	memcpy(g->addr, addr, 16);
	if (old) {
		memcpy(g->members, old->members, n * sizeof(g->members[0]));
	}
	g->members[n] = member;
	g->n = n + 1;
	m->next_ms = WEFT_MIN(m->next_ms, expires_ms);
	replace(m, g, old, g);
	return true;
}

static bool
is_port(const struct mdb_member *e, uint64_t port)
{
	return e->port.v == port;
}

static bool
is_due(const struct mdb_member *e, uint64_t now_ms)
{
	return e->expires_ms <= now_ms;
}

static bool
is_any(const struct mdb_member *e, uint64_t arg)
{
	(void)e;
	(void)arg;
	return true;
}

/* The group without those; whether there were any. */
static bool
remove_from(struct mdb *m, struct mdb_group *old,
	bool (*is_gone)(const struct mdb_member *e, uint64_t arg), uint64_t arg)
{
	struct mdb_group *g = xmemdup(old, sizeof(*old) + old->n * sizeof(old->members[0]));

	g->n = 0;
	for (uint32_t i = 0; i < old->n; i++) {
		if (!is_gone(&old->members[i], arg)) {
			g->members[g->n++] = old->members[i];
		}
	}
	if (g->n == old->n) {
		free(g);
		return false;
	}
	if (!g->n) {
		free(g);
		g = NULL;
	}
	replace(m, old, old, g);
	return true;
}

bool
mdb_leave(struct mdb *m, uint16_t vlan, const uint8_t addr[16], struct of_port port)
{
	struct mdb_group *g = find(m, vlan, addr);

	return g && remove_from(m, g, is_port, port.v);
}

bool
mdb_add_router(struct mdb *m, uint16_t vlan, struct of_port port, uint64_t expires_ms)
{
	struct mdb_routers *old = atomic_load_explicit(&m->routers, memory_order_relaxed), *r;
	const struct mdb_member member = {port, vlan, expires_ms};
	uint32_t n = old ? old->n : 0;

	if ((old && refresh(m, old->members, n, &member)) || n >= MDB_MAX_ROUTERS) {
		return false;
	}
	r = xcalloc(1, sizeof(*r) + (n + 1) * sizeof(r->members[0]));
	if (old) {
		memcpy(r->members, old->members, n * sizeof(r->members[0]));
	}
	r->members[n] = member;
	r->n = n + 1;
	m->next_ms = WEFT_MIN(m->next_ms, expires_ms);
	set_routers(m, r, vlan);
	return true;
}

bool
mdb_has_routers(const struct mdb *m, uint16_t vlan)
{
	const struct mdb_routers *r = atomic_load_explicit(&m->routers, memory_order_relaxed);

	for (uint32_t i = 0; r && i < r->n; i++) {
		if (r->members[i].vlan == vlan) {
			return true;
		}
	}
	return false;
}

void
mdb_hurry(struct mdb *m, uint16_t vlan, const uint8_t addr[16], uint64_t until_ms)
{
	struct mdb_group *g = find(m, vlan, addr);

	for (uint32_t i = 0; g && i < g->n; i++) {
		g->members[i].expires_ms = WEFT_MIN(g->members[i].expires_ms, until_ms);
		m->next_ms = WEFT_MIN(m->next_ms, until_ms);
	}
}

bool
mdb_flush(struct mdb *m)
{
	return remove_members(m, is_any, 0);
}

bool
mdb_flush_port(struct mdb *m, struct of_port port)
{
	return remove_members(m, is_port, port.v);
}

bool
mdb_expire(struct mdb *m, uint64_t now_ms)
{
	const struct mdb_routers *r;
	const struct mdb_group *g;
	bool any;

	if (now_ms < m->next_ms) {
		return false;
	}
	any = remove_members(m, is_due, now_ms);
	m->next_ms = UINT64_MAX;
	LIST_FOREACH (g, link, &m->groups) {
		for (uint32_t i = 0; i < g->n; i++) {
			m->next_ms = WEFT_MIN(m->next_ms, g->members[i].expires_ms);
		}
	}
	r = atomic_load_explicit(&m->routers, memory_order_relaxed);
	for (uint32_t i = 0; r && i < r->n; i++) {
		m->next_ms = WEFT_MIN(m->next_ms, r->members[i].expires_ms);
	}
	return any;
}

uint64_t
mdb_next_ms(const struct mdb *m)
{
	return m->next_ms;
}

void
mdb_visit(const struct mdb *m,
	void (*visit)(const uint8_t *addr, const struct mdb_member *member, void *user), void *user)
{
	const struct mdb_routers *r = atomic_load_explicit(&m->routers, memory_order_relaxed);
	const struct mdb_group *g;

	for (uint32_t i = 0; r && i < r->n; i++) {
		visit(NULL, &r->members[i], user);
	}
	LIST_FOREACH (g, link, &m->groups) {
		for (uint32_t i = 0; i < g->n; i++) {
			visit(g->addr, &g->members[i], user);
		}
	}
}

/* ------------------------------------------------------------------------------------------------- */

static uint32_t
chain_of(uint16_t vlan, const uint8_t addr[16])
{
	return hash_bytes(addr, 16, vlan) % N_CHAINS;
}

static struct mdb_group *
find(const struct mdb *m, uint16_t vlan, const uint8_t addr[16])
{
	struct mdb_group *g =
		atomic_load_explicit(&m->chains[chain_of(vlan, addr)], memory_order_acquire);

	while (g && (g->vlan != vlan || memcmp(g->addr, addr, 16))) {
		g = atomic_load_explicit(&g->next, memory_order_acquire);
	}
	return g;
}

/* In the place of @old (NULL: none yet) stands @new (NULL: nothing); @is: one of them. Readers on the old one go on
 * from there. */
static void
replace(struct mdb *m, const struct mdb_group *is, struct mdb_group *old, struct mdb_group *new)
{
	_Atomic(struct mdb_group *) *slot = &m->chains[chain_of(is->vlan, is->addr)];
	struct mdb_group *next;
	uint64_t dep = mdb_dep(is->vlan, is->addr);

	while (old && (next = atomic_load_explicit(slot, memory_order_relaxed)) != old) {
		slot = &next->next;
	}
	next = old ? atomic_load_explicit(&old->next, memory_order_relaxed)
		   : atomic_load_explicit(slot, memory_order_relaxed);
	if (new) {
		atomic_store_explicit(&new->next, next, memory_order_relaxed);
		list_push_back(&m->groups, &new->link);
		m->n_groups++;
	}
	atomic_store_explicit(slot, new ? new : next, memory_order_release);
	if (old) {
		list_remove(&old->link);
		m->n_groups--;
		grace_retire(m->grace, &old->retired, free_group);
	}
	m->changed(m->user, dep);
}

static void
set_routers(struct mdb *m, struct mdb_routers *new, uint16_t vlan)
{
	struct mdb_routers *old = atomic_load_explicit(&m->routers, memory_order_relaxed);

	atomic_store_explicit(&m->routers, new, memory_order_release);
	if (old) {
		grace_retire(m->grace, &old->retired, free_routers);
	}
	m->changed(m->user, mdb_dep_routers(vlan));
}

static size_t
n_of_port(const struct mdb *m, struct of_port port)
{
	const struct mdb_group *g;
	size_t n = 0;

	LIST_FOREACH (g, link, &m->groups) {
		for (uint32_t i = 0; i < g->n; i++) {
			n += g->members[i].port.v == port.v;
		}
	}
	return n;
}

static bool
remove_members(
	struct mdb *m, bool (*is_gone)(const struct mdb_member *e, uint64_t arg), uint64_t arg)
{
	struct mdb_group *g, *next;
	struct mdb_routers *r;
	bool any = false;

	LIST_FOREACH_SAFE (g, next, link, &m->groups) {
		any |= remove_from(m, g, is_gone, arg);
	}
	for (uint32_t i = 0;;) {
		struct mdb_routers *old = atomic_load_explicit(&m->routers, memory_order_relaxed);
		uint16_t vlan;

		while (old && i < old->n && !is_gone(&old->members[i], arg)) {
			i++;
		}
		if (!old || i == old->n) {
			return any;
		}
		/* One after the other: each tells of its VLAN. */
		vlan = old->members[i].vlan;
		r = NULL;
		if (old->n > 1) {
			r = xmemdup(old, sizeof(*old) + old->n * sizeof(old->members[0]));
			r->members[i] = r->members[--r->n];
		}
		set_routers(m, r, vlan);
		any = true;
	}
}

static void
free_group(struct grace_item *item)
{
	free(WEFT_CONTAINER_OF(item, struct mdb_group, retired));
}

static void
free_routers(struct grace_item *item)
{
	free(WEFT_CONTAINER_OF(item, struct mdb_routers, retired));
}

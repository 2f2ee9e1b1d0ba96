/* SPDX-License-Identifier: Apache-2.0
 *
 * Underlay: the host's own addresses.
 *
 * Why:      handlers ask about every address to which tunnel packets come, and remember nothing: so these are
 *           kept here, unlike routes and neighbours, which are asked for when they are needed.
 * Place:    a map by device and address for the loop; a sorted array, replaced as a whole, for handlers.
 * Listing:  each address that a listing or news of the time bring has its round; when it is over, those of
 *           other rounds are gone. An address that news take away meanwhile may still stand in a part of the
 *           listing that comes later: then all are listed once more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller-agent/underlay_internal.h"
#include "lib/alloc.h"
#include "lib/log.h"

WEFT_LOG_MODULE(underlay);

static void listed(
	void *user, uint32_t ifindex, const struct of_underlay_addr *address, bool is_gone);
static void end_listing(struct underlay *u);
static void free_set(struct grace_item *item);

static uint32_t
hash_own(uint32_t ifindex, const struct of_underlay_addr *address)
{
	return hash_bytes(address, sizeof(*address), ifindex);
}

static struct underlay_own *
find(struct underlay *u, uint32_t ifindex, const struct of_underlay_addr *address)
{
	struct underlay_own *own;

	HMAP_FOREACH_WITH_HASH (own, by_key, hash_own(ifindex, address), &u->owns) {
		if (own->ifindex == ifindex && underlay_addr_equal(&own->address, address)) {
			return own;
		}
	}
	return NULL;
}

static void
forget(struct underlay *u, struct underlay_own *own)
{
	hmap_remove(&u->owns, &own->by_key);
	free(own);
	u->owns_are_dirty = true;
}

static void
add(struct underlay *u, uint32_t ifindex, const struct of_underlay_addr *address)
{
	struct underlay_own *own = find(u, ifindex, address);

	if (!own) {
		own = xcalloc(1, sizeof(*own));
		own->address = *address;
		own->ifindex = ifindex;
		hmap_insert(&u->owns, &own->by_key, hash_own(ifindex, address));
		u->owns_are_dirty = true;
	}
	own->round = u->own_round;
}

void
underlay_own_news(
	struct underlay *u, uint32_t ifindex, const struct of_underlay_addr *address, bool is_gone)
{
	struct underlay_own *own;

	if (!is_gone) {
		add(u, ifindex, address);
		return;
	}
	u->list_again |= u->is_listing;
	own = find(u, ifindex, address);
	if (own) {
		forget(u, own);
	}
}

/* --- listing -------------------------------------------------------------------------------------- */

void
underlay_own_list(struct underlay *u)
{
	int rc;

	if (u->is_listing) {
		u->list_again = true;
		return;
	}
	u->own_round++;
	rc = underlay_list_addresses(&u->nl);
	u->is_listing = !rc;
	u->list_again = rc != 0; /* in a while */
	if (rc) {
		LOG_WARN_RL("the host's addresses cannot be listed: %s", strerror(-rc));
	}
}

void
underlay_own_read(struct underlay *u)
{
	static const struct underlay_news_ops ops = {.address = listed};
	int rc;

	if (!u->is_listing && u->list_again) {
		underlay_own_list(u);
	}
	if (!u->is_listing) {
		return;
	}
	rc = underlay_read_addresses(&u->nl, &ops, u);
	if (rc == 0 || rc == -EAGAIN) {
		return;
	}
	u->is_listing = false;
	if (rc < 0) {
		u->list_again = true;
	} else if (!u->list_again) {
		end_listing(u);
	}
}

static void
listed(void *user, uint32_t ifindex, const struct of_underlay_addr *address, bool is_gone)
{
	(void)is_gone;
	add(user, ifindex, address);
}

static void
end_listing(struct underlay *u)
{
	struct underlay_own *own, *next;

	HMAP_FOREACH_SAFE (own, next, by_key, &u->owns) {
		if (own->round != u->own_round) {
			forget(u, own);
		}
	}
}

/* --- publishing ----------------------------------------------------------------------------------- */

static int
compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct of_underlay_addr));
}

static struct underlay_own_set *
make_set(struct underlay *u)
{
	size_t n = 0, n_unique = 0;
	struct underlay_own_set *set =
		xcalloc(1, sizeof(*set) + hmap_count(&u->owns) * sizeof(set->addresses[0]));
	struct underlay_own *own;

	HMAP_FOREACH (own, by_key, &u->owns) {
		set->addresses[n++] = own->address;
	}
	qsort(set->addresses, n, sizeof(set->addresses[0]), compare);
	for (size_t i = 0; i < n; i++) {
		if (!n_unique || compare(&set->addresses[n_unique - 1], &set->addresses[i]) != 0) {
			set->addresses[n_unique++] = set->addresses[i];
		}
	}
	set->n = n_unique;
	return set;
}

/* Names what stands in one of two sorted sets only. */
static void
name_difference(
	struct underlay *u, const struct underlay_own_set *a, const struct underlay_own_set *b)
{
	size_t i = 0, k = 0, n = a ? a->n : 0;

	while (i < n || k < b->n) {
		int order = i == n      ? 1
			    : k == b->n ? -1
					: compare(&a->addresses[i], &b->addresses[k]);

		if (order < 0) {
			underlay_name(u, of_underlay_own_id(&a->addresses[i]));
		} else if (order > 0) {
			underlay_name(u, of_underlay_own_id(&b->addresses[k]));
		}
		i += order <= 0;
		k += order >= 0;
	}
}

void
underlay_own_publish(struct underlay *u)
{
	struct underlay_own_set *old, *set;

	if (!u->owns_are_dirty) {
		return;
	}
	u->owns_are_dirty = false;
	set = make_set(u);
	old = atomic_load_explicit(&u->own_set, memory_order_relaxed);
	atomic_store_explicit(&u->own_set, set, memory_order_release);
	name_difference(u, old, set);
	if (old) {
		grace_retire(u->grace, &old->retired, free_set);
	}
}

bool
underlay_owns(void *user, const struct of_underlay_addr *address)
{
	const struct underlay *u = user;
	const struct underlay_own_set *set =
		atomic_load_explicit(&u->own_set, memory_order_acquire);

	return set && bsearch(address, set->addresses, set->n, sizeof(*address), compare);
}

void
underlay_own_free(struct underlay *u)
{
	struct underlay_own *own, *next;

	HMAP_FOREACH_SAFE (own, next, by_key, &u->owns) {
		forget(u, own);
	}
	hmap_uninit(&u->owns);
	free(atomic_load_explicit(&u->own_set, memory_order_relaxed));
}

static void
free_set(struct grace_item *item)
{
	free(WEFT_CONTAINER_OF(item, struct underlay_own_set, retired));
}

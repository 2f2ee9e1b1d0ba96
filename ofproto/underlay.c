/* SPDX-License-Identifier: Apache-2.0
 *
 * The underlay as translation sees it: what stands between it and the provider.
 */
#include "ofproto/underlay_provider.h"

#include "lib/hash.h"
#include "ofproto/ofproto_internal.h"

static const struct of_underlay_path *pick(
	const struct of_underlay_route *r, uint32_t hash, bool usable_only, uint32_t total);

void
of_model_set_underlay(struct of_model *m, const struct of_underlay_provider *provider)
{
	m->underlay = *provider;
}

const struct of_underlay_route *
of_model_underlay(const struct of_model *m, const struct of_underlay_key *key)
{
	static const struct of_underlay_route none = {
		.state = OF_UNDERLAY_NO_ROUTE,
		.text = "nobody watches the routes of this host",
	};

	return m->underlay.lookup ? m->underlay.lookup(m->underlay.user, key) : &none;
}

bool
of_model_owns_address(const struct of_model *m, const struct of_underlay_addr *address)
{
	return m->underlay.owns && m->underlay.owns(m->underlay.user, address);
}

void
of_model_underlay_changed(struct of_model *m, const uint32_t *ids, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		model_changed(m, of_dep(OF_DEP_UNDERLAY, 0, ids[i]));
	}
	if (n) {
		model_publish(m);
	}
}

struct grace *
of_model_grace(struct of_model *m)
{
	return &m->grace;
}

uint32_t
of_underlay_id(const struct of_underlay_key *key, const struct of_underlay_route *found)
{
	/* Room for one more is named 0. */
	return found->state == OF_UNDERLAY_FULL ? 0 : hash_bytes(key, sizeof(*key), 0) | 1;
}

uint32_t
of_underlay_own_id(const struct of_underlay_addr *address)
{
	return hash_bytes(address, sizeof(*address), 1) | 1;
}

const struct of_underlay_path *
of_underlay_pick(const struct of_underlay_route *r, uint32_t hash)
{
	const struct of_underlay_path *path;
	uint32_t total = 0;

	if (!r->usable_weight) {
		return NULL;
	}
	for (uint32_t i = 0; i < r->n_paths; i++) {
		total += r->paths[i].weight;
	}
	path = pick(r, hash_u64(hash, 0), false, total);
	return path->is_usable ? path : pick(r, hash_u64(hash, 1), true, r->usable_weight);
}

/* The path in whose share of @total the hash lies. */
static const struct of_underlay_path *
pick(const struct of_underlay_route *r, uint32_t hash, bool usable_only, uint32_t total)
{
	const struct of_underlay_path *path = r->paths;
	uint32_t at = (uint32_t)((uint64_t)hash * total >> 32);

	for (;; path++) {
		if (usable_only && !path->is_usable) {
			continue;
		}
		if (at < path->weight) {
			return path;
		}
		at -= path->weight;
	}
}

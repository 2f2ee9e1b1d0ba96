/* SPDX-License-Identifier: Apache-2.0
 *
 * Mirrors: the sets of a switch, immutable, replaced as they change.
 */
#include "ofproto/of_mirror.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "ofproto/mirror_internal.h"
#include "ofproto/of_counter.h"
#include "ofproto/ofproto_internal.h"

static const struct mirror *find(const struct ofproto *p, const char *name);
static void copy(struct mirror *to, const struct of_mirror *from);
static void free_set(struct grace_item *item);

void
ofproto_set_mirrors(struct ofproto *p, const struct of_mirror *list, size_t n)
{
	struct mirror_set *before = atomic_load_explicit(&p->mirrors, memory_order_relaxed);
	struct mirror_set *set = NULL;

	assert(n <= OF_MIRRORS_MAX);
	if (n) {
		set = xcalloc(1, sizeof(*set) + n * sizeof(set->mirrors[0]));
		set->n = (uint32_t)n;
	}
	for (size_t i = 0; i < n; i++) {
		const struct mirror *old = find(p, list[i].name);

		copy(&set->mirrors[i], &list[i]);
		set->mirrors[i].counter =
			old ? of_counter_ref(old->counter) : of_counter_create(0, 0);
	}
	atomic_store_explicit(&p->mirrors, set, memory_order_release);
	if (before) {
		grace_retire(&p->model->grace, &before->retired, free_set);
	}
	/* Any flow of the switch may have to copy now. */
	model_changed_all(p->model);
	model_publish(p->model);
}

bool
ofproto_mirror_traffic(const struct ofproto *p, const char *name, struct of_mirror_traffic *traffic)
{
	const struct mirror *m = find(p, name);

	if (!m) {
		return false;
	}
	traffic->packets = atomic_load_explicit(&m->counter->packets, memory_order_relaxed);
	traffic->bytes = atomic_load_explicit(&m->counter->bytes, memory_order_relaxed);
	return true;
}

void
mirror_set_destroy(struct mirror_set *set)
{
	if (!set) {
		return;
	}
	for (uint32_t i = 0; i < set->n; i++) {
		struct of_mirror *is = &set->mirrors[i].is;

		free((void *)is->name);
		free((void *)is->src);
		free((void *)is->dst);
		free((void *)is->vlans);
		free((void *)is->filter);
		of_counter_unref(set->mirrors[i].counter);
	}
	free(set);
}

bool
mirror_set_has_port(const struct mirror_set *set, struct of_port port)
{
	for (uint32_t i = 0; set && i < set->n; i++) {
		if (set->mirrors[i].is.output_port.v == port.v) {
			return true;
		}
	}
	return false;
}

bool
mirror_set_has_vlan(const struct mirror_set *set, uint16_t vlan)
{
	for (uint32_t i = 0; set && i < set->n; i++) {
		const struct of_mirror *is = &set->mirrors[i].is;

		if (of_port_is(is->output_port, OFPP_ANY) && is->output_vlan == vlan) {
			return true;
		}
	}
	return false;
}

static const struct mirror *
find(const struct ofproto *p, const char *name)
{
	const struct mirror_set *set = atomic_load_explicit(&p->mirrors, memory_order_relaxed);

	for (uint32_t i = 0; set && i < set->n; i++) {
		if (!strcmp(set->mirrors[i].is.name, name)) {
			return &set->mirrors[i];
		}
	}
	return NULL;
}

static void
copy(struct mirror *to, const struct of_mirror *from)
{
	struct of_mirror *is = &to->is;

	*is = *from;
	is->name = xstrdup(from->name);
	is->src = xmemdup(from->src, from->n_src * sizeof(from->src[0]));
	is->dst = xmemdup(from->dst, from->n_dst * sizeof(from->dst[0]));
	is->vlans = from->vlans ? xmemdup(from->vlans, 64 * sizeof(from->vlans[0])) : NULL;
	is->filter = from->filter ? xmemdup(from->filter, sizeof(*from->filter)) : NULL;
}

static void
free_set(struct grace_item *item)
{
	mirror_set_destroy(WEFT_CONTAINER_OF(item, struct mirror_set, retired));
}

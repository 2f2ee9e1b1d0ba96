/* SPDX-License-Identifier: Apache-2.0
 *
 * Translation: what its result depends on, for those who keep it (flow_deps.h).
 */
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "ofproto/translate_internal.h"

void
xlate_depend(struct xlate *x, enum of_dep_kind kind, uint64_t id)
{
	xlate_depend_on(x, of_dep(kind, x->p->id, id));
}

void
xlate_depend_on(struct xlate *x, uint64_t dep)
{
	struct translation *t = x->out;

	if (!x->in->wants_deps) {
		return;
	}
	if (t->n_deps == t->cap_deps) {
		t->cap_deps = 2 * t->cap_deps + 8;
		t->deps = xrealloc(t->deps, t->cap_deps * sizeof(t->deps[0]));
	}
	t->deps[t->n_deps++] = dep;
}

const struct of_underlay_route *
xlate_underlay(struct xlate *x, const struct of_underlay_key *key)
{
	const struct of_underlay_route *route = of_model_underlay(x->model, key);

	xlate_depend_on(x, of_dep(OF_DEP_UNDERLAY, 0, of_underlay_id(key, route)));
	return route;
}

bool
xlate_owns_address(struct xlate *x, const struct of_underlay_addr *address)
{
	xlate_depend_on(x, of_dep(OF_DEP_UNDERLAY, 0, of_underlay_own_id(address)));
	return of_model_owns_address(x->model, address);
}

static void
depend_on_peer(struct xlate *x, const struct ofport *port)
{
	if (port->info.kind == OF_PORT_PATCH) {
		xlate_depend_on(x,
			of_dep(OF_DEP_PORT, port->info.patch.ofproto_id, port->info.patch.port.v));
	}
}

const struct ofport *
xlate_port(struct xlate *x, struct of_port number)
{
	const struct ofport *port = ofport_find(x->p, number);

	xlate_depend(x, OF_DEP_PORT, number.v);
	if (port) {
		depend_on_peer(x, port);
	}
	return port;
}

const struct ofport_set *
xlate_ports(struct xlate *x)
{
	const struct ofport_set *set = atomic_load_explicit(&x->p->ports, memory_order_acquire);

	xlate_depend(x, OF_DEP_PORTS, 0);
	for (size_t i = 0; i < set->n; i++) {
		depend_on_peer(x, set->ports[i]);
	}
	return set;
}

/* What the packet is known to have been: what the pipeline made of it, what was just looked at; and, once
 * translation has ended, all that it read of what is still in its place. */
void
xlate_note_lookup(
	struct xlate *x, uint8_t table, const struct rule *r, const struct flow_mask *looked)
{
	struct translation *t = x->out;
	const struct xlate_packet *k = &x->pkt;
	struct translate_lookup *l;
	struct flow_key *known, *moved;

	if (!x->in->wants_deps) {
		return;
	}
	if (t->n_lookups == t->cap_lookups) {
		t->cap_lookups = 2 * t->cap_lookups + 8;
		t->lookups = xrealloc(t->lookups, t->cap_lookups * sizeof(t->lookups[0]));
	}
	l = &t->lookups[t->n_lookups++];
	l->table = of_dep(OF_DEP_TABLE, x->p->id, table);
	l->priority = r ? r->cls.priority : -1;
	l->key = k->key;
	l->known = k->made;
	flow_mask_union(&l->known, looked);
	known = &l->known.bits;
	known->in_port = UINT32_MAX; /* each flow has one */
	known->recirc_id = 0;
	for (unsigned i = 6 * FLOW_BLOCK_WORDS; i < OF_N_WORDS; i++) {
		/* The pipeline's own. Words that nobody looks at and that are zero are left out: many. */
		known->words[i] = k->key.words[i] || looked->bits.words[i] ? UINT64_MAX : 0;
	}
	/* Of an encapsulated packet nothing is in its place. */
	memset(&l->moved, k->is_outer ? 0xff : 0, sizeof(l->moved));
	moved = &l->moved.bits;
	moved->recirc_id = UINT32_MAX;
	if (k->origin[0] != TAG_FROM_OUTER || k->origin[1] != TAG_FROM_INNER) {
		moved->vlan_tci = moved->vlan_tpid = UINT16_MAX;
		moved->inner_tci = moved->inner_tpid = UINT16_MAX;
	}
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow registry: room for a port's new flows at the expense of its old ones.
 *
 * The datapath refuses a put with -ENOSPC when the input port has its part of the table and the rest is spoken
 * for. Then flows of that port, which nobody used since the hand of its clock passed them last, are deleted; so
 * a port that asks for too many flows pays with its own.
 *
 * Limits: EVICT_AT_ONCE flows of a port are being deleted at a time, and a refusal costs EVICT_LOOKS looks.
 */
#include <stdlib.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "lib/hash.h"
#include "ofproto/flow_registry_internal.h"

#define EVICT_AT_ONCE 64u
#define EVICT_LOOKS 256u

/* The flows of one input port. */
struct flow_port {
	struct hmap_node node;
	uint32_t number;
	uint32_t n_flows;
	uint32_t n_evicting;
	struct list clock; /* its hand stands at the front */
};

static struct flow_port *
find_port(struct flow_registry *r, uint32_t number)
{
	struct flow_port *port;

	HMAP_FOREACH_WITH_HASH (port, node, hash_u64(number, 0), &r->ports) {
		if (port->number == number) {
			return port;
		}
	}
	return NULL;
}

void
flow_join_port(struct flow_registry *r, struct flow *f, uint32_t number)
{
	struct flow_port *port = find_port(r, number);

	if (!port) {
		port = xcalloc(1, sizeof(*port));
		port->number = number;
		list_init(&port->clock);
		hmap_insert(&r->ports, &port->node, hash_u64(number, 0));
	}
	f->port = port;
	port->n_flows++;
	list_push_back(&port->clock, &f->by_port);
}

void
flow_leave_port(struct flow_registry *r, struct flow *f)
{
	struct flow_port *port = f->port;

	list_remove(&f->by_port);
	port->n_evicting -= f->is_evicted;
	f->port = NULL;
	if (--port->n_flows == 0) {
		hmap_remove(&r->ports, &port->node);
		free(port);
	}
}

void
flow_evict(struct flow_registry *r, uint32_t number)
{
	struct flow_port *port = find_port(r, number);
	struct flow *first = NULL;

	for (unsigned looks = port ? WEFT_MIN(port->n_flows, EVICT_LOOKS) : 0;
		looks && port->n_evicting < EVICT_AT_ONCE; looks--) {
		struct flow *f = LIST_ENTRY(port->clock.next, struct flow, by_port);
		struct flow_stats stats;

		list_remove(&f->by_port);
		list_push_back(&port->clock, &f->by_port);
		if (f->state != FLOW_INSTALLED) {
			continue;
		}
		r->ops.stats(r->ops.user, f->handle, &stats);
		if (stats.packets != f->clock_packets) {
			f->clock_packets = stats.packets;
			first = first ? first : f;
			continue;
		}
		if (!flow_evict_one(r, f)) {
			return;
		}
		port->n_evicting++;
	}
	if (port && !port->n_evicting && first && flow_evict_one(r, first)) {
		port->n_evicting++; /* all are in use: one gives way all the same */
	}
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow registry: packet-outs that go into tunnels. Their headers are objects of the datapath, which only a registry has;
 * and like a miss they wait for an object, or a route, that has been asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "ofproto/flow_registry_internal.h"
#include "ofproto/ofproto_internal.h"

struct waiting_out {
	struct list link;
	uint64_t until_ms;
	struct flow_packet_out po;
	_Alignas(8) uint8_t bytes[]; /* actions, then data */
};

static bool run(struct flow_registry *r, const struct flow_packet_out *po, uint64_t now_ms);

void
flow_registry_packet_out(struct flow_registry *r, const struct flow_packet_out *po, uint64_t now_ms)
{
	size_t data_at = WEFT_ROUND_UP(po->actions_size, (size_t)8);
	struct waiting_out *w;
	bool is_done;

	of_reader_enter(r->reader);
	is_done = run(r, po, now_ms);
	of_reader_leave(r->reader);
	if (is_done) {
		return;
	}
	if (r->n_packet_outs == MAX_PACKET_OUTS) {
		r->counters.n_lost++;
		return;
	}
	w = xcalloc(1, sizeof(*w) + data_at + po->len);
	w->until_ms = now_ms + PACKET_OUT_WAIT_MS;
	w->po = *po;
	memcpy(w->bytes, po->actions, po->actions_size);
	memcpy(w->bytes + data_at, po->data, po->len);
	w->po.actions = w->bytes;
	w->po.data = w->bytes + data_at;
	list_push_back(&r->packet_outs, &w->link);
	r->n_packet_outs++;
	r->counters.n_waited++;
}

void
flow_packet_outs_run(struct flow_registry *r, uint64_t now_ms)
{
	struct waiting_out *w, *next;

	LIST_FOREACH_SAFE (w, next, link, &r->packet_outs) {
		if (!run(r, &w->po, now_ms)) {
			if (now_ms < w->until_ms) {
				continue;
			}
			r->counters.n_lost++;
		}
		list_remove(&w->link);
		r->n_packet_outs--;
		free(w);
	}
}

void
flow_packet_outs_forget(struct flow_registry *r)
{
	while (!list_is_empty(&r->packet_outs)) {
		free(LIST_ENTRY(list_pop_front(&r->packet_outs), struct waiting_out, link));
	}
	r->n_packet_outs = 0;
}

/* False: it must wait. */
static bool
run(struct flow_registry *r, const struct flow_packet_out *po, uint64_t now_ms)
{
	struct ofproto *p = ofproto_by_id(r->model, po->ofproto_id);
	struct translate_in in = {
		.reader = r->reader,
		.version = of_model_version(r->model),
		.key = &po->key,
		.now_ms = now_ms,
		.object = flow_objects_get,
		.object_user = r->objects,
	};

	if (!p) {
		return true; /* its switch has gone meanwhile */
	}
	flow_objects_begin(r->objects, now_ms);
	translate_packet_out(&in, p, po->actions, po->actions_size, &r->t);
	if (r->t.is_pending || flow_send_contexts(r)) {
		return false;
	}
	if (r->t.actions.size && r->ops.packet_out(r->ops.user, FLOW_REGISTRY_REQUEST, po->in_port,
					 r->t.actions.data, r->t.actions.size, po->data, po->len)) {
		return false;
	}
	flow_learn_translated(r, &r->t, be16_to(po->key.tcp_flags), now_ms);
	translation_credit(&r->t, 1, po->len, now_ms);
	return true;
}

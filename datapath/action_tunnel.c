/* SPDX-License-Identifier: Apache-2.0
 *
 * Actions: into tunnels and out of them.
 */
#include <errno.h>

#include "datapath/action_internal.h"
#include "datapath/capture.h"
#include "datapath/edit_internal.h"
#include "datapath/key_hash.h"
#include "datapath/object.h"
#include "datapath/offload.h"
#include "datapath/tunnel_internal.h"
#include "datapath/upcall.h"
#include "datapath/worker.h"
#include "lib/compiler.h"
#include "vhost/packet_mbuf.h"

static enum fate
drop(struct run *r, struct packet *p, enum drop_reason reason)
{
	worker_drop(r->w, p, reason);
	return FATE_TAKEN;
}

/* What the tunnel port has sent, before it becomes the outer frame. */
static void
note_sent(struct worker *w, const struct tunnel_encap *e, struct packet *p)
{
	struct port *port = port_find(e->port);
	const struct capture_set *captures;
	struct port_counters *counters;

	if (!port) {
		return;
	}
	captures = atomic_load_explicit(&port->capture_tx, memory_order_acquire);
	if (WEFT_UNLIKELY(captures)) {
		capture_sending(captures, w->id, 0, &p, 1);
		capture_sent(captures, w->id, 1);
	}
	counters = &port->per_worker[w->id].counters;
	counter_add(&counters->tunnel_tx_packets, 1);
	counter_add(&counters->tunnel_tx_bytes, p->len);
}

/* Pieces take their packet's place: one for it, and copies. */
static enum fate
run_pieces(struct run *r, struct packet *p, struct packet **pieces, int n,
	void (*each)(struct run *r, struct packet *piece, struct tunnel_encap *e),
	struct tunnel_encap *e)
{
	for (int i = 1; i < n; i++) {
		worker_count_copied(r->w, p);
	}
	worker_free(p);
	for (int i = 0; i < n; i++) {
		each(r, pieces[i], e);
	}
	return FATE_TAKEN;
}

static void
run_fragment(struct run *r, struct packet *piece, struct tunnel_encap *e)
{
	(void)e;
	action_run_rest(r, piece);
}

static enum fate
fragment(struct run *r, struct packet *p, uint32_t mtu)
{
	struct packet *pieces[TUNNEL_MAX_FRAGMENTS];
	int n = tunnel_fragment(r->w, p, mtu, pieces);

	if (n < 0) {
		return drop(r, p, n == -ENOMEM ? DROP_NO_COPY : DROP_ENCAP_TOO_LONG);
	}
	return run_pieces(r, p, pieces, n, run_fragment, NULL);
}

/* Of a packet that goes as it is. */
static enum fate
encap_whole(struct run *r, struct packet *p, struct tunnel_encap *e)
{
	int result;

	result = tunnel_encap(r->w, p, e, action_tuple_hash(r, p, 0));
	r->key = NULL;
	if (WEFT_UNLIKELY(result != EDIT_OK)) {
		return drop(r, p, (enum drop_reason)result);
	}
	if (WEFT_UNLIKELY(p->len - p->l3_off > e->limit)) {
		return fragment(r, p, e->limit);
	}
	return FATE_LEFT;
}

static void
run_segment(struct run *r, struct packet *piece, struct tunnel_encap *e)
{
	struct run own = *r;

	own.key = NULL;
	if (edit_parse(piece) != EDIT_OK) {
		worker_drop(r->w, piece, DROP_TX_OFFLOAD);
	} else if (encap_whole(&own, piece, e) == FATE_LEFT) {
		action_run_rest(r, piece);
	}
}

/* One that is still to be cut is cut here: nobody behind knows of segments in tunnels. */
static enum fate
encap_segments(struct run *r, struct packet *p, struct tunnel_encap *e)
{
	struct packet *pieces[OFFLOAD_MAX_SEGMENTS];
	int n = offload_segment(p, r->w->pool, pieces);

	if (n < 0) {
		return drop(r, p, n == -ENOMEM ? DROP_NO_COPY : DROP_TX_OFFLOAD);
	}
	for (int i = 0; i < n; i++) {
		pieces[i]->n_recirc = p->n_recirc;
		pieces[i]->flags |= p->flags & PACKET_ENCAPSULATED;
		pieces[i]->tunnel = p->tunnel;
		packet_tunnel_copied(pieces[i]);
	}
	return run_pieces(r, p, pieces, n, run_segment, e);
}

enum fate
action_encap(struct run *r, struct packet *p, struct tunnel_encap *e)
{
	const struct dp_encap *body = e->body;
	bool is_gso = p->flags & PACKET_GSO_MASK;
	uint32_t len = tunnel_encap_len(e, p, is_gso ? offload_piece_len(p) : p->len);

	if (WEFT_UNLIKELY(len > e->limit) && !(p->flags & PACKET_ENCAPSULATED)) {
		if (len > TUNNEL_OUTER_MAX || body->too_long == DP_ENCAP_DROP) {
			return drop(r, p, DROP_ENCAP_TOO_LONG);
		}
		if (body->too_long == DP_ENCAP_TO_AGENT) {
			/* A copy, by the books: whether there is an answer or not, it is lost. */
			worker_count_copied(r->w, p);
			upcall_to_agent(r->w, p, body->context, UINT16_MAX, body->reason);
			return drop(r, p, DROP_ENCAP_TOO_LONG);
		}
	}
	note_sent(r->w, e, p);
	return WEFT_UNLIKELY(is_gso) ? encap_segments(r, p, e) : encap_whole(r, p, e);
}

bool
action_encap_output(struct worker *w, struct packet *p, const struct flow_key *key,
	const void *actions, size_t size)
{
	const struct dp_action_hdr *a = dp_action_first(actions, size);
	const struct object_body *object;
	struct tunnel_encap *e;
	int result = EDIT_OK;

	for (; a->type == DP_ACTION_SET_FIELD && result == EDIT_OK;
		a = dp_action_next(a, actions, size)) {
		const struct dp_action_set_field *set = (const void *)a;

		result = packet_set_field(
			p, (enum field_id)set->field, set->data, set->data + set->n_bytes);
	}
	if (WEFT_LIKELY(result == EDIT_OK)) {
		object = object_find(((const struct dp_action_object *)(const void *)a)->object);
		if (WEFT_UNLIKELY(!object || p->flags & PACKET_GSO_MASK)) {
			return false;
		}
		e = object->encap;
		if (WEFT_UNLIKELY(tunnel_encap_len(e, p, p->len) > e->limit)) {
			return false;
		}
		note_sent(w, e, p);
		result = tunnel_encap(w, p, e, key_hash_tuple(key, p->key_blocks, 0));
	}
	if (WEFT_UNLIKELY(result != EDIT_OK)) {
		worker_drop(w, p, (enum drop_reason)result);
	} else {
		a = dp_action_next(a, actions, size);
		worker_output(w, p, ((const struct dp_action_output *)(const void *)a)->port);
	}
	return true;
}

void
action_decap(struct worker *w, struct packet **pkts, unsigned n, const struct dp_action_decap *a)
{
	struct packet *out[WORKER_BURST];
	struct port *port = port_find(a->port);
	const struct capture_set *captures;
	struct port_counters *counters;
	unsigned n_out = 0;
	uint64_t bytes = 0;

	for (unsigned i = 0; i < n; i++) {
		struct packet *p = pkts[i];
		int result = port ? tunnel_decap(p, a->kind) : (int)DROP_PORT_GONE;

		if (WEFT_UNLIKELY(result != EDIT_OK)) {
			worker_drop(w, p, (enum drop_reason)result);
			continue;
		}
		p->in_port = port->number;
		bytes += p->len;
		out[n_out++] = p;
	}
	if (!n_out) {
		return;
	}
	captures = atomic_load_explicit(&port->capture_rx, memory_order_acquire);
	if (WEFT_UNLIKELY(captures)) {
		capture_received(captures, w->id, 0, out, n_out);
	}
	counters = &port->per_worker[w->id].counters;
	counter_add(&counters->tunnel_rx_packets, n_out);
	counter_add(&counters->tunnel_rx_bytes, bytes);
	if (WEFT_UNLIKELY(!atomic_load_explicit(&port->admin_up, memory_order_relaxed))) {
		for (unsigned i = 0; i < n_out; i++) {
			worker_drop(w, out[i], DROP_RX_DISABLED);
		}
		return;
	}
	worker_recirculate(w, out, n_out, a->recirc_id);
}

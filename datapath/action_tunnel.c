/* SPDX-License-Identifier: Apache-2.0
 *
 * Actions: into tunnels and out of them.
 */
#include <errno.h>

#include "datapath/action_internal.h"
#include "datapath/capture.h"
#include "datapath/edit_internal.h"
#include "datapath/offload.h"
#include "datapath/tunnel.h"
#include "datapath/upcall.h"
#include "datapath/worker.h"
#include "lib/compiler.h"
#include "vhost/packet_mbuf.h"

#define OUTER_MAX 65535u

static enum fate
drop(struct run *r, struct packet *p, enum drop_reason reason)
{
	worker_drop(r->w, p, reason);
	return FATE_TAKEN;
}

/* What the tunnel port has sent, before it becomes the outer frame. */
static void
note_sent(struct run *r, const struct dp_encap *body, struct packet *p)
{
	struct port *port = port_find(body->port);
	const struct capture_set *captures;

	if (!port) {
		return;
	}
	captures = atomic_load_explicit(&port->capture_tx, memory_order_acquire);
	if (WEFT_UNLIKELY(captures)) {
		capture_sending(captures, r->w->id, 0, &p, 1);
		capture_sent(captures, r->w->id, 1);
	}
	counter_add(&port->per_worker[r->w->id].counters.tunnel_tx_packets, 1);
	counter_add(&port->per_worker[r->w->id].counters.tunnel_tx_bytes, p->len);
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
fragment(struct run *r, struct packet *p, const struct dp_encap *body)
{
	struct packet *pieces[TUNNEL_MAX_FRAGMENTS];
	int n = tunnel_fragment(r->w, p, body->mtu, pieces);

	if (n < 0) {
		return drop(r, p, n == -ENOMEM ? DROP_NO_COPY : DROP_ENCAP_TOO_LONG);
	}
	return run_pieces(r, p, pieces, n, run_fragment, NULL);
}

/* Of a packet that goes as it is. */
static enum fate
encap_whole(struct run *r, struct packet *p, struct tunnel_encap *e)
{
	const struct dp_encap *body = tunnel_encap_body(e);
	int result;

	result = tunnel_encap(r->w, p, e, action_tuple_hash(r, p, 0));
	r->key = NULL;
	if (WEFT_UNLIKELY(result != EDIT_OK)) {
		return drop(r, p, (enum drop_reason)result);
	}
	if (WEFT_UNLIKELY(body->mtu && p->len - p->l3_off > body->mtu)) {
		return fragment(r, p, body);
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
	const struct dp_encap *body = tunnel_encap_body(e);
	bool is_gso = p->flags & PACKET_GSO_MASK;
	uint32_t len = tunnel_encap_len(e, p, is_gso ? offload_piece_len(p) : p->len);

	if (WEFT_UNLIKELY(len > (body->mtu ? body->mtu : OUTER_MAX)) &&
		!(p->flags & PACKET_ENCAPSULATED)) {
		if (len > OUTER_MAX || body->too_long == DP_ENCAP_DROP) {
			return drop(r, p, DROP_ENCAP_TOO_LONG);
		}
		if (body->too_long == DP_ENCAP_TO_AGENT) {
			upcall_to_agent(r->w, p, body->context, UINT16_MAX, body->reason);
			worker_free(p);
			return FATE_TAKEN;
		}
	}
	note_sent(r, body, p);
	return WEFT_UNLIKELY(is_gso) ? encap_segments(r, p, e) : encap_whole(r, p, e);
}

void
action_decap(struct run *r, struct packet *p, const struct dp_action_decap *a)
{
	struct port *port = port_find(a->port);
	const struct capture_set *captures;
	struct port_counters *counters;
	int result;

	if (!port) {
		worker_drop(r->w, p, DROP_PORT_GONE);
		return;
	}
	result = tunnel_decap(p, a->kind);
	if (WEFT_UNLIKELY(result != EDIT_OK)) {
		worker_drop(r->w, p, (enum drop_reason)result);
		return;
	}
	p->in_port = port->number;
	captures = atomic_load_explicit(&port->capture_rx, memory_order_acquire);
	if (WEFT_UNLIKELY(captures)) {
		capture_received(captures, r->w->id, 0, &p, 1);
	}
	counters = &port->per_worker[r->w->id].counters;
	counter_add(&counters->tunnel_rx_packets, 1);
	counter_add(&counters->tunnel_rx_bytes, p->len);
	if (WEFT_UNLIKELY(!atomic_load_explicit(&port->admin_up, memory_order_relaxed))) {
		worker_drop(r->w, p, DROP_RX_DISABLED);
		return;
	}
	worker_recirculate(r->w, p, a->recirc_id);
}

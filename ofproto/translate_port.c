/* SPDX-License-Identifier: Apache-2.0
 *
 * Translation: a packet comes into a switch by a port; patch ports, by which it goes to another switch.
 *
 * Patches: the other switch's part is a copy of the packet with a pipeline of its own, written out where
 *          the output stands, so that the fast path sees nothing of the passage.
 * Limits:  a passage counts as a resubmit (depth) and as an action.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "ofproto/of_context.h"
#include "ofproto/translate_internal.h"
#include "ofproto/translate_trace.h"

static void forget_passage(struct xlate_packet *k, const struct ofport *peer);
static void keep_result(struct xlate *outer, const struct xlate *inner);
static bool is_unwanted_fragment(struct xlate *x);
static void run(struct xlate *x);

void
xlate_receive(struct xlate *x, const struct ofport *port)
{
	struct of_trace_node *outer = XLATE_BEGIN(x, OF_TRACE_SWITCH, "switch %s, port %s (%u)",
		x->p->name, port->info.name, port->info.number.v);

	if (port->info.config & (OF_PORT_DOWN | OF_PORT_NO_RECV)) {
		xlate_trace(x, "the port does not receive");
		xlate_blame(x, DROP_RX_DISABLED);
	} else if (port->info.allow && !xlate_is_allowed(x, port->info.allow)) {
		xlate_trace(x, "source address is not in the port's allow list");
		xlate_blame(x, DROP_SOURCE_NOT_ALLOWED);
	} else if (is_unwanted_fragment(x)) {
		xlate_trace(x, "fragments are dropped");
		xlate_blame(x, DROP_FRAGMENT);
	} else {
		xlate_mirror(x, port, false);
		run(x);
	}
	xlate_trace_end(x, outer);
}

static void
run(struct xlate *x)
{
	if (atomic_load_explicit(&x->p->standalone_now, memory_order_relaxed)) {
		xlate_trace(x, "no controller answers: NORMAL for every packet");
		xlate_normal(x);
	} else {
		xlate_pipeline(x);
	}
}

static bool
is_unwanted_fragment(struct xlate *x)
{
	if (!atomic_load_explicit(&x->p->drop_fragments, memory_order_relaxed)) {
		return false;
	}
	xlate_read_field(x, FIELD_IP_FRAG);
	return x->pkt.key.ip_frag & FLOW_FRAG_ANY;
}

void
xlate_patch(struct xlate *x, const struct ofport *port)
{
	const struct ofport *peer = ofport_peer(port);
	struct dp_actions *list = &x->out->actions;
	struct xlate *before;
	size_t at;

	if (!peer) {
		xlate_trace(x, "port %s: its peer is not there", port->info.name);
		xlate_blame(x, DROP_TX_DOWN);
		return;
	}
	if (x->depth >= TRANSLATE_MAX_DEPTH) {
		xlate_fail(x, DROP_RESUBMIT_DEPTH);
		return;
	}
	xlate_commit(x);
	xlate_note(x, port->tx);
	xlate_note(x, peer->rx);
	before = xlate_leave(x, peer);
	x->is_mirror_copy = x->mirror_is_egress = false; /* there it is a packet as any */
	x->mirror_max_len = 0;
	forget_passage(&x->pkt, peer);
	at = dp_actions_begin(list, DP_ACTION_CLONE, 0);
	xlate_receive(x, peer);
	xlate_end_copy(list, at);
	xlate_come_back(x, before);
}

struct xlate *
xlate_leave(struct xlate *x, const struct ofport *port)
{
	struct xlate *before = xmemdup(x, sizeof(*x));

	of_actions_init(&x->action_set);
	of_actions_init(&x->frozen);
	x->p = port->ofproto;
	x->rule = NULL;
	x->cookie = UINT64_MAX;
	x->table = 0;
	x->reason = OF_REASON_ACTION;
	x->mirrored = 0;
	x->depth++;
	return before;
}

void
xlate_come_back(struct xlate *x, struct xlate *before)
{
	of_actions_uninit(&x->action_set);
	of_actions_uninit(&x->frozen);
	keep_result(before, x);
	*x = *before;
	free(before);
}

/* Another switch: what was written down in this one means nothing there. */
static void
forget_passage(struct xlate_packet *k, const struct ofport *peer)
{
	static const uint8_t tunnel_blocks[] = {2, 5};

	k->key.in_port = be32_from(peer->info.number.v);
	memset(k->key.regs, 0, sizeof(k->key.regs));
	k->key.metadata = 0;
	k->key.actset_output = 0;
	k->key.tun_id_hi = 0;
	k->key.tun_id_lo = 0;
	k->made.bits.tun_id_lo = UINT32_MAX;
	/* The datapath forgets them when somebody needs them. */
	k->pending.bits.tun_id_lo = UINT32_MAX;
	k->pending.bits.tun_id_hi = UINT32_MAX;
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(tunnel_blocks); i++) {
		size_t word = tunnel_blocks[i] * FLOW_BLOCK_WORDS;

		memset(&k->key.words[word], 0, FLOW_BLOCK_SIZE);
		memset(&k->made.bits.words[word], 0xff, FLOW_BLOCK_SIZE);
		memset(&k->pending.bits.words[word], 0xff, FLOW_BLOCK_SIZE);
	}
}

/* The state of before comes back but for what holds of the translation as a whole. */
static void
keep_result(struct xlate *outer, const struct xlate *inner)
{
	outer->n_actions = inner->n_actions;
	outer->has_output = inner->has_output;
	outer->lost = inner->lost;
	outer->no_object = inner->no_object;
	outer->drop = inner->drop;
	outer->failed = inner->failed;
	outer->stopped = inner->failed;
}

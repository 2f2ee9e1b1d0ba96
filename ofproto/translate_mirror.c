/* SPDX-License-Identifier: Apache-2.0
 *
 * Translation: copies for mirrors (of_mirror.h).
 *
 * A copy stands where the packet comes in or goes out, before what becomes of it. That it was made says nothing
 * of the packet: if it goes nowhere else it is dropped, and counted so.
 */
#include "lib/byteorder.h"
#include "ofproto/mirror_internal.h"
#include "ofproto/translate_internal.h"
#include "ofproto/translate_trace.h"

static bool selects(const struct of_mirror *m, struct of_port port, bool is_egress);
static bool has_vlan(struct xlate *x, const struct of_mirror *m, const struct ofport *port);
static bool passes_filter(struct xlate *x, const struct of_mirror *m);
static bool put_copy(struct xlate *x, const struct of_mirror *m);

void
xlate_mirror(struct xlate *x, const struct ofport *port, bool is_egress)
{
	const struct mirror_set *set = atomic_load_explicit(&x->p->mirrors, memory_order_acquire);

	/* What goes to who watches is not watched. */
	if (!set || x->is_mirror_copy || mirror_set_has_port(set, port->info.number)) {
		return;
	}
	for (uint32_t i = 0; i < set->n && !x->stopped; i++) {
		const struct mirror *m = &set->mirrors[i];
		enum drop_reason drop = x->drop;
		bool has_output = x->has_output;

		if (x->mirrored >> i & 1 || !selects(&m->is, port->info.number, is_egress) ||
			!has_vlan(x, &m->is, port) || !passes_filter(x, &m->is)) {
			continue;
		}
		x->is_mirror_copy = true;
		x->mirror_is_egress = is_egress;
		x->mirror_max_len = m->is.max_len;
		x->has_output = false;
		if (put_copy(x, &m->is)) {
			x->mirrored |= UINT32_C(1) << i;
			xlate_note(x, m->counter);
		}
		x->is_mirror_copy = x->mirror_is_egress = false;
		x->mirror_max_len = 0;
		x->has_output = has_output;
		x->drop = x->failed ? x->drop : drop;
	}
}

static bool
is_in(const struct of_port *list, size_t n, struct of_port port)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].v == port.v) {
			return true;
		}
	}
	return false;
}

static bool
selects(const struct of_mirror *m, struct of_port port, bool is_egress)
{
	return m->select_all ||
	       (is_egress ? is_in(m->dst, m->n_dst, port) : is_in(m->src, m->n_src, port));
}

/* Whether it is in a VLAN of the list, and not in that which it would be copied to. */
static bool
has_vlan(struct xlate *x, const struct of_mirror *m, const struct ofport *port)
{
	bool is_rspan = of_port_is(m->output_port, OFPP_ANY);
	uint16_t vlan;

	if (!m->vlans && !is_rspan) {
		return true;
	}
	if (!xlate_vlan_on(x, port, &vlan)) {
		return !m->vlans; /* in none */
	}
	return (!m->vlans || m->vlans[vlan / 64] >> vlan % 64 & 1) &&
	       (!is_rspan || vlan != m->output_vlan);
}

static bool
passes_filter(struct xlate *x, const struct of_mirror *m)
{
	if (!m->filter) {
		return true;
	}
	if (x->pkt.is_opaque || xlate_is_unknown(x, &m->filter->mask)) {
		return false; /* the datapath would have to parse anew */
	}
	xlate_read(x, &m->filter->mask);
	return flow_key_matches(&x->pkt.key, FLOW_BLOCKS_ALL, &m->filter->value, &m->filter->mask);
}

/* Link-local control protocols confuse those who see them elsewhere. */
static bool
is_reserved(struct xlate *x)
{
	static const uint8_t reserved[6] = {0x01, 0x80, 0xc2, 0x00, 0x00, 0x00};
	const uint8_t *dst = x->pkt.key.eth_dst;
	struct flow_mask bits = {.bits = {.eth_dst = {0x01}}};

	xlate_read(x, &bits);
	if (!(dst[0] & 0x01)) {
		return false;
	}
	bits = (struct flow_mask){.bits = {.eth_dst = {0xff, 0xff, 0xff, 0xff, 0xff, 0xf0}}};
	xlate_read(x, &bits);
	for (unsigned i = 0; i < 6; i++) {
		if ((dst[i] ^ reserved[i]) & bits.bits.eth_dst[i]) {
			return false;
		}
	}
	return true;
}

/* False: it goes nowhere. */
static bool
put_copy(struct xlate *x, const struct of_mirror *m)
{
	const struct ofport *port = NULL;
	struct of_trace_node *outer;

	if (of_port_is(m->output_port, OFPP_ANY)) {
		if (is_reserved(x)) {
			return false;
		}
	} else {
		port = xlate_port(x, m->output_port);
		if (!port || !xlate_port_can_send(port)) {
			xlate_trace(x, "mirror %s: its port does not send", m->name);
			return false;
		}
	}
	outer = XLATE_BEGIN(x, OF_TRACE_NOTE, "mirror %s", m->name);
	if (!port) {
		xlate_put_in_vlan(x, m->output_vlan);
	} else if (port->info.kind != OF_PORT_PLAIN) {
		xlate_put_output(x, port);
	} else if (++x->n_actions > TRANSLATE_MAX_ACTIONS) {
		xlate_fail(x, DROP_TRANSLATION_LIMIT);
	} else {
		if (xlate_is_traced(x)) {
			xlate_tell_output(x, port);
		}
		xlate_commit(x);
		dp_actions_put_output(&x->out->actions, port->info.dp_port, m->max_len);
		x->has_output = true;
	}
	xlate_trace_end(x, outer);
	return x->has_output;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Translation: action lists and the action set.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "ofproto/of_context.h"
#include "ofproto/translate_internal.h"
#include "ofproto/translate_trace.h"

static void run_action(struct xlate *x, const struct of_action_hdr *a);
static bool needs_headers(enum of_action_type type);
static bool changes_packet(const void *data, size_t size);
static void end_of_ttl(struct xlate *x);

/* --- lists --------------------------------------------------------------------------------------- */

void
xlate_list(struct xlate *x, const void *data, size_t size)
{
	const struct of_action_hdr *a;

	for (a = of_action_first(data, size); a && !x->stopped; a = of_action_next(a, data, size)) {
		if (++x->n_actions > TRANSLATE_MAX_ACTIONS) {
			xlate_fail(x, DROP_TRANSLATION_LIMIT);
			return;
		}
		if (x->pkt.is_opaque ? needs_headers(a->type) : xlate_needs_unknown(x, a)) {
			x->freezing = true;
			x->freeze_table = OF_TABLE_ALL;
		} else {
			if (xlate_is_traced(x)) {
				xlate_tell_action(x, a, run_action);
			} else {
				run_action(x, a);
			}
			if (x->freezing) {
				a = of_action_next(a, data, size);
			}
		}
		if (x->freezing) {
			if (a) {
				of_actions_append(&x->frozen, a,
					size - (size_t)((const uint8_t *)a -
							(const uint8_t *)data));
			}
			return;
		}
	}
}

static void
run_action(struct xlate *x, const struct of_action_hdr *a)
{
	const struct of_action_output *output = (const void *)a;
	const struct of_action_controller *controller = (const void *)a;
	const struct of_action_u32 *u = (const void *)a;
	const struct of_action_write_metadata *md = (const void *)a;
	const struct of_action_resubmit *resubmit = (const void *)a;
	union field_value value, mask;
	const void *nested;
	size_t size;

	switch ((enum of_action_type)a->type) {
	case OF_ACTION_OUTPUT:
		xlate_output(x, OF_PORT(output->port), output->max_len);
		break;
	case OF_ACTION_CONTROLLER:
		xlate_to_agent(x, controller->reason, controller->max_len,
			controller->controller_id, controller->userdata, controller->userdata_len);
		break;
	case OF_ACTION_ENQUEUE:
		xlate_output(
			x, OF_PORT(((const struct of_action_enqueue *)(const void *)a)->port), 0);
		break;
	case OF_ACTION_GROUP:
		xlate_group(x, u->v);
		break;
	case OF_ACTION_METER:
		xlate_meter(x, u->v);
		break;
	case OF_ACTION_SET_QUEUE:
		x->pkt.key.skb_priority = be32_from(u->v);
		break;
	case OF_ACTION_PUSH_VLAN:
		xlate_push_vlan(x, (uint16_t)u->v);
		break;
	case OF_ACTION_POP_VLAN:
		xlate_pop_vlan(x);
		break;
	case OF_ACTION_SET_VLAN_VID:
	case OF_ACTION_SET_VLAN_PCP:
		if (!xlate_is_tagged(x)) {
			xlate_push_vlan(x, 0x8100);
		}
		if (a->type == OF_ACTION_SET_VLAN_VID) {
			xlate_set_u64(x, FIELD_VLAN_TCI, u->v, 0xfff);
		} else {
			xlate_set_u64(x, FIELD_VLAN_TCI, u->v << 13, 0xe000);
		}
		break;
	case OF_ACTION_PUSH_MPLS:
		xlate_push_mpls(x, (uint16_t)u->v);
		break;
	case OF_ACTION_POP_MPLS:
		xlate_pop_mpls(x, (uint16_t)u->v);
		break;
	case OF_ACTION_PUSH_PBB:
		xlate_push_pbb(x, (uint16_t)u->v);
		break;
	case OF_ACTION_POP_PBB:
		xlate_pop_pbb(x);
		break;
	case OF_ACTION_SET_NW_TTL:
		xlate_set_ttl(x, false, (uint8_t)u->v);
		break;
	case OF_ACTION_SET_MPLS_TTL:
		xlate_set_ttl(x, true, (uint8_t)u->v);
		break;
	case OF_ACTION_DEC_NW_TTL:
	case OF_ACTION_DEC_MPLS_TTL:
		if (!xlate_dec_ttl(x, a->type == OF_ACTION_DEC_MPLS_TTL)) {
			end_of_ttl(x);
		}
		break;
	case OF_ACTION_COPY_TTL_OUT:
	case OF_ACTION_COPY_TTL_IN:
		xlate_copy_ttl(x, a->type == OF_ACTION_COPY_TTL_OUT);
		break;
	case OF_ACTION_SET_FIELD:
		of_action_set_field_get((const void *)a, &value, &mask);
		xlate_set_field(x, ((const struct of_action_set_field *)(const void *)a)->field,
			&value, &mask);
		break;
	case OF_ACTION_COPY_FIELD:
		xlate_copy_field(x, (const void *)a);
		break;
	case OF_ACTION_RESUBMIT:
		xlate_resubmit(x, OF_PORT(resubmit->in_port), resubmit->table);
		break;
	case OF_ACTION_CLONE:
		nested = of_action_nested(a, &size);
		xlate_on_copy(x, nested, size, false);
		break;
	case OF_ACTION_LEARN:
		xlate_learn(x, (const void *)a);
		break;
	case OF_ACTION_FIN_TIMEOUT:
		xlate_fin_timeout(x, (const void *)a);
		break;
	case OF_ACTION_CLEAR_ACTIONS:
		of_actions_clear(&x->action_set);
		break;
	case OF_ACTION_WRITE_ACTIONS:
		nested = of_action_nested(a, &size);
		if (x->action_set.size + size > OF_ACTIONS_MAX_SIZE) {
			xlate_fail(x, DROP_TRANSLATION_LIMIT);
		} else {
			of_actions_append(&x->action_set, nested, size);
		}
		break;
	case OF_ACTION_WRITE_METADATA:
		xlate_set_u64(x, FIELD_METADATA, md->metadata, md->mask);
		break;
	case OF_ACTION_GOTO_TABLE:
		xlate_table(x, (uint8_t)u->v);
		break;
	case OF_ACTION_N:
		break;
	}
}

/* It is known that the TTL is used up: the packet ends here. */
static void
end_of_ttl(struct xlate *x)
{
	if (atomic_load_explicit(&x->p->invalid_ttl_to_agent, memory_order_relaxed)) {
		xlate_to_agent(x, OF_REASON_INVALID_TTL, OF_MAX_LEN_NO_BUFFER, 0, NULL, 0);
	}
	x->drop = DROP_INVALID_TTL;
	x->stopped = true;
	if (xlate_is_traced(x)) {
		xlate_tell_end(x, "TTL is used up", x->drop);
	}
}

/* Actions for which the key must have the headers that the packet has now. */
static bool
needs_headers(enum of_action_type type)
{
	switch (type) {
	case OF_ACTION_PUSH_MPLS:
	case OF_ACTION_POP_MPLS:
	case OF_ACTION_POP_PBB:
	case OF_ACTION_SET_NW_TTL:
	case OF_ACTION_DEC_NW_TTL:
	case OF_ACTION_SET_MPLS_TTL:
	case OF_ACTION_DEC_MPLS_TTL:
	case OF_ACTION_COPY_TTL_OUT:
	case OF_ACTION_COPY_TTL_IN:
	case OF_ACTION_SET_FIELD:
	case OF_ACTION_COPY_FIELD:
	case OF_ACTION_LEARN:
		return true;
	default:
		return false;
	}
}

void
xlate_resubmit(struct xlate *x, struct of_port from, uint8_t to)
{
	struct rule *rule = x->rule;
	be32_t in_port = x->pkt.key.in_port;
	uint64_t cookie = x->cookie;
	uint8_t table = x->table, reason = x->reason;

	if (x->depth >= TRANSLATE_MAX_DEPTH) {
		xlate_fail(x, DROP_RESUBMIT_DEPTH);
		return;
	}
	x->depth++;
	if (!of_port_is(from, OFPP_IN_PORT)) {
		x->pkt.key.in_port = be32_from(from.v);
	}
	xlate_table(x, to != OF_TABLE_ALL ? to : table == OF_TABLE_ALL ? 0 : table);
	x->pkt.key.in_port = in_port;
	x->depth--;
	x->rule = rule;
	x->cookie = cookie;
	x->table = table;
	x->reason = reason;
}

void
xlate_on_copy(struct xlate *x, const void *data, size_t size, bool is_set)
{
	struct of_actions set = x->action_set;
	struct dp_actions *list = &x->out->actions;
	struct xlate_packet *saved;
	bool stopped = x->stopped;
	size_t at;

	xlate_commit(x);
	saved = xmemdup(&x->pkt, sizeof(x->pkt));
	of_actions_init(&x->action_set); /* of the packet, not of the copy */
	at = dp_actions_begin(list, DP_ACTION_CLONE, 0);
	if (is_set) {
		xlate_set(x, data, size);
	} else {
		xlate_list(x, data, size);
	}
	if (x->freezing) {
		/* The copy recirculates by itself; the rest of the list stays with the packet. */
		if (!x->stopped) {
			xlate_freeze(x);
		}
		x->freezing = false;
		of_actions_clear(&x->frozen);
	}
	xlate_end_copy(list, at);
	if (!x->failed) {
		x->stopped = stopped;
	}
	of_actions_uninit(&x->action_set);
	x->action_set = set;
	x->pkt = *saved;
	free(saved);
}

void
xlate_end_copy(struct dp_actions *list, size_t at)
{
	dp_actions_end(list, at);
	if (!changes_packet(list->data + at + sizeof(struct dp_action_hdr),
		    list->size - at - sizeof(struct dp_action_hdr))) {
		list->size -= sizeof(struct dp_action_hdr);
		memmove(list->data + at, list->data + at + sizeof(struct dp_action_hdr),
			list->size - at);
	}
}

/* Whether what stands behind these datapath actions would meet another packet than without them, or
 * none. */
static bool
changes_packet(const void *data, size_t size)
{
	const struct dp_action_hdr *a;

	for (a = dp_action_first(data, size); a; a = dp_action_next(a, data, size)) {
		switch (a->type) {
		case DP_ACTION_OUTPUT:
		case DP_ACTION_TO_AGENT:
		case DP_ACTION_CLONE:
		case DP_ACTION_SAMPLE:
			break;
		default:
			return true;
		}
	}
	return false;
}

/* --- the action set ------------------------------------------------------------------------------ */

void
xlate_action_set(struct xlate *x)
{
	struct of_actions set = x->action_set;

	of_actions_init(&x->action_set);
	if (set.size) {
		struct of_trace_node *outer = XLATE_BEGIN(x, OF_TRACE_ACTION_SET, "action set");

		x->reason = OF_REASON_ACTION_SET;
		xlate_set(x, set.data, set.size);
		xlate_trace_end(x, outer);
	}
	of_actions_uninit(&set);
}

/* OpenFlow 1.3.5 s.5.10: one action of each type (of set-field: of each field), the last written, in
 * this order; a group in place of the output. */
void
xlate_set(struct xlate *x, const void *data, size_t size)
{
	static const uint8_t order[] = {
		OF_ACTION_COPY_TTL_IN,
		OF_ACTION_POP_VLAN,
		OF_ACTION_POP_MPLS,
		OF_ACTION_POP_PBB,
		OF_ACTION_PUSH_MPLS,
		OF_ACTION_PUSH_PBB,
		OF_ACTION_PUSH_VLAN,
		OF_ACTION_COPY_TTL_OUT,
		OF_ACTION_DEC_NW_TTL,
		OF_ACTION_DEC_MPLS_TTL,
		OF_ACTION_SET_NW_TTL,
		OF_ACTION_SET_MPLS_TTL,
		OF_ACTION_SET_FIELD,
		OF_ACTION_COPY_FIELD,
		OF_ACTION_SET_VLAN_VID,
		OF_ACTION_SET_VLAN_PCP,
		OF_ACTION_SET_QUEUE,
		OF_ACTION_LEARN,
		OF_ACTION_FIN_TIMEOUT,
		OF_ACTION_METER,
		OF_ACTION_GROUP,
		OF_ACTION_OUTPUT,
		OF_ACTION_ENQUEUE,
		OF_ACTION_CONTROLLER,
		OF_ACTION_RESUBMIT,
		OF_ACTION_CLONE,
	};
	const struct of_action_hdr *a, *last[OF_ACTION_N] = {NULL};
	struct of_actions sorted;

	of_actions_init(&sorted);
	for (a = of_action_first(data, size); a; a = of_action_next(a, data, size)) {
		last[a->type] = a;
	}
	if (last[OF_ACTION_GROUP]) {
		last[OF_ACTION_OUTPUT] = last[OF_ACTION_ENQUEUE] = last[OF_ACTION_CONTROLLER] =
			NULL;
	}
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(order); i++) {
		if (order[i] == OF_ACTION_SET_FIELD || order[i] == OF_ACTION_COPY_FIELD ||
			order[i] == OF_ACTION_LEARN) {
			/* All of them as they were written: a later one of the same field wins. */
			for (a = of_action_first(data, size); a;
				a = of_action_next(a, data, size)) {
				if (a->type == order[i]) {
					of_actions_append(&sorted, a, a->len);
				}
			}
		} else if (last[order[i]]) {
			of_actions_append(&sorted, last[order[i]], last[order[i]]->len);
		}
	}
	xlate_list(x, sorted.data, sorted.size);
	of_actions_uninit(&sorted);
}

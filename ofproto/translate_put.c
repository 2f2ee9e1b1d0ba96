/* SPDX-License-Identifier: Apache-2.0
 *
 * Translation: the packet. The actions that make it what rules have made of it: see translate_packet.c.
 */
#include <string.h>

#include "lib/dp_protocol.h"
#include "ofproto/of_context.h"
#include "ofproto/translate_internal.h"

/* Fields as they are put, one action each. Of fields that share a place the first whose
 * prerequisite the packet meets is meant. */
static const uint8_t put_order[] = {
	FIELD_ETH_DST,
	FIELD_ETH_SRC,
	FIELD_MPLS_LABEL,
	FIELD_MPLS_TC,
	FIELD_MPLS_BOS,
	FIELD_MPLS_TTL,
	FIELD_PBB_ISID,
	FIELD_PBB_UCA,
	FIELD_IPV4_SRC,
	FIELD_IPV4_DST,
	FIELD_IPV6_SRC,
	FIELD_IPV6_DST,
	FIELD_IPV6_FLABEL,
	FIELD_IP_TOS,
	FIELD_IP_TTL,
	FIELD_ARP_OP,
	FIELD_ARP_SPA,
	FIELD_ARP_TPA,
	FIELD_ARP_SHA,
	FIELD_ARP_THA,
	FIELD_TCP_SRC,
	FIELD_TCP_DST,
	FIELD_UDP_SRC,
	FIELD_UDP_DST,
	FIELD_SCTP_SRC,
	FIELD_SCTP_DST,
	FIELD_ICMPV4_TYPE,
	FIELD_ICMPV4_CODE,
	FIELD_ICMPV6_TYPE,
	FIELD_ICMPV6_CODE,
	FIELD_ND_TARGET,
	FIELD_ND_RESERVED,
	FIELD_ND_OPTIONS_TYPE,
	FIELD_ND_SLL,
	FIELD_ND_TLL,
};

static void put_pending(struct xlate *x, enum field_id id);
static bool is_moved(const struct xlate *x, enum field_id id);
static bool is_known(const struct xlate *x, const union field_value *mask, const struct field *f);

void
xlate_commit(struct xlate *x)
{
	struct xlate_packet *k = &x->pkt;

	if (k->n_pops || k->n_pushes || k->pending.bits.vlan_tci) {
		xlate_commit_vlan(x);
	}
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(put_order); i++) {
		if (field_is_masked(field_get(put_order[i]), &k->pending)) {
			put_pending(x, put_order[i]);
		}
	}
}

void
xlate_commit_nd(struct xlate *x)
{
	if (!field_prereq_holds(FIELD_PRE_ND, &x->pkt.key)) {
		return;
	}
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(put_order); i++) {
		uint8_t prereq = field_get(put_order[i])->prereq;

		if (prereq >= FIELD_PRE_ICMPV6 && prereq <= FIELD_PRE_ND_ADV &&
			field_is_masked(field_get(put_order[i]), &x->pkt.pending)) {
			put_pending(x, put_order[i]);
		}
	}
}

/* By the flags of encapsulations that take them. */
static const struct {
	uint32_t flag;
	uint8_t field;
} tunnel_fields[] = {
	{DP_ENCAP_ID_FROM_KEY, FIELD_TUN_ID},
	{DP_ENCAP_SRC_FROM_KEY, FIELD_TUN_SRC},
	{DP_ENCAP_DST_FROM_KEY, FIELD_TUN_DST},
	{DP_ENCAP_FLAGS_FROM_KEY, FIELD_TUN_FLAGS},
	{DP_ENCAP_TOS_FROM_KEY, FIELD_TUN_TOS},
	{DP_ENCAP_TTL_FROM_KEY, FIELD_TUN_TTL},
	{DP_ENCAP_GBP_FROM_KEY, FIELD_TUN_GBP_ID},
	{DP_ENCAP_GBP_FROM_KEY, FIELD_TUN_GBP_FLAGS},
	{DP_ENCAP_OPTS_FROM_KEY, FIELD_TUN_OPTS},
	{DP_ENCAP_OPTS_FROM_KEY, FIELD_TUN_OPTS_PRESENT},
};

void
xlate_commit_tunnel(struct xlate *x, uint32_t flags)
{
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(tunnel_fields); i++) {
		if (tunnel_fields[i].flag & flags &&
			field_is_masked(field_get(tunnel_fields[i].field), &x->pkt.pending)) {
			put_pending(x, tunnel_fields[i].field);
		}
	}
}

void
xlate_packet_no_tunnel(struct xlate *x)
{
	static const union field_value zero;

	for (size_t i = 0; i < WEFT_ARRAY_SIZE(tunnel_fields); i++) {
		field_store(field_get(tunnel_fields[i].field), &x->pkt.base, &zero);
		field_mask_exact(field_get(tunnel_fields[i].field), &x->pkt.fixed);
	}
}

static void
put_pending(struct xlate *x, enum field_id id)
{
	struct xlate_packet *k = &x->pkt;
	const struct field *f = field_get(id);
	union field_value value, mask, had, zero = {{0}};
	bool differs = false;

	if (!field_prereq_holds(f->prereq, &k->key)) {
		return; /* another field in the same place */
	}
	field_load(f, &k->pending.bits, &mask);
	if (!(f->flags & FIELD_MASKABLE)) {
		union field_value ones;

		field_value_ones(f, &ones);
		if (memcmp(ones.b, mask.b, f->n_bytes)) {
			/* Only whole fields can be put: the rest of this one counts too. */
			xlate_read_field(x, id);
			mask = ones;
		}
	}
	field_load(f, &k->key, &value);
	field_load(f, &k->base, &had);
	for (unsigned i = 0; i < f->n_bytes; i++) {
		value.b[i] &= mask.b[i];
		differs |= ((value.b[i] ^ had.b[i]) & mask.b[i]) != 0;
	}
	if (differs || !is_known(x, &mask, f) || is_moved(x, id)) {
		dp_actions_put_set_field(&x->out->actions, id, &value, &mask);
	}
	field_store_masked(f, &k->base, &value, &mask);
	field_store_masked(f, &k->fixed.bits, &mask, &mask);
	field_store(f, &k->pending.bits, &zero);
}

/* Whether a field may stand elsewhere in the packet than when it was received: the address in an option
 * of neighbour discovery, once the kind of the option or of the message has been set. */
static bool
is_moved(const struct xlate *x, enum field_id id)
{
	const struct flow_key *fixed = &x->pkt.fixed.bits;

	return (id == FIELD_ND_SLL || id == FIELD_ND_TLL) &&
	       (fixed->nd_options_type || fixed->icmp_type);
}

/* Whether all packets of the flow have @base's value in those bits. */
static bool
is_known(const struct xlate *x, const union field_value *mask, const struct field *f)
{
	union field_value fixed, wc;

	field_load(f, &x->pkt.fixed.bits, &fixed);
	field_load(f, &x->out->mask.bits, &wc);
	for (unsigned i = 0; i < f->n_bytes; i++) {
		if (mask->b[i] & ~(fixed.b[i] | (x->pkt.is_outer ? 0 : wc.b[i]))) {
			return false;
		}
	}
	return true;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Translation: the packet. What it has become, and which bits of the received one that depends on; the
 * actions that make it so are translate_put.c's.
 *
 * Three masks tell bits apart. @made: bits of the key that are the same whatever packet came; looking
 * at them needs no bit of the flow's mask. @pending: set but not yet put. @fixed: made, and put. A
 * pending bit is not put if the packet is known to have that value: it is fixed, or in the flow's mask.
 */
#include <string.h>

#include "lib/byteorder.h"
#include "lib/dp_protocol.h"
#include "ofproto/of_action_internal.h"
#include "ofproto/of_context.h"
#include "ofproto/translate_internal.h"

#define FIRST_L3_FIELD FIELD_IPV4_SRC

static void set_kind(struct xlate *x, enum field_id field, const union field_value *value,
	const union field_value *mask);
static void set_outer(struct xlate *x, be16_t tci, be16_t tpid);
static void forget_tags(struct xlate *x);
static void forget_l3(struct xlate *x);
static void make(struct flow_mask *mask, enum field_id field, bool is_made);
static struct dp_actions *actions(struct xlate *x);

void
xlate_packet_init(struct xlate *x, const struct flow_key *key, uint32_t in_port)
{
	struct xlate_packet *k = &x->pkt;

	memset(k, 0, sizeof(*k));
	k->key = *key;
	k->key.in_port = be32_from(in_port);
	k->key.recirc_id = 0;
	k->base = k->key;
	k->origin[0] = TAG_FROM_OUTER;
	k->origin[1] = TAG_FROM_INNER;
	k->own_origin = TAG_FROM_OUTER;
}

/* --- reading ------------------------------------------------------------------------------------- */

static void
read_tag(struct xlate *x, unsigned slot, be16_t tci, be16_t tpid)
{
	struct flow_key *wc = &x->out->mask.bits;

	switch (x->pkt.origin[slot]) {
	case TAG_FROM_OUTER:
		wc->vlan_tci |= tci;
		wc->vlan_tpid |= tpid;
		break;
	case TAG_FROM_INNER:
		wc->inner_tci |= tci;
		wc->inner_tpid |= tpid;
		break;
	case TAG_MADE:
		break;
	}
}

void
xlate_read(struct xlate *x, const struct flow_mask *bits)
{
	const struct flow_mask *made = &x->pkt.made;
	struct flow_key *wc = &x->out->mask.bits;
	be16_t outer_tci, outer_tpid, inner_tci, inner_tpid;
	bool was_moved = x->pkt.origin[0] != TAG_FROM_OUTER || x->pkt.origin[1] != TAG_FROM_INNER;
	be16_t had_outer_tci = wc->vlan_tci, had_outer_tpid = wc->vlan_tpid;
	be16_t had_inner_tci = wc->inner_tci, had_inner_tpid = wc->inner_tpid;

	if (x->pkt.is_outer) {
		return;
	}
	/* Blocks 6 and 7 are the pipeline's own: the packet brings nothing in them. */
	for (unsigned i = 0; i < 6 * FLOW_BLOCK_WORDS; i++) {
		wc->words[i] |= bits->bits.words[i] & ~made->bits.words[i];
	}
	if (was_moved) {
		outer_tci = bits->bits.vlan_tci & (be16_t)~made->bits.vlan_tci;
		outer_tpid = bits->bits.vlan_tpid & (be16_t)~made->bits.vlan_tpid;
		inner_tci = bits->bits.inner_tci & (be16_t)~made->bits.inner_tci;
		inner_tpid = bits->bits.inner_tpid & (be16_t)~made->bits.inner_tpid;
		wc->vlan_tci = had_outer_tci;
		wc->vlan_tpid = had_outer_tpid;
		wc->inner_tci = had_inner_tci;
		wc->inner_tpid = had_inner_tpid;
		read_tag(x, 0, outer_tci, outer_tpid);
		read_tag(x, 1, inner_tci, inner_tpid);
	}
	if (x->pkt.ttl_moved && bits->bits.ip_ttl) {
		wc->ip_ttl = 0xff;
	}
}

void
xlate_read_field(struct xlate *x, enum field_id field)
{
	struct flow_mask bits = {0};

	make(&bits, field, true);
	xlate_read(x, &bits);
}

bool
xlate_holds(struct xlate *x, enum field_prereq prereq)
{
	struct flow_mask bits = {0};

	field_prereq_unwildcard(prereq, &bits);
	xlate_read(x, &bits);
	return field_prereq_holds(prereq, &x->pkt.key);
}

bool
xlate_is_tagged(struct xlate *x)
{
	return xlate_holds(x, FIELD_PRE_VLAN);
}

bool
xlate_is_unknown(const struct xlate *x, const struct flow_mask *bits)
{
	return x->pkt.is_outer && !flow_mask_covers(bits, &x->pkt.made);
}

bool
xlate_is_unknown_field(const struct xlate *x, enum field_id field)
{
	struct flow_mask bits = {0};

	make(&bits, field, true);
	return xlate_is_unknown(x, &bits);
}

/* --- setting ------------------------------------------------------------------------------------- */

void
xlate_set_field(struct xlate *x, enum field_id field, const union field_value *value,
	const union field_value *mask)
{
	struct xlate_packet *k = &x->pkt;
	const struct field *f = field_get(field);
	struct flow_mask bits = {0};
	union field_value ones;

	if (!mask) {
		field_value_ones(f, &ones);
		mask = &ones;
	}
	if (field == FIELD_VLAN_TCI && mask->b[0] & FLOW_VLAN_PRESENT >> 8) {
		/* As Open vSwitch has it: whether there is a tag is said too. */
		if (!(value->b[0] & FLOW_VLAN_PRESENT >> 8)) {
			xlate_pop_vlan(x);
			return;
		}
		if (!xlate_is_tagged(x)) {
			xlate_push_vlan(x, 0x8100);
		}
	}
	if ((field == FIELD_VLAN_TCI || field == FIELD_VLAN_VID || field == FIELD_VLAN_PCP)
			? !xlate_is_tagged(x)
			: !xlate_holds(x, f->prereq)) {
		return; /* a bucket's or packet-out's: rules were checked when they came */
	}
	if (field == FIELD_ETH_TYPE || field == FIELD_IP_PROTO) {
		set_kind(x, field, value, mask);
		return;
	}
	if (field == FIELD_ICMPV6_TYPE || field == FIELD_ICMPV6_CODE ||
		field == FIELD_ND_OPTIONS_TYPE) {
		xlate_commit_nd(x);
	}
	field_store_masked(f, &k->key, value, mask);
	field_store(f, &bits.bits, mask);
	if (f->block == 0 && bits.bits.vlan_tci) {
		/* Setting cannot take a tag away. */
		k->key.vlan_tci |= be16_from(FLOW_VLAN_PRESENT);
		bits.bits.vlan_tci &= be16_from((uint16_t)~FLOW_VLAN_PRESENT);
	}
	flow_mask_union(&k->made, &bits);
	if (k->n_pushes) {
		bits.bits.vlan_tci = 0; /* of a tag that is yet to be pushed */
	}
	flow_mask_union(&k->pending, &bits);
	if (bits.bits.ip_ttl && f->block == 0) {
		k->ttl_moved = false;
	}
	if (field == FIELD_TUN_OPTS) {
		xlate_option_set(x, mask);
	}
}

/* What the headers behind it mean changes with it: the datapath parses anew before they are looked at. */
static void
set_kind(struct xlate *x, enum field_id field, const union field_value *value,
	const union field_value *mask)
{
	struct xlate_packet *k = &x->pkt;
	const struct field *f = field_get(field);

	xlate_commit(x);
	dp_actions_put_set_field(actions(x), field, value, mask);
	field_store_masked(f, &k->key, value, mask);
	field_store_masked(f, &k->base, value, mask);
	make(&k->made, field, true);
	make(&k->fixed, field, true);
	k->is_opaque = true;
}

void
xlate_set_u64(struct xlate *x, enum field_id field, uint64_t value, uint64_t mask)
{
	union field_value v, m;

	field_value_from_u64(field_get(field), value, &v);
	field_value_from_u64(field_get(field), mask, &m);
	xlate_set_field(x, field, &v, &m);
}

void
xlate_copy_field(struct xlate *x, const struct of_action_copy_field *a)
{
	const struct field *src = field_get(a->src), *dst = field_get(a->dst);
	union field_value from, to = {{0}}, mask = {{0}}, read = {{0}}, ones;
	struct flow_mask bits = {0};

	if (!xlate_holds(x, src->prereq)) {
		return;
	}
	field_load(src, &x->pkt.key, &from);
	field_value_ones(src, &ones);
	of_bits_copy(from.b, src->n_bytes, a->src_ofs, to.b, dst->n_bytes, a->dst_ofs, a->n_bits);
	of_bits_copy(ones.b, src->n_bytes, a->src_ofs, mask.b, dst->n_bytes, a->dst_ofs, a->n_bits);
	/* The result is a constant of this flow: it depends on the bits that were copied. */
	of_bits_copy(ones.b, src->n_bytes, a->src_ofs, read.b, src->n_bytes, a->src_ofs, a->n_bits);
	field_store(src, &bits.bits, &read);
	xlate_read(x, &bits);
	xlate_set_field(x, a->dst, &to, &mask);
}

/* --- tags ---------------------------------------------------------------------------------------- */

void
xlate_push_vlan(struct xlate *x, uint16_t tpid)
{
	struct xlate_packet *k = &x->pkt;
	be16_t tci = be16_from(FLOW_VLAN_PRESENT);

	if (xlate_is_tagged(x)) {
		/* VLAN id and priority come from the tag that was outermost (OpenFlow 1.3.5 s.5.12.1). */
		xlate_read_field(x, FIELD_VLAN_TCI);
		tci = k->key.vlan_tci;
	}
	if (k->n_pushes == XLATE_MAX_PUSHES) {
		xlate_commit(x);
	}
	if (k->n_pushes) {
		k->pushes[k->n_pushes - 1].tci = k->key.vlan_tci;
	} else {
		k->own_tci = k->key.vlan_tci;
		k->hidden.tci = k->key.inner_tci;
		k->hidden.tpid = k->key.inner_tpid;
		k->hidden.made_tci = k->made.bits.inner_tci;
		k->hidden.made_tpid = k->made.bits.inner_tpid;
		k->hidden.origin = k->origin[1];
	}
	k->key.inner_tci = k->key.vlan_tci;
	k->key.inner_tpid = k->key.vlan_tpid;
	k->made.bits.inner_tci = k->made.bits.vlan_tci;
	k->made.bits.inner_tpid = k->made.bits.vlan_tpid;
	k->origin[1] = k->origin[0];
	k->pushes[k->n_pushes++] = (struct xlate_push){.tpid = be16_from(tpid)};
	set_outer(x, tci, be16_from(tpid));
}

void
xlate_pop_vlan(struct xlate *x)
{
	struct xlate_packet *k = &x->pkt;

	if (!xlate_is_tagged(x)) {
		return;
	}
	if (k->n_pushes > 1) {
		xlate_commit(x);
	}
	k->key.vlan_tci = k->key.inner_tci;
	k->key.vlan_tpid = k->key.inner_tpid;
	k->made.bits.vlan_tci = k->made.bits.inner_tci;
	k->made.bits.vlan_tpid = k->made.bits.inner_tpid;
	k->origin[0] = k->origin[1];
	if (k->n_pushes) {
		/* The push has not been put: as if it had not been. */
		k->n_pushes = 0;
		k->key.inner_tci = k->hidden.tci;
		k->key.inner_tpid = k->hidden.tpid;
		k->made.bits.inner_tci = k->hidden.made_tci;
		k->made.bits.inner_tpid = k->hidden.made_tpid;
		k->origin[1] = k->hidden.origin;
		return;
	}
	k->key.inner_tci = 0;
	k->key.inner_tpid = 0;
	k->origin[1] = TAG_MADE;
	make(&k->made, FIELD_INNER_TCI, true);
	make(&k->made, FIELD_INNER_TPID, true);
	k->n_pops++;
	k->pending.bits.vlan_tci = 0;
	k->own_origin = k->own_origin == TAG_FROM_OUTER ? TAG_FROM_INNER : TAG_MADE;
}

/* The outermost tag is a new one. */
static void
set_outer(struct xlate *x, be16_t tci, be16_t tpid)
{
	struct xlate_packet *k = &x->pkt;

	k->key.vlan_tci = tci | be16_from(FLOW_VLAN_PRESENT);
	k->key.vlan_tpid = tpid;
	k->origin[0] = TAG_MADE;
	make(&k->made, FIELD_VLAN_TCI, true);
	make(&k->made, FIELD_VLAN_TPID, true);
}

/* Pops, sets the packet's own tag, pushes. */
void
xlate_commit_vlan(struct xlate *x)
{
	struct xlate_packet *k = &x->pkt;
	be16_t own = k->n_pushes ? k->own_tci : k->key.vlan_tci;
	be16_t present = be16_from(FLOW_VLAN_PRESENT), set = k->pending.bits.vlan_tci;

	for (; k->n_pops; k->n_pops--) {
		dp_actions_put_flag(actions(x), DP_ACTION_POP_VLAN);
		k->base.vlan_tci = k->base.inner_tci;
		k->base.vlan_tpid = k->base.inner_tpid;
		k->fixed.bits.vlan_tci = k->fixed.bits.inner_tci;
		k->base.inner_tci = 0;
		k->fixed.bits.inner_tci = 0xffff;
	}
	if (set) {
		/* Bits of the packet's own tag, below what is pushed. */
		be16_t known = k->fixed.bits.vlan_tci;

		if (k->own_origin == TAG_FROM_OUTER) {
			known |= x->out->mask.bits.vlan_tci;
		} else if (k->own_origin == TAG_FROM_INNER) {
			known |= x->out->mask.bits.inner_tci;
		}
		if ((own ^ k->base.vlan_tci) & set || set & (be16_t)~known) {
			struct flow_key value = {.vlan_tci = own & set}, mask = {.vlan_tci = set};
			union field_value v, m;

			field_load(field_get(FIELD_VLAN_TCI), &value, &v);
			field_load(field_get(FIELD_VLAN_TCI), &mask, &m);
			dp_actions_put_set_field(actions(x), FIELD_VLAN_TCI, &v, &m);
		}
		k->base.vlan_tci = (k->base.vlan_tci & (be16_t)~set) | (own & set);
		k->fixed.bits.vlan_tci |= set;
		k->pending.bits.vlan_tci = 0;
	}
	for (unsigned i = 0; i < k->n_pushes; i++) {
		be16_t tci = i + 1 < k->n_pushes ? k->pushes[i].tci : k->key.vlan_tci;

		dp_actions_put_push_vlan(actions(x), k->pushes[i].tpid, tci & (be16_t)~present);
		k->base.inner_tci = k->base.vlan_tci;
		k->base.inner_tpid = k->base.vlan_tpid;
		k->fixed.bits.inner_tci = k->fixed.bits.vlan_tci;
		k->base.vlan_tci = tci;
		k->base.vlan_tpid = k->pushes[i].tpid;
		k->fixed.bits.vlan_tci = 0xffff;
	}
	if (k->n_pushes) {
		k->own_origin = TAG_MADE;
		k->n_pushes = 0;
	}
}

/* --- labels and PBB ------------------------------------------------------------------------------ */

void
xlate_push_mpls(struct xlate *x, uint16_t eth_type)
{
	struct xlate_packet *k = &x->pkt;
	uint32_t lse = 0; /* what there is no value for (OpenFlow 1.3.5 s.5.12.1) */
	/* Whether a label is next: tags in front of it are now behind the new one. */
	bool is_stacked = xlate_holds(x, FIELD_PRE_MPLS) && !xlate_is_tagged(x);

	if (xlate_holds(x, FIELD_PRE_MPLS)) {
		xlate_read_field(x, FIELD_MPLS_LABEL);
		xlate_read_field(x, FIELD_MPLS_TC);
		xlate_read_field(x, FIELD_MPLS_BOS);
		xlate_read_field(x, FIELD_MPLS_TTL);
		lse = be32_to(k->key.mpls_lse[0]) & ~0x100u;
	} else if (xlate_holds(x, FIELD_PRE_IP)) {
		xlate_read_field(x, FIELD_IP_TTL);
		lse = k->key.ip_ttl;
	}
	xlate_commit(x);
	dp_actions_put_push_mpls(actions(x), be16_from(eth_type), be32_from(lse));
	forget_tags(x);
	forget_l3(x);
	/* Deeper labels are looked at only after a pop, and then the datapath parses anew. */
	if (is_stacked) {
		memmove(&k->key.mpls_lse[1], &k->key.mpls_lse[0],
			(FLOW_N_MPLS - 1) * sizeof(be32_t));
	} else {
		lse |= 0x100;
		memset(&k->key.mpls_lse[1], 0, (FLOW_N_MPLS - 1) * sizeof(be32_t));
	}
	k->key.mpls_lse[0] = be32_from(lse);
	k->key.eth_type = be16_from(eth_type);
	k->made.bits.mpls_lse[0] = UINT32_MAX;
	make(&k->made, FIELD_MPLS_LSE1, true);
	make(&k->made, FIELD_MPLS_LSE2, true);
	make(&k->made, FIELD_ETH_TYPE, true);
	k->base = k->key;
	k->fixed.bits.mpls_lse[0] = UINT32_MAX;
}

void
xlate_pop_mpls(struct xlate *x, uint16_t eth_type)
{
	struct xlate_packet *k = &x->pkt;

	if (!xlate_holds(x, FIELD_PRE_MPLS)) {
		return;
	}
	xlate_read_field(x, FIELD_MPLS_BOS);
	xlate_commit(x);
	dp_actions_put_u32(actions(x), DP_ACTION_POP_MPLS, eth_type);
	k->key.eth_type = be16_from(eth_type);
	make(&k->made, FIELD_ETH_TYPE, true);
	k->base.eth_type = k->key.eth_type;
	/* What comes next is the datapath's to parse. */
	k->is_opaque = true;
}

void
xlate_push_pbb(struct xlate *x, uint16_t eth_type)
{
	struct xlate_packet *k = &x->pkt;
	be32_t isid = 0;

	if (xlate_holds(x, FIELD_PRE_PBB)) {
		xlate_read_field(x, FIELD_PBB_ISID);
		isid = k->key.pbb & be32_from(FLOW_PBB_ISID_MASK);
	}
	xlate_commit(x);
	dp_actions_put_u32(actions(x), DP_ACTION_PUSH_PBB, eth_type);
	forget_tags(x);
	forget_l3(x);
	memset(k->key.mpls_lse, 0, sizeof(k->key.mpls_lse));
	memset(k->made.bits.mpls_lse, 0xff, sizeof(k->made.bits.mpls_lse));
	k->key.eth_type = be16_from(eth_type);
	k->key.pbb = isid;
	make(&k->made, FIELD_ETH_TYPE, true);
	make(&k->made, FIELD_PBB_ISID, true);
	make(&k->made, FIELD_PBB_UCA, true);
	k->base = k->key;
	make(&k->fixed, FIELD_PBB_ISID, true);
	make(&k->fixed, FIELD_PBB_UCA, true);
}

void
xlate_pop_pbb(struct xlate *x)
{
	if (!xlate_holds(x, FIELD_PRE_PBB)) {
		return;
	}
	xlate_commit(x);
	dp_actions_put_flag(actions(x), DP_ACTION_POP_PBB);
	x->pkt.is_opaque = true;
}

/* The tags are behind a new header: none, whatever packet came. */
static void
forget_tags(struct xlate *x)
{
	struct xlate_packet *k = &x->pkt;

	k->key.vlan_tci = 0;
	k->key.vlan_tpid = 0;
	k->key.inner_tci = 0;
	k->key.inner_tpid = 0;
	make(&k->made, FIELD_VLAN_TCI, true);
	make(&k->made, FIELD_VLAN_TPID, true);
	make(&k->made, FIELD_INNER_TCI, true);
	make(&k->made, FIELD_INNER_TPID, true);
	k->origin[0] = k->origin[1] = k->own_origin = TAG_MADE;
}

/* The L3 and L4 headers are out of reach: zero, whatever packet came. */
static void
forget_l3(struct xlate *x)
{
	struct xlate_packet *k = &x->pkt;

	for (unsigned i = FIRST_L3_FIELD; i < FIELD_N; i++) {
		const struct field *f = field_get(i);
		union field_value zero = {{0}};

		if (f->prereq >= FIELD_PRE_IPV4 && f->prereq <= FIELD_PRE_ND_ADV) {
			field_store(f, &k->key, &zero);
			make(&k->made, i, true);
		}
	}
	k->ttl_moved = false;
}

/* --- TTL ----------------------------------------------------------------------------------------- */

void
xlate_set_ttl(struct xlate *x, bool mpls, uint8_t ttl)
{
	xlate_set_u64(x, mpls ? FIELD_MPLS_TTL : FIELD_IP_TTL, ttl, 0xff);
}

bool
xlate_dec_ttl(struct xlate *x, bool mpls)
{
	struct xlate_packet *k = &x->pkt;
	enum field_id field = mpls ? FIELD_MPLS_TTL : FIELD_IP_TTL;
	const struct field *f = field_get(field);
	union field_value value;
	struct flow_mask bits = {0};
	uint64_t ttl;
	size_t at;

	if (!xlate_holds(x, mpls ? FIELD_PRE_MPLS : FIELD_PRE_IP)) {
		return true;
	}
	field_load(f, &k->key, &value);
	ttl = field_value_u64(f, &value);
	if (field_is_exact(f, &k->made)) {
		if (ttl <= 1) {
			return false;
		}
		xlate_set_u64(x, field, ttl - 1, 0xff);
		return true;
	}
	if (mpls) {
		xlate_read_field(x, FIELD_MPLS_TTL);
	}
	if (field_is_exact(f, &x->out->mask) && ttl <= 1) {
		return false;
	}
	xlate_commit(x);
	at = dp_actions_begin(actions(x), mpls ? DP_ACTION_DEC_MPLS_TTL : DP_ACTION_DEC_TTL, 0);
	if (atomic_load_explicit(&x->p->invalid_ttl_to_agent, memory_order_relaxed)) {
		bool had_output = x->has_output;

		xlate_to_agent(x, OF_REASON_INVALID_TTL, OF_MAX_LEN_NO_BUFFER, 0, NULL, 0);
		x->has_output = had_output;
	} else {
		dp_actions_put_drop(actions(x), DROP_INVALID_TTL);
	}
	dp_actions_end(actions(x), at);
	field_value_from_u64(f, (ttl - 1) & 0xff, &value);
	field_store(f, &k->key, &value);
	field_store(f, &k->base, &value);
	field_value_ones(f, &value);
	if (mpls) {
		/* It was looked at: what is left is a constant of this flow. */
		field_store(f, &bits.bits, &value);
		flow_mask_union(&k->made, &bits);
		flow_mask_union(&k->fixed, &bits);
	} else {
		k->ttl_moved = true;
	}
	return true;
}

void
xlate_copy_ttl(struct xlate *x, bool out)
{
	struct xlate_packet *k = &x->pkt;
	bool to_inner_ip;

	if (!xlate_holds(x, FIELD_PRE_MPLS)) {
		return;
	}
	xlate_read_field(x, FIELD_MPLS_BOS);
	xlate_read_field(x, FIELD_MPLS_TTL);
	to_inner_ip = be32_to(k->key.mpls_lse[0]) & 0x100;
	xlate_commit(x);
	dp_actions_put_flag(actions(x), out ? DP_ACTION_COPY_TTL_OUT : DP_ACTION_COPY_TTL_IN);
	if (out && to_inner_ip) {
		/* The IP header behind the labels is not in the key: a later look must wait. */
		k->is_opaque = true;
	} else if (!to_inner_ip) {
		uint32_t a = be32_to(k->key.mpls_lse[0]), b = be32_to(k->key.mpls_lse[1]);

		xlate_read_field(x, FIELD_MPLS_LSE1);
		if (out) {
			a = (a & ~0xffu) | (b & 0xff);
		} else {
			b = (b & ~0xffu) | (a & 0xff);
		}
		k->key.mpls_lse[0] = k->base.mpls_lse[0] = be32_from(a);
		k->key.mpls_lse[1] = k->base.mpls_lse[1] = be32_from(b);
		make(&k->made, FIELD_MPLS_TTL, true);
		make(&k->made, FIELD_MPLS_LSE1, true);
		make(&k->fixed, FIELD_MPLS_TTL, true);
	}
}

static void
make(struct flow_mask *mask, enum field_id field, bool is_made)
{
	const struct field *f = field_get(field);
	union field_value v = {{0}};

	if (is_made) {
		field_value_ones(f, &v);
	}
	field_store(f, &mask->bits, &v);
}

static struct dp_actions *
actions(struct xlate *x)
{
	return &x->out->actions;
}

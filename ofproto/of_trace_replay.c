/* SPDX-License-Identifier: Apache-2.0
 *
 * Trace: what the datapath makes of a packet before it recirculates, so that the trace can go on.
 *
 * Model: a key that keeps what lies behind labels, if it is known, and the labels, as many as there are. What
 *        a pop brings to light that the key never had is parsed from the packet's bytes, if there are any.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "lib/dp_protocol.h"
#include "lib/packet_key.h"
#include "ofproto/of_context.h"
#include "ofproto/of_trace_internal.h"

#define ETH_MPLS 0x8847u
#define ETH_MPLS_MULTICAST 0x8848u
#define ETH_PBB 0x88e7u
#define ETH_VLAN 0x8100u
#define ETH_SERVICE_VLAN 0x88a8u
#define LSE_BOS 0x100u
#define LSE_TTL 0xffu
#define MAX_LABELS 32u
#define MAX_TAGS 16u
#define ADDRESSES_LEN 12u
#define IPV6_LEN 40u
#define ENCAP_PAYLOAD 64u /* so that lengths are whole */
#define PBB_LEN 6u        /* Ethernet type, I-TAG: in front of the inner addresses */

struct tag {
	be16_t tci, tpid;
};

struct of_trace_packet {
	struct flow_key key;         /* tags and labels: see below */
	uint32_t labels[MAX_LABELS]; /* outermost first, host order */
	unsigned n_labels;
	struct tag tags[MAX_TAGS]; /* outermost last */
	unsigned n_tags;
	bool knows_l3; /* the headers behind labels stand in the key */
};

struct replay {
	struct of_trace *t;
	const struct of_trace_pass *pass;
	of_trace_recirculated_fn *recirculated;
};

static bool run(struct replay *r, struct of_trace_packet *k, const void *list, size_t size);
static bool run_one(struct replay *r, struct of_trace_packet *k, const struct dp_action_hdr *a);
static const struct of_trace_item *find_object(const struct of_trace *t, struct dp_handle h);
static bool is_zero(const uint8_t address[16]);
static void set_outer(struct flow_key *key, be32_t *v4, uint8_t v6[16], const uint8_t address[16]);
static bool run_ttl(struct replay *r, struct of_trace_packet *k, const struct dp_action_hdr *a);
static void run_nested(struct replay *r, const struct of_trace_packet *k,
	const struct dp_action_hdr *a, unsigned which);
static void run_object(struct replay *r, const struct of_trace_packet *k, struct dp_handle h);
static void copy_ttl(struct of_trace_packet *k, bool out);
static void set_field(struct of_trace_packet *k, const struct dp_action_set_field *a);
static void push_mpls(struct of_trace_packet *k, const struct dp_action_push_mpls *a);
static void pop_mpls(const struct replay *r, struct of_trace_packet *k, uint16_t eth_type);
static void encap(struct replay *r, struct of_trace_packet *k, struct dp_handle h);
static void push_pbb(struct of_trace_packet *k, uint16_t eth_type);
static void pop_pbb(const struct replay *r, struct of_trace_packet *k);
static void reveal(const struct replay *r, struct of_trace_packet *k, uint16_t eth_type);
static void take(struct of_trace_packet *k, const struct flow_key *key);
static void show(const struct of_trace_packet *k, struct flow_key *key);
static void forget_l3(struct flow_key *key);
static bool is_mpls(const struct flow_key *key);

struct of_trace_packet *
of_trace_packet_copy(const struct of_trace_packet *k)
{
	return xmemdup(k, sizeof(*k));
}

void
of_trace_replay(struct of_trace *t, const struct of_trace_pass *pass,
	of_trace_recirculated_fn *recirculated)
{
	struct replay r = {t, pass, recirculated};
	struct of_trace_packet k = {.n_labels = 0};

	if (pass->packet) {
		k = *pass->packet;
	} else {
		take(&k, &pass->key);
	}
	run(&r, &k, pass->dp_actions, pass->dp_actions_size);
}

/* False: the packet has come to an end. */
static bool
run(struct replay *r, struct of_trace_packet *k, const void *list, size_t size)
{
	const struct dp_action_hdr *a;

	for (a = dp_action_first(list, size); a; a = dp_action_next(a, list, size)) {
		if (!run_one(r, k, a)) {
			return false;
		}
	}
	return true;
}

static bool
run_one(struct replay *r, struct of_trace_packet *k, const struct dp_action_hdr *a)
{
	const struct dp_action_u32 *u = (const void *)a;
	const struct dp_action_push_vlan *vlan = (const void *)a;
	struct flow_key key;

	switch ((enum dp_action_type)a->type) {
	case DP_ACTION_PUSH_VLAN:
		if (k->n_tags < MAX_TAGS) {
			k->tags[k->n_tags++] =
				(struct tag){vlan->tci | be16_from(FLOW_VLAN_PRESENT), vlan->tpid};
		}
		break;
	case DP_ACTION_POP_VLAN:
		k->n_tags -= k->n_tags > 0;
		break;
	case DP_ACTION_SET_FIELD:
		set_field(k, (const void *)a);
		break;
	case DP_ACTION_PUSH_MPLS:
		push_mpls(k, (const void *)a);
		break;
	case DP_ACTION_POP_MPLS:
		pop_mpls(r, k, (uint16_t)u->v);
		break;
	case DP_ACTION_PUSH_PBB:
		push_pbb(k, (uint16_t)u->v);
		break;
	case DP_ACTION_POP_PBB:
		pop_pbb(r, k);
		break;
	case DP_ACTION_DEC_TTL:
	case DP_ACTION_DEC_MPLS_TTL:
		return run_ttl(r, k, a);
	case DP_ACTION_COPY_TTL_OUT:
	case DP_ACTION_COPY_TTL_IN:
		copy_ttl(k, a->type == DP_ACTION_COPY_TTL_OUT);
		break;
	case DP_ACTION_SELECT:
	case DP_ACTION_FIRST_LIVE:
		run_object(r, k, ((const struct dp_action_object *)(const void *)a)->object);
		break;
	case DP_ACTION_SAMPLE:
	case DP_ACTION_CLONE:
		run_nested(r, k, a, 0);
		break;
	case DP_ACTION_CHECK_LEN:
		/* Whichever it is. */
		run_nested(r, k, a, 0);
		run_nested(r, k, a, 1);
		break;
	case DP_ACTION_RECIRC:
		show(k, &key);
		key.recirc_id = be32_from(u->v);
		r->recirculated(r->t, r->pass, &key, k);
		return false;
	case DP_ACTION_ENCAP:
		encap(r, k, ((const struct dp_action_object *)(const void *)a)->object);
		break;
	case DP_ACTION_DECAP:
		of_trace_add(r->t, OF_TRACE_NOTE,
			"what the tunnel packet holds is not known: trace that by its tunnel port, "
			"with in_port=PORT and the inner packet's fields");
		return false;
	case DP_ACTION_DROP:
		return false;
	default:
		break;
	}
	return true;
}

/* On a copy. */
static void
run_nested(struct replay *r, const struct of_trace_packet *k, const struct dp_action_hdr *a,
	unsigned which)
{
	struct of_trace_packet copy = *k;
	size_t size;
	const void *list = dp_action_nested(a, which, &size);

	run(r, &copy, list, size);
}

/* All its buckets: which one it will be is not known. */
static void
run_object(struct replay *r, const struct of_trace_packet *k, struct dp_handle h)
{
	const struct of_trace_item *object = find_object(r->t, h);

	for (size_t at = 0; object && at < object->size;) {
		const struct dp_bucket *b = (const void *)(object->bytes + at);
		struct of_trace_packet copy = *k;

		run(r, &copy, b->actions, b->size - sizeof(*b));
		at += b->size;
	}
}

static const struct of_trace_item *
find_object(const struct of_trace *t, struct dp_handle h)
{
	const struct of_trace_item *object;

	LIST_FOREACH (object, link, &t->objects) {
		if (object->id == h.slot) {
			return object;
		}
	}
	return NULL;
}

static bool
run_ttl(struct replay *r, struct of_trace_packet *k, const struct dp_action_hdr *a)
{
	bool mpls = a->type == DP_ACTION_DEC_MPLS_TTL;
	uint32_t ttl = mpls ? k->labels[0] & LSE_TTL : k->key.ip_ttl;
	const void *list;
	size_t size;

	if (ttl <= 1) {
		list = dp_action_nested(a, 0, &size);
		run(r, k, list, size);
		return false;
	}
	if (mpls) {
		k->labels[0]--;
	} else {
		k->key.ip_ttl--;
	}
	return true;
}

static void
copy_ttl(struct of_trace_packet *k, bool out)
{
	uint32_t *outer = &k->labels[0], *inner = k->n_labels > 1 ? &k->labels[1] : NULL;
	uint32_t below = inner ? *inner & LSE_TTL : k->key.ip_ttl;

	if (!k->n_labels || (!inner && !k->knows_l3)) {
		return;
	}
	if (out) {
		*outer = (*outer & ~LSE_TTL) | below;
	} else if (inner) {
		*inner = (*inner & ~LSE_TTL) | (*outer & LSE_TTL);
	} else {
		k->key.ip_ttl = (uint8_t)(*outer & LSE_TTL);
	}
}

static void
set_field(struct of_trace_packet *k, const struct dp_action_set_field *a)
{
	const struct field *f = field_get((enum field_id)a->field);
	union field_value value = {{0}}, mask = {{0}};
	struct flow_key key = {0};

	memcpy(value.b, a->data, f->n_bytes);
	memcpy(mask.b, a->data + f->n_bytes, f->n_bytes);
	if (f == field_get(FIELD_VLAN_TCI)) {
		if (k->n_tags) {
			struct tag *outer = &k->tags[k->n_tags - 1];

			key.vlan_tci = outer->tci;
			field_store_masked(f, &key, &value, &mask);
			outer->tci = key.vlan_tci | be16_from(FLOW_VLAN_PRESENT);
		}
	} else if (f->prereq == FIELD_PRE_MPLS) {
		key.mpls_lse[0] = be32_from(k->labels[0]);
		field_store_masked(f, &key, &value, &mask);
		k->labels[0] = be32_to(key.mpls_lse[0]);
	} else {
		field_store_masked(f, &k->key, &value, &mask);
	}
}

/* --- headers ------------------------------------------------------------------------------------- */

/* In front of tags, which are out of sight then. */
static void
push_mpls(struct of_trace_packet *k, const struct dp_action_push_mpls *a)
{
	bool is_stacked = is_mpls(&k->key) && !k->n_tags;

	if (!is_stacked) {
		k->knows_l3 =
			!is_mpls(&k->key) && k->key.eth_type != be16_from(ETH_PBB) && !k->n_tags;
		k->n_labels = 0;
	}
	k->n_tags = 0;
	if (k->n_labels < MAX_LABELS) {
		memmove(&k->labels[1], &k->labels[0], k->n_labels * sizeof(k->labels[0]));
		k->n_labels++;
	}
	k->labels[0] = be32_to(a->lse) & ~LSE_BOS;
	k->labels[0] |= is_stacked ? 0 : LSE_BOS;
	k->key.eth_type = a->eth_type;
}

static void
pop_mpls(const struct replay *r, struct of_trace_packet *k, uint16_t eth_type)
{
	bool was_last = k->n_labels <= 1 || k->labels[0] & LSE_BOS;

	if (k->n_labels) {
		k->n_labels--;
		memmove(&k->labels[0], &k->labels[1], k->n_labels * sizeof(k->labels[0]));
	}
	k->key.eth_type = be16_from(eth_type);
	if (was_last && !k->knows_l3) {
		reveal(r, k, eth_type);
	}
}

static void
push_pbb(struct of_trace_packet *k, uint16_t eth_type)
{
	if (k->key.eth_type != be16_from(ETH_PBB)) {
		k->key.pbb = 0;
	}
	k->key.pbb &= be32_from(FLOW_PBB_ISID_MASK);
	k->key.eth_type = be16_from(eth_type);
	k->n_tags = 0;
	k->n_labels = 0;
	k->knows_l3 = false;
}

/* The outer packet, as far as it is known beforehand. */
static void
encap(struct replay *r, struct of_trace_packet *k, struct dp_handle h)
{
	const struct of_trace_item *object = find_object(r->t, h);
	const struct dp_encap *e = object ? (const void *)object->bytes : NULL;
	bool is_ip = field_prereq_holds(FIELD_PRE_IP, &k->key) && !k->n_labels && !k->n_tags;
	struct flow_key inner = k->key, key;
	uint8_t frame[DP_ENCAP_MAX_SIZE + ENCAP_PAYLOAD] = {0};
	uint8_t *ip;
	size_t len;

	if (!e || e->size > DP_ENCAP_MAX_SIZE) {
		return;
	}
	memcpy(frame, e->header, e->size);
	ip = frame + e->l3_off;
	len = e->size - e->l3_off + ENCAP_PAYLOAD;
	if (ip[0] >> 4 == 4) {
		put_be16(ip + 2, (uint16_t)len);
	} else {
		put_be16(ip + 4, (uint16_t)(len - IPV6_LEN));
	}
	packet_key_parse(frame, e->size + ENCAP_PAYLOAD, &key);
	key.in_port = inner.in_port;
	if (e->flags & DP_ENCAP_DST_FROM_KEY) {
		set_outer(&key, &key.ip_dst, key.ipv6_dst, inner.tun_dst);
	}
	if (e->flags & DP_ENCAP_SRC_FROM_KEY && !is_zero(inner.tun_src)) {
		set_outer(&key, &key.ip_src, key.ipv6_src, inner.tun_src);
	}
	if (e->flags & DP_ENCAP_TTL_INHERIT && is_ip) {
		key.ip_ttl = inner.ip_ttl;
	} else if (e->flags & DP_ENCAP_TTL_FROM_KEY && inner.tun_ttl) {
		key.ip_ttl = inner.tun_ttl;
	}
	if (e->flags & DP_ENCAP_TOS_INHERIT && is_ip) {
		key.ip_tos = inner.ip_tos;
	} else if (e->flags & DP_ENCAP_TOS_FROM_KEY) {
		key.ip_tos = inner.tun_tos;
	}
	take(k, &key);
}

static bool
is_zero(const uint8_t address[16])
{
	static const uint8_t none[16];

	return !memcmp(address, none, sizeof(none));
}

/* An address of the key's tunnel fields, in the outer header. */
static void
set_outer(struct flow_key *key, be32_t *v4, uint8_t v6[16], const uint8_t address[16])
{
	if (field_prereq_holds(FIELD_PRE_IPV4, key)) {
		memcpy(v4, address + 12, sizeof(*v4));
	} else {
		memcpy(v6, address, 16);
	}
}

/* The inner frame is as it came, or not known. */
static void
pop_pbb(const struct replay *r, struct of_trace_packet *k)
{
	k->key.pbb = 0;
	k->key.eth_type = 0;
	reveal(r, k, 0);
}

/* Bytes of the packet in front of what lies behind its labels, or of the inner frame of PBB; 0: neither. */
static size_t
find_behind(const uint8_t *data, size_t len)
{
	size_t at = ADDRESSES_LEN;
	unsigned type = 0;

	while (at + 2 <= len) {
		type = (unsigned)data[at] << 8 | data[at + 1];
		if (type != ETH_VLAN && type != ETH_SERVICE_VLAN) {
			break;
		}
		at += 4;
	}
	if (type == ETH_PBB) {
		return at + PBB_LEN <= len ? at + PBB_LEN : 0;
	}
	if (type != ETH_MPLS && type != ETH_MPLS_MULTICAST) {
		return 0;
	}
	for (at += 2; at + 4 <= len; at += 4) {
		if (data[at + 2] & 1) {
			return at + 4;
		}
	}
	return 0;
}

/* The last label, or the PBB header (@eth_type 0), is off: what is behind it? */
static void
reveal(const struct replay *r, struct of_trace_packet *k, uint16_t eth_type)
{
	size_t behind = find_behind(r->t->packet, r->t->packet_len);
	size_t head = eth_type ? ADDRESSES_LEN + 2 : 0, len;
	struct flow_key before = k->key, key;
	uint8_t *frame;

	if (!behind) {
		of_trace_add(r->t, OF_TRACE_NOTE,
			"what lies behind the header that was popped is not known: taken to be "
			"zero, TTL %u",
			OF_TRACE_TTL);
		forget_l3(&k->key);
		if (field_prereq_holds(FIELD_PRE_IP, &k->key)) {
			k->key.ip_ttl = OF_TRACE_TTL;
		}
		return;
	}
	len = r->t->packet_len - behind;
	frame = xcalloc(1, head + len);
	if (eth_type) {
		memcpy(frame, before.eth_dst, sizeof(before.eth_dst));
		memcpy(frame + sizeof(before.eth_dst), before.eth_src, sizeof(before.eth_src));
		frame[ADDRESSES_LEN] = (uint8_t)(eth_type >> 8);
		frame[ADDRESSES_LEN + 1] = (uint8_t)eth_type;
	}
	memcpy(frame + head, r->t->packet + behind, len);
	packet_key_parse(frame, head + len, &key);
	free(frame);
	key.in_port = before.in_port;
	if (eth_type) {
		/* Tags in front of the labels stay. */
		struct of_trace_packet old = *k;

		take(k, &key);
		if (!k->n_tags) {
			memcpy(k->tags, old.tags, sizeof(k->tags));
			k->n_tags = old.n_tags;
		}
	} else {
		take(k, &key);
	}
}

/* --- forms --------------------------------------------------------------------------------------- */

static void
take(struct of_trace_packet *k, const struct flow_key *key)
{
	k->key = *key;
	k->n_labels = k->n_tags = 0;
	if (key->inner_tci) {
		k->tags[k->n_tags++] = (struct tag){key->inner_tci, key->inner_tpid};
	}
	if (key->vlan_tci) {
		k->tags[k->n_tags++] = (struct tag){key->vlan_tci, key->vlan_tpid};
	}
	if (is_mpls(key)) {
		do {
			k->labels[k->n_labels] = be32_to(key->mpls_lse[k->n_labels]);
		} while (!(k->labels[k->n_labels++] & LSE_BOS) && k->n_labels < FLOW_N_MPLS);
	}
	k->knows_l3 = !k->n_labels && key->eth_type != be16_from(ETH_PBB);
}

/* As the parser would see it. */
static void
show(const struct of_trace_packet *k, struct flow_key *key)
{
	const struct tag none = {0, 0};
	const struct tag *outer = k->n_tags ? &k->tags[k->n_tags - 1] : &none;
	const struct tag *inner = k->n_tags > 1 ? &k->tags[k->n_tags - 2] : &none;

	*key = k->key;
	key->vlan_tci = outer->tci;
	key->vlan_tpid = outer->tpid;
	key->inner_tci = inner->tci;
	key->inner_tpid = inner->tpid;
	memset(key->mpls_lse, 0, sizeof(key->mpls_lse));
	if (is_mpls(key)) {
		for (unsigned i = 0; i < k->n_labels && i < FLOW_N_MPLS; i++) {
			key->mpls_lse[i] = be32_from(k->labels[i]);
		}
		forget_l3(key);
	} else if (key->eth_type == be16_from(ETH_PBB)) {
		forget_l3(key);
	} else {
		key->pbb = 0;
	}
	memset(&key->words[6 * FLOW_BLOCK_WORDS], 0, 2 * FLOW_BLOCK_SIZE);
}

static void
forget_l3(struct flow_key *key)
{
	for (unsigned i = 0; i < FIELD_N; i++) {
		const struct field *f = field_get((enum field_id)i);
		union field_value zero = {{0}};

		if (f->prereq >= FIELD_PRE_IPV4 && f->prereq <= FIELD_PRE_ND_ADV) {
			field_store(f, key, &zero);
		}
	}
	key->ip_frag = 0;
}

static bool
is_mpls(const struct flow_key *key)
{
	return key->eth_type == be16_from(ETH_MPLS) ||
	       key->eth_type == be16_from(ETH_MPLS_MULTICAST);
}

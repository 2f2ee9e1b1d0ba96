/* SPDX-License-Identifier: Apache-2.0
 *
 * Datapath actions: building, walking and checking lists.
 */
#include "lib/dp_action.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/dp_action_internal.h"
#include "lib/error.h"

const struct dp_action_row dp_action_rows[DP_ACTION_N] = {
	[DP_ACTION_OUTPUT] = {"output", sizeof(struct dp_action_output), DP_NESTED_NO, false},
	[DP_ACTION_DROP] = {"drop", sizeof(struct dp_action_u32), DP_NESTED_NO, true},
	[DP_ACTION_TO_AGENT] = {"to_agent", sizeof(struct dp_action_to_agent), DP_NESTED_NO, false},
	[DP_ACTION_PUSH_VLAN] = {"push_vlan", sizeof(struct dp_action_push_vlan), DP_NESTED_NO,
		false},
	[DP_ACTION_POP_VLAN] = {"pop_vlan", sizeof(struct dp_action_hdr), DP_NESTED_NO, false},
	[DP_ACTION_SET_FIELD] = {"set", sizeof(struct dp_action_set_field), DP_NESTED_OTHER, false},
	[DP_ACTION_DEC_TTL] = {"dec_ttl", sizeof(struct dp_action_hdr), DP_NESTED_ONE, false},
	[DP_ACTION_PUSH_MPLS] = {"push_mpls", sizeof(struct dp_action_push_mpls), DP_NESTED_NO,
		false},
	[DP_ACTION_POP_MPLS] = {"pop_mpls", sizeof(struct dp_action_u32), DP_NESTED_NO, false},
	[DP_ACTION_DEC_MPLS_TTL] = {"dec_mpls_ttl", sizeof(struct dp_action_hdr), DP_NESTED_ONE,
		false},
	[DP_ACTION_COPY_TTL_OUT] = {"copy_ttl_out", sizeof(struct dp_action_hdr), DP_NESTED_NO,
		false},
	[DP_ACTION_COPY_TTL_IN] = {"copy_ttl_in", sizeof(struct dp_action_hdr), DP_NESTED_NO,
		false},
	[DP_ACTION_PUSH_PBB] = {"push_pbb", sizeof(struct dp_action_u32), DP_NESTED_NO, false},
	[DP_ACTION_POP_PBB] = {"pop_pbb", sizeof(struct dp_action_hdr), DP_NESTED_NO, false},
	[DP_ACTION_SELECT] = {"select", sizeof(struct dp_action_object), DP_NESTED_NO, false},
	[DP_ACTION_FIRST_LIVE] = {"first_live", sizeof(struct dp_action_object), DP_NESTED_NO,
		false},
	[DP_ACTION_METER] = {"meter", sizeof(struct dp_action_object), DP_NESTED_NO, false},
	[DP_ACTION_SAMPLE] = {"sample", sizeof(struct dp_action_u32), DP_NESTED_ONE, false},
	[DP_ACTION_CLONE] = {"clone", sizeof(struct dp_action_hdr), DP_NESTED_ONE, false},
	[DP_ACTION_RECIRC] = {"recirc", sizeof(struct dp_action_u32), DP_NESTED_NO, true},
	[DP_ACTION_ENCAP] = {"encap", sizeof(struct dp_action_object), DP_NESTED_NO, false},
	[DP_ACTION_DECAP] = {"decap", sizeof(struct dp_action_decap), DP_NESTED_NO, true},
	[DP_ACTION_CHECK_LEN] = {"check_len", sizeof(struct dp_action_check_len), DP_NESTED_TWO,
		false},
	[DP_ACTION_HASH] = {"hash", sizeof(struct dp_action_hash), DP_NESTED_OTHER, false},
};

/* --- building --------------------------------------------------------------------------------------- */

void
dp_actions_init(struct dp_actions *list)
{
	*list = (struct dp_actions){0};
}

void
dp_actions_uninit(struct dp_actions *list)
{
	free(list->data);
	dp_actions_init(list);
}

void
dp_actions_clear(struct dp_actions *list)
{
	list->size = 0;
}

bool
dp_actions_equal(const void *a, size_t a_size, const void *b, size_t b_size)
{
	return a_size == b_size && (!a_size || !memcmp(a, b, a_size));
}

/* Room for @size zeroed bytes at the end. */
static void *
put(struct dp_actions *list, size_t size)
{
	void *p;

	if (list->size + size > list->capacity) {
		list->capacity = WEFT_MAX(2 * list->capacity, list->size + size);
		list->capacity = WEFT_ROUND_UP(WEFT_MAX(list->capacity, (size_t)64), 8);
		list->data = xrealloc(list->data, list->capacity);
	}
	p = list->data + list->size;
	memset(p, 0, size);
	list->size += size;
	return p;
}

static void *
put_action(struct dp_actions *list, enum dp_action_type type, size_t size)
{
	struct dp_action_hdr *hdr = put(list, WEFT_ROUND_UP(size, 8));

	hdr->type = (uint16_t)type;
	hdr->len = (uint32_t)WEFT_ROUND_UP(size, 8);
	return hdr;
}

void
dp_actions_put_output(struct dp_actions *list, struct dp_port port, uint32_t max_len)
{
	struct dp_action_output *a = put_action(list, DP_ACTION_OUTPUT, sizeof *a);

	a->port = port.v;
	a->max_len = max_len;
}

void
dp_actions_put_drop(struct dp_actions *list, enum drop_reason reason)
{
	dp_actions_put_u32(list, DP_ACTION_DROP, reason);
}

void
dp_actions_put_to_agent(
	struct dp_actions *list, uint32_t context, uint16_t max_len, uint16_t reason)
{
	struct dp_action_to_agent *a = put_action(list, DP_ACTION_TO_AGENT, sizeof *a);

	a->context = context;
	a->max_len = max_len;
	a->reason = reason;
}

void
dp_actions_put_push_vlan(struct dp_actions *list, be16_t tpid, be16_t tci)
{
	struct dp_action_push_vlan *a = put_action(list, DP_ACTION_PUSH_VLAN, sizeof *a);

	a->tpid = tpid;
	a->tci = tci;
}

void
dp_actions_put_flag(struct dp_actions *list, enum dp_action_type type)
{
	put_action(list, type, sizeof(struct dp_action_hdr));
}

void
dp_actions_put_u32(struct dp_actions *list, enum dp_action_type type, uint32_t v)
{
	struct dp_action_u32 *a = put_action(list, type, sizeof *a);

	a->v = v;
}

void
dp_actions_put_push_mpls(struct dp_actions *list, be16_t eth_type, be32_t lse)
{
	struct dp_action_push_mpls *a = put_action(list, DP_ACTION_PUSH_MPLS, sizeof *a);

	a->eth_type = eth_type;
	a->lse = lse;
}

void
dp_actions_put_set_field(struct dp_actions *list, enum field_id field,
	const union field_value *value, const union field_value *mask)
{
	const struct field *f = field_get(field);
	struct dp_action_set_field *a =
		put_action(list, DP_ACTION_SET_FIELD, sizeof *a + 2u * f->n_bytes);
	union field_value ones;

	if (!mask) {
		field_value_ones(f, &ones);
		mask = &ones;
	}
	a->field = (uint16_t)field;
	a->n_bytes = f->n_bytes;
	/* Bits outside the mask are zero, so that equal actions are equal bytes. */
	for (unsigned i = 0; i < f->n_bytes; i++) {
		a->data[i] = value->b[i] & mask->b[i];
		a->data[f->n_bytes + i] = mask->b[i];
	}
}

void
dp_actions_put_object(struct dp_actions *list, enum dp_action_type type, struct dp_handle h)
{
	struct dp_action_object *a = put_action(list, type, sizeof *a);

	a->object = h;
}

void
dp_actions_put_decap(
	struct dp_actions *list, enum dp_tunnel_kind kind, struct dp_port port, uint32_t recirc_id)
{
	struct dp_action_decap *a = put_action(list, DP_ACTION_DECAP, sizeof *a);

	a->kind = kind;
	a->port = port.v;
	a->recirc_id = recirc_id;
}

void
dp_actions_put_check_len(struct dp_actions *list, uint32_t max_len, const struct dp_actions *longer,
	const struct dp_actions *shorter)
{
	size_t at = list->size;
	struct dp_action_check_len *a = put_action(list, DP_ACTION_CHECK_LEN, sizeof *a);

	a->max_len = max_len;
	a->longer_size = (uint32_t)longer->size;
	dp_actions_append(list, longer->data, longer->size);
	dp_actions_append(list, shorter->data, shorter->size);
	dp_actions_end(list, at);
}

void
dp_actions_put_hash(
	struct dp_actions *list, uint32_t basis, const uint16_t *fields, uint32_t n_fields)
{
	struct dp_action_hash *a =
		put_action(list, DP_ACTION_HASH, sizeof *a + n_fields * sizeof fields[0]);

	a->basis = basis;
	a->n_fields = n_fields;
	if (n_fields) {
		memcpy(a->fields, fields, n_fields * sizeof fields[0]);
	}
}

void
dp_actions_append(struct dp_actions *list, const void *data, size_t size)
{
	if (size) {
		memcpy(put(list, size), data, size);
	}
}

size_t
dp_actions_begin(struct dp_actions *list, enum dp_action_type type, uint32_t v)
{
	size_t at = list->size;

	if (type == DP_ACTION_SAMPLE) {
		dp_actions_put_u32(list, type, v);
	} else {
		dp_actions_put_flag(list, type);
	}
	return at;
}

void
dp_actions_end(struct dp_actions *list, size_t at)
{
	struct dp_action_hdr *hdr = (struct dp_action_hdr *)(void *)(list->data + at);

	hdr->len = (uint32_t)(list->size - at);
}

/* --- walking ---------------------------------------------------------------------------------------- */

const void *
dp_action_nested(const struct dp_action_hdr *a, unsigned which, size_t *size)
{
	const struct dp_action_row *row = &dp_action_rows[a->type];
	const uint8_t *start = (const uint8_t *)a + row->size;
	size_t all = a->len - row->size;

	*size = 0;
	if (row->nested == DP_NESTED_ONE && which == 0) {
		*size = all;
	} else if (row->nested == DP_NESTED_TWO && which < 2) {
		size_t first = ((const struct dp_action_check_len *)(const void *)a)->longer_size;

		*size = which ? all - first : first;
		start += which ? first : 0;
	}
	return *size ? start : NULL;
}

/* --- checking --------------------------------------------------------------------------------------- */

struct check {
	const uint8_t *start;
	struct weft_error *err;
};

static bool check_list(const struct check *c, const uint8_t *data, size_t size, unsigned depth);

static bool
refuse(const struct check *c, const void *at, const char *why)
{
	return weft_error_set_at(c->err, WEFT_ERR_INVALID, EINVAL, 0,
		(size_t)((const uint8_t *)at - c->start), "datapath actions: %s", why);
}

/* Whether the bytes from @from to the end of the action are zero. */
static bool
is_padded(const struct dp_action_hdr *hdr, const uint8_t *from)
{
	while (from < (const uint8_t *)hdr + hdr->len) {
		if (*from++) {
			return false;
		}
	}
	return true;
}

static bool
check_set_field(const struct check *c, const struct dp_action_set_field *a)
{
	const struct field *f;
	union field_value value = {0}, mask = {0};

	if (a->field >= FIELD_N) {
		return refuse(c, a, "unknown field");
	}
	f = field_get((enum field_id)a->field);
	if (!(f->flags & FIELD_WRITABLE) || (f->flags & FIELD_PIPELINE)) {
		return refuse(c, a, "the field cannot be set");
	}
	if (a->zero || a->n_bytes != f->n_bytes ||
		a->hdr.len != WEFT_ROUND_UP(sizeof *a + 2u * f->n_bytes, 8)) {
		return refuse(c, a, "wrong size of a field");
	}
	memcpy(value.b, a->data, f->n_bytes);
	memcpy(mask.b, a->data + f->n_bytes, f->n_bytes);
	if (!field_value_fits(f, &value) || !field_value_fits(f, &mask)) {
		return refuse(c, a, "bits beyond the field's width");
	}
	for (unsigned i = 0; i < f->n_bytes; i++) {
		if (value.b[i] & ~mask.b[i]) {
			return refuse(c, a, "value bits outside the mask");
		}
	}
	if (!is_padded(&a->hdr, a->data + 2u * f->n_bytes)) {
		return refuse(c, a, "padding is not zero");
	}
	return true;
}

static bool
check_hash(const struct check *c, const struct dp_action_hash *a)
{
	if (a->n_fields > FIELD_N ||
		a->hdr.len != WEFT_ROUND_UP(sizeof *a + a->n_fields * sizeof a->fields[0], 8)) {
		return refuse(c, a, "wrong number of hash fields");
	}
	for (uint32_t i = 0; i < a->n_fields; i++) {
		if (a->fields[i] >= FIELD_N ||
			field_get((enum field_id)a->fields[i])->flags & FIELD_PIPELINE) {
			return refuse(c, a, "the field cannot be hashed");
		}
	}
	if (!is_padded(&a->hdr, (const uint8_t *)(a->fields + a->n_fields))) {
		return refuse(c, a, "padding is not zero");
	}
	return true;
}

/* What the fixed part of an action may hold. */
static bool
check_fixed(const struct check *c, const struct dp_action_hdr *hdr)
{
	const void *a = hdr;
	const struct dp_action_u32 *u32 = a;

	switch ((enum dp_action_type)hdr->type) {
	case DP_ACTION_OUTPUT:
		return ((const struct dp_action_output *)a)->port <= DP_PORT_MAX ||
		       refuse(c, a, "port number out of range");
	case DP_ACTION_DROP:
		return (u32->v < DROP_N && !u32->zero) || refuse(c, a, "unknown drop reason");
	case DP_ACTION_PUSH_VLAN: {
		const struct dp_action_push_vlan *push = a;

		return (!push->zero && (push->tpid == be16_from(0x8100) ||
					       push->tpid == be16_from(0x88a8))) ||
		       refuse(c, a, "TPID is neither 0x8100 nor 0x88a8");
	}
	case DP_ACTION_SET_FIELD:
		return check_set_field(c, a);
	case DP_ACTION_HASH:
		return check_hash(c, a);
	case DP_ACTION_PUSH_MPLS: {
		const struct dp_action_push_mpls *push = a;

		return (!push->zero && (push->eth_type == be16_from(0x8847) ||
					       push->eth_type == be16_from(0x8848))) ||
		       refuse(c, a, "Ethernet type is none of MPLS");
	}
	case DP_ACTION_POP_MPLS:
	case DP_ACTION_PUSH_PBB:
		return (u32->v <= UINT16_MAX && !u32->zero) || refuse(c, a, "no Ethernet type");
	case DP_ACTION_RECIRC:
		return (u32->v && !u32->zero) || refuse(c, a, "recirculation id 0");
	case DP_ACTION_SAMPLE:
		return !u32->zero || refuse(c, a, "reserved bytes are not zero");
	case DP_ACTION_SELECT:
	case DP_ACTION_FIRST_LIVE:
	case DP_ACTION_METER:
	case DP_ACTION_ENCAP:
		return !dp_handle_is_none(((const struct dp_action_object *)a)->object) ||
		       refuse(c, a, "no object");
	case DP_ACTION_DECAP: {
		const struct dp_action_decap *decap = a;

		return (decap->kind >= DP_TUNNEL_VXLAN && decap->kind < DP_TUNNEL_KIND_N &&
			       decap->port <= DP_PORT_MAX && !decap->zero) ||
		       refuse(c, a, "bad tunnel kind or port");
	}
	default:
		return true;
	}
}

static bool
check_action(const struct check *c, const struct dp_action_hdr *hdr, size_t left, unsigned depth)
{
	const struct dp_action_row *row;
	const uint8_t *nested;
	size_t first;

	if (left < sizeof *hdr || hdr->len < sizeof *hdr || hdr->len > left || hdr->len % 8 ||
		hdr->zero) {
		return refuse(c, hdr, "wrong length");
	}
	if (!hdr->type || hdr->type >= DP_ACTION_N) {
		return refuse(c, hdr, "unknown type");
	}
	row = &dp_action_rows[hdr->type];
	if (hdr->len < row->size || (row->nested == DP_NESTED_NO && hdr->len != row->size)) {
		return refuse(c, hdr, "wrong length for its type");
	}
	if (!check_fixed(c, hdr)) {
		return false;
	}
	nested = (const uint8_t *)hdr + row->size;
	if (row->nested == DP_NESTED_ONE) {
		return check_list(c, nested, hdr->len - row->size, depth + 1);
	}
	if (row->nested == DP_NESTED_TWO) {
		first = ((const struct dp_action_check_len *)(const void *)hdr)->longer_size;
		if (first > hdr->len - row->size || first % 8) {
			return refuse(c, hdr, "wrong length of a nested list");
		}
		return check_list(c, nested, first, depth + 1) &&
		       check_list(c, nested + first, hdr->len - row->size - first, depth + 1);
	}
	return true;
}

static bool
check_list(const struct check *c, const uint8_t *data, size_t size, unsigned depth)
{
	if (depth > DP_ACTIONS_MAX_DEPTH) {
		return refuse(c, data, "nested too deep");
	}
	while (size) {
		const struct dp_action_hdr *hdr = (const void *)data;

		if (!check_action(c, hdr, size, depth)) {
			return false;
		}
		data += hdr->len;
		size -= hdr->len;
		if (size && dp_action_rows[hdr->type].ends) {
			return refuse(c, data, "an action behind one that ends the list");
		}
	}
	return true;
}

bool
dp_actions_validate(const void *data, size_t size, struct weft_error *err)
{
	struct check c = {data, err};

	assert((uintptr_t)data % 8 == 0);
	if (size > DP_ACTIONS_MAX_SIZE || size % 8) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"datapath actions: %zu bytes are too many or no multiple of 8", size);
	}
	return check_list(&c, data, size, 0);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenFlow actions: building and walking lists. Their check is of_action_check.c's.
 */
#include "ofproto/of_action.h"

#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "ofproto/of_action_internal.h"

const struct of_action_row of_action_rows[OF_ACTION_N] = {
	[OF_ACTION_OUTPUT] = {"output", OF_SHAPE_FIXED, sizeof(struct of_action_output)},
	[OF_ACTION_CONTROLLER] = {"controller", OF_SHAPE_BYTES,
		sizeof(struct of_action_controller)},
	[OF_ACTION_ENQUEUE] = {"enqueue", OF_SHAPE_FIXED, sizeof(struct of_action_enqueue)},
	[OF_ACTION_GROUP] = {"group", OF_SHAPE_FIXED, sizeof(struct of_action_u32)},
	[OF_ACTION_SET_QUEUE] = {"set_queue", OF_SHAPE_FIXED, sizeof(struct of_action_u32)},
	[OF_ACTION_PUSH_VLAN] = {"push_vlan", OF_SHAPE_FIXED, sizeof(struct of_action_u32)},
	[OF_ACTION_POP_VLAN] = {"pop_vlan", OF_SHAPE_FIXED, sizeof(struct of_action_hdr)},
	[OF_ACTION_SET_VLAN_VID] = {"mod_vlan_vid", OF_SHAPE_FIXED, sizeof(struct of_action_u32)},
	[OF_ACTION_SET_VLAN_PCP] = {"mod_vlan_pcp", OF_SHAPE_FIXED, sizeof(struct of_action_u32)},
	[OF_ACTION_PUSH_MPLS] = {"push_mpls", OF_SHAPE_FIXED, sizeof(struct of_action_u32)},
	[OF_ACTION_POP_MPLS] = {"pop_mpls", OF_SHAPE_FIXED, sizeof(struct of_action_u32)},
	[OF_ACTION_PUSH_PBB] = {"push_pbb", OF_SHAPE_FIXED, sizeof(struct of_action_u32)},
	[OF_ACTION_POP_PBB] = {"pop_pbb", OF_SHAPE_FIXED, sizeof(struct of_action_hdr)},
	[OF_ACTION_SET_NW_TTL] = {"mod_nw_ttl", OF_SHAPE_FIXED, sizeof(struct of_action_u32)},
	[OF_ACTION_DEC_NW_TTL] = {"dec_ttl", OF_SHAPE_FIXED, sizeof(struct of_action_hdr)},
	[OF_ACTION_SET_MPLS_TTL] = {"set_mpls_ttl", OF_SHAPE_FIXED, sizeof(struct of_action_u32)},
	[OF_ACTION_DEC_MPLS_TTL] = {"dec_mpls_ttl", OF_SHAPE_FIXED, sizeof(struct of_action_hdr)},
	[OF_ACTION_COPY_TTL_OUT] = {"copy_ttl_out", OF_SHAPE_FIXED, sizeof(struct of_action_hdr)},
	[OF_ACTION_COPY_TTL_IN] = {"copy_ttl_in", OF_SHAPE_FIXED, sizeof(struct of_action_hdr)},
	[OF_ACTION_SET_FIELD] = {"set_field", OF_SHAPE_FIELD, sizeof(struct of_action_set_field)},
	[OF_ACTION_COPY_FIELD] = {"move", OF_SHAPE_FIXED, sizeof(struct of_action_copy_field)},
	[OF_ACTION_RESUBMIT] = {"resubmit", OF_SHAPE_FIXED, sizeof(struct of_action_resubmit)},
	[OF_ACTION_CLONE] = {"clone", OF_SHAPE_LIST, sizeof(struct of_action_hdr)},
	[OF_ACTION_LEARN] = {"learn", OF_SHAPE_LEARN, sizeof(struct of_action_learn)},
	[OF_ACTION_FIN_TIMEOUT] = {"fin_timeout", OF_SHAPE_FIXED,
		sizeof(struct of_action_fin_timeout)},
	[OF_ACTION_METER] = {"meter", OF_SHAPE_FIXED, sizeof(struct of_action_u32)},
	[OF_ACTION_CLEAR_ACTIONS] = {"clear_actions", OF_SHAPE_FIXED, sizeof(struct of_action_hdr)},
	[OF_ACTION_WRITE_ACTIONS] = {"write_actions", OF_SHAPE_LIST, sizeof(struct of_action_hdr)},
	[OF_ACTION_WRITE_METADATA] = {"write_metadata", OF_SHAPE_FIXED,
		sizeof(struct of_action_write_metadata)},
	[OF_ACTION_GOTO_TABLE] = {"goto_table", OF_SHAPE_FIXED, sizeof(struct of_action_u32)},
};

static bool is_valid_action(const struct of_action_hdr *a, unsigned depth);

void
of_actions_init(struct of_actions *list)
{
	*list = (struct of_actions){0};
}

void
of_actions_uninit(struct of_actions *list)
{
	free(list->data);
	of_actions_init(list);
}

void
of_actions_clear(struct of_actions *list)
{
	list->size = 0;
}

bool
of_actions_equal(const void *a, size_t a_size, const void *b, size_t b_size)
{
	return a_size == b_size && (!a_size || !memcmp(a, b, a_size));
}

void
of_actions_put_flag(struct of_actions *list, enum of_action_type type)
{
	of_actions_put(list, type, sizeof(struct of_action_hdr));
}

void
of_actions_put_u32(struct of_actions *list, enum of_action_type type, uint32_t v)
{
	struct of_action_u32 *a = of_actions_put(list, type, sizeof(*a));

	a->v = v;
}

void
of_actions_put_output(struct of_actions *list, struct of_port port, uint16_t max_len)
{
	struct of_action_output *a = of_actions_put(list, OF_ACTION_OUTPUT, sizeof(*a));

	a->port = port.v;
	a->max_len = max_len;
}

void
of_actions_put_controller(struct of_actions *list, uint16_t max_len, uint8_t reason,
	uint16_t controller_id, const void *userdata, uint16_t userdata_len, uint32_t meter,
	bool pause)
{
	struct of_action_controller *a =
		of_actions_put(list, OF_ACTION_CONTROLLER, sizeof(*a) + userdata_len);

	a->max_len = max_len;
	a->controller_id = controller_id;
	a->reason = reason;
	a->pause = pause;
	a->userdata_len = userdata_len;
	a->meter = meter;
	if (userdata_len) {
		memcpy(a->userdata, userdata, userdata_len);
	}
}

void
of_actions_put_enqueue(struct of_actions *list, struct of_port port, uint32_t queue)
{
	struct of_action_enqueue *a = of_actions_put(list, OF_ACTION_ENQUEUE, sizeof(*a));

	a->port = port.v;
	a->queue = queue;
}

void
of_actions_put_set_field(struct of_actions *list, enum field_id field,
	const union field_value *value, const union field_value *mask)
{
	const struct field *f = field_get(field);
	union field_value ones;
	struct of_action_set_field *a;

	if (!mask) {
		field_value_ones(f, &ones);
		mask = &ones;
	}
	a = of_actions_put(list, OF_ACTION_SET_FIELD, sizeof(*a) + 2u * f->n_bytes);
	a->field = (uint16_t)field;
	a->n_bytes = f->n_bytes;
	for (unsigned i = 0; i < f->n_bytes; i++) {
		a->data[i] = value->b[i] & mask->b[i];
		a->data[f->n_bytes + i] = mask->b[i];
	}
}

void
of_actions_put_copy_field(struct of_actions *list, enum field_id src, uint16_t src_ofs,
	enum field_id dst, uint16_t dst_ofs, uint16_t n_bits)
{
	struct of_action_copy_field *a = of_actions_put(list, OF_ACTION_COPY_FIELD, sizeof(*a));

	a->src = (uint16_t)src;
	a->dst = (uint16_t)dst;
	a->src_ofs = src_ofs;
	a->dst_ofs = dst_ofs;
	a->n_bits = n_bits;
}

void
of_actions_put_resubmit(struct of_actions *list, struct of_port in_port, uint8_t table)
{
	struct of_action_resubmit *a = of_actions_put(list, OF_ACTION_RESUBMIT, sizeof(*a));

	a->in_port = in_port.v;
	a->table = table;
}

void
of_actions_put_write_metadata(struct of_actions *list, uint64_t metadata, uint64_t mask)
{
	struct of_action_write_metadata *a =
		of_actions_put(list, OF_ACTION_WRITE_METADATA, sizeof(*a));

	a->metadata = metadata & mask;
	a->mask = mask;
}

void
of_actions_put_fin_timeout(struct of_actions *list, uint16_t idle_timeout, uint16_t hard_timeout)
{
	struct of_action_fin_timeout *a = of_actions_put(list, OF_ACTION_FIN_TIMEOUT, sizeof(*a));

	a->idle_timeout = idle_timeout;
	a->hard_timeout = hard_timeout;
}

void
of_actions_append(struct of_actions *list, const void *data, size_t size)
{
	if (size) {
		size_t at = list->size;

		of_actions_reserve(list, size);
		list->size = at + size;
		memcpy(list->data + at, data, size);
	}
}

size_t
of_actions_begin(struct of_actions *list, enum of_action_type type)
{
	size_t at = list->size;

	of_actions_put(list, type, sizeof(struct of_action_hdr));
	return at;
}

void
of_actions_end(struct of_actions *list, size_t at)
{
	struct of_action_hdr *a = (void *)(list->data + at);

	a->len = (uint32_t)(list->size - at);
}

const struct of_action_hdr *
of_action_first(const void *data, size_t size)
{
	return size >= sizeof(struct of_action_hdr) ? data : NULL;
}

const struct of_action_hdr *
of_action_next(const struct of_action_hdr *a, const void *data, size_t size)
{
	const uint8_t *next = (const uint8_t *)a + a->len;
	size_t used = (size_t)(next - (const uint8_t *)data);

	return used + sizeof(struct of_action_hdr) <= size ? (const void *)next : NULL;
}

const void *
of_action_nested(const struct of_action_hdr *a, size_t *size)
{
	bool nests = a->type == OF_ACTION_CLONE || a->type == OF_ACTION_WRITE_ACTIONS;

	*size = nests ? a->len - sizeof(*a) : 0;
	return a + 1;
}

void
of_action_set_field_get(
	const struct of_action_set_field *a, union field_value *value, union field_value *mask)
{
	memset(value, 0, sizeof(*value));
	memset(mask, 0, sizeof(*mask));
	memcpy(value->b, a->data, a->n_bytes);
	memcpy(mask->b, a->data + a->n_bytes, a->n_bytes);
}

bool
of_action_is_instruction(enum of_action_type type)
{
	return type > OF_ACTION_METER;
}

bool
of_actions_output_to(const void *data, size_t size, struct of_port port)
{
	const struct of_action_hdr *a;

	for (a = of_action_first(data, size); a; a = of_action_next(a, data, size)) {
		size_t nested_size;
		const void *nested = of_action_nested(a, &nested_size);

		if ((a->type == OF_ACTION_OUTPUT &&
			    ((const struct of_action_output *)(const void *)a)->port == port.v) ||
			(a->type == OF_ACTION_ENQUEUE &&
				((const struct of_action_enqueue *)(const void *)a)->port ==
					port.v) ||
			(a->type == OF_ACTION_CONTROLLER && port.v == OFPP_CONTROLLER) ||
			(nested_size && of_actions_output_to(nested, nested_size, port))) {
			return true;
		}
	}
	return false;
}

bool
of_actions_use_group(const void *data, size_t size, uint32_t group)
{
	const struct of_action_hdr *a;

	for (a = of_action_first(data, size); a; a = of_action_next(a, data, size)) {
		size_t nested_size;
		const void *nested = of_action_nested(a, &nested_size);

		if ((a->type == OF_ACTION_GROUP &&
			    ((const struct of_action_u32 *)(const void *)a)->v == group) ||
			(nested_size && of_actions_use_group(nested, nested_size, group))) {
			return true;
		}
	}
	return false;
}

bool
of_actions_is_list(const void *data, size_t size, unsigned depth)
{
	const uint8_t *p = data;

	if (depth > OF_ACTIONS_MAX_DEPTH || size > OF_ACTIONS_MAX_SIZE || size % 8) {
		return false;
	}
	while (size) {
		const struct of_action_hdr *a = (const void *)p;

		if (size < sizeof(*a) || a->len < sizeof(*a) || a->len > size || a->len % 8 ||
			!is_valid_action(a, depth)) {
			return false;
		}
		p += a->len;
		size -= a->len;
	}
	return true;
}

void
of_actions_reserve(struct of_actions *list, size_t size)
{
	if (list->size + size > list->capacity) {
		list->capacity = WEFT_MAX(list->size + size, 2 * list->capacity + 64);
		list->data = xrealloc(list->data, list->capacity);
	}
}

void *
of_actions_put(struct of_actions *list, enum of_action_type type, size_t size)
{
	struct of_action_hdr *a;

	size = WEFT_ROUND_UP(size, 8);
	of_actions_reserve(list, size);
	a = (void *)(list->data + list->size);
	memset(a, 0, size);
	a->type = (uint16_t)type;
	a->len = (uint32_t)size;
	list->size += size;
	return a;
}

/* Shape alone; @a's len is sound. */
static bool
is_valid_action(const struct of_action_hdr *a, unsigned depth)
{
	const struct of_action_set_field *sf = (const void *)a;
	const struct of_action_copy_field *cf = (const void *)a;
	const struct of_action_controller *ctl = (const void *)a;
	const struct of_action_row *row;

	if (a->type >= OF_ACTION_N || !of_action_rows[a->type].name) {
		return false;
	}
	row = &of_action_rows[a->type];
	switch (row->shape) {
	case OF_SHAPE_LIST:
		return of_actions_is_list(a + 1, a->len - sizeof(*a), depth + 1);
	case OF_SHAPE_FIELD:
		return a->len >= sizeof(*sf) && sf->field < FIELD_N &&
		       sf->n_bytes == field_get(sf->field)->n_bytes &&
		       a->len == WEFT_ROUND_UP(sizeof(*sf) + 2u * sf->n_bytes, 8);
	case OF_SHAPE_BYTES:
		return a->len >= sizeof(*ctl) &&
		       a->len == WEFT_ROUND_UP(sizeof(*ctl) + ctl->userdata_len, 8);
	case OF_SHAPE_LEARN:
		return a->len >= row->size && of_learn_is_whole((const void *)a);
	case OF_SHAPE_FIXED:
		break;
	}
	return a->len == row->size &&
	       (a->type != OF_ACTION_COPY_FIELD ||
		       (cf->src < FIELD_N && cf->dst < FIELD_N &&
			       (unsigned)cf->src_ofs + cf->n_bits <= field_get(cf->src)->width &&
			       (unsigned)cf->dst_ofs + cf->n_bits <= field_get(cf->dst)->width));
}

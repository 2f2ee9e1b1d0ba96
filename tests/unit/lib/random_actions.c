/* SPDX-License-Identifier: Apache-2.0
 *
 * Random datapath actions.
 */
#include "tests/unit/lib/random_actions.h"

#include <string.h>

#include "tests/unit/lib/random.h"

static struct dp_handle
random_handle(void)
{
	return (struct dp_handle){(uint32_t)random_u64(), 1 + random_below(1000)};
}

static void
random_set_field(struct dp_actions *list)
{
	union field_value value, mask;
	const struct field *f;
	enum field_id id;

	do {
		id = (enum field_id)random_below(FIELD_N);
		f = field_get(id);
	} while (!(f->flags & FIELD_WRITABLE) || f->flags & FIELD_PIPELINE);
	random_bytes(&value, sizeof value);
	field_value_ones(f, &mask);
	for (unsigned i = 0; i < f->n_bytes; i++) {
		mask.b[i] &= random_below(2) ? 0xff : (uint8_t)random_u64();
	}
	dp_actions_put_set_field(list, id, &value, random_below(2) ? &mask : NULL);
}

static void
random_hash(struct dp_actions *list)
{
	uint16_t fields[5];
	uint32_t n = random_below(6);

	for (uint32_t i = 0; i < n; i++) {
		do {
			fields[i] = (uint16_t)random_below(FIELD_N);
		} while (field_get((enum field_id)fields[i])->flags & FIELD_PIPELINE);
	}
	dp_actions_put_hash(list, (uint32_t)random_u64(), fields, n);
}

static void
random_check_len(struct dp_actions *list, unsigned depth)
{
	struct dp_actions lists[2];

	for (unsigned i = 0; i < 2; i++) {
		dp_actions_init(&lists[i]);
		random_actions(&lists[i], depth);
	}
	dp_actions_put_check_len(list, random_below(2000), &lists[0], &lists[1]);
	dp_actions_uninit(&lists[0]);
	dp_actions_uninit(&lists[1]);
}

static void
random_nested(struct dp_actions *list, enum dp_action_type type, unsigned depth)
{
	size_t at =
		dp_actions_begin(list, type, type == DP_ACTION_SAMPLE ? (uint32_t)random_u64() : 0);

	random_actions(list, depth);
	dp_actions_end(list, at);
}

/* False: the action ends its list. */
static bool
random_action(struct dp_actions *list, unsigned depth)
{
	enum dp_action_type type = (enum dp_action_type)(1 + random_below(DP_ACTION_N - 1));

	switch (type) {
	case DP_ACTION_OUTPUT:
		dp_actions_put_output(list, (struct dp_port){random_below(DP_PORT_MAX + 1)},
			random_below(2) * 100);
		return true;
	case DP_ACTION_DROP:
		dp_actions_put_drop(list, (enum drop_reason)random_below(DROP_N));
		return false;
	case DP_ACTION_TO_AGENT:
		dp_actions_put_to_agent(list, (uint32_t)random_u64(), (uint16_t)random_u64(),
			(uint16_t)random_u64());
		return true;
	case DP_ACTION_PUSH_VLAN:
		dp_actions_put_push_vlan(
			list, be16_from(random_below(2) ? 0x8100 : 0x88a8), (be16_t)random_u64());
		return true;
	case DP_ACTION_SET_FIELD:
		random_set_field(list);
		return true;
	case DP_ACTION_PUSH_MPLS:
		dp_actions_put_push_mpls(
			list, be16_from(random_below(2) ? 0x8847 : 0x8848), (be32_t)random_u64());
		return true;
	case DP_ACTION_POP_MPLS:
	case DP_ACTION_PUSH_PBB:
		dp_actions_put_u32(list, type, random_below(65536));
		return true;
	case DP_ACTION_RECIRC:
		dp_actions_put_u32(list, type, 1 + random_below(1000));
		return false;
	case DP_ACTION_SELECT:
	case DP_ACTION_FIRST_LIVE:
	case DP_ACTION_METER:
	case DP_ACTION_ENCAP:
		dp_actions_put_object(list, type, random_handle());
		return true;
	case DP_ACTION_DEC_TTL:
	case DP_ACTION_DEC_MPLS_TTL:
	case DP_ACTION_CLONE:
	case DP_ACTION_SAMPLE:
		if (depth) {
			random_nested(list, type, depth - 1);
		}
		return true;
	case DP_ACTION_CHECK_LEN:
		if (depth) {
			random_check_len(list, depth - 1);
		}
		return true;
	case DP_ACTION_DECAP:
		dp_actions_put_decap(list,
			(enum dp_tunnel_kind)(1 + random_below(DP_TUNNEL_KIND_N - 1)),
			(struct dp_port){random_below(DP_PORT_MAX + 1)},
			random_below(2) * (uint32_t)random_u64());
		return false;
	case DP_ACTION_HASH:
		random_hash(list);
		return true;
	default:
		dp_actions_put_flag(list, type);
		return true;
	}
}

void
random_actions(struct dp_actions *list, unsigned depth)
{
	for (unsigned n = random_below(5); n > 0 && random_action(list, depth); n--) {
	}
}

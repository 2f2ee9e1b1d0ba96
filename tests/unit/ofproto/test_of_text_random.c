/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts of random actions, groups and meters: what is printed is read again to the same bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/error.h"
#include "lib/strbuf.h"
#include "ofproto/of_action.h"
#include "ofproto/of_context.h"
#include "ofproto/of_text.h"
#include "tests/unit/ofproto/world.h"

#define N_LISTS 20000
#define N_OBJECTS 4000

static uint64_t rnd;

static uint32_t
below(uint32_t n)
{
	return (uint32_t)(world_random(&rnd) % n);
}

/* Any number, the extremes often. */
static uint64_t
number(uint64_t max)
{
	switch (below(4)) {
	case 0:
		return 0;
	case 1:
		return max;
	default:
		return max == UINT64_MAX ? world_random(&rnd) : world_random(&rnd) % (max + 1);
	}
}

static struct of_port
port(void)
{
	static const uint32_t reserved[] = {OFPP_IN_PORT, OFPP_NORMAL, OFPP_FLOOD, OFPP_ALL,
		OFPP_LOCAL, OFPP_TABLE, OFPP_CONTROLLER};

	return OF_PORT(
		below(3) ? 1 + below(OFPP_MAX - 1) : reserved[below(WEFT_ARRAY_SIZE(reserved))]);
}

static enum field_id
writable(void)
{
	enum field_id id;

	do {
		id = below(FIELD_N);
		/* Options of Geneve are written as the TLV table calls them: test_tlv. */
	} while (!(field_get(id)->flags & FIELD_WRITABLE) || field_get(id)->block == 5);
	return id;
}

static void
put_set_field(struct of_actions *list)
{
	enum field_id id = writable();
	const struct field *f = field_get(id);
	union field_value value = {{0}}, mask, ones;

	field_value_ones(f, &ones);
	mask = ones;
	for (unsigned i = 0; i < f->n_bytes; i++) {
		value.b[i] = (uint8_t)(world_random(&rnd) & ones.b[i]);
	}
	if (f->flags & FIELD_MASKABLE && !below(3)) {
		unsigned byte = below(f->n_bytes);

		mask.b[byte] = (uint8_t)(ones.b[byte] & (1 + below(255)));
		for (unsigned i = 0; i < f->n_bytes; i++) {
			mask.b[i] = i < byte ? 0 : mask.b[i];
		}
		if (!memcmp(&mask, &(union field_value){{0}}, sizeof(mask))) {
			mask = ones;
		}
	}
	for (unsigned i = 0; i < f->n_bytes; i++) {
		value.b[i] &= mask.b[i];
	}
	of_actions_put_set_field(list, id, &value, &mask);
}

/* As NXAST_REG_LOAD has it: a run of bits. */
static void
put_load(struct of_actions *list)
{
	enum field_id id = writable();
	const struct field *f = field_get(id);
	unsigned n_bits = 1 + below(WEFT_MIN(f->width, 64u)), ofs = below(f->width - n_bits + 1u);
	union field_value value = {{0}}, mask = {{0}};
	size_t at = list->size;

	for (unsigned bit = ofs; bit < ofs + n_bits; bit++) {
		mask.b[f->n_bytes - 1 - bit / 8] |= (uint8_t)(1u << bit % 8);
		value.b[f->n_bytes - 1 - bit / 8] |= (uint8_t)(below(2) << bit % 8);
	}
	of_actions_put_set_field(list, id, &value, &mask);
	((struct of_action_set_field *)(void *)(list->data + at))->is_load = 1;
}

static void
put_copy(struct of_actions *list)
{
	enum field_id src = writable(), dst = writable();
	unsigned most = WEFT_MIN(field_get(src)->width, field_get(dst)->width);
	unsigned n_bits = below(2) ? most : 1 + below(most);

	of_actions_put_copy_field(list, src, (uint16_t)below(field_get(src)->width - n_bits + 1u),
		dst, (uint16_t)below(field_get(dst)->width - n_bits + 1u), (uint16_t)n_bits);
}

static void
put_controller(struct of_actions *list)
{
	uint8_t userdata[16];
	uint16_t n = (uint16_t)below(2) * (uint16_t)below(sizeof(userdata));

	for (unsigned i = 0; i < sizeof(userdata); i++) {
		userdata[i] = (uint8_t)below(256);
	}
	/* Never what OpenFlow itself can say. */
	of_actions_put_controller(list, (uint16_t)number(UINT16_MAX), (uint8_t)below(6),
		(uint16_t)(1 + below(UINT16_MAX)), userdata, n, (uint32_t)number(UINT32_MAX),
		below(2));
}

static void put_actions(struct of_actions *list, unsigned depth);

static void
put_action(struct of_actions *list, unsigned depth)
{
	static const enum of_action_type flags[] = {OF_ACTION_POP_VLAN, OF_ACTION_POP_PBB,
		OF_ACTION_DEC_NW_TTL, OF_ACTION_DEC_MPLS_TTL, OF_ACTION_COPY_TTL_OUT,
		OF_ACTION_COPY_TTL_IN};
	static const struct {
		enum of_action_type type;
		uint32_t max;
	} numbers[] = {
		{OF_ACTION_GROUP, OFPG_MAX},
		{OF_ACTION_SET_QUEUE, UINT32_MAX},
		{OF_ACTION_PUSH_VLAN, 0xffff},
		{OF_ACTION_PUSH_MPLS, 0xffff},
		{OF_ACTION_POP_MPLS, 0xffff},
		{OF_ACTION_PUSH_PBB, 0xffff},
		{OF_ACTION_SET_NW_TTL, 255},
		{OF_ACTION_SET_MPLS_TTL, 255},
	};
	struct of_port to;
	size_t at;
	unsigned i;

	switch (below(depth ? 8 : 10)) {
	case 0:
		of_actions_put_flag(list, flags[below(WEFT_ARRAY_SIZE(flags))]);
		break;
	case 1:
		i = below(WEFT_ARRAY_SIZE(numbers));
		of_actions_put_u32(list, numbers[i].type, (uint32_t)number(numbers[i].max));
		break;
	case 2:
		to = port();
		of_actions_put_output(list, to,
			of_port_is(to, OFPP_CONTROLLER) ? (uint16_t)number(UINT16_MAX)
							: OF_MAX_LEN_NO_BUFFER);
		break;
	case 3:
		put_controller(list);
		break;
	case 4:
		put_set_field(list);
		break;
	case 5:
		put_load(list);
		break;
	case 6:
		put_copy(list);
		break;
	case 7:
		of_actions_put_resubmit(list,
			below(2) ? OF_PORT(OFPP_IN_PORT) : OF_PORT(1 + below(999)),
			(uint8_t)below(255));
		break;
	case 8:
		of_actions_put_enqueue(
			list, OF_PORT(1 + below(OFPP_MAX - 1)), (uint32_t)number(UINT32_MAX));
		break;
	default:
		at = of_actions_begin(list, OF_ACTION_CLONE);
		put_actions(list, depth + 1);
		of_actions_end(list, at);
		break;
	}
}

static void
put_actions(struct of_actions *list, unsigned depth)
{
	for (unsigned n = 1 + below(5); n > 0; n--) {
		put_action(list, depth);
	}
}

static void
put_instructions(struct of_actions *list)
{
	size_t at;

	if (!below(4)) {
		of_actions_put_u32(list, OF_ACTION_METER, (uint32_t)number(OFPM_MAX));
	}
	if (!below(6)) {
		/* (Behind what is known to be tagged it would be a set-field.) */
		of_actions_put_u32(list, OF_ACTION_SET_VLAN_VID, below(0x1000));
	}
	put_actions(list, 0);
	if (!below(4)) {
		of_actions_put_flag(list, OF_ACTION_CLEAR_ACTIONS);
	}
	if (!below(3)) {
		at = of_actions_begin(list, OF_ACTION_WRITE_ACTIONS);
		put_actions(list, 1);
		of_actions_end(list, at);
	}
	if (!below(4)) {
		of_actions_put_write_metadata(list, number(UINT64_MAX),
			below(2) ? UINT64_MAX : number(UINT64_MAX - 1) | 1);
	}
	if (!below(4)) {
		of_actions_put_u32(list, OF_ACTION_GOTO_TABLE, below(255));
	}
}

static void
test_text_of_random_actions_comes_back(void **state)
{
	(void)state;
	rnd = world_seed();
	for (unsigned i = 0; i < N_LISTS; i++) {
		struct weft_error err = WEFT_ERROR_INIT;
		struct strbuf text = STRBUF_INIT, again = STRBUF_INIT;
		struct of_actions list, back;

		of_actions_init(&list);
		of_actions_init(&back);
		put_instructions(&list);
		of_text_format_actions(list.data, list.size, NULL, &text);
		if (!of_text_parse_actions(
			    strbuf_text(&text), text.len, false, NULL, &back, &err)) {
			fail_msg("%s: %s", strbuf_text(&text), err.text);
		}
		if (!of_actions_equal(list.data, list.size, back.data, back.size)) {
			of_text_format_actions(back.data, back.size, NULL, &again);
			fail_msg("%s\n%s", strbuf_text(&text), strbuf_text(&again));
		}
		of_actions_uninit(&list);
		of_actions_uninit(&back);
		strbuf_uninit(&text);
		strbuf_uninit(&again);
	}
}

static void
fill_group(struct of_group_view *view, struct of_bucket_view *buckets, struct of_actions *actions)
{
	view->id = (uint32_t)number(OFPG_MAX);
	view->type = (uint8_t)below(OF_GROUP_TYPE_N);
	view->n_buckets = below(5);
	view->buckets = buckets;
	for (uint32_t k = 0; k < view->n_buckets; k++) {
		of_actions_init(&actions[k]);
		if (below(5)) {
			put_actions(&actions[k], 0);
		}
		buckets[k] = (struct of_bucket_view){
			.weight = view->type == OF_GROUP_SELECT ? (uint16_t)number(UINT16_MAX) : 0,
			.watch_port = below(2) ? OF_PORT(OFPP_ANY) : OF_PORT(1 + below(100)),
			.watch_group = below(2) ? OFPG_ANY : (uint32_t)number(OFPG_MAX),
			.actions = actions[k].data,
			.actions_size = actions[k].size,
		};
	}
}

static void
test_text_of_random_groups_comes_back(void **state)
{
	(void)state;
	rnd = world_seed();
	for (unsigned i = 0; i < N_OBJECTS; i++) {
		struct of_group_mod gm = {.command = OF_MOD_ADD};
		struct weft_error err = WEFT_ERROR_INIT;
		struct of_bucket_view buckets[5];
		struct of_actions actions[5];
		struct of_group_view view = {0};
		struct strbuf text = STRBUF_INIT;

		fill_group(&view, buckets, actions);
		of_text_format_group(&view, NULL, &text);
		if (!of_text_parse_group(strbuf_text(&text), text.len, i % 2, NULL, &gm, &err)) {
			fail_msg("%s: %s", strbuf_text(&text), err.text);
		}
		assert_int_equal(gm.group, view.id);
		assert_int_equal(gm.type, view.type);
		assert_int_equal(gm.n_buckets, view.n_buckets);
		for (uint32_t k = 0; k < gm.n_buckets; k++) {
			const struct of_bucket *b = &gm.buckets[k];

			if (b->weight != buckets[k].weight ||
				b->watch_port.v != buckets[k].watch_port.v ||
				b->watch_group != buckets[k].watch_group ||
				!of_actions_equal(b->actions.data, b->actions.size,
					buckets[k].actions, buckets[k].actions_size)) {
				fail_msg("bucket %u of %s", k, strbuf_text(&text));
			}
			of_actions_uninit(&actions[k]);
		}
		of_group_mod_uninit(&gm);
		strbuf_uninit(&text);
	}
}

static void
test_text_of_random_meters_comes_back(void **state)
{
	(void)state;
	rnd = world_seed();
	for (unsigned i = 0; i < N_OBJECTS; i++) {
		struct of_meter_mod mm = {.command = OF_MOD_ADD};
		struct weft_error err = WEFT_ERROR_INIT;
		struct of_meter_band bands[OF_MAX_BANDS];
		struct of_meter_view view = {.bands = bands};
		struct strbuf text = STRBUF_INIT;

		memset(bands, 0, sizeof(bands));
		view.id = (uint32_t)number(OFPM_MAX);
		view.flags = (uint16_t)(below(2) ? OF_METER_KBPS : OF_METER_PKTPS);
		view.flags |= (uint16_t)(below(2) * OF_METER_BURST + below(2) * OF_METER_STATS);
		view.n_bands = 1 + below(OF_MAX_BANDS);
		for (uint32_t k = 0; k < view.n_bands; k++) {
			bands[k].type = below(2) ? OF_BAND_DROP : OF_BAND_DSCP_REMARK;
			bands[k].rate = (uint32_t)number(UINT32_MAX);
			bands[k].burst =
				view.flags & OF_METER_BURST ? (uint32_t)number(UINT32_MAX) : 0;
			bands[k].prec_level =
				bands[k].type == OF_BAND_DSCP_REMARK ? (uint8_t)below(4) : 0;
		}
		of_text_format_meter(&view, &text);
		if (!of_text_parse_meter(strbuf_text(&text), text.len, &mm, &err)) {
			fail_msg("%s: %s", strbuf_text(&text), err.text);
		}
		assert_int_equal(mm.meter, view.id);
		assert_int_equal(mm.flags, view.flags);
		assert_int_equal(mm.n_bands, view.n_bands);
		assert_memory_equal(mm.bands, bands, view.n_bands * sizeof(bands[0]));
		strbuf_uninit(&text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_of_random_actions_comes_back),
		cmocka_unit_test(test_text_of_random_groups_comes_back),
		cmocka_unit_test(test_text_of_random_meters_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

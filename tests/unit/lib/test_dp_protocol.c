/* SPDX-License-Identifier: Apache-2.0
 *
 * Datapath protocol: every message through a ring and back, and what decoding refuses.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/dp_protocol.h"
#include "lib/error.h"
#include "lib/packet.h"
#include "lib/shm_ring.h"
#include "tests/unit/lib/random.h"
#include "tests/unit/lib/random_actions.h"

#define RING_SIZE (1u << 20)
#define BUF_SIZE (RING_SIZE / 2)

typedef bool decoder(
	uint32_t kind, const void *buf, size_t len, struct dp_message *msg, struct weft_error *err);

static struct shm_ring in, out;
static void *memory;
static _Alignas(8) uint8_t buf[BUF_SIZE];
static size_t len;
static uint32_t kind;
static struct dp_message msg;

static int
setup(void **state)
{
	(void)state;
	memory = aligned_alloc(64, SHM_RING_HEADER_SIZE + RING_SIZE);
	shm_ring_init_private(&in, memory, RING_SIZE, -1);
	shm_ring_init_private(&out, memory, RING_SIZE, -1);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	free(memory);
	return 0;
}

/* Brings the record that was just sent to @buf. */
static void
receive(void)
{
	int n;

	shm_ring_publish(&in);
	n = shm_ring_read(&out, buf, sizeof buf, &kind);
	assert_true(n >= 0);
	shm_ring_release(&out);
	len = (size_t)n;
}

/* The record is taken at its length and at no other, whatever memory it stands in. */
static void
check_lengths(decoder *decode)
{
	struct weft_error err = WEFT_ERROR_INIT;

	if (!decode(kind, buf, len, &msg, &err)) {
		fail_msg("kind %#x: %s", kind, err.text);
	}
	for (size_t cut = 0; cut < len; cut += len < 4096 ? 1 : 509) {
		uint8_t *copy = aligned_alloc(8, (cut + 8) / 8 * 8);

		memcpy(copy, buf, cut);
		if (decode(kind, copy, cut, &msg, NULL)) {
			fail_msg("kind %#x: %zu of %zu bytes were enough", kind, cut, len);
		}
		free(copy);
	}
	memset(buf + len, 0, 8);
	assert_false(decode(kind, buf, len + 8, &msg, NULL));
	assert_false(decode(kind, buf, len + 1, &msg, NULL));
	assert_true(decode(kind, buf, len, &msg, NULL));
}

static void
refuse_byte(decoder *decode, size_t at, uint8_t value, const char *why)
{
	struct weft_error err = WEFT_ERROR_INIT;
	uint8_t old = buf[at];

	buf[at] = value;
	assert_false(decode(kind, buf, len, &msg, &err));
	assert_string_equal(err.text + strlen("datapath protocol: "), why);
	buf[at] = old;
	assert_true(decode(kind, buf, len, &msg, NULL));
}

static void
some_flow(struct flow_key *key, struct flow_mask *mask, struct dp_actions *actions)
{
	assert_true(flow_text_parse(
		"recirc_id=0,in_port=3,tcp6,ipv6_dst=fe80::1,tp_dst=80", 52, key, mask, NULL));
	dp_actions_init(actions);
	dp_actions_put_flag(actions, DP_ACTION_POP_VLAN);
	dp_actions_put_output(actions, (struct dp_port){4}, 0);
}

static void
test_dp_protocol_flow_put(void **state)
{
	struct dp_actions actions;
	struct flow_key key;
	struct flow_mask mask;

	(void)state;
	some_flow(&key, &mask, &actions);
	assert_true(dp_send_flow_put(&in, 99, &key, FLOW_BLOCK(0) | FLOW_BLOCK(1), &mask,
		DP_PUT_NARROW, actions.data, actions.size));
	receive();
	assert_int_equal(kind, DP_FLOW_PUT);
	assert_int_equal(len, 16 + 4 * 64 + 24);
	check_lengths(dp_command_decode);
	assert_int_equal(((const struct dp_flow_put *)msg.body)->cmd.request, 99);
	assert_int_equal(((const struct dp_flow_put *)msg.body)->flags, DP_PUT_NARROW);
	assert_int_equal(msg.key_blocks, 3);
	assert_int_equal(msg.mask_blocks, 3);
	assert_memory_equal(&msg.key, &key, sizeof key);
	assert_memory_equal(&msg.mask, &mask, sizeof mask);
	assert_true(dp_actions_equal(msg.actions, msg.actions_size, actions.data, actions.size));

	refuse_byte(dp_command_decode, 8, 0x41, "key blocks that the datapath does not handle");
	refuse_byte(dp_command_decode, 9, 0x80, "key blocks that the datapath does not handle");
	refuse_byte(dp_command_decode, 10, 8, "unknown flags");
	refuse_byte(dp_command_decode, 12, 8, "bytes behind the end of the message");
	refuse_byte(dp_command_decode, 15, 0xff, "message is too short");
	refuse_byte(dp_command_decode, 16, 1, "input port out of range");
	/* Of what the switch made itself, only what comes around again. */
	put_be32(buf + 16, DP_PORT_MADE);
	assert_false(dp_command_decode(kind, buf, len, &msg, NULL));
	buf[16 + 7] = 1;
	assert_true(dp_command_decode(kind, buf, len, &msg, NULL));
	refuse_byte(dp_command_decode, 16 + 1, 1, "input port out of range");
	refuse_byte(dp_command_decode, 16 + 128, 0, "mask without input port or recirculation id");
	refuse_byte(
		dp_command_decode, 16 + 128 + 7, 0, "mask without input port or recirculation id");
	buf[16 + 256] = 0; /* an action's type */
	assert_false(dp_command_decode(kind, buf, len, &msg, NULL));
	dp_actions_uninit(&actions);
}

static void
test_dp_protocol_fixed_commands(void **state)
{
	const struct dp_flow_del flow_del = {{1}, {2, 3}};
	const struct dp_list list = {{1}, 2, 3};
	const struct dp_object_del object_del = {{1}, {2, 3}};
	const struct dp_context_del context_del = {{1}, 2, 0};
	const struct dp_barrier barrier = {{1}};
	const struct {
		uint32_t kind;
		const void *body;
		size_t size;
	} commands[] = {
		{DP_FLOW_DEL, &flow_del, sizeof flow_del},
		{DP_FLOW_LIST, &list, sizeof list},
		{DP_OBJECT_LIST, &list, sizeof list},
		{DP_CONTEXT_LIST, &list, sizeof list},
		{DP_OBJECT_DEL, &object_del, sizeof object_del},
		{DP_CONTEXT_DEL, &context_del, sizeof context_del},
		{DP_BARRIER, &barrier, sizeof barrier},
	};

	(void)state;
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		assert_true(dp_send(
			&in, commands[i].kind, commands[i].body, commands[i].size, NULL, 0));
		receive();
		assert_int_equal(kind, commands[i].kind);
		check_lengths(dp_command_decode);
		assert_memory_equal(msg.body, commands[i].body, commands[i].size);
		if (kind == DP_CONTEXT_DEL) {
			refuse_byte(dp_command_decode, 12, 1, "reserved bytes are not zero");
		}
		assert_false(dp_command_decode(0, buf, len, &msg, NULL));
		assert_false(dp_command_decode(DP_COMMAND_N, buf, len, &msg, NULL));
		assert_false(dp_command_decode(DP_REPLY + kind, buf, len, &msg, NULL));
	}
}

static void
test_dp_protocol_context_put(void **state)
{
	struct dp_context_put put = {{1}, 5, 11};
	struct dp_part part = {"hello world", 11};

	(void)state;
	assert_true(dp_send(&in, DP_CONTEXT_PUT, &put, sizeof put, &part, 1));
	receive();
	assert_int_equal(len, 16 + 16);
	check_lengths(dp_command_decode);
	assert_int_equal(msg.data_len, 11);
	assert_memory_equal(msg.data, "hello world", 11);
	refuse_byte(dp_command_decode, 8, 0, "context without id, or too large");
	refuse_byte(dp_command_decode, 14, 1, "context without id, or too large");
	refuse_byte(dp_command_decode, 31, 1, "padding is not zero");
}

static void
test_dp_protocol_execute(void **state)
{
	struct dp_execute x = {
		.cmd = {7}, .in_port = 3, .data_len = 61, .key_blocks = FLOW_BLOCK(2)};
	struct flow_key key = {.tun_ttl = 64};
	struct dp_actions actions;
	uint8_t data[61];

	(void)state;
	random_bytes(data, sizeof data);
	dp_actions_init(&actions);
	dp_actions_put_output(&actions, (struct dp_port){1}, 0);
	x.actions_size = (uint32_t)actions.size;
	assert_true(dp_send_execute(&in, &x, &key, actions.data, data));
	receive();
	check_lengths(dp_command_decode);
	assert_int_equal(msg.key_blocks, FLOW_BLOCK(2));
	assert_memory_equal(&msg.key, &key, sizeof key);
	assert_int_equal(msg.data_len, 61);
	assert_memory_equal(msg.data, data, 61);
	assert_int_equal(msg.actions_size, actions.size);
	refuse_byte(
		dp_command_decode, 18, 1, "bytes for a parked packet, or input port out of range");
	refuse_byte(
		dp_command_decode, 8, 1, "bytes for a parked packet, or input port out of range");
	refuse_byte(dp_command_decode, 20, 4, "unknown flags, or packet too long");
	refuse_byte(dp_command_decode, 30, 0xff, "unknown flags, or packet too long");
	refuse_byte(dp_command_decode, 33, 1, "reserved bytes are not zero");
	refuse_byte(dp_command_decode, 39, 1, "reserved bytes are not zero");
	refuse_byte(dp_command_decode, len - 1, 1, "padding is not zero");

	/* A parked packet has neither bytes nor key; a packet of the switch's own no port. */
	x = (struct dp_execute){.parked = {5},
		.actions_size = (uint32_t)actions.size,
		.flags = DP_EXECUTE_REPLY | DP_EXECUTE_KEEP};
	assert_true(dp_send_execute(&in, &x, NULL, actions.data, NULL));
	receive();
	check_lengths(dp_command_decode);
	x = (struct dp_execute){.in_port = UINT32_MAX, .data_len = 61};
	assert_true(dp_send_execute(&in, &x, NULL, NULL, data));
	receive();
	check_lengths(dp_command_decode);
	dp_actions_uninit(&actions);
}

/* --- objects ---------------------------------------------------------------------------------------- */

static void
put_bucket(struct dp_actions *body, uint32_t id, uint32_t watch_port)
{
	struct dp_bucket bucket = {.id = id, .weight = 1, .watch_port = watch_port};
	struct dp_actions actions;

	dp_actions_init(&actions);
	dp_actions_put_output(&actions, (struct dp_port){1}, 0);
	bucket.size = (uint32_t)(sizeof bucket + actions.size);
	dp_actions_append(body, &bucket, sizeof bucket);
	dp_actions_append(body, actions.data, actions.size);
	dp_actions_uninit(&actions);
}

static void
send_object(uint32_t object_kind, uint32_t n_parts, const struct dp_actions *body)
{
	struct dp_object_put put = {.cmd = {1},
		.kind = object_kind,
		.n_parts = n_parts,
		.body_size = (uint32_t)body->size};
	struct dp_part part = {body->data, body->size};

	assert_true(dp_send(&in, DP_OBJECT_PUT, &put, sizeof put, &part, 1));
	receive();
}

static void
test_dp_protocol_groups(void **state)
{
	struct dp_actions body;

	(void)state;
	dp_actions_init(&body); /* a growing buffer */
	put_bucket(&body, 7, 5);
	put_bucket(&body, 3, UINT32_MAX);
	send_object(DP_OBJECT_SELECT, 2, &body);
	check_lengths(dp_command_decode);
	assert_int_equal(msg.n_parts, 2);
	assert_int_equal(msg.data_len, 80);
	refuse_byte(dp_command_decode, 16, 9, "unknown kind of object");
	refuse_byte(dp_command_decode, 20, 1, "bytes behind the end of the message");
	refuse_byte(dp_command_decode, 20, 3, "wrong size of a bucket");
	refuse_byte(dp_command_decode, 23, 1, "fewer buckets than parts");
	refuse_byte(dp_command_decode, 32, 44, "wrong size of a bucket");
	refuse_byte(dp_command_decode, 32, 16, "wrong size of a bucket");
	refuse_byte(dp_command_decode, 32, 88, "message is too short");
	refuse_byte(dp_command_decode, 36, 3, "two buckets with one id");
	refuse_byte(dp_command_decode, 46, 1, "watch port of a bucket out of range");
	dp_actions_clear(&body);
	send_object(DP_OBJECT_FIRST_LIVE, 0, &body);
	check_lengths(dp_command_decode);
	refuse_byte(dp_command_decode, 28, 1, "reserved bytes are not zero"); /* a select's seed */
	dp_actions_uninit(&body);
}

/* What is taken can be listed: a body to the limit, and not a bucket more. */
static void
test_dp_protocol_object_size(void **state)
{
	const uint32_t n_most = DP_OBJECT_MAX_BODY / sizeof(struct dp_bucket);
	struct weft_error err = WEFT_ERROR_INIT;
	struct dp_actions body;

	(void)state;
	dp_actions_init(&body);
	for (uint32_t i = 0; i <= n_most; i++) {
		struct dp_bucket bucket = {
			.size = sizeof bucket, .id = i, .watch_port = UINT32_MAX};

		if (i == n_most) {
			send_object(DP_OBJECT_SELECT, i, &body);
			assert_true(dp_command_decode(kind, buf, len, &msg, &err));
		}
		dp_actions_append(&body, &bucket, sizeof bucket);
	}
	assert_false(dp_object_validate(DP_OBJECT_SELECT, body.data, body.size, n_most + 1, &err));
	assert_string_equal(err.text, "datapath protocol: object is too large");
	dp_actions_uninit(&body);
}

static void
test_dp_protocol_meters(void **state)
{
	const struct dp_meter meter = {DP_METER_PKTPS, 1};
	const struct dp_meter_band bands[] = {
		{2, DP_BAND_DROP, 100, 0, 0, 0}, {3, DP_BAND_DSCP_REMARK, 50, 10, 1, 0}};
	struct dp_actions body;

	(void)state;
	dp_actions_init(&body);
	dp_actions_append(&body, &meter, sizeof meter);
	dp_actions_append(&body, bands, sizeof bands);
	send_object(DP_OBJECT_METER, 3, &body);
	check_lengths(dp_command_decode);
	refuse_byte(dp_command_decode, 20, 0, "the parts are the meter and its bands");
	refuse_byte(dp_command_decode, 20, 2, "bytes behind the end of the message");
	refuse_byte(dp_command_decode, 20, 9, "the parts are the meter and its bands");
	refuse_byte(dp_command_decode, 32, 8, "meter with unknown flags");
	refuse_byte(dp_command_decode, 36, 2, "two parts with one id");
	refuse_byte(dp_command_decode, 44, 3, "unknown kind of meter band");
	refuse_byte(dp_command_decode, 60, 1, "reserved bytes are not zero");
	dp_actions_uninit(&body);
}

static void
test_dp_protocol_encap(void **state)
{
	static const uint8_t outer[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 0, 0,
		0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0, 0, 0x12, 0xb5, 0, 0, 0, 0, 8};
	const struct dp_encap encap = {.kind = DP_TUNNEL_VXLAN,
		.size = 50,
		.l3_off = 14,
		.l4_off = 34,
		.mtu = 1500,
		.port = UINT32_MAX};
	uint8_t header[56] = {0};
	struct dp_actions body;

	(void)state;
	memcpy(header, outer, sizeof outer);
	dp_actions_init(&body);
	dp_actions_append(&body, &encap, sizeof encap);
	dp_actions_append(&body, header, sizeof header);
	send_object(DP_OBJECT_ENCAP, 0, &body);
	check_lengths(dp_command_decode);
	refuse_byte(dp_command_decode, 20, 1, "encapsulation with parts");
	refuse_byte(dp_command_decode, 32, 0, "encapsulation with a bad kind, MTU or port");
	refuse_byte(dp_command_decode, 40, 57, "message is too short");
	refuse_byte(dp_command_decode, 40, 51, "encapsulation with a bad tunnel header");
	refuse_byte(dp_command_decode, 44, 51, "encapsulation with bad sizes");
	refuse_byte(dp_command_decode, 60, 13, "encapsulation that leaves too little of packets");
	refuse_byte(dp_command_decode, 62, 1, "reserved bytes are not zero");
	refuse_byte(dp_command_decode, len - 1, 1, "padding is not zero");
	dp_actions_uninit(&body);
}

static void
test_dp_protocol_tun_opts(void **state)
{
	static const struct dp_tun_opt opts[] = {
		{0x0102, 0x80, 4, 0, 0, {0, 0}},
		{0x0102, 0x00, 52, 4, 63, {0, 0}},
		{0xffff, 0x00, 0, 56, 5, {0, 0}},
	};
	struct dp_tun_opts cmd = {{7}, 3, DP_TUN_OPTS_SET};
	struct dp_tun_opts_reply reply = {{5, 0, 0}, 3, 0};
	struct dp_part part = {opts, sizeof opts};

	(void)state;
	assert_true(dp_send(&in, DP_TUN_OPTS, &cmd, sizeof cmd, &part, 1));
	receive();
	check_lengths(dp_command_decode);
	assert_int_equal(msg.data_len, sizeof opts);
	assert_memory_equal(msg.data, opts, sizeof opts);
	refuse_byte(dp_command_decode, 8, 2, "bytes behind the end of the message");
	refuse_byte(dp_command_decode, 8, 65, "too many tunnel options");
	refuse_byte(dp_command_decode, 12, 3, "unknown flags, or tunnel options in a question");
	refuse_byte(dp_command_decode, 12, 0, "unknown flags, or tunnel options in a question");
	refuse_byte(dp_command_decode, 19, 5, "bad tunnel option");
	refuse_byte(dp_command_decode, 19, 8, "bad tunnel option");
	refuse_byte(dp_command_decode, 28, 0, "bad tunnel option");
	refuse_byte(dp_command_decode, 28, 5, "bad tunnel option");
	refuse_byte(dp_command_decode, 21, 64, "bad tunnel option");
	refuse_byte(dp_command_decode, 29, 0, "bad tunnel option");
	refuse_byte(dp_command_decode, 26, 0x80, "two tunnel options of one class and type");
	refuse_byte(dp_command_decode, 22, 1, "reserved bytes are not zero");
	assert_true(dp_send(&in, DP_REPLY + DP_TUN_OPTS, &reply, sizeof reply, &part, 1));
	receive();
	check_lengths(dp_reply_decode);
	assert_memory_equal(msg.data, opts, sizeof opts);
	refuse_byte(dp_reply_decode, 20, 1, "reserved bytes are not zero");
	refuse_byte(dp_reply_decode, 28, 3, "bad tunnel option");
	cmd.n = cmd.flags = 0;
	assert_true(dp_send(&in, DP_TUN_OPTS, &cmd, sizeof cmd, NULL, 0));
	receive();
	check_lengths(dp_command_decode);
	assert_int_equal(msg.data_len, 0);
}

/* --- replies ---------------------------------------------------------------------------------------- */

static void
send_reply(uint32_t type, const void *head, size_t size, const struct dp_part *parts, unsigned n)
{
	assert_true(dp_send(&in, type, head, size, parts, n));
	receive();
	check_lengths(dp_reply_decode);
	assert_int_equal(msg.type, type);
	assert_memory_equal(msg.body, head, size);
}

static void
test_dp_protocol_fixed_replies(void **state)
{
	const struct dp_reply bare = {5, -EINVAL, 0};
	const struct dp_flow_del_reply del = {{5, 0, 0}, {1, 2}, {3, 4, 5, 6, 0}};
	const struct dp_list_reply list = {{5, 0, 0}, UINT32_MAX, 0};
	static const uint32_t bares[] = {
		DP_CONTEXT_PUT, DP_CONTEXT_DEL, DP_EXECUTE, DP_BARRIER, 77};
	static const uint32_t lists[] = {DP_FLOW_LIST, DP_OBJECT_LIST, DP_CONTEXT_LIST};

	(void)state;
	for (size_t i = 0; i < sizeof bares / sizeof bares[0]; i++) {
		send_reply(DP_REPLY + bares[i], &bare, sizeof bare, NULL, 0);
		refuse_byte(dp_reply_decode, 12, 1, "reserved bytes are not zero");
		refuse_byte(dp_reply_decode, 11, 0x7f, "status is neither 0 nor a negative errno");
	}
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		send_reply(DP_REPLY + lists[i], &list, sizeof list, NULL, 0);
		refuse_byte(dp_reply_decode, 20, 1, "reserved bytes are not zero");
	}
	send_reply(DP_REPLY + DP_FLOW_DEL, &del, sizeof del, NULL, 0);
	refuse_byte(dp_reply_decode, 52, 1, "reserved bytes are not zero");
	assert_false(dp_reply_decode(DP_FLOW_DEL, buf, len, &msg, NULL));
	assert_false(dp_reply_decode(0x300, buf, len, &msg, NULL));
}

static void
test_dp_protocol_flow_replies(void **state)
{
	struct dp_flow_put_reply put = {.reply = {5, 0, 0}, .flow = {1, 2}, .mask_blocks = 3};
	struct dp_flow_item item = {.request = 5,
		.flow = {1, 2},
		.epoch = 3,
		.created_ms = 4,
		.blocks = 3,
		.stats = {.packets = 9}};
	uint8_t packed_key[128], packed_mask[128];
	struct dp_actions actions;
	struct flow_key key;
	struct flow_mask mask;
	struct dp_part parts[] = {{packed_key, 128}, {packed_mask, 128}, {NULL, 0}};

	(void)state;
	some_flow(&key, &mask, &actions);
	flow_key_pack(packed_key, &key, 3);
	flow_key_pack(packed_mask, &mask.bits, 3);
	send_reply(DP_REPLY + DP_FLOW_PUT, &put, sizeof put, &parts[1], 1);
	assert_memory_equal(&msg.mask, &mask, sizeof mask);
	refuse_byte(dp_reply_decode, 25, 1, "reserved bytes are not zero");
	refuse_byte(dp_reply_decode, 28, 1, "reserved bytes are not zero");
	refuse_byte(dp_reply_decode, 24, 0x43, "key blocks that the datapath does not handle");

	item.actions_size = (uint32_t)actions.size;
	parts[2] = (struct dp_part){actions.data, actions.size};
	send_reply(DP_FLOW_ITEM, &item, sizeof item, parts, 3);
	assert_memory_equal(&msg.key, &key, sizeof key);
	assert_memory_equal(&msg.mask, &mask, sizeof mask);
	assert_int_equal(msg.actions_size, actions.size);
	refuse_byte(dp_reply_decode, 33, 1, "reserved bytes are not zero");
	refuse_byte(dp_reply_decode, 68, 1, "reserved bytes are not zero");
	dp_actions_uninit(&actions);
}

static void
test_dp_protocol_object_replies(void **state)
{
	const struct dp_handle handles[] = {{1, 2}, {3, 4}};
	const struct flow_stats stats[] = {{1, 2, 3, 4, 0}, {5, 6, 7, 8, 0}};
	struct dp_object_put_reply reply = {.reply = {5, 0, 0}, .object = {1, 2}, .n_parts = 2};
	struct dp_object_item item = {
		.request = 5, .object = {1, 2}, .kind = DP_OBJECT_SELECT, .n_parts = 2};
	struct dp_part parts[] = {{handles, sizeof handles}, {NULL, 0}};
	struct dp_part stats_part = {stats, sizeof stats};
	struct dp_actions body;

	(void)state;
	send_reply(DP_REPLY + DP_OBJECT_PUT, &reply, sizeof reply, parts, 1);
	assert_int_equal(msg.n_parts, 2);
	assert_memory_equal(msg.parts, handles, sizeof handles);
	refuse_byte(dp_reply_decode, 27, 0xff, "too many parts");
	refuse_byte(dp_reply_decode, 28, 1, "reserved bytes are not zero");
	send_reply(DP_REPLY + DP_OBJECT_DEL, &reply, sizeof reply, &stats_part, 1);
	assert_memory_equal(msg.part_stats, stats, sizeof stats);

	dp_actions_init(&body);
	put_bucket(&body, 1, UINT32_MAX);
	put_bucket(&body, 2, UINT32_MAX);
	item.body_size = (uint32_t)body.size;
	parts[1] = (struct dp_part){body.data, body.size};
	send_reply(DP_OBJECT_ITEM, &item, sizeof item, parts, 2);
	assert_memory_equal(msg.parts, handles, sizeof handles);
	assert_int_equal(msg.data_len, body.size);
	refuse_byte(dp_reply_decode, 23, 0xff, "too many parts");
	refuse_byte(dp_reply_decode, 28, 1, "reserved bytes are not zero");
	dp_actions_uninit(&body);
}

static void
test_dp_protocol_context_item(void **state)
{
	const struct dp_context_item item = {5, 6, 7};
	struct dp_part part = {"context", 7};

	(void)state;
	send_reply(DP_CONTEXT_ITEM, &item, sizeof item, &part, 1);
	assert_memory_equal(msg.data, "context", 7);
}

static void
test_dp_protocol_upcalls(void **state)
{
	struct dp_upcall up = {.parked = {3},
		.packet_len = 100,
		.data_len = 61,
		.key_blocks = 1,
		.flags = DP_UPCALL_CSUM_COMPLETED};
	struct flow_key key = {.in_port = be32_from(5)};
	uint8_t data[61] = {1};
	struct dp_part parts[] = {{&key, 64}, {data, sizeof data}};

	(void)state;
	assert_true(dp_send(&in, DP_UPCALL_MISS, &up, sizeof up, parts, 2));
	receive();
	check_lengths(dp_upcall_decode);
	assert_memory_equal(&msg.key, &key, sizeof key);
	assert_int_equal(msg.data_len, 61);
	refuse_byte(dp_upcall_decode, 16, 60, "packet bytes out of range");
	refuse_byte(dp_upcall_decode, 20, 40, "packet bytes out of range");
	refuse_byte(dp_upcall_decode, 23, 0xff, "packet bytes out of range");
	refuse_byte(dp_upcall_decode, 25, 2, "packet bytes out of range");
	refuse_byte(dp_upcall_decode, 18, 2, "packet bytes out of range");
	refuse_byte(dp_upcall_decode, 26, 0x41, "key blocks that the datapath does not handle");
	refuse_byte(dp_upcall_decode, 27, 1, "reserved bytes are not zero");
	refuse_byte(dp_upcall_decode, 28, 8, "unknown flags");
	assert_false(dp_upcall_decode(0, buf, len, &msg, NULL));
	assert_false(dp_upcall_decode(DP_UPCALL_N, buf, len, &msg, NULL));
}

static void
test_dp_protocol_full_ring(void **state)
{
	const struct dp_barrier barrier = {{1}};
	struct dp_part huge = {buf, DP_MAX_MESSAGE};
	unsigned n = 0;

	(void)state;
	/* From the start of the memory, so that no filler is needed at its end. */
	shm_ring_init_private(&in, memory, RING_SIZE, -1);
	shm_ring_init_private(&out, memory, RING_SIZE, -1);
	assert_false(dp_send(&in, DP_CONTEXT_PUT, &barrier, sizeof barrier, &huge, 1));
	while (dp_send(&in, DP_BARRIER, &barrier, sizeof barrier, NULL, 0)) {
		n++;
	}
	assert_int_equal(n, RING_SIZE / 16);
	shm_ring_init_private(&in, memory, RING_SIZE, -1);
	shm_ring_init_private(&out, memory, RING_SIZE, -1);
}

/* A flow put of anything: what arrives is what was sent; scribbled upon, it is refused or harmless. */
static void
test_dp_protocol_random(void **state)
{
	(void)state;
	random_begin("dp_protocol");
	for (unsigned i = 0; i < 3000; i++) {
		struct flow_key key;
		struct flow_mask mask = {0};
		struct dp_actions actions;
		uint8_t blocks = (uint8_t)(1 | (random_u64() & FLOW_BLOCKS_DATAPATH));

		random_bytes(&key, sizeof key);
		flow_key_clear_absent(&key, blocks);
		key.in_port = be32_from(random_below(DP_PORT_MAX + 1));
		for (unsigned n = random_below(6); n > 0; n--) {
			mask.bits.bytes[random_below(6 * 64)] = (uint8_t)random_u64();
		}
		mask.bits.in_port = mask.bits.recirc_id = UINT32_MAX;
		dp_actions_init(&actions);
		random_actions(&actions, 3);
		assert_true(dp_send_flow_put(
			&in, i, &key, blocks, &mask, 0, actions.data, actions.size));
		receive();
		assert_true(dp_command_decode(kind, buf, len, &msg, NULL));
		assert_memory_equal(&msg.key, &key, sizeof key);
		assert_memory_equal(&msg.mask, &mask, sizeof mask);
		assert_true(dp_actions_equal(
			msg.actions, msg.actions_size, actions.data, actions.size));
		for (unsigned n = 0; n < 10; n++) {
			uint8_t *copy = aligned_alloc(8, len);

			buf[random_below((uint32_t)len)] = (uint8_t)random_u64();
			memcpy(copy, buf, len);
			(void)!dp_command_decode(
				1 + random_below(DP_COMMAND_N), copy, len, &msg, NULL);
			(void)!dp_reply_decode(
				DP_REPLY + random_below(0x120), copy, len, &msg, NULL);
			(void)!dp_upcall_decode(1 + random_below(2), copy, len, &msg, NULL);
			free(copy);
		}
		dp_actions_uninit(&actions);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dp_protocol_flow_put),
		cmocka_unit_test(test_dp_protocol_fixed_commands),
		cmocka_unit_test(test_dp_protocol_context_put),
		cmocka_unit_test(test_dp_protocol_execute),
		cmocka_unit_test(test_dp_protocol_groups),
		cmocka_unit_test(test_dp_protocol_meters),
		cmocka_unit_test(test_dp_protocol_encap),
		cmocka_unit_test(test_dp_protocol_tun_opts),
		cmocka_unit_test(test_dp_protocol_fixed_replies),
		cmocka_unit_test(test_dp_protocol_flow_replies),
		cmocka_unit_test(test_dp_protocol_object_replies),
		cmocka_unit_test(test_dp_protocol_context_item),
		cmocka_unit_test(test_dp_protocol_upcalls),
		cmocka_unit_test(test_dp_protocol_full_ring),
		cmocka_unit_test(test_dp_protocol_random),
		cmocka_unit_test(test_dp_protocol_object_size),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

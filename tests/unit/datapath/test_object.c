/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects as the agent sees them: put, replaced, deleted, listed, counted, handed on (rig.h).
 */
#include <errno.h>
#include <string.h>

#include "datapath/worker.h"
#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "lib/drop_reason.h"
#include "tests/unit/datapath/rig_object.h"

static struct rig_agent agent;
static struct port *ports[4];

static void
begin(void)
{
	rig_start(2);
	for (uint16_t i = 1; i <= 3; i++) {
		ports[i] = rig_port_add(i, NULL);
	}
	rig_agent_open(&agent, 1);
}

static void
end(void)
{
	rig_agent_close(&agent, true);
	rig_stop();
}

/* So many packets of one flow, from port 1; waits until they are where they belong. */
static void
send_packets(unsigned n)
{
	struct lab_frame f;
	struct port_sums before, now;

	lab_frame(&f, LAB_UDP4, 0, 20);
	rig_sums(&before);
	for (unsigned i = 0; i < n; i++) {
		rig_send(ports[1], f.bytes, f.len);
	}
	do {
		rig_nap();
		rig_sums(&now);
	} while (now.tx_packets + now.dropped < before.tx_packets + before.dropped + n);
}

/* Puts the same body by these rules over @object. */
static int
put_ids(struct dp_handle *object, enum dp_object_kind kind, const uint32_t *ids, unsigned n)
{
	struct rig_body body;
	int status;

	rig_body_init(&body, kind);
	for (unsigned i = 0; i < n; i++) {
		rig_bucket(&body, ids[i], 1, UINT32_MAX, RIG_NONE, "output(2)");
	}
	status = rig_object_put(&agent, &body, object);
	rig_body_uninit(&body);
	return status;
}

static void
test_object_life(void **state)
{
	struct dp_handle object, stale, other, flow;

	(void)state;
	begin();
	object = rig_buckets(&agent, DP_OBJECT_FIRST_LIVE, "output(2)|output(3)");
	assert_int_not_equal(object.gen, 0);
	assert_int_equal(objects_count(), 1);
	/* Each part has a slot of its own, behind the flows'. */
	assert_true(rig_parts[0].slot >= RIG_MAX_FLOWS && rig_parts[1].slot >= RIG_MAX_FLOWS);
	assert_int_not_equal(rig_parts[0].slot, rig_parts[1].slot);
	flow = rig_wire(&agent, 1, rig_on("first_live", object));
	send_packets(5);
	assert_int_equal(rig_part_packets(rig_parts[0]), 5);
	assert_int_equal(rig_part_packets(rig_parts[1]), 0);
	assert_int_equal(rig_n_waiting(ports[2]), 5);
	/* Held by the flow. */
	assert_int_equal(rig_object_del(&agent, object), -EBUSY);
	assert_int_equal(rig_n_parts, 0);
	assert_int_equal(rig_del(&agent, flow, NULL), 0);
	assert_int_equal(rig_object_del(&agent, object), 0);
	assert_int_equal(rig_n_parts, 2);
	assert_int_equal(rig_finals[0].packets, 5);
	assert_int_equal(rig_finals[0].bytes, 5 * 62);
	assert_int_equal(rig_finals[1].packets, 0);
	assert_int_equal(objects_count(), 0);
	/* Its slot is used again, under another generation; so are its parts'. */
	stale = object;
	other = rig_buckets(&agent, DP_OBJECT_FIRST_LIVE, "output(2)");
	assert_int_equal(other.slot, stale.slot);
	assert_int_equal(other.gen, stale.gen + 1);
	assert_int_equal(rig_part_packets(rig_parts[0]), 0);
	assert_int_equal(rig_object_del(&agent, stale), -ESTALE);
	assert_int_equal(rig_object_del(&agent, (struct dp_handle){70000, 1}), -ESTALE);
	assert_int_equal(rig_object_del(&agent, RIG_NONE), -ESTALE);
	assert_int_equal(put_ids(&stale, DP_OBJECT_FIRST_LIVE, (const uint32_t[]){1}, 1), -ESTALE);
	assert_int_equal(rig_object_del(&agent, other), 0);
	end();
}

/* A flow may name what is there, and what is of the right kind. */
static void
test_object_flows_name_what_is_there(void **state)
{
	struct dp_handle select, meter, flow;
	struct flow_key key = {.in_port = be32_from(1)};
	struct flow_mask mask;
	uint8_t frame[64] = {0};

	(void)state;
	begin();
	rig_mask(&mask, FIELD_N);
	select = rig_buckets(&agent, DP_OBJECT_SELECT, "output(2)");
	meter = rig_drop_meter(&agent, DP_METER_PKTPS, 1000, 0);
	for (unsigned i = 0; i < 2; i++) {
		const char *wrong = i ? rig_on("clone(meter", select) : rig_on("select", meter);
		char text[64];

		snprintf(text, sizeof text, "%s%s", wrong, i ? ")" : "");
		assert_int_equal(rig_put(&agent, &key, 1, &mask, 0, text, NULL), -EINVAL);
		assert_int_equal(rig_execute_bytes(&agent, 1, text, frame, sizeof frame), -EINVAL);
	}
	assert_int_equal(rig_put(&agent, &key, 1, &mask, 0, "select(5.1)", NULL), -ESTALE);
	assert_int_equal(rig_execute_bytes(&agent, 1, "select(5.1)", frame, sizeof frame), -ESTALE);
	/* References are counted as often as they stand, and move with the actions of a flow. */
	{
		char text[200];

		snprintf(text, sizeof text, "clone(%s),clone(dec_ttl(%s)),%s",
			rig_on("select", select), rig_on("select", select), rig_on("meter", meter));
		assert_int_equal(rig_put(&agent, &key, 1, &mask, 0, text, &flow), 0);
	}
	assert_int_equal(rig_object_del(&agent, select), -EBUSY);
	assert_int_equal(rig_object_del(&agent, meter), -EBUSY);
	assert_int_equal(rig_put(&agent, &key, 1, &mask, 0, rig_on("meter", meter), &flow), 0);
	assert_int_equal(rig_object_del(&agent, select), 0);
	assert_int_equal(rig_object_del(&agent, meter), -EBUSY);
	/* A port's flows hold nothing when the port is gone. */
	rig_port_del(ports[1]);
	assert_int_equal(rig_object_del(&agent, meter), 0);
	end();
}

/* Parts are known by their ids: those that stay keep slot and counters, others get fresh ones. */
static void
test_object_replace_keeps_parts(void **state)
{
	struct dp_handle object = RIG_NONE, first[3];

	(void)state;
	begin();
	assert_int_equal(put_ids(&object, DP_OBJECT_FIRST_LIVE, (const uint32_t[]){7, 8, 9}, 3), 0);
	memcpy(first, rig_parts, sizeof first);
	rig_wire(&agent, 1, rig_on("first_live", object));
	send_packets(3);
	assert_int_equal(rig_part_packets(first[0]), 3);
	/* In another order, one gone, one new. */
	assert_int_equal(put_ids(&object, DP_OBJECT_FIRST_LIVE, (const uint32_t[]){9, 5, 7}, 3), 0);
	assert_memory_equal(&rig_parts[0], &first[2], sizeof first[0]);
	assert_memory_equal(&rig_parts[2], &first[0], sizeof first[0]);
	assert_int_not_equal(rig_parts[1].slot, first[1].slot);
	assert_int_equal(rig_part_packets(rig_parts[2]), 3);
	send_packets(4);
	assert_int_equal(rig_part_packets(rig_parts[0]), 4);
	assert_int_equal(rig_part_packets(rig_parts[1]), 0);
	/* The slot of the one that went is free after the grace period, and is taken next. */
	rig_barrier(&agent);
	assert_int_equal(put_ids(&object, DP_OBJECT_FIRST_LIVE, (const uint32_t[]){9, 8}, 2), 0);
	assert_int_equal(rig_parts[1].slot, first[1].slot);
	assert_int_equal(rig_parts[1].gen, first[1].gen + 1);
	assert_int_equal(rig_part_packets(rig_parts[1]), 0);
	assert_int_equal(rig_part_packets(rig_parts[0]), 4);
	/* The kind stays. */
	assert_int_equal(put_ids(&object, DP_OBJECT_SELECT, (const uint32_t[]){9}, 1), -EINVAL);
	end();
}

/* Objects refer to objects: counted, never in a loop, and only to what has buckets where they watch. */
static void
test_object_references(void **state)
{
	struct dp_handle a = RIG_NONE, b = RIG_NONE, c = RIG_NONE, meter;
	struct rig_body to_b, to_a, watches_c, none, watches_meter;
	char text[100];

	(void)state;
	begin();
	meter = rig_drop_meter(&agent, DP_METER_PKTPS, 1, 0);
	c = rig_buckets(&agent, DP_OBJECT_SELECT, "output(2)");
	rig_body_init(&watches_c, DP_OBJECT_FIRST_LIVE);
	rig_bucket(&watches_c, 1, 0, UINT32_MAX, c, rig_on("meter", meter));
	assert_int_equal(rig_object_put(&agent, &watches_c, &b), 0);
	rig_body_init(&to_b, DP_OBJECT_FIRST_LIVE);
	rig_bucket(&to_b, 1, 0, UINT32_MAX, RIG_NONE, rig_on("first_live", b));
	assert_int_equal(rig_object_put(&agent, &to_b, &a), 0);
	assert_int_equal(rig_object_del(&agent, meter), -EBUSY);
	assert_int_equal(rig_object_del(&agent, c), -EBUSY);
	assert_int_equal(rig_object_del(&agent, b), -EBUSY);
	/* c to a would close the loop; so would a to itself. */
	rig_body_init(&to_a, DP_OBJECT_SELECT);
	snprintf(text, sizeof text, "output(2),clone(%s)", rig_on("first_live", a));
	rig_bucket(&to_a, 1, 1, UINT32_MAX, RIG_NONE, text);
	assert_int_equal(rig_object_put(&agent, &to_a, &c), -ELOOP);
	rig_body_uninit(&to_b);
	rig_body_init(&to_b, DP_OBJECT_FIRST_LIVE);
	rig_bucket(&to_b, 1, 0, UINT32_MAX, a, "output(2)");
	assert_int_equal(rig_object_put(&agent, &to_b, &a), -ELOOP);
	/* What was refused has changed nothing. */
	assert_int_equal(rig_object_del(&agent, b), -EBUSY);
	/* A meter is no object to watch; a new object may be refused, too. */
	rig_body_init(&watches_meter, DP_OBJECT_FIRST_LIVE);
	rig_bucket(&watches_meter, 1, 0, UINT32_MAX, meter, "output(2)");
	{
		struct dp_handle fresh = RIG_NONE;

		assert_int_equal(rig_object_put(&agent, &watches_meter, &fresh), -EINVAL);
	}
	/* A new body lets go of what the old one held. */
	rig_body_init(&none, DP_OBJECT_FIRST_LIVE);
	assert_int_equal(rig_object_put(&agent, &none, &b), 0);
	assert_int_equal(rig_object_del(&agent, meter), 0);
	assert_int_equal(rig_object_del(&agent, c), 0);
	assert_int_equal(rig_object_del(&agent, a), 0);
	assert_int_equal(rig_object_del(&agent, b), 0);
	/* What has been deleted is no more to be referred to. */
	{
		struct dp_handle fresh = RIG_NONE;

		assert_int_equal(rig_object_put(&agent, &watches_c, &fresh), -ESTALE);
	}
	rig_body_uninit(&to_a);
	rig_body_uninit(&to_b);
	rig_body_uninit(&watches_c);
	rig_body_uninit(&watches_meter);
	rig_body_uninit(&none);
	end();
}

/* A tunnel's header: put, replaced, referred to by a bucket, deleted when nothing does any more. */
static void
test_object_encap(void **state)
{
	struct dp_encap encap = {
		.kind = DP_TUNNEL_GRE, .size = 38, .l3_off = 14, .l4_off = 34, .port = UINT32_MAX};
	uint8_t header[40] = {[12] = 8, [14] = 0x45, [23] = 47, [36] = 0x65, [37] = 0x58};
	struct dp_handle gre = RIG_NONE, select = RIG_NONE;
	struct rig_body body;
	char text[64];

	(void)state;
	begin();
	rig_body_init(&body, DP_OBJECT_ENCAP);
	dp_actions_append(&body.bytes, &encap, sizeof encap);
	dp_actions_append(&body.bytes, header, sizeof header);
	assert_int_equal(rig_object_put(&agent, &body, &gre), 0);
	assert_int_equal(rig_n_parts, 0);
	rig_body_uninit(&body);
	rig_body_init(&body, DP_OBJECT_SELECT);
	rig_bucket(&body, 1, 1, UINT32_MAX, RIG_NONE, "output(2)");
	snprintf(text, sizeof text, "clone(%s)", rig_on("encap", gre));
	rig_bucket(&body, 2, 1, UINT32_MAX, RIG_NONE, text);
	assert_int_equal(rig_object_put(&agent, &body, &select), 0);
	/* The kind of an object stays. */
	assert_int_equal(rig_object_put(&agent, &body, &gre), -EINVAL);
	rig_body_uninit(&body);
	assert_int_equal(rig_object_del(&agent, gre), -EBUSY);
	encap.flags = DP_ENCAP_TTL_INHERIT;
	rig_body_init(&body, DP_OBJECT_ENCAP);
	dp_actions_append(&body.bytes, &encap, sizeof encap);
	dp_actions_append(&body.bytes, header, sizeof header);
	assert_int_equal(rig_object_put(&agent, &body, &gre), 0);
	rig_body_uninit(&body);
	assert_int_equal(rig_object_del(&agent, select), 0);
	assert_int_equal(rig_object_del(&agent, gre), 0);
	assert_int_equal(objects_count(), 0);
	end();
}

/* The next agent finds what its predecessor left, page by page, with bodies and parts. */
static void
test_object_takeover(void **state)
{
	struct dp_handle objects[9], parts[9];
	struct dp_list list = {.cmd.request = 77, .max = 4};
	struct rig_agent second;
	unsigned n = 0, pages = 0;

	(void)state;
	begin();
	for (unsigned i = 0; i < 9; i++) {
		objects[i] = RIG_NONE;
		assert_int_equal(
			put_ids(&objects[i], DP_OBJECT_SELECT, (const uint32_t[]){i + 100}, 1), 0);
		parts[i] = rig_parts[0];
	}
	assert_int_equal(rig_object_del(&agent, objects[5]), 0);
	rig_wire(&agent, 1, rig_on("select", objects[8]));
	rig_agent_close(&agent, true);
	rig_agent_open(&second, 2);
	send_packets(6);
	do {
		pages++;
		assert_true(dp_send(&second.commands, DP_OBJECT_LIST, &list, sizeof list, NULL, 0));
		shm_ring_publish(&second.commands);
		while (rig_reply(&second) == DP_OBJECT_ITEM) {
			const struct dp_object_item *item = second.msg.body;
			const struct dp_bucket *b = (const void *)second.msg.data;

			n += n == 5;
			assert_int_equal(item->request, 77);
			assert_memory_equal(&item->object, &objects[n], sizeof item->object);
			assert_int_equal(item->kind, DP_OBJECT_SELECT);
			assert_int_equal(second.msg.n_parts, 1);
			assert_memory_equal(&second.msg.parts[0], &parts[n], sizeof parts[0]);
			assert_int_equal(b->id, n + 100);
			assert_int_equal(rig_part_packets(parts[n]), n == 8 ? 6 : 0);
			n++;
		}
		list.from_slot = ((const struct dp_list_reply *)second.msg.body)->next_slot;
	} while (list.from_slot != UINT32_MAX);
	assert_int_equal(n, 9);
	assert_int_equal(pages, 2);
	/* And is their master. */
	assert_int_equal(rig_object_del(&second, objects[8]), -EBUSY);
	assert_int_equal(rig_object_del(&second, objects[0]), 0);
	rig_agent_close(&second, true);
	rig_stop();
}

/* Large objects: many answers come due at once, more than the ring holds; none is lost or overtaken. */
static void
test_object_many_large(void **state)
{
	const unsigned n = 60, n_buckets = DP_OBJECT_MAX_BODY / sizeof(struct dp_bucket);
	struct dp_barrier barrier = {.cmd.request = 9999};
	struct dp_handle objects[60];
	struct rig_body body;

	(void)state;
	begin();
	rig_body_init(&body, DP_OBJECT_FIRST_LIVE);
	for (unsigned i = 0; i < n_buckets; i++) {
		struct dp_bucket b = {.size = sizeof b, .id = i, .watch_port = UINT32_MAX};

		dp_actions_append(&body.bytes, &b, sizeof b);
		body.n_parts++;
	}
	for (unsigned i = 0; i < n; i++) {
		objects[i] = RIG_NONE;
		assert_int_equal(rig_object_put(&agent, &body, &objects[i]), 0);
	}
	for (unsigned i = 0; i < n; i++) {
		struct dp_object_del del = {.cmd.request = i, .object = objects[i]};

		assert_true(dp_send(&agent.commands, DP_OBJECT_DEL, &del, sizeof del, NULL, 0));
	}
	assert_true(dp_send(&agent.commands, DP_BARRIER, &barrier, sizeof barrier, NULL, 0));
	shm_ring_publish(&agent.commands);
	for (unsigned i = 0; i < n; i++) {
		const struct dp_object_del_reply *reply;

		assert_int_equal(rig_reply(&agent), DP_REPLY + DP_OBJECT_DEL);
		reply = agent.msg.body;
		assert_int_equal(reply->reply.status, 0);
		assert_int_equal(reply->reply.request, i);
		assert_int_equal(reply->n_parts, n_buckets);
	}
	assert_int_equal(rig_reply(&agent), DP_REPLY + DP_BARRIER);
	/* As many parts as there are, and no more. */
	for (unsigned i = 0; i < OBJECT_PARTS_MAX / n_buckets; i++) {
		struct dp_handle fresh = RIG_NONE;

		assert_int_equal(rig_object_put(&agent, &body, &fresh), 0);
	}
	objects[0] = RIG_NONE;
	assert_int_equal(rig_object_put(&agent, &body, &objects[0]), -ENOSPC);
	rig_body_uninit(&body);
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_object_life),
		cmocka_unit_test(test_object_flows_name_what_is_there),
		cmocka_unit_test(test_object_replace_keeps_parts),
		cmocka_unit_test(test_object_references),
		cmocka_unit_test(test_object_encap),
		cmocka_unit_test(test_object_takeover),
		cmocka_unit_test(test_object_many_large),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}

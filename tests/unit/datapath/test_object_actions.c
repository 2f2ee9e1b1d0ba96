/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects in a worker's hands: which bucket packets take, what its actions do to them, where they end
 * (rig.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/worker.h"
#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "tests/unit/datapath/rig_object.h"

#define N_PORTS 5
#define ADDRS "020000000001 020000000002 "
#define IP4 "4500001c000040004001 26ce 0a0000010a000002 0800f7ff00000000"

static struct rig_agent agent;
static struct port *ports[N_PORTS + 1];
static uint8_t bytes[2048];

static void
begin(void)
{
	rig_begin(ports, N_PORTS, &agent);
}

static void
end(void)
{
	rig_end(&agent);
}

/* Sends a frame by port 1 and waits until it has left or ended. */
static void
send_frame(const uint8_t *frame, size_t len)
{
	struct port_sums before, now;

	rig_sums(&before);
	rig_send(ports[1], frame, len);
	do {
		rig_nap();
		rig_sums(&now);
	} while (now.tx_packets + now.dropped == before.tx_packets + before.dropped);
	rig_wait((rig_sums(&now), now.rx_packets + now.made + now.copied ==
					  now.tx_packets + now.to_agent + now.dropped));
}

static void
send_hex(const char *hex)
{
	uint8_t frame[256];

	send_frame(frame, lab_hex(frame, sizeof frame, hex));
}

static void
expect_hex(unsigned port, const char *hex)
{
	uint8_t want[256];
	size_t len = lab_hex(want, sizeof want, hex);

	assert_int_equal(rig_n_waiting(ports[port]), 1);
	assert_int_equal(rig_receive(ports[port], bytes, sizeof bytes), len);
	assert_memory_equal(bytes, want, len);
}

static uint64_t
drops(enum drop_reason reason)
{
	struct port_sums now;

	rig_sums(&now);
	return now.drops[reason];
}

/* The port by which a packet left, 0: none. */
static unsigned
left_by(void)
{
	unsigned by = 0;

	for (unsigned i = 2; i <= N_PORTS; i++) {
		if (ports[i] && rig_n_waiting(ports[i])) {
			assert_int_equal(by, 0);
			by = i;
			rig_receive(ports[i], bytes, sizeof bytes);
		}
	}
	return by;
}

/* A bucket's actions run on the packet, and what stands behind them in the flow's list goes on with it. */
static void
test_object_bucket_actions(void **state)
{
	struct dp_handle push, copies, empty, inner, outer;
	char text[200];

	(void)state;
	begin();
	push = rig_buckets(&agent, DP_OBJECT_FIRST_LIVE, "push_vlan(tpid=0x8100,vid=5,pcp=0)");
	snprintf(text, sizeof text, "%s,output(2)", rig_on("first_live", push));
	rig_wire(&agent, 1, text);
	send_hex(ADDRS "0800" IP4);
	expect_hex(2, ADDRS "8100 0005 0800" IP4);
	/* CLONE keeps the packet as it was. */
	snprintf(text, sizeof text, "clone(%s,output(2)),output(3)", rig_on("first_live", push));
	rig_wire(&agent, 1, text);
	send_hex(ADDRS "0800" IP4);
	expect_hex(2, ADDRS "8100 0005 0800" IP4);
	expect_hex(3, ADDRS "0800" IP4);
	/* What left in the bucket is not touched by what follows. */
	copies = rig_buckets(&agent, DP_OBJECT_SELECT, "output(2),set(ip_dst=10.0.0.9),output(3)");
	snprintf(text, sizeof text, "%s,set(ip_dst=10.0.0.7),output(4)", rig_on("select", copies));
	rig_wire(&agent, 1, text);
	send_hex(ADDRS "0800" IP4);
	expect_hex(2, ADDRS "0800" IP4);
	expect_hex(3, ADDRS "0800 4500001c00004000400126c7 0a0000010a000009 0800f7ff00000000");
	expect_hex(4, ADDRS "0800 4500001c00004000400126c9 0a0000010a000007 0800f7ff00000000");
	assert_int_equal(rig_part_packets(rig_parts[0]), 1);
	/* Also in large packets, which share their bytes where they can. */
	{
		struct lab_frame f;

		lab_frame(&f, LAB_UDP4, 0, 1200);
		send_frame(f.bytes, f.len);
		assert_int_equal(rig_receive(ports[2], bytes, sizeof bytes), f.len);
		assert_memory_equal(bytes, f.bytes, f.len);
		assert_int_equal(rig_receive(ports[3], bytes, sizeof bytes), f.len);
		assert_int_equal(bytes[f.l3 + 19], 9);
		assert_int_equal(rig_receive(ports[4], bytes, sizeof bytes), f.len);
		assert_int_equal(bytes[f.l3 + 19], 7);
	}
	/* A bucket without actions leaves the packet; nothing behind it: explicit. */
	empty = rig_buckets(&agent, DP_OBJECT_FIRST_LIVE, "push_vlan(tpid=0x8100,vid=5,pcp=0)");
	rig_wire(&agent, 1, rig_on("first_live", empty));
	send_hex(ADDRS "0800" IP4);
	assert_int_equal(left_by(), 0);
	assert_int_equal(drops(DROP_EXPLICIT), 1);
	/* One object behind the other. */
	inner = rig_buckets(&agent, DP_OBJECT_SELECT, "push_vlan(tpid=0x8100,vid=7,pcp=0)");
	snprintf(text, sizeof text, "push_vlan(tpid=0x8100,vid=6,pcp=0),%s,output(2)",
		rig_on("select", inner));
	outer = rig_buckets(&agent, DP_OBJECT_FIRST_LIVE, text);
	rig_wire(&agent, 1, rig_on("first_live", outer));
	send_hex(ADDRS "0800" IP4);
	expect_hex(2, ADDRS "8100 0007 8100 0006 0800" IP4);
	end();
}

/* The liveness word of a port decides with the next packet: link, administrative state, existence. */
static void
test_object_first_live(void **state)
{
	struct dp_handle object = RIG_NONE, watcher = RIG_NONE;
	struct rig_body body;
	struct dp_handle parts[3];

	(void)state;
	begin();
	rig_body_init(&body, DP_OBJECT_FIRST_LIVE);
	rig_bucket(&body, 1, 0, 2, RIG_NONE, "output(2)");
	rig_bucket(&body, 2, 0, 3, RIG_NONE, "output(3)");
	assert_int_equal(rig_object_put(&agent, &body, &object), 0);
	memcpy(parts, rig_parts, sizeof parts);
	rig_wire(&agent, 1, rig_on("first_live", object));
	send_hex(ADDRS "0800" IP4);
	assert_int_equal(left_by(), 2);
	rig_set_link(ports[2], false);
	send_hex(ADDRS "0800" IP4);
	assert_int_equal(left_by(), 3);
	rig_set_link(ports[2], true);
	send_hex(ADDRS "0800" IP4);
	assert_int_equal(left_by(), 2);
	atomic_store(&ports[2]->admin_up, false);
	send_hex(ADDRS "0800" IP4);
	assert_int_equal(left_by(), 3);
	rig_port_del(ports[3]);
	ports[3] = NULL;
	send_hex(ADDRS "0800" IP4);
	assert_int_equal(left_by(), 0);
	assert_int_equal(drops(DROP_NO_BUCKET), 1);
	assert_int_equal(rig_part_packets(parts[0]), 2);
	assert_int_equal(rig_part_packets(parts[1]), 2);
	rig_body_uninit(&body);
	/* An object is live while a bucket of it is; a bucket while either of what it watches is. */
	rig_body_init(&body, DP_OBJECT_FIRST_LIVE);
	rig_bucket(&body, 1, 0, UINT32_MAX, object, "output(4)");
	rig_bucket(&body, 2, 0, 2, object, "output(4)");
	rig_bucket(&body, 3, 0, 5, object, "output(5)");
	assert_int_equal(rig_object_put(&agent, &body, &watcher), 0);
	rig_wire(&agent, 1, rig_on("first_live", watcher));
	send_hex(ADDRS "0800" IP4);
	assert_int_equal(left_by(), 5);
	atomic_store(&ports[2]->admin_up, true);
	send_hex(ADDRS "0800" IP4);
	assert_int_equal(left_by(), 4);
	rig_body_uninit(&body);
	/* Without any bucket there is none that is live. */
	rig_body_init(&body, DP_OBJECT_FIRST_LIVE);
	assert_int_equal(rig_object_put(&agent, &body, &watcher), 0);
	send_hex(ADDRS "0800" IP4);
	assert_int_equal(left_by(), 0);
	assert_int_equal(drops(DROP_NO_BUCKET), 2);
	rig_body_uninit(&body);
	end();
}

/* Packets of a flow stay together, flows spread as the weights say; a dead bucket's flows go to others,
 * and come back. */
static void
test_object_select(void **state)
{
	enum { N_FLOWS = 1200 };

	static struct lab_frame frames[N_FLOWS];
	static uint8_t first[N_FLOWS];
	struct dp_handle object = RIG_NONE;
	struct rig_body body;
	unsigned n[N_PORTS + 1] = {0}, moved = 0;

	(void)state;
	lab_seed("select");
	begin();
	rig_body_init(&body, DP_OBJECT_SELECT);
	rig_bucket(&body, 10, 1, 2, RIG_NONE, "output(2)");
	rig_bucket(&body, 11, 0, UINT32_MAX, RIG_NONE, "output(5)");
	rig_bucket(&body, 12, 2, 3, RIG_NONE, "output(3)");
	rig_bucket(&body, 13, 3, 4, RIG_NONE, "output(4)");
	assert_int_equal(rig_object_put(&agent, &body, &object), 0);
	rig_wire(&agent, 1, rig_on("select", object));
	for (unsigned pass = 0; pass < 3; pass++) {
		rig_set_link(ports[3], pass != 1);
		for (unsigned i = 0; i < N_FLOWS; i++) {
			unsigned by;

			if (!pass) {
				lab_frame(&frames[i], (enum lab_kind)lab_below(LAB_ARP), i % 3, 0);
			}
			send_frame(frames[i].bytes, frames[i].len);
			by = left_by();
			assert_in_range(by, 2, 4);
			if (!pass) {
				first[i] = (uint8_t)by;
				n[by]++;
			} else if (pass == 1) {
				assert_int_not_equal(by, 3);
				assert_true(first[i] == 3 || by == first[i]);
				moved += by != first[i];
			} else {
				assert_int_equal(by, first[i]);
			}
		}
	}
	assert_int_equal(moved, n[3]);
	/* Five sigmas of 1200 flows. */
	assert_in_range(n[2], 200 - 65, 200 + 65);
	assert_in_range(n[3], 400 - 82, 400 + 82);
	assert_in_range(n[4], 600 - 87, 600 + 87);
	assert_int_equal(rig_part_packets(rig_parts[0]) + rig_part_packets(rig_parts[2]) +
				 rig_part_packets(rig_parts[3]),
		3 * N_FLOWS);
	assert_int_equal(rig_part_packets(rig_parts[1]), 0);
	rig_body_uninit(&body);
	/* A weight of 0 is no choice, even if there is no other. */
	rig_body_init(&body, DP_OBJECT_SELECT);
	rig_bucket(&body, 11, 0, UINT32_MAX, RIG_NONE, "output(5)");
	assert_int_equal(rig_object_put(&agent, &body, &object), 0);
	send_frame(frames[0].bytes, frames[0].len);
	assert_int_equal(left_by(), 0);
	assert_int_equal(drops(DROP_NO_BUCKET), 1);
	rig_body_uninit(&body);
	end();
}

/* A HASH action decides what packets have in common; two selects, one behind the other, do not decide
 * alike. */
static void
test_object_select_by_hash(void **state)
{
	struct dp_handle inner, outer;
	unsigned n[N_PORTS + 1] = {0};
	struct lab_frame f;
	char text[200];
	unsigned by;

	(void)state;
	lab_seed("select by hash");
	begin();
	inner = rig_buckets(&agent, DP_OBJECT_SELECT, "output(2)|output(3)");
	snprintf(text, sizeof text, "hash(basis=0,eth_type),%s", rig_on("select", inner));
	rig_wire(&agent, 1, text);
	for (unsigned i = 0; i < 64; i++) {
		lab_frame(&f, LAB_TCP4, 0, 0);
		send_frame(f.bytes, f.len);
		n[left_by()]++;
	}
	assert_true(n[2] == 64 || n[3] == 64);
	/* Those that fall to the first half of the outer one fall to both halves of the inner one. */
	snprintf(text, sizeof text, "%s|output(4)", rig_on("select", inner));
	outer = rig_buckets(&agent, DP_OBJECT_SELECT, text);
	rig_wire(&agent, 1, rig_on("select", outer));
	memset(n, 0, sizeof n);
	for (unsigned i = 0; i < 400; i++) {
		lab_frame(&f, LAB_TCP4, 0, 0);
		send_frame(f.bytes, f.len);
		by = left_by();
		assert_in_range(by, 2, 4);
		n[by]++;
	}
	assert_in_range(n[4], 150, 250);
	assert_in_range(n[2], 55, 145);
	assert_in_range(n[3], 55, 145);
	end();
}

/* How deep packets may go, and how deep watches. */
static void
test_object_depth(void **state)
{
	struct dp_handle chain[DP_OBJECT_MAX_DEPTH + 1], harmless;
	char text[400] = "";
	struct rig_body body;

	(void)state;
	begin();
	chain[0] = rig_buckets(&agent, DP_OBJECT_FIRST_LIVE, "output(2)");
	for (unsigned i = 1; i <= DP_OBJECT_MAX_DEPTH; i++) {
		chain[i] = rig_buckets(
			&agent, DP_OBJECT_FIRST_LIVE, rig_on("first_live", chain[i - 1]));
	}
	rig_wire(&agent, 1, rig_on("first_live", chain[DP_OBJECT_MAX_DEPTH - 1]));
	send_hex(ADDRS "0800" IP4);
	assert_int_equal(left_by(), 2);
	rig_wire(&agent, 1, rig_on("first_live", chain[DP_OBJECT_MAX_DEPTH]));
	send_hex(ADDRS "0800" IP4);
	assert_int_equal(left_by(), 0);
	assert_int_equal(drops(DROP_ACTION_LIMIT), 1);
	/* One behind the other is not one inside the other. */
	harmless = rig_buckets(&agent, DP_OBJECT_FIRST_LIVE, "set(eth_src=02:00:00:00:00:02)");
	for (unsigned i = 0; i <= DP_OBJECT_MAX_DEPTH; i++) {
		strcat(strcat(text, rig_on("first_live", harmless)), ",");
	}
	rig_wire(&agent, 1, strcat(text, "output(2)"));
	send_hex(ADDRS "0800" IP4);
	assert_int_equal(left_by(), 2);
	/* A chain of watches: each is live while the one before is. */
	for (unsigned i = 0; i <= DP_OBJECT_MAX_DEPTH; i++) {
		chain[i] = RIG_NONE;
		rig_body_init(&body, DP_OBJECT_FIRST_LIVE);
		rig_bucket(&body, 1, 0, UINT32_MAX, i ? chain[i - 1] : RIG_NONE, "output(3)");
		assert_int_equal(rig_object_put(&agent, &body, &chain[i]), 0);
		rig_body_uninit(&body);
	}
	for (unsigned i = 0; i < 2; i++) {
		struct dp_handle watcher = RIG_NONE;

		rig_body_init(&body, DP_OBJECT_FIRST_LIVE);
		rig_bucket(&body, 1, 0, UINT32_MAX, chain[DP_OBJECT_MAX_DEPTH - i], "output(4)");
		rig_bucket(&body, 2, 0, UINT32_MAX, RIG_NONE, "output(5)");
		assert_int_equal(rig_object_put(&agent, &body, &watcher), 0);
		rig_body_uninit(&body);
		rig_wire(&agent, 1, rig_on("first_live", watcher));
		send_hex(ADDRS "0800" IP4);
		assert_int_equal(left_by(), i ? 4 : 5);
	}
	end();
}

/* How much one packet may ask for in all. */
static void
test_object_looks(void **state)
{
	struct dp_handle wide;
	struct flow_key key = {.in_port = be32_from(1)};
	struct port_sums before, after;
	struct dp_actions list;
	struct flow_mask mask;
	struct rig_body body;
	char *many = xmalloc(64 * (OBJECT_MAX_LOOKS / 2 + 1));
	size_t at = 0;

	(void)state;
	begin();
	/* An object and its bucket are two looks. */
	wide = rig_buckets(&agent, DP_OBJECT_FIRST_LIVE, "drop(explicit)");
	for (unsigned i = 0; i <= OBJECT_MAX_LOOKS / 2; i++) {
		at += (size_t)sprintf(
			many + at, "%sclone(%s)", i ? "," : "", rig_on("first_live", wide));
	}
	rig_mask(&mask, FIELD_N);
	assert_int_equal(rig_put(&agent, &key, 1, &mask, 0, many, NULL), 0);
	free(many);
	rig_sums(&before);
	send_hex(ADDRS "0800" IP4);
	rig_sums(&after);
	assert_int_equal(
		after.drops[DROP_EXPLICIT] - before.drops[DROP_EXPLICIT], OBJECT_MAX_LOOKS / 2);
	assert_int_equal(after.drops[DROP_ACTION_LIMIT] - before.drops[DROP_ACTION_LIMIT], 1);
	/* Each level thirty times the one below: what is beyond the limit drops, and the worker lives. */
	for (unsigned level = 0; level < 5; level++) {
		struct dp_bucket bucket = {.watch_port = UINT32_MAX};

		rig_body_init(&body, DP_OBJECT_FIRST_LIVE);
		dp_actions_init(&list);
		for (unsigned i = 0; i < 30; i++) {
			size_t clone = dp_actions_begin(&list, DP_ACTION_CLONE, 0);

			dp_actions_put_object(&list, DP_ACTION_FIRST_LIVE, wide);
			dp_actions_end(&list, clone);
		}
		bucket.size = (uint32_t)(sizeof bucket + list.size);
		dp_actions_append(&body.bytes, &bucket, sizeof bucket);
		dp_actions_append(&body.bytes, list.data, list.size);
		body.n_parts = 1;
		wide = RIG_NONE;
		assert_int_equal(rig_object_put(&agent, &body, &wide), 0);
		dp_actions_uninit(&list);
		rig_body_uninit(&body);
	}
	rig_wire(&agent, 1, rig_on("first_live", wide));
	rig_sums(&before);
	send_hex(ADDRS "0800" IP4);
	rig_sums(&after);
	/* What an object that was still entered asks for, at most. */
	assert_in_range(after.drops[DROP_ACTION_LIMIT] - before.drops[DROP_ACTION_LIMIT], 30,
		30 * OBJECT_MAX_LOOKS);
	assert_true(after.copied - before.copied < 30 * OBJECT_MAX_LOOKS);
	end();
}

/* A worker that is told to use what is gone by now drops, with the reason. */
static void
test_object_gone(void **state)
{
	struct worker_execute x = {.in_port = 1, .data_len = 64, .handler = 0};
	struct dp_handle gone;
	struct dp_actions list;
	uint8_t frame[64] = {0};

	(void)state;
	begin();
	gone = rig_buckets(&agent, DP_OBJECT_SELECT, "output(2)");
	assert_int_equal(rig_object_del(&agent, gone), 0);
	for (unsigned i = 0; i < 2; i++) {
		struct dp_part parts[2];

		rig_actions(rig_on(i ? "meter" : "select", gone), &list);
		x.actions_size = (uint32_t)list.size;
		parts[0] = (struct dp_part){list.data, list.size};
		parts[1] = (struct dp_part){frame, sizeof frame};
		/* In the place of the tables thread, which is idle. */
		assert_true(dp_send(&workers.inbox_in[0], WORKER_EXECUTE, &x, sizeof x, parts, 2));
		shm_ring_publish(&workers.inbox_in[0]);
		dp_actions_uninit(&list);
		rig_wait(drops(DROP_OBJECT_GONE) == i + 1);
	}
	end();
}

/* So many packets as the burst is long pass; the next token is many seconds away. */
static void
test_object_meter_drops(void **state)
{
	struct dp_handle meter = rig_parts[0], flow;
	struct lab_frame f;
	struct flow_stats sum;
	char text[100];

	(void)state;
	begin();
	lab_frame(&f, LAB_UDP4, 0, 1500 - 42);
	assert_int_equal(f.len, 1500);
	/* 12 kilobits a packet, one kilobit a second: five at once. */
	meter = rig_drop_meter(&agent, DP_METER_BURST, 1, 60);
	snprintf(text, sizeof text, "%s,output(2)", rig_on("meter", meter));
	flow = rig_wire(&agent, 1, text);
	for (unsigned i = 0; i < 12; i++) {
		send_frame(f.bytes, f.len);
	}
	assert_int_equal(rig_n_waiting(ports[2]), 5);
	assert_int_equal(drops(DROP_METER), 7);
	stats_region_read(&rig_stats, rig_parts[0].slot, rig_parts[0].gen, &sum);
	assert_int_equal(sum.packets, 12);
	assert_int_equal(sum.bytes, 12 * 1500);
	stats_region_read(&rig_stats, rig_parts[1].slot, rig_parts[1].gen, &sum);
	assert_int_equal(sum.packets, 7);
	assert_int_equal(sum.bytes, 7 * 1500);
	assert_int_equal(rig_del(&agent, flow, &sum), 0);
	assert_int_equal(sum.packets, 12);
	assert_int_equal(rig_object_del(&agent, meter), 0);
	assert_int_equal(rig_finals[0].packets, 12);
	assert_int_equal(rig_finals[1].packets, 7);
	/* Behind a copy the meter takes but the original. */
	meter = rig_drop_meter(&agent, DP_METER_PKTPS, 0, 0);
	snprintf(text, sizeof text, "output(3),%s,output(2)", rig_on("meter", meter));
	rig_wire(&agent, 1, text);
	send_frame(f.bytes, f.len);
	assert_int_equal(rig_n_waiting(ports[3]), 1);
	assert_int_equal(rig_n_waiting(ports[2]), 5);
	assert_int_equal(drops(DROP_METER), 8);
	end();
}

/* Exceeding packets of AF classes get a higher drop precedence, others stay as they are. */
static void
test_object_meter_remarks(void **state)
{
	static const struct {
		enum lab_kind kind;
		uint8_t tos, want;
	} cases[] = {
		{LAB_UDP4, 0x28, 0x38}, /* AF11 to AF13 */
		{LAB_TCP6, 0x8b, 0x9b}, /* AF41 to AF43, ECN kept */
		{LAB_UDP4, 0x30, 0x38}, /* AF12: 3 is the highest */
		{LAB_UDP4, 0xb8, 0xb8}, /* EF */
		{LAB_ICMP6, 0x00, 0x00},
		{LAB_ARP, 0, 0},
	};
	struct dp_handle meter = RIG_NONE;
	struct rig_body body;
	char text[100];

	(void)state;
	begin();
	rig_meter(&body, DP_METER_PKTPS);
	rig_band(&body, DP_BAND_DSCP_REMARK, 0, 0, 2);
	assert_int_equal(rig_object_put(&agent, &body, &meter), 0);
	snprintf(text, sizeof text, "%s,output(2)", rig_on("meter", meter));
	rig_wire(&agent, 1, text);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(cases); i++) {
		struct lab_frame f, want;
		bool v6 = cases[i].kind == LAB_TCP6 || cases[i].kind == LAB_ICMP6;

		lab_frame(&f, cases[i].kind, 1, 30);
		want = f;
		for (unsigned k = 0; k < 2; k++) {
			struct lab_frame *to = k ? &want : &f;
			uint8_t tos = k ? cases[i].want : cases[i].tos;

			if (v6) {
				to->bytes[to->l3] = (uint8_t)(0x60 | tos >> 4);
				to->bytes[to->l3 + 1] =
					(uint8_t)(tos << 4 | (to->bytes[to->l3 + 1] & 0xf));
			} else if (cases[i].kind != LAB_ARP) {
				to->bytes[to->l3 + 1] = tos;
			}
			lab_frame_csums(to, false);
		}
		send_frame(f.bytes, f.len);
		assert_int_equal(rig_receive(ports[2], bytes, sizeof bytes), want.len);
		assert_memory_equal(bytes, want.bytes, want.len);
	}
	assert_int_equal(rig_part_packets(rig_parts[1]), WEFT_ARRAY_SIZE(cases));
	rig_body_uninit(&body);
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_object_bucket_actions),
		cmocka_unit_test(test_object_first_live),
		cmocka_unit_test(test_object_select),
		cmocka_unit_test(test_object_select_by_hash),
		cmocka_unit_test(test_object_depth),
		cmocka_unit_test(test_object_looks),
		cmocka_unit_test(test_object_gone),
		cmocka_unit_test(test_object_meter_drops),
		cmocka_unit_test(test_object_meter_remarks),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}

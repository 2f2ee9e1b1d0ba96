/* SPDX-License-Identifier: Apache-2.0
 *
 * Action lists through a worker: what leaves by each port, in exact bytes.
 */
#include <string.h>

#include "datapath/worker.h"
#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "tests/unit/datapath/rig.h"

#define ADDRS "020000000001 020000000002 "
#define IP4 "4500001c000040004001 26ce 0a0000010a000002 0800f7ff00000000"
#define N_PORTS 4

static struct rig_agent agent;
static struct port *ports[N_PORTS + 1];
static uint8_t bytes[70000];

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

static void
send_hex(const char *hex)
{
	uint8_t frame[256];

	rig_send(ports[1], frame, lab_hex(frame, sizeof frame, hex));
}

static void
expect_hex(unsigned port, const char *hex)
{
	uint8_t want[256];
	size_t len = lab_hex(want, sizeof want, hex);

	assert_int_equal(rig_receive(ports[port], bytes, sizeof bytes), len);
	assert_memory_equal(bytes, want, len);
}

/* Each list does what its actions say, one behind the other. A NULL frame: it drops, as @drop says. */
static void
test_action_headers(void **state)
{
	static const struct {
		const char *frame, *actions, *out;
		enum drop_reason drop;
	} cases[] = {
		{ADDRS "0800" IP4, "push_mpls(eth_type=0x8847,label=16,tc=0,ttl=64),output(2)",
			ADDRS "8847 00010140" IP4, DROP_N},
		{ADDRS "0800" IP4,
			"push_mpls(eth_type=0x8847,label=16,tc=0,ttl=64),copy_ttl_out,set(mpls_label=5),"
			"set(mpls_tc=3),push_mpls(eth_type=0x8847,label=7,tc=0,ttl=9),dec_mpls_ttl(),output(2)",
			ADDRS "8847 00007008 00005740" IP4, DROP_N},
		/* What a pop laid open can be written to. */
		{ADDRS "8847 00010140" IP4, "pop_mpls(0x800),set(ip_dst=10.0.0.9),output(2)",
			ADDRS "0800 4500001c00004000400126c7 0a0000010a000009 0800f7ff00000000",
			DROP_N},
		{ADDRS "8847 00010111" IP4, "copy_ttl_in,pop_mpls(0x800),dec_ttl(),output(2)",
			ADDRS "0800 4500001c00004000100156ce 0a0000010a000002 0800f7ff00000000",
			DROP_N},
		{ADDRS "8847 00010101" IP4, "dec_mpls_ttl(output(3)),output(2)", NULL, DROP_N},
		{ADDRS "8847 00010101" IP4, "dec_mpls_ttl(),output(2)", NULL, DROP_INVALID_TTL},
		{ADDRS "0800" IP4, "pop_mpls(0x800),output(2)", NULL, DROP_NO_MPLS},
		{ADDRS "0800" IP4, "set(mpls_label=5),output(2)", NULL, DROP_NO_MPLS},
		{ADDRS "0800" IP4, "copy_ttl_in,output(2)", NULL, DROP_NO_MPLS},
		{ADDRS "0800" IP4,
			"push_pbb(0x88e7),set(pbb_isid=0x123456),set(eth_dst=02:00:00:00:00:0a),"
			"push_vlan(tpid=0x88a8,vid=9,pcp=2),output(2)",
			"02000000000a 020000000002 88a8 4009 88e7 00123456" ADDRS "0800" IP4,
			DROP_N},
		{"02000000000a 020000000002 88e7 00123456" ADDRS "0800" IP4,
			"pop_pbb,set(ip_dst=10.0.0.9),output(2)",
			ADDRS "0800 4500001c00004000400126c7 0a0000010a000009 0800f7ff00000000",
			DROP_N},
		{ADDRS "0800" IP4, "pop_pbb,output(2)", NULL, DROP_NO_PBB},
		{ADDRS "0800" IP4, "set(pbb_isid=1),output(2)", NULL, DROP_NO_PBB},
		{ADDRS "0800" IP4,
			"push_mpls(eth_type=0x8847,label=1,tc=0,ttl=1),set(ip_dst=10.0.0.9),output(2)",
			NULL, DROP_NO_L3},
	};

	(void)state;
	begin();
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(cases); i++) {
		struct port_sums before, after;

		rig_wire(&agent, 1, cases[i].actions);
		rig_sums(&before);
		send_hex(cases[i].frame);
		if (cases[i].out) {
			expect_hex(2, cases[i].out);
		} else if (cases[i].drop == DROP_N) {
			expect_hex(3, cases[i].frame);
		} else {
			do {
				rig_nap();
				rig_sums(&after);
			} while (after.dropped == before.dropped);
			assert_int_equal(
				after.drops[cases[i].drop], before.drops[cases[i].drop] + 1);
		}
	}
	end();
}

/* Copies that share the packet's bytes are not changed by what is written behind them. */
static void
test_action_copies(void **state)
{
	static const char *const lists[] = {
		"output(2),output(3),output(4)",
		"output(2),output(3),push_vlan(tpid=0x8100,vid=5,pcp=0),pop_vlan,output(4)",
		"clone(output(2)),sample(probability=4294967295,(output(3))),output(4)",
		"output(2),output(3),clone(output(4))",
	};
	static const uint16_t sizes[] = {60, 400, 600, 1400, 1900};
	unsigned n_buffers;
	struct lab_frame f;

	(void)state;
	begin();
	n_buffers = lab_n_buffers();
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(lists); i++) {
		rig_wire(&agent, 1, lists[i]);
		for (size_t s = 0; s < WEFT_ARRAY_SIZE(sizes); s++) {
			lab_frame(&f, LAB_UDP4, 0, sizes[s] - 42u);
			for (unsigned n = 0; n < 3; n++) {
				rig_send(ports[1], f.bytes, f.len);
			}
			for (unsigned n = 0; n < 9; n++) {
				assert_int_equal(
					rig_receive(ports[2 + n % 3], bytes, sizeof bytes), f.len);
				assert_memory_equal(bytes, f.bytes, f.len);
			}
		}
	}
	/* Written to between and behind outputs, also by a list that takes the packet itself. */
	rig_wire(&agent, 1,
		"output(2),set(eth_dst=02:00:00:00:00:07),output(3),"
		"clone(set(eth_dst=02:00:00:00:00:08),output(4))");
	for (size_t s = 0; s < WEFT_ARRAY_SIZE(sizes); s++) {
		static const uint8_t dst[2][6] = {{2, 0, 0, 0, 0, 7}, {2, 0, 0, 0, 0, 8}};

		lab_frame(&f, LAB_UDP4, 0, sizes[s] - 42u);
		rig_send(ports[1], f.bytes, f.len);
		for (unsigned n = 0; n < 3; n++) {
			assert_int_equal(rig_receive(ports[2 + n], bytes, sizeof bytes), f.len);
			if (n) {
				memcpy(f.bytes, dst[n - 1], 6);
			}
			assert_memory_equal(bytes, f.bytes, f.len);
		}
	}
	rig_barrier(&agent);
	assert_int_equal(lab_n_buffers(), n_buffers);
	end();
}

/* A hash action's result is the key's dp_hash behind a recirculation, and of nothing else. */
static void
test_action_hash(void **state)
{
	struct flow_key key = {.in_port = be32_from(1), .recirc_id = be32_from(5)};
	struct dp_handle flow;
	struct flow_mask mask;
	struct dp_parked parked;
	struct lab_frame f;
	be32_t first;

	(void)state;
	begin();
	rig_wire(&agent, 1, "hash(basis=3),recirc(0x5)");
	lab_frame(&f, LAB_UDP4, 0, 20);
	rig_send(ports[1], f.bytes, f.len);
	parked = rig_upcall(&agent, 0)->parked;
	first = agent.msg.key.hash;
	assert_int_not_equal(first, 0);
	key.hash = first;
	rig_mask(&mask, FIELD_HASH, FIELD_N);
	assert_int_equal(rig_put(&agent, &key, FLOW_BLOCK(0), &mask, 0, "output(2)", &flow), 0);
	rig_execute(&agent, parked, 0, "output(2)");
	assert_int_equal(rig_receive(ports[2], bytes, sizeof bytes), f.len);
	/* The same conversation hits; another port misses. */
	rig_send(ports[1], f.bytes, f.len);
	assert_int_equal(rig_receive(ports[2], bytes, sizeof bytes), f.len);
	f.bytes[f.l4 + 3] ^= 1;
	lab_frame_csums(&f, false);
	rig_send(ports[1], f.bytes, f.len);
	rig_upcall(&agent, 0);
	assert_int_not_equal(agent.msg.key.hash, first);
	/* By chosen fields: ports do not count. */
	rig_wire(&agent, 1, "hash(basis=3,eth_src,ip_src),recirc(0x6)");
	rig_send(ports[1], f.bytes, f.len);
	rig_upcall(&agent, 0);
	first = agent.msg.key.hash;
	f.bytes[f.l4 + 3] ^= 1;
	lab_frame_csums(&f, false);
	rig_send(ports[1], f.bytes, f.len);
	rig_upcall(&agent, 0);
	assert_int_equal(agent.msg.key.hash, first);
	rig_agent_close(&agent, true);
	rig_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_action_headers),
		cmocka_unit_test(test_action_copies),
		cmocka_unit_test(test_action_hash),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}

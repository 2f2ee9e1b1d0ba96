/* SPDX-License-Identifier: Apache-2.0
 *
 * Workers, upcalls, parking, and the tables thread, as a guest and an agent see them (rig.h).
 */
#include <string.h>
#include <unistd.h>

#include "datapath/worker.h"
#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "tests/unit/datapath/rig.h"

static struct rig_agent agent;
static uint8_t bytes[70000];

static void
frame_number(struct lab_frame *f, uint32_t n)
{
	lab_frame(f, LAB_UDP4, 0, 40);
	memset(f->bytes, 0, 12);
	f->bytes[5] = 1;
	f->bytes[11] = 2;
	put_be32(f->bytes + f->len - 4, n);
	lab_frame_csums(f, false);
}

static void
assert_receives(struct port *port, const struct lab_frame *f)
{
	assert_int_equal(rig_receive(port, bytes, sizeof bytes), f->len);
	assert_memory_equal(bytes, f->bytes, f->len);
}

/* Commands to the agent's rings are taken. */
static uint64_t
n_drops(enum drop_reason reason)
{
	struct port_sums s;

	rig_sums(&s);
	return s.drops[reason];
}

static uint64_t
n_rx(void)
{
	struct port_sums s;

	rig_sums(&s);
	return s.rx_packets;
}

/* Guest 1 -- p1 == datapath == p2 -- guest 2 */
static void
test_worker_miss_put_execute_forward(void **state)
{
	struct port *p1, *p2;
	struct lab_frame f;
	const struct dp_upcall *up;
	struct dp_parked parked;
	struct flow_key key;
	struct flow_mask mask;
	struct dp_handle flow;
	struct flow_stats final;
	uint8_t blocks;

	(void)state;
	rig_start(1);
	p1 = rig_port_add(1, NULL);
	p2 = rig_port_add(2, NULL);
	rig_agent_open(&agent, 11);
	assert_int_equal(agent.offer.last_epoch, 0);

	frame_number(&f, 1);
	rig_send(p1, f.bytes, f.len);
	up = rig_upcall(&agent, 0);
	assert_int_equal(agent.msg.type, DP_UPCALL_MISS);
	assert_int_not_equal(up->parked.v, 0);
	assert_int_equal(up->packet_len, f.len);
	assert_int_equal(agent.msg.data_len, f.len);
	assert_memory_equal(agent.msg.data, f.bytes, f.len);
	assert_int_equal(up->flags, 0);
	key = agent.msg.key;
	blocks = up->key_blocks;
	parked = up->parked;
	assert_int_equal(be32_to(key.in_port), 1);
	assert_int_equal(be16_to(key.eth_type), 0x0800);
	assert_memory_equal(&key.l4_src, f.bytes + f.l4, 4);

	rig_mask(&mask, FIELD_ETH_SRC, FIELD_ETH_DST, FIELD_N);
	assert_int_equal(rig_put(&agent, &key, blocks, &mask, 0, "output(2)", &flow), 0);
	rig_execute(&agent, parked, 0, "output(2)");
	assert_receives(p2, &f);

	/* From here on nobody is asked. */
	for (uint32_t i = 2; i < 500; i++) {
		frame_number(&f, i);
		rig_send(p1, f.bytes, f.len);
		if (i % 50 == 0) {
			for (uint32_t j = i < 100 ? 2 : i - 49; j <= i; j++) {
				assert_int_equal(rig_receive(p2, bytes, sizeof bytes), f.len);
				assert_int_equal(get_be32(bytes + f.len - 4), j);
			}
		}
	}
	rig_wait(rig_n_waiting(p2) == 49);
	assert_false(rig_has_upcall(&agent, 0));
	assert_int_equal(rig_del(&agent, flow, &final), 0);
	assert_int_equal(final.packets, 498);
	assert_int_equal(final.bytes, 498 * f.len);
	assert_true(final.used_ms && final.used_ms <= rig_ms());
	assert_int_equal(rig_del(&agent, flow, NULL), -ESTALE);

	/* Gone: the next one misses again. */
	rig_send(p1, f.bytes, f.len);
	up = rig_upcall(&agent, 0);
	rig_execute(&agent, up->parked, 0, "drop(explicit)");
	rig_wait(n_drops(DROP_EXPLICIT) == 1);
	/* An answer that comes twice is stale. */
	rig_execute(&agent, parked, 0, "output(2)");
	assert_int_equal(rig_reply(&agent), DP_REPLY + DP_EXECUTE);
	assert_int_equal(((const struct dp_reply *)agent.msg.body)->status, -ESTALE);
	rig_agent_close(&agent, true);
	rig_stop();
}

static void
test_worker_parked_packets_join(void **state)
{
	struct port *p1, *p2;
	struct lab_frame f;
	const struct dp_upcall *up;
	struct dp_parked parked;
	struct port_sums s;
	struct flow_stats final;
	struct dp_handle flow;
	struct flow_mask mask;
	struct flow_key key;
	uint8_t same[64], blocks;

	(void)state;
	rig_start(1);
	p1 = rig_port_add(1, NULL);
	p2 = rig_port_add(2, NULL);
	rig_agent_open(&agent, 1);
	frame_number(&f, 0);
	memcpy(same, f.bytes, 64);
	for (uint32_t i = 0; i < 40; i++) {
		put_be32(f.bytes + f.len - 4, i);
		rig_send(p1, f.bytes, f.len);
	}
	rig_wait(n_rx() == 40);
	up = rig_upcall(&agent, 0);
	parked = up->parked;
	key = agent.msg.key;
	blocks = up->key_blocks;
	rig_wait(n_drops(DROP_PARK_FULL) == 40 - DP_PARKED_PER_KEY);
	assert_false(rig_has_upcall(&agent, 0));
	rig_sums(&s);
	assert_int_equal(s.parked, DP_PARKED_PER_KEY);
	assert_int_equal(s.upcalls, 1);
	assert_int_equal(s.upcalls_joined, DP_PARKED_PER_KEY - 1);

	/* More of the first packet's bytes, which stays parked. */
	rig_execute(&agent, parked, DP_EXECUTE_KEEP, "to_agent(context=5,max_len=65535,reason=9)");
	up = rig_upcall(&agent, 0);
	assert_int_equal(agent.msg.type, DP_UPCALL_TO_AGENT);
	assert_int_equal(up->context, 5);
	assert_int_equal(up->reason, 9);
	assert_int_equal(agent.msg.data_len, f.len);

	/* The agent counts the first, the flow those that joined it. */
	rig_mask(&mask, FIELD_ETH_DST, FIELD_N);
	assert_int_equal(rig_put(&agent, &key, blocks, &mask, 0, "output(2)", &flow), 0);
	rig_execute(&agent, parked, 0, "output(2)");
	for (uint32_t i = 0; i < DP_PARKED_PER_KEY; i++) {
		assert_int_equal(rig_receive(p2, bytes, sizeof bytes), f.len);
		assert_memory_equal(bytes, same, 54);
		assert_int_equal(get_be32(bytes + f.len - 4), i);
	}
	assert_int_equal(rig_del(&agent, flow, &final), 0);
	assert_int_equal(final.packets, DP_PARKED_PER_KEY - 1);
	assert_int_equal(final.bytes, (DP_PARKED_PER_KEY - 1) * f.len);
	assert_true(final.used_ms && final.used_ms <= rig_ms());
	rig_assert_books();
	rig_agent_close(&agent, true);
	rig_stop();
}

static void
test_worker_upcall_timeout(void **state)
{
	struct lab_frame f;
	struct port *p1;
	struct dp_parked parked;
	uint64_t begin;

	(void)state;
	rig_start(1);
	p1 = rig_port_add(1, NULL);
	rig_agent_open(&agent, 1);
	frame_number(&f, 0);
	begin = rig_ms();
	rig_send(p1, f.bytes, f.len);
	parked = rig_upcall(&agent, 0)->parked;
	/* The worker sleeps meanwhile, and wakes by itself. */
	rig_wait(workers.list[0]->asleep);
	rig_wait(n_drops(DROP_UPCALL_TIMEOUT) == 1);
	assert_in_range(rig_ms() - begin, DP_PARK_MS - 20, DP_PARK_MS + 3000);
	rig_execute(&agent, parked, 0, "output(2)");
	assert_int_equal(rig_reply(&agent), DP_REPLY + DP_EXECUTE);
	assert_int_equal(((const struct dp_reply *)agent.msg.body)->status, -ESTALE);
	rig_agent_close(&agent, true);
	rig_stop();
}

static void
test_worker_no_agent(void **state)
{
	struct lab_frame f;
	struct port *p1;

	(void)state;
	rig_start(1);
	p1 = rig_port_add(1, NULL);
	frame_number(&f, 0);
	rig_send(p1, f.bytes, f.len);
	rig_wait(n_drops(DROP_NO_AGENT) == 1);
	rig_stop();
}

/* A port goes with packets parked and records unread; its number comes back with a clean slate. */
static void
test_worker_port_goes_while_packets_are_parked(void **state)
{
	struct lab_frame f;
	struct port *p1;
	struct port_sums s;

	(void)state;
	rig_start(2);
	rig_agent_open(&agent, 1);
	for (unsigned round = 0; round < 3; round++) {
		p1 = rig_port_add(1, NULL);
		for (uint32_t i = 0; i < 100; i++) {
			frame_number(&f, i);
			rig_send(p1, f.bytes, f.len);
		}
		rig_wait(n_rx() == 100 * (round + 1));
		rig_port_del(p1);
		rig_sums(&s);
		assert_int_equal(s.parked, 0);
		assert_int_equal(s.drops[DROP_PURGED], 100 * (round + 1));
		assert_int_equal(s.upcalls, 100 * (round + 1));
		if (round == 1) {
			/* The agent reads at last, or is another one. */
			for (unsigned i = 0; i < 200; i++) {
				while (!rig_has_upcall(&agent, i % 2) &&
					rig_has_upcall(&agent, !(i % 2))) {
					i++;
				}
				if (!rig_has_upcall(&agent, i % 2)) {
					break;
				}
				rig_upcall(&agent, i % 2);
			}
		}
		rig_assert_books();
	}
	rig_agent_close(&agent, true);
	rig_stop();
}

static void
test_worker_upcall_quota(void **state)
{
	struct lab_frame f;
	struct port *p1, *p2;
	struct port_sums s;
	struct rig_agent second;

	(void)state;
	rig_start(1);
	p1 = rig_port_add(1, NULL);
	p2 = rig_port_add(2, NULL);
	rig_agent_open(&agent, 1);
	/* To-agent without end, nobody reads. */
	rig_wire(&agent, 1, "to_agent(context=1,max_len=65535,reason=2)");
	for (uint32_t i = 0; i < 1000; i++) {
		frame_number(&f, i);
		rig_send(p1, f.bytes, f.len);
	}
	rig_wait(n_rx() == 1000);
	rig_wait((rig_sums(&s), s.to_agent + s.drops[DROP_UPCALL_QUOTA] == 1000));
	assert_in_range(s.to_agent, 300, 900);
	/* The other port has its own share. */
	rig_send(p2, f.bytes, f.len);
	rig_wait((rig_sums(&s), s.upcalls == 1));
	/* What is read is room again. */
	while (rig_has_upcall(&agent, 0)) {
		rig_upcall(&agent, 0);
	}
	rig_send(p1, f.bytes, f.len);
	rig_upcall(&agent, 0);
	rig_wait((rig_sums(&s), s.to_agent + s.drops[DROP_UPCALL_QUOTA] == 1001));
	/* A new session begins with an empty ring. */
	for (uint32_t i = 0; i < 1000; i++) {
		rig_send(p1, f.bytes, f.len);
	}
	rig_wait(n_rx() == 2002);
	rig_wait((rig_sums(&s), s.to_agent + s.drops[DROP_UPCALL_QUOTA] == 2001));
	rig_agent_open(&second, 2);
	assert_int_equal(second.offer.last_epoch, 1);
	rig_send(p1, f.bytes, f.len);
	rig_upcall(&second, 0);
	rig_agent_close(&second, true);
	rig_agent_close(&agent, false);
	/* p2's miss is still parked: purged with its port. */
	rig_stop();
}

static void
test_worker_to_agent_chain(void **state)
{
	const struct dp_upcall *up;
	struct lab_frame f;
	struct port *p1, *p2;
	size_t got = 0;

	(void)state;
	rig_start(1);
	p1 = rig_port_add(1, NULL);
	p2 = rig_port_add(2, NULL);
	rig_agent_open(&agent, 1);
	rig_wire(&agent, 1,
		"to_agent(context=3,max_len=1000,reason=4),push_vlan(tpid=0x8100,vid=5,pcp=0),"
		"to_agent(context=4,max_len=20,reason=5),output(2)");
	lab_frame(&f, LAB_TCP4, 0, 1400);
	rig_send(p1, f.bytes, f.len);
	do {
		up = rig_upcall(&agent, 0);
		assert_int_equal(up->parked.v, 0);
		assert_int_equal(up->context, 3);
		assert_int_equal(up->reason, 4);
		assert_int_equal(up->packet_len, f.len);
		assert_int_equal(up->data_off, got);
		assert_int_equal(up->key_blocks, got ? 0 : FLOW_BLOCK(0));
		memcpy(bytes + got, agent.msg.data, agent.msg.data_len);
		got += agent.msg.data_len;
	} while (up->flags & DP_UPCALL_MORE);
	assert_int_equal(got, 1000);
	assert_memory_equal(bytes, f.bytes, 1000);
	/* The second sees the packet as it is then. */
	up = rig_upcall(&agent, 0);
	assert_int_equal(up->context, 4);
	assert_int_equal(up->packet_len, f.len + 4);
	assert_int_equal(agent.msg.data_len, 20);
	assert_int_equal(be16_to(agent.msg.key.vlan_tci), FLOW_VLAN_PRESENT | 5);
	assert_int_equal(rig_receive(p2, bytes, sizeof bytes), f.len + 4);
	rig_agent_close(&agent, true);
	rig_stop();
}

static void
test_worker_actions_copy_and_keep_books(void **state)
{
	struct port *ports[4];
	struct lab_frame f;
	struct port_sums s;

	(void)state;
	rig_start(1);
	for (uint16_t i = 0; i < 4; i++) {
		ports[i] = rig_port_add(i, NULL);
	}
	rig_agent_open(&agent, 1);
	rig_wire(&agent, 0,
		"output(1),clone(push_vlan(tpid=0x8100,vid=7,pcp=0),output(2)),set(ip_src=10.9.8.7),"
		"output(3,max_len=60),output(9),set(ip_dst=10.9.8.7)");
	lab_frame(&f, LAB_TCP4, 0, 100);
	rig_send(ports[0], f.bytes, f.len);
	assert_receives(ports[1], &f);
	assert_int_equal(rig_receive(ports[2], bytes, sizeof bytes), f.len + 4);
	assert_int_equal(get_be32(bytes + 12), 0x81000007);
	assert_int_equal(rig_receive(ports[3], bytes, sizeof bytes), 60);
	assert_int_equal(get_be32(bytes + f.l3 + 12), 0x0a090807);
	rig_wait(n_drops(DROP_PORT_GONE) == 1);
	rig_barrier(&agent);
	rig_sums(&s);
	assert_int_equal(s.rx_packets, 1);
	assert_int_equal(s.tx_packets, 3);
	assert_int_equal(s.copied, 3);
	assert_int_equal(s.dropped, 1);
	rig_assert_books();

	/* Nothing to do is a drop; so is a TTL that ends. */
	rig_wire(&agent, 0, "drop");
	rig_send(ports[0], f.bytes, f.len);
	rig_wait(n_drops(DROP_EXPLICIT) == 1);
	rig_wire(&agent, 0, "dec_ttl(output(3)),output(1)");
	f.bytes[f.l3 + 8] = 2;
	lab_frame_csums(&f, false);
	rig_send(ports[0], f.bytes, f.len);
	assert_int_equal(rig_receive(ports[1], bytes, sizeof bytes), f.len);
	assert_int_equal(bytes[f.l3 + 8], 1);
	f.bytes[f.l3 + 8] = 1;
	lab_frame_csums(&f, false);
	rig_send(ports[0], f.bytes, f.len);
	assert_receives(ports[3], &f);
	rig_wire(&agent, 0, "dec_ttl(),output(1)");
	rig_send(ports[0], f.bytes, f.len);
	rig_wait(n_drops(DROP_INVALID_TTL) == 1);
	rig_wire(&agent, 0, "check_len(max_len=100,(output(1)),(output(2)))");
	rig_send(ports[0], f.bytes, f.len);
	assert_receives(ports[1], &f);
	rig_send(ports[0], f.bytes, 100);
	assert_int_equal(rig_receive(ports[2], bytes, sizeof bytes), 100);
	rig_wire(&agent, 0, "sample(probability=4294967295,(output(1))),output(2)");
	rig_send(ports[0], f.bytes, f.len);
	assert_receives(ports[1], &f);
	assert_receives(ports[2], &f);
	/* Headers that are not there. */
	rig_wire(&agent, 0, "pop_vlan,output(1)");
	rig_send(ports[0], f.bytes, f.len);
	rig_wait(n_drops(DROP_NO_VLAN) == 1);
	rig_wire(&agent, 0, "set(udp_src=5),output(1)");
	rig_send(ports[0], f.bytes, f.len);
	rig_wait(n_drops(DROP_NO_L4) == 1);
	rig_send(ports[0], f.bytes, 13);
	rig_wait(n_drops(DROP_RX_TRUNCATED) == 1);
	rig_agent_close(&agent, true);
	rig_stop();
}

/* Recirculated packets find the flows of their id, also when an execute sends them round. */
static void
test_worker_recirculates(void **state)
{
	struct port *p1, *p2;
	struct flow_key key = {.in_port = be32_from(1), .recirc_id = be32_from(77)};
	const struct dp_upcall *up;
	struct dp_parked parked;
	struct flow_mask mask;
	struct lab_frame f;

	(void)state;
	rig_start(1);
	p1 = rig_port_add(1, NULL);
	p2 = rig_port_add(2, NULL);
	rig_agent_open(&agent, 1);
	rig_mask(&mask, FIELD_N);
	frame_number(&f, 0);
	rig_send(p1, f.bytes, f.len);
	parked = rig_upcall(&agent, 0)->parked;
	assert_int_equal(rig_put(&agent, &key, FLOW_BLOCK(0), &mask, 0, "output(2)", NULL), 0);
	rig_execute(&agent, parked, 0, "recirc(0x4d)");
	assert_receives(p2, &f);

	rig_wire(&agent, 1, "push_vlan(tpid=0x8100,vid=9,pcp=0),recirc(0x4d)");
	rig_send(p1, f.bytes, f.len);
	assert_int_equal(rig_receive(p2, bytes, sizeof bytes), f.len + 4);
	/* Round and round. */
	assert_int_equal(rig_put(&agent, &key, FLOW_BLOCK(0), &mask, 0, "recirc(0x4d)", NULL), 0);
	rig_send(p1, f.bytes, f.len);
	rig_wait(n_drops(DROP_RECIRC_LIMIT) == 1);
	/* No flow: asks with the id in the key. */
	rig_wire(&agent, 1, "recirc(0x4e)");
	rig_send(p1, f.bytes, f.len);
	up = rig_upcall(&agent, 0);
	assert_int_equal(be32_to(agent.msg.key.recirc_id), 0x4e);
	rig_execute(&agent, up->parked, 0, "output(2)");
	assert_receives(p2, &f);
	/* Each of a burst twice over, from one round to the next. */
	rig_wire(&agent, 1, "recirc(0x51)");
	for (uint32_t id = 0x51; id <= 0x53; id++) {
		key.recirc_id = be32_from(id);
		assert_int_equal(rig_put(&agent, &key, FLOW_BLOCK(0), &mask, 0,
					 id == 0x51   ? "clone(recirc(0x52)),recirc(0x53)"
					 : id == 0x52 ? "output(2)"
						      : "output(1)",
					 NULL),
			0);
	}
	rig_send_many(p1, f.bytes, f.len, 20);
	for (unsigned i = 0; i < 20; i++) {
		assert_receives(p2, &f);
		assert_receives(p1, &f);
	}
	rig_agent_close(&agent, true);
	rig_stop();
}

static void
test_worker_executes_bytes(void **state)
{
	struct port *p2;
	struct lab_frame f;
	struct port_sums s;
	static uint8_t jumbo[PACKET_MAX_LEN];

	(void)state;
	rig_start(1);
	p2 = rig_port_add(2, NULL);
	rig_agent_open(&agent, 1);
	lab_frame(&f, LAB_UDP6, 1, 500);
	assert_int_equal(rig_execute_bytes(&agent, UINT32_MAX, "output(2)", f.bytes, f.len), 0);
	assert_receives(p2, &f);
	assert_int_equal(rig_execute_bytes(&agent, 2, "pop_vlan,output(2)", f.bytes, f.len), 0);
	assert_int_equal(rig_receive(p2, bytes, sizeof bytes), f.len - 4);
	memcpy(jumbo, f.bytes, f.len);
	for (size_t i = f.len; i < sizeof jumbo; i++) {
		jumbo[i] = (uint8_t)(i * 7);
	}
	assert_int_equal(rig_execute_bytes(&agent, 2, "output(2)", jumbo, 65000), 0);
	assert_int_equal(rig_receive(p2, bytes, sizeof bytes), 65000);
	assert_memory_equal(bytes, jumbo, 65000);
	assert_int_equal(rig_execute_bytes(&agent, 2, "output(2)", f.bytes, 10), -EINVAL);
	rig_sums(&s);
	assert_int_equal(s.made, 4);
	assert_int_equal(s.drops[DROP_RX_TRUNCATED], 1);
	rig_agent_close(&agent, true);
	rig_stop();
}

/* The agent dies: flows stay and forward, misses drop; the next one finds flows and ids. */
static void
test_worker_agent_restarts(void **state)
{
	static struct rig_agent second;
	struct port *p1, *p2;
	struct dp_list list = {.cmd.request = 5};
	const struct dp_flow_item *item;
	struct dp_handle flow;
	struct lab_frame f;

	(void)state;
	rig_start(2);
	p1 = rig_port_add(1, NULL);
	p2 = rig_port_add(2, NULL);
	rig_agent_open(&agent, 41);
	flow = rig_wire(&agent, 1, "output(2)");
	frame_number(&f, 0);
	rig_send(p2, f.bytes, f.len); /* stays parked */
	rig_wait(n_rx() == 1);
	rig_agent_close(&agent, true);
	rig_send(p1, f.bytes, f.len);
	assert_receives(p2, &f);
	frame_number(&f, 1);
	f.bytes[f.l4] ^= 0xff;
	rig_send(p2, f.bytes, f.len);
	rig_wait(n_drops(DROP_NO_AGENT) == 1);
	rig_agent_open(&second, 42);
	assert_int_equal(second.offer.last_epoch, 41);
	assert_true(dp_send(&second.commands, DP_FLOW_LIST, &list, sizeof list, NULL, 0));
	shm_ring_publish(&second.commands);
	assert_int_equal(rig_reply(&second), DP_FLOW_ITEM);
	item = second.msg.body;
	assert_int_equal(item->request, 5);
	assert_int_equal(item->flow.slot, flow.slot);
	assert_int_equal(item->flow.gen, flow.gen);
	assert_int_equal(item->epoch, 41);
	assert_int_equal(item->stats.packets, 1);
	assert_int_equal(rig_reply(&second), DP_REPLY + DP_FLOW_LIST);
	assert_int_equal(((const struct dp_list_reply *)second.msg.body)->next_slot, UINT32_MAX);
	rig_agent_close(&second, true);
	rig_stop();
}

static void
test_worker_sleeps_and_wakes(void **state)
{
	struct port *p1, *p2, *deaf;
	struct lab_frame f;

	(void)state;
	rig_start(1);
	p1 = rig_port_add(1, NULL);
	p2 = rig_port_add(2, NULL);
	rig_agent_open(&agent, 1);
	rig_wire(&agent, 1, "output(2)");
	frame_number(&f, 0);
	for (unsigned i = 0; i < 50; i++) {
		rig_wait(workers.list[0]->asleep);
		rig_send(p1, f.bytes, f.len);
		assert_receives(p2, &f);
	}
	assert_true(workers.list[0]->n_sleeps >= 50);
	/* A port that cannot notify keeps it awake, and says so. */
	deaf = rig_port_add(3, &(struct rig_options){.deaf = true});
	rig_wait(workers.list[0]->awake_because);
	assert_int_equal(workers.list[0]->awake_port, 3);
	rig_send(deaf, f.bytes, f.len);
	rig_upcall(&agent, 0);
	rig_port_del(deaf);
	rig_wait(workers.list[0]->asleep);
	rig_agent_close(&agent, true);
	rig_stop();
}

static void
test_worker_output_queue_full_and_ports_down(void **state)
{
	struct port *p1, *p2;
	struct lab_frame f;
	struct port_sums s;

	(void)state;
	rig_start(1);
	p1 = rig_port_add(1, NULL);
	p2 = rig_port_add(2, NULL);
	rig_agent_open(&agent, 1);
	rig_wire(&agent, 1, "output(2)");
	frame_number(&f, 0);
	rig_set_room(p2, 10);
	for (unsigned i = 0; i < 100; i++) {
		rig_send(p1, f.bytes, f.len);
	}
	rig_wait(n_drops(DROP_TX_FULL) == 90);
	port_read_counters(p2, &s);
	assert_int_equal(s.tx_packets, 10);
	assert_int_equal(s.tx_bytes, 10 * f.len);
	rig_set_room(p2, UINT32_MAX);
	atomic_store(&p2->admin_up, false);
	rig_send(p1, f.bytes, f.len);
	rig_wait(n_drops(DROP_TX_DOWN) == 1);
	atomic_store(&p1->admin_up, false);
	rig_send(p1, f.bytes, f.len);
	rig_wait(n_drops(DROP_RX_DISABLED) == 1);
	rig_agent_close(&agent, true);
	rig_stop();
}

/* Bursts of one flow, mixed bursts, a flow that goes in between: each packet takes the flow that it matches. */
static void
test_worker_follows_flows(void **state)
{
	struct flow_key key = {.in_port = be32_from(1)};
	struct dp_handle flows[2];
	struct flow_mask mask;
	struct lab_frame f;
	struct port *p1, *out[2];
	unsigned n_sent[2] = {0, 0};
	struct flow_stats sums[2];

	(void)state;
	rig_start(1);
	p1 = rig_port_add(1, NULL);
	out[0] = rig_port_add(2, NULL);
	out[1] = rig_port_add(3, NULL);
	rig_agent_open(&agent, 1);
	rig_mask(&mask, FIELD_ETH_DST, FIELD_N);
	for (unsigned i = 0; i < 2; i++) {
		key.eth_dst[5] = (uint8_t)i;
		assert_int_equal(rig_put(&agent, &key, FLOW_BLOCK(0), &mask, 0,
					 i ? "output(3)" : "output(2)", &flows[i]),
			0);
	}
	lab_frame(&f, LAB_UDP4, 0, 18);
	memset(f.bytes, 0, 6);
	for (unsigned n = 0; n < 60; n++) {
		/* Of the first, of each in turn, of the second alone. */
		unsigned i = n < 20 ? 0 : n < 40 ? n % 2 : 1, length = 1 + n * 7 % 64;

		f.bytes[5] = (uint8_t)i;
		rig_send_many(p1, f.bytes, f.len, length);
		n_sent[i] += length;
		if (n % 5) {
			rig_wait(rig_n_waiting(out[0]) + rig_n_waiting(out[1]) ==
				 n_sent[0] + n_sent[1]);
		}
	}
	rig_wait(rig_n_waiting(out[0]) + rig_n_waiting(out[1]) == n_sent[0] + n_sent[1]);
	assert_int_equal(rig_n_waiting(out[0]), n_sent[0]);
	assert_int_equal(rig_n_waiting(out[1]), n_sent[1]);
	/* Gone while packets follow it: none is taken by it any more. */
	assert_int_equal(rig_del(&agent, flows[1], &sums[1]), 0);
	assert_int_equal(sums[1].packets, n_sent[1]);
	rig_send(p1, f.bytes, f.len);
	assert_int_equal(rig_upcall(&agent, 0)->packet_len, f.len);
	/* Its slot has another flow now. */
	key.eth_dst[5] = 2;
	assert_int_equal(rig_put(&agent, &key, FLOW_BLOCK(0), &mask, 0, "output(2)", &flows[1]), 0);
	rig_send(p1, f.bytes, f.len);
	rig_barrier(&agent);
	f.bytes[5] = 2;
	rig_send(p1, f.bytes, f.len);
	rig_wait(rig_n_waiting(out[0]) == n_sent[0] + 1);
	assert_int_equal(rig_n_waiting(out[1]), n_sent[1]);
	assert_int_equal(rig_del(&agent, flows[0], &sums[0]), 0);
	assert_int_equal(sums[0].packets, n_sent[0]);
	rig_agent_close(&agent, true);
	rig_stop();
}

/* Random traffic over random actions on two workers, while ports, queues and flows change. */
static void
test_worker_books_balance_at_random(void **state)
{
	static const char *const actions[] = {"output(1)", "output(2),output(3)", "drop",
		"clone(output(3)),pop_vlan,output(1)",
		"push_vlan(tpid=0x88a8,vid=3,pcp=1),output(2),output(9)",
		"set(ip_dst=1.2.3.4),output(3,max_len=64)",
		"to_agent(context=1,max_len=300,reason=0),output(4)",
		"dec_ttl(to_agent(context=0,max_len=10,reason=1)),output(1)", "recirc(0x3)",
		"sample(probability=1000000000,(output(2)))", "set(tcp_dst=80),output(2)",
		"set(tun_id=7),clone(output(2)),recirc(0x3)", "decap(kind=gre,port=2)"};
	struct port *ports[5] = {NULL};
	struct lab_frame f;

	(void)state;
	lab_seed("books");
	rig_start(2);
	rig_agent_open(&agent, 1);
	agent.skip_executes = true;
	for (unsigned n = 0; n < 6000; n++) {
		unsigned i = lab_below(5);

		switch (lab_below(40)) {
		case 0:
			if (ports[i]) {
				rig_port_del(ports[i]);
				ports[i] = NULL;
			}
			break;
		case 1:
			if (ports[i]) {
				rig_set_queues(ports[i], (uint16_t)(1 + lab_below(3)));
			}
			break;
		case 2: {
			struct flow_key key = {
				.in_port = be32_from(i), .recirc_id = be32_from(lab_below(2) * 3)};
			struct flow_mask mask;

			rig_mask(&mask, lab_below(2) ? FIELD_N : FIELD_ETH_TYPE, FIELD_N);
			key.eth_type = be16_from(0x0800);
			(void)rig_put(&agent, &key, FLOW_BLOCK(0), &mask, 0,
				actions[lab_below(WEFT_ARRAY_SIZE(actions))], NULL);
			break;
		}
		case 3:
			for (unsigned w = 0; w < 2; w++) {
				while (rig_has_upcall(&agent, w)) {
					const struct dp_upcall *up = rig_upcall(&agent, w);

					if (up->parked.v && lab_below(2)) {
						rig_execute(&agent, up->parked, 0,
							actions[lab_below(
								WEFT_ARRAY_SIZE(actions))]);
					}
				}
			}
			break;
		case 4:
			rig_barrier(&agent);
			break;
		default:
			if (!ports[i]) {
				ports[i] = rig_port_add((uint16_t)i, NULL);
			}
			lab_frame(&f, (enum lab_kind)lab_below(LAB_KINDS), lab_below(3),
				lab_below(500));
			rig_send(ports[i], f.bytes, lab_below(30) ? f.len : lab_below(40) + 1);
			break;
		}
		for (unsigned p = 0; p < 5; p++) {
			while (ports[p] && rig_n_waiting(ports[p])) {
				rig_receive(ports[p], bytes, sizeof bytes);
			}
		}
	}
	rig_agent_close(&agent, true);
	rig_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_worker_miss_put_execute_forward),
		cmocka_unit_test(test_worker_parked_packets_join),
		cmocka_unit_test(test_worker_upcall_timeout),
		cmocka_unit_test(test_worker_no_agent),
		cmocka_unit_test(test_worker_port_goes_while_packets_are_parked),
		cmocka_unit_test(test_worker_upcall_quota),
		cmocka_unit_test(test_worker_to_agent_chain),
		cmocka_unit_test(test_worker_actions_copy_and_keep_books),
		cmocka_unit_test(test_worker_recirculates),
		cmocka_unit_test(test_worker_executes_bytes),
		cmocka_unit_test(test_worker_agent_restarts),
		cmocka_unit_test(test_worker_sleeps_and_wakes),
		cmocka_unit_test(test_worker_output_queue_full_and_ports_down),
		cmocka_unit_test(test_worker_follows_flows),
		cmocka_unit_test(test_worker_books_balance_at_random),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}

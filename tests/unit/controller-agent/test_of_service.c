/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenFlow service: what a controller sends and gets, in exact bytes. The requests were encoded by os-ken.
 */
#include "tests/unit/controller-agent/of_world.h"

#include "lib/packet.h"
#include "ofproto/of_action.h"

/* --- requests and replies ----------------------------------------------------------------------- */

static void
test_service_answers_exactly(void **state)
{
	static const struct {
		const char *request;
		const char *reply;
	} cases[] = {
		/* FEATURES: dpid, no buffers, 255 tables, flow, table and port statistics. */
		{"0405000811223344",
			"0406002011223344 123456789abcdef0 00000000 ff 00 0000 0000000f 00000000"},
		/* GET_CONFIG: a client of the mgmt socket gets no news. */
		{"0407000811223344", "0408000c11223344 0000 0000"},
		{BARRIER, BARRIER_REPLY},
		/* Table features and the like are looked at elsewhere. */
		{"0412004011223344 0002000000000000 ff000000ffffffffffffffff00000000 00000000000000000000000000000000"
		 "0001000c800000040000000100000000",
			"0413002811223344 0002000000000000 0000000000000000 0000000000000000 00000000 00000000"},
		{"04120018112233440005000000000000ffffffffffffffff",
			"0413001011223344 0005000000000000"},
		{"04120018112233440006000000000000fffffffc00000000",
			"0413001011223344 0006000000000000"},
		{"04120010112233440007000000000000", "0413001011223344 0007000000000000"},
		{"04120010112233440008000000000000",
			"0413003811223344 0008000000000000 0000000f 0000000f"
			"00010000 00010000 00010000 00010000 0fff9801 0fff9801 0fff9801 0fff9801"},
		{"04120018112233440009000000000000ffffffff00000000",
			"0413001011223344 0009000000000000"},
		{"0412001811223344000a000000000000ffffffff00000000",
			"0413001011223344 000a000000000000"},
		{"0412001011223344000b000000000000",
			"0413002011223344 000b000000000000 00010000 00000006 0000000f 10 00 0000"},
		{"0416001011223344ffffffff00000000", "0417001011223344 ffffffff00000000"},
		/* ROLE no change; the generation is not known. */
		{"0418001811223344000000000000000000000000 00000005",
			"0419001811223344 00000001 00000000 ffffffffffffffff"},
		/* GET_ASYNC: the defaults. */
		{"041a000811223344",
			"041b002011223344 00000003 00000000 00000007 00000007 0000000f 00000000"},
		/* A second hello means nothing; an echo in between. */
		{"0400000811223344 0402000d1122334468656c6c6f", "0403000d1122334468656c6c6f"},
		/* Deleting groups and meters that are not there, TABLE_MOD, an error, SET_CONFIG. */
		{"040f0010112233440002 00 00 fffffffc" BARRIER, BARRIER_REPLY},
		{"041d00101122334400020000ffffffff" BARRIER, BARRIER_REPLY},
		{"0411001011223344ff00000000000003" BARRIER, BARRIER_REPLY},
		{"0401001c112233440001000178787878787878787878787878787878" BARRIER, BARRIER_REPLY},
		{"0409000c1122334400000080 0407000811223344", "0408000c11223344 0000 0080"},
		/* Fragments are dropped. */
		{"0409000c1122334400010080 0407000811223344", "0408000c11223344 0001 0080"},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(cases); i++) {
		struct world w;
		int fd;

		world_open(&w);
		fd = world_client(&w);
		send_hex(fd, cases[i].request);
		world_run(&w);
		expect_hex(fd, cases[i].reply);
		close(fd);
		world_close(&w);
	}
}

/* --- flows -------------------------------------------------------------------------------------- */

/* A flow with every instruction comes back as it was sent. */
static void
test_service_keeps_flows(void **state)
{
	struct world w;
	int fd;

	(void)state;
	world_open(&w);
	fd = world_client(&w);
	send_hex(fd,
		"040e00d811223344000000000000112200000000000000000300000a00140064ffffffff00000000"
		"000000000011000000010043800000040000000180000510000000000000001000000000000000f0"
		"80000a02080080000c0210648000140106800017080a000000ff00000080001c0200500000000000"
		"00040020000000000012000800000000001900108000060602000000000900000005000800000000"
		"00030018000000000000001000000003000000000000000000020018000000000000000000000005"
		"000000000000000f0001000809000000" BARRIER);
	world_run(&w);
	expect_hex(fd, BARRIER_REPLY);
	assert_int_equal(ofproto_n_rules(w.ofproto), 1);
	w.lab.now_ms += 1500;
	send_hex(fd,
		"04120038112233440001000000000000ff000000ffffffffffffffff00000000000000000000000000000000"
		"0000000000010004 00000000");
	world_run(&w);
	/* length, table, 1.5 s, priority, timeouts, flags, cookie, no packets; in OXM's order. */
	expect_hex(fd,
		"041300e811223344 0001000000000000 00d8 03 00 00000001 1dcd6500 0064 000a 0014 0011"
		"00000000 0000000000001122 0000000000000000 0000000000000000"
		"00010043800000040000000180000510000000000000001000000000000000f080000a0208008000"
		"0c0210648000140106800017080a000000ff00000080001c02005000000000000004002000000000"
		"00120008000000000019001080000606020000000009000000050008000000000003001800000000"
		"0000001000000003000000000000000000020018000000000000000000000005000000000000000f"
		"0001000809000000");
	close(fd);
	world_close(&w);
}

static void
add_flows(struct world *w, unsigned n)
{
	struct of_flow_mod fm;

	of_flow_mod_init(&fm);
	of_actions_put_output(&fm.actions, OF_PORT(1), 0);
	for (unsigned i = 0; i < n; i++) {
		fm.priority = (uint16_t)(i % 1000);
		of_match_init(&fm.match);
		of_match_set_u64(&fm.match, FIELD_METADATA, i);
		assert_true(ofproto_flow_mod(w->ofproto, &fm, w->lab.now_ms, NULL));
	}
	of_flow_mod_uninit(&fm);
}

/* A long list comes in several messages, all but the last with the flag that more follow; a client that reads
 * slowly gets all of it, and a second client is served meanwhile. */
static void
test_service_lists_in_slices(void **state)
{
	static uint8_t msg[65536];
	struct world w;
	unsigned n_flows = 0, n_messages = 0;
	size_t len, at = 0;
	bool more = true;
	int slow, other;

	(void)state;
	world_open(&w);
	add_flows(&w, 20000);
	slow = world_client(&w);
	other = world_client(&w);
	send_hex(slow,
		"04120038112233440001000000000000ff000000ffffffffffffffff00000000000000000000000000000000"
		"0000000000010004 00000000");
	world_run(&w);
	send_hex(other, BARRIER);
	world_run(&w);
	expect_hex(other, BARRIER_REPLY);
	while (more) {
		ssize_t n;

		for (int i = 0; i < 1000 && (at < 8 || at < get_be16(msg + 2)); i++) {
			size_t want = at < 8 ? 8 - at : get_be16(msg + 2) - at;

			n = recv(slow, msg + at, want, MSG_DONTWAIT);
			if (n > 0) {
				at += (size_t)n;
			} else {
				event_base_loop(w.lab.base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
			}
		}
		len = get_be16(msg + 2);
		assert_int_equal(at, len);
		assert_int_equal(get_be32(msg + 4), 0x11223344);
		more = get_be16(msg + 10) & 1;
		for (size_t entry = 16; entry < len; entry += get_be16(msg + entry)) {
			assert_true(get_be16(msg + entry) >= 56);
			n_flows++;
		}
		assert_true(!more || len > 60000);
		n_messages++;
		at = 0;
	}
	assert_int_equal(n_flows, 20000);
	assert_true(n_messages > 10);
	expect_nothing(slow);
	close(slow);
	close(other);
	world_close(&w);
}

/* So does a sum: others get their turn while it is made. */
static void
test_service_sums_up_in_slices(void **state)
{
	struct world w;
	unsigned n_turns = 0;
	uint8_t reply[64];
	ssize_t n = -1;
	int fd;

	(void)state;
	world_open(&w);
	add_flows(&w, 20000);
	fd = world_client(&w);
	send_hex(fd,
		"04120038112233440002000000000000ff000000ffffffffffffffff00000000000000000000000000000000"
		"0000000000010004 00000000");
	for (; n < 0 && n_turns < 1000; n_turns++) {
		event_base_loop(w.lab.base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
		n = raw_recv(fd, reply, sizeof(reply));
	}
	assert_int_equal(n, 40);
	assert_int_equal(get_be32(reply + 32), 20000);
	assert_true(n_turns >= 20000 / 1024);
	close(fd);
	world_close(&w);
}

/* Groups of 23 MB in all, more than may ever wait for a peer: it gets them as quickly as it reads. */
static void
test_service_lists_groups_as_they_are_read(void **state)
{
	static uint8_t bytes[1 << 20];
	struct of_group_mod gm;
	struct world w;
	size_t n_bytes = 0;
	unsigned n_idle = 0;
	int slow, other;

	(void)state;
	world_open(&w);
	of_group_mod_init(&gm);
	gm.command = OF_MOD_ADD;
	of_group_mod_add_bucket(&gm);
	for (unsigned i = 0; i < 3700; i++) {
		of_actions_put_output(&gm.buckets[0].actions, OF_PORT(1), 0);
	}
	for (gm.group = 1; gm.group <= 400; gm.group++) {
		assert_true(ofproto_group_mod(w.ofproto, &gm, w.lab.now_ms, NULL));
	}
	of_group_mod_uninit(&gm);
	slow = world_client(&w);
	other = world_client(&w);
	send_hex(slow, "04120010112233440007000000000000");
	world_run(&w);
	send_hex(other, BARRIER);
	world_run(&w);
	expect_hex(other, BARRIER_REPLY);
	while (n_idle < 3) {
		ssize_t n = recv(slow, bytes, sizeof(bytes), MSG_DONTWAIT);

		assert_int_not_equal(n, 0);
		n_idle = n < 0 ? n_idle + 1 : 0;
		n_bytes += n > 0 ? (size_t)n : 0;
		world_run(&w);
	}
	/* Each in a message of its own: 16 bytes before it, 8 and 16 before its actions. */
	assert_int_equal(n_bytes, 400u * (16 + 8 + 16 + 3700 * 16));
	assert_int_equal(of_service_counters(w.service)->disconnects, 0);
	close(slow);
	close(other);
	world_close(&w);
}

/* A client that goes in the middle of a list, and one that never reads. */
static void
test_service_forgets_lists(void **state)
{
	struct world w;
	int fd;

	(void)state;
	world_open(&w);
	add_flows(&w, 20000);
	fd = world_client(&w);
	send_hex(fd,
		"04120038112233440001000000000000ff000000ffffffffffffffff00000000000000000000000000000000"
		"0000000000010004 00000000");
	event_base_loop(w.lab.base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	close(fd);
	world_run(&w);
	fd = world_client(&w);
	send_hex(fd,
		"04120038112233440001000000000000ff000000ffffffffffffffff00000000000000000000000000000000"
		"0000000000010004 00000000");
	world_run(&w);
	world_advance(&w, 100000);
	close(fd);
	world_run(&w);
	world_close(&w);
}

/* --- order -------------------------------------------------------------------------------------- */

/* Nothing behind a barrier is executed or answered before the datapath has acknowledged; another connection
 * goes on. */
static void
test_service_waits_at_barriers(void **state)
{
	struct world w;
	int a, b;

	(void)state;
	world_open(&w);
	w.hold = true;
	a = world_client(&w);
	b = world_client(&w);
	send_hex(a, BARRIER
		"040e003811223344 0000000000000000 0000000000000000 0000 0000 0000 0001 ffffffff ffffffff"
		"ffffffff 0000 0000 0001 0004 00000000 0405000800000001");
	world_run(&w);
	assert_int_equal(w.n_barriers, 1);
	assert_int_equal(ofproto_n_rules(w.ofproto), 0);
	expect_nothing(a);
	send_hex(b, "0407000800000002");
	world_run(&w);
	expect_hex(b, "0408000c00000002 0000 0000");
	world_release(&w);
	assert_int_equal(ofproto_n_rules(w.ofproto), 1);
	expect_hex(a, BARRIER_REPLY
		"0406002000000001 123456789abcdef0 00000000 ff 00 0000 0000000f 00000000");
	/* One that goes while its barrier waits. */
	send_hex(a, BARRIER);
	world_run(&w);
	close(a);
	world_run(&w);
	world_release(&w);
	/* One whose answer never comes: with the service it goes. */
	send_hex(b, BARRIER);
	world_run(&w);
	close(b);
	world_run(&w);
	world_close(&w);
}

static void
test_service_waits_for_transactions(void **state)
{
	struct world w;
	struct of_txn *txn;
	int fd;

	(void)state;
	world_open(&w);
	fd = world_client(&w);
	txn = of_txn_begin(w.model, NULL, NULL);
	send_hex(fd,
		"040e003811223344 0000000000000000 0000000000000000 0000 0000 0000 0001 ffffffff ffffffff"
		"ffffffff 0000 0000 0001 0004 00000000" BARRIER);
	world_run(&w);
	assert_int_equal(ofproto_n_rules(w.ofproto), 0);
	expect_nothing(fd);
	world_advance(&w, 1);
	expect_nothing(fd);
	of_txn_abort(txn);
	world_advance(&w, 1);
	assert_int_equal(ofproto_n_rules(w.ofproto), 1);
	expect_hex(fd, BARRIER_REPLY);
	close(fd);
	world_close(&w);
}

/* --- packets and ports -------------------------------------------------------------------------- */

static void
test_service_sends_packets(void **state)
{
	struct world w;
	const struct of_action_output *output;
	const struct of_action_u32 *group;
	int fd;

	(void)state;
	world_open(&w);
	fd = world_client(&w);
	send_hex(fd,
		"040d003811223344 ffffffff fffffffd 0010 000000000000 0000 0010 fffffffb 0000 000000000000"
		"ffffffffffff 020000000001 0800 4142" BARRIER);
	world_run(&w);
	expect_hex(fd, BARRIER_REPLY);
	assert_int_equal(w.n_packet_outs, 1);
	assert_int_equal(w.packet_out.in_port.v, OFPP_CONTROLLER);
	assert_int_equal(w.packet_out.len, 16);
	assert_memory_equal(
		w.packet_out_data, "\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\x01\x08\0\x41\x42", 16);
	output = (const void *)w.packet_out_actions;
	assert_int_equal(w.packet_out.actions_size, sizeof(*output));
	assert_int_equal(output->hdr.type, OF_ACTION_OUTPUT);
	assert_int_equal(output->port, OFPP_FLOOD);
	/* To a group that is there, from a port. */
	send_hex(fd, "040f0010112233440000 00 00 00000007"
		     "040d002e11223344 ffffffff 00000002 0008 000000000000 0016 0008 00000007"
		     "ffffffffffff 020000000001 0800" BARRIER);
	world_run(&w);
	expect_hex(fd, BARRIER_REPLY);
	assert_int_equal(w.n_packet_outs, 2);
	assert_int_equal(w.packet_out.in_port.v, 2);
	group = (const void *)w.packet_out_actions;
	assert_int_equal(group->hdr.type, OF_ACTION_GROUP);
	assert_int_equal(group->v, 7);
	close(fd);
	world_close(&w);
}

#define PORT1_DESC                                                                                 \
	"00000001 00000000 020000000101 0000 70310000000000000000000000000000 00000000 00000004"   \
	"00000000 00000000 00000000 00000000 00000000 00000000"
#define PORT1_DOWN                                                                                 \
	"00000001 00000000 020000000101 0000 70310000000000000000000000000000 00000001 00000004"   \
	"00000000 00000000 00000000 00000000 00000000 00000000"

static void
test_service_describes_ports(void **state)
{
	struct world w;
	int fd;

	(void)state;
	world_open(&w);
	fd = world_client(&w);
	send_hex(fd, "0412001011223344000d000000000000");
	world_run(&w);
	expect_hex(fd,
		"041300d011223344 000d000000000000" PORT1_DESC
		"00000002 00000000 020000000102 0000 70320000000000000000000000000000 00000000 00000004"
		"00000000 00000000 00000000 00000000 00000000 00000000"
		"fffffffe 00000000 0200000001fe 0000 62723000000000000000000000000000 00000000 00000004"
		"00000000 00000000 00000000 00000000 00000000 00000000");
	send_hex(fd, "04120018112233440004000000000000 00000002 00000000");
	world_run(&w);
	expect_hex(fd,
		"0413008011223344 0004000000000000 00000002 00000000 0000000000000014 0000000000000015"
		"00000000000007d0 00000000000007d1 0000000000000000 0000000000000000"
		"0000000000000000 0000000000000000 ffffffffffffffff ffffffffffffffff"
		"ffffffffffffffff ffffffffffffffff 0000000c 14904840");
	assert_int_equal(w.n_refreshes, 1);
	/* PORT_MOD is told to those who want news. */
	send_hex(fd,
		"0409000c11223344 0000 ffff"
		"0410002811223344 00000001 00000000 020000000101 0000 00000001 00000001 00000000 00000000");
	world_run(&w);
	assert_int_equal(w.n_port_mods, 1);
	assert_int_equal(w.port_mod_config, OF_PORT_DOWN);
	assert_int_equal(w.port_mod_mask, OF_PORT_DOWN);
	expect_hex(fd, "040c005000000000 02 00000000000000" PORT1_DOWN);
	close(fd);
	world_close(&w);
}

static void
test_service_sends_packet_ins(void **state)
{
	struct world w;
	int fd;

	(void)state;
	world_open(&w);
	fd = world_client(&w);
	world_packet_in(&w, OF_REASON_ACTION, 8);
	expect_nothing(fd);
	send_hex(fd, "0409000c11223344 0000 ffff");
	world_run(&w);
	world_packet_in(&w, OF_REASON_ACTION, 8);
	/* No buffer, whole length, reason, table, cookie; in_port, metadata, tunnel_id; 8 bytes. */
	expect_hex(fd,
		"040a004a00000000 ffffffff 0064 01 03 0000000000001122"
		"0001 0024 80000004 00000002 80000408 0000000000000055 80004c08 0000000000000007 00000000"
		"0000 3031323334353637");
	/* Reasons of 1.4 are actions to 1.3; an invalid TTL was not asked for. */
	world_packet_in(&w, OF_REASON_GROUP, 0);
	expect_hex(fd,
		"040a004200000000 ffffffff 0064 01 03 0000000000001122"
		"0001 0024 80000004 00000002 80000408 0000000000000055 80004c08 0000000000000007 00000000"
		"0000");
	world_packet_in(&w, OF_REASON_INVALID_TTL, 8);
	expect_nothing(fd);
	assert_int_equal(of_service_counters(w.service)->packet_ins, 2);
	close(fd);
	world_close(&w);
}

/* A peer that does not read loses packet-ins and nothing else; others lose nothing. */
static void
test_service_limits_packet_ins(void **state)
{
	static uint8_t data[60000];
	struct world w;
	struct of_packet_in pi = {
		.data = data,
		.len = sizeof(data),
		.total_len = sizeof(data),
		.max_len = OF_MAX_LEN_NO_BUFFER,
		.reason = OF_REASON_ACTION,
		.cookie = UINT64_MAX,
	};
	static uint8_t sink[1 << 20];
	size_t n_read = 0;
	int slow, quick;

	(void)state;
	world_open(&w);
	slow = world_client(&w);
	quick = world_client(&w);
	send_hex(slow, "0409000c11223344 0000 ffff");
	send_hex(quick, "0409000c11223344 0000 ffff");
	world_run(&w);
	of_match_init(&pi.match);
	for (unsigned i = 0; i < 1000; i++) {
		ssize_t n;

		of_service_packet_in(w.service, w.ofproto, &pi);
		world_run(&w);
		while ((n = recv(quick, sink, sizeof(sink), MSG_DONTWAIT)) > 0) {
			n_read += (size_t)n;
			world_run(&w);
		}
	}
	assert_int_equal(n_read, 1000u * (8 + 16 + 8 + 2 + 60000));
	assert_true(of_service_counters(w.service)->packet_ins_dropped > 900);
	/* It is still connected: news that are no packet-ins wait for it. */
	assert_int_equal(of_service_counters(w.service)->disconnects, 0);
	close(slow);
	close(quick);
	world_close(&w);
}

static void
test_service_tells_flow_removed(void **state)
{
	struct world w;
	int fd;

	(void)state;
	world_open(&w);
	fd = world_client(&w);
	send_hex(fd,
		"0409000c11223344 0000 ffff"
		"040e004011223344 0000000000000007 0000000000000000 0000 0000 0000 0001 ffffffff ffffffff"
		"ffffffff 0001 0000 0001 000c 80000004 00000001 00000000");
	world_run(&w);
	w.lab.now_ms += 2250;
	send_hex(fd,
		"040e003811223344 0000000000000000 0000000000000000 ff03 0000 0000 0001 ffffffff ffffffff"
		"ffffffff 0000 0000 0001 0004 00000000");
	world_run(&w);
	while (of_model_run(w.model, w.lab.now_ms, 100)) {
	}
	world_run(&w);
	expect_hex(fd, "040b004000000000 0000000000000007 0001 02 00 00000002 0ee6b280 0000 0000"
		       "0000000000000000 0000000000000000 0001 000c 80000004 00000001 00000000");
	close(fd);
	world_close(&w);
}

/* A rule of that priority with an instruction; told of when it goes. */
#define TOLD_RULE(PRIORITY, LEN, INSTRUCTION)                                                      \
	"040e" LEN "11223344 0000000000000007 0000000000000000 00 00 0000 0000" PRIORITY           \
	"ffffffff ffffffff ffffffff 0001 0000 0001 000c 80000004 00000001 00000000" INSTRUCTION
#define TOLD_REMOVED(PRIORITY, REASON)                                                             \
	"040b004000000000 0000000000000007" PRIORITY REASON "00 00000000 00000000 0000 0000"       \
	"0000000000000000 0000000000000000 0001 000c 80000004 00000001 00000000"

/* Grace periods of what was removed end. */
static void
run_model(struct world *w)
{
	for (unsigned i = 0; i < 10; i++) {
		(void)of_model_run(w->model, w->lab.now_ms, 100);
	}
	world_run(w);
}

/* Rules go with their group and their meter. For the latter 1.3 has no reason of its own. */
static void
test_service_tells_why_flows_are_removed(void **state)
{
	struct world w;
	int fd;

	(void)state;
	world_open(&w);
	fd = world_client(&w);
	send_hex(fd, "0409000c11223344 0000 ffff 040f0010112233440000 00 00 00000007"
		     "041d001011223344 0000 0001 00000007" TOLD_RULE("0001", "0050",
			     "0004 0010 00000000 0016 0008 00000007") TOLD_RULE("0002", "0048",
			     "0006 0008 00000007") TOLD_RULE("0003", "0040", ""));
	world_run(&w);
	expect_nothing(fd);
	assert_int_equal(ofproto_n_rules(w.ofproto), 3);
	send_hex(fd, "040f0010112233440002 00 00 00000007");
	world_run(&w);
	run_model(&w);
	expect_hex(fd, TOLD_REMOVED("0001", "03"));
	send_hex(fd, "041d001011223344 0002 0000 00000007");
	world_run(&w);
	run_model(&w);
	expect_hex(fd, TOLD_REMOVED("0002", "02"));
	assert_int_equal(ofproto_n_rules(w.ofproto), 1);
	close(fd);
	world_close(&w);
}

/* --- controllers -------------------------------------------------------------------------------- */

#define ROLE(ROLE_NUMBER, GENERATION)                                                              \
	"0418001811223344 000000" ROLE_NUMBER "00000000 00000000000000" GENERATION
#define ROLE_REPLY(ROLE_NUMBER, GENERATION)                                                        \
	"0419001811223344 000000" ROLE_NUMBER "00000000 00000000000000" GENERATION

static void
test_service_gives_roles(void **state)
{
	struct world w;
	uint8_t reply[128];
	int a, b;

	(void)state;
	world_open(&w);
	a = world_client(&w);
	b = world_client(&w);
	send_hex(a, ROLE("02", "05"));
	world_run(&w);
	expect_hex(a, ROLE_REPLY("02", "05"));
	/* A newer master makes the old one a slave. */
	send_hex(b, ROLE("02", "06"));
	world_run(&w);
	expect_hex(b, ROLE_REPLY("02", "06"));
	send_hex(a, ROLE("00", "00") EMPTY_FLOW_MOD);
	world_run(&w);
	recv_message(a, reply, sizeof(reply));
	assert_int_equal(get_be32(reply + 8), 3);
	recv_message(a, reply, sizeof(reply));
	assert_int_equal(get_be16(reply + 8), OFPET_BAD_REQUEST);
	assert_int_equal(get_be16(reply + 10), OFPBRC_IS_SLAVE);
	assert_int_equal(ofproto_n_rules(w.ofproto), 0);
	/* Older generations are stale. */
	send_hex(a, ROLE("02", "05"));
	world_run(&w);
	recv_message(a, reply, sizeof(reply));
	assert_int_equal(get_be16(reply + 8), OFPET_ROLE_REQUEST_FAILED);
	assert_int_equal(get_be16(reply + 10), OFPRRFC_STALE);
	/* A slave hears of ports alone. */
	send_hex(a, "0409000c11223344 0000 ffff");
	send_hex(b, "0409000c11223344 0000 ffff");
	world_run(&w);
	world_packet_in(&w, OF_REASON_ACTION, 0);
	expect_nothing(a);
	recv_message(b, reply, sizeof(reply));
	assert_int_equal(reply[1], 10);
	of_service_port_status(
		w.service, w.ofproto, OF_PORT_DELETED, ofproto_port_find(w.ofproto, OF_PORT(1)));
	world_run(&w);
	expect_hex(a, "040c005000000000 01 00000000000000" PORT1_DESC);
	expect_hex(b, "040c005000000000 01 00000000000000" PORT1_DESC);
	/* Filters: packet-ins no more as master, as slave yes; ports not for slaves. */
	send_hex(a, "041c002011223344 00000000 00000002 00000007 00000000 00000000 00000000");
	send_hex(b, "041c002011223344 00000000 00000002 00000007 00000000 00000000 00000000");
	world_run(&w);
	world_packet_in(&w, OF_REASON_ACTION, 0);
	recv_message(a, reply, sizeof(reply));
	assert_int_equal(reply[1], 10);
	expect_nothing(b);
	of_service_port_status(
		w.service, w.ofproto, OF_PORT_DELETED, ofproto_port_find(w.ofproto, OF_PORT(1)));
	world_run(&w);
	expect_nothing(a);
	recv_message(b, reply, sizeof(reply));
	assert_int_equal(reply[1], 12);
	close(a);
	close(b);
	world_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_service_answers_exactly),
		cmocka_unit_test(test_service_keeps_flows),
		cmocka_unit_test(test_service_lists_in_slices),
		cmocka_unit_test(test_service_sums_up_in_slices),
		cmocka_unit_test(test_service_lists_groups_as_they_are_read),
		cmocka_unit_test(test_service_forgets_lists),
		cmocka_unit_test(test_service_waits_at_barriers),
		cmocka_unit_test(test_service_waits_for_transactions),
		cmocka_unit_test(test_service_sends_packets),
		cmocka_unit_test(test_service_describes_ports),
		cmocka_unit_test(test_service_sends_packet_ins),
		cmocka_unit_test(test_service_limits_packet_ins),
		cmocka_unit_test(test_service_tells_flow_removed),
		cmocka_unit_test(test_service_tells_why_flows_are_removed),
		cmocka_unit_test(test_service_gives_roles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

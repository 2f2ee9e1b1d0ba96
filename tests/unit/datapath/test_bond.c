/* SPDX-License-Identifier: Apache-2.0
 *
 * Bonds, as the two sides see them (rig.h). The members are ports with queues in memory.
 *
 *     guest 5 -- p5 == datapath == bond (9) --+-- p1 -- guest 1
 *                                             +-- p2 -- guest 2
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "datapath/bond_port.h"
#include "datapath/providers.h"
#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "lib/error.h"
#include "tests/unit/datapath/rig.h"

#define N_OPTIONS 5u

static struct rig_agent agent;
static struct port *p1, *p2, *p5, *bond;
static uint8_t bytes[70000];

/* KEY=VALUE, separated by blanks. */
static size_t
take_options(char *text, struct port_option *options)
{
	size_t n = 0;

	for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
		char *equals = strchr(word, '=');

		*equals = '\0';
		assert_true(n < N_OPTIONS);
		options[n++] = (struct port_option){word, equals + 1};
	}
	return n;
}

static struct port *
try_bond(uint16_t number, const char *name, const char *text,
	struct weft_error *err) WEFT_NO_ANALYSIS
{
	struct port_option options[N_OPTIONS];
	struct port_config config = {.pool = lab_pool, .options = options};
	struct port *port;
	char words[200];

	snprintf(words, sizeof words, "%s", text);
	config.n_options = take_options(words, options);
	assert_true(provider_check_options(&bond_provider, options, config.n_options, false, err));
	port = port_create(number, name, &bond_provider, &config, err);
	if (port) {
		port_publish(port);
	}
	return port;
}

static bool
set_bond(struct port *port, const char *text, struct weft_error *err) WEFT_NO_ANALYSIS
{
	struct port_option options[N_OPTIONS];
	char words[200];
	size_t n;

	snprintf(words, sizeof words, "%s", text);
	n = take_options(words, options);
	assert_true(provider_check_options(&bond_provider, options, n, true, err));
	return bond_provider.set(port->dev, options, n, err);
}

/* The members that are active, as in "p1,p2". */
static bool
active_is(const char *wanted)
{
	json_t *details = bond_provider.details(bond->dev), *name;
	char text[64] = "";
	size_t i;

	json_array_foreach (json_object_get(details, "active"), i, name) {
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? "," : "",
			json_string_value(name));
	}
	json_decref(details);
	return !strcmp(text, wanted);
}

static int64_t
member_count(unsigned i, const char *key)
{
	json_t *details = bond_provider.details(bond->dev), *value;
	int64_t n;

	value = json_object_get(json_array_get(json_object_get(details, "members"), i), key);
	assert_true(json_is_integer(value));
	n = json_integer_value(value);
	json_decref(details);
	return n;
}

static uint64_t
n_drops(const struct port *port, enum drop_reason reason)
{
	struct port_sums s;

	port_read_counters(port, &s);
	return s.drops[reason];
}

static void
begin(const char *options)
{
	struct weft_error err = WEFT_ERROR_INIT;

	rig_start(1);
	p1 = rig_port_add(1, NULL);
	p2 = rig_port_add(2, NULL);
	p5 = rig_port_add(5, NULL);
	rig_agent_open(&agent, 1);
	bond = try_bond(9, "bond", options, &err);
	assert_non_null(bond);
	assert_false(weft_error_is_set(&err));
	rig_wire(&agent, 5, "output(9)");
	rig_wire(&agent, 9, "output(5)");
}

static void
end(void) WEFT_NO_ANALYSIS
{
	rig_port_del(bond);
	rig_agent_close(&agent, true);
	rig_stop();
}

static void
frame_of(struct lab_frame *f, uint16_t flow, uint32_t n)
{
	lab_frame(f, LAB_UDP4, 0, 40);
	memset(f->bytes, 0, 12);
	f->bytes[5] = 1;
	f->bytes[11] = 2;
	memset(f->bytes + f->l3 + 12, 1, 8);
	put_be16(f->bytes + f->l4, flow);
	put_be16(f->bytes + f->l4 + 2, 53);
	put_be32(f->bytes + f->len - 4, n);
	lab_frame_csums(f, false);
}

static void
assert_passes(struct port *from, struct port *to, uint32_t n)
{
	struct lab_frame f;

	for (uint32_t i = 0; i < n; i++) {
		frame_of(&f, (uint16_t)(i + 1), i);
		rig_send(from, f.bytes, f.len);
		assert_int_equal(rig_receive(to, bytes, sizeof bytes), f.len);
		assert_memory_equal(bytes, f.bytes, f.len);
	}
}

static void
send_some(struct port *from, uint32_t n)
{
	struct lab_frame f;

	for (uint32_t i = 0; i < n; i++) {
		frame_of(&f, (uint16_t)(i + 1), i);
		rig_send(from, f.bytes, f.len);
	}
}

static void
test_bond_active_backup_uses_one_member_and_moves(void **state)
{
	struct weft_error err = WEFT_ERROR_INIT;

	(void)state;
	begin("members=p1,p2 mode=active-backup");
	assert_true(active_is("p1"));
	assert_true(bond->link_up);
	assert_passes(p5, p1, 40);
	assert_passes(p1, p5, 40);
	/* What comes by the backup is no traffic. */
	send_some(p2, 7);
	rig_wait(n_drops(bond, DROP_BOND_INACTIVE) == 7);
	assert_int_equal(rig_n_waiting(p5), 0);

	rig_set_link(p1, false);
	rig_wait(active_is("p2"));
	assert_true(bond->link_up);
	assert_passes(p5, p2, 40);
	assert_passes(p2, p5, 40);
	/* It comes back as the backup, unless it is preferred. */
	rig_set_link(p1, true);
	send_some(p1, 3);
	rig_wait(n_drops(bond, DROP_BOND_INACTIVE) == 10);
	assert_true(active_is("p2"));
	assert_passes(p5, p2, 1);
	assert_true(set_bond(bond, "primary=p1", &err));
	rig_wait(active_is("p1"));
	assert_passes(p5, p1, 1);
	rig_set_link(p1, false);
	rig_wait(active_is("p2"));
	rig_set_link(p1, true);
	rig_wait(active_is("p1"));

	/* None left. */
	rig_set_link(p1, false);
	assert_true(bond->link_up);
	rig_set_link(p2, false);
	assert_false(bond->link_up);
	/* Whether net_bonding has noticed or not. */
	send_some(p5, 5);
	rig_wait(n_drops(bond, DROP_TX_DOWN) == 5);
	rig_wait(active_is(""));
	send_some(p5, 5);
	rig_wait(n_drops(bond, DROP_TX_DOWN) == 10);
	rig_set_link(p2, true);
	assert_true(bond->link_up);
	assert_int_equal(rig_n_waiting(p1) + rig_n_waiting(p2), 0);
	assert_int_equal(member_count(0, "tx_packets"), 41);
	assert_int_equal(member_count(1, "tx_packets"), 41);
	assert_int_equal(member_count(0, "rx_packets"), 43);
	assert_int_equal(member_count(1, "rx_packets"), 47);
	end();
}

static void
test_bond_takes_a_disabled_member_for_down(void **state)
{
	(void)state;
	begin("members=p1,p2");
	assert_true(active_is("p1"));
	atomic_store(&p1->admin_up, false);
	port_tell_observer(p1);
	rig_wait(active_is("p2"));
	assert_passes(p5, p2, 3);
	end();
}

/* Receives all that waits; the flows seen are marked with @mark in @at. */
static unsigned
collect(struct port *port, uint8_t mark, uint8_t at[65536])
{
	unsigned n = 0;

	for (; rig_n_waiting(port); n++) {
		uint16_t flow;

		rig_receive(port, bytes, sizeof bytes);
		flow = get_be16(bytes + 34);
		assert_true(!at[flow] || at[flow] == mark);
		at[flow] = mark;
	}
	return n;
}

static void
test_bond_balance_keeps_each_flow_on_one_member(void **state)
{
	static uint8_t at[65536];
	unsigned n1 = 0, n2 = 0;
	struct lab_frame f;

	(void)state;
	begin("members=p1,p2 mode=balance");
	rig_wait(active_is("p1,p2"));
	for (unsigned round = 0; round < 8; round++) {
		for (uint16_t flow = 1; flow <= 64; flow++) {
			frame_of(&f, flow, round);
			rig_send(p5, f.bytes, f.len);
		}
		rig_wait(rig_n_waiting(p1) + rig_n_waiting(p2) == 64);
		n1 += collect(p1, 1, at);
		n2 += collect(p2, 2, at);
	}
	assert_int_equal(n1 + n2, 512);
	/* Ports that count up: the hash of an exclusive or halves them. */
	assert_int_equal(n1, 256);
	/* Both are received from. */
	assert_passes(p1, p5, 20);
	assert_passes(p2, p5, 20);
	/* All of it by the one that is left, and by both again. */
	rig_set_link(p2, false);
	rig_wait(active_is("p1"));
	assert_passes(p5, p1, 64);
	rig_set_link(p2, true);
	rig_wait(active_is("p1,p2"));
	/* By addresses all are one flow. */
	assert_true(set_bond(bond, "balance=l2", NULL));
	send_some(p5, 64);
	rig_wait(rig_n_waiting(p1) + rig_n_waiting(p2) == 64);
	assert_true(!rig_n_waiting(p1) || !rig_n_waiting(p2));
	end();
}

static void
test_bond_passes_tags_and_long_frames_as_they_are(void **state)
{
	static uint8_t big[9000];
	struct lab_frame f;

	(void)state;
	begin("members=p1,p2");
	lab_frame(&f, LAB_TCP6, 2, 100);
	put_be16(f.bytes + 12, 0x88a8);
	rig_send(p5, f.bytes, f.len);
	assert_int_equal(rig_receive(p1, bytes, sizeof bytes), f.len);
	assert_memory_equal(bytes, f.bytes, f.len);
	rig_send(p1, f.bytes, f.len);
	assert_int_equal(rig_receive(p5, bytes, sizeof bytes), f.len);
	assert_memory_equal(bytes, f.bytes, f.len);
	for (unsigned i = 12; i < sizeof big; i++) {
		big[i] = (uint8_t)(i * 7);
	}
	rig_send(p5, big, sizeof big);
	assert_int_equal(rig_receive(p1, bytes, sizeof bytes), sizeof big);
	assert_memory_equal(bytes, big, sizeof big);
	end();
}

static void
test_bond_counts_what_a_full_member_refuses(void **state)
{
	(void)state;
	begin("members=p1,p2");
	rig_set_room(p1, 3);
	send_some(p5, 10);
	rig_wait(n_drops(bond, DROP_TX_FULL) == 7);
	assert_int_equal(rig_n_waiting(p1), 3);
	assert_int_equal(member_count(0, "tx_packets"), 3);
	end();
}

static void
test_bond_members_come_and_go(void **state) WEFT_NO_ANALYSIS
{
	struct port *p3;
	struct weft_error err = WEFT_ERROR_INIT;

	(void)state;
	begin("members=p3,p1");
	/* One is not there yet. Members are no ports of their own: not polled, no output. */
	assert_true(active_is("p1"));
	assert_int_equal(p1->rxq_worker[0], UINT16_MAX);
	assert_ptr_equal(p1->bond, bond);
	rig_wire(&agent, 2, "output(1)");
	send_some(p2, 4);
	rig_wait(n_drops(p2, DROP_PORT_GONE) == 4);
	/* It comes, and takes over when the other goes. */
	p3 = rig_port_add(3, NULL);
	bond_port_added(p3);
	assert_ptr_equal(p3->bond, bond);
	bond_port_removed(p1);
	assert_null(p1->bond);
	rig_wait(active_is("p3"));
	assert_passes(p5, p3, 3);
	assert_passes(p3, p5, 3);
	/* The other is a port again. */
	assert_int_equal(p1->rxq_worker[0], 0);
	rig_wire(&agent, 1, "output(2)");
	assert_passes(p1, p2, 3);
	assert_passes(p2, p1, 3);
	bond_port_added(p1);
	assert_ptr_equal(p1->bond, bond);
	/* Other members while it is in use. */
	assert_true(set_bond(bond, "members=p2,p1", &err));
	assert_null(p3->bond);
	assert_ptr_equal(p2->bond, bond);
	rig_wait(active_is("p1"));
	assert_passes(p5, p1, 3);
	rig_set_link(p1, false);
	rig_wait(active_is("p2"));
	assert_passes(p5, p2, 3);
	/* Refused as a whole. */
	assert_false(set_bond(bond, "members=p1,p3 primary=p2", &err));
	assert_string_equal(err.text, "primary=p2 is no member");
	assert_null(p3->bond);
	assert_ptr_equal(p2->bond, bond);
	end();
}

static void
refuse(const char *options, const char *text)
{
	struct weft_error err = WEFT_ERROR_INIT;

	assert_null(try_bond(10, "bond2", options, &err));
	assert_string_equal(err.text, text);
	assert_null(port_find(10));
}

static void
test_bond_refuses_wrong_members(void **state)
{
	(void)state;
	begin("members=p1");
	refuse("members=p2,p1", "port p1 is a member of bond bond already");
	refuse("members=p2,bond",
		"port bond is of type bond, which cannot be a bond's member; these can: veth, "
		"tap, af-packet, ethdev, af-xdp, memif");
	refuse("members=p2,p5,p2", "members=p2,p5,p2: port p2 stands there twice");
	refuse("members=bond2", "members=bond2: port bond2 is the bond itself");
	refuse("members=,p2", "members=,p2: must be names of ports, like A,B");
	refuse("members=p2,", "members=p2,: must be names of ports, like A,B");
	refuse("members=a,b,c,d,e,f,g,h,i",
		"members=a,b,c,d,e,f,g,h,i: a bond has at most 8 members");
	refuse("members=p2 primary=p1", "primary=p1 is no member");
	assert_null(p2->bond);
	assert_null(p5->bond);
	/* Nothing of it is left, and devices enough for more than DPDK has at a time. */
	for (unsigned i = 0; i < 40; i++) {
		struct port *again = try_bond(10, "bond2", "members=p2 mode=802.3ad", NULL);

		assert_non_null(again);
		rig_port_del(again);
	}
	assert_passes(p5, p1, 1);
	end();
}

#define SLOW_LEN 124u

static void
test_bond_8023ad_keeps_slow_frames_to_itself(void **state)
{
	static const uint8_t group[] = {0x01, 0x80, 0xc2, 0x00, 0x00, 0x02};
	struct port_status status = {0};
	uint8_t slow[SLOW_LEN] = {0};

	(void)state;
	begin("members=p1,p2 mode=802.3ad");
	memcpy(slow, group, sizeof group);
	slow[6] = 2;
	put_be16(slow + 12, 0x8809);
	slow[14] = 1;
	/* No partner yet: nothing passes. */
	assert_false(bond->link_up);
	send_some(p5, 5);
	rig_wait(n_drops(bond, DROP_TX_DOWN) == 5);
	send_some(p1, 6);
	rig_wait(n_drops(bond, DROP_BOND_INACTIVE) == 6);
	/* LACP is the bond's: whole, or cut short, or forged by a guest. */
	rig_send(p1, slow, sizeof slow);
	rig_wait(member_count(0, "rx_lacp") == 1);
	rig_send(p1, slow, 60);
	rig_wait(n_drops(bond, DROP_RX_TRUNCATED) == 1);
	rig_send(p5, slow, sizeof slow);
	slow[14] = 2;
	rig_send(p5, slow, sizeof slow);
	rig_wait(n_drops(bond, DROP_SLOW_PROTOCOL) == 2);
	assert_int_equal(n_drops(bond, DROP_BOND_INACTIVE), 6);
	assert_int_equal(rig_n_waiting(p5), 0);
	/* Its own frames leave by each member, also while nothing else makes the worker run. */
	bond->provider->status(bond->dev, &status);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(rig_receive(i ? p2 : p1, bytes, sizeof bytes), SLOW_LEN);
		assert_memory_equal(bytes, group, sizeof group);
		assert_memory_equal(bytes + 6, status.mac, 6);
		assert_int_equal(get_be16(bytes + 12), 0x8809);
		assert_int_equal(bytes[14], 1);                 /* LACP */
		assert_int_equal(bytes[15], 1);                 /* its version */
		assert_memory_equal(bytes + 20, status.mac, 6); /* the actor's system */
		rig_wait(member_count(i, "tx_lacp") >= 1);      /* counted behind the sending */
	}
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bond_active_backup_uses_one_member_and_moves),
		cmocka_unit_test(test_bond_takes_a_disabled_member_for_down),
		cmocka_unit_test(test_bond_balance_keeps_each_flow_on_one_member),
		cmocka_unit_test(test_bond_passes_tags_and_long_frames_as_they_are),
		cmocka_unit_test(test_bond_counts_what_a_full_member_refuses),
		cmocka_unit_test(test_bond_members_come_and_go),
		cmocka_unit_test(test_bond_refuses_wrong_members),
		cmocka_unit_test(test_bond_8023ad_keeps_slow_frames_to_itself),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Underlay: what the kernel does with routes, links and addresses arrives in snapshots.
 */
#include "tests/unit/controller-agent/underlay_lab.h"

#include <stdio.h>

#define STATE(REMOTE) underlay_lab_state(f, NULL, REMOTE)
#define LOOK(REMOTE) underlay_lab_look(f, NULL, REMOTE)

static void
check_text(struct underlay_lab *f, const char *local, const char *remote,
	enum of_underlay_state state, const char *text)
{
	UNTIL(f, underlay_lab_state(f, local, remote) != OF_UNDERLAY_PENDING);
	underlay_lab_settle(f);
	assert_string_equal(underlay_lab_look(f, local, remote)->text, text);
	assert_int_equal(underlay_lab_state(f, local, remote), state);
}

/* The gateways' addresses, and that they need no resolving. */
static void
set_ipv4_gateways(void)
{
	underlay_lab_set_neighbour("d0", "10.0.0.2", "02:00:00:00:09:00");
	underlay_lab_set_neighbour("d1", "10.0.1.2", "02:00:00:00:09:01");
}

static void
set_gateways(void)
{
	set_ipv4_gateways();
	underlay_lab_set_neighbour("d0", "fd00::2", "02:00:00:00:09:06");
	underlay_lab_set_neighbour("d1", "fd01::2", "02:00:00:00:09:07");
}

static void
test_underlay_follows_each_step_to_a_path(void **state)
{
	static const uint8_t own[] = {2, 0, 0, 0, 0, 1}, gateway[] = {2, 0, 0, 0, 9, 9};
	struct underlay_lab *f = *state;
	const struct of_underlay_route *r;

	assert_int_equal(STATE("10.9.0.7"), OF_UNDERLAY_PENDING);
	check_text(
		f, NULL, "10.9.0.7", OF_UNDERLAY_NO_ROUTE, "the kernel has no route to 10.9.0.7");
	netns_run("ip route add 10.9.0.0/16 via 10.0.0.2 mtu 1400");
	UNTIL(f, STATE("10.9.0.7") == OF_UNDERLAY_NO_DEVICE);
	assert_string_equal(LOOK("10.9.0.7")->text,
		"the route to 10.9.0.7 leaves by d0, which is no internal port of a switch");
	underlay_lab_set_ports(f);
	UNTIL(f, STATE("10.9.0.7") == OF_UNDERLAY_NO_NEIGHBOUR);
	underlay_lab_set_neighbour("d0", "10.0.0.2", "02:00:00:00:09:09");
	UNTIL(f, STATE("10.9.0.7") == OF_UNDERLAY_READY);
	r = LOOK("10.9.0.7");
	assert_int_equal(r->n_paths, 1);
	assert_int_equal(r->usable_weight, 1);
	assert_string_equal(r->text, "");
	underlay_lab_check_path(&r->paths[0], "d0", "10.0.0.2", "10.0.0.1");
	assert_memory_equal(r->paths[0].source_mac, own, 6);
	assert_memory_equal(r->paths[0].next_hop_mac, gateway, 6);
	assert_true(r->paths[0].is_usable);
	assert_int_equal(r->paths[0].mtu, 1400);
	assert_int_equal(r->paths[0].ofproto_id, LAB_SWITCH);
	assert_int_equal(r->paths[0].port.v, OFPP_LOCAL);
	underlay_device_del(f->u, "d0");
	UNTIL(f, STATE("10.9.0.7") == OF_UNDERLAY_NO_DEVICE);
}

static void
test_underlay_follows_the_device(void **state)
{
	struct underlay_lab *f = *state;

	underlay_lab_set_ports(f);
	set_gateways();
	LOOK("10.0.0.2");
	LOOK("10.0.1.2");
	UNTIL(f, STATE("10.0.0.2") == OF_UNDERLAY_READY && STATE("10.0.1.2") == OF_UNDERLAY_READY);
	underlay_lab_settle(f);
	f->n_named = 0;
	netns_run("ip link set d0 address 02:00:00:00:00:05");
	UNTIL(f, LOOK("10.0.0.2")->paths[0].source_mac[5] == 5);
	netns_run("ip link set d0 mtu 1300");
	UNTIL(f, LOOK("10.0.0.2")->paths[0].mtu == 1300);
	/* Another name: it is not that port any more. */
	netns_run("ip link set d0 name e0");
	UNTIL(f, STATE("10.0.0.2") == OF_UNDERLAY_NO_DEVICE);
	netns_run("ip link set e0 name d0");
	UNTIL(f, STATE("10.0.0.2") == OF_UNDERLAY_READY);
	/* Without a carrier, then without the other end's. */
	netns_run("ip link set p0 down");
	UNTIL(f, STATE("10.0.0.2") == OF_UNDERLAY_LINK_DOWN);
	assert_string_equal(
		LOOK("10.0.0.2")->text, "the route to 10.0.0.2 leaves by d0, which has no carrier");
	netns_run("ip link set p0 up");
	UNTIL(f, STATE("10.0.0.2") != OF_UNDERLAY_LINK_DOWN);
	assert_true(underlay_lab_was_named(f, "10.0.0.2"));
	assert_false(underlay_lab_was_named(f, "10.0.1.2"));
	assert_int_equal(STATE("10.0.1.2"), OF_UNDERLAY_READY);
	netns_run("ip link del d1");
	UNTIL(f, STATE("10.0.1.2") == OF_UNDERLAY_NO_ROUTE);
	netns_run("ip link add d1 type veth peer name p1");
}

static void
test_underlay_says_why_not(void **state)
{
	struct underlay_lab *f = *state;

	underlay_lab_set_ports(f);
	netns_run("ip route add blackhole 10.8.0.0/16; ip route add unreachable 10.7.0.0/16");
	netns_run("ip route add prohibit 10.6.0.0/16; ip -6 route add prohibit fd06::/64");
	netns_run("ip -6 route add blackhole fd08::/64; ip -6 route add unreachable fd07::/64");
	check_text(f, NULL, "10.8.0.1", OF_UNDERLAY_NO_ROUTE,
		"the kernel's route to 10.8.0.1 is a blackhole");
	check_text(f, NULL, "fd08::1", OF_UNDERLAY_NO_ROUTE,
		"the kernel's route to fd08::1 is a blackhole");
	check_text(f, NULL, "10.7.0.1", OF_UNDERLAY_NO_ROUTE,
		"the kernel's route to 10.7.0.1 says unreachable");
	check_text(f, NULL, "fd07::1", OF_UNDERLAY_NO_ROUTE,
		"the kernel's route to fd07::1 says unreachable");
	check_text(f, NULL, "10.6.0.1", OF_UNDERLAY_NO_ROUTE,
		"the kernel's route to 10.6.0.1 says prohibited");
	check_text(f, NULL, "fd06::1", OF_UNDERLAY_NO_ROUTE,
		"the kernel's route to fd06::1 says prohibited");
	check_text(f, NULL, "fd05::1", OF_UNDERLAY_NO_ROUTE, "the kernel has no route to fd05::1");
	check_text(f, NULL, "10.0.1.1", OF_UNDERLAY_OWN_ADDRESS,
		"10.0.1.1 is an address of this host");
	check_text(f, NULL, "127.0.0.9", OF_UNDERLAY_OWN_ADDRESS,
		"127.0.0.9 is an address of this host");
	check_text(
		f, NULL, "fd01::1", OF_UNDERLAY_OWN_ADDRESS, "fd01::1 is an address of this host");
	check_text(
		f, NULL, "10.0.0.255", OF_UNDERLAY_NO_ROUTE, "10.0.0.255 is a broadcast address");
	check_text(f, NULL, "ff02::5", OF_UNDERLAY_NO_ROUTE, "ff02::5 is a multicast address");
	check_text(f, "10.0.7.7", "10.0.0.2", OF_UNDERLAY_NO_LOCAL,
		"the local address 10.0.7.7 is no address of this host");
	check_text(f, "fd00::1", "10.0.0.2", OF_UNDERLAY_NO_LOCAL,
		"the local address fd00::1 is not of the remote's family");
}

/* --- which route ----------------------------------------------------------------------------------- */

static void
test_underlay_takes_the_longest_prefix_and_the_lowest_metric(void **state)
{
	struct underlay_lab *f = *state;

	underlay_lab_set_ports(f);
	set_gateways();
	netns_run("ip route add 10.9.0.0/16 via 10.0.0.2");
	LOOK("10.9.1.1");
	LOOK("10.9.2.1");
	UNTIL(f, STATE("10.9.1.1") == OF_UNDERLAY_READY && STATE("10.9.2.1") == OF_UNDERLAY_READY);
	underlay_lab_settle(f);
	f->n_named = 0;
	netns_run("ip route add 10.9.1.0/24 via 10.0.1.2 metric 20");
	UNTIL(f, underlay_lab_was_named(f, "10.9.1.1"));
	underlay_lab_check_path(&LOOK("10.9.1.1")->paths[0], "d1", "10.0.1.2", "10.0.1.1");
	netns_run("ip route add 10.9.1.0/24 via 10.0.0.2 metric 10");
	UNTIL(f, strcmp(LOOK("10.9.1.1")->paths[0].device, "d0") == 0);
	netns_run("ip route replace 10.9.1.0/24 via 10.0.1.2 metric 10");
	UNTIL(f, strcmp(LOOK("10.9.1.1")->paths[0].device, "d1") == 0);
	netns_run("ip route flush 10.9.1.0/24");
	UNTIL(f, strcmp(LOOK("10.9.1.1")->paths[0].device, "d0") == 0);
	underlay_lab_settle(f);
	assert_false(underlay_lab_was_named(f, "10.9.2.1"));
	/* The default route is all remotes'. */
	netns_run("ip route del 10.9.0.0/16; ip route add default via 10.0.1.2");
	UNTIL(f, strcmp(LOOK("10.9.1.1")->paths[0].device, "d1") == 0);
	UNTIL(f, strcmp(LOOK("10.9.2.1")->paths[0].device, "d1") == 0);
}

static void
test_underlay_obeys_rules(void **state)
{
	struct underlay_lab *f = *state;

	underlay_lab_set_ports(f);
	set_gateways();
	netns_run("ip route add 10.9.0.0/16 via 10.0.0.2; "
		  "ip route add 10.9.0.0/16 via 10.0.1.2 table 100");
	UNTIL(f, underlay_lab_state(f, "10.0.1.1", "10.9.0.1") == OF_UNDERLAY_READY);
	UNTIL(f, STATE("10.9.0.1") == OF_UNDERLAY_READY);
	underlay_lab_check_path(&underlay_lab_look(f, "10.0.1.1", "10.9.0.1")->paths[0], "d0",
		"10.0.0.2", "10.0.1.1");
	netns_run("ip rule add from 10.0.1.1 table 100");
	UNTIL(f, underlay_lab_look(f, "10.0.1.1", "10.9.0.1")->paths[0].device[1] == '1');
	underlay_lab_check_path(&underlay_lab_look(f, "10.0.1.1", "10.9.0.1")->paths[0], "d1",
		"10.0.1.2", "10.0.1.1");
	assert_int_equal(LOOK("10.9.0.1")->paths[0].device[1], '0');
	netns_run("ip rule del from 10.0.1.1 table 100");
	UNTIL(f, underlay_lab_look(f, "10.0.1.1", "10.9.0.1")->paths[0].device[1] == '0');
	netns_run("ip route flush table 100");
}

/* --- source address --------------------------------------------------------------------------------- */

static void
test_underlay_follows_source_addresses(void **state)
{
	struct underlay_lab *f = *state;
	struct of_underlay_addr second = underlay_lab_addr("10.0.0.9");

	underlay_lab_set_ports(f);
	set_gateways();
	UNTIL(f, underlay_lab_state(f, "10.0.0.9", "10.0.0.2") == OF_UNDERLAY_NO_LOCAL);
	netns_run("ip addr add 10.0.0.9/24 dev d0");
	UNTIL(f, underlay_lab_state(f, "10.0.0.9", "10.0.0.2") == OF_UNDERLAY_READY);
	underlay_lab_check_path(&underlay_lab_look(f, "10.0.0.9", "10.0.0.2")->paths[0], "d0",
		"10.0.0.2", "10.0.0.9");
	/* A route that names its source goes with it, and the kernel says nothing of the route. */
	netns_run("ip route add 10.9.0.0/16 via 10.0.1.2 src 10.0.0.9; "
		  "ip route add 10.0.0.0/8 via 10.0.0.2");
	UNTIL(f, STATE("10.9.0.1") == OF_UNDERLAY_READY);
	underlay_lab_check_path(&LOOK("10.9.0.1")->paths[0], "d1", "10.0.1.2", "10.0.0.9");
	/* The kernel's own choice. */
	UNTIL(f, STATE("10.0.0.2") == OF_UNDERLAY_READY);
	assert_false(underlay_addr_equal(&LOOK("10.0.0.2")->paths[0].source, &second));
	netns_run("ip addr del 10.0.0.9/24 dev d0");
	UNTIL(f, underlay_lab_state(f, "10.0.0.9", "10.0.0.2") == OF_UNDERLAY_NO_LOCAL);
	UNTIL(f, LOOK("10.9.0.1")->paths[0].device[1] == '0');
	underlay_lab_check_path(&LOOK("10.9.0.1")->paths[0], "d0", "10.0.0.2", "10.0.0.1");
	/* A source that fits the gateway better. */
	netns_run("ip route add 10.7.0.0/16 via 10.5.0.2 dev d0 onlink");
	underlay_lab_set_neighbour("d0", "10.5.0.2", "02:00:00:00:09:05");
	UNTIL(f, STATE("10.7.0.1") == OF_UNDERLAY_READY);
	underlay_lab_check_path(&LOOK("10.7.0.1")->paths[0], "d0", "10.5.0.2", "10.0.0.1");
	netns_run("ip addr add 10.5.0.1/24 dev d0");
	UNTIL(f, LOOK("10.7.0.1")->paths[0].source.v[13] == 5);
	/* Taken over by this host: a remote no longer. */
	netns_run("ip addr add 10.0.0.2/24 dev d0");
	UNTIL(f, STATE("10.0.0.2") == OF_UNDERLAY_OWN_ADDRESS);
	netns_run("ip addr del 10.0.0.2/24 dev d0");
	UNTIL(f, STATE("10.0.0.2") == OF_UNDERLAY_READY);
}

/* --- equal-cost paths ------------------------------------------------------------------------------- */

static void
test_underlay_leaves_a_path_whose_link_goes_down(void **state)
{
	struct underlay_lab *f = *state;
	const struct of_underlay_route *r;

	/* What becomes of IPv6 with the link would be news of its own. */
	netns_run("sysctl -qw net.ipv6.conf.d0.disable_ipv6=1 net.ipv6.conf.d1.disable_ipv6=1");
	underlay_lab_set_ports(f);
	set_ipv4_gateways();
	netns_run("ip route add 10.9.0.0/16 nexthop via 10.0.0.2 weight 3 nexthop via 10.0.1.2");
	UNTIL(f, STATE("10.9.0.1") == OF_UNDERLAY_READY);
	r = LOOK("10.9.0.1");
	assert_int_equal(r->n_paths, 2);
	assert_int_equal(r->usable_weight, 4);
	underlay_lab_check_path(&r->paths[0], "d0", "10.0.0.2", "10.0.0.1");
	underlay_lab_check_path(&r->paths[1], "d1", "10.0.1.2", "10.0.1.1");
	assert_int_equal(r->paths[0].weight, 3);
	assert_int_equal(r->paths[1].weight, 1);
	assert_int_equal(r->paths[1].ofproto_id, LAB_SWITCH + 1);
	assert_int_equal(r->paths[1].port.v, 3);
	underlay_lab_settle(f);
	f->n_named = 0;
	netns_run("ip link set d0 down");
	UNTIL(f, LOOK("10.9.0.1")->usable_weight == 1);
	assert_true(underlay_lab_was_named(f, "10.9.0.1"));
	r = LOOK("10.9.0.1");
	assert_int_equal(r->state, OF_UNDERLAY_READY);
	assert_ptr_equal(of_underlay_pick(r, 1), &r->paths[1]);
	underlay_lab_settle(f);
	assert_int_equal(LOOK("10.9.0.1")->n_paths, 2);
	netns_run("ip link set d1 down");
	UNTIL(f, STATE("10.9.0.1") != OF_UNDERLAY_READY);
	underlay_lab_settle(f);
	assert_int_equal(STATE("10.9.0.1"), OF_UNDERLAY_NO_ROUTE);
	/* The kernel has taken the route away, and does not bring it back. */
	netns_run("ip link set d0 up; ip link set d1 up");
	underlay_lab_settle(f);
	assert_int_equal(STATE("10.9.0.1"), OF_UNDERLAY_NO_ROUTE);
	/* One down and up again: the kernel says nothing of the route. */
	set_ipv4_gateways();
	netns_run("ip route add 10.9.0.0/16 nexthop via 10.0.0.2 weight 3 nexthop via 10.0.1.2");
	UNTIL(f, LOOK("10.9.0.1")->usable_weight == 4);
	netns_run("ip link set d1 down");
	UNTIL(f, LOOK("10.9.0.1")->usable_weight == 3);
	netns_run("ip link set d1 up");
	set_ipv4_gateways();
	UNTIL(f, LOOK("10.9.0.1")->usable_weight == 4);
}

static void
test_underlay_leaves_a_path_without_a_neighbour(void **state)
{
	struct underlay_lab *f = *state;

	underlay_lab_set_ports(f);
	set_gateways();
	netns_run("ip route add 10.9.0.0/16 nexthop via 10.0.0.2 nexthop via 10.0.1.2");
	UNTIL(f, LOOK("10.9.0.1")->usable_weight == 2);
	netns_run("ip neigh replace 10.0.0.2 dev d0 nud failed");
	UNTIL(f, LOOK("10.9.0.1")->usable_weight == 1);
	assert_int_equal(STATE("10.9.0.1"), OF_UNDERLAY_READY);
	assert_false(LOOK("10.9.0.1")->paths[0].is_usable);
	set_gateways();
	UNTIL(f, LOOK("10.9.0.1")->usable_weight == 2);
	/* One that leaves by no port of ours. */
	underlay_device_del(f->u, "d1");
	UNTIL(f, LOOK("10.9.0.1")->usable_weight == 1);
	assert_true(LOOK("10.9.0.1")->paths[0].is_usable);
	assert_string_equal(LOOK("10.9.0.1")->paths[1].device, "d1");
}

static void
test_underlay_has_equal_cost_paths_of_ipv6(void **state)
{
	struct underlay_lab *f = *state;
	const struct of_underlay_route *r;

	underlay_lab_set_ports(f);
	set_gateways();
	netns_run("ip -6 route add fd09::/64 nexthop via fd00::2 weight 2 nexthop via fd01::2");
	UNTIL(f, STATE("fd09::1") == OF_UNDERLAY_READY);
	r = LOOK("fd09::1");
	assert_int_equal(r->n_paths, 2);
	assert_int_equal(r->usable_weight, 3);
	underlay_lab_check_path(&r->paths[0], "d0", "fd00::2", "fd00::1");
	underlay_lab_check_path(&r->paths[1], "d1", "fd01::2", "fd01::1");
	netns_run("ip link set d0 down");
	UNTIL(f, LOOK("fd09::1")->usable_weight == 1);
	netns_run("ip -6 route del fd09::/64; ip -6 route add fd09::/64 via fe80::5 dev d1");
	underlay_lab_set_neighbour("d1", "fe80::5", "02:00:00:00:09:0a");
	UNTIL(f, LOOK("fd09::1")->n_paths == 1 && STATE("fd09::1") == OF_UNDERLAY_READY);
	underlay_lab_check_path(&LOOK("fd09::1")->paths[0], "d1", "fe80::5", "fd01::1");
}

static void
test_underlay_reaches_ipv4_by_way_of_ipv6(void **state)
{
	struct underlay_lab *f = *state;

	underlay_lab_set_ports(f);
	set_gateways();
	netns_run("ip route add 10.9.0.0/16 via inet6 fd00::2");
	UNTIL(f, STATE("10.9.0.1") == OF_UNDERLAY_READY);
	underlay_lab_check_path(&LOOK("10.9.0.1")->paths[0], "d0", "fd00::2", "10.0.0.1");
}

/* --- nexthop objects -------------------------------------------------------------------------------- */

static void
check_nexthop_objects(struct underlay_lab *f, unsigned compat)
{
	const struct of_underlay_route *r;

	underlay_lab_set_ports(f);
	set_gateways();
	netns_run("sysctl -qw net.ipv4.nexthop_compat_mode=%u", compat);
	netns_run(
		"ip nexthop add id 7 via 10.0.0.2 dev d0; ip nexthop add id 8 via 10.0.1.2 dev d1; "
		"ip nexthop add id 9 group 7,2/8,5; ip route add 10.9.0.0/16 nhid 9");
	UNTIL(f, STATE("10.9.0.1") == OF_UNDERLAY_READY);
	r = LOOK("10.9.0.1");
	assert_int_equal(r->n_paths, 2);
	assert_int_equal(r->usable_weight, 7);
	assert_int_equal(r->paths[0].weight, 2);
	underlay_lab_check_path(&r->paths[0], "d0", "10.0.0.2", "10.0.0.1");
	underlay_lab_check_path(&r->paths[1], "d1", "10.0.1.2", "10.0.1.1");
	underlay_lab_set_neighbour("d0", "10.0.0.3", "02:00:00:00:09:03");
	netns_run("ip nexthop replace id 7 via 10.0.0.3 dev d0");
	UNTIL(f, LOOK("10.9.0.1")->usable_weight == 7 &&
			 LOOK("10.9.0.1")->paths[0].next_hop.v[15] == 3);
	netns_run("ip route replace 10.9.0.0/16 nhid 8");
	UNTIL(f, LOOK("10.9.0.1")->n_paths == 1);
	underlay_lab_check_path(&LOOK("10.9.0.1")->paths[0], "d1", "10.0.1.2", "10.0.1.1");
	netns_run("ip nexthop replace id 9 group 8; ip nexthop add id 10 blackhole");
	netns_run("ip route replace 10.9.0.0/16 nhid 10");
	UNTIL(f, STATE("10.9.0.1") == OF_UNDERLAY_NO_ROUTE);
	netns_run("ip nexthop flush; sysctl -qw net.ipv4.nexthop_compat_mode=1");
}

static void
test_underlay_knows_nexthop_objects(void **state)
{
	check_nexthop_objects(*state, 1);
}

static void
test_underlay_asks_for_nexthop_objects(void **state)
{
	check_nexthop_objects(*state, 0);
}

#define LAB_TEST(F) cmocka_unit_test_setup_teardown(F, underlay_lab_begin, underlay_lab_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(test_underlay_follows_each_step_to_a_path),
		LAB_TEST(test_underlay_follows_the_device),
		LAB_TEST(test_underlay_says_why_not),
		LAB_TEST(test_underlay_takes_the_longest_prefix_and_the_lowest_metric),
		LAB_TEST(test_underlay_obeys_rules),
		LAB_TEST(test_underlay_follows_source_addresses),
		LAB_TEST(test_underlay_leaves_a_path_whose_link_goes_down),
		LAB_TEST(test_underlay_leaves_a_path_without_a_neighbour),
		LAB_TEST(test_underlay_has_equal_cost_paths_of_ipv6),
		LAB_TEST(test_underlay_reaches_ipv4_by_way_of_ipv6),
		LAB_TEST(test_underlay_knows_nexthop_objects),
		LAB_TEST(test_underlay_asks_for_nexthop_objects),
	};

	if (!netns_enter()) {
		puts("1..0 # SKIP no network namespace can be made here");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Underlay: messages of route netlink from tables of the test's own: what is read of them, and that cut or odd
 * ones do no harm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>

#include "controller-agent/underlay_netlink.h"
#include "lib/alloc.h"

static struct of_underlay_addr
addr(const char *text)
{
	struct of_underlay_addr a;

	assert_true(underlay_addr_parse(text, &a));
	return a;
}

static struct nl_msg *
message(int type, const void *head, size_t size)
{
	struct nl_msg *m = nlmsg_alloc_simple(type, 0);

	assert_non_null(m);
	assert_int_equal(nlmsg_append(m, (void *)(uintptr_t)head, size, NLMSG_ALIGNTO), 0);
	return m;
}

static void
put_addr(struct nl_msg *m, int attribute, const char *text)
{
	struct of_underlay_addr a = addr(text);
	bool v4 = underlay_addr_is_v4(&a);

	assert_int_equal(nla_put(m, attribute, v4 ? 4 : 16, v4 ? a.v + 12 : a.v), 0);
}

static void
check_addr(const struct of_underlay_addr *a, const char *expected)
{
	char text[UNDERLAY_ADDR_SIZE];

	assert_string_equal(underlay_addr_text(a, text), expected);
}

/* --- routes ----------------------------------------------------------------------------------------- */

static struct nl_msg *
single_route(void)
{
	struct rtmsg head = {.rtm_family = AF_INET,
		.rtm_dst_len = 24,
		.rtm_table = RT_TABLE_COMPAT,
		.rtm_type = RTN_UNICAST,
		.rtm_flags = RTNH_F_DEAD};
	struct nl_msg *m = message(RTM_NEWROUTE, &head, sizeof(head));
	struct nlattr *metrics;

	put_addr(m, RTA_DST, "192.0.2.0");
	put_addr(m, RTA_GATEWAY, "10.0.0.1");
	put_addr(m, RTA_PREFSRC, "10.0.0.2");
	nla_put_u32(m, RTA_OIF, 5);
	nla_put_u32(m, RTA_TABLE, 1000);
	nla_put_u32(m, RTA_PRIORITY, 20);
	metrics = nla_nest_start(m, RTA_METRICS);
	nla_put_u32(m, RTAX_MTU, 1400);
	nla_nest_end(m, metrics);
	return m;
}

static void
test_underlay_reads_a_route(void **state)
{
	struct nl_msg *m = single_route();
	struct underlay_answer a;

	(void)state;
	assert_int_equal(underlay_parse_route(nlmsg_hdr(m), &a), 0);
	assert_int_equal(a.type, RTN_UNICAST);
	check_addr(&a.prefix, "192.0.2.0");
	assert_int_equal(a.prefix_len, 24);
	assert_int_equal(a.table, 1000);
	assert_int_equal(a.metric, 20);
	assert_int_equal(a.mtu, 1400);
	assert_int_equal(a.nexthop_id, 0);
	assert_true(a.has_source);
	check_addr(&a.source, "10.0.0.2");
	assert_int_equal(a.n_nexthops, 1);
	assert_int_equal(a.nexthops[0].ifindex, 5);
	assert_int_equal(a.nexthops[0].weight, 1);
	assert_true(a.nexthops[0].has_gateway);
	assert_true(a.nexthops[0].is_dead);
	check_addr(&a.nexthops[0].gateway, "10.0.0.1");
	nlmsg_free(m);
}

static void
test_underlay_reads_default_routes(void **state)
{
	struct rtmsg v4 = {.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN},
		     v6 = {.rtm_family = AF_INET6, .rtm_table = RT_TABLE_MAIN};
	struct nl_msg *m = message(RTM_DELROUTE, &v4, sizeof(v4));
	struct underlay_answer a;

	(void)state;
	nla_put_u32(m, RTA_NH_ID, 9);
	assert_int_equal(underlay_parse_route(nlmsg_hdr(m), &a), 0);
	check_addr(&a.prefix, "0.0.0.0");
	assert_int_equal(a.prefix_len, 0);
	assert_int_equal(a.table, RT_TABLE_MAIN);
	assert_int_equal(a.nexthop_id, 9);
	assert_int_equal(a.n_nexthops, 0);
	assert_false(a.has_source);
	nlmsg_free(m);
	m = message(RTM_NEWROUTE, &v6, sizeof(v6));
	nla_put_u32(m, RTA_OIF, 6);
	assert_int_equal(underlay_parse_route(nlmsg_hdr(m), &a), 0);
	check_addr(&a.prefix, "::");
	assert_int_equal(a.n_nexthops, 1);
	assert_false(a.nexthops[0].has_gateway);
	nlmsg_free(m);
}

/* A nexthop of a multipath route: @via: of the other family. */
static void
put_nexthop(struct nl_msg *m, int ifindex, unsigned weight, unsigned flags, const char *gateway,
	bool via)
{
	struct rtnexthop nh = {
		.rtnh_ifindex = ifindex, .rtnh_hops = (uint8_t)(weight - 1), .rtnh_flags = flags};
	size_t at = nlmsg_hdr(m)->nlmsg_len;
	struct of_underlay_addr a = addr(gateway);

	assert_int_equal(nlmsg_append(m, &nh, sizeof(nh), NLMSG_ALIGNTO), 0);
	if (via) {
		uint8_t bytes[18] = {AF_INET6};

		memcpy(bytes + 2, a.v, 16);
		nla_put(m, RTA_VIA, sizeof(bytes), bytes);
	} else {
		put_addr(m, RTA_GATEWAY, gateway);
	}
	((struct rtnexthop *)(void *)((char *)nlmsg_hdr(m) + at))->rtnh_len =
		(uint16_t)(nlmsg_hdr(m)->nlmsg_len - at);
}

static struct nl_msg *
multipath_route(unsigned n)
{
	struct rtmsg head = {.rtm_family = AF_INET, .rtm_dst_len = 32, .rtm_type = RTN_UNICAST};
	struct nl_msg *m = message(RTM_NEWROUTE, &head, sizeof(head));
	struct nlattr *list;

	put_addr(m, RTA_DST, "192.0.2.1");
	list = nla_nest_start(m, RTA_MULTIPATH);
	for (unsigned i = 0; i < n; i++) {
		char gateway[32];

		snprintf(gateway, sizeof(gateway), i == 1 ? "fe80::%u" : "10.0.0.%u", i);
		put_nexthop(m, (int)(100 + i), i == 0 ? 256 : i, i == 2 ? RTNH_F_DEAD : 0, gateway,
			i == 1);
	}
	nla_nest_end(m, list);
	return m;
}

static void
test_underlay_reads_equal_cost_nexthops(void **state)
{
	struct nl_msg *m = multipath_route(20);
	struct underlay_answer a;

	(void)state;
	assert_int_equal(underlay_parse_route(nlmsg_hdr(m), &a), 0);
	assert_int_equal(a.n_nexthops, OF_UNDERLAY_MAX_PATHS);
	assert_int_equal(a.nexthops[0].weight, 256);
	assert_int_equal(a.nexthops[0].ifindex, 100);
	check_addr(&a.nexthops[0].gateway, "10.0.0.0");
	assert_true(a.nexthops[1].has_gateway);
	check_addr(&a.nexthops[1].gateway, "fe80::1");
	assert_false(a.nexthops[1].is_dead);
	assert_true(a.nexthops[2].is_dead);
	assert_int_equal(a.nexthops[15].ifindex, 115);
	assert_int_equal(a.nexthops[15].weight, 15);
	nlmsg_free(m);
}

/* --- links, neighbours ------------------------------------------------------------------------------ */

static struct nl_msg *
link_message(int type, unsigned char family, unsigned flags)
{
	struct ifinfomsg head = {
		.ifi_family = family, .ifi_index = 7, .ifi_type = ARPHRD_ETHER, .ifi_flags = flags};
	struct nl_msg *m = message(type, &head, sizeof(head));

	nla_put_string(m, IFLA_IFNAME, "eth7");
	nla_put_u32(m, IFLA_MTU, 9000);
	nla_put(m, IFLA_ADDRESS, 6, "\2\0\0\0\0\7");
	return m;
}

static void
test_underlay_reads_a_link(void **state)
{
	struct nl_msg *m = link_message(RTM_NEWLINK, AF_UNSPEC, IFF_UP | IFF_RUNNING);
	struct underlay_link l;

	(void)state;
	assert_int_equal(underlay_parse_link(nlmsg_hdr(m), &l), 0);
	assert_int_equal(l.ifindex, 7);
	assert_int_equal(l.mtu, 9000);
	assert_memory_equal(l.mac, "\2\0\0\0\0\7", 6);
	assert_string_equal(l.name, "eth7");
	assert_true(l.is_up && l.has_carrier && l.is_ethernet);
	nlmsg_free(m);
	m = link_message(RTM_NEWLINK, AF_UNSPEC, IFF_RUNNING);
	assert_int_equal(underlay_parse_link(nlmsg_hdr(m), &l), 0);
	assert_false(l.is_up || l.has_carrier);
	nlmsg_free(m);
	m = link_message(RTM_NEWLINK, AF_BRIDGE, IFF_UP);
	assert_int_equal(underlay_parse_link(nlmsg_hdr(m), &l), -EPROTO);
	nlmsg_free(m);
}

static struct nl_msg *
neighbour_message(int type, const char *address, unsigned state, unsigned flags)
{
	struct of_underlay_addr a = addr(address);
	struct ndmsg head = {.ndm_family = underlay_addr_is_v4(&a) ? AF_INET : AF_INET6,
		.ndm_ifindex = 7,
		.ndm_state = (uint16_t)state,
		.ndm_flags = (uint8_t)flags};
	struct nl_msg *m = message(type, &head, sizeof(head));

	put_addr(m, NDA_DST, address);
	return m;
}

static void
test_underlay_reads_a_neighbour(void **state)
{
	struct nl_msg *m = neighbour_message(RTM_NEWNEIGH, "fe80::9", NUD_STALE, 0);
	struct underlay_neighbour n;

	(void)state;
	nla_put(m, NDA_LLADDR, 6, "\2\0\0\0\0\11");
	assert_int_equal(underlay_parse_neighbour(nlmsg_hdr(m), &n), 0);
	assert_int_equal(n.ifindex, 7);
	check_addr(&n.address, "fe80::9");
	assert_int_equal(n.state, NUD_STALE);
	assert_true(n.has_mac);
	assert_memory_equal(n.mac, "\2\0\0\0\0\11", 6);
	nlmsg_free(m);
	m = neighbour_message(RTM_NEWNEIGH, "10.0.0.9", NUD_FAILED, 0);
	assert_int_equal(underlay_parse_neighbour(nlmsg_hdr(m), &n), 0);
	assert_false(n.has_mac);
	nlmsg_free(m);
	m = neighbour_message(RTM_NEWNEIGH, "10.0.0.9", NUD_PERMANENT, NTF_PROXY);
	assert_int_equal(underlay_parse_neighbour(nlmsg_hdr(m), &n), -ENOENT);
	nlmsg_free(m);
}

/* --- news ------------------------------------------------------------------------------------------- */

struct heard {
	unsigned n_links, n_links_gone, n_addresses, n_addresses_gone, n_routes, n_rules,
		n_nexthops, n_neighbours, n_neighbours_gone;
	struct of_underlay_addr address, prefix;
	unsigned prefix_len;
};

static void
hear_link(void *user, const struct underlay_link *link, bool is_gone)
{
	struct heard *h = user;

	(void)link;
	h->n_links++;
	h->n_links_gone += is_gone;
}

static void
hear_address(void *user, uint32_t ifindex, const struct of_underlay_addr *address, bool is_gone)
{
	struct heard *h = user;

	(void)ifindex;
	h->n_addresses++;
	h->n_addresses_gone += is_gone;
	h->address = *address;
}

static void
hear_route(void *user, const struct of_underlay_addr *prefix, unsigned prefix_len)
{
	struct heard *h = user;

	h->n_routes++;
	h->prefix = *prefix;
	h->prefix_len = prefix_len;
}

static void
hear_rule(void *user)
{
	((struct heard *)user)->n_rules++;
}

static void
hear_nexthop(void *user)
{
	((struct heard *)user)->n_nexthops++;
}

static void
hear_neighbour(void *user, const struct underlay_neighbour *n, bool is_gone)
{
	struct heard *h = user;

	(void)n;
	h->n_neighbours++;
	h->n_neighbours_gone += is_gone;
}

static const struct underlay_news_ops ops = {
	hear_link, hear_address, hear_route, hear_rule, hear_nexthop, hear_neighbour};

/* Puts the message behind what is in @bytes. Frees it. */
static size_t
append(char *bytes, size_t size, struct nl_msg *m)
{
	memcpy(bytes + size, nlmsg_hdr(m), nlmsg_hdr(m)->nlmsg_len);
	size += (size_t)NLMSG_ALIGN(nlmsg_hdr(m)->nlmsg_len);
	nlmsg_free(m);
	return size;
}

static struct nl_msg *
address_message(int type, const char *local, const char *peer)
{
	struct ifaddrmsg head = {.ifa_family = AF_INET, .ifa_prefixlen = 24, .ifa_index = 7};
	struct nl_msg *m = message(type, &head, sizeof(head));

	put_addr(m, IFA_ADDRESS, peer);
	if (local) {
		put_addr(m, IFA_LOCAL, local);
	}
	return m;
}

static size_t
all_news(char *bytes)
{
	struct fib_rule_hdr {
		uint8_t bytes[12];
	} rule = {{AF_INET}};
	struct nhmsg nh = {.nh_family = AF_INET};
	size_t size = 0;

	size = append(bytes, size, link_message(RTM_NEWLINK, AF_UNSPEC, IFF_UP));
	size = append(bytes, size, link_message(RTM_DELLINK, AF_UNSPEC, IFF_UP));
	size = append(bytes, size, address_message(RTM_NEWADDR, NULL, "10.0.0.4"));
	size = append(bytes, size, address_message(RTM_DELADDR, "10.0.0.5", "10.0.0.6"));
	size = append(bytes, size, multipath_route(3));
	size = append(bytes, size, single_route());
	size = append(bytes, size, message(RTM_NEWRULE, &rule, sizeof(rule)));
	size = append(bytes, size, message(RTM_DELRULE, &rule, sizeof(rule)));
	size = append(bytes, size, message(RTM_DELNEXTHOP, &nh, sizeof(nh)));
	size = append(bytes, size, neighbour_message(RTM_NEWNEIGH, "10.0.0.7", NUD_DELAY, 0));
	size = append(bytes, size, neighbour_message(RTM_DELNEIGH, "10.0.0.7", NUD_DELAY, 0));
	size = append(bytes, size, message(RTM_NEWQDISC, &rule, sizeof(rule)));
	return size;
}

static void
test_underlay_hands_news_out(void **state)
{
	_Alignas(8) char bytes[4096];
	size_t size = all_news(bytes);
	struct heard h = {0};

	(void)state;
	underlay_hand_out_news(bytes, size, &ops, &h);
	assert_int_equal(h.n_links, 2);
	assert_int_equal(h.n_links_gone, 1);
	assert_int_equal(h.n_addresses, 2);
	assert_int_equal(h.n_addresses_gone, 1);
	check_addr(&h.address, "10.0.0.5");
	assert_int_equal(h.n_routes, 2);
	check_addr(&h.prefix, "192.0.2.0");
	assert_int_equal(h.prefix_len, 24);
	assert_int_equal(h.n_rules, 2);
	assert_int_equal(h.n_nexthops, 1);
	assert_int_equal(h.n_neighbours, 2);
	assert_int_equal(h.n_neighbours_gone, 1);
}

/* Cut anywhere, and with any byte changed: nothing is read beyond the end (address sanitizer). */
static void
test_underlay_survives_broken_news(void **state)
{
	_Alignas(8) char whole[4096];
	size_t size = all_news(whole);
	const char *seed_text = getenv("WEFT_SEED");
	unsigned seed = seed_text ? (unsigned)strtoul(seed_text, NULL, 0) : 23;
	struct heard h = {0};

	(void)state;
	print_message("WEFT_SEED=%u\n", seed);
	srandom(seed);
	for (size_t cut = 0; cut <= size; cut++) {
		char *bytes = xmalloc(cut + 1);

		memcpy(bytes, whole, cut);
		underlay_hand_out_news(bytes, cut, &ops, &h);
		free(bytes);
	}
	for (unsigned i = 0; i < 20000; i++) {
		char *bytes = xmalloc(size);

		memcpy(bytes, whole, size);
		for (unsigned k = 0; k < 1 + i % 4; k++) {
			bytes[(size_t)random() % size] = (char)random();
		}
		underlay_hand_out_news(bytes, size, &ops, &h);
		free(bytes);
	}
	assert_true(h.n_routes > 2);
}

/* --- addresses -------------------------------------------------------------------------------------- */

static void
test_underlay_addresses_have_texts(void **state)
{
	struct of_underlay_addr a;

	(void)state;
	assert_true(underlay_addr_is_none(&(struct of_underlay_addr){{0}}));
	a = addr("192.0.2.1");
	assert_true(underlay_addr_is_v4(&a));
	assert_false(underlay_addr_is_none(&a));
	check_addr(&a, "192.0.2.1");
	a = addr("2001:db8::1");
	assert_false(underlay_addr_is_v4(&a));
	check_addr(&a, "2001:db8::1");
	a = addr("::ffff:192.0.2.1");
	check_addr(&a, "192.0.2.1");
	assert_false(underlay_addr_parse("192.0.2", &a));
	assert_false(underlay_addr_parse("flow", &a));
	assert_false(underlay_addr_parse("", &a));
	assert_false(underlay_addr_read("abcde", 5, &a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_underlay_reads_a_route),
		cmocka_unit_test(test_underlay_reads_default_routes),
		cmocka_unit_test(test_underlay_reads_equal_cost_nexthops),
		cmocka_unit_test(test_underlay_reads_a_link),
		cmocka_unit_test(test_underlay_reads_a_neighbour),
		cmocka_unit_test(test_underlay_hands_news_out),
		cmocka_unit_test(test_underlay_survives_broken_news),
		cmocka_unit_test(test_underlay_addresses_have_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration of ports that lead to other switches and other hosts: patch and tunnel ports.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller-agent/config.h"
#include "lib/error.h"
#include "ofproto/of_tunnel.h"

/* Sets "KEY=VALUE KEY=VALUE". */
static void
set_all(struct config_port *p, const char *settings)
{
	struct weft_error err = {0};
	char all[256], *at, *save;

	snprintf(all, sizeof(all), "%s", settings);
	for (at = strtok_r(all, " ", &save); at; at = strtok_r(NULL, " ", &save)) {
		char *value = strchr(at, '=');

		*value++ = '\0';
		assert_true(config_port_set(p, at, value, &err));
	}
}

/* A file is looked at as changes are. */
static void
check_file(const struct config *c, bool is_good)
{
	struct weft_error err = {0};
	char *text = config_format(c), *again;
	struct config *copy = config_parse(text, strlen(text), &err);

	assert_int_equal(copy != NULL, is_good);
	if (copy) {
		again = config_format(copy);
		assert_string_equal(again, text);
		free(again);
	}
	free(text);
	config_destroy(copy);
}

static void
test_config_pairs_patch_ports(void **state)
{
	/* Port a of s1, port b of s2; port c of s1. */
	static const struct {
		const char *a, *b, *c;
		const char *words; /* what is wrong; NULL: nothing */
	} cases[] = {
		{"type=patch peer=b", "type=patch peer=a", NULL, NULL},
		{"type=patch peer=b", NULL, NULL, NULL},
		{"type=patch", NULL, NULL, "needs peer="},
		{"type=patch peer=a", NULL, NULL, "its own peer"},
		{"type=patch peer=1a", NULL, NULL, "cannot be a port's name"},
		{"type=patch peer=b", "type=null", NULL, "is of type null"},
		{"type=patch peer=b", "type=null peer=a", NULL, "is of type null"},
		{"type=patch peer=c", NULL, "type=patch peer=a", "another switch"},
		{"type=patch peer=b", "type=patch peer=c", NULL, "port b of switch s2 has peer=c"},
		{"type=patch peer=b", "type=patch peer=a", "type=patch peer=b",
			"port b of switch s2 has peer=a"},
		{"type=patch peer=b mtu=1500", NULL, NULL, "no option mtu"},
		{"type=patch peer=b queues=1", NULL, NULL, "no option queues"},
	};
	static const char *const names[] = {"a", "b", "c"};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *const settings[] = {cases[i].a, cases[i].b, cases[i].c};
		struct weft_error err = {0};
		struct config *c = config_create();
		struct config_switch *s[2] = {
			config_switch_add(c, "s1", &err), config_switch_add(c, "s2", &err)};
		bool good;

		for (unsigned n = 0; n < 3; n++) {
			if (settings[n]) {
				set_all(config_port_add(c, s[n == 1], names[n], &err), settings[n]);
			}
		}
		good = config_patches_check(c, &err);
		if (good != !cases[i].words || (!good && !strstr(err.text, cases[i].words))) {
			fail_msg("case %u: %s", i, good ? "taken" : err.text);
		}
		check_file(c, good);
		config_destroy(c);
	}
}

static struct of_tunnel
tunnel_of(const char *settings)
{
	struct config *c = config_create();
	struct weft_error err = {0};
	struct config_port *p = config_port_add(c, config_switch_add(c, "s1", &err), "t", &err);
	struct of_tunnel t;

	set_all(p, settings);
	assert_true(config_port_is_tunnel(p));
	if (!config_tunnel_parse(p, &t, &err)) {
		fail_msg("%s: %s", settings, err.text);
	}
	config_destroy(c);
	return t;
}

#define V5 "type=vxlan remote=192.0.2.2 vni=5"

static void
test_config_tunnel_defaults(void **state)
{
	static const uint8_t v4[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 2};
	static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 2}, none[16];
	struct of_tunnel t = tunnel_of("type=vxlan remote=192.0.2.2 vni=5");

	(void)state;
	assert_int_equal(t.kind, DP_TUNNEL_VXLAN);
	assert_memory_equal(t.remote.v, v4, 16);
	assert_memory_equal(t.local.v, none, 16);
	assert_int_equal(t.id, 5);
	assert_int_equal(t.dst_port, 4789);
	assert_int_equal(t.tos, 0);
	assert_int_equal(t.ttl, 64);
	assert_true(t.dont_fragment);
	assert_int_equal(t.csum, OF_TUNNEL_CSUM_AUTO);
	assert_int_equal(t.too_long, DP_ENCAP_DROP);
	assert_false(t.gbp);
	assert_int_equal(t.remote_by | t.local_by | t.id_by | t.tos_by | t.ttl_by | t.flags_by,
		OF_TUNNEL_GIVEN);
	t = tunnel_of("type=vxlan remote=2001:db8::2 vni=0xffffff gpe=yes");
	assert_int_equal(t.kind, DP_TUNNEL_VXLAN_GPE);
	assert_int_equal(t.dst_port, 4790);
	assert_int_equal(t.id, 0xffffff);
	assert_memory_equal(t.remote.v, v6, 16);
	t = tunnel_of("type=geneve remote=flow vni=flow");
	assert_int_equal(t.kind, DP_TUNNEL_GENEVE);
	assert_int_equal(t.dst_port, 6081);
	t = tunnel_of("type=gre remote=192.0.2.2");
	assert_int_equal(t.kind, DP_TUNNEL_GRE);
	assert_int_equal(t.dst_port, 0);
	assert_int_equal(t.id, 0);
	t = tunnel_of("type=erspan remote=192.0.2.2 vni=9");
	assert_int_equal(t.kind, DP_TUNNEL_ERSPAN);
	assert_int_equal(t.dst_port, 0);
	assert_int_equal(t.erspan.ver, 1);
	assert_int_equal(t.erspan.dir, OF_TUNNEL_DIR_MIRROR);
	assert_int_equal(t.too_long, DP_ENCAP_CUT);
}

static void
test_config_tunnel_options(void **state)
{
	struct of_tunnel t = tunnel_of("type=vxlan remote=192.0.2.2 local=192.0.2.1 vni=7 "
				       "dst-port=8472 tos=184 ttl=3 df=no csum=yes gbp=yes "
				       "too-long=fragment");

	(void)state;
	assert_int_equal(t.local.v[15], 1);
	assert_int_equal(t.dst_port, 8472);
	assert_int_equal(t.tos, 184);
	assert_int_equal(t.ttl, 3);
	assert_false(t.dont_fragment);
	assert_int_equal(t.csum, OF_TUNNEL_CSUM_YES);
	assert_true(t.gbp);
	assert_int_equal(t.too_long, DP_ENCAP_FRAGMENT);
	t = tunnel_of("type=vxlan remote=flow local=flow vni=flow tos=inherit ttl=inherit "
		      "flags=flow too-long=icmp");
	assert_int_equal(t.remote_by, OF_TUNNEL_FLOW);
	assert_int_equal(t.local_by, OF_TUNNEL_FLOW);
	assert_int_equal(t.id_by, OF_TUNNEL_FLOW);
	assert_int_equal(t.tos_by, OF_TUNNEL_PACKET);
	assert_int_equal(t.ttl_by, OF_TUNNEL_PACKET);
	assert_int_equal(t.flags_by, OF_TUNNEL_FLOW);
	assert_int_equal(t.too_long, DP_ENCAP_TO_AGENT);
	t = tunnel_of("type=gre remote=192.0.2.2 vni=4294967295 tos=flow ttl=flow csum=no");
	assert_int_equal(t.id, 0xffffffff);
	assert_int_equal(t.tos_by, OF_TUNNEL_FLOW);
	assert_int_equal(t.ttl_by, OF_TUNNEL_FLOW);
	assert_int_equal(t.csum, OF_TUNNEL_CSUM_NO);
	assert_false(t.seq);
	assert_true(tunnel_of("type=gre remote=192.0.2.2 seq=yes").seq);
	t = tunnel_of("type=erspan remote=192.0.2.2 vni=1023 erspan-idx=0xfffff");
	assert_int_equal(t.id, 1023);
	assert_int_equal(t.erspan.idx, 0xfffff);
	t = tunnel_of("type=erspan remote=192.0.2.2 vni=flow erspan-ver=2 erspan-hwid=63 "
		      "erspan-dir=egress too-long=fragment df=no");
	assert_int_equal(t.id_by, OF_TUNNEL_FLOW);
	assert_int_equal(t.erspan.ver, 2);
	assert_int_equal(t.erspan.hwid, 63);
	assert_int_equal(t.erspan.dir, OF_TUNNEL_DIR_EGRESS);
	assert_int_equal(t.too_long, DP_ENCAP_FRAGMENT);
}

static void
test_config_tunnel_bfd(void **state)
{
	static const uint8_t rfc8971[6] = {0, 0, 0x5e, 0, 0x52, 2},
			     own[6] = {2, 0, 0, 0, 0x0b, 0xfd};
	struct of_tunnel t = tunnel_of("type=vxlan remote=192.0.2.2 vni=5");

	(void)state;
	assert_false(t.bfd);
	assert_memory_equal(t.bfd_mac, rfc8971, 6);
	t = tunnel_of("type=vxlan remote=192.0.2.2 vni=flow bfd=yes bfd-vni=7 "
		      "bfd-dst-mac=02:00:00:00:0b:fd bfd-min-tx=10");
	assert_true(t.bfd);
	assert_int_equal(t.bfd_id, 7);
	assert_memory_equal(t.bfd_mac, own, 6);
	t = tunnel_of("type=gre remote=192.0.2.2 vni=flow bfd=yes bfd-vni=4294967295");
	assert_int_equal(t.bfd_id, 0xffffffff);
}

static void
test_config_tunnel_options_of_the_datapath(void **state)
{
	static const char *const keys[] = {"bfd", "bfd-min-tx", "bfd-min-rx", "bfd-mult",
		"bfd-src-mac", "bfd-dst-mac", "bfd-src-ip", "bfd-dst-ip"};
	static const char *const own[] = {"remote", "vni", "bfd-vni", "bfd-", "b", "too-long"};
	struct weft_error err = {0};
	struct config *c = config_create();
	struct config_switch *sw = config_switch_add(c, "s1", &err);
	struct config_port *p = config_port_add(c, sw, "a", &err);

	(void)state;
	set_all(p, V5);
	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		assert_true(config_option_is_datapaths(p, keys[i]));
	}
	for (unsigned i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		assert_false(config_option_is_datapaths(p, own[i]));
	}
	p = config_port_add(c, sw, "b", &err);
	set_all(p, "type=veth");
	assert_true(config_option_is_datapaths(p, "remote"));
	config_destroy(c);
}

static void
test_config_tunnels_are_refused(void **state)
{
#define V V5
#define E "type=erspan remote=192.0.2.2 vni=5"
	/* Port a of s1, port b of s2; b is the one that is added. */
	static const struct {
		const char *a, *b;
		const char *words; /* what is wrong with b; NULL: nothing */
	} cases[] = {
		{V, "type=vxlan remote=192.0.2.2 vni=6", NULL},
		{V, V " local=192.0.2.1", NULL},
		{V, V " dst-port=4790 gpe=yes", NULL},
		{V, "type=geneve remote=192.0.2.2 vni=5", NULL},
		{V, "type=gre remote=192.0.2.2", NULL},
		{V, "type=null", NULL},
		{V, V, "port a of switch s1 has the same remote, local, vni and dst-port"},
		{V, V " ttl=3 local=flow", "port a of switch s1 has the same"},
		{V, "type=vxlan remote=::ffff:192.0.2.2 vni=6",
			"remote=::ffff:192.0.2.2: must be an IPv4"},
		{V, "type=geneve remote=192.0.2.3 vni=6 dst-port=4789",
			"port a of switch s1 takes another kind of tunnel on the same UDP port"},
		{NULL, "type=vxlan vni=5", "type vxlan needs remote=: an address, or flow"},
		{NULL, "type=vxlan remote=192.0.2.2", "type vxlan needs vni=: a number, or flow"},
		{NULL, "type=geneve remote=192.0.2.2", "type geneve needs vni="},
		{NULL, V " vni=16777216",
			"vni=16777216: must be a number from 0 to 16777215 or flow"},
		{NULL, V " vni=-1", "vni=-1: must be"},
		{NULL, V " vni=5x", "vni=5x: must be"},
		{NULL, V " vni=inherit", "vni=inherit: must be"},
		{NULL, "type=gre remote=192.0.2.2 vni=4294967296", "from 0 to 4294967295 or flow"},
		{NULL, V " remote=192.0.2",
			"remote=192.0.2: must be an IPv4 or IPv6 address, or flow"},
		{NULL, V " remote=0.0.0.0", "remote=0.0.0.0: must be"},
		{NULL, V " remote=::", "remote=::: must be"},
		{NULL, V " remote=host", "remote=host: must be"},
		{NULL, V " remote=239.0.0.1", "port b: a multicast address cannot be"},
		{NULL, V " local=192.0.2.2", "remote and local are the same address"},
		{NULL, V " local=2001:db8::1", "both be IPv4 or both IPv6"},
		{NULL, V " local=any", "local=any: must be"},
		{NULL, V " dst-port=0", "dst-port must not be 0"},
		{NULL, V " dst-port=65536", "dst-port=65536: must be a number from 0 to 65535"},
		{NULL, V " dst-port=flow", "dst-port=flow: must be a number from 0 to 65535"},
		{NULL, V " tos=1", "low two bits of tos"},
		{NULL, V " tos=256", "tos=256: must be a number from 0 to 255, inherit or flow"},
		{NULL, V " ttl=0", "ttl must not be 0"},
		{NULL, V " df=maybe", "df=maybe: must be yes or no"},
		{NULL, V " csum=1", "csum=1: must be yes or no"},
		{NULL, V " flags=yes", "flags=yes: must be flow"},
		{NULL, V " flags=flow df=no", "flags=flow stands for df and csum"},
		{NULL, V " too-long=cut", "too-long=cut is for ERSPAN"},
		{NULL, V " too-long=short", "too-long=short: must be drop, fragment or icmp"},
		{NULL, V " too-long=fragment", "too-long=fragment needs df=no"},
		{NULL, V " bfd=maybe", "bfd=maybe: must be yes or no"},
		{NULL, "type=gre remote=flow bfd=yes", "bfd watches one path"},
		{NULL, V " local=flow bfd=yes", "bfd watches one path"},
		{NULL, V " bfd=yes bfd-vni=7", "bfd-vni is for vni=flow"},
		{NULL, V " vni=flow bfd-vni=16777216", "from 0 to 16777215"},
		{NULL, V " bfd-dst-mac=02:00", "bfd-dst-mac=02:00: must be an address"},
		{NULL, V " bfd-dst-mac=02:00:00:00:00:00:00", "must be an address"},
		{NULL, V " bfd-dst-mac=-1:00:00:00:00:00", "must be an address"},
		{NULL, V " gpe=yes gbp=yes", "gbp is for plain VXLAN"},
		{"type=gre remote=192.0.2.2", "type=erspan remote=192.0.2.2 vni=0", NULL},
		{"type=erspan remote=192.0.2.2 vni=5", "type=erspan remote=192.0.2.2 vni=5",
			"port a of switch s1 has the same"},
		{NULL, "type=erspan remote=192.0.2.2", "type erspan needs vni="},
		{NULL, "type=erspan remote=192.0.2.2 vni=1024", "from 0 to 1023 or flow"},
		{NULL, E " erspan-ver=0", "erspan-ver must be 1 (type II) or 2"},
		{NULL, E " erspan-ver=3", "erspan-ver=3: must be a number from 0 to 2"},
		{NULL, E " erspan-idx=1048576", "erspan-idx=1048576: must be a number from 0 to"},
		{NULL, E " erspan-ver=2 erspan-idx=1", "erspan-idx goes with erspan-ver=1"},
		{NULL, E " erspan-ver=2 erspan-hwid=64", "erspan-hwid=64: must be a number from 0"},
		{NULL, E " erspan-ver=2 erspan-dir=1",
			"erspan-dir=1: must be mirror, ingress or egress"},
		{NULL, E " erspan-hwid=1", "erspan-hwid with erspan-ver=2"},
		{NULL, E " csum=yes", "type erspan has no option csum"},
		{NULL, E " too-long=icmp", "too-long=icmp is not for ERSPAN"},
		{NULL, E " too-long=short", "too-long=short: must be cut, drop or fragment"},
		{NULL, V " seq=yes", "type vxlan has no option seq"},
		{NULL, V " erspan-ver=1", "type vxlan has no option erspan-ver"},
		{NULL, V " mtu=1400", "type vxlan has no option mtu; it has remote,local,vni,tos,"},
		{NULL, "type=geneve remote=192.0.2.2 vni=5 gbp=yes", "has no option gbp"},
		{NULL, "type=gre remote=192.0.2.2 dst-port=7", "has no option dst-port"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weft_error err = {0};
		struct config *c = config_create();
		struct config_switch *s1 = config_switch_add(c, "s1", &err);
		struct config_switch *s2 = config_switch_add(c, "s2", &err);
		struct config_port *b = config_port_add(c, s2, "b", &err);
		bool good;

		set_all(b, cases[i].b);
		if (cases[i].a) {
			set_all(config_port_add(c, s1, "a", &err), cases[i].a);
		}
		good = config_tunnels_check(c, b, &err);
		if (good != !cases[i].words || (!good && !strstr(err.text, cases[i].words))) {
			fail_msg("case %u: %s", i, good ? "taken" : err.text);
		}
		check_file(c, good);
		config_destroy(c);
	}
}

/* Each with each: the first of many that cannot be told apart is named, wherever it stands. */
static void
test_config_tunnels_among_many(void **state)
{
	struct config *c = config_create();
	struct weft_error err = {0};
	struct config_switch *sw = config_switch_add(c, "s1", &err);
	struct config_port *last;
	char name[16], settings[64];

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		snprintf(settings, sizeof(settings), "type=vxlan remote=192.0.%u.%u vni=5", i / 200,
			1 + i % 200);
		set_all(config_port_add(c, sw, name, &err), settings);
	}
	assert_true(config_tunnels_check(c, NULL, &err));
	for (unsigned i = 0; i < 10; i++) {
		char expected[128];

		snprintf(name, sizeof(name), "t%u", 500 + i);
		snprintf(settings, sizeof(settings), "remote=192.0.4.%u", 7 + i);
		last = config_port_find(c, name, NULL);
		set_all(last, settings);
		snprintf(expected, sizeof(expected),
			"port t%u: port t%u of switch s1 has the same remote, local, vni and dst-port",
			500 + i, 806 + i);
		memset(&err, 0, sizeof(err));
		assert_false(config_tunnels_check(c, last, &err));
		assert_string_equal(err.text, expected);
		snprintf(expected, sizeof(expected),
			"port t%u: port t%u of switch s1 has the same remote, local, vni and dst-port",
			806 + i, 500 + i);
		memset(&err, 0, sizeof(err));
		assert_false(config_tunnels_check(c, NULL, &err));
		assert_string_equal(err.text, expected);
		set_all(last, "remote=192.0.9.9");
		snprintf(settings, sizeof(settings), "vni=%u", 100 + i);
		set_all(last, settings);
	}
	config_destroy(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config_pairs_patch_ports),
		cmocka_unit_test(test_config_tunnel_defaults),
		cmocka_unit_test(test_config_tunnel_options),
		cmocka_unit_test(test_config_tunnel_bfd),
		cmocka_unit_test(test_config_tunnel_options_of_the_datapath),
		cmocka_unit_test(test_config_tunnels_are_refused),
		cmocka_unit_test(test_config_tunnels_among_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

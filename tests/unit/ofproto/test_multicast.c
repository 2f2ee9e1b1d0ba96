/* SPDX-License-Identifier: Apache-2.0
 *
 * IGMP and MLD snooping: what is heard, who gets what, when it ends. Ports 1..8 are trunks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/byteorder.h"
#include "ofproto/mdb.h"
#include "ofproto/of_context.h"
#include "ofproto/of_multicast.h"
#include "tests/unit/ofproto/world.h"

#define G "239.1.2.3" /* the group of most tests */
#define ALL_BUT_1 "output(12),output(13),output(14),output(15),output(16),output(17),output(18)"

static void
set(struct world *w, bool on, bool flood)
{
	struct of_settings s;

	ofproto_get_settings(w->p, &s);
	s.multicast_snooping = on;
	s.multicast_flood = flood;
	ofproto_set_settings(w->p, &s);
}

static int
begin(void **state)
{
	struct world *w = malloc(sizeof(*w));

	world_init(w);
	world_flow(w, "actions=NORMAL");
	set(w, true, true);
	*state = w;
	return 0;
}

static int
end(void **state)
{
	world_uninit(*state);
	free(*state);
	return 0;
}

#define EXPECT(W, PACKET, ACTIONS) assert_string_equal(world_translate(W, PACKET), ACTIONS)
#define DATA(GROUP) "in_port=1,udp,dl_dst=01:00:5e:01:02:03,nw_dst=" GROUP
#define DATA6(GROUP) "in_port=1,udp6,dl_dst=33:33:00:00:00:05,ipv6_dst=" GROUP

/* --- messages ------------------------------------------------------------------------------------ */

struct frame {
	uint8_t bytes[512];
	size_t len;
};

static uint32_t
sum_of(const uint8_t *at, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2) {
		sum += get_be16(at + i);
	}
	return sum;
}

static void
put16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static uint16_t
fold(uint32_t sum)
{
	while (sum >> 16) {
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)~sum;
}

/* @igmp (of an even length), from 10.0.0.@host (0: from 0.0.0.0), with the router alert option. */
static void
make_igmp(struct frame *f, unsigned host, const uint8_t *igmp, size_t len)
{
	static const uint8_t head[] = {1, 0, 0x5e, 0, 0, 22, 2, 0, 0, 0, 0, 1, 0x08, 0x00, 0x46, 0,
		0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 10, 0, 0, 0, 224, 0, 0, 22, 0x94, 4, 0, 0};

	memcpy(f->bytes, head, sizeof(head));
	memcpy(f->bytes + sizeof(head), igmp, len);
	f->len = sizeof(head) + len;
	put16(f->bytes + 16, (uint32_t)(24 + len));
	f->bytes[29] = (uint8_t)host;
	f->bytes[26] = host ? 10 : 0;
	put16(f->bytes + sizeof(head) + 2, 0);
	put16(f->bytes + sizeof(head) + 2, fold(sum_of(f->bytes + sizeof(head), len)));
}

/* @mld from fe80::1 to ff02::16, behind a hop-by-hop header. */
static void
make_mld(struct frame *f, const uint8_t *mld, size_t len)
{
	static const uint8_t head[62] = {0x33, 0x33, 0, 0, 0, 22, 2, 0, 0, 0, 0, 1, 0x86, 0xdd,
		0x60, [20] = 0, [21] = 1, [22] = 0xfe, 0x80, [37] = 1, [38] = 0xff,
		2, [53] = 0x16, [54] = 58, 0, 5, 2, 0, 0, 1, 0};

	memcpy(f->bytes, head, sizeof(head));
	memcpy(f->bytes + sizeof(head), mld, len);
	f->len = sizeof(head) + len;
	put16(f->bytes + 18, (uint32_t)(8 + len));
	put16(f->bytes + sizeof(head) + 2, 0);
	put16(f->bytes + sizeof(head) + 2, fold(sum_of(f->bytes + 22, 32) + (uint32_t)len + 58 +
						   sum_of(f->bytes + sizeof(head), len)));
}

static void
hear(struct world *w, unsigned port, uint16_t vlan, const struct frame *f)
{
	ofproto_multicast_packet(w->p, vlan, OF_PORT(port), f->bytes, f->len, w->now_ms);
}

static void
igmp(struct world *w, unsigned port, uint8_t type, uint8_t code, const char *group)
{
	unsigned a, b, c, d;
	struct frame f;

	assert_int_equal(sscanf(group, "%u.%u.%u.%u", &a, &b, &c, &d), 4);
	make_igmp(&f, 1,
		(const uint8_t[]){type, code, 0, 0, (uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d},
		8);
	hear(w, port, 0, &f);
}

enum { QUERY = 0x11, REPORT1 = 0x12, REPORT2 = 0x16, LEAVE = 0x17 };

static void
count_member(const uint8_t *addr, const struct mdb_member *member, void *user)
{
	unsigned *n = user;

	(void)member;
	n[addr == NULL]++;
}

static void
expect_count(struct world *w, unsigned members, unsigned routers)
{
	unsigned n[2] = {0, 0};

	mdb_visit(ofproto_mdb(w->p), count_member, n);
	assert_int_equal(n[0], members);
	assert_int_equal(n[1], routers);
}

/* --- tests --------------------------------------------------------------------------------------- */

static void
test_multicast_goes_where_it_is_wanted(void **state)
{
	struct world *w = *state;

	set(w, false, true);
	igmp(w, 2, REPORT2, 0, G);
	expect_count(w, 0, 0);
	EXPECT(w, DATA(G), ALL_BUT_1);
	assert_string_equal(world_mask(w), "eth_dst,eth_src,vlan_tci/1000");
	set(w, true, true);
	/* Nobody has asked: everybody. */
	EXPECT(w, DATA(G), ALL_BUT_1);
	assert_string_equal(
		world_mask(w), "eth_dst,eth_src,eth_type,vlan_tci/1000,ip_dst,nw_proto");
	igmp(w, 2, REPORT2, 0, G);
	igmp(w, 4, REPORT1, 0, G);
	EXPECT(w, DATA(G), "output(12),output(14)");
	EXPECT(w, DATA("239.1.2.4"), ALL_BUT_1);
	EXPECT(w, "in_port=2,udp,dl_dst=01:00:5e:01:02:03,nw_dst=" G, "output(14)");
	/* Routers get everything. */
	igmp(w, 7, QUERY, 100, "0.0.0.0");
	EXPECT(w, DATA(G), "output(12),output(14),output(17)");
	set(w, true, false);
	EXPECT(w, DATA("239.1.2.4"), "output(17)");
	/* What hosts need to find each other, and what is not IP. */
	EXPECT(w, DATA("224.0.0.251"), ALL_BUT_1);
	EXPECT(w, DATA6("ff02::1:ff00:1"), ALL_BUT_1);
	EXPECT(w, DATA6("ff05::5"), "output(17)");
	EXPECT(w, DATA("10.0.0.1"), ALL_BUT_1);
	EXPECT(w, "in_port=1,dl_type=0x88b5,dl_dst=01:00:5e:01:02:03", ALL_BUT_1);
	EXPECT(w, "in_port=1,udp,dl_dst=ff:ff:ff:ff:ff:ff,nw_dst=255.255.255.255", ALL_BUT_1);
	EXPECT(w, "in_port=1,udp,dl_dst=ff:ff:ff:ff:ff:ff,nw_dst=" G, ALL_BUT_1);
	assert_string_equal(world_mask(w), "eth_dst,eth_src,vlan_tci/1000");
	EXPECT(w, "in_port=1,udp,dl_dst=02:00:5e:01:02:03,nw_dst=" G, ALL_BUT_1);
	assert_string_equal(world_mask(w), "eth_dst,eth_src,vlan_tci/1000");
	/* A port that is set up as a router's. */
	for (unsigned i = 0; i < 2; i++) {
		struct of_port_info info = *ofproto_port_find(w->p, OF_PORT(3));

		info.is_multicast_router = !i;
		assert_true(ofproto_port_set(w->p, &info, NULL));
		EXPECT(w, DATA("239.1.2.4"), i ? "output(17)" : "output(13),output(17)");
	}
	/* Its port goes; it is switched off. */
	expect_count(w, 2, 1);
	ofproto_port_del(w->p, OF_PORT(2));
	EXPECT(w, DATA(G), "output(14),output(17)");
	expect_count(w, 1, 1);
	set(w, false, false);
	expect_count(w, 0, 0);
}

static void
test_multicast_messages_are_forwarded_and_heard(void **state)
{
	/* The type stands where ICMP's does, as the parser puts it. */
	static const struct {
		const char *packet;
		uint8_t type;
		bool is_heard;
		const char *rest;
	} rows[] = {
		{"in_port=1,ip,nw_proto=2,dl_dst=01:00:5e:00:00:01,nw_dst=224.0.0.1", QUERY, true,
			ALL_BUT_1},
		{"in_port=1,ip,nw_proto=2,dl_dst=01:00:5e:01:02:03,nw_dst=" G, REPORT2, true,
			"output(17)"},
		{"in_port=1,ip,nw_proto=2,dl_dst=01:00:5e:01:02:03,nw_dst=" G, REPORT1, true,
			"output(17)"},
		{"in_port=1,ip,nw_proto=2,dl_dst=01:00:5e:00:00:02,nw_dst=224.0.0.2", LEAVE, true,
			"output(17)"},
		{"in_port=1,ip,nw_proto=2,dl_dst=01:00:5e:00:00:16,nw_dst=224.0.0.22", 0x22, true,
			"output(17)"},
		{"in_port=1,ip,nw_proto=2,dl_dst=01:00:5e:00:00:04,nw_dst=224.0.0.4", 0x13, false,
			ALL_BUT_1},
		{"in_port=1,icmp6,dl_dst=33:33:00:00:00:01,ipv6_dst=ff02::1", 130, true, ALL_BUT_1},
		{"in_port=1,icmp6,dl_dst=33:33:00:00:00:05,ipv6_dst=ff05::5", 131, true,
			"output(17)"},
		{"in_port=1,icmp6,dl_dst=33:33:00:00:00:02,ipv6_dst=ff02::2", 132, true,
			"output(17)"},
		{"in_port=1,icmp6,dl_dst=33:33:00:00:00:16,ipv6_dst=ff02::16", 143, true,
			"output(17)"},
		{"in_port=1,icmp6,dl_dst=33:33:ff:00:00:01,ipv6_dst=ff02::1:ff00:1", 135, false,
			ALL_BUT_1},
	};
	struct world *w = *state;

	igmp(w, 7, QUERY, 100, "0.0.0.0");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct of_context c;
		struct flow_key key;
		const char *rest;
		const void *bytes;
		size_t size;

		world_key(rows[i].packet, &key);
		key.icmp_type = be16_from(rows[i].type);
		world_translate_key(w, &key);
		rest = w->text;
		assert_int_equal(w->t.n_contexts, rows[i].is_heard);
		if (rows[i].is_heard) {
			char wanted[64];

			snprintf(wanted, sizeof(wanted),
				"to_agent(context=%u,max_len=2048,reason=1),", w->t.contexts[0]);
			if (strncmp(rest, wanted, strlen(wanted))) {
				fail_msg("%s: %s", rows[i].packet, rest);
			}
			rest += strlen(wanted);
			of_reader_enter(w->reader);
			bytes = of_context_find(w->model, w->t.contexts[0], &size);
			assert_true(of_context_decode(bytes, size, &c, NULL));
			of_reader_leave(w->reader);
			assert_int_equal(c.kind, OF_CONTEXT_SNOOP);
			assert_int_equal(c.in_port, 1);
			assert_int_equal(c.vlan, 0);
		}
		assert_string_equal(rest, rows[i].rest);
	}
	/* A report that no router is there for goes to the agent alone. */
	ofproto_port_del(w->p, OF_PORT(7));
	world_translate(w, "in_port=1,dl_vlan=5,icmp6,dl_dst=33:33:00:00:00:05,icmp_type=131");
	assert_memory_equal(w->text, "to_agent(", 9);
	assert_null(strstr(w->text, "output"));
	assert_null(strstr(w->text, "drop"));
}

static void
test_multicast_members_leave(void **state)
{
	struct world *w = *state;

	/* Where nobody asks again, at once. */
	igmp(w, 2, REPORT2, 0, G);
	igmp(w, 4, REPORT2, 0, G);
	igmp(w, 2, LEAVE, 0, G);
	EXPECT(w, DATA(G), "output(14)");
	igmp(w, 4, LEAVE, 0, G);
	EXPECT(w, DATA(G), ALL_BUT_1);
	/* A router asks, and who answers stays. */
	igmp(w, 7, QUERY, 100, "0.0.0.0");
	igmp(w, 2, REPORT2, 0, G);
	igmp(w, 4, REPORT2, 0, G);
	igmp(w, 2, LEAVE, 0, G);
	EXPECT(w, DATA(G), "output(12),output(14),output(17)");
	igmp(w, 7, QUERY, 20, G);
	igmp(w, 4, REPORT2, 0, G);
	world_run(w, 3999);
	EXPECT(w, DATA(G), "output(12),output(14),output(17)");
	assert_int_equal(of_model_next_ms(w->model), w->now_ms + 1);
	world_run(w, 1);
	EXPECT(w, DATA(G), "output(14),output(17)");
	/* Ageing, of routers too. */
	world_run(w, 200000);
	igmp(w, 4, REPORT2, 0, G);
	world_run(w, 100000);
	EXPECT(w, DATA(G), "output(14)");
	expect_count(w, 1, 0);
	world_run(w, 200000);
	expect_count(w, 0, 0);
}

static void
test_multicast_records(void **state)
{
	/* Of IGMPv3 and MLDv2: kind, sources; and whether a member stays or becomes one. */
	static const struct {
		uint8_t kind, n_sources;
		bool was, is;
	} rows[] = {
		{1, 0, true, false},
		{1, 1, false, true},
		{2, 0, false, true},
		{2, 1, false, true},
		{3, 0, true, false},
		{3, 2, false, true},
		{4, 0, false, true},
		{5, 1, false, true},
		{6, 1, true, true},
		{6, 1, false, false},
		{7, 0, false, false},
	};
	struct world *w = *state;

	for (unsigned v6 = 0; v6 < 2; v6++) {
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			uint8_t message[128] = {v6 ? 143 : 0x22, [7] = 2};
			size_t len = 8, n = v6 ? 16 : 4;
			struct frame f;
			uint8_t *g;

			mdb_flush((struct mdb *)ofproto_mdb(w->p));
			/* One of another group, with a source and auxiliary words; then ours. */
			for (unsigned r = 0; r < 2; r++) {
				message[len] = r ? rows[i].kind : 4;
				message[len + 1] = r ? 0 : 1;
				message[len + 3] = r ? rows[i].n_sources : 1;
				g = message + len + 4;
				memcpy(g,
					v6 ? (const uint8_t[16]){0xff, 5, [15] = 5}
					   : (const uint8_t[16]){239, 1, 2, 3},
					n);
				g[n - 1] += !r;
				len += 4 + n + message[len + 3] * n + message[len + 1] * 4u;
			}
			if (v6) {
				make_mld(&f, message, len);
			} else {
				make_igmp(&f, 1, message, len);
			}
			if (rows[i].was) {
				uint8_t join[sizeof(message)];
				struct frame first;

				memcpy(join, message, len);
				join[len - 4 - n - rows[i].n_sources * n] = 4;

				if (v6) {
					make_mld(&first, join, len);
				} else {
					make_igmp(&first, 1, join, len);
				}
				hear(w, 2, 0, &first);
			}
			hear(w, 2, 0, &f);
			expect_count(w, 1 + rows[i].is, 0);
			world_translate(w, v6 ? DATA6("ff05::5") : DATA(G));
			assert_string_equal(w->text, rows[i].is ? "output(12)" : ALL_BUT_1);
		}
	}
}

static void
test_multicast_mld(void **state)
{
	struct world *w = *state;
	struct frame f;
	uint8_t one[24] = {131, [8] = 0xff, 5, [23] = 5}, all[24] = {130, [5] = 100};

	make_mld(&f, one, 24);
	hear(w, 2, 0, &f);
	EXPECT(w, DATA6("ff05::5"), "output(12)");
	make_mld(&f, all, 24);
	hear(w, 6, 0, &f);
	EXPECT(w, DATA6("ff05::5"), "output(12),output(16)");
	one[0] = 132;
	make_mld(&f, one, 24);
	hear(w, 2, 0, &f);
	EXPECT(w, DATA6("ff05::5"), "output(12),output(16)");
	one[0] = 130;
	put16(one + 4, 1000);
	make_mld(&f, one, 24);
	hear(w, 6, 0, &f);
	world_run(w, 2000);
	set(w, true, false);
	EXPECT(w, DATA6("ff05::5"), "output(16)");
	/* Only from here: hop limit 1, a link-local source. */
	expect_count(w, 0, 1);
	one[0] = 131;
	make_mld(&f, one, 24);
	f.bytes[21] = 2;
	hear(w, 2, 0, &f);
	expect_count(w, 0, 1);
}

static void
test_multicast_vlans_are_apart(void **state)
{
	struct world *w = *state;
	struct frame f;

	world_port(w, 3, OF_VLAN_ACCESS, 10, NULL);
	make_igmp(&f, 1, (const uint8_t[]){REPORT2, 0, 0, 0, 239, 1, 2, 3}, 8);
	hear(w, 3, 10, &f);
	hear(w, 5, 20, &f);
	set(w, true, false);
	EXPECT(w, DATA(G) ",dl_vlan=10", "pop_vlan,output(13)");
	EXPECT(w, DATA(G) ",dl_vlan=20", "output(15)");
	EXPECT(w, DATA(G), "drop");
	EXPECT(w, DATA(G) ",dl_vlan=30", "drop");
	make_igmp(&f, 1, (const uint8_t[]){QUERY, 100, 0, 0, 0, 0, 0, 0}, 8);
	hear(w, 7, 20, &f);
	EXPECT(w, DATA(G) ",dl_vlan=10", "pop_vlan,output(13)");
	EXPECT(w, DATA(G) ",dl_vlan=20", "output(15),output(17)");
	for (uint16_t vlan = 0; vlan < 4096; vlan++) {
		static const uint8_t addr[16] = {[10] = 0xff, 0xff, 239, 1, 2, 3};

		assert_int_equal(
			mdb_find(ofproto_mdb(w->p), vlan, addr) != NULL, vlan == 10 || vlan == 20);
	}
}

static void
test_multicast_believes_no_nonsense(void **state)
{
	static const uint8_t report[] = {REPORT2, 0, 0, 0, 239, 1, 2, 3};
	struct world *w = *state;
	struct frame f;
	uint8_t message[40] = {
		0x22, [6] = 0xff, 0xff, 4, 0, 0, 0, 239, 1, 2, 3, 4, 0xff, 0xff, 0xff};

	/* Cut anywhere: from the end of memory that is ours. */
	make_igmp(&f, 1, report, 8);
	for (size_t len = 0; len < f.len; len++) {
		uint8_t *copy = malloc(len + 1);

		memcpy(copy, f.bytes, len);
		ofproto_multicast_packet(w->p, 0, OF_PORT(2), copy, len, w->now_ms);
		free(copy);
	}
	expect_count(w, 0, 0);
	/* A wrong checksum, a fragment, another protocol, no group, a port that is not there. */
	f.bytes[41] ^= 1;
	hear(w, 2, 0, &f);
	make_igmp(&f, 1, report, 8);
	f.bytes[20] = 0x20;
	hear(w, 2, 0, &f);
	make_igmp(&f, 1, report, 8);
	f.bytes[23] = 17;
	hear(w, 2, 0, &f);
	make_igmp(&f, 1, (const uint8_t[]){REPORT2, 0, 0, 0, 10, 1, 2, 3}, 8);
	hear(w, 2, 0, &f);
	make_igmp(&f, 1, (const uint8_t[]){REPORT2, 0, 0, 0, 224, 0, 0, 9}, 8);
	hear(w, 2, 0, &f);
	make_igmp(&f, 1, report, 8);
	hear(w, 99, 0, &f);
	expect_count(w, 0, 0);
	/* A query from nobody is no router's. */
	make_igmp(&f, 0, (const uint8_t[]){QUERY, 100, 0, 0, 0, 0, 0, 0}, 8);
	hear(w, 2, 0, &f);
	expect_count(w, 0, 0);
	/* More records and sources than there are. */
	make_igmp(&f, 1, message, sizeof(message));
	hear(w, 2, 0, &f);
	expect_count(w, 1, 0);
	/* A group behind the end. */
	memset(message, 0, sizeof(message));
	memcpy(message, (const uint8_t[20]){0x22, [7] = 2, 4, [12] = 239, 1, 2, 3, 4}, 20);
	make_igmp(&f, 1, message, 20);
	memcpy(f.bytes + f.len, (const uint8_t[4]){239, 5, 5, 5}, 4);
	hear(w, 2, 0, &f);
	expect_count(w, 1, 0);
	message[6] = message[7] = 0xff;
	/* MLD cut anywhere, its hop-by-hop header too long. */
	message[0] = 143;
	make_mld(&f, message, sizeof(message));
	for (size_t len = 0; len < f.len; len++) {
		uint8_t *copy = malloc(len + 1);

		memcpy(copy, f.bytes, len);
		ofproto_multicast_packet(w->p, 0, OF_PORT(2), copy, len, w->now_ms);
		free(copy);
	}
	f.bytes[55] = 0xff;
	hear(w, 2, 0, &f);
	expect_count(w, 1, 0);
	/* Tags without end. */
	for (size_t i = 12; i < sizeof(f.bytes); i += 4) {
		put16(f.bytes + i, 0x8100);
	}
	f.len = 511;
	hear(w, 2, 0, &f);
}

static void
test_multicast_limits(void **state)
{
	struct world *w = *state;
	uint64_t version;

	for (unsigned i = 0; i < 300; i++) {
		char group[16];

		snprintf(group, sizeof(group), "239.0.%u.%u", i / 256, i % 256);
		igmp(w, 2, REPORT2, 0, group);
	}
	expect_count(w, MDB_MAX_OF_PORT, 0);
	/* Others still can; and who is there stays. */
	igmp(w, 3, REPORT2, 0, G);
	igmp(w, 2, REPORT2, 0, "239.0.0.7");
	expect_count(w, MDB_MAX_OF_PORT + 1, 0);
	/* What says nothing new changes nothing. */
	version = of_model_version(w->model);
	igmp(w, 3, REPORT2, 0, G);
	assert_int_equal(of_model_version(w->model), version);
	igmp(w, 4, REPORT2, 0, G);
	assert_int_equal(of_model_version(w->model), version + 1);
	for (unsigned port = 3; port <= 8; port++) {
		for (unsigned i = 0; i < 300; i++) {
			char group[16];

			snprintf(group, sizeof(group), "239.%u.%u.%u", port, i / 256, i % 256);
			igmp(w, port, REPORT2, 0, group);
		}
	}
	world_port(w, 9, OF_VLAN_TRUNK, 0, NULL);
	world_port(w, 10, OF_VLAN_TRUNK, 0, NULL);
	for (unsigned i = 0; i < 512; i++) {
		char group[16];

		snprintf(group, sizeof(group), "239.9.%u.%u", i / 256, i % 256);
		igmp(w, 9 + i % 2, REPORT2, 0, group);
	}
	assert_int_equal(mdb_count(ofproto_mdb(w->p)), MDB_MAX_GROUPS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_multicast_goes_where_it_is_wanted, begin, end),
		cmocka_unit_test_setup_teardown(
			test_multicast_messages_are_forwarded_and_heard, begin, end),
		cmocka_unit_test_setup_teardown(test_multicast_members_leave, begin, end),
		cmocka_unit_test_setup_teardown(test_multicast_records, begin, end),
		cmocka_unit_test_setup_teardown(test_multicast_mld, begin, end),
		cmocka_unit_test_setup_teardown(test_multicast_vlans_are_apart, begin, end),
		cmocka_unit_test_setup_teardown(test_multicast_believes_no_nonsense, begin, end),
		cmocka_unit_test_setup_teardown(test_multicast_limits, begin, end),
	};

	return cmocka_run_group_tests_name("multicast", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Translation, width: how many flows given packets need under given rules. The numbers were counted; a change
 * that needs more makes flows narrower than they were.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "tests/unit/ofproto/world.h"

struct installed {
	struct flow_key key;
	struct flow_mask mask;
};

struct trace {
	struct world w;
	struct installed *flows;
	size_t n;
	uint64_t rnd;
};

static unsigned
upto(struct trace *t, unsigned n)
{
	return (unsigned)(world_random(&t->rnd) % n);
}

static int
begin(void **state)
{
	struct trace *t = xcalloc(1, sizeof(*t));

	world_init(&t->w);
	t->rnd = 1; /* the same packets each time */
	*state = t;
	return 0;
}

static int
end(void **state)
{
	struct trace *t = *state;

	world_uninit(&t->w);
	free(t->flows);
	free(t);
	return 0;
}

/* A packet comes: it is served by a flow that there is, or makes one more. */
static void
packet(struct trace *t, const struct flow_key *key)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct installed *f = &t->flows[i];
		bool same = true;

		for (unsigned n = 0; n < OF_N_WORDS && same; n++) {
			same = !((key->words[n] ^ f->key.words[n]) & f->mask.bits.words[n]);
		}
		if (same) {
			return;
		}
	}
	world_translate_key(&t->w, key);
	t->flows = xrealloc(t->flows, (t->n + 1) * sizeof(t->flows[0]));
	t->flows[t->n].key = *key;
	t->flows[t->n++].mask = t->w.t.mask;
}

static void
packet_text(struct trace *t, const char *text)
{
	struct flow_key key;

	world_key(text, &key);
	packet(t, &key);
}

/* TCP between random addresses and ports. */
static void
tcp(struct trace *t, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct flow_key key;

		world_key("in_port=1,tcp,dl_src=00:00:00:00:00:01,dl_dst=00:00:00:00:00:02", &key);
		key.ip_src = be32_from((uint32_t)world_random(&t->rnd));
		key.ip_dst = be32_from((uint32_t)world_random(&t->rnd));
		key.l4_src = be16_from((uint16_t)world_random(&t->rnd));
		key.l4_dst = be16_from((uint16_t)world_random(&t->rnd));
		packet(t, &key);
	}
}

static void
test_width_port_to_port(void **state)
{
	struct trace *t = *state;

	world_flow(&t->w, "in_port=1,actions=2");
	world_flow(&t->w, "in_port=2,actions=1");
	tcp(t, 2000);
	packet_text(t, "in_port=2,arp");
	assert_int_equal(t->n, 2);
}

/* Whoever does not come from the one port is not looked at beyond L2. */
static void
test_width_stages(void **state)
{
	struct trace *t = *state;

	world_flow(&t->w, "priority=10,in_port=2,tcp,nw_dst=10.0.0.1,tp_dst=80,actions=3");
	world_flow(&t->w, "priority=9,udp,nw_src=10.0.0.0/8,tp_dst=53,actions=4");
	world_flow(&t->w, "priority=8,dl_dst=00:00:00:00:00:07,ip,actions=5");
	world_flow(&t->w, "priority=1,actions=6");
	tcp(t, 2000);
	assert_int_equal(t->n, 1);
	assert_string_equal(world_mask(&t->w), "eth_dst,eth_type,nw_proto");
}

/* Routes: as many flows as there are corners of the prefixes, however many packets come. */
static void
test_width_routes(void **state)
{
	struct trace *t = *state;

	world_flow(&t->w, "priority=32,ip,nw_dst=10.1.2.3,actions=2");
	world_flow(&t->w, "priority=24,ip,nw_dst=10.1.2.0/24,actions=3");
	world_flow(&t->w, "priority=16,ip,nw_dst=10.1.0.0/16,actions=4");
	world_flow(&t->w, "priority=8,ip,nw_dst=10.0.0.0/8,actions=5");
	world_flow(&t->w, "priority=1,actions=drop");
	tcp(t, 2000);
	assert_in_range(t->n, 1, 11);
	for (unsigned i = 0; i < 256; i++) {
		char text[100];

		snprintf(text, sizeof(text), "in_port=1,tcp,nw_dst=10.1.2.%u", i);
		packet_text(t, text);
		snprintf(text, sizeof(text), "in_port=1,tcp,nw_dst=10.1.%u.1", i);
		packet_text(t, text);
		snprintf(text, sizeof(text), "in_port=1,tcp,nw_dst=10.%u.0.1", i);
		packet_text(t, text);
	}
	/* At most one for each bit in which a packet can leave 10.1.2.3. */
	assert_in_range(t->n, 1, 33);
}

/* An access list by destination port: no flow for each port that is not in it. */
static void
test_width_access_list(void **state)
{
	struct trace *t = *state;

	for (unsigned i = 0; i < 20; i++) {
		char text[100];

		snprintf(text, sizeof(text), "priority=%u,tcp,tp_dst=%u,actions=drop", 100 - i,
			i < 10 ? 20 + i : 8000 + i);
		world_flow(&t->w, text);
	}
	world_flow(&t->w, "priority=1,actions=2");
	tcp(t, 2000);
	assert_in_range(t->n, 1, 19);
	for (unsigned i = 0; i < 1024; i++) {
		char text[100];

		snprintf(text, sizeof(text), "in_port=1,tcp,tp_dst=%u", i);
		packet_text(t, text);
	}
	assert_in_range(t->n, 1, 32);
}

/* Two tables, the second by metadata: what one tenant's rules look at costs the other one nothing. */
static void
test_width_tenants(void **state)
{
	struct trace *t = *state;

	world_flow(&t->w, "table=0,in_port=1,actions=write_metadata:1,goto_table:1");
	world_flow(&t->w, "table=0,in_port=2,actions=write_metadata:2,goto_table:1");
	world_flow(&t->w, "table=1,priority=10,metadata=2,tcp,tp_src=7,actions=drop");
	world_flow(&t->w, "table=1,priority=9,metadata=2,ip,nw_src=10.0.0.1,actions=drop");
	world_flow(&t->w, "table=1,priority=1,metadata=1,actions=3");
	world_flow(&t->w, "table=1,priority=1,metadata=2,actions=4");
	tcp(t, 1000);
	assert_int_equal(t->n, 1);
}

static void
test_width_addresses_of_ipv6(void **state)
{
	struct trace *t = *state;

	world_flow(&t->w, "priority=10,ipv6,ipv6_dst=2001:db8::1,actions=2");
	world_flow(&t->w, "priority=9,ipv6,ipv6_dst=2001:db8::/32,actions=3");
	world_flow(&t->w, "priority=1,actions=drop");
	for (unsigned i = 0; i < 2000; i++) {
		struct flow_key key;

		world_key("in_port=1,tcp6", &key);
		for (unsigned b = 0; b < 16; b++) {
			key.ipv6_dst[b] = (uint8_t)upto(t, 256);
		}
		packet(t, &key);
		key.ipv6_dst[0] = 0x20;
		key.ipv6_dst[1] = 0x01;
		key.ipv6_dst[2] = 0x0d;
		key.ipv6_dst[3] = 0xb8;
		packet(t, &key);
	}
	assert_in_range(t->n, 1, 21);
}

/* A switch that learns needs a flow for each pair of addresses, and no more. */
static void
test_width_normal(void **state)
{
	struct trace *t = *state;

	world_flow(&t->w, "actions=NORMAL");
	for (unsigned i = 0; i < 1000; i++) {
		struct flow_key key;

		world_key("in_port=1,tcp,dl_src=00:00:00:00:00:01,dl_dst=00:00:00:00:00:02", &key);
		key.eth_src[5] = (uint8_t)upto(t, 4);
		key.eth_dst[5] = (uint8_t)(4 + upto(t, 4));
		key.ip_src = be32_from((uint32_t)world_random(&t->rnd));
		key.l4_dst = be16_from((uint16_t)world_random(&t->rnd));
		packet(t, &key);
	}
	assert_int_equal(t->n, 16);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_width_port_to_port),
		TEST(test_width_stages),
		TEST(test_width_routes),
		TEST(test_width_access_list),
		TEST(test_width_tenants),
		TEST(test_width_addresses_of_ipv6),
		TEST(test_width_normal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

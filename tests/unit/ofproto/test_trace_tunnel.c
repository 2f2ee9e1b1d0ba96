/* SPDX-License-Identifier: Apache-2.0
 *
 * Traces of tunnels and patch ports: through more than one switch (underlay_lab.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/byteorder.h"
#include "lib/error.h"
#include "lib/strbuf.h"
#include "ofproto/of_trace.h"
#include "tests/unit/ofproto/underlay_lab.h"

/* What many traces have in common: the way to the tunnel port, and the packet behind it. */
#define OUT_BY_T20                                                                                 \
	"  switch s1, port p1 (1)\n"                                                               \
	"    table 0: priority=32768,in_port=p1, cookie=0x0\n"                                     \
	"      output:t20\n"                                                                       \
	"        out by port t20 (20)\n"
#define OUTER(PORT, TTL)                                                                           \
	"udp,in_port=" PORT ",dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02,"                  \
	"nw_src=192.0.2.1,nw_dst=192.0.2.2,nw_ttl=" TTL ",tp_dst=4789"
#define ENCAPSULATED                                                                               \
	"        encapsulated: " OUTER("u-9", "64") "\n        switch u, port u-9 (9)\n"

/* The trace's text, without the lines about the fast-path flow's match. */
static void
expect(struct underlay_lab *t, struct ofproto *p, const char *flow, const char *expected)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct strbuf text = STRBUF_INIT, out = STRBUF_INIT;
	struct of_trace_in in = {.reader = t->w.reader, .ofproto = p, .now_ms = t->w.now_ms};
	char *line, *save = NULL, *all;
	struct of_trace *trace;
	struct flow_key key;

	if (!of_trace_parse(flow, strlen(flow), NULL, 0, p, &key, &err)) {
		fail_msg("%s: %s", flow, err.text);
	}
	in.key = &key;
	trace = of_trace_create(&in, &err);
	if (!trace) {
		fail_msg("%s: %s", flow, err.text);
	}
	of_trace_format(trace, &text);
	all = strbuf_take(&text);
	for (line = strtok_r(all, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "fast-path flow:", 15) && strncmp(line, "  looks at:", 11)) {
			strbuf_printf(&out, "%s\n", line);
		}
	}
	assert_string_equal(strbuf_text(&out), expected);
	free(all);
	strbuf_uninit(&out);
	of_trace_destroy(trace);
}

static void
test_trace_goes_into_tunnels(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = lab_tunnel("192.0.2.2");

	lab_tunnel_port(t, 20, &tunnel);
	lab_route(t, 2, 1, 2);
	lab_flow(t, t->s1, "in_port=1,actions=output:20");
	lab_flow(t, t->u, "in_port=9,actions=output:1");
	expect(t, t->s1, "in_port=1,ip",
		"packet: ip,in_port=p1,nw_ttl=64\n" OUT_BY_T20 ENCAPSULATED
		"          table 0: priority=32768,in_port=u-9, cookie=0x0\n"
		"            output:u-1\n"
		"              out by port u-1 (1)\n"
		"final flow: unchanged\n"
		"  actions: encap(1.1),output(31)\n");
}

static void
test_trace_follows_tunnel_packets(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = lab_tunnel("192.0.2.2");

	tunnel.ttl_by = OF_TUNNEL_PACKET;
	lab_tunnel_port(t, 20, &tunnel);
	lab_route(t, 2, 1, 2);
	lab_flow(t, t->s1, "in_port=1,actions=output:20");
	lab_flow(t, t->u, "in_port=9,ip,nw_ttl=9,actions=output:1");
	expect(t, t->s1, "in_port=1,ip,nw_ttl=9",
		"packet: ip,in_port=p1,nw_ttl=9\n" OUT_BY_T20 ENCAPSULATED
		"          recirculates as 0xffffffff, to be parsed anew; goes on in table 0\n"
		"final flow: unchanged\n"
		"  actions: encap(1.1),recirc(0xffffffff)\n"
		/* The datapath took the inner packet's TTL. */
		"recirculated: recirc_id=0xffffffff," OUTER(
			"p1", "9") "\n"
				   "  goes on in switch u, table 0\n"
				   "  table 0: priority=32768,ip,in_port=u-9,nw_ttl=9, cookie=0x0\n"
				   "    output:u-1\n"
				   "      out by port u-1 (1)\n"
				   "final flow: " OUTER("u-9", "9") "\n"
								    "  actions: output(31)\n");
}

static void
test_trace_tells_of_missing_routes(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = lab_tunnel("192.0.2.2");

	lab_tunnel_port(t, 20, &tunnel);
	lab_flow(t, t->s1, "in_port=1,actions=output:20");
	lab_no_route(t, 2, OF_UNDERLAY_NO_NEIGHBOUR);
	expect(t, t->s1, "in_port=1",
		"packet: in_port=p1\n" OUT_BY_T20 "        the underlay: as the test says\n"
		"final flow: unchanged\n"
		"  actions: drop(tunnel-no-neighbour)\n"
		"  drops: tunnel-no-neighbour: the next hop to the tunnel's remote does not "
		"answer: is it up, in the same network?\n");
	lab_no_route(t, 2, OF_UNDERLAY_PENDING);
	expect(t, t->s1, "in_port=1",
		"packet: in_port=p1\n" OUT_BY_T20
		"  the route to the tunnel's remote is being looked up: try again\n");
}

static void
test_trace_begins_at_tunnel_ports(void **state)
{
	struct underlay_lab *t = *state;
	struct of_tunnel tunnel = lab_tunnel("192.0.2.2"), other = lab_tunnel("192.0.2.3");

	lab_tunnel_port(t, 20, &tunnel);
	lab_tunnel_port(t, 21, &other);
	lab_flow(t, t->s1, "in_port=21,actions=output:1");
	lab_flow(t, t->u, "actions=output:9");
	expect(t, t->s1, "in_port=21,ip",
		"packet: ip,tun_id=0x5,tun_src=192.0.2.3,tun_flags=present,in_port=t21,nw_ttl=64\n"
		"  switch s1, port t21 (21)\n"
		"    table 0: priority=32768,in_port=t21, cookie=0x0\n"
		"      output:p1\n"
		"        out by port p1 (1)\n"
		"final flow: unchanged\n"
		"  actions: output(11)\n");
	expect(t, t->s1, "in_port=21,tun_src=192.0.2.9",
		"packet: tun_id=0x5,tun_src=192.0.2.9,tun_flags=present,in_port=t20\n"
		"  no tunnel port takes the packet\n"
		"final flow: unchanged\n"
		"  actions: drop(tunnel-unknown)\n"
		"  drops: tunnel-unknown: tunnel packet that no tunnel port takes: compare vni and "
		"remote on both sides\n");
	expect(t, t->u, "in_port=1,dl_dst=02:00:00:00:00:01,nw_dst=192.0.2.1,udp_dst=4789",
		"packet: udp,in_port=u-1,dl_dst=02:00:00:00:00:01,nw_dst=192.0.2.1,nw_ttl=64,"
		"tp_dst=4789\n"
		"  switch u, port u-1 (1)\n"
		"    table 0: priority=32768, cookie=0x0\n"
		"      output:u-9\n"
		"        out by port u-9 (9)\n"
		"        tunnel packet: decapsulated\n"
		"  what the tunnel packet holds is not known: trace that by its tunnel port, with "
		"in_port=PORT and the inner packet's fields\n"
		"final flow: unchanged\n"
		"  actions: decap(kind=vxlan,port=40)\n");
}

static void
patch(struct ofproto *p, struct ofproto *other, const char *name)
{
	struct of_port_info info = {
		.number = OF_PORT(30),
		.dp_port = DP_PORT_NONE,
		.kind = OF_PORT_PATCH,
		.patch = {ofproto_id(other), OF_PORT(30)},
	};

	strcpy(info.name, name);
	assert_true(ofproto_port_set(p, &info, NULL));
}

static void
test_trace_sees_through_patches(void **state)
{
	struct underlay_lab *t = *state;

	patch(t->s1, t->u, "to-u");
	patch(t->u, t->s1, "to-s1");
	lab_flow(t, t->s1, "actions=set_field:3->reg1,output:30,output:2");
	lab_flow(t, t->u, "in_port=30,actions=set_field:00:00:00:00:00:07->eth_dst,output:2");
	expect(t, t->s1, "in_port=1",
		"packet: in_port=p1\n"
		"  switch s1, port p1 (1)\n"
		"    table 0: priority=32768, cookie=0x0\n"
		"      set_field:0x3->reg1\n"
		"        reg1: 0 -> 0x3\n"
		"      output:to-u\n"
		"        out by port to-u (30)\n"
		"        switch u, port to-s1 (30)\n"
		"          table 0: priority=32768,in_port=to-s1, cookie=0x0\n"
		"            set_field:00:00:00:00:00:07->eth_dst\n"
		"              eth_dst: 00:00:00:00:00:00 -> 00:00:00:00:00:07\n"
		"            output:u-2\n"
		"              out by port u-2 (2)\n"
		"      output:p2\n"
		"        out by port p2 (2)\n"
		"final flow: reg1=0x3,in_port=p1\n"
		"  actions: clone(set(eth_dst=00:00:00:00:00:07),output(32)),output(12)\n");
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, underlay_lab_begin, underlay_lab_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_trace_goes_into_tunnels),
		TEST(test_trace_follows_tunnel_packets),
		TEST(test_trace_tells_of_missing_routes),
		TEST(test_trace_begins_at_tunnel_ports),
		TEST(test_trace_sees_through_patches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Flows and packet-outs through tunnels, against a datapath that answers when it is told to: what waits for routes and
 * headers, and what follows when they change (underlay_lab.h).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/byteorder.h"
#include "lib/strbuf.h"
#include "ofproto/flow_registry.h"
#include "tests/unit/ofproto/underlay_lab.h"

struct rig {
	struct underlay_lab *lab;
	struct flow_registry *r;
	struct strbuf log;
	uint64_t object_request; /* the last unanswered one of each */
	uint64_t flow_request;
	uint64_t del_request; /* of an object: answered in the next run */
	uint32_t n_slots;
	int packet_out_error;
};

static int
put(void *user, uint64_t request, const struct flow_key *key, uint8_t key_blocks,
	const struct flow_mask *mask, uint16_t flags, const void *actions, size_t actions_size)
{
	struct rig *g = user;

	(void)key;
	(void)key_blocks;
	(void)mask;
	strbuf_put(&g->log, flags & DP_PUT_MODIFY ? "modify=" : "put=");
	dp_actions_format(actions, actions_size, &g->log);
	strbuf_put_char(&g->log, ' ');
	g->flow_request = request;
	return 0;
}

static int
del(void *user, uint64_t request, struct dp_handle flow)
{
	struct rig *g = user;

	(void)request;
	strbuf_printf(&g->log, "del=%u ", flow.slot);
	return 0;
}

static int
object_put(void *user, uint64_t request, uint32_t kind, uint32_t seed, uint32_t n_parts,
	const void *body, size_t size)
{
	struct rig *g = user;
	const struct dp_encap *e = body;

	assert_int_equal(seed, 0);
	assert_true(dp_object_validate(kind, body, size, n_parts, NULL));
	strbuf_printf(&g->log, "encap-to-%02x ", e->header[5]);
	g->object_request = request;
	return 0;
}

static int
object_del(void *user, uint64_t request, struct dp_handle object)
{
	struct rig *g = user;

	strbuf_printf(&g->log, "forget=%u ", object.slot);
	g->del_request = request;
	return 0;
}

static int
execute(void *user, uint64_t request, struct dp_parked parked, const void *actions,
	size_t actions_size)
{
	struct rig *g = user;

	(void)request;
	strbuf_printf(&g->log, "execute-%u=", (unsigned)parked.v);
	dp_actions_format(actions, actions_size, &g->log);
	strbuf_put_char(&g->log, ' ');
	return 0;
}

static int
packet_out(void *user, uint64_t request, struct dp_port in_port, const void *actions,
	size_t actions_size, const void *data, size_t len)
{
	struct rig *g = user;

	assert_true(request & FLOW_REGISTRY_REQUEST);
	if (g->packet_out_error) {
		return g->packet_out_error;
	}
	strbuf_printf(&g->log, "out-%u-%.*s=", in_port.v, (int)len, (const char *)data);
	dp_actions_format(actions, actions_size, &g->log);
	strbuf_put_char(&g->log, ' ');
	return 0;
}

static void
stats(void *user, struct dp_handle flow, struct flow_stats *sum)
{
	(void)user;
	(void)flow;
	memset(sum, 0, sizeof(*sum));
}

static int
begin(void **state)
{
	struct rig *g = calloc(1, sizeof(*g));
	struct flow_registry_ops ops = {
		.put = put,
		.del = del,
		.object_put = object_put,
		.object_del = object_del,
		.execute = execute,
		.packet_out = packet_out,
		.stats = stats,
		.user = g,
	};

	underlay_lab_begin((void **)&g->lab);
	g->r = flow_registry_create(g->lab->w.reader, &ops);
	*state = g;
	return 0;
}

static int
end(void **state)
{
	struct rig *g = *state;

	flow_registry_destroy(g->r);
	strbuf_uninit(&g->log);
	underlay_lab_end((void **)&g->lab);
	free(g);
	return 0;
}

static void
expect(struct rig *g, const char *log)
{
	assert_string_equal(strbuf_text(&g->log), log);
	strbuf_clear(&g->log);
}

static void
run(struct rig *g, unsigned ms)
{
	struct dp_object_del_reply reply = {.reply = {.request = g->del_request}};
	struct dp_message msg = {.type = DP_REPLY + DP_OBJECT_DEL, .body = &reply};

	if (g->del_request) {
		g->del_request = 0;
		flow_registry_reply(g->r, &msg, g->lab->w.now_ms);
	}
	g->lab->w.now_ms += ms;
	while (flow_registry_run(g->r, g->lab->w.now_ms, 100)) {
	}
}

static void
miss(struct rig *g, const char *packet, unsigned parked)
{
	struct dp_upcall up = {.parked = {parked}, .packet_len = 60};
	struct flow_key key;

	world_key(packet, &key);
	flow_registry_upcall(g->r, &up, &key, flow_key_blocks(&key), g->lab->w.now_ms);
}

static void
answer_object(struct rig *g, int status)
{
	struct dp_object_put_reply reply = {
		.reply = {.request = g->object_request, .status = status},
		.object = {++g->n_slots, 1},
	};
	struct dp_message msg = {.type = DP_REPLY + DP_OBJECT_PUT, .body = &reply};

	flow_registry_reply(g->r, &msg, g->lab->w.now_ms);
}

static void
answer_flow(struct rig *g)
{
	struct dp_flow_put_reply reply = {
		.reply = {.request = g->flow_request}, .flow = {50 + ++g->n_slots, 1}};
	struct dp_message msg = {.type = DP_REPLY + DP_FLOW_PUT, .body = &reply};

	flow_registry_reply(g->r, &msg, g->lab->w.now_ms);
}

static void
set_up(struct rig *g)
{
	struct of_tunnel tunnel = lab_tunnel("192.0.2.2");

	lab_tunnel_port(g->lab, 20, &tunnel);
	lab_flow(g->lab, g->lab->u, "actions=output:1");
	lab_flow(g->lab, g->lab->s1, "in_port=1,actions=output:20");
	lab_flow(g->lab, g->lab->s1, "in_port=2,actions=output:3");
	run(g, 0);
}

static void
test_tunnel_flows_wait_and_follow(void **state)
{
	struct rig *g = *state;
	struct flow_registry_counters c;

	set_up(g);
	lab_no_route(g->lab, 2, OF_UNDERLAY_PENDING);
	miss(g, "in_port=1,tcp", 7);
	expect(g, "");
	assert_false(flow_registry_is_settled(g->r));
	run(g, 20);
	/* The route comes: its header is asked for at once; then the packet goes. */
	lab_route(g->lab, 2, 1, 0x22);
	lab_route_changed(g->lab, "192.0.2.2");
	run(g, 0);
	expect(g, "encap-to-22 ");
	answer_object(g, 0);
	expect(g, "put=encap(1.1),output(31) execute-7=encap(1.1),output(31) ");
	answer_flow(g);
	assert_true(flow_registry_is_settled(g->r));
	/* Another flow to the same next hop needs no other header. */
	miss(g, "in_port=1,udp", 8);
	expect(g, "execute-8=encap(1.1),output(31) ");
	/* The neighbour's address changes: header, flow, and later the old header is given up. */
	lab_route(g->lab, 2, 1, 0x33);
	run(g, 0);
	expect(g, "");
	lab_route_changed(g->lab, "192.0.2.2");
	run(g, 0);
	expect(g, "encap-to-33 ");
	assert_int_not_equal(flow_registry_version(g->r), of_model_version(g->lab->w.model));
	answer_object(g, 0);
	run(g, 0);
	expect(g, "modify=encap(3.1),output(31) ");
	answer_flow(g);
	assert_int_equal(flow_registry_version(g->r), of_model_version(g->lab->w.model));
	run(g, 1100);
	expect(g, "forget=1 ");
	/* It is gone: the flow drops. */
	lab_no_route(g->lab, 2, OF_UNDERLAY_NO_NEIGHBOUR);
	lab_route_changed(g->lab, "192.0.2.2");
	run(g, 0);
	expect(g, "modify=drop(tunnel-no-neighbour) ");
	answer_flow(g);
	flow_registry_counters(g->r, &c);
	assert_int_equal(c.n_waited, 1);
	assert_int_equal(c.n_lost, 0);
}

static void
test_tunnel_flows_keep_their_way_while_it_is_asked_for(void **state)
{
	struct rig *g = *state;
	struct flow_registry_counters before, after;

	set_up(g);
	lab_route(g->lab, 2, 1, 0x22);
	miss(g, "in_port=1,tcp", 7);
	answer_object(g, 0);
	answer_flow(g);
	strbuf_clear(&g->log);
	/* Forgotten, as nobody asked for it: asked for anew. */
	lab_no_route(g->lab, 2, OF_UNDERLAY_PENDING);
	lab_route_changed(g->lab, "192.0.2.2");
	run(g, 0);
	run(g, 0);
	expect(g, "");
	/* Not over and over: now and then. */
	flow_registry_counters(g->r, &before);
	for (unsigned i = 0; i < 100; i++) {
		run(g, 0);
	}
	flow_registry_counters(g->r, &after);
	assert_int_equal(after.n_revalidated, before.n_revalidated);
	assert_in_range(flow_registry_next_ms(g->r), g->lab->w.now_ms + 1, g->lab->w.now_ms + 20);
	for (unsigned i = 0; i < 10; i++) {
		run(g, 20);
	}
	flow_registry_counters(g->r, &after);
	assert_in_range(after.n_revalidated, before.n_revalidated + 4, before.n_revalidated + 20);
	lab_route(g->lab, 2, 1, 0x22);
	lab_route_changed(g->lab, "192.0.2.2");
	run(g, 0);
	run(g, 0);
	expect(g, "");
	assert_true(flow_registry_is_settled(g->r));
	assert_int_equal(flow_registry_version(g->r), of_model_version(g->lab->w.model));
}

static void
test_tunnel_flows_refused_headers(void **state)
{
	struct rig *g = *state;

	set_up(g);
	lab_route(g->lab, 2, 1, 0x22);
	miss(g, "in_port=1,tcp", 7);
	expect(g, "encap-to-22 ");
	answer_object(g, -ENOSPC);
	expect(g, "execute-7=drop(agent-refused) ");
	/* Nothing is installed; it is asked for again later. */
	miss(g, "in_port=1,tcp", 8);
	expect(g, "execute-8=drop(agent-refused) ");
	run(g, 1100);
	miss(g, "in_port=1,tcp", 9);
	expect(g, "encap-to-22 ");
	answer_object(g, 0);
	expect(g, "put=encap(2.1),output(31) execute-9=encap(2.1),output(31) ");
}

static void
send_out(struct rig *g, const char *data, const struct of_actions *actions)
{
	struct flow_packet_out po = {
		.ofproto_id = ofproto_id(g->lab->s1),
		.in_port = {11},
		.actions = actions->data,
		.actions_size = actions->size,
		.data = data,
		.len = strlen(data),
	};

	world_key("in_port=1,tcp", &po.key);
	po.key.in_port = be32_from(1);
	flow_registry_packet_out(g->r, &po, g->lab->w.now_ms);
}

static void
test_tunnel_flows_packet_outs(void **state)
{
	struct rig *g = *state;
	struct flow_registry_counters c;
	struct of_aggregate sum;
	struct of_flow_query all;
	struct of_actions actions;

	set_up(g);
	of_actions_init(&actions);
	of_actions_put_output(&actions, OF_PORT(OFPP_TABLE), 0);
	lab_no_route(g->lab, 2, OF_UNDERLAY_PENDING);
	send_out(g, "a", &actions);
	send_out(g, "b", &actions);
	expect(g, "");
	assert_false(flow_registry_is_settled(g->r));
	lab_route(g->lab, 2, 1, 0x22);
	lab_route_changed(g->lab, "192.0.2.2");
	run(g, 0);
	expect(g, "encap-to-22 ");
	answer_object(g, 0);
	expect(g, "out-11-a=encap(1.1),output(31) out-11-b=encap(1.1),output(31) ");
	assert_true(flow_registry_is_settled(g->r));
	send_out(g, "c", &actions);
	expect(g, "out-11-c=encap(1.1),output(31) ");
	/* Rules count them once. */
	of_flow_query_init(&all);
	ofproto_aggregate(g->lab->s1, &all, &sum);
	assert_int_equal(sum.packets, 3);
	assert_int_equal(sum.bytes, 3);
	/* The ring is full, for a while. */
	g->packet_out_error = -EAGAIN;
	send_out(g, "d", &actions);
	g->packet_out_error = 0;
	run(g, 20);
	expect(g, "out-11-d=encap(1.1),output(31) ");
	/* No answer: it does not wait for ever; nor do many. */
	lab_no_route(g->lab, 2, OF_UNDERLAY_PENDING);
	for (unsigned i = 0; i < 300; i++) {
		send_out(g, "e", &actions);
	}
	flow_registry_counters(g->r, &c);
	assert_int_equal(c.n_lost, 300 - 256);
	run(g, 500);
	assert_false(flow_registry_is_settled(g->r));
	run(g, 600);
	run(g, 20);
	strbuf_clear(&g->log); /* headers that are given up */
	flow_registry_counters(g->r, &c);
	assert_int_equal(c.n_lost, 300);
	assert_true(flow_registry_is_settled(g->r));
	/* Its switch goes; the session ends. */
	send_out(g, "f", &actions);
	flow_registry_reset(g->r);
	assert_true(flow_registry_is_settled(g->r));
	expect(g, "");
	of_actions_uninit(&actions);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_tunnel_flows_wait_and_follow, begin, end),
		cmocka_unit_test_setup_teardown(
			test_tunnel_flows_keep_their_way_while_it_is_asked_for, begin, end),
		cmocka_unit_test_setup_teardown(test_tunnel_flows_refused_headers, begin, end),
		cmocka_unit_test_setup_teardown(test_tunnel_flows_packet_outs, begin, end),
	};

	return cmocka_run_group_tests_name("tunnel_flows", tests, NULL, NULL);
}

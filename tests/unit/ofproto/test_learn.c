/* SPDX-License-Identifier: Apache-2.0
 *
 * Learn actions: what packets teach, when, and what becomes of it. Expectations are those of Open vSwitch for the same
 * rules, but where a line says otherwise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/byteorder.h"
#include "lib/error.h"
#include "lib/strbuf.h"
#include "ofproto/of_error.h"
#include "ofproto/of_text.h"
#include "ofproto/of_trace.h"
#include "tests/unit/ofproto/registry_lab.h"

#define ETH "dl_src=00:00:00:00:00:11,dl_dst=00:00:00:00:00:22"
/* As Neutron's tunnel switch has it. */
#define BR_TUN                                                                                     \
	"learn(table=20,hard_timeout=300,priority=1,cookie=0x77,NXM_OF_VLAN_TCI[0..11],"           \
	"NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:0->NXM_OF_VLAN_TCI[],"                             \
	"load:NXM_NX_TUN_ID[]->NXM_NX_TUN_ID[],output:OXM_OF_IN_PORT[])"

static bool
put_rule(const struct of_flow_view *flow, void *user)
{
	struct strbuf *out = user;

	if (flow->cookie) {
		strbuf_printf(out, "cookie=%#llx, ", (unsigned long long)flow->cookie);
	}
	if (flow->idle_timeout || flow->hard_timeout) {
		strbuf_printf(out, "idle %u, hard %u, ", flow->idle_timeout, flow->hard_timeout);
	}
	if (flow->flags & OF_FLAG_SEND_FLOW_REM) {
		strbuf_put(out, "send_flow_rem ");
	}
	of_text_format_match(&flow->match, flow->priority, NULL, out);
	strbuf_put(out, " actions=");
	of_text_format_actions(flow->actions, flow->actions_size, NULL, out);
	strbuf_put_char(out, '\n');
	return true;
}

/* A table's rules, a line each. */
static const char *
rules_of(struct registry_lab *s, uint8_t table)
{
	static char text[16384];
	struct strbuf out = STRBUF_INIT;
	struct of_flow_cursor *c;
	struct of_flow_query q;

	of_flow_query_init(&q);
	q.table = table;
	c = ofproto_query_begin(s->w.p, &q);
	while (ofproto_query_step(c, 100, s->w.now_ms, put_rule, &out)) {
	}
	ofproto_query_end(c);
	snprintf(text, sizeof(text), "%s", strbuf_text(&out));
	strbuf_uninit(&out);
	return text;
}

/* The rules of a table, without those of others. */
static size_t
n_rules_of(struct registry_lab *s, uint8_t table)
{
	struct of_table_stats stats;

	ofproto_table_stats(s->w.p, table, &stats);
	return stats.n_active;
}

/* Translating teaches nobody; a packet does. */
static void
test_learn_from_a_packet(void **state)
{
	struct registry_lab *s = *state;

	world_flow(&s->w, "table=0,priority=1,vlan_tci=0x1000/0x1000,actions=" BR_TUN ",output:2");
	world_translate(&s->w, "in_port=1,tun_id=5,dl_vlan=7," ETH);
	assert_int_equal(s->w.t.n_learns, 1);
	assert_int_equal(n_rules_of(s, 20), 0);
	lab_upcall(s, "in_port=1,tun_id=5,dl_vlan=7," ETH);
	assert_string_equal(s->f.executed, "output(12)");
	assert_string_equal(rules_of(s, 20),
		"cookie=0x77, idle 0, hard 300, priority=1,vlan_tci=0x0007/0x0fff,dl_dst=00:00:00:00:00:11 "
		"actions=load:0->NXM_OF_VLAN_TCI[],load:0x5->NXM_NX_TUN_ID[],output:1\n");
}

/* The mask has the bits that specs read, and no more. */
static void
test_learn_mask(void **state)
{
	struct registry_lab *s = *state;

	world_flow(&s->w, "actions=learn(table=3,NXM_OF_VLAN_TCI[0..11],eth_dst=eth_src,"
			  "NXM_NX_REG1[0..15]=NXM_OF_ETH_DST[16..31],reg2=5),2");
	world_translate(&s->w, "in_port=1,dl_vlan=7," ETH);
	assert_string_equal(world_mask(&s->w), "eth_dst/0000ffff0000,eth_src,vlan_tci/0fff");
}

static void
test_learn_mask_of_tunnel(void **state)
{
	struct registry_lab *s = *state;

	world_flow(&s->w, "actions=learn(table=3,tun_id,load:tun_src->NXM_NX_REG3[]),2");
	lab_upcall(s, "in_port=1,tun_id=9,tun_src=1.2.3.4," ETH);
	assert_string_equal(rules_of(s, 3), "tun_id=0x9 actions=load:0x1020304->NXM_NX_REG3[]\n");
}

/* Set by earlier actions: constants of the flow. */
static void
test_learn_of_what_was_set(void **state)
{
	struct registry_lab *s = *state;

	world_flow(&s->w, "actions=set_field:00:00:00:00:00:99->eth_src,load:7->NXM_NX_REG0[],"
			  "learn(table=3,eth_dst=eth_src,load:reg0->NXM_NX_REG1[]),2");
	lab_upcall(s, "in_port=1," ETH);
	assert_string_equal(
		rules_of(s, 3), "dl_dst=00:00:00:00:00:99 actions=load:0x7->NXM_NX_REG1[]\n");
}

/* Constants of all sizes; wide loads become several; ports that cannot be output to are left out. */
static void
test_learn_values(void **state)
{
	struct registry_lab *s = *state;

	world_flow(&s->w,
		"ip,actions=learn(table=3,priority=7,idle_timeout=3,send_flow_rem,eth_type=0x800,"
		"NXM_OF_IP_DST[]=NXM_OF_IP_SRC[],load:0x123456789abcdef01234->NXM_NX_TUN_IPV6_DST[0..79],"
		"load:5->NXM_OF_IP_DST[0..7],output:NXM_NX_REG5[],output:NXM_OF_IN_PORT[]),"
		"load:0xfffe->NXM_NX_REG5[],learn(table=4,output:NXM_NX_REG5[],output:reg5[0..7]),"
		"load:0xfffd->NXM_NX_REG5[],learn(table=5,output:NXM_NX_REG5[]),"
		"load:0x10001->NXM_NX_REG5[],learn(table=6,output:NXM_NX_REG5[])");
	lab_upcall(s, "in_port=1,ip,nw_src=10.0.0.9," ETH);
	assert_string_equal(rules_of(s, 3),
		"idle 3, hard 0, send_flow_rem priority=7,ip,nw_dst=10.0.0.9 "
		"actions=load:0x56789abcdef01234->NXM_NX_TUN_IPV6_DST[0..63],"
		"load:0x1234->NXM_NX_TUN_IPV6_DST[64..79],load:0x5->NXM_OF_IP_DST[0..7],output:1\n");
	assert_string_equal(rules_of(s, 4), " actions=LOCAL,output:254\n");
	assert_string_equal(rules_of(s, 5), " actions=drop\n");
	assert_string_equal(rules_of(s, 6), " actions=drop\n");
}

/* A flow's packets renew the rule: its hard timeout begins anew, without a flow-mod. */
static void
test_learn_is_renewed_by_traffic(void **state)
{
	struct registry_lab *s = *state;
	uint64_t version;

	world_flow(&s->w, "table=0,actions=learn(table=3,hard_timeout=2,eth_dst=eth_src),2");
	lab_upcall(s, "in_port=1," ETH);
	lab_run(s, 1);
	version = of_model_version(s->w.model);
	for (unsigned i = 0; i < 8; i++) {
		lab_traffic(s, 0, 1);
		lab_run(s, 900);
		assert_int_equal(n_rules_of(s, 3), 1);
	}
	assert_int_equal(s->f.n_learns, 1); /* never posted again */
	assert_true(of_model_version(s->w.model) == version);
	lab_run(s, 1000);
	assert_int_equal(n_rules_of(s, 3), 1);
	lab_run(s, 200);
	assert_int_equal(n_rules_of(s, 3), 0);
	/* The next packet teaches it again. */
	lab_traffic(s, 0, 1);
	lab_run(s, 600);
	assert_int_equal(n_rules_of(s, 3), 1);
	assert_int_equal(s->f.n_learns, 2);
}

/* Revalidation without packets learns nothing, whatever was deleted. */
static void
test_learn_not_by_revalidation(void **state)
{
	struct registry_lab *s = *state;

	world_flow(&s->w, "table=0,actions=learn(table=3,eth_dst=eth_src),2");
	lab_upcall(s, "in_port=1," ETH);
	world_flow(&s->w, "delete table=3");
	world_flow(&s->w, "modify table=0,actions=learn(table=4,eth_dst=eth_src),2");
	lab_run(s, 1000);
	assert_int_equal(n_rules_of(s, 3) + n_rules_of(s, 4), 0);
	lab_traffic(s, 0, 1);
	lab_run(s, 1000);
	assert_int_equal(n_rules_of(s, 3), 0);
	assert_int_equal(n_rules_of(s, 4), 1);
}

static void
test_learn_moves(void **state)
{
	struct registry_lab *s = *state;

	world_flow(&s->w, "table=0,actions=learn(table=3,cookie=5,eth_dst=eth_src,output:in_port)");
	lab_upcall(s, "in_port=1," ETH);
	assert_non_null(strstr(rules_of(s, 3), "actions=output:1\n"));
	lab_upcall(s, "in_port=2," ETH);
	assert_non_null(strstr(rules_of(s, 3), "actions=output:2\n"));
	assert_int_equal(n_rules_of(s, 3), 1);
	assert_int_equal(s->f.n_learns, 2);
}

/* A rule that learns into its own table changes what its flow looks at: that comes to rest. */
static void
test_learn_into_own_table(void **state)
{
	struct registry_lab *s = *state;
	uint64_t version;

	world_flow(&s->w,
		"table=0,priority=1,actions=learn(table=0,priority=2,eth_src=eth_dst,"
		"output:in_port),learn(table=0,priority=3,eth_src,load:1->NXM_NX_REG0[]),2");
	lab_upcall(s, "in_port=1," ETH);
	lab_run(s, 1);
	assert_string_equal(lab_installed(s), "in_port=11,dl_src=00:00:00:00:00:11,"
					      "dl_dst=00:00:00:00:00:22 drop\n");
	version = of_model_version(s->w.model);
	for (unsigned i = 0; i < 5; i++) {
		lab_traffic(s, 0, 1);
		lab_run(s, 600);
	}
	assert_true(of_model_version(s->w.model) == version);
	assert_int_equal(n_rules_of(s, 0), 3);
}

/* Rules of the cookie in the table are counted, whoever made them; those that stand are renewed. */
static void
test_learn_limit(void **state)
{
	struct registry_lab *s = *state;
	char packet[100];

	world_flow(&s->w, "table=3,priority=9,dl_type=0x9999,actions=1");
	world_flow(&s->w, "table=3,priority=9,cookie=8,dl_type=0x9998,actions=1");
	world_flow(&s->w,
		"table=0,actions=learn(table=3,cookie=8,limit=4,hard_timeout=60,eth_dst=eth_src,"
		"output:in_port),2");
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(packet, sizeof(packet),
			"in_port=1,dl_src=00:00:00:00:%02x:%02x,dl_dst=00:00:00:00:00:22", i >> 8,
			i & 255);
		lab_upcall(s, packet);
		lab_answer(&s->f, s->w.now_ms);
	}
	assert_int_equal(n_rules_of(s, 3), 5);
	/* One that stands may change. */
	lab_upcall(s, "in_port=2,dl_src=00:00:00:00:00:01,dl_dst=00:00:00:00:00:22");
	assert_non_null(strstr(rules_of(s, 3), "dl_dst=00:00:00:00:00:01 actions=output:2\n"));
	/* Room again. */
	world_flow(&s->w, "delete table=3,dl_type=0x9998");
	lab_upcall(s, "in_port=2,dl_src=00:00:00:00:77:01,dl_dst=00:00:00:00:00:22");
	assert_non_null(strstr(rules_of(s, 3), "dl_dst=00:00:00:00:77:01 actions=output:2\n"));
	lab_upcall(s, "in_port=2,dl_src=00:00:00:00:77:02,dl_dst=00:00:00:00:00:22");
	assert_int_equal(n_rules_of(s, 3), 5);
}

/* What was learned goes with the last rule that learns it. */
static void
test_learn_delete_learned(void **state)
{
	struct registry_lab *s = *state;

	world_flow(&s->w,
		"table=0,in_port=1,actions=learn(table=3,cookie=8,delete_learned,eth_dst=eth_src)");
	world_flow(&s->w,
		"table=0,in_port=2,actions=learn(table=3,cookie=8,delete_learned,eth_dst=eth_src)");
	world_flow(&s->w, "table=0,in_port=3,actions=learn(table=3,cookie=9,eth_dst=eth_src)");
	lab_upcall(s, "in_port=1,dl_src=00:00:00:00:00:11");
	lab_upcall(s, "in_port=2,dl_src=00:00:00:00:00:12");
	lab_upcall(s, "in_port=3,dl_src=00:00:00:00:00:13");
	assert_int_equal(n_rules_of(s, 3), 3);
	world_flow(&s->w, "delete table=0,in_port=1");
	assert_int_equal(n_rules_of(s, 3), 3);
	world_flow(&s->w, "modify table=0,in_port=2,actions=drop");
	assert_int_equal(n_rules_of(s, 3), 1);
	world_flow(&s->w, "delete table=0,in_port=3");
	assert_int_equal(n_rules_of(s, 3), 1);
	/* Replaced by one that learns it too. */
	world_flow(&s->w,
		"table=0,in_port=4,actions=learn(table=3,cookie=10,delete_learned,eth_dst=eth_src)");
	lab_upcall(s, "in_port=4,dl_src=00:00:00:00:00:14");
	world_flow(&s->w,
		"table=0,in_port=4,actions=learn(table=3,cookie=10,delete_learned,eth_dst=eth_src),2");
	assert_int_equal(n_rules_of(s, 3), 2);
	world_flow(&s->w, "table=0,in_port=4,actions=2");
	assert_int_equal(n_rules_of(s, 3), 1);
}

/* Timeouts become short when the connection ends: in the miss's own packet, or in one of its flow. */
static void
test_learn_fin_timeout(void **state)
{
	struct registry_lab *s = *state;

	world_flow(&s->w,
		"table=0,tcp,actions=learn(table=3,hard_timeout=100,fin_idle_timeout=5,"
		"fin_hard_timeout=10,eth_type=0x800,nw_proto=6,tcp_dst=tcp_src,output:in_port)");
	lab_upcall(s, "in_port=1,tcp,tp_src=80,tp_dst=1000");
	assert_string_equal(rules_of(s, 3),
		"idle 0, hard 100, tcp,tp_dst=80 "
		"actions=fin_timeout(idle_timeout=5,hard_timeout=10),output:1\n");
	world_flow(&s->w, "table=0,priority=40000,in_port=2,actions=resubmit(,3)");
	lab_upcall(s, "in_port=2,tcp,tp_src=1000,tp_dst=80,tcp_flags=ack");
	assert_int_equal(s->f.n_limits, 0);
	lab_run(s, 1);
	lab_traffic(s, 1, 1);
	s->f.flows[1].stats.tcp_flags = 0x10;
	lab_run(s, 600);
	assert_int_equal(s->f.n_limits, 0);
	lab_traffic(s, 1, 1);
	s->f.flows[1].stats.tcp_flags = 0x11;
	lab_run(s, 600);
	assert_int_equal(s->f.n_limits, 1);
	assert_non_null(strstr(rules_of(s, 3), "idle 5, hard 10, "));
	lab_traffic(s, 1, 1);
	lab_run(s, 600);
	assert_int_equal(s->f.n_limits, 1); /* told once */
	lab_run(s, 3000);
	assert_int_equal(n_rules_of(s, 3), 1);
	lab_run(s, 3000);
	lab_run(s, 200); /* once the statistics are in */
	assert_int_equal(n_rules_of(s, 3), 0);
	/* In the miss itself. */
	lab_upcall(s, "in_port=1,tcp,tp_src=81,tp_dst=1000");
	lab_upcall(s, "in_port=2,tcp,tp_src=1000,tp_dst=81,tcp_flags=rst");
	assert_int_equal(s->f.n_limits, 2);
	assert_non_null(strstr(rules_of(s, 3), "idle 5, hard 10, "));
}

/* A transaction is open: learned when it is over. */
static void
test_learn_waits_for_a_transaction(void **state)
{
	struct registry_lab *s = *state;
	struct of_txn *t;

	world_flow(&s->w, "table=0,actions=learn(table=3,eth_dst=eth_src),2");
	t = of_txn_begin(s->w.model, NULL, NULL);
	lab_upcall(s, "in_port=1," ETH);
	lab_run(s, 1);
	assert_int_equal(n_rules_of(s, 3), 0);
	of_txn_commit(t, s->w.now_ms);
	lab_run(s, 1);
	assert_int_equal(n_rules_of(s, 3), 1);
}

/* A bucket that learns is chosen here, not in the datapath: what is learned is what that bucket says. */
static void
test_learn_in_a_bucket(void **state)
{
	struct registry_lab *s = *state;

	world_group(&s->w,
		"group_id=1,type=all,bucket=actions=learn(table=3,eth_dst=eth_src),output:2");
	world_flow(&s->w, "table=0,actions=group:1");
	lab_upcall(s, "in_port=1," ETH);
	assert_int_equal(n_rules_of(s, 3), 1);
	assert_string_equal(s->f.executed, "output(12)");
}

static enum translate_object_state
any_object(void *user, const struct translate_object *o, struct dp_handle *handle)
{
	(void)o;
	++*(unsigned *)user;
	*handle = (struct dp_handle){1, 1};
	return TRANSLATE_OBJECT_READY;
}

/* Nor is what the buckets not chosen would teach. */
static void
test_learn_in_one_bucket_of_two(void **state)
{
	struct registry_lab *s = *state;
	unsigned n_objects = 0;
	struct translate_in in = {.reader = s->w.reader,
		.now_ms = s->w.now_ms,
		.object = any_object,
		.object_user = &n_objects};
	struct flow_key key;

	world_group(&s->w, "group_id=1,type=select,bucket=actions=output:3,"
			   "bucket=actions=learn(table=3,eth_dst=eth_src),output:2,"
			   "bucket=actions=learn(table=3,eth_dst=eth_src),output:2");
	world_flow(&s->w, "table=0,actions=group:1");
	world_key("in_port=1," ETH, &key);
	for (unsigned i = 0; i < 20; i++) {
		struct translation *t = &s->w.t;
		const struct dp_action_output *output;

		key.eth_src[5] = (uint8_t)i;
		in.key = &key;
		of_reader_enter(s->w.reader);
		in.version = of_model_version(s->w.model);
		translate(&in, t);
		of_reader_leave(s->w.reader);
		output = (const void *)t->actions.data;
		assert_int_equal(output->hdr.type, DP_ACTION_OUTPUT);
		assert_int_equal(t->n_learns, output->port == 13 ? 0 : 1);
	}
	assert_int_equal(n_objects, 0);
}

static void
test_learn_trace(void **state)
{
	struct registry_lab *s = *state;
	struct strbuf out = STRBUF_INIT;
	struct of_trace *t;
	struct flow_key key;

	world_flow(&s->w, "actions=learn(table=3,eth_dst=eth_src,output:in_port),2");
	world_key("in_port=1," ETH, &key);
	key.in_port = be32_from(1);
	t = world_trace(&s->w, &key, NULL, 0);
	of_trace_format(t, &out);
	assert_non_null(strstr(strbuf_text(&out),
		"a rule in table 3 would be learned: dl_dst=00:00:00:00:00:11 actions=output:p1"));
	of_trace_destroy(t);
	assert_int_equal(n_rules_of(s, 3), 0);
	lab_upcall(s, "in_port=1," ETH);
	strbuf_clear(&out);
	t = world_trace(&s->w, &key, NULL, 0);
	of_trace_format(t, &out);
	assert_non_null(strstr(strbuf_text(&out), "a rule in table 3 is known: "));
	of_trace_destroy(t);
	strbuf_uninit(&out);
}

/* What Open vSwitch's ofpacts_check() says of the same. */
static void
test_learn_refuses(void **state)
{
	struct registry_lab *s = *state;
	struct world *w = &s->w;

	world_refuse(
		w, "actions=learn(ip_dst=10.0.0.1)", OFPET_BAD_ACTION, OFPBAC_MATCH_INCONSISTENT);
	world_refuse(w, "actions=learn(eth_type=0x800,ip_dst=ip_src)", OFPET_BAD_ACTION,
		OFPBAC_MATCH_INCONSISTENT);
	world_refuse(w, "ip,actions=learn(load:ip_src->ip_dst)", OFPET_BAD_ACTION,
		OFPBAC_MATCH_INCONSISTENT);
	world_refuse(w, "actions=learn(eth_type=0x800,load:1->NXM_NX_IP_FRAG[])", OFPET_BAD_ACTION,
		OFPBAC_BAD_SET_ARGUMENT);
	world_refuse(w, "actions=write_actions(learn(eth_dst=eth_src))", OFPET_BAD_ACTION,
		OFPBAC_BAD_TYPE);
	world_refuse(w, "actions=fin_timeout(idle_timeout=3)", OFPET_BAD_ACTION,
		OFPBAC_MATCH_INCONSISTENT);
	world_refuse(w, "tcp,actions=write_actions(fin_timeout(idle_timeout=3))", OFPET_BAD_ACTION,
		OFPBAC_BAD_TYPE);
	world_flow(w, "ip,actions=learn(eth_type=0x800,load:ip_src->ip_dst)");
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, registry_lab_begin, registry_lab_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_learn_from_a_packet),
		TEST(test_learn_mask),
		TEST(test_learn_mask_of_tunnel),
		TEST(test_learn_of_what_was_set),
		TEST(test_learn_values),
		TEST(test_learn_is_renewed_by_traffic),
		TEST(test_learn_not_by_revalidation),
		TEST(test_learn_moves),
		TEST(test_learn_into_own_table),
		TEST(test_learn_limit),
		TEST(test_learn_delete_learned),
		TEST(test_learn_fin_timeout),
		TEST(test_learn_waits_for_a_transaction),
		TEST(test_learn_in_a_bucket),
		TEST(test_learn_in_one_bucket_of_two),
		TEST(test_learn_trace),
		TEST(test_learn_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

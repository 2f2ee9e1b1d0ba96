/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow registry over a fake datapath. The last test runs handlers beside the loop, under the
 * thread sanitizer.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "lib/strbuf.h"
#include "ofproto/fdb.h"
#include "ofproto/flow_registry.h"
#include "ofproto/of_text.h"
#include "tests/unit/ofproto/world.h"

#define MAX_FLOWS 4096
#define MAX_REPLIES 512

struct fake_flow {
	bool used;
	struct dp_handle handle;
	struct flow_key key;
	struct flow_mask mask;
	struct dp_actions actions;
	struct flow_stats stats;
};

/* Commands are executed at once; their answers wait in a queue. */
struct fake {
	struct flow_registry *r;
	struct fake_flow flows[MAX_FLOWS];
	unsigned n_flows;
	uint32_t next_gen;
	struct {
		struct dp_message msg;
		union {
			struct dp_reply reply;
			struct dp_flow_put_reply put;
			struct dp_flow_del_reply del;
		};
	} replies[MAX_REPLIES];
	unsigned n_replies;
	int refuse_put; /* -EDQUOT (unless narrow), -ENOSPC; 0: take it */
	bool ring_is_full;
	unsigned n_puts;
	uint16_t last_flags;
	char executed[1024];
	unsigned n_contexts;
	struct world *w;                /* NULL: learned addresses are not written */
	void (*in_put)(struct fake *f); /* runs in the middle of a put */
};

static struct fake_flow *
find_flow(struct fake *f, const struct flow_key *key, const struct flow_mask *mask)
{
	struct flow_key masked;

	flow_key_mask(&masked, key, 0xff, mask);
	for (unsigned i = 0; i < MAX_FLOWS; i++) {
		if (f->flows[i].used && flow_mask_equal(&f->flows[i].mask, mask) &&
			flow_key_equal(&f->flows[i].key, &masked)) {
			return &f->flows[i];
		}
	}
	return NULL;
}

static void
answer_put(struct fake *f, uint64_t request, int status, const struct fake_flow *flow,
	const struct flow_mask *narrowed)
{
	unsigned n = f->n_replies++;

	assert_true(n < MAX_REPLIES);
	memset(&f->replies[n], 0, sizeof(f->replies[n]));
	f->replies[n].put.reply = (struct dp_reply){request, status, 0};
	f->replies[n].msg.type = DP_REPLY + DP_FLOW_PUT;
	f->replies[n].msg.body = &f->replies[n].put;
	if (flow) {
		f->replies[n].put.flow = flow->handle;
	}
	if (narrowed) {
		f->replies[n].put.mask_blocks = flow_mask_blocks(narrowed);
		f->replies[n].msg.mask = *narrowed;
		f->replies[n].msg.mask_blocks = flow_mask_blocks(narrowed);
	}
}

static int
fake_put(void *user, uint64_t request, const struct flow_key *key, uint8_t key_blocks,
	const struct flow_mask *mask, uint16_t flags, const void *actions, size_t actions_size)
{
	struct fake *f = user;
	struct flow_mask narrowed = *mask;
	struct fake_flow *flow;
	bool narrow = false;

	(void)key_blocks;
	if (f->ring_is_full) {
		return -EAGAIN;
	}
	f->n_puts++;
	f->last_flags = flags;
	assert_true(request & FLOW_REGISTRY_REQUEST);
	assert_int_equal(mask->bits.in_port, UINT32_MAX);
	assert_false(flow_mask_blocks(mask) & FLOW_BLOCKS_OFPROTO);
	assert_true(dp_actions_validate(actions, actions_size, NULL));
	if (f->in_put) {
		f->in_put(f);
	}
	if (f->refuse_put == -EDQUOT && flags & DP_PUT_NARROW) {
		memset(narrowed.bits.eth_src, 0xff, 6);
		narrow = true;
	} else if (f->refuse_put) {
		answer_put(f, request, f->refuse_put, NULL, NULL);
		return 0;
	}
	flow = find_flow(f, key, &narrowed);
	if (flow && flags & DP_PUT_EXCLUSIVE) {
		answer_put(f, request, -EEXIST, flow, NULL);
		return 0;
	}
	if (!flow && flags & DP_PUT_MODIFY) {
		answer_put(f, request, -ENOENT, NULL, NULL);
		return 0;
	}
	if (!flow) {
		for (unsigned i = 0; !flow; i++) {
			assert_true(i < MAX_FLOWS);
			if (!f->flows[i].used) {
				flow = &f->flows[i];
				flow->handle = (struct dp_handle){i, ++f->next_gen};
			}
		}
		flow->used = true;
		flow_key_mask(&flow->key, key, 0xff, &narrowed);
		flow->mask = narrowed;
		memset(&flow->stats, 0, sizeof(flow->stats));
		dp_actions_init(&flow->actions);
		f->n_flows++;
	}
	dp_actions_clear(&flow->actions);
	dp_actions_append(&flow->actions, actions, actions_size);
	answer_put(f, request, 0, flow, narrow ? &narrowed : NULL);
	return 0;
}

static int
fake_del(void *user, uint64_t request, struct dp_handle handle)
{
	struct fake *f = user;
	struct fake_flow *flow = &f->flows[handle.slot];
	unsigned n;

	if (f->ring_is_full) {
		return -EAGAIN;
	}
	n = f->n_replies++;
	assert_true(n < MAX_REPLIES);
	memset(&f->replies[n], 0, sizeof(f->replies[n]));
	f->replies[n].del.reply = (struct dp_reply){request, 0, 0};
	f->replies[n].del.final = flow->stats;
	f->replies[n].msg.type = DP_REPLY + DP_FLOW_DEL;
	f->replies[n].msg.body = &f->replies[n].del;
	assert_true(flow->used && flow->handle.gen == handle.gen);
	flow->used = false;
	dp_actions_uninit(&flow->actions);
	f->n_flows--;
	return 0;
}

static int
fake_context_put(void *user, uint64_t request, uint32_t id, const void *bytes, size_t size)
{
	struct fake *f = user;

	(void)request;
	(void)id;
	(void)bytes;
	assert_true(size > 0 && size % 8 == 0);
	f->n_contexts++;
	return 0;
}

static int
fake_execute(
	void *user, uint64_t request, struct dp_parked parked, const void *actions, size_t size)
{
	struct fake *f = user;
	struct strbuf s = STRBUF_INIT;

	(void)request;
	(void)parked;
	dp_actions_format(actions, size, &s);
	snprintf(f->executed, sizeof(f->executed), "%s", strbuf_text(&s));
	strbuf_uninit(&s);
	return 0;
}

static void
fake_stats(void *user, struct dp_handle handle, struct flow_stats *out)
{
	const struct fake *f = user;

	memset(out, 0, sizeof(*out));
	if (f->flows[handle.slot].handle.gen == handle.gen) {
		*out = f->flows[handle.slot].stats;
	}
}

static void
fake_learned(void *user, uint32_t id, uint16_t vlan, const uint8_t mac[6], struct of_port port)
{
	struct fake *f = user;

	(void)id;
	if (f->w) {
		ofproto_fdb_learn(f->w->p, vlan, mac, port, f->w->now_ms);
	}
}

static void
fake_init(struct fake *f, struct of_reader *reader)
{
	struct flow_registry_ops ops = {.put = fake_put,
		.del = fake_del,
		.context_put = fake_context_put,
		.execute = fake_execute,
		.stats = fake_stats,
		.learned = fake_learned,
		.user = f};

	memset(f, 0, sizeof(*f));
	f->r = flow_registry_create(reader, &ops);
}

static void
fake_uninit(struct fake *f)
{
	flow_registry_destroy(f->r);
	for (unsigned i = 0; i < MAX_FLOWS; i++) {
		if (f->flows[i].used) {
			dp_actions_uninit(&f->flows[i].actions);
		}
	}
}

/* Hands over the answers, and whatever they bring about. */
static void
answer(struct fake *f, uint64_t now_ms)
{
	while (f->n_replies) {
		unsigned n = f->n_replies;
		struct fake *copy = xmemdup(f, sizeof(*f));

		f->n_replies = 0;
		for (unsigned i = 0; i < n; i++) {
			copy->replies[i].msg.body = &copy->replies[i].reply;
			flow_registry_reply(f->r, &copy->replies[i].msg, now_ms);
		}
		free(copy);
	}
}

static void
upcall_key(struct fake *f, const struct flow_key *key, uint64_t now_ms)
{
	struct dp_upcall up = {.parked = {7}, .packet_len = 100};

	flow_registry_upcall(f->r, &up, key, flow_key_blocks(key) | 1, now_ms);
}

/* --- with the tests' switch ---------------------------------------------------------------------- */

struct setup {
	struct world w;
	struct fake f;
};

static int
begin(void **state)
{
	struct setup *s = xcalloc(1, sizeof(*s));

	world_init(&s->w);
	fake_init(&s->f, s->w.reader);
	s->f.w = &s->w;
	*state = s;
	return 0;
}

static int
end(void **state)
{
	struct setup *s = *state;

	answer(&s->f, s->w.now_ms);
	fake_uninit(&s->f);
	world_uninit(&s->w);
	free(s);
	return 0;
}

static void
upcall(struct setup *s, const char *packet)
{
	struct flow_key key;

	world_key(packet, &key);
	upcall_key(&s->f, &key, s->w.now_ms);
}

static void
run(struct setup *s, uint64_t ms)
{
	world_run(&s->w, ms);
	for (unsigned i = 0; i < 5; i++) {
		while (flow_registry_run(s->f.r, s->w.now_ms, 100)) {
			answer(&s->f, s->w.now_ms);
		}
		answer(&s->f, s->w.now_ms);
	}
	world_run(&s->w, 0);
}

/* What is installed: "in_port(N) match actions=..", a line a flow. */
static const char *
installed(struct setup *s)
{
	struct strbuf out = STRBUF_INIT;

	for (unsigned i = 0; i < MAX_FLOWS; i++) {
		const struct fake_flow *flow = &s->f.flows[i];
		struct flow_mask mask = flow->mask;

		if (!flow->used) {
			continue;
		}
		mask.bits.recirc_id = 0;
		flow_text_format(&flow->key, &mask, &out);
		strbuf_put_char(&out, ' ');
		dp_actions_format(flow->actions.data, flow->actions.size, &out);
		strbuf_put_char(&out, '\n');
	}
	snprintf(s->w.text, sizeof(s->w.text), "%s", strbuf_text(&out));
	strbuf_uninit(&out);
	return s->w.text;
}

static void
traffic(struct setup *s, unsigned slot, uint64_t packets)
{
	struct flow_stats *stats = &s->f.flows[slot].stats;

	stats->packets += packets;
	stats->bytes += 100 * packets;
	stats->used_ms = s->w.now_ms;
}

static uint64_t
counted(struct setup *s)
{
	struct of_aggregate a;
	struct of_flow_query q;

	of_flow_query_init(&q);
	ofproto_aggregate(s->w.p, &q, &a);
	assert_int_equal(a.bytes, a.packets * 100);
	return a.packets;
}

static struct flow_registry_counters
counters(struct setup *s)
{
	struct flow_registry_counters c;

	flow_registry_counters(s->f.r, &c);
	return c;
}

static void
test_registry_installs_and_credits(void **state)
{
	struct setup *s = *state;

	world_flow(&s->w, "ip,actions=2");
	upcall(s, "in_port=1,tcp,nw_dst=1.2.3.4");
	assert_string_equal(s->f.executed, "output(12)");
	assert_false(flow_registry_is_settled(s->f.r));
	answer(&s->f, s->w.now_ms);
	assert_true(flow_registry_is_settled(s->f.r));
	assert_string_equal(installed(s), "ip,in_port=11 output(12)\n");
	assert_int_equal(counted(s), 1);
	traffic(s, 0, 10);
	run(s, 600);
	assert_int_equal(counted(s), 11);
	/* The same flow asked for again (another worker): only executed. */
	upcall(s, "in_port=1,udp");
	assert_int_equal(s->f.n_puts, 1);
	assert_int_equal(counted(s), 12);
	/* Sums go on from where they were. */
	traffic(s, 0, 5);
	flow_registry_pull(s->f.r, s->w.now_ms);
	assert_int_equal(counted(s), 17);
	run(s, 600);
	assert_int_equal(counted(s), 17);
}

static void
test_registry_follows_the_tables(void **state)
{
	struct setup *s = *state;
	uint64_t version;

	world_flow(&s->w, "ip,actions=2");
	upcall(s, "in_port=1,tcp,nw_dst=1.2.3.4");
	upcall(s, "in_port=1,arp");
	run(s, 1);
	assert_string_equal(installed(s), "ip,in_port=11 output(12)\narp,in_port=11 drop\n");
	world_flow(&s->w, "modify ip,actions=3");
	version = of_model_version(s->w.model);
	assert_true(flow_registry_version(s->f.r) < version);
	assert_int_equal(flow_registry_next_ms(s->f.r), 0);
	run(s, 1);
	assert_true(flow_registry_version(s->f.r) == version);
	assert_string_equal(installed(s), "ip,in_port=11 output(13)\narp,in_port=11 drop\n");
	assert_int_equal(s->f.last_flags, DP_PUT_MODIFY);
	assert_int_equal(counters(s).n_revalidated, 1);
	/* A rule that wants to see more: the flow cannot stay as wide. The other one has nothing to do with it. */
	world_flow(&s->w, "priority=40000,tcp,tp_dst=80,actions=4");
	run(s, 1);
	assert_string_equal(installed(s), "arp,in_port=11 drop\n");
	assert_int_equal(counters(s).n_flows, 1);
	assert_int_equal(counters(s).n_changed, 1);
	assert_int_equal(counters(s).n_deleted, 1);
	assert_int_equal(counters(s).n_revalidated, 2);
}

static uint64_t rnd; /* of the tests at random */

static void check_all(struct setup *s);

/* How many flows the last change made to be looked at. */
static uint64_t
revalidated(struct setup *s)
{
	static uint64_t before;
	uint64_t n = counters(s).n_revalidated - before;

	before += n;
	return n;
}

static void
test_registry_touches_no_other(void **state)
{
	struct setup *s = *state;
	uint8_t mac[6] = {0, 0, 0, 0, 0, 0};
	struct of_port_info info;

	world_flow(&s->w, "table=0,in_port=1,actions=2");
	world_flow(&s->w, "table=0,in_port=2,actions=NORMAL");
	world_flow(&s->w, "table=0,in_port=3,ip,actions=set_field:10.0.0.9->ip_dst,resubmit(,1)");
	world_flow(&s->w, "table=1,ip,nw_src=10.0.0.0/8,actions=5");
	upcall(s, "in_port=1");
	for (unsigned i = 0; i < 100; i++) {
		char packet[100];

		snprintf(packet, sizeof(packet),
			"in_port=2,dl_src=00:00:00:00:00:aa,dl_dst=00:00:00:00:01:%02x", i);
		upcall(s, packet);
		snprintf(packet, sizeof(packet), "in_port=3,ip,nw_src=%u.0.0.1", i + 1);
		upcall(s, packet);
		run(s, 0);
	}
	run(s, 1);
	(void)revalidated(s);
	/* One of the addresses is learned, moves, is forgotten. */
	mac[4] = 1;
	mac[5] = 0x33;
	ofproto_fdb_learn(s->w.p, 0, mac, OF_PORT(5), s->w.now_ms);
	run(s, 1);
	assert_int_equal(revalidated(s), 1);
	ofproto_fdb_learn(s->w.p, 0, mac, OF_PORT(6), s->w.now_ms);
	run(s, 1);
	assert_int_equal(revalidated(s), 1);
	/* A port to which one flow leads by itself, and to which all others flood: but for that of the address, and those of
	 * the other ports. */
	world_port(&s->w, 6, OF_VLAN_ACCESS, 7, NULL);
	run(s, 1);
	assert_int_equal(revalidated(s), 100);
	assert_true(ofproto_fdb_del(s->w.p, 0, mac));
	run(s, 1);
	assert_int_equal(revalidated(s), 1);
	/* A link that goes is the datapath's to look at. */
	info = *ofproto_port_find(s->w.p, OF_PORT(2));
	info.state = OF_PORT_LINK_DOWN;
	assert_true(ofproto_port_set(s->w.p, &info, NULL));
	run(s, 1);
	assert_int_equal(revalidated(s), 0);
	info.config = OF_PORT_NO_FWD;
	assert_true(ofproto_port_set(s->w.p, &info, NULL));
	run(s, 1);
	assert_int_equal(revalidated(s), 101);
	/* Rules: for one source (of 100 there are eight flows: of as many bits as tell them from 10.0.0.0/8); for one that the set field excludes; below; for all. */
	world_flow(&s->w, "table=1,priority=40000,ip,nw_src=10.0.0.1,actions=6");
	run(s, 1);
	assert_int_equal(revalidated(s), 1);
	world_flow(&s->w, "table=1,priority=40000,ip,nw_dst=10.0.0.8,actions=6");
	run(s, 1);
	assert_int_equal(revalidated(s), 0);
	world_flow(&s->w, "table=1,priority=1,ip,nw_src=10.0.0.1,actions=6");
	run(s, 1);
	assert_int_equal(revalidated(s), 0);
	world_flow(&s->w, "table=1,priority=1,ip,nw_src=11.0.0.1,actions=6");
	run(s, 1);
	assert_int_equal(revalidated(s), 1);
	/* Two flows are gone: they would have to look at more of the source. */
	world_flow(&s->w, "table=1,priority=40000,ip,nw_dst=10.0.0.9,actions=6");
	run(s, 1);
	assert_int_equal(revalidated(s), 6);
	world_flow(&s->w, "delete_strict table=1,priority=40000,ip,nw_src=10.0.0.1");
	run(s, 1);
	assert_true(revalidated(s) <= 1);
	world_flow(&s->w, "modify_strict table=0,in_port=1,actions=3");
	run(s, 1);
	assert_int_equal(revalidated(s), 1);
	/* Rules of a table where no flow was. */
	world_flow(&s->w, "table=7,ip,actions=6");
	run(s, 1);
	assert_int_equal(revalidated(s), 0);
	check_all(s);
}

static void
far_port(struct ofproto *p, unsigned number, unsigned dp, struct ofproto *peer)
{
	struct of_port_info info = {
		.number = OF_PORT(number),
		.dp_port = {dp ? dp : UINT32_MAX},
		.kind = peer ? OF_PORT_PATCH : OF_PORT_PLAIN,
		.patch = {peer ? ofproto_id(peer) : UINT32_MAX, OF_PORT(number)},
	};

	snprintf(info.name, sizeof(info.name), "%s-%u", ofproto_name(p), number);
	assert_true(ofproto_port_set(p, &info, NULL));
}

/* The other end of a patch port, and what is behind it. */
static void
test_registry_touches_no_other_behind_a_patch(void **state)
{
	struct setup *s = *state;
	struct ofproto *far = ofproto_create(s->w.model, "far", 7, NULL);

	far_port(far, 1, 21, NULL);
	far_port(far, 9, 0, s->w.p);
	far_port(s->w.p, 9, 0, far);
	ofproto_add_standalone_rule(far, s->w.now_ms);
	world_flow(&s->w, "in_port=1,actions=9");
	world_flow(&s->w, "in_port=2,actions=3");
	upcall(s, "in_port=1,dl_dst=00:00:00:00:00:01");
	upcall(s, "in_port=2");
	run(s, 1);
	assert_non_null(strstr(installed(s), "output(21)"));
	(void)revalidated(s);
	far_port(far, 2, 22, NULL);
	run(s, 1);
	assert_int_equal(revalidated(s), 1);
	assert_non_null(strstr(installed(s), "output(21),output(22)"));
	ofproto_port_del(far, OF_PORT(9));
	run(s, 1);
	assert_int_equal(revalidated(s), 1);
	assert_null(strstr(installed(s), "output(21)"));
	far_port(far, 9, 0, s->w.p);
	run(s, 1);
	assert_int_equal(revalidated(s), 1);
	assert_non_null(strstr(installed(s), "output(21),output(22)"));
	ofproto_destroy(far);
	run(s, 1);
	assert_null(strstr(installed(s), "output(21)"));
}

static void
test_registry_credits_the_rules_of_the_time(void **state)
{
	struct setup *s = *state;

	world_flow(&s->w, "cookie=0x1,ip,send_flow_rem,actions=2");
	upcall(s, "in_port=1,ip");
	answer(&s->f, s->w.now_ms);
	traffic(s, 0, 10);
	world_flow(&s->w, "delete ip");
	world_flow(&s->w, "cookie=0x2,ip,nw_dst=0.0.0.0/1,actions=3");
	world_run(&s->w, 1);
	/* The flow still counts for the old rule: flow-removed waits. */
	assert_int_equal(s->w.n_removed, 0);
	run(s, 1);
	assert_string_equal(s->w.removed, "2 ip 11/1100\n");
	assert_int_equal(counted(s), 0);
}

static void
test_registry_credits_final_counters(void **state)
{
	struct setup *s = *state;

	world_flow(&s->w, "ip,actions=2");
	upcall(s, "in_port=1,ip");
	answer(&s->f, s->w.now_ms);
	traffic(s, 0, 10);
	run(s, 9000);
	/* Ten seconds without a packet. */
	s->w.now_ms += 2000;
	traffic(s, 0, 0);
	s->f.flows[0].stats.used_ms = s->w.now_ms - 11000;
	flow_registry_run(s->f.r, s->w.now_ms, 100);
	assert_int_equal(s->f.n_flows, 0);
	assert_int_equal(counters(s).n_idle, 1);
	/* The last packets came between the last reading and the delete. */
	s->f.replies[0].del.final.packets += 7;
	s->f.replies[0].del.final.bytes += 700;
	answer(&s->f, s->w.now_ms);
	assert_int_equal(counted(s), 18);
	assert_int_equal(counters(s).n_flows, 0);
}

static struct setup *racing;

static void
change_rules(struct fake *f)
{
	f->in_put = NULL;
	world_flow(&racing->w, "modify ip,actions=5");
}

static void
test_registry_version_moves_under_a_miss(void **state)
{
	struct setup *s = *state;

	racing = s;
	world_flow(&s->w, "ip,actions=2");
	s->f.in_put = change_rules;
	upcall(s, "in_port=1,ip");
	assert_int_equal(counters(s).n_retranslated, 1);
	/* Not in force before the flow has followed. */
	assert_true(flow_registry_version(s->f.r) < of_model_version(s->w.model));
	run(s, 1);
	assert_string_equal(installed(s), "ip,in_port=11 output(15)\n");
	assert_true(flow_registry_version(s->f.r) == of_model_version(s->w.model));
}

static void
test_registry_narrows_at_the_second_upcall(void **state)
{
	struct setup *s = *state;

	world_flow(&s->w, "ip,actions=2");
	s->f.refuse_put = -EDQUOT;
	upcall(s, "in_port=1,ip,dl_src=00:00:00:00:00:05");
	answer(&s->f, s->w.now_ms);
	assert_string_equal(s->f.executed, "output(12)");
	assert_int_equal(s->f.n_flows, 0);
	assert_int_equal(counters(s).n_flows, 0);
	upcall(s, "in_port=1,ip,dl_src=00:00:00:00:00:06");
	answer(&s->f, s->w.now_ms);
	assert_int_equal(s->f.n_flows, 0);
	upcall(s, "in_port=1,ip,dl_src=00:00:00:00:00:05");
	answer(&s->f, s->w.now_ms);
	assert_string_equal(installed(s), "ip,in_port=11,dl_src=00:00:00:00:00:05 output(12)\n");
	assert_int_equal(counters(s).n_narrowed, 1);
	/* It is changed and deleted under the mask that it has. */
	s->f.refuse_put = 0;
	world_flow(&s->w, "modify ip,actions=3");
	run(s, 1);
	assert_string_equal(installed(s), "ip,in_port=11,dl_src=00:00:00:00:00:05 output(13)\n");
	world_flow(&s->w, "priority=40000,dl_src=00:00:00:00:00:05,actions=4");
	run(s, 1);
	assert_string_equal(installed(s), "ip,in_port=11,dl_src=00:00:00:00:00:05 output(14)\n");
	world_flow(&s->w, "priority=40001,dl_dst=00:00:00:00:00:05,actions=4");
	run(s, 1);
	assert_string_equal(installed(s), "");
}

/* A table that is full makes room at the expense of what nobody uses. */
static void
test_registry_evicts(void **state)
{
	struct setup *s = *state;

	world_flow(&s->w, "ip,dl_src=00:00:00:00:00:00/00:00:00:00:00:ff,actions=2");
	world_flow(&s->w, "dl_src=00:00:00:00:00:00/00:00:00:00:00:00,actions=2");
	for (unsigned i = 0; i < 200; i++) {
		char packet[80];

		snprintf(packet, sizeof(packet), "in_port=%u,ip,dl_src=00:00:00:00:00:%02x",
			i < 100 ? 1 : 2, i);
		upcall(s, packet);
		answer(&s->f, s->w.now_ms);
	}
	assert_int_equal(s->f.n_flows, 200);
	/* The first half of port 1's are used between two refusals. */
	for (unsigned i = 0; i < 50; i++) {
		traffic(s, i, 1);
	}
	s->f.refuse_put = -ENOSPC;
	upcall(s, "in_port=1,ip,dl_src=00:00:00:00:00:fe");
	s->f.refuse_put = 0;
	answer(&s->f, s->w.now_ms);
	answer(&s->f, s->w.now_ms);
	assert_int_equal(counters(s).n_evicted, 50);
	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(s->f.flows[i].used, i < 50 || i >= 100);
	}
	upcall(s, "in_port=1,ip,dl_src=00:00:00:00:00:fe");
	answer(&s->f, s->w.now_ms);
	assert_int_equal(s->f.n_flows, 151);
	/* All are in use: one gives way. */
	for (unsigned i = 0; i <= 50; i++) {
		traffic(s, i, 1);
	}
	s->f.refuse_put = -ENOSPC;
	upcall(s, "in_port=1,ip,dl_src=00:00:00:00:00:ff");
	s->f.refuse_put = 0;
	answer(&s->f, s->w.now_ms);
	answer(&s->f, s->w.now_ms);
	assert_int_equal(counters(s).n_evicted, 51);
	assert_int_equal(s->f.n_flows, 150);
	/* A port without flows has none to give. */
	s->f.refuse_put = -ENOSPC;
	upcall(s, "in_port=3,ip");
	s->f.refuse_put = 0;
	answer(&s->f, s->w.now_ms);
	assert_int_equal(counters(s).n_evicted, 51);
}

static void
test_registry_refusals(void **state)
{
	struct setup *s = *state;
	struct flow_key key;
	struct flow_registry_ops ops = {.put = fake_put,
		.del = fake_del,
		.context_put = fake_context_put,
		.execute = fake_execute,
		.stats = fake_stats,
		.learned = fake_learned,
		.user = &s->f};
	struct flow_registry *other;

	world_flow(&s->w, "ip,actions=2");
	s->f.refuse_put = -ENOSPC;
	upcall(s, "in_port=1,ip");
	answer(&s->f, s->w.now_ms);
	assert_int_equal(counters(s).n_flows, 0);
	assert_int_equal(counters(s).n_refused, 1);
	s->f.refuse_put = 0;
	/* A full ring. */
	s->f.ring_is_full = true;
	upcall(s, "in_port=1,ip");
	assert_int_equal(counters(s).n_flows, 0);
	s->f.ring_is_full = false;
	upcall(s, "in_port=1,ip");
	answer(&s->f, s->w.now_ms);
	assert_int_equal(s->f.n_flows, 1);
	s->f.ring_is_full = true;
	world_flow(&s->w, "modify ip,actions=3");
	run(s, 1);
	assert_true(flow_registry_version(s->f.r) < of_model_version(s->w.model));
	s->f.ring_is_full = false;
	run(s, 1);
	assert_true(flow_registry_version(s->f.r) == of_model_version(s->w.model));
	assert_string_equal(installed(s), "ip,in_port=11 output(13)\n");
	/* Another handler has it already: not ours to change or delete. */
	other = flow_registry_create(s->w.reader, &ops);
	world_key("in_port=1,udp", &key);
	flow_registry_upcall(other, &(struct dp_upcall){.packet_len = 100}, &key, 1, s->w.now_ms);
	assert_int_equal(s->f.n_replies, 1);
	assert_int_equal(s->f.replies[0].reply.status, -EEXIST);
	s->f.replies[0].msg.body = &s->f.replies[0].reply;
	flow_registry_reply(other, &s->f.replies[0].msg, s->w.now_ms);
	s->f.n_replies = 0;
	assert_true(flow_registry_is_settled(other));
	flow_registry_destroy(other);
	assert_int_equal(s->f.n_flows, 1);
	/* A port that nobody knows. */
	upcall(s, "in_port=60,ip");
	assert_string_equal(s->f.executed, "drop(agent-refused)");
}

static void
test_registry_adopts(void **state)
{
	struct setup *s = *state;
	struct dp_flow_item item = {.flow = {0, 1}, .stats = {.packets = 50, .bytes = 5000}};
	struct dp_message msg = {.type = DP_FLOW_ITEM, .body = &item};
	struct fake_flow *flow = &s->f.flows[0];

	/* An earlier agent left this. */
	flow->used = true;
	flow->handle = item.flow;
	flow->stats = item.stats;
	flow->mask.bits.in_port = flow->mask.bits.recirc_id = UINT32_MAX;
	flow->mask.bits.eth_type = UINT16_MAX;
	flow->key.in_port = be32_from(11);
	flow->key.eth_type = be16_from(0x0800);
	dp_actions_put_output(&flow->actions, (struct dp_port){12}, 0);
	s->f.n_flows = 1;
	s->f.next_gen = 1;
	msg.key = flow->key;
	msg.mask = flow->mask;
	msg.actions = flow->actions.data;
	msg.actions_size = flow->actions.size;
	flow_registry_adopt(s->f.r, &msg, NULL, s->w.now_ms);
	assert_int_equal(counters(s).n_adopted, 1);
	traffic(s, 0, 5);
	run(s, 60000);
	assert_string_equal(installed(s), "ip,in_port=11 output(12)\n");
	/* Traffic in the meantime keeps it, even though nobody owns it yet. */
	world_flow(&s->w, "ip,actions=3");
	traffic(s, 0, 1);
	flow_registry_release(s->f.r);
	assert_int_equal(flow_registry_version(s->f.r), 0);
	run(s, 1);
	assert_string_equal(installed(s), "ip,in_port=11 output(13)\n");
	run(s, 600);
	/* What came since the adoption belongs to the rule. */
	assert_int_equal(counted(s), 6);
	assert_int_equal(counters(s).n_adopted, 0);
}

static void
test_registry_learns(void **state)
{
	struct setup *s = *state;
	uint8_t mac[6] = {0, 0, 0, 0, 0, 1};

	world_flow(&s->w, "actions=NORMAL");
	upcall(s, "in_port=1,dl_src=00:00:00:00:00:01,dl_dst=00:00:00:00:00:02");
	assert_int_equal(fdb_lookup(ofproto_fdb(s->w.p), 0, mac).v, 1);
	run(s, 1);
	assert_non_null(strstr(installed(s), "output(12),output(13)"));
	/* The answer makes the flood stop, both ways. */
	upcall(s, "in_port=2,dl_src=00:00:00:00:00:02,dl_dst=00:00:00:00:00:01");
	run(s, 1);
	assert_string_equal(s->f.executed, "output(11)");
	assert_non_null(strstr(installed(s), "dl_dst=00:00:00:00:00:02 output(12)\n"));
	/* Traffic of the flow keeps the address alive. */
	for (unsigned i = 0; i < 400; i++) {
		traffic(s, 0, 1);
		run(s, 1000);
	}
	assert_int_equal(fdb_lookup(ofproto_fdb(s->w.p), 0, mac).v, 1);
	mac[5] = 2;
	assert_int_equal(fdb_lookup(ofproto_fdb(s->w.p), 0, mac).v, OFPP_ANY);
	assert_non_null(strstr(installed(s), "output(12),output(13)"));
}

static void
test_registry_contexts(void **state)
{
	struct setup *s = *state;

	world_flow(&s->w, "ip,actions=controller:100");
	upcall(s, "in_port=1,ip");
	upcall(s, "in_port=2,ip");
	answer(&s->f, s->w.now_ms);
	assert_int_equal(s->f.n_contexts, 1);
	world_flow(&s->w, "delete");
	run(s, 1);
	/* Long after the last flow is gone the context goes. */
	assert_int_equal(s->w.n_contexts_gone, 0);
	run(s, 11000);
	run(s, 11000);
	for (unsigned i = 0; i < 50; i++) {
		run(s, 500);
	}
	assert_int_equal(s->w.n_contexts_gone, 1);
}

/* --- at random ----------------------------------------------------------------------------------- */

static unsigned
upto(unsigned n)
{
	return (unsigned)(world_random(&rnd) % n);
}

static void
random_key(struct flow_key *key)
{
	char text[200];

	snprintf(text, sizeof(text),
		"in_port=%u,dl_src=00:00:00:00:00:%02u,dl_dst=00:00:00:00:00:%02u,%s,nw_dst=10.0.0.%u,nw_ttl=%u%s",
		1 + upto(3), upto(3), upto(3), upto(2) ? "tcp" : "ip", upto(4), 62 + upto(3),
		upto(2)   ? ""
		: upto(2) ? ",dl_vlan=1"
			  : ",dl_vlan=2");
	world_key(text, key);
	if (key->vlan_tci && upto(2)) {
		key->inner_tci = be16_from((uint16_t)(FLOW_VLAN_PRESENT | upto(3)));
		key->inner_tpid = be16_from(0x8100);
	}
}

static void
random_mod(char *text, size_t size)
{
	static const char *const matches[] = {"ip,nw_dst=10.0.0.1", "ip", "tcp", "ip,in_port=2",
		"ip,dl_dst=00:00:00:00:00:01", "ip,nw_dst=10.0.0.0/30",
		"ip,dl_src=00:00:00:00:00:02", "ip,dl_vlan=1", "ip,vlan_tci=0", "ip,metadata=1",
		"ip,reg1=2", "ip,dl_dst=00:00:00:00:00:07", "ip,nw_dst=10.0.0.9"};
	static const char *const actions[] = {"output:2", "output:3", "drop", "NORMAL",
		"set_field:00:00:00:00:00:07->eth_dst,output:4", "resubmit(,1)", "controller:50",
		"set_field:00:00:00:00:00:07->eth_dst,resubmit(,1)",
		"dec_ttl,resubmit(,1),output:2", "set_field:10.0.0.9->ip_dst,resubmit(,2)",
		"push_vlan:0x8100,set_field:0x1001->vlan_vid,resubmit(,2)",
		"write_metadata:1,goto_table:2", "set_field:2->reg1,resubmit(,2)",
		"pop_vlan,resubmit(,2)"};
	unsigned what = upto(8), action = upto(WEFT_ARRAY_SIZE(actions));
	/* Rules that overlap have different priorities: which of equals wins is not said. */
	unsigned match = upto(WEFT_ARRAY_SIZE(matches));
	bool pops = what < 6 && action == WEFT_ARRAY_SIZE(actions) - 1;
	unsigned table = upto(action == WEFT_ARRAY_SIZE(actions) - 3 ? 2 : 3); /* goto: forward */

	match = pops ? 7 : match;
	if (what < 6) {
		snprintf(text, size, "%s table=%u,priority=%u,%s,actions=%s",
			what < 4 ? "add" : "modify", table, match + 20 * upto(3), matches[match],
			actions[action]);
	} else {
		snprintf(text, size, "delete table=%u,%s", table, matches[match]);
	}
}

/* Every installed flow does what a translation of a packet that it covers says. (Lists of actions are compared:
 * no rule of these tests may look at a field early that another one sets to what packets have in it, or at the TTL. What is
 * known of a packet at some place leaves actions out, and a rule that matches none of its flow's packets may change that.) */
static void
check_all(struct setup *s)
{
	for (unsigned i = 0; i < MAX_FLOWS; i++) {
		const struct fake_flow *flow = &s->f.flows[i];
		struct strbuf have = STRBUF_INIT;
		struct flow_key key;

		if (!flow->used) {
			continue;
		}
		random_key(&key);
		for (unsigned n = 0; n < OF_N_WORDS; n++) {
			key.words[n] =
				(key.words[n] & ~flow->mask.bits.words[n]) | flow->key.words[n];
		}
		dp_actions_format(flow->actions.data, flow->actions.size, &have);
		world_translate_key(&s->w, &key);
		if (strcmp(s->w.text, strbuf_text(&have))) {
			fail_msg("installed %s, should be %s", strbuf_text(&have), s->w.text);
		}
		strbuf_uninit(&have);
	}
}

static void
test_registry_random(void **state)
{
	struct setup *s = *state;

	rnd = world_seed();
	for (unsigned step = 0; step < 3000; step++) {
		struct flow_key key;
		char text[200];

		switch (upto(10)) {
		case 0:
			random_mod(text, sizeof(text));
			world_flow(&s->w, text);
			break;
		case 1:
			world_port(&s->w, 1 + upto(4), upto(3) ? OF_VLAN_TRUNK : OF_VLAN_ACCESS, 5,
				NULL);
			break;
		case 2:
			s->f.refuse_put = upto(3) ? 0 : upto(2) ? -EDQUOT : -ENOSPC;
			break;
		case 3:
			s->w.now_ms += upto(3000);
			break;
		default:
			random_key(&key);
			if (s->f.n_replies < MAX_REPLIES / 2) {
				upcall_key(&s->f, &key, s->w.now_ms);
			}
		}
		if (!upto(4)) {
			answer(&s->f, s->w.now_ms);
		}
		if (!upto(10)) {
			s->f.refuse_put = 0;
			run(s, 1);
			assert_true(flow_registry_version(s->f.r) == of_model_version(s->w.model));
			assert_true(flow_registry_is_settled(s->f.r));
			assert_int_equal(counters(s).n_flows, s->f.n_flows);
			check_all(s);
		}
	}
}

/* --- threads ------------------------------------------------------------------------------------- */

struct handler {
	struct fake f;
	struct of_reader *reader;
	struct of_model *model;
	uint64_t seed;
	_Atomic bool *stop;
};

static void *
handle(void *arg)
{
	struct handler *h = arg;
	uint64_t now_ms = 1000, state = h->seed;

	while (!atomic_load(h->stop)) {
		struct flow_key key = {.eth_type = be16_from(0x0800)};
		uint64_t random = world_random(&state);

		key.in_port = be32_from(11 + random % 3);
		key.ip_dst = be32_from(0x0a000000u + random / 3 % 8);
		if (h->f.n_replies < 32) {
			upcall_key(&h->f, &key, now_ms);
		}
		answer(&h->f, now_ms);
		flow_registry_run(h->f.r, now_ms, 20);
		answer(&h->f, now_ms);
		now_ms += 10;
	}
	return NULL;
}

static void
test_registry_beside_the_loop(void **state)
{
	struct world w;
	struct handler *h[2];
	pthread_t threads[2];
	_Atomic bool stop = false;

	(void)state;
	rnd = world_seed();
	world_init(&w);
	for (unsigned i = 0; i < 2; i++) {
		h[i] = xaligned(64, sizeof(*h[i]));
		h[i]->reader = of_reader_create(w.model);
		h[i]->model = w.model;
		h[i]->seed = rnd + i;
		h[i]->stop = &stop;
		fake_init(&h[i]->f, h[i]->reader);
		assert_int_equal(pthread_create(&threads[i], NULL, handle, h[i]), 0);
	}
	for (unsigned i = 0; i < 1500; i++) {
		uint8_t mac[6] = {0, 0, 0, 0, 0, (uint8_t)upto(4)};
		char text[200];

		random_mod(text, sizeof(text));
		world_flow(&w, text);
		if (!upto(5)) {
			world_port(&w, 1 + upto(4), OF_VLAN_TRUNK, 0, NULL);
		}
		ofproto_fdb_learn(w.p, 0, mac, OF_PORT(1 + upto(3)), w.now_ms);
		world_run(&w, 5);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		fake_uninit(&h[i]->f);
		of_reader_destroy(h[i]->reader);
		free(h[i]);
	}
	world_uninit(&w);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_registry_installs_and_credits),
		TEST(test_registry_follows_the_tables),
		TEST(test_registry_touches_no_other),
		TEST(test_registry_touches_no_other_behind_a_patch),
		TEST(test_registry_credits_the_rules_of_the_time),
		TEST(test_registry_credits_final_counters),
		TEST(test_registry_version_moves_under_a_miss),
		TEST(test_registry_narrows_at_the_second_upcall),
		TEST(test_registry_refusals),
		TEST(test_registry_evicts),
		TEST(test_registry_adopts),
		TEST(test_registry_learns),
		TEST(test_registry_contexts),
		TEST(test_registry_random),
		cmocka_unit_test(test_registry_beside_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/ofproto/registry_lab.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/alloc.h"
#include "lib/strbuf.h"
#include "ofproto/of_learned.h"

static struct registry_fake_flow *
find_flow(struct registry_fake *f, const struct flow_key *key, const struct flow_mask *mask)
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
answer_put(struct registry_fake *f, uint64_t request, int status,
	const struct registry_fake_flow *flow, const struct flow_mask *narrowed)
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
	struct registry_fake *f = user;
	struct flow_mask narrowed = *mask;
	struct registry_fake_flow *flow;
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
	struct registry_fake *f = user;
	struct registry_fake_flow *flow = &f->flows[handle.slot];
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
	struct registry_fake *f = user;

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
	struct registry_fake *f = user;
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
	const struct registry_fake *f = user;

	memset(out, 0, sizeof(*out));
	if (f->flows[handle.slot].handle.gen == handle.gen) {
		*out = f->flows[handle.slot].stats;
	}
}

static void
fake_learned(void *user, const struct translate_learned *l)
{
	struct registry_fake *f = user;

	if (f->w) {
		ofproto_fdb_learn_at(f->w->p, l->vlan, l->mac, &l->place, f->w->now_ms);
	}
}

static void
fake_learn(void *user, struct of_learned *l)
{
	struct registry_fake *f = user;

	f->n_learns++;
	if (f->w) {
		of_model_learn(f->w->model, l, f->w->now_ms);
	}
}

static void
fake_limit(void *user, struct rule *r, uint16_t idle_timeout, uint16_t hard_timeout)
{
	struct registry_fake *f = user;

	f->n_limits++;
	of_rule_limit(r, idle_timeout, hard_timeout);
}

struct flow_registry_ops
registry_fake_ops(struct registry_fake *f)
{
	return (struct flow_registry_ops){.put = fake_put,
		.del = fake_del,
		.context_put = fake_context_put,
		.execute = fake_execute,
		.stats = fake_stats,
		.learned = fake_learned,
		.learn = fake_learn,
		.limit = fake_limit,
		.user = f};
}

void
registry_fake_init(struct registry_fake *f, struct of_reader *reader)
{
	struct flow_registry_ops ops = registry_fake_ops(f);

	memset(f, 0, sizeof(*f));
	f->r = flow_registry_create(reader, &ops);
}

void
registry_fake_uninit(struct registry_fake *f)
{
	flow_registry_destroy(f->r);
	for (unsigned i = 0; i < MAX_FLOWS; i++) {
		if (f->flows[i].used) {
			dp_actions_uninit(&f->flows[i].actions);
		}
	}
}

void
lab_answer(struct registry_fake *f, uint64_t now_ms)
{
	while (f->n_replies) {
		unsigned n = f->n_replies;
		struct registry_fake *copy = xmemdup(f, sizeof(*f));

		f->n_replies = 0;
		for (unsigned i = 0; i < n; i++) {
			copy->replies[i].msg.body = &copy->replies[i].reply;
			flow_registry_reply(f->r, &copy->replies[i].msg, now_ms);
		}
		free(copy);
	}
}

void
lab_upcall_key(struct registry_fake *f, const struct flow_key *key, uint64_t now_ms)
{
	struct dp_upcall up = {.parked = {7}, .packet_len = 100};

	flow_registry_upcall(f->r, &up, key, flow_key_blocks(key) | 1, now_ms);
}

/* --- with the tests' switch ---------------------------------------------------------------------- */

int
registry_lab_begin(void **state)
{
	struct registry_lab *s = xcalloc(1, sizeof(*s));

	world_init(&s->w);
	registry_fake_init(&s->f, s->w.reader);
	s->f.w = &s->w;
	*state = s;
	return 0;
}

int
registry_lab_end(void **state)
{
	struct registry_lab *s = *state;

	lab_answer(&s->f, s->w.now_ms);
	registry_fake_uninit(&s->f);
	world_uninit(&s->w);
	free(s);
	return 0;
}

void
lab_upcall(struct registry_lab *s, const char *packet)
{
	struct flow_key key;

	world_key(packet, &key);
	lab_upcall_key(&s->f, &key, s->w.now_ms);
}

void
lab_run(struct registry_lab *s, uint64_t ms)
{
	world_run(&s->w, ms);
	for (unsigned i = 0; i < 5; i++) {
		while (flow_registry_run(s->f.r, s->w.now_ms, 100)) {
			lab_answer(&s->f, s->w.now_ms);
		}
		lab_answer(&s->f, s->w.now_ms);
	}
	world_run(&s->w, 0);
}

const char *
lab_installed(struct registry_lab *s)
{
	struct strbuf out = STRBUF_INIT;

	for (unsigned i = 0; i < MAX_FLOWS; i++) {
		const struct registry_fake_flow *flow = &s->f.flows[i];
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

void
lab_traffic(struct registry_lab *s, unsigned slot, uint64_t packets)
{
	struct flow_stats *stats = &s->f.flows[slot].stats;

	stats->packets += packets;
	stats->bytes += 100 * packets;
	stats->used_ms = s->w.now_ms;
}

uint64_t
lab_counted(struct registry_lab *s)
{
	struct of_aggregate a;
	struct of_flow_query q;

	of_flow_query_init(&q);
	ofproto_aggregate(s->w.p, &q, &a);
	assert_int_equal(a.bytes, a.packets * 100);
	return a.packets;
}

struct flow_registry_counters
lab_counters(struct registry_lab *s)
{
	struct flow_registry_counters c;

	flow_registry_counters(s->f.r, &c);
	return c;
}

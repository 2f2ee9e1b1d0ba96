/* SPDX-License-Identifier: Apache-2.0
 *
 * Fake datapath: the commands of the rings, on flows, objects, contexts and parked packets.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/error.h"
#include "tests/unit/controller-agent/fake_datapath_internal.h"

static void
note(struct fake_datapath *dp, uint32_t kind)
{
	static const char *const names[DP_COMMAND_N] = {
		[DP_FLOW_PUT] = "put",
		[DP_FLOW_DEL] = "del",
		[DP_FLOW_LIST] = "list",
		[DP_OBJECT_PUT] = "object-put",
		[DP_OBJECT_DEL] = "object-del",
		[DP_OBJECT_LIST] = "object-list",
		[DP_CONTEXT_PUT] = "context-put",
		[DP_CONTEXT_DEL] = "context-del",
		[DP_CONTEXT_LIST] = "context-list",
		[DP_EXECUTE] = "execute",
		[DP_BARRIER] = "barrier",
		[DP_TUN_OPTS] = "options",
	};
	char *text = xasprintf(
		"%s%s%s", dp->history ? dp->history : "", dp->history ? "," : "", names[kind]);

	free(dp->history);
	dp->history = text;
	dp->counts.n_commands[kind]++;
}

static void
send_reply(struct shm_ring *r, uint32_t kind, const void *head, size_t size)
{
	bool ok = dp_send(r, kind + DP_REPLY, head, size, NULL, 0);

	assert(ok);
	(void)ok;
}

static struct fake_flow *
find_same(struct fake_datapath *dp, const struct flow_key *key, const struct flow_mask *mask)
{
	for (unsigned i = 1; i < FAKE_MAX_FLOWS; i++) {
		struct fake_flow *f = &dp->flows[i];

		if (f->live && flow_mask_equal(&f->mask, mask) && flow_key_equal(&f->key, key)) {
			return f;
		}
	}
	return NULL;
}

static void
flow_put(struct fake_datapath *dp, struct shm_ring *r, const struct dp_message *m)
{
	const struct dp_flow_put *put = m->body;
	struct dp_flow_put_reply reply = {.reply.request = put->cmd.request};
	struct fake_flow *f = NULL;
	struct flow_key key;

	flow_key_mask(&key, &m->key, FLOW_BLOCKS_ALL, &m->mask);
	f = find_same(dp, &key, &m->mask);
	if (f && (put->flags & DP_PUT_EXCLUSIVE)) {
		reply.reply.status = -EEXIST;
	} else if (!f && (put->flags & DP_PUT_MODIFY)) {
		reply.reply.status = -ENOENT;
	}
	for (unsigned i = 1; !f && !reply.reply.status && i < FAKE_MAX_FLOWS; i++) {
		if (!dp->flows[i].live) {
			f = &dp->flows[i];
			f->gen++;
			f->live = true;
			f->created_ms = fake_now_ms();
			f->key = key;
			f->mask = m->mask;
			dp->counts.n_flows++;
			stats_region_reset(&dp->stats, i, f->gen);
		}
	}
	if (!f && !reply.reply.status) {
		reply.reply.status = -ENOSPC;
	}
	if (f && !reply.reply.status) {
		free(f->actions);
		f->actions = m->actions_size ? xmemdup(m->actions, m->actions_size) : NULL;
		f->actions_size = m->actions_size;
		f->epoch = dp->session.epoch;
	}
	if (f) {
		reply.flow = (struct dp_handle){(uint32_t)(f - dp->flows), f->gen};
	}
	send_reply(r, DP_FLOW_PUT, &reply, sizeof(reply));
}

static void
flow_del(struct fake_datapath *dp, struct shm_ring *r, const struct dp_flow_del *del)
{
	struct dp_flow_del_reply reply = {.reply.request = del->cmd.request, .flow = del->flow};
	struct fake_flow *f = del->flow.slot < FAKE_MAX_FLOWS ? &dp->flows[del->flow.slot] : NULL;

	if (!f || !f->live || f->gen != del->flow.gen) {
		reply.reply.status = -ESTALE;
	} else {
		stats_region_read(&dp->stats, del->flow.slot, del->flow.gen, &reply.final);
		f->live = false;
		dp->counts.n_flows--;
	}
	send_reply(r, DP_FLOW_DEL, &reply, sizeof(reply));
}

static void
flow_list(struct fake_datapath *dp, struct shm_ring *r, const struct dp_list *list)
{
	struct dp_list_reply reply = {.reply.request = list->cmd.request, .next_slot = UINT32_MAX};
	uint32_t n = 0, max = list->max ? list->max : 64;

	for (uint32_t i = list->from_slot; i < FAKE_MAX_FLOWS; i++) {
		struct fake_flow *f = &dp->flows[i];
		uint8_t blocks[2][FLOW_KEY_SIZE];
		struct dp_flow_item item;
		struct dp_part parts[3];
		bool ok;

		if (!f->live) {
			continue;
		}
		if (n++ == max) {
			reply.next_slot = i;
			break;
		}
		item = (struct dp_flow_item){.request = list->cmd.request,
			.flow = {i, f->gen},
			.epoch = f->epoch,
			.created_ms = f->created_ms,
			.blocks = flow_mask_blocks(&f->mask),
			.actions_size = (uint32_t)f->actions_size};
		stats_region_read(&dp->stats, i, f->gen, &item.stats);
		flow_key_pack(blocks[0], &f->key, item.blocks);
		flow_key_pack(blocks[1], &f->mask.bits, item.blocks);
		parts[0] = (struct dp_part){blocks[0], flow_blocks_size(item.blocks)};
		parts[1] = (struct dp_part){blocks[1], flow_blocks_size(item.blocks)};
		parts[2] = (struct dp_part){f->actions, f->actions_size};
		ok = dp_send(r, DP_FLOW_ITEM, &item, sizeof(item), parts, 3);
		assert(ok);
		(void)ok;
	}
	send_reply(r, DP_FLOW_LIST, &reply, sizeof(reply));
}

static void
object_put(struct fake_datapath *dp, struct shm_ring *r, const struct dp_message *m)
{
	const struct dp_object_put *put = m->body;
	struct dp_object_put_reply reply = {
		.reply.request = put->cmd.request, .n_parts = put->n_parts};
	struct dp_handle parts[64] = {{0, 0}};
	struct dp_part part = {parts, put->n_parts * sizeof(parts[0])};
	struct fake_object *o = NULL;
	bool ok;

	assert(put->n_parts <= WEFT_ARRAY_SIZE(parts));
	if (put->object.gen) {
		o = put->object.slot < WEFT_ARRAY_SIZE(dp->objects) ? &dp->objects[put->object.slot]
								    : NULL;
		o = o && o->live && o->gen == put->object.gen ? o : NULL;
	}
	for (unsigned i = 0; !put->object.gen && !o && i < WEFT_ARRAY_SIZE(dp->objects); i++) {
		if (!dp->objects[i].live) {
			o = &dp->objects[i];
			o->gen++;
			o->live = true;
			dp->counts.n_objects++;
		}
	}
	if (!o) {
		reply.reply.status = put->object.gen ? -ESTALE : -ENOSPC;
		reply.n_parts = 0;
		part.size = 0;
	} else {
		free(o->body);
		o->kind = put->kind;
		o->n_parts = put->n_parts;
		o->size = put->body_size;
		o->body = xmemdup(m->data, m->data_len);
		reply.object = (struct dp_handle){(uint32_t)(o - dp->objects), o->gen};
		for (unsigned i = 0; i < put->n_parts; i++) {
			parts[i] = (struct dp_handle){FAKE_MAX_FLOWS + i, o->gen};
		}
	}
	ok = dp_send(r, DP_OBJECT_PUT + DP_REPLY, &reply, sizeof(reply), &part, 1);
	assert(ok);
	(void)ok;
}

static void
object_del(struct fake_datapath *dp, struct shm_ring *r, const struct dp_object_del *del)
{
	struct dp_object_del_reply reply = {
		.reply.request = del->cmd.request, .object = del->object};
	struct flow_stats stats[64] = {{0}};
	struct dp_part part = {stats, 0};
	struct fake_object *o = del->object.slot < WEFT_ARRAY_SIZE(dp->objects)
					? &dp->objects[del->object.slot]
					: NULL;
	bool ok;

	if (!o || !o->live || o->gen != del->object.gen) {
		reply.reply.status = -ESTALE;
	} else {
		o->live = false;
		dp->counts.n_objects--;
		reply.n_parts = o->n_parts;
		part.size = o->n_parts * sizeof(stats[0]);
	}
	ok = dp_send(r, DP_OBJECT_DEL + DP_REPLY, &reply, sizeof(reply), &part, 1);
	assert(ok);
	(void)ok;
}

static int
context_put(struct fake_datapath *dp, const struct dp_message *m)
{
	const struct dp_context_put *put = m->body;
	struct fake_context *c;

	for (c = dp->contexts; c; c = c->next) {
		if (c->id == put->id) {
			return -EEXIST;
		}
	}
	c = xcalloc(1, sizeof(*c));
	c->id = put->id;
	c->size = m->data_len;
	memcpy(c->data, m->data, m->data_len);
	c->next = dp->contexts;
	dp->contexts = c;
	dp->counts.n_contexts++;
	dp->next_context = WEFT_MAX(dp->next_context, put->id + 1);
	return 0;
}

static int
context_del(struct fake_datapath *dp, uint32_t id)
{
	for (struct fake_context **c = &dp->contexts; *c; c = &(*c)->next) {
		if ((*c)->id == id) {
			struct fake_context *gone = *c;

			*c = gone->next;
			free(gone);
			dp->counts.n_contexts--;
			return 0;
		}
	}
	return -ENOENT;
}

static void
context_list(struct fake_datapath *dp, struct shm_ring *r, const struct dp_list *list)
{
	struct dp_list_reply reply = {.reply.request = list->cmd.request, .next_slot = UINT32_MAX};
	uint32_t n = 0, max = list->max ? list->max : 64;

	for (uint32_t id = WEFT_MAX(list->from_slot, 1u); id < dp->next_context; id++) {
		for (struct fake_context *c = dp->contexts; c; c = c->next) {
			struct dp_context_item item = {list->cmd.request, id, (uint32_t)c->size};
			struct dp_part part = {c->data, c->size};
			bool ok;

			if (c->id != id) {
				continue;
			}
			if (n++ == max) {
				reply.next_slot = id;
				goto done;
			}
			ok = dp_send(r, DP_CONTEXT_ITEM, &item, sizeof(item), &part, 1);
			assert(ok);
			(void)ok;
		}
	}
done:
	send_reply(r, DP_CONTEXT_LIST, &reply, sizeof(reply));
}

static struct fake_parked *
find_parked(struct fake_datapath *dp, uint64_t handle)
{
	for (unsigned i = 0; handle && i < FAKE_MAX_PARKED; i++) {
		if (dp->parked[i].handle == handle) {
			return &dp->parked[i];
		}
	}
	return NULL;
}

static void
execute(struct fake_datapath *dp, struct shm_ring *r, const struct dp_message *m)
{
	const struct dp_execute *x = m->body;
	struct dp_reply reply = {.request = x->cmd.request};
	struct fake_parked *p = find_parked(dp, x->parked.v);

	if (x->parked.v && !p) {
		reply.status = -ESTALE;
	} else if (p) {
		for (unsigned i = 0; i < p->n; i++) {
			struct flow_key key = p->key;

			fake_run_actions(
				dp, m->actions, m->actions_size, &key, p->worker, p->data, p->len);
		}
		if (!(x->flags & DP_EXECUTE_KEEP)) {
			p->handle = 0;
		}
	} else {
		struct flow_key key = m->key;

		fake_parse(&key, m->data, m->data_len);
		key.in_port = be32_from(x->in_port);
		fake_run_actions(dp, m->actions, m->actions_size, &key, 0, m->data, m->data_len);
	}
	if (reply.status || (x->flags & DP_EXECUTE_REPLY)) {
		send_reply(r, DP_EXECUTE, &reply, sizeof(reply));
	}
}

static void
run_command(struct fake_datapath *dp, struct shm_ring *r, uint32_t kind, const struct dp_message *m)
{
	const struct dp_command *cmd = m->body;
	struct dp_reply reply = {.request = cmd->request};

	note(dp, kind);
	switch (kind) {
	case DP_FLOW_PUT:
		flow_put(dp, r, m);
		return;
	case DP_FLOW_DEL:
		flow_del(dp, r, m->body);
		return;
	case DP_FLOW_LIST:
		flow_list(dp, r, m->body);
		return;
	case DP_OBJECT_PUT:
		object_put(dp, r, m);
		return;
	case DP_OBJECT_DEL:
		object_del(dp, r, m->body);
		return;
	case DP_CONTEXT_LIST:
		context_list(dp, r, m->body);
		return;
	case DP_EXECUTE:
		execute(dp, r, m);
		return;
	case DP_OBJECT_LIST: {
		struct dp_list_reply none = {.reply = reply, .next_slot = UINT32_MAX};

		send_reply(r, kind, &none, sizeof(none));
		return;
	}
	case DP_TUN_OPTS: {
		struct dp_tun_opts_reply none = {.reply = reply};

		if (dp->options_again) {
			dp->options_again--;
			none.reply.status = -EAGAIN;
		} else {
			dp->n_options = ((const struct dp_tun_opts *)m->body)->n;
			memcpy(dp->options, m->data, dp->n_options * sizeof(dp->options[0]));
		}
		send_reply(r, kind, &none, sizeof(none));
		return;
	}
	case DP_CONTEXT_PUT:
		reply.status = context_put(dp, m);
		break;
	case DP_CONTEXT_DEL:
		reply.status = context_del(dp, ((const struct dp_context_del *)m->body)->id);
		break;
	default: /* DP_BARRIER: everything before it has been done */
		break;
	}
	send_reply(r, kind, &reply, sizeof(reply));
}

void
fake_run_commands(struct fake_datapath *dp)
{
	struct fake_session *s = &dp->session;

	for (unsigned h = 0; s->open && !dp->hold && h < s->n_handlers; h++) {
		uint32_t kind;
		int len;

		do {
			shm_ring_woken(&s->command[h]);
			while ((len = shm_ring_read(&s->command[h], dp->buffer, sizeof(dp->buffer),
					&kind)) >= 0) {
				struct weft_error err = WEFT_ERROR_INIT;
				struct dp_message m;

				if (!dp_command_decode(kind, dp->buffer, (size_t)len, &m, &err)) {
					fprintf(stderr, "fake datapath: command %u: %s\n", kind,
						err.text);
					dp->counts.n_bad++;
				} else {
					run_command(dp, &s->reply[h], kind, &m);
				}
				shm_ring_release(&s->command[h]);
				shm_ring_publish(&s->reply[h]);
			}
		} while (len == -EAGAIN && !shm_ring_sleep(&s->command[h]));
	}
}

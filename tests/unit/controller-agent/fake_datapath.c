/* SPDX-License-Identifier: Apache-2.0
 *
 * Fake datapath: flows, packets, command and upcall rings. Its socket is fake_server.c's.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/strbuf.h"
#include "tests/unit/controller-agent/fake_datapath_internal.h"

#define N_SLOTS (FAKE_MAX_FLOWS + 64)

static void *serve(void *arg);
static void run_commands(struct fake_datapath *dp);

uint64_t
fake_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void
fake_wake(int fd)
{
	uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one));
}

/* --- life --------------------------------------------------------------------------------------- */

struct fake_datapath *
fake_datapath_start(const char *rundir, unsigned n_workers, uint64_t instance)
{
	struct fake_datapath *dp = xaligned(64, sizeof(*dp));
	pthread_condattr_t attr;
	int rc;

	pthread_mutex_init(&dp->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&dp->changed, &attr);
	dp->version = DP_PROTOCOL_VERSION;
	dp->n_workers = n_workers;
	dp->instance = instance;
	dp->next_context = dp->next_parked = 1;
	dp->outputs = xcalloc(FAKE_MAX_OUTPUTS, sizeof(*dp->outputs));
	snprintf(dp->path, sizeof(dp->path), "%s/datapath.sock", rundir);
	dp->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	rc = stats_region_create(&dp->stats, instance, n_workers, N_SLOTS, &dp->stats_fd);
	assert(rc == 0);
	dp->server = fake_server_start(dp);
	rc = pthread_create(&dp->thread, NULL, serve, dp);
	assert(rc == 0);
	return dp;
}

void
fake_datapath_stop(struct fake_datapath *dp)
{
	pthread_mutex_lock(&dp->lock);
	dp->stopping = true;
	pthread_mutex_unlock(&dp->lock);
	fake_wake(dp->wake_fd);
	pthread_join(dp->thread, NULL);
	fake_session_close(dp);
	fake_server_stop(dp->server);
	for (unsigned i = 0; i < FAKE_MAX_FLOWS; i++) {
		free(dp->flows[i].actions);
	}
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(dp->objects); i++) {
		free(dp->objects[i].body);
	}
	for (unsigned i = 0; i < FAKE_MAX_PORTS; i++) {
		free(dp->ports[i].options);
	}
	while (dp->contexts) {
		struct fake_context *next = dp->contexts->next;

		free(dp->contexts);
		dp->contexts = next;
	}
	stats_region_destroy(&dp->stats);
	close(dp->stats_fd);
	close(dp->wake_fd);
	free(dp->history);
	free(dp->outputs);
	pthread_cond_destroy(&dp->changed);
	pthread_mutex_destroy(&dp->lock);
	free(dp);
}

static void *
serve(void *arg)
{
	struct fake_datapath *dp = arg;
	bool stopping = false;

	while (!stopping) {
		fake_server_run(dp);
		pthread_mutex_lock(&dp->lock);
		if (dp->drop_session) {
			dp->drop_session = false;
			fake_server_close_connection(dp);
			fake_session_close(dp);
		}
		for (unsigned i = 0; i < FAKE_MAX_PORTS; i++) {
			if (dp->ports[i].changed) {
				dp->ports[i].changed = false;
				fake_server_notify_port(dp, &dp->ports[i]);
			}
		}
		run_commands(dp);
		stopping = dp->stopping;
		pthread_cond_broadcast(&dp->changed);
		pthread_mutex_unlock(&dp->lock);
	}
	return NULL;
}

int
fake_session_open(struct fake_datapath *dp, unsigned n_handlers, uint64_t epoch, int *fds)
{
	struct fake_session *s = &dp->session;
	struct weft_error err = WEFT_ERROR_INIT;
	bool ok = true;
	int n = 0;

	fake_session_close(dp);
	s->n_handlers = n_handlers;
	s->epoch = epoch;
	s->tables_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	fds[n++] = dup(dp->stats_fd);
	fds[n++] = dup(s->tables_fd);
	for (unsigned h = 0; h < n_handlers; h++) {
		s->handler_fd[h] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		fds[n++] = dup(s->handler_fd[h]);
		fds[n] = shm_ring_memfd(DP_RING_SIZE);
		ok = ok &&
		     shm_ring_attach(&s->command[h], fds[n++], DP_RING_SIZE, s->tables_fd, &err);
		fds[n] = shm_ring_memfd(DP_RING_SIZE);
		ok = ok &&
		     shm_ring_attach(&s->reply[h], fds[n++], DP_RING_SIZE, s->handler_fd[h], &err);
	}
	for (unsigned w = 0; w < dp->n_workers; w++) {
		fds[n] = shm_ring_memfd(DP_UPCALL_RING_SIZE);
		ok = ok && shm_ring_attach(&s->upcall[w], fds[n++], DP_UPCALL_RING_SIZE,
				   s->handler_fd[w % n_handlers], &err);
	}
	assert(ok);
	s->open = true;
	dp->n_session++;
	dp->counts.n_sessions++;
	return n;
}

void
fake_session_close(struct fake_datapath *dp)
{
	struct fake_session *s = &dp->session;

	if (!s->open) {
		return;
	}
	dp->last_epoch = s->epoch;
	for (unsigned h = 0; h < s->n_handlers; h++) {
		shm_ring_detach(&s->command[h]);
		shm_ring_detach(&s->reply[h]);
		close(s->handler_fd[h]);
	}
	for (unsigned w = 0; w < dp->n_workers; w++) {
		shm_ring_detach(&s->upcall[w]);
	}
	close(s->tables_fd);
	memset(s, 0, sizeof(*s));
	memset(dp->parked, 0, sizeof(dp->parked));
}

/* --- commands ----------------------------------------------------------------------------------- */

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

static void
run_commands(struct fake_datapath *dp)
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

/* --- what tests ask ----------------------------------------------------------------------------- */

void
fake_datapath_drop_session(struct fake_datapath *dp)
{
	pthread_mutex_lock(&dp->lock);
	dp->drop_session = true;
	pthread_mutex_unlock(&dp->lock);
	fake_wake(dp->wake_fd);
}

void
fake_datapath_set_version(struct fake_datapath *dp, unsigned version)
{
	pthread_mutex_lock(&dp->lock);
	dp->version = version;
	pthread_mutex_unlock(&dp->lock);
}

void
fake_datapath_refuse_port(struct fake_datapath *dp, const char *name, const char *text)
{
	pthread_mutex_lock(&dp->lock);
	snprintf(dp->refuse_name, sizeof(dp->refuse_name), "%s", text ? name : "");
	snprintf(dp->refuse_text, sizeof(dp->refuse_text), "%s", text ? text : "");
	pthread_mutex_unlock(&dp->lock);
}

void
fake_datapath_hold(struct fake_datapath *dp, bool hold)
{
	pthread_mutex_lock(&dp->lock);
	dp->hold = hold;
	pthread_mutex_unlock(&dp->lock);
	fake_wake(dp->wake_fd);
}

void
fake_datapath_set_link(struct fake_datapath *dp, uint32_t port, bool up)
{
	pthread_mutex_lock(&dp->lock);
	for (unsigned i = 0; i < FAKE_MAX_PORTS; i++) {
		if (dp->ports[i].used && dp->ports[i].number == port) {
			dp->ports[i].link_up = up;
			dp->ports[i].changed = true;
		}
	}
	pthread_mutex_unlock(&dp->lock);
	fake_wake(dp->wake_fd);
}

void
fake_port_delete(struct fake_datapath *dp, struct fake_port *port)
{
	for (unsigned i = 1; i < FAKE_MAX_FLOWS; i++) {
		if (dp->flows[i].live && be32_to(dp->flows[i].key.in_port) == port->number) {
			dp->flows[i].live = false;
			dp->counts.n_flows--;
		}
	}
	free(port->options);
	memset(port, 0, sizeof(*port));
	dp->counts.n_ports--;
}

void
fake_datapath_counts(struct fake_datapath *dp, struct fake_counts *counts)
{
	pthread_mutex_lock(&dp->lock);
	*counts = dp->counts;
	pthread_mutex_unlock(&dp->lock);
}

bool
fake_datapath_wait(struct fake_datapath *dp,
	bool (*condition)(const struct fake_counts *c, unsigned n), unsigned n, unsigned timeout_ms)
{
	struct timespec until;
	bool holds;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += timeout_ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&dp->lock);
	while (!(holds = condition(&dp->counts, n)) && rc == 0) {
		rc = pthread_cond_timedwait(&dp->changed, &dp->lock, &until);
	}
	pthread_mutex_unlock(&dp->lock);
	return holds;
}

bool
fake_has_flows(const struct fake_counts *c, unsigned n)
{
	return c->n_flows == n;
}

bool
fake_has_outputs(const struct fake_counts *c, unsigned n)
{
	return c->n_outputs >= n;
}

bool
fake_has_sessions(const struct fake_counts *c, unsigned n)
{
	return c->n_sessions >= n;
}

bool
fake_has_ports(const struct fake_counts *c, unsigned n)
{
	return c->n_ports == n;
}

bool
fake_has_upcalls(const struct fake_counts *c, unsigned n)
{
	return c->n_upcalls >= n;
}

bool
fake_has_drops(const struct fake_counts *c, unsigned n)
{
	return c->n_dropped >= n;
}

bool
fake_datapath_output(struct fake_datapath *dp, unsigned i, struct fake_output *output)
{
	bool there;

	pthread_mutex_lock(&dp->lock);
	there = i < dp->counts.n_outputs;
	if (there) {
		*output = dp->outputs[i % FAKE_MAX_OUTPUTS];
	}
	pthread_mutex_unlock(&dp->lock);
	return there;
}

int
fake_datapath_port(struct fake_datapath *dp, const char *name)
{
	int number = -1;

	pthread_mutex_lock(&dp->lock);
	for (unsigned i = 0; i < FAKE_MAX_PORTS; i++) {
		if (dp->ports[i].used && strcmp(dp->ports[i].name, name) == 0) {
			number = (int)dp->ports[i].number;
		}
	}
	pthread_mutex_unlock(&dp->lock);
	return number;
}

char *
fake_datapath_flow_text(struct fake_datapath *dp, unsigned i)
{
	struct strbuf text = STRBUF_INIT;
	struct flow_stats stats;

	pthread_mutex_lock(&dp->lock);
	for (uint32_t slot = 1; slot < FAKE_MAX_FLOWS; slot++) {
		struct fake_flow *f = &dp->flows[slot];

		if (f->live && i-- == 0) {
			stats_region_read(&dp->stats, slot, f->gen, &stats);
			flow_text_format(&f->key, &f->mask, &text);
			strbuf_put_char(&text, ' ');
			dp_actions_format(f->actions, f->actions_size, &text);
			strbuf_printf(&text, " packets=%llu", (unsigned long long)stats.packets);
			break;
		}
	}
	pthread_mutex_unlock(&dp->lock);
	return text.data ? strbuf_take(&text) : NULL;
}

char *
fake_datapath_history(struct fake_datapath *dp)
{
	char *history;

	pthread_mutex_lock(&dp->lock);
	history = dp->history ? dp->history : xstrdup("");
	dp->history = NULL;
	pthread_mutex_unlock(&dp->lock);
	return history;
}

size_t
fake_udp_frame(uint8_t *frame, uint64_t dst, uint64_t src, uint16_t vlan, uint32_t ip_src,
	uint32_t ip_dst, uint16_t udp_src, uint16_t udp_dst)
{
	static const uint8_t ip[20] = {0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17};
	size_t at = 0;

	for (int shift = 40; shift >= 0; shift -= 8) {
		frame[at] = (uint8_t)(dst >> shift);
		frame[6 + at++] = (uint8_t)(src >> shift);
	}
	at = 12;
	if (vlan) {
		put_be16(frame + at, 0x8100);
		put_be16(frame + at + 2, vlan);
		at += 4;
	}
	put_be16(frame + at, 0x0800);
	memcpy(frame + at + 2, ip, sizeof(ip));
	put_be32(frame + at + 14, ip_src);
	put_be32(frame + at + 18, ip_dst);
	at += 22;
	put_be16(frame + at, udp_src);
	put_be16(frame + at + 2, udp_dst);
	put_be16(frame + at + 4, 12);
	put_be16(frame + at + 6, 0);
	put_be32(frame + at + 8, 0xabadcafe);
	return WEFT_MAX(at + 12, (size_t)60);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables thread.
 *
 * Order:  commands of one ring are executed in order, and answered in order but for deletes, which
 *         wait for the grace period, and executes, which their worker answers.
 * Sleep:  on one eventfd, which the agent kicks for command rings, workers for outboxes, and the ports
 *         thread for its requests. While something waits for a grace period it looks again each
 *         millisecond (workers that sleep are offline, others are quiescent in microseconds).
 */
#include "datapath/tables.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "datapath/action.h"
#include "datapath/context.h"
#include "datapath/port.h"
#include "datapath/rcu.h"
#include "datapath/upcall.h"
#include "datapath/worker.h"
#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/list.h"
#include "lib/log.h"

WEFT_LOG_MODULE(tables);

#define COMMANDS_A_TURN 64
#define LIST_DEFAULT 64u
#define SPINS 64

struct handler {
	struct shm_ring commands, replies;
	int event_fd;
	bool stuck; /* its replies are not read: its commands wait */
	bool told;  /* that a ring is broken */
};

struct session {
	uint64_t number, epoch;
	uint32_t n_handlers;
	struct handler handlers[DP_MAX_HANDLERS];
	struct session_rings *rings; /* one a worker */
	uint64_t token;              /* once it is closed: when the rings may go */
	struct session *next;        /* closed ones */
};

/* A barrier that waits. */
struct barrier {
	struct list link;
	uint64_t session, request, token;
	uint32_t handler;
	bool passed;
	uint32_t marks[DP_MAX_WORKERS]; /* how far each worker's inbox must have been read */
};

/* What the ports thread asks for. */
enum request_kind {
	REQUEST_NONE,
	REQUEST_ATTACH,
	REQUEST_DETACH,
	REQUEST_FLUSH,
	REQUEST_STOP,
};

static struct {
	struct flow_table *table;
	const struct stats_region *stats;
	uint64_t instance;
	int event_fd;
	pthread_t thread;
	bool started;
	/* The thread's own. */
	struct session *session, *closed;
	struct contexts contexts;
	struct list barriers;
	uint64_t last_epoch;
	bool stop;
	uint32_t n_purges_due; /* workers that have not answered yet */
	uint64_t purge_ticket;
	void *buffer;
	/* Between the ports thread and this one. */
	pthread_mutex_t lock;
	pthread_cond_t answered;
	_Atomic int request; /* enum request_kind */
	struct session *offered;
	uint64_t number;
	uint16_t port;
	uint64_t last_number;
	_Atomic uint64_t commands, bad_messages, executes, sessions;
	_Atomic uint32_t n_contexts;
	_Atomic bool connected;
	void (*broken)(uint64_t session);
} t = {.lock = PTHREAD_MUTEX_INITIALIZER, .answered = PTHREAD_COND_INITIALIZER};

static void *tables_main(void *unused);
static void session_free(struct session *s);

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int
tables_start(
	struct flow_table *table, const struct stats_region *stats, uint64_t instance, int event_fd)
{
	int rc;

	t.table = table;
	t.stats = stats;
	t.instance = instance;
	t.event_fd = event_fd;
	t.stop = false;
	t.last_epoch = 0;
	t.n_purges_due = 0;
	t.buffer = xaligned(64, DP_MAX_MESSAGE);
	contexts_init(&t.contexts);
	list_init(&t.barriers);
	rc = pthread_create(&t.thread, NULL, tables_main, NULL);
	t.started = !rc;
	return -rc;
}

/* --- requests of the ports thread ------------------------------------------------------------------------- */

static void
ask(enum request_kind kind)
{
	uint64_t one = 1;

	pthread_mutex_lock(&t.lock);
	atomic_store(&t.request, kind);
	if (write(t.event_fd, &one, sizeof one) < 0) {
		/* EAGAIN: it is awake. */
	}
	while (atomic_load(&t.request) != REQUEST_NONE) {
		pthread_cond_wait(&t.answered, &t.lock);
	}
	pthread_mutex_unlock(&t.lock);
}

static void
answer(void)
{
	pthread_mutex_lock(&t.lock);
	atomic_store(&t.request, REQUEST_NONE);
	pthread_cond_signal(&t.answered);
	pthread_mutex_unlock(&t.lock);
}

void
tables_stop(void)
{
	struct barrier *b, *next;

	if (t.started) {
		ask(REQUEST_STOP);
		pthread_join(t.thread, NULL);
		t.started = false;
	}
	LIST_FOREACH_SAFE (b, next, link, &t.barriers) {
		free(b);
	}
	while (t.closed) {
		struct session *s = t.closed;

		t.closed = s->next;
		session_free(s);
	}
	contexts_uninit(&t.contexts);
	free(t.buffer);
}

static void
session_free(struct session *s)
{
	for (uint32_t h = 0; h < s->n_handlers; h++) {
		shm_ring_detach(&s->handlers[h].commands);
		shm_ring_detach(&s->handlers[h].replies);
		if (s->handlers[h].event_fd >= 0) {
			close(s->handlers[h].event_fd);
		}
	}
	for (unsigned w = 0; s->rings && w < workers.n; w++) {
		shm_ring_detach(&s->rings[w].upcalls);
	}
	free(s->rings);
	free(s);
}

/* Makes a ring, attaches our side and puts the descriptor into the offer. */
static bool
offer_ring(struct shm_ring *r, uint32_t size, int event_fd, struct session_offer *offer,
	struct weft_error *err)
{
	int fd = shm_ring_memfd(size);

	if (fd < 0) {
		return weft_error_set(
			err, WEFT_ERR_SYSTEM, -fd, "cannot make ring memory: %s", strerror(-fd));
	}
	offer->fds[offer->n_fds++] = fd;
	return shm_ring_attach(r, fd, size, event_fd, err);
}

static bool
offer_session(struct session *s, int stats_fd, struct session_offer *offer, struct weft_error *err)
{
	offer->fds[offer->n_fds++] = dup(stats_fd);
	offer->fds[offer->n_fds++] = dup(t.event_fd);
	for (uint32_t h = 0; h < s->n_handlers; h++) {
		struct handler *handler = &s->handlers[h];

		handler->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (handler->event_fd < 0) {
			return weft_error_set(err, WEFT_ERR_SYSTEM, errno,
				"cannot make an eventfd: %s", strerror(errno));
		}
		offer->fds[offer->n_fds++] = dup(handler->event_fd);
		if (!offer_ring(&handler->commands, DP_RING_SIZE, t.event_fd, offer, err) ||
			!offer_ring(
				&handler->replies, DP_RING_SIZE, handler->event_fd, offer, err)) {
			return false;
		}
	}
	for (unsigned w = 0; w < workers.n; w++) {
		s->rings[w].number = s->number;
		if (!offer_ring(&s->rings[w].upcalls, DP_UPCALL_RING_SIZE,
			    s->handlers[w % s->n_handlers].event_fd, offer, err)) {
			return false;
		}
	}
	for (size_t i = 0; i < offer->n_fds; i++) {
		if (offer->fds[i] < 0) {
			return weft_error_set(
				err, WEFT_ERR_SYSTEM, EMFILE, "out of file descriptors");
		}
	}
	return true;
}

bool
tables_session_open(uint32_t n_handlers, uint64_t epoch, int stats_fd, struct session_offer *offer,
	struct weft_error *err)
{
	struct session *s = xcalloc(1, sizeof *s);

	*offer = (struct session_offer){0};
	s->number = ++t.last_number;
	s->epoch = epoch;
	s->n_handlers = n_handlers;
	s->rings = xaligned(64, workers.n * sizeof s->rings[0]);
	for (uint32_t h = 0; h < n_handlers; h++) {
		s->handlers[h].event_fd = -1;
	}
	if (!offer_session(s, stats_fd, offer, err)) {
		for (size_t i = 0; i < offer->n_fds; i++) {
			close(offer->fds[i]);
		}
		session_free(s);
		return false;
	}
	t.offered = s;
	offer->number = s->number;
	ask(REQUEST_ATTACH);
	offer->next_context = t.contexts.next;
	offer->last_epoch = t.last_epoch;
	t.last_epoch = epoch;
	return true;
}

void
tables_session_close(uint64_t number)
{
	t.number = number;
	ask(REQUEST_DETACH);
}

void
tables_flush_port(uint16_t port)
{
	t.port = port;
	ask(REQUEST_FLUSH);
}

void
tables_set_broken_handler(void (*broken)(uint64_t session))
{
	t.broken = broken;
}

void
tables_read_counters(struct tables_counters *c)
{
	*c = (struct tables_counters){
		.commands = t.commands,
		.bad_messages = t.bad_messages,
		.executes = t.executes,
		.sessions = t.sessions,
		.n_contexts = t.n_contexts,
		.connected = t.connected,
	};
}

/* --- replies ------------------------------------------------------------------------------------------------ */

static struct shm_ring *
reply_ring(uint64_t session, uint32_t handler)
{
	return t.session && t.session->number == session && handler < t.session->n_handlers
		       ? &t.session->handlers[handler].replies
		       : NULL;
}

static void
send_reply(uint32_t handler, uint32_t type, const void *reply, size_t size,
	const struct dp_part *parts, unsigned n_parts)
{
	struct shm_ring *r = reply_ring(t.session ? t.session->number : 0, handler);

	/* Room was made sure of before the command was taken. */
	if (r && !dp_send(r, DP_REPLY + type, reply, size, parts, n_parts)) {
		LOG_WARN_RL("session %llu: reply ring of handler %u is full: a reply is lost",
			(unsigned long long)t.session->number, handler);
	}
}

/* A reply of @size bytes that has but a status: the struct of its command, zeroed. */
static size_t
reply_size(uint32_t type)
{
	switch (type) {
	case DP_FLOW_PUT:
		return sizeof(struct dp_flow_put_reply);
	case DP_FLOW_DEL:
		return sizeof(struct dp_flow_del_reply);
	case DP_FLOW_LIST:
	case DP_OBJECT_LIST:
	case DP_CONTEXT_LIST:
		return sizeof(struct dp_list_reply);
	case DP_OBJECT_PUT:
		return sizeof(struct dp_object_put_reply);
	case DP_OBJECT_DEL:
		return sizeof(struct dp_object_del_reply);
	default:
		return sizeof(struct dp_reply);
	}
}

static void
reply_status(uint32_t handler, uint32_t type, uint64_t request, int status)
{
	union {
		struct dp_reply head;
		struct dp_flow_del_reply largest;
	} reply = {.head = {.request = request, .status = status}};

	_Static_assert(sizeof reply >= sizeof(struct dp_object_put_reply) &&
			       sizeof reply >= sizeof(struct dp_object_del_reply) &&
			       sizeof reply >= sizeof(struct dp_flow_put_reply),
		"room for all of reply_size()");
	send_reply(handler, type, &reply, reply_size(type), NULL, 0);
}

/* The `user` of deletes in the flow table: which request of which handler. */
struct deletion {
	uint64_t session, request;
	uint32_t handler;
};

static void
flow_deleted(struct dp_handle flow, const struct flow_stats *final, uint64_t user, void *arg)
{
	struct deletion *d = (struct deletion *)(uintptr_t)user;

	(void)arg;
	if (reply_ring(d->session, d->handler)) {
		struct dp_flow_del_reply reply = {
			.reply.request = d->request,
			.flow = flow,
			.final = *final,
		};

		send_reply(d->handler, DP_FLOW_DEL, &reply, sizeof reply, NULL, 0);
	}
	free(d);
}

/* --- commands ----------------------------------------------------------------------------------------------- */

static void
do_flow_put(uint32_t handler, const struct dp_message *m) WEFT_REQUIRES(weft_tables)
{
	const struct dp_flow_put *cmd = m->body;
	struct flow_put put = {
		.key = &m->key,
		.key_blocks = m->key_blocks,
		.mask = &m->mask,
		.flags = cmd->flags,
		.actions = m->actions,
		.actions_size = m->actions_size,
		.epoch = t.session->epoch,
		.now_ms = now_ms(),
	};
	struct flow_put_result result = {0};
	struct dp_flow_put_reply reply = {.reply.request = cmd->cmd.request};
	struct weft_error err = WEFT_ERROR_INIT;
	uint8_t packed[FLOW_KEY_SIZE];
	struct dp_part part = {packed, 0};

	if (!actions_supported(m->actions, m->actions_size, &err)) {
		LOG_WARN_RL("flow refused: %s", err.text);
		reply.reply.status = -EOPNOTSUPP;
	} else if (!port_find(be32_to(m->key.in_port))) {
		reply.reply.status = -ENODEV;
	} else {
		reply.reply.status = flow_table_put(t.table, &put, &result);
	}
	reply.flow = result.flow;
	if (result.narrowed) {
		reply.mask_blocks = flow_mask_blocks(&result.mask);
		flow_key_pack(packed, &result.mask.bits, reply.mask_blocks);
		part.size = flow_blocks_size(reply.mask_blocks);
	}
	send_reply(handler, DP_FLOW_PUT, &reply, sizeof reply, &part, part.size ? 1 : 0);
}

static void
do_flow_del(uint32_t handler, const struct dp_flow_del *cmd) WEFT_REQUIRES(weft_tables)
{
	struct deletion *d = xmalloc(sizeof *d);
	int status;

	*d = (struct deletion){t.session->number, cmd->cmd.request, handler};
	status = flow_table_del(t.table, cmd->flow, (uint64_t)(uintptr_t)d);
	if (status) {
		struct dp_flow_del_reply reply = {
			.reply = {.request = cmd->cmd.request, .status = status},
			.flow = cmd->flow,
		};

		free(d);
		send_reply(handler, DP_FLOW_DEL, &reply, sizeof reply, NULL, 0);
	}
}

static bool
send_flow_item(struct shm_ring *r, uint64_t request, const struct flow_info *info)
{
	uint8_t key[FLOW_KEY_SIZE], mask[FLOW_KEY_SIZE];
	struct dp_flow_item item = {
		.request = request,
		.flow = info->flow,
		.epoch = info->epoch,
		.created_ms = info->created_ms,
		.blocks = info->blocks,
		.actions_size = info->program->size,
	};
	struct dp_part parts[] = {
		{key, flow_blocks_size(info->blocks)},
		{mask, flow_blocks_size(info->blocks)},
		{info->program->actions, info->program->size},
	};

	flow_key_pack(key, &info->key, info->blocks);
	flow_key_pack(mask, &info->mask.bits, info->blocks);
	stats_region_read(t.stats, info->flow.slot, info->flow.gen, &item.stats);
	return dp_send(r, DP_FLOW_ITEM, &item, sizeof item, parts, 3);
}

static void
do_flow_list(uint32_t handler, const struct dp_list *cmd)
{
	struct dp_list_reply reply = {.reply.request = cmd->cmd.request, .next_slot = UINT32_MAX};
	struct shm_ring *r = &t.session->handlers[handler].replies;
	uint32_t max = cmd->max ? cmd->max : LIST_DEFAULT, slot = cmd->from_slot, next;
	struct flow_info info;

	for (uint32_t n = 0; flow_table_list(t.table, slot, &info, &next); n++) {
		/* Room for the reply itself must be left. */
		if (n == max || r->size - shm_ring_used(r) < DP_MAX_MESSAGE / 2 ||
			!send_flow_item(r, cmd->cmd.request, &info)) {
			reply.next_slot = info.flow.slot;
			break;
		}
		slot = next;
	}
	send_reply(handler, DP_FLOW_LIST, &reply, sizeof reply, NULL, 0);
}

static void
do_context_list(uint32_t handler, const struct dp_list *cmd)
{
	struct dp_list_reply reply = {.reply.request = cmd->cmd.request, .next_slot = UINT32_MAX};
	struct shm_ring *r = &t.session->handlers[handler].replies;
	uint32_t max = cmd->max ? cmd->max : LIST_DEFAULT, n = 0;
	const struct context *x = contexts_next(&t.contexts, cmd->from_slot);

	for (; x; x = contexts_next(&t.contexts, x->id + 1)) {
		struct dp_context_item item = {cmd->cmd.request, x->id, x->size};
		struct dp_part part = {x->data, x->size};

		if (n++ == max || !dp_send(r, DP_CONTEXT_ITEM, &item, sizeof item, &part, 1)) {
			reply.next_slot = x->id;
			break;
		}
	}
	send_reply(handler, DP_CONTEXT_LIST, &reply, sizeof reply, NULL, 0);
}

static void
do_object_list(uint32_t handler, const struct dp_list *cmd)
{
	struct dp_list_reply reply = {.reply.request = cmd->cmd.request, .next_slot = UINT32_MAX};

	send_reply(handler, DP_OBJECT_LIST, &reply, sizeof reply, NULL, 0);
}

/* The worker that is to run an execute: the one that parked the packet, or the input port's. */
static unsigned
worker_for(const struct dp_execute *cmd)
{
	struct port *port;

	if (cmd->parked.v) {
		return (unsigned)(cmd->parked.v >> 24 & 0xff);
	}
	port = cmd->in_port <= DP_PORT_MAX ? port_find(cmd->in_port) : NULL;
	return port && port->rxq_worker[0] < workers.n ? port->rxq_worker[0] : 0;
}

static void
do_execute(uint32_t handler, const struct dp_message *m)
{
	const struct dp_execute *cmd = m->body;
	unsigned to = worker_for(cmd);
	struct worker_execute x = {
		.request = cmd->cmd.request,
		.session = t.session->number,
		.handler = handler,
		.flags = cmd->flags,
		.parked = cmd->parked.v,
		.in_port = cmd->in_port,
		.recirc_id = m->key_blocks & FLOW_BLOCK(0) ? be32_to(m->key.recirc_id) : 0,
		.actions_size = (uint32_t)m->actions_size,
		.data_len = (uint32_t)m->data_len,
	};
	struct dp_part parts[] = {{m->actions, m->actions_size}, {m->data, m->data_len}};
	struct weft_error err = WEFT_ERROR_INIT;
	int status = 0;

	atomic_fetch_add_explicit(&t.executes, 1, memory_order_relaxed);
	if (!actions_supported(m->actions, m->actions_size, &err)) {
		LOG_WARN_RL("execute refused: %s", err.text);
		status = -EOPNOTSUPP;
	} else if (to >= workers.n) {
		status = -ESTALE;
	} else if (!dp_send(&workers.inbox_in[to], WORKER_EXECUTE, &x, sizeof x, parts, 2)) {
		status = -ENOBUFS;
	}
	if (status) {
		reply_status(handler, DP_EXECUTE, cmd->cmd.request, status);
	}
}

static void
do_barrier(uint32_t handler, const struct dp_barrier *cmd)
{
	struct barrier *b = xcalloc(1, sizeof *b);

	b->session = t.session->number;
	b->request = cmd->cmd.request;
	b->handler = handler;
	for (unsigned w = 0; w < workers.n; w++) {
		b->marks[w] = workers.inbox_in[w].own;
	}
	b->token = rcu_start();
	list_push_back(&t.barriers, &b->link);
}

static void
command(uint32_t handler, uint32_t kind, size_t len) WEFT_REQUIRES(weft_tables)
{
	struct weft_error err = WEFT_ERROR_INIT;
	const struct dp_command *head = t.buffer;
	struct dp_message m;

	atomic_fetch_add_explicit(&t.commands, 1, memory_order_relaxed);
	if (!dp_command_decode(kind, t.buffer, len, &m, &err)) {
		atomic_fetch_add_explicit(&t.bad_messages, 1, memory_order_relaxed);
		LOG_WARN_RL("agent sent a bad command of type %u: %s", kind, err.text);
		reply_status(handler, kind && kind < DP_COMMAND_N ? kind : 0xff,
			len >= sizeof *head ? head->request : 0, -EINVAL);
		return;
	}
	switch ((enum dp_command_type)kind) {
	case DP_FLOW_PUT:
		do_flow_put(handler, &m);
		break;
	case DP_FLOW_DEL:
		do_flow_del(handler, m.body);
		break;
	case DP_FLOW_LIST:
		do_flow_list(handler, m.body);
		break;
	case DP_OBJECT_PUT:
	case DP_OBJECT_DEL:
		LOG_WARN_RL("this datapath has no objects: command refused");
		reply_status(handler, kind, head->request, -EOPNOTSUPP);
		break;
	case DP_OBJECT_LIST:
		do_object_list(handler, m.body);
		break;
	case DP_CONTEXT_PUT: {
		const struct dp_context_put *put = m.body;

		reply_status(handler, kind, head->request,
			contexts_put(&t.contexts, put->id, m.data, put->size));
		t.n_contexts = (uint32_t)hmap_count(&t.contexts.map);
		break;
	}
	case DP_CONTEXT_DEL:
		reply_status(handler, kind, head->request,
			contexts_del(&t.contexts, ((const struct dp_context_del *)m.body)->id));
		t.n_contexts = (uint32_t)hmap_count(&t.contexts.map);
		break;
	case DP_CONTEXT_LIST:
		do_context_list(handler, m.body);
		break;
	case DP_EXECUTE:
		do_execute(handler, &m);
		break;
	case DP_BARRIER:
		do_barrier(handler, m.body);
		break;
	default:
		break;
	}
}

/* Takes some commands of a handler. Returns whether any was there. */
static bool
run_handler(uint32_t h) WEFT_REQUIRES(weft_tables)
{
	struct handler *handler = &t.session->handlers[h];
	uint32_t kind;
	bool any = false;

	handler->stuck = false;
	for (unsigned n = 0; n < COMMANDS_A_TURN; n++) {
		int len;

		if (handler->replies.size - shm_ring_used(&handler->replies) < 2 * DP_MAX_MESSAGE) {
			handler->stuck = true; /* it must read its replies first */
			break;
		}
		len = shm_ring_read(&handler->commands, t.buffer, DP_MAX_MESSAGE, &kind);
		if (len == -EAGAIN) {
			break;
		}
		if (len == -EPROTO) {
			break;
		}
		any = true;
		if (len >= 0) {
			command(h, kind, (size_t)len);
		}
	}
	shm_ring_release(&handler->commands);
	if ((handler->commands.broken || handler->replies.broken) && !handler->told) {
		handler->told = true;
		atomic_fetch_add_explicit(&t.bad_messages, 1, memory_order_relaxed);
		LOG_WARN_RL("session %llu: a ring of handler %u is broken: the session ends",
			(unsigned long long)t.session->number, h);
		if (t.broken) {
			t.broken(t.session->number);
		}
	}
	return any;
}

/* --- the loop ------------------------------------------------------------------------------------------------ */

static bool
run_outboxes(void)
{
	union {
		struct worker_done done;
		uint64_t align;
	} record;
	bool any = false;
	uint32_t kind;

	for (unsigned w = 0; w < workers.n; w++) {
		while (shm_ring_read(&workers.outbox_out[w], &record, sizeof record, &kind) >= 0) {
			const struct worker_done *done = &record.done;

			any = true;
			if (done->handler == UINT32_MAX) {
				t.n_purges_due -= done->request == t.purge_ticket;
			} else if (reply_ring(done->session, done->handler)) {
				reply_status(
					done->handler, DP_EXECUTE, done->request, done->status);
			}
		}
		shm_ring_release(&workers.outbox_out[w]);
	}
	return any;
}

/* Which barriers are through. Asked before what they cover is answered (executes' outboxes, deletes):
 * so their replies cannot overtake. */
static void
check_barriers(void)
{
	struct barrier *b;

	LIST_FOREACH (b, link, &t.barriers) {
		if (b->passed) {
			continue;
		}
		b->passed = rcu_passed(b->token);
		for (unsigned w = 0; w < workers.n && b->passed; w++) {
			struct shm_ring *inbox = &workers.inbox_in[w];
			uint32_t read = inbox->own - shm_ring_used(inbox);

			b->passed = (int32_t)(read - b->marks[w]) >= 0;
		}
		if (!b->passed) {
			return;
		}
	}
}

static void
answer_barriers(void)
{
	while (!list_is_empty(&t.barriers)) {
		struct barrier *b = LIST_ENTRY(t.barriers.next, struct barrier, link);

		if (!b->passed) {
			return;
		}
		if (reply_ring(b->session, b->handler)) {
			reply_status(b->handler, DP_BARRIER, b->request, 0);
		}
		list_remove(&b->link);
		free(b);
	}
}

/* Unpublishes a session's rings; their memory goes when no worker writes there any more. */
static void
detach(void)
{
	struct session *s = t.session;

	if (!s) {
		return;
	}
	for (unsigned w = 0; w < workers.n; w++) {
		atomic_store_explicit(&workers.list[w]->session, NULL, memory_order_release);
	}
	s->token = rcu_start();
	s->next = t.closed;
	t.closed = s;
	t.session = NULL;
	t.connected = false;
	LOG_INFO("session %llu has ended", (unsigned long long)s->number);
}

static void
attach(void)
{
	detach();
	t.session = t.offered;
	t.offered = NULL;
	for (unsigned w = 0; w < workers.n; w++) {
		atomic_store_explicit(
			&workers.list[w]->session, &t.session->rings[w], memory_order_release);
	}
	t.connected = true;
	t.sessions++;
	LOG_INFO("session %llu has begun, %u handlers", (unsigned long long)t.session->number,
		t.session->n_handlers);
}

static void
start_flush(void) WEFT_REQUIRES(weft_tables)
{
	struct worker_purge purge = {.port = t.port, .ticket = ++t.purge_ticket};

	flow_table_flush_port(t.table, t.port);
	t.n_purges_due = 0;
	for (unsigned w = 0; w < workers.n; w++) {
		if (dp_send(&workers.inbox_in[w], WORKER_PURGE, &purge, sizeof purge, NULL, 0)) {
			t.n_purges_due++;
		}
	}
}

/* Takes up and ends what the ports thread asked for. */
static bool
run_request(void) WEFT_REQUIRES(weft_tables)
{
	static bool flushing;

	switch ((enum request_kind)atomic_load(&t.request)) {
	case REQUEST_NONE:
		return false;
	case REQUEST_ATTACH:
		attach();
		break;
	case REQUEST_DETACH:
		if (t.session && t.session->number == t.number) {
			detach();
		}
		break;
	case REQUEST_FLUSH:
		if (!flushing) {
			start_flush();
			flushing = true;
			return true;
		}
		if (t.n_purges_due) {
			return true;
		}
		flushing = false;
		break;
	case REQUEST_STOP:
		detach();
		t.stop = true;
		break;
	}
	answer();
	return true;
}

static void
publish(void)
{
	for (unsigned w = 0; w < workers.n; w++) {
		shm_ring_publish(&workers.inbox_in[w]);
	}
	for (uint32_t h = 0; t.session && h < t.session->n_handlers; h++) {
		shm_ring_publish(&t.session->handlers[h].replies);
	}
}

static bool
free_closed(void)
{
	struct session **at = &t.closed;

	while (*at) {
		struct session *s = *at;

		if (rcu_passed(s->token)) {
			*at = s->next;
			session_free(s);
		} else {
			at = &s->next;
		}
	}
	return t.closed;
}

/* Announces sleep on all rings; false: something came. */
static bool
arm(void)
{
	bool quiet = true;

	for (uint32_t h = 0; t.session && h < t.session->n_handlers; h++) {
		struct handler *handler = &t.session->handlers[h];

		quiet &= handler->stuck || shm_ring_sleep(&handler->commands);
	}
	for (unsigned w = 0; w < workers.n; w++) {
		quiet &= shm_ring_sleep(&workers.outbox_out[w]);
	}
	return quiet && atomic_load(&t.request) == REQUEST_NONE;
}

static void
disarm(void)
{
	for (uint32_t h = 0; t.session && h < t.session->n_handlers; h++) {
		shm_ring_woken(&t.session->handlers[h].commands);
	}
	for (unsigned w = 0; w < workers.n; w++) {
		shm_ring_woken(&workers.outbox_out[w]);
	}
}

static void *
tables_main(void *unused)
{
	unsigned spins = 0;

	(void)unused;
	weft_role_enter(weft_tables);
	pthread_setname_np(pthread_self(), "weft-tables");
	while (!t.stop) {
		bool any = run_request(), waiting, stuck = false;

		for (uint32_t h = 0; t.session && h < t.session->n_handlers; h++) {
			any |= run_handler(h);
			stuck |= t.session->handlers[h].stuck;
		}
		check_barriers();
		any |= run_outboxes();
		publish();
		waiting = flow_table_run(t.table, now_ms(), flow_deleted, NULL);
		answer_barriers();
		waiting = free_closed() || waiting || !list_is_empty(&t.barriers) ||
			  t.n_purges_due || stuck;
		publish();
		spins = any ? 0 : spins + 1;
		if (t.stop || any || (waiting && spins < SPINS)) {
			continue;
		}
		if (arm()) {
			struct pollfd wake = {.fd = t.event_fd, .events = POLLIN};

			poll(&wake, 1, waiting ? 1 : -1);
		}
		disarm();
	}
	weft_role_leave(weft_tables);
	return NULL;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands: taken from a handler's ring, checked, given to whoever knows what they are about.
 */
#include <errno.h>

#include "datapath/action.h"
#include "datapath/object.h"
#include "datapath/port.h"
#include "datapath/tables_internal.h"
#include "datapath/tunnel_options.h"
#include "datapath/worker.h"
#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/log.h"

WEFT_LOG_MODULE(command);

#define COMMANDS_A_TURN 64

struct deletion *
deletion_create(uint64_t request, uint32_t handler)
{
	struct deletion *d = xmalloc(sizeof *d);

	*d = (struct deletion){tables.session->number, request, handler};
	return d;
}

static void
do_context_list(uint32_t handler, const struct dp_list *cmd)
{
	struct dp_list_reply reply = {.reply.request = cmd->cmd.request, .next_slot = UINT32_MAX};
	struct shm_ring *r = &tables.session->handlers[handler].replies;
	uint32_t max = cmd->max ? cmd->max : LIST_DEFAULT, n = 0;
	const struct context *x = contexts_next(&tables.contexts, cmd->from_slot);

	for (; x; x = contexts_next(&tables.contexts, x->id + 1)) {
		struct dp_context_item item = {cmd->cmd.request, x->id, x->size};
		struct dp_part part = {x->data, x->size};

		if (n++ == max || !dp_send(r, DP_CONTEXT_ITEM, &item, sizeof item, &part, 1)) {
			reply.next_slot = x->id;
			break;
		}
	}
	send_reply(handler, DP_CONTEXT_LIST, &reply, sizeof reply, NULL, 0);
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

/* The tunnel fields that a packet of the agent's has. */
static void
set_tunnel(struct worker_execute *x, const struct dp_message *m)
{
	struct packet_tunnel *t = &x->tunnel;

	x->has_tunnel =
		m->key_blocks & (FLOW_BLOCK(2) | FLOW_BLOCK(5)) || be32_to(m->key.tun_id_lo);
	if (x->has_tunnel) {
		memcpy(t, m->key.tun_src, offsetof(struct packet_tunnel, id));
		t->id = m->key.tun_id_lo;
		t->has_opts = m->key_blocks & FLOW_BLOCK(5);
		memcpy(t->opts, m->key.tun_opts, FLOW_BLOCK_SIZE);
	}
}

static void
do_execute(uint32_t handler, const struct dp_message *m) WEFT_REQUIRES(weft_tables)
{
	const struct dp_execute *cmd = m->body;
	unsigned to = worker_for(cmd);
	struct worker_execute x = {
		.request = cmd->cmd.request,
		.session = tables.session->number,
		.handler = handler,
		.flags = cmd->flags,
		.parked = cmd->parked.v,
		.in_port = cmd->in_port,
		.recirc_id = m->key_blocks & FLOW_BLOCK(0) ? be32_to(m->key.recirc_id) : 0,
		.actions_size = (uint32_t)m->actions_size,
		.data_len = (uint32_t)m->data_len,
	};
	struct dp_part parts[] = {{m->actions, m->actions_size}, {m->data, m->data_len}};
	int status = 0;

	set_tunnel(&x, m);
	atomic_fetch_add_explicit(&tables.executes, 1, memory_order_relaxed);
	if (to >= workers.n) {
		status = -ESTALE;
	} else if ((status = objects_check(m->actions, m->actions_size)) == 0 &&
		   !dp_send(&workers.inbox_in[to], WORKER_EXECUTE, &x, sizeof x, parts, 2)) {
		status = -ENOBUFS;
	}
	if (status) {
		reply_status(handler, DP_EXECUTE, cmd->cmd.request, status);
	}
}

static void
do_tun_opts(uint32_t handler, const struct dp_message *m)
{
	const struct dp_tun_opts *cmd = m->body;
	struct dp_tun_opts_reply reply = {.reply.request = cmd->cmd.request};
	const struct tunnel_options *options;
	struct dp_part part = {NULL, 0};

	if (cmd->flags & DP_TUN_OPTS_SET) {
		reply.reply.status = tunnel_options_put((const void *)m->data, cmd->n);
	}
	options = tunnel_options_get();
	if (options) {
		reply.n = options->n;
		part = (struct dp_part){options->list, options->n * sizeof options->list[0]};
	}
	send_reply(handler, DP_TUN_OPTS, &reply, sizeof reply, &part, part.size ? 1 : 0);
}

static void
command(uint32_t handler, uint32_t kind, size_t len) WEFT_REQUIRES(weft_tables)
{
	struct weft_error err = WEFT_ERROR_INIT;
	const struct dp_command *head = tables.buffer;
	struct dp_message m;

	atomic_fetch_add_explicit(&tables.commands, 1, memory_order_relaxed);
	if (!dp_command_decode(kind, tables.buffer, len, &m, &err)) {
		atomic_fetch_add_explicit(&tables.bad_messages, 1, memory_order_relaxed);
		LOG_WARN_RL("agent sent a bad command of type %u: %s", kind, err.text);
		reply_status(handler, kind && kind < DP_COMMAND_N ? kind : 0xff,
			len >= sizeof *head ? head->request : 0, -EINVAL);
		return;
	}
	switch ((enum dp_command_type)kind) {
	case DP_FLOW_PUT:
		flow_command_put(handler, &m);
		break;
	case DP_FLOW_DEL:
		flow_command_del(handler, m.body);
		break;
	case DP_FLOW_LIST:
		flow_command_list(handler, m.body);
		break;
	case DP_OBJECT_PUT:
		object_command_put(handler, &m);
		break;
	case DP_OBJECT_DEL:
		object_command_del(handler, m.body);
		break;
	case DP_OBJECT_LIST:
		object_command_list(handler, m.body);
		break;
	case DP_CONTEXT_PUT: {
		const struct dp_context_put *put = m.body;

		reply_status(handler, kind, head->request,
			contexts_put(&tables.contexts, put->id, m.data, put->size));
		tables.n_contexts = (uint32_t)hmap_count(&tables.contexts.map);
		break;
	}
	case DP_CONTEXT_DEL:
		reply_status(handler, kind, head->request,
			contexts_del(
				&tables.contexts, ((const struct dp_context_del *)m.body)->id));
		tables.n_contexts = (uint32_t)hmap_count(&tables.contexts.map);
		break;
	case DP_CONTEXT_LIST:
		do_context_list(handler, m.body);
		break;
	case DP_EXECUTE:
		do_execute(handler, &m);
		break;
	case DP_BARRIER:
		barrier_command(handler, m.body);
		break;
	case DP_TUN_OPTS:
		do_tun_opts(handler, &m);
		break;
	default:
		break;
	}
}

bool
command_run(uint32_t h)
{
	struct handler *handler = &tables.session->handlers[h];
	uint32_t kind;
	bool any = false;

	handler->stuck = false;
	for (unsigned n = 0; n < COMMANDS_A_TURN; n++) {
		int len;

		if (handler->replies.size - shm_ring_used(&handler->replies) < 2 * DP_MAX_MESSAGE) {
			handler->stuck = true; /* it must read its replies first */
			break;
		}
		len = shm_ring_read(&handler->commands, tables.buffer, DP_MAX_MESSAGE, &kind);
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
		atomic_fetch_add_explicit(&tables.bad_messages, 1, memory_order_relaxed);
		LOG_WARN_RL("session %llu: a ring of handler %u is broken: the session ends",
			(unsigned long long)tables.session->number, h);
		if (tables.broken) {
			tables.broken(tables.session->number);
		}
	}
	return any;
}

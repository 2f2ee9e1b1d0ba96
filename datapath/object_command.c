/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands about objects.
 */
#include <errno.h>
#include <stdlib.h>

#include "datapath/object.h"
#include "datapath/tables_internal.h"

void
object_command_put(uint32_t handler, const struct dp_message *m)
{
	const struct dp_object_put *cmd = m->body;
	struct dp_object_put_reply reply = {
		.reply.request = cmd->cmd.request,
		.object = cmd->object,
	};
	struct dp_part part = {NULL, 0};
	const struct dp_handle *parts;

	reply.reply.status = objects_put(m, &reply.object, &parts);
	if (!reply.reply.status) {
		reply.n_parts = m->n_parts;
		part = (struct dp_part){parts, m->n_parts * sizeof parts[0]};
	}
	send_reply(handler, DP_OBJECT_PUT, &reply, sizeof reply, &part, part.size ? 1 : 0);
}

void
object_command_del(uint32_t handler, const struct dp_object_del *cmd)
{
	struct deletion *d = deletion_create(cmd->cmd.request, handler);
	int status = objects_del(cmd->object, (uint64_t)(uintptr_t)d);

	if (status) {
		struct dp_object_del_reply reply = {
			.reply = {.request = cmd->cmd.request, .status = status},
			.object = cmd->object,
		};

		free(d);
		send_reply(handler, DP_OBJECT_DEL, &reply, sizeof reply, NULL, 0);
	}
}

/* The reply may be large, and many may come due at once: it waits until there is room for it. */
static bool
object_deleted(struct dp_handle object, const struct flow_stats *finals, uint32_t n_parts,
	uint64_t user, void *unused)
{
	struct deletion *d = (struct deletion *)(uintptr_t)user;
	struct shm_ring *r = reply_ring(d->session, d->handler);

	(void)unused;
	if (r) {
		struct dp_object_del_reply reply = {
			.reply.request = d->request,
			.object = object,
			.n_parts = n_parts,
		};
		struct dp_part part = {finals, n_parts * sizeof finals[0]};

		if (!r->broken && r->size - shm_ring_used(r) < DP_MAX_MESSAGE) {
			return false;
		}
		send_reply(d->handler, DP_OBJECT_DEL, &reply, sizeof reply, &part, n_parts ? 1 : 0);
	}
	free(d);
	return true;
}

bool
object_command_reclaim(void)
{
	return objects_run(object_deleted, NULL);
}

static bool
send_object_item(struct shm_ring *r, uint64_t request, const struct object_info *info)
{
	const struct object_body *body = info->body;
	struct dp_object_item item = {
		.request = request,
		.object = info->object,
		.kind = body->kind,
		.n_parts = body->n_parts,
		.body_size = body->size,
	};
	struct dp_part parts[] = {
		{body->parts, body->n_parts * sizeof body->parts[0]},
		{body->raw, body->size},
	};

	return dp_send(r, DP_OBJECT_ITEM, &item, sizeof item, parts, 2);
}

void
object_command_list(uint32_t handler, const struct dp_list *cmd)
{
	struct dp_list_reply reply = {.reply.request = cmd->cmd.request, .next_slot = UINT32_MAX};
	struct shm_ring *r = &tables.session->handlers[handler].replies;
	uint32_t max = cmd->max ? cmd->max : LIST_DEFAULT, slot = cmd->from_slot, next;
	struct object_info info;

	for (uint32_t n = 0; objects_list(slot, &info, &next); n++) {
		/* Room for the reply itself must be left. */
		if (n == max || r->size - shm_ring_used(r) < DP_MAX_MESSAGE * 5 / 4 ||
			!send_object_item(r, cmd->cmd.request, &info)) {
			reply.next_slot = info.object.slot;
			break;
		}
		slot = next;
	}
	send_reply(handler, DP_OBJECT_LIST, &reply, sizeof reply, NULL, 0);
}

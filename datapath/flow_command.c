/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands about flows.
 */
#include <errno.h>
#include <stdlib.h>

#include "datapath/action.h"
#include "datapath/object.h"
#include "datapath/port.h"
#include "datapath/tables_internal.h"
#include "lib/alloc.h"

void
flow_command_put(uint32_t handler, const struct dp_message *m)
{
	const struct dp_flow_put *cmd = m->body;
	struct flow_put put = {
		.key = &m->key,
		.key_blocks = m->key_blocks,
		.mask = &m->mask,
		.flags = cmd->flags,
		.actions = m->actions,
		.actions_size = m->actions_size,
		.epoch = tables.session->epoch,
		.now_ms = tables_now_ms(),
	};
	struct flow_put_result result = {0};
	struct dp_flow_put_reply reply = {.reply.request = cmd->cmd.request};
	uint8_t packed[FLOW_KEY_SIZE];
	struct dp_part part = {packed, 0};

	if (!port_find(be32_to(m->key.in_port))) {
		reply.reply.status = -ENODEV;
	} else if ((reply.reply.status = objects_check(m->actions, m->actions_size)) == 0) {
		reply.reply.status = flow_table_put(tables.table, &put, &result);
	}
	reply.flow = result.flow;
	if (result.narrowed) {
		reply.mask_blocks = flow_mask_blocks(&result.mask);
		flow_key_pack(packed, &result.mask.bits, reply.mask_blocks);
		part.size = flow_blocks_size(reply.mask_blocks);
	}
	send_reply(handler, DP_FLOW_PUT, &reply, sizeof reply, &part, part.size ? 1 : 0);
}

void
flow_command_del(uint32_t handler, const struct dp_flow_del *cmd)
{
	struct deletion *d = deletion_create(cmd->cmd.request, handler);
	int status = flow_table_del(tables.table, cmd->flow, (uint64_t)(uintptr_t)d);

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
	stats_region_read(tables.stats, info->flow.slot, info->flow.gen, &item.stats);
	return dp_send(r, DP_FLOW_ITEM, &item, sizeof item, parts, 3);
}

void
flow_command_list(uint32_t handler, const struct dp_list *cmd)
{
	struct dp_list_reply reply = {.reply.request = cmd->cmd.request, .next_slot = UINT32_MAX};
	struct shm_ring *r = &tables.session->handlers[handler].replies;
	uint32_t max = cmd->max ? cmd->max : LIST_DEFAULT, slot = cmd->from_slot, next;
	struct flow_info info;

	for (uint32_t n = 0; flow_table_list(tables.table, slot, &info, &next); n++) {
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

bool
flow_command_reclaim(uint64_t now_ms)
{
	return flow_table_run(tables.table, now_ms, flow_deleted, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * agent.sock: the list of controllers, an entry for each connection.
 */
#include <string.h>

#include "controller-agent/agent_internal.h"
#include "lib/jsonrpc.h"

struct controller_visit {
	json_t *list;
	const char *sw;
};

static void
visit_controller(const struct of_controller_status *s, void *user)
{
	struct controller_visit *v = user;

	json_array_append_new(v->list,
		json_pack(
			"{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I}",
			"switch", v->sw, "target", s->target, "peer", s->peer, "state",
			strcmp(s->state, "backing off") == 0 ? "backoff" : s->state, "role",
			s->is_connected ? of_role_name(s->role) : "", "version", s->version,
			"since_s", (json_int_t)((agent_now_ms() - s->since_ms) / 1000), "connects",
			(json_int_t)s->n_connects, "rx_messages", (json_int_t)s->rx_messages,
			"tx_messages", (json_int_t)s->tx_messages, "last_error", s->last_error,
			"rate_limit", (json_int_t)s->rate_limit, "burst", (json_int_t)s->burst,
			"packet_ins", (json_int_t)s->packet_ins, "packet_ins_queued",
			(json_int_t)s->packet_ins_queued, "packet_ins_waiting",
			(json_int_t)s->packet_ins_waiting, "packet_ins_dropped",
			(json_int_t)s->packet_ins_dropped));
}

json_t *
agent_rpc_controllers(const struct agent_switch *sw, json_t *list)
{
	struct controller_visit v = {list, sw->config->name};

	if (sw->of) {
		of_switch_list_controllers(sw->of, visit_controller, &v);
	}
	return list;
}

void
agent_rpc_controller_list(struct rpc_call *call, json_t *params, void *user)
{
	struct agent *a = user;
	struct agent_switch *sw;
	json_t *list;

	if (json_object_get(params, "switch")) {
		sw = agent_rpc_switch(a, call, params, "switch");
		if (sw) {
			rpc_call_reply(call, agent_rpc_controllers(sw, json_array()));
		}
		return;
	}
	list = json_array();
	LIST_FOREACH (sw, link, &a->switches) {
		agent_rpc_controllers(sw, list);
	}
	rpc_call_reply(call, list);
}

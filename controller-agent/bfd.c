/* SPDX-License-Identifier: Apache-2.0
 *
 * BFD: the listing of what the datapath's sessions tell.
 */
#include <stdlib.h>
#include <string.h>

#include "controller-agent/agent_internal.h"
#include "lib/alloc.h"
#include "lib/jsonrpc.h"

struct listing {
	struct agent *agent;
	struct rpc_call *call;
	char *sw; /* of this switch; NULL: all */
};

static void
add_row(json_t *rows, const struct agent_port *p)
{
	json_t *session = json_object_get(p->entry, "bfd"), *row;

	if (!json_is_object(session)) {
		return;
	}
	row = json_pack("{s:s, s:s, s:s}", "switch", p->sw->config->name, "port", p->config->name,
		"remote", config_port_option(p->config, "remote"));
	json_object_update(row, session);
	json_array_append_new(rows, row);
}

static void
refreshed(void *user)
{
	struct listing *l = user;
	json_t *rows = json_array();
	struct agent_switch *sw;
	struct agent_port *p;

	LIST_FOREACH (sw, link, &l->agent->switches) {
		if (l->sw && strcmp(l->sw, sw->config->name) != 0) {
			continue;
		}
		LIST_FOREACH (p, link, &sw->ports) {
			if (config_port_is_tunnel(p->config)) {
				add_row(rows, p);
			}
		}
	}
	rpc_call_reply(l->call, rows);
	free(l->sw);
	free(l);
}

void
agent_rpc_bfd_list(struct rpc_call *call, json_t *params, void *user)
{
	struct agent_switch *sw = NULL;
	struct listing *l;

	if (json_object_get(params, "switch")) {
		sw = agent_rpc_switch(user, call, params, "switch");
		if (!sw) {
			return;
		}
	}
	l = xcalloc(1, sizeof(*l));
	l->agent = user;
	l->call = call;
	l->sw = sw ? xstrdup(sw->config->name) : NULL;
	agent_ports_refresh(user, refreshed, l);
}

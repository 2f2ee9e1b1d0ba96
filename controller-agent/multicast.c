/* SPDX-License-Identifier: Apache-2.0
 *
 * Multicast snooping: settings of a switch, and mdb.list of agent.sock (docs/rpc.md).
 */
#include <arpa/inet.h>
#include <string.h>

#include "controller-agent/agent_internal.h"
#include "lib/jsonrpc.h"
#include "ofproto/mdb.h"
#include "ofproto/of_multicast.h"

struct visit {
	const struct agent_switch *sw;
	json_t *list;
	uint64_t now_ms;
};

void
agent_multicast_settings(const struct config_switch *config, struct of_settings *s)
{
	s->multicast_snooping = config->mcast_snooping;
	s->multicast_flood = !config->mcast_no_flood;
	s->multicast_ageing_s = config->mcast_ageing ? config->mcast_ageing : OF_MULTICAST_AGEING_S;
}

static void
list_member(const uint8_t *addr, const struct mdb_member *member, void *user)
{
	static const uint8_t v4[12] = {[10] = 0xff, [11] = 0xff};
	struct visit *v = user;
	const struct of_port_info *port = ofproto_port_find(v->sw->ofproto, member->port);
	uint64_t left = member->expires_ms > v->now_ms ? member->expires_ms - v->now_ms : 0;
	char group[INET6_ADDRSTRLEN] = "";

	if (addr && memcmp(addr, v4, sizeof(v4)) == 0) {
		inet_ntop(AF_INET, addr + 12, group, sizeof(group));
	} else if (addr) {
		inet_ntop(AF_INET6, addr, group, sizeof(group));
	}
	json_array_append_new(v->list,
		json_pack("{s:s, s:i, s:s, s:s, s:I}", "switch", v->sw->config->name, "vlan",
			(int)member->vlan, "group", addr ? group : "(router)", "port",
			port ? port->name : "", "expires_s", (json_int_t)(left / 1000)));
}

void
agent_rpc_mdb_list(struct rpc_call *call, json_t *params, void *user)
{
	struct agent *a = user;
	struct agent_switch *sw, *only = NULL;
	struct visit v = {.list = NULL, .now_ms = agent_now_ms()};

	if (json_object_get(params, "switch")) {
		only = agent_rpc_switch(a, call, params, "switch");
		if (!only) {
			return;
		}
	}
	v.list = json_array();
	LIST_FOREACH (sw, link, &a->switches) {
		if (!only || sw == only) {
			v.sw = sw;
			mdb_visit(ofproto_mdb(sw->ofproto), list_member, &v);
		}
	}
	rpc_call_reply(call, v.list);
}

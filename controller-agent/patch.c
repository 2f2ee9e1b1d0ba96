/* SPDX-License-Identifier: Apache-2.0
 *
 * Patch ports: what ofproto/ must know of a pair, and that both ends follow each other.
 */
#include <string.h>

#include "controller-agent/agent_internal.h"
#include "lib/log.h"

WEFT_LOG_MODULE(patch);

static struct agent_port *
find_peer(const struct agent_port *p)
{
	const char *name = config_patch_peer(p->config), *back;
	struct agent_port *peer = name ? agent_port_find(p->agent, name) : NULL;

	back = peer ? config_patch_peer(peer->config) : NULL;
	return back && strcmp(back, p->config->name) == 0 && peer->sw != p->sw ? peer : NULL;
}

void
agent_patch_describe(const struct agent_port *p, struct of_port_info *info)
{
	const struct agent_port *peer = find_peer(p);

	info->kind = OF_PORT_PATCH;
	info->dp_port = DP_PORT_NONE;
	/* As of a cable: it has no link while either end is shut. */
	info->state = peer && !((p->of_config | peer->of_config) & OF_PORT_DOWN)
			      ? OF_PORT_LIVE
			      : OF_PORT_LINK_DOWN;
	info->patch.ofproto_id = peer ? ofproto_id(peer->sw->ofproto) : UINT32_MAX;
	info->patch.port = peer ? peer->of_port : OF_PORT_NONE;
}

void
agent_patch_changed(struct agent *a, const struct config_port *changed)
{
	const char *name = config_patch_peer(changed);
	struct agent_port *peer = name ? agent_port_find(a, name) : NULL;
	struct weft_error err = WEFT_ERROR_INIT;

	if (peer && config_port_is_patch(peer->config) &&
		ofproto_port_find(peer->sw->ofproto, peer->of_port) &&
		!agent_switch_show_port(peer, &err)) {
		LOG_ERR("port %s: %s", peer->config->name, err.text);
	}
}

json_t *
agent_patch_counters(const struct agent_port *p)
{
	struct of_port_traffic t;

	if (!ofproto_port_traffic(p->sw->ofproto, p->of_port, &t)) {
		return NULL;
	}
	return json_pack("{s:I, s:I, s:I, s:I}", "rx_packets", (json_int_t)t.rx_packets, "rx_bytes",
		(json_int_t)t.rx_bytes, "tx_packets", (json_int_t)t.tx_packets, "tx_bytes",
		(json_int_t)t.tx_bytes);
}

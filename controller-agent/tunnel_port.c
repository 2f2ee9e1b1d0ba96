/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnel ports: what ofproto/ must know of one, and its counters.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller-agent/agent_internal.h"
#include "ofproto/of_tunnel.h"
#include "ofproto/underlay_provider.h"

void
agent_tunnel_describe(const struct agent_port *p, struct of_port_info *info)
{
	struct weft_error err = WEFT_ERROR_INIT;

	info->kind = OF_PORT_TUNNEL;
	if (!config_tunnel_parse(p->config, &info->tunnel, &err)) {
		abort(); /* it was looked at when it was set */
	}
}

/* Whether the remote is another one than in force. */
static bool
is_new_remote(const struct agent *a, const struct config_port *port)
{
	const struct config_port *old = config_port_find(a->config, port->name, NULL);
	const char *before = old ? config_port_option(old, "remote") : NULL;

	return !before || strcmp(before, config_port_option(port, "remote")) != 0;
}

bool
agent_tunnel_check(const struct agent *a, const struct config *wanted,
	const struct config_port *port, struct weft_error *err)
{
	struct of_tunnel t;
	bool is_own = false;

	if (!config_port_is_tunnel(port)) {
		return true;
	}
	if (!config_tunnels_check(wanted, port, err) || !config_tunnel_parse(port, &t, err)) {
		return false;
	}
	of_reader_enter(a->reader);
	if (t.remote_by == OF_TUNNEL_GIVEN && is_new_remote(a, port)) {
		is_own = of_model_owns_address(a->model, &t.remote);
	}
	of_reader_leave(a->reader);
	return !is_own || weft_error_set(err, WEFT_ERR_CONFLICT, EADDRINUSE,
				  "port %s: remote=%s is an address of this host", port->name,
				  config_port_option(port, "remote"));
}

void
agent_tunnel_count(struct agent_port *p)
{
	struct of_port_traffic t;

	if (!p->entry || !ofproto_port_traffic(p->sw->ofproto, p->of_port, &t)) {
		return;
	}
	json_object_set_new(p->entry, "rx_packets", json_integer((json_int_t)t.rx_packets));
	json_object_set_new(p->entry, "rx_bytes", json_integer((json_int_t)t.rx_bytes));
	json_object_set_new(p->entry, "tx_packets", json_integer((json_int_t)t.tx_packets));
	json_object_set_new(p->entry, "tx_bytes", json_integer((json_int_t)t.tx_bytes));
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnel ports: what ofproto/ must know of one, and its counters.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller-agent/agent_internal.h"
#include "controller-agent/underlay_netlink.h"
#include "ofproto/of_tunnel.h"
#include "ofproto/underlay_provider.h"

void
agent_tunnel_describe(const struct agent_port *p, struct of_port_info *info)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_flood *flood;

	info->kind = OF_PORT_TUNNEL;
	if (!config_tunnel_parse(p->config, &info->tunnel, &err) ||
		!config_flood_parse(p->config, &info->tunnel, &flood, &err)) {
		abort(); /* it was looked at when it was set */
	}
	info->flood = flood;
}

/* Whether the option is another one than in force. */
static bool
is_new(const struct agent *a, const struct config_port *port, const char *key)
{
	const struct config_port *old = config_port_find(a->config, port->name, NULL);
	const char *before = old ? config_port_option(old, key) : NULL;

	return !before || strcmp(before, config_port_option(port, key)) != 0;
}

/* A remote that is this host's own; NULL: none. */
static const struct of_underlay_addr *
own_remote(const struct agent *a, const struct config_port *port, const struct of_tunnel *t,
	const struct of_flood *flood)
{
	if (t->remote_by == OF_TUNNEL_GIVEN && is_new(a, port, "remote") &&
		of_model_owns_address(a->model, &t->remote)) {
		return &t->remote;
	}
	for (size_t i = 0; flood && i < flood->n && is_new(a, port, "flood"); i++) {
		if (of_model_owns_address(a->model, &flood->remotes[i])) {
			return &flood->remotes[i];
		}
	}
	return NULL;
}

bool
agent_tunnel_check(const struct agent *a, const struct config *wanted,
	const struct config_port *port, struct weft_error *err)
{
	const struct of_underlay_addr *own;
	char text[UNDERLAY_ADDR_SIZE];
	struct of_flood *flood;
	struct of_tunnel t;

	if (!config_port_is_tunnel(port)) {
		return true;
	}
	if (!config_tunnels_check(wanted, port, err) || !config_tunnel_parse(port, &t, err) ||
		!config_flood_parse(port, &t, &flood, err)) {
		return false;
	}
	of_reader_enter(a->reader);
	own = own_remote(a, port, &t, flood);
	of_reader_leave(a->reader);
	if (own) {
		underlay_addr_text(own, text);
	}
	free(flood);
	return !own || weft_error_set(err, WEFT_ERR_CONFLICT, EADDRINUSE,
			       "port %s: remote=%s is an address of this host", port->name, text);
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

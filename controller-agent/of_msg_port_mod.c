/* SPDX-License-Identifier: Apache-2.0
 *
 * PORT_MOD: changes the configuration of a port.
 *
 * Spec: OpenFlow 1.3.5 s.A.3.4.3.
 */
#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"
#include <string.h>

#include "lib/error.h"

static bool check(
	const struct of_port_mod *pm, const struct of_port_info *info, struct weft_error *err);

void
of_msg_port_mod(struct of_conn *c, const struct of_request *rq)
{
	struct of_service *s = of_conn_service(c);
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_port_mod pm;

	if (!of_msg_get_port_mod(c, rq, &pm, &err) ||
		!s->ops.port_mod(
			s->ops.user, c->sw->ofproto, pm.port, pm.config & pm.mask, pm.mask, &err)) {
		of_conn_send_error(c, rq, &err);
	}
}

bool
of_msg_get_port_mod(struct of_conn *c, const struct of_request *rq, struct of_port_mod *pm,
	struct weft_error *err)
{
	return c->codec->get_port_mod(rq->body, rq->body_len, pm, err) &&
	       check(pm, ofproto_port_find(c->sw->ofproto, pm->port), err);
}

static bool
check(const struct of_port_mod *pm, const struct of_port_info *info, struct weft_error *err)
{
	if (!info) {
		return of_error_set(err, OFPET_PORT_MOD_FAILED, OFPPMFC_BAD_PORT,
			"there is no port %u", pm->port.v);
	}
	if (memcmp(pm->mac, info->mac, sizeof(pm->mac)) != 0) {
		return of_error_set(err, OFPET_PORT_MOD_FAILED, OFPPMFC_BAD_HW_ADDR,
			"port %s has another hardware address", info->name);
	}
	if (pm->advertise && pm->advertise != info->advertised) {
		return of_error_set(err, OFPET_PORT_MOD_FAILED, OFPPMFC_BAD_ADVERTISE,
			"port %s cannot advertise 0x%x", info->name, pm->advertise);
	}
	return true;
}

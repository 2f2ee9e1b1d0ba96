/* SPDX-License-Identifier: Apache-2.0
 *
 * GET_CONFIG_REQUEST, SET_CONFIG: fragments, and how much of a packet goes to a controller.
 *
 * Spec: OpenFlow 1.3.5 s.A.3.2.
 */
#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"
#include "lib/error.h"

#define OFPC_FRAG_NORMAL 0
#define OFPC_FRAG_DROP 1

void
of_msg_config_get(struct of_conn *c, const struct of_request *rq)
{
	struct of_switch_config config = c->config;
	struct of_settings settings;

	ofproto_get_settings(c->sw->ofproto, &settings);
	config.flags = settings.drop_fragments ? OFPC_FRAG_DROP : OFPC_FRAG_NORMAL;
	c->codec->put_config(&c->out, rq->xid, &config);
	of_conn_send(c);
}

void
of_msg_config_set(struct of_conn *c, const struct of_request *rq)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_switch_config config;
	struct of_settings settings;
	bool changed;

	if (!c->codec->get_set_config(rq->body, rq->body_len, &config, &err)) {
		of_conn_send_error(c, rq, &err);
		return;
	}
	if (config.flags != OFPC_FRAG_NORMAL && config.flags != OFPC_FRAG_DROP) {
		of_conn_refuse(c, rq, OFPET_SWITCH_CONFIG_FAILED, OFPSCFC_BAD_FLAGS);
		return;
	}
	c->config = config;
	if (c->role == OF_ROLE_SLAVE) {
		of_switch_update_settings(
			c->sw); /* the rest is the switch's: a slave only reads (s.6.3.4) */
		return;
	}
	ofproto_get_settings(c->sw->ofproto, &settings);
	changed = settings.drop_fragments != (config.flags == OFPC_FRAG_DROP);
	settings.drop_fragments = config.flags == OFPC_FRAG_DROP;
	if (c->controller) {
		settings.miss_send_len = config.miss_send_len;
	}
	ofproto_set_settings(c->sw->ofproto, &settings);
	if (changed) {
		of_conn_service(c)->ops.config_changed(
			of_conn_service(c)->ops.user, c->sw->ofproto);
	}
	of_switch_update_settings(c->sw);
}

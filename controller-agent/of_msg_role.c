/* SPDX-License-Identifier: Apache-2.0
 *
 * ROLE_REQUEST: who may write.
 *
 * Spec: OpenFlow 1.3.5 s.6.3.4, s.A.3.9.
 */
#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"
#include "lib/error.h"
#include "lib/log.h"

WEFT_LOG_MODULE(openflow);

static bool check_generation(struct of_switch *sw, uint64_t generation);
static void set_role(struct of_conn *c, enum of_role role);

void
of_msg_role(struct of_conn *c, const struct of_request *rq)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_role_msg role;

	if (!c->codec->get_role(rq->body, rq->body_len, &role, &err)) {
		of_conn_send_error(c, rq, &err);
		return;
	}
	switch (role.role) {
	case OF_ROLE_NOCHANGE:
		break;
	case OF_ROLE_EQUAL:
		set_role(c, OF_ROLE_EQUAL);
		break;
	case OF_ROLE_MASTER:
	case OF_ROLE_SLAVE:
		if (!check_generation(c->sw, role.generation)) {
			of_conn_refuse(c, rq, OFPET_ROLE_REQUEST_FAILED, OFPRRFC_STALE);
			return;
		}
		set_role(c, (enum of_role)role.role);
		break;
	default:
		of_conn_refuse(c, rq, OFPET_ROLE_REQUEST_FAILED, OFPRRFC_BAD_ROLE);
		return;
	}
	role.role = c->role;
	role.generation = c->sw->has_generation ? c->sw->generation : UINT64_MAX;
	c->codec->put_role(&c->out, rq->xid, &role);
	of_conn_send(c);
}

/* A number that is older, on a circle, than the newest that was seen is stale. */
static bool
check_generation(struct of_switch *sw, uint64_t generation)
{
	if (sw->has_generation && (int64_t)(generation - sw->generation) < 0) {
		return false;
	}
	sw->has_generation = true;
	sw->generation = generation;
	return true;
}

static void
set_role(struct of_conn *c, enum of_role role)
{
	struct of_conn *other;

	if (role == OF_ROLE_MASTER) {
		LIST_FOREACH (other, link, &c->sw->conns) {
			if (other != c && other->role == OF_ROLE_MASTER) {
				LOG_INFO_RL(
					"switch %s: controller %s becomes slave: %s is master now",
					ofproto_name(c->sw->ofproto), other->peer, c->peer);
				other->role = OF_ROLE_SLAVE;
			}
		}
	}
	c->role = role;
	of_switch_update_settings(c->sw);
}

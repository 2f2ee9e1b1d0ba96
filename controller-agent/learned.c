/* SPDX-License-Identifier: Apache-2.0
 *
 * What handlers have seen packets teach: addresses of NORMAL, rules of learn actions, ends of connections.
 */
#include "controller-agent/agent_internal.h"
#include "ofproto/fdb.h"
#include "ofproto/of_learned.h"
#include "ofproto/translate.h"

void
agent_learned(void *user, const struct translate_learned *l)
{
	struct agent *a = user;
	struct ofproto *p = ofproto_by_id(a->model, l->ofproto_id);
	uint64_t now = agent_now_ms();

	if (p && !fdb_refresh(ofproto_fdb(p), l->vlan, l->mac, &l->place, now)) {
		ofproto_fdb_learn_at(p, l->vlan, l->mac, &l->place, now);
		persist_learned(a->persist, p, l->vlan, l->mac, &l->place);
	}
	agent_touch(a);
}

void
agent_learn(void *user, struct of_learned *l)
{
	struct agent *a = user;

	of_model_learn(a->model, l, agent_now_ms());
	agent_touch(a);
}

void
agent_limit(void *user, struct rule *r, uint16_t idle_timeout, uint16_t hard_timeout)
{
	of_rule_limit(r, idle_timeout, hard_timeout);
	agent_touch(user);
}

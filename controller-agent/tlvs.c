/* SPDX-License-Identifier: Apache-2.0
 *
 * Options of Geneve in the datapath: it is told of all that switches' TLV tables name, in each session and
 * whenever one changes.
 */
#include "controller-agent/agent_internal.h"
#include "lib/dp_protocol.h"
#include "ofproto/of_tlv.h"

void
agent_tlvs_session_up(struct agent *a)
{
	struct dp_tun_opt opts[OF_TLV_FIELDS];

	handlers_tun_opts(a->handlers, opts, of_model_tlvs(a->model, opts));
}

void
agent_tlvs_changed(void *agent)
{
	struct agent *a = agent;

	/* Without a session they are told when it comes. */
	if (!a->ending && a->handlers && dp_client_session(a->client)) {
		agent_tlvs_session_up(a);
		agent_touch(a);
	}
}

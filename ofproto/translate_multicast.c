/* SPDX-License-Identifier: Apache-2.0
 *
 * Translation: NORMAL's multicast packets, where listeners are heard (of_multicast.h).
 */
#include <string.h>

#include "lib/byteorder.h"
#include "ofproto/mdb.h"
#include "ofproto/of_context.h"
#include "ofproto/of_multicast.h"
#include "ofproto/snoop.h"
#include "ofproto/translate_internal.h"
#include "ofproto/translate_multicast.h"
#include "ofproto/translate_trace.h"

#define IP_PROTO_IGMP 2

static bool is_message(struct xlate *x, bool is_v6, enum snoop_kind *kind);
static bool group_of_packet(struct xlate *x, bool is_v6, uint8_t addr[16]);
static void tell_agent(struct xlate *x, uint16_t vlan, const struct ofport *in);

bool
xlate_multicast(struct xlate *x, uint16_t vlan, const struct ofport *in, struct xlate_listeners *l)
{
	static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	enum snoop_kind kind;
	uint8_t addr[16];
	bool is_v6;

	*l = (struct xlate_listeners){.mdb = x->p->mdb, .vlan = vlan};
	if (!atomic_load_explicit(&x->p->multicast_snooping, memory_order_relaxed) ||
		!(x->pkt.key.eth_dst[0] & 1) || !memcmp(x->pkt.key.eth_dst, broadcast, 6) ||
		!xlate_holds(x, FIELD_PRE_IP)) {
		return false;
	}
	is_v6 = xlate_holds(x, FIELD_PRE_IPV6);
	if (is_message(x, is_v6, &kind) && kind != SNOOP_OTHER) {
		if (in) {
			tell_agent(x, vlan, in);
		}
		if (kind == SNOOP_QUERY) {
			return false;
		}
		xlate_trace(x, "a listener's report: to routers alone");
	} else if (!group_of_packet(x, is_v6, addr) || snoop_is_flooded(addr)) {
		return false;
	} else {
		l->group = mdb_find(x->p->mdb, vlan, addr);
		xlate_depend(x, OF_DEP_OTHER, mdb_dep(vlan, addr));
		if (!l->group &&
			atomic_load_explicit(&x->p->multicast_flood, memory_order_relaxed)) {
			xlate_trace(x, "nobody has asked for the group");
			return false;
		}
		xlate_trace(x, "to %u ports that have asked for the group, and to routers",
			l->group ? l->group->n : 0);
	}
	xlate_depend(x, OF_DEP_OTHER, mdb_dep_routers(vlan));
	return true;
}

bool
xlate_listens(const struct xlate_listeners *l, const struct ofport *port)
{
	if (port->info.is_multicast_router || mdb_has_router(l->mdb, l->vlan, port->info.number)) {
		return true;
	}
	for (uint32_t i = 0; l->group && i < l->group->n; i++) {
		if (l->group->members[i].port.v == port->info.number.v) {
			return true;
		}
	}
	return false;
}

/* IGMP, or one of ICMPv6; of which kind. */
static bool
is_message(struct xlate *x, bool is_v6, enum snoop_kind *kind)
{
	struct flow_mask type = {.bits = {.icmp_type = be16_from(0xff)}};

	if (is_v6) {
		if (!xlate_holds(x, FIELD_PRE_ICMPV6)) {
			return false;
		}
	} else {
		xlate_read_field(x, FIELD_IP_PROTO);
		if (x->pkt.key.ip_proto != IP_PROTO_IGMP) {
			return false;
		}
	}
	/* IGMP's stands where ICMP's does. */
	xlate_read(x, &type);
	*kind = snoop_kind_of(is_v6, (uint8_t)be16_to(x->pkt.key.icmp_type));
	return true;
}

/* The group that the packet is for; false: its address is none. */
static bool
group_of_packet(struct xlate *x, bool is_v6, uint8_t addr[16])
{
	const struct flow_key *key = &x->pkt.key;

	memset(addr, 0, 16);
	if (is_v6) {
		xlate_read_field(x, FIELD_IPV6_DST);
		memcpy(addr, key->ipv6_dst, 16);
		return addr[0] == 0xff;
	}
	xlate_read_field(x, FIELD_IPV4_DST);
	addr[10] = addr[11] = 0xff;
	memcpy(addr + 12, &key->ip_dst, 4);
	return addr[12] >> 4 == 0xe;
}

static void
tell_agent(struct xlate *x, uint16_t vlan, const struct ofport *in)
{
	struct of_context c = {
		.kind = OF_CONTEXT_SNOOP,
		.ofproto_id = x->p->id,
		.in_port = in->info.number.v,
		.vlan = vlan,
	};
	uint32_t id;

	if (xlate_put_context(x, &c, &id)) {
		xlate_commit(x);
		dp_actions_put_to_agent(
			&x->out->actions, id, OF_MULTICAST_MAX_LEN, OF_REASON_ACTION);
		x->has_output = true;
	}
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Translation: BFD on tunnel ports. The datapath speaks it by itself; flows take its packets there and out.
 *
 * In:  a control packet that came out of the tunnel is output to the tunnel port, which is to say handed to its
 *      session; it never enters the pipeline.
 * Out: what the session has made goes into the tunnel as if a rule had output it there, past the pipeline of the
 *      port's switch but through that of the underlay's, as all that leaves by the tunnel.
 * Why: as flows both go on without an agent, and follow the underlay's changes as all flows do.
 */
#include <string.h>

#include "lib/byteorder.h"
#include "lib/dp_protocol.h"
#include "ofproto/translate_internal.h"
#include "ofproto/translate_trace.h"

#define BFD_UDP_PORT 3784 /* RFC 5881 s.4 */
#define MAC_LEN 6u

/* RFC 8971 s.3; and what Open vSwitch sends to. */
static const uint8_t known_macs[][MAC_LEN] = {
	{0x00, 0x00, 0x5e, 0x00, 0x52, 0x02},
	{0x00, 0x23, 0x20, 0x00, 0x00, 0x01},
};

static bool
begins_alike(const struct xlate *x, const uint8_t *mac, unsigned n)
{
	return memcmp(x->pkt.key.eth_dst, mac, n) == 0;
}

/* Looks at no more of the address than tells it from those that BFD's packets go to. */
static bool
is_to_bfd(struct xlate *x, const struct of_tunnel *t)
{
	struct flow_mask looked = {0};
	bool is_alike = true;
	unsigned n = 0;

	while (is_alike && n < MAC_LEN) {
		n++;
		is_alike = begins_alike(x, t->bfd_mac, n);
		for (unsigned i = 0; i < WEFT_ARRAY_SIZE(known_macs); i++) {
			is_alike = is_alike || begins_alike(x, known_macs[i], n);
		}
	}
	memset(looked.bits.eth_dst, 0xff, n);
	xlate_read(x, &looked);
	return is_alike;
}

/* Where guests choose the id, BFD has one of its own, so that they cannot speak for the far end. */
static bool
has_id(struct xlate *x, const struct of_tunnel *t)
{
	if (t->id_by != OF_TUNNEL_FLOW) {
		return true;
	}
	xlate_read_field(x, FIELD_TUN_ID);
	return !x->pkt.key.tun_id_hi && be32_to(x->pkt.key.tun_id_lo) == t->bfd_id;
}

bool
xlate_bfd_in(struct xlate *x, const struct ofport *port)
{
	const struct of_tunnel *t = &port->info.tunnel;

	if (!t->bfd || port->info.config & (OF_PORT_DOWN | OF_PORT_NO_RECV) || !is_to_bfd(x, t) ||
		xlate_is_tagged(x) || !xlate_holds(x, FIELD_PRE_UDP)) {
		return false;
	}
	xlate_read_field(x, FIELD_UDP_DST);
	if (be16_to(x->pkt.key.l4_dst) != BFD_UDP_PORT || !has_id(x, t)) {
		return false;
	}
	xlate_trace(x, "a BFD packet: for port %s itself", port->info.name);
	dp_actions_put_output(&x->out->actions, port->info.dp_port, 0);
	x->has_output = true;
	return true;
}

bool
xlate_bfd_out(struct xlate *x, const struct ofport *port)
{
	const struct of_tunnel *t = &port->info.tunnel;

	if (port->info.kind != OF_PORT_TUNNEL || !t->bfd) {
		return false;
	}
	xlate_trace(x, "a BFD packet, made by port %s", port->info.name);
	xlate_packet_no_tunnel(x);
	if (t->id_by == OF_TUNNEL_FLOW) {
		xlate_set_u64(x, FIELD_TUN_ID, t->bfd_id, UINT64_MAX);
	}
	xlate_tunnel(x, port);
	return true;
}

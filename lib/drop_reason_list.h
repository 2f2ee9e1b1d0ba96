/* SPDX-License-Identifier: Apache-2.0
 *
 * DROP(ID, name, text): what it means, and behind a colon what to do. Rows are appended: their numbers
 * stand in datapath actions.
 */
/* Decided by the agent's flows. */
DROP(EXPLICIT, "explicit", "a flow says drop, or no rule matched: see weft flow list for the rules")
DROP(RESUBMIT_DEPTH, "resubmit-depth",
	"rules resubmit more than 64 deep: look for rules that resubmit in a circle")
DROP(TRANSLATION_LIMIT, "translation-limit",
	"rules make more than 4096 actions of one packet: simplify them")
DROP(INVALID_TTL, "invalid-ttl",
	"TTL would reach 0 and no rule wants to know: a routing loop, or traceroute")
DROP(SOURCE_NOT_ALLOWED, "source-not-allowed",
	"source address is not in the port's allow list: guest spoofs, or set allow=")
DROP(VLAN_NOT_ALLOWED, "vlan-not-allowed",
	"the port is no member of the packet's VLAN: see tag, trunks and vlan-mode of the port")
DROP(TUNNEL_NO_UNDERLAY, "tunnel-no-underlay",
	"the route to the tunnel's remote leaves by no internal port of a switch: mend the route")
DROP(TUNNEL_NO_ROUTE, "tunnel-no-route", "the kernel has no route to the tunnel's remote: add one")
DROP(TUNNEL_NO_NEIGHBOUR, "tunnel-no-neighbour",
	"the next hop to the tunnel's remote does not answer: is it up, in the same network?")
DROP(TUNNEL_FROM_GUEST, "tunnel-from-guest",
	"tunnel packet from a port that is not an underlay port: forged, or set underlay=yes")
DROP(TUNNEL_ID_RANGE, "tunnel-id-range",
	"tunnel id is wider than the tunnel carries: correct the rule that sets it")
DROP(TUNNEL_UNKNOWN, "tunnel-unknown",
	"tunnel packet that no tunnel port takes: compare vni and remote on both sides")
/* Decided by the datapath on the way in. */
DROP(RX_TRUNCATED, "rx-truncated",
	"frame without a complete Ethernet or VLAN header: the sender is broken")
DROP(RX_TOO_LONG, "rx-too-long", "frame longer than the port takes: lower the sender's MTU")
DROP(RX_NO_BUFFER, "rx-no-buffer", "no packet buffer free: start weft-datapath with more --memory")
DROP(RX_DISABLED, "rx-disabled", "the port is administratively down: weft port set NAME admin=up")
/* Misses. */
DROP(NO_AGENT, "no-agent", "no flow, and no agent to ask: is weft-agent running?")
DROP(UPCALL_QUOTA, "upcall-quota",
	"the port's share of the upcall ring is full: too many new flows, make rules wider")
DROP(UPCALL_TIMEOUT, "upcall-timeout",
	"the agent did not answer within a second: it is overloaded or hangs, see its log")
DROP(PARK_FULL, "park-full",
	"too many packets of the port or flow wait for the agent: more new flows than it takes")
DROP(AGENT_REFUSED, "agent-refused",
	"the agent could not translate the packet: its port or context is gone, see its log")
/* Actions. */
DROP(NO_L3, "no-l3", "an action needs an IP header that is missing or bad: the packet is malformed")
DROP(NO_L4, "no-l4",
	"an action needs an L4 header that is missing or bad: the packet is malformed, or a fragment")
DROP(NO_VLAN, "no-vlan",
	"an action needs a VLAN tag that is missing: match on tagged packets first")
DROP(NO_MPLS, "no-mpls", "an action needs an MPLS label that is missing: the packet is malformed")
DROP(NO_PBB, "no-pbb", "an action needs a PBB header that is missing: the packet is malformed")
DROP(NO_HEADROOM, "no-headroom", "no room to push a header: rules push too many tags or labels")
DROP(NO_COPY, "no-copy", "no packet buffer free for a copy: start weft-datapath with more --memory")
DROP(NO_BUCKET, "no-bucket", "no live bucket to choose: see the group's ports, weft group list")
DROP(METER, "meter", "over the meter's rate, as was asked for: see weft meter list")
DROP(RECIRC_LIMIT, "recirc-limit",
	"recirculated more than 16 times: rules take off and match again too often")
DROP(ACTION_LIMIT, "action-limit", "the action list nests too deep: simplify groups and rules")
DROP(DECAP_BAD, "decap-bad",
	"tunnel header is malformed: the sender is broken, or it is no tunnel packet")
DROP(ENCAP_BAD, "encap-bad",
	"the tunnel cannot carry the packet to where it is to go: correct the rule that sets tun_dst")
/* On the way out; counted on the output port, but for port-gone, which has none: on the input port. So are
 * those that the agent decides: rules that lead to no other port than one that is down or not there. */
DROP(PORT_GONE, "port-gone", "the output port does not exist: correct the rule, or add the port")
DROP(TX_DOWN, "tx-down",
	"the output port is down or its peer is away: is the guest running, its interface up?")
DROP(TX_FULL, "tx-full",
	"the output queue is full: the receiver is too slow, give it more CPU or queues")
DROP(TX_TOO_LONG, "tx-too-long",
	"the packet is longer than the output port takes: compare the MTUs")
DROP(TX_OFFLOAD, "tx-offload",
	"checksum or segmentation could not be completed: the sender's offload request is wrong")
DROP(TX_ERROR, "tx-error",
	"the output device refused the packet: see weft port show and the kernel's log")
/* Shutting down. */
DROP(PURGED, "purged", "waited for the agent when its port was removed: no harm")
/* Actions, again. */
DROP(OBJECT_GONE, "object-gone",
	"an action refers to an object that has been deleted: flows of it are about to change")
/* Bonds; counted on the bond. */
DROP(BOND_INACTIVE, "bond-inactive",
	"came by a member of the bond that is not in use: the partner floods, or both sides disagree")
DROP(SLOW_PROTOCOL, "slow-protocol",
	"LACP or marker frame that was to leave by an 802.3ad bond: guests may not speak for it")
/* Tunnels. */
DROP(ENCAP_TOO_LONG, "encap-too-long",
	"encapsulated longer than the path's MTU: lower the MTU of the guests")
DROP(TUNNEL_LOOP, "tunnel-loop",
	"an encapsulated packet was to enter a tunnel: the route to a remote leads through a tunnel")
DROP(DECAP_CHECKSUM, "decap-checksum", "outer checksum is wrong: damaged on its way")
DROP(DECAP_FRAGMENT, "decap-fragment",
	"tunnel packet in fragments, which are not put together: raise the MTU of the underlay")
DROP(DECAP_PROTOCOL, "decap-protocol",
	"tunnel packet with neither Ethernet nor IP inside: the sender wants another kind of tunnel")
DROP(DECAP_OPTION, "decap-option",
	"Geneve option that must be understood and is not known here: the sender expects too much")
DROP(DECAP_ECN, "decap-ecn",
	"congestion on the underlay, and the inner packet cannot tell its ends: as RFC 6040 asks")
/* Decided by the agent's flows, again. */
DROP(FRAGMENT, "fragment",
	"an IP fragment, and the switch is set to drop them: ovs-ofctl set-frags SWITCH normal")
DROP(MIRROR_PORT, "mirror-port",
	"came in by the output port of a mirror, which takes nothing in: see weft mirror list")
/* Tunnels, again. */
DROP(DECAP_RESERVED, "decap-reserved",
	"VXLAN header with bits that must be zero: the far end uses an extension, see gbp= and gpe=")
/* BFD; counted on the tunnel port. */
DROP(BFD_BAD, "bfd-bad",
	"BFD packet that is malformed, forged from afar (TTL is not 255) or asks for what is not spoken here")
DROP(BFD_UNKNOWN, "bfd-unknown",
	"BFD packet for a session that is not there (any more): the far end has not seen that it ended")
DROP(BFD_FLOOD, "bfd-flood",
	"BFD packets come faster than was agreed: the far end is broken, or somebody forges them")

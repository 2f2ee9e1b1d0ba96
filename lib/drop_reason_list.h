/* SPDX-License-Identifier: Apache-2.0
 *
 * DROP(ID, name, text). Rows are appended: their numbers stand in datapath actions.
 */
/* Decided by the agent's flows. */
DROP(EXPLICIT, "explicit", "a flow says drop, or no rule matched")
DROP(RESUBMIT_DEPTH, "resubmit-depth", "translation nested too deep")
DROP(TRANSLATION_LIMIT, "translation-limit", "translation made too many actions")
DROP(INVALID_TTL, "invalid-ttl", "TTL would reach 0 and no rule wants to know")
DROP(SOURCE_NOT_ALLOWED, "source-not-allowed", "source address is not in the port's allow list")
DROP(VLAN_NOT_ALLOWED, "vlan-not-allowed", "the port is no member of the packet's VLAN")
DROP(TUNNEL_NO_UNDERLAY, "tunnel-no-underlay",
	"the route to the remote leaves by no port of a switch")
DROP(TUNNEL_NO_ROUTE, "tunnel-no-route", "no route to the tunnel's remote")
DROP(TUNNEL_NO_NEIGHBOUR, "tunnel-no-neighbour", "the next hop does not answer")
DROP(TUNNEL_FROM_GUEST, "tunnel-from-guest",
	"tunnel packet from a port that is not an underlay port")
DROP(TUNNEL_ID_RANGE, "tunnel-id-range", "tunnel id is wider than the tunnel carries")
DROP(TUNNEL_UNKNOWN, "tunnel-unknown", "tunnel packet that no tunnel port takes")
/* Decided by the datapath on the way in. */
DROP(RX_TRUNCATED, "rx-truncated", "frame without a complete Ethernet or VLAN header")
DROP(RX_TOO_LONG, "rx-too-long", "frame longer than the port takes")
DROP(RX_NO_BUFFER, "rx-no-buffer", "no packet buffer free")
DROP(RX_DISABLED, "rx-disabled", "the port is administratively down")
/* Misses. */
DROP(NO_AGENT, "no-agent", "no flow, and no agent to ask")
DROP(UPCALL_QUOTA, "upcall-quota", "the port's share of the upcall ring is full")
DROP(UPCALL_TIMEOUT, "upcall-timeout", "the agent did not answer in time")
DROP(PARK_FULL, "park-full", "too many packets of the port or flow wait for the agent")
DROP(AGENT_REFUSED, "agent-refused", "the agent could not translate the packet")
/* Actions. */
DROP(NO_L3, "no-l3", "an action needs an L3 header that is missing or bad")
DROP(NO_L4, "no-l4", "an action needs an L4 header that is missing or bad")
DROP(NO_VLAN, "no-vlan", "an action needs a VLAN tag that is missing")
DROP(NO_MPLS, "no-mpls", "an action needs an MPLS label that is missing")
DROP(NO_PBB, "no-pbb", "an action needs a PBB header that is missing")
DROP(NO_HEADROOM, "no-headroom", "no room to push a header")
DROP(NO_COPY, "no-copy", "no packet buffer free for a copy")
DROP(NO_BUCKET, "no-bucket", "no live bucket to choose")
DROP(METER, "meter", "over the meter's rate")
DROP(RECIRC_LIMIT, "recirc-limit", "recirculated too often")
DROP(ACTION_LIMIT, "action-limit", "the action list nests too deep")
DROP(DECAP_BAD, "decap-bad", "tunnel header is malformed")
DROP(ENCAP_BAD, "encap-bad", "the packet does not fit the tunnel")
/* On the way out; counted on the output port, but for port-gone, which has none: on the input port. */
DROP(PORT_GONE, "port-gone", "the output port does not exist")
DROP(TX_DOWN, "tx-down", "the output port is down or its peer is away")
DROP(TX_FULL, "tx-full", "the output queue is full")
DROP(TX_TOO_LONG, "tx-too-long", "the packet is longer than the output port takes")
DROP(TX_OFFLOAD, "tx-offload", "checksum or segmentation could not be completed")
DROP(TX_ERROR, "tx-error", "the output device refused the packet")
/* Shutting down. */
DROP(PURGED, "purged", "waited for the agent when its port was removed")
/* Actions, again. */
DROP(OBJECT_GONE, "object-gone", "an action refers to an object that has been deleted")
/* Bonds; counted on the bond. */
DROP(BOND_INACTIVE, "bond-inactive", "came by a member of the bond that is not in use")
DROP(SLOW_PROTOCOL, "slow-protocol", "LACP or marker frame that was to leave by an 802.3ad bond")

# SPDX-License-Identifier: Apache-2.0
"""The controller of the overlay demo: tenants' networks over several hosts, as an os-ken application.

It speaks OpenFlow 1.3 to an overlay switch and an underlay switch of each host, and knows from a file (JSON, the
path in OVERLAY_PLAN, read anew when it changes) which is which:

    {"tenants": {"red": {"vlan": 10, "vni": 5001}, ..},
     "hosts": {"host1": {"overlay": DPID, "underlay": DPID, "address": UNDERLAY ADDRESS, "tunnel": PORT,
                         "guests": {PORT: TENANT, ..}, "uplinks": [PORT, PORT], "internal": PORT}, ..}}

Overlay switches, table 0: which tenant. A guest's packets get the tenant's VLAN tag, a tunnel's the one of its VNI. Table
1: who is the source; unknown ones go to the controller too, which learns where they are. Table 2: where to; known
addresses to the guest's port, or with the VNI to its host; all others to every guest of the VLAN and to every other
host (head-end replication), but what came in by a tunnel not into one again.

Underlay switches: what the host sends takes one of the uplinks, by a select group. Every second the ports'
counters are read and smoothed; when the first uplink carries more than OVERLAY_LIMIT bit/s, half of the
connections move to the second one, and back when both are quiet.
"""

import json
import os

from os_ken.base import app_manager
from os_ken.controller import ofp_event
from os_ken.controller.handler import MAIN_DISPATCHER, set_ev_cls
from os_ken.lib import hub
from os_ken.lib.packet import ethernet, packet
from os_ken.ofproto import ofproto_v1_3

PLAN = os.environ["OVERLAY_PLAN"]
LIMIT = float(os.environ.get("OVERLAY_LIMIT", "20e6"))
INTERVAL_S = 1.0
SMOOTHING = 0.5
GROUP = 1
TENANT_OF, SOURCE, DESTINATION = 0, 1, 2


class Overlay(app_manager.OSKenApp):
    OFP_VERSIONS = [ofproto_v1_3.OFP_VERSION]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.plan = {}
        self.plan_time = 0
        self.switches = {}  # datapath id -> connection
        self.where = {}  # (VLAN, address) -> (host, port)
        self.rates = {}  # host -> {uplink -> bit/s, smoothed}
        self.counters = {}  # (host, uplink) -> (bytes sent, time of the switch's clock)
        self.spread = {}  # host -> whether both uplinks are in use
        self.read_plan()
        hub.spawn(self.run)

    # --- the plan ----------------------------------------------------------------------------------

    def read_plan(self):
        """Whether it is another one than before."""
        changed = os.stat(PLAN).st_mtime_ns
        if changed == self.plan_time:
            return False
        with open(PLAN, encoding="utf-8") as plan:
            self.plan = json.load(plan)
        self.plan_time = changed
        return True

    def role(self, dpid):
        """(host, "overlay" or "underlay") of a switch."""
        for name, host in self.plan["hosts"].items():
            for role in ("overlay", "underlay"):
                if host[role] == dpid:
                    return name, role
        return None, None

    def tenant_of_vlan(self, vlan):
        return next(tenant for tenant in self.plan["tenants"].values() if tenant["vlan"] == vlan)

    def run(self):
        while True:
            hub.sleep(INTERVAL_S)
            if self.read_plan():
                self.logger.info("the plan has changed")
                for dpid in list(self.switches):
                    self.set_up(dpid)
            for name, host in self.plan["hosts"].items():
                switch = self.switches.get(host["underlay"])
                if switch:
                    switch.send_msg(switch.ofproto_parser.OFPPortStatsRequest(switch, 0, switch.ofproto.OFPP_ANY))

    # --- OpenFlow ----------------------------------------------------------------------------------

    @staticmethod
    def add(switch, table, priority, match, actions, goto=None):
        parser, proto = switch.ofproto_parser, switch.ofproto
        instructions = [parser.OFPInstructionActions(proto.OFPIT_APPLY_ACTIONS, actions)] if actions else []
        if goto is not None:
            instructions.append(parser.OFPInstructionGotoTable(goto))
        switch.send_msg(parser.OFPFlowMod(datapath=switch, table_id=table, priority=priority,
                                          match=parser.OFPMatch(**match), instructions=instructions))

    @set_ev_cls(ofp_event.EventOFPStateChange, MAIN_DISPATCHER)
    def on_switch(self, event):
        switch = event.datapath
        name, role = self.role(switch.id)
        if not name:
            self.logger.info("switch %016x is not in the plan", switch.id)
            return
        self.switches[switch.id] = switch
        self.logger.info("%s: the %s switch is here", name, role)
        self.set_up(switch.id)

    def set_up(self, dpid):
        name, role = self.role(dpid)
        switch = self.switches[dpid]
        if role == "underlay":
            self.set_up_underlay(name, switch)
        elif role == "overlay":
            self.set_up_overlay(name, switch)

    # --- overlay -----------------------------------------------------------------------------------

    def set_up_overlay(self, name, switch):
        parser, proto = switch.ofproto_parser, switch.ofproto
        host = self.plan["hosts"][name]

        def tag(vlan):
            return [parser.OFPActionPushVlan(0x8100), parser.OFPActionSetField(vlan_vid=0x1000 | vlan)]

        for tenant in self.plan["tenants"].values():
            self.add(switch, TENANT_OF, 10, {"in_port": host["tunnel"], "tunnel_id": tenant["vni"]},
                     tag(tenant["vlan"]), SOURCE)
            self.add(switch, DESTINATION, 5, {"vlan_vid": 0x1000 | tenant["vlan"]},
                     self.to_guests(switch, host, tenant) + self.to_hosts(switch, name, tenant))
            # Never from one tunnel into another.
            self.add(switch, DESTINATION, 6, {"in_port": host["tunnel"], "vlan_vid": 0x1000 | tenant["vlan"]},
                     self.to_guests(switch, host, tenant))
        for port, tenant in host["guests"].items():
            # A guest has no tags of its own: a tagged packet meets no rule, and is dropped.
            self.add(switch, TENANT_OF, 10, {"in_port": int(port), "vlan_vid": 0},
                     tag(self.plan["tenants"][tenant]["vlan"]), SOURCE)
        self.add(switch, SOURCE, 0, {}, [parser.OFPActionOutput(proto.OFPP_CONTROLLER, 128)], DESTINATION)
        for vlan, address in self.where:
            self.set_up_address(name, switch, vlan, address)

    def to_guests(self, switch, host, tenant):
        """To all guests of a tenant on this host, the one it came from left out by the switch."""
        parser = switch.ofproto_parser
        ports = [int(port) for port, owner in host["guests"].items() if self.plan["tenants"][owner] == tenant]
        return [parser.OFPActionPopVlan(), *map(parser.OFPActionOutput, ports)]

    def to_hosts(self, switch, name, tenant):
        """The tag has been taken off. To all other hosts."""
        actions = []
        for other in self.plan["hosts"]:
            if other != name:
                actions += self.to_host(switch, name, other, tenant)
        return actions

    def to_host(self, switch, name, other, tenant):
        parser = switch.ofproto_parser
        return [parser.OFPActionSetField(tunnel_id=tenant["vni"]),
                parser.OFPActionSetField(tun_ipv4_dst=self.plan["hosts"][other]["address"]),
                parser.OFPActionOutput(self.plan["hosts"][name]["tunnel"])]

    def set_up_address(self, name, switch, vlan, address):
        parser = switch.ofproto_parser
        host, port = self.where[vlan, address]
        tag = 0x1000 | vlan
        if host == name:
            out = [parser.OFPActionOutput(port)]
            source = port
        else:
            out = self.to_host(switch, name, host, self.tenant_of_vlan(vlan))
            source = self.plan["hosts"][name]["tunnel"]
        self.add(switch, SOURCE, 10, {"in_port": source, "vlan_vid": tag, "eth_src": address}, [], DESTINATION)
        self.add(switch, DESTINATION, 10, {"vlan_vid": tag, "eth_dst": address}, [parser.OFPActionPopVlan(), *out])

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def on_packet_in(self, event):
        message = event.msg
        name, role = self.role(message.datapath.id)
        eth = packet.Packet(message.data).get_protocol(ethernet.ethernet)
        tenant = self.plan["hosts"].get(name, {}).get("guests", {}).get(str(message.match["in_port"]))
        if role != "overlay" or eth is None or tenant is None:
            return  # from a tunnel: its own host tells where it is
        vlan = self.plan["tenants"][tenant]["vlan"]
        here = (name, message.match["in_port"])
        if self.where.get((vlan, eth.src)) == here:
            return
        self.logger.info("%s is at port %d of %s, VLAN %d", eth.src, here[1], name, vlan)
        for dpid, switch in self.switches.items():
            other, role = self.role(dpid)
            if role == "overlay" and (vlan, eth.src) in self.where:
                # It has moved: no rule for where it was.
                parser, proto = switch.ofproto_parser, switch.ofproto
                switch.send_msg(parser.OFPFlowMod(
                    datapath=switch, table_id=SOURCE, command=proto.OFPFC_DELETE, out_port=proto.OFPP_ANY,
                    out_group=proto.OFPG_ANY, match=parser.OFPMatch(vlan_vid=0x1000 | vlan, eth_src=eth.src)))
        self.where[vlan, eth.src] = here
        for dpid, switch in self.switches.items():
            other, role = self.role(dpid)
            if role == "overlay":
                self.set_up_address(other, switch, vlan, eth.src)

    # --- underlay ----------------------------------------------------------------------------------

    def set_up_underlay(self, name, switch):
        parser, proto = switch.ofproto_parser, switch.ofproto
        host = self.plan["hosts"][name]
        self.set_weights(name, switch, proto.OFPGC_ADD if name not in self.spread else proto.OFPGC_MODIFY)
        self.add(switch, 0, 10, {"in_port": host["internal"]}, [parser.OFPActionGroup(GROUP)])
        for uplink in host["uplinks"]:
            self.add(switch, 0, 10, {"in_port": uplink}, [parser.OFPActionOutput(host["internal"])])

    def set_weights(self, name, switch, command):
        parser, proto = switch.ofproto_parser, switch.ofproto
        first, second = self.plan["hosts"][name]["uplinks"]
        self.spread.setdefault(name, False)
        weights = {first: 50, second: 50} if self.spread[name] else {first: 100, second: 0}
        buckets = [parser.OFPBucket(weight=weight, actions=[parser.OFPActionOutput(port)])
                   for port, weight in weights.items()]
        switch.send_msg(parser.OFPGroupMod(switch, command, proto.OFPGT_SELECT, GROUP, buckets))

    @set_ev_cls(ofp_event.EventOFPPortStatsReply, MAIN_DISPATCHER)
    def on_port_stats(self, event):
        switch = event.msg.datapath
        name, role = self.role(switch.id)
        if role != "underlay":
            return
        rates = self.rates.setdefault(name, {})
        for port in event.msg.body:
            if port.port_no not in self.plan["hosts"][name]["uplinks"]:
                continue
            now = port.duration_sec + port.duration_nsec / 1e9
            before, then = self.counters.get((name, port.port_no), (port.tx_bytes, now))
            self.counters[name, port.port_no] = (port.tx_bytes, now)
            if now > then:
                rate = 8 * (port.tx_bytes - before) / (now - then)
                rates[port.port_no] = SMOOTHING * rate + (1 - SMOOTHING) * rates.get(port.port_no, 0)
        self.balance(name, switch)

    def balance(self, name, switch):
        rates = self.rates[name]
        first, second = (rates.get(uplink, 0) for uplink in self.plan["hosts"][name]["uplinks"])
        wanted = first > LIMIT if not self.spread[name] else first + second > LIMIT / 2
        if wanted != self.spread[name]:
            self.spread[name] = wanted
            self.logger.info("%s: uplinks carry %.1f and %.1f Mbit/s: %s", name, first / 1e6, second / 1e6,
                             "both share the connections now" if wanted else "the first alone from now on")
            self.set_weights(name, switch, switch.ofproto.OFPGC_MODIFY)

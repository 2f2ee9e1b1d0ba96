# SPDX-License-Identifier: Apache-2.0
"""A MAC learning switch as an OpenFlow 1.3 application for os-ken.

The switch sends what no flow matches (priority 0, to the controller). The application remembers at
which port it saw the source address; where it knows the destination it installs an exact flow
(in_port, eth_src, eth_dst) of priority 1, otherwise it floods. A port that goes down, or an address
that moves, loses its flows.

    osken-manager --ofp-tcp-listen-port 6653 learning_switch.py
"""

from os_ken.base import app_manager
from os_ken.controller import ofp_event
from os_ken.controller.handler import CONFIG_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from os_ken.lib.packet import ethernet, packet
from os_ken.ofproto import ofproto_v1_3

LLDP = 0x88CC


class LearningSwitch(app_manager.OSKenApp):
    OFP_VERSIONS = [ofproto_v1_3.OFP_VERSION]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.ports = {}  # datapath id -> {address -> OpenFlow port}

    @set_ev_cls(ofp_event.EventOFPSwitchFeatures, CONFIG_DISPATCHER)
    def on_features(self, event):
        datapath = event.msg.datapath
        parser, proto = datapath.ofproto_parser, datapath.ofproto
        self.ports[datapath.id] = {}
        self.add_flow(datapath, 0, parser.OFPMatch(),
                      [parser.OFPActionOutput(proto.OFPP_CONTROLLER, proto.OFPCML_NO_BUFFER)])
        self.logger.info("switch %016x connected", datapath.id)

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def on_packet_in(self, event):
        message = event.msg
        datapath = message.datapath
        parser, proto = datapath.ofproto_parser, datapath.ofproto
        in_port = message.match["in_port"]
        eth = packet.Packet(message.data).get_protocol(ethernet.ethernet)
        if eth is None or eth.ethertype == LLDP:
            return
        self.learn(datapath, eth.src, in_port)
        out_port = self.ports[datapath.id].get(eth.dst)
        if out_port is None:
            actions = [parser.OFPActionOutput(proto.OFPP_FLOOD)]
        else:
            actions = [parser.OFPActionOutput(out_port)]
            self.add_flow(datapath, 1, parser.OFPMatch(in_port=in_port, eth_src=eth.src,
                                                       eth_dst=eth.dst), actions)
        data = message.data if message.buffer_id == proto.OFP_NO_BUFFER else None
        datapath.send_msg(parser.OFPPacketOut(datapath=datapath, buffer_id=message.buffer_id,
                                              in_port=in_port, actions=actions, data=data))

    @set_ev_cls(ofp_event.EventOFPPortStatus, MAIN_DISPATCHER)
    def on_port_status(self, event):
        message = event.msg
        datapath, proto = message.datapath, message.datapath.ofproto
        down = message.reason == proto.OFPPR_DELETE or message.desc.state & proto.OFPPS_LINK_DOWN
        if not down:
            return
        for address, port in list(self.ports.get(datapath.id, {}).items()):
            if port == message.desc.port_no:
                self.forget(datapath, address)

    def learn(self, datapath, address, port):
        known = self.ports.setdefault(datapath.id, {})
        if known.get(address, port) != port:
            self.forget(datapath, address)
        if address not in known:
            self.logger.info("switch %016x: %s is at port %d", datapath.id, address, port)
        known[address] = port

    def forget(self, datapath, address):
        """Takes back every flow to and from an address."""
        parser, proto = datapath.ofproto_parser, datapath.ofproto
        self.ports[datapath.id].pop(address, None)
        for match in (parser.OFPMatch(eth_src=address), parser.OFPMatch(eth_dst=address)):
            datapath.send_msg(parser.OFPFlowMod(
                datapath=datapath, command=proto.OFPFC_DELETE, table_id=0, priority=1,
                out_port=proto.OFPP_ANY, out_group=proto.OFPG_ANY, match=match))

    @staticmethod
    def add_flow(datapath, priority, match, actions):
        parser, proto = datapath.ofproto_parser, datapath.ofproto
        instructions = [parser.OFPInstructionActions(proto.OFPIT_APPLY_ACTIONS, actions)]
        datapath.send_msg(parser.OFPFlowMod(datapath=datapath, priority=priority, match=match,
                                            instructions=instructions))

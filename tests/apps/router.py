# SPDX-License-Identifier: Apache-2.0
"""A router between two networks, with ARP of its own.

Table 0 sends ARP and what is for the router itself to the application, and IP on to table 1. There the application puts
a flow for each neighbour that it has resolved; packets to neighbours that it has not are kept, asked for by ARP, and sent
through the tables once the answer has come. A TTL that ends is told by the switch (asked for by SET_ASYNC), and answered.
"""

import ipaddress

from base import App
from os_ken.controller import ofp_event
from os_ken.controller.handler import MAIN_DISPATCHER, set_ev_cls
from os_ken.lib.packet import arp, ethernet, icmp, ipv4, packet

ARP, IP, ICMP = 0x0806, 0x0800, 1
BROADCAST = "ff:ff:ff:ff:ff:ff"
PORTS = {  # number: (address of ours, MAC)
    1: (ipaddress.ip_interface("10.0.1.1/24"), "02:00:00:00:01:fe"),
    2: (ipaddress.ip_interface("10.0.2.1/24"), "02:00:00:00:02:fe"),
}


class Router(App):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.neighbours = {}  # address -> MAC
        self.waiting = {}  # address -> packets with the port that they came in by

    def connected(self, datapath):
        parser, proto = datapath.ofproto_parser, datapath.ofproto
        to_us = parser.OFPActionOutput(proto.OFPP_CONTROLLER, proto.OFPCML_NO_BUFFER)
        reasons = 1 << proto.OFPR_NO_MATCH | 1 << proto.OFPR_ACTION | 1 << proto.OFPR_INVALID_TTL
        self.send(parser.OFPSetAsync(datapath, [reasons, 0], [7, 7], [15, 0]))
        self.flow(datapath, {"eth_type": ARP}, [self.apply(datapath, to_us)])
        self.flow(datapath, {"eth_type": IP}, [parser.OFPInstructionGotoTable(1)])
        for interface, _ in PORTS.values():
            self.flow(datapath, {"eth_type": IP, "ipv4_dst": str(interface.ip)}, [self.apply(datapath, to_us)], priority=3)
            network = str(interface.network.network_address), str(interface.network.netmask)
            self.flow(datapath, {"eth_type": IP, "ipv4_dst": network}, [self.apply(datapath, to_us)], table=1)

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def on_packet_in(self, event):
        message = event.msg
        port, data = message.match["in_port"], packet.Packet(message.data)
        self.tell("packet-in", port=port, table=message.table_id, reason=message.reason, cookie=message.cookie)
        ip = data.get_protocol(ipv4.ipv4)
        if data.get_protocol(arp.arp):
            self.on_arp(message.datapath, port, data.get_protocol(arp.arp))
        elif ip and message.reason == message.datapath.ofproto.OFPR_INVALID_TTL:
            self.answer(message.datapath, port, data, icmp.ICMP_TIME_EXCEEDED, icmp.TimeExceeded(
                data=message.data[14 : 14 + 28]), str(PORTS[port][0].ip))
        elif ip and any(ip.dst == str(interface.ip) for interface, _ in PORTS.values()):
            echo = data.get_protocol(icmp.icmp)
            if echo and echo.type == icmp.ICMP_ECHO_REQUEST:
                self.answer(message.datapath, port, data, icmp.ICMP_ECHO_REPLY, echo.data, ip.dst)
        elif ip:
            self.on_unresolved(message.datapath, port, ip, message.data)

    def on_arp(self, datapath, port, request):
        interface, mac = PORTS[port]
        if ipaddress.ip_address(request.src_ip) not in interface.network:
            return
        self.resolved(datapath, port, request.src_ip, request.src_mac)
        if request.opcode == arp.ARP_REQUEST and request.dst_ip == str(interface.ip):
            self.emit(datapath, port, ethernet.ethernet(request.src_mac, mac, ARP), arp.arp(
                opcode=arp.ARP_REPLY, src_mac=mac, src_ip=str(interface.ip), dst_mac=request.src_mac,
                dst_ip=request.src_ip))

    def resolved(self, datapath, port, address, mac):
        parser, proto = datapath.ofproto_parser, datapath.ofproto
        if self.neighbours.get(address) != mac:
            self.neighbours[address] = mac
            self.flow(datapath, {"eth_type": IP, "ipv4_dst": address}, [self.apply(
                datapath, parser.OFPActionDecNwTtl(), parser.OFPActionSetField(eth_src=PORTS[port][1]),
                parser.OFPActionSetField(eth_dst=mac), parser.OFPActionOutput(port))], priority=2, table=1, cookie=port)
            self.tell("resolved", address=address, mac=mac)
        for in_port, data in self.waiting.pop(address, []):
            self.packet_out(datapath, data, in_port, parser.OFPActionOutput(proto.OFPP_TABLE))

    def on_unresolved(self, datapath, in_port, ip, data):
        for port, (interface, mac) in PORTS.items():
            if ipaddress.ip_address(ip.dst) in interface.network:
                self.waiting.setdefault(ip.dst, []).append((in_port, data))
                self.emit(datapath, port, ethernet.ethernet(BROADCAST, mac, ARP), arp.arp(
                    opcode=arp.ARP_REQUEST, src_mac=mac, src_ip=str(interface.ip), dst_mac="00:00:00:00:00:00",
                    dst_ip=ip.dst))

    def answer(self, datapath, port, data, kind, body, source):
        eth, ip = data.get_protocol(ethernet.ethernet), data.get_protocol(ipv4.ipv4)
        self.emit(datapath, port, ethernet.ethernet(eth.src, PORTS[port][1], IP),
                  ipv4.ipv4(src=source, dst=ip.src, proto=ICMP), icmp.icmp(type_=kind, data=body))

    def emit(self, datapath, port, *headers):
        out = packet.Packet()
        for header in headers:
            out.add_protocol(header)
        out.serialize()
        self.packet_out(datapath, out.data, datapath.ofproto.OFPP_CONTROLLER, datapath.ofproto_parser.OFPActionOutput(port))

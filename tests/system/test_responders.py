# SPDX-License-Identifier: Apache-2.0
"""Rules that answer in the place of others, as Neutron's agents install them.

    guest a --- vhost-user a --- [br0] --- vhost-user b --- guest b
"""

import re

from lab import Netns, VhostGuest, Weft, ovs_ofctl, wait_for
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import ARP, Ether
from scapy.layers.vxlan import VXLAN

EVERYBODY, GATEWAY = "ff:ff:ff:ff:ff:ff", "02:00:00:00:00:fe"
# What Neutron's Open vSwitch agent writes into br-tun for each address of another host.
ARP_RESPONDER = (
    "table=21,priority=1,arp,dl_vlan=7,arp_tpa=10.0.0.254 "
    "actions=load:0x2->NXM_OF_ARP_OP[],move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[],"
    "move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[],load:0x0200000000fe->NXM_NX_ARP_SHA[],"
    "load:0x0a0000fe->NXM_OF_ARP_SPA[],move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],"
    "mod_dl_src:02:00:00:00:00:fe,strip_vlan,IN_PORT"
)


def test_arp_responder(lab):
    """Asked by ARP the switch answers, byte for byte, whoever asks; other questions go on to the other guest."""
    weft = Weft(lab).start()
    weft.cli("switch", "add", "br0", "fail-mode=secure")
    for name in "ab":
        weft.cli("port", "add", "br0", name, "type=vhost-user")
    a, b = (VhostGuest(lab, weft.vhost_path(name)).open() for name in "ab")
    ovs_ofctl(weft, "add-flow", "br0", "table=0,in_port=1,actions=mod_vlan_vid:7,resubmit(,21)")
    ovs_ofctl(weft, "add-flow", "br0", ARP_RESPONDER)
    ovs_ofctl(weft, "add-flow", "br0", "table=21,priority=0,dl_vlan=7,actions=strip_vlan,output:2")
    for number in range(1, 5):
        mac, address = f"02:00:00:00:00:{number:02x}", f"10.0.0.{number}"
        for _ in range(2):  # the first is translated, the second meets the flow
            a.send(Ether(src=mac, dst=EVERYBODY) / ARP(op=1, hwsrc=mac, psrc=address, pdst="10.0.0.254"))
            answer = ARP(op=2, hwsrc=GATEWAY, psrc="10.0.0.254", hwdst=mac, pdst=address)
            assert a.receive() == bytes(Ether(src=GATEWAY, dst=mac) / answer)
        asked = Ether(src=mac, dst=EVERYBODY) / ARP(op=1, hwsrc=mac, psrc=address, pdst="10.0.0.7")
        a.send(asked)
        assert b.receive() == bytes(asked)
    assert a.poll() is None and b.poll() is None
    weft.stop()


# Questions for the responder: those that tell an address.
ND_QUESTIONS = "priority=20,icmp6,icmpv6_type=135,icmpv6_code=0,nd_options_type=1 actions=resubmit(,21)"


def nd_responder(target, mac):
    """Makes of a solicitation the advertisement that answers it. In two tables: ovs-ofctl and Open vSwitch take a field of
    advertisements only where the match says that it is one."""
    return (
        f"table=21,icmp6,icmpv6_type=135,icmpv6_code=0,nd_target={target} "
        "actions=set_field:136->icmpv6_type,set_field:2->nd_options_type,set_field:0x60000000->nd_reserved,goto_table:22",
        f"table=22,icmp6,icmpv6_type=136,icmpv6_code=0,nd_target={target} "
        f"actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],set_field:{mac}->eth_src,"
        f"move:NXM_NX_IPV6_SRC[]->NXM_NX_IPV6_DST[],set_field:{target}->ipv6_src,set_field:{mac}->nd_tll,IN_PORT",
    )


def solicitation(mac, address, target, *options):
    ip = IPv6(src=address, dst="ff02::1:ff00:fe", hlim=255)
    return Ether(src=mac, dst="33:33:ff:00:00:fe") / ip / ICMPv6ND_NS(tgt=target) / b"".join(map(bytes, options))


def test_nd_responder(lab):
    """Asked by neighbour discovery the switch answers, byte for byte, whoever asks and whatever options stand beside the
    address; questions for others, and those that tell no address, go on to the other guest."""
    weft = Weft(lab).start()
    weft.cli("switch", "add", "br0", "fail-mode=secure")
    for name in "ab":
        weft.cli("port", "add", "br0", name, "type=vhost-user")
    a, b = (VhostGuest(lab, weft.vhost_path(name)).open() for name in "ab")
    for rule in (ND_QUESTIONS, *nd_responder("fd00::fe", GATEWAY), "table=21,priority=0,actions=output:2"):
        ovs_ofctl(weft, "add-flow", "br0", rule)
    ovs_ofctl(weft, "add-flow", "br0", "priority=1,in_port=1,actions=output:2")
    nonce, padding = bytes.fromhex("0e01112233445566"), bytes(range(8))
    for number in range(1, 5):
        mac, address = f"02:00:00:00:00:{number:02x}", f"fd00::{number}"
        own, theirs = ICMPv6NDOptSrcLLAddr(lladdr=mac), ICMPv6NDOptDstLLAddr(lladdr=GATEWAY)
        for before, behind in ((b"", b""), (nonce, b""), (b"", nonce)):
            for _ in range(2):  # the first may be translated, the second meets the flow
                a.send(solicitation(mac, address, "fd00::fe", before, own, behind))
                answer = ICMPv6ND_NA(tgt="fd00::fe", R=0, S=1, O=1) / (before + bytes(theirs) + behind)
                assert a.receive() == bytes(
                    Ether(src=GATEWAY, dst=mac) / IPv6(src="fd00::fe", dst=address, hlim=255) / answer)
        for asked in (solicitation(mac, address, "fd00::7", own), solicitation(mac, "::", "fd00::fe"),
                      solicitation(mac, address, "fd00::fe", padding)):
            a.send(asked)
            assert b.receive() == bytes(asked)
    assert a.poll() is None and b.poll() is None
    weft.stop()


def is_nd(frame):
    """Whether a frame of the tunnel holds a question or an answer of neighbour discovery."""
    packet = Ether(frame)
    return VXLAN in packet and (ICMPv6ND_NS in packet[VXLAN] or ICMPv6ND_NA in packet[VXLAN])


def test_nd_suppression(lab):
    """Guests of two hosts find each other by what their own hosts' rules answer: nothing of it crosses the overlay.

    guest 1 ---- [br0] t1 -> [under] ---- VXLAN ---- [under] <- t1 [br0] ---- guest 2
    """
    hosts = [Netns(lab, f"h{n}") for n in (1, 2)]
    guests = [Netns(lab, f"g{n}", ipv6=True) for n in (1, 2)]
    hosts[0].run("ip", "link", "add", "wire1", "type", "veth", "peer", "name", "wire2", "netns", hosts[1].name)
    wefts, wires, macs = [], [], ["02:00:00:00:01:01", "02:00:00:00:01:02"]
    for n in (1, 2):
        hosts[n - 1].run("ip", "link", "set", f"wire{n}", "up")
        weft = Weft(lab, name=f"weft{n}", netns=hosts[n - 1].name).start()
        weft.cli("switch", "add", "under")
        weft.cli("port", "add", "under", "ul0", "type=internal", f"ip=192.0.2.{n}/24")
        weft.cli("port", "add", "under", "up0", "type=af-packet", f"ifname=wire{n}", "underlay=yes")
        weft.cli("switch", "add", "br0", "fail-mode=secure")
        guest = guests[n - 1]
        weft.cli("port", "add", "br0", "vm", "type=veth", f"netns={guest.name}", "ifname=eth0")
        weft.cli("port", "add", "br0", "t1", "type=vxlan", f"remote=192.0.2.{3 - n}", "vni=5")
        guest.run("ip", "link", "set", "eth0", "address", macs[n - 1])
        guest.run("ip", "-6", "addr", "add", f"fd00::{n}/64", "dev", "eth0", "nodad")
        for rule in (
            ND_QUESTIONS,
            *nd_responder(f"fd00::{3 - n}", macs[2 - n]),
            "priority=10,icmp6,icmpv6_type=135,actions=drop",
            "priority=10,icmp6,icmpv6_type=136,actions=drop",
            "priority=1,in_port=vm,actions=output:t1",
            "priority=1,in_port=t1,actions=output:vm",
        ):
            weft.cli("flow", "add", "br0", rule)
        wefts.append(weft)
        wires.append(hosts[n - 1].packets(f"wire{n}"))
    for n in (1, 2):
        wait_for(f"an answer to guest {n}", lambda: " 0% packet loss" in guests[n - 1].run(
            "ping", "-6", "-c", "1", "-W", "1", f"fd00::{3 - n}", check=False), 60)
        assert macs[2 - n] in guests[n - 1].run("ip", "-6", "neigh", "show", f"fd00::{3 - n}")
    for wire in wires:
        frames = wire.receive_all()
        assert [frame for frame in frames if VXLAN in Ether(frame) and ICMPv6EchoRequest in Ether(frame)]
        assert not [frame for frame in frames if is_nd(frame)]
    for weft in wefts:
        rules = weft.cli("flow", "list", "br0", "table=22")
        assert re.search(r"n_packets=[1-9]\d*", rules), rules
        weft.stop()

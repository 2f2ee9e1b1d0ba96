# SPDX-License-Identifier: Apache-2.0
"""Options of Geneve as fields of rules, to and from Open vSwitch's userspace datapath.

    guest ---- veth vm [br0] t1                             tun [br-int, Open vSwitch]
                         :                                   :
       ul0 [under] up0 ---- eth0 [br-phy, Open vSwitch] --- br-phy
    192.0.2.1                                              192.0.2.2
"""

import re

from lab import Capture, Netns, OpenVSwitch, Weft, ovs_ofctl, wait_for
from lab.capture import IN, OUT

VNI = 5
MAPS = "{class=0x102,type=0x80,len=4}->tun_metadata0,{class=0x102,type=0x1,len=8}->tun_metadata1"
FAR_MAPS = "{class=0x102,type=0x80,len=4}->tun_metadata7,{class=0x102,type=0x1,len=8}->tun_metadata8"


def frame(number):
    return bytes.fromhex("020000000002020000000001" "88b5") + bytes([number]) * 60


def geneve(packet, inner):
    """Flags, and options (class, type, data) in the order of class and type, of a Geneve packet that holds inner."""
    assert packet[12:14] == b"\x08\x00" and packet[23] == 17
    udp = packet[14 + 4 * (packet[14] & 15):]
    assert udp[2:4] == (6081).to_bytes(2, "big")
    header = udp[8:]
    end = 8 + 4 * (header[0] & 63)
    assert header[0] >> 6 == 0 and header[2:4] == b"\x65\x58" and header[4:8] == (VNI << 8).to_bytes(4, "big")
    assert header[end:] == inner
    options, at = [], 8
    while at < end:
        length = 4 * header[at + 3]
        assert header[at + 3] < 32
        options.append((int.from_bytes(header[at:at + 2], "big"), header[at + 2], header[at + 4:at + 4 + length].hex()))
        at += 4 + length
    assert at == end
    return header[1], sorted(options)


class Overlay:
    """Weft and Open vSwitch of the drawing."""

    def __init__(self, lab):
        self.far, self.guest, host = Netns(lab, "far"), Netns(lab, "guest"), Netns(lab, "host")
        self.weft = weft = Weft(lab, netns=host.name).start()
        weft.cli("switch", "add", "under")
        weft.cli("port", "add", "under", "ul0", "type=internal", "ip=192.0.2.1/24")
        weft.cli("port", "add", "under", "up0", "type=veth", f"netns={self.far.name}", "ifname=eth0", "underlay=yes")
        weft.cli("switch", "add", "br0", "fail-mode=secure")
        weft.cli("port", "add", "br0", "vm", "type=veth", f"netns={self.guest.name}", "ifname=eth0")
        self.ovs = ovs = OpenVSwitch(lab, self.far)
        for name in ("br-phy", "br-int"):
            ovs.vsctl("add-br", name, "--", "set", "bridge", name, "datapath_type=netdev",
                      "protocols=OpenFlow10,OpenFlow13")
        self.far.run("ip", "addr", "add", "192.0.2.2/24", "dev", "br-phy")
        self.far.run("ip", "link", "set", "br-phy", "up")
        ovs.vsctl("set-fail-mode", "br-int", "secure")
        ovs.vsctl("add-port", "br-int", "tun", "--", "set", "interface", "tun", "type=geneve",
                  "options:remote_ip=192.0.2.1", f"options:key={VNI}", "ofport_request=1")
        weft.cli("port", "add", "br0", "t1", "type=geneve", "remote=192.0.2.2", f"vni={VNI}")
        self.host = host
        self.plug()

    def plug(self):
        """The devices that Weft has made come into use; then the ends know each other's addresses."""
        wait_for("Weft's ports", lambda: self.guest.has_link("eth0") and self.far.has_link("eth0"), 60)
        self.inside = self.guest.packets("eth0")
        self.ovs.vsctl("--if-exists", "del-port", "eth0", "--", "add-port", "br-phy", "eth0")
        for netns, address in ((self.host, "192.0.2.2"), (self.far, "192.0.2.1")):
            wait_for(f"{address} answers", lambda: " 0% packet loss" in netns.run(
                "ping", "-c", "1", "-W", "1", address, check=False), 60)

    def ofctl(self, command, *words):
        return self.far.run("ovs-ofctl", "-O", "OpenFlow13", command, f"unix:{self.ovs.dir}/br-int.mgmt", *words,
                            env=self.ovs.env)

    def exchange(self, number):
        """A frame of the guest's, and what Open vSwitch makes of it; then the Geneve packets of both, as they were on the
        wire. The first may be lost while a tunnel is not up."""
        capture = Capture(self.weft, "up0", "udp", "port", "6081")
        answer = None

        def there():
            nonlocal answer
            self.inside.send(frame(number))
            answer = self.inside.poll(2, accept=lambda data: data == frame(number))
            return answer is not None

        wait_for("the frame comes back", there, 60)
        packets = capture.stop().packets
        return [geneve([p.data for p in packets if p.direction == way and p.data.endswith(frame(number))][-1],
                       frame(number)) for way in (OUT, IN)]


def words(rules):
    """Tables, matches and actions of a list of rules."""
    return sorted(re.sub(r"(cookie|duration|n_packets|n_bytes|idle_age)=[^ ]*,", "", line).split() for line in rules.splitlines())


def test_options_to_and_from_open_vswitch(lab):
    """Weft sets options, Open vSwitch matches them, bits of one under a mask, and answers with others, which Weft matches
    by mask, moves and drops; the mapping of fields differs on both sides. Restarts of either daemon change nothing."""
    net = Overlay(lab)
    weft = net.weft
    ovs_ofctl(weft, "add-tlv-map", "br0", MAPS)
    net.ofctl("add-tlv-map", FAR_MAPS)
    weft.cli("flow", "add", "br0", "in_port=vm,actions=set_field:0x11223344->tun_metadata0,"
             "load:0x0102030405060708->NXM_NX_TUN_METADATA1[],output:t1")
    net.ofctl("add-flow", "priority=9,in_port=1,tun_metadata7=0x11220000/0xffff0000,tun_metadata8=0x0102030405060708,"
              "actions=move:NXM_NX_TUN_METADATA7[0..15]->NXM_NX_TUN_METADATA8[48..63],set_field:0xaabbccdd->tun_metadata7,"
              "IN_PORT")
    for rule in ("table=0,priority=9,in_port=t1,tun_metadata0=0xaa00cc00/0xff00ff00,"
                 "actions=move:NXM_NX_TUN_METADATA1[48..63]->NXM_NX_REG0[0..15],goto_table:1",
                 "table=1,reg0=0x3344,tun_metadata1=0x3344030405060708,actions=output:vm"):
        weft.cli("flow", "add", "br0", rule)
    there = (0x40, [(0x102, 0x01, "0102030405060708"), (0x102, 0x80, "11223344")])
    back = (0x40, [(0x102, 0x01, "3344030405060708"), (0x102, 0x80, "aabbccdd")])
    assert net.exchange(1) == [there, back]
    listed = weft.cli("tlv", "list", "br0", json=True)
    assert listed == [
        {"switch": "br0", "field": "tun_metadata0", "class": "0x102", "type": "0x80", "length": 4},
        {"switch": "br0", "field": "tun_metadata1", "class": "0x102", "type": "0x1", "length": 8},
    ]
    traced = weft.cli("trace", "br0", "in_port=t1,tun_metadata0=0xaabbccdd,tun_metadata1=0x3344030405060708")
    assert "tun_metadata0=0xaa00cc00/0xff00ff00" in traced and "reg0=0x3344" in traced and "output:vm" in traced
    rules = weft.cli("flow", "list", "br0")
    weft.stop_agent()
    weft.start_agent()
    assert weft.cli("tlv", "list", "br0", json=True) == listed
    assert net.exchange(2) == [there, back]
    weft.kill_datapath()
    weft.start_datapath()
    net.plug()
    assert net.exchange(3) == [there, back]
    assert weft.cli("tlv", "list", "br0", json=True) == listed
    assert words(weft.cli("flow", "list", "br0")) == words(rules)
    weft.stop()

# SPDX-License-Identifier: Apache-2.0
"""VXLAN's extensions, with the kernel's devices at the other end: group policy (GBP) and VXLAN-GPE.

    guest ---- veth vm [br0] t1 (vxlan) : ul0 [under] up0 ---- eth0, far's kernel ---- vx0
                               192.0.2.1, 2001:db8::1          192.0.2.2, 2001:db8::2
"""

import socket
import struct

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from test_tunnel_ports import BACK, INNER, Hosts, outer_of

FAMILIES = (("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2"))
ETH_P_ALL, ETH_P_TEB = 3, 0x6558
SO_RCVMARK = 75
# How the kernel's marks hold a group's flags (include/net/vxlan.h).
DONT_LEARN, APPLIED = 0x400000, 0x080000


class Device:
    """A packet socket at the kernel's VXLAN device, that sends with a mark and tells the mark of what comes."""

    def __init__(self, lab, netns, kind):
        self.socket = netns.socket(socket.AF_PACKET, kind, socket.htons(ETH_P_ALL))
        lab.defer(self.socket.close)
        self.socket.bind(("vx0", ETH_P_ALL))
        self.socket.settimeout(3)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVMARK, 1)

    def send(self, frame, mark):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        self.socket.send(frame)

    def receive(self, frame):
        """(mark, Ethernet type) of the next packet of those bytes."""
        while True:
            data, control, _, address = self.socket.recvmsg(4096, 256)
            if data == frame:
                marks = [struct.unpack("I", value)[0] for level, kind, value in control
                         if (level, kind) == (socket.SOL_SOCKET, socket.SO_MARK)]
                return (marks or [0])[0], address[1]


def tunnel_drops(hosts):
    return {key: n for key, n in hosts.drops().items() if "tunnel" in key[1] or "cap" in key[1]}


@pytest.mark.parametrize("local,remote", FAMILIES)
def test_group_policy_with_the_kernel(lab, local, remote):
    """A rule's group is the mark of the packet that the kernel gets, and the kernel's mark is a group that rules match."""
    hosts = Hosts(lab)
    hosts.remote.run("ip", "link", "add", "vx0", "type", "vxlan", "id", "5", "local", remote, "remote", local,
                     "dstport", "4789", "gbp")
    hosts.remote.run("ip", "link", "set", "vx0", "up")
    hosts.cli("port", "add", "br0", "t1", "type=vxlan", f"remote={remote}", "vni=5", "gbp=yes")
    hosts.wait_ready()
    hosts.cli("flow", "del", "br0")
    guest, wire = hosts.guest.packets("eth0"), hosts.remote.packets("eth0")
    device = Device(lab, hosts.remote, socket.SOCK_RAW)
    for actions, header, mark in (
        ("", "08000000", 0),
        ("set_field:0x4321->tun_gbp_id,", "88004321", 0x4321),
        ("set_field:0xffff->tun_gbp_id,set_field:0x48->tun_gbp_flags,", "8848ffff", DONT_LEARN | APPLIED | 0xFFFF),
        ("set_field:0x8->tun_gbp_flags,", "88080000", APPLIED),
    ):
        hosts.cli("flow", "add", "br0", f"in_port=vm,actions={actions}output:t1")
        guest.send(INNER)
        frame = wire.receive(accept=lambda f: outer_of(f) and f.endswith(INNER))
        assert frame[-len(INNER) - 8:-len(INNER)].hex() == header + "00000500"
        assert device.receive(INNER)[0] == mark
    # Back: one group goes to the guest, no other.
    hosts.cli("flow", "add", "br0", "in_port=t1,tun_gbp_id=0xabcd,tun_gbp_flags=0x8/0x8,actions=output:vm")
    for mark in (0, 0xABCC, 0xABCD, 0xABCD | DONT_LEARN, 0xABCD | APPLIED):
        device.send(BACK[:-4] + struct.pack("!I", mark), mark)
    assert guest.receive() == BACK[:-4] + struct.pack("!I", 0xABCD | APPLIED)
    assert guest.poll(0.2) is None and not tunnel_drops(hosts)
    hosts.weft.stop()


def test_gpe_with_the_kernel(lab):
    """The kernel's GPE device has no Ethernet of its own: it gets our frames whole, as such, and sends IP."""
    hosts = Hosts(lab)
    hosts.remote.run("ip", "link", "add", "vx0", "type", "vxlan", "external", "gpe", "dstport", "4790", "local", "192.0.2.2")
    hosts.remote.run("ip", "link", "set", "vx0", "up")
    hosts.remote.run("ip", "addr", "add", "10.0.0.2/32", "dev", "lo")
    hosts.remote.run("ip", "route", "add", "10.0.0.0/24", "encap", "ip", "id", "5", "dst", "192.0.2.1", "dev", "vx0")
    hosts.cli("port", "add", "br0", "t1", "type=vxlan", "remote=192.0.2.2", "vni=5", "gpe=yes")
    hosts.wait_ready()
    hosts.cli("flow", "del", "br0")
    hosts.cli("flow", "add", "br0", "in_port=vm,actions=output:t1")
    mac = hosts.mac(hosts.guest, "eth0")
    hosts.cli("flow", "add", "br0", f"in_port=t1,ip,actions=set_field:{mac}->eth_dst,output:vm")
    guest, wire = hosts.guest.packets("eth0"), hosts.remote.packets("eth0")
    device = Device(lab, hosts.remote, socket.SOCK_DGRAM)
    guest.send(INNER)
    packet = Ether(wire.receive(accept=lambda f: f.endswith(INNER)))
    assert (packet[IP].src, packet[UDP].dport, bytes(packet[UDP].payload)) == (
        "192.0.2.1", 4790, bytes.fromhex("0c00000300000500") + INNER)
    assert device.receive(INNER)[1] == ETH_P_TEB
    with hosts.remote.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("10.0.0.2", 7))
        sender.sendto(b"from the kernel", ("10.0.0.1", 9))
    got = Ether(guest.receive(accept=lambda f: f.endswith(b"from the kernel")))
    assert (got.dst, got.src, got.type) == (mac, "00:00:00:00:00:00", 0x0800)
    assert (got[IP].src, got[IP].dst, got[UDP].sport, got[UDP].dport) == ("10.0.0.2", "10.0.0.1", 7, 9)
    assert not tunnel_drops(hosts)
    hosts.weft.stop()

# SPDX-License-Identifier: Apache-2.0
"""Tunnels to Open vSwitch's userspace datapath, and from Weft to Weft.

    guest ---- veth vm [br0] t1                                       tun [br-int] --- br-int, the far host's
    10.0.0.1             :                                             :               10.0.0.2
           ul0 [under] up0 ---- eth0 [br-phy, Open vSwitch] --- br-phy, the far host's
    192.0.2.1, 2001:db8::1                                      192.0.2.2, 2001:db8::2
"""

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6, in6_chksum
from scapy.layers.l2 import Ether
from scapy.utils import checksum

from lab import Netns, OpenVSwitch, Weft, wait_for

INNER = bytes.fromhex("020000000002020000000001" "88b5") + bytes(range(100))
ENDS = {4: ("192.0.2.1", "192.0.2.2"), 6: ("2001:db8::1", "2001:db8::2")}
# UDP port, and the header for network 5.
HEADERS = {
    "vxlan": (4789, "0800000000000500"),
    "vxlan gpe": (4790, "0c00000300000500"),
    "geneve": (6081, "0000655800000500"),
}


def near(lab, far):
    """Weft with an underlay switch whose uplink is eth0 of the namespace far, and a guest."""
    host, guest = Netns(lab, "host", ipv6=True), Netns(lab, "guest")
    weft = Weft(lab, netns=host.name).start()
    weft.cli("switch", "add", "under")
    weft.cli("port", "add", "under", "ul0", "type=internal", f"ip={ENDS[4][0]}/24,{ENDS[6][0]}/64")
    weft.cli("port", "add", "under", "up0", "type=veth", f"netns={far.name}", "ifname=eth0", "underlay=yes")
    weft.cli("switch", "add", "br0")
    weft.cli("port", "add", "br0", "vm", "type=veth", f"netns={guest.name}", "ifname=eth0", "ip=10.0.0.1/24")
    return weft, guest


def open_vswitch(lab, far):
    """Open vSwitch in far, where near()'s wire ends: br-phy has the outer addresses, br-int the inner one."""
    ovs = OpenVSwitch(lab, far)
    for name, addresses in (("br-phy", (f"{ENDS[4][1]}/24", f"{ENDS[6][1]}/64")), ("br-int", ("10.0.0.2/24",))):
        ovs.vsctl("add-br", name, "--", "set", "bridge", name, "datapath_type=netdev")
        for address in addresses:
            far.run("ip", "addr", "add", address, "dev", name, *(["nodad"] if ":" in address else []))
        far.run("ip", "link", "set", name, "up")
    ovs.vsctl("add-port", "br-phy", "eth0")
    return ovs


def wait_reaches(netns, address):
    """Until a ping is answered: the far ends of a tunnel find each other when both are there."""
    wait_for(f"an answer from {address}", lambda: " 0% packet loss" in netns.run(
        "ping", "-c", "1", "-W", "1", "-s", "1000", address, check=False), 60)


def check_headers(kind, frame):
    """What stands between the underlay's Ethernet header and the guest's frame."""
    packet = Ether(frame)
    if packet.type == 0x0800:
        ip, size = packet[IP], 20
        assert (ip.version, ip.ihl, ip.src, ip.dst, ip.ttl, ip.flags, ip.frag, ip.tos, ip.len) == (
            4, 5, *ENDS[4], 64, "DF", 0, 0, len(frame) - 14)
        assert checksum(bytes(ip)[:20]) == 0
        proto = ip.proto
    else:
        ip, size = packet[IPv6], 40
        assert (ip.version, ip.tc, ip.fl, ip.src, ip.dst, ip.hlim, ip.plen) == (6, 0, 0, *ENDS[6], 64, len(frame) - 54)
        proto = ip.nh
    behind = frame[14 + size:]
    if kind == "gre":
        assert proto == 47 and behind == bytes.fromhex("2000655800000005") + INNER
        return
    udp = UDP(behind)
    assert proto == 17 and udp.sport >= 49152 and udp.len == len(behind) == 16 + len(INNER)
    if size == 20:
        assert udp.chksum == 0
    else:
        assert udp.chksum and in6_chksum(17, ip, behind) == 0
    port, header = HEADERS[kind]
    assert udp.dport == port and behind[8:16] == bytes.fromhex(header)
    assert behind[16:] == INNER


@pytest.mark.parametrize("family", (4, 6))
def test_tunnel_to_open_vswitch(lab, family):
    far = Netns(lab, "far", ipv6=True)
    weft, guest = near(lab, far)
    ovs = open_vswitch(lab, far)
    inside, wire = guest.packets("eth0"), far.packets("eth0")
    local, remote = ENDS[family]
    for kind, settings, options in (
        ("vxlan", (), ()),
        ("vxlan gpe", ("gpe=yes",), ("options:exts=gpe", "options:dst_port=4790")),
        ("vxlan", ("gbp=yes",), ()),  # Open vSwitch 3.1 takes group policy in the kernel's datapath alone
        ("geneve", (), ()),
        ("gre", (), ()),
    ):
        ovs.vsctl("add-port", "br-int", "tun", "--", "set", "interface", "tun", f"type={kind.split()[0]}",
                  f'options:remote_ip="{local}"', "options:key=5", *options)
        weft.cli("port", "add", "br0", "t1", f"type={kind.split()[0]}", f"remote={remote}", "vni=5", *settings)
        for netns, address in ((guest, "10.0.0.2"), (far, "10.0.0.1")):
            wait_reaches(netns, address)
        wire.flush()
        inside.send(INNER)
        check_headers(kind, wire.receive(accept=lambda frame: frame.endswith(INNER)))
        weft.cli("port", "del", "br0", "t1")
        ovs.vsctl("del-port", "tun")
    assert not [row for row in weft.cli("drops", json=True) if "cap" in row["reason"] or "tunnel" in row["reason"]]
    weft.stop()


KINDS = (
    ("type=vxlan", "vni=5"),
    ("type=vxlan", "vni=5", "gpe=yes"),
    ("type=vxlan", "vni=5", "gbp=yes", "csum=yes", "tos=inherit", "ttl=inherit"),
    ("type=geneve", "vni=5", "df=no", "too-long=fragment"),
    ("type=gre", "csum=yes"),
    ("type=gre", "vni=4294967295"),
)


@pytest.mark.parametrize("family", (4, 6))
def test_tunnel_between_two_wefts(lab, family):
    """The same as above with Weft at both ends: uplinks up0 and up1 are the two ends of a veth."""
    guests, wefts = [], []
    hosts = [Netns(lab, f"h{n}", ipv6=True) for n in (1, 2)]
    hosts[0].run("ip", "link", "add", "wire1", "type", "veth", "peer", "name", "wire2", "netns", hosts[1].name)
    for n in (1, 2):
        host, guest = hosts[n - 1], Netns(lab, f"g{n}")
        host.run("ip", "link", "set", f"wire{n}", "up")
        weft = Weft(lab, name=f"weft{n}", netns=host.name).start()
        weft.cli("switch", "add", "under")
        weft.cli("port", "add", "under", "ul0", "type=internal", f"ip={ENDS[4][n - 1]}/24,{ENDS[6][n - 1]}/64")
        weft.cli("port", "add", "under", "up0", "type=af-packet", f"ifname=wire{n}", "underlay=yes")
        weft.cli("switch", "add", "br0")
        weft.cli("port", "add", "br0", "vm", "type=veth", f"netns={guest.name}", "ifname=eth0", f"ip=10.0.0.{n}/24")
        guests.append(guest)
        wefts.append(weft)
    for settings in KINDS:
        for n in (0, 1):
            wefts[n].cli("port", "add", "br0", "t1", f"remote={ENDS[family][1 - n]}", *settings)
        for n in (0, 1):
            wait_reaches(guests[n], f"10.0.0.{2 - n}")
        for weft in wefts:
            shown = weft.cli("port", "show", "t1", json=True)
            assert min(shown["rx_packets"], shown["tx_packets"]) >= 2
            weft.cli("port", "del", "br0", "t1")
    for weft in wefts:
        assert not [row for row in weft.cli("drops", json=True) if "cap" in row["reason"]]
        weft.stop()

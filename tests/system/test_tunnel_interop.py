# SPDX-License-Identifier: Apache-2.0
"""Tunnels to Open vSwitch's userspace datapath, and from Weft to Weft.

    guest ---- veth vm [br0] t1                                       tun [br-int] --- br-int, the far host's
    10.0.0.1             :                                             :               10.0.0.2
           ul0 [under] up0 ---- eth0 [br-phy, Open vSwitch] --- br-phy, the far host's
    192.0.2.1                                                   192.0.2.2
"""

from scapy.contrib.geneve import GENEVE
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import GRE, Ether
from scapy.layers.vxlan import VXLAN

from lab import Netns, OpenVSwitch, Weft, wait_for

INNER = bytes.fromhex("020000000002020000000001" "88b5") + bytes(range(100))


def near(lab, far):
    """Weft with an underlay switch whose uplink is eth0 of the namespace far, and a guest."""
    host, guest = Netns(lab, "host"), Netns(lab, "guest")
    weft = Weft(lab, netns=host.name).start()
    weft.cli("switch", "add", "under")
    weft.cli("port", "add", "under", "ul0", "type=internal", "ip=192.0.2.1/24")
    weft.cli("port", "add", "under", "up0", "type=veth", f"netns={far.name}", "ifname=eth0", "underlay=yes")
    weft.cli("switch", "add", "br0")
    weft.cli("port", "add", "br0", "vm", "type=veth", f"netns={guest.name}", "ifname=eth0", "ip=10.0.0.1/24")
    return weft, guest


def wait_reaches(netns, address):
    """Until a ping is answered: the far ends of a tunnel find each other when both are there."""
    wait_for(f"an answer from {address}", lambda: " 0% packet loss" in netns.run(
        "ping", "-c", "1", "-W", "1", "-s", "1000", address, check=False), 60)


def check_headers(kind, frame):
    """What stands between the underlay's Ethernet header and the guest's frame."""
    packet = Ether(frame)
    ip = packet[IP]
    assert (ip.src, ip.dst, ip.ttl, ip.flags, ip.len) == ("192.0.2.1", "192.0.2.2", 64, "DF", len(frame) - 14)
    if kind == "gre":
        gre = packet[GRE]
        assert (ip.proto, gre.version, gre.proto, gre.chksum_present, gre.key_present, gre.seqnum_present, gre.key) == (
            47, 0, 0x6558, 0, 1, 0, 5)
        assert frame[14 + 20 + 8:] == INNER
        return
    udp = packet[UDP]
    assert ip.proto == 17 and udp.sport >= 49152 and udp.len == 16 + len(INNER)
    assert frame[14 + 20 + 16:] == INNER
    if kind == "geneve":
        geneve = packet[GENEVE]
        assert (udp.dport, geneve.version, geneve.optionlen, geneve.oam, geneve.critical, geneve.proto, geneve.vni) == (
            6081, 0, 0, 0, 0, 0x6558, 5)
    else:
        assert udp.dport == 4789 and packet[VXLAN].vni == 5 and bytes(udp.payload)[:4] == bytes.fromhex("08000000")


def test_tunnel_to_open_vswitch(lab):
    far = Netns(lab, "far")
    weft, guest = near(lab, far)
    ovs = OpenVSwitch(lab, far)
    for name, address in (("br-phy", "192.0.2.2"), ("br-int", "10.0.0.2")):
        ovs.vsctl("add-br", name, "--", "set", "bridge", name, "datapath_type=netdev")
        far.run("ip", "addr", "add", f"{address}/24", "dev", name)
        far.run("ip", "link", "set", name, "up")
    ovs.vsctl("add-port", "br-phy", "eth0")
    inside, wire = guest.packets("eth0"), far.packets("eth0")
    for kind in ("vxlan", "geneve", "gre"):
        ovs.vsctl("add-port", "br-int", kind, "--", "set", "interface", kind, f"type={kind}",
                  "options:remote_ip=192.0.2.1", "options:key=5")
        weft.cli("port", "add", "br0", "t1", f"type={kind}", "remote=192.0.2.2", "vni=5")
        for netns, address in ((guest, "10.0.0.2"), (far, "10.0.0.1")):
            wait_reaches(netns, address)
        wire.flush()
        inside.send(INNER)
        check_headers(kind, wire.receive(accept=lambda frame: frame.endswith(INNER)))
        weft.cli("port", "del", "br0", "t1")
        ovs.vsctl("del-port", kind)
    assert not [row for row in weft.cli("drops", json=True) if "cap" in row["reason"]]
    weft.stop()


KINDS = (
    ("type=vxlan", "vni=5"),
    ("type=vxlan", "vni=5", "gpe=yes"),
    ("type=vxlan", "vni=5", "gbp=yes", "csum=yes", "tos=inherit", "ttl=inherit"),
    ("type=geneve", "vni=5", "df=no", "too-long=fragment"),
    ("type=gre", "csum=yes"),
    ("type=gre", "vni=4294967295"),
)


def test_tunnel_between_two_wefts(lab):
    """The same as above with Weft at both ends: uplinks up0 and up1 are the two ends of a veth."""
    guests, wefts = [], []
    hosts = [Netns(lab, f"h{n}") for n in (1, 2)]
    hosts[0].run("ip", "link", "add", "wire1", "type", "veth", "peer", "name", "wire2", "netns", hosts[1].name)
    for n in (1, 2):
        host, guest = hosts[n - 1], Netns(lab, f"g{n}")
        host.run("ip", "link", "set", f"wire{n}", "up")
        weft = Weft(lab, name=f"weft{n}", netns=host.name).start()
        weft.cli("switch", "add", "under")
        weft.cli("port", "add", "under", "ul0", "type=internal", f"ip=192.0.2.{n}/24")
        weft.cli("port", "add", "under", "up0", "type=af-packet", f"ifname=wire{n}", "underlay=yes")
        weft.cli("switch", "add", "br0")
        weft.cli("port", "add", "br0", "vm", "type=veth", f"netns={guest.name}", "ifname=eth0", f"ip=10.0.0.{n}/24")
        guests.append(guest)
        wefts.append(weft)
    for settings in KINDS:
        for n in (0, 1):
            wefts[n].cli("port", "add", "br0", "t1", f"remote=192.0.2.{2 - n}", *settings)
        for n in (0, 1):
            wait_reaches(guests[n], f"10.0.0.{2 - n}")
        for weft in wefts:
            shown = weft.cli("port", "show", "t1", json=True)
            assert min(shown["rx_packets"], shown["tx_packets"]) >= 2
            weft.cli("port", "del", "br0", "t1")
    for weft in wefts:
        assert not [row for row in weft.cli("drops", json=True) if "cap" in row["reason"]]
        weft.stop()

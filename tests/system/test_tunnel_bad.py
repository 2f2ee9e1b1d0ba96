# SPDX-License-Identifier: Apache-2.0
"""Tunnel packets that are wrong, as a broken or hostile far end sends them: each is counted once, under its reason.

    guest ---- veth vm [br0] one tunnel port of each kind : ul0 [under] up0 (underlay=yes) ---- eth0 of the far host
"""

from lab import Netns, Weft, wait_for
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from test_tunnel_headers import FAR, GUEST, Tunnel, inner

INNER = bytes(inner(None, 0, 0, 0x4242, FAR, GUEST))
ENDS4 = {"src": "192.0.2.2", "dst": "192.0.2.1"}
ENDS6 = {"src": "2001:db8::2", "dst": "2001:db8::1"}
GOOD = {4789: "0800000000000500", 6081: "0000655800000500", 4790: "0c00000300000500"}


def udp(port, header, payload=INNER, **fields):
    return UDP(**{"sport": 50000, "dport": port, "chksum": 0, **fields}) / Raw(bytes.fromhex(header) + payload)


def vxlan(ip, cut=None, payload=INNER, **fields):
    """With the IP header @ip. @cut: only so many bytes of the whole frame."""
    return ip / udp(4789, GOOD[4789], payload, **fields), cut


def over4(port, header, payload=INNER, **fields):
    return IP(**ENDS4) / udp(port, header, payload, **fields), None


def gre(header, payload=INNER):
    return IP(**ENDS4, proto=47) / Raw(bytes.fromhex(header) + payload), None


BAD, CHECKSUM, FRAGMENT = "decap-bad", "decap-checksum", "decap-fragment"
PROTOCOL, OPTION, RESERVED, UNKNOWN = "decap-protocol", "decap-option", "decap-reserved", "tunnel-unknown"
# Port that counts, reason, packet.
CASES = {
    "IPv4 length beyond the frame": ("up0", BAD, vxlan(IP(**ENDS4, len=1000))),
    "IPv4 header of 16 bytes": ("up0", BAD, vxlan(IP(**ENDS4, ihl=4))),
    "IPv4 cut": ("up0", BAD, vxlan(IP(**ENDS4), 14 + 12)),
    "UDP cut": ("up0", BAD, vxlan(IP(**ENDS4), 14 + 20 + 4)),
    "UDP cut, IPv4 length right": ("up0", BAD, (IP(**ENDS4, proto=17) / Raw(bytes(6)), None)),
    "VXLAN cut": ("up0", BAD, vxlan(IP(**ENDS4), 14 + 28 + 3)),
    "inner frame cut": ("up0", BAD, vxlan(IP(**ENDS4), 14 + 36 + 20)),
    "IPv6 cut": ("up0", BAD, vxlan(IPv6(**ENDS6), 14 + 30)),
    "IPv6 length beyond the frame": ("up0", BAD, vxlan(IPv6(**ENDS6, plen=900))),
    "IPv6 length 0": ("up0", BAD, vxlan(IPv6(**ENDS6, plen=0, nh=17))),
    "IPv4 checksum": ("up0", CHECKSUM, vxlan(IP(**ENDS4, chksum=0x1111))),
    "UDP checksum": ("up0", CHECKSUM, vxlan(IP(**ENDS4), chksum=0x1234)),
    "UDP checksum over IPv6": ("up0", CHECKSUM, vxlan(IPv6(**ENDS6), chksum=0x1234)),
    "first fragment": ("up0", FRAGMENT, vxlan(IP(**ENDS4, flags="MF"))),
    "first fragment over IPv6": ("up0", FRAGMENT, vxlan(IPv6(**ENDS6) / IPv6ExtHdrFragment(m=1))),
    "UDP length 7": ("up0", BAD, vxlan(IP(**ENDS4), len=7)),
    "UDP length beyond IP's": ("up0", BAD, vxlan(IP(**ENDS4), len=500)),
    "UDP length in the inner header": ("up0", BAD, vxlan(IP(**ENDS4), len=20)),
    "no VXLAN header": ("up0", BAD, over4(4789, "", b"")),
    "half a VXLAN header": ("up0", BAD, over4(4789, "08000000", b"")),
    "nothing in VXLAN": ("up0", BAD, over4(4789, GOOD[4789], b"")),
    "13 bytes in VXLAN": ("up0", BAD, over4(4789, GOOD[4789], bytes(13))),
    "VXLAN without VNI": ("up0", BAD, over4(4789, "0000000000000500")),
    "VXLAN with a reserved flag": ("up0", RESERVED, over4(4789, "1800000000000500")),
    "VXLAN-GPE on VXLAN's port": ("up0", RESERVED, over4(4789, "0c00000100000500")),
    "VXLAN with a reserved byte": ("up0", RESERVED, over4(4789, "0800000100000500")),
    "VXLAN with its last byte": ("up0", RESERVED, over4(4789, "0800000000000501")),
    "group policy with a reserved bit": ("up0", RESERVED, over4(4789, "8801123400000500")),
    "another VNI": ("t1", UNKNOWN, over4(4789, "0800000000000600")),
    "another remote": ("t1", UNKNOWN, vxlan(IP(src="192.0.2.3", dst="192.0.2.1"))),
    "the host's own address": ("t1", UNKNOWN, vxlan(IP(src="192.0.2.1", dst="192.0.2.1"))),
    "GPE of another version": ("up0", BAD, over4(4790, "1c00000300000500")),
    "GPE without VNI": ("up0", BAD, over4(4790, "0400000300000500")),
    "NSH in GPE": ("up0", PROTOCOL, over4(4790, "0c00000400000500")),
    "GPE with a reserved flag": ("up0", RESERVED, over4(4790, "4c00000300000500")),
    "GPE with a reserved byte": ("up0", RESERVED, over4(4790, "0c01000300000500")),
    "Geneve of another version": ("up0", BAD, over4(6081, "4000655800000500")),
    "Geneve options beyond the packet": ("up0", BAD, over4(6081, "3f00655800000500")),
    "Geneve option beyond the options": ("up0", BAD, over4(6081, "010065580000050001030001")),
    "Geneve with a protocol of nobody's": ("up0", PROTOCOL, over4(6081, "0000123400000500")),
    "Geneve option that must be understood": ("up0", OPTION, over4(6081, "014065580000050001038000")),
    "Geneve with another VNI": ("geneve", UNKNOWN, over4(6081, "0000655800000600")),
    "GRE of another version": ("up0", BAD, gre("2001655800000005")),
    "GRE with routing": ("up0", BAD, gre("6000655800000005")),
    "GRE with a reserved flag": ("up0", BAD, gre("2400655800000005")),
    "GRE cut": ("up0", BAD, gre("200065580000", b"")),
    "half a GRE header": ("up0", BAD, gre("2000", b"")),
    "GRE checksum": ("up0", CHECKSUM, gre("a00065581234000000000005")),
    "GRE with a protocol of nobody's": ("up0", PROTOCOL, gre("2000123400000005")),
    "GRE without key": ("gre", UNKNOWN, gre("00006558")),
}


def test_each_wrong_packet_has_its_reason(lab):
    tunnel = Tunnel(lab, *("192.0.2.1", "192.0.2.2"))
    for name, *settings in (
        ("gpe", "type=vxlan", "gpe=yes", "remote=192.0.2.2"),
        ("geneve", "type=geneve", "remote=192.0.2.2"),
        ("gre", "type=gre", "remote=192.0.2.2"),
        ("six", "type=vxlan", "remote=2001:db8::2"),
    ):
        tunnel.cli("port", "add", "br0", name, "vni=5", *settings)
        tunnel.cli("flow", "add", "br0", f"in_port={name},actions=output:vm")
    eth = Ether(dst=tunnel.ul0, src="02:00:00:00:00:66")
    kernel = tunnel.host.packets("ul0")

    def lost():
        return {key: n for key, n in tunnel.drops().items() if "cap" in key[1] or "tunnel" in key[1]}

    # As they should be they arrive.
    for packet, _ in (vxlan(IP(**ENDS4)), vxlan(IPv6(**ENDS6)), over4(6081, GOOD[6081]), over4(4790, GOOD[4790]), gre("2000655800000005")):
        tunnel.wire.send(eth / packet)
        assert tunnel.inside.receive(accept=lambda frame: frame == INNER) == INNER
    for name, (port, reason, (packet, cut)) in CASES.items():
        before = lost()
        for n in (1, 2):  # a miss, and the flow that it made
            expected = {**before, (port, reason): before.get((port, reason), 0) + n}
            tunnel.wire.send(bytes(eth / packet)[:cut])
            wait_for(lambda: f"{name}: {expected}, not {lost()}", lambda: lost() == expected)
    assert tunnel.inside.poll(0.2, accept=lambda frame: frame[12:14] == INNER[12:14]) is None
    sender = bytes.fromhex("020000000066")
    assert kernel.poll(accept=lambda frame: frame[6:12] == sender) is None  # none was left to the kernel
    tunnel.weft.stop()


def test_tunnel_over_itself(lab):
    """The way to the remote leads back into the tunnel, by one switch or by two whose underlay the other one is. Each
    frame goes out once, in one tunnel; the copy that was to go round is counted."""
    host, guests = Netns(lab, "host"), [Netns(lab, f"g{n}") for n in "01"]
    weft = Weft(lab, netns=host.name).start()
    for n in "01":
        weft.cli("switch", "add", f"br{n}")
        weft.cli("port", "add", f"br{n}", f"vm{n}", "type=veth", f"netns={guests[int(n)].name}", "ifname=eth0")
        weft.cli("port", "add", f"br{n}", f"ul{n}", "type=internal", f"ip=192.0.{n}.1/24")
        host.run("ip", "neigh", "replace", f"192.0.{n}.2", "lladdr", f"02:00:00:00:{n}:99", "dev", f"ul{n}", "nud", "permanent")
    frame = bytes(inner(None, 0, 0, 7, "02:00:00:00:00:01", "ff:ff:ff:ff:ff:ff"))
    wires = [guest.packets("eth0") for guest in guests]

    def lost():
        rows = weft.cli("drops", "vm0", json=True)
        return sum(row["packets"] for row in rows if row["reason"] == "tunnel-loop")

    def ready():
        return {row["state"] for row in weft.cli("tunnel", "list", json=True)} == {"ready"}

    def goes_round(outermost):
        """The frame of vm0 comes out at the wire outermost, in one tunnel."""
        wait_for(lambda: f"a way: {weft.cli('tunnel', 'list')}", ready)
        before = lost()
        for n in range(1, 4):
            wires[0].send(frame)
            got = wires[outermost].receive(accept=lambda got: got.endswith(frame))
            assert len(got) == len(frame) + 50 and got[36:38] == (4789).to_bytes(2, "big")
            wait_for(lambda: f"{n} lost, not {lost() - before}", lambda: lost() - before == n)
        assert wires[outermost].poll(0.2, accept=lambda got: got.endswith(frame)) is None

    weft.cli("port", "add", "br0", "t0", "type=vxlan", "remote=192.0.0.2", "vni=5")
    goes_round(0)
    weft.cli("port", "set", "t0", "remote=192.0.1.2")
    weft.cli("port", "add", "br1", "t1", "type=vxlan", "remote=192.0.0.2", "vni=6")
    goes_round(1)
    weft.stop()


def test_flood_with_remotes_out_of_reach(lab):
    """A copy that finds no way is counted under its reason, though others get theirs; and goes again when there is one."""
    tunnel = Tunnel(lab, "192.0.2.1", "192.0.2.2")
    tunnel.cli("port", "add", "br0", "t2", "type=vxlan", "remote=203.0.113.9", "vni=5")
    tunnel.cli("port", "add", "br0", "t3", "type=vxlan", "remote=203.0.113.10", "vni=5")
    tunnel.host.run("ip", "link", "add", "dm0", "type", "veth", "peer", "name", "dm1")
    tunnel.host.run("ip", "link", "set", "dm0", "up")
    tunnel.host.run("ip", "link", "set", "dm1", "up")
    tunnel.host.run("ip", "route", "add", "203.0.113.10", "dev", "dm0")
    wait_for(lambda: f"states: {tunnel.tunnels()}", lambda: {row["port"]: row["state"] for row in tunnel.tunnels()} == {
        "t1": "ready", "t2": "no-route", "t3": "no-underlay"}, 20)
    tunnel.cli("group", "add", "br0", "group_id=1,type=all,bucket=output:t2,bucket=output:t1,bucket=output:t3")
    tunnel.cli("flow", "add", "br0", "in_port=vm,actions=group:1")

    def lost():
        return {key: n for key, n in tunnel.drops().items() if "tunnel" in key[1]}

    for n in (1, 2, 3):
        tunnel.go_out(INNER)
        expected = {("vm", "tunnel-no-route"): n, ("vm", "tunnel-no-underlay"): n}
        wait_for(lambda: f"{expected}, not {lost()}", lambda: lost() == expected)
    far = tunnel.mac(tunnel.remote, "eth0")
    tunnel.host.run("ip", "route", "replace", "203.0.113.0/24", "via", "192.0.2.2")
    tunnel.host.run("ip", "route", "del", "203.0.113.10", "dev", "dm0")

    def remotes():
        tunnel.wire.flush()
        tunnel.inside.send(INNER)
        frames = [Ether(frame) for frame in tunnel.wire.receive_all() if frame.endswith(INNER)]
        return {frame[IP].dst for frame in frames if frame.dst == far}

    wait_for("all three", lambda: remotes() == {"192.0.2.2", "203.0.113.9", "203.0.113.10"}, 20)
    tunnel.weft.stop()

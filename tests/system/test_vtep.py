# SPDX-License-Identifier: Apache-2.0
"""NORMAL on an overlay that no controller manages: addresses are learned behind remotes.

    guest 1 --- [br0] vx -> [under] up0 ---.
    guest 2 --- [br0] vx -> [under] up0 ---+--- bridge in a namespace of its own
    guest 3 --- bridge, VXLAN device of the kernel, with learning ---'
"""

from lab import Netns, Weft, wait_for
from scapy.layers.inet import IP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN

ADDRESSES = {n: f"192.0.2.{n}" for n in (1, 2, 3)}
MACS = {n: f"02:00:00:00:01:{n:02x}" for n in (1, 2, 3)}


def connect(lab):
    """Hosts with a device up0 each, and the wire between them."""
    wire = Netns(lab, "wire")
    wire.run("ip", "link", "add", "bridge0", "type", "bridge")
    wire.run("ip", "link", "set", "bridge0", "up")
    hosts = {n: Netns(lab, f"h{n}") for n in ADDRESSES}
    for n, host in hosts.items():
        wire.run("ip", "link", "add", f"w{n}", "type", "veth", "peer", "name", "up0", "netns", host.name)
        wire.run("ip", "link", "set", f"w{n}", "master", "bridge0", "up")
        host.run("ip", "link", "set", "up0", "up")
    return hosts


def others(n):
    return [address for other, address in ADDRESSES.items() if other != n]


def make_weft(lab, n, host, guest):
    weft = Weft(lab, name=f"weft{n}", netns=host.name).start()
    weft.cli("switch", "add", "under")
    weft.cli("port", "add", "under", "ul0", "type=internal", f"ip={ADDRESSES[n]}/24")
    weft.cli("port", "add", "under", "uplink", "type=af-packet", "ifname=up0", "underlay=yes")
    weft.cli("switch", "add", "br0")
    weft.cli("port", "add", "br0", "vm", "type=veth", f"netns={guest.name}", "ifname=eth0", "tag=7")
    weft.cli("port", "add", "br0", "vx", "type=vxlan", "remote=flow", "vni=5", f"flood={','.join(others(n))}", "tag=7")
    return weft


def make_kernel(n, host, guest):
    host.run("ip", "addr", "add", f"{ADDRESSES[n]}/24", "dev", "up0")
    host.run("ip", "link", "add", "vx", "type", "vxlan", "id", "5", "dstport", "4789", "local", ADDRESSES[n], "dev", "up0")
    for address in others(n):
        host.run("bridge", "fdb", "append", "00:00:00:00:00:00", "dev", "vx", "dst", address)
    host.run("ip", "link", "add", "bridge0", "type", "bridge")
    host.run("ip", "link", "add", "vm", "type", "veth", "peer", "name", "eth0", "netns", guest.name)
    for device in ("vx", "vm"):
        host.run("ip", "link", "set", device, "master", "bridge0", "up")
    host.run("ip", "link", "set", "bridge0", "up")


def remotes(weft):
    """Where a Weft knows guests to be behind its tunnel port. (There are the devices of host 3 itself, too.)"""
    rows = weft.cli("fdb", "list", "br0", json=True)
    return {row["mac"]: row["remote"] for row in rows if row["port"] == "vx" and row["mac"] in MACS.values()}


def pings(frames):
    """Outer addresses of the pings, or of their answers, that a host has received."""
    packets = [Ether(frame) for frame in frames]
    return [(p[IP].src, p[IP].dst) for p in packets if VXLAN in p and p[VXLAN][Ether].type == 0x800]


def test_learned_remotes(lab):
    """Guests of three hosts reach each other; each frame to an address that was seen goes to its host alone; an address that
    moves is followed; what comes from a remote goes to no other."""
    hosts = connect(lab)
    guests = {n: Netns(lab, f"g{n}") for n in ADDRESSES}
    wefts = {n: make_weft(lab, n, hosts[n], guests[n]) for n in (1, 2)}
    make_kernel(3, hosts[3], guests[3])
    for n, guest in guests.items():
        guest.run("ip", "link", "set", "eth0", "address", MACS[n])
        guest.run("ip", "link", "set", "eth0", "up")
        guest.run("ip", "addr", "add", f"10.0.0.{n}/24", "dev", "eth0")
    for a, b in ((1, 2), (1, 3), (2, 3)):
        wait_for(f"an answer of {b} to {a}", lambda: " 0% packet loss" in guests[a].run(
            "ping", "-c", "1", "-W", "1", f"10.0.0.{b}", check=False), 60)
    for n, weft in wefts.items():
        wait_for("learned addresses", lambda: remotes(weft) == {
            MACS[other]: ADDRESSES[other] for other in ADDRESSES if other != n}, 60)
        assert "REMOTE" in weft.cli("fdb", "list", "br0")
    wires = {n: host.packets("up0") for n, host in hosts.items()}
    assert " 0% packet loss" in guests[1].run("ping", "-c", "5", "-i", "0.2", "-W", "20", "10.0.0.3")
    assert pings(wires[3].receive_all()).count((ADDRESSES[1], ADDRESSES[3])) == 5
    assert pings(wires[2].receive_all()) == []
    # What is for all comes once to each host from the one that has it first, and is not sent on.
    for wire in wires.values():
        wire.flush()
    asked = Ether(src=MACS[1], dst="ff:ff:ff:ff:ff:ff", type=0x9999) / bytes(50)
    guests[1].packets("eth0").send(asked)
    for n in (2, 3):
        frames = [Ether(frame) for frame in wires[n].receive_all()]
        copies = [p[IP].src for p in frames if VXLAN in p and p[VXLAN][Ether].type == 0x9999 and p[IP].dst == ADDRESSES[n]]
        assert copies == [ADDRESSES[1]]
    # Guest 3's address turns up behind host 2.
    guests[2].packets("eth0").send(Ether(src=MACS[3], dst="ff:ff:ff:ff:ff:ff", type=0x9999) / bytes(50))
    wait_for("the move", lambda: remotes(wefts[1]).get(MACS[3]) == ADDRESSES[2], 60)
    wefts[1].stop_agent()
    wefts[1].start_agent()
    wait_for("what was known before", lambda: remotes(wefts[1]).get(MACS[3]) == ADDRESSES[2], 60)
    for weft in wefts.values():
        weft.stop()


def test_bad_lists(lab, weft):
    """A list that makes no sense is refused in words."""
    weft.cli("switch", "add", "br0")
    for settings, words in (
        (("remote=192.0.2.2", "vni=5", "flood=192.0.2.3"), "flood= goes with remote=flow"),
        (("remote=flow", "vni=5", "flood=192.0.2.3,,"), "not an IPv4 or IPv6 address"),
        (("remote=flow", "vni=5", "flood=192.0.2.3,192.0.2.3"), "stands twice"),
        (("remote=flow", "vni=5", "flood=239.1.1.1"), "a multicast address cannot be a tunnel's end"),
        (("remote=flow", "vni=5", "local=192.0.2.1", "flood=2001:db8::1"), "must both be IPv4 or both IPv6"),
        (("remote=flow", "vni=5", f"flood={','.join(f'192.0.2.{n}' for n in range(1, 66))}"), "more than 64"),
    ):
        assert words in weft.cli_fails("port", "add", "br0", "vx", "type=vxlan", *settings)
    weft.cli("port", "add", "br0", "vx", "type=vxlan", "remote=flow", "vni=5", "flood=192.0.2.3")
    weft.cli("port", "set", "vx", "flood=192.0.2.3,192.0.2.4")
    weft.stop()

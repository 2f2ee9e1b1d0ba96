# SPDX-License-Identifier: Apache-2.0
"""Packets at and beyond the path's MTU, by kind of tunnel, IPv4 and IPv6 inside and outside: dropped, answered, or in
outer fragments, as the port says.

    guest ---- veth vm [br0] t1 : ul0 (mtu 1500) [under] up0 ---- eth0 of the far host
"""

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Dot1Q, Ether
from test_tunnel_headers import FAMILIES, FAR, GUEST, Tunnel

from lab import wait_for

MTU = 1500
HEADERS = {"vxlan": 16, "geneve": 16, "gre": 8}  # behind the outer IP header; GRE with its key


def packet(family, size, tag=None, dst=FAR, df=True, mark=0):
    """A frame with an IP packet of so many bytes."""
    if family == 4:
        ip, rest = IP(src="10.0.0.1", dst="10.0.0.2", id=mark, flags="DF" if df else 0), size - 28
    else:
        ip, rest = IPv6(src="fd00::1", dst="fd00::2", fl=mark), size - 48
    ip = Dot1Q(vlan=tag) / ip if tag else ip
    return bytes(Ether(src=GUEST, dst=dst) / ip / UDP(sport=1, dport=2) / bytes(i & 255 for i in range(rest)))


class Path(Tunnel):
    def __init__(self, lab, local, remote, kind):
        super().__init__(lab, local, remote, kind)
        self.is_v6 = ":" in remote
        self.room = MTU - (40 if self.is_v6 else 20) - HEADERS[kind] - 14

    def lost(self):
        return self.drops().get(("vm", "encap-too-long"), 0)

    def outer(self):
        """The next outer packet, from its IP header on, and how long it was on the wire."""
        local, remote = self.ends
        frame = self.wire.receive(accept=lambda f: bytes(Ether(f).payload)[:1] in (b"\x45", b"\x60")
                                  and Ether(f).payload.src == local and Ether(f).payload.dst == remote
                                  and (Ether(f).payload.nh if self.is_v6 else Ether(f).payload.proto) in (17, 44, 47))
        return Ether(frame).payload, len(frame) - 14

    def fits(self, frame):
        """It comes out in one piece."""
        self.inside.send(frame)
        ip, length = self.outer()
        assert bytes(ip).endswith(frame) and length == MTU - self.room + len(frame) - 14

    def is_lost(self, frame):
        before = self.lost()
        self.inside.send(frame)
        wait_for(lambda: f"a drop: {self.drops()}", lambda: self.lost() == before + 1)

    def set(self, too_long, df):
        """New settings, that are in force: their header is the only one that flows need."""
        self.cli("port", "set", "t1", f"too-long={too_long}", f"df={df}")
        in_force = "too-long=to-agent" if too_long == "icmp" else f"too-long={too_long}"

        def objects():
            self.fits(packet(4, self.room))
            return [line for line in self.cli("dp", "objects").splitlines() if "too-long=" in line]

        wait_for(lambda: f"{in_force}: {objects()}", lambda: len(o := objects()) == 1 and in_force in o[0], 20)


def check_answer(frame, asked, mtu):
    """An ICMP error from the packet's destination to its source, that says so and quotes it."""
    got, was = Ether(frame), Ether(asked)
    assert (got.dst, got.src) == (was.src, was.dst)
    if Dot1Q in was:
        assert got[Dot1Q].vlan == was[Dot1Q].vlan
    if IP in was:
        error = got[ICMP]
        assert (got[IP].src, got[IP].dst, error.type, error.code, error.nexthopmtu) == ("10.0.0.2", "10.0.0.1", 3, 4, mtu)
        quoted, again = bytes(error)[8:], got[IP].copy()
        del again[IP].chksum, again[ICMP].chksum
        assert bytes(IP(bytes(again))) == bytes(got[IP])
    else:
        error = got[ICMPv6PacketTooBig]
        assert (got[IPv6].src, got[IPv6].dst, error.mtu) == ("fd00::2", "fd00::1", mtu)
        quoted, again = bytes(error)[8:], got[IPv6].copy()
        del again[ICMPv6PacketTooBig].cksum
        assert bytes(IPv6(bytes(again))) == bytes(got[IPv6])
    assert len(quoted) >= 128 and bytes(was[IP] if IP in was else was[IPv6]).startswith(quoted)


@pytest.mark.parametrize("kind", HEADERS)
@pytest.mark.parametrize("local,remote", FAMILIES)
def test_path_mtu(lab, local, remote, kind):
    path = Path(lab, local, remote, kind)
    room = path.room
    # Dropped: the last byte decides, whatever is inside.
    for family in (4, 6):
        path.fits(packet(family, room))
        path.fits(packet(family, room - 4, tag=7))
        for frame in (packet(family, room + 1), packet(family, 1500), packet(family, room, tag=7)):
            path.is_lost(frame)
    # Answered, with the length that a packet of this one's tags may have; and lost, by the books, each of them.
    path.set("icmp", df="yes")
    for family in (4, 6):
        path.fits(packet(family, room))
        for frame, mtu in ((packet(family, room + 1, mark=1), room), (packet(family, room, tag=7), room - 4)):
            path.is_lost(frame)
            check_answer(path.inside.receive(accept=lambda got: got[6:12] == frame[:6]), frame, mtu)
    # Nobody is told of what may not be answered: not one packet, or one that may be fragmented.
    for frame in (packet(4, room + 1, df=False), packet(4, room + 1, dst="ff:ff:ff:ff:ff:ff")):
        path.is_lost(frame)
        assert path.inside.poll(0.1, accept=lambda got: got[6:12] == frame[:6]) is None
    # In pieces, which together are the packet.
    path.set("fragment", df="no")
    for family in (4, 6):
        path.fits(packet(family, room))
        for mark, size in enumerate((room + 1, 1500), 10):
            frame = packet(family, size, mark=mark)
            path.inside.send(frame)
            pieces = [path.outer(), path.outer()]
            payload = b""
            for ip, length in pieces:
                part = ip[IPv6ExtHdrFragment] if path.is_v6 else ip
                assert length <= MTU and (part.offset if path.is_v6 else part.frag) * 8 == len(payload)
                assert bool(part.m if path.is_v6 else part.flags.MF) == (not payload)
                payload += bytes(ip)[48:] if path.is_v6 else bytes(ip)[20:]
            assert payload.endswith(frame) and len(payload) == HEADERS[kind] + len(frame)
    # The route's own MTU counts.
    path.set("drop", df="yes")
    path.host.run("ip", *(["-6"] if path.is_v6 else []), "route", "replace", remote, "dev", "ul0", "mtu", "1400")
    wait_for(lambda: f"1400: {path.tunnels()}", lambda: path.tunnels()[0]["mtu"] == 1400)
    path.fits(packet(4, room - 100))
    path.is_lost(packet(4, room - 99))
    path.weft.stop()

# SPDX-License-Identifier: Apache-2.0
"""What tunnels do to TOS, TTL and ECN, both ways: RFC 6040 in all its combinations, seen on the wire.

    guest ---- veth vm [br0] t1 : ul0 [under] up0 ---- eth0 of the far host
                        192.0.2.1, 2001:db8::1         192.0.2.2, 2001:db8::2
"""

import itertools

import pytest
from scapy.layers.inet import IP, UDP, in4_chksum
from scapy.layers.inet6 import IPv6, in6_chksum
from scapy.layers.l2 import Dot1Q, Ether
from scapy.utils import checksum
from test_tunnel_ports import Hosts

from lab import wait_for

GUEST, FAR = "02:00:00:00:00:01", "02:00:00:00:00:02"
NOT_ECT, ECT1, ECT0, CE = range(4)
# RFC 6040 section 4.2, figure 4: what the inner header has afterwards, by inner and outer; None: lost.
DECAPSULATED = {
    NOT_ECT: {NOT_ECT: NOT_ECT, ECT0: NOT_ECT, ECT1: NOT_ECT, CE: None},
    ECT0: {NOT_ECT: ECT0, ECT0: ECT0, ECT1: ECT1, CE: CE},
    ECT1: {NOT_ECT: ECT1, ECT0: ECT1, ECT1: ECT1, CE: CE},
    CE: {NOT_ECT: CE, ECT0: CE, ECT1: CE, CE: CE},
}
FAMILIES = (("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2"))


def inner(family, tos, ttl, mark, src, dst):
    """A frame, told apart by its source port."""
    if family == 4:
        return Ether(src=src, dst=dst) / IP(src="10.0.0.1", dst="10.0.0.2", tos=tos, ttl=ttl) / UDP(sport=mark, dport=9) / b"ecn"
    if family == 6:
        return Ether(src=src, dst=dst) / IPv6(src="fd00::1", dst="fd00::2", tc=tos, hlim=ttl) / UDP(sport=mark, dport=9) / b"ecn"
    return Ether(src=src, dst=dst, type=0x88B5) / mark.to_bytes(2, "big") / bytes(60)


def outer_header(frame):
    """(TOS, TTL, don't fragment, checksum) of the outer headers; a checksum that is there is right."""
    packet = Ether(frame)
    if packet.type == 0x86DD:
        ip, rest, flag = packet[IPv6], frame[54:], False
        tos, ttl, proto = ip.tc, ip.hlim, ip.nh
    else:
        ip, rest, flag = packet[IP], frame[34:], packet[IP].flags == "DF"
        tos, ttl, proto = ip.tos, ip.ttl, ip.proto
    if proto == 47:
        has_sum = bool(rest[0] & 0x80)
        assert not has_sum or checksum(rest) == 0
    else:
        has_sum = rest[6:8] != bytes(2)
        pseudo = in4_chksum if packet.type == 0x0800 else in6_chksum
        assert not has_sum or pseudo(17, ip, rest) == 0
    return tos, ttl, flag, has_sum


class Tunnel(Hosts):
    def __init__(self, lab, local, remote, kind="vxlan", *settings):
        super().__init__(lab)
        self.ends = local, remote
        self.cli("port", "add", "br0", "t1", f"type={kind}", f"remote={remote}", "vni=5", *settings)
        self.cli("flow", "del", "br0")
        self.cli("flow", "add", "br0", "in_port=vm,actions=output:t1")
        self.cli("flow", "add", "br0", "in_port=t1,actions=output:vm")
        self.wait_ready()
        self.wire, self.inside = self.remote.packets("eth0"), self.guest.packets("eth0")
        self.ul0 = self.mac(self.host, "ul0")

    def go_out(self, frame):
        """The frame's outer packet."""
        frame = bytes(frame)
        self.inside.send(frame)
        return self.wire.receive(accept=lambda f: len(f) > len(frame) and f.endswith(frame))

    def packet(self, frame, tos, ttl=64):
        """An outer packet from the far end."""
        local, remote = self.ends
        eth = Ether(dst=self.ul0, src="02:00:00:00:00:66")
        if ":" in remote:
            ip = IPv6(src=remote, dst=local, tc=tos, hlim=ttl)
        else:
            ip = IP(src=remote, dst=local, tos=tos, ttl=ttl)
        return eth / ip / UDP(sport=50000, dport=4789) / (bytes.fromhex("0800000000000500") + bytes(frame))


@pytest.mark.parametrize("local,remote", FAMILIES)
def test_ecn_out_and_in(lab, local, remote):
    """Out the outer header gets the packet's; in, what both say is brought together, and DSCP stays the packet's."""
    tunnel = Tunnel(lab, local, remote)
    mark = 1000
    for family, ecn in itertools.product((4, 6), range(4)):
        mark += 1
        assert outer_header(tunnel.go_out(inner(family, 0xB8 | ecn, 9, mark, GUEST, FAR)))[:2] == (ecn, 64)
    assert outer_header(tunnel.go_out(inner(None, 0, 0, 999, GUEST, FAR)))[:2] == (0, 64)
    lost = 0
    for family, own, outside, tag in itertools.product((4, 6), range(4), range(4), (False, True)):
        mark += 1
        frame = inner(family, 0x28 | own, 9, mark, FAR, GUEST)
        result = DECAPSULATED[own][outside]
        expected = inner(family, 0x28 | (own if result is None else result), 9, mark, FAR, GUEST)
        if tag:
            for packet in frame, expected:
                packet[Ether].type, payload = 0x8100, packet[Ether].payload
                packet[Ether].payload = Dot1Q(vlan=7, type=0x0800 if family == 4 else 0x86DD) / payload
        tunnel.wire.send(tunnel.packet(frame, 0x48 | outside))
        if result is None:
            lost += 1
            wait_for(lambda: f"{lost} lost for ECN: {tunnel.drops()}", lambda: tunnel.drops().get(("up0", "decap-ecn")) == lost)
        else:
            assert tunnel.inside.receive() == bytes(expected), (family, own, outside, tag)
    # What is not IP has no ECN to lose.
    for outside in range(4):
        frame = bytes(inner(None, 0, 0, 2000 + outside, FAR, GUEST))
        tunnel.wire.send(tunnel.packet(frame, outside))
        assert tunnel.inside.receive() == frame
    assert lost == 4 and tunnel.inside.poll(0.2) is None
    assert {key: n for key, n in tunnel.drops().items() if "cap" in key[1]} == {("up0", "decap-ecn"): lost}
    tunnel.weft.stop()


def settings_of(v6, kind):
    """Settings, what rules set, and (TOS, TTL, don't fragment, checksum) for an IPv4, an IPv6 and another frame.

    The packets have TOS 0xb9 (DSCP 46, ECT(1)) and TTL 9."""
    df, csum = not v6, v6 and kind != "gre"
    common = [
        ("tos=0x48 ttl=9", "", [(0x49, 9, df, csum), (0x49, 9, df, csum), (0x48, 9, df, csum)]),
        ("tos=inherit ttl=inherit csum=yes", "", [(0xB9, 9, df, True), (0xB9, 9, df, True), (0, 64, df, True)]),
        ("tos=0 ttl=255 df=no csum=no", "", [(1, 255, False, False), (1, 255, False, False), (0, 255, False, False)]),
    ]
    rules = "set_field:0x6c->tun_tos,set_field:33->tun_ttl,"
    return common + [
        ("tos=flow ttl=flow df=yes", rules, [(0x6D, 33, df, False), (0x6D, 33, df, False), (0x6C, 33, df, False)]),
        ("tos=flow ttl=flow csum=yes", "", [(1, 64, df, True), (1, 64, df, True), (0, 64, df, True)]),
    ]


@pytest.mark.parametrize("kind", ("vxlan", "geneve", "gre"))
@pytest.mark.parametrize("local,remote", FAMILIES)
def test_settings_of_outer_headers(lab, local, remote, kind):
    tunnel = Tunnel(lab, local, remote, kind)
    frames = [bytes(inner(family, 0xB9, 9, 1000, GUEST, FAR)) for family in (4, 6)] + [bytes(inner(None, 0, 0, 7, GUEST, FAR))]
    for settings, actions, expected in settings_of(":" in remote, kind):
        tunnel.cli("port", "set", "t1", *settings.split())
        tunnel.cli("flow", "add", "br0", f"in_port=vm,actions={actions}output:t1")
        headers = []

        def as_set():
            headers[:] = [outer_header(tunnel.go_out(frame)) for frame in frames]
            return headers == expected

        wait_for(lambda: f"{settings}: {expected}, not {headers}", as_set)
    assert not [reason for _, reason in tunnel.drops() if "cap" in reason or "tunnel" in reason]
    tunnel.weft.stop()

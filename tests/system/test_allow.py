# SPDX-License-Identifier: Apache-2.0
"""allow=: a guest sends with its own addresses, or not at all.

    guest a (02:..:01, 10.0.0.1, fd00::1) --- vhost-user a --- [br0] --- vhost-user b --- guest b
"""

import pytest
from lab import VhostGuest, Weft, wait_for
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether

A, B, EVERYBODY = "02:00:00:00:00:01", "02:00:00:00:00:02", "ff:ff:ff:ff:ff:ff"
FORGED = "02:00:00:00:00:03"
LINK_LOCAL = "fe80::ff:fe00:1"


def eth(src=A, dst=B):
    return Ether(src=src, dst=dst)


def udp(size=20):
    return UDP(sport=1, dport=2) / bytes(size)


def advertise(target="fd00::1", lladdr=A, src="fd00::1", more=b""):
    return eth() / IPv6(src=src, dst="ff02::1") / ICMPv6ND_NA(tgt=target) / ICMPv6NDOptDstLLAddr(lladdr=lladdr) / more


def solicit(src, target, lladdr=None):
    option = ICMPv6NDOptSrcLLAddr(lladdr=lladdr) if lladdr else b""
    return eth() / IPv6(src=src, dst="ff02::1:ff00:1") / ICMPv6ND_NS(tgt=target) / option


def dhcp(src=A):
    return eth(src, EVERYBODY) / IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67) / BOOTP() / DHCP()


OWN = {
    "ipv4": eth() / IP(src="10.0.0.1", dst="10.0.0.2") / udp(),
    "tagged ipv4": eth() / Dot1Q(vlan=7) / IP(src="10.0.0.1", dst="10.0.0.2") / udp(),
    "arp": eth(dst=EVERYBODY) / ARP(op=1, hwsrc=A, psrc="10.0.0.1", pdst="10.0.0.2"),
    "arp probe": eth(dst=EVERYBODY) / ARP(op=1, hwsrc=A, psrc="0.0.0.0", pdst="10.0.0.1"),
    "dhcp": dhcp(),
    "ipv6": eth() / IPv6(src="fd00::1", dst="fd00::2") / udp(),
    "link-local": eth() / IPv6(src=LINK_LOCAL, dst="ff02::2") / udp(),
    "solicitation": solicit("fd00::1", "fd00::2", A),
    "duplicate address detection": solicit("::", "fd00::1"),
    "advertisement": advertise(),
    "not ip": eth() / bytes.fromhex("88b5") / bytes(50),
}
FORGERIES = {
    "mac": eth(FORGED) / IP(src="10.0.0.1", dst="10.0.0.2") / udp(),
    "mac, not ip": eth(FORGED) / bytes.fromhex("88b5") / bytes(50),
    "ipv4": eth() / IP(src="10.0.0.3", dst="10.0.0.2") / udp(),
    "tagged ipv4": eth() / Dot1Q(vlan=7) / IP(src="10.0.0.3", dst="10.0.0.2") / udp(),
    "arp sender": eth(dst=EVERYBODY) / ARP(op=2, hwsrc=A, psrc="10.0.0.3", pdst="10.0.0.2"),
    "arp hardware address": eth(dst=EVERYBODY) / ARP(op=2, hwsrc=FORGED, psrc="10.0.0.1", pdst="10.0.0.2"),
    "arp probe": eth(dst=EVERYBODY) / ARP(op=1, hwsrc=A, psrc="0.0.0.0", pdst="10.0.0.3"),
    "dhcp": dhcp(FORGED),
    "no address, not dhcp": eth(dst=EVERYBODY) / IP(src="0.0.0.0", dst="255.255.255.255") / udp(),
    "ipv6": eth() / IPv6(src="fd00::3", dst="fd00::2") / udp(),
    "link-local": eth() / IPv6(src="fe80::3", dst="ff02::2") / udp(),
    "advertisement of another's address": advertise(target="fd00::3"),
    "advertisement of another's mac": advertise(lladdr=FORGED),
    "advertisement with two": advertise(lladdr=FORGED, more=ICMPv6NDOptDstLLAddr(lladdr=A)),
    "solicitation with another's mac": solicit("fd00::1", "fd00::2", FORGED),
    "duplicate address detection": solicit("::", "fd00::3"),
    "advertisement behind a header": eth()
    / IPv6(src="fd00::1", dst="ff02::1") / IPv6ExtHdrDestOpt() / ICMPv6ND_NA(tgt="fd00::3"),
    "fragmented advertisement": eth()
    / IPv6(src="fd00::1", dst="ff02::1", nh=44) / IPv6ExtHdrFragment(nh=58, m=1) / ICMPv6ND_NA(tgt="fd00::1"),
}  # fmt: skip


def refused(weft):
    return sum(row["packets"] for row in weft.cli("drops", "a", json=True) if row["reason"] == "source-not-allowed")


def test_only_listed_sources_come_in(lab):
    weft = Weft(lab).start()
    weft.cli("switch", "add", "br0")
    weft.cli("port", "add", "br0", "a", "type=vhost-user", f"allow={A}/10.0.0.1,{A}/fd00::1")
    weft.cli("port", "add", "br0", "b", "type=vhost-user")
    a, b = (VhostGuest(lab, weft.vhost_path(name)).open() for name in "ab")
    n = 0

    def try_all():
        nonlocal n
        for what, packet in OWN.items():
            a.send(packet)
            assert b.receive() == bytes(packet), what
        for what, packet in FORGERIES.items():
            a.send(packet)
            n += 1
            wait_for(lambda: f"{what}: {refused(weft)} of {n} drops", lambda: refused(weft) == n)
        # A guard behind them: whatever had come through would have come before it.
        a.send(OWN["ipv4"])
        assert b.receive() == bytes(OWN["ipv4"])

    try_all()
    # What is forged is learned by nobody.
    assert {row["mac"] for row in weft.cli("fdb", "list", json=True)} == {A}
    weft.stop_agent()
    weft.start_agent()
    assert weft.cli("port", "show", "a", json=True)["settings"]["allow"] == f"{A}/10.0.0.1,{A}/fd00::1"
    try_all()
    # Another list; then none.
    forged = FORGERIES["mac"]
    weft.cli("port", "set", "a", f"allow={FORGED}")
    wait_for("what is listed now comes in", lambda: a.send(forged) or b.poll(0.2) == bytes(forged))
    weft.cli("port", "set", "a", "allow=")
    wait_for("everything comes in", lambda: a.send(OWN["arp"]) or b.poll(0.2) == bytes(OWN["arp"]))
    weft.stop()


@pytest.mark.parametrize(
    "value, words",
    [
        ("02:00:00:00:00", "must be MAC"),
        ("10.0.0.1", "must be MAC"),
        (f"{A},", "must be MAC"),
        ("01:00:00:00:00:01", "not one that can send"),
        (f"{A}/10.0.0", "no IPv4 or IPv6 address"),
        (f"{A}/10.0.0.0/33", "from 0 to 32"),
        (f"{A}/fd00::/129", "from 0 to 128"),
        (f"{A}/10.0.0.1/24", "bits beyond its length"),
        (f"{A}/224.0.0.1", "multicast"),
        (f"{A}/::", "nobody's address"),
    ],
)
def test_a_bad_list_is_refused(weft, value, words):
    weft.cli("switch", "add", "br0")
    assert words in weft.cli_fails("port", "add", "br0", "a", "type=null", f"allow={value}")
    weft.cli("port", "add", "br0", "a", "type=null", f"allow={A}")
    assert words in weft.cli_fails("port", "set", "a", f"allow={value}")
    assert weft.cli("port", "show", "a", json=True)["settings"]["allow"] == A

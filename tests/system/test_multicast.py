# SPDX-License-Identifier: Apache-2.0
"""IGMP and MLD snooping: who asks for a group gets it, and so do routers.

    guest a --- vhost-user a --- [br0] --- vhost-user b --- guest b
    guest s (sends)          ---       ---              r --- guest r (a router)
"""

import struct

import pytest
from lab import VhostGuest, Weft, wait_for
from scapy.layers.inet6 import ICMPv6MLQuery, ICMPv6MLReport, IPv6, IPv6ExtHdrHopByHop, RouterAlert
from scapy.layers.l2 import Ether

GROUP, GROUP6 = "239.1.2.3", "ff05::5"
QUERY, REPORT, LEAVE = 0x11, 0x16, 0x17


def address(text):
    return bytes(int(part) for part in text.split("."))


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)


def ipv4(source, target, protocol, payload):
    """An Ethernet frame to the group's address."""
    group = address(target)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 1, protocol, 0) + address(source) + group
    head = head[:10] + checksum(head) + head[12:]
    mac = bytes([0x01, 0x00, 0x5E, group[1] & 0x7F, group[2], group[3]])
    return mac + bytes([2, 0, 0, 0, 0, address(source)[3]]) + b"\x08\x00" + head + payload


def igmp(source, kind, group, target=None):
    body = bytes([kind, 10 if kind == QUERY else 0, 0, 0]) + address(group)  # to be answered within a second
    return ipv4(source, target or group, 2, body[:2] + checksum(body) + body[4:])


def data(number, group=GROUP):
    return ipv4("10.0.0.9", group, 17, struct.pack("!HHHH", 1, 2, 16, 0) + bytes([number]) * 8)


def mld(message):
    head = Ether(src="02:00:00:00:00:01", dst="33:33:00:00:00:05")
    return bytes(head / IPv6(src="fe80::1", dst=GROUP6, hlim=1) / IPv6ExtHdrHopByHop(options=RouterAlert()) / message)


@pytest.fixture
def stage(lab):
    weft = Weft(lab).start()
    weft.cli("switch", "add", "br0")
    for name in "abrs":
        weft.cli("port", "add", "br0", name, "type=vhost-user")
    yield weft, *(VhostGuest(lab, weft.vhost_path(name)).open() for name in "abrs")
    weft.stop()


def members(weft):
    return {(row["group"], row["port"]) for row in weft.cli("mdb", "list", "br0", json=True)}


def test_listeners_and_routers_get_groups(stage):
    weft, a, b, r, s = stage
    # Off: everybody gets everything, reports too.
    s.send(data(0))
    assert [guest.receive() for guest in (a, b, r)] == 3 * [data(0)]
    weft.cli("switch", "set", "br0", "mcast-snooping=on", "mcast-ageing=600")
    assert weft.cli("switch", "show", "br0", json=True)["mcast_snooping"] is True
    # Heard, and forwarded to nobody: there is no router.
    wait_for("a is heard", lambda: a.send(igmp("10.0.0.1", REPORT, GROUP)) or members(weft) == {(GROUP, "a")})
    for guest in (b, r):
        guest.receive_all()
    wait_for("only a gets it", lambda: only(s, data(1), [a], [b, r]))
    # Who asks without need of a router, and has an address, is one.
    query = igmp("10.0.0.3", QUERY, "0.0.0.0", "224.0.0.1")
    wait_for("r is heard", lambda: r.send(query) or ("(router)", "r") in members(weft))
    assert {guest.receive(accept=lambda frame: frame == query) for guest in (a, b, s)} == {query}
    report = igmp("10.0.0.2", REPORT, GROUP)
    wait_for("b is heard", lambda: b.send(report) or (GROUP, "b") in members(weft))
    assert r.receive(accept=lambda frame: frame == report) == report
    a.receive_all()
    wait_for("all that want it get it", lambda: only(s, data(2), [a, b, r], []))
    # Of IPv6 too; and what nobody wants goes to the router alone, if that is how it is set up.
    message = mld(ICMPv6MLReport(mladdr=GROUP6))
    wait_for("a is heard", lambda: a.send(message) or (GROUP6, "a") in members(weft))
    weft.cli("switch", "set", "br0", "flood-unregistered=no")
    wait_for("nobody wants it", lambda: only(s, data(3, "239.9.9.9"), [r], [a, b]))
    # A listener leaves; the router asks, and b answers.
    a.send(igmp("10.0.0.1", LEAVE, GROUP, "224.0.0.2"))
    b.receive_all()
    wait_for(
        "a is gone",
        lambda: r.send(igmp("10.0.0.3", QUERY, GROUP)) or b.send(report) or (GROUP, "a") not in members(weft),
        interval=0.5,
    )  # fmt: skip
    assert (GROUP, "b") in members(weft)
    wait_for("only those who stayed get it", lambda: only(s, data(4), [b, r], [a]))
    # A port that is set up as a router's; the settings stay.
    weft.cli("port", "set", "b", "mcast-router=yes")
    wait_for("b gets what nobody wants", lambda: only(s, data(5, "239.9.9.8"), [b, r], [a]))
    weft.stop_agent()
    weft.start_agent()
    shown = weft.cli("switch", "show", "br0", json=True)
    assert (shown["mcast_snooping"], shown["flood_unregistered"], shown["mcast_ageing_s"]) == (True, False, 600)
    assert weft.cli("port", "show", "b", json=True)["settings"]["mcast-router"] == "yes"
    weft.cli("switch", "set", "br0", "mcast-snooping=", "mcast-ageing=", "flood-unregistered=")
    wait_for("everybody gets everything", lambda: only(s, data(6, "239.9.9.7"), [a, b, r], []))
    assert weft.cli("mdb", "list", json=True) == []
    assert "on or off" in weft.cli_fails("switch", "set", "br0", "mcast-snooping=yes")
    assert "from 1 to 86400" in weft.cli_fails("switch", "set", "br0", "mcast-ageing=0")


def only(sender, frame, these, others):
    """Sends it: whether these guests get it, and others do not."""
    for guest in (*these, *others):
        guest.flush()
    sender.send(frame)
    got = [guest.poll(1, accept=lambda seen: seen == frame) is not None for guest in these]
    return all(got) and not any(guest.poll(0.1, accept=lambda seen: seen == frame) for guest in others)


def test_mld_queries_make_routers(stage):
    weft, a, b, r, s = stage
    weft.cli("switch", "set", "br0", "mcast-snooping=on")
    wait_for("r is heard", lambda: r.send(mld(ICMPv6MLQuery())) or members(weft) == {("(router)", "r")})
    assert a.receive() == mld(ICMPv6MLQuery())

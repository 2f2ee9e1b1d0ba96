# SPDX-License-Identifier: Apache-2.0
"""Bonds: several links as one port.

     host [br0] internal i --- Weft --- bond --+-- veth m1 --- eth1 -+
                                               |                     namespace "far"
                                               +-- veth m2 --- eth2 -+

     host i1 --- Weft 1 --- bond --+-- af-packet --- veth --- af-packet --+-- bond --- Weft 2 --- i2 "other"
         (namespace "near")        +-- af-packet --- veth --- af-packet --+       (namespace "other")
"""

import json
import time

import pytest
from lab import Netns, Weft, wait_for
from lab.net import PacketPort

MAC_NEAR, MAC_FAR = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


def frame(number, source=MAC_NEAR, destination=MAC_FAR, sport=1000):
    """UDP over IPv4 with a number; no checksum in UDP."""
    udp = sport.to_bytes(2, "big") + (53).to_bytes(2, "big") + (8 + 26).to_bytes(2, "big") + b"\0\0"
    ip = bytes.fromhex("45000036000040004011") + b"\0\0" + bytes([10, 0, 0, 1, 10, 0, 0, 2])
    total = sum(int.from_bytes(ip[i : i + 2], "big") for i in range(0, 20, 2))
    total = (total & 0xFFFF) + (total >> 16)
    ip = ip[:10] + (~total & 0xFFFF).to_bytes(2, "big") + ip[12:]
    return destination + source + b"\x08\x00" + ip + udp + number.to_bytes(4, "big") + bytes(22)


def is_ours(seen):
    return seen[:6] in (MAC_NEAR, MAC_FAR)


def shown(weft, name="bond"):
    return weft.cli("port", "show", name, json=True)


def active(weft):
    return shown(weft)["active"]


def assert_books(weft):
    def balance():
        s = weft.cli("dp", "stats", json=True)
        return s["rx_packets"] + s["made"] + s["copied"] == s["tx_packets"] + s["to_agent"] + s["dropped"]

    wait_for("the books to balance", balance)


class Stage:
    """Weft with an internal port and two veth ports, whose other ends stand in a namespace."""

    def __init__(self, lab):
        self.lab = lab
        self.weft = Weft(lab).start()
        self.far = Netns(lab, "far")
        self.i, self.m1, self.m2 = f"i{lab.id}", f"m1{lab.id}", f"m2{lab.id}"
        self.weft.cli("switch", "add", "br0")
        self.weft.cli("port", "add", "br0", self.i, "type=internal")
        for name, ifname in ((self.m1, "eth1"), (self.m2, "eth2")):
            self.weft.cli("port", "add", "br0", name, "type=veth", f"netns={self.far.name}", f"ifname={ifname}")
        self.members = f"members={self.m1},{self.m2}"

    def bond(self, *settings, first=0):
        self.weft.cli("port", "add", "br0", "bond", "type=bond", self.members, *settings)
        self.host = PacketPort(self.lab, self.i)
        self.links = [self.far.packets("eth1"), self.far.packets("eth2")]
        # Both addresses are learned, so that nothing is flooded.
        self.passes(self.links[first], self.host, frame(0, MAC_FAR, MAC_NEAR))
        self.passes(self.host, None, frame(0))
        return self

    def passes(self, sender, receiver, data):
        """receiver None: any link."""

        def arrives():
            sender.send(data)
            return any(port.poll(0.3, accept=is_ours) == data for port in ([receiver] if receiver else self.links))

        wait_for("a frame", arrives)
        self.drain()

    def drain(self):
        time.sleep(0.05)
        for port in (self.host, *self.links):
            port.flush()

    def received(self, port, seconds=0.3):
        seen = []
        while (data := port.poll(seconds, accept=is_ours)) is not None:
            seen.append(data)
        return seen


@pytest.fixture
def stage(lab):
    stage = Stage(lab)
    yield stage
    stage.weft.stop()


def test_active_backup_fails_over_and_stays(lab, stage):
    weft, far = stage.weft, stage.far
    stage.bond("mode=active-backup")
    assert active(weft) == [stage.m1]
    sent = [frame(n) for n in range(1, 51)]
    stage.host.send(*sent)
    assert stage.received(stage.links[0]) == sent
    assert stage.received(stage.links[1]) == []
    # What comes by the backup is not for the switch.
    stage.links[1].send(*[frame(n, MAC_FAR, MAC_NEAR) for n in range(9)])
    assert stage.received(stage.host) == []
    drops = {(d["port"], d["reason"]): d["packets"] for d in weft.cli("drops", json=True)}
    assert drops["bond", "bond-inactive"] >= 9

    # The link fails under traffic: after 100 ms at most the other one carries it.
    far.run("ip", "link", "set", "eth1", "down")
    started, number = time.monotonic(), 1000
    while not (seen := stage.received(stage.links[1], 0.005)):
        stage.host.send(frame(number))
        number += 1
        assert time.monotonic() - started < 10
    assert number - 1000 < 200
    wait_for("the other member", lambda: active(weft) == [stage.m2])
    assert shown(weft)["link"] == "up"
    stage.drain()
    sent = [frame(n) for n in range(2000, 2050)]
    stage.host.send(*sent)
    assert stage.received(stage.links[1]) == sent
    answers = [frame(n, MAC_FAR, MAC_NEAR) for n in range(50)]
    stage.links[1].send(*answers)
    assert stage.received(stage.host) == answers

    # It comes back as the backup, until it is preferred.
    far.run("ip", "link", "set", "eth1", "up")
    wait_for("the link", lambda: [m["state"] for m in shown(weft)["members"]] == ["backup", "active"])
    weft.cli("port", "set", "bond", f"primary={stage.m1}")
    wait_for("the preferred member", lambda: active(weft) == [stage.m1])
    stage.host.send(*sent)
    assert stage.received(stage.links[0]) == sent

    # Administrative state counts too; without any link the port is down.
    weft.cli("port", "set", stage.m1, "admin=down")
    wait_for("the other member", lambda: active(weft) == [stage.m2])
    weft.cli("port", "set", stage.m2, "admin=down")
    wait_for("the link down", lambda: shown(weft)["link"] == "down" and active(weft) == [])
    weft.cli("port", "set", stage.m1, "admin=up")
    wait_for("the link up", lambda: shown(weft)["link"] == "up" and active(weft) == [stage.m1])
    assert_books(weft)


def test_balance_keeps_flows_on_a_link(lab, stage):
    weft = stage.weft
    stage.bond("mode=balance", "balance=l34")
    wait_for("both members", lambda: active(weft) == [stage.m1, stage.m2])
    before = {m["name"]: m["tx_packets"] for m in shown(weft)["members"]}
    sent = [frame(n, sport=2000 + n % 40) for n in range(400)]
    stage.host.send(*sent)
    by_link = [stage.received(link) for link in stage.links]
    assert sorted(by_link[0] + by_link[1]) == sorted(sent)
    flows = [{data[34:36] for data in seen} for seen in by_link]
    assert not flows[0] & flows[1]
    assert len(flows[0]) == len(flows[1]) == 20
    # In order within a flow.
    for seen in by_link:
        for flow in {data[34:36] for data in seen}:
            numbers = [data[42:46] for data in seen if data[34:36] == flow]
            assert numbers == sorted(numbers)
    after = {m["name"]: m["tx_packets"] for m in shown(weft)["members"]}
    assert after[stage.m1] - before[stage.m1] >= 200 and after[stage.m2] - before[stage.m2] >= 200
    # One link does for all; and both are received from.
    stage.far.run("ip", "link", "set", "eth2", "down")
    wait_for("one member", lambda: active(weft) == [stage.m1])
    stage.host.send(*sent)
    assert stage.received(stage.links[0]) == sent
    stage.far.run("ip", "link", "set", "eth2", "up")
    wait_for("both members", lambda: active(weft) == [stage.m1, stage.m2])
    for link in stage.links:
        link.send(frame(7, MAC_FAR, MAC_NEAR))
        assert stage.received(stage.host) == [frame(7, MAC_FAR, MAC_NEAR)]
    assert_books(weft)


def test_members_are_hidden_and_come_back(lab, stage):
    weft = stage.weft

    def of_ports():
        return {p["name"]: p["of_port"] for p in weft.cli("port", "list", json=True)}

    before = of_ports()
    stage.bond()
    assert of_ports() == {stage.i: before[stage.i], stage.m1: None, stage.m2: None, "bond": of_ports()["bond"]}
    assert [p["bond"] for p in weft.cli("port", "list", json=True)] == [None, "bond", "bond", None]
    assert stage.m1 in weft.cli_fails("flow", "add", "br0", f"in_port={stage.m1},actions=drop")
    line = weft.cli_fails("port", "del", "br0", stage.m1)
    assert "member of bond bond" in line and "members=" in line
    # Out of the bond it is a port again, and can go.
    weft.cli("port", "set", "bond", f"members={stage.m2}")
    assert of_ports()[stage.m1] == before[stage.m1] and of_ports()[stage.m2] is None
    weft.cli("flow", "add", "br0", f"in_port={stage.m1},actions=drop")
    weft.cli("port", "del", "br0", stage.m1)
    stage.passes(stage.links[1], stage.host, frame(1, MAC_FAR, MAC_NEAR))
    weft.cli("port", "del", "br0", "bond")
    assert of_ports() == {stage.i: before[stage.i], stage.m2: before[stage.m2]}
    stage.passes(stage.links[1], stage.host, frame(2, MAC_FAR, MAC_NEAR))
    assert_books(weft)


def test_bond_outlives_both_daemons(lab, stage):
    weft = stage.weft
    stage.bond("mode=active-backup", f"primary={stage.m2}", first=1)
    wait_for("the preferred member", lambda: active(weft) == [stage.m2])
    config = json.loads(weft.config.read_text())
    # A new agent adopts it, with its members.
    weft.kill_agent()
    weft.start_agent()
    wait_for("the port", lambda: shown(weft)["link"] == "up")
    assert active(weft) == [stage.m2]
    assert "adopted" in weft.agent.log() and "removed" not in weft.agent.log()
    # A new datapath gets it anew.
    weft.kill_datapath()
    weft.start_datapath()
    wait_for("the bond again", lambda: shown(weft).get("active") == [stage.m2])
    assert [m["state"] for m in shown(weft)["members"]] == ["backup", "active"]
    assert json.loads(weft.config.read_text()) == config
    stage.passes(stage.host, stage.links[1], frame(3))
    stage.passes(stage.links[1], stage.host, frame(4, MAC_FAR, MAC_NEAR))


# Arguments, and what the line must name. M1, M2, I, BOND stand for the ports.
REFUSED = [
    ("port add br0 b2 type=bond", "needs members="),
    ("port add br0 b2 type=bond members=", "needs members="),
    ("port add br0 b2 type=bond members=nope", 'no port "nope"'),
    ("port add br0 b2 type=bond members=M3,nope", 'no port "nope"'),
    ("port add br0 b2 type=bond members=M3,,M3", 'no port ""'),
    ("port add br0 b2 type=bond members=M3,M3", "twice"),
    ("port add br0 b2 type=bond members=b2", "is a bond"),
    ("port add br0 b2 type=bond members=bond", "is a bond"),
    ("port add br0 b2 type=bond members=M1", "member of bond bond already"),
    ("port add br0 b2 type=bond members=M3,M2", "member of bond bond already"),
    ("port add br0 b2 type=bond members=I", "of type internal"),
    ("port add br0 b2 type=bond members=M3 mode=5", "active-backup,balance,802.3ad"),
    ("port add br0 b2 type=bond members=M3 balance=l7", "l2,l23,l34"),
    ("port add br0 b2 type=bond members=M3 primary=M1", "is no member"),
    ("port add br0 b2 type=bond members=M3 colour=red", 'no option "colour"'),
    ("port add br1 b2 type=bond members=M3", "on switch br1"),
    ("port set bond members=", "needs members="),
    ("port set bond members=M1,I", "of type internal"),
    ("port set bond members=M1,nope", 'no port "nope"'),
    ("port set bond primary=M3", "is no member"),
    ("port set bond mode=balance", "cannot change"),
    ("port del br0 M1", "member of bond bond"),
    ("flow add br0 in_port=M1,actions=drop", "M1"),
]


def test_refused_with_cause_and_nothing_left(lab, stage):
    weft = stage.weft
    m3 = f"m3{lab.id}"
    weft.cli("switch", "add", "br1")
    weft.cli("port", "add", "br0", "bond", "type=bond", stage.members)
    weft.cli("port", "add", "br0", m3, "type=veth")
    names = {"M1": stage.m1, "M2": stage.m2, "M3": m3, "I": stage.i}

    def named(text):
        for short, name in names.items():
            text = text.replace(short, name)
        return text

    def everything():
        ports = weft.cli("port", "list", json=True)
        return (
            json.loads(weft.config.read_text()),
            [(p["name"], p["of_port"], p["bond"]) for p in ports],
            [(p["name"], p["options"]) for p in weft.cli("dp", "ports", json=True)],
            weft.cli("flow", "list", "br0", json=True),
        )

    before = everything()
    for words, cause in REFUSED:
        line = weft.cli_fails(*named(words).split())
        assert named(cause) in line, words
        after = everything()
        assert after[:3] == before[:3], words
        assert len(after[3]) == len(before[3])


class Side:
    """A Weft in a namespace, whose bond stands on the namespace's ends of the veth pairs."""

    def __init__(self, lab, stem, number):
        self.netns = Netns(lab, stem)
        self.number = number
        self.lab = lab
        self.stem = stem

    def start(self):
        weft = self.weft = Weft(self.lab, name=f"weft{self.number}", netns=self.netns.name).start()
        weft.cli("switch", "add", "br0")
        for n in (1, 2):
            weft.cli("port", "add", "br0", f"m{n}", "type=af-packet", f"ifname=eth{n}")
        weft.cli("port", "add", "br0", "bond", "type=bond", "members=m1,m2", "mode=802.3ad")
        weft.cli("port", "add", "br0", "in", "type=internal", f"ip=10.78.0.{self.number}/24")
        return self


def members(side):
    return {m["name"]: m for m in shown(side.weft)["members"]}


def test_lacp_with_a_second_weft(lab):
    near, other = Side(lab, "near", 1), Side(lab, "other", 2)
    for n in (1, 2):
        near.netns.veth(f"eth{n}", f"eth{n}", other.netns)
        other.netns.run("ip", "link", "set", f"eth{n}", "up")
        for side in (near, other):
            # Else the kernel's stack answers there, too.
            side.netns.run("ip", "link", "set", f"eth{n}", "arp", "off")
    near.start()
    # A partner that says nothing: no traffic, and the port is down.
    wait_for("LACP frames", lambda: members(near)["m1"]["tx_lacp"] > 0 and members(near)["m2"]["tx_lacp"] > 0, 20)
    assert shown(near.weft)["link"] == "down"
    assert {m["state"] for m in members(near).values()} == {"negotiating"}
    other.start()
    for side in (near, other):
        wait_for("both members", lambda side=side: active(side.weft) == ["m1", "m2"], 30)
        wait_for("the link", lambda side=side: shown(side.weft)["link"] == "up", 10)
    wanted = {"active", "aggregation", "synchronization", "collecting", "distributing"}
    for side, partner in ((near, other), (other, near)):
        for m in members(side).values():
            assert set(m["actor"]["state"]) == wanted
            assert set(m["partner"]["state"]) >= {"active", "aggregation", "synchronization", "collecting"}
            assert m["aggregator"] == "m1"
            assert m["actor"]["system"] == shown(side.weft)["mac"]
            assert m["partner"]["system"] == shown(partner.weft)["mac"]
    near.netns.run("ping", "-c", "3", "-i", "0.1", "-W", "5", "10.78.0.2")

    # The state in words, for people.
    text = near.weft.cli("port", "show", "bond")
    assert "active,aggregation,synchronization,collecting,distributing" in text

    # Either link fails: the other one carries everything; then it comes back.
    for n in (1, 2):
        other.netns.run("ip", "link", "set", f"eth{n}", "down")
        for side in (near, other):
            wait_for("one member", lambda side=side: active(side.weft) == [f"m{3 - n}"], 10)
            assert shown(side.weft)["link"] == "up"
        near.netns.run("ping", "-c", "5", "-i", "0.1", "-W", "5", "10.78.0.2")
        other.netns.run("ip", "link", "set", f"eth{n}", "up")
        for side in (near, other):
            wait_for("both members", lambda side=side: sorted(active(side.weft)) == ["m1", "m2"], 30)
    # LACP frames are the bond's: no port has seen them.
    flows = near.weft.cli("dp", "flows", json=True)
    assert not [flow for flow in flows if "01:80:c2:00:00:02" in flow["match"]]
    # A worker with such a bond sleeps, and wakes in time.
    assert [w["awake_because"] for w in near.weft.cli("dp", "workers", json=True)] == [None]
    for side in (near, other):
        assert_books(side.weft)
        side.weft.stop()

# SPDX-License-Identifier: Apache-2.0
"""Applications on os-ken (tests/apps) drive the switch, and packets show what they have made of it.

    guest a --- 1 --- switch br0 --- 2 --- guest b
                           |    `--- 3 --- guest c
                   osken-manager APP
"""

import json

import pytest
from lab import OsKen, ROOT, TestController, VhostGuest, Weft, wait_for
from scapy.all import ARP, ICMP, IP, UDP, Ether, Raw

A, B = "02:00:00:00:00:01", "02:00:00:00:00:02"
BROADCAST = "ff:ff:ff:ff:ff:ff"
PATIENCE = 60


class Application:
    def __init__(self, lab, weft, name, **environment):
        self.controller = OsKen(lab, ROOT / f"tests/apps/{name}.py", name=f"{name}{environment.get('FIGHTER', '')}",
                                env=environment)
        weft.cli("controller", "add", "br0", self.controller.target)

    def told(self, what):
        """What it has told of that so far."""
        lines = self.controller.log().splitlines(keepends=True)
        lines = [line for line in lines if line.startswith("{") and line.endswith("}\n")]
        return [facts for facts in map(json.loads, lines) if facts["what"] == what]

    def wait(self, what, condition=bool):
        """Waits until what it has told of that is as wanted; returns the last of it."""
        wait_for(lambda: f"{what}:\n{self.controller.log()[-3000:]}", lambda: self.told(what) and condition(self.told(what)),
                 PATIENCE, 0.1)
        return self.told(what)[-1]


@pytest.fixture
def stage(lab):
    weft = Weft(lab).start()
    weft.cli("switch", "add", "br0", "fail-mode=secure")
    guests = []
    for number, name in enumerate("abc", 1):
        weft.cli("port", "add", "br0", name, "type=vhost-user", f"of-port={number}")
    for name in "abc":
        guests.append(VhostGuest(lab, weft.vhost_path(name)).open())
    yield weft, *guests
    weft.stop()


def datagram(port, source_port=5000, tos=0):
    return bytes(Ether(src=A, dst=B) / IP(src="10.0.0.1", dst="10.0.0.2", tos=tos) / UDP(sport=source_port, dport=port)
                 / Raw(bytes(40)))


def only(data):
    """For receive(): that frame, whatever was still on its way."""
    return lambda frame: frame == data


def flows(weft):
    return weft.cli("flow", "list", "br0", json=True)


# --- router ------------------------------------------------------------------------------------------

HOST_A, HOST_B, GATEWAY_A, GATEWAY_B = "10.0.1.2", "10.0.2.2", "10.0.1.1", "10.0.2.1"
ROUTER_A, ROUTER_B = "02:00:00:00:01:fe", "02:00:00:00:02:fe"


def arp(operation, source, source_ip, target, target_ip):
    """Padded to 60 bytes, as os-ken does."""
    to = BROADCAST if operation == 1 else target
    return bytes(Ether(src=source, dst=to) / ARP(op=operation, hwsrc=source, psrc=source_ip, pdst=target_ip,
                                                 hwdst="00:00:00:00:00:00" if operation == 1 else target)).ljust(60, b"\0")


def test_router(lab, stage):
    weft, a, b, _ = stage
    router = Application(lab, weft, "router")
    router.wait("barrier")
    # ARP for the gateway; ping it.
    a.send(arp(1, A, HOST_A, "", GATEWAY_A))
    assert a.receive(PATIENCE) == arp(2, ROUTER_A, GATEWAY_A, A, HOST_A)
    router.wait("resolved")
    echo = ICMP(id=7, seq=1) / Raw(b"ping" * 10)
    a.send(bytes(Ether(src=A, dst=ROUTER_A) / IP(src=HOST_A, dst=GATEWAY_A) / echo))
    reply = Ether(a.receive(PATIENCE))
    assert (reply.src, reply.dst, reply[IP].src, reply[IP].dst) == (ROUTER_A, A, GATEWAY_A, HOST_A)
    assert (reply[ICMP].type, reply[ICMP].id, reply[ICMP].seq, bytes(reply[ICMP].payload)) == (0, 7, 1, b"ping" * 10)

    def routed(number, ttl=64, to_router=True):
        addresses = (A, ROUTER_A) if to_router else (ROUTER_B, B)
        return bytes(Ether(src=addresses[0], dst=addresses[1]) / IP(src=HOST_A, dst=HOST_B, ttl=ttl, id=number)
                     / UDP(sport=1, dport=2) / Raw(bytes(40)))

    # The first packet waits for b's address, and comes through the tables then; those that follow need nobody.
    a.send(routed(1))
    assert b.receive(PATIENCE) == arp(1, ROUTER_B, GATEWAY_B, "", HOST_B)
    b.send(arp(2, B, HOST_B, ROUTER_B, GATEWAY_B))
    assert b.receive(PATIENCE).hex() == routed(1, 63, False).hex()
    router.wait("resolved", lambda told: len(told) == 2)
    n_packet_ins = len(router.told("packet-in"))
    for number in range(2, 22):
        a.send(routed(number))
        assert b.receive(PATIENCE).hex() == routed(number, 63, False).hex()
    # The end of a TTL is told, with the rule's cookie and table, and answered.
    a.send(routed(99, ttl=1))
    answer = Ether(a.receive(PATIENCE))
    assert (answer[IP].src, answer[IP].dst, answer[ICMP].type, answer[ICMP].code) == (GATEWAY_A, HOST_A, 11, 0)
    assert bytes(answer[ICMP].payload)[:28].hex() == routed(99, ttl=1)[14:42].hex()
    assert b.poll() is None
    told = router.told("packet-in")
    assert len(told) == n_packet_ins + 1
    assert told[-1] == {"what": "packet-in", "port": 1, "table": 1, "reason": 2, "cookie": 2}
    assert router.told("error") == []
    # 21 through the flow and one that it refused; the application's own packet-out is one of the 21.
    wait_for("the counters", lambda: [flow["packets"] for flow in flows(weft) if "nw_dst=10.0.2.2" in flow["match"]] == [22])


# --- groups ------------------------------------------------------------------------------------------


def test_group_user(lab, stage):
    weft, a, b, c = stage
    groups = Application(lab, weft, "groups")
    assert groups.wait("features")["types"] == 0xF
    assert groups.wait("desc")["groups"] == {"1": [1, 2], "2": [3, 2], "3": [0, 2], "4": [2, 1], "5": [0, 2]}
    groups.wait("error", lambda told: len(told) == 2)
    # OFPET_GROUP_MOD_FAILED: GROUP_EXISTS, LOOP.
    assert [(error["type"], error["code"]) for error in groups.told("error")] == [(6, 0), (6, 7)]
    # SELECT: a connection keeps to its bucket; both get some, by weight 1 to 3.
    by_port = {}
    for turn in range(2):
        for port in range(1, 201):
            a.send(datagram(1000, port))

            def arrives():
                for name, guest in (("b", b), ("c", c)):
                    data = guest.poll(0.01)
                    if data is not None:
                        assert data.hex() == datagram(1000, port).hex()
                        return by_port.setdefault(port, name) == name
                return False

            wait_for(f"datagram {port} where it was before", arrives, 30, 0)
    n_b = list(by_port.values()).count("b")
    assert 20 < n_b < 90, n_b

    def counts(group, buckets):
        return lambda told: told and told[-1]["groups"][str(group)][0] == sum(buckets) and \
            told[-1]["groups"][str(group)][3] == buckets

    groups.wait("stats", counts(1, [2 * n_b, 400 - 2 * n_b]))
    # FAST FAILOVER: the first while it is up, then the second, then the first again.
    a.send(datagram(2000))
    assert b.receive(30) == datagram(2000)
    weft.cli("port", "set", "b", "admin=down")
    # Down by configuration: OFPPS_LINK_DOWN, and no OFPPS_LIVE, though the guest is there.
    groups.wait("port", lambda told: any((port["port"], port["config"], port["state"]) == (2, 1, 1) for port in told))

    def comes(guest):
        def there():
            a.send(datagram(2000))
            return guest.poll(0.2) == datagram(2000)
        return there

    wait_for("failover", comes(c))
    weft.cli("port", "set", "b", "admin=up")
    wait_for("the way back", comes(b), 30)
    # ALL: each bucket on a copy of its own.
    a.send(datagram(3000))
    data = datagram(3000)
    b.receive(30, only(bytes.fromhex("020000000022") + data[6:]))
    c.receive(30, only(data[:12] + bytes.fromhex("81000021") + data[12:]))
    a.send(datagram(4000))
    c.receive(30, only(datagram(4000)))
    a.send(datagram(5000))
    b.receive(30, only(datagram(5000)))
    c.receive(30, only(datagram(5000)))
    groups.wait("stats", lambda told: told[-1]["groups"]["3"] == [1, len(datagram(0)), 1, [1, 1]])
    groups.wait("stats", lambda told: told[-1]["groups"]["5"] == [1, len(datagram(0)), 1, [1, 1]])
    groups.wait("stats", lambda told: told[-1]["groups"]["4"] == [2, 2 * len(datagram(0)), 2, [2]])


# --- meters ------------------------------------------------------------------------------------------


def test_meter_user(lab, stage):
    weft, a, b, _ = stage
    meters = Application(lab, weft, "meters")
    # OFPET_METER_MOD_FAILED METER_EXISTS, UNKNOWN_METER; a flow through none: OFPET_METER_MOD_FAILED INVALID_METER or alike.
    meters.wait("error", lambda told: len(told) == 3)
    assert [(error["type"], error["code"]) for error in meters.told("error")[:2]] == [(12, 1), (12, 3)]
    assert meters.wait("features")["bands"] == 0b110
    flags = 2 | 4 | 8
    assert meters.wait("config")["meters"] == {"1": [flags, [[1, 1, 10]]], "2": [flags, [[2, 1, 1]]]}
    # 1 a second, 10 at once: what went in has come out or is counted as dropped.
    for number in range(100):
        a.send(datagram(1000, number + 1))
    size = len(datagram(0))
    out = []

    def adds_up(told):
        while (data := b.poll()) is not None:
            out.append(data)
        dropped = 100 - len(out)
        return told and told[-1]["meters"]["1"] == [100, 100 * size, 1, [[dropped, dropped * size]]]

    meters.wait("stats", adds_up)
    assert 10 <= len(out)
    # Beyond 1 a second: AF11 becomes AF12, and the checksum follows; what has no such class stays as it is.
    for number in range(20):
        a.send(datagram(2000, tos=10 << 2))
    kept, remarked = datagram(2000, tos=10 << 2), datagram(2000, tos=12 << 2)
    out = [b.receive(30) for _ in range(20)]
    assert set(out) <= {kept, remarked} and out[0] == kept
    n = out.count(remarked)
    meters.wait("stats", lambda told: told[-1]["meters"]["2"] == [20, 20 * size, 1, [[n, n * size]]])


# --- roles -------------------------------------------------------------------------------------------


def test_two_fight_for_mastery(lab, stage):
    """Generations rise by one with each win, a slave's flow-mods are refused and change nothing, and the last winner stays."""
    weft, a, b, _ = stage
    rounds = 5
    fighters = []
    for number in (1, 2):
        fighters.append(Application(lab, weft, "roles", FIGHTER=str(number), ROUNDS=str(rounds)))
        fighters[-1].wait("won")
    won = []

    def is_over():
        won[:] = [fighter.told("won") for fighter in fighters]
        return min(map(len, won)) >= rounds and any(fighter.told("rests") for fighter in fighters)

    wait_for(lambda: "the end of the fight:\n" + "\n".join(fighter.controller.log()[-2000:] for fighter in fighters),
             is_over, PATIENCE, 0.2)
    for fighter in fighters:
        assert fighter.told("error") == []
    generations = sorted(facts["generation"] for told in won for facts in told)
    assert len(set(generations)) == len(generations), "two masters of one generation"
    assert generations == list(range(len(generations)))
    # One is master, the other a slave, and the flow is the master's.
    last = max((told[-1]["generation"], number, told[-1]["round"]) for number, told in enumerate(won, 1))
    roles = {entry["target"]: entry["role"] for entry in weft.cli("controller", "list", json=True)}
    assert [roles[fighter.controller.target] for fighter in fighters] == \
        ["master" if number == last[1] else "slave" for number in (1, 2)]
    wait_for("the last winner's flow", lambda: [flow["cookie"] for flow in flows(weft)] ==
             [f"0x{last[1] << 32 | last[2]:x}"], PATIENCE)
    a.send(datagram(1))
    assert b.receive(30) == datagram(1)
    # Packet-ins are the master's alone.
    weft.cli("flow", "add", "br0", "priority=9,in_port=2,actions=controller")
    b.send(datagram(1))
    master, slave = fighters[last[1] - 1], fighters[2 - last[1]]
    master.wait("packet-in")
    assert slave.told("packet-in") == []


# --- Open vSwitch's test controller ------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [(), ("--hub",), ("--noflow",), ("--wildcards",), ("--normal",)],
                         ids=lambda words: "".join(words).strip("-") or "plain")
def test_ovs_testcontroller(lab, stage, arguments):
    """Unmodified, in each of its ways: what a sends to an unknown address comes to all others, then to b alone.

    As a hub, and with --normal (which makes it forget addresses), it goes on flooding.
    """
    weft, a, b, c = stage
    weft.cli("controller", "add", "br0", TestController(lab, arguments=arguments).target)

    def floods():
        a.send(datagram(1))
        return b.poll(0.5) == datagram(1)

    wait_for("the first flood", floods, PATIENCE)
    answer = bytes(Ether(src=B, dst=A) / IP(src="10.0.0.2", dst="10.0.0.1") / UDP(dport=9) / Raw(bytes(40)))
    b.send(answer)
    assert a.receive(PATIENCE) == answer
    if arguments in (("--hub",), ("--normal",)):
        a.send(datagram(2))
        b.receive(PATIENCE, only(datagram(2)))
        c.receive(PATIENCE, only(datagram(2)))
        return

    def alone():
        for guest in (b, c):
            guest.receive_all(0.1)
        a.send(datagram(2))
        b.receive(PATIENCE, only(datagram(2)))
        return c.poll(0.3, only(datagram(2))) is None

    wait_for("what is meant for b alone", alone, PATIENCE)

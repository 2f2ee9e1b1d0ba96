# SPDX-License-Identifier: Apache-2.0
"""Mirrors: what was sent and received, seen by somebody who watches.

    guest a --- vhost-user a (access 10) --- [br0] --- vhost-user b (trunk) --- guest b
                                               |
                                               +------ vhost-user w (trunk) --- guest w, who watches
"""

import json

import pytest
from lab import VhostGuest, Weft, wait_for

A, B = "020000000001", "020000000002"
GUARD = bytes.fromhex("fedc")
LAST = int.from_bytes(GUARD, "big")
TCP = bytes.fromhex("0800450000280000000040060000" + "0a000001" + "0a000002")


def frame(number, tag="", dst=B, src=A, payload=None):
    body = payload or bytes.fromhex("88b5") + number.to_bytes(2, "big") + bytes(60)
    return bytes.fromhex(dst + src + tag) + body


def tcp(port, sequence=bytes(4)):
    ports = (1000).to_bytes(2, "big") + port.to_bytes(2, "big")
    return frame(0, payload=TCP + ports + sequence + bytes(4) + b"\x50" + bytes(7))


@pytest.fixture
def stage(lab):
    weft = Weft(lab).start()
    weft.cli("switch", "add", "br0", "fail-mode=secure")
    weft.cli("port", "add", "br0", "a", "type=vhost-user", "tag=10")
    for name in "bw":
        weft.cli("port", "add", "br0", name, "type=vhost-user")
    yield weft, *(VhostGuest(lab, weft.vhost_path(name)).open() for name in "abw")
    weft.stop()


def mirror(weft, *settings):
    """Mirror m is the one of these settings."""
    if any(row["name"] == "m" for row in weft.cli("mirror", "list", json=True)):
        weft.cli("mirror", "del", "br0", "m")
    weft.cli("mirror", "add", "br0", "m", *settings)


def settle(send, guard, *receivers):
    """What was sent before has come, or never will: frames of a flow stay in order, and the last one has come."""
    send(guard)
    for receiver in receivers:
        receiver.receive(accept=lambda frame: GUARD in frame)


def counted(weft):
    (row,) = weft.cli("mirror", "list", "br0", json=True)
    return row["packets"], row["bytes"]


def test_span_and_rspan_to_the_byte(stage):
    weft, a, b, w = stage
    rewritten = "02000000000f"
    weft.cli("flow", "add", "br0", f"in_port=a,actions=mod_dl_src:{':'.join(rewritten[i:i+2] for i in range(0, 12, 2))},output:b")
    weft.cli("flow", "add", "br0", "in_port=b,actions=drop")
    # Ingress: as received.
    mirror(weft, "select-src-port=a", "output-port=w")
    sent = frame(1)
    wait_for("copies", lambda: a.send(sent) or w.poll(0.2) == sent)
    settle(a.send, frame(LAST), b, w)
    before = counted(weft)
    a.send(sent)
    assert b.receive() == frame(1, src=rewritten)
    assert w.receive() == sent
    wait_for(lambda: f"counters {counted(weft)}", lambda: counted(weft) == (before[0] + 1, before[1] + len(sent)))
    # Egress: as sent; cut.
    mirror(weft, "select-dst-port=b", "output-port=w", "snap-len=40")
    wait_for("copies", lambda: a.send(sent) or w.poll(0.2) == frame(1, src=rewritten)[:40])
    settle(a.send, frame(LAST), b, w)
    a.send(frame(2))
    assert b.receive() == frame(2, src=rewritten)
    assert w.receive() == frame(2, src=rewritten)[:40]
    # What is dropped is seen, and still counted as dropped.
    mirror(weft, "select-all=yes", "output-port=w")
    other = frame(3, src=B, dst=A)
    wait_for("copies", lambda: b.send(other) or w.poll(0.2) == other)
    assert ("b", "explicit") in drops(weft)
    # Into a VLAN, wherever that is carried; once, though both ends are selected.
    weft.cli("port", "set", "w", "trunks=99")
    mirror(weft, "select-all=yes", "output-vlan=99")
    tagged = frame(4, tag="81000063")
    wait_for("copies", lambda: a.send(frame(4)) or w.poll(0.2) == tagged)
    settle(a.send, frame(LAST), w)
    b.receive_all()
    a.send(frame(5))
    wanted = [frame(5, tag="81000063"), frame(5, src=rewritten)]
    assert [b.receive(accept=lambda frame: frame in wanted) for _ in wanted] == wanted
    assert w.receive() == frame(5, tag="81000063")
    # A tag is replaced, its priority kept.
    other, copy = (frame(6, tag=tag, src=B, dst=A) for tag in ("8100a007", "8100a063"))
    wait_for("the copy with its new tag", lambda: b.send(other) or w.poll(0.2) == copy)


def test_selection_by_vlan_and_filter(stage):
    weft, a, b, w = stage
    weft.cli("flow", "add", "br0", "actions=NORMAL")
    mirror(weft, "select-all=yes", "select-vlan=10,20-21", "output-port=w")
    inside, outside = frame(1), frame(2, tag="81000016", src=B)
    # Egress would be tagged; but it came in first, untagged.
    wait_for("copies", lambda: a.send(inside) or w.poll(0.2) == inside)
    settle(a.send, frame(LAST), w)
    b.send(outside)
    wait_for("its end: no other port has its VLAN", lambda: ("b", "explicit") in drops(weft))
    a.send(inside)
    assert w.receive() == inside
    mirror(weft, "select-src-port=a", "filter=tcp,tp_dst=80", "output-port=w")
    wait_for("copies", lambda: a.send(tcp(80)) or w.poll(0.2) == tcp(80))
    settle(a.send, tcp(80, GUARD + bytes(2)), w)
    a.send(tcp(81))
    a.send(tcp(80))
    assert w.receive() == tcp(80)
    # It takes nothing in, and floods do not reach it.
    w.send(frame(7, src="020000000009"))
    wait_for("the drop", lambda: ("w", "mirror-port") in drops(weft))
    b.receive_all()
    b.send(frame(8, dst="ffffffffffff", src=B))
    a.receive_all()
    assert w.receive_all() == []


def test_mirrors_stay(stage):
    weft, a, b, w = stage
    weft.cli("flow", "add", "br0", "in_port=a,actions=output:b")
    weft.cli("mirror", "add", "br0", "m", "select-src-port=a,b", "select-vlan=10", "output-port=w", "snap-len=1000")
    weft.cli("mirror", "add", "br0", "n", "select-all=yes", "filter=icmp", "output-vlan=7")
    listed = [{key: row[key] for key in ("switch", "name", "selects", "output", "settings")} for row in mirrors(weft)]
    assert listed == [
        {
            "switch": "br0", "name": "m", "selects": "select-src-port=a,b select-vlan=10", "output": "w",
            "settings": {"select-src-port": "a,b", "select-vlan": "10", "output-port": "w", "snap-len": "1000"},
        },
        {
            "switch": "br0", "name": "n", "selects": "select-all=yes filter=icmp", "output": "VLAN 7",
            "settings": {"select-all": "yes", "filter": "icmp", "output-vlan": "7"},
        },
    ]  # fmt: skip
    weft.stop_agent()
    weft.start_agent()
    assert [{key: row[key] for key in listed[0]} for row in mirrors(weft)] == listed
    wait_for("copies", lambda: a.send(frame(1)) or w.poll(0.2) == frame(1))
    assert "names port w" in weft.cli_fails("port", "del", "br0", "w")
    weft.cli("switch", "add", "br1")
    weft.cli("port", "add", "br1", "s", "type=patch", "peer=t")
    weft.cli("port", "add", "br0", "t", "type=patch", "peer=s")
    for words, *settings in (
        ("selects no packets", "output-port=w"),
        ("selects no packets", "select-vlan=5", "output-port=w"),
        ("every port", "select-all=yes", "select-src-port=a", "output-port=w"),
        ("one of them", "select-all=yes"),
        ("one of them", "select-all=yes", "output-port=w", "output-vlan=5"),
        ("no port \"x\"", "select-src-port=x", "output-port=w"),
        ("no port \"\"", "select-src-port=a,", "output-port=w"),
        ("its output port", "select-dst-port=w", "output-port=w"),
        ("must be one port", "select-all=yes", "output-port=a,b"),
        ("from 1 to 4094", "select-all=yes", "output-vlan=4095"),
        ("goes with output-port", "select-all=yes", "output-vlan=5", "snap-len=64"),
        ("filter=nonsense", "select-all=yes", "output-port=w", "filter=nonsense"),
        ("of type patch", "select-all=yes", "output-port=t", "snap-len=64"),
        ("no property color", "select-all=yes", "output-port=w", "color=red"),
        ("a mirror m already", "select-all=yes", "output-port=w"),
    ):
        name = "m" if "already" in words else "o"
        assert words in weft.cli_fails("mirror", "add", "br0", name, *settings)
    assert "no mirror o" in weft.cli_fails("mirror", "del", "br0", "o")
    assert [row["name"] for row in mirrors(weft)] == ["m", "n"]
    weft.cli("mirror", "del", "br0", "m")
    weft.cli("mirror", "del", "br0", "n")
    weft.cli("port", "del", "br0", "w")
    assert "mirrors" not in json.loads(weft.config.read_text())["switches"]["br0"]


def mirrors(weft):
    return weft.cli("mirror", "list", json=True)


def drops(weft):
    return {(row["port"], row["reason"]) for row in weft.cli("drops", json=True)}

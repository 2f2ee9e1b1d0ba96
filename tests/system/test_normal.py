# SPDX-License-Identifier: Apache-2.0
"""NORMAL on the wire: VLAN modes byte for byte, flooding in the VLAN alone, learning, ageing.

    access10   1 -+-------------+- 5  native-tagged 10, trunks 10,20
    trunk      2 -|             |- 6  dot1q-tunnel 10
    trunk10,20 3 -|  switch br0 |- 7  access 20
    native-    4 -|             |- 8  trunk 20
    untagged 10   +-------------+
    (trunks 10,20)

Each guest gets the frames that it is told here, in their order, and no other.
"""

import json

import pytest
from lab import VhostGuest, Weft, wait_for

PORTS = {
    1: ["tag=10"],
    2: [],
    3: ["trunks=10,20"],
    4: ["tag=10", "vlan-mode=native-untagged", "trunks=10,20"],
    5: ["tag=10", "vlan-mode=native-tagged", "trunks=10,20"],
    6: ["tag=10", "vlan-mode=dot1q-tunnel"],
    7: ["tag=20"],
    8: ["trunks=20"],
}
BROADCAST = "ff:ff:ff:ff:ff:ff"


def mac(number):
    return f"02:00:00:00:00:{number:02x}"


def frame(tags, payload, source=mac(1), destination=BROADCAST):
    """tags: "8100:10:3" (VLAN 10, priority 3) and so on, outermost first. At least 60 bytes untagged, so that no tag is padding."""
    head = bytes.fromhex((destination + source).replace(":", ""))
    for tag in tags.split():
        tpid, vlan, *priority = tag.split(":")
        head += bytes.fromhex(tpid) + (int(vlan) | int(*priority or "0") << 13).to_bytes(2, "big")
    return head + bytes.fromhex("9000") + payload.ljust(46, b"\0")


# Port and tags that come in: ports and tags that go out. What is not there goes nowhere.
C10, C20 = "8100:10", "8100:20"
FLOODS = [
    # Untagged into VLAN 10.
    (1, "", {2: C10, 3: C10, 4: "", 5: C10, 6: ""}),
    (4, "", {1: "", 2: C10, 3: C10, 5: C10, 6: ""}),
    (5, "", {1: "", 2: C10, 3: C10, 4: "", 6: ""}),
    # Tagged 10: the tag goes where none belongs; elsewhere it stays as it is, priority and all.
    (2, C10, {1: "", 3: C10, 4: "", 5: C10, 6: ""}),
    (3, C10 + ":5", {1: "", 2: C10 + ":5", 4: "", 5: C10 + ":5", 6: ""}),
    (4, C10, {1: "", 2: C10, 3: C10, 5: C10, 6: ""}),
    (5, C10, {1: "", 2: C10, 3: C10, 4: "", 6: ""}),
    # VLAN 20.
    (7, "", {2: C20, 3: C20, 4: C20, 5: C20, 8: C20}),
    (8, C20 + ":7", {2: C20 + ":7", 3: C20 + ":7", 4: C20 + ":7", 5: C20 + ":7", 7: ""}),
    (4, C20, {2: C20, 3: C20, 5: C20, 7: "", 8: C20}),
    # A priority tag names no VLAN: it gets the port's, or goes.
    (1, "8100:0:3", {2: C10 + ":3", 3: C10 + ":3", 4: "", 5: C10 + ":3", 6: ""}),
    # VLANs that only the trunk of all has; VLAN 0 is one too.
    (2, "8100:99", {}),
    (2, "", {}),
    # Not a member: no way in.
    (1, C10, {}),
    (1, C20, {}),
    (3, "8100:30", {}),
    (3, "", {}),
    (4, "8100:30", {}),
    (7, C20, {}),
    (8, C10, {}),
    # A customer's frame in the tunnel: whatever tags it has are kept inside the service tag.
    (6, "", {1: "", 2: "88a8:10", 3: "88a8:10", 4: "", 5: "88a8:10"}),
    (6, "8100:99:4", {1: "8100:99:4", 2: "88a8:10 8100:99:4", 3: "88a8:10 8100:99:4", 4: "8100:99:4",
                      5: "88a8:10 8100:99:4"}),
    (6, "8100:10 8100:11", {1: "8100:10 8100:11", 2: "88a8:10 8100:10 8100:11", 3: "88a8:10 8100:10 8100:11",
                            4: "8100:10 8100:11", 5: "88a8:10 8100:10 8100:11"}),
    (6, "8100:0:6", {1: "8100:0:6", 2: "88a8:10 8100:0:6", 3: "88a8:10 8100:0:6", 4: "8100:0:6",
                     5: "88a8:10 8100:0:6"}),
    # And out again: the service tag goes, the customer's stays.
    (2, "88a8:10 8100:99:4", {1: "8100:99:4", 3: "88a8:10 8100:99:4", 4: "8100:99:4", 5: "88a8:10 8100:99:4",
                              6: "8100:99:4"}),
    (3, "88a8:10:2", {1: "", 2: "88a8:10:2", 4: "", 5: "88a8:10:2", 6: ""}),
]


class Stage:
    def __init__(self, lab, ports=PORTS):
        self.weft = Weft(lab).start()
        self.weft.cli("switch", "add", "br0")
        for number, settings in ports.items():
            self.weft.cli("port", "add", "br0", f"p{number}", "type=vhost-user", f"of-port={number}", *settings)
        self.guests = {number: VhostGuest(lab, self.weft.vhost_path(f"p{number}")).open() for number in ports}

    def fdb(self):
        """Learned: {(VLAN, address): port}."""
        return {(entry["vlan"], entry["mac"]): entry["port"] for entry in self.weft.cli("fdb", "list", "br0", json=True)}

    def expect(self, wanted):
        """The guests get just these frames ({port: [frame, ..]}), in this order."""
        got = {number: [] for number in self.guests}

        def arrived():
            for number, guest in self.guests.items():
                while (data := guest.poll()) is not None:
                    got[number].append(data)
            return all(len(got[number]) >= len(wanted.get(number, [])) for number in got)

        wait_for(lambda: "all frames: " + json.dumps({n: [f.hex() for f in frames] for n, frames in got.items()}), arrived, 30)
        for number, guest in self.guests.items():
            got[number] += guest.receive_all(0.05)
            assert [f.hex() for f in got[number]] == [f.hex() for f in wanted.get(number, [])], f"port {number}"


@pytest.fixture
def stage(lab):
    stage = Stage(lab)
    yield stage
    stage.weft.stop()


def drops(weft, port):
    return {row["reason"]: row["packets"] for row in weft.cli("drops", f"p{port}", json=True) if row["packets"]}


def test_vlan_modes_byte_for_byte(stage):
    """Once by the agent, as each frame misses, once by the flow that it left."""
    for turn in (b"miss", b"hit"):
        for number, (port, tags, out) in enumerate(FLOODS):
            payload, source = turn + bytes([number]), mac(0x80 + number)
            stage.guests[port].send(frame(tags, payload, source=source))
            for to, tags_out in out.items():
                got = stage.guests[to].receive(30)
                assert got.hex() == frame(tags_out, payload, source=source).hex(), (turn, number, port, tags, to)
    stage.expect({})
    refused = {}
    for port, tags, out in FLOODS:
        if not out and port != 2:
            refused[port] = refused.get(port, 0) + 2
    for port, n in refused.items():
        wait_for(f"the drops of port {port}", lambda: drops(stage.weft, port) == {"vlan-not-allowed": n})


def test_unicast_goes_where_it_was_learned(stage):
    """In its VLAN alone: the same address may be elsewhere in another."""
    host, other = mac(0x21), mac(0x22)
    stage.guests[3].send(frame(C20, b"learn", source=host))
    stage.expect({port: [frame(tags, b"learn", source=host)] for port, tags in
                  {2: C20, 4: C20, 5: C20, 7: "", 8: C20}.items()})
    wait_for("the address", lambda: stage.fdb() == {(20, host): "p3"})
    stage.guests[7].send(frame("", b"to it", source=other, destination=host))
    stage.expect({3: [frame(C20, b"to it", source=other, destination=host)]})
    wait_for("the other", lambda: stage.fdb() == {(20, host): "p3", (20, other): "p7"})
    # VLAN 10 does not know it.
    stage.guests[1].send(frame("", b"flood", source=mac(0x23), destination=host))
    stage.expect({port: [frame(tags, b"flood", source=mac(0x23), destination=host)] for port, tags in
                  {2: C10, 3: C10, 4: "", 5: C10, 6: ""}.items()})
    # To where it came from: nowhere.
    stage.guests[3].send(frame(C20, b"back", source=mac(0x24), destination=host))
    # It moves; flows that are there follow at once.
    stage.guests[8].send(frame(C20, b"moved", source=host, destination=other))
    stage.expect({7: [frame("", b"moved", source=host, destination=other)]})
    wait_for("the move", lambda: stage.fdb().get((20, host)) == "p8")

    def follows():
        stage.guests[7].send(frame("", b"to it", source=other, destination=host))
        return stage.guests[8].poll(0.2) == frame(C20, b"to it", source=other, destination=host)

    wait_for("the flow that followed", follows)
    assert stage.fdb() == {(20, host): "p8", (20, other): "p7", (10, mac(0x23)): "p1", (20, mac(0x24)): "p3"}
    table = stage.weft.cli("fdb", "list", "br0").splitlines()
    assert table[0].split()[:4] == ["SWITCH", "PORT", "VLAN", "MAC"]
    assert ["br0", "p8", "20", host] in [line.split()[:4] for line in table[1:]]
    # Its port goes, and what was learned there with it.
    stage.weft.cli("port", "del", "br0", "p8")
    stage.guests.pop(8).close()
    wait_for("the end of its addresses", lambda: (20, host) not in stage.fdb())

    def floods():
        stage.guests[7].send(frame("", b"flows follow", source=other, destination=host))
        return stage.guests[5].poll(0.2) is not None

    wait_for("the flow's end", floods)
    for number in (2, 3, 4, 5):
        stage.guests[number].receive_all()
    stage.guests[7].send(frame("", b"flood again", source=other, destination=host))
    stage.expect({port: [frame(C20, b"flood again", source=other, destination=host)] for port in (2, 3, 4, 5)})


def test_addresses_age(lab):
    """What sends stays, though only flows see it; what is silent goes, and is flooded again."""
    stage = Stage(lab, {1: [], 2: [], 3: []})
    stage.weft.cli("switch", "set", "br0", "mac-ageing=5")
    silent, busy = mac(0x31), mac(0x32)
    stage.guests[1].send(frame("", b"silent", source=silent))
    stage.guests[2].send(frame("", b"busy", source=busy))
    wait_for("both addresses", lambda: {(0, silent): "p1", (0, busy): "p2"}.items() <= stage.fdb().items())

    def gone():
        # To itself, so that nobody hears it; its flow is enough.
        stage.guests[2].send(frame("", b"busy", source=busy, destination=busy))
        return stage.fdb() == {(0, busy): "p2"}

    wait_for("the silent one's end", gone, 60, 0.1)
    for guest in stage.guests.values():
        guest.flush()
    stage.guests[3].send(frame("", b"where", source=mac(0x33), destination=silent))
    stage.expect({port: [frame("", b"where", source=mac(0x33), destination=silent)] for port in (1, 2)})
    # All go in the end.
    wait_for("the last one's end", lambda: stage.fdb() == {}, 60)
    assert "mac-ageing=0: must be a number" in stage.weft.cli_fails("switch", "set", "br0", "mac-ageing=0")
    # No more than there is room for.
    stage.weft.cli("switch", "set", "br0", "mac-ageing=", "mac-table-size=4")
    for number in range(10):
        stage.guests[1].send(frame("", b"many", source=mac(0x40 + number)))
        stage.guests[2].receive(30)
    wait_for("the last four", lambda: set(stage.fdb()) == {(0, mac(0x40 + number)) for number in range(6, 10)})
    stage.weft.stop()

# SPDX-License-Identifier: Apache-2.0
"""Groups that spread connections over tunnels and patch ports: by the fast path, one flow for all of them.

    guest a --- vhost-user a --- [br0] t1, t2 (vxlan), p1 ---- p2 [br1] --- vhost-user b --- guest b
                                        :
                            ul0 [under] up1 ---- eth0, 192.0.2.2
          192.0.2.1, 198.51.100.1       up2 ---- eth0, 198.51.100.2
"""

import struct

from scapy.layers.inet import UDP
from scapy.layers.l2 import Ether

from lab import Netns, VhostGuest, Weft, wait_for

A, B = "020000000001", "020000000002"
REMOTES = ("192.0.2.2", "198.51.100.2")


def datagram(source_port):
    """A UDP datagram of 60 bytes from a to b; all but the port is always the same."""
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 46, 0, 0, 64, 17, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
    total = sum(struct.unpack("!10H", ip))
    total = (total & 0xFFFF) + (total >> 16)
    ip = ip[:10] + struct.pack("!H", ~total & 0xFFFF) + ip[12:]
    return bytes.fromhex(B + A + "0800") + ip + struct.pack("!HHHH", source_port, 9, 26, 0) + bytes(18)


class Stage:
    def __init__(self, lab):
        self.host = Netns(lab, "host")
        self.weft = Weft(lab, netns=self.host.name).start()
        self.cli = self.weft.cli
        self.cli("switch", "add", "under")
        self.cli("port", "add", "under", "ul0", "type=internal", "ip=192.0.2.1/24,198.51.100.1/24", "of-port=9")
        self.cli("switch", "add", "br0", "fail-mode=secure")
        self.cli("switch", "add", "br1", "fail-mode=secure")
        self.wires = []
        for n, remote in enumerate(REMOTES, 1):
            far = Netns(lab, f"far{n}")
            self.cli("port", "add", "under", f"up{n}", "type=veth", f"netns={far.name}", "ifname=eth0", f"ip={remote}/24",
                     "underlay=yes", f"of-port={n}")
            self.cli("port", "add", "br0", f"t{n}", "type=vxlan", f"remote={remote}", "vni=flow")
            self.wires.append(far.packets("eth0"))
        self.cli("flow", "add", "under", "actions=NORMAL")
        self.cli("flow", "add", "under", "priority=40000,in_port=ul0,udp,tp_dst=4789,actions=NORMAL")
        self.cli("port", "add", "br0", "a", "type=vhost-user")
        self.cli("port", "add", "br1", "b", "type=vhost-user")
        self.cli("port", "add", "br0", "p1", "type=patch", "peer=p2")
        self.cli("port", "add", "br1", "p2", "type=patch", "peer=p1")
        self.a, self.b = (VhostGuest(lab, self.weft.vhost_path(name)).open() for name in "ab")
        self.wait_states("ready", "ready")

    def states(self):
        return [row["state"] for row in self.cli("tunnel", "list", json=True)]

    def wait_states(self, *states):
        wait_for(lambda: f"ways to the remotes: {self.states()}", lambda: tuple(self.states()) == states, 30)

    def send(self, frames):
        """Sends them; what has come out at either end, and at b, when all of them have."""
        got = [[], [], []]
        for frame in frames:
            self.a.send(frame)

        def collect():
            for n in (0, 1):
                got[n] += [inner for inner in map(inside, self.wires[n].receive_all(0.1)) if inner in wanted]
            got[2].extend(frame for frame in self.b.receive_all(0.1) if frame in wanted)
            return sum(map(len, got)) >= len(frames)

        wanted = set(frames)
        wait_for(lambda: f"{len(frames)} frames: {[len(part) for part in got]}", collect, 60)
        assert sorted(got[0] + got[1] + got[2]) == sorted(frames)
        return [sorted(part) for part in got]

    def group(self):
        (group,) = self.cli("group", "list", "br0", json=True)
        return group["packets"], [(bucket["packets"], bucket["bytes"]) for bucket in group["buckets"]]

    def rule(self):
        (row,) = [row for row in self.cli("flow", "list", "under", json=True) if row["priority"] == 40000]
        return row["packets"]

    def sent(self, port):
        shown = self.cli("port", "show", port, json=True)
        return shown["tx_packets"], shown["tx_bytes"]


def inside(frame):
    """The guest's frame in a frame of network 5. None: another frame."""
    packet = Ether(frame)
    return frame[50:] if UDP in packet and packet[UDP].dport == 4789 and frame[42:50].hex() == "0800000000000500" else None


def test_select_over_tunnels_is_the_fast_path_s(lab):
    stage = Stage(lab)
    stage.cli("group", "add", "br0", "group_id=1,type=select,bucket=weight:3,actions=output:t1,bucket=weight:1,actions=output:t2")
    stage.cli("flow", "add", "br0", "in_port=a,actions=set_field:5->tun_id,group:1")
    frames = [datagram(2000 + n) for n in range(200)]
    first = stage.send(frames)
    n, m = len(first[0]), len(first[1])
    assert n + m == 200 and 115 <= n <= 180
    # Each bucket counts its own, and so do the tunnel ports; the underlay's rule counts all.
    for what, value, wanted in (
        ("group", stage.group, (200, [(n, 60 * n), (m, 60 * m)])),
        ("rule", stage.rule, 200),
        ("t1", lambda: stage.sent("t1"), (n, 60 * n)),
        ("t2", lambda: stage.sent("t2"), (m, 60 * m)),
    ):
        wait_for(lambda what=what, value=value: f"{what}: {value()}", lambda value=value, wanted=wanted: value() == wanted, 20)
    flows = [flow for flow in stage.cli("dp", "flows", json=True) if "select" in flow["actions"]]
    assert len(flows) == 1
    # New connections need no agent.
    stage.weft.stop_agent()
    others = [datagram(3000 + n) for n in range(200)]
    second = stage.send(others)
    assert 115 <= len(second[0]) <= 180 and not second[2]
    assert stage.send(frames) == first
    stage.weft.start_agent()
    # Another weight moves only those that it has to.
    stage.wait_states("ready", "ready")
    stage.cli("group", "mod", "br0", "group_id=1,type=select,bucket=weight:3,actions=output:t1,bucket=weight:3,actions=output:t2")
    third = stage.send(frames)
    assert 70 <= len(third[0]) <= 130 and set(third[0]) <= set(first[0])
    stage.weft.stop()


def test_failover_follows_the_underlay(lab):
    stage = Stage(lab)
    stage.cli("group", "add", "br0", "group_id=1,type=ff,bucket=watch_port:t1,output:t1,bucket=watch_port:t2,output:t2")
    stage.cli("flow", "add", "br0", "in_port=a,actions=set_field:5->tun_id,group:1")
    frames = [datagram(2000 + n) for n in range(20)]
    assert stage.send(frames) == [frames, [], []]
    stage.host.run("ip", "addr", "del", "192.0.2.1/24", "dev", "ul0")
    probe = datagram(9)
    wait_for("the second way", lambda: stage.a.send(probe) or any(inside(got) == probe for got in stage.wires[1].receive_all(0.2)), 20)
    assert stage.send(frames) == [[], frames, []]
    stage.host.run("ip", "addr", "add", "192.0.2.1/24", "dev", "ul0")
    stage.wait_states("ready", "ready")
    wait_for("the first way", lambda: stage.a.send(probe) or any(inside(got) == probe for got in stage.wires[0].receive_all(0.2)), 20)
    assert stage.send(frames) == [frames, [], []]
    stage.weft.stop()


def test_select_over_a_patch_port(lab):
    stage = Stage(lab)
    stage.cli("flow", "add", "br1", "cookie=8,in_port=p2,actions=output:b")
    stage.cli("group", "add", "br0", "group_id=1,type=select,bucket=weight:1,actions=output:t1,bucket=weight:1,watch_port:p1,actions=output:p1")
    stage.cli("flow", "add", "br0", "in_port=a,actions=set_field:5->tun_id,group:1")
    frames = [datagram(2000 + n) for n in range(200)]
    first = stage.send(frames)
    assert 70 <= len(first[2]) <= 130 and not first[1]

    def rule():
        (row,) = stage.cli("flow", "list", "br1", json=True)
        return row["packets"], row["bytes"]

    n = len(first[2])
    wait_for(lambda: f"the other switch's rule: {rule()}", lambda: rule() == (n, 60 * n), 20)
    wait_for(lambda: f"the patch port: {stage.sent('p1')}", lambda: stage.sent("p1") == (n, 60 * n), 20)
    stage.weft.stop_agent()
    assert stage.send(frames) == first
    stage.weft.start_agent()
    wait_for(lambda: f"counters go on: {rule()}", lambda: rule() == (2 * n, 120 * n), 20)
    # A cable that is out is not live.
    stage.cli("port", "set", "p1", "admin=down")
    probes = [datagram(4000 + n) for n in range(20)]
    wait_for("the tunnel alone", lambda: [stage.a.send(frame) for frame in probes] and not stage.b.receive_all(0.3), 20)
    stage.wires[0].receive_all(0.3)
    assert stage.send(frames) == [frames, [], []]
    stage.weft.stop()

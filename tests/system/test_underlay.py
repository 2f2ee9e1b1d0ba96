# SPDX-License-Identifier: Apache-2.0
"""Tunnels follow the kernel: routes, next hops and addresses of the host that Weft runs on.

    namespace guest                namespace host (the daemons')                  namespace far
      eth0 ---- g0 [br0] vx0 - - - under 10.0.0.1/24 [under] up0 (underlay=yes) ---- eth0 10.0.0.2/24
"""

import struct

import pytest
from lab import Netns, Weft, wait_for

GUEST, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"
REMOTE, VNI = "10.9.0.9", 5
FRAME = bytes.fromhex((OTHER + GUEST).replace(":", "") + "88b5") + bytes(range(46))


class Hosts:
    def __init__(self, lab):
        self.guest, self.host, self.far = (Netns(lab, name) for name in ("guest", "host", "far"))
        self.weft = Weft(lab, netns=self.host.name).start()
        for switch in ("br0", "under"):
            self.weft.cli("switch", "add", switch)
        self.weft.cli("port", "add", "under", "under", "type=internal", "ip=10.0.0.1/24")
        self.weft.cli("port", "add", "under", "up0", "type=veth", f"netns={self.far.name}", "ifname=eth0", "underlay=yes", "ip=10.0.0.2/24")
        self.weft.cli("port", "add", "br0", "g0", "type=veth", f"netns={self.guest.name}", "ifname=eth0")
        self.weft.cli("port", "add", "br0", "vx0", "type=vxlan", f"remote={REMOTE}", f"vni={VNI}")

    def mac(self, netns, device):
        return netns.run("cat", f"/sys/class/net/{device}/address").strip()

    def path(self):
        """The only row of vx0."""
        rows = [row for row in self.weft.cli("tunnel", "list", "br0", json=True) if row["port"] == "vx0"]
        assert len(rows) == 1
        return rows[0]

    def wait_for(self, **expected):
        """Until vx0's row says so."""

        def shown():
            return {key: self.path().get(key) for key in expected}

        wait_for(lambda: f"{expected}, not {self.path()}", lambda: shown() == expected, 60)


@pytest.fixture
def hosts(lab):
    return Hosts(lab)


def is_vxlan(frame):
    return frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[36:38] == (4789).to_bytes(2, "big")


def outer(frame):
    """What is outside of a VXLAN packet over IPv4: MACs, addresses, destination port, VNI; and the inner frame."""
    eth, ip, udp, vxlan = frame[:14], frame[14:34], frame[34:42], frame[42:50]
    assert (eth[12:], ip[0], ip[9], vxlan[0]) == (b"\x08\x00", 0x45, 17, 8)
    return {
        "dst": eth[:6].hex(":"),
        "src": eth[6:12].hex(":"),
        "from": ".".join(map(str, ip[12:16])),
        "to": ".".join(map(str, ip[16:20])),
        "port": struct.unpack("!H", udp[2:4])[0],
        "vni": int.from_bytes(vxlan[4:7], "big"),
        "inner": frame[50:],
    }


def test_tunnel_follows_the_kernel(lab, hosts):
    tx, rx = hosts.guest.packets("eth0"), hosts.far.packets("eth0")
    hosts.wait_for(state="no-route", route="", error=f"the kernel has no route to {REMOTE}")
    # The kernel resolves the gateway because the agent makes it; it is asked and answers through the switch.
    hosts.host.run("ip", "route", "add", "10.9.0.0/16", "via", "10.0.0.2", "metric", "7")
    first = hosts.mac(hosts.far, "eth0")
    hosts.wait_for(state="ready", mac=first)
    assert hosts.path() == {
        "switch": "br0",
        "port": "vx0",
        "remote": REMOTE,
        "state": "ready",
        "route": "10.9.0.0/16 metric 7",
        "source": "10.0.0.1",
        "next_hop": "10.0.0.2",
        "mac": first,
        "via": "under:under",
        "mtu": 1500,
        "weight": 1,
        "error": "",
        "last_error": f"the kernel has no route to {REMOTE}",
    }

    def sent_to():
        """Where a frame of the guest goes that is sent now: the outer MAC address."""
        rx.flush()
        tx.send(FRAME)
        frame = rx.poll(1, accept=is_vxlan)
        packet = frame and outer(frame)
        assert packet is None or packet == {
            "dst": packet["dst"],
            "src": hosts.mac(hosts.host, "under"),
            "from": "10.0.0.1",
            "to": REMOTE,
            "port": 4789,
            "vni": VNI,
            "inner": FRAME,
        }
        return packet and packet["dst"]

    wait_for("a frame in a tunnel", lambda: sent_to() == first, 30)
    # The next hop is replaced by another machine, which makes itself known.
    second = "02:00:00:00:00:77"
    hosts.far.run("ip", "link", "set", "eth0", "address", second)

    def is_known():
        """The kernel takes no notice within a second of the last: once more, then."""
        hosts.far.run("ip", "neigh", "flush", "dev", "eth0")
        hosts.far.run("ping", "-c", "1", "-W", "1", "10.0.0.1", check=False)
        return hosts.path()["mac"] == second

    wait_for(lambda: f"the new next hop, not {hosts.path()}", is_known, 60)
    wait_for("a frame to the new next hop", lambda: sent_to() == second, 30)
    # It falls silent, and what is lost has that reason; then it answers again.
    hosts.far.run("ip", "addr", "flush", "dev", "eth0")
    hosts.host.run("ip", "neigh", "del", "10.0.0.2", "dev", "under")
    hosts.wait_for(state="no-neighbour", error="next hop 10.0.0.2 on under does not answer", mac="")

    def no_neighbour():
        """Frames of the guest that were dropped for want of a next hop, after one more is sent."""
        sent_to()
        rows = hosts.weft.cli("drops", "g0", json=True)
        return sum(row["packets"] for row in rows if row["reason"] == "tunnel-no-neighbour")

    wait_for("drops with the reason", lambda: no_neighbour() > 0, 30)
    hosts.far.run("ip", "addr", "add", "10.0.0.2/24", "dev", "eth0")
    hosts.wait_for(state="ready", mac=second, last_error="next hop 10.0.0.2 on under does not answer")
    wait_for("a frame in a tunnel again", lambda: sent_to() == second, 30)
    # A route that leaves by a device which is no port of ours.
    hosts.host.run("ip", "link", "add", "other", "type", "veth", "peer", "name", "rehto")
    hosts.host.run("ip", "link", "set", "other", "up")
    hosts.host.run("ip", "route", "add", REMOTE, "dev", "other")
    hosts.wait_for(
        state="no-underlay",
        via="other",
        error=f"the route to {REMOTE} leaves by other, which is no internal port of a switch",
    )
    hosts.host.run("ip", "link", "del", "other")
    hosts.wait_for(state="ready", via="under:under")
    # The port goes, and with it the remote.
    hosts.weft.cli("port", "del", "br0", "vx0")
    assert hosts.weft.cli("tunnel", "list", json=True) == []
    assert hosts.weft.cli("stats", json=True)["underlay"]["remotes"] == 0
    assert "no switch nix" in hosts.weft.cli_fails("tunnel", "list", "nix")


def test_traffic_moves_to_an_equal_cost_path(lab):
    """Two ways to the remote, by a switch each. One internal port goes down: all connections take the other way.

    namespace guest                 namespace host                                          namespace far
      eth0 ---- g0 [br0] vx0 - - -+ ul0 10.0.0.1/24 [under0] up0 (underlay=yes) ---- eth0 10.0.0.2/24
                                  + ul1 10.0.1.1/24 [under1] up1 (underlay=yes) ---- eth1 10.0.1.2/24
    """
    guest, host, far = (Netns(lab, name) for name in ("guest", "host", "far"))
    weft = Weft(lab, netns=host.name).start()
    weft.cli("switch", "add", "br0")
    for i in "01":
        weft.cli("switch", "add", f"under{i}")
        weft.cli("port", "add", f"under{i}", f"ul{i}", "type=internal", f"ip=10.0.{i}.1/24")
        weft.cli("port", "add", f"under{i}", f"up{i}", "type=veth", f"netns={far.name}", f"ifname=eth{i}", "underlay=yes", f"ip=10.0.{i}.2/24")
    weft.cli("port", "add", "br0", "g0", "type=veth", f"netns={guest.name}", "ifname=eth0")
    weft.cli("port", "add", "br0", "vx0", "type=vxlan", f"remote={REMOTE}", f"vni={VNI}")
    host.run("ip", "route", "add", "10.9.0.0/16", "nexthop", "via", "10.0.0.2", "nexthop", "via", "10.0.1.2")

    def states():
        return {row["via"]: row["state"] for row in weft.cli("tunnel", "list", json=True)}

    wait_for(lambda: f"both ways, not {states()}", lambda: states() == {"under0:ul0": "ready", "under1:ul1": "ready"}, 60)
    tx, rx = guest.packets("eth0"), [far.packets(f"eth{i}") for i in "01"]

    def frame(connection):
        """UDP from another port for each connection."""
        ip = bytes.fromhex("45000020000000004011") + b"\0\0" + bytes((192, 0, 2, 1, 192, 0, 2, 2))
        return FRAME[:12] + b"\x08\x00" + ip + struct.pack("!HHHH", 1000 + connection, 7, 12, 0) + bytes(4)

    def ways(n=16):
        """By which way each connection's frame comes out that is sent now."""
        found = {}
        for queue in rx:
            queue.flush()
        for connection in range(n):
            tx.send(frame(connection))
        for way, queue in enumerate(rx):
            while len(found) < n and (got := queue.poll(0.5, accept=is_vxlan)):
                found[struct.unpack("!H", outer(got)["inner"][34:36])[0] - 1000] = way
        return found

    # A first packet may go while the kernel resolves. Then both ways are used, and each connection keeps its own.
    wait_for(lambda: f"all connections by both ways, not {ways()}", lambda: (w := ways()) and len(w) == 16 and set(w.values()) == {0, 1}, 60)
    before = ways()
    # The device's own link; that of the switch's uplink, of which the kernel knows nothing; and the uplink is closed.
    for fail, mend in (
        (lambda: host.run("ip", "link", "set", "ul0", "down"), lambda: host.run("ip", "link", "set", "ul0", "up")),
        (lambda: far.run("ip", "link", "set", "eth0", "down"), lambda: far.run("ip", "link", "set", "eth0", "up")),
        (lambda: weft.cli("port", "set", "up0", "admin=down"), lambda: weft.cli("port", "set", "up0", "admin=up")),
    ):
        fail()
        wait_for(lambda: f"one way, not {ways()}", lambda: (w := ways()) and len(w) == 16 and set(w.values()) == {1}, 60)
        assert states()["under1:ul1"] == "ready"
        mend()
        wait_for(lambda: f"both ways, not {states()}", lambda: states() == {"under0:ul0": "ready", "under1:ul1": "ready"}, 60)
        wait_for(lambda: f"as before, {before}, not {ways()}", lambda: ways() == before, 60)
    # Without another way the listing says what is wrong, and drops have the reason.
    host.run("ip", "route", "replace", "10.9.0.0/16", "via", "10.0.0.2")
    far.run("ip", "link", "set", "eth0", "down")
    words = f"the route to {REMOTE} leaves by ul0, of whose switch no underlay port has a link"

    def why():
        return [(row["state"], row["error"]) for row in weft.cli("tunnel", "list", json=True)]

    wait_for(lambda: f"words, not {why()}", lambda: why() == [("link-down", words)], 60)
    tx.send(frame(0))
    wait_for("a drop", lambda: "tunnel-no-neighbour" in {row["reason"] for row in weft.cli("drops", "g0", json=True)})
    # A second uplink is enough.
    weft.cli("port", "add", "under0", "up2", "type=veth", f"netns={far.name}", "ifname=eth2", "underlay=yes")
    wait_for(lambda: f"ready, not {why()}", lambda: why() == [("ready", "")], 60)
    weft.cli("port", "del", "under0", "up2")
    wait_for(lambda: f"words, not {why()}", lambda: why() == [("link-down", words)], 60)
    # Without underlay ports nothing is known of the way out.
    weft.cli("port", "set", "up0", "underlay=no")
    wait_for(lambda: f"ready, not {why()}", lambda: why() == [("ready", "")], 60)


def test_many_remotes_follow_their_next_hops(lab, hosts):
    """Rules send to 200 remotes with four VNIs each. Every next hop moves: each frame goes to its new place, and no flow was
    changed more often than its own next hop."""
    remotes, vnis = 200, 4
    tx, rx = hosts.guest.packets("eth0"), hosts.far.packets("eth0")
    weft = hosts.weft
    weft.cli("switch", "set", "br0", "fail-mode=secure")
    weft.cli("flow", "del", "br0")
    weft.cli("port", "add", "br0", "vxf", "type=vxlan", "remote=flow", "vni=flow", "dst-port=4790")
    hosts.host.run("ip", "addr", "add", "10.1.0.1/16", "dev", "under")

    def address(remote):
        return f"10.1.{1 + remote // 250}.{1 + remote % 250}"

    def mac(turn, remote):
        return f"02:00:00:{turn:02x}:{remote // 256:02x}:{remote % 256:02x}"

    def move(turn):
        lines = (f"neigh replace {address(r)} dev under lladdr {mac(turn, r)} nud permanent\n" for r in range(remotes))
        hosts.host.run("ip", "-batch", "-", input="".join(lines))

    def frame(number):
        ip = bytes.fromhex("45000020000000004011") + b"\0\0" + bytes((192, 0, 2, 1, 192, 0, 2, 2))
        return FRAME[:12] + b"\x08\x00" + ip + struct.pack("!HHHH", 1000 + number, 7, 12, 0) + bytes(4)

    def wrong(turn):
        """How many frames, one of each connection, do not come out as they should."""
        rx.flush()
        right = set()
        for number in range(remotes * vnis):
            tx.send(frame(number))
            while number % 100 == 99 and (got := rx.poll(0.2, accept=lambda f: f[36:38] == (4790).to_bytes(2, "big"))):
                note(got, turn, right)
        return remotes * vnis - len(right)

    def note(got, turn, right):
        packet = outer(got)
        number = struct.unpack("!H", packet["inner"][34:36])[0] - 1000
        remote = number // vnis
        if (packet["dst"], packet["to"], packet["vni"]) == (mac(turn, remote), address(remote), number):
            right.add(number)

    move(1)
    rules = (
        f"in_port=g0,udp,tp_src={1000 + n},actions=set_field:{address(n // vnis)}->tun_dst,set_field:{n}->tun_id,output:vxf\n"
        for n in range(remotes * vnis)
    )
    (lab.dir / "rules").write_text("".join(rules))
    weft.cli("flow", "add", "br0", "-f", str(lab.dir / "rules"), "--bundle")
    wait_for("each frame at its place", lambda: wrong(1) == 0, 120)
    assert len([row for row in weft.cli("tunnel", "list", json=True) if row["port"] == "vxf"]) == remotes
    before = weft.cli("stats", json=True)["handlers"]["flows_changed"]
    move(2)
    wait_for("each frame at its new place", lambda: wrong(2) == 0, 120)
    assert weft.cli("stats", json=True)["handlers"]["flows_changed"] - before <= remotes * vnis

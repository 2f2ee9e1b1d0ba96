# SPDX-License-Identifier: Apache-2.0
"""Fast failover by BFD: a path that takes packets and loses them, with its links up.

    guest g1 ---- vm [br0] t1 : tunnel : ul1 [under1] up1 ---- bridge bra -- up1 [under1] ul1 : tunnel : t1 [br0] vm ---- g2
                           t2 : tunnel : ul2 [under2] up2 ---- bridge brb -- up2 [under2] ul2 : tunnel : t2
"""

import re
import struct

import pytest

from lab import Netns, Weft, ovs_ofctl, wait_for

GUEST, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"
HEAD = bytes.fromhex((OTHER + GUEST).replace(":", "") + "88b5")
NETWORKS = {1: "192.0.2", 2: "198.51.100"}


class Host:
    def __init__(self, lab, n, net):
        self.n = n
        self.netns, self.guest = Netns(lab, f"h{n}"), Netns(lab, f"g{n}")
        for path, bridge in ((1, "bra"), (2, "brb")):
            net.run("ip", "link", "add", f"{bridge}{n}", "type", "veth", "peer", "name", f"wire{path}", "netns", self.netns.name)
            net.run("ip", "link", "set", f"{bridge}{n}", "master", bridge, "up")
            self.netns.run("ip", "link", "set", f"wire{path}", "up")
        self.weft = Weft(lab, name=f"weft{n}", netns=self.netns.name).start()
        self.cli("switch", "add", "br0", "fail-mode=secure")
        self.cli("port", "add", "br0", "vm", "type=veth", f"netns={self.guest.name}", "ifname=eth0", "of-port=9")
        for path, prefix in NETWORKS.items():
            self.cli("switch", "add", f"under{path}")
            self.cli("port", "add", f"under{path}", f"ul{path}", "type=internal", f"ip={prefix}.{n}/24")
            self.cli("port", "add", f"under{path}", f"up{path}", "type=af-packet", f"ifname=wire{path}", "underlay=yes")

    def cli(self, *arguments, **how):
        return self.weft.cli(*arguments, **how)

    def tunnels(self, *settings):
        for path, prefix in NETWORKS.items():
            self.cli("port", "add", "br0", f"t{path}", "type=vxlan", f"remote={prefix}.{3 - self.n}", "vni=5", f"of-port={path}", *settings)
        self.cli("group", "add", "br0", "group_id=1,type=ff,bucket=watch_port:t1,actions=output:t1,bucket=watch_port:t2,actions=output:t2")
        self.cli("flow", "add", "br0", "in_port=vm,actions=group:1")
        for path in NETWORKS:
            self.cli("flow", "add", "br0", f"in_port=t{path},actions=set_field:02:00:00:00:00:{path:02x}->eth_src,output:vm")

    def session(self, port):
        return next(row for row in self.cli("bfd", "list", json=True) if row["port"] == port)

    def wait(self, port, **expected):
        def shown():
            return {key: self.session(port)[key] for key in expected}

        wait_for(lambda: f"{expected} of {port}, not {self.session(port)}", lambda: shown() == expected, 60)


class Paths:
    def __init__(self, lab):
        self.lab = lab
        self.net = Netns(lab, "net")
        for bridge in ("bra", "brb"):
            self.net.run("ip", "link", "add", bridge, "type", "bridge")
            self.net.run("ip", "link", "set", bridge, "up")
        self.hosts = [Host(lab, n, self.net) for n in (1, 2)]
        self.near, self.far = self.hosts

    def lose(self, bridge):
        """What comes in on this bridge goes nowhere; links stay up."""
        self.net.run("ip", "link", "set", f"{bridge}2", "nomaster")

    def mend(self, bridge):
        self.net.run("ip", "link", "set", f"{bridge}2", "master", bridge)


@pytest.fixture
def paths(lab):
    made = Paths(lab)
    yield made
    for host in made.hosts:
        host.weft.stop()


class Probe:
    """Frames from guest to guest; the far end writes the tunnel's number into the source address."""

    def __init__(self, paths):
        self.out, self.into = paths.near.guest.packets("eth0"), paths.far.guest.packets("eth0")
        self.n = 0

    def frame(self):
        self.n += 1
        return HEAD + struct.pack(">Q", self.n).ljust(46, b"\0")

    def path(self):
        """By which tunnel a frame arrives; None: it does not, for now."""
        frame = self.frame()
        self.out.send(frame)
        for got in self.into.receive_all(0.5):
            if got[12:] == frame[12:]:
                return got[11]
        return None


def is_live(weft, port):
    """As OpenFlow shows a port whose link is up, at all events."""
    (lines,) = re.findall(rf"\({port}\): .*\n(?:     .*\n)*", ovs_ofctl(weft, "dump-ports-desc", "br0"))
    assert "LINK_DOWN" not in lines
    return "LIVE" in lines


def test_failover_by_bfd(paths):
    """A session waits 6 s for the other end: on a busy machine nobody may run for some of them."""
    near, far = paths.near, paths.far
    for host in paths.hosts:
        host.tunnels("bfd=yes", "bfd-min-tx=300", "bfd-min-rx=300", "bfd-mult=20")
    for host in paths.hosts:
        for port in ("t1", "t2"):
            host.wait(port, state="up")
    probe = Probe(paths)
    wait_for("frames by the first path", lambda: probe.path() == 1, 60)
    wait_for("the first path to be live", lambda: is_live(near.weft, "t1"), 60)
    paths.lose("bra")
    for host in paths.hosts:
        host.wait("t1", state="down", forwarding=False)
    assert near.session("t1")["diagnostic"] in ("expired", "neighbour-down")
    wait_for("frames by the other path", lambda: probe.path() == 2, 60)
    wait_for("the first path not to be live", lambda: not is_live(near.weft, "t1"), 60)
    assert near.cli("port", "show", "t1", json=True)["link"] == "up"
    paths.mend("bra")
    near.wait("t1", state="up")
    wait_for("frames by the first path again", lambda: probe.path() == 1, 60)
    # Without an agent as well: the datapath knows by itself.
    near.weft.kill_agent()
    paths.lose("bra")
    wait_for("frames by the other path, without an agent", lambda: probe.path() == 2, 60)
    near.weft.start_agent()
    wait_for("frames by the other path, with an agent", lambda: probe.path() == 2, 60)
    paths.mend("bra")
    near.wait("t1", state="up")
    wait_for("frames by the first path in the end", lambda: probe.path() == 1, 60)

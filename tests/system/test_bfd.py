# SPDX-License-Identifier: Apache-2.0
"""BFD on tunnel ports: between two Wefts, with Open vSwitch, over restarts, with what is wrong; as a group's watch.

    guest g1 ---- veth vm [br0] t1 : tunnel : t1 [br0] vm veth ---- guest g2
          ul0 [under] up0 ---- wire1 ........ wire2 ---- up0 [under] ul0
    192.0.2.1                                                    192.0.2.2
"""

import struct

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from lab import Netns, OpenVSwitch, Weft, wait_for

# The machine may be so busy that nobody runs for seconds: who is to stay up waits half a minute for the other.
PATIENT = ("bfd=yes", "bfd-min-tx=150", "bfd-min-rx=100", "bfd-mult=200")
HASTY = ("bfd=yes", "bfd-min-tx=300", "bfd-min-rx=300")


def near(lab, far):
    """Weft whose underlay switch has the uplink eth0 in the namespace far."""
    host = Netns(lab, "host")
    weft = Weft(lab, netns=host.name).start()
    weft.cli("switch", "add", "under")
    weft.cli("port", "add", "under", "ul0", "type=internal", "ip=192.0.2.1/24")
    weft.cli("port", "add", "under", "up0", "type=veth", f"netns={far.name}", "ifname=eth0", "underlay=yes")
    weft.cli("switch", "add", "br0")
    return weft


class Host:
    """One end: its namespace with the uplink wire{n}, Weft in it, and a guest."""

    def __init__(self, lab, n):
        self.n = n
        self.netns, self.guest = Netns(lab, f"h{n}"), Netns(lab, f"g{n}")

    def start(self, lab):
        self.weft = Weft(lab, name=f"weft{self.n}", netns=self.netns.name).start()
        for switch in ("under", "br0"):
            self.cli("switch", "add", switch)
        self.cli("port", "add", "under", "ul0", "type=internal", f"ip=192.0.2.{self.n}/24")
        self.cli("port", "add", "under", "up0", "type=af-packet", f"ifname=wire{self.n}", "underlay=yes")
        self.cli("port", "add", "br0", "vm", "type=veth", f"netns={self.guest.name}", "ifname=eth0", f"ip=10.0.0.{self.n}/24")

    def cli(self, *arguments, **how):
        return self.weft.cli(*arguments, **how)

    def tunnel(self, *settings):
        self.cli("port", "add", "br0", "t1", f"remote=192.0.2.{3 - self.n}", *settings)

    def session(self, port="t1"):
        rows = [row for row in self.cli("bfd", "list", json=True) if row["port"] == port]
        return rows[0] if rows else {}

    def wait(self, port="t1", **expected):
        """Until the session says so."""

        def shown():
            return {key: self.session(port).get(key) for key in expected}

        wait_for(lambda: f"{expected}, not {self.session(port)}", lambda: shown() == expected, 60)

    def drops(self):
        return {(row["port"], row["reason"]): row["packets"] for row in self.cli("drops", json=True)}


@pytest.fixture
def pair(lab):
    hosts = [Host(lab, n) for n in (1, 2)]
    hosts[0].netns.run("ip", "link", "add", "wire1", "type", "veth", "peer", "name", "wire2", "netns", hosts[1].netns.name)
    for host in hosts:
        host.netns.run("ip", "link", "set", f"wire{host.n}", "up")
        host.start(lab)
    yield hosts
    for host in hosts:
        host.weft.stop()


KINDS = (
    ("type=vxlan", "vni=5"),
    ("type=vxlan", "vni=5", "gpe=yes", "local=192.0.2.{n}"),
    ("type=geneve", "vni=flow", "bfd-vni=1", "tos=inherit", "ttl=inherit"),
    ("type=gre", "csum=yes"),
)


@pytest.mark.parametrize("kind", KINDS, ids=["vxlan", "gpe", "geneve", "gre"])
def test_bfd_between_two_wefts(pair, kind):
    for host in pair:
        host.tunnel(*(word.format(n=host.n) for word in kind), *PATIENT)
    for host in pair:
        host.wait(state="up", remote_state="up", forwarding=True, tx_interval_ms=150.0, detection_ms=30000.0)
    one, other = (host.session() for host in pair)
    assert one["discriminator"] == other["remote_discriminator"] and one["remote_discriminator"] == other["discriminator"]
    # It stays so, and guests' packets pass beside it.
    reaches(pair[0].guest, "10.0.0.2")
    for host in pair:
        wait_for("packets of BFD", lambda: host.session()["rx_packets"] > 20, 60)
        assert host.session()["came_up"] == 1 and host.session()["went_down"] == 0
        assert host.cli("port", "show", "t1", json=True)["bfd"]["state"] == "up"
    # One end is taken down, and says so.
    pair[0].cli("port", "set", "t1", "admin=down")
    pair[0].wait(state="admin-down", diagnostic="admin-down")
    pair[1].wait(state="down", diagnostic="neighbour-down", remote_state="admin-down", remote_diagnostic="admin-down")
    pair[0].cli("port", "set", "t1", "admin=up")
    for host in pair:
        host.wait(state="up", remote_state="up")
    # Another interval, agreed on while it is up.
    pair[0].cli("port", "set", "t1", "bfd-min-tx=500", "bfd-mult=100")
    pair[0].wait(state="up", tx_interval_ms=500.0)
    pair[1].wait(state="up", detection_ms=50000.0, remote_mult=100)
    assert pair[1].session()["came_up"] == 2
    # One end without it: the other finds nobody.
    pair[0].cli("port", "set", "t1", "bfd-min-tx=300", "bfd-mult=2")
    pair[1].wait(remote_mult=2)
    pair[0].cli("port", "set", "t1", "bfd=no")
    assert not pair[0].session()
    pair[1].wait(state="down", diagnostic="expired", remote_discriminator=0)
    assert not [reason for _, reason in pair[1].drops() if "cap" in reason]


def reaches(netns, address):
    wait_for(f"an answer from {address}", lambda: " 0% packet loss" in netns.run(
        "ping", "-c", "1", "-W", "1", address, check=False), 60)


def test_bfd_outlasts_the_agent(pair):
    for host in pair:
        host.tunnel("type=vxlan", "vni=5", *PATIENT)
    for host in pair:
        host.wait(state="up", remote_state="up")
    before = [host.session() for host in pair]
    pair[0].weft.kill_agent()
    heard = pair[1].session()["rx_packets"]
    wait_for("packets while there is no agent", lambda: pair[1].session()["rx_packets"] > heard + 5, 60)
    pair[0].weft.start_agent()
    pair[0].wait(state="up")
    reaches(pair[0].guest, "10.0.0.2")
    heard = pair[1].session()["rx_packets"]
    wait_for("packets with the next agent", lambda: pair[1].session()["rx_packets"] > heard + 5, 60)
    for host, old in zip(pair, before):
        new = host.session()
        assert (new["discriminator"], new["came_up"], new["went_down"]) == (old["discriminator"], 1, 0)


def test_bfd_packets_that_are_wrong(pair):
    """Forged by the far host's guest, in the network that it shares with the session."""
    pair[1].tunnel("type=vxlan", "vni=5")
    pair[0].tunnel("type=vxlan", "vni=5", *PATIENT)
    reaches(pair[1].guest, "10.0.0.1")
    guest = pair[1].guest.packets("eth0")
    mine = pair[0].session()["discriminator"]

    def forge(ttl=255, state=1, your=0, sport=50000, **fields):
        values = dict(version=1, mult=3, length=24, my=7) | fields
        control = bytes([values["version"] << 5, state << 6, values["mult"], values["length"]]) + struct.pack(
            ">IIIII", values["my"], your, 1000000, 1000000, 0)
        guest.send(bytes(Ether(dst="00:00:5e:00:52:02", src="02:00:00:00:00:02") / IP(
            src="169.254.1.1", dst="127.0.0.1", ttl=ttl) / UDP(sport=sport, dport=3784) / control))

    bad = (dict(ttl=254), dict(version=0), dict(mult=0), dict(length=23), dict(length=25), dict(my=0), dict(state=3))
    for how in bad:
        forge(**how)
    forge(state=2, your=mine ^ 1)
    wait_for(lambda: f"drops, not {pair[0].drops()}", lambda: (pair[0].drops().get(("t1", "bfd-bad")), pair[0].drops().get(("t1", "bfd-unknown"))) == (
        len(bad), 1), 60)
    assert pair[0].session()["rx_packets"] == 0 and pair[0].session()["state"] == "down"
    forge(state=1)
    pair[0].wait(state="init", remote_discriminator=7)


def test_bfd_with_open_vswitch(lab):
    """As in test_tunnel_interop.py, its key the same as ours, or chosen by flows at both ends."""
    far = Netns(lab, "far")
    weft = near(lab, far)
    ovs = OpenVSwitch(lab, far)
    for name, address in (("br-phy", "192.0.2.2"), ("br-int", "10.0.0.2")):
        ovs.vsctl("add-br", name, "--", "set", "bridge", name, "datapath_type=netdev")
        far.run("ip", "addr", "add", f"{address}/24", "dev", name)
        far.run("ip", "link", "set", name, "up")
    ovs.vsctl("add-port", "br-phy", "eth0")

    def state():
        rows = weft.cli("bfd", "list", json=True)
        return rows[0]["state"] if rows else None

    def status(name, key):
        return ovs.vsctl("get", "interface", name, f"bfd_status:{key}").strip().strip('"')

    for name, kind, key in (("ox", "vxlan", "5"), ("of", "vxlan", "flow"), ("og", "geneve", "5"), ("or", "gre", "5")):
        ovs.vsctl("add-port", "br-int", name, "--", "set", "interface", name, f"type={kind}",
                  "options:remote_ip=192.0.2.1", f"options:key={key}", "bfd:enable=true", "bfd:min_tx=300", "bfd:min_rx=300")
        weft.cli("port", "add", "br0", "t1", f"type={kind}", "remote=192.0.2.2", f"vni={key}", *HASTY)
        wait_for(lambda: f"the session to come up, not {weft.cli('bfd', 'list')}", lambda: state() == "up", 60)
        wait_for("Open vSwitch to be up", lambda: status(name, "state") == "up" and status(name, "forwarding") == "true", 60)
        # Each notices that the other end has gone.
        ovs.vsctl("set", "interface", name, "bfd:enable=false")
        wait_for("ours to go down", lambda: state() == "down", 60)
        ovs.vsctl("set", "interface", name, "bfd:enable=true")
        wait_for("it to come up again", lambda: state() == "up", 60)
        weft.cli("port", "set", "t1", "bfd=no")
        wait_for("Open vSwitch to be down", lambda: status(name, "state") == "down", 60)
        weft.cli("port", "del", "br0", "t1")
        ovs.vsctl("del-port", name)
    weft.stop()

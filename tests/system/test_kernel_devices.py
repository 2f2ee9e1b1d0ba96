# SPDX-License-Identifier: Apache-2.0
"""Kernel devices of ports are made, adopted, changed and removed, and nobody else's is touched.

      namespace                           the host
      10.77.0.2                           10.77.0.3
         | veth v                            | internal i
    +----+-----------------------------------+----+
    |             switch br0, NORMAL              |
    +---------------------------------------------+
"""

import json
import os

import pytest
from lab import Netns, Weft, wait_for

GROUP = bytes.fromhex("0300000000ff")


def link(lab, name, netns=None):
    """What the kernel says of an interface; None: there is none."""
    argv = ["ip", "-j", "-d", "link", "show", "dev", name]
    out = netns.run(*argv, check=False) if netns else lab.run(argv, check=False)
    return json.loads(out)[0] if out.startswith("[") else None


def port(weft, name):
    return next(p for p in weft.cli("port", "list", json=True) if p["name"] == name)


@pytest.fixture
def stage(lab):
    weft, space = Weft(lab).start(), Netns(lab, "ns")
    weft.cli("switch", "add", "br0")
    v, i = f"v{lab.id}", f"i{lab.id}"
    weft.cli("port", "add", "br0", v, "type=veth", f"netns={space.name}", "ifname=eth0", "ip=10.77.0.2/24")
    weft.cli("port", "add", "br0", i, "type=internal", "ip=10.77.0.3/24")
    yield weft, space, v, i
    weft.stop()
    assert link(lab, v) is None and link(lab, i) is None and link(lab, f"{i}-w") is None


def test_devices_carry_alias_address_and_silence(lab, stage):
    weft, space, v, i = stage
    rundir = os.path.realpath(weft.rundir)
    for name, alias, netns in ((v, v, None), ("eth0", v, space), (i, i, None), (f"{i}-w", i, None)):
        assert link(lab, name, netns)["ifalias"] == f"weft:{rundir}:{alias}"
    # Our ends are wires: no ARP, no address of their own.
    for name in (v, f"{i}-w"):
        assert "NOARP" in link(lab, name)["flags"]
        assert link(lab, name)["inet6_addr_gen_mode"] == "none"
    assert port(weft, v)["mac"] == link(lab, v)["address"]
    assert port(weft, i)["mac"] == link(lab, i)["address"]
    assert "10.77.0.2/24" in space.run("ip", "-o", "addr", "show", "eth0")


def test_killed_datapath_adopts_its_devices(lab, stage):
    weft, space, v, i = stage
    before = [link(lab, name)["ifindex"] for name in (v, i)] + [link(lab, "eth0", space)["ifindex"]]
    space.run("ip", "addr", "add", "10.77.1.1/24", "dev", "eth0")
    weft.kill_datapath()
    weft.start_datapath()
    wait_for("the ports again", lambda: port(weft, v)["link"] == port(weft, i)["link"] == "up")
    after = [link(lab, name)["ifindex"] for name in (v, i)] + [link(lab, "eth0", space)["ifindex"]]
    assert before == after
    assert "10.77.1.1/24" in space.run("ip", "-o", "addr", "show", "eth0")
    sender, receiver = space.packets("eth0"), lab_packets(lab, i)
    frame = GROUP + bytes.fromhex("020000000001") + bytes.fromhex("88a8300b81002005") + b"\x90\x00" + bytes(range(60))

    def arrives():
        sender.send(frame)
        return receiver.receive(1.0, accept=lambda seen: seen[:6] == GROUP) == frame

    wait_for("a frame", arrives)


def lab_packets(lab, ifname):
    from lab.net import PacketPort

    return PacketPort(lab, ifname)


def test_mtu_and_admin_state_reach_the_other_end(lab, stage):
    weft, space, v, i = stage
    weft.cli("port", "set", v, "mtu=9000")
    assert link(lab, v)["mtu"] == link(lab, "eth0", space)["mtu"] == port(weft, v)["mtu"] == 9000
    weft.cli("port", "set", v, "admin=down")
    wait_for("no carrier", lambda: "NO-CARRIER" in link(lab, "eth0", space)["flags"])
    weft.cli("port", "set", v, "admin=up")
    wait_for("the carrier", lambda: "LOWER_UP" in link(lab, "eth0", space)["flags"])
    wait_for("the link", lambda: port(weft, v)["link"] == "up")
    lab.run(["ip", "link", "set", i, "down"])
    wait_for("the link down", lambda: port(weft, i)["link"] == "down")
    lab.run(["ip", "link", "set", i, "up"])
    wait_for("the link up", lambda: port(weft, i)["link"] == "up")


def test_deleted_namespace_and_interface_take_the_link_down(lab, stage):
    weft, space, v, i = stage
    space.run("ip", "link", "set", "lo", "down")
    lab.run(["ip", "netns", "del", space.name])
    wait_for("the veth gone", lambda: link(lab, v) is None)
    wait_for("the link down", lambda: port(weft, v)["link"] == "down")
    assert "deleted" in port(weft, v)["peer"]
    lab.run(["ip", "link", "del", i])
    wait_for("the link down", lambda: port(weft, i)["link"] == "down")
    # Their ports can be removed, and made anew.
    weft.cli("port", "del", "br0", i)
    weft.cli("port", "add", "br0", i, "type=internal")
    wait_for("the link up", lambda: port(weft, i)["link"] == "up")


def test_interfaces_of_others_are_left_alone(lab, stage):
    weft, space, v, i = stage
    other = f"o{lab.id}"
    lab.run(["ip", "link", "add", other, "type", "veth", "peer", "name", f"{other}p"])
    lab.defer(lambda: lab.run(["ip", "link", "del", other], check=False))
    before = link(lab, other)
    assert "exists already" in weft.cli_fails("port", "add", "br0", other, "type=veth")
    assert "File exists" in weft.cli_fails("port", "add", "br0", f"n{lab.id}", "type=veth", f"ifname={other}")
    assert "File exists" in weft.cli_fails("port", "add", "br0", f"{other}p", "type=internal")
    assert link(lab, f"n{lab.id}") is None and link(lab, f"{other}p-w") is None
    weft.cli("port", "add", "br0", "a", "type=af-packet", f"ifname={other}")
    weft.cli("port", "del", "br0", "a")
    after = link(lab, other)
    assert before["ifindex"] == after["ifindex"] and before["flags"] == after["flags"]
    assert after["promiscuity"] == before["promiscuity"]

# SPDX-License-Identifier: Apache-2.0
"""Patch ports: two switches that forward as one path, seen through by the fast path.

    guest a --- vhost-user a --- [br0] p0 ---- p1 [br1] --- vhost-user b --- guest b
"""

from lab import VhostGuest, Weft, ovs_ofctl, wait_for

A, B = "020000000001", "020000000002"
FRAME = bytes.fromhex(B + A + "88b5") + bytes(range(100))


def port(weft, name):
    return weft.cli("port", "show", name, json=True)


def traffic(weft, name):
    shown = port(weft, name)
    return tuple(shown[key] for key in ("rx_packets", "rx_bytes", "tx_packets", "tx_bytes"))


def test_patch_ports_join_two_switches(lab):
    weft = Weft(lab).start()
    weft.cli("switch", "add", "br0")
    weft.cli("switch", "add", "br1", "fail-mode=secure")
    weft.cli("port", "add", "br0", "a", "type=vhost-user")
    weft.cli("port", "add", "br1", "b", "type=vhost-user", "of-port=1")
    weft.cli("port", "add", "br0", "p0", "type=patch", "peer=p1", "of-port=7")
    assert (port(weft, "p0")["link"], port(weft, "p0")["peer"]) == ("down", "p1")
    # What is wrong is refused in words, and nothing of it is left.
    for words, *arguments in (
        ("needs peer=", "br1", "p1", "type=patch"),
        ("its own peer", "br1", "p1", "type=patch", "peer=p1"),
        ("is of type vhost-user", "br1", "p2", "type=patch", "peer=a"),
        ("has peer=p1", "br1", "p2", "type=patch", "peer=p0"),
        ("another switch", "br0", "p1", "type=patch", "peer=p0"),
        ("no option mtu", "br1", "p1", "type=patch", "peer=p0", "mtu=1500"),
    ):
        assert words in weft.cli_fails("port", "add", *arguments)
    weft.cli("port", "add", "br1", "p1", "type=patch", "peer=p0", "of-port=8")
    assert "has peer=b2" in weft.cli_fails("port", "set", "p0", "peer=b2")
    assert [port(weft, name)["link"] for name in ("p0", "p1")] == ["up", "up"]
    assert port(weft, "p0")["dp_port"] is None
    assert [row["name"] for row in weft.cli("dp", "ports", json=True)] == ["a", "b"]
    weft.cli("flow", "add", "br1", "in_port=p1,actions=mod_dl_dst:02:00:00:00:00:99,output:b")
    weft.cli("flow", "add", "br1", "in_port=b,actions=output:p1")
    a, b = (VhostGuest(lab, weft.vhost_path(name)).open() for name in "ab")
    there = bytes.fromhex("020000000099") + FRAME[6:]

    def pass_both_ways():
        """NORMAL floods through the patch; what br1 makes of it arrives; and the other way it is as it was."""
        a.send(FRAME)
        assert b.receive() == there
        b.send(FRAME)
        assert a.receive() == FRAME

    pass_both_ways()
    size = len(FRAME)
    for name in ("p0", "p1"):
        wait_for(lambda: f"counters of {name}: {traffic(weft, name)}", lambda: traffic(weft, name) == (1, size, 1, size))
    stats = ovs_ofctl(weft, "dump-ports", "br1", "p1")
    assert f"rx pkts=1, bytes={size}" in stats and f"tx pkts=1, bytes={size}" in stats
    # The fast path knows nothing of the passage: one flow for each direction.
    flows = {flow["port"]: flow["actions"] for flow in weft.cli("dp", "flows", json=True)}
    numbers = {row["name"]: row["port"] for row in weft.cli("dp", "ports", json=True)}
    assert flows["a"] == f"set(eth_dst=02:00:00:00:00:99),output({numbers['b']})"
    assert flows["b"] == f"output({numbers['a']})"
    # Controllers see the link follow the peer.
    assert "LINK_DOWN" not in ovs_ofctl(weft, "dump-ports-desc", "br1")
    weft.cli("port", "set", "p0", "admin=down")
    wait_for("a drop at the closed port", lambda: a.send(FRAME) or ("a", "tx-down") in drops(weft))
    weft.cli("port", "set", "p0", "admin=up")
    # As of a cable, at both ends, whoever shuts one.
    for down, up in ((lambda: weft.cli("port", "set", "p0", "admin=down"), lambda: weft.cli("port", "set", "p0", "admin=up")),
                     (lambda: ovs_ofctl(weft, "mod-port", "br1", "p1", "down"),
                      lambda: ovs_ofctl(weft, "mod-port", "br1", "p1", "up"))):
        down()
        assert [port(weft, name)["link"] for name in ("p0", "p1")] == ["down", "down"]
        up()
        assert [port(weft, name)["link"] for name in ("p0", "p1")] == ["up", "up"]
    weft.stop_agent()
    weft.start_agent()
    assert [port(weft, name)["link"] for name in ("p0", "p1")] == ["up", "up"]
    b.flush()
    wait_for("the way is open again", lambda: a.send(FRAME) or b.poll(0.2) == there)
    for guest in (a, b):
        guest.receive_all()
    pass_both_ways()
    weft.cli("port", "del", "br0", "p0")
    assert port(weft, "p1")["link"] == "down"
    assert "LINK_DOWN" in ovs_ofctl(weft, "dump-ports-desc", "br1")
    wait_for("a drop without a peer", lambda: b.send(FRAME) or ("b", "tx-down") in drops(weft))
    weft.cli("switch", "del", "br1")
    assert [row["name"] for row in weft.cli("port", "list", json=True)] == ["a"]
    weft.stop()


def test_patch_ports_need_no_datapath(lab):
    weft = Weft(lab).start()
    for switch in ("br0", "br1"):
        weft.cli("switch", "add", switch)
    weft.cli("port", "add", "br0", "p0", "type=patch", "peer=p1")
    weft.stop_datapath()
    wait_for("no session", lambda: weft.cli("stats", json=True)["datapath"]["session"] == "none")
    weft.cli("port", "add", "br1", "p1", "type=patch", "peer=p0")
    assert [(row["link"], row["error"]) for row in weft.cli("port", "list", json=True)] == 2 * [("up", "")]
    weft.cli("port", "del", "br0", "p0")
    assert [(row["name"], row["link"]) for row in weft.cli("port", "list", json=True)] == [("p1", "down")]
    weft.cli("port", "set", "p1", "peer=p2", "admin=down")
    assert (port(weft, "p1")["peer"], port(weft, "p1")["admin"]) == ("p2", "down")
    weft.stop()


def drops(weft):
    return {(row["port"], row["reason"]) for row in weft.cli("drops", json=True)}

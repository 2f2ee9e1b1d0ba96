# SPDX-License-Identifier: Apache-2.0
"""Rules that learn which tunnel a guest is behind, as Neutron's agents install them in br-tun.

    guest 1 --- [br-int] patch [br-tun] t2 -> [under] ---- VXLAN ---- [under] <- t1 [br-tun] patch [br-int] --- guest 2
                                        t3 -> 192.0.2.3, who never answers
"""

from lab import Netns, Weft, wait_for
from scapy.layers.inet import IP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN

LEARN = (
    "learn(table=20,hard_timeout=300,priority=1,cookie=0x1234,NXM_OF_VLAN_TCI[0..11],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],"
    "load:0->NXM_OF_VLAN_TCI[],load:NXM_NX_TUN_ID[]->NXM_NX_TUN_ID[],output:OXM_OF_IN_PORT[])"
)
NOBODY = "02:00:00:00:99:03"


def br_tun(tunnels):
    yield "table=0,priority=1,in_port=to-int actions=resubmit(,2)"
    for name in tunnels:
        yield f"table=0,priority=1,in_port={name} actions=resubmit(,4)"
    yield "table=0,priority=0 actions=drop"
    yield "table=2,priority=0,dl_dst=00:00:00:00:00:00/01:00:00:00:00:00 actions=resubmit(,20)"
    yield "table=2,priority=0,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00 actions=resubmit(,22)"
    yield "table=4,priority=1,tun_id=0x5 actions=mod_vlan_vid:7,resubmit(,10)"
    yield "table=4,priority=0 actions=drop"
    yield f"table=10,priority=1 actions={LEARN},output:to-int"
    yield "table=20,priority=0 actions=resubmit(,22)"
    outputs = ",".join(f"output:{name}" for name in tunnels)
    yield f"table=22,priority=1,dl_vlan=7 actions=strip_vlan,load:0x5->NXM_NX_TUN_ID[],{outputs}"
    yield "table=22,priority=0 actions=drop"


def make_host(lab, n, host, guest):
    weft = Weft(lab, name=f"weft{n}", netns=host.name).start()
    weft.cli("switch", "add", "under")
    weft.cli("port", "add", "under", "ul0", "type=internal", f"ip=192.0.2.{n}/24")
    weft.cli("port", "add", "under", "up0", "type=af-packet", f"ifname=wire{n}", "underlay=yes")
    host.run("ip", "neigh", "replace", "192.0.2.3", "lladdr", NOBODY, "dev", "ul0", "nud", "permanent")
    for switch in ("br-int", "br-tun"):
        weft.cli("switch", "add", switch, "fail-mode=secure")
    weft.cli("port", "add", "br-int", "to-tun", "type=patch", "peer=to-int")
    weft.cli("port", "add", "br-tun", "to-int", "type=patch", "peer=to-tun")
    weft.cli("port", "add", "br-int", "vm", "type=veth", f"netns={guest.name}", "ifname=eth0", "tag=7")
    weft.cli("flow", "add", "br-int", "priority=0,actions=NORMAL")
    others = [other for other in (1, 2, 3) if other != n]
    for other in others:
        weft.cli("port", "add", "br-tun", f"t{other}", "type=vxlan", f"remote=192.0.2.{other}", "vni=flow")
    for rule in br_tun([f"t{other}" for other in others]):
        weft.cli("flow", "add", "br-tun", rule)
    guest.run("ip", "link", "set", "eth0", "address", f"02:00:00:00:01:{n:02x}")
    guest.run("ip", "addr", "add", f"10.0.0.{n}/24", "dev", "eth0")
    return weft


def test_br_tun(lab):
    """Two guests ping each other. Until they are learned, what they send goes to both remotes, then to the one alone."""
    hosts = [Netns(lab, f"h{n}") for n in (1, 2)]
    guests = [Netns(lab, f"g{n}") for n in (1, 2)]
    hosts[0].run("ip", "link", "add", "wire1", "type", "veth", "peer", "name", "wire2", "netns", hosts[1].name)
    for n, host in enumerate(hosts, 1):
        host.run("ip", "link", "set", f"wire{n}", "up")
    wefts = [make_host(lab, n, hosts[n - 1], guests[n - 1]) for n in (1, 2)]
    wait_for("an answer", lambda: " 0% packet loss" in guests[0].run("ping", "-c", "1", "-W", "1", "10.0.0.2", check=False), 60)
    for n, weft in enumerate(wefts, 1):
        # By the whole line: match, actions, cookie, timeout.
        wait_for("a learned rule", lambda: "priority=1" in weft.cli("flow", "list", "br-tun", "table=20,cookie=0x1234/0xffffffffffffffff"), 60)
        rule = weft.cli("flow", "list", "br-tun", "table=20,cookie=0x1234/0xffffffffffffffff")
        other = 3 - n
        assert "hard_timeout=300" in rule
        assert f"vlan_tci=0x0007/0x0fff,dl_dst=02:00:00:00:01:{other:02x} " in rule
        assert f"actions=load:0->NXM_OF_VLAN_TCI[],load:0x5->NXM_NX_TUN_ID[],output:t{other}" in rule
    wires = [host.packets(f"wire{n}") for n, host in enumerate(hosts, 1)]
    assert " 0% packet loss" in guests[0].run("ping", "-c", "5", "-i", "0.2", "-W", "20", "10.0.0.2")
    for n, wire in enumerate(wires, 1):  # what came to host n, or would have gone to 192.0.2.3
        frames = [Ether(frame) for frame in wire.receive_all()]
        pings = [frame for frame in frames if VXLAN in frame and frame[VXLAN][Ether].type == 0x800]
        assert [(frame[IP].dst, frame[VXLAN].vni) for frame in pings] == 5 * [(f"192.0.2.{n}", 5)]
    trace = wefts[0].cli("trace", "br-tun", "in_port=t2,tun_id=5,dl_src=02:00:00:00:01:77,dl_dst=02:00:00:00:01:01")
    assert "a rule in table 20 would be learned: priority=1,vlan_tci=0x0007/0x0fff,dl_dst=02:00:00:00:01:77" in trace
    assert "02:00:00:00:01:77" not in wefts[0].cli("flow", "list", "br-tun")
    for weft in wefts:
        weft.stop()

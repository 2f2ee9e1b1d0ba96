# SPDX-License-Identifier: Apache-2.0
"""Each reason of a drop, provoked: exactly that counter on exactly that port.

    guest a --- vhost-user a --- switch br0 (secure) --- vhost-user b --- guest b
                                    |       |
                      vhost-user c (nobody) veth vID --- namespace
"""

import pathlib
import re
import signal

import pytest
from lab import ROOT, Netns, VhostGuest, ovs_ofctl, wait_for
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

A, B = "02:00:00:00:00:01", "02:00:00:00:00:02"
LIST = ROOT / "lib" / "drop_reason_list.h"


def reasons():
    """{name: ID} of the whole list."""
    return {name: id for id, name in re.findall(r'^DROP\((\w+), "([a-z0-9-]+)"', LIST.read_text(), re.M)}


class Stage:
    def __init__(self, lab, weft):
        self.lab, self.weft = lab, weft
        weft.cli("switch", "add", "br0", "fail-mode=secure")
        for number, name in enumerate("abc", 1):
            weft.cli("port", "add", "br0", name, "type=vhost-user", f"of-port={number}")
        self.a = VhostGuest(lab, weft.vhost_path("a")).open()
        self.b = VhostGuest(lab, weft.vhost_path("b")).open()

    def rule(self, *rules):
        for rule in rules:
            self.weft.cli("flow", "add", "br0", rule)

    def veth(self):
        self.space = Netns(self.lab, "h1")
        self.name = f"v{self.lab.id}"
        self.weft.cli("port", "add", "br0", self.name, "type=veth", f"netns={self.space.name}", "ifname=eth0", "of-port=4")
        return self.space.packets("eth0")

    def stop_agent(self):
        """Stops it in its tracks: it lives, and answers nothing."""
        self.weft.agent.popen.send_signal(signal.SIGSTOP)
        tasks = pathlib.Path(f"/proc/{self.weft.agent.popen.pid}/task")
        # A thread on another core goes on for a moment.
        wait_for("all its threads to stop",
                 lambda: all((task / "stat").read_text().rsplit(")", 1)[1].split()[0] == "T" for task in tasks.iterdir()))
        self.lab.defer(lambda: self.weft.agent.popen.send_signal(signal.SIGCONT))

    def go_on(self):
        self.weft.agent.popen.send_signal(signal.SIGCONT)

    def drops(self):
        return {(row["port"], row["reason"]): row["packets"] for row in self.weft.cli("drops", json=True)}


def frame(*, size=64, number=0, type="9000"):
    return bytes.fromhex("020000000002020000000001" + type) + number.to_bytes(4, "big") + bytes(size - 18)


def ip(payload=b"x" * 30, **fields):
    return bytes(Ether(dst=B, src=A) / IP(src="10.0.0.1", dst="10.0.0.2", **fields) / payload)


def udp(**fields):
    return ip(UDP(sport=1, dport=2) / b"data", **fields)


# --- how each is provoked: what must stand in weft drops then -------------------------------------------------------


def explicit(s):
    s.rule("in_port=1,actions=drop")
    s.a.send(frame(), frame())
    return {("a", "explicit"): 2}


def resubmit_depth(s):
    s.rule("in_port=1,actions=resubmit(,0)")
    s.a.send(frame())
    return {("a", "resubmit-depth"): 1}


def translation_limit(s):
    for table in range(13):
        s.rule(f"table={table},actions=resubmit(,{table + 1}),resubmit(,{table + 1})")
    s.rule("table=13,actions=output:2,output:3")
    s.a.send(frame())
    return {("a", "translation-limit"): 1}


def invalid_ttl(s):
    s.rule("ip,in_port=1,actions=dec_ttl,output:2")
    s.a.send(udp(ttl=1))
    return {("a", "invalid-ttl"): 1}


def source_not_allowed(s):
    s.weft.cli("port", "set", "a", "allow=02:00:00:00:00:09")
    s.rule("actions=output:2")
    s.a.send(frame())
    return {("a", "source-not-allowed"): 1}


def vlan_not_allowed(s):
    s.weft.cli("port", "set", "a", "tag=5")
    s.rule("actions=NORMAL")
    s.a.send(bytes.fromhex("0200000000020200000000018100000a") + udp()[12:])
    return {("a", "vlan-not-allowed"): 1}


def rx_truncated(s):
    s.rule("in_port=1,actions=output:2")
    s.a.send(bytes.fromhex("0200000000020200000000018100"), bytes(13))
    return {("a", "rx-truncated"): 2}


def rx_too_long(s):
    s.rule("in_port=1,actions=output:2")
    s.a.send(frame(size=65601))
    return {("a", "rx-too-long"): 1}


def rx_disabled(s):
    s.rule("in_port=1,actions=output:2")
    s.weft.cli("port", "set", "a", "admin=down")
    s.a.send(frame(), frame(), frame())
    return {("a", "rx-disabled"): 3}


def no_agent(s):
    s.weft.stop_agent()
    s.a.send(frame(), frame())
    return {("a", "no-agent"): 2}


def upcall_timeout_and_park_full(s):
    """32 of a kind may wait, for a second."""
    s.stop_agent()
    s.a.send(*[frame()] * 40)
    return {("a", "upcall-timeout"): 32, ("a", "park-full"): 8}


def upcall_quota(s):
    """A controller's packets, whole, and nobody who takes them off the ring."""
    s.rule("in_port=1,actions=CONTROLLER:65535")
    s.a.send(frame(number=1))
    wait_for("the flow", lambda: s.weft.cli("dp", "flows", json=True))
    s.stop_agent()
    n = 2000
    before = s.weft.cli("dp", "stats", json=True)["to_agent"]
    s.a.send(*(frame(size=1400, number=number) for number in range(n)))
    wait_for("the packets", lambda: s.weft.cli("dp", "stats", json=True)["rx_packets"] == n + 1)
    taken = s.weft.cli("dp", "stats", json=True)["to_agent"] - before
    assert 0 < taken < n
    return {("a", "upcall-quota"): n - taken}


def no_l3(s):
    s.rule("ip,in_port=1,actions=dec_ttl,output:2")
    s.a.send(frame(size=18, type="0800"))
    return {("a", "no-l3"): 1}


def no_l4(s):
    s.rule("tcp,in_port=1,actions=set_field:80->tcp_dst,output:2")
    s.a.send(ip(b"\0\1\0\2", proto=6))
    return {("a", "no-l4"): 1}


def no_mpls(s):
    s.rule("dl_type=0x8847,in_port=1,actions=pop_mpls:0x0800,output:2")
    s.a.send(bytes.fromhex("0200000000020200000000018847" "00"))
    return {("a", "no-mpls"): 1}


def no_pbb(s):
    s.rule("dl_type=0x88e7,in_port=1,actions=pop_pbb,output:2")
    s.a.send(bytes.fromhex("02000000000202000000000188e7" "00"))
    return {("a", "no-pbb"): 1}


def no_headroom(s):
    s.rule("in_port=1,actions=" + "push_mpls:0x8847," * 60 + "output:2")
    s.a.send(frame())
    return {("a", "no-headroom"): 1}


def recirc_limit(s):
    """Each label off needs a new look at what is behind it."""
    s.rule("mpls,in_port=1,actions=pop_mpls:0x8847,resubmit(,0)")
    s.a.send(bytes.fromhex("0200000000020200000000018847") + bytes.fromhex("00005040") * 40 + bytes.fromhex("00005140") + bytes(60))
    return {("a", "recirc-limit"): 1}


def no_bucket(s):
    ovs_ofctl(s.weft, "add-group", "br0", "group_id=1,type=ff,bucket=watch_port:3,actions=output:2")
    s.rule("in_port=1,actions=group:1")
    s.a.send(frame())
    return {("a", "no-bucket"): 1}


def meter(s):
    ovs_ofctl(s.weft, "add-meter", "br0", "meter=1,pktps,burst,stats,band=type=drop,rate=1,burst_size=1")
    s.rule("in_port=1,actions=meter:1,output:2")
    s.a.send(frame())
    s.b.receive()  # and the flow is there: no more than 32 would wait for it
    s.a.send(*[frame()] * 199)
    wait_for("the packets", lambda: s.weft.cli("dp", "stats", json=True)["rx_packets"] == 200)
    passed = 1 + len(s.b.receive_all())
    assert passed < 100
    return {("a", "meter"): 200 - passed}


def tx_down(s):
    s.rule("in_port=1,actions=output:3")
    s.a.send(frame(), frame())
    return {("c", "tx-down"): 2}


def tx_down_by_rule(s):
    s.rule("in_port=1,actions=output:2")
    s.weft.cli("port", "set", "b", "admin=down")
    s.a.send(frame())
    return {("a", "tx-down"): 1}


def port_gone(s):
    s.rule("in_port=1,actions=output:99")
    s.a.send(frame(), frame())
    return {("a", "port-gone"): 2}


def tx_full(s):
    """A guest that takes nothing any more: its ring has 256 places."""
    s.rule("in_port=1,actions=output:2")
    s.a.send(frame())
    s.b.receive()
    s.b._take = lambda pair: None
    s.a.send(*[frame()] * 300)
    return {("b", "tx-full"): 300 - 256}


def tx_too_long(s):
    s.veth()
    s.rule("in_port=1,actions=output:4")
    s.a.send(frame(size=1515), frame(size=1514))
    return {(s.name, "tx-too-long"): 1}


def fragment(s):
    s.rule("actions=output:2")
    ovs_ofctl(s.weft, "set-frags", "br0", "drop")
    s.a.send(udp(flags="MF"), udp(frag=100), udp())
    s.b.receive()
    return {("a", "fragment"): 2}


PROVOKED = {
    "explicit": explicit,
    "resubmit-depth": resubmit_depth,
    "translation-limit": translation_limit,
    "invalid-ttl": invalid_ttl,
    "source-not-allowed": source_not_allowed,
    "vlan-not-allowed": vlan_not_allowed,
    "rx-truncated": rx_truncated,
    "rx-too-long": rx_too_long,
    "rx-disabled": rx_disabled,
    "no-agent": no_agent,
    "upcall-timeout": upcall_timeout_and_park_full,
    "park-full": upcall_timeout_and_park_full,
    "upcall-quota": upcall_quota,
    "no-l3": no_l3,
    "no-l4": no_l4,
    "no-mpls": no_mpls,
    "no-pbb": no_pbb,
    "no-headroom": no_headroom,
    "recirc-limit": recirc_limit,
    "no-bucket": no_bucket,
    "meter": meter,
    "tx-down": tx_down,
    "port-gone": port_gone,
    "tx-full": tx_full,
    "tx-too-long": tx_too_long,
    "fragment": fragment,
}


# Those that nothing outside can bring about at will, and the unit test that does.
ELSEWHERE = {
    "rx-no-buffer": ("all packet buffers would have to be in use", "datapath/test_drops.c"),
    "no-copy": ("likewise", "datapath/test_drops.c"),
    "tx-offload": ("the kernel and rte_vhost check what they hand in", "datapath/test_drops.c"),
    "agent-refused": ("flows of a port that the agent has just forgotten", "ofproto/test_translate.c"),
    "no-vlan": ("translation takes no tag off packets that may have none", "datapath/test_worker.c"),
    "purged": ("between the question of a port's packet and the port's end", "datapath/test_worker.c"),
    "action-limit": ("translation does not nest that deep", "datapath/test_object_actions.c"),
    "tunnel-id-range": ("each header is made by hand there", "datapath/test_tunnel.c"),
    "tunnel-loop": ("likewise", "datapath/test_tunnel.c"),
    "encap-bad": ("likewise", "datapath/test_tunnel.c"),
    "encap-too-long": ("likewise", "datapath/test_tunnel_too_long.c"),
    "decap-bad": ("likewise", "datapath/decap_rows.h"),
    "decap-checksum": ("likewise", "datapath/decap_rows.h"),
    "decap-fragment": ("likewise", "datapath/decap_rows.h"),
    "decap-protocol": ("likewise", "datapath/decap_rows.h"),
    "decap-option": ("likewise", "datapath/decap_rows.h"),
    "decap-ecn": ("likewise", "datapath/decap_rows.h"),
    "decap-reserved": ("likewise", "datapath/decap_rows.h"),
    "bfd-flood": ("how fast the session's thread is", "datapath/test_tunnel_port.c"),
    "object-gone": ("between an object's end and that of the flows to it", "datapath/test_object_actions.c"),
}
# Those that only a real kernel's refusal of a sound frame brings about: no test.
UNSEEN = {"tx-error"}
# Those that have names for what is still to be built: nothing in the tree drops for them.
UNUSED = set()
# Those with system tests of their own.
OWN_TESTS = {
    "bond-inactive": "test_bond.py",
    "slow-protocol": "test_bond.py",
    "mirror-port": "test_mirror.py",
    "tunnel-no-underlay": "test_tunnel_ports.py",
    "tunnel-no-route": "test_tunnel_ports.py",
    "tunnel-no-neighbour": "test_tunnel_ports.py",
    "tunnel-from-guest": "test_tunnel_ports.py",
    "tunnel-unknown": "test_tunnel_ports.py",
    "bfd-bad": "test_bfd.py",
    "bfd-unknown": "test_bfd.py",
}


def test_every_reason_is_provoked_or_excused():
    named = [*PROVOKED, *ELSEWHERE, *UNSEEN, *UNUSED, *OWN_TESTS]
    assert sorted(named) == sorted(reasons())


def test_excuses_are_true():
    ids = reasons()
    for name, (_, unit) in ELSEWHERE.items():
        assert f"DROP_{ids[name]}" in (ROOT / "tests" / "unit" / unit).read_text(), name
    sources = [path for room in ("datapath", "vhost", "ofproto", "controller-agent") for path in (ROOT / room).glob("*.c")]
    text = "".join(path.read_text() for path in sources)
    for name in UNUSED:
        assert not re.search(rf"\bDROP_{ids[name]}\b", text), f"{name} is in use: provoke it"


def test_guide_and_list_agree():
    """Each reason stands in the guide's table."""
    table = (ROOT / "docs" / "guide.md").read_text().split("## Why a packet was lost")[1].split("\n## ")[0]
    named = [name for line in table.splitlines() if line.startswith("| `") for name in re.findall(r"`([a-z0-9-]+)`", line.split("|")[1])]
    assert sorted(named) == sorted(reasons())


@pytest.mark.parametrize(("reason", "provoke"), [*PROVOKED.items(), ("tx-down", tx_down_by_rule)])
def test_reason(lab, weft, reason, provoke):
    stage = Stage(lab, weft)
    expected = provoke(stage)
    assert reason in [name for _, name in expected]
    try:
        wait_for(lambda: f"{expected}, not {stage.drops()}", lambda: stage.drops() == expected, 4)
    finally:
        stage.go_on() if stage.weft.agent.is_running() else None
    # And it stays at that.
    assert stage.drops() == expected


def test_drops_are_listed_as_asked(lab, weft):
    s = Stage(lab, weft)
    s.rule("in_port=1,actions=drop")
    s.a.send(frame(), frame(), frame())
    wait_for("the drops", lambda: s.drops() == {("a", "explicit"): 3})
    texts = {name: text for name, text in re.findall(r'^DROP\(\w+, "([a-z0-9-]+)",\s*"([^"]+)"', LIST.read_text(), re.M)}
    (row,) = weft.cli("drops", json=True)
    assert row == {"port": "a", "reason": "explicit", "packets": 3, "text": texts["explicit"]}
    assert weft.cli("drops", "a", json=True) == [row]
    assert weft.cli("drops", "b", json=True) == []
    assert weft.cli("drops").split() == ["PORT", "REASON", "PACKETS", "MEANING", "a", "explicit", "3", *row["text"].split()]
    everything = weft.cli("drops", "b", "--all", json=True)
    assert [(each["port"], each["reason"], each["packets"]) for each in everything] == [("b", name, 0) for name in reasons()]
    assert {each["reason"]: each["text"] for each in everything} == texts
    assert sum(each["packets"] for each in weft.cli("drops", "--all", json=True)) == 3
    weft.cli("port", "del", "br0", "a")
    assert s.drops() == {("(removed)", "explicit"): 3}
    assert "no port nope" in weft.cli_fails("drops", "nope")

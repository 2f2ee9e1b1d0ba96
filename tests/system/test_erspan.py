# SPDX-License-Identifier: Apache-2.0
"""ERSPAN: what a collector is told of mirrored packets, and what is mirrored to us.

    guest a --- vhost-user a (access 10) --- [br0] --- vhost-user b (trunk) --- guest b
                                               |
                                             probe (erspan)
                                               :
                            ul0 [under] up0 ---- eth0, the collector
             192.0.2.1, 2001:db8::1              192.0.2.2, 2001:db8::2
"""

import itertools
import struct
import subprocess

import pytest
from scapy.contrib.erspan import ERSPAN_II, ERSPAN_III
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE, Ether
from scapy.packet import Raw
from scapy.utils import wrpcap

from lab import Netns, OpenVSwitch, VhostGuest, Weft, wait_for

A, B = "020000000001", "020000000002"
ENDS = {4: ("192.0.2.1", "192.0.2.2"), 6: ("2001:db8::1", "2001:db8::2")}
FIELDS = {
    1: ("version", "vlan", "cos", "encap", "truncated", "spanid", "index"),
    2: ("version", "vlan", "cos", "bso", "truncated", "spanid", "sgt", "p", "ft", "hw", "direction", "gra", "o"),
}


def frame(number, tag="", dst=B, src=A, length=64, kind="88b5"):
    return bytes.fromhex(dst + src + tag + kind) + number.to_bytes(2, "big") + bytes(length - 16)


class Stage:
    def __init__(self, lab, one_switch=False):
        self.lab = lab
        self.host, self.far = Netns(lab, "host", ipv6=True), Netns(lab, "far", ipv6=True)
        self.weft = Weft(lab, netns=self.host.name).start()
        self.cli = self.weft.cli
        under = "br0" if one_switch else "under"
        self.cli("switch", "add", under)
        self.cli("port", "add", under, "ul0", "type=internal", f"ip={ENDS[4][0]}/24,{ENDS[6][0]}/64")
        self.cli("port", "add", under, "up0", "type=veth", f"netns={self.far.name}", "ifname=eth0", "underlay=yes",
                 f"ip={ENDS[4][1]}/24,{ENDS[6][1]}/64")
        if not one_switch:
            self.cli("switch", "add", "br0", "fail-mode=secure")
        self.cli("port", "add", "br0", "a", "type=vhost-user", "tag=10")
        self.cli("port", "add", "br0", "b", "type=vhost-user")
        self.a, self.b = (VhostGuest(lab, self.weft.vhost_path(name)).open() for name in "ab")
        self.wire = self.far.packets("eth0")

    def probe(self, *settings, family=4, vni=100):
        """Port probe is the one of these settings, and there is a way to its remote."""
        if any(row["name"] == "probe" for row in self.cli("port", "list", json=True)):
            self.cli("mirror", "del", "br0", "m")
            self.cli("port", "del", "br0", "probe")
        self.cli("port", "add", "br0", "probe", "type=erspan", f"remote={ENDS[family][1]}", f"vni={vni}", *settings)
        wait_for("a way to the collector", lambda: [
            row["state"] for row in self.cli("tunnel", "list", json=True) if row["port"] == "probe"] == ["ready"], 30)

    def mirror(self, *settings):
        if self.cli("mirror", "list", json=True):
            self.cli("mirror", "del", "br0", "m")
        self.cli("mirror", "add", "br0", "m", "output-port=probe", *settings)

    def copy(self, sent):
        """The next mirrored packet of @sent, whole or cut."""
        return self.wire.receive(20, accept=lambda got: is_copy(got, sent))

    def wait_copies(self, guest, sent, wanted=None):
        """Sends until there is a copy as is wanted: settings have taken effect then."""
        wait_for("a copy", lambda: guest.send(sent) or any(
            mirrored(got) is not None and mirrored(got)[1] == (wanted or sent) for got in self.wire.receive_all(0.2)), 30)

    def drops(self):
        return {(row["port"], row["reason"]): row["packets"] for row in self.cli("drops", json=True)}


def gre_of(got):
    """The GRE header of a frame from us, and what is behind it. None: another frame."""
    packet = Ether(got)
    ip = packet.getlayer(IP) or packet.getlayer(IPv6)
    proto = None if ip is None else ip.proto if ip.version == 4 else ip.nh
    if proto != 47:
        return None
    start = 14 + (20 if ip.version == 4 else 40)
    return ip, GRE(got[start:start + 8]), got[start + 8:]


def mirrored(got):
    """ERSPAN's header, the frame in it, and the headers around it. None: another frame."""
    found = gre_of(got)
    if found is None:
        return None
    ip, gre, rest = found
    if gre.proto == 0x88be:
        return ERSPAN_II(rest[:8]), rest[8:], ip, gre
    return (ERSPAN_III(rest[:12]), rest[12:], ip, gre) if gre.proto == 0x22eb else None


def is_copy(got, sent):
    found = mirrored(got)
    return found is not None and len(found[1]) > 20 and sent.startswith(found[1])


def by_tshark(lab, got, version):
    """The header's fields, as tshark reads them."""
    path = lab.dir / "erspan.pcap"
    wrpcap(str(path), Ether(got))
    words = [word for name in FIELDS[version] for word in ("-e", f"erspan.{name}")]
    done = subprocess.run(["tshark", "-n", "-r", str(path), "-T", "fields", *words], capture_output=True, text=True,
                          check=True, timeout=60)
    return [int(text, 0) for text in done.stdout.rstrip("\n").split("\t")]


@pytest.mark.parametrize("family", (4, 6))
def test_erspan_field_by_field(lab, family):
    stage = Stage(lab)
    stage.cli("flow", "add", "br0", "in_port=a,actions=push_vlan:0x8100,set_field:4103->vlan_vid,set_field:3->vlan_pcp,output:b")
    stage.cli("flow", "add", "br0", "in_port=b,actions=drop")
    local, remote = ENDS[family]
    # Type II: an untagged packet that comes in, cut by nobody.
    stage.probe("erspan-idx=74565", family=family)
    stage.mirror("select-src-port=a")
    stage.wait_copies(stage.a, frame(1))
    numbers = []
    for number in (2, 3):
        stage.a.send(frame(number))
        got = stage.copy(frame(number))
        head, inner, ip, gre = mirrored(got)
        assert inner == frame(number)
        assert (ip.src, ip.dst) == (local, remote) and (ip.ttl if family == 4 else ip.hlim) == 64
        assert (ip.len if family == 4 else ip.plen + 40) == len(got) - 14
        assert bytes(gre)[:4] == bytes.fromhex("100088be")
        assert (head.ver, head.vlan, head.cos, head.en, head.t, head.session_id, head.reserved, head.index) == (
            1, 0, 0, 0, 0, 100, 0, 74565)
        assert by_tshark(lab, got, 1) == [1, 0, 0, 0, 0, 100, 74565]
        numbers.append(gre.sequence_number)
    assert numbers[1] == numbers[0] + 1
    # Type III: a tagged one that goes out.
    stage.probe("erspan-ver=2", "erspan-hwid=42", family=family, vni=1023)
    stage.mirror("select-dst-port=b")
    sent, wanted = frame(4), frame(4, tag="81006007")
    stage.wait_copies(stage.a, frame(9), frame(9, tag="81006007"))
    stage.a.send(sent)
    got = stage.copy(wanted)
    head, inner, _, gre = mirrored(got)
    assert inner == wanted and bytes(gre)[:4] == bytes.fromhex("100022eb")
    assert (head.ver, head.vlan, head.cos, head.bso, head.t, head.session_id, head.sgt_other, head.p, head.ft, head.hw,
            head.d, head.gra, head.o) == (2, 7, 3, 0, 0, 1023, 0, 1, 0, 42, 1, 0, 0)
    assert by_tshark(lab, got, 2) == [2, 7, 3, 0, 0, 1023, 0, 1, 0, 42, 1, 0, 0]
    # In the other direction; cut, and marked.
    stage.mirror("select-src-port=a", "snap-len=40")
    stage.wait_copies(stage.a, frame(5), frame(5)[:40])
    stage.a.send(frame(6))
    head, inner, _, _ = mirrored(stage.copy(frame(6)))
    assert (inner, head.d, head.t, head.vlan) == (frame(6)[:40], 0, 1, 0)
    # What does not go over the path is cut to what does: 1500 bytes of IP.
    stage.mirror("select-src-port=a")
    stage.wait_copies(stage.a, frame(7))
    long = frame(8, length=1514)
    stage.a.send(long)
    got = stage.copy(long)
    head, inner, _, _ = mirrored(got)
    assert len(got) == 1514 and inner == long[:len(inner)] and head.t == 1
    stage.weft.stop()


def test_erspan_selection(lab):
    stage = Stage(lab)
    stage.cli("flow", "add", "br0", "in_port=a,actions=output:b")
    stage.cli("flow", "add", "br0", "in_port=b,actions=output:a")
    stage.probe()
    a, b = (stage.a, stage.b), (stage.b, stage.a)  # who sends, who receives
    numbers = itertools.count(1)

    def copies(chosen, other):
        """Whether what is sent, in this order, is copied: [of other, of chosen]."""
        pair = [(ends, frame(next(numbers), **words)) for ends, words in (other, chosen)]
        for (sender, receiver), sent in pair:
            sender.send(sent)
            receiver.receive(10, accept=lambda got, sent=sent: got == sent)
        seen = []
        wait_for("both, or the second", lambda: seen.extend(stage.wire.receive_all(0.1)) or any(
            is_copy(got, pair[1][1]) for got in seen), 20)
        return [any(is_copy(got, sent) for got in seen) for _, sent in pair]

    back = {"dst": A, "src": B}
    for settings, chosen, other in (
        (("select-src-port=a",), (a, {}), (b, back)),
        (("select-dst-port=a",), (b, back), (a, {})),
        (("select-all=yes", "select-vlan=10"), (a, {}), (b, {**back, "tag": "81000014"})),
        (("select-all=yes", "filter=dl_type=0x88b6"), (a, {"kind": "88b6"}), (a, {})),
    ):
        stage.mirror(*settings)
        stage.wait_copies(chosen[0][0], frame(0, **chosen[1]))
        # Until no flow is from before; then for good.
        wait_for(f"selection by {settings}", lambda chosen=chosen, other=other: copies(chosen, other) == [False, True], 30)
        assert copies(chosen, other) == [False, True]
    stage.weft.stop()


def test_erspan_copies_are_not_copied(lab):
    """Everything is mirrored in the switch by which the copies leave."""
    stage = Stage(lab, one_switch=True)
    stage.probe()
    stage.mirror("select-all=yes")
    stage.wait_copies(stage.a, frame(1))
    numbers = []
    for number in (2, 3):
        stage.a.send(frame(number))
        numbers.append(mirrored(stage.copy(frame(number)))[3].sequence_number)
    assert numbers[1] > numbers[0]
    assert not [got for got in stage.wire.receive_all(0.3) if mirrored(got) is not None and gre_of(mirrored(got)[1])]
    assert not [row for row in stage.drops() if "loop" in row[1]]
    stage.weft.stop()


def test_erspan_to_us(lab):
    """What another switch mirrors comes in by the port; bad headers are counted, each once."""
    stage = Stage(lab)
    stage.probe()
    stage.cli("port", "add", "br0", "g", "type=gre", f"remote={ENDS[4][1]}", "vni=100")
    stage.cli("flow", "add", "br0", "in_port=probe,actions=output:b")
    stage.cli("flow", "add", "br0", "in_port=g,actions=output:a")
    macs = [netns.run("cat", f"/sys/class/net/{name}/address").strip()
            for netns, name in ((stage.host, "ul0"), (stage.far, "eth0"))]

    def send(gre, family=4):
        ip = IP(src=ENDS[4][1], dst=ENDS[4][0], proto=47) if family == 4 else IPv6(src=ENDS[6][1], dst=ENDS[6][0], nh=47)
        stage.wire.send(bytes(Ether(dst=macs[0], src=macs[1]) / ip / Raw(gre)))

    def second(number=0, session=100, version=1):
        return bytes.fromhex("100088be") + struct.pack("!IHHI", number, version << 12, session, 5)

    third = bytes.fromhex("100022eb") + struct.pack("!IHHIHH", 0, 2 << 12, 100, 0, 0, 0x8028)
    inner = frame(1, dst=A, src=B)
    wait_for("the way in", lambda: send(second() + inner) or stage.b.poll(0.2) == inner)
    stage.b.receive_all()
    for number, header in ((2, second()), (3, third), (4, third[:-1] + b"\x29" + bytes(8)), (5, bytes.fromhex("000088be"))):
        # Type I has no session: no port with a given one takes it.
        send(header + frame(number, dst=A, src=B))
        if number != 5:
            assert stage.b.receive() == frame(number, dst=A, src=B)
    wait_for("type I refused", lambda: ("probe", "tunnel-unknown") in stage.drops() or ("g", "tunnel-unknown") in stage.drops())
    # GRE with the same key is another port's.
    send(bytes.fromhex("2000655800000064") + frame(6, dst=A, src=B))
    assert stage.a.receive() == frame(6, dst=A, src=B)
    for reason, bad in (
        ("decap-bad", second(version=2) + inner),
        ("decap-bad", second()[:12]),
        ("decap-bad", third[:-1] + b"\x29" + bytes(7)),
        ("decap-bad", bytes.fromhex("140088be") + second()[4:] + inner),
        ("decap-protocol", bytes.fromhex("100088bf") + second()[4:] + inner),
        ("tunnel-unknown", second(session=101) + inner),
    ):
        before = total(stage, reason)
        send(bad)
        wait_for(lambda reason=reason: f"{reason}: {stage.drops()}",
                 lambda reason=reason, before=before: total(stage, reason) == before + 1)
    stage.weft.stop()


def total(stage, reason):
    return sum(n for (_, name), n in stage.drops().items() if name == reason)


@pytest.mark.parametrize("version", (1, 2))
def test_erspan_and_open_vswitch(lab, version):
    """Its erspan port takes what we mirror, and what it sends comes to us."""
    stage = Stage(lab)
    stage.far.run("ip", "addr", "flush", "dev", "eth0")
    ovs = OpenVSwitch(lab, stage.far)
    for name in ("br-phy", "br-int"):
        ovs.vsctl("add-br", name, "--", "set", "bridge", name, "datapath_type=netdev")
        stage.far.run("ip", "link", "set", name, "up")
    stage.far.run("ip", "addr", "add", f"{ENDS[4][1]}/24", "dev", "br-phy")
    ovs.vsctl("add-port", "br-phy", "eth0")
    options = ("options:erspan_idx=3",) if version == 1 else ("options:erspan_dir=1", "options:erspan_hwid=4")
    ovs.vsctl("add-port", "br-int", "es", "--", "set", "interface", "es", "type=erspan",
              f"options:remote_ip={ENDS[4][0]}", "options:key=100", f"options:erspan_ver={version}", *options)
    inside = stage.far.packets("br-int")
    stage.probe(f"erspan-ver={version}")
    stage.cli("flow", "add", "br0", "in_port=a,actions=drop")
    stage.cli("flow", "add", "br0", "in_port=probe,actions=output:b")
    stage.mirror("select-src-port=a")
    sent, back = frame(1, dst="ffffffffffff"), frame(2, dst="ffffffffffff", src=B)
    wait_for("what we mirror", lambda: stage.a.send(sent) or sent in inside.receive_all(0.3), 60)
    wait_for("what it sends", lambda: inside.send(back) or back in stage.b.receive_all(), 60)
    assert not [row for row in stage.drops() if "cap" in row[1]]
    stage.weft.stop()

# SPDX-License-Identifier: Apache-2.0
"""Texts of flows, groups and meters, at random, written in every way that ovs-ofctl(8) knows: weft takes them for what ovs-ofctl
takes them for, and what weft prints can be given back, to weft and to ovs-ofctl.

    text ---- ovs-ofctl ---> Open vSwitch ---> dump A        all dumps by ovs-ofctl, and all equal
         \\--- weft --------> Weft -----------> dump B
                              Weft -- weft list --> text 2 -- weft -------> Weft ----------> dump C
                                                          \\-- ovs-ofctl --> Open vSwitch --> dump D

WEFT_SEED repeats a run.
"""

import os
import random
import re

import pytest
from lab import Lab, Twins

N_FLOWS, N_GROUPS, N_METERS = 400, 60, 20


@pytest.fixture(scope="module")
def lab():
    with Lab() as lab:
        yield lab


@pytest.fixture(scope="module")
def twins(lab):
    twins = Twins(lab)
    yield twins
    twins.stop()


@pytest.fixture
def rnd():
    seed = os.environ.get("WEFT_SEED") or str(random.randrange(1 << 32))
    print(f"WEFT_SEED={seed}")
    return random.Random(seed)


class Writer:
    """Writes flows, groups and meters; but none of what ovs-ofctl cannot say in 1.3: parts of a priority, a tag pushed on a tag,
    ports of later fragments, and sets under a mask, of which it makes loads."""

    def __init__(self, rnd):
        self.rnd = rnd

    # --- values ----------------------------------------------------------------------------------

    def number(self, bits, least=0):
        n = self.rnd.randrange(least, 1 << bits) if self.rnd.random() < 0.7 else self.rnd.choice((least, (1 << bits) - 1))
        return self.rnd.choice((str(n), hex(n)))

    def masked_number(self, bits):
        if self.rnd.random() < 0.6:
            return self.number(bits)
        mask = self.rnd.randrange(1, 1 << bits)
        return f"{hex(self.rnd.randrange(1 << bits) & mask)}/{hex(mask)}"

    def mac(self):
        return ":".join(f"{self.rnd.randrange(256):02x}" for _ in range(6))

    def masked_mac(self):
        mask = self.rnd.choice(("", "", "/01:00:00:00:00:00", "/ff:ff:ff:00:00:00", "/00:00:00:00:ff:0f"))
        return self.mac() + mask

    def ip4(self):
        return ".".join(str(self.rnd.randrange(256)) for _ in range(4))

    def masked_ip4(self):
        mask = self.rnd.choice(("", "", "/24", "/8", "/1", "/32", "/255.255.0.0", "/255.0.255.1"))
        return self.ip4() + mask

    def ip6(self):
        words = [f"{self.rnd.choice((0, 0, self.rnd.randrange(65536))):x}" for _ in range(8)]
        return self.rnd.choice((":".join(words), "::1", "fe80::1:2", "2001:db8::"))

    def masked_ip6(self):
        return self.ip6() + self.rnd.choice(("", "", "/64", "/10", "/128", "/ffff::ffff"))

    def port(self):
        return self.rnd.choice(("1", "2", "p1", "p2", "p3", '"p3"', "LOCAL", "local"))

    def one(self, *choices):
        return self.rnd.choice(choices)

    # --- matches ---------------------------------------------------------------------------------

    def some(self, fields, least=0):
        """Some of the fields, in any order; those that exclude each other stand in one entry."""
        picked = self.rnd.sample(fields, self.rnd.randint(least, len(fields)))
        return [self.one(*entry)() for entry in picked]

    def link_fields(self):
        return [
            [lambda: f"in_port={self.port()}"],
            [lambda: f"{self.one('dl_src', 'eth_src')}={self.masked_mac()}"],
            [lambda: f"{self.one('dl_dst', 'eth_dst')}={self.masked_mac()}"],
            [lambda: f"metadata={self.masked_number(64)}"],
            [lambda: f"{self.one('tun_id', 'tunnel_id')}={self.masked_number(64)}"],
            [
                lambda: f"dl_vlan={self.rnd.randrange(4096)}",
                lambda: f"dl_vlan={self.rnd.randrange(4096)},dl_vlan_pcp={self.rnd.randrange(8)}",
                lambda: f"vlan_vid={hex(0x1000 | self.rnd.randrange(4096))}",
                lambda: f"vlan_vid={hex(0x1000 | self.rnd.randrange(4096))},vlan_pcp={self.rnd.randrange(8)}",
                lambda: "vlan_vid=0x1000/0x1000",
                lambda: f"vlan_tci={hex(0x1000 | self.rnd.randrange(65536))}",
                lambda: f"vlan_tci={hex(0x1000 | self.rnd.randrange(65536))}/{self.one('0x1fff', '0xffff', '0x1000', '0xf000', '0x100f')}",
                lambda: "vlan_tci=0x0000",
            ],
            [lambda: f"reg{self.rnd.randrange(16)}={self.masked_number(32)}"],
            [lambda: f"pkt_mark={self.masked_number(32)}"],
        ]

    def ip_fields(self):
        return [
            [lambda: f"{self.one('nw_ecn', 'ip_ecn')}={self.rnd.randrange(4)}"],
            [lambda: f"nw_tos={4 * self.rnd.randrange(64)}", lambda: f"ip_dscp={self.rnd.randrange(64)}"],
            [lambda: f"nw_ttl={self.number(8)}"],
            [lambda: f"{self.one('ip_frag', 'nw_frag')}={self.one('no', 'yes', 'first', 'not_later')}"],
        ]

    def ports(self, name):
        return [
            [lambda: f"{self.one('tp_src', name + '_src')}={self.masked_number(16)}"],
            [lambda: f"{self.one('tp_dst', name + '_dst')}={self.masked_number(16)}"],
        ]

    def match(self):
        """(what kind of packet it is, the text)"""
        kind = self.one("any", "type", "arp", "rarp", "ip", "ipv6", "tcp", "udp", "sctp", "icmp", "tcp6", "udp6", "sctp6",
                        "icmp6", "ns", "na", "mpls", "mplsm")
        items = self.some(self.link_fields())
        own = []
        if kind == "type":
            items.append(f"{self.one('dl_type', 'eth_type')}=0x{self.rnd.randrange(0x9000, 0x9100):x}")
        elif kind in ("arp", "rarp"):
            items.append(kind)
            own = [
                [lambda: f"{self.one('arp_op', 'nw_proto')}={self.rnd.randrange(256)}"],
                [lambda: f"{self.one('arp_spa', 'nw_src')}={self.masked_ip4()}"],
                [lambda: f"{self.one('arp_tpa', 'nw_dst')}={self.masked_ip4()}"],
                [lambda: f"arp_sha={self.masked_mac()}"],
                [lambda: f"arp_tha={self.masked_mac()}"],
            ]
        elif kind in ("mpls", "mplsm"):
            items.append(self.one(kind, f"dl_type=0x884{7 if kind == 'mpls' else 8}"))
            own = [
                [lambda: f"mpls_label={self.number(20)}"],
                [lambda: f"mpls_tc={self.rnd.randrange(8)}"],
                [lambda: f"mpls_bos={self.rnd.randrange(2)}"],
                [lambda: f"mpls_ttl={self.number(8)}"],
            ]
        elif kind != "any":
            v6 = kind.endswith("6") or kind in ("ns", "na")
            address = self.masked_ip6 if v6 else self.masked_ip4
            names = (("ipv6_src",), ("ipv6_dst",)) if v6 else (("nw_src", "ip_src"), ("nw_dst", "ip_dst"))
            own = self.ip_fields() + [[lambda n=n: f"{self.one(*n)}={address()}"] for n in names]
            if v6:
                own.append([lambda: f"ipv6_label={self.masked_number(20)}"])
            if kind == "ip":
                items.append(self.one("ip", "dl_type=0x0800", "ip,nw_proto=99", "ip,ip_proto=200"))
            elif kind == "ipv6":
                items.append(self.one("ipv6", "ip6", "dl_type=0x86dd", "ipv6,nw_proto=99"))
            elif kind in ("ns", "na"):
                link = "nd_sll" if kind == "ns" else "nd_tll"
                items.append(f"icmp6,{self.one('icmp_type', 'icmpv6_type')}={135 if kind == 'ns' else 136}")
                own += [[lambda: f"nd_target={self.masked_ip6()}"], [lambda: f"{link}={self.masked_mac()}"]]
                items.append("icmpv6_code=0")
            elif kind.startswith("icmp"):
                names = ("icmp_type", "icmp_code") if kind == "icmp" else ("icmpv6_type", "icmpv6_code")
                items.append(self.one(kind, "ip,nw_proto=1" if kind == "icmp" else "ipv6,nw_proto=58"))
                own += [[lambda n=n: f"{n}={self.rnd.randrange(100)}"] for n in names]
            else:
                items.append(kind)
                own += self.ports(kind.rstrip("6"))
                if kind.startswith("tcp"):
                    own.append([lambda: f"tcp_flags={self.one('+syn-ack', '+rst', '-fin+psh', '0x12', '0x2/0x3', 'syn|ack')}"])
        return kind, self.one(",", ", ", " ").join(items + self.some(own))

    # --- actions ---------------------------------------------------------------------------------

    def actions(self, kind, groups=(), depth=0):
        """A list of actions for a kind of packet."""
        kind = {"ns": "icmp6", "na": "icmp6"}.get(kind, kind)
        choices = [
            lambda: f"output:{self.port()}",
            lambda: self.one("1", "p2", "LOCAL"),
            lambda: self.one("normal", "NORMAL", "flood", "all", "in_port", "IN_PORT", "local"),
            lambda: self.one("controller", "controller:100", "CONTROLLER:65535", "controller(max_len=50,reason=action)",
                             "controller(reason=no_match,id=5)", "controller(max_len=77)"),
            lambda: f"{self.one('mod_dl_src', 'mod_dl_dst')}:{self.mac()}",
            lambda: f"set_field:{self.mac()}->{self.one('eth_src', 'dl_dst', 'dl_src')}",
            lambda: f"set_field:{self.number(32)}->reg{self.rnd.randrange(16)}",
            lambda: f"set_field:{self.number(64)}->{self.one('metadata', 'tun_id')}",
            lambda: f"load:{self.number(8)}->NXM_NX_REG{self.rnd.randrange(8)}[{self.one('0..7', '8..15', '24..31')}]",
            lambda: f"load:{self.rnd.randrange(2)}->NXM_NX_REG0[{self.rnd.randrange(32)}]",
            lambda: f"load:{self.number(32)}->NXM_NX_REG1[]",
            lambda: f"move:NXM_NX_REG{self.rnd.randrange(8)}[0..15]->NXM_NX_REG{self.rnd.randrange(8)}[{self.one('0..15', '16..31')}]",
            lambda: "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]",
            lambda: f"set_queue:{self.number(16)}",
            lambda: f"{self.one('set_tunnel', 'set_tunnel64')}:{self.number(20)}",
            lambda: self.one(f"resubmit:{self.rnd.randrange(1, 4)}", "resubmit(,7)", "resubmit(1,9)", "resubmit(p2,9)", "resubmit(1)"),
            lambda: f"mod_vlan_{self.one('vid', 'pcp')}:{self.rnd.randrange(8)}",
        ]
        if groups:
            choices.append(lambda: f"group:{self.one(*groups)}")
        ip4 = kind in ("ip", "tcp", "udp", "sctp", "icmp")
        ip6 = kind in ("ipv6", "tcp6", "udp6", "sctp6", "icmp6")
        if ip4 or ip6:
            choices += [
                lambda: self.one("dec_ttl", "DEC_TTL"),
                lambda: f"mod_nw_ttl:{self.number(8)}",
                lambda: f"mod_nw_tos:{4 * self.rnd.randrange(64)}",
                lambda: f"mod_nw_ecn:{self.rnd.randrange(4)}",
                lambda: f"set_field:{self.rnd.randrange(64)}->ip_dscp",
                lambda: f"set_field:{self.rnd.randrange(4)}->{self.one('nw_ecn', 'ip_ecn')}",
            ]
        if ip4:
            choices += [
                lambda: f"{self.one('mod_nw_src', 'mod_nw_dst')}:{self.ip4()}",
                lambda: f"set_field:{self.ip4()}->{self.one('ip_src', 'nw_dst', 'ip_dst')}",
            ]
        if ip6:
            choices += [
                lambda: f"set_field:{self.ip6()}->{self.one('ipv6_src', 'ipv6_dst')}",
                lambda: f"set_field:{self.number(20)}->ipv6_label",
            ]
        transport = kind.rstrip("6")
        if transport in ("tcp", "udp", "sctp"):
            choices += [
                lambda: f"{self.one('mod_tp_src', 'mod_tp_dst')}:{self.number(16)}",
                lambda: f"set_field:{self.number(16)}->{transport}_{self.one('src', 'dst')}",
            ]
        if kind == "arp":
            choices += [
                lambda: f"set_field:{self.ip4()}->{self.one('arp_spa', 'arp_tpa')}",
                lambda: f"set_field:{self.mac()}->{self.one('arp_sha', 'arp_tha')}",
                lambda: f"set_field:{self.rnd.randrange(4)}->arp_op",
                lambda: "move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[]",
            ]
        if kind in ("mpls", "mplsm"):
            choices += [
                lambda: f"set_field:{self.number(20)}->mpls_label",
                lambda: f"set_field:{self.rnd.randrange(8)}->mpls_tc",
                lambda: f"set_mpls_ttl({self.rnd.randrange(256)})",
                lambda: "dec_mpls_ttl",
            ]
        return [self.one(*choices)() for _ in range(self.rnd.randint(1, 5))]

    def last(self, kind, match):
        """Actions that may change what kind of packet it is, and so stand at the end of a list."""
        choices = [["push_mpls:0x8847,set_mpls_label:17,output:1"], ["push_mpls:0x8848"]]
        if "vlan" in match:
            choices += [["pop_vlan,1"], ["strip_vlan"]] if "vlan_tci" not in match and "/" not in match else []
        else:
            choices += [
                [f"push_vlan:{self.one('0x8100', '0x88a8', '33024')}"],
                [f"push_vlan:0x8100,set_field:{hex(0x1000 | self.rnd.randrange(4096))}->vlan_vid,mod_vlan_pcp:5,2"],
                [f"push_vlan:0x88a8,mod_vlan_pcp:{self.rnd.randrange(8)},set_field:{self.rnd.randrange(8)}->vlan_pcp"],
            ]
        if kind in ("mpls", "mplsm"):
            choices += [["pop_mpls:0x0800,dec_ttl,output:2"], ["pop_mpls:0x8847"]]
        return self.one(*choices) if self.rnd.random() < 0.15 else []

    def instructions(self, kind, match, table, groups, meters):
        items, last = [], []
        if meters and self.rnd.random() < 0.15:
            items.append(f"meter:{self.one(*meters)}")
        if self.rnd.random() < 0.8:
            last = self.last(kind, match)
            items += self.actions(kind, groups) + last
        if self.rnd.random() < 0.15:
            items.append("clear_actions")
        if self.rnd.random() < 0.2:
            actions = self.actions("any" if last else kind, groups)
            # (Open vSwitch's own controller action does not stand in action sets.)
            items.append(f"write_actions({','.join(action for action in actions if 'no_match' not in action)})")
        if self.rnd.random() < 0.2:
            items.append(f"write_metadata:{self.masked_number(64)}")
        if self.rnd.random() < 0.2:
            items.append(f"goto_table:{self.rnd.randrange(table + 1, 250)}")
        return self.one(",", ", ").join(items) if items else self.one("drop", "")

    def flow(self, priority, groups, meters):
        """A flow whose priority is like no other's."""
        kind, match = self.match()
        table = self.rnd.randrange(5)
        items = [f"priority={priority}"]
        if table:
            items.append(f"table={table}")
        for chance, item in (
            (0.2, f"cookie={self.number(48)}"),
            (0.1, f"idle_timeout={self.rnd.randrange(1000, 60000)}"),
            (0.1, f"hard_timeout={self.rnd.randrange(1000, 60000)}"),
            (0.1, "send_flow_rem"),
            (0.05, "no_packet_counts"),
            (0.05, "no_byte_counts"),
            (0.05, "reset_counts"),
        ):
            if self.rnd.random() < chance:
                items.append(item)
        self.rnd.shuffle(items)
        text = ",".join(items + ([match] if match else []))
        return f"{text}{self.one(',', ' ', ', ')}actions={self.instructions(kind, match, table, groups, meters)}"

    # --- groups and meters -----------------------------------------------------------------------

    def group(self, number, others):
        kind = self.one("all", "select", "indirect", "ff", "fast_failover")
        buckets = []
        for n in range(1 if kind == "indirect" else self.rnd.randint(0, 4)):
            items = []
            if kind == "select":
                items += self.one([], [f"weight:{self.rnd.randrange(100)}"], [f"weight={self.rnd.randrange(100)}"])
            if kind in ("ff", "fast_failover") or (kind == "select" and self.rnd.random() < 0.3):
                watch = [f"watch_port:{self.one('1', 'p2', 'p3')}"]
                items += self.one(watch, watch + [f"watch_group:{self.one(*others)}"]) if others else watch
            # (ovs-ofctl pushes a tag for each mod_vlan_* of a bucket.)
            actions = self.actions("any", others if self.rnd.random() < 0.2 else ())
            actions = self.one(",".join(action for action in actions if "mod_vlan" not in action), "drop") or "drop"
            items.append(f"actions={actions}")
            buckets.append(f"bucket={','.join(items)}")
        return ",".join([f"group_id={number}", f"type={kind}", *buckets])

    def meter(self, number):
        burst = self.rnd.random() < 0.5
        flags = [self.one("kbps", "pktps")] + (["burst"] if burst else []) + self.one([], ["stats"])
        bands = []
        for _ in range(self.rnd.randint(1, 3)):
            band = f"type=drop,rate={self.number(31, 1)}"
            bands.append(band + (f",burst_size={self.number(20, 1)}" if burst else ""))
        return f"meter={number},{','.join(flags)},{self.one('band', 'bands')}={','.join(bands)}"


# --- what is compared ----------------------------------------------------------------------------


def dumps(switch):
    """Everything that a switch has, by ovs-ofctl."""
    texts = [switch.run([f"dump-{what}", "@"]) for what in ("flows", "groups", "meters")]
    return "\n".join(line for text in texts for line in text.splitlines() if not line.startswith("LOG|"))


def clear(twins):
    for switch in twins:
        for what in ("flows", "groups", "meters"):
            assert switch.run([f"del-{what}", "@"]) == ""


def give_ovs_ofctl(switch, flows, groups, meters):
    """Has ovs-ofctl add them, each of its kinds in one go; meters singly, since it takes no file of them."""
    for meter in meters:
        assert errors(switch.run(["add-meter", "@", meter])) == "", meter
    for command, texts in (("add-groups", groups), ("add-flows", flows)):
        (switch.lab.dir / "texts").write_text("".join(f"{text}\n" for text in texts))
        assert errors(switch.run([command, "@", "texts"])) == ""


def errors(text):
    return "".join(f"{line}\n" for line in text.splitlines() if not line.startswith("LOG|"))


def give_weft(twins, flows, groups, meters):
    for what, texts in (("meter", meters), ("group", groups), ("flow", flows)):
        twins.cli(what, "add", "br0", "-f", "-", input="".join(f"{text}\n" for text in texts), timeout=120)


def listing(twins, what):
    return twins.cli(what, "list", "br0").splitlines()


def assert_same(one, other, most=10):
    """The same lines; else the first that differ are shown in pairs."""
    ours, theirs = one.splitlines(), other.splitlines()
    lines = ["- " + line for line in sorted(set(ours) - set(theirs))] + ["+ " + line for line in sorted(set(theirs) - set(ours))]
    lines.sort(key=lambda line: re.findall(r"(?:priority|group_id|meter)=\d+", line)[:1])
    assert not lines, "\n".join([f"{len(lines)} lines:", *lines[: 2 * most]])
    assert one == other


def test_random_texts_mean_the_same_and_come_back(twins, rnd):
    writer = Writer(rnd)
    meters = [writer.meter(n) for n in range(1, N_METERS)]
    groups = []
    for n in range(1, N_GROUPS):
        groups.append(writer.group(n, tuple(range(1, min(n, 4)))))
    flows = [writer.flow(n, tuple(range(1, N_GROUPS)), tuple(range(1, N_METERS))) for n in range(1, N_FLOWS)]
    clear(twins)
    give_ovs_ofctl(twins.ovs, flows, groups, meters)
    give_weft(twins, flows, groups, meters)
    theirs = dumps(twins.ovs)
    assert theirs.count("priority=") == len(flows)
    assert_same(theirs, dumps(twins.weft))
    # What weft prints is what ovs-ofctl prints with names; but for actions of 1.0, which 1.3 says in two.
    printed = {what: listing(twins, what) for what in ("flow", "group", "meter")}
    old = [line for line in printed["flow"] if "mod_vlan" not in line]
    kept = {re.search(r"table=\d+|$", line)[0] + re.search(r"priority=\d+,?", line)[0] for line in old}
    named = twins.weft.run(["--names", "dump-flows", "@"]).splitlines()
    named = [line for line in named if "actions=" in line and
             re.search(r"table=\d+", line)[0] + re.search(r"priority=\d+,?", line)[0] in kept]
    plain = [" " + re.sub(r"^cookie=0x0, ", "", re.sub(r"duration=[0-9.]+s", "duration=Ds", line)) for line in old]
    assert_same("\n".join(sorted(named)), "\n".join(sorted(plain)))
    clear(twins)
    give_ovs_ofctl(twins.ovs, printed["flow"], printed["group"], printed["meter"])
    give_weft(twins, printed["flow"], printed["group"], printed["meter"])
    assert_same(theirs, dumps(twins.ovs))
    assert_same(theirs, dumps(twins.weft))
    # The same through ovs-ofctl to Weft.
    clear(twins)
    give_ovs_ofctl(twins.weft, printed["flow"], printed["group"], printed["meter"])
    assert_same(theirs, dumps(twins.weft))
    clear(twins)


# --- asking for some, changing some --------------------------------------------------------------


def query(writer, flows):
    """What may stand behind dump-flows: a piece of some flow, or what only questions have."""
    rnd = writer.rnd
    choice = rnd.randrange(6)
    if choice == 0:
        return f"table={rnd.randrange(6)}"
    if choice == 1:
        return f"cookie={hex(rnd.randrange(1 << 48))}/{hex(rnd.choice((0, 1, 3, 0xf00000000000)))}"
    if choice == 2:
        return f"out_port={writer.port()}"
    if choice == 3:
        return f"out_group={rnd.randrange(1, 5)}"
    return ",".join([writer.match()[1], *rnd.choice(([], ["table=1"], ["out_port=1"]))])


def priorities(text):
    return sorted(re.findall(r"priority=\d+", text))


def test_random_questions_find_the_same(twins, rnd):
    writer = Writer(rnd)
    # Few kinds of matches, so that questions find some.
    matches = ["", "ip", "tcp", "udp", "arp", "ipv6", "in_port=1", "in_port=2,tcp", "dl_vlan=5", "tcp,tp_dst=80", "ip,nw_src=10.0.0.0/8",
               "ip,nw_src=10.1.0.0/16", "metadata=5", "vlan_tci=0", "reg1=7", "mpls", "icmp6,icmp_type=135"]
    flows = []
    for n in range(1, 250):
        match = rnd.choice(matches)
        actions = ",".join(rnd.sample(["output:1", "output:2", "LOCAL", "normal", "group:1", "group:2", "controller", "meter:1"], 3))
        items = [f"priority={n}", f"table={rnd.randrange(4)}", f"cookie={hex(rnd.randrange(1 << 48))}", *([match] if match else [])]
        flows.append(f"{','.join(items)},actions={actions.replace('meter:1', 'in_port') if 'meter' in actions else actions}")
    groups = ["group_id=1,type=all,bucket=actions=output:1", "group_id=2,type=all,bucket=actions=output:2"]
    clear(twins)
    give_ovs_ofctl(twins.ovs, flows, groups, [])
    give_weft(twins, flows, groups, [])
    # A file in which nothing stands deletes nothing.
    for what in ("flow", "group", "meter"):
        twins.cli(what, "del", "br0", "-f", "-", input="# nothing\n")
    assert_same(dumps(twins.ovs), dumps(twins.weft))
    found = 0
    for text in [query(writer, flows) for _ in range(40)] + [match for match in matches if match]:
        theirs = priorities(twins.ovs.run(["dump-flows", "@", text]))
        assert priorities(twins.cli("flow", "list", "br0", text)) == theirs, text
        found += len(theirs)
    assert found > 100
    # Changes and deletions, loose and strict, by the tool of each.
    for text in rnd.sample([match for match in matches if match and "vlan_tci" not in match], 6):
        n = rnd.randrange(1, 250)
        for command, verb, words, line in (
            ("mod-flows", "mod", [], f"{text},table={rnd.randrange(4)},actions=output:3"),
            ("mod-flows", "mod", ["--strict"], f"priority={n},table=1,{text},actions=output:p3,LOCAL"),
            ("del-flows", "del", ["--strict"], f"priority={n},{text}"),
            ("del-flows", "del", [], f"{text},table={rnd.randrange(4)},out_port=2"),
        ):
            assert errors(twins.ovs.run([*words, command, "@", line])) == "", line
            twins.cli("flow", verb, *words, "br0", line)
            assert_same(dumps(twins.ovs), dumps(twins.weft))
    clear(twins)

# SPDX-License-Identifier: Apache-2.0
"""Malformed packets: each is forwarded by the layers that are sound, or ends in exactly one counted drop.

    guest a --- a [br0] b  rules that change the IP header
                        c  rules that look at TCP ports or ARP
                        d  everything else, as it came
"""

import pytest
from lab import Lab, VhostGuest, Weft, wait_for

RULES = [
    "priority=30,tcp,in_port=1,tp_dst=80,actions=output:3",
    "priority=30,tcp6,in_port=1,tp_dst=80,actions=output:3",
    "priority=25,arp,in_port=1,arp_op=1,actions=output:3",
    "priority=25,icmp6,in_port=1,icmpv6_type=135,nd_target=fe80::2,actions=output:3",
    "priority=20,ip,in_port=1,actions=dec_ttl,output:2",
    "priority=20,ipv6,in_port=1,actions=dec_ttl,output:2",
    "priority=10,mpls,in_port=1,actions=pop_mpls:0x0800,output:2",
    "priority=10,dl_type=0x88e7,in_port=1,actions=pop_pbb,output:2",
    "priority=0,in_port=1,actions=output:4",
]
MACS = "020000000002" "020000000001"


def csum(header):
    total = sum(int.from_bytes(header[i : i + 2], "big") for i in range(0, len(header), 2))
    total = (total & 0xFFFF) + (total >> 16)
    return (~((total & 0xFFFF) + (total >> 16)) & 0xFFFF).to_bytes(2, "big")


def ip4(payload="", proto=6, ttl=64, frag=0, length=None, version=0x45, options=""):
    payload, options = bytes.fromhex(payload), bytes.fromhex(options)
    total = 20 + len(options) + len(payload) if length is None else length
    head = bytes([version, 0]) + total.to_bytes(2, "big") + b"\0\1" + frag.to_bytes(2, "big")
    head += bytes([ttl, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]) + options
    return (head[:10] + csum(head) + head[12:] + payload).hex()


def ip6(payload="", next=6, hops=64, length=None, version="60000000"):
    length = len(payload) // 2 if length is None else length
    return version + f"{length:04x}{next:02x}{hops:02x}" "fe800000000000000000000000000001" "fe800000000000000000000000000002" + payload


TCP = "0400" "0050" "00000000" "00000000" "5002" "1000" "0000" "0000"
TCP_SHORT = TCP[:30]
NS = "8700" "0000" "00000000" "fe800000000000000000000000000002"

# name: (frame behind the addresses, where it ends: a port and the frame there if it is another one, or a reason)
CASES = {
    # Ethernet and tags
    "ethernet alone": ("9000", ("d",)),
    "no ethernet type": ("08", "rx-truncated"),
    "no source address": (None, "rx-truncated"),
    "tag cut off": ("8100" "0005" "08", "rx-truncated"),
    "second tag cut off": ("88a8" "0005" "8100" "00", "rx-truncated"),
    "third tag is a type": ("88a8" "0005" "8100" "0006" "8100" "0007" "0800" + ip4(TCP), ("d",)),
    "802.3 length": ("0020" "4242030000", ("d",)),
    "snap cut off": ("0005" "aaaa03", ("d",)),
    "snap of another organisation": ("0026" "aaaa03" "00000c" "0800" + ip4(TCP), ("d",)),
    # IPv4
    "sound": ("0800" + ip4(TCP), ("c",)),
    "no ip header": ("0800", "no-l3"),
    "ip header cut off": ("0800" + ip4(TCP)[:38], "no-l3"),
    "ip version 5": ("0800" + ip4(TCP, version=0x55), "no-l3"),
    "header of 4 words": ("0800" + ip4(TCP, version=0x44), "no-l3"),
    "header longer than the frame": ("0800" + ip4("", version=0x4F), "no-l3"),
    "options cut off": ("0800" + ip4("", version=0x46, length=24), "no-l3"),
    "sound options": ("0800" + ip4(TCP, version=0x46, options="01010100"), ("c",)),
    "total length below header": ("0800" + ip4(TCP, length=19), "no-l3"),
    "total length beyond frame": ("0800" + ip4(TCP, length=41), "no-l3"),
    "padding behind total length": ("0800" + ip4(TCP) + "00" * 6, ("c",)),
    "tcp cut off": ("0800" + ip4(TCP_SHORT), ("b", "0800" + ip4(TCP_SHORT, ttl=63))),
    "tcp header of 4 words": ("0800" + ip4(TCP.replace("5002", "4002")), ("b", "0800" + ip4(TCP.replace("5002", "4002"), ttl=63))),
    "tcp options cut off": ("0800" + ip4(TCP.replace("5002", "6002")), ("b", "0800" + ip4(TCP.replace("5002", "6002"), ttl=63))),
    "tcp beyond total length": ("0800" + ip4(TCP, length=30), ("b", "0800" + ip4(TCP, length=30, ttl=63))),
    "first fragment": ("0800" + ip4(TCP, frag=0x2000), ("c",)),
    "later fragment has no ports": ("0800" + ip4(TCP, frag=0x0001), ("b", "0800" + ip4(TCP, frag=0x0001, ttl=63))),
    "ttl 0": ("0800" + ip4(TCP_SHORT, ttl=0), "invalid-ttl"),
    "unknown protocol, no payload": ("0800" + ip4("", proto=255), ("b", "0800" + ip4("", proto=255, ttl=63))),
    # IPv6
    "sound v6": ("86dd" + ip6(TCP), ("c",)),
    "v6 header cut off": ("86dd" + ip6(TCP)[:78], "no-l3"),
    "v6 version 4": ("86dd" + ip6(TCP, version="40000000"), "no-l3"),
    "v6 payload beyond frame": ("86dd" + ip6(TCP, length=21), "no-l3"),
    "v6 payload length 0": ("86dd" + ip6(TCP, length=0), ("c",)),
    "extension header cut off": ("86dd" + ip6("0600", next=0), "no-l3"),
    "extension header beyond the frame": ("86dd" + ip6("06ff000000000000", next=60), "no-l3"),
    "extension header beyond the payload": ("86dd" + ip6("0600000000000000" + TCP, next=60, length=4), "no-l3"),
    "v6 tcp in the padding": ("86dd" + ip6("0600000000000000" + TCP, next=60, length=8), ("b", "86dd" + ip6("0600000000000000" + TCP, next=60, hops=63, length=8))),
    "16 extension headers": ("86dd" + ip6("3c00000000000000" * 15 + "0600000000000000" + TCP, next=60), "no-l3"),
    "15 extension headers": ("86dd" + ip6("3c00000000000000" * 14 + "0600000000000000" + TCP, next=60), ("c",)),
    "v6 later fragment": ("86dd" + ip6("0600000800000001" + TCP, next=44), ("b", "86dd" + ip6("0600000800000001" + TCP, next=44, hops=63))),
    "v6 tcp cut off": ("86dd" + ip6(TCP_SHORT), ("b", "86dd" + ip6(TCP_SHORT, hops=63))),
    "hop limit 1": ("86dd" + ip6(TCP_SHORT, hops=1), "invalid-ttl"),
    "sound solicitation": ("86dd" + ip6(NS, next=58), ("c",)),
    "solicitation cut off": ("86dd" + ip6(NS[:44], next=58), ("b", "86dd" + ip6(NS[:44], next=58, hops=63))),
    "option of length 0": ("86dd" + ip6(NS + "0100000000000000", next=58), ("c",)),
    "option beyond the packet": ("86dd" + ip6(NS + "01ff020000000005", next=58), ("c",)),
    # ARP
    "sound arp": ("0806" "0001080006040001" + "00" * 20, ("c",)),
    "arp cut off": ("0806" "0001080006040001" + "00" * 19, ("d",)),
    "arp of another hardware": ("0806" "0006080006040001" + "00" * 20, ("d",)),
    "arp of long addresses": ("0806" "0001080008040001" + "00" * 24, ("d",)),
    # MPLS and PBB
    "sound label": ("8847" "00001140" + ip4(TCP), ("b", "0800" + ip4(TCP))),
    "label cut off": ("8847" "000011", "no-mpls"),
    "labels without a bottom": ("8847" + "00001040" * 3, ("b", "0800" + "00001040" * 2)),
    "sound backbone": ("88e7" "00000005" "020000000003020000000004" "9000", ("b", None)),
    "i-tag cut off": ("88e7" "0000", "no-pbb"),
    "backbone without a frame": ("88e7" "00000005" "02000000000302", "no-pbb"),
    # as long as it gets, in many pieces
    "64 KiB": ("0800" + ip4(TCP + "ab" * (65535 - 40)), ("c",)),
    "64 KiB of nothing": ("9000" + "cd" * 65500, ("d",)),
}


@pytest.fixture(scope="module")
def stage():
    with Lab() as lab:
        weft = Weft(lab).start()
        weft.cli("switch", "add", "br0", "fail-mode=secure")
        guests = {}
        for number, name in enumerate("abcd", 1):
            weft.cli("port", "add", "br0", name, "type=vhost-user", f"of-port={number}")
            guests[name] = VhostGuest(lab, weft.vhost_path(name), size=1024).open()
        weft.cli("flow", "add", "br0", "-f", "-", input="\n".join(RULES))
        yield weft, guests
        weft.stop()


def drops(weft):
    return {row["reason"]: row["packets"] for row in weft.cli("drops", "a", json=True)}


@pytest.mark.parametrize("name", CASES)
def test_case(stage, name):
    weft, guests = stage
    body, outcome = CASES[name]
    frame = bytes.fromhex("020000000002" "0200") if body is None else bytes.fromhex(MACS + body)
    before = drops(weft)
    guests["a"].send(frame)
    if isinstance(outcome, str):
        wanted = {**before, outcome: before.get(outcome, 0) + 1}
        wait_for(lambda: f"{outcome}: {drops(weft)}", lambda: drops(weft) == wanted, 5)
        assert all(guests[port].poll() is None for port in "bcd")
        return
    port, changed = outcome[0], outcome[1] if len(outcome) > 1 else body
    if name == "sound backbone":
        want = bytes.fromhex("020000000003020000000004" "9000")
    else:
        want = bytes.fromhex(MACS + changed)
    seen = {end: guests[end].poll(5 if end == port else 0) for end in (port, *sorted({"b", "c", "d"} - {port}))}
    assert seen == {**dict.fromkeys("bcd"), port: want}
    assert drops(weft) == before

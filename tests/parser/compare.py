#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compares Weft's parser with scapy's view of random packets.

Packets are built by scapy. Then scapy takes each apart, and what it finds must be what print_keys prints, field by field. Exit status 1 and the packet if not.
"""

import argparse
import random
import re
import subprocess
import sys

from scapy.contrib.mpls import MPLS
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP, IPOption_RR
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptMTU,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers import inet6
from scapy.layers.ipsec import AH as UnkeyedAH
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import ARP, LLC, SNAP, Dot1AD, Dot1Q, Dot3, Ether
from scapy.layers.sctp import SCTP
from scapy.fields import BitField, ByteEnumField, ByteField, IntField, ShortField, StrLenField
from scapy.packet import Packet, Raw, bind_layers, split_layers

PRESENT = 0x1000  # in a tag's 16 bits
ANY, LATER = 1, 2  # fragments


class Dot1AH(Packet):
    """The I-TAG of IEEE 802.1ah, which scapy does not know. The customer's frame follows."""

    name = "802_1AH"
    fields_desc = [BitField("prio", 0, 3), BitField("dei", 0, 1), BitField("nca", 0, 1), BitField("res", 0, 3),
                   BitField("isid", 0, 24)]


class AH(inet6._IPv6ExtHdr):
    """RFC 4302; scapy's own finds its end by the key alone."""

    name = "AH"
    fields_desc = [ByteEnumField("nh", 59, inet6.ipv6nh), ByteField("len", 1), ShortField("res", 0), IntField("spi", 0),
                   IntField("seq", 0), StrLenField("icv", b"", length_from=lambda ah: 4 * ah.len - 4)]


for lower in (IPv6, IPv6ExtHdrHopByHop, IPv6ExtHdrDestOpt, IPv6ExtHdrRouting, IPv6ExtHdrFragment, AH):
    split_layers(lower, UnkeyedAH, nh=51)
    bind_layers(lower, AH, nh=51)

for lower in (Ether, Dot1Q, Dot1AD):
    bind_layers(lower, Dot1AH, type=0x88E7)
bind_layers(Dot1AH, Ether)


class Generator:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def mac(self):
        return ":".join(f"{self.r.getrandbits(8):02x}" for _ in range(6))

    def ip4(self):
        return ".".join(str(self.r.getrandbits(8)) for _ in range(4))

    def ip6(self):
        return ":".join(f"{self.r.getrandbits(16):x}" for _ in range(8))

    def data(self, most=60):
        return Raw(self.r.randbytes(self.r.randrange(most)))

    def chance(self, n):
        return self.r.randrange(n) == 0

    def l4(self, v6):
        r = self.r
        kinds = ["tcp", "udp", "sctp", "icmp", "other"] + (["nd", "nd"] if v6 else [])
        kind = r.choice(kinds)
        sport, dport = r.getrandbits(16), r.getrandbits(16)
        if kind == "tcp":
            return TCP(sport=sport, dport=dport, seq=r.getrandbits(32), flags=r.getrandbits(9), reserved=r.getrandbits(3),
                       options=[("MSS", 1460)] if r.getrandbits(1) else []) / self.data()
        if kind == "udp":
            return UDP(sport=sport, dport=dport) / self.data()
        if kind == "sctp":
            return SCTP(sport=sport, dport=dport) / self.data()
        if kind == "icmp" and not v6:
            return ICMP(type=r.choice([0, 3, 8, 11]), code=r.randrange(4)) / self.data()
        if kind == "icmp":
            return ICMPv6EchoRequest(code=r.randrange(2), data=bytes(self.data()))
        if kind == "nd":
            options = [ICMPv6NDOptSrcLLAddr(lladdr=self.mac()), ICMPv6NDOptDstLLAddr(lladdr=self.mac()), ICMPv6NDOptMTU()]
            packet = r.choice([ICMPv6ND_NS(tgt=self.ip6()), ICMPv6ND_NA(tgt=self.ip6()), ICMPv6ND_RA()])
            for option in r.sample(options, r.randrange(3)):
                packet = packet / option
            return packet
        return self.data()

    def ipv4(self):
        r = self.r
        options = r.choice([[], [], [], [IPOption_NOP()] * r.randrange(1, 9), [IPOption_RR(pointer=4, routers=[self.ip4()])]])
        head = IP(src=self.ip4(), dst=self.ip4(), tos=r.getrandbits(8), ttl=r.getrandbits(8), options=options)
        if self.chance(5):
            head.flags = r.choice(["MF", "DF"])
            head.frag = r.choice([0, 0, r.getrandbits(13)])
        payload = self.l4(False)
        if isinstance(payload, Raw):
            head.proto = r.choice([2, 47, 89, 58])
        return head / payload

    def extension(self, kind):
        r = self.r
        pad = [PadN(optdata=r.randbytes(r.randrange(16)))]
        if kind == "H":
            return IPv6ExtHdrHopByHop(options=pad)
        if kind == "D":
            return IPv6ExtHdrDestOpt(options=pad)
        if kind == "R":
            return IPv6ExtHdrRouting(addresses=[self.ip6() for _ in range(r.randrange(3))])
        if kind == "F":
            return IPv6ExtHdrFragment(offset=r.choice([0, 0, r.getrandbits(13)]), m=r.getrandbits(1), id=r.getrandbits(32))
        words = r.randrange(1, 4)
        return AH(len=1 + words, spi=r.getrandbits(32), seq=1, icv=r.randbytes(4 * words))

    def ipv6(self):
        r = self.r
        packet = IPv6(src=self.ip6(), dst=self.ip6(), tc=r.getrandbits(8), fl=r.getrandbits(20), hlim=r.getrandbits(8))
        if not self.chance(3):
            order = r.choice(["", "H", "HD", "HDRFAD", "R", "F", "AD", "".join(r.choice("HDRFA") for _ in range(r.randrange(6)))])
            for kind in order:
                if not self.chance(3) or len(order) == 1:
                    packet = packet / self.extension(kind)
        if self.chance(20):
            return packet / ESP(spi=1, seq=1, data=r.randbytes(20))
        payload = self.l4(True)
        if isinstance(payload, Raw):
            packet.lastlayer().nh = r.choice([47, 59, 89])
        return packet / payload

    def arp(self):
        r = self.r
        return ARP(op=r.choice([1, 2, 3, 9]), hwsrc=self.mac(), hwdst=self.mac(), psrc=self.ip4(), pdst=self.ip4()) / self.data(20)

    def tags(self, packet):
        r = self.r
        for _ in range(r.choice([0, 0, 1, 2, 2, 3])):
            packet = packet / r.choice([Dot1Q, Dot1AD])(vlan=r.getrandbits(12), prio=r.getrandbits(3))
        return packet

    def frame(self):
        """The bytes of one."""
        r = self.r
        kind = r.choice(["ip", "ip", "ip", "ip6", "ip6", "ip6", "arp", "mpls", "pbb", "snap", "other"])
        if kind == "snap":
            return bytes(Dot3(dst=self.mac(), src=self.mac()) / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP() / self.ipv4())
        packet = self.tags(Ether(dst=self.mac(), src=self.mac()))
        if kind == "ip":
            packet = packet / self.ipv4()
        elif kind == "ip6":
            packet = packet / self.ipv6()
        elif kind == "arp":
            packet = packet / self.arp()
        elif kind == "mpls":
            labels = r.randrange(1, 6)
            for i in range(labels):
                packet = packet / MPLS(label=r.getrandbits(20), cos=r.getrandbits(3), s=i + 1 == labels, ttl=r.getrandbits(8))
            packet = packet / self.ipv4()
        elif kind == "pbb":
            packet = packet / Dot1AH(prio=r.getrandbits(3), nca=r.getrandbits(1), isid=r.getrandbits(24))
            packet = packet / Ether(dst=self.mac(), src=self.mac()) / self.ipv4()
        else:
            packet.lastlayer().type = r.choice([0x9000, 0x88CC, 0x1234])
            packet = packet / self.data()
        return bytes(packet)


# --- scapy's view ----------------------------------------------------------------------------------------


class View:
    """Fields as print_keys names them."""

    def __init__(self, frame):
        self.fields = {}
        self.walk(Ether(frame))

    def put(self, name, value, width):
        data = value.to_bytes(width, "big") if isinstance(value, int) else value
        if any(data):
            self.fields[name] = data.hex()

    def put_address(self, name, text):
        import socket

        if ":" in text and text.count(":") == 5 and len(text) == 17:
            self.put(name, bytes.fromhex(text.replace(":", "")), 6)
        else:
            self.put(name, socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text), 0)

    def walk(self, packet):
        self.put_address("eth_dst", packet.dst)
        self.put_address("eth_src", packet.src)
        layer, type = packet.payload, packet.type if isinstance(packet, Ether) else 0
        tags = []
        while isinstance(layer, (Dot1Q, Dot1AD)) and len(tags) < 2:
            tci = layer.prio << 13 | PRESENT | layer.vlan
            tags.append((type, tci))
            layer, type = layer.payload, layer.type
        for names, (tpid, tci) in zip((("vlan_tpid", "vlan_tci"), ("inner_tpid", "inner_tci")), tags):
            self.put(names[0], tpid, 2)
            self.put(names[1], tci, 2)
        if isinstance(packet, Dot3) or isinstance(layer, LLC):
            snap = packet.getlayer(SNAP)
            layer, type = snap.payload, snap.code
        self.put("eth_type", type, 2)
        for kind, take in ((IP, self.ipv4), (IPv6, self.ipv6), (ARP, self.arp), (MPLS, self.mpls), (Dot1AH, self.pbb)):
            if isinstance(layer, kind):
                take(layer)

    def arp(self, layer):
        self.put("arp_op", layer.op, 2)
        self.put_address("arp_sha", layer.hwsrc)
        self.put_address("arp_tha", layer.hwdst)
        self.put_address("ip_src", layer.psrc)
        self.put_address("ip_dst", layer.pdst)

    def mpls(self, layer):
        words = []
        while isinstance(layer, MPLS) and len(words) < 3:
            words.append(layer.label << 12 | layer.cos << 9 | layer.s << 8 | layer.ttl)
            bottom, layer = layer.s, layer.payload
            if bottom:
                break
        self.put("mpls_label", words[0] >> 12, 4)
        self.put("mpls_tc", words[0] >> 9 & 7, 4)
        self.put("mpls_bos", words[0] >> 8 & 1, 4)
        self.put("mpls_ttl", words[0] & 255, 4)
        for i, word in enumerate(words[1:], 1):
            self.put(f"mpls_lse{i}", word, 4)

    def pbb(self, layer):
        self.put("pbb_isid", layer.isid, 4)
        self.put("pbb_uca", layer.nca, 4)

    def ipv4(self, ip):
        self.put_address("ip_src", ip.src)
        self.put_address("ip_dst", ip.dst)
        self.put("arp_op", ip.proto << 8 | ip.tos, 2)
        self.put("nw_ttl", ip.ttl, 1)
        fragment = (ANY if ip.frag or ip.flags.MF else 0) | (LATER if ip.frag else 0)
        self.put("ip_frag", fragment, 1)
        if not fragment & LATER:
            self.l4(ip.proto, ip.payload)
            if ip.proto == 2 and ip.len - 4 * ip.ihl >= 8:
                self.put("tp_src", bytes(ip.payload)[0], 2)  # IGMP's type stands where ICMP's does

    def ipv6(self, ip):
        self.put_address("ipv6_src", ip.src)
        self.put_address("ipv6_dst", ip.dst)
        self.put("nw_ttl", ip.hlim, 1)
        self.put("ipv6_label", ip.fl, 4)
        kinds = {IPv6ExtHdrHopByHop: ("H", 0x40), IPv6ExtHdrDestOpt: ("D", 0x08), IPv6ExtHdrRouting: ("R", 0x20),
                 IPv6ExtHdrFragment: ("F", 0x10), AH: ("A", 0x04)}
        order, bits, fragment, proto, layer = "", 0, 0, ip.nh, ip.payload
        while layer.__class__ in kinds and not fragment & LATER:
            letter, bit = kinds[layer.__class__]
            order += letter
            bits |= bit
            if letter == "F" and (layer.offset or layer.m):  # else an atomic fragment, which is none (RFC 6946)
                fragment |= ANY | (LATER if layer.offset else 0)
            proto, layer = layer.nh, layer.payload
        if not fragment & LATER:
            bits |= {59: 0x01, 50: 0x02}.get(proto, 0)
            order += "E" if proto == 50 else ""
        if any(order.count(letter) > 1 for letter in "HRFA") or order.count("D") > 2:
            bits |= 0x80  # unexpected repeats
        if not re.fullmatch("H?D*R*F*A*E?D*", order):
            bits |= 0x100  # unexpected sequence
        self.put("ipv6_exthdr", bits, 4)
        self.put("ip_frag", fragment, 1)
        self.put("arp_op", proto << 8 | ip.tc, 2)
        if not fragment & LATER:
            self.l4(proto, layer)

    def l4(self, proto, layer):
        if isinstance(layer, (TCP, UDP, SCTP)):
            self.put("tp_src", layer.sport, 2)
            self.put("tp_dst", layer.dport, 2)
            if isinstance(layer, TCP):
                self.put("tcp_flags", int(layer.reserved) << 9 | int(layer.flags), 2)
        elif isinstance(layer, ICMP) or proto == 58 and hasattr(layer, "type"):
            self.put("tp_src", layer.type, 2)
            self.put("tp_dst", layer.code, 2)
            if isinstance(layer, (ICMPv6ND_NS, ICMPv6ND_NA)):
                self.put_address("nd_target", layer.tgt)
                flags = 0 if isinstance(layer, ICMPv6ND_NS) else layer.R << 31 | layer.S << 30 | layer.O << 29
                self.put("nd_reserved", flags | layer.res, 4)
                kinds, option = {ICMPv6NDOptSrcLLAddr: 1, ICMPv6NDOptDstLLAddr: 2}, layer.payload
                while option and type(option) not in kinds:
                    option = option.payload
                self.put("tcp_flags", kinds.get(type(option), 0), 2)  # nd_options_type, in its place
                wanted, name = (ICMPv6NDOptSrcLLAddr, "arp_sha") if isinstance(layer, ICMPv6ND_NS) else (ICMPv6NDOptDstLLAddr, "arp_tha")
                option = layer.getlayer(wanted)
                if option is not None:
                    self.put_address(name, option.lladdr)


def printed(text):
    return dict(word.split("=") for word in text.split())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packets", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("program", help="print_keys")
    options = parser.parse_args()
    print(f"{options.packets} packets, --seed {options.seed}", flush=True)
    generator = Generator(options.seed)
    with subprocess.Popen([options.program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        for number in range(options.packets):
            frame = generator.frame()
            wanted = View(frame).fields
            process.stdin.write(frame.hex() + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
            found = printed(line)
            if found != wanted:
                print(f"packet {number}: {frame.hex()}")
                for name in sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name)):
                    print(f"  {name}: {found.get(name)}, scapy says {wanted.get(name)}")
                Ether(frame).show()
                process.kill()
                return 1
        process.stdin.close()
    print("all alike")
    return 0


if __name__ == "__main__":
    sys.exit(main())

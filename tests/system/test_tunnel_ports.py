# SPDX-License-Identifier: Apache-2.0
"""Tunnel ports, with the kernel's at the other end.

    guest ---- veth vm [br0] t1 (vxlan)
    10.0.0.1              :
    host's kernel ---- ul0 [under] up0 ---- eth0, remote's kernel ---- vx0
      192.0.2.1, 2001:db8::1   |            192.0.2.2, 2001:db8::2     10.0.0.2
                              evil ---- a guest of the underlay switch
"""

import ipaddress

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN

from lab import Netns, VhostGuest, Weft, ovs_ofctl, wait_for

INNER = bytes.fromhex("020000000002020000000001" "88b5") + bytes(range(100))
BACK = bytes.fromhex("020000000001020000000002" "88b5") + bytes(range(100, 200))


class Hosts:
    """Weft in a namespace of its own, a remote host, a guest."""

    def __init__(self, lab):
        self.lab = lab
        self.host = Netns(lab, "host", ipv6=True)
        self.remote = Netns(lab, "far", ipv6=True)
        self.guest = Netns(lab, "guest")
        self.weft = Weft(lab, netns=self.host.name).start()
        self.cli = self.weft.cli
        self.cli("switch", "add", "under")
        self.cli("port", "add", "under", "ul0", "type=internal", "ip=192.0.2.1/24,2001:db8::1/64")
        self.cli(
            "port", "add", "under", "up0", "type=veth", f"netns={self.remote.name}", "ifname=eth0",
            "ip=192.0.2.2/24,2001:db8::2/64", "underlay=yes",
        )
        self.cli("switch", "add", "br0")
        self.cli("port", "add", "br0", "vm", "type=veth", f"netns={self.guest.name}", "ifname=eth0", "ip=10.0.0.1/24")

    def kernel_vxlan(self, local, remote, vni=5):
        self.remote.run("ip", "link", "add", "vx0", "type", "vxlan", "id", str(vni), "local", local, "remote", remote,
                        "dstport", "4789")
        self.remote.run("ip", "addr", "add", "10.0.0.2/24", "dev", "vx0")
        self.remote.run("ip", "link", "set", "vx0", "up")

    def mac(self, netns, ifname):
        return netns.run("cat", f"/sys/class/net/{ifname}/address").strip()

    def tunnels(self):
        return self.cli("tunnel", "list", json=True)

    def wait_ready(self, port="t1"):
        wait_for(lambda: f"a way to the remote: {self.tunnels()}",
                 lambda: [row["state"] for row in self.tunnels() if row["port"] == port] == ["ready"], 20)

    def drops(self):
        return {(row["port"], row["reason"]): row["packets"] for row in self.cli("drops", json=True)}

    def counters(self, port):
        shown = self.cli("port", "show", port, json=True)
        return shown["rx_packets"], shown["tx_packets"]


def outer_of(frame):
    """Whether it is a VXLAN packet."""
    packet = Ether(frame)
    return UDP in packet and packet[UDP].dport == 4789


@pytest.mark.parametrize("local,remote", [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")])
def test_vxlan_with_the_kernel(lab, local, remote):
    hosts = Hosts(lab)
    hosts.kernel_vxlan(remote, local)
    hosts.cli("port", "add", "br0", "t1", "type=vxlan", f"remote={remote}", "vni=5")
    hosts.wait_ready()
    row = hosts.tunnels()[0]
    assert (row["source"], row["next_hop"], row["mac"], row["via"]) == (
        local, remote, hosts.mac(hosts.remote, "eth0"), "under:ul0")
    hosts.guest.run("ping", "-c", "2", "-i", "0.2", "-w", "10", "10.0.0.2")
    hosts.remote.run("ping", "-c", "2", "-i", "0.2", "-w", "10", "10.0.0.1")
    # A frame into the tunnel: every field of the headers that it gets.
    wire, guest = hosts.remote.packets("eth0"), hosts.guest.packets("eth0")
    guest.send(INNER)
    frame = wire.receive(accept=lambda f: outer_of(f) and f.endswith(INNER))
    packet = Ether(frame)
    assert (packet.dst, packet.src) == (hosts.mac(hosts.remote, "eth0"), hosts.mac(hosts.host, "ul0"))
    udp = packet[UDP]
    if IP in packet:
        ip = packet[IP]
        assert (ip.version, ip.ihl, ip.tos, ip.len, ip.flags, ip.frag, ip.ttl, ip.proto) == (
            4, 5, 0, len(frame) - 14, "DF", 0, 64, 17)
        assert (ip.src, ip.dst, udp.chksum) == (local, remote, 0)
        again = IP(bytes(ip))
        del again.chksum
        assert IP(bytes(again)).chksum == ip.chksum
    else:
        ip = packet[IPv6]
        assert (ip.version, ip.tc, ip.fl, ip.plen, ip.nh, ip.hlim) == (6, 0, 0, len(frame) - 54, 17, 64)
        assert ipaddress.ip_address(ip.src) == ipaddress.ip_address(local)
        assert ipaddress.ip_address(ip.dst) == ipaddress.ip_address(remote)
        again = IPv6(bytes(ip))
        del again[UDP].chksum
        assert IPv6(bytes(again))[UDP].chksum == udp.chksum != 0
    assert udp.sport >= 49152 and (udp.dport, udp.len) == (4789, 8 + 8 + len(INNER))
    assert bytes(udp.payload) == bytes.fromhex("0800000000000500") + INNER
    assert VXLAN in packet and packet[VXLAN].vni == 5
    # And out of one.
    hosts.remote.packets("vx0").send(BACK)
    assert guest.receive(accept=lambda f: f[12:14] == BACK[12:14]) == BACK
    # Counters are of inner packets.
    wait_for(lambda: f"counters: {hosts.counters('t1')}", lambda: min(hosts.counters("t1")) >= 6)
    assert not [reason for _, reason in hosts.drops() if "tunnel" in reason or "cap" in reason]
    hosts.weft.stop()


def test_tunnel_port_settings(lab):
    hosts = Hosts(lab)
    hosts.cli("port", "add", "br0", "t1", "type=vxlan", "remote=192.0.2.2", "vni=5", "of-port=9")
    for words, *arguments in (
        ("port t1 of switch br0 has the same remote, local, vni and dst-port", "type=vxlan", "remote=192.0.2.2", "vni=5"),
        ("takes another kind of tunnel", "type=geneve", "remote=192.0.2.2", "vni=5", "dst-port=4789"),
        ("from 0 to 16777215", "type=vxlan", "remote=192.0.2.2", "vni=16777216"),
        ("remote=192.0.2.1 is an address of this host", "type=vxlan", "remote=192.0.2.1", "vni=5"),
        ("remote=2001:db8::1 is an address of this host", "type=gre", "remote=2001:db8::1"),
        ("needs remote=", "type=gre"),
        ("no option mtu", "type=gre", "remote=192.0.2.2", "mtu=1400"),
    ):
        assert words in hosts.weft.cli_fails("port", "add", "under", "t2", *arguments)
    hosts.cli("port", "add", "under", "t2", "type=vxlan", "remote=192.0.2.2", "vni=6")
    assert "has the same remote" in hosts.weft.cli_fails("port", "set", "t2", "vni=5")
    hosts.cli("port", "set", "t2", "vni=7", "ttl=9")
    shown = hosts.cli("port", "show", "t2", json=True)
    assert (shown["type"], shown["link"], shown["peer"], shown["settings"]["vni"], shown["settings"]["ttl"]) == (
        "vxlan", "up", "192.0.2.2", "7", "9")
    # Everything is there again after either daemon has been away.
    def ports():
        return {(row["name"], row["of_port"], row["dp_port"], row["link"]) for row in hosts.cli("port", "list", json=True)}

    before = ports()
    hosts.weft.stop_agent()
    hosts.weft.start_agent()
    wait_for(lambda: f"ports as before: {ports()}", lambda: ports() == before)
    hosts.cli("port", "del", "under", "t2")
    hosts.cli("port", "add", "br0", "t2", "type=gre", "remote=192.0.2.2", "vni=7")
    assert [row["name"] for row in hosts.cli("dp", "ports", json=True)] == ["ul0", "up0", "vm", "t1", "t2"]
    hosts.weft.stop()


def test_tunnel_packets_that_are_not_for_us(lab):
    hosts = Hosts(lab)
    hosts.cli("port", "add", "br0", "t1", "type=vxlan", "remote=192.0.2.2", "vni=5")
    hosts.cli("port", "add", "under", "evil", "type=vhost-user")
    evil = VhostGuest(lab, hosts.weft.vhost_path("evil")).open()
    guest, wire = hosts.guest.packets("eth0"), hosts.remote.packets("eth0")
    ul0 = hosts.mac(hosts.host, "ul0")

    def forged(vni=5, source="192.0.2.2", port=4789):
        return bytes(Ether(dst=ul0, src="02:00:00:00:00:66") / IP(src=source, dst="192.0.2.1")
                     / UDP(sport=50000, dport=port, chksum=0) / (bytes.fromhex("08000000%06x00" % vni) + BACK))

    def expect_drop(send, port, reason):
        before = hosts.drops().get((port, reason), 0)
        send()
        wait_for(lambda: f"{reason} at {port}: {hosts.drops()}", lambda: hosts.drops().get((port, reason), 0) == before + 1)

    # Such a packet is good when it comes by an underlay port, and forged when a guest of that switch sends it.
    wire.send(forged())
    assert guest.receive(accept=lambda f: f[12:14] == BACK[12:14]) == BACK
    for _ in range(2):
        expect_drop(lambda: evil.send(forged()), "evil", "tunnel-from-guest")
    # Ports are found by id and remote.
    expect_drop(lambda: wire.send(forged(vni=6)), "t1", "tunnel-unknown")
    expect_drop(lambda: wire.send(forged(source="192.0.2.3")), "t1", "tunnel-unknown")
    wire.send(forged())
    assert guest.receive(accept=lambda f: f[12:14] == BACK[12:14]) == BACK
    assert not guest.poll(0.2, accept=lambda f: f[12:14] == BACK[12:14])
    hosts.weft.stop()


def test_tunnel_follows_the_kernel(lab):
    hosts = Hosts(lab)
    wire, guest = hosts.remote.packets("eth0"), hosts.guest.packets("eth0")
    hosts.cli("port", "add", "br0", "t1", "type=vxlan", "remote=192.0.2.2", "vni=5")
    # Of br0 only this frame goes into the tunnel: what is counted is counted once.
    hosts.cli("flow", "del", "br0")
    hosts.cli("flow", "add", "br0", "in_port=vm,dl_type=0x88b5,actions=output:t1")
    hosts.wait_ready()

    def arrives(dst):
        guest.send(INNER)
        frame = wire.poll(0.5, accept=lambda f: f.endswith(INNER))
        return frame is not None and Ether(frame).dst == dst

    def is_dropped(reason):
        guest.send(INNER)
        return hosts.drops().get(("vm", reason), 0) > 0

    mac = hosts.mac(hosts.remote, "eth0")
    wait_for("frames by the first next hop", lambda: arrives(mac))
    # The next hop has another address: flows that are there move.
    hosts.host.run("ip", "neigh", "replace", "192.0.2.2", "lladdr", "02:00:00:00:00:77", "dev", "ul0", "nud", "permanent")
    wait_for("frames by the second next hop", lambda: arrives("02:00:00:00:00:77"))
    assert hosts.tunnels()[0]["mac"] == "02:00:00:00:00:77"
    # No way: the reasons of drops, and words.
    hosts.host.run("ip", "addr", "del", "192.0.2.1/24", "dev", "ul0")
    wait_for("a drop without a route", lambda: is_dropped("tunnel-no-route"))
    hosts.host.run("ip", "addr", "add", "192.0.2.1/24", "dev", "ul0")
    wait_for("frames again", lambda: arrives(mac))
    hosts.host.run("ip", "link", "add", "dm0", "type", "veth", "peer", "name", "dm1")
    hosts.host.run("ip", "link", "set", "dm0", "up")
    hosts.host.run("ip", "link", "set", "dm1", "up")
    hosts.host.run("ip", "route", "add", "192.0.2.2/32", "dev", "dm0")
    wait_for("a drop without an underlay", lambda: is_dropped("tunnel-no-underlay"))
    hosts.host.run("ip", "route", "del", "192.0.2.2/32", "dev", "dm0")
    wait_for("frames again", lambda: arrives(mac))
    hosts.host.run("ip", "route", "add", "192.0.2.2/32", "via", "192.0.2.99", "dev", "ul0")
    wait_for("a drop without a neighbour", lambda: is_dropped("tunnel-no-neighbour"), 20)
    assert "192.0.2.99" in hosts.tunnels()[0]["error"]
    hosts.host.run("ip", "route", "del", "192.0.2.2/32", "via", "192.0.2.99")
    wait_for("frames again", lambda: arrives(mac), 20)
    # Headers that nobody needs any more are given up.
    wait_for(lambda: f"one header left: {hosts.cli('dp', 'objects')}",
             lambda: len(hosts.cli("dp", "objects", json=True)) == 1)
    hosts.weft.stop()


def test_tunnel_rules_choose_where_to(lab):
    hosts = Hosts(lab)
    guest = hosts.guest.packets("eth0")
    hosts.remote.run("ip", "addr", "add", "192.0.2.3/24", "dev", "eth0")
    hosts.cli("port", "add", "br0", "t1", "type=vxlan", "remote=flow", "vni=flow")
    hosts.cli("flow", "del", "br0")
    wire = hosts.remote.packets("eth0")
    seen = []
    for remote, vni in (("192.0.2.2", 5), ("192.0.2.3", 0xABCDEF)):
        hosts.cli("flow", "mod", "br0", "in_port=vm,dl_type=0x88b5,actions=drop")
        hosts.cli("flow", "add", "br0",
                  f"in_port=vm,dl_type=0x88b5,actions=set_field:{vni}->tun_id,set_field:{remote}->tun_dst,output:t1")

        def arrives():
            guest.send(INNER)
            frame = wire.poll(0.5, accept=lambda f: f.endswith(INNER))
            packet = frame and Ether(frame)
            return packet and packet[IP].dst == remote and packet[VXLAN].vni == vni

        wait_for(f"a frame at {remote}", arrives)
        seen.append(remote)
    # Packets of a controller's, whoever is asked for first.
    out = INNER.replace(INNER[14:18], b"out!")
    ovs_ofctl(hosts.weft, "packet-out", "br0",
              f"in_port=controller packet={out.hex()} actions=set_field:7->tun_id,set_field:192.0.2.3->tun_dst,output:t1")
    frame = wire.receive(accept=lambda f: f.endswith(out))
    assert (Ether(frame)[IP].dst, Ether(frame)[VXLAN].vni) == ("192.0.2.3", 7)
    # Back: rules see where from.
    hosts.cli("flow", "add", "br0",
              "in_port=t1,tun_id=0xabcdef,tun_src=192.0.2.3,tun_dst=192.0.2.1,actions=output:vm")
    ul0 = hosts.mac(hosts.host, "ul0")
    for source in ("192.0.2.2", "192.0.2.3"):
        wire.send(Ether(dst=ul0, src="02:00:00:00:00:66") / IP(src=source, dst="192.0.2.1")
                  / UDP(sport=50000, dport=4789, chksum=0) / bytes.fromhex("08000000abcdef00")
                  / (BACK + source.encode()))
    assert guest.receive(accept=lambda f: f[12:14] == BACK[12:14]) == BACK + b"192.0.2.3"
    assert not guest.poll(0.2, accept=lambda f: f[12:14] == BACK[12:14])
    assert {row["remote"] for row in hosts.tunnels()} == set(seen)
    hosts.weft.stop()


def test_tunnel_outlives_the_agent(lab):
    hosts = Hosts(lab)
    hosts.kernel_vxlan("192.0.2.2", "192.0.2.1")
    hosts.cli("port", "add", "br0", "t1", "type=vxlan", "remote=192.0.2.2", "vni=5")
    hosts.guest.run("ping", "-c", "2", "-i", "0.2", "-w", "10", "10.0.0.2")
    hosts.weft.kill_agent()
    hosts.guest.run("ping", "-c", "2", "-i", "0.2", "-w", "10", "10.0.0.2")
    hosts.weft.start_agent()
    hosts.guest.run("ping", "-c", "2", "-i", "0.2", "-w", "10", "10.0.0.2")
    wait_for("rules are complete", lambda: hosts.cli("stats", json=True)["datapath"]["rules_complete"])
    # The header that was there serves on, or has made way for its like.
    wait_for(lambda: f"one header: {hosts.cli('dp', 'objects')}",
             lambda: len(hosts.cli("dp", "objects", json=True)) == 1)
    hosts.guest.run("ping", "-c", "2", "-i", "0.2", "-w", "10", "10.0.0.2")
    # A new datapath gets all of it anew; the guests' interfaces are new ones.
    hosts.weft.kill_datapath()
    hosts.weft.start_datapath()
    hosts.wait_ready()
    wait_for("the guest is there", lambda: "10.0.0.1" in hosts.guest.run("ip", "addr", "show", "dev", "eth0", check=False))
    hosts.guest.run("ping", "-c", "2", "-i", "0.2", "-w", "20", "10.0.0.2")
    hosts.weft.stop()


def test_packets_too_long_for_a_tunnel(lab):
    hosts = Hosts(lab)
    hosts.kernel_vxlan("192.0.2.2", "192.0.2.1")
    hosts.cli("port", "add", "br0", "t1", "type=vxlan", "remote=192.0.2.2", "vni=5")
    hosts.guest.run("ping", "-c", "1", "-w", "10", "10.0.0.2")

    def ping(*arguments):
        return hosts.guest.run("ping", "-c", "1", "-W", "1", "-s", "1472", *arguments, "10.0.0.2", check=False)

    # 1500 bytes and 50 of headers do not fit.
    wait_for("a drop", lambda: "100% packet loss" in ping("-M", "do") and hosts.drops().get(("vm", "encap-too-long")))
    # In outer fragments they do; the remote's kernel puts them together.
    hosts.cli("port", "set", "t1", "too-long=fragment", "df=no")
    wait_for("an answer to a long packet", lambda: " 0% packet loss" in ping("-M", "do"))
    # Or the sender is told how long they may be, and believes it.
    hosts.cli("port", "set", "t1", "too-long=icmp", "df=yes")
    wait_for("the sender knows", lambda: ping("-M", "do") and "mtu 1450" in hosts.guest.run("ip", "route", "get", "10.0.0.2"))
    hosts.guest.run("ping", "-c", "1", "-w", "10", "-M", "do", "-s", "1422", "10.0.0.2")
    assert hosts.cli("stats", json=True)["agent"]["too_long_answered"] >= 1
    # Rules that ask for the tunnel's fields let the answer through too.
    hosts.guest.run("ip", "route", "flush", "cache")
    hosts.cli("port", "set", "t1", "remote=flow", "vni=flow")
    hosts.cli("flow", "del", "br0")
    hosts.cli("flow", "add", "br0", "in_port=vm,actions=set_field:5->tun_id,set_field:192.0.2.2->tun_dst,output:t1")
    hosts.cli("flow", "add", "br0", "in_port=t1,tun_id=5,tun_src=192.0.2.2,tun_dst=192.0.2.1,actions=output:vm")
    wait_for("the sender does not know", lambda: "mtu" not in hosts.guest.run("ip", "route", "get", "10.0.0.2"))
    wait_for("the sender knows", lambda: ping("-M", "do") and "mtu 1450" in hosts.guest.run("ip", "route", "get", "10.0.0.2"))
    hosts.weft.stop()

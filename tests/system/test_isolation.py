# SPDX-License-Identifier: Apache-2.0
"""A guest that does its worst reaches nobody outside its tenant.

    forger (VLAN 10) ---+
    mate   (VLAN 10) ---+-- [br0] --- t1 (VNI 5001, VLAN 10)  :
    other  (VLAN 20) ---+        +--- t2 (VNI 5002, VLAN 20)  :
                                                              :
    squatter --- [under] ul0 192.0.2.1                 192.0.2.2 eth0, the other host
                    +--- up0 (underlay=yes) ---------------------+
"""

from lab import Netns, VhostGuest, Weft, wait_for
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN

OWN, OTHER, FORGED, SQUATTER = (f"02:00:00:00:00:{number:02x}" for number in (1, 2, 3, 4))
EVERYBODY = "ff:ff:ff:ff:ff:ff"
HERE, THERE = "192.0.2.1", "192.0.2.2"
RED, BLUE, NOBODYS = 5001, 5002, 5003


def eth(src=OWN, dst=EVERYBODY):
    return Ether(src=src, dst=dst)


def ip(src="10.0.0.1", dst="10.0.0.3"):
    return IP(src=src, dst=dst) / UDP(sport=1, dport=2) / bytes(20)


def vxlan(vni, inner, src, dst, eth_src, eth_dst):
    return Ether(src=eth_src, dst=eth_dst) / IP(src=src, dst=dst) / UDP(sport=50000, dport=4789, chksum=0) / VXLAN(vni=vni) / inner


class Site:
    def __init__(self, lab):
        self.host, self.remote = Netns(lab, "host"), Netns(lab, "far")
        self.weft = Weft(lab, netns=self.host.name).start()
        cli = self.weft.cli
        cli("switch", "add", "under")
        cli("port", "add", "under", "ul0", "type=internal", f"ip={HERE}/24")
        cli("port", "add", "under", "up0", "type=veth", f"netns={self.remote.name}", "ifname=eth0", f"ip={THERE}/24",
            "underlay=yes")
        cli("port", "add", "under", "squatter", "type=vhost-user")
        cli("switch", "add", "br0")
        cli("port", "add", "br0", "forger", "type=vhost-user", "tag=10", f"allow={OWN}/10.0.0.1,{OWN}/fd00::1")
        for name, tag in (("mate", 10), ("other", 20)):
            cli("port", "add", "br0", name, "type=vhost-user", f"tag={tag}")
        for name, tag, vni in (("t1", 10, RED), ("t2", 20, BLUE)):
            cli("port", "add", "br0", name, "type=vxlan", f"remote={THERE}", f"vni={vni}", f"tag={tag}")
        self.guests = {name: VhostGuest(lab, self.weft.vhost_path(name)).open()
                       for name in ("forger", "mate", "other", "squatter")}
        self.wire = self.remote.packets("eth0")
        wait_for(lambda: f"a way to the other host: {cli('tunnel', 'list')}",
                 lambda: {row["state"] for row in cli("tunnel", "list", json=True)} == {"ready"}, 20)
        self.mac = self.host.run("cat", "/sys/class/net/ul0/address").strip()
        self.far_mac = self.remote.run("cat", "/sys/class/net/eth0/address").strip()

    def dropped(self, port, reason):
        return sum(row["packets"] for row in self.weft.cli("drops", port, json=True) if row["reason"] == reason)

    def send(self, name, packets, port, reason):
        """All of them, each of which is lost for that reason at that port."""
        before, n = self.dropped(port, reason), 0
        for packet in packets:
            self.guests[name].send(packet)
            n += 1
            if n % 32 == 0:  # no more at once than wait for the agent's answer
                wait_for(lambda: f"{n} {reason}, not {self.dropped(port, reason) - before}",
                         lambda: self.dropped(port, reason) == before + n, 20)
        wait_for(lambda: f"{n} {reason}, not {self.dropped(port, reason) - before}",
                 lambda: self.dropped(port, reason) == before + n, 20)

    def outside(self):
        """What has come out for the other tenant: to its guest, and in its VNI."""
        found = [frame for frame in iter(self.guests["other"].poll, None)]
        while (frame := self.wire.poll()) is not None:
            packet = Ether(frame)
            if VXLAN in packet and packet[VXLAN].vni != RED:
                found.append(frame)
        return found


def test_a_guest_reaches_nobody_outside_its_tenant(lab):
    site = Site(lab)
    own = bytes(eth() / ip())
    site.guests["forger"].send(own)
    assert site.guests["mate"].receive(accept=lambda frame: frame == own) == own
    red = site.wire.receive(accept=lambda frame: VXLAN in Ether(frame) and frame.endswith(own))
    assert Ether(red)[VXLAN].vni == RED

    # Tags of every VLAN, the other tenant's included, and of both kinds.
    site.send("forger", (eth() / Dot1Q(vlan=vid) / ip() for vid in range(1, 4096)), "forger", "vlan-not-allowed")
    site.send("forger", (eth() / Dot1AD(vlan=vid) / ip() for vid in (1, 10, 20, 4094)), "forger", "vlan-not-allowed")
    site.send("forger", (eth() / Dot1AD(vlan=20) / Dot1Q(vlan=20) / ip() for _ in range(2)), "forger", "vlan-not-allowed")
    # The addresses of others.
    site.send("forger", [
        eth(src=FORGED) / ip(),
        eth(src=OTHER) / ip(src="10.0.0.3"),
        eth() / ip(src="10.0.0.3"),
        eth() / ARP(op=2, hwsrc=OWN, psrc="10.0.0.3", hwdst=OTHER, pdst="10.0.0.3"),
        eth() / ARP(op=2, hwsrc=OTHER, psrc="10.0.0.1", hwdst=OTHER, pdst="10.0.0.3"),
        eth() / IPv6(src="fd00::1", dst="ff02::1") / ICMPv6ND_NA(tgt="fd00::3") / ICMPv6NDOptDstLLAddr(lladdr=OWN),
        eth() / IPv6(src="fd00::3", dst="ff02::1") / UDP(sport=1, dport=2),
    ], "forger", "source-not-allowed")
    # Tunnel packets, as if from the other host: by a guest of the underlay switch they are dropped,
    inner = Ether(src=OTHER, dst=EVERYBODY) / ip()
    site.send("squatter", [vxlan(vni, inner, THERE, HERE, SQUATTER, site.mac) for vni in (RED, BLUE, NOBODYS, 0)],
              "squatter", "tunnel-from-guest")
    # by a guest of the overlay they are packets as any other, and stay what they are.
    frame = bytes(vxlan(BLUE, inner, "10.0.0.1", HERE, OWN, site.mac))
    site.guests["forger"].send(frame)
    assert site.guests["mate"].receive(accept=lambda got: got == frame) == frame
    red = site.wire.receive(accept=lambda got: VXLAN in Ether(got) and got.endswith(frame))
    assert Ether(red)[VXLAN].vni == RED
    # And the other host cannot invent a network.
    before = site.dropped("t1", "tunnel-unknown") + site.dropped("t2", "tunnel-unknown") + site.dropped("ul0", "tunnel-unknown")
    site.wire.send(vxlan(NOBODYS, inner, THERE, HERE, site.far_mac, site.mac))
    wait_for("the drop of an unknown VNI", lambda: sum(
        row["packets"] for row in site.weft.cli("drops", json=True) if row["reason"] == "tunnel-unknown") == before + 1)
    assert site.outside() == []
    # The other tenant's packets, for comparison, are seen there.
    site.wire.send(vxlan(BLUE, inner, THERE, HERE, site.far_mac, site.mac))
    assert site.guests["other"].receive(accept=lambda got: got == bytes(inner)) == bytes(inner)
    site.weft.stop()

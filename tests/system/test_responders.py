# SPDX-License-Identifier: Apache-2.0
"""Rules that answer in the place of others, as Neutron's agents install them.

    guest a --- vhost-user a --- [br0] --- vhost-user b --- guest b
"""

from lab import VhostGuest, Weft, ovs_ofctl
from scapy.layers.l2 import ARP, Ether

EVERYBODY, GATEWAY = "ff:ff:ff:ff:ff:ff", "02:00:00:00:00:fe"
# What Neutron's Open vSwitch agent writes into br-tun for each address of another host.
ARP_RESPONDER = (
    "table=21,priority=1,arp,dl_vlan=7,arp_tpa=10.0.0.254 "
    "actions=load:0x2->NXM_OF_ARP_OP[],move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[],"
    "move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[],load:0x0200000000fe->NXM_NX_ARP_SHA[],"
    "load:0x0a0000fe->NXM_OF_ARP_SPA[],move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],"
    "mod_dl_src:02:00:00:00:00:fe,strip_vlan,IN_PORT"
)


def test_arp_responder(lab):
    """Asked by ARP the switch answers, byte for byte, whoever asks; other questions go on to the other guest."""
    weft = Weft(lab).start()
    weft.cli("switch", "add", "br0", "fail-mode=secure")
    for name in "ab":
        weft.cli("port", "add", "br0", name, "type=vhost-user")
    a, b = (VhostGuest(lab, weft.vhost_path(name)).open() for name in "ab")
    ovs_ofctl(weft, "add-flow", "br0", "table=0,in_port=1,actions=mod_vlan_vid:7,resubmit(,21)")
    ovs_ofctl(weft, "add-flow", "br0", ARP_RESPONDER)
    ovs_ofctl(weft, "add-flow", "br0", "table=21,priority=0,dl_vlan=7,actions=strip_vlan,output:2")
    for number in range(1, 5):
        mac, address = f"02:00:00:00:00:{number:02x}", f"10.0.0.{number}"
        for _ in range(2):  # the first is translated, the second meets the flow
            a.send(Ether(src=mac, dst=EVERYBODY) / ARP(op=1, hwsrc=mac, psrc=address, pdst="10.0.0.254"))
            answer = ARP(op=2, hwsrc=GATEWAY, psrc="10.0.0.254", hwdst=mac, pdst=address)
            assert a.receive() == bytes(Ether(src=GATEWAY, dst=mac) / answer)
        asked = Ether(src=mac, dst=EVERYBODY) / ARP(op=1, hwsrc=mac, psrc=address, pdst="10.0.0.7")
        a.send(asked)
        assert b.receive() == bytes(asked)
    assert a.poll() is None and b.poll() is None
    weft.stop()

# SPDX-License-Identifier: Apache-2.0
"""A guest, a namespace and the host talk through one switch.

      QEMU guest           namespace            the host (a namespace of its own here)
      10.0.0.1             10.0.0.2             10.0.0.3
          | vhost-user vm      | veth ns            | internal br0
    +-----+--------------------+--------------------+-----+
    |                   switch br0, NORMAL                |
    +-----------------------------------------------------+

The kernel's offloads stay as they are by default: checksums are partial and TCP comes in segments of
64 KiB, which the guest, with no offloads, must never see.
"""

import hashlib
import os
import socket
import threading

import pytest
from lab import Netns, Nic, QemuGuest, Weft, ovs_ofctl, wait_for

SIZE = 10 << 20
SEED = 4096
PORT = 5001
VM_MAC = "52:54:00:00:00:01"


class Host:
    """An end in a namespace: plain sockets of the kernel there."""

    def __init__(self, netns, ifname, address):
        self.netns = netns
        self.ifname = ifname
        self.address = address
        self.data = b""

    def make(self, data):
        self.data = data

    def serve(self):
        listener = self.netns.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.settimeout(30)
        listener.bind((self.address, PORT))
        listener.listen(1)
        self.digest = hashlib.sha256()
        self.thread = threading.Thread(target=self._receive, args=[listener], daemon=True)
        self.thread.start()

    def _receive(self, listener):
        with listener, listener.accept()[0] as connection:
            connection.settimeout(60)
            while data := connection.recv(1 << 16):
                self.digest.update(data)

    def received(self):
        self.thread.join(120)
        assert not self.thread.is_alive()
        return self.digest.hexdigest()

    def send(self, address):
        with self.netns.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
            connection.settimeout(60)
            connection.connect((address, PORT))
            connection.sendall(self.data)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""


class Guest:
    """The same for the QEMU guest."""

    def __init__(self, guest, address):
        self.guest = guest
        self.address = address

    def make(self, data):
        # Made in the guest: the console is too slow for 10 MB. The seed is ours.
        self.guest.put("/tmp/seed", data[:SEED])
        self.guest.run(f"for i in $(seq {SIZE // SEED}); do cat /tmp/seed; done >/tmp/out", timeout=60)

    def serve(self):
        self.log = self.guest.receive_tcp(PORT)

    def received(self):
        self.guest.wait(self.log, 120)
        return self.guest.run("sha256sum /tmp/received", timeout=60).split()[0]

    def send(self, address):
        self.guest.send_tcp(address, PORT, "/tmp/out")


@pytest.fixture
def ends(lab):
    weft = Weft(lab).start()
    space, host_space = Netns(lab, "ns"), Netns(lab, "host")
    weft.cli("switch", "add", "br0")
    weft.cli("port", "add", "br0", "vm", "type=vhost-user")
    name = f"v{lab.id}"
    weft.cli("port", "add", "br0", name, "type=veth", f"netns={space.name}", "ifname=eth0", "ip=10.0.0.2/24")
    weft.cli("port", "add", "br0", f"i{lab.id}", "type=internal", f"netns={host_space.name}", "ip=10.0.0.3/24")
    guest = QemuGuest(lab, "vm", [Nic(weft.vhost_path("vm"), VM_MAC)], ip="10.0.0.1/24").boot()
    yield {
        "weft": weft,
        "guest": Guest(guest, "10.0.0.1"),
        "namespace": Host(space, "eth0", "10.0.0.2"),
        "host": Host(host_space, f"i{lab.id}", "10.0.0.3"),
        "veth": name,
        "internal": f"i{lab.id}",
    }
    weft.stop()


PAIRS = [(a, b) for a in ("guest", "namespace", "host") for b in ("guest", "namespace", "host") if a != b]


def test_tcp_transfer_between_all_pairs_arrives_unchanged(lab, ends):
    for source, target in PAIRS:
        data = os.urandom(SEED) * (SIZE // SEED)
        ends[source].make(data)
        ends[target].serve()
        ends[source].send(ends[target].address)
        assert ends[target].received() == hashlib.sha256(data).hexdigest(), (source, target)


TAGS = {
    "8100": bytes.fromhex("8100200a"),
    "88a8": bytes.fromhex("88a8300b"),
    "both": bytes.fromhex("88a8300b8100200a"),
}


@pytest.mark.parametrize("tags", TAGS.values(), ids=TAGS.keys())
def test_tagged_frames_arrive_byte_for_byte(lab, ends, tags):
    """Each end sends a frame to a group address; both others must see just these bytes."""
    ports = {name: ends[name].netns.packets(ends[name].ifname) for name in ("namespace", "host")}
    guest = ends["guest"].guest
    for number, source in enumerate(("guest", "namespace", "host")):
        head = bytes.fromhex("0300000000ff") + bytes([2, 0, 0, 0, 0, number])
        frame = head + tags + bytes.fromhex("9000") + bytes([number]) * 60
        output = None
        if source != "guest":
            output = guest.start("frames recv eth0 5 1000")
            guest.run("usleep 300000")
            ports[source].send(frame)
        else:
            guest.run(f"frames send eth0 {frame.hex()}")
        for name, port in ports.items():
            if name != source:
                assert port.receive(accept=lambda seen: seen[:12] == head) == frame
        if output:
            wait_for("the frame in the guest",
                     lambda: frame.hex() in guest.run(f"cat {output}"), 6, 0.2)
            guest.run(f"kill $(cat {output}.pid)", check=False)


def test_link_down_of_a_peer_is_told_by_port_status(lab, ends):
    weft, netns = ends["weft"], ends["namespace"].netns
    monitor = lab.start("monitor", ["ovs-ofctl", "-v", "-O", "OpenFlow13", "monitor",
                                    f"unix:{weft.rundir}/br0.mgmt", "65535"],
                        env={"OVS_RUNDIR": str(lab.dir)}, expect=None)
    monitor.wait_log("received: OFPT_BARRIER_REPLY")
    assert "LINK_DOWN" not in ovs_ofctl(weft, "dump-ports-desc", "br0").split(ends["veth"])[1].split("speed")[0]
    netns.run("ip", "link", "set", "eth0", "down")
    monitor.wait_log("OFPT_PORT_STATUS", 5)
    wait_for("LINK_DOWN in the port's description",
             lambda: "LINK_DOWN" in ovs_ofctl(weft, "dump-ports-desc", "br0").split(ends["veth"])[1].split("speed")[0])
    netns.run("ip", "link", "set", "eth0", "up")
    wait_for("the link up again", lambda: "LINK_DOWN" not in
             ovs_ofctl(weft, "dump-ports-desc", "br0").split(ends["veth"])[1].split("speed")[0])

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

import pytest
from lab import Netns, Nic, QemuGuest, Weft, ovs_ofctl, wait_for

SIZE = 10 << 20
VM_MAC = "52:54:00:00:00:01"


class Host:
    """An end that runs shell commands: a namespace."""

    def __init__(self, lab, netns, ifname, address):
        self.lab = lab
        self.netns = netns
        self.ifname = ifname
        self.address = address

    def serve(self, path):
        """Listens and writes what comes to path."""
        self.server = self.netns.start("/bin/busybox", "sh", "-c", f"exec busybox nc -l -p 5001 >{path}")
        wait_for("the listener", lambda: ":5001" in self.netns.run("ss", "-ltn"), 5)

    def received(self, path):
        self.server.wait(60)
        return hashlib.sha256(open(path, "rb").read()).hexdigest()

    def send(self, path, address):
        self.netns.run("/bin/busybox", "sh", "-c", f"busybox nc {address} 5001 <{path}", timeout=60)

    def make(self, path, data):
        with open(path, "wb") as file:
            file.write(data)


class Guest:
    """The same for the QEMU guest."""

    def __init__(self, guest, address):
        self.guest = guest
        self.address = address

    def serve(self, path):
        self.output = self.guest.start(f"nc -l -p 5001 >{path}")
        self.guest.run("until netstat -ltn | grep -q :5001; do usleep 10000; done")
        self.path = path

    def received(self, path):
        self.guest.wait(self.output, 120)
        return self.guest.run(f"sha256sum {path}", timeout=60).split()[0]

    def send(self, path, address):
        self.guest.run(f"nc {address} 5001 <{path}", timeout=120)

    def make(self, path, data):
        # Made in the guest: the console is too slow for 10 MB. The seed is ours.
        self.guest.put("/tmp/seed", data[:4096])
        self.guest.run(f"for i in $(seq {SIZE // 4096}); do cat /tmp/seed; done >{path}", timeout=60)


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
        "namespace": Host(lab, space, "eth0", "10.0.0.2"),
        "host": Host(lab, host_space, f"i{lab.id}", "10.0.0.3"),
        "veth": name,
        "internal": f"i{lab.id}",
    }
    weft.stop()


PAIRS = [(a, b) for a in ("guest", "namespace", "host") for b in ("guest", "namespace", "host") if a != b]


def test_tcp_transfer_between_all_pairs_arrives_unchanged(lab, ends):
    for source, target in PAIRS:
        data = os.urandom(4096) * (SIZE // 4096)
        from_path = "/tmp/out" if source == "guest" else str(lab.dir / "out")
        to_path = "/tmp/in" if target == "guest" else str(lab.dir / "in")
        ends[source].make(from_path, data)
        ends[target].serve(to_path)
        ends[source].send(from_path, ends[target].address)
        assert ends[target].received(to_path) == hashlib.sha256(data).hexdigest(), (source, target)


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
    monitor = lab.start("monitor", ["ovs-ofctl", "-O", "OpenFlow13", "monitor", f"unix:{weft.rundir}/br0.mgmt"],
                        env={"OVS_RUNDIR": str(lab.dir)}, expect=None)
    wait_for("the monitor's control socket", lambda: list(lab.dir.glob("ovs-ofctl.*.ctl")))
    assert "LINK_DOWN" not in ovs_ofctl(weft, "dump-ports-desc", "br0").split(ends["veth"])[1].split("speed")[0]
    netns.run("ip", "link", "set", "eth0", "down")
    monitor.wait_log("PORT_STATUS", 5)
    wait_for("LINK_DOWN in the port's description",
             lambda: "LINK_DOWN" in ovs_ofctl(weft, "dump-ports-desc", "br0").split(ends["veth"])[1].split("speed")[0])
    netns.run("ip", "link", "set", "eth0", "up")
    wait_for("the link up again", lambda: "LINK_DOWN" not in
             ovs_ofctl(weft, "dump-ports-desc", "br0").split(ends["veth"])[1].split("speed")[0])

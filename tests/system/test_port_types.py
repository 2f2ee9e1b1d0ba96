# SPDX-License-Identifier: Apache-2.0
"""Port types that are neither guests nor pairs: tap, af-xdp, memif, pcap, null; options that all types have.

    guest a --- a --- switch br0 --- port of the type --- what is behind it
                            |
    guest b --- b ----------+
"""

import hashlib
import json
import os

import pytest
from lab import Netns, VhostGuest, Weft, ovs_ofctl, wait_for
from lab.net import PacketPort
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import PcapReader, PcapWriter

A, B = "02:00:00:00:00:01", "02:00:00:00:00:02"
OURS = bytes.fromhex("020000000001")


def frame(number, size=40, tags=b""):
    packet = bytes(Ether(dst=B, src=A) / IP(src="10.0.0.1", dst="10.0.0.2", id=number) / UDP(sport=1, dport=2) / bytes(size))
    return packet[:12] + tags + packet[12:]


def is_ours(seen):
    return seen[6:12] == OURS


def link(lab, name, netns=None):
    """What the kernel says of an interface; None: there is none."""
    argv = ["ip", "-j", "-d", "link", "show", "dev", name]
    out = netns.run(*argv, check=False) if netns else lab.run(argv, check=False)
    return json.loads(out)[0] if out.startswith("[") else None


def shown(weft, name):
    return next(p for p in weft.cli("port", "list", json=True) if p["name"] == name)


def add_guest(weft, lab, name, number, **options):
    weft.cli("port", "add", "br0", name, "type=vhost-user", f"of-port={number}")
    return VhostGuest(lab, weft.vhost_path(name), **options).open()


@pytest.fixture
def switch(weft):
    """Port N goes to port N + 1 for odd N, and back."""
    weft.cli("switch", "add", "br0", "fail-mode=secure")
    for number in (1, 3, 5):
        weft.cli("flow", "add", "br0", f"in_port={number},actions=output:{number + 1}")
        weft.cli("flow", "add", "br0", f"in_port={number + 1},actions=output:{number}")
    return weft


def exchange(guest, port):
    """Frames both ways; the first may be lost while a link comes up."""
    def passes(source, target):
        source.send(frame(0))
        return target.poll(0.5, accept=is_ours) == frame(0)

    wait_for("a frame from the guest", lambda: passes(guest, port), 20)
    wait_for("a frame to the guest", lambda: passes(port, guest), 20)
    for source, target in ((guest, port), (port, guest)):
        while target.poll(0.2):
            pass
        for number, tags in enumerate((b"", bytes.fromhex("8100200a"), bytes.fromhex("88a8300b8100200a")), 1):
            source.send(frame(number, 100 * number, tags))
            assert target.receive(accept=is_ours) == frame(number, 100 * number, tags)


# --- tap ------------------------------------------------------------------------------------------------


def test_tap_carries_frames_and_is_adopted_and_removed(switch, lab):
    name, space = f"t{lab.id}", Netns(lab, "ns")
    guest = add_guest(switch, lab, "a", 1)
    switch.cli("port", "add", "br0", "tap", "type=tap", f"ifname={name}", f"netns={space.name}", "ip=10.9.0.1/24",
               "of-port=2")
    kernel = link(lab, name, space)
    assert kernel["linkinfo"]["info_kind"] == "tun" and kernel["linkinfo"]["info_data"]["type"] == "tap"
    assert kernel["ifalias"] == f"weft:{os.path.realpath(switch.rundir)}:tap"
    assert shown(switch, "tap")["mac"] == kernel["address"] and shown(switch, "tap")["link"] == "up"
    assert "10.9.0.1/24" in space.run("ip", "-o", "addr", "show", name)
    exchange(guest, space.packets(name))

    space.run("ip", "addr", "add", "10.9.1.1/24", "dev", name)
    switch.kill_datapath()
    assert link(lab, name, space)["ifindex"] == kernel["ifindex"]
    switch.start_datapath()
    wait_for("the port again", lambda: shown(switch, "tap")["link"] == "up")
    assert link(lab, name, space)["ifindex"] == kernel["ifindex"]
    assert "10.9.1.1/24" in space.run("ip", "-o", "addr", "show", name)
    guest.close()
    exchange(guest.open(), space.packets(name))

    switch.cli("port", "del", "br0", "tap")
    assert link(lab, name, space) is None


def test_tap_of_the_host_follows_mtu_and_admin_state(switch, lab):
    name = f"t{lab.id}"
    switch.cli("port", "add", "br0", name, "type=tap", "mtu=1400")
    assert link(lab, name)["mtu"] == shown(switch, name)["mtu"] == 1400
    switch.cli("port", "set", name, "mtu=9000")
    assert link(lab, name)["mtu"] == shown(switch, name)["mtu"] == 9000
    switch.cli("port", "set", name, "admin=down")
    wait_for("no carrier", lambda: "NO-CARRIER" in link(lab, name)["flags"])
    wait_for("the link down", lambda: shown(switch, name)["link"] == "down")
    switch.cli("port", "set", name, "admin=up")
    wait_for("the carrier", lambda: "LOWER_UP" in link(lab, name)["flags"])
    wait_for("the link", lambda: shown(switch, name)["link"] == "up")
    lab.run(["ip", "link", "set", name, "down"])
    wait_for("the link down", lambda: shown(switch, name)["link"] == "down")
    switch.stop()
    assert link(lab, name) is None


def test_tap_leaves_interfaces_of_others_alone(switch, lab):
    other = f"o{lab.id}"
    lab.run(["ip", "tuntap", "add", other, "mode", "tap"])
    lab.defer(lambda: lab.run(["ip", "link", "del", other], check=False))
    before = link(lab, other)["ifindex"]
    assert "exists already" in switch.cli_fails("port", "add", "br0", "t", "type=tap", f"ifname={other}")
    assert link(lab, other)["ifindex"] == before


def test_tap_takes_segments_and_partial_checksums_both_ways(switch, lab):
    """TCP between two taps: the kernel keeps its offloads, and hands over 64 KiB at a time."""
    spaces = [Netns(lab, stem) for stem in ("one", "two")]
    for number, space in enumerate(spaces, 1):
        switch.cli("port", "add", "br0", f"t{number}", "type=tap", f"ifname=t{number}", f"netns={space.name}",
                   f"ip=10.9.0.{number}/24", f"of-port={number}")
    data = os.urandom(4096) * 1024
    receiver = spaces[1].start("/usr/bin/python3", "-c", """
import hashlib, socket
s = socket.create_server(("10.9.0.2", 5001)); s.settimeout(30)
print("listening", flush=True)
c, d = s.accept()[0], hashlib.sha256()
while b := c.recv(65536): d.update(b)
print(d.hexdigest(), flush=True)
""", name="receiver")
    receiver.wait_log("listening")
    spaces[0].run("/usr/bin/python3", "-c", f"""
import hashlib, socket
data = bytes.fromhex("{data[:4096].hex()}") * 1024
c = socket.create_connection(("10.9.0.2", 5001), 30)
c.sendall(data); c.shutdown(socket.SHUT_WR); c.recv(1)
""")
    receiver.wait_log(hashlib.sha256(data).hexdigest())
    # Far fewer packets than there are MTUs of data: they came as segments to be cut.
    assert shown(switch, "t1")["rx_packets"] < len(data) / 1448 / 2


def test_bond_of_two_taps_fails_over(switch, lab):
    guest = add_guest(switch, lab, "a", 1)
    names = [f"{n}t{lab.id}" for n in "xy"]
    for name in names:
        switch.cli("port", "add", "br0", name, "type=tap", f"of-port={8 + names.index(name)}")
    switch.cli("port", "add", "br0", "bond", "type=bond", f"members={','.join(names)}", "of-port=2")
    ends = [PacketPort(lab, name) for name in names]
    exchange(guest, ends[0])
    lab.run(["ip", "link", "set", names[0], "down"])
    sent = 0
    while ends[1].poll(0.005, accept=is_ours) is None:
        guest.send(frame(sent))
        sent += 1
        assert sent < 2000
    exchange(guest, ends[1])
    assert switch.cli("port", "show", "bond", json=True)["active"] == [names[1]]


# --- DPDK's ------------------------------------------------------------------------------------------------


def test_af_xdp_on_an_interface(switch, lab):
    name, space = f"x{lab.id}", Netns(lab, "ns")
    space.veth("eth0", name)
    lab.defer(lambda: lab.run(["ip", "link", "del", name], check=False))
    lab.run(["ip", "link", "set", name, "up"])
    guest = add_guest(switch, lab, "a", 1)
    switch.cli("port", "add", "br0", "x", "type=af-xdp", f"ifname={name}", "of-port=2")
    assert shown(switch, "x")["peer"] == f"ifname={name}"
    port = space.packets("eth0")

    def passes(source, target):
        source.send(frame(7))
        return target.poll(0.5, accept=is_ours) == frame(7)

    # No tags: the kernel takes them off before XDP sees a frame of a veth.
    wait_for("a frame from the guest", lambda: passes(guest, port), 20)
    wait_for("a frame to the guest", lambda: passes(port, guest), 20)
    switch.cli("port", "del", "br0", "x")
    assert link(lab, name)["operstate"] == "UP"


def test_memif_between_two_ports(switch, lab):
    guests = [add_guest(switch, lab, "a", 1), add_guest(switch, lab, "b", 3)]
    path = lab.dir / "memif.sock"
    switch.cli("port", "add", "br0", "m1", "type=memif", f"socket={path}", "id=5", "of-port=2")
    switch.cli("port", "add", "br0", "m2", "type=memif", f"socket={path}", "id=5", "role=client", "of-port=4")
    wait_for("the link", lambda: shown(switch, "m1")["link"] == shown(switch, "m2")["link"] == "up")
    exchange(*guests)
    switch.cli("port", "del", "br0", "m2")
    wait_for("the link down", lambda: shown(switch, "m1")["link"] == "down")
    switch.cli("port", "del", "br0", "m1")
    assert not path.exists()


def test_memifs_share_a_socket_by_id(switch, lab):
    guests = [add_guest(switch, lab, "a", 1), add_guest(switch, lab, "b", 3)]
    path = lab.dir / "memif.sock"
    for number, name in ((2, "s1"), (4, "s2")):
        switch.cli("port", "add", "br0", name, "type=memif", f"socket={path}", f"id={number}", f"of-port={number}")
    switch.cli("port", "add", "br0", "c2", "type=memif", f"socket={path}", "id=4", "role=client", "of-port=5")
    switch.cli("flow", "add", "br0", "in_port=5,actions=output:1")
    wait_for("the link", lambda: shown(switch, "s2")["link"] == shown(switch, "c2")["link"] == "up")
    assert shown(switch, "s1")["link"] == "down"

    def passes():
        guests[1].send(frame(1))
        return guests[0].poll(0.5, accept=is_ours) == frame(1)

    wait_for("a frame by s2 and c2", passes, 20)
    # The socket is there as long as one of them listens on it.
    switch.cli("port", "del", "br0", "s2")
    switch.cli("port", "del", "br0", "c2")
    assert path.exists()
    switch.cli("port", "del", "br0", "s1")
    assert not path.exists()


def test_memif_needs_a_path_that_is_free(switch, lab):
    taken = lab.dir / "file"
    taken.write_text("not a socket")
    assert "not a socket" in switch.cli_fails("port", "add", "br0", "m", "type=memif", f"socket={taken}")
    assert taken.read_text() == "not a socket"


def test_pcap_plays_and_records(switch, lab):
    played, recorded = lab.dir / "in.pcap", lab.dir / "out.pcap"
    frames = [frame(number, 10 * number) for number in range(1, 31)]  # as many as wait while their flow is set up
    with PcapWriter(str(played), linktype=1, sync=True) as writer:
        for data in frames:
            writer.write(Ether(data))
    guest = add_guest(switch, lab, "a", 1)
    switch.cli("port", "add", "br0", "p", "type=pcap", f"rx={played}", f"tx={recorded}", "of-port=2", "admin=down")
    assert guest.poll(0.3) is None
    switch.cli("port", "set", "p", "admin=up")
    assert [guest.receive() for _ in frames] == frames
    assert shown(switch, "p")["rx_packets"] == len(frames)
    for data in frames[:10]:
        guest.send(data)
    wait_for("the port to send", lambda: shown(switch, "p")["tx_packets"] == 10)
    switch.cli("port", "del", "br0", "p")
    with PcapReader(str(recorded)) as reader:
        assert [bytes(packet) for packet in reader] == frames[:10]


def test_null_takes_all_and_sends_nothing(switch, lab):
    guest = add_guest(switch, lab, "a", 1)
    switch.cli("port", "add", "br0", "n", "type=null", "of-port=2")
    for number in range(50):
        guest.send(frame(number))
    wait_for("the port to take them", lambda: shown(switch, "n")["tx_packets"] == 50)
    assert guest.poll(0.2) is None and shown(switch, "n")["rx_packets"] == 0


# --- options ----------------------------------------------------------------------------------------------


def drops(weft, port):
    return {row["reason"]: row["packets"] for row in weft.cli("drops", port, json=True)}


@pytest.mark.parametrize("kind", ["vhost-user", "null", "veth"])
def test_mtu_bounds_what_is_sent(switch, lab, kind):
    """Two tags and an Ethernet header besides; what is longer drops as tx-too-long, to the byte."""
    guest = add_guest(switch, lab, "a", 1)
    name = f"p{lab.id}"
    switch.cli("port", "add", "br0", name, f"type={kind}", "mtu=600", "of-port=2")
    other = VhostGuest(lab, switch.vhost_path(name)).open() if kind == "vhost-user" else None
    wait_for("the link", lambda: shown(switch, name)["link"] == "up")
    fits = frame(1, 600 - 28)
    assert len(fits) == 614
    # IPv6's own frames may go out of a veth besides.
    sent = lambda: shown(switch, name)["tx_packets"]
    wait_for("the first one", lambda: guest.send(fits) or sent() >= 1)
    before = sent()
    guest.send(fits)
    wait_for("the frame that fits", lambda: sent() == before + 1)
    guest.send(frame(2, 600 - 28 + 9))
    wait_for("the drop", lambda: drops(switch, name).get("tx-too-long") == 1)
    switch.cli("port", "set", name, "mtu=700")
    guest.send(frame(3, 600 - 28 + 9))
    wait_for("the frame that fits now", lambda: sent() == before + 2)
    assert drops(switch, name) == {"tx-too-long": 1}
    if other:
        assert {len(seen) for seen in other.receive_all()} == {614, 623}


def test_admin_down_stops_both_ways_and_is_told(switch, lab):
    guests = [add_guest(switch, lab, "a", 1), add_guest(switch, lab, "b", 2)]
    exchange(*guests)
    switch.cli("port", "set", "b", "admin=down")
    assert shown(switch, "b")["admin"] == "down"
    assert "PORT_DOWN" in ovs_ofctl(switch, "dump-ports-desc", "br0").split("(b)")[1]
    guests[0].send(frame(1))
    guests[1].send(frame(2))
    wait_for("both drops", lambda: sum(drops(switch, "a").values()) == sum(drops(switch, "b").values()) == 1)
    assert (drops(switch, "a"), drops(switch, "b")) == ({"tx-down": 1}, {"rx-disabled": 1})
    assert guests[0].poll(0.2) is None and guests[1].poll() is None
    switch.cli("port", "set", "b", "admin=up")
    exchange(*guests)


def test_queues_are_spread_over_workers_and_moved(lab):
    weft = Weft(lab, workers="0,1").start()
    weft.cli("switch", "add", "br0", "fail-mode=secure")
    weft.cli("flow", "add", "br0", "in_port=1,actions=output:2")
    weft.cli("port", "add", "br0", "n", "type=null", "of-port=2")
    weft.cli("port", "add", "br0", "a", "type=vhost-user", "queues=2", "of-port=1")
    guest = VhostGuest(lab, weft.vhost_path("a"), pairs=2).open()

    def placed():
        return {(q.rsplit(":", 1)[0], int(q.rsplit(":", 1)[1])): row["worker"]
                for row in weft.cli("dp", "workers", json=True) for q in row["queues"]}

    wait_for("both queues", lambda: {("a", 0), ("a", 1)} <= set(placed()))
    assert {placed()["a", 0], placed()["a", 1]} == {0, 1}

    def taken(pair):
        """By which worker a frame of that queue pair was handled."""
        before = {row["worker"]: row["packets"] for row in weft.cli("dp", "workers", json=True)}
        guest.send(frame(pair), pair=pair)

        def moved():
            now = {row["worker"]: row["packets"] for row in weft.cli("dp", "workers", json=True)}
            return [worker for worker in now if now[worker] == before[worker] + 1]

        return wait_for("the frame", moved)[0]

    taken(0)  # which also sets up the flow
    wait_for("quiet", lambda: [r["packets"] for r in weft.cli("dp", "workers", json=True)] ==
             [r["packets"] for r in weft.cli("dp", "workers", json=True)])
    for setting in ("0:1,1:0", "0:0,1:1", "0:1,1:1"):
        weft.cli("port", "set", "a", f"rxq-worker={setting}")
        for part in setting.split(","):
            queue, worker = map(int, part.split(":"))
            assert placed()["a", queue] == worker
            assert taken(queue) == worker
    assert shown(weft, "a")["rx_packets"] == shown(weft, "n")["tx_packets"]
    for wrong in ("2:0", "0:2", "0", "0:0,0:1", "x:y", "0:0,"):
        assert "QUEUE:WORKER" in weft.cli_fails("port", "set", "a", f"rxq-worker={wrong}")
    weft.stop()

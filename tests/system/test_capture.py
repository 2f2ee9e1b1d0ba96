# SPDX-License-Identifier: Apache-2.0
"""weft capture: what a port receives and sends, as it is on the wire, without harm to anybody.

    guest a --- vhost-user a --- switch br0 --- vhost-user b --- guest b
                      |                               |
                weft capture a                  weft capture b
"""

import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest
from lab import Capture, Netns, Pcapng, VhostGuest, Weft, wait_for
from lab.capture import IN, OUT
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

A, B = "02:00:00:00:00:01", "02:00:00:00:00:02"


def udp(port, size=20, number=0):
    packet = Ether(dst=B, src=A) / IP(src="10.0.0.1", dst="10.0.0.2", id=number) / UDP(sport=1000, dport=port)
    return bytes(packet / bytes(size))


def prove(source, destination):
    """Frames of its flow pass. A machine without time for the agent may lose the first one (upcall-timeout, 1 s)."""
    for _ in range(10):
        source.send(udp(1))
        if destination.poll(3):
            return
    raise AssertionError("no frame came through")


def stage(weft, lab, rule="in_port=1,actions=output:2"):
    weft.cli("switch", "add", "br0", "fail-mode=secure")
    weft.cli("port", "add", "br0", "a", "type=vhost-user", "of-port=1")
    weft.cli("port", "add", "br0", "b", "type=vhost-user", "of-port=2")
    weft.cli("flow", "add", "br0", rule)
    weft.cli("flow", "add", "br0", "in_port=2,actions=output:1")
    a, b = VhostGuest(lab, weft.vhost_path("a")).open(), VhostGuest(lab, weft.vhost_path("b")).open()
    # Their flows are in place, and nothing overtakes the packet that was asked about.
    prove(a, b)
    prove(b, a)
    return a, b


@pytest.fixture
def ends(weft, lab):
    return stage(weft, lab)


def tshark(path, *fields):
    """A list of fields of each packet, as tshark reads the file."""
    words = [word for field in fields for word in ("-e", field)]
    done = subprocess.run(["tshark", "-n", "-r", str(path), "-T", "fields", *words],
                          capture_output=True, text=True, check=True, timeout=60)
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_filter_directions_and_bytes(weft, lab, ends):
    a, b = ends
    capture = Capture(weft, "a", "udp", "port", "53")
    frames = [udp(53), udp(54), udp(53, 1400), udp(55)]
    before = time.time_ns()
    a.send(*frames)
    for frame in frames:
        assert b.receive() == frame
    back = bytes(Ether(dst=A, src=B) / IP(src="10.0.0.2", dst="10.0.0.1") / UDP(sport=53, dport=1000) / b"answer")
    b.send(back)
    assert a.receive() == back
    found = capture.stop()
    assert [(packet.direction, packet.data) for packet in found.packets] == [
        (IN, frames[0]), (IN, frames[2]), (OUT, back)]
    assert all(packet.len == len(packet.data) for packet in found.packets)
    times = [packet.time_ns for packet in found.packets]
    assert times == sorted(times) and before - 10**9 < times[0] and times[-1] < time.time_ns() + 10**9
    assert (found.received, found.accepted, found.delivered, found.lost) == (5, 3, 3, 0)
    assert found.interface[2] == b"a" and found.interface[9] == b"\x09"
    assert found.interface[11] == b"\0udp port 53"
    assert found.why == ""
    assert "3 packets captured, 0 lost, 5 looked at" in capture.log()
    assert tshark(capture.path, "frame.len", "udp.dstport", "frame.packet_flags_direction", "frame.interface_name") == [
        ["62", "53", "0x00000001", "a"], ["1442", "53", "0x00000001", "a"], ["48", "1000", "0x00000002", "a"]]


def test_sent_packets_are_as_edited_and_direction_can_be_chosen(weft, lab):
    a, b = stage(weft, lab, "ip,in_port=1,actions=push_vlan:0x88a8,set_field:4106->vlan_vid,set_field:9.9.9.9->ip_dst,output:2")
    out = Capture(weft, "b", "-Q", "out", "vlan")
    nothing = Capture(weft, "b", "-Q", "in")
    untagged = Capture(weft, "b", "udp")
    a.send(udp(53))
    frame = b.receive()
    assert frame[12:16] == bytes.fromhex("88a8000a")
    found = out.stop()
    assert [(packet.direction, packet.data) for packet in found.packets] == [(OUT, frame)]
    assert tshark(out.path, "vlan.id", "ip.dst") == [["10", "9.9.9.9"]] or \
        tshark(out.path, "ieee8021ad.id", "ip.dst") == [["10", "9.9.9.9"]]
    assert nothing.stop().packets == []
    # libpcap's "udp" looks behind no tag.
    assert untagged.stop().packets == []


def test_count_ends_it_and_snaplen_cuts(weft, lab, ends):
    a, b = ends
    capture = Capture(weft, "a", "-c", "3", "-s", "40")
    frames = [udp(53, 100, number) for number in range(5)]
    a.send(*frames)
    found = capture.wait()
    assert [(packet.len, packet.data) for packet in found.packets] == [(142, frame[:40]) for frame in frames[:3]]
    assert found.delivered == 3
    assert found.snaplen == 40
    assert tshark(capture.path, "frame.len", "frame.cap_len") == [["142", "40"]] * 3


def test_lines_are_matches(weft, lab, ends):
    a, b = ends
    capture = Capture(weft, "a", "-c", "2", text=True)
    tagged = bytes.fromhex("0200000000020200000000018100200a") + udp(53)[12:]
    a.send(udp(53), tagged)
    capture.wait()
    lines = [line for line in capture.log().splitlines() if " length " in line]
    assert [re.sub(r"^\d\d:\d\d:\d\d\.\d{6}", "T", line) for line in lines] == [
        "T a in  length 62: udp,dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02,nw_src=10.0.0.1,"
        "nw_dst=10.0.0.2,nw_ttl=64,tp_src=1000,tp_dst=53",
        "T a in  length 66: udp,dl_vlan=10,dl_vlan_pcp=1,vlan_tpid=0x8100,dl_src=02:00:00:00:00:01,"
        "dl_dst=02:00:00:00:00:02,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_ttl=64,tp_src=1000,tp_dst=53"]


def test_pipe_into_tshark(weft, lab, ends):
    a, b = ends
    command = f"{weft.bin}/weft --rundir {weft.rundir} capture b -c 2 -w - tcp | tshark -n -r - -T fields -e tcp.dstport"
    pipe = lab.start("pipe", ["sh", "-c", command], expect=None)
    pipe.wait_log("capturing on")
    for port in (80, 81):
        a.send(Ether(dst=B, src=A) / IP(dst="10.0.0.2") / TCP(dport=port))
    a.send(udp(53))
    assert pipe.wait(30) == 0
    assert [line for line in pipe.log().splitlines() if line.isdigit()] == ["80", "81"]


def test_checksum_left_to_the_receiver_is_completed(weft, lab):
    """Kernels hand out UDP without a checksum; the capture of what a veth sent has it, also where it is cut."""
    weft.cli("switch", "add", "br0", "fail-mode=secure")
    space = Netns(lab, "h1")
    port = f"v{lab.id}"
    weft.cli("port", "add", "br0", port, "type=veth", f"netns={space.name}", "ifname=eth0", "ip=10.0.0.1/24")
    weft.cli("flow", "add", "br0", "actions=drop")
    space.run("ip", "neigh", "add", "10.0.0.2", "lladdr", B, "dev", "eth0")
    whole = Capture(weft, port, "udp", "port", "53")
    cut = Capture(weft, port, "-s", "60", "udp", "port", "53")
    with space.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for size in (100, 101, 333):
            sender.sendto(bytes(range(100)) + os.urandom(size - 100), ("10.0.0.2", 53))
    wait_for("three packets", lambda: weft.cli("port", "list", json=True)[0]["rx_packets"] >= 3)
    found, pieces = whole.stop(), cut.stop()
    assert [packet.len for packet in found.packets] == [142, 143, 375]
    for packet, piece in zip(found.packets, pieces.packets, strict=True):
        right = Ether(packet.data)
        assert right[UDP].chksum
        wrong = right.copy()
        del wrong[UDP].chksum
        assert bytes(wrong) == packet.data
        assert piece.data == packet.data[:60] and piece.len == packet.len


REFUSED = [
    (["a", "tcp", "and", "and"], "syntax error"),
    (["a", "hosst 1.2.3.4"], "filter \"hosst 1.2.3.4\": "),
    (["a", "ip6 protochain 6"], "loop"),
    (["nope"], "no port nope in the datapath; see weft dp ports"),
    (["a", "-c", "0"], "-c takes a number from 1"),
    (["a", "-c", "-1"], "-c takes a number from 1"),
    (["a", "-s", "3"], "-s takes a number from 14 to 65600"),
    (["a", "-s", "99999999999999999999"], "-s takes a number"),
    (["a", "-Q", "up"], "in, out or inout"),
    (["a", "-x"], "unknown option -x"),
    (["a", "-w"], "missing behind -w"),
    ([], "PORT is missing"),
    (["-c", "1"], "PORT is missing"),
]


def test_bad_words_are_refused(weft, lab, ends):
    for words, named in REFUSED:
        line = weft.cli_fails("capture", *words)
        assert named in line and line.startswith("weft: "), words
    assert "JSON" in weft.cli_fails("--json", "capture", "a")
    # A file that cannot be written ends the capture at once.
    assert "cannot write /nowhere/x" in weft.cli_fails("capture", "a", "-w", "/nowhere/x")
    for _ in range(20):
        weft.run_cli("capture", "a", "-w", "/nowhere/x")


def call(weft, **params):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        peer.connect(str(weft.rundir / "datapath.sock"))
        request = {"jsonrpc": "2.0", "method": "capture.start", "params": params, "id": 7}
        peer.sendall(json.dumps(request).encode() + b"\n")
        data, fds, _, _ = socket.recv_fds(peer, 65536, 4)
    return json.loads(data), fds


HOSTILE = [
    ({}, "no port"),
    ({"port": 7}, "no port"),
    ({"port": "x" * 100000}, "no port xxx"),
    ({"port": "a", "snaplen": 0}, "snaplen"),
    ({"port": "a", "snaplen": "many"}, "snaplen"),
    ({"port": "a", "snaplen": 2**62}, "snaplen"),
    ({"port": "a", "count": -1}, "count"),
    ({"port": "a", "count": 1.5}, "count"),
    ({"port": "a", "direction": "sideways"}, "direction"),
    ({"port": "a", "direction": 1}, "direction"),
    ({"port": "a", "filter": "x" * 5000}, "4096"),
    ({"port": "a", "program": 1}, "program"),
    ({"port": "a", "program": []}, "program"),
    ({"port": "a", "program": [[6, 0, 0, 0]] * 4097}, "4096"),
    ({"port": "a", "program": [[6, 0, 0]]}, "instruction 0"),
    ({"port": "a", "program": [[6, 0, 0, 1], [6, 0, 0, -1]]}, "instruction 1"),
    ({"port": "a", "program": [[6, 0, 256, 1]]}, "instruction 0"),
    ({"port": "a", "program": [[6, 0, 0, 2**32]]}, "instruction 0"),
    ({"port": "a", "program": [[6, 0, 0, "1"]]}, "instruction 0"),
    # No return at the end, jumps out of the program and back, division by 0, unknown instruction.
    ({"port": "a", "program": [[0, 0, 0, 1]]}, "no sound"),
    ({"port": "a", "program": [[0x15, 200, 0, 1], [6, 0, 0, 1]]}, "no sound"),
    ({"port": "a", "program": [[0, 0, 0, 1], [5, 0, 0, 2**32 - 2], [6, 0, 0, 1]]}, "loop"),
    ({"port": "a", "program": [[0x34, 0, 0, 0], [6, 0, 0, 1]]}, "no sound"),
    ({"port": "a", "program": [[0xFF, 0, 0, 0], [6, 0, 0, 1]]}, "no sound"),
    ({"port": "a", "program": [[0x0E, 0, 0, 0]]}, "no sound"),
    ({"port": "a", "program": [[0x21, 0, 0, 0], [6, 0, 0, 1]]}, "no sound"),
    ({"port": "a", "program": [[0x02, 0, 0, 99], [6, 0, 0, 1]]}, "no sound"),
]


def test_hostile_requests_are_refused(weft, lab, ends):
    for params, named in HOSTILE:
        answer, fds = call(weft, **params)
        assert named in answer["error"]["message"], params
        assert not fds
    a, b = ends
    a.send(udp(53))
    assert b.receive() == udp(53)


def test_program_with_paths_beyond_number_is_run_all_the_same(weft, lab, ends):
    """2 to the 60 ways lead through it: whoever walks them all does not come back."""
    a, b = ends
    steps = []
    for bit in range(60):
        steps += [[0x45, 0, 1, 1 << (bit % 32)], [0x04, 0, 0, 1]]  # if the bit is set, add 1
    program = [[0x80, 0, 0, 0], *steps, [0x30, 0, 0, 37], [0x15, 0, 1, 53], [6, 0, 0, 65535], [6, 0, 0, 0]]
    began = time.monotonic()
    answer, fds = call(weft, port="a", program=program, count=1)
    assert "result" in answer and time.monotonic() - began < 5
    a.send(udp(52), udp(53), udp(54))
    with socket.socket(fileno=fds[0]) as stream:
        stream.settimeout(10)
        data = b""
        while part := stream.recv(65536):
            data += part
    assert [packet.data for packet in Pcapng(data).packets] == [udp(53)]


def test_more_captures_than_there_may_be(weft, lab, ends):
    captures = [Capture(weft, "a") for _ in range(8)]
    line = weft.cli_fails("capture", "a")
    assert "8 captures run already" in line
    assert all(str(capture.process.pid) in line for capture in captures)
    a, b = ends
    a.send(udp(53))
    assert b.receive() == udp(53)
    # One that is killed makes room.
    captures[0].process.kill()
    wait_for("room", lambda: weft.run_cli("capture", "a", "-w", "/nowhere/x").stderr.startswith("weft: cannot write"))
    for capture in captures[1:]:
        assert [packet.data for packet in capture.stop().packets] == [udp(53)]


def test_port_and_datapath_may_go_meanwhile(weft, lab, ends):
    a, b = ends
    gone, other = Capture(weft, "a"), Capture(weft, "b")
    a.send(udp(53))
    b.receive()
    weft.cli("port", "del", "br0", "a")
    found = gone.wait(status=1)
    assert [packet.data for packet in found.packets] == [udp(53)]
    assert found.why == "the port was removed"
    assert "the capture ended: the port was removed" in gone.log()
    weft.stop_agent()
    weft.stop_datapath()
    found = other.wait(status=1)
    assert [packet.data for packet in found.packets] == [udp(53)]
    assert "the capture ended: the datapath stops" in other.log()


def test_killed_datapath_leaves_a_readable_file(weft, lab, ends):
    a, b = ends
    capture = Capture(weft, "a")
    a.send(udp(53))
    wait_for("the packet", lambda: len(Pcapng(capture.path.read_bytes()).packets) == 1)
    weft.kill_datapath()
    found = capture.wait(status=1)
    assert found.statistics is None and len(found.packets) == 1
    assert "cut short" in capture.log()


def test_client_that_does_not_read_costs_only_its_own_capture(weft, lab, ends):
    """A stopped client: its buffers fill, its losses are counted, traffic and another capture go on; then it goes on."""
    a, b = ends
    stuck, fine = Capture(weft, "a", "-Q", "in"), Capture(weft, "a", "-Q", "in", "-s", "60")
    stuck.process.popen.send_signal(signal.SIGSTOP)
    n = 12000
    for number in range(n):
        a.send(udp(53, 1400, number))
        if number % 64 == 63 or number == n - 1:  # no more under way than the guest's ring holds
            for expected in range(number & ~63, number + 1):
                assert b.receive(30) == udp(53, 1400, expected)
    assert len(fine.stop().packets) == n
    began = time.monotonic()
    stuck.process.popen.send_signal(signal.SIGCONT)
    found = stuck.stop()
    assert time.monotonic() - began < 10
    assert found.accepted == n and found.lost > 0 and found.delivered == len(found.packets) == n - found.lost
    assert sum(packet.lost for packet in found.packets) <= found.lost
    # One that is stopped for good holds nothing up.
    dead = Capture(weft, "a")
    dead.process.popen.send_signal(signal.SIGSTOP)
    a.send(udp(53))
    assert b.receive() == udp(53)
    dead.process.kill()
    weft.cli("port", "del", "br0", "a")

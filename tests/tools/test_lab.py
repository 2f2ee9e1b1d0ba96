# SPDX-License-Identifier: Apache-2.0
"""The instruments themselves: what a lab leaves behind, and that its guests and sockets carry frames byte for byte."""

import os
import subprocess
import sys

import pytest
from lab import GuestError, Lab, LabError, Netns, Nic, QemuGuest, Testpmd, VhostGuest

FRAMES = {
    "untagged": bytes(range(12)) + b"\x08\x00" + bytes(range(46)),
    "802.1Q": bytes(range(12)) + b"\x81\x00\x20\x05\x08\x00" + bytes(range(46)),
    "802.1ad": bytes(range(12)) + b"\x88\xa8\x20\x05\x08\x00" + bytes(range(46)),
    "both": bytes(range(12)) + b"\x88\xa8\x00\x05\x81\x00\x20\x07\x08\x00" + bytes(range(46)),
    "longest": bytes(range(12)) + b"\x08\x00" + bytes(1500),
}


def needs_root():
    if os.geteuid():
        pytest.skip("needs root: network namespaces")


def test_close_tells_of_and_removes_what_was_left():
    needs_root()
    with pytest.raises(LabError) as error:
        with Lab() as lab:
            lab.run(["ip", "netns", "add", f"w{lab.id}-left"])
            subprocess.Popen(
                ["sleep", "60"], env={**os.environ, "WEFT_LAB": lab.id}, stdout=subprocess.DEVNULL, start_new_session=True
            )
    assert f"network namespace w{lab.id}-left" in str(error.value)
    assert "sleep 60" in str(error.value)
    assert lab.own_pids() == []
    assert lab.id not in subprocess.run(["ip", "netns"], capture_output=True, text=True).stdout
    assert not lab.dir.exists()


def test_stop_complains_of_a_wrong_exit_status():
    lab = Lab()
    lab.start("bad", ["sh", "-c", "exit 3"]).wait()
    with pytest.raises(LabError, match="bad ended with status 3"):
        lab.close()


def test_stop_complains_of_a_sanitizer_report():
    lab = Lab()
    lab.start("bad", [sys.executable, "-c", "print('==1==ERROR: AddressSanitizer: heap')"]).wait()
    with pytest.raises(LabError, match="AddressSanitizer"):
        lab.close()


def test_packet_sockets_keep_vlan_tags(lab):
    """left: v0 ---- veth ---- v1 :right"""
    left, right = Netns(lab, "left"), Netns(lab, "right")
    left.veth("v0", "v1", right)
    right.run("ip", "link", "set", "v1", "up")
    here, there = left.packets("v0"), right.packets("v1")
    for name, frame in FRAMES.items():
        here.send(frame)
        assert there.receive() == frame, name


def test_vhost_guest_carries_frames(lab):
    """guest a ---- testpmd (io) ---- guest b"""
    a, b = lab.dir / "a.sock", lab.dir / "b.sock"
    devices = [f"net_vhost0,iface={a}", f"net_vhost1,iface={b}"]
    switch = Testpmd(lab, "switch", devices, arguments=["--auto-start", "--no-flush-rx"])
    left, right = VhostGuest(lab, a).open(), VhostGuest(lab, b).open()
    for name, frame in FRAMES.items():
        left.send(frame)
        assert right.receive() == frame, name
    long = bytes(byte % 251 for byte in range(9000))
    right.send(long)
    assert left.receive() == long
    for _ in range(5):  # each time less than the ring of the receiver takes, should that be slow
        left.send(*[FRAMES["untagged"]] * 200)
        assert [right.receive() for _ in range(200)] == [FRAMES["untagged"]] * 200
    right.close()
    assert left.is_connected()
    right = VhostGuest(lab, b).open()
    right.send(FRAMES["both"])
    assert left.receive() == FRAMES["both"]
    switch.stop()
    assert not left.is_connected()


def test_qemu_guest_runs_commands_and_carries_frames(lab):
    """QEMU guest ---- testpmd (io) ---- guest in Python"""
    a, b = lab.dir / "a.sock", lab.dir / "b.sock"
    devices = [f"net_vhost0,iface={a}", f"net_vhost1,iface={b}"]
    Testpmd(lab, "switch", devices, arguments=["--auto-start"])
    peer = VhostGuest(lab, b).open()
    guest = QemuGuest(lab, "vm", [Nic(a, "02:00:00:00:00:01")], ip="10.0.0.1/24").boot()
    assert guest.run("cat /sys/class/net/eth0/address") == "02:00:00:00:00:01\n"
    assert "10.0.0.1/24" in guest.run("ip addr show eth0")
    assert guest.status("echo out; echo err >&2; exit 3") == (3, "out\nerr\n")
    with pytest.raises(GuestError):
        guest.run("false")
    data = os.urandom(5000)
    guest.put("/tmp/data", data)
    assert guest.get("/tmp/data") == data
    for name, frame in FRAMES.items():
        guest.run(f"frames send eth0 {frame.hex()}")
        assert peer.receive(accept=lambda other: other == frame) == frame, name
    log = guest.start(f"frames recv eth0 20 {len(FRAMES)}")
    guest.run("until grep -q ^sk. /proc/net/packet && [ $(wc -l </proc/net/packet) -gt 1 ]; do usleep 20000; done")
    for frame in FRAMES.values():
        peer.send(b"\xff" * 6 + frame[6:])
    assert guest.wait(log).split() == [(b"\xff" * 6 + frame[6:]).hex() for frame in FRAMES.values()]

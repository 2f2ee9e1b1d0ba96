# SPDX-License-Identifier: Apache-2.0
"""Guests come, go and die under traffic, and nobody else notices.

    guest a --- a --- switch br0 --- b --- guest b          steady traffic, counted to the frame
                        |  |  |
                       c0  c1  c2 ...                        added, killed, removed, over and over
"""

import os
import pathlib
import threading

import pytest
from lab import VhostGuest, Weft

TURNS, GUESTS = 30, 10
A, B = "020000000001", "020000000002"


def frame(source, destination, number):
    return bytes.fromhex(destination + source + "9000") + number.to_bytes(4, "big") + bytes(46)


class Talk(threading.Thread):
    """Keeps a steady flow of numbered frames from a to b, never more than a window ahead."""

    def __init__(self, a, b):
        super().__init__(daemon=True)
        self.a, self.b = a, b
        self.ending = threading.Event()
        self.sent = self.received = 0
        self.problem = None

    def run(self):
        while not self.ending.is_set():
            burst = [frame(A, B, self.sent + i) for i in range(16)]
            self.a.send(*burst)
            self.sent += len(burst)
            for expected in burst:
                got = self.b.poll(5.0, accept=lambda seen: seen[6:12] == bytes.fromhex(A))
                if got != expected:
                    self.problem = f"frame {self.received} came as {got!r}"
                    return
                self.received += 1

    def end(self):
        self.ending.set()
        self.join(30)
        assert self.problem is None, self.problem
        assert self.sent == self.received


def memory_kb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.slow
@pytest.mark.parametrize("build", [None, "address"], ids=["plain", "address-sanitizer"])
def test_guests_come_and_go_300_times_under_traffic(lab, build):
    weft = Weft(lab, build=build).start()
    weft.cli("switch", "add", "br0", "fail-mode=secure")
    for number, name in enumerate(("a", "b"), 1):
        weft.cli("port", "add", "br0", name, "type=vhost-user", f"of-port={number}")
    weft.cli("flow", "add", "br0", "in_port=1,actions=output:2")
    weft.cli("flow", "add", "br0", "priority=0,actions=drop")
    a = VhostGuest(lab, weft.vhost_path("a")).open()
    b = VhostGuest(lab, weft.vhost_path("b")).open()
    talk = Talk(a, b)
    talk.start()
    fds = resident = 0
    try:
        for turn in range(TURNS):
            names = [f"c{number}" for number in range(GUESTS)]
            there = {port["name"] for port in weft.cli("port", "list", json=True)}
            for name in names:
                if name not in there:
                    weft.cli("port", "add", "br0", name, "type=vhost-user")
            guests = [VhostGuest(lab, weft.vhost_path(name)).open() for name in names]
            for guest in guests:
                guest.send(*[frame("0200000000cc", "ffffffffffff", number) for number in range(50)])
            for number, (name, guest) in enumerate(zip(names, guests)):
                # By turns: the guest is killed, shuts down, or its port goes first.
                way = (number + turn) % 4
                if way == 0:
                    guest.close()
                elif way == 1:
                    guest.stop()
                else:
                    weft.cli("port", "del", "br0", name)
                    guest.close()
            if turn == TURNS // 3:
                fds, resident = descriptors(weft.datapath.pid), memory_kb(weft.datapath.pid)
    finally:
        try:
            talk.end()
        except AssertionError as error:
            raise AssertionError(f"{error}\n{weft.cli('drops')}\n{weft.cli('port', 'list')}") from error
    for port in weft.cli("port", "list", json=True):
        if port["name"].startswith("c"):
            weft.cli("port", "del", "br0", port["name"])
    assert descriptors(weft.datapath.pid) <= fds + 8
    if build is None:
        assert memory_kb(weft.datapath.pid) <= resident * 1.1 + 4096
    weft.stop()

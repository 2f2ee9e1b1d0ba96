# SPDX-License-Identifier: Apache-2.0
"""Packet-outs at random: any frame, any list of actions, from any port that may be named, through both daemons.

    controller ---- br0.mgmt ---- switch br0 ---- guests a (1), b (2)

What is not refused goes somewhere or drops; nothing is changed by it, an echo request behind each is answered, and the books
balance. WEFT_SECONDS=N goes on for so long (2), WEFT_SEED=N repeats a run.
"""

import os
import random
import re
import socket
import struct
import time

import pytest
from lab import VhostGuest, Weft, ovs_ofctl

CONTROLLER, LOCAL, ANY = 0xFFFFFFFD, 0xFFFFFFFE, 0xFFFFFFFF
ECHO_REQUEST, ECHO_REPLY = bytes.fromhex("04020008000000ec"), bytes.fromhex("04030008000000ec")


def action(number, rest=b""):
    return struct.pack("!HH", number, 4 + len(rest)) + rest


def output(port):
    return action(0, struct.pack("!IHxxxxxx", port, 0xFFFF))


def push(number, eth_type):
    return action(number, struct.pack("!Hxx", eth_type))


def set_field(field, value):
    entry = struct.pack("!HBB", 0x8000, field << 1, len(value)) + value
    return action(25, entry + bytes(-(len(entry) + 4) % 8))


# To the guests, back, flood, all, the tables, NORMAL, the controller; groups all and select; each action of 1.3.
ACTIONS = (
    [output(port) for port in (1, 2, 0xFFFFFFF8, 0xFFFFFFF9, 0xFFFFFFFA, 0xFFFFFFFB, 0xFFFFFFFC, CONTROLLER)]
    + [action(22, struct.pack("!I", group)) for group in (100, 101, 9)]
    + [push(17, 0x8100), push(17, 0x88A8), push(19, 0x8847), push(20, 0x0800), push(20, 0x86DD), push(20, 0x8847), push(26, 0x88E7)]
    + [action(number, bytes(4)) for number in (11, 12, 16, 18, 24, 27)]
    + [action(number, struct.pack("!Bxxx", ttl)) for number in (15, 23) for ttl in (0, 1, 255)]
    + [action(21, struct.pack("!I", 7)), set_field(3, bytes.fromhex("020000000009")), set_field(5, b"\x86\xdd"),
       set_field(6, b"\x10\x05"), set_field(10, b"\x06"), set_field(11, b"\x0a\0\0\x09"), set_field(14, b"\0\x50"),
       set_field(26, bytes(16)), set_field(34, b"\0\0\0\x07"), set_field(2, bytes(8)), set_field(38, bytes(8))]
)
TYPES = (0x0800, 0x86DD, 0x0806, 0x8847, 0x8848, 0x8100, 0x88A8, 0x88E7, 0x1234, 0x05DC)
FIRST = (b"", b"\x45", b"\x46", b"\x4f", b"\x60", b"\0\0\x01\x40", b"\0\x05\x08\0\x45", b"\0\x01\x08\0\x06\x04\0\x01")


def packet_out(rnd):
    actions = b"".join(rnd.choice(ACTIONS) for _ in range(rnd.randrange(8)))
    frame = rnd.randbytes(12) + struct.pack("!H", rnd.choice(TYPES)) + rnd.choice(FIRST)
    frame += rnd.randbytes(rnd.choice((0, 1, 8, 20, 28, 40, 60, 100, 250, 260, 1500, 3000)))
    in_port = rnd.choice((1, 2, 3, LOCAL, CONTROLLER, ANY))
    body = struct.pack("!IIHxxxxxx", 0xFFFFFFFF, in_port, len(actions)) + actions + frame
    return struct.pack("!BBHI", 4, 13, 8 + len(body), 0x51) + body


class Client:
    def __init__(self, weft):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(60)
        self.socket.connect(str(weft.rundir / "br0.mgmt"))
        self.socket.sendall(bytes.fromhex("0400000800000001"))
        self.data = b""
        assert self.receive()[1] == 0

    def receive(self):
        while len(self.data) < 8 or len(self.data) < struct.unpack_from("!H", self.data, 2)[0]:
            got = self.socket.recv(65536)
            assert got, "the agent closed the connection"
            self.data += got
        length = struct.unpack_from("!H", self.data, 2)[0]
        message, self.data = self.data[:length], self.data[length:]
        return message

    def refused(self, message):
        """Whether the message is answered by an error, which then is the only answer and quotes it whole."""
        self.socket.sendall(message + ECHO_REQUEST)
        answer = self.receive()
        if answer == ECHO_REPLY:
            return False
        assert answer[1] == 1 and answer[12:] == message
        assert self.receive() == ECHO_REPLY
        return True


@pytest.fixture
def rnd():
    seed = os.environ.get("WEFT_SEED") or str(random.randrange(1 << 32))
    print(f"WEFT_SEED={seed}")
    return random.Random(seed)


def state(weft):
    text = "".join(ovs_ofctl(weft, command, "br0") for command in ("dump-flows", "dump-groups", "dump-ports-desc"))
    return re.sub(r"(duration|n_packets|n_bytes)=[^,]*,", "", text)


def test_random_packet_outs(lab, rnd):
    weft = Weft(lab).start()
    weft.cli("switch", "add", "br0", "fail-mode=secure")
    guests = []
    for number, name in enumerate(("a", "b"), 1):
        weft.cli("port", "add", "br0", name, "type=vhost-user", f"of-port={number}")
        guests.append(VhostGuest(lab, weft.vhost_path(name)).open())
    ovs_ofctl(weft, "add-group", "br0", "group_id=100,type=all,bucket=output:1,bucket=pop_vlan,output:2")
    ovs_ofctl(weft, "add-group", "br0", "group_id=101,type=select,bucket=weight:1,output:1,bucket=weight:2,push_mpls:0x8847,output:2")
    for flow in ("table=0,priority=0,actions=NORMAL", "table=0,priority=5,mpls,actions=pop_mpls:0x0800,resubmit(,1)",
                 "table=0,priority=5,dl_vlan=5,actions=pop_vlan,write_actions(group:101),goto_table:1", "table=1,ip,actions=dec_ttl,2"):
        ovs_ofctl(weft, "add-flow", "br0", flow)
    before = state(weft)
    client = Client(weft)
    refused = taken = 0
    end = time.monotonic() + float(os.environ.get("WEFT_SECONDS", "2"))
    while time.monotonic() < end or not (refused and taken):
        if client.refused(packet_out(rnd)):
            refused += 1
        else:
            taken += 1
        if taken % 20 == 0:
            for guest in guests:
                guest.flush()
    print(f"{taken} packet-outs taken, {refused} refused")
    assert state(weft) == before
    weft.stop()

# SPDX-License-Identifier: Apache-2.0
"""OpenFlow 1.3 as foreign clients see it: ovs-ofctl on the management socket, os-ken over TCP, bytes by hand.

    guest a --- 1 --- switch br0 --- 2 --- guest b
                           |
              controller / ovs-ofctl / raw socket
"""

import re
import socket
import struct

import pytest
from lab import OsKen, ROOT, TestController, VhostGuest, Weft, free_port, ovs_ofctl, wait_for

A, B = "02:00:00:00:00:01", "02:00:00:00:00:02"


def frame(source, destination, payload=b"", eth_type="9000"):
    data = bytes.fromhex(destination.replace(":", "") + source.replace(":", "") + eth_type) + payload
    return data.ljust(60, b"\0")


@pytest.fixture
def stage(lab):
    weft = Weft(lab).start()
    weft.cli("switch", "add", "br0", "fail-mode=secure", "dpid=00000000000000ab")
    for number, name in enumerate(("a", "b"), 1):
        weft.cli("port", "add", "br0", name, "type=vhost-user", f"of-port={number}")
    yield weft, VhostGuest(lab, weft.vhost_path("a")).open(), VhostGuest(lab, weft.vhost_path("b")).open()
    weft.stop()


def test_ovs_ofctl_shows_switch_and_ports(stage):
    weft, _, _ = stage
    text = ovs_ofctl(weft, "show", "br0")
    assert "dpid:00000000000000ab" in text
    assert "n_tables:25" in text
    text = ovs_ofctl(weft, "dump-ports-desc", "br0")
    assert re.search(r"^ 1\(a\): ", text, re.M) and re.search(r"^ 2\(b\): ", text, re.M)
    assert "Weft" in ovs_ofctl(weft, "dump-desc", "br0")


def test_ovs_ofctl_changes_flows_and_packets_follow(stage):
    weft, a, b = stage
    ovs_ofctl(weft, "add-flow", "br0", "priority=5,cookie=0x7,in_port=1,actions=output:2")
    a.send(frame(A, B, b"one"))
    assert b.receive() == frame(A, B, b"one")
    ovs_ofctl(weft, "mod-flows", "br0", "in_port=1,actions=set_field:02:00:00:00:00:99->eth_dst,output:2")

    def changed():
        a.send(frame(A, B, b"two"))
        return b.poll(0.2) == frame(A, "02:00:00:00:00:99", b"two")

    wait_for("the new actions", changed, 2)
    ovs_ofctl(weft, "del-flows", "br0", "cookie=0x7/-1")

    def gone():
        b.flush()
        a.send(frame(A, B, b"three"))
        return b.poll(0.1) is None

    wait_for("the flow's end", gone, 2)
    assert "cookie=0x7" not in ovs_ofctl(weft, "dump-flows", "br0")


def test_dump_flows_counts_to_the_packet(stage):
    weft, a, b = stage
    ovs_ofctl(weft, "add-flow", "br0", "in_port=1,actions=output:2")
    for number in range(50):
        a.send(frame(A, B, bytes([number])))
        b.receive()
    wait_for(lambda: "50 packets: " + ovs_ofctl(weft, "dump-flows", "br0"),
             lambda: "n_packets=50, n_bytes=3000" in ovs_ofctl(weft, "dump-flows", "br0"), 5)
    ports = ovs_ofctl(weft, "dump-ports", "br0")
    assert re.search(r"port +(?:1|\"?a\"?): rx pkts=50, bytes=3000", ports)
    assert re.search(r"port +(?:2|\"?b\"?): .*\n? +tx pkts=50, bytes=3000", ports)


def test_barrier_follows_what_came_before(stage):
    """add-flow of ovs-ofctl ends with a barrier: from then on no packet may see the old rules."""
    weft, a, b = stage
    ovs_ofctl(weft, "add-flow", "br0", "in_port=1,actions=output:2")
    a.send(frame(A, B, b"warm"))
    b.receive()
    for number in range(20):
        action = "drop" if number % 2 == 0 else "output:2"
        ovs_ofctl(weft, "add-flow", "br0", f"in_port=1,actions={action}")
        a.send(frame(A, B, bytes([number])))
        got = b.poll(0.1)
        assert (got is None) == (action == "drop"), number


def test_packet_out_and_packet_in(stage, lab):
    weft, a, b = stage
    data = frame(A, B, b"out")
    ovs_ofctl(weft, "packet-out", "br0", f"in_port=controller packet={data.hex()} actions=output:2")
    assert b.receive() == data
    assert a.poll(0.1) is None
    ovs_ofctl(weft, "add-flow", "br0", "actions=controller:100")
    monitor = lab.start("monitor", ["ovs-ofctl", "-O", "OpenFlow13", "monitor", f"unix:{weft.rundir}/br0.mgmt", "65535"],
                        env={"OVS_RUNDIR": str(lab.dir)}, expect=None)
    wait_for("the monitor's control socket", lambda: list(lab.dir.glob("ovs-ofctl.*.ctl")))

    def seen():
        a.send(frame(A, B, bytes(300)))
        return "PACKET_IN" in monitor.log()

    wait_for("a packet-in", seen, 5, 0.2)
    assert re.search(r"PACKET_IN.*total_len=314 in_port=1 \(via action\) data_len=100", monitor.log())


@pytest.mark.parametrize("in_port", ["controller", "1"])
def test_packet_out_comes_around(stage, in_port):
    """Its headers are not known after the label has gone: the datapath parses it anew, though it never came in by a port."""
    weft, _, b = stage
    data = frame(A, B, bytes.fromhex("450000140000000040110000" "0a0000010a000002"), "0800")
    wanted = data.replace(bytes.fromhex("40110000"), bytes.fromhex("3f110100"))
    for _ in range(3):  # asked for, then by a flow
        ovs_ofctl(weft, "packet-out", "br0", f"in_port={in_port} packet={data.hex()} "
                  "actions=push_mpls:0x8847,set_mpls_ttl(9),pop_mpls:0x0800,dec_ttl,output:2")
        assert b.receive() == wanted


def test_learning_application_of_the_demo(stage, lab):
    weft, a, b = stage
    controller = OsKen(lab, ROOT / "utilities/demo/learning_switch.py")
    weft.cli("controller", "add", "br0", controller.target)
    controller.wait_log("connected", 20)
    wait_for("the miss rule", lambda: "CONTROLLER" in ovs_ofctl(weft, "dump-flows", "br0"), 5)
    a.send(frame(A, B))
    assert b.receive() == frame(A, B)
    b.send(frame(B, A))
    assert a.receive() == frame(B, A)
    a.send(frame(A, B))
    assert b.receive() == frame(A, B)
    wait_for("both flows", lambda: len(re.findall(r"priority=1,in_port", ovs_ofctl(weft, "dump-flows", "br0"))) == 2, 5)
    controller.kill()
    again = OsKen(lab, ROOT / "utilities/demo/learning_switch.py", name="again", port=controller.port)
    again.wait_log("connected", 20)


def test_ovs_testcontroller_unmodified(stage, lab):
    weft, a, b = stage
    weft.cli("controller", "add", "br0", TestController(lab).target)
    wait_for("the controller's rules", lambda: "CONTROLLER" in ovs_ofctl(weft, "dump-flows", "br0"), 15)
    a.send(frame(A, B))
    assert b.receive(5) == frame(A, B)
    b.send(frame(B, A))
    assert a.receive(5) == frame(B, A)


# --- bytes by hand -----------------------------------------------------------------------------------


class Raw:
    """An OpenFlow connection spoken byte by byte."""

    def __init__(self, weft, hello=True):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(5)
        self.socket.connect(str(weft.rundir / "br0.mgmt"))
        if hello:
            self.send(0, b"\0\1\0\x08" + struct.pack("!I", 1 << 4), xid=1)
            kind, _, _ = self.receive()
            assert kind == 0

    def send(self, kind, body=b"", xid=7, version=4, length=None):
        self.socket.sendall(struct.pack("!BBHI", version, kind, 8 + len(body) if length is None else length, xid) + body)

    def receive(self):
        head = self._exactly(8)
        version, kind, length, xid = struct.unpack("!BBHI", head)
        self.version = version
        return kind, xid, self._exactly(length - 8)

    def _exactly(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def error(self, kind, body=b"", **options):
        """Sends what must be refused; returns the error's type and code."""
        self.send(kind, body, **options)
        answer, xid, data = self.receive()
        assert (answer, xid) == (1, options.get("xid", 7))
        assert data[4:].startswith(struct.pack("!BB", 4, kind))
        return struct.unpack_from("!HH", data)

    def alive(self):
        self.send(2, b"ping", xid=99)
        assert self.receive() == (3, 99, b"ping")


BAD_REQUEST, BAD_ACTION, BAD_INSTRUCTION, BAD_MATCH, FLOW_MOD_FAILED = 1, 2, 3, 4, 5


def flow_mod(match=b"", instructions=b"", command=0, table=0):
    body = struct.pack("!QQBBHHHIIIHxx", 0, 0, table, command, 0, 0, 1, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    size = 4 + len(match)
    return body + struct.pack("!HH", 1, size) + match + bytes(-size % 8) + instructions


def oxm(field, value):
    return struct.pack("!HBB", 0x8000, field << 1, len(value)) + value


CASES = {
    "unknown type": (BAD_REQUEST, 1, 200, b""),
    "short flow-mod": (BAD_REQUEST, 6, 14, bytes(8)),
    "unknown multipart": (BAD_REQUEST, 2, 18, struct.pack("!HHxxxx", 999, 0)),
    "unknown experimenter": (BAD_REQUEST, 3, 4, struct.pack("!II", 0x123456, 1)),
    "add to table 255": (FLOW_MOD_FAILED, 2, 14, flow_mod(table=255)),
    "unknown command": (FLOW_MOD_FAILED, 6, 14, flow_mod(command=9)),
    "unknown field": (BAD_MATCH, 6, 14, flow_mod(oxm(99, bytes(4)))),
    "wrong field length": (BAD_MATCH, 1, 14, flow_mod(oxm(0, bytes(2)))),
    "missing prerequisite": (BAD_MATCH, 9, 14, flow_mod(oxm(11, bytes(4)))),
    "field twice": (BAD_MATCH, 10, 14, flow_mod(oxm(0, b"\0\0\0\1") * 2)),
    "unknown instruction": (BAD_INSTRUCTION, 0, 14, flow_mod(instructions=struct.pack("!HHxxxx", 77, 8))),
    "goto backwards": (BAD_INSTRUCTION, 2, 14, flow_mod(table=3, instructions=struct.pack("!HHBxxx", 1, 8, 3))),
    "unknown action": (BAD_ACTION, 0, 14, flow_mod(
        instructions=struct.pack("!HHxxxxHHxxxx", 4, 16, 500, 8))),
    "output to no port": (BAD_ACTION, 4, 14, flow_mod(
        instructions=struct.pack("!HHxxxxHHIHxxxxxx", 4, 24, 0, 16, 0xFFFFFFFF, 0))),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_malformed_messages_get_the_specified_error(stage, case):
    weft, _, _ = stage
    kind, code, message, body = case
    raw = Raw(weft)
    assert raw.error(message, body) == (kind, code)
    raw.alive()


def test_hello_of_no_common_version_is_refused(stage):
    weft, _, _ = stage
    raw = Raw(weft, hello=False)
    raw.send(0, b"\0\1\0\x08" + struct.pack("!I", 1 << 9), version=9, xid=5)
    answers = []
    try:
        while True:
            answers.append(raw.receive())
    except EOFError:
        pass
    errors = [data for kind, _, data in answers if kind == 1]
    assert errors and struct.unpack_from("!HH", errors[0]) == (0, 0)


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", bytes(64), b"\xff" * 64, b"\4\0\0\3abcdefgh"],
                         ids=["http", "zeroes", "ones", "short length"])
def test_garbage_closes_the_connection_and_nothing_else(stage, data):
    weft, a, b = stage
    raw = Raw(weft, hello=False)
    raw.socket.sendall(data)
    raw.socket.shutdown(socket.SHUT_WR)
    while raw.socket.recv(4096):
        pass
    Raw(weft).alive()


def test_controller_that_is_away_is_tried_again(stage, lab):
    weft, _, _ = stage
    port = free_port()
    weft.cli("controller", "add", "br0", f"tcp:127.0.0.1:{port}")
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(1)
        listener.settimeout(12)
        connection, _ = listener.accept()
        assert connection.recv(8)[:2] == b"\4\0"
        connection.close()

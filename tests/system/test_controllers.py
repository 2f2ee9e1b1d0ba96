# SPDX-License-Identifier: Apache-2.0
"""Controllers that are silent, slow, or may have only so many packet-ins.

    guest a --- 1 --- switch br0 --- 2 --- guest b
                           |
                  controllers in the test

What waits for time only asks that something happens at last; nothing here must happen within a time.
"""

import pytest
from lab import RawController, VhostGuest, Weft, wait_for

A, B = "02:00:00:00:00:01", "02:00:00:00:00:02"


def frame(source, destination, payload=b""):
    return (bytes.fromhex((destination + source).replace(":", "") + "9000") + payload).ljust(60, b"\0")


class Stage:
    def __init__(self, lab, fail_mode):
        self.weft = Weft(lab).start()
        self.weft.cli("switch", "add", "br0", f"fail-mode={fail_mode}")
        guests = []
        for number, name in enumerate(("a", "b"), 1):
            self.weft.cli("port", "add", "br0", name, "type=vhost-user", f"of-port={number}")
            guests.append(VhostGuest(lab, self.weft.vhost_path(name)).open())
        self.a, self.b = guests

    def controllers(self):
        return self.weft.cli("controller", "list", json=True)

    def mode(self):
        return self.weft.cli("switch", "list", json=True)[0]["mode"]

    def await_connected(self, *numbers):
        wait_for("the controllers' connections",
                 lambda: all(self.controllers()[number]["state"] == "connected" for number in numbers), 30)

    def passes(self, payload):
        """Whether a frame of a comes to b."""
        self.b.flush()
        self.a.send(frame(A, B, payload))
        return self.b.poll(0.3) == frame(A, B, payload)


@pytest.fixture
def standalone(lab):
    stage = Stage(lab, "standalone")
    yield stage
    stage.weft.stop()


@pytest.fixture
def secure(lab):
    stage = Stage(lab, "secure")
    yield stage
    stage.weft.stop()


# --- silence -----------------------------------------------------------------------------------------

RULE = "priority=5,in_port=1,eth_type=0x9000,actions=drop"


def test_standalone_begins_when_all_controllers_are_silent(standalone, lab):
    """A controller that sleeps is as good as none; rules are stored meanwhile, and one that answers puts them in force."""
    stage, controllers = standalone, [RawController(lab), RawController(lab)]
    for controller in controllers:
        stage.weft.cli("controller", "add", "br0", controller.target, "inactivity-probe=1000")
    stage.await_connected(0, 1)
    stage.weft.cli("flow", "del", "br0")
    stage.weft.cli("flow", "add", "br0", RULE)
    wait_for("the rule", lambda: not stage.passes(b"rule"), 20)
    controllers[0].sleep()
    controllers[1].sleep()
    wait_for("standalone", lambda: stage.mode() == "standalone", 60)
    wait_for("NORMAL", lambda: stage.passes(b"normal"), 20)
    assert "priority=5,in_port=a,dl_type=0x9000 actions=drop" in stage.weft.cli("flow", "list", "br0")
    # It learns as any learning switch.
    assert [entry["mac"] for entry in stage.weft.cli("fdb", "list", "br0", json=True)] == [A]
    # Rules that come meanwhile (by the CLI here) are stored too.
    stage.weft.cli("flow", "add", "br0", "priority=4,in_port=2,actions=drop")
    stage.b.send(frame(B, A, b"meanwhile"))
    assert stage.a.receive() == frame(B, A, b"meanwhile")
    controllers[1].wake()
    wait_for("the rules again", lambda: stage.mode() == "rules", 60)
    wait_for("the rule", lambda: not stage.passes(b"again"), 20)
    # One of two is enough.
    assert stage.weft.cli("flow", "list", "br0").count("actions=drop") == 2


def test_secure_keeps_its_rules(secure, lab):
    stage, controller = secure, RawController(lab)
    stage.weft.cli("flow", "add", "br0", "priority=5,in_port=1,actions=output:2")
    stage.weft.cli("controller", "add", "br0", controller.target, "inactivity-probe=300")
    stage.await_connected(0)
    controller.close()

    def lost():
        entry = stage.controllers()[0]
        return entry["state"] in ("backoff", "connecting") and entry["last_error"].startswith("cannot connect")

    wait_for("the connection's end", lost, 30)
    # Well beyond three intervals; a frame of b has no rule and stays out, NORMAL would bring it to a.
    for number in range(15):
        stage.a.send(frame(A, B, bytes([number])))
        assert stage.b.receive() == frame(A, B, bytes([number]))
        stage.b.send(frame(B, A, bytes([number])))
        assert stage.a.poll(0.1) is None
    assert stage.mode() == "rules"


def test_probe_is_answered_and_asked(secure, lab):
    """A controller that only answers echoes stays connected; one that sleeps is told good-bye, and called again."""
    stage, controller = secure, RawController(lab)
    stage.weft.cli("controller", "add", "br0", controller.target, "inactivity-probe=500")
    stage.await_connected(0)
    controller.sleep()
    wait_for("the end", lambda: "no answer to an echo request within 500 ms" in stage.controllers()[0]["last_error"], 30)
    controller.wake()
    wait_for("the next connection", lambda: controller.n_connects >= 2, 30)
    stage.await_connected(0)


# --- packet-ins --------------------------------------------------------------------------------------


def test_packet_ins_keep_their_rate_and_ports_their_share(secure, lab):
    stage, controller = secure, RawController(lab)
    stage.weft.cli("flow", "add", "br0", "actions=controller:65535")
    stage.weft.cli("controller", "add", "br0", controller.target, "rate-limit=1", "burst=8")
    stage.await_connected(0)

    def counted():
        entry = stage.controllers()[0]
        return entry["packet_ins"] + entry["packet_ins_waiting"] + entry["packet_ins_dropped"]

    n = 0
    for number in range(100):
        stage.a.send(frame(A, B, bytes([number])))
        # The first alone: those that come while it is asked about may be overtaken by those that meet its flow.
        if number == 0 or number % 20 == 19:
            wait_for(lambda: f"{number + 1} packet-ins: {counted()}", lambda: counted() == number + 1, 30)
    for number in range(2):
        stage.b.send(frame(B, A, bytes([number])))
        wait_for("b's packet-ins", lambda: counted() == 101 + number, 30)
    entry = stage.controllers()[0]
    assert (entry["rate_limit"], entry["burst"]) == (1, 8)
    # What waits leaves at once when the limit goes; b's packets are among it, and came in their order.
    stage.weft.cli("controller", "set", "br0", controller.target, "rate-limit=0")
    wait_for("what waited", lambda: stage.controllers()[0]["packet_ins_waiting"] == 0, 30)
    entry = stage.controllers()[0]
    wait_for("the packet-ins", lambda: len(controller.packet_ins()) == entry["packet_ins"], 30)
    assert entry["packet_ins"] + entry["packet_ins_dropped"] == 102
    assert [data for port, _, data in controller.packet_ins() if port == 2] == [frame(B, A, b"\0"), frame(B, A, b"\1")]
    of_a = [data for port, _, data in controller.packet_ins() if port == 1]
    assert of_a[:8] == [frame(A, B, bytes([number])) for number in range(8)]
    assert of_a == sorted(of_a)
    assert controller.n_connects == 1
    table = stage.weft.cli("controller", "list").splitlines()
    assert {"RATE", "WAITING", "DROPPED"} <= set(table[0].split())


def test_controller_that_never_reads_costs_nobody_else_anything(secure, lab):
    stage, dead, alive = secure, RawController(lab), RawController(lab)
    stage.weft.cli("flow", "add", "br0", "in_port=1,actions=controller:65535,output:2")
    for controller in (dead, alive):
        stage.weft.cli("controller", "add", "br0", controller.target, "inactivity-probe=0")
    stage.await_connected(0, 1)
    dead.sleep()
    sent = 0
    while stage.controllers()[0]["packet_ins_dropped"] == 0:
        for _ in range(50):
            data = frame(A, B, sent.to_bytes(4, "big") + bytes(1400))
            stage.a.send(data)
            assert stage.b.receive() == data
            sent += 1
        wait_for(lambda: f"{sent} packet-ins: {len(alive.packet_ins())}", lambda: len(alive.packet_ins()) == sent, 30)
        assert sent < 20000
    entry, other = stage.controllers()
    assert entry["packet_ins"] + entry["packet_ins_waiting"] + entry["packet_ins_dropped"] == sent
    assert (other["packet_ins"], other["packet_ins_dropped"]) == (sent, 0)
    assert entry["packet_ins_waiting"] <= 1024
    assert alive.packet_ins()[-1] == (1, 1, data)


def test_controller_settings_are_checked_and_kept(secure):
    stage = secure
    target = "unix:/nonexistent/controller"
    assert "rate-limit=x: must be a number" in stage.weft.cli_fails("controller", "add", "br0", target, "rate-limit=x")
    assert "no controller" in stage.weft.cli_fails("controller", "set", "br0", target, "burst=1")
    stage.weft.cli("controller", "add", "br0", target, "rate-limit=100")
    stage.weft.cli("controller", "set", "br0", target, "burst=7")
    assert "no property" in stage.weft.cli_fails("controller", "set", "br0", target, "rate=1")
    stage.weft.stop_agent()
    stage.weft.start_agent()
    entry = stage.controllers()[0]
    assert (entry["rate_limit"], entry["burst"]) == (100, 7)

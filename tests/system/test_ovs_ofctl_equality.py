# SPDX-License-Identifier: Apache-2.0
"""ovs-ofctl prints the same of Weft and of Open vSwitch.

Both stand side by side as lab/twins.py draws them.

The scripts (ovs_ofctl/*.script) hold a command of ovs-ofctl a line, @ for the switch; each is run against both, and what it
prints, with its status, must be the same. Lines in front of a command say where it is not:

    ! ERROR | reason    Weft refuses it with ERROR, Open vSwitch does not
    ~ reason            what is printed differs, in just the lines below:
    < line              of Open vSwitch alone
    > line              of Weft alone

Other lines: "eventually COMMAND" gives both switches time until it prints the same; "file NAME" .. "end" writes a file for the
commands; "send N TYPE" has N frames of an Ethernet type come in by p1; "settle N" waits until both switches have counted N
packets in their rules.

What normalise() takes away is the same for all commands.
"""

import difflib
import pathlib
import re
import shlex
import time

import pytest
from lab import Lab, Twins, normalise, wait_for

SCRIPTS = pathlib.Path(__file__).resolve().parent / "ovs_ofctl"


@pytest.fixture(scope="module")
def lab():
    with Lab() as lab:
        yield lab


@pytest.fixture(scope="module")
def switches(lab):
    """Open vSwitch, Weft."""
    twins = Twins(lab)
    yield twins
    twins.stop()


class Script:
    """Runs a script; collects what is wrong."""

    def __init__(self, switches, path):
        self.ovs, self.weft = switches
        self.path = path
        self.problems = []
        self._forget()

    def _forget(self):
        self.error = self.reason = None
        self.ovs_alone, self.weft_alone = [], []

    def run(self):
        lines = iter(enumerate(self.path.read_text().splitlines(), 1))
        for number, line in lines:
            word, _, rest = line.partition(" ")
            if not line or word == "#":
                continue
            if word == "file":
                (self.weft.lab.dir / rest).write_text("".join(f"{text}\n" for text in self._until_end(lines)))
            elif word == "send":
                self._send(*rest.split())
            elif word == "settle":
                self._settle(int(rest))
            elif word == "!":
                self.error, _, self.reason = rest.partition(" | ")
            elif word == "~":
                self.reason = rest
            elif word == "<":
                self.ovs_alone.append(rest)
            elif word == ">":
                self.weft_alone.append(rest)
            else:
                self._command(number, rest if word == "eventually" else line, word == "eventually")
                self._forget()

    @staticmethod
    def _until_end(lines):
        for _, line in lines:
            if line == "end":
                return
            yield line

    def _send(self, n, eth_type):
        frame = bytes.fromhex("020000000002020000000001" + eth_type) + bytes(50)
        for switch in (self.ovs, self.weft):
            for _ in range(int(n)):
                switch.port.send(frame)

    def _settle(self, n):
        wait_for(
            lambda: f"{n} packets: Open vSwitch has {self.ovs.packets()}, Weft {self.weft.packets()}",
            lambda: self.ovs.packets() == self.weft.packets() == n,
            60,
            0.2,
        )

    def _run_both(self, words, eventually):
        end = time.monotonic() + (60 if eventually else 0)
        while True:
            ovs, weft = (switch.run(words) for switch in (self.ovs, self.weft))
            if ovs == weft or time.monotonic() >= end:
                return ovs, weft
            time.sleep(0.05)

    def _command(self, number, line, eventually):
        words = shlex.split(line)
        ovs, weft = self._run_both(words, eventually)
        lines = [text for text in difflib.ndiff(ovs.splitlines(), weft.splitlines()) if text[0] in "-+"]
        if self.error:
            named = re.search(r"^(?:OFPT_ERROR \(OF1\.3\) \(xid=X\): |Error )(\w+)", weft, re.M)
            good = ovs != weft and named and named[1] == self.error
        else:
            good = self.ovs_alone == [text[2:] for text in lines if text[0] == "-"]
            good = good and self.weft_alone == [text[2:] for text in lines if text[0] == "+"]
        if not good:
            expected = f"   ({self.error or 'differences'} expected: {self.reason})\n" if self.reason else ""
            shown = "".join(f"   {text}\n" for text in lines) or f"   the same:\n{weft}"
            self.problems.append(f"{self.path.name}:{number}: {line}\n{expected}{shown}")


@pytest.mark.parametrize("name", sorted(path.stem for path in SCRIPTS.glob("*.script")))
def test_same_output(switches, name):
    script = Script(switches, SCRIPTS / f"{name}.script")
    script.run()
    assert not script.problems, "- Open vSwitch, + Weft\n" + "\n".join(script.problems)


class Monitor:
    """ovs-ofctl monitor of a switch: what it prints, normalised."""

    def __init__(self, switch, *arguments):
        self.switch = switch
        argv = switch.argv(["monitor", "@", *arguments])
        directory = switch.lab.dir / f"monitor-{switch.name}"
        directory.mkdir(exist_ok=True)
        self.process = switch.lab.start(f"monitor-{switch.name}", argv, env={"OVS_RUNDIR": directory}, expect=None)
        # It listens for commands when it has asked the switch for all that it wants.
        wait_for(f"the monitor of {switch.name}", lambda: list(directory.glob("ovs-ofctl.*.ctl")), 60)

    def text(self):
        # The monitor asks for packet-ins of Open vSwitch's own kind, and is content with those of OpenFlow.
        return normalise(self.process.log(), ["monitor"]).replace("NXT_PACKET_IN2 ", "OFPT_PACKET_IN ")

    def count(self):
        return len(re.findall(r"^OFPT_(?:PACKET_IN|FLOW_REMOVED|PORT_STATUS) ", self.text(), re.M))


NEWS = [
    # To a controller: by an action, in table 1, by the rule for what meets no other. (Whole: Open vSwitch, which once
    # kept the rest in buffers, does not cut packets to max_len as s.A.2.5 asks.)
    ("send", "9101"),
    ("send", "9102"),
    ("send", "9103"),
    ("packet-out", "@", "in_port=1 packet=ffffffffffff0200000000019999 actions=controller"),
    ("packet-out", "@", "in_port=controller packet=ffffffffffff0200000000019999 actions=push_vlan:0x8100,controller"),
    # Rules that go.
    ("del-flows", "@", "dl_type=0x9201"),
    ("--strict", "del-flows", "@", "table=3,priority=7,dl_type=0x9202"),
    ("del-groups", "@", "group_id=9"),
    # Ports that change.
    ("mod-port", "@", "p2", "no-forward"),
    ("mod-port", "@", "p2", "forward"),
]


def test_same_news(switches):
    for switch in switches:
        for words in (
            ("del-flows", "@"),
            ("add-group", "@", "group_id=9,type=all,bucket=actions=output:2"),
            ("add-flow", "@", "priority=0,actions=controller:65535"),
            ("add-flow", "@", "cookie=0x77,priority=5,dl_type=0x9101,actions=controller"),
            ("add-flow", "@", "cookie=0x78,priority=5,dl_type=0x9102,actions=write_metadata:0x99,goto_table:1"),
            ("add-flow", "@", "cookie=0x79,table=1,priority=5,actions=controller"),
            ("add-flow", "@", "cookie=0x80,send_flow_rem,idle_timeout=5000,priority=5,dl_type=0x9201,actions=output:2"),
            ("add-flow", "@", "table=3,send_flow_rem,hard_timeout=6000,priority=7,dl_type=0x9202,actions=output:2"),
            ("add-flow", "@", "send_flow_rem,priority=8,dl_type=0x9203,actions=group:9"),
        ):
            assert switch.run(words) == "", (switch.name, words)
    monitors = [Monitor(switch, "65534") for switch in switches]
    for number, step in enumerate(NEWS, 1):
        for switch, monitor in zip(switches, monitors):
            if step[0] == "send":
                switch.port.send(bytes.fromhex("020000000002020000000001" + step[1]) + bytes(50))
            else:
                assert switch.run(step) == "", (switch.name, step)
            wait_for(lambda: f"news {number} ({step}) of {switch.name}:\n{monitor.text()}", lambda: monitor.count() == number, 60)
    ovs, weft = (monitor.text().splitlines() for monitor in monitors)
    differences = [line for line in difflib.ndiff(ovs, weft) if line[0] in "-+"]
    assert not differences, "- Open vSwitch, + Weft\n" + "\n".join(differences)
    for switch, monitor in zip(switches, monitors):
        monitor.process.stop(expect=None)
        switch.run(["del-flows", "@"])

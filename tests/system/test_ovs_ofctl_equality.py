# SPDX-License-Identifier: Apache-2.0
"""ovs-ofctl prints the same of Weft and of Open vSwitch.

    namespace w: q1 q2 q3 --- p1 p2 p3 [br0 of Weft]
    namespace o: q1 q2 q3 --- p1 p2 p3 [br0 of Open vSwitch, userspace datapath]

The scripts (ovs_ofctl/*.script) hold a command of ovs-ofctl a line, @ for the switch; each is run against both, and what it
prints, with its status, must be the same. Lines in front of a command say where it is not:

    ! ERROR | reason    Weft refuses it with ERROR, Open vSwitch does not
    ~ reason            what is printed differs, in just the lines below:
    < line              of Open vSwitch alone
    > line              of Weft alone

Other lines: "eventually COMMAND" gives both switches time until it prints the same; "file NAME" .. "end" writes a file for the commands; "send N TYPE" has N frames of an Ethernet type come in by p1;
"settle N" waits until both switches have counted N packets in their rules.

What normalise() takes away is the same for all commands.
"""

import difflib
import os
import pathlib
import re
import shlex
import subprocess
import time

import pytest
from lab import Lab, Netns, OpenVSwitch, Weft, wait_for

SCRIPTS = pathlib.Path(__file__).resolve().parent / "ovs_ofctl"
PORTS = ("1", "2", "3")
DPID = "00000000000000ab"
UNORDERED = {"dump-flows", "dump-groups", "dump-group-stats", "diff-flows"}


class Switch:
    """A switch as ovs-ofctl sees it, and the far ends of its ports."""

    def __init__(self, lab, name, netns, socket):
        self.lab, self.name, self.netns, self.socket = lab, name, netns, socket
        self.port = None

    def argv(self, words):
        target = f"unix:{self.socket}"
        return ["ovs-ofctl", "-O", "OpenFlow13", *(target if word == "@" else word for word in words)]

    def env(self):
        private = str(self.lab.dir)
        return {"OVS_RUNDIR": private, "OVS_LOGDIR": private, "OVS_SYSCONFDIR": private}

    def run(self, words):
        """What the command prints, and its status when that is not 0, normalised."""
        done = subprocess.run(
            self.argv(words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.lab.dir,
            env={**os.environ, **self.env()},
        )
        text = done.stdout + done.stderr + (f"status {done.returncode}\n" if done.returncode else "")
        return normalise(text.replace(str(self.socket), "SWITCH"), words)

    def packets(self):
        """Packets that its rules have counted."""
        return int(re.search(r"packet_count=(\d+)", self.run(["dump-aggregate", "@"]))[1])


def blocks(text, start):
    """Head and sorted rest of a text whose entries begin with lines that match start."""
    first, *rest = re.split(rf"^(?={start})", text, flags=re.M)
    return first + "".join(sorted(entry.rstrip("\n") + "\n" for entry in rest))


def normalise(text, words):
    """Takes away what may differ: time, numbers of requests, addresses, what the switches say of themselves, sizes and
    capabilities, empty tables, features of tables, and the order of what has none."""
    # Time.
    text = re.sub(r"duration([=:]?)[0-9.]+s", r"duration\1Ds", text)
    text = re.sub(r"time=[0-9.]+ ms", "time=T ms", text)
    text = re.sub(r"^Finished in .*", "Finished", text, flags=re.M)
    text = re.sub(r"^\d{4}-\d\d-\d\dT[0-9:.]+Z\|\d+\|", "LOG|", text, flags=re.M)
    # Numbers of requests.
    text = re.sub(r"xid=(0x)?[0-9a-f]+", "xid=X", text)
    # Cookies that are not set.
    text = re.sub(r"\bcookie=0x0, ", "", text)
    # Addresses and descriptions.
    text = re.sub(r"addr:[0-9a-f:]{17}", "addr:MAC", text)
    text = re.sub(r"^(Manufacturer|Hardware|Software|Serial Num|DP Description): .*", r"\1:", text, flags=re.M)
    # How many tables, and what the switch is capable of.
    text = re.sub(r"n_tables:\d+", "n_tables:N", text)
    text = re.sub(r"^capabilities: [A-Z].*", "capabilities:", text, flags=re.M)
    text = re.sub(r"^ +Capabilities: +0x[0-9a-f]+", "Capabilities:", text, flags=re.M)
    if "dump-table-features" in words:
        text = "table features\n" if "table 0" in text else text
    if "dump-tables" in words:
        text = "".join(re.findall(r"^  table .*\n    active=[1-9].*\n|^(?!  table|    active|$).*\n", text, re.M))
        text = re.sub(r"^  tables .*ditto\n", "", text, flags=re.M)
    # Order.
    if UNORDERED.intersection(words):
        text = "".join(line + "\n" for line in sorted(text.splitlines()))
    if "dump-ports" in words:
        text = blocks(text, "  port ")
    if "dump-meters" in words or "meter-stats" in words:
        text = blocks(text, r"meter[=:]")
    return text


@pytest.fixture(scope="module")
def lab():
    with Lab() as lab:
        yield lab


@pytest.fixture(scope="module")
def switches(lab):
    """[Open vSwitch, Weft], alike as far as they can be."""
    inside, outside = Netns(lab, "w"), Netns(lab, "o")
    weft = Weft(lab, huge=False, memory_mb=256, netns=inside.name).start()
    ovs = OpenVSwitch(lab, outside)
    weft.cli("switch", "add", "br0", f"dpid={DPID}", "fail-mode=secure")
    weft.cli("port", "add", "br0", "br0", "type=internal")
    words = ["--", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail_mode=secure"]
    words += ["protocols=OpenFlow10,OpenFlow13", f"other_config:datapath-id={DPID}", "other_config:disable-in-band=true"]
    for n in PORTS:
        weft.cli("port", "add", "br0", f"p{n}", "type=veth", f"of-port={n}", f"ifname=q{n}")
        outside.run("ip", "link", "add", f"p{n}", "type", "veth", "peer", "name", f"q{n}")
        words += ["--", "add-port", "br0", f"p{n}", "--", "set", "interface", f"p{n}", f"ofport_request={n}"]
    ovs.vsctl(*words)
    for netns, links in ((inside, ("q1", "q2", "q3", "br0")), (outside, ("p1", "p2", "p3", "q1", "q2", "q3", "br0"))):
        for link in links:
            wait_for(f"{link} in {netns.name}", lambda: netns.has_link(link))
            netns.run("ip", "link", "set", link, "up")
    pair = [Switch(lab, "ovs", outside, ovs.dir / "br0.mgmt"), Switch(lab, "weft", inside, weft.rundir / "br0.mgmt")]
    for switch in pair:
        wait_for(lambda: switch.run(["show", "@"]), lambda: switch.run(["show", "@"]).count("LIVE") == 4, 20)
        switch.port = switch.netns.packets("q1")
    yield pair
    weft.stop()


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
        end = time.monotonic() + (30 if eventually else 0)
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
        wait_for(f"the monitor of {switch.name}", lambda: list(directory.glob("ovs-ofctl.*.ctl")), 30)

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
            wait_for(lambda: f"news {number} ({step}) of {switch.name}:\n{monitor.text()}", lambda: monitor.count() == number, 30)
    ovs, weft = (monitor.text().splitlines() for monitor in monitors)
    differences = [line for line in difflib.ndiff(ovs, weft) if line[0] in "-+"]
    assert not differences, "- Open vSwitch, + Weft\n" + "\n".join(differences)
    for switch, monitor in zip(switches, monitors):
        monitor.process.stop(expect=None)
        switch.run(["del-flows", "@"])

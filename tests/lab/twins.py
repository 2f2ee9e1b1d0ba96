# SPDX-License-Identifier: Apache-2.0
"""Weft and Open vSwitch side by side, as ovs-ofctl sees them.

    namespace w: q1 q2 q3 --- p1 p2 p3 [br0 of Weft]
    namespace o: q1 q2 q3 --- p1 p2 p3 [br0 of Open vSwitch, userspace datapath]
"""

import os
import re
import subprocess

from .core import wait_for
from .net import Netns
from .openflow import OpenVSwitch
from .weft import Weft

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
    # What the tool logs of itself: that it was slow, say.
    text = re.sub(r"^LOG\|(?!ofp).*\n", "", text, flags=re.M)
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


class Twins:
    """Both, alike as far as they can be: .ovs and .weft, each a Switch; .cli is Weft's own tool."""

    def __init__(self, lab):
        inside, outside = Netns(lab, "w"), Netns(lab, "o")
        self.daemons = Weft(lab, huge=False, memory_mb=256, netns=inside.name).start()
        self.cli = self.daemons.cli
        self.cli("switch", "add", "br0", f"dpid={DPID}", "fail-mode=secure")
        self.cli("port", "add", "br0", "br0", "type=internal")
        ovs = OpenVSwitch(lab, outside)
        words = ["--", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail_mode=secure"]
        words += ["protocols=OpenFlow10,OpenFlow13", f"other_config:datapath-id={DPID}", "other_config:disable-in-band=true"]
        for n in PORTS:
            self.cli("port", "add", "br0", f"p{n}", "type=veth", f"of-port={n}", f"ifname=q{n}")
            outside.run("ip", "link", "add", f"p{n}", "type", "veth", "peer", "name", f"q{n}")
            words += ["--", "add-port", "br0", f"p{n}", "--", "set", "interface", f"p{n}", f"ofport_request={n}"]
        ovs.vsctl(*words)
        for netns, links in ((inside, ("q1", "q2", "q3", "br0")), (outside, ("p1", "p2", "p3", "q1", "q2", "q3", "br0"))):
            for link in links:
                wait_for(f"{link} in {netns.name}", lambda: netns.has_link(link))
                netns.run("ip", "link", "set", link, "up")
        self.ovs = Switch(lab, "ovs", outside, ovs.dir / "br0.mgmt")
        self.weft = Switch(lab, "weft", inside, self.daemons.rundir / "br0.mgmt")
        for switch in self:
            wait_for(lambda: switch.run(["show", "@"]), lambda: switch.run(["show", "@"]).count("LIVE") == 4, 60)
            switch.port = switch.netns.packets("q1")

    def __iter__(self):
        return iter((self.ovs, self.weft))

    def stop(self):
        self.daemons.stop()

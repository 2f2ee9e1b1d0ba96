# SPDX-License-Identifier: Apache-2.0
"""Many remotes and many VNIs by rule: what they take, and what an unrelated flow feels when their neighbours change."""

import ipaddress
import json
import os
import statistics
import subprocess
import threading
import time

from overlay import Overlay
from subjects import cpu_seconds, run_traffic

FIRST_SOURCE, FIRST_REMOTE = ipaddress.ip_address("10.0.0.0"), ipaddress.ip_address("10.64.1.0")
UNRELATED = "in_port=3,actions=output:4"
LEARN_PPS = 20000
CHANGES_PER_S = 1000


def resident_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0


def remote(number):
    return FIRST_REMOTE + number


class Neighbours(threading.Thread):
    """Gives the remotes' next hops other addresses, one after the other, CHANGES_PER_S a second."""

    def __init__(self, subject, n_remotes):
        super().__init__(daemon=True)
        self.ip = subprocess.Popen(["ip", "-n", subject.netns, "-batch", "-"], stdin=subprocess.PIPE, text=True)
        self.n_remotes = n_remotes
        self.macs = subject.macs  # of each remote that has one
        self.next = subject.n_changes
        self.stopping = False

    def change(self):
        at, generation = self.next % self.n_remotes, self.next // self.n_remotes % 250
        self.next += 1
        self.macs[str(remote(at))] = f"02:{generation:02x}:00:00:{at >> 8:02x}:{at & 255:02x}"
        self.ip.stdin.write(f"neigh replace {remote(at)} lladdr {self.macs[str(remote(at))]} dev ul0 nud permanent\n")

    def run(self):
        begin, n = time.monotonic(), 0
        while not self.stopping:
            while n < (time.monotonic() - begin) * CHANGES_PER_S:
                self.change()
                n += 1
            self.ip.stdin.flush()
            time.sleep(0.002)

    def stop(self, subject):
        """How many it has made."""
        self.stopping = True
        if self.is_alive():
            self.join()
        self.ip.stdin.close()
        self.ip.wait(30)
        n, subject.n_changes = self.next - subject.n_changes, self.next
        return n


class Remotes(Overlay):
    """Overlay with a second tunnel port, whose remote and VNI are the rules': t2, OpenFlow port 5."""

    def __init__(self, options, number):
        super().__init__(options, number)
        self.macs = {}
        self.n_changes = 0

    def add_remotes(self, n_remotes, n_vnis):
        self.ip("-n", self.netns, "addr", "add", f"{FIRST_REMOTE - 1}/16", "dev", "ul0")
        # An uplink that has a link also while the generator drives other ports.
        self.cli("port", "add", "under", "up1", "type=tap", "underlay=yes")
        neighbours = Neighbours(self, n_remotes)
        for _ in range(n_remotes):
            neighbours.change()
        neighbours.stop(self)
        self.cli("port", "add", "bench", "t2", "type=vxlan", "remote=flow", "vni=flow", "of-port=5", "dst-port=4790")
        path = os.path.join(self.dir, "rules")
        with open(path, "w", encoding="ascii") as rules:
            for number in range(n_vnis):
                rules.write(f"in_port=1,ip,nw_src={FIRST_SOURCE + number},actions=set_field:{number + 1}->tun_id,"
                            f"set_field:{remote(number % n_remotes)}->tun_dst,output:5\n")
        begin = time.monotonic()
        self.cli("flow", "add", "bench", "-f", path)
        return time.monotonic() - begin

    def count_stale(self):
        """Remotes that are known with another next hop's address than the kernel was given last."""
        known = {row["remote"]: row["mac"] for row in json.loads(self.cli("--json", "tunnel", "list")) if row["port"] == "t2"}
        return sum(known.get(address) != mac for address, mac in self.macs.items())

    def memory_kb(self):
        """Of both daemons."""
        return sum(resident_kb(process.pid) for process in self.processes)

    def send(self, options, sockets, n_flows, rate, seconds, more=()):
        options.flows, options.rate, options.seconds = n_flows, rate, seconds
        self.sockets = sockets
        return run_traffic(options, self, more)


def install_all(options, subject, n_flows):
    """Each of so many flows into its tunnel: the fast path has them all then."""
    p1, up0, _, _ = subject.all_sockets
    subject.send(options, [p1, up0], n_flows, LEARN_PPS, 0.2 + n_flows / LEARN_PPS, ["--vxlan-out"])


def measure_memory(options, subject):
    """kB that a remote takes, and a flow to one, in both daemons."""
    n_remotes, n_vnis = options.n_remotes, options.n_vnis
    before = subject.memory_kb()
    install_all(options, subject, n_remotes)
    with_remotes = subject.memory_kb()
    install_all(options, subject, n_vnis)
    with_flows = subject.memory_kb()
    stats = json.loads(subject.cli("--json", "dp", "stats"))
    flow = (with_flows - with_remotes) / (n_vnis - n_remotes)
    return {"remote_kb": (with_remotes - before) / n_remotes - flow, "flow_kb": flow,
            "fast_path_flows": stats["flows"], "prepared_headers": stats["objects"]}


def take_turn(options, subject, changing):
    """The unrelated flow for a while: cycles a packet, what is lost of it; and the agent's share of a core."""
    _, _, p3, p4 = subject.all_sockets
    install_all(options, subject, options.n_vnis)
    agent = subject.processes[1].pid
    changes = Neighbours(subject, options.n_remotes) if changing else None
    counts, busy_s, begin = subject.counts(), cpu_seconds(agent), time.monotonic()
    if changes:
        changes.start()
    report = subject.send(options, [p3, p4], 1, options.unrelated_rate, options.turn_s)
    n_changes = changes.stop(subject) if changes else 0
    share = (cpu_seconds(agent) - busy_s) / (time.monotonic() - begin)
    packets, cycles = (now - was for now, was in zip(subject.counts(), counts))
    return {"cycles": cycles / packets, "lost": max(0.0, 1 - report["mpps"] / report["sent_mpps"]),
            "agent_share": share, "changes": n_changes}


def measure_remotes(options):
    """What options.n_remotes remotes and options.n_vnis VNIs take, and what neighbour changes cost others."""
    options.rule = [UNRELATED]
    options.flows = options.n_vnis
    options.unrelated_rate, options.turn_s = options.rate or 2e6, options.seconds
    turns = {"quiet": [], "changing": []}
    subject = Remotes(options, 0)
    try:
        subject.start()
        subject.all_sockets = subject.sockets
        rules_s = subject.add_remotes(options.n_remotes, options.n_vnis)
        result = {"remotes": options.n_remotes, "vnis": options.n_vnis, "rules_s": rules_s,
                  **measure_memory(options, subject)}
        for number in range(options.rounds):
            for name, done in turns.items():
                done.append(take_turn(options, subject, name == "changing"))
                if not options.json:
                    print(f"round {number + 1}  {name:8} {done[-1]['cycles']:6.1f} cycles a packet, {done[-1]['lost']:.4%} lost, "
                          f"agent {done[-1]['agent_share']:.1%} of a core, {done[-1]['changes']} neighbour changes", flush=True)
        time.sleep(1)  # the last of the news are on their way
        result["stale"] = subject.count_stale()
    finally:
        subject.stop()
    result["all"] = turns
    result["median"] = {name: {what: statistics.median(turn[what] for turn in done) for what in done[0]}
                        for name, done in turns.items()}
    if options.json:
        print(json.dumps(result))
    else:
        print_remotes(result)
    return 0


def print_remotes(result):
    quiet, changing = result["median"]["quiet"], result["median"]["changing"]
    print(f"\n{result['remotes']} remotes, {result['vnis']} VNIs by rule: {result['rules_s']:.2f} s to add the rules; "
          f"{result['fast_path_flows']} flows and {result['prepared_headers']} prepared headers in the fast path\n"
          f"memory of both daemons: {result['remote_kb']:.2f} kB a remote, {result['flow_kb']:.2f} kB a flow\n"
          f"{CHANGES_PER_S} neighbour changes a second: an unrelated flow takes {quiet['cycles']:.1f} cycles a packet without, "
          f"{changing['cycles']:.1f} with, loses {quiet['lost']:.4%} and {changing['lost']:.4%}; the agent needs "
          f"{changing['agent_share']:.1%} of a core; {result['stale']} remotes have an old address at the end")

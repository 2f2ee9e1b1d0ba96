# SPDX-License-Identifier: Apache-2.0
"""What VXLAN costs: the tunnels of Weft, and beside them those of Open vSwitch's datapath on DPDK."""

import json
import os
import re
import signal
import statistics
import subprocess

from subjects import ROOT, BenchError, Subject, Weft, run_traffic, worker_counts

# Both ends of the tunnel, and who has the far one.
LOCAL_IP, REMOTE_IP, REMOTE_MAC, VNI = "192.0.2.1", "192.0.2.2", "02:00:00:00:00:99", 5
# Plain forwarding, into the tunnel, out of it.
THROUGH_TUNNEL = ["in_port=3,actions=output:4", "in_port=1,actions=output:2", "in_port=2,actions=output:1"]
# With it L4 ports matter, so that there are more flows in the fast path than one.
L4_MATTERS = "priority=40000,udp,tp_src=9,tp_dst=5001,actions=drop"
VXLAN_LEN = 50
# What of Open vSwitch's throughput is wanted at least, with 1 and with 10 000 inner flows.
WANTED_OF_OVS = {"encap": (1.3, 1.5), "decap": (1.6, 2.0)}


class Namespaced:
    """A subject in a network namespace of its own, so that the kernel's routes there are the underlay's."""

    def make_netns(self):
        self.netns = f"weft-bench-{os.getpid()}-{self.name}"
        self.ip("netns", "add", self.netns)

    def ip(self, *args):
        done = subprocess.run(["ip", *args], capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"ip {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout

    def spawn(self, *command, **kwargs):
        return super().spawn("ip", "netns", "exec", self.netns, *command, **kwargs)

    def mac_of(self, device):
        (link,) = json.loads(self.ip("-n", self.netns, "-j", "link", "show", "dev", device))
        return link["address"]

    def stop(self):
        super().stop()
        subprocess.run(["ip", "netns", "del", self.netns], capture_output=True, check=False)


class Overlay(Namespaced, Weft):
    """Weft with a tunnel.

        guests  p1, p3, p4 [bench] t1 (vxlan)
                                 :
        kernel  ul0 [under] up0, a vhost-user port too, behind which REMOTE_IP is
    """

    name = "weft"

    def __init__(self, options, number):
        super().__init__(options, number, 4)

    def start(self):
        self.make_netns()
        p1, up0, p3, p4 = self.sockets
        self.start_daemons()
        self.cli("switch", "add", "under", "fail-mode=secure")
        self.cli("port", "add", "under", "ul0", "type=internal", f"ip={LOCAL_IP}/24", "of-port=1")
        self.cli("port", "add", "under", "up0", "type=vhost-user", f"path={up0}", "of-port=2", "underlay=yes")
        self.cli("flow", "add", "under", "in_port=1,actions=output:2")
        self.cli("flow", "add", "under", "in_port=2,actions=output:1")
        self.ip("-n", self.netns, "neigh", "replace", REMOTE_IP, "lladdr", REMOTE_MAC, "dev", "ul0")
        self.cli("switch", "add", "bench", "fail-mode=secure")
        for number, path in ((1, p1), (3, p3), (4, p4)):
            self.cli("port", "add", "bench", f"p{number}", "type=vhost-user", f"path={path}", f"of-port={number}")
        self.cli("port", "add", "bench", "t1", "type=vxlan", f"remote={REMOTE_IP}", f"vni={VNI}", "of-port=2")
        for rule in self.options.rule:
            self.cli("flow", "add", "bench", rule)
        self.wait_for("the ports", lambda: all(map(os.path.exists, self.sockets)))
        # The uplink has no link before the generator comes.
        self.wait_for("the tunnel", lambda: json.loads(self.cli("--json", "tunnel", "list"))[0]["state"] in ("ready", "link-down"))
        self.mac = self.mac_of("ul0")

    def counts(self):
        return worker_counts(self)

    def pause(self):
        """Its worker sleeps when nothing comes."""

    def resume(self):
        pass


class OpenVswitch(Namespaced, Subject):
    """Open vSwitch's userspace datapath on DPDK, one polling thread, as Debian's packages have it by default; its
    bridges and ports as Overlay's."""

    name = "ovs"
    DPDK = ("openvswitch-switch-dpdk", "usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk")
    SWITCH = ("openvswitch-switch", "usr/bin/ovs-vsctl")
    SCHEMA = ("openvswitch-switch", "usr/share/openvswitch/vswitch.ovsschema")

    def __init__(self, options, number):
        super().__init__(options, number, 4)

    @staticmethod
    def path_of(file):
        """Of a file of a package, installed or unpacked under build/."""
        package, name = file
        for root in ("/", os.path.join(ROOT, "build/unpacked", package)):
            if os.path.exists(os.path.join(root, name)):
                return os.path.join(root, name)
        return None

    @classmethod
    def missing(cls):
        """The Debian packages that are not there."""
        return sorted({file[0] for file in (cls.DPDK, cls.SWITCH, cls.SCHEMA) if not cls.path_of(file)})

    def run(self, program, *words):
        done = subprocess.run([program, *words], capture_output=True, text=True, timeout=30, env=self.env, check=False)
        if done.returncode:
            raise BenchError(f"{program} {' '.join(words)}: {done.stderr.strip()}\n{self.logs()}")
        return done.stdout

    def vsctl(self, *words):
        return self.run(self.path_of(self.SWITCH), f"--db=unix:{self.dir}/db.sock", "--timeout=20", *words)

    def appctl(self, *words):
        return self.run("ovs-appctl", "-t", os.path.join(self.dir, "vswitchd.ctl"), *words)

    def start(self):
        o = self.options
        self.make_netns()
        variables = ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR")
        self.env = {**os.environ, **dict.fromkeys(variables, self.dir)}
        database = os.path.join(self.dir, "conf.db")
        self.run("ovsdb-tool", "create", database, self.path_of(self.SCHEMA))
        self.spawn("ovsdb-server", database, f"--remote=punix:{self.dir}/db.sock", env=self.env)
        self.wait_for("the database", lambda: os.path.exists(os.path.join(self.dir, "db.sock")))
        # It adds --in-memory by itself, which --no-huge does not suffer, unless it finds --legacy-mem.
        memory = "-m 1024" if o.huge else \
            f"--no-huge --legacy-mem -m 1024 --file-prefix=ovs-{os.path.basename(self.dir)}"
        self.vsctl("--no-wait", "init", "--", "set", "Open_vSwitch", ".", "other_config:dpdk-init=true",
                   f"other_config:dpdk-lcore-mask={1 << o.generator_core:#x}",
                   f"other_config:pmd-cpu-mask={1 << o.subject_core:#x}",
                   f"other_config:dpdk-extra=\"--no-pci --no-telemetry {memory}\"")
        self.spawn("taskset", "-c", str(o.generator_core), self.path_of(self.DPDK), f"unix:{self.dir}/db.sock",
                   f"--unixctl={self.dir}/vswitchd.ctl", env=self.env)
        self.wait_for("the daemon", lambda: os.path.exists(os.path.join(self.dir, "vswitchd.ctl")))
        self.add_bridges()
        self.wait_for("the ports", lambda: all(map(os.path.exists, self.sockets)))
        self.mac = self.mac_of("under")

    def add_bridges(self):
        # The sockets have the ports' names.
        self.sockets = [os.path.join(self.dir, name) for name in ("p1", "up0", "p3", "p4")]
        words = []
        for bridge, ports in (("under", {"up0": 2}), ("bench", {"p1": 1, "p3": 3, "p4": 4})):
            words += ["--", "add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev", "fail_mode=secure"]
            for port, number in ports.items():
                words += ["--", "add-port", bridge, port, "--", "set", "interface", port, "type=dpdkvhostuser",
                          f"ofport_request={number}"]
        words += ["--", "add-port", "bench", "t1", "--", "set", "interface", "t1", "type=vxlan", "ofport_request=2",
                  f"options:remote_ip={REMOTE_IP}", f"options:key={VNI}"]
        self.vsctl(*words)
        self.ip("-n", self.netns, "addr", "add", f"{LOCAL_IP}/24", "dev", "under")
        self.ip("-n", self.netns, "link", "set", "under", "up")
        for bridge, rules in (("under", ["in_port=LOCAL,actions=output:2", "in_port=2,actions=LOCAL"]),
                              ("bench", self.options.rule)):
            for rule in rules:
                self.run("ovs-ofctl", "add-flow", f"unix:{self.dir}/{bridge}.mgmt", rule)
        self.wait_for("the route", lambda: f" dev under SRC {LOCAL_IP}" in self.appctl("ovs/route/show"))
        self.appctl("tnl/neigh/set", "under", REMOTE_IP, REMOTE_MAC)

    def counts(self):
        """Packets received and cycles that were not idle, of the polling thread."""
        text = self.appctl("dpif-netdev/pmd-stats-show")
        packets = sum(map(int, re.findall(r"packets received: (\d+)", text)))
        return packets, sum(map(int, re.findall(r"processing cycles: (\d+)", text)))

    def pause(self):
        """Its thread polls all the time: it would take the other subject's core."""
        self.processes[-1].send_signal(signal.SIGSTOP)

    def resume(self):
        self.processes[-1].send_signal(signal.SIGCONT)

    def stop(self):
        if self.processes:
            self.resume()
        super().stop()


class Turns:
    """What each way through a subject takes, turn by turn."""

    def __init__(self, subject, size):
        p1, up0, p3, p4 = subject.sockets
        self.subject = subject
        self.ways = {"plain": ([p3, p4], []), "longer": ([p3, p4], ["--size", str(size + VXLAN_LEN)]),
                     "encap": ([p1, up0], ["--vxlan-out"]), "decap": ([up0, p1], ["--vxlan-in", subject.mac])}
        self.cycles = {name: [] for name in self.ways}
        self.mpps = {name: [] for name in self.ways}

    def take(self, options, way):
        self.subject.sockets, more = self.ways[way]
        before = self.subject.counts()
        report = run_traffic(options, self.subject, more)
        packets, busy = (now - was for now, was in zip(self.subject.counts(), before))
        self.cycles[way].append(busy / packets)
        self.mpps[way].append(report["mpps"])
        return f"{report['mpps']:8.3f} Mpps  {busy / packets:6.1f} cycles a packet"

    def report(self):
        """Medians; "more": of the differences to plain forwarding in the same round."""
        plain = self.cycles["plain"]
        return {"cycles": {way: statistics.median(values) for way, values in self.cycles.items()},
                "mpps": {way: statistics.median(values) for way, values in self.mpps.items()},
                "more": {way: statistics.median(a - b for a, b in zip(values, plain))
                         for way, values in self.cycles.items() if way != "plain"},
                "all": self.cycles, "all_mpps": self.mpps}


def take_turns(options, subjects):
    """All ways through all subjects, which take turns."""
    turns = []
    try:
        for subject in subjects:
            subject.start()
            turns.append(Turns(subject, options.size))
            subject.pause()
        for round_number in range(options.rounds):
            for way in turns[0].ways:
                for t in turns:
                    t.subject.resume()
                    text = t.take(options, way)
                    t.subject.pause()
                    if not options.json:
                        print(f"round {round_number + 1}  {options.flows:6} flows  {t.subject.name:5} {way:6} {text}",
                              flush=True)
    finally:
        for subject in subjects:
            subject.stop()
    return {t.subject.name: t.report() for t in turns}


def measure_tunnel(options):
    """What VXLAN costs beyond plain forwarding, in turns in one run: the worker's busy cycles a packet; and what
    Open vSwitch achieves in the same run.

    Frames as long as those with outer headers, forwarded plainly, tell what of it their length costs.
    """
    kinds = [Overlay, OpenVswitch] if options.ovs else [Overlay]
    if options.ovs and OpenVswitch.missing():
        raise BenchError(f"to compare with Open vSwitch these Debian packages are missing: {', '.join(OpenVswitch.missing())}; "
                         "./configure --install-deps unpacks them under build/")
    results = []
    for index, flows in enumerate((1, 10000)):
        options.flows = flows
        options.rule = [*THROUGH_TUNNEL, L4_MATTERS] if flows > 1 else THROUGH_TUNNEL
        reports = take_turns(options, [kind(options, number) for number, kind in enumerate(kinds)])
        result = {"flows": flows, **reports["weft"]}
        if options.ovs:
            result["ovs"] = reports["ovs"]
            result["of_ovs"] = {way: result["mpps"][way] / reports["ovs"]["mpps"][way] for way in result["mpps"]}
        results.append(result)
        if not options.json:
            print_tunnel(result, index)
    if options.json:
        print(json.dumps(results))


def print_tunnel(result, index):
    cycles, more = result["cycles"], result["more"]
    print(f"{result['flows']} inner flows: plain {cycles['plain']:.1f} cycles a packet ({more['longer']:+.1f} with {VXLAN_LEN} bytes "
          f"more), encap {cycles['encap']:.1f} ({more['encap']:+.1f}), decap {cycles['decap']:.1f} "
          f"({more['decap']:+.1f}); at most +100 is wanted")
    if "ovs" in result:
        for way, ratio in result["of_ovs"].items():
            wanted = f" (at least {WANTED_OF_OVS[way][index]} is wanted)" if way in WANTED_OF_OVS else ""
            print(f"  {way:6} weft {result['mpps'][way]:6.3f} Mpps, Open vSwitch {result['ovs']['mpps'][way]:6.3f} "
                  f"({result['ovs']['cycles'][way]:.1f} cycles a packet): {ratio:.2f} times as fast{wanted}")
    print()

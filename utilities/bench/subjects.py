# SPDX-License-Identifier: Apache-2.0
"""What is measured: switches with vhost-user sockets, started and stopped; and the generator that drives them."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("WEFT_BIN", os.path.join(ROOT, "build", "bin"))
START_S = 20


class BenchError(Exception):
    pass


def free_huge_mb():
    values = {}
    with open("/proc/meminfo", encoding="ascii") as meminfo:
        for line in meminfo:
            name, rest = line.split(":", 1)
            values[name] = int(rest.split()[0])
    return values.get("HugePages_Free", 0) * values.get("Hugepagesize", 0) // 1024


class Subject:
    """Something with vhost-user server sockets, started and stopped for each round."""

    name = "?"

    def __init__(self, options, number, n_ports=2):
        self.options = options
        self.dir = tempfile.mkdtemp(prefix=f"weft-bench-{number}-", dir="/tmp")
        self.sockets = [os.path.join(self.dir, name) for name in "abcd"[:n_ports]]
        self.processes = []

    def spawn(self, *command, **kwargs):
        log = open(os.path.join(self.dir, f"log-{len(self.processes)}"), "wb")
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, **kwargs)
        log.close()
        self.processes.append(process)
        return process

    def logs(self):
        text = ""
        for number in range(len(self.processes)):
            path = os.path.join(self.dir, f"log-{number}")
            with open(path, encoding="utf-8", errors="replace") as log:
                text += f"--- {path}\n" + "".join(log.readlines()[-20:])
        return text

    def wait_for(self, what, condition):
        end = time.monotonic() + START_S
        while not condition():
            for process in self.processes:
                if process.poll() is not None:
                    raise BenchError(f"{self.name}: {process.args[0]} ended\n{self.logs()}")
            if time.monotonic() > end:
                raise BenchError(f"{self.name}: {what} did not come in {START_S} s\n{self.logs()}")
            time.sleep(0.05)

    def start(self):
        raise NotImplementedError

    def stop(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in reversed(self.processes):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdin.close()
        shutil.rmtree(self.dir, ignore_errors=True)


class Weft(Subject):
    name = "weft"

    def cli(self, *args):
        done = subprocess.run([os.path.join(BIN, "weft"), "--rundir", self.dir, *args],
                              capture_output=True, text=True, timeout=30, check=False)
        if done.returncode:
            raise BenchError(f"weft {' '.join(args)}: {done.stderr.strip()}\n{self.logs()}")
        return done.stdout

    def start_daemons(self):
        o = self.options
        self.spawn(os.path.join(BIN, "weft-datapath"), "--rundir", self.dir,
                   "--workers", str(o.subject_core), "--main-core", str(o.generator_core),
                   "--max-flows", str(max(65536, 2 * o.flows)))
        self.wait_for("datapath.sock", lambda: os.path.exists(os.path.join(self.dir, "datapath.sock")))
        self.spawn("taskset", "-c", str(o.generator_core),
                   os.path.join(BIN, "weft-agent"), "--rundir", self.dir,
                   "--config", os.path.join(self.dir, "weft.json"))
        self.wait_for("agent.sock", lambda: os.path.exists(os.path.join(self.dir, "agent.sock")))

    def start(self):
        self.start_daemons()
        self.cli("switch", "add", "bench", "fail-mode=secure")
        for number, path in enumerate(self.sockets, 1):
            self.cli("port", "add", "bench", f"p{number}", "type=vhost-user", f"path={path}",
                     f"of-port={number}")
        for rule in self.options.rule:
            self.cli("flow", "add", "bench", rule)
        self.wait_for("the ports", lambda: all(map(os.path.exists, self.sockets)))


class Testpmd(Subject):
    name = "testpmd"

    def start(self):
        o = self.options
        memory = ["--in-memory", "-m", "512"] if o.huge else \
            ["--no-huge", "-m", "512", f"--file-prefix=testpmd-{os.path.basename(self.dir)}"]
        self.spawn("dpdk-testpmd", "--lcores", f"(0)@{o.generator_core},(1)@{o.subject_core}", *memory,
                   "--no-pci", "--no-telemetry", "--no-shconf",
                   "--vdev", f"net_vhost0,iface={self.sockets[0]}",
                   "--vdev", f"net_vhost1,iface={self.sockets[1]}",
                   "--", "--forward-mode=io", "--auto-start", "--no-mlockall",
                   "--total-num-mbufs=32768", "--stats-period=0")
        self.wait_for("the sockets", lambda: all(map(os.path.exists, self.sockets)))
        time.sleep(0.5)


class Limit(Subject):
    name = "limit"

    def start(self):
        self.spawn(os.path.join(BIN, "weft-bench"), "reflect", "--core", str(self.options.subject_core),
                   "--port", self.sockets[0], "--port", self.sockets[1],
                   "--size", str(self.options.size), "--no-huge", "--memory", "64")
        self.wait_for("the sockets", lambda: all(map(os.path.exists, self.sockets)))
        time.sleep(0.5)


def run_traffic(options, subject, more=()):
    command = [*generator(options, subject, "traffic"), *more, "--rate", str(options.rate), "--seconds", str(options.seconds),
               "--warm-up", str(options.warm_up)]
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          timeout=60 + options.seconds + options.warm_up + options.flows / 2000)
    if done.returncode:
        raise BenchError(f"{subject.name}: {done.stderr.strip()}\n{subject.logs()}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def cpu_seconds(pid):
    """Processor time that a process and its threads have used."""
    total_ns = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as stat:
            total_ns += int(stat.read().split()[0])
    return total_ns / 1e9


def worker_counts(subject):
    """Packets and busy cycles of the worker."""
    (worker,) = json.loads(subject.cli("--json", "dp", "workers"))
    return worker["packets"], worker["busy_cycles"]


def generator(options, subject, command):
    """The generator's command line, without what is the command's own."""
    ports = [word for path in subject.sockets for word in ("--port", path)]
    words = [os.path.join(BIN, "weft-bench"), command, "--core", str(options.generator_core),
             *ports, "--json",
             "--size", str(options.size), "--flows", str(options.flows),
             "--memory", str(256 + options.flows // 8192)]
    return words if options.huge else [*words, "--no-huge"]

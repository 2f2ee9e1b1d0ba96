# SPDX-License-Identifier: Apache-2.0
"""Weft itself: both daemons in a private run directory, and the command line tool."""

import json as json_module
import os
import pathlib
import socket
import subprocess

from .core import ID_VARIABLE, ROOT, SANITIZER_REPORT, LabError, wait_for


class CliError(LabError):
    """The tool ended with an error; status, stdout and stderr tell which."""

    def __init__(self, argv, done):
        super().__init__(f"{' '.join(argv)} ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
        self.status = done.returncode
        self.stdout = done.stdout
        self.stderr = done.stderr


def answers(path):
    """Whether somebody accepts connections on the unix socket path."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


class Weft:
    """build: the folder of the binaries' build (WEFT_BUILD, else build/); "address" is the one with sanitizers.

    huge: None leaves it to the datapath whether it takes huge pages, False gives --no-huge.
    datapath_arguments, agent_arguments: further ones of each start. netns: the name of the namespace of both daemons.
    """

    def __init__(
        self,
        lab,
        name="weft",
        workers=None,
        main_core=None,
        huge=None,
        memory_mb=None,
        build=None,
        datapath_arguments=(),
        agent_arguments=(),
        netns=None,
    ):
        self.lab = lab
        base = pathlib.Path(os.environ.get("WEFT_BUILD", "build"))
        base = base if base.is_absolute() else ROOT / base
        self.bin = (base / build if build else base) / "bin"
        self.name = name
        self.rundir = lab.dir / name
        self.rundir.mkdir()
        self.config = lab.dir / f"{name}.json"
        self.datapath_arguments = []
        if workers is not None:
            self.datapath_arguments += ["--workers", workers]
        if main_core is not None:
            self.datapath_arguments += ["--main-core", main_core]
        if huge is False:
            self.datapath_arguments.append("--no-huge")
        if memory_mb is not None:
            self.datapath_arguments += ["--memory", memory_mb]
        self.datapath_arguments += datapath_arguments
        self.agent_arguments = list(agent_arguments)
        self.netns = netns
        self.datapath = None
        self.agent = None

    # --- daemons ---------------------------------------------------------------------------------

    def start(self):
        """Starts both daemons and waits until they serve. Returns self."""
        self.start_datapath()
        self.start_agent()
        return self

    def start_datapath(self, *arguments):
        argv = [self.bin / "weft-datapath", "--rundir", self.rundir, *self.datapath_arguments, *arguments]
        self.datapath = self._start("datapath", argv)

    def start_agent(self, *arguments):
        argv = [self.bin / "weft-agent", "--rundir", self.rundir, "--config", self.config, *self.agent_arguments]
        self.agent = self._start("agent", [*argv, *arguments])

    def _start(self, what, argv):
        process = self.lab.start(f"{self.name}-{what}", argv, netns=self.netns)
        path = self.rundir / f"{what}.sock"

        def ready():
            if not process.is_running():
                raise LabError(f"{what} ended with status {process.popen.returncode}:\n{process.log()[-4000:]}")
            return answers(path)

        wait_for(lambda: f"{what} serves:\n{process.log()[-4000:]}", ready, 30)
        return process

    def stop_agent(self):
        self.agent.stop()

    def stop_datapath(self):
        self.datapath.stop()

    def stop(self):
        """Stops both daemons; LabError unless the books balance, both end with status 0 and take their sockets with them."""
        if self.datapath is not None and self.datapath.is_running():
            self.assert_books()
        processes = [process for process in (self.agent, self.datapath) if process]
        for process in processes:
            process.stop()
        if not any(process.killed for process in processes):
            left = [str(path.relative_to(self.rundir)) for path in self.rundir.rglob("*") if path.is_socket()]
            if left:
                raise LabError(f"{self.name} left its sockets behind: {', '.join(left)}")

    def books(self):
        """(packets that came to be, packets that ended) over the whole datapath, removed ports included."""
        stats = self.cli("dp", "stats", json=True)
        born = stats["rx_packets"] + stats["made"] + stats["copied"]
        return born, stats["tx_packets"] + stats["to_agent"] + stats["dropped"] + stats["parked"]

    def assert_books(self):
        """received + made + copied = sent + to the agent + dropped + parked. A reading in the middle of traffic may be
        off by what is on its way, so it is taken again; when the datapath ends it looks for itself, with nothing on its
        way, and what it finds is an error of its process."""
        wait_for(lambda: "the books to balance: %d packets came to be, %d ended" % self.books(),
                 lambda: len(set(self.books())) == 1, 5, 0.01)

    def kill_agent(self):
        """As kill -9."""
        self.agent.kill()

    def kill_datapath(self):
        """As kill -9."""
        self.datapath.kill()

    def is_running(self):
        return all(process is not None and process.is_running() for process in (self.datapath, self.agent))

    # --- command line ----------------------------------------------------------------------------

    def run_cli(self, *arguments, input=None, timeout=30.0):
        """Runs weft ARGUMENTS; returns its subprocess.CompletedProcess whatever its status."""
        argv = [str(self.bin / "weft"), "--rundir", str(self.rundir), *(str(word) for word in arguments)]
        try:
            done = subprocess.run(
                argv,
                input=input,
                stdin=subprocess.DEVNULL if input is None else None,
                capture_output=True,
                text=True,
                timeout=timeout,
                env={**os.environ, ID_VARIABLE: self.lab.id},
            )
        except subprocess.TimeoutExpired:
            raise LabError(f"{' '.join(argv)} took more than {timeout} s") from None
        if done.returncode < 0 or SANITIZER_REPORT.search(done.stderr):
            raise CliError(argv, done)
        return done

    def cli(self, *arguments, json=False, input=None, timeout=30.0):
        """Runs weft ARGUMENTS; returns what it printed, with json=True as Python data. CliError when it fails."""
        if json:
            arguments = ("--json", *arguments)
        done = self.run_cli(*arguments, input=input, timeout=timeout)
        if done.returncode:
            raise CliError([str(word) for word in done.args], done)
        return json_module.loads(done.stdout) if json else done.stdout

    def cli_fails(self, *arguments, input=None):
        """Runs weft ARGUMENTS, which must fail as all errors do: status 1, one line on standard error; that line."""
        done = self.run_cli(*arguments, input=input)
        lines = done.stderr.splitlines()
        if done.returncode != 1 or len(lines) != 1 or done.stdout:
            raise LabError(f"not status 1 and one line of error: {done!r}")
        return lines[0]

    def vhost_path(self, port):
        """Where the socket of a vhost-user port stands by default."""
        return self.rundir / "vhost" / f"{port}.sock"

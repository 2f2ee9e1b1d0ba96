# SPDX-License-Identifier: Apache-2.0
"""Lab: the owner of everything that a run starts and makes; Process: one program that it started."""

import ctypes
import os
import pathlib
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

# Children carry the lab's id in this variable, so that those which left us (--detach) are found.
ID_VARIABLE = "WEFT_LAB"
# Also what the datapath says when packets got lost without a reason.
SANITIZER_REPORT = re.compile(
    r"the books do not balance|ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:|SUMMARY: \w+Sanitizer"
)
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    """Something that the lab started or made did not behave."""


def wait_for(what, condition, timeout=10.0, interval=0.02):
    """Calls condition() until it returns something true, and returns that. LabError names what after timeout s."""
    end = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise LabError(f"not within {timeout} s: {what() if callable(what) else what}")
        time.sleep(interval)


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A program of the lab, its output in a log file of the lab's directory."""

    def __init__(self, lab, name, argv, netns=None, env=None, stdin=subprocess.DEVNULL):
        self.lab = lab
        self.name = name
        self.argv = [str(word) for word in argv]
        self.log_path = lab.dir / f"{name}.log"
        if netns is not None:
            self.argv = ["ip", "netns", "exec", netns, *self.argv]
        with open(self.log_path, "ab") as log:
            self.popen = subprocess.Popen(
                self.argv,
                stdin=stdin,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, ID_VARIABLE: lab.id, **{k: str(v) for k, v in (env or {}).items()}},
                cwd=lab.dir,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        self.killed = False

    @property
    def pid(self):
        return self.popen.pid

    def log(self):
        return self.log_path.read_text(errors="replace")

    def is_running(self):
        return self.popen.poll() is None

    def wait(self, timeout=10.0):
        """The exit status; LabError when it still runs after timeout s."""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.name} still runs after {timeout} s") from None

    def wait_log(self, text, timeout=10.0):
        """Waits until the log holds text."""

        def there():
            if text in self.log():
                return True
            if not self.is_running():
                raise LabError(f"{self.name} ended with status {self.popen.returncode}:\n{self.log()[-4000:]}")
            return False

        wait_for(lambda: f"'{text}' in the log of {self.name}:\n{self.log()[-4000:]}", there, timeout)

    def kill(self):
        """As kill -9."""
        self.killed = True
        self.popen.kill()
        self.popen.wait(10)

    def stop(self, timeout=10.0, expect=(0,)):
        """Ends it by SIGTERM. LabError when that takes too long or the exit status is none of expect (None: any)."""
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise LabError(f"{self.name} did not stop within {timeout} s of SIGTERM") from None
        self.check(expect)

    def check(self, expect=(0,)):
        """LabError when it ended with a status that is none of expect, or a sanitizer complained."""
        report = SANITIZER_REPORT.search(self.log())
        if report:
            raise LabError(f"{self.name}: {report[0]}:\n{self.log()[report.start():][:8000]}")
        status = self.popen.returncode
        if expect is not None and not self.killed and status is not None and status not in expect:
            raise LabError(f"{self.name} ended with status {status}:\n{self.log()[-4000:]}")


class Lab:
    """Owns processes, namespaces, links and a directory; close() removes them and tells what had been left."""

    def __init__(self, id=None):
        self.id = id or secrets.token_hex(3)
        # Short: the path of a unix socket has 107 characters.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"weft-{self.id}-", dir="/tmp"))
        self.processes = []
        self._undo = []
        self._counter = 0

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        try:
            self.close()
        except LabError:
            if kind is None:
                raise

    def unique(self, stem):
        """A name of the lab's, not used before."""
        self._counter += 1
        return f"{stem}{self._counter}"

    def defer(self, undo):
        """Has undo() called when the lab closes, the last first."""
        self._undo.append(undo)

    def start(self, name, argv, netns=None, env=None, stdin=subprocess.DEVNULL, expect=(0,)):
        """Starts a program that close() stops, if need be; expect: exit statuses that it may then have (None: any)."""
        if any(process.name == name for process in self.processes):
            name = self.unique(name + "-")
        process = Process(self, name, argv, netns, env, stdin)
        self.processes.append(process)
        self.defer(lambda: process.stop(expect=expect))
        return process

    def run(self, argv, netns=None, check=True, input=None, timeout=60.0, env=None):
        """Runs a program to its end; returns its standard output and error together."""
        argv = [str(word) for word in argv]
        if netns is not None:
            argv = ["ip", "netns", "exec", netns, *argv]
        try:
            done = subprocess.run(
                argv,
                input=input,
                stdin=subprocess.DEVNULL if input is None else None,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=timeout,
                env={**os.environ, ID_VARIABLE: self.id, **(env or {})},
            )
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{' '.join(argv)} took more than {timeout} s:\n{error.stdout}") from None
        if check and done.returncode:
            raise LabError(f"{' '.join(argv)} ended with status {done.returncode}:\n{done.stdout}")
        return done.stdout

    def own_pids(self):
        """Processes of the lab that still run, by the variable in their environment."""
        mark = f"{ID_VARIABLE}={self.id}\0".encode()
        pids = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == os.getpid():
                continue
            try:
                with open(f"/proc/{entry}/environ", "rb") as environ:
                    if mark in environ.read() + b"\0":
                        pids.append(int(entry))
            except OSError:
                pass
        return pids

    def _leftovers(self):
        """Removes what should be gone by now; returns words for it."""
        left = []
        pids = self.own_pids()
        time.sleep(0.02)  # a process that is just being started shows its environment late
        for pid in sorted({*pids, *self.own_pids()}):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as cmdline:
                    left.append(f"process {pid}: {cmdline.read().replace(bytes(1), b' ').decode(errors='replace')}")
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        if not shutil.which("ip"):
            return left
        for line in subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout.splitlines():
            name = line.split()[0] if line else ""
            if self.id in name:
                left.append(f"network namespace {name}")
                subprocess.run(["ip", "netns", "del", name])
        # "N: NAME@PEER: <FLAGS> ..", with the alias, if any, behind.
        for line in subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout.splitlines():
            name = line.split(":")[1].strip().split("@")[0]
            if self.id in name or str(self.dir) in line:
                left.append(f"network device {name}")
                subprocess.run(["ip", "link", "del", name], stderr=subprocess.DEVNULL)
        return left

    def close(self):
        """Stops and removes everything. LabError with all that went wrong on the way or had been left behind."""
        problems = []
        while self._undo:
            try:
                self._undo.pop()()
            except (LabError, OSError, subprocess.SubprocessError) as error:
                problems.append(str(error))
        problems += [f"left behind: {thing}" for thing in self._leftovers()]
        shutil.rmtree(self.dir, ignore_errors=True)
        if problems:
            raise LabError("\n".join(problems))

    def logs(self, tail=6000):
        """(name, end of its log) of each process."""
        return [(process.name, process.log()[-tail:]) for process in self.processes if process.log_path.exists()]

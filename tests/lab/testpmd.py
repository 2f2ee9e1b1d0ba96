# SPDX-License-Identifier: Apache-2.0
"""dpdk-testpmd: a fast guest (virtio-user) for load, or a plain switch (net_vhost) to compare with."""

import re
import subprocess

from .core import LabError, wait_for


class Testpmd:
    """devices: --vdev values, e.g. "net_virtio_user0,path=SOCK,mac=02:00:00:00:00:01"; cores: its two lcores.

    arguments: further ones of testpmd itself, e.g. ["--forward-mode=txonly"]
    """

    __test__ = False

    def __init__(self, lab, name, devices, cores=(0, 0), arguments=(), memory_mb=64, huge=False, netns=None):
        self.name = name
        argv = ["stdbuf", "-oL", "dpdk-testpmd", "--lcores", f"(0)@{cores[0]},(1)@{cores[1]}", "--no-pci", "--no-telemetry"]
        if huge:
            argv += ["--in-memory", "--single-file-segments"]
        else:
            argv += ["--no-huge", "-m", memory_mb, "--file-prefix", f"weft-{lab.id}-{name}"]
        for device in devices:
            argv += ["--vdev", device]
        argv += ["--", "-i", "--total-num-mbufs=4096", "--no-mlockall", *arguments]
        environment = {"XDG_RUNTIME_DIR": str(lab.dir), "RUNTIME_DIRECTORY": str(lab.dir)}
        self.process = lab.start(name, argv, netns=netns, stdin=subprocess.PIPE, env=environment, expect=None)
        self.process.wait_log("testpmd>", 30)

    def command(self, text, timeout=10.0):
        """Types a command; returns what is printed until the next prompt."""
        before = len(self.process.log())
        self.process.popen.stdin.write(f"{text}\n".encode())
        self.process.popen.stdin.flush()

        def answered():
            if not self.process.is_running():
                raise LabError(f"{self.name} ended:\n{self.process.log()[-3000:]}")
            return self.process.log()[before:].rstrip().endswith("testpmd>")

        wait_for(lambda: f"an answer of {self.name} to '{text}'", answered, timeout)
        return self.process.log()[before:]

    def stats(self, port=0):
        """Counters of a port by testpmd's names: RX-packets, TX-packets, RX-missed .."""
        text = self.command(f"show port stats {port}")
        return {name: int(value) for name, value in re.findall(r"([RT]X-[a-z]+): *(\d+)", text)}

    def stop(self):
        self.process.stop(expect=None)

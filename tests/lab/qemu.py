# SPDX-License-Identifier: Apache-2.0
"""Virtual machines: the image of utilities/demo/guest-image in QEMU, its network over vhost-user."""

import base64
import socket
import time

from .core import ROOT, LabError, wait_for

IMAGE = ROOT / "build/guest"
PUT_CHUNK = 2048


class GuestError(LabError):
    """A command in a guest failed."""

    def __init__(self, guest, command, status, output):
        super().__init__(f"{guest}: '{command}' ended with status {status}:\n{output}")
        self.status = status
        self.output = output


class Nic:
    """A virtio-net device over the vhost-user socket path. server: QEMU listens there, else it connects.

    features: further properties of the device, such as "mrg_rxbuf=off"
    """

    def __init__(self, path, mac, server=False, queues=1, features=""):
        self.path = path
        self.mac = mac
        self.server = server
        self.queues = queues
        self.features = features

    def arguments(self, index):
        role = "server=on,wait=off" if self.server else "reconnect=1"
        queues = f",queues={self.queues}" if self.queues > 1 else ""
        # vectors=0: QEMU 7.2 crashes under TCG with vhost-user and MSI-X.
        device = f"virtio-net-pci,netdev=n{index},mac={self.mac},vectors=0"
        if self.queues > 1:
            device += ",mq=on"
        if self.features:
            device += "," + self.features
        return [
            "-chardev", f"socket,id=c{index},path={self.path},{role}",
            "-netdev", f"vhost-user,id=n{index},chardev=c{index}{queues}",
            "-device", device,
        ]  # fmt: skip


class QemuGuest:
    """A guest; the constructor starts it, boot() waits until it takes commands.

    ip: "ADDRESS/LENGTH" of eth0, or a list for eth0, eth1 ..
    """

    def __init__(self, lab, name, nics, ip=None, memory_mb=256, cpus=1, ipv6=False, mtu=None):
        self.lab = lab
        self.name = name
        kernel, initramfs = IMAGE / "vmlinuz", IMAGE / "initramfs.gz"
        if not (kernel.exists() and initramfs.exists()):
            raise LabError(f"no guest image in {IMAGE}; run utilities/demo/guest-image")
        words = ["console=ttyS0", "quiet", "panic=-1", "nokaslr", "mitigations=off", "random.trust_cpu=on"]
        words += [] if ipv6 else ["ipv6.disable=1"]
        for index, address in enumerate([ip] if isinstance(ip, str) else ip or []):
            words.append(f"weft.ip{index or ''}={address}")
        words += [f"weft.mtu={mtu}"] if mtu else []
        self.console_path = lab.dir / f"{name}.console"
        argv = [
            "qemu-system-x86_64", "-name", name, "-machine", "pc,accel=tcg", "-smp", cpus, "-m", f"{memory_mb}M",
            "-object", f"memory-backend-memfd,id=mem,size={memory_mb}M,share=on", "-numa", "node,memdev=mem",
            "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-serial", f"file:{lab.dir / name}.serial", "-monitor", "none",
            "-chardev", f"socket,id=console,path={self.console_path},server=on,wait=off,logfile={lab.dir / name}.log",
            "-device", "virtio-serial-pci,vectors=0", "-device", "virtconsole,chardev=console",
            "-kernel", kernel, "-initrd", initramfs, "-append", " ".join(words),
        ]  # fmt: skip
        for index, nic in enumerate(nics):
            argv += nic.arguments(index)
        self.process = lab.start(f"qemu-{name}", argv, expect=None)
        self._console = None
        self._input = b""
        self._serial = 0

    def boot(self, timeout=60.0):
        """Waits until the guest takes commands. Returns the guest."""
        log = self.lab.dir / f"{self.name}.log"

        def ready():
            if not self.process.is_running():
                raise LabError(f"QEMU of {self.name} ended: {self.process.log()[-3000:]}")
            return log.exists() and b"guest ready" in log.read_bytes()

        wait_for(
            lambda: f"{self.name} is up:\n{log.read_text(errors='replace')[-3000:] if log.exists() else ''}",
            ready,
            timeout,
            0.05,
        )
        self._console = socket.socket(socket.AF_UNIX)
        self._console.connect(str(self.console_path))
        self.lab.defer(self._console.close)
        return self

    def run(self, command, timeout=30.0, check=True):
        """Runs a shell command line in the guest; returns its output. GuestError when it fails, unless check=False."""
        status, output = self.status(command, timeout)
        if check and status:
            raise GuestError(self.name, command, status, output)
        return output

    def status(self, command, timeout=30.0):
        """Runs a shell command line in the guest; returns its exit status and output."""
        self._serial += 1
        mark = f"--{self.lab.id}-{self._serial}--"
        # The mark is put together by the guest's shell, so that it never stands in what is sent.
        text = f"( {command}\n) </dev/null; status=$?; echo; echo '{mark[:2]}''{mark[2:]}' $status\n"
        self._console.sendall(text.encode())
        answer = self._read_until(mark.encode(), command, timeout)
        status = self._read_until(b"\n", command, timeout)
        output = answer[:-1] if answer.endswith(b"\n") else answer
        return int(status), output.decode(errors="replace")

    def start(self, command):
        """Starts a command in the guest's background; returns the file in the guest that takes its output."""
        self._serial += 1
        log = f"/tmp/out{self._serial}"
        self.run(f"( {command} ) >{log} 2>&1 & echo $! >{log}.pid")
        return log

    def wait(self, log, timeout=30.0):
        """Waits for the end of what start() started; returns its output."""
        self.run(f"while kill -0 $(cat {log}.pid) 2>/dev/null; do usleep 20000; done", timeout)
        return self.run(f"cat {log}")

    def receive_tcp(self, port, path="/tmp/received"):
        """Starts to take one TCP connection on port into the guest's file path; wait() for what this returns."""
        log = self.start(f"tcp-receive {port} {path}")
        self.run(f"until netstat -ltn | grep -q ':{port} '; do usleep 20000; done")
        return log

    def send_tcp(self, address, port, path, timeout=120.0):
        """Sends the guest's file path over a TCP connection; returns when the other end has closed too."""
        self.run(f"nc {address} {port} <{path}", timeout)

    def put(self, path, data):
        """Writes data into the guest's file path."""
        self.run(f": >{path}")
        for offset in range(0, len(data), PUT_CHUNK):
            text = base64.b64encode(data[offset : offset + PUT_CHUNK]).decode()
            self.run(f"echo {text} | base64 -d >>{path}")

    def get(self, path):
        """The content of the guest's file path."""
        return base64.b64decode(self.run(f"base64 {path}", timeout=120))

    def stop(self):
        """Takes the power away."""
        self.process.stop(expect=None)

    def _read_until(self, mark, command, timeout):
        end = time.monotonic() + timeout
        while mark not in self._input:
            self._console.settimeout(max(end - time.monotonic(), 0.001))
            try:
                data = self._console.recv(65536)
            except (TimeoutError, socket.timeout):
                raise LabError(f"{self.name}: no answer to '{command}' within {timeout} s: {self._input!r}") from None
            if not data:
                raise LabError(f"{self.name} went away during '{command}': {self.process.log()[-3000:]}")
            self._input += data
        before, self._input = self._input.split(mark, 1)
        return before

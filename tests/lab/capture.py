# SPDX-License-Identifier: Apache-2.0
"""weft capture as a process of the lab, and pcapng files taken apart block by block."""

import dataclasses
import signal
import struct

from .core import LabError

SECTION, INTERFACE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 5, 6
IN, OUT = 1, 2


@dataclasses.dataclass
class Packet:
    time_ns: int
    data: bytes
    len: int
    direction: int
    lost: int
    comment: str


def _options(data):
    options = {}
    while data:
        code, length = struct.unpack_from("=HH", data)
        if code == 0:
            break
        options[code] = data[4 : 4 + length]
        data = data[4 + (length + 3 & ~3) :]
    return options


class Pcapng:
    """interface: options of the interface block by code; packets; statistics: as interface, None while there are none."""

    def __init__(self, data):
        self.packets = []
        self.statistics = None
        at = 0
        kinds = []
        while at < len(data):
            kind, size = struct.unpack_from("=II", data, at)
            if size % 4 or struct.unpack_from("=I", data, at + size - 4)[0] != size:
                raise LabError(f"pcapng: block {kind:#x} at {at}: sizes disagree")
            body = data[at + 8 : at + size - 4]
            kinds.append(kind)
            if kind == INTERFACE:
                self.linktype, self.snaplen = struct.unpack_from("=HxxI", body)
                self.interface = _options(body[8:])
            elif kind == PACKET:
                self._packet(body)
            elif kind == STATISTICS:
                self.statistics = _options(body[12:])
            at += size
        if kinds[:2] != [SECTION, INTERFACE]:
            raise LabError(f"pcapng begins with blocks {kinds[:2]}")

    def _packet(self, body):
        _, high, low, caplen, length = struct.unpack_from("=IIIII", body)
        options = _options(body[20 + (caplen + 3 & ~3) :])
        self.packets.append(
            Packet(
                high << 32 | low,
                body[20 : 20 + caplen],
                length,
                struct.unpack("=I", options[2])[0] & 3,
                struct.unpack("=Q", options[4])[0] if 4 in options else 0,
                options.get(1, b"").decode(),
            )
        )

    def count(self, code):
        """A counter of the statistics."""
        return struct.unpack("=Q", self.statistics[code])[0]

    received = property(lambda self: self.count(4))
    lost = property(lambda self: self.count(5))
    accepted = property(lambda self: self.count(6))
    delivered = property(lambda self: self.count(8))

    @property
    def why(self):
        return self.statistics.get(1, b"").decode()


class Capture:
    """weft capture WORDS into a file, running; stop() as Ctrl-C does."""

    def __init__(self, weft, port, *words, text=False):
        lab = weft.lab
        name = lab.unique("capture")
        self.path = lab.dir / f"{name}.pcapng"
        words = words if text else ("-w", self.path, *words)
        argv = [weft.bin / "weft", "--rundir", weft.rundir, "capture", port, *words]
        self.process = lab.start(name, argv, expect=None)
        self.process.wait_log("capturing on")

    def stop(self, timeout=10.0):
        self.process.popen.send_signal(signal.SIGINT)
        return self.wait(timeout)

    def wait(self, timeout=10.0, status=0):
        """Its end; returns the file's Pcapng."""
        ended = self.process.wait(timeout)
        self.process.check((ended,))
        if ended != status:
            raise LabError(f"weft capture ended with status {ended}:\n{self.process.log()}")
        return Pcapng(self.path.read_bytes()) if self.path.exists() else None

    def log(self):
        return self.process.log()

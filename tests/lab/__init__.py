# SPDX-License-Identifier: Apache-2.0
"""Daemons, namespaces, guests and controllers for tests, demo and benchmarks.

A Lab owns all that a run starts or makes, names it with its own id, and removes it:

    with Lab() as lab:
        weft = Weft(lab).start()
        weft.cli("switch", "add", "br0")
        host = Netns(lab, "h1")
"""

from .capture import Capture, Pcapng
from .core import Lab, LabError, Process, ROOT, wait_for
from .net import Netns, PacketPort
from .openflow import OpenVSwitch, OsKen, RawController, TestController, free_port, ovs_ofctl
from .qemu import GuestError, Nic, QemuGuest
from .testpmd import Testpmd
from .twins import Twins, normalise
from .vhost import VhostGuest
from .weft import CliError, Weft

__all__ = [
    "Capture",
    "CliError",
    "GuestError",
    "Lab",
    "LabError",
    "Netns",
    "Nic",
    "OpenVSwitch",
    "OsKen",
    "PacketPort",
    "Pcapng",
    "Process",
    "QemuGuest",
    "ROOT",
    "RawController",
    "TestController",
    "Testpmd",
    "Twins",
    "VhostGuest",
    "Weft",
    "free_port",
    "normalise",
    "ovs_ofctl",
    "wait_for",
]

# SPDX-License-Identifier: Apache-2.0
"""Network namespaces, and packet sockets in them that send and receive frames byte for byte."""

import ctypes
import os
import select
import socket
import struct
import threading

from .frames import FrameQueue

CLONE_NEWNET = 0x40000000
SOL_PACKET = 263
PACKET_AUXDATA = 8
PACKET_OUTGOING = 4
PACKET_IGNORE_OUTGOING = 23
SO_RCVBUFFORCE = 33
TP_STATUS_VLAN_VALID = 1 << 4
TP_STATUS_VLAN_TPID_VALID = 1 << 6
ETH_P_ALL = 3
_libc = ctypes.CDLL(None, use_errno=True)


def _socket_in(netns, *arguments):
    """A socket of the namespace: a thread enters it, since a thread that has entered one cannot go back."""
    made = []

    def work():
        fd = os.open(f"/run/netns/{netns}", os.O_RDONLY)
        try:
            if _libc.setns(fd, CLONE_NEWNET):
                made.append(OSError(ctypes.get_errno(), f"setns {netns}"))
            else:
                made.append(socket.socket(*arguments))
        except OSError as error:
            made.append(error)
        finally:
            os.close(fd)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


class Netns:
    """A network namespace with the lab's id in its name."""

    def __init__(self, lab, stem, ipv6=False):
        self.lab = lab
        self.name = f"w{lab.id}-{stem}"
        lab.run(["ip", "netns", "add", self.name])
        lab.defer(self.remove)
        self.run("ip", "link", "set", "lo", "up")
        if not ipv6:
            self.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")

    def remove(self):
        if self.name and os.path.exists(f"/run/netns/{self.name}"):
            for pid in self.lab.run(["ip", "netns", "pids", self.name], check=False).split():
                if int(pid) in self.lab.own_pids():
                    os.kill(int(pid), 9)
            self.lab.run(["ip", "netns", "del", self.name])

    def run(self, *argv, **options):
        """Runs a program in the namespace to its end; returns what it printed."""
        return self.lab.run(argv, netns=self.name, **options)

    def start(self, *argv, name=None, **options):
        """Starts a program in the namespace."""
        return self.lab.start(name or self.lab.unique(f"{self.name}-"), argv, netns=self.name, **options)

    def socket(self, *arguments):
        """A Python socket of this namespace."""
        return _socket_in(self.name, *arguments)

    def packets(self, ifname):
        """A packet socket on an interface of this namespace."""
        return PacketPort(self.lab, ifname, self.name)

    def has_link(self, ifname):
        return f" {ifname}" in self.run("ip", "-o", "link", "show", "dev", ifname, check=False).replace("@", " ")

    def veth(self, ifname, peer, peer_netns=None):
        """A veth pair: ifname here, peer in the Netns peer_netns (None: the machine's own)."""
        where = ["netns", peer_netns.name] if peer_netns else ["netns", "1"]
        self.run("ip", "link", "add", ifname, "type", "veth", "peer", "name", peer, *where)
        self.run("ip", "link", "set", ifname, "up")


class PacketPort(FrameQueue):
    """Sends frames on a kernel interface, and keeps those that come in, VLAN tags in their place."""

    def __init__(self, lab, ifname, netns=None):
        arguments = (socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        super().__init__(ifname)
        self.ifname = ifname
        self.socket = _socket_in(netns, *arguments) if netns else socket.socket(*arguments)
        self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        self.socket.bind((ifname, ETH_P_ALL))
        self._end_read, self._end_write = os.pipe()
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()
        lab.defer(self.close)

    def close(self):
        if self.socket.fileno() >= 0:
            os.close(self._end_write)
            self._thread.join()
            os.close(self._end_read)
            self.socket.close()

    def send(self, *frames):
        """Sends frames (bytes, or scapy packets)."""
        for frame in frames:
            self.socket.send(bytes(frame))

    def _collect(self):
        poller = select.poll()
        poller.register(self.socket.fileno(), select.POLLIN)
        poller.register(self._end_read, select.POLLIN | select.POLLHUP)
        while True:
            if any(fd == self._end_read for fd, _ in poller.poll()):
                return
            try:
                data, control, _, address = self.socket.recvmsg(1 << 17, socket.CMSG_SPACE(20), socket.MSG_DONTWAIT)
            except (BlockingIOError, InterruptedError):
                continue
            except OSError:
                # ENETDOWN when the interface goes down: once; the socket serves on when it comes back.
                continue
            if address[2] == PACKET_OUTGOING:
                continue
            self._put(_restore_tag(data, control))


def _restore_tag(data, control):
    """Puts the outer VLAN tag back, which the kernel takes off into the auxiliary data."""
    for level, kind, value in control:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH", value[:20])
            if status & TP_STATUS_VLAN_VALID:
                if not status & TP_STATUS_VLAN_TPID_VALID:
                    tpid = 0x8100
                return data[:12] + struct.pack("!HH", tpid, tci) + data[12:]
    return data

# SPDX-License-Identifier: Apache-2.0
"""A vhost-user guest in Python: exact about what it sends and sees, starts in milliseconds, sleeps when idle.

It plays both QEMU (the messages on the socket) and the guest's virtio-net driver (split rings in a shared memfd).

    guest = VhostGuest(lab, path).open()
    guest.send(frame)
    assert guest.receive() == frame
"""

import collections
import mmap
import os
import select
import socket
import struct
import threading
import time

from .core import LabError, wait_for
from .frames import FrameQueue

# virtio 1.1 s.5.1.3, s.6
F_CSUM = 1 << 0
F_GUEST_CSUM = 1 << 1
F_GUEST_TSO4 = 1 << 7
F_GUEST_TSO6 = 1 << 8
F_HOST_TSO4 = 1 << 11
F_HOST_TSO6 = 1 << 12
F_MRG_RXBUF = 1 << 15
F_STATUS = 1 << 16
F_MQ = 1 << 22
F_PROTOCOL_FEATURES = 1 << 30
F_VERSION_1 = 1 << 32
PROTOCOL_F_MQ = 1 << 0
PROTOCOL_F_REPLY_ACK = 1 << 3

# vhost-user messages
GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 1, 2, 3, 5
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE = 8, 9, 10, 11
SET_VRING_KICK, SET_VRING_CALL = 12, 13
GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM, SET_VRING_ENABLE = 15, 16, 17, 18
VERSION, REPLY, NEED_REPLY = 1, 4, 8

DESC_NEXT, DESC_WRITE = 1, 2
USED_NO_NOTIFY = 1
BUFFER = 2048
USER_BASE = 0x100000000  # where the guest's memory stands in our pretended address space
HEADER = 12  # of virtio-net, with VERSION_1 or MRG_RXBUF


class _Ring:
    """One split ring with a buffer for each descriptor, all inside the guest's memory at offset."""

    def __init__(self, memory, offset, size):
        self.memory = memory
        self.size = size
        self.desc = offset
        self.avail = self.desc + 16 * size
        self.used = (self.avail + 6 + 2 * size + 4095) & ~4095
        self.buffers = (self.used + 6 + 8 * size + 4095) & ~4095
        self.end = self.buffers + BUFFER * size
        self.avail_idx = 0
        self.used_idx = 0
        self.free = collections.deque(range(size))
        self.kick = os.eventfd(0, os.EFD_NONBLOCK)
        self.call = os.eventfd(0, os.EFD_NONBLOCK)

    def put(self, format, offset, *values):
        struct.pack_into(format, self.memory, offset, *values)

    def get(self, format, offset):
        return struct.unpack_from(format, self.memory, offset)

    def buffer(self, index):
        return self.buffers + BUFFER * index

    def describe(self, index, address, len, flags=0, next=0):
        self.put("<QIHH", self.desc + 16 * index, address, len, flags, next)

    def offer(self, head):
        """Makes the chain that begins with descriptor head available."""
        self.put("<H", self.avail + 4 + 2 * (self.avail_idx % self.size), head)
        self.avail_idx = (self.avail_idx + 1) & 0xFFFF
        # In one store: pack_into() would clear it first, and the switch may look at any time.
        self.memory[self.avail + 2 : self.avail + 4] = self.avail_idx.to_bytes(2, "little")

    def wants_kick(self):
        return not self.get("<H", self.used)[0] & USED_NO_NOTIFY

    def done(self):
        """(head, bytes written) of the chains that the device has used since the last call."""
        while self.used_idx != self.get("<H", self.used + 2)[0]:
            yield self.get("<II", self.used + 4 + 8 * (self.used_idx % self.size))
            self.used_idx = (self.used_idx + 1) & 0xFFFF

    def close(self):
        os.close(self.kick)
        os.close(self.call)


class VhostGuest(FrameQueue):
    """server: the guest listens on path and the switch connects, else the other way round.

    features: what the guest accepts out of what it is offered (a mask of F_*).
    """

    def __init__(self, lab, path, server=False, pairs=1, size=256, features=F_MRG_RXBUF | F_VERSION_1 | F_STATUS | F_MQ):
        super().__init__(str(path))
        self.lab = lab
        self.path = str(path)
        self.server = server
        self.pairs = pairs
        self.size = size
        self.wanted = features | F_PROTOCOL_FEATURES
        self.offered = 0
        self.features = 0
        self.socket = None
        self.rings = []
        self._listener = None
        self._memory = None
        self._memory_fd = -1
        self._thread = None
        self._deferred = False

    # --- life ------------------------------------------------------------------------------------

    def listen(self):
        """As a server: opens the socket, so that the switch can connect before open() is called."""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(1)

    def open(self, timeout=10.0):
        """Connects and brings the device up. Returns the guest."""
        if self.server:
            if not self._listener:
                self.listen()
            self._listener.settimeout(timeout)
            self.socket, _ = self._listener.accept()
        else:
            self.socket = wait_for(f"a listener on {self.path}", self._try_connect, timeout)
        self.socket.settimeout(timeout)
        if not self._deferred:
            self._deferred = True
            self.lab.defer(self.close)
        self._negotiate()
        self._share_memory()
        for index, ring in enumerate(self.rings):
            self._start_ring(index, ring)
        for index in range(len(self.rings)):
            self._send(SET_VRING_ENABLE, struct.pack("<II", index, 1))
        self._ask(GET_FEATURES)  # messages are handled in order: now the switch has brought the device up
        self._end_read, self._end_write = os.pipe()
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()
        return self

    def _try_connect(self):
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(self.path)
            return connection
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            return None

    def close(self):
        """Goes away without a word, as a guest that is killed does."""
        if self._thread:
            os.close(self._end_write)
            self._thread.join()
            os.close(self._end_read)
            self._thread = None
        if self.socket:
            self.socket.close()
            self.socket = None
        if self._listener:
            self._listener.close()
            self._listener = None
            if os.path.exists(self.path):
                os.unlink(self.path)
        for ring in self.rings:
            ring.close()
        self.rings = []
        if self._memory:
            self._memory.close()
            os.close(self._memory_fd)
            self._memory = None

    def stop(self):
        """Goes away as a guest that shuts down does: each ring is stopped, then the socket closed."""
        for index in range(len(self.rings)):
            self._send(SET_VRING_ENABLE, struct.pack("<II", index, 0))
            self.stop_ring(index)
        self.close()

    def stop_ring(self, index):
        """Stops a ring (2 * pair: the switch's output, 2 * pair + 1: its input); returns where the switch stood."""
        return struct.unpack("<II", self._ask(GET_VRING_BASE, struct.pack("<II", index, 0)))[1]

    def is_connected(self):
        """Whether the switch still holds its end of the socket."""
        poller = select.poll()
        poller.register(self.socket.fileno(), select.POLLIN | select.POLLRDHUP)
        return not any(event & (select.POLLRDHUP | select.POLLHUP) for _, event in poller.poll(0))

    # --- messages --------------------------------------------------------------------------------

    def _send(self, request, payload=b"", fds=(), flags=0):
        header = struct.pack("<III", request, VERSION | flags, len(payload))
        socket.send_fds(self.socket, [header + payload], list(fds))

    def _receive(self, request):
        header = self._receive_exactly(12)
        answer, flags, size = struct.unpack("<III", header)
        if answer != request or not flags & REPLY:
            raise LabError(f"answer to vhost-user message {request}: {header.hex()}")
        return self._receive_exactly(size)

    def _receive_exactly(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise LabError(f"{self.path}: the switch closed the connection")
            data += part
        return data

    def _ask(self, request, payload=b""):
        self._send(request, payload)
        return self._receive(request)

    def _tell(self, request, payload, fds=()):
        """Sends a message and waits until it has been acted on, if the switch can tell."""
        if self._reply_ack:
            self._send(request, payload, fds, NEED_REPLY)
            if struct.unpack("<Q", self._receive(request))[0]:
                raise LabError(f"{self.path}: vhost-user message {request} was refused")
        else:
            self._send(request, payload, fds)

    def _negotiate(self):
        self._reply_ack = False
        self._send(SET_OWNER)
        self.offered = struct.unpack("<Q", self._ask(GET_FEATURES))[0]
        self.features = self.offered & self.wanted
        self.max_pairs = 1
        if self.features & F_PROTOCOL_FEATURES:
            protocol = struct.unpack("<Q", self._ask(GET_PROTOCOL_FEATURES))[0]
            protocol &= PROTOCOL_F_MQ | PROTOCOL_F_REPLY_ACK
            self._send(SET_PROTOCOL_FEATURES, struct.pack("<Q", protocol))
            self._reply_ack = bool(protocol & PROTOCOL_F_REPLY_ACK)
            if protocol & PROTOCOL_F_MQ:
                self.max_pairs = struct.unpack("<Q", self._ask(GET_QUEUE_NUM))[0]
        if self.pairs > self.max_pairs:
            raise LabError(f"{self.path} has {self.max_pairs} queue pairs, not {self.pairs}")
        self._send(SET_FEATURES, struct.pack("<Q", self.features))

    def _share_memory(self):
        size = 0
        for _ in range(2 * self.pairs):
            probe = _Ring(None, size, self.size)
            size = (probe.end + 4095) & ~4095
            probe.close()
        self.memory_size = size
        self._memory_fd = os.memfd_create("guest")
        os.ftruncate(self._memory_fd, size)
        self._memory = mmap.mmap(self._memory_fd, size)
        self.rings = []
        offset = 0
        for _ in range(2 * self.pairs):
            ring = _Ring(self._memory, offset, self.size)
            offset = (ring.end + 4095) & ~4095
            self.rings.append(ring)
        region = struct.pack("<IIQQQQ", 1, 0, 0, size, USER_BASE, 0)
        self._tell(SET_MEM_TABLE, region, [self._memory_fd])

    def _start_ring(self, index, ring):
        if index % 2 == 0:
            for head in range(ring.size):
                ring.describe(head, ring.buffer(head), BUFFER, DESC_WRITE)
                ring.offer(head)
        self._send(SET_VRING_NUM, struct.pack("<II", index, ring.size))
        self._send(SET_VRING_BASE, struct.pack("<II", index, 0))
        addresses = [USER_BASE + ring.desc, USER_BASE + ring.used, USER_BASE + ring.avail, 0]
        self._send(SET_VRING_ADDR, struct.pack("<IIQQQQ", index, 0, *addresses))
        self._send(SET_VRING_CALL, struct.pack("<Q", index), [ring.call])
        self._tell(SET_VRING_KICK, struct.pack("<Q", index), [ring.kick])

    # --- frames ----------------------------------------------------------------------------------

    @property
    def header_size(self):
        return HEADER if self.features & (F_MRG_RXBUF | F_VERSION_1) else 10

    def send(self, *frames, pair=0, header=None, timeout=5.0):
        """Sends frames (bytes, or scapy packets). header: the virtio-net header before each (all zero by default)."""
        ring = self.rings[2 * pair + 1]
        header = (header or b"").ljust(self.header_size, b"\0")
        for frame in frames:
            data = header + bytes(frame)
            needed = -(-len(data) // BUFFER)
            if len(ring.free) < needed:
                self._reclaim(ring, needed, timeout)
            heads = [ring.free.popleft() for _ in range(needed)]
            for position, head in enumerate(heads):
                part = data[position * BUFFER : (position + 1) * BUFFER]
                ring.memory[ring.buffer(head) : ring.buffer(head) + len(part)] = part
                last = position + 1 == needed
                ring.describe(head, ring.buffer(head), len(part), 0 if last else DESC_NEXT, 0 if last else heads[position + 1])
            ring.offer(heads[0])
            self.kick(ring)
            if ring.avail_idx % 16 == 0:
                time.sleep(0)  # lets receiving threads of this process run

    def kick(self, ring, force=False):
        """Wakes the switch for a ring, if it asked for that."""
        if force or ring.wants_kick():
            os.eventfd_write(ring.kick, 1)

    def _reclaim(self, ring, needed, timeout):
        def enough():
            for head, _ in ring.done():
                while True:
                    _, _, flags, next = ring.get("<QIHH", ring.desc + 16 * head)
                    ring.free.append(head)
                    if not flags & DESC_NEXT:
                        break
                    head = next
            return len(ring.free) >= needed

        wait_for(f"room for a frame in the transmit ring of {self.path}", enough, timeout, 0.0005)

    def _collect(self):
        poller = select.poll()
        poller.register(self._end_read, select.POLLIN | select.POLLHUP)
        receiving = {}
        for pair in range(self.pairs):
            poller.register(self.rings[2 * pair].call, select.POLLIN)
            receiving[self.rings[2 * pair].call] = pair
        while True:
            events = poller.poll()
            if any(fd == self._end_read for fd, _ in events):
                return
            for fd, _ in events:
                try:
                    os.eventfd_read(fd)
                except BlockingIOError:
                    pass
                self._take(receiving[fd])

    def _take(self, pair):
        ring = self.rings[2 * pair]
        missing = 0
        parts = []
        for head, written in ring.done():
            data = bytes(ring.memory[ring.buffer(head) : ring.buffer(head) + min(written, BUFFER)])
            if not missing:
                header, parts = data[: self.header_size], [data[self.header_size :]]
                missing = struct.unpack_from("<H", header, 10)[0] if self.features & F_MRG_RXBUF else 1
            else:
                parts.append(data)
            missing -= 1
            ring.offer(head)
            if not missing:
                self._put(b"".join(parts), (pair, header))
        self.kick(ring)

# SPDX-License-Identifier: Apache-2.0
"""Frames that came in: what every instrument that receives has in common."""

import collections
import threading
import time

from .core import LabError


class FrameQueue:
    """A collecting thread puts frames in with _put(); whoever tests takes them out."""

    def __init__(self, where):
        self._where = where
        self._frames = collections.deque()
        self._news = threading.Condition()

    def _put(self, frame, origin=None):
        with self._news:
            self._frames.append((frame, origin))
            self._news.notify_all()

    def receive(self, timeout=3.0, accept=None):
        """The next frame (that accept(frame) takes; others are thrown away). LabError after timeout s."""
        frame = self.poll(timeout, accept)
        if frame is None:
            raise LabError(f"no frame came in on {self._where} within {timeout} s")
        return frame

    def poll(self, timeout=0.0, accept=None):
        """As receive(), but None after timeout s."""
        found = self.poll_with_origin(timeout, accept)
        return found[0] if found else None

    def poll_with_origin(self, timeout=0.0, accept=None):
        """(frame, what the instrument tells of where it came in), or None after timeout s."""
        end = time.monotonic() + timeout
        with self._news:
            while True:
                while self._frames:
                    found = self._frames.popleft()
                    if accept is None or accept(found[0]):
                        return found
                left = end - time.monotonic()
                if left <= 0 or not self._news.wait(left):
                    return None

    def receive_all(self, quiet=0.3, timeout=10.0):
        """All frames until none has come for quiet s."""
        frames = []
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            frame = self.poll(quiet)
            if frame is None:
                break
            frames.append(frame)
        return frames

    def flush(self):
        """Forgets what came in so far."""
        with self._news:
            self._frames.clear()

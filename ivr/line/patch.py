"""Patches: a leg here and a leg of another line process exchange 20 ms PCM frames over a Unix socket, ring to ring.

All of it runs in the hearing thread; other threads only append to `requests`. The socket is SOCK_SEQPACKET: the first
packet is the token, every other one a frame. A receiver holds at most two frames, so a patch adds 40 ms at most; what
comes beyond that, or does not fit the socket, is dropped. Either end closing frees both.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from ivr.line.messages import FRAME_BYTES, Bridged, Event, Failure
from ivr.line.messages import Patch as PatchCommand

RING_FRAMES = 2
MEET_S = 5.0
MAX_STRANGERS = 16


class Patched(Protocol):
    """The end of a patch that is a leg."""

    leg: int

    def patch_opened(self, link: Link) -> None:
        """Audio flows through `link` from now on."""

    def patch_closed(self, link: Link) -> None:
        """The other end has gone."""


class Link:
    """One connection. `incoming` is read by the media clock."""

    def __init__(self, connection: socket.socket) -> None:
        self.incoming: deque[bytes] = deque(maxlen=RING_FRAMES)
        self.connection = connection
        self.leg: Patched | None = None
        self.token = ""
        self.since_s = time.monotonic()

    def send(self, frame: bytes) -> None:
        """Pass a captured frame on; dropped when the other end does not read."""
        with contextlib.suppress(OSError):
            self.connection.send(frame)


class PatchBoard:
    """Accepts, opens and closes links. `emit` gets Bridged and Failure."""

    def __init__(self, path: str, emit: Callable[[Event], None], selector: selectors.BaseSelector) -> None:
        self.requests: deque[tuple[PatchCommand, Patched] | Patched] = deque()
        self._emit = emit
        self._selector = selector
        self._path = path
        self._links: set[Link] = set()
        self._awaited: dict[str, tuple[Patched, float]] = {}
        self._listener: socket.socket | None = None
        if path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
            self._listener.bind(path)
            os.chmod(path, 0o600)
            self._listener.listen(MAX_STRANGERS)
            selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def handle_requests(self) -> None:
        """Do what other threads asked for, and give up on ends that never met."""
        while self.requests:
            request = self.requests.popleft()
            if isinstance(request, tuple):
                self._open(*request)
            else:
                self._release(request)
        now = time.monotonic()
        for token, (leg, since_s) in list(self._awaited.items()):
            if now - since_s > MEET_S:
                del self._awaited[token]
                self._emit(Failure("patch: the other end did not come", leg.leg))
        for link in [k for k in self._links if k.leg is None and now - k.since_s > MEET_S]:
            self._close(link)

    def close(self) -> None:
        for link in list(self._links):
            self._close(link)
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            with contextlib.suppress(OSError):
                os.unlink(self._path)

    def _open(self, command: PatchCommand, leg: Patched) -> None:
        self._release(leg)
        if not command.connect:
            for link in self._links:
                if link.leg is None and link.token == command.token:
                    self._join(link, leg)
                    return
            self._awaited[command.token] = (leg, time.monotonic())
            return
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            connection.connect(command.path)
            connection.send(command.token.encode())
        except OSError as error:
            connection.close()
            self._emit(Failure(f"patch: {error.strerror}", leg.leg))
            return
        self._join(self._add(connection), leg)

    def _add(self, connection: socket.socket) -> Link:
        link = Link(connection)
        self._links.add(link)
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._read(link))
        return link

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            if sum(link.leg is None for link in self._links) >= MAX_STRANGERS:
                connection.close()
                return
            self._add(connection)

    def _read(self, link: Link) -> None:
        try:
            packet = link.connection.recv(FRAME_BYTES + 1)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        if not packet:
            self._close(link)
        elif link.leg is not None:
            if len(packet) == FRAME_BYTES:
                link.incoming.append(packet)
        elif not link.token:
            link.token = packet.decode("ascii", "replace")
            if link.token in self._awaited:
                leg, _ = self._awaited.pop(link.token)
                self._join(link, leg)

    def _join(self, link: Link, leg: Patched) -> None:
        link.leg = leg
        leg.patch_opened(link)
        self._emit(Bridged(leg.leg))

    def _release(self, leg: Patched) -> None:
        self._awaited = {t: a for t, a in self._awaited.items() if a[0] is not leg}
        for link in [k for k in self._links if k.leg is leg]:
            self._close(link)

    def _close(self, link: Link) -> None:
        self._links.discard(link)
        self._selector.unregister(link.connection)
        link.connection.close()
        if link.leg is not None:
            link.leg.patch_closed(link)

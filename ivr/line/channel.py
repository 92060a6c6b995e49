"""The line process's end of the socket to the brain, and its log.

Knows the messages, nothing of SIP. `Outbox.send` may be called from any thread; all else belongs to the SIP thread.
"""

from __future__ import annotations

import json
import logging
import socket
import sys
import threading
from collections import deque

import msgspec

from ivr.errors import Unavailable
from ivr.line import messages as m
from ivr.line.settings import LineSettings

OUTBOX_BYTES = 4 << 20
ENDED_KEPT = 64


class Outbox:
    """The way to the brain: whole messages, in order, without ever blocking the thread that has news.

    What the socket does not take at once waits here. Beyond OUTBOX_BYTES audio is dropped, beyond twice that the
    brain counts as dead. After `LegEnded` nothing of that leg is sent any more, whichever thread it comes from.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = threading.Lock()
        self._waiting = bytearray()
        self._over: deque[int] = deque(maxlen=ENDED_KEPT)
        self.broken = False
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """Bytes that the socket has not taken yet."""
        return len(self._waiting)

    def send(self, event: m.Event) -> None:
        """Any thread."""
        leg = getattr(event, "leg", 0)
        data = m.pack(event)
        with self._lock:
            if self.broken or (leg and leg in self._over):
                return
            if type(event) is m.LegEnded:
                self._over.append(leg)
            if len(self._waiting) > OUTBOX_BYTES and type(event) is m.Audio:
                self.dropped += 1
                return
            if len(self._waiting) > 2 * OUTBOX_BYTES:
                self.broken = True
                return
            self._waiting += data
            self._flush()

    def flush(self) -> None:
        """Offer the socket again what waits. Any thread."""
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        while self._waiting and not self.broken:
            try:
                sent = self._sock.send(self._waiting, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.broken = True
                return
            del self._waiting[:sent]


class Inbox:
    """Commands from the brain, cut out of the byte stream."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._bytes = bytearray()
        self.ended = False

    @property
    def descriptor(self) -> int:
        return self._sock.fileno()

    def fill(self) -> None:
        """Take what the socket has, without waiting."""
        while not self.ended:
            try:
                data = self._sock.recv(1 << 16, socket.MSG_DONTWAIT)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            self.ended = not data
            self._bytes += data

    def next(self) -> bytes | None:
        """The next whole message without its length, None when there is none yet. Raises ValueError on nonsense."""
        if len(self._bytes) < 4:
            return None
        size = int.from_bytes(self._bytes[:4], "big")
        if size > m.MAX_MESSAGE_BYTES:
            raise ValueError(f"a message of {size} bytes")
        if len(self._bytes) < 4 + size:
            return None
        body = bytes(self._bytes[4 : 4 + size])
        del self._bytes[: 4 + size]
        return body


def first_settings(sock: socket.socket) -> LineSettings:
    """The Configure that must come first. Raises Unavailable when it does not."""
    sock.settimeout(30)
    try:
        head = sock.recv(4, socket.MSG_WAITALL)
        size = int.from_bytes(head, "big")
        if len(head) < 4 or size > m.MAX_MESSAGE_BYTES:
            raise Unavailable("the brain said nothing")
        body = sock.recv(size, socket.MSG_WAITALL)
        first = m.unpack_command(body)
    except (OSError, msgspec.DecodeError) as error:
        raise Unavailable(f"no Configure from the brain: {error}") from None
    if not isinstance(first, m.Configure):
        raise Unavailable("the first message was not Configure")
    sock.setblocking(False)
    return first.settings


class _JsonLines(logging.Formatter):
    """One JSON object a line, for whoever reads our standard error."""

    _KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "taskName"}

    def format(self, record: logging.LogRecord) -> str:
        fields = {"level": record.levelname.lower(), "event": record.getMessage()}
        fields.update((k, v) for k, v in vars(record).items() if k not in self._KNOWN)
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False, default=str)


def log_to_stderr(level: str) -> None:
    """Send Python's logging to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())

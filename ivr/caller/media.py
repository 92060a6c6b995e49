"""One call's RTP socket: sends a frame every 20 ms on an absolute schedule, and takes in what arrives.

Arrival times are the kernel's (SO_TIMESTAMPNS), so a busy event loop does not show as jitter. Runs on asyncio's
thread. Knows nothing of SIP.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import struct
import time
from collections import deque
from collections.abc import Callable

import numpy as np

from ivr.caller import g711, rtp
from ivr.caller.talk import Spell, TalkDetector

FRAME_S = rtp.FRAME_MS / 1000
SO_TIMESTAMPNS = 35
SILENCE = np.zeros(rtp.FRAME_SAMPLES, np.int16)
QUEUE_FRAMES = 60_000


def _ignore(_: object) -> None:
    pass


class EchoPath:
    """The far end's own voice on its way back, as a two-wire line returns it: weaker and late."""

    RING_S = 2

    def __init__(self, gain_db: float, delay_s: float) -> None:
        if not 0.02 <= delay_s <= self.RING_S / 2:
            raise ValueError("an echo is 20 ms to 1 s late here")
        self._gain, self._delay_s = 10 ** (gain_db / 20), delay_s
        self._ring = np.zeros(rtp.RATE_HZ * self.RING_S, np.float32)

    def _places(self, moment_s: float, count: int) -> np.ndarray:
        return (round(moment_s * rtp.RATE_HZ) + np.arange(count)) % len(self._ring)

    def take(self, moment_s: float, samples: np.ndarray) -> None:
        """What we heard, with the moment it belongs to."""
        self._ring[self._places(moment_s + self._delay_s, len(samples))] = samples * self._gain

    def give(self, moment_s: float, count: int) -> np.ndarray:
        """What comes back at this moment; given once."""
        places = self._places(moment_s, count)
        back = self._ring[places].astype(np.int16)
        self._ring[places] = 0
        return back


class MediaStream:
    """Sends speech, keys or silence; receives, measures and keeps the far end's audio.

    Attributes:
        reception: counts and delays of what arrived.
        talk: the far end's spells of talking and quiet.
        sent, heard: both directions' audio on one clock.
        echo: when set, what is heard goes back this way, mixed with what is said.
        send_late_max_s: the worst delay of one of our own packets; a large one means this machine was too busy.
        on_spell, on_key: called when the far end begins or stops talking, or sends a key.
    """

    def __init__(self, host: str, *, port: int = 0, keep_audio: bool = True) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.bind((host, port))
        self.host, self.port = self._socket.getsockname()
        self.reception, self.talk = rtp.Reception(), TalkDetector()
        self.sent, self.heard = rtp.Track(), rtp.Track()
        self.frames_sent, self.send_late_max_s = 0, 0.0
        self.silent = False
        self.echo: EchoPath | None = None
        self.on_spell: Callable[[Spell], None] = _ignore
        self.on_key: Callable[[str], None] = _ignore
        self._keep, self._closed = keep_audio, False
        self._codec, self._payload_type, self._events = "PCMU", 0, 0
        self._remote: tuple[str, int] | None = None
        self._queue: deque[tuple[np.ndarray | bytes, bool, asyncio.Future | None]] = deque()
        self._ssrc, self._sequence = secrets.randbits(32), secrets.randbits(15)
        self._timestamp, self._event_timestamp = secrets.randbits(31), 0
        self._keys = rtp.KeyReader()
        self._types: dict[int, str] = {}
        self._task: asyncio.Task | None = None
        asyncio.get_running_loop().add_reader(self._socket, self._readable)

    def connect(self, host: str, port: int, codec: str, payload_type: int, events: int) -> None:
        """Say where to send and what; the sending starts with the first call, later ones re-point it."""
        self._remote = (host, port) if port else None
        self._codec, self._payload_type, self._events = codec, payload_type, events
        self._types[payload_type] = codec
        self._types.setdefault(0, "PCMU")
        self._types.setdefault(8, "PCMA")
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._send_paced(), name="rtp send")

    def say(self, pcm: np.ndarray) -> asyncio.Future[float]:
        """Queue 8 kHz int16 speech; the future gives the moment its last frame is over. Empty: ValueError."""
        if not len(pcm):
            raise ValueError("nothing to say")
        done: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        padded = np.pad(pcm, (0, -len(pcm) % rtp.FRAME_SAMPLES))
        frames = padded.reshape(-1, rtp.FRAME_SAMPLES)
        self._queue_up([(frame, False, None) for frame in frames[:-1]] + [(frames[-1], False, done)])
        return done

    def press(self, digits: str, *, duration_ms: int = 120, pause_ms: int = 100) -> asyncio.Future[float]:
        """Queue keys as RFC 4733 events; the future gives the moment the last key was released."""
        done: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        items: list[tuple[np.ndarray | bytes, bool, asyncio.Future | None]] = []
        for digit in digits:
            items += [(payload, marker, None) for payload, marker in rtp.key_packets(digit, duration_ms)]
            items += [(SILENCE, False, None)] * max(1, pause_ms // rtp.FRAME_MS)
        items[-1] = (SILENCE, False, done)
        self._queue_up(items)
        return done

    def stop_saying(self) -> None:
        """Forget what is queued; its futures get the present moment."""
        while self._queue:
            self._done(self._queue.popleft()[2], time.monotonic())

    def close(self) -> None:
        """Stop and free the socket; what is said from now on is over at once, unheard."""
        self._closed = True
        self.stop_saying()
        if self._task is not None:
            self._task.cancel()
        if self._socket.fileno() >= 0:
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()

    def _queue_up(self, items: list) -> None:
        if len(self._queue) + len(items) > QUEUE_FRAMES:
            raise ValueError("more than twenty minutes queued")
        self._queue.extend(items)
        if self._closed:
            self.stop_saying()

    async def _send_paced(self) -> None:
        """Frame n leaves at start + n x 20 ms; after a hold-up the missed frames follow at once."""
        start, count = time.monotonic(), 0
        while True:
            due = start + count * FRAME_S
            now = time.monotonic()
            if due > now:
                await asyncio.sleep(due - now)
                now = time.monotonic()
            self.send_late_max_s = max(self.send_late_max_s, now - due)
            self._send_frame(due, now)
            if (spell := self.talk.idle(now)) is not None:
                self.on_spell(spell)
            count += 1

    def _send_frame(self, due_s: float, now_s: float) -> None:
        content, marker, done = self._queue.popleft() if self._queue else (SILENCE, False, None)
        if isinstance(content, bytes):
            if marker:
                self._event_timestamp = self._timestamp
            packet = (self._events, content, self._event_timestamp, marker)
        else:
            if self.echo is not None:
                back = self.echo.give(due_s, len(content))
                content = np.clip(content.astype(np.int32) + back, -32_768, 32_767).astype(np.int16)
            packet = (self._payload_type, g711.encode(self._codec, content), self._timestamp, self.frames_sent == 0)
            if self._keep and content is not SILENCE:
                self.sent.put(due_s, content)
        self._timestamp += rtp.FRAME_SAMPLES
        if self._remote is not None and not self.silent:
            kind, payload, timestamp, marker = packet
            datagram = rtp.pack(rtp.Packet(kind, self._sequence, timestamp, self._ssrc, payload, marker))
            with contextlib.suppress(OSError):
                self._socket.sendto(datagram, self._remote)
            self._sequence += 1
            self.frames_sent += 1
        self._done(done, now_s + FRAME_S)

    @staticmethod
    def _done(future: asyncio.Future | None, at_s: float) -> None:
        if future is not None and not future.done():
            future.set_result(at_s)

    def _readable(self) -> None:
        for _ in range(50):
            try:
                datagram, ancillary, _, _ = self._socket.recvmsg(2048, 64)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue
            self._take(datagram, _arrival(ancillary))

    def _take(self, datagram: bytes, arrival_s: float) -> None:
        packet = rtp.parse(datagram)
        if packet is None or not self.reception.take(packet, arrival_s):
            return
        codec = self._types.get(packet.payload_type)
        if codec is None:
            if self._events and packet.payload_type == self._events and (digit := self._keys.take(packet)):
                self.on_key(digit)
            return
        samples = g711.decode(codec, packet.payload)
        moment_s = self.heard.place(packet, arrival_s, samples) if self._keep else arrival_s
        if self.echo is not None:
            self.echo.take(moment_s, samples)
        if (spell := self.talk.take(samples, arrival_s)) is not None:
            self.on_spell(spell)


def _arrival(ancillary: list) -> float:
    """The kernel's arrival time on the monotonic clock; now when it gave none."""
    now = time.monotonic()
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(data) >= 16:
            seconds, nanoseconds = struct.unpack_from("qq", data)
            return now - max(0.0, time.time() - (seconds + nanoseconds / 1e9))
    return now

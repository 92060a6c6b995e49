"""RTP as a caller sees it: packets, reception statistics, key events, and the audio put back on its timestamps.

RFC 3550 (packets, A.1 sequence numbers, A.8 jitter), RFC 4733 (telephone-event). Times are seconds of the monotonic
clock, given by the caller of each function. Pure: knows nothing of sockets.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass, field

import numpy as np

RATE_HZ = 8_000
FRAME_MS = 20
FRAME_SAMPLES = RATE_HZ * FRAME_MS // 1000
KEYS = "0123456789*#ABCD"
MAX_KEPT_PACKETS = 60_000
"""Twenty minutes of one direction; later packets are counted, but their audio is not kept."""


@dataclass(frozen=True)
class Packet:
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False


def pack(packet: Packet) -> bytes:
    second = packet.payload_type | (0x80 if packet.marker else 0)
    head = struct.pack("!BBHII", 0x80, second, packet.sequence & 0xFFFF, packet.timestamp & 0xFFFFFFFF, packet.ssrc)
    return head + packet.payload


def parse(datagram: bytes) -> Packet | None:
    """The packet, or None when the datagram is not RTP (too short, other version, RTCP: RFC 5761 4)."""
    if len(datagram) < 12 or datagram[0] >> 6 != 2 or 64 <= datagram[1] & 0x7F <= 95:
        return None
    first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", datagram)
    start = 12 + 4 * (first & 15)
    if first & 0x10 and len(datagram) >= start + 4:
        start += 4 + 4 * struct.unpack_from("!H", datagram, start + 2)[0]
    end = len(datagram) - (datagram[-1] if first & 0x20 else 0)
    if end < start:
        return None
    return Packet(second & 0x7F, sequence, timestamp, ssrc, datagram[start:end], bool(second & 0x80))


def key_packets(digit: str, duration_ms: int = 120) -> list[tuple[bytes, bool]]:
    """(payload, marker) of every packet of one key, 20 ms apart, the last sent three times (RFC 4733 2.5.1.4)."""
    event, packets = KEYS.index(digit.upper()), []
    for step in range(1, duration_ms // FRAME_MS + 1):
        packets.append((struct.pack("!BBH", event, 10, step * FRAME_SAMPLES), step == 1))
    end = struct.pack("!BBH", event, 0x80 | 10, duration_ms // FRAME_MS * FRAME_SAMPLES)
    return packets + [(end, False)] * 3


@dataclass
class Reception:
    """Counts and delays of what arrived, over all sources (a new SSRC starts new sequence numbers).

    Attributes:
        received: packets that counted once; duplicates: the same sequence number again; late: out of order.
        jitter_ms: the estimator of RFC 3550 A.8 at the last packet; jitter_max_ms: its highest value.
        spacing_ms: time between arrivals of neighbouring packets.
        deviation_ms: |D| of A.8 of each packet: how far its spacing was from what its timestamp says.
    """

    received: int = 0
    duplicates: int = 0
    late: int = 0
    sources: int = 0
    jitter_ms: float = 0.0
    jitter_max_ms: float = 0.0
    spacing_ms: list[float] = field(default_factory=list)
    deviation_ms: list[float] = field(default_factory=list)
    _expected_before: int = 0
    _ssrc: int | None = None
    _base: int = 0
    _highest: int = 0
    _last: tuple[float, int] = (0.0, 0)
    _recent: deque[int] = field(default_factory=lambda: deque(maxlen=512))

    def take(self, packet: Packet, arrival_s: float) -> bool:
        """Count one packet; False when it is a duplicate."""
        if packet.ssrc != self._ssrc:
            self._expected_before = self.expected
            self.sources += 1
            self._ssrc, self._base, self._highest = packet.ssrc, packet.sequence, packet.sequence - 1
            self._recent.clear()
        step = (packet.sequence - self._highest + 0x8000) % 0x10000 - 0x8000
        extended = self._highest + step
        if extended in self._recent:
            self.duplicates += 1
            return False
        self._recent.append(extended)
        self.received += 1
        if step <= 0:
            self.late += 1
            self._base = min(self._base, extended)
            return True
        if extended != self._base and len(self.spacing_ms) < MAX_KEPT_PACKETS:
            self._delay(packet, arrival_s)
        self._highest, self._last = extended, (arrival_s, packet.timestamp)
        return True

    def _delay(self, packet: Packet, arrival_s: float) -> None:
        before_s, before_timestamp = self._last
        spacing = (arrival_s - before_s) * 1000
        ticks = (packet.timestamp - before_timestamp + 0x80000000) % 0x100000000 - 0x80000000
        deviation = abs(spacing - ticks * 1000 / RATE_HZ)
        self.spacing_ms.append(spacing)
        self.deviation_ms.append(deviation)
        self.jitter_ms += (deviation - self.jitter_ms) / 16
        self.jitter_max_ms = max(self.jitter_max_ms, self.jitter_ms)

    @property
    def expected(self) -> int:
        """How many packets the sequence numbers say were sent."""
        present = self._highest - self._base + 1 if self._ssrc is not None else 0
        return self._expected_before + present

    @property
    def lost(self) -> int:
        return max(0, self.expected - self.received)

    def summary(self) -> dict[str, float | int]:
        """The figures, rounded, for a report."""
        return {
            "packets": self.received, "lost": self.lost, "duplicates": self.duplicates, "late": self.late,
            "sources": self.sources, "jitter_ms": round(self.jitter_ms, 2),
            "jitter_max_ms": round(self.jitter_max_ms, 2), "deviation_p99_ms": percentile(self.deviation_ms, 99),
            "spacing_p50_ms": percentile(self.spacing_ms, 50), "spacing_p99_ms": percentile(self.spacing_ms, 99),
            "spacing_max_ms": round(max(self.spacing_ms, default=0.0), 2),
        }  # fmt: skip


def percentile(values: list[float], share: float) -> float:
    """The `share`th percentile (linear between neighbours), 0.0 of nothing, two decimals."""
    return round(float(np.percentile(values, share)), 2) if values else 0.0


class KeyReader:
    """Digits out of telephone-event packets: one per event timestamp, however many packets carry it."""

    def __init__(self) -> None:
        self._last: int | None = None

    def take(self, packet: Packet) -> str:
        """The digit that begins with this packet, else an empty string."""
        if len(packet.payload) < 4 or packet.payload[0] >= len(KEYS) or packet.timestamp == self._last:
            return ""
        self._last = packet.timestamp
        return KEYS[packet.payload[0]]


@dataclass
class Track:
    """Audio of one direction, each piece with the moment it belongs to.

    Received pieces are placed by RTP timestamp from the arrival of the first one; when a new source begins, or
    timestamps and arrivals fall more than a second apart, the place is taken from the arrival again.
    """

    pieces: list[tuple[float, np.ndarray]] = field(default_factory=list)
    _anchor: tuple[int, int, float] | None = None

    def place(self, packet: Packet, arrival_s: float, samples: np.ndarray) -> float:
        """Keep a received piece; returns the moment its first sample belongs to."""
        moment = arrival_s
        if self._anchor is not None and self._anchor[0] == packet.ssrc:
            ticks = (packet.timestamp - self._anchor[1] + 0x80000000) % 0x100000000 - 0x80000000
            by_timestamp = self._anchor[2] + ticks / RATE_HZ
            if abs(by_timestamp - arrival_s) < 1.0:
                moment = by_timestamp
        if moment is arrival_s:
            self._anchor = (packet.ssrc, packet.timestamp, arrival_s)
        self.put(moment, samples)
        return moment

    def put(self, moment_s: float, samples: np.ndarray) -> None:
        if len(self.pieces) < MAX_KEPT_PACKETS:
            self.pieces.append((moment_s, samples))

    def audio(self, from_s: float, to_s: float) -> np.ndarray:
        """int16 samples between two moments, silence where nothing was received."""
        out = np.zeros(max(0, round((to_s - from_s) * RATE_HZ)), np.int16)
        for moment, samples in self.pieces:
            start = round((moment - from_s) * RATE_HZ)
            low, high = max(start, 0), min(start + len(samples), len(out))
            if low < high:
                out[low:high] = samples[low - start : high - start]
        return out

"""Which ports may be used: SIP ports that are free, RTP ports that nobody still sends to.

Callers whose line process died may not know yet that they have lost it and go on sending; the library takes whoever
sends to a port for the peer of the call there, and the new caller would hear nothing. So before a process starts, its
ports are listened to, and it gets those of the half that the process before it did not use.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Collection

import msgspec

from ivr.errors import Unavailable
from ivr.line.settings import LineSettings

LISTEN_S = 0.2
"""Senders of RTP are heard within so long: a packet comes every 20 ms, with some carriers every 60 ms."""
ASKING_AT_ONCE = 4
"""Lines whose ports are listened to at a time: fifty sockets each, of the thousand that a process may have."""


def is_free(host: str, port: int, tcp: bool) -> bool:
    """Whether UDP (and TCP) `host:port` can be bound. Raises Unavailable when the address is not this host's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kinds = (socket.SOCK_DGRAM, socket.SOCK_STREAM) if tcp else (socket.SOCK_DGRAM,)
    for kind in kinds:
        with contextlib.closing(socket.socket(family, kind)) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                if kind == socket.SOCK_STREAM:
                    probe.listen(1)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise Unavailable(f"cannot listen on {host}:{port}: {error.strerror}") from None
                return False
    return True


def quiet_stretch(first: int, count: int, spoken_to: Collection[int]) -> tuple[int, int]:
    """The longest run of ports within `first` and `count` that nobody sends to: (its first, even; how many).

    The whole range when there is no pair without a sender: a call that may be mute is better than none.
    """
    best, begin = (first, 0), first + first % 2
    for port in (*sorted(p for p in spoken_to if first <= p < first + count), first + count):
        if port - begin > best[1]:
            best = (begin, port - begin)
        begin = max(begin, port + 2 - port % 2)
    return best if best[1] >= 2 else (first, count)


async def spoken_to(host: str, first: int, count: int) -> set[int]:
    """RTP ports, which are even, that packets arrive at or that somebody else holds."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found: set[int] = set()
    with contextlib.ExitStack() as stack:
        listening: dict[int, socket.socket] = {}
        for port in range(first + first % 2, first + count, 2):
            own = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
            own.setblocking(False)
            try:
                own.bind((host, port))
                listening[port] = own
            except OSError:
                found.add(port)
        await asyncio.sleep(LISTEN_S)
        for port, own in listening.items():
            with contextlib.suppress(BlockingIOError):
                own.recv(1)
                found.add(port)
    return found


async def with_fresh_ports(settings: LineSettings, incarnation: int) -> LineSettings:
    """The settings with ports nobody sends to, of the half that the incarnation before did not use."""
    half = settings.rtp_ports // 2
    first = settings.rtp_port + incarnation % 2 * half
    first, count = quiet_stretch(first, half, await spoken_to(settings.sip_host, first, half))
    return msgspec.structs.replace(settings, rtp_port=first, rtp_ports=count)

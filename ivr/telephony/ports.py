"""Whether a SIP port is free, and waiting for one that a dying line process still holds."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket

import structlog

from ivr.errors import Unavailable

log = structlog.get_logger(__name__)

LEASE_S = 12.0
"""A line that lost its brain ends within 10 s; the rest is for the system."""


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


async def wait_free(host: str, port: int, tcp: bool, within_s: float = LEASE_S) -> None:
    """Wait until `host:port` is free. Raises Unavailable after `within_s`."""
    if is_free(host, port, tcp):
        return
    log.warning("port is held, perhaps by lines of an earlier run; waiting", host=host, port=port, within_s=within_s)
    try:
        async with asyncio.timeout(within_s):
            while not is_free(host, port, tcp):  # noqa: ASYNC110 - the kernel has no event for a port set free
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise Unavailable(f"port {port} of {host} is in use by another program") from None
    log.info("port is free", host=host, port=port)

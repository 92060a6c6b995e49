"""Whether a SIP port is free."""

from __future__ import annotations

import contextlib
import errno
import socket

from ivr.errors import Unavailable


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

"""Starting and ending child processes, and the framed socket between the brain and one line process.

Knows how to spawn, speak to and stop; knows nothing of legs, pools or what the messages mean.
Used by asyncio's thread only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

import msgspec

from ivr.line.messages import MAX_MESSAGE_BYTES, Command, Event, pack, unpack_event

UNREAD_LIMIT_BYTES = 8 << 20
_PACKAGE_ROOT = Path(__file__).resolve().parent.parent.parent


class Child(Protocol):
    """A line process as the pool sees it; FakeLine is one too."""

    pid: int
    sock: socket.socket

    async def wait(self) -> int:
        """Wait for its end and return the exit status (negative: the signal)."""

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


class LineProcess:
    """`python -m ivr.line.process --fd N` in a session of its own, so that Ctrl-C reaches only the brain."""

    def __init__(self, process: asyncio.subprocess.Process, sock: socket.socket) -> None:
        self._process = process
        self.pid = process.pid
        self.sock = sock

    @classmethod
    async def start(cls, hide: Collection[str] = ()) -> LineProcess:
        """Spawn one. `hide` names environment variables, secrets, that it does not get to see."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "ivr.line.process", "--fd", str(theirs.fileno()),
                pass_fds=(theirs.fileno(),), stdin=asyncio.subprocess.DEVNULL, stdout=sys.stderr.fileno(),
                env=environment(hide), start_new_session=True,
            )  # fmt: skip
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return cls(process, ours)

    async def wait(self) -> int:
        return await self._process.wait()

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)


def environment(hide: Collection[str] = ()) -> dict[str, str]:
    """This process's environment for a child: without the secrets named, with this package importable."""
    kept = {k: v for k, v in os.environ.items() if k not in hide}
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_PACKAGE_ROOT), kept.get("PYTHONPATH", ""))))
    return kept


class Wire:
    """Messages over the socket to one line process.

    A line that leaves 8 MiB unread hangs: `send` then closes the wire, and the reader ends as for a death.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, sock: socket.socket) -> Wire:
        return cls(*await asyncio.open_unix_connection(sock=sock))

    def send(self, command: Command) -> None:
        """Queue a command; does nothing once the wire is closed."""
        if self._writer.is_closing():
            return
        if self._writer.transport.get_write_buffer_size() > UNREAD_LIMIT_BYTES:
            self._writer.transport.abort()
            return
        self._writer.write(pack(command))

    async def read(self, take: Callable[[Event], None]) -> str:
        """Hand every event to `take` until the wire ends; returns why it did, in words."""
        try:
            while True:
                length = int.from_bytes(await self._reader.readexactly(4), "big")
                if length > MAX_MESSAGE_BYTES:
                    return f"a message of {length} bytes"
                take(unpack_event(await self._reader.readexactly(length)))
        except asyncio.IncompleteReadError:
            return "closed"
        except msgspec.DecodeError:
            return "a message that is none of ours"
        except OSError as error:
            return f"broken: {error.strerror}"

    def close(self) -> None:
        self._writer.close()

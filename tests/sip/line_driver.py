"""Plays the brain for one line process: starts it, sends commands, awaits events."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ivr.line import messages as m
from ivr.line.settings import LineSettings

E = TypeVar("E")


class LineDriver:
    """One line process and everything it said so far.

    `events` keeps every event in order. `expect` takes the first one that has not been taken yet and fits.
    """

    def __init__(self, settings: LineSettings) -> None:
        self.settings = settings
        self.events: list[m.Event] = []
        self.ready: m.Ready | None = None
        self.log = ""
        self._taken: set[int] = set()
        self._news = asyncio.Condition()
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task] = []
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> LineDriver:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    @property
    def uri(self) -> str:
        return f"sip:400@{self.settings.sip_host}:{self.ready.sip_port}"

    async def start(self) -> m.Ready:
        ours, theirs = socket.socketpair()
        theirs.set_inheritable(True)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ivr.line.process", "--fd", str(theirs.fileno()),
            pass_fds=(theirs.fileno(),), stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        theirs.close()
        reader, self._writer = await asyncio.open_connection(sock=ours)
        self._tasks = [asyncio.create_task(self._read(reader)), asyncio.create_task(self._read_log())]
        self.send(m.Configure(self.settings))
        self.ready = await self.expect(m.Ready, timeout_s=15)
        return self.ready

    def send(self, command: m.Command) -> None:
        self._writer.write(m.pack(command))

    async def expect(
        self, kind: type[E], fits: Callable[[E], bool] = lambda _: True, *, timeout_s: float = 8, **fields: object
    ) -> E:
        """The next event of this kind whose fields are equal to `fields` and which `fits`."""

        def find() -> int | None:
            for place, event in enumerate(self.events):
                if place in self._taken or not isinstance(event, kind) or not fits(event):
                    continue
                if all(getattr(event, name) == value for name, value in fields.items()):
                    return place
            return None

        try:
            async with asyncio.timeout(timeout_s):
                async with self._news:
                    await self._news.wait_for(lambda: find() is not None or self._process.returncode is not None)
        except TimeoutError:
            pass
        place = find()
        if place is None:
            seen = "\n".join(str(e)[:200] for e in self.events[-30:] if not isinstance(e, m.Audio))
            raise AssertionError(f"no {kind.__name__} {fields} within {timeout_s} s; seen:\n{seen}\nlog:\n{self.log}")
        self._taken.add(place)
        return self.events[place]

    def seen(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def forget(self) -> None:
        """Drop the events so far; for runs of thousands of calls."""
        self.events.clear()
        self._taken.clear()

    def resources(self) -> dict[str, int]:
        """Descriptors, threads, resident and peak memory in KiB."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        status = dict(line.split(":", 1) for line in lines if ":" in line)
        return {
            "descriptors": len(os.listdir(f"/proc/{self.pid}/fd")),
            "threads": int(status["Threads"]),
            "rss_kib": int(status["VmRSS"].split()[0]),
            "peak_kib": int(status["VmHWM"].split()[0]),
        }

    def lose_brain(self) -> None:
        """Close the socket as a dying brain does."""
        self._writer.transport.abort()

    async def wait(self, timeout_s: float = 15) -> int:
        async with asyncio.timeout(timeout_s):
            return await self._process.wait()

    async def close(self) -> None:
        if self._process is None:
            return
        if self._process.returncode is None:
            with contextlib.suppress(OSError, RuntimeError):
                self.send(m.Shutdown())
            try:
                await self.wait(6)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self._writer.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                size = int.from_bytes(await reader.readexactly(4), "big")
                event = m.unpack_event(await reader.readexactly(size))
                async with self._news:
                    self.events.append(event)
                    self._news.notify_all()
        await self._process.wait()
        async with self._news:
            self._news.notify_all()

    async def _read_log(self) -> None:
        while line := await self._process.stderr.readline():
            self.log = (self.log + line.decode(errors="replace"))[-20_000:]

"""Kamailio's JSON-RPC over a datagram socket in a private folder. Asyncio's thread only; knows nothing of the edge."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
from pathlib import Path

ANSWER_WITHIN_S = 2.0


class RpcFailed(Exception):
    """The proxy did not answer, or said no. The text never holds parameters: passwords are among them."""


class Rpc:
    """Calls one at a time; `ours` is the socket file the answers come to."""

    def __init__(self, theirs: Path, ours: Path) -> None:
        self._theirs = theirs
        self._ours = ours
        self._ids = itertools.count(1)
        self._turn = asyncio.Lock()
        self._sock: socket.socket | None = None

    async def call(self, method: str, *params: str | int) -> object:
        """The result of `method`. Raises RpcFailed."""
        number = next(self._ids)
        request = {"jsonrpc": "2.0", "method": method, "params": list(params), "id": number}
        async with self._turn:
            try:
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    answer = await self._exchange(json.dumps(request).encode(), number)
            except (OSError, TimeoutError, ValueError) as error:
                raise RpcFailed(f"{method}: {type(error).__name__}") from None
        if "error" in answer:
            raise RpcFailed(f"{method}: {answer['error'].get('message', 'refused')}")
        return answer.get("result")

    async def _exchange(self, request: bytes, number: int) -> dict:
        loop = asyncio.get_running_loop()
        sock = self._open()
        sock.sendto(request, str(self._theirs))
        while True:
            answer = json.loads(await loop.sock_recv(sock, 1 << 18))
            if answer.get("id") == number:
                return answer

    def _open(self) -> socket.socket:
        if self._sock is None:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            with contextlib.suppress(FileNotFoundError):
                self._ours.unlink()
            sock.bind(str(self._ours))
            self._sock = sock
        return self._sock

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None

"""The configured back ends, asked one question at a time from a command that has no event loop of its own.

Knows nothing of plans and terminals; what `ivr serve` asks and how is in `backend.client`, and the same here.
"""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType

import structlog

from ivr.backend.client import Backends, Request
from ivr.config import Config
from ivr.dialog.state import Fetch, Fetched, Tell

TELL_WITHIN_S = 2
"""A notification that is not taken by then goes on being tried until the command ends."""


class Live:
    """Back ends while the `with` lasts. Their log lines are not for the terminal."""

    def __init__(self, config: Config) -> None:
        self._logging = structlog.get_config()
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        self._runner = asyncio.Runner()
        self._backends = self._runner.run(_made(config))

    def __enter__(self) -> Live:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._runner.run(self._backends.close())
        self._runner.close()
        structlog.configure(**self._logging)

    def fetch(self, asked: Fetch) -> tuple[Fetched, str]:
        """What the back end answers, and why when it is not `ok`."""
        body = asked.body if asked.method != "GET" else None
        request = Request(asked.backend, asked.method, asked.path, asked.query, body, asked.timeout_s, asked.retries)
        answer = self._runner.run(self._backends.fetch(request))
        return Fetched(answer.outcome, answer.status, answer.data), answer.reason

    def tell(self, told: Tell) -> str:
        """Send a notification; how that ended."""
        return self._runner.run(self._tell(told))

    async def _tell(self, told: Tell) -> str:
        try:
            async with asyncio.timeout(TELL_WITHIN_S):
                answer = await self._backends.notify(told.backend, told.path, told.event, told.data)
        except TimeoutError:
            return "not taken yet"
        return answer.outcome if answer.outcome == "ok" else f"{answer.outcome}, {answer.reason}"


async def _made(config: Config) -> Backends:
    return Backends(config.backend)

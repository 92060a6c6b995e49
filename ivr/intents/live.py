"""The trainer's loop in a running server: each question is answered by `ivr intents review` in a niced child process.

Grouping and measuring take a processor for seconds, which calls must not feel. One child at a time; a few may wait.
Belongs to the asyncio thread. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TypeVar

import msgspec

from ivr.errors import InvalidInput, Problem, Unavailable
from ivr.intents.trainer import Groups, Outcome, ReviewDecision

TIMEOUT_S = 180.0
_WAITING = 4
T = TypeVar("T")


class Trainer:
    """Runs `ivr intents review` with the server's configuration file."""

    def __init__(self, config_file: Path) -> None:
        self._config_file = config_file
        self._lock = asyncio.Lock()
        self._waiting = 0

    async def groups(self, plan: str, language: str) -> Groups:
        """What is to be looked at. Raises InvalidInput, Unavailable."""
        return await self._ask(Groups, b"", "--plan", plan, "--language", language)

    async def decide(self, decision: ReviewDecision) -> Outcome:
        """What a decision does; with `live` it is written. Raises InvalidInput, Unavailable."""
        return await self._ask(Outcome, msgspec.json.encode(decision), "--decision-on-input")

    async def _ask(self, kind: type[T], given: bytes, *words: str) -> T:
        if self._waiting >= _WAITING:
            raise Unavailable("another review is being worked on; try again when it is done")
        self._waiting += 1
        try:
            async with self._lock:
                code, out, err = await self._child(given, *words)
        finally:
            self._waiting -= 1
        if code == 0:
            return msgspec.json.decode(out, type=kind)
        says = err.decode("utf-8", "replace").strip()[-2_000:]
        if code == 1 and not says.startswith("ivr: "):
            raise InvalidInput(Problem("review", says))
        raise Unavailable(f"the review failed: {says.removeprefix('ivr: ') or f'code {code}'}")

    async def _child(self, given: bytes, *words: str) -> tuple[int, bytes, bytes]:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ivr", "intents", "review", "--json", "--config", str(self._config_file), *words,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            async with asyncio.timeout(TIMEOUT_S):
                out, err = await child.communicate(given)
        except TimeoutError:
            raise Unavailable(f"the review took more than {TIMEOUT_S:.0f} s") from None
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        return child.returncode, out, err

"""What of intents a running server leaves to niced child processes: the trainer's loop, and learning what plans say.

Grouping, measuring and learning take a processor for seconds, which calls must not feel. Reviews are answered by `ivr
intents review`, one at a time; a few may wait. `learn_child` leaves a model in a folder. Belongs to the asyncio thread.
Knows nothing of HTTP or plans.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from ivr import memory
from ivr.errors import InvalidInput, Problem, Unavailable
from ivr.intents.shelf import Shelf
from ivr.intents.trainer import Groups, Outcome, ReviewDecision
from ivr.understanding.embedding import said_vector
from ivr.understanding.intents import Example, Model
from ivr.understanding.training import version_of

log = structlog.get_logger(__name__)

TIMEOUT_S = 180.0
LEARNING_S = 1_800.0
"""The longest that learning may take: 20,000 examples on a machine that is busy with calls."""
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
        review = ("ivr", "intents", "review", "--json", "--config", str(self._config_file), *words)
        async with _child(review, TIMEOUT_S) as child:
            out, err = await child.communicate(given)
        return await child.wait(), out, err


class Learner:
    """Models of examples: from a folder, or learnt into it by a child process."""

    def __init__(self, folder: Path, sentence_models: Path) -> None:
        self._shelf, self._sentence_models = Shelf(folder, sentence_models), sentence_models
        self._warmed: set[str] = set()

    def at_hand(self, version: str) -> Model | None:
        """The model of that version, if it was learnt before; milliseconds, the first one a second."""
        model = self._shelf.get(version)
        try:
            if model is not None:
                self._warm(model.language)
        except Unavailable as broken:
            log.error("a sentence model cannot be read", reason=str(broken))
            return None
        return model

    def _warm(self, language: str) -> None:
        """Open the sentence models before a caller waits for them; what reading has freed goes back to the system."""
        if language not in self._warmed:
            said_vector("", language)
            self._warmed.add(language)
            memory.give_back()

    async def learn(self, examples: Sequence[Example], language: str, progress: Callable[[int, int], None]) -> Model:
        """A model of the examples in `language`. `progress(done, all)` counts what is embedded. Raises Unavailable."""
        own = [(e.text, e.intent) for e in examples if e.language == language]
        learn = ("ivr.intents.learn_child", str(self._shelf.folder), language, str(self._sentence_models))
        async with _child(learn, LEARNING_S) as child:
            said, _, err = await asyncio.gather(
                _followed(child.stdout, progress), _given(child.stdin, own), child.stderr.read()
            )
            code = await child.wait()
        model = await asyncio.to_thread(self.at_hand, version_of(examples, language)) if code == 0 else None
        if model is None:
            says = err.decode("utf-8", "replace").strip()[-2_000:]
            raise Unavailable(says or f"the process ended with code {code} after {said} lines")
        return model


@contextlib.asynccontextmanager
async def _child(module: Sequence[str], within_s: float) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Python module with its arguments as a process, which does not outlive the block. Raises Unavailable."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *module,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(within_s):
            yield child
    except TimeoutError:
        raise Unavailable(f"it took more than {within_s:.0f} s") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def _followed(lines: asyncio.StreamReader, progress: Callable[[int, int], None]) -> int:
    """Pass on what a child says of its progress, until it ends; how many lines it said."""
    count = 0
    async for line in lines:
        done, _, whole = line.decode("ascii", "replace").partition(" ")
        if done.strip().isdecimal() and whole.strip().isdecimal():
            progress(int(done), int(whole))
        count += 1
    return count


async def _given(stdin: asyncio.StreamWriter, own: Sequence[tuple[str, str]]) -> None:
    """What a child that has died meanwhile does not read is not needed any more."""
    try:
        stdin.write(msgspec.json.encode(own))
        await stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        pass
    finally:
        stdin.close()

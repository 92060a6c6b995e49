"""Universal commands, corrections and "the other one": what callers say about the conversation itself.

Pure text in, names out. Knows nothing of steps or of what a command does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

COMMANDS = ("repeat", "slower", "help", "back", "cancel", "operator", "language")


@dataclass(frozen=True)
class Correction:
    """What a caller takes back: the words they reject (may be empty) and those they mean instead (may be empty)."""

    rejected: str
    new: str


def command(text: str, language: str, allowed: Sequence[str]) -> str:
    """The command that `text` is and nearly nothing else, `language:zh` with the language asked for; else empty."""
    raise NotImplementedError


def phrases(language: str, commands: Sequence[str]) -> tuple[str, ...]:
    """What callers commonly say for `commands`, for engines that listen with a grammar."""
    raise NotImplementedError


def correction(text: str, language: str) -> Correction | None:
    """The correction that `text` makes, None when it makes none."""
    raise NotImplementedError


def other_one(text: str, language: str) -> bool:
    """Whether `text` asks for the other one of what was offered."""
    raise NotImplementedError

"""The project's errors: one root, few kinds, each with its meaning.

Busy, hangup, no-match and a full server are values, not errors. Knows nothing of the rest.
"""

from __future__ import annotations

from dataclasses import dataclass


class IvrError(Exception):
    """Anything this project raises on purpose; its text is fit to show to a user."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a file that a person wrote.

    Attributes:
        file: path as the user gave it.
        line: 1-based line, 0 when the problem has no place of its own.
        column: 1-based column, 0 when unknown.
        field: dotted name of the key, empty when the file as a whole is wrong.
        message: what is wrong, in words.
        mend: what to do about it, empty when nothing useful can be said.
    """

    file: str
    message: str
    line: int = 0
    column: int = 0
    field: str = ""
    mend: str = ""

    def __str__(self) -> str:
        place = self.file + (f":{self.line}" if self.line else "") + (f":{self.column}" if self.column else "")
        field = f"{self.field}: " if self.field else ""
        mend = f" ({self.mend})" if self.mend else ""
        return f"{place}: {field}{self.message}{mend}"


class InvalidInput(IvrError):
    """A file or value written by a person is wrong; `problems` holds every fault found, not only the first."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = problems


class Unavailable(IvrError):
    """Something needed at start is missing: a model, a program, a port, a database."""


class Rejected(Unavailable):
    """The database refuses a write for what it holds: the same write never succeeds, so nobody tries it again."""


class SpeechFailed(IvrError):
    """A recogniser or a voice failed or hung on one piece of work; another engine may take it."""

"""Which plan answers a number that was dialled. Pure; knows nothing of SIP, legs or plans' content.

A pattern is literal characters, `x` for any one digit, and a `.` at the end for one or more characters of anything.
Where several match, the more specific wins: compared from the left, a literal beats `x` and `x` beats `.`;
of equal patterns the first written.
"""

from __future__ import annotations

from collections.abc import Sequence

from ivr.config import Number

_LITERAL, _DIGIT, _REST = 0, 1, 2


def matches(pattern: str, number: str) -> bool:
    """Whether `number`, the user part of the request URI, fits `pattern`."""
    rest = pattern.endswith(".")
    head = pattern[:-1] if rest else pattern
    if len(number) <= len(head) if rest else len(number) != len(head):
        return False
    return all(
        (n.isascii() and n.isdigit()) if p in "xX" else p == n
        for p, n in zip(head, number, strict=False)
    )  # fmt: skip


def plan_for(numbers: Sequence[Number], number: str) -> Number | None:
    """The most specific entry whose pattern fits `number`, None when nobody answers it (404)."""
    fitting = [n for n in numbers if matches(n.pattern, number)]
    return min(fitting, key=lambda n: _specificity(n.pattern), default=None)


def _specificity(pattern: str) -> tuple[int, ...]:
    return tuple(_REST if p == "." else _DIGIT if p in "xX" else _LITERAL for p in pattern)

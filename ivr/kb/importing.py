"""What an import would do, before it does it: a report on files of entries beside those that are in the base. Pure.

Two entries of a language that share a question are a duplicate when they answer the same, and a contradiction when they
do not; both are taken in all the same, since only a person can tell which is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import msgspec

from ivr.errors import Problem
from ivr.kb.entry import KbEntry, folded

SHOWN = 20
"""Findings of a kind that are listed; the rest are counted."""


class Clash(msgspec.Struct, frozen=True, kw_only=True):
    """A question of entry `id` that entry `other` has as well; `place` is where the first stands in its file."""

    file: str
    place: int
    id: str
    other: str
    question: str


class ImportReport(msgspec.Struct, kw_only=True):
    """What was found and done. `broken` rows are left out; `written` is false when nothing went in."""

    files: int = 0
    entries: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    broken: tuple[str, ...] = ()
    duplicates: tuple[Clash, ...] = ()
    contradictions: tuple[Clash, ...] = ()
    expired: tuple[str, ...] = ()
    written: bool = False

    def lines(self) -> list[str]:
        """For a terminal."""
        out = [*(f"broken: {problem}" for problem in self.broken[:SHOWN])]
        for kind, found in (("contradiction", self.contradictions), ("duplicate", self.duplicates)):
            says = "answers otherwise" if kind == "contradiction" else "answers the same"
            for c in found[:SHOWN]:
                out.append(
                    f"{kind}: {c.file}:{c.place}: `{c.question}` of `{c.id}` is in `{c.other}` too, which {says}"
                )
        out += [f"expired: {what}" for what in self.expired[:SHOWN]]
        counts = [f"{len(found)} {name}" for name, found in (
            ("broken", self.broken), ("contradictions", self.contradictions), ("duplicates", self.duplicates),
            ("expired", self.expired)) if found]  # fmt: skip
        done = (
            f"{self.new} new, {self.changed} changed, {self.unchanged} as before" if self.written else "nothing written"
        )
        return [
            *out,
            f"{self.entries} entries in {self.files} files: {done}{'; ' + ', '.join(counts) if counts else ''}",
        ]


def report(read: Sequence[tuple[str, int, KbEntry]], problems: Sequence[Problem], present: Iterable[KbEntry],
           today: date, files: int) -> ImportReport:  # fmt: skip
    """Findings on entries that were read (file, place, entry), with those that are `present` in the base."""
    coming = {entry.id for _, _, entry in read}
    holders: dict[tuple[str, str], list[KbEntry]] = {}
    for entry in present:
        if entry.id not in coming:
            for question in entry.questions:
                holders.setdefault((entry.language, folded(question)), []).append(entry)
    duplicates, contradictions, expired = [], [], []
    for file, place, entry in read:
        told: set[tuple[str, bool]] = set()
        for question in entry.questions:
            others = holders.setdefault((entry.language, folded(question)), [])
            for other in others:
                same = _alike(entry.answer, other.answer)
                if other.id != entry.id and (other.id, same) not in told:
                    told.add((other.id, same))
                    clash = Clash(file=file, place=place, id=entry.id, other=other.id, question=question)
                    (duplicates if same else contradictions).append(clash)
            if all(other.id != entry.id for other in others) and len(others) < SHOWN:
                others.append(entry)
        if entry.valid_until is not None and entry.valid_until < today:
            expired.append(f"{file}:{place}: `{entry.id}` ended on {entry.valid_until.isoformat()}")
    return ImportReport(
        files=files, entries=len(read), broken=tuple(str(p) for p in problems), duplicates=tuple(duplicates),
        contradictions=tuple(contradictions), expired=tuple(expired),
    )  # fmt: skip


def _alike(first: str, second: str) -> bool:
    return folded(first) == folded(second)


def count(report: ImportReport, saved: Iterable[Any]) -> ImportReport:
    """The report with what the store did."""
    whats = [one.what for one in saved]
    counts = {what: whats.count(what) for what in ("new", "changed", "unchanged")}
    return msgspec.structs.replace(report, **counts, written=True)

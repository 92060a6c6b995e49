"""Cutting a prompt into the pieces that are synthesised and played one after the other. Pure.

The first piece plays while the next is made, so pieces are sentences, and long sentences are cut at their clauses.
Knows nothing of voices. Typed values (`{money:3.50 USD}`) are never cut, named recordings (`[welcome]`) stand alone.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

SENTENCE_GAP_MS = 260
CLAUSE_GAP_MS = 140
LAST_GAP_MS = 60

_CJK = frozenset({"zh", "ko", "ja"})
_LIMIT = {True: 45, False: 130}  # characters of a piece before it is cut at a clause, by "is CJK"
_HARD_LIMIT = {True: 90, False: 260}  # before it is cut anywhere
_SHORTEST = {True: 6, False: 20}
_TOKEN = re.compile(r"\{[^{}\n]{1,200}\}|\[[\w-]{1,64}\]")
_CLOSING = r"[\"'”’)\]】》」』]*"
_END = re.compile(rf"(?:[。！？]+|…{{2,}}|[.!?]+(?={_CLOSING}(?:\s|$))|[!?]+(?=[\u3400-\u9fff])){_CLOSING}|\n+")
_CLAUSE = re.compile(r"[，；：、](?=.)|[,;:](?=\s)|\s[-–—](?=\s)|——")
_ABBREVIATION = re.compile(
    r"mrs?|ms|dr|st|prof|sr|jr|vs|etc|inc|ltd|co|corp|dept|approx|ext|tel|fig|gen|col|capt|rev|hon|ave|blvd|rd|"
    r"jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|mon|tue|wed|thu|fri|sat|sun|e\.g|i\.e|a\.m|p\.m|u\.s|u\.k"
)
_ENDS_TOO = frozenset({"etc", "a.m", "p.m", "u.s", "u.k", "inc", "ltd", "co", "corp", "jr", "sr"})


class Piece(NamedTuple):
    """What is made and played as one file, and the silence after it."""

    text: str
    gap_ms: int


def split(text: str, language: str) -> tuple[Piece, ...]:
    """The pieces of `text` in order. Nothing but white space is lost; pieces without a word are dropped."""
    sentences: list[str] = []
    for part in _parts(text):
        sentences += [part] if _is_recording(part) else _sentences(part)
    pieces: list[Piece] = []
    for sentence in sentences:
        clauses = _clauses(sentence, language)
        pieces += [Piece(clause, CLAUSE_GAP_MS) for clause in clauses[:-1]]
        pieces += [Piece(clause, SENTENCE_GAP_MS) for clause in clauses[-1:]]
    spoken = [p for p in pieces if any(c.isalnum() for c in p.text)]
    return (*spoken[:-1], spoken[-1]._replace(gap_ms=LAST_GAP_MS)) if spoken else ()


def _is_recording(part: str) -> bool:
    return part.startswith("[") and _TOKEN.fullmatch(part) is not None


def _parts(text: str) -> list[str]:
    """`text` cut around its named recordings."""
    return [p.strip() for p in re.split(r"(\[[\w-]{1,64}\])", text) if p.strip()]


def _sentences(text: str) -> list[str]:
    protected = [m.span() for m in _TOKEN.finditer(text)]
    found, start = [], 0
    for end in _END.finditer(text):
        if end.group() == "." and _is_abbreviation(text, start, end.start(), end.end()):
            continue
        if _inside(end.start(), protected):
            continue
        if sentence := text[start : end.end()].strip():
            found.append(sentence)
        start = end.end()
    if rest := text[start:].strip():
        found.append(rest)
    return found


def _inside(position: int, spans: list[tuple[int, int]]) -> bool:
    while spans and spans[0][1] <= position:
        spans.pop(0)
    return bool(spans) and spans[0][0] <= position


def _is_abbreviation(text: str, start: int, dot: int, after: int) -> bool:
    """Whether the full stop at `dot` belongs to the word before it and the sentence goes on."""
    word = re.search(r"[A-Za-z][A-Za-z.]*$", text[max(start, dot - 12) : dot])
    following = text[after : after + 40].lstrip()
    if word is None or not following:
        return False
    name = word[0].lower()
    if name in ("no", "nos"):
        return following[0].isdigit()
    if len(name) == 1:
        return word[0] != "I" and word[0].isupper()
    return _ABBREVIATION.fullmatch(name) is not None and not (name in _ENDS_TOO and following[0].isupper())


def _clauses(sentence: str, language: str) -> list[str]:
    cjk = language in _CJK
    limit, hard, shortest = _LIMIT[cjk], _HARD_LIMIT[cjk], _SHORTEST[cjk]
    protected = [m.span() for m in _TOKEN.finditer(sentence)]
    marks = [m.end() for m in _CLAUSE.finditer(sentence)]
    marks = [m for m in marks if not _inside(m, protected.copy())] if protected else marks
    pieces, start = [], 0
    while len(sentence) - start > limit:
        last = bisect_right(marks, min(start + limit, len(sentence) - shortest)) - 1
        if last >= 0 and marks[last] >= start + shortest:
            cut = marks[last]
        elif last + 1 < len(marks) and start + limit < marks[last + 1] <= start + hard:
            cut = marks[last + 1]
        else:
            cut = _anywhere(sentence, start + hard, start, protected)
        if cut >= len(sentence):
            break
        pieces.append(sentence[start:cut].strip())
        start = cut
    pieces.append(sentence[start:].strip())
    return [p for p in pieces if p]


def _anywhere(sentence: str, at: int, start: int, protected: list[tuple[int, int]]) -> int:
    """A cut at or before `at`: at white space when there is some, never within a typed value."""
    if at >= len(sentence):
        return len(sentence)
    space = sentence.rfind(" ", start + 1, at)
    cut = space if space > start else at
    for first, last in protected:
        if first < cut < last:
            return first if first > start else last
    return cut

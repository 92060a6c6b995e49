"""On which line each key of a TOML text stands. Reads text that tomllib has accepted; knows nothing of its meaning.

A place is a tuple of table names, keys and list positions: the pattern of the second [[number]] is
`("number", 1, "pattern")`.
"""

from __future__ import annotations

import re
import tomllib

Place = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"""[ \t]*("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*""")
_STRINGS = (
    re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}', re.DOTALL),
    re.compile(r"'''.*?'{3,5}", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
    re.compile(r"[^\s,\]}#]+(?: \d\d:[^\s,\]}#]+)?"),  # numbers, booleans, dates; a date may hold one space
)


def places(text: str) -> dict[Place, int]:
    """The 1-based line of every key, table and list item of `text`."""
    return _Reader(text).read()


def nearest(found: dict[Place, int], place: Place) -> int:
    """The line of `place`, or of the innermost thing around it that has one; 0 when there is none."""
    for length in range(len(place), 0, -1):
        if line := found.get(place[:length]):
            return line
    return 0


def line_of(text: str, place: Place) -> int:
    """The line of one key of `text`, as `nearest` finds it."""
    return nearest(places(text), place)


class _Reader:
    """One pass over the text; grammar of https://toml.io/en/v1.0.0."""

    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        self._found: dict[Place, int] = {}
        self._lists: dict[Place, int] = {}

    def read(self) -> dict[Place, int]:
        table: Place = ()
        while self._blank() < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
        return self._found

    def _blank(self) -> int:
        self._at = _BLANK.match(self._text, self._at).end()
        return self._at

    def _note(self, place: Place) -> None:
        self._found.setdefault(place, self._text.count("\n", 0, self._at) + 1)

    def _key(self) -> tuple[str, ...]:
        parts = []
        while True:
            match = _KEY.match(self._text, self._at)
            self._at = match.end()
            word = match[1]
            parts.append(tomllib.loads(f"k = {word}")["k"] if word[0] in "\"'" else word)
            if self._text[self._at] != ".":
                return tuple(parts)
            self._at += 1

    def _header(self) -> Place:
        """`[table]` or `[[list of tables]]`; names before the last one that are lists mean their latest item."""
        begin, doubled = self._at, self._text.startswith("[[", self._at)
        self._at += 1 + doubled
        names = self._key()
        table: Place = ()
        for name in names[:-1]:
            table = self._latest((*table, name))
        table = (*table, names[-1])
        after, self._at = self._at + 1 + doubled, begin
        if doubled:
            self._note(table)
            self._lists[table] = self._lists.get(table, -1) + 1
        table = self._latest(table)
        self._note(table)
        self._at = after
        return table

    def _latest(self, table: Place) -> Place:
        return (*table, self._lists[table]) if table in self._lists else table

    def _pair(self, table: Place) -> None:
        begin = self._at
        key = self._key()
        place = table
        after, self._at = self._at + 1, begin
        for name in key:
            place = (*place, name)
            self._note(place)
        self._at = after
        self._blank()
        self._value(place)

    def _value(self, place: Place) -> None:
        opening = self._text[self._at]
        if opening == "[":
            self._items(place)
        elif opening == "{":
            self._at += 1
            while self._text[self._blank()] != "}":
                self._pair(place)
                self._comma()
            self._at += 1
        else:
            self._at = next(m.end() for s in _STRINGS if (m := s.match(self._text, self._at)))

    def _items(self, place: Place) -> None:
        self._at += 1
        position = 0
        while self._text[self._blank()] != "]":
            self._note((*place, position))
            self._value((*place, position))
            self._comma()
            position += 1
        self._at += 1

    def _comma(self) -> None:
        if self._text[self._blank()] == ",":
            self._at += 1

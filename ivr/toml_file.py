"""Reads a TOML file into a tree of msgspec structs and tells every fault in it, each with its line.

Unknown keys come with a suggestion, wrong types and values in plain words. Knows nothing of what the tree is for.
"""

from __future__ import annotations

import copy
import difflib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, get_args, get_origin

import msgspec

from ivr.errors import InvalidInput, Problem
from ivr.toml_places import Place, nearest, places

T = TypeVar("T", bound=msgspec.Struct)

_KINDS = {
    "int": "a whole number", "float": "a number", "str": "text in quotes", "bool": "true or false",
    "array": "a list", "object": "a table", "datetime": "a date", "null": "nothing",
}  # fmt: skip
_MOST_FAULTS = 100


class TomlFile(Generic[T]):
    """A file that was read: its `value`, and where in it things stand.

    Raises InvalidInput with every fault found.
    """

    def __init__(self, path: Path, kind: type[T], missing: str = "give the right path") -> None:
        """`missing` says what to do when there is no such file."""
        self.path = str(path)
        text = self._text(path, missing)
        tree = self._tree(text)
        self._places = places(text)
        problems = [self.problem(place, "unknown key", mend) for place, mend in _unknown_keys(kind, tree, ())]
        value, faults = _convert(tree, kind)
        problems += [self.problem(place, message, mend) for place, message, mend in faults]
        if problems:
            raise InvalidInput(*sorted(problems, key=lambda p: p.line))
        self.value: T = value

    def problem(self, place: Place, message: str, mend: str = "") -> Problem:
        """A fault at `place`; its line is that of the key, or of the table around it when the key is not there."""
        return Problem(
            self.path,
            message,
            line=nearest(self._places, place),
            field=".".join(str(part) for part in place),
            mend=mend,
        )

    def _text(self, path: Path, missing: str) -> str:
        try:
            return path.read_text("utf-8")
        except FileNotFoundError:
            raise InvalidInput(Problem(self.path, "no such file", mend=missing)) from None
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise InvalidInput(Problem(self.path, "not UTF-8", line, mend="save it as UTF-8 text")) from None
        except OSError as error:
            raise InvalidInput(Problem(self.path, f"cannot be read: {error.strerror}")) from None

    def _tree(self, text: str) -> dict[str, Any]:
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            message, _, where = str(error).partition(" (at ")
            found = re.match(r"line (\d+), column (\d+)", where)
            line, column = (int(found[1]), int(found[2])) if found else (text.count("\n") + 1, 0)
            raise InvalidInput(Problem(self.path, f"not valid TOML: {message}", line, column)) from None


def _struct_of(annotation: object) -> type[msgspec.Struct] | None:
    """The struct inside `X`, `tuple[X, ...]` or `dict[str, X]`; None for plain values."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation
    return next((found for part in get_args(annotation) if (found := _struct_of(part))), None)


def _unknown_keys(kind: type[msgspec.Struct], tree: dict[str, Any], at: Place) -> Iterator[tuple[Place, str]]:
    """Every key that `kind` does not have, with a suggestion; takes them out of `tree`."""
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    for key in [key for key in tree if key not in fields]:
        del tree[key]
        close = difflib.get_close_matches(key, fields, 1)
        yield (*at, key), f"did you mean `{close[0]}`?" if close else "known here: " + ", ".join(sorted(fields))
    for key, value in tree.items():
        inner = _struct_of(fields[key])
        for place, child in _tables((*at, key), value, free_keys=get_origin(fields[key]) is dict) if inner else ():
            yield from _unknown_keys(inner, child, place)


def _tables(place: Place, value: object, free_keys: bool) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The tables that have the struct's keys: the value itself, its items, or with `free_keys` its values."""
    if isinstance(value, list):
        children = [((*place, index), item) for index, item in enumerate(value)]
    elif isinstance(value, dict) and free_keys:
        children = [((*place, name), item) for name, item in value.items()]
    else:
        children = [(place, value)]
    return ((at, child) for at, child in children if isinstance(child, dict))


def _convert(tree: dict[str, Any], kind: type[T]) -> tuple[T | None, list[tuple[Place, str, str]]]:
    """The typed tree, or None and every fault as (place, what is wrong, what to do).

    msgspec stops at the first fault, so what is faulty is taken out and the rest tried again.
    """
    tree = copy.deepcopy(tree)
    kept: dict[Place, list[int]] = {}
    faults: dict[Place, tuple[str, str]] = {}
    while len(faults) < _MOST_FAULTS:
        try:
            value = msgspec.convert(tree, kind)
        except msgspec.ValidationError as error:
            message, _, where = str(error).partition(" - at ")
            place = _place(where, tree, kind)
            written = _as_written(place, kept)
            if missing := re.match(r"Object missing required field `(.+)`", message):
                faults.setdefault((*written, missing[1]), ("is missing", f"add {missing[1]} = ..."))
            else:
                faulty = place[-1] if where.startswith("`key` in ") else _value(tree, place)
                faults[written] = _in_words(message, faulty, _annotation(kind, place))
            if not place:
                break
            _remove(tree, place, kept)
        else:
            return (None if faults else value), [(place, *words) for place, words in faults.items()]
    return None, [(place, *words) for place, words in faults.items()]


def _as_written(place: Place, kept: dict[Place, list[int]]) -> Place:
    """`place` with list positions as they were before faulty items were taken out."""
    written: Place = ()
    for part in place:
        written = (*written, kept[written][part] if isinstance(part, int) and written in kept else part)
    return written


def _remove(tree: dict[str, Any], place: Place, kept: dict[Place, list[int]]) -> None:
    holder, last = _value(tree, place[:-1]), place[-1]
    if isinstance(last, int):
        positions = kept.setdefault(_as_written(place[:-1], kept), list(range(len(holder))))
        del positions[last]
    del holder[last]


def _place(where: str, tree: dict[str, Any], kind: type[msgspec.Struct]) -> Place:
    """The place in `` `$.number[1].plan` `` or `` `key` in `$.speech` ``; names of free keys are found by trying."""
    in_key = where.startswith("`key` in ")
    path = where.rpartition("`$")[2].rstrip("`")
    parts = _parts(path)
    if in_key:
        parts.append("...")
    place: Place = ()
    for part in parts:
        place = (*place, _culprit(tree, place, kind) if part == "..." else part)
    return place


def _parts(path: str) -> list[str | int]:
    found = re.findall(r"\.([^.\[]+)|\[(\d+)\]|\[(\.\.\.)\]", path)
    return [int(index) if index else name or free for name, index, free in found]


def _culprit(tree: dict[str, Any], place: Place, kind: type[msgspec.Struct]) -> str:
    """Which free key of the table at `place` msgspec complains of."""
    names = list(_value(tree, place))
    for name in names:
        alone = copy.deepcopy(tree)
        table = _value(alone, place)
        for other in names:
            if other != name:
                del table[other]
        try:
            msgspec.convert(alone, kind)
        except msgspec.ValidationError as error:
            if str(error).rpartition("`$")[2].startswith("".join(f".{p}" for p in place)):
                return name
    return names[0]


def _value(tree: Any, place: Place) -> Any:
    for part in place:
        tree = tree[part]
    return tree


def _annotation(kind: type[msgspec.Struct], place: Place) -> object:
    """The type of the innermost named key on the way to `place`."""
    annotation: object = kind
    for part in place:
        struct = _struct_of(annotation)
        fields = {field.encode_name: field.type for field in msgspec.structs.fields(struct)} if struct else {}
        annotation = fields.get(part, annotation) if isinstance(part, str) else annotation
    return annotation


def _choices(annotation: object) -> tuple[str, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return next((found for part in get_args(annotation) if (found := _choices(part))), ())


def _in_words(message: str, value: Any, annotation: object) -> tuple[str, str]:
    """msgspec's complaint as (what is wrong, what to do)."""
    choices = _choices(annotation)
    if message.startswith("Invalid enum value") and choices:
        close = difflib.get_close_matches(str(value), choices, 1)
        mend = f"did you mean `{close[0]}`?" if close else ""
        return f"`{value}` is not one of {', '.join(choices)}", mend
    if found := re.fullmatch(r"Expected `(\w+)(?: \| \w+)*`, got `(\w+)`", message):
        wanted, got = (_KINDS.get(name, name) for name in found.groups())
        return f"must be {wanted}, not {got}", ""
    if found := re.fullmatch(r"Expected `(?:int|float)` (>=|<=|>|<) (.+)", message):
        words = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}
        return f"{value} is out of range: must be {words[found[1]]} {found[2]}", ""
    if found := re.fullmatch(r"Expected `(?:str|array)` of length (>=|<=) (\d+)", message):
        return ("is too short", f"at least {found[2]}") if found[1] == ">=" else ("is too long", f"at most {found[2]}")
    if found := re.fullmatch(r"Expected `str` matching regex '(.+)'", message):
        return f"`{value}` has not the form {found[1]}", ""
    return message, ""

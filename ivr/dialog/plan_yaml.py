"""YAML files as trees that know the line and column of everything in them.

Scalars mean what YAML 1.2's core schema says (https://yaml.org/spec/1.2.2/#103-core-schema), so `yes`, `no`, `on` and
`off` are texts. Anchors, aliases and tags are refused, sizes are bounded. Knows nothing of what a file is about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from ivr.errors import InvalidInput, Problem

MAX_FILE_BYTES = 4 << 20
SPLIT = "split it: a plan into plans that it calls (kind: call), each in a file of its own"
MAX_NODES = 400_000
"""Keys, values and lists in one file."""
MAX_DEPTH = 20
"""Lists and mappings inside one another; a dialplan needs eight."""

Path_ = tuple[str | int, ...]
"""Keys and list positions from the top of a file: `("steps", "ask", "no_input", 0, "en")`."""

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_WHOLE = re.compile(r"[-+]?[0-9]{1,30}")
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]{1,30}|[0-9]{1,30}(?:\.[0-9]{0,30})?)(?:[eE][-+]?[0-9]{1,2})?")
_REMARK = re.compile(r"[ \t]+#")
_BASES = re.compile(r"0o[0-7]{1,20}|0x[0-9a-fA-F]{1,20}")

_WRITE_OUT = "write it out, or put a text that begins with `*` or `&` in quotes"

# Everything but the printable characters of YAML 1.2, section 5.1.
_UNPRINTABLE = re.compile("[^\\t\\n\\r\\x20-\\x7e\\x85\\xa0-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")

# What the parser says, in words for people who do not know its insides, and what to do.
_PLAIN_WORDS = {
    "mapping values are not allowed in this context": ("a `:` that cannot stand here", "put the text in quotes"),
    "could not find expected ':'": ("a key without its `:`", "write `key: value`"),
    "did not find expected key": ("no key where one must stand", "look at the indentation and quotes above"),
    "did not find expected '-' indicator": ("no `-` where one must stand", "indent the whole list alike"),
    "did not find expected ',' or ']'": ("a list that does not end", "a `,` or the `]` is missing"),
    "did not find expected ',' or '}'": ("a mapping that does not end", "a `,` or the `}` is missing"),
    "found unexpected end of stream": ("the file ends inside a quoted text", "close the quotes"),
    "found character that cannot start any token": ("a character that cannot stand here", "put the text in quotes"),
    "did not find expected node content": ("no value where one must stand", "look at the brackets and commas above"),
    "did not find expected <document start>": ("words where keys must stand", "write `key: value`, indented alike"),
    "block sequence entries are not allowed in this context": ("a list that cannot stand here", "begin a new line"),
    "found unknown escape character": ("a `\\` that means nothing", "write it twice, or use single quotes"),
    "found undefined tag handle": ("tags are not allowed", "remove the `!`, or put the text in quotes"),
    "did not find expected hexdecimal number": ("a `\\` that means nothing", "write it twice, or use single quotes"),
    "did not find expected alphabetic or numeric character":
        ("a `*` or `&` that cannot stand here", "put the text in quotes"),
    "did not find expected comment or line break":
        ("words right behind `|` or `>`", "begin them on the next line, or put the text in quotes"),
    "mapping keys are not allowed in this context": ("a `?` that cannot stand here", "put the text in quotes"),
}  # fmt: skip

# Slips that the parser notices late, if at all: what a line looks like, what is wrong there, what to do.
_QUOTED = re.compile(r"""(?<![^\s\[{,:])(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')""")
_SLIPS = (
    (re.compile(r" *(\t)"), "a tab in the indentation", "indent with spaces"),
    (re.compile(r" *([\xa0\u2000-\u200b\u3000])\s*\S"), "a wide or special space in the indentation",
     "indent with plain spaces"),
    (re.compile(r"(?:[^#]*[\s{,])?[A-Za-z0-9_-]+(：)"), "a Chinese `：` after a key", "type `: ` instead"),
    (re.compile(r"[^#]*[{\[][^#]*([，、｛｝［］])"), "Chinese punctuation between keys", "type `,` and brackets"),
    (re.compile(r"[^#]*[{\[:] *([“”‘’])"), "quotes that are no quotes", "type `\"` instead"),
    (re.compile(r"\s*(?:- )?[A-Za-z_][A-Za-z0-9_-]*(:)[^\s:/]"), "no space after the `:`", "write `key: value`"),
    (re.compile(r"[^#]*: +([{\[])[^#]*[}\]]\s*[^\s,}\]#]"), "words behind a bracket",
     "put a text that begins with `{` or `[` in quotes"),
)  # fmt: skip
_SLIP_LINES = 3
"""Lines above a fault in which its cause is looked for."""


@dataclass(slots=True)
class Scalar:
    """One value as it is written; `plain` when it has no quotes. Lines and columns count from 1.

    `remark`: it has no quotes and a comment right behind it, which may have been meant as a part of it.
    """

    text: str
    plain: bool
    line: int
    column: int
    remark: bool = False

    @property
    def value(self) -> str | int | float | bool | None:
        """What it means by the core schema. Infinities and not-a-numbers stay texts."""
        if not self.plain:
            return self.text
        if self.text in _NULLS:
            return None
        if self.text in _BOOLS:
            return _BOOLS[self.text]
        if _WHOLE.fullmatch(self.text):
            return int(self.text)
        if _NUMBER.fullmatch(self.text):
            return float(self.text)
        return int(self.text, 0) if _BASES.fullmatch(self.text) else self.text


@dataclass(slots=True)
class ListNode:
    """A sequence."""

    line: int
    column: int
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class MapNode:
    """A mapping; `keys` tells where each key stands."""

    line: int
    column: int
    items: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)


Node = Scalar | ListNode | MapNode


@dataclass(frozen=True)
class YamlFile:
    """One file that was read: its words, its tree, and what is wrong with it as YAML."""

    path: str
    text: str
    root: MapNode
    problems: tuple[Problem, ...] = ()

    def problem(self, path: Path_, message: str, mend: str = "", shift: int = 0) -> Problem:
        """A problem with what stands at `path`, or with the innermost thing around it.

        `shift` moves the column into a value that stands on one line.
        """
        line, column = self.place(path)
        if shift and isinstance(node := self.find(path), Scalar):
            line, column = node.line, node.column + shift + (0 if node.plain else 1)
        return Problem(self.path, message, line, column, ".".join(str(part) for part in path), mend)

    def place(self, path: Path_) -> tuple[int, int]:
        """Line and column of a key or list item; of the innermost thing around it when it is not there."""
        node: Node = self.root
        found = (node.line, node.column)
        for part in path:
            if isinstance(node, MapNode) and part in node.items:
                found, node = node.keys[str(part)], node.items[str(part)]
            elif isinstance(node, ListNode) and isinstance(part, int) and part < len(node.items):
                node = node.items[part]
                found = (node.line, node.column)
            else:
                break
        return found

    def names(self, key: str) -> tuple[str, ...]:
        """The keys of the mapping that stands under a key of the file; none when there is no mapping."""
        node = self.root.items.get(key)
        return tuple(node.items) if isinstance(node, MapNode) else ()

    def find(self, path: Path_) -> Node | None:
        """The node at `path`."""
        node: Node | None = self.root
        for part in path:
            if isinstance(node, MapNode):
                node = node.items.get(str(part))
            elif isinstance(node, ListNode) and isinstance(part, int) and part < len(node.items):
                node = node.items[part]
            else:
                return None
        return node


def read(file: Path) -> YamlFile:
    """The tree of `file`, which must hold one mapping. Raises InvalidInput when nothing can be made of it."""
    text = _decoded(file)
    tree = _Tree(str(file), text)
    try:
        root = tree.read(yaml.parse(text, Loader=yaml.CSafeLoader))
    except yaml.MarkedYAMLError as error:
        raise InvalidInput(*tree.problems, _syntax(str(file), text, error)) from None
    if isinstance(root, Scalar) and root.value is None and not tree.problems:
        raise InvalidInput(Problem(str(file), "nothing in it", 1, 1, mend="see README.md, Dialplans"))
    if not isinstance(root, MapNode):
        fault = Problem(str(file), "must hold keys and values", 1, 1, mend="see README.md, Dialplans")
        raise InvalidInput(*(tree.problems or [fault]))
    return YamlFile(str(file), text, root, tuple(tree.problems))


def _decoded(file: Path) -> str:
    name = str(file)
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InvalidInput(Problem(name, f"cannot be read: {(error.strerror or 'no file').lower()}")) from None
    if len(raw) > MAX_FILE_BYTES:
        message = f"larger than {MAX_FILE_BYTES >> 20} MB ({MAX_FILE_BYTES:,} bytes), the most that is read of one file"
        raise InvalidInput(Problem(name, message, mend=SPLIT))
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InvalidInput(Problem(name, "UTF-16 text", 1, 1, mend="save it as UTF-8"))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = len(raw[raw.rfind(b"\n", 0, error.start) + 1 : error.start].decode("utf-8", "replace")) + 1
        mend = "it may be GBK; save it as UTF-8" if _is_gbk(raw) else "save it as UTF-8"
        raise InvalidInput(Problem(name, "not UTF-8 text", line, column, mend=mend)) from None
    if odd := _UNPRINTABLE.search(text):
        line, column = text.count("\n", 0, odd.start()) + 1, odd.start() - text.rfind("\n", 0, odd.start())
        raise InvalidInput(Problem(name, "a control character, which is no text", line, column, mend="remove it"))
    return text


def _is_gbk(raw: bytes) -> bool:
    try:
        raw.decode("gbk")
    except UnicodeDecodeError:
        return False
    return True


def _syntax(file: str, text: str, error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    said = str(error.problem or "not valid YAML")
    message, mend = _PLAIN_WORDS.get(said, (said, ""))
    rows = text.split("\n", line)[:line]
    for number in range(len(rows), max(0, len(rows) - _SLIP_LINES), -1):
        row = _QUOTED.sub(lambda quoted: "_" * len(quoted[0]), rows[number - 1])
        for slip, what, instead in _SLIPS:
            if found := slip.match(row):
                return Problem(file, what, number, found.start(1) + 1, mend=instead)
    return Problem(file, message, line, column, mend=mend)


class _Tree:
    """Builds nodes from the parser's events, one pass, refusing what is refused before it costs anything."""

    def __init__(self, file: str, text: str) -> None:
        self._file, self._text = file, text
        self.problems: list[Problem] = []
        self._open: list[ListNode | MapNode] = []
        self._keys: list[str | None] = []
        self._root: Node | None = None
        self._count = 0

    def read(self, events: Iterator[yaml.Event]) -> Node:
        documents = 0
        for event in events:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._begin(event)
                mark, plain = event.start_mark, event.implicit[0]
                remark = plain and bool(event.value) and _REMARK.match(self._text, event.end_mark.index) is not None
                self._put(Scalar(event.value, plain, mark.line + 1, mark.column + 1, remark))
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                self._begin(event)
                mark = event.start_mark
                node = (MapNode if kind is yaml.MappingStartEvent else ListNode)(mark.line + 1, mark.column + 1)
                self._put(node)
                self._open.append(node)
                self._keys.append(None)
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._open.pop()
                self._keys.pop()
            elif kind is yaml.AliasEvent:
                self._fault(event, "anchors and aliases are not allowed", _WRITE_OUT)
                self._put(Scalar("", True, event.start_mark.line + 1, event.start_mark.column + 1))
            elif kind is yaml.DocumentStartEvent:
                documents += 1
                if documents > 1:
                    self._fault(event, "a second document", "one file holds one; remove the `---`")
                    break
        return self._root or Scalar("", True, 1, 1)

    def _fault(self, event: yaml.Event, message: str, mend: str) -> None:
        mark = event.start_mark
        problem = Problem(self._file, message, mark.line + 1, mark.column + 1, mend=mend)
        self.problems.append(problem)

    def _begin(self, event: yaml.NodeEvent) -> None:
        self._count += 1
        if self._count > MAX_NODES:
            self._fault(event, f"more than {MAX_NODES} values, the most that is read of one file", SPLIT)
            raise InvalidInput(*self.problems)
        if len(self._open) > MAX_DEPTH:
            self._fault(event, f"nested more than {MAX_DEPTH} deep", "see README.md, Dialplans")
            raise InvalidInput(*self.problems)
        if event.anchor is not None:
            self._fault(event, "anchors and aliases are not allowed", _WRITE_OUT)
        if event.tag is not None:
            self._fault(event, "tags are not allowed", "remove the `!`, or put the text in quotes")

    def _put(self, node: Node) -> None:
        """`node` is the next thing in the innermost open list or mapping. A key of None waits for the next key."""
        if not self._open:
            self._root = node
            return
        around = self._open[-1]
        if isinstance(around, ListNode):
            around.items.append(node)
        elif self._keys[-1] is None:
            self._keys[-1] = self._key(around, node)
        else:
            if key := self._keys[-1]:
                around.items[key] = node
            self._keys[-1] = None

    def _key(self, around: MapNode, node: Node) -> str:
        """The text of a key, empty when its value is to be dropped."""
        place = (node.line, node.column)
        if not isinstance(node, Scalar) or not node.text:
            message = "a key must be a text"
            self.problems.append(Problem(self._file, message, *place, mend="write `key: value`"))
            return ""
        if node.text in around.keys:
            message = f"`{node.text}` is given twice, first on line {around.keys[node.text][0]}"
            self.problems.append(Problem(self._file, message, *place, mend="keep one of them"))
            return ""
        around.keys[node.text] = place
        return node.text

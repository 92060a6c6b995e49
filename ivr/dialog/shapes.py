"""Shapes of the values in a file: each reads a tree into plain Python and writes itself as JSON Schema (draft 7).

One table of shapes is so both the reader and the schema: what one refuses the other refuses. Knows nothing of
dialplans; `plan_format` is the table.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from rapidfuzz import process
from rapidfuzz.distance import OSA

from ivr.dialog.plan_yaml import ListNode, MapNode, Node, Path_, Scalar, YamlFile
from ivr.errors import Problem

_NUMBER = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?")
LANGUAGE = "[a-z]{2}"
"""ISO 639-1 codes."""
MAX_TEXT_CHARS = 2_000
MAX_PROBLEMS = 100
SIMILAR = 0.6
"""Likeness of two words, 0..1, from which one may be meant by the other: one slip in three letters, two in five."""


def did_you_mean(word: str, known: Collection[str], otherwise: str = "") -> str:
    """A mend for a word that is not in `known`."""
    found = process.extractOne(word[:64], list(known), scorer=OSA.normalized_similarity, score_cutoff=SIMILAR)
    return f"did you mean `{found[0]}`?" if found else otherwise


class Reading:
    """One file while it is read: collects what is wrong.

    `languages` are those every prompt must have; with none it is not known which.
    """

    def __init__(self, file: YamlFile, languages: tuple[str, ...] = ()) -> None:
        self.file = file
        self.languages = languages
        self.problems: list[Problem] = list(file.problems[:MAX_PROBLEMS])

    def fault(self, path: Path_, message: str, mend: str = "", shift: int = 0) -> None:
        """Note a problem at `path`. The first MAX_PROBLEMS are kept."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(self.file.problem(path, message, mend, shift))
        elif len(self.problems) == MAX_PROBLEMS:
            self.problems.append(Problem(self.file.path, f"more than {MAX_PROBLEMS} problems", mend="mend these first"))

    def wrong(self, path: Path_, node: Node, wanted: str, mend: str = "") -> None:
        """Note that what stands at `path` is not `wanted`."""
        if isinstance(node, Scalar) and node.value is None:
            self.fault(path, "nothing in it", f"give {wanted}, or remove the key")
        else:
            self.fault(path, f"must be {wanted}", mend)


@dataclass(frozen=True)
class Text:
    """Words. `pattern` must fit all of them; `figures`: numbers and truth values count as they are written."""

    pattern: str = ""
    wanted: str = "a text"
    mend: str = ""
    figures: bool = False
    most: int = MAX_TEXT_CHARS
    empty: ClassVar[str] = ""

    def read(self, node: Node, path: Path_, reading: Reading) -> str | None:
        if not isinstance(node, Scalar) or node.value is None:
            return reading.wrong(path, node, self.wanted, self.mend)
        if not self.figures and not isinstance(node.value, str):
            return reading.fault(
                path, f"must be {self.wanted}, not a {_kind(node)}", f'put it in quotes: "{node.text}"'
            )
        if not node.text.strip():
            return reading.fault(path, "nothing in it", self.mend)
        if len(node.text) > self.most:
            return reading.fault(path, f"longer than {self.most} characters", "make it shorter")
        if self.pattern and not re.fullmatch(self.pattern, node.text):
            return reading.fault(path, f"`{node.text[:60]}` is not {self.wanted}", self.mend)
        if node.remark and not (self.pattern or self.figures):
            return reading.fault(path, "what stands after ` #` does not belong to the text", "put the text in quotes")
        return node.text

    def schema(self, _definitions: dict[str, Any]) -> dict[str, Any]:
        kinds = ["string", "number", "boolean"] if self.figures else "string"
        return {"type": kinds, "maxLength": self.most, "pattern": f"^(?:{self.pattern})$" if self.pattern else r"\S"}


@dataclass(frozen=True)
class Word:
    """One of a few words. `former` maps words that once stood here to what to do instead."""

    words: tuple[str, ...]
    former: Mapping[str, str] = field(default_factory=dict)
    empty: ClassVar[str] = ""

    def read(self, node: Node, path: Path_, reading: Reading) -> str | None:
        if isinstance(node, Scalar) and node.text in self.words and (node.value is not None):
            return node.text
        text = node.text if isinstance(node, Scalar) else ""
        mend = self.former.get(text) or did_you_mean(text, self.words, "one of " + ", ".join(self.words))
        return reading.fault(path, f"`{text[:60]}` is not known" if text else "must be one word", mend)

    def schema(self, _definitions: dict[str, Any]) -> dict[str, Any]:
        return {"enum": [*self.words, *(int(word) for word in self.words if word.isdecimal())]}


@dataclass(frozen=True)
class Number:
    """A number from `low` to `high`; whole unless `decimals`."""

    low: float
    high: float
    decimals: bool = False
    empty: ClassVar[int] = 0

    def read(self, node: Node, path: Path_, reading: Reading) -> float | None:
        value = node.value if isinstance(node, Scalar) else None
        fits = isinstance(value, (int, float) if self.decimals else int) and not isinstance(value, bool)
        if not fits or not self.low <= value <= self.high:
            kind = "a number" if self.decimals else "a whole number"
            quoted = isinstance(node, Scalar) and not node.plain and _NUMBER.fullmatch(node.text.strip())
            mend = "remove the quotes" if quoted else ""
            return reading.wrong(path, node, f"{kind} from {self.low} to {self.high}", mend)
        return value

    def schema(self, _definitions: dict[str, Any]) -> dict[str, Any]:
        return {"type": "number" if self.decimals else "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True)
class Flag:
    """True or false."""

    empty: ClassVar[bool] = False

    def read(self, node: Node, path: Path_, reading: Reading) -> bool | None:
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        return reading.wrong(path, node, "true or false")

    def schema(self, _definitions: dict[str, Any]) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Words:
    """Something for each language of the plan, `{en: ..., zh: ...}`; with one language, it alone.

    `every`: all the plan's languages must be there and no others.
    """

    of: Shape
    every: bool = True
    empty: ClassVar[dict[str, Any]] = {}

    def read(self, node: Node, path: Path_, reading: Reading) -> dict[str, Any] | None:
        if not isinstance(node, MapNode):
            if isinstance(node, Scalar) and isinstance(node.value, str) and len(reading.languages) <= 1:
                value = self.of.read(node, path, reading)
                return None if value is None else dict.fromkeys(reading.languages, value)
            return reading.wrong(path, node, "words per language", "like {en: ..., zh: ...}")
        return self.read_languages(node, node.items, path, reading)

    def read_languages(self, node: MapNode, present: Collection[str], path: Path_, reading: Reading) -> dict[str, Any]:
        """The languages in `present`, which are keys of `node`."""
        found = {}
        for language in present:
            child = node.items[language]
            if not re.fullmatch(LANGUAGE, language) and isinstance(child, Scalar) and child.value is None:
                reading.fault((*path, language), "cut off by a comma", "put a text that holds a comma in quotes")
            elif not re.fullmatch(LANGUAGE, language):
                mend = "known here are languages, like en; indent another key less"
                reading.fault((*path, language), "not a language", mend)
            elif self.every and reading.languages and language not in reading.languages:
                known = ", ".join(reading.languages)
                mend = f"its languages are {known}; a new one stands in `languages:`"
                reading.fault((*path, language), "not a language of this plan", mend)
            elif (value := self.of.read(child, (*path, language), reading)) is not None:
                found[language] = value
        for language in reading.languages if self.every else ():
            if language not in node.items:
                mend = f"add `{language}:` or drop the language from `languages`"
                reading.fault((*path, language), f"no words in `{language}`", mend)
        return found

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        one = self.of.schema(definitions)
        return {"anyOf": [{"type": "string", "pattern": r"\S"},
                          {"type": "object", "patternProperties": {f"^{LANGUAGE}$": one},
                           "additionalProperties": False, "minProperties": 1}]}  # fmt: skip


@dataclass(frozen=True)
class ListOf:
    """A list; with `single`, one value stands for a list of one."""

    of: Shape
    least: int = 0
    most: int = 1_000
    single: bool = False
    mend: str = ""
    empty: ClassVar[tuple[Any, ...]] = ()

    def read(self, node: Node, path: Path_, reading: Reading) -> tuple[Any, ...] | None:
        if self.single and not isinstance(node, ListNode):
            value = self.of.read(node, path, reading)
            return None if value is None else (value,)
        if not isinstance(node, ListNode):
            return reading.wrong(path, node, "a list", self.mend)
        if not self.least <= len(node.items) <= self.most:
            reading.fault(path, f"must be a list of {self.least} to {self.most}", self.mend)
        read = (self.of.read(item, (*path, index), reading) for index, item in enumerate(node.items[: self.most]))
        return tuple(value for value in read if value is not None)

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        one = self.of.schema(definitions)
        many = {"type": "array", "items": one, "minItems": self.least, "maxItems": self.most}
        return {"anyOf": [one, many]} if self.single else many


@dataclass(frozen=True)
class MapOf:
    """Names that the file's author chooses, each with a value. `nullable`: a value may be `null`."""

    of: Shape
    names: str
    wanted: str
    mend: str
    least: int = 0
    most: int = 1_000
    nullable: bool = False
    empty: ClassVar[dict[str, Any]] = {}

    def read(self, node: Node, path: Path_, reading: Reading) -> dict[str, Any] | None:
        if not isinstance(node, MapNode):
            mend = "write `NAME: ...` without the `-`" if isinstance(node, ListNode) else self.mend
            return reading.wrong(path, node, "names with a value each", mend)
        if not self.least <= len(node.items):
            reading.fault(path, "nothing in it", self.mend)
        found = {}
        for name, child in node.items.items():
            if len(found) == self.most:
                reading.fault((*path, name), f"more than {self.most} of them", "split the file, or make them fewer")
                break
            if not re.fullmatch(self.names, name):
                reading.fault((*path, name), f"`{name[:60]}` is not {self.wanted}", self.mend)
            elif self.nullable and isinstance(child, Scalar) and child.value is None:
                found[name] = None
            elif (value := self.of.read(child, (*path, name), reading)) is not None:
                found[name] = value
        return found

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        one = self.of.schema(definitions)
        return {"type": "object", "patternProperties": {f"^(?:{self.names})$": {"anyOf": [one, {"type": "null"}]}
                if self.nullable else one}, "additionalProperties": False, "minProperties": self.least,
                "maxProperties": self.most}  # fmt: skip


@dataclass(frozen=True)
class Key:
    """One key of a Record. `default` is what a file that leaves it out means; `doc` explains it in editors."""

    shape: Shape
    doc: str = ""
    required: bool = False
    default: Any = None
    mend: str = ""

    def left_out(self) -> Any:
        return self.shape.empty if self.default is None else self.default


@dataclass(frozen=True)
class Record:
    """A mapping with known keys, read into a dict that has all of them.

    `either`: exactly one of these keys is there. `languages`: what may stand under each language beside the keys,
    read into the key `languages`. `former`: keys that once stood here -> what to do instead.
    """

    keys: Mapping[str, Key]
    either: tuple[str, ...] = ()
    needs: Mapping[str, str] = field(default_factory=dict)
    languages: Words | None = None
    former: Mapping[str, str] = field(default_factory=dict)
    empty: ClassVar[dict[str, Any]] = {}

    def read(self, node: Node, path: Path_, reading: Reading) -> dict[str, Any] | None:
        if not isinstance(node, MapNode):
            known = "known keys: " + ", ".join(self.keys) if self.keys else "like {en: ..., zh: ...}"
            return reading.wrong(path, node, "keys with a value each", known)
        present = [key for key in node.items if self.languages and key not in self.keys and re.fullmatch(LANGUAGE, key)]
        for key in node.items:
            if key not in self.keys and key not in present:
                otherwise = "known here: " + ", ".join(self.keys)
                mend = self.former.get(key) or did_you_mean(key, self.keys, otherwise)
                if re.fullmatch(r"[A-Za-z_-]+[:：].*", key):
                    mend = "write `key: value`, with a space after a plain `:`"
                reading.fault((*path, key), "unknown key", mend)
        given = [key for key in self.either if key in node.items]
        if self.either and len(given) != 1:
            missing = "missing" if not given else "does not go with `" + given[0] + "`"
            wrong = given[1] if given else self.either[0]
            reading.fault((*path, wrong), missing, "give either " + " or ".join(f"`{key}`" for key in self.either))
        for key, other in self.needs.items():
            if key in node.items and other not in node.items:
                reading.fault((*path, other), f"missing; `{key}` needs it", f"add `{other}:`")
        values = {key: self._value(key, node, path, reading) for key in self.keys}
        if self.languages:
            values["languages"] = self.languages.read_languages(node, present, path, reading)
        return values

    def _value(self, key: str, node: MapNode, path: Path_, reading: Reading) -> Any:
        spec = self.keys[key]
        if key not in node.items:
            if spec.required:
                reading.fault((*path, key), "missing", spec.mend or f"add `{key}:`")
            return spec.left_out()
        value = spec.shape.read(node.items[key], (*path, key), reading)
        return spec.left_out() if value is None else value

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": {}}
        for name, key in self.keys.items():
            made["properties"][name] = _explained(key.shape.schema(definitions), key.doc)
        if required := [name for name, key in self.keys.items() if key.required]:
            made["required"] = required
        if self.either:
            made["oneOf"] = [{"required": [name]} for name in self.either]
        if self.needs:
            made["dependencies"] = {name: [other] for name, other in self.needs.items()}
        if self.languages:
            made["patternProperties"] = {f"^{LANGUAGE}$": self.languages.of.schema(definitions)}
        return made


@dataclass(frozen=True)
class Tagged:
    """A mapping whose `kind` decides its other keys, read into a dict with `kind` in it."""

    kinds: Mapping[str, Record]
    called: str
    empty: ClassVar[dict[str, Any]] = {}

    def read(self, node: Node, path: Path_, reading: Reading) -> dict[str, Any] | None:
        if not isinstance(node, MapNode) or "kind" not in node.items:
            return reading.fault(path, f"a {self.called} needs a kind", "kind: " + "|".join(self.kinds))
        named = node.items["kind"]
        kind = named.text if isinstance(named, Scalar) else ""
        if kind not in self.kinds:
            mend = did_you_mean(kind, self.kinds, "one of " + ", ".join(self.kinds))
            return reading.fault((*path, "kind"), f"unknown {self.called} kind `{kind[:60]}`", mend)
        record = self.kinds[kind]
        rest = MapNode(node.line, node.column, {k: v for k, v in node.items.items() if k != "kind"}, node.keys)
        values = record.read(rest, path, reading)
        return None if values is None else {"kind": kind, **values}

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        cases = []
        for kind, record in self.kinds.items():
            then = record.schema(definitions)
            then["properties"] = {"kind": {"const": kind}, **then["properties"]}
            cases.append({"if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]}, "then": then})
        kinds = {"kind": {"enum": list(self.kinds)}}
        return {"type": "object", "required": ["kind"], "properties": kinds, "allOf": cases}


@dataclass(frozen=True)
class AnyOf:
    """One of two shapes, told apart by whether a list or a mapping stands there; each read into a list of values."""

    listed: ListOf
    mapped: MapOf
    key: str
    empty: ClassVar[tuple[Any, ...]] = ()

    def read(self, node: Node, path: Path_, reading: Reading) -> tuple[tuple[Path_, dict[str, Any]], ...] | None:
        """The values with their places; a mapping's names become their key `key`."""
        if isinstance(node, MapNode):
            found = self.mapped.read(node, path, reading) or {}
            return tuple(((*path, name), {self.key: name, **value}) for name, value in found.items())
        found_list = self.listed.read(node, path, reading)
        return None if found_list is None else tuple(((*path, i), value) for i, value in enumerate(found_list))

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        return {"anyOf": [self.listed.schema(definitions), self.mapped.schema(definitions)]}


@dataclass(frozen=True)
class Named:
    """A shape that stands in many places: written once in the schema, under its name."""

    name: str
    shape: Shape

    @property
    def empty(self) -> Any:
        return self.shape.empty

    def read(self, node: Node, path: Path_, reading: Reading) -> Any:
        return self.shape.read(node, path, reading)

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        if self.name not in definitions:
            definitions[self.name] = {}
            definitions[self.name] = self.shape.schema(definitions)
        return {"$ref": f"#/definitions/{self.name}"}


Shape = Text | Word | Number | Flag | Words | ListOf | MapOf | Record | Tagged | AnyOf | Named


def _kind(node: Scalar) -> str:
    return "truth value" if isinstance(node.value, bool) else "number"


def _explained(schema: dict[str, Any], doc: str) -> dict[str, Any]:
    if not doc:
        return schema
    return {"description": doc, **({"allOf": [schema]} if "$ref" in schema else schema)}

"""Dialplans: YAML in `dialplans/` to validated, versioned, immutable plans. Finds every fault at once, with its place.

`load_all(folder)` reads every `*.yaml`; `NAME.knowledge.yaml` beside a plan holds what it can answer. Knows nothing
of calls, audio or engines.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from ivr.errors import InvalidInput, Problem
from ivr.turn import Expectation
from ivr.understanding.knowledge import Entry, Knowledge

MAX_FILE_BYTES = 1 << 20
EXPECTS = ("open", "yes_no", "digits", "choice", "date")

Prompt = Mapping[str, str]
"""Language -> words. Values in braces are spoken properly: `{digits:8620}`, `{money:12.50 EUR}`."""


@dataclass(frozen=True)
class Say:
    """Speak, then go on. `barge_in`: what may interrupt it; `protected_ms`: nothing may for so long."""

    name: str
    prompt: Prompt
    next: str
    barge_in: str = "speech"
    protected_ms: int = 0


@dataclass(frozen=True)
class Choice:
    """One answer of a menu: ways to say it per language, and its key."""

    value: str
    phrases: Mapping[str, tuple[str, ...]]
    key: str = ""


@dataclass(frozen=True)
class Ask:
    """Ask and listen. The answer is kept under the step's name; `on` sends values and intents their own way.

    `no_input` and `no_match` are the reprompts of the first, second, ... time (the last one is repeated) until
    `tries` of either are used up; then `give_up` is next.
    """

    name: str
    prompt: Prompt
    expect: str
    next: str
    give_up: str
    on: Mapping[str, str] = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()
    min_digits: int = 1
    max_digits: int = 32
    no_input: tuple[Prompt, ...] = ()
    no_match: tuple[Prompt, ...] = ()
    tries: int = 3
    no_input_ms: int = 0
    barge_in: str = "speech"
    protected_ms: int = 0
    sensitive: bool = False

    def expectation(self, language: str) -> Expectation:
        phrases = tuple(p for c in self.choices for p in c.phrases.get(language, ()))
        return Expectation(self.expect, language, phrases, self.min_digits, self.max_digits, self.sensitive)

    def choice_of(self, phrase: str, language: str) -> str:
        return next((c.value for c in self.choices if phrase in c.phrases.get(language, ())), "")


@dataclass(frozen=True)
class Answer:
    """Say what the knowledge base answers to the open question `question`; `unknown` is next when it has nothing."""

    name: str
    question: str
    next: str
    unknown: str


@dataclass(frozen=True)
class Transfer:
    """Connect the caller to `target`, a number to dial or a SIP URI; each outcome has its own way on.

    mode: `bridge` dials and connects (we stay in the call), `refer` hands the call over (RFC 3515).
    """

    name: str
    prompt: Prompt
    target: str
    mode: str = "bridge"
    timeout_s: int = 30
    busy: str = ""
    no_answer: str = ""
    failed: str = ""


@dataclass(frozen=True)
class Hangup:
    """Say goodbye and end the call."""

    name: str
    prompt: Prompt


Step = Say | Ask | Answer | Transfer | Hangup


@dataclass(frozen=True)
class Plan:
    """A whole service. `version` is a hash of its files; a call keeps the Plan it began with."""

    name: str
    version: str
    languages: tuple[str, ...]
    start: str
    steps: Mapping[str, Step]
    knowledge: Knowledge
    operator: str = ""
    failed: Prompt = field(default_factory=dict)
    file: str = ""

    def prompts(self) -> Iterator[tuple[str, str]]:
        """Every (language, text) this plan can say, answers included; for making speech ahead of time."""
        for step in self.steps.values():
            for prompt in (getattr(step, "prompt", {}), *getattr(step, "no_input", ()), *getattr(step, "no_match", ())):
                yield from prompt.items()
        yield from self.failed.items()
        for entry in self.knowledge.entries:
            yield from ((language, text) for language, text in entry.answer.items() if text)


@dataclass(frozen=True)
class Plans:
    """The plans of a folder and what is wrong with the others."""

    by_name: Mapping[str, Plan]
    problems: tuple[Problem, ...]


def load_all(folder: Path) -> Plans:
    """Every plan in `folder`, and the problems of those that cannot be used."""
    plans: dict[str, Plan] = {}
    problems: list[Problem] = []
    files = sorted(p for p in folder.glob("*.yaml") if not p.name.endswith(".knowledge.yaml"))
    if not files:
        problems.append(Problem(str(folder), "no dialplan here", mend="put a NAME.yaml into it"))
    for file in files:
        try:
            plan = load(file)
        except InvalidInput as invalid:
            problems.extend(invalid.problems)
        else:
            if plan.name in plans:
                problems.append(Problem(str(file), f"a second plan named `{plan.name}`", mend="rename one of them"))
            plans[plan.name] = plan
    return Plans(plans, tuple(problems))


def load(file: Path) -> Plan:
    """One plan with its knowledge. Raises InvalidInput with every problem found."""
    text, tree = _read(file)
    reader = _Reader(str(file))
    beside = file.with_name(f"{file.stem}.knowledge.yaml")
    entries: tuple[Entry, ...] = ()
    digest = hashlib.sha256(text.encode())
    if beside.exists():
        knowledge_text, knowledge_tree = _read(beside)
        digest.update(knowledge_text.encode())
        knowledge_reader = _Reader(str(beside))
        entries = tuple(knowledge_reader.entries(knowledge_tree))
        reader.problems.extend(knowledge_reader.problems)
    plan = reader.plan(tree, file.stem, digest.hexdigest()[:12], Knowledge(entries))
    if reader.problems:
        raise InvalidInput(*reader.problems)
    return plan


def _read(file: Path) -> tuple[str, dict]:
    try:
        raw = file.read_bytes()
        if len(raw) > MAX_FILE_BYTES:
            raise InvalidInput(Problem(str(file), f"larger than {MAX_FILE_BYTES} bytes", mend="split it"))
        text = raw.decode("utf-8")
    except OSError as error:
        raise InvalidInput(Problem(str(file), f"cannot be read: {error.strerror}")) from None
    except UnicodeDecodeError:
        raise InvalidInput(Problem(str(file), "not UTF-8 text", mend="save it as UTF-8")) from None
    if re.search(r"^\s*[^#\s][^#]*:\s*[&*]\w", text, re.MULTILINE):
        raise InvalidInput(Problem(str(file), "YAML anchors and aliases are not allowed", mend="write it out"))
    try:
        tree = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        mend = "indent with spaces" if "\\t" in str(error.problem) or "\t" in text else ""
        message = str(error.problem or "not valid YAML")
        raise InvalidInput(Problem(str(file), message, line, column, mend=mend)) from None
    except (YAMLError, RecursionError, ValueError) as error:
        raise InvalidInput(Problem(str(file), f"not valid YAML: {type(error).__name__}")) from None
    if not isinstance(tree, dict):
        raise InvalidInput(Problem(str(file), "nothing in it", mend="see README.md, Dialplans"))
    return text, tree


_COMMON = {"kind"}
_KEYS: dict[str, set[str]] = {
    "say": {"prompt", "next", "barge_in", "protected_ms"},
    "ask": {"prompt", "expect", "next", "give_up", "on", "choices", "digits", "no_input", "no_match", "tries",
            "no_input_ms", "barge_in", "protected_ms", "sensitive"},
    "answer": {"question", "next", "unknown"},
    "transfer": {"prompt", "target", "mode", "timeout_s", "busy", "no_answer", "failed"},
    "hangup": {"prompt"},
}  # fmt: skip
STEP_KINDS = tuple(_KEYS)
_TOP = {"plan", "languages", "start", "steps", "operator", "failed"}


class _Reader:
    """Reads one file's tree, collecting problems with their lines; nothing it returns counts when there are any."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.languages: tuple[str, ...] = ()

    def problem(self, node: object, key: object, where: str, message: str, mend: str = "") -> None:
        line = column = 0
        try:
            position = node.lc.key(key) if isinstance(node, dict) else node.lc.item(key)
            line, column = position[0] + 1, position[1] + 1
        except (AttributeError, KeyError, TypeError, IndexError):
            mark = getattr(node, "lc", None)
            if mark is not None and mark.line is not None:
                line, column = mark.line + 1, mark.col + 1
        self.problems.append(Problem(self.file, message, line, column, where, mend))

    def unknown_keys(self, node: dict, known: set[str], where: str) -> None:
        for key in node:
            if key not in known:
                close = difflib.get_close_matches(str(key), known, 1)
                mend = f"did you mean `{close[0]}`?" if close else "known here: " + ", ".join(sorted(known))
                self.problem(node, key, f"{where}{key}", "unknown key", mend)

    def plan(self, tree: dict, stem: str, version: str, knowledge: Knowledge) -> Plan:
        self.unknown_keys(tree, _TOP, "")
        languages = tree.get("languages", ["en"])
        if not isinstance(languages, list) or not all(re.fullmatch("[a-z]{2}", str(x)) for x in languages):
            self.problem(tree, "languages", "languages", "must be a list of two-letter codes", "like [en, zh]")
            languages = ["en"]
        self.languages = tuple(str(x) for x in languages)
        steps_tree = tree.get("steps")
        if not isinstance(steps_tree, dict) or not steps_tree:
            self.problem(tree, "steps", "steps", "no steps", "add one, see README.md, Dialplans")
            steps_tree = {}
        steps = {str(n): s for n, t in steps_tree.items() if (s := self.step(str(n), t, steps_tree)) is not None}
        start = str(tree.get("start", next(iter(steps_tree), "")))
        self.goto(tree, "start", start, steps_tree, "start")
        operator = str(tree.get("operator", ""))
        if operator:
            self.goto(tree, "operator", operator, steps_tree, "operator")
        failed = self.prompt(tree, "failed", "failed") if "failed" in tree else {}
        self.unreachable(start, operator, steps, steps_tree)
        return Plan(str(tree.get("plan", stem)), version, self.languages, start, steps, knowledge, operator, failed,
                    self.file)  # fmt: skip

    def step(self, name: str, tree: object, all_steps: dict) -> Step | None:
        where = f"steps.{name}."
        kind = tree.get("kind") if isinstance(tree, dict) else None
        if kind not in _KEYS:
            close = difflib.get_close_matches(str(kind), _KEYS, 1)
            mend = f"did you mean `{close[0]}`?" if close else "one of " + ", ".join(_KEYS)
            if isinstance(tree, dict) and "kind" in tree:
                self.problem(tree, "kind", f"{where}kind", f"unknown step kind `{kind}`", mend)
            else:
                self.problem(all_steps, name, f"steps.{name}", "a step needs a kind", "kind: " + "|".join(_KEYS))
            return None
        self.unknown_keys(tree, _KEYS[kind] | _COMMON, where)
        return getattr(self, f"_{kind}")(name, tree, all_steps, where)

    def _say(self, name: str, tree: dict, steps: dict, where: str) -> Say:
        return Say(name, self.prompt(tree, "prompt", where + "prompt"), self.goto(tree, "next", None, steps, where),
                   self.word(tree, "barge_in", where, "speech", ("speech", "key", "none")),
                   self.number(tree, "protected_ms", where, 0, 0, 60_000))  # fmt: skip

    def _ask(self, name: str, tree: dict, steps: dict, where: str) -> Ask:
        expect = self.word(tree, "expect", where, "open", EXPECTS)
        on = tree.get("on", {})
        if not isinstance(on, dict):
            self.problem(tree, "on", where + "on", "must map answers to steps", "like {yes: confirmed, no: denied}")
            on = {}
        for value in on:
            self.goto(on, value, on[value], steps, f"{where}on.{value}")
        digits = tree.get("digits", {})
        if not isinstance(digits, dict):
            self.problem(tree, "digits", where + "digits", "must be {min: ..., max: ...}", "like {min: 4, max: 4}")
            digits = {}
        self.unknown_keys(digits, {"min", "max"}, where + "digits.")
        low = self.number(digits, "min", where + "digits.", 1, 1, 64)
        has_next = "next" in tree or not on
        return Ask(
            name,
            self.prompt(tree, "prompt", where + "prompt"),
            expect,
            self.goto(tree, "next", None, steps, where) if has_next else "",
            self.goto(tree, "give_up", None, steps, where),
            {str(k).lower() if not isinstance(k, bool) else ("yes" if k else "no"): str(v) for k, v in on.items()},
            self.choices(tree, where) if expect == "choice" else (),
            low,
            self.number(digits, "max", where + "digits.", max(low, 32), low, 64),
            self.prompts(tree, "no_input", where),
            self.prompts(tree, "no_match", where),
            self.number(tree, "tries", where, 3, 1, 20),
            self.number(tree, "no_input_ms", where, 0, 0, 600_000),
            self.word(tree, "barge_in", where, "speech", ("speech", "key", "none")),
            self.number(tree, "protected_ms", where, 0, 0, 60_000),
            bool(tree.get("sensitive", False)),
        )

    def _answer(self, name: str, tree: dict, steps: dict, where: str) -> Answer:
        question = str(tree.get("question", ""))
        asked = steps.get(question)
        if not isinstance(asked, dict) or asked.get("kind") != "ask" or asked.get("expect", "open") != "open":
            asks = [n for n, s in steps.items() if isinstance(s, dict) and s.get("kind") == "ask"]
            close = difflib.get_close_matches(question, asks, 1)
            self.problem(tree, "question", where + "question", f"`{question}` is no step that asks an open question",
                         f"did you mean `{close[0]}`?" if close else "name the ask step")  # fmt: skip
        return Answer(name, question, self.goto(tree, "next", None, steps, where),
                      self.goto(tree, "unknown", None, steps, where))  # fmt: skip

    def _transfer(self, name: str, tree: dict, steps: dict, where: str) -> Transfer:
        target = str(tree.get("target", ""))
        if not target:
            self.problem(tree, "target", where + "target", "missing", "a number to dial or a SIP URI")
        ways = {k: self.goto(tree, k, None, steps, where) for k in ("busy", "no_answer", "failed")}
        return Transfer(name, self.prompt(tree, "prompt", where + "prompt"), target,
                        self.word(tree, "mode", where, "bridge", ("bridge", "refer")),
                        self.number(tree, "timeout_s", where, 30, 1, 300), **ways)  # fmt: skip

    def _hangup(self, name: str, tree: dict, _steps: dict, where: str) -> Hangup:
        return Hangup(name, self.prompt(tree, "prompt", where + "prompt"))

    def prompt(self, tree: dict, key: str, where: str) -> dict[str, str]:
        value = tree.get(key)
        if isinstance(value, str) and len(self.languages) == 1:
            return {self.languages[0]: value}
        if not isinstance(value, dict):
            self.problem(tree, key, where, "missing" if value is None else "must give the words per language",
                         "like {en: ..., zh: ...}")  # fmt: skip
            return {}
        self.unknown_keys(value, set(self.languages), where + ".")
        for language in self.languages:
            if not str(value.get(language) or "").strip():
                self.problem(tree, key, f"{where}.{language}", f"no words in `{language}`",
                             f"add `{language}:` or drop the language from `languages`")  # fmt: skip
        return {str(k): str(v) for k, v in value.items()}

    def prompts(self, tree: dict, key: str, where: str) -> tuple[dict[str, str], ...]:
        values = tree.get(key, [])
        if isinstance(values, (dict, str)):
            return (self.prompt(tree, key, where + key),)
        if not isinstance(values, list):
            self.problem(tree, key, where + key, "must be a prompt or a list of prompts")
            return ()
        return tuple(self.prompt({key: v}, key, f"{where}{key}.{i}") for i, v in enumerate(values))

    def choices(self, tree: dict, where: str) -> tuple[Choice, ...]:
        values = tree.get("choices")
        if not isinstance(values, dict) or not values:
            self.problem(tree, "choices", where + "choices", "a choice needs its choices",
                         "like choices: {balance: {key: 1, en: [balance], zh: [余额]}}")  # fmt: skip
            return ()
        out, keys = [], set()
        for value, ways in values.items():
            at = f"{where}choices.{value}"
            if not isinstance(ways, dict):
                self.problem(values, value, at, "must give the ways to say it per language")
                continue
            self.unknown_keys(ways, {*self.languages, "key"}, at + ".")
            key = str(ways.get("key", ""))
            if key and (key in keys or not re.fullmatch(r"[0-9*#]", key)):
                self.problem(ways, "key", at + ".key", f"`{key}` is taken or no key", "one of 0-9 * #, each once")
            keys.add(key)
            phrases = {}
            for language in self.languages:
                said = ways.get(language, [])
                said = [said] if isinstance(said, str) else said
                phrases[language] = tuple(str(s) for s in said)
                if not phrases[language]:
                    self.problem(values, value, f"{at}.{language}", f"no way to say it in `{language}`")
            out.append(Choice(str(value), phrases, key))
        return tuple(out)

    def goto(self, tree: dict, key: object, target: object, steps: dict, where: str) -> str:
        name = str(tree.get(key, "") if target is None else target)
        field_name = where + str(key) if where.endswith(".") else where
        if not name:
            self.problem(tree, key, field_name, "missing", "name the step that comes next")
        elif name not in steps:
            close = difflib.get_close_matches(name, [str(s) for s in steps], 1)
            self.problem(tree, key, field_name, f"there is no step `{name}`",
                         f"did you mean `{close[0]}`?" if close else "name a step of this plan")  # fmt: skip
        return name

    def word(self, tree: dict, key: str, where: str, default: str, known: tuple[str, ...]) -> str:
        value = str(tree.get(key, default))
        if value not in known:
            close = difflib.get_close_matches(value, known, 1)
            self.problem(tree, key, where + key, f"`{value}` is not known",
                         f"did you mean `{close[0]}`?" if close else "one of " + ", ".join(known))  # fmt: skip
        return value

    def number(self, tree: dict, key: str, where: str, default: int, low: int, high: int) -> int:
        value = tree.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.problem(tree, key, where + key, f"must be a whole number from {low} to {high}")
            return default
        return int(value)

    def unreachable(self, start: str, operator: str, steps: dict[str, Step], tree: dict) -> None:
        seen, todo = set(), [start, operator]
        while todo:
            name = todo.pop()
            if name in seen or name not in steps:
                continue
            seen.add(name)
            step = steps[name]
            todo += [getattr(step, k, "") for k in ("next", "give_up", "unknown", "busy", "no_answer", "failed")]
            todo += list(getattr(step, "on", {}).values())
        for name in steps:
            if name not in seen:
                self.problem(tree, name, f"steps.{name}", "no way leads to this step", "remove it or go to it")

    def entries(self, tree: dict) -> Iterator[Entry]:
        """The entries of a knowledge file."""
        self.unknown_keys(tree, {"entries"}, "")
        values = tree.get("entries")
        if not isinstance(values, list):
            self.problem(tree, "entries", "entries", "must be a list")
            return
        ids: set[str] = set()
        for index, node in enumerate(values):
            where = f"entries.{index}."
            if not isinstance(node, dict) or not node.get("id"):
                self.problem(values, index, where + "id", "an entry needs an id")
                continue
            name = str(node["id"])
            if name in ids:
                self.problem(node, "id", where + "id", f"a second entry `{name}`", "give it another id")
            ids.add(name)
            known = {k for k in node if re.fullmatch("[a-z]{2}", str(k)) and k != "id"}
            self.unknown_keys(node, known | {"id", "intent"}, where)
            questions, answers = {}, {}
            for language in sorted(known):
                part = node[language] if isinstance(node[language], dict) else {}
                said = part.get("questions")
                if not isinstance(said, list) or not said:
                    self.problem(node, language, f"{where}{language}.questions", "no way to ask it", "a list of texts")
                    continue
                if not node.get("intent") and not part.get("answer"):
                    self.problem(node, language, f"{where}{language}.answer", "no answer", "add `answer:` or `intent:`")
                questions[language] = tuple(str(q) for q in said)
                answers[language] = str(part.get("answer", ""))
            yield Entry(name, questions, answers, str(node.get("intent", "")))

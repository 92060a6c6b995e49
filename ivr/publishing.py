"""A conductor: the dialplans in force. Watches their folder, loads what changed in a thread, swaps it in at once.

A call keeps the Plan it began with. A plan with faults leaves the version before it in force and is reported. What its
examples mean is learnt behind it (`learning`), and put in force the same way. Runs in asyncio's thread; knows nothing
of telephony or of how plans are written.
"""

from __future__ import annotations

import asyncio
import os
import stat
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import structlog

from ivr import metrics
from ivr.config import Config
from ivr.dialog.plan import Plan, Plans
from ivr.dialog.plan_file import load_all
from ivr.errors import InvalidInput, Problem
from ivr.intents.trainer import Learnt
from ivr.learning import Learning, taught
from ivr.store.records import PlanVersion
from ivr.store.store import Store
from ivr.understanding.intents import Model

log = structlog.get_logger(__name__)

POLL_S = 1.0
"""How often the folder is looked at; a file is loaded once it has not changed from one look to the next."""
MAX_LOGGED = 50
"""Faults of one loading that are logged one by one."""

Signature = Mapping[str, tuple[int, ...]]
"""File name -> what changes when the file does: time of change in ns, size, inode, kind."""


@dataclass(frozen=True)
class InForce:
    """A plan in force. `since`: from when; `gone`: its file is not there any more."""

    plan: Plan
    since: datetime
    gone: bool = False


@dataclass(frozen=True)
class Published:
    """What a loading led to: the plans by name, the names of those that are new, and all that is wrong."""

    plans: Mapping[str, InForce]
    fresh: tuple[str, ...]
    problems: tuple[Problem, ...]


def needed(config: Config) -> dict[str, frozenset[str]]:
    """Plan -> the languages in which numbers begin it."""
    return {n.plan: frozenset(o.language for o in config.number if o.plan == n.plan) for n in config.number}


def decide(before: Mapping[str, InForce], loaded: Plans, wanted: Mapping[str, frozenset[str]],
           now: datetime, exists: Callable[[str], bool]) -> Published:  # fmt: skip
    """What is in force after a loading.

    A plan of the same version stays the object it was. One that lacks a language that `wanted` (plan -> languages of
    the numbers that it answers) has for it is refused. One that was not loaded stays when its file `exists`, and so
    has faults, or when a number needs it; else it goes.
    """
    after: dict[str, InForce] = {}
    problems = list(loaded.problems)
    for name, plan in loaded.by_name.items():
        missing = sorted(wanted.get(name, frozenset()) - set(plan.languages))
        old = before.get(name)
        if missing:
            mend = f"add {', '.join(missing)} to `languages`, or change the number's plan in config.toml"
            message = f"a number needs the plan in {', '.join(missing)}"
            problems.append(Problem(plan.file, message, field="languages", mend=mend))
        same = old is not None and old.plan.version == plan.version and old.plan.file == plan.file
        if old is not None and (missing or same):
            after[name] = replace(old, gone=False)
        elif not missing:
            after[name] = InForce(plan, now)
    for name, old in before.items():
        if name in after or name in loaded.by_name:
            continue
        gone = not exists(old.plan.file)
        if not gone:
            after[name] = replace(old, gone=False)
        elif name in wanted:
            mend = f"put the file back (`ivr plans rollback {name} {old.plan.version}`), or take the number away"
            problems.append(Problem(old.plan.file, f"the file of plan `{name}` is gone; a number uses it", mend=mend))
            after[name] = replace(old, gone=True)
    fresh = tuple(name for name, plan in after.items() if name not in before or before[name].plan is not plan.plan)
    return Published(after, fresh, tuple(dict.fromkeys(problems)))


def first(loaded: Plans, wanted: Mapping[str, frozenset[str]], now: datetime) -> Published:
    """What is in force at a start. Raises InvalidInput when a plan that a number needs is not there."""
    published = decide({}, loaded, wanted, now, os.path.exists)
    absent = sorted(set(wanted) - set(published.plans))
    if absent:
        says = "is not there, has faults, or lacks a language"
        words = (Problem("config.toml", f"plan `{n}` {says}", field="number", mend="run `ivr check`") for n in absent)
        raise InvalidInput(*published.problems, *words)
    return published


def scan(folder: Path) -> Signature:
    """The dialplan files of `folder`; others, hidden ones and what editors leave beside them are not looked at."""
    found: dict[str, tuple[int, ...]] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".yaml") and not entry.name.startswith("."):
                    found[entry.name] = _signature(entry)
    except OSError as error:
        log.debug("the dialplans cannot be listed", folder=str(folder), error=error.strerror)
    return found


def _signature(entry: os.DirEntry[str]) -> tuple[int, ...]:
    try:
        seen = entry.stat()
    except OSError:
        return (-1,)
    return (seen.st_mtime_ns, seen.st_size, seen.st_ino, stat.S_IFMT(seen.st_mode), seen.st_mode & 0o777)


def restored(name: str, version: str, files: Mapping[str, str]) -> Plan:
    """A published version from its texts. Raises InvalidInput when this server cannot read it any more."""
    with tempfile.TemporaryDirectory(prefix="ivr-plan-") as folder:
        for file, text in files.items():
            Path(folder, Path(file).name).write_text(text, "utf-8", newline="")
        loaded = load_all(Path(folder))
    plan = loaded.by_name.get(name)
    if plan is None:
        problems = tuple(replace(p, file=Path(p.file).name) for p in loaded.problems)
        mend = "it was written for another version of the server"
        raise InvalidInput(Problem(name, f"version {version} cannot be read any more", mend=mend), *problems)
    return plan


class Publishing:
    """The plans in force.

    Args:
        folder: where dialplans are.
        needed: plan -> languages of the numbers that it answers; these must be there at the start.
        warm: called with plans that are new in force, to make their prompts ahead of time.
        learning: the models of their intents; without it the words of the examples answer.
    """

    def __init__(self, folder: Path, needed: Mapping[str, frozenset[str]],
                 warm: Callable[[Sequence[Plan]], Awaitable[None]] | None = None,
                 learning: Learning | None = None) -> None:  # fmt: skip
        self._folder, self._needed, self._warm, self._learning = folder, needed, warm, learning
        self._to_learn = asyncio.Event()
        self._plans: Mapping[str, InForce] = {}
        self._problems: tuple[Problem, ...] = ()
        self._loaded: Signature = {}
        self._reported: set[tuple[Problem, tuple[int, ...]]] = set()
        self._loading = asyncio.Lock()
        self._store: Store | None = None
        self._background: set[asyncio.Task[None]] = set()

    def load(self) -> None:
        """The first loading, before anything runs. Raises InvalidInput when a plan that a number needs is not there."""
        self._loaded = scan(self._folder)
        self._take(self._equipped(first(load_all(self._folder), self._needed, datetime.now(UTC))))

    def get(self, name: str) -> Plan | None:
        """The plan in force by that name."""
        found = self._plans.get(name)
        return found.plan if found is not None else None

    @property
    def plans(self) -> Mapping[str, InForce]:
        """Every plan in force, by name."""
        return self._plans

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the files as they are now."""
        return self._problems

    def learnt(self, name: str) -> tuple[Learnt, ...]:
        """How far the examples of the plan by that name are learnt, by language."""
        return self._learning.of(self._plans[name].plan) if self._learning is not None else ()

    async def run(self, store: Store) -> None:
        """Keep what is published in `store`, publish what changes and learn what is new, until cancelled."""
        self._store = store
        await self._keep(tuple(self._plans))
        before: Signature = self._loaded
        if self._learning is not None:
            self._behind(self._learn(self._learning))
        try:
            while True:
                await asyncio.sleep(POLL_S)
                before = await self.look(before)
        finally:
            for task in self._background:
                task.cancel()
            await asyncio.gather(*self._background, return_exceptions=True)

    async def look(self, before: Signature) -> Signature:
        """One look at the folder: loads it when it differs from what was loaded and from `before`, not any more."""
        seen = await asyncio.to_thread(scan, self._folder)
        if seen == before and seen != self._loaded:
            try:
                await self.reload()
            except Exception:
                self._loaded = seen
                log.exception("the dialplans could not be loaded; those in force stay")
        return seen

    async def reload(self) -> Published:
        """Load the folder now and put in force what is without faults. What is published at once changes at once."""
        async with self._loading:
            seen = await asyncio.to_thread(scan, self._folder)
            loaded = await asyncio.to_thread(load_all, self._folder)
            published = decide(self._plans, loaded, self._needed, datetime.now(UTC), os.path.exists)
            published = await asyncio.to_thread(self._equipped, published)
            self._loaded = seen
            self._take(published)
            await self._keep(published.fresh)
        if published.fresh and self._warm is not None:
            self._behind(self._warm([published.plans[name].plan for name in published.fresh]))
        if self._learning is not None:
            self._learning.try_again()
            self._to_learn.set()
        return published

    def _behind(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _equipped(self, published: Published) -> Published:
        """What is new in force with the models of its intents that are at hand. Takes milliseconds a plan."""
        if self._learning is None:
            return published
        plans = dict(published.plans)
        for name in published.fresh:
            before = self._plans.get(name)
            plan = self._learning.equipped(plans[name].plan, before.plan if before is not None else None)
            plans[name] = replace(plans[name], plan=plan)
        return replace(published, plans=plans)

    async def _learn(self, learning: Learning) -> None:
        """Learn what is not learnt yet, one model after the other, and put each in force at once."""
        while True:
            self._to_learn.clear()
            left = learning.left(found.plan for found in self._plans.values())
            if left is None:
                await self._to_learn.wait()
                continue
            plan, language = left
            try:
                model = await learning.learn(plan, language)
            except Exception:
                log.exception("learning intents failed; what answers stays", plan=plan.name, language=language)
                return
            if model is not None:
                await self._teach(plan, {language: model})

    async def _teach(self, plan: Plan, models: dict[str, Model]) -> None:
        """Put models in force, unless the plan has changed meanwhile. Calls that have begun keep what they have."""
        async with self._loading:
            found = self._plans.get(plan.name)
            if found is not None and found.plan.version == plan.version:
                self._plans = {**self._plans, plan.name: replace(found, plan=taught(found.plan, models))}

    def _take(self, published: Published) -> None:
        self._plans, self._problems = published.plans, published.problems
        for name in published.fresh:
            log.info("plan in force", plan=name, version=published.plans[name].plan.version)
        self._report(published.problems)
        metrics.plans_reloaded("failed" if published.problems else "ok")
        metrics.plans_in_force({name: found.plan.version for name, found in published.plans.items()})

    def _report(self, problems: Sequence[Problem]) -> None:
        """Log every problem once for the same content of its file."""
        known = {(p, self._loaded.get(os.path.basename(p.file), ())) for p in problems}
        fresh = sorted(known - self._reported, key=lambda k: (k[0].file, k[0].line, k[0].column))
        self._reported = known
        for problem, _ in fresh[:MAX_LOGGED]:
            log.error("dialplan fault", file=problem.file, line=problem.line, column=problem.column,
                      field=problem.field, fault=problem.message, mend=problem.mend)  # fmt: skip
        if len(fresh) > MAX_LOGGED:
            log.error("more dialplan faults", faults=len(fresh) - MAX_LOGGED, mend="run `ivr check`")

    async def _keep(self, names: Sequence[str]) -> None:
        for name in names if self._store is not None else ():
            found = self._plans[name]
            version = PlanVersion(name=name, version=found.plan.version, at=found.since)
            await self._store.plan_published(version, found.plan.files)

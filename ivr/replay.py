"""`ivr replay`: recorded calls on a draft of their plan; what would have gone otherwise, before anybody hears it.

Reads the database beside a running server and changes nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any

from ivr.config import Config, load
from ivr.dialog import plan_file, replay
from ivr.dialog.journal import BadRecord
from ivr.dialog.plan import Plan
from ivr.dialog.replay import Difference, Recording, Trace
from ivr.errors import InvalidInput, Unavailable
from ivr.intents.shelf import Shelf
from ivr.learning import taught
from ivr.publishing import restored
from ivr.store.records import CallDetail, CallRecord
from ivr.store.store import Store

SAME, ERROR, DIFFERENT = 0, 1, 3
MAX_CALLS = 10_000
COLUMN = 40
"""Width of one side of two paths beside each other."""


@dataclass(frozen=True)
class Compared:
    """One call, its ways on the old plan and the new. `failed`: why it could not be replayed."""

    call: CallRecord
    before: Trace | None = None
    after: Trace | None = None
    difference: Difference | None = None
    failed: str = ""


class Replayer:
    """Compares calls on the plan they ran on with a draft of it."""

    def __init__(self, store: Store, draft: Plan, present: Sequence[Plan],
                 learnt: Callable[[Plan], Plan] = lambda plan: plan) -> None:  # fmt: skip
        """`present`: plans at hand; a version that is none of them is looked for among the published ones.

        `learnt` gives a plan the models of its intents.
        """
        self._store, self._draft, self._learnt = store, learnt(draft), learnt
        self._plans: dict[tuple[str, str], Plan | None] = {(p.name, p.version): p for p in present}

    async def compare(self, call: CallRecord) -> Compared:
        """One call. Raises Unavailable."""
        found = await self._store.inputs(call.id)
        if found is None or not found.inputs:
            return Compared(call, failed="its inputs were not recorded, or are purged")
        recording = Recording(call.id, call.language, call.number, found.inputs)
        if call.language not in self._draft.languages:
            return Compared(call, failed=f"the draft does not speak `{call.language}`")
        try:
            after = replay.replay(self._draft, recording)
            old = await self._plan(call.plan, call.plan_version)
            if old is None:
                detail = await self._store.call(call.id)
                return self._by_records(recording, detail, after) if detail else Compared(call, failed="it is gone")
            return _judged(call, replay.replay(old, recording), after)
        except BadRecord as bad:
            return Compared(call, failed=str(bad))

    def _by_records(self, recording: Recording, detail: CallDetail, after: Trace) -> Compared:
        before = replay.as_recorded(recording, detail.turns, detail.call.outcome or "")
        known = replay.as_records_would(after)
        found = replay.difference(before, known) or replay.new_words(after, detail.turns)
        return Compared(detail.call, before, known, found, "" if found or after.over else after.stuck)

    async def _plan(self, name: str, version: str) -> Plan | None:
        if (name, version) not in self._plans:
            files = await self._store.plan_files(name, version)
            self._plans[name, version] = _restored(name, version, files) if files else None
        plan = self._plans[name, version]
        if plan is not None and not plan.vocabulary.models:
            plan = self._plans[name, version] = self._learnt(plan)
        return plan


def _judged(call: CallRecord, before: Trace, after: Trace) -> Compared:
    """A call that its own plan does not lead where it was recorded says nothing about a draft.

    Both may wait in the end for what was not recorded: the caller hung up while a back end or an agent was asked.
    """
    elsewhere = before.strayed or ("" if before.over else before.stuck)
    if elsewhere:
        return Compared(call, before, after, failed=f"its own plan leads elsewhere now: {elsewhere}")
    found = replay.difference(before, after)
    return Compared(call, before, after, found, "" if found or before.stuck == after.stuck else after.stuck)


def _restored(name: str, version: str, files: dict[str, str]) -> Plan | None:
    try:
        plan = restored(name, version, files)
    except InvalidInput:
        return None
    return plan if plan.version == version else None


# The command -----------------------------------------------------------------------------------------------------


def main(argv: list[str]) -> int:
    """0: no call differs; 3: some do; 1: it could not be done."""
    parser = argparse.ArgumentParser(
        prog="ivr replay", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("call", nargs="*", help="ids of recorded calls, as GET /v1/calls lists them")
    parser.add_argument("--last", type=int, default=0, metavar="N", help="the latest N calls of the plan instead")
    parser.add_argument("--plan", required=True, metavar="DRAFT", help="the draft, its files beside it")
    parser.add_argument("--of", default="", metavar="NAME", help="whose calls --last takes (else the draft's name)")
    parser.add_argument("--language", default="", help="only calls that began in this language")
    parser.add_argument("--json", action="store_true", help="everything as JSON")
    parser.add_argument("--config", default="config.toml", metavar="FILE")
    options = parser.parse_args(argv)
    if bool(options.call) == bool(options.last) or not 0 <= options.last <= MAX_CALLS:
        parser.error(f"name calls, or give --last with a number up to {MAX_CALLS}")
    config = load(options.config)
    draft = plan_file.load(plan_file.file_of(options.plan))
    compared = asyncio.run(_compare(config, draft, options))
    print(
        json.dumps(_as_json(draft, compared), ensure_ascii=False, indent=1)
        if options.json
        else _report(draft, compared)
    )
    return DIFFERENT if any(c.difference for c in compared) else SAME


async def _compare(config: Config, draft: Plan, options: argparse.Namespace) -> list[Compared]:
    store = Store(config.store.url, config.root)
    await store.open(read_only=True)
    try:
        calls = await _calls(store, draft, options)
        present = plan_file.load_all(config.path(config.paths.dialplans)).by_name.values()
        shelf = Shelf(config.path(config.store.intents), config.path(config.paths.models))
        replayer = Replayer(store, draft, tuple(present), lambda p: taught(p, shelf.of(p.knowledge.examples)))
        return [await replayer.compare(call) for call in calls]
    finally:
        await store.close()


async def _calls(store: Store, draft: Plan, options: argparse.Namespace) -> list[CallRecord]:
    if options.last:
        name = options.of or draft.name
        calls = await store.latest_calls(options.last, name, options.language)
        if not calls:
            raise Unavailable(f"no recorded call of plan `{name}`: calls of another one are taken with --of NAME")
        return list(calls)
    found = []
    for call_id in dict.fromkeys(options.call):
        detail = await store.call(call_id)
        if detail is None:
            raise Unavailable(f"no call {call_id} in the records")
        if options.language in ("", detail.call.language):
            found.append(detail.call)
    return found


# What is printed ---------------------------------------------------------------------------------------------------


def summary(compared: Iterable[Compared]) -> dict[str, Any]:
    """How many calls stay the same, differ by kind, or could not be replayed and why; steps reached now or no more."""
    compared = list(compared)
    kinds = Counter(kind for c in compared if c.difference for kind in c.difference.kinds)
    before, after = (
        {name for c in compared if (t := getattr(c, side)) is not None and not c.failed for name in t.path}
        for side in ("before", "after")
    )
    return {
        "calls": len(compared),
        "same": sum(not c.difference and not c.failed for c in compared),
        "changed": sum(c.difference is not None for c in compared),
        "kinds": {kind: kinds[kind] for kind in replay.KINDS if kinds[kind]},
        "not_replayed": dict(Counter(c.failed for c in compared if c.failed).most_common()),
        "steps_newly_reached": sorted(after - before),
        "steps_not_reached_any_more": sorted(before - after),
    }


def _as_json(draft: Plan, compared: Sequence[Compared]) -> dict[str, Any]:
    calls = [
        {
            "id": c.call.id, "language": c.call.language, "plan": c.call.plan, "version": c.call.plan_version,
            "started_at": c.call.started_at.isoformat(), "failed": c.failed,
            "difference": asdict(c.difference) if c.difference else None,
            "before": asdict(c.before) if c.before else None, "after": asdict(c.after) if c.after else None,
        }
        for c in compared
    ]  # fmt: skip
    return {"draft": {"plan": draft.name, "version": draft.version}, "summary": summary(compared), "calls": calls}


def _report(draft: Plan, compared: Sequence[Compared]) -> str:
    lines = [line for c in compared if c.difference or c.failed for line in (*_told(c), "")]
    total = summary(compared)
    lines.append(f"draft {draft.name} {draft.version}: {total['calls']} calls, {total['same']} the same, "
                 f"{total['changed']} changed, {sum(total['not_replayed'].values())} not replayed")  # fmt: skip
    lines += [f"  changed {kind}: {count}" for kind, count in total["kinds"].items()]
    lines += [f"  not replayed: {count}, {why}" for why, count in total["not_replayed"].items()]
    for words, key in (
        ("newly reached", "steps_newly_reached"),
        ("not reached any more", "steps_not_reached_any_more"),
    ):
        if total[key]:
            lines.append(f"  steps {words}: {', '.join(total[key])}")
    return "\n".join(lines)


def _told(compared: Compared) -> Iterable[str]:
    call, found = compared.call, compared.difference
    head = f"call {call.id} ({call.language}, {call.started_at:%Y-%m-%d %H:%M}, version {call.plan_version})"
    if found is None:
        yield f"{head}: not replayed, {compared.failed}"
        return
    yield f"{head}: {', '.join(found.kinds)}"
    yield f"  first at input {found.index + 1}, {found.given}: {found.before} -> {found.after}"
    if compared.before is None or compared.after is None or "path" not in found.kinds:
        return
    for old, new in zip_longest(compared.before.path, compared.after.path, fillvalue=""):
        yield f"  {' ' if old == new else '|'} {_padded(old)} {new}".rstrip()
    if compared.after.stuck:
        yield f"    the draft then waits: {compared.after.stuck}"


def _padded(text: str) -> str:
    """`text` in a column; ideographs are two wide."""
    width = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
    return text + " " * max(0, COLUMN - width)

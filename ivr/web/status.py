"""How the server does, as `/healthz` shows it. Words only: the root fills them in, the HTTP interface shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from ivr.intents.trainer import Learnt
from ivr.store.records import PlanCalls, StoreHealth


class _Word(msgspec.Struct, frozen=True, kw_only=True):
    pass


class LineStatus(_Word, frozen=True):
    """A line process. `restarts` since the server started."""

    line: int
    state: Literal["starting", "up", "down"]
    legs_in_use: int = 0
    legs_max: int = 0
    restarts: int = 0
    pid: int | None = None


class TrunkStatus(_Word, frozen=True):
    """A trunk: known by its address alone, or `registered`, `registering`, `lost` at its registrar.

    `code` is the registrar's last SIP status, `since` when the state began.
    """

    name: str
    state: Literal["by_address", "registering", "registered", "lost"]
    since: datetime | None = None
    code: int | None = None
    reason: str = ""


class LanguageStatus(_Word, frozen=True):
    """The engines of one language. `missing` says what is absent and what is used instead, empty when all is there."""

    language: str
    recognizer: str
    recognizer_model: str = ""
    voice: str = ""
    missing: str = ""


class PlanStatus(_Word, frozen=True):
    """A dialplan in force.

    Attributes:
        since: from when new calls get this version.
        file: where it was read from. gone: the file is not there any more; the plan stays while a number uses it.
        languages: that it speaks. steps: how many it has.
        faults: what is wrong with its files as they are now, one line each; they are why an older version stays.
        intents: how far its examples are learnt, by language.
    """

    name: str
    version: str
    since: datetime
    file: str
    languages: tuple[str, ...]
    steps: int
    gone: bool = False
    faults: tuple[str, ...] = ()
    intents: tuple[Learnt, ...] = ()


class Status(_Word, frozen=True):
    """What the server can say of itself at a moment.

    `plans`: the dialplans in force; `plan_problems`: what is wrong with the files as they are now, one line each.
    """

    state: Literal["starting", "ready", "draining"]
    version: str
    started_at: datetime
    calls: int = 0
    lines: tuple[LineStatus, ...] = ()
    trunks: tuple[TrunkStatus, ...] = ()
    languages: tuple[LanguageStatus, ...] = ()
    plans: tuple[PlanStatus, ...] = ()
    plan_problems: tuple[str, ...] = ()


class PlanDetail(PlanStatus, frozen=True, kw_only=True):
    """A dialplan in force, and how many calls are running on this version of it and on older ones."""

    running: tuple[PlanCalls, ...] = ()


class PlanList(_Word, frozen=True):
    """The dialplans in force, and every fault of the files as they are now."""

    plans: tuple[PlanDetail, ...]
    problems: tuple[str, ...]


class Reloaded(_Word, frozen=True):
    """What loading the dialplans led to: the plans that are new in force, and every fault found."""

    loaded: tuple[PlanStatus, ...]
    problems: tuple[str, ...]


class Health(Status, frozen=True, kw_only=True):
    """The body of `/healthz`: the status, the database, and a verdict.

    `degraded`: a line down, a trunk lost, a model missing, a plan not loaded, or a database that fails.
    """

    health: Literal["ok", "degraded"]
    store: StoreHealth


def health(status: Status, store: StoreHealth) -> Health:
    """`status` and `store` with the verdict on them."""
    degraded = (
        any(line.state == "down" for line in status.lines)
        or any(trunk.state == "lost" for trunk in status.trunks)
        or any(language.missing for language in status.languages)
        or bool(status.plan_problems)
        or store.failing
    )
    fields = {name: getattr(status, name) for name in Status.__struct_fields__}
    return Health(**fields, health="degraded" if degraded else "ok", store=store)

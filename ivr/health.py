"""How the server does: `Status` for /healthz and the gauges of /metrics, from the line pool and the recogniser pool.

Part of the root; asyncio's thread. Reads, never decides.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ivr import __version__, metrics
from ivr.config import Config
from ivr.publishing import Publishing
from ivr.speech.stt import RecognizerPool
from ivr.telephony.pool import LinePool
from ivr.web.status import LanguageStatus, LineStatus, PlanStatus, Reloaded, Status, TrunkStatus

EVERY_S = 2.0
REGISTERING_S = 30
"""A trunk that has not registered so long after the start is lost."""


class Health:
    """Filled in by the root as parts come up; `status` may be asked at any time."""

    def __init__(self, config: Config, publishing: Publishing) -> None:
        self.state: Literal["starting", "ready", "draining"] = "starting"
        self.lines: LinePool | None = None
        self.recognizers: RecognizerPool | None = None
        self.languages: tuple[LanguageStatus, ...] = ()
        self._config = config
        self._publishing = publishing
        self._started_at = datetime.now(UTC)
        self._seen: dict[str, int] = {}

    def status(self) -> Status:
        """What /healthz says."""
        pool = self.lines
        return Status(
            state=self.state,
            version=__version__,
            started_at=self._started_at,
            calls=len(pool.legs) if pool is not None else 0,
            lines=tuple(self._line(line) for line in pool.lines) if pool is not None else (),
            trunks=self._trunks(pool) if pool is not None else (),
            languages=self.languages,
            plans=tuple(self._plan(name) for name in sorted(self._publishing.plans)),
            plan_problems=tuple(str(problem) for problem in self._publishing.problems),
        )

    async def reload(self) -> Reloaded:
        """Load the dialplans now, and what /v1/plans/reload says of it."""
        published = await self._publishing.reload()
        return Reloaded(
            loaded=tuple(self._plan(name) for name in published.fresh if name in self._publishing.plans),
            problems=tuple(str(problem) for problem in published.problems),
        )

    def _plan(self, name: str) -> PlanStatus:
        found = self._publishing.plans[name]
        plan, folder = found.plan, Path(found.plan.file).parent
        own = {str(folder / file) for file in plan.files}
        return PlanStatus(
            name=name,
            version=plan.version,
            since=found.since,
            file=plan.file,
            languages=plan.languages,
            steps=len(plan.steps),
            gone=found.gone,
            faults=tuple(str(p) for p in self._publishing.problems if p.file in own),
            intents=self._publishing.learnt(name),
        )

    def _line(self, line) -> LineStatus:
        state = "up" if line.ready else "starting" if self.state == "starting" else "down"
        return LineStatus(
            line=line.index,
            state=state,
            legs_in_use=line.used,
            legs_max=line.capacity,
            restarts=line.restarts,
            pid=line.pid or None,
        )

    def _trunks(self, pool: LinePool) -> tuple[TrunkStatus, ...]:
        registered = pool.status().registrations
        young = (datetime.now(UTC) - self._started_at).total_seconds() < REGISTERING_S
        waiting = "registering" if young else "lost"
        return tuple(
            TrunkStatus(
                name=trunk.name,
                state="by_address" if not trunk.register else "registered" if registered[trunk.name] else waiting,
            )
            for trunk in self._config.trunk
        )

    async def observe(self) -> None:
        """Keep the gauges current until cancelled."""
        while True:
            if self.lines is not None:
                self._observe_lines(self.lines)
            if self.recognizers is not None:
                load = self.recognizers.load()
                metrics.decode_queue(load.waiting_finals + load.waiting_speculative)
                for _ in range(self._more("shed", load.shed)):
                    metrics.speculation_shed("load")
            await asyncio.sleep(EVERY_S)

    def _observe_lines(self, pool: LinePool) -> None:
        metrics.lines_up(sum(line.ready for line in pool.lines))
        for line in pool.lines:
            metrics.legs_in_use(line.index, line.used, line.capacity)
            for _ in range(self._more(f"restarts {line.index}", line.restarts)):
                metrics.line_restarted()
            for what, count in line.refused.items():
                for _ in range(self._more(f"{what} {line.index}", count)):
                    metrics.refused(what)
        for name, registered in pool.status().registrations.items():
            metrics.trunk_registered(name, registered)

    def _more(self, what: str, count: int) -> int:
        """How much a running total has grown since it was last looked at."""
        before, self._seen[what] = self._seen.get(what, 0), count
        return max(0, count - before)

"""The dialer: claims what may ring now, at once, and gives each claim an attempt of its own.

It is woken by whatever may let a job ring: an order, a retry, the end of an attempt, a line that is free again; and it
knows when the next job's time comes. What other servers write it sees within `LOOK_EVERY_S`. Conductor: asyncio
thread. Knows no rule, and nothing of SIP or of what is said in a call.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime

import structlog

from ivr.errors import Unavailable
from ivr.outbound.attempt import Attempt, Hands
from ivr.outbound.job import Claim, Idle
from ivr.telephony.leg import Leg

LOOK_EVERY_S = 1.0
SHORTEST_S = 0.005

log = structlog.get_logger(__name__)


class Dialer:
    """Dials until it is drained. `inbound_legs`: legs that it leaves to callers."""

    def __init__(self, hands: Hands, inbound_legs: int) -> None:
        self._hands = hands
        self._inbound_legs = inbound_legs
        self._attempts: dict[asyncio.Task[None], Attempt] = {}
        self._woken = asyncio.Event()
        self._draining = False
        self._running: asyncio.Task[None] | None = None

    @property
    def runs(self) -> bool:
        """Whether it claims anything."""
        return self._running is not None and not self._draining

    @property
    def lines_free(self) -> int:
        """Legs that the next attempts may take."""
        claimed = sum(not attempt.has_leg for attempt in self._attempts.values())
        return max(0, self._hands.lines.room(self._inbound_legs) - claimed)

    def start(self) -> None:
        """Begin to claim."""
        self._running = asyncio.get_running_loop().create_task(self._run(), name="dialer")

    def wake(self) -> None:
        """Something may ring now that might not before."""
        self._woken.set()

    def look_at(self, job_id: str) -> None:
        """Something was asked of a job that may be under way here."""
        for attempt in self._attempts.values():
            if attempt.claim.job.id == job_id:
                attempt.look()

    async def called_back(self, leg: Leg) -> bool:
        """An attempt over the leg of somebody who rang us, where a job for them is open; returns when it is over."""
        try:
            claim = None if self._draining else await self._hands.jobs.claim_back(leg.info.caller, leg.info.plan)
        except Unavailable as error:
            log.warning("nobody can be found who called back", error=str(error))
            claim = None
        if claim is None:
            return False
        log.info("called back", leg=leg.id, job=claim.job.id)
        await asyncio.wait({self._begin(claim, leg)})
        return True

    async def drain(self) -> None:
        """Claim nothing more; a claim that nothing was dialled for is given back, and calls go on to their end."""
        self._draining = True
        self._woken.set()
        if self._running is not None:
            await self._running

    async def close(self, within_s: float) -> None:
        """After `drain`, with every leg over: wait until each attempt is written down, for so long at most.

        One that cannot be written is left to its lease.
        """
        await self.drain()
        if not self._attempts:
            return
        _, left = await asyncio.wait(self._attempts, timeout=within_s)
        for task in left:
            log.error("an attempt could not be written down; its lease runs out", job=self._attempts[task].claim.job.id)
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _run(self) -> None:
        while not self._draining:
            self._woken.clear()
            wait_s = LOOK_EVERY_S
            try:
                next_at = await self._claim()
                if next_at is not None:
                    wait_s = min(wait_s, max(SHORTEST_S, (next_at - self._hands.jobs.now()).total_seconds()))
            except Unavailable as error:
                log.warning("nothing can be claimed now", error=str(error))
            except Exception:  # the edge: the dialer outlives whatever one look ran into
                log.exception("claiming failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._woken.wait()

    async def _claim(self) -> datetime | None:
        """Claim until nothing may ring or no line is free; when to look again, None: when woken."""
        while self.lines_free and not self._draining:
            found = await self._hands.jobs.claim()
            if isinstance(found, Idle):
                return found.next_at
            self._begin(found)
        return None

    def _begin(self, claim: Claim, leg: Leg | None = None) -> asyncio.Task[None]:
        self._hands.jobs.hold(claim)
        attempt = Attempt(self._hands, claim, leg)
        task = asyncio.get_running_loop().create_task(attempt.run(), name=f"attempt {claim.attempt.id}")
        self._attempts[task] = attempt
        task.add_done_callback(self._over)
        return task

    def _over(self, task: asyncio.Task[None]) -> None:
        attempt = self._attempts.pop(task)
        self._woken.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("an attempt failed; its lease runs out", job=attempt.claim.job.id, exc_info=error)
            self._hands.jobs.lose(attempt.claim)

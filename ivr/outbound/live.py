"""Outbound calls of a running server: the queue, who may order, the dialer, deliveries, and the sweep of what is over.

Made by the root, used by the web, which is there before any line is: until `dial`, orders are taken and wait. The sweep
ends attempts of dead servers and jobs whose time is over. Conductor: asyncio thread.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Callable
from datetime import datetime

import msgspec
import structlog

from ivr import metrics
from ivr.backend.client import Backends
from ivr.config import Config, secret
from ivr.errors import InvalidInput, Problem, Unavailable
from ivr.outbound.attempt import Converse, Hands
from ivr.outbound.delivery import Delivery
from ivr.outbound.dialer import Dialer
from ivr.outbound.evidence import Signer
from ivr.outbound.job import Decision, Hold, Job, Kind, Load, NewJob
from ivr.outbound.orders import Orders, PlanTerms
from ivr.outbound.policy import Rules
from ivr.outbound.proof import ProofBox, key_of
from ivr.store.job_ends import Ending
from ivr.store.job_pages import JobPages
from ivr.store.jobs import Jobs
from ivr.store.outbox import Outbox
from ivr.store.store import Store
from ivr.telephony.leg import Leg
from ivr.telephony.pool import LinePool

SWEEP_EVERY_S = 1.0
CLOSE_WITHIN_S = 3.0
COUNT_EVERY = 10
"""Sweeps between two counts of what waits."""

log = structlog.get_logger(__name__)


class PolicyState(msgspec.Struct, frozen=True, kw_only=True):
    """A policy as it does now: attempts under way, and what keeps its jobs from ringing."""

    name: str
    open: int
    holds: tuple[Hold, ...]


class PolicyStates(msgspec.Struct, frozen=True, kw_only=True):
    """Every policy of the configuration, and notifications that have not arrived."""

    policies: tuple[PolicyState, ...]
    webhooks_undelivered: int


class OutboundCalls:
    """All of it. Until `dial` nothing rings, and `why` says so."""

    def __init__(
        self, config: Config, store: Store, backends: Backends, plan: Callable[[str], PlanTerms | None]
    ) -> None:  # fmt: skip
        """Reads the keys from the environment. Raises InvalidInput for one that is no key."""
        outbound = config.outbound
        self._plan, self._inbound_legs = plan, outbound.inbound_legs
        self.keys = tuple((key, secret(key.key_env).strip()) for key in outbound.key)
        self.rules = Rules(outbound, {trunk.name: trunk.limits for trunk in config.trunk})
        self.signer = Signer(_key("evidence_key_env", outbound.evidence_key_env))
        sealing = secret(outbound.proof_key_env)
        self._box = ProofBox(_key("proof_key_env", outbound.proof_key_env)) if sealing else None
        self.orders = Orders(self.rules, config.languages, config.backend, plan, self._box, outbound.proof_key_env)
        self.jobs = Jobs(store, Ending(self.rules, self.signer, store.server), outbound.lease_s, changed=self.wake)
        self.pages = JobPages(store)
        self.outbox = Outbox(store)
        self.delivery = Delivery(self.outbox, backends, config.backend)
        self.dialer: Dialer | None = None

    def dial(self, lines: LinePool, converse: Converse) -> None:
        """From now on what may ring is rung over `lines`; `converse` conducts what is answered."""
        hands = Hands(self.jobs, lines, self.rules, self._plan, self._box, converse)
        self.dialer = Dialer(hands, self._inbound_legs)
        self.dialer.start()

    async def called_back(self, leg: Leg) -> bool:
        """Conduct the call of somebody who rings the plan of a job that waits to ring them; False: there is none."""
        return self.dialer is not None and await self.dialer.called_back(leg)

    async def drain(self) -> None:
        """Ring nobody any more; calls go on."""
        if self.dialer is not None:
            await self.dialer.drain()

    async def close(self) -> None:
        """When every leg is over: wait until what came of the attempts is written."""
        if self.dialer is not None:
            await self.dialer.close(CLOSE_WITHIN_S)

    def wake(self) -> None:
        """Something may ring or has to be told: look now."""
        self.delivery.wake()
        if self.dialer is not None:
            self.dialer.wake()

    async def cancel(self, job_id: str, by: str) -> Job | None:
        """End a job; when it is under way here, its call ends at once. None: there is none. Raises Finished."""
        job = await self.jobs.cancel(job_id, by)
        if self.dialer is not None:
            self.dialer.look_at(job_id)
        return job

    def order(self, kind: Kind, body: bytes, client: str, key: str = "") -> NewJob:
        """The job that a body orders, not yet written. Raises BadOrder."""
        return self.orders.make(kind, body, client, f"job_{uuid.uuid4().hex}", self.jobs.now(), key)

    async def why(self, job_id: str) -> Decision | None:
        """What the rules say of a job now; None: there is no such job. Raises Unavailable."""
        now = self.jobs.now()
        found = await self.pages.surroundings(job_id, self.rules.trunk_of, now)
        if found is None:
            return None
        job = found.job
        if job.disposition is not None:
            words = f"it ended {job.disposition} at {job.disposition_at:%Y-%m-%d %H:%M:%S} UTC"
            return Decision(action="end", words=words, disposition=job.disposition)
        if job.state not in ("queued", "held"):
            words = f"attempt {job.attempts} is under way ({job.state})"
            return Decision(action="hold", words=words, holds=(Hold(rule="number_busy", words=words),))
        return self.rules.decide(job, found.attempts, found.callee, self._here(found.load), now)

    async def policies(self) -> PolicyStates:
        """What every policy does now. Raises Unavailable."""
        now, names = self.jobs.now(), self.rules.policies
        loads = await self.pages.loads([(name, self.rules.trunk_of(name)) for name in names])
        return PolicyStates(
            policies=tuple(self._state(name, self._here(loads[name]), now) for name in names),
            webhooks_undelivered=await self.outbox.undelivered(),
        )

    def _here(self, load: Load) -> Load:
        """What a policy does, and what this server can."""
        runs = self.dialer is not None and self.dialer.runs
        return msgspec.structs.replace(load, dialer=runs, line=runs and self.dialer.lines_free > 0)

    def _state(self, name: str, load: Load, now: datetime) -> PolicyState:
        return PolicyState(name=name, open=load.open, holds=self.rules.gates(name, load, now))

    async def run(self) -> None:
        """Sweep and deliver until cancelled."""
        delivering = asyncio.create_task(self.delivery.run())
        try:
            for turn in itertools.count():
                try:
                    if ended := await self.jobs.sweep():
                        log.warning("jobs or attempts ended whose time was over", ended=ended)
                    if turn % COUNT_EVERY == 0:
                        counts, oldest = await self.pages.waiting()
                        waits_s = (self.jobs.now() - oldest).total_seconds() if oldest else 0.0
                        metrics.jobs_waiting(counts, max(0.0, waits_s))
                        for policy in (await self.policies()).policies:
                            breaker = any(hold.rule == "breaker" for hold in policy.holds)
                            metrics.policy_state(policy.name, policy.open, breaker)
                except Unavailable as error:
                    log.warning("the queue cannot be swept now", error=str(error))
                await asyncio.sleep(SWEEP_EVERY_S)
        finally:
            delivering.cancel()
            await asyncio.gather(delivering, return_exceptions=True)


def _key(field: str, name: str) -> bytes:
    try:
        return key_of(secret(name))
    except ValueError as error:
        raise InvalidInput(Problem("config.toml", f"{name}: {error}", field=f"outbound.{field}")) from None

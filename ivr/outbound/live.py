"""Outbound calls of a running server: the queue, who may order, deliveries, and the sweep of what is over.

Made by the root, used by the web. The sweep ends attempts of dead servers and jobs whose time is over, whether anything
dials or not. Conductor: asyncio thread.
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
from ivr.outbound.delivery import Delivery
from ivr.outbound.evidence import Signer
from ivr.outbound.job import Decision, Hold, Kind, Load, NewJob
from ivr.outbound.orders import Orders
from ivr.outbound.policy import Rules
from ivr.outbound.proof import ProofBox, key_of
from ivr.store.job_ends import Ending
from ivr.store.job_pages import JobPages
from ivr.store.jobs import Jobs
from ivr.store.outbox import Outbox
from ivr.store.store import Store

SWEEP_EVERY_S = 1.0
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
    """All of it. `dialer`: whether something claims jobs and dials them; without, `why` says so."""

    def __init__(
        self, config: Config, store: Store, backends: Backends, has_plan: Callable[[str], bool], dialer: bool = False
    ) -> None:
        """Reads the keys from the environment. Raises InvalidInput for one that is no key."""
        outbound = config.outbound
        self.keys = tuple((key, secret(key.key_env).strip()) for key in outbound.key)
        self.rules = Rules(outbound, {trunk.name: trunk.limits for trunk in config.trunk})
        self.signer = Signer(_key("evidence_key_env", outbound.evidence_key_env))
        sealing = secret(outbound.proof_key_env)
        box = ProofBox(_key("proof_key_env", outbound.proof_key_env)) if sealing else None
        self.orders = Orders(self.rules, config.languages, config.backend, has_plan, box, outbound.proof_key_env)
        self.jobs = Jobs(store, Ending(self.rules, self.signer, store.server), outbound.lease_s)
        self.pages = JobPages(store)
        self.outbox = Outbox(store)
        self.delivery = Delivery(self.outbox, backends, config.backend)
        self._dialer = dialer

    def order(self, kind: Kind, body: bytes, client: str, key: str = "") -> NewJob:
        """The job that a body orders, not yet written. Raises BadOrder."""
        return self.orders.make(kind, body, client, f"job_{uuid.uuid4().hex}", self.jobs.now(), key)

    async def why(self, job_id: str) -> Decision | None:
        """What the rules say of a job now; None: there is no such job. Raises Unavailable."""
        now = self.jobs.now()
        found = await self.pages.surroundings(job_id, self.rules.trunk_of, self._dialer, now)
        if found is None:
            return None
        job = found.job
        if job.disposition is not None:
            words = f"it ended {job.disposition} at {job.disposition_at:%Y-%m-%d %H:%M:%S} UTC"
            return Decision(action="end", words=words, disposition=job.disposition)
        if job.state not in ("queued", "held"):
            words = f"attempt {job.attempts} is under way ({job.state})"
            return Decision(action="hold", words=words, holds=(Hold(rule="number_busy", words=words),))
        return self.rules.decide(job, found.attempts, found.callee, found.load, now)

    async def policies(self) -> PolicyStates:
        """What every policy does now. Raises Unavailable."""
        now, names = self.jobs.now(), self.rules.policies
        loads = await self.pages.loads([(name, self.rules.trunk_of(name)) for name in names], self._dialer)
        return PolicyStates(
            policies=tuple(self._state(name, loads[name], now) for name in names),
            webhooks_undelivered=await self.outbox.undelivered(),
        )

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
                        self.delivery.wake()
                    if turn % COUNT_EVERY == 0:
                        counts, oldest = await self.pages.waiting()
                        waits_s = (self.jobs.now() - oldest).total_seconds() if oldest else 0.0
                        metrics.jobs_waiting(counts, max(0.0, waits_s))
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

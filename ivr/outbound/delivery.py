"""Delivers what jobs have to tell their clients: signed notifications, tried for a day, over restarts.

Each notification is a task of its own, so that one receiver that is down keeps nobody else waiting. Conductor: asyncio
thread. Knows nothing of what is told.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog

from ivr.backend.client import Backends
from ivr.config import Backend
from ivr.errors import Unavailable
from ivr.outbound.job import Webhook
from ivr.outbound.orders import BadOrder, callback
from ivr.store.outbox import Outbox

PAUSES_S = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 21_600, 36_000)
"""Between the tries: a day in all; after the last it is given up, and stays to be redelivered."""
LIMIT = 32
"""Notifications on their way at once."""
EVERY_S = 1.0

log = structlog.get_logger(__name__)


def next_try(tries: int, now: datetime) -> datetime | None:
    """When the try after so many comes; None: there is none."""
    return now + timedelta(seconds=PAUSES_S[tries - 1]) if tries <= len(PAUSES_S) else None


class Delivery:
    """Delivers until it is cancelled; `wake` says that there is something new."""

    def __init__(self, outbox: Outbox, backends: Backends, configured: Sequence[Backend]) -> None:
        self._outbox = outbox
        self._backends = backends
        self._configured = configured
        self._under_way: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look now."""
        self._woken.set()

    async def run(self) -> None:
        """Take and deliver what is due, for ever."""
        try:
            while True:
                self._woken.clear()
                free = LIMIT - len(self._under_way)
                try:
                    taken = await self._outbox.take(free, datetime.now(UTC)) if free else []
                except Unavailable:
                    taken = []  # the store has said so; what is due stays due
                for webhook in taken:
                    task = asyncio.create_task(self._deliver(webhook))
                    self._under_way.add(task)
                    task.add_done_callback(self._done)
                if not taken:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(EVERY_S):
                            await self._woken.wait()
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._woken.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a notification could not be marked; it is sent again", error=str(error))

    async def _deliver(self, webhook: Webhook) -> None:
        try:
            backend, path = callback(webhook.url, self._configured)
        except BadOrder as error:
            await self._outbox.put_off(webhook, next_try(webhook.tries, datetime.now(UTC)), str(error))
            return
        answer = await self._backends.deliver(backend, path, webhook.id, webhook.body.encode())
        now = datetime.now(UTC)
        told = {"job": webhook.job, "kind": webhook.event, "message_id": webhook.id, "try": webhook.tries}
        if answer.outcome == "ok":
            await self._outbox.delivered(webhook, now)
            log.info("webhook delivered", **told, took_ms=answer.took_ms)
            return
        again = next_try(webhook.tries, now)
        await self._outbox.put_off(webhook, again, answer.reason or answer.outcome)
        log.warning("webhook not delivered", **told, reason=answer.reason, again_at=again.isoformat() if again else "")

"""One thread that writes, fed by a bounded queue, so that a database in trouble never stops a call.

Jobs run in the order submitted, each in a transaction of its own. Policy:

- a transient error (locked, disk full, server gone) is tried again, first soon, then every two seconds; what comes
  after waits in the queue, so order is kept. A job that nobody awaits is given up after `patience_s`, an awaited one
  after `AWAITED_PATIENCE_S`;
- a record that the database refuses for what it holds is dropped, logged, and counted as refused; whoever awaits it is
  told that it is so for ever (Rejected), so that nobody tries it again;
- a full queue drops the newest record; what ends a call (`urgent`) still finds room in a reserve;
- an outage makes one log line when it begins and one when it is over. One of a full disk is over when something was
  written, or nothing failed for a minute: what changes nothing succeeds on a full disk too.

Pattern: the write thread of datasette, with a limit. Knows nothing of tables. Jobs must be safe to run twice: a
connection can break after the commit.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
import structlog

from ivr import metrics
from ivr.errors import Rejected, Unavailable
from ivr.store.database import WROTE, is_content, is_full, is_transient, reason

LIMIT = 4_096
HALF_OPEN_S = 60.0
"""So long after the last write that found no room a server that has nothing to write counts as well again."""
RESERVE = 512
PATIENCE_S = 600.0
AWAITED_PATIENCE_S = 10.0
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Job:
    name: str
    call_id: str
    run: Callable[[sa.Connection], Any]
    future: asyncio.Future | None = None


class Writer:
    """The write side of a store. `submit` and `ask` belong to the asyncio thread that called `start`."""

    def __init__(self, engine: sa.Engine, limit: int = LIMIT, patience_s: float = PATIENCE_S) -> None:
        self._engine = engine
        self._limit = limit
        self._patience_s = patience_s
        self._jobs: queue.Queue[_Job | None] = queue.Queue()  # `_put` bounds it
        self._give_up = threading.Event()
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = False
        self._overflowing = False
        self._overflowed = 0
        self._given_up = 0
        self.refused = 0
        self.failing_since: datetime | None = None
        self._full_at: float | None = None

    @property
    def queued(self) -> int:
        return self._jobs.qsize()

    @property
    def lost(self) -> int:
        return self._overflowed + self._given_up

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def submit(self, name: str, call_id: str, run: Callable[[sa.Connection], Any], urgent: bool = False) -> None:
        """Queue a write that nobody waits for. Never blocks, never raises."""
        if not self._put(_Job(name, call_id, run), self._limit + (RESERVE if urgent else 0)):
            self._overflowed += 1
            metrics.store_lost(1)
            metrics.store_failed("overflow")
            if not self._overflowing:
                self._overflowing = True
                log.error("store queue full, records are lost", queued=self.queued, record=name, call=call_id)
        else:
            self._overflowing = False

    async def ask(self, name: str, run: Callable[[sa.Connection], Any]) -> Any:
        """Queue a write and wait for its result. Raises Unavailable when it could not be done, Rejected when it never
        can be.
        """
        future = asyncio.get_running_loop().create_future()
        if not self._put(_Job(name, "", run, future), self._limit):
            raise Unavailable("the database takes no more work now")
        return await future

    def _put(self, job: _Job, limit: int) -> bool:
        if self._closing or self._jobs.qsize() >= limit:
            return False
        self._jobs.put_nowait(job)
        metrics.store_queue(self._jobs.qsize())
        return True

    async def close(self, deadline_s: float) -> None:
        """Write what is queued, for at most `deadline_s`; the rest is lost and said so."""
        if self._closing or not self._thread.is_alive():
            return
        self._closing = True
        self._jobs.put_nowait(None)
        await asyncio.to_thread(self._thread.join, deadline_s)
        if self._thread.is_alive():
            self._give_up.set()
            await asyncio.to_thread(self._thread.join, 0.5)
            log.error("store closed before all was written", queued=self.queued)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            metrics.store_queue(self._jobs.qsize())
            if self._give_up.is_set():
                self._fail(job, Unavailable("the store is closing"))
                continue
            self._do(job)
        self._engine.dispose()

    def _do(self, job: _Job) -> None:
        began, pause_s, tried = time.monotonic(), _FIRST_PAUSE_S, False
        patience_s = self._patience_s if job.future is None else AWAITED_PATIENCE_S
        while True:
            try:
                with self._engine.begin() as connection:
                    connection.info.pop(WROTE, None)
                    result = job.run(connection)
                    wrote = connection.info.get(WROTE, False)
            except Exception as error:  # the edge: nothing a record holds may end this thread
                transient = is_transient(error)
                metrics.store_failed("transient" if transient else "rejected")
                if transient:
                    tried = True
                    self._outage(job, error)
                    if time.monotonic() - began < patience_s and not self._give_up.wait(pause_s):
                        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
                        continue
                self._fail(job, error)
                return
            self._back(wrote or tried)
            self._deliver(job, result, None)
            return

    def _outage(self, job: _Job, error: Exception) -> None:
        self._full_at = time.monotonic() if is_full(error) else None
        if self.failing_since is None:
            self.failing_since = datetime.now(UTC)
            log.error("store fails, records wait", record=job.name, call=job.call_id, error=reason(error))

    def _back(self, proven: bool) -> None:
        """A job succeeded; `proven`: it wrote something, or had failed before."""
        waits = self._full_at is not None and time.monotonic() - self._full_at < HALF_OPEN_S
        if self.failing_since is not None and (proven or not waits):
            seconds = (datetime.now(UTC) - self.failing_since).total_seconds()
            self.failing_since = None
            log.warning("store works again", after_s=round(seconds, 1), queued=self.queued, lost=self.lost)

    def _fail(self, job: _Job, error: Exception) -> None:
        refusal = Unavailable(f"the database could not do it: {reason(error)}")
        if not isinstance(error, Unavailable) and not is_transient(error):
            log.error("record refused by the store", record=job.name, call=job.call_id, error=reason(error))
            if is_content(error):
                self.refused += 1
                refusal = Rejected(f"the database refuses what it holds: {reason(error)}")
        if job.future is not None:
            self._deliver(job, None, refusal)
            return
        self._given_up += 1
        metrics.store_lost(1)

    def _deliver(self, job: _Job, result: Any, error: Exception | None) -> None:
        if job.future is None:
            return
        try:
            self._loop.call_soon_threadsafe(_settle, job.future, result, error)
        except RuntimeError:
            log.debug("nobody waits for the result any more", record=job.name)


def _settle(future: asyncio.Future, result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)

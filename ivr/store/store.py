"""Calls, legs, turns and inputs, and published plans, in a database: the one place that holds SQL.

All methods belong to the asyncio thread. Records (`begin`, `leg`, `turn`, `input`, `end`) are queued and return at
once; they are written in that order by one thread and never raise, so no call waits for a disk. Reads run in a few
threads of their own. Sensitive words are masked before anything is queued. Knows nothing of SIP, sessions or HTTP.
"""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from ivr import metrics
from ivr.errors import IvrError, Unavailable
from ivr.store import database
from ivr.store.records import (
    CallDetail,
    CallEnd,
    CallFilter,
    CallInputs,
    CallPage,
    CallRecord,
    CallStart,
    InputRecord,
    LegRecord,
    PlanCalls,
    PlanVersion,
    Purged,
    StoreHealth,
    TurnRecord,
    masked,
)
from ivr.store.schema import WORDS, UtcTime, calls, inputs, iso, legs, plan_versions, turns
from ivr.store.writer import Writer

PAGE_LIMIT = 200
_READS_WAITING = 64
_PURGE_BATCH = 100
T = TypeVar("T")


class BadCursor(IvrError):
    """A cursor that no page of ours gave out."""


class Store:
    """Where calls are written down.

    Args:
        url: `sqlite:///path` (relative: from `root`) or `postgresql://...`.
        root: folder of config.toml.
        recordings: folder of the recordings, for `purge`; relative to `root`.
        server: whose calls `recover` may end when several servers share a database; the host's name if empty.
    """

    def __init__(self, url: str, root: str | Path, recordings: str | Path = "", server: str = "") -> None:
        self._url = database.resolve(url, Path(root))
        self._recordings = Path(root) / recordings if str(recordings) else None
        self._backend = self._url.get_backend_name()
        self.server = server or ("local" if self._backend == "sqlite" else socket.gethostname())
        insert = sqlite.insert if self._backend == "sqlite" else postgresql.insert
        self._begin = insert(calls).on_conflict_do_nothing()
        self._leg = _upsert(insert(legs), keep_older=True)
        self._turn = _upsert(insert(turns), keep_older=False)
        self._input = _upsert(insert(inputs), keep_older=False)
        self._plan_version = _upsert(insert(plan_versions), keep_older=False)
        self._writer: Writer | None = None
        self._reading: sa.Engine | None = None
        self._reads_waiting = 0

    async def open(self, read_only: bool = False) -> None:
        """Connect, migrate, start the writer. Raises Unavailable: no database, or one from a newer version.

        `read_only`: only the reads, beside a running server; a database that is older is refused as well.
        """
        if read_only:
            self._reading = await asyncio.to_thread(database.reader, self._url)
            self._readers = ThreadPoolExecutor(database.READERS, thread_name_prefix="store-reader")
            return
        writing, self._reading = database.engines(self._url)
        try:
            await asyncio.to_thread(database.migrate, writing)
        except Unavailable:
            writing.dispose()
            raise
        self._readers = ThreadPoolExecutor(database.READERS, thread_name_prefix="store-reader")
        self._writer = Writer(writing)
        self._writer.start()

    async def close(self, deadline_s: float = 3.0) -> None:
        """Write what is queued, for at most `deadline_s`, and let go of the database. Safe to call twice."""
        if self._reading is None:
            return
        if self._writer is not None:
            await self._writer.close(deadline_s)
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._reading.dispose()

    def health(self) -> StoreHealth:
        since = self._writer.failing_since if self._writer else None
        return StoreHealth(
            backend=self._backend,
            failing=since is not None,
            failing_since=since,
            queued=self._writer.queued if self._writer else 0,
            lost=self._writer.lost if self._writer else 0,
            refused=self._writer.refused if self._writer else 0,
        )

    # Records ------------------------------------------------------------------------------------------------------

    async def begin(self, call: CallStart) -> None:
        """A call begins. Writing it again changes nothing."""

        def run(connection: sa.Connection) -> None:
            row = _row(calls, msgspec.structs.asdict(call)) | {"server": self.server}
            connection.execute(self._begin, row)

        self._open_writer().submit("begin", call.id, run)

    async def leg(self, call_id: str, leg: LegRecord) -> None:
        """What is known of a leg by now; what is None or empty leaves the older word."""

        def run(connection: sa.Connection) -> None:
            fields = msgspec.structs.asdict(leg) | {"call_id": call_id, "ended_by": leg.by}
            fields["quality"] = None if leg.quality is None else msgspec.structs.asdict(leg.quality)
            connection.execute(self._leg, {k: None if v == "" else v for k, v in _row(legs, fields).items()})

        self._open_writer().submit("leg", call_id, run)

    async def turn(self, call_id: str, turn: TurnRecord) -> None:
        """A turn, masked when it is sensitive. Writing its index again replaces it."""
        kept, now = masked(turn), datetime.now(UTC)

        def run(connection: sa.Connection) -> None:
            fields = msgspec.to_builtins(kept, builtin_types=(datetime,))
            row = _row(turns, fields | {"call_id": call_id, "started_at": kept.started_at or now})
            connection.execute(self._turn, row)

        self._open_writer().submit("turn", call_id, run)

    async def input(self, call_id: str, index: int, at: datetime, body: dict[str, Any]) -> None:
        """What was given to a call's dialog, as `dialog.journal` writes it: bounded, and masked where it must be."""

        def run(connection: sa.Connection) -> None:
            connection.execute(self._input, _row(inputs, {"call_id": call_id, "index": index, "at": at, "body": body}))

        self._open_writer().submit("input", call_id, run)

    async def end(self, call_id: str, end: CallEnd) -> None:
        """How a call ended. The first end counts; a later one changes nothing."""

        def run(connection: sa.Connection) -> None:
            row = _row(calls, msgspec.structs.asdict(end) | {"ended_by": end.by})
            connection.execute(_END, row | {"ending": call_id})

        self._open_writer().submit("end", call_id, run, urgent=True)

    def _open_writer(self) -> Writer:
        if self._writer is None:
            raise Unavailable("the store is not open")
        return self._writer

    async def plan_published(self, version: PlanVersion, files: Mapping[str, str]) -> None:
        """A version of a plan is in force from now on; `files` are its texts by name. Publishing again moves `at`."""

        def run(connection: sa.Connection) -> None:
            fields = msgspec.structs.asdict(version) | {"files": dict(files)}
            connection.execute(self._plan_version, _row(plan_versions, fields))

        self._open_writer().submit("plan", "", run)

    async def write(self, name: str, work: Callable[[sa.Connection], T]) -> T:
        """What `work` returns, run by the writer in one transaction. For modules of this room.

        Raises Unavailable; Rejected when the database does not take what it holds.
        """
        return await self._open_writer().ask(name, work)

    async def flush(self) -> None:
        """Wait until everything queued so far is written or given up."""
        await self._open_writer().ask("flush", lambda _: None)

    async def recover(self, reason: str) -> int:
        """End, as failed, the calls that a dead run of this server left open; returns how many.

        They end at the last moment anything is known of them.
        """
        return await self._open_writer().ask("recover", lambda c: _recover(c, self.server, reason))

    async def purge(self, older_than_days: int) -> Purged:
        """Remove the words, inputs and recordings of calls that ended over `older_than_days` ago; their CDRs stay.

        Works in small batches, between which live records are written. Raises Unavailable.
        """
        before = datetime.now(UTC) - timedelta(days=older_than_days)
        total, after = Purged(), ""
        while after is not None:
            part, after = await self._open_writer().ask("purge", _purge_batch(before, after, self._recordings))
            total = Purged(**{f: getattr(total, f) + getattr(part, f) for f in Purged.__struct_fields__})
        if self._backend == "sqlite" and total.calls:
            await self.read(lambda c: c.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)"))
        return total

    # Reads --------------------------------------------------------------------------------------------------------

    async def call(self, call_id: str) -> CallDetail | None:
        """One call with its legs and turns; None when there is none. Raises Unavailable."""
        return await self.read(lambda c: _call(c, call_id))

    async def calls(self, cursor: str = "", limit: int = 50, filters: CallFilter | None = None) -> CallPage:
        """A page of calls, newest first. `limit` 1..200. Raises BadCursor, Unavailable."""
        query = _calls_query(filters or CallFilter(), decode_cursor(cursor) if cursor else None)
        return await self.read(lambda c: _page(c, query, max(1, min(limit, PAGE_LIMIT))))

    async def inputs(self, call_id: str) -> CallInputs | None:
        """Everything given to a call's dialog, in order; None when there is no such call. Raises Unavailable."""
        return await self.read(lambda c: _inputs(c, call_id))

    async def latest_calls(self, limit: int, plan: str = "", language: str = "") -> tuple[CallRecord, ...]:
        """The latest calls that are over and whose inputs are known, newest first. Raises Unavailable."""
        known = sa.exists().where(inputs.c.call_id == calls.c.id)
        filters = CallFilter(plan=plan or None, language=language or None)
        query = _calls_query(filters, None).where(calls.c.ended_at.is_not(None), known).limit(max(1, limit))
        return await self.read(lambda c: tuple(_call_record(r) for r in c.execute(query).mappings()))

    async def running(self) -> tuple[PlanCalls, ...]:
        """How many calls of this server are running on each version of a plan. Raises Unavailable."""
        version = (calls.c.plan, calls.c.plan_version)
        own = (calls.c.server == self.server, calls.c.ended_at.is_(None))
        query = sa.select(*version, sa.func.count()).where(*own).group_by(*version).order_by(*version)
        return await self.read(
            lambda c: tuple(PlanCalls(plan=p, version=v, calls=n) for p, v, n in c.execute(query).all())
        )

    async def plan_versions(self, name: str) -> tuple[PlanVersion, ...]:
        """The versions of a plan that were published, the latest first. Raises Unavailable."""
        own = sa.select(plan_versions).where(plan_versions.c.name == name)
        query = own.order_by(plan_versions.c.at.desc(), plan_versions.c.version)
        return await self.read(lambda c: tuple(_convert(r, PlanVersion) for r in c.execute(query).mappings()))

    async def plan_files(self, name: str, version: str) -> dict[str, str] | None:
        """The texts of a published version by file name; None when it was never published. Raises Unavailable."""
        own = (plan_versions.c.name == name, plan_versions.c.version == version)
        return await self.read(lambda c: c.scalar(sa.select(plan_versions.c.files).where(*own)))

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        """What `work` reads, in a reader's thread. For the modules of this room. Raises Unavailable."""
        if self._reading is None or self._reads_waiting >= _READS_WAITING:
            raise Unavailable("the database is busy with other readers" if self._reading else "the store is not open")

        def run() -> T:
            with self._reading.connect() as connection:
                return work(connection)

        self._reads_waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, run)
        except (SQLAlchemyError, RuntimeError) as error:
            metrics.store_failed("read")
            raise Unavailable(f"the database cannot be read: {database.reason(error)}") from None
        finally:
            self._reads_waiting -= 1


_END = sa.update(calls).where(calls.c.id == sa.bindparam("ending"), calls.c.ended_at.is_(None))


def _upsert(insert: sqlite.Insert | postgresql.Insert, keep_older: bool) -> sa.Executable:
    """`insert` that replaces the row with its key; with `keep_older` a NULL leaves what is there."""
    key, rest = insert.table.primary_key, [c for c in insert.table.columns if not c.primary_key]
    newer = {c.name: insert.excluded[c.name] for c in rest}
    if keep_older:
        newer = {c.name: sa.func.coalesce(newer[c.name], c) for c in rest}
    return insert.on_conflict_do_update(index_elements=list(key.columns), set_=newer)


def _row(table: sa.Table, fields: dict[str, Any]) -> dict[str, Any]:
    """The columns of `table` among `fields`, texts made fit to be stored: no NUL, no lone surrogate, bounded."""
    return {c.name: clean(fields[c.name], getattr(c.type, "length", None)) for c in table.columns if c.name in fields}


def clean(value: Any, length: int | None = None) -> Any:
    """Texts as every database keeps them: no NUL, no lone surrogate, bounded; whatever they stand in."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")[:length]
    if isinstance(value, list | tuple):
        return [clean(v) for v in value]
    if isinstance(value, dict):
        return {clean(k): clean(v) for k, v in value.items()}
    return value


def _recover(connection: sa.Connection, server: str, reason: str) -> int:
    open_calls = connection.execute(
        sa.select(calls.c.id, calls.c.started_at).where(calls.c.server == server, calls.c.ended_at.is_(None))
    ).all()
    for call_id, started_at in open_calls:
        times = [started_at]
        for column in (turns.c.started_at, legs.c.started_at, legs.c.answered_at, legs.c.ended_at):
            times.append(connection.scalar(sa.select(sa.func.max(column)).where(column.table.c.call_id == call_id)))
        ended_at = max(t for t in times if t is not None)
        end = {"ended_at": ended_at, "cause": "failed", "ended_by": "us", "reason": clean(reason, 512), "outcome": ""}
        connection.execute(sa.update(calls).where(calls.c.id == call_id).values(end))
        connection.execute(
            sa.update(legs)
            .where(legs.c.call_id == call_id, legs.c.ended_at.is_(None))
            .values(ended_at=ended_at, cause="brain_lost", ended_by="us")
        )
    return len(open_calls)


def _purge_batch(before: datetime, after: str, recordings: Path | None):
    """A job that purges one batch of calls with ids after `after`; gives (Purged, last id or None when done)."""

    def run(connection: sa.Connection) -> tuple[Purged, str | None]:
        batch = connection.execute(
            sa.select(calls.c.id, calls.c.recording)
            .where(calls.c.purged_at.is_(None), calls.c.ended_at < before, calls.c.id > after)
            .order_by(calls.c.id)
            .limit(_PURGE_BATCH)
        ).all()
        removed = {call_id: _remove(recordings, name) for call_id, name in batch}
        done = [call_id for call_id, outcome in removed.items() if outcome is not None]
        gone = connection.execute(
            sa.update(turns).where(turns.c.call_id.in_(done)).values(dict.fromkeys(WORDS, sa.null()))
        ).rowcount
        said = connection.execute(sa.delete(inputs).where(inputs.c.call_id.in_(done))).rowcount
        connection.execute(
            sa.update(calls).where(calls.c.id.in_(done)).values(purged_at=datetime.now(UTC), recording=None)
        )
        part = Purged(
            calls=len(done),
            turns=gone,
            inputs=said,
            recordings=sum(1 for outcome in removed.values() if outcome),
            recordings_left=len(batch) - len(done),
        )
        return part, batch[-1].id if len(batch) == _PURGE_BATCH else None

    return run


def _remove(recordings: Path | None, name: str | None) -> bool | None:
    """True: deleted; False: there was none; None: it is there still."""
    if not name:
        return False
    path = recording_path(recordings, name)
    if path is None:
        return None
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError:
        return None
    return True


def recording_path(recordings: Path | None, name: str) -> Path | None:
    """The file `name` inside `recordings`; None when it would lie elsewhere or there is no such folder configured."""
    if recordings is None:
        return None
    folder = recordings.resolve()
    path = (folder / name).resolve()
    return path if path != folder and path.is_relative_to(folder) else None


_answered_at = sa.select(sa.func.min(legs.c.answered_at)).where(legs.c.call_id == calls.c.id).scalar_subquery()
_turns = sa.select(sa.func.count()).where(turns.c.call_id == calls.c.id).scalar_subquery()
_call_columns = (
    *(c for c in calls.columns if c.name != "server"),
    _answered_at.label("answered_at"),
    _turns.label("turns"),
)


def _call(connection: sa.Connection, call_id: str) -> CallDetail | None:
    row = connection.execute(sa.select(*_call_columns).where(calls.c.id == call_id)).mappings().one_or_none()
    if row is None:
        return None
    own_legs = sa.select(legs).where(legs.c.call_id == call_id).order_by(legs.c.started_at, legs.c.id)
    own_turns = sa.select(turns).where(turns.c.call_id == call_id).order_by(turns.c.index)
    return CallDetail(
        call=_call_record(row),
        legs=tuple(_convert(r, LegRecord) for r in connection.execute(own_legs).mappings()),
        turns=tuple(_convert(r, TurnRecord) for r in connection.execute(own_turns).mappings()),
    )


def _inputs(connection: sa.Connection, call_id: str) -> CallInputs | None:
    if connection.scalar(sa.select(calls.c.id).where(calls.c.id == call_id)) is None:
        return None
    own = sa.select(inputs).where(inputs.c.call_id == call_id).order_by(inputs.c.index)
    rows = connection.execute(own).mappings()
    return CallInputs(call=call_id, inputs=tuple(_convert(r, InputRecord) for r in rows))


def _call_record(row: sa.RowMapping) -> CallRecord:
    call = _convert(row, CallRecord)
    if call.ended_at is None:
        return call
    duration_ms = max(0, round((call.ended_at - call.started_at) / timedelta(milliseconds=1)))
    return msgspec.structs.replace(call, duration_ms=duration_ms)


def _convert(row: sa.RowMapping, record: type[T]) -> T:
    """A row as `record`: columns that are NULL take the record's default."""
    fields = {name: row.get("ended_by" if name == "by" else name) for name in record.__struct_fields__}
    return msgspec.convert({name: value for name, value in fields.items() if value is not None}, record)


def _calls_query(filters: CallFilter, before: tuple[datetime, str] | None) -> sa.Select:
    query = sa.select(*_call_columns).order_by(calls.c.started_at.desc(), calls.c.id.desc())
    if filters.since is not None:
        query = query.where(calls.c.started_at >= filters.since)
    if filters.until is not None:
        query = query.where(calls.c.started_at < filters.until)
    for name in ("number", "caller", "cause", "language", "plan"):
        if (value := getattr(filters, name)) is not None:
            query = query.where(calls.c[name] == value)
    if before is not None:
        at, call_id = sa.literal(before[0], UtcTime), sa.literal(before[1])
        query = query.where(sa.tuple_(calls.c.started_at, calls.c.id) < sa.tuple_(at, call_id))
    return query


def _page(connection: sa.Connection, query: sa.Select, limit: int) -> CallPage:
    rows = connection.execute(query.limit(limit + 1)).mappings().all()
    page = tuple(_call_record(r) for r in rows[:limit])
    return CallPage(calls=page, next=encode_cursor(page[-1].started_at, page[-1].id) if len(rows) > limit else None)


def encode_cursor(at: datetime, record_id: str) -> str:
    """Where a page ended: after the record of this time and id."""
    return base64.urlsafe_b64encode(f"{iso(at)} {record_id}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[datetime, str]:
    """What `encode_cursor` wrote. Raises BadCursor."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True).decode()
        at, _, record_id = text.partition(" ")
        started_at = datetime.fromisoformat(at)
        started_at = started_at.astimezone(UTC) if started_at.tzinfo else None
    except (ValueError, OverflowError):
        raise BadCursor("not a cursor that a page gave out") from None
    if started_at is None or not record_id or "\0" in record_id:
        raise BadCursor("not a cursor that a page gave out")
    return started_at, record_id

"""The entries of the knowledge base in the database: versions, changes since a mark, pages. The room's SQL for them.

Every change of an entry is a new version, kept for ever, and has a number higher than all changes before it, in the
order in which they were committed; so an index that has read up to a change knows what it misses. All methods belong
to the asyncio thread; they go through the store's writer and readers. Knows nothing of search.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec
import sqlalchemy as sa

from ivr.kb.entry import KbEntry, KbPage, KbVersion, KbVersions, content_hash
from ivr.store.schema import kb_entries, kb_versions
from ivr.store.store import Store

BATCH = 500
"""Entries a transaction writes at once: records of calls wait no longer than one such batch."""
_LOCK = 0x1B7CA116

What = Literal["new", "changed", "unchanged", "removed", "conflict", "missing"]


class KbSaved(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an entry. `version` is the newest afterwards; `conflict`: it was not the one to be changed."""

    id: str
    what: What
    version: int = 0


class KbChange(msgspec.Struct, frozen=True, kw_only=True):
    """An entry as it is after its latest change; `removed`: there is none any more."""

    change: int
    removed: bool
    entry: KbEntry


class KbEntries:
    """The entries in `store`, which is open."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def save(self, entries: Sequence[KbEntry]) -> list[KbSaved]:
        """Write valid entries, a new version of each that says something else than before; in batches.

        An entry with a `version` is written only over that version; else it is a `conflict`. Raises Unavailable.
        """
        done = []
        for start in range(0, len(entries), BATCH):
            batch = entries[start : start + BATCH]
            done += await self._store.write("kb", lambda c, b=batch: _save(c, b, datetime.now(UTC)))
        return done

    async def remove(self, entry_id: str) -> KbSaved:
        """Take an entry out; its versions stay. Raises Unavailable."""
        return await self._store.write("kb", lambda c: _remove(c, entry_id, datetime.now(UTC)))

    async def rollback(self, entry_id: str, version: int) -> KbSaved:
        """Put an earlier version back, as a new one. Raises Unavailable."""
        return await self._store.write("kb", lambda c: _rollback(c, entry_id, version, datetime.now(UTC)))

    async def entry(self, entry_id: str) -> KbEntry | None:
        """The entry as it is now; None when there is none. Raises Unavailable."""
        own = sa.select(kb_entries).where(kb_entries.c.id == entry_id, kb_entries.c.removed.is_(False))
        row = await self._store.read(lambda c: c.execute(own).mappings().one_or_none())
        return _entry(row) if row else None

    async def versions(self, entry_id: str) -> KbVersions | None:
        """Every version of an entry; None when there never was one. Raises Unavailable."""
        own = sa.select(kb_versions).where(kb_versions.c.id == entry_id).order_by(kb_versions.c.version.desc())
        rows = await self._store.read(lambda c: c.execute(own).mappings().all())
        found = (KbVersion(version=r["version"], at=r["at"], removed=r["removed"], entry=_entry(r)) for r in rows)
        return KbVersions(id=entry_id, versions=tuple(found)) if rows else None

    async def page(self, after: str = "", limit: int = 50, language: str | None = None) -> KbPage:
        """Entries by id, those after the id `after`. Raises Unavailable."""
        query = sa.select(kb_entries).where(kb_entries.c.removed.is_(False), kb_entries.c.id > after)
        if language is not None:
            query = query.where(kb_entries.c.language == language)
        query = query.order_by(kb_entries.c.id).limit(limit + 1)
        rows = await self._store.read(lambda c: c.execute(query).mappings().all())
        entries = tuple(_entry(r) for r in rows[:limit])
        return KbPage(entries=entries, next=entries[-1].id if len(rows) > limit else None)

    async def all(self, language: str | None = None) -> AsyncIterator[KbEntry]:
        """Every entry by id, read in pages. Raises Unavailable."""
        after = ""
        while after is not None:
            page = await self.page(after, 1_000, language)
            for entry in page.entries:
                yield entry
            after = page.next

    async def latest_change(self) -> int:
        """The number of the latest change, 0 before the first. Raises Unavailable."""
        query = sa.select(sa.func.coalesce(sa.func.max(kb_entries.c.change), 0))
        return await self._store.read(lambda c: c.scalar(query))

    async def changes(self, since: int, limit: int = 5_000) -> list[KbChange]:
        """Entries whose latest change comes after the change `since`, oldest first. Raises Unavailable."""
        query = sa.select(kb_entries).where(kb_entries.c.change > since).order_by(kb_entries.c.change).limit(limit)
        rows = await self._store.read(lambda c: c.execute(query).mappings().all())
        return [KbChange(change=r["change"], removed=r["removed"], entry=_entry(r)) for r in rows]


def _entry(row: sa.RowMapping) -> KbEntry:
    return msgspec.convert(row["body"] | {"id": row["id"], "version": row["version"]}, KbEntry)


def _save(connection: sa.Connection, entries: Sequence[KbEntry], now: datetime) -> list[KbSaved]:
    change = _next_change(connection)
    ids = {entry.id for entry in entries}
    rows = connection.execute(sa.select(kb_entries).where(kb_entries.c.id.in_(ids))).mappings()
    known = {row["id"]: (row["version"], row["hash"], row["removed"]) for row in rows}
    done, written = [], {}
    for entry in entries:
        version, before, removed = known.get(entry.id, (0, "", True))
        fresh = content_hash(entry)
        if entry.version and (entry.version != version or removed):
            done.append(KbSaved(id=entry.id, what="conflict", version=0 if removed else version))
        elif fresh == before and not removed:
            done.append(KbSaved(id=entry.id, what="unchanged", version=version))
        else:
            known[entry.id] = (version + 1, fresh, False)
            written.setdefault(entry.id, []).append((version + 1, entry))
            done.append(KbSaved(id=entry.id, what="new" if removed else "changed", version=version + 1))
    rows = [_row(entry, version, False) for editions in written.values() for version, entry in editions]
    if rows:
        connection.execute(sa.delete(kb_entries).where(kb_entries.c.id.in_(list(written))))
        latest = [editions[-1] for editions in written.values()]
        heads = [
            _row(e, v, False) | {"change": change + i, "language": e.language, "hash": content_hash(e)}
            for i, (v, e) in enumerate(latest)
        ]
        connection.execute(sa.insert(kb_entries), heads)
        connection.execute(sa.insert(kb_versions), [row | {"at": now} for row in rows])
    return done


def _remove(connection: sa.Connection, entry_id: str, now: datetime) -> KbSaved:
    change = _next_change(connection)
    row = connection.execute(sa.select(kb_entries).where(kb_entries.c.id == entry_id)).mappings().one_or_none()
    if row is None or row["removed"]:
        return KbSaved(id=entry_id, what="missing")
    version = row["version"] + 1
    values = {"removed": True, "version": version, "change": change}
    connection.execute(sa.update(kb_entries).where(kb_entries.c.id == entry_id).values(values))
    connection.execute(sa.insert(kb_versions), [_row(_entry(row), version, True) | {"at": now}])
    return KbSaved(id=entry_id, what="removed", version=version)


def _rollback(connection: sa.Connection, entry_id: str, version: int, now: datetime) -> KbSaved:
    own = (kb_versions.c.id == entry_id, kb_versions.c.version == version)
    row = connection.execute(sa.select(kb_versions).where(*own)).mappings().one_or_none()
    if row is None:
        return KbSaved(id=entry_id, what="missing")
    if row["removed"]:
        return _remove(connection, entry_id, now)
    return _save(connection, [msgspec.structs.replace(_entry(row), version=0)], now)[0]


def _row(entry: KbEntry, version: int, removed: bool) -> dict:
    body = msgspec.to_builtins(entry)
    del body["id"], body["version"]
    return {"id": entry.id, "version": version, "removed": removed, "body": body}


def _next_change(connection: sa.Connection) -> int:
    """The next number, with every other writer kept out until the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    return connection.scalar(sa.select(sa.func.coalesce(sa.func.max(kb_entries.c.change), 0))) + 1

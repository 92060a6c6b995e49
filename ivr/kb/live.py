"""The knowledge base as a server has it: the snapshot in force, what changed since, and searches over both.

A small change is embedded and searchable at once, in a segment beside the snapshot (`DELTA_ENTRIES` at most); a large
one is left to a niced child process (`kb.indexing`), and in force when that is done. `watch` notices what other
processes write, within half a second. Belongs to the asyncio thread; searches and small embeddings run in two threads
of its own. Knows nothing of HTTP or calls.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import structlog

from ivr.errors import Unavailable
from ivr.kb import indexing
from ivr.kb.entry import KbFound, KbHit, KbQuery
from ivr.kb.indexing import Snapshot
from ivr.store.kb import KbChange, KbEntries
from ivr.understanding.embedding import embed_passages, query_vector
from ivr.understanding.kb_index import Segment, build, quantised
from ivr.understanding.kb_search import BAR, Filter, Part, candidates, ranked

DELTA_ENTRIES = 256
"""Changed entries that are searched beside the snapshot; more are merged into a new one by the child."""
AT_ONCE_QUESTIONS = 64
"""Questions that the server embeds itself in one go, about 15 ms each; more are the child's."""
FLOOD_QUESTIONS = 4
"""The same while an import is pouring in: enough for what a person adds meanwhile."""
_POLL_S = 0.5
_THREADS = 2
_SEARCHES_WAITING = 64
_INDEX_AGAIN_S = 10.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class View:
    """What searches see: for each language its parts, the snapshot's first. Replaced as a whole."""

    parts: dict[str, tuple[Part, ...]]
    entries: int
    change: int


class KnowledgeBase:
    """Search over the entries of a database, kept up to date.

    Args:
        entries: of an open store.
        folder: of the index; made when missing.
        config_file: given to the child process; empty: large changes wait for somebody else to index them.
    """

    def __init__(self, entries: KbEntries, folder: Path, config_file: Path | None = None) -> None:
        self._store = entries
        self._folder = folder
        self._config_file = config_file
        self._snapshot = Snapshot("", 0, {})
        self._changes: dict[str, KbChange] = {}
        self._vectors: dict[str, np.ndarray] = {}
        self._beside = 0
        self._read_to = 0
        self._view = View({}, 0, 0)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="kb")
        self._waiting = 0
        self._updating = asyncio.Lock()
        self._child: asyncio.subprocess.Process | None = None
        self._child_after = 0.0

    async def open(self) -> None:
        """Map the snapshot in force; what changed since comes with the first `refresh`. Raises Unavailable."""
        await self._load_snapshot()

    async def close(self) -> None:
        """Let go of threads; an indexing child goes on and its work is kept."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def watch(self) -> None:
        """Follow the database for ever."""
        while True:
            try:
                await self.refresh()
            except Unavailable as error:
                log.warning("the knowledge base cannot follow the database", error=str(error))
            await asyncio.sleep(_POLL_S)

    @property
    def entries(self) -> int:
        """How many entries searches see, of every language."""
        return self._view.entries

    @property
    def change(self) -> int:
        """The latest change of the database that searches see."""
        return self._view.change

    async def refresh(self) -> None:
        """Take in what was written since the last time; returns when it is searched. Raises Unavailable."""
        async with self._updating:
            found = await asyncio.to_thread(indexing.current, self._folder)
            if found is not None and found.snapshot != self._snapshot.name:
                await self._load_snapshot()
                log.info("a new index of the knowledge base", entries=self._view.entries, change=self._view.change)
            fresh = 0
            while changes := await self._store.changes(self._read_to):
                self._changes |= {c.entry.id: c for c in changes}
                self._read_to = changes[-1].change
                fresh += len(changes)
            if fresh:
                most = AT_ONCE_QUESTIONS if fresh <= AT_ONCE_QUESTIONS else FLOOD_QUESTIONS
                self._beside = await self._run(functools.partial(self._embed_beside, most))
                await self._run(self._build_view)
            elif self._beside < len(self._changes):
                await self._start_child()

    async def search(self, query: KbQuery, rerank: bool = True) -> KbFound:
        """What the base answers. Raises Unavailable: too many searches wait."""
        if self._waiting >= _SEARCHES_WAITING:
            raise Unavailable("too many searches of the knowledge base wait")
        began = time.perf_counter()
        self._waiting += 1
        try:
            view = self._view
            hits = await self._run(functools.partial(_search, view, query, datetime.now(UTC).date(), rerank))
        finally:
            self._waiting -= 1
        bar = BAR[query.language] if query.bar is None else query.bar
        above = tuple(h for h in hits if h.score >= bar)
        took_ms = round(1_000 * (time.perf_counter() - began), 1)
        return KbFound(
            answered=bool(above), hits=above, below=tuple(hits[len(above) :]), bar=bar, entries=view.entries,
            took_ms=took_ms,
        )  # fmt: skip

    async def _run(self, work):
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except RuntimeError:
            raise Unavailable("the knowledge base is closed") from None

    async def _load_snapshot(self) -> None:
        self._snapshot = await asyncio.to_thread(indexing.load, self._folder)
        self._read_to = self._snapshot.change
        self._changes, self._vectors, self._beside = {}, {}, 0
        await self._run(self._build_view)

    def _embed_beside(self, most: int) -> int:
        """Embed at most so many questions of the latest changes, that they may be searched; of how many changes."""
        wanted: dict[str, None] = {}
        new: list[str] = []
        taken = 0
        for change in sorted(self._changes.values(), key=lambda c: -c.change)[:DELTA_ENTRIES]:
            questions = () if change.removed else change.entry.questions
            unknown = [q for q in questions if q not in self._vectors and q not in wanted]
            if len(new) + len(unknown) > most and (taken or most < AT_ONCE_QUESTIONS):
                break
            wanted |= dict.fromkeys(questions)
            new += unknown
            taken += 1
        vectors = dict(zip(new, embed_passages(new), strict=True))
        self._vectors = {q: vectors[q] if q in vectors else self._vectors[q] for q in wanted}
        return taken

    def _build_view(self) -> None:
        """A view of the snapshot and what changed since. What is not embedded yet is at least not found as it was."""
        changes = self._changes.values()
        parts: dict[str, list[Part]] = {}
        entries = 0
        for language, segment in self._snapshot.segments.items():
            dead = segment.of_ids(c.entry.id for c in changes)
            parts[language] = [Part(segment, dead)]
            entries += segment.entries - len(dead)
        latest = sorted((c for c in changes), key=lambda c: -c.change)[: self._beside]
        added = [c.entry for c in latest if not c.removed]
        for language in sorted({e.language for e in added}):
            own = [e for e in added if e.language == language]
            vectors = quantised(np.stack([self._vectors[q] for e in own for q in e.questions]))
            like = self._snapshot.segments.get(language)
            parts.setdefault(language, []).append(Part(build(own, *vectors, like=like), np.array([], dtype=np.int64)))
            entries += len(own)
        self._view = View({k: tuple(v) for k, v in parts.items()}, entries, self._read_to)

    async def _start_child(self) -> None:
        """A niced process that makes a new snapshot; one at a time, and not at once again when one failed."""
        loop = asyncio.get_running_loop()
        if self._config_file is None or loop.time() < self._child_after:
            return
        if self._child is not None and self._child.returncode is None:
            return
        if self._child is not None and self._child.returncode:
            log.warning("indexing did not finish, tried again", code=self._child.returncode)
        self._child_after = loop.time() + _INDEX_AGAIN_S
        self._child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ivr", "kb", "index", "--config", str(self._config_file), "--quiet",
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        log.info("indexing in a process of its own", changes=len(self._changes), pid=self._child.pid)


def _search(view: View, query: KbQuery, today: date, rerank: bool) -> Sequence[KbHit]:
    parts = view.parts.get(query.language, ())
    text = " ".join(query.text.split())
    if not parts or not any(c.isalnum() for c in text):
        return ()
    vector = query_vector(text)
    only = Filter(query.audience, query.on or today, query.tags)
    like: Segment = parts[0].segment
    found = [candidates(part, vector, text, only, like, query.language) for part in parts]
    return tuple(
        KbHit(entry=f.entry, score=round(f.score, 4), question=f.question)
        for f in ranked(found, query.language, query.limit, rerank)
    )

"""`ivr bench kb --calls`: what calls feel while the server has 100,000 knowledge entries embedded beside them.

Callers loop over open questions, half of them Mandarin; then the entries are written into the server's database, and
once its indexing child embeds, the same callers loop again. The child must live through the second half and end with
the server. Compares a machine with itself: nothing else should run beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

from ivr.bench import gaps
from ivr.bench.harness import Server, command_of, descendants
from ivr.bench.kb_distractors import distractors
from ivr.bench.report import Report, data_folder, percentile, spread
from ivr.caller import Caller
from ivr.config import load
from ivr.errors import Unavailable
from ivr.kb.entry import KbEntry
from ivr.store.kb import KbEntries
from ivr.store.store import Store

QUICK_ENTRIES = 4_000
GROWTH = 0.20
CALLERS, TURNS = 4, 15
_EMBEDS_WITHIN_S = 180.0
_ENDS_WITHIN_S = 5.0


async def measure(report: Report, options: argparse.Namespace) -> None:
    data, quick = data_folder(options.data), report.quick
    callers, turns = (2, 2) if quick else (CALLERS, TURNS)
    async with gaps.server(processes=-(-callers // 4)) as srv, Caller(user="kb") as caller:
        alone = await gaps.looping(srv, caller, callers, turns, data, report.seed)
        report.row(f"{callers} callers looping, nothing indexed", "", spread(alone.gaps))
        began = time.monotonic()
        await _write(srv, QUICK_ENTRIES if quick else options.entries, report.seed)
        child = await _embedding(srv)
        report.note(f"{time.monotonic() - began:.0f} s to write the entries and begin to embed them")
        beside = await gaps.looping(srv, caller, callers, turns, data, report.seed)
        if not quick and not _indexes(child):
            raise Unavailable("indexing ended before the calls did: more --entries")
        _report(report, callers, alone, beside)
        stopped = asyncio.create_task(srv.stop())
        took = await _ended(child)
        await stopped
    report.row("indexing ends with the server", f"<= {_ENDS_WITHIN_S:g} s after SIGTERM", f"{took:.1f} s",
               took <= _ENDS_WITHIN_S)  # fmt: skip


def _report(report: Report, callers: int, alone: gaps.Run, beside: gaps.Run) -> None:
    growth = percentile(beside.gaps, 95) / percentile(alone.gaps, 95) - 1
    report.row(f"{callers} callers looping while entries are embedded", f"p95 grows <= {GROWTH:.0%}",
               f"{spread(beside.gaps)}, grown by {growth:.0%}", growth <= GROWTH and not beside.unanswered)  # fmt: skip
    for what, done in (("alone", alone), ("beside", beside)):
        report.note(f"{what}: unanswered {done.unanswered}, cut off {done.cut_off}; medians ms: {done.parts()}; "
                    f"callers' own CPU {100 * done.cpu:.0f} %, latest packet {done.late_max_ms} ms late")  # fmt: skip
        report.details[what] = {"gaps_s": done.gaps, "unanswered": done.unanswered, "cut_off": done.cut_off}


async def _write(srv: Server, number: int, seed: int) -> None:
    """Entries into the server's database, as `ivr kb import` does it beside a running server."""
    config = load(str(srv.folder / "config.toml"))
    store = Store(config.store.url, config.root)
    await store.open()
    try:
        await KbEntries(store).save([
            KbEntry(id=f"{language}-{i}", language=language, questions=(question,), answer=answer)
            for language in ("en", "zh")
            for i, (question, answer) in enumerate(distractors(language, number // 2, seed))
        ])  # fmt: skip
    finally:
        await store.close()


async def _embedding(srv: Server) -> int:
    """The process that indexes, once it has written vectors down. Raises Unavailable: none does."""
    journal = srv.folder / "var" / "kb" / "journal"
    end = time.monotonic() + _EMBEDS_WITHIN_S
    while time.monotonic() < end:
        child = next((pid for pid in descendants(srv.pid) if _indexes(pid)), None)
        if child is not None and await asyncio.to_thread(_filled, journal):
            return child
        await asyncio.sleep(0.2)
    raise Unavailable(f"the server embeds nothing after {_EMBEDS_WITHIN_S:g} s:\n{srv.last_words()}")


async def _ended(pid: int) -> float:
    """Seconds until a process that indexes has ended, at most twice what is required."""
    began = time.monotonic()
    while _indexes(pid) and time.monotonic() - began < 2 * _ENDS_WITHIN_S:  # noqa: ASYNC110 - somebody else's process
        await asyncio.sleep(0.05)
    return time.monotonic() - began


def _filled(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _indexes(pid: int) -> bool:
    return "ivr kb index" in command_of(pid)

"""capacity: memory of a line process and of the brain with both languages loaded, idle and after calls.

RSS counts shared libraries fully in each process; PSS shares them out. The requirement is held against RSS.
"""

from __future__ import annotations

import argparse
import asyncio

from ivr.bench.gaps import NUMBERS, Run, loop_call, said_of, server
from ivr.bench.harness import Server, footprint
from ivr.bench.report import Report, data_folder, run
from ivr.caller import Caller

LINE_MB, BRAIN_MB = 60, 900


def _mb(pid: int) -> dict[str, float]:
    return {key: value / 1024 for key, value in footprint(pid).items() if key.endswith("_kb")}


def _row(report: Report, what: str, pid: int, limit: int) -> None:
    memory = _mb(pid)
    report.row(what, f"<= {limit} MB", f"{memory['rss_kb']:.0f} MB RSS, {memory['pss_kb']:.0f} MB PSS",
               memory["rss_kb"] <= limit)  # fmt: skip
    report.details[what] = memory


async def _busy(srv: Server, options: argparse.Namespace) -> None:
    """Four calls at once, both languages, every kind of step."""
    data = data_folder(options.data)
    turns = 1 if options.quick else 6
    async with Caller(user="capacity") as caller:
        numbers = [n for n, _, _ in NUMBERS]
        for group in (numbers[:4], numbers[2:]):
            await asyncio.gather(*(loop_call(srv, caller, n, said_of(n, data, options.seed, turns), Run())
                                   for n in group))  # fmt: skip
            if options.quick:
                break


async def measure(report: Report, options: argparse.Namespace) -> None:
    async with server() as srv:
        _row(report, "a line process, idle", srv.line_pids()[0], LINE_MB)
        _row(report, "the brain, idle", srv.pid, BRAIN_MB)
        await _busy(srv, options)
        _row(report, "a line process, after calls", srv.line_pids()[0], LINE_MB)
        _row(report, "the brain, after calls", srv.pid, BRAIN_MB)
        for pid, command in srv.family().items():
            report.note(f"{_mb(pid)['rss_kb']:6.0f} MB RSS {_mb(pid)['pss_kb']:6.0f} MB PSS  {command[:90]}")


def main(argv: list[str]) -> int:
    return run("capacity", __doc__, measure, argv)

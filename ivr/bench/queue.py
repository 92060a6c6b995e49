"""The queue of outbound jobs: creates a second over HTTP, and claims with a hundred thousand jobs waiting.

The API runs in this process, beside the clients that order; the database is an SQLite file, or PostgreSQL by
`--database`. Half of the numbers are Chinese. A claim is measured as its caller has it: queue of the writer and commit.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import random
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import aiohttp
import msgspec

from ivr.bench.plans import ROOT
from ivr.bench.report import Report, percentile, run
from ivr.config import Config, Number
from ivr.config_outbound import Outbound, Policy
from ivr.dialog.plan_file import load
from ivr.outbound.job import Claim, Job, NewJob
from ivr.outbound.live import OutboundCalls
from ivr.outbound.orders import VERIFY_PLAN
from ivr.store.store import Store
from ivr.web import server
from ivr.web.api import create_app

JOBS = 100_000
CREATES_A_SECOND = 300
CLAIM_P95_S = 0.020
SLOWER_AT_MOST = 2.0
_CLIENTS = 16
_TOKEN = base64.b64encode(os.urandom(24)).decode()
_FREE = Policy(always=True, calls_per_second=1_000, calls_at_once=1_000)


async def measure(report: Report, options: argparse.Namespace) -> None:
    """Claims of a short queue; creates; the same with the queue full."""
    jobs, creates, claims = (2_000, 200, 60) if options.quick else (JOBS, 3_000, 500)
    chance = random.Random(options.seed)  # noqa: S311 - telephone numbers, not secrets
    async with AsyncExitStack() as stack:
        outbound, url = await _served(stack, options.database)
        client = await stack.enter_async_context(aiohttp.ClientSession(headers={"Authorization": f"Bearer {_TOKEN}"}))
        await _fill(outbound, claims, chance)
        short = await _claims(outbound, claims)
        empty_rate, taken = await _creates(client, url, creates, chance, "a")
        began = time.monotonic()
        await _fill(outbound, jobs, chance)
        report.note(f"{jobs} jobs written in batches in {time.monotonic() - began:.1f} s")
        full_rate, taken_full = await _creates(client, url, creates, chance, "b")
        full = await _claims(outbound, claims)
    taken += taken_full
    report.row("orders taken", "all", f"{taken} of {2 * creates}", taken == 2 * creates)
    for what, rate in (("no", empty_rate), (f"{jobs}", full_rate)):
        held = None if options.quick else rate >= CREATES_A_SECOND
        report.row(f"creates over HTTP, {what} jobs queued", f">= {CREATES_A_SECOND} a second", f"{rate:.0f}", held)
    p95, before = percentile(full, 95), percentile(short, 95)
    judged = not options.quick
    report.row(f"claim with {jobs} queued, p95", f"<= {1_000 * CLAIM_P95_S:.0f} ms", f"{1_000 * p95:.1f} ms",
               p95 <= CLAIM_P95_S if judged else None)  # fmt: skip
    report.row("against a short queue", f"<= {SLOWER_AT_MOST:g} x", f"{p95 / before:.2f} x ({1_000 * before:.1f} ms)",
               p95 <= SLOWER_AT_MOST * before if judged else None)  # fmt: skip
    report.details |= {"claim_s": {"short": sorted(short), "full": sorted(full)}}


async def _served(stack: AsyncExitStack, database: str) -> tuple[OutboundCalls, str]:
    """An API over a fresh queue, and its address."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ivr-queue-")))
    for name in ("IVR_EVIDENCE_KEY", "IVR_PROOF_KEY"):
        os.environ[name] = base64.b64encode(os.urandom(32)).decode()
    outbound = Outbound(policies={"fraud": _FREE}, calls_at_once=1_000)
    numbers = (Number(pattern="400", plan="main"), Number(pattern="401", plan="main", language="zh"))
    config = Config(number=numbers, outbound=outbound, root=str(folder))
    store = Store(database or "sqlite:///queue.db", folder)
    await store.open()
    stack.push_async_callback(store.close)
    calls = OutboundCalls(config, store, None, {VERIFY_PLAN: load(ROOT / "dialplans" / "verify.yaml")}.get)
    app = create_app(store, lambda: None, None, _TOKEN, outbound=calls)
    runner = await server.start(app, "127.0.0.1", 0)
    stack.push_async_callback(runner.cleanup)
    return calls, f"http://127.0.0.1:{runner.addresses[0][1]}/v1/verifications"


def _phone(chance: random.Random) -> tuple[str, str]:
    """A number that exists, and its language."""
    if chance.random() < 0.5:
        return f"+86138{chance.randrange(10**8):08}", "zh"
    return f"+447400{chance.randrange(10**6):06}", "en"


async def _creates(client: aiohttp.ClientSession, url: str, count: int, chance: random.Random, mark: str
                   ) -> tuple[float, int]:  # fmt: skip
    """(orders a second, how many were taken), by several clients at once."""
    bodies = []
    for number in range(count):
        phone, language = _phone(chance)
        bodies.append(msgspec.json.encode({
            "idempotency_key": f"{mark}-{number}", "phone": phone, "language": language, "priority": number % 10,
            "transaction": {"amount": "129.90", "currency": "CNY", "merchant": "京东", "at": "2026-11-23T01:30:00Z"},
            "proof": {"birth_date": "1987-04-29"},
        }))  # fmt: skip
    waiting = iter(bodies)

    async def order() -> int:
        taken = 0
        for body in waiting:
            async with client.post(url, data=body) as answer:
                taken += answer.status == 202
                await answer.read()
        return taken

    began = time.monotonic()
    taken = sum(await asyncio.gather(*(order() for _ in range(_CLIENTS))))
    return taken / (time.monotonic() - began), taken


async def _fill(outbound: OutboundCalls, count: int, chance: random.Random) -> None:
    """Jobs that are due, written past HTTP."""
    now = outbound.jobs.now()
    new = [_job(f"{now.timestamp()}-{number}", chance, now) for number in range(count)]
    for start in range(0, count, 5_000):
        await outbound.jobs.create(new[start : start + 5_000])


def _job(name: str, chance: random.Random, now) -> NewJob:
    phone, language = _phone(chance)
    job = Job(
        id=f"job_{chance.getrandbits(128):032x}", kind="verification", client="bench", idempotency_key=name,
        phone=phone, contact="", language=language, policy="fraud", plan="verify", priority=chance.randrange(10),
        state="queued", created_at=now, expires_at=now + timedelta(days=1), due_at=now, body={},
    )  # fmt: skip
    return NewJob(job=job, request_hash="0" * 64, proof=bytes(64))


async def _claims(outbound: OutboundCalls, count: int) -> Sequence[float]:
    """Seconds of each claim that got a job; what was claimed is finished at once."""
    took = []
    while len(took) < count:
        began = time.perf_counter()
        found = await outbound.jobs.claim()
        if isinstance(found, Claim):
            took.append(time.perf_counter() - began)
            await outbound.jobs.finish(found, "reached", "confirmed")
        else:
            await asyncio.sleep(0.001)  # the pace of the policy
    return took


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--database", default="", metavar="URL", help="of an empty database; else an SQLite file")


def main(argv: list[str]) -> int:
    return run("queue", __doc__, measure, argv, _options)

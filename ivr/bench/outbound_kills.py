"""What dies while outbound calls are under way: servers, line processes, connections to the database.

`kills` kills them at random moments until it has done so often enough, starts what was the server again, waits for the
last job, and has everything compared (`outbound_audit`). `two` has two servers share a queue and kills one. Runs on
asyncio's thread, outside of all that it kills.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from ivr.bench import outbound_audit, outbound_site
from ivr.bench.harness import Server
from ivr.bench.outbound_audit import Account, Findings
from ivr.bench.outbound_site import FREE, Bank, Site, Telephones, phones
from ivr.bench.report import Report
from ivr.caller import Call, CallFailed
from ivr.errors import Unavailable

LEASE_S = 5
TAKEOVER_S = LEASE_S + 2.5
"""The lease, a sweep a second, and the time of an INVITE."""
LADDER = {"busy": (2, 2, 2), "no_answer": (2, 2), "failed": (1, 1, 1, 1), "unknown": (), "hung_up": ()}
LADDERS = {"once": LADDER, "again": LADDER | {"unknown": (2, 2, 2, 2)}}
"""Two policies: after an attempt that nobody knows the end of, `once` rings nobody again and `again` does."""
_SAID = "{en: 'This is a test of the bank. Thank you, goodbye.', zh: '这是银行的测试电话。谢谢，再见。'}"
PLAN = f"plan: notice\nlanguages: [en, zh]\nstart: tell\nsteps:\n  tell: {{kind: hangup, prompt: {_SAID}}}\n"


async def pick_up(call: Call, number: str) -> None:
    """Most answer at the second ring and listen; one in eight is busy at first, one in eight never answers."""
    kind = int(number[-2:]) % 8
    if kind == 0 and int(number[-3]) % 2 == 0:
        return await call.reject(486)
    await call.ring()
    if kind == 1:
        await call.wait_for(lambda: call.over, 60)
        return None
    if await call.wait_for(lambda: call.over, 0.6):
        return None
    with contextlib.suppress(CallFailed):
        await call.accept()
    await call.wait_for(lambda: call.over, 30)
    return await call.hangup()


def _policies() -> dict[str, Any]:
    def policy(ladder: Mapping[str, Sequence[int]]) -> dict[str, Any]:
        return FREE | {"ring_s": 5, "retry": {f"{outcome}_s": list(steps) for outcome, steps in ladder.items()}}

    return {name: policy(ladder) for name, ladder in LADDERS.items()}


def _orders(count: int, chance: random.Random, bank: Bank) -> list[dict[str, Any]]:
    return [
        {"idempotency_key": f"kill-{n}", "phone": phone, "language": language, "plan": "notice",
         "policy": "again" if n % 4 > 1 else "once", "priority": n % 10, "callback_url": f"{bank.url}/told/{n}"}
        for n, (phone, language) in enumerate(phones(count, chance))
    ]  # fmt: skip


def _server(port: int, bank: Bank, database: str, processes: int, most: int, name: str = "") -> Server:
    store = {"store": {"url": database, "server": name}} if database else {}
    return outbound_site.server(
        port, bank, _policies(), processes, most, {"notice": PLAN}, outbound={"lease_s": LEASE_S}, **store
    )  # fmt: skip


async def audit(site: Site, ordered: Sequence[str], telephones: Telephones, bank: Bank) -> Findings:
    """Everything about every job, compared."""
    accounts = []
    for job in await site.jobs():
        at = f"/v1/jobs/{job['id']}"
        evidence = None
        with contextlib.suppress(Unavailable):  # there is none: the audit says so
            evidence = await site.ask("GET", f"{at}/evidence")
        events = await site.ask("GET", f"{at}/events")
        told = [told for told in bank.told if told.data["job"] == job["id"]]
        accounts.append(Account(job, events, evidence, telephones.of(job["phone"]), told))
    return outbound_audit.compare(ordered, accounts, LADDERS)


async def _webhooks_arrived(site: Site, within_s: float) -> None:
    """Wait until nothing is left to be delivered."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        with contextlib.suppress(aiohttp.ClientError, OSError, Unavailable):
            if not (await site.ask("GET", "/v1/jobs/policies"))["webhooks_undelivered"]:
                return
        await asyncio.sleep(0.5)


SHARES = {"the server": 2, "a line process": 3, "its connections": 5}
"""How often each is killed in ten times; connections only where the database is a server."""


class _Killer:
    """Kills something of a server each time it is asked: in the shares above, in an order of chance."""

    def __init__(self, server: Server, database: str, chance: random.Random, shares: Mapping[str, int]) -> None:
        self._server, self._database, self._chance, self._shares = server, database, chance, shares
        self.done = {what: 0 for what in shares if what != "its connections" or database.startswith("postgresql")}
        self._round: list[str] = []

    async def kill(self) -> None:
        if not self._round:
            self._round = [what for what in self.done for _ in range(self._shares[what])]
            self._chance.shuffle(self._round)
        what = self._round.pop()
        if what == "the server":
            os.kill(self._server.pid, signal.SIGKILL)
            await self._server.process.wait()
            self.done[what] += 1
            await self._server.start()
        elif what == "a line process" and (lines := self._server.line_pids()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._chance.choice(lines), signal.SIGKILL)
            self.done[what] += 1
        elif what == "its connections":
            self.done[what] += await asyncio.to_thread(_terminate, self._database) > 0


def _terminate(database: str) -> int:
    """End every connection of servers to a PostgreSQL database; how many there were."""
    import psycopg  # only here, and only with --database

    with psycopg.connect(database.replace("+psycopg", ""), row_factory=psycopg.rows.dict_row) as connection:
        running = connection.execute("TABLE pg_stat_activity").fetchall()
        of_servers = (connection.info.dbname, "ivr")
        ours = [row["pid"] for row in running if (row["datname"], row["application_name"]) == of_servers]
        for pid in ours:
            connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
    return len(ours)


async def kills(report: Report, options: argparse.Namespace) -> None:
    """Random deaths over many jobs."""
    count, most = (6, 2) if options.quick else (options.jobs, options.kills)
    shares = dict.fromkeys(SHARES, 1) if options.quick else SHARES
    chance = random.Random(options.seed)  # noqa: S311 - telephone numbers and moments, not secrets
    telephones, bank = Telephones(pick_up), Bank()
    async with telephones.open() as port, bank.open():
        server = _server(port, bank, options.database, 2, 6)
        async with server:
            site = Site(server)
            ordered = await site.order(_orders(count, chance, bank))
            killer = _Killer(server, options.database, chance, shares)
            began = time.monotonic()
            while sum(killer.done.values()) < most:
                await asyncio.sleep(chance.uniform(0.1, 3.0))
                await killer.kill()
                if (done := sum(killer.done.values())) % 10 == 0:
                    report.note(f"{done} kills, {len(telephones.rung)} INVITEs, {time.monotonic() - began:.0f} s")
            report.note(f"{killer.done} killed over {time.monotonic() - began:.0f} s, {len(telephones.rung)} INVITEs")
            await site.until_final(len(ordered), 900)
            await _webhooks_arrived(site, 120)
            found = await audit(site, ordered, telephones, bank)
            jobs = await site.jobs()
    dispositions = {d: sum(job["disposition"] == d for job in jobs) for d in sorted({j["disposition"] for j in jobs})}
    report.details["kills"] = {"found": found.all, "killed": killer.done, "dispositions": dispositions}
    what = f"{sum(killer.done.values())} kills over {count} jobs"
    _rows(report, what, found)
    report.note(f"{dispositions}; {len(telephones.rung)} INVITEs, {bank.refused} webhooks with a wrong signature")


def _rows(report: Report, what: str, found: Findings) -> None:
    report.row(f"{what}: jobs lost", "none", str(len(found.lost)), not found.lost)
    report.row(f"{what}: without exactly one outcome", "none", str(len(found.outcomes)), not found.outcomes)
    report.row(f"{what}: webhooks of outcomes lost", "none", str(len(found.webhooks)), not found.webhooks)
    report.row(f"{what}: rings without an attempt and a policy for it", "none", str(len(found.rings)), not found.rings)
    for fault in found.all[:20]:
        report.note(fault)


async def two(report: Report, options: argparse.Namespace) -> None:
    """Two servers on one database, four lines each and more jobs than lines; one is killed while it has calls."""
    if not options.database.startswith("postgresql"):
        report.note("two servers share a PostgreSQL database only: give one with --database")
        return
    count = 24 if options.quick else 60
    chance = random.Random(options.seed)  # noqa: S311 - telephone numbers, not secrets
    telephones, bank = Telephones(pick_up), Bank()
    async with telephones.open() as port, bank.open():
        first, second = (_server(port, bank, options.database, 1, 8, name) for name in ("first", "second"))
        second.environment = first.environment
        async with second:
            async with first:
                site = Site(second)
                ordered = await site.order(_orders(count, chance, bank))
                held = await _open_attempts(site, "first", 2)
                os.kill(first.pid, signal.SIGKILL)
                killed_at = time.time()
                await first.process.wait()
            await site.until_final(len(ordered), 300)
            await _webhooks_arrived(site, 60)
            found = await audit(site, ordered, telephones, bank)
            ended = [await _ended_at(site, *each) for each in held]
    took_s = [at - killed_at for at in ended if at > killed_at]
    latest = max(took_s, default=float("nan"))
    report.row("two servers, one killed: its attempts ended by the other", f"within {TAKEOVER_S:g} s",
               f"{len(took_s)} attempts, the last after {latest:.1f} s",
               bool(took_s) and latest <= TAKEOVER_S)  # fmt: skip
    report.details["two"] = {"found": found.all, "took_s": took_s}
    _rows(report, f"two servers, one killed, {count} jobs", found)


async def _open_attempts(site: Site, server: str, least: int) -> list[tuple[str, str]]:
    """(job, attempt) under way at a server, once there are so many. Raises Unavailable."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = []
        for job in await site.jobs():
            if job["state"] in ("dialing", "in_call"):
                attempts = (await site.ask("GET", f"/v1/jobs/{job['id']}/events"))["attempts"]
                found += [(job["id"], a["id"]) for a in attempts if a["server"] == server and a["ended_at"] is None]
        if len(found) >= least:
            return found
        await asyncio.sleep(0.05)
    raise Unavailable(f"server {server} never had {least} attempts under way")


async def _ended_at(site: Site, job: str, attempt: str) -> float:
    attempts = (await site.ask("GET", f"/v1/jobs/{job}/events"))["attempts"]
    return outbound_audit.seconds(next(a["ended_at"] for a in attempts if a["id"] == attempt))

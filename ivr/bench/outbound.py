"""outbound: from an order to the INVITE, lines kept busy in order of priority, and what dies while calls go on.

The telephones are a SIP user agent behind the server's trunk that counts every INVITE, the bank a receiver of webhooks;
half of the numbers are Chinese. `--only kills` takes a quarter of an hour; with `--database` of an empty PostgreSQL
database its connections are killed too, and `--only two` has two servers share it. `--only voice` is yes and no by
voice, with noise.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections.abc import Sequence

from ivr.bench import outbound_kills, outbound_site, outbound_voice
from ivr.bench.outbound_audit import seconds
from ivr.bench.outbound_site import FREE, Bank, Rung, Site, Telephones, phones
from ivr.bench.report import Report, percentile, run
from ivr.caller import Call

PARTS = ("speed", "busy", "kills", "two", "voice")
P50_S, P95_S = 0.100, 0.250
BUSY_SHARE = 0.9
CALL_S, LINES, JOBS = 10.0, 8, 200
_MIXED_UP_S = 0.25
"""INVITEs that leave two line processes this close together may arrive in either order."""


async def measure(report: Report, options: argparse.Namespace) -> None:
    """The parts that are asked for."""
    parts = {"speed": speed, "busy": busy, "kills": outbound_kills.kills, "two": outbound_kills.two,
             "voice": outbound_voice.voice}  # fmt: skip
    for name in options.only.split(",") if options.only else PARTS:
        await parts[name](report, options)


async def speed(report: Report, options: argparse.Namespace) -> None:
    """One order at a time, the server idle, a telephone that is busy."""
    count = 4 if options.quick else 60
    chance = random.Random(options.seed)  # noqa: S311 - telephone numbers, not secrets
    telephones, bank = Telephones(lambda call, _: call.reject(486)), Bank()
    policy = FREE | {"retry": {"busy_s": []}}
    async with telephones.open() as port, bank.open():
        server = outbound_site.server(port, bank, {"fraud": policy}, 1, 3, {})
        async with server:
            site = Site(server)
            from_request, from_answer = [], []
            for n, (phone, language) in enumerate(phones(count, chance)):
                await asyncio.sleep(chance.uniform(0.5, 1.0))
                asked_at = time.monotonic()
                await site.order([{"idempotency_key": f"s-{n}", "phone": phone, "language": language, "plan": "quiet"}])
                answered_at = time.monotonic()
                at = await _rung_at(telephones, phone)
                from_request.append(at - asked_at)
                from_answer.append(at - answered_at)
    judged = not options.quick
    p50, p95 = percentile(from_answer, 50), percentile(from_answer, 95)
    report.row("order accepted to INVITE, server idle, p50", f"<= {1_000 * P50_S:.0f} ms", f"{1_000 * p50:.0f} ms",
               p50 <= P50_S if judged else None)  # fmt: skip
    report.row("the same, p95", f"<= {1_000 * P95_S:.0f} ms", f"{1_000 * p95:.0f} ms (n {count})",
               p95 <= P95_S if judged else None)  # fmt: skip
    report.row("order sent to INVITE", "", f"p50 {1_000 * percentile(from_request, 50):.0f} ms, "
               f"p95 {1_000 * percentile(from_request, 95):.0f} ms")  # fmt: skip
    report.details["speed"] = {"from_request_s": from_request, "from_answer_s": from_answer}


async def _rung_at(telephones: Telephones, phone: str) -> float:
    """When it was rung; infinite when it is not within half a minute."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if found := telephones.of(phone):
            return found[0].at_s
        await asyncio.sleep(0.01)
    return float("inf")


async def busy(report: Report, options: argparse.Namespace) -> None:
    """More jobs than lines, calls of one length: how much of the time the lines are in use, and in which order."""
    count, lines, call_s = (12, 3, 1.0) if options.quick else (JOBS, LINES, CALL_S)
    chance = random.Random(options.seed)  # noqa: S311 - telephone numbers, not secrets

    async def pick_up(call: Call, _: str) -> None:
        await call.accept()
        await call.wait_for(lambda: call.over, call_s)
        await call.hangup()

    telephones, bank = Telephones(pick_up), Bank()
    policy = FREE | {"retry": {"hung_up_s": []}}
    async with telephones.open() as port, bank.open():
        server = outbound_site.server(port, bank, {"fraud": policy}, -(-lines // 4), lines, {})
        async with server:
            site = Site(server)
            await site.ask("POST", "/v1/jobs/pause", b"{}")
            orders = [
                {"idempotency_key": f"b-{n}", "phone": phone, "language": language, "plan": "quiet",
                 "priority": chance.randrange(10)} for n, (phone, language) in enumerate(phones(count, chance))
            ]  # fmt: skip
            await site.order(orders)
            await site.ask("POST", "/v1/jobs/resume", b"{}")
            jobs = await site.until_final(count, 120 + 2 * count * call_s / lines)
            started = await _started(site, jobs)
    priority = {order["phone"]: order["priority"] for order in orders}
    share = _busy_share(telephones.rung, lines)
    judged = share >= BUSY_SHARE if not options.quick else None
    report.row(f"{count} jobs over {lines} lines, calls of {call_s:g} s: lines in use",
               f">= {100 * BUSY_SHARE:.0f} %", f"{100 * share:.1f} %", judged)  # fmt: skip
    claims = _out_of_order([(at, priority[phone]) for at, phone in started], 0.0)
    rings = _out_of_order([(r.at_s, priority[r.number]) for r in telephones.rung], _MIXED_UP_S)
    report.row("attempts out of the order of their priority", "none", str(claims), claims == 0)
    report.row(f"INVITEs out of it by more than {1_000 * _MIXED_UP_S:.0f} ms", "none", str(rings), rings == 0)
    twice = len(telephones.rung) - len({r.number for r in telephones.rung})
    report.row("telephones rung twice", "none", str(twice), twice == 0 and len(telephones.rung) == count)


async def _started(site: Site, jobs: Sequence[dict]) -> list[tuple[float, str]]:
    """When the first attempt of each job was written, and its number."""
    found = []
    for job in jobs:
        events = await site.ask("GET", f"/v1/jobs/{job['id']}/events")
        found.append((seconds(events["attempts"][0]["started_at"]), job["phone"]))
    return found


def _busy_share(rung: Sequence[Rung], lines: int) -> float:
    """The share of line seconds that are between an INVITE and the end of its call, until the last one begins.

    Afterwards fewer jobs than lines are left.
    """
    begin, end = min(r.at_s for r in rung), max(r.at_s for r in rung)
    used = sum(min(r.call.ended_at or end, end) - r.at_s for r in rung)
    return used / (lines * (end - begin))


def _out_of_order(began: Sequence[tuple[float, int]], within_s: float) -> int:
    """How many began more than `within_s` after one of a lower priority; (seconds, priority) each."""
    late, lowest = 0, [(at, priority) for at, priority in sorted(began)]
    for n, (at, priority) in enumerate(lowest):
        late += any(other < priority and at - before > within_s for before, other in lowest[:n])
    return late


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", default="", metavar="PART", help=f"some of {', '.join(PARTS)}, with commas")
    parser.add_argument("--database", default="", metavar="URL", help="of an empty database; else an SQLite file")
    parser.add_argument("--jobs", type=int, default=300, help="of `kills`")
    parser.add_argument("--calls", type=int, default=500, help="of `voice` in English; a fifth of it in Mandarin")
    parser.add_argument("--kills", type=int, default=100, help="of `kills`")


def main(argv: list[str]) -> int:
    return run("outbound", __doc__, measure, argv, _options)

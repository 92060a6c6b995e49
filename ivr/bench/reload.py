"""reload: a plan published a thousand times under eight callers, one file in ten broken; nobody changes path or fails.

Every version names its steps after itself, so that a call's record tells which version each of its turns walked.
Callers press keys, hang up and ring again all the while, in both languages; most versions are loaded by POST, some by
the server's own look at the folder.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ivr.bench import corpus
from ivr.bench.harness import Server
from ivr.bench.report import Report, run, spread
from ivr.caller import Call, Caller, CallFailed
from ivr.errors import Unavailable

PROCESSES, CALLERS = 2, 8
BROKEN_EVERY, WATCHED_EVERY = 10, 100
WATCHED_WITHIN_S = 8.0
NUMBERS = (("460", "en"), ("461", "zh"))


def plan(edition: int) -> str:
    """Two menus that lead to each other at key 1; only the names of the steps are of this edition."""
    return (
        (
            "# an edition of its own\nplan: PLAN\nlanguages: [en, zh]\nstart: first_E\nsteps:\n"
            "  first_E:\n    kind: menu\n    prompt: {en: One., zh: 第一。}\n    no_input_ms: 30000\n"
            "    choices: {onward: {key: 1, en: [go on], zh: [继续], next: second_E}}\n    give_up: end\n"
            "  second_E:\n    kind: menu\n    prompt: {en: Two., zh: 第二。}\n    no_input_ms: 30000\n"
            "    choices: {onward: {key: 1, en: [go on], zh: [继续], next: first_E}}\n    give_up: end\n"
        )
        .replace("_E", f"_{edition}")
        .replace("plan: PLAN", "plan: menu", 1)
    )


def _half(file: Path, text: str) -> None:
    file.write_text(text[: len(text) * 2 // 3], "utf-8")


def _empty(file: Path, _text: str) -> None:
    file.write_bytes(b"")


def _nowhere(file: Path, text: str) -> None:
    file.write_text(text.replace("next: first", "next: frist"), "utf-8")


def _tabs(file: Path, text: str) -> None:
    file.write_text(text.replace("    ", "\t"), "utf-8")


def _other_encoding(file: Path, text: str) -> None:
    file.write_bytes(text.encode("gbk"))


def _gone(file: Path, _text: str) -> None:
    file.unlink()


def _folder(file: Path, _text: str) -> None:
    file.unlink()
    file.mkdir()


BREAKS: tuple[Callable[[Path, str], None], ...] = (_half, _empty, _nowhere, _tabs, _other_encoding, _gone, _folder)


@dataclass
class Publisher:
    """Publishes edition after edition, and notes what the server said to each."""

    srv: Server
    edition: int = 0
    editions: dict[str, int] = field(default_factory=dict)
    load_s: list[float] = field(default_factory=list)
    watched_s: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    broken: int = 0
    reported: int = 0

    @property
    def file(self) -> Path:
        return self.srv.folder / "dialplans" / "menu.yaml"

    async def publish(self, edition: int) -> None:
        """One edition, by POST."""
        self._put(plan(edition))
        begun = time.monotonic()
        answer = await self.srv.post("/v1/plans/reload")
        self.load_s.append(time.monotonic() - begun)
        self._taken(edition, answer["loaded"], answer["problems"])

    async def watched(self, edition: int) -> None:
        """One edition that the server has to notice."""
        self._put(plan(edition))
        begun = time.monotonic()
        while time.monotonic() - begun < WATCHED_WITHIN_S:
            status = await self.srv.get("/v1/plans")
            if status["plans"][0]["version"] not in self.editions:
                self.watched_s.append(time.monotonic() - begun)
                break
            await asyncio.sleep(0.05)
        self._taken(edition, status["plans"], status["problems"])

    async def spoil(self, edition: int) -> None:
        """A file with faults: what is in force must stay, and the fault be told."""
        self._put(plan(edition))
        BREAKS[edition // BROKEN_EVERY % len(BREAKS)](self.file, plan(edition))
        answer = await self.srv.post("/v1/plans/reload")
        status = await self.srv.get("/v1/plans/menu")
        health = await self.srv.get("/healthz")
        self.broken += 1
        told = bool(answer["problems"] and health["plan_problems"] and (status["faults"] or status["gone"]))
        stays = self.editions.get(status["version"]) == self.edition
        self.reported += told and stays
        if answer["loaded"] or not stays:
            self.faults.append(f"edition {edition} has faults and is in force")

    def _put(self, text: str) -> None:
        if self.file.is_dir():
            shutil.rmtree(self.file)
        fresh = self.file.with_name(".menu.yaml.part")
        fresh.write_text(text, "utf-8")
        fresh.replace(self.file)

    def _taken(self, edition: int, loaded: list[dict[str, Any]], problems: list[str]) -> None:
        version = loaded[0]["version"] if loaded else ""
        if not version or version in self.editions or problems:
            self.faults.append(f"edition {edition} is not in force: {problems or 'nothing new'}")
            return
        self.edition, self.editions[version] = edition, edition

    def logged(self) -> int:
        """Lines of the server's log that tell a fault of the file; some files have several."""
        return self.srv.log_file.read_text("utf-8", "replace").count('"dialplan fault"')


@dataclass
class Callers:
    """Callers that ring again and again, and what their calls were."""

    srv: Server
    publisher: Publisher
    over: bool = False
    calls: list[tuple[Call, int, int, int]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    async def ring(self, caller: Caller, index: int, rng: random.Random) -> None:
        """One caller until it is over: a call, some keys, the next call."""
        while not self.over:
            before = self.publisher.edition
            try:
                call = await caller.dial(self.srv.uri(NUMBERS[index % len(NUMBERS)][0]))
                await call.talking(5)
            except CallFailed as failure:
                self.failed.append(f"not answered: {failure}")
                continue
            after, keys = self.publisher.edition, 0
            for _ in range(rng.randrange(3, 16)):
                await call.wait_for(lambda c=call: c.over, rng.uniform(0.4, 1.2))
                if call.over or self.over:
                    break
                await call.press("1")
                keys += 1
            if call.over:
                self.failed.append("ended by the server")
            await call.wait_for(lambda c=call: c.over, 1.0)
            await call.hangup()
            self.calls.append((call, before, after, keys))

    async def check(self) -> None:
        """Every call walked one edition, which was in force when it was answered, and met every key."""
        pages, cursor = {}, ""
        while cursor is not None:
            page = await self.srv.get(f"/v1/calls?limit=200{f'&cursor={cursor}' if cursor else ''}")
            pages |= {c["sip_call_id"]: c["id"] for c in page["calls"]}
            cursor = page["next"]
        for call, before, after, keys in self.calls:
            if call.dialog.call_id not in pages:
                self.failed.append("not in the records")
                continue
            record = await self.srv.get(f"/v1/calls/{pages[call.dialog.call_id]}")
            edition = self.publisher.editions.get(record["call"]["plan_version"], -1)
            wanted = [f"{('first', 'second')[i % 2]}_{edition}" for i in range(len(record["turns"]))]
            walked = [turn["step"] for turn in record["turns"]]
            if walked != wanted or not before <= edition <= after:
                self.failed.append(f"edition {edition} of {before}-{after} walked {walked[:4]}...")
            elif len(walked) != keys + 1:
                self.failed.append(f"{keys} keys, {len(walked)} turns")


async def measure(report: Report, options: argparse.Namespace) -> None:
    total = options.reloads or (40 if options.quick else 1_000)
    rng = corpus.seeded(report.seed)
    settings = {"lines": {"processes": PROCESSES, "reserve_legs": 0}, "sip": {"flood_per_second": 1000}}
    numbers = [{"pattern": n, "plan": "menu", "language": language} for n, language in NUMBERS]
    async with Server({"menu": plan(0)}, numbers, settings) as srv, Caller(user="reload", keep_audio=False) as caller:
        publisher = Publisher(srv)
        publisher.editions[(await srv.get("/v1/plans/menu"))["version"]] = 0
        callers = Callers(srv, publisher)
        lanes = [asyncio.create_task(callers.ring(caller, i, random.Random(rng.random()))) for i in range(CALLERS)]  # noqa: S311
        running = [0]
        try:
            await _publish(publisher, total, rng, running)
        finally:
            callers.over = True
            ended = await asyncio.gather(*lanes, return_exceptions=True)
        if broken := [e for e in ended if isinstance(e, BaseException)]:
            raise Unavailable(f"a caller broke: {broken[0]!r}")
        await asyncio.sleep(1.5)
        await callers.check()
        logged = publisher.logged()
    _rows(report, publisher, callers, total, logged, max(running))


async def _publish(publisher: Publisher, total: int, rng: random.Random, running: list[int]) -> None:
    for edition in range(1, total + 1):
        if edition % BROKEN_EVERY == 0:
            await publisher.spoil(edition)
        elif edition % WATCHED_EVERY == 1:
            await publisher.watched(edition)
        else:
            await publisher.publish(edition)
        if edition % 20 == 0:
            running.append((await publisher.srv.get("/healthz"))["calls"])
        await asyncio.sleep(rng.uniform(0.0, 0.2))


def _rows(report: Report, publisher: Publisher, callers: Callers, total: int, logged: int, running: int) -> None:
    report.row("editions published", "every one without faults, no other",
               f"{len(publisher.editions) - 1} of {total - publisher.broken}, {len(publisher.faults)} faults",
               not publisher.faults)  # fmt: skip
    report.row("files with faults", "all told, the edition before stays", f"{publisher.reported} of {publisher.broken}",
               publisher.reported == publisher.broken)  # fmt: skip
    report.row("faults in the log", "one a file at least", f"{logged} of {publisher.broken} files",
               logged >= publisher.broken)  # fmt: skip
    calls = f"{len(callers.calls)} calls, {running} at once, {len(callers.failed)} failed"
    report.row("calls meanwhile", "none fails, none changes its edition", calls, not callers.failed)
    report.row("POST to in force", "", spread(publisher.load_s))
    report.row("file changed to in force, by the server's own look", f"<= {WATCHED_WITHIN_S:g} s",
               spread(publisher.watched_s), bool(publisher.watched_s))  # fmt: skip
    report.details["faults"] = publisher.faults + callers.failed


def main(argv: list[str]) -> int:
    def extend(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--reloads", type=int, default=0, help="how many (1000; quick 40)")

    return run("reload", __doc__, measure, argv, extend)

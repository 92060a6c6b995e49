"""bank: twenty callers a language with the bank example: what each wanted, what became of it, and how long it took.

Starts the bank (`scripts/bank.py`), the server with the shipped plans and a person who picks up transfers, and rings
it, one caller at a time. English callers speak with two voices that the server does not have, Mandarin ones are
recordings. Judged by the call's record, the bank's books and who was connected. Then landmarks: `bench/landmarks.py`.
The copies of the plans differ in two things: the office is always open, and values show in the record, so that a caller
who is asked "is that right?" knows what was said.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import re
import secrets
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ivr.bench import corpus, landmarks
from ivr.bench.bank_callers import CALLERS, KEYS, SILENCE, Asked, Reactions, Script
from ivr.bench.harness import ROOT, Server, free_ports
from ivr.bench.report import Report, data_folder, percentile, run
from ivr.caller import Call, Caller
from ivr.caller.speak import speak
from ivr.errors import Unavailable
from ivr.speech.spoken import written

NUMBERS = {"en": "500", "zh": "501"}
NAMES = {"en": "English", "zh": "Mandarin"}
VOICES = ("rms", "festival")
TODAY = "2026-11-23"
SECRET_ENV = "BENCH_BANK_SECRET"  # noqa: S105 - the name of a variable, not a secret
LEAST = {"en": 90, "zh": 80}
TIMED_TASKS, MOST_P50_S = ("branch", "fees", "hours"), 30.0
QUIET_S, CALL_S, PERSON_S = 0.7, 150.0, 2.0


class Bank:
    """The example's back end in a process of its own. `log` has the line of every request it answered."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.url, self.log = url, []
        self._process = process
        self._reading = asyncio.create_task(self._read())

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, secret: str) -> AsyncIterator[Bank]:
        """Raises Unavailable when it does not start."""
        environment = {**os.environ, "BANK_TOKEN": "", "BANK_WEBHOOK_SECRET": secret, "PYTHONUNBUFFERED": "1"}
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(ROOT / "scripts" / "bank.py"), "--port", "0", "--date", TODAY, "--log",
            env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        first = (await process.stdout.readline()).decode().strip()
        if not first.startswith("bank: http"):
            raise Unavailable(f"the bank does not open: {first or 'it says nothing'}")
        bank = cls(process, first.removeprefix("bank: "))
        try:
            yield bank
        finally:
            process.terminate()
            await process.wait()
            bank._reading.cancel()

    async def _read(self) -> None:
        while line := await self._process.stdout.readline():
            self.log.append(line.decode("utf-8", "replace").strip())

    async def ask(self, path: str) -> Any:
        """The JSON of GET `path`."""

        def fetch() -> Any:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:  # noqa: S310 - our own, on loopback
                return json.loads(answer.read())

        return await asyncio.to_thread(fetch)


class Person:
    """Who picks up a transfer: says nothing and hangs up after a moment."""

    def __init__(self) -> None:
        self.talked = 0

    async def __call__(self, call: Call) -> None:
        await call.accept()
        self.talked += 1
        await call.wait_for(lambda: call.over, PERSON_S)
        await call.hangup()


def server(bank: Bank, agent_port: int) -> Server:
    """A server with the shipped bank plans, the office open, values shown in the record."""
    made = Server(
        {name: ROOT / "dialplans" / f"{name}.yaml" for name in ("bank", "identity")} | landmarks.plan(),
        [{"pattern": NUMBERS[language], "plan": "bank", "language": language} for language in NUMBERS]
        + [{"pattern": landmarks.NUMBER, "plan": landmarks.NAME, "language": "zh"}],
        {
            "backend": [{"name": "bank", "url": bank.url, "networks": ["127.0.0.0/8"],
                         "webhook_secret_env": SECRET_ENV}],
            "agent": [{"name": "agents", "uri": f"sip:desk@127.0.0.1:{agent_port}"}],
            "sip": {"flood_per_second": 1000},
        },
    )  # fmt: skip
    for file in (made.folder / "dialplans").glob("*.yaml"):
        file.write_text(as_rung(file.read_text("utf-8")), "utf-8")
    return made


def as_rung(plan: str) -> str:
    """The text of a shipped plan with its office always open and nothing masked."""
    plan = re.sub(r"(?m)^    hours: \{.*\}$", '    hours: {mon-sun: "00:00-24:00"}', plan)
    plan = re.sub(r"(?m)^    holidays: \{.*\}\n", "", plan)
    return plan.replace(", sensitive: true", "")


@dataclass
class Outcome:
    """What became of one caller.

    Attributes:
        right: they have what they rang for.
        done_s: from the answer until they had been told it; None when they were not.
        ended: how the call ended: an answer, a person, goodbye, or what went wrong.
        said: what they said and keyed, in order.
        turns: the record's turns: step, what was heard, what it was taken for.
    """

    script: str
    twist: str
    right: bool
    done_s: float | None
    ended: str
    said: list[str] = field(default_factory=list)
    turns: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ended_well(self) -> bool:
        return self.ended in ("answer", "person", "goodbye")


class Judge:
    """Whether a caller has what they rang for, from the record so far and the bank's books."""

    def __init__(self, bank: Bank, person: Person, script: Script) -> None:
        self._bank, self._person, self._script = bank, person, script
        self._wanted = ""
        self._complaints = self._talked = 0

    async def begin(self) -> None:
        """Look up what is right before the call."""
        script, ask = self._script, self._bank.ask
        if script.task == "branch":
            self._wanted = (await ask(f"/branches?near={script.place}&lang={script.language}"))["name"]
        elif script.task == "balance":
            balance = (await ask(f"/customers/{script.customer}/balance"))["balance"]
            self._wanted = written(f"{{money:{balance}}}", script.language)
        elif script.task == "delivery":
            card = await ask(f"/customers/{script.customer}/card")
            self._wanted = written(f"{{date:{card['expected']}}}", script.language)
        self._complaints = len((await ask("/complaints"))["complaints"])
        self._talked = self._person.talked

    async def done(self, turns: Sequence[dict[str, Any]]) -> bool:
        script = self._script
        match script.task:
            case "branch" | "balance" | "delivery":
                told = " ".join(s["text"] for t in turns for s in t["said"] or ())
                aside = not script.entry or any(t["source"] == script.entry for t in turns)
                return self._wanted in told and aside
            case "lost_card":
                blocked = (await self._bank.ask("/cards/blocked"))["blocked"]
                return script.customer in {b["customer"] for b in blocked}
            case "complaint":
                return len((await self._bank.ask("/complaints"))["complaints"]) > self._complaints
            case "person":
                return self._person.talked > self._talked
        return any(t["source"] == script.entry and t["answer"] for t in turns)


class Conversation:
    """One caller on the telephone."""

    def __init__(self, srv: Server, call: Call, script: Script, judge: Judge, voice: str) -> None:
        self._srv, self._call, self._script, self._judge, self._voice = srv, call, script, judge, voice
        self.said: list[str] = []
        self.done_s: float | None = None

    async def hold(self, utterances: dict[str, corpus.Utterance]) -> None:
        """Answer what is asked until the call is over, or for CALL_S."""
        reactions, handled = Reactions(self._script), -1
        end = time.monotonic() + CALL_S
        record_id = (await self._srv.record(self._call, ended=False))["call"]["id"]
        while not self._call.over and time.monotonic() < end:
            if not await self._call.quiet(QUIET_S, 30):
                continue
            turns = (await self._srv.get(f"/v1/calls/{record_id}"))["turns"]
            await self._note(turns)
            asked = self._asked(turns, handled)
            if asked is None:
                await self._call.wait_for(lambda: self._call.they_talk, 0.3)
                continue
            handled = turns[-1]["index"]
            await self._react(reactions.to(asked, self.done_s is not None), utterances)
        await self._call.hangup()

    @staticmethod
    def _asked(turns: Sequence[dict[str, Any]], handled: int) -> Asked | None:
        """The question that waits for an answer, if it is a new one."""
        last = turns[-1] if turns else None
        if last is None or last["index"] <= handled or any(last[k] for k in ("heard", "keys", "rejected", "value")):
            return None
        return Asked(last["step"], " ".join(s["text"] for s in last["said"] or ()), last["language"])

    async def _note(self, turns: Sequence[dict[str, Any]]) -> None:
        if self.done_s is None and await self._judge.done(turns):
            last = self._call.media.talk.last_loud_s or time.monotonic()
            self.done_s = round(last - (self._call.answered_at or last), 1)

    async def _react(self, reply: str, utterances: dict[str, corpus.Utterance]) -> None:
        self.said.append(reply)
        if reply == SILENCE:
            return
        if reply.startswith(KEYS):
            await self._call.press(reply.removeprefix(KEYS))
        else:
            await self._call.turn(await asyncio.to_thread(self._spoken, reply, utterances), reply, timeout_s=12)

    def _spoken(self, text: str, utterances: dict[str, corpus.Utterance]) -> Any:
        if self._script.language == "en":
            return speak(text, "en", self._voice)
        if text not in utterances:
            raise Unavailable(f"no recording of {text!r} in `zh_caller` of the evaluation speech")
        return utterances[text].pcm


async def ring(srv: Server, caller: Caller, bank: Bank, person: Person, script: Script, voice: str,
               utterances: dict[str, corpus.Utterance]) -> Outcome:  # fmt: skip
    """One call, from dialling to what became of it."""
    judge = Judge(bank, person, script)
    await judge.begin()
    talked = person.talked
    call = await caller.dial(srv.uri(NUMBERS[script.language]))
    conversation = Conversation(srv, call, script, judge, voice)
    await conversation.hold(utterances)
    record = await srv.record(call, within_s=20)
    right = conversation.done_s is not None or await judge.done(record["turns"])
    connected = person.talked > talked
    ended = "person" if connected else "answer" if right else "goodbye"
    if not connected and call.ended_by != "them" and not right:
        ended = "nothing: it went on too long"
    elif record["call"]["outcome"] == "failed" or record["call"]["cause"] not in ("hangup", "transferred"):
        ended = f"{record['call']['cause']} {record['call']['outcome']}"
    kept = ("step", "heard", "confidence", "value", "intent", "source", "keys", "rejected")
    turns = [{k: t[k] for k in kept if t[k]} | {"said": [s["text"] for s in t["said"] or ()]} for t in record["turns"]]
    return Outcome(script.name, script.twist, right, conversation.done_s, ended, conversation.said, turns)


async def _language(report: Report, language: str, data: Path | None, wanted: str) -> None:
    """All callers of one language, one after the other, with books and a server of their own."""
    utterances = {u.text: u for u in corpus.recorded(data, "zh_caller", "zh")} if language == "zh" else {}
    scripts = [s for s in CALLERS[language] if wanted in s.name]
    outcomes = []
    async with telephone() as (srv, caller, bank, person):
        for number, script in enumerate(scripts[::7] if report.quick else scripts):
            voice = VOICES[number % len(VOICES)]
            outcome = await ring(srv, caller, bank, person, script, voice, utterances)
            outcomes.append(outcome)
            report.note(f"{'right' if outcome.right else 'WRONG'} {outcome.script}"
                        f"{f' ({outcome.twist})' if outcome.twist else ''}: {outcome.ended}"
                        f"{f', {outcome.done_s:g} s' if outcome.done_s is not None else ''}")  # fmt: skip
            for turn in () if outcome.right and outcome.ended_well else outcome.turns:
                report.note(f"    {turn}")
    _report(report, language, scripts, outcomes)


@contextlib.asynccontextmanager
async def telephone() -> AsyncIterator[tuple[Server, Caller, Bank, Person]]:
    """A bank, a server that asks it, somebody who takes transfers, and a caller to ring with."""
    agent_port = free_ports(1)[0]
    person, secret = Person(), f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
    async with Bank.open(secret) as bank, Caller(user="desk", port=agent_port) as desk, Caller(user="bank") as caller:
        desk.listen(person)
        srv = server(bank, agent_port)
        srv.environment = {SECRET_ENV: secret}
        async with srv:
            yield srv, caller, bank, person


def _report(report: Report, language: str, scripts: Sequence[Script], outcomes: Sequence[Outcome]) -> None:
    name, least = NAMES[language], LEAST[language]
    right, well = sum(o.right for o in outcomes), sum(o.ended_well for o in outcomes)
    share = 100 * right / max(1, len(outcomes))
    report.row(f"bank, {name} callers with the right outcome", f">= {least} %",
               f"{share:.0f} % ({right} of {len(outcomes)})", share >= least)  # fmt: skip
    tasks = {s.name: s.task for s in scripts}
    times = [o.done_s for o in outcomes if o.done_s is not None and tasks[o.script] in TIMED_TASKS]
    p50 = percentile(times, 50)
    measured = f"p50 {p50:.1f} s, longest {max(times, default=0.0):.1f} s (n {len(times)})"
    report.row(f"bank, {name}: answered call to answer told (branch, fees, hours)", f"p50 <= {MOST_P50_S:g} s",
               measured, p50 <= MOST_P50_S)  # fmt: skip
    report.row(f"bank, {name}: calls that end in an answer, a person or goodbye", "all",
               f"{well} of {len(outcomes)}", well == len(outcomes))  # fmt: skip
    report.details[f"bank-{language}"] = [asdict(o) for o in outcomes]


async def measure(report: Report, options: argparse.Namespace) -> None:
    data = data_folder(options.data)
    parts, _, wanted = options.only.partition(":")
    for part in parts.split(",") if parts else (*CALLERS, "landmarks"):
        try:
            if part == "landmarks":
                async with telephone() as (srv, caller, _bank, _person):
                    await landmarks.measure(report, srv, caller, NUMBERS["zh"], data)
            else:
                await _language(report, part, data, wanted)
        except Unavailable as missing:
            report.row(part, "", f"not measured: {missing}", None if report.quick else False)


def main(argv: list[str]) -> int:
    def extend(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--only", default="", metavar="PARTS",
                            help="some of en,zh,landmarks; `en:fees` only callers whose name has `fees`")  # fmt: skip

    return run("bank", __doc__, measure, argv, extend)

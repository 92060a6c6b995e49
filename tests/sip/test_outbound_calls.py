"""Outbound calls over real SIP: what two servers in turn ring after a `kill -9`, and whole calls of the real server."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import sys
import urllib.request
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest
from dialing_server import Terms

from ivr import config
from ivr.backend.client import Backends
from ivr.bench.amd_calls import tone
from ivr.bench.harness import Server, free_ports, toml
from ivr.caller import Caller
from ivr.caller.call import Call
from ivr.caller.speak import speak
from ivr.outbound.job import Events, EvidenceRecord, Job
from ivr.outbound.live import OutboundCalls
from ivr.store.store import Store

ROOT = Path(__file__).parents[2]
PHONE, CHINESE, MACHINE = "+442071838750", "+8613812345678", "+8613812345679"
DENIES, BIRTH_DATE = "+8613812345677", "1987-04-29"
FREE = {"always": True, "gap_s": 0, "calls_per_second": 100, "calls_at_once": 4, "attempts_per_number": 20}
LEASE_S = 5
SURVEY = """
languages: [en, zh]
start: ask
on_machine: word
given: [branch]
slots: {branch: {kind: text}}
steps:
  ask:
    kind: ask
    expect: yes_no
    prompt: {en: "Was our branch {branch} open when you came?", zh: "您来的时候{branch}网点开门了吗？"}
    no_match: {en: "Please say yes or no.", zh: "请说是或者不是。"}
    on: {yes: bye, no: bye}
  word: {kind: say, prompt: {en: "Please call your bank.", zh: "请给您的银行回电。"}, next: left}
  left: {kind: settle, disposition: machine, next: end}
  bye: {kind: hangup, prompt: {en: "Thank you. Goodbye.", zh: "谢谢您，再见。"}}
"""


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    monkeypatch.setenv("IVR_EVIDENCE_KEY", base64.b64encode(b"e" * 32).decode())
    monkeypatch.setenv("IVR_PROOF_KEY", base64.b64encode(b"p" * 32).decode())


def settings(peer: Caller, policy: dict) -> dict:
    """The sections of a configuration whose only trunk is `peer`."""
    trunk = {"name": "carrier", "host": "127.0.0.1", "port": peer.socket.port, "prefixes": ["+44", "+86"]}
    return {
        "trunk": [trunk | {"limits": {"calls_per_hour": 100, "calls_per_hour_per_prefix": 100}}],
        "outbound": {"lease_s": LEASE_S, "calls_at_once": 3, "policies": {"free": FREE | policy}},
    }


@asynccontextmanager
async def dialing(folder: Path):
    """A dialling process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).with_name("dialing_server.py")), str(folder),
        stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=ROOT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            while b"ready" not in (line := await process.stdout.readline()):
                assert line, "the dialling process ended before it was ready"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_new_server_rings_no_number_before_the_lease_of_the_killed_one_is_over(tmp_path):
    async with Caller(user="peer", keep_audio=False) as peer, asyncio.timeout(120):
        rung: asyncio.Queue[Call] = asyncio.Queue()

        async def ring(call: Call) -> None:
            rung.put_nowait(call)
            await call.ring()

        peer.listen(ring)
        sip, rtp = free_ports(1)[0], 15_000
        tree = {"sip": {"port": sip, "rtp_port": rtp}, "number": [{"pattern": "400", "plan": "main"}]}
        (tmp_path / "config.toml").write_text(toml(tree | settings(peer, {"retry": {"unknown_s": [1]}})), "utf-8")
        loaded = config.load(tmp_path / "config.toml")
        store = Store(loaded.store.url, loaded.root)
        await store.open()
        desk = OutboundCalls(loaded, store, Backends(()), lambda _name: Terms())
        order = {"idempotency_key": "1", "phone": PHONE, "language": "en", "plan": "main"}
        async with dialing(tmp_path) as first:
            (created,) = await desk.jobs.create([desk.order("plan", msgspec.json.encode(order), "bank")])
            await rung.get()
            first.kill()
            await first.wait()
        async with dialing(tmp_path):
            await rung.get()
        happened = await desk.pages.events(created.job.id)
        lost, again = happened.attempts
        assert lost.outcome == "unknown"
        assert again.started_at >= lost.lease_until
        assert rung.empty()
        assert [e.kind for e in happened.events][-2:] == ["claimed", "dialing"]
        await store.close()


class Bank(Server):
    """The real server, as a client of its jobs API sees it."""

    async def ask(self, path: str, kind: type, body: dict | None = None):
        def fetch() -> bytes:
            data = None if body is None else msgspec.json.encode(body)
            headers = {"Authorization": f"Bearer {self.token}"}
            request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", data, headers)
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.read()

        return msgspec.json.decode(await asyncio.to_thread(fetch), type=kind)

    async def until(self, job: Job, *states: str) -> Job:
        while True:
            found = await self.ask(f"/v1/jobs/{job.id}", Job)
            if found.state in states:
                return found
            await asyncio.sleep(0.1)


ENGLISH, MANDARIN = ("Hello?", "en", "slt"), ("喂，你好。", "zh", "cmn-latn-pinyin+f3")
MAILBOX = ("您好，您拨打的用户暂时无法接听电话，请在听到提示音之后留下您的口信。", *MANDARIN[1:])
HELLO = {PHONE: ENGLISH, CHINESE: MANDARIN, DENIES: MANDARIN, MACHINE: MAILBOX}
TRANSACTION = {"amount": "129.90", "currency": "CNY", "merchant": "京东", "at": "2026-11-23T09:30:00+08:00"}


class Customers:
    """Who is behind the trunk: people who say hello and press `keys` as soon as a step asks for them, and a mailbox."""

    server: Bank

    def __init__(self) -> None:
        denial = {"is_it_customer": "1", "check": "19870429", "was_it_you": "2", "sure_no": "1", "to_desk": "2"}
        self.keys = {PHONE: {"ask": "1"}, CHINESE: {"ask": "1"}, DENIES: denial}
        self.calls: dict[str, Call] = {}

    async def answer(self, call: Call) -> None:
        phone = next(p for p in HELLO if p in call.invite.uri)
        self.calls[phone] = call
        await call.ring()
        await call.accept()
        hello = speak(*HELLO[phone])
        if phone == MACHINE:
            beep = [np.zeros(4_000, np.int16), tone(1_000, 0.4), np.zeros(4_000, np.int16)]
            await call.say(np.concatenate([hello, *beep]), trim=False)
            return
        await call.say(hello)
        for step, keys in self.keys[phone].items():
            while not call.over:
                turns = (await self.server.record_of(call.dialog.call_id, ended=False))["turns"]
                if turns and turns[-1]["step"] == step and await call.talking(0.2):
                    break
            await call.press(keys)


async def rung(server: Bank, phone: str, language: str, key: str) -> Job:
    order = {"idempotency_key": key, "phone": phone, "language": language, "plan": "survey"}
    return await server.ask("/v1/jobs", Job, order | {"variables": {"branch": "Leeds" if language == "en" else "西单"}})


async def test_people_are_asked_a_machine_gets_its_word_and_a_cancel_ends_a_call(tmp_path):
    async with Caller(user="customer") as peer, asyncio.timeout(300):
        customers = Customers()
        peer.listen(customers.answer)
        numbers = [{"pattern": "400", "plan": "survey"}, {"pattern": "401", "plan": "survey", "language": "zh"}]
        tree = settings(peer, {"retry": {"machine_s": []}}) | {"store": {"recordings": "var/recordings"}}
        tree["outbound"]["inbound_legs"] = 0
        tree["outbound"]["calls_at_once"] = 4
        plans = {"survey": SURVEY, "verify": ROOT / "dialplans" / "verify.yaml"}
        async with Bank(plans, numbers, tree, tmp_path) as server:
            customers.server = server
            order = {"idempotency_key": "v", "phone": DENIES, "language": "zh", "transaction": TRANSACTION}
            order["proof"] = {"birth_date": BIRTH_DATE}
            denial = await server.ask("/v1/verifications", Job, order)
            wanted = ((PHONE, "en", "completed"), (CHINESE, "zh", "completed"), (MACHINE, "zh", "machine"))
            jobs = [await rung(server, phone, language, phone) for phone, language, _ in wanted]
            for job, (phone, _, disposition) in zip(jobs, wanted, strict=True):
                over = await server.until(job, "done", "held", "failed")
                assert over.disposition == disposition, server.last_words(40)
                (attempt,) = (await server.ask(f"/v1/jobs/{job.id}/events", Events)).attempts
                record = await server.get(f"/v1/calls/{attempt.call}")
                assert record["call"]["direction"] == "out"
                testified = (await server.ask(f"/v1/jobs/{job.id}/evidence", EvidenceRecord)).body["call"]
                by = testified["answered_by"]
                assert by["by"] == ("machine" if phone == MACHINE else "human")
                kept = testified["recording"]
                sound = (tmp_path / "var/recordings" / kept["file"]).read_bytes()[44 : 44 + kept["bytes"]]
                assert len(sound) == kept["bytes"] > 8_000
                assert kept["sha256"] == hashlib.sha256(sound).hexdigest()
                if phone == MACHINE:
                    word = hashlib.sha256("请给您的银行回电。".encode()).hexdigest()
                    assert word in [prompt["sha256"] for prompt in testified["prompts"]]
                else:
                    assert [turn["value"] for turn in testified["turns"] if turn["step"] == "ask"] == ["yes"]
                    assert [turn["value"] for turn in record["turns"] if turn["step"] == "ask"] == ["yes"]
            assert (await server.until(denial, "done", "failed")).disposition == "denied", server.last_words(40)
            testified = (await server.ask(f"/v1/jobs/{denial.id}/evidence", EvidenceRecord)).body["call"]["identity"]
            assert (testified["proven"], [a["by"] for a in testified["answers"]]) == (True, ["keys"])
            written = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".wav")
            assert BIRTH_DATE.encode() not in written
            assert b"19870429" not in written
            customers.keys[PHONE] = {}
            job = await rung(server, PHONE, "en", "again")
            await server.until(job, "in_call")
            await server.ask(f"/v1/jobs/{job.id}/cancel", Job, {})
            assert (await server.until(job, "cancelled")).disposition == "cancelled"
            call = customers.calls[PHONE]
            assert await call.wait_for(lambda: call.over, 10)
            assert await server.stop(60) == 0

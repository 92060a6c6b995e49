"""Outbound calls over real SIP: what two servers in turn ring after a `kill -9`, and whole calls of the real server."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
import urllib.request
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from ivr import config
from ivr.backend.client import Backends
from ivr.bench.harness import Server, free_ports, toml
from ivr.caller import Caller
from ivr.caller.call import Call
from ivr.caller.speak import speak
from ivr.outbound.job import Events, Job
from ivr.outbound.live import OutboundCalls
from ivr.store.store import Store

ROOT = Path(__file__).parents[2]
PHONE, CHINESE = "+442071838750", "+8613812345678"
FREE = {"always": True, "gap_s": 0, "calls_per_second": 100, "calls_at_once": 4, "attempts_per_number": 20}
LEASE_S = 5
SURVEY = """
languages: [en, zh]
start: ask
steps:
  ask:
    kind: ask
    expect: yes_no
    prompt: {en: "Was our branch open when you came?", zh: "您来的时候我们的网点开门了吗？"}
    no_match: {en: "Please say yes or no.", zh: "请说是或者不是。"}
    on: {yes: bye, no: bye}
  bye: {kind: hangup, prompt: {en: "Thank you. Goodbye.", zh: "谢谢您，再见。"}}
"""


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    monkeypatch.setenv("IVR_EVIDENCE_KEY", base64.b64encode(b"e" * 32).decode())


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
        desk = OutboundCalls(loaded, store, Backends(()), lambda _name: True)
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


async def test_a_survey_is_rung_asked_and_answered_in_both_languages_and_a_cancel_ends_a_call():
    async with Caller(user="customer") as peer, asyncio.timeout(300):
        said = {PHONE: "yes", CHINESE: "是的"}
        calls: dict[str, Call] = {}

        async def answer(call: Call) -> None:
            phone = next(p for p in said if p in call.invite.uri)
            calls[phone] = call
            await call.ring()
            await call.accept()
            await call.quiet(0.7, 20)
            if said[phone]:
                await call.turn(speak(said[phone], "zh" if phone == CHINESE else "en"), timeout_s=15)

        peer.listen(answer)
        numbers = [{"pattern": "400", "plan": "survey"}, {"pattern": "401", "plan": "survey", "language": "zh"}]
        async with Bank({"survey": SURVEY}, numbers, settings(peer, {})) as server:
            jobs = []
            for phone, language in ((PHONE, "en"), (CHINESE, "zh")):
                order = {"idempotency_key": phone, "phone": phone, "language": language, "plan": "survey"}
                jobs.append(await server.ask("/v1/jobs", Job, order))
            for job in jobs:
                over = await server.until(job, "done", "held", "failed")
                assert over.disposition == "completed", server.last_words(40)
                (attempt,) = (await server.ask(f"/v1/jobs/{job.id}/events", Events)).attempts
                record = await server.get(f"/v1/calls/{attempt.call}")
                assert record["call"]["direction"] == "out"
                assert [turn["value"] for turn in record["turns"] if turn["step"] == "ask"] == ["yes"]
            said[PHONE] = ""
            job = await server.ask("/v1/jobs", Job, order | {"idempotency_key": "3", "phone": PHONE, "language": "en"})
            await server.until(job, "in_call")
            await server.ask(f"/v1/jobs/{job.id}/cancel", Job, {})
            assert (await server.until(job, "cancelled")).disposition == "cancelled"
            assert await calls[PHONE].wait_for(lambda: calls[PHONE].over, 10)
            assert await server.stop() == 0

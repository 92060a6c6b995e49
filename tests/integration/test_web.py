"""The HTTP interface over real sockets, on a real SQLite file."""

import asyncio
import json
import wave
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import aiohttp.web
import msgspec
import pytest
from structlog.testing import capture_logs
from yarl import URL

from ivr.errors import Unavailable
from ivr.store.records import (
    CallDetail,
    CallEnd,
    CallInputs,
    CallPage,
    CallStart,
    InputRecord,
    LegRecord,
    PlanCalls,
    Said,
    TurnRecord,
)
from ivr.store.store import Store
from ivr.web import server
from ivr.web.api import create_app
from ivr.web.guard import BODY_LIMIT_BYTES
from ivr.web.problem import Problem
from ivr.web.status import Health, LineStatus, PlanDetail, PlanList, PlanStatus, Reloaded, Status

TOKEN = "a-long-random-value"
BEGAN = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
PROTECTED = [
    "/", "/metrics", "/openapi.json", "/v1/calls", "/v1/calls/c1", "/v1/calls/c1/recording", "/v1/calls/c1/inputs",
    "/v1/plans", "/v1/plans/bank",
]  # fmt: skip
PLAN = PlanStatus(
    name="bank", version="0123456789ab", since=BEGAN, file="dialplans/bank.yaml", languages=("en", "zh"), steps=60
)


@dataclass(frozen=True)
class Answer:
    """A response, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Site:
    """A running server and a client of it."""

    client: aiohttp.ClientSession
    store: Store
    port: int
    state: dict

    async def get(self, path: str, method: str = "GET", token: str | None = TOKEN, **options) -> Answer:
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        headers |= options.pop("headers", {})
        async with self.client.request(method, URL(path, encoded=True), headers=headers, **options) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def read(self, path: str, kind: type, **options):
        answer = await self.get(path, **options)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
        return msgspec.json.decode(answer.body, type=kind)

    async def problem(self, path: str, **options) -> tuple[int, Problem]:
        answer = await self.get(path, **options)
        assert answer.headers["Content-Type"] == "application/problem+json"
        problem = msgspec.json.decode(answer.body, type=Problem)
        assert problem.status == answer.status
        return answer.status, problem

    async def raw(self, data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        await writer.drain()
        async with asyncio.timeout(20):
            answer = await reader.read()
        writer.close()
        return answer


async def _site(tmp_path: Path, token: str):
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    with wave.open(str(recordings / "c1.wav"), "wb") as wav:
        wav.setnchannels(2)
        wav.setsampwidth(2)
        wav.setframerate(8_000)
        wav.writeframes(bytes(8_000))
    store = Store("sqlite:///var/ivr.db", tmp_path, recordings)
    await store.open()
    for i in range(3):
        await store.begin(
            CallStart(
                id=f"c{i}", direction="in", number="401", caller="138", language="zh",
                started_at=BEGAN + timedelta(minutes=i),
            )
        )  # fmt: skip
    await store.leg("c1", LegRecord(id="1", direction="in", answered_at=BEGAN + timedelta(minutes=1)))
    said = (Said(text="请问需要什么帮助？", heard_ms=700, total_ms=2_000, interrupted=True),)
    await store.turn("c1", TurnRecord(index=0, step="ask", said=said, heard="我的卡丢了", confidence=0.8))
    for call_id, recording in (("c0", ""), ("c1", "c1.wav")):
        ended_at = BEGAN + timedelta(minutes=2)
        await store.end(call_id, CallEnd(ended_at=ended_at, cause="hangup", by="them", recording=recording))
    await store.flush()
    state = {"state": "ready", "lines": (LineStatus(line=0, state="up", legs_max=4),), "plans": (PLAN,)}

    async def reload() -> Reloaded:
        return Reloaded(loaded=(PLAN,), problems=("dialplans/bank.yaml:3:1: start: there is no step `welcom`",))

    app = create_app(
        store, lambda: Status(version="1.0", started_at=BEGAN, **state), reload, token, recordings,
        token_env="BANK_TOKEN",
    )  # fmt: skip
    runner = await server.start(app, "127.0.0.1", 0)
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
        yield Site(client, store, port, state)
    await runner.cleanup()
    await store.close()


@pytest.fixture
async def site(tmp_path):
    async for site in _site(tmp_path, TOKEN):
        yield site


@pytest.fixture
async def shut_site(tmp_path):
    async for site in _site(tmp_path, ""):
        yield site


async def test_health_says_how_the_parts_do_without_a_token(site):
    health = await site.read("/healthz", Health, token=None)
    assert (health.health, health.lines[0].legs_max) == ("ok", 4)
    assert health.store.backend == "sqlite"
    site.state["lines"] = (LineStatus(line=0, state="down"),)
    health = await site.read("/healthz", Health, token=None)
    assert health.health == "degraded"


async def test_ready_only_while_calls_are_taken(site):
    assert (await site.get("/readyz", token=None)).status == 200
    for state in ("starting", "draining"):
        site.state["state"] = state
        status, problem = await site.problem("/readyz", token=None)
        assert (status, problem.detail) == (503, f"the server is {state}")
        assert "Retry-After" in (await site.get("/readyz")).headers
        assert (await site.get("/healthz")).status == 200


async def test_everything_else_needs_the_token(site):
    for path in PROTECTED:
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Authorization": ""},
        ):
            status, problem = await site.problem(path, token=None, headers=headers)
            assert status == 401
            assert "BANK_TOKEN" in problem.detail
            assert "WWW-Authenticate" in (await site.get(path, token=None, headers=headers)).headers
        assert (await site.get(path, method="HEAD", token=None)).status == 401
        assert (await site.get(path)).status == 200


async def test_without_a_token_set_nobody_is_let_in_and_the_answer_says_how(shut_site):
    for path in PROTECTED:
        for token in (None, "", "x", TOKEN):
            status, problem = await shut_site.problem(path, token=token)
            assert status == 401
            assert "set the environment variable BANK_TOKEN" in problem.detail
        assert (await shut_site.get("/healthz", token=None)).status == 200


async def test_two_authorization_headers_are_no_authorization(site):
    answer = await site.raw(
        b"GET /v1/calls HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        + f"Authorization: Bearer {TOKEN}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 401")


async def test_calls_are_paged_to_the_end(site):
    first = await site.read("/v1/calls?limit=2", CallPage)
    assert [c.id for c in first.calls] == ["c2", "c1"]
    rest = await site.read(f"/v1/calls?limit=2&cursor={first.next}", CallPage)
    assert ([c.id for c in rest.calls], rest.next) == (["c0"], None)
    some = await site.read("/v1/calls?cause=hangup&until=2026-01-31T09:31:00Z", CallPage)
    assert [c.id for c in some.calls] == ["c0"]


async def test_a_call_shows_what_was_heard_said_and_how_it_ended(site):
    answer = await site.get("/v1/calls/c1")
    assert answer.headers["Cache-Control"] == "no-store"
    detail = msgspec.json.decode(answer.body, type=CallDetail)
    (turn,) = detail.turns
    assert (turn.heard, turn.confidence) == ("我的卡丢了", 0.8)
    assert (turn.said[0].interrupted, turn.said[0].heard_text) == (True, "请问需")
    assert (detail.call.cause, detail.call.by, detail.call.duration_ms) == ("hangup", "them", 60_000)
    assert "我的卡丢了" in answer.body.decode()


async def test_a_bad_parameter_is_a_400_that_names_it(site):
    for path, field in [
        ("/v1/calls?limit=1000", "limit"),
        ("/v1/calls?limit=", "limit"),
        ("/v1/calls?cursor=nonsense", "cursor"),
        ("/v1/calls?since=2026-01-31T09:30:00+08:00", "since"),
        ("/v1/calls?cause=boredom", "cause"),
        ("/v1/calls?number=%00", "number"),
        ("/v1/calls?colour=red", "colour"),
        ("/v1/calls?plan=a&plan=b", "plan"),
    ]:
        status, problem = await site.problem(path)
        assert (status, [e.field for e in problem.errors]) == (400, [field])


async def test_what_is_not_there_is_a_404(site):
    for path in [
        "/nothing",
        "/v1",
        "/v1/calls/",
        "/v1/calls/nobody",
        "/v1/calls/%00",
        "/v1/calls/..%2f..%2fx",
        "/v1/calls/c2/recording",
        "/v1/calls/c0/recording",
        "/v1/calls/nobody/recording",
        "/%ff",
    ]:
        assert (await site.problem(path))[0] == 404


async def test_nothing_can_be_changed(site):
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]:
        for path in ("/v1/calls", "/v1/calls/c1", "/healthz"):
            assert (await site.problem(path, method=method))[0] == 405
            assert (await site.get(path, method=method)).headers["Allow"] == "GET, HEAD"


async def test_head_answers_as_get_without_a_body(site):
    for path in ["/healthz", "/readyz", *PROTECTED]:
        head, get = await site.get(path, method="HEAD"), await site.get(path)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["Content-Type"] == get.headers["Content-Type"]
        assert "Python" not in head.headers["Server"]


async def test_a_recording_is_served_whole_and_in_part(site):
    answer = await site.get("/v1/calls/c1/recording")
    body = answer.body
    assert (answer.headers["Content-Type"], body[:4], len(body)) == ("audio/wav", b"RIFF", 8_044)
    part = await site.get("/v1/calls/c1/recording", headers={"Range": "bytes=4-7"})
    assert (part.status, part.body) == (206, body[4:8])
    for asked in ("bytes=9000-", "bytes=x-y", "chapters=1-2"):
        status, _ = await site.problem("/v1/calls/c1/recording", headers={"Range": asked})
        assert status == 416


async def test_a_recording_outside_its_folder_is_not_served(site, tmp_path):
    (tmp_path / "secret.wav").write_bytes(b"RIFF")
    await site.store.begin(CallStart(id="bad", direction="in", number="1", caller="", language="en", started_at=BEGAN))
    await site.store.end("bad", CallEnd(ended_at=BEGAN, cause="hangup", by="us", recording="../secret.wav"))
    await site.store.flush()
    assert (await site.problem("/v1/calls/bad/recording"))[0] == 404


async def test_a_purged_call_says_that_its_recording_was_removed(site):
    await site.store.purge(0)
    status, problem = await site.problem("/v1/calls/c1/recording")
    assert status == 404
    assert "was removed" in problem.detail


async def test_metrics_count_by_route_and_never_show_a_path(site):
    await site.get("/v1/calls/13812345678")
    await site.get("/v1/unknown/13812345678")
    text = (await site.get("/metrics")).body.decode()
    assert 'ivr_http_requests_total{route="/v1/calls/{id}",status="404"}' in text
    assert "13812345678" not in text


async def test_a_database_that_cannot_be_read_is_a_503(site, monkeypatch):
    async def broken(*_):
        raise Unavailable("the database cannot be read: disk I/O error")

    monkeypatch.setattr(site.store, "calls", broken)
    status, problem = await site.problem("/v1/calls")
    assert (status, problem.detail) == (503, "the database cannot be read: disk I/O error")


async def test_what_nobody_foresaw_is_a_500_that_shows_nothing_and_is_logged_once(site, monkeypatch):
    async def broken(*_):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(site.store, "call", broken)
    with capture_logs() as lines:
        status, problem = await site.problem("/v1/calls/c1")
    assert status == 500
    assert "secret" not in problem.detail
    assert [(line["event"], line["route"]) for line in lines] == [("http request failed", "/v1/calls/{id}")]


async def test_a_large_body_is_refused_with_and_without_a_length(site):
    status, _ = await site.problem("/healthz", data=b"x" * (BODY_LIMIT_BYTES + 1))
    assert status == 413

    async def endless():
        for _ in range(BODY_LIMIT_BYTES // 1_024 + 2):
            yield b"x" * 1_024

    status, _ = await site.problem("/v1/calls", data=endless())
    assert status == 413
    assert (await site.get("/healthz", data=b"small")).status == 200


async def test_what_is_not_http_gets_a_problem_too(site):
    for request_bytes, status in [
        (b"\x16\x03\x01 not http\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: " + b"x" * 20_000 + b"\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\nConnection: close\r\n\r\n", b"417"),
        (b"INVITE sip:400@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP x\r\n\r\n", b"400"),
    ]:
        answer = await site.raw(request_bytes)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.split()[1] == status
        assert b"application/problem+json" in head
        assert json.loads(body)["status"] == int(status)
        assert (await site.get("/healthz")).status == 200


async def test_connections_have_a_limit(site, monkeypatch):
    monkeypatch.setattr(server, "CONNECTIONS", 5)
    held = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(8)]
    ended = [asyncio.create_task(reader.read()) for reader, _ in held]
    done, waiting = await asyncio.wait(ended, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    assert done
    assert len(waiting) <= 5
    for _, writer in held:
        writer.close()
    await asyncio.gather(*ended, return_exceptions=True)


async def test_a_port_that_is_taken_is_refused_in_words(site):
    app = create_app(site.store, lambda: None, None, TOKEN)
    with pytest.raises(Unavailable, match=f"cannot listen on 127.0.0.1 port {site.port}"):
        await server.start(app, "127.0.0.1", site.port)


async def test_listening_beyond_loopback_is_warned_of(site, monkeypatch):
    async def pretend(_site):
        return None

    monkeypatch.setattr(aiohttp.web.TCPSite, "start", pretend)
    with capture_logs() as lines:
        runner = await server.start(create_app(site.store, lambda: None, None, TOKEN), "0.0.0.0", 8080)
        await runner.cleanup()
    assert [line["log_level"] for line in lines] == ["warning", "info"]


async def test_what_a_calls_dialog_was_given_can_be_read(site):
    body = {"input": "heard", "given": {"understood": {"value": "我的卡丢了"}}}
    await site.store.input("c1", 0, BEGAN, body)
    await site.store.flush()
    inputs = await site.read("/v1/calls/c1/inputs", CallInputs)
    assert (inputs.call, inputs.inputs) == ("c1", (InputRecord(index=0, at=BEGAN, body=body),))
    assert (await site.read("/v1/calls/c0/inputs", CallInputs)).inputs == ()
    for call in ("nobody", "x" * 65, "a%00b"):
        assert (await site.problem(f"/v1/calls/{call}/inputs"))[0] == 404


async def test_plans_in_force_say_how_many_calls_run_on_which_version(site):
    site.state["plan_problems"] = ("bank.yaml:1: nothing in it",)
    for i, version in enumerate(("old", PLAN.version, PLAN.version)):
        await site.store.begin(
            CallStart(id=f"r{i}", direction="in", number="500", caller="1", language="zh", started_at=BEGAN,
                      plan="bank", plan_version=version)
        )  # fmt: skip
    await site.store.flush()
    plans = await site.read("/v1/plans", PlanList)
    running = (PlanCalls(plan="bank", version=PLAN.version, calls=2), PlanCalls(plan="bank", version="old", calls=1))
    assert plans.plans[0].running == running
    assert plans.problems == site.state["plan_problems"]
    assert (await site.read("/v1/plans/bank", PlanDetail)).running == running
    assert (await site.problem("/v1/plans/nothing"))[0] == 404


async def test_plans_are_loaded_anew_by_post_only(site):
    assert (await site.problem("/v1/plans/reload"))[0] == 404
    async with site.client.post("/v1/plans/reload", headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
        assert answer.status == 200
        reloaded = msgspec.json.decode(await answer.read(), type=Reloaded)
    assert [plan.name for plan in reloaded.loaded] == ["bank"]
    assert "welcom" in reloaded.problems[0]
    async with site.client.post("/v1/plans/reload") as answer:
        assert answer.status == 401
    async with site.client.post("/v1/plans", headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
        assert answer.status == 405

"""The client of back ends against real servers on loopback that misbehave in every way a server can."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import gzip
import json
import socket
import ssl
import subprocess
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook
from structlog.testing import capture_logs

from ivr import __version__, metrics
from ivr.backend import client
from ivr.backend.client import Backends
from ivr.backend.messages import BODY_LIMIT_BYTES, Request
from ivr.config import Backend

LOOPBACK = ("127.0.0.0/8",)
TOKEN = "a-token-nobody-sees"
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
LONG_S = 60
"""Longer than any test: whoever waits for it hangs."""


@dataclass
class Site:
    """A server that answers every request with `handler`, and what it was asked."""

    port: int = 0
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    requests: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.read())
        self.requests.append(request)
        self.asked.set()
        return await self.handler(request)

    async def hang(self, _request: web.Request) -> web.StreamResponse:
        """No answer until the test is over."""
        await self.over.wait()
        return web.Response()

    def says(self, *answers: Callable[[], web.Response]) -> None:
        """Give these answers in turn, the last one for ever; each is made anew."""
        left = list(answers)

        async def handler(_request: web.Request) -> web.StreamResponse:
            return (left.pop(0) if len(left) > 1 else left[0])()

        self.handler = handler


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    runner = web.ServerRunner(web.Server(site.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.port = runner.addresses[0][1]
    yield site
    site.over.set()
    await runner.cleanup()


@pytest.fixture
async def backends(site, monkeypatch) -> AsyncIterator[Callable[..., Backends]]:
    """Makes clients of the site; `core` with what is given, on loopback unless told otherwise."""
    monkeypatch.setenv("CORE_TOKEN", TOKEN)
    monkeypatch.setenv("CORE_SECRET", SECRET)
    made: list[Backends] = []

    def make(resolver: AbstractResolver | None = None, **given) -> Backends:
        given = {"name": "core", "url": site.url, "networks": LOOPBACK, "timeout_s": LONG_S} | given
        made.append(Backends((Backend(**given),), resolver))
        return made[-1]

    yield make
    for each in made:
        await each.close()


def get(path: str = "/", **more) -> Request:
    return Request("core", "GET", path, **more)


def post(**more) -> Request:
    return Request("core", "POST", "/", body={"a": 1}, **more)


def made(value: object = None, **more) -> Callable[[], web.Response]:
    """A JSON answer."""
    return lambda: web.json_response(value, **more)


def raw(body: bytes, **more) -> Callable[[], web.Response]:
    """An answer of any bytes, by default declared as JSON."""
    return lambda: web.Response(body=body, **{"content_type": "application/json"} | more)


@contextlib.asynccontextmanager
async def bytes_server(answer: bytes, reset: bool = False) -> AsyncIterator[tuple[str, list[int]]]:
    """Sends `answer` to whoever asks, then ends the connection. Gives its URL and one entry a connection."""
    seen: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(1)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        if reset:
            writer.transport.abort()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen
    finally:
        server.close()


# What is sent


async def test_a_question_is_encoded_and_its_json_comes_back(site, backends):
    site.says(made({"hours": "9:00", "名": "西单"}))
    answer = await backends(url=site.url + "/api/", token_env="CORE_TOKEN").fetch(
        get("/网点/a b%2Fc", query={"near": "西单 & 东单", "plus": "1+1"})
    )
    assert (answer.outcome, answer.status, answer.reason) == ("ok", 200, "")
    assert answer.data == {"hours": "9:00", "名": "西单"}
    (asked,) = site.requests
    assert asked.raw_path == (
        "/api/%E7%BD%91%E7%82%B9/a%20b%2Fc?near=%E8%A5%BF%E5%8D%95+%26+%E4%B8%9C%E5%8D%95&plus=1%2B1"
    )
    assert dict(asked.query) == {"near": "西单 & 东单", "plus": "1+1"}
    assert asked.headers["User-Agent"] == f"ivr/{__version__}"
    assert asked.headers["Authorization"] == f"Bearer {TOKEN}"
    assert asked.headers["Accept"] == "application/json"
    assert "Idempotency-Key" not in asked.headers


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_body_is_json(site, backends, method):
    site.says(made({}))
    answer = await backends().fetch(Request("core", method, "/complaints", body={"text": "我的卡丢了", "n": 2}))
    assert answer.outcome == "ok"
    assert (site.requests[0].method, site.requests[0].content_type) == (method, "application/json")
    assert json.loads(site.bodies[0]) == {"text": "我的卡丢了", "n": 2}
    assert "Authorization" not in site.requests[0].headers


async def test_an_answer_without_a_body_is_nothing(site, backends):
    site.says(lambda: web.Response(status=204), lambda: web.Response(status=201))
    core = backends()
    for status in (204, 201):
        answer = await core.fetch(post())
        assert (answer.outcome, answer.status, answer.data) == ("ok", status, None)


async def test_cookies_are_not_kept(site, backends):
    def with_cookie() -> web.Response:
        answer = web.json_response({})
        answer.set_cookie("session", "1")
        return answer

    site.says(with_cookie)
    core = backends()
    await core.fetch(get())
    await core.fetch(get())
    assert [request.headers.get("Cookie") for request in site.requests] == [None, None]


async def test_proxies_of_the_environment_are_ignored(site, backends, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    site.says(made({}))
    assert (await backends().fetch(get())).outcome == "ok"


# What comes back


@pytest.mark.parametrize(
    ("answer", "outcome", "reason"),
    [
        (raw(b"<html></html>"), "invalid", "not valid JSON"),
        (raw(b"{}", content_type="text/html"), "invalid", "not declared as JSON"),
        (raw(b"[" * 60_000), "invalid", "not valid JSON"),
        (raw(b"[" * 40 + b"]" * 40), "invalid", "nested deeper"),
        (raw(b'"' + b"x" * BODY_LIMIT_BYTES + b'"'), "too_large", "longer than 65536 bytes"),
        (raw(b'"' + b"x" * 10_000_000 + b'"'), "too_large", "longer than 65536 bytes"),
        (made({"error": "no such card"}, status=404), "status", "it answered 404"),
        (raw(b"<html></html>", status=502), "status", "it answered 502"),
        (raw(b"x" * 10_000_000, status=500), "status", "it answered 500"),
        (raw(b"", status=304), "status", "it answered 304"),
    ],
    ids=["html", "type", "brackets", "deep", "64k", "10m", "404", "502", "500-10m", "304"],
)  # fmt: skip
async def test_what_is_no_good_answer_is_told(site, backends, answer, outcome, reason):
    site.says(answer)
    got = await backends().fetch(get())
    assert (got.outcome, got.status) == (outcome, answer().status)
    assert reason in got.reason
    assert got.data == ({"error": "no such card"} if got.status == 404 else None)


async def test_the_longest_body_that_is_taken(site, backends):
    site.says(raw(b'"' + b"x" * (BODY_LIMIT_BYTES - 2) + b'"'))
    answer = await backends().fetch(get())
    assert (answer.outcome, answer.data) == ("ok", "x" * (BODY_LIMIT_BYTES - 2))


async def test_a_packed_body_is_unpacked_and_a_bomb_is_not(site, backends):
    small = gzip.compress(b'{"a": 1}')
    bomb = gzip.compress(bytes(64 << 20), 9)
    assert len(bomb) < BODY_LIMIT_BYTES
    packed = functools.partial(raw, headers={"Content-Encoding": "gzip"})
    site.says(packed(small), packed(bomb))
    core = backends()
    assert (await core.fetch(get())).data == {"a": 1}
    tracemalloc.start()
    try:
        answer = await core.fetch(get())
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.outcome == "too_large"
    assert peak_bytes < 8 << 20


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(site, backends, status):
    site.says(lambda: web.Response(status=status, headers={"Location": f"http://localhost:{site.port}/secret"}))
    answer = await backends().fetch(get(retries=3))
    assert (answer.outcome, answer.status) == ("refused", status)
    assert answer.reason == f"it answered {status}: redirects are not followed"
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    ("answer", "outcome", "reason"),
    [
        (b"", "failed", "the connection broke"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"a\":", "failed",
         "the answer broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n",
         "failed", "the answer broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nwhat", "failed",
         "the answer broke off"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "invalid", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n{}", "invalid", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000 + b"\r\n{}", "invalid", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "invalid", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Type: application/json\r\n"
         b"Content-Length: 2\r\n\r\n{}", "ok", ""),
        (b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
         b"Content-Length: 2\r\n\r\n{}", "ok", ""),
        (b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{}", "ok", ""),
    ],
    ids=["nothing", "half", "half-chunked", "not-gzip", "ssh", "long-header", "many-headers", "two-lengths",
         "two-types", "hints", "http-1.0"],
)  # fmt: skip
async def test_bytes_that_no_good_server_sends(backends, answer, outcome, reason):
    async with bytes_server(answer) as (url, _):
        got = await backends(url=url).fetch(get())
    assert (got.outcome, got.data) == (outcome, {} if outcome == "ok" else None)
    assert reason in got.reason


async def test_a_connection_that_is_reset(backends):
    async with bytes_server(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n", reset=True) as (url, _):
        assert (await backends(url=url).fetch(post())).outcome == "failed"


async def test_nobody_listens_there(backends):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        answer = await backends(url=f"http://127.0.0.1:{taken.getsockname()[1]}").fetch(get())
    assert (answer.outcome, answer.status) == ("failed", 0)
    assert answer.reason.startswith("cannot connect")


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"]),
)
def test_no_bytes_raise(rest, beginning):
    async def ask() -> str:
        async with bytes_server(beginning + rest) as (url, _):
            core = Backends((Backend(name="core", url=url, networks=LOOPBACK),))
            answer = await core.fetch(get())
            await core.close()
            return answer.outcome

    assert asyncio.run(ask()) in {"ok", "status", "failed", "refused", "invalid"}


@pytest.fixture
def own_certificate(tmp_path) -> ssl.SSLContext:
    """A server's side of TLS with a certificate that nobody but itself has signed."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


async def test_a_certificate_nobody_signed_is_not_trusted(backends, own_certificate):
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=own_certificate)
    answer = await backends(url=f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}").fetch(get())
    server.close()
    assert (answer.outcome, answer.reason) == ("failed", "its TLS certificate is not trusted, or TLS failed")


# Bounds


async def test_an_answer_that_does_not_come(site, backends):
    site.handler = site.hang
    answer = await backends(timeout_s=0.05).fetch(get(retries=3))
    assert (answer.outcome, answer.status) == ("timeout", 0)
    assert answer.reason == "no answer within 0.05 s"
    assert len(site.requests) == 1


async def test_an_answer_that_comes_too_slowly_and_a_request_with_a_time_of_its_own(site, backends):
    async def drip(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        await answer.write(b"[")
        await site.over.wait()
        return answer

    site.handler = drip
    assert (await backends().fetch(get(timeout_s=0.05))).outcome == "timeout"


async def test_one_question_too_many_is_refused_at_once(site, backends):
    go = asyncio.Event()

    async def wait(_request: web.Request) -> web.StreamResponse:
        await go.wait()
        return web.json_response({})

    site.handler = wait
    core = backends(calls_at_once=1)
    first = asyncio.create_task(core.fetch(get()))
    await site.asked.wait()
    assert (await core.fetch(get())).outcome == "busy"
    go.set()
    assert (await first).outcome == "ok"
    assert (await core.fetch(get())).outcome == "ok"


async def test_a_question_that_nobody_waits_for_any_more_makes_room(site, backends):
    site.handler = site.hang
    core = backends(calls_at_once=1)
    first = asyncio.create_task(core.fetch(get()))
    await site.asked.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    site.says(made({}))
    assert (await core.fetch(get())).outcome == "ok"


# Retries


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
async def test_a_passing_fault_is_got_over(site, backends, method):
    site.says(made({}, status=500), made({}, status=503), made({"a": 1}))
    answer = await backends().fetch(Request("core", method, "/", retries=2))
    assert (answer.outcome, answer.data) == ("ok", {"a": 1})
    keys = [request.headers.get("Idempotency-Key") for request in site.requests]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert (keys[0] is None) == (method == "GET")


async def test_each_question_has_a_key_of_its_own(site, backends):
    site.says(made({}))
    core = backends()
    await core.fetch(post())
    await core.fetch(post())
    assert len({request.headers["Idempotency-Key"] for request in site.requests}) == 2


@pytest.mark.parametrize(("retries", "status", "asked"), [(0, 500, 1), (1, 500, 2), (3, 404, 1), (3, 429, 1)])
async def test_how_often_it_is_asked(site, backends, retries, status, asked):
    site.says(made({}, status=status))
    answer = await backends().fetch(get(retries=retries))
    assert (answer.outcome, answer.status) == ("status", status)
    assert len(site.requests) == asked


async def test_a_broken_connection_is_tried_again(backends):
    async with bytes_server(b"") as (url, seen):
        assert (await backends(url=url).fetch(post(retries=1))).outcome == "failed"
        assert len(seen) == 2


# What is refused before anything is sent


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (Request("nobody", "GET", "/"), "no [[backend]] has the name nobody"),
        (get("/cards/../admin"), "the path has .. in it"),
        (get("cards"), "the path does not begin with /"),
        (Request("core", "GET", "/", query={"a": object()}), "the query or the body cannot be written"),
        (Request("core", "POST", "/", body={"a": object()}), "the query or the body cannot be written"),
    ],
)
async def test_questions_that_cannot_be_asked(site, backends, request_, reason):
    answer = await backends().fetch(request_)
    assert (answer.outcome, answer.status, answer.reason) == ("refused", 0, reason)
    assert site.requests == []


@pytest.mark.parametrize(
    ("host", "networks"),
    [
        ("127.0.0.1", ()),
        ("127.0.0.1", ("10.0.0.0/8", "::1/128")),
        ("localhost", ()),
        ("localhost", ("10.0.0.0/8",)),
        ("[::1]", LOOPBACK),
        ("[::ffff:127.0.0.1]", ()),
        ("[::ffff:7f00:1]", ("::/0",)),
        ("0.0.0.0", LOOPBACK),
        ("169.254.169.254", LOOPBACK),
    ],
)
async def test_addresses_that_are_not_listed_are_not_reached(site, backends, host, networks):
    answer = await backends(url=f"http://{host}:{site.port}", networks=networks).fetch(get(retries=3))
    assert answer.outcome == "refused"
    assert "and not in the networks of this backend" in answer.reason
    assert site.requests == []


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "017700000001", "127.0.0.1."])
async def test_other_spellings_of_an_address_open_nothing(site, backends, host):
    answer = await backends(url=f"http://{host}:{site.port}", networks=()).fetch(get())
    assert answer.outcome in {"refused", "failed"}
    assert site.requests == []


async def test_a_listed_name_is_reached(site, backends):
    site.says(made({}))
    answer = await backends(url=f"http://localhost:{site.port}").fetch(get())
    assert answer.outcome == "ok"


class Names(AbstractResolver):
    """Resolves every name to one list of addresses after another; the last one stays."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(self, host, port=0, family=socket.AF_UNSPEC):
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            {"hostname": host, "host": address, "port": port, "proto": 0, "flags": socket.AI_NUMERICHOST,
             "family": socket.AF_INET6 if ":" in address else socket.AF_INET}
            for address in found
        ]  # fmt: skip

    async def close(self) -> None:
        pass


async def test_a_name_that_changes_between_check_and_use_gains_nothing(site, backends):
    """DNS rebinding: the address that was checked is the one that is connected to, and a new one is checked anew."""
    site.says(made({}))
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    core = {"url": f"http://core.example:{site.port}", "networks": ("127.0.0.1/32",)}
    first = await backends(names, **core).fetch(get())
    assert (first.outcome, names.asked) == ("ok", 1)
    assert site.requests[0].headers["Host"] == f"core.example:{site.port}"
    second = await backends(names, **core).fetch(get())
    assert second.outcome == "refused"
    assert second.reason == ("core.example is 127.0.0.2, which is loopback and not in the networks of this backend")
    assert (names.asked, len(site.requests)) == (2, 1)


async def test_of_several_addresses_only_the_allowed_ones_are_used(site, backends):
    site.says(made({}))
    names = Names(["169.254.169.254", "::1", "127.0.0.2", "127.0.0.1"])
    answer = await backends(names, url=f"http://core.example:{site.port}", networks=("127.0.0.1/32",)).fetch(get())
    assert answer.outcome == "ok"
    assert site.requests[0].transport.get_extra_info("sockname")[0] == "127.0.0.1"


async def test_a_name_that_nobody_knows(backends):
    class Unknown(Names):
        async def resolve(self, host, port=0, family=socket.AF_UNSPEC):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    answer = await backends(Unknown([]), url="http://core.example").fetch(get())
    assert (answer.outcome, answer.reason) == ("failed", "the name core.example cannot be resolved")


@pytest.mark.parametrize(
    ("token", "reason"),
    [(None, "the environment has no CORE_TOKEN"), ("a\nb: c", "CORE_TOKEN holds characters that no token has"),
     ("密码", "CORE_TOKEN holds characters that no token has")],
)  # fmt: skip
async def test_without_its_token_nothing_is_sent(site, backends, monkeypatch, token, reason):
    monkeypatch.delenv("CORE_TOKEN") if token is None else monkeypatch.setenv("CORE_TOKEN", token)
    core = backends(token_env="CORE_TOKEN")
    assert (await core.fetch(get())).reason == reason
    assert (await core.notify("core", "/events", "x", {})).reason == reason
    assert site.requests == []


# Notifications


async def test_a_notification_is_signed(site, backends):
    site.says(raw(b"thank you", content_type="text/plain"))
    answer = await backends(webhook_secret_env="CORE_SECRET").notify("core", "/events", "card.blocked", {"名": "王"})
    assert (answer.outcome, answer.status) == ("ok", 200)
    told = Webhook(SECRET).verify(site.bodies[0], dict(site.requests[0].headers))
    assert (told["type"], told["data"]) == ("card.blocked", {"名": "王"})
    assert (site.requests[0].method, site.requests[0].path) == ("POST", "/events")


async def test_tries_of_a_notification_have_one_id(site, backends, monkeypatch):
    monkeypatch.setattr(client, "NOTIFY_PAUSES_S", (0, 0, 0))
    site.says(made({}, status=500), made({}, status=503), made({}))
    answer = await backends(webhook_secret_env="CORE_SECRET").notify("core", "/events", "x", {})
    assert answer.outcome == "ok"
    assert len(site.requests) == 3
    assert len({request.headers["webhook-id"] for request in site.requests}) == 1
    assert len(set(site.bodies)) == 1
    for request, body in zip(site.requests, site.bodies, strict=True):
        Webhook(SECRET).verify(body, dict(request.headers))


@pytest.mark.parametrize(
    ("status", "tries", "outcome"), [(500, 4, "status"), (410, 1, "status"), (302, 1, "refused")]
)  # fmt: skip
async def test_a_notification_that_does_not_arrive_is_logged_and_counted(
    site, backends, monkeypatch, status, tries, outcome
):
    monkeypatch.setattr(client, "NOTIFY_PAUSES_S", (0, 0, 0))
    site.says(made({}, status=status))
    labels = {"backend": "core", "outcome": outcome}
    before = metrics.registry.get_sample_value("ivr_notifications_total", labels) or 0
    with capture_logs() as lines:
        answer = await backends().notify("core", "/events", "card.blocked", {"card": "8620"})
    assert (answer.outcome, answer.status, len(site.requests)) == (outcome, status, tries)
    (line,) = lines
    assert (line["log_level"], line["event"]) == ("warning", "a notification did not arrive")
    assert (line["backend"], line["kind"], line["message_id"]) == (
        "core", "card.blocked", site.requests[0].headers["webhook-id"]
    )  # fmt: skip
    assert metrics.registry.get_sample_value("ivr_notifications_total", labels) == before + 1


async def test_a_notification_that_hangs_is_tried_again(site, backends, monkeypatch):
    monkeypatch.setattr(client, "NOTIFY_PAUSES_S", (0,))
    site.handler = site.hang
    answer = await backends(timeout_s=0.05).notify("core", "/events", "x", {})
    assert (answer.outcome, len(site.requests)) == ("timeout", 2)


async def test_nobody_needs_to_wait_for_a_notification(site, backends):
    go = asyncio.Event()

    async def wait(_request: web.Request) -> web.StreamResponse:
        await go.wait()
        return web.json_response({})

    site.handler = wait
    core = backends()
    with capture_logs() as lines:
        core.notify("core", "/events", "x", {}).cancel()
        await site.asked.wait()
        go.set()
        await core.close()
    assert [line["event"] for line in lines] == ["backend notified"]


async def test_notifications_on_their_way_are_bounded_and_take_no_place_from_questions(site, backends, monkeypatch):
    monkeypatch.setattr(client, "NOTIFICATIONS_LIMIT", 2)
    monkeypatch.setattr(client, "CLOSE_WITHIN_S", 0.01)
    site.handler = site.hang
    core = backends(calls_at_once=1)
    waiting = [core.notify("core", "/events", "x", {}) for _ in range(2)]
    assert (await core.notify("core", "/events", "x", {})).outcome == "busy"
    await site.asked.wait()
    site.says(made({}))
    assert (await core.fetch(get())).outcome == "ok"
    await core.close()
    assert [(await each).reason for each in waiting] == ["the server is stopping"] * 2


async def test_closing_gives_a_waiting_notification_one_last_try(site, backends, monkeypatch):
    monkeypatch.setattr(client, "NOTIFY_PAUSES_S", (LONG_S, LONG_S))
    site.says(made({}, status=503), made({}))
    core = backends()
    waiting = core.notify("core", "/events", "x", {})
    await site.asked.wait()
    await core.close()
    assert (await waiting).outcome == "ok"
    for after in (core.notify("core", "/events", "x", {}), core.fetch(get())):
        assert (await after).reason == "the server is stopping"


@pytest.mark.parametrize(
    ("secret", "reason"),
    [(None, "the environment has no CORE_SECRET"), ("hush", "a webhook secret begins with whsec_")],
)
async def test_what_cannot_be_signed_is_not_sent(site, backends, monkeypatch, secret, reason):
    monkeypatch.delenv("CORE_SECRET") if secret is None else monkeypatch.setenv("CORE_SECRET", secret)
    answer = await backends(webhook_secret_env="CORE_SECRET").notify("core", "/events", "x", {})
    assert (answer.outcome, answer.reason) == ("refused", reason)
    assert site.requests == []


async def test_data_that_cannot_be_written_is_refused(site, backends):
    answer = await backends().notify("core", "/events", "x", {"a": object()})
    assert (answer.outcome, answer.reason) == ("refused", "the data cannot be written as JSON")
    assert site.requests == []


# What is written down


async def test_nothing_of_what_was_said_and_no_secret_gets_into_logs_or_reasons(site, backends):
    site.says(made({"balance": "1234"}, status=500, headers={"X-Echo": TOKEN}))
    core = backends(token_env="CORE_TOKEN", webhook_secret_env="CORE_SECRET")
    with capture_logs() as lines:
        answer = await core.fetch(
            Request("core", "POST", "/cards/4111111111111111", query={"pin": "4711"}, body={"name": "王"})
        )
    (line,) = lines
    assert set(line) == {"event", "log_level", "backend", "method", "outcome", "status", "reason", "took_ms"}
    for hidden in (TOKEN, SECRET, "4111", "4711", "王", "1234"):
        assert hidden not in str(line) + answer.reason


async def test_questions_are_counted(site, backends):
    site.says(made({}))
    labels = {"backend": "core", "outcome": "ok"}
    before = metrics.registry.get_sample_value("ivr_backend_requests_total", labels) or 0
    answer = await backends().fetch(get())
    assert metrics.registry.get_sample_value("ivr_backend_requests_total", labels) == before + 1
    assert answer.took_ms >= 0

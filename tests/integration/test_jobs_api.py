"""The API of outbound calls over real sockets: orders, refusals that name their field, keys, webhooks, `ivr jobs`."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import msgspec
import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook as StandardWebhook

from ivr import config
from ivr.backend.client import Backends
from ivr.cli import main
from ivr.outbound import delivery
from ivr.outbound.job import Claim, Decision, Events, EvidenceRecord, Idle, Job, JobPage, SuppressionPage
from ivr.outbound.live import OutboundCalls, PolicyStates
from ivr.store.store import Store
from ivr.web import server
from ivr.web.api import create_app
from ivr.web.jobs import BulkLine, PublicKey
from ivr.web.problem import Problem

TOKEN, BANK, READER = "t" * 32, "b" * 32, "r" * 32
HOOK_SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
SECRET = "1987-04-29"
CONFIG = """
[[number]]
pattern = "400"
plan = "main"
[http]
port = {http}
[[number]]
pattern = "401"
plan = "main"
language = "zh"
[[backend]]
name = "bank"
url = "http://127.0.0.1:{port}/hooks"
networks = ["127.0.0.0/8"]
webhook_secret_env = "HOOK_SECRET"
[[backend]]
name = "unsigned"
url = "http://127.0.0.1:{port}/unsigned"
[outbound.policies.fraud]
always = true
calls_per_second = 1000
[outbound.policies.reminder]
windows = ["mon-fri 09:00-20:00"]
[[outbound.key]]
name = "bank"
key_env = "BANK_KEY"
[[outbound.key]]
name = "reader"
key_env = "READER_KEY"
scopes = ["jobs:read"]
requests_per_second = 0.5
"""
PLANS = {
    "verify": SimpleNamespace(languages=("en", "zh"), given=("name", "phrase", "amount")),
    "survey": SimpleNamespace(languages=("en",), given=("shop",)),
}


def verification(**changes) -> dict:
    """An order that is taken; `changes` replace or, when None, remove."""
    body = {
        "idempotency_key": "tx-1", "phone": "+8613812345678", "language": "zh", "policy": "fraud",
        "transaction": {"amount": "129.90", "currency": "CNY", "merchant": "京东", "at": "2026-11-23T09:30:00+08:00",
                        "card_last4": "4242"},
        "proof": {"birth_date": SECRET}, "name": "王小明", "phrase": "octarine",
        "metadata": {"case": "A-7", "score": 0.9},
    }  # fmt: skip
    return {k: v for k, v in (body | changes).items() if v is not None}


class Site:
    """A running API, a bank that receives webhooks, and a client."""

    def __init__(self, client: aiohttp.ClientSession, outbound: OutboundCalls, store: Store, url: str, hooks: str):
        self.client, self.outbound, self.store, self.url, self.hooks = client, outbound, store, url, hooks
        self.received: list[tuple[dict, dict]] = []
        self.arriving: asyncio.Queue[tuple[dict, dict]] = asyncio.Queue()
        self.hook_status = 200

    async def ask(self, method: str, path: str, body=None, token: str = TOKEN, **options) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {token}"} | options.pop("headers", {})
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        async with self.client.request(method, self.url + path, data=data, headers=headers, **options) as answer:
            return answer.status, await answer.read()

    async def ok(self, kind: type, path: str, body=None, method: str = "", status: int = 200, **options):
        got, read = await self.ask(method or ("GET" if body is None else "POST"), path, body, **options)
        assert got == status, read
        return msgspec.json.decode(read, type=kind)

    async def order(self, token: str = TOKEN, **changes) -> Job:
        return await self.ok(Job, "/v1/verifications", verification(**changes), status=202, token=token)

    async def problem(self, path: str, body=None, method: str = "", **options) -> tuple[int, str, str]:
        """(status, the field that is named, what is said)."""
        status, read = await self.ask(method or ("GET" if body is None else "POST"), path, body, **options)
        found = msgspec.json.decode(read, type=Problem)
        assert (found.status, status >= 400) == (status, True)
        return status, found.errors[0].field if found.errors else "", found.detail

    async def hook(self, request: web.Request) -> web.Response:
        body = await request.text()
        StandardWebhook(HOOK_SECRET).verify(body, dict(request.headers))
        self.arriving.put_nowait((json.loads(body), dict(request.headers)))
        return web.Response(status=self.hook_status)

    async def until(self, count: int) -> list[dict]:
        """The webhooks, once so many have arrived."""
        async with asyncio.timeout(20):
            while len(self.received) < count:
                self.received.append(await self.arriving.get())
        return [body for body, _ in self.received]

    async def claim(self) -> Claim:
        found = await self.outbound.jobs.claim()
        assert isinstance(found, Claim)
        return found


@asynccontextmanager
async def running(folder, monkeypatch, plans=PLANS, **environment):
    keys = {
        "IVR_EVIDENCE_KEY": base64.b64encode(bytes(range(32))).decode(), "BANK_KEY": BANK, "READER_KEY": READER,
        "IVR_PROOF_KEY": base64.b64encode(b"p" * 32).decode(), "HOOK_SECRET": HOOK_SECRET, "IVR_TOKEN": TOKEN,
    }  # fmt: skip
    for name, value in (keys | environment).items():
        monkeypatch.setenv(name, value)
    bank = web.Application()
    bank_runner = web.AppRunner(bank)
    site: Site

    async def hook(request: web.Request) -> web.Response:
        return await site.hook(request)

    bank.router.add_post("/hooks/{tail:.*}", hook)
    await bank_runner.setup()
    await web.TCPSite(bank_runner, "127.0.0.1", 0).start()
    bank_port = bank_runner.addresses[0][1]
    file = folder / "config.toml"
    file.write_text(CONFIG.format(port=bank_port, http=1), "utf-8")
    settings = config.load(file)
    store = Store("sqlite:///var/ivr.db", folder)
    await store.open()
    backends = Backends(settings.backend)
    outbound = OutboundCalls(settings, store, backends, plans.get)
    app = create_app(store, lambda: None, None, TOKEN, outbound=outbound)
    runner = await server.start(app, "127.0.0.1", 0)
    port = runner.addresses[0][1]
    file.write_text(CONFIG.format(port=bank_port, http=port), "utf-8")
    try:
        async with aiohttp.ClientSession() as client:
            site = Site(client, outbound, store, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{bank_port}/hooks")
            site.config = str(file)
            yield site
    finally:
        await runner.cleanup()
        await backends.close()
        await store.close()
        await bank_runner.cleanup()


@pytest.fixture
async def site(tmp_path, monkeypatch):
    async with running(tmp_path, monkeypatch) as found:
        yield found


async def test_an_order_is_taken_shown_and_taken_once(site):
    job = await site.order()
    assert (job.kind, job.plan, job.state, job.client, job.language) == (
        "verification",
        "verify",
        "queued",
        "admin",
        "zh",
    )
    assert job.body["transaction"]["amount"] == "129.90"
    assert job.body["asks"] == ["birth_date"]
    assert await site.order() == job
    assert await site.ok(Job, f"/v1/verifications/{job.id}") == job
    assert await site.ok(Job, f"/v1/jobs/{job.id}") == job
    other = verification(phone="+8613812345679")
    status, field, says = await site.problem("/v1/verifications", other)
    assert (status, field) == (409, "idempotency_key")
    assert job.id in says
    header = verification(idempotency_key=None)
    again = await site.ok(Job, "/v1/verifications", header, status=202, headers={"Idempotency-Key": "tx-1"})
    assert again == job
    assert (await site.problem("/v1/verifications", verification(), headers={"Idempotency-Key": "x"}))[:2] == (
        400, "idempotency_key",
    )  # fmt: skip


async def test_an_order_in_english_for_one_half_of_the_proof(site):
    job = await site.order(language="en", phone="+442071838750", proof={"id_last4": "123X"}, policy="reminder",
                           timezone="Europe/London")  # fmt: skip
    assert job.body["asks"] == ["id_last4"]
    assert job.expires_at - job.created_at == timedelta(days=1)


async def test_a_bad_order_is_refused_with_its_field_and_nothing_is_stored(site):
    for changes, field, says in (
        ({"phone": "13812345678"}, "phone", "E.164"),
        ({"transaction": verification()["transaction"] | {"amount": "many"}}, "transaction.amount", "decimal"),
        ({"proof": {"pin": "1234"}}, "proof.pin", "unknown field"),
        ({"idempotency_key": None}, "idempotency_key", "a key of your own"),
    ):
        status, named, detail = await site.problem("/v1/verifications", verification(**changes))
        assert (status, named) == (400, field)
        assert says in detail
    assert (await site.ok(JobPage, "/v1/jobs")).jobs == ()


async def test_callbacks_go_to_receivers_that_are_signed_for_and_nowhere_else(site):
    for tail, says in (("/../x", ".."), ("/x?a=b", "?"), ("@evil.example/", "no [[backend]]"), ("", "no [[backend]]")):
        status, field, detail = await site.problem("/v1/verifications", verification(callback_url=site.hooks + tail))
        assert (status, field) == (400, "callback_url")
        assert says in detail
    unsigned = site.hooks.replace("/hooks", "/unsigned/x")
    assert "webhook_secret_env" in (await site.problem("/v1/verifications", verification(callback_url=unsigned)))[2]


async def test_what_is_no_json_object_is_a_400(site):
    for body in (b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 5_000, b'{"phone": "\\ud800"}'):
        for path in ("/v1/verifications", "/v1/jobs"):
            assert (await site.problem(path, body, method="POST"))[0] == 400, body


async def test_without_a_key_nothing_with_a_proof_is_taken(tmp_path, monkeypatch):
    async with running(tmp_path, monkeypatch, IVR_PROOF_KEY="") as site:
        status, field, says = await site.problem("/v1/verifications", verification())
        assert (status, field) == (400, "proof")
        assert "IVR_PROOF_KEY" in says


async def test_a_job_by_a_dialplan_needs_one_that_is_in_force(site):
    order = {"idempotency_key": "s-1", "phone": "+442071838750", "language": "en", "policy": "fraud", "plan": "survey",
             "variables": {"shop": "Leeds"}}  # fmt: skip
    job = await site.ok(Job, "/v1/jobs", order, status=202)
    assert (job.kind, job.plan, job.body["variables"]) == ("plan", "survey", {"shop": "Leeds"})
    for number, (changes, field, mend) in enumerate((
        ({"plan": "gone"}, "plan", "put gone.yaml into the folder of dialplans"),
        ({"language": "zh"}, "language", "order one of these, or add zh to it"),
        ({"variables": {"branch": "Leeds"}}, "variables.branch", "leave it out, or add it to the plan's `given`"),
    )):  # fmt: skip
        refused = order | {"idempotency_key": f"r-{number}"} | changes
        status, named, says = await site.problem("/v1/jobs", refused)
        assert (status, named, mend in says) == (400, field, True)
        (line,) = await bulk(site, [json.dumps(refused).encode()], "/v1/jobs/bulk")
        assert (line.status, line.errors[0].field, line.detail) == (400, field, says)
    assert [found.id for found in (await site.ok(JobPage, "/v1/jobs")).jobs] == [job.id]
    assert (await site.problem(f"/v1/verifications/{job.id}"))[0] == 404
    assert (await site.ok(JobPage, "/v1/verifications")).jobs == ()


async def test_a_verification_needs_its_dialplan_in_the_language_of_the_order(tmp_path, monkeypatch):
    plans = {"verify": SimpleNamespace(languages=("en",), given=())}
    async with running(tmp_path, monkeypatch, plans) as site:
        status, field, says = await site.problem("/v1/verifications", verification())
        assert (status, field, "or add zh to it" in says) == (400, "language", True)
        plans.clear()
        for changes in ({}, {"language": "en", "phone": "+442071838750"}):
            status, field, says = await site.problem("/v1/verifications", verification(**changes))
            assert (status, field, "put verify.yaml into the folder" in says) == (400, "plan", True)
        assert (await site.ok(JobPage, "/v1/jobs")).jobs == ()


async def test_why_says_that_nothing_dials_and_when_windows_open(site):
    fraud, london = await site.order(), await site.order(
        idempotency_key="tx-2", policy="reminder", phone="+442071838750", language="en",
        not_before=(datetime.now(UTC) + timedelta(hours=1)).isoformat(),
    )  # fmt: skip
    why = await site.ok(Decision, f"/v1/verifications/{fraud.id}/why")
    assert [h.rule for h in why.holds] == ["dialer"]
    assert "no dialer runs" in why.words
    why = await site.ok(Decision, f"/v1/verifications/{london.id}/why")
    assert {"dialer", "not_before"} <= {h.rule for h in why.holds}
    assert london.state == "held"
    await site.ok(Job, f"/v1/verifications/{fraud.id}/cancel", b"", status=202)
    assert "cancelled" in (await site.ok(Decision, f"/v1/verifications/{fraud.id}/why")).words


async def test_lists_are_filtered_and_paged(site):
    for n in range(3):
        await site.order(idempotency_key=f"tx-{n}", phone=f"+861381234567{n}")
    page = await site.ok(JobPage, "/v1/verifications?limit=2&state=queued&policy=fraud")
    rest = await site.ok(JobPage, f"/v1/verifications?limit=2&cursor={page.next}")
    assert [j.idempotency_key for j in (*page.jobs, *rest.jobs)] == ["tx-2", "tx-1", "tx-0"]
    assert len((await site.ok(JobPage, "/v1/jobs?phone=%2B8613812345671")).jobs) == 1
    for bad in ("limit=0", "state=lost", "disposition=x", "colour=red", "since=yesterday", "cursor=x", "state="):
        status, field, _ = await site.problem(f"/v1/jobs?{bad}")
        assert (status, field) == (400, bad.split("=")[0])


async def test_keys_open_what_their_scopes_say_and_show_their_own(site):
    ours, theirs = await site.order(), await site.order(token=BANK)
    assert theirs.client == "bank"
    assert ours.id != theirs.id
    assert [j.id for j in (await site.ok(JobPage, "/v1/jobs", token=BANK)).jobs] == [theirs.id]
    assert (await site.problem(f"/v1/jobs/{ours.id}", token=BANK))[0] == 404
    assert (await site.problem("/v1/calls", token=BANK))[0] == 403
    assert (await site.problem("/v1/jobs/pause", {}, token=BANK))[0] == 403
    assert (await site.problem("/v1/verifications", verification(), token=READER))[0] == 403
    assert (await site.problem("/v1/jobs", token="nobody"))[0] == 401
    assert (await site.ask("GET", "/openapi.json", token=BANK))[0] == 200
    assert [(await site.ask("GET", "/v1/jobs", token=READER))[0] for _ in range(7)] == [200] * 5 + [429] * 2


async def test_pausing_holds_a_policy_and_why_says_who_did_it(site):
    job = await site.order()
    await site.ok(dict, "/v1/jobs/pause", {"policy": "fraud", "reason": "载波故障"})
    assert isinstance(await site.outbound.jobs.claim(), Idle)
    words = (await site.ok(Decision, f"/v1/jobs/{job.id}/why")).words
    assert "policy `fraud` is paused by admin" in words
    assert "载波故障" in words
    states = await site.ok(PolicyStates, "/v1/jobs/policies")
    assert {p.name: [h.rule for h in p.holds] for p in states.policies}["fraud"] == ["dialer", "paused"]
    assert await site.ok(dict, "/v1/jobs/resume", {"policy": "fraud"}) == {"changed": 1}
    assert (await site.problem("/v1/jobs/pause", {"policy": "gone"}))[:2] == (400, "policy")


async def test_the_do_not_call_list(site):
    entry = {"phone": "+8613812345678", "reason": "客户要求"}
    made = await site.ok(dict, "/v1/suppressions", entry, status=201)
    page = await site.ok(SuppressionPage, "/v1/suppressions?phone=%2B8613812345678")
    assert [e.id for e in page.suppressions] == [made["id"]]
    job = await site.order()
    await site.outbound.jobs.claim()
    assert (await site.ok(Job, f"/v1/jobs/{job.id}")).disposition == "declined"
    assert await site.ok(dict, f"/v1/suppressions/{made['id']}", method="DELETE") == {"changed": 1}
    assert (await site.problem(f"/v1/suppressions/{made['id']}", method="DELETE"))[0] == 404
    for bad, field in (({"phone": "1"}, "phone"), ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
                       ({"reason": ""}, "reason"), ({"policy": "gone"}, "policy")):  # fmt: skip
        assert (await site.problem("/v1/suppressions", entry | bad))[:2] == (400, field)


async def bulk(site, lines: list[bytes], path: str = "/v1/verifications/bulk") -> list[BulkLine]:
    status, read = await site.ask("POST", path, b"\n".join(lines))
    assert status == 200, read
    return msgspec.json.Decoder(BulkLine).decode_lines(read)


async def test_bulk_answers_each_line_for_itself(site):
    lines = [json.dumps(verification(idempotency_key=f"b-{n}")).encode() for n in range(600)]
    lines[3], lines[5] = b"{", json.dumps(verification(phone="12")).encode()
    lines[7] = b""
    lines[9] = lines[8]
    lines[11] = json.dumps(verification(idempotency_key="b-8", phone="+8613812345679")).encode()
    results = await bulk(site, lines)
    by_line = {r.line: r for r in results}
    assert list(by_line) == [n for n in range(1, 601) if n != 8]
    assert (by_line[4].status, by_line[6].status, by_line[6].errors[0].field) == (400, 400, "phone")
    assert (by_line[10].replayed, by_line[10].id) == (True, by_line[9].id)
    assert by_line[12].status == 409
    assert len({r.id for r in results if r.status == 202}) == 595
    again = await bulk(site, lines[:3])
    assert [(r.status, r.replayed) for r in again] == [(202, True)] * 3


async def test_an_order_that_the_database_refuses_is_a_400_and_takes_no_other_with_it(site, monkeypatch):
    order = site.outbound.order

    def unwritable(*given):
        new = order(*given)
        job = msgspec.structs.replace(new.job, contact=new.job.contact.replace("?", "\ud800"))
        return msgspec.structs.replace(new, job=job)

    monkeypatch.setattr(site.outbound, "order", unwritable)
    status, _, says = await site.problem("/v1/verifications", verification(contact="?"))
    assert (status, "refuses" in says) == (400, True)
    lines = [
        json.dumps(verification(idempotency_key=f"k{n}", contact="?" if n == 1 else "")).encode() for n in range(4)
    ]
    assert [line.status for line in await bulk(site, lines)] == [202, 400, 202, 202]
    assert site.store.health().refused > 0


async def test_bulk_is_bounded(site):
    assert (await site.problem("/v1/verifications/bulk", b"\n\n", method="POST"))[0] == 400
    assert (await site.problem("/v1/verifications/bulk", b"x" * 20_000, method="POST"))[0] == 413
    assert (await site.ask("POST", "/v1/jobs/bulk", b"\n" * 20_000))[0] == 413


async def told(site, job: Job) -> list[tuple[str, str]]:
    _, read = await site.ask("GET", f"/v1/jobs/{job.id}/webhooks")
    return [(w["event"], w["state"]) for w in json.loads(read)]


@pytest.fixture
async def delivering(site, monkeypatch):
    monkeypatch.setattr(delivery, "EVERY_S", 0.02)
    monkeypatch.setattr(delivery, "PAUSES_S", (0, 0, 60))
    running = asyncio.create_task(site.outbound.delivery.run())
    yield site
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_the_outcome_arrives_signed_and_is_testified(delivering):
    site = delivering
    job = await site.order(callback_url=f"{site.hooks}/outcome")
    claim = await site.claim()
    await site.outbound.jobs.dialing(claim, "call1")
    assert (await site.until(1))[0]["type"] == "verification.dialing"
    assert (await site.problem(f"/v1/verifications/{job.id}/evidence"))[0] == 404
    await site.outbound.jobs.finish(claim, "reached", "denied")
    said = (await site.until(2))[1]
    assert (said["type"], said["data"]["disposition"], said["data"]["seq"]) == ("verification.completed", "denied", 5)
    record = await site.ok(EvidenceRecord, f"/v1/verifications/{job.id}/evidence")
    assert said["data"]["evidence"]["hash"] == record.hash
    events = await site.ok(Events, f"/v1/verifications/{job.id}/events")
    assert [e.kind for e in events.events][-1] == "completed"
    assert SECRET not in json.dumps([body for body, _ in site.received])
    assert [p.name for p in (Path(site.config).parent / "var").iterdir() if SECRET.encode() in p.read_bytes()] == []


async def test_a_receiver_that_is_down_is_tried_again_and_may_be_told_once_more(delivering):
    site = delivering
    site.hook_status = 503
    job = await site.order(callback_url=f"{site.hooks}/outcome")
    await site.ok(Job, f"/v1/jobs/{job.id}/cancel", b"", status=202)
    bodies = await site.until(3)
    assert len({headers["webhook-id"] for _, headers in site.received}) == 1
    assert bodies[0] == bodies[2]
    assert await told(site, job) == [("verification.completed", "pending")]
    site.hook_status = 200
    assert await site.ok(dict, f"/v1/jobs/{job.id}/redeliver", b"", status=202) == {"changed": 1}
    await site.until(4)
    for _ in range(500):
        if (marked := await told(site, job)) != [("verification.completed", "pending")]:
            break
        await asyncio.sleep(0.01)
    assert marked == [("verification.completed", "delivered")]
    silent = await site.order(idempotency_key="tx-2")
    assert (await site.problem(f"/v1/jobs/{silent.id}/redeliver", b"", method="POST"))[0] == 409


def test_a_webhook_is_tried_for_a_day():
    now = datetime.now(UTC)
    times = [delivery.next_try(tries, now) for tries in range(1, 12)]
    assert times[-1] is None
    assert 0.9 < sum((at - now).total_seconds() for at in times[:-1]) / 86_400 < 1.1


async def test_the_command_line_lists_explains_and_cancels(site, capsys):
    job = await site.order()
    at = ["--config", site.config]

    async def ivr(*words: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, ["jobs", *words, *at])
        return code, *capsys.readouterr()

    assert job.id in (await ivr("list"))[1]
    assert "created" in (await ivr("show", job.id))[1]
    assert "no dialer runs" in (await ivr("why", job.id))[1]
    assert (await ivr("retry", job.id))[0] == 0
    assert "cancelled" in (await ivr("cancel", job.id))[1]
    code, _, says = await ivr("cancel", "job_none")
    assert (code, says) == (1, "ivr: no job has this id\n")
    code, _, says = await ivr("retry", job.id)
    assert (code, "the job has ended: cancelled" in says) == (1, True)
    assert json.loads((await ivr("list", "--json"))[1])["jobs"][0]["id"] == job.id


async def test_the_command_line_orders_many(site, capsys, tmp_path):
    file = tmp_path / "orders.ndjson"
    orders = [json.dumps(verification(idempotency_key=f"c-{n}")) for n in range(3)]
    file.write_text("\n".join([orders[0], "", "{}", *orders[1:]]), "utf-8")
    assert await asyncio.to_thread(main, ["jobs", "bulk", str(file), "--config", site.config]) == 1
    out, err = capsys.readouterr()
    assert out == "3 taken, 1 refused\n"
    assert err.startswith(f"{file}:3: phone: ")


async def test_evidence_is_verified_with_nothing_but_the_file_and_the_key(site, capsys, tmp_path):
    job = await site.order()
    await site.ok(Job, f"/v1/jobs/{job.id}/cancel", b"", status=202)
    _, record = await site.ask("GET", f"/v1/jobs/{job.id}/evidence")
    key = (await site.ok(PublicKey, "/v1/evidence/key")).public_key
    file = tmp_path / "evidence.json"
    file.write_bytes(record)
    assert main(["verify-evidence", str(file), "--key", key]) == 0
    assert "1 records, all signed by this key" in capsys.readouterr().out
    file.write_bytes(record.replace(b'"cancelled"', b'"confirmed"'))
    assert main(["verify-evidence", str(file), "--key", key]) == 1
    assert "its content is not what its hash says" in capsys.readouterr().out


async def test_no_server_is_said_in_words(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("IVR_TOKEN", TOKEN)
    file = tmp_path / "config.toml"
    file.write_text('[[number]]\npattern = "400"\nplan = "main"\n[http]\nport = 9\n')
    assert main(["jobs", "list", "--config", str(file)]) == 1
    assert "no server answers at http://127.0.0.1:9" in capsys.readouterr().err

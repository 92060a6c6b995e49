"""Outbound calls in trouble: a full disk, orders with faults, a receiver down for a day, changed clocks."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from test_jobs import desks
from test_jobs_api import BANK, READER, bulk, running, verification

from ivr.outbound import delivery
from ivr.outbound.job import Claim, Idle, Job, JobPage
from ivr.outbound.live import PolicyStates

TRANSACTION = verification()["transaction"]
LONDON = {"language": "en", "phone": "+442071838750"}


@pytest.fixture
async def site(tmp_path, monkeypatch):
    async with running(tmp_path, monkeypatch) as found:
        yield found


# Orders with faults -----------------------------------------------------------------------------------------------

FAULTS = (
    ({"phone": "13812345678"}, "phone"),
    ({"phone": "+8611111111111"}, "phone"),
    ({"phone": "110"}, "phone"),
    ({"phone": None}, "phone"),
    ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
    ({"expires_at": "2099-01-01T00:00:00Z"}, "expires_at"),
    ({"expires_at": "2026-11-23T09:00:00"}, "expires_at"),
    ({"not_before": "tomorrow"}, "not_before"),
    ({"policy": "gone"}, "policy"),
    ({"policy": None}, "policy"),
    ({"language": "fr"}, "language"),
    ({"timezone": "Mars/Olympus"}, "timezone"),
    ({"priority": 10}, "priority"),
    ({"contact": "x" * 129}, "contact"),
    ({"metadata": {"note": "长" * 1_400}}, "metadata"),
    ({"metadata": {"note": ["a"]}}, "metadata[...]"),
    ({"callback_url": "http://169.254.169.254/latest"}, "callback_url"),
    ({"transaction": TRANSACTION | {"currency": "XXQ"}}, "transaction.currency"),
    ({"transaction": TRANSACTION | {"amount": "many"}}, "transaction.amount"),
    ({"transaction": TRANSACTION | {"amount": "NaN"}}, "transaction.amount"),
    ({"transaction": TRANSACTION | {"amount": "-1"}}, "transaction.amount"),
    ({"transaction": TRANSACTION | {"card_last4": "42421"}}, "transaction.card_last4"),
    ({"transaction": TRANSACTION | {"at": "2026-11-23T09:30:00"}}, "transaction.at"),
    ({"transaction": None}, "transaction"),
    ({"proof": {}}, "proof"),
    ({"proof": {"birth_date": "1987-02-30"}}, "proof.birth_date"),
    ({"proof": {"id_last4": "110101198704290017"}}, "proof.id_last4"),
    ({"proof": {"cvv": "123"}}, "proof.cvv"),
    ({"idempotency_key": None}, "idempotency_key"),
    ({"colour": "red"}, "colour"),
    ({"contact": "王\0"}, "contact"),
    ({"metadata": {"note": "a\0b"}}, "metadata.note"),
)  # fmt: skip


async def test_every_fault_is_named_alone_and_in_bulk_and_nothing_is_stored(site):
    for changes, field in FAULTS:
        for order in (verification(**changes), verification(**LONDON | changes)):
            status, named, _ = await site.problem("/v1/verifications", order)
            assert (status, named) == (400, field), changes
    lines = await bulk(site, [json.dumps(verification(**changes)).encode() for changes, _ in FAULTS])
    assert [(line.status, line.errors[0].field) for line in lines] == [(400, field) for _, field in FAULTS]
    assert (await site.problem("/v1/verifications", verification(), token="x" * 32))[0] == 401
    assert (await site.problem("/v1/verifications", verification(), token=READER))[0] == 403
    assert (await site.problem("/v1/jobs/pause", {}, token=BANK))[0] == 403
    assert (await site.problem("/v1/verifications", b'{"phone": ', method="POST"))[0] == 400
    assert (await site.problem("/v1/jobs/pause", b"", method="POST"))[0] == 400
    assert (await site.ok(JobPage, "/v1/jobs")).jobs == ()


# A full disk ------------------------------------------------------------------------------------------------------


async def pages(site, most: int | None = None) -> int:
    """Let the database have so many pages and no more (SQLITE_FULL, as of a disk that is full); how many it has."""

    def limit(connection) -> int:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {most or 1_000_000}")
        return connection.exec_driver_sql("PRAGMA page_count").scalar()

    return await site.store.write("limit", limit)


@asynccontextmanager
async def full_disk(site):
    await pages(site, await pages(site))
    yield
    await pages(site)


async def test_a_full_disk_refuses_orders_loses_none_and_takes_them_again(site, monkeypatch):
    monkeypatch.setattr("ivr.store.writer.AWAITED_PATIENCE_S", 0.1)
    taken = [(await site.order()).id]
    async with full_disk(site):
        for n in range(200):
            body = json.dumps(verification(idempotency_key=f"full-{n}", metadata={"note": "x" * 2_000})).encode()
            status, read = await site.ask("POST", "/v1/verifications", body)
            if status != 202:
                break
            taken.append(json.loads(read)["id"])
        assert (status, json.loads(read)["status"]) == (503, 503)
        assert "full" in json.loads(read)["detail"]
        await site.outbound.jobs.sweep()
        assert site.store.health().failing
        assert (await site.ask("GET", f"/v1/verifications/{taken[0]}"))[0] == 200
    assert [j.id for j in (await site.ok(JobPage, "/v1/jobs?limit=200")).jobs] == taken[::-1]
    again = msgspec.json.decode((await site.ask("POST", "/v1/verifications", body))[1], type=Job)
    assert again.id not in taken
    assert not site.store.health().failing
    assert isinstance(await site.outbound.jobs.claim(), Claim)


async def test_a_disk_that_fills_up_in_a_bulk_refuses_the_lines_that_are_left(site, monkeypatch):
    monkeypatch.setattr("ivr.store.writer.AWAITED_PATIENCE_S", 0.1)
    lines = [json.dumps(verification(idempotency_key=f"b-{n}", metadata={"note": "x" * 900})).encode()
             for n in range(1_000)]  # fmt: skip
    await pages(site, await pages(site) + 400)
    results = await bulk(site, lines)
    await pages(site)
    assert [r.line for r in results] == list(range(1, 1_001))
    assert {r.status for r in results} == {202, 503}
    stored = set(await site.store.read(lambda c: c.exec_driver_sql("SELECT id FROM jobs").scalars().all()))
    assert stored == {r.id for r in results if r.status == 202}
    again = await bulk(site, lines)
    assert {(r.status, r.id in stored) for r in again if r.replayed} == {(202, True)}
    assert sum(r.replayed for r in again) == len(stored)
    assert {r.status for r in again} == {202}


# A receiver that is down for a day -----------------------------------------------------------------------------------


async def test_a_callback_that_is_down_for_a_day_is_kept_shown_and_delivered_when_asked(site, monkeypatch):
    now = began = datetime.now(UTC)

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return now

    monkeypatch.setattr(delivery, "datetime", Clock)
    monkeypatch.setattr(delivery, "EVERY_S", 0.01)
    site.hook_status = 501
    job = await site.order(callback_url=f"{site.hooks}/verified")
    await site.ok(Job, f"/v1/verifications/{job.id}/cancel", b"", status=202)
    now = began = datetime.now(UTC)
    delivering = asyncio.create_task(site.outbound.delivery.run())
    for tries in range(1, 12):
        assert len(await site.until(tries)) == tries
        webhook = await settled(site, job, str(site.hook_status))
        site.hook_status = 500 + (tries + 1) % 10
        now = max(now, datetime.fromisoformat(webhook["due_at"]))
        site.outbound.delivery.wake()
    assert webhook["state"] == "failed"
    assert timedelta(hours=23) < now - began < timedelta(hours=27)
    assert (await site.ok(PolicyStates, "/v1/jobs/policies")).webhooks_undelivered == 1
    now += timedelta(days=3)
    site.hook_status = 204
    assert await site.ok(dict, f"/v1/verifications/{job.id}/redeliver", b"", status=202) == {"changed": 1}
    await site.until(12)
    assert (await settled(site, job, ""))["state"] == "delivered"
    assert len({headers["webhook-id"] for _, headers in site.received}) == 1
    delivering.cancel()
    await asyncio.gather(delivering, return_exceptions=True)


async def settled(site, job: Job, reason: str) -> dict:
    """Its only webhook, once what came of the last try is written: the status in the reason, none when it arrived."""
    async with asyncio.timeout(20):
        while True:
            (webhook,) = json.loads((await site.ask("GET", f"/v1/jobs/{job.id}/webhooks"))[1])
            if reason in webhook["reason"] and (reason or webhook["state"] == "delivered"):
                return webhook
            await asyncio.sleep(0.01)


# Nights in which clocks are changed --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phone", "created", "opens"),
    [
        # Berlin, Friday evening to Monday 9 o'clock: two hours ahead of UTC instead of one, and back again.
        ("+493012345678", "2027-03-26T20:00:00Z", "2027-03-29T07:00:00Z"),
        ("+493012345678", "2027-10-29T19:00:00Z", "2027-11-01T08:00:00Z"),
        ("+8613812345678", "2027-03-26T13:00:00Z", "2027-03-29T01:00:00Z"),
        ("+8613812345678", "2027-10-29T13:00:00Z", "2027-11-01T01:00:00Z"),
    ],
)
async def test_over_a_changed_clock_a_job_waits_for_the_hour_on_the_wall(backend, phone, created, opens):
    at = datetime.fromisoformat(opens)
    async with desks(backend, "a") as (desk,):
        desk.now = datetime.fromisoformat(created)
        job = await desk.add(phone=phone, policy="office", expires_at=at + timedelta(days=1))
        assert await desk.jobs.claim() == Idle(next_at=at)
        desk.now = at - timedelta(milliseconds=1)
        assert isinstance(await desk.jobs.claim(), Idle)
        desk.now = at
        assert (await desk.jobs.claim()).job.id == job.id

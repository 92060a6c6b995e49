"""The store on a real SQLite file and on a real PostgreSQL server that the test starts for itself."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from structlog.testing import capture_logs

from ivr.errors import Rejected, Unavailable
from ivr.store import database
from ivr.store.records import (
    MASK,
    CallEnd,
    CallFilter,
    CallStart,
    Latency,
    LegQuality,
    LegRecord,
    PlanCalls,
    PlanVersion,
    Said,
    TurnRecord,
)
from ivr.store.schema import metadata
from ivr.store.store import BadCursor, Store
from ivr.turn import Alternative

BEGAN = datetime(2026, 1, 31, 9, 30, 0, 123_000, tzinfo=UTC)
PIN_WORDS = "seven-nine-octarine"
PIN_DIGITS = "80427315"


def start(call_id="c1", **changes) -> CallStart:
    fields = {
        "id": call_id,
        "direction": "in",
        "number": "401",
        "caller": "+8613812345678",
        "language": "zh",
        "started_at": BEGAN,
        "plan": "main",
        "plan_version": "3",
        "sip_call_id": "abc@127.0.0.1",
        "source": "127.0.0.1",
        "trunk": "carrier",
    }
    return CallStart(**fields | changes)


def end(at: datetime = BEGAN + timedelta(seconds=21), **changes) -> CallEnd:
    return CallEnd(**{"ended_at": at, "cause": "hangup", "by": "them", "outcome": "answered"} | changes)


TURN = TurnRecord(
    index=0,
    step="ask",
    started_at=BEGAN + timedelta(seconds=2),
    language="zh",
    said=(
        Said(text="您好。", heard_ms=800, total_ms=800),
        Said(text="请问需要什么帮助？", heard_ms=700, total_ms=2_000, interrupted=True),
    ),
    heard="我需要查询鸟巢附近的银行网点",
    alternatives=(Alternative("我需要查询鸟朝附近的银行网点", 0.61),),
    confidence=0.83,
    engine="whisper:base",
    value="我需要查询鸟巢附近的银行网点",
    intent="branch_near",
    answer="鸟巢附近有两家网点。",
    source="kb:branches:17",
    latency=Latency(
        endpoint_ms=260, decode_ms=310, understand_ms=15, engine_ms=1, render_ms=0, playout_ms=22, total_ms=410,
        speculative_hit=True,
    ),
)  # fmt: skip
PIN = TurnRecord(
    index=1,
    step="pin",
    started_at=BEGAN + timedelta(seconds=9),
    said=(Said(text=f"I heard {PIN_DIGITS}.", heard_ms=900, total_ms=900, sensitive=True),),
    heard=PIN_WORDS,
    alternatives=(Alternative(PIN_WORDS + " again", 0.2),),
    value=PIN_DIGITS,
    answer=PIN_DIGITS,
    keys=PIN_DIGITS,
    sensitive=True,
)


async def write_call(store: Store, call_id="c1", **ending) -> None:
    await store.begin(start(call_id))
    await store.leg(call_id, LegRecord(id="1", direction="in", address="+8613812345678", started_at=BEGAN))
    await store.turn(call_id, TURN)
    await store.end(call_id, end(**ending))


async def test_a_call_is_read_back_as_it_was_written(backend):
    async with backend.store() as store:
        await write_call(store, recording="c1.wav", reason="caller hung up")
        await store.leg(
            "c1",
            LegRecord(
                id="1", answered_at=BEGAN + timedelta(milliseconds=40), ended_at=BEGAN + timedelta(seconds=21),
                cause="hangup", by="them", code=200, codec="G722",
                quality=LegQuality(packets=1_050, lost=2, jitter_ms=1.5, rtt_ms=0.4),
            ),
        )  # fmt: skip
        await store.flush()
        detail = await store.call("c1")
    call, (leg,), (turn,) = detail.call, detail.legs, detail.turns
    for field in CallStart.__struct_fields__:
        assert getattr(call, field) == getattr(start(), field)
    assert (call.cause, call.by, call.reason, call.outcome) == ("hangup", "them", "caller hung up", "answered")
    assert (call.duration_ms, call.turns, call.recording) == (21_000, 1, "c1.wav")
    assert call.answered_at == leg.answered_at == BEGAN + timedelta(milliseconds=40)
    assert leg.started_at == BEGAN
    assert (leg.direction, leg.address, leg.code, leg.codec) == ("in", "+8613812345678", 200, "G722")
    assert leg.quality == LegQuality(packets=1_050, lost=2, jitter_ms=1.5, rtt_ms=0.4)
    assert [s.heard_text for s in turn.said] == ["您好。", "请问需"]
    plain = tuple(msgspec.structs.replace(s, heard_text="") for s in turn.said)
    assert msgspec.structs.replace(turn, said=plain) == TURN


async def test_an_unknown_call_is_none(backend):
    async with backend.store() as store:
        assert await store.call("nobody") is None
        assert await store.inputs("nobody") is None


async def test_inputs_are_read_back_in_order_and_purged_with_the_words(backend):
    heard = {"input": "heard", "given": {"understood": {"value": "我的银行卡丢了", "confidence": 0.75}}, "step": "ask"}
    async with backend.store() as store:
        await write_call(store)
        for index in (1, 0, 2):
            at = BEGAN + timedelta(seconds=index, microseconds=123_999)
            await store.input("c1", index, at, {"index": index} | heard)
        await store.input("c1", 2, BEGAN, {"a\0b": "NUL \0", "n": None})
        await store.input("nobody", 0, BEGAN, heard)
        await store.flush()
        kept = await store.inputs("c1")
        assert [(i.index, i.body.get("index")) for i in kept.inputs] == [(0, 0), (1, 1), (2, None)]
        assert kept.inputs[1].body == {"index": 1} | heard
        assert kept.inputs[1].at == BEGAN + timedelta(seconds=1, milliseconds=123)
        assert "\0" not in str(kept.inputs[2].body)
        assert (await store.purge(0)).inputs == 3
        assert (await store.inputs("c1")).inputs == ()
    assert "银行卡".encode() not in backend.everything()


async def test_the_latest_calls_are_those_that_are_over_and_can_be_replayed(backend):
    async with backend.store() as store:
        for i in range(6):
            plan, language = ("bank", "en") if i % 2 else ("main", "zh")
            await store.begin(start(f"c{i}", plan=plan, language=language, started_at=BEGAN + timedelta(seconds=i)))
            await store.input(f"c{i}", 0, BEGAN, {"input": "started"})
            await store.end(f"c{i}", end())
        await store.begin(start("running", started_at=BEGAN + timedelta(hours=1)))
        await store.input("running", 0, BEGAN, {"input": "started"})
        await write_call(store, "silent")
        await store.flush()

        async def ids(limit, **filters):
            return [c.id for c in await store.latest_calls(limit, **filters)]

        assert await ids(2) == ["c5", "c4"]
        assert await ids(300) == ["c5", "c4", "c3", "c2", "c1", "c0"]
        assert await ids(2, plan="bank") == ["c5", "c3"]
        assert await ids(9, language="zh") == ["c4", "c2", "c0"]


async def test_a_reader_beside_a_running_server_reads_and_writes_nothing(backend):
    async with backend.store() as store:
        await write_call(store)
        await store.input("c1", 0, BEGAN, {"input": "started"})
        await store.flush()
        reader = Store(backend.url, backend.root)
        await reader.open(read_only=True)
        assert [c.id for c in await reader.latest_calls(5)] == ["c1"]
        await write_call(store, "c2")
        await store.input("c2", 0, BEGAN, {"input": "started"})
        await store.flush()
        assert {c.id for c in await reader.latest_calls(5)} == {"c1", "c2"}
        with pytest.raises(Unavailable, match="not open"):
            await reader.begin(start("c3"))
        await reader.close()
    backend.execute("UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(Unavailable, match="has schema 0001, this version reads 0006"):
        await Store(backend.url, backend.root).open(read_only=True)


async def test_a_reader_makes_no_database(sqlite_only):
    with pytest.raises(Unavailable, match="there is no database"):
        await Store(sqlite_only.url, sqlite_only.root).open(read_only=True)
    assert not (sqlite_only.root / "var").exists()


async def test_running_calls_are_counted_by_the_version_they_run_on(backend):
    async with backend.store(server="here") as store:
        for i, version in enumerate(("1", "2", "2")):
            await store.begin(start(f"c{i}", plan_version=version))
        await write_call(store, "over")
        await store.flush()
        async with backend.store(server="elsewhere") as other:
            await other.begin(start("theirs"))
            await other.flush()
        assert await store.running() == (
            PlanCalls(plan="main", version="1", calls=1), PlanCalls(plan="main", version="2", calls=2),
        )  # fmt: skip


async def test_published_versions_of_plans_are_kept_with_their_files(backend):
    files = {"bank.yaml": "prompt: {zh: 您好}\n", "bank.knowledge.yaml": "entries: []\n"}
    async with backend.store() as store:
        for i, version in enumerate(("aa", "bb", "aa")):
            await store.plan_published(PlanVersion(name="bank", version=version, at=BEGAN + timedelta(hours=i)), files)
        await store.plan_published(PlanVersion(name="other", version="cc", at=BEGAN), {})
        await store.flush()
        versions = await store.plan_versions("bank")
        assert [(v.version, v.at - BEGAN) for v in versions] == [("aa", timedelta(hours=2)), ("bb", timedelta(hours=1))]
        assert await store.plan_files("bank", "bb") == files
        assert await store.plan_files("bank", "cc") is None
        assert await store.plan_versions("nothing") == ()


async def test_later_words_on_a_leg_or_turn_replace_and_the_first_end_counts(backend):
    async with backend.store() as store:
        await write_call(store)
        await store.begin(start(number="999"))
        await store.leg("c1", LegRecord(id="1", cause="busy", codec="", address=None))
        await store.leg("c1", LegRecord(id="1", cause="hangup"))
        await store.turn("c1", TurnRecord(index=0, step="ask", heard="again"))
        await store.end("c1", end(cause="failed", by="us"))
        await store.flush()
        detail = await store.call("c1")
        health = store.health()
    assert detail.call.number == "401"
    assert (detail.call.cause, detail.call.by) == ("hangup", "them")
    assert (detail.legs[0].cause, detail.legs[0].address) == ("hangup", "+8613812345678")
    assert [(t.heard, t.said, t.value) for t in detail.turns] == [("again", (), None)]
    assert (health.failing, health.lost, health.queued) == (False, 0, 0)


async def test_pages_hold_every_call_once_newest_first(backend):
    async with backend.store() as store:
        for i in range(23):
            await store.begin(start(f"c{i:02d}", started_at=BEGAN + timedelta(seconds=i // 5)))
        await store.flush()
        seen, cursor, pages = [], "", 0
        while cursor is not None:
            page = await store.calls(cursor, limit=4)
            await store.begin(start(f"late{pages}", started_at=BEGAN + timedelta(hours=1)))
            seen += [c.id for c in page.calls]
            cursor, pages = page.next, pages + 1
    assert seen == [f"c{i:02d}" for i in reversed(range(23))]
    assert pages == 6


async def test_filters_choose_calls(backend):
    async with backend.store() as store:
        await write_call(store, "zh")
        await store.begin(start("en", language="en", number="400", caller="77", plan="night"))
        await store.begin(start("old", started_at=BEGAN - timedelta(days=1)))
        await store.end("en", end(cause="rtp_timeout", by="us"))
        await store.flush()

        async def ids(**filters):
            return {c.id for c in (await store.calls(filters=CallFilter(**filters))).calls}

        assert await ids() == {"zh", "en", "old"}
        assert await ids(since=BEGAN) == {"zh", "en"}
        assert await ids(until=BEGAN) == {"old"}
        assert await ids(number="400") == {"en"}
        assert await ids(caller="77") == {"en"}
        assert await ids(cause="hangup") == {"zh"}
        assert await ids(language="zh", plan="main", since=BEGAN) == {"zh"}
        assert await ids(plan="nothing") == set()


@pytest.mark.parametrize("cursor", ["x", "????", "eA==", "MjAyNi0wMS0zMQ", "ÿ", "MDAwMS0wMS0wMVQwMDowMDowMCsxNDowMCBj"])
async def test_a_cursor_of_somebody_elses_is_refused(sqlite_only, cursor):
    async with sqlite_only.store() as store:
        with pytest.raises(BadCursor):
            await store.calls(cursor)


async def test_what_is_sensitive_never_reaches_the_database(backend):
    async with backend.store() as store:
        await write_call(store)
        await store.turn("c1", PIN)
        await store.flush()
        while_open = backend.everything()
        turn = (await store.call("c1")).turns[1]
    for held in (while_open, backend.everything()):
        assert "鸟巢".encode() in held or b"\\u9e1f" in held, "the search must be able to find what is there"
        assert PIN_WORDS.encode() not in held
        assert PIN_DIGITS.encode() not in held
    assert (turn.heard, turn.value, turn.answer, turn.keys) == (MASK,) * 4
    assert turn.said[0].text == turn.said[0].heard_text == MASK
    assert turn.alternatives == ()


async def test_calls_of_a_dead_server_become_failed_at_the_last_thing_known(backend):
    async with backend.store(server="a") as store:
        await write_call(store, "ended")
        await store.begin(start("open"))
        await store.leg("open", LegRecord(id="1", started_at=BEGAN, answered_at=BEGAN + timedelta(seconds=1)))
        await store.turn("open", TURN)
        await store.begin(start("silent"))
    async with backend.store(server="b") as other:
        await other.begin(start("elsewhere"))
        await other.flush()
        async with backend.store(server="a") as store:
            assert await store.recover("the server died") == 2
            assert await store.recover("the server died") == 0
            opened, silent = await store.call("open"), await store.call("silent")
            assert (await store.call("elsewhere")).call.cause is None
            assert (await store.call("ended")).call.cause == "hangup"
    assert (opened.call.cause, opened.call.by, opened.call.reason) == ("failed", "us", "the server died")
    assert opened.call.ended_at == TURN.started_at
    assert (opened.legs[0].cause, opened.legs[0].ended_at) == ("brain_lost", TURN.started_at)
    assert silent.call.duration_ms == 0


async def test_what_was_flushed_survives_a_server_that_dies_without_a_word(backend):
    program = f"""
import asyncio, os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_store import Store, TURN, start
async def main():
    store = Store({backend.url!r}, {str(backend.root)!r}, server="a")
    await store.open()
    await store.begin(start())
    await store.turn("c1", TURN)
    await store.flush()
    os._exit(9)
asyncio.run(main())
"""
    died = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    assert await died.wait() == 9
    async with backend.store(server="a") as store:
        assert await store.recover("died") == 1
        detail = await store.call("c1")
    assert detail.turns[0].heard == TURN.heard
    assert detail.call.cause == "failed"


async def test_purging_removes_words_and_recordings_and_keeps_the_data_record(backend):
    long_ago, lately = datetime.now(UTC) - timedelta(days=100), datetime.now(UTC) - timedelta(days=1)
    recordings = backend.root / "recordings"
    for name in ("old.wav", "young.wav"):
        (recordings / name).write_bytes(b"RIFF")
    (recordings / "stuck.wav").mkdir()
    (backend.root / "outside.wav").write_bytes(b"RIFF")
    async with backend.store() as store:
        await write_call(store, "old", at=long_ago, recording="old.wav")
        await write_call(store, "gone", at=long_ago, recording="was_deleted_by_hand.wav")
        await write_call(store, "stuck", at=long_ago, recording="stuck.wav")
        await write_call(store, "outside", at=long_ago, recording="../outside.wav")
        await store.begin(start("open", started_at=long_ago))
        await store.flush()
        assert "网点".encode() in backend.everything() or b"\\u7f51" in backend.everything()
        purged = await store.purge(90)
        old = await store.call("old")
        assert (await store.call("open")).call.purged_at is None
        assert (await store.call("stuck")).turns[0].heard == TURN.heard
        assert (purged.calls, purged.turns, purged.recordings, purged.recordings_left) == (2, 2, 1, 2)

        (recordings / "stuck.wav").rmdir()
        backend.execute("UPDATE calls SET recording = NULL WHERE id = 'outside'")
        assert (await store.purge(90)).calls == 2
        held = backend.everything()
        await write_call(store, "young", at=lately, recording="young.wav")
        await store.flush()
        assert (await store.purge(90)).calls == 0
        assert (await store.call("young")).turns[0].heard == TURN.heard
    assert "网点".encode() not in held
    assert b"\\u7f51" not in held
    assert old.call.purged_at is not None
    assert (old.call.number, old.call.cause, old.call.turns, old.call.recording) == ("401", "hangup", 1, None)
    assert (old.turns[0].heard, old.turns[0].said, old.turns[0].answer) == (None, (), None)
    assert (old.turns[0].step, old.turns[0].latency) == ("ask", TURN.latency)
    assert sorted(p.name for p in recordings.iterdir()) == ["young.wav"]
    assert (backend.root / "outside.wav").exists()


async def test_a_purge_of_many_leaves_room_for_live_records(sqlite_only):
    async with sqlite_only.store() as store:
        for i in range(250):
            await store.begin(start(f"c{i}"))
            await store.end(f"c{i}", end())
        await store.flush()
        purge = asyncio.create_task(store.purge(1))
        await store.begin(start("live", started_at=datetime.now(UTC)))
        assert (await purge).calls == 250
        assert await store.call("live") is not None


async def test_a_database_in_trouble_stops_no_call_and_loses_no_record(backend, monkeypatch):
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 20)
    async with backend.store() as store:
        await store.begin(start("before"))
        await store.flush()
        with capture_logs() as lines:
            backend.break_()
            await write_call(store, "during")
            while not store.health().failing:  # noqa: ASYNC110 - seen from outside, as /healthz sees it
                await asyncio.sleep(0.01)
            assert store.health().queued > 0
            backend.mend()
            await store.flush()
        detail = await store.call("during")
        health = store.health()
    assert (detail.call.cause, detail.turns[0].heard) == ("hangup", TURN.heard)
    assert (health.failing, health.lost, health.queued) == (False, 0, 0)
    events = [line["event"] for line in lines]
    assert events == ["store fails, records wait", "store works again"]
    assert "鸟巢" not in str(lines)


async def test_a_record_that_cannot_be_written_does_not_harm_the_next(backend):
    with capture_logs() as lines:
        async with backend.store() as store:
            await store.turn("no such call", TURN)
            await store.begin(start("naive", started_at=datetime(2026, 1, 1)))
            await store.begin(start("odd", number="4\x000\ud8000", caller="x" * 5_000))
            await store.flush()
            odd = await store.call("odd")
            assert store.health().lost == 2
    assert odd.call.number == "4\ufffd0?0"
    assert len(odd.call.caller) == 128
    assert [(line["record"], line["call"]) for line in lines] == [("turn", "no such call"), ("begin", "naive")]
    assert "鸟巢" not in str(lines)


CONTENTS = {"NUL": "4\x000", "lone surrogate": "4\ud8000", "integer": 2**70, "constraint": None}


async def test_a_write_that_is_refused_for_what_it_holds_is_tried_once_and_told(backend):
    contents = {name: value for name, value in CONTENTS.items() if (name, backend.name) != ("NUL", "sqlite")}
    async with backend.store() as store:
        await store.write("table", lambda c: c.execute(sa.text("CREATE TABLE t (a INTEGER NOT NULL, b TEXT NOT NULL)")))
        for name, value in contents.items():
            row = {"a": 1, "b": value} if name != "integer" else {"a": value, "b": ""}
            tries = []

            def write(connection, row=row, tries=tries):
                tries.append(row)
                connection.execute(sa.text("INSERT INTO t VALUES (:a, :b)"), row)

            with capture_logs() as lines, pytest.raises(Rejected):
                await store.write("row", write)
            assert (len(tries), [line["event"] for line in lines]) == (1, ["record refused by the store"]), name
        await store.write("row", lambda c: c.execute(sa.text("INSERT INTO t VALUES (1, 'kept')")))
        health = store.health()
        assert (health.refused, health.lost, health.failing) == (len(contents), 0, False)
        assert backend.execute("SELECT b FROM t") == [("kept",)]
        with pytest.raises(Unavailable) as caught:
            await store.write("row", lambda c: c.execute(sa.text("INSERT INTO nowhere VALUES (1)")))
        assert not isinstance(caught.value, Rejected)


async def test_readers_do_not_wait_for_the_writer(backend):
    async with backend.store() as store:
        await write_call(store)
        await store.flush()
        held = asyncio.Event()
        loop = asyncio.get_running_loop()
        release = asyncio.Event()

        def hold(connection):
            connection.execute(sa.text("UPDATE calls SET number = '0'"))
            loop.call_soon_threadsafe(held.set)
            asyncio.run_coroutine_threadsafe(release.wait(), loop).result(30)

        writing = asyncio.create_task(store._writer.ask("hold", hold))
        await held.wait()
        numbers = [d.call.number for d in await asyncio.gather(*(store.call("c1") for _ in range(20)))]
        release.set()
        await writing
        assert numbers == ["401"] * 20
        assert (await store.call("c1")).call.number == "0"


async def test_too_many_readers_are_told_so(sqlite_only):
    async with sqlite_only.store() as store:
        answers = await asyncio.gather(*(store.calls() for _ in range(200)), return_exceptions=True)
        refused = [a for a in answers if isinstance(a, Unavailable)]
        assert len(refused) == 200 - 64
        assert (await store.calls()).calls == ()


async def test_the_migrations_build_what_the_schema_says(backend):
    async with backend.store() as store:
        with store._reading.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []


async def test_opening_again_keeps_what_is_there(backend):
    async with backend.store() as store:
        await write_call(store)
    async with backend.store() as store:
        assert (await store.call("c1")).call.cause == "hangup"


async def test_two_servers_may_open_a_fresh_database_at_once(backend):
    stores = [Store(backend.url, backend.root, server=str(i)) for i in range(4)]
    await asyncio.gather(*(s.open() for s in stores))
    for i, store in enumerate(stores):
        await write_call(store, f"c{i}")
        await store.close()
    assert backend.execute("SELECT count(*) FROM calls WHERE cause = 'hangup'") == [(4,)]


async def test_a_newer_schema_is_refused_and_left_alone(backend):
    async with backend.store() as store:
        await write_call(store)
    backend.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Unavailable, match=r"schema 9999, newer than 0\d+"):
        async with backend.store():
            pass
    assert backend.execute("SELECT version_num FROM alembic_version") == [("9999",)]
    assert backend.execute("SELECT count(*) FROM turns") == [(1,)]


async def test_a_file_that_is_no_database_is_refused_in_words(sqlite_only):
    (sqlite_only.root / "var").mkdir()
    (sqlite_only.root / "var/ivr.db").write_bytes(b"not a database" * 400)
    with pytest.raises(Unavailable, match=r"var/ivr\.db cannot be used: file is not a database"):
        async with sqlite_only.store():
            pass


async def test_a_server_that_is_not_there_is_refused_without_the_password(tmp_path):
    store = Store("postgresql://ivr:geheim@127.0.0.1:24499/ivr", tmp_path)
    with pytest.raises(Unavailable) as caught:
        await store.open()
    assert "24499" in str(caught.value)
    assert "geheim" not in str(caught.value)


async def test_sqlite_runs_as_promised(sqlite_only):
    async with sqlite_only.store() as store:
        await write_call(store)

        def pragmas(connection):
            names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "secure_delete")
            return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

        assert await store._writer.ask("pragmas", pragmas) == ["wal", 2, 1, 5_000, 1]
        path = sqlite_only.root / "var/ivr.db"
        assert path.stat().st_mode & 0o077 == 0
        with pytest.raises(Unavailable, match="readonly"):
            await store.read(lambda c: c.exec_driver_sql("DELETE FROM calls"))


async def test_times_are_stored_as_utc_iso_8601(sqlite_only):
    async with sqlite_only.store() as store:
        beijing = datetime.fromisoformat("2026-01-31T17:30:00.123999+08:00")
        await store.begin(start(started_at=beijing))
    assert sqlite_only.execute("SELECT started_at FROM calls") == [("2026-01-31T09:30:00.123Z",)]

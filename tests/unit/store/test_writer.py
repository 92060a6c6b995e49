"""The writer's policy, on an engine that fails as the test says: order, retries, overflow, closing."""

import sqlite3
import threading
from contextlib import contextmanager

import pytest
from sqlalchemy import exc
from structlog.testing import capture_logs

from ivr.errors import Rejected, Unavailable
from ivr.store import writer as module
from ivr.store.database import WROTE
from ivr.store.writer import Writer


def _busy() -> Exception:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return exc.OperationalError("INSERT", (), error)


def _full() -> Exception:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return exc.OperationalError("INSERT", (), error)


def _bad() -> Exception:
    return exc.IntegrityError("INSERT", (), sqlite3.IntegrityError("NOT NULL constraint failed"))


class Engine:
    """`begin` raises the errors given, in order, then works; `gate` closed holds the writer."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.attempts = 0
        self.gate = threading.Event()
        self.gate.set()
        self.disposed = False
        self.info: dict[str, bool] = {}

    @contextmanager
    def begin(self):
        self.gate.wait()
        self.attempts += 1
        if self.errors:
            raise self.errors.pop(0)
        yield self

    def dispose(self) -> None:
        self.disposed = True


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(module, "_FIRST_PAUSE_S", 0.0)


@pytest.fixture
def written():
    return []


def _note(written, what):
    return lambda _connection: written.append(what)


async def test_records_are_written_in_the_order_given(written):
    writer = Writer(Engine())
    writer.start()
    for i in range(100):
        writer.submit("turn", "c", _note(written, i))
    assert await writer.ask("flush", lambda _: "done") == "done"
    assert written == list(range(100))
    await writer.close(5)


async def test_a_transient_error_is_tried_again_and_order_is_kept(written):
    engine = Engine(_busy(), _busy(), _busy())
    writer = Writer(engine)
    with capture_logs() as lines:
        writer.start()
        writer.submit("begin", "c", _note(written, "begin"))
        writer.submit("end", "c", _note(written, "end"))
        await writer.ask("flush", lambda _: None)
    assert written == ["begin", "end"]
    assert engine.attempts == 3 + 3
    assert [line["event"] for line in lines] == ["store fails, records wait", "store works again"]
    assert (writer.lost, writer.failing_since) == (0, None)
    await writer.close(5)


async def test_a_record_that_cannot_be_written_is_dropped_and_the_next_one_is_written(written):
    engine = Engine(_bad())
    writer = Writer(engine)
    with capture_logs() as lines:
        writer.start()
        writer.submit("turn", "c1", _note(written, "bad"))
        writer.submit("turn", "c2", _note(written, "good"))
        await writer.ask("flush", lambda _: None)
    assert written == ["good"]
    assert writer.lost == 1
    assert [(line["event"], line["call"]) for line in lines] == [("record refused by the store", "c1")]
    await writer.close(5)


async def test_a_full_disk_is_over_when_something_was_written_and_not_before(written):
    engine = Engine(_full())
    writer = Writer(engine, patience_s=0)
    with capture_logs() as lines:
        writer.start()
        writer.submit("turn", "c", _note(written, "no room"))
        for _ in range(3):
            await writer.ask("sweep", lambda _: None)
            assert writer.failing_since is not None
        await writer.ask("row", lambda _: engine.info.update({WROTE: True}))
        assert writer.failing_since is None
    assert [line["event"] for line in lines] == ["store fails, records wait", "store works again"]
    await writer.close(5)


async def test_a_full_disk_is_over_when_nothing_failed_for_a_while(written, monkeypatch):
    monkeypatch.setattr(module, "HALF_OPEN_S", 0)
    writer = Writer(Engine(_full()), patience_s=0)
    writer.start()
    writer.submit("turn", "c", _note(written, "no room"))
    await writer.ask("sweep", lambda _: None)
    assert writer.failing_since is None
    await writer.close(5)


async def test_patience_with_an_outage_has_an_end(written):
    writer = Writer(Engine(_busy(), _busy()), patience_s=0)
    writer.start()
    for i in range(3):
        writer.submit("turn", "c", _note(written, i))
    await writer.ask("flush", lambda _: None)
    assert written == [2]
    assert writer.lost == 2
    await writer.close(5)


async def test_an_asker_learns_why_it_could_not_be_done():
    engine = Engine(_bad())
    writer = Writer(engine)
    writer.start()
    with capture_logs() as lines, pytest.raises(Rejected, match="NOT NULL"):
        await writer.ask("purge", lambda _: None)
    assert (writer.lost, writer.refused, engine.attempts) == (0, 1, 1)
    assert [(line["event"], line["record"]) for line in lines] == [("record refused by the store", "purge")]
    await writer.close(5)


async def test_an_exception_of_a_job_does_not_end_the_thread(written):
    writer = Writer(Engine())
    writer.start()
    writer.submit("turn", "c", lambda _: 1 / 0)
    writer.submit("turn", "c", _note(written, "next"))
    await writer.ask("flush", lambda _: None)
    assert written == ["next"]
    await writer.close(5)


async def test_a_full_queue_drops_the_newest_but_keeps_room_for_what_ends_calls(written):
    engine = Engine()
    engine.gate.clear()
    writer = Writer(engine, limit=3)
    with capture_logs() as lines:
        for i in range(5):
            writer.submit("turn", "c", _note(written, i))
        writer.submit("end", "c", _note(written, "end"), urgent=True)
        with pytest.raises(Unavailable):
            await writer.ask("purge", lambda _: None)
        writer.start()
        engine.gate.set()
        await writer.close(5)
    assert written == [0, 1, 2, "end"]
    assert writer.lost == 2
    assert [line["event"] for line in lines] == ["store queue full, records are lost"]


async def test_closing_writes_what_is_queued_and_lets_go_of_the_database(written):
    engine = Engine()
    writer = Writer(engine)
    writer.start()
    for i in range(50):
        writer.submit("turn", "c", _note(written, i))
    await writer.close(5)
    assert written == list(range(50))
    assert engine.disposed
    writer.submit("turn", "c", _note(written, "late"))
    assert "late" not in written
    assert writer.lost == 1
    await writer.close(5)


async def test_closing_has_a_deadline_and_says_what_was_lost(written):
    engine = Engine()
    engine.gate.clear()
    writer = Writer(engine)
    with capture_logs() as lines:
        writer.start()
        writer.submit("turn", "c", _note(written, 0))
        writer.submit("turn", "c", _note(written, 1))
        closing = writer.close(0)
        engine.errors = [_busy()]
        await closing
    assert lines[-1]["event"] == "store closed before all was written"
    assert written == []
    engine.gate.set()

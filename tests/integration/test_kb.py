"""The knowledge base from end to end: database, index folder, child process, HTTP and `ivr kb`, with the real model."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import msgspec
import pytest

from ivr import cli
from ivr.errors import Unavailable
from ivr.kb import indexing, live
from ivr.kb.entry import KbEntry, KbFound, KbPage, KbQuery, KbVersions
from ivr.kb.live import KnowledgeBase
from ivr.store.kb import KbEntries
from ivr.store.store import Store
from ivr.web import server
from ivr.web.api import create_app

ROOT = Path(__file__).parents[2]
LOST = KbEntry(id="lost", language="en", questions=("I lost my card", "My card was stolen"), answer="Say block.")
LOST_ZH = KbEntry(id="lost-zh", language="zh", questions=("银行卡丢了怎么办", "卡找不着了"), answer="请挂失。")
HOURS = KbEntry(id="hours", language="en", questions=("When do you open?",), answer="At nine.", tags=("branch",))
STORE = '[store]\nurl = "sqlite:///ivr.db"\nkb_index = "kb"\n'
NUMBER = '[[number]]\npattern = "400"\nplan = "main"\nlanguage = "en"\n'
TOKEN = {"Authorization": "Bearer secret"}


@pytest.fixture
async def entries(tmp_path):
    store = Store("sqlite:///ivr.db", tmp_path)
    await store.open()
    yield KbEntries(store)
    await store.close()


@pytest.fixture
async def base(entries, tmp_path):
    base = KnowledgeBase(entries, tmp_path / "kb")
    await base.open()
    yield base
    await base.close()


def ask(text: str, language: str = "en", **more) -> KbQuery:
    return KbQuery(text=text, language=language, bar=0.0, **more)


async def first(base: KnowledgeBase, text: str, language: str = "en", **more) -> str:
    found = await base.search(ask(text, language, **more))
    return found.hits[0].entry.answer if found.hits else ""


async def test_every_change_is_a_version_and_any_can_be_put_back(entries):
    saved = await entries.save([LOST, LOST_ZH, LOST])
    assert [(s.what, s.version) for s in saved] == [("new", 1), ("new", 1), ("unchanged", 1)]
    newer = msgspec.structs.replace(LOST, answer="Say stop.")
    assert [(s.what, s.version) for s in await entries.save([newer])] == [("changed", 2)]
    stale = msgspec.structs.replace(LOST, answer="Say no.", version=1)
    assert [(s.what, s.version) for s in await entries.save([stale])] == [("conflict", 2)]
    assert (await entries.rollback("lost", 1)).version == 3
    assert (await entries.entry("lost")).answer == "Say block."
    assert (await entries.remove("lost")).what == "removed"
    assert await entries.entry("lost") is None
    assert (await entries.remove("lost")).what == "missing"
    assert (await entries.rollback("lost", 9)).what == "missing"
    assert (await entries.rollback("lost", 2)).version == 5
    versions = (await entries.versions("lost")).versions
    assert [(v.version, v.removed, v.entry.answer) for v in versions] == [
        (5, False, "Say stop."), (4, True, "Say block."), (3, False, "Say block."), (2, False, "Say stop."),
        (1, False, "Say block."),
    ]  # fmt: skip
    assert await entries.versions("nobody") is None


async def test_changes_come_in_order_and_pages_end(entries):
    await entries.save([LOST, LOST_ZH, HOURS])
    mark = await entries.latest_change()
    await entries.save([msgspec.structs.replace(LOST, answer="x")])
    await entries.remove("hours")
    changes = await entries.changes(mark)
    assert [(c.entry.id, c.removed) for c in changes] == [("lost", False), ("hours", True)]
    assert changes[0].change < changes[1].change == await entries.latest_change()
    page = await entries.page(limit=1)
    rest = await entries.page(page.next, limit=5)
    assert [e.id for e in (*page.entries, *rest.entries)] == ["lost", "lost-zh"]
    assert rest.next is None
    assert [e.id async for e in entries.all("zh")] == ["lost-zh"]


async def test_a_change_is_found_at_once_and_after_indexing_too(entries, base, tmp_path):
    await entries.save([LOST, LOST_ZH, HOURS])
    for indexed in (False, True):
        if indexed:
            done = await indexing.index(entries, tmp_path / "kb", lambda *_: None)
            assert (done.entries, done.embedded) == (3, 5)
        await base.refresh()
        assert base.entries == 3
        assert await first(base, "somebody took my card") == "Say block."
        assert await first(base, "卡不见了", "zh") == "请挂失。"
        assert await first(base, "opening hours", tags=("branch",)) == "At nine."
    await entries.save([msgspec.structs.replace(LOST, answer="Say stop.")])
    await entries.remove("lost-zh")
    await base.refresh()
    assert await first(base, "I lost my card") == "Say stop."
    assert await first(base, "卡不见了", "zh") == ""
    again = await indexing.index(entries, tmp_path / "kb", lambda *_: None)
    assert (again.entries, again.embedded) == (2, 0)


async def test_who_may_not_hear_it_does_not_and_what_ended_is_silent(entries, base):
    today = datetime.now(UTC).date()
    yesterday = today - timedelta(days=1)
    await entries.save([
        msgspec.structs.replace(LOST, id="a", audience="agents", answer="for agents"),
        msgspec.structs.replace(LOST, id="v", audience="verified", answer="for verified"),
        msgspec.structs.replace(LOST, id="o", valid_until=yesterday, answer="ended"),
        msgspec.structs.replace(LOST, id="n", valid_from=today + timedelta(days=1), answer="to come"),
    ])  # fmt: skip
    await base.refresh()
    heard = {}
    for audience in ("public", "verified", "agents"):
        found = await base.search(ask("I lost my card", audience=audience, limit=10))
        heard[audience] = {h.entry.answer for h in (*found.hits, *found.below)}
    assert heard == {"public": set(), "verified": {"for verified"}, "agents": {"for verified", "for agents"}}
    assert await first(base, "I lost my card", on=yesterday) == "ended"


@pytest.mark.parametrize(
    "text",
    [
        " ",
        "?!",
        "\x00\x07",
        "😀😀",
        "x" * 2_000,
        "'; DROP TABLE kb_entries; --",
        "{{7*7}} ${x}",
        "卡card丢lost了",
        "\ud800",
    ],
)
async def test_odd_questions_get_a_result(entries, base, text):
    await entries.save([LOST, LOST_ZH])
    await base.refresh()
    for language in ("en", "zh"):
        found = await base.search(KbQuery(text=text, language=language))
        assert all(0 <= hit.score <= 1 for hit in (*found.hits, *found.below))


async def test_a_kill_while_indexing_loses_no_entry_and_no_finished_batch(entries, tmp_path):
    many = [KbEntry(id=f"e{i}", language="en", questions=(f"question number {i}",), answer=f"{i}") for i in range(200)]
    await entries.save(many)
    (tmp_path / "config.toml").write_text(f"{STORE}{NUMBER}")
    command = [sys.executable, "-m", "ivr", "kb", "index", "--config", str(tmp_path / "config.toml")]
    child = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=subprocess.PIPE)
    await embedding(tmp_path)
    journal = tmp_path / "kb" / "journal"
    child.send_signal(signal.SIGKILL)
    await child.wait()
    with journal.open("ab") as torn:
        torn.write(b"half a record")
    done = await indexing.index(entries, tmp_path / "kb", lambda *_: None)
    assert (done.entries, done.embedded + done.kept) == (200, 200)
    assert done.kept >= indexing.BATCH
    base = KnowledgeBase(entries, tmp_path / "kb")
    await base.open()
    assert base.entries == 200
    await base.close()


async def test_a_large_change_is_left_to_a_child_and_what_it_replaces_is_silent(entries, tmp_path, monkeypatch):
    monkeypatch.setattr(live, "DELTA_ENTRIES", 1)
    (tmp_path / "config.toml").write_text(f"{STORE}{NUMBER}")
    await entries.save([LOST])
    await indexing.index(entries, tmp_path / "kb", lambda *_: None)
    base = KnowledgeBase(entries, tmp_path / "kb", tmp_path / "config.toml")
    await base.open()
    await entries.save([msgspec.structs.replace(LOST, answer="new"), LOST_ZH, HOURS])
    await base.refresh()
    assert await first(base, "When do you open?") == "At nine."
    assert await first(base, "I lost my card") != "Say block."
    async with asyncio.timeout(60):
        while base.entries < 3:
            await base.refresh()
            await asyncio.sleep(0.05)
    assert await first(base, "I lost my card") == "new"
    assert await first(base, "卡不见了", "zh") == "请挂失。"
    await base.close()


def long_work(folder: Path) -> list[KbEntry]:
    """More than can be embedded while a test waits, and the configuration to index it by."""
    (folder / "config.toml").write_text(f"{STORE}{NUMBER}")
    return [KbEntry(id=f"e{i}", language="en", questions=(f"question {i} " * 3,), answer=f"{i}") for i in range(3_000)]


def runs(pid: int) -> bool:
    """Whether a process, of whichever parent, is there and more than waiting to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def embedding(folder: Path) -> None:
    """Until the child has written its first vectors."""
    journal = folder / "kb" / "journal"
    async with asyncio.timeout(60):
        while not (journal.exists() and journal.stat().st_size):  # noqa: ASYNC110 - a file of another process
            await asyncio.sleep(0.01)


async def test_a_server_that_stops_takes_its_indexing_along_and_starts_none_again(entries, tmp_path, monkeypatch):
    monkeypatch.setattr(live, "_INDEX_AGAIN_S", 0.0)
    await entries.save(long_work(tmp_path))
    base = KnowledgeBase(entries, tmp_path / "kb", tmp_path / "config.toml")
    await base.open()
    await base.refresh()  # what the server takes itself
    await base.refresh()
    child = base._child
    await embedding(tmp_path)
    async with asyncio.timeout(5):
        await base.stop_indexing()
    assert child.returncode == -signal.SIGKILL
    await base.refresh()
    assert base._child is child
    assert (await base.search(ask("question 4999"))).entries > 0
    await base.close()


async def test_indexing_ends_when_the_process_that_started_it_is_killed(entries, tmp_path):
    await entries.save(long_work(tmp_path))
    index = ["-m", "ivr", "kb", "index", "--config", str(tmp_path / "config.toml"), "--dies-with"]
    starts = (
        "import os, subprocess, sys, time; "
        "print(subprocess.Popen([sys.executable, *sys.argv[1:], str(os.getpid())]).pid, flush=True); time.sleep(600)"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", starts, *index, cwd=ROOT, stdout=subprocess.PIPE
    )
    child = int(await parent.stdout.readline())
    await embedding(tmp_path)
    parent.kill()
    await parent.wait()
    async with asyncio.timeout(60):
        while runs(child):  # noqa: ASYNC110 - a process of somebody else
            await asyncio.sleep(0.02)
    too_late = await asyncio.create_subprocess_exec(sys.executable, *index, str(parent.pid), cwd=ROOT)
    assert await too_late.wait() == 1


async def test_one_indexes_at_a_time_and_damage_is_mended(entries, tmp_path):
    folder = tmp_path / "kb"
    await entries.save([LOST])
    with indexing.sole(folder), pytest.raises(Unavailable, match="another process is indexing"):
        await indexing.index(entries, folder, lambda *_: None)
    await indexing.index(entries, folder, lambda *_: None)
    place = folder / indexing.current(folder).snapshot / "en"
    (place / "vectors.npy").write_bytes(b"broken")
    base = KnowledgeBase(entries, folder)
    await base.open()
    await base.refresh()
    assert await first(base, "my card is lost") == "Say block."
    await base.close()


async def test_http_keeps_entries_and_searches_them(entries, base, tmp_path):
    store = entries._store
    runner = await server.start(create_app(store, lambda: None, None, "secret", knowledge=base), "127.0.0.1", 0)
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=TOKEN) as client:

        async def call(method: str, path: str, body=None, status: int = 200, kind=dict):
            data = body if isinstance(body, bytes) else None if body is None else msgspec.json.encode(body)
            async with client.request(method, f"/v1/kb/{path}", data=data) as answer:
                text = await answer.read()
                assert answer.status == status, text
                return msgspec.json.decode(text, type=kind)

        assert (await call("POST", "entries", LOST, 201))["version"] == 1
        question = {"text": "my card has been stolen", "language": "en", "bar": 0.0}
        found = await call("POST", "search", question, kind=KbFound)
        assert (found.answered, found.hits[0].entry.id, found.entries) == (True, "lost", 1)
        assert (await call("PUT", "entries/lost-zh", msgspec.structs.replace(LOST_ZH, id="")))["what"] == "new"
        assert (await call("POST", "entries", LOST, 409))["errors"][0]["field"] == "id"
        changed = msgspec.structs.replace(LOST, answer="Say stop.", version=1)
        assert (await call("PUT", "entries/lost", changed))["version"] == 2
        assert (await call("PUT", "entries/lost", changed, 409))["errors"][0]["field"] == "version"
        assert (await call("POST", "search", question, kind=KbFound)).hits[0].entry.answer == "Say stop."
        assert (await call("POST", "entries/lost/rollback", {"version": 1}))["version"] == 3
        assert (await call("POST", "search", question, kind=KbFound)).hits[0].entry.answer == "Say block."
        assert len((await call("GET", "entries/lost/versions", kind=KbVersions)).versions) == 3
        page = await call("GET", "entries?limit=1", kind=KbPage)
        assert (page.entries[0].id, page.next) == ("lost", "lost")
        assert (await call("DELETE", "entries/lost"))["what"] == "removed"
        assert not (await call("POST", "search", question, kind=KbFound)).answered
        for method, path, body, status, field in (
            ("POST", "search", {"text": "", "language": "en"}, 400, "text"),
            ("POST", "search", {"text": "  ", "language": "en"}, 400, "text"),
            ("POST", "search", {"text": "x" * 10_000, "language": "en"}, 400, "text"),
            ("POST", "search", {"text": "x", "language": "fr"}, 400, "language"),
            ("POST", "search", {"text": "x", "language": "en", "audience": "all"}, 400, "audience"),
            ("POST", "search", b"{", 400, ""),
            ("POST", "search", b"", 400, ""),
            ("POST", "entries", {"language": "en", "questions": [], "answer": "a"}, 400, "id"),
            ("PUT", "entries/a", {"language": "en", "questions": ["?"], "answer": "a"}, 400, "questions"),
            ("PUT", "entries/a", {"language": "en", "questions": ["q"], "answer": "a", "x": 1}, 400, ""),
            ("GET", "entries/nobody", None, 404, ""),
            ("GET", "entries?limit=0", None, 400, "limit"),
            ("POST", "entries/lost/rollback", {"version": 99}, 404, "version"),
        ):
            problem = await call(method, path, body, status)
            assert [e["field"] for e in problem["errors"]] == ([field] if field else [])
        async with client.post("/v1/kb/search", json=question, headers={"Authorization": "Bearer no"}) as answer:
            assert answer.status == 401
    await runner.cleanup()


def test_the_command_takes_in_finds_measures_and_gives_out(tmp_path, capsys):
    (tmp_path / "config.toml").write_text(NUMBER)
    (tmp_path / "in.csv").write_text(
        'id,language,questions,answer,valid_until\nlost,en,"I lost my card\nMy card was stolen",Say block.,\n'
        "lost-zh,zh,银行卡丢了怎么办,请挂失。,\nold,en,Is there a summer offer?,Yes.,2024-01-01\nbad,xx,q,a,\n", "utf-8"
    )  # fmt: skip
    (tmp_path / "asked.csv").write_text(
        "question,id,language\nsomeone stole my card,lost,en\n卡不见了,lost-zh,zh\n", "utf-8"
    )

    def kb(*words: str, code: int = 0) -> str:
        assert cli.main(["kb", *words, "--config", str(tmp_path / "config.toml")]) == code
        out = capsys.readouterr()
        return out.out + out.err

    source = str(tmp_path / "in.csv")
    assert "in.csv:6: language" in kb("import", source, "--strict", code=1)
    assert "3 new" in kb("import", source)
    assert json.loads(kb("import", source, "--json"))["unchanged"] == 3
    found = json.loads(kb("search", "my card was stolen", "--json"))
    assert (found["hits"] or found["below"])[0]["entry"]["id"] == "lost"
    for question, language, wanted in (
        ("卡丢了", (), "lost-zh"), ("my card card 丢了", (), "lost-zh"), ("lost card", (), "lost"),
        ("visa卡 lost", ("--language", "en"), "lost"),
    ):  # fmt: skip
        found = json.loads(kb("search", question, "--json", *language))
        assert (found["hits"] or found["below"])[0]["entry"]["id"] == wanted
    figures = json.loads(kb("eval", str(tmp_path / "asked.csv"), "--json"))
    assert (figures["questions"], figures["top_1"]) == (2, 1.0)
    kb("export", str(tmp_path / "out.xlsx"))
    assert "3 as before" in kb("import", str(tmp_path / "out.xlsx"))
    kb("export", str(tmp_path / "out.txt"), code=1)
    kb("search", " ", code=0)

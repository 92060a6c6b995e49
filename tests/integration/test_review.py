"""The trainer's loop from end to end: calls in a database, groups, a decision, the plan that has it, and back again."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime

import aiohttp
import msgspec
import pytest

from ivr import cli
from ivr.dialog.plan_file import load
from ivr.errors import InvalidInput, Problem, Unavailable
from ivr.intents.live import Trainer
from ivr.intents.trainer import Groups, Outcome, ReviewDecision
from ivr.store.records import CallStart, TurnRecord
from ivr.store.review import utterances
from ivr.store.store import Store
from ivr.web import server
from ivr.web.api import create_app

PLAN = "languages: [en, zh]\nsteps:\n  a: {kind: ask, prompt: {en: Yes?, zh: 请说}, next: end}\n"
KNOWLEDGE = """entries:
  - id: card
    intent: card
    en: {questions: [block my card, my card is lost, stop my card now]}
    zh: {questions: [我的卡丢了, 挂失, 停掉我的卡]}
  - id: money
    en: {questions: [what is my balance, how much money is left, balance please], answer: Ask at the desk.}
    zh: {questions: [查余额, 还有多少钱, 看看余额], answer: 请到柜台。}
"""
CONFIG = """[paths]
dialplans = "plans"
[store]
url = "sqlite:///ivr.db"
[[number]]
pattern = "500"
plan = "town"
language = "en"
"""
PARKING = {
    "en": ["where can I park my car", "is there parking for my car", "where can I park near you"],
    "zh": ["哪里可以停车", "有没有地方停车", "停车停在哪里"],
}
TOKEN = {"Authorization": "Bearer secret"}


def turn(index: int, text: str, language: str, review: str | None = "rejected", **more) -> TurnRecord:
    return TurnRecord(index=index, step="a", language=language, heard=text, review=review, **more)


@pytest.fixture
async def house(tmp_path):
    """A configuration, a plan, and calls in which nobody understood where to park."""
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "town.yaml").write_text(PLAN, "utf-8")
    (tmp_path / "plans" / "town.knowledge.yaml").write_text(KNOWLEDGE, "utf-8")
    (tmp_path / "config.toml").write_text(CONFIG, "utf-8")
    store = Store("sqlite:///ivr.db", tmp_path)
    await store.open()
    for number in range(3):
        call = f"c{number}"
        await store.begin(
            CallStart(id=call, direction="in", number="500", caller=f"+49{number}", language="en",
                      started_at=datetime.now(UTC), plan="town", plan_version="1", sip_call_id=call, source="x")
        )  # fmt: skip
        for index, language in enumerate(PARKING):
            await store.turn(call, turn(index, PARKING[language][number], language))
        await store.turn(call, turn(2, "block my card", "en", review=None))
        await store.turn(call, turn(3, "my secret word", "en", sensitive=True))
    await store.flush()
    await store.close()
    return tmp_path


async def test_what_nobody_understood_is_kept_and_nothing_that_is_sensitive(house):
    store = Store("sqlite:///ivr.db", house)
    await store.open()
    found = await utterances(store, "town", "en", 10)
    assert sorted(u.text for u in found) == sorted(PARKING["en"])
    assert {u.why for u in found} == {"rejected"}
    assert len(await utterances(store, "town", "zh", 2)) == 2
    assert await utterances(store, "city", "en", 10) == []
    await store.close()


@pytest.mark.parametrize(
    ("language", "way"), [("en", ["--answer", "Behind the bank."]), ("zh", ["--intent", "parking"])]
)
def test_a_decision_shows_what_it_does_then_is_in_force_and_is_taken_back(house, capsys, language, way):
    def review(*words: str) -> dict:
        assert cli.main(["intents", "review", "--config", str(house / "config.toml"), "--plan", "town",
                         "--language", language, "--json", *words]) == 0  # fmt: skip
        return json.loads(capsys.readouterr().out)

    file = house / "plans" / "town.reviewed.yaml"
    group = review()["groups"][0]
    assert (group["callers"], set(group["sentences"])) == (3, set(PARKING[language]))
    shown = review("--group", group["id"], *way)
    assert shown["effect"]["contained_before"] == 0
    assert shown["effect"]["contained_after"] >= 2
    assert not shown["live"]
    assert not file.exists()
    done = review("--group", group["id"], *way, "--live")
    entry = load(house / "plans" / "town.yaml").knowledge.entries[-1]
    assert (entry.id, set(entry.questions[language])) == (done["decision"], set(PARKING[language]))
    assert (entry.intent, entry.answer[language]) == (("parking", "") if language == "zh" else ("", "Behind the bank."))
    after = review()
    assert (after["groups"], after["decisions"]) == ([], [done["decision"]])
    review("--undo", done["decision"], "--live")
    assert not file.exists()
    assert len(review()["groups"]) == 1


def test_examples_of_an_entry_that_answers_are_answered_as_it_is(house, capsys):
    words = ["intents", "review", "--config", str(house / "config.toml"), "--plan", "town"]
    assert cli.main([*words, "--json"]) == 0
    group = json.loads(capsys.readouterr().out)["groups"][0]["id"]
    assert cli.main([*words, "--group", group, "--intent", "money", "--live"]) == 0
    assert "in force within seconds: review-1" in capsys.readouterr().out
    entry = load(house / "plans" / "town.yaml").knowledge.entries[-1]
    assert (entry.intent, entry.answer) == ("money", {"en": "Ask at the desk."})


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--plan", "nowhere"], "no plan `nowhere` (there are: town)"),
        (["--group", "0", "--dismiss"], "no group `0`"),
        (["--undo", "review-7"], "no decision `review-7`"),
        (["--group", "0", "--intent", "two words"], "intent"),
        (["--answer", "x" * 3_000], "answer"),
    ],
)
def test_what_cannot_be_decided_is_said_in_words(house, capsys, words, says):
    assert cli.main(["intents", "review", "--config", str(house / "config.toml"), "--plan", "town", *words]) == 1
    assert says in capsys.readouterr().err


async def test_what_had_to_be_asked_about_is_listed_as_such(house, capsys):
    store = Store("sqlite:///ivr.db", house)
    await store.open()
    for language, text in (("en", "something about my card"), ("zh", "卡的事情")):
        await store.turn("c0", turn(9 if language == "en" else 10, text, language, "asked"))
    await store.flush()
    await store.close()
    for language, text in (("en", "something about my card"), ("zh", "卡的事情")):
        words = ["intents", "review", "--config", str(house / "config.toml"), "--plan", "town", "--language", language]
        done = await asyncio.to_thread(subprocess.run, [sys.executable, "-m", "ivr", *words], capture_output=True)
        told = done.stdout.decode()
        assert "1 callers, 1 times, 1 of them asked which of two: examples of `card`" in told
        assert text in told


class Desk:
    """Answers as the child would."""

    async def groups(self, plan: str, _language: str) -> Groups:
        if plan == "nowhere":
            raise InvalidInput(Problem("plans", "no plan `nowhere`"))
        return Groups(plan=plan, language="zh", utterances=0, groups=())

    async def decide(self, decision: ReviewDecision) -> Outcome:
        if decision.action == "undo":
            raise Unavailable("another review is being worked on")
        return Outcome(live=decision.live, sentences=("有停车场吗",))


async def test_http_lists_groups_and_takes_decisions(tmp_path):
    store = Store("sqlite:///ivr.db", tmp_path)
    await store.open()
    runner = await server.start(create_app(store, lambda: None, None, "secret", reviewing=Desk()), "127.0.0.1", 0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}", headers=TOKEN) as client:

        async def call(method: str, query: str = "", body: object = None) -> tuple[int, dict]:
            data = None if body is None else msgspec.json.encode(body)
            async with client.request(method, f"/v1/intents/review{query}", data=data) as answer:
                return answer.status, await answer.json(content_type=None)

        assert (await call("GET", "?plan=town&language=zh"))[1]["utterances"] == 0
        dry = {"plan": "town", "language": "zh", "action": "dismiss", "group": "a"}
        expected = {"live": False, "decision": "", "sentences": ["有停车场吗"], "effect": None}
        assert (await call("POST", "", dry))[1] == expected
        assert (await call("POST", "", dry | {"live": True}))[1]["live"]
        for query, field in (("", "plan"), ("?plan=a/b", "plan"), ("?plan=a&language=fr", "language"), ("?x=1", "x")):
            status, problem = await call("GET", query)
            assert (status, problem["errors"][0]["field"]) == (400, field)
        assert (await call("GET", "?plan=nowhere"))[0] == 400
        for wrong, field in (
            ({"plan": "town", "action": "sing"}, "action"), ({"plan": "../x", "action": "undo"}, "plan"),
            ({"plan": "town", "action": "intent", "intent": "a b"}, "intent"), ({"action": "undo"}, ""),
            ({"plan": "town", "action": "undo", "more": 1}, ""),
        ):  # fmt: skip
            status, problem = await call("POST", "", wrong)
            assert status == 400
            assert not field or problem["errors"][0]["field"] == field
        assert (await call("POST", "", {"plan": "town", "action": "undo", "decision": "x"}))[0] == 503
    await runner.cleanup()
    await store.close()


async def test_a_server_asks_a_child(house):
    found = await Trainer(house / "config.toml").groups("town", "zh")
    assert (found.utterances, found.groups[0].callers) == (3, 3)


@pytest.mark.parametrize(
    ("ended", "kind", "says"),
    [
        ((1, b"", "plans: no plan `城` (there are: town)".encode()), InvalidInput, "no plan `城`"),
        ((1, b"", b"ivr: the database cannot be read"), Unavailable, "failed: the database cannot be read"),
        ((-9, b"", b""), Unavailable, "failed: code -9"),
    ],
)
async def test_what_a_child_says_that_failed_is_told(tmp_path, monkeypatch, ended, kind, says):
    async def child(*_words: object) -> tuple[int, bytes, bytes]:
        return ended

    trainer = Trainer(tmp_path / "config.toml")
    monkeypatch.setattr(trainer, "_child", child)
    with pytest.raises(kind, match=says):
        await trainer.decide(ReviewDecision(plan="town", language="zh", action="undo", decision="review-1"))

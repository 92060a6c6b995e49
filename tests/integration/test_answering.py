"""Open questions answered from the base: the plan's own file first, only what any caller may hear, else a person."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from ivr import answering
from ivr.dialog import engine, journal
from ivr.dialog.plan import Lookup
from ivr.dialog.plan_file import load
from ivr.dialog.replay import Recording, replay
from ivr.dialog.state import Fetched, Heard, Speak, Started, State
from ivr.errors import Unavailable
from ivr.kb.entry import KbEntry
from ivr.kb.live import KnowledgeBase
from ivr.store.kb import KbEntries
from ivr.store.records import InputRecord
from ivr.store.store import Store
from ivr.turn import FROM_BASE, Expectation, Filled, Hypothesis, Understood
from ivr.understanding.understand import understand

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
PLAN = """
languages: [en, zh]
start: ask
steps:
  ask: {kind: ask, expect: open, prompt: {en: "How can I help?", zh: "请问有什么可以帮您？"}, next: reply}
  reply: {kind: answer, next: ask, unknown: person}
  person: {kind: say, prompt: {en: "I will find a person.", zh: "为您转人工。"}, next: end}
"""
KNOWLEDGE = """
entries:
  - id: hours
    en: {questions: [when do you open, opening hours], answer: At nine.}
    zh: {questions: [几点开门, 营业时间], answer: 九点。}
"""
VERIFYING = """
languages: [en, zh]
verified: customer
slots: {customer: {kind: text, sensitive: true}}
start: ask
steps:
  ask:
    kind: ask
    prompt: {en: "How can I help?", zh: "请问有什么可以帮您？"}
    on: {identify: check}
    next: reply
  reply: {kind: answer, next: ask, unknown: person}
  check: {kind: lookup, backend: bank, path: /identity, save: {customer: customer}, next: ask, on_error: ask}
  person: {kind: say, prompt: {en: "I will find a person.", zh: "为您转人工。"}, next: leave}
  leave: {kind: goto, forget: [customer], next: ask}
"""
IDENTIFY = """
entries:
  - id: identify
    intent: identify
    en: {questions: [I would like to identify myself]}
    zh: {questions: [我要核实身份]}
"""
PARKING = {
    "en": ("Is there parking at the branch?", "Where can I park my car?", "Do you have a car park?"),
    "zh": ("网点有停车位吗", "我的车停在哪里", "你们那里可以停车吗"),
}
PERSON = {"en": "I will find a person.", "zh": "为您转人工。"}


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """However slow the machine is, these are about what is found."""
    monkeypatch.setattr(answering, "WITHIN_S", 60.0)


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "plan.yaml").write_text(PLAN, "utf-8")
    (tmp_path / "plan.knowledge.yaml").write_text(KNOWLEDGE, "utf-8")
    return load(tmp_path / "plan.yaml")


@pytest.fixture
async def base(tmp_path):
    store = Store("sqlite:///ivr.db", tmp_path)
    await store.open()
    base = KnowledgeBase(KbEntries(store), tmp_path / "kb")
    await base.open()
    yield base
    await base.close()
    await store.close()


async def keep(base: KnowledgeBase, *entries: KbEntry) -> None:
    await base._store.save(entries)
    await base.refresh()


async def said(search, plan, text: str, language: str = "en"):
    """What is understood, and what is said then."""
    expectation = Expectation(kind="open", language=language)
    state, _ = engine.step(plan, State(language), Started(), NOW)
    understood = understand(plan.vocabulary, expectation, Hypothesis(text, 0.9))
    understood = await answering.complete(search, plan, state, "open", understood)
    _, actions = engine.step(plan, state, Heard(understood), NOW)
    return understood, next(a.text for a in actions if isinstance(a, Speak))


@pytest.mark.parametrize(("language", "asked"), [("en", "where can I park my car"), ("zh", "我的车停在哪里")])
async def test_the_base_answers_what_the_file_does_not_and_says_whence(base, plan, language, asked):
    await keep(base, *(
        KbEntry(id=f"park-{name}", language=name, questions=questions, answer=f"Behind it {{today}}, {name}.")
        for name, questions in PARKING.items()
    ))  # fmt: skip
    understood, spoken = await said(base.search, plan, asked, language)
    assert spoken == f"Behind it today, {language}."
    assert understood.source == f"kb:park-{language}@1"
    assert 0.4 <= understood.confidence <= 1


@pytest.mark.parametrize(("language", "asked", "answer"), [("en", "when do you open", "At nine."),
                                                           ("zh", "几点开门", "九点。")])  # fmt: skip
async def test_the_plans_own_file_comes_first(base, plan, language, asked, answer):
    await keep(base, KbEntry(id="hours", language=language, questions=(asked,), answer="From the base."))
    understood, spoken = await said(base.search, plan, asked, language)
    assert (spoken, understood.source) == (answer, "hours")


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_what_a_caller_may_not_hear_is_never_spoken_and_a_person_is_offered(base, plan, language):
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    for number, hidden in enumerate(
        ({"audience": "agents"}, {"audience": "verified"}, {"valid_until": yesterday}, {"valid_from": yesterday})
    ):
        entry = KbEntry(id="park", language=language, questions=PARKING[language], answer="Behind it.", **hidden)
        await keep(base, entry)
        understood, spoken = await said(base.search, plan, PARKING[language][1], language)
        assert spoken == ("Behind it." if number == 3 else PERSON[language])
        assert bool(understood.source) is (number == 3)
    _, spoken = await said(
        base.search, plan, {"en": "tell me a joke about llamas", "zh": "给我讲个羊驼的笑话"}[language], language
    )
    assert spoken == PERSON[language]


async def spoken_after(base, plan, language: str, answers: Sequence[Fetched]) -> list[str]:
    """What is said to the question about parking in one call: at its beginning, and after each answer of a back end."""
    identify = {"en": "I would like to identify myself", "zh": "我要核实身份"}[language]
    state, _ = engine.step(plan, State(language), Started(), NOW)
    spoken = []

    async def say(text: str) -> str:
        nonlocal state
        heard = understand(plan.vocabulary, Expectation(kind="open", language=language), Hypothesis(text, 0.9))
        heard = await answering.complete(base.search, plan, state, "open", heard)
        state, actions = engine.step(plan, state, Heard(heard), NOW)
        return next((a.text for a in actions if isinstance(a, Speak)), "")

    spoken.append(await say(PARKING[language][1]))
    for answer in answers:
        await say(identify)
        assert isinstance(plan.steps[state.step], Lookup)
        state, _ = engine.step(plan, state, answer, NOW)
        spoken.append(await say(PARKING[language][1]))
    return spoken


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("audience", ["verified", "agents"])
async def test_what_is_for_verified_callers_is_said_once_a_back_end_has_verified_them(
    base, tmp_path, language, audience
):
    (tmp_path / "plan.yaml").write_text(VERIFYING, "utf-8")
    (tmp_path / "plan.knowledge.yaml").write_text(IDENTIFY, "utf-8")
    plan = load(tmp_path / "plan.yaml")
    entry = KbEntry(id="park", language=language, questions=PARKING[language], answer="Behind it.", audience=audience)
    await keep(base, entry)
    answers = [
        Fetched("status", 403, {"customer": "17"}), Fetched("ok", 200, {}), Fetched("ok", 200, {"customer": False}),
        Fetched("ok", 200, {"customer": "17"}), Fetched("failed"),
    ]  # fmt: skip
    spoken = await spoken_after(base, plan, language, answers)
    nobody, someone = PERSON[language], "Behind it." if audience == "verified" else PERSON[language]
    assert spoken == [nobody, nobody, nobody, nobody, someone, someone]


async def test_whoever_is_verified_no_longer_hears_it_no_longer(base, tmp_path):
    (tmp_path / "plan.yaml").write_text(VERIFYING, "utf-8")
    (tmp_path / "plan.knowledge.yaml").write_text(IDENTIFY, "utf-8")
    plan = load(tmp_path / "plan.yaml")
    await keep(base, KbEntry(id="park", language="zh", questions=PARKING["zh"], answer="后面。", audience="verified"))
    verified = State("zh", step="ask", slots={"customer": Filled("17")})
    state, _ = engine.step(plan, verified, Heard(Understood(Hypothesis("羊驼"), "羊驼")), NOW)
    proven = State("zh", step="ask", proven=True)
    for at, answer in ((verified, "后面。"), (state, ""), (proven, "后面。")):
        heard = understand(plan.vocabulary, Expectation(kind="open", language="zh"), Hypothesis(PARKING["zh"][1], 0.9))
        assert (await answering.complete(base.search, plan, at, "open", heard)).answer == answer


@pytest.mark.parametrize(("text", "wanted"), [("where can I park", "Behind it."), ("opening hours", "At nine.")])
def test_a_replay_says_what_the_base_said_then_and_what_the_file_says_now(plan, text, wanted):
    hypothesis = Hypothesis(text, 0.9)
    understood = Understood(hypothesis, text, answer="Behind it.", source=f"{FROM_BASE}park@1", confidence=0.8)
    state, inputs = State("en"), []
    for given in (Started(), Heard(understood)):
        inputs.append(InputRecord(len(inputs), NOW, journal.entry(plan, state, given, NOW)))
        state, _ = engine.step(plan, state, given, NOW)
    trace = replay(plan, Recording("call", "en", "400", inputs))
    assert trace.stops[-1].said[0] == wanted


async def test_a_base_that_is_slow_or_overrun_costs_the_caller_little(plan, monkeypatch):
    monkeypatch.setattr(answering, "WITHIN_S", 0.01)

    async def slow(_query):
        await asyncio.sleep(60)

    async def overrun(_query):
        raise Unavailable("too many searches of the knowledge base wait")

    for search in (slow, overrun):
        _, spoken = await said(search, plan, "where can I park my car")
        assert spoken == PERSON["en"]


async def test_only_open_questions_of_plans_that_answer_are_asked(plan, tmp_path):
    async def never(_query):
        raise AssertionError

    (tmp_path / "mute.yaml").write_text(PLAN.replace("next: reply", "next: person").replace(
        "  reply: {kind: answer, next: ask, unknown: person}\n", ""), "utf-8")  # fmt: skip
    mute = load(tmp_path / "mute.yaml")
    heard = understand(mute.vocabulary, Expectation(kind="open", language="en"), Hypothesis("where can I park", 0.9))
    for where, kind, language in ((mute, "open", "en"), (plan, "yes_no", "en"), (plan, "open", "ko")):
        assert await answering.complete(never, where, State(language), kind, heard) == heard

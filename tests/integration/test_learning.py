"""Plans are learnt behind the calls: words answer until a model is there, the old model until the new one is."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ivr.config import Config
from ivr.errors import Unavailable
from ivr.health import Health
from ivr.intents.live import Learner
from ivr.intents.shelf import Shelf
from ivr.learning import Learning
from ivr.publishing import Publishing
from ivr.store.store import Store
from ivr.turn import Expectation, Hypothesis
from ivr.understanding import outside
from ivr.understanding.outside import to_learn
from ivr.understanding.training import version_of
from ivr.understanding.understand import understand

MODELS = Path(__file__).parents[2] / "models"
CHILD = [sys.executable, "-m", "ivr.intents.learn_child"]
PLAN = "languages: [en, zh]\nsteps:\n  a: {kind: ask, prompt: {en: Yes?, zh: 请说}, next: end}\n"
KNOWLEDGE = """entries:
  - id: card
    intent: card
    en: {{questions: [block my card, my card is lost, {more}]}}
    zh: {{questions: [我的卡丢了, 挂失, 停掉我的卡]}}
  - id: money
    en: {{questions: [what is my balance, how much money is left], answer: Ask.}}
    zh: {{questions: [查余额, 还有多少钱, 看看余额], answer: 请到柜台。}}
"""


class Broken(Learner):
    """A learner whose children die."""

    async def learn(self, examples, language, progress):
        raise Unavailable("no memory")


class House:
    """A folder with one plan, and what publishes and learns it."""

    def __init__(self, folder, learner=Learner) -> None:
        self.folder = folder
        (folder / "plans").mkdir(exist_ok=True)
        (folder / "plans" / "town.yaml").write_text(PLAN, "utf-8")
        if not (folder / "plans" / "town.knowledge.yaml").exists():
            self.write("stop my card")
        self.start(learner)

    def start(self, learner=Learner) -> None:
        learning = Learning(learner(self.folder / "intents", MODELS))
        self.publishing = Publishing(self.folder / "plans", {"town": frozenset({"en"})}, learning=learning)
        self.publishing.load()

    def write(self, more: str) -> None:
        (self.folder / "plans" / "town.knowledge.yaml").write_text(KNOWLEDGE.format(more=more), "utf-8")

    @property
    def plan(self):
        return self.publishing.get("town")

    @property
    def states(self) -> list[str]:
        return [each.state for each in self.publishing.learnt("town")]

    def version(self, language: str) -> str:
        return version_of(to_learn(self.plan.knowledge.examples)[language], language)

    async def until(self, *states: str) -> None:
        async with asyncio.timeout(500):
            while self.states != list(states):  # noqa: ASYNC110 - as whoever watches /v1/plans sees it
                await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def few_are_enough(monkeypatch):
    monkeypatch.setattr(outside, "LEAST", 4)


@pytest.fixture
async def store(tmp_path):
    store = Store("sqlite:///ivr.db", tmp_path)
    await store.open()
    yield store
    await store.close()


async def running(house: House, store: Store) -> asyncio.Task[None]:
    return asyncio.create_task(house.publishing.run(store))


async def stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def heard(plan, language: str, text: str):
    return understand(plan.vocabulary, Expectation("open", language), Hypothesis(text, 0.9))


async def test_words_answer_until_the_models_are_learnt_and_a_restart_finds_them(tmp_path, store):
    house = House(tmp_path)
    began = house.plan
    assert house.states == ["waiting", "waiting"]
    assert heard(began, "en", "block my card").model == ""
    task = await running(house, store)
    await house.until("learnt", "learnt")
    for language, text in (("en", "please block the card"), ("zh", "我的卡不见丢了")):
        assert heard(house.plan, language, text).model == house.version(language)
    assert began.vocabulary.models == {}
    assert house.plan.version == began.version
    await stopped(task)
    house.start()
    assert house.states == ["learnt", "learnt"]


async def test_the_old_model_answers_until_what_changed_is_learnt(tmp_path, store):
    Shelf(tmp_path / "intents").of(House(tmp_path).plan.knowledge.examples)
    house = House(tmp_path)
    before = house.plan
    house.write("take my card out of use")
    await house.publishing.reload()
    assert house.states == ["waiting", "learnt"]
    assert house.plan.vocabulary.models["en"] is before.vocabulary.models["en"]
    assert house.plan.version != before.version
    task = await running(house, store)
    await house.until("learnt", "learnt")
    assert house.plan.vocabulary.models["en"].version == house.version("en")
    assert house.plan.vocabulary.models["zh"] is before.vocabulary.models["zh"]
    assert before.vocabulary.models["en"].version != house.version("en")
    await stopped(task)


async def test_what_cannot_be_learnt_is_told_and_the_old_model_stays(tmp_path, store):
    Shelf(tmp_path / "intents").of(House(tmp_path).plan.knowledge.examples)
    house = House(tmp_path, Broken)
    old = house.plan.vocabulary.models["en"]
    house.write("take my card out of use")
    await house.publishing.reload()
    with capture_logs() as lines:
        task = await running(house, store)
        await house.until("failed", "learnt")
        await stopped(task)
    (line,) = [line for line in lines if line["log_level"] == "error"]
    assert (line["plan"], line["language"], line["reason"]) == ("town", "en", "no memory")
    assert line["in_force"] == old.version
    assert house.plan.vocabulary.models["en"] is old
    (shown,) = Health(Config(), house.publishing).status().plans
    assert {i.language: (i.state, i.version, i.reason) for i in shown.intents}["en"] == (
        "failed", old.version, "no memory"
    )  # fmt: skip
    await house.publishing.reload()
    assert house.states == ["waiting", "learnt"]


async def test_a_child_says_how_far_it_is(tmp_path):
    seen = []
    examples = House(tmp_path).plan.knowledge.examples
    model = await Learner(tmp_path / "intents", MODELS).learn(examples, "zh", lambda *done: seen.append(done))
    assert (seen, model.version) == ([(0, 6), (6, 6)], version_of(examples, "zh"))


async def test_a_child_that_cannot_learn_says_why(tmp_path):
    examples = [e for e in House(tmp_path).plan.knowledge.examples if e.intent == "card"]
    with pytest.raises(Unavailable, match="fewer than two intents"):
        await Learner(tmp_path / "intents", MODELS).learn(examples, "en", lambda *_: None)
    (tmp_path / "intents").write_text("a file", "utf-8")
    with pytest.raises(Unavailable, match="cannot be written"):
        await Learner(tmp_path / "intents", MODELS).learn(
            House(tmp_path).plan.knowledge.examples, "en", lambda *_: None
        )


async def test_whoever_gives_up_learning_leaves_no_child_behind(tmp_path, monkeypatch):
    children, begun = [], asyncio.Event()
    spawn = asyncio.create_subprocess_exec

    async def remembered(*words, **more):
        children.append(await spawn(*words, **more))
        begun.set()
        return children[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", remembered)
    examples = House(tmp_path).plan.knowledge.examples
    task = asyncio.create_task(Learner(tmp_path / "intents", MODELS).learn(examples, "en", lambda *_: None))
    await begun.wait()
    await stopped(task)
    assert [child.returncode for child in children] == [-signal.SIGKILL]


@pytest.mark.parametrize("given", [b'{"text": "intent"}', b"[[1, 2]]", b"no JSON"])
def test_what_is_no_list_of_examples_is_refused(tmp_path, given):
    done = subprocess.run([*CHILD, str(tmp_path), "en", str(MODELS)], input=given, capture_output=True, check=False)
    assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (1, b"", [])
    assert b"Traceback" not in done.stderr

"""What is written of a call's turns while it goes on."""

from __future__ import annotations

import asyncio

import pytest

from ivr.line.messages import PlayoutStarted
from ivr.store.records import Said, TurnRecord
from ivr.turn import Hypothesis, Understood
from ivr.turn_log import CameIn, TurnLog


class Written:
    """A store that keeps the turns it is given, by their index."""

    def __init__(self) -> None:
        self.turns: dict[int, TurnRecord] = {}

    async def turn(self, _call: str, turn: TurnRecord) -> None:
        self.turns[turn.index] = turn


def test_the_record_of_a_call_that_goes_on_tells_what_is_asked_now():
    async def asked() -> Written:
        store = Written()
        turns = TurnLog(store, "c1", lambda: (Said(text="Which card?", heard_ms=900, total_ms=900),))
        await turns.said("which_card", "en", (Said(text="Which card?"),))
        turns.sensitive(True)
        turns.answer(CameIn(Understood(Hypothesis("8620"), value="8620"), keys="8620"), 1, None, "digits")
        await turns.said("sure", "en", (Said(text="Ending in ****?", sensitive=True),))
        return store

    store = asyncio.run(asked())
    assert [(t.step, t.said[0].text) for t in store.turns.values()] == [
        ("which_card", "Which card?"),
        ("sure", "Ending in ****?"),
    ]
    assert store.turns[1].keys is None


def test_an_answer_replaces_what_was_written_of_its_question():
    async def answered() -> Written:
        store = Written()
        turns = TurnLog(store, "c1", lambda: (Said(text="Well?", heard_ms=400, total_ms=400),))
        await turns.said("ask", "en", (Said(text="Well?"),))
        turns.answer(CameIn(Understood(Hypothesis("yes"), value="yes")), 1, None, "yes_no")
        await turns.playout_began(PlayoutStarted(leg=1, playout=1, at_ms=900), render_ms=5)
        return store

    (turn,) = asyncio.run(answered()).turns.values()
    assert (turn.step, turn.value, turn.said[0].heard_ms) == ("ask", "yes", 400)


@pytest.mark.parametrize(
    ("understood", "kind", "review"),
    [
        (Understood(Hypothesis("is there parking"), value="is there parking"), "open", "rejected"),
        (Understood(Hypothesis("有停车场吗"), value="有停车场吗"), "open", "rejected"),
        (Understood(Hypothesis("a person"), value="a person", intent="agent"), "open", None),
        (Understood(Hypothesis("几点开门"), value="几点开门", answer="九点。"), "open", None),
        (Understood(Hypothesis("no, Dongdan"), value="no", corrects=True), "yes_no", "corrected"),
        (Understood(Hypothesis("不对，东单"), value="no", corrects=True), "yes_no", "corrected"),
        (Understood(Hypothesis("")), "open", None),
        (Understood(Hypothesis("purple")), "digits", None),
    ],
)
def test_what_a_trainer_should_look_at_is_marked(understood, kind, review):
    async def answered() -> Written:
        store = Written()
        turns = TurnLog(store, "c1", lambda: ())
        await turns.said("ask", "en", (Said(text="Well?"),))
        turns.answer(CameIn(understood), 1, None, kind)
        await turns.playout_began(PlayoutStarted(leg=1, playout=1, at_ms=900), render_ms=5)
        return store

    (turn,) = asyncio.run(answered()).turns.values()
    assert turn.review == review


@pytest.mark.parametrize("words", ["my card", "卡的事"])
def test_what_had_to_be_asked_about_is_marked_with_the_model_that_could_not_tell(words):
    async def answered() -> Written:
        store = Written()
        turns = TurnLog(store, "c1", lambda: ())
        await turns.said("ask", "en", (Said(text="Well?"),))
        understood = Understood(Hypothesis(words), value=words, model="a1b2c3")
        turns.answer(CameIn(understood), 1, None, "open", asked=True)
        await turns.playout_began(PlayoutStarted(leg=1, playout=1, at_ms=900), render_ms=5)
        return store

    (turn,) = asyncio.run(answered()).turns.values()
    assert (turn.review, turn.model, turn.rejected) == ("asked", "a1b2c3", None)

"""Records: what is masked, and how much of a sentence was heard."""

import msgspec
import pytest

from ivr.store.records import MASK, Latency, Said, TurnRecord, heard_part, masked
from ivr.turn import Alternative


@pytest.mark.parametrize(
    ("text", "heard_ms", "total_ms", "expected"),
    [
        ("Your card has been blocked.", 0, 2_000, ""),
        ("Your card has been blocked.", 2_000, 2_000, "Your card has been blocked."),
        ("Your card has been blocked.", 2_100, 2_000, "Your card has been blocked."),
        ("Your card has been blocked.", 1_000, 2_000, "Your card has"),
        ("Your card has been blocked.", 50, 2_000, ""),
        ("您的银行卡已经挂失。", 1_000, 2_000, "您的银行卡"),
        ("카드가 정지되었습니다", 1_000, 2_000, "카드가 정"),
        ("ATM 在鸟巢旁边", 1_000, 2_000, "ATM 在"),
        ("", 100, 200, ""),
        ("Hello", 100, 0, "Hello"),
    ],
)
def test_heard_part_is_the_whole_words_that_fit(text, heard_ms, total_ms, expected):
    assert heard_part(text, heard_ms, total_ms) == expected


def test_a_sensitive_turn_keeps_no_words_and_no_digits():
    turn = TurnRecord(
        index=3,
        step="pin",
        said=(Said(text="Your PIN, please.", heard_ms=900, total_ms=900),),
        heard="four seven one one",
        alternatives=(Alternative("for seven one one", 0.4),),
        confidence=0.9,
        value="4711",
        answer="4711",
        keys="4711",
        sensitive=True,
        latency=Latency(total_ms=480),
    )
    kept = masked(turn)
    text = msgspec.json.encode(kept).decode()
    assert "4711" not in text
    assert "seven" not in text
    assert (kept.heard, kept.value, kept.answer, kept.keys) == (MASK,) * 4
    assert kept.alternatives == ()
    assert kept.said[0].heard_text == "Your PIN, please."
    assert kept.latency.total_ms == 480


def test_masking_does_not_claim_that_something_was_heard():
    kept = masked(TurnRecord(index=0, step="pin", sensitive=True, rejected="no_input"))
    assert (kept.heard, kept.value, kept.keys) == (None, None, None)


def test_a_sentence_that_repeats_a_sensitive_value_is_masked_in_any_turn():
    said = (
        Said(text="I heard 4711, right?", heard_ms=500, total_ms=1_000, sensitive=True),
        Said(text="And 4712", total_ms=400, sensitive=True),
    )
    kept = masked(TurnRecord(index=4, step="confirm", said=said, heard="yes"))
    assert [(s.text, s.heard_text) for s in kept.said] == [(MASK, MASK), (MASK, "")]
    assert kept.heard == "yes"

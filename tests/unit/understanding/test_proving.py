"""What an answer is worth as a proof: scores, ranks, hashes; and that no word of it gets out."""

import re
from dataclasses import replace

import pytest

from ivr.turn import Alternative, Expectation, Hypothesis
from ivr.understanding import identity, proving
from ivr.understanding.knowledge import Knowledge
from ivr.understanding.proving import Proofs
from ivr.understanding.understand import Vocabulary

VOCABULARY = Vocabulary(Knowledge(()))
PROOFS = Proofs({"birth_date": "1987-04-29", "id_last4": "7310"}, b"k" * 32)


def asked(proof: str, language: str = "en") -> Expectation:
    kind = "date" if proof == "birth_date" else "digits"
    return Expectation(kind, language, min_digits=4, max_digits=4, sensitive=True, proof=proof, commands=("operator",))


def said(text: str, proof: str, *others: tuple[str, float], language: str = "en", proofs: Proofs = PROOFS, sure=0.9):
    alternatives = tuple(Alternative(*other) for other in others)
    return proofs.heard(VOCABULARY, asked(proof, language), Hypothesis(text, sure, alternatives))


@pytest.mark.parametrize(("language", "right", "wrong"), [
    ("en", "the twenty ninth of April nineteen eighty seven", "the third of June nineteen sixty one"),
    ("zh", "一九八七年四月二十九号", "一九六一年六月三号"),
])  # fmt: skip
def test_a_birth_date_speaks_for_or_against(language, right, wrong):
    own, other = said(right, "birth_date", language=language), said(wrong, "birth_date", language=language)
    assert own.evidence.score > 8
    assert own.evidence.rank == 1
    assert other.evidence.score < -5
    assert other.evidence.rank == 0


@pytest.mark.parametrize(("language", "right", "wrong"), [("en", "7310", "4852"), ("zh", "七三一零", "四八五二")])
def test_four_digits_speak_for_or_against(language, right, wrong):
    assert said(right, "id_last4", language=language).evidence.score > 8
    assert said(wrong, "id_last4", language=language).evidence.score < -5


def test_the_last_character_may_be_an_x():
    proofs = Proofs({"id_last4": "731X"}, b"k")
    assert proofs.listening(asked("id_last4")).kind == "code"
    assert said("seven three one x", "id_last4", proofs=proofs).evidence.score > 8
    assert said("seven three one two", "id_last4", proofs=proofs).evidence.score < 8


def test_a_near_miss_that_is_said_again_does_not_add_up_to_a_proof():
    """One day beside: three times the same."""
    once = said("the twenty eighth of April nineteen eighty seven", "birth_date").evidence.score
    assert 3 * once < 4


def test_a_reading_further_down_counts_less_and_is_ranked():
    best = said("the twenty ninth of April 1987", "birth_date").evidence
    second = said("the twenty fifth of April 1987", "birth_date", ("the twenty ninth of April 1987", 0.5)).evidence
    assert second.rank == 2
    assert 0 < second.score < best.score


def test_digits_count_by_their_shares():
    likely = said("7318", "id_last4", ("7310", 0.5), sure=0.5).evidence.score
    hardly = said("7318", "id_last4", ("7310", 0.01), sure=0.9).evidence.score
    assert hardly < likely - 2
    assert hardly < 4


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("proof", ["birth_date", "id_last4"])
def test_what_can_be_no_such_value_is_no_evidence(language, proof):
    words = {"en": "I do not want to say", "zh": "我不想说"}[language]
    assert said(words, proof, language=language).evidence is None
    assert PROOFS.heard(VOCABULARY, asked(proof, language), Hypothesis("", rejected="none_of_these")).evidence is None


def test_a_command_stays_one():
    found = said("a person please", "birth_date")
    assert found.command == "operator"
    assert found.evidence is None


def test_no_word_of_an_answer_gets_out():
    found = said("twenty ninth of April 1987", "birth_date", ("29 April 1987", 0.4))
    assert "1987" not in repr(found)
    assert "April" not in repr(found)
    assert "7310" not in repr(PROOFS)
    assert "1987" not in repr(PROOFS.keyed("birth_date", "1987-04-29"))


def test_hashes_are_of_values_under_the_key_of_the_call():
    """The same value however it is said; another key, another hash."""
    one, two = (said(t, "birth_date").evidence.hashes for t in ("29 April 1987", "April the twenty ninth 1987"))
    other = Proofs(PROOFS.values, b"another")
    assert one == two
    assert one != said("29 April 1987", "birth_date", proofs=other).evidence.hashes


@pytest.mark.parametrize(("proof", "right", "wrong"), [
    ("birth_date", "1987-04-29", "1987-04-28"), ("id_last4", "7310", "7311"),
])  # fmt: skip
def test_keys_are_compared_as_they_are(proof, right, wrong):
    assert PROOFS.keyed(proof, right).score > 8
    assert PROOFS.keyed(proof, right).by == "keys"
    assert -6 < PROOFS.keyed(proof, wrong).score < 0


def test_the_recogniser_listens_for_the_value_among_others():
    line_up = PROOFS.listening(asked("id_last4")).phrases
    assert "7310" in line_up
    assert len(line_up) == len(set(line_up)) == 10
    assert list(line_up) == sorted(line_up)
    assert line_up == PROOFS.listening(asked("id_last4", "zh")).phrases
    dates = PROOFS.listening(asked("birth_date", "zh")).phrases
    assert "1987-04-29" in dates
    assert list(dates) == sorted(dates)
    assert PROOFS.listening(asked("birth_date", "ko")) == asked("birth_date", "ko")


LINE_UP = ("1987-04-19", "1987-04-28", "1987-04-29", "1987-10-29", "1997-04-29")


def weighed(text: str, language: str, *nats: float) -> Hypothesis:
    return Hypothesis(text, 0.4, line_up=tuple(zip(LINE_UP, nats, strict=True)))


@pytest.mark.parametrize(("language", "misheard"), [("en", "It will have an insane time"), ("zh", "1-8-7-2-4-4-4")])
def test_what_was_misheard_speaks_for_the_date_that_is_far_above_the_others(language, misheard):
    """Whereas read freely it is no date at all."""
    hypothesis = weighed(misheard, language, -9.0, -8.0, -0.5, -9.0, -10.0)
    found = PROOFS.heard(VOCABULARY, asked("birth_date", language), hypothesis).evidence
    assert found.score > 7
    assert found.rank == 0
    assert PROOFS.heard(VOCABULARY, asked("birth_date", language), replace(hypothesis, line_up=())).evidence is None


@pytest.mark.parametrize(("language", "other"), [
    ("en", "the third of June nineteen sixty one"), ("zh", "一九六一年六月三号"),
])  # fmt: skip
def test_a_date_that_is_not_in_the_line_up_gains_nothing_by_that(language, other):
    """All of it lies far under what was read, the expected date a little less than the rest."""
    hypothesis = weighed(other, language, -31.0, -30.0, -28.0, -31.0, -32.0)
    assert 3 * PROOFS.heard(VOCABULARY, asked("birth_date", language), hypothesis).evidence.score < 7


@pytest.mark.parametrize(("language", "near"), [
    ("en", "the twenty eighth of April nineteen eighty seven"), ("zh", "一九八七年四月二十八号"),
])  # fmt: skip
def test_a_decoy_that_was_said_speaks_against(language, near):
    hypothesis = weighed(near, language, -12.0, -0.5, -9.0, -14.0, -12.0)
    assert PROOFS.heard(VOCABULARY, asked("birth_date", language), hypothesis).evidence.score < 0


@pytest.mark.parametrize(("language", "right"), [
    ("en", "the twenty ninth of April nineteen eighty seven"), ("zh", "一九八七年四月二十九号"),
])  # fmt: skip
def test_a_date_read_right_is_doubted_when_another_is_likelier(language, right):
    clear = PROOFS.heard(VOCABULARY, asked("birth_date", language), weighed(right, language, -9, -8, -0.5, -9, -9))
    doubtful = PROOFS.heard(VOCABULARY, asked("birth_date", language), weighed(right, language, -9, -1, -6.5, -9, -9))
    assert clear.evidence.score > 8
    assert clear.evidence.rank == doubtful.evidence.rank == 1
    assert doubtful.evidence.score < 6


@pytest.mark.parametrize(("language", "words"), [("en", "I do not want to say"), ("zh", "我不想说")])
def test_no_date_far_under_what_was_read_is_no_evidence(language, words):
    hypothesis = weighed(words, language, -40.0, -41.0, -40.0, -42.0, -43.0)
    assert PROOFS.heard(VOCABULARY, asked("birth_date", language), hypothesis).evidence is None


@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_is_gained_where_little_was_read_and_another_is_likelier(language):
    """As likely as what was read, which was read badly: the line-up alone tells, and it does not tell this one."""
    found = PROOFS.heard(VOCABULARY, asked("birth_date", language), weighed("hm", language, -1.0, -0.5, -0.8, -3.0, -4))
    assert found.evidence is None


def test_no_date_of_a_line_up_gets_out():
    assert "1987" not in repr(PROOFS.heard(VOCABULARY, asked("birth_date"), weighed("hm", "en", -9, -8, -1, -9, -9)))


def test_decoys_that_are_read_speak_against():
    alone = identity.score("date", "1987-04-29", [("28 April 1987", 1.0)], "en")
    assert identity.weighed("date", "1987-04-29", [("28 April 1987", 1.0)], "en")[0] < alone - 2


@pytest.mark.parametrize(("proof", "form"), [("birth_date", r"(19[4-9]\d|200\d)-\d\d-\d\d"), ("id_last4", r"\d{4}")])
def test_what_is_asked_of_a_caller_of_whom_nothing_is_known_is_known_to_nobody(proof, form):
    values = [proving.decoy(proof, bytes([n]) * 16) for n in range(200)]
    assert all(re.fullmatch(form, value) for value in values)
    assert len(set(values)) > 150
    keyed = Proofs({proof: values[0]}, b"k").keyed(proof, "".join(filter(str.isdigit, values[1])))
    assert keyed.score < 0

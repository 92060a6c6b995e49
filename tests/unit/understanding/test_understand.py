"""From a hypothesis to its meaning: values, slots, commands, corrections, questions in passing, the wait."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.turn import Alternative, Expectation, Hypothesis, Understood
from ivr.understanding import understand as understanding
from ivr.understanding.commands import COMMANDS
from ivr.understanding.knowledge import Entry, Knowledge
from ivr.understanding.places import Place, Places
from ivr.understanding.slots import Slot
from ivr.understanding.understand import Vocabulary

TODAY = "2026-11-18"
KNOWLEDGE = Knowledge(
    [
        Entry("hours", {"en": ("what are your opening hours", "when do you open"), "zh": ("你们几点开门", "营业时间")},
              {"en": "From nine to five.", "zh": "九点到五点。"}),
        Entry("fee", {"en": ("what does a transfer cost",), "zh": ("转账手续费是多少",)},
              {"en": "Nothing.", "zh": "免费。"}),
        Entry("lost", {"en": ("i lost my card",), "zh": ("我的银行卡丢了",)}, {}, intent="lost_card"),
    ]
)  # fmt: skip
ACCOUNTS = {
    "savings": {"en": ("savings",), "zh": ("储蓄账户",)},
    "checking": {"en": ("checking",), "zh": ("活期账户",)},
}
SLOTS = {
    slot.name: slot
    for slot in (
        Slot("amount", "money"),
        Slot("day", "date"),
        Slot("time", "time"),
        Slot("card", "digits", min=4, max=4),
        Slot("account", "choice", choices=ACCOUNTS),
        Slot("sure", "yes_no"),
        Slot("message", "text"),
        Slot(
            "place",
            "place",
            places=Places(
                [
                    Place("xidan", {"zh": ("西单",), "en": ("Xidan",)}),
                    Place("dongdan", {"zh": ("东单",), "en": ("Dongdan",)}),
                ]
            ),
        ),
    )
}
VOCABULARY = Vocabulary(KNOWLEDGE, SLOTS)


def asking(slot: str, language: str = "en", *others: str, **more) -> Expectation:
    kind = SLOTS[slot].kind if slot else "open"
    more = {"commands": COMMANDS, "digress": True, "today": TODAY, **more}
    return Expectation(kind, language, slot=slot, slots=others, **more)


def understand(expectation: Expectation, text: str, *others: tuple[str, float], **more) -> Understood:
    heard = Hypothesis(text, 0.8 if text else 0.0, tuple(Alternative(t, c) for t, c in others), **more)
    return understanding.understand(VOCABULARY, expectation, heard)


def values(understood: Understood) -> dict[str, str]:
    return {name: filled.value for name, filled in understood.slots.items()}


@pytest.mark.parametrize(
    ("slot", "language", "text", "value"),
    [
        ("amount", "en", "five hundred", "500.00 CNY"),
        ("amount", "zh", "三千五百元", "3500.00 CNY"),
        ("day", "en", "tomorrow", "2026-11-19"),
        ("day", "zh", "大后天", "2026-11-21"),
        ("time", "zh", "下午三点半", "15:30"),
        ("card", "en", "eight six two zero", "8620"),
        ("account", "en", "savings please", "savings"),
        ("sure", "zh", "不是我", "no"),
        ("place", "zh", "西单附近", "xidan"),
        ("message", "en", "Call me.", "Call me."),
    ],
)
def test_the_value_of_the_slot_asked_for(slot, language, text, value):
    """It is the value of the step and stands among the slots."""
    understood = understand(asking(slot, language), text)
    assert understood.value == value
    assert values(understood) == {slot: value}


@pytest.mark.parametrize(
    ("expectation", "text", "value", "complete"),
    [
        (Expectation("yes_no", "en"), "yes", "yes", True),
        (Expectation("digits", "en", min_digits=4, max_digits=4), "8620", "8620", True),
        (Expectation("digits", "en", min_digits=4, max_digits=6), "8620", "8620", False),
        (Expectation("choice", "en", ("lost card", "balance")), "my lost card", "lost card", True),
        (Expectation("date", "zh"), "八八年六月六号", "1988-06-06", True),
        (Expectation("number", "en"), "twenty", "20", False),
        (Expectation("money", "zh"), "五块五毛", "5.50 CNY", True),
    ],
)
def test_a_step_without_a_slot_says_itself_what_counts(expectation, text, value, complete):
    """A choice gives the phrase; no slot is filled."""
    understood = understand(expectation, text)
    assert (understood.value, understood.complete, understood.slots) == (value, complete, {})


def test_other_slots_are_filled_beside_the_one_asked_for():
    """Only those that the step allows."""
    said = "five hundred yuan, tomorrow at nine"
    understood = understand(asking("amount", "en", "day", "time"), said)
    assert values(understood) == {"amount": "500.00 CNY", "day": "2026-11-19", "time": "09:00"}
    assert values(understand(asking("amount", "en", "day"), said)).keys() == {"amount", "day"}


def test_an_open_question_fills_slots():
    """Mixed initiative: intent and slots in one breath."""
    understood = understand(asking("", "zh", "amount", "day"), "我想明天存三千五百元")
    assert understood.value == "我想明天存三千五百元"
    assert values(understood) == {"amount": "3500.00 CNY", "day": "2026-11-19"}
    assert understand(asking(""), "I lost my card").intent == "lost_card"


@pytest.mark.parametrize(
    ("slot", "language", "text", "command"),
    [
        ("amount", "en", "say that again please", "repeat"),
        ("amount", "zh", "请再说一遍", "repeat"),
        ("sure", "zh", "没听清楚", "repeat"),
        ("sure", "en", "I didn't catch that", "repeat"),
        ("", "en", "go back", "back"),
        ("place", "zh", "转人工", "operator"),
        ("card", "en", "Chinese please", "language:zh"),
        ("message", "zh", "说慢一点", "slower"),
    ],
)
def test_a_command_goes_before_any_value(slot, language, text, command):
    """没听清楚 is no no."""
    understood = understand(asking(slot, language), text)
    assert (understood.command, understood.value, understood.complete) == (command, "", True)
    assert understand(asking(slot, language, commands=()), text).command == ""


def test_a_short_command_that_is_hardly_heard_is_none():
    """Noises are taken for short words."""
    heard = Hypothesis("help", 0.2)
    assert understanding.understand(VOCABULARY, asking(""), heard).command == ""


def test_a_choice_of_the_same_words_goes_before_a_command():
    """Where "help" is on offer it is an answer."""
    offered = Expectation("choice", "en", ("help", "balance"), commands=COMMANDS)
    assert understand(offered, "help").value == "help"


@pytest.mark.parametrize(
    ("slot", "language", "beside", "command"),
    [
        ("sure", "en", ("repeat please", 0.7), "repeat"),
        ("sure", "zh", ("美清清楚", 0.45), "repeat"),
        ("card", "zh", ("返回上一步", 0.7), "back"),
        ("account", "en", ("a human please", 0.5), "operator"),
        ("sure", "en", ("help", 0.7), "help"),
        ("sure", "en", ("help", 0.4), ""),
        ("sure", "en", ("say that again", 0.1), ""),
        ("sure", "en", ("you", 0.9), ""),
        ("sure", "en", ("yes", 0.9), ""),
    ],
)
def test_a_command_in_place_of_an_expected_answer(slot, language, beside, command):
    """From the free reading that a recogniser hands on, when it is sure enough."""
    understood = understand(asking(slot, language), "", beside, rejected="none_of_these")
    assert (understood.command, understood.value) == (command, "")


def test_a_command_heard_as_a_no_is_the_command_but_never_mind_is_a_no():
    """What was read freely tells 没听清楚 from 没."""
    assert understand(asking("sure", "zh"), "no", ("没听清楚", 0.5)).command == "repeat"
    assert understand(asking("sure"), "no", ("never mind", 0.5)).value == "no"


@pytest.mark.parametrize(
    ("slot", "text", "source"),
    [
        ("amount", "what are your opening hours", "hours"),
        ("place", "what does a transfer cost", "fee"),
        ("day", "when do you open", "hours"),
        ("amount", "five hundred", ""),
        ("day", "tell me a joke", ""),
        ("message", "what are your opening hours", ""),
    ],
)
def test_a_question_in_passing(slot, text, source):
    """It is answered where the step allows it; a message is a message."""
    assert understand(asking(slot), text).source == source
    assert understand(asking(slot, digress=False), text).source == ""


def test_a_question_in_place_of_a_yes_or_no():
    """From the free reading, when it is near enough to one in the knowledge file."""
    heard = understand(asking("sure"), "", ("what are your opening hours", 0.7), rejected="none_of_these")
    assert (heard.source, heard.answer) == ("hours", "From nine to five.")
    weak = understand(asking("sure"), "", ("what are your opening hours", 0.3), rejected="none_of_these")
    assert weak.source == ""


@pytest.mark.parametrize(
    ("slot", "language", "text", "filled"),
    [
        ("place", "en", "no, not Xidan, Dongdan", {"place": "dongdan"}),
        ("place", "zh", "不是西单，是东单", {"place": "dongdan"}),
        ("card", "zh", "我说错了，是尾号八六二零", {"card": "8620"}),
        ("day", "en", "no, I meant friday", {"day": "2026-11-20"}),
        ("amount", "zh", "不是五百，是九百", {"amount": "900.00 CNY"}),
    ],
)
def test_a_correction_of_the_slot_asked_for(slot, language, text, filled):
    """What is meant counts, what is rejected does not."""
    understood = understand(asking(slot, language), text)
    assert understood.corrects
    assert values(understood) == filled
    assert understood.value == filled[slot]


def test_a_correction_where_a_yes_or_no_was_asked_for():
    """ "Was that Xidan?" "No, not Xidan, Dongdan": a no that fills the slot anew."""
    understood = understand(asking("sure", "en", "place", "day"), "no, not Xidan, Dongdan")
    assert (understood.value, understood.corrects, values(understood)) == ("no", True, {"place": "dongdan"})
    heard = understand(asking("sure", "zh", "place"), "no", ("不对 不是西单 是东单", 0.5))
    assert (heard.value, heard.corrects, values(heard)) == ("no", True, {"place": "dongdan"})


def test_a_correction_in_an_open_answer_leaves_the_answer_open():
    """It may be a question as well."""
    understood = understand(asking("", "en", "day"), "no, I meant friday")
    assert (understood.value, understood.corrects) == ("no, I meant friday", True)
    assert values(understood) == {"day": "2026-11-20"}


@pytest.mark.parametrize(
    ("language", "text", "new"),
    [
        ("en", "No, Dongdan.", "dongdan"),
        ("en", "no dongdan please", "dongdan"),
        ("en", "oh no, sorry, near Dongdan", "dongdan"),
        ("zh", "不，东单", "dongdan"),
        ("zh", "不对，东单附近", "dongdan"),
        ("zh", "对不起，不是，东单吧", "dongdan"),
    ],
)
@pytest.mark.parametrize("slot", ["", "sure", "day"])
def test_a_no_before_a_bare_value_corrects(slot, language, text, new):
    """ "No, Xisi" takes the place back, whatever is being asked."""
    understood = understand(asking(slot, language, "place", "card"), text)
    assert (understood.corrects, values(understood)) == (True, {"place": new})
    assert understood.value == {"": text, "sure": "no", "day": ""}[slot]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "no, 8621"), ("en", "I meant 8621"), ("en", "no, eight six two one please"),
        ("en", "no, not eight six two zero, eight six two one"), ("en", "sorry, it's 8621"),
        ("zh", "不对，是8621"), ("zh", "不，八六二一"), ("zh", "不对，八六二一"), ("zh", "不是八六二零，是八六二一"),
        ("zh", "我说的是八六二一"),
    ],
)  # fmt: skip
def test_a_correction_of_an_earlier_slot_while_another_is_asked_for(language, text):
    """Bare digits fit the one, not the date that is due; the date is still due."""
    understood = understand(asking("day", language, "card"), text)
    assert (understood.value, understood.corrects, values(understood)) == ("", True, {"card": "8621"})


def test_a_correction_that_fits_the_slot_asked_for_or_several_others_leaves_those_alone():
    """Only what is clear is taken back."""
    slots = {**SLOTS, "code": Slot("code", "digits", min=4, max=4), "first": Slot("first", "date")}
    vocabulary = Vocabulary(KNOWLEDGE, slots)
    for language, text, date in (
        ("en", "no, 8621", "no, the fifth of May 1980"),
        ("zh", "不，八六二一", "不，八零年五月五号"),
    ):
        several = Expectation("date", language, slot="day", slots=("card", "code", "first"), today=TODAY)
        assert not understanding.understand(vocabulary, several, Hypothesis(text, 0.9)).slots
        assert values(understanding.understand(vocabulary, several, Hypothesis(date, 0.9))) == {"day": "1980-05-05"}


def test_the_intent_of_a_correction_is_that_of_what_is_meant():
    """The no in front is not what they ask for."""
    refusals = {"en": ("no", "no thank you"), "zh": ("不", "不用了，谢谢")}
    vocabulary = Vocabulary(Knowledge([Entry("no_more", refusals, {}, intent="no_more")]), SLOTS)
    for language, text, intent in (
        ("en", "no, Dongdan", ""), ("en", "no, is there a branch near Dongdan", ""), ("en", "no, thank you", "no_more"),
        ("zh", "不，东单", ""), ("zh", "不，东单附近有没有网点", ""), ("zh", "不用了，谢谢", "no_more"),
    ):  # fmt: skip
        understood = understanding.understand(vocabulary, asking("", language, "place"), Hypothesis(text, 0.9))
        assert (understood.intent, bool(understood.slots)) == (intent, not intent), text


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "no, thank you"), ("en", "no, not now"), ("en", "no, I don't know Dongdan"), ("en", "no way"),
        ("en", "no, that is not where I would like to go to, tell me about Dongdan"),
        ("zh", "不，谢谢"), ("zh", "不，等等"), ("zh", "没有，多谢"), ("zh", "不是，我不知道东单在哪"),
        ("zh", "不是西单"), ("zh", "不，回家"),
    ],
)  # fmt: skip
def test_a_no_before_other_words_corrects_nothing(language, text):
    """Thanks that sound nearly like a place (谢谢, 西四) neither."""
    near = Places([Place("xisi", {"zh": ("西四",), "en": ("Xisi",)}), Place("dongsi", {"zh": ("东四",)}),
                   Place("dongdan", {"zh": ("东单",), "en": ("Dongdan",)})])  # fmt: skip
    vocabulary = Vocabulary(KNOWLEDGE, {**SLOTS, "place": Slot("place", "place", places=near)})
    for slot in ("", "sure", "day"):
        heard = Hypothesis(text, 0.9)
        assert not understanding.understand(vocabulary, asking(slot, language, "place"), heard).corrects


@pytest.mark.parametrize("text", ["No, it wasn't me.", "no", "not me"])
def test_a_plain_no_corrects_nothing(text):
    """Whatever slots there are."""
    understood = understand(asking("sure", "en", "place", "day", "amount"), text)
    assert (understood.value, understood.corrects, values(understood)) == ("no", False, {"sure": "no"})


def test_the_other_one():
    """With and without a no."""
    assert understand(asking("place"), "the other one").other
    refused = understand(asking("sure"), "no, the other one")
    assert (refused.value, refused.other, refused.corrects) == ("no", True, True)


def test_a_yes_with_more():
    """The recogniser listened for the yes; what it read freely has the rest."""
    understood = understand(asking("sure", "en", "amount"), "yes", ("yes and five hundred yuan", 0.6))
    assert values(understood) == {"sure": "yes", "amount": "500.00 CNY"}


@pytest.mark.parametrize(
    ("slot", "language", "text", "complete", "partial"),
    [
        ("card", "en", "eight six", False, True),
        ("card", "en", "eight six two zero", True, False),
        ("day", "en", "march", False, True),
        ("day", "en", "march twelfth nineteen eighty five", True, False),
        ("day", "zh", "一九八五年三月", False, True),
        ("time", "zh", "下午", False, True),
        ("time", "zh", "下午三点", False, False),
        ("amount", "en", "five hundred", False, False),
        ("amount", "zh", "三千五百元", True, False),
        ("sure", "en", "yes", True, False),
        ("account", "en", "savings", True, False),
        ("place", "zh", "西单", True, False),
        ("place", "zh", "我要去", False, False),
    ],
)
def test_whether_more_must_come(slot, language, text, complete, partial):
    """The end-of-speech wait is short for a whole value and long within one."""
    understood = understand(asking(slot, language), text)
    assert (understood.complete, understood.partial) == (complete, partial)


@pytest.mark.parametrize("rejected", ["no_speech", "failed"])
def test_no_speech_means_nothing(rejected):
    """Whatever texts come with it."""
    understood = understand(asking("sure", "en", "amount"), "yes", ("repeat please", 0.9), rejected=rejected)
    assert (understood.value, understood.command, understood.slots) == ("", "", {})


@pytest.mark.parametrize("slot", [*SLOTS, ""])
@pytest.mark.parametrize("text", ["", "?!", "😀", "。。。", " \n"])
def test_no_words_are_no_match(slot, text):
    """Punctuation and emoji say nothing."""
    understood = understand(asking(slot, "zh", *SLOTS), text)
    assert (understood.value, understood.command, understood.slots, understood.complete) == ("", "", {}, False)


@given(
    st.text(max_size=200),
    st.text(max_size=200),
    st.sampled_from(["en", "zh", "ko", "xx"]),
    st.sampled_from([*SLOTS, ""]),
    st.sampled_from(["", "none_of_these"]),
)
def test_any_hypothesis_is_understood_without_error(text, other, language, slot, rejected):
    """Whatever recognisers write in whatever language."""
    understood = understand(asking(slot, language, *SLOTS), text, (other, 0.9), rejected=rejected)
    assert 0 <= understood.confidence <= 1
    assert not (understood.complete and understood.partial)
    assert all(filled.value for filled in understood.slots.values())


@pytest.mark.parametrize("slot", [*SLOTS, ""])
@pytest.mark.parametrize("text", ["one two " * 1_250, "三" * 10_000, "不是西单，" * 2_000])
def test_ten_thousand_characters_are_bounded(slot, text):
    """They come to an end; a message of that length is kept as it is."""
    for language in ("en", "zh"):
        understand(asking(slot, language, *SLOTS), text, (text, 0.5), (text, 0.4))


@pytest.mark.parametrize("slot", ["", "message", "place"])
@pytest.mark.parametrize(
    ("language", "text"),
    [("en", "um"), ("en", "Uh, well."), ("en", "sorry"), ("zh", "嗯"), ("zh", "呃，那个"), ("zh", "啊")],
)
def test_looking_for_words_is_no_answer(slot, language, text):
    """Neither where anything may be said nor where a place is asked for."""
    understood = understand(asking(slot, language), text)
    assert (understood.value, understood.slots, understood.intent, understood.command) == ("", {}, "", "")


@pytest.mark.parametrize("slot", ["", "message", "place", "sure", "card"])
@pytest.mark.parametrize(
    ("language", "text"),
    [("en", "what?"), ("en", "Pardon?"), ("en", "sorry?"), ("zh", "什么？"), ("zh", "啊？"), ("zh", "你说什么")],
)
def test_asking_back_is_a_command(slot, language, text):
    """At every question."""
    assert understand(asking(slot, language), text).command == "repeat"


def test_a_hum_is_a_yes_where_one_was_asked_for():
    """In Mandarin, with any mark behind it."""
    for text in ("嗯", "嗯。", "嗯？", "嗯嗯"):
        assert understand(asking("sure", "zh"), text).value == "yes"


@pytest.mark.parametrize(
    ("language", "before", "text", "filled"),
    [
        ("en", "12th of March", "1985", {"day": "1985-03-12"}),
        ("en", "the twelfth of March.", "Nineteen eighty five.", {"day": "1985-03-12"}),
        ("en", "March 12", "no, it was 1985", {"day": "1985-03-12"}),
        ("en", "1985", "12th of March", {"day": "1985-03-12"}),
        ("en", "12th of March", "5th of May 1980", {"day": "1980-05-05"}),
        ("en", "12th of March", "the 5th of May", {"day": "2027-05-05"}),
        ("en", "12th of March", "tomorrow", {"day": "2026-11-19"}),
        ("en", "12th of March", "no, 8621", {"card": "8621"}),
        ("en", "12th of March", "um", {}),
        ("zh", "三月十二号", "一九八五年", {"day": "1985-03-12"}),
        ("zh", "三月十二号。", "是八五年。", {"day": "1985-03-12"}),
        ("zh", "三月十二号", "1985", {"day": "1985-03-12"}),
        ("zh", "三月十二号", "不对，一九八五年", {"day": "1985-03-12"}),
        ("zh", "一九八五年", "三月十二号", {"day": "1985-03-12"}),
        ("zh", "三月十二号", "八零年五月五号", {"day": "1980-05-05"}),
        ("zh", "三月十二号", "五月五号", {"day": "2027-05-05"}),
        ("zh", "三月十二号", "不对，八六二一", {"card": "8621"}),
        ("zh", "三月十二号", "嗯", {}),
    ],
)
def test_a_date_in_two_turns(language, before, text, filled):
    """What lacked its year, or its day, is completed; a whole date and a correction of something else are their own."""
    understood = understand(asking("day", language, "card", unfinished=before), text)
    assert values(understood) == filled

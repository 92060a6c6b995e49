"""Universal commands, corrections, and what is neither."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.understanding import commands
from ivr.understanding.commands import COMMANDS, Correction


@pytest.mark.parametrize(
    ("text", "language", "command"),
    [
        ("repeat", "en", "repeat"),
        ("Please repeat that.", "en", "repeat"),
        ("could you repeat that please", "en", "repeat"),
        ("Can you say that again?", "en", "repeat"),
        ("where is that again", "en", "repeat"),
        ("what was that", "en", "repeat"),
        ("what was the number again", "en", "repeat"),
        ("Sorry, I didn't catch that.", "en", "repeat"),
        ("pardon me", "en", "repeat"),
        ("one more time please", "en", "repeat"),
        ("I don't understand", "en", "repeat"),
        ("I didn't hear that, please say it again", "en", "repeat"),
        ("I need you to repeat what you just said", "en", "repeat"),
        ("what was that you just said?", "en", "repeat"),
        ("you're talking too fast, please slow down", "en", "slower"),
        ("what kind of questions can I ask you", "en", "help"),
        ("forget it, I've changed my mind", "en", "cancel"),
        ("please set your language to Chinese", "en", "language:zh"),
        ("can we speak in English rather than Mandarin", "en", "language:en"),
        ("what?", "en", "repeat"),
        ("Oh, sorry, what?", "en", "repeat"),
        ("Sorry?", "en", "repeat"),
        ("Pardon?", "en", "repeat"),
        ("Huh?", "en", "repeat"),
        ("slow down please", "en", "slower"),
        ("please speak more slowly", "en", "slower"),
        ("could you speak a little slower", "en", "slower"),
        ("that was too fast", "en", "slower"),
        ("help", "en", "help"),
        ("what can I say", "en", "help"),
        ("what are my options?", "en", "help"),
        ("I need help", "en", "help"),
        ("go back", "en", "back"),
        ("can we go back please", "en", "back"),
        ("back to the previous question", "en", "back"),
        ("cancel", "en", "cancel"),
        ("cancel that please", "en", "cancel"),
        ("never mind", "en", "cancel"),
        ("oh forget it", "en", "cancel"),
        ("operator", "en", "operator"),
        ("a human please", "en", "operator"),
        ("I want to speak to a real person", "en", "operator"),
        ("can I talk to somebody", "en", "operator"),
        ("put me through to an agent", "en", "operator"),
        ("Chinese please", "en", "language:zh"),
        ("Can you speak Mandarin?", "en", "language:zh"),
        ("switch to Chinese", "en", "language:zh"),
        ("speak English", "en", "language:en"),
        ("说中文", "en", "language:zh"),
        ("请再说一遍", "zh", "repeat"),
        ("再说一次好吗", "zh", "repeat"),
        ("没听清楚", "zh", "repeat"),
        ("我没听清楚", "zh", "repeat"),
        ("美清清楚", "zh", "repeat"),
        ("不好意思，我没听清", "zh", "repeat"),
        ("你说什么", "zh", "repeat"),
        ("请你重复一遍，谢谢", "zh", "repeat"),
        ("什么？", "zh", "repeat"),
        ("什么", "zh", "repeat"),
        ("呃，你说啥", "zh", "repeat"),
        ("啊？", "zh", "repeat"),
        ("说慢一点", "zh", "slower"),
        ("您能说慢一点吗", "zh", "slower"),
        ("舒慢一点", "zh", "slower"),
        ("太快了", "zh", "slower"),
        ("我可以说什么", "zh", "help"),
        ("帮助", "zh", "help"),
        ("有哪些选择", "zh", "help"),
        ("返回上一步", "zh", "back"),
        ("反回上一步", "zh", "back"),
        ("请返回", "zh", "back"),
        ("算了，不用了", "zh", "cancel"),
        ("算了", "zh", "cancel"),
        ("我要取消", "zh", "cancel"),
        ("转人工", "zh", "operator"),
        ("帮我接人工", "zh", "operator"),
        ("我要转人工客服", "zh", "operator"),
        ("我要在人工克服", "zh", "operator"),
        ("我想跟真人说话", "zh", "operator"),
        ("轉人工", "zh", "operator"),
        ("请说英文", "zh", "language:en"),
        ("会说英语吗", "zh", "language:en"),
        ("English please", "zh", "language:en"),
        ("讲普通话", "zh", "language:zh"),
    ],
)
def test_a_command(text, language, command):
    """With politeness around it, misheard by a syllable, in either language."""
    assert commands.command(text, language, COMMANDS) == command


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("yes", "en"),
        ("no", "en"),
        ("no thank you", "en"),
        ("no, it wasn't me", "en"),
        ("I don't know", "en"),
        ("I'm not sure", "en"),
        ("you", "en"),
        ("the", "en"),
        ("oh", "en"),
        ("what", "en"),
        ("hello", "en"),
        ("sorry", "en"),
        ("um", "en"),
        ("um?", "en"),
        ("what is my balance?", "en"),
        ("sorry, my card is lost?", "en"),
        ("please", "en"),
        ("thank you", "en"),
        ("can you", "en"),
        ("I want to cancel my card", "en"),
        ("help me with my card", "en"),
        ("repeat the last three transactions", "en"),
        ("what is my balance again", "en"),
        ("can I go back to the branch on Monday", "en"),
        ("eight six two zero", "en"),
        ("a hundred", "en"),
        ("the bird's nest", "en"),
        ("", "en"),
        ("?!", "en"),
        ("😀", "en"),
        ("repeat " * 2_000, "en"),
        ("是", "zh"),
        ("不是", "zh"),
        ("不用了", "zh"),
        ("不要", "zh"),
        ("没有", "zh"),
        ("我不知道", "zh"),
        ("嗯", "zh"),
        ("嗯？", "zh"),
        ("啊", "zh"),
        ("什么手续费？", "zh"),
        ("谢谢", "zh"),
        ("你好", "zh"),
        ("请", "zh"),
        ("取消我的信用卡", "zh"),
        ("我的卡丢了", "zh"),
        ("先帮我挂失，然后转人工", "zh"),
        ("八六二零", "zh"),
        ("西单", "zh"),
        ("再说一遍" * 2_500, "zh"),
    ],
)
def test_no_command(text, language):
    """Answers, requests that only begin like one, noise of a syllable."""
    assert commands.command(text, language, COMMANDS) == ""


def test_only_commands_in_force():
    """Others are nothing special."""
    assert commands.command("go back", "en", ("repeat",)) == ""
    assert commands.command("说中文", "zh", ("repeat",)) == ""
    assert commands.command("go back", "en", ()) == ""


def test_phrases_for_grammars():
    """Of the commands asked for, each of which is understood again."""
    for language in ("en", "zh"):
        assert len(commands.phrases(language, COMMANDS)) > 80
        for phrase in commands.phrases(language, COMMANDS):
            assert commands.command(phrase, language, COMMANDS)
    assert "go back" not in commands.phrases("en", ("repeat",))
    assert "speak chinese" in commands.phrases("en", ("language",))
    assert commands.phrases("ko", COMMANDS) == ()


@pytest.mark.parametrize(
    ("text", "language", "rejected", "new"),
    [
        ("no, not Xidan, Dongdan", "en", "xidan", "dongdan"),
        ("not xidan but dongdan", "en", "xidan", "dongdan"),
        ("no not xidan dongdan", "en", "xidan", "dongdan"),
        ("No, it's not Xidan, it's Dongdan.", "en", "xidan", "dongdan"),
        ("not five hundred, I said nine hundred", "en", "five hundred", "nine hundred"),
        ("not monday, tuesday", "en", "monday", "tuesday"),
        ("I meant Dongdan", "en", "", "dongdan"),
        ("I said tuesday but I meant wednesday", "en", "", "wednesday"),
        ("sorry, no, please make that friday", "en", "", "friday"),
        ("no, I meant the savings account", "en", "", "the savings account"),
        ("No, I said five hundred.", "en", "", "five hundred"),
        ("sorry, it's 8620", "en", "", "8620"),
        ("no, it's March twelfth", "en", "", "march twelfth"),
        ("make that tomorrow", "en", "", "tomorrow"),
        ("actually make it friday", "en", "", "friday"),
        ("that's wrong, it's nine thirty", "en", "", "nine thirty"),
        ("I made a mistake, it's 8620", "en", "", "8620"),
        ("不是西单，是东单", "zh", "西单", "东单"),
        ("不对，不是西单，是东单", "zh", "西单", "东单"),
        ("不对 不是七单 是东单", "zh", "七单", "东单"),
        ("不是五百，而是九百", "zh", "五百", "九百"),
        ("我说错了，是尾号八六二零", "zh", "", "尾号八六二零"),
        ("说错了，是明天", "zh", "", "明天"),
        ("不对，是明天", "zh", "", "明天"),
        ("不，是东单", "zh", "", "东单"),
        ("错了，是五百块", "zh", "", "五百块"),
        ("我的意思是东单", "zh", "", "东单"),
        ("我要的是储蓄卡", "zh", "", "储蓄卡"),
        ("我说的是五百", "zh", "", "五百"),
    ],
)
def test_a_correction(text, language, rejected, new):
    """What is rejected, if it is said, and what is meant instead."""
    assert commands.correction(text, language) == Correction(rejected, new)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("no", "en"),
        ("No, it wasn't me", "en"),
        ("no, not me", "en"),
        ("No, not me, I didn't do it", "en"),
        ("that's not right", "en"),
        ("not true", "en"),
        ("no no no", "en"),
        ("it's not me", "en"),
        ("no it's not", "en"),
        ("I'm not sure", "en"),
        ("I'm not sure, maybe", "en"),
        ("I didn't mean that", "en"),
        ("yes", "en"),
        ("xidan", "en"),
        ("can you make that transfer tomorrow", "en"),
        ("I made a mistake and need to cancel a transfer", "en"),
        ("", "en"),
        ("不是", "zh"),
        ("不对", "zh"),
        ("没有", "zh"),
        ("不是的", "zh"),
        ("不对不对", "zh"),
        ("不是我，我没有做过这笔交易", "zh"),
        ("不是我本人操作的", "zh"),
        ("我不认识这个商户", "zh"),
        ("我不太确定", "zh"),
        ("好像是吧", "zh"),
        ("是的，这笔交易是我本人做的", "zh"),
        ("对的，是我本人", "zh"),
        ("你打错了", "zh"),
        ("不要再打给我了", "zh"),
        ("我现在不方便，明天再打", "zh"),
        ("是不是我", "zh"),
        ("西单", "zh"),
    ],
)
def test_no_correction(text, language):
    """Plain answers take nothing back."""
    assert commands.correction(text, language) is None


@pytest.mark.parametrize(
    ("text", "language", "behind"),
    [
        ("No, Xisi.", "en", "xisi"),
        ("no xisi please", "en", "xisi"),
        ("oh no, sorry, eight six two one", "en", "eight six two one"),
        ("no", "en", ""),
        ("no, not me", "en", ""),
        ("Northgate", "en", ""),
        ("yes, Xisi", "en", ""),
        ("no, " + "well " * 50, "en", ""),
        ("不，西四", "zh", "西四"),
        ("不对，西四吧", "zh", "西四"),
        ("不好意思，不是，八六二一", "zh", "八六二一"),
        ("没有，我要挂失", "zh", "挂失"),
        ("没有，再见", "zh", ""),
        ("不，谢谢", "zh", ""),
        ("no, thank you", "en", ""),
        ("不", "zh", ""),
        ("不是西单", "zh", ""),
        ("不知道，你说吧", "zh", ""),
        ("西四", "zh", ""),
    ],
)
def test_what_stands_behind_a_no(text, language, behind):
    """In Mandarin only behind a pause."""
    assert commands.instead(text, language) == behind


@pytest.mark.parametrize(
    ("text", "language", "other"),
    [
        ("the other one", "en", True),
        ("no, the other one please", "en", True),
        ("not that one, the other one", "en", True),
        ("my other card", "en", True),
        ("another time", "en", False),
        ("yes", "en", False),
        ("另一个", "zh", True),
        ("不是这个，是另一个", "zh", True),
        ("我要另外一张", "zh", True),
        ("这个", "zh", False),
        ("", "zh", False),
    ],
)
def test_the_other_one(text, language, other):
    """Of what was offered."""
    assert commands.other_one(text, language) is other


@given(st.text(max_size=300) | st.text("不是对错我说，。 西东单a", max_size=60), st.sampled_from(["en", "zh", "ko"]))
def test_any_text_is_read_without_error(text, language):
    """Whatever a recogniser may write."""
    found = commands.command(text, language, COMMANDS)
    assert found.partition(":")[0] in (*COMMANDS, "")
    commands.correction(text, language)
    commands.instead(text, language)
    commands.other_one(text, language)


@pytest.mark.parametrize(
    "text", ["not " * 2_500, "no not a, " * 1_000, "不是" * 5_000, "不是西单，" * 2_000, "," * 10_000]
)
def test_ten_thousand_characters_are_bounded(text):
    """Read by their beginning."""
    for language in ("en", "zh"):
        commands.command(text, language, COMMANDS)
        commands.correction(text, language)
        commands.instead(text, language)
        commands.other_one(text, language)

"""Universal commands, corrections and "the other one": what callers say about the conversation itself.

A command counts only when the utterance is nearly nothing else, words of politeness apart; Mandarin is compared by
sound. A correction names what is meant instead: "no, not Xidan, Dongdan", 我说错了，是尾号八六二零. Plain answers
("no, it wasn't me", 不是我，我没有做过) are neither. Pure text in, names out; knows nothing of steps or of what a
command does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz import fuzz

from ivr.understanding import expected, sounds
from ivr.understanding.said import normal

COMMANDS = ("repeat", "slower", "help", "back", "cancel", "operator", "language")

_PHRASES_EN: dict[str, tuple[str, ...]] = {
    "repeat": (
        "repeat", "repeat that", "repeat it", "repeat the question", "repeat again", "say that again", "say it again",
        "say that one more time", "say again", "come again", "once more", "one more time", "again", "what was that",
        "what did you say", "what was the question", "pardon", "pardon me", "beg your pardon", "i beg your pardon",
        "i didn't hear you", "i didn't hear that", "i did not hear that", "i didn't catch that", "i didn't get that",
        "i couldn't hear you", "i can't hear you", "i didn't understand", "i didn't understand that", "sorry what",
        "i don't understand", "what do you mean", "what was that again", "where is that again", "where was that",
        "i did not understand", "i did not catch that", "i missed that", "what did you just say",
    ),
    "slower": (
        "slower", "slowly", "more slowly", "speak slower", "speak more slowly", "speak slowly", "talk slower",
        "talk more slowly", "slow down", "a bit slower", "a little slower", "a little slowly", "say it more slowly",
        "say that slowly", "say it slowly", "not so fast", "too fast", "that was too fast", "that's too fast",
        "you are too fast", "you speak too fast", "you're talking too fast", "you're speaking too fast", "go slower",
        "speak a little slower", "speak a bit slower", "talk a little slower", "speak a little more slowly",
        "speak a bit more slowly", "say it slower", "say that slower",
    ),
    "help": (
        "help", "help me", "i need help", "i need some help", "what can i say", "what can i say here", "options",
        "what can i do", "what can i do here", "what are my options", "what are the options", "how does this work",
        "what should i say", "what am i supposed to say", "i don't know what to say", "what can you do",
    ),
    "back": (
        "back", "go back", "back up", "go back one step", "go back a step", "step back", "take me back",
        "one step back", "previous", "previous step", "previous question", "the previous question",
        "the previous one", "go to the previous step", "return to the previous step", "back to the previous step",
        "back to the previous question", "last question",
    ),
    "cancel": (
        "cancel", "cancel that", "cancel it", "cancel this", "cancel everything", "cancel please", "never mind",
        "nevermind", "forget it", "forget that", "forget about it", "abort", "i changed my mind",
        "i've changed my mind", "i don't want to do this", "i don't want this anymore", "leave it", "no cancel",
        "no cancel that", "stop this", "no never mind", "oh never mind", "no forget it",
    ),
    "operator": (
        "operator", "agent", "an agent", "a human", "human", "a human being", "a person", "a real person",
        "real person", "representative", "a representative", "customer service", "somebody real", "someone real",
        "a live person", "speak to a person", "speak to a human", "speak to an agent", "speak to somebody",
        "speak to someone", "speak to a representative", "speak to an operator", "speak with a person",
        "speak with an agent", "talk to a person", "talk to a human", "talk to an agent", "talk to somebody",
        "talk to someone", "talk to a real person", "talk to a representative", "talk to an operator",
        "speak to a real person", "speak with a human", "speak with someone", "transfer me to an agent",
        "connect me to an agent", "connect me with an agent", "put me through to somebody",
        "put me through to an agent", "give me an agent", "get me a human", "get me a person", "give me a human",
        "the operator", "live agent", "talk with a person",
    ),
    "language:zh": (
        "chinese", "mandarin", "in chinese", "in mandarin", "speak chinese", "speak mandarin", "speak in chinese",
        "talk in chinese", "switch to chinese", "switch to mandarin", "do you speak chinese", "do you speak mandarin",
        "i speak chinese", "i want chinese", "chinese language", "change to chinese",
    ),
    "language:en": (
        "english", "in english", "speak english", "speak in english", "talk in english", "switch to english",
        "do you speak english", "i speak english", "english language", "change to english", "i want english",
    ),
}  # fmt: skip
_PHRASES_ZH: dict[str, tuple[str, ...]] = {
    "repeat": (
        "再说一遍", "再说一次", "再说一下", "重复一遍", "重复一下", "再重复一遍", "重复", "没听清楚", "没听清",
        "没听见", "没听到", "没听懂", "没听明白", "没听清你说什么", "听不清", "听不清楚", "听不见", "听不懂",
        "你说什么", "刚才说什么", "你刚才说什么", "刚才说的是什么", "再讲一遍", "再来一遍", "什么来着", "在哪里来着",
        "在哪来着", "是多少来着", "刚才没听清", "刚才没听清楚", "没明白", "你说的是什么", "什么意思",
    ),
    "slower": (
        "说慢一点", "慢一点", "慢点说", "慢点", "说慢点", "太快了", "说得太快了", "你说得太快了", "讲慢一点",
        "慢一些", "说慢一些", "别那么快", "放慢一点", "慢慢说", "再慢一点", "说得慢一点", "慢一点说",
    ),
    "help": (
        "我可以说什么", "可以说什么", "能说什么", "我能说什么", "帮助", "需要帮助", "有什么选择", "有哪些选择",
        "有哪些选项", "有什么选项", "怎么用", "我该怎么说", "我该说什么", "应该说什么", "不知道说什么",
        "不知道该说什么", "能做什么", "可以做什么", "你能做什么", "有什么功能", "我应该怎么说",
    ),
    "back": (
        "返回上一步", "返回", "上一步", "回到上一步", "退回上一步", "退回", "回去", "返回上一级", "上一个问题",
        "回到上一个问题", "后退", "返回上一层", "返回前一步",
    ),
    "cancel": (
        "算了不用了", "算了", "算了吧", "取消", "取消吧", "取消操作", "不办了", "不弄了", "不做了", "别弄了",
        "不想办了", "算了不办了", "算了算了", "不用办了", "取消这个", "算了不要了",
    ),
    "operator": (
        "转人工", "人工", "人工服务", "人工客服", "接人工", "转人工客服", "转人工服务", "转接人工", "找人工", "真人",
        "跟真人说话", "跟人说话", "和真人说话", "真人服务", "客服", "转客服", "接客服", "找客服", "转接客服",
        "客服人员", "人工座席", "转人工座席", "找一个真人", "接人工客服", "跟客服说话",
    ),
    "language:en": (
        "说英文", "说英语", "讲英文", "讲英语", "用英文", "用英语", "英文服务", "英语服务", "换英语", "换英文",
        "换成英语", "换成英文", "切换英文", "切换英语", "切换到英文", "切换到英语", "英文", "英语", "会说英语",
        "会讲英语", "会说英文",
    ),
    "language:zh": (
        "说中文", "讲中文", "用中文", "中文服务", "说普通话", "讲普通话", "普通话", "中文", "国语", "说国语",
        "换中文", "换成中文", "切换到中文", "切换中文", "说汉语", "汉语",
    ),
}  # fmt: skip
_PHRASES = {"en": _PHRASES_EN, "zh": _PHRASES_ZH}

_POLITE_EN = re.compile(
    r"^(?:(?:please|sorry|excuse me|i'm sorry|okay|ok|well|hey|hi|hello|um|uh|er|oh|no|so|yes|just|kindly|actually|wait"
    r"|(?:can|could|would|will) (?:you|i|we)(?: please)?|would you mind|let me|let's"
    r"|i(?:'d| would) like(?: for)?(?: you)?(?: to)?"
    r"|i (?:want|need|wish)(?: for)?(?: you)?(?: to)?|may i|what if we|is it possible to) )+"
)
_POLITE_END_EN = re.compile(r"(?: (?:please|thanks|thank you|sorry|now|then|sir|madam|for me|if you can))+$")
_POLITE_ZH = (
    "请问", "请你", "请您", "请", "麻烦你", "麻烦您", "麻烦", "你好", "您好", "不好意思", "对不起", "嗯", "呃", "啊",
    "哎", "能不能", "可不可以", "可以不可以", "可以", "能", "帮我", "给我", "我想要", "我想", "我要", "我", "你",
    "您", "那就", "那", "刚才",
)  # fmt: skip
_POLITE_END_ZH = (
    "谢谢你", "谢谢您", "谢谢", "可以吗", "好吗", "行吗", "好不好", "吗", "吧", "啊", "呢", "了", "哦", "一下",
)  # fmt: skip
# What phrases leave open. Several of them may follow one another: "I didn't hear that, please say it again".
_CHINESE, _ENGLISH = "(?:chinese|mandarin|putonghua)", "english"
_LANGUAGE_EN = (
    r"(?:(?:change|switch|set)(?: (?:the|your|my))?(?: preferred)?(?: language| responses?| speech)?(?: settings?)?"
    r"(?: from \w+)? to|(?:speak|talk|respond|answer|reply|continue|communicate)(?: (?:to|with) me)?(?: only)? in)"
    r" {0}"
    r"(?: from now on| instead| instead of \w+| rather than \w+)?"
)
_OPEN_EN = {
    "repeat": (
        r"(?:repeat|restate|rephrase)(?: (?:that|it|this|yourself|the question"
        r"|what you (?:just )?(?:said|told me|asked)"
        r"|(?:that|the|your) last (?:thing|part|response|sentence|question)"
        r"(?: you (?:just )?(?:said|told me|asked))?))?"
        r"(?: again| for me| once more| one more time)*"
        r"|(?:say|hear|read) (?:that|it|this)(?: (?:again|over|over again|once more|one more time|another time))"
        r"|i missed (?:that|it|what you (?:just )?said|that last (?:one|part))"
        r"|(?:have )?(?:that|it) repeated(?: again| for me)*"
        r"|i (?:did not|didn't|could not|couldn't) (?:quite )?(?:hear|catch|get|understand)"
        r"(?: (?:you|that|it|all of that|what you (?:just )?said))?(?: (?:clearly|correctly|properly))?"
        r"|what (?:was (?:that|it)(?: last thing)? you (?:just )?(?:said|asked)"
        r"|(?:did|have) you (?:just )?(?:say|ask|said))"
        r"|(?:where|what|when|who|which|how much|how many) (?:is|was|are|were)"
        r" (?:that|it|this|those|the [a-z]+(?: [a-z]+)?) again"
    ),
    "slower": (
        r"(?:speak|talk|go|say (?:it|that|your words))(?: to me)?(?: a (?:bit|little))?"
        r" (?:slower|more slowly|slowly)(?: to me)?"
        r"|(?:slow|slow it|slow your (?:speech|speaking|talking|voice|words)) down(?: a (?:bit|little))?"
        r"|slow down (?:your|the) (?:speech|speaking|talking|voice|words)"
        r"|(?:you're|you are|that's|that is|that was)(?: (?:speaking|talking|going))?"
        r" (?:much |far |way |a bit )?(?:too|so) fast(?: for me)?"
    ),
    "help": (
        r"what (?:(?:kind|sort|type)s? of )?(?:questions?|things?|topics?|subjects?|information)"
        r" (?:can|could|may|do|should) (?:i|you) (?:ask|say|do|answer|know|accept|help)(?: you| me)?(?: about| with)?"
        r"|what (?:all )?(?:can|could|may|should) (?:i|you) (?:ask|say|do|answer|help)(?: you| me)?"
        r"(?: about| with| for)?(?: here| exactly)?"
    ),
    "cancel": (
        r"(?:cancel|stop|abort)(?: (?:that|it|this|everything|what you(?:'re| are) doing"
        r"|(?:my|that|the|this) (?:last |previous )?(?:request|command|question|thing)))"
        r"|(?:forget|disregard|scratch|ignore) (?:it|that|this|about it|about that)"
        r"|i(?:'ve| have)? changed my mind|i (?:do not|don't) (?:need|want) (?:it|that|this) any ?more"
    ),
    "language:zh": _LANGUAGE_EN.format(_CHINESE),
    "language:en": _LANGUAGE_EN.format(_ENGLISH),
}


@lru_cache(maxsize=1)
def _said_in_words() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Each command's phrases, closed and open, one or several after one another, with politeness around them."""
    polite, end = _POLITE_EN.pattern.removeprefix("^"), _POLITE_END_EN.pattern.removesuffix("$")
    found = []
    for name, said in _PHRASES_EN.items():
        closed = sorted((p for p in said if " " in p), key=len, reverse=True)
        one = "|".join([*([_OPEN_EN[name]] if name in _OPEN_EN else []), *map(re.escape, closed)])
        found.append(
            (name, re.compile(rf"(?:{polite})?(?:{one})(?:{end})?(?: (?:{polite})?(?:{one})(?:{end})?){{0,2}}"))
        )
    return tuple(found)


# Single words that ask back, some by their tone only: by the mark behind them, if there is one; noise sounds like them.
_ASKS_BACK = {
    "en": re.compile(
        r"(?:(?:um|uh|er|oh|wait) )*(?:what|huh|eh|hm+|sorry|pardon(?: me)?|excuse me)"
        r"(?: (?:what|huh|sorry|pardon(?: me)?))*"
    ),
    "zh": re.compile("(?:[嗯呃哦噢诶]|不好意思|对不起)*(?:什么|啥|啊|哈|咦|诶)+"),
}
_ASKS_BACK_UNMARKED = re.compile("(?:[嗯呃哦噢啊诶]|不好意思|对不起)*(?:你?(?:什么|啥)|你?说啥)")
_LIKE_EN, _LIKE_LETTERS = 90.0, 8
# How far the syllables may be from the phrase's, a syllable on average, by their number.
_APART_ZH = {1: 0.0, 2: 0.0, 3: 0.09}
_MOST_APART_ZH = 0.13
_LONGEST_COMMAND = 60
_MOST_COMMAND_WORDS = 14


@dataclass(frozen=True)
class Correction:
    """What a caller takes back: the words they reject (may be empty) and those they mean instead (may be empty)."""

    rejected: str
    new: str


# Commands -----------------------------------------------------------------------------------------------------------


def command(text: str, language: str, allowed: Sequence[str]) -> str:
    """The command of COMMANDS that `text` is and nearly nothing else, empty when it is none of the `allowed` ones.

    `language` comes with the one asked for: `language:zh`.
    """
    said = normal(text[: 4 * _LONGEST_COMMAND], language)
    if not said or len(said) > _LONGEST_COMMAND:
        return ""
    # Whoever asks for their own language may do so in it, whatever language is listened for.
    in_chinese = bool(re.search(r"[\u4e00-\u9fff]", said))
    if _asks_back(said, "zh" if in_chinese else "en", marked=bool(re.search(r"[?？]\W*$", text[-20:]))):
        found = "repeat"
    else:
        found = _mandarin(normal(said, "zh")) if in_chinese else _english(said)
    return found if found.partition(":")[0] in allowed else ""


def phrases(language: str, commands: Sequence[str]) -> tuple[str, ...]:
    """What callers commonly say for `commands`, for engines that listen with a grammar."""
    table = _PHRASES.get(language, {})
    return tuple(p for name, said in table.items() if name.partition(":")[0] in commands for p in said)


def _asks_back(said: str, language: str, marked: bool) -> bool:
    if language == "zh" and _ASKS_BACK_UNMARKED.fullmatch(said):
        return True
    return marked and bool(_ASKS_BACK[language].fullmatch(said))


@lru_cache(maxsize=1_024)
def _english(said: str) -> str:
    if len(said.split()) > _MOST_COMMAND_WORDS:
        return ""
    for name, pattern in _said_in_words():
        if pattern.fullmatch(said):
            return name
    core = _POLITE_EN.sub("", _POLITE_END_EN.sub("", said) + " ").strip()
    forms = dict.fromkeys((said, _POLITE_END_EN.sub("", said), core))
    best, name = 0.0, ""
    for command_, said_so in _PHRASES_EN.items():
        for phrase in said_so:
            for form in forms:
                like = 100.0 if form == phrase else fuzz.ratio(form, phrase) if len(phrase) >= _LIKE_LETTERS else 0.0
                if like > best:
                    best, name = like, command_
    return name if best >= _LIKE_EN else ""


@lru_cache(maxsize=1)
def _mandarin_phrases() -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((name, sounds.syllables(p)) for name, said in _PHRASES_ZH.items() for p in said)


@lru_cache(maxsize=1_024)
def _mandarin(said: str) -> str:
    said = said.replace(" ", "")
    forms = {sounds.syllables(form) for form in (said, *_less_polite(said)) if form}
    best, name = 1.0, ""
    for command_, phrase in _mandarin_phrases():
        for form in forms:
            if len(form) == len(phrase):
                apart = sum(map(sounds.apart, form, phrase)) / len(phrase)
                if apart <= _APART_ZH.get(len(phrase), _MOST_APART_ZH) and apart < best:
                    best, name = apart, command_
    return name


def _less_polite(said: str) -> list[str]:
    """`said` with ever less of what is said out of politeness."""
    forms = []
    while True:
        shorter = next((said.removeprefix(w) for w in _POLITE_ZH if said.startswith(w) and len(said) > len(w)), said)
        if shorter == said:
            shorter = next(
                (said.removesuffix(w) for w in _POLITE_END_ZH if said.endswith(w) and len(said) > len(w)), said
            )
        if shorter == said:
            return forms
        forms += [shorter, next((shorter.removesuffix(w) for w in _POLITE_END_ZH if shorter.endswith(w)), shorter)]
        said = shorter


# Corrections --------------------------------------------------------------------------------------------------------

_STOPS = r"\s*[,.;!?，。；！？、:：-]+\s*"
# A pause is written | in what follows.
_NOT_BUT_EN = re.compile(
    r"^(?:.{0,24}\b)?not (?P<x>[^|]{1,60}?)(?: \|)?"
    r" (?:but(?: rather)?|it's|it is|i (?:said|meant|mean|want)|rather|make it)(?: \|)? (?P<y>.+)$"
)
_NOT_PAUSE_EN = re.compile(
    r"^(?:(?:no|nope|sorry|wait|it's|i said|i meant|that's) (?:\| )?)*not (?P<x>[^|]{1,60}) \| (?P<y>.+)$"
)
_NOT_TWO_EN = re.compile(r"^no (?:\| )?not (?P<x>[\w']+) (?P<y>[\w']+)$")
_MEANT_EN = re.compile(
    r"^(?:(?:.{0,30}\b)?i (?:actually )?meant(?: to say)?"
    r"|(?:(?:no|nope|sorry|i'm sorry|wait|oh|well|actually|please|um|uh)(?: \|)? )*(?:(?:please )?make that"
    r"|(?:no|sorry|wait|actually)(?: \|)? (?:i (?:said|mean|want|wanted)|make (?:it|that)|it's|it is|it should be)"
    r"|i (?:was wrong|made a mistake)(?: \|)? (?:it's|it is)"
    r"|that's (?:wrong|not right)(?: \|)? (?:it's|it is)))(?: \|)? (?P<y>.+)$"
)
_OTHER_EN = re.compile(
    r"\b(?:the |my )?other (?:one|card|account|place|branch|number|option)\b"
    r"|^(?:no (?:\| )?)?the other$|\ba different one\b"
)
_SHI = "[是事式试视市士使]"
_NOT_BUT_ZH = re.compile(rf"(?<!{_SHI})[不布]{_SHI}(?P<x>[^|]{{1,20}}?)\|?(?:而{_SHI}|{_SHI})(?P<y>.+)$")
_WRONG_ZH = re.compile(
    r"(?:^|\|)(?:(?:我|你|刚才|刚刚|对不起|不好意思|抱歉|\|)*(?:[说説讲听弄搞记写][错措]|错)[了啦明]?"
    rf"|不对不对|[不布]对|[不布](?=\|{_SHI})|不不)\|?我?(?:要|想要|说|想说)?的?(?:应该)?(?P<be>{_SHI})?(?P<y>.+)$"
)
_MEANT_ZH = re.compile(rf"我(?:的意思{_SHI}|{_SHI}说|[说要想]的{_SHI}|想说的{_SHI})(?P<y>.+)$")
_OTHER_ZH = (
    "另一个", "另外一个", "另外那个", "另一张", "另外一张", "另一家", "另外一家", "另一种", "换一个", "另外那张",
)  # fmt: skip
# A plain no with something else behind it. Mandarin needs the pause: 不是西单 says only which one it is not.
_NO_EN = re.compile(
    r"^(?:(?:oh|um|uh|er|well|sorry|i'm sorry|wait|actually)(?: \|)? )*(?:no|nope|nah)"
    r"(?:(?: \|)? (?:no|nope|nah|sorry|i'm sorry|wait|actually|um|uh))*(?: \|)? (?P<y>.+)$"
)
_SORRY_ZH = r"(?:哦|噢|呃|嗯|啊|哎|对不起|不好意思|抱歉|等等|等一下)"
_NO_ZH = re.compile(
    rf"^(?:{_SORRY_ZH}\|?)*[不布没](?:[不布]|{_SHI}的?|对|有|[不布]对)?[啊呀哦]?"
    rf"\|(?:(?:{_SORRY_ZH}|[不布](?:{_SHI}的?|对)?)\|)*(?P<y>.+)$"
)
_COURTESY = frozenset(
    ("thanks", "thank you", "please", "goodbye", "bye", "bye bye", "谢谢", "谢", "谢了", "多谢", "感谢", "谢谢你",
     "谢谢您", "再见", "拜拜", "等等", "等一下", "稍等", "算", "没事", "不用", "不要", "不必", "没有")
)  # fmt: skip
_SHORTEST_NEW, _LONGEST_NEW, _LONGEST_OTHER = 1, 60, 12


def correction(text: str, language: str) -> Correction | None:
    """The correction that `text` makes, None when it makes none; a plain yes or no makes none."""
    said = _with_pauses(text, language)
    found = _correction_zh(said) if language == "zh" else _correction_en(said)
    if found is None or not _SHORTEST_NEW <= len(found.new) <= _LONGEST_NEW:
        return None
    # "No, not me, I didn't do it" takes nothing back.
    if found.new.split()[0] in ("not", "n't"):
        return None
    return None if expected.yes_no(found.new, language) and not other_one(found.new, language) else found


def instead(text: str, language: str) -> str:
    """What stands behind a plain no, empty when nothing does: "no, Xisi", 不对，西四.

    Whether it takes something back is for whoever knows what may be filled: "no, thank you" looks the same.
    """
    said = _with_pauses(text, language)
    match = (_NO_ZH if language == "zh" else _NO_EN).match(said)
    if match is None or len(match["y"]) > _LONGEST_NEW or match["y"].startswith("not "):
        return ""
    new = _tidy(match["y"])
    new = (_less_polite(new) or [new])[-1] if language == "zh" else _POLITE_END_EN.sub("", new)
    return "" if new in _COURTESY else new


def _with_pauses(text: str, language: str) -> str:
    """`text` with every pause that is written as a |, Mandarin without spaces."""
    said = re.sub(_STOPS, " | ", text[:300].lower().replace("’", "'")).strip(" |")
    return re.sub(r"\s+", "" if language == "zh" else " ", said)


def other_one(text: str, language: str) -> bool:
    """Whether `text` asks for the other one of what was offered."""
    said = normal(text, language)
    if language == "zh":
        heard = " ".join(sounds.syllables(said))
        return len(said) <= _LONGEST_OTHER and any(
            f" {' '.join(sounds.syllables(w))} " in f" {heard} " for w in _OTHER_ZH
        )
    return len(said.split()) <= _LONGEST_OTHER and bool(_OTHER_EN.search(said))


def _correction_en(said: str) -> Correction | None:
    for pattern in (_NOT_BUT_EN, _NOT_PAUSE_EN, _NOT_TWO_EN):
        if match := pattern.match(said):
            return Correction(_tidy(match["x"]), _tidy(re.sub(r"^(?:but|it's|it is|i said|i meant) ", "", match["y"])))
    if match := _MEANT_EN.match(said):
        return Correction("", _tidy(match["y"]))
    return None


def _correction_zh(said: str) -> Correction | None:
    if match := _NOT_BUT_ZH.search(said):
        return Correction(match["x"].strip("|"), _tidy(match["y"]))
    if match := _MEANT_ZH.search(said):
        return Correction("", _tidy(match["y"]))
    if (match := _WRONG_ZH.search(said)) and (match["be"] or len(match["y"].strip("|")) <= _LONGEST_OTHER):
        return Correction("", _tidy(match["y"]))
    return None


def _tidy(words: str) -> str:
    return re.sub(r"\s*\|\s*", " ", words).strip()

"""Whether what a machine says after the answer comes from a call-screening assistant, which listens and passes it on.

Such an assistant names itself, or asks who calls and why where a voicemail asks for a message; a partial text will do.
English is compared by words, Mandarin by sound with what recognisers confuse. A rule without a threshold, meant for
words of a far end that by its sound is a machine (ivr.line.amd): a secretary asks much the same. Pure; any thread.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ivr.understanding import sounds
from ivr.understanding.said import MAX_CHARS

_SERVICE_EN = re.compile(
    r"\bcall(?:er)? screen(?:ing|er)\b|\bscreening (?:service|assistant|system|(?:\w+ )?calls?)\b|\bis screening\b"
    r"|\b(?:to |will |may )?screens? (?:\w+ )?(?:\w+ )?calls?\b|\bscreened by\b"
)
_AUTOMAT_EN = re.compile(
    r"\b(?:person|party|customer|subscriber|one) (?:that )?you're (?:calling|trying to (?:call|reach))\b"
    r"|\bthis person\b|\bautomated (?:system|service)\b|\b(?:i'm|this is) (?:\w+ ){0,4}assistant\b"
    r"|\b(?:virtual|digital|automated|automatic|personal|ai|voice|google|phone|call) assist(?:ant)?\b"
)
_NAME_EN = re.compile(r"\b(?:say|state|speak|record|tell me|give(?: me)?|announce|provide) your (?:\w+ )?name\b")
_WHY_EN = re.compile(
    r"\b(?:reason|purpose|nature) (?:for|of) (?:your |the |this )?call(?:ing)?\b|\bwhy you(?:'re calling| called)\b"
    r"|\bwhat (?:it|this|your call|the call|this call)(?: is|'s) (?:about|regarding|concerning|in regard)\b"
    r"|\bwhat you're calling (?:about|for)\b"
)
_WHO_EN = re.compile(
    r"\bwho(?:'s| is) (?:calling|this|speaking)\b|\bwho you're\b|\bwhat(?:'s| is) this (?:call )?about\b"
)
_PASSES_ON_EN = re.compile(
    r"\bsee if (?:\w+ ){1,5}(?:available|free|answer|there)\b|\bto connect (?:you|your call|this call|the call)\b"
    r"|\bput you through\b|\bpass (?:\w+ ){1,3}(?:on|along)\b|\blet (?:\w+ ){1,2}know\b|\bcopy of this\b"
)
_MESSAGE_EN = re.compile(
    r"\bleave (?:a|an|your|me|us|him|her|them|the|any)\b|\b(?:record|leave) (?:\w+ ){1,3}message\b|\bvoice ?mail\b"
    r"|\bmailbox\b|\bget back to you\b|\bcall (?:you )?back\b|\breturn your call\b"
)

_SERVICE_ZH = (
    *(a + b for a in ("来电", "电话", "通话", "智能", "语音", "私人") for b in ("助理", "助手", "秘书", "管家")),
    "智能接听",
    "来电过滤", "来电筛选", "骚扰拦截", "代接电话", "代为接听", "帮他接听", "帮她接听", "替他接听", "替她接听",
    "替机主", "帮机主", "为机主",
)  # fmt: skip
_AUTOMAT_ZH = ("机主", "您拨打的用户", "您呼叫的用户", "您所拨打的用户", "您要找的人", "您呼叫的人")
_ASKS_ZH = ("来意", "什么事", "何事", "姓名", "您的名字", "你的名字", "怎么称呼",
            "如何称呼", "贵姓", "哪位", "您是谁", "你是谁")  # fmt: skip
_WHY_ZH = ("来电原因", "来电目的", "来电事由", "致电原因", "打电话的原因", "打电话的目的")
_PASSES_ON_ZH = ("转达", "转告", "转给", "转接", "告诉机主", "通知机主", "告知机主", "询问机主", "是否方便", "是否接听",
                 "是否愿意接听")  # fmt: skip
_MESSAGE_ZH = ("留言", "语音信箱", "语音邮箱", "提示音", "嘀声", "滴声", "哔声", "留下口信")
# A human asks whether we are one, 你是语音助手吗, or says that it is their telephone: 我就是机主.
_ASKED_ZH, _CLAIMED_ZH = ("你是", "您是", "不是"), ("是",)


def is_screening(text: str) -> bool:
    """Whether `text`, perhaps the beginning of more, is a screening assistant's, English or Mandarin."""
    said = text[:MAX_CHARS]
    return _english(said) or _mandarin(said)


def _english(text: str) -> bool:
    words = re.sub(r"[^a-z' ]+", " ", text.casefold().replace("\u2019", "'"))
    words = re.sub(r"\s+", " ", words).replace("you are", "you're").replace("i am ", "i'm ")
    passes_on = _PASSES_ON_EN.search(words)
    if _MESSAGE_EN.search(words) and not passes_on:
        return False
    name, why = _NAME_EN.search(words), _WHY_EN.search(words)
    if _SERVICE_EN.search(words) or (name and (why or passes_on)):
        return True
    return bool(_AUTOMAT_EN.search(words) and (name or why or _WHO_EN.search(words)))


def _mandarin(text: str) -> bool:
    heard = _by_sound(re.sub(r"[^\u4e00-\u9fff]", "", text))
    passes_on = _has(heard, _PASSES_ON_ZH)
    if _has(heard, _MESSAGE_ZH) and not passes_on:
        return False
    if _has(heard, _SERVICE_ZH, _ASKED_ZH) or _has(heard, _WHY_ZH):
        return True
    return _has(heard, _AUTOMAT_ZH, _CLAIMED_ZH) and (passes_on or _has(heard, _ASKS_ZH))


@lru_cache(maxsize=512)
def _by_sound(characters: str) -> str:
    """Toneless syllables, each with a blank before and behind it, spelled alike where telephones make them alike."""
    spelled = "".join(f" {syllable} " for syllable in sounds.syllables(characters))
    return re.sub(r"(?<=[aie])ng ", "n ", re.sub(r"([zcs])h", r"\1", spelled))


def _has(heard: str, phrases: tuple[str, ...], but_after: tuple[str, ...] = ()) -> bool:
    """Whether one of the phrases was heard, and somewhere not right behind one of `but_after`."""
    before = tuple(map(_by_sound, but_after))
    for phrase in map(_by_sound, phrases):
        at = heard.find(phrase)
        while at >= 0:
            if not heard[:at].endswith(before):
                return True
            at = heard.find(phrase, at + 1)
    return False

"""Names of people as callers say them, written `Katy Brady` and 张伟.

English names are taken as recognised, without the words around them, and letters that are spelt are put together. A
Mandarin surname that is none is spelt as the commonest that sounds like it, and one that the caller describes (弓长张)
as described; surnames of the same sound are rivals. Whether it is the name of somebody known is for `identity` to say.
Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ivr.understanding import expected, sounds
from ivr.understanding.said import Span

_MOST_WORDS = 4
_AHEAD_EN = re.compile(
    r"\b(?:(?:my|the|her|his|first|last|full|family) )*(?:name(?: is|'s)|surname(?: is|'s)|call me|i'm called)"
    r" (?:mr |mrs |miss |ms |doctor )?"
)
_OPENING_EN = re.compile(
    r"^(?:(?:yes|yeah|hi|hello|sure|okay|ok|well|so|uh|um|er|oh|and|it's|its|it is|this is|that's|i'm|i am|mr|mrs|miss"
    r"|ms)\b ?)+"
)
_CLOSING_EN = re.compile(r"(?: (?:please|thanks|thank you|speaking|here|sir|madam|i said|again))+$")
_SPELT_EN = re.compile(r"(\b[a-z](?: (?:[a-z]|double [a-z])\b){2,})")
_PARTICLES_EN = frozenset({"uh", "um", "er", "erm", "that's", "spelt", "spelled", "as", "in", "is", "and"})
_NO_NAMES_EN = frozenset(
    {"what", "why", "who", "how", "the", "don't", "can't", "not", "want", "need", "have", "my", "your", "you", "me",
     "account", "card", "bank", "tell", "say", "know", "nobody", "sorry", "pardon", "repeat", "please", "back", "later",
     "tomorrow", "today", "tonight", "now", "at", "on", "in", "to", "for", "when", "if", "is", "are", "a", "an",
     "hello", "help", "agent", "operator", "person", "someone", "speak", "talk", "lost", "money", "balance", "number",
     "first"}
)  # fmt: skip

# The commonest surnames, commonest first.
_SURNAMES_ZH = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩邓冯曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆范汪廖石金"
    "韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔向常汤康章季施牛洪葛尤水云殷温柳安俞文庄易乔齐庞颜"
)
_DOUBLE_SURNAMES_ZH = ("欧阳", "上官", "司马", "诸葛", "司徒", "东方", "皇甫", "尉迟", "公孙", "慕容", "夏侯")
# How callers tell surnames of one sound apart.
_DESCRIBED_ZH = {
    "弓长": "张", "立早": "章", "木子": "李", "耳东": "陈", "双木": "林", "口天": "吴", "古月": "胡", "草头": "黄",
    "三横": "王", "言午": "许", "双人": "徐", "走肖": "赵", "禾呈": "程", "人未": "余", "干勾": "于", "三点水": "江",
    "美女": "姜", "关耳": "郑", "文刀": "刘", "木易": "杨", "竹间": "简", "口木": "呆", "日月": "明", "耳火": "耿",
}  # fmt: skip
_DESCRIPTION_ZH = re.compile("(" + "|".join(_DESCRIBED_ZH) + r")的?[\u4e00-\u9fff]的?")
_OF_A_WORD_ZH = re.compile(r"(?:[\u4e00-\u9fff]是)?([\u4e00-\u9fff])([\u4e00-\u9fff])的(\1|\2)")
_AHEAD_ZH = re.compile(
    r"(?:我的?|本人|他的?|她的?)?(?:(?:名字|姓名|全名|大名)(?:是|叫|就是)?|(?:免贵)?姓(?=[\u4e00-\u9fff]{1,2}[叫名])|叫做?|(?:免贵|敝)?姓)"
)
_OPENING_ZH = re.compile(r"^(?:嗯+|呃+|啊|哦|那个|你好|您好|喂|好的?|我是|我|是|就是|这里是|先生|女士)+")
_CLOSING_ZH = re.compile(r"(?:先生|女士|小姐|啊|呀|吧|的|了|呢|谢谢|哈)+$")
_NO_NAMES_ZH = re.compile(
    r"[零二三四五六七八九十]{2}|[什么怎为哪谁吗你您他她不没要想请把再说银行卡查办钱款话号码]|知道|听见|听到|名字|人工|服务|客服|经理|转接|帮我|附近|明天|今天|时候"
)


def names(said: str, language: str) -> Iterator[Span]:
    """Names in the normalised text `said`; clear when the words say that one comes: "my name is", 我叫."""
    yield from (_names_zh if language == "zh" else _names_en)(said)


def _names_en(said: str) -> Iterator[Span]:
    ahead = _AHEAD_EN.search(said)
    start = ahead.end() if ahead else 0
    rest = said[start:]
    if opening := _OPENING_EN.match(rest):
        start, rest = start + opening.end(), rest[opening.end() :]
    rest = _CLOSING_EN.sub("", rest)
    # "Brett, b r e t t": what is spelt stands for the word before it that sounds alike.
    kept: list[str] = []
    for part in _SPELT_EN.split(rest):
        if spelt := _SPELT_EN.fullmatch(part):
            letters = re.sub(r"double (\w)", r"\1\1", spelt[0]).replace(" ", "")
            if kept and sounds.key_of(kept[-1])[:2] == sounds.key_of(letters)[:2]:
                kept.pop()
            kept.append(letters)
        else:
            kept += [w for w in part.split() if w not in _PARTICLES_EN]
    if not 0 < len(kept) <= _MOST_WORDS or any(not re.fullmatch(r"[a-z][a-z']*", w) for w in kept):
        return
    if _NO_NAMES_EN & set(kept) or (ahead is None and len(kept) < 3 and expected.yes_no(" ".join(kept), "en")):
        return
    value = re.sub(r"(?:^|\b(?<=o')|\b(?<=d')|(?<= ))[a-z]", lambda m: m[0].upper(), " ".join(kept))
    yield Span(start, start + len(rest), value, clear=ahead is not None, whole=len(kept) > 1)


def _names_zh(said: str) -> Iterator[Span]:
    ahead = _AHEAD_ZH.search(said)
    start = ahead.end() if ahead else 0
    rest = said[start:]
    if opening := _OPENING_ZH.match(rest):
        start, rest = start + opening.end(), rest[opening.end() :]
    end = start + len(rest)
    rest, told = _told_apart(_CLOSING_ZH.sub("", rest))
    rest = re.sub(r"^(.{1,2})[叫名](?=.)", r"\1", _CLOSING_ZH.sub("", rest))
    for character in told:
        alike = [i for i, c in enumerate(rest) if sounds.syllables(c) == sounds.syllables(character)]
        if alike and character not in rest:
            rest = rest[: alike[-1]] + character + rest[alike[-1] + 1 :]
    surname = ahead is not None and ahead[0].endswith("姓") and rest in _SURNAMES_ZH
    if not (surname and rest) and (not re.fullmatch(r"[\u4e00-\u9fff]{2,4}", rest) or _NO_NAMES_ZH.search(rest)):
        return
    if ahead is None and rest[0] not in _SURNAMES_ZH and expected.yes_no(rest, "zh"):
        return
    if rest.startswith(_DOUBLE_SURNAMES_ZH) or len(rest) == 4:
        yield Span(start, end, rest, clear=ahead is not None)
        return
    alike = [c for c in _SURNAMES_ZH if sounds.syllables(c) == sounds.syllables(rest[0])]
    first = rest[0] if rest[0] in alike or not alike or rest[0] in told else alike[0]
    rivals = () if rest[0] in told else tuple(c + rest[1:] for c in alike if c != first)
    yield Span(start, end, first + rest[1:], clear=ahead is not None, score=1.0 if alike else 0.8, rivals=rivals,
               whole=len(rest) > 2)  # fmt: skip


def _told_apart(said: str) -> tuple[str, list[str]]:
    """`said` without what tells characters apart, and these: 张伟弓长张, 李丽美丽的丽."""
    told = [m[3] for m in _OF_A_WORD_ZH.finditer(said)]
    said = _OF_A_WORD_ZH.sub("", said)
    match = _DESCRIPTION_ZH.search(said)
    if match is None:
        return said, told
    character = _DESCRIBED_ZH[match[1]]
    before, after = said[: match.start()], said[match.end() :]
    if len(before) < 2:
        again = after[:1] and sounds.syllables(after[0]) == sounds.syllables(character)
        before = after if again and len(after) > 1 else character + after
    return before, [character, *told]

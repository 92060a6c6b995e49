"""Times of day as they are said in English and Mandarin, written `14:30`.

Where neither a part of the day nor an hour above twelve is said, one to six are taken for the afternoon and seven to
twelve for the morning and noon, the hours in which people make appointments; the other half of the day is a rival.
Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ivr.understanding import numbers
from ivr.understanding.said import Span

_PART_EN = r"(?:am|pm|a m|p m|(?:in the |this )?(?:morning|afternoon|evening)|at night|tonight)"
_MORNING_EN = ("am", "a m", "morning")
_HOUR_EN = r"(?:\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b"
_FRACTIONS = {"half": 30, "quarter": 15, "a quarter": 15}
_EN = re.compile(
    rf"\b(?P<at>at |by |around |about )?(?:"
    rf"(?P<fraction>half|a quarter|quarter|(?P<minutes>{numbers.RUN})(?: minutes?)?)"
    rf" (?P<way>past|after|to|before|till) (?P<hour>{_HOUR_EN})"
    rf"|half (?P<half_of>{_HOUR_EN})|(?:oh|zero) (?P<early>{_HOUR_EN}) hundred(?: hours)?"
    rf"|(?P<military>{numbers.RUN}) hours"
    rf"|(?P<clock>\d{{1,2}}[:.]\d{{2}})(?![.\d])"
    rf"|(?P<run>{numbers.RUN})(?! (?:of|more|point|time|moment|person)\b)"
    rf")(?P<oclock> o'?\s?clock)?(?: (?P<part>{_PART_EN})\b)?"
    rf"|\b(?P<word>noon|midday|midnight)\b"
)

_PART_ZH = "凌晨|清晨|早上|早晨|上午|中午|下午|傍晚|晚上|夜里|夜晚|半夜|今早|明早|今晚|明晚|昨晚|早|晚"
_NUMERAL_ZH = r"[\d零一二两三四五六七八九十百千万]"
_HOUR_ZH = r"(?:\d{1,2}|二十[一二三四]?|十[一二三四五六七八九]?|[零一二两三四五六七八九])"
_MINUTES_ZH = r"(?:[一二三四五]?十[一二三四五六七八九]?|\d{2}|[零0][\d一二三四五六七八九]|[\d一二三四五六七八九](?=分))"
_ZH = re.compile(
    rf"(?P<part>{_PART_ZH})?(?P<before>差(?P<less>一刻|{_MINUTES_ZH}分?))?(?<!{_NUMERAL_ZH})(?P<hour>{_HOUR_ZH})(?:点钟?|时(?!候|间))"
    rf"(?P<less_after>差(?:一刻|{_MINUTES_ZH}分))?"
    rf"(?:(?P<half>半)|(?P<quarter>[一1三3])刻|过?(?P<minutes>{_MINUTES_ZH})分?(?![\d元块万千百个笔]))?(?P<sharp>整|钟)?"
    rf"|(?P<clock_part>{_PART_ZH})?(?P<clock>\d{{1,2}}:\d{{2}})|(?P<word>中午|正午|半夜|午夜)"
)


def times(said: str, language: str) -> Iterator[Span]:
    """Times in the normalised text `said`. Clear where the words speak of the clock: "at nine", "half past", 九点."""
    yield from (_times_zh if language == "zh" else _times_en)(said)


def breaks_off(said: str, language: str) -> bool:
    """Whether the words stop in the middle of a time: "half past", 下午."""
    if language == "zh":
        return bool(re.search(rf"(?:{_PART_ZH})$|差一刻$|差{_MINUTES_ZH}分?$", said)) and not said.endswith("中午")
    return bool(re.search(r"\b(?:at|past|to|quarter|half|o|in the|around|about)$", said))


def compact(keys: str) -> str:
    """Three or four figures as hour and minutes, empty when there is no such time."""
    if not re.fullmatch(r"\d{3,4}", keys):
        return ""
    return _clock(int(keys[:-2]), int(keys[-2:]))


def _clock(hour: int, minutes: int) -> str:
    if hour == 24 and minutes == 0:
        hour = 0
    return f"{hour:02}:{minutes:02}" if 0 <= hour < 24 and 0 <= minutes < 60 else ""


def _placed(hour: int, minutes: int, half: str) -> tuple[str, tuple[str, ...]]:
    """The time and its rival. `half` of the day: `am`, `pm`, `night` (twelve is midnight then), or empty."""
    if half == "am":
        return _clock(0 if hour == 12 else hour, minutes), ()
    if half == "night" and (hour == 12 or hour < 5):
        return _clock(hour % 12, minutes), ()
    if half:
        return _clock(hour + 12 if hour < 12 else hour, minutes), ()
    if hour == 0 or hour > 12:
        return _clock(hour, minutes), ()
    likely = hour + 12 if hour <= 6 else hour
    return _clock(likely, minutes), (_clock((likely + 12) % 24, minutes),)


def _span(match: re.Match[str], value: tuple[str, tuple[str, ...]], clear: bool, whole: bool) -> Iterator[Span]:
    if value[0]:
        yield Span(*match.span(), value[0], clear=clear, rivals=value[1], whole=whole, score=1.0 if clear else 0.8)


def _half_en(part: str | None) -> str:
    if not part:
        return ""
    if part.endswith(_MORNING_EN):
        return "am"
    return "night" if part.endswith("night") else "pm"


def _hour_en(word: str) -> int:
    return int(word) if word.isdecimal() else numbers.UNITS.get(word) or numbers.TEENS[word]


def _times_en(said: str) -> Iterator[Span]:
    for match in _EN.finditer(said):
        if match["word"]:
            yield Span(*match.span(), "00:00" if match["word"] == "midnight" else "12:00")
            continue
        half = _half_en(match["part"])
        clear = bool(
            match["fraction"]
            or ":" in (match["clock"] or "")
            or match["oclock"]
            or match["part"]
            or match["at"] == "at "
        )
        if match["fraction"]:
            minutes = _FRACTIONS.get(match["fraction"]) or _minutes_en(match["minutes"])
            hour, sign = _hour_en(match["hour"]), -1 if match["way"] in ("to", "before", "till") else 1
            if 0 < minutes < 60:
                yield from _span(match, _around(hour, sign * minutes, half), clear, True)
            continue
        if match["half_of"]:
            yield from _span(match, _placed(_hour_en(match["half_of"]), 30, half), True, True)
            continue
        if match["early"] or match["military"]:
            hour, minutes = (_hour_en(match["early"]), 0) if match["early"] else _military(match["military"])
            yield from _span(match, (_clock(hour, minutes), ()), True, True)
            continue
        if match["clock"]:
            hour, minutes = (int(part) for part in re.split("[:.]", match["clock"]))
        else:
            values = [int(v) for v in numbers.english(match["run"]) if v == int(v)]
            if not values or len(values) > 3 or (len(values) == 3 and values[1]) or values[0] > 24:
                continue
            hour, minutes = values[0], values[-1] if len(values) > 1 else 0
            if len(values) == 2 and minutes < 10:
                continue
        whole = bool(half or match["clock"] or match["oclock"] or minutes)
        clear = clear and (match["at"] != "at " or hour <= 12 or bool(minutes))
        yield from _span(match, _placed(hour, minutes, half), clear, whole)


def _military(run: str) -> tuple[int, int]:
    """Fifteen hundred hours, or 0930; two hours are no time of day."""
    values = numbers.english(run)
    if len(values) != 1 or (values[0] < 100 and len(run) != 4):
        return -1, 0
    hour, minutes = divmod(int(values[0]), 100)
    return hour, minutes


def _minutes_en(run: str) -> int:
    values = numbers.english(run)
    return int(values[0]) if len(values) == 1 else 0


def _around(hour: int, minutes: int, half: str) -> tuple[str, tuple[str, ...]]:
    """So many minutes after the hour, or before it when negative: a quarter to one at night is 00:45."""
    if minutes >= 0:
        return _placed(hour, minutes, half)
    value, rivals = _placed(hour, 0, half)
    return _earlier(value, -minutes), tuple(_earlier(r, -minutes) for r in rivals)


def _earlier(clock: str, minutes: int) -> str:
    if not clock:
        return ""
    at = (int(clock[:2]) * 60 + int(clock[3:]) - minutes) % (24 * 60)
    return _clock(at // 60, at % 60)


def _half_zh(part: str | None) -> str:
    if not part:
        return ""
    if part in ("凌晨", "清晨", "早上", "早晨", "上午", "今早", "明早", "早"):
        return "am"
    if part in ("半夜", "夜里", "夜晚", "晚上", "今晚", "明晚", "昨晚", "晚"):
        return "night"
    return "noon" if part == "中午" else "pm"


def _number_zh(run: str) -> int:
    value = numbers.mandarin(run)
    return int(value) if value is not None else -1


def _times_zh(said: str) -> Iterator[Span]:
    for match in _ZH.finditer(said):
        if match["word"]:
            yield Span(*match.span(), "00:00" if match["word"] in ("半夜", "午夜") else "12:00")
            continue
        half = _half_zh(match["part"] or match["clock_part"])
        if match["clock"]:
            hour, minutes = map(int, match["clock"].split(":"))
        else:
            hour, minutes = _number_zh(match["hour"]), _minutes_zh(match)
        if half == "noon":
            half = "am" if hour == 11 else "pm"
        value = _around(hour, minutes, half) if minutes < 0 else _placed(hour, minutes, half)
        whole = bool(minutes or match["clock"] or match["sharp"])
        yield from _span(match, value, True, whole)


def _minutes_zh(match: re.Match[str]) -> int:
    less = match["less"] or (match["less_after"] or "").removeprefix("差")
    if less:
        return -15 if less == "一刻" else -_number_zh(less.removesuffix("分"))
    if match["half"]:
        return 30
    if match["quarter"]:
        return 45 if match["quarter"] in "三3" else 15
    return _number_zh(match["minutes"].lstrip("零") or "0") if match["minutes"] else 0

"""Lengths of time as they are said in English and Mandarin, written as ISO 8601 has them: `PT2H30M`, `P15D`.

Weeks, months and years are not turned into days, as no month is as long as the next; but half a month is 15 days
(半个月) and half a year six months. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal

from ivr.understanding import numbers
from ivr.understanding.said import Span

_UNITS_EN = {"year": "Y", "month": "M", "fortnight": "2W", "week": "W", "day": "D", "hour": "H", "minute": "m",
             "min": "m", "second": "S"}  # fmt: skip
_UNITS_ZH = {"年": "Y", "个月": "M", "星期": "W", "礼拜": "W", "周": "W", "天": "D", "日": "D", "小时": "H",
             "钟头": "H", "钟": "m", "分钟": "m", "分": "m", "秒钟": "S", "秒": "S", "刻钟": "15m"}  # fmt: skip
_SMALLER = {
    "Y": (12, "M"),
    "M": (30, "D"),
    "W": (7, "D"),
    "D": (24, "H"),
    "H": (60, "m"),
    "m": (60, "S"),
    "S": (1, "S"),
}
_LARGEST = {"Y": 200, "M": 2_400, "W": 10_000, "D": 80_000, "H": 100_000, "m": 1_000_000, "S": 10_000_000}
_ORDER = "YMWDHmS"

_UNIT_EN = "|".join(_UNITS_EN)
_FEW_EN = {"a couple of": 2, "a couple": 2, "a": 1, "an": 1, "one": 1}
_PART_EN = re.compile(
    rf"\b(?:(?P<whole>{numbers.RUN}|an?|a couple(?: of)?) )?"
    rf"(?:(?P<part>half|a half|a quarter|three quarters|quarter)(?: of)? (?:an? )?)?(?P<unit>{_UNIT_EN})s?\b"
    r"(?P<after> and (?:a half|a quarter|three quarters))?"
)
_FRACTIONS = {"half": "0.5", "a half": "0.5", "quarter": "0.25", "a quarter": "0.25", "three quarters": "0.75"}
_UNIT_ZH = "|".join(sorted(_UNITS_ZH, key=len, reverse=True))
_PART_ZH = re.compile(
    rf"(?P<whole>{numbers.RUN_ZH}|[半几]|俩)(?P<of>个)?(?P<half>半)?(?P<unit>{_UNIT_ZH}|(?<=[个半])月)(?P<after>半)?"
    r"(?![号日底初])"
)

_WRITTEN = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_WORDS = {
    "en": {"Y": "year", "M": "month", "W": "week", "D": "day", "H": "hour", "m": "minute", "S": "second"},
    "zh": {"Y": "年", "M": "个月", "W": "周", "D": "天", "H": "小时", "m": "分钟", "S": "秒"},
}


def durations(said: str, language: str) -> Iterator[Span]:
    """Lengths of time in the normalised text `said`, all clear; parts that follow one another make one."""
    parts = list((_parts_zh if language == "zh" else _parts_en)(said))
    while parts:
        start, end, total = parts.pop(0)
        while parts and re.fullmatch(r" ?(?:and |零|又|加)?", said[end : parts[0][0]]) and _finer(total, parts[0][2]):
            _, end, more = parts.pop(0)
            total |= more
        if value := written(total):
            # Minutes may follow hours, and months years.
            yield Span(start, end, value, whole=not value.endswith(("H", "Y")))


def breaks_off(said: str, language: str) -> bool:
    """Whether the words stop before the unit: "two and a half", 三个."""
    if language == "zh":
        return bool(re.search(rf"(?:{numbers.RUN_ZH}|半)个?半?$", said))
    return bool(re.search(rf"\b(?:{numbers.RUN}|and|an?|half)$", said))


def written(amounts: Mapping[str, Decimal]) -> str:
    """ISO 8601 of amounts by unit (`Y M W D H m S`), a fraction in the next smaller unit; empty when too long."""
    left = {unit: amounts.get(unit, Decimal(0)) for unit in _ORDER}
    for unit in _ORDER[:-1]:
        many, smaller = _SMALLER[unit]
        fraction = left[unit] % 1
        left[unit], left[smaller] = left[unit] - fraction, left[smaller] + fraction * many
    left["S"] = round(left["S"])
    if not any(left.values()) or any(value > _LARGEST[unit] for unit, value in left.items()):
        return ""
    if left["W"] and any(left[u] for u in "YMDHmS"):
        left["D"], left["W"] = left["D"] + left["W"] * 7, Decimal(0)
    day = "".join(f"{left[u]:.0f}{u}" for u in "YMWD" if left[u])
    clock = "".join(f"{left[u]:.0f}{u.upper()}" for u in "HmS" if left[u])
    return f"P{day}{'T' if clock else ''}{clock}"


def timedelta_of(value: str) -> timedelta | None:
    """How long `PT2H30M` is, months counted as 30 days and years as 365; None for other text."""
    match = _WRITTEN.fullmatch(value)
    if match is None or not any(match.groups()):
        return None
    year, month, week, day, hour, minute, second = (int(count or 0) for count in match.groups())
    return timedelta(days=365 * year + 30 * month + 7 * week + day, hours=hour, minutes=minute, seconds=second)


def in_words(value: str, language: str) -> str:
    """`PT2H30M` as "2 hours 30 minutes" or 2小时30分钟; other text as it is."""
    words = _WORDS.get(language)
    match = _WRITTEN.fullmatch(value)
    if words is None or match is None or not any(match.groups()):
        return value
    counted = [(count, words[unit]) for unit, count in zip(_ORDER, match.groups(), strict=True) if count]
    if language == "zh":
        return "".join(f"{count}{word}" for count, word in counted)
    return " ".join(f"{count} {word}{'' if count == '1' else 's'}" for count, word in counted)


def _finer(total: Mapping[str, Decimal], more: Mapping[str, Decimal]) -> bool:
    return max(map(_ORDER.index, total)) < min(map(_ORDER.index, more))


def _of_unit(count: Decimal, unit: str) -> dict[str, Decimal]:
    return {unit[-1]: count * int(unit[:-1] or 1)}


def _parts_en(said: str) -> Iterator[tuple[int, int, dict[str, Decimal]]]:
    for match in _PART_EN.finditer(said):
        whole, part = match["whole"], match["part"] or (match["after"] or "").removeprefix(" and ")
        if not whole and not part:
            continue
        if match["part"] and whole in ("a", "an"):
            whole = ""
        values = (_FEW_EN[whole],) if whole in _FEW_EN else numbers.english(whole) if whole else (0,)
        if len(values) == 1:
            count = Decimal(values[0]) + Decimal(_FRACTIONS.get(part, "0"))
            yield match.start(), match.end(), _of_unit(count, _UNITS_EN[match["unit"]])


def _parts_zh(said: str) -> Iterator[tuple[int, int, dict[str, Decimal]]]:
    for match in _PART_ZH.finditer(said):
        unit, whole = match["unit"], match["whole"]
        if unit in ("年", "日", "分") and len(whole) > 2:
            # 二零二六年 is a year of the calendar.
            continue
        if whole == "几" or (unit == "月" and not match["of"] and whole != "半"):
            continue
        count = Decimal("0.5") if whole == "半" else Decimal(2) if whole == "俩" else numbers.mandarin(whole)
        if count is None:
            continue
        count += Decimal("0.5") if match["half"] or match["after"] else 0
        yield match.start(), match.end(), _of_unit(count, _UNITS_ZH["个月" if unit == "月" else unit])

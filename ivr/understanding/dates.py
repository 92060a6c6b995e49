"""Dates as they are said in English and Mandarin, written in ISO 8601, absolute or counted from a given day.

Weeks begin on Monday (ISO 8601): 下周五 and "next Friday" are the Friday of the week after this one, 上周五 is that of
the week before; "last Friday" is the one just past and a bare "Friday" the one to come. A date without a year is the
one nearest to today; without a today it is none. Pure: today is said by the caller of these functions.
"""

from __future__ import annotations

import calendar
import datetime
import re
from collections.abc import Callable, Iterator
from functools import partial

from ivr.understanding import numbers
from ivr.understanding.said import Span

_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december")  # fmt: skip
_MONTH = "(?:" + "|".join([*_MONTHS, *(m[:3] for m in _MONTHS if len(m) > 3), "sept"]) + r")\b"
_FIRST_TO_NINTH = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
_ORDINALS = {
    **{word: i + 1 for i, word in enumerate(_FIRST_TO_NINTH)},
    "tenth": 10, "eleventh": 11, "twelfth": 12, "thirteenth": 13, "fourteenth": 14, "fifteenth": 15,
    "sixteenth": 16, "seventeenth": 17, "eighteenth": 18, "nineteenth": 19, "twentieth": 20, "thirtieth": 30,
}  # fmt: skip
_ORDINAL = rf"(?:(?:twenty|thirty) (?:{'|'.join(_FIRST_TO_NINTH)})|{'|'.join(_ORDINALS)}|\d{{1,2}} ?(?:st|nd|rd|th))\b"
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY_WORDS = {
    "the day after tomorrow": 2, "day after tomorrow": 2, "the day before yesterday": -2, "day before yesterday": -2,
    "today": 0, "tonight": 0, "tomorrow": 1, "yesterday": -1, "last night": -1,
}  # fmt: skip
_DAY_WORDS_ZH = {
    "大后天": 3, "大前天": -3, "后天": 2, "前天": -2, "今天": 0, "今日": 0, "明天": 1, "明日": 1, "昨天": -1,
    "昨日": -1, "今早": 0, "今晚": 0, "明早": 1, "明晚": 1, "昨晚": -1, "昨夜": -1,
}  # fmt: skip
_WEEKDAYS_ZH = {c: i for i, c in enumerate("一二三四五六日")} | {"天": 6} | {str(i + 1): i for i in range(6)}
_NUMERAL_ZH = r"[\d零一二两三四五六七八九十]"

_FIRST_YEAR, _LAST_YEAR = 1850, 2149

_RELATIVE = re.compile(r"\b(" + "|".join(sorted(_DAY_WORDS, key=len, reverse=True)) + r")\b")
_COUNTED = re.compile(
    rf"\b(?P<in>in )?(?P<run>an? |{numbers.RUN} )(?P<unit>days?|weeks?|fortnights?|months?|years?)"
    r" ?(?P<way>ago|from now|from today|later)?\b"
)
_WEEKDAY = re.compile(
    rf"\b(?P<week>a week (?:on |from )?)?(?:(?P<which>next|this|last|coming|on) )?(?P<day>{'|'.join(_WEEKDAYS)})\b"
    r"(?P<later> week\b)?"
)
_MONTH_NAMED = re.compile(
    rf"\b(?:the )?(?:(?P<day>{_ORDINAL})|(?P<edge>end|last day|beginning|start)) of"
    rf" (?:(?P<which>last|next|this|the) month"
    rf"|(?P<month>{_MONTH})(?: (?:of )?(?P<year>\d{{4}}))?)"
    rf"|\b(?P<before>last|next|this) month (?:on )?the (?P<day_behind>{_ORDINAL})"
)
_WHICH_MONTH = {"last": -1, "next": 1, "this": 0, "the": 0}
_FEASTS = {
    "new year's day": (1, 1), "new year's eve": (12, 31), "christmas eve": (12, 24), "christmas day": (12, 25),
    "christmas": (12, 25), "boxing day": (12, 26), "valentine's day": (2, 14),
}  # fmt: skip
_FEAST = re.compile(rf"(?:\b(?P<which>last|next) )?(?P<feast>{'|'.join(sorted(_FEASTS, key=len, reverse=True))})")
_WHICH_YEAR = {"last": -1, "this": 0, "next": 1}
_YEAR_AHEAD = re.compile(r"\b(?P<which>last|this|next) year (?:on |in )?$")
_YEAR_BEHIND = re.compile(r" (?:of |in )?(?P<which>last|this|next) year\b")
_FEASTS_ZH = {
    "元旦": (1, 1), "情人节": (2, 14), "妇女节": (3, 8), "劳动节": (5, 1), "五一节": (5, 1), "儿童节": (6, 1),
    "建党节": (7, 1), "建军节": (8, 1), "教师节": (9, 10), "国庆": (10, 1), "国庆节": (10, 1), "十一国庆": (10, 1),
    "平安夜": (12, 24), "圣诞节": (12, 25), "圣诞": (12, 25), "五一": (5, 1),
}  # fmt: skip
_DAY_FIRST = re.compile(
    rf"\b(?:the )?(?P<day>{_ORDINAL}|{numbers.RUN}) (?:day )?(?:of )?(?P<month>{_MONTH})"
    rf"(?: (?:of |in )?(?:the year )?(?P<year>{numbers.RUN}))?"
)
_ORDINAL_MONTH = re.compile(
    rf"\b(?:the )?(?P<day>{_ORDINAL}) (?:of )?(?:the )?(?P<month>{_ORDINAL})(?: month)?(?: of| in)?"
    rf" (?P<year>{numbers.RUN})"
)
_MONTH_FIRST = re.compile(
    rf"\b(?P<month>{_MONTH}) (?:the )?"
    rf"(?:(?P<day>{_ORDINAL})(?: (?:of |in )?(?P<year>{numbers.RUN}))?|(?P<run>{numbers.RUN}))"
)
_FIGURES = re.compile(
    r"(?<![\d.])(?:(?P<y>\d{4})[ .](?P<m>\d{1,2})[ .](?P<d>\d{1,2})"
    r"|(?P<a>\d{1,2})[ .](?P<b>\d{1,2})[ .](?P<c>\d{4}))(?![\d.])"
)
_DAY_ONLY = re.compile(rf"\b(?:on )?the (?P<day>{_ORDINAL})(?! (?:time|one|of))")

_FULL_ZH = re.compile(
    rf"(?:(?P<year>{_NUMERAL_ZH}{{4}}|{_NUMERAL_ZH}{{2}})年|(?P<named>今年|明年|去年|后年|前年))?"
    rf"(?P<month>十[一二]?|1[0-2]|0?[1-9]|[一二三四五六七八九]|下个月|这个月|本月|上个月)月?(?<=月)份?的?"
    rf"(?P<day>{_NUMERAL_ZH}{{1,3}})(?P<end>[日号浩])?"
)
_WEEKDAY_ZH = re.compile(
    r"(?P<which>上上个?|下下个?|上个?|下个?|这个?|本)?(?:周|星期|礼拜)(?P<day>[一二三四五六日天1-6])"
)
_COUNTED_ZH = re.compile(
    rf"(?P<n>{numbers.RUN_ZH}|半)(?P<unit>个月|个?(?:天|周|星期|礼拜)|年)(?P<way>以后|之后|后|以前|之前|前)(?!天)"
)
_DAY_ONLY_ZH = re.compile(rf"(?<![月份的])(?<!{_NUMERAL_ZH})(?P<day>{_NUMERAL_ZH}{{1,3}})[号日]")

_PARTS_ZH = re.compile(
    rf"(?:(?P<year>{_NUMERAL_ZH}{{4}}|{_NUMERAL_ZH}{{2}})年)?(?:(?P<month>{_NUMERAL_ZH}{{1,2}})月)?"
    rf"(?:(?P<day>{_NUMERAL_ZH}{{1,3}})[日号])?(?<=[年月日号])"
)


def dates(said: str, language: str, today: str) -> Iterator[Span]:
    """Dates in the normalised text `said`, all clear but a bare day of the month. `today` is an ISO date or empty."""
    base = _parsed(today)
    for reader in _READERS_ZH if language == "zh" else _READERS_EN:
        yield from reader(said, base)


def with_year(said: str, language: str) -> bool:
    """Whether the normalised text `said` names a day with its year: one that is the same whenever it is said."""
    early, late = ({(s.start, s.value) for s in dates(said, language, day)} for day in ("1990-01-05", "2030-07-25"))
    return bool(early & late)


def breaks_off(said: str, language: str) -> bool:
    """Whether the words stop in the middle of a date: behind a month, a year, "the twelfth of"."""
    if language == "zh":
        return bool(
            re.search(rf"{_NUMERAL_ZH}+[年月]份?$|(?:年|月){_NUMERAL_ZH}+$|(?:上|下|这)个?(?:周|星期|礼拜|月)?$", said)
        )
    if re.search(rf"\b{_MONTH} (?:the )?{_ORDINAL}$", said):
        return False
    return bool(re.search(rf"\b{_MONTH}$|\b{_MONTH} the$|{_ORDINAL}(?: of)?$|\b(?:next|last|this)$", said))


def parts(said: str, language: str) -> tuple[int, int, int]:
    """Year, month and day as far as the words name them, 0 for each that they do not: "of November 1986"."""
    if language == "zh":
        found = _PARTS_ZH.search(said)
        year, month, day = (found["year"], found["month"], found["day"]) if found else (None, None, None)
        return _year_zh(year) if year else 0, _number_zh(month or ""), _number_zh(day or "")
    month_named, ordinal = re.search(rf"\b{_MONTH}", said), re.search(rf"\b{_ORDINAL}", said)
    years = [int(y) for y in re.findall(r"\b(?:1[89]|20)\d\d\b", said)]
    day = _day_en(ordinal[0]) if ordinal else 0
    return years[-1] if years else 0, _month(month_named[0]) if month_named else 0, day if day <= 31 else 0


def compact(keys: str) -> str:
    """Eight figures as a date: YYYYMMDD, or a day and a month before the year in the one order that exists."""
    if not re.fullmatch(r"\d{8}", keys):
        return ""
    y, m, d = int(keys[:4]), int(keys[4:6]), int(keys[6:])
    if value := _iso(y, m, d):
        return value
    a, b, y = int(keys[:2]), int(keys[2:4]), int(keys[4:])
    both = {v for v in (_iso(y, b, a), _iso(y, a, b)) if v}
    return both.pop() if len(both) == 1 else ""


def month_and_day(keys: str, today: str) -> str:
    """Four figures as month and day of the year nearest to `today`; empty when that is no date."""
    return _nearest(int(keys[:2]), int(keys[2:]), _parsed(today)) if re.fullmatch(r"\d{4}", keys) else ""


def _parsed(today: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(today) if today else None
    except ValueError:
        return None


def _iso(year: int, month: int, day: int) -> str:
    """The date, empty when there is none or it lies in years that callers do not speak of."""
    try:
        return datetime.date(year, month, day).isoformat() if _FIRST_YEAR <= year <= _LAST_YEAR else ""
    except ValueError:
        return ""


def _century(year: int) -> int:
    return year if year >= 100 else 1900 + year if year > 30 else 2000 + year


def _nearest(month: int, day: int, base: datetime.date | None) -> str:
    """That day of the year nearest to `base`."""
    if base is None:
        return ""
    found = [d for y in (-1, 0, 1) if (d := _parsed(_iso(base.year + y, month, day)))]
    return min(found, key=lambda d: abs(d - base)).isoformat() if found else ""


def _shifted(base: datetime.date, days: int) -> str:
    try:
        return (base + datetime.timedelta(days)).isoformat()
    except OverflowError:
        return ""


_DAYS_OF = {"day": 1, "week": 7, "fortnight": 14, "天": 1, "周": 7, "星期": 7, "礼拜": 7}
_MONTHS_OF = {"month": 1, "year": 12, "个月": 1, "年": 12}


def _counted(base: datetime.date, count: int, unit: str) -> str:
    """So many units after `base`, before it when negative; a month later is the same day, or the month's last."""
    if unit in _DAYS_OF:
        return _shifted(base, count * _DAYS_OF[unit])
    year, month = _month_after(base, count * _MONTHS_OF[unit])
    return _iso(year, month, min(base.day, _last_day(year, month))) if year else ""


def _month_after(base: datetime.date, months: int) -> tuple[int, int]:
    """Year and month so many months after `base`; zeros where there is no such year."""
    year, month = divmod(base.year * 12 + base.month - 1 + months, 12)
    return (year, month + 1) if _FIRST_YEAR <= year <= _LAST_YEAR else (0, 0)


def _last_day(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]


def _dated(match: re.Match[str], value: str, **more: object) -> Iterator[Span]:
    if value:
        yield Span(*match.span(), value, **more)


# English ------------------------------------------------------------------------------------------------------------


def _month(name: str) -> int:
    return next(i + 1 for i, m in enumerate(_MONTHS) if m[:3] == name[:3])


def _day_en(words: str) -> int:
    if figures := re.match(r"\d+", words):
        return int(figures[0])
    *tens, last = words.split()
    if last in _ORDINALS:
        return _ORDINALS[last] + (numbers.TENS.get(tens[-1], 0) if tens else 0)
    values = numbers.english(words)
    return int(values[0]) if len(values) == 1 else 0


def _year_en(values: tuple) -> int:
    """1985 from 1985, from 19 and 85, from 19, 0 and 5, or from its four figures; 0 when it is none."""
    parts = [int(v) for v in values]
    if len(parts) == 1:
        return _century(parts[0])
    if len(parts) == 2 and parts[0] >= 1_000 and parts[0] % 10 == 0 and parts[1] < 10:
        # "Nineteen seventy five" as recognisers write it: 1970 5.
        return parts[0] + parts[1]
    if len(parts) == 2 and 10 <= parts[0] < 100 and 10 <= parts[1] < 100:
        return parts[0] * 100 + parts[1]
    if len(parts) == 3 and 10 <= parts[0] < 100 and parts[1] == 0 and parts[2] < 10:
        return parts[0] * 100 + parts[2]
    if len(parts) == 4 and all(p < 10 for p in parts):
        return int("".join(map(str, parts)))
    return 0


def _named_en(pattern: re.Pattern[str], said: str, base: datetime.date | None) -> Iterator[Span]:
    for match in pattern.finditer(said):
        parts = match.groupdict()
        month = _month(parts["month"])
        if parts.get("run"):
            values = numbers.english(parts["run"])
            day, year = int(values[0]) if values else 0, _year_en(values[1:]) if len(values) > 1 else 0
            missing = len(values) == 1
        else:
            day = _day_en(parts["day"])
            values = numbers.english(parts["year"]) if parts["year"] else ()
            year, missing = (_year_en(values) if values else 0), not values
        if missing and base and (told := _year_told(said, match)):
            start, end, years = told
            if value := _iso(base.year + years, month, day):
                yield Span(start, end, value)
            continue
        value = _nearest(month, day, base) if missing else _iso(year, month, day) if year else ""
        yield from _dated(match, value, whole=not missing)


def _year_told(said: str, match: re.Match[str]) -> tuple[int, int, int] | None:
    """Start and end of a day with the year told beside it, and years from now: "the third of May last year"."""
    if ahead := _YEAR_AHEAD.search(said, 0, match.start()):
        return ahead.start(), match.end(), _WHICH_YEAR[ahead["which"]]
    if behind := _YEAR_BEHIND.match(said, match.end()):
        return match.start(), behind.end(), _WHICH_YEAR[behind["which"]]
    return None


def _figures(said: str, _base: datetime.date | None) -> Iterator[Span]:
    for match in _FIGURES.finditer(said):
        if match["y"]:
            yield from _dated(match, _iso(int(match["y"]), int(match["m"]), int(match["d"])))
            continue
        yield from _day_and_month(match, int(match["a"]), int(match["b"]), int(match["c"]), clear=True)


def _day_and_month(match: re.Match[str], a: int, b: int, year: int, clear: bool) -> Iterator[Span]:
    """Two numbers before a year: day and month, as most of the world says them; the other order is a rival."""
    found = [v for v in (_iso(year, b, a), _iso(year, a, b)) if v]
    if found:
        yield Span(*match.span(), found[0], clear=clear, rivals=tuple(v for v in found[1:] if v != found[0]))


def _numbered_en(said: str, _base: datetime.date | None) -> Iterator[Span]:
    """ "The eighth of the seventh nineteen oh six", and numbers alone: 0905 1973, "five three eighty five"."""
    for match in _ORDINAL_MONTH.finditer(said):
        year = _year_en(numbers.english(match["year"]))
        if year:
            yield from _dated(match, _iso(year, _day_en(match["month"]), _day_en(match["day"])))
    for match in re.finditer(rf"(?:\boh )?{numbers.RUN}(?: {numbers.RUN})*", said):
        figures = "".join(s.value for s in numbers.digit_strings(match[0], "en"))
        values = numbers.english(match[0])
        if len(figures) == 8:
            first, second, year = int(figures[:2]), int(figures[2:4]), int(figures[4:])
        elif len(values) > 2 and all(v == int(v) and v <= 31 for v in values[:2]):
            first, second, year = int(values[0]), int(values[1]), _year_en(values[2:])
        else:
            continue
        if year:
            yield from _day_and_month(match, first, second, year, clear=False)


def _relative_en(said: str, base: datetime.date | None) -> Iterator[Span]:
    if base is None:
        return
    for match in _RELATIVE.finditer(said):
        yield from _dated(match, _shifted(base, _DAY_WORDS[match[1]]))
    for match in _COUNTED.finditer(said):
        ahead = match["way"] in ("from now", "from today", "later") or (match["in"] and not match["way"])
        if not ahead and match["way"] != "ago":
            continue
        values = numbers.english(match["run"].strip()) if match["run"].strip() not in ("a", "an") else (1,)
        if len(values) == 1 and values[0] < 4_000:
            count = int(values[0]) * (1 if ahead else -1)
            yield from _dated(match, _counted(base, count, match["unit"].rstrip("s")))


def _weekday_en(said: str, base: datetime.date | None) -> Iterator[Span]:
    if base is None:
        return
    for match in _WEEKDAY.finditer(said):
        day, which = _WEEKDAYS.index(match["day"]), match["which"]
        if match["week"] or match["later"]:
            days = (day - base.weekday() - 1) % 7 + 8
        elif which in ("next", "this"):
            days = day - base.weekday() + (7 if which == "next" else 0)
        elif which == "last":
            days = -((base.weekday() - day - 1) % 7 + 1)
        else:
            days = (day - base.weekday() - 1) % 7 + 1
        yield from _dated(match, _shifted(base, days))


def _month_named_en(said: str, base: datetime.date | None) -> Iterator[Span]:
    """ "The fifteenth of last month", "the end of the month", "the last day of February"."""
    for match in _MONTH_NAMED.finditer(said):
        which = match["which"] or match["before"]
        if (base is None and (which or not match["year"])) or (match["day"] and match["month"]):
            continue
        if which:
            year, month = _month_after(base, _WHICH_MONTH[which])
        else:
            month = _month(match["month"])
            year = int(match["year"] or _nearest(month, 1, base)[:4])
        ordinal, edge = match["day"] or match["day_behind"], match["edge"]
        if year:
            day = _day_en(ordinal) if ordinal else _last_day(year, month) if edge in ("end", "last day") else 1
            yield from _dated(match, _iso(year, month, day))


def _feasts_en(said: str, base: datetime.date | None) -> Iterator[Span]:
    for match in _FEAST.finditer(said):
        month, day = _FEASTS[match["feast"]]
        value = _nearest(month, day, base)
        if base and (told := _year_told(said, match)):
            start, end, years = told
            yield from (Span(start, end, v) for v in [_iso(base.year + years, month, day)] if v)
            continue
        if base and match["which"]:
            years = (_iso(base.year + y, month, day) for y in (-1, 0, 1))
            ahead = [v for v in years if (v > base.isoformat()) == (match["which"] == "next")]
            value = ahead[0 if match["which"] == "next" else -1]
        yield from _dated(match, value)


def _day_only_en(said: str, base: datetime.date | None) -> Iterator[Span]:
    for match in _DAY_ONLY.finditer(said):
        yield from _dated(match, _nearest_day(_day_en(match["day"]), base), clear=False, whole=False)


def _nearest_day(day: int, base: datetime.date | None) -> str:
    """That day of the month nearest to `base`."""
    if base is None:
        return ""
    months = [(base.year + (base.month - 1 + k) // 12, (base.month - 1 + k) % 12 + 1) for k in (-1, 0, 1)]
    found = [d for y, m in months if (d := _parsed(_iso(y, m, day)))]
    return min(found, key=lambda d: abs(d - base)).isoformat() if found else ""


# Mandarin -----------------------------------------------------------------------------------------------------------

_NAMED_YEARS = {"前年": -2, "去年": -1, "今年": 0, "明年": 1, "后年": 2}
_FEAST_ZH = re.compile(
    rf"(?:(?P<year>{'|'.join(_NAMED_YEARS)})的?)?(?P<feast>{'|'.join(sorted(_FEASTS_ZH, key=len, reverse=True))})"
)
_HALVES_ZH = {"个月": (15, "天"), "年": (6, "个月")}
_EDGE_ZH = re.compile(r"(?:(?P<month>上个月|这个月|本月|下个月)的?月?|月)(?P<edge>[底末初])")
_NAMED_MONTHS = {"上个月": -1, "这个月": 0, "本月": 0, "下个月": 1}


def _number_zh(run: str) -> int:
    value = numbers.mandarin(run)
    return int(value) if value is not None else 0


def _year_zh(run: str) -> int:
    figures = "".join(str("零一二三四五六七八九".find(c)) if c in "零一二三四五六七八九" else c for c in run)
    return _century(int(figures)) if figures.isdecimal() else 0


def _full_zh(said: str, base: datetime.date | None) -> Iterator[Span]:
    for match in _FULL_ZH.finditer(said):
        day = _number_zh(match["day"])
        named_month = _NAMED_MONTHS.get(match["month"])
        if match["year"]:
            value = _iso(_year_zh(match["year"]), _number_zh(match["month"]), day) if named_month is None else ""
        elif base is None:
            value = ""
        elif named_month is not None:
            index = base.year * 12 + base.month - 1 + named_month
            value = _iso(index // 12, index % 12 + 1, day)
        elif match["named"]:
            value = _iso(base.year + _NAMED_YEARS[match["named"]], _number_zh(match["month"]), day)
        else:
            value = _nearest(_number_zh(match["month"]), day, base)
        # 十 may become 十二 as long as no 号 stands behind it.
        yield from _dated(match, value, whole=bool(match["end"]))


def _relative_zh(said: str, base: datetime.date | None) -> Iterator[Span]:
    if base is None:
        return
    pattern = "|".join(sorted(_DAY_WORDS_ZH, key=len, reverse=True))
    for match in re.finditer(pattern, said):
        yield from _dated(match, _shifted(base, _DAY_WORDS_ZH[match[0]]))
    for match in _COUNTED_ZH.finditer(said):
        unit, sign = match["unit"].removeprefix("个") or "", 1 if match["way"].endswith("后") else -1
        unit = "个月" if unit == "月" else unit
        if match["n"] == "半":
            value = _HALVES_ZH.get(unit)
            yield from _dated(match, _counted(base, sign * value[0], value[1]) if value else "")
        elif 0 < (count := _number_zh(match["n"])) < 4_000:
            yield from _dated(match, _counted(base, sign * count, unit))
    for match in _EDGE_ZH.finditer(said):
        year, month = _month_after(base, _NAMED_MONTHS.get(match["month"] or "本月", 0))
        if year:
            yield from _dated(match, _iso(year, month, _last_day(year, month) if match["edge"] in "底末" else 1))
    for match in _FEAST_ZH.finditer(said):
        month, day = _FEASTS_ZH[match["feast"]]
        named = _NAMED_YEARS.get(match["year"])
        yield from _dated(match, _nearest(month, day, base) if named is None else _iso(base.year + named, month, day))


def _weekday_zh(said: str, base: datetime.date | None) -> Iterator[Span]:
    if base is None:
        return
    for match in _WEEKDAY_ZH.finditer(said):
        which, days = match["which"] or "", _WEEKDAYS_ZH[match["day"]] - base.weekday()
        if which:
            days += 7 * (which.count("下") - which.count("上"))
        else:
            days = (days - 1) % 7 + 1
        yield from _dated(match, _shifted(base, days))


def _day_only_zh(said: str, base: datetime.date | None) -> Iterator[Span]:
    for match in _DAY_ONLY_ZH.finditer(said):
        yield from _dated(match, _nearest_day(_number_zh(match["day"]), base), clear=False)


_Reader = Callable[[str, datetime.date | None], Iterator[Span]]
_READERS_EN: tuple[_Reader, ...] = (
    partial(_named_en, _DAY_FIRST), partial(_named_en, _MONTH_FIRST), _figures, _numbered_en, _relative_en, _weekday_en,
    _month_named_en, _feasts_en, _day_only_en,
)  # fmt: skip
_READERS_ZH: tuple[_Reader, ...] = (_full_zh, _figures, _relative_zh, _weekday_zh, _day_only_zh)

"""How numbers, money, dates, times and digit strings are said in Mandarin (mainland usage). Pure.

Two is 两 before 千, 万, 亿, before 百 at the head of a number, before measure words and for the hour; 二 elsewhere.
One is 幺 in telephone numbers, so that it is not taken for 七.
"""

from __future__ import annotations

import re
from decimal import Decimal

import cn2an

LARGEST = 10**15
GROUP_PAUSE = "，"
RANGE = "到"
SYMBOLS = {"&": "和", "+": "加", "=": "等于", "%": "百分号", "@": "艾特", "×": "乘", "°": "度"}
WORDS = {"dot": "点", "at": "艾特", "slash": "斜杠", "ending": "尾号", "number": ""}

_DIGITS = "零一二三四五六七八九"
_CURRENCIES = {
    "USD": ("美元", "美分"), "EUR": ("欧元", "欧分"), "GBP": ("英镑", "便士"), "HKD": ("港币", ""), "JPY": ("日元", ""),
    "KRW": ("韩元", ""), "AUD": ("澳元", ""), "CAD": ("加元", ""), "SGD": ("新加坡元", ""), "CHF": ("瑞士法郎", ""),
    "TWD": ("新台币", ""),
}  # fmt: skip


def digit(character: str) -> str:
    return _DIGITS[int(character)]


def digits(text: str) -> str:
    """Digits one by one; groups, separated by white space in `text`, have a pause between them."""
    return GROUP_PAUSE.join("".join(map(digit, group)) for group in text.split())


def number(value: Decimal) -> str:
    """A cardinal or a decimal fraction. `value` is below LARGEST."""
    sign = "负" if value < 0 else ""
    whole, _, fraction = format(abs(value), "f").partition(".")
    words = cn2an.an2cn(whole.lstrip("0") or "0", "low")
    words = re.sub(r"(?<![十百])二(?=[千万亿])|(?:^|(?<=[万亿]))二(?=百)", "两", words)
    return f"{sign}{words}点{''.join(map(digit, fraction))}" if fraction else sign + words


def count(value: Decimal) -> str:
    """A number in front of a measure word: two is 两."""
    return "两" if value == 2 else number(value)


def ordinal(value: int) -> str:
    return "第" + number(Decimal(value)).replace("两", "二")


def year(value: int) -> str:
    return "".join(map(digit, str(value)))


def fraction(part: int, whole: int) -> str:
    if (part, whole) == (24, 7):
        return "七天二十四"
    if not 0 < part < whole:
        return f"{number(Decimal(part))}，{number(Decimal(whole))}"
    return f"{number(Decimal(whole))}分之{number(Decimal(part))}"


def percent(value: Decimal) -> str:
    return f"{'负' if value < 0 else ''}百分之{number(abs(value))}"


def money(amount: Decimal, currency: str, scale: str = "") -> str:
    """Whole amounts in 元; with a fraction as people say it, 两百八十九块五毛. `scale` is 万 or 亿."""
    unit, minor = ("元", "") if currency == "CNY" else _CURRENCIES.get(currency, (currency, ""))
    if scale:
        return f"{count(amount)}{scale}{unit}"
    cents = abs(amount) * 100
    if amount == amount.to_integral_value():
        return count(amount.to_integral_value()) + unit
    if cents != cents.to_integral_value() or (currency != "CNY" and not minor):
        return number(amount.normalize()) + unit
    sign, whole, small = "负" if amount < 0 else "", Decimal(int(abs(amount))), int(cents) % 100
    if currency == "CNY":
        return sign + _yuan(whole, *divmod(small, 10))
    return sign + (count(whole) + unit if whole else "") + count(Decimal(small)) + minor


def _yuan(whole: Decimal, jiao: int, fen: int) -> str:
    words = count(whole) + "块" if whole else ""
    if jiao:
        words += count(Decimal(jiao)) + "毛"
    elif whole:
        words += "零"
    return words + (number(Decimal(fen)) + "分" if fen else "")


def date(year_: int | None, month: int | None, day: int | None) -> str:
    words = f"{year(year_)}年" if year_ is not None else ""
    words += f"{_plain(month)}月" if month else ""
    return words + (f"{_plain(day)}日" if day else "")


def _plain(value: int) -> str:
    return number(Decimal(value))


def time(hour: int, minute: int, exact: bool, period: str = "") -> str:
    """`exact`: on a 24-hour clock, so that the part of the day is said; `period` is that part when it is given."""
    part = period if period not in ("am", "pm") else {"am": "上午", "pm": "下午"}[period]
    if not part and (exact or hour > 12):
        part = _part_of_day(hour % 24)
    shown = hour - 12 if hour > 12 and part and hour < 24 else hour % 24
    name = count(Decimal(shown)) + "点"
    if not minute:
        return part + name
    if minute == 30:
        return f"{part}{name}半"
    return f"{part}{name}{'零' if minute < 10 else ''}{_plain(minute)}分"


def _part_of_day(hour: int) -> str:
    for before, part in ((5, "凌晨"), (8, "早上"), (12, "上午"), (13, "中午"), (18, "下午")):
        if hour < before:
            return part
    return "晚上"


def phone(groups: list[str], country: str = "") -> str:
    said = GROUP_PAUSE.join("".join(map(digit, group)) for group in groups).replace("一", "幺")
    return f"加{''.join(map(digit, country)).replace('一', '幺')}{GROUP_PAUSE}{said}" if country else said


def spell(text: str) -> str:
    """Letters and digits one by one."""
    return " ".join(digit(c) if re.fullmatch("[0-9]", c) else c.upper() for c in text if c.isalnum())

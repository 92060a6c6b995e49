"""How numbers, money, dates, times and digit strings are said in Korean. Pure."""

from __future__ import annotations

import re
from decimal import Decimal

from num2words import num2words

LARGEST = 10**15
GROUP_PAUSE = ", "
RANGE = "에서"
SYMBOLS = {"&": "와", "+": "더하기", "=": "는", "%": "퍼센트", "@": "골뱅이", "×": "곱하기", "°": "도"}
WORDS = {"dot": "점", "at": "골뱅이", "slash": "슬래시", "ending": "끝자리", "number": ""}

_DIGITS = "공일이삼사오육칠팔구"
_HOURS = ("열두", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉", "열", "열한")
_ORDINALS = ("첫", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉", "열")
_CURRENCIES = {"KRW": "원", "CNY": "위안", "USD": "달러", "EUR": "유로", "GBP": "파운드", "JPY": "엔"}


def digit(character: str) -> str:
    return _DIGITS[int(character)]


def digits(text: str) -> str:
    """Digits one by one (zero is 공); groups, separated by white space in `text`, have a pause between them."""
    return GROUP_PAUSE.join(" ".join(map(digit, group)) for group in text.split())


def number(value: Decimal) -> str:
    sign = "마이너스 " if value < 0 else ""
    whole, _, fraction = format(abs(value), "f").partition(".")
    words = num2words(int(whole), lang="ko")
    return f"{sign}{words} 점 {' '.join(map(digit, fraction)).replace('공', '영')}" if fraction else sign + words


def ordinal(value: int) -> str:
    return f"{_ORDINALS[value - 1]} 번째" if 1 <= value <= len(_ORDINALS) else f"{number(Decimal(value))} 번째"


def year(value: int) -> str:
    return number(Decimal(value)).replace(" ", "")


def fraction(part: int, whole: int) -> str:
    if not 0 < part < whole:
        return f"{number(Decimal(part))}, {number(Decimal(whole))}"
    return f"{number(Decimal(whole))} 분의 {number(Decimal(part))}"


def percent(value: Decimal) -> str:
    return f"{number(value)} 퍼센트"


def money(amount: Decimal, currency: str, scale: str = "") -> str:
    whole = amount == amount.to_integral_value()
    said = number(amount.to_integral_value() if whole else amount.normalize())
    return f"{said}{scale} {_CURRENCIES.get(currency, currency)}"


def date(year_: int | None, month: int | None, day: int | None) -> str:
    parts = [f"{year(year_)} 년"] if year_ is not None else []
    if month:
        parts.append({6: "유월", 10: "시월"}.get(month, number(Decimal(month)) + "월"))
    if day:
        parts.append(number(Decimal(day)) + "일")
    return " ".join(parts)


def time(hour: int, minute: int, exact: bool, period: str = "") -> str:
    part = {"am": "오전", "pm": "오후"}.get(period, period)
    if not part and (exact or hour > 12):
        part = "오후" if hour % 24 >= 12 else "오전"
    parts = [part, f"{_HOURS[hour % 12]} 시"]
    if minute:
        parts.append("반" if minute == 30 else f"{number(Decimal(minute))} 분")
    return " ".join(p for p in parts if p)


def phone(groups: list[str], country: str = "") -> str:
    said = GROUP_PAUSE.join(" ".join(map(digit, group)) for group in groups)
    return f"플러스 {' '.join(map(digit, country))}{GROUP_PAUSE}{said}" if country else said


def spell(text: str) -> str:
    """Letters and digits one by one."""
    return ", ".join(digit(c) if re.fullmatch("[0-9]", c) else c.upper() for c in text if c.isalnum())

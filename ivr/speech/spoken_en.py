"""How numbers, money, dates, times and digit strings are said in American English. Pure."""

from __future__ import annotations

import re
from decimal import Decimal

from num2words import num2words

LARGEST = 10**15
GROUP_PAUSE = ", "
RANGE = "to"
SYMBOLS = {"&": "and", "+": "plus", "=": "equals", "%": "percent", "@": "at", "×": "times", "°": "degrees"}
WORDS = {"dot": "dot", "at": "at", "slash": "slash", "ending": "ending in", "number": "number"}

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# Singular and plural of a unit and of its hundredth part; no hundredth: the amount is said with a decimal point.
_CURRENCIES = {
    "USD": ("dollar", "dollars", "cent", "cents"),
    "AUD": ("Australian dollar", "Australian dollars", "cent", "cents"),
    "CAD": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "HKD": ("Hong Kong dollar", "Hong Kong dollars", "cent", "cents"),
    "SGD": ("Singapore dollar", "Singapore dollars", "cent", "cents"),
    "EUR": ("euro", "euros", "cent", "cents"),
    "GBP": ("pound", "pounds", "penny", "pence"),
    "CHF": ("Swiss franc", "Swiss francs", "", ""),
    "CNY": ("yuan", "yuan", "", ""),
    "JPY": ("yen", "yen", "", ""),
    "KRW": ("won", "won", "", ""),
    "TWD": ("Taiwan dollar", "Taiwan dollars", "", ""),
}


def digit(character: str) -> str:
    return _DIGITS[int(character)]


def digits(text: str) -> str:
    """Digits one by one; groups, separated by white space in `text`, have a pause between them."""
    return GROUP_PAUSE.join(" ".join(map(digit, group)) for group in text.split())


def number(value: Decimal) -> str:
    """A cardinal or a decimal fraction, said without `and`. `value` is below LARGEST."""
    sign = "minus " if value < 0 else ""
    whole, _, fraction = format(abs(value), "f").partition(".")
    words = num2words(int(whole)).replace(",", "").replace(" and ", " ")
    return f"{sign}{words} point {' '.join(map(digit, fraction))}" if fraction else sign + words


def ordinal(value: int) -> str:
    return num2words(value, to="ordinal").replace(",", "").replace(" and ", " ")


def year(value: int) -> str:
    if not 1000 <= value <= 2999:
        return number(Decimal(value))
    return num2words(value, to="year").replace("oh-", "oh ").replace(" and ", " ")


def fraction(part: int, whole: int) -> str:
    if (part, whole) == (24, 7):
        return "twenty-four seven"
    name = {2: ("half", "halves"), 3: ("third", "thirds"), 4: ("quarter", "quarters")}.get(whole)
    if name is None or not 0 < part < whole:
        return f"{number(Decimal(part))} slash {number(Decimal(whole))}"
    return f"{number(Decimal(part))} {name[part > 1]}"


def percent(value: Decimal) -> str:
    return f"{number(value)} percent"


def money(amount: Decimal, currency: str, scale: str = "") -> str:
    """`scale` is a word like `million` between the number and the unit."""
    one, many, minor, minors = _CURRENCIES.get(currency, (currency, currency, "", ""))
    if scale:
        return f"{number(amount)} {scale} {many}"
    whole, cents = int(abs(amount)), round(abs(amount) % 1 * 100)
    exact = abs(amount) % 1 * 100 == cents
    if not cents and exact:
        return f"{number(amount.to_integral_value())} {one if whole == 1 else many}"
    if not minor or not exact:
        return f"{number(amount.normalize())} {many}"
    sign = "minus " if amount < 0 else ""
    small = f"{number(Decimal(cents))} {minor if cents == 1 else minors}"
    if not whole:
        return sign + small
    return f"{sign}{number(Decimal(whole))} {one if whole == 1 else many} and {small}"


def date(year_: int | None, month: int | None, day: int | None) -> str:
    name = MONTHS[month - 1] if month else ""
    parts = [f"{name} {ordinal(day)}" if day else name]
    if year_ is not None:
        parts.append(year(year_))
    return (", " if day else " ").join(p for p in parts if p)


def time(hour: int, minute: int, exact: bool, period: str = "") -> str:
    """`exact`: on a 24-hour clock; otherwise `period` (`am`, `pm` or nothing) says which half of the day is meant."""
    if exact and not period:
        if (hour, minute) in ((0, 0), (24, 0)):
            return "midnight"
        if (hour, minute) == (12, 0):
            return "noon"
    half = {"am": " a m", "pm": " p m"}.get(period, (" p m" if hour % 24 >= 12 else " a m") if exact else "")
    name = number(Decimal(hour % 12 or 12))
    if not minute:
        return name + (half or " o'clock")
    past = f"oh {digit(str(minute))}" if minute < 10 else number(Decimal(minute))
    return f"{name} {past}{half}"


def phone(groups: list[str], country: str = "") -> str:
    said = GROUP_PAUSE.join(" ".join(map(digit, group)) for group in groups)
    return f"plus {' '.join(map(digit, country))}{GROUP_PAUSE}{said}" if country else said


def spell(text: str) -> str:
    """Letters and digits one by one."""
    return ", ".join(digit(c) if re.fullmatch("[0-9]", c) else c.upper() for c in text if c.isalnum())

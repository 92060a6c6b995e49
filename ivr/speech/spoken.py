"""Text as it is said: typed values and whatever figures stand in free text, in English, Mandarin and Korean. Pure.

A plan writes a value that must be said as what it is in braces: `{kind:value}`.

| kind | value | English | Mandarin |
|---|---|---|---|
| `money` | `1234.50 CNY` (no code: the language's own currency) | …point five yuan | 一千二百三十四块五毛 |
| `digits` | `8620`, `6222 0210` (a space is a pause) | eight six two zero | 八六二零 |
| `date` | `2026-03-12`, `03-12`, `2026-03` | March twelfth, twenty twenty-six | 二零二六年三月十二日 |
| `time` | `14:30` on a 24-hour clock | two thirty p m | 下午两点半 |
| `phone` | `+8613800138000`, or as dialled at home | one three eight, zero … | 幺三八，零零幺三，八零零零 |
| `number` | `1234.5`, `-3` | one thousand two hundred … | 一千二百三十四点五 |
| `ordinal` | `3` | third | 第三 |
| `percent` | `3.5` | three point five percent | 百分之三点五 |
| `spell` | `AB12` | A, B, one, two | A B 一 二 |

A value that is not of its kind is said as free text; `faults` names it beforehand. `say` never raises.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from types import ModuleType

import phonenumbers
from babel.core import UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal

from ivr.speech import spoken_en, spoken_ko, spoken_rules, spoken_zh

_LANGUAGES: dict[str, ModuleType] = {"en": spoken_en, "zh": spoken_zh, "ko": spoken_ko}
_HOME = {"en": ("USD", "US"), "zh": ("CNY", "CN"), "ko": ("KRW", "KR")}
_TYPED = re.compile(r"\{([a-z_]{1,16}):([^{}\n]{0,200})\}")
_CURRENCY = re.compile(r"([A-Z]{3})?\s*(-?[\d,]{1,20}(?:\.\d{1,6})?)\s*([A-Z]{3})?")


class _Wrong(ValueError):
    """A typed value that is not of its kind; the text says what is expected."""


def say(text: str, language: str) -> str:
    """`text` in words of `language`; typed values and figures replaced, markup and pictures left out."""
    words = _LANGUAGES.get(language, spoken_en)
    out, at = [], 0
    for typed in _TYPED.finditer(text):
        out.append(spoken_rules.say_free(text[at : typed.start()], language, words))
        out.append(_say_typed(typed[1], typed[2], language, words))
        at = typed.end()
    out.append(spoken_rules.say_free(text[at:], language, words))
    return _tidy("".join(_apart(out, language)))


def written(text: str, language: str) -> str:
    """`text` as a person reads it: typed values in the language's usual notation, everything else as it stands."""
    return _TYPED.sub(lambda m: _write_typed(m[1], m[2].strip(), language), text)


def faults(text: str) -> tuple[str, ...]:
    """What is wrong with the typed values in `text`, one sentence each."""
    found = []
    for typed in _TYPED.finditer(text):
        try:
            if typed[1] not in _KINDS:
                raise _Wrong("unknown kind; known are " + ", ".join(sorted(_KINDS)))
            _KINDS[typed[1]](typed[2].strip(), "en", spoken_en)
        except _Wrong as error:
            found.append(f"{typed[0]}: {error}")
    return tuple(found)


def _say_typed(kind: str, value: str, language: str, words: ModuleType) -> str:
    try:
        return _KINDS[kind](unicodedata.normalize("NFKC", value).strip(), language, words)
    except (KeyError, _Wrong):
        return spoken_rules.say_free(value, language, words)


def _apart(parts: list[str], language: str) -> list[str]:
    """A space between words that typed values would glue together; Mandarin has none."""
    if language == "zh":
        return parts
    spaced = [part for part in parts if part]
    for index in range(1, len(spaced)):
        if spaced[index - 1][-1].isalnum() and spaced[index][0].isalnum():
            spaced[index] = " " + spaced[index]
    return spaced


def _tidy(text: str) -> str:
    return re.sub(r"\s+([,.!?;:，。！？；：])", r"\1", re.sub(r"[ \t\u00a0\u3000]+", " ", text)).strip(" ")


# Typed values ---------------------------------------------------------------------------------------------------------


def _decimal(value: str, words: ModuleType) -> Decimal:
    try:
        number = Decimal(value.replace(",", "").replace(" ", ""))
    except InvalidOperation:
        raise _Wrong("a number like 1234.50 is expected") from None
    if not number.is_finite() or abs(number) >= words.LARGEST or number.as_tuple().exponent < -12:
        raise _Wrong("a number of at most 15 digits is expected")
    return number


def _money_parts(value: str, language: str, words: ModuleType) -> tuple[Decimal, str]:
    match = _CURRENCY.fullmatch(value.upper())
    if match is None or (match[1] and match[3]):
        raise _Wrong("an amount with a currency is expected, like 1234.50 CNY")
    home = _HOME.get(language, _HOME["en"])[0]
    return _decimal(match[2], words), match[1] or match[3] or home


def _money(value: str, language: str, words: ModuleType) -> str:
    return words.money(*_money_parts(value, language, words))


def _number(value: str, _: str, words: ModuleType) -> str:
    return words.number(_decimal(value, words))


def _percent(value: str, _: str, words: ModuleType) -> str:
    return words.percent(_decimal(value.removesuffix("%"), words))


def _ordinal(value: str, _: str, words: ModuleType) -> str:
    if not re.fullmatch(r"\d{1,9}", value):
        raise _Wrong("a whole number is expected, like 3")
    return words.ordinal(int(value))


def _digits(value: str, _: str, words: ModuleType) -> str:
    if not re.search("[0-9]", value) or re.search(r"[^0-9\s-]", value):
        raise _Wrong("digits are expected, like 8620")
    groups = value.replace("-", " ").split()
    return words.digits(" ".join(groups) if len(groups) > 1 else spoken_rules.grouped(groups[0]))


def _date_parts(value: str) -> tuple[int | None, int | None, int | None]:
    match = re.fullmatch(r"(?:(\d{4})-)?(\d{1,2})(?:-(\d{1,2}))?", value)
    if match is None or (match[1] is None and match[3] is None):
        raise _Wrong("a date is expected, like 2026-03-12")
    year, month, day = (int(g) if g else None for g in match.groups())
    if not spoken_rules.is_date(year, month, day):
        raise _Wrong("there is no such date")
    return year, month, day


def _date(value: str, _: str, words: ModuleType) -> str:
    return words.date(*_date_parts(value))


def _time_parts(value: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,2}):(\d{2})(?::\d{2})?", value)
    if match is None or int(match[1]) > 24 or int(match[2]) > 59:
        raise _Wrong("a time is expected, like 14:30")
    return int(match[1]), int(match[2])


def _time(value: str, _: str, words: ModuleType) -> str:
    return words.time(*_time_parts(value), exact=True)


def _phone(value: str, language: str, words: ModuleType) -> str:
    if not re.fullmatch(r"\+?[\d\s().-]{2,30}", value) or not re.search(r"\d", value):
        raise _Wrong("a telephone number is expected, like +8613800138000")
    return spoken_rules.say_phone(value, _HOME.get(language, _HOME["en"])[1], words)


def _spell(value: str, _: str, words: ModuleType) -> str:
    if not re.search(r"[A-Za-z0-9]", value):
        raise _Wrong("letters or digits are expected")
    return words.spell(re.sub(r"[^A-Za-z0-9]", "", value))


_KINDS: dict[str, Callable[[str, str, ModuleType], str]] = {
    "money": _money, "number": _number, "percent": _percent, "ordinal": _ordinal, "digits": _digits, "date": _date,
    "time": _time, "phone": _phone, "spell": _spell,
}  # fmt: skip


def _write_typed(kind: str, value: str, language: str) -> str:
    locale = {"en": "en_US", "zh": "zh_CN", "ko": "ko_KR"}.get(language, "en_US")
    try:
        match kind:
            case "money":
                amount, currency = _money_parts(value, language, spoken_en)
                return format_currency(amount, currency, locale=locale)
            case "number":
                return format_decimal(_decimal(value, spoken_en), locale=locale)
            case "percent":
                return value.removesuffix("%") + "%"
            case "date":
                return _written_date(*_date_parts(value), locale)
            case "phone":
                return _written_phone(value, _HOME.get(language, _HOME["en"])[1])
            case _:
                return value
    except (_Wrong, UnknownLocaleError, ValueError):
        return value


def _written_date(year: int | None, month: int | None, day: int | None, locale: str) -> str:
    shown = date(year or 2024, month or 1, day or 1)
    if year and day:
        return format_date(shown, "long", locale=locale)
    pattern = {True: {"zh_CN": "M月d日", "ko_KR": "M월 d일"}, False: {"zh_CN": "y年M月", "ko_KR": "y년 M월"}}[bool(day)]
    return format_date(datetime(shown.year, shown.month, shown.day), pattern.get(locale, "MMMM d" if day else "MMMM y"))


def _written_phone(value: str, region: str) -> str:
    try:
        number = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        return value
    home = number.country_code == phonenumbers.country_code_for_region(region)
    form = phonenumbers.PhoneNumberFormat.NATIONAL if home else phonenumbers.PhoneNumberFormat.INTERNATIONAL
    return phonenumbers.format_number(number, form)

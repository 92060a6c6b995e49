"""Finding money, dates, times, numbers and symbols in free text, and putting them into words. Pure; never raises.

One pass from left to right: at each place the first rule that fits takes its stretch of text, so the order of the
rules is their priority. Every quantifier is bounded, so the time is linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from calendar import monthrange
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from types import ModuleType

import phonenumbers

_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_MONTHS_SHORT = "jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec"
_CODES = "USD|EUR|GBP|CNY|RMB|JPY|KRW|HKD|AUD|CAD|SGD|CHF|TWD"
_SIGNS = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "CNY", "₩": "KRW", "HK$": "HKD", "US$": "USD", "RMB": "CNY"}
_UNITS = {
    "美元": "USD", "美金": "USD", "欧元": "EUR", "英镑": "GBP", "日元": "JPY", "韩元": "KRW", "港元": "HKD",
    "港币": "HKD", "人民币": "CNY", "元": "CNY", "块钱": "CNY", "块": "CNY", "yuan": "CNY", "dollars": "USD",
    "dollar": "USD", "euros": "EUR", "euro": "EUR", "pounds": "GBP", "원": "KRW", "달러": "USD",
}  # fmt: skip
_NUMBER = r"\d{1,3}(?:,\d{3}){1,5}(?:\.\d{1,8})?|\d{1,15}(?:\.\d{1,8})?"
_MEASURES = (
    "个|张|笔|位|次|天|年|小时|分钟|秒|条|种|份|家|名|项|步|遍|周|星期|倍|点|辆|本|件|套|台|间|层|套|千|万|亿|两|公里|米|克|"
    "斤|度电|月底|个月|部|封|页|门|句|字|类|批|期|轮|杯|瓶|只|支|双|对"
)
_WIDE = frozenset("＄％＋．－＃＠＆＝") | {
    chr(c) for r in ((0xFF10, 0xFF1A), (0xFF21, 0xFF3B), (0xFF41, 0xFF5B)) for c in range(*r)
}
_NOT_SPOKEN = re.compile(r"[*_`~#|^<>\\{}\[\]•·●■★]+")

Say = Callable[[re.Match[str], ModuleType], str]


def say_free(text: str, language: str, words: ModuleType) -> str:
    """`text` with every figure in words."""
    folded = _folded(text)
    combined, rules = _rules(language)

    def replace(match: re.Match[str]) -> str:
        pattern, say = rules[int(match.lastgroup[1:])]
        own = pattern.match(match.string, match.start())
        said = say(own, words) if own is not None else match[0]
        return _spaced(match, said, language)

    return _NOT_SPOKEN.sub(" ", combined.sub(replace, folded))


def _spaced(match: re.Match[str], said: str, language: str) -> str:
    """`said` kept apart from words that touched the figure; Hanzi need no space."""
    before, after = match.string[match.start() - 1 : match.start()], match.string[match.end() : match.end() + 1]
    left = " " if _is_word(said[:1], language) and _is_word(before, language) else ""
    right = " " if _is_word(said[-1:], language) and _is_word(after, language) else ""
    return left + said + right


def _is_word(character: str, language: str) -> bool:
    return character.isalnum() and (language != "zh" or character.isascii())


def _folded(text: str) -> str:
    """Full-width figures and letters as ASCII, pictures and control characters gone, Mandarin punctuation as it is."""
    out = []
    for character in text:
        if character in _WIDE:
            out.append(unicodedata.normalize("NFKC", character))
        elif unicodedata.category(character) == "No":
            out.append(unicodedata.normalize("NFKC", character).replace("\u2044", "/"))
        elif character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "So", "Sk"):
            out.append("¥" if character == "￥" else character)
        else:
            out.append(" " if unicodedata.category(character) in ("So", "Cc") and character != "°" else "")
    return "".join(out).replace("\u2212", "-")


@cache
def _rules(language: str) -> tuple[re.Pattern[str], list[tuple[re.Pattern[str], Say]]]:
    """The rules of a language, and all of them as one pattern whose group `r<i>` tells which one fits."""
    table = [*_COMMON_FIRST, *_OWN.get(language, []), *_COMMON_LAST]
    rules = [(re.compile(pattern, re.IGNORECASE), say) for pattern, say in table]
    bare = [re.sub(r"\(\?P<\w+>", "(?:", pattern) for pattern, _ in table]
    joined = "|".join(f"(?P<r{index}>{pattern})" for index, pattern in enumerate(bare))
    return re.compile(joined, re.IGNORECASE), rules


# What figures mean ----------------------------------------------------------------------------------------------------


def is_date(year: int | None, month: int | None, day: int | None) -> bool:
    if month is not None and not 1 <= month <= 12:
        return False
    return day is None or (month is not None and 1 <= day <= monthrange(year or 2024, month)[1])


def grouped(digits: str) -> str:
    """A digit string with spaces where a speaker pauses: fours when they come out even, else threes."""
    if len(digits) <= 5:
        return digits
    if len(digits) == 11 and digits[0] == "1":
        return f"{digits[:3]} {digits[3:7]} {digits[7:]}"
    size = 4 if len(digits) % 4 == 0 or len(digits) > 12 else 3
    groups = [digits[i : i + size] for i in range(0, len(digits), size)]
    if len(groups) > 1 and len(groups[-1]) == 1:
        groups[-2:] = [groups[-2] + groups[-1]]
    return " ".join(groups)


def say_phone(text: str, region: str, words: ModuleType) -> str:
    """A telephone number in the groups its country writes, the country code only when it is foreign."""
    digits = re.sub(r"\D", "", text)
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return words.phone(grouped(digits).split())
    home = number.country_code == phonenumbers.country_code_for_region(region)
    if not phonenumbers.is_possible_number(number) or not phonenumbers.is_valid_number(number):
        return words.phone(grouped(digits).split())
    national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    foreign = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL).split(" ", 1)[1]
    return words.phone(re.findall(r"\d+", national if home else foreign), "" if home else str(number.country_code))


def _value(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


def _number(text: str, words: ModuleType) -> str:
    """A cardinal; digit by digit when it is a code rather than an amount (leading zero, too long to count)."""
    bare = text.lstrip("-")
    whole = bare.split(".")[0].replace(",", "")
    code = "," not in bare and "." not in bare
    if code and ((len(whole) > 1 and whole[0] == "0") or (len(whole) >= 7 and not whole.endswith("000"))):
        return words.digits(grouped(whole))
    if len(whole) > 15:
        return words.digits(grouped(whole))
    return words.number(_value(text))


def _say_number(match: re.Match[str], words: ModuleType) -> str:
    return _number(match[0], words)


def _say_long_digits(match: re.Match[str], words: ModuleType) -> str:
    return words.digits(grouped(match[0]))


def _say_digits_after(match: re.Match[str], words: ModuleType) -> str:
    groups = match["d"].replace("-", " ").split()
    return match["before"] + words.digits(" ".join(groups) if len(groups) > 1 else grouped(groups[0]))


def _say_phone_after(match: re.Match[str], words: ModuleType) -> str:
    return match["before"] + say_phone(match["d"], "CN", words)


def _say_masked(match: re.Match[str], words: ModuleType) -> str:
    return f"{words.WORDS['ending']} {words.digits(match['d'])}"


def _say_iso_date(match: re.Match[str], words: ModuleType) -> str:
    parts = int(match["y"]), int(match["m"]), int(match["d"])
    return words.date(*parts) if is_date(*parts) else _each_number(match[0], words)


def _each_number(text: str, words: ModuleType) -> str:
    return re.sub(r"\d+", lambda m: f" {words.digits(grouped(m[0][:64]))} ", re.sub(r"[-/.:]", " ", text)).strip()


def _say_us_date(match: re.Match[str], words: ModuleType) -> str:
    parts = int(match["y"]), int(match["m"]), int(match["d"])
    if not is_date(*parts):
        parts = parts[0], parts[2], parts[1]
    return words.date(*parts) if is_date(*parts) else _each_number(match[0], words)


def _say_named_date(match: re.Match[str], words: ModuleType) -> str:
    month = _month(match["m"])
    year = int(match["y"]) if match["y"] else None
    if not is_date(year, month, int(match["d"])):
        return re.sub(r"\d+", lambda m: words.number(Decimal(m[0])), match[0])
    return words.date(year, month, int(match["d"]))


def _month(name: str) -> int:
    return [m[:3] for m in _MONTHS.split("|")].index(name[:3].lower()) + 1


def _say_month_year(match: re.Match[str], words: ModuleType) -> str:
    return f"{match['m']} {words.year(int(match['y']))}"


def _say_time(match: re.Match[str], words: ModuleType) -> str:
    hour, minute = int(match["h"]), int(match["min"])
    if hour > 24 or minute > 59:
        return _each_number(match[0], words)
    half = (match["half"] or "").lower().replace(".", "").replace(" ", "")
    return words.time(hour, minute, exact=not half and (hour > 12 or match["h"][0] == "0"), period=half)


def _say_full_hour(match: re.Match[str], words: ModuleType) -> str:
    return words.time(int(match["h"]), 0, exact=False, period=match["half"].lower().replace(".", "").replace(" ", ""))


def _say_zh_clock(match: re.Match[str], words: ModuleType) -> str:
    hour, minute = int(match["h"]), int(match["min"])
    if hour > 24 or minute > 59:
        return _each_number(match[0], words)
    return words.time(hour, minute, exact=match["h"][0] == "0" and not match["part"], period=match["part"] or "")


def _say_zh_date(match: re.Match[str], words: ModuleType) -> str:
    year, month, day = match["y"], match["m"], match["d"]
    said = f"{words.year(int(year))}年" if year else ""
    said += f"{words.number(Decimal(month))}月" if month else ""
    return said + (f"{words.number(Decimal(day))}{match['unit']}" if day else "")


def _say_money(match: re.Match[str], words: ModuleType) -> str:
    sign = match["sign"].strip().upper()
    currency = _SIGNS.get(sign, sign)
    scale = match["scale"] or ""
    amount = _value(match["n"]) * (-1 if match["minus"] else 1)
    return words.money(amount, currency, scale.strip().lower())


def _say_money_after(match: re.Match[str], words: ModuleType) -> str:
    unit = match["unit"]
    currency = _UNITS.get(unit.lower()) or _SIGNS.get(unit.upper(), unit.upper())
    return words.money(_value(match["n"]) * (-1 if match["minus"] else 1), currency, (match["scale"] or "").strip())


def _say_percent(match: re.Match[str], words: ModuleType) -> str:
    return words.percent(_value(match["n"]))


def _say_percent_range(match: re.Match[str], words: ModuleType) -> str:
    return f"{words.percent(_value(match['a']))}{_to(words)}{words.percent(_value(match['b']))}"


def _to(words: ModuleType) -> str:
    return words.RANGE if words.GROUP_PAUSE == "，" else f" {words.RANGE} "


def _say_range(_: re.Match[str], words: ModuleType) -> str:
    return _to(words)


def _say_dotted(match: re.Match[str], words: ModuleType) -> str:
    """A version or a network address."""
    dot = words.WORDS["dot"]
    parts = [words.number(Decimal(part)) for part in match[0].split(".")]
    return (dot if words.GROUP_PAUSE == "，" else f" {dot} ").join(parts)


def _say_fraction(match: re.Match[str], words: ModuleType) -> str:
    return words.fraction(int(match["a"]), int(match["b"]))


def _say_word_number(_: re.Match[str], words: ModuleType) -> str:
    return f"{words.WORDS['number']} "


def _say_day_month(match: re.Match[str], words: ModuleType) -> str:
    """`3 March 2026` and `the 3rd of March`."""
    month, year = _month(match["m"]), int(match["y"]) if match["y"] else None
    if not is_date(year, month, int(match["d"])):
        return re.sub(r"\d+", lambda m: words.number(Decimal(m[0])), match[0])
    the = "the " if match["the"] else ""
    said = f"{the}{words.ordinal(int(match['d']))} of {words.MONTHS[month - 1]}"
    return said if year is None else f"{said}, {words.year(year)}"


def _say_ordinal(match: re.Match[str], words: ModuleType) -> str:
    return words.ordinal(int(match["n"]))


def _say_year_after(match: re.Match[str], words: ModuleType) -> str:
    return match["before"] + words.year(int(match["y"]))


def _say_count(match: re.Match[str], words: ModuleType) -> str:
    return words.count(_value(match["n"]))


def _say_home_phone(match: re.Match[str], words: ModuleType) -> str:
    region = {"，": "CN"}.get(words.GROUP_PAUSE, "KR" if words.RANGE == "에서" else "US")
    return say_phone(match[0], region, words)


def _say_address(match: re.Match[str], words: ModuleType) -> str:
    """A web or mail address: its dots and signs by name, its figures one by one."""
    text = re.sub(r"^https?://", "", match[0].rstrip("/."), flags=re.IGNORECASE)
    text = re.sub(r"^www\.", "w w w. ", text, flags=re.IGNORECASE)
    for sign, name in ((".", "dot"), ("@", "at"), ("/", "slash")):
        text = text.replace(sign, f" {words.WORDS[name]} ")
    return re.sub(r"\d", lambda m: f" {words.digit(m[0])} ", re.sub(r"[-_?=&#%:~+]", " ", text))


def _say_symbol(match: re.Match[str], words: ModuleType) -> str:
    said = words.SYMBOLS[match[0]]
    return said if words.GROUP_PAUSE == "，" else f" {said} "


def _say_slash(_: re.Match[str], words: ModuleType) -> str:
    return ", " if words.GROUP_PAUSE != "，" else "、"


_AMOUNT = rf"(?P<minus>-)?(?P<n>{_NUMBER})"
_EDGE = r"(?<![\d.,])"
_COMMON_FIRST: list[tuple[str, Say]] = [
    (r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[a-z0-9-]{1,63}){1,4}", _say_address),
    (r"(?:https?://|www\.)[a-z0-9./_?=&#%:~+-]{2,200}", _say_address),
    (r"\b[a-z0-9-]{2,40}\.(?:com|cn|org|net|gov|io)(?:\.[a-z]{2})?\b(?:/[a-z0-9/_-]{0,100})?", _say_address),
    (r"(?<!\d)(?P<y>[12]\d{3})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})(?!\d)", _say_iso_date),
    (r"\+\d[\d ().-]{5,20}\d", _say_home_phone),
    (rf"{_EDGE}(?P<n>(?:(?<![A-Za-z0-9.-])-)?(?:{_NUMBER}))\s?[%％]", _say_percent),
    (r"(?<![\d.])\d{1,6}(?:\.\d{1,6}){2,4}(?![\d.]*\d)", _say_dotted),
    (r"[*xX•]{2,16}[\s-]?(?P<d>\d{3,6})(?!\d)", _say_masked),
    (r"(?<!\d)\d{16,}", _say_long_digits),
]
_COMMON_LAST: list[tuple[str, Say]] = [
    (r"(?<![\d/.,])(?P<a>\d{1,4})/(?P<b>\d{1,4})(?![\d/])", _say_fraction),
    (r"(?<=[\d%％])\s?[-–—~～]\s?(?=[$¥€£]?\d)", _say_range),
    (r"(?<=\d):(?=\d)", _say_slash),
    (rf"(?<![\d\w.-])-(?:{_NUMBER})", _say_number),
    (rf"{_NUMBER}", _say_number),
    (r"(?<=[^\W\d_])/(?=[^\W\d_])", _say_slash),
    (r"[&+=×%@°]", _say_symbol),
]
_OWN: dict[str, list[tuple[str, Say]]] = {
    "en": [
        (rf"\b(?P<m>{_MONTHS}|{_MONTHS_SHORT})\.? (?P<d>\d{{1,2}})(?:st|nd|rd|th)?\b(?!:)(?:,? (?P<y>[12]\d{{3}})\b)?",
         _say_named_date),
        (rf"\b(?P<the>the )?(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<m>{_MONTHS})\b(?:,? (?P<y>[12]\d{{3}})\b)?",
         _say_day_month),
        (r"\bNo\. ?(?=\d)", _say_word_number),
        (rf"\b(?P<m>{_MONTHS}),? (?P<y>[12]\d{{3}})\b", _say_month_year),
        (r"(?<![\d/])(?P<m>\d{1,2})/(?P<d>\d{1,2})/(?P<y>[12]\d{3})(?![\d/])", _say_us_date),
        (r"(?<![\d:])(?P<h>\d{1,2}):(?P<min>\d{2})(?::\d{2})?(?:\s?(?P<half>[ap]\.? ?m\b\.?))?(?![\d:])", _say_time),
        (r"(?<![\d:.])(?P<h>1[0-2]|0?[1-9])\s?(?P<half>[ap]\.?m\b\.?)", _say_full_hour),
        (rf"(?<!\w)(?P<minus>-)?(?P<sign>US\$|HK\$|[$€£¥]|(?:{_CODES})\s?(?=\d))\s?(?P<n>{_NUMBER})"
         r"(?P<scale> (?:thousand|million|billion)\b)?", _say_money),
        (rf"{_EDGE}{_AMOUNT}(?P<scale> (?:thousand|million|billion))? ?(?P<unit>{_CODES}|yuan|dollars?|euros?)\b",
         _say_money_after),
        (rf"{_EDGE}(?P<a>{_NUMBER})\s?%?\s?[-–—]\s?(?P<b>{_NUMBER})\s?%", _say_percent_range),
        (r"\(\d{3}\) ?\d{3}-\d{4}(?!\d)|(?<![\d-])(?:1-)?\d{3}-\d{3}-\d{4}(?![\d-])|(?<![\d-])\d{3}-\d{4}(?![\d-])",
         _say_home_phone),
        (r"(?P<before>\b(?:ending|ends|digits|code|pin|account|card|reference|order|number|no\.|extension|dial|press)"
         r"(?: number| in| with| is| are| at| on)?:? )"
         r"(?P<d>\d{3,15}(?:[ -]\d{3,4}){0,4})(?![\d,.]\d|\d|%| ?(?:dollars|yuan))",
         _say_digits_after),
        (r"\b(?P<n>\d{1,9})(?:st|nd|rd|th)\b", _say_ordinal),
        (r"(?P<before>\b(?:in|since|until|from|by|of|year|before|after|to) )(?P<y>(?:19|20)\d{2})(?![\d,.:%]\d|\d|%)\b",
         _say_year_after),
    ],
    "zh": [
        (r"(?<!\d)(?:(?P<y>[12]\d{3})年)(?:(?P<m>\d{1,2})月)?(?:(?P<d>\d{1,2})(?P<unit>日|号))?", _say_zh_date),
        (r"(?<!\d)(?P<y>(?!))?(?P<m>\d{1,2})月(?:(?P<d>\d{1,2})(?P<unit>日|号))?", _say_zh_date),
        (r"(?P<part>凌晨|早上|上午|中午|下午|傍晚|晚上)?(?<![\d:])(?P<h>\d{1,2})[:：](?P<min>[0-5]\d)(?::\d{2})?(?![\d:])",
         _say_zh_clock),
        (rf"(?P<minus>-)?(?P<sign>US\$|HK\$|[$€£¥]|(?:{_CODES})\s?(?=\d))\s?(?P<n>{_NUMBER})(?P<scale>[万亿])?(?:元)?",
         _say_money),
        (rf"{_EDGE}{_AMOUNT}\s?(?P<scale>万|亿)?(?P<unit>美元|美金|欧元|英镑|日元|韩元|港元|港币|元|块钱|块|(?:{_CODES})\b)",
         _say_money_after),
        (rf"{_EDGE}(?P<a>{_NUMBER})\s?%?\s?[-–—~～至到]\s?(?P<b>{_NUMBER})\s?%", _say_percent_range),
        (r"(?<![\d-])(?:1[3-9]\d{9}|0\d{2,3}[- ]\d{7,8}|[48]00[- ]?\d{3}[- ]?\d{4}|"
         r"95\d{3}(?![\d,.]*\d|元|万|块)|1[3-9]\d[- ]\d{4}[- ]\d{4})(?![\d-])",
         _say_home_phone),
        (r"(?P<before>(?:尾号|末四位|后四位|卡号|账号|帐号|验证码|密码|编号|单号|分机|按|工号|订单)"
         r"(?:号|为|是|：|:|\s){0,2})(?P<d>\d{2,15}(?:[ -]\d{3,4}){0,4})(?![\d,.]\d|\d)", _say_digits_after),
        (r"(?P<before>(?:拨打?|致电|热线|客服|电话|号码)(?:号码|号|为|是|：|:|\s){0,2})"
         r"(?P<d>\d{3,12}(?:[ -]\d{3,4}){0,3})(?![\d,.]\d|\d)",
         _say_phone_after),
        (r"第(?P<n>\d{1,9})", _say_ordinal),
        (rf"{_EDGE}(?P<n>2)(?=(?:{_MEASURES}))", _say_count),
    ],
    "ko": [
        (r"(?<![\d:])(?P<h>\d{1,2}):(?P<min>\d{2})(?::\d{2})?(?P<half>(?!))?(?![\d:])", _say_time),
        (rf"{_EDGE}{_AMOUNT}(?P<scale>만|억)?\s?(?P<unit>원|달러|{_CODES})", _say_money_after),
        (rf"(?P<minus>-)?(?P<sign>[$€£¥₩])\s?(?P<n>{_NUMBER})(?P<scale>만|억)?", _say_money),
        (r"(?<![\d-])0\d{1,2}-\d{3,4}-\d{4}(?![\d-])|(?<![\d-])1\d{3}-\d{4}(?![\d-])", _say_home_phone),
    ],
}  # fmt: skip

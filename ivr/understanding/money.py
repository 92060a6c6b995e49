"""Amounts of money as they are said in English and Mandarin, written `12.50 CNY`.

Currencies are ISO 4217 codes; the number of decimals is the currency's own (CLDR, by Babel). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import lru_cache

from babel.numbers import get_currency_precision

from ivr.understanding import numbers
from ivr.understanding.said import Span

_UNITS_EN = {
    "yuan": "CNY", "kuai": "CNY", "rmb": "CNY", "renminbi": "CNY", "cny": "CNY", "chinese yuan": "CNY",
    "dollars": "USD", "dollar": "USD", "bucks": "USD", "us dollars": "USD", "usd": "USD", "american dollars": "USD",
    "euros": "EUR", "euro": "EUR", "eur": "EUR", "pounds": "GBP", "pound": "GBP", "quid": "GBP", "gbp": "GBP",
    "pounds sterling": "GBP", "yen": "JPY", "won": "KRW", "hong kong dollars": "HKD", "hkd": "HKD",
    "australian dollars": "AUD", "canadian dollars": "CAD", "singapore dollars": "SGD", "swiss francs": "CHF",
    "francs": "CHF",
}  # fmt: skip
_PARTS_EN = {"cents": "", "cent": "", "pence": "GBP", "penny": "GBP", "fen": "CNY", "jiao": "CNY", "mao": "CNY"}
_TENTHS = ("jiao", "mao")
_UNITS_ZH = {
    "人民币": "CNY", "块钱": "CNY", "元钱": "CNY", "块": "CNY", "元": "CNY", "圆": "CNY", "美元": "USD",
    "美金": "USD", "刀": "USD", "欧元": "EUR", "英镑": "GBP", "港币": "HKD", "港元": "HKD", "日元": "JPY",
    "日币": "JPY", "韩元": "KRW", "韩币": "KRW", "澳元": "AUD", "加元": "CAD", "新加坡元": "SGD", "新币": "SGD",
    "瑞士法郎": "CHF", "dollars": "USD", "dollar": "USD", "usd": "USD", "euros": "EUR", "euro": "EUR", "pounds": "GBP",
    "rmb": "CNY", "yuan": "CNY", "hkd": "HKD",
}  # fmt: skip


def _either(words: Sequence[str]) -> str:
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


_EN = re.compile(
    rf"(?P<whole>{numbers.RUN}) (?P<unit>{_either(list(_UNITS_EN))})\b"
    rf"(?: (?:and )?(?P<part>{numbers.RUN})(?: (?P<small>{_either(list(_PARTS_EN))})\b)?)?"
    rf"|(?P<cents>{numbers.RUN}) (?P<coin>{_either(list(_PARTS_EN))})\b"
)
_EN_BARE = re.compile(numbers.RUN)
_ZH = re.compile(
    rf"(?:(?P<before>人民币|美元|美金|欧元|英镑|港币))?(?P<whole>{numbers.RUN_ZH}|半)(?P<unit>{_either(list(_UNITS_ZH))})"
    r"(?:零(?P<only>[\d一二两三四五六七八九])分钱?|零?(?P<mao>[\d一二两三四五六七八九半])(?:毛|角)?(?P<last>钱)?(?:(?P<fen>[\d一二两三四五六七八九])分?)?"
    r"(?![\d十百千万点月号年]))?"
    rf"|(?P<alone>[\d一二两三四五六七八九十]+)(?:毛|角)(?:钱|(?P<alone_fen>[\d一二两三四五六七八九])分?)?"
    r"|(?P<only_fen>[\d一二两三四五六七八九十]+)分钱"
)
_ZH_BARE = re.compile(numbers.RUN_ZH)
# A recogniser writes 289块5毛 also as 289.5毛.
_ZH_POINT_MAO = re.compile(r"(?P<amount>\d+\.\d)(?:毛|角)")


def written(amount: Decimal, currency: str) -> str:
    """`amount` with the decimals of `currency` (ISO 4217): `12.50 CNY`, `500 JPY`."""
    return f"{round(amount, get_currency_precision(currency)):f} {currency}"


def amounts(said: str, language: str, currency: str) -> Iterator[Span]:
    """Amounts in the normalised text `said`; those without a unit are in `currency` and not clear."""
    found = list((_named_zh if language == "zh" else _named_en)(said, currency))
    yield from found
    bare = _ZH_BARE if language == "zh" else _EN_BARE
    for match in bare.finditer(said):
        if any(match.start() < span.end and span.start < match.end() for span in found):
            continue
        yield from (_bare_zh if language == "zh" else _bare_en)(match, currency)


def unit_misheard(said: str) -> str:
    """Mandarin `said` with what usually stands for 元 or 块 behind a number put right: 3500人, 两千园, 五快."""
    said = re.sub(r"(?<=[\d零一二两三四五六七八九十百千万])[快筷](?=[\d一二两三四五六七八九半钱]|$)", "块", said)
    return re.sub(r"(?<=[\d零一二两三四五六七八九十百千万])(?:人|园|圆|员|缘|原|源)(?!民)", "元", said)


def _of_words(values: Sequence[Decimal]) -> tuple[Decimal, tuple[Decimal, ...]] | None:
    """One number, or units and hundredths ("nineteen ninety nine"); with it what else the words may mean."""
    if len(values) == 1:
        return values[0], ()
    if len(values) == 2 and 10 <= values[1] < 100 and values[0] == int(values[0]):
        rivals = (values[0] * 100 + values[1],) if values[0] < 10 else ()
        return values[0] + values[1] / 100, rivals
    return None


@lru_cache(maxsize=256)
def _named_en(said: str, currency: str) -> tuple[Span, ...]:
    spans = []
    for match in _EN.finditer(said):
        if match["cents"]:
            values, of = numbers.english(match["cents"]), _PARTS_EN[match["coin"]] or _coined(currency)
            if len(values) == 1:
                amount = values[0] / (10 if match["coin"] in _TENTHS else 100)
                spans.append(Span(*match.span(), written(amount, of)))
            continue
        whole = _of_words(numbers.english(match["whole"]))
        if whole is None:
            continue
        amount, end = whole[0], match.end("unit")
        part = numbers.english(match["part"]) if match["part"] else ()
        if len(part) == 1 and part[0] < 100 and amount == int(amount):
            tenths = match["small"] in _TENTHS or (match["unit"] in ("kuai", "yuan") and part[0] < 10)
            amount, end = amount + part[0] / (10 if tenths else 100), match.end()
        whole_said = end == match.end() and (bool(match["small"]) or match["unit"] not in ("kuai",))
        spans.append(Span(match.start(), end, written(amount, _UNITS_EN[match["unit"]]), whole=whole_said))
    return tuple(spans)


def _coined(currency: str) -> str:
    """Whose cents they are: of the service's currency when it has any, else dollars'."""
    return currency if currency not in ("CNY", "JPY", "KRW", "GBP") else "USD"


def _bare_en(match: re.Match[str], currency: str) -> Iterator[Span]:
    found = _of_words(numbers.english(match[0]))
    if found:
        rivals = tuple(written(r, currency) for r in found[1])
        yield Span(*match.span(), written(found[0], currency), clear=False, score=0.9, rivals=rivals, whole=False)


def _digit_zh(character: str | None) -> Decimal:
    if not character:
        return Decimal(0)
    return Decimal(5) if character == "半" else numbers.mandarin(character) or Decimal(0)


@lru_cache(maxsize=256)
def _named_zh(said: str, currency: str) -> tuple[Span, ...]:
    spans = [
        Span(*m.span(), written(Decimal(m["amount"]), "CNY")) for m in _ZH_POINT_MAO.finditer(said) if currency == "CNY"
    ]
    taken = [(s.start, s.end) for s in spans]
    for match in _ZH.finditer(said):
        if any(match.start() < end and start < match.end() for start, end in taken):
            continue
        if match["whole"]:
            whole = Decimal("0.5") if match["whole"] == "半" else numbers.mandarin(match["whole"])
            if whole is None:
                continue
            of = _UNITS_ZH.get(match["before"] or "") or _UNITS_ZH[match["unit"]]
            amount = whole + _digit_zh(match["mao"]) / 10 + _digit_zh(match["fen"] or match["only"]) / 100
            open_end = match["unit"] == "块" and match.end() == match.end("unit")
            spans.append(Span(*match.span(), written(amount, of), whole=not open_end))
        elif match["alone"]:
            tenths = numbers.mandarin(match["alone"])
            if tenths is not None:
                amount = tenths / 10 + _digit_zh(match["alone_fen"]) / 100
                spans.append(Span(*match.span(), written(amount, "CNY")))
        else:
            cents = numbers.mandarin(match["only_fen"])
            if cents is not None:
                spans.append(Span(*match.span(), written(cents / 100, "CNY")))
    return tuple(spans)


def _bare_zh(match: re.Match[str], currency: str) -> Iterator[Span]:
    value = numbers.mandarin(match[0])
    if value is not None:
        yield Span(*match.span(), written(value, currency), clear=False, score=0.9, whole=False)

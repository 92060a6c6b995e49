"""Amounts of money as callers say them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.understanding import money
from ivr.understanding.said import normal


def amounts(text: str, language: str, currency: str = "CNY") -> list[str]:
    said = normal(text, language)
    said = money.unit_misheard(said) if language == "zh" else said
    return [s.value for s in money.amounts(said, language, currency)]


@pytest.mark.parametrize(
    ("text", "language", "value"),
    [
        ("five hundred yuan", "en", "500.00 CNY"),
        ("5 kuai", "en", "5.00 CNY"),
        ("one thousand two hundred kuai five mao", "en", "1200.50 CNY"),
        ("three hundred rmb", "en", "300.00 CNY"),
        ("twelve dollars", "en", "12.00 USD"),
        ("twelve dollars fifty", "en", "12.50 USD"),
        ("twelve dollars and fifty cents", "en", "12.50 USD"),
        ("$12.50", "en", "12.50 USD"),
        ("$3,500", "en", "3500.00 USD"),
        ("3.5 million dollars", "en", "3500000.00 USD"),
        ("two pounds fifty", "en", "2.50 GBP"),
        ("fifty pence", "en", "0.50 GBP"),
        ("£9.99", "en", "9.99 GBP"),
        ("twelve euros", "en", "12.00 EUR"),
        ("nineteen euros ninety nine", "en", "19.99 EUR"),
        ("a hundred bucks", "en", "100.00 USD"),
        ("hundred dollars", "en", "100.00 USD"),
        ("fifty cents", "en", "0.50 USD"),
        ("five thousand yen", "en", "5000 JPY"),
        ("two hundred Hong Kong dollars", "en", "200.00 HKD"),
        ("two hundred eighty nine fifty", "en", "289.50 CNY"),
        ("nineteen ninety nine", "en", "19.99 CNY"),
        ("two fifty", "en", "2.50 CNY"),
        ("three thousand five hundred", "en", "3500.00 CNY"),
        ("three point five", "en", "3.50 CNY"),
        ("三千五百元", "zh", "3500.00 CNY"),
        ("三千五百块", "zh", "3500.00 CNY"),
        ("三千五百块钱", "zh", "3500.00 CNY"),
        ("3千500元", "zh", "3500.00 CNY"),
        ("3500人", "zh", "3500.00 CNY"),
        ("¥3500", "zh", "3500.00 CNY"),
        ("人民币三千元", "zh", "3000.00 CNY"),
        ("三千元人民币", "zh", "3000.00 CNY"),
        ("一万两千块", "zh", "12000.00 CNY"),
        ("1万2000块", "zh", "12000.00 CNY"),
        ("两万五", "zh", "25000.00 CNY"),
        ("两百八十九块五毛", "zh", "289.50 CNY"),
        ("两百八十九块五", "zh", "289.50 CNY"),
        ("289块5毛", "zh", "289.50 CNY"),
        ("289.5毛", "zh", "289.50 CNY"),
        ("五块", "zh", "5.00 CNY"),
        ("五块二毛三", "zh", "5.23 CNY"),
        ("五块两毛三分", "zh", "5.23 CNY"),
        ("三块半", "zh", "3.50 CNY"),
        ("两百块零五分", "zh", "200.05 CNY"),
        ("五毛钱", "zh", "0.50 CNY"),
        ("五毛五", "zh", "0.55 CNY"),
        ("五分钱", "zh", "0.05 CNY"),
        ("一百美元", "zh", "100.00 USD"),
        ("一百美金", "zh", "100.00 USD"),
        ("五十欧元", "zh", "50.00 EUR"),
        ("二十英镑", "zh", "20.00 GBP"),
        ("三百港币", "zh", "300.00 HKD"),
        ("五千日元", "zh", "5000 JPY"),
        ("三千五", "zh", "3500.00 CNY"),
        ("三千", "zh", "3000.00 CNY"),
        ("兩萬塊錢", "zh", "20000.00 CNY"),
    ],
)
def test_an_amount(text, language, value):
    """With its currency, or in the service's own when none is said."""
    assert amounts(text, language) == [value]


@pytest.mark.parametrize(
    ("text", "language"),
    [("hello", "en"), ("yuan", "en"), ("", "en"), ("没有钱", "zh"), ("块", "zh"), ("人民币", "zh")],
)
def test_no_amount(text, language):
    """A currency without a number is none."""
    assert amounts(text, language) == []


def test_the_services_currency_stands_where_none_is_said():
    """ "Fifty" is in what the bank counts in."""
    assert amounts("fifty", "en", "EUR") == ["50.00 EUR"]
    assert amounts("五十", "zh", "USD") == ["50.00 USD"]
    assert amounts("fifty cents", "en", "EUR") == ["0.50 EUR"]


def test_only_a_unit_makes_an_amount_clear():
    """So that a bare number is taken as money only where money was asked for."""
    named, bare = (next(iter(money.amounts(t, "en", "CNY"))) for t in ("five hundred yuan", "five hundred"))
    assert (named.clear, bare.clear) == (True, False)


def test_two_fifty_may_be_two_hundred_and_fifty():
    """What the words may mean besides is a rival."""
    assert next(iter(money.amounts("two fifty", "en", "CNY"))).rivals == ("250.00 CNY",)


@given(st.integers(1, 99_999_999))
def test_every_amount_in_figures_is_read_back(cents):
    """As a recogniser writes figures."""
    amount = Decimal(cents) / 100
    assert amounts(f"{amount:.2f} yuan", "en") == [f"{amount:.2f} CNY"]
    assert amounts(f"{amount:.2f}元", "zh") == [f"{amount:.2f} CNY"]
    assert amounts(f"${amount:,.2f}", "en") == [f"{amount:.2f} USD"]


@given(st.text(max_size=600), st.sampled_from(["en", "zh"]))
def test_any_text_reads_without_error(text, language):
    """Spans lie in the text and hold an amount and a currency."""
    said = normal(text, language)
    for span in money.amounts(said, language, "CNY"):
        assert 0 <= span.start < span.end <= len(said)
        amount, currency = span.value.split()
        assert Decimal(amount) >= 0
        assert len(currency) == 3

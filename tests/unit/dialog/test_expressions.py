"""Expressions of dialplans: what they mean, what is refused, and that nothing else can happen."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.dialog import expressions
from ivr.dialog.expressions import ExpressionFault, as_number, read

KNOWN = {"age", "card", "sum", "name", "empty", "sure"}
VALUES = {"age": Decimal(41), "card": "8620", "sum": Decimal("12.50"), "name": "Li Lei", "empty": None, "sure": "yes"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("age", Decimal(41)),
        ("age + 1", Decimal(42)),
        ("age - 1.5", Decimal("39.5")),
        ("-age", Decimal(-41)),
        ("+age", Decimal(41)),
        ("2 * (age + 1)", Decimal(84)),
        ("10 / 4", Decimal("2.5")),
        ("1 / 3", Decimal("0.3333333333")),
        ("sum / 2", Decimal("6.25")),
        ("card + '0'", "86200"),
        ("card + 1", Decimal(8621)),
        ("'12.50 CNY' + 1", Decimal("13.50")),
        ("age >= 18", True),
        ("18 <= age < 65", True),
        ("18 <= age < 40", False),
        ("age == 41", True),
        ("age != 41", False),
        ("card == 8620", True),
        ("card == '8620'", True),
        ("name == 8620", False),
        ("'a' < 'b'", True),
        ("empty", None),
        ("empty == none", True),
        ("empty is none", True),
        ("card is not none", True),
        ("empty > 3", False),
        ("not empty", True),
        ("sure == 'yes' and age > 18", True),
        ("empty or card", "8620"),
        ("empty and card", None),
        ("card in ('8620', '1234')", True),
        ("card in ['1234']", False),
        ("card not in ('1234', 5)", True),
        ("'Lei' in name", True),
        ("'Wang' not in name", True),
        ("'old' if age > 40 else 'young'", "old"),
        ("true", True),
        ("false or none", None),
        ("length(card)", Decimal(4)),
        ("length(empty)", Decimal(0)),
        ("last(card, 2)", "20"),
        ("last(card, 0)", ""),
        ("last(card, 9)", "8620"),
        ("starts_with(card, '86')", True),
        ("number(card) + 1", Decimal(8621)),
        ("text(sum)", "12.50"),
        ("text(age > 1)", "true"),
        ("round(sum)", Decimal(12)),
        ("round(sum, 1)", Decimal("12.5")),
        ("round(sum, 99)", Decimal("12.5")),
        ("min(age, 3)", Decimal(3)),
        ("max(age, '50')", Decimal(50)),
    ],
)
def test_what_they_mean(text, value):
    """Numbers as decimals, texts, truth and nothing."""
    assert read(text, KNOWN).evaluate(VALUES) == value


@pytest.mark.parametrize(
    ("text", "says", "column"),
    [
        ("agge", "no slot `agge`", 1),
        ("age +", "cannot be read", 0),
        ("", "cannot be read", 0),
        ("age ** 9", "only slots", 1),
        ("age // 2", "only slots", 1),
        ("age % 2", "only slots", 1),
        ("name.upper()", "only slots", 1),
        ("name[0]", "only slots", 1),
        ("[c for c in name]", "only slots", 1),
        ("lambda: 1", "only slots", 1),
        ("f'{age}'", "only slots", 1),
        ("(age := 1)", "only slots", 2),
        ("None", "only slots", 1),
        ("1j", "only slots", 1),
        ("b'x'", "only slots", 1),
        ("...", "only slots", 1),
        ("age if", "cannot be read", 0),
        ("(1, 2)", "a list may only stand after `in`", 1),
        ("age == [41]", "a list may only stand after `in`", 8),
        ("age in (1, (2, 3))", "a list may only stand after `in`", 12),
        ("__import__('os')", "no function `__import__`", 1),
        ("eval('1')", "no function `eval`", 1),
        ("length(x=1)", "only slots", 1),
        ("last(card)", "`last` takes 2 values", 1),
        ("round(1, 2, 3)", "`round` takes 1 to 2 values", 1),
        ("1 + " * 200 + "1", "longer than", 0),
        ("-" * 40 + "1", "nested too deeply", 0),
        ("1<" * 200 + "1", "too long", 0),
        ("a\0b", "no text", 0),
        ("(" * 300, "cannot be read", 0),
    ],
)
def test_what_is_refused(text, says, column):
    """When it is read, with the place; a fault of the syntax at least says that it is one."""
    with pytest.raises(ExpressionFault, match=says.replace("(", r"\(").replace("`", ".")) as fault:
        read(text, KNOWN)
    assert not column or fault.value.column == column


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("age = 5", "`==` compares"), ("age => 5", "write `>=` or `<=`"), ("age <> 5", "write `!=`"),
        ("age && name", "write `and`"), ("age || name", "write `or`"), ("!age", "write `not`"),
        ("age AND name", "write words like `and` in small letters"), ("age == null", "write `none`"),
        ("None", "write `none`"), ("{age} == 5", "write the slot without braces"), ("name == 'Li", "close the quotes"),
        ("name == “李”", "type quotes and signs without the Chinese keyboard"), ("age ＞ 5", "type quotes and signs"),
        ("agge == '= & {x} ＞'", ""),
    ],
)  # fmt: skip
def test_slips_are_told_what_to_write_instead(text, mend):
    with pytest.raises(ExpressionFault) as wrong:
        read(text, {"age", "name"})
    assert wrong.value.mend.startswith(mend)
    assert bool(wrong.value.mend) == bool(mend)


@pytest.mark.parametrize(
    "text",
    ["1 / 0", "age / empty", "name + 1", "-name", "empty + 1", "number(name)", "name > 3", "card * 1000000000000",
     "round(sum, 'many')", "round(name)", "round(sum, empty)", "last(card, name)", "min(age, empty)", "true + 1",
     "9" * 30, "number('1e400')", "number('inf')", "number('nan') > 1"],
)  # fmt: skip
def test_what_has_no_value(text):
    """Raised when it is evaluated; the plan's `on_error` is for that."""
    expression = read(text, KNOWN)
    with pytest.raises(ExpressionFault):
        expression.evaluate(VALUES)


def test_texts_do_not_grow():
    """Neither by adding them up, nor by doing so again and again."""
    with pytest.raises(ExpressionFault, match="more than 500 characters"):
        read("name + name", KNOWN).evaluate({"name": "x" * 300})


@pytest.mark.parametrize(
    ("text", "number"),
    [("12", "12"), ("-0.5", "-0.5"), ("12.50 CNY", "12.50"), ("1e3", "1000"), ("1e999999999", None), ("inf", None),
     ("nan", None), ("", None), ("twelve", None), ("CNY 12", None), ("9" * 40, None)],
)  # fmt: skip
def test_numbers_from_outside_are_bounded(text, number):
    """None of them becomes a gigabyte of figures."""
    assert as_number(text) == (None if number is None else Decimal(number))


def test_a_tiny_number_stays_short():
    """Ten places are enough for money."""
    assert len(f"{as_number('1e-999999'):f}") < 15


def test_names_and_equality():
    """The slots it looks at; two of the same text are the same, and hash alike."""
    one = read("age > 18 and true", KNOWN)
    assert one.names == {"age"}
    assert one == read("age > 18 and true", KNOWN)
    assert len({one, read("age > 18 and true", KNOWN), read("age", KNOWN)}) == 2


@pytest.mark.parametrize(
    ("text", "may"),
    [("age", False), ("sure == 'yes' or not card", False), ("card in ('1', '2')", False), ("age > 3", True),
     ("age + 1", True), ("-age", True), ("number(card)", True)],
)  # fmt: skip
def test_whether_it_may_fail(text, may):
    """Coverage does not ask for what cannot happen."""
    assert read(text, KNOWN).may_fail == may


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ag e0'\"+-*/()<>=.,[]{}:!notirdl中\\\n", max_size=30) | st.text(max_size=30))
def test_no_text_does_anything_else(text):
    """It is refused, has a value, or has none: with any values."""
    try:
        expression = read(text, KNOWN)
    except ExpressionFault:
        return
    for values in (VALUES, {}, dict.fromkeys(KNOWN, "x"), dict.fromkeys(KNOWN, Decimal("1e14"))):
        try:
            value = expression.evaluate(values)
        except ExpressionFault:
            continue
        assert value is None or isinstance(value, (str, bool, Decimal))
        assert len(str(value)) <= expressions.MAX_CHARS

"""Which plan answers a dialled number."""

import pytest

from ivr.config import Number
from ivr.telephony.numbers import matches, plan_for


def entry(pattern: str) -> Number:
    return Number(pattern=pattern, plan=f"plan of {pattern}")


@pytest.mark.parametrize(
    ("pattern", "number", "fits"),
    [
        ("400", "400", True),
        ("400", "4000", False),
        ("400", "40", False),
        ("4xx", "499", True),
        ("4xx", "4a9", False),
        ("4xx", "4９9", False),
        ("4x.", "40", False),
        ("4x.", "401", True),
        ("4x.", "4012345", True),
        (".", "anything", True),
        (".", "", False),
        ("+49.", "+4930123", True),
        ("+49.", "004930123", False),
        ("*99", "*99", True),
        ("X00", "500", True),
    ],
)
def test_patterns(pattern, number, fits):
    assert matches(pattern, number) is fits


@pytest.mark.parametrize(
    ("number", "winner"),
    [("400", "400"), ("401", "40x"), ("412", "4xx"), ("4123", "4x."), ("5", "."), ("409", "409")],
)
def test_the_more_specific_wins_whatever_the_order(number, winner):
    entries = [entry(p) for p in (".", "4x.", "4xx", "40x", "409", "400")]
    assert plan_for(entries, number).pattern == winner
    assert plan_for(entries[::-1], number).pattern == winner


def test_of_equal_patterns_the_first_wins():
    first, second = entry("4xx"), Number(pattern="4XX", plan="other")
    assert plan_for([first, second], "400") is first


def test_nobody_answers():
    assert plan_for([entry("400")], "401") is None
    assert plan_for([], "400") is None

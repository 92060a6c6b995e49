"""The query string of GET /v1/calls: what is right is taken, what is wrong names its field."""

from datetime import UTC, datetime

import pytest
from multidict import MultiDict

from ivr.store.records import CallFilter
from ivr.web.problem import Refusal
from ivr.web.query import parse


def test_nothing_asked_is_the_first_fifty():
    assert parse(MultiDict()) == ("", 50, CallFilter())


def test_every_filter_is_taken():
    cursor, limit, filters = parse(
        MultiDict(
            cursor="abc",
            limit="200",
            since="2026-01-31T09:30:00Z",
            until="2026-01-31T18:30:00+08:00",
            number="401",
            caller="+8613800000000",
            cause="busy",
            language="zh",
            plan="main",
        )
    )
    assert (cursor, limit) == ("abc", 200)
    assert filters == CallFilter(
        since=datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
        until=datetime(2026, 1, 31, 10, 30, tzinfo=UTC),
        number="401",
        caller="+8613800000000",
        cause="busy",
        language="zh",
        plan="main",
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("limit", "0"),
        ("limit", "201"),
        ("limit", "-1"),
        ("limit", "ten"),
        ("limit", "1.5"),
        ("limit", "٣"),
        ("limit", "9" * 50),
        ("limit", ""),
        ("since", "yesterday"),
        ("since", "2026-01-31T09:30:00"),
        ("since", "2026-01-31"),
        ("since", "0001-01-01T00:00:00+14:00"),
        ("until", "2026-13-01T00:00:00Z"),
        ("cause", "boredom"),
        ("number", ""),
        ("number", "1" * 129),
        ("plan", "a\0b"),
        ("caller", "a\nb"),
        ("cursor", "x" * 257),
        ("colour", "red"),
    ],
)
def test_a_wrong_value_is_a_400_that_names_the_field(field, value):
    with pytest.raises(Refusal) as caught:
        parse(MultiDict({field: value}))
    assert caught.value.status == 400
    assert [e.field for e in caught.value.errors] == [field]


def test_a_parameter_given_twice_is_refused():
    with pytest.raises(Refusal) as caught:
        parse(MultiDict([("limit", "1"), ("limit", "2")]))
    assert caught.value.errors[0].field == "limit"


def test_a_span_that_ends_before_it_begins_is_refused():
    with pytest.raises(Refusal) as caught:
        parse(MultiDict(since="2026-01-02T00:00:00Z", until="2026-01-01T00:00:00Z"))
    assert caught.value.errors[0].field == "until"

"""The query string of `GET /v1/calls`, checked: every mistake is a 400 that names its field. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import get_args

from multidict import MultiMapping

from ivr.line.messages import Cause
from ivr.store.records import CallFilter
from ivr.web.problem import Refusal

LIMIT_DEFAULT = 50
LIMIT_MAX = 200
TEXT_MAX = 128
CURSOR_MAX = 256
FIELDS = ("cursor", "limit", "since", "until", "number", "caller", "cause", "language", "plan")


def parse(query: MultiMapping[str]) -> tuple[str, int, CallFilter]:
    """(cursor, limit, filters). Raises Refusal."""
    known(query, FIELDS)
    filters = CallFilter(
        since=time_of(query, "since"),
        until=time_of(query, "until"),
        number=text(query, "number"),
        caller=text(query, "caller"),
        cause=_cause(query),
        language=text(query, "language"),
        plan=text(query, "plan"),
    )
    if filters.since and filters.until and filters.until <= filters.since:
        raise Refusal(400, "not after `since`", field="until")
    return text(query, "cursor", CURSOR_MAX) or "", limit_of(query), filters


def known(query: MultiMapping[str], fields: Sequence[str]) -> None:
    """Every parameter is one of `fields`, and given once. Raises Refusal."""
    for field in query:
        if field not in fields:
            raise Refusal(400, f"unknown parameter; known: {', '.join(fields)}", field=field[:TEXT_MAX])
        if len(query.getall(field)) > 1:
            raise Refusal(400, "given twice", field=field)


def text(query: MultiMapping[str], field: str, most: int = TEXT_MAX) -> str | None:
    """A parameter of printable text; None when it is not given. Raises Refusal."""
    value = query.get(field)
    if value is None:
        return None
    if not value:
        raise Refusal(400, "empty", field=field)
    if len(value) > most:
        raise Refusal(400, f"longer than {most} characters", field=field)
    if not value.isprintable():
        raise Refusal(400, "holds a character that cannot be printed", field=field)
    return value


def limit_of(query: MultiMapping[str]) -> int:
    """`limit`, or the default. Raises Refusal."""
    value = query.get("limit")
    if value is None:
        return LIMIT_DEFAULT
    if not (value.isascii() and value.isdigit() and len(value) <= 4 and 1 <= int(value) <= LIMIT_MAX):
        raise Refusal(400, f"a whole number from 1 to {LIMIT_MAX}", field="limit")
    return int(value)


def time_of(query: MultiMapping[str], field: str) -> datetime | None:
    """An ISO-8601 time with its zone, in UTC; None when it is not given. Raises Refusal."""
    value = text(query, field)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Refusal(
        400, "an ISO-8601 time with its zone, such as 2026-01-31T09:30:00Z (a `+` must be written %2B)", field=field
    )


def _cause(query: MultiMapping[str]) -> Cause | None:
    value = text(query, "cause")
    if value is not None and value not in get_args(Cause):
        raise Refusal(400, f"one of {', '.join(get_args(Cause))}", field="cause")
    return value

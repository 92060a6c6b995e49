"""The table from SIP statuses and lost lines to outcomes, and from what a call said to the answer of its job."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ivr.line.sip import dial_cause
from ivr.outbound import outcomes
from ivr.outbound.job import CallResult

DOCS = Path(__file__).parents[3] / "docs" / "outbound.md"


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(486, "busy"), (600, "busy"), (408, "no_answer"), (480, "no_answer"), (487, "no_answer"), (403, "rejected"),
     (603, "rejected"), (607, "rejected"), (608, "rejected"), (404, "unallocated"), (410, "unallocated"),
     (484, "unallocated"), (604, "unallocated"), (302, "failed"), (401, "failed"), (488, "failed"), (500, "failed"),
     (502, "failed"), (503, "failed"), (504, "failed"), (606, "failed")],
)  # fmt: skip
def test_a_status_has_one_outcome(code, outcome):
    assert outcomes.not_answered(dial_cause(code), code, sent=True) == outcome


@pytest.mark.parametrize(
    ("cause", "sent", "outcome"),
    [("no_answer", True, "no_answer"), ("full", False, None), ("shutdown", False, None), ("shutdown", True, "unknown"),
     ("line_lost", True, "unknown"), ("line_lost", False, "failed"), ("brain_lost", True, "unknown"),
     ("not_allowed", False, "failed"), ("failed", False, "failed"), ("unreachable", True, "failed")],
)  # fmt: skip
def test_without_a_status_the_cause_decides_and_whether_it_may_have_rung(cause, sent, outcome):
    assert outcomes.not_answered(cause, 0, sent) == outcome


@pytest.mark.parametrize(
    ("kind", "result", "expected"),
    [
        ("plan", CallResult("hangup", "us", "goodbye"), ("reached", "completed")),
        ("verification", CallResult("hangup", "us", "goodbye"), ("reached", "not_verified")),
        ("verification", CallResult("hangup", "us", "end", "denied"), ("reached", "denied")),
        ("verification", CallResult("line_lost", "us", "", "denied"), ("reached", "denied")),
        ("verification", CallResult("hangup", "us", "end", "wrong_person"), ("wrong_person", None)),
        ("verification", CallResult("hangup", "us", "end", "machine"), ("machine", None)),
        ("verification", CallResult("hangup", "us", "call_back", "rings_back"), ("rings_back", None)),
        ("plan", CallResult("hangup", "them"), ("hung_up", None)),
        ("plan", CallResult("rtp_timeout", "us"), ("hung_up", None)),
        ("plan", CallResult("transferred", "them"), ("reached", "completed")),
        ("plan", CallResult("line_lost", "us"), ("unknown", None)),
        ("plan", CallResult("hangup", "us", "failed"), ("failed", None)),
        ("plan", CallResult("failed", "us"), ("failed", None)),
    ],
)
def test_what_a_call_came_to(kind, result, expected):
    assert outcomes.answered(kind, result) == expected


def test_the_documented_table_is_the_one_in_the_code():
    rows = re.findall(r"^\| ((?:\d{3}(?:, )?)+) \| `(\w+)` \|", DOCS.read_text("utf-8"), re.MULTILINE)
    told = {int(code): outcome for codes, outcome in rows for code in codes.split(", ")}
    assert told == dict(outcomes.OUTCOME_OF_STATUS)

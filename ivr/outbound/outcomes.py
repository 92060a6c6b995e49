"""What an attempt came to: a SIP status, a lost line, or what a call said, as the outcome that policy goes by.

The table is that of docs/outbound.md. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from ivr.line.messages import Cause
from ivr.outbound.job import CallResult, Disposition, Kind, Outcome

OUTCOME_OF_STATUS: Mapping[int, Outcome] = {
    486: "busy", 600: "busy",
    408: "no_answer", 480: "no_answer", 487: "no_answer",
    403: "rejected", 433: "rejected", 603: "rejected", 607: "rejected", 608: "rejected",
    404: "unallocated", 410: "unallocated", 484: "unallocated", 485: "unallocated", 604: "unallocated",
}  # fmt: skip
"""Final responses to an INVITE (RFC 3261, section 21; 433: RFC 5079, 607: RFC 8197, 608: RFC 8688).

Any other one is `failed`.
"""
_LOST: tuple[Cause, ...] = ("line_lost", "brain_lost", "shutdown")
_LADDERED: tuple[Outcome, ...] = ("machine", "rings_back", "wrong_person")
_NOT_SENT: tuple[Cause, ...] = ("full", "shutdown")


def not_answered(cause: Cause, code: int, sent: bool) -> Outcome | None:
    """The outcome of a dial that nobody answered: why, and the SIP status, 0 when none came.

    `sent`: the INVITE may have left, so that the telephone may have rung. None: nothing rang, the claim is given back.
    """
    if not sent and cause in _NOT_SENT:
        return None
    if code in OUTCOME_OF_STATUS:
        return OUTCOME_OF_STATUS[code]
    if code >= 300:
        return "failed"
    if sent and cause in _LOST:
        return "unknown"
    return "no_answer" if cause == "no_answer" else "failed"


def settled(said: str) -> Disposition | None:
    """The answer for its job that a call gives at once; None: policy says what follows when it is over."""
    return None if said in _LADDERED else said  # type: ignore[return-value] - plans say nothing else


def answered(kind: Kind, result: CallResult) -> tuple[Outcome, Disposition | None]:
    """The outcome of a call that was answered, and the answer for its job; None: policy says what follows."""
    said = result.disposition
    if said in _LADDERED:
        return said, None
    if said:
        return "reached", settled(said)
    if result.suppress:
        return "reached", "declined"
    if result.again_at:
        return "postponed", None
    if result.outcome == "failed":
        return "failed", None
    if result.outcome or result.cause == "transferred":
        return "reached", "not_verified" if kind == "verification" else "completed"
    if result.cause in _LOST:
        return "unknown", None
    return ("hung_up" if result.by == "them" or result.cause == "rtp_timeout" else "failed"), None

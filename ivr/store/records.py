"""What is written down about a call: frozen records, in the words the HTTP interface shows too.

`CallStart`, `LegRecord`, `TurnRecord` and `CallEnd` go into the store; `CallRecord`, `CallDetail` and `CallPage`
come out of it. Times are aware datetimes in UTC, durations whole milliseconds. Pure: knows nothing of SQL, HTTP
or threads. Sensitive words are masked here (`masked`), before a record reaches any queue.
"""

from __future__ import annotations

import unicodedata
from datetime import datetime
from itertools import accumulate
from typing import Annotated, Any, Literal

import msgspec

from ivr.line.messages import Cause
from ivr.turn import Alternative

MASK = "****"

Direction = Literal["in", "out"]
By = Literal["them", "us"]
Review = Literal["rejected", "asked", "corrected"]
Rejected = Literal["no_input", "no_speech", "none_of_these", "no_match", "failed"]
_Ms = Annotated[int, msgspec.Meta(ge=0)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    pass


class CallStart(_Record, frozen=True):
    """A call as it begins.

    Attributes:
        id: unique, at most 64 characters, safe in a URL path.
        direction: `in` when they rang us.
        number: what was dialled. caller: who dialled, empty when withheld.
        language: ISO 639-1 code at the beginning of the call.
        plan, plan_version: the dialplan that answers, and which edition of it.
        sip_call_id: the Call-ID of the first leg (RFC 3261 section 8.1.1.4).
        source: address the INVITE came from. trunk: its name, empty for none.
    """

    id: str
    direction: Direction
    number: str
    caller: str
    language: str
    started_at: datetime
    plan: str = ""
    plan_version: str = ""
    sip_call_id: str = ""
    source: str = ""
    trunk: str = ""


class LegQuality(_Record, frozen=True):
    """RTP as received on a leg: packets, packets lost, interarrival jitter (RFC 3550) and round trip."""

    packets: _Ms = 0
    lost: _Ms = 0
    jitter_ms: float = 0.0
    rtt_ms: float = 0.0


class LegRecord(_Record, frozen=True):
    """One leg of a call. Written as often as something is learnt: what is None or empty leaves the older word.

    Attributes:
        id: unique within the call.
        address: user part or URI of the other side.
        code: final SIP status, None when there was none.
    """

    id: str
    direction: Direction | None = None
    address: str | None = None
    started_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    cause: Cause | None = None
    by: By | None = None
    code: int | None = None
    reason: str | None = None
    codec: str | None = None
    quality: LegQuality | None = None


class Said(_Record, frozen=True):
    """One sentence we spoke, and how much of it reached the caller.

    Attributes:
        heard_ms, total_ms: how much of it left for the caller, and how long it is.
        heard_text: the beginning of `text` that fits `heard_ms`, by proportion, to a whole word. The store fills it.
        interrupted: the caller barged in during it.
        sensitive: it repeats a sensitive value; the text is masked.
    """

    text: str
    heard_ms: _Ms = 0
    total_ms: _Ms = 0
    interrupted: bool = False
    sensitive: bool = False
    heard_text: str = ""


class Latency(_Record, frozen=True):
    """Where the time went between the caller's last speech sample and our first. None: that part did not happen.

    Attributes:
        endpoint_ms: last voiced frame to the decision that the caller has finished.
        decode_ms: the final decode. understand_ms: text to meaning. engine_ms: meaning to actions.
        render_ms: actions to the first sentence as audio. playout_ms: audio ready to its first frame sent.
        total_ms: last voiced frame to first frame sent.
        speculative_hit: the decode that counted had been made before the end was decided.
    """

    endpoint_ms: _Ms | None = None
    decode_ms: _Ms | None = None
    understand_ms: _Ms | None = None
    engine_ms: _Ms | None = None
    render_ms: _Ms | None = None
    playout_ms: _Ms | None = None
    total_ms: _Ms | None = None
    speculative_hit: bool | None = None


class TurnRecord(_Record, frozen=True):
    """One exchange: what we said, what we heard, what we took it to mean. Writing an index again replaces it.

    Attributes:
        index: 0-based, in order. step: name of the plan's step.
        said: sentences in the order spoken, those never reached included (`heard_ms` 0).
        heard: the recogniser's best reading; None when nothing was recognised or a key answered.
        alternatives: other readings, best first. confidence: 0..1 of the best reading.
        engine: engine and model that decided.
        value, intent, answer, source: what it was understood as; `source` is the knowledge entry of `answer`.
        keys: DTMF keys pressed. rejected: why there is no usable answer.
        sensitive: heard, alternatives, value, answer and keys are masked.
        review: why a trainer should look at it: an open question that meant nothing, one that had to be asked about, an
            answer that took an earlier one back; None when there is no reason, or nothing that may be read.
        model: version of the model of intents that decided; None where the words of the examples did, or nothing.
    """

    index: _Ms
    step: str
    started_at: datetime | None = None
    language: str | None = None
    said: tuple[Said, ...] = ()
    heard: str | None = None
    alternatives: tuple[Alternative, ...] = ()
    confidence: _Share | None = None
    engine: str | None = None
    value: str | None = None
    intent: str | None = None
    answer: str | None = None
    source: str | None = None
    keys: str | None = None
    rejected: Rejected | None = None
    sensitive: bool = False
    latency: Latency = Latency()
    review: Review | None = None
    model: str | None = None


class CallEnd(_Record, frozen=True):
    """How a call ended. The first end that is written counts.

    Attributes:
        cause: why. by: who. reason: in words, no digits or transcript.
        outcome: what the plan says was achieved, empty when it does not say.
        recording: file name inside the recordings folder, empty for none.
    """

    ended_at: datetime
    cause: Cause
    by: By
    reason: str = ""
    outcome: str = ""
    recording: str = ""


class CallRecord(_Record, frozen=True):
    """A call's data record (CDR). What is None is not known yet.

    Attributes:
        answered_at: when its first leg was answered. duration_ms: from `started_at` to `ended_at`.
        turns: how many turns it has. purged_at: when its words and its recording were removed.
    """

    id: str
    direction: Direction
    number: str
    caller: str
    language: str
    plan: str
    plan_version: str
    sip_call_id: str
    source: str
    trunk: str
    started_at: datetime
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    duration_ms: _Ms | None = None
    cause: Cause | None = None
    by: By | None = None
    reason: str | None = None
    outcome: str | None = None
    recording: str | None = None
    turns: _Ms = 0
    purged_at: datetime | None = None


class CallDetail(_Record, frozen=True):
    """A call with its legs and turns, in order."""

    call: CallRecord
    legs: tuple[LegRecord, ...]
    turns: tuple[TurnRecord, ...]


class InputRecord(_Record, frozen=True):
    """One thing that was given to a call's dialog: its place in the call, when, and what.

    `body` is as `dialog.journal` writes it: without words, digits and values where the step or the slot is sensitive.
    """

    index: _Ms
    at: datetime
    body: dict[str, Any]


class CallInputs(_Record, frozen=True):
    """Everything given to a call's dialog, in order."""

    call: str
    inputs: tuple[InputRecord, ...]


class PlanVersion(_Record, frozen=True):
    """A version of a dialplan that was in force. `at`: when it was last put in force."""

    name: str
    version: str
    at: datetime


class PlanCalls(_Record, frozen=True):
    """How many calls are running on a version of a plan."""

    plan: str
    version: str
    calls: int


class CallPage(_Record, frozen=True):
    """Calls, newest first. `next` is the cursor of the next page, None on the last one."""

    calls: tuple[CallRecord, ...]
    next: str | None = None


class CallFilter(_Record, frozen=True):
    """Which calls a page holds. `since` <= started_at < `until`; the others match exactly."""

    since: datetime | None = None
    until: datetime | None = None
    number: str | None = None
    caller: str | None = None
    cause: Cause | None = None
    language: str | None = None
    plan: str | None = None


class Purged(_Record, frozen=True):
    """What a purge removed. `recordings_left`: files that could not be deleted; their calls stay for the next purge."""

    calls: int = 0
    turns: int = 0
    inputs: int = 0
    recordings: int = 0
    recordings_left: int = 0


class StoreHealth(_Record, frozen=True):
    """How the database does.

    `queued`: records not yet written. Since the start: `lost`: records given up; `refused`: records and requests that
    the database does not take for what they hold, tried once and dropped.
    """

    backend: Literal["sqlite", "postgresql"]
    failing: bool
    failing_since: datetime | None
    queued: int
    lost: int
    refused: int = 0


def heard_part(text: str, heard_ms: int, total_ms: int) -> str:
    """The beginning of `text` that `heard_ms` of its `total_ms` hold, by proportion, cut back to a whole word.

    An ideograph or a Hangul block is spoken for about as long as three letters, and is a word of its own; other
    scripts are cut at white space.
    """
    if heard_ms <= 0 or not text:
        return ""
    if heard_ms >= total_ms:
        return text
    weights = [3 if _is_wide(c) else 1 for c in text]
    room, cut = sum(weights) * heard_ms / total_ms, 0
    for end, spoken in enumerate(accumulate(weights), 1):
        if spoken > room:
            break
        if end == len(text) or _is_boundary(text[end - 1]) or _is_boundary(text[end]):
            cut = end
    return text[:cut].rstrip()


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


def _is_boundary(character: str) -> bool:
    return character.isspace() or _is_wide(character)


def masked(turn: TurnRecord) -> TurnRecord:
    """`turn` without the words and digits that must not be kept, and with what was heard of each sentence filled in."""
    said = tuple(
        msgspec.structs.replace(
            s,
            text=MASK if s.sensitive else s.text,
            heard_text=MASK if s.sensitive and s.heard_ms else heard_part(s.text, s.heard_ms, s.total_ms),
        )
        for s in turn.said
    )
    if not turn.sensitive:
        return msgspec.structs.replace(turn, said=said)
    return msgspec.structs.replace(
        turn,
        said=said,
        heard=MASK if turn.heard else turn.heard,
        alternatives=(),
        value=MASK if turn.value else turn.value,
        answer=MASK if turn.answer else turn.answer,
        keys=MASK if turn.keys else turn.keys,
        review=None,
    )

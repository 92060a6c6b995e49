"""The words between the engine and whoever conducts a call: where a call is, what came in, what to do now.

Frozen and free of I/O. The list of inputs of a call is its log; it replays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ivr.turn import Evidence, Expectation, Filled, Understood, Wish

KEY_TIMEOUT_MS = 2_000
"""Wait after a key for the next (VoiceXML's interdigittimeout; platforms use 1 to 3 s)."""


AnsweredBy = Literal["human", "machine", "screening", "caller"]


# Inputs -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Started:
    """The call is answered.

    Attributes:
        answered_by: who answered a call of ours; `screening` is an assistant that asks who calls,
            `caller` is somebody who rang us.
        given: what the order of the call says, name -> text; what the plan declares under `given` fills its slots.
        zone: IANA name of the time zone of whoever was rung; empty: the plan's.
        proofs: names of what the session can have proven.
    """

    answered_by: AnsweredBy = "human"
    given: Mapping[str, str] = field(default_factory=dict)
    zone: str = ""
    proofs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Heard:
    """The caller said something while a step listened."""

    understood: Understood


@dataclass(frozen=True)
class Silence:
    """The caller said nothing for as long as the step waits."""


@dataclass(frozen=True)
class Key:
    """A key was pressed: 0-9, *, #, A-D."""

    digit: str


@dataclass(frozen=True)
class KeysEnded:
    """No key for KEY_TIMEOUT_MS after one."""


@dataclass(frozen=True)
class Connected:
    """How a Connect ended: `connected` (and over now), `busy`, `no_answer`, `failed`."""

    outcome: str


@dataclass(frozen=True)
class Fetched:
    """What a back end answered. `outcome`: `ok`, `status` (another one than 200-299), `timeout`, `failed`, ...

    `data` is the JSON of an `ok` answer. Its size is bounded by whoever fetched it.
    """

    outcome: str
    status: int = 0
    data: object = None


@dataclass(frozen=True)
class Recorded:
    """A message was taken; `name` is empty when the caller said nothing."""

    name: str
    duration_ms: int = 0


@dataclass(frozen=True)
class Compared:
    """What keys that were pressed as a proof are worth."""

    evidence: Evidence


Input = Started | Heard | Silence | Key | KeysEnded | Connected | Fetched | Recorded | Compared


# Actions ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Speak:
    """Say `text`, what is in braces properly.

    `asks`: it asks for an answer, so nothing said during it is dropped for being short. `sensitive`: it holds what
    must not be written down.
    """

    text: str
    language: str
    barge_in: str = "speech"
    protected_ms: int = 0
    asks: bool = False
    slow: bool = False
    sensitive: bool = False


@dataclass(frozen=True)
class Listen:
    """Wait for speech, keys or silence."""

    expectation: Expectation
    no_input_ms: int = 0


@dataclass(frozen=True)
class WaitKeys:
    """Go on waiting for keys only, KEY_TIMEOUT_MS at most, then KeysEnded."""


@dataclass(frozen=True)
class Connect:
    """Transfer the caller to the first of `targets` to answer; answered by Connected unless the call leaves us."""

    targets: tuple[str, ...]
    mode: str
    timeout_s: int


@dataclass(frozen=True)
class Fetch:
    """Ask a back end, answered by Fetched. `filler` is said when that takes longer than `filler_after_ms`."""

    backend: str
    method: str
    path: str
    query: Mapping[str, str]
    body: Mapping[str, str]
    timeout_s: float
    retries: int
    filler: Speak | None = None
    filler_after_ms: int = 700


@dataclass(frozen=True)
class Tell:
    """Send an event to a back end; nothing waits for it."""

    backend: str
    path: str
    event: str
    data: Mapping[str, str]


@dataclass(frozen=True)
class TakeMessage:
    """Record what the caller says, answered by Recorded."""

    max_s: int
    silence_ms: int
    language: str


@dataclass(frozen=True)
class Compare:
    """Weigh `value`, which was keyed, as a proof; answered by Compared. `value` is not to be written down."""

    proof: str
    value: str = field(repr=False)


@dataclass(frozen=True)
class Conclude:
    """All that the call has come to so far for the job behind it, told as soon as something of it is new.

    Attributes:
        disposition: one of `plan.DISPOSITIONS`. The first stands, whatever happens later in the call.
        again_at: when they want to be rung again, ISO 8601 with its offset.
        suppress: why they are not to be rung any more.
    """

    disposition: str = ""
    again_at: str = ""
    suppress: str = ""


@dataclass(frozen=True)
class End:
    """Say what is queued, then hang up. `outcome` is for the record; the rest is all that was concluded."""

    outcome: str
    disposition: str = ""
    again_at: str = ""
    suppress: str = ""


Action = Speak | Listen | WaitKeys | Connect | Fetch | Tell | TakeMessage | Compare | Conclude | End


@dataclass(frozen=True)
class Passage:
    """One step left for another. `way` is the key of the plan that led there (see `plan.ways`).

    It is empty for what no step's key says: the start, universal commands, links from anywhere, a form asking on.
    """

    step: str
    way: str
    to: str


@dataclass(frozen=True)
class State:
    """Where a call is.

    Attributes:
        language: the language spoken now; `dialled`: the number the caller rang.
        zone: the time zone of whoever was rung; empty: the plan's.
        step: the step that waits; `slot`: the slot a form asks for there, empty while it asks openly.
        keys: keys pressed so far of an answer that is not complete.
        hash_due: the last answer by keys ended by its length, so that a `#` right behind it belongs to it.
        no_inputs, no_matches: events of the present question, counted apart (VoiceXML 2.0, section 5.2.2).
        digressions: other questions answered while the present one waits.
        unfinished: the words of a date that was asked for and lacked its year, or its day; the rest may follow.
        slots: what is known.
        question: the last answer to an open question, for an `answer` step.
        later: what they asked for in the same breath as something else, done when the next open question is reached.
        between: the two things of which the present question asks which they meant.
        said: what was said since the caller last said something, for "repeat".
        slow: the caller asked to speak more slowly.
        returns: `call` steps whose plans have not returned yet, outermost first.
        trail: (step, slot, returns) of the questions answered, for "back".
        path: how the last input that was taken moved through the plan.
        idle: questions asked since anything new was learnt or told; many are a loop.
        outcome, status: of the last lookup or transfer.
        faults: steps that failed.
        proofs: names of what can be proven in this call; `evidence`: every answer that was weighed for one.
        proven: the answers were likely enough.
        concluded: what the call has come to so far.
    """

    language: str
    dialled: str = ""
    zone: str = ""
    step: str = ""
    slot: str = ""
    keys: str = ""
    hash_due: bool = False
    no_inputs: int = 0
    no_matches: int = 0
    digressions: int = 0
    unfinished: str = ""
    slots: Mapping[str, Filled] = field(default_factory=dict)
    question: Understood | None = None
    later: tuple[Wish, ...] = ()
    between: tuple[Wish, ...] = ()
    said: tuple[Speak, ...] = ()
    slow: bool = False
    returns: tuple[str, ...] = ()
    trail: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    path: tuple[Passage, ...] = ()
    idle: int = 0
    outcome: str = ""
    status: int = 0
    faults: int = 0
    proofs: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    proven: bool = False
    concluded: Conclude = Conclude()
    ended: bool = False

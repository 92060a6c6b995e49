"""What a dialplan is: immutable steps, events, calendars and their words. `plan_file` reads them, `engine` walks them.

Everything that a file leaves out has been filled in here (event handlers are inherited: a step's own over its plan's
over the built-in ones; VoiceXML 2.0, section 5.2.4), so that the engine decides nothing about defaults.
Knows nothing of YAML, calls, audio or engines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ivr.dialog.calendar import Calendar
from ivr.dialog.expressions import Expression
from ivr.errors import Problem
from ivr.turn import Filled
from ivr.understanding.knowledge import Knowledge
from ivr.understanding.slots import Slot
from ivr.understanding.understand import Vocabulary

Prompt = Mapping[str, str]
"""Language -> words. Braces hold values spoken properly: `{card}` a slot by its kind, `{digits:8620}` a given value."""

COMMANDS = ("repeat", "slower", "help", "back", "cancel", "operator", "language")
"""The universal commands (VoiceXML 2.0, section 6.3.6, has help, exit and cancel; ETSI ES 202 076 the rest)."""

BARGE_INS = ("speech", "hotword", "key", "none")
"""What interrupts a prompt: any speech; only words that mean something there (VoiceXML 2.0, 4.1.5.1); keys; nothing."""

NAMED = re.compile(r"\{([a-z][a-z0-9_]{0,63})\}")
"""A slot or a fact in braces; a value given in the text has a colon."""

FACTS = ("language", "dialled", "today", "now", "outcome", "status")
"""What expressions and prompts may read besides slots: the call's language, number and date, the last outcome."""

PROOFS = ("birth_date", "id_last4")
"""What a customer may be asked to prove: the date of birth, the last four characters of an identity number."""

DISPOSITIONS = ("confirmed", "denied", "not_verified", "wrong_person", "declined", "completed", "machine",
                "rings_back")  # fmt: skip
"""What a call of ours can come to by what the plan heard; the rest (busy, no answer, ...) is not for plans to say."""

END = "end"
"""The step every plan has without writing it: goodbye and hang up."""


@dataclass(frozen=True)
class At:
    """Where a step stands: file and line, for coverage, replay and errors."""

    file: str = ""
    line: int = 0


@dataclass(frozen=True)
class Events:
    """What happens around a question when the caller does not simply answer it.

    `no_input` and `no_match` are the prompts of the first, second, ... time (the last is repeated; empty: the question
    again); each is counted by itself, and after `tries` of either the call goes to `give_up`. `commands` are the
    universal commands in force; `digress`: a question that the knowledge base answers is answered, then asked again.
    `operator` and `cancel` are where those commands lead: the plan's, or those of the called plan the step stands in.
    """

    no_input: tuple[Prompt, ...] = ()
    no_match: tuple[Prompt, ...] = ()
    help: Prompt = field(default_factory=dict)
    tries: int = 3
    give_up: str = END
    no_input_ms: int = 0
    commands: tuple[str, ...] = COMMANDS
    digress: bool = True
    operator: str = END
    cancel: str = END


@dataclass(frozen=True)
class Say:
    """Speak, then go on. `barge_in`: what may interrupt it; `protected_ms`: nothing may for so long."""

    name: str
    prompt: Prompt
    next: str
    barge_in: str = "speech"
    protected_ms: int = 0
    at: At = At()


@dataclass(frozen=True)
class Ask:
    """Ask one question: `open` for intents, `yes_no`, or the value of `slot`. The answer chooses the way in `on`.

    `fills`: slots that an open answer may fill on its way ("the branch near the Bird's Nest"). An intent that is in
    neither `on` nor the plan's `anywhere` goes to `next`, as anything else that was said does.
    """

    name: str
    prompt: Prompt
    expect: str
    next: str
    events: Events
    on: Mapping[str, str] = field(default_factory=dict)
    slot: str = ""
    fills: tuple[str, ...] = ()
    barge_in: str = "speech"
    protected_ms: int = 0
    at: At = At()


@dataclass(frozen=True)
class Choice:
    """One entry of a menu: ways to say it per language, its key, where it leads."""

    value: str
    phrases: Mapping[str, tuple[str, ...]]
    next: str
    key: str = ""


@dataclass(frozen=True)
class Menu:
    """Offer choices, to be said or keyed."""

    name: str
    prompt: Prompt
    choices: tuple[Choice, ...]
    events: Events
    barge_in: str = "speech"
    protected_ms: int = 0
    at: At = At()


@dataclass(frozen=True)
class Field:
    """One slot of a form. `check` must hold for a value to be kept, else `invalid` is said and it is asked again."""

    slot: str
    prompt: Prompt
    events: Events
    check: Expression | None = None
    invalid: Prompt = field(default_factory=dict)


@dataclass(frozen=True)
class Form:
    """Fill slots, asking for the first one missing; one utterance may fill several (VoiceXML 2.0, section 2.1.6).

    `prompt`, when there is one, opens the form while nothing is filled and lets the caller say everything at once.
    """

    name: str
    prompt: Prompt
    fields: tuple[Field, ...]
    next: str
    events: Events
    barge_in: str = "speech"
    protected_ms: int = 0
    at: At = At()


@dataclass(frozen=True)
class Confirm:
    """Have slots confirmed, unless each was heard with at least `above` (0..1; over 1: always asked).

    "No, Dongdan" replaces the value and asks again; a plain no empties the slots and goes to `no`.
    """

    name: str
    prompt: Prompt
    slots: tuple[str, ...]
    yes: str
    no: str
    events: Events
    above: float = 2.0
    barge_in: str = "speech"
    protected_ms: int = 0
    at: At = At()


@dataclass(frozen=True)
class Proof:
    """One thing that a `prove` step may ask for; `again` is said instead of `prompt` when it is asked once more."""

    proof: str
    prompt: Prompt
    events: Events
    again: Prompt = field(default_factory=dict)


@dataclass(frozen=True)
class Prove:
    """Ask for what only the right person knows, until it is likely or unlikely enough that it is them.

    Answers are log-likelihood ratios in nats for the expected value; their sum is compared with `accept` and `reject`
    (Wald's sequential test), and the next answer is asked for only while it lies between. What the session cannot have
    proven is not asked for. After `answers`, or as many as the slot `answers_left` says, it has failed.
    """

    name: str
    fields: tuple[Proof, ...]
    proven: str
    failed: str
    events: Events
    accept: float
    reject: float
    answers: int = 3
    answers_left: str = ""
    barge_in: str = "speech"
    protected_ms: int = 0
    at: At = At()


@dataclass(frozen=True)
class Lookup:
    """Ask a back end over HTTP and keep what it says.

    `path` and `query` may hold `{slot}`; `save` maps slots to places in the JSON answer (`branch.name`, `rows.0.id`).
    `on` maps a status ("404") or an outcome (`timeout`, `failed`) to a step, everything else that is not 200-299 goes
    to `on_error`. `filler` is said when the answer takes longer than `filler_after_ms`.
    """

    name: str
    backend: str
    path: str
    next: str
    on_error: str
    method: str = "GET"
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, str] = field(default_factory=dict)
    save: Mapping[str, str] = field(default_factory=dict)
    on: Mapping[str, str] = field(default_factory=dict)
    filler: Prompt = field(default_factory=dict)
    filler_after_ms: int = 700
    timeout_s: float = 3.0
    retries: int = 1
    at: At = At()


@dataclass(frozen=True)
class Answer:
    """Say what the knowledge base answers to the last open question; `unknown` is next when it has nothing."""

    name: str
    next: str
    unknown: str
    at: At = At()


@dataclass(frozen=True)
class Set:
    """Give slots values; later ones see earlier ones. `None` empties a slot."""

    name: str
    values: Mapping[str, Expression | None]
    next: str
    on_error: str
    at: At = At()


@dataclass(frozen=True)
class Branch:
    """Go to the first step whose expression holds, else to `otherwise`."""

    name: str
    cases: tuple[tuple[Expression, str], ...]
    otherwise: str
    on_error: str
    at: At = At()


@dataclass(frozen=True)
class Hours:
    """Go on by opening hours: `open`, `closed`, or `holiday` (`closed` unless given)."""

    name: str
    calendar: str
    open: str
    closed: str
    holiday: str
    at: At = At()


@dataclass(frozen=True)
class Transfer:
    """Connect the caller to the first of `targets` to answer, each an agent, a number or a SIP URI.

    mode: `bridge` rings them all and connects (we stay in the call), `refer` hands the call over to one (RFC 3515).
    After a connected call the caller is hung up, or goes to `connected` when the other side has left.
    """

    name: str
    prompt: Prompt
    targets: tuple[str, ...]
    busy: str
    no_answer: str
    failed: str
    connected: str = ""
    mode: str = "bridge"
    timeout_s: int = 30
    at: At = At()


@dataclass(frozen=True)
class Record:
    """Record a message: until `silence_ms` without speech, `#`, or `max_s`. `slot` keeps the recording's name."""

    name: str
    prompt: Prompt
    slot: str
    next: str
    events: Events
    max_s: int = 60
    silence_ms: int = 3_000
    at: At = At()


@dataclass(frozen=True)
class Call:
    """Walk another plan, which stands in this one's steps under `NAME/`, from `entry`; its `return` goes to `next`."""

    name: str
    entry: str
    next: str
    at: At = At()


@dataclass(frozen=True)
class Return:
    """Go back to the plan that called this one; in a plan that nobody called, goodbye."""

    name: str
    at: At = At()


@dataclass(frozen=True)
class Goto:
    """Go on elsewhere; `forget` empties slots on the way."""

    name: str
    next: str
    forget: tuple[str, ...] = ()
    at: At = At()


@dataclass(frozen=True)
class Notify:
    """Tell a back end something by a signed webhook (Standard Webhooks) without waiting for it."""

    name: str
    backend: str
    path: str
    event: str
    body: Mapping[str, str]
    next: str
    at: At = At()


@dataclass(frozen=True)
class Settle:
    """Say what the call has come to for the job behind it, and go on; the first `disposition` of a call stands.

    `again_at`: slots that say when they want to be rung again: a date, a time, a duration. `suppress`: why they are not
    to be rung any more.
    """

    name: str
    next: str
    disposition: str = ""
    again_at: tuple[str, ...] = ()
    suppress: str = ""
    at: At = At()


@dataclass(frozen=True)
class Hangup:
    """Say goodbye and end the call. `outcome` is for the record."""

    name: str
    prompt: Prompt
    outcome: str = "completed"
    at: At = At()


Asking = Ask | Menu | Form | Confirm | Prove | Record
"""Steps that wait for the caller."""

Step = (
    Say | Ask | Menu | Form | Confirm | Prove | Lookup | Answer | Set | Branch | Hours | Transfer | Record | Call
    | Return | Goto | Notify | Settle | Hangup
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """A whole service with the plans it calls. `version` is a hash of its files; a call keeps the Plan it began with.

    `anywhere` maps intents to steps from every open question that does not name them itself; `operator` is where key
    0 and "a person" lead, `cancel` where "never mind" does, `on_error` where a step leads that failed. `verified` are
    slots that only back ends fill, and only for a caller who is who they say. `on_machine` and `on_screening` begin a
    call of ours that a machine or a screening assistant answers (empty: hang up; as a machine). `given`: slots that
    the order of such a call fills. `files` are the texts it was read from, by the names they have in one folder: enough
    to read it again.
    """

    name: str
    version: str
    languages: tuple[str, ...]
    start: str
    steps: Mapping[str, Step]
    vocabulary: Vocabulary
    operator: str = END
    cancel: str = END
    on_error: str = END
    verified: tuple[str, ...] = ()
    on_machine: str = ""
    on_screening: str = ""
    on_caller: str = ""
    given: tuple[str, ...] = ()
    anywhere: Mapping[str, str] = field(default_factory=dict)
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    goodbye: Prompt = field(default_factory=dict)
    failed: Prompt = field(default_factory=dict)
    zone: str = "UTC"
    file: str = ""
    files: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def starts(self) -> Mapping[str, str]:
        """Who answers -> the first step; empty: hang up."""
        screening, caller = self.on_screening or self.on_machine, self.on_caller or self.start
        return {"human": self.start, "machine": self.on_machine, "screening": screening, "caller": caller}

    @property
    def slots(self) -> Mapping[str, Slot]:
        return self.vocabulary.slots

    @property
    def knowledge(self) -> Knowledge:
        return self.vocabulary.knowledge

    def is_verified(self, slots: Mapping[str, Filled]) -> bool:
        """Whether a caller of whom this is known was verified; a `no` or false of a back end says they were not."""
        return any(name in slots and slots[name].value not in ("", "no") for name in self.verified)

    def prompts(self) -> Iterator[tuple[str, str]]:
        """Every (language, text) said as it stands, answers included; for making speech ahead of time."""
        for step in self.steps.values():
            for prompt in prompts_of(step):
                yield from ((language, text) for language, text in prompt.items() if not NAMED.search(text))
        yield from self.goodbye.items()
        yield from self.failed.items()
        for entry in self.knowledge.entries:
            yield from ((language, text) for language, text in entry.answer.items() if text)


def prompts_of(step: Step) -> Iterator[Prompt]:
    """Every prompt a step can say."""
    yield from (p for key in ("prompt", "filler") if (p := getattr(step, key, {})))
    for part in (step, *getattr(step, "fields", ())):
        if part is not step:
            yield from (p for key in ("prompt", "invalid", "again") if (p := getattr(part, key, {})))
        if (events := getattr(part, "events", None)) is not None:
            yield from (*events.no_input, *events.no_match, events.help)


def ways(step: Step) -> Iterator[tuple[str, str]]:
    """Every (what leads there, step) out of a step, for reachability, coverage and pictures.

    What leads there is the key of the file: `next`, `on.lost_card`, `choices.balance`, `give_up`, `busy`, ...
    """
    for key in ("next", "yes", "no", "proven", "unknown", "open", "closed", "holiday", "connected", "busy",
                "no_answer", "failed", "otherwise", "on_error"):  # fmt: skip
        if target := getattr(step, key, ""):
            yield key, target
    for value, target in getattr(step, "on", {}).items():
        yield f"on.{value}", target
    for choice in getattr(step, "choices", ()):
        yield f"choices.{choice.value}", choice.next
    for index, (_, target) in enumerate(getattr(step, "cases", ())):
        yield f"when.{index + 1}", target
    if isinstance(step, Call):
        yield "call", step.entry
    given_up = {part.events.give_up for part in (step, *getattr(step, "fields", ())) if hasattr(part, "events")}
    yield from (("give_up", target) for target in sorted(given_up))


@dataclass(frozen=True)
class Plans:
    """The plans of a folder, what is wrong with the others, and `notes`: what keeps no plan from serving."""

    by_name: Mapping[str, Plan]
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...] = ()

"""A recorded call on another version of its plan: its inputs given again, and where the two ways part.

What was heard is understood again, with the plan's own words under what it asks; lookups, transfers and messages answer
as they were recorded. Pure: the time of an input is the one recorded. Knows nothing of databases or files.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ivr.dialog import engine, journal
from ivr.dialog.plan import Lookup, Plan
from ivr.dialog.state import (
    Action,
    Compared,
    Connect,
    Connected,
    End,
    Fetch,
    Fetched,
    Heard,
    Input,
    Key,
    KeysEnded,
    Listen,
    Recorded,
    Speak,
    Started,
    State,
    TakeMessage,
    WaitKeys,
)
from ivr.store.records import MASK, InputRecord, TurnRecord
from ivr.turn import FROM_BASE, Evidence, Expectation, Understood
from ivr.understanding.understand import understand

KINDS = ("path", "prompt", "slot", "lookup", "transfer", "outcome")
"""What may differ between two traces of a call."""


@dataclass(frozen=True)
class Recording:
    """A recorded call: the language it began in, the number dialled, and everything its dialog was given."""

    call: str
    language: str
    dialled: str
    inputs: Sequence[InputRecord]


@dataclass(frozen=True)
class Stop:
    """One input and what it led to.

    Attributes:
        given: the input in words fit to be printed; `****` stands for what is not known any more.
        path: the steps entered because of it; step: the one that waits now; slot: what a form asks for there.
        said: the prompts, slots: values by name; what is sensitive is `****`.
        asked: what a lookup asks, as `BACKEND PATH QUERY`; targets: whom a transfer rings.
    """

    given: str
    path: tuple[str, ...] = ()
    step: str = ""
    slot: str = ""
    said: tuple[str, ...] = ()
    slots: Mapping[str, str] = field(default_factory=dict)
    asked: str = ""
    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trace:
    """A call's way through a plan.

    Attributes:
        outcome: of the plan's end; empty when the call ended before the plan did.
        stuck: why the recording could not be followed further; empty when it ended where somebody was listened to.
        over: nothing that was recorded was left by then, so that it ended there too.
        strayed: the first place where the call had been elsewhere when it was recorded; empty when there is none.
    """

    stops: tuple[Stop, ...]
    outcome: str = ""
    stuck: str = ""
    over: bool = True
    strayed: str = ""

    @property
    def path(self) -> tuple[str, ...]:
        """Every step entered, in order."""
        return tuple(name for stop in self.stops for name in stop.path)


@dataclass(frozen=True)
class Difference:
    """Where two traces of a call part.

    Attributes:
        kinds: of KINDS, all that differ up to there and in how the call ended.
        index: of the first stop that differs.
        given: the input there.
        before, after: what differs there first, in words: a step, a prompt, a value, a target, an outcome.
    """

    kinds: tuple[str, ...]
    index: int
    given: str
    before: str
    after: str


def replay(plan: Plan, recording: Recording) -> Trace:
    """The way of a recorded call through `plan`. Raises `journal.BadRecord`."""
    return _Replay(plan, recording).run()


def as_recorded(recording: Recording, turns: Sequence[TurnRecord], outcome: str) -> Trace:
    """A call's way as its records tell it, where the plan it ran on is not at hand: the steps that waited, the end."""
    given = [(r, journal.from_record(r.body)) for r in recording.inputs if not r.body.get("ignored")]
    last = {"step": turns[-1].step if turns else "", "slot": ""}
    places = [*(r.body for r, _ in given[1:]), last]
    stops = (
        _outline(Stop(_worded(*g), step=str(p.get("step")), slot=str(p.get("slot"))))
        for g, p in zip(given, places, strict=False)
    )
    return Trace(tuple(stops), outcome)


def as_records_would(trace: Trace) -> Trace:
    """`trace` with as little as `as_recorded` knows."""
    stops = [_outline(stop) for stop in trace.stops]
    if stops:
        stops[-1] = replace(stops[-1], slot="")
    return replace(trace, stops=tuple(stops))


def _outline(stop: Stop) -> Stop:
    return Stop(stop.given, (stop.step,), stop.step, stop.slot)


def new_words(trace: Trace, turns: Sequence[TurnRecord]) -> Difference | None:
    """The first prompt of `trace` that the recorded call never said; those that speak values are not compared."""
    recorded = _letters("".join(said.text for turn in turns for said in turn.said))
    for index, stop in enumerate(trace.stops):
        for text in stop.said:
            if "{" not in text and text != MASK and _letters(text) not in recorded:
                return Difference(("prompt",), index, stop.given, "(not said)", text)
    return None


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


def difference(before: Trace, after: Trace) -> Difference | None:
    """The first difference of two traces of one call, and the kinds of all; None when there is none.

    After two paths have parted only how the calls ended is compared.
    """
    found: list[tuple[str, int, str, str]] = []
    for index in range(max(len(before.stops), len(after.stops))):
        one, two = (t.stops[index] if index < len(t.stops) else Stop("") for t in (before, after))
        found += [(kind, index, old, new) for kind, old, new in _differing(one, two)]
        if found and found[-1][0] == "path":
            break
    last = max(0, min(len(before.stops), len(after.stops)) - 1)
    ends = (("transfer", *map(_targets, (before, after))), ("outcome", *map(_ending, (before, after))))
    found += [(kind, last, old, new) for kind, old, new in ends if old != new and kind not in {f[0] for f in found}]
    if not found:
        return None
    _, index, old, new = found[0]
    longer = before if index < len(before.stops) else after
    kinds = {kind for kind, *_ in found}
    return Difference(tuple(k for k in KINDS if k in kinds), index, longer.stops[index].given, old, new)


def _differing(one: Stop, two: Stop) -> Iterator[tuple[str, str, str]]:
    """(kind, before, after) of everything that differs at one stop, the path last."""
    if one.path == two.path:
        for old, new in zip((*one.said, *[""] * len(two.said)), (*two.said, *[""] * len(one.said)), strict=False):
            if old != new:
                yield "prompt", old, new
                break
        if one.asked != two.asked:
            yield "lookup", one.asked, two.asked
        if one.targets != two.targets:
            yield "transfer", " ".join(one.targets), " ".join(two.targets)
    for name in sorted({*one.slots, *two.slots}):
        if one.slots.get(name) != two.slots.get(name):
            old, new = (f"{name} = {s.slots[name]}" if name in s.slots else f"{name} empty" for s in (one, two))
            yield "slot", old, new
            break
    if (one.path, one.slot) != (two.path, two.slot):
        pairs = zip((*one.path, "", ""), (*two.path, "", ""), strict=False)
        old, new = next(((a, b) for a, b in pairs if a != b), (one.slot, two.slot))
        yield "path", old or "(nothing)", new or "(nothing)"


def _targets(trace: Trace) -> str:
    return " ".join(t for stop in trace.stops for t in stop.targets) or "(nobody)"


def _ending(trace: Trace) -> str:
    return trace.outcome or "(the caller hung up)"


class _Replay:
    """One run. What a caller gave waits in order; answers of back ends and transfers are taken when asked for."""

    def __init__(self, plan: Plan, recording: Recording) -> None:
        self._plan, self._recording = plan, recording
        self._state = State(recording.language, recording.dialled)
        given = [(r, journal.from_record(r.body)) for r in recording.inputs if not r.body.get("ignored")]
        answers = (Fetched, Connected, Recorded)
        self._caller = deque(g for g in given if not isinstance(g[1], answers))
        self._fetched = [g for g in given if isinstance(g[1], Fetched)]
        self._connected = deque(g for g in given if isinstance(g[1], Connected))
        self._messages = deque(g for g in given if isinstance(g[1], Recorded))
        self._waits: Action | None = None
        self._expected: Expectation | None = None
        self._strayed = ""

    def run(self) -> Trace:
        stops: list[Stop] = []
        outcome = stuck = ""
        while not self._state.ended and not stuck:
            found = self._next()
            if not isinstance(found, tuple):
                stuck = found
                break
            record, given = found
            self._compare(record, len(stops))
            meant = self._meant(record, given)
            if meant is None:
                stuck = f"a masked answer at `{self._state.step}`, which asks for nothing sensitive"
                break
            stop, ended = self._give(meant, record.at, _worded(record, given))
            stops.append(stop)
            outcome = ended or outcome
        over = not (self._caller or self._fetched or self._connected or self._messages)
        return Trace(tuple(stops), outcome, stuck, over, self._strayed)

    def _next(self) -> tuple[InputRecord, Input] | str:
        """What comes next for what the plan waits for; else why nothing does, empty when the recording is over."""
        match self._waits:
            case Fetch():
                return self._answer()
            case Connect(targets=targets):
                return (
                    self._connected.popleft() if self._connected else f"transfer to {', '.join(targets)} not recorded"
                )
            case TakeMessage() if self._messages:
                return self._messages.popleft()
        if not self._caller:
            return ""
        if (self._waits is None) != isinstance(self._caller[0][1], Started):
            return "the recording does not begin with the call"
        return self._caller.popleft()

    def _answer(self) -> tuple[InputRecord, Input] | str:
        """The recorded answer to the present lookup: to the same question, else the same path, else the next one."""
        here = self._plan.steps[self._state.step]
        if not isinstance(here, Lookup):
            return "a lookup without its step"
        wanted = journal.request(self._plan, self._state, here, self._recording.inputs[-1].at)

        def nearness(found: tuple[InputRecord, Input]) -> int:
            asked = found[0].body.get("request") or {}
            backend = asked.get("backend") == wanted["backend"]
            return backend * (1 + (asked.get("path") == wanted["path"]) * (1 + (asked == wanted)))

        best = max(self._fetched, key=nearness, default=None)
        if best is None or not nearness(best):
            return f"lookup of {wanted['backend']} {wanted['path']} not recorded"
        self._fetched.remove(best)
        if best[0].body.get("cut"):
            return f"answer of {wanted['backend']} {wanted['path']} was too large to be recorded"
        return best

    def _compare(self, record: InputRecord, index: int) -> None:
        """Note the first input that the recorded call was given elsewhere."""
        was, now = ((s["step"], s["slot"]) for s in ({"step": "", "slot": ""} | dict(record.body), vars(self._state)))
        if was != now and not self._strayed:
            self._strayed = f"at input {index + 1} the call was at `{'.'.join(filter(None, was))}`"
            self._strayed += f", its replay is at `{'.'.join(filter(None, now))}`"

    def _meant(self, record: InputRecord, given: Input) -> Input | None:
        """What `given` means to this plan; None when that cannot be told."""
        masked = record.body.get("masked", False)
        if masked and not journal.is_secret(self._plan, self._state, given, record.at):
            return None
        match given:
            case KeysEnded() if masked and (keys := record.body.get("keys")):
                self._state = replace(self._state, keys=str(keys))
            case Heard(understood=said) if masked:
                return Heard(self._still_fitting(said))
            case Heard(understood=said) if self._expected is not None:
                return Heard(
                    _answered_as_before(understand(self._plan.vocabulary, self._expected, said.hypothesis), said)
                )
        return given

    def _still_fitting(self, said: Understood) -> Understood:
        """A masked answer, which is none when this plan asks for more or fewer digits."""
        for name, filled in said.slots.items():
            slot = self._plan.slots.get(name)
            if slot is not None and slot.kind in ("digits", "code"):
                length = len(filled.value)
                if length < slot.min or (slot.max and length > slot.max):
                    return Understood(said.hypothesis)
        return said

    def _give(self, given: Input, at: datetime, words: str) -> tuple[Stop, str]:
        """Give the engine one input; what came of it, and the outcome when the plan has ended."""
        before = self._state
        self._state, actions = engine.step(self._plan, before, given, at)
        moved = bool(actions) and not isinstance(actions[-1], WaitKeys)
        path = tuple(passage.to for passage in self._state.path) if moved else ()
        if actions:
            self._waits = actions[-1]
        asked, targets, outcome = "", (), ""
        for action in actions:
            match action:
                case Listen(expectation=expectation):
                    self._expected = expectation
                case Fetch():
                    asked = self._asked(at)
                case Connect():
                    targets = action.targets
                case End():
                    outcome = action.outcome
        said = tuple(MASK if a.sensitive else a.text for a in actions if isinstance(a, Speak))
        stop = Stop(words, path, self._state.step, self._state.slot, said, self._slots(), asked, targets)
        return stop, outcome

    def _asked(self, at: datetime) -> str:
        here = self._plan.steps[self._state.step]
        wanted = journal.request(self._plan, self._state, here, at) if isinstance(here, Lookup) else {}
        query = "&".join(f"{k}={v}" for k, v in wanted.get("query", {}).items())
        return " ".join(filter(None, (wanted.get("backend"), wanted.get("path"), query)))

    def _slots(self) -> dict[str, str]:
        known = self._plan.slots
        return {
            name: MASK if name in known and known[name].sensitive else filled.value
            for name, filled in self._state.slots.items()
        }


def _answered_as_before(again: Understood, said: Understood) -> Understood:
    """The base of answers is not asked again: what it said then stands, where the plan's own file says nothing."""
    if not said.source.startswith(FROM_BASE) or not again.unanswered:
        return again
    return replace(again, answer=said.answer, source=said.source, confidence=said.confidence)


def _worded(record: InputRecord, given: Input) -> str:
    masked = record.body.get("masked", False)
    match given:
        case Heard(understood=Understood(evidence=Evidence() as evidence)):
            return f"heard {MASK}, weighed {evidence.score:+.1f}"
        case Heard(understood=said):
            return f"heard {said.hypothesis.text or '(nothing)'}"
        case Key(digit=digit):
            return f"key {MASK if masked else digit}"
        case Fetched(outcome=outcome, status=status):
            return f"answered {outcome} {status}" if status else f"answered {outcome}"
        case Connected(outcome=outcome):
            return f"transfer {outcome}"
        case Recorded(name=name):
            return "message left" if name else "no message left"
        case KeysEnded():
            return "no more keys"
        case Compared(evidence):
            return f"keys weighed {evidence.score:+.1f}"
        case Started(answered_by=who):
            return "call answered" if who in ("human", "caller") else f"call answered by a {who}"
    return "silence"

"""What happens next: `step(plan, state, input, now) -> (state, actions)`. Pure, synchronous, without clocks or I/O.

Every list of actions ends in one that something will answer: Listen, WaitKeys, Connect, Fetch, TakeMessage, Compare,
or End;
nothing ends in silence. Questions and their answers are in `questions` and `replies`; this walks from step to step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from ivr.dialog import calendar, fill, questions, replies
from ivr.dialog.expressions import ExpressionFault
from ivr.dialog.plan import (
    END,
    Answer,
    Ask,
    Asking,
    Branch,
    Call,
    Confirm,
    Form,
    Goto,
    Hangup,
    Hours,
    Lookup,
    Menu,
    Notify,
    Plan,
    Prompt,
    Prove,
    Record,
    Return,
    Say,
    Set,
    Settle,
    Transfer,
)
from ivr.dialog.replies import Reply
from ivr.dialog.state import (
    Action,
    Compare,
    Compared,
    Conclude,
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
    Passage,
    Recorded,
    Silence,
    Speak,
    Started,
    State,
    TakeMessage,
    Tell,
    WaitKeys,
)
from ivr.turn import Filled, Hypothesis, Understood

MAX_STEPS_AT_ONCE = 100
"""Steps walked without an input; more is a plan that goes round in circles."""
MAX_IDLE = 10
"""Questions asked in a row without anything new learnt or told: a loop, out of which a person helps."""
MAX_FAULTS = 5
"""Steps of a call that may fail; then it ends with an apology."""
MAX_OPENINGS = 2
"""Times that a form asks for everything at once; then it asks field by field."""

Out = tuple[State, tuple[Action, ...]]


def step(plan: Plan, state: State, given: Input, now: datetime) -> Out:
    """The state after `given` and what to do now, `now` being the time with its zone.

    Inputs that the present step does not wait for change nothing.
    """
    if state.ended:
        return state, ()
    if isinstance(given, Started):
        return _begun(plan, state, given, now)
    here = plan.steps.get(state.step)
    match here, given:
        case Transfer(), Connected(outcome=outcome):
            return _connected(plan, state, here, outcome, now)
        case Lookup(), Fetched():
            return _fetched(plan, state, here, given, now)
    if not isinstance(here, Asking):
        return state, ()
    reply = _reply(plan, state, here, given, now)
    if reply is None:
        return state, ()
    out = _act(plan, here, reply, now)
    if isinstance(given, Heard) and reply.elsewhere and (out[0].step, out[0].slot) == (state.step, state.slot):
        # It leads back to the very question that is asked, so it is no answer to it.
        return step(plan, state, Heard(replace(given.understood, intent="")), now)
    return out


def _begun(plan: Plan, state: State, given: Started, now: datetime) -> Out:
    """The first step for whoever answered; a machine that the plan has nothing to say to is hung up on."""
    values = {name: fill.canonical(plan.slots[name], given.given.get(name)) for name in plan.given}
    slots = {name: Filled(value) for name, value in values.items() if value}
    walk = _Walk(plan, replace(state, slots=slots, zone=given.zone, proofs=given.proofs), now)
    if first := plan.starts[given.answered_by]:
        return walk.to(first)
    walk.conclude(Conclude("machine"))
    return walk.end("machine")


def _reply(plan: Plan, state: State, here: Asking, given: Input, now: datetime) -> Reply | None:
    today = fill.facts(plan, state, now)["today"]
    if isinstance(given, Key) and isinstance(here, Form) and not state.slot:
        first = questions.due(here, state)
        state = replace(state, slot=first.slot if first else "")
    question = questions.of(plan, here, state, today)
    if isinstance(given, (Silence, Heard)):
        state = replace(state, hash_due=False)
    match given:
        case Silence():
            return replies.silence(state, question)
        case Heard(understood):
            return replies.heard(plan, replace(state, keys=""), here, question, understood, now)
        case Key(digit):
            return replies.key(plan, state, here, question, digit, now)
        case KeysEnded() if state.keys:
            return replies.keyed(plan, state, here, question, now)
        case Compared(evidence) if isinstance(here, Prove):
            return replies.weighed(state, here, evidence)
        case Recorded(name=name) if isinstance(here, Record):
            return replies.recorded(state, here, name) if name else replies.silence(state, question)
    return None


def _act(plan: Plan, here: Asking, reply: Reply, now: datetime) -> Out:
    state = replace(reply.state, idle=0) if reply.learnt else reply.state
    if reply.wait_keys:
        return state, (WaitKeys(),)
    if reply.compare:
        return state, (Compare(state.slot, reply.compare),)
    walk = _Walk(plan, state, now)
    for text in reply.say:
        walk.say({state.language: text})
    if reply.next:
        same = reply.next == state.step and isinstance(here, (Form, Confirm))
        return walk.to(reply.next, reply.way, keep_counts=same and not reply.learnt)
    if reply.same:
        return walk.again(here)
    if isinstance(here, Form) and not state.slot and state.no_inputs + state.no_matches >= MAX_OPENINGS:
        return walk.field_by_field(here)
    return walk.ask(here, reply.ask)


def _connected(plan: Plan, state: State, here: Transfer, outcome: str, now: datetime) -> Out:
    state = replace(state, outcome=outcome)
    if outcome == "connected" and not here.connected:
        return _Walk(plan, state, now).end("transferred")
    ways = {"connected": here.connected, "busy": here.busy, "no_answer": here.no_answer, "failed": here.failed}
    way = outcome if outcome in ways else "failed"
    return _Walk(plan, state, now).to(ways[way], way)


def _fetched(plan: Plan, state: State, here: Lookup, given: Fetched, now: datetime) -> Out:
    """Keep what was asked for and go on; an error's answer may fill slots, but empties none and verifies nobody."""
    places = {n: place for n, place in here.save.items() if given.outcome == "ok" or n not in plan.verified}
    found = {name: fill.saved(plan.slots[name], given.data, place) for name, place in places.items()}
    kept = dict(state.slots)
    for slot, filled in found.items():
        if filled is not None:
            kept[slot] = filled
        elif given.outcome == "ok":
            kept.pop(slot, None)
    learnt = given.outcome == "ok" and kept != state.slots
    idle = 0 if learnt else state.idle
    state = replace(state, slots=kept, outcome=given.outcome, status=given.status, idle=idle)
    walk = _Walk(plan, state, now)
    if given.outcome == "ok":
        return walk.to(here.next, "next")
    case = str(given.status) if given.outcome == "status" else given.outcome
    return walk.to(here.on[case], f"on.{case}") if case in here.on else walk.fault(here.on_error, "on_error")


class _Walk:
    """One walk from step to step until something has to be waited for; collects what to say and do on the way."""

    def __init__(self, plan: Plan, state: State, now: datetime) -> None:
        self.plan, self.state, self.now = plan, replace(state, path=()), now
        self.actions: list[Action] = []

    def to(self, name: str, way: str = "", keep_counts: bool = False) -> Out:
        """Enter step `name`, to which `way` led, and go on. `keep_counts`: it is the same question still."""
        for _ in range(MAX_STEPS_AT_ONCE):
            self._enter(name, way, keep_counts)
            keep_counts = False
            match here := self.plan.steps.get(name):
                case Form() | Confirm() | Prove():
                    way, name = self._skipped(here)
                    if not name:
                        return self._question(here)
                case Ask(expect="open") if self.state.later:
                    way, name = self._later(here)
                case Ask() | Menu() | Record():
                    return self._question(here)
                case Transfer() | Lookup() | Hangup():
                    return self._wait(here)
                case None:
                    break
                case _:
                    way, name = self._pass(here)
                    if not name:
                        break
        return self._apologise()

    def _enter(self, name: str, way: str, keep_counts: bool) -> None:
        """`name` is the present step. Whoever leaves a called plan, however, is no longer in that call."""
        before = self.state
        returns = before.returns
        while returns and _plan_of(self.plan.steps[returns[-1]].entry) != _plan_of(name):  # type: ignore[union-attr]
            returns = returns[:-1]
        path = (*before.path, Passage(before.step, way, name))
        self.state = replace(before, step=name, keys="", returns=returns, path=path)
        if not keep_counts:
            self.state = replace(self.state, slot="", no_inputs=0, no_matches=0, digressions=0, unfinished="",
                                 between=())  # fmt: skip

    def fault(self, name: str, way: str = "") -> Out:
        """A step failed: go on at `name`, unless too many have."""
        self.state = replace(self.state, faults=self.state.faults + 1)
        return self.to(name, way) if self.state.faults <= MAX_FAULTS else self._apologise()

    def ask(self, here: Asking, words: Prompt | None) -> Out:
        """Ask the present question (again), in `words` or its own."""
        if self._goes_round():
            return self._leave_loop()
        question = questions.of(self.plan, here, self.state, self._today)
        self.say(words or question.prompt, question.barge_in, question.protected_ms, asks=True)
        return self._listen(here)

    def again(self, here: Asking) -> Out:
        """Say again what was said, more slowly if that was asked for."""
        if self._goes_round() or not self.state.said:
            return self.ask(here, None)
        self.actions += [replace(s, slow=self.state.slow, protected_ms=0) for s in self.state.said]
        return self._listen(here)

    def field_by_field(self, here: Form) -> Out:
        """Ask for the first field alone: what asks for everything at once was not answered (VoiceXML 2.0, 2.3.3)."""
        if (first := questions.due(here, self.state)) is not None:
            self.state = replace(self.state, slot=first.slot, no_inputs=0, no_matches=0)
        return self.ask(here, None)

    def say(self, words: Prompt, barge_in: str = "speech", protected_ms: int = 0, asks: bool = False) -> None:
        """Add a prompt, unless it is empty."""
        text, sensitive = fill.prompt(self.plan, self.state, words, self.now)
        if text:
            speak = Speak(text, self.state.language, barge_in, protected_ms, asks, self.state.slow, sensitive)
            self.actions.append(speak)

    @property
    def _today(self) -> str:
        return fill.facts(self.plan, self.state, self.now)["today"]

    def _skipped(self, here: Form | Confirm | Prove) -> tuple[str, str]:
        """Way and step when there is nothing to ask; else both are empty and the field that is due is the present."""
        if isinstance(here, Prove):
            part = questions.next_proof(here, self.state)
            if part is None or replies.answers(here, self.state) < 1:
                return "failed", here.failed
            self.state = replace(self.state, slot=part.proof)
            return "", ""
        if isinstance(here, Confirm):
            filled = [self.state.slots.get(name) for name in here.slots]
            if any(f is None for f in filled):
                return "no", here.no
            sure = all(f.confidence >= here.above for f in filled if f is not None)
            return ("yes", here.yes) if sure else ("", "")
        due = questions.due(here, self.state)
        if due is None:
            return "next", here.next
        opening = here.prompt and not self.state.slot and not any(f.slot in self.state.slots for f in here.fields)
        if (slot := "" if opening else due.slot) != self.state.slot:
            self.state = replace(self.state, slot=slot, no_inputs=0, no_matches=0)
        return "", ""

    def _later(self, here: Ask) -> tuple[str, str]:
        """What was asked for along with something urgent, as if it were said now."""
        wish, *rest = self.state.later
        said = Understood(Hypothesis(""), intent=wish.intent, answer=wish.answer, source=wish.source, complete=True)
        self.state = replace(self.state, later=tuple(rest), question=said, idle=0)
        return replies.followed(self.plan, here, wish)

    def _question(self, here: Asking) -> Out:
        self.state = replace(self.state, idle=self.state.idle + 1)
        return self.ask(here, None)

    def _goes_round(self) -> bool:
        return self.state.idle > MAX_IDLE

    def _leave_loop(self) -> Out:
        self.actions = [a for a in self.actions if isinstance(a, Conclude)]
        self.state = replace(self.state, idle=0)
        return self.fault(self.plan.operator)

    def _listen(self, here: Asking) -> Out:
        self.state = replace(self.state, said=tuple(a for a in self.actions if isinstance(a, Speak)))
        if isinstance(here, Record):
            self.actions.append(TakeMessage(here.max_s, here.silence_ms, self.state.language))
        else:
            question = questions.of(self.plan, here, self.state, self._today)
            self.actions.append(Listen(question.expectation, question.events.no_input_ms))
        return self.state, tuple(self.actions)

    def _wait(self, here: Transfer | Lookup | Hangup) -> Out:
        self.state = replace(self.state, idle=self.state.idle + 1)
        if self._goes_round() and not isinstance(here, Hangup):
            return self._leave_loop()
        match here:
            case Transfer():
                self.say(here.prompt, "none")
                self.actions.append(Connect(here.targets, here.mode, here.timeout_s))
            case Hangup():
                self.say(here.prompt or self.plan.goodbye, "none")
                return self.end(here.outcome)
            case Lookup():
                self.actions.append(self._fetch(here))
        return self.state, tuple(self.actions)

    def _fetch(self, here: Lookup) -> Fetch:
        text, sensitive = fill.prompt(self.plan, self.state, here.filler, self.now)
        language, slow = self.state.language, self.state.slow
        return Fetch(
            here.backend,
            here.method,
            fill.path(self.plan, self.state, here.path, self.now),
            fill.values(self.plan, self.state, here.query, self.now),
            fill.values(self.plan, self.state, here.body, self.now),
            here.timeout_s,
            here.retries,
            Speak(text, language, "none", slow=slow, sensitive=sensitive) if text else None,
            here.filler_after_ms,
        )

    def _pass(self, here: object) -> tuple[str, str]:
        """Do what a step does that waits for nothing; way and step that follow, empty when there are none."""
        match here:
            case Say():
                self.say(here.prompt, here.barge_in, here.protected_ms)
                return "next", here.next
            case Answer():
                return self._answer(here)
            case Goto():
                self._forget(here.forget)
                return "next", here.next
            case Hours():
                state = self.plan.calendars[here.calendar].state(self.now)
                return state, {"open": here.open, "closed": here.closed, "holiday": here.holiday}[state]
            case Set() | Branch():
                return self._evaluate(here)
            case Notify():
                data = fill.values(self.plan, self.state, here.body, self.now)
                self.actions.append(
                    Tell(here.backend, fill.path(self.plan, self.state, here.path, self.now), here.event, data)
                )
                return "next", here.next
            case Settle():
                again_at = calendar.again_at(fill.local(self.plan, self.state, self.now), self._filled(here.again_at))
                self.conclude(Conclude(here.disposition, again_at, here.suppress))
                return "next", here.next
            case Call():
                self.state = replace(self.state, returns=(*self.state.returns, here.name))
                return "call", here.entry
            case Return() if self.state.returns:
                *returns, caller = self.state.returns
                self.state = replace(self.state, returns=tuple(returns), step=caller)
                return "next", self.plan.steps[caller].next  # type: ignore[union-attr]
            case Return():
                return "", END
        return "", ""

    def _answer(self, here: Answer) -> tuple[str, str]:
        question = self.state.question
        if question is None or not question.answer:
            return "unknown", here.unknown
        self.say({self.state.language: question.answer})
        self.state = replace(self.state, idle=0)
        return "next", here.next

    def _evaluate(self, here: Set | Branch) -> tuple[str, str]:
        try:
            if isinstance(here, Branch):
                known = fill.readable(self.plan, self.state, self.now)
                cases = ((f"when.{n}", way) for n, (case, way) in enumerate(here.cases, 1) if case.holds(known))
                return next(cases, ("otherwise", here.otherwise))
            for name, expression in here.values.items():
                value = None
                if expression is not None:
                    value = expression.evaluate(fill.readable(self.plan, self.state, self.now))
                self._set(name, fill.canonical(self.plan.slots[name], value))
        except ExpressionFault:
            self.state = replace(self.state, faults=self.state.faults + 1)
            return ("on_error", here.on_error) if self.state.faults <= MAX_FAULTS else ("", "")
        return "next", here.next

    def _set(self, name: str, value: str | None) -> None:
        if value is None:
            self._forget((name,))
        else:
            self.state = replace(self.state, slots={**self.state.slots, name: Filled(value)})

    def _forget(self, names: tuple[str, ...]) -> None:
        kept: Mapping[str, Filled] = {n: f for n, f in self.state.slots.items() if n not in names}
        self.state = replace(self.state, slots=kept)

    def _apologise(self) -> Out:
        """The plan leads nowhere: say so and end, instead of leaving the caller in silence."""
        first = [a for a in self.actions if isinstance(a, Speak)][:1]
        self.actions = [*(a for a in self.actions if isinstance(a, Conclude)), *first]
        self.say(self.plan.failed, "none")
        return self.end("failed")

    def conclude(self, new: Conclude) -> None:
        """Keep what the call has come to, and tell what is new of it."""
        known = self.state.concluded
        kept = Conclude(
            known.disposition or new.disposition, new.again_at or known.again_at, new.suppress or known.suppress
        )
        if kept != known:
            self.state = replace(self.state, concluded=kept)
            self.actions.append(kept)

    def end(self, outcome: str) -> Out:
        """The call is over when what is to be said has been said."""
        come_to = self.state.concluded
        self.actions.append(End(outcome, come_to.disposition, come_to.again_at, come_to.suppress))
        self.state = replace(self.state, ended=True)
        return self.state, tuple(self.actions)

    def _filled(self, names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        """Kind -> the value of the slot of that kind and its rivals."""
        filled = {name: self.state.slots[name] for name in names if name in self.state.slots}
        return {self.plan.slots[name].kind: (f.value, *f.rivals) for name, f in filled.items()}


def _plan_of(step: str) -> str:
    """The called plan that a step stands in, empty for the outermost one."""
    return step.rpartition("/")[0]

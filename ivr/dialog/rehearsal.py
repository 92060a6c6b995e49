"""A call by typing: what is typed goes through understanding and the engine as speech and keys do on the telephone.

Every moment is kept, so that the last one can be undone. Pure; knows nothing of terminals, files or back ends.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from ivr.dialog import engine
from ivr.dialog.plan import Plan
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
    Recorded,
    Silence,
    Started,
    State,
    TakeMessage,
    Tell,
    WaitKeys,
)
from ivr.turn import Alternative, Hypothesis, Understood
from ivr.understanding.proving import Proofs
from ivr.understanding.understand import understand

TYPED_CONFIDENCE = 0.95
"""How surely typed words count as heard, unless somebody says otherwise; 0..1."""
MAX_SAID_CHARS = 10_000
BY_A_PERSON = Started()
NOTHING = Proofs()
_RESTRICTED = ("yes_no", "choice")

_TAKES: dict[type, tuple[type, ...]] = {
    Listen: (Heard, Silence, Key),
    WaitKeys: (Heard, Silence, Key, KeysEnded),
    TakeMessage: (Recorded, Silence, Key),
    Connect: (Connected,),
    Compare: (Compared,),
    Fetch: (Fetched,),
}


@dataclass(frozen=True)
class Moment:
    """What came in, what followed, and the action that is `awaited` since (see `state`)."""

    given: Input
    state: State
    actions: tuple[Action, ...]
    awaited: Action


class Rehearsal:
    """One call of `plan`, begun. `now` stands still."""

    def __init__(
        self, plan: Plan, language: str, now: datetime, started: Started = BY_A_PERSON, proofs: Proofs = NOTHING
    ) -> None:
        """`proofs`: what the other side of a call of ours must prove to know."""
        self.plan, self.now, self._proofs = plan, now, proofs
        self.moments: list[Moment] = []
        self._take(State(language), replace(started, proofs=tuple(proofs.values)))

    @property
    def last(self) -> Moment:
        return self.moments[-1]

    def takes(self, given: Input) -> bool:
        """Whether the call waits for such an input now."""
        return type(given) in _TAKES.get(type(self.last.awaited), ())

    def give(self, given: Input) -> Moment:
        """One input; what the call does not wait for changes nothing."""
        return self._take(self.last.state, given)

    def hear(self, text: str, confidence: float = TYPED_CONFIDENCE) -> Heard:
        """What `text`, recognised so surely (0..1), means where the call stands.

        Where a recogniser listens for a few words only, others are what it hears beside them.
        """
        hypothesis = Hypothesis(text[:MAX_SAID_CHARS], confidence, engine="typed")
        listening = next((a for m in reversed(self.moments) for a in m.actions if isinstance(a, Listen)), None)
        if listening is None:
            return Heard(Understood(hypothesis))
        understood = self._proofs.heard(self.plan.vocabulary, listening.expectation, hypothesis)
        if listening.expectation.kind in _RESTRICTED and understood == Understood(hypothesis):
            beside = Hypothesis("", confidence, (Alternative(text[:MAX_SAID_CHARS], confidence),), "none_of_these")
            understood = replace(understand(self.plan.vocabulary, listening.expectation, beside), hypothesis=hypothesis)
        return Heard(understood)

    def press(self, pressed: str) -> list[Moment]:
        """Keys one after the other, then the pause that ends them."""
        moments = [self.give(Key(key)) for key in pressed]
        if isinstance(self.last.awaited, WaitKeys):
            moments.append(self.give(KeysEnded()))
        return moments

    def undo(self, moments: int = 1) -> None:
        """Take the last inputs back; the beginning of the call stays."""
        del self.moments[max(1, len(self.moments) - moments) :]

    def _take(self, state: State, given: Input) -> Moment:
        state, actions = engine.step(self.plan, state, given, self.now)
        waiting = [a for a in actions if isinstance(a, (*_TAKES, End))]
        self.moments.append(Moment(given, state, actions, waiting[-1] if waiting else self.last.awaited))
        if isinstance(compare := self.last.awaited, Compare):
            return self._take(state, Compared(self._proofs.keyed(compare.proof, compare.value)))
        return self.last


def outcome_of(moment: Moment) -> str:
    """How the call ended, else how its last lookup or transfer did."""
    return moment.awaited.outcome if isinstance(moment.awaited, End) else moment.state.outcome


def describe(action: Action) -> str:
    """An action that is not speech, in one line for people."""
    match action:
        case Listen(expectation=expected):
            slot = f" ({expected.slot})" if expected.slot else ""
            more = f", may fill {', '.join(expected.slots)}" if expected.slots else ""
            return f"listens for {expected.kind}{slot}{more}"
        case WaitKeys():
            return "waits for more keys"
        case Connect():
            return f"rings {', '.join(action.targets)} ({action.mode}, {action.timeout_s} s)"
        case Fetch():
            query = "".join(f"{'&' if i else '?'}{k}={v}" for i, (k, v) in enumerate(action.query.items()))
            body = f" {dict(action.body)}" if action.body else ""
            return f"asks {action.backend}: {action.method} {action.path}{query}{body}"
        case Tell():
            return f"tells {action.backend}: {action.event} {action.path} {dict(action.data)}"
        case Compare():
            return f"weighs what was keyed for {action.proof}"
        case TakeMessage():
            return f"records {action.max_s} s at most"
        case Conclude() | End():
            again = f"ring again {action.again_at}" if action.again_at else ""
            suppress = f"ring no more ({action.suppress})" if action.suppress else ""
            come_to = ", ".join(filter(None, (action.disposition, again, suppress)))
            if isinstance(action, Conclude):
                return f"has come to: {come_to}"
            return f"is over ({action.outcome}{f'; {come_to}' if come_to else ''})"
    return f"says {action.text}"

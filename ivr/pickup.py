"""Who picked up: what the line and the ear say of a call until its dialog may begin.

A caller is there once the call is answered. A call of ours waits for the line's verdict; a machine is then listened to
until a message may be left, since an assistant that screens calls sounds like one and says what it is in words. Knows
nothing of what is said to whom. Pure: asyncio's thread feeds it.
"""

from __future__ import annotations

from collections.abc import Mapping

from ivr import metrics
from ivr.dialog.state import AnsweredBy as Who
from ivr.line import messages as m
from ivr.understanding.screening import asks_who_calls


class Pickup:
    """Fed with events and words until it says who is there.

    Args:
        language: in which an assistant would ask.
        amd: the line tells who answered; without, whoever answers is a person.
        patient: the dialplan has something to say to machines, so it is waited for their beep.

    Attributes:
        verdict: what the line said, for the evidence; None before.
    """

    def __init__(self, language: str, amd: bool, patient: bool) -> None:
        self._language, self._patient = language, patient
        self.amd = amd
        self.verdict: Mapping[str, str | int] | None = None

    def take(self, event: object) -> Who | None:
        """Who is there, once that is known."""
        match event:
            case m.LegState(state="answered"):
                return None if self.amd else "human"
            case m.AnsweredBy(by=by):
                self._note(by, event.cause, event.at_ms)
                if by != "machine":
                    return "human"
                return None if self._patient else "machine"
            case m.MachineAfterAll():
                self._note("machine", event.cause, event.at_ms)
                return None if self._patient else "machine"
            case m.MachineReady():
                return "machine"
            case _:
                return None

    def heard(self, text: str) -> Who | None:
        """The same of words that came before the dialog began."""
        return "screening" if self.amd and asks_who_calls(text, self._language) else None

    def _note(self, by: str, cause: str, at_ms: int) -> None:
        self.verdict = {"by": by, "cause": cause, "at_ms": at_ms}
        metrics.answered_by(by, cause)

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
from ivr.understanding.screening import is_screening


class Pickup:
    """Fed with events and words until it says who is there.

    Args:
        amd: the line tells who answered; without, whoever answers is a person.
        patient: the dialplan has something to say to machines, so it is waited for their beep.

    Attributes:
        verdict: what the line said, for the evidence; None before.
    """

    def __init__(self, amd: bool, patient: bool) -> None:
        self._patient = patient
        self._words = ""
        self._machine = False
        self.amd = amd
        self.verdict: Mapping[str, str | int] | None = None

    def take(self, event: object) -> Who | None:
        """Who is there, once that is known."""
        match event:
            case m.LegState(state="answered"):
                return None if self.amd else "human"
            case m.AnsweredBy(by=by):
                self._note(by, event.cause, event.at_ms)
                return self._is_machine() if by == "machine" else "human"
            case m.MachineAfterAll():
                self._note("machine", event.cause, event.at_ms)
                return self._is_machine()
            case m.MachineReady():
                return "machine"
            case _:
                return None

    def heard(self, text: str) -> Who | None:
        """The same of words that came before the dialog began; a person's tell nothing, a secretary asks the same."""
        self._words = f"{self._words} {text}"
        return self._is_machine() if self._machine and is_screening(self._words) else None

    def _is_machine(self) -> Who | None:
        self._machine = True
        if is_screening(self._words):
            return "screening"
        return None if self._patient else "machine"

    def _note(self, by: str, cause: str, at_ms: int) -> None:
        self.verdict = {"by": by, "cause": cause, "at_ms": at_ms}
        metrics.answered_by(by, cause)

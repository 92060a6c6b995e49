"""A conductor: what is written down of a call while it runs: its legs, its turns with their waits, its end.

A turn is written when our next word leaves, because only then is it known how fast it came. Runs in asyncio's thread;
decides nothing.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from ivr import metrics
from ivr.line.messages import LegEnded, PlayoutStarted
from ivr.store.records import CallEnd, CallStart, Latency, LegQuality, LegRecord, Review, Said, TurnRecord
from ivr.store.store import Store
from ivr.telephony.leg import Leg
from ivr.turn import Hypothesis, Understood

FACTS = 200
"""Prompts and turns that are testified of one call."""


@dataclass(frozen=True)
class CameIn:
    """What came in, for the record. `end_ms`: last voiced frame on the leg's audio clock, negative for none."""

    understood: Understood | None = None
    keys: str = ""
    rejected: str = ""
    end_ms: int = -1
    latency: Latency = Latency()


@dataclass(frozen=True)
class _Answering:
    """A completed turn that waits for our next word, to know how fast it came."""

    turn: TurnRecord
    end_ms: int
    at: float
    kind: str


class TurnLog:
    """The records of one call. `said` gives what was said last and how much of it was heard."""

    def __init__(self, store: Store, call: str, said: Callable[[], tuple[Said, ...]]) -> None:
        self._store, self._call, self._said = store, call, said
        self._turn: TurnRecord | None = None
        self._count = 0
        self._answering: _Answering | None = None
        self._begun = time.monotonic()
        self._prompts: list[dict[str, Any]] = []
        self._heard: list[dict[str, Any]] = []

    async def begin(self, leg: Leg, plan: str, version: str, trunk: str) -> None:
        info = leg.info
        metrics.call_started(info.direction)
        await self._store.begin(
            CallStart(id=self._call, direction=info.direction, number=info.number, caller=info.caller,
                      language=info.language, started_at=now(), plan=plan, plan_version=version,
                      sip_call_id=info.sip_call_id, source=info.source, trunk=trunk)
        )  # fmt: skip
        await self._store.leg(
            self._call, LegRecord(id=leg.id, direction=info.direction, address=info.caller, started_at=now())
        )

    async def answered(self, leg: Leg) -> None:
        await self._store.leg(self._call, LegRecord(id=leg.id, answered_at=now(), codec=leg.codec))

    async def connected(self, other: Leg) -> None:
        await self._store.leg(
            self._call, LegRecord(id=other.id, direction="out", address=other.info.number, answered_at=now())
        )

    async def leg_ended(self, leg: Leg, ended: LegEnded) -> None:
        quality = ended.quality
        await self._store.leg(
            self._call,
            LegRecord(id=leg.id, direction=leg.info.direction, ended_at=now(), cause=ended.cause, by=ended.by,
                      code=ended.code or None, reason=ended.reason, codec=quality.codec or leg.codec,
                      quality=LegQuality(packets=quality.packets, lost=quality.lost, jitter_ms=quality.jitter_ms,
                                         rtt_ms=quality.rtt_ms))
        )  # fmt: skip

    async def end(self, leg: Leg, ended: LegEnded | None, outcome: str, recording: str) -> tuple[str, str]:
        """The call is over; returns its cause and who ended it."""
        if self._answering is not None:
            await self._flush(self._answering.turn.latency)
        await self.unanswered()
        cause, by = (ended.cause, ended.by) if ended is not None else ("shutdown", "us")
        if ended is not None:
            await self.leg_ended(leg, ended)
        await self._store.end(
            self._call,
            CallEnd(ended_at=now(), cause=cause, by=by, reason=ended.reason if ended else "", outcome=outcome,
                    recording=recording)
        )  # fmt: skip
        metrics.call_ended(cause, by, round((time.monotonic() - self._begun) * 1000))
        return cause, by

    async def said(self, step: str, language: str, words: tuple[Said, ...]) -> None:
        """`words` are said in `step`; what was said before them got no answer.

        Written at once, so that the record of a call that goes on tells where it stands; the answer replaces it.
        """
        await self.unanswered()
        self._turn = TurnRecord(index=self._count, step=step, started_at=now(), language=language)
        self._count += 1
        self._prompts += [_prompt(step, language, each) for each in words][: FACTS - len(self._prompts)]
        await self._store.turn(self._call, msgspec.structs.replace(self._turn, said=words))

    def facts(self) -> dict[str, list[dict[str, Any]]]:
        """What is testified: `prompts` by their hash, `turns` with what was heard. The first `FACTS` of each."""
        return {"prompts": self._prompts, "turns": self._heard}

    def sensitive(self, on: bool) -> None:
        """Whether the present turn's answer must not be kept."""
        if self._turn is not None:
            self._turn = msgspec.structs.replace(self._turn, sensitive=on)

    async def unanswered(self) -> None:
        """Write the turn that was said and never answered: a goodbye, a transfer's announcement."""
        if self._turn is not None:
            turn, self._turn = self._turn, None
            await self._store.turn(self._call, msgspec.structs.replace(turn, said=self._said()))

    def answer(self, given: CameIn, engine_ms: int, value: str | None, kind: str, asked: bool = False) -> None:
        """Complete the present turn with what came in; it is written once our next word leaves.

        `value` is what the dialog took it for, None when it took nothing; `kind` what was expected; `asked`: the caller
        is asked which of two things they meant.
        """
        if self._turn is None:
            return
        understood = given.understood or Understood(Hypothesis(""))
        hypothesis = understood.hypothesis
        rejected = given.rejected or hypothesis.rejected
        if given.understood is not None and not (understood.value or understood.command or understood.slots):
            rejected = rejected or "no_match"
        turn = msgspec.structs.replace(
            self._turn,
            said=self._said(),
            heard=hypothesis.text or None,
            alternatives=hypothesis.alternatives,
            confidence=min(1.0, max(0.0, hypothesis.confidence)) if hypothesis.text else None,
            engine=hypothesis.engine or None,
            value=(value if value is not None else understood.value) or None,
            intent=understood.intent or understood.command or None,
            answer=understood.answer or None,
            source=understood.source or None,
            keys=given.keys or None,
            rejected=rejected or None,
            latency=msgspec.structs.replace(given.latency, engine_ms=engine_ms),
            review="asked" if asked else _review(understood, kind),
            model=understood.model or None,
        )
        self._turn = None
        self._heard += [_testified(turn)][: FACTS - len(self._heard)]
        self._answering = _Answering(turn, given.end_ms, time.monotonic(), kind)
        metrics.turn_done(turn.language or "", rejected or ("key" if given.keys else "understood"))

    async def playout_began(self, started: PlayoutStarted, render_ms: int | None) -> None:
        """A playout leaves for the caller; `render_ms` when it is the answer to the turn that waits."""
        if self._answering is None or render_ms is None:
            return
        done = self._answering
        if done.end_ms < 0:
            await self._flush(done.turn.latency)
            return
        total_ms = max(0, started.at_ms - done.end_ms)
        since_endpoint = round((time.monotonic() - done.at) * 1000)
        metrics.answer_began(done.turn.language or "", done.kind, total_ms)
        await self._flush(
            msgspec.structs.replace(
                done.turn.latency,
                render_ms=render_ms,
                playout_ms=max(0, since_endpoint - render_ms),
                total_ms=total_ms,
                endpoint_ms=max(0, total_ms - since_endpoint),
            )
        )

    async def _flush(self, latency: Latency) -> None:
        if self._answering is not None:
            turn, self._answering = self._answering.turn, None
            await self._store.turn(self._call, msgspec.structs.replace(turn, latency=latency))


def _prompt(step: str, language: str, said: Said) -> dict[str, Any]:
    """A hash of a few values hides nothing, so what is sensitive has none."""
    digest = {"sensitive": True} if said.sensitive else {"sha256": hashlib.sha256(said.text.encode()).hexdigest()}
    return {"step": step, "language": language} | digest


def _testified(turn: TurnRecord) -> dict[str, Any]:
    """What of a turn is testified; of a sensitive one that it was answered, and no word of it."""
    if turn.sensitive:
        return {"step": turn.step, "sensitive": True}
    kept = {name: getattr(turn, name) for name in ("step", "heard", "value", "keys", "intent", "rejected")}
    return {name: value for name, value in kept.items() if value is not None}


def _review(understood: Understood, kind: str) -> Review | None:
    """Why a trainer should look at an utterance: it corrects us, or an open question found nothing in it."""
    if not understood.hypothesis.text:
        return None
    if understood.corrects:
        return "corrected"
    found = understood.intent or understood.answer or understood.command or understood.slots or understood.other
    return "rejected" if kind == "open" and not found else None


def now() -> datetime:
    return datetime.now(UTC)

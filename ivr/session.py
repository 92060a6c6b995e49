"""A conductor: one call's life in the brain. Leg events in, engine steps, actions out, everything written down.

Runs in asyncio's thread as one task a call. Decides nothing about the conversation: that is `ivr/dialog`. Knows
nothing of pjsua2, recognisers' insides or SQL.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog

from ivr import metrics
from ivr.config import Config
from ivr.dialog import engine
from ivr.dialog.plan import Plan
from ivr.line.messages import Dtmf, LegEnded, LegState, PlayoutStarted, Segment
from ivr.listening import Listener, Quiet, Utterance
from ivr.speaking import Speaker
from ivr.speech.prompts import Prompts
from ivr.speech.stt import RecognizerPool
from ivr.store.records import CallEnd, CallStart, Latency, LegQuality, LegRecord, TurnRecord
from ivr.store.store import Store
from ivr.telephony.leg import DialOutcome, Leg
from ivr.telephony.pool import LinePool
from ivr.turn import Hypothesis, Understood
from ivr.understanding.understand import Vocabulary, understand

log = structlog.get_logger(__name__)

INBOX_LIMIT = 1_024
GOODBYE_WITHIN_S = 30
HANGUP_WITHIN_S = 1
_OUTCOMES = {"busy": "busy", "no_answer": "no_answer", "cancelled": "no_answer"}


@dataclass(frozen=True)
class House:
    """What every session is given: the hands it conducts."""

    config: Config
    lines: LinePool
    recognizers: RecognizerPool
    prompts: Prompts
    store: Store
    apology: Mapping[str, Path]
    ringback: Path


@dataclass(frozen=True)
class _KeyTimeout:
    serial: int


@dataclass(frozen=True)
class _Transferred:
    outcome: str


@dataclass(frozen=True)
class _Input:
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


class Session:
    """One inbound call on one version of one plan."""

    def __init__(self, house: House, leg: Leg, plan: Plan) -> None:
        self.id = uuid.uuid4().hex
        self._house, self._leg, self._plan = house, leg, plan
        self._state = engine.State(leg.info.language)
        self._inbox: asyncio.Queue[object] = asyncio.Queue(INBOX_LIMIT)
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener = Listener(
            leg,
            house.recognizers,
            functools.partial(understand, Vocabulary(plan.knowledge)),
            house.config.hearing,
            self._post,
            self._spawn,
        )
        self._speaker = Speaker(leg, house.prompts, leg.info.language, self._apology, self._spawn)
        self._turn: TurnRecord | None = None
        self._turns = 0
        self._answering: _Answering | None = None
        self._begun = time.monotonic()
        self._kind = ""
        self._keys_serial = 0
        self._keys = ""
        self._muted = False
        self._outcome = ""
        self._recording = ""

    async def run(self) -> None:
        """Answer, converse until the leg ends, write it down. Cancelled when the server shuts down."""
        structlog.contextvars.bind_contextvars(call=self.id)
        await self._begin()
        pump = asyncio.create_task(self._pump())
        ended: LegEnded | None = None
        try:
            ended = await self._converse()
        finally:
            left = [*self._tasks, pump]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            self._listener.close()
            await self._end(ended or self._leg.ended)

    # Records ------------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        info = self._leg.info
        log.info("call begins", leg=self._leg.id, number=info.number, language=info.language, plan=self._plan.version)
        self._leg.answer(info.language)
        metrics.call_started(info.direction)
        await self._house.store.begin(
            CallStart(id=self.id, direction=info.direction, number=info.number, caller=info.caller,
                      language=info.language, started_at=_now(), plan=self._plan.name, plan_version=self._plan.version,
                      sip_call_id=info.sip_call_id, source=info.source,
                      trunk=info.peer if any(t.name == info.peer for t in self._house.config.trunk) else "")
        )  # fmt: skip
        await self._house.store.leg(
            self.id, LegRecord(id=self._leg.id, direction=info.direction, address=info.caller, started_at=_now())
        )
        if self._house.config.store.recordings:
            folder = self._house.config.path(self._house.config.store.recordings)
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._recording = f"{self.id}.wav"
            self._leg.record(str(folder / self._recording))

    async def _end(self, ended: LegEnded | None) -> None:
        if self._answering is not None:
            await self._flush_turn(self._answering.turn.latency)
        await self._write_unanswered()
        cause = ended.cause if ended is not None else "shutdown"
        by = ended.by if ended is not None else "us"
        if ended is not None:
            await self._write_leg(self._leg, ended)
        await self._house.store.end(
            self.id,
            CallEnd(ended_at=_now(), cause=cause, by=by, reason=ended.reason if ended else "",
                    outcome=self._outcome, recording=self._recording)
        )  # fmt: skip
        metrics.call_ended(cause, by, round((time.monotonic() - self._begun) * 1000))
        log.info("call ends", cause=cause, by=by, outcome=self._outcome)

    async def _write_leg(self, leg: Leg, ended: LegEnded) -> None:
        quality = ended.quality
        await self._house.store.leg(
            self.id,
            LegRecord(id=leg.id, direction=leg.info.direction, ended_at=_now(), cause=ended.cause, by=ended.by,
                      code=ended.code or None, reason=ended.reason, codec=quality.codec or leg.codec,
                      quality=LegQuality(packets=quality.packets, lost=quality.lost, jitter_ms=quality.jitter_ms,
                                         rtt_ms=quality.rtt_ms))
        )  # fmt: skip

    async def _flush_turn(self, latency: Latency) -> None:
        """Write the turn that was answered, once it is known how fast."""
        if self._answering is not None:
            turn, self._answering = self._answering.turn, None
            await self._house.store.turn(self.id, msgspec.structs.replace(turn, latency=latency))

    async def _write_unanswered(self) -> None:
        """Write the turn that was said and never answered: a goodbye, a transfer's announcement."""
        if self._turn is not None:
            turn, self._turn = self._turn, None
            await self._house.store.turn(self.id, msgspec.structs.replace(turn, said=self._speaker.account()))

    # The loop -----------------------------------------------------------------------------------------------------

    async def _pump(self) -> None:
        async for event in self._leg.events:
            await self._inbox.put(event)

    def _post(self, item: object) -> None:
        try:
            self._inbox.put_nowait(item)
        except asyncio.QueueFull:
            log.error("session inbox is full", leg=self._leg.id)
            self._leg.hangup("failed")

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task of the call failed", exc_info=error)
            self._leg.hangup("failed")

    async def _converse(self) -> LegEnded:
        while True:
            item = await self._inbox.get()
            if isinstance(item, LegEnded):
                return item
            await self._handle(item)

    async def _handle(self, item: object) -> None:
        match item:
            case LegState(state="answered"):
                await self._house.store.leg(
                    self.id, LegRecord(id=self._leg.id, answered_at=_now(), codec=self._leg.codec)
                )
                await self._step(engine.Started())
            case Utterance():
                await self._utterance(item)
            case Quiet():
                await self._step(engine.Silence(), _Input(rejected="no_input"))
            case Dtmf(digit=digit):
                await self._key(digit)
            case _KeyTimeout(serial=serial) if serial == self._keys_serial:
                await self._step(engine.KeysEnded(), _Input(keys=self._keys))
            case _Transferred(outcome=outcome):
                await self._step(engine.Connected(outcome))
            case PlayoutStarted():
                await self._started(item)
            case _:
                self._speaker.on(item)
                self._listener.on(item)

    async def _started(self, started: PlayoutStarted) -> None:
        render_ms = self._speaker.render_ms(started)
        if self._answering is None or render_ms is None:
            return
        done = self._answering
        if done.end_ms < 0:
            await self._flush_turn(done.turn.latency)
            return
        total_ms = max(0, started.at_ms - done.end_ms)
        since_endpoint = round((time.monotonic() - done.at) * 1000)
        metrics.answer_began(done.turn.language or "", done.kind, total_ms)
        await self._flush_turn(
            msgspec.structs.replace(
                done.turn.latency,
                render_ms=render_ms,
                playout_ms=max(0, since_endpoint - render_ms),
                total_ms=total_ms,
                endpoint_ms=max(0, total_ms - since_endpoint),
            )
        )

    async def _utterance(self, heard: Utterance) -> None:
        metrics.decoded(heard.understood.hypothesis.engine, "final", heard.understood.hypothesis.decode_ms)
        metrics.speculation_used(heard.speculative)
        latency = Latency(decode_ms=heard.understood.hypothesis.decode_ms, speculative_hit=heard.speculative)
        given = _Input(heard.understood, end_ms=heard.ended.end_ms, latency=latency)
        await self._step(engine.Heard(heard.understood), given)

    async def _key(self, digit: str) -> None:
        self._listener.drop_utterance()
        self._keys_serial += 1
        self._keys += digit
        await self._step(engine.Key(digit), _Input(keys=self._keys))

    def _complete_turn(self, given: _Input, engine_ms: int, value: str | None) -> None:
        """Complete the present turn with what came in; it is written once our next word leaves.

        `value` is what the dialog took it for, None when it took nothing.
        """
        if self._turn is None:
            return
        understood = given.understood or Understood(Hypothesis(""))
        hypothesis = understood.hypothesis
        rejected = given.rejected or hypothesis.rejected
        if given.understood is not None and not understood.value:
            rejected = rejected or "no_match"
        turn = msgspec.structs.replace(
            self._turn,
            said=self._speaker.account(),
            heard=hypothesis.text or None,
            alternatives=hypothesis.alternatives,
            confidence=min(1.0, max(0.0, hypothesis.confidence)) if hypothesis.text else None,
            engine=hypothesis.engine or None,
            value=(value if value is not None else understood.value) or None,
            intent=understood.intent or None,
            answer=understood.answer or None,
            source=understood.source or None,
            keys=given.keys or None,
            rejected=rejected or None,
            latency=msgspec.structs.replace(given.latency, engine_ms=engine_ms),
        )
        self._turn = None
        self._answering = _Answering(turn, given.end_ms, time.monotonic(), self._kind)
        metrics.turn_done(turn.language or "", rejected or ("key" if given.keys else "understood"))

    # Actions ------------------------------------------------------------------------------------------------------

    async def _step(self, given: engine.Input, heard: _Input | None = None) -> None:
        begun, before = time.perf_counter(), self._state
        self._state, actions = engine.step(self._plan, before, given)
        if heard is not None and actions and actions != (engine.WaitKeys(),):
            value = self._state.values.get(before.step) if self._state.values is not before.values else None
            self._complete_turn(heard, round((time.perf_counter() - begun) * 1000), value)
        said = [a for a in actions if isinstance(a, engine.Speak)]
        if said:
            await self._write_unanswered()
            self._turn = TurnRecord(
                index=self._turns, step=self._state.step, started_at=_now(), language=self._state.language
            )
            self._turns += 1
            self._speaker.speak(said)
        for action in actions:
            match action:
                case engine.Listen():
                    self._listen(action)
                case engine.WaitKeys():
                    self._wait_keys()
                case engine.Connect():
                    self._listener.close()
                    self._spawn(self._connect(action))
                case engine.End(outcome=outcome):
                    self._outcome = outcome
                    self._listener.close()
                    self._spawn(self._say_goodbye())
                case _:
                    pass

    def _listen(self, action: engine.Listen) -> None:
        sensitive, self._kind = action.expectation.sensitive, action.expectation.kind
        if sensitive != self._muted:
            self._muted = sensitive
            self._leg.mute(sensitive)
        self._keys = ""
        if self._turn is not None:
            self._turn = msgspec.structs.replace(self._turn, sensitive=sensitive)
        self._listener.open(action.expectation, action.no_input_ms)

    def _wait_keys(self) -> None:
        serial = self._keys_serial
        asyncio.get_running_loop().call_later(
            engine.KEY_TIMEOUT_MS / 1000, lambda: self._post(_KeyTimeout(serial)) if not self._leg.ended else None
        )

    async def _say_goodbye(self) -> None:
        try:
            async with asyncio.timeout(GOODBYE_WITHIN_S):
                await self._speaker.finished()
        except TimeoutError:
            log.warning("goodbye took too long", leg=self._leg.id)
        self._leg.hangup()

    def _apology(self, language: str) -> Path | None:
        return self._house.apology.get(language) or next(iter(self._house.apology.values()), None)

    # Transfer -----------------------------------------------------------------------------------------------------

    async def _connect(self, action: engine.Connect) -> None:
        """Bridge the caller to somebody, or hand them over; the outcome is a value for the engine."""
        await self._speaker.finished()
        await self._write_unanswered()
        agents = {agent.name: agent.uri for agent in self._house.config.agent}
        target = agents.get(action.target, action.target)
        if action.mode == "refer":
            outcome = await self._leg.refer(target, action.timeout_s * 1000)
            self._post(_Transferred("connected" if outcome == "accepted" else _OUTCOMES.get(outcome, "failed")))
            return
        self._speaker.play_files([Segment(str(self._house.ringback), "none")] * 12)
        answered = await self._house.lines.dial(
            target, timeout_ms=action.timeout_s * 1000, language=self._state.language, near=self._leg, reserved=True
        )
        if isinstance(answered, DialOutcome):
            log.info("transfer failed", cause=answered.cause, code=answered.code)
            self._post(_Transferred(_OUTCOMES.get(answered.cause, "failed")))
            return
        await self._together(answered)

    async def _together(self, other: Leg) -> None:
        """Two people talk; the first to hang up ends it for both."""
        drain = asyncio.create_task(_drain(other))
        await self._house.store.leg(
            self.id, LegRecord(id=other.id, direction="out", address=other.info.number, answered_at=_now())
        )
        try:
            self._leg.stop_playout()
            if not await self._house.lines.bridge(self._leg, other):
                self._post(_Transferred("failed"))
                return
            log.info("connected", leg=self._leg.id, other=other.id)
            await other.wait_ended()
            self._post(_Transferred("connected"))
        finally:
            other.hangup()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HANGUP_WITHIN_S):
                    await self._write_leg(other, await other.wait_ended())
            drain.cancel()


async def _drain(leg: Leg) -> None:
    async for _ in leg.events:
        pass


def _now() -> datetime:
    return datetime.now(UTC)


def starter(house: Callable[[], House], plan: Callable[[str], Plan | None]) -> Callable[[Leg], Coroutine]:
    """What the line pool runs for every incoming leg."""

    async def on_incoming(leg: Leg) -> None:
        chosen = plan(leg.info.plan)
        if chosen is None:
            leg.reject(503, "no plan", 30)
            return
        await Session(house(), leg, chosen).run()

    return on_incoming

"""A conductor: one call's life in the brain. Leg events in, engine steps, actions out, everything written down.

Runs in asyncio's thread as one task a call. Decides nothing about the conversation: that is `ivr/dialog`. Knows
nothing of pjsua2, recognisers' insides or SQL.
"""

from __future__ import annotations

import asyncio
import functools
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from ivr import metrics, transfer
from ivr.backend.client import Backends, Request
from ivr.config import Config
from ivr.dialog import engine, journal
from ivr.dialog.plan import Plan
from ivr.dialog.state import (
    KEY_TIMEOUT_MS,
    Action,
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
    Speak,
    Started,
    State,
    TakeMessage,
    Tell,
    WaitKeys,
)
from ivr.line.messages import Dtmf, LegEnded, LegState, PlayoutStarted, Segment
from ivr.listening import Listener, Quiet, Utterance
from ivr.speaking import Speaker
from ivr.speech.prompts import Prompts
from ivr.speech.spoken import written
from ivr.speech.stt import RecognizerPool
from ivr.store.records import Latency, Said
from ivr.store.store import Store
from ivr.telephony.leg import Leg
from ivr.telephony.pool import LinePool
from ivr.turn_log import CameIn, TurnLog, now
from ivr.understanding.understand import understand
from ivr.voicemail import MessageTaker

log = structlog.get_logger(__name__)

INBOX_LIMIT = 1_024
GOODBYE_WITHIN_S = 30


@dataclass(frozen=True)
class House:
    """What every session is given: the hands it conducts."""

    config: Config
    lines: LinePool
    recognizers: RecognizerPool
    prompts: Prompts
    store: Store
    backends: Backends
    apology: Mapping[str, Path]
    ringback: Path


@dataclass(frozen=True)
class _KeyTimeout:
    serial: int


class Session:
    """One inbound call on one version of one plan."""

    def __init__(self, house: House, leg: Leg, plan: Plan) -> None:
        self.id = uuid.uuid4().hex
        self._house, self._leg, self._plan = house, leg, plan
        self._state = State(leg.info.language, leg.info.number)
        self._inbox: asyncio.Queue[object] = asyncio.Queue(INBOX_LIMIT)
        self._tasks: set[asyncio.Task[None]] = set()
        meaning = functools.partial(understand, plan.vocabulary)
        self._listener = Listener(leg, house.recognizers, meaning, house.config.hearing, self._post, self._spawn)
        self._speaker = Speaker(leg, house.prompts, self._apology, self._spawn)
        self._messages = MessageTaker(leg, house.config.path(house.config.store.messages), self._post, self._spawn)
        self._turns = TurnLog(house.store, self.id, self._speaker.account)
        self._kind = ""
        self._keys_serial = 0
        self._inputs = 0
        self._keys = ""
        self._muted = False
        self._hotword = False
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
            await asyncio.to_thread(self._messages.close)
            cause, by = await self._turns.end(self._leg, ended or self._leg.ended, self._outcome, self._recording)
            log.info("call ends", cause=cause, by=by, outcome=self._outcome)

    async def _begin(self) -> None:
        info, config = self._leg.info, self._house.config
        log.info("call begins", leg=self._leg.id, number=info.number, language=info.language, plan=self._plan.version)
        self._leg.answer(info.language)
        trunk = info.peer if any(t.name == info.peer for t in config.trunk) else ""
        await self._turns.begin(self._leg, self._plan.name, self._plan.version, trunk)
        if config.store.recordings:
            folder = config.path(config.store.recordings)
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._recording = f"{self.id}.wav"
            self._leg.record(str(folder / self._recording))

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
            try:
                await self._handle(item)
            except Exception:
                log.exception("the dialog failed", step=self._state.step)
                await self._apologise()

    async def _apologise(self) -> None:
        """Say that something went wrong and hang up; at the second time hang up at once."""
        if self._state.ended:
            self._leg.hangup("failed")
            return
        self._state = replace(self._state, ended=True)
        words = self._plan.failed.get(self._state.language, "")
        await self._say([Speak(words, self._state.language, "none")])
        self._act(End("failed"))

    async def _handle(self, item: object) -> None:
        match item:
            case LegState(state="answered"):
                await self._turns.answered(self._leg)
                await self._step(Started())
            case Utterance():
                await self._utterance(item)
            case Quiet():
                await self._step(Silence(), CameIn(rejected="no_input"))
            case Dtmf(digit=digit) if not self._messages.taking:
                await self._key(digit)
            case _KeyTimeout(serial=serial) if serial == self._keys_serial:
                await self._step(KeysEnded(), CameIn(keys=self._keys))
            case Connected() | Fetched() | Recorded():
                await self._step(item)
            case PlayoutStarted():
                await self._turns.playout_began(item, self._speaker.render_ms(item))
            case _:
                self._speaker.on(item)
                self._listener.on(item)
                self._messages.on(item)

    async def _utterance(self, heard: Utterance) -> None:
        hypothesis = heard.understood.hypothesis
        metrics.decoded(hypothesis.engine, "final", hypothesis.decode_ms)
        metrics.speculation_used(heard.speculative)
        latency = Latency(decode_ms=hypothesis.decode_ms, speculative_hit=heard.speculative)
        given = CameIn(heard.understood, end_ms=heard.ended.end_ms, latency=latency)
        await self._step(Heard(heard.understood), given)

    async def _key(self, digit: str) -> None:
        self._listener.drop_utterance()
        self._keys_serial += 1
        self._keys += digit
        await self._step(Key(digit), CameIn(keys=self._keys))

    # Actions ------------------------------------------------------------------------------------------------------

    async def _step(self, given: Input, came_in: CameIn | None = None) -> None:
        before, at = self._state, now()
        body = journal.entry(self._plan, before, given, at)
        await self._house.store.input(self.id, self._inputs, at, body)
        self._inputs += 1
        begun = time.perf_counter()
        self._state, actions = engine.step(self._plan, before, given, at)
        if came_in is not None and actions and actions != (WaitKeys(),):
            engine_ms = round((time.perf_counter() - begun) * 1000)
            asked = bool(self._state.between) and self._state.between is not before.between
            learnt = _learnt(before, self._state, by_keys=bool(came_in.keys))
            self._turns.answer(came_in, engine_ms, learnt, self._kind, asked)
        said = [a for a in actions if isinstance(a, Speak)]
        if said:
            await self._say(said)
        self._hotword = bool(said) and said[-1].barge_in == "hotword"
        for action in actions:
            self._act(action)

    async def _say(self, said: Sequence[Speak]) -> None:
        words = tuple(Said(text=written(s.text, s.language), sensitive=s.sensitive) for s in said)
        await self._turns.said(self._state.step, self._state.language, words)
        self._mute(any(s.sensitive for s in said))
        self._speaker.speak(said)

    def _act(self, action: Action) -> None:
        match action:
            case Listen():
                self._listen(action)
            case WaitKeys():
                self._wait_keys()
            case Tell():
                self._house.backends.notify(action.backend, action.path, action.event, action.data)
            case Connect() | Fetch() | End():
                self._listener.close()
                self._spawn(self._out(action))
            case TakeMessage():
                self._listener.close()
                self._messages.take(action)
            case _:
                pass

    def _mute(self, on: bool) -> None:
        if on != self._muted:
            self._muted = on
            self._leg.mute(on)

    def _listen(self, action: Listen) -> None:
        sensitive, self._kind = action.expectation.sensitive, action.expectation.kind
        self._mute(sensitive or self._speaker.sensitive)
        self._keys = ""
        self._turns.sensitive(sensitive)
        self._listener.open(action.expectation, action.no_input_ms, self._hotword)

    def _wait_keys(self) -> None:
        serial = self._keys_serial
        asyncio.get_running_loop().call_later(
            KEY_TIMEOUT_MS / 1000, lambda: self._post(_KeyTimeout(serial)) if not self._leg.ended else None
        )

    async def _out(self, action: Connect | Fetch | End) -> None:
        """What takes time and ends in an input, or in the end."""
        match action:
            case Connect():
                self._post(Connected(await self._connect(action)))
            case Fetch():
                self._post(await self._fetch(action))
            case End(outcome=outcome):
                self._outcome = outcome
                await self._goodbye()

    async def _goodbye(self) -> None:
        try:
            async with asyncio.timeout(GOODBYE_WITHIN_S):
                await self._speaker.finished()
        except TimeoutError:
            log.warning("goodbye took too long", leg=self._leg.id)
        self._leg.hangup()

    async def _fetch(self, action: Fetch) -> Fetched:
        """Ask a back end; the caller hears the filler while it takes long, and all of it before the answer."""
        request = Request(
            action.backend, action.method, action.path, action.query,
            action.body if action.method != "GET" else None, action.timeout_s,
            action.retries,
        )  # fmt: skip
        asked = asyncio.create_task(self._house.backends.fetch(request))
        try:
            await asyncio.wait({asked}, timeout=action.filler_after_ms / 1000)
            if not asked.done():
                await self._speaker.finished()
            if not asked.done() and action.filler is not None:
                await self._say([action.filler])
            response = await asked
        finally:
            asked.cancel()
        log.info("looked up", backend=action.backend, outcome=response.outcome, status=response.status,
                 took_ms=response.took_ms)  # fmt: skip
        await self._speaker.finished()
        return Fetched(response.outcome, response.status, response.data)

    async def _connect(self, action: Connect) -> str:
        await self._speaker.finished()
        await self._turns.unanswered()
        addresses = {agent.name: agent.uri for agent in self._house.config.agent}
        if action.mode == "refer":
            target = action.targets[0]
            return await transfer.hand_over(self._leg, addresses.get(target, target), action.timeout_s)
        self._speaker.play_files([Segment(str(self._house.ringback), "none")] * 12)
        lines = self._house.lines
        answer = await transfer.first_to_answer(lines, self._leg, action, addresses, self._state.language)
        return answer if isinstance(answer, str) else await transfer.together(lines, self._leg, answer, self._turns)

    def _apology(self, language: str) -> Path | None:
        return self._house.apology.get(language) or next(iter(self._house.apology.values()), None)


def _learnt(before: State, after: State, by_keys: bool) -> str | None:
    """What the answer was taken for: the choice or the yes that led on, or the slots it filled; None for nothing."""
    for passage in after.path:
        kind, _, value = passage.way.partition(".")
        if passage.step == before.step and (kind == "choices" or (kind == "on" and by_keys)):
            return value
    new = [f.value for n, f in after.slots.items() if before.slots.get(n) != f]
    return " ".join(new) if new else None


def starter(house: Callable[[], House], plan: Callable[[str], Plan | None]) -> Callable[[Leg], Coroutine]:
    """What the line pool runs for every incoming leg."""

    async def on_incoming(leg: Leg) -> None:
        chosen = plan(leg.info.plan)
        if chosen is None:
            leg.reject(503, "no plan", 30)
            return
        await Session(house(), leg, chosen).run()

    return on_incoming

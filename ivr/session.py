"""A conductor: one call's life in the brain. Leg events in, engine steps, actions out, everything written down.

Runs in asyncio's thread as one task a call. Decides nothing about the conversation: that is `ivr/dialog`. Knows
nothing of pjsua2, recognisers' insides or SQL.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import os
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from ivr import answering, metrics, transfer
from ivr.backend.client import Backends, Request
from ivr.config import Config
from ivr.dialog import engine, journal
from ivr.dialog.plan import Plan, Prove
from ivr.dialog.state import (
    KEY_TIMEOUT_MS,
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
    Speak,
    Started,
    State,
    TakeMessage,
    Tell,
    WaitKeys,
)
from ivr.line.messages import Dtmf, LegEnded, LegState, MachineAfterAll, PlayoutStarted, Segment
from ivr.listening import Listener, Quiet, Utterance
from ivr.outbound.job import CallResult, Outgoing
from ivr.pickup import Pickup
from ivr.speaking import Speaker
from ivr.speech.prompts import Prompts
from ivr.speech.spoken import written
from ivr.speech.stt import RecognizerPool
from ivr.store.records import Latency, Said
from ivr.store.store import Store
from ivr.telephony.leg import Leg
from ivr.telephony.pool import LinePool
from ivr.turn import Expectation
from ivr.turn_log import CameIn, TurnLog, now
from ivr.understanding import proving
from ivr.voicemail import MessageTaker

log = structlog.get_logger(__name__)

INBOX_LIMIT = 1_024
GOODBYE_WITHIN_S = 30
PROOF_KEY_BYTES = 32
HEADER_BYTES = 44
"""Of a WAV file (RIFF, fmt, data), which changes while it grows."""
OVERHEAR_MS = 60_000
"""How long nothing need be said before who answered is known; the line's own limits are shorter."""


@dataclass(frozen=True)
class House:
    """What every session is given: the hands it conducts."""

    config: Config
    lines: LinePool
    recognizers: RecognizerPool
    prompts: Prompts
    store: Store
    backends: Backends
    search: answering.Search
    apology: Mapping[str, Path]
    ringback: Path


@dataclass(frozen=True)
class _KeyTimeout:
    serial: int


class Session:
    """One call on one version of one plan. `outgoing`: we made it, and it is answered."""

    def __init__(
        self, house: House, leg: Leg, plan: Plan, outgoing: Outgoing | None = None,
        conclude: Callable[[str, Mapping[str, Any]], Coroutine[None, None, None]] | None = None,
    ) -> None:  # fmt: skip
        """`conclude` is run with what the call has come to, and what is testified, as soon as the plan says so."""
        self.id = outgoing.call if outgoing and outgoing.call else uuid.uuid4().hex
        self._house, self._leg, self._plan, self._outgoing = house, leg, plan, outgoing
        self._state = State(leg.info.language, leg.info.number)
        self._inbox: asyncio.Queue[object] = asyncio.Queue(INBOX_LIMIT)
        self._tasks: set[asyncio.Task[None]] = set()
        self._proofs = proving.Proofs(outgoing.proof if outgoing else {}, os.urandom(PROOF_KEY_BYTES))
        meaning = functools.partial(self._proofs.heard, plan.vocabulary)
        self._listener = Listener(leg, house.recognizers, meaning, house.config.hearing, self._post, self._spawn)
        self._speaker = Speaker(leg, house.prompts, self._apology, self._spawn)
        self._messages = MessageTaker(leg, house.config.path(house.config.store.messages), self._post, self._spawn)
        self._turns = TurnLog(house.store, self.id, self._speaker.account)
        self._kind = ""
        patient = bool(plan.starts["machine"] or plan.starts["screening"])
        self._pickup = Pickup(outgoing is not None and outgoing.amd, patient)
        self._started = False
        self._concluded, self._conclude = Conclude(), conclude
        self._keys_serial = 0
        self._inputs = 0
        self._keys = ""
        self._muted = False
        self._hotword = False
        self._outcome = ""
        self._recording = ""

    async def run(self) -> CallResult:
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
        facts = await self._facts() | {"ended": {"cause": cause, "by": by}} if self._outgoing is not None else {}
        come_to = self._concluded
        return CallResult(
            cause, by, self._outcome, come_to.disposition, come_to.again_at, come_to.suppress,
            0 if self._state.proven else len(self._state.evidence), facts,
        )  # fmt: skip

    async def _facts(self) -> dict[str, Any]:
        """What is testified of a call of ours, by now."""
        facts: dict[str, Any] = {
            "id": self.id, "plan": {"name": self._plan.name, "version": self._plan.version},
            "language": self._state.language, "answered_by": self._pickup.verdict, "outcome": self._outcome,
            **self._turns.facts(),
            "identity": proving.testimony(self._state.evidence, self._state.proven),
        }  # fmt: skip
        if self._recording:
            path = self._house.config.path(self._house.config.store.recordings) / self._recording
            facts["recording"] = {"file": self._recording} | await asyncio.to_thread(_digest, path)
        return facts

    async def _begin(self) -> None:
        info, config = self._leg.info, self._house.config
        log.info("call begins", leg=self._leg.id, number=info.number, language=info.language, plan=self._plan.version)
        if info.direction == "in":
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

    async def _pick_up(self, item: object) -> None:
        """Before the dialog begins: who is there?"""
        if isinstance(item, LegState) and item.state == "answered":
            await self._turns.answered(self._leg)
            self._overhear()
        if isinstance(item, Utterance | Quiet):
            who = self._pickup.heard(item.understood.hypothesis.text) if isinstance(item, Utterance) else None
            self._overhear()
        else:
            who = self._pickup.take(item)
        if who is None:
            self._listener.on(item)
            return
        log.info("picked up", who=who)
        self._listener.close()
        self._started = True
        given = self._outgoing or Outgoing()
        who = "caller" if self._leg.info.direction == "in" else who
        await self._step(Started(who, given.given, given.zone, tuple(given.proof)))

    def _overhear(self) -> None:
        """Listen to whoever answered, where it may be an assistant that asks who calls."""
        if self._pickup.amd and self._plan.starts["screening"]:
            self._listener.open(Expectation("open", self._leg.info.language), OVERHEAR_MS)

    async def _taken_back(self, item: MachineAfterAll) -> None:
        """Who was taken for a person is a machine: what it was told ends here, and it is told what machines are."""
        if self._state.ended or self._concluded != Conclude():
            return
        self._leg.stop_playout()
        self._speaker.silence()
        self._listener.close()
        self._started = False
        self._overhear()
        await self._pick_up(item)

    async def _handle(self, item: object) -> None:
        if not self._started:
            await self._pick_up(item)
            return
        match item:
            case MachineAfterAll():
                await self._taken_back(item)
            case Utterance():
                await self._utterance(item)
            case Quiet():
                await self._step(Silence(), CameIn(rejected="no_input"))
            case Dtmf(digit=digit) if not self._messages.taking:
                await self._key(digit)
            case _KeyTimeout(serial=serial) if serial == self._keys_serial:
                await self._step(KeysEnded(), CameIn(keys=self._keys))
            case Connected() | Fetched() | Recorded() | Compared():
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
        said = heard.understood
        understood = await answering.complete(self._house.search, self._plan, self._state, self._kind, said)
        given = CameIn(understood, end_ms=heard.ended.end_ms, latency=latency)
        await self._step(Heard(understood), given)

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
            case Conclude():
                told, self._concluded = self._concluded.disposition, action
                if self._conclude is not None and action.disposition and not told:
                    self._spawn(self._tell_conclusion(self._conclude))
            case Compare(proof=proof, value=value):
                self._listener.close()
                self._post(Compared(self._proofs.keyed(proof, value)))
            case Connect() | Fetch() | End():
                self._listener.close()
                self._spawn(self._out(action))
            case TakeMessage():
                self._listener.close()
                self._messages.take(action)
            case _:
                pass

    async def _tell_conclusion(
        self, conclude: Callable[[str, Mapping[str, Any]], Coroutine[None, None, None]]
    ) -> None:  # fmt: skip
        await conclude(self._concluded.disposition, await self._facts())

    def _mute(self, on: bool) -> None:
        if on != self._muted:
            self._muted = on
            self._leg.mute(on)

    def _listen(self, action: Listen) -> None:
        sensitive, self._kind = action.expectation.sensitive, action.expectation.kind
        self._mute(sensitive or self._speaker.sensitive)
        self._keys = ""
        self._turns.sensitive(sensitive)
        self._listener.open(self._proofs.listening(action.expectation), action.no_input_ms, self._hotword)

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


def _digest(path: Path) -> dict[str, int | str]:
    """SHA-256 of the sound of a recording that may still grow: of so many bytes behind its header."""
    try:
        with path.open("rb") as file:
            file.seek(HEADER_BYTES)
            digest = hashlib.file_digest(file, "sha256")
            return {"bytes": file.tell() - HEADER_BYTES, "sha256": digest.hexdigest()}
    except OSError as error:
        log.error("a recording cannot be read", reason=error.strerror)
        return {}


def _learnt(before: State, after: State, by_keys: bool) -> str | None:
    """What the answer was taken for: the choice or the yes that led on, or the slots it filled; None for nothing."""
    for passage in after.path:
        kind, _, value = passage.way.partition(".")
        if passage.step == before.step and (kind == "choices" or (kind == "on" and by_keys)):
            return value
    new = [f.value for n, f in after.slots.items() if before.slots.get(n) != f]
    return " ".join(new) if new else None


def starter(
    house: Callable[[], House],
    plan: Callable[[str], Plan | None],
    called_back: Callable[[Leg], Coroutine[None, None, bool]],
) -> Callable[[Leg], Coroutine]:
    """What the line pool runs for every incoming leg. `called_back` conducts those of people whom we wanted to ring."""

    async def on_incoming(leg: Leg) -> None:
        chosen = plan(leg.info.plan)
        if chosen is None:
            leg.reject(503, "no plan", 30)
            return
        if chosen.on_caller and await called_back(leg):
            return
        await Session(house(), leg, chosen, _unknown(chosen) if chosen.on_caller else None).run()

    return on_incoming


def _unknown(plan: Plan) -> Outgoing:
    """What a caller for whom nothing is open must prove: what nobody knows, so that the check tells nothing."""
    asked = [part.proof for step in plan.steps.values() if isinstance(step, Prove) for part in step.fields]
    return Outgoing(proof={field: proving.decoy(field, os.urandom(PROOF_KEY_BYTES)) for field in asked[:1]})


def conversing(house: House, plan: Callable[[str], Plan | None]) -> Callable[..., Coroutine[None, None, CallResult]]:
    """What the dialer runs for every call of ours that was answered: `ivr.outbound.attempt.Converse`."""

    async def converse(leg: Leg, name: str, outgoing: Outgoing, conclude: Callable) -> CallResult:
        chosen = plan(name)
        if chosen is None:
            log.error("the dialplan was removed while it rang", plan=name)
            return CallResult("failed", "us")
        return await Session(house, leg, chosen, outgoing, conclude).run()

    return converse

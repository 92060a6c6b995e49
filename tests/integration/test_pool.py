"""The contract between brain and line, the same cases on fake lines and on real processes over loopback SIP.

Pool A dials pool B. Nothing here waits by the clock: every step waits for the event that ends it.
"""

import asyncio
import itertools
import shutil
import signal
import socket
import struct
import subprocess
import wave
from contextlib import asynccontextmanager
from os import kill

import numpy as np
import pytest
import pytest_asyncio

from ivr.caller import Caller
from ivr.config import Config, Lines, Number, Sip, Trunk, TrunkLimits
from ivr.line.fake import FakeWorld
from ivr.line.messages import (
    FRAME_MS,
    AnsweredBy,
    Audio,
    Dtmf,
    LegEnded,
    MachineAfterAll,
    MachineReady,
    NoInput,
    PlayoutEnded,
    PlayoutPaused,
    PlayoutResumed,
    PlayoutStarted,
    Segment,
    SpeechEnded,
    SpeechStarted,
)
from ivr.line.settings import Amd
from ivr.telephony import heartbeat
from ivr.telephony.leg import DialOutcome, Leg
from ivr.telephony.pool import LinePool

A_PORT, B_PORT, OWN_A_PORT, OWN_B_PORT = 25_000, 25_020, 25_040, 25_060
pytestmark = pytest.mark.asyncio(loop_scope="module")
SAID = "Good morning. I would like to know the balance of my account, please."


GREETING = "Hello, you have reached the Smiths. We are not in at the moment, please leave a message after the tone."
OFTEN = TrunkLimits(calls_per_hour=1_000, calls_per_hour_per_prefix=1_000)
SOON = Amd(silence_ms=1_000)


def spoken(folder, text: str) -> str:
    """A sentence as a prompt file: 16 kHz mono 16 bit."""
    raw = folder / "raw.wav"
    subprocess.run(["espeak-ng", "-v", "en", "-w", str(raw), text], check=True)
    path = raw.with_name("prompt.wav")
    assert shutil.which("sox"), "the package sox is missing"
    subprocess.run(["sox", str(raw), "-r", "16000", "-c", "1", "-b", "16", str(path)], check=True)
    return str(path)


def duration_ms(path: str) -> int:
    with wave.open(path, "rb") as file:
        return file.getnframes() * 1000 // file.getframerate()


@pytest.fixture(scope="module")
def speech(tmp_path_factory) -> str:
    return spoken(tmp_path_factory.mktemp("speech"), SAID)


@pytest.fixture(scope="module")
def hello(tmp_path_factory) -> str:
    return spoken(tmp_path_factory.mktemp("hello"), "Hello?")


@pytest.fixture(scope="module")
def voicemail(tmp_path_factory) -> str:
    """A greeting and beeps: a busy machine may tear one."""
    path = spoken(tmp_path_factory.mktemp("voicemail"), GREETING)
    beep = (6_000 * np.sin(2 * np.pi * 1_000 * np.arange(12_800) / 16_000)).astype(np.int16)
    with wave.open(path, "rb") as file:
        said = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    with wave.open(path, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.concatenate([said, *[np.zeros(8_000, np.int16), beep] * 3]).tobytes())
    return path


def config(port: int, other: int, rtp: int, **lines) -> Config:
    return Config(
        sip=Sip(port=port, rtp_port=rtp),
        lines=Lines(**{"processes": 1, "reserve_legs": 0} | lines),
        number=(Number(pattern="4xx", plan="main"), Number(pattern="401", plan="main", language="zh")),
        trunk=(Trunk(name="b", host="127.0.0.1", port=other, from_user="100", prefixes=("4", "5"), limits=OFTEN),),
    )


def rtp_of(sip_port: int) -> int:
    return 26_000 + sip_port % 100 * 10


@asynccontextmanager
async def strangers_rtp(first: int, but: range):
    """PCMU in bursts of a dozen packets to the 200 ports from `first` on, but not to those.

    The library takes whoever sends ten packets in a row for the peer of a call.
    """
    ports = [first + port for port in range(200) if port not in but]

    async def send() -> None:
        for number in itertools.count():
            header = struct.pack("!BBHII", 0x80, 0, number % 65_536, number * 160 % 2**32, 0xDEAD)
            for port in ports:
                sock.sendto(header + b"\xff" * 160, ("127.0.0.1", port))
            if number % 12 == 11:
                await asyncio.sleep(0.1)

    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        task = asyncio.create_task(send())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


class Pools:
    """A, who dials, and B, who is rung; B's legs come out of `rung` and live until the test ends."""

    def __init__(self, kind: str, a_port: int = A_PORT, b_port: int = B_PORT) -> None:
        self.kind = kind
        self._ports = a_port, b_port
        self.world = FakeWorld()
        self.rung: asyncio.Queue[Leg] = asyncio.Queue()
        self.refuse = 0
        self.answer_at_once = True
        self.a: LinePool
        self.b: LinePool

    async def start(self, **lines) -> None:
        launch = self.world.launch if self.kind == "fake" else None
        a_port, b_port = self._ports
        self.a = LinePool(config(a_port, b_port, rtp_of(a_port)), self._nobody, launch=launch)
        self.b = LinePool(config(b_port, a_port, rtp_of(b_port), **lines), self._take, launch=launch)
        await asyncio.gather(self.a.start(), self.b.start())

    async def close(self) -> None:
        await asyncio.gather(self.a.close(), self.b.close())
        await self.world.close()

    async def _nobody(self, leg: Leg) -> None:
        leg.reject(480)

    async def _take(self, leg: Leg) -> None:
        self.rung.put_nowait(leg)
        if self.refuse:
            leg.reject(self.refuse)
        elif self.answer_at_once:
            leg.answer()
        await leg.wait_ended()

    async def call(self, number: str = "400", amd: Amd | None = None) -> tuple[Leg, Leg]:
        """An answered call: A's leg and B's."""
        leg = await self.a.dial(number, amd=amd)
        assert isinstance(leg, Leg), leg
        return leg, await self.rung.get()


@pytest_asyncio.fixture(params=["fake", "real"], scope="module", loop_scope="module")
async def shared(request):
    """A pair for the tests that leave nothing behind."""
    pair = Pools(request.param)
    try:
        await pair.start()
        yield pair
    finally:
        await pair.close()


@pytest_asyncio.fixture(loop_scope="module")
async def pools(shared):
    """The shared pair, as new."""
    yield shared
    shared.refuse, shared.answer_at_once = 0, True
    async with asyncio.timeout(10):
        for leg in [*shared.a.legs, *shared.b.legs]:
            leg.hangup()
            await leg.wait_ended()
    while not shared.rung.empty():
        shared.rung.get_nowait()


@asynccontextmanager
async def own_pools(kind: str, **lines):
    """A pair of its own for a test that breaks or fills it; one kind and its ports at a time."""
    pair = Pools(kind, OWN_A_PORT, OWN_B_PORT)
    try:
        await pair.start(**lines)
        async with asyncio.timeout(30):
            yield pair
    finally:
        await pair.close()


both_kinds = pytest.mark.parametrize("kind", ["fake", "real"])


async def until(leg: Leg, kind: type, seen: list | None = None):
    """The next event of that kind; everything passed over goes to `seen`."""
    async for event in leg.events:
        if isinstance(event, kind):
            return event
        if seen is not None:
            seen.append(event)
    raise AssertionError(f"the leg ended without {kind.__name__}: {leg.ended}")


async def test_a_call_is_answered_and_hung_up_by_the_caller(pools):
    p = pools
    ours, theirs = await p.call("401")
    assert (theirs.info.number, theirs.info.caller, theirs.info.plan, theirs.info.language) == (
        "401", "100", "main", "zh",
    )  # fmt: skip
    assert theirs.info.source == "127.0.0.1"
    assert ours.info.sip_call_id == theirs.info.sip_call_id != ""
    ours.hangup()
    ended = await theirs.wait_ended()
    assert (ended.cause, ended.by) == ("hangup", "them")
    assert (await ours.wait_ended()).by == "us"
    assert p.a.status().legs_used == p.b.status().legs_used == 0


async def test_the_rung_side_hangs_up(pools):
    p = pools
    ours, theirs = await p.call()
    theirs.hangup()
    ended = await ours.wait_ended()
    assert (ended.cause, ended.by) == ("hangup", "them")


@pytest.mark.parametrize(("code", "cause"), [(486, "busy"), (603, "rejected"), (480, "no_answer")])
async def test_a_refusal_is_a_value(pools, code, cause):
    p = pools
    p.refuse = code
    outcome = await p.a.dial("400")
    assert isinstance(outcome, DialOutcome)
    assert (outcome.cause, outcome.code) == (cause, code)


async def test_a_number_nobody_serves_is_404(pools):
    p = pools
    outcome = await p.a.dial("590")
    assert isinstance(outcome, DialOutcome)
    assert (outcome.cause, outcome.code) == ("unreachable", 404)


async def test_giving_up_while_it_rings_cancels(pools):
    p = pools
    p.answer_at_once = False
    dialling = asyncio.create_task(p.a.dial("400"))
    theirs = await p.rung.get()
    theirs.ring()
    dialling.cancel()
    ended = await theirs.wait_ended()
    assert (ended.cause, ended.by) == ("cancelled", "them")


async def test_nobody_answers_in_time(pools):
    p = pools
    p.answer_at_once = False
    outcome = await p.a.dial("400", timeout_ms=300)
    assert isinstance(outcome, DialOutcome)
    assert outcome.cause == "no_answer"
    await (await p.rung.get()).wait_ended()


async def test_keys_arrive_in_order(pools):
    p = pools
    ours, theirs = await p.call()
    ours.send_dtmf("12#")
    assert [(await until(theirs, Dtmf)).digit for _ in "12#"] == ["1", "2", "#"]


async def test_a_prompt_is_heard_as_one_utterance_with_its_audio(pools, speech):
    p = pools
    ours, theirs = await p.call()
    turn = theirs.listen(no_input_ms=0, wait_ms=900)
    playout = ours.play([Segment(speech)])
    started = await until(ours, PlayoutStarted)
    assert started.playout == playout
    spoke = await until(theirs, SpeechStarted)
    assert spoke.turn == turn
    seen: list = []
    ended = await until(theirs, SpeechEnded, seen)
    prompt_ms = duration_ms(speech)
    audio_ms = sum(len(e.pcm) for e in seen if isinstance(e, Audio)) // 32
    assert ended.reason == "endpoint"
    assert not any(isinstance(e, AnsweredBy) for e in seen)
    assert prompt_ms - 400 <= ended.end_ms - ended.start_ms <= prompt_ms + 100
    assert audio_ms >= ended.end_ms - ended.start_ms
    over = await until(ours, PlayoutEnded)
    assert (over.reason, abs(over.heard_ms - prompt_ms) <= 20) == ("finished", True)


async def test_speech_pauses_a_prompt_and_the_verdict_ends_or_resumes_it(pools, speech):
    ours, theirs = await pools.call()
    theirs.listen(no_input_ms=0, wait_ms=500, verdict_ms=20_000)
    for commit, kind in ((False, PlayoutResumed), (True, PlayoutEnded)):
        theirs.play([Segment(speech), Segment(speech), Segment(speech)])
        await until(theirs, PlayoutStarted)
        ours.play([Segment(speech)])
        seen: list = []
        started = await until(theirs, SpeechStarted, seen)
        assert started.paused
        if not any(isinstance(event, PlayoutPaused) for event in seen):
            await until(theirs, PlayoutPaused)
        theirs.barge_in(started.utterance, commit)
        after = await until(theirs, kind)
        ours.stop_playout()
        await until(theirs, SpeechEnded)
        theirs.stop_playout()
    assert after.reason == "barge_in"


async def test_a_key_ends_a_prompt(pools, speech):
    ours, theirs = await pools.call()
    playout = theirs.play([Segment(speech, barge_in="key")])
    await until(theirs, PlayoutStarted)
    ours.send_dtmf("5")
    ended = await until(theirs, PlayoutEnded)
    assert (ended.playout, ended.reason) == (playout, "key")


async def test_a_protected_prompt_is_heard_to_its_end(pools, speech):
    ours, theirs = await pools.call()
    theirs.listen(no_input_ms=0)
    theirs.play([Segment(speech, barge_in="none")])
    await until(theirs, PlayoutStarted)
    ours.send_dtmf("5")
    assert (await until(theirs, PlayoutEnded)).reason == "finished"


async def test_silence_is_no_input_once_a_turn(pools):
    ours, theirs = await pools.call()
    turn = theirs.listen(no_input_ms=200)
    assert (await until(theirs, NoInput)).turn == turn
    assert ours.ended is None


async def test_a_human_who_answers_is_told_from_a_machine_and_heard_by_a_turn_meanwhile(pools, hello):
    ours, theirs = await pools.call(amd=Amd())
    turn = ours.listen(no_input_ms=0)
    theirs.play([Segment(hello)])
    seen: list = []
    answered = await until(ours, AnsweredBy, seen)
    assert (answered.by, answered.cause) == ("human", "stopped")
    assert 500 < answered.at_ms < 4_000
    assert [event.turn for event in seen if isinstance(event, SpeechStarted)] == [turn]


async def test_a_machine_that_answers_is_ready_after_its_beep(pools, voicemail):
    ours, theirs = await pools.call(amd=Amd(greeting_end_ms=10_000))
    theirs.play([Segment(voicemail)])
    answered = await until(ours, AnsweredBy)
    assert (answered.by, answered.cause) == ("machine", "cadence")
    seen: list = []
    ready = await until(ours, MachineReady, seen)
    assert ready.cause == "beep"
    assert ready.at_ms > answered.at_ms
    assert not any(isinstance(event, AnsweredBy | MachineAfterAll) for event in seen)


async def test_early_media_is_no_answer_and_nobody_who_says_nothing_is_unsure(pools, hello, tmp_path):
    quiet = str(tmp_path / "quiet.wav")
    with wave.open(quiet, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(16_000))
    pools.answer_at_once = False
    dialling = asyncio.create_task(pools.a.dial("400", amd=SOON))
    theirs = await pools.rung.get()
    theirs.ring(early_media=True)
    theirs.play([Segment(hello), Segment(quiet)])
    await until(theirs, PlayoutEnded)
    theirs.answer()
    ours = await dialling
    answered = await until(ours, AnsweredBy)
    assert (answered.by, answered.cause, answered.at_ms) == ("unsure", "silence", SOON.silence_ms)


@both_kinds
async def test_full_is_refused_before_answering(kind):
    async with own_pools(kind, reserve_legs=2) as p:
        calls = [await p.call() for _ in range(2)]
        outcome = await p.a.dial("400")
        assert isinstance(outcome, DialOutcome)
        assert (outcome.cause, outcome.code) == ("busy", 486)
        assert p.b.status().legs_used == len(calls)


async def test_two_callers_bridged_in_one_process_hear_each_other(pools, speech):
    p = pools
    (first, b1), (second, b2) = await p.call(), await p.call()
    assert await p.b.bridge(b1, b2)
    second.listen(no_input_ms=0)
    first.play([Segment(speech)])
    await until(second, SpeechStarted)
    await p.b.unbridge(b1)


async def test_a_strangers_transfer_is_refused_and_nothing_dialled(pools):
    p = pools
    ours, theirs = await p.call()
    assert await ours.refer("sip:401@127.0.0.1:25020") == "rejected"
    assert theirs.ended is None
    assert p.rung.empty()


async def test_what_may_not_be_dialled_is_not_referred_to(pools):
    p = pools
    ours, _theirs = await p.call()
    assert await ours.refer("112") == "rejected"
    assert await ours.refer("sip:mallory@198.51.100.7") == "rejected"


@both_kinds
async def test_drain_refuses_new_calls_and_waits_for_the_old(kind):
    async with own_pools(kind) as p:
        ours, _theirs = await p.call()
        draining = asyncio.create_task(p.b.drain())
        await asyncio.sleep(0)
        outcome = await p.a.dial("400")
        assert isinstance(outcome, DialOutcome)
        assert outcome.code == 503
        assert not draining.done()
        ours.hangup()
        assert await draining


@both_kinds
async def test_a_killed_line_ends_its_legs_and_comes_back(kind):
    async with own_pools(kind) as p:
        _ours, theirs = await p.call()
        if p.kind == "fake":
            p.world.lines[-1].kill()
        else:
            kill(p.b.lines[0].pid, signal.SIGKILL)
        assert (await until(theirs, LegEnded)).cause == "line_lost"
        await p.b.wait_lines_up()
        assert p.b.status().restarts == 1
        await p.call()


async def test_new_callers_hear_although_callers_of_a_dead_server_still_send(speech):
    """Their RTP comes to all ports but a few, before the process is started and after."""
    prompt_ms = duration_ms(speech)
    async with strangers_rtp(rtp_of(OWN_B_PORT), but=range(160, 176)), own_pools("real") as p, Caller() as caller:
        for _ in range(3):
            ours = await caller.dial(f"sip:400@127.0.0.1:{OWN_B_PORT}")
            theirs = await p.rung.get()
            theirs.play([Segment(speech)])
            await until(theirs, PlayoutEnded)
            heard_ms = ours.media.reception.received * FRAME_MS
            assert heard_ms >= prompt_ms - 500
            await ours.hangup()
            await theirs.wait_ended()


async def test_a_line_that_hangs_is_killed_and_comes_back(monkeypatch):
    monkeypatch.setattr(heartbeat, "BEAT_S", 0.2)
    monkeypatch.setattr(heartbeat, "ANSWER_WITHIN_S", 0.5)
    async with own_pools("real") as p:
        _ours, theirs = await p.call()
        hung = p.b.lines[0].pid
        kill(hung, signal.SIGSTOP)
        assert (await until(theirs, LegEnded)).cause == "line_lost"
        await p.b.wait_lines_up()
        assert p.b.lines[0].pid != hung
        await p.call()


@both_kinds
async def test_closing_ends_every_call(kind):
    async with own_pools(kind) as p:
        ours, theirs = await p.call()
        await p.b.close()
        assert (await theirs.wait_ended()).cause == "shutdown"
        assert (await ours.wait_ended()).by == "them"

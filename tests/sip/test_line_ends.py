"""How a line process ends, and that nothing of a call outlives it."""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import signal
import struct
import wave
from pathlib import Path

import pytest
from line_driver import LineDriver
from sipp_peer import sipp, sipp_passes

from ivr.line import messages as m
from ivr.line.settings import LineSettings, Peer

LINE, OTHER = 21080, 21081
_ports = itertools.count(21085)


def tone(path: Path, hz: int, ms: int) -> str:
    """A mono 16 kHz WAV of one tone."""
    samples = (int(9_000 * math.sin(2 * math.pi * hz * n / m.RATE_HZ)) for n in range(m.RATE_HZ * ms // 1000))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, m.RATE_HZ, 0, "NONE", ""))
        file.writeframes(b"".join(struct.pack("<h", s) for s in samples))
    return str(path)


def pitch(path: Path) -> float:
    """Zero crossings a second, halved, of the loud part of a recording's left channel."""
    with wave.open(str(path)) as file:
        samples = struct.unpack(f"<{file.getnframes() * 2}h", file.readframes(file.getnframes()))[::2]
        rate = file.getframerate()
    loud = [n for n, s in enumerate(samples) if abs(s) > 2_000]
    part = samples[loud[0] : loud[-1]]
    return sum(a * b < 0 for a, b in itertools.pairwise(part)) / 2 / (len(part) / rate)


def settings(name: str, port: int, **more: object) -> LineSettings:
    return LineSettings(
        name=name, sip_port=port, rtp_port=21500 if port == LINE else 21600, rtp_ports=80,
        peers=(Peer("other", "127.0.0.1", OTHER if port == LINE else LINE, from_user="1000"),), **more,
    )  # fmt: skip


async def call(caller: LineDriver, line: LineDriver, request: int, *, answer: str | None = "en") -> tuple[int, int]:
    """A call from `caller` to `line`; answered in a language, or left ringing."""
    caller.send(m.Dial(request, line.uri, "other"))
    placed = await caller.expect(m.Dialing, request=request)
    incoming = await line.expect(m.Incoming, sip_call_id=placed.sip_call_id)
    if answer is None:
        line.send(m.Ring(incoming.leg))
        await caller.expect(m.LegState, leg=placed.leg, state="ringing")
    else:
        line.send(m.Answer(incoming.leg, answer))
        await caller.expect(m.LegState, leg=placed.leg, state="answered")
    return placed.leg, incoming.leg


async def test_a_line_without_its_brain_apologises_in_each_language_and_ends(tmp_path):
    """Answered callers hear their language's recording and BYE; what rings is refused or cancelled; then it exits."""
    apology = {"en": tone(tmp_path / "en.wav", 400, 900), "zh": tone(tmp_path / "zh.wav", 800, 900)}
    async with (
        LineDriver(settings("line", LINE, apology=apology)) as line,
        LineDriver(settings("caller", OTHER)) as caller,
    ):
        legs = {}
        for request, language in enumerate(("en", "zh"), 1):
            legs[language], _ = await call(caller, line, request, answer=language)
            caller.send(m.Record(legs[language], str(tmp_path / f"heard-{language}.wav")))
        ringing, _ = await call(caller, line, 3, answer=None)
        line.send(m.Dial(4, f"sip:1@127.0.0.1:{OTHER}", "other"))
        rung = await caller.expect(m.Incoming)
        caller.send(m.Ring(rung.leg))
        await line.expect(m.LegState, state="ringing")
        line.lose_brain()
        assert (await caller.expect(m.LegEnded, leg=rung.leg)).cause == "cancelled"
        refused = await caller.expect(m.LegEnded, leg=ringing)
        assert (refused.code, refused.by) == (503, "them")
        for language in legs:
            ended = await caller.expect(m.LegEnded, leg=legs[language], timeout_s=10)
            assert (ended.cause, ended.by) == ("hangup", "them")
        assert await line.wait(5) == 0
        assert pitch(tmp_path / "heard-en.wav") == pytest.approx(400, abs=40)
        assert pitch(tmp_path / "heard-zh.wav") == pytest.approx(800, abs=80)


async def test_without_recordings_callers_get_bye_at_once():
    async with LineDriver(settings("line", LINE)) as line, LineDriver(settings("caller", OTHER)) as caller:
        ours, _ = await call(caller, line, 1)
        line.lose_brain()
        assert (await caller.expect(m.LegEnded, leg=ours)).by == "them"
        assert await line.wait(5) == 0


@pytest.mark.parametrize("scenario", ["uac-fallback-expect-refer", "uac-fallback-refused-expect-bye"])
async def test_callers_go_to_the_fallback_address_when_there_is_one(scenario):
    """Blind transfer instead of an apology; who does not go there gets the apology, here none, and BYE."""
    fallback = settings("line", LINE, fallback_uri="sip:9000@127.0.0.1")
    async with LineDriver(fallback) as line, sipp(scenario, f"127.0.0.1:{LINE}", 21085) as caller:
        incoming = await line.expect(m.Incoming)
        line.send(m.Answer(incoming.leg))
        await line.expect(m.LegState, leg=incoming.leg, state="answered")
        line.lose_brain()
        await caller.passes()
        assert await line.wait(12) == 0


@pytest.mark.parametrize("how", ["SIGTERM", "Shutdown"])
async def test_shutdown_ends_every_leg(how):
    """BYE to the answered, 503 to the ringing; exit status 0."""
    async with LineDriver(settings("line", LINE)) as line, LineDriver(settings("caller", OTHER)) as caller:
        (up, _), (ringing, _) = await call(caller, line, 1), await call(caller, line, 2, answer=None)
        if how == "SIGTERM":
            os.kill(line.pid, signal.SIGTERM)
        else:
            line.send(m.Shutdown())
        assert (await caller.expect(m.LegEnded, leg=up)).by == "them"
        assert (await caller.expect(m.LegEnded, leg=ringing)).code == 503
        assert await line.wait(5) == 0
        assert {e.cause for e in line.seen(m.LegEnded)} == {"shutdown"}


async def test_a_draining_line_keeps_its_calls_and_takes_no_new_one():
    async with LineDriver(settings("line", LINE)) as line, LineDriver(settings("caller", OTHER)) as caller:
        ours, theirs = await call(caller, line, 1)
        line.send(m.Drain())
        await asyncio.sleep(0.05)
        await sipp_passes("uac-invite-expect-503", f"127.0.0.1:{LINE}", next(_ports))
        line.send(m.SendDtmf(theirs, "4"))
        assert (await caller.expect(m.Dtmf, leg=ours)).digit == "4"
        caller.send(m.Hangup(ours))
        await line.expect(m.LegEnded, leg=theirs)


async def test_a_signal_meant_for_a_dead_parent_is_ignored_while_it_lives():
    """SIGHUP is the backstop for a parent that died; our parent has not."""
    async with LineDriver(settings("line", LINE)) as line, LineDriver(settings("caller", OTHER)) as caller:
        os.kill(line.pid, signal.SIGHUP)
        ours, theirs = await call(caller, line, 1)
        caller.send(m.Hangup(ours))
        await line.expect(m.LegEnded, leg=theirs)


async def test_a_taken_port_is_said_and_the_process_ends():
    async with LineDriver(settings("line", LINE)):
        second = LineDriver(settings("second", LINE))
        with pytest.raises(AssertionError, match="no Ready"):
            await second.start()
        assert second.returncode == 3
        assert f"SIP port 127.0.0.1:{LINE}" in second.seen(m.Failure)[0].message
        await second.close()


async def test_a_peer_transfers_its_bridged_call_to_a_listed_target():
    """The new leg takes the referring leg's place at its mate; a target that is not listed is declined."""
    agent = Peer("agent", "127.0.0.1", 21086, refer_targets=(f"sip:2001@127.0.0.1:{OTHER}",))
    customer = LineSettings(name="line", sip_port=LINE, rtp_port=21500, rtp_ports=80, peers=(agent,))
    async with LineDriver(customer) as line, LineDriver(settings("other", OTHER)) as other:
        other.send(m.Dial(1, line.uri, "other"))
        caller = await line.expect(m.Incoming)
        line.send(m.Answer(caller.leg))
        keys = {"target": str(OTHER)}
        async with sipp("uac-refer-expect-202", f"127.0.0.1:{LINE}", 21086, keys=keys) as referrer:
            call_of_agent = await line.expect(m.Incoming, fits=lambda e: e.leg != caller.leg)
            line.send(m.Answer(call_of_agent.leg))
            await line.expect(m.LegState, leg=call_of_agent.leg, state="answered")
            line.send(m.Bridge(caller.leg, call_of_agent.leg))
            await line.expect(m.Bridged)
            placed = await line.expect(m.Dialing, request=0)
            target = await other.expect(m.Incoming)
            assert target.number == "2001"
            other.send(m.Answer(target.leg))
            await line.expect(m.Bridged, leg=placed.leg)
            await referrer.passes()
        assert (await line.expect(m.LegEnded, leg=call_of_agent.leg)).cause == "transferred"
        other.send(m.SendDtmf(target.leg, "8"))
        assert (await line.expect(m.Dtmf, leg=placed.leg)).digit == "8"
        line.send(m.Hangup(placed.leg))
        line.send(m.Hangup(caller.leg))
        await line.expect(m.LegEnded, leg=caller.leg)


async def test_hundreds_of_calls_leave_nothing_behind():
    """Answered, refused, cancelled and cut off at any moment: no descriptor, thread or leg is left, memory is flat."""
    line, caller = LineDriver(settings("line", LINE)), LineDriver(settings("caller", OTHER))
    async with line, caller:
        before = {}
        for round_number in range(70):
            await asyncio.gather(*(short_call(caller, line, round_number * 3 + n) for n in range(3)))
            line.forget()
            caller.forget()
            if round_number == 20:
                before = {d: d.resources() for d in (line, caller)}
            await asyncio.sleep(0.09)
        await asyncio.sleep(1)
        for driver in (line, caller):
            after = driver.resources()
            assert after["descriptors"] <= before[driver]["descriptors"]
            assert after["threads"] <= before[driver]["threads"]
        legs = await asyncio.gather(*(call(caller, line, 1000 + n) for n in range(4)))
        for ours, theirs in legs:
            caller.send(m.Hangup(ours))
            await line.expect(m.LegEnded, leg=theirs)


async def short_call(caller: LineDriver, line: LineDriver, number: int) -> None:
    """One call, ended in one of six ways."""
    caller.send(m.Dial(number, line.uri, "other"))
    placed = await caller.expect(m.Dialing, request=number)
    incoming = await line.expect(m.Incoming, sip_call_id=placed.sip_call_id)
    match number % 6:
        case 0:
            line.send(m.Reject(incoming.leg, 486))
        case 1:
            caller.send(m.Hangup(placed.leg))
        case 2:
            line.send(m.Ring(incoming.leg, early_media=True))
            caller.send(m.Hangup(placed.leg))
        case 3:
            line.send(m.Answer(incoming.leg))
            line.send(m.Hangup(incoming.leg))
        case _:
            line.send(m.Answer(incoming.leg))
            line.send(m.Listen(incoming.leg, 1))
            await caller.expect(m.LegState, leg=placed.leg, state="answered")
            await asyncio.sleep(number % 4 * 0.02)
            caller.send(m.Hangup(placed.leg))
    await caller.expect(m.LegEnded, leg=placed.leg)
    await line.expect(m.LegEnded, leg=incoming.leg)

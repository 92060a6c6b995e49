"""Two line processes ring each other on loopback through real SIP and RTP; sipp answers what a trunk would."""

from __future__ import annotations

import asyncio
import itertools
import math
import struct
import wave
from pathlib import Path

import pytest
import pytest_asyncio
from line_driver import LineDriver
from sipp_peer import sipp

from ivr.line import messages as m
from ivr.line.settings import LineSettings, Peer

pytestmark = pytest.mark.asyncio(loop_scope="module")
_ports = itertools.count(21070)
_requests = itertools.count(1)
TRUNK_PORT = 21069


def tone(path: Path, *, hz: int = 440, ms: int = 1_000) -> str:
    """A mono 16 kHz WAV of one tone."""
    samples = (int(9_000 * math.sin(2 * math.pi * hz * n / m.RATE_HZ)) for n in range(m.RATE_HZ * ms // 1000))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, m.RATE_HZ, 0, "NONE", ""))
        file.writeframes(b"".join(struct.pack("<h", s) for s in samples))
    return str(path)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def lines():
    """`a` knows two trunks: `b`, which is the other process, and `trunk`, which sipp plays. `b` answers as PCMU."""
    b_peer = Peer("b", "127.0.0.1", 21061, from_user="1000", display_name="Bank")
    over_tcp = Peer("tcp", "127.0.0.1", 21061, transport="tcp", from_user="1001")
    trunk = Peer("trunk", "127.0.0.1", TRUNK_PORT, from_user="1000")
    first = LineSettings(
        name="a", sip_port=21060, rtp_port=21300, rtp_ports=60, peers=(b_peer, over_tcp, trunk), rtp_timeout_ms=1_500
    )
    second = LineSettings(name="b", sip_port=21061, rtp_port=21400, rtp_ports=60, codecs=("PCMU",))
    async with LineDriver(first) as a, LineDriver(second) as b:
        yield a, b
        for line in (a, b):
            assert line.log.count('"level": "error"') == 0


@pytest.fixture
def pair(lines):
    for line in lines:
        line.forget()
    return lines


async def dial(a: LineDriver, b: LineDriver, peer: str = "b") -> tuple[int, int]:
    """Place a call from a to b; the legs' ids there and here."""
    request = next(_requests)
    a.send(m.Dial(request, b.uri, peer))
    placed = await a.expect(m.Dialing, request=request)
    call = await b.expect(m.Incoming, sip_call_id=placed.sip_call_id)
    return placed.leg, call.leg


async def connect(a: LineDriver, b: LineDriver, peer: str = "b") -> tuple[int, int]:
    """A call from a to b, answered."""
    ours, theirs = await dial(a, b, peer)
    b.send(m.Answer(theirs))
    await a.expect(m.LegState, leg=ours, state="answered")
    await b.expect(m.LegState, leg=theirs, state="answered")
    return ours, theirs


async def hang_up(a: LineDriver, leg: int, b: LineDriver | None = None, other: int = 0) -> m.LegEnded:
    a.send(m.Hangup(leg))
    ended = await a.expect(m.LegEnded, leg=leg)
    if b is not None:
        await b.expect(m.LegEnded, leg=other)
    return ended


async def ask_trunk(a: LineDriver, scenario: str, **options: object) -> m.LegEnded:
    """Dial the trunk, which behaves as `scenario` says; how the leg ended."""
    keys = options.pop("keys", None)
    async with sipp(scenario, "127.0.0.1:21060", TRUNK_PORT, keys=keys) as trunk:
        await asyncio.sleep(0.3)
        request = next(_requests)
        a.send(m.Dial(request, f"sip:2000@127.0.0.1:{TRUNK_PORT}", "trunk", **options))
        placed = await a.expect(m.Dialing, request=request)
        ended = await a.expect(m.LegEnded, leg=placed.leg)
        await trunk.passes()
    return ended


async def test_a_full_process_dials_no_fifth_call(pair):
    a, b = pair
    legs = [await connect(a, b) for _ in range(a.ready.max_legs)]
    request = next(_requests)
    a.send(m.Dial(request, b.uri, "b"))
    assert (await a.expect(m.DialFailed, request=request)).cause == "full"
    for ours, theirs in legs:
        await hang_up(a, ours, b, theirs)


async def test_a_call_that_arrives_with_the_end_of_another_lives(pair):
    """BYE and INVITE are read in one turn: the new call takes the old one's slot while that is still to be freed."""
    a, b = pair
    others = [await connect(a, b) for _ in range(b.ready.max_legs - 2)]
    ours, theirs = await connect(a, b)
    for _ in range(12):
        request = next(_requests)
        a.send(m.Hangup(ours))
        a.send(m.Dial(request, b.uri, "b"))
        placed = await a.expect(m.Dialing, request=request)
        incoming = await b.expect(m.Incoming, sip_call_id=placed.sip_call_id)
        b.send(m.Answer(incoming.leg))
        await a.expect(m.LegEnded, leg=ours)
        await b.expect(m.LegEnded, leg=theirs)
        ours, theirs = placed.leg, incoming.leg
        await a.expect(m.LegState, leg=ours, state="answered")
        await b.expect(m.LegState, leg=theirs, state="answered")
    for one, other in [*others, (ours, theirs)]:
        assert (await hang_up(a, one, b, other)).by == "us"


@pytest.mark.parametrize("peer", ["b", "tcp"])
async def test_a_call_is_placed_rung_answered_and_ended(pair, peer):
    """From and display name are the peer's; states come in order on both sides; both hear of the end once."""
    a, b = pair
    ours, theirs = await dial(a, b, peer)
    assert b.seen(m.Incoming)[0].caller == ("1000" if peer == "b" else "1001")
    b.send(m.Ring(theirs))
    await a.expect(m.LegState, leg=ours, state="ringing")
    b.send(m.Answer(theirs))
    answered = await a.expect(m.LegState, leg=ours, state="answered")
    assert answered.codec == "PCMU"
    await asyncio.sleep(0.3)
    ended = await hang_up(a, ours, b, theirs)
    assert (ended.cause, ended.by) == ("hangup", "us")
    assert ended.quality.codec == "PCMU"
    assert ended.quality.packets > 5
    assert [(e.cause, e.by) for e in b.seen(m.LegEnded)] == [("hangup", "them")]


async def test_early_media_is_heard_before_the_answer(pair, tmp_path):
    """183 with a prompt: the caller hears it while the call is not answered."""
    a, b = pair
    ours, theirs = await dial(a, b)
    b.send(m.Ring(theirs, early_media=True))
    await a.expect(m.LegState, leg=ours, state="early")
    a.send(m.Listen(ours, 1))
    b.send(m.Play(theirs, 1, (m.Segment(tone(tmp_path / "tone.wav")),)))
    assert (await b.expect(m.PlayoutEnded, leg=theirs)).reason == "finished"
    assert not [e for e in a.seen(m.LegState) if e.state == "answered"]
    assert (await hang_up(a, ours, b, theirs)).code == 487


async def test_each_hears_what_the_other_plays(pair, tmp_path):
    """A tone played by one side is in the audio the other side captured, and the silence before it is not."""
    a, b = pair
    ours, theirs = await connect(a, b)
    recording = tmp_path / "call.wav"
    a.send(m.Record(ours, str(recording)))
    await asyncio.sleep(0.2)
    b.send(m.Play(theirs, 1, (m.Segment(tone(tmp_path / "tone.wav", ms=600)),)))
    await b.expect(m.PlayoutEnded, leg=theirs)
    await asyncio.sleep(0.2)
    await hang_up(a, ours, b, theirs)
    with wave.open(str(recording)) as file:
        assert file.getnchannels() == 2
        samples = struct.unpack(f"<{file.getnframes() * 2}h", file.readframes(file.getnframes()))[::2]
    loud = [n for n, s in enumerate(samples) if abs(s) > 3_000]
    assert 500 < (loud[-1] - loud[0]) / 8 < 700


async def test_keys_travel_both_ways(pair):
    a, b = pair
    ours, theirs = await connect(a, b)
    a.send(m.SendDtmf(ours, "12#"))
    for digit in "12#":
        assert (await b.expect(m.Dtmf, leg=theirs)).digit == digit
    b.send(m.SendDtmf(theirs, "7", "info"))
    key = await a.expect(m.Dtmf, leg=ours)
    assert (key.digit, key.method) == ("7", "info")
    await hang_up(a, ours, b, theirs)


async def test_two_legs_are_bridged_natively(pair, tmp_path):
    """a rings b twice and joins the two: what b plays into one comes out of the other; undone, it does not."""
    a, b = pair
    (one, far_one), (two, far_two) = await connect(a, b), await connect(a, b)
    a.send(m.Bridge(one, two))
    assert {(await a.expect(m.Bridged)).leg, (await a.expect(m.Bridged)).leg} == {one, two}
    b.send(m.Listen(far_two, 1, no_input_ms=0))
    sound = m.Segment(tone(tmp_path / "tone.wav", ms=700))
    recording = tmp_path / "far.wav"
    b.send(m.Record(far_two, str(recording)))
    b.send(m.Play(far_one, 1, (sound,)))
    await b.expect(m.PlayoutEnded, leg=far_one)
    a.send(m.Unbridge(one))
    await asyncio.sleep(0.2)
    b.send(m.Play(far_one, 2, (sound,)))
    await b.expect(m.PlayoutEnded, leg=far_one)
    await hang_up(a, one, b, far_one)
    await hang_up(a, two, b, far_two)
    with wave.open(str(recording)) as file:
        samples = struct.unpack(f"<{file.getnframes() * 2}h", file.readframes(file.getnframes()))[::2]
    assert 550 < sum(abs(s) > 1_000 for s in samples) / 8 / 0.9 < 900


async def test_the_end_of_one_leg_leaves_its_mate_alive(pair):
    a, b = pair
    (one, far_one), (two, far_two) = await connect(a, b), await connect(a, b)
    a.send(m.Bridge(one, two))
    await a.expect(m.Bridged)
    await hang_up(b, far_one, a, one)
    a.send(m.SendDtmf(two, "5"))
    assert (await b.expect(m.Dtmf, leg=far_two)).digit == "5"
    await hang_up(a, two, b, far_two)


@pytest.mark.parametrize(
    ("code", "cause"),
    [("486", "busy"), ("600", "busy"), ("480", "no_answer"), ("603", "rejected"), ("403", "rejected"),
     ("404", "unreachable"), ("503", "unreachable")],
)  # fmt: skip
async def test_a_refused_call_is_a_value(pair, code, cause):
    ended = await ask_trunk(pair[0], "uas-refuse", keys={"code": code})
    assert (ended.cause, ended.by, ended.code) == (cause, "them", int(code))


async def test_nobody_answers_in_time(pair):
    """The INVITE is cancelled and the outcome is no_answer, ours."""
    ended = await ask_trunk(pair[0], "uas-ring-expect-cancel", timeout_ms=700)
    assert (ended.cause, ended.by) == ("no_answer", "us")


async def test_nobody_is_there(pair):
    """No SIP at that port: the dial's own time limit ends it, a second later at most."""
    a, _ = pair
    request = next(_requests)
    a.send(m.Dial(request, "sip:2000@127.0.0.1:21099", "trunk", timeout_ms=500))
    placed = await a.expect(m.Dialing, request=request)
    ended = await a.expect(m.LegEnded, leg=placed.leg, timeout_s=3)
    assert ended.cause in ("no_answer", "unreachable")


async def test_a_redirect_is_not_followed(pair):
    """302 to a number that nobody listed: no second INVITE."""
    ended = await ask_trunk(pair[0], "uas-redirect-expect-no-follow", keys={"victim": str(next(_ports))})
    assert (ended.by, ended.code) == ("them", 302)
    assert len(pair[0].seen(m.Dialing)) == 1


async def test_an_unknown_peer_dials_nothing(pair):
    a, _ = pair
    request = next(_requests)
    a.send(m.Dial(request, "sip:2000@127.0.0.1:21099", "nobody"))
    assert (await a.expect(m.DialFailed, request=request)).cause == "not_allowed"


@pytest.mark.parametrize("scenario", ["uas-answer-expect-bye", "uas-early-answer-expect-bye"])
async def test_a_call_without_rtp_is_ended(pair, scenario):
    """sipp answers and sends no RTP: BYE after rtp_timeout_ms, which counts from the answer."""
    ended = await ask_trunk(pair[0], scenario)
    assert (ended.cause, ended.by) == ("rtp_timeout", "us")
    first = "early" if "early" in scenario else "ringing"
    assert [e.state for e in pair[0].seen(m.LegState)] == [first, "answered"]


async def test_a_call_on_hold_needs_no_rtp(pair):
    """Held for longer than rtp_timeout_ms: the caller's own BYE ends it."""
    a, _ = pair
    async with sipp("uac-hold-outlives-rtp-timeout-expect-200", "127.0.0.1:21060", next(_ports)) as caller:
        call = await a.expect(m.Incoming)
        a.send(m.Answer(call.leg))
        await caller.passes()
        ended = await a.expect(m.LegEnded, leg=call.leg)
    assert (ended.cause, ended.by) == ("hangup", "them")


@pytest.mark.parametrize(
    ("code", "outcome"), [("200", "accepted"), ("486", "busy"), ("603", "rejected"), ("480", "no_answer")]
)
async def test_the_outcome_of_a_blind_transfer_is_a_value(pair, code, outcome):
    """REFER, NOTIFYs, and what the last of them says; only an accepted transfer ends the leg."""
    a, _ = pair
    async with sipp("uas-refer-notify", "127.0.0.1:21060", TRUNK_PORT, keys={"code": code}) as trunk:
        await asyncio.sleep(0.3)
        request = next(_requests)
        a.send(m.Dial(request, f"sip:2000@127.0.0.1:{TRUNK_PORT}", "trunk"))
        placed = await a.expect(m.Dialing, request=request)
        await a.expect(m.LegState, leg=placed.leg, state="answered")
        a.send(m.Refer(placed.leg, "sip:3000@127.0.0.1"))
        transferred = await a.expect(m.Transferred, leg=placed.leg)
        assert (transferred.outcome, transferred.code) == (outcome, int(code))
        if outcome != "accepted":
            assert not a.seen(m.LegEnded)
            a.send(m.Hangup(placed.leg))
        ended = await a.expect(m.LegEnded, leg=placed.leg)
        assert ended.cause == ("transferred" if outcome == "accepted" else "hangup")
        await trunk.passes()


async def test_a_refused_refer_leaves_the_call_up(pair):
    a, _ = pair
    async with sipp("uas-refer-refuse", "127.0.0.1:21060", TRUNK_PORT, keys={"code": "603"}) as trunk:
        await asyncio.sleep(0.3)
        request = next(_requests)
        a.send(m.Dial(request, f"sip:2000@127.0.0.1:{TRUNK_PORT}", "trunk"))
        placed = await a.expect(m.Dialing, request=request)
        await a.expect(m.LegState, leg=placed.leg, state="answered")
        a.send(m.Refer(placed.leg, "sip:3000@127.0.0.1"))
        assert (await a.expect(m.Transferred, leg=placed.leg)).outcome == "rejected"
        await hang_up(a, placed.leg)
        await trunk.passes()


async def test_commands_to_a_leg_that_never_was_fail_in_words(pair):
    a, _ = pair
    a.send(m.Answer(9_999))
    assert (await a.expect(m.Failure, leg=9_999)).message == "Answer: no such leg"


async def test_commands_to_a_leg_just_ended_are_void(pair):
    """The brain cannot know yet; that is nobody's failure."""
    a, b = pair
    ours, theirs = await connect(a, b)
    await hang_up(a, ours, b, theirs)
    a.send(m.StopPlayout(ours))
    a.send(m.Hangup(ours))
    ours, theirs = await connect(a, b)
    await hang_up(a, ours, b, theirs)
    assert a.seen(m.Failure) == []

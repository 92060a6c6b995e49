"""The handle on a leg: what it remembers, and how its queue overflows."""

import asyncio

from ivr.line.messages import Audio, Bridged, Dtmf, Failure, Hangup, LegEnded, LegState, SpeechEnded, Transferred
from ivr.telephony.leg import AUDIO_DROPPED, AUDIO_LIMIT_BYTES, CONTROL_LIMIT, Events, Leg, LegInfo

SECOND = b"\0" * 32_000


def audio(utterance: int) -> Audio:
    return Audio(1, utterance, SECOND)


def leg(direction: str = "in", may_refer=lambda target, _leg: target) -> tuple[Leg, list]:
    sent: list = []
    return Leg("0.1.1", 1, LegInfo(direction, "400"), sent.append, may_refer), sent


async def drain(events: Events, count: int) -> list:
    return [await anext(events) for _ in range(count)]


async def test_events_come_in_order_and_end_after_leg_ended():
    events = Events()
    said = [LegState(1, "answered"), audio(1), Dtmf(1, "5", 20), LegEnded(1, "hangup", "them")]
    assert all(events.put(event) for event in said)
    assert [event async for event in events] == said
    assert [event async for event in events] == []


async def test_a_reader_that_waits_is_woken():
    events = Events()
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    events.put(Dtmf(1, "1", 0))
    assert (await waiting).digit == "1"


async def test_too_much_audio_drops_the_rest_of_that_utterance_and_says_so_once():
    events = Events()
    held = AUDIO_LIMIT_BYTES // len(SECOND)
    for _ in range(held + 5):
        assert events.put(audio(1))
    ended = SpeechEnded(1, 1, 0, 35_000, 35_000, "endpoint")
    events.put(ended)
    got = await drain(events, held + 2)
    assert [type(e) for e in got] == [Audio] * held + [Failure, SpeechEnded]
    assert got[-2].message == AUDIO_DROPPED
    events.put(audio(1))
    events.put(audio(2))
    assert (await anext(events)).utterance == 2


async def test_control_is_never_dropped_but_a_reader_who_gave_up_is_told_of():
    events = Events()
    answers = [events.put(Dtmf(1, "1", n)) for n in range(CONTROL_LIMIT + 1)]
    assert answers == [True] * (CONTROL_LIMIT - 1) + [False, False]
    assert len(await drain(events, CONTROL_LIMIT + 1)) == CONTROL_LIMIT + 1


async def test_commands_on_a_leg_that_is_over_go_nowhere():
    handle, sent = leg()
    handle.hangup()
    handle.take(LegEnded(1, "hangup", "us"))
    handle.hangup()
    handle.play([])
    assert sent == [Hangup(1, 0, "hangup")]
    assert handle.state == "ended"
    assert not await handle.wait_answered()


async def test_state_follows_the_line():
    handle, _ = leg("out")
    seen = [handle.state]
    for state in ("ringing", "early", "answered", "held", "resumed"):
        handle.take(LegState(1, state, "PCMA" if state == "answered" else ""))
        seen.append(handle.state)
    assert seen == ["dialing", "ringing", "early", "answered", "held", "answered"]
    assert handle.codec == "PCMA"
    assert await handle.wait_answered()


async def test_playouts_and_turns_are_numbered_and_the_language_is_the_numbers_own():
    handle, sent = leg()
    assert [handle.play([]), handle.play([], append_to=1, more=True), handle.play([])] == [1, 1, 2]
    assert [handle.listen(), handle.listen(language="zh")] == [1, 2]
    assert [c.append for c in sent[:3]] == [False, True, False]
    assert [c.language for c in sent[3:]] == ["en", "zh"]


async def test_refer_has_its_outcome():
    handle, sent = leg()
    asking = asyncio.ensure_future(handle.refer("sip:401@pbx"))
    await asyncio.sleep(0)
    assert sent[-1].target == "sip:401@pbx"
    handle.take(Transferred(1, "busy", 486))
    assert await asking == "busy"


async def test_refer_of_a_leg_that_ends_has_failed():
    handle, _ = leg()
    asking = asyncio.ensure_future(handle.refer("sip:401@pbx"))
    await asyncio.sleep(0)
    handle.take(LegEnded(1, "hangup", "them"))
    assert await asking == "failed"
    assert await handle.refer("sip:401@pbx") == "failed"


async def test_refer_to_what_may_not_be_dialled_sends_nothing():
    handle, sent = leg(may_refer=lambda _target, _leg: "")
    assert await handle.refer("112") == "rejected"
    assert sent == []


async def test_a_bridge_waits_for_its_own_effect():
    handle, _ = leg()
    handle.take(Bridged(1))
    handle.bridging(Hangup(1))
    waiting = asyncio.ensure_future(handle.wait_bridged())
    await asyncio.sleep(0)
    assert not waiting.done()
    handle.take(LegEnded(1, "hangup", "them"))
    assert not await waiting

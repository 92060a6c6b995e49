"""The test caller against itself, over real sockets on loopback."""

import asyncio
import json
import socket
import wave

import numpy as np
import pytest

from ivr.caller import Caller, CallFailed, main
from ivr.caller.sip import reply
from ivr.caller.speak import speak
from ivr.caller.talk import rms


def tone(seconds: float, hz: float = 440.0) -> np.ndarray:
    return (8000 * np.sin(2 * np.pi * hz * np.arange(int(8000 * seconds)) / 8000)).astype(np.int16)


@pytest.fixture
async def pair():
    async with Caller(user="called") as called, Caller(user="calling") as calling:
        yield calling, called


async def answer_with(called: Caller, pcm: np.ndarray) -> list:
    calls = []

    async def handle(call):
        calls.append(call)
        await call.ring()
        await call.accept()
        await call.say(pcm)

    called.listen(handle)
    return calls


async def test_a_call_is_answered_heard_and_ended_by_the_called_side(pair):
    calling, called = pair
    calls = await answer_with(called, tone(0.4))
    call = await calling.dial(called.contact)
    assert await call.quiet(0.2, 5)
    await calls[0].hangup()
    assert await call.wait_for(lambda: call.over, 2)
    report = call.report()
    assert (report["ended_by"], report["code"], report["codec"]) == ("them", 200, "PCMU")
    assert report["rtp"]["lost"] == 0
    assert rms(call.heard()) > 1000
    assert [e["what"] for e in call.timeline][:4] == ["invite", "trying", "ringing", "answered"]


async def test_keys_go_both_ways_as_events_and_as_info(pair):
    calling, called = pair
    calls = await answer_with(called, tone(0.1))
    call = await calling.dial(called.contact)
    await call.press("12#", duration_ms=60)
    await call.press("9", method="info")
    await calls[0].press("5", duration_ms=60)
    assert await calls[0].wait_for(lambda: len(calls[0].keys) == 4, 3)
    assert await call.wait_for(lambda: call.keys, 3)
    assert (calls[0].keys, call.keys) == ("12#9", "5")
    assert call.media.reception.duplicates == 0


async def test_speaking_into_a_call_that_is_over_ends_at_once(pair):
    calling, called = pair
    await answer_with(called, tone(0.1))
    call = await calling.dial(called.contact)
    await call.hangup()
    async with asyncio.timeout(4):
        await call.say(tone(5.0))
        await call.press("123")


async def test_a_turn_is_answered_after_its_last_sample(pair):
    calling, called = pair

    async def handle(call):
        await call.accept()
        await call.say(tone(0.2))
        heard = call.media.talk.spells
        await call.wait_for(lambda: any(s.what == "quiet" for s in heard), 5)
        await call.say(tone(0.2))

    called.listen(handle)
    call = await calling.dial(called.contact)
    await call.quiet(0.3, 5)
    turn = await call.turn(tone(0.5), "tone", timeout_s=5)
    assert turn.gap_s > 0
    assert not turn.cut_off
    assert turn.answered_s > turn.ended_s > turn.began_s


async def test_an_answer_before_the_end_is_a_cut_off(pair):
    calling, called = pair

    async def handle(call):
        await call.accept()
        await call.talking(5)
        await call.say(tone(0.2))

    called.listen(handle)
    call = await calling.dial(called.contact)
    turn = await call.turn(tone(1.5), timeout_s=0.2)
    assert turn.cut_off
    assert turn.gap_s is None


async def test_hold_and_resume_are_seen_by_the_far_end(pair):
    calling, called = pair
    calls = await answer_with(called, tone(0.1))
    call = await calling.dial(called.contact)
    await call.hold()
    await call.hold(False)
    seen = [e["what"] for e in calls[0].timeline]
    assert seen.index("they_hold") < seen.index("they_resume")


@pytest.mark.parametrize("status", [403, 404, 486, 488, 503])
async def test_a_refusal_comes_with_its_code_and_words(pair, status):
    calling, called = pair

    async def handle(call):
        await call.reject(status)

    called.listen(handle)
    with pytest.raises(CallFailed, match=f"^{status} ") as failed:
        await calling.dial(called.contact)
    assert failed.value.code == status


async def test_nobody_at_the_port_is_noticed_at_once(pair):
    calling, _ = pair
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(CallFailed, match="nobody listens"):
        await calling.dial(f"sip:400@127.0.0.1:{port}")


async def test_a_silent_port_times_out_in_words(pair):
    calling, _ = pair
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        with pytest.raises(CallFailed, match="nothing answered"):
            await calling.dial(f"sip:400@127.0.0.1:{deaf.getsockname()[1]}", timeout_s=0.2)


async def test_ringing_unanswered_is_cancelled(pair):
    calling, called = pair
    calls = []

    async def handle(call):
        calls.append(call)
        await call.ring()
        await call.wait_for(lambda: call.over, 5)

    called.listen(handle)
    with pytest.raises(CallFailed, match="nobody answered"):
        await calling.dial(called.contact, ring_s=0.2)
    assert (calls[0].ended_by, calls[0].code) == ("them", 487)


async def test_an_answer_that_crosses_our_cancel_is_acknowledged_and_ended(pair):
    calling, called = pair
    calls, invited = [], asyncio.Event()

    async def handle(call):
        calls.append(call)
        invited.set()
        await asyncio.sleep(0.1)
        await call.accept()

    called.listen(handle)
    dialling = asyncio.create_task(calling.dial(called.contact))
    await invited.wait()
    calls[0]._on_cancel = lambda request, source: called.socket.respond(request, reply(request, 200), source)
    dialling.cancel()
    await asyncio.wait({dialling})
    assert await calls[0].wait_for(lambda: calls[0].over, 3)
    assert calls[0].answered_at is not None
    assert calls[0].ended_by == "them"


async def test_an_answer_that_lies_unread_when_we_give_up_is_ended_without_waiting_for_its_repeat(pair, monkeypatch):
    calling, called = pair
    calls = await answer_with(called, tone(0.1))
    put, dialling = asyncio.Queue.put_nowait, None

    def give_up(queue, item):
        put(queue, item)
        if getattr(item, "status", 0) == 200 and item.cseq[1] == "INVITE":
            dialling.cancel()

    monkeypatch.setattr(asyncio.Queue, "put_nowait", give_up)
    monkeypatch.setattr("ivr.caller.call.T1_S", 60)
    dialling = asyncio.create_task(calling.dial(called.contact))
    await asyncio.wait({dialling})
    assert dialling.cancelled()
    assert await calls[0].wait_for(lambda: calls[0].over, 5), "nobody acknowledged it or hung up"
    assert calls[0].ended_by == "them"


async def test_no_common_codec_is_488():
    async with Caller(codecs=("PCMA",)) as called, Caller(codecs=("PCMU",)) as calling:
        await answer_with(called, tone(0.1))
        with pytest.raises(CallFailed, match="no codec in common"):
            await calling.dial(called.contact)


async def test_a_strangers_transfer_is_declined_and_a_wanted_one_followed(pair):
    calling, called = pair
    calls = await answer_with(called, tone(0.1))
    call = await calling.dial(called.contact)
    theirs = calls[0]
    refer = theirs.dialog.request("REFER")
    refer.set("refer-to", f"<{called.contact}>")
    assert (await called.socket.request(refer, theirs.dialog.hop())).status == 603
    call.accept_refer = True
    refer = theirs.dialog.request("REFER")
    refer.set("refer-to", f"<{called.contact}>")
    assert (await called.socket.request(refer, theirs.dialog.hop())).status == 202
    assert await call.wait_for(lambda: call.referred is not None, 3)
    assert call.referred.state == "answered"


async def test_options_are_answered(pair):
    calling, called = pair
    response = await calling.options(called.contact)
    assert response.status == 200
    assert "INVITE" in response.get("allow")


async def test_twelve_calls_at_once_lose_nothing(pair):
    calling, called = pair
    await answer_with(called, tone(1.0))
    calls = await asyncio.gather(*(calling.dial(called.contact) for _ in range(12)))
    assert all(await asyncio.gather(*(c.quiet(0.1, 8) for c in calls)))
    assert len({c.media.port for c in calls}) == 12
    assert [c.media.reception.lost for c in calls] == [0] * 12
    await asyncio.gather(*(c.hangup() for c in calls))
    assert {c.ended_by for c in calls} == {"us"}


async def test_the_command_prints_records_and_writes_json(pair, tmp_path, capsys):
    _, called = pair

    async def handle(call):
        await call.accept()
        await call.say(tone(0.3))
        heard = call.media.talk.spells
        await call.wait_for(lambda: any(s.what == "quiet" for s in heard), 8)
        await call.say(tone(0.3))
        await call.wait_for(lambda: call.keys == "1#", 8)
        await call.hangup()

    called.listen(handle)
    wav, out = tmp_path / "out.wav", tmp_path / "out.json"
    command = [called.contact, "--say", "hello there", "--keys", "1#", "--quiet", "0.3", "--max", "20"]
    code = await asyncio.to_thread(main, [*command, "--record", str(wav), "--json", str(out)])
    printed = capsys.readouterr().out
    assert code == 0
    assert "their answer begins" in printed
    assert json.loads(out.read_text())["turns"][0]["gap_s"] > 0
    with wave.open(str(wav)) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 8000)
        stereo = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    assert rms(stereo[:, 0]) > 100
    assert rms(stereo[:, 1]) > 100


async def test_the_command_says_why_nobody_answered(capsys):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert await asyncio.to_thread(main, [f"sip:400@127.0.0.1:{port}"]) == 1
    assert "nobody listens" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "language"), [("I lost my card", "en"), ("我的卡丢了", "zh")])
def test_texts_are_spoken_at_telephone_rate(text, language):
    pcm = speak(text, language)
    assert 0.4 < len(pcm) / 8000 < 4
    assert rms(pcm) > 500

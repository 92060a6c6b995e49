"""Messages that callers leave: what ends one, what is kept of it, what is thrown away."""

from __future__ import annotations

import asyncio
import os
import time
import wave

import pytest

from ivr import voicemail
from ivr.dialog.state import Recorded, TakeMessage
from ivr.line.messages import Audio, Dtmf, NoInput, SpeechEnded, SpeechStarted

TEN_MS = bytes(320)


class Leg:
    """A leg of which only listening matters: it notes what it is told."""

    id = "leg"

    def __init__(self) -> None:
        self.told: list[dict] = []
        self.stopped = 0

    def listen(self, **how) -> int:
        self.told.append(how)
        return 7

    def stop_listening(self) -> None:
        self.stopped += 1


class Desk:
    def __init__(self, folder) -> None:
        self.leg, self.folder, self.posted, self.tasks = Leg(), folder, [], []
        self.taker = voicemail.MessageTaker(self.leg, folder, self.posted.append, self._spawn)

    def _spawn(self, work):
        self.tasks.append(asyncio.ensure_future(work))
        return self.tasks[-1]

    async def take(self, *events, max_s: int = 60) -> list[Recorded]:
        self.taker.take(TakeMessage(max_s, 3_000, "zh"))
        for event in events:
            self.taker.on(event)
        await asyncio.gather(*self.tasks)
        return self.posted


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path / "messages")


STARTED = SpeechStarted(1, 7, 3, 0)
ENDED = SpeechEnded(1, 3, 0, 20, 20, "endpoint")


async def test_a_message_is_what_was_said_until_the_long_silence(desk):
    (kept,) = await desk.take(STARTED, Audio(1, 3, TEN_MS), Audio(1, 3, TEN_MS), ENDED)
    assert kept.duration_ms == 20
    with wave.open(str(desk.folder / kept.name)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getnframes()) == (16_000, 1, 320)
    assert desk.leg.told[0]["wait_ms"] == 3_000
    assert desk.leg.told[0]["max_speech_ms"] == 60_000


async def test_hash_ends_it(desk):
    (kept,) = await desk.take(STARTED, Audio(1, 3, TEN_MS), Dtmf(1, "#", 0))
    assert kept.duration_ms == 10
    assert desk.leg.stopped == 1


async def test_other_keys_do_not(desk):
    assert await desk.take(STARTED, Audio(1, 3, TEN_MS), Dtmf(1, "5", 0)) == []
    assert desk.taker.taking


async def test_silence_leaves_no_file(desk):
    assert await desk.take(NoInput(1, 7)) == [Recorded("")]
    assert not desk.folder.exists()


async def test_it_is_cut_at_its_longest(desk):
    (kept,) = await desk.take(STARTED, *[Audio(1, 3, TEN_MS * 60)] * 3, ENDED, max_s=1)
    assert kept.duration_ms == 1_000


async def test_audio_of_another_utterance_is_not_in_it(desk):
    (kept,) = await desk.take(STARTED, Audio(1, 2, TEN_MS), Audio(1, 3, TEN_MS), ENDED)
    assert kept.duration_ms == 10


async def test_what_was_said_before_the_caller_hung_up_is_kept(desk):
    await desk.take(STARTED, Audio(1, 3, TEN_MS))
    desk.taker.close()
    assert len(list(desk.folder.glob("*.wav"))) == 1


async def test_a_folder_that_cannot_be_written_is_a_message_that_was_not_kept(desk, tmp_path):
    (tmp_path / "messages").write_text("a file stands in the way")
    assert await desk.take(STARTED, Audio(1, 3, TEN_MS), ENDED) == [Recorded("", 10)]


def test_old_messages_are_purged(tmp_path):
    for name, days in (("old", 91), ("new", 89)):
        path = tmp_path / f"{name}.wav"
        path.write_bytes(b"")
        os.utime(path, (time.time() - days * 86_400,) * 2)
    voicemail.purge(tmp_path, 90)
    assert [p.name for p in tmp_path.iterdir()] == ["new.wav"]

"""Sounds and Recorder: WAV files in and out."""

from __future__ import annotations

import os
import stat
import wave

import numpy as np
import pytest

from ivr.errors import Unavailable
from ivr.line.recorder import Recorder
from ivr.line.sounds import MAPPED_BYTES, Sounds


def write(path, samples: int, rate: int = 16_000, channels: int = 1) -> bytes:
    pcm = (np.arange(samples * channels) % 30_000).astype(np.int16).tobytes()
    with wave.open(str(path), "wb") as sound:
        sound.setparams((channels, 2, rate, 0, "NONE", ""))
        sound.writeframes(pcm)
    return pcm


def test_a_file_is_read_once(tmp_path):
    path = tmp_path / "a.wav"
    pcm = write(path, 1000)
    sounds = Sounds()
    first = sounds.load(str(path))
    assert first == pcm
    assert sounds.load(str(path)) is first


def test_a_changed_file_is_read_again(tmp_path):
    path = tmp_path / "a.wav"
    write(path, 1000)
    sounds = Sounds()
    sounds.load(str(path))
    pcm = write(path, 1200)
    assert sounds.load(str(path)) == pcm


def test_the_cache_is_bounded_and_drops_the_oldest(tmp_path):
    sounds = Sounds(cache_bytes=5000)
    paths = [str(tmp_path / f"{n}.wav") for n in range(3)]
    for path in paths:
        write(path, 1000)
    first = sounds.load(paths[0])
    second = sounds.load(paths[1])
    sounds.load(paths[2])
    assert sounds.load(paths[1]) is second
    assert sounds.load(paths[0]) is not first


def test_a_long_file_is_mapped(tmp_path):
    path = tmp_path / "music.wav"
    pcm = write(path, MAPPED_BYTES // 2 + 4000)
    sound = Sounds(cache_bytes=0).load(str(path))
    assert isinstance(sound, memoryview)
    assert bytes(sound) == pcm


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (16_000, 2)])
def test_other_formats_are_refused(tmp_path, rate, channels):
    path = tmp_path / "a.wav"
    write(path, 100, rate, channels)
    with pytest.raises(Unavailable, match="16 kHz mono"):
        Sounds().load(str(path))


@pytest.mark.parametrize("content", [None, b"", b"RIFF", b"hello there, this is text" * 10])
def test_missing_and_broken_files_are_unavailable(tmp_path, content):
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Unavailable, match="prompt file"):
        Sounds().load(str(path))


def recorded(path) -> np.ndarray:
    with wave.open(str(path)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (8_000, 2, 2)
        return np.frombuffer(sound.readframes(sound.getnframes()), np.int16).reshape(-1, 2)


def frame(value: float) -> np.ndarray:
    return np.full(160, value, np.float32)


def test_a_recording_has_the_caller_left_and_us_right(tmp_path):
    path = tmp_path / "calls" / "r.wav"
    recorder = Recorder(str(path))
    for _ in range(3):
        recorder.write(frame(100), frame(-200))
    recorder.close()
    assert (recorded(path) == [100, -200]).all()
    assert len(recorded(path)) == 480
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_muted_frames_are_silence_on_both_sides(tmp_path):
    path = tmp_path / "r.wav"
    recorder = Recorder(str(path))
    for muted in (False, True, False):
        recorder.muted = muted
        recorder.write(frame(100), frame(200))
    recorder.close()
    assert [bool(recorded(path)[i * 160 : i * 160 + 160].any()) for i in range(3)] == [True, False, True]


def test_a_recording_that_was_never_closed_plays(tmp_path):
    path = tmp_path / "r.wav"
    recorder = Recorder(str(path))
    for _ in range(120):
        recorder.write(frame(1), frame(1))
    assert len(recorded(path)) == 100 * 160


def test_loud_frames_are_clipped_not_wrapped(tmp_path):
    path = tmp_path / "r.wav"
    recorder = Recorder(str(path))
    recorder.write(frame(40_000), frame(-40_000))
    recorder.close()
    assert (recorded(path) == [32767, -32768]).all()

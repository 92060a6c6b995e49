"""Who answered, on lines that make it hard: nobody is hung up on, and nothing that is no voice passes for one."""

import numpy as np
import pytest
from made_up import GREETING, RATE_HZ, hiss, silence, speech, told, tone, verdicts

from ivr.line.amd import Watch
from ivr.line.messages import AnsweredBy
from ivr.line.settings import Amd

PERSON = (silence(0.3), speech(0.6), silence(4))
MACHINE = (silence(0.3), *GREETING, silence(1))
RINGING = {
    "European": (tone(1, 425), silence(4)),
    "Chinese": (tone(1, 450), silence(4)),
    "American": (tone(2, 440, 480), silence(4)),
    "British": (tone(0.4, 400, 450), silence(0.2), tone(0.4, 400, 450), silence(2)),
    "Chinese busy": (tone(0.35, 450), silence(0.35)),
    "American busy": (tone(0.5, 480, 620), silence(0.5)),
}


def comfort_noise(seconds, steps_db=()):
    """Low noise that changes its level every half second."""
    noise = np.convolve(np.random.default_rng(3).standard_normal(int(RATE_HZ * seconds)), np.full(8, 0.3), "same")
    levels = np.repeat([60 * 10 ** (db / 20) for db in (0, *steps_db)], RATE_HZ // 2)
    return noise * np.resize(levels, len(noise))


def hold_music(seconds, beats_per_minute):
    """Broken chords that fade."""
    at, step = np.arange(int(RATE_HZ * seconds)) / RATE_HZ, 60 / beats_per_minute
    beat = (at / step).astype(int)
    fading = np.exp(-(at - beat * step) / 0.3)
    roots = np.array([262.0, 220.0, 175.0, 196.0])[beat // 4 % 4] * (beat % 3 + 1)
    return sum(1_500 * fading * np.sin(2 * np.pi * roots * part * at) for part in (1.0, 1.26, 1.5))


def mean_shifted(parts, by):
    return [part + by for part in parts]


@pytest.mark.parametrize("steps_db", [(), (3, -3), (6, 0, -4, 2)])
def test_comfort_noise_is_nobody(steps_db):
    assert [v.verdict for v in verdicts(comfort_noise(10, steps_db), noise=0)] == ["unsure"]


@pytest.mark.parametrize("beats_per_minute", [60, 100, 140])
def test_hold_music_is_nobody_who_waits(beats_per_minute):
    found = verdicts(silence(0.3), hold_music(12, beats_per_minute))
    assert found[0].verdict in ("unsure", "machine")


def test_a_fax_that_calls_is_a_machine_that_takes_no_message():
    assert told(verdicts(silence(1.8), *(tone(0.5, 1_100), silence(3)) * 3)) == [("machine", "fax")]
    beeped = verdicts(silence(0.3), *GREETING, silence(0.5), tone(0.5, 1_100), silence(1))
    assert told(beeped)[-1] == ("machine_ready", "beep")


@pytest.mark.parametrize("noise", [3.0, 300.0])
@pytest.mark.parametrize("kind", RINGING)
def test_ringing_behind_the_answer_is_nobody(kind, noise):
    rings = RINGING[kind] * (3 if kind != "Chinese busy" else 8)
    found = told(verdicts(silence(0.5), *rings, silence(4), noise=noise))
    assert found in ([("unsure", "silence")], [("unsure", "noise")])


@pytest.mark.parametrize("kind", RINGING)
def test_who_comes_to_the_telephone_after_more_ringing_is_heard(kind):
    ring = RINGING[kind][:-1]
    begin_s = 0.2 + sum(map(len, ring)) / RATE_HZ + 1.0
    found = verdicts(silence(0.2), *ring, silence(1), speech(0.5), silence(4))
    assert told(found) == [("human", "stopped")]
    assert found[0].end_ms == pytest.approx(1000 * (begin_s + 0.5), abs=120)


def test_who_says_nothing_is_unsure_and_may_speak_later():
    assert told(verdicts(silence(5), speech(0.5), silence(4))) == [("unsure", "silence")]
    found = verdicts(silence(5), *GREETING, silence(0.5), tone(0.4, 1_000), silence(1))
    assert told(found)[0] == ("unsure", "silence")
    assert told(found)[-1] == ("machine_ready", "beep")


@pytest.mark.parametrize("pause_s", [0.6, 1.2, 2.0, 3.0])
def test_who_says_hello_again_and_again_is_a_human(pause_s):
    hellos = (speech(0.4), silence(pause_s)) * 3
    assert [v.verdict for v in verdicts(silence(0.5), *hellos, silence(4))] == ["human"]


@pytest.mark.parametrize("gain", [0.05, 8.0, 40.0])
def test_whispering_and_clipping_lines(gain):
    noise = min(3.0, 30 * gain)
    assert told(verdicts(*(gain * part for part in PERSON), noise=noise)) == [("human", "stopped")]
    assert told(verdicts(*(gain * part for part in MACHINE), noise=noise))[0] == ("machine", "cadence")


def test_too_soft_to_be_heard_is_unsure():
    assert told(verdicts(*(0.01 * part for part in MACHINE), noise=1.0)) == [("unsure", "silence")]


@pytest.mark.parametrize("background", [0.0, 300.0])
def test_a_line_that_sends_nothing_in_pauses(background):
    """Discontinuous transmission: noise with the speech, digital silence between."""
    person, machine = ([hiss(p, background) if p.any() else p for p in parts] for parts in (PERSON, MACHINE))
    assert told(verdicts(*person, noise=0)) == [("human", "stopped")]
    assert told(verdicts(*machine, noise=0))[0] == ("machine", "cadence")


def test_a_line_that_is_off_centre_or_hums():
    assert told(verdicts(*mean_shifted(PERSON, 3_000))) == [("human", "stopped")]
    assert told(verdicts(*mean_shifted(MACHINE, 3_000)))[0] == ("machine", "cadence")
    person, machine = np.concatenate(PERSON), np.concatenate(MACHINE)
    hum = 400 * np.sin(2 * np.pi * 50 * np.arange(len(machine)) / RATE_HZ)
    assert told(verdicts(person + hum[: len(person)])) == [("human", "stopped")]
    assert told(verdicts(machine + hum))[0] == ("machine", "cadence")
    assert told(verdicts(hum[: 6 * RATE_HZ])) == [("unsure", "noise")]


def test_clicks_are_nobody():
    clicks = silence(6)
    clicks[::4_001] = 20_000
    assert told(verdicts(clicks)) == [("unsure", "silence")]


def test_a_click_or_a_lost_packet_in_a_beep_does_not_end_it():
    for spoilt in (silence(0.02), hiss(silence(0.04), 5_000)):
        beep = tone(0.5, 1_000)
        beep[2_400 : 2_400 + len(spoilt)] = spoilt
        found = verdicts(silence(0.3), *GREETING, silence(0.5), beep, silence(1))
        assert told(found)[-1] == ("machine_ready", "beep")
        begin_s = 0.3 + sum(map(len, GREETING)) / RATE_HZ + 0.5
        assert found[-1].end_ms == pytest.approx(1000 * (begin_s + 0.5), abs=40)


def test_anything_may_come_out_of_a_line():
    rng = np.random.default_rng(7)
    for _ in range(6):
        watch = Watch(1, Amd(decide_ms=3_000, watch_ms=4_000, silence_ms=2_000))
        parts = rng.integers(0, 5, 220)
        for part in parts:
            kind = (np.zeros(160), rng.standard_normal(160) * 30_000, np.full(160, 32_767.0), tone(0.02, 1_000),
                    speech(0.02))[part]  # fmt: skip
            watch.push(kind.astype(np.float32))
        assert [type(e) for e in watch.events].count(AnsweredBy) == 1
        assert len(watch.events) <= 3

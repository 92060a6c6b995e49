"""Who answered: verdicts on made-up speech, frame by frame, and the beeps that end a greeting."""

import msgspec
import numpy as np
import pytest
from made_up import GREETING, RATE_HZ, frames, hiss, silence, speech, told, tone, verdicts

from ivr.line.amd import LONGEST_PAUSE_S, SHORTEST_PAUSE_S, Detector, Watch
from ivr.line.beeps import Beeps
from ivr.line.messages import AnsweredBy, MachineAfterAll, MachineReady
from ivr.line.settings import Amd


@pytest.mark.parametrize("length_s", [0.3, 0.5, 1.0, 2.0, 3.5])
def test_who_speaks_and_waits_is_a_human(length_s):
    found = verdicts(silence(0.3), speech(length_s), silence(8))
    assert told(found) == [("human", "stopped")]
    waited_ms = found[0].at_ms - found[0].end_ms
    assert 1000 * SHORTEST_PAUSE_S <= waited_ms <= 1000 * LONGEST_PAUSE_S
    assert abs(found[0].end_ms - 1000 * (0.3 + length_s)) <= 120


def test_a_short_hello_is_decided_within_a_second_and_a_half():
    assert verdicts(silence(0.4), speech(0.35), silence(4))[0].at_ms <= 1_500


def test_who_goes_on_is_a_machine_and_ready_after_the_beep():
    begin_s = sum(map(len, GREETING)) / RATE_HZ + 0.2 + 0.6
    found = verdicts(silence(0.2), *GREETING, silence(0.6), tone(0.4, 1_000), silence(3))
    assert told(found) == [("machine", "cadence"), ("machine_ready", "beep")]
    assert found[0].at_ms < 1000 * begin_s
    assert abs(found[1].end_ms - 1000 * (begin_s + 0.4)) <= 20
    assert found[0].phrases >= 2
    assert found[0].bursts >= 6


def test_a_short_opening_and_a_pause_make_no_human_of_a_machine():
    found = verdicts(silence(0.2), speech(0.9), silence(0.8), *GREETING, silence(1))
    assert told(found)[0] == ("machine", "cadence")


def test_a_machine_that_was_greeted_and_talks_on_is_found_out():
    found = verdicts(silence(0.2), speech(0.35), silence(0.95), *GREETING, silence(3))
    assert told(found) == [("human", "stopped"), ("machine", "talks_on"), ("machine_ready", "end_of_greeting")]


def test_a_human_who_talks_to_us_later_stays_one():
    answers = [part for _ in range(6) for part in (speech(2.0), silence(2.2))]
    assert told(verdicts(silence(0.3), speech(0.4), silence(2.5), *answers)) == [("human", "stopped")]


def test_the_cost_of_hanging_up_on_a_human_moves_the_verdict():
    parts = (silence(0.3), speech(1.2), silence(0.35), speech(2.4), silence(4))
    assert told(verdicts(*parts, hang_up_cost=1))[0] == ("machine", "cadence")
    assert [v.verdict for v in verdicts(*parts, hang_up_cost=500)] == ["unsure"]
    cheap, dear = (verdicts(silence(0.2), *GREETING, hang_up_cost=cost)[0] for cost in (5, 500))
    assert cheap.verdict == dear.verdict == "machine"
    assert cheap.at_ms < dear.at_ms


@pytest.mark.parametrize(("gain", "snr_db"), [(0.1, 40), (0.1, 15), (3.0, 40), (3.0, 15)])
def test_levels_and_noise_do_not_matter(gain, snr_db):
    noise = gain * 6_000 * 0.4 / 10 ** (snr_db / 20)
    person = verdicts(silence(0.3), gain * speech(0.6), silence(5), noise=noise)
    machine = verdicts(silence(0.3), *(gain * part for part in GREETING), silence(0.5), noise=noise)
    assert (told(person), told(machine)) == ([("human", "stopped")], [("machine", "cadence")])


def test_nobody_speaks():
    assert [(v.verdict, v.cause, v.at_ms) for v in verdicts(silence(6))] == [("unsure", "silence", 4_000)]
    assert told(verdicts(silence(6), noise=700.0)) == [("unsure", "noise")]
    chord = tone(9, 330, 415, 494, peak=2_000)
    assert told(verdicts(silence(1.5), chord)) == [("unsure", "music")]


def test_there_is_a_verdict_in_any_case():
    found = verdicts(silence(0.2), *GREETING, *GREETING, hang_up_cost=1e6, machine_share=0.01, decide_ms=3_000)
    assert (found[0].verdict, found[0].cause, found[0].at_ms) == ("unsure", "undecided", 3_000)


def test_a_machine_is_ready_once_without_a_beep_when_its_greeting_has_ended():
    found = verdicts(silence(0.2), *GREETING, silence(3), tone(0.3, 700), silence(1))
    assert told(found) == [("machine", "cadence"), ("machine_ready", "end_of_greeting")]
    assert found[1].at_ms - found[1].end_ms == pytest.approx(2_000, abs=20)


def test_a_machine_that_never_ends_is_left_at_the_end_of_the_watch():
    detector = Detector(Amd(watch_ms=9_000))
    found = [v for frame in frames(hiss(speech(12), 3)) if (v := detector.push(frame)) is not None]
    assert told(found) == [("machine", "cadence"), ("machine_ready", "timeout")]
    assert found[1].at_ms == 9_000
    assert detector.over


def test_special_information_tones_and_fax_answers_are_machines_but_not_ready():
    information = (tone(0.33, 950), tone(0.33, 1_400), tone(0.33, 1_800))
    assert told(verdicts(silence(0.3), *information, silence(1))) == [("machine", "information")]
    assert told(verdicts(silence(0.3), tone(3.0, 2_100), silence(1))) == [("machine", "fax")]


def events(*parts, **settings):
    watch = Watch(7, Amd(**settings))
    for frame in frames(hiss(np.concatenate(parts), 3)):
        watch.push(frame)
    return list(watch.events)


def test_the_brain_is_told_who_answered_once_and_when_a_machine_is_ready():
    found = events(silence(0.2), *GREETING, silence(0.6), tone(0.4, 1_000), silence(1), tone(0.4, 1_000), silence(1))
    assert [(type(e), e.leg, e.cause) for e in found] == [(AnsweredBy, 7, "cadence"), (MachineReady, 7, "beep")]
    assert found[0].by == "machine"


def test_the_brain_is_told_when_a_human_was_none():
    found = events(silence(0.2), speech(0.35), silence(0.95), *GREETING, silence(3))
    assert [(type(e), e.cause) for e in found] == [
        (AnsweredBy, "stopped"), (MachineAfterAll, "talks_on"), (MachineReady, "end_of_greeting"),
    ]  # fmt: skip
    assert [(type(e), e.cause) for e in events(silence(0.5), tone(0.4, 1_000), silence(1))] == [
        (AnsweredBy, "beep"), (MachineReady, "beep"),
    ]  # fmt: skip


def test_after_a_human_has_listened_a_beep_in_the_room_is_no_machine():
    found = events(silence(0.2), speech(0.4), silence(2.5), tone(0.4, 1_000), silence(2))
    assert [type(e) for e in found] == [AnsweredBy]


def test_nobody_is_taken_for_a_human_while_a_tone_sounds():
    found = verdicts(silence(0.3), speech(2.8), silence(0.8), tone(0.9, 1_000), silence(1))
    assert told(found) == [("machine_ready", "beep")]


def test_our_own_prompt_and_keys_are_no_speech():
    watch = Watch(1, Amd())
    for index, frame in enumerate(
        frames(hiss(np.concatenate([silence(0.3), speech(0.4), silence(0.9), *GREETING]), 3))
    ):
        watch.push(frame, ours=index * 20 > 1_500)
    assert [(type(e), e.by) for e in watch.events] == [(AnsweredBy, "human")]


@pytest.mark.parametrize(("silence_ms", "decide_ms", "watch_ms", "at_ms"), [
    (1_000, 9_000, 45_000, 1_000), (20_000, 2_000, 45_000, 2_000), (20_000, 30_000, 2_000, 2_000),
])  # fmt: skip
def test_there_is_a_verdict_on_silence_whatever_the_settings(silence_ms, decide_ms, watch_ms, at_ms):
    found = events(silence(6), silence_ms=silence_ms, decide_ms=decide_ms, watch_ms=watch_ms)
    assert [(e.by, e.cause, e.at_ms) for e in found] == [("unsure", "silence", at_ms)]


def test_settings_out_of_range_are_refused_by_name():
    with pytest.raises(msgspec.ValidationError, match="hang_up_cost"):
        msgspec.convert({"hang_up_cost": 0}, Amd)


def beeps(*parts, spoken=True, noise=3.0):
    finder = Beeps()
    return [t for f in frames(hiss(np.concatenate(parts), noise)) if (t := finder.push(f, spoken)) is not None]


@pytest.mark.parametrize("hz", [400, 440, 700, 1_004, 1_400, 2_000])
@pytest.mark.parametrize("seconds", [0.11, 0.305, 1.5])
def test_a_beep_is_found_with_its_end(hz, seconds):
    for noise in (3.0, 500.0):
        found = beeps(silence(0.513), tone(seconds, hz), silence(0.5), noise=noise)
        assert [t.kind for t in found] == ["beep"]
        assert abs(found[0].hz - hz) < 8
        assert abs(found[0].end_ms - 1000 * (0.513 + seconds)) <= 30


@pytest.mark.parametrize("sound", [
    tone(0.06, 1_000), tone(0.3, 697, 1_209), tone(2.0, 440, 480), tone(0.5, 300), tone(0.5, 2_500), speech(3.0),
    hiss(silence(2.0), 2_000.0), 5_000 * np.sin(2 * np.pi * np.cumsum(np.linspace(500, 1_500, 4_000)) / RATE_HZ),
], ids=["short", "touch tone", "ringing", "low", "high", "voice", "noise", "glide"])  # fmt: skip
def test_what_is_no_beep(sound):
    assert beeps(silence(0.3), sound, silence(0.5)) == []


def test_ringing_before_anybody_spoke_is_no_beep():
    ringing = (tone(1.0, 450), silence(0.5))
    assert [t.kind for t in beeps(*ringing, spoken=False)] == ["progress"]
    assert [t.kind for t in beeps(*ringing, spoken=True)] == ["beep"]
    assert [t.kind for t in beeps(tone(3.0, 1_000), silence(0.5))] == ["long"]

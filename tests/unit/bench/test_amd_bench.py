"""The bench of answering-machine detection: its short form, its two sets, and the rule it is compared with."""

import json

import numpy as np
import pytest
from PIL import Image

from ivr import bench
from ivr.bench import amd, amd_calls
from ivr.bench.amd_calls import Answered
from ivr.line.settings import Amd


@pytest.fixture(scope="module")
def short_form(tmp_path_factory):
    folder = tmp_path_factory.mktemp("amd")
    out, picture = folder / "amd.json", folder / "amd.png"
    assert bench.main(["amd", "--quick", "--json", str(out), "--plot", str(picture)]) in (0, 1)
    body = json.loads(out.read_text("utf-8"))
    return {row["what"]: row for row in body["rows"]}, body["details"]["calls"], picture


def test_the_short_form_tells_machines_from_people_in_both_languages(short_form):
    rows, calls, _ = short_form
    for what in ("machines caught", "humans taken for machines", "end of the beep within 150 ms", "nobody speaks, but"):
        assert rows[what]["holds"], rows[what]
    assert {("zh", True), ("zh", False)} <= {(c["language"], c["group"].startswith("machine")) for c in calls}
    assert "0.0 %" in rows["beeps heard where there is none"]["measured"]


def test_the_picture_has_both_curves_and_the_dot(short_form):
    colours = {colour for _, colour in Image.open(short_form[2]).getcolors(1_000_000)}
    assert {(20, 90, 180), (200, 30, 30)} <= colours


def test_nothing_that_figures_are_told_of_was_used_to_choose_them():
    fitting = amd_calls.fitting(7, ("pl",))
    assert {c.machine for c in fitting} == {c.beep_end_s is not None for c in fitting} == {True, False}
    assert set(amd_calls.FIT_MACHINE).isdisjoint({*amd_calls.PROMPT_VOICES, *amd_calls.SPOKEN_MACHINES})
    chosen_on = {text for texts in (amd_calls.FIT_SHORT, amd_calls.FIT_LONG) for one in texts.values() for text in one}
    told_of = {*amd_calls.SHORT_ZH, *amd_calls.LONG_ZH, *amd_calls.LONG_EN}
    assert chosen_on & told_of == {"喂？", "你好。"}, "what everybody says, here in Cantonese"


def trial(machine, first_s, at_s=1.0, group="human, a word"):
    call = Answered("", machine, "machine" if machine else group, "en", "", np.zeros(0, np.int16), 0.0, first_s)
    return amd.Trial(call, (), {1: (machine, machine)}, {0.8: (first_s, at_s)})


def test_the_best_single_duration_catches_most_within_the_allowed_share_of_humans():
    people = [trial(False, 0.4 + 0.01 * i) for i in range(99)] + [trial(False, 4.0)]
    machines = [trial(True, s) for s in (0.5, 1.2, 2.0, 3.0)]
    rule = amd.best(amd.single_durations(people + machines, 0.8))
    assert rule.caught == 0.5
    assert rule.taken <= 0.02
    assert 1.36 <= rule.longer_s < 2.0


def test_the_first_utterance_ends_with_the_first_long_enough_pause():
    sound = (4_000 * np.sign(np.sin(np.arange(3_200) / 9.0))).astype(np.int16)
    pcm = np.concatenate([np.zeros(2_400), sound, np.zeros(4_000), sound, np.zeros(12_000)]).astype(np.int16)
    heard = amd.measured(pcm, Amd())
    assert amd.first_utterance(heard, 0.4)[0] == pytest.approx(0.4, abs=0.05)
    assert amd.first_utterance(heard, 0.8)[0] == pytest.approx(1.3, abs=0.05)


def test_missing_prompts_are_named_with_their_packages(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(amd_calls, "SOUNDS", tmp_path)
    assert bench.main(["amd"]) == 2
    packages = " ".join(f"asterisk-core-sounds-{language}-wav" for language in ("en", "es", "fr", "it", "ru"))
    assert f"apt-get install {packages}" in capsys.readouterr().err


def test_the_cost_is_chosen_with_room_for_a_language_that_is_not_in_the_set():
    def person(language, taken_up_to):
        call = Answered("", False, "human, a word", language, "", np.zeros(0, np.int16), 0.0, 1.0)
        return amd.Trial(call, (), {c: (c <= taken_up_to, c <= taken_up_to) for c in amd.CHOOSE_COSTS}, {})

    needed = amd.least_costs([person("nl", 0), person("nl", 10), person("sv", 0), person("pl", 1_000)])
    assert needed == pytest.approx({"nl": 10.0, "sv": 1.0, "pl": 1_000.0})
    assert amd.next_language([5.0, 5.0, 5.0]) == pytest.approx(5.0)
    assert amd.next_language([1.0, 2.0, 4.0]) == pytest.approx(2 * 2 ** (4.849 * (4 / 3) ** 0.5), rel=1e-3)

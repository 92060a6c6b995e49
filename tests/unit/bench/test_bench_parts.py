"""The pure parts of the benches: what is said, what is compared, what is reported."""

import random
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ivr import bench
from ivr.bench import accuracy, corpus, plans, prompt_audio, spoken_intents
from ivr.bench.harness import toml
from ivr.bench.report import Report, percentile, spread
from ivr.bench.turns import judge
from ivr.caller.call import Turn
from ivr.caller.media import EchoPath
from ivr.dialog.plan_file import load

RATE = 8_000


def syllables(count: int, seconds: float = 0.3, gap_s: float = 0.08) -> np.ndarray:
    rng = np.random.default_rng(1)
    loud = (rng.standard_normal(int(RATE * seconds)) * 3000).astype(np.int16)
    return np.concatenate([np.concatenate([loud, np.zeros(int(RATE * gap_s), np.int16)]) for _ in range(count)])


def speechlike(seconds: float, seed: int = 2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    envelope = np.repeat(rng.uniform(0.5, 1.0, int(seconds * 50)), 160)
    return (rng.standard_normal(len(envelope)) * 3000 * envelope).astype(np.int16)


def test_every_bench_is_a_module_with_a_main():
    for module in bench.BENCHES.values():
        assert callable(__import__(module, fromlist=["main"]).main)


def test_an_unknown_bench_is_refused(capsys):
    assert bench.main(["nothing"]) == 2
    assert "there is no bench `nothing`" in capsys.readouterr().err


def test_word_boundaries_are_the_dips_inside_not_the_ends():
    places = corpus.word_boundaries(syllables(4))
    expected = [int(RATE * (0.38 * i - 0.04)) for i in (1, 2, 3)]
    assert sorted(places) == pytest.approx(expected, abs=RATE * 0.03)


def test_a_pause_is_put_in_without_losing_a_sample():
    utterance = corpus.Utterance("u", "u", "en", syllables(4))
    paused = corpus.with_pause(utterance, random.Random(3))
    added = len(paused.pcm) - len(utterance.pcm)
    assert 0.3 * RATE <= added <= 0.9 * RATE
    assert np.array_equal(paused.pcm[paused.pcm != 0], utterance.pcm[utterance.pcm != 0])


def test_speech_without_a_dip_gets_no_pause():
    assert corpus.with_pause(corpus.Utterance("u", "u", "en", speechlike(1.0)), random.Random(1)) is None


def test_quiet_recordings_are_raised_and_loud_ones_left():
    quiet = (syllables(2) / 100).astype(np.int16)
    assert np.max(np.abs(corpus.at_level(quiet))) > 10 * np.max(np.abs(quiet))
    loud = syllables(2)
    assert np.array_equal(corpus.at_level(loud), loud)


def test_a_cough_lasts_as_long_as_asked_and_is_loud():
    cough = corpus.cough(1, 200)
    assert len(cough) == 1600
    assert np.max(np.abs(cough)) > 10_000


def test_a_piece_of_a_prompt_is_found_where_it_lies():
    whole = speechlike(4.0)
    at_s, fit = prompt_audio.locate(whole, whole[int(1.5 * RATE) : int(2.5 * RATE)])
    assert at_s == pytest.approx(1.5, abs=0.001)
    assert fit > 0.99


def test_something_else_is_not_found():
    assert prompt_audio.locate(speechlike(4.0), speechlike(1.0, seed=9))[1] < 0.3


def test_a_pause_put_into_a_prompt_is_a_hole_with_its_length():
    whole = speechlike(3.0)
    got = np.concatenate([whole[:RATE], np.zeros(RATE // 2, np.int16), whole[RATE:]])
    ((at_s, length_s),) = prompt_audio.holes(whole, got)
    assert at_s == pytest.approx(1.0, abs=0.05)
    assert length_s == pytest.approx(0.5, abs=0.05)
    assert prompt_audio.holes(whole, whole) == []


@pytest.mark.parametrize("kind", ["open", "yes_no", "digits", "digit"])
def test_every_looping_plan_is_valid_in_both_languages(kind, tmp_path):
    file = tmp_path / f"{kind}.yaml"
    file.write_text(plans.named(kind, plans.loop(kind)), "utf-8")
    plan = load(file)
    assert (plan.name, plan.languages) == (kind, ("en", "zh"))


@pytest.mark.parametrize("text", [plans.announcement(), plans.telling(), plans.transferring("desk")])
def test_the_other_plans_are_valid(text, tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text(plans.named("p", text), "utf-8")
    assert load(file).name == "p"


def test_a_tree_becomes_toml_and_back():
    tree = {"sip": {"port": 5060, "allow": ["127.0.0.1/32"]}, "number": [{"pattern": "4xx", "plan": "银行"}],
            "speech": {"en": {"voice": "piper"}}, "lines": {"reserve_legs": 0}}  # fmt: skip
    assert tomllib.loads(toml(tree)) == tree


def test_figures_and_spelling_of_numbers_count_as_the_same_words():
    assert accuracy.word_errors("Press one, or press 2 now.", "press 1 or press two now") == (0, 6)
    assert accuracy.word_errors("You are now muted", "you are not muted now") == (2, 4)


def call_with(*turns: Turn) -> SimpleNamespace:
    return SimpleNamespace(invited_at=__import__("time").monotonic(), turns=list(turns))


def server_turn(at_s: float, **more) -> dict:
    import datetime
    import time

    at = datetime.datetime.fromtimestamp(time.time() + at_s, datetime.UTC)
    return {"started_at": at.isoformat(), "heard": None, "value": None, "rejected": None, "latency": {}, **more}


def test_an_utterance_belongs_to_the_turn_that_was_open():
    call = call_with(Turn("a", 2.0, 3.0, 3.5, 0.5), Turn("b", 6.0, 7.0, 7.5, 0.5))
    record = {"turns": [server_turn(0.0, heard="A"), server_turn(3.4, heard="B")]}
    assert [(j.heard, j.cut_off) for j in judge(call, record)] == [("A", ""), ("B", "")]


def test_going_on_before_the_last_word_is_a_cut_off():
    call = call_with(Turn("a", 2.0, 5.0, 5.5, 0.5))
    record = {"turns": [server_turn(0.0, heard="A"), server_turn(4.0)]}
    assert "1.00 s before" in judge(call, record)[0].cut_off


def test_stopping_to_listen_before_the_last_word_is_a_cut_off():
    call = call_with(Turn("a", 2.0, 5.0, 5.5, 0.3))
    record = {"turns": [server_turn(0.0, heard="A", latency={"total_ms": 1200}), server_turn(5.3)]}
    assert "900 ms before" in judge(call, record)[0].cut_off


def test_of_two_utterances_in_one_turn_the_last_has_its_result():
    call = call_with(Turn("a", 2.0, 3.0), Turn("b", 6.0, 7.0, 7.5, 0.5))
    record = {"turns": [server_turn(0.0, heard="B", value="yes"), server_turn(7.4)]}
    assert [j.value for j in judge(call, record)] == ["", "yes"]


def test_a_report_is_well_only_when_every_requirement_holds(capsys):
    report = Report("x", 1, False)
    report.row("a", "<= 1", "0.5", True)
    report.row("b", "", "whatever")
    assert report.ok
    report.row("c", "<= 1", "2", False)
    assert not report.ok
    assert "MISS c: 2   (required <= 1)" in capsys.readouterr().out


def test_spreads():
    assert spread([]) == "nothing measured"
    assert spread([0.5, 0.5]) == "p50 0.500 s, p95 0.500 s (n 2)"
    assert np.isnan(percentile([], 50))


def test_an_echo_comes_back_once_late_and_weaker():
    echo = EchoPath(-20.0, 0.1)
    echo.take(10.0, np.full(160, 1000, np.int16))
    assert not echo.give(10.05, 160).any()
    assert np.allclose(echo.give(10.1, 160), 100, atol=1)
    assert not echo.give(10.1, 160).any()
    with pytest.raises(ValueError, match="late"):
        EchoPath(-20.0, 5.0)


def test_the_shipped_knowledge_is_found():
    assert (Path(plans.ROOT) / "dialplans" / "main.knowledge.yaml").is_file()


def test_what_was_spoken_is_kept_and_not_spoken_again(tmp_path):
    spoken = []

    def say(text: str) -> np.ndarray:
        spoken.append(text)
        return syllables(2)

    first = spoken_intents.kept(say, tmp_path, "piper")("我的卡丢了")
    again = spoken_intents.kept(say, tmp_path, "piper")("我的卡丢了")
    assert spoken == ["我的卡丢了"]
    assert np.array_equal(first, syllables(2))
    assert np.array_equal(again, first)
    spoken_intents.kept(say, tmp_path, "espeak")("我的卡丢了")
    assert len(spoken) == 2
    assert spoken_intents.kept(say, None, "piper") is say

"""Which recogniser a configured language gets, decided by what is on disk. No model is loaded here."""

from __future__ import annotations

from pathlib import Path

import pytest

from ivr.config import Config, Number, Speech
from ivr.errors import Unavailable
from ivr.speech import engines


class Loaded:
    """Stands for a model: remembers what it was made from."""

    def __init__(self, *made_from: object, **_options: object) -> None:
        self.made_from = made_from
        self.name = getattr(made_from[0], "name", "") if made_from else ""


@pytest.fixture
def configure(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(engines, "WhisperModel", Loaded)
    monkeypatch.setattr(engines, "WhisperRecognizer", Loaded)
    monkeypatch.setattr(engines, "VoskRecognizer", Loaded)

    def make(*models: str, **speech: Speech) -> Config:
        for name in models:
            (tmp_path / "models" / name).mkdir(parents=True)
        return Config(root=str(tmp_path), speech=speech)

    return make


def names(config: Config) -> dict[str, list[str]]:
    return {language: [e.name for e in found] for language, found in engines.build(config).items()}


def test_whisper_serves_where_nothing_else_is(configure) -> None:
    config = configure("whisper-tiny-en", "whisper-base", zh=Speech())
    assert names(config) == {"zh": ["whisper-base"]}


def test_a_model_loaded_for_one_language_backs_up_another(configure) -> None:
    config = configure("whisper-tiny-en", "whisper-base", en=Speech(), zh=Speech())
    assert names(config) == {"en": ["whisper-tiny-en", "whisper-base"], "zh": ["whisper-base"]}


def test_models_are_loaded_once(configure) -> None:
    found = engines.build(configure("whisper-tiny-en", "whisper-base", en=Speech(), zh=Speech()))
    assert found["en"][1].made_from[0] is found["zh"][0].made_from[0]


def test_auto_takes_vosk_where_its_model_is_present(configure) -> None:
    config = configure("whisper-base", "vosk-model-small-cn-0.22", zh=Speech())
    assert names(config) == {"zh": ["vosk-model-small-cn-0.22", "whisper-base"]}


def test_whisper_can_be_asked_for(configure) -> None:
    config = configure("whisper-base", "vosk-model-small-cn-0.22", zh=Speech(recognizer="whisper"))
    assert names(config) == {"zh": ["whisper-base", "vosk-model-small-cn-0.22"]}


def test_a_model_can_be_named(configure) -> None:
    config = configure("whisper-base", "whisper-tiny-en", en=Speech(recognizer_model="whisper-base"))
    assert names(config)["en"][0] == "whisper-base"


def test_languages_of_numbers_count_too(configure) -> None:
    config = configure("vosk-ko")
    config = Config(root=config.root, number=(Number(pattern="402", plan="main", language="ko"),))
    assert names(config) == {"ko": ["vosk-ko"]}


@pytest.mark.parametrize(
    ("language", "speech", "missing"),
    [("en", Speech(), "vosk-model-small-en-us-0.15 or whisper-tiny-en"), ("ko", Speech(), "vosk-ko"),
     ("zh", Speech(recognizer="vosk"), "vosk-model-small-cn-0.22"), ("fr", Speech(), "no auto model is known")],
)  # fmt: skip
def test_a_language_without_any_says_what_to_run(configure, language: str, speech: Speech, missing: str) -> None:
    with pytest.raises(Unavailable, match=missing) as error:
        engines.build(configure(**{language: speech}))
    assert "ivr models pull" in str(error.value)

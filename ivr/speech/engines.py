"""Which recogniser each configured language gets, loaded once.

`auto` takes Vosk where the language's model is on disk, else Whisper. Behind it stands whatever else serves the
language and is on disk or loaded for another one, so that an engine which fails has a successor. Runs at start-up in
the caller's thread; knows nothing of calls.
"""

from __future__ import annotations

from pathlib import Path

from ivr.config import Config
from ivr.errors import Unavailable
from ivr.speech.protocols import Recognizer
from ivr.speech.vosk_engine import CommandPhrases, VoskRecognizer
from ivr.speech.whisper import WhisperRecognizer
from ivr.speech.whisper_model import WhisperModel

VOSK_MODELS = {
    "en": "vosk-model-small-en-us-0.15",
    "zh": "vosk-model-small-cn-0.22",
    "ko": "vosk-ko",
}
WHISPER_MODELS = {"en": ("whisper-tiny-en", "whisper-base"), "zh": ("whisper-base",)}


def build(config: Config, command_phrases: CommandPhrases | None = None) -> dict[str, tuple[Recognizer, ...]]:
    """Language -> engines, best first, for every language of the configuration.

    `command_phrases` are for engines that listen with a grammar. Raises Unavailable, naming what to run, when a
    language has none.
    """
    models = config.path(config.paths.models)
    loaded: dict[str, WhisperModel] = {}

    def whisper(name: str, language: str) -> WhisperRecognizer:
        if name not in loaded:
            loaded[name] = WhisperModel(models / name, workers=config.recognition.threads)
        return WhisperRecognizer(loaded[name], language)

    found: dict[str, tuple[Recognizer, ...]] = {}
    for language in config.languages:
        found[language] = tuple(
            VoskRecognizer(models / name, language, command_phrases) if engine == "vosk" else whisper(name, language)
            for engine, name in choose(config, language)
        )
    for language in config.languages:
        spare = [n for n in WHISPER_MODELS.get(language, ()) if n in loaded]
        known = {engine.name for engine in found[language]}
        found[language] += tuple(whisper(name, language) for name in spare if name not in known)
    return found


def choose(config: Config, language: str) -> list[tuple[str, str]]:
    """(engine, model) that serve a language, best first, without loading any. Raises Unavailable when none can."""
    wanted = config.speech_for(language)
    return _names(config.path(config.paths.models), language, wanted.recognizer, wanted.recognizer_model)


def _names(models: Path, language: str, engine: str, model: str) -> list[tuple[str, str]]:
    """(engine, model) to load for a language, best first."""
    vosk = VOSK_MODELS.get(language, "")
    whispers = [("whisper", n) for n in WHISPER_MODELS.get(language, ()) if (models / n).is_dir()]
    vosks = [("vosk", vosk)] if vosk and (models / vosk).is_dir() else []
    if model:
        first = [("vosk" if engine == "vosk" or (engine == "auto" and "vosk" in model) else "whisper", model)]
        return first + [n for n in vosks + whispers[:1] if n[1] != model]
    order = whispers[:1] + vosks if engine == "whisper" else vosks + whispers[:1]
    if not order or (engine != "auto" and order[0][0] != engine):
        names = {"vosk": [vosk], "whisper": list(WHISPER_MODELS.get(language, ())[:1])}
        names["auto"] = names["vosk"] + names["whisper"]
        missing = " or ".join(n for n in names[engine] if n) or f"no {engine} model is known for it"
        raise Unavailable(f"no recogniser for language {language!r}: {missing} in {models}; run: ivr models pull")
    return order

"""Vosk: a streaming recogniser with partial results and a grammar of its own for every expectation.

Decodes while the caller talks, so that the final word costs next to nothing. Yes or no, digits and choices run with a
grammar of their phrases and `[unk]`, which makes "none of these" a result. Runs on recogniser threads; knows nothing
of calls, threads or queues.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog
import vosk

from ivr.errors import SpeechFailed, Unavailable
from ivr.speech import lexicon, pcm
from ivr.turn import Alternative, Expectation, Hypothesis

CommandPhrases = Callable[[str, Sequence[str]], tuple[str, ...]]
"""Language and names of universal commands -> what callers say for them."""

_log = structlog.get_logger(__name__)

_UNKNOWN = ("[unk]", "<UNK>", "<unk>")
_SPACED = frozenset({"en"})
_LEAST_CONFIDENCE = 0.5
_LEAST_SPEECH_DBFS = -60.0


class VoskRecognizer:
    """A loaded model of one language. Raises Unavailable when it is missing or broken.

    `command_phrases` are listened for wherever a grammar restricts what is heard and commands are in force.
    """

    streaming = True

    def __init__(self, folder: str | Path, language: str, command_phrases: CommandPhrases | None = None) -> None:
        folder = Path(folder)
        self._command_phrases = command_phrases
        if not (folder / "am" / "final.mdl").is_file():
            raise Unavailable(f"speech model {folder.name} is missing in {folder}: ivr models pull {folder.name}")
        vosk.SetLogLevel(-1)
        try:
            self._model = vosk.Model(str(folder))
        except Exception as error:
            raise Unavailable(f"speech model {folder.name} cannot be loaded: {error}: ivr models verify") from error
        self.name = folder.name
        self.languages = (language,)
        self._unknown = next((w for w in _UNKNOWN if self._knows(w)), _UNKNOWN[0])
        self._warned: set[str] = set()
        self._lock = threading.Lock()

    def stream(self, expectation: Expectation) -> _VoskStream:
        return _VoskStream(self.name, self._model, expectation, self._grammar(expectation))

    def close(self) -> None:
        self._model = None

    def _grammar(self, expectation: Expectation) -> tuple[str, ...]:
        """The phrases to listen for, empty for free speech. Words the model does not know are warned of once."""
        language = self.languages[0]
        if expectation.kind == "yes_no":
            phrases = [p for kind in lexicon.YES_NO.get(language, {}).values() for p in kind]
        elif expectation.kind == "digits":
            phrases = list(lexicon.DIGITS.get(language, {}))
        elif expectation.kind == "choice":
            phrases = list(expectation.phrases)
        else:
            return ()
        known = {spelling: None for p in phrases if (spelling := self._spell(p))}
        if known and self._command_phrases is not None and expectation.commands:
            said = self._command_phrases(language, expectation.commands)
            known |= {spelling: None for p in said if (spelling := self._spelt(p))}
        return (*known, self._unknown) if known else ()

    def _spell(self, phrase: str) -> str:
        """The phrase in words that the model knows, empty when it cannot be had. It is warned of once."""
        if spelt := self._spelt(phrase):
            return spelt
        with self._lock:
            new = phrase not in self._warned
            self._warned.add(phrase)
        if new:
            _log.warning("recognition.phrase_unknown", engine=self.name, phrase=phrase)
        return ""

    def _spelt(self, phrase: str) -> str:
        """As `_spell`, without a warning.

        Where a word is unknown, known ones that make it up are taken: Mandarin and Korean models know morphemes.
        """
        spelt = [self._split(word) for word in phrase.lower().split()]
        return " ".join(spelt) if all(spelt) else ""

    def _split(self, word: str) -> str:
        if self._knows(word):
            return word
        if self.languages[0] in _SPACED:
            return ""
        for at in range(len(word) - 1, 0, -1):
            if self._knows(word[:at]) and (rest := self._split(word[at:])):
                return f"{word[:at]} {rest}"
        return ""

    def _knows(self, word: str) -> bool:
        return self._model.vosk_model_find_word(word) >= 0


class _VoskStream:
    """One utterance. Results that Vosk closes by itself at inner pauses are strung together."""

    def __init__(self, engine: str, model: vosk.Model, expectation: Expectation, grammar: tuple[str, ...]) -> None:
        self._engine = engine
        self._expectation = expectation
        self._grammar = grammar
        try:
            args = (json.dumps(list(grammar), ensure_ascii=False),) if grammar else ()
            self._recognizer = vosk.KaldiRecognizer(model, pcm.RATE_HZ, *args)
        except Exception as error:
            raise SpeechFailed(f"{engine}: {error}") from error
        self._recognizer.SetWords(True)
        self._recognizer.SetPartialWords(True)
        self._closed: list[dict] = []
        self._bytes = 0
        self._decode_s = 0.0
        self._loudest_dbfs = -120.0
        self._last: Hypothesis | None = None
        self._finished = False

    def accept(self, pcm_: bytes) -> None:
        if not pcm_ or self._finished:
            return
        self._last = None
        self._bytes += len(pcm_)
        self._loudest_dbfs = max(self._loudest_dbfs, pcm.rms_dbfs(pcm_))
        began = time.monotonic()
        if self._recognizer.AcceptWaveform(pcm_):
            self._closed.append(json.loads(self._recognizer.Result()))
        self._decode_s += time.monotonic() - began

    def hypothesis(self) -> Hypothesis:
        if self._last is None:
            partial = json.loads(self._recognizer.PartialResult())
            words = partial.get("partial_result", [])
            self._last = self._read([*self._closed, {"result": words, "text": partial.get("partial", "")}])
        return self._last

    def finish(self) -> Hypothesis:
        if not self._finished:
            began = time.monotonic()
            final = json.loads(self._recognizer.FinalResult())
            self._decode_s += time.monotonic() - began
            self._finished = True
            self._last = self._read([*self._closed, final])
        return self._last

    def _read(self, results: list[dict]) -> Hypothesis:
        text = " ".join(t for r in results if (t := r.get("text", "")))
        words = [w for r in results for w in r.get("result", [])]
        known = [w for w in words if w["word"] not in _UNKNOWN]
        confidence = math.fsum(w["conf"] for w in known) / len(known) if known else 0.0
        spoken = " ".join(w for w in text.split() if w not in _UNKNOWN)
        if self._expectation.language == "zh":
            spoken = spoken.replace(" ", "")
        answer, rejected = spoken, ""
        beside: tuple[Alternative, ...] = ()
        if not text or self._loudest_dbfs < _LEAST_SPEECH_DBFS:
            answer, rejected = "", "no_speech"
        elif self._grammar:
            answer = lexicon.canonical(spoken, self._expectation) if len(known) * 2 >= len(words) else ""
            if not answer or confidence < _LEAST_CONFIDENCE:
                answer, rejected = "", "none_of_these"
            if spoken and spoken != answer:
                beside = (Alternative(spoken, round(confidence, 3)),)
        return Hypothesis(
            answer,
            confidence=round(confidence, 3) if answer else 0.0,
            alternatives=beside,
            rejected=rejected,
            engine=self._engine,
            decode_ms=round(self._decode_s * 1_000),
            audio_ms=self._bytes // (pcm.RATE_HZ * pcm.BYTES_PER_SAMPLE // 1_000),
        )

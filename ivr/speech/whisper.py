"""Whisper over CTranslate2: the embedded recogniser for English and Mandarin.

Whisper is made for 30 s; here only the utterance and some silence after it are encoded, with limits on repetition and
length, so that an answer takes about a tenth of a second on one core. It cannot stream: audio is kept until somebody
asks. Under an expectation of few words the best readings are weighed by what they mean, and "none of these" is a
result. Runs on recogniser threads, one decode a thread; knows nothing of calls, threads or queues.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path

import ctranslate2
import numpy as np
import tokenizers

from ivr.errors import SpeechFailed, Unavailable
from ivr.speech import lexicon, pcm
from ivr.speech.mel import log_mel
from ivr.turn import Alternative, Expectation, Hypothesis

_LEAST_CONTEXT_S = 6.0
_SILENCE_AFTER_S = 4.0
_MOST_CONTEXT_S = 30.0
_LEAST_AUDIO_MS = 60
_TOKENS_PER_S = {"en": 7.0, "zh": 10.0}
_SENTENCE_END = (".", "?", "!", "。", "？", "！")


@dataclass(frozen=True)
class Reading:
    """One hypothesis of a decode: its text, the mean log-probability of its tokens, and how many those are."""

    text: str
    tokens: tuple[int, ...]
    score: float

    @property
    def log_probability(self) -> float:
        return self.score * (len(self.tokens) + 1)


class WhisperModel:
    """A loaded model: audio in, scored readings out. Thread-safe; `workers` decodes run at once."""

    def __init__(self, folder: str | Path, workers: int = 1) -> None:
        folder = Path(folder)
        missing = [n for n in ("model.bin", "tokenizer.json", "config.json") if not (folder / n).is_file()]
        if missing:
            raise Unavailable(f"speech model {folder.name}: {', '.join(missing)} missing in {folder}: ivr models pull")
        try:
            self._model = ctranslate2.models.Whisper(
                str(folder), device="cpu", compute_type="int8", inter_threads=workers, intra_threads=1
            )
            self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:
            raise Unavailable(f"speech model {folder.name} cannot be loaded: {error}: ivr models verify") from error
        self.name = folder.name
        self.multilingual = self._model.is_multilingual
        self._start = self._id("<|startoftranscript|>")
        self._end = self._id("<|endoftext|>")

    def _id(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise Unavailable(f"speech model {self.name}: token {token} missing in tokenizer.json: ivr models verify")
        return found

    def prompt(self, language: str) -> list[int]:
        task = [self._id(f"<|{language}|>"), self._id("<|transcribe|>")] if self.multilingual else []
        return [self._start, *task, self._id("<|notimestamps|>")]

    def encode(self, wave: np.ndarray, least_s: float, silence_s: float) -> ctranslate2.StorageView:
        """The encoder's view of the audio followed by silence: `least_s` at least, `silence_s` of it silence."""
        total_s = min(_MOST_CONTEXT_S, max(least_s, wave.size / pcm.RATE_HZ + silence_s))
        padded = np.zeros(int(total_s * pcm.RATE_HZ), np.float32)
        padded[: wave.size] = wave[: padded.size]
        return self._model.encode(ctranslate2.StorageView.from_array(log_mel(padded)))

    def read(
        self,
        encoded: ctranslate2.StorageView,
        language: str,
        most_tokens: int,
        beams: int = 3,
        readings: int = 1,
        only: frozenset[int] | None = None,
    ) -> tuple[list[Reading], float]:
        """Decode; returns the best readings, best first, and the probability that there is no speech.

        `only`: the tokens that may be produced. Temperature is 0 and repetition is held down: with a short context
        the decoder loops otherwise.
        """
        prompt = self.prompt(language)
        suppressed = [-1]
        if only is not None:
            suppressed = [i for i in range(self._tokenizer.get_vocab_size()) if i not in only and i != self._end]
        try:
            result = self._model.generate(
                encoded,
                [prompt],
                beam_size=max(beams, readings),
                num_hypotheses=readings,
                # the library halves max_length or takes the prompt off it, whichever leaves less
                max_length=max(2 * most_tokens, most_tokens + len(prompt)),
                repetition_penalty=1.1,
                no_repeat_ngram_size=5,
                return_scores=True,
                return_no_speech_prob=True,
                suppress_tokens=suppressed,
            )[0]
        except (RuntimeError, ValueError) as error:
            raise SpeechFailed(f"{self.name}: {error}") from error
        readings_ = [
            Reading(self._tokenizer.decode(ids).strip(), tuple(ids), score)
            for ids, score in zip(result.sequences_ids, result.scores, strict=True)
        ]
        return readings_, result.no_speech_prob

    def tokens(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def close(self) -> None:
        self._model.unload_model()


class WhisperRecognizer:
    """One language on a loaded model."""

    streaming = False

    def __init__(self, model: WhisperModel, language: str) -> None:
        self._model = model
        self._language = language
        self.name = model.name
        self.languages = (language,)
        self._digit_tokens = frozenset(
            token
            for word in (*lexicon.DIGITS[language], *"0123456789")
            for form in (word, word.capitalize(), f" {word}", f" {word.capitalize()}")
            for token in model.tokens(form)
        ) | {t for mark in (",", ".", " ", "-") for t in model.tokens(mark)}

    def stream(self, expectation: Expectation) -> _WhisperStream:
        return _WhisperStream(self, expectation)

    def close(self) -> None:
        self._model.close()

    def recognize(self, audio: bytes, expectation: Expectation) -> Hypothesis:
        """One whole utterance, 16 kHz PCM. Raises SpeechFailed."""
        began = time.monotonic()
        audio_ms = pcm.duration_ms(audio)
        if audio_ms < _LEAST_AUDIO_MS:
            return Hypothesis("", rejected="no_speech", engine=self.name, audio_ms=audio_ms)
        encoded = self._model.encode(pcm.to_wave(audio), _LEAST_CONTEXT_S, _SILENCE_AFTER_S)
        if expectation.kind == "yes_no":
            found = self._yes_no(encoded)
        elif expectation.kind == "digits":
            found = self._digits(encoded, expectation, audio_ms)
        else:
            found = self._open(encoded, audio_ms)
        decode_ms = round((time.monotonic() - began) * 1_000)
        return replace(found, engine=self.name, decode_ms=decode_ms, audio_ms=audio_ms)

    def _open(self, encoded: ctranslate2.StorageView, audio_ms: int) -> Hypothesis:
        most = 8 + int(_TOKENS_PER_S.get(self._language, 10.0) * audio_ms / 1_000)
        readings, no_speech = self._model.read(encoded, self._language, most, beams=3, readings=3)
        best = readings[0]
        if not best.text or (no_speech > 0.6 and best.score < -1.0) or best.score < -2.2:
            return Hypothesis("", rejected="no_speech")
        return Hypothesis(
            best.text,
            confidence=_confidence(best.score),
            alternatives=tuple(Alternative(r.text, _confidence(r.score)) for r in readings[1:] if r.text),
            ended=1.0 if best.text.endswith(_SENTENCE_END) and not best.text.endswith("...") else 0.2,
        )

    def _yes_no(self, encoded: ctranslate2.StorageView) -> Hypothesis:
        readings, no_speech = self._model.read(encoded, self._language, 16, beams=5, readings=5)
        weights: dict[str, float] = {}
        for reading in readings:
            kind = lexicon.yes_or_no(reading.text, self._language)
            weights[kind] = weights.get(kind, 0.0) + math.exp(reading.log_probability)
        total = sum(weights.values()) or 1.0
        ranked = sorted(weights, key=lambda k: -weights[k])
        kind = lexicon.yes_or_no(readings[0].text, self._language)
        if no_speech > 0.9 or not readings[0].text:
            return Hypothesis("", rejected="no_speech")
        others = tuple(Alternative(k, weights[k] / total) for k in ranked if k and k != kind)
        if not kind:
            return Hypothesis("", rejected="none_of_these", alternatives=others)
        return Hypothesis(kind, weights[kind] / total * _confidence(readings[0].score), others, ended=1.0)

    def _digits(self, encoded: ctranslate2.StorageView, expectation: Expectation, audio_ms: int) -> Hypothesis:
        most = 4 + 2 * min(expectation.max_digits, 1 + audio_ms // 200)
        readings, no_speech = self._model.read(
            encoded, self._language, most, beams=5, readings=5, only=self._digit_tokens
        )
        found: dict[str, float] = {}
        for reading in readings:
            digits, _clean = lexicon.digits_of(reading.text, self._language)
            if digits:
                found[digits] = max(found.get(digits, 0.0), _confidence(reading.score))
        if not found or no_speech > 0.9:
            return Hypothesis("", rejected="no_speech" if no_speech > 0.6 else "none_of_these")
        (best, confidence), *rest = found.items()
        return Hypothesis(best, confidence, tuple(Alternative(d, c) for d, c in rest), ended=1.0)


def _confidence(score: float) -> float:
    """0..1 from the mean log-probability of the tokens."""
    return round(min(1.0, math.exp(score)), 3)


class _WhisperStream:
    """Keeps the audio of an utterance and decodes it when asked; the last answer stays while no audio comes."""

    def __init__(self, recognizer: WhisperRecognizer, expectation: Expectation) -> None:
        self._recognizer = recognizer
        self._expectation = expectation
        self._audio = bytearray()
        self._last: Hypothesis | None = None

    def accept(self, pcm: bytes) -> None:
        if pcm:
            self._audio += pcm
            self._last = None

    def hypothesis(self) -> Hypothesis:
        if self._last is None:
            self._last = self._recognizer.recognize(bytes(self._audio), self._expectation)
        return self._last

    def finish(self) -> Hypothesis:
        return self.hypothesis()

"""A loaded Whisper model: audio in, scored readings out, and what any given text would score on that audio.

Whisper is made for 30 s; here only the utterance and some silence after it are encoded, with limits on repetition and
length, so that an answer takes about a tenth of a second on one core. Thread-safe: `workers` decodes run at once, each
on one core. Knows nothing of expectations, calls or queues. Model: Radford et al. 2022; engine: CTranslate2.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np
import tokenizers

from ivr.errors import SpeechFailed, Unavailable
from ivr.speech import pcm
from ivr.speech.mel import log_mel
from ivr.turn import Alternative

CONTEXT_S = 6.0
"""Audio encoded at least. With less the decoder loops; with more it only takes longer (`ivr bench recognition`)."""
SILENCE_S = 4.0
"""Silence after the speech at least."""

_MOST_S = 30.0
# Of a second look, by language: silence put before the speech, and seconds more of context.
_SECOND_LOOK = {"en": (0.2, 2.0), "zh": (1.2, 0.0)}
_FRAMES_PER_S = 50
_SILENCE_SEEN_S = 0.8
# The library takes as many frames of encoder output for features that are still to be encoded.
_MEL_BANDS = 80
_LEAST_PROBABILITY = 1e-9
_FULL_SCALE = 0.5
_MOST_GAIN = 30.0
FILES = ("model.bin", "tokenizer.json", "vocabulary.txt", "config.json")


@dataclass(frozen=True)
class Reading:
    """One hypothesis of a decode: its text, its tokens, and the mean log-probability of those and of the end."""

    text: str
    tokens: tuple[int, ...]
    score: float

    @property
    def log_probability(self) -> float:
        """Of the whole text."""
        return self.score * (len(self.tokens) + 1)

    @property
    def confidence(self) -> float:
        """0..1 from the mean log-probability of the tokens."""
        return round(min(1.0, math.exp(self.score)), 3)


def heard_freely(readings: Iterable[Reading], but: str = "", most: float = 1.0) -> tuple[Alternative, ...]:
    """The texts of free readings other than `but`, none surer than `most`."""
    return tuple(Alternative(r.text, min(most, r.confidence)) for r in readings if r.text and r.text != but)


@dataclass(frozen=True)
class Encoded:
    """What the encoder made of an utterance: all of it, and the part that holds the speech."""

    whole: ctranslate2.StorageView
    spoken: np.ndarray


def level(wave: np.ndarray) -> np.ndarray:
    """The same sound at half of full scale, amplified by 30 dB at most: callers' levels differ by that much."""
    peak = float(np.abs(wave).max(initial=0.0))
    return wave * min(_FULL_SCALE / peak, _MOST_GAIN) if peak > 0 else wave


class WhisperModel:
    """Raises Unavailable when files are missing or cannot be loaded."""

    def __init__(self, folder: str | Path, workers: int = 1) -> None:
        folder = Path(folder)
        missing = [n for n in FILES if not (folder / n).is_file()]
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
        self.end = self._id("<|endoftext|>")
        self._begin = self._id("<|startoftranscript|>")
        self._unwritten: dict[str, list[int]] = {}

    def _id(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise Unavailable(f"speech model {self.name}: token {token} missing in tokenizer.json: ivr models verify")
        return found

    def _start(self, language: str) -> list[int]:
        task = [self._id(f"<|{language}|>"), self._id("<|transcribe|>")] if self.multilingual else []
        return [self._begin, *task]

    def _prompt(self, language: str) -> list[int]:
        return [*self._start(language), self._id("<|notimestamps|>")]

    def tokens(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def _foreign(self, language: str) -> list[int]:
        """Tokens not to write in a language: for Mandarin, characters outside GB 2312, which are the traditional ones.

        Otherwise the probability of every word is divided between its two spellings.
        """
        if language not in self._unwritten:
            tokens = range(self.end) if language == "zh" else ()
            self._unwritten[language] = [t for t in tokens if not _simplified(self._tokenizer.decode([t]))]
        return self._unwritten[language]

    def encode(
        self, wave: np.ndarray, least_s: float = CONTEXT_S, silence_s: float = SILENCE_S, lead_s: float = 0.0
    ) -> Encoded:
        """The encoder's view of the audio with `lead_s` of silence before and `silence_s` after, `least_s` in all."""
        total_s = min(_MOST_S, max(least_s, lead_s + wave.size / pcm.RATE_HZ + silence_s))
        padded = np.zeros(int(total_s * pcm.RATE_HZ), np.float32)
        lead = int(lead_s * pcm.RATE_HZ)
        padded[lead : lead + wave.size] = level(wave)[: padded.size - lead]
        try:
            whole = self._model.encode(ctranslate2.StorageView.from_array(log_mel(padded)))
        except (RuntimeError, ValueError) as error:
            raise SpeechFailed(f"{self.name}: {error}") from error
        frames = int((lead_s + wave.size / pcm.RATE_HZ + _SILENCE_SEEN_S) * _FRAMES_PER_S)
        frames += frames == _MEL_BANDS
        return Encoded(whole, np.array(whole, copy=False)[:, :frames])

    def read(
        self,
        encoded: Encoded,
        language: str,
        most_tokens: int,
        readings: int,
        only: frozenset[int] | None = None,
    ) -> tuple[list[Reading], float]:
        """Decode; returns the best readings, best first, and the probability that there is no speech.

        `only`: the tokens that may be written. Then repetition is not held down, as digits do repeat; otherwise it
        is, since with a short context the decoder loops. Temperature is 0. Raises SpeechFailed.
        """
        prompt = self._prompt(language)
        if only is None:
            suppressed = [-1, *self._foreign(language)]
        else:
            suppressed = [t for t in range(self._tokenizer.get_vocab_size()) if t not in only and t != self.end]
        try:
            result = self._model.generate(
                encoded.whole,
                [prompt],
                beam_size=readings,
                num_hypotheses=readings,
                # the library takes half of max_length, or max_length less the prompt, whichever is less
                max_length=max(2 * most_tokens, most_tokens + len(prompt)),
                repetition_penalty=1.1 if only is None else 1.0,
                no_repeat_ngram_size=5 if only is None else 0,
                return_scores=True,
                return_no_speech_prob=True,
                suppress_tokens=suppressed,
            )[0]
        except (RuntimeError, ValueError) as error:
            raise SpeechFailed(f"{self.name}: {error}") from error
        found = [
            Reading(self._tokenizer.decode(ids).strip(), tuple(ids), score)
            for ids, score in zip(result.sequences_ids, result.scores, strict=True)
        ]
        return found, result.no_speech_prob

    def encode_again(self, wave: np.ndarray, language: str) -> Encoded:
        """A second look: shifted, since what a short context makes of audio depends on where it lies."""
        shift_s, longer_s = _SECOND_LOOK.get(language, _SECOND_LOOK["en"])
        return self.encode(wave, CONTEXT_S + longer_s, SILENCE_S + longer_s, shift_s)

    def score(self, encoded: Encoded, language: str, texts: Sequence[Sequence[int]]) -> list[list[float]]:
        """The log-probability of each token of each text, had it been said, among all words there are.

        One pass for all, over the part of the audio that holds speech; a tenth of a decode's time each.
        """
        memory = np.ascontiguousarray(np.repeat(encoded.spoken, len(texts), axis=0))
        frames = 2 * encoded.spoken.shape[1]
        try:
            aligned = self._model.align(
                ctranslate2.StorageView.from_array(memory), self._start(language), [list(t) for t in texts], frames
            )
        except (RuntimeError, ValueError) as error:
            raise SpeechFailed(f"{self.name}: {error}") from error
        return [np.log(np.maximum(a.text_token_probs, _LEAST_PROBABILITY)).tolist() for a in aligned]

    def close(self) -> None:
        self._model.unload_model()


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, x))))


def log_add(a: float, b: float) -> float:
    """The logarithm of the sum of two numbers given by theirs."""
    return max(a, b) + math.log1p(math.exp(-abs(a - b)))


def words(model: WhisperModel, texts: Iterable[str]) -> frozenset[int]:
    """Every token needed to write the words, at a beginning or after a space, lower case or capitalised."""
    forms = (f for t in texts for f in (t, t.capitalize(), f" {t}", f" {t.capitalize()}"))
    return frozenset(token for form in forms for token in model.tokens(form))


def _simplified(text: str) -> bool:
    """Whether the text holds no kana, no Hangul, and no Hanzi outside GB 2312; parts of characters pass."""
    for character in text:
        if "\u3040" <= character <= "\u30ff" or "\uac00" <= character <= "\ud7a3":
            return False
        if "\u3400" <= character <= "\u9fff":
            try:
                character.encode("gb2312")
            except UnicodeEncodeError:
                return False
    return True

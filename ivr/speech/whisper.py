"""Whisper as a recogniser of one language: free reading for open questions, weighed words where few are expected.

It cannot stream: audio is kept until somebody asks. Under a restricted expectation the expected words are scored on the
audio by the model itself, and count only when they are likely in absolute terms and far from their rivals, so that
"none of these" is a result. Runs on recogniser threads; knows nothing of calls, threads or queues.

The thresholds were fitted on recorded speech through 8 kHz G.711: `ivr bench recognition` measures what they give.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ivr.speech import lexicon, pcm, whisper_dates
from ivr.speech.whisper_digits import DigitReader
from ivr.speech.whisper_model import CONTEXT_S, SILENCE_S, Encoded, Reading, WhisperModel, heard_freely, sigmoid
from ivr.turn import Alternative, Expectation, Hypothesis

_LEAST_AUDIO_MS = 60
_QUIET_DBFS = -60.0
_TOKENS_PER_S = {"en": 7.0, "zh": 10.0}
READINGS = 3
_WEIGHED_READINGS = 5
_MOST_WEIGHED = 48

# A reading that sounds like nothing was said: Whisper's own rule (no-speech probability and mean log-probability),
# and a mean log-probability that speech never has.
_NO_SPEECH, _DOUBTFUL_SCORE, _WORTHLESS_SCORE = 0.6, -1.0, -2.2
_UNCLEAR_SCORE = -1.5

# Expected words count when their log-probability is at least the first figure and the second more than that of any
# other meaning, for one of the pairs. Mandarin's are lower because its full stop is not counted in and the larger
# model spreads wider. A no is believed more readily than a yes.
_BARS = {
    "en": {"yes": ((-3.6, 4.5),), "no": ((-4.3, 3.5),), "unsure": ((-3.6, 4.5),)},
    "zh": {"yes": ((-5.5, 1.2), (-4.7, 0.6)), "no": ((-5.3, 1.5), (-3.5, 0.6)), "unsure": ((-5.6, 2.4),)},
}
_CHOICE_BARS = ((-3.6, 1.5),)
_STRONG = (-3.6, 3.4)
_HARDLY_SPEECH = 0.45
# The same where there may have been no speech at all, and where words were at least read, if doubtfully.
_SURE_OF_SPEECH = {"zh": ((-4.6, 3.0),)}
_SURE_OF_WORDS = {"zh": ((-4.75, 1.4),)}
_WORDS_SCORE = -2.2
# Silence put before the speech: short answers are heard better with some.
_LEAD_S = {("en", "yes_no"): 0.4, ("zh", "yes_no"): 0.8, ("zh", "digits"): 0.4, ("zh", "date"): 0.4}
_SHORT_ANSWER_MS = 1_600
# How far the best phrase of a choice may lie under what was read freely, and above the next phrase.
_CHOICE_LEAD, _CHOICE_APART = -3.0, 1.5

# What may come next, two full stops and then what stands for going on; and the weights of logit(full stops), score,
# log(going on), the number of words up to a dozen, and 1. 0.5 is where four in five finished sentences are told from
# as many of those broken off at a word boundary.
_MARKS = {"en": (".", "?", "..."), "zh": ("。", "?", ",")}
_ENDED = {"en": (0.533, 0.0, -0.329, 0.309, -3.81), "zh": (0.496, 1.935, -0.621, 0.0, -0.64)}
_MOST_COUNTED_WORDS = 12

# Digits: the least log-probability of the first and what each further one may add, how much more convinces without


@dataclass(frozen=True)
class _Weighed:
    """Meanings and their log-probabilities, best first."""

    ranked: tuple[tuple[str, float], ...]
    bars: tuple[tuple[float, float], ...]

    @property
    def best(self) -> str:
        return self.ranked[0][0]

    @property
    def likelihood(self) -> float:
        return self.ranked[0][1]

    @property
    def margin(self) -> float:
        return self.ranked[0][1] - self.ranked[1][1] if len(self.ranked) > 1 else math.inf

    def over(self, bars: Sequence[tuple[float, float]]) -> bool:
        """Whether it is as likely and as far from its rivals as one of the bars says."""
        return any(self.likelihood >= least and self.margin >= apart for least, apart in bars)

    @property
    def sure(self) -> bool:
        return self.over(self.bars)

    @property
    def strong(self) -> bool:
        """Sure enough to do without a second look or a free reading."""
        return self.sure and self.over((_STRONG,))

    def confidence(self, meaning: str) -> float:
        """Share of the meaning among the expected ones, times how likely any of them is at all."""
        known = dict(self.ranked)
        total = math.fsum(math.exp(v) for v in known.values())
        any_of_them = sigmoid(1.5 * (self.likelihood - self.bars[0][0]))
        return round(math.exp(known[meaning]) / total * any_of_them, 3) if total > 0 else 0.0


class WhisperRecognizer:
    """One language on a loaded model, which several recognisers may share."""

    streaming = False

    def __init__(self, model: WhisperModel, language: str) -> None:
        self._model = model
        self._language = language
        self.name = model.name
        self.languages = (language,)
        # Mandarin is mostly written without a full stop.
        self._space, self._stop = ("", "") if language == "zh" else (" ", ".")
        self._digits = DigitReader(model, language)
        self._yes_no = {
            phrase: kind for kind, phrases in lexicon.WEIGHED_YES_NO[language].items() for phrase in phrases
        }
        self._first = {phrase: self._yes_no[phrase] for phrase in lexicon.WEIGHED_FIRST.get(language, self._yes_no)}

    def stream(self, expectation: Expectation) -> _WhisperStream:
        return _WhisperStream(self, expectation)

    def close(self) -> None:
        self._model.close()

    def recognize(self, audio: bytes, expectation: Expectation) -> Hypothesis:
        """One whole utterance, 16 kHz PCM. Raises SpeechFailed."""
        began = time.monotonic()
        audio_ms = pcm.duration_ms(audio)
        if audio_ms < _LEAST_AUDIO_MS or pcm.rms_dbfs(audio) < _QUIET_DBFS:
            found = Hypothesis("", rejected="no_speech")
        else:
            wave = pcm.to_wave(audio)
            encoded = self._model.encode(
                wave, CONTEXT_S, SILENCE_S, _LEAD_S.get((self._language, expectation.kind), 0.0)
            )
            if expectation.kind == "yes_no":
                found = self._read_yes_no(encoded, wave)
            elif expectation.kind == "digits":
                found = self._digits.read(
                    encoded, wave, expectation, lambda: self._readings(encoded, audio_ms, READINGS)[:2]
                )
            elif expectation.kind == "choice" and expectation.phrases:
                found = self._read_choice(encoded, expectation, audio_ms)
            else:
                found = self._read_freely(encoded, audio_ms, expectation.phrases if expectation.kind == "date" else ())
        decode_ms = round((time.monotonic() - began) * 1_000)
        return replace(found, engine=self.name, decode_ms=decode_ms, audio_ms=audio_ms)

    # Free reading -------------------------------------------------------------------------------------------------

    def _readings(self, encoded: Encoded, audio_ms: int, count: int) -> tuple[list[Reading], bool, float]:
        """Free readings, best first, whether there was speech at all, and the probability that there was not."""
        most = 8 + int(_TOKENS_PER_S.get(self._language, 10.0) * audio_ms / 1_000)
        readings, no_speech = self._model.read(encoded, self._language, most, count)
        best = readings[0]
        silent = no_speech > _NO_SPEECH and best.score < _DOUBTFUL_SCORE
        return readings, bool(best.text) and not silent and best.score > _WORTHLESS_SCORE, no_speech

    def _read_freely(self, encoded: Encoded, audio_ms: int, dates: Sequence[str]) -> Hypothesis:
        """`dates`: such as are weighed besides."""
        readings, speech, _ = self._readings(encoded, audio_ms, READINGS)
        if not speech:
            return Hypothesis("", rejected="no_speech")
        line_up = ()
        if dates and audio_ms <= whisper_dates.MOST_MS:
            line_up = whisper_dates.weighed(self._model, self._language, encoded, dates, readings)
        return Hypothesis(
            readings[0].text,
            confidence=readings[0].confidence,
            alternatives=heard_freely(readings[1:]),
            ended=self._ended(encoded, readings[0]),
            line_up=line_up,
        )

    def _ended(self, encoded: Encoded, reading: Reading) -> float:
        """How much the sentence sounds finished: the model's own probabilities of what comes next.

        A logistic regression over those, fitted on sentences broken off at word boundaries.
        """
        text = reading.text.rstrip(lexicon.PUNCTUATION)
        if not text:
            return 0.0
        tokens = self._model.tokens(self._space + text)
        marks = [self._model.tokens(mark)[0] for mark in _MARKS.get(self._language, _MARKS["en"])]
        scores = self._model.score(encoded, self._language, [[*tokens, mark] for mark in marks])
        *stops, goes_on = (math.exp(s[-1]) for s in scores)
        stop = min(0.999, max(0.001, math.fsum(stops)))
        features = (
            math.log(stop / (1 - stop)),
            reading.score,
            math.log(goes_on + 0.001),
            min(len(text.split()), _MOST_COUNTED_WORDS),
            1.0,
        )
        weights = _ENDED.get(self._language, _ENDED["en"])
        return round(sigmoid(math.fsum(w * f for w, f in zip(weights, features, strict=True))), 3)

    # Expected words -----------------------------------------------------------------------------------------------

    def _weigh(self, looks: list[Encoded], meanings: dict[str, str]) -> _Weighed:
        """Phrase -> meaning to meanings by log-probability; a meaning's phrases add up.

        Probabilities are averaged over the looks, not their logarithms: a bad look must not outvote a good one.
        """
        phrases = list(meanings)[:_MOST_WEIGHED]
        texts = [self._model.tokens(f"{self._space}{p[:1].upper()}{p[1:]}{self._stop}") for p in phrases]
        scores = [[math.fsum(s) for s in self._model.score(look, self._language, texts)] for look in looks]
        total: dict[str, float] = {}
        for phrase, *heard in zip(phrases, *scores, strict=True):
            likely = math.fsum(map(math.exp, heard)) / len(looks)
            total[meanings[phrase]] = total.get(meanings[phrase], 0.0) + likely
        ranked = sorted(((m, math.log(max(p, 1e-30))) for m, p in total.items()), key=lambda x: -x[1])
        bars = _BARS.get(self._language, _BARS["en"]).get(ranked[0][0], _CHOICE_BARS)
        return _Weighed(tuple(ranked), bars)

    def _read_yes_no(self, encoded: Encoded, wave: np.ndarray) -> Hypothesis:
        """Short answers by weight, in doubt with a second look at the audio shifted; longer ones as read freely.

        What was read freely may turn a weighed yes into something else, never a weighed no into a yes; it stands last
        among the alternatives, for what was said beside the answer or in its place.
        """
        audio_ms = wave.size * 1_000 // pcm.RATE_HZ
        short = audio_ms <= _SHORT_ANSWER_MS
        weighed = self._weigh([encoded], self._first)
        if short and weighed.strong:
            return self._answer(weighed.best, weighed)
        readings, speech, no_speech = self._readings(encoded, audio_ms, _WEIGHED_READINGS)
        if no_speech > _HARDLY_SPEECH and readings[0].score < _DOUBTFUL_SCORE and not weighed.strong:
            return self._read_hardly(encoded, wave, readings[0].score)
        read = lexicon.yes_or_no(readings[0].text, self._language) if speech else ""
        if not weighed.sure and (short or not read):
            weighed = self._look_again(encoded, wave)
        free = readings[:READINGS] if speech else []
        if weighed.sure and (read in ("", weighed.best) or weighed.best == "no"):
            return self._answer(weighed.best, weighed, free)
        if not read or readings[0].score < _UNCLEAR_SCORE:
            rejected = "none_of_these" if speech else "no_speech"
            return Hypothesis("", rejected=rejected, alternatives=self._others(weighed, "") + heard_freely(free))
        if read == "yes" and weighed.best == "no" and weighed.likelihood > weighed.bars[0][0] - 1:
            read = "unsure"
        confidence = round(readings[0].confidence * (1.0 if read == weighed.best else 0.7), 3)
        others = self._others(weighed, read, confidence) + heard_freely(free, read, confidence)
        return Hypothesis(read, confidence, others, ended=1.0)

    def _read_hardly(self, encoded: Encoded, wave: np.ndarray, score: float) -> Hypothesis:
        """An answer in audio that hardly sounds like speech, where a second look is certain of it."""
        weighed = self._look_again(encoded, wave)
        bars = _SURE_OF_SPEECH.get(self._language, (_STRONG,))
        if score > _WORDS_SCORE:
            bars += _SURE_OF_WORDS.get(self._language, ())
        return self._answer(weighed.best, weighed) if weighed.over(bars) else Hypothesis("", rejected="no_speech")

    def _look_again(self, encoded: Encoded, wave: np.ndarray) -> _Weighed:
        """What both looks at the audio make of it."""
        return self._weigh([encoded, self._model.encode_again(wave, self._language)], self._yes_no)

    def _answer(self, meaning: str, weighed: _Weighed, free: Sequence[Reading] = ()) -> Hypothesis:
        confidence = weighed.confidence(meaning)
        others = self._others(weighed, meaning, confidence) + heard_freely(free, meaning, confidence)
        return Hypothesis(meaning, confidence, others, ended=1.0)

    def _others(self, weighed: _Weighed, but: str, most: float = 1.0) -> tuple[Alternative, ...]:
        """The other meanings, none surer than `most`."""
        return tuple(
            Alternative(m, round(min(most / 2, weighed.confidence(m)), 3)) for m, _ in weighed.ranked if m != but
        )

    def _read_choice(self, encoded: Encoded, expectation: Expectation, audio_ms: int) -> Hypothesis:
        readings, speech, _ = self._readings(encoded, audio_ms, _WEIGHED_READINGS)
        if not speech:
            return Hypothesis("", rejected="no_speech")
        weighed = self._weigh([encoded], {p: p for p in expectation.phrases})
        read = lexicon.phrase_of(readings[0].text, expectation.phrases, self._language)
        if read:
            confidence = readings[0].confidence
            others = self._others(weighed, read, confidence) + heard_freely(readings[:READINGS], read, confidence)
            return Hypothesis(read, confidence, others, ended=1.0)
        lead = weighed.likelihood - readings[0].log_probability
        if lead >= _CHOICE_LEAD and weighed.margin >= _CHOICE_APART:
            return self._answer(weighed.best, weighed)
        others = self._others(weighed, "") + heard_freely(readings[:READINGS])
        return Hypothesis("", rejected="none_of_these", alternatives=others)


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

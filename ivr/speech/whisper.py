"""Whisper as a recogniser of one language: free reading for open questions, weighed words where few are expected.

It cannot stream: audio is kept until somebody asks. Under a restricted expectation the expected words are scored on the
audio by the model itself, and count only when they are likely in absolute terms and far from their rivals, so that
"none of these" is a result. Runs on recogniser threads; knows nothing of calls, threads or queues.

The thresholds were fitted on recorded speech through 8 kHz G.711: `ivr bench recognition` measures what they give.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

from ivr.speech import lexicon, pcm
from ivr.speech.whisper_model import Encoded, Reading, WhisperModel, words
from ivr.turn import Alternative, Expectation, Hypothesis

CONTEXT_S = 6.0
SILENCE_S = 4.0
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

# Expected words count when their log-probability is at least the first figure, and the second more than that of any
# other meaning. Mandarin's are lower because its full stop is not counted in and the larger model spreads wider.
_SURE = {"en": (-3.6, 4.5), "zh": (-5.6, 3.4)}
_LIKELY = -3.6

# Digits: the least log-probability of the first and what each further one may add, how much more convinces without
# reading freely, the handicap of free readings, and the weight of the restricted decode's own log-probability.
_LEAST_DIGIT = {"en": (-7.4, -2.0), "zh": (-4.0, -2.8)}
_CONVINCING = 2.0
_FREELY = -4.0
_STRICT_WEIGHT = {"en": 0.0, "zh": 1.0}
_SPELT_OTHERWISE = frozenset({"oh", "double", "triple"})
_LEAST_DIGIT_MS = 120
_SHORT_ANSWER_MS = 1_600

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
    least: float
    apart: float

    @property
    def best(self) -> str:
        return self.ranked[0][0]

    @property
    def likelihood(self) -> float:
        return self.ranked[0][1]

    @property
    def margin(self) -> float:
        return self.ranked[0][1] - self.ranked[1][1] if len(self.ranked) > 1 else math.inf

    @property
    def sure(self) -> bool:
        return self.likelihood >= self.least and self.margin >= self.apart

    def confidence(self, meaning: str) -> float:
        """Share of the meaning among the expected ones, times how likely any of them is at all."""
        known = dict(self.ranked)
        total = math.fsum(math.exp(v) for v in known.values())
        any_of_them = _sigmoid(1.5 * (self.likelihood - self.least))
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
        self._digit_tokens = words(model, lexicon.SPOKEN_DIGITS[language]) | {
            t for mark in (",", ".") for t in model.tokens(mark)
        }
        self._yes_no = {
            phrase: kind for kind, phrases in lexicon.WEIGHED_YES_NO[language].items() for phrase in phrases
        }

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
            encoded = self._model.encode(pcm.to_wave(audio), CONTEXT_S, SILENCE_S)
            if expectation.kind == "yes_no":
                found = self._read_yes_no(encoded, audio_ms)
            elif expectation.kind == "digits":
                found = self._read_digits(encoded, expectation, audio_ms)
            elif expectation.kind == "choice" and expectation.phrases:
                found = self._read_choice(encoded, expectation, audio_ms)
            else:
                found = self._read_freely(encoded, audio_ms)
        decode_ms = round((time.monotonic() - began) * 1_000)
        return replace(found, engine=self.name, decode_ms=decode_ms, audio_ms=audio_ms)

    # Free reading -------------------------------------------------------------------------------------------------

    def _readings(self, encoded: Encoded, audio_ms: int, count: int) -> tuple[list[Reading], bool]:
        """Free readings, best first, and whether there was speech at all."""
        most = 8 + int(_TOKENS_PER_S.get(self._language, 10.0) * audio_ms / 1_000)
        readings, no_speech = self._model.read(encoded, self._language, most, count)
        best = readings[0]
        silent = no_speech > _NO_SPEECH and best.score < _DOUBTFUL_SCORE
        return readings, bool(best.text) and not silent and best.score > _WORTHLESS_SCORE

    def _read_freely(self, encoded: Encoded, audio_ms: int) -> Hypothesis:
        readings, speech = self._readings(encoded, audio_ms, READINGS)
        if not speech:
            return Hypothesis("", rejected="no_speech")
        return Hypothesis(
            readings[0].text,
            confidence=_confidence(readings[0]),
            alternatives=tuple(Alternative(r.text, _confidence(r)) for r in readings[1:] if r.text),
            ended=self._ended(encoded, readings[0]),
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
        return round(_sigmoid(math.fsum(w * f for w, f in zip(weights, features, strict=True))), 3)

    # Expected words -----------------------------------------------------------------------------------------------

    def _weigh(self, encoded: Encoded, meanings: dict[str, str]) -> _Weighed:
        """Phrase -> meaning to meanings by log-probability; a meaning's phrases add up."""
        phrases = list(meanings)[:_MOST_WEIGHED]
        texts = [self._model.tokens(f"{self._space}{p[:1].upper()}{p[1:]}{self._stop}") for p in phrases]
        total: dict[str, float] = {}
        for phrase, scores in zip(phrases, self._model.score(encoded, self._language, texts), strict=True):
            meaning = meanings[phrase]
            total[meaning] = total.get(meaning, 0.0) + math.exp(math.fsum(scores))
        ranked = sorted(((m, math.log(max(p, 1e-30))) for m, p in total.items()), key=lambda x: -x[1])
        return _Weighed(tuple(ranked), *_SURE.get(self._language, _SURE["en"]))

    def _read_yes_no(self, encoded: Encoded, audio_ms: int) -> Hypothesis:
        """Short answers by weight; longer ones, and whatever is unlikely, by what is read freely.

        What was read freely may turn a weighed yes into something else, never a weighed no into a yes.
        """
        weighed = self._weigh(encoded, self._yes_no)
        if weighed.sure and audio_ms <= _SHORT_ANSWER_MS and weighed.likelihood >= _LIKELY:
            return self._answer(weighed.best, weighed)
        readings, speech = self._readings(encoded, audio_ms, _WEIGHED_READINGS)
        if not speech and (not weighed.sure or (weighed.likelihood < _LIKELY and audio_ms > _SHORT_ANSWER_MS)):
            return Hypothesis("", rejected="no_speech")
        read = lexicon.yes_or_no(readings[0].text, self._language) if speech else ""
        if weighed.sure and (read in ("", weighed.best) or weighed.best == "no"):
            return self._answer(weighed.best, weighed)
        if not read or readings[0].score < _UNCLEAR_SCORE:
            return Hypothesis("", rejected="none_of_these", alternatives=self._others(weighed, ""))
        if read == "yes" and weighed.best == "no" and weighed.likelihood > weighed.least - 1:
            read = "unsure"
        confidence = _confidence(readings[0]) * (1.0 if read == weighed.best else 0.7)
        return Hypothesis(read, round(confidence, 3), self._others(weighed, read), ended=1.0)

    def _answer(self, meaning: str, weighed: _Weighed) -> Hypothesis:
        return Hypothesis(meaning, weighed.confidence(meaning), self._others(weighed, meaning), ended=1.0)

    def _others(self, weighed: _Weighed, but: str) -> tuple[Alternative, ...]:
        return tuple(Alternative(m, weighed.confidence(m)) for m, _ in weighed.ranked if m != but)

    def _read_choice(self, encoded: Encoded, expectation: Expectation, audio_ms: int) -> Hypothesis:
        readings, speech = self._readings(encoded, audio_ms, _WEIGHED_READINGS)
        if not speech:
            return Hypothesis("", rejected="no_speech")
        weighed = self._weigh(encoded, {p: p for p in expectation.phrases})
        read = lexicon.phrase_of(readings[0].text, expectation.phrases, self._language)
        if read:
            return Hypothesis(read, _confidence(readings[0]), self._others(weighed, read), ended=1.0)
        lead = weighed.likelihood - readings[0].log_probability
        if lead >= -3.0 and weighed.margin >= 1.5:
            return self._answer(weighed.best, weighed)
        return Hypothesis("", rejected="none_of_these", alternatives=self._others(weighed, ""))

    # Digits -------------------------------------------------------------------------------------------------------

    def _read_digits(self, encoded: Encoded, expectation: Expectation, audio_ms: int) -> Hypothesis:
        """Read with digit words only, then scored among all words; read freely too when that is not convincing."""
        most = 4 + 2 * min(expectation.max_digits, 2 + audio_ms // 200)
        strictly, _ = self._model.read(encoded, self._language, most, _WEIGHED_READINGS, only=self._digit_tokens)
        found: dict[str, float] = {}
        otherwise: dict[str, str] = {}
        for reading in strictly:
            said = _without_echo(lexicon.digits_of(reading.text, self._language)[0], expectation, audio_ms)
            found[said] = max(found.get(said, -math.inf), reading.log_probability)
            if len(said) > 1 and _SPELT_OTHERWISE & set(lexicon.words_of(reading.text)):
                otherwise.setdefault(said, reading.text.rstrip(lexicon.PUNCTUATION))
        ranked = self._rank_digits(encoded, found, otherwise, expectation)
        if ranked and ranked[0][1] >= self._least(ranked[0][0]) + _CONVINCING and _fits(ranked[0][0], expectation):
            return self._digit_answer(ranked)
        freely, speech = self._readings(encoded, audio_ms, READINGS)
        clean = False
        for reading in freely:
            said, pure = lexicon.digits_of(reading.text, self._language)
            said = _without_echo(said, expectation, audio_ms)
            clean = clean or (pure and reading is freely[0])
            if pure and said not in found:
                found[said] = reading.log_probability + _FREELY
        ranked = self._rank_digits(encoded, found, otherwise, expectation)
        if not ranked or (ranked[0][1] < self._least(ranked[0][0]) and not (clean and speech)):
            return Hypothesis("", rejected="none_of_these" if speech else "no_speech")
        return self._digit_answer(ranked)

    def _least(self, digits: str) -> float:
        first, further = _LEAST_DIGIT.get(self._language, _LEAST_DIGIT["en"])
        return first + further * (len(digits) - 1)

    def _digit_answer(self, ranked: list[tuple[str, float]]) -> Hypothesis:
        total = math.fsum(math.exp(s) for _, s in ranked)
        sound = _sigmoid(ranked[0][1] - self._least(ranked[0][0]))
        best, *others = (Alternative(d, round(math.exp(s) / total * sound, 3)) for d, s in ranked[:_WEIGHED_READINGS])
        return Hypothesis(best.text, best.confidence, tuple(others), ended=1.0)

    def _rank_digits(
        self, encoded: Encoded, found: dict[str, float], otherwise: dict[str, str], expectation: Expectation
    ) -> list[tuple[str, float]]:
        """Candidates by log-probability among all words, those of the expected length if there are any.

        Figures and words are different spellings of the same digits and add up, as do the readings in `otherwise`.
        """
        candidates = [d for d in found if d and _fits(d, expectation)] or [d for d in found if d]
        if expectation.max_digits == 1:
            candidates = list("0123456789")
        spellings = [(d, text) for d in candidates for text in self._spellings(d)]
        spellings += [(d, f"{self._space}{otherwise[d]}{self._stop}") for d in candidates if d in otherwise]
        if not spellings:
            return []
        scores = self._model.score(encoded, self._language, [self._model.tokens(text) for _, text in spellings])
        total: dict[str, float] = {}
        for (digits, _), score in zip(spellings, scores, strict=True):
            total[digits] = _log_add(total.get(digits, -1e9), math.fsum(score))
        weight = _STRICT_WEIGHT.get(self._language, 0.0)
        ranked = ((d, score + weight * found.get(d, _FREELY)) for d, score in total.items())
        return sorted(ranked, key=lambda x: -x[1])

    def _spellings(self, digits: str) -> tuple[str, str]:
        separator = "" if self._language == "zh" else ", "
        names = lexicon.DIGIT_NAMES[self._language]
        words_ = separator.join(names[int(d)] for d in digits).capitalize()
        return f"{self._space}{separator.join(digits)}{self._stop}", f"{self._space}{words_}{self._stop}"


def _fits(digits: str, expectation: Expectation) -> bool:
    return expectation.min_digits <= len(digits) <= expectation.max_digits


def _without_echo(digits: str, expectation: Expectation, audio_ms: int) -> str:
    """Digits without what the decoder repeats when the audio is at its end: more than time allows, or than expected."""
    return digits[: min(expectation.max_digits, max(1, audio_ms // _LEAST_DIGIT_MS))]


def _confidence(reading: Reading) -> float:
    """0..1 from the mean log-probability of the tokens."""
    return round(min(1.0, math.exp(reading.score)), 3)


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, x))))


def _log_add(a: float, b: float) -> float:
    return max(a, b) + math.log1p(math.exp(-abs(a - b)))


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

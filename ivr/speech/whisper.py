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

import numpy as np

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
_LEAST_DIGIT = {"en": (-6.0, -2.2), "zh": (-4.0, -2.8)}
_CONVINCING = 2.0
# A digit alone may lie that far under the least when the audio adds so much to its log-probability.
_DOUBT, _LEAST_GAIN, _CLEAR_GAIN = 3.5, 4.2, 7.0
_SHIFT_MS = 200
_NEVER = -1e9
_FREELY = -4.0
_STRICT_WEIGHT = {"en": 0.0, "zh": 0.5}
_SPELT_OTHERWISE = frozenset({"oh", "double", "triple"})
_LEAST_DIGIT_MS = 120
_HISS_LEVELS = (0.03, 0.003)
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


@dataclass(frozen=True)
class _Digits:
    """A candidate, its log-probability on the audio, and the sum of its digits' log-probabilities without any."""

    digits: str
    likelihood: float
    prior: float

    @property
    def gain(self) -> float:
        return self.likelihood - self.prior


class _Found:
    """Digit strings that decodes came up with, cut to what was expected and to what the time allows."""

    def __init__(self, language: str, expectation: Expectation, audio_ms: int) -> None:
        self.expectation = expectation
        self.strict: dict[str, float] = {}
        self.otherwise: dict[str, str] = {}
        self._language = language
        self._most = min(expectation.max_digits, max(1, audio_ms // _LEAST_DIGIT_MS))
        self.most_tokens = 4 + 2 * min(expectation.max_digits, 2 + audio_ms // 200)

    def fits(self, digits: str) -> bool:
        return self.expectation.min_digits <= len(digits) <= self.expectation.max_digits

    def add(self, text: str, log_probability: float, only_clean: bool = False) -> bool:
        """Take a reading; returns whether nothing but digits was said. The decoder repeats what is beyond the most."""
        said, clean = lexicon.digits_of(text, self._language)
        if not said or (only_clean and not clean):
            return False
        said = said[: self._most]
        self.strict[said] = max(self.strict.get(said, _NEVER), log_probability)
        if len(said) > 1 and _SPELT_OTHERWISE & set(lexicon.words_of(text)):
            self.otherwise.setdefault(said, text.rstrip(lexicon.PUNCTUATION))
        return clean

    def candidates(self) -> list[str]:
        """Those of the expected length if there are any; all ten when one digit is expected."""
        if self.expectation.max_digits == 1:
            return list("0123456789")
        return [d for d in self.strict if self.fits(d)] or list(self.strict)


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

        self._first = {phrase: self._yes_no[phrase] for phrase in lexicon.WEIGHED_FIRST.get(language, ())}
        self._digit_priors = {named: self._measured_priors(named) for named in (True, False)}

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
            encoded = self._model.encode(wave, CONTEXT_S, SILENCE_S)
            if expectation.kind == "yes_no":
                found = self._read_yes_no(encoded, audio_ms)
            elif expectation.kind == "digits":
                found = self._read_digits(encoded, wave, expectation)
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
        short = audio_ms <= _SHORT_ANSWER_MS
        for phrases in (self._first, self._yes_no) if self._first and short else (self._first or self._yes_no,):
            weighed = self._weigh(encoded, phrases)
            if weighed.sure and short and weighed.likelihood >= _LIKELY:
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

    def _read_digits(self, encoded: Encoded, wave: np.ndarray, expectation: Expectation) -> Hypothesis:
        """Read with digit words only, then weighed among all words; in doubt once more with the audio shifted.

        Short-context decodes depend on where the audio lies; what both looks agree on is what was said.
        """
        audio_ms = wave.size * 1_000 // pcm.RATE_HZ
        looks = [encoded]
        found = _Found(self._language, expectation, audio_ms)
        self._look(encoded, found)
        ranked = self._rank_digits(looks, found)
        if ranked and self._sound(ranked[0]) >= _CONVINCING and found.fits(ranked[0].digits):
            return self._digit_answer(ranked)
        shifted = np.concatenate([np.zeros(_SHIFT_MS * pcm.RATE_HZ // 1_000, np.float32), wave])
        looks.append(self._model.encode(shifted, CONTEXT_S + 2, SILENCE_S + 2))
        self._look(looks[-1], found)
        readings, speech = self._readings(encoded, audio_ms, READINGS)
        clean, *_ = [found.add(r.text, r.log_probability + _FREELY, only_clean=True) for r in readings]
        ranked = self._rank_digits(looks, found)
        if not ranked or not self._acceptable(ranked[0], speech, clean):
            return Hypothesis("", rejected="none_of_these" if speech else "no_speech")
        return self._digit_answer(ranked)

    def _look(self, encoded: Encoded, found: _Found) -> None:
        strictly, _ = self._model.read(
            encoded, self._language, found.most_tokens, _WEIGHED_READINGS, only=self._digit_tokens
        )
        for reading in strictly:
            found.add(reading.text, reading.log_probability)

    def _acceptable(self, best: _Digits, speech: bool, clean: bool) -> bool:
        sound = self._sound(best)
        alone = len(best.digits) == 1 and sound >= -_DOUBT
        audible = alone and best.gain >= _LEAST_GAIN
        return sound >= 0 or (speech and (clean or audible)) or (alone and best.gain >= _CLEAR_GAIN)

    def _sound(self, candidate: _Digits) -> float:
        """How far the candidate's log-probability lies above the least that counts."""
        first, further = _LEAST_DIGIT.get(self._language, _LEAST_DIGIT["en"])
        return candidate.likelihood - (first + further * (len(candidate.digits) - 1))

    def _digit_answer(self, ranked: list[_Digits]) -> Hypothesis:
        total = math.fsum(math.exp(c.gain - ranked[0].gain) for c in ranked)
        sound = _sigmoid(self._sound(ranked[0]))
        best, *others = (
            Alternative(c.digits, round(math.exp(c.gain - ranked[0].gain) / total * sound, 3))
            for c in ranked[:_WEIGHED_READINGS]
        )
        return Hypothesis(best.text, best.confidence, tuple(others), ended=1.0)

    def _rank_digits(self, looks: list[Encoded], found: _Found) -> list[_Digits]:
        """Candidates by what the audio adds to their log-probability, those of the expected length if there are any.

        Figures and words are different spellings of the same digits and add up, as does "double" or "oh". A digit
        alone and Mandarin ones are spelt as words only: "0" would stand for "oh" among others.
        """
        candidates = found.candidates()
        named = found.expectation.max_digits == 1 or self._language == "zh"
        spellings = [(d, text) for d in candidates for text in self._spellings(d, named)]
        spellings += [(d, self._space + found.otherwise[d] + self._stop) for d in candidates if d in found.otherwise]
        if not spellings:
            return []
        texts = [self._model.tokens(text) for _, text in spellings]
        total = dict.fromkeys(candidates, 0.0)
        for look in looks:
            heard: dict[str, float] = {}
            for (digits, _), score in zip(spellings, self._model.score(look, self._language, texts), strict=True):
                heard[digits] = _log_add(heard.get(digits, _NEVER), math.fsum(score))
            for digits, score in heard.items():
                total[digits] += score / len(looks)
        weight = _STRICT_WEIGHT.get(self._language, 0.0)
        priors = self._digit_priors[named]
        ranked = (
            _Digits(d, s + weight * found.strict.get(d, _FREELY), math.fsum(priors[c] for c in d))
            for d, s in total.items()
        )
        return sorted(ranked, key=lambda x: -x.gain)

    def _measured_priors(self, named: bool) -> dict[str, float]:
        """Each digit's log-probability when nothing but a hiss is heard: what the model is inclined to write anyway."""
        noise = np.random.default_rng(1).standard_normal(pcm.RATE_HZ).astype(np.float32)
        spellings = [(d, text) for d in "0123456789" for text in self._spellings(d, named)]
        sums = dict.fromkeys("0123456789", 0.0)
        for level in _HISS_LEVELS:
            encoded = self._model.encode(noise * level, CONTEXT_S, SILENCE_S)
            scores = self._model.score(encoded, self._language, [self._model.tokens(text) for _, text in spellings])
            heard: dict[str, float] = {}
            for (digit, _), score in zip(spellings, scores, strict=True):
                heard[digit] = _log_add(heard.get(digit, _NEVER), math.fsum(score))
            for digit, score in heard.items():
                sums[digit] += score / len(_HISS_LEVELS)
        return sums

    def _spellings(self, digits: str, named: bool) -> tuple[str, ...]:
        """The digits as the model would write them: in words, and unless only `named`, in figures."""
        separator = "" if self._language == "zh" else ", "
        names = lexicon.DIGIT_NAMES[self._language]
        words_ = separator.join(names[int(d)] for d in digits).capitalize()
        figures = () if named else (f"{self._space}{separator.join(digits)}{self._stop}",)
        return (f"{self._space}{words_}{self._stop}", *figures)


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

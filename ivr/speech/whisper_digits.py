"""Spoken digits, read by Whisper with digit words only and then weighed against everything else that could be said.

What decides between candidates is how much the audio adds to their log-probability; what decides how many digits
there are is that and the rhythm: each burst of sound between pauses holds at least one. In doubt the audio is looked
at once more, shifted, since short-context decodes depend on where it lies. Runs on recogniser threads; knows nothing
of calls. The figures were fitted on single and strung digits of several speakers and synthetic voices at 8 kHz.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ivr.speech import lexicon, pcm
from ivr.speech.whisper_model import Encoded, Reading, WhisperModel, heard_freely, log_add, sigmoid, words
from ivr.turn import Alternative, Expectation, Hypothesis

_READINGS = 5
_MOST_CANDIDATES = 12
_LEAST_DIGIT_MS = 120
_NEVER = -1e9
_UNREAD = -12.0

# The least log-probability of the first digit and what each further one may add; how much more convinces at once, and
# how far it must then be from the next candidate.
_LEAST = {"en": (-6.0, -2.2), "zh": (-3.5, -2.3)}
_CONVINCING, _APART = 2.0, 2.0
# A digit alone may lie that far under the least when the audio adds so much to its log-probability.
_DOUBT, _LEAST_GAIN, _CLEAR_GAIN = 3.5, 4.2, 7.0

# Length: a bonus for the expected one, a penalty for each digit more than the bursts can hold, or fewer than there are.
_EXPECTED_LENGTH, _OUT_OF_RHYTHM = 4.0, 6.0
_DIGIT_MS = {"en": 280, "zh": 200}
_FRAME = pcm.RATE_HZ // 100
_PAUSE_FRAMES, _BURST_FRAMES = 8, 5
_UNDER_PEAK_DB, _AUDIBLE_DBFS = 28.0, -62.0

_HISS_LEVELS = (0.03, 0.003)
_SILENCE = Hypothesis("", rejected="no_speech")
_SPELT_OTHERWISE = frozenset({"oh", "double", "triple"})


def bursts_ms(wave: np.ndarray) -> list[int]:
    """Lengths of the stretches of sound that pauses of 80 ms or more separate, float32 samples at 16 kHz."""
    frames = wave[: wave.size // _FRAME * _FRAME].reshape(-1, _FRAME)
    if len(frames) < _BURST_FRAMES:
        return []
    levels = np.convolve(10 * np.log10(np.mean(np.square(frames), axis=1) + 1e-10), np.ones(3) / 3, "same")
    loud = levels > max(float(np.quantile(levels, 0.95)) - _UNDER_PEAK_DB, _AUDIBLE_DBFS)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], loud.astype(np.int8), [0]))))
    bursts: list[list[int]] = []
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if bursts and start - bursts[-1][1] < _PAUSE_FRAMES:
            bursts[-1][1] = stop
        else:
            bursts.append([start, stop])
    return [10 * (stop - start) for start, stop in bursts if stop - start >= _BURST_FRAMES]


@dataclass(frozen=True)
class _Candidate:
    """A digit string, its log-probability on the audio, and how much of that the audio adds."""

    digits: str
    likelihood: float
    gain: float


class _Found:
    """Digit strings that decodes came up with, cut to what was expected and to what the time allows."""

    def __init__(self, language: str, expectation: Expectation, wave: np.ndarray) -> None:
        audio_ms = wave.size * 1_000 // pcm.RATE_HZ
        bursts = bursts_ms(wave)
        self.expectation = expectation
        self.otherwise: dict[str, str] = {}
        self.in_doubt = False
        self.most_tokens = 4 + 2 * min(expectation.max_digits, 2 + audio_ms // 200)
        self.strings: dict[str, float] = {}
        self._least_likely = 0.0
        self._language = language
        self._most = min(expectation.max_digits, max(1, audio_ms // _LEAST_DIGIT_MS))
        self._least_held = len(bursts)
        self._most_held = sum(max(1, int(b / _DIGIT_MS.get(language, 280) + 0.5)) for b in bursts)

    def fits(self, digits: str) -> bool:
        return self.expectation.min_digits <= len(digits) <= self.expectation.max_digits

    def add(self, text: str, log_probability: float) -> bool:
        """Take a reading; returns whether nothing but digits was said. The decoder repeats what is beyond the most."""
        said, clean = lexicon.digits_of(text, self._language)
        said = said[: self._most]
        self._least_likely = min(self._least_likely, max(_UNREAD, log_probability))
        if said:
            self.strings[said] = max(self.strings.get(said, _NEVER), log_probability)
        if len(said) > 1 and _SPELT_OTHERWISE & set(lexicon.words_of(text)):
            self.otherwise.setdefault(said, text.rstrip(lexicon.PUNCTUATION))
        return clean

    def candidates(self) -> list[str]:
        """What was read and its beginnings as long as there are bursts; all ten when one digit is expected.

        In doubt the line-up as well: what was misheard may be more likely than what was read.
        """
        if self.expectation.max_digits == 1:
            return list("0123456789")
        beginnings = (d[: self._least_held] for d in self.strings if 0 < self._least_held < len(d))
        found = list(dict.fromkeys([*self.strings, *beginnings]))[:_MOST_CANDIDATES]
        if not found or not self.in_doubt:
            return found
        return list(dict.fromkeys([*found, *(p for p in self.expectation.phrases if re.fullmatch("[0-9]+", p))]))

    def less_read(self, digits: str) -> float:
        """How much less likely the digits were to the restricted decodes than what those found best, in nats.

        What none of them found is as likely as the last that was.
        """
        most = max(self.strings.values(), default=_UNREAD)
        return max(0.0, most - max(self._least_likely, self.strings.get(digits, _UNREAD)))

    def in_rhythm(self, length: int) -> float:
        """Penalty (negative) or bonus for so many digits."""
        if self.expectation.max_digits == 1:
            return 0.0
        off = max(0, length - self._most_held, self._least_held - length) if self._least_held else 0
        expected = self.expectation.min_digits <= length <= self.expectation.max_digits
        return _EXPECTED_LENGTH * expected - _OUT_OF_RHYTHM * off


class DigitReader:
    """Reads digits of one language on a loaded model."""

    def __init__(self, model: WhisperModel, language: str) -> None:
        self._model = model
        self._language = language
        # Mandarin is mostly written without a full stop, and its digits without spaces.
        self._space, self._stop, self._separator = ("", "", "") if language == "zh" else (" ", ".", ", ")
        self._tokens = words(model, lexicon.SPOKEN_DIGITS[language]) | {t for m in ",." for t in model.tokens(m)}
        self._priors = {named: self._measured_priors(named) for named in (True, False)}

    def read(
        self,
        encoded: Encoded,
        wave: np.ndarray,
        expectation: Expectation,
        freely: Callable[[], tuple[list[Reading], bool]],
    ) -> Hypothesis:
        """The digits in `wave`. `freely`, asked in doubt only: unrestricted readings, and whether there is speech."""
        looks = [encoded]
        found = _Found(self._language, expectation, wave)
        self._look(encoded, found)
        ranked = self._rank(looks, found)
        if ranked and self._convincing(ranked, found):
            return self._answer(ranked)
        found.in_doubt = True
        looks.append(self._model.encode_again(wave, self._language))
        self._look(looks[-1], found)
        readings, speech = freely()
        clean = False
        for reading in readings:
            if lexicon.digits_of(reading.text, self._language)[1]:
                found.add(reading.text, _UNREAD)
                clean = clean or reading is readings[0]
        ranked = self._rank(looks, found)
        if not ranked or not self._acceptable(ranked[0], speech, clean):
            return Hypothesis("", rejected="none_of_these", alternatives=heard_freely(readings)) if speech else _SILENCE
        return self._answer(ranked)

    def _look(self, encoded: Encoded, found: _Found) -> None:
        readings, _ = self._model.read(encoded, self._language, found.most_tokens, _READINGS, only=self._tokens)
        for reading in readings:
            found.add(reading.text, reading.log_probability)

    def _rank(self, looks: list[Encoded], found: _Found) -> list[_Candidate]:
        """Candidates, best first: of one length by gain, of several by log-probability and rhythm.

        Figures and words are different spellings of the same digits and add up, as does "double" or "oh". A digit
        alone is spelt as a word only: "0" would stand for "oh" among others. Without a full stop figures are as likely
        as whatever begins with them, 0950 as 095000; then the restricted decodes count as well.
        """
        candidates = found.candidates()
        named = found.expectation.max_digits == 1
        spellings = [(d, text) for d in candidates for text in self._spellings(d, named)]
        spellings += [(d, self._space + found.otherwise[d] + self._stop) for d in candidates if d in found.otherwise]
        if not spellings:
            return []
        total = dict.fromkeys(candidates, 0.0)
        for look in looks:
            for digits, score in self._sums(look, spellings).items():
                total[digits] += score / len(looks)
        priors = self._priors[named]
        ranked = [
            _Candidate(d, s, s - math.fsum(priors[c] for c in d) - (0.0 if self._stop else found.less_read(d)))
            for d, s in total.items()
        ]
        ranked.sort(key=lambda c: -c.gain)
        length = self._length(ranked, found)
        return sorted(ranked, key=lambda c: len(c.digits) != length)

    def _length(self, ranked: list[_Candidate], found: _Found) -> int:
        """How many digits were said.

        Without a full stop a string is never less likely than what begins with it; then the restricted decodes, which
        know where the text ends, are compared instead.
        """
        firsts: dict[int, float] = {}
        for candidate in ranked:
            length = len(candidate.digits)
            if self._stop:
                firsts.setdefault(length, candidate.likelihood)
            else:
                firsts[length] = max(firsts.get(length, _UNREAD), found.strings.get(candidate.digits, _UNREAD))
        return max(firsts, key=lambda length: firsts[length] + found.in_rhythm(length))

    def _sums(self, look: Encoded, spellings: list[tuple[str, str]]) -> dict[str, float]:
        """Digits -> log-probability that they were said, in any of their spellings."""
        texts = [self._model.tokens(text) for _, text in spellings]
        heard: dict[str, float] = {}
        for (digits, _), score in zip(spellings, self._model.score(look, self._language, texts), strict=True):
            heard[digits] = log_add(heard.get(digits, _NEVER), math.fsum(score))
        return heard

    def _spellings(self, digits: str, named: bool) -> tuple[str, ...]:
        """The digits as the model would write them: in words, and unless only `named`, in figures."""
        names = lexicon.DIGIT_NAMES[self._language]
        text = self._separator.join(names[int(d)] for d in digits).capitalize()
        figures = () if named else (f"{self._space}{self._separator.join(digits)}{self._stop}",)
        return (f"{self._space}{text}{self._stop}", *figures)

    def _measured_priors(self, named: bool) -> dict[str, float]:
        """Each digit's log-probability when nothing but a hiss is heard: what the model is inclined to write anyway."""
        noise = np.random.default_rng(1).standard_normal(pcm.RATE_HZ).astype(np.float32)
        spellings = [(d, text) for d in "0123456789" for text in self._spellings(d, named)]
        heard = [self._sums(self._model.encode(noise * h), spellings) for h in _HISS_LEVELS]
        return {d: math.fsum(h[d] for h in heard) / len(heard) for d in "0123456789"}

    def _sound(self, candidate: _Candidate) -> float:
        """How far the candidate's log-probability lies above the least that counts."""
        first, further = _LEAST.get(self._language, _LEAST["en"])
        return candidate.likelihood - (first + further * (len(candidate.digits) - 1))

    def _convincing(self, ranked: list[_Candidate], found: _Found) -> bool:
        best, *others = ranked
        apart = min((best.gain - c.gain for c in others if len(c.digits) == len(best.digits)), default=math.inf)
        return self._sound(best) >= _CONVINCING and apart >= _APART and found.fits(best.digits)

    def _acceptable(self, best: _Candidate, speech: bool, clean: bool) -> bool:
        sound = self._sound(best)
        alone = len(best.digits) == 1 and sound >= -_DOUBT
        audible = alone and best.gain >= _LEAST_GAIN
        return sound >= 0 or (speech and (clean or audible)) or (alone and best.gain >= _CLEAR_GAIN)

    def _answer(self, ranked: list[_Candidate]) -> Hypothesis:
        """Shares among the candidates of the same length, times how likely any of them is at all."""
        peers = [c for c in ranked if len(c.digits) == len(ranked[0].digits)]
        total = math.fsum(math.exp(c.gain - peers[0].gain) for c in peers)
        sound = sigmoid(self._sound(peers[0]))
        best, *others = (
            Alternative(c.digits, round(math.exp(c.gain - peers[0].gain) / total * sound, 3)) for c in peers[:_READINGS]
        )
        return Hypothesis(best.text, best.confidence, tuple(others), ended=1.0)

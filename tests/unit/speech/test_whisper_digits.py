"""What decides between Mandarin digit strings, with a model whose scores are given."""

import numpy as np

from ivr.speech import pcm
from ivr.speech.whisper_digits import DigitReader
from ivr.speech.whisper_model import Reading
from ivr.turn import Expectation

WAVE = 0.3 * np.sin(np.arange(int(1.6 * pcm.RATE_HZ)) / 9).astype(np.float32)
PROOF = Expectation("digits", "zh", phrases=("7315", "7355"), min_digits=4, max_digits=4, proof="id_last4")


class Model:
    """Reads 七三一五, and 七三五五 hardly; what given texts score is said."""

    def __init__(self, scores):
        self._scores = scores

    def tokens(self, text):
        return [text]

    def encode(self, *_):
        return "first"

    def encode_again(self, *_):
        return "again"

    def score(self, _, __, texts):
        return [[self._scores.get(text, -9.0)] for (text,) in texts]

    def read(self, *_, **__):
        return [Reading("七三一五", (1,) * 4, -0.1), Reading("七三五五", (1,) * 4, -1.2)], 0.1


def test_figures_that_begin_other_figures_do_not_outweigh_what_was_read():
    reader = DigitReader(Model({"七三一五": -5.0, "7355": -4.0}), "zh")
    found = reader.read("first", WAVE, PROOF, lambda: ([], True))
    assert found.text == "7315"


def test_what_was_not_read_may_still_be_likelier():
    """A line-up is of use only if it can be."""
    reader = DigitReader(Model({"七三一五": -25.0, "七三五五": -1.0}), "zh")
    assert reader.read("first", WAVE, PROOF, lambda: ([], True)).text == "7355"

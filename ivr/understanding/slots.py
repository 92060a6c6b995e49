"""Slots: typed values that an utterance fills, read from recognised words or from keys.

Pure: text in, canonical strings out (see `Filled`). Knows nothing of steps, prompts or recognisers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ivr.turn import ExpectationKind, Filled
from ivr.understanding.places import Places


@dataclass(frozen=True)
class Slot:
    """One value that a service asks for.

    Attributes:
        name: as dialplans and records call it.
        kind: what kind of value.
        min: least number of digits or characters, or the least number; 0 for no limit.
        max: most of them; 0 for no limit.
        choices: for `choice`: value -> language -> phrases that mean it.
        places: for `place`: the places there are.
        currency: ISO 4217 code of money said without one.
        country: ISO 3166 code of the country whose telephone numbers are meant; empty takes any digits.
        sensitive: masked in records and logs and silenced in recordings.
    """

    name: str
    kind: ExpectationKind
    min: int = 0
    max: int = 0
    choices: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    places: Places | None = None
    currency: str = "CNY"
    country: str = ""
    sensitive: bool = False


def read(slot: Slot, readings: Sequence[tuple[str, float]], language: str, today: str = "") -> Filled | None:
    """The slot's value in an utterance of which it is all or nearly all; `readings` n-best, best first.

    `today` is the ISO date that relative dates count from. None when no reading holds a value that fits.
    """
    raise NotImplementedError


def read_all(
    slots: Sequence[Slot], asked: Slot | None, readings: Sequence[tuple[str, float]], language: str, today: str = ""
) -> dict[str, Filled]:
    """Every slot that the utterance fills, by name; no stretch of words fills two.

    A slot other than `asked` is taken only when the words clearly say it.
    """
    raise NotImplementedError


def from_keys(slot: Slot, keys: str, today: str = "") -> str:
    """The value that pressed keys (0-9, `*`) mean, empty when they do not fit."""
    raise NotImplementedError


def keys_wanted(slot: Slot) -> int:
    """How many keys complete the slot at once; 0 when `#` or a timeout ends it."""
    raise NotImplementedError


def says_enough(slot: Slot, text: str, language: str) -> Literal["complete", "partial", ""]:
    """Whether `text` holds the whole value, breaks off in the middle of one, or neither; for the end-of-speech wait."""
    raise NotImplementedError

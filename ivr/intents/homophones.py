"""Mandarin as a recogniser gets it wrong: characters replaced by others that sound the same. For measuring. Pure."""

from __future__ import annotations

import random
from functools import cache

from ivr import readings

_FIRST, _LAST = 0xB0, 0xD7


@cache
def _by_sound() -> dict[str, tuple[str, ...]]:
    """The 3,755 commonest characters (GB 2312, level 1) by their syllable with its tone."""
    found: dict[str, list[str]] = {}
    for row in range(_FIRST, _LAST + 1):
        for column in range(0xA1, 0xFF):
            character = bytes((row, column)).decode("gb2312", "ignore")
            if character:
                found.setdefault(_sound(character), []).append(character)
    return {sound: tuple(each) for sound, each in found.items()}


def _sound(character: str) -> str:
    return readings.numbered(character)[0]


def replaced(text: str, every: int, seed: int) -> str:
    """`text` with every `every`th Mandarin character another that sounds the same, chosen by `seed`.

    A character that no common one sounds like is passed over, and the one after it is replaced instead.
    """
    chance = random.Random(f"{seed} {text}")  # noqa: S311 - a reproducible draw, nothing secret
    due, out = 0, []
    for character in text:
        if "\u4e00" <= character <= "\u9fff":
            due += 1
            others = [c for c in _by_sound().get(_sound(character), ()) if c != character] if due >= every else []
            if others:
                character, due = chance.choice(others), 0  # noqa: PLW2901 - the one that is said
        out.append(character)
    return "".join(out)

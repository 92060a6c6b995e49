"""The house's own espeak-ng voices: a language of espeak-ng with a timbre made for the telephone.

espeak-ng's plain voices are often misheard over G.711. These timbres were found by a random search over the parameters
of espeak-ng's voice files that minimises what Whisper gets wrong after a G.711 round trip (`ivr bench voice` measures
it); no person has compared them. A voice file is the language's own file with the
timbre's lines added; see espeak-ng's docs/voices.md for their meaning. Used in the voice's child process only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PLAIN = {"ivr-en": "en-us", "ivr-zh": "cmn-latn-pinyin", "ivr-ko": "ko"}
NAMES = {"en": "ivr-en", "zh": "ivr-zh", "ko": "ivr-ko"}
# Shares of the configured rate. espeak-ng counts a pinyin syllable as a word, so that one figure for all languages
# would have Mandarin hurry; its 170 words a minute of English are more than a telephone carries well.
PACE = {"en": 0.95, "zh": 0.88}


@dataclass(frozen=True)
class Timbre:
    """Attributes:
    pitch: lowest and highest, Hz.
    formants: frequency, height and width of formants 0..8, percent of the language's own.
    tone: height of the spectrum at 150, 600, 1200, 2400 and 3600 Hz, 0..255.
    consonants: strength of unvoiced consonants and of the noise in voiced ones, percent.
    voicing: strength of formant-synthesised sounds, percent.
    stress: loudness of the eight stress (or tone) levels.
    """

    pitch: tuple[int, int]
    formants: tuple[tuple[int, int, int], ...]
    tone: tuple[int, int, int, int, int]
    consonants: tuple[int, int]
    voicing: int
    stress: tuple[int, ...]

    @property
    def lines(self) -> str:
        formants = [f"formant {n} {f} {height} {width}" for n, (f, height, width) in enumerate(self.formants)]
        tone = " ".join(f"{hz} {height}" for hz, height in zip((150, 600, 1200, 2400, 3600), self.tone, strict=True))
        return "\n".join(
            ["flutter 0", "roughness 0", "echo 0 0", f"pitch {self.pitch[0]} {self.pitch[1]}", f"tone {tone}",
             f"voicing {self.voicing}", f"consonants {self.consonants[0]} {self.consonants[1]}",
             f"stressAmp {' '.join(map(str, self.stress))}", *formants, ""]
        )  # fmt: skip


_HIGH = ((100, 50, 90), (100, 20, 90), (100, 20, 90))
_ENGLISH = Timbre(
    pitch=(80, 110),
    formants=((105, 200, 137), (91, 160, 137), (99, 106, 131), (95, 117, 140), (31, 30, 30), (88, 90, 124), *_HIGH),
    tone=(204, 152, 100, 67, 31),
    consonants=(65, 88),
    voicing=23,
    stress=(23, 19, 19, 20, 19, 22, 22, 19),
)
_MANDARIN = Timbre(
    pitch=(95, 203),
    formants=((100, 156, 78), (98, 98, 71), (96, 70, 74), (97, 74, 75), (99, 60, 90), (76, 78, 90), *_HIGH),
    tone=(255, 113, 220, 57, 101),
    consonants=(93, 79),
    voicing=59,
    stress=(20, 18, 19, 20, 20, 22, 22, 13),
)
_VOICES = {
    "ivr-en": ("lang/gmw/en-US", _ENGLISH),
    "ivr-zh": ("lang/sit/cmn-Latn-pinyin", _MANDARIN),
    "ivr-ko": ("lang/ko", _ENGLISH),
}


def write(data: Path, folder: Path) -> dict[str, Path]:
    """Voice files for espeak-ng in `folder`, by name. `data` is espeak-ng's own folder. Raises OSError.

    A language that another release of espeak-ng keeps elsewhere is left out; its PLAIN voice stands in.
    """
    files = {}
    for name, (language, timbre) in _VOICES.items():
        if not (data / language).is_file():
            continue
        own = (data / language).read_text("utf-8", "replace")
        kept = [line for line in own.splitlines() if line.split(" ")[0] not in ("pitch", "stressAmp", "//")]
        files[name] = folder / name
        files[name].write_text("\n".join(kept) + "\n" + timbre.lines, "utf-8")
    return files

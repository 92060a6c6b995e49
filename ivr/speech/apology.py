"""`python -m ivr.speech.apology` makes `audio_prompts/<language>/apology.wav` with the voice, for every language.

A line process plays these files by itself when the brain is gone, so they are files of the repository in the line's
own format, not of the cache. The words stand in each folder's `prompts.toml`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ivr.config import Config, Speech
from ivr.speech import pcm, recordings, sentences, spoken
from ivr.speech.shaping import shape
from ivr.speech.tts import Pyttsx3Voice

NAME = "apology"


def main(root: Path) -> None:
    """Write the files below `root`. Raises SpeechFailed."""
    folders = [f for f in sorted((root / "audio_prompts").iterdir()) if (f / recordings.MANIFEST).exists()]
    voice = Pyttsx3Voice(Config(speech={folder.name: Speech() for folder in folders}))
    try:
        for folder in folders:
            known, _ = recordings.load(folder)
            text = known.by_name[NAME].text
            sound = b"".join(
                shape(*voice.speak(spoken.say(piece.text, folder.name), folder.name), piece.gap_ms)
                for piece in sentences.split(text, folder.name)
            )
            pcm.write_wav(folder / f"{NAME}.wav", sound)
            print(f"{folder.name}: {pcm.duration_ms(sound) / 1_000:.1f} s")
    finally:
        voice.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2])

"""The verdict on speech over a prompt: interrupt it for good, or let it go on where it stopped.

Speech has already paused the prompt. Where the prompt asks something, any answer counts, however short; where it asks
nothing, "mm-hm" and "okay" are somebody listening. Pure; lengths in ms of audio.
"""

from __future__ import annotations

from typing import Literal

from ivr.turn import Understood
from ivr.understanding import expected

Verdict = Literal["commit", "resume", "wait"]

COMMIT_SPEECH_MS = 460
"""Speech this long over a question is no cough."""
COMMIT_TALK_MS = 620
"""Speech this long over a statement is no back-channel; the line waits for a verdict a little longer."""
PEEK_MS = 400
"""Speech over a statement is read once when it is this long, in time for the verdict."""
SHORT_MS = 700
"""An utterance shorter than this that means nothing was a noise, not an answer."""


def while_speaking(
    speech_ms: int, asks: bool, so_far: Understood | None, language: str, hotword: bool = False
) -> Verdict:
    """The verdict while they still speak. `so_far` is a speculative understanding, when there is one.

    `hotword`: only words that mean something interrupt (bargeintype, VoiceXML 2.0, section 4.1.5.1), and
    they do as soon as nothing is missing of them.
    """
    if hotword:
        return "commit" if so_far is not None and so_far.complete and _means_something(so_far) else "wait"
    if speech_ms < (COMMIT_SPEECH_MS if asks else COMMIT_TALK_MS):
        return "wait"
    if so_far is not None and so_far.hypothesis.rejected == "no_speech":
        return "resume"
    if not asks and so_far is not None and expected.back_channel(so_far.hypothesis.text, language):
        return "resume"
    return "commit"


def when_spoken(understood: Understood, speech_ms: int, asks: bool, language: str, hotword: bool = False) -> Verdict:
    """The verdict once the utterance is over. `hotword` as in `while_speaking`."""
    if hotword:
        return "commit" if _means_something(understood) else "resume"
    if understood.hypothesis.rejected == "no_speech":
        return "resume"
    if not asks and expected.back_channel(understood.hypothesis.text, language):
        return "resume"
    if understood.value or understood.command or understood.slots:
        return "commit"
    return "resume" if speech_ms < SHORT_MS or understood.hypothesis.rejected else "commit"


def _means_something(understood: Understood) -> bool:
    """More than words: an open answer in which nothing was recognised has no confidence in any meaning."""
    return bool(understood.command or understood.slots or (understood.value and understood.confidence > 0))

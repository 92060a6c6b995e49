"""`ivr call URI`: ring a number, say things in turn, and print what happens as it happens.

The steps run in the order they are given on the command line. Exit code 0: the call was answered and every --say got
an answer; 1: it was not answered, or an answer was missing; 2: the command line is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from ivr.caller.agent import Caller
from ivr.caller.call import Call, CallFailed
from ivr.caller.speak import read_wav, speak
from ivr.errors import IvrError

TELL = {
    "invite": "INVITE sent", "trying": "100 Trying", "ringing": "it rings", "answered": "answered",
    "they_talking": "they talk", "they_quiet": "they are silent", "their_key": "they sent a key",
    "their_reinvite": "they changed the media", "they_hold": "they put us on hold", "they_resume": "they resumed",
    "their_refer": "they ask us to call somebody else", "press": "we press", "say": "we say", "said": "we have said",
    "barge_in": "we speak over them", "they_gave_way": "they gave way", "answer": "their answer begins",
    "ended": "the call is over",
}  # fmt: skip


class _Step(argparse.Action):
    """Collects (step, value) in the order of the command line."""

    def __call__(self, _parser: object, namespace: argparse.Namespace, values: Any, _option: object = None) -> None:
        namespace.steps = [*(getattr(namespace, "steps", None) or []), (self.dest, values)]


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="ivr call", description="Ring a SIP address and talk to what answers.")
    p.add_argument("uri", help="sip:400@127.0.0.1:5060")
    p.add_argument("--say", action=_Step, metavar="TEXT|WAV", help="when they are silent, say this; wait for an answer")
    p.add_argument("--keys", action=_Step, metavar="12#", help="when they are silent, press these keys")
    p.add_argument("--info", action=_Step, metavar="12#", help="the same by SIP INFO")
    p.add_argument("--barge", action=_Step, metavar="TEXT|WAV", help="say this while they talk, a second into it")
    p.add_argument("--wait", action=_Step, type=float, metavar="S", help="do nothing for so long")
    p.add_argument("--silence", action=_Step, type=float, metavar="S", help="fail unless they are silent for so long")
    p.add_argument("--hold", action=_Step, type=float, metavar="S", help="put them on hold for so long")
    p.add_argument("--language", default="en", help="language of the texts: en, zh, ko ... (default en)")
    p.add_argument("--voice", default="", help="flite or espeak-ng voice for the texts")
    p.add_argument("--quiet", type=float, default=0.7, metavar="S", help="their silence that makes it our turn (0.7)")
    p.add_argument("--max", type=float, default=60.0, metavar="S", help="hang up after so long (60)")
    p.add_argument("--record", metavar="OUT.wav", help="stereo recording: left we, right they")
    p.add_argument("--json", metavar="OUT", help="timeline, gaps and RTP figures; - for the terminal")
    p.add_argument("--from", dest="user", default="caller", metavar="USER", help="who rings (caller)")
    p.add_argument("--bind", default="127.0.0.1", metavar="ADDRESS", help="our own address (127.0.0.1)")
    p.add_argument("--codec", choices=("PCMU", "PCMA"), help="offer only this one")
    p.set_defaults(steps=[])
    return p


def audio_of(text: str, language: str, voice: str = "") -> np.ndarray:
    """A WAV file's samples when `text` names one, else the text spoken."""
    return read_wav(text) if text.lower().endswith(".wav") else speak(text, language, voice)


def tell(event: dict[str, Any]) -> None:
    """One event as a line."""
    more = {k: v for k, v in event.items() if k not in ("at_s", "what")}
    details = "  ".join(f"{k}={v}" for k, v in more.items() if v != "")
    print(f"{event['at_s']:8.3f}  {TELL.get(event['what'], event['what']):28} {details}".rstrip(), flush=True)


async def _barge(call: Call, pcm: np.ndarray, label: str) -> str:
    await call.talking()
    await asyncio.sleep(1.0)
    if not call.they_talk:
        return "they stopped talking before we could interrupt"
    return "" if await call.barge(pcm, label) is not None else f"they did not give way to {label!r}"


async def _silence(call: Call, seconds: float) -> str:
    known, end = len(call.media.talk.spells), time.monotonic() + seconds
    await call.wait_for(lambda: time.monotonic() > end or len(call.media.talk.spells) > known, seconds + 1)
    spoke = call.they_talk or any(s.what == "talking" for s in call.media.talk.spells[known:])
    return f"they spoke within {seconds:g} s" if spoke else ""


async def run_step(call: Call, step: str, value: Any, audio: dict[str, np.ndarray], quiet_s: float) -> str:
    """One step; what went wrong with it, empty when nothing did."""
    if step == "barge":
        return await _barge(call, audio[value], value)
    if step == "silence":
        return await _silence(call, value)
    if step in ("say", "keys", "info") and not await call.quiet(quiet_s):
        return "they never left us a turn" if not call.over else f"they hung up before {value!r}"
    if step == "say":
        turn = await call.turn(audio[value], value)
        return "" if turn.gap_s is not None else f"no answer to {value!r}"
    if step in ("keys", "info"):
        await call.press(value, method="info" if step == "info" else "rfc4733")
    elif step == "wait":
        await call.wait_for(lambda: False, value)
    elif step == "hold":
        await call.hold()
        await call.wait_for(lambda: False, value)
        await call.hold(False)
    return ""


async def _talk(call: Call, o: argparse.Namespace, audio: dict[str, np.ndarray]) -> list[str]:
    problems: list[str] = []
    for step, value in o.steps:
        if call.over:
            problems.append(f"they hung up before --{step} {value}")
            break
        if problem := await run_step(call, step, value, audio, o.quiet):
            problems.append(problem)
            print(f"          {problem}", flush=True)
    if not call.over:
        await call.quiet(3.0 if o.steps else o.max, o.max)
    return problems


async def _call(o: argparse.Namespace, audio: dict[str, np.ndarray]) -> tuple[dict[str, Any], list[str]]:
    codecs = (o.codec,) if o.codec else ("PCMU", "PCMA")
    problems: list[str] = []
    async with Caller(o.bind, user=o.user, codecs=codecs) as caller:
        call = await caller.dial(o.uri, on_event=tell)
        try:
            async with asyncio.timeout(o.max):
                problems = await _talk(call, o, audio)
        except TimeoutError:
            problems = [f"not done after {o.max:g} s"]
        await call.hangup()
        if o.record:
            call.save(o.record)
        return call.report(), problems


def _finish(o: argparse.Namespace, report: dict[str, Any], problems: list[str]) -> None:
    rtp = report["rtp"]
    print(
        f"{report['talk_s']:.1f} s of call, {rtp['packets']} packets received, {rtp['lost']} lost, "
        f"jitter {rtp['jitter_ms']} ms (p99 of spacing {rtp['spacing_p99_ms']} ms)"
    )
    for turn in report["turns"]:
        gap = "no answer" if turn["gap_s"] is None else f"answer after {turn['gap_s']:.3f} s"
        print(f"  {turn['said']}: {gap}")
    if o.json:
        text = json.dumps({**report, "problems": problems}, ensure_ascii=False, indent=1)
        print(text) if o.json == "-" else Path(o.json).write_text(text + "\n", "utf-8")


def main(argv: list[str]) -> int:
    """Run `ivr call`; the exit code."""
    o = parser().parse_args(argv)
    try:
        texts = {value for step, value in o.steps if step in ("say", "barge")}
        audio = {text: audio_of(text, o.language, o.voice) for text in texts}
        report, problems = asyncio.run(_call(o, audio))
    except CallFailed as failure:
        print(f"ivr call: {o.uri}: {failure}", file=sys.stderr)
        if o.json and o.json != "-":
            Path(o.json).write_text(json.dumps({"uri": o.uri, "code": failure.code, "problems": [str(failure)]}) + "\n")
        return 1
    except IvrError as error:
        print(f"ivr call: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    _finish(o, report, problems)
    return 1 if problems else 0

#!/usr/bin/env python3
"""The demonstration: starts the server on loopback, rings it in English and Mandarin, prints the conversation.

The caller is `ivr.caller`, a user agent of its own that speaks through espeak-ng (and flite where it is installed).
What was heard and how long each part took comes from the server's call records; the gaps are measured in the
caller's RTP. Then the bank has a transaction verified (`demo_verify`). Ends with 0, or with 1 and the reason.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import demo_verify  # noqa: E402
from demo_verify import Bank  # noqa: E402

from ivr.bench.harness import Server, plan_main  # noqa: E402
from ivr.caller import Call, Caller, CallFailed  # noqa: E402
from ivr.caller.speak import speak  # noqa: E402
from ivr.errors import IvrError  # noqa: E402

PARTS = {
    "endpoint_ms": "noticing the end", "decode_ms": "of which recognising", "understand_ms": "understanding",
    "engine_ms": "deciding", "render_ms": "making speech", "playout_ms": "first frame out",
}  # fmt: skip

LEARNING_S = 30
"""So long the first call waits for the models; on a busy machine, where calls go first, they take longer."""


class Disappointed(IvrError):
    """The conversation did not go as it should."""


@dataclass(frozen=True)
class Says:
    """An utterance. `over`: it begins while the far end talks. `expect`: field of the record that must not be empty."""

    text: str
    over: bool = False
    expect: str = "value"


@dataclass(frozen=True)
class Presses:
    """Keys."""

    digits: str


ENGLISH = (
    Says("What are your opening hours?", expect="answer"),
    Says("I lost my card.", over=True, expect="intent"),
    Says("No."),
    Says("What is my balance?", expect="intent"),
    Presses("8620"),
    Says("Goodbye.", expect="intent"),
)
MANDARIN = (
    Says("请问周末营业吗", expect="answer"),
    Says("我的银行卡丢了", expect="intent"),
    Presses("2"),
)
CALLS = (("400", "en", "English", ENGLISH), ("401", "zh", "Mandarin", MANDARIN))


def show(at_s: float, who: str, text: str) -> None:
    print(f"  {at_s:6.2f} s  {who:9} {text}", flush=True)


def words(turn: dict[str, Any]) -> str:
    return " ".join(said["text"] for said in turn["said"])


async def greeting(srv: Server, call: Call) -> str:
    record = await srv.record(call, ended=False)
    return words(record["turns"][0])


async def completed(srv: Server, call: Call, count: int) -> tuple[dict[str, Any], str]:
    """The `count`th turn that the caller took, and what the server says to it; once both are in the record."""
    end = time.monotonic() + 12
    while time.monotonic() < end:
        turns = (await srv.record(call, ended=False))["turns"]
        taken = [i for i, t in enumerate(turns) if t["heard"] or t["keys"] or t["rejected"]]
        if len(taken) >= count and len(turns) > taken[count - 1] + 1:
            index = taken[count - 1]
            return turns[index], words(turns[index + 1])
        await asyncio.sleep(0.1)
    raise Disappointed(f"the server's record has no turn {count}")


def show_turn(call: Call, turn: dict[str, Any], gap_s: float | None, answer: str) -> None:
    now = time.monotonic() - call.invited_at
    if turn["keys"]:
        show(now, "got keys", turn["keys"])
    else:
        confidence = f" (confidence {turn['confidence']:.2f}, {turn['engine']})" if turn["heard"] else ""
        show(now, "heard", f"“{turn['heard'] or turn['rejected']}”{confidence}")
    meaning = turn["intent"] or turn["source"] or turn["value"] or "nothing that fits"
    show(now, "took it as", meaning)
    show(now, "answered", f"“{answer.strip()}”")
    latency = turn["latency"]
    parts = [f"{words} {latency[key]} ms" for key, words in PARTS.items() if latency.get(key) is not None]
    gap = f"{gap_s * 1000:.0f} ms after the last word, in the caller's RTP" if gap_s is not None else ""
    show(now, "took", "; ".join(filter(None, [gap, ", ".join(parts)])))


async def speak_in_turn(call: Call, pcm: Any, text: str) -> float | None:
    """Speak while the far end is silent; the gap before its answer."""
    show(time.monotonic() - call.invited_at, "caller", f"“{text}”")
    return (await call.turn(pcm, text)).gap_s


async def interrupt(call: Call, pcm: Any, text: str) -> float | None:
    """Speak while the far end talks; its giving way is shown, the gap before its answer returned."""
    await call.talking()
    await call.wait_for(lambda: False, 1.5)
    known, began = len(call.media.talk.spells), time.monotonic()
    show(began - call.invited_at, "caller", f"(interrupting) “{text}”")
    stop = await call.barge(pcm, text)
    ended = time.monotonic()
    if stop is None:
        raise Disappointed("it went on talking when it was interrupted")
    show(began + stop - call.invited_at, "gave way", f"{stop * 1000:.0f} ms after the caller began to speak")

    def starts() -> list[float]:
        return [s.at_s for s in call.media.talk.spells[known:] if s.what == "talking" and s.at_s > ended - 0.05]

    await call.wait_for(starts, 12)
    return starts()[0] - ended if starts() else None


async def take_turn(call: Call, step: Says | Presses, language: str) -> float | None:
    """Say or press; of words, the gap before their answer."""
    over = isinstance(step, Says) and step.over
    if not over and not await call.quiet(0.7, 30):
        raise Disappointed("it left the caller no turn")
    if isinstance(step, Presses):
        show(time.monotonic() - call.invited_at, "caller", f"presses {step.digits}")
        await call.press(step.digits)
        return None
    pcm = await asyncio.to_thread(speak, step.text, language)
    gap_s = await (interrupt if over else speak_in_turn)(call, pcm, step.text)
    if gap_s is None:
        raise Disappointed(f"no answer to “{step.text}”")
    return gap_s


async def converse(srv: Server, caller: Caller, number: str, language: str, steps: tuple) -> None:
    """One call from INVITE to BYE."""
    call = await caller.dial(srv.uri(number))
    report = call.report()
    show(report["answer_s"], "answers", f"200 OK {1000 * report['answer_s']:.0f} ms after the INVITE")
    if not await call.talking(5):
        raise Disappointed("it answered and said nothing")
    show(call.report()["timeline"][-1]["at_s"], "says", f"“{await greeting(srv, call)}”")
    count = 0
    for step in steps:
        for again in (False, True):
            gap_s = await take_turn(call, replace(step, over=False) if again else step, language)
            count += 1
            heard, answer = await completed(srv, call, count)
            show_turn(call, heard, gap_s, answer)
            if isinstance(step, Presses) or heard[step.expect]:
                break
            if again:
                raise Disappointed(f"“{step.text}” was not understood, said twice")
            show(time.monotonic() - call.invited_at, "caller", "was not understood, and says it once more")
    await call.wait_for(lambda: call.over, 6 if language == "en" else 0.1)
    if not call.over:
        await call.quiet(0.5, 8)
    await call.hangup()
    rtp = call.report()["rtp"]
    show(call.report()["talk_s"], "over", f"{'the server' if call.ended_by == 'them' else 'the caller'} hung up; "
         f"{rtp['packets']} RTP packets, {rtp['lost']} lost, jitter {rtp['jitter_ms']} ms")  # fmt: skip


async def demonstrate(options: argparse.Namespace) -> None:
    begun = time.monotonic()
    print("starting the server on loopback ...", flush=True)
    shipped = plan_main()
    shipped["plans"]["verify"] = ROOT / "dialplans" / "verify.yaml"
    async with Bank().open() as bank, Caller() as caller, Caller(user="customer") as peer:
        settings = {"store": {"recordings": "recordings"}, **demo_verify.settings(bank, peer.socket.port)}
        srv = Server(**shipped, settings=settings)
        srv.environment |= demo_verify.environment(bank)
        async with srv:
            await _demonstrate(options, begun, srv, caller, peer, bank)
    print(f"\nall well, {time.monotonic() - begun:.0f} s", flush=True)


async def _demonstrate(
    options: argparse.Namespace, begun: float, srv: Server, caller: Caller, peer: Caller, bank: Bank
) -> None:
    ready_s = time.monotonic() - begun
    print(f"ready after {ready_s:.1f} s: {srv.uri('400')} in English, {srv.uri('401')} in Mandarin")
    print(f"records at http://127.0.0.1:{srv.http_port}/v1/calls")
    learnt = await srv.learnt(LEARNING_S)
    who = "models of the examples answer" if learnt else "words of the examples still answer"
    print(f"after {time.monotonic() - begun:.1f} s {who}", flush=True)
    for number, language, name, steps in CALLS:
        if options.language in ("", language):
            if options.part in ("", "calls"):
                print(f"\n{name}: ringing {srv.uri(number)}", flush=True)
                await converse(srv, caller, number, language, steps)
            if options.part in ("", "verification"):
                print(f"\n{name}: the bank asks, and the customer's telephone rings", flush=True)
                await demo_verify.verify(srv, peer, bank, language)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--language", choices=("en", "zh"), default="", help="only this one")
    parser.add_argument("--part", choices=("calls", "verification"), default="", help="only these")
    options = parser.parse_args()
    try:
        asyncio.run(demonstrate(options))
    except (IvrError, CallFailed) as error:
        print(f"\nthe demonstration failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

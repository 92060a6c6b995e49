"""Landmarks by name in Mandarin, through SIP: the right place of dialplans/bank.places.yaml among its rivals.

Sentences of `zh_caller` that ask for a branch somewhere are said to the bank's open question, and the names of
`zh_aishell_sample` that are in the list to "near which place?". What counts is the value in the record of the call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ivr.bench import corpus
from ivr.bench.harness import ROOT, Server
from ivr.bench.report import Report
from ivr.bench.turns import judge
from ivr.caller import Caller
from ivr.dialog.plan_file import load
from ivr.understanding.places import Places

NAME, NUMBER = "landmarks", "502"
LEAST = 85
PER_CALL = 8

_PLAN = """plan: landmarks
languages: [zh]
start: which
slots:
  place: {kind: place, places: bank.places.yaml}
steps:
  which:
    kind: ask
    slot: place
    prompt: {zh: "请问在哪个地方附近？"}
    tries: 5
    next: forget
  forget:
    kind: goto
    forget: [place]
    next: which
"""


def plan() -> Mapping[str, str]:
    """A plan that asks for a place again and again; its places stand with the bank's plan."""
    return {NAME: _PLAN}


def shipped() -> Places:
    """The places of the shipped bank plan."""
    places = load(ROOT / "dialplans" / "bank.yaml").slots["place"].places
    assert places is not None
    return places


def named(places: Places, text: str) -> str:
    """The id of the place whose Mandarin name `text` is or has in it, the longest one; empty when it names none."""
    said = _plain(text)
    found = [(len(name), p.id) for p in places.entries for n in p.names.get("zh", ()) if (name := _plain(n)) in said]
    return max(found, default=(0, ""))[1]


def _plain(text: str) -> str:
    return re.sub(r"\W", "", text.lower())


async def measure(report: Report, srv: Server, caller: Caller, bank_number: str, data: Path | None) -> None:
    """Both rows. Raises Unavailable without the evaluation speech."""
    places = shipped()
    asked = [u for u in corpus.recorded(data, "zh_caller", "zh") if u.label == "branch" and named(places, u.text)]
    whole = {_plain(n): p.id for p in places.entries for n in p.names.get("zh", ())}
    names = [u for u in corpus.recorded(data, "zh_aishell_sample", "zh") if _plain(u.text) in whole]
    if report.quick:
        asked, names = asked[:2], names[:4]
    in_sentences = [value for u in asked for value in await _said(srv, caller, bank_number, [u])]
    by_name = [
        value
        for i in range(0, len(names), PER_CALL)
        for value in await _said(srv, caller, NUMBER, names[i : i + PER_CALL])
    ]
    _report(report, "in a sentence to the open question", asked, in_sentences, places)
    _report(report, "by name to the question for a place", names, by_name, places)


async def _said(srv: Server, caller: Caller, number: str, said: list[corpus.Utterance]) -> list[str]:
    """What each was taken for, all said in one call."""
    call = await caller.dial(srv.uri(number))
    for utterance in said:
        await call.quiet(0.7, 40)
        await call.turn(utterance.pcm, utterance.name, timeout_s=10)
    await call.quiet(0.5, 20)
    await call.hangup()
    return [judged.value for judged in judge(call, await srv.record(call))]


def _report(report: Report, how: str, said: list[corpus.Utterance], values: list[str], places: Places) -> None:
    wanted = [named(places, u.text) for u in said]
    right = [want in value.split() for want, value in zip(wanted, values, strict=True)]
    share = 100 * sum(right) / max(1, len(right))
    report.row(f"Mandarin landmarks {how}", f">= {LEAST} %", f"{share:.0f} % ({sum(right)} of {len(right)})",
               share >= LEAST)  # fmt: skip
    report.details[f"landmarks {how}"] = [
        {"said": u.text, "wanted": want, "value": value} for u, want, value in zip(said, wanted, values, strict=True)
    ]

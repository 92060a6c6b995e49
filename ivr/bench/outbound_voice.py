"""Yes or no by voice, through a whole outbound call: recordings of strangers at chance levels, with noise at 15 dB.

The plan asks as the verification does: was it you, then once more what was understood. A customer knows what is asked
from the call's record, and answers with their own word for it; one in ten says neither yes nor no, whatever is asked.
Judged by the disposition of the job.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ivr.bench import corpus, outbound_site
from ivr.bench.harness import Server
from ivr.bench.outbound_site import FREE, Bank, Site, Telephones, phones
from ivr.bench.report import Report, data_folder
from ivr.caller import Call, CallFailed
from ivr.caller.rtp import RATE_HZ
from ivr.errors import Unavailable

SNR_DB = 15.0
GAIN_DB = 6.0
NOISES = ("babble", "tap", "bike")
LINES = 6
CALL_S = 90.0
NEITHER_IN = 10
MOST_WRONG, MOST_UNSURE = 0.005, 0.10
NAMES = {"en": "English", "zh": "Mandarin"}
_ASKED = {
    "mine": ("Was it you who spent 129.90 yuan at Harbour Books? Say yes, or press one; say no, or press two.",
             "在海港书店消费129元9角的，是您本人吗？是，请说是或者按一；不是，请说不是或者按二。"),
    "sure_yes": ("So it was you. Is that right?", "也就是说，是您本人消费的，对吗？"),
    "sure_no": ("So it was not you. Is that right?", "也就是说，不是您本人消费的，对吗？"),
}  # fmt: skip


@dataclass(frozen=True)
class Customer:
    """Who is rung: what they mean (`yes`, `no`, `neither`) and the recordings of each word they may say."""

    means: str
    says: Mapping[str, Sequence[corpus.Utterance]]
    chance: random.Random

    def word(self, step: str) -> str:
        """What they answer to a question, by what they mean: `yes`, `no` or `neither`."""
        return {"yes": "no", "no": "yes"}.get(self.means, self.means) if step == "sure_no" else self.means

    def to(self, step: str, data: Path | None) -> np.ndarray:
        """What they say to it: a recording of the word, at another level and in another noise each time."""
        return _noisy(self.chance.choice(self.says[self.word(step)]).pcm, data, self.chance)


def plan() -> str:
    """The verification's question and its confirmation alone."""

    def ask(step: str, rest: str) -> str:
        en, zh = _ASKED[step]
        return f'  {step}: {{kind: ask, expect: yes_no, tries: 3, prompt: {{en: "{en}", zh: "{zh}"}}, {rest}}}\n'

    return (
        "plan: was_it_you\nlanguages: [en, zh]\nstart: mine\nevents: {give_up: unsure, no_input_ms: 5000}\nsteps:\n"
        + ask("mine", 'on: {"yes": sure_yes, "no": sure_no, unsure: unsure}')
        + ask("sure_yes", 'on: {"yes": confirmed, "no": mine, unsure: unsure}')
        + ask("sure_no", 'on: {"yes": denied, "no": mine, unsure: unsure}')
        + "".join(
            f"  {step}: {{kind: settle, disposition: {disposition}, next: over}}\n"
            for step, disposition in (("confirmed", "confirmed"), ("denied", "denied"), ("unsure", "not_verified"))
        )
        + "  over: {kind: hangup, prompt: {en: 'Goodbye.', zh: '再见。'}}\n"
    )


def customers(count: int, language: str, data: Path | None, chance: random.Random) -> list[Customer]:
    """`count` of them, one in ten with other words than yes and no. Raises Unavailable without the recordings."""
    if language == "en":
        found = corpus.recorded(data, "an4", "en") + corpus.recorded(data, "speech_commands_v1", "en")
        found = [replace(one, label=one.text.lower()) for one in found]
        others = [one for one in found if not {"yes", "no"} & set(one.label.split())]
    else:
        found = corpus.recorded(data, "zh_caller", "zh")
        others = [one for one in found if one.label not in ("yes", "no", "unsure")]
    pools = {"yes": [one for one in found if one.label == "yes"], "no": [one for one in found if one.label == "no"],
             "neither": others}  # fmt: skip
    means = ["neither" if n % NEITHER_IN == 0 else ("yes", "no")[n % 2] for n in range(count)]
    return [Customer(each, pools, corpus.seeded(chance.randrange(10**9))) for each in means]


def _noisy(pcm: np.ndarray, data: Path | None, chance: random.Random) -> np.ndarray:
    """A recording at a chance level with noise 15 dB below its loud part, half a second of it before and behind."""
    speech = pcm.astype(np.float64) * 10 ** (chance.uniform(-GAIN_DB, GAIN_DB) / 20)
    loud = speech[np.abs(speech) > 0.1 * np.max(np.abs(speech))]
    level = float(np.sqrt(np.mean(loud**2))) / 10 ** (SNR_DB / 20)
    pad = np.zeros(RATE_HZ // 2)
    whole = np.concatenate([pad, speech, pad])
    noise = corpus.noise(data, chance.choice(NOISES), len(whole) / RATE_HZ + 0.01, chance.randrange(10**6), level)
    return np.clip(whole + noise[: len(whole)], -32_000, 32_000).astype(np.int16)


async def voice(report: Report, options: argparse.Namespace) -> None:
    """500 calls in English, a hundred in Mandarin, of which there are fewer recordings."""
    data = data_folder(options.data)
    for language, count in (("en", options.calls), ("zh", -(-options.calls // 5))):
        try:
            await _language(report, language, 4 if options.quick else count, data, options.seed)
        except Unavailable as missing:
            report.row(f"yes or no, {NAMES[language]}", "", f"not measured: {missing}",
                       None if report.quick else False)  # fmt: skip


async def _language(report: Report, language: str, count: int, data: Path | None, seed: int) -> None:
    chance = corpus.seeded(seed)
    rung = await asyncio.to_thread(customers, count, language, data, chance)
    numbers = [phone for phone, _ in phones(count, chance)]
    whose = dict(zip(numbers, rung, strict=True))
    server: Server

    async def pick_up(call: Call, number: str) -> None:
        with contextlib.suppress(CallFailed):
            await call.accept()
        await converse(server, call, whose[number], data)

    telephones, bank = Telephones(pick_up), Bank()
    async with telephones.open() as port, bank.open():
        server = outbound_site.server(
            port, bank, {"fraud": FREE | {"amd": False, "retry": {"hung_up_s": [], "failed_s": []}}}, -(-LINES // 4),
            LINES, {"was_it_you": plan()},
        )  # fmt: skip
        async with server:
            site = Site(server)
            orders = [{"idempotency_key": f"v-{n}", "phone": phone, "language": language, "plan": "was_it_you"}
                      for n, phone in enumerate(numbers)]  # fmt: skip
            await site.order(orders)
            jobs = await site.until_final(count, 120 + count * CALL_S / LINES)
    _rows(report, language, {job["phone"]: job["disposition"] for job in jobs}, whose)


async def converse(server: Server, call: Call, customer: Customer, data: Path | None) -> None:
    """Answer each question once it has been asked, until the call is over."""
    end, handled = time.monotonic() + CALL_S, -1
    record = (await server.record(call, ended=False))["call"]["id"]
    while not call.over and time.monotonic() < end:
        if not await call.quiet(0.5, 20):
            continue
        turns = (await server.get(f"/v1/calls/{record}"))["turns"]
        last = turns[-1] if turns else None
        if last is None or last["index"] <= handled or any(last[k] for k in ("heard", "keys", "rejected", "value")):
            await asyncio.sleep(0.3)
            continue
        handled = last["index"]
        await call.turn(await asyncio.to_thread(customer.to, last["step"], data), last["step"], timeout_s=10)
    await call.hangup()


def _rows(report: Report, language: str, came: Mapping[str, Any], whose: Mapping[str, Customer]) -> None:
    right = {"yes": "confirmed", "no": "denied"}
    clear = [phone for phone, customer in whose.items() if customer.means in right]
    neither = [phone for phone in whose if phone not in clear]
    wrong = [phone for phone in whose if came[phone] in ("confirmed", "denied")
             and came[phone] != right.get(whose[phone].means)]  # fmt: skip
    unsure = [phone for phone in clear if came[phone] not in ("confirmed", "denied")]
    confirmed = [phone for phone in neither if came[phone] == "confirmed"]
    what = f"{len(whose)} calls, yes or no in {NAMES[language]} with noise at {SNR_DB:g} dB"
    share, unclear = len(wrong) / len(whose), len(unsure) / len(clear)
    judged = not report.quick
    report.row(f"{what}: wrong dispositions", f"<= {100 * MOST_WRONG:g} %", f"{100 * share:.2f} % ({len(wrong)})",
               share <= MOST_WRONG if judged else None)  # fmt: skip
    report.row(f"{what}: unsure", f"<= {100 * MOST_UNSURE:g} %", f"{100 * unclear:.1f} % ({len(unsure)})",
               unclear <= MOST_UNSURE if judged else None)  # fmt: skip
    report.row(f"{what}: neither said, confirmed", "none", f"{len(confirmed)} of {len(neither)}", not confirmed)
    report.details[f"voice {language}"] = [{"means": c.means, "came": came[phone]} for phone, c in whose.items()]

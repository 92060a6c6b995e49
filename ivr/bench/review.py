"""Trainer's loop: 1,000 unseen questions of 20 new topics come in calls; one pass of decisions; what they then get.

The topics are left out of BANKING77, of CLINC150 and, ten questions each, of the Mandarin questions; a model knows the
other topics of the same file. More Mandarin questions of a topic are only those of the bank's own intents: 30 each of
11 come in calls to a model of 47 other topics, and the ways to ask of the bank's knowledge file are asked afterwards.
A trainer is played: of each group they read READ sentences, make the whole group examples of the topic that most of
those belong to, and dismiss a group of which less than AGREE do or that fewer than LEAST said. Other questions of the
new topics are then asked, and others of the known ones. "At most" is what would be, had the trainer put every sentence
where it belongs.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ivr.bench.kb_questions_zh import topics as topics_zh
from ivr.bench.report import ROOT, Report, data_folder, run
from ivr.dialog.plan_file import load
from ivr.errors import Unavailable
from ivr.intents import data, review
from ivr.intents.trainer import Group
from ivr.understanding.intents import OUT_OF_SCOPE, Example, Model
from ivr.understanding.training import train

NEW = 20
SAID, ASKED, KNOWN = 50, 25, 20
"""Of a new topic: questions in calls, questions asked afterwards. Of a known one: examples."""
SAID_ZH, KNOWN_ZH = 10, 10
READ, AGREE, LEAST = 10, 0.6, 2
REQUIRED = 0.8

Topics = Mapping[str, Sequence[str]]
Asked = tuple[str, str]
"""A question and its topic."""


def of_file(path: Path) -> dict[str, list[str]]:
    """Questions by topic, in the file's order."""
    found: dict[str, list[str]] = {}
    for example in data.read(path, "en").train:
        if example.intent != OUT_OF_SCOPE:
            found.setdefault(example.intent, []).append(example.text)
    return found


def decided(groups: Sequence[Group], truth: Mapping[str, str]) -> tuple[list[tuple[str, str]], int]:
    """(sentence, topic) of every group that a trainer would take, and how many groups those are."""
    found, taken = [], 0
    for group in groups:
        read = group.sentences[:READ]
        topic, count = Counter(truth[s] for s in read).most_common(1)[0]
        if len(group.sentences) >= LEAST and count >= AGREE * len(read):
            taken += 1
            found += [(sentence, topic) for sentence in group.sentences]
    return found, taken


def contained(model: Model, asked: Sequence[tuple[str, str]]) -> float:
    """Share of (question, topic) that is taken for its topic, without asking back."""
    decisions = [(model.decide([(text, 1.0)]), topic) for text, topic in asked]
    return sum(d.kind == "intent" and d.intents == (topic,) for d, topic in decisions) / max(1, len(asked))


@dataclass(frozen=True)
class Dealt:
    """What one pass is made of, as (question, topic): said in calls, asked afterwards, others of known topics.

    `old` are the examples of the known ones.
    """

    calls: list[Asked]
    later: list[Asked]
    old: list[Example]
    others: list[Asked]


def dealt(topics: Topics, language: str, sizes: tuple[int, int, int, int], chance: random.Random) -> Dealt:
    """`sizes`: new topics, questions of each in calls, asked afterwards, examples of each known topic."""
    new_topics, said, asked, known = sizes
    by_name = {name: chance.sample(list(texts), len(texts)) for name, texts in sorted(topics.items())}
    new = set(chance.sample(sorted(by_name), new_topics))
    calls = [(t, n) for n in sorted(new) for t in by_name[n][:said]]
    later = [(t, n) for n in sorted(new) for t in by_name[n][said : said + asked]]
    old = [Example(t, n, language) for n in by_name if n not in new for t in by_name[n][:known]]
    others = [(t, n) for n in by_name if n not in new for t in by_name[n][known : known + 5]]
    chance.shuffle(calls)
    return Dealt(calls, later, old, others)


def of_the_bank(chance: random.Random, most: int) -> Dealt:
    """The bank's intents as new topics, at most so many sentences of each in calls; 47 others are known."""
    said: dict[str, list[str]] = {}
    for example in data.read(ROOT / "tests" / "intents" / "bank_zh.csv", "zh").train:
        said.setdefault(example.intent, []).append(example.text)
    known = dealt({n: [*a, *b] for n, (a, b) in topics_zh("kb_unseen_zh").items()}, "zh", (0, 0, 0, KNOWN_ZH), chance)
    calls = [(text, intent) for intent, texts in sorted(said.items()) for text in texts[:most]]
    heard = {text for texts in said.values() for text in texts}
    entries = load(ROOT / "dialplans" / "bank.yaml").knowledge.entries
    later = [(q, e.intent) for e in entries if e.intent in said for q in e.questions.get("zh", ()) if q not in heard]
    chance.shuffle(calls)
    return Dealt(calls, later, known.old, known.others)


def loop(report: Report, what: str, language: str, lot: Dealt) -> None:
    """One pass, and what comes of it."""
    before = train(lot.old, language)
    heard = review.said(((text, str(number), "rejected") for number, (text, _) in enumerate(lot.calls)), ())
    truth = {review.masked(text): topic for text, topic in lot.calls}
    groups = review.groups(heard, lot.old, language)
    examples, taken = decided(groups, truth)
    after = train([*lot.old, *(Example(text, topic, language) for text, topic in examples)], language)
    best = train([*lot.old, *(Example(text, topic, language) for text, topic in truth.items())], language)
    then, share, most = (100 * contained(model, lot.later) for model in (before, after, best))
    known_then, known_now = 100 * contained(before, lot.others), 100 * contained(after, lot.others)
    wrong = sum(truth[text] != topic for text, topic in examples)
    new_topics = len({topic for _, topic in lot.calls})
    judged = not report.quick and new_topics >= NEW
    report.row(
        f"{what}: {len(lot.calls)} questions of {new_topics} new topics, then {len(lot.later)} others",
        f">= {100 * REQUIRED:.0f} %" if judged else "",
        f"contained {then:.1f} % before, {share:.1f} % after one pass, at most {most:.1f} %: {taken} of {len(groups)} "
        f"groups taken, {len(examples)} sentences, {wrong} of them of another topic; known topics {known_then:.1f} % "
        f"before, {known_now:.1f} % after", share >= 100 * REQUIRED if judged else None,
    )  # fmt: skip
    report.details[what] = [[g.callers, Counter(truth[s] for s in g.sentences).most_common(3)] for g in groups]


def mandarin() -> dict[str, list[str]]:
    return {name: [*edited, *called] for name, (edited, called) in topics_zh().items()}


def everything(report: Report, folder: Path | None) -> None:
    def chance() -> random.Random:
        return random.Random(report.seed)  # noqa: S311 - a reproducible draw, nothing secret

    sizes = (4, 10, 5, 5) if report.quick else (NEW, SAID, ASKED, KNOWN)
    for what, name in (("BANKING77", "banking77/train.csv"), ("CLINC150", "clinc150/data_full_no_test.json")):
        file = folder / name if folder else None
        if file is None or not file.is_file():
            raise Unavailable(f"there is no {name}; name its folder with --data")
        topics = of_file(file)
        some = dict(list(topics.items())[:8]) if report.quick else topics
        loop(report, what, "en", dealt(some, "en", sizes, chance()))
    few = dict(list(mandarin().items())[:8]) if report.quick else mandarin()
    sizes_zh = (4, 10, 4, 5) if report.quick else (NEW, SAID_ZH, 4, KNOWN_ZH)
    loop(report, "Mandarin, ten of a topic", "zh", dealt(few, "zh", sizes_zh, chance()))
    loop(report, "Mandarin, the bank's", "zh", of_the_bank(chance(), 5 if report.quick else SAID))


async def measure(report: Report, options: argparse.Namespace) -> None:
    await asyncio.to_thread(everything, report, data_folder(options.data))


def main(argv: list[str]) -> int:
    return run("review", __doc__, measure, argv)

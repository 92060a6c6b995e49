"""Trainer's loop: 1,000 unseen questions of 20 new topics come in calls; one pass of decisions; what they then get.

The topics are left out of BANKING77, of CLINC150 and, a smaller lot, of the Mandarin questions; a model knows the other
topics of the same file. A trainer is played: of each group they read READ sentences, make the whole group examples of
the topic that most of those belong to, and dismiss a group of which less than AGREE do or that fewer than LEAST said.
Other questions of the new topics are then asked, and others of the known ones.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ivr.bench.kb_questions_zh import topics as topics_zh
from ivr.bench.report import Report, data_folder, run
from ivr.errors import Unavailable
from ivr.intents import data, review
from ivr.intents.trainer import Group
from ivr.understanding.embedding import embed_queries
from ivr.understanding.intents import OUT_OF_SCOPE, Example, Model
from ivr.understanding.training import train

NEW = 20
SAID, ASKED, KNOWN = 50, 25, 20
"""Of a new topic: questions in calls, questions asked afterwards. Of a known one: examples."""
SAID_ZH, KNOWN_ZH = 10, 10
READ, AGREE, LEAST = 10, 0.6, 2
REQUIRED = 0.8

Topics = Mapping[str, Sequence[str]]


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


def loop(report: Report, what: str, language: str, topics: Topics, sizes: tuple[int, int, int, int]) -> None:
    """One pass; `sizes`: new topics, questions of each in calls, asked afterwards, examples of each known topic."""
    new_topics, said, asked, known = sizes
    chance = random.Random(report.seed)  # noqa: S311 - a reproducible draw, nothing secret
    dealt = {name: chance.sample(list(texts), len(texts)) for name, texts in sorted(topics.items())}
    new = set(chance.sample(sorted(dealt), new_topics))
    calls = [(t, n) for n in sorted(new) for t in dealt[n][:said]]
    later = [(t, n) for n in sorted(new) for t in dealt[n][said : said + asked]]
    old = [Example(t, n, language) for n in dealt if n not in new for t in dealt[n][:known]]
    others = [(t, n) for n in dealt if n not in new for t in dealt[n][known : known + 5]]
    vectors = embed_queries([e.text for e in old])
    before = train(old, language, vectors)
    chance.shuffle(calls)
    heard = review.said(((text, str(number), "rejected") for number, (text, _) in enumerate(calls)), ())
    truth = {review.masked(text): topic for text, topic in calls}
    groups = review.groups(heard, old, language)
    examples, taken = decided(groups, truth)
    after = train([*old, *(Example(text, topic, language) for text, topic in examples)], language)
    then, share = 100 * contained(before, later), 100 * contained(after, later)
    known_then, known_now = 100 * contained(before, others), 100 * contained(after, others)
    wrong = sum(truth[text] != topic for text, topic in examples)
    report.row(
        f"{what}: {len(calls)} questions of {new_topics} new topics, then {len(later)} others",
        "" if report.quick else f">= {100 * REQUIRED:.0f} %",
        f"contained {then:.1f} % before, {share:.1f} % after one pass: {taken} of {len(groups)} groups taken, "
        f"{len(examples)} sentences, {wrong} of them of another topic; known topics {known_then:.1f} % before, "
        f"{known_now:.1f} % after", None if report.quick else share >= 100 * REQUIRED,
    )  # fmt: skip
    report.details[what] = [[g.callers, Counter(truth[s] for s in g.sentences).most_common(3)] for g in groups]


def mandarin() -> dict[str, list[str]]:
    return {name: [*edited, *called] for name, (edited, called) in topics_zh().items()}


def everything(report: Report, folder: Path | None) -> None:
    sizes = (4, 10, 5, 5) if report.quick else (NEW, SAID, ASKED, KNOWN)
    for what, name in (("BANKING77", "banking77/train.csv"), ("CLINC150", "clinc150/data_full_no_test.json")):
        file = folder / name if folder else None
        if file is None or not file.is_file():
            raise Unavailable(f"there is no {name}; name its folder with --data")
        topics = of_file(file)
        some = dict(list(topics.items())[:8]) if report.quick else topics
        loop(report, what, "en", some, sizes)
    few = dict(list(mandarin().items())[:8]) if report.quick else mandarin()
    loop(report, "Mandarin", "zh", few, (4, 10, 4, 5) if report.quick else (NEW, SAID_ZH, 4, KNOWN_ZH))


async def measure(report: Report, options: argparse.Namespace) -> None:
    await asyncio.to_thread(everything, report, data_folder(options.data))


def main(argv: list[str]) -> int:
    return run("review", __doc__, measure, argv)

"""The trainer's loop: what callers said and nobody understood, in groups; what to do about each; what that would do.

Utterances and examples in, groups and effects out. An effect is measured on sentences that were left out: every example
of the plan, and every utterance of the group, is judged by a model that did not learn it. Knows nothing of databases,
files or HTTP. Takes seconds of a processor, so it runs in a process of its own, never in the brain's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from ivr.intents.grouping import LEAST, grouped
from ivr.intents.trainer import Changed, Effect, Group, Proposal
from ivr.store.records import Review
from ivr.understanding.embedding import dimension, embed_said
from ivr.understanding.expected import plain
from ivr.understanding.intents import Example
from ivr.understanding.training import likeness, rehearsed, train

MAX_UTTERANCES = 2_000
"""Different sentences of a language that are grouped at once: twenty seconds, most of it their vectors."""
SHOWN = 20
PROPOSED = 0.5
"""Likelihood of an intent, on average over a group, from which it is proposed."""
_DIGITS = re.compile(r"\d(?:[ .-]?\d){3,}|[零一二三四五六七八九幺]{4,}")


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence that callers said: by whom, how often, and how often it was asked about. Long numbers are masked."""

    text: str
    callers: frozenset[str]
    times: int = 1
    asked: int = 0


def masked(text: str) -> str:
    """`text` with four digits or more in a row as `#`."""
    return _DIGITS.sub("#", " ".join(text.split()))


def said(heard: Iterable[tuple[str, str, Review]], known: Iterable[str]) -> list[Said]:
    """What was heard, as (text, caller, why), each sentence once; without those in `known`, which were decided on."""
    skipped = {plain(masked(text)) for text in known}
    found: dict[str, Said] = {}
    for text, caller, why in heard:
        shown = masked(text)
        key = plain(shown)
        if not key or key in skipped:
            continue
        before = found.get(key)
        if before is not None:
            found[key] = msgspec.structs.replace(
                before,
                callers=before.callers | {caller},
                times=before.times + 1,
                asked=before.asked + (why == "asked"),
            )
        elif len(found) < MAX_UTTERANCES:
            found[key] = Said(text=shown, callers=frozenset((caller,)), asked=int(why == "asked"))
    return list(found.values())


def groups(sentences: Sequence[Said], examples: Sequence[Example], language: str, least: float = LEAST) -> list[Group]:
    """`sentences` in groups, those that cost most callers first, with a proposal for each.

    `examples` are the plan's; with fewer than two intents nothing is proposed but an entry.
    """
    if not sentences:
        return []
    texts = [s.text for s in sentences]
    vectors = embed_said(texts, language)
    own = [e for e in examples if e.language == language]
    others = embed_said([e.text for e in own], language)
    model = train(own, language, others) if len({e.intent for e in own}) > 1 else None
    mean = np.concatenate([vectors, others]).mean(axis=0)
    alike = likeness(texts, language, vectors, mean, np.eye(dimension(language)) if model is None else model.transform)
    found = []
    for rows in grouped(alike, least):
        typical = sorted(rows, key=lambda row: (-float(alike[row, rows].sum()), row))
        proposal = Proposal()
        if model is not None:
            likely = model.likelihoods(np.array([model.scores(texts[r], vectors[r]) for r in rows])).mean(axis=0)
            best = int(likely.argmax())
            if likely[best] >= PROPOSED:
                proposal = Proposal(intent=model.intents[best], confidence=round(float(likely[best]), 2))
        ordered = tuple(texts[row] for row in typical)
        found.append(
            Group(
                id=group_id(ordered), title=ordered[0], sentences=ordered, proposal=proposal,
                callers=len(frozenset().union(*(sentences[row].callers for row in rows))),
                times=sum(sentences[row].times for row in rows),
                asked=sum(sentences[row].asked for row in rows),
            )
        )  # fmt: skip
    return sorted(found, key=lambda group: (-group.callers, -group.times, group.title))


def group_id(sentences: Iterable[str]) -> str:
    """Hash of the sentences of a group, in whatever order they come."""
    return hashlib.sha256("\n".join(sorted(sentences)).encode()).hexdigest()[:12]


def effect(examples: Sequence[Example], added: Sequence[Example], language: str) -> Effect:
    """What `added`, examples of one intent, do to the understanding of themselves and of `examples`, all left out.

    Raises InvalidInput when there are fewer than two intents with them.
    """
    own = [e for e in examples if e.language == language]
    known = {(e.text, e.intent) for e in own}
    new = [e for e in added if (e.text, e.intent) not in known]
    before: dict[Example, tuple[str, bool]] = {}
    contained_before = 0
    if len({e.intent for e in own}) > 1:
        model, heard = rehearsed(own, language)
        before = dict(zip(heard.examples, zip(heard.taken, heard.right, strict=True), strict=True))
        decisions = (model.decide([(e.text, 1.0)]) for e in new)
        contained_before = sum(d.intents == (e.intent,) for d, e in zip(decisions, new, strict=True))
    _, later = rehearsed([*own, *new], language)
    right = dict(zip(later.examples, later.right, strict=True))
    becomes = {e: taken if ok else "" for e, taken, ok in zip(later.examples, later.taken, later.accepted, strict=True)}
    lost = [e for e, (_, was) in before.items() if was and not right.get(e, False)]
    return Effect(
        examples=len(before), right_before=sum(bool(was) for _, was in before.values()),
        right_after=sum(bool(right.get(e, False)) for e in before), sentences=len(new),
        contained_before=contained_before, contained_after=sum(bool(right.get(e, False)) for e in set(new)),
        lost=tuple(Changed(text=e.text, intent=e.intent, becomes=becomes.get(e, "")) for e in lost[:SHOWN]),
    )  # fmt: skip

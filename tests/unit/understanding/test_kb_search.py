"""The index of the knowledge base: the right entry comes first, filters hold, files give back what was saved."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import numpy as np
import pytest

from ivr.kb.entry import KbEntry
from ivr.understanding import kb_search
from ivr.understanding.kb_index import LOOKED_AT, SHORT, Segment, build, hash_of, quantised
from ivr.understanding.kb_search import Filter, Part, candidates, ranked

TODAY = date(2026, 1, 31)
NONE = np.array([], dtype=np.int64)
ASKED = {
    "en": {"lost": ("I lost my card", "my card is gone"), "fee": ("what does the account cost", "monthly fee"),
           "hours": ("when are you open", "opening hours of the branch")},
    "zh": {"lost": ("我的银行卡丢了", "卡不见了"), "fee": ("账户要多少钱", "每月管理费"),
           "hours": ("几点开门", "网点营业时间")},
}  # fmt: skip


def vector_of(text: str, seed: int = 0) -> np.ndarray:
    """A stand-in for a sentence vector: texts that share characters lie near one another."""
    total = np.zeros(384, dtype=np.float32)
    for pair in pairwise(text):
        total += np.random.default_rng(hash_of("".join(pair)) % 2**32 + seed).standard_normal(384)
    return (total / np.linalg.norm(total)).astype(np.float32)


def segment_of(entries: list[KbEntry], like: Segment | None = None) -> Segment:
    return build(entries, *quantised(np.stack([vector_of(q) for e in entries for q in e.questions])), like=like)


def entries_of(language: str, **changes) -> list[KbEntry]:
    return [KbEntry(id=name, language=language, questions=questions, answer=name, **changes)
            for name, questions in ASKED[language].items()]  # fmt: skip


def find(segment: Segment, text: str, language: str, dead=NONE, **only) -> list[str]:
    filters = Filter(only.pop("audience", "public"), only.pop("day", TODAY), **only)
    found = [candidates(Part(segment, np.asarray(dead)), vector_of(text), text, filters, segment, language)]
    return [f.entry.id for f in ranked(found, language, 10)]


@pytest.mark.parametrize(
    ("language", "text", "name"),
    [("en", "i have lost my bank card", "lost"), ("en", "opening hours", "hours"),
     ("zh", "银行卡丢了", "lost"), ("zh", "营业时间", "hours"), ("zh", "银航卡丢乐", "lost")],
)  # fmt: skip
def test_the_entry_that_was_asked_for_comes_first(language, text, name):
    assert find(segment_of(entries_of(language)), text, language)[0] == name


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_may_not_be_heard_is_not_found(language):
    text = ASKED[language]["lost"][0]
    verified = segment_of(entries_of(language, audience="verified"))
    assert find(verified, text, language) == []
    assert find(verified, text, language, audience="verified")[0] == "lost"
    assert find(verified, text, language, audience="agents")[0] == "lost"
    ended = segment_of(entries_of(language, valid_until=date(2026, 1, 30)))
    assert find(ended, text, language, audience="agents") == []
    assert find(ended, text, language, day=date(2026, 1, 30))[0] == "lost"
    coming = segment_of(entries_of(language, valid_from=date(2026, 2, 1)))
    assert find(coming, text, language) == []
    assert find(coming, text, language, day=date(2026, 2, 1))[0] == "lost"
    tagged = segment_of([*entries_of(language, tags=("cards", "私人"))[:1], *entries_of(language)[1:]])
    assert find(tagged, text, language, tags=("cards", "私人")) == ["lost"]
    assert find(tagged, text, language, tags=("cards", "other")) == []


def test_an_entry_that_is_replaced_is_found_in_its_new_form_only():
    main = segment_of(entries_of("en"))
    newer = segment_of([KbEntry(id="lost", language="en", questions=("stolen wallet",), answer="new")], like=main)
    dead = main.of_ids(["lost", "unknown"])
    assert [main.entry(int(n)).id for n in dead] == ["lost"]
    only = Filter("public", TODAY)
    for text in ("stolen wallet", "I lost my card"):
        found = [candidates(Part(main, dead), vector_of(text), text, only, main, "en"),
                 candidates(Part(newer, NONE), vector_of(text), text, only, main, "en")]  # fmt: skip
        answers = [f.entry.answer for f in ranked(found, "en", 10)]
        assert "lost" not in answers
    assert ranked(found, "en", 10, rerank=False)


def test_chances_stay_within_one_and_nonsense_gets_little():
    segment = segment_of(entries_of("en"))
    for text in ("I lost my card", "zq xv jj", "card " * 200):
        found = [candidates(Part(segment, NONE), vector_of(text), text, Filter("public", TODAY), segment, "en")]
        assert 0 <= sum(f.score for f in ranked(found, "en", 10)) <= 1


def test_a_saved_segment_is_the_same_when_mapped(tmp_path):
    segment = segment_of(entries_of("zh", tags=("a",)))
    segment.save(tmp_path)
    mapped = Segment.load(tmp_path)
    assert find(mapped, "卡丢了", "zh") == find(segment, "卡丢了", "zh")
    assert mapped.entry(1) == segment.entry(1)
    (tmp_path / "idf.npy").unlink()
    with pytest.raises(FileNotFoundError):
        Segment.load(tmp_path)


def test_the_first_look_at_many_rows_loses_neither_what_is_near_nor_what_alone_is_allowed():
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((3 * LOOKED_AT, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    entries = [
        KbEntry(id=f"e{i}", language="zh", questions=(f"第{i}个",), answer="x", tags=("rare",) * (i == 7))
        for i in range(len(vectors))
    ]
    segment = build(entries, *quantised(vectors))
    assert segment.short.shape == (len(vectors), SHORT)
    for number in (5, 1_500, len(vectors) - 1):
        asked = vectors[number] + 0.05 * rng.standard_normal(384).astype(np.float32)
        asked /= np.linalg.norm(asked)
        found = candidates(Part(segment, NONE), asked, "没有", Filter("public", TODAY), segment, "zh")
        assert ranked([found], "zh", 1)[0].entry.id == f"e{number}"
    lonely = candidates(Part(segment, NONE), vectors[7], "没有", Filter("public", TODAY, ("rare",)), segment, "zh")
    assert [f.entry.id for f in ranked([lonely], "zh", 10)] == ["e7"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_one_way_to_ask_an_entry_counts_though_another_entry_is_nearer_on_the_whole(language, monkeypatch):
    """A card lost or stolen is one entry: its two ways lie apart, and what is between them is another's."""
    common, along, across = np.eye(3, 384, dtype=np.float32)
    ways = np.stack([common + 0.3 * along, common - 0.3 * along, common + 0.21 * along + 0.3 * across,
                     common + 0.21 * along - 0.3 * across])  # fmt: skip
    entries = [KbEntry(id=name, language=language, questions=(f"{name} 1", f"{name} 2"), answer="x") for name in "ab"]
    segment = build(entries, *quantised(ways / np.linalg.norm(ways, axis=1, keepdims=True)))
    asked = common + 0.27 * along
    found = [
        candidates(Part(segment, NONE), asked / np.linalg.norm(asked), "?", Filter("public", TODAY), segment, language)
    ]
    assert [f.entry.id for f in ranked(found, language, 2)] == ["a", "b"]
    monkeypatch.setitem(kb_search.TOLD_APART, language, 0.0)
    assert [f.entry.id for f in ranked(found, language, 2)] == ["b", "a"]


def test_an_entry_with_two_hundred_ways_to_ask_does_not_outweigh_one_with_a_single_way():
    rng = np.random.default_rng(4)
    common = np.eye(384)[0]
    near = [common + 0.1 * v / np.linalg.norm(v) for v in rng.standard_normal((4, 384))]
    many = np.array([near[0] + 0.02 * rng.standard_normal(384) / 20 for _ in range(200)])
    vectors = np.concatenate([many, near[1:]]).astype(np.float32)
    entries = [KbEntry(id="many", language="en", questions=tuple(f"m {i}" for i in range(200)), answer="x")]
    entries += [KbEntry(id=f"one{i}", language="en", questions=(f"o {i}",), answer="x") for i in range(3)]
    segment = build(entries, *quantised(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)))
    for row, name in ((201, "one1"), (7, "many")):
        asked = vectors[row] / np.linalg.norm(vectors[row])
        found = [candidates(Part(segment, NONE), asked, "?", Filter("public", TODAY), segment, "en")]
        assert ranked(found, "en", 1)[0].entry.id == name


def test_scatter_is_learnt_from_entries_with_many_questions():
    """Along the direction in which ways to ask one thing differ anyway, distance counts less than along others."""
    rng = np.random.default_rng(1)
    loose = np.zeros(384)
    loose[0] = 1
    entries, vectors = [], []
    for i in range(30):
        middle = rng.standard_normal(384)
        middle[0] = 0
        middle /= np.linalg.norm(middle)
        entries.append(KbEntry(id=str(i), language="en", questions=tuple(f"{i} {k}" for k in range(8)), answer="x"))
        vectors += [middle + 0.01 * rng.standard_normal(384) + 0.5 * rng.standard_normal() * loose for _ in range(8)]
    segment = build(entries, *quantised(np.array(vectors, dtype=np.float32)))
    assert segment.transform[0, 0] < 0.9 * np.median(np.diag(segment.transform))

"""Entries in files: what goes out comes back in, and what is broken is told with its place."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.errors import InvalidInput
from ivr.kb import files, importing
from ivr.kb.entry import KbEntry, content_hash, faults, tidy

FORMATS = (".csv", ".json", ".md", ".xlsx")
ENTRIES = (
    KbEntry(
        id="lost-card", language="en", questions=("I lost my card", "My card is gone, what now?"), answer="Block it.",
        long_answer="# Blocking\n\n> in the app\n\n\\- or by phone\n  indented", tags=("cards", "at night"),
        valid_from=date(2026, 1, 1), valid_until=date(2027, 12, 31), audience="verified", source="handbook, page 7",
    ),
    KbEntry(id="guashi", language="zh", questions=("银行卡丢了怎么办", "卡找不着了"), tags=("银行卡",),
            audience="agents", answer="请说“挂失”，我们马上停用。"),
    KbEntry(id="1001", language="en", questions=("=1+1", "- a dash", 'say "no", please'), answer="> 2; \"yes\", + 3"),
)  # fmt: skip


@pytest.mark.parametrize("ending", FORMATS)
def test_what_is_exported_comes_back_as_it_was(tmp_path, ending):
    path = tmp_path / f"entries{ending}"
    assert files.write(path, ENTRIES) == len(ENTRIES)
    found = files.read(path)
    assert found.problems == ()
    assert tuple(entry for _, entry in found.entries) == ENTRIES
    assert [content_hash(entry) for _, entry in found.entries] == [content_hash(entry) for entry in ENTRIES]


_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=40)


@settings(max_examples=40, deadline=None)
@given(
    questions=st.lists(_TEXT, min_size=1, max_size=4),
    answer=_TEXT,
    long_answer=st.lists(_TEXT, max_size=4),
    source=_TEXT,
)
def test_any_entry_that_may_be_stored_survives_every_format(tmp_path_factory, questions, answer, long_answer, source):
    entry = tidy(KbEntry(id="a", language="zh", questions=tuple(questions), answer=answer,
                         long_answer="\n".join(long_answer), source=source))  # fmt: skip
    if faults(entry):
        return
    folder = tmp_path_factory.mktemp("any")
    for ending in FORMATS:
        path = folder / f"entries{ending}"
        files.write(path, [entry])
        assert [e for _, e in files.read(path).entries] == [entry], ending


def test_the_examples_of_the_documentation_are_the_same_entries_in_every_format(tmp_path):
    text = (Path(__file__).parents[3] / "docs" / "knowledge.md").read_text("utf-8")
    fences = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    blocks = [block for kind, block in fences if kind in ("", "json")]
    found = []
    for block, ending in zip(blocks[:3], (".csv", ".json", ".md"), strict=True):
        (tmp_path / f"answers{ending}").write_text(block, "utf-8")
        read = files.read(tmp_path / f"answers{ending}")
        assert read.problems == ()
        found.append([entry for _, entry in read.entries])
    assert found[0] == found[1] == found[2]
    assert {entry.language for entry in found[0]} == {"en", "zh"}


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("b,fr,q,a,,", "language"),
        ("b,en,,a,,", "questions: missing"),
        ("b,en,q,,,", "answer: missing"),
        ("b,en,q,a,31.12.2026,", "valid_until: `31.12.2026` is no date"),
        ("b,en,q,a,,everybody", "audience: `everybody` is not one of public, verified, agents"),
        ("b/c,en,q,a,,", "id"),
        ("b,en,?!,a,,", "holds no word"),
        ("a,en,other,a,,", "stands in 2 already"),
        (f"b,en,{'x' * 501},a,,", "over 500 characters"),
        ("b,en,q,a\x07,,", "control character"),
        ("b,en,q,a,,,too,many", "too many"),
    ],
)
def test_a_broken_row_is_told_with_its_line_and_the_rest_goes_in(tmp_path, row, says):
    path = tmp_path / "entries.csv"
    path.write_text(f"id,language,questions,answer,valid_until,audience\na,en,one,a,,\n{row}\nc,zh,三,丙,,\n", "utf-8")
    found = files.read(path)
    assert [entry.id for _, entry in found.entries] == ["a", "c"]
    assert [problem.line for problem in found.problems] == [3]
    assert says in str(found.problems[0])


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("e.txt", b"", "is no format"),
        ("e.csv", b"id,language,questions\n", "no column answer"),
        ("e.csv", b"id,language,questions,answer,colour\n", "column `colour`"),
        ("e.csv", b'id,language,questions,answer\n"a"b,en,q,a\n', "not CSV"),
        ("e.csv", "language,questions,answer\nen,é,a\n".encode("latin-1"), "not UTF-8"),
        ("e.json", b"{", "not JSON"),
        ("e.json", b"[" * 100_000, "too deep"),
        ("e.json", b'{"a": 1}', "no list of entries"),
        ("e.md", b"hello\n# a\n", "before the first entry"),
        ("e.xlsx", b"PK no", "not a spreadsheet"),
        ("missing.csv", None, "cannot be read"),
    ],
)
def test_a_file_that_is_broken_as_a_whole_is_refused_with_a_reason(tmp_path, name, content, says):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput) as refused:
        files.read(tmp_path / name)
    assert says in str(refused.value)
    assert name in str(refused.value)


def test_json_and_markdown_tell_what_they_do_not_know(tmp_path):
    (tmp_path / "e.json").write_text('[3, {"language": "en", "questions": ["q"], "answer": "a", "colour": 1},'
                                     ' {"language": "en", "questions": "q", "answer": "a"}]')  # fmt: skip
    found = files.read(tmp_path / "e.json")
    assert [(p.line, p.message.split(";")[0]) for p in found.problems][1] == (2, "`colour` is no field")
    assert len(found.problems) == 3
    (tmp_path / "e.md").write_text("# a\nlanguage: en\ncolour: red\n- q\n\n> a\n")
    assert "colour: red" in str(files.read(tmp_path / "e.md").problems[0])


def test_a_spreadsheet_as_people_fill_it_in(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["ID", "language", "questions", "answer", "valid_from"])
    sheet.append([1001, "EN", "What does it cost?\nIs it free?", 5, date(2026, 1, 2)])
    sheet.append([None, None, None, None, None])
    sheet.append([None, "zh", "要多少钱", "免费", "2026-01-02"])
    book.save(tmp_path / "e.xlsx")
    found = files.read(tmp_path / "e.xlsx")
    assert found.problems == ()
    (row, first), (later, second) = found.entries
    assert (row, first.id, first.language, first.answer) == (2, "1001", "en", "5")
    assert first.questions == ("What does it cost?", "Is it free?")
    assert (later, second.valid_from, first.valid_from) == (4, date(2026, 1, 2), date(2026, 1, 2))
    assert second.id.startswith("zh-")


def test_the_report_tells_duplicates_contradictions_and_what_has_ended():
    present = [KbEntry(id="old", language="en", questions=("What does it cost?",), answer="Five."),
               KbEntry(id="same", language="zh", questions=("要多少钱",), answer="五元。")]  # fmt: skip
    coming = [("f.csv", 2, KbEntry(id="a", language="en", questions=("what does it cost",), answer="Six.")),
              ("f.csv", 3, KbEntry(id="b", language="zh", questions=("要多少钱？",), answer="五元",
                                   valid_until=date(2026, 1, 1))),
              ("f.csv", 4, KbEntry(id="c", language="en", questions=("要多少钱",), answer="七元"))]  # fmt: skip
    report = importing.report(coming, [], present, date(2026, 1, 2), 1)
    assert [(c.id, c.other) for c in report.contradictions] == [("a", "old")]
    assert [(c.id, c.other) for c in report.duplicates] == [("b", "same")]
    assert [line.split("`")[1] for line in report.expired] == ["b"]
    assert report.lines()[-1].startswith(
        "3 entries in 1 files: nothing written; 1 contradictions, 1 duplicates, 1 expired"
    )

"""`ivr intents`: files of labelled questions and their faults, figures that can be counted by hand, the commands."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from pypinyin import Style, lazy_pinyin

from ivr.errors import InvalidInput
from ivr.intents import cli
from ivr.intents.data import read
from ivr.intents.figures import UNKNOWN, Judged, calibration_error, confusions, figures, shift_for, trade_off
from ivr.intents.homophones import replaced
from ivr.understanding.intents import OUT_OF_SCOPE

BLOCK = [
    "block my card",
    "my card is lost",
    "I lost my card",
    "stop my card now",
    "somebody took my card",
    "freeze the card",
]
MONEY = [
    "what is my balance",
    "how much money do I have",
    "balance please",
    "money left",
    "check balance",
    "the balance",
]
挂失 = ["挂失", "我的卡丢了", "卡被偷了", "停掉我的卡", "银行卡不见了", "冻结银行卡"]
余额 = ["查余额", "还有多少钱", "账户余额", "我剩多少钱", "余额是多少", "看看余额"]


def rows(first: list[str], second: list[str]) -> str:
    return "text,category\n" + "".join(f"{t},{i}\n" for i, each in (("card", first), ("money", second)) for t in each)


def judged(truths, taken, familiarity, confidence=0.9) -> Judged:
    size = len(truths)
    return Judged(np.array(truths), np.array(taken), np.full(size, confidence), np.array(familiarity),
                  np.full(size, 0.5), np.zeros(size, dtype=bool))  # fmt: skip


def test_figures_are_what_counting_gives():
    # Within: right and taken, right and rejected, wrong and taken; outside: one rejected, one taken.
    found = figures(judged([0, 1, 1, UNKNOWN, UNKNOWN], [0, 1, 0, 0, 1], [0.9, 0.4, 0.8, 0.1, 0.7]))
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.accuracy_rejecting == pytest.approx(1 / 3)
    assert found.false_rejection == pytest.approx(1 / 3)
    assert found.oos_recall == 0.5
    assert found.calibration_error == pytest.approx(0.9 - 2 / 3)
    assert figures(judged([0], [0], [0.9])).oos_recall is None


def test_bars_move_as_far_as_the_accuracy_allows():
    lot = judged([0, 0, 0, 0], [0, 0, 0, 0], [0.4, 0.6, 0.7, 0.8])
    shift = shift_for(lot, 0.75)
    assert 0.05 < shift <= 0.1
    assert figures(lot, shift).accuracy_rejecting == 0.75
    assert trade_off(lot)[0] == (0.0, 0.0)


def test_confidence_that_is_kept_has_no_calibration_error():
    assert calibration_error(np.array([0.75] * 4), np.array([True, True, True, False])) == 0
    assert calibration_error(np.array([]), np.array([])) == 0


def test_confusions_come_most_frequent_first():
    assert confusions(judged([0, 1, 1, UNKNOWN], [1, 0, 0, 0], [1, 1, 1, 1]), ("a", "b")) == [
        ("b", "a", 2),
        ("a", "b", 1),
    ]


def test_a_csv_and_a_clinc_file_are_read_with_what_is_out_of_scope(tmp_path):
    (tmp_path / "a.csv").write_text('text,category\n"lost, again",card\nhello,oos\n', "utf-8-sig")
    assert [(e.text, e.intent) for e in read(tmp_path / "a.csv", "en").train] == [("lost, again", "card"),
                                                                                  ("hello", OUT_OF_SCOPE)]  # fmt: skip
    tree = {"train": [["a", "x"]], "oos_train": [["b", "oos"]], "val": [["c", "x"]], "oos_test": [["d", "oos"]]}
    (tmp_path / "b.json").write_text(json.dumps(tree), "utf-8")
    data = read(tmp_path / "b.json", "en")
    assert [e.text for e in data.train] == ["a", "b"]
    assert [e.text for e in data.validation] == ["c"]
    assert [(e.text, e.intent) for e in data.test] == [("d", OUT_OF_SCOPE)]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"text,category\nhello\n", r"a\.csv:2: 1 columns, not 2"),
        ("a.csv", b"text,category\nhello,\n", r"a\.csv:2: row 2: no intent"),
        ("a.csv", b"text,category\n,x\n", r"a\.csv:2: row 2: no text"),
        ("a.csv", b"text,category\nhi,x\n" + b"a" * 2_001 + b",x\n", r"a\.csv:3: row 3: a text of 2001 characters"),
        ("a.csv", b"text,category\nhi,x\n\xff,x\n", r"a\.csv:3: not UTF-8"),
        ("a.csv", b"", r"a\.csv: no rows"),
        ("a.csv", b'text,category\n"hi,x\n', r"a\.csv:2: unexpected end of data"),
        ("a.json", b"{", r"a\.json:1: no JSON"),
        ("a.json", b"[" * 100_000, r"a\.json: no JSON"),
        ("a.json", b"[]", r"a\.json: no lists of questions"),
        ("a.json", b'{"train": [["hi"]]}', r"a\.json: train\[0\]: not"),
        ("a.json", b'{"train": [[3, "x"]]}', r"a\.json: train\[0\]: no text"),
        ("a.json", b'{"train": [], "more": []}', r"a\.json: more: not a list of questions that is known"),
    ],
)
def test_a_fault_of_a_file_names_its_place(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=says):
        read(tmp_path / name, "en")


def test_faults_of_a_manifest_name_its_line_and_files_outside_the_folder_are_none(tmp_path):
    with pytest.raises(InvalidInput, match="no manifest"):
        read(tmp_path, "en")
    (tmp_path / "manifest.tsv").write_text("file\ttext\tintent\n../x.wav\thello\ta\n", "utf-8")
    with pytest.raises(InvalidInput, match=r"manifest\.tsv:2: file: no file \.\./x\.wav in the folder"):
        read(tmp_path, "en")


@pytest.mark.parametrize(("first", "second"), [(BLOCK, MONEY), (挂失, 余额)], ids=["en", "zh"])
def test_eval_ends_with_one_object_and_draws_its_pictures(tmp_path, capsys, first, second):
    (tmp_path / "a.csv").write_text(rows(first, second), "utf-8")
    assert cli.main(["eval", str(tmp_path / "a.csv"), "--folds", "3", "--json", "--plot", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["questions"] == 12
    assert 0.7 <= found["accuracy"] <= 1
    assert found["oos_recall"] is None
    assert 0 <= found["false_rejection"] <= 1
    for name in ("confusion.png", "rejection.png"):
        with Image.open(tmp_path / name) as picture:
            assert len(set(picture.getdata())) > 3


def test_eval_asks_another_file(tmp_path, capsys):
    (tmp_path / "a.csv").write_text(rows(BLOCK, MONEY), "utf-8")
    (tmp_path / "b.csv").write_text("text,category\nmy card was lost,card\nwho won the match last night,oos\n", "utf-8")
    assert cli.main(["eval", str(tmp_path / "a.csv"), "--test", str(tmp_path / "b.csv"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["questions"], found["out_of_scope"], found["accuracy"]) == (1, 1, 1.0)


def test_an_intent_with_one_example_cannot_be_evaluated(tmp_path):
    (tmp_path / "a.csv").write_text("text,category\na,x\nb,x\nc,y\n", "utf-8")
    with pytest.raises(InvalidInput, match="fewer than two examples"):
        cli.main(["eval", str(tmp_path / "a.csv")])


def test_test_and_explain_say_what_a_sentence_is_taken_for_and_why(tmp_path, capsys):
    (tmp_path / "en.csv").write_text(rows(BLOCK, MONEY), "utf-8")
    (tmp_path / "zh.csv").write_text(rows(挂失, 余额), "utf-8")
    assert cli.main(["test", "please block the card", "--examples", str(tmp_path / "en.csv")]) == 0
    assert capsys.readouterr().out.startswith("intent: card, confidence")
    assert cli.main(["explain", "我的银行卡丢了", "--examples", str(tmp_path / "zh.csv")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("intent: card, confidence")
    assert "like '我的卡丢了' of card" in out
    assert cli.main(["explain", "", "--examples", str(tmp_path / "en.csv")]) == 0
    assert capsys.readouterr().out.startswith("none: out of scope")


@pytest.mark.parametrize(("every", "least"), [(1, 5), (3, 3), (5, 1)])
def test_homophones_sound_the_same_and_stand_where_they_are_due(every, least):
    text = "我的银行卡丢了怎么办理挂失, card 12"
    heard = replaced(text, every, seed=1)
    changed = [i for i, (a, b) in enumerate(zip(text, heard, strict=True)) if a != b]
    assert least <= len(changed) <= 13 // every
    assert all(text[i] > "\u4e00" for i in changed)
    assert all(lazy_pinyin(text[i], style=Style.TONE3) == lazy_pinyin(heard[i], style=Style.TONE3) for i in changed)
    assert heard == replaced(text, every, seed=1)
    assert replaced("hello 12", every, seed=1) == "hello 12"

"""The bench of identities: what it reads, how it chooses a threshold, and what it says of files that are wrong."""

import csv
import json

import numpy as np
import pytest

from ivr import bench
from ivr.bench import identity
from ivr.errors import InvalidInput

PEOPLE = [
    ("AB1 2CD", "Anna Miller", "1980-03-12"),
    ("KT2 9XL", "Peter Jones", "1955-07-30"),
    ("M45 1NB", "Sylvia Kent", "1999-12-01"),
    ("G33 7TU", "Hugo Walsh", "1962-05-17"),
]


@pytest.fixture
def folder(tmp_path):
    """Four people who say who they are, each twice, clearly."""
    data = tmp_path / "evi_en"
    data.mkdir()
    with (data / "records.en.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("scenario_id", "postcode", "name", "dob"))
        table.writerows((f"p{i}", *person) for i, person in enumerate(PEOPLE))
    with (data / "dialogues.en.half.tsv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter="\t")
        table.writerow(("dialogue_id", "speaker_id", "scenario_id", "item", "attempt_num", "nbest"))
        for speaker in range(8):
            who = speaker % len(PEOPLE)
            for item, value in zip(("postcode", "name", "dob"), PEOPLE[who], strict=True):
                said = value.replace("-", " ") if item == "dob" else value
                table.writerow((f"d{speaker}", f"s{speaker}", f"p{who}", item, 0, json.dumps(["hmm", said])))
    return tmp_path


def test_callers_who_say_who_they_are_are_told_from_others(folder, capsys, tmp_path):
    """All rows, the curve, and the answers counted."""
    curve, out = tmp_path / "curve.csv", tmp_path / "out.json"
    assert bench.main(["identity", "--data", str(folder), "--curve", str(curve), "--json", str(out)]) == 0
    rows = {row["what"]: row["measured"] for row in json.loads(out.read_text("utf-8"))["rows"]}
    assert rows["postcode read from the list, 8 answers"] == "top-1 100.0 %, top-n 100.0 %"
    assert rows["postcode, name and birth date, each asked once: equal error rate"].startswith("0.0 %")
    accepts, rejects = (rows[f"dob asked for while in doubt, each half with the other's thresholds: false {what}"]
                        for what in ("accepts", "rejects"))  # fmt: skip
    assert accepts == "0.000 %"
    assert rejects.startswith("0.0 %, 1.00 questions a caller")
    points = list(csv.DictReader(curve.open(encoding="utf-8")))
    assert [float(points[0][k]) for k in ("false_accept", "false_reject")] == [1.0, 0.0]
    assert [float(points[-1][k]) for k in ("false_accept",)] == [0.0]


def test_the_threshold_is_where_both_errors_meet():
    """One of four wrong on either side."""
    genuine, impostor = np.array([1.0, 5.0, 6.0, 7.0]), np.array([-1.0, 0.0, 0.5, 5.5])
    threshold = identity.equal_error(genuine, impostor)
    assert identity.rates(genuine, impostor, threshold) == (0.25, 0.25)


def test_who_is_asked_again_and_what_decides():
    """In doubt twice, and rejected at once; nobody is asked more often than they were."""
    nan = float("nan")
    callers = identity.Asked(np.array([[8.0, nan, nan], [3.0, 5.0, nan], [1.0, 1.0, 1.0], [-7.0, 9.0, 9.0]]),
                             np.array([0, 0, 1, 1]))  # fmt: skip
    assert callers.proven(-1, 7.0, -6.0) == (0.5, 7 / 4)
    assert callers.proven(1, 7.0, -6.0) == (1.0, 1.5)
    assert callers.proven(0, 7.0, -6.0) == (0.0, 2.0)


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("records.en.csv", "scenario_id,postcode,name\np0,A,B\n", "there is no column `dob`"),
        ("dialogues.en.half.tsv", "dialogue_id\tspeaker_id\n", "there is no column `scenario_id`"),
        (
            "dialogues.en.half.tsv",
            "dialogue_id\tspeaker_id\tscenario_id\titem\tattempt_num\tnbest\nd\ts\tp0\tname\t0\t[oops\n",
            "tsv:2: `nbest` must be a JSON list",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said(folder, file, text, fault):
    """With its place."""
    (folder / "evi_en" / file).write_text(text, "utf-8")
    with pytest.raises(InvalidInput, match=fault.replace("[", r"\[")):
        identity.load(folder)


def test_a_folder_without_data_is_named(tmp_path, capsys):
    """And what the option takes."""
    assert bench.main(["identity", "--data", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert str(tmp_path) in said
    assert "--data takes the folder of EVI" in said

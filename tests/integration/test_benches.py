"""The short forms of the benches against a real server: what they must show whatever the machine's speed."""

import json
import subprocess
import sys

import pytest

from ivr import bench


def rows(tmp_path, name: str, *more: str) -> dict[str, dict]:
    """Run as a user does, in a process of its own."""
    out = tmp_path / f"{name}.json"
    command = [sys.executable, "-m", "ivr", "bench", name, "--quick", "--json", str(out), *more]
    done = subprocess.run(command, check=False)
    assert done.returncode in (0, 1), "the bench itself failed"
    return {row["what"]: row for row in json.loads(out.read_text())["rows"]}


def test_calls_on_several_lines_arrive_whole_and_one_too_many_is_refused(tmp_path):
    found = rows(tmp_path, "load")
    functional = [row for what, row in found.items() if what != "jitter"]
    assert len(functional) == 5
    assert [row["what"] for row in functional if not row["holds"]] == []


def test_after_a_kill_callers_hear_an_apology_and_a_new_brain_answers(tmp_path):
    found = rows(tmp_path, "death")
    assert len(found) == 8
    assert [what for what, row in found.items() if not row["holds"] and "back" not in what] == []


def test_plans_change_under_calls_and_files_with_faults_change_nothing(tmp_path):
    found = rows(tmp_path, "reload")
    assert [what for what, row in found.items() if row["holds"] is False] == []
    assert "4 of 4" in found["files with faults"]["measured"]


def test_spoken_answers_are_answered_in_both_languages(tmp_path):
    found = rows(tmp_path, "gaps", "--only", "410,421", "--turns", "1")
    for what in ("yes/no, English", "digits, Mandarin"):
        assert "(n 1)" in found[what]["measured"]


def test_a_cough_pauses_the_prompt_and_it_goes_on(tmp_path):
    found = rows(tmp_path, "barge", "--only", "coughs")
    assert found["a cough (200 ms of sound)"]["holds"]


def test_a_caller_of_the_bank_is_answered(tmp_path):
    found = rows(tmp_path, "bank", "--only", "en:fees")
    assert found["bank, English: calls that end in an answer, a person or goodbye"]["measured"] == "1 of 1"


def test_orders_are_taken_and_claimed_with_a_full_queue(tmp_path):
    found = rows(tmp_path, "queue")
    assert found["orders taken"]["holds"]
    assert len(found) == 5


def test_after_a_server_and_a_line_were_killed_every_job_has_one_outcome_and_no_ring_is_unaccounted_for(tmp_path):
    found = rows(tmp_path, "outbound", "--only", "kills")
    assert len(found) == 4
    assert [what for what, row in found.items() if not row["holds"]] == []


@pytest.mark.parametrize("name", sorted(bench.BENCHES))
def test_every_bench_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as ended:
        bench.main([name, "--help"])
    assert ended.value.code == 0
    assert f"ivr bench {name}" in capsys.readouterr().out

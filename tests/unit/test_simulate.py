"""`ivr simulate`: a call by typing, scenarios and pictures, and that nothing typed breaks it."""

import json
import re
import shutil
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr import cli, simulate
from ivr.errors import InvalidInput, Unavailable

ROOT = Path(__file__).parents[2]
MAIN = str(ROOT / "dialplans" / "main.yaml")
BANK = str(ROOT / "dialplans" / "bank.yaml")
SCENARIOS = ROOT / "tests" / "scenarios"
NOW = ("--now", "2026-11-23T10:00+08:00")


def typed(text: str, *arguments: str, plan: str = MAIN) -> str:
    """What is printed when `text` is typed."""
    out = StringIO()
    assert simulate.main([plan, *NOW, *arguments], StringIO(text), out) == 0
    return out.getvalue()


def test_a_call_as_the_caller_hears_it():
    """What is said, what was understood and how surely, and where that stands."""
    out = typed("what are your opening hours\nmy card is lost\n/key 2\ngoodbye\nnot read any more\n")
    assert "said: Welcome to the bank.\nsaid: How can I help you?\n" in out
    assert re.search(r"at question \(.*main\.yaml:\d+\)", out)
    assert "heard: my card is lost\n       understood: intent lost_card (1.00)\n" in out
    assert out.endswith("is over (completed)\n" + out.rpartition("is over (completed)\n")[2])
    assert "not read" not in out


def test_a_call_in_mandarin():
    """The language of the number."""
    out = typed("我的银行卡丢了\n是的\n/connected\n", "--language", "zh")
    assert "said: 欢迎致电银行。" in out
    assert "understood: yes" in out
    assert "is over (transferred)" in out


def test_lookups_values_and_slots():
    """Back ends are typed, too; values are written as a person reads them."""
    out = typed(
        "what is my balance\n#8620\n#19850312\n"
        '/answer 200 {"customer": "c1"}\n/answer 200 {"balance": 3289.5}\n/state\n',
        plan=BANK,
    )
    assert "asks bank: POST /identity {'last_four': '8620', 'birth_date': '1985-03-12'}" in out
    assert "said: Your balance is CN¥3,289.50." in out
    assert "  customer = c1 (1.00)" in out


def test_every_way_a_lookup_and_a_transfer_may_end():
    """Answers, silence of a back end, and people who are busy."""
    begin = "what is my balance\n#8620\n#19850312\n"
    assert "try again" in typed(begin + '/answer 403 {"left": 1}\n', plan=BANK)
    for failure in ("/timeout", "/failed", "/answer 500"):
        assert "I cannot reach the bank's computer" in typed(f"{begin}{failure}\n", plan=BANK)
    for outcome in ("/busy", "/no_answer", "/failed"):
        assert "Please leave a message" in typed(f"#0\n{outcome}\n/message\n", plan=BANK)


def test_live_back_ends_are_asked(tmp_path):
    """Nobody is there: that is an answer, too."""
    file = tmp_path / "config.toml"
    file.write_text(
        '[[number]]\npattern = "500"\nplan = "bank"\nlanguage = "en"\n'
        '[[backend]]\nname = "bank"\nurl = "http://127.0.0.1:1"\nnetworks = ["127.0.0.0/8"]\n'
        f'[store]\nintents = "{ROOT / "var" / "intents"}"\n',
        "utf-8",
    )
    out = typed(
        "I lost my card\nyes\n#8620\nyes\n",
        "--live", "--config", str(file), plan=BANK,
    )  # fmt: skip
    assert "answered: failed" in out
    assert "/answer" not in out
    assert "I cannot reach the bank's computer" in out


def test_undo_goes_back_one_line():
    """However many keys it had; to the very beginning and no further."""
    assert "step identity/who" in typed("what is my balance\n#8620\n/back\n/state\n", plan=BANK).splitlines()[-2]
    assert "card" not in typed("what is my balance\n#8620\n/back\n/state\n", plan=BANK).splitlines()[-2]
    out = typed("my card is lost\n/back\n/back\n/state\n")
    assert out.count("taken back") == 1
    assert "this is the beginning" in out
    assert "step question" in out.splitlines()[-2]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("/nothing", "there is no /nothing"),
        ("/help", "/answer 200"),
        ("/busy", "the call listens for open"),
        ("/answer", "a status is wanted"),
        ("/answer 999", "a status is wanted"),
        ("/answer 200 {", "is not JSON"),
        ("/answer 200 " + "[" * 90_000, "is not JSON"),
        ("/answer 200", "the call listens for open"),
        ("/key", "keys are 0 to 9"),
        ("#0\n#1", "the call rings agents (bridge, 30 s); /connected"),
        ("#12x", "keys are 0 to 9"),
        ("/key " + "1" * 65, "keys are 0 to 9"),
        ("/message", "the call listens for open"),
        ("\x00\x1b[31m", "heard: [31m"),
        ("🙂" * 30, "heard: 🙂"),
        ("x" * 200_000, "heard: xxx"),
        ("", "said: I did not hear anything."),
        ("/silence", "said: I did not hear anything."),
        ("/quit", ""),
    ],
)
def test_broken_lines_are_answered(line, says):
    """In words, at the same step or the next."""
    assert says in typed(f"{line}\n")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=12) | st.sampled_from(["/back", "/silence", "#1", "/state", "/busy", "/answer 200 1"]),
                max_size=12))  # fmt: skip
def test_whatever_is_typed_nothing_breaks(lines):
    """And the call is over or stands somewhere."""
    assert typed("\n".join(lines), plan=BANK)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "dialplans/nowhere.yaml: no such file (in dialplans there are: bank, identity, main, verify)"),
        ([MAIN, "--language", "ko"], "the plan does not speak `ko` (it speaks en, zh)"),
        ([MAIN, "--script", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        ([MAIN, "--script", MAIN], "unknown key"),
        ([MAIN, "--picture", "plan.gif"], "no kind of picture (name it .mmd, .dot or .svg)"),
        ([MAIN, "--picture", "/nowhere/plan.dot"], "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_told(arguments, says, capsys):
    """With the mend, on the error output, and 1 to the shell."""
    assert cli.main(["simulate", *arguments]) == 1
    assert says in capsys.readouterr().err


def test_a_broken_plan_is_told_as_check_does(tmp_path, capsys):
    """Every problem with its place."""
    (tmp_path / "p.yaml").write_text("steps:\n  a: {kind: say, prompt: Hi., next: b}\n  c: {kind: sya}\n", "utf-8")
    assert cli.main(["simulate", str(tmp_path / "p.yaml")]) == 1
    err = capsys.readouterr().err
    assert "p.yaml:2:" in err
    assert "did you mean `say`?" in err


@pytest.mark.parametrize("words", [["--now", "yesterday"], ["--now", "2026-11-23T10:00"], ["--least-ways", "101"], []])
def test_wrong_words_are_wrong_usage(words, capsys):
    """2 to the shell."""
    with pytest.raises(SystemExit) as exit_:
        simulate.main([*([MAIN] if words else []), *words])
    assert exit_.value.code == 2


def walked(*arguments: str, plan: str = MAIN) -> tuple[int, str]:
    out = StringIO()
    return simulate.main([plan, *NOW, *arguments], StringIO(), out), out.getvalue()


def test_scenarios_pass_with_their_coverage():
    """What passed, then what was covered."""
    code, out = walked("--script", str(SCENARIOS / "main.yaml"), "--least-steps", "100", "--least-ways", "95")
    assert code == 0
    assert "ok     a question, an answer, goodbye" in out
    assert "steps  11 of 11, 100.0 %" in out


def test_a_difference_and_too_little_coverage_fail(tmp_path):
    """Where it went otherwise; what no call took, with its line."""
    file = tmp_path / "calls.yaml"
    file.write_text("plan: main\nlanguage: en\nturns:\n  - expect: {step: more}\n", "utf-8")
    code, out = walked("--script", str(file))
    assert code == 1
    assert f"{file}:4: calls: expected step `more`, got `question`" in out
    file.write_text("plan: main\nlanguage: en\nturns:\n  - expect: {step: question}\n", "utf-8")
    assert walked("--script", str(file))[0] == 0
    code, out = walked("--script", str(file), "--least-steps", "50")
    assert code == 1
    assert re.search(r"not taken: .*main\.yaml:\d+: to_agent busy -> agents_busy", out)


def test_the_report_for_machines(tmp_path):
    """The same as JSON."""
    file = tmp_path / "calls.yaml"
    file.write_text("plan: main\nturns:\n  - expect: {step: more}\n", "utf-8")
    code, out = walked("--script", str(file), "--json")
    made = json.loads(out)
    assert code == 1
    assert made["scenarios"] == [
        {"name": "calls", "file": str(file), "line": 3, "passed": False,
         "difference": made["scenarios"][0]["difference"]}
    ]  # fmt: skip
    assert made["steps"]["taken"] == 2
    assert {"file", "line", "step", "way", "to"} == set(made["missed"][0])


def test_scenarios_of_another_plan_are_left_alone(tmp_path):
    """None left is a failure: somebody believes that they are tested."""
    file = tmp_path / "calls.yaml"
    file.write_text("plan: other\nturns: [{silence: true}]\n", "utf-8")
    assert walked("--script", str(file)) == (1, "no scenario calls the plan `main`\n")
    file.write_text("plan: main\nlanguage: ko\nturns: [{silence: true}]\n", "utf-8")
    with pytest.raises(InvalidInput, match="does not speak `ko`"):
        walked("--script", str(file))


def test_pictures(tmp_path, monkeypatch):
    """Text by itself; SVG by Graphviz, which may be missing."""
    for name in ("p.mmd", "p.dot"):
        assert walked("--picture", str(tmp_path / name))[0] == 0
        assert "welcome" in (tmp_path / name).read_text("utf-8")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(Unavailable, match="apt-get install graphviz"):
        walked("--picture", str(tmp_path / "p.svg"))


@pytest.mark.parametrize(("script", "code"), [("cat", 0), ("echo broken >&2; exit 1", 1)])
def test_svg_by_dot(tmp_path, monkeypatch, script, code):
    """A program of that name gets the graph on its input; what it says when it fails is told."""
    program = tmp_path / "dot"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda _: str(program))
    arguments = ("--picture", str(tmp_path / "p.svg"))
    if code:
        with pytest.raises(Unavailable, match="dot failed: broken"):
            walked(*arguments)
    else:
        assert walked(*arguments)[0] == 0
        assert (tmp_path / "p.svg").read_text("utf-8").startswith("digraph")

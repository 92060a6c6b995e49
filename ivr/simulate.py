"""`ivr simulate`: call a dialplan by typing, walk it by scenarios, or draw it.

The engine and understanding are those of the telephone. Nothing is dialled: how a transfer ends is typed, and so is
what a back end answers, unless `--live` asks the real one.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from ivr import config, rehearse
from ivr.dialog import picture, rehearsal
from ivr.dialog.plan import Plan
from ivr.dialog.plan_file import file_of, load
from ivr.dialog.rehearsal import Moment, Rehearsal
from ivr.dialog.state import (
    Connect,
    Connected,
    End,
    Fetch,
    Fetched,
    Heard,
    Input,
    Key,
    Listen,
    Recorded,
    Silence,
    Speak,
    Started,
    Tell,
)
from ivr.errors import InvalidInput, Problem, Unavailable
from ivr.intents.shelf import shelf_of
from ivr.learning import taught
from ivr.live import Live
from ivr.speech import spoken
from ivr.understanding.proving import Proofs

HELP = """  WORDS               say them
  #8620#              press keys (the first # only begins the line); then a pause
  /key 1              press one or more keys
  /silence            say nothing, as an empty line does
  /connected /busy /no_answer /failed    how a transfer ends
  /answer 200 {"name": "Li"}             what a back end answers; /timeout, /failed when it does not
  /message NAME       leave a message
  /state              what the call knows
  /back               take the last input back
  /quit"""

_MAX_LINE_CHARS = 100_000
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class _Terminal:
    """One rehearsed call, line by line."""

    def __init__(self, call: Rehearsal, out: TextIO, live: Live | None = None) -> None:
        """`live`: the back ends to ask; None when their answers are typed."""
        self._call, self._out, self._live = call, out, live
        self._by_line: list[int] = []
        self._colours = out.isatty()

    def run(self, lines: Iterator[str]) -> None:
        """Until the call, or the input, is over."""
        self._show(self._call.last)
        self._look_up()
        for line in lines:
            text = _UNSEEN.sub(" ", line[:_MAX_LINE_CHARS]).strip()
            if text in ("/quit", "/exit"):
                return
            before = len(self._call.moments)
            self._line(text or "/silence")
            self._look_up()
            if (added := len(self._call.moments) - before) > 0:
                self._by_line.append(added)
            if isinstance(self._call.last.awaited, End):
                return
        self._print(f"no more input; the call stands at {self._call.last.state.step}", dim=True)

    def _line(self, text: str) -> None:
        if not text.startswith(("/", "#")):
            return self._give(self._call.hear(text))
        if text.startswith("#"):
            return self._press(text[1:] or "#")
        word, _, rest = text[1:].partition(" ")
        command = self._commands().get(word)
        if command is None:
            return self._print(f"there is no /{word[:40]}; /help lists what there is", dim=True)
        return command(rest.strip())

    def _commands(self) -> dict[str, Callable[[str], None]]:
        return {
            "help": lambda _: self._print(HELP, dim=True),
            "key": self._press,
            "silence": lambda _: self._give(Silence()),
            "connected": lambda _: self._give(Connected("connected")),
            "busy": lambda _: self._give(Connected("busy")),
            "no_answer": lambda _: self._give(Connected("no_answer")),
            "failed": lambda _: self._give(Fetched("failed") if self._asks else Connected("failed")),
            "timeout": lambda _: self._give(Fetched("timeout")),
            "answer": self._answer,
            "message": lambda name: self._give(Recorded(name or "message")),
            "state": lambda _: self._state(),
            "back": lambda _: self._undo(),
        }

    @property
    def _asks(self) -> bool:
        return isinstance(self._call.last.awaited, Fetch)

    @property
    def _is_open(self) -> bool:
        awaited = self._call.last.awaited
        return isinstance(awaited, Listen) and awaited.expectation.kind == "open"

    def _give(self, given: Input) -> None:
        if not self._call.takes(given):
            return self._refuse()
        if isinstance(given, Heard):
            self._heard(given)
        return self._show(self._call.give(given))

    def _refuse(self) -> None:
        self._print(f"the call {rehearsal.describe(self._call.last.awaited)}{self._hint()}", dim=True)

    def _press(self, pressed: str) -> None:
        pressed = pressed.replace(" ", "")
        if not re.fullmatch("[0-9*#A-Da-d]{1,64}", pressed):
            return self._print("keys are 0 to 9, * and #, like /key 1", dim=True)
        if not self._call.takes(Key(pressed[0])):
            return self._refuse()
        for moment in self._call.press(pressed.upper()):
            self._show(moment, quiet=not moment.actions or moment is not self._call.last)
        return None

    def _answer(self, text: str) -> None:
        status, _, body = text.partition(" ")
        if not re.fullmatch("[1-5][0-9][0-9]", status):
            return self._print('a status is wanted, like /answer 200 {"name": "Li"}', dim=True)
        try:
            data = json.loads(body) if body.strip() else None
        except (ValueError, RecursionError):
            return self._print("what follows the status is not JSON", dim=True)
        return self._give(Fetched("ok" if status.startswith("2") else "status", int(status), data))

    def _state(self) -> None:
        state = self._call.last.state
        self._print(
            f"step {state.step}{self._place(state.step)}, language {state.language},"
            f" {state.no_inputs} no-input, {state.no_matches} no-match, outcome {state.outcome or 'none'}",
            dim=True,
        )
        for name, filled in state.slots.items():
            rivals = f", perhaps {', '.join(filled.rivals)}" if filled.rivals else ""
            self._print(f"  {name} = {filled.value} ({filled.confidence:.2f}{rivals})", dim=True)

    def _undo(self) -> None:
        if not self._by_line:
            return self._print("this is the beginning", dim=True)
        self._call.undo(self._by_line.pop())
        self._print("taken back", dim=True)
        return self._show(self._call.last, again=True)

    def _heard(self, given: Heard) -> None:
        said = given.understood
        self._print(f"heard: {said.hypothesis.text[:300]}")
        parts = [f"{name} {value}" for name, value in (("command", said.command), ("intent", said.intent)) if value]
        parts += [f"{name} = {f.value} ({f.confidence:.2f})" for name, f in said.slots.items()]
        if said.value and not said.slots and not self._is_open:
            parts.append(said.value)
        if said.between:
            parts.append(" or ".join(wish.intent or wish.source for wish in said.between))
        parts += [f"and then {wish.intent or wish.source}" for wish in said.also]
        meaning = ", ".join(parts) or ("a question" if said.answer else "words" if said.value else "nothing")
        self._print(f"       understood: {meaning} ({said.confidence:.2f})", dim=True)

    def _show(self, moment: Moment, quiet: bool = False, again: bool = False) -> None:
        """Print what a moment brought. `again`: it is shown once more, and nothing of it done."""
        for action in moment.actions:
            if isinstance(action, Speak):
                slow = " (slowly)" if action.slow else ""
                self._print(f"said: {spoken.written(action.text, action.language)}{slow}")
            elif not quiet or isinstance(action, End):
                self._print(f"       {rehearsal.describe(action)}", dim=True)
            if isinstance(action, Tell) and self._live is not None and not again:
                self._print(f"       {self._live.tell(action)}", dim=True)
        if not quiet:
            step = moment.state.step
            self._print(f"       at {step}{self._place(step)}{self._hint()}", dim=True)

    def _look_up(self) -> None:
        """Ask the real back ends for as long as the call waits for one."""
        while self._live is not None and self._asks:
            answer, reason = self._live.fetch(self._call.last.awaited)
            shown = json.dumps(answer.data, ensure_ascii=False)[:500] if answer.data is not None else reason
            self._print(f"       answered: {answer.outcome} {answer.status or ''} {shown}", dim=True)
            self._show(self._call.give(answer))

    def _place(self, step: str) -> str:
        at = self._call.plan.steps[step].at if step in self._call.plan.steps else None
        return f" ({at.file}:{at.line})" if at is not None and at.line else ""

    def _hint(self) -> str:
        if self._asks and self._live is None:
            return "; /answer 200 {...}, /timeout or /failed"
        return "; /connected, /busy, /no_answer or /failed" if isinstance(self._call.last.awaited, Connect) else ""

    def _print(self, text: str, dim: bool = False) -> None:
        print(f"\x1b[2m{text}\x1b[0m" if dim and self._colours else text, file=self._out, flush=True)


def _lines(source: TextIO, out: TextIO) -> Iterator[str]:
    """The lines of a terminal or a pipe; the terminal gets a prompt."""
    while True:
        if source.isatty() and out.isatty():
            print("> ", end="", file=out, flush=True)
        line = source.readline(_MAX_LINE_CHARS)
        if not line:
            return
        yield line


def _draw(plan: Plan, file: Path) -> None:
    """Write the picture of `plan`; what kind it is the file's name says."""
    if file.suffix == ".mmd":
        made = picture.mermaid(plan).encode()
    elif file.suffix in (".dot", ".gv"):
        made = picture.dot(plan).encode()
    elif file.suffix == ".svg":
        program = shutil.which("dot")
        if program is None:
            raise Unavailable("pictures in SVG need Graphviz, which is not installed (apt-get install graphviz)")
        done = subprocess.run([program, "-Tsvg"], input=picture.dot(plan).encode(), capture_output=True, check=False)
        if done.returncode:
            raise Unavailable(f"dot failed: {done.stderr.decode('utf-8', 'replace')[:300].strip()}")
        made = done.stdout
    else:
        raise InvalidInput(Problem(str(file), "no kind of picture", mend="name it .mmd, .dot or .svg"))
    try:
        file.write_bytes(made)
    except OSError as error:
        raise InvalidInput(Problem(str(file), f"cannot be written: {(error.strerror or 'no').lower()}")) from None


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment


_moment.__name__ = "moment (like 2026-11-23T10:00+08:00)"


def _percent(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 100:
        raise ValueError(text)
    return value


_percent.__name__ = "percentage"


def _named(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError(text)
    return name, value


_named.__name__ = "value (like amount=12.50)"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ivr simulate", description="Call a dialplan by typing, walk it by scenarios, or draw it."
    )
    parser.add_argument("plan", metavar="PLAN", help="a plan's file, or its name in dialplans/")
    parser.add_argument("--language", help="the language of the number that is rung; default: the plan's first")
    parser.add_argument("--now", type=_moment, metavar="MOMENT", help="the time of the call; default: now")
    parser.add_argument("--answered-by", choices=("human", "machine", "screening", "caller"),
                        default="human", help="who answers a call of ours, or rings us; default: human")  # fmt: skip
    parser.add_argument("--given", type=_named, action="append", default=[], metavar="NAME=VALUE",
                        help="what the order of a call of ours gives the plan; may be repeated")  # fmt: skip
    parser.add_argument("--proof", type=_named, action="append", default=[], metavar="NAME=VALUE",
                        help="what the other side must prove to know: birth_date=1987-04-29")  # fmt: skip
    parser.add_argument("--live", action="store_true", help="ask the back ends of the configuration")
    parser.add_argument("--config", default="config.toml", metavar="FILE", help="which one; default: config.toml")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--script", nargs="+", type=Path, metavar="FILE", help="walk the scenarios in these files")
    what.add_argument("--all", action="store_true", help=f"walk all those of the plan in {rehearse.FOLDER}/")
    what.add_argument("--picture", type=Path, metavar="FILE", help="draw the plan: .mmd (Mermaid), .dot or .svg")
    parser.add_argument("--least-steps", type=_percent, default=0.0, metavar="PERCENT", help="fewer fail")
    parser.add_argument("--least-ways", type=_percent, default=0.0, metavar="PERCENT", help="fewer fail")
    parser.add_argument("--json", action="store_true", help="the scenarios' report as JSON")
    return parser


def main(argv: list[str] | None = None, source: TextIO | None = None, out: TextIO | None = None) -> int:
    """`ivr simulate`. 0 all well, 1 a scenario failed or too little was covered; raises InvalidInput, Unavailable."""
    source, out = source or sys.stdin, out or sys.stdout
    arguments = _parser().parse_args(argv)
    plan = load(file_of(arguments.plan))
    if not arguments.picture:
        plan = taught(plan, shelf_of(arguments.config).of(plan.knowledge.examples))
    now = arguments.now or datetime.now(UTC).astimezone()
    for stream in (source, out):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")
    if arguments.picture:
        _draw(plan, arguments.picture)
        return 0
    if arguments.script or arguments.all:
        return _walk(plan, arguments, now, out)
    with Live(config.load(arguments.config)) if arguments.live else nullcontext() as live:
        started = Started(arguments.answered_by, dict(arguments.given))
        proofs = Proofs(dict(arguments.proof))
        call = Rehearsal(plan, _language(plan, arguments.language), now, started, proofs)
        _Terminal(call, out, live).run(_lines(source, out))
    return 0


def _walk(plan: Plan, arguments: argparse.Namespace, now: datetime, out: TextIO) -> int:
    files = arguments.script or sorted(rehearse.FOLDER.glob("*.yaml"))
    found = rehearse.scenarios(files, plan.name)
    if not found:
        print(f"no scenario calls the plan `{plan.name}`", file=out)
        return 1
    report = rehearse.rehearse(plan, found, now)
    if arguments.json:
        print(rehearse.as_json(report), file=out)
    else:
        rehearse.tell(report, out)
    return 0 if report.enough(arguments.least_steps, arguments.least_ways) else 1


def _language(plan: Plan, wanted: str | None) -> str:
    if wanted is None or wanted in plan.languages:
        return wanted or plan.languages[0]
    mend = "it speaks " + ", ".join(plan.languages)
    raise InvalidInput(Problem(plan.file, f"the plan does not speak `{wanted[:20]}`", mend=mend))
